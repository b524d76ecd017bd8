//! `in_range_*` of numbers: whether a value lies within `base` plus or minus `offset`, for RANGE frames of windows.
//!
//! Arguments: value, base, offset, `sub` (minus instead of plus), `less` (at most instead of at least). Sums that leave the
//! type lie beyond every value.

use super::ScalarFn;
use crate::compare::compare_floats;
use crate::numeric::Numeric;
use crate::{Datum, Result, SqlError, SqlState};
use std::cmp::Ordering;

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("in_range_int2_int2", |_, args| integers(args, i64::from(i16::MIN), i64::from(i16::MAX))),
    ("in_range_int2_int4", |_, args| integers(args, i64::from(i32::MIN), i64::from(i32::MAX))),
    ("in_range_int2_int8", |_, args| integers(args, i64::MIN, i64::MAX)),
    ("in_range_int4_int2", |_, args| integers(args, i64::from(i32::MIN), i64::from(i32::MAX))),
    ("in_range_int4_int4", |_, args| integers(args, i64::from(i32::MIN), i64::from(i32::MAX))),
    ("in_range_int4_int8", |_, args| integers(args, i64::MIN, i64::MAX)),
    ("in_range_int8_int8", |_, args| integers(args, i64::MIN, i64::MAX)),
    ("in_range_float8_float8", |_, args| floats(args)),
    ("in_range_float4_float8", |_, args| floats(args)),
    ("in_range_numeric_numeric", |_, args| numerics(args)),
];

fn bad_offset() -> SqlError {
    SqlError::new(
        SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
        "invalid preceding or following size in window function",
    )
}

fn answer(order: Ordering, less: bool) -> Result<Datum> {
    Ok(Datum::Bool(if less { order.is_le() } else { order.is_ge() }))
}

fn integers(args: &[Datum], low: i64, high: i64) -> Result<Datum> {
    let (value, base, offset) = (args[0].as_i64(), args[1].as_i64(), args[2].as_i64());
    let (sub, less) = (args[3].as_bool(), args[4].as_bool());
    if offset < 0 {
        return Err(bad_offset());
    }
    let bound = if sub { base.checked_sub(offset) } else { base.checked_add(offset) };
    match bound.filter(|bound| (low..=high).contains(bound)) {
        Some(bound) => answer(value.cmp(&bound), less),
        None => Ok(Datum::Bool(if sub { !less } else { less })),
    }
}

fn floats(args: &[Datum]) -> Result<Datum> {
    let (value, base, offset) = (args[0].as_f64(), args[1].as_f64(), args[2].as_f64());
    let (sub, less) = (args[3].as_bool(), args[4].as_bool());
    if offset.is_nan() || offset < 0.0 {
        return Err(bad_offset());
    }
    // NaN is as far as can be from all but itself.
    if value.is_nan() || base.is_nan() {
        return Ok(Datum::Bool(if value.is_nan() { base.is_nan() || !less } else { less }));
    }
    // From one infinity back by another: everything is within.
    if offset.is_infinite() && base.is_infinite() && (if sub { base > 0.0 } else { base < 0.0 }) {
        return Ok(Datum::Bool(true));
    }
    let bound = if sub { base - offset } else { base + offset };
    answer(compare_floats(value, bound), less)
}

fn numerics(args: &[Datum]) -> Result<Datum> {
    let (value, base, offset) = (args[0].as_numeric(), args[1].as_numeric(), args[2].as_numeric());
    let (sub, less) = (args[3].as_bool(), args[4].as_bool());
    if offset.is_nan() || offset.is_negative() {
        return Err(bad_offset());
    }
    if value.is_nan() || base.is_nan() {
        return Ok(Datum::Bool(if value.is_nan() { base.is_nan() || !less } else { less }));
    }
    let opposite = if sub { matches!(base, Numeric::PosInfinity) } else { matches!(base, Numeric::NegInfinity) };
    if offset.is_infinite() && opposite {
        return Ok(Datum::Bool(true));
    }
    let bound = if sub { base.sub(offset)? } else { base.add(offset)? };
    answer(value.cmp(&bound), less)
}
