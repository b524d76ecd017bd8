//! Live state as relations, for one session's eyes: pg_settings, pg_stat_activity, pg_prepared_statements, pg_cursors.
//!
//! Owns no state. Rows have the columns that `catalog::virtuals` gives these relations. What a user may not see of other
//! users' sessions is NULL, as in PostgreSQL.

use crate::settings::{self, Kind, Parameter};
use crate::state::SessionState;
use catalog::privileges;
use catalog::virtuals::{Source, VirtualContext};
use exec::SessionAccess;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use types::array::Array;
use types::{Datum, Oid, oid};

const PG_LOCKS: Oid = 12_073;
const PG_CURSORS: Oid = 12_077;
const PG_PREPARED_STATEMENTS: Oid = 12_095;
const PG_SETTINGS: Oid = 12_104;
const PG_STAT_ACTIVITY: Oid = 12_222;
const PG_STAT_SSL: Oid = 12_249;
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
            PG_LOCKS => self.0.shared.sessions().iter().flat_map(|s| s.advisory.rows(s.process_id, s.id.0)).collect(),
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

/// Whether a role may look into a session, or signal it where `role` is that of signallers.
fn may_look(context: &VirtualContext<'_>, of: &SessionState) -> bool {
    let has = |role: Oid| privileges::has_rights_of(context.catalog, context.role, role, context.scope.database);
    has(of.session_user()) || has(READ_ALL_STATS)
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
    let (wait_type, wait) = match (state, s.advisory.is_waiting()) {
        ("active", true) => (Some("Lock"), Some("advisory")),
        ("active", false) => (None, None),
        _ => (Some("Client"), Some("ClientRead")),
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
        Datum::Null,
        Datum::Null,
        Datum::Null,
        Datum::text(&**s.query.lock()),
        text("client backend"),
    ]);
    row
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

impl SessionState {
    /// `pg_cancel_backend` and `pg_terminate_backend`: None where there is no such session; false: not allowed.
    pub(crate) fn signal_other(&self, process_id: i32, reason: txn::CancelReason) -> Option<bool> {
        let other = self.shared.sessions().into_iter().find(|s| s.process_id == process_id)?;
        let catalog = self.shared.snapshot();
        let me = self.current_user();
        let has = |role: Oid| privileges::has_rights_of(&catalog, me, role, self.database);
        let target = other.session_user();
        // Superusers' sessions are for superusers alone.
        let may = match privileges::is_superuser(&catalog, target) {
            true => privileges::is_superuser(&catalog, me),
            false => has(target) || has(SIGNAL_BACKEND),
        };
        match (may, reason, &self.shared.workers) {
            (false, ..) => {}
            (true, txn::CancelReason::User, Some(workers)) => {
                workers.spawn("cancel", Box::pin(other.cancel_requested()));
            }
            (true, ..) => other.cancel.raise(reason),
        }
        Some(may)
    }
}
