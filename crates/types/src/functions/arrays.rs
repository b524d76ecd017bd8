//! Functions of arrays. Subscripts and slices themselves are in `crate::array`.

use super::strings::{count, int};
use super::{RowIter, ScalarFn, SetFn};
use crate::array::{Array, DIMENSIONS_MAX, Dimension};
use crate::io::array::{ELEMENTS_MAX, too_large, too_many_dimensions};
use crate::{CallContext, Datum, Oid, Result, SqlError, SqlState, SqlType, compare, stop};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

/// An element that is looked at, or copied.
const ELEMENT_WORK: usize = 16;
const ELEMENTS_TOGETHER: usize = 1 << 12;
/// Elements that are sorted at once, and what one takes.
const SORTED_TOGETHER: usize = 1 << 15;
const SORT_WORK: usize = 256;

/// The elements, which may be many.
fn elements(array: &Array) -> impl Iterator<Item = Result<&Datum>> {
    stop::each(array.values.iter(), ELEMENT_WORK)
}

/// Appends copies of elements, which may be many.
fn add(values: &mut Vec<Datum>, more: &[Datum]) -> Result<()> {
    for part in more.chunks(ELEMENTS_TOGETHER) {
        stop::spent(part.len() * ELEMENT_WORK)?;
        values.extend_from_slice(part);
    }
    Ok(())
}

fn array(args: &[Datum], index: usize) -> &Array {
    args[index].as_array()
}

fn made(array: Array) -> Result<Datum> {
    if array.values.len() > ELEMENTS_MAX {
        return Err(too_large());
    }
    Ok(Datum::Array(Arc::new(array)))
}

#[cold]
fn null_not_allowed(message: &str) -> SqlError {
    SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message)
}

#[cold]
fn subscript_error(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
}

/// The element type of the result, for arrays that are NULL.
fn element_type(context: &CallContext<'_>) -> Oid {
    context.result_type.element().map_or(crate::oid::TEXT, |ty| ty.oid)
}

/// Whether two elements are the same; NULLs are.
fn same(element: Oid, a: &Datum, b: &Datum) -> bool {
    match (a.is_null(), b.is_null()) {
        (false, false) => compare::compare(SqlType::new(element), a, b) == Ordering::Equal,
        (a, b) => a && b,
    }
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("array_append", |c, a| append(c, &a[0], &a[1], false)),
    ("array_prepend", |c, a| append(c, &a[1], &a[0], true)),
    ("array_cat", |_, a| concat(&a[0], &a[1])),
    ("array_ndims", |_, a| if array(a, 0).dims.is_empty() { Ok(Datum::Null) } else { count(array(a, 0).dims.len()) }),
    ("array_dims", |_, a| {
        let dims = &array(a, 0).dims;
        if dims.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(Datum::text(dims.iter().map(|d| format!("[{}:{}]", d.lower, d.upper())).collect::<String>()))
    }),
    ("array_lower", |_, a| Ok(dimension(a).map_or(Datum::Null, |d| Datum::Int4(d.lower)))),
    ("array_upper", |_, a| Ok(dimension(a).map_or(Datum::Null, |d| Datum::Int4(d.upper())))),
    ("array_length", |_, a| Ok(dimension(a).map_or(Datum::Null, |d| Datum::Int4(d.len)))),
    ("array_cardinality", |_, a| count(array(a, 0).values.len())),
    ("array_position", |_, a| position(a)),
    ("array_position_start", |_, a| position(a)),
    ("array_positions", |_, a| positions(a)),
    ("array_remove", |_, a| remove(a)),
    ("array_replace", |_, a| replace(a)),
    ("array_fill", |c, a| fill(c, &a[0], &a[1], None)),
    ("array_fill_with_lower_bounds", |c, a| fill(c, &a[0], &a[1], Some(&a[2]))),
    ("trim_array", |_, a| trim(array(a, 0), int(a, 1))),
    ("arraycontains", |_, a| Ok(Datum::Bool(contains(array(a, 0), array(a, 1))?))),
    ("arraycontained", |_, a| Ok(Datum::Bool(contains(array(a, 1), array(a, 0))?))),
    ("arrayoverlap", |_, a| {
        let whole = Lookup::new(array(a, 0))?;
        for value in &array(a, 1).values {
            if whole.has(value)? {
                return Ok(Datum::Bool(true));
            }
        }
        Ok(Datum::Bool(false))
    }),
];

