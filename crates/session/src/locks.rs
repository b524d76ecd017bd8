//! Locks as relations and functions: pg_locks, pg_blocking_pids, what pg_stat_activity says of waiting.
//!
//! As PostgreSQL has them: a transaction's own numbers, the relations that it has touched, written to or locked, advisory locks;
//! of rows, those that somebody waits for: the first in a row's queue waits for the transaction that has it, the others for the row
//! (`tuple`, whose page and tuple are not known here and NULL).

use crate::state::SessionState;
use std::collections::BTreeSet;
use std::sync::Arc;
use txn::{Bar, Inside, Place, Stand, TableLock, TxnFacts, Waiter};
use types::{Datum, Oid};

/// A row of pg_locks, before it is one.
#[derive(Default)]
pub(crate) struct LockRow {
    pub kind: &'static str,
    pub relation: Option<Oid>,
    pub virtual_txn: Option<String>,
    pub txn: Option<u64>,
    /// classid, objid, objsubid of an advisory lock.
    pub advisory: Option<(u32, u32, i16)>,
    pub mode: &'static str,
    pub waits_since: Option<i64>,
}

fn optional<T>(value: Option<T>, make: impl FnOnce(T) -> Datum) -> Datum {
    value.map_or(Datum::Null, make)
}

/// The number of a transaction as `xid` shows it.
pub(crate) fn xid(txn: u64) -> Datum {
    Datum::Oid(txn as u32)
}

impl LockRow {
    pub fn new(kind: &'static str, mode: &'static str) -> LockRow {
        LockRow { kind, mode, ..LockRow::default() }
    }

    pub fn into_datums(self, of: &SessionState) -> Vec<Datum> {
        let has_database = matches!(self.kind, "relation" | "tuple" | "advisory");
        vec![
            Datum::text(self.kind),
            if has_database { Datum::Oid(of.database) } else { Datum::Null },
            optional(self.relation, Datum::Oid),
            Datum::Null,
            Datum::Null,
            optional(self.virtual_txn, Datum::text),
            optional(self.txn, xid),
            optional(self.advisory, |(class, ..)| Datum::Oid(class)),
            optional(self.advisory, |(_, object, _)| Datum::Oid(object)),
            optional(self.advisory, |(.., kind)| Datum::Int2(kind)),
            Datum::text(virtual_name(of)),
            Datum::Int4(of.process_id),
            Datum::text(self.mode),
            Datum::Bool(self.waits_since.is_none()),
            Datum::Bool(false),
            optional(self.waits_since, Datum::TimestampTz),
        ]
    }
}

fn virtual_name(of: &SessionState) -> String {
    format!("{}/{}", of.id.0, of.transaction_facts().map_or(0, |facts| facts.id))
}

fn stand_name(stand: Stand) -> &'static str {
    let mode = match stand {
        Stand::Inside(Inside::Locks) => TableLock::RowShare,
        Stand::Inside(Inside::Writes) => TableLock::RowExclusive,
        Stand::Closed { bar: Bar::Shared, .. } => TableLock::Share,
        Stand::Closed { bar: Bar::Writers, .. } => TableLock::ShareRowExclusive,
        Stand::Closed { bar: Bar::All, .. } => TableLock::AccessExclusive,
    };
    mode.name()
}

/// `wait_event` of somebody who waits for a lock.
pub(crate) fn wait_event(waiter: &Waiter) -> &'static str {
    match &waiter.place {
        Place::Row { .. } if waiter.is_next => "transactionid",
        Place::Row { .. } => "tuple",
        Place::Relation(_) => "relation",
        Place::Name(name) if txn::named_relation(name).is_some() => "relation",
        Place::Name(_) => "advisory",
    }
}

