//! Advisory locks of one session: counted here, kept by `txn::NamedLocks`.
//!
//! I1  A name is locked in the lock table as strongly as the strongest of its counts asks, and not at all when all are 0.
//! I2  Locks of the transaction go when it ends, or back to a savepoint; those of the session stay, whatever becomes of the
//!     transaction that took them (but for one that is executed again: `undo_taken`).
//! I3  A session never waits for itself: all its advisory locks have one owner.

use crate::locks::LockRow;
use exec::{AdvisoryKey, AdvisoryRequest};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use txn::{Gateway, LockMode, NamedLocks, SessionId, Transaction, WaitPolicy};
use types::{Oid, Result, SqlError, SqlState};

/// Different locks of one session.
const LOCKS_MAX: usize = 100_000;

/// How often a name is locked.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
struct Counts {
    /// [exclusive, shared] of the session, and of the transaction.
    session: [u32; 2],
    transaction: [u32; 2],
}

impl Counts {
    fn mode(&self) -> Option<LockMode> {
        match (self.session[0] + self.transaction[0], self.session[1] + self.transaction[1]) {
            (0, 0) => None,
            (0, _) => Some(LockMode::Share),
            _ => Some(LockMode::Update),
        }
    }
}

#[derive(Default)]
struct Held {
    counts: BTreeMap<AdvisoryKey, Counts>,
    /// What the transaction has locked, in order.
    of_transaction: Vec<(AdvisoryKey, bool)>,
    /// What the session has locked since the transaction began.
    taken: Vec<(AdvisoryKey, bool)>,
}

pub(crate) struct Advisory {
    database: Oid,
    locks: NamedLocks,
    held: Mutex<Held>,
    /// Asked at each transaction's begin.
    has_any: AtomicBool,
    waiting: Mutex<Option<Wanted>>,
}

/// The lock's name in the lock table.
fn name(database: Oid, key: AdvisoryKey) -> [u8; 13] {
    let mut name = [0; 13];
    let parts = [database.to_be_bytes(), key.class.to_be_bytes(), key.object.to_be_bytes()];
    name.iter_mut().zip(parts.as_flattened()).for_each(|(to, from)| *to = *from);
    if let Some(last) = name.last_mut() {
        *last = key.kind;
    }
    name
}

fn mode_name(is_shared: bool) -> &'static str {
    if is_shared { "ShareLock" } else { "ExclusiveLock" }
}

/// A lock that is waited for.
#[derive(Clone, Copy)]
struct Wanted {
    key: AdvisoryKey,
    is_shared: bool,
    /// Microseconds since 2000-01-01 UTC.
    since: i64,
}

