//! Arrays of any element type: dimensions with lower bounds, values in row-major order.

use crate::{Datum, Oid};

pub const DIMENSIONS_MAX: usize = 6;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dimension {
    pub len: i32,
    pub lower: i32,
}

/// An empty array has no dimensions.
#[derive(Clone, Debug)]
pub struct Array {
    pub element: Oid,
    pub dims: Vec<Dimension>,
    pub values: Vec<Datum>,
}

impl Array {
    /// A one-dimensional array from 1, or the empty array.
    pub fn from_values(element: Oid, values: Vec<Datum>) -> Array {
        let dims = if values.is_empty() { vec![] } else { vec![Dimension { len: values.len() as i32, lower: 1 }] };
        Array { element, dims, values }
    }
    pub fn heap_size(&self) -> usize {
        self.values.iter().map(|v| v.heap_size() + size_of::<Datum>()).sum::<usize>() + 64
    }
}
