//! Rows as order-preserving bytes (`types::key`): sorting, grouping and hashing compare bytes, whatever the types.

use crate::batch::{Batch, Column, ColumnData};
use crate::expr::Program;
use crate::run::Run;
use sql::physical::PlanSortKey;
use std::sync::Arc;
use types::key::{self, KeyOrder};
use types::{Datum, Result, SqlType, oid};

/// Appends one value's key; common types without building a datum.
#[inline]
fn encode_value(column: &Column, row: usize, ty: SqlType, order: KeyOrder, out: &mut Vec<u8>) {
    if column.is_null(row) {
        return key::encode(ty, &Datum::Null, order, out);
    }
    let start = out.len();
    match &column.data {
        ColumnData::Int4(v) | ColumnData::Date(v) => {
            out.push(0x80);
            out.extend_from_slice(&(v.get(row).copied().unwrap_or(0) as u32 ^ 1 << 31).to_be_bytes());
        }
        ColumnData::Int8(v) | ColumnData::Timestamp(v) | ColumnData::TimestampTz(v)
            if !matches!(ty.oid, oid::XID8 | oid::PG_LSN) =>
        {
            out.push(0x80);
            out.extend_from_slice(&(v.get(row).copied().unwrap_or(0) as u64 ^ 1 << 63).to_be_bytes());
        }
        ColumnData::Text(t) if ty.oid != oid::BPCHAR => {
            out.push(0x80);
            key::encode_bytes(t.get(row).as_bytes(), out);
        }
        _ => return key::encode(ty, &column.datum(row), order, out),
    }
    if order.descending {
        out.iter_mut().skip(start + 1).for_each(|byte| *byte = !*byte);
    }
}

/// Keys of a batch's rows, end to end.
#[derive(Default, Debug)]
pub(crate) struct KeyRows {
    pub bytes: Vec<u8>,
    pub ends: Vec<usize>,
    /// Rows of which some key is NULL.
    pub nulls: Vec<bool>,
}

impl KeyRows {
    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends.get(row - 1).copied().unwrap_or(0) };
        self.bytes.get(start..self.ends.get(row).copied().unwrap_or(start)).unwrap_or_default()
    }
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// Behind the rows from this one on that have its key.
    pub fn end_of_run(&self, row: usize) -> usize {
        let key = self.get(row);
        (row + 1..self.len()).find(|next| self.get(*next) != key).unwrap_or(self.len())
    }
}

pub(crate) fn encode_columns(columns: &[Arc<Column>], types: &[SqlType], orders: &[KeyOrder], len: usize) -> KeyRows {
    let mut keys = KeyRows {
        bytes: Vec::with_capacity(len * columns.len() * 12),
        ends: Vec::with_capacity(len),
        nulls: vec![false; len],
    };
    for row in 0..len {
        for (i, column) in columns.iter().enumerate() {
            let ty = types.get(i).copied().unwrap_or(SqlType::UNKNOWN);
            let order = orders.get(i).copied().unwrap_or(KeyOrder::ASC);
            encode_value(column, row, ty, order, &mut keys.bytes);
            if column.is_null(row)
                && let Some(null) = keys.nulls.get_mut(row)
            {
                *null = true;
            }
        }
        keys.ends.push(keys.bytes.len());
    }
    keys
}

/// Evaluates key expressions over a batch and encodes them, ascending.
pub(crate) async fn encode_keys(
    run: &mut Run,
    programs: &[Program],
    types: &[SqlType],
    batch: &Batch,
) -> Result<KeyRows> {
    let mut columns = Vec::with_capacity(programs.len());
    for program in programs {
        columns.push(program.eval(run, batch).await?);
    }
    Ok(encode_columns(&columns, types, &[], batch.len))
}

/// ORDER BY keys.
#[derive(Debug, Clone)]
pub(crate) struct SortKeys {
    pub programs: Vec<Program>,
    pub types: Vec<SqlType>,
    pub orders: Vec<KeyOrder>,
}

impl SortKeys {
    pub fn new(keys: &[PlanSortKey]) -> Result<SortKeys> {
        Ok(SortKeys {
            programs: Program::compile_all(keys.iter().map(|k| &k.expr))?,
            types: keys.iter().map(|k| k.expr.ty).collect(),
            orders: keys.iter().map(|k| KeyOrder { descending: k.descending, nulls_first: k.nulls_first }).collect(),
        })
    }
    /// The keys' values.
    pub async fn columns(&self, run: &mut Run, batch: &Batch) -> Result<Vec<Arc<Column>>> {
        let mut columns = Vec::with_capacity(self.programs.len());
        for program in &self.programs {
            columns.push(program.eval(run, batch).await?);
        }
        Ok(columns)
    }
    pub async fn encode(&self, run: &mut Run, batch: &Batch) -> Result<KeyRows> {
        let columns = self.columns(run, batch).await?;
        Ok(encode_columns(&columns, &self.types, &self.orders, batch.len))
    }
}

pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = types::hash::Hasher64::new(0);
    hasher.write_bytes(bytes);
    hasher.finish()
}
