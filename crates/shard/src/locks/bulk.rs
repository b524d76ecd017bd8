//! Keys that a bulk load has claimed: hashes instead of rows of the lock table, some twenty bytes a key.
//!
//! A transaction that inserts very many rows meets nobody at nearly all of their keys. So behind its first ones it notes the
//! hash of each key in a set of its own, and looks whether somebody has the row; who locks a row looks into the sets of
//! others. Two keys of one hash wait for each other needlessly: harmless, and rare at 64 bits.
//!
//! ```text
//! loader  note the hash in the set, *then* look into the sets of others and at the row     (nobody has it: claimed)
//! locker  look into the sets with the row's part of the table locked, *then* enter the row
//! ```
//! One of the two sees the other. A loader that sees one takes its hash back and becomes a locker: two loaders that see each
//! other meet at the row. A claim lives as long as its transaction; lost with leadership, like all locks.

use super::table::{Grant, Owner, Ticket, WAITERS_MAX};
use super::{Attempt, WaitPolicy};
use crate::wake::{Slot, Wakeups};
use hashbrown::HashTable;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use storage::StorageId;

/// The keys of one relation that one transaction has claimed.
pub struct Claims {
    owner: Owner,
    relation: StorageId,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    hashes: HashTable<u64>,
    /// Come again when the transaction is over.
    waiters: Vec<(Owner, Arc<Slot<Grant>>)>,
    is_over: bool,
}

impl Claims {
    /// False: it was there.
    pub(super) fn insert(&self, hash: u64) -> bool {
        let mut inside = self.inside.lock();
        let is_new = inside.hashes.find(hash, |other| *other == hash).is_none();
        if is_new {
            inside.hashes.insert_unique(hash, hash, |other| *other);
        }
        is_new
    }

    pub(super) fn take_back(&self, hash: u64) {
        if let Ok(found) = self.inside.lock().hashes.find_entry(hash, |other| *other == hash) {
            found.remove();
        }
    }

    fn has(&self, hash: u64) -> bool {
        self.inside.lock().hashes.find(hash, |other| *other == hash).is_some()
    }
}

#[derive(Default)]
pub(super) struct Bulk {
    all: RwLock<Vec<Arc<Claims>>>,
    /// While 0, nobody looks further.
    count: AtomicUsize,
}

impl Bulk {
    pub fn begin(&self, owner: Owner, relation: StorageId) -> Arc<Claims> {
        let claims = Arc::new(Claims { owner, relation, inside: Mutex::default() });
        self.all.write().push(claims.clone());
        self.count.fetch_add(1, Ordering::SeqCst);
        claims
    }

    /// Whether another has claimed the row.
    pub fn is_claimed(&self, owner: Owner, relation: StorageId, hash: u64) -> bool {
        // 1: the asker's own.
        self.count.load(Ordering::SeqCst) > 1
            && self.all.read().iter().any(|other| other.relation == relation && other.owner != owner && other.has(hash))
    }

    /// What another's claim on the row means for who wants to lock it; None: there is none.
    pub fn meet(&self, owner: Owner, relation: StorageId, hash: u64, wait: WaitPolicy) -> Option<Attempt> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let all = self.all.read();
        let claimed = |claims: &&Arc<Claims>| claims.relation == relation && claims.owner != owner && claims.has(hash);
        let claims = all.iter().find(claimed)?;
        let mut inside = claims.inside.lock();
        if inside.is_over {
            return None;
        }
        if wait != WaitPolicy::Wait {
            return Some(Attempt::Busy);
        }
        if inside.waiters.len() >= WAITERS_MAX {
            return Some(Attempt::TooMany);
        }
        let slot = Slot::new();
        inside.waiters.push((owner, slot.clone()));
        Some(Attempt::Wait(Ticket { slot }))
    }

    /// The owner's transaction is over.
    pub fn end(&self, owner: Owner, wakeups: &mut Wakeups) {
        self.finish(|claims| claims.owner == owner, Grant::Again, wakeups);
    }

    /// Leadership is lost.
    pub fn clear(&self, wakeups: &mut Wakeups) {
        self.finish(|_| true, Grant::Lost, wakeups);
    }

    fn finish(&self, which: impl Fn(&Claims) -> bool, grant: Grant, wakeups: &mut Wakeups) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let over: Vec<Arc<Claims>> = {
            let mut all = self.all.write();
            let over = all.iter().filter(|claims| which(claims)).cloned().collect();
            all.retain(|claims| !which(claims));
            over
        };
        self.count.fetch_sub(over.len(), Ordering::SeqCst);
        for claims in over {
            let mut inside = claims.inside.lock();
            inside.is_over = true;
            inside.hashes = HashTable::new();
            inside.waiters.drain(..).for_each(|(_, slot)| _ = slot.complete(grant, wakeups));
        }
    }

    pub fn abandon(&self, slot: &Arc<Slot<Grant>>) {
        for claims in self.all.read().iter() {
            claims.inside.lock().waiters.retain(|(_, other)| !Arc::ptr_eq(other, slot));
        }
    }

    pub fn blockers(&self, owner: Owner, out: &mut Vec<Owner>) {
        let all = self.all.read();
        let waits_here =
            |claims: &&Arc<Claims>| claims.inside.lock().waiters.iter().any(|(waiter, _)| *waiter == owner);
        out.extend(all.iter().filter(waits_here).map(|claims| claims.owner));
    }

    pub fn kill(&self, owner: Owner, wakeups: &mut Wakeups) {
        for claims in self.all.read().iter() {
            let waiters = &mut claims.inside.lock().waiters;
            if let Some(place) = waiters.iter().position(|(waiter, _)| *waiter == owner) {
                waiters.swap_remove(place).1.complete(Grant::Deadlock, wakeups);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.all.read().is_empty()
    }
}
