//! The stored form of a row (architecture §6):
//! `[format u8][flags u8][slot u16][schema version u16][null bitmap][fixed-width fields][offsets][variable fields][document tail]`.

use crate::json::Jsonb;
use crate::{Datum, Result, SqlType};

/// Where each stored column of one schema version lies. Made once per schema version; shared.
#[derive(Clone, Debug)]
pub struct RowLayout {
    pub schema_version: u16,
    pub columns: Vec<SqlType>,
}

impl RowLayout {
    pub fn new(schema_version: u16, columns: Vec<SqlType>) -> RowLayout {
        RowLayout { schema_version, columns }
    }
}

/// Appends a row. `values` has one datum per column of the layout.
pub fn encode(layout: &RowLayout, slot: u16, values: &[Datum], tail: Option<&Jsonb>, out: &mut Vec<u8>) {
    let _ = (layout, slot, values, tail, out);
}

/// A stored row, read in place; `new` has checked its bounds, so columns are read without further checks failing.
#[derive(Clone, Copy)]
pub struct RowView<'a> {
    pub layout: &'a RowLayout,
    pub bytes: &'a [u8],
}

impl<'a> RowView<'a> {
    /// XX001 if the bytes are no row of this layout.
    pub fn new(layout: &'a RowLayout, bytes: &'a [u8]) -> Result<RowView<'a>> {
        Ok(RowView { layout, bytes })
    }
    /// The schema version a stored row was written under, to find its layout.
    pub fn schema_version(bytes: &[u8]) -> Result<u16> {
        let _ = bytes;
        Ok(0)
    }
    pub fn slot(&self) -> u16 {
        0
    }
    /// One column, O(1).
    pub fn column(&self, index: usize) -> Result<Datum> {
        let _ = index;
        Ok(Datum::Null)
    }
    pub fn is_null(&self, index: usize) -> bool {
        let _ = index;
        true
    }
    /// Undeclared fields of an open collection's document.
    pub fn tail(&self) -> Option<Jsonb> {
        None
    }
}
