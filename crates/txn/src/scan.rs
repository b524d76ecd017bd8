//! Range reads: a position in a range, so that a portal can sleep without holding a reader.

use crate::transaction::Transaction;
use crate::{Direction, KeyRange, RelationRef, Result, Timestamp, TxnError};
use std::ops::ControlFlow;

/// A range read at one snapshot and one command. Holds the transaction, the range and the position; no LMDB reader, so it
/// may sleep as a portal.
pub struct Scan {
    #[allow(dead_code)]
    txn: Transaction,
    #[allow(dead_code)]
    relation: RelationRef,
}

impl Scan {
    pub(crate) fn new(
        txn: Transaction,
        relation: RelationRef,
        slot: Option<u16>,
        range: KeyRange,
        direction: Direction,
    ) -> Scan {
        let _ = (slot, range, direction);
        Scan { txn, relation }
    }

    /// Visits up to `max` visible rows in key order (own writes of earlier commands included); stops early, after that
    /// row, when `row` breaks. Returns how many were visited; 0 at the end. No allocation per row.
    pub async fn next(
        &mut self,
        max: usize,
        row: impl FnMut(&[u8], &[u8], Timestamp) -> ControlFlow<()>,
    ) -> Result<usize> {
        let _ = (max, row);
        Err(TxnError::NotServing)
    }

    /// Goes on at `key`: forward, with the first row at or above it; backward, with the last one below it.
    pub fn seek(&mut self, key: &[u8]) {
        let _ = key;
    }
}
