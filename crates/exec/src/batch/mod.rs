//! Rows between operators: up to `BATCH_ROWS` of them, column by column. Columns are shared (`Arc`), so projecting and
//! joining with one row's side copies nothing. Batches are dense; selections live inside operators.

mod builder;
mod column;

pub use builder::ColumnBuilder;
pub use column::{Column, ColumnData, ColumnKind, TextData};

use std::sync::Arc;
use types::Datum;

/// Most rows in a batch.
pub const BATCH_ROWS: usize = 1024;

#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub columns: Vec<Arc<Column>>,
    /// Number of rows (columns may be none).
    pub len: usize,
}

impl Batch {
    pub fn new(columns: Vec<Arc<Column>>, len: usize) -> Batch {
        // An empty column stands for one that nobody reads.
        debug_assert!(columns.iter().all(|c| c.len() == len || c.is_empty()));
        Batch { columns, len }
    }
    /// A batch of datums, given by rows.
    pub fn from_rows(types: &[types::SqlType], rows: &[Vec<Datum>]) -> Batch {
        let columns = types
            .iter()
            .enumerate()
            .map(|(i, ty)| {
                let mut builder = ColumnBuilder::new(ColumnKind::of(*ty));
                for row in rows {
                    builder.push(row.get(i).unwrap_or(&Datum::Null));
                }
                Arc::new(builder.finish())
            })
            .collect();
        Batch { columns, len: rows.len() }
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    pub fn width(&self) -> usize {
        self.columns.len()
    }
    pub fn datum(&self, column: usize, row: usize) -> Datum {
        self.columns.get(column).map_or(Datum::Null, |c| c.datum(row))
    }
    pub fn row(&self, row: usize) -> Vec<Datum> {
        self.columns.iter().map(|c| c.datum(row)).collect()
    }
    pub fn row_into(&self, row: usize, out: &mut Vec<Datum>) {
        out.clear();
        out.extend(self.columns.iter().map(|c| c.datum(row)));
    }
    /// The rows named by `rows`, in that order.
    pub fn gather(&self, rows: &[u32]) -> Batch {
        if rows.len() == self.len && rows.iter().enumerate().all(|(i, r)| i == *r as usize) {
            return self.clone();
        }
        Batch { columns: self.columns.iter().map(|c| Arc::new(c.gather(rows))).collect(), len: rows.len() }
    }
    /// These columns, in that order.
    pub fn select(&self, columns: &[u32]) -> Batch {
        Batch {
            columns: columns.iter().filter_map(|c| self.columns.get(*c as usize).cloned()).collect(),
            len: self.len,
        }
    }
    pub fn slice(&self, start: usize, end: usize) -> Batch {
        let (start, end) = (start.min(self.len), end.min(self.len));
        if start == 0 && end == self.len {
            return self.clone();
        }
        let rows: Vec<u32> = (start as u32..end as u32).collect();
        self.gather(&rows)
    }
    /// Bytes held, roughly, for memory budgets.
    pub fn size_bytes(&self) -> usize {
        self.columns.iter().map(|c| c.size_bytes()).sum::<usize>() + 64
    }
}