pub const SETS: &[(&str, SetFn)] = &[
    ("array_unnest", |_, a| {
        let array = Arc::clone(a[0].as_array());
        Ok(Box::new(
            (0..array.values.len()).map(move |index| Ok(vec![array.values.get(index).cloned().unwrap_or(Datum::Null)])),
        ))
    }),
    ("generate_subscripts_nodir", |_, a| subscripts(a, false)),
    ("generate_subscripts", |_, a| subscripts(a, a[2].as_bool())),
];

/// The dimension that the second argument names, from 1.
fn dimension(args: &[Datum]) -> Option<Dimension> {
    let index = usize::try_from(int(args, 1)).ok()?.checked_sub(1)?;
    array(args, 0).dims.get(index).copied()
}

fn subscripts(args: &[Datum], is_reversed: bool) -> Result<RowIter> {
    let Some(d) = dimension(args) else { return Ok(Box::new(std::iter::empty())) };
    let row = |at| Ok(vec![Datum::Int4(at)]);
    Ok(match is_reversed {
        false => Box::new((d.lower..=d.upper()).map(row)),
        true => Box::new((d.lower..=d.upper()).rev().map(row)),
    })
}

fn append(context: &CallContext<'_>, array: &Datum, value: &Datum, at_start: bool) -> Result<Datum> {
    let mut array = match array {
        Datum::Array(array) => {
            let mut values = Vec::with_capacity(array.values.len() + 1);
            if at_start {
                values.push(value.clone());
            }
            add(&mut values, &array.values)?;
            if !at_start {
                values.push(value.clone());
            }
            Array { element: array.element, dims: array.dims.clone(), values }
        }
        _ => Array { values: vec![value.clone()], ..Array::empty(element_type(context)) },
    };
    match array.dims.as_mut_slice() {
        [] => array.dims = vec![Dimension { len: 1, lower: 1 }],
        [only] => {
            // The lower bound stays, also in front.
            only.lower
                .checked_add(only.len)
                .ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?;
            only.len += 1;
        }
        _ => {
            return Err(SqlError::new(SqlState::DATA_EXCEPTION, "argument must be empty or one-dimensional array"));
        }
    }
    made(array)
}

fn concat(a: &Datum, b: &Datum) -> Result<Datum> {
    let (left, right) = match (a, b) {
        (Datum::Null, other) | (other, Datum::Null) => return Ok(other.clone()),
        (left, right) => (left.as_array(), right.as_array()),
    };
    if left.dims.is_empty() {
        return Ok(b.clone());
    }
    if right.dims.is_empty() {
        return Ok(a.clone());
    }
    let incompatible = |detail: String| subscript_error("cannot concatenate incompatible arrays").detail(detail);
    let differing =
        || incompatible("Arrays with differing dimensions are not compatible for concatenation.".to_owned());
    let (count, other) = (left.dims.len(), right.dims.len());
    let mut dims = if count >= other { left.dims.clone() } else { right.dims.clone() };
    let added = match count.abs_diff(other) {
        0 if left.dims[1..] != right.dims[1..] => {
            return Err(incompatible(
                "Arrays with differing element dimensions are not compatible for concatenation.".to_owned(),
            ));
        }
        0 => right.dims[0].len,
        1 if count > other && left.dims[1..] == right.dims[..] => 1,
        1 if count < other && right.dims[1..] == left.dims[..] => 1,
        1 => return Err(differing()),
        _ => {
            return Err(incompatible(format!(
                "Arrays of {count} and {other} dimensions are not compatible for concatenation."
            )));
        }
    };
    dims[0].len = dims[0].len.checked_add(added).ok_or_else(too_large)?;
    let mut values = Vec::with_capacity(left.values.len() + right.values.len());
    add(&mut values, &left.values)?;
    add(&mut values, &right.values)?;
    made(Array { element: left.element, dims, values })
}

#[cold]
fn searching_many() -> SqlError {
    SqlError::unsupported("searching for elements in multidimensional arrays is not supported")
}

