//! `SET a[1] = …`: an array or document with an element or a slice replaced.

use std::sync::Arc;
use types::array::{Array, Dimension};
use types::json::{Builder, Jsonb, JsonbRef};
use types::{Datum, Oid, Result, SqlError, SqlState};

/// Elements of an array.
const ELEMENTS_MAX: i64 = 134_217_727;

/// One subscript: its bounds, and whether it is a slice. A bound that is not written is None.
pub(super) struct Place {
    pub lower: Option<Datum>,
    pub upper: Option<Datum>,
    pub is_slice: bool,
}

fn wrong(message: &str) -> SqlError {
    SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
}

fn bound(value: &Option<Datum>) -> Result<Option<i64>> {
    match value {
        Some(Datum::Null) => {
            Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "array subscript in assignment must not be null"))
        }
        Some(value) => Ok(Some(value.as_i64())),
        None => Ok(None),
    }
}

/// `container[places] = value`.
pub(super) fn array(container: &Datum, element: Oid, places: &[Place], value: &Datum) -> Result<Datum> {
    let empty = Arc::new(Array::from_values(element, vec![]));
    let old = match container {
        Datum::Array(old) => old.clone(),
        _ => empty,
    };
    let is_slice = places.iter().any(|p| p.is_slice);
    if is_slice && value.is_null() {
        // PostgreSQL leaves the array as it is.
        return Ok(Datum::Array(old));
    }
    let mut ranges = vec![];
    for (number, place) in places.iter().enumerate() {
        let (lower, upper) = (bound(&place.lower)?, bound(&place.upper)?);
        ranges.push(match (place.is_slice, is_slice) {
            (true, _) => (lower, upper),
            // In a slice a plain subscript is 1:n.
            (false, true) => (Some(1), lower),
            (false, false) => (lower, lower),
        });
        let _ = number;
    }
    if !old.dims.is_empty() && (if is_slice { old.dims.len() < ranges.len() } else { old.dims.len() != ranges.len() }) {
        return Err(wrong("wrong number of array subscripts"));
    }
    let ranges = resolve(&old, &ranges)?;
    let shape = grown(&old, &ranges)?;
    let source: Vec<Datum> = match (is_slice, value) {
        (true, Datum::Array(source)) => source.values.clone(),
        (true, _) => return Err(SqlError::internal("a slice is assigned an array")),
        (false, value) => vec![value.clone()],
    };
    replaced(&old, &ranges, shape, source).map(|array| Datum::Array(Arc::new(array)))
}

/// First and last subscript of each dimension that is written.
fn resolve(old: &Array, ranges: &[(Option<i64>, Option<i64>)]) -> Result<Vec<(i64, i64)>> {
    let mut resolved = vec![];
    for (number, (lower, upper)) in ranges.iter().enumerate() {
        let dimension = old.dims.get(number).map(|d| (i64::from(d.lower), i64::from(d.lower) + i64::from(d.len) - 1));
        let (lower, upper) = match (lower, upper, dimension) {
            (Some(lower), Some(upper), _) => (*lower, *upper),
            (lower, upper, Some((first, last))) => (lower.unwrap_or(first), upper.unwrap_or(last)),
            _ => {
                let detail =
                    "When assigning to a slice of an empty array value, slice boundaries must be fully specified.";
                return Err(wrong("array slice subscript must provide both boundaries").detail(detail));
            }
        };
        if lower > upper {
            return Err(wrong("upper bound cannot be less than lower bound"));
        }
        resolved.push((lower, upper));
    }
    // Dimensions without a subscript are written whole.
    for dimension in old.dims.iter().skip(ranges.len()) {
        let first = i64::from(dimension.lower);
        resolved.push((first, first + i64::from(dimension.len) - 1));
    }
    Ok(resolved)
}

/// The array's bounds after the assignment: one dimension grows, several do not.
fn grown(old: &Array, ranges: &[(i64, i64)]) -> Result<Vec<(i64, i64)>> {
    if old.dims.is_empty() {
        return Ok(ranges.to_vec());
    }
    let mut shape = vec![];
    for (dimension, (lower, upper)) in old.dims.iter().zip(ranges) {
        let (first, last) = (i64::from(dimension.lower), i64::from(dimension.lower) + i64::from(dimension.len) - 1);
        if old.dims.len() > 1 && (*lower < first || *upper > last) {
            return Err(wrong("array subscript out of range"));
        }
        shape.push((first.min(*lower), last.max(*upper)));
    }
    Ok(shape)
}

