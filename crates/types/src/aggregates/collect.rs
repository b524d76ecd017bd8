//! `array_agg` and `string_agg`: everything that came, in the order in which it came.

use super::Accumulator;
use crate::array::{Array, DIMENSIONS_MAX, Dimension};
use crate::{CallContext, Datum, Oid, Result, SqlError, SqlState};
use std::sync::Arc;

/// `array_agg(element)`: NULLs included; NULL without rows.
pub struct ArrayOfValues {
    element: Oid,
    values: Vec<Datum>,
    heap_size: usize,
}

impl ArrayOfValues {
    pub fn new(element: Oid) -> ArrayOfValues {
        ArrayOfValues { element, values: Vec::new(), heap_size: 0 }
    }
}

impl Accumulator for ArrayOfValues {
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        self.heap_size += args[0].heap_size();
        self.values.push(args[0].clone());
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        if self.values.is_empty() {
            return Ok(Datum::Null);
        }
        Ok(Datum::Array(Arc::new(Array::from_values(self.element, self.values.clone()))))
    }
    fn size_bytes(&self) -> usize {
        64 + self.values.capacity() * size_of::<Datum>() + self.heap_size
    }
}

/// `array_agg(array)`: an array of one dimension more; all must have the same shape, from subscript 1 or not.
#[derive(Default)]
pub struct ArrayOfArrays {
    element: Oid,
    count: i32,
    inner: Vec<Dimension>,
    values: Vec<Datum>,
    heap_size: usize,
}

impl Accumulator for ArrayOfArrays {
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        let Datum::Array(array) = &args[0] else {
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "cannot accumulate null arrays"));
        };
        let refused = |message: &str| Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
        if array.dims.is_empty() {
            return refused("cannot accumulate empty arrays");
        }
        if self.count == 0 {
            if array.dims.len() >= DIMENSIONS_MAX {
                return Err(SqlError::new(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    format!(
                        "number of array dimensions ({}) exceeds the maximum allowed ({DIMENSIONS_MAX})",
                        array.dims.len() + 1
                    ),
                ));
            }
            (self.element, self.inner) = (array.element, array.dims.clone());
        } else if self.inner != array.dims {
            return refused("cannot accumulate arrays of different dimensionality");
        }
        self.count += 1;
        self.heap_size += array.heap_size();
        self.values.extend_from_slice(&array.values);
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        let mut dims = vec![Dimension { len: self.count, lower: 1 }];
        dims.extend_from_slice(&self.inner);
        Ok(Datum::Array(Arc::new(Array { element: self.element, dims, values: self.values.clone() })))
    }
    fn size_bytes(&self) -> usize {
        64 + self.heap_size
    }
}

/// `string_agg` of text or bytea: NULL values are passed over, a NULL delimiter is none; NULL without values.
#[derive(Default)]
pub struct Joined {
    bytes: Option<Vec<u8>>,
    is_text: bool,
}

impl Joined {
    pub fn new(is_text: bool) -> Joined {
        Joined { bytes: None, is_text }
    }
}

fn bytes_of(value: &Datum) -> Option<&[u8]> {
    match value {
        Datum::Text(text) => Some(text.as_bytes()),
        Datum::Bytea(bytes) => Some(bytes),
        _ => None,
    }
}

impl Accumulator for Joined {
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        let Some(value) = bytes_of(&args[0]) else { return Ok(()) };
        match &mut self.bytes {
            // The delimiter of the first value is not used.
            None => self.bytes = Some(value.to_vec()),
            Some(bytes) => {
                bytes.extend_from_slice(args.get(1).and_then(bytes_of).unwrap_or_default());
                bytes.extend_from_slice(value);
            }
        }
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        match &self.bytes {
            None => Ok(Datum::Null),
            Some(bytes) if self.is_text => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Datum::text(text)),
                Err(_) => Err(SqlError::internal("string_agg joined something that is no text")),
            },
            Some(bytes) => Ok(Datum::bytea(bytes.as_slice())),
        }
    }
    fn size_bytes(&self) -> usize {
        64 + self.bytes.as_ref().map_or(0, Vec::capacity)
    }
}
