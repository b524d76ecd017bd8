//! Range reads: a position in a range, so that a portal can sleep without holding a reader.
//!
//! Each `next` pins the segment, merges what was committed at the snapshot with the own writes of earlier commands, and
//! remembers the key it ended at. At SERIALIZABLE the part of the range that was visited becomes a span, the gap to the
//! end included when the range is exhausted: what was *looked for*, not what was found (`serializable_missed_update`).

use crate::buffer::OwnRows;
use crate::transaction::Transaction;
use crate::{Direction, Facet, Home, KeyRange, RelationRef, Result, Timestamp, TxnError};
use bytes::Bytes;
use host::bugs::{self, Bug};
use shard::reads::{LOOKUP, RangeEnd, ReadRange, Reader};
use shard::recent::Key;
use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;
use storage::segment::{Block, Cursor, Entry, View};

/// Own rows copied out at a time.
const OWN_ROWS_MAX: usize = 4096;

/// A range read at one snapshot and one command. Holds the transaction, the range and the position; no LMDB reader, so it
/// may sleep as a portal.
pub struct Scan {
    txn: Transaction,
    relation: RelationRef,
    /// Where `is_fixed`: at READ COMMITTED, and where what is newest is read. Else the transaction's, which a refresh may move.
    snapshot: Timestamp,
    is_fixed: bool,
    command: u32,
    /// What is left of the range.
    range: KeyRange,
    direction: Direction,
    is_done: bool,
    /// The snapshot for which this range was waited for.
    waited: Option<Timestamp>,
    /// `snapshot` is registered for this scan.
    holds: bool,
    /// Rows of the block before: room for the next one.
    block_rows: usize,
    /// What of the rows is read; None: all.
    facet: Option<Arc<dyn Facet>>,
    /// Tells its spans from those of other reads.
    reader: Reader,
}

/// Room for the first block of a scan, which may be a look-up.
const BLOCK_ROWS_FIRST: usize = 8;

impl Drop for Scan {
    fn drop(&mut self) {
        if self.holds {
            self.txn.gateway().snapshots().release(self.txn.id(), self.snapshot);
        }
    }
}

/// How far one pass over the segment came.
struct Pass {
    visited: usize,
    /// The last key looked at; None: the range is exhausted.
    ended_at: Option<Vec<u8>>,
    has_broken: bool,
}

impl Scan {
    pub(crate) fn new(
        txn: Transaction,
        relation: RelationRef,
        snapshot: Timestamp,
        is_fixed: bool,
        command: u32,
        range: KeyRange,
        direction: Direction,
    ) -> Scan {
        let holds = is_fixed && relation.home != Home::Temporary;
        if holds {
            // The next statement takes another snapshot; what this one sees must be kept for as long as it may be asked.
            txn.gateway().snapshots().hold(txn.id(), snapshot);
        }
        Scan {
            txn,
            relation,
            snapshot,
            is_fixed,
            command,
            range,
            direction,
            is_done: false,
            waited: None,
            holds,
            block_rows: BLOCK_ROWS_FIRST,
            facet: None,
            reader: LOOKUP,
        }
    }

    pub(crate) fn numbered(mut self, reader: Reader) -> Scan {
        self.reader = reader;
        self
    }

    /// Whoever calls `next` looks at no more of the rows than the facet does.
    pub fn reading(mut self, facet: Option<Arc<dyn Facet>>) -> Scan {
        self.facet = facet;
        self
    }

    /// A scan of a part of the range, at the same snapshot and command. Parts may be read side by side; each leaves the span of
    /// what it has visited.
    pub fn part(&self, range: KeyRange, direction: Direction) -> Scan {
        let (txn, facet) = (self.txn.clone(), self.facet.clone());
        let part = Scan::new(txn, self.relation, self.snapshot, self.is_fixed, self.command, range, direction);
        part.reading(facet).numbered(self.reader)
    }