/// Clears the mark of a wait that ends, however it ends.
struct Waiting<'a>(&'a Mutex<Option<Wanted>>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl Advisory {
    pub fn new(gateway: Arc<Gateway>, session: SessionId, database: Oid) -> Advisory {
        Advisory {
            database,
            locks: NamedLocks::new(gateway, session),
            held: Mutex::default(),
            has_any: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    pub async fn lock(&self, txn: &Transaction, key: AdvisoryKey, request: AdvisoryRequest) -> Result<bool> {
        let before = {
            let held = self.held.lock();
            if held.counts.len() >= LOCKS_MAX && !held.counts.contains_key(&key) {
                return Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of shared memory")
                    .detail(format!("A session can hold {LOCKS_MAX} advisory locks.")));
            }
            held.counts.get(&key).and_then(Counts::mode)
        };
        let mode = if request.is_shared { LockMode::Share } else { LockMode::Update };
        if before.is_none_or(|held| held < mode) {
            let wait = if request.waits { WaitPolicy::Wait } else { WaitPolicy::NoWait };
            let since = crate::shared::from_unix(txn.wall_clock());
            *self.waiting.lock() = request.waits.then_some(Wanted { key, is_shared: request.is_shared, since });
            let _waiting = Waiting(&self.waiting);
            if !self.locks.lock(txn, &name(self.database, key), mode, before, wait).await? {
                return Ok(false);
            }
        }
        self.has_any.store(true, Ordering::Relaxed);
        let mut held = self.held.lock();
        let counts = held.counts.entry(key).or_default();
        let place = usize::from(request.is_shared);
        let of = if request.is_of_transaction { &mut counts.transaction } else { &mut counts.session };
        of.iter_mut().skip(place).take(1).for_each(|count| *count = count.saturating_add(1));
        match request.is_of_transaction {
            true => held.of_transaction.push((key, request.is_shared)),
            false => held.taken.push((key, request.is_shared)),
        }
        Ok(true)
    }

    /// Lowers a count, and the lock with it. False: it was 0.
    fn lower(&self, held: &mut Held, key: AdvisoryKey, is_shared: bool, of_transaction: bool) -> bool {
        let Some(counts) = held.counts.get_mut(&key) else { return false };
        let before = counts.mode();
        let of = if of_transaction { &mut counts.transaction } else { &mut counts.session };
        let Some(count) = of.get_mut(usize::from(is_shared)).filter(|count| **count > 0) else { return false };
        *count -= 1;
        let after = counts.mode();
        if after.is_none() {
            held.counts.remove(&key);
        }
        if after != before {
            self.locks.release(&name(self.database, key), after);
        }
        if held.counts.is_empty() {
            self.locks.forget_term();
            self.has_any.store(false, Ordering::Relaxed);
        }
        true
    }

    /// Gives one lock of the session back; the warning where it has none.
    pub fn unlock(&self, key: AdvisoryKey, is_shared: bool) -> Option<SqlError> {
        let mut held = self.held.lock();
        if self.lower(&mut held, key, is_shared, false) {
            if let Some(at) = held.taken.iter().rposition(|taken| *taken == (key, is_shared)) {
                held.taken.remove(at);
            }
            return None;
        }
        let message = format!("you don't own a lock of type {}", mode_name(is_shared));
        Some(crate::utility::warning(SqlState::WARNING, &message))
    }

    /// All of the session's, none of the transaction's.
    pub fn unlock_all(&self) {
        let mut held = self.held.lock();
        held.taken.clear();
        let all: Vec<(AdvisoryKey, Counts)> = held.counts.iter().map(|(key, counts)| (*key, *counts)).collect();
        for (key, counts) in all {
            let [exclusive, shared] = counts.session;
            for (count, is_shared) in [(exclusive, false), (shared, true)] {
                for _ in 0..count {
                    self.lower(&mut held, key, is_shared, false);
                }
            }
        }
    }

    // --- with transactions

    pub fn begin(&self, txn: &Transaction) {
        if self.has_any.load(Ordering::Relaxed) {
            self.locks.join(txn);
        }
    }

    /// A place for `rewind`.
    pub fn mark(&self) -> usize {
        if self.has_any.load(Ordering::Relaxed) { self.held.lock().of_transaction.len() } else { 0 }
    }

    /// The transaction goes back to a savepoint, or (0) ends.
    pub fn rewind(&self, mark: usize) {
        if !self.has_any.load(Ordering::Relaxed) {
            return;
        }
        let mut held = self.held.lock();
        while held.of_transaction.len() > mark {
            if let Some((key, is_shared)) = held.of_transaction.pop() {
                self.lower(&mut held, key, is_shared, true);
            }
        }
    }

    pub fn end_transaction(&self) {
        self.rewind(0);
        if self.has_any.load(Ordering::Relaxed) {
            self.held.lock().taken.clear();
        }
    }

    /// A statement is executed again: what the session locked in the attempt before goes back.
    pub fn undo_taken(&self) {
        if !self.has_any.load(Ordering::Relaxed) {
            return;
        }
        let mut held = self.held.lock();
        for (key, is_shared) in std::mem::take(&mut held.taken) {
            self.lower(&mut held, key, is_shared, false);
        }
    }

    /// 57P01 where locks are gone with the leader that knew of them: the session must not go on as if it had them.
    pub fn check(&self) -> Result<()> {
        if !self.has_any.load(Ordering::Relaxed) || !self.locks.is_lost() {
            return Ok(());
        }
        let message = "terminating connection because its advisory locks were lost";
        Err(SqlError::new(SqlState::ADMIN_SHUTDOWN, message)
            .severity(types::Severity::Fatal)
            .detail("The node that kept them no longer leads."))
    }

    // --- to be looked at

    /// The number under which the lock table knows its holder.
    pub fn number(&self) -> u64 {
        self.locks.number()
    }

    /// Rows of pg_locks.
    pub fn rows(&self) -> Vec<LockRow> {
        let row = |key: AdvisoryKey, is_shared: bool| LockRow {
            advisory: Some((key.class, key.object, i16::from(key.kind))),
            ..LockRow::new("advisory", mode_name(is_shared))
        };
        let mut rows = vec![];
        for (key, counts) in &self.held.lock().counts {
            for (place, is_shared) in [(0, false), (1, true)] {
                let count = |of: &[u32; 2]| of.get(place).copied().unwrap_or(0);
                if count(&counts.session) + count(&counts.transaction) > 0 {
                    rows.push(row(*key, is_shared));
                }
            }
        }
        if let Some(waiting) = *self.waiting.lock() {
            rows.push(LockRow { waits_since: Some(waiting.since), ..row(waiting.key, waiting.is_shared) });
        }
        rows
    }
}

impl Drop for Advisory {
    fn drop(&mut self) {
        self.rewind(0);
        self.unlock_all();
    }
}
