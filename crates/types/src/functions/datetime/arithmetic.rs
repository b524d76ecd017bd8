//! Sums, differences, ages and series. Infinities stay what they are under `+` and `-` of an interval; the difference of
//! two moments must be finite.

use super::{ScalarFn, SetFn, as_date, as_i32, as_timetz, convert, overflow};
use crate::datetime::calendar::{self, Civil, MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::datetime::interval::interval_out_of_range;
use crate::datetime::{Interval, TimeTz, TimeZone};
use crate::functions::RowIter;
use crate::{CallContext, Datum, Result};
use std::cmp::Ordering;

/// A local time some months later, its day cut to the month's length.
fn add_months(civil: &Civil, months: i32) -> Result<Civil> {
    let months = i64::from(civil.year) * 12 + i64::from(civil.month) - 1 + i64::from(months);
    let year = i32::try_from(months.div_euclid(12)).map_err(|_| calendar::timestamp_out_of_range())?;
    let month = months.rem_euclid(12) as i32 + 1;
    Ok(Civil { year, month, day: civil.day.min(calendar::days_in_month(year, month)), ..*civil })
}

fn add_days(civil: &Civil, days: i32) -> Civil {
    let (year, month, day) = calendar::civil_from_days(civil.days() + i64::from(days));
    Civil { year, month, day, ..*civil }
}

/// `moment + interval`: months first, then days, then the time. After each step the moment must be one of its type.
fn shift(
    micros: i64,
    span: Interval,
    negate: bool,
    local: impl Fn(i64) -> Civil,
    moment: impl Fn(&Civil) -> Option<i64>,
) -> Result<i64> {
    if !calendar::is_finite_timestamp(micros) {
        return Ok(micros);
    }
    let span = signed(span, negate)?;
    let mut result = micros;
    if span.months != 0 {
        let civil = add_months(&local(result), span.months)?;
        result = moment(&civil).ok_or_else(calendar::timestamp_out_of_range)?;
    }
    if span.days != 0 {
        let civil = add_days(&local(result), span.days);
        result = moment(&civil).ok_or_else(calendar::timestamp_out_of_range)?;
    }
    calendar::check_timestamp(result.checked_add(span.micros))
}

fn signed(span: Interval, negate: bool) -> Result<Interval> {
    if negate { span.checked_neg().map_err(|_| calendar::timestamp_out_of_range()) } else { Ok(span) }
}

/// `timestamp ± interval`.
pub fn shift_timestamp(micros: i64, span: Interval, negate: bool) -> Result<i64> {
    shift(micros, span, negate, Civil::from_timestamp, |civil| civil.to_timestamp(0))
}

/// `timestamptz ± interval`: months and days by the zone's calendar, so that a day may have 23 or 25 hours.
pub fn shift_timestamptz(micros: i64, span: Interval, negate: bool, zone: &TimeZone) -> Result<i64> {
    shift(micros, span, negate, |micros| zone.local(micros), |civil| zone.instant_of(civil))
}

fn timestamp_pl(micros: i64, span: &Datum, negate: bool) -> Result<Datum> {
    shift_timestamp(micros, span.as_interval(), negate).map(Datum::Timestamp)
}

fn timestamptz_pl(c: &CallContext<'_>, micros: i64, span: &Datum, negate: bool) -> Result<Datum> {
    shift_timestamptz(micros, span.as_interval(), negate, &c.format.time_zone).map(Datum::TimestampTz)
}

fn date_pl_interval(days: &Datum, span: &Datum, negate: bool) -> Result<Datum> {
    timestamp_pl(convert::date_to_timestamp(as_date(days))?, span, negate)
}

fn wrap(micros: i64, shift: i64) -> i64 {
    ((i128::from(micros) + i128::from(shift)).rem_euclid(i128::from(MICROS_PER_DAY))) as i64
}

/// `time ± interval`: only the interval's time counts, and midnight wraps.
pub fn shift_time(micros: i64, span: Interval, negate: bool) -> i64 {
    wrap(micros, if negate { span.micros.saturating_neg() } else { span.micros })
}

fn time_pl(time: &Datum, span: &Datum, negate: bool) -> Result<Datum> {
    Ok(Datum::Time(shift_time(time.as_i64(), span.as_interval(), negate)))
}

fn timetz_pl(time: &Datum, span: &Datum, negate: bool) -> Result<Datum> {
    let time = as_timetz(time);
    Ok(Datum::TimeTz(TimeTz { micros: shift_time(time.micros, span.as_interval(), negate), ..time }))
}

/// `date ± integer`.
fn date_pli(days: &Datum, shift: i64) -> Result<Datum> {
    let days = as_date(days);
    if !calendar::is_finite_date(days) {
        return Ok(Datum::Date(days));
    }
    let result = i64::from(days) + shift;
    if !calendar::is_valid_date(result) {
        return Err(calendar::date_out_of_range());
    }
    Ok(Datum::Date(result as i32))
}

fn date_mi(args: &[Datum]) -> Result<Datum> {
    let (a, b) = (as_date(&args[0]), as_date(&args[1]));
    if !calendar::is_finite_date(a) || !calendar::is_finite_date(b) {
        return Err(overflow("cannot subtract infinite dates"));
    }
    Ok(Datum::Int4(a.wrapping_sub(b)))
}

/// `timestamp - timestamp`: days and hours, no months.
fn timestamp_mi(args: &[Datum]) -> Result<Datum> {
    let (a, b) = (args[0].as_i64(), args[1].as_i64());
    if !calendar::is_finite_timestamp(a) || !calendar::is_finite_timestamp(b) {
        return Err(overflow("cannot subtract infinite timestamps"));
    }
    let micros = a.checked_sub(b).ok_or_else(interval_out_of_range)?;
    Interval::new(0, 0, micros).justify_hours().map(Datum::Interval)
}

/// The symbolic difference of two local times: years, months and days as people count them.
fn age(a: &Civil, b: &Civil, order: Ordering) -> Interval {
    // Count from the earlier to the later; the month whose length fills missing days is the earlier one's.
    let (late, early) = if order.is_lt() { (b, a) } else { (a, b) };
    let mut micros = late.time() - early.time();
    let mut days = late.day - early.day;
    let mut months = (i64::from(late.year) - i64::from(early.year)) * 12 + i64::from(late.month - early.month);
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    while days < 0 {
        days += calendar::days_in_month(early.year, early.month);
        months -= 1;
    }
    let months = months as i32;
    if order.is_lt() { Interval::new(-months, -days, -micros) } else { Interval::new(months, days, micros) }
}

fn timestamp_age(a: i64, b: i64, local: impl Fn(i64) -> Civil) -> Result<Datum> {
    if !calendar::is_finite_timestamp(a) || !calendar::is_finite_timestamp(b) {
        return Err(calendar::timestamp_out_of_range());
    }
    Ok(Datum::Interval(age(&local(a), &local(b), a.cmp(&b))))
}

/// Midnight of today, as a local time.
fn today(c: &CallContext<'_>) -> Civil {
    Civil { hour: 0, minute: 0, second: 0, micros: 0, ..c.format.time_zone.local(c.format.now) }
}

fn interval(result: Result<Interval>) -> Result<Datum> {
    result.map(Datum::Interval)
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("date_pli", |_, args| date_pli(&args[0], i64::from(as_i32(&args[1])))),
    ("date_mii", |_, args| date_pli(&args[0], -i64::from(as_i32(&args[1])))),
    ("integer_pl_date(int4,date)", |_, args| date_pli(&args[1], i64::from(as_i32(&args[0])))),
    ("date_mi", |_, args| date_mi(args)),
    ("date_pl_interval", |_, args| date_pl_interval(&args[0], &args[1], false)),
    ("date_mi_interval", |_, args| date_pl_interval(&args[0], &args[1], true)),
    ("interval_pl_date(interval,date)", |_, args| date_pl_interval(&args[1], &args[0], false)),
    ("timestamp_pl_interval", |_, args| timestamp_pl(args[0].as_i64(), &args[1], false)),
    ("timestamp_mi_interval", |_, args| timestamp_pl(args[0].as_i64(), &args[1], true)),
    ("interval_pl_timestamp(interval,timestamp)", |_, args| timestamp_pl(args[1].as_i64(), &args[0], false)),
    ("timestamptz_pl_interval", |c, args| timestamptz_pl(c, args[0].as_i64(), &args[1], false)),
    ("timestamptz_mi_interval", |c, args| timestamptz_pl(c, args[0].as_i64(), &args[1], true)),
    ("interval_pl_timestamptz(interval,timestamptz)", |c, args| timestamptz_pl(c, args[1].as_i64(), &args[0], false)),
    ("time_pl_interval", |_, args| time_pl(&args[0], &args[1], false)),
    ("time_mi_interval", |_, args| time_pl(&args[0], &args[1], true)),
    ("interval_pl_time(interval,time)", |_, args| time_pl(&args[1], &args[0], false)),
    ("timetz_pl_interval", |_, args| timetz_pl(&args[0], &args[1], false)),
    ("timetz_mi_interval", |_, args| timetz_pl(&args[0], &args[1], true)),
    ("interval_pl_timetz(interval,timetz)", |_, args| timetz_pl(&args[1], &args[0], false)),
    ("time_mi_time", |_, args| interval(Ok(Interval::new(0, 0, args[0].as_i64() - args[1].as_i64())))),
    ("timestamp_mi", |_, args| timestamp_mi(args)),
    ("timestamp_age", |_, args| timestamp_age(args[0].as_i64(), args[1].as_i64(), Civil::from_timestamp)),
    ("timestamptz_age", |c, args| {
        timestamp_age(args[0].as_i64(), args[1].as_i64(), |micros| c.format.time_zone.local(micros))
    }),
    ("age(timestamp)", |c, args| {
        let today = today(c).to_timestamp(0).ok_or_else(calendar::timestamp_out_of_range)?;
        timestamp_age(today, args[0].as_i64(), Civil::from_timestamp)
    }),
    ("age(timestamptz)", |c, args| {
        let today = c.format.time_zone.instant_of(&today(c)).ok_or_else(calendar::timestamp_out_of_range)?;
        timestamp_age(today, args[0].as_i64(), |micros| c.format.time_zone.local(micros))
    }),
    ("interval_pl", |_, args| interval(args[0].as_interval().checked_add(args[1].as_interval()))),
    ("interval_mi", |_, args| interval(args[0].as_interval().checked_sub(args[1].as_interval()))),
    ("interval_um", |_, args| interval(args[0].as_interval().checked_neg())),
    ("interval_mul", |_, args| interval(args[0].as_interval().mul_f64(args[1].as_f64()))),
    ("mul_d_interval", |_, args| interval(args[1].as_interval().mul_f64(args[0].as_f64()))),
    ("interval_div", |_, args| interval(args[0].as_interval().div_f64(args[1].as_f64()))),
    ("interval_justify_hours", |_, args| interval(args[0].as_interval().justify_hours())),
    ("interval_justify_days", |_, args| interval(args[0].as_interval().justify_days())),
    ("interval_justify_interval", |_, args| interval(args[0].as_interval().justify_interval())),
    ("date_finite", |_, args| Ok(Datum::Bool(calendar::is_finite_date(as_date(&args[0]))))),
    ("timestamp_finite", |_, args| Ok(Datum::Bool(calendar::is_finite_timestamp(args[0].as_i64())))),
    ("interval_finite", |_, _| Ok(Datum::Bool(true))),
];

/// `generate_series` by an interval: made one by one, as it may be long or endless.
struct Series {
    next: Option<i64>,
    stop: i64,
    step: Interval,
    is_upward: bool,
    /// None: local times.
    zone: Option<TimeZone>,
}

impl Iterator for Series {
    type Item = Result<Vec<Datum>>;

    fn next(&mut self) -> Option<Self::Item> {
        let current = self.next.take()?;
        if if self.is_upward { current > self.stop } else { current < self.stop } {
            return None;
        }
        let next = match &self.zone {
            Some(zone) => shift_timestamptz(current, self.step, false, zone),
            None => shift_timestamp(current, self.step, false),
        };
        match next {
            Ok(next) => self.next = Some(next),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(vec![if self.zone.is_some() { Datum::TimestampTz(current) } else { Datum::Timestamp(current) }]))
    }
}

fn series(args: &[Datum], zone: Option<TimeZone>) -> Result<RowIter> {
    let step = args[2].as_interval();
    let is_upward = match step.compare(&Interval::default()) {
        Ordering::Equal => return Err(super::compare::zero_step()),
        order => order.is_gt(),
    };
    Ok(Box::new(Series { next: Some(args[0].as_i64()), stop: args[1].as_i64(), step, is_upward, zone }))
}

pub const SETS: &[(&str, SetFn)] = &[
    ("generate_series_timestamp", |_, args| series(args, None)),
    ("generate_series_timestamptz", |c, args| series(args, Some(c.format.time_zone.clone()))),
];

const _: () = assert!(MICROS_PER_DAY == 86_400 * MICROS_PER_SECOND);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: i32, month: i32, day: i32, hour: i32) -> Civil {
        Civil { year, month, day, hour, ..Civil::default() }
    }

    #[test]
    fn a_month_later_is_cut_to_the_month() {
        let start = at(2024, 1, 31, 0).to_timestamp(0).unwrap();
        let end = shift_timestamp(start, Interval::new(1, 0, 0), false).unwrap();
        assert_eq!(Civil::from_timestamp(end), at(2024, 2, 29, 0));
        let before = shift_timestamp(start, Interval::new(14, 0, 0), true).unwrap();
        assert_eq!(Civil::from_timestamp(before), at(2022, 11, 30, 0));
        assert!(shift_timestamp(start, Interval::new(i32::MAX, 0, 0), false).is_err());
        assert_eq!(shift_timestamp(i64::MAX, Interval::new(1, 0, 0), false).unwrap(), i64::MAX);
    }

    #[test]
    fn a_day_may_have_23_hours() {
        let zone = TimeZone::lookup("Europe/Berlin").unwrap();
        let start = zone.instant_of(&at(2024, 3, 30, 12)).unwrap();
        let day = shift_timestamptz(start, Interval::new(0, 1, 0), false, &zone).unwrap();
        assert_eq!(day - start, 23 * 3_600 * MICROS_PER_SECOND);
    }

    #[test]
    fn a_series_may_go_down_and_ends_at_its_stop() {
        let month = Datum::Interval(Interval::new(-1, 0, 0));
        let start = at(2024, 3, 31, 0).to_timestamp(0).unwrap();
        let stop = at(2023, 12, 31, 0).to_timestamp(0).unwrap();
        let rows = series(&[Datum::Timestamp(start), Datum::Timestamp(stop), month.clone()], None).unwrap();
        let days: Vec<(i32, i32)> = rows
            .map(|row| Civil::from_timestamp(row.unwrap()[0].as_i64()))
            .map(|civil| (civil.month, civil.day))
            .collect();
        // Each step starts from the one before: the 29th stays.
        assert_eq!(days, [(3, 31), (2, 29), (1, 29)]);
        let zero = Datum::Interval(Interval::new(1, -30, 0));
        assert!(series(&[Datum::Timestamp(start), Datum::Timestamp(stop), zero], None).is_err());
    }

    #[test]
    fn age_is_symbolic_and_odd() {
        let (a, b) = (at(2024, 3, 1, 0), at(2024, 1, 31, 12));
        let forth = age(&a, &b, Ordering::Greater);
        assert!(forth.is_identical(&Interval::new(1, 0, 12 * 3_600 * MICROS_PER_SECOND)), "{forth:?}");
        let back = age(&b, &a, Ordering::Less);
        assert!(back.is_identical(&forth.checked_neg().unwrap()), "{back:?}");
    }
}
