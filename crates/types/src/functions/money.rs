//! `money`: arithmetic in cents. Results beyond the type are 22003 (PostgreSQL 15 wraps there; money should not).

use super::ScalarFn;
use super::integer::{division_by_zero, out_of_range};
use crate::numeric::Numeric;
use crate::{Datum, Result};

const CENTS: i64 = 100;

fn checked(cents: Option<i64>) -> Result<Datum> {
    cents.map(Datum::Int8).ok_or_else(|| out_of_range("money"))
}

/// Rounded to the cent, from half to the even one.
fn rounded(cents: f64) -> Result<Datum> {
    let cents = cents.round_ties_even();
    // 2^63, which i64 no longer holds.
    const PAST: f64 = 9_223_372_036_854_775_808.0;
    checked((-PAST..PAST).contains(&cents).then_some(cents as i64))
}

fn times_float(money: &Datum, factor: &Datum) -> Result<Datum> {
    rounded(money.as_i64() as f64 * factor.as_f64())
}

fn by_float(args: &[Datum]) -> Result<Datum> {
    match args[1].as_f64() {
        0.0 => Err(division_by_zero()),
        divisor => rounded(args[0].as_i64() as f64 / divisor),
    }
}

fn times_integer(args: &[Datum]) -> Result<Datum> {
    checked(args[0].as_i64().checked_mul(args[1].as_i64()))
}

fn by_integer(args: &[Datum]) -> Result<Datum> {
    match args[1].as_i64() {
        0 => Err(division_by_zero()),
        divisor => checked(args[0].as_i64().checked_div(divisor)),
    }
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("cash_pl", |_, args| checked(args[0].as_i64().checked_add(args[1].as_i64()))),
    ("cash_mi", |_, args| checked(args[0].as_i64().checked_sub(args[1].as_i64()))),
    ("cash_mul_int2", |_, args| times_integer(args)),
    ("cash_mul_int4", |_, args| times_integer(args)),
    ("cash_mul_int8", |_, args| times_integer(args)),
    ("int2_mul_cash", |_, args| times_integer(args)),
    ("int4_mul_cash", |_, args| times_integer(args)),
    ("int8_mul_cash", |_, args| times_integer(args)),
    ("cash_mul_flt4", |_, args| times_float(&args[0], &args[1])),
    ("cash_mul_flt8", |_, args| times_float(&args[0], &args[1])),
    ("flt4_mul_cash", |_, args| times_float(&args[1], &args[0])),
    ("flt8_mul_cash", |_, args| times_float(&args[1], &args[0])),
    ("cash_div_int2", |_, args| by_integer(args)),
    ("cash_div_int4", |_, args| by_integer(args)),
    ("cash_div_int8", |_, args| by_integer(args)),
    ("cash_div_flt4", |_, args| by_float(args)),
    ("cash_div_flt8", |_, args| by_float(args)),
    ("cash_div_cash", |_, args| match args[1].as_i64() {
        0 => Err(division_by_zero()),
        divisor => Ok(Datum::Float8(args[0].as_i64() as f64 / divisor as f64)),
    }),
    ("int4_cash", |_, args| checked(args[0].as_i64().checked_mul(CENTS))),
    ("int8_cash", |_, args| checked(args[0].as_i64().checked_mul(CENTS))),
    ("cash_numeric", |_, args| Ok(Datum::Numeric(Numeric::Small { mantissa: args[0].as_i64(), scale: 2 }))),
    ("numeric_cash", |_, args| {
        let cents = args[0].as_numeric().mul(&Numeric::from_i64(CENTS))?;
        cents.to_i64().map(Datum::Int8)
    }),
];
