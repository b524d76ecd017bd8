//! Live state as relations, for one session's eyes: pg_settings, pg_stat_activity, pg_prepared_statements, pg_cursors.
//!
//! Owns no state. Rows have the columns that `catalog::virtuals` gives these relations. What a user may not see of other
//! users' sessions is NULL, as in PostgreSQL.

use crate::conflicts::{Conflict, Teller};
use crate::settings::{self, Kind, Parameter};
use crate::state::SessionState;
use catalog::Snapshot;
use catalog::privileges;
use catalog::virtuals::{Source, VirtualContext};
use exec::{SessionAccess, Signal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use txn::{Place, Timestamp, TxnFacts};
use types::array::Array;
use types::{Datum, Oid, oid};

const CONFLICTS: Oid = 13_901;
const PG_LOCKS: Oid = 12_073;
const PG_CURSORS: Oid = 12_077;
const PG_PREPARED_STATEMENTS: Oid = 12_095;
const PG_SETTINGS: Oid = 12_104;
const PG_STAT_ACTIVITY: Oid = 12_222;
const PG_STAT_SSL: Oid = 12_249;
const PG_STAT_GSSAPI: Oid = 12_253;
/// pg_read_all_stats and pg_signal_backend.
const READ_ALL_STATS: Oid = 3375;
const SIGNAL_BACKEND: Oid = 4200;

/// Relations whose rows the session must copy before a statement reads them.
pub(crate) const LISTS: [Oid; 2] = [PG_CURSORS, PG_PREPARED_STATEMENTS];

/// A session's named statements and cursors, as they were when the running statement began.
#[derive(Default)]
pub(crate) struct Lists {
    pub statements: Vec<Vec<Datum>>,
    pub cursors: Vec<Vec<Datum>>,
}

/// What a session sees.
pub(crate) struct Live(pub Arc<SessionState>);

impl Source for Live {
    fn rows(&self, relation: Oid, context: &VirtualContext<'_>) -> Option<Vec<Vec<Datum>>> {
        Some(match relation {
            PG_SETTINGS => settings_rows(&self.0),
            PG_STAT_ACTIVITY => self.0.shared.sessions().iter().map(|s| activity_row(s, context)).collect(),
            PG_STAT_SSL => self.0.shared.sessions().iter().map(|s| ssl_row(s, context)).collect(),
            PG_STAT_GSSAPI => self.0.shared.sessions().iter().map(|s| gssapi_row(s, context)).collect(),
            PG_LOCKS => crate::locks::all_rows(&self.0),
            CONFLICTS => conflict_rows(&self.0, context),
            PG_PREPARED_STATEMENTS => self.0.lists.lock().statements.clone(),
            PG_CURSORS => self.0.lists.lock().cursors.clone(),
            _ => return None,
        })
    }
}

fn text(value: &str) -> Datum {
    Datum::text(value)
}

fn optional(value: Option<impl Into<String>>) -> Datum {
    value.map_or(Datum::Null, |v| Datum::text(v.into()))
}

// --- pg_settings

fn settings_rows(state: &SessionState) -> Vec<Vec<Datum>> {
    let mut all: Vec<&Parameter> = settings::all().iter().collect();
    all.sort_by_key(|p| p.name.to_lowercase());
    all.into_iter().map(|parameter| setting_row(state, parameter)).collect()
}

/// A printed value in the parameter's unit: `4GB` is 524288 of 8 kB.
fn in_unit(parameter: &Parameter, printed: &str) -> String {
    match parameter.kind {
        Kind::Time { .. } => {
            settings::parse_milliseconds(printed).map_or_else(|| printed.to_owned(), |ms| ms.to_string())
        }
        Kind::Memory { unit_kb, .. } => {
            let kilobytes = settings::parse_bytes(printed).map(|bytes| bytes / 1024);
            let units = kilobytes.zip(u64::try_from(unit_kb).ok()).map(|(kb, unit)| kb / unit.max(1));
            units.map_or_else(|| printed.to_owned(), |units| units.to_string())
        }
        _ => printed.to_owned(),
    }
}

fn setting_row(state: &SessionState, parameter: &Parameter) -> Vec<Datum> {
    let value = state.setting(parameter.name).unwrap_or_default();
    let base = state.settings.lock().base(parameter);
    let started_with = state.shared.settings.get(parameter.name).map_or(parameter.default, String::as_str);
    let source = match () {
        () if value != base => "session",
        () if base != started_with => "client",
        () if started_with != parameter.default => "configuration file",
        () => "default",
    };
    let unit = match parameter.kind {
        Kind::Time { .. } | Kind::FineTime { .. } => Some("ms"),
        Kind::Memory { unit_kb: 8, .. } => Some("8kB"),
        Kind::Memory { unit_kb: 1024, .. } => Some("MB"),
        Kind::Memory { .. } => Some("kB"),
        _ => None,
    };
    let (vartype, least, most) = match parameter.kind {
        Kind::Bool => ("bool", None, None),
        Kind::Integer { min, max } | Kind::Time { min, max } | Kind::Memory { min, max, .. } => {
            ("integer", Some(min.to_string()), Some(max.to_string()))
        }
        Kind::FineTime { min, max } => ("real", Some(min.to_string()), Some(max.to_string())),
        Kind::Real { min, max } => ("real", Some(min.to_string()), Some(max.to_string())),
        Kind::Enum(_) => ("enum", None, None),
        _ => ("string", None, None),
    };
    let values = match parameter.kind {
        Kind::Enum(values) => {
            let values = values.iter().map(|v| Datum::text(*v)).collect();
            Datum::Array(Arc::new(Array::from_values(oid::TEXT, values)))
        }
        _ => Datum::Null,
    };
    vec![
        text(parameter.name),
        Datum::text(in_unit(parameter, &value)),
        optional(unit),
        Datum::Null,
        Datum::Null,
        Datum::Null,
        text(parameter.context.name()),
        text(vartype),
        text(source),
        optional(least),
        optional(most),
        values,
        Datum::text(in_unit(parameter, parameter.default)),
        Datum::text(in_unit(parameter, &base)),
        Datum::Null,
        Datum::Null,
        Datum::Bool(false),
    ]
}

// --- pg_stat_activity

/// Whether a role may look into a session.
fn may_look(context: &VirtualContext<'_>, of: &SessionState) -> bool {
    may_look_into(context.catalog, context.role, context.scope.database, of)
}

pub(crate) fn may_look_into(catalog: &Arc<Snapshot>, role: Oid, database: Oid, of: &SessionState) -> bool {
    may_look_at(catalog, role, database, of.session_user())
}

/// The same of a role's sessions.
fn may_look_at(catalog: &Arc<Snapshot>, role: Oid, database: Oid, user: Oid) -> bool {
    let has = |other: Oid| privileges::has_rights_of(catalog, role, other, database);
    has(user) || has(READ_ALL_STATS)
}

fn activity_row(s: &SessionState, context: &VirtualContext<'_>) -> Vec<Datum> {
    let user = s.session_user();
    let name = context.catalog.role(user).map(|r| r.name.clone());
    let mut row = vec![
        Datum::Oid(s.database),
        text(&s.database_name),
        Datum::Int4(s.process_id),
        Datum::Null,
        Datum::Oid(user),
        optional(name),
    ];
    if !may_look(context, s) {
        row.push(Datum::Null);
        row.resize(20, Datum::Null);
        row.push(text("<insufficient privilege>"));
        row.push(Datum::Null);
        return row;
    }
    let activity = s.activity.load(Ordering::Relaxed);
    let (state, in_transaction) = match activity {
        running if running & 8 != 0 => ("active", true),
        1 => ("idle in transaction", true),
        2 => ("idle in transaction (aborted)", true),
        _ => ("idle", false),
    };
    let waiter = if state == "active" { s.waiter() } else { None };
    let (wait_type, wait) = match (state, &waiter) {
        ("active", Some(waiter)) => (Some("Lock"), Some(crate::locks::wait_event(waiter))),
        ("active", None) => (None, None),
        _ => (Some("Client"), Some("ClientRead")),
    };
    let facts = s.transaction_facts();
    let number = |wanted: fn(&TxnFacts) -> bool| {
        facts.as_ref().filter(|facts| wanted(facts)).map_or(Datum::Null, |facts| crate::locks::xid(facts.id))
    };
    let client = s.client_address();
    let statement = s.statement_time();
    row.extend([
        optional(s.setting("application_name")),
        client.as_ref().map_or(Datum::Null, |(address, _)| types::network::Network::of_host(address)),
        Datum::Null,
        client.map_or(Datum::Null, |(_, port)| Datum::Int4(i32::from(port))),
        Datum::TimestampTz(s.connected),
        if in_transaction { Datum::TimestampTz(s.transaction_time()) } else { Datum::Null },
        Datum::TimestampTz(statement),
        Datum::TimestampTz(statement),
        optional(wait_type),
        optional(wait),
        text(state),
        number(|facts| facts.has_writes || facts.has_locks),
        number(|facts| facts.snapshot != Timestamp::ZERO),
        Datum::Null,
        Datum::text(&**s.query.lock()),
        text("client backend"),
    ]);
    row
}

// --- hyrax_catalog.conflicts

fn conflict_rows(me: &SessionState, context: &VirtualContext<'_>) -> Vec<Vec<Datum>> {
    let format = types::FormatSettings::default();
    let teller = Teller { catalog: context.catalog, shared: &me.shared, format: &format, me };
    let all = me.shared.conflicts.all();
    all.iter().filter(|c| c.database == context.scope.database).map(|c| conflict_row(c, &teller, context)).collect()
}

fn conflict_row(conflict: &Conflict, teller: &Teller<'_>, context: &VirtualContext<'_>) -> Vec<Datum> {
    let may_look = may_look_at(context.catalog, context.role, context.scope.database, conflict.user);
    let (relation, index, key) = match &conflict.place {
        Some(Place::Row { relation, key }) => match exec::find_storage(context.catalog, relation.0) {
            Some(found) => {
                let key = teller.key(&found, key.as_deref());
                (Some(found.relation.id), found.index.map(|index| index.name.clone()), key)
            }
            None => (None, None, None),
        },
        Some(Place::Relation(id)) => (Some(*id), None, None),
        Some(Place::Name(name)) => (txn::named_relation(name), None, None),
        None => (None, None, None),
    };
    let name = |id: Oid| context.catalog.relation(id).map(|relation| relation.name.clone());
    let schema = |id: Oid| {
        let schema = context.catalog.relation(id).and_then(|relation| context.catalog.schema(relation.schema));
        schema.map(|schema| schema.name.clone())
    };
    let number = |txn: u64| if txn == 0 { Datum::Null } else { Datum::Int8(txn.cast_signed()) };
    let (retried, outcome) = conflict.settled.names();
    vec![
        Datum::TimestampTz(conflict.at),
        text(conflict.code.as_str()),
        optional(relation.and_then(schema)),
        optional(relation.and_then(name)),
        optional(index),
        optional(key),
        Datum::Int4(conflict.process_id),
        number(conflict.txn),
        conflict.other_process.map_or(Datum::Null, Datum::Int4),
        number(conflict.other.map_or(0, |other| other.txn)),
        if may_look { text(&conflict.statement) } else { Datum::Null },
        text(retried),
        text(outcome),
    ]
}

fn ssl_row(s: &SessionState, context: &VirtualContext<'_>) -> Vec<Datum> {
    let seen = s.encryption.as_ref().filter(|_| may_look(context, s));
    let mut row = vec![Datum::Int4(s.process_id), Datum::Bool(s.encryption.is_some())];
    row.push(optional(seen.map(|(version, ..)| version.clone())));
    row.push(optional(seen.map(|(_, cipher, _)| cipher.clone())));
    row.push(seen.map_or(Datum::Null, |(.., bits)| Datum::Int4(*bits)));
    // Nothing is kept of client certificates.
    row.resize(8, Datum::Null);
    row
}

/// Nobody logs in by GSSAPI.
fn gssapi_row(s: &SessionState, context: &VirtualContext<'_>) -> Vec<Datum> {
    let seen = if may_look(context, s) { Datum::Bool(false) } else { Datum::Null };
    vec![Datum::Int4(s.process_id), seen.clone(), Datum::Null, seen]
}

impl SessionState {
    /// `pg_cancel_backend` and `pg_terminate_backend`: None where there is no such session.
    pub(crate) fn signal_other(&self, process_id: i32, reason: txn::CancelReason) -> Option<Signal> {
        let other = self.shared.sessions().into_iter().find(|s| s.process_id == process_id)?;
        let catalog = self.shared.snapshot();
        let me = self.current_user();
        let has = |role: Oid| privileges::has_rights_of(&catalog, me, role, self.database);
        let target = other.session_user();
        // Superusers' sessions are for superusers alone.
        if privileges::is_superuser(&catalog, target) && !privileges::is_superuser(&catalog, me) {
            return Some(Signal::NotSuperuser);
        }
        if !has(target) && !has(SIGNAL_BACKEND) {
            return Some(Signal::NotMember);
        }
        match (reason, &self.shared.workers) {
            // Its own session's statement is this one: nothing is to be waited for.
            (txn::CancelReason::User, Some(workers)) if process_id != self.process_id => {
                workers.spawn("cancel", Box::pin(other.cancel_requested()))
            }
            _ => other.cancel.raise(reason),
        }
        Some(Signal::Sent)
    }
}
