//! `make_date`, `make_time`, `make_timestamp`, `make_timestamptz` and `make_interval`.

use super::{ScalarFn, as_i32, bad_parameter, overflow};
use crate::datetime::calendar::{self, Civil, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use crate::datetime::interval::interval_out_of_range;
use crate::datetime::{Interval, io};
use crate::numeric::io::general_format;
use crate::{Datum, Result, SqlError, SqlState};

/// A negative year, which is BC, as it is counted inside.
fn inside_year(year: i32) -> i32 {
    if year < 0 && year != i32::MIN { year + 1 } else { year }
}

/// A date from its parts. `shown_year` is for errors: `make_date` shows a BC year as it is counted inside, the others as
/// it was given, and so does PostgreSQL.
fn date(year: i32, month: i32, day: i32, shown_year: i32) -> Result<Civil> {
    let inside = inside_year(year);
    let shown = || format!("{shown_year}-{month:02}-{day:02}");
    let is_valid = year != 0
        && year != i32::MIN
        && (1..=12).contains(&month)
        && (1..=calendar::days_in_month(inside, month)).contains(&day);
    if !is_valid {
        return Err(overflow(format!("date field value out of range: {}", shown())));
    }
    let civil = Civil { year: inside, month, day, ..Civil::default() };
    if !calendar::is_valid_julian(civil.year, month) || !calendar::is_valid_date(civil.days()) {
        return Err(overflow(format!("date out of range: {}", shown())));
    }
    Ok(civil)
}

/// A clock reading as PostgreSQL's messages show it: seconds like C's `%02g`.
fn shown(hour: i32, minute: i32, second: f64) -> String {
    let second = match second {
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        second if second.is_nan() => "NaN".to_owned(),
        second => general_format(second, 6),
    };
    format!("{hour}:{minute:02}:{second:0>2}")
}

/// Microseconds since midnight; seconds may be 60, up to 24:00:00 in all.
fn time(hour: i32, minute: i32, second: f64) -> Result<i64> {
    let out_of_range = || overflow(format!("time field value out of range: {}", shown(hour, minute, second)));
    if !(0..=24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..=60.0).contains(&second) {
        return Err(out_of_range());
    }
    let micros = (second * MICROS_PER_SECOND as f64).round_ties_even() as i64;
    let total = i64::from(hour) * MICROS_PER_HOUR + i64::from(minute) * MICROS_PER_MINUTE + micros;
    if total > MICROS_PER_DAY { Err(out_of_range()) } else { Ok(total) }
}

/// Six arguments as a local time, which may be 24:00:00 of its day.
fn timestamp(args: &[Datum]) -> Result<i64> {
    let part = |index: usize| as_i32(&args[index]);
    let civil = date(part(0), part(1), part(2), part(0))?;
    let second = args[5].as_f64();
    let time = time(part(3), part(4), second)?;
    let micros = civil.days().checked_mul(MICROS_PER_DAY).and_then(|midnight| midnight.checked_add(time));
    calendar::check_timestamp(micros).map_err(|_| {
        let clock = shown(part(3), part(4), second);
        overflow(format!("timestamp out of range: {}-{:02}-{:02} {clock}", part(0), part(1), part(2)))
    })
}

/// The offset that a zone's name or number has at a local time.
fn zone_offset(name: &str, local: &Civil) -> Result<i32> {
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(bad_parameter(format!("invalid input syntax for type numeric time zone: \"{name}\""))
            .hint("Numeric time zones must have \"-\" or \"+\" as first character."));
    }
    io::parse_zone_text(name, local)
}

fn interval(args: &[Datum]) -> Result<Interval> {
    let part = |index: usize| i64::from(as_i32(&args[index]));
    let second = args[6].as_f64();
    let second_micros = (second * MICROS_PER_SECOND as f64).round_ties_even();
    if second_micros.is_nan() || second_micros.abs() >= i64::MAX as f64 {
        return Err(interval_out_of_range());
    }
    let months = part(0) * 12 + part(1);
    let days = part(2) * 7 + part(3);
    let clock = i128::from(part(4)) * i128::from(MICROS_PER_HOUR) + i128::from(part(5)) * i128::from(MICROS_PER_MINUTE);
    let micros = clock + second_micros as i128;
    let build = || {
        Some(Interval {
            months: i32::try_from(months).ok()?,
            days: i32::try_from(days).ok()?,
            micros: i64::try_from(micros).ok()?,
        })
    };
    build().ok_or_else(interval_out_of_range)
}

fn out_of_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("make_date", |_, args| {
        let civil = date(as_i32(&args[0]), as_i32(&args[1]), as_i32(&args[2]), inside_year(as_i32(&args[0])))?;
        Ok(Datum::Date(civil.days() as i32))
    }),
    ("make_time", |_, args| time(as_i32(&args[0]), as_i32(&args[1]), args[2].as_f64()).map(Datum::Time)),
    ("make_timestamp", |_, args| timestamp(args).map(Datum::Timestamp)),
    ("make_timestamptz", |c, args| {
        super::convert::local_to_instant(timestamp(args)?, &c.format.time_zone).map(Datum::TimestampTz)
    }),
    ("make_timestamptz_at_timezone", |_, args| {
        let local = Civil::from_timestamp(timestamp(args)?);
        let east_s = zone_offset(args[6].as_str(), &local)?;
        local.to_timestamp(east_s).map(Datum::TimestampTz).ok_or_else(out_of_range)
    }),
    ("make_interval", |_, args| interval(args).map(Datum::Interval)),
];
