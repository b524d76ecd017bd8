//! Result rows as the client gets them: PostgreSQL's DataRow messages, written straight into the connection's buffer.
//!
//! ```text
//! 'D' | length i32 (itself included, the 'D' not) | columns i16 | per column: size i32 (-1 NULL), bytes
//! ```
//!
//! No allocation per row: lengths are patched in afterwards.

use crate::batch::{Batch, Column, ColumnData};
use crate::context::SessionAccess;
use crate::functions::reg;
use catalog::Snapshot;
use std::sync::Arc;
use types::row::RowView;
use types::{Datum, FormatSettings, Result, SqlError, SqlState, SqlType, io};

/// Largest message that the protocol's length field and the server's own limits allow for a row.
const ROW_BYTES_MAX: usize = 1 << 30;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ValueFormat {
    #[default]
    Text,
    Binary,
}

/// Where the rows of a direct plan go: the wire, or datums.
pub trait RowSink: Send {
    fn begin(&mut self, columns: usize) -> Result<()>;
    /// The next column, from a stored row (`index` in its layout), of static type `ty`.
    fn stored(&mut self, row: &RowView<'_>, index: usize, ty: SqlType) -> Result<()>;
    fn datum(&mut self, value: &Datum, ty: SqlType) -> Result<()>;
    fn end(&mut self) -> Result<()>;
}

/// Writes DataRow messages into `out`. A row that an error stopped in its middle is taken back when this is dropped: half a message
/// would be the end of the connection.
pub struct RowBuffer<'a> {
    out: &'a mut Vec<u8>,
    /// None: all text; one: for all columns; else per column.
    formats: &'a [ValueFormat],
    settings: &'a FormatSettings,
    /// Where the names of `regclass` and its like come from; without them they are numbers.
    names: Option<(&'a Arc<Snapshot>, &'a dyn SessionAccess)>,
    start: usize,
    /// A row has begun and not ended.
    is_open: bool,
    column: usize,
    rows: u64,
}

impl Drop for RowBuffer<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.out.truncate(self.start);
        }
    }
}

impl<'a> RowBuffer<'a> {
    pub fn new(out: &'a mut Vec<u8>, formats: &'a [ValueFormat], settings: &'a FormatSettings) -> RowBuffer<'a> {
        RowBuffer { out, formats, settings, names: None, start: 0, is_open: false, column: 0, rows: 0 }
    }
    /// Writes `regclass`, `regtype`, … by name.
    pub fn with_names(mut self, catalog: &'a Arc<Snapshot>, session: &'a dyn SessionAccess) -> RowBuffer<'a> {
        self.names = Some((catalog, session));
        self
    }
    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }
    pub fn size_bytes(&self) -> usize {
        self.out.len()
    }
    fn format(&self, column: usize) -> ValueFormat {
        match self.formats {
            [] => ValueFormat::Text,
            [one] => *one,
            many => many.get(column).copied().unwrap_or_default(),
        }
    }
    /// Writes one value's size and bytes, by `write`; the size is known afterwards.
    #[inline]
    fn value(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        write(self.out)?;
        io::check_text_form(self.out.len().saturating_sub(at))?;
        patch(self.out, at, at + 4)?;
        self.column += 1;
        Ok(())
    }
    fn null(&mut self) {
        self.out.extend_from_slice(&(-1i32).to_be_bytes());
        self.column += 1;
    }
    fn column_value(&mut self, column: &Column, row: usize, ty: SqlType) -> Result<()> {
        if column.is_null(row) {
            self.null();
            return Ok(());
        }
        if self.format(self.column) == ValueFormat::Text {
            match &column.data {
                ColumnData::Int2(v) => return self.int(v.get(row).map(|x| i64::from(*x)), ty),
                ColumnData::Int4(v) => return self.int(v.get(row).map(|x| i64::from(*x)), ty),
                ColumnData::Int8(v) if ty.oid == types::oid::INT8 => return self.int(v.get(row).copied(), ty),
                ColumnData::Text(t) => {
                    let text = t.get(row);
                    return self.value(|out| {
                        out.extend_from_slice(text.as_bytes());
                        Ok(())
                    });
                }
                _ => {}
            }
        }
        self.datum(&column.datum(row), ty)
    }
    fn int(&mut self, value: Option<i64>, _ty: SqlType) -> Result<()> {
        self.value(|out| {
            types::numeric::io::write_i64(value.unwrap_or(0), out);
            Ok(())
        })
    }
    /// All rows of a batch, with the columns in `output` (positions) and their types.
    pub fn batch(&mut self, batch: &Batch, types: &[SqlType]) -> Result<()> {
        for row in 0..batch.len {
            self.begin(batch.columns.len())?;
            for (column, ty) in batch.columns.iter().zip(types) {
                self.column_value(column, row, *ty)?;
            }
            self.end()?;
        }
        Ok(())
    }
}

