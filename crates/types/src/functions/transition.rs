//! Transition and combining functions of aggregates, called by name. The aggregates themselves do not run them: they keep
//! their state in `aggregates`, whose arithmetic is used here.

use super::ScalarFn;
use crate::aggregates::{FloatVariance, Regression};
use crate::array::Array;
use crate::{Datum, Result, SqlError, oid};
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

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("booland_statefunc", |_, args| Ok(Datum::Bool(args[0].as_bool() && args[1].as_bool()))),
    ("boolor_statefunc", |_, args| Ok(Datum::Bool(args[0].as_bool() || args[1].as_bool()))),
    ("float4_accum", |_, args| accumulate(args)),
    ("float8_accum", |_, args| accumulate(args)),
    ("float8_combine", |_, args| combine(args)),
    ("float8_regr_accum", |_, args| accumulate_points(args)),
    ("float8_regr_combine", |_, args| combine_points(args)),
];
