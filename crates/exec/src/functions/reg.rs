//! Types whose text form names a catalog object (`catalog::reg`), as the session's search path sees it.

use super::{SessionFn, arg_str};
use crate::context::SessionAccess;
use crate::expr::EvalContext;
use catalog::Snapshot;
use catalog::names::NameScope;
use catalog::reg;
use std::sync::Arc;
use types::array::Array;
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

/// Whether values are shown by the names of objects: of a reg type, or an array of one.
pub(crate) fn is_reg(ty: SqlType) -> bool {
    reg::is_reg(ty.oid) || array_element(ty.oid).is_some()
}

/// The reg type that an array's elements have.
fn array_element(array: u32) -> Option<u32> {
    Some(match array {
        oid::REGCLASS_ARRAY => oid::REGCLASS,
        oid::REGTYPE_ARRAY => oid::REGTYPE,
        1008 => oid::REGPROC,
        2207 => oid::REGPROCEDURE,
        2208 => oid::REGOPER,
        2209 => oid::REGOPERATOR,
        3735 => oid::REGCONFIG,
        3770 => oid::REGDICTIONARY,
        4090 => oid::REGNAMESPACE,
        4097 => oid::REGROLE,
        4192 => oid::REGCOLLATION,
        _ => return None,
    })
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
    let text = |ty: u32, id: u32| with_scope(session, |scope| reg::output(catalog, scope, ty, id));
    match (value, array_element(ty.oid)) {
        (Datum::Oid(id), None) => out.extend_from_slice(text(ty.oid, *id).as_bytes()),
        (Datum::Array(array), Some(element)) => {
            let name = |value: &Datum| match value {
                Datum::Oid(id) => Datum::text(text(element, *id)),
                _ => Datum::Null,
            };
            let names = array.values.iter().map(name).collect();
            let names = Array { element: oid::TEXT, dims: array.dims.clone(), values: names };
            let format = types::FormatSettings::default();
            types::io::output(SqlType::TEXT_ARRAY, &Datum::Array(Arc::new(names)), &format, out);
        }
        _ => {}
    }
}

/// Reads the text form.
pub(crate) fn input(catalog: &Arc<Snapshot>, session: &dyn SessionAccess, ty: SqlType, text: &str) -> Result<Datum> {
    let one = |ty: u32, text: &str| with_scope(session, |scope| reg::input(catalog, scope, ty, text)).map(Datum::Oid);
    match array_element(ty.oid) {
        Some(element) => types::io::array::input_with(element, text, &mut |part| one(element, part)),
        None => one(ty.oid, text),
    }
}

/// A type by its SQL spelling, or a relation's row type by its name.
pub(crate) fn type_by_text(catalog: &Arc<Snapshot>, session: &dyn SessionAccess, text: &str) -> Result<SqlType> {
    with_scope(session, |scope| catalog::names::type_by_text(catalog, scope, text))
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
