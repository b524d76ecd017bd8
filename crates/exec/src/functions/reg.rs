//! Types whose text form names a catalog object (`catalog::reg`), as the session's search path sees it.

use super::{SessionFn, arg_str};
use crate::context::SessionAccess;
use crate::expr::EvalContext;
use catalog::Snapshot;
use catalog::names::NameScope;
use catalog::reg;
use std::sync::Arc;
use types::{CallContext, Datum, Result, SqlState, SqlType, oid};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("to_regclass", to_regclass),
    ("to_regtype", to_regtype),
    ("to_regrole", to_regrole),
    ("to_regnamespace", to_regnamespace),
    ("to_regproc", to_regproc),
    ("to_regprocedure", to_regproc),
    ("to_regoper", to_regproc),
    ("to_regoperator", to_regproc),
    ("to_regcollation", to_regproc),
    ("text_regclass", text_regclass),
];

pub(crate) fn is_reg(ty: SqlType) -> bool {
    reg::is_reg(ty.oid)
}

/// The text form of a value of any type; names of catalog objects are looked up for the session.
pub fn input_value(
    ty: SqlType,
    text: &str,
    format: &types::FormatSettings,
    catalog: &Arc<Snapshot>,
    session: &dyn SessionAccess,
) -> Result<Datum> {
    if is_reg(ty) { input(catalog, session, ty, text) } else { types::io::input(ty, text, format) }
}

/// Calls `f` with what names are looked up in.
pub(crate) fn with_scope<R>(session: &dyn SessionAccess, f: impl FnOnce(NameScope<'_>) -> R) -> R {
    let path = session.search_path();
    f(NameScope { database: session.database(), search_path: &path, temporary_schema: session.temporary_schema() })
}

/// Appends the text form.
pub(crate) fn output(
    catalog: &Arc<Snapshot>,
    session: &dyn SessionAccess,
    ty: SqlType,
    value: &Datum,
    out: &mut Vec<u8>,
) {
    let Datum::Oid(id) = value else { return };
    let text = with_scope(session, |scope| reg::output(catalog, scope, ty.oid, *id));
    out.extend_from_slice(text.as_bytes());
}

/// Reads the text form.
pub(crate) fn input(catalog: &Arc<Snapshot>, session: &dyn SessionAccess, ty: SqlType, text: &str) -> Result<Datum> {
    with_scope(session, |scope| reg::input(catalog, scope, ty.oid, text)).map(Datum::Oid)
}

/// A type by its SQL spelling, or a relation's row type by its name.
pub(crate) fn type_by_text(catalog: &Arc<Snapshot>, session: &dyn SessionAccess, text: &str) -> Result<SqlType> {
    with_scope(session, |scope| reg::type_by_text(catalog, scope, text))
}

/// NULL instead of "does not exist".
fn or_null(result: Result<Datum>) -> Result<Datum> {
    match result {
        Err(error) if matches!(error.code().class(), "42" | "3F") && error.code() != SqlState::INVALID_NAME => {
            Ok(Datum::Null)
        }
        other => other,
    }
}

fn to(env: &EvalContext<'_>, ty: u32, args: &[Datum]) -> Result<Datum> {
    or_null(input(env.catalog, env.session, SqlType::new(ty), arg_str(args, 0)))
}

fn to_regclass(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    to(env, oid::REGCLASS, args)
}
fn to_regtype(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    to(env, oid::REGTYPE, args)
}
fn to_regrole(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    to(env, oid::REGROLE, args)
}
fn to_regnamespace(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    to(env, oid::REGNAMESPACE, args)
}
fn to_regproc(env: &EvalContext<'_>, context: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    to(env, context.result_type.oid, args)
}
fn text_regclass(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    input(env.catalog, env.session, SqlType::new(oid::REGCLASS), arg_str(args, 0))
}