fn replaced(old: &Array, ranges: &[(i64, i64)], shape: Vec<(i64, i64)>, source: Vec<Datum>) -> Result<Array> {
    let count = |ranges: &[(i64, i64)]| {
        ranges.iter().try_fold(1i64, |all, (a, b)| all.checked_mul(b - a + 1).filter(|n| *n <= ELEMENTS_MAX))
    };
    let too_large = || {
        let message = format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})");
        SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
    };
    let total = count(&shape).ok_or_else(too_large)?;
    if (source.len() as i64) < count(ranges).ok_or_else(too_large)? {
        return Err(wrong("source array too small"));
    }
    let mut values = vec![Datum::Null; total as usize];
    let mut put = |at: &[i64], value: Datum| {
        let index =
            shape.iter().zip(at).fold(0i64, |index, ((first, last), at)| index * (last - first + 1) + at - first);
        if let Some(slot) = usize::try_from(index).ok().and_then(|i| values.get_mut(i)) {
            *slot = value;
        }
    };
    let old_ranges: Vec<(i64, i64)> =
        old.dims.iter().map(|d| (i64::from(d.lower), i64::from(d.lower) + i64::from(d.len) - 1)).collect();
    each(&old_ranges, old.values.iter().cloned(), &mut put);
    each(ranges, source.into_iter(), &mut put);
    let dims = shape.iter().map(|(first, last)| Dimension { len: (last - first + 1) as i32, lower: *first as i32 });
    Ok(Array { element: old.element, dims: dims.collect(), values })
}

/// All places of the ranges in order, with the values.
fn each(ranges: &[(i64, i64)], values: impl Iterator<Item = Datum>, put: &mut dyn FnMut(&[i64], Datum)) {
    let mut at: Vec<i64> = ranges.iter().map(|(first, _)| *first).collect();
    if at.is_empty() {
        return;
    }
    for value in values {
        put(&at, value);
        let mut dimension = at.len();
        loop {
            let Some(next) = dimension.checked_sub(1) else { return };
            dimension = next;
            let (Some(place), Some((first, last))) = (at.get_mut(dimension), ranges.get(dimension)) else { return };
            if *place < *last {
                *place += 1;
                break;
            }
            *place = *first;
        }
    }
}

// --- documents

/// `container['a'][1] = value`: what is missing on the way is made.
pub(super) fn document(container: &Datum, path: &[Datum], value: &Datum) -> Result<Datum> {
    if path.iter().any(Datum::is_null) {
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "jsonb subscript in assignment must not be null"));
    }
    let mut builder = Builder::new();
    let old = match container {
        Datum::Jsonb(old) => Some(old.as_ref()),
        _ => None,
    };
    let new = match value {
        Datum::Jsonb(new) => Some(new),
        _ => None,
    };
    put(&mut builder, old, path, new, 1)?;
    Ok(Datum::Jsonb(builder.finish()?))
}

fn is_index(step: &Datum) -> bool {
    matches!(step, Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_))
}

fn key_of(step: &Datum) -> String {
    match step {
        Datum::Text(key) => key.to_string(),
        other => other.as_i64().to_string(),
    }
}

fn put(
    builder: &mut Builder,
    old: Option<JsonbRef<'_>>,
    path: &[Datum],
    new: Option<&Jsonb>,
    depth: usize,
) -> Result<()> {
    let Some((step, rest)) = path.split_first() else {
        match new {
            Some(new) => builder.value(new.as_ref()),
            None => builder.null(),
        }
        return Ok(());
    };
    match old {
        Some(old) if old.is_object() => {
            let key = key_of(step);
            builder.begin_object();
            for (name, value) in old.members().filter(|(name, _)| *name != key) {
                builder.key(name);
                builder.value(value);
            }
            builder.key(&key);
            put(builder, old.get(&key), rest, new, depth + 1)?;
            builder.end()
        }
        Some(old) if old.is_array() => put_element(builder, old, step, rest, new, depth),
        Some(old) if !(old.is_null() && depth == 1) => {
            let detail = "The path assumes key is a composite object, but it is a scalar value.";
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "cannot replace existing key").detail(detail))
        }
        _ if is_index(step) => {
            builder.begin_array();
            let index = step.as_i64();
            if index < 0 {
                return Err(out_of_range(depth, index));
            }
            (0..index).for_each(|_| builder.null());
            put(builder, None, rest, new, depth + 1)?;
            builder.end()
        }
        _ => {
            builder.begin_object();
            builder.key(&key_of(step));
            put(builder, None, rest, new, depth + 1)?;
            builder.end()
        }
    }
}

fn out_of_range(depth: usize, index: i64) -> SqlError {
    let message = format!("path element at position {depth} is out of range: {index}");
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn put_element(
    builder: &mut Builder,
    old: JsonbRef<'_>,
    step: &Datum,
    rest: &[Datum],
    new: Option<&Jsonb>,
    depth: usize,
) -> Result<()> {
    let index = match step {
        Datum::Text(key) => key.parse::<i64>().map_err(|_| {
            let message = format!("path element at position {depth} is not an integer: \"{key}\"");
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
        })?,
        other => other.as_i64(),
    };
    let count = old.len() as i64;
    let place = if index < 0 { index + count } else { index };
    if place < 0 {
        return Err(out_of_range(depth, index));
    }
    if place > ELEMENTS_MAX {
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "array is too large"));
    }
    builder.begin_array();
    for at in 0..count.max(place + 1) {
        if at == place {
            put(builder, old.element(at), rest, new, depth + 1)?;
        } else {
            match old.element(at) {
                Some(value) => builder.value(value),
                None => builder.null(),
            }
        }
    }
    builder.end()
}
