//! Enums: their operators, and the functions that walk their labels. A value is its label's sort key (`user_type`), so that
//! an order of enums is one of integers.

use super::{ScalarFn, arg_type};
use crate::array::Array;
use crate::user_type::UserTypes;
use crate::{CallContext, Datum, Result, SqlError, SqlState, SqlType};
use std::sync::Arc;

fn keys(args: &[Datum]) -> (i64, i64) {
    (args[0].as_i64(), args[1].as_i64())
}

fn truth(value: bool) -> Result<Datum> {
    Ok(Datum::Bool(value))
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("enum_eq", |_, args| truth(args[0].as_i64() == args[1].as_i64())),
    ("enum_ne", |_, args| truth(args[0].as_i64() != args[1].as_i64())),
    ("enum_lt", |_, args| truth(args[0].as_i64() < args[1].as_i64())),
    ("enum_le", |_, args| truth(args[0].as_i64() <= args[1].as_i64())),
    ("enum_gt", |_, args| truth(args[0].as_i64() > args[1].as_i64())),
    ("enum_ge", |_, args| truth(args[0].as_i64() >= args[1].as_i64())),
    ("enum_cmp", |_, args| {
        let (a, b) = keys(args);
        Ok(Datum::Int4(a.cmp(&b) as i32))
    }),
    ("enum_smaller", |_, args| {
        let (a, b) = keys(args);
        Ok(Datum::Int8(a.min(b)))
    }),
    ("enum_larger", |_, args| {
        let (a, b) = keys(args);
        Ok(Datum::Int8(a.max(b)))
    }),
    ("enum_first", |context, _| Ok(end(all_keys(context, arg_type(context, 0))?.first()))),
    ("enum_last", |context, _| Ok(end(all_keys(context, arg_type(context, 0))?.last()))),
    ("enum_range_all", |context, _| range(context, None, None)),
    ("enum_range_bounds", |context, args| {
        let bound = |value: &Datum| (!value.is_null()).then(|| value.as_i64());
        range(context, bound(&args[0]), bound(&args[1]))
    }),
];

fn end(key: Option<&i64>) -> Datum {
    key.map_or(Datum::Null, |key| Datum::Int8(*key))
}

/// The keys of an enum's labels, in order. 22023 where the type is not known to be one.
fn all_keys(context: &CallContext<'_>, ty: SqlType) -> Result<Vec<i64>> {
    let keys = context.format.user_types.get().map(|types: &dyn UserTypes| types.enum_keys(ty.oid));
    keys.filter(|_| crate::user_type::is_enum(ty.oid))
        .ok_or_else(|| SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "could not determine actual enum type"))
}

/// The labels between two, both included, as an array.
fn range(context: &CallContext<'_>, from: Option<i64>, to: Option<i64>) -> Result<Datum> {
    let ty = arg_type(context, 0);
    let mut keys = all_keys(context, ty)?;
    keys.retain(|key| from.is_none_or(|from| *key >= from) && to.is_none_or(|to| *key <= to));
    let values: Vec<Datum> = keys.into_iter().map(Datum::Int8).collect();
    Ok(Datum::Array(Arc::new(Array::from_values(ty.oid, values))))
}
