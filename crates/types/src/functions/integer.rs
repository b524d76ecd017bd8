//! Integers: operators, casts among them, bits, number theory, series.
//!
//! Every result that leaves its type is 22003 with PostgreSQL's text; nothing wraps but what C shifts wrap.

use super::{RowIter, ScalarFn, SetFn};
use crate::{Datum, Result, SqlError, SqlState};

pub(super) fn out_of_range(type_name: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{type_name} out of range"))
}

pub(super) fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// The machine's integers as datums hold them.
trait Integer: Copy + TryFrom<i64> + Into<i64> {
    const NAME: &'static str;
    fn datum(self) -> Datum;
}

impl Integer for i16 {
    const NAME: &'static str = "smallint";
    fn datum(self) -> Datum {
        Datum::Int2(self)
    }
}
impl Integer for i32 {
    const NAME: &'static str = "integer";
    fn datum(self) -> Datum {
        Datum::Int4(self)
    }
}
impl Integer for i64 {
    const NAME: &'static str = "bigint";
    fn datum(self) -> Datum {
        Datum::Int8(self)
    }
}

#[inline]
fn narrowed<T: Integer>(value: Option<i64>) -> Result<Datum> {
    match value.and_then(|value| T::try_from(value).ok()) {
        Some(value) => Ok(value.datum()),
        None => Err(out_of_range(T::NAME)),
    }
}

#[inline]
fn add<T: Integer>(args: &[Datum]) -> Result<Datum> {
    narrowed::<T>(args[0].as_i64().checked_add(args[1].as_i64()))
}
#[inline]
fn subtract<T: Integer>(args: &[Datum]) -> Result<Datum> {
    narrowed::<T>(args[0].as_i64().checked_sub(args[1].as_i64()))
}
#[inline]
fn multiply<T: Integer>(args: &[Datum]) -> Result<Datum> {
    narrowed::<T>(args[0].as_i64().checked_mul(args[1].as_i64()))
}
#[inline]
fn divide<T: Integer>(args: &[Datum]) -> Result<Datum> {
    match args[1].as_i64() {
        0 => Err(division_by_zero()),
        divisor => narrowed::<T>(args[0].as_i64().checked_div(divisor)),
    }
}
#[inline]
fn modulo<T: Integer>(args: &[Datum]) -> Result<Datum> {
    match args[1].as_i64() {
        0 => Err(division_by_zero()),
        divisor => narrowed::<T>(Some(args[0].as_i64().wrapping_rem(divisor))),
    }
}
fn negate<T: Integer>(args: &[Datum]) -> Result<Datum> {
    narrowed::<T>(args[0].as_i64().checked_neg())
}
fn absolute<T: Integer>(args: &[Datum]) -> Result<Datum> {
    narrowed::<T>(args[0].as_i64().checked_abs())
}
/// A cast between widths.
fn resize<T: Integer>(args: &[Datum]) -> Result<Datum> {
    narrowed::<T>(Some(args[0].as_i64()))
}

fn greatest_divisor(a: i64, b: i64) -> u64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn gcd<T: Integer>(args: &[Datum]) -> Result<Datum> {
    narrowed::<T>(i64::try_from(greatest_divisor(args[0].as_i64(), args[1].as_i64())).ok())
}

fn lcm<T: Integer>(args: &[Datum]) -> Result<Datum> {
    let (a, b) = (args[0].as_i64(), args[1].as_i64());
    if a == 0 || b == 0 {
        return narrowed::<T>(Some(0));
    }
    let multiple = (a.unsigned_abs() / greatest_divisor(a, b)).checked_mul(b.unsigned_abs());
    narrowed::<T>(multiple.and_then(|multiple| i64::try_from(multiple).ok()))
}

macro_rules! arithmetic {
    ($($prefix:literal $ty:ty;)*) => {
        &[$(
            (concat!($prefix, "pl"), |_, args| add::<$ty>(args)),
            (concat!($prefix, "mi"), |_, args| subtract::<$ty>(args)),
            (concat!($prefix, "mul"), |_, args| multiply::<$ty>(args)),
            (concat!($prefix, "div"), |_, args| divide::<$ty>(args)),
        )*]
    };
}

pub const ARITHMETIC: &[(&str, ScalarFn)] = arithmetic! {
    "int2" i16; "int4" i32; "int8" i64; "int24" i32; "int42" i32; "int28" i64; "int82" i64; "int48" i64; "int84" i64;
};

