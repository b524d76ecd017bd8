//! Floats: operators, casts, and the functions of `math.h` with PostgreSQL's errors and its exact degree variants.
//!
//! Overflow to infinity from finite operands and underflow to zero are 22003, as in PostgreSQL 15. The transcendental
//! functions are the C library's, as PostgreSQL's are: their last digit may differ from one library to the next. The cube
//! root alone is Rust's, which rounds correctly (glibc's makes 3.0000000000000004 of 27).

use super::ScalarFn;
use super::integer::{division_by_zero, out_of_range};
use crate::numeric::Numeric;
use crate::{Datum, Result, SqlError, SqlState};

/// Functions of the C library that Rust's standard library computes by formulas of its own, less exactly.
mod libm {
    unsafe extern "C" {
        pub safe fn asinh(x: f64) -> f64;
        pub safe fn acosh(x: f64) -> f64;
        pub safe fn atanh(x: f64) -> f64;
    }
}

fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

fn underflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

fn bad_input() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

#[inline]
pub(crate) fn add(a: f64, b: f64) -> Result<f64> {
    let sum = a + b;
    if sum.is_infinite() && !a.is_infinite() && !b.is_infinite() { Err(overflow()) } else { Ok(sum) }
}

/// The sum of singles, with the errors of `add`.
#[inline]
pub(crate) fn add_singles(a: f32, b: f32) -> Result<f32> {
    let sum = a + b;
    if sum.is_infinite() && !a.is_infinite() && !b.is_infinite() { Err(overflow()) } else { Ok(sum) }
}

#[inline]
pub(crate) fn multiply(a: f64, b: f64) -> Result<f64> {
    let product = a * b;
    if product.is_infinite() && !a.is_infinite() && !b.is_infinite() {
        return Err(overflow());
    }
    if product == 0.0 && a != 0.0 && b != 0.0 { Err(underflow()) } else { Ok(product) }
}

#[inline]
pub(crate) fn divide(a: f64, b: f64) -> Result<f64> {
    if b == 0.0 && !a.is_nan() {
        return Err(division_by_zero());
    }
    let quotient = a / b;
    if quotient.is_infinite() && !a.is_infinite() {
        return Err(overflow());
    }
    if quotient == 0.0 && a != 0.0 && !b.is_infinite() { Err(underflow()) } else { Ok(quotient) }
}

/// A result of two singles, computed in double precision (which rounds once), with the range checks of a single.
#[inline]
fn single(result: Result<f64>, operands_finite: bool, operands_zero: bool) -> Result<Datum> {
    let wide = result?;
    let narrow = wide as f32;
    if narrow.is_infinite() && operands_finite {
        return Err(overflow());
    }
    if narrow == 0.0 && wide != 0.0 && !operands_zero {
        return Err(underflow());
    }
    Ok(Datum::Float4(narrow))
}

fn double(result: Result<f64>) -> Result<Datum> {
    result.map(Datum::Float8)
}

/// Doubles hold the exact sum and product of singles or round them harmlessly (53 >= 2 * 24 + 2 bits), so narrowing
/// afterwards gives what single arithmetic gives.
fn single_operation(args: &[Datum], operation: fn(f64, f64) -> Result<f64>) -> Result<Datum> {
    let (a, b) = (args[0].as_f64(), args[1].as_f64());
    single(operation(a, b), a.is_finite() && b.is_finite(), false)
}

fn double_operation(args: &[Datum], operation: fn(f64, f64) -> Result<f64>) -> Result<Datum> {
    double(operation(args[0].as_f64(), args[1].as_f64()))
}

fn subtract(a: f64, b: f64) -> Result<f64> {
    add(a, -b)
}

macro_rules! arithmetic {
    ($($prefix:literal $operation:ident;)*) => {
        &[$(
            (concat!($prefix, "pl"), |_, args| $operation(args, add)),
            (concat!($prefix, "mi"), |_, args| $operation(args, subtract)),
            (concat!($prefix, "mul"), |_, args| $operation(args, multiply)),
            (concat!($prefix, "div"), |_, args| $operation(args, divide)),
        )*]
    };
}

pub const ARITHMETIC: &[(&str, ScalarFn)] = arithmetic! {
    "float4" single_operation; "float8" double_operation; "float48" double_operation; "float84" double_operation;
};

