//! nextval, currval, setval, lastval.

use super::{AsyncFn, SessionFn, arg_oid};
use crate::context::BoxFuture;
use crate::expr::EvalContext;
use catalog::privileges::{self, Target};
use catalog::{Relation, RelationKind, privilege};
use std::sync::Arc;
use types::{Datum, Record, Result, SqlError, SqlState, SqlType};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("currval_oid", |env, _, args| {
        let sequence = sequence(env, arg_oid(args, 0))?;
        require(env, &sequence, privilege::SELECT | privilege::USAGE)?;
        env.session.current_value(&sequence).map(Datum::Int8)
    }),
    ("lastval", |env, _, _| env.session.last_value().map(Datum::Int8)),
];

pub(crate) const WAITING: &[(&str, AsyncFn)] = &[
    ("nextval_oid", nextval),
    ("pg_sequence_last_value", last_value),
    (sql::SEQUENCE_ROW, row),
    ("setval_oid", setval),
    ("setval3_oid", setval),
];

fn sequence(env: &EvalContext<'_>, id: u32) -> Result<Arc<Relation>> {
    match env.catalog.relation(id) {
        Some(relation) if relation.kind == RelationKind::Sequence => Ok(relation.clone()),
        Some(relation) => {
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a sequence", relation.name)))
        }
        None => Err(SqlError::new(SqlState::UNDEFINED_TABLE, format!("could not open relation with OID {id}"))),
    }
}

/// One of `rights` will do.
fn require(env: &EvalContext<'_>, sequence: &Relation, rights: u32) -> Result<()> {
    let target = Target::Relation(sequence);
    match privileges::held(env.catalog, env.session.current_user(), target, rights) {
        0 => Err(privileges::denied(target)),
        _ => Ok(()),
    }
}

fn nextval<'a>(env: EvalContext<'a>, args: Vec<Datum>) -> BoxFuture<'a, Result<Datum>> {
    Box::pin(async move {
        let sequence = sequence(&env, arg_oid(&args, 0))?;
        require(&env, &sequence, privilege::USAGE | privilege::UPDATE)?;
        read_only(&env, "nextval()", &sequence)?;
        next_value(&env, sequence).await.map(Datum::Int8)
    })
}

/// Changes of one sequence that are waited for, one after the other, before its next value.
const CHANGES_MAX: usize = 100;

/// As PostgreSQL: waits for whoever changes the sequence.
async fn next_value(env: &EvalContext<'_>, mut sequence: Arc<Relation>) -> Result<i64> {
    for _ in 0..CHANGES_MAX {
        if let Some(value) = env.session.next_value(&sequence).await? {
            return Ok(value);
        }
        let Some(txn) = env.txn else { break };
        sequence = catalog::sequences::newest(txn, &sequence).await?;
    }
    let message = format!("could not obtain lock on relation \"{}\"", sequence.name);
    Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, message))
}

/// NULL before the first value.
fn last_value<'a>(env: EvalContext<'a>, args: Vec<Datum>) -> BoxFuture<'a, Result<Datum>> {
    Box::pin(async move {
        let sequence = sequence(&env, arg_oid(&args, 0))?;
        require(&env, &sequence, privilege::USAGE | privilege::SELECT)?;
        let state = env.session.sequence_state(&sequence).await?;
        Ok(state.filter(|s| s.is_called).map_or(Datum::Null, |s| Datum::Int8(s.last_value)))
    })
}

/// A sequence read as a relation; who reads it has been asked for the right to SELECT. `log_cnt` tells in PostgreSQL how many
/// values can be given before the log is written again: here it is what it is there after the first.
fn row<'a>(env: EvalContext<'a>, args: Vec<Datum>) -> BoxFuture<'a, Result<Datum>> {
    const LOGGED_AHEAD: i64 = 32;
    Box::pin(async move {
        let sequence = sequence(&env, arg_oid(&args, 0))?;
        let state = env.session.sequence_state(&sequence).await?;
        let Some(state) = state else { return Ok(Datum::Null) };
        let ahead = if state.is_called { LOGGED_AHEAD } else { 0 };
        Ok(Datum::Record(Arc::new(Record {
            types: vec![SqlType::INT8, SqlType::INT8, SqlType::BOOL],
            names: vec![],
            values: vec![Datum::Int8(state.last_value), Datum::Int8(ahead), Datum::Bool(state.is_called)],
        })))
    })
}

fn setval<'a>(env: EvalContext<'a>, args: Vec<Datum>) -> BoxFuture<'a, Result<Datum>> {
    Box::pin(async move {
        let sequence = sequence(&env, arg_oid(&args, 0))?;
        require(&env, &sequence, privilege::UPDATE)?;
        read_only(&env, "setval()", &sequence)?;
        let value = args.get(1).map_or(0, Datum::as_i64);
        let is_called = !matches!(args.get(2), Some(Datum::Bool(false)));
        env.session.set_value(&sequence, value, is_called).await.map(Datum::Int8)
    })
}

fn read_only(env: &EvalContext<'_>, what: &str, sequence: &Relation) -> Result<()> {
    match env.is_read_only() && !sequence.is_temporary {
        true => Err(SqlError::new(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            format!("cannot execute {what} in a read-only transaction"),
        )),
        false => Ok(()),
    }
}