fn position(args: &[Datum]) -> Result<Datum> {
    let Datum::Array(array) = &args[0] else { return Ok(Datum::Null) };
    if array.dims.len() > 1 {
        return Err(searching_many());
    }
    let start = match args.get(2) {
        Some(Datum::Null) => return Err(null_not_allowed("initial position must not be null")),
        Some(start) => start.as_i64(),
        None => i64::MIN,
    };
    let Some(d) = array.dims.first() else { return Ok(Datum::Null) };
    for (at, value) in (i64::from(d.lower)..).zip(elements(array)) {
        let value = value?;
        if at >= start && same(array.element, value, &args[1]) {
            return Ok(Datum::Int4(at as i32));
        }
    }
    Ok(Datum::Null)
}

fn positions(args: &[Datum]) -> Result<Datum> {
    let Datum::Array(array) = &args[0] else { return Ok(Datum::Null) };
    if array.dims.len() > 1 {
        return Err(searching_many());
    }
    let lower = array.dims.first().map_or(1, |d| d.lower);
    let mut places = Vec::new();
    for (at, value) in (lower..).zip(elements(array)) {
        if same(array.element, value?, &args[1]) {
            places.push(Datum::Int4(at));
        }
    }
    made(Array::from_values(crate::oid::INT4, places))
}

fn remove(args: &[Datum]) -> Result<Datum> {
    let Datum::Array(array) = &args[0] else { return Ok(Datum::Null) };
    if array.dims.len() > 1 {
        return Err(SqlError::unsupported("removing elements from multidimensional arrays is not supported"));
    }
    let mut kept = Vec::new();
    for value in elements(array) {
        let value = value?;
        if !same(array.element, value, &args[1]) {
            kept.push(value.clone());
        }
    }
    if kept.len() == array.values.len() {
        return Ok(args[0].clone());
    }
    let mut left = Array::from_values(array.element, kept);
    if let (Some(d), Some(old)) = (left.dims.first_mut(), array.dims.first()) {
        d.lower = old.lower;
    }
    made(left)
}

fn replace(args: &[Datum]) -> Result<Datum> {
    let Datum::Array(array) = &args[0] else { return Ok(Datum::Null) };
    let put = |value: &Datum| if same(array.element, value, &args[1]) { args[2].clone() } else { value.clone() };
    let mut values = Vec::with_capacity(array.values.len());
    for value in elements(array) {
        values.push(put(value?));
    }
    made(Array { element: array.element, dims: array.dims.clone(), values })
}

/// The numbers of an int4[] argument of `array_fill`.
fn numbers(argument: &Datum) -> Result<Vec<i32>> {
    let Datum::Array(array) = argument else {
        return Err(null_not_allowed("dimension array or low bound array cannot be null"));
    };
    if array.dims.len() > 1 {
        return Err(
            subscript_error("wrong number of array subscripts").detail("Dimension array must be one dimensional.")
        );
    }
    let number = |value: &Datum| match value {
        Datum::Int4(value) => Ok(*value),
        _ => Err(null_not_allowed("dimension values cannot be null")),
    };
    array.values.iter().map(number).collect()
}

fn fill(context: &CallContext<'_>, value: &Datum, sizes: &Datum, lowers: Option<&Datum>) -> Result<Datum> {
    let element = element_type(context);
    let sizes = numbers(sizes)?;
    if sizes.len() > DIMENSIONS_MAX {
        return Err(too_many_dimensions(sizes.len()));
    }
    let lowers = match lowers {
        Some(lowers) => numbers(lowers)?,
        None => vec![1; sizes.len()],
    };
    if lowers.len() != sizes.len() {
        return Err(subscript_error("wrong number of array subscripts")
            .detail("Low bound array has different size than dimensions array."));
    }
    let mut total = 1_usize;
    let mut dims = Vec::with_capacity(sizes.len());
    for (len, lower) in sizes.into_iter().zip(lowers) {
        let size = usize::try_from(len).map_err(|_| too_large())?;
        total = total.checked_mul(size).filter(|t| *t <= ELEMENTS_MAX).ok_or_else(too_large)?;
        if lower.checked_add(len).is_none() {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("array lower bound is too large: {lower}"),
            ));
        }
        dims.push(Dimension { len, lower });
    }
    if total == 0 || dims.is_empty() {
        return made(Array::empty(element));
    }
    let mut values = Vec::with_capacity(total);
    for from in (0..total).step_by(ELEMENTS_TOGETHER) {
        let count = ELEMENTS_TOGETHER.min(total - from);
        stop::spent(count * ELEMENT_WORK)?;
        values.extend(std::iter::repeat_n(value.clone(), count));
    }
    made(Array { element, dims, values })
}

