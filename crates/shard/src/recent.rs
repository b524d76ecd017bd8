//! The recent commits of a shard, sorted by commit timestamp: the quick way to see whether what was read has changed.
//!
//! Owned by the sequencer, so it holds what is in flight too. Sorted by *timestamp*, not by arrival: a Decide lands
//! below later one-shard commits, and a walk back in order of arrival would stop before it (`recent_unsorted` in the
//! model). Complete above `floor`; an older snapshot falls back to looking its spans up in the segment.

use crate::locks::{LockMode, Owner, RowKey};
use smallvec::SmallVec;
use std::collections::VecDeque;
use storage::{KeyRange, StorageId, Timestamp};

/// Commits kept (`architecture.md` §9).
pub const RECENT_MAX: usize = 1_000_000;

pub type Key = SmallVec<[u8; 32]>;

/// What a commit wrote.
pub enum Written {
    Key(Key),
    /// A large commit: something in this range.
    Range(KeyRange),
}

pub struct Recent {
    pub ts: Timestamp,
    pub relation: StorageId,
    /// Of the row; 0 for a range.
    pub hash: u64,
    pub written: Written,
    /// The row lock that this write amounts to.
    pub strength: LockMode,
    /// Who wrote it, if it was one of this leader's: for messages.
    pub owner: Option<Owner>,
}

pub struct RecentList {
    entries: VecDeque<Recent>,
    floor: Timestamp,
    max: usize,
}

impl RecentList {
    pub fn new(max: usize) -> RecentList {
        RecentList { entries: VecDeque::new(), floor: Timestamp::MAX, max }
    }

    /// A new leader knows nothing up to `last_stamp`.
    pub fn restart(&mut self, last_stamp: Timestamp) {
        self.entries.clear();
        self.floor = last_stamp;
    }

    pub fn push(&mut self, recent: Recent) {
        if self.entries.back().is_none_or(|last| last.ts <= recent.ts) {
            self.entries.push_back(recent);
        } else {
            let position = self.entries.partition_point(|entry| entry.ts <= recent.ts);
            self.entries.insert(position, recent);
        }
        if self.entries.len() > self.max
            && let Some(oldest) = self.entries.pop_front()
        {
            self.floor = self.floor.max(oldest.ts);
        }
    }

    /// Nobody asks below `horizon` any more.
    pub fn forget_below(&mut self, horizon: Timestamp) {
        while self.entries.front().is_some_and(|entry| entry.ts <= horizon) {
            if let Some(oldest) = self.entries.pop_front() {
                self.floor = self.floor.max(oldest.ts);
            }
        }
    }

    /// Whether all commits above `since` are here.
    pub fn is_complete_since(&self, since: Timestamp) -> bool {
        since >= self.floor
    }

    /// How many commits are above `since`.
    pub fn count_since(&self, since: Timestamp) -> usize {
        match self.entries.back() {
            Some(last) if last.ts > since => {
                self.entries.len() - self.entries.partition_point(|entry| entry.ts <= since)
            }
            _ => 0,
        }
    }

    /// Newest first.
    pub fn since(&self, since: Timestamp) -> impl Iterator<Item = &Recent> {
        self.entries.iter().rev().take_while(move |entry| entry.ts > since)
    }

    /// Who committed at `ts`.
    pub fn writer_at(&self, ts: Timestamp) -> Option<Owner> {
        let first = self.entries.partition_point(|entry| entry.ts < ts);
        self.entries.get(first).filter(|entry| entry.ts == ts)?.owner
    }

    /// Whether a commit after `since` has written the row in a way that a lock of this mode forbids; None: not all are known.
    pub fn conflicts_since(&self, row: &RowKey, since: Timestamp, mode: LockMode) -> Option<bool> {
        if !self.is_complete_since(since) {
            return None;
        }
        let of_row = |recent: &&Recent| {
            recent.relation == row.relation
                && match &recent.written {
                    Written::Key(key) => recent.hash == row.hash && *key == row.key,
                    Written::Range(range) => range.contains(&row.key),
                }
        };
        Some(self.since(since).filter(of_row).any(|recent| recent.strength.conflicts_with(mode)))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(max: usize, stamps: &[u64]) -> RecentList {
        let mut list = RecentList::new(max);
        list.restart(Timestamp::ZERO);
        for &ts in stamps {
            let written = Written::Key(Key::from_slice(b"k"));
            list.push(Recent {
                ts: Timestamp(ts),
                relation: StorageId(1),
                hash: 0,
                written,
                strength: LockMode::Update,
                owner: Some(Owner(ts)),
            });
        }
        list
    }

    #[test]
    fn recent_unsorted() {
        // A Decide at 15 arrives after one-shard commits at 20 and 30.
        let list = list(10, &[10, 20, 30, 15]);
        let above: Vec<u64> = list.since(Timestamp(12)).map(|entry| entry.ts.0).collect();
        assert_eq!(above, [30, 20, 15]);
        assert_eq!(list.count_since(Timestamp(12)), 3);
        assert_eq!(list.count_since(Timestamp(30)), 0);
    }

    #[test]
    fn a_commit_is_found_by_its_timestamp() {
        let list = list(10, &[10, 20, 30]);
        assert_eq!(list.writer_at(Timestamp(20)), Some(Owner(20)));
        assert_eq!(list.writer_at(Timestamp(25)), None);
    }

    #[test]
    fn full_list_raises_its_floor() {
        let list = list(2, &[10, 20, 30]);
        assert!(list.is_complete_since(Timestamp(10)));
        assert!(!list.is_complete_since(Timestamp(9)), "10 was dropped: 9 must look its spans up");
    }
}
