//! Versions of rows over a span of time: what `FOR SYSTEM_TIME BETWEEN` reads.
//!
//! Committed versions up to the transaction's snapshot; own writes are not history yet. Like a scan it holds no reader between
//! two calls. At SERIALIZABLE the whole relation is a span.

use crate::transaction::Transaction;
use crate::{RelationRef, Result, Timestamp, TxnError};
use bytes::Bytes;
use shard::reads::{RangeEnd, ReadRange};
use shard::recent::Key;
use storage::KeyRange;

/// Entries of each source in a chunk.
const CHUNK: usize = 1_024;

/// One version: from `start` until `end` (None: it is the newest) the row was `value`.
pub struct VersionOf<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub start: Timestamp,
    pub end: Option<Timestamp>,
}

/// A walk over all rows.
pub struct VersionScan {
    txn: Transaction,
    relation: RelationRef,
    /// The beginning of what is asked for: it must still be kept.
    since: Timestamp,
    after: Option<Vec<u8>>,
    is_done: bool,
    has_waited: bool,
}

impl Transaction {
    /// Versions that were there at `since` or came later. TEMP relations have none.
    pub fn versions(&self, relation: &RelationRef, since: Timestamp) -> VersionScan {
        let (txn, relation) = (self.clone(), *relation);
        VersionScan { txn, relation, since, after: None, is_done: false, has_waited: false }
    }
}

impl VersionScan {
    /// Versions of the next rows, the oldest of each row first. False at the end.
    pub async fn next(&mut self, mut visit: impl FnMut(VersionOf<'_>)) -> Result<bool> {
        if self.is_done {
            return Ok(false);
        }
        let at = self.txn.snapshot();
        let gateway = self.txn.gateway();
        let shard = gateway.shard(self.relation.home).ok_or(TxnError::NotServing)?;
        if !self.has_waited {
            self.leave_span();
            let everything = KeyRange::all();
            let wait = shard.wait_for_range(self.relation.storage, &everything, at);
            self.txn.limits().wait(wait).await??;
            self.has_waited = true;
        }
        let term = shard.term()?;
        let chunk = shard.segment().view()?.versions(self.relation.storage, self.after.as_deref(), CHUNK)?;
        shard.confirm(term)?;
        // After the look: it may have become too old meanwhile.
        gateway.check_readable(&self.relation, self.since, true)?;
        for (key, versions) in &chunk.rows {
            let mut versions = versions.range(..=at).peekable();
            while let Some((start, value)) = versions.next() {
                let end = versions.peek().map(|(end, _)| **end);
                if let Some(value) = value
                    && end.is_none_or(|end| end > self.since)
                {
                    visit(VersionOf { key, value, start: *start, end });
                }
            }
        }
        self.is_done = chunk.after.is_none();
        self.after = chunk.after;
        Ok(true)
    }

    fn leave_span(&self) {
        if self.txn.leaves_spans() {
            let span = ReadRange { start: Key::from_slice(&Bytes::new()), end: RangeEnd::Unbounded };
            let max = self.txn.gateway().limits().spans;
            self.txn.state().part(self.relation.home).reads.add(self.relation.storage, span, None, max);
        }
    }
}
