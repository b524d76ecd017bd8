//! The first rows of an order: a heap whose last row falls out.
//!
//! Once the heap is full nearly every row comes behind its last one, and mostly the first key alone tells. So that column is
//! compared with the last row's value, as it is, and only of the rows that this leaves keys are made.

use super::SortKeys;
use super::keys::encode_columns;
use crate::batch::{Batch, Column, ColumnData};
use crate::budget::Reservation;
use crate::run::Run;
use std::collections::BinaryHeap;
use std::sync::Arc;
use types::key::KeyOrder;
use types::{Datum, Result, SqlType, oid};

pub(super) struct Top {
    most: usize,
    /// (key, number of the row, place).
    heap: BinaryHeap<(Vec<u8>, u64, usize)>,
    rows: Vec<Vec<Datum>>,
    /// The first key's value of each row.
    firsts: Vec<Datum>,
    number: u64,
    memory: Reservation,
}

impl Top {
    pub fn new(run: &Run, most: usize) -> Top {
        Top {
            most,
            heap: BinaryHeap::with_capacity(most + 1),
            rows: Vec::with_capacity(most),
            firsts: Vec::with_capacity(most),
            number: 0,
            memory: Reservation::new(&run.context.memory),
        }
    }

    pub async fn push(&mut self, run: &mut Run, keys: &SortKeys, batch: &Batch) -> Result<()> {
        let columns = keys.columns(run, batch).await?;
        match self.candidates(keys, &columns) {
            None => self.take(keys, &columns, batch, None),
            Some(rows) if rows.is_empty() => Ok(()),
            Some(rows) => {
                let columns: Vec<Arc<Column>> = columns.iter().map(|c| Arc::new(c.gather(&rows))).collect();
                self.take(keys, &columns, batch, Some(&rows))
            }
        }
    }

    /// Rows that do not come behind the last one for sure; None: all.
    fn candidates(&self, keys: &SortKeys, columns: &[Arc<Column>]) -> Option<Vec<u32>> {
        let (_, _, place) = self.heap.peek().filter(|_| self.rows.len() >= self.most)?;
        let last = self.firsts.get(*place)?;
        not_behind(columns.first()?, *keys.types.first()?, *keys.orders.first()?, last)
    }

    /// Takes rows of the batch (those named), of which these are the keys' columns.
    fn take(&mut self, keys: &SortKeys, columns: &[Arc<Column>], batch: &Batch, rows: Option<&[u32]>) -> Result<()> {
        let len = rows.map_or(batch.len, <[u32]>::len);
        let encoded = encode_columns(columns, &keys.types, &keys.orders, len);
        let first = |row: usize| columns.first().map_or(Datum::Null, |c| c.datum(row));
        for row in 0..len {
            let key = encoded.get(row);
            let in_batch = rows.map_or(row, |rows| rows.get(row).map_or(row, |row| *row as usize));
            self.number += 1;
            if self.rows.len() < self.most {
                let values = batch.row(in_batch);
                self.memory.grow(key.len() + values.iter().map(|v| v.heap_size() + 24).sum::<usize>() + 96)?;
                self.heap.push((key.to_vec(), self.number, self.rows.len()));
                self.rows.push(values);
                self.firsts.push(first(row));
            } else if self.heap.peek().is_some_and(|greatest| key < &greatest.0[..])
                && let Some((mut old, _, place)) = self.heap.pop()
            {
                if let (Some(values), Some(place)) = (self.rows.get_mut(place), self.firsts.get_mut(place)) {
                    batch.row_into(in_batch, values);
                    *place = first(row);
                }
                old.clear();
                old.extend_from_slice(key);
                self.heap.push((old, self.number, place));
            }
        }
        Ok(())
    }

    /// The rows, their order, and the memory that they take.
    pub fn finish(self, types: &[SqlType]) -> (Batch, Vec<u32>, Reservation) {
        let order = self.heap.into_sorted_vec().into_iter().map(|(_, _, place)| place as u32).collect();
        (Batch::from_rows(types, &self.rows), order, self.memory)
    }
}

