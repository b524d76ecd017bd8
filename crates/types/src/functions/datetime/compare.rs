//! Comparisons among dates, times and intervals, within a type and across date, timestamp and timestamptz.
//!
//! Across types a date is its midnight, and a local time is an instant by the session's zone. All sides are widened to
//! `i128`, so that a date beyond the last timestamp is still greater than every finite one.

use super::{ScalarFn, as_date, as_timetz, bad_parameter, convert};
use crate::datetime::calendar::{self, Civil, MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::datetime::{TimeTz, TimeZone};
use crate::{CallContext, Datum, FormatSettings, Result, SqlError, SqlState};
use std::cmp::Ordering;

fn truth(value: bool) -> Result<Datum> {
    Ok(Datum::Bool(value))
}

fn integers(_: &FormatSettings, a: &Datum, b: &Datum) -> Ordering {
    a.as_i64().cmp(&b.as_i64())
}

fn intervals(_: &FormatSettings, a: &Datum, b: &Datum) -> Ordering {
    a.as_interval().compare(&b.as_interval())
}

pub(super) fn timetzs(_: &FormatSettings, a: &Datum, b: &Datum) -> Ordering {
    as_timetz(a).compare(&as_timetz(b))
}

fn local_micros(value: &Datum) -> i128 {
    match value {
        Datum::Date(calendar::DATE_INFINITY) => i128::MAX,
        Datum::Date(calendar::DATE_NEG_INFINITY) => i128::MIN,
        Datum::Date(days) => i128::from(*days) * i128::from(MICROS_PER_DAY),
        other => match other.as_i64() {
            calendar::TIMESTAMP_INFINITY => i128::MAX,
            calendar::TIMESTAMP_NEG_INFINITY => i128::MIN,
            micros => i128::from(micros),
        },
    }
}

/// The instant of a date or local time by a zone; an instant stays itself.
fn instant_micros(zone: &TimeZone, value: &Datum) -> i128 {
    let micros = local_micros(value);
    if matches!(value, Datum::TimestampTz(_)) || micros == i128::MAX || micros == i128::MIN {
        return micros;
    }
    let civil = match value {
        Datum::Date(days) => Civil::from_date(*days),
        other => Civil::from_timestamp(other.as_i64()),
    };
    micros - i128::from(zone.offset_of_local(&civil)) * i128::from(MICROS_PER_SECOND)
}

pub(super) fn locals(_: &FormatSettings, a: &Datum, b: &Datum) -> Ordering {
    local_micros(a).cmp(&local_micros(b))
}

pub(super) fn instants(format: &FormatSettings, a: &Datum, b: &Datum) -> Ordering {
    instant_micros(&format.time_zone, a).cmp(&instant_micros(&format.time_zone, b))
}

/// Six operators by one order, named `$prefix eq $suffix` and so on.
macro_rules! six {
    ($($prefix:literal, $suffix:literal => $order:expr;)*) => {
        &[$(
            (concat!($prefix, "eq", $suffix), |c, args| truth($order(c.format, &args[0], &args[1]).is_eq())),
            (concat!($prefix, "ne", $suffix), |c, args| truth($order(c.format, &args[0], &args[1]).is_ne())),
            (concat!($prefix, "lt", $suffix), |c, args| truth($order(c.format, &args[0], &args[1]).is_lt())),
            (concat!($prefix, "le", $suffix), |c, args| truth($order(c.format, &args[0], &args[1]).is_le())),
            (concat!($prefix, "gt", $suffix), |c, args| truth($order(c.format, &args[0], &args[1]).is_gt())),
            (concat!($prefix, "ge", $suffix), |c, args| truth($order(c.format, &args[0], &args[1]).is_ge())),
        )*]
    };
}

pub const SAME_TYPE: &[(&str, ScalarFn)] = six! {
    "date_", "" => integers;
    "time_", "" => integers;
    "timestamp_", "" => integers;
    "timetz_", "" => timetzs;
    "interval_", "" => intervals;
};

pub const ACROSS_TYPES: &[(&str, ScalarFn)] = six! {
    "date_", "_timestamp" => locals;
    "timestamp_", "_date" => locals;
    "date_", "_timestamptz" => instants;
    "timestamptz_", "_date" => instants;
    "timestamp_", "_timestamptz" => instants;
    "timestamptz_", "_timestamp" => instants;
};

fn sign(order: Ordering) -> Result<Datum> {
    Ok(Datum::Int4(order as i32))
}

pub const THREE_WAY: &[(&str, ScalarFn)] = &[
    ("date_cmp", |c, args| sign(integers(c.format, &args[0], &args[1]))),
    ("time_cmp", |c, args| sign(integers(c.format, &args[0], &args[1]))),
    ("timestamp_cmp", |c, args| sign(integers(c.format, &args[0], &args[1]))),
    ("timetz_cmp", |c, args| sign(timetzs(c.format, &args[0], &args[1]))),
    ("interval_cmp", |c, args| sign(intervals(c.format, &args[0], &args[1]))),
    ("date_cmp_timestamp", |c, args| sign(locals(c.format, &args[0], &args[1]))),
    ("timestamp_cmp_date", |c, args| sign(locals(c.format, &args[0], &args[1]))),
    ("date_cmp_timestamptz", |c, args| sign(instants(c.format, &args[0], &args[1]))),
    ("timestamptz_cmp_date", |c, args| sign(instants(c.format, &args[0], &args[1]))),
    ("timestamp_cmp_timestamptz", |c, args| sign(instants(c.format, &args[0], &args[1]))),
    ("timestamptz_cmp_timestamp", |c, args| sign(instants(c.format, &args[0], &args[1]))),
];

type Order = fn(&FormatSettings, &Datum, &Datum) -> Ordering;

fn larger(order: Order, c: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(if order(c.format, &args[0], &args[1]).is_gt() { args[0].clone() } else { args[1].clone() })
}

fn smaller(order: Order, c: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    Ok(if order(c.format, &args[0], &args[1]).is_lt() { args[0].clone() } else { args[1].clone() })
}

pub const EXTREMES: &[(&str, ScalarFn)] = &[
    ("date_larger", |c, args| larger(integers, c, args)),
    ("date_smaller", |c, args| smaller(integers, c, args)),
    ("time_larger", |c, args| larger(integers, c, args)),
    ("time_smaller", |c, args| smaller(integers, c, args)),
    ("timestamp_larger", |c, args| larger(integers, c, args)),
    ("timestamp_smaller", |c, args| smaller(integers, c, args)),
    ("timetz_larger", |c, args| larger(timetzs, c, args)),
    ("timetz_smaller", |c, args| smaller(timetzs, c, args)),
    ("interval_larger", |c, args| larger(intervals, c, args)),
    ("interval_smaller", |c, args| smaller(intervals, c, args)),
];

fn bad_frame() -> SqlError {
    SqlError::new(
        SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
        "invalid preceding or following size in window function",
    )
}

/// `RANGE` frames: whether `value` lies within `base` minus or plus an offset. Arguments: value, base, offset,
/// whether to subtract, whether to ask for at most (else at least).
fn in_range(
    args: &[Datum],
    order: impl Fn(&Datum, &Datum) -> Ordering,
    shift: impl Fn(bool) -> Result<Datum>,
) -> Result<Datum> {
    if args[2].as_interval().cmp_value() < 0 {
        return Err(bad_frame());
    }
    let bound = shift(args[3].as_bool())?;
    let ordering = order(&args[0], &bound);
    truth(if args[4].as_bool() { ordering.is_le() } else { ordering.is_ge() })
}

fn by_integer(a: &Datum, b: &Datum) -> Ordering {
    a.as_i64().cmp(&b.as_i64())
}

/// Times do not wrap at midnight here: a bound beyond it is beyond every time.
fn in_range_time(args: &[Datum]) -> Result<Datum> {
    let offset = args[2].as_interval().micros;
    if offset < 0 {
        return Err(bad_frame());
    }
    let signed = if args[3].as_bool() { -offset } else { offset };
    let order = match (&args[0], &args[1]) {
        (Datum::TimeTz(value), Datum::TimeTz(base)) => {
            value.compare(&TimeTz { micros: { base.micros }.saturating_add(signed), zone_west_s: base.zone_west_s })
        }
        (value, base) => value.as_i64().cmp(&base.as_i64().saturating_add(signed)),
    };
    truth(if args[4].as_bool() { order.is_le() } else { order.is_ge() })
}

pub const IN_RANGE: &[(&str, ScalarFn)] = &[
    ("in_range_date_interval", |_, args| {
        let base = convert::date_to_timestamp(as_date(&args[1]))?;
        let value = Datum::Timestamp(convert::date_to_timestamp(as_date(&args[0]))?);
        let value = [value, Datum::Null, args[2].clone(), args[3].clone(), args[4].clone()];
        in_range(&value, by_integer, |sub| {
            super::arithmetic::shift_timestamp(base, args[2].as_interval(), sub).map(Datum::Timestamp)
        })
    }),
    ("in_range_timestamp_interval", |_, args| {
        in_range(args, by_integer, |sub| {
            super::arithmetic::shift_timestamp(args[1].as_i64(), args[2].as_interval(), sub).map(Datum::Timestamp)
        })
    }),
    ("in_range_timestamptz_interval", |c, args| {
        let zone = &c.format.time_zone;
        in_range(args, by_integer, |sub| {
            super::arithmetic::shift_timestamptz(args[1].as_i64(), args[2].as_interval(), sub, zone)
                .map(Datum::TimestampTz)
        })
    }),
    ("in_range_interval_interval", |_, args| {
        in_range(
            args,
            |a, b| a.as_interval().compare(&b.as_interval()),
            |sub| {
                let (base, offset) = (args[1].as_interval(), args[2].as_interval());
                let bound = if sub { base.checked_sub(offset)? } else { base.checked_add(offset)? };
                Ok(Datum::Interval(bound))
            },
        )
    }),
    ("in_range_time_interval", |_, args| in_range_time(args)),
    ("in_range_timetz_interval", |_, args| in_range_time(args)),
];

/// `step size cannot equal zero`, for series.
pub(super) fn zero_step() -> SqlError {
    bad_parameter("step size cannot equal zero")
}