macro_rules! bits {
    ($($prefix:literal $variant:ident $wide:ty;)*) => {
        &[$(
            (concat!($prefix, "and"), |_, args| Ok(Datum::$variant((args[0].as_i64() & args[1].as_i64()) as _))),
            (concat!($prefix, "or"), |_, args| Ok(Datum::$variant((args[0].as_i64() | args[1].as_i64()) as _))),
            (concat!($prefix, "xor"), |_, args| Ok(Datum::$variant((args[0].as_i64() ^ args[1].as_i64()) as _))),
            (concat!($prefix, "not"), |_, args| Ok(Datum::$variant(!args[0].as_i64() as _))),
            // As C on x86 shifts: the count modulo the width (of int for smallint).
            (concat!($prefix, "shl"), |_, args| {
                Ok(Datum::$variant((args[0].as_i64() as $wide).wrapping_shl(args[1].as_i64() as u32) as _))
            }),
            (concat!($prefix, "shr"), |_, args| {
                Ok(Datum::$variant((args[0].as_i64() as $wide).wrapping_shr(args[1].as_i64() as u32) as _))
            }),
        )*]
    };
}

pub const BITS: &[(&str, ScalarFn)] = bits! { "int2" Int2 i32; "int4" Int4 i32; "int8" Int8 i64; };

pub const OTHERS: &[(&str, ScalarFn)] = &[
    ("int2mod", |_, args| modulo::<i16>(args)),
    ("int4mod", |_, args| modulo::<i32>(args)),
    ("int8mod", |_, args| modulo::<i64>(args)),
    ("int2um", |_, args| negate::<i16>(args)),
    ("int4um", |_, args| negate::<i32>(args)),
    ("int8um", |_, args| negate::<i64>(args)),
    ("int2up", |_, args| Ok(args[0].clone())),
    ("int4up", |_, args| Ok(args[0].clone())),
    ("int8up", |_, args| Ok(args[0].clone())),
    ("int2abs", |_, args| absolute::<i16>(args)),
    ("int4abs", |_, args| absolute::<i32>(args)),
    ("int8abs", |_, args| absolute::<i64>(args)),
    ("int4inc", |_, args| narrowed::<i32>(args[0].as_i64().checked_add(1))),
    ("int8inc", |_, args| narrowed::<i64>(args[0].as_i64().checked_add(1))),
    ("int8dec", |_, args| narrowed::<i64>(args[0].as_i64().checked_sub(1))),
    ("int4gcd", |_, args| gcd::<i32>(args)),
    ("int8gcd", |_, args| gcd::<i64>(args)),
    ("int4lcm", |_, args| lcm::<i32>(args)),
    ("int8lcm", |_, args| lcm::<i64>(args)),
    ("to_hex32", |_, args| Ok(Datum::text(format!("{:x}", args[0].as_i64() as u32)))),
    ("to_hex64", |_, args| Ok(Datum::text(format!("{:x}", args[0].as_i64())))),
];

pub const CASTS: &[(&str, ScalarFn)] = &[
    ("i2toi4", |_, args| resize::<i32>(args)),
    ("i4toi2", |_, args| resize::<i16>(args)),
    ("int28", |_, args| resize::<i64>(args)),
    ("int82", |_, args| resize::<i16>(args)),
    ("int48", |_, args| resize::<i64>(args)),
    ("int84", |_, args| resize::<i32>(args)),
    ("oidtoi8", |_, args| Ok(Datum::Int8(args[0].as_i64()))),
    ("i8tooid", |_, args| match u32::try_from(args[0].as_i64()) {
        Ok(oid) => Ok(Datum::Oid(oid)),
        Err(_) => Err(out_of_range("OID")),
    }),
    ("int4_bool", |_, args| Ok(Datum::Bool(args[0].as_i64() != 0))),
    ("booltext", |_, args| Ok(Datum::text(if args[0].as_bool() { "true" } else { "false" }))),
    ("bool_int4", |_, args| Ok(Datum::Int4(i32::from(args[0].as_bool())))),
];

/// An arithmetic progression; ends where it would overflow.
fn series<T: Integer + Send + 'static>(args: &[Datum]) -> Result<RowIter> {
    let (start, stop) = (args[0].as_i64(), args[1].as_i64());
    let step = args.get(2).map_or(1, Datum::as_i64);
    if step == 0 {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero"));
    }
    let within = move |value: &i64| if step > 0 { *value <= stop } else { *value >= stop };
    let values = std::iter::successors(Some(start), move |value| value.checked_add(step));
    Ok(Box::new(values.take_while(within).map(|value| Ok(vec![narrowed::<T>(Some(value))?]))))
}

pub const SETS: &[(&str, SetFn)] = &[
    ("generate_series_int4", |_, args| series::<i32>(args)),
    ("generate_series_step_int4", |_, args| series::<i32>(args)),
    ("generate_series_int8", |_, args| series::<i64>(args)),
    ("generate_series_step_int8", |_, args| series::<i64>(args)),
];
