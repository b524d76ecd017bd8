//! `extract` and `date_part`: the same parts, as numeric with a fixed scale or as double precision.

use super::{Part, ScalarFn, as_date, as_timetz, not_recognized, not_supported, part};
use crate::datetime::calendar::{
    self, Civil, EPOCH_JULIAN, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND,
};
use crate::datetime::tokens::Unit;
use crate::datetime::{Interval, TimeTz};
use crate::numeric::Numeric;
use crate::{CallContext, Datum, Result};

/// A part before it takes its SQL type.
#[derive(Clone, Copy, Debug)]
enum Value {
    Integer(i64),
    /// Microseconds to be shown in seconds: `numeric` with scale 6.
    Micros(i128),
    /// Microseconds to be shown in milliseconds: scale 3.
    Millis(i64),
    /// A day number and the part of the day gone, in microseconds.
    JulianDay(i64, i64),
    Infinity(bool),
    Null,
}

impl Value {
    fn numeric(self) -> Result<Datum> {
        Ok(Datum::Numeric(match self {
            Value::Integer(value) => Numeric::from_i64(value),
            Value::Micros(micros) => Numeric::from_i128_scaled(micros, 6),
            Value::Millis(micros) => Numeric::from_i128_scaled(i128::from(micros), 3),
            Value::JulianDay(day, micros) => {
                let fraction = Numeric::from_i64(micros).div(&Numeric::from_i64(MICROS_PER_DAY))?;
                Numeric::from_i64(day).add(&fraction)?
            }
            Value::Infinity(true) => Numeric::PosInfinity,
            Value::Infinity(false) => Numeric::NegInfinity,
            Value::Null => return Ok(Datum::Null),
        }))
    }

    fn float(self) -> Datum {
        Datum::Float8(match self {
            Value::Integer(value) => value as f64,
            Value::Micros(micros) => micros as f64 / 1_000_000.0,
            Value::Millis(micros) => micros as f64 / 1_000.0,
            Value::JulianDay(day, micros) => {
                day as f64 + micros as f64 / 1_000_000.0 / calendar::SECONDS_PER_DAY as f64
            }
            Value::Infinity(true) => f64::INFINITY,
            Value::Infinity(false) => f64::NEG_INFINITY,
            Value::Null => return Datum::Null,
        })
    }
}

/// Centuries and millennia: there is no year 0, and the first one ends with its hundredth year.
fn long_period(year: i64, length: i64) -> i64 {
    if year > 0 { (year + length - 1) / length } else { -((length - 1 - (year - 1)) / length) }
}

/// The parts of a date that timestamps share. None: no such part.
fn date_unit(civil: &Civil, unit: Unit) -> Option<i64> {
    let year = i64::from(civil.year);
    Some(match unit {
        Unit::Day => i64::from(civil.day),
        Unit::Month => i64::from(civil.month),
        Unit::Quarter => i64::from((civil.month - 1) / 3 + 1),
        Unit::Week => i64::from(civil.iso_week().1),
        Unit::Year => year - i64::from(year <= 0),
        Unit::Decade if year >= 0 => year / 10,
        Unit::Decade => -((8 - (year - 1)) / 10),
        Unit::Century => long_period(year, 100),
        Unit::Millennium => long_period(year, 1_000),
        Unit::IsoYear => {
            let year = i64::from(civil.iso_week().0);
            year - i64::from(year <= 0)
        }
        Unit::Dow => i64::from(civil.weekday()),
        Unit::IsoDow => i64::from((civil.weekday() + 6) % 7 + 1),
        Unit::Doy => i64::from(civil.day_of_year()),
        _ => return None,
    })
}

/// The parts of a time of day. None: no such part.
fn time_unit(micros: i64, unit: Unit) -> Option<Value> {
    Some(match unit {
        Unit::Microsecond => Value::Integer(micros % MICROS_PER_MINUTE),
        Unit::Millisecond => Value::Millis(micros % MICROS_PER_MINUTE),
        Unit::Second => Value::Micros(i128::from(micros % MICROS_PER_MINUTE)),
        Unit::Minute => Value::Integer(micros / MICROS_PER_MINUTE % 60),
        Unit::Hour => Value::Integer(micros / MICROS_PER_HOUR),
        _ => return None,
    })
}

