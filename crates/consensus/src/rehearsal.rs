//! Level 1. What a node would come to from its log, without writing: its groups apply what the log has, and go on in memory.
//!
//! For looking at a stopped node's folder. Every group has one member, so all that is in its log is committed.

use crate::raft::{batch_of, reaches};
use crate::{Consensus, Group, GroupOptions, Replica};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::Result;
use storage::wal::GroupLog;

/// A node's log, read (`storage::wal::read`).
pub struct Rehearsal {
    found: Mutex<BTreeMap<u64, GroupLog>>,
}

impl Rehearsal {
    pub fn new(found: BTreeMap<u64, GroupLog>) -> Rehearsal {
        Rehearsal { found: Mutex::new(found) }
    }

    /// As `RaftNode::add_group`.
    pub fn add_group(&self, options: GroupOptions) -> Result<Group> {
        let log = self.found.lock().remove(&options.id).unwrap_or_default();
        let replica = options.replica;
        let purged = log.purged.unwrap_or_default();
        reaches(options.id, replica.flushed(), purged.0, log.entries.last().map_or(purged.0, |entry| entry.index))?;
        let (mut index, mut term) = purged;
        for entry in log.entries {
            (index, term) = (entry.index, entry.term);
            let batch = batch_of(options.id, entry)?;
            if let Some(batch) = batch.filter(|_| index > replica.flushed()) {
                replica.apply(index, term, batch);
            }
        }
        replica.applied_round();
        let group = Arc::new(InMemory {
            replica: replica.clone(),
            term: term + 1,
            applied: AtomicU64::new(index),
            stepping: Mutex::new(()),
        });
        replica.leader_started(group.term);
        Ok(group)
    }
}

struct InMemory {
    replica: Arc<dyn Replica>,
    term: u64,
    applied: AtomicU64,
    stepping: Mutex<()>,
}

impl Consensus for InMemory {
    fn wake(&self) {
        let _one_at_a_time = self.stepping.lock();
        while let Some(batch) = self.replica.next_batch(self.term) {
            let index = self.applied.load(Ordering::SeqCst) + 1;
            self.replica.apply(index, self.term, batch);
            self.applied.store(index, Ordering::SeqCst);
            self.replica.applied_round();
        }
    }

    fn read_lease(&self) -> Option<u64> {
        Some(self.term)
    }

    fn leader(&self) -> Option<u64> {
        None
    }

    fn applied(&self) -> u64 {
        self.applied.load(Ordering::SeqCst)
    }
}
