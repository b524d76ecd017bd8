//! Fields of one line, end to end in one buffer that is used again for each line, and their way into typed columns.

use crate::batch::{ColumnBuilder, ColumnKind};
use types::{FormatSettings, Result, SqlType, io, oid};

#[derive(Default)]
pub(super) struct Fields {
    pub bytes: Vec<u8>,
    /// Where each field ends, and whether it is NULL.
    pub ends: Vec<(usize, bool)>,
}

impl Fields {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
    pub fn close(&mut self, is_null: bool) {
        self.ends.push((self.bytes.len(), is_null));
    }
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// None: NULL, or no such field.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let (end, is_null) = *self.ends.get(index)?;
        if is_null {
            return None;
        }
        let start = if index == 0 { 0 } else { self.ends.get(index - 1).map_or(0, |e| e.0) };
        self.bytes.get(start..end)
    }
}

/// Appends a field's value to its column. Short plain integers and unlimited text skip the general input functions.
pub(super) fn push_text(builder: &mut ColumnBuilder, ty: SqlType, text: &str, format: &FormatSettings) -> Result<()> {
    match ty.oid {
        oid::TEXT => builder.push_str(text),
        oid::VARCHAR if ty.typmod < 0 => builder.push_str(text),
        oid::INT4 | oid::INT8 | oid::INT2 => match plain_integer(text, ty.oid) {
            Some(value) if builder.push_int(value) => {}
            _ => builder.push_owned(io::input(ty, text, format)?),
        },
        _ => builder.push_owned(io::input(ty, text, format)?),
    }
    Ok(())
}

/// Digits with a sign, few enough to be in range whatever they are; everything else is `io::input`'s.
fn plain_integer(text: &str, ty: u32) -> Option<i64> {
    let digits_max = match ty {
        oid::INT2 => 4,
        oid::INT4 => 9,
        _ => 18,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || digits.len() > digits_max {
        return None;
    }
    let mut value = 0i64;
    for byte in digits.bytes() {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(if negative { -value } else { value })
}

pub(super) fn builders(types: &[SqlType]) -> Vec<ColumnBuilder> {
    types.iter().map(|ty| ColumnBuilder::new(ColumnKind::of(*ty))).collect()
}
