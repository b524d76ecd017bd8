//! Who, where and when: users, database, settings, clocks, chance.

use super::{AsyncFn, EPOCH_MICROS, SessionFn, SessionSetFn, arg_str, void};
use crate::context::{BoxFuture, Signal};
use crate::expr::EvalContext;
use std::sync::Arc;
use std::time::Duration;
use txn::CancelReason;
use types::array::Array;
use types::network::Network;
use types::{CallContext, Datum, Result, SqlError, SqlState, oid};

/// What `version()` and `server_version` say of PostgreSQL.
pub const POSTGRES_VERSION: &str = "15.18";

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("current_user", |env, _, _| Ok(role_name(env, env.session.current_user()))),
    ("session_user", |env, _, _| Ok(role_name(env, env.session.session_user()))),
    ("current_database", |env, _, _| Ok(Datum::text(env.session.database_name()))),
    ("current_schema", current_schema),
    ("current_schemas", current_schemas),
    ("pgsql_version", |_, _, _| Ok(Datum::text(version()))),
    ("show_config_by_name", setting),
    ("show_config_by_name_missing_ok", setting),
    ("set_config_by_name", set_config),
    ("current_query", |env, _, _| Ok(Datum::text(env.session.current_query()))),
    ("pg_cancel_backend", |env, _, args| signal(env, args, CancelReason::User)),
    ("pg_terminate_backend", |env, _, args| signal(env, args, CancelReason::Terminate)),
    ("pg_backend_pid", |env, _, _| Ok(Datum::Int4(env.session.backend_pid()))),
    ("statement_timestamp", |env, _, _| Ok(Datum::TimestampTz(env.session.statement_time()))),
    ("clock_timestamp", |env, _, _| Ok(Datum::TimestampTz(clock(env)))),
    ("timeofday", timeofday),
    ("drandom", |env, _, _| Ok(Datum::Float8(env.session.random()))),
    ("setseed", setseed),
    ("gen_random_uuid", uuid),
    ("pg_current_xact_id", transaction_id),
    ("pg_current_xact_id_if_assigned", transaction_id_if_assigned),
    ("inet_client_addr", |env, _, _| address(env.session.client_address())),
    ("inet_client_port", |env, _, _| Ok(port(env.session.client_address()))),
    ("inet_server_addr", |env, _, _| address(env.session.server_address())),
    ("inet_server_port", |env, _, _| Ok(port(env.session.server_address()))),
    ("pg_postmaster_start_time", |env, _, _| Ok(Datum::TimestampTz(env.session.server_start_time()))),
    ("pg_conf_load_time", |env, _, _| Ok(Datum::TimestampTz(env.session.server_start_time()))),
    ("pg_is_in_recovery", |_, _, _| Ok(Datum::Bool(false))),
    // Settings are read when the node starts.
    ("pg_reload_conf", |env, _, _| {
        let is_superuser = catalog::privileges::is_superuser(env.catalog, env.session.current_user());
        Err(match is_superuser {
            true => SqlError::unsupported("function pg_reload_conf is not supported"),
            false => {
                let message = "permission denied for function pg_reload_conf";
                SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
            }
        })
    }),
    ("pg_is_wal_replay_paused", |_, _, _| {
        let error = SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "recovery is not in progress");
        Err(error.hint("Recovery control functions can only be executed during recovery."))
    }),
    ("pg_jit_available", |_, _, _| Ok(Datum::Bool(false))),
    ("pg_trigger_depth", |_, _, _| Ok(Datum::Int4(0))),
    ("pg_client_encoding", |_, _, _| Ok(Datum::text("UTF8"))),
    ("getdatabaseencoding", |_, _, _| Ok(Datum::text("UTF8"))),
    ("pg_notify", notify),
    ("pg_notification_queue_usage", |env, _, _| Ok(Datum::Float8(env.session.notification_usage()))),
    ("pg_blocking_pids", blocking_pids),
    // Here no snapshot is unsafe: nothing has to be waited for.
    ("pg_safe_snapshot_blocking_pids", |_, _, _| Ok(pids(vec![]))),
    ("pg_export_snapshot", export_snapshot),
    ("pg_xact_status", transaction_status),
    ("pg_my_temp_schema", |env, _, _| Ok(Datum::Oid(env.session.temporary_schema().unwrap_or(0)))),
];

pub(crate) const SETS: &[(&str, SessionSetFn)] = &[("pg_listening_channels", |env, _, _| {
    let channels = env.session.listening_channels();
    Ok(Box::new(channels.into_iter().map(|channel| Ok(vec![Datum::text(&*channel)]))))
})];

