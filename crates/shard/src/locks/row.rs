//! One row of the lock table: who holds it, who waits for it in which order, what is in flight or prepared on it.
//!
//! Nothing here looks at another row; `table` finds rows, and owns the invariants over all of them.

use super::LockMode;
use super::table::{Flying, Grant, Owner, RowKey};
use crate::TxnId;
use crate::wake::{Slot, Wakeups};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;
use storage::{StorageId, Timestamp};

/// How many may take a row that the first of its queue waits for: a stream of FOR SHARE must not starve a writer.
const PASSED_MAX: u32 = 16;
/// The storage id of names that are locked and no rows: advisory locks, LOCK TABLE.
pub const NAMES: StorageId = StorageId(3);

pub(super) struct Holder {
    pub owner: Owner,
    pub mode: LockMode,
}

pub(super) struct Waiter {
    pub owner: Owner,
    pub mode: LockMode,
    pub slot: Arc<Slot<Grant>>,
    /// How many have passed it while it was the first.
    pub passed: u32,
}

pub(super) struct Row {
    pub key: RowKey,
    pub holders: SmallVec<[Holder; 1]>,
    pub queue: VecDeque<Waiter>,
    pub flying: SmallVec<[Flying; 1]>,
    pub prepared: Option<(TxnId, Timestamp)>,
}

impl Row {
    pub fn new(key: RowKey) -> Row {
        Row { key, holders: SmallVec::new(), queue: VecDeque::new(), flying: SmallVec::new(), prepared: None }
    }

    pub fn is_idle(&self) -> bool {
        self.holders.is_empty() && self.queue.is_empty() && self.flying.is_empty() && self.prepared.is_none()
    }

    pub fn held(&self, owner: Owner) -> Option<LockMode> {
        self.holders.iter().find(|holder| holder.owner == owner).map(|holder| holder.mode)
    }

    pub fn is_free_for(&self, owner: Owner, mode: LockMode) -> bool {
        // What a prepared transaction will write is as good as locked by it until its Decide is applied.
        self.prepared.is_none()
            && self.holders.iter().all(|holder| holder.owner == owner || !holder.mode.conflicts_with(mode))
    }

    /// Whether `owner`, whom no holder keeps out, may go before those that wait. Counted where it is a favour.
    pub fn may_pass(&mut self, owner: Owner, mode: LockMode) -> bool {
        if self.queue.is_empty() || self.held(owner).is_some() {
            return true; // who holds it and wants more would wait for those that wait for it
        }
        if self.key.relation == NAMES {
            return !self.queue.iter().any(|waiter| waiter.mode.conflicts_with(mode));
        }
        match self.queue.front_mut() {
            Some(first) if mode != LockMode::KeyShare => {
                first.passed += 1;
                first.passed <= PASSED_MAX
            }
            _ => true,
        }
    }

    pub fn hold(&mut self, owner: Owner, mode: LockMode) {
        match self.holders.iter_mut().find(|holder| holder.owner == owner) {
            Some(holder) => holder.mode = holder.mode.max(mode),
            None => self.holders.push(Holder { owner, mode }),
        }
    }

    /// Grants from the front of the queue while it can.
    pub fn grant(&mut self, wakeups: &mut Wakeups) {
        while let Some(first) = self.queue.front() {
            if !self.is_free_for(first.owner, first.mode) {
                return;
            }
            let Some(first) = self.queue.pop_front() else { return };
            if first.slot.complete(Grant::Granted, wakeups) {
                self.hold(first.owner, first.mode);
            }
        }
    }
}
