//! Advisory locks: `pg_advisory_lock` and its kin. The session holds and counts them.

use super::{AsyncFn, SessionFn, void};
use crate::context::{AdvisoryKey, AdvisoryRequest, BoxFuture};
use crate::expr::EvalContext;
use types::{Datum, Result, SqlError};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("pg_advisory_unlock_int8", |env, _, args| unlock(env, args, false)),
    ("pg_advisory_unlock_int4", |env, _, args| unlock(env, args, false)),
    ("pg_advisory_unlock_shared_int8", |env, _, args| unlock(env, args, true)),
    ("pg_advisory_unlock_shared_int4", |env, _, args| unlock(env, args, true)),
    ("pg_advisory_unlock_all", |env, _, _| {
        env.session.advisory_unlock_all();
        Ok(void())
    }),
];

pub(crate) const WAITING: &[(&str, AsyncFn)] = &[
    ("pg_advisory_lock_int8", |env, args| lock(env, args, EXCLUSIVE)),
    ("pg_advisory_lock_int4", |env, args| lock(env, args, EXCLUSIVE)),
    ("pg_advisory_lock_shared_int8", |env, args| lock(env, args, SHARED)),
    ("pg_advisory_lock_shared_int4", |env, args| lock(env, args, SHARED)),
    ("pg_advisory_xact_lock_int8", |env, args| lock(env, args, EXCLUSIVE.of_transaction())),
    ("pg_advisory_xact_lock_int4", |env, args| lock(env, args, EXCLUSIVE.of_transaction())),
    ("pg_advisory_xact_lock_shared_int8", |env, args| lock(env, args, SHARED.of_transaction())),
    ("pg_advisory_xact_lock_shared_int4", |env, args| lock(env, args, SHARED.of_transaction())),
    ("pg_try_advisory_lock_int8", |env, args| lock(env, args, EXCLUSIVE.tried())),
    ("pg_try_advisory_lock_int4", |env, args| lock(env, args, EXCLUSIVE.tried())),
    ("pg_try_advisory_lock_shared_int8", |env, args| lock(env, args, SHARED.tried())),
    ("pg_try_advisory_lock_shared_int4", |env, args| lock(env, args, SHARED.tried())),
    ("pg_try_advisory_xact_lock_int8", |env, args| lock(env, args, EXCLUSIVE.of_transaction().tried())),
    ("pg_try_advisory_xact_lock_int4", |env, args| lock(env, args, EXCLUSIVE.of_transaction().tried())),
    ("pg_try_advisory_xact_lock_shared_int8", |env, args| lock(env, args, SHARED.of_transaction().tried())),
    ("pg_try_advisory_xact_lock_shared_int4", |env, args| lock(env, args, SHARED.of_transaction().tried())),
];

const EXCLUSIVE: AdvisoryRequest = AdvisoryRequest { is_shared: false, is_of_transaction: false, waits: true };
const SHARED: AdvisoryRequest = AdvisoryRequest { is_shared: true, ..EXCLUSIVE };

/// One bigint, or two integers: keys of their own kinds.
fn key(args: &[Datum]) -> AdvisoryKey {
    match args {
        [Datum::Int4(class), Datum::Int4(object)] => {
            AdvisoryKey { class: class.cast_unsigned(), object: object.cast_unsigned(), kind: 2 }
        }
        _ => {
            let number = args.first().map_or(0, Datum::as_i64).cast_unsigned();
            AdvisoryKey { class: (number >> 32) as u32, object: number as u32, kind: 1 }
        }
    }
}

fn lock<'a>(env: EvalContext<'a>, args: Vec<Datum>, request: AdvisoryRequest) -> BoxFuture<'a, Result<Datum>> {
    Box::pin(async move {
        let Some(txn) = env.txn else { return Err(SqlError::internal("an advisory lock needs a transaction")) };
        let is_locked = env.session.advisory_lock(txn, key(&args), request).await?;
        Ok(if request.waits { void() } else { Datum::Bool(is_locked) })
    })
}

fn unlock(env: &EvalContext<'_>, args: &[Datum], is_shared: bool) -> Result<Datum> {
    Ok(Datum::Bool(env.session.advisory_unlock(key(args), is_shared)))
}
