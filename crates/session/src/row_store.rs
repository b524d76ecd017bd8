//! The rows of a portal: those still to be computed, and those that are kept to be read later or again.

use crate::feed::Feed;
use exec::budget::Reservation;
use exec::{Batch, MemoryBudget};
use std::collections::VecDeque;
use std::sync::Arc;
use types::{Result, SqlError, SqlState};

/// A place in a result: 0 stands before the first row, n on the nth.
pub(crate) type Position = u64;

pub(crate) struct RowStore {
    /// None: all rows have been computed.
    feed: Option<Feed>,
    /// Rows computed, from `base` on; all of them where `keeps`.
    batches: VecDeque<Batch>,
    /// Rows that were dropped after reading.
    base: u64,
    /// Rows in `batches`.
    count: u64,
    /// Rows read.
    pub position: Position,
    keeps: bool,
    affected: u64,
    memory: Reservation,
}

impl RowStore {
    /// `keeps`: rows may be read again.
    pub fn new(feed: Feed, keeps: bool, memory: &Arc<MemoryBudget>) -> RowStore {
        let memory = Reservation::new(memory);
        RowStore {
            feed: Some(feed),
            batches: VecDeque::new(),
            base: 0,
            count: 0,
            position: 0,
            keeps,
            affected: 0,
            memory,
        }
    }

    /// Whether rows are still to be computed (so that what happens meanwhile could change them).
    pub fn is_running(&self) -> bool {
        self.feed.is_some()
    }

    /// Number of the command tag of a statement that writes; known once it has run to its end.
    pub fn rows_affected(&self) -> u64 {
        self.affected
    }

    /// Computes one more batch, of which so many rows are wanted. False: there are no more rows.
    async fn pull(&mut self, wanted: Option<usize>) -> Result<bool> {
        let Some(feed) = &mut self.feed else { return Ok(false) };
        match feed.next(wanted).await? {
            Some(batch) => {
                self.memory.grow(batch.size_bytes()).map_err(too_many)?;
                self.count += batch.len as u64;
                self.batches.push_back(batch);
                Ok(true)
            }
            None => {
                self.affected = feed.rows_affected();
                self.feed = None;
                Ok(false)
            }
        }
    }

    /// Computes all rows that are left and keeps them.
    pub async fn complete(&mut self) -> Result<()> {
        while self.pull(None).await? {}
        Ok(())
    }

    /// Rows after the position, at most `max`, moving it. None: the end.
    pub async fn next(&mut self, max: usize) -> Result<Option<Batch>> {
        while self.position >= self.base + self.count {
            if !self.pull(Some(max)).await? {
                return Ok(None);
            }
        }
        Ok(self.slice(max))
    }

    fn slice(&mut self, max: usize) -> Option<Batch> {
        let (mut start, mut found) = (self.base, None);
        for batch in &self.batches {
            let end = start + batch.len as u64;
            if self.position < end {
                found = Some((batch, (self.position - start) as usize));
                break;
            }
            start = end;
        }
        let (batch, from) = found?;
        let to = batch.len.min(from.saturating_add(max));
        let slice = if from == 0 && to == batch.len { batch.clone() } else { batch.slice(from, to) };
        self.position += (to - from) as u64;
        if !self.keeps {
            self.drop_read();
        }
        Some(slice)
    }

    fn drop_read(&mut self) {
        while let Some(first) = self.batches.front() {
            let rows = first.len as u64;
            if self.base + rows > self.position {
                break;
            }
            self.batches.pop_front();
            self.base += rows;
            self.count -= rows;
        }
        if self.batches.is_empty() {
            self.memory.release();
        }
    }
}

fn too_many(error: SqlError) -> SqlError {
    match error.code() {
        SqlState::OUT_OF_MEMORY => error
            .hint("A cursor that is declared NO SCROLL and read to its end before the next statement keeps no rows."),
        _ => error,
    }
}

impl RowStore {
    /// All rows; once they have been computed.
    pub fn total(&self) -> u64 {
        self.base + self.count
    }

    /// Behind the last row.
    pub fn go_behind(&mut self) {
        self.position = self.total() + 1;
    }
}
