//! What indexes can do: pg_index_column_has_property and relatives. Unknown properties are NULL.

use super::{SessionFn, arg_oid, arg_str};
use crate::expr::EvalContext;
use types::{CallContext, Datum, Result};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("pg_index_column_has_property", of_column),
    ("pg_index_has_property", of_index),
    ("pg_indexam_has_property", of_method),
];

const BTREE: u32 = 403;
const HASH: u32 = 405;

fn of_column(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Some(index) = env.catalog.index(arg_oid(args, 0)) else { return Ok(Datum::Null) };
    let number = args.get(1).map_or(0, Datum::as_i64);
    let Some(place) = usize::try_from(number).ok().and_then(|n| n.checked_sub(1)) else { return Ok(Datum::Null) };
    if place >= index.columns.len() + index.included.len() {
        return Ok(Datum::Null);
    }
    let is_ordered = index.method == "btree";
    let key = index.columns.get(place);
    let property = arg_str(args, 2).to_ascii_lowercase();
    let answer = match (property.as_str(), key) {
        ("asc", Some(key)) => is_ordered.then_some(!key.descending),
        ("desc", Some(key)) => is_ordered.then_some(key.descending),
        ("nulls_first", Some(key)) => is_ordered.then_some(key.nulls_first),
        ("nulls_last", Some(key)) => is_ordered.then_some(!key.nulls_first),
        ("search_array" | "search_nulls", Some(_)) => Some(is_ordered),
        ("orderable", key) => Some(is_ordered && key.is_some()),
        ("distance_orderable", _) => Some(false),
        ("returnable", _) => Some(is_ordered),
        _ => None,
    };
    // A hash index is not ordered; PostgreSQL says so of each direction.
    let answer = match (property.as_str(), key) {
        ("asc" | "desc" | "nulls_first" | "nulls_last", Some(_)) => Some(answer.unwrap_or(false)),
        _ => answer,
    };
    Ok(answer.map_or(Datum::Null, Datum::Bool))
}

fn of_index(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Some(index) = env.catalog.index(arg_oid(args, 0)) else { return Ok(Datum::Null) };
    Ok(match arg_str(args, 1).to_ascii_lowercase().as_str() {
        "clusterable" => Datum::Bool(index.method == "btree"),
        "index_scan" | "bitmap_scan" | "backward_scan" => Datum::Bool(true),
        _ => Datum::Null,
    })
}

fn of_method(_: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let method = arg_oid(args, 0);
    if !matches!(method, BTREE | HASH) {
        return Ok(Datum::Null);
    }
    Ok(match arg_str(args, 1).to_ascii_lowercase().as_str() {
        "can_order" | "can_unique" | "can_multi_col" | "can_include" => Datum::Bool(method == BTREE),
        "can_exclude" => Datum::Bool(true),
        _ => Datum::Null,
    })
}