fn zone_unit(east_s: i32, unit: Unit) -> Option<Value> {
    Some(Value::Integer(i64::from(match unit {
        Unit::Zone => east_s,
        Unit::ZoneHour => east_s / 3_600,
        Unit::ZoneMinute => east_s / 60 % 60,
        _ => return None,
    })))
}

/// A part of an infinite date or timestamp: those that only grow are infinite, those that come round are NULL.
fn infinite_unit(part: Part, is_positive: bool) -> Option<Value> {
    match part {
        Part::Epoch => Some(Value::Infinity(is_positive)),
        Part::Unit(Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium | Unit::Julian | Unit::IsoYear) => {
            Some(Value::Infinity(is_positive))
        }
        Part::Unit(Unit::TimeOfDay) | Part::OtherMoment => None,
        Part::Unit(_) => Some(Value::Null),
    }
}

const TIMESTAMP: &str = "timestamp without time zone";
const TIMESTAMPTZ: &str = "timestamp with time zone";

/// A part of a local time; `east_s` is there for a timestamptz.
fn timestamp(name: &str, micros: i64, c: &CallContext<'_>, with_zone: bool) -> Result<Value> {
    let type_name = if with_zone { TIMESTAMPTZ } else { TIMESTAMP };
    let part = part(name).ok_or_else(|| not_recognized(name, type_name))?;
    let value = if !calendar::is_finite_timestamp(micros) {
        infinite_unit(part, micros > 0)
    } else {
        match part {
            Part::Epoch => Some(Value::Micros(i128::from(micros) - i128::from(calendar::UNIX_EPOCH_MICROS))),
            Part::OtherMoment => None,
            Part::Unit(unit) => {
                let east_s = if with_zone { c.format.time_zone.offset_at(micros) } else { 0 };
                timestamp_unit(micros + i64::from(east_s) * MICROS_PER_SECOND, unit)
                    .or_else(|| if with_zone { zone_unit(east_s, unit) } else { None })
            }
        }
    };
    value.ok_or_else(|| not_supported(name, type_name))
}

fn timestamp_unit(local: i64, unit: Unit) -> Option<Value> {
    let time = local.rem_euclid(MICROS_PER_DAY);
    if let Some(value) = time_unit(time, unit) {
        return Some(value);
    }
    if unit == Unit::Julian {
        return Some(Value::JulianDay(local.div_euclid(MICROS_PER_DAY) + i64::from(EPOCH_JULIAN), time));
    }
    date_unit(&Civil::from_timestamp(local), unit).map(Value::Integer)
}

fn date(name: &str, days: i32) -> Result<Value> {
    let part = part(name).ok_or_else(|| not_recognized(name, "date"))?;
    let value = if !calendar::is_finite_date(days) {
        // A date has no time and no zone, infinite or not.
        match part {
            Part::Unit(unit) if time_unit(0, unit).is_some() || zone_unit(0, unit).is_some() => None,
            part => infinite_unit(part, days > 0),
        }
    } else {
        match part {
            Part::Epoch => Some(Value::Integer(
                (i64::from(days) - i64::from(calendar::UNIX_EPOCH_DAYS)) * calendar::SECONDS_PER_DAY,
            )),
            Part::Unit(Unit::Julian) => Some(Value::Integer(i64::from(days) + i64::from(EPOCH_JULIAN))),
            Part::Unit(unit) => date_unit(&Civil::from_date(days), unit).map(Value::Integer),
            Part::OtherMoment => None,
        }
    };
    value.ok_or_else(|| not_supported(name, "date"))
}

fn time(name: &str, micros: i64) -> Result<Value> {
    const NAME: &str = "time without time zone";
    match part(name) {
        Some(Part::Unit(unit)) => time_unit(micros, unit).ok_or_else(|| not_supported(name, NAME)),
        Some(Part::Epoch) => Ok(Value::Micros(i128::from(micros))),
        _ => Err(not_recognized(name, NAME)),
    }
}

