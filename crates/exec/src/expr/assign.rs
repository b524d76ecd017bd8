//! `SET a[1] = …`: an array with an element or a slice replaced.

use std::sync::Arc;
use types::array::{Array, Dimension};
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
