//! Transition and combining functions of aggregates, called by name. The aggregates themselves do not run them: they keep
//! their state in `aggregates`, whose arithmetic is used here.

use super::ScalarFn;
use crate::aggregates::{FloatVariance, Regression};
use crate::array::Array;
use crate::numeric::Numeric;
use crate::{Datum, Result, SqlError, SqlState, oid};
use std::sync::Arc;

/// The numbers of a state, as many as its function keeps.
fn state<const N: usize>(arg: &Datum, function: &str) -> Result<[f64; N]> {
    let numbers = match arg {
        Datum::Array(array) if array.dims.len() == 1 && !array.values.iter().any(Datum::is_null) => {
            array.values.iter().map(Datum::as_f64).collect::<Vec<_>>().try_into().ok()
        }
        _ => None,
    };
    numbers.ok_or_else(|| SqlError::internal(format!("{function}: expected {N}-element float8 array")))
}

fn array(numbers: &[f64]) -> Datum {
    Datum::Array(Arc::new(Array::from_values(oid::FLOAT8, numbers.iter().copied().map(Datum::Float8).collect())))
}

fn accumulate(args: &[Datum]) -> Result<Datum> {
    let mut variance = FloatVariance::from_state(state(&args[0], "float8_accum")?);
    variance.add(args[1].as_f64())?;
    Ok(array(&variance.state()))
}

fn combine(args: &[Datum]) -> Result<Datum> {
    let mut variance = FloatVariance::from_state(state(&args[0], "float8_combine")?);
    variance.merge(&FloatVariance::from_state(state(&args[1], "float8_combine")?))?;
    Ok(array(&variance.state()))
}

fn accumulate_points(args: &[Datum]) -> Result<Datum> {
    let mut regression = Regression::from_state(state(&args[0], "float8_regr_accum")?);
    regression.add(args[1].as_f64(), args[2].as_f64())?;
    Ok(array(&regression.state()))
}

fn combine_points(args: &[Datum]) -> Result<Datum> {
    let mut regression = Regression::from_state(state(&args[0], "float8_regr_combine")?);
    regression.merge(&Regression::from_state(state(&args[1], "float8_regr_combine")?))?;
    Ok(array(&regression.state()))
}

/// The sum of small integers so far, which is NULL before the first.
fn add_to_sum(args: &[Datum]) -> Result<Datum> {
    let overflow = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
    match (&args[0], &args[1]) {
        (Datum::Null, Datum::Null) => Ok(Datum::Null),
        (Datum::Null, value) => Ok(Datum::Int8(value.as_i64())),
        (sum, Datum::Null) => Ok(sum.clone()),
        (sum, value) => sum.as_i64().checked_add(value.as_i64()).map(Datum::Int8).ok_or_else(overflow),
    }
}

/// Count and sum of a state that averages.
fn count_and_sum(arg: &Datum) -> Result<[i64; 2]> {
    let numbers = match arg {
        Datum::Array(array) if array.dims.len() == 1 && !array.values.iter().any(Datum::is_null) => {
            array.values.iter().map(Datum::as_i64).collect::<Vec<_>>().try_into().ok()
        }
        _ => None,
    };
    numbers.ok_or_else(|| SqlError::internal("expected 2-element int8 array"))
}

/// The state with `count` values of this sum more.
fn averaged(state: &Datum, count: i64, sum: i64) -> Result<Datum> {
    let [old_count, old_sum] = count_and_sum(state)?;
    let numbers = [old_count.wrapping_add(count), old_sum.wrapping_add(sum)];
    Ok(Datum::Array(Arc::new(Array::from_values(oid::INT8, numbers.map(Datum::Int8).to_vec()))))
}

fn average(state: &Datum) -> Result<Datum> {
    match count_and_sum(state)? {
        [0, _] => Ok(Datum::Null),
        [count, sum] => Ok(Datum::Numeric(Numeric::from_i64(sum).div(&Numeric::from_i64(count))?)),
    }
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("int2_sum", |_, args| add_to_sum(args)),
    ("int4_sum", |_, args| add_to_sum(args)),
    ("int2_avg_accum", |_, args| averaged(&args[0], 1, args[1].as_i64())),
    ("int4_avg_accum", |_, args| averaged(&args[0], 1, args[1].as_i64())),
    ("int2_avg_accum_inv", |_, args| averaged(&args[0], -1, args[1].as_i64().wrapping_neg())),
    ("int4_avg_accum_inv", |_, args| averaged(&args[0], -1, args[1].as_i64().wrapping_neg())),
    ("int4_avg_combine", |_, args| {
        let [count, sum] = count_and_sum(&args[1])?;
        averaged(&args[0], count, sum)
    }),
    ("int8_avg", |_, args| average(&args[0])),
    ("booland_statefunc", |_, args| Ok(Datum::Bool(args[0].as_bool() && args[1].as_bool()))),
    ("boolor_statefunc", |_, args| Ok(Datum::Bool(args[0].as_bool() || args[1].as_bool()))),
    ("float4_accum", |_, args| accumulate(args)),
    ("float8_accum", |_, args| accumulate(args)),
    ("float8_combine", |_, args| combine(args)),
    ("float8_regr_accum", |_, args| accumulate_points(args)),
    ("float8_regr_combine", |_, args| combine_points(args)),
];
