//! `numeric`: operators, casts, functions and series, over `crate::numeric`.

use super::{RowIter, ScalarFn, SetFn};
use crate::compare::compare;
use crate::numeric::{self, Numeric};
use crate::{Datum, Result, SqlError, SqlState, SqlType};

fn of(result: Result<Numeric>) -> Result<Datum> {
    result.map(Datum::Numeric)
}

/// A second argument of type integer; 0 where the one-argument form is called.
fn scale(args: &[Datum]) -> i32 {
    args.get(1).map_or(0, |scale| scale.as_i64() as i32)
}

pub const OPERATORS: &[(&str, ScalarFn)] = &[
    ("numeric_add", |_, args| of(args[0].as_numeric().add(args[1].as_numeric()))),
    ("numeric_sub", |_, args| of(args[0].as_numeric().sub(args[1].as_numeric()))),
    ("numeric_mul", |_, args| of(args[0].as_numeric().mul(args[1].as_numeric()))),
    ("numeric_div", |_, args| of(args[0].as_numeric().div(args[1].as_numeric()))),
    ("numeric_div_trunc", |_, args| of(args[0].as_numeric().div_trunc(args[1].as_numeric()))),
    ("numeric_mod", |_, args| of(args[0].as_numeric().rem(args[1].as_numeric()))),
    ("numeric_power", |_, args| of(args[0].as_numeric().power(args[1].as_numeric()))),
    ("numeric_uminus", |_, args| Ok(Datum::Numeric(args[0].as_numeric().neg()))),
    ("numeric_uplus", |_, args| Ok(args[0].clone())),
    ("numeric_abs", |_, args| Ok(Datum::Numeric(args[0].as_numeric().abs()))),
];

pub const CASTS: &[(&str, ScalarFn)] = &[
    ("int2_numeric", |_, args| Ok(Datum::Numeric(Numeric::from_i64(args[0].as_i64())))),
    ("int4_numeric", |_, args| Ok(Datum::Numeric(Numeric::from_i64(args[0].as_i64())))),
    ("int8_numeric", |_, args| Ok(Datum::Numeric(Numeric::from_i64(args[0].as_i64())))),
    ("numeric_int2", |_, args| args[0].as_numeric().to_i16().map(Datum::Int2)),
    ("numeric_int4", |_, args| args[0].as_numeric().to_i32().map(Datum::Int4)),
    ("numeric_int8", |_, args| args[0].as_numeric().to_i64().map(Datum::Int8)),
    ("numeric_float4", |_, args| args[0].as_numeric().to_f32().map(Datum::Float4)),
    ("numeric_float8", |_, args| args[0].as_numeric().to_f64().map(Datum::Float8)),
    // The length coercion of numeric(p, s).
    ("numeric", |_, args| of(args[0].as_numeric().apply_typmod(args[1].as_i64() as i32))),
];

pub const FUNCTIONS: &[(&str, ScalarFn)] = &[
    ("numeric_round", |_, args| of(args[0].as_numeric().round(scale(args)))),
    ("numeric_trunc", |_, args| of(args[0].as_numeric().trunc(scale(args)))),
    ("round(numeric)", |_, args| of(args[0].as_numeric().round(0))),
    ("trunc(numeric)", |_, args| of(args[0].as_numeric().trunc(0))),
    ("numeric_ceil", |_, args| of(args[0].as_numeric().ceil())),
    ("numeric_floor", |_, args| of(args[0].as_numeric().floor())),
    ("numeric_sign", |_, args| Ok(Datum::Numeric(args[0].as_numeric().sign()))),
    ("numeric_sqrt", |_, args| of(args[0].as_numeric().sqrt())),
    ("numeric_exp", |_, args| of(args[0].as_numeric().exp())),
    ("numeric_ln", |_, args| of(args[0].as_numeric().ln())),
    ("numeric_log", |_, args| of(args[1].as_numeric().log(args[0].as_numeric()))),
    ("log(numeric)", |_, args| of(args[0].as_numeric().log(&Numeric::from_i64(10)))),
    ("log10(numeric)", |_, args| of(args[0].as_numeric().log(&Numeric::from_i64(10)))),
    ("numeric_fac", |_, args| of(numeric::factorial(args[0].as_i64()))),
    ("numeric_gcd", |_, args| of(args[0].as_numeric().gcd(args[1].as_numeric()))),
    ("numeric_lcm", |_, args| of(args[0].as_numeric().lcm(args[1].as_numeric()))),
    ("numeric_inc", |_, args| of(args[0].as_numeric().add(&Numeric::ONE))),
    ("numeric_scale", |_, args| Ok(optional(args[0].as_numeric().scale()))),
    ("numeric_min_scale", |_, args| Ok(optional(args[0].as_numeric().min_scale()))),
    ("numeric_trim_scale", |_, args| of(args[0].as_numeric().trim_scale())),
    ("width_bucket_numeric", |_, args| {
        let (low, high) = (args[1].as_numeric(), args[2].as_numeric());
        numeric::width_bucket(args[0].as_numeric(), low, high, args[3].as_i64() as i32).map(Datum::Int4)
    }),
    ("width_bucket_array", |context, args| {
        let ty = context.arg_types.first().copied().unwrap_or(SqlType::UNKNOWN);
        bucket_among(ty, &args[0], args[1].as_array()).map(Datum::Int4)
    }),
];

fn optional(scale: Option<u32>) -> Datum {
    scale.map_or(Datum::Null, |scale| Datum::Int4(scale as i32))
}

/// How many of the sorted thresholds are not above the operand.
fn bucket_among(ty: SqlType, operand: &Datum, thresholds: &crate::array::Array) -> Result<i32> {
    if thresholds.dims.len() > 1 {
        return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "thresholds must be one-dimensional array"));
    }
    if thresholds.values.iter().any(Datum::is_null) {
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "thresholds array must not contain NULLs"));
    }
    let count = thresholds.values.partition_point(|threshold| compare(ty, threshold, operand).is_le());
    Ok(count as i32)
}

fn series(args: &[Datum]) -> Result<RowIter> {
    let (start, stop) = (args[0].as_numeric().clone(), args[1].as_numeric().clone());
    let step = args.get(2).map_or(Numeric::ONE, |step| step.as_numeric().clone());
    let refused = |what: &str, problem: &str| {
        Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("{what} cannot {problem}")))
    };
    for (what, value) in [("start value", &start), ("stop value", &stop), ("step size", &step)] {
        match value {
            Numeric::NaN => return refused(what, "be NaN"),
            infinite if infinite.is_infinite() => return refused(what, "be infinity"),
            _ => {}
        }
    }
    if step.is_zero() {
        return refused("step size", "equal zero");
    }
    let upwards = !step.is_negative();
    let mut next = Some(Ok(start));
    Ok(Box::new(std::iter::from_fn(move || {
        let current = match next.take()? {
            Ok(value) => value,
            Err(error) => return Some(Err(error)),
        };
        if if upwards { current > stop } else { current < stop } {
            return None;
        }
        next = Some(current.add(&step));
        Some(Ok(vec![Datum::Numeric(current)]))
    })))
}

pub const SETS: &[(&str, SetFn)] =
    &[("generate_series_numeric", |_, args| series(args)), ("generate_series_step_numeric", |_, args| series(args))];