fn timetz(name: &str, value: TimeTz) -> Result<Value> {
    const NAME: &str = "time with time zone";
    match part(name) {
        Some(Part::Unit(unit)) => time_unit(value.micros, unit)
            .or_else(|| zone_unit(value.zone_west_s.wrapping_neg(), unit))
            .ok_or_else(|| not_supported(name, NAME)),
        Some(Part::Epoch) => Ok(Value::Micros(i128::from(value.utc_micros()))),
        _ => Err(not_recognized(name, NAME)),
    }
}

fn interval(name: &str, value: Interval) -> Result<Value> {
    let (years, months) = (i64::from(value.months / 12), i64::from(value.months % 12));
    let found = match part(name) {
        Some(Part::Unit(unit)) => match unit {
            Unit::Day => Some(Value::Integer(i64::from(value.days))),
            Unit::Month => Some(Value::Integer(months)),
            Unit::Quarter => Some(Value::Integer(months / 3 + 1)),
            Unit::Year => Some(Value::Integer(years)),
            Unit::Decade => Some(Value::Integer(years / 10)),
            Unit::Century => Some(Value::Integer(years / 100)),
            Unit::Millennium => Some(Value::Integer(years / 1_000)),
            unit => time_unit(value.micros, unit),
        },
        Some(Part::Epoch) => {
            // A year has 365.25 days here, a month 30. In quarters of a day all is whole.
            let quarter_days = 1_461 * years + 120 * months + 4 * i64::from(value.days);
            let seconds = i128::from(quarter_days) * i128::from(calendar::SECONDS_PER_DAY / 4);
            Some(Value::Micros(seconds * i128::from(MICROS_PER_SECOND) + i128::from(value.micros)))
        }
        Some(Part::OtherMoment) | None => return Err(not_recognized(name, "interval")),
    };
    found.ok_or_else(|| not_supported(name, "interval"))
}

/// The epoch of an interval as a float, in PostgreSQL's order of additions, which the last digit depends on.
fn interval_seconds(value: Interval) -> f64 {
    let day = calendar::SECONDS_PER_DAY as f64;
    value.micros as f64 / 1_000_000.0
        + 365.25 * day * f64::from(value.months / 12)
        + 30.0 * day * f64::from(value.months % 12)
        + day * f64::from(value.days)
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("extract_date", |_, args| date(args[0].as_str(), as_date(&args[1]))?.numeric()),
    ("extract_time", |_, args| time(args[0].as_str(), args[1].as_i64())?.numeric()),
    ("extract_timetz", |_, args| timetz(args[0].as_str(), as_timetz(&args[1]))?.numeric()),
    ("extract_timestamp", |c, args| timestamp(args[0].as_str(), args[1].as_i64(), c, false)?.numeric()),
    ("extract_timestamptz", |c, args| timestamp(args[0].as_str(), args[1].as_i64(), c, true)?.numeric()),
    ("extract_interval", |_, args| interval(args[0].as_str(), args[1].as_interval())?.numeric()),
    ("date_part(text,date)", |c, args| {
        let midnight = super::convert::date_to_timestamp(as_date(&args[1]))?;
        Ok(timestamp(args[0].as_str(), midnight, c, false)?.float())
    }),
    ("time_part", |_, args| Ok(time(args[0].as_str(), args[1].as_i64())?.float())),
    ("timetz_part", |_, args| Ok(timetz(args[0].as_str(), as_timetz(&args[1]))?.float())),
    ("timestamp_part", |c, args| Ok(timestamp(args[0].as_str(), args[1].as_i64(), c, false)?.float())),
    ("timestamptz_part", |c, args| Ok(timestamp(args[0].as_str(), args[1].as_i64(), c, true)?.float())),
    ("interval_part", |_, args| {
        let (name, value) = (args[0].as_str(), args[1].as_interval());
        if part(name) == Some(Part::Epoch) {
            return Ok(Datum::Float8(interval_seconds(value)));
        }
        Ok(interval(name, value)?.float())
    }),
];
