//! `date_trunc` and `date_bin`.

use super::{ScalarFn, interval_unit, not_recognized, not_supported, overflow};
use crate::datetime::calendar::{self, Civil, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use crate::datetime::interval::interval_out_of_range;
use crate::datetime::tokens::Unit;
use crate::datetime::{Interval, NamedZone, TimeZone};
use crate::{Datum, Result, SqlError};

/// The length of a unit of the clock, in microseconds.
fn clock_unit(unit: Unit) -> Option<i64> {
    Some(match unit {
        Unit::Microsecond => 1,
        Unit::Millisecond => 1_000,
        Unit::Second => MICROS_PER_SECOND,
        Unit::Minute => MICROS_PER_MINUTE,
        Unit::Hour => MICROS_PER_HOUR,
        _ => return None,
    })
}

/// The first year of a century or millennium; they begin with year 1.
fn first_year(year: i32, length: i32) -> i32 {
    if year > 0 {
        (year + length - 1) / length * length - (length - 1)
    } else {
        -((length - 1 - (year - 1)) / length) * length + 1
    }
}

/// The midnight that begins a unit of the calendar. None: no such unit.
fn calendar_start(civil: &Civil, unit: Unit) -> Option<Civil> {
    let date = |year, month, day| Some(Civil { year, month, day, ..Civil::default() });
    let year = civil.year;
    match unit {
        Unit::Day => date(year, civil.month, civil.day),
        Unit::Week => {
            let monday = civil.days() - i64::from((civil.weekday() + 6) % 7);
            let (year, month, day) = calendar::civil_from_days(monday);
            date(year, month, day)
        }
        Unit::Month => date(year, civil.month, 1),
        Unit::Quarter => date(year, (civil.month - 1) / 3 * 3 + 1, 1),
        Unit::Year => date(year, 1, 1),
        Unit::Decade if year > 0 => date(year / 10 * 10, 1, 1),
        Unit::Decade => date(-((8 - (year - 1)) / 10) * 10, 1, 1),
        Unit::Century => date(first_year(year, 100), 1, 1),
        Unit::Millennium => date(first_year(year, 1_000), 1, 1),
        _ => None,
    }
}

/// Truncates a timestamp; `zone` is the one whose calendar counts, or None for a local time.
fn truncate(name: &str, micros: i64, zone: Option<&TimeZone>) -> Result<i64> {
    let type_name = if zone.is_some() { "timestamp with time zone" } else { "timestamp without time zone" };
    // An infinity has no unit to look at, not even a wrong one.
    if !calendar::is_finite_timestamp(micros) {
        return Ok(micros);
    }
    let unit = interval_unit(name).ok_or_else(|| not_recognized(name, type_name))?;
    let offset = zone.map_or(0, |zone| i64::from(zone.offset_at(micros)) * MICROS_PER_SECOND);
    let local = micros + offset;
    if let Some(length) = clock_unit(unit) {
        // Within a day the offset stays, so that an hour that comes twice is not mistaken for the other.
        return calendar::check_timestamp(Some(local.div_euclid(length) * length - offset));
    }
    let start = calendar_start(&Civil::from_timestamp(local), unit).ok_or_else(|| not_supported(name, type_name))?;
    match zone {
        Some(zone) => zone.instant_of(&start),
        None => start.to_timestamp(0),
    }
    .ok_or_else(calendar::timestamp_out_of_range)
}

/// A zone named in `date_trunc`; an abbreviation with a varying meaning stands for its zone.
fn zone_by_name(name: &str) -> Result<TimeZone> {
    Ok(match TimeZone::named(name)? {
        NamedZone::Fixed { east_s } => TimeZone::from_offset(east_s),
        NamedZone::Dynamic { zone, .. } | NamedZone::Zone(zone) => zone,
    })
}

fn interval_trunc(name: &str, value: Interval) -> Result<Interval> {
    let unit = interval_unit(name).ok_or_else(|| not_recognized(name, "interval"))?;
    if let Some(length) = clock_unit(unit) {
        return Ok(Interval { micros: value.micros / length * length, ..value });
    }
    let months = |length: i32| Interval::new(value.months / length * length, 0, 0);
    Ok(match unit {
        Unit::Day => Interval { micros: 0, ..value },
        Unit::Month => months(1),
        Unit::Quarter => months(3),
        Unit::Year => months(12),
        Unit::Decade => months(120),
        Unit::Century => months(1_200),
        Unit::Millennium => months(12_000),
        Unit::Week => return Err(not_supported(name, "interval").detail("Months usually have fractional weeks.")),
        _ => return Err(not_supported(name, "interval")),
    })
}

/// The start of the bin of `stride`, counted from `origin`, that a timestamp lies in.
fn bin(stride: Interval, micros: i64, origin: i64) -> Result<i64> {
    if !calendar::is_finite_timestamp(micros) {
        return Ok(micros);
    }
    if !calendar::is_finite_timestamp(origin) {
        return Err(overflow("origin out of range"));
    }
    if stride.months != 0 {
        return Err(SqlError::unsupported("timestamps cannot be binned into intervals containing months or years"));
    }
    let length = i128::from(stride.days) * i128::from(MICROS_PER_DAY) + i128::from(stride.micros);
    if i64::try_from(length).is_err() {
        return Err(interval_out_of_range());
    }
    if length <= 0 {
        return Err(overflow("stride must be greater than zero"));
    }
    let difference = i128::from(micros) - i128::from(origin);
    if i64::try_from(difference).is_err() {
        return Err(interval_out_of_range());
    }
    let start = i128::from(origin) + difference.div_euclid(length) * length;
    calendar::check_timestamp(i64::try_from(start).ok())
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("timestamp_trunc", |_, args| truncate(args[0].as_str(), args[1].as_i64(), None).map(Datum::Timestamp)),
    ("timestamptz_trunc", |c, args| {
        truncate(args[0].as_str(), args[1].as_i64(), Some(&c.format.time_zone)).map(Datum::TimestampTz)
    }),
    ("timestamptz_trunc_zone", |_, args| {
        // The infinite answer comes before the zone is looked at.
        let micros = args[1].as_i64();
        if !calendar::is_finite_timestamp(micros) {
            return Ok(Datum::TimestampTz(micros));
        }
        let zone = zone_by_name(args[2].as_str())?;
        truncate(args[0].as_str(), micros, Some(&zone)).map(Datum::TimestampTz)
    }),
    ("interval_trunc", |_, args| interval_trunc(args[0].as_str(), args[1].as_interval()).map(Datum::Interval)),
    ("timestamp_bin", |_, args| bin(args[0].as_interval(), args[1].as_i64(), args[2].as_i64()).map(Datum::Timestamp)),
    ("timestamptz_bin", |_, args| {
        bin(args[0].as_interval(), args[1].as_i64(), args[2].as_i64()).map(Datum::TimestampTz)
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_begin_where_people_say() {
        let at = |year, month, day| Civil { year, month, day, ..Civil::default() };
        let check = |unit, from: Civil, to: Civil| assert_eq!(calendar_start(&from, unit), Some(to), "{unit:?}");
        check(Unit::Century, at(2000, 5, 5), at(1901, 1, 1));
        check(Unit::Millennium, at(2001, 5, 5), at(2001, 1, 1));
        check(Unit::Century, at(0, 5, 5), at(-99, 1, 1));
        check(Unit::Week, at(2024, 12, 31), at(2024, 12, 30));
        check(Unit::Quarter, at(2024, 6, 30), at(2024, 4, 1));
    }

    #[test]
    fn bins_go_down_before_the_origin() {
        let hour = Interval::new(0, 0, MICROS_PER_HOUR);
        assert_eq!(bin(hour, -1, 0).unwrap(), -MICROS_PER_HOUR);
        assert_eq!(bin(hour, MICROS_PER_HOUR, 0).unwrap(), MICROS_PER_HOUR);
        assert!(bin(Interval::new(1, 0, 0), 0, 0).is_err());
    }
}
