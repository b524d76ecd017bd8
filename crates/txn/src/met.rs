//! Whom a transaction met when it had to give way or to give up: for the client's DETAIL and for `hyrax_catalog.conflicts`.
//!
//! Owns which session began which of the last transactions. Nothing that is promised depends on what is told here: where it is
//! not known any more (the leader has forgotten, many transactions have come since), less is said.

use crate::{Gateway, SessionId, StorageId, TxnError};
use bytes::Bytes;
use shard::locks::{NAMES, Owner, RowKey};
use std::sync::atomic::{AtomicU64, Ordering};

/// Gates of relations; the key is the relation's id. Holds no rows, like `NAMES` (`catalog::rows` has 1 and 2).
pub(crate) const GATES: StorageId = StorageId(4);
/// Transactions of which the session is known.
const REMEMBERED: u64 = 1 << 16;

/// What was wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A row, or an index's entry; without a key: something in the relation.
    Row { relation: StorageId, key: Option<Bytes> },
    /// A relation (its id) as a whole.
    Relation(u32),
    /// Of an advisory lock, or of LOCK TABLE.
    Name(Bytes),
}

impl Place {
    pub(crate) fn of(row: &RowKey) -> Place {
        match (row.relation, <[u8; 4]>::try_from(&row.key[..])) {
            (GATES, Ok(id)) => Place::Relation(u32::from_be_bytes(id)),
            (NAMES, _) => Place::Name(Bytes::copy_from_slice(&row.key)),
            _ => Place::Row { relation: row.relation, key: Some(Bytes::copy_from_slice(&row.key)) },
        }
    }
}

/// The name under which a relation's gate is waited for.
pub(crate) fn gate_name(relation: u32) -> RowKey {
    RowKey::new(GATES, &relation.to_be_bytes())
}

/// A transaction, and its session where that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Party {
    pub txn: u64,
    pub session: Option<SessionId>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Met {
    /// None: it is not known where.
    pub place: Option<Place>,
    /// Who was in the way.
    pub others: Vec<Party>,
    /// Of a deadlock: who waited for what, this transaction first, each for the next, the last for the first.
    pub cycle: Vec<(Party, Place)>,
}

/// Which session began a transaction, for the last ones.
pub(crate) struct Beginners(Box<[AtomicU64]>);

impl Default for Beginners {
    fn default() -> Beginners {
        Beginners((0..REMEMBERED).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Beginners {
    fn place(&self, owner: Owner) -> Option<&AtomicU64> {
        self.0.get((owner.0 % REMEMBERED) as usize)
    }

    /// The low halves of both numbers: enough to tell the last ones apart.
    pub fn note(&self, owner: Owner, session: SessionId) {
        if let Some(place) = self.place(owner) {
            place.store(owner.0 << 32 | session.0 & u64::from(u32::MAX), Ordering::Relaxed);
        }
    }

    fn session_of(&self, owner: Owner) -> Option<SessionId> {
        let noted = self.place(owner)?.load(Ordering::Relaxed);
        let session = noted & u64::from(u32::MAX);
        (noted >> 32 == owner.0 & u64::from(u32::MAX) && session != 0).then_some(SessionId(session))
    }
}

impl Gateway {
    pub(crate) fn party(&self, owner: Owner) -> Party {
        Party { txn: owner.0, session: self.beginners().session_of(owner) }
    }

    pub(crate) fn met(&self, place: Option<Place>, others: &[Owner]) -> Met {
        Met { place, others: others.iter().map(|owner| self.party(*owner)).collect(), cycle: vec![] }
    }

    /// What an error of the commit met.
    pub(crate) fn met_by(&self, error: &TxnError) -> Option<Met> {
        match error {
            TxnError::Conflict(conflict) => {
                let place = (conflict.relation != StorageId(0))
                    .then(|| Place::Row { relation: conflict.relation, key: conflict.key.clone() });
                Some(self.met(place, conflict.other.map(Owner).as_slice()))
            }
            TxnError::SchemaChanged { relation } => Some(self.met(Some(Place::Relation(*relation)), &[])),
            _ => None,
        }
    }
}
