//! Casts among the types, rounding to a precision, and `AT TIME ZONE`.

use super::{ScalarFn, as_date, as_i32, as_timetz, bad_parameter, overflow};
use crate::datetime::calendar::{self, Civil, MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::datetime::io::{apply_typmod, bad_precision};
use crate::datetime::{Interval, NamedZone, TimeTz, TimeZone, format};
use crate::numeric::io::general_format;
use crate::{CallContext, Datum, FormatSettings, Result, SqlError, SqlType};

fn date_beyond_timestamp() -> SqlError {
    overflow("date out of range for timestamp")
}

/// The infinities of a date as a timestamp.
fn infinite_date(days: i32) -> Option<i64> {
    match days {
        calendar::DATE_INFINITY => Some(calendar::TIMESTAMP_INFINITY),
        calendar::DATE_NEG_INFINITY => Some(calendar::TIMESTAMP_NEG_INFINITY),
        _ => None,
    }
}

/// Midnight of a date; dates reach further than timestamps.
pub fn date_to_timestamp(days: i32) -> Result<i64> {
    if let Some(infinite) = infinite_date(days) {
        return Ok(infinite);
    }
    if days >= calendar::TIMESTAMP_END_DATE {
        return Err(date_beyond_timestamp());
    }
    Ok(i64::from(days) * MICROS_PER_DAY)
}

fn date_to_timestamptz(days: i32, zone: &TimeZone) -> Result<i64> {
    let midnight = date_to_timestamp(days)?;
    if infinite_date(days).is_some() {
        return Ok(midnight);
    }
    zone.instant_of(&Civil::from_date(days)).ok_or_else(date_beyond_timestamp)
}

/// `date + time`.
fn date_and_time(days: &Datum, time: &Datum) -> Result<Datum> {
    let midnight = date_to_timestamp(as_date(days))?;
    if !calendar::is_finite_timestamp(midnight) {
        return Ok(Datum::Timestamp(midnight));
    }
    calendar::check_timestamp(midnight.checked_add(time.as_i64())).map(Datum::Timestamp)
}

/// `date + timetz`.
fn date_and_timetz(days: &Datum, time: &Datum) -> Result<Datum> {
    let midnight = date_to_timestamp(as_date(days))?;
    if !calendar::is_finite_timestamp(midnight) {
        return Ok(Datum::TimestampTz(midnight));
    }
    let instant = midnight.checked_add(as_timetz(time).utc_micros());
    calendar::check_timestamp(instant).map(Datum::TimestampTz).map_err(|_| date_beyond_timestamp())
}

fn timestamp_to_date(micros: i64) -> Datum {
    Datum::Date(match micros {
        calendar::TIMESTAMP_INFINITY => calendar::DATE_INFINITY,
        calendar::TIMESTAMP_NEG_INFINITY => calendar::DATE_NEG_INFINITY,
        // Every timestamp's day is a date.
        _ => micros.div_euclid(MICROS_PER_DAY) as i32,
    })
}

/// The local time of an instant, as microseconds; infinities stay.
fn local_micros(instant: i64, zone: &TimeZone) -> i64 {
    if !calendar::is_finite_timestamp(instant) {
        return instant;
    }
    instant + i64::from(zone.offset_at(instant)) * MICROS_PER_SECOND
}

/// The instant of a local time, by the session's zone.
pub fn local_to_instant(micros: i64, zone: &TimeZone) -> Result<i64> {
    if !calendar::is_finite_timestamp(micros) {
        return Ok(micros);
    }
    zone.instant_of(&Civil::from_timestamp(micros)).ok_or_else(calendar::timestamp_out_of_range)
}

/// The time of day of a timestamp; an infinite one has none.
fn time_of(micros: i64) -> Datum {
    if !calendar::is_finite_timestamp(micros) {
        return Datum::Null;
    }
    Datum::Time(micros.rem_euclid(MICROS_PER_DAY))
}

fn timestamptz_to_timetz(instant: i64, zone: &TimeZone) -> Datum {
    if !calendar::is_finite_timestamp(instant) {
        return Datum::Null;
    }
    let east_s = zone.offset_at(instant);
    let micros = (instant + i64::from(east_s) * MICROS_PER_SECOND).rem_euclid(MICROS_PER_DAY);
    Datum::TimeTz(TimeTz { micros, zone_west_s: -east_s })
}

/// A time gets the offset that the session's zone has today at that time.
pub fn time_to_timetz(micros: i64, format: &FormatSettings) -> Datum {
    let local = format.time_zone.local(format.now).with_time(micros);
    Datum::TimeTz(TimeTz { micros, zone_west_s: -format.time_zone.offset_of_local(&local) })
}

/// `to_timestamp(double precision)`: seconds since 1970.
fn from_unix_seconds(seconds: f64) -> Result<Datum> {
    if seconds.is_nan() {
        return Err(overflow("timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        let infinity = if seconds > 0.0 { calendar::TIMESTAMP_INFINITY } else { calendar::TIMESTAMP_NEG_INFINITY };
        return Ok(Datum::TimestampTz(infinity));
    }
    let out_of_range = || overflow(format!("timestamp out of range: \"{}\"", general_format(seconds, 6)));
    let epoch_s = calendar::UNIX_EPOCH_MICROS / MICROS_PER_SECOND;
    let micros = ((seconds + epoch_s as f64) * MICROS_PER_SECOND as f64).round_ties_even();
    // A float too large saturates in the cast, and is then out of range.
    let micros = micros as i64;
    if !calendar::is_valid_timestamp(micros) {
        return Err(out_of_range());
    }
    Ok(Datum::TimestampTz(micros))
}

/// The offset (seconds east) that an interval names as a zone.
fn interval_zone(zone: Interval) -> Result<i32> {
    if zone.months != 0 || zone.days != 0 {
        let mut text = Vec::new();
        format::interval(zone, &FormatSettings::default(), &mut text);
        return Err(bad_parameter(format!(
            "interval time zone \"{}\" must not include months or days",
            String::from_utf8_lossy(&text)
        )));
    }
    i32::try_from(zone.micros / MICROS_PER_SECOND).map_err(|_| calendar::timestamp_out_of_range())
}

/// A timestamp moved by `sign` times an offset.
fn moved(micros: i64, shift_s: i32) -> Result<i64> {
    calendar::check_timestamp(micros.checked_add(i64::from(shift_s) * MICROS_PER_SECOND))
}

/// `timestamp AT TIME ZONE zone`: the instant of a local time there.
fn timestamp_zone(args: &[Datum]) -> Result<Datum> {
    let micros = args[1].as_i64();
    if !calendar::is_finite_timestamp(micros) {
        return Ok(Datum::TimestampTz(micros));
    }
    let east_s = TimeZone::named(args[0].as_str())?.offset_of_local(&Civil::from_timestamp(micros));
    moved(micros, -east_s).map(Datum::TimestampTz)
}

/// `timestamptz AT TIME ZONE zone`: the local time there of an instant.
fn timestamptz_zone(args: &[Datum]) -> Result<Datum> {
    let micros = args[1].as_i64();
    if !calendar::is_finite_timestamp(micros) {
        return Ok(Datum::Timestamp(micros));
    }
    let east_s = TimeZone::named(args[0].as_str())?.offset_at(micros);
    moved(micros, east_s).map(Datum::Timestamp)
}

fn timestamp_izone(args: &[Datum], sign: i32) -> Result<i64> {
    let micros = args[1].as_i64();
    if !calendar::is_finite_timestamp(micros) {
        return Ok(micros);
    }
    moved(micros, sign.saturating_mul(interval_zone(args[0].as_interval())?))
}

/// A timetz seen from another offset.
fn timetz_at(value: TimeTz, east_s: i32) -> Datum {
    let micros = (value.utc_micros() + i64::from(east_s) * MICROS_PER_SECOND).rem_euclid(MICROS_PER_DAY);
    Datum::TimeTz(TimeTz { micros, zone_west_s: east_s.wrapping_neg() })
}

fn timetz_zone(c: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    // A time has no date: the offset is the one of now.
    let zone: NamedZone = TimeZone::named(args[0].as_str())?;
    Ok(timetz_at(as_timetz(&args[1]), zone.offset_at(c.format.now)))
}

/// `timestamp(p)` and the like: the second argument is the typmod.
fn scale(args: &[Datum]) -> Result<Datum> {
    let precision = as_i32(&args[1]);
    let is_timestamp = matches!(args[0], Datum::Timestamp(micros) | Datum::TimestampTz(micros) if calendar::is_finite_timestamp(micros));
    if precision < -1 && is_timestamp {
        return Err(bad_precision(precision));
    }
    apply_typmod(SqlType::with_typmod(0, as_i32(&args[1])), args[0].clone())
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("now", |c, _| Ok(Datum::TimestampTz(c.format.now))),
    ("date_timestamp", |_, args| date_to_timestamp(as_date(&args[0])).map(Datum::Timestamp)),
    ("date_timestamptz", |c, args| date_to_timestamptz(as_date(&args[0]), &c.format.time_zone).map(Datum::TimestampTz)),
    ("datetime_timestamp", |_, args| date_and_time(&args[0], &args[1])),
    ("timedate_pl(time,date)", |_, args| date_and_time(&args[1], &args[0])),
    ("datetimetz_timestamptz", |_, args| date_and_timetz(&args[0], &args[1])),
    ("timetzdate_pl(timetz,date)", |_, args| date_and_timetz(&args[1], &args[0])),
    ("timestamptz(date,time)", |c, args| {
        let local = date_and_time(&args[0], &args[1])?;
        local_to_instant(local.as_i64(), &c.format.time_zone).map(Datum::TimestampTz)
    }),
    ("timestamp_date", |_, args| Ok(timestamp_to_date(args[0].as_i64()))),
    ("timestamptz_date", |c, args| Ok(timestamp_to_date(local_micros(args[0].as_i64(), &c.format.time_zone)))),
    ("timestamp_time", |_, args| Ok(time_of(args[0].as_i64()))),
    ("timestamptz_time", |c, args| Ok(time_of(local_micros(args[0].as_i64(), &c.format.time_zone)))),
    ("timestamptz_timetz", |c, args| Ok(timestamptz_to_timetz(args[0].as_i64(), &c.format.time_zone))),
    ("timestamp_timestamptz", |c, args| {
        local_to_instant(args[0].as_i64(), &c.format.time_zone).map(Datum::TimestampTz)
    }),
    ("timestamptz_timestamp", |c, args| {
        let local = local_micros(args[0].as_i64(), &c.format.time_zone);
        if calendar::is_finite_timestamp(local) {
            calendar::check_timestamp(Some(local))?;
        }
        Ok(Datum::Timestamp(local))
    }),
    ("time_interval", |_, args| Ok(Datum::Interval(Interval::new(0, 0, args[0].as_i64())))),
    ("interval_time", |_, args| Ok(Datum::Time(args[0].as_interval().micros.rem_euclid(MICROS_PER_DAY)))),
    ("time_timetz", |c, args| Ok(time_to_timetz(args[0].as_i64(), c.format))),
    ("timetz_time", |_, args| Ok(Datum::Time(as_timetz(&args[0]).micros))),
    ("float8_timestamptz", |_, args| from_unix_seconds(args[0].as_f64())),
    ("timestamp_zone", |_, args| timestamp_zone(args)),
    ("timestamptz_zone", |_, args| timestamptz_zone(args)),
    ("timestamp_izone", |_, args| timestamp_izone(args, -1).map(Datum::TimestampTz)),
    ("timestamptz_izone", |_, args| timestamp_izone(args, 1).map(Datum::Timestamp)),
    ("timetz_zone", timetz_zone),
    ("timetz_izone", |_, args| Ok(timetz_at(as_timetz(&args[1]), interval_zone(args[0].as_interval())?))),
    ("time_scale", |_, args| scale(args)),
    ("timetz_scale", |_, args| scale(args)),
    ("timestamp_scale", |_, args| scale(args)),
    ("timestamptz_scale", |_, args| scale(args)),
    ("interval_scale", |_, args| scale(args)),
];
