//! A double of replication: a log of one member that applies each entry at once, and forgets it.

use crate::{Groups, Starting};
use consensus::{Consensus, Group, Replica};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A log of one member that applies at once.
struct Log {
    replica: Arc<dyn Replica>,
    applied: AtomicU64,
    running: Mutex<()>,
}

impl Consensus for Log {
    fn wake(&self) {
        let Some(_one) = self.running.try_lock() else { return };
        while let Some(entry) = self.replica.next_batch(1) {
            let index = self.applied.load(Ordering::SeqCst) + 1;
            self.replica.apply(index, 1, entry);
            self.applied.store(index, Ordering::SeqCst);
            self.replica.applied_round();
        }
    }
    fn read_lease(&self) -> Option<u64> {
        Some(1)
    }
    fn leader(&self) -> Option<u64> {
        Some(1)
    }
    fn applied(&self) -> u64 {
        self.applied.load(Ordering::SeqCst)
    }
}

/// Groups that keep nothing: for tests of what stands above a gateway.
pub struct AtOnce;

impl Groups for AtOnce {
    fn start<'a>(&'a self, _name: &'static str, replica: Arc<dyn Replica>) -> Starting<'a> {
        replica.leader_started(1);
        let log: Group = Arc::new(Log { replica, applied: AtomicU64::new(0), running: Mutex::new(()) });
        Box::pin(std::future::ready(Ok(log)))
    }
}