fn trim(array: &Array, n: i32) -> Result<Datum> {
    let len = array.dims.first().map_or(0, |d| d.len);
    if !(0..=len).contains(&n) {
        return Err(subscript_error(format!("number of elements to trim must be between 0 and {len}")));
    }
    match array.dims.first() {
        Some(d) => made(array.slice(&[(None, Some(d.upper() - n))])?),
        None => made(array.clone()),
    }
}

/// The elements of an array that is asked for many; sorted where it pays.
struct Lookup<'a> {
    element: SqlType,
    values: Vec<&'a Datum>,
    is_sorted: bool,
}

impl<'a> Lookup<'a> {
    /// Elements from which sorting is cheaper than walking.
    const SORTED_FROM: usize = 32;

    fn new(array: &'a Array) -> Result<Lookup<'a>> {
        let element = SqlType::new(array.element);
        let mut values: Vec<&Datum> = array.values.iter().filter(|value| !value.is_null()).collect();
        let is_sorted = values.len() >= Lookup::SORTED_FROM;
        if is_sorted {
            values = sorted(&values, element)?;
        }
        Ok(Lookup { element, values, is_sorted })
    }

    /// NULL is nowhere.
    fn has(&self, value: &Datum) -> Result<bool> {
        stop::spent(ELEMENT_WORK)?;
        if value.is_null() {
            return Ok(false);
        }
        let order = |own: &&Datum| compare::compare(self.element, own, value);
        Ok(match self.is_sorted {
            true => self.values.binary_search_by(order).is_ok(),
            false => self.values.iter().any(|own| order(own) == Ordering::Equal),
        })
    }
}

/// The values in order. What is sorted at once is short, so that many can be left off in between.
fn sorted<'a>(values: &[&'a Datum], element: SqlType) -> Result<Vec<&'a Datum>> {
    let mut runs: VecDeque<Vec<&Datum>> = VecDeque::new();
    for run in values.chunks(SORTED_TOGETHER) {
        stop::spent(run.len() * SORT_WORK)?;
        let mut run = run.to_vec();
        run.sort_by(|a, b| compare::compare(element, a, b));
        runs.push_back(run);
    }
    while let Some(first) = runs.pop_front() {
        let Some(second) = runs.pop_front() else { return Ok(first) };
        let mut merged = Vec::with_capacity(first.len() + second.len());
        let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
        while let (Some(a), Some(b)) = (first.peek(), second.peek()) {
            stop::spent(ELEMENT_WORK)?;
            let is_first = compare::compare(element, a, b) != Ordering::Greater;
            merged.extend(if is_first { first.next() } else { second.next() });
        }
        merged.extend(first.chain(second));
        runs.push_back(merged);
    }
    Ok(vec![])
}

fn contains(whole: &Array, part: &Array) -> Result<bool> {
    let whole = Lookup::new(whole)?;
    for value in &part.values {
        if !whole.has(value)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_elements_are_sorted_as_few() {
        let values: Vec<Datum> =
            (0..SORTED_TOGETHER as i32 * 3 + 7).map(|n| Datum::Int4(n.wrapping_mul(7919) % 5003)).collect();
        let given: Vec<&Datum> = values.iter().collect();
        let mut expected = given.clone();
        expected.sort_by_key(|value| value.as_i64());
        let found = sorted(&given, SqlType::INT4).expect("wanted");
        assert!(found.iter().map(|value| value.as_i64()).eq(expected.iter().map(|value| value.as_i64())));
        assert!(sorted(&[], SqlType::INT4).expect("wanted").is_empty());
    }
}
