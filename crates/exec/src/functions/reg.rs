//! Types whose text form names a catalog object: `regclass`, `regtype`, `regrole`, `regnamespace`, `regproc` and relatives.

use super::{SessionFn, arg_str};
use crate::context::SessionAccess;
use crate::expr::EvalContext;
use catalog::Snapshot;
use catalog::names::{self, NameScope};
use std::sync::Arc;
use types::functions::quote_ident;
use types::{CallContext, Datum, Result, SqlError, SqlState, SqlType, builtin, oid, typename};

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
    matches!(
        ty.oid,
        oid::REGCLASS
            | oid::REGTYPE
            | oid::REGROLE
            | oid::REGNAMESPACE
            | oid::REGPROC
            | oid::REGPROCEDURE
            | oid::REGOPER
            | oid::REGOPERATOR
            | oid::REGCOLLATION
            | oid::REGCONFIG
            | oid::REGDICTIONARY
    )
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
    let id = *id;
    let text = match ty.oid {
        _ if id == 0 => "-".to_owned(),
        oid::REGCLASS => with_scope(session, |scope| names::regclass_text(catalog, scope, id)),
        oid::REGTYPE => with_scope(session, |scope| names::format_type(catalog, scope, id, None)),
        oid::REGROLE => catalog.role(id).map_or_else(|| id.to_string(), |r| quote_ident(&r.name).to_string()),
        oid::REGNAMESPACE => catalog.schema(id).map_or_else(|| id.to_string(), |s| quote_ident(&s.name).to_string()),
        oid::REGPROC => builtin::proc_by_oid(id).map_or_else(|| id.to_string(), |p| quote_ident(p.name).to_string()),
        oid::REGPROCEDURE => builtin::proc_by_oid(id).map_or_else(
            || id.to_string(),
            |p| {
                let args: Vec<String> = p.args.iter().map(|a| typename::format_type(*a, None)).collect();
                format!("{}({})", quote_ident(p.name), args.join(","))
            },
        ),
        oid::REGOPER => builtin::operator_by_oid(id).map_or_else(|| id.to_string(), |o| o.name.to_owned()),
        oid::REGOPERATOR => builtin::operator_by_oid(id).map_or_else(
            || id.to_string(),
            |o| {
                let side = |t: u32| if t == 0 { "NONE".to_owned() } else { typename::format_type(t, None) };
                format!("{}({},{})", o.name, side(o.left), side(o.right))
            },
        ),
        oid::REGCOLLATION => match id {
            100 => "\"default\"".to_owned(),
            950 => "\"C\"".to_owned(),
            951 => "\"POSIX\"".to_owned(),
            other => other.to_string(),
        },
        _ => id.to_string(),
    };
    out.extend_from_slice(text.as_bytes());
}

/// Reads the text form.
pub(crate) fn input(catalog: &Arc<Snapshot>, session: &dyn SessionAccess, ty: SqlType, text: &str) -> Result<Datum> {
    if text == "-" {
        return Ok(Datum::Oid(0));
    }
    if let Ok(id) = text.parse::<u32>() {
        return Ok(Datum::Oid(id));
    }
    let id = match ty.oid {
        oid::REGCLASS => with_scope(session, |scope| names::regclass(catalog, scope, text))?,
        oid::REGTYPE => type_by_text(catalog, session, text)?.oid,
        oid::REGROLE => {
            let name = single(text)?;
            let missing = || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"));
            catalog.role_by_name(&name).ok_or_else(missing)?.id
        }
        oid::REGNAMESPACE => {
            let name = single(text)?;
            with_scope(session, |scope| names::schema(catalog, scope, &name).map(|s| s.id))?
        }
        oid::REGPROC => one_proc(text)?,
        oid::REGPROCEDURE => one_procedure(catalog, session, text)?,
        oid::REGCOLLATION => match text.trim_matches('"') {
            "default" => 100,
            "C" => 950,
            "POSIX" => 951,
            _ => {
                let message = format!("collation \"{text}\" for encoding \"UTF8\" does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
            }
        },
        _ => return Err(SqlError::unsupported(format!("input of type {} is not supported", typename::display(ty)))),
    };
    Ok(Datum::Oid(id))
}

fn single(text: &str) -> Result<String> {
    match &names::parse_qualified(text)?[..] {
        [name] => Ok(name.clone()),
        _ => Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax")),
    }
}

/// A type by its SQL spelling, or a relation's row type by its name.
pub(crate) fn type_by_text(catalog: &Arc<Snapshot>, session: &dyn SessionAccess, text: &str) -> Result<SqlType> {
    let error = match typename::parse(text) {
        Ok(ty) => return Ok(ty),
        Err(error) => error,
    };
    let row = names::parse_qualified(text)
        .and_then(|name| with_scope(session, |scope| names::row_type(catalog, scope, &name)));
    match row {
        Ok(Some(ty)) => Ok(ty),
        _ => Err(error),
    }
}

fn one_proc(text: &str) -> Result<u32> {
    let name = names::parse_qualified(text)?.pop().unwrap_or_default();
    match builtin::procs_by_name(&name) {
        [proc] => Ok(proc.oid),
        [] => Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{text}\" does not exist"))),
        _ => Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("more than one function named \"{text}\""))),
    }
}

fn one_procedure(catalog: &Arc<Snapshot>, session: &dyn SessionAccess, text: &str) -> Result<u32> {
    let missing = || SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{text}\" does not exist"));
    let (name, args) =
        text.split_once('(')
            .and_then(|(name, rest)| Some((name, rest.trim_end().strip_suffix(')')?)))
            .ok_or_else(|| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected a left parenthesis"))?;
    let name = names::parse_qualified(name)?.pop().unwrap_or_default();
    let mut types = vec![];
    for arg in args.split(',').map(str::trim).filter(|a| !a.is_empty()) {
        types.push(type_by_text(catalog, session, arg)?.oid);
    }
    let found = builtin::procs_by_name(&name).iter().find(|p| p.args[..] == types[..]);
    found.map(|p| p.oid).ok_or_else(missing)
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