pub(crate) const WAITING: &[(&str, AsyncFn)] = &[
    ("pg_sleep", sleep),
    ("pg_sleep_for(interval)", sleep_for),
    ("pg_sleep_until(timestamptz)", sleep_until),
    ("hyrax_txn_status", token_status),
];

/// `version()`.
pub fn version() -> String {
    format!(
        "PostgreSQL {POSTGRES_VERSION} (Hyrax {}) on {}-{}, compiled by rustc, 64-bit",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    )
}

/// Asks another session to stop what it does, or to end. A process that is not there is a warning.
fn signal(env: &EvalContext<'_>, args: &[Datum], reason: CancelReason) -> Result<Datum> {
    let process = args.first().map_or(0, Datum::as_i64);
    let (subject, what) = match reason {
        CancelReason::Terminate => ("process", "being terminated"),
        _ => ("query", "being canceled"),
    };
    match i32::try_from(process).ok().and_then(|id| env.session.signal(id, reason)) {
        // It may have been to oneself.
        Some(Signal::Sent) => types::stop::look().map(|()| Datum::Bool(true)),
        Some(Signal::NotSuperuser) => {
            let what = if reason == CancelReason::Terminate {
                "terminate superuser process"
            } else {
                "cancel superuser query"
            };
            Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be a superuser to {what}")))
        }
        Some(Signal::NotMember) => {
            let message =
                format!("must be a member of the role whose {subject} is {what} or member of pg_signal_backend");
            Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message))
        }
        None => {
            let message = format!("PID {process} is not a PostgreSQL backend process");
            env.session.notice(SqlError::new(SqlState::WARNING, message).severity(types::Severity::Warning));
            Ok(Datum::Bool(false))
        }
    }
}

fn address(address: Option<(String, u16)>) -> Result<Datum> {
    Ok(address.map_or(Datum::Null, |(address, _)| Network::of_host(&address)))
}

fn port(address: Option<(String, u16)>) -> Datum {
    address.map_or(Datum::Null, |(_, port)| Datum::Int4(i32::from(port)))
}

fn role_name(env: &EvalContext<'_>, role: u32) -> Datum {
    Datum::text(env.catalog.role(role).map_or_else(|| format!("unknown (OID={role})"), |r| r.name.clone()))
}

fn clock(env: &EvalContext<'_>) -> i64 {
    env.host.clock.wall().saturating_sub(EPOCH_MICROS)
}

fn current_schema(env: &EvalContext<'_>, _: &CallContext<'_>, _: &[Datum]) -> Result<Datum> {
    let explicit = explicit_path(env).into_iter().next();
    Ok(explicit.and_then(|id| env.catalog.schema(id)).map_or(Datum::Null, |s| Datum::text(s.name.as_str())))
}

/// The search path without the schemas that are searched implicitly.
fn explicit_path(env: &EvalContext<'_>) -> Vec<u32> {
    let listed = env.session.setting("search_path").unwrap_or_default();
    let is_listed = |name: &str| listed.split(',').any(|item| item.trim().trim_matches('"') == name);
    let path = env.session.search_path();
    path.into_iter()
        .filter(|id| match *id {
            catalog::PG_CATALOG_SCHEMA => is_listed("pg_catalog"),
            id if Some(id) == env.session.temporary_schema() => is_listed("pg_temp"),
            _ => true,
        })
        .collect()
}

fn current_schemas(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let path = match args.first() {
        Some(Datum::Bool(true)) => env.session.search_path(),
        _ => explicit_path(env),
    };
    let names = path.iter().filter_map(|id| env.catalog.schema(*id)).map(|s| Datum::text(s.name.as_str())).collect();
    Ok(Datum::Array(Arc::new(Array::from_values(oid::NAME, names))))
}

fn setting(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let name = arg_str(args, 0);
    let missing_ok = matches!(args.get(1), Some(Datum::Bool(true)));
    match env.session.setting(name) {
        Some(value) => Ok(Datum::text(value)),
        None if missing_ok => Ok(Datum::Null),
        None => {
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\"")))
        }
    }
}

fn notify(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let word = |index| if args.get(index).is_none_or(Datum::is_null) { "" } else { arg_str(args, index) };
    env.session.notify(word(0), word(1)).map(|()| void())
}

fn set_config(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    if args.first().is_none_or(Datum::is_null) {
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "SET requires parameter name"));
    }
    let local = matches!(args.get(2), Some(Datum::Bool(true)));
    env.session.set_setting(arg_str(args, 0), arg_str(args, 1), local).map(Datum::text)
}

