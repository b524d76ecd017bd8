//! The rows of a shard that somebody holds, waits for, has in flight or has prepared.
//!
//! Owns: holders and queues (lost with leadership, which is safe: validation never depends on a lock), the newest
//! versions of commits that are in flight, and which rows a prepared transaction will write.
//!
//! I1  Two holders of a row have modes that do not conflict.
//! I2  Queues are first come, first served. Who upgrades a lock it has goes first. Of rows, as in PostgreSQL, who goes with all
//!     holders does not queue: KEY SHARE always, others until the first of the queue has let `PASSED_MAX` by. Names (`NAMES`)
//!     are had strictly in turn.
//! I3  A waiter is granted, refused or abandoned exactly once.
//! I4  `pending` of a row's hash is not 0 while the row has something in flight or prepared: who sees 0 need not look.
//!
//! One visit per row at the lock, one at the commit (`fly` releases the lock and shows the new version in one step), one
//! when it is applied. Rows are found by hash in `SHARDS` parts, each behind a short mutex; no two are held at once.
//!
//! A transaction with very many rows of one relation gets a lock on the whole relation instead (`escalate`).

use super::bulk::{Bulk, Claims};
use super::deadlock::WaitGraph;
use super::gates::{Bar, Gates, Inside, Stand};
use super::row::{Row, Waiter};
use super::{LockMode, WaitPolicy};
use crate::TxnId;
use crate::recent::Key;
use crate::wake::{Slot, Wakeups};
use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::Mutex;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use storage::{StorageId, Timestamp};

const SHARDS: usize = 64;
/// Counters of what is pending, by hash of the row: large enough that two rows rarely meet.
const PENDING: usize = 4096;
/// The same by relation, for scans.
const PENDING_RELATIONS: usize = 256;
/// Waiters per row (`architecture.md` §9).
pub const WAITERS_MAX: usize = 10_000;

/// A transaction of this node as a holder of locks. Numbers grow: the greater is the younger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Owner(pub u64);

/// A row's name, with its hash so that it is computed once.
#[derive(PartialEq, Eq, Debug)]
pub struct RowKey {
    pub hash: u64,
    pub relation: StorageId,
    pub key: Key,
}

/// By hand: a `SmallVec` is cloned one byte at a time, `from_slice` copies them together.
impl Clone for RowKey {
    fn clone(&self) -> RowKey {
        RowKey { hash: self.hash, relation: self.relation, key: Key::from_slice(&self.key) }
    }
}

impl RowKey {
    pub fn new(relation: StorageId, key: &[u8]) -> RowKey {
        RowKey { hash: hash_of(relation, key), relation, key: Key::from_slice(key) }
    }
}

pub fn hash_of(relation: StorageId, key: &[u8]) -> u64 {
    FixedState::with_seed(u64::from(relation.0)).hash_one(key)
}

/// A version that is sequenced and not yet applied.
#[derive(Clone, Debug)]
pub struct Flying {
    pub ts: Timestamp,
    pub batch: u64,
    pub value: Option<Bytes>,
    pub strength: LockMode,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grant {
    Granted,
    Deadlock,
    /// The holder of the whole relation has gone: try again.
    Again,
    /// The leader has gone.
    Lost,
}

/// A place in a queue.
pub struct Ticket {
    pub slot: Arc<Slot<Grant>>,
}

/// What the owner of a lock sees at once.
#[derive(Debug)]
pub struct Look {
    /// The newest version in flight; None: the newest applied one counts.
    pub flying: Option<Flying>,
    /// What this owner held before.
    pub before: Option<LockMode>,
}

pub enum Attempt {
    Granted(Look),
    /// NOWAIT or SKIP, and somebody is there.
    Busy,
    Wait(Ticket),
    /// `WAITERS_MAX`.
    TooMany,
}

/// A lock on a whole relation.
struct WholeRelation {
    owner: Owner,
    relation: StorageId,
    mode: LockMode,
    waiters: Vec<(Owner, Arc<Slot<Grant>>)>,
}

type Rows = HashTable<Row>;

pub struct LockTable {
    shards: Box<[Mutex<Rows>]>,
    pending: Box<[AtomicU32]>,
    pending_relations: Box<[AtomicU32]>,
    whole: Mutex<Vec<WholeRelation>>,
    whole_count: AtomicUsize,
    whole_changes: AtomicUsize,
    gates: Gates,
    bulk: Bulk,
    waits: Arc<WaitGraph>,
}

fn find<'r>(rows: &'r mut Rows, row: &RowKey) -> Option<&'r mut Row> {
    rows.find_mut(row.hash, |other| other.key == *row)
}

