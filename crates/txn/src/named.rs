//! Locks by name that belong to no transaction: what advisory locks are made of.
//!
//! A holder (a session) is an owner of its own in the lock table of the meta shard, under a storage id that has no rows: waiting,
//! order, timeouts, cancel and the search for deadlocks are those of row locks, and the holder's current transaction is its
//! partner there. How often a name is locked, and by which level, is the session's to count.
//!
//! Lost with the meta shard's leadership, as all locks are: `is_lost` says so, and who relied on one must not go on.

use crate::gateway::Gateway;
use crate::transaction::{SessionId, Transaction};
use crate::{Home, Result, TxnError, wait};
use parking_lot::Mutex;
use shard::locks::{Attempt, Grant, NAMES, Owner, RowKey};
use shard::{LockMode, WaitPolicy};
use std::sync::Arc;

pub struct NamedLocks {
    gateway: Arc<Gateway>,
    owner: Owner,
    /// The leader's term in which the oldest lock was granted.
    term: Mutex<Option<u64>>,
}

impl NamedLocks {
    pub fn new(gateway: Arc<Gateway>, session: SessionId) -> NamedLocks {
        let owner = Owner(gateway.next_transaction());
        gateway.beginners().note(owner, session);
        NamedLocks { gateway, owner, term: Mutex::default() }
    }

    /// Locks a name, or makes the lock stronger. False: NOWAIT, and somebody else has it. `txn` is the transaction whose
    /// deadline, `lock_timeout` and cancel flag count.
    pub async fn lock(
        &self,
        txn: &Transaction,
        name: &[u8],
        mode: LockMode,
        before: Option<LockMode>,
        wait: WaitPolicy,
    ) -> Result<bool> {
        let Some(shard) = self.gateway.shard(Home::Meta).cloned() else { return Err(TxnError::NotServing) };
        let row = RowKey::new(NAMES, name);
        self.join(txn);
        loop {
            let term = shard.term()?;
            match shard.rows().acquire(self.owner, &row, mode, wait) {
                Attempt::Granted(_) => {
                    self.term.lock().get_or_insert(term);
                    return Ok(true);
                }
                Attempt::Busy => return Ok(false),
                Attempt::TooMany => {
                    let limit = shard::locks::WAITERS_MAX as u64;
                    return Err(TxnError::Limit { what: "too many transactions wait for one lock", limit });
                }
                Attempt::Wait(ticket) => {
                    let undo = wait::Undo::Row(before);
                    let grant = wait::for_lock(txn, &shard, self.owner, &row, ticket, undo, None).await?;
                    if grant == Grant::Granted {
                        self.term.lock().get_or_insert(term);
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Gives a lock back, or down to `to`.
    pub fn release(&self, name: &[u8], to: Option<LockMode>) {
        if let Some(shard) = self.gateway.shard(Home::Meta) {
            shard.release(self.owner, &RowKey::new(NAMES, name), to);
        }
    }

    /// The last lock has gone back.
    pub fn forget_term(&self) {
        *self.term.lock() = None;
    }

    /// Whether locks that were granted are gone with the leader that knew of them.
    pub fn is_lost(&self) -> bool {
        let Some(granted_in) = *self.term.lock() else { return false };
        self.gateway.shard(Home::Meta).is_none_or(|shard| shard.term().ok() != Some(granted_in))
    }

    /// The number under which the session's names are held, in place of a transaction's.
    pub fn number(&self) -> u64 {
        self.owner.0
    }

    /// `txn` waits and is waited for as the holder.
    pub fn join(&self, txn: &Transaction) {
        if let Some(shard) = self.gateway.shard(Home::Meta) {
            shard.rows().waits().join(self.owner, txn.inner.owner);
        }
    }
}

impl Drop for NamedLocks {
    /// The caller has given its locks back.
    fn drop(&mut self) {
        if let Some(shard) = self.gateway.shard(Home::Meta) {
            shard.rows().waits().part(self.owner);
        }
    }
}
