//! Waiting that ends: by the answer, by cancel, by the statement's deadline, by `lock_timeout`, by deadlock.

use crate::cancel::{CancelFlag, CancelReason};
use crate::met::Place as Wanted;
use crate::transaction::Transaction;
use crate::{Result, TxnError};
use host::Host;
use shard::locks::{DEADLOCK_AFTER, Grant, Owner, RowKey, Ticket};
use shard::wake::Wakeups;
use shard::{LockMode, Shard};
use std::time::Duration;

/// A waiter whose search for a cycle found none looks again: a chain may have been longer than one search follows.
const SEARCH_AGAIN: Duration = Duration::from_millis(250);

pub struct Limits<'a> {
    pub host: &'a Host,
    pub cancel: CancelFlag,
    pub deadline: Option<Duration>,
}

impl Limits<'_> {
    /// Waits for something that needs no cleaning up when it is given up.
    pub async fn wait<T>(&self, what: impl Future<Output = T>) -> Result<T> {
        tokio::pin!(what);
        tokio::select! {
            biased;
            value = &mut what => Ok(value),
            reason = self.cancel.wait() => Err(cancelled(reason)),
            () = sleep_until(self.host, self.deadline) => Err(TxnError::Deadline),
        }
    }
}

pub fn cancelled(reason: CancelReason) -> TxnError {
    match reason {
        CancelReason::User => TxnError::Cancelled,
        CancelReason::StatementTimeout => TxnError::Deadline,
        CancelReason::Terminate => TxnError::Terminated,
    }
}

async fn sleep_until(host: &Host, at: Option<Duration>) {
    match at {
        Some(at) => host::clock::sleep(at.saturating_sub(host.clock.monotonic())).await,
        None => std::future::pending().await,
    }
}

/// What to do with a lock that was granted while its waiter gave up: nobody would know of it.
#[derive(Clone, Copy)]
pub enum Undo {
    /// A row's lock goes back to what was held before.
    Row(Option<LockMode>),
    /// Gates open when the transaction ends.
    Nothing,
}

/// A place in a lock's queue, left when it is dropped without the lock.
struct Place<'a> {
    shard: &'a Shard,
    owner: Owner,
    row: &'a RowKey,
    ticket: Ticket,
    undo: Undo,
    is_done: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shard.rows().waits().remove(self.owner);
        if self.is_done {
            return;
        }
        let mut wakeups = Wakeups::default();
        if self.shard.rows().abandon(self.row, &self.ticket, &mut wakeups)
            && let Undo::Row(before) = self.undo
        {
            self.shard.rows().release(self.owner, self.row, before, &mut wakeups);
        }
        wakeups.wake();
    }
}

/// Waits in a lock's queue. `Again`: the holder of the whole relation, or of its gate, has gone: ask once more. `owner` is the
/// transaction's, or that of its session's names. `patience`: at most so long, whatever `lock_timeout` says. For a gate `row` is a name that no row has.
pub async fn for_lock(
    txn: &Transaction,
    shard: &Shard,
    owner: Owner,
    row: &RowKey,
    ticket: Ticket,
    undo: Undo,
    patience: Option<Duration>,
) -> Result<Grant> {
    let (limits, lock_timeout) = (txn.limits(), txn.state().lock_timeout);
    let lock_timeout = patience.into_iter().chain(lock_timeout).min();
    txn.inner.gateway.metrics().lock_waits.increment(1);
    let started = limits.host.clock.monotonic();
    let give_up = lock_timeout.map(|timeout| started + timeout);
    let mut search = started + DEADLOCK_AFTER;
    let waits = shard.rows().waits();
    let mut place = Place { shard, owner, row, ticket, undo, is_done: false };
    waits.add(owner, shard.rows(), row, limits.host.clock.wall());
    loop {
        let grant = tokio::select! {
            biased;
            grant = place.ticket.slot.wait() => grant,
            reason = limits.cancel.wait() => return Err(cancelled(reason)),
            () = sleep_until(limits.host, limits.deadline) => return Err(TxnError::Deadline),
            () = sleep_until(limits.host, give_up) => {
                txn.note_met(row, &waits.waits_for(owner));
                return Err(TxnError::LockTimeout);
            }
            () = sleep_until(limits.host, Some(search)) => {
                let mut wakeups = Wakeups::default();
                for victim in waits.search(owner, &mut wakeups) {
                    tracing::debug!(victim = victim.0, "deadlock");
                }
                wakeups.wake();
                search = limits.host.clock.monotonic() + SEARCH_AGAIN;
                continue;
            }
        };
        place.is_done = true;
        return match grant {
            Grant::Granted | Grant::Again => Ok(grant),
            Grant::Deadlock => {
                note_cycle(txn, shard, owner, row);
                Err(TxnError::Deadlock)
            }
            Grant::Lost => Err(TxnError::NotServing),
        };
    }
}

fn note_cycle(txn: &Transaction, shard: &Shard, owner: Owner, row: &RowKey) {
    let gateway = &txn.inner.gateway;
    let cycle = shard.rows().waits().take_cycle(owner);
    let others: Vec<Owner> = cycle.get(1).map(|wait| wait.owner).into_iter().collect();
    let mut met = gateway.met(Some(Wanted::of(row)), &others);
    met.cycle = cycle.iter().map(|wait| (gateway.party(wait.owner), Wanted::of(&wait.row))).collect();
    txn.state().met = Some(Box::new(met));
}