    /// Visits up to `max` visible rows in key order (own writes of earlier commands included); stops early, after that
    /// row, when `row` breaks. Returns how many were visited; 0 at the end. No allocation per row.
    pub async fn next(
        &mut self,
        max: usize,
        mut row: impl FnMut(&[u8], &[u8], Timestamp) -> ControlFlow<()>,
    ) -> Result<usize> {
        let mut visited = 0;
        while !self.is_done && visited < max {
            let at = self.at()?;
            self.wait(at).await?;
            let own = self.own_rows(max - visited)?;
            let read = |view: &View, at| self.pass(view, at, &own, max - visited, &mut row).map(Some);
            let Some(pass) = self.on_view(at, read)? else { break };
            visited += pass.visited;
            self.advance(pass.ended_at);
            if pass.has_broken {
                break;
            }
        }
        Ok(visited)
    }

    /// The next visible rows together, at most `rows_max` of them or so many bytes of values, as `take` sees them; None at
    /// the end. `take` is not called with an empty block.
    pub async fn next_block<R>(
        &mut self,
        rows_max: usize,
        bytes_max: usize,
        take: impl FnOnce(&Block<'_>) -> R,
    ) -> Result<Option<R>> {
        let mut take = Some(take);
        while !self.is_done {
            let at = self.at()?;
            self.wait(at).await?;
            let own = self.own_rows(rows_max)?;
            let mut taken = None;
            let pass = self.on_view(at, |view, at| {
                let mut block = Block::with_capacity(self.block_rows.min(rows_max));
                let pass = self.fill(view, at, &own, (rows_max, bytes_max), &mut block)?;
                if !block.is_empty() {
                    taken = take.take().map(|take| take(&block));
                }
                Ok(Some(pass))
            })?;
            let Some(pass) = pass else { break };
            self.block_rows = pass.visited.max(BLOCK_ROWS_FIRST);
            self.advance(pass.ended_at);
            if taken.is_some() {
                return Ok(taken);
            }
        }
        Ok(None)
    }

    /// How many rows there are, and the end of the scan; None, and nothing has happened, where they must be visited to be
    /// counted.
    pub async fn count(&mut self) -> Result<Option<u64>> {
        if self.is_done || self.range != KeyRange::all() {
            return Ok(None);
        }
        let at = self.at()?;
        self.wait(at).await?;
        if !self.own_rows(1)?.is_nothing() {
            return Ok(None);
        }
        let mut count = None;
        let pass = self.on_view(at, |view, at| {
            count = view.count(self.relation.storage, at)?;
            Ok(count.map(|_| Pass { visited: 0, ended_at: None, has_broken: false }))
        })?;
        if let Some(pass) = pass {
            self.advance(pass.ended_at);
        }
        Ok(count)
    }

    /// Reads at a view of the segment, and leaves the span of what was visited.
    fn on_view(
        &self,
        at: Timestamp,
        read: impl FnOnce(&View, Timestamp) -> Result<Option<Pass>>,
    ) -> Result<Option<Pass>> {
        let gateway = self.txn.gateway();
        let Some(shard) = gateway.shard(self.relation.home) else {
            let temporary = gateway.temporary(self.txn.session())?;
            let view = temporary.view()?;
            return read(&view, Timestamp::MAX);
        };
        let term = shard.term()?;
        let pass = {
            let view = shard.segment().view()?;
            read(&view, at)?
        };
        if let Some(pass) = &pass {
            self.leave_span(pass);
        }
        shard.confirm(term)?;
        // Again: the horizon may have passed the snapshot before the view was taken.
        gateway.check_readable(&self.relation, at, self.txn.inner.options.as_of.is_some())?;
        Ok(pass)
    }

    /// Goes on at `key`: forward, with the first row at or above it; backward, with the last one below it.
    pub fn seek(&mut self, key: &[u8]) {
        match self.direction {
            Direction::Forward if key > &self.range.start[..] => self.range.start = Bytes::copy_from_slice(key),
            Direction::Backward if self.range.end.as_ref().is_none_or(|end| key < &end[..]) => {
                self.range.end = Some(Bytes::copy_from_slice(key));
            }
            _ => {}
        }
        self.is_done |= self.range.end.as_ref().is_some_and(|end| *end <= self.range.start);
    }

    fn at(&self) -> Result<Timestamp> {
        let state = self.txn.state();
        if state.is_over {
            return Err(TxnError::Over);
        }
        if self.is_fixed { Ok(self.snapshot) } else { state.snapshot.ok_or(TxnError::Over) }
    }

    /// Once per snapshot: what comes later is stamped above it.
    async fn wait(&mut self, at: Timestamp) -> Result<()> {
        if self.relation.home == Home::Temporary {
            return Ok(());
        }
        let gateway = self.txn.gateway();
        // Each time: it may have slept for an hour.
        gateway.check_readable(&self.relation, at, self.txn.inner.options.as_of.is_some())?;
        if self.waited == Some(at) {
            return Ok(());
        }
        if let Some(shard) = gateway.shard(self.relation.home) {
            let wait = shard.wait_for_range(self.relation.storage, &self.range, at);
            self.txn.limits().wait(wait).await??;
        }
        self.waited = Some(at);
        Ok(())
    }

    fn own_rows(&self, max: usize) -> Result<OwnRows> {
        let mut state = self.txn.state();
        if state.is_over {
            return Err(TxnError::Over);
        }
        let buffer = &mut state.part(self.relation.home).buffer;
        if !buffer.has_relation(self.relation.storage) {
            return Ok(OwnRows::default());
        }
        let backward = self.direction == Direction::Backward;
        Ok(buffer.rows(self.relation.storage, &self.range, self.command, max.min(OWN_ROWS_MAX), backward))
    }

    /// Merges the segment's rows with own ones, which hide those of the same key.
    fn pass(
        &self,
        view: &View,
        at: Timestamp,
        own: &OwnRows,
        max: usize,
        row: &mut impl FnMut(&[u8], &[u8], Timestamp) -> ControlFlow<()>,
    ) -> Result<Pass> {
        let mut cursor = view.cursor(self.relation.storage, &self.range, at, self.direction)?;
        if own.is_nothing() {
            return self.pass_shared(&mut cursor, max, row);
        }
        let (mut next_own, mut visited) = (0, 0);
        let ended = |key: &[u8], visited, has_broken| Ok(Pass { visited, ended_at: Some(key.to_vec()), has_broken });
        let mut emit = |key: &[u8], value: &[u8], ts: Timestamp| -> bool { row(key, value, ts).is_break() };
        while let Some(entry) = cursor.next()? {
            // Own rows that come before this one.
            while let Some(key) = own.key(next_own) {
                let order = match self.direction {
                    Direction::Forward => key.cmp(entry.key),
                    Direction::Backward => entry.key.cmp(key),
                };
                if order == Ordering::Greater {
                    break;
                }
                if order == Ordering::Equal {
                    break;
                }
                next_own += 1;
                if let Some(value) = own.value(next_own - 1) {
                    visited += 1;
                    let has_broken = emit(key, value, Timestamp::ZERO);
                    if has_broken || visited == max {
                        return ended(key, visited, has_broken);
                    }
                }
            }
            let is_own = own.key(next_own) == Some(entry.key);
            if !is_own && own.key(next_own).is_none() && own.has_more {
                // More own rows may come before this one: they are fetched from the last one on.
                return ended(own.key(next_own.saturating_sub(1)).unwrap_or(entry.key), visited, false);
            }
            let (value, ts) = match is_own {
                true => {
                    next_own += 1;
                    match own.value(next_own - 1) {
                        Some(value) => (value, Timestamp::ZERO),
                        None => continue,
                    }
                }
                false => (entry.value, entry.ts),
            };
            visited += 1;
            let has_broken = emit(entry.key, value, ts);
            if has_broken || visited == max {
                return ended(entry.key, visited, has_broken);
            }
        }
        while let Some(key) = own.key(next_own) {
            next_own += 1;
            if let Some(value) = own.value(next_own - 1) {
                visited += 1;
                let has_broken = emit(key, value, Timestamp::ZERO);
                if has_broken || visited == max {
                    return ended(key, visited, has_broken);
                }
            }
        }
        match own.key(next_own.saturating_sub(1)) {
            Some(last) if own.has_more => ended(last, visited, false),
            _ => Ok(Pass { visited, ended_at: None, has_broken: false }),
        }
    }

    /// The next rows into a block.
    fn fill<'v>(
        &self,
        view: &'v View,
        at: Timestamp,
        own: &OwnRows,
        (rows_max, bytes_max): (usize, usize),
        block: &mut Block<'v>,
    ) -> Result<Pass> {
        if own.is_nothing() {
            let mut cursor = view.cursor(self.relation.storage, &self.range, at, self.direction)?;
            let has_more = cursor.fill(block, rows_max, bytes_max)?;
            let last = block.len().checked_sub(1).and_then(|last| block.get(last)).filter(|_| has_more);
            let ended_at = last.map(|last| last.key.to_vec());
            return Ok(Pass { visited: block.len(), ended_at, has_broken: false });
        }
        self.pass(view, at, own, rows_max, &mut |key, value, ts| {
            block.push_copy(Entry { key, value, ts });
            if block.value_bytes() < bytes_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }

    /// Without own rows there is nothing to merge.
    fn pass_shared(
        &self,
        cursor: &mut Cursor<'_>,
        max: usize,
        row: &mut impl FnMut(&[u8], &[u8], Timestamp) -> ControlFlow<()>,
    ) -> Result<Pass> {
        let mut visited = 0;
        while let Some(entry) = cursor.next()? {
            visited += 1;
            let has_broken = row(entry.key, entry.value, entry.ts).is_break();
            if has_broken || visited == max {
                return Ok(Pass { visited, ended_at: Some(entry.key.to_vec()), has_broken });
            }
        }
        Ok(Pass { visited, ended_at: None, has_broken: false })
    }

    /// What was visited: from where this pass began to where it ended.
    fn leave_span(&self, pass: &Pass) {
        if !self.txn.leaves_spans() || bugs::is_on(Bug::AbsentSpansDropped) && pass.visited == 0 {
            return;
        }
        let after = |key: &[u8]| {
            let mut after = Key::from_slice(key);
            after.push(0);
            RangeEnd::Before(after)
        };
        let end_of_range = || match &self.range.end {
            Some(end) => RangeEnd::Before(Key::from_slice(end)),
            None => RangeEnd::Unbounded,
        };
        let span = match (&pass.ended_at, self.direction) {
            (None, _) => ReadRange { start: Key::from_slice(&self.range.start), end: end_of_range() },
            (Some(key), Direction::Forward) => ReadRange { start: Key::from_slice(&self.range.start), end: after(key) },
            (Some(key), Direction::Backward) => ReadRange { start: Key::from_slice(key), end: end_of_range() },
        };
        let max = self.txn.gateway().limits().spans;
        let mut state = self.txn.state();
        let part = state.part(self.relation.home);
        if self.is_fixed && part.excluded.contains(&self.relation.id) {
            return; // certified as a whole
        }
        part.reads.add_scanned(self.relation.storage, span, self.facet.as_ref(), max, self.reader);
    }

    fn advance(&mut self, ended_at: Option<Vec<u8>>) {
        match (ended_at, self.direction) {
            (None, _) => self.is_done = true,
            (Some(mut key), Direction::Forward) => {
                key.push(0);
                self.range.start = key.into();
            }
            (Some(key), Direction::Backward) => self.range.end = Some(key.into()),
        }
        self.is_done |= self.range.end.as_ref().is_some_and(|end| *end <= self.range.start);
    }
}