fn timeofday(env: &EvalContext<'_>, _: &CallContext<'_>, _: &[Datum]) -> Result<Datum> {
    let mut out = Vec::new();
    let format = types::FormatSettings { date_style: types::context::DateStyle::Postgres, ..env.format.clone() };
    types::io::output(types::SqlType::TIMESTAMPTZ, &Datum::TimestampTz(clock(env)), &format, &mut out);
    Ok(Datum::text(String::from_utf8_lossy(&out).into_owned()))
}

fn setseed(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let seed = args.first().map_or(0.0, Datum::as_f64);
    if !(-1.0..=1.0).contains(&seed) {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("setseed parameter {seed} is out of allowed range [-1,1]"),
        ));
    }
    env.session.set_seed(seed);
    Ok(void())
}

fn uuid(env: &EvalContext<'_>, _: &CallContext<'_>, _: &[Datum]) -> Result<Datum> {
    let mut bytes = [0u8; 16];
    env.host.random.fill(&mut bytes);
    // RFC 9562, version 4, variant 1.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(Datum::Uuid(bytes))
}

fn transaction_id(env: &EvalContext<'_>, _: &CallContext<'_>, _: &[Datum]) -> Result<Datum> {
    let id = env.txn.map_or(0, |txn| txn.id());
    Ok(Datum::Int8(id as i64))
}

fn pids(pids: Vec<i32>) -> Datum {
    Datum::Array(Arc::new(Array::from_values(oid::INT4, pids.into_iter().map(Datum::Int4).collect())))
}

fn blocking_pids(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let process = args.first().map_or(0, Datum::as_i64);
    Ok(pids(i32::try_from(process).map_or(vec![], |id| env.session.blocking_pids(id))))
}

fn export_snapshot(env: &EvalContext<'_>, _: &CallContext<'_>, _: &[Datum]) -> Result<Datum> {
    let Some(txn) = env.txn else { return Err(SqlError::internal("a snapshot needs a transaction")) };
    env.session.export_snapshot(txn).map(Datum::text)
}

/// NULL for a transaction that is over: what became of it is not kept by number (`hyrax_txn_status` tells it by token).
fn transaction_status(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let number = args.first().map_or(0, Datum::as_i64).cast_unsigned();
    match env.session.is_in_progress(number) {
        true => Ok(Datum::text("in progress")),
        false if number > env.gateway.newest_transaction() => {
            let message = format!("transaction ID {number} is in the future");
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
        }
        false => Ok(Datum::Null),
    }
}

fn token_status<'a>(env: EvalContext<'a>, args: Vec<Datum>) -> BoxFuture<'a, Result<Datum>> {
    Box::pin(async move { env.session.txn_status(env.gateway, arg_str(&args, 0)).await.map(Datum::text) })
}

fn transaction_id_if_assigned(env: &EvalContext<'_>, context: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    match env.txn.is_some_and(|txn| txn.has_writes()) {
        true => transaction_id(env, context, args),
        false => Ok(Datum::Null),
    }
}

/// Longest time between two looks at cancellation.
const SLEEP_STEP: Duration = Duration::from_millis(20);

async fn sleep_seconds(env: EvalContext<'_>, seconds: f64) -> Result<Datum> {
    if seconds.is_nan() || seconds <= 0.0 {
        return Ok(void());
    }
    let start = env.host.clock.monotonic();
    let end = start.saturating_add(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    loop {
        if let Some(txn) = env.txn {
            txn.check()?;
        }
        let now = env.host.clock.monotonic();
        if now >= end {
            return Ok(void());
        }
        host::clock::sleep((end - now).min(SLEEP_STEP)).await;
    }
}

fn sleep<'a>(env: EvalContext<'a>, args: Vec<Datum>) -> BoxFuture<'a, Result<Datum>> {
    Box::pin(async move { sleep_seconds(env, args.first().map_or(0.0, Datum::as_f64)).await })
}

fn sleep_for<'a>(env: EvalContext<'a>, args: Vec<Datum>) -> BoxFuture<'a, Result<Datum>> {
    Box::pin(async move {
        let Some(Datum::Interval(interval)) = args.first() else { return Ok(Datum::Null) };
        let days = i64::from(interval.months) * 30 + i64::from(interval.days);
        sleep_seconds(env, days as f64 * 86_400.0 + interval.micros as f64 / 1e6).await
    })
}

fn sleep_until<'a>(env: EvalContext<'a>, args: Vec<Datum>) -> BoxFuture<'a, Result<Datum>> {
    Box::pin(async move {
        let Some(Datum::TimestampTz(until)) = args.first() else { return Ok(Datum::Null) };
        sleep_seconds(env, until.saturating_sub(clock(&env)) as f64 / 1e6).await
    })
}