/// The waiting row of a transaction; an advisory lock's is the session's own business.
fn waiting_row(waiter: &Waiter, facts: &TxnFacts, of: &SessionState) -> Option<LockRow> {
    let of_relation = |relation, otherwise: TableLock| {
        let wanted = facts.wanted.filter(|(id, _)| *id == relation).map_or(otherwise, |(_, mode)| mode);
        LockRow { relation: Some(relation), ..LockRow::new("relation", wanted.name()) }
    };
    let mut row = match &waiter.place {
        Place::Row { .. } if waiter.is_next => {
            let txn = waiter.others.first().map(|other| other.txn);
            LockRow { txn, ..LockRow::new("transactionid", "ShareLock") }
        }
        Place::Row { relation, .. } => {
            let found = exec::find_storage(&of.shared.snapshot(), relation.0);
            let relation = found.map(|found| found.relation.id);
            LockRow { relation, ..LockRow::new("tuple", "ExclusiveLock") }
        }
        Place::Relation(id) => of_relation(*id, TableLock::RowExclusive),
        Place::Name(name) => of_relation(txn::named_relation(name)?, TableLock::AccessExclusive),
    };
    row.waits_since = Some(crate::shared::from_unix(waiter.since));
    Some(row)
}

/// Rows of one session's transaction. `stands`: of all transactions, by number.
fn of_transaction(of: &SessionState, facts: &TxnFacts, stands: &[(u64, u32, Stand)]) -> Vec<LockRow> {
    let mut rows = vec![LockRow { virtual_txn: Some(virtual_name(of)), ..LockRow::new("virtualxid", "ExclusiveLock") }];
    if facts.has_writes || facts.has_locks {
        rows.push(LockRow { txn: Some(facts.id), ..LockRow::new("transactionid", "ExclusiveLock") });
    }
    let named: BTreeSet<(u32, &'static str)> =
        facts.tables.iter().map(|(relation, mode)| (*relation, mode.name())).collect();
    let mut relations = named.clone();
    let is_named = |relation: &u32| named.iter().any(|(other, _)| other == relation);
    relations.extend(
        facts.touched.iter().filter(|relation| !is_named(relation)).map(|relation| (*relation, "AccessShareLock")),
    );
    let from = stands.partition_point(|(owner, ..)| *owner < facts.id);
    for (_, relation, stand) in stands.get(from..).unwrap_or_default().iter().take_while(|(o, ..)| *o == facts.id) {
        // What LOCK TABLE has closed is told by its own mode.
        let is_told = is_named(relation) && matches!(stand, Stand::Closed { .. });
        if !is_told && !matches!(stand, Stand::Closed { is_granted: false, .. }) {
            relations.insert((*relation, stand_name(*stand)));
        }
    }
    let is_known = |id: u32| of.shared.snapshot().relation(id).is_some();
    let of_relation = |(id, mode)| LockRow { relation: Some(id), ..LockRow::new("relation", mode) };
    rows.extend(relations.into_iter().filter(|(id, _)| is_known(*id)).map(of_relation));
    rows.extend(of.shared.gateway.wait_of(facts.id).and_then(|waiter| waiting_row(&waiter, facts, of)));
    rows
}

/// pg_locks.
pub(crate) fn all_rows(me: &SessionState) -> Vec<Vec<Datum>> {
    let stands = me.shared.gateway.stands();
    let mut rows = vec![];
    for session in me.shared.sessions() {
        let facts = session.transaction_facts();
        let of_transaction = facts.map_or(vec![], |facts| of_transaction(&session, &facts, &stands));
        let all = of_transaction.into_iter().chain(session.advisory.rows());
        rows.extend(all.map(|row| row.into_datums(&session)));
    }
    rows
}

impl SessionState {
    /// What this session's statement waits for.
    pub(crate) fn waiter(&self) -> Option<Waiter> {
        let number = self.transaction_facts().map_or_else(|| self.advisory.number(), |facts| facts.id);
        self.shared.gateway.wait_of(number).or_else(|| self.shared.gateway.wait_of(self.advisory.number()))
    }

    pub(crate) fn blockers_of(&self, process_id: i32) -> Vec<i32> {
        let sessions: Vec<Arc<SessionState>> = self.shared.sessions();
        let Some(waiter) = sessions.iter().find(|s| s.process_id == process_id).and_then(|s| s.waiter()) else {
            return vec![];
        };
        let mut pids = vec![];
        for other in waiter.others.iter().filter_map(|other| self.shared.session(other.session?)) {
            if other.process_id != process_id && !pids.contains(&other.process_id) {
                pids.push(other.process_id);
            }
        }
        pids
    }

    pub(crate) fn has_transaction(&self, number: u64) -> bool {
        let is_its = |s: &Arc<SessionState>| s.transaction_facts().is_some_and(|facts| facts.id == number);
        self.shared.sessions().iter().any(is_its)
    }
}
