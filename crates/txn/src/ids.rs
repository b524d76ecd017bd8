//! The ids of this gateway's commits, and its watermark: the lowest that is not finished (`distributed-core.md` R11).
//!
//! I1: an id is finished only when its outcome is applied at every participant and known here, or nobody will ask.

use parking_lot::Mutex;
use shard::TxnId;
use std::collections::BTreeSet;
use std::sync::Arc;

pub struct Ids {
    gateway: u64,
    epoch: u64,
    state: Mutex<State>,
}

struct State {
    next: u64,
    open: BTreeSet<u64>,
}

impl Ids {
    pub fn new(gateway: u64, epoch: u64) -> Ids {
        Ids { gateway, epoch, state: Mutex::new(State { next: 1, open: BTreeSet::new() }) }
    }

    /// A new id, and the watermark that its messages carry.
    pub fn open(self: &Arc<Self>) -> OpenId {
        let mut state = self.state.lock();
        let sequence = state.next;
        state.next += 1;
        state.open.insert(sequence);
        let watermark = state.open.first().copied().unwrap_or(sequence);
        let txn = TxnId { gateway: self.gateway, epoch: self.epoch, sequence };
        OpenId { txn, watermark, ids: self.clone() }
    }
}

/// Finished when it is dropped.
pub struct OpenId {
    pub txn: TxnId,
    pub watermark: u64,
    ids: Arc<Ids>,
}

impl Drop for OpenId {
    fn drop(&mut self) {
        self.ids.state.lock().open.remove(&self.txn.sequence);
    }
}

#[test]
fn watermark_is_the_lowest_unfinished() {
    let ids = Arc::new(Ids::new(1, 1));
    let (first, second) = (ids.open(), ids.open());
    assert_eq!((first.txn.sequence, second.txn.sequence, second.watermark), (1, 2, 1));
    drop(first);
    assert_eq!(ids.open().watermark, 2);
}