/// A function of one double that cannot fail.
macro_rules! plain {
    ($($symbol:literal $function:expr;)*) => {
        &[$(($symbol, |_, args| { let function: fn(f64) -> f64 = $function; Ok(Datum::Float8(function(args[0].as_f64()))) }),)*]
    };
}

pub const PLAIN: &[(&str, ScalarFn)] = plain! {
    "float8abs" f64::abs;
    "float8um" |x| -x;
    "float8up" |x| x;
    // To the nearest even, as rint.
    "dround" f64::round_ties_even;
    "dceil" f64::ceil;
    "dfloor" f64::floor;
    "dtrunc" f64::trunc;
    "dsign" |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { 0.0 };
    "dcbrt" f64::cbrt;
    "datan" f64::atan;
    "dsinh" f64::sinh;
    "dcosh" f64::cosh;
    "dtanh" f64::tanh;
    "dasinh" |x| libm::asinh(x);
};

/// A function of one double that may fail.
macro_rules! checked {
    ($($symbol:literal $function:expr;)*) => {
        &[$(($symbol, |_, args| { let function: fn(f64) -> Result<f64> = $function; double(function(args[0].as_f64())) }),)*]
    };
}

pub const CHECKED: &[(&str, ScalarFn)] = checked! {
    "dsqrt" |x| if x < 0.0 { Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, "cannot take square root of a negative number")) } else { Ok(x.sqrt()) };
    "dexp" exponential;
    "dlog1" |x| logarithm(x, f64::ln);
    "dlog10" |x| logarithm(x, f64::log10);
    "dsin" |x| of_finite(x, f64::sin);
    "dcos" |x| of_finite(x, f64::cos);
    "dtan" |x| of_finite(x, f64::tan);
    "dcot" |x| of_finite(x, |x| 1.0 / x.tan());
    "dasin" |x| of_unit(x, f64::asin);
    "dacos" |x| of_unit(x, f64::acos);
    "dacosh" |x| if x < 1.0 { Err(bad_input()) } else { Ok(libm::acosh(x)) };
    "datanh" |x| of_unit(x, |x| libm::atanh(x));
    "dsind" |x| of_finite(x, degree::sine);
    "dcosd" |x| of_finite(x, degree::cosine);
    "dtand" |x| of_finite(x, degree::tangent);
    "dcotd" |x| of_finite(x, degree::cotangent);
    "dasind" |x| of_unit(x, degree::arc_sine);
    "dacosd" |x| of_unit(x, degree::arc_cosine);
    "datand" |x| Ok(degree::arc_tangent(x));
    "degrees" |x| divide(x, RADIANS_PER_DEGREE);
    "radians" |x| multiply(x, RADIANS_PER_DEGREE);
};

const RADIANS_PER_DEGREE: f64 = std::f64::consts::PI / 180.0;

fn of_finite(x: f64, function: fn(f64) -> f64) -> Result<f64> {
    if x.is_infinite() { Err(bad_input()) } else { Ok(function(x)) }
}

fn of_unit(x: f64, function: fn(f64) -> f64) -> Result<f64> {
    if !(-1.0..=1.0).contains(&x) && !x.is_nan() { Err(bad_input()) } else { Ok(function(x)) }
}

fn exponential(x: f64) -> Result<f64> {
    if !x.is_finite() {
        return Ok(x.exp());
    }
    match x.exp() {
        f64::INFINITY => Err(overflow()),
        0.0 => Err(underflow()),
        value => Ok(value),
    }
}

fn logarithm(x: f64, function: fn(f64) -> f64) -> Result<f64> {
    let refused =
        |what: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOG, format!("cannot take logarithm of {what}")));
    match x {
        0.0 => refused("zero"),
        x if x < 0.0 => refused("a negative number"),
        x => Ok(function(x)),
    }
}

fn power(base: f64, exponent: f64) -> Result<f64> {
    let refused = |message: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    if base.is_nan() || exponent.is_nan() {
        // C's pow knows 1 ^ NaN and NaN ^ 0.
        return Ok(base.powf(exponent));
    }
    if base == 0.0 && exponent < 0.0 {
        return refused("zero raised to a negative power is undefined");
    }
    if base < 0.0 && exponent.floor() != exponent {
        return refused("a negative number raised to a non-integer power yields a complex result");
    }
    let result = base.powf(exponent);
    let finite = base.is_finite() && exponent.is_finite();
    if finite && result.is_infinite() {
        return Err(overflow());
    }
    if finite && result == 0.0 && base != 0.0 { Err(underflow()) } else { Ok(result) }
}