/// Rows whose value does not come behind `last` in the order; None where the values are not of one simple kind.
fn not_behind(column: &Column, ty: SqlType, order: KeyOrder, last: &Datum) -> Option<Vec<u32>> {
    match (&column.data, last) {
        (ColumnData::Int2(v), Datum::Int2(last)) => Some(kept(column, order, v, |v| v.cmp(last))),
        (ColumnData::Int4(v), Datum::Int4(last)) | (ColumnData::Date(v), Datum::Date(last)) => {
            Some(kept(column, order, v, |v| v.cmp(last)))
        }
        // The types that are told apart by more than the number have keys of their own.
        (ColumnData::Int8(v), Datum::Int8(last)) if !matches!(ty.oid, oid::XID8 | oid::PG_LSN) => {
            Some(kept(column, order, v, |v| v.cmp(last)))
        }
        (ColumnData::Timestamp(v), Datum::Timestamp(last)) | (ColumnData::TimestampTz(v), Datum::TimestampTz(last)) => {
            Some(kept(column, order, v, |v| v.cmp(last)))
        }
        (ColumnData::Text(t), Datum::Text(last)) if ty.oid != oid::BPCHAR => {
            let rows: Vec<u32> = (0..column.len() as u32).collect();
            Some(kept(column, order, &rows, |row| t.get(*row as usize).cmp(last.as_str())))
        }
        (ColumnData::Datums(v), Datum::Numeric(last)) => Some(kept(column, order, v, |v| match v {
            Datum::Numeric(v) => v.cmp(last),
            _ => std::cmp::Ordering::Equal,
        })),
        _ => None,
    }
}

#[inline]
fn kept<T>(column: &Column, order: KeyOrder, values: &[T], compare: impl Fn(&T) -> std::cmp::Ordering) -> Vec<u32> {
    let mut rows = vec![];
    for (row, value) in values.iter().enumerate() {
        let is_kept = match column.is_null(row) {
            true => order.nulls_first,
            false if order.descending => compare(value).is_ge(),
            false => compare(value).is_le(),
        };
        if is_kept {
            rows.push(row as u32);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{ColumnBuilder, ColumnKind};

    /// What the first key's value alone rules out, its key rules out, too.
    #[test]
    fn a_row_that_is_left_out_has_a_greater_key() {
        let numbers = ["-1.5", "0", "1.50", "1.5", "2", "NaN", "100000000000000000000"];
        let numeric = |text: &&str| types::io::input(SqlType::NUMERIC, text, &types::FormatSettings::default());
        let numbers: Vec<Datum> = numbers.iter().map(|n| numeric(n).expect("a number")).collect();
        let ints = [i32::MIN, -1, 0, 7, i32::MAX].map(Datum::Int4).to_vec();
        let texts = ["", "a", "a ", "ab", "b\u{e9}"].map(Datum::text).to_vec();
        let times = [-5, 0, 1 << 50].map(Datum::TimestampTz).to_vec();
        let cases =
            [(SqlType::NUMERIC, numbers), (SqlType::INT4, ints), (SqlType::TEXT, texts), (SqlType::TIMESTAMPTZ, times)];
        let orders = [(false, false), (false, true), (true, false), (true, true)];
        for (ty, mut values) in cases {
            values.push(Datum::Null);
            let mut builder = ColumnBuilder::new(ColumnKind::of(ty));
            values.iter().for_each(|v| builder.push(v));
            let column = builder.finish();
            for (descending, nulls_first) in orders {
                let order = KeyOrder { descending, nulls_first };
                let key = |value: &Datum| {
                    let mut key = vec![];
                    types::key::encode(ty, value, order, &mut key);
                    key
                };
                for last in values.iter().filter(|v| !v.is_null()) {
                    let kept = not_behind(&column, ty, order, last).expect("a simple kind");
                    for (row, value) in values.iter().enumerate() {
                        assert_eq!(
                            kept.contains(&(row as u32)),
                            key(value) <= key(last),
                            "{value:?} {last:?} {order:?}"
                        );
                    }
                }
            }
        }
    }
}