fn patch(out: &mut [u8], at: usize, from: usize) -> Result<()> {
    let size = out.len().saturating_sub(from);
    if size > ROW_BYTES_MAX {
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "result row is too large"));
    }
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&(size as i32).to_be_bytes());
    }
    Ok(())
}

impl RowSink for RowBuffer<'_> {
    fn begin(&mut self, columns: usize) -> Result<()> {
        self.start = self.out.len();
        self.is_open = true;
        self.column = 0;
        self.out.extend_from_slice(&[b'D', 0, 0, 0, 0]);
        self.out.extend_from_slice(&(columns as u16).to_be_bytes());
        Ok(())
    }
    fn stored(&mut self, row: &RowView<'_>, index: usize, ty: SqlType) -> Result<()> {
        if row.is_null(index) {
            self.null();
            return Ok(());
        }
        if self.names.is_some() && reg::is_reg(ty) {
            return self.datum(&row.column(index)?, ty);
        }
        let (format, settings) = (self.format(self.column), self.settings);
        self.value(|out| match format {
            ValueFormat::Text => row.write_text(index, ty, settings, out),
            ValueFormat::Binary => row.write_binary(index, ty, settings, out),
        })
    }
    fn datum(&mut self, value: &Datum, ty: SqlType) -> Result<()> {
        if value.is_null() {
            self.null();
            return Ok(());
        }
        let (format, settings, names) = (self.format(self.column), self.settings, self.names);
        self.value(|out| match format {
            ValueFormat::Text => {
                if let (Some((catalog, session)), true) = (names, reg::is_reg(ty)) {
                    reg::output(catalog, session, ty, value, out);
                    return Ok(());
                }
                io::output(ty, value, settings, out);
                Ok(())
            }
            ValueFormat::Binary => io::send(ty, value, settings, out),
        })
    }
    fn end(&mut self) -> Result<()> {
        self.rows += 1;
        let start = self.start;
        // The length counts itself but not the tag.
        patch(self.out, start + 1, start + 1)?;
        self.is_open = false;
        Ok(())
    }
}

/// Collects rows as datums: cursors, the HTTP API, tests.
#[derive(Default)]
pub struct RowCollector {
    pub rows: Vec<Vec<Datum>>,
    row: Vec<Datum>,
}

impl RowSink for RowCollector {
    fn begin(&mut self, columns: usize) -> Result<()> {
        self.row = Vec::with_capacity(columns);
        Ok(())
    }
    fn stored(&mut self, row: &RowView<'_>, index: usize, _ty: SqlType) -> Result<()> {
        self.row.push(row.column(index)?);
        Ok(())
    }
    fn datum(&mut self, value: &Datum, _ty: SqlType) -> Result<()> {
        self.row.push(value.clone());
        Ok(())
    }
    fn end(&mut self) -> Result<()> {
        self.rows.push(std::mem::take(&mut self.row));
        Ok(())
    }
}