/// Trigonometry in degrees, exact where the result is: sind(30) is 0.5, tand(45) is 1.
///
/// Each function is the radian one divided by its own value at the angle where the result is known (30, 45 or 60
/// degrees), so that the error there cancels; quadrants are folded onto the first by exact subtractions.
mod degree {
    use super::RADIANS_PER_DEGREE;
    use std::hint::black_box;

    fn sine_to_30(x: f64) -> f64 {
        // black_box: both sines must come from the library at run time, lest constant folding round one of them otherwise.
        (x * RADIANS_PER_DEGREE).sin() / black_box(30.0 * RADIANS_PER_DEGREE).sin() / 2.0
    }

    fn cosine_to_60(x: f64) -> f64 {
        let versine = 1.0 - (x * RADIANS_PER_DEGREE).cos();
        1.0 - versine / (1.0 - black_box(60.0 * RADIANS_PER_DEGREE).cos()) / 2.0
    }

    fn sine_of_quadrant(x: f64) -> f64 {
        if x <= 30.0 { sine_to_30(x) } else { cosine_to_60(90.0 - x) }
    }

    fn cosine_of_quadrant(x: f64) -> f64 {
        if x <= 60.0 { cosine_to_60(x) } else { sine_to_30(90.0 - x) }
    }

    pub fn sine(x: f64) -> f64 {
        let (mut x, mut sign) = (x % 360.0, 1.0);
        if x < 0.0 {
            (x, sign) = (-x, -sign);
        }
        if x > 180.0 {
            (x, sign) = (360.0 - x, -sign);
        }
        sign * sine_of_quadrant(if x > 90.0 { 180.0 - x } else { x })
    }

    pub fn cosine(x: f64) -> f64 {
        let mut x = (x % 360.0).abs();
        if x > 180.0 {
            x = 360.0 - x;
        }
        if x > 90.0 { -cosine_of_quadrant(180.0 - x) } else { cosine_of_quadrant(x) }
    }

    /// Folds onto the first quadrant; the sign is that of the tangent there.
    fn fold_tangent(x: f64) -> (f64, f64) {
        let (mut x, mut sign) = (x % 360.0, 1.0);
        if x < 0.0 {
            (x, sign) = (-x, -sign);
        }
        if x > 180.0 {
            (x, sign) = (360.0 - x, -sign);
        }
        if x > 90.0 {
            (x, sign) = (180.0 - x, -sign);
        }
        (x, sign)
    }

    pub fn tangent(x: f64) -> f64 {
        let (x, sign) = fold_tangent(x);
        let at_45 = sine_of_quadrant(45.0) / cosine_of_quadrant(45.0);
        // Adding 0 turns -0 into 0.
        sign * (sine_of_quadrant(x) / cosine_of_quadrant(x) / at_45) + 0.0
    }

    pub fn cotangent(x: f64) -> f64 {
        let (x, sign) = fold_tangent(x);
        let at_45 = cosine_of_quadrant(45.0) / sine_of_quadrant(45.0);
        sign * (cosine_of_quadrant(x) / sine_of_quadrant(x) / at_45) + 0.0
    }

    fn by_sine(x: f64) -> f64 {
        x.asin() / black_box(0.5f64).asin() * 30.0
    }

    fn by_cosine(x: f64) -> f64 {
        x.acos() / black_box(0.5f64).acos() * 60.0
    }

    pub fn arc_sine(x: f64) -> f64 {
        let magnitude = x.abs();
        let angle = if magnitude <= 0.5 { by_sine(magnitude) } else { 90.0 - by_cosine(magnitude) };
        angle.copysign(x)
    }

    pub fn arc_cosine(x: f64) -> f64 {
        let magnitude = x.abs();
        if x < 0.0 {
            return if magnitude <= 0.5 { 90.0 + by_sine(magnitude) } else { 180.0 - by_cosine(magnitude) };
        }
        if magnitude <= 0.5 { 90.0 - by_sine(magnitude) } else { by_cosine(magnitude) }
    }

    pub fn arc_tangent(x: f64) -> f64 {
        x.atan() / black_box(1.0f64).atan() * 45.0
    }

    pub fn arc_tangent_of(y: f64, x: f64) -> f64 {
        y.atan2(x) / black_box(1.0f64).atan() * 45.0
    }
}

