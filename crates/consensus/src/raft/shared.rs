//! Level 1. What the parts of one group share: the window of entries, vote, membership, leadership, the pipe.
//!
//! All entries that the segment does not have yet stay in memory, so that apply never reads the log's files; their
//! bytes are the ones that the delta holds slices of, so they cost little beside it.

use super::ahead::Taken;
use super::types::{Ballot, LogEntry, LogId, Payload, StoredMembership, log_id};
use crate::Replica;
use host::Files;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use storage::Fatal;
use storage::wal::Wal;
use tokio::sync::Notify;

/// What all groups of a node share.
pub struct NodeShared {
    pub wal: Wal,
    pub files: Arc<dyn Files>,
    /// The log is written and synced on the Raft thread: every group has one member and at most one is busy. Must be
    /// false before a group gets a second member (the thread answers heartbeats then).
    pub is_inline: AtomicBool,
    /// The log's: what stops the node.
    pub fatal: Fatal,
}

pub struct Shared {
    pub group: u64,
    pub node: u64,
    pub replica: Arc<dyn Replica>,
    pub common: Arc<NodeShared>,
    pub log: Mutex<Window>,
    pub vote: Mutex<Option<Ballot>>,
    pub membership: Mutex<StoredMembership>,
    pub applied: AtomicU64,
    /// The term this replica leads, its own first entry applied; 0: none.
    pub leading: AtomicU64,
    /// Batches proposed to openraft in the term it leads and not applied.
    pub in_flight: AtomicUsize,
    pub proposer: Notify,
    /// Somebody writes the log, or hands a batch to openraft (`ahead`).
    pub is_claimed: AtomicBool,
    /// Taken from the replica by a session's thread that found the disk full.
    pub held: Mutex<Option<Taken>>,
    /// Highest index in the window, once it is applied or openraft has it.
    pub written: AtomicU64,
    /// Highest index that openraft was given.
    pub handed: AtomicU64,
    /// Highest index that openraft has seen applied: it may be told of nothing above (`flushed`).
    pub raft_applied: AtomicU64,
    pub is_hand_over_due: AtomicBool,
    /// What the last write and sync of this group took.
    pub last_write_us: AtomicU64,
}

impl NodeShared {
    /// Half of what the device takes for a write and sync, where time is simulated: sessions go on meanwhile.
    pub async fn device_time(&self) {
        let latency = self.files.latency();
        if !latency.is_zero() {
            host::clock::sleep(latency / 2).await;
        }
    }
}

/// The entries above the purged one, without a gap.
#[derive(Default)]
pub struct Window {
    pub purged: Option<LogId>,
    pub entries: VecDeque<LogEntry>,
}

impl Window {
    pub fn last(&self) -> Option<LogId> {
        self.entries.back().map(|entry| entry.log_id).or(self.purged)
    }

    fn first_index(&self) -> u64 {
        self.entries.front().map_or_else(|| self.last().map_or(0, |id| id.index + 1), |entry| entry.log_id.index)
    }

    fn get(&self, index: u64) -> Option<&LogEntry> {
        self.entries.get(index.checked_sub(self.first_index())? as usize)
    }

    /// Whether the very entry is in it.
    pub fn holds(&self, entry: &LogEntry) -> bool {
        let Some(mine) = self.get(entry.log_id.index) else { return false };
        match (&mine.payload, &entry.payload) {
            (Payload::Normal(mine_batch), Payload::Normal(batch)) => {
                mine.log_id == entry.log_id && mine_batch.0.as_ptr() == batch.0.as_ptr()
            }
            _ => false,
        }
    }

    /// The id of the entry with this index, if it is known.
    pub fn id_of(&self, index: u64) -> Option<LogId> {
        if let Some(purged) = self.purged.filter(|purged| purged.index == index) {
            return Some(purged);
        }
        let at = index.checked_sub(self.first_index())?;
        self.entries.get(at as usize).map(|entry| entry.log_id)
    }

    pub fn range(&self, range: impl RangeBounds<u64>) -> Vec<LogEntry> {
        let first = self.first_index();
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index.saturating_add(1),
            Bound::Unbounded => first,
        };
        let to = match range.end_bound() {
            Bound::Included(index) => index.saturating_add(1),
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        let from = (from.saturating_sub(first) as usize).min(self.entries.len());
        let to = (to.saturating_sub(first) as usize).clamp(from, self.entries.len());
        self.entries.range(from..to).cloned().collect()
    }

    pub fn push(&mut self, entry: LogEntry) {
        debug_assert!(self.last().is_none_or(|last| last.index + 1 == entry.log_id.index), "the log has no gap");
        self.entries.push_back(entry);
    }

    /// Keeps entries below `index`.
    pub fn truncate(&mut self, index: u64) {
        let keep = index.saturating_sub(self.first_index()) as usize;
        self.entries.truncate(keep);
    }

    pub fn purge(&mut self, upto: LogId) {
        while self.entries.front().is_some_and(|entry| entry.log_id.index <= upto.index) {
            self.entries.pop_front();
        }
        self.purged = self.purged.max(Some(upto));
    }
}

impl Shared {
    /// Batches that may be in flight: one while the log is written on this thread, else one more that gathers
    /// while the first is synced.
    pub fn pipe(&self) -> usize {
        if self.common.is_inline.load(Ordering::Relaxed) { 1 } else { 2 }
    }

    pub fn is_leader_of(&self, term: u64) -> bool {
        let vote = *self.vote.lock();
        vote.is_some_and(|vote| vote.committed && vote.leader_id.term == term && vote.leader_id.voted_for == self.node)
    }

    /// Called when its own first entry of `term` is applied.
    pub fn start_leading(&self, term: u64) {
        self.in_flight.store(0, Ordering::SeqCst);
        self.leading.store(term, Ordering::SeqCst);
        self.replica.leader_started(term);
        self.proposer.notify_one();
    }

    /// Called when another vote is recorded, and at the end.
    pub fn stop_leading(&self) {
        let term = self.leading.swap(0, Ordering::SeqCst);
        if term != 0 {
            self.in_flight.store(0, Ordering::SeqCst);
            self.replica.leader_stopped(term);
        }
    }

    /// The log id up to which the segment has everything, as far as openraft knows of it.
    pub fn flushed(&self) -> Option<LogId> {
        match self.replica.flushed().min(self.raft_applied.load(Ordering::SeqCst)) {
            0 => None,
            index => self.log.lock().id_of(index).or_else(|| {
                // Purged further than it says cannot be: the purge came from it.
                Some(log_id(self.log.lock().purged?.leader_id.term, index))
            }),
        }
    }
}
