//! Locking ahead (decision 0007): a block that begins by reading a row which other blocks have lately read and then met changed
//! takes the row's lock first, so that it reads what it may then write instead of failing with 40001 when it does.
//!
//! It is a guess that saves work, and nothing depends on it:
//!
//! - A1  Only the first read of a read-write block at SERIALIZABLE does so, while it holds and has read nothing: its snapshot can
//!   still move, and no cycle of waits goes through it.
//! - A2  It waits for `WAIT` at most and then reads as if nothing had been, and it passes no closed gate.
//! - A3  A lock that the block has not made its own within `HOLD`, or by `HOLD_STATEMENTS` statements, goes back: who reads and then
//!   thinks, or reads on, must not keep writers waiting. The span that the lock left stays, and is validated at the commit like any
//!   other (R9).
//! - A4  A guess that was wrong (the lock was not used by then, or by the commit) is not repeated until the row is met changed again.

use crate::lock::{Purpose, Request};
use crate::state::{Ahead, State};
use crate::transaction::{Inner, Locked, Transaction};
use crate::{Home, LockMode, RelationRef, Result, TxnError, WaitPolicy};
use shard::locks::RowKey;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long such a lock is waited for.
const WAIT: Duration = Duration::from_millis(200);
/// How long it is kept for a block that has not written or locked the row by itself.
const HOLD: Duration = Duration::from_secs(1);
/// How many statements it is kept for: reads of some rows, and then the write.
const HOLD_STATEMENTS: u8 = 4;
/// How long a row counts as contended after a block met it changed.
const CONTENDED: Duration = Duration::from_secs(5);
/// Rows that are remembered; the newer of two with one place stays.
const PLACES: usize = 1024;
/// Bits of a place that hold when, in milliseconds of the node's clock (0: an empty place); the others are of the row's hash.
const WHEN_BITS: u32 = 40;

/// Rows that blocks have lately read and then met changed.
pub(crate) struct Contended {
    places: Box<[AtomicU64]>,
    /// Anything was ever noted: until then a read asks for nothing more.
    is_any: AtomicU64,
}

impl Default for Contended {
    fn default() -> Contended {
        Contended { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), is_any: AtomicU64::new(0) }
    }
}

impl Contended {
    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.places[hash as usize % PLACES]
    }

    fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Relaxed) != 0
    }

    pub fn note(&self, hash: u64, now: Duration) {
        self.place(hash).store(tagged(hash, millis(now)), Ordering::Relaxed);
        self.is_any.store(1, Ordering::Relaxed);
    }

    /// The guess was wrong.
    pub fn forget(&self, hash: u64) {
        let place = self.place(hash);
        let found = place.load(Ordering::Relaxed);
        if found == tagged(hash, found & ((1 << WHEN_BITS) - 1)) {
            // Whoever noted another row meanwhile stays.
            let _ = place.compare_exchange(found, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn contains(&self, hash: u64, now: Duration) -> bool {
        let found = self.place(hash).load(Ordering::Relaxed);
        let when = found & ((1 << WHEN_BITS) - 1);
        when != 0 && found == tagged(hash, when) && millis(now).saturating_sub(when) < CONTENDED.as_millis() as u64
    }
}

fn tagged(hash: u64, when: u64) -> u64 {
    hash >> WHEN_BITS << WHEN_BITS | when
}

fn millis(now: Duration) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX).clamp(1, (1 << WHEN_BITS) - 1)
}

impl Transaction {
    /// Whether a block that reads this row first, and then writes it, would be likely to fail.
    pub(crate) fn is_contended(&self, relation: &RelationRef, key: &[u8]) -> bool {
        let gateway = &*self.inner.gateway;
        if relation.home != Home::Data || !gateway.contended().is_any() || !self.leaves_spans() {
            return false;
        }
        let row = RowKey::new(relation.storage, key);
        gateway.contended().contains(row.hash, gateway.host().clock.monotonic()) && self.has_done_nothing()
    }

    /// Before such a row is read: takes its lock.
    pub(crate) async fn lock_ahead(&self, relation: &RelationRef, key: &[u8]) -> Result<()> {
        let gateway = &*self.inner.gateway;
        // A closed gate would be waited for without a bound.
        if self.enter_now(self.state().part(relation.home), relation).is_err() {
            return Ok(());
        }
        let request = Request {
            mode: LockMode::NoKeyUpdate,
            wait: WaitPolicy::Wait,
            purpose: Purpose::Newest,
            patience: Some(WAIT),
        };
        let seen =
            |locked: Locked<'_>| matches!(locked, Locked::Row { changed: true, .. } | Locked::Absent { changed: true });
        match self.lock_row(relation, key, request, seen).await {
            Ok(has_changed) => {
                let row = RowKey::new(relation.storage, key);
                if has_changed {
                    gateway.contended().note(row.hash, gateway.host().clock.monotonic());
                }
                gateway.metrics().locked_ahead.increment(1);
                self.give_back_later(row);
                Ok(())
            }
            Err(TxnError::LockTimeout | TxnError::Limit { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn has_done_nothing(&self) -> bool {
        let state = self.state();
        let is_new =
            |part: &crate::state::Part| part.locks.is_empty() && part.reads.is_empty() && part.buffer.is_empty();
        state.newest.is_none() && state.savepoints.is_empty() && state.parts.iter().all(is_new)
    }

    /// A3. One more statement begins.
    pub(crate) fn count_ahead(&self, state: &mut State) {
        let Some(ahead) = &mut state.ahead else { return };
        ahead.statements += 1;
        if ahead.statements < HOLD_STATEMENTS {
            return;
        }
        if let (Some(ahead), Some(shard)) = (state.ahead.take(), self.inner.gateway.shard(Home::Data)) {
            self.inner.gateway.contended().forget(ahead.row.hash);
            // Under the mutex: who asks for the lock now takes it anew.
            shard.release(self.inner.owner, &ahead.row, None);
        }
    }

    /// A3. The lock goes, the span that it left stays.
    fn give_back_later(&self, row: RowKey) {
        self.state().ahead = Some(Ahead { row, statements: 0 });
        let inner: Weak<Inner> = Arc::downgrade(&self.inner);
        let task = async move {
            host::clock::sleep(HOLD).await;
            let Some(inner) = inner.upgrade() else { return };
            let mut state = inner.state.lock();
            if let (false, Some(ahead), Some(shard)) =
                (state.is_over, state.ahead.take(), inner.gateway.shard(Home::Data))
            {
                inner.gateway.contended().forget(ahead.row.hash);
                // Under the mutex: who asks for the lock now takes it anew.
                shard.release(inner.owner, &ahead.row, None);
            }
        };
        self.inner.gateway.spawn().spawn("lock ahead", Box::pin(task));
    }
}

#[test]
fn a_contended_row_is_forgotten_after_a_while() {
    let (contended, second) = (Contended::default(), Duration::from_secs(1));
    assert!(!contended.is_any() && !contended.contains(7, second));
    let other = 7 + (1 << WHEN_BITS);
    contended.note(7, second);
    assert!(contended.is_any() && contended.contains(7, second * 2));
    assert!(!contended.contains(other, second), "another row of the same place");
    assert!(!contended.contains(7, second * 6));
    contended.note(other, second * 2);
    assert!(contended.contains(other, second * 2) && !contended.contains(7, second * 2));
}