/// The integer nearest to a float, to the even one from half-way, within `low..=high` as floats; 22003 else.
fn to_integer(value: f64, low: f64, past_high: f64, type_name: &str) -> Result<i64> {
    let rounded = value.round_ties_even();
    if rounded >= low && rounded < past_high { Ok(rounded as i64) } else { Err(out_of_range(type_name)) }
}

fn to_int2(args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int2(to_integer(args[0].as_f64(), -32_768.0, 32_768.0, "smallint")? as i16))
}
fn to_int4(args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(to_integer(args[0].as_f64(), -2_147_483_648.0, 2_147_483_648.0, "integer")? as i32))
}
fn to_int8(args: &[Datum]) -> Result<Datum> {
    // 2^63, which i64 no longer holds.
    const PAST: f64 = 9_223_372_036_854_775_808.0;
    Ok(Datum::Int8(to_integer(args[0].as_f64(), -PAST, PAST, "bigint")?))
}
fn from_integer(args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Float8(args[0].as_i64() as f64))
}
fn single_from_integer(args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Float4(args[0].as_i64() as f32))
}

fn narrow(value: f64) -> Result<Datum> {
    let narrow = value as f32;
    if narrow.is_infinite() && !value.is_infinite() {
        return Err(overflow());
    }
    if narrow == 0.0 && value != 0.0 { Err(underflow()) } else { Ok(Datum::Float4(narrow)) }
}

pub const CASTS: &[(&str, ScalarFn)] = &[
    ("dtoi2", |_, args| to_int2(args)),
    ("dtoi4", |_, args| to_int4(args)),
    ("dtoi8", |_, args| to_int8(args)),
    ("ftoi2", |_, args| to_int2(args)),
    ("ftoi4", |_, args| to_int4(args)),
    ("ftoi8", |_, args| to_int8(args)),
    ("i2tod", |_, args| from_integer(args)),
    ("i4tod", |_, args| from_integer(args)),
    ("i8tod", |_, args| from_integer(args)),
    ("i2tof", |_, args| single_from_integer(args)),
    ("i4tof", |_, args| single_from_integer(args)),
    ("i8tof", |_, args| single_from_integer(args)),
    ("ftod", |_, args| Ok(Datum::Float8(args[0].as_f64()))),
    ("dtof", |_, args| narrow(args[0].as_f64())),
    ("float4_numeric", |_, args| Ok(Datum::Numeric(Numeric::from_f32(args[0].as_f64() as f32)))),
    ("float8_numeric", |_, args| Ok(Datum::Numeric(Numeric::from_f64(args[0].as_f64())))),
];

pub const OTHERS: &[(&str, ScalarFn)] = &[
    ("float4abs", |_, args| Ok(Datum::Float4(args[0].as_f64().abs() as f32))),
    ("float4um", |_, args| Ok(Datum::Float4(-args[0].as_f64() as f32))),
    ("float4up", |_, args| Ok(args[0].clone())),
    ("dpow", |_, args| double(power(args[0].as_f64(), args[1].as_f64()))),
    ("dpi", |_, _| Ok(Datum::Float8(std::f64::consts::PI))),
    ("datan2", |_, args| Ok(Datum::Float8(args[0].as_f64().atan2(args[1].as_f64())))),
    ("datan2d", |_, args| Ok(Datum::Float8(degree::arc_tangent_of(args[0].as_f64(), args[1].as_f64())))),
    ("width_bucket_float8", |_, args| {
        let count = args[3].as_i64() as i32;
        bucket(args[0].as_f64(), args[1].as_f64(), args[2].as_f64(), count).map(Datum::Int4)
    }),
];

fn bucket(operand: f64, low: f64, high: f64, count: i32) -> Result<i32> {
    let refused = |message: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, message));
    if count <= 0 {
        return refused("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return refused("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return refused("lower and upper bounds must be finite");
    }
    if low == high {
        return refused("lower bound cannot equal upper bound");
    }
    let (below, above) = if low < high { (operand < low, operand >= high) } else { (operand > low, operand <= high) };
    if below {
        return Ok(0);
    }
    if above {
        return count.checked_add(1).ok_or_else(|| out_of_range("integer"));
    }
    // This very order of operations decides which bucket a value on a border falls into.
    let bucket = f64::from(count) * (operand - low) / (high - low) + 1.0;
    to_integer(bucket.trunc(), 0.0, 2_147_483_648.0, "integer").map(|bucket| bucket as i32)
}
