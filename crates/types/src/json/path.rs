//! Paths of `#>`, `jsonb_set` and their like: text arrays whose steps are keys of objects or indexes of arrays.

use super::text::JsonText;
use super::{JsonbRef, Kind};
use crate::array::Array;
use crate::{Datum, Result, SqlError, SqlState};
use ecow::EcoString;

/// The steps of a path array; None where one is NULL, which makes a read NULL.
pub fn steps(array: &Array) -> Option<Vec<EcoString>> {
    let step = |value: &Datum| match value {
        Datum::Text(text) => Some(text.clone()),
        _ => None,
    };
    array.values.iter().map(step).collect()
}

/// The steps of a path to write at. 22004 where one is NULL, 2202E for more than one dimension.
pub fn steps_to_write(array: &Array) -> Result<Vec<EcoString>> {
    if array.dims.len() > 1 {
        return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts"));
    }
    let step = |(index, value): (usize, &Datum)| match value {
        Datum::Text(text) => Ok(text.clone()),
        _ => Err(SqlError::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            format!("path element at position {} is null", index + 1),
        )),
    };
    array.values.iter().enumerate().map(step).collect()
}

/// What C's `strtol` takes whole and fits an int: blanks in front and a sign are fine, nothing may follow.
pub(super) fn index(step: &str) -> Option<i32> {
    step.trim_start_matches(|c: char| c.is_ascii_whitespace()).parse().ok()
}

/// Follows a path in a jsonb.
pub fn get<'a>(value: JsonbRef<'a>, steps: &[EcoString]) -> Option<JsonbRef<'a>> {
    steps.iter().try_fold(value, |value, step| match value.kind() {
        Kind::Object => value.get(step),
        Kind::Array => value.element(i64::from(index(step)?)),
        _ => None,
    })
}

/// Follows a path in a json text.
pub fn get_text<'a>(value: JsonText<'a>, steps: &[EcoString]) -> Option<JsonText<'a>> {
    steps.iter().try_fold(value, |value, step| match value.kind() {
        Kind::Object => value.get(step),
        Kind::Array => value.element(i64::from(index(step)?)),
        _ => None,
    })
}
