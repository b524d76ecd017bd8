//! Functions and operators of `jsonpath`; the language itself is `crate::json::jsonpath`.

use super::{RowIter, ScalarFn, SetFn};
use crate::json::Builder;
use crate::json::jsonpath::{self, Path, Request, Value};
use crate::{CallContext, Datum, Result, SqlError, SqlState};

/// A call of a function `(target, path, vars, silent)`, or of an operator `(target, path)`, which is silent.
fn request<'a>(context: &'a CallContext<'_>, args: &'a [Datum], path: &'a Path, uses_zone: bool) -> Request<'a> {
    Request {
        path,
        document: args[0].as_jsonb().as_ref(),
        variables: args.get(2).map(|variables| variables.as_jsonb().as_ref()),
        is_silent: args.get(3).is_none_or(Datum::as_bool),
        uses_zone,
        format: context.format,
    }
}

fn exists(context: &CallContext<'_>, args: &[Datum], uses_zone: bool) -> Result<Datum> {
    let path = jsonpath::compiled(args[1].as_str())?;
    Ok(jsonpath::exists(request(context, args, &path, uses_zone))?.map_or(Datum::Null, Datum::Bool))
}

/// The answer of a path that is a predicate.
fn matches(context: &CallContext<'_>, args: &[Datum], uses_zone: bool) -> Result<Datum> {
    let path = jsonpath::compiled(args[1].as_str())?;
    let request = request(context, args, &path, uses_zone);
    let found = jsonpath::query(request)?;
    match found.as_slice() {
        [only] if only.is_null() => return Ok(Datum::Null),
        [only] => {
            if let Some(truth) = only.as_bool() {
                return Ok(Datum::Bool(truth));
            }
        }
        _ => {}
    }
    if request.is_silent {
        return Ok(Datum::Null);
    }
    Err(SqlError::new(SqlState::SINGLETON_SQL_JSON_ITEM_REQUIRED, "single boolean result is expected"))
}

fn query_array(context: &CallContext<'_>, args: &[Datum], uses_zone: bool) -> Result<Datum> {
    let path = jsonpath::compiled(args[1].as_str())?;
    let mut out = Builder::new();
    out.begin_array();
    for item in jsonpath::query(request(context, args, &path, uses_zone))? {
        item.add_to(&mut out)?;
    }
    out.end()?;
    Ok(Datum::Jsonb(out.finish()?))
}

fn query_first(context: &CallContext<'_>, args: &[Datum], uses_zone: bool) -> Result<Datum> {
    let path = jsonpath::compiled(args[1].as_str())?;
    let found = jsonpath::query(request(context, args, &path, uses_zone))?;
    found.first().map_or(Ok(Datum::Null), |item| item.to_jsonb().map(Datum::Jsonb))
}

fn query(context: &CallContext<'_>, args: &[Datum], uses_zone: bool) -> Result<RowIter> {
    let path = jsonpath::compiled(args[1].as_str())?;
    let found = jsonpath::query(request(context, args, &path, uses_zone))?;
    super::json::gathered(found.iter().map(|item: &Value<'_>| Ok(vec![Datum::Jsonb(item.to_jsonb()?)])))
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("jsonb_path_exists", |c, a| exists(c, a, false)),
    ("jsonb_path_exists_tz", |c, a| exists(c, a, true)),
    ("jsonb_path_exists_opr", |c, a| exists(c, a, false)),
    ("jsonb_path_match", |c, a| matches(c, a, false)),
    ("jsonb_path_match_tz", |c, a| matches(c, a, true)),
    ("jsonb_path_match_opr", |c, a| matches(c, a, false)),
    ("jsonb_path_query_array", |c, a| query_array(c, a, false)),
    ("jsonb_path_query_array_tz", |c, a| query_array(c, a, true)),
    ("jsonb_path_query_first", |c, a| query_first(c, a, false)),
    ("jsonb_path_query_first_tz", |c, a| query_first(c, a, true)),
];

pub const SETS: &[(&str, SetFn)] =
    &[("jsonb_path_query", |c, a| query(c, a, false)), ("jsonb_path_query_tz", |c, a| query(c, a, true))];