fn enter<'r>(rows: &'r mut Rows, row: &RowKey) -> &'r mut Row {
    match rows.entry(row.hash, |other| other.key == *row, |other| other.key.hash) {
        Entry::Occupied(found) => found.into_mut(),
        Entry::Vacant(vacant) => vacant.insert(Row::new(row.clone())).into_mut(),
    }
}

fn leave(rows: &mut Rows, row: &RowKey) {
    if let Ok(found) = rows.find_entry(row.hash, |other| other.key == *row)
        && found.get().is_idle()
    {
        found.remove();
    }
}

impl LockTable {
    pub fn new(waits: Arc<WaitGraph>) -> LockTable {
        LockTable {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            pending: (0..PENDING).map(|_| AtomicU32::new(0)).collect(),
            pending_relations: (0..PENDING_RELATIONS).map(|_| AtomicU32::new(0)).collect(),
            whole: Mutex::default(),
            whole_count: AtomicUsize::new(0),
            whole_changes: AtomicUsize::new(0),
            gates: Gates::default(),
            bulk: Bulk::default(),
            waits,
        }
    }

    fn rows(&self, row: &RowKey) -> parking_lot::MutexGuard<'_, Rows> {
        self.shards[(row.hash >> 58) as usize % SHARDS].lock()
    }

    // ---- what is pending (I4) --------------------------------------------------------------

    fn counters(&self, hash: u64, relation: StorageId) -> [&AtomicU32; 2] {
        [&self.pending[hash as usize % PENDING], &self.pending_relations[relation.0 as usize % PENDING_RELATIONS]]
    }

    /// Before a row's stamp is chosen.
    pub fn announce(&self, hash: u64, relation: StorageId) {
        self.counters(hash, relation).into_iter().for_each(|counter| _ = counter.fetch_add(1, Ordering::SeqCst));
    }

    fn retire(&self, hash: u64, relation: StorageId) {
        self.counters(hash, relation).into_iter().for_each(|counter| _ = counter.fetch_sub(1, Ordering::SeqCst));
    }

    pub fn is_pending(&self, hash: u64) -> bool {
        self.pending[hash as usize % PENDING].load(Ordering::SeqCst) != 0
    }

    pub fn is_relation_pending(&self, relation: StorageId) -> bool {
        self.pending_relations[relation.0 as usize % PENDING_RELATIONS].load(Ordering::SeqCst) != 0
    }

    /// The newest version in flight with a stamp up to `at`: its batch.
    pub fn flying_below(&self, row: &RowKey, at: Timestamp) -> Option<u64> {
        let mut rows = self.rows(row);
        let row = find(&mut rows, row)?;
        row.flying.iter().rev().find(|flying| flying.ts <= at).map(|flying| flying.batch)
    }

    pub fn prepared_on(&self, row: &RowKey) -> Option<(TxnId, Timestamp)> {
        let mut rows = self.rows(row);
        find(&mut rows, row)?.prepared
    }

    /// The stamp and strength of the newest version in flight that conflicts with `mode`.
    pub fn newest_flying(&self, row: &RowKey, mode: LockMode) -> Option<Timestamp> {
        let mut rows = self.rows(row);
        let row = find(&mut rows, row)?;
        row.flying.iter().rev().find(|flying| flying.strength.conflicts_with(mode)).map(|flying| flying.ts)
    }

    // ---- locks -----------------------------------------------------------------------------

    /// Takes the lock or a place in its queue.
    pub fn acquire(&self, owner: Owner, row: &RowKey, mode: LockMode, wait: WaitPolicy) -> Attempt {
        let mut rows = loop {
            let changes = self.whole_changes.load(Ordering::SeqCst);
            if self.whole_count.load(Ordering::SeqCst) != 0
                && let Some(attempt) = self.meet_whole(owner, row.relation, mode, wait)
            {
                return attempt;
            }
            let rows = self.rows(row);
            // Escalated between the two: its look at the rows may have missed this one, so come again and meet it.
            if self.whole_changes.load(Ordering::SeqCst) == changes {
                break rows;
            }
        };
        if let Some(attempt) = self.bulk.meet(owner, row.relation, row.hash, wait) {
            return attempt;
        }
        let found = enter(&mut rows, row);
        let before = found.held(owner);
        if before.is_some_and(|held| held >= mode) || found.is_free_for(owner, mode) && found.may_pass(owner, mode) {
            found.hold(owner, mode);
            return Attempt::Granted(Look { flying: found.flying.last().cloned(), before });
        }
        let answer = if wait != WaitPolicy::Wait {
            Attempt::Busy
        } else if found.queue.len() >= WAITERS_MAX {
            Attempt::TooMany
        } else {
            let slot = Slot::new();
            let waiter = Waiter { owner, mode, slot: slot.clone(), passed: 0 };
            match before {
                Some(_) => found.queue.push_front(waiter),
                None => found.queue.push_back(waiter),
            }
            return Attempt::Wait(Ticket { slot });
        };
        leave(&mut rows, row);
        answer
    }

    /// What the holder sees after it was granted in the queue.
    pub fn look(&self, row: &RowKey) -> Option<Flying> {
        let mut rows = self.rows(row);
        find(&mut rows, row)?.flying.last().cloned()
    }

    /// Leaves the queue. True if the lock had been granted meanwhile (it is held then).
    pub fn abandon(&self, row: &RowKey, ticket: &Ticket, wakeups: &mut Wakeups) -> bool {
        let mut rows = self.rows(row);
        if let Some(found) = find(&mut rows, row)
            && let Some(position) = found.queue.iter().position(|waiter| Arc::ptr_eq(&waiter.slot, &ticket.slot))
        {
            found.queue.remove(position);
            found.grant(wakeups);
            leave(&mut rows, row);
            return false;
        }
        drop(rows);
        let mut whole = self.whole.lock();
        whole.iter_mut().for_each(|lock| lock.waiters.retain(|(_, slot)| !Arc::ptr_eq(slot, &ticket.slot)));
        drop(whole);
        self.gates.abandon(&ticket.slot, wakeups);
        self.bulk.abandon(&ticket.slot);
        ticket.slot.take() == Some(Grant::Granted)
    }

    /// Gives a lock back, or down to `to` (a savepoint was rolled back).
    pub fn release(&self, owner: Owner, row: &RowKey, to: Option<LockMode>, wakeups: &mut Wakeups) {
        let mut rows = self.rows(row);
        let Some(found) = find(&mut rows, row) else { return };
        match to {
            None => found.holders.retain(|holder| holder.owner != owner),
            Some(mode) => {
                found.holders.iter_mut().filter(|holder| holder.owner == owner).for_each(|holder| holder.mode = mode);
            }
        }
        found.grant(wakeups);
        leave(&mut rows, row);
    }

    /// Who stands in `owner`'s way at a row: holders and earlier waiters with conflicting modes.
    pub(super) fn blockers(&self, owner: Owner, row: &RowKey, out: &mut Vec<Owner>) {
        {
            let mut rows = self.rows(row);
            if let Some(found) = find(&mut rows, row)
                && let Some(position) = found.queue.iter().position(|waiter| waiter.owner == owner)
            {
                let mode = found.queue[position].mode;
                let holders = found.holders.iter().map(|holder| (holder.owner, holder.mode));
                let ahead = found.queue.iter().take(position).map(|waiter| (waiter.owner, waiter.mode));
                out.extend(
                    holders
                        .chain(ahead)
                        .filter(|(other, others)| *other != owner && others.conflicts_with(mode))
                        .map(|(other, _)| other),
                );
                return;
            }
        }
        let whole = self.whole.lock();
        let waits_here = |lock: &&WholeRelation| lock.waiters.iter().any(|(waiter, _)| *waiter == owner);
        out.extend(whole.iter().filter(waits_here).map(|lock| lock.owner));
        drop(whole);
        self.gates.blockers(owner, out);
        self.bulk.blockers(owner, out);
    }

    /// Grants the lock to a waiter whom only others that wait keep out, and no holder.
    pub(super) fn let_pass(&self, owner: Owner, row: &RowKey, wakeups: &mut Wakeups) -> bool {
        let mut rows = self.rows(row);
        let Some(found) = find(&mut rows, row) else { return false };
        let Some(place) = found.queue.iter().position(|waiter| waiter.owner == owner) else { return false };
        if !found.is_free_for(owner, found.queue[place].mode) {
            return false;
        }
        if let Some(waiter) = found.queue.remove(place)
            && waiter.slot.complete(Grant::Granted, wakeups)
        {
            found.hold(owner, waiter.mode);
        }
        true
    }

    /// Ends the wait of the youngest of a cycle.
    pub(super) fn kill(&self, owner: Owner, row: &RowKey, wakeups: &mut Wakeups) {
        let mut rows = self.rows(row);
        if let Some(found) = find(&mut rows, row)
            && let Some(position) = found.queue.iter().position(|waiter| waiter.owner == owner)
        {
            if let Some(waiter) = found.queue.remove(position) {
                waiter.slot.complete(Grant::Deadlock, wakeups);
            }
            found.grant(wakeups);
            leave(&mut rows, row);
            return;
        }
        drop(rows);
        for lock in self.whole.lock().iter_mut() {
            if let Some(position) = lock.waiters.iter().position(|(waiter, _)| *waiter == owner) {
                lock.waiters.swap_remove(position).1.complete(Grant::Deadlock, wakeups);
            }
        }
        self.gates.kill(owner, wakeups);
        self.bulk.kill(owner, wakeups);
    }

    // ---- whole relations -------------------------------------------------------------------

    /// Locks the whole relation for `owner` if nobody else holds or waits for a conflicting row of it.
    pub fn escalate(&self, owner: Owner, relation: StorageId, mode: LockMode) -> bool {
        let mut whole = self.whole.lock();
        if whole.iter().any(|lock| lock.relation == relation && lock.owner != owner && lock.mode.conflicts_with(mode)) {
            return false;
        }
        // Announced first: who enters a row after the look below sees the change, and meets the lock in `whole`.
        self.whole_count.fetch_add(1, Ordering::SeqCst);
        self.whole_changes.fetch_add(1, Ordering::SeqCst);
        let is_in_the_way = |row: &Row| {
            row.key.relation == relation
                && (!row.queue.is_empty()
                    || row.prepared.is_some()
                    || row.holders.iter().any(|holder| holder.owner != owner && holder.mode.conflicts_with(mode)))
        };
        if self.shards.iter().any(|rows| rows.lock().iter().any(is_in_the_way)) {
            self.whole_count.fetch_sub(1, Ordering::SeqCst);
            return false;
        }
        whole.push(WholeRelation { owner, relation, mode, waiters: Vec::new() });
        true
    }

    fn meet_whole(&self, owner: Owner, relation: StorageId, mode: LockMode, wait: WaitPolicy) -> Option<Attempt> {
        let mut whole = self.whole.lock();
        let conflicts = |lock: &&mut WholeRelation| {
            lock.relation == relation && lock.owner != owner && lock.mode.conflicts_with(mode)
        };
        let lock = whole.iter_mut().find(conflicts)?;
        if wait != WaitPolicy::Wait {
            return Some(Attempt::Busy);
        }
        if lock.waiters.len() >= WAITERS_MAX {
            return Some(Attempt::TooMany);
        }
        let slot = Slot::new();
        lock.waiters.push((owner, slot.clone()));
        Some(Attempt::Wait(Ticket { slot }))
    }

    /// At the end of a transaction that had escalated.
    pub fn release_whole(&self, owner: Owner, wakeups: &mut Wakeups) {
        let mut whole = self.whole.lock();
        let before = whole.len();
        whole.retain_mut(|lock| {
            if lock.owner == owner {
                for (_, slot) in lock.waiters.drain(..) {
                    slot.complete(Grant::Again, wakeups);
                }
            }
            lock.owner != owner
        });
        self.whole_count.fetch_sub(before - whole.len(), Ordering::SeqCst);
    }

    // ---- bulk loads ------------------------------------------------------------------------

    /// The set of keys that a bulk load claims from now on, until `end_claims`.
    pub fn begin_claims(&self, owner: Owner, relation: StorageId) -> Arc<Claims> {
        self.bulk.begin(owner, relation)
    }

    /// Claims a key. None: somebody has it or waits for it, lock it like any other.
    pub fn claim(&self, claims: &Claims, owner: Owner, row: &RowKey) -> Option<Look> {
        let is_new = claims.insert(row.hash);
        let look = self.look_to_claim(owner, row, is_new);
        if look.is_none() && is_new {
            claims.take_back(row.hash);
        }
        look
    }

    fn look_to_claim(&self, owner: Owner, row: &RowKey, is_new: bool) -> Option<Look> {
        if self.whole_count.load(Ordering::SeqCst) != 0 || is_new && self.bulk.is_claimed(owner, row.relation, row.hash)
        {
            return None;
        }
        let mut rows = self.rows(row);
        match find(&mut rows, row) {
            None => Some(Look { flying: None, before: None }),
            Some(found) if found.is_free_for(owner, LockMode::Update) && found.queue.is_empty() => {
                Some(Look { flying: found.flying.last().cloned(), before: found.held(owner) })
            }
            Some(_) => None,
        }
    }

    pub fn end_claims(&self, owner: Owner, wakeups: &mut Wakeups) {
        self.bulk.end(owner, wakeups);
    }

    // ---- gates of relations ----------------------------------------------------------------

    /// A transaction writes to the relation (its id), or locks rows of it, until `leave_relations`.
    pub fn enter_relation(&self, owner: Owner, relation: u32, inside: Inside, wait: WaitPolicy) -> Attempt {
        let mut wakeups = Wakeups::default();
        let attempt = self.gates.enter(owner, relation, inside, wait, &mut wakeups);
        wakeups.wake();
        attempt
    }

    pub fn leave_relations(&self, owner: Owner, relations: impl Iterator<Item = u32> + Clone, wakeups: &mut Wakeups) {
        self.gates.leave(owner, relations, wakeups);
    }

    /// Back to what a transaction did inside before a savepoint.
    pub fn step_back(&self, owner: Owner, relation: u32, to: Option<Inside>, wakeups: &mut Wakeups) {
        self.gates.step_back(owner, relation, to, wakeups);
    }

    /// Back to how it had closed the relation before a savepoint.
    pub fn open_relation_to(&self, owner: Owner, relation: u32, to: Option<Bar>, wakeups: &mut Wakeups) {
        self.gates.open_to(owner, relation, to, wakeups);
    }

    /// Keeps others out of the relation until `open_relations`.
    pub fn close_relation(&self, owner: Owner, relation: u32, bar: Bar, wait: WaitPolicy) -> Attempt {
        self.gates.close(owner, relation, bar, wait)
    }

    pub fn open_relations(&self, owner: Owner, wakeups: &mut Wakeups) {
        self.gates.open(owner, wakeups);
    }

    // ---- to be looked at -------------------------------------------------------------------

    /// Who writes to which relation, locks rows of it, or keeps others out.
    pub fn stands(&self) -> Vec<(Owner, u32, Stand)> {
        self.gates.list()
    }

    /// Who keeps `owner` from closing the relation like this.
    pub fn in_the_way_of_closing(&self, owner: Owner, relation: u32, bar: Bar) -> Vec<Owner> {
        let mut others = Vec::new();
        self.gates.in_the_way(owner, relation, bar, &mut others);
        others
    }

    /// Who holds a row, or the whole of its relation, so that `owner` can not lock it in this mode.
    pub fn in_the_way(&self, owner: Owner, row: &RowKey, mode: LockMode) -> Vec<Owner> {
        let mut others = Vec::new();
        {
            let mut rows = self.rows(row);
            if let Some(found) = find(&mut rows, row) {
                let holders = found.holders.iter().map(|holder| (holder.owner, holder.mode));
                let queue = found.queue.iter().map(|waiter| (waiter.owner, waiter.mode));
                let all = holders.chain(queue);
                others.extend(all.filter(|(other, held)| *other != owner && held.conflicts_with(mode)).map(|(o, _)| o));
            }
        }
        let whole = self.whole.lock();
        let over = whole.iter().filter(|lock| lock.relation == row.relation && lock.owner != owner);
        others.extend(over.filter(|lock| lock.mode.conflicts_with(mode)).map(|lock| lock.owner));
        others
    }

    /// Whether `owner` is the first in a row's queue: the next to have it.
    pub fn is_first(&self, owner: Owner, row: &RowKey) -> bool {
        let mut rows = self.rows(row);
        find(&mut rows, row).and_then(|found| found.queue.front()).is_none_or(|first| first.owner == owner)
    }

    // ---- commits ---------------------------------------------------------------------------

    /// A commit of `owner` is sequenced (and announced): its version is the newest, its lock is free. Returns the strength
    /// of the write.
    pub fn fly(
        &self,
        owner: Owner,
        row: &RowKey,
        ts: Timestamp,
        batch: u64,
        value: Option<Bytes>,
        wakeups: &mut Wakeups,
    ) -> LockMode {
        let mut rows = self.rows(row);
        let found = enter(&mut rows, row);
        let strength = match value {
            None => LockMode::Update,
            // Not locked: a fresh row, which nobody can have locked in a weaker way.
            Some(_) => found.held(owner).unwrap_or(LockMode::Update),
        };
        found.flying.push(Flying { ts, batch, value, strength });
        found.holders.retain(|holder| holder.owner != owner);
        found.grant(wakeups);
        strength
    }

    /// The batch is applied (or lost).
    pub fn land(&self, row: &RowKey, batch: u64) {
        let mut rows = self.rows(row);
        if let Some(found) = find(&mut rows, row)
            && let Some(position) = found.flying.iter().position(|flying| flying.batch == batch)
        {
            found.flying.remove(position);
            leave(&mut rows, row);
            drop(rows);
            self.retire(row.hash, row.relation);
        }
    }

    /// A transaction that will write the row is prepared (and announced).
    pub fn prepare(&self, owner: Option<Owner>, row: &RowKey, txn: TxnId, ts: Timestamp) {
        let mut rows = self.rows(row);
        let found = enter(&mut rows, row);
        found.prepared = Some((txn, ts));
        if let Some(owner) = owner {
            found.holders.retain(|holder| holder.owner != owner);
        }
    }

    /// It is decided, and the decision is applied.
    pub fn decided(&self, row: &RowKey, txn: TxnId, wakeups: &mut Wakeups) {
        let mut rows = self.rows(row);
        if let Some(found) = find(&mut rows, row)
            && found.prepared.is_some_and(|(other, _)| other == txn)
        {
            found.prepared = None;
            found.grant(wakeups);
            leave(&mut rows, row);
            drop(rows);
            self.retire(row.hash, row.relation);
        }
    }

    /// Leadership is lost: everything goes, waiters are told.
    pub fn clear(&self, wakeups: &mut Wakeups) {
        for rows in &self.shards {
            for mut row in std::mem::take(&mut *rows.lock()) {
                for waiter in row.queue.drain(..) {
                    waiter.slot.complete(Grant::Lost, wakeups);
                }
                let pending = row.flying.len() + usize::from(row.prepared.is_some());
                (0..pending).for_each(|_| self.retire(row.key.hash, row.key.relation));
            }
        }
        let mut whole = self.whole.lock();
        let lost = whole.drain(..).flat_map(|lock| lock.waiters);
        let count = lost.map(|(_, slot)| slot.complete(Grant::Lost, wakeups)).count();
        tracing::debug!(count, "waiters for whole relations were sent away");
        self.whole_count.store(0, Ordering::SeqCst);
        drop(whole);
        self.gates.clear(wakeups);
        self.bulk.clear(wakeups);
    }

    pub fn waits(&self) -> &Arc<WaitGraph> {
        &self.waits
    }

    /// Rows known: for tests and metrics (`is_empty`: and no gate).
    pub fn len(&self) -> usize {
        self.shards.iter().map(|rows| rows.lock().len()).sum()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.gates.is_empty() && self.bulk.is_empty()
    }
}
