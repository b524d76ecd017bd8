//! Transactions and their locks for those who only look: pg_locks, pg_stat_activity, pg_blocking_pids.
//!
//! What is seen is of no one moment: each lock table and each transaction is looked at by itself.

use crate::met::{Party, Place};
use crate::transaction::{Inner, Transaction};
use crate::{Gateway, Home, Timestamp};
use shard::locks::{Owner, Wait};
use std::sync::{Arc, Weak};
use types::TableLock;

pub use shard::locks::{Bar, Inside, Stand};

/// A transaction that may be over.
#[derive(Clone, Default)]
pub struct WeakTransaction(Weak<Inner>);

/// What a transaction is, as others may see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TxnFacts {
    pub id: u64,
    /// ZERO before its first statement.
    pub snapshot: Timestamp,
    pub has_writes: bool,
    pub has_locks: bool,
    /// Relations (ids) that it was planned against or has read.
    pub touched: Vec<u32>,
    /// What LOCK TABLE and DDL have locked.
    pub tables: Vec<(u32, TableLock)>,
    /// The one that it asks for now.
    pub wanted: Option<(u32, TableLock)>,
}

/// Somebody who waits for a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiter {
    pub party: Party,
    pub place: Place,
    /// Microseconds since 1970.
    pub since: i64,
    /// Nobody else is before it in the queue.
    pub is_next: bool,
    pub others: Vec<Party>,
}

impl Transaction {
    pub fn downgrade(&self) -> WeakTransaction {
        WeakTransaction(Arc::downgrade(&self.inner))
    }
}

impl WeakTransaction {
    /// None: it is over.
    pub fn facts(&self) -> Option<TxnFacts> {
        let txn = Transaction { inner: self.0.upgrade()? };
        let state = txn.state();
        if state.is_over {
            return None;
        }
        Some(TxnFacts {
            id: txn.inner.owner.0,
            snapshot: state.snapshot.unwrap_or_default(),
            has_writes: state.has_writes(),
            has_locks: state.parts.iter().any(|part| !part.locks.is_empty()),
            touched: state.parts.iter().flat_map(|part| part.schemas.iter().map(|schema| schema.relation)).collect(),
            tables: state.tables.clone(),
            wanted: state.wanted,
        })
    }
}

impl Gateway {
    /// What a transaction, or a holder of named locks, waits for now.
    pub fn wait_of(&self, number: u64) -> Option<Waiter> {
        let waits = self.shard(Home::Meta)?.rows().waits().clone();
        let wait: Wait = waits.wait_of(Owner(number))?;
        let others = waits.waits_for(wait.owner).into_iter().map(|owner| self.party(owner)).collect();
        Some(Waiter {
            party: self.party(wait.owner),
            place: Place::of(&wait.row),
            since: wait.since,
            is_next: waits.is_next(&wait),
            others,
        })
    }

    /// Who writes to which relation (its id), locks rows of it, or keeps others out; by transaction and relation.
    pub fn stands(&self) -> Vec<(u64, u32, Stand)> {
        let Some(shard) = self.shard(Home::Data) else { return vec![] };
        let mut all: Vec<(u64, u32, Stand)> =
            shard.rows().stands().into_iter().map(|(owner, relation, stand)| (owner.0, relation, stand)).collect();
        all.sort_by_key(|(owner, relation, _)| (*owner, *relation));
        all
    }
}
