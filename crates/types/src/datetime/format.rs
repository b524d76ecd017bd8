//! Writing dates, times, timestamps and intervals, in every DateStyle and IntervalStyle.
//!
//! Digits are pushed straight into the output buffer: these are the hot paths of a result set.

use super::calendar::{self, Civil, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, MONTHS, WEEKDAYS};
use super::{Interval, TimeTz};
use crate::FormatSettings;
use crate::context::{DateOrder, DateStyle, IntervalStyle};

/// Appends a non-negative number with at least `width` digits.
pub fn push_padded(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut buffer = [b'0'; 20];
    let mut at = buffer.len();
    let mut rest = value;
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 || at == 0 {
            break;
        }
    }
    let start = at.min(buffer.len().saturating_sub(width));
    out.extend_from_slice(&buffer[start..]);
}

fn push_two(out: &mut Vec<u8>, value: i32) {
    let value = value.unsigned_abs() % 100;
    out.push(b'0' + (value / 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

fn push_signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_padded(out, value.unsigned_abs(), 1);
}

/// The year as people count it: 0 and below are BC, written without sign.
fn push_year(out: &mut Vec<u8>, year: i32) {
    let year = if year > 0 { i64::from(year) } else { 1 - i64::from(year) };
    push_padded(out, year as u64, 4);
}

/// Seconds with their fraction, without trailing zeros. Both parts have one sign, which is not written.
fn push_seconds(out: &mut Vec<u8>, second: i64, micros: i64, width: usize) {
    push_padded(out, second.unsigned_abs(), width);
    let mut micros = micros.unsigned_abs();
    if micros == 0 {
        return;
    }
    out.push(b'.');
    let mut width = 6;
    while micros.is_multiple_of(10) {
        micros /= 10;
        width -= 1;
    }
    push_padded(out, micros, width);
}

/// `+hh`, `-hh:mm` or `+hh:mm:ss`.
pub fn push_offset(out: &mut Vec<u8>, east_s: i32) {
    let seconds = east_s.abs();
    out.push(if east_s >= 0 { b'+' } else { b'-' });
    push_two(out, seconds / 3_600);
    if seconds % 3_600 != 0 {
        out.push(b':');
        push_two(out, seconds / 60 % 60);
    }
    if seconds % 60 != 0 {
        out.push(b':');
        push_two(out, seconds % 60);
    }
}

/// The numeric date of all styles but Postgres's long one.
fn push_date(out: &mut Vec<u8>, civil: &Civil, style: DateStyle, order: DateOrder) {
    let (first, second) = match (style, order) {
        (DateStyle::German, _) | (_, DateOrder::Dmy) => (civil.day, civil.month),
        _ => (civil.month, civil.day),
    };
    let separator = match style {
        DateStyle::Iso => {
            push_year(out, civil.year);
            out.push(b'-');
            push_two(out, civil.month);
            out.push(b'-');
            push_two(out, civil.day);
            return;
        }
        DateStyle::Sql => b'/',
        DateStyle::Postgres => b'-',
        DateStyle::German => b'.',
    };
    push_two(out, first);
    out.push(separator);
    push_two(out, second);
    out.push(separator);
    push_year(out, civil.year);
}

fn push_era(out: &mut Vec<u8>, civil: &Civil) {
    if civil.year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

fn push_time(out: &mut Vec<u8>, civil: &Civil) {
    push_two(out, civil.hour);
    out.push(b':');
    push_two(out, civil.minute);
    out.push(b':');
    push_seconds(out, i64::from(civil.second), i64::from(civil.micros), 2);
}

fn push_infinity(out: &mut Vec<u8>, is_positive: bool) {
    out.extend_from_slice(if is_positive { b"infinity" } else { b"-infinity" });
}

pub fn date(days: i32, format: &FormatSettings, out: &mut Vec<u8>) {
    if !calendar::is_finite_date(days) {
        return push_infinity(out, days > 0);
    }
    let civil = Civil::from_date(days);
    push_date(out, &civil, format.date_style, format.date_order);
    push_era(out, &civil);
}

pub fn time(micros: i64, out: &mut Vec<u8>) {
    push_time(out, &Civil::default().with_time(micros));
}

pub fn timetz(value: TimeTz, out: &mut Vec<u8>) {
    time(value.micros, out);
    push_offset(out, value.zone_west_s.wrapping_neg());
}

pub fn timestamp(micros: i64, format: &FormatSettings, out: &mut Vec<u8>) {
    if !calendar::is_finite_timestamp(micros) {
        return push_infinity(out, micros > 0);
    }
    datetime(&Civil::from_timestamp(micros), None, format, out);
}

pub fn timestamptz(micros: i64, format: &FormatSettings, out: &mut Vec<u8>) {
    if !calendar::is_finite_timestamp(micros) {
        return push_infinity(out, micros > 0);
    }
    let zone = &format.time_zone;
    if format.date_style == DateStyle::Iso {
        // Only the other styles write the zone's abbreviation.
        let east_s = zone.offset_at(micros);
        let civil = Civil::from_timestamp(micros + i64::from(east_s) * MICROS_PER_SECOND);
        return datetime(&civil, Some((east_s, "")), format, out);
    }
    let info = zone.info_at(micros);
    let civil = Civil::from_timestamp(micros + i64::from(info.east_s) * MICROS_PER_SECOND);
    datetime(&civil, Some((info.east_s, &info.abbreviation)), format, out);
}

/// A zone's abbreviation is cut to this length.
const ABBREVIATION_MAX: usize = 10;

/// A timestamp; `zone` is the offset and abbreviation of one with time zone.
fn datetime(civil: &Civil, zone: Option<(i32, &str)>, format: &FormatSettings, out: &mut Vec<u8>) {
    if format.date_style == DateStyle::Postgres {
        let (weekday, month) = (civil.weekday() as usize, (civil.month - 1).max(0) as usize);
        out.extend_from_slice(WEEKDAYS.get(weekday).map_or("", |name| &name[..3]).as_bytes());
        out.push(b' ');
        let month = MONTHS.get(month).map_or("", |name| &name[..3]).as_bytes();
        if format.date_order == DateOrder::Dmy {
            push_two(out, civil.day);
            out.push(b' ');
            out.extend_from_slice(month);
        } else {
            out.extend_from_slice(month);
            out.push(b' ');
            push_two(out, civil.day);
        }
        out.push(b' ');
        push_time(out, civil);
        out.push(b' ');
        push_year(out, civil.year);
    } else {
        push_date(out, civil, format.date_style, format.date_order);
        out.push(b' ');
        push_time(out, civil);
    }
    if let Some((east_s, abbreviation)) = zone {
        if format.date_style == DateStyle::Iso {
            push_offset(out, east_s);
        } else {
            out.push(b' ');
            out.extend_from_slice(abbreviation.get(..ABBREVIATION_MAX).unwrap_or(abbreviation).as_bytes());
        }
    }
    push_era(out, civil);
}

/// An interval taken apart. All time parts have one sign, as have years and months.
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

impl Parts {
    fn new(value: &Interval) -> Parts {
        Parts {
            years: i64::from(value.months / 12),
            months: i64::from(value.months % 12),
            days: i64::from(value.days),
            hours: value.micros / MICROS_PER_HOUR,
            minutes: value.micros / MICROS_PER_MINUTE % 60,
            seconds: value.micros / MICROS_PER_SECOND % 60,
            micros: value.micros % MICROS_PER_SECOND,
        }
    }

    fn all(&self) -> [i64; 7] {
        [self.years, self.months, self.days, self.hours, self.minutes, self.seconds, self.micros]
    }

    fn has_time(&self) -> bool {
        self.hours != 0 || self.minutes != 0 || self.seconds != 0 || self.micros != 0
    }

    fn is_time_negative(&self) -> bool {
        self.hours < 0 || self.minutes < 0 || self.seconds < 0 || self.micros < 0
    }

    /// `hh:mm:ss.fff` without sign.
    fn push_clock(&self, out: &mut Vec<u8>, hour_width: usize) {
        push_padded(out, self.hours.unsigned_abs(), hour_width);
        out.push(b':');
        push_padded(out, self.minutes.unsigned_abs(), 2);
        out.push(b':');
        push_seconds(out, self.seconds, self.micros, 2);
    }
}

pub fn interval(value: Interval, format: &FormatSettings, out: &mut Vec<u8>) {
    let parts = Parts::new(&value);
    match format.interval_style {
        IntervalStyle::Postgres => interval_postgres(&parts, out),
        IntervalStyle::PostgresVerbose => interval_verbose(&parts, out),
        IntervalStyle::SqlStandard => interval_sql(&parts, out),
        IntervalStyle::Iso8601 => interval_iso(&parts, out),
    }
}

/// `1 year 2 mons -3 days +04:05:06`: after a negative field the next one shows its plus.
fn interval_postgres(parts: &Parts, out: &mut Vec<u8>) {
    let start = out.len();
    let mut is_after_negative = false;
    for (value, unit) in [(parts.years, "year"), (parts.months, "mon"), (parts.days, "day")] {
        if value == 0 {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        if is_after_negative && value > 0 {
            out.push(b'+');
        }
        push_signed(out, value);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if value != 1 {
            out.push(b's');
        }
        is_after_negative = value < 0;
    }
    if out.len() > start && !parts.has_time() {
        return;
    }
    if out.len() > start {
        out.push(b' ');
    }
    if parts.is_time_negative() {
        out.push(b'-');
    } else if is_after_negative {
        out.push(b'+');
    }
    parts.push_clock(out, 2);
}

/// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs ago`: the first field's sign is the sign of all.
fn interval_verbose(parts: &Parts, out: &mut Vec<u8>) {
    out.push(b'@');
    let start = out.len();
    let mut is_ago = false;
    let fields = [
        (parts.years, "year"),
        (parts.months, "mon"),
        (parts.days, "day"),
        (parts.hours, "hour"),
        (parts.minutes, "min"),
    ];
    for (value, unit) in fields {
        if value == 0 {
            continue;
        }
        if out.len() == start {
            is_ago = value < 0;
        }
        let value = if is_ago { -value } else { value };
        out.push(b' ');
        push_signed(out, value);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if value != 1 {
            out.push(b's');
        }
    }
    if parts.seconds != 0 || parts.micros != 0 {
        let is_negative = parts.seconds < 0 || parts.micros < 0;
        if out.len() == start {
            is_ago = is_negative;
        }
        out.push(b' ');
        if is_negative != is_ago {
            out.push(b'-');
        }
        push_seconds(out, parts.seconds, parts.micros, 1);
        let is_one = parts.seconds.abs() == 1 && parts.micros == 0;
        out.extend_from_slice(if is_one { b" sec" } else { b" secs" });
    }
    if out.len() == start {
        out.extend_from_slice(b" 0");
    }
    if is_ago {
        out.extend_from_slice(b" ago");
    }
}

/// `1-2`, `3 4:05:06`, or with all signs shown where SQL has no form for the value.
fn interval_sql(parts: &Parts, out: &mut Vec<u8>) {
    let has_negative = parts.all().iter().any(|part| *part < 0);
    let has_positive = parts.all().iter().any(|part| *part > 0);
    let has_year_month = parts.years != 0 || parts.months != 0;
    let has_day_time = parts.days != 0 || parts.has_time();
    if !has_negative && !has_positive {
        out.push(b'0');
        return;
    }
    let year_month = |out: &mut Vec<u8>| {
        push_padded(out, parts.years.unsigned_abs(), 1);
        out.push(b'-');
        push_padded(out, parts.months.unsigned_abs(), 1);
    };
    if (has_negative && has_positive) || (has_year_month && has_day_time) {
        let sign = |is_negative: bool| if is_negative { b'-' } else { b'+' };
        out.push(sign(parts.years < 0 || parts.months < 0));
        year_month(out);
        out.push(b' ');
        out.push(sign(parts.days < 0));
        push_padded(out, parts.days.unsigned_abs(), 1);
        out.push(b' ');
        out.push(sign(parts.is_time_negative()));
        parts.push_clock(out, 1);
        return;
    }
    if has_negative {
        out.push(b'-');
    }
    if has_year_month {
        return year_month(out);
    }
    if parts.days != 0 {
        push_padded(out, parts.days.unsigned_abs(), 1);
        out.push(b' ');
    }
    parts.push_clock(out, 1);
}

/// `P1Y2M3DT4H5M6S`.
fn interval_iso(parts: &Parts, out: &mut Vec<u8>) {
    if parts.all().iter().all(|part| *part == 0) {
        out.extend_from_slice(b"PT0S");
        return;
    }
    let field = |out: &mut Vec<u8>, value: i64, unit: u8| {
        if value != 0 {
            push_signed(out, value);
            out.push(unit);
        }
    };
    out.push(b'P');
    field(out, parts.years, b'Y');
    field(out, parts.months, b'M');
    field(out, parts.days, b'D');
    if !parts.has_time() {
        return;
    }
    out.push(b'T');
    field(out, parts.hours, b'H');
    field(out, parts.minutes, b'M');
    if parts.seconds != 0 || parts.micros != 0 {
        if parts.seconds < 0 || parts.micros < 0 {
            out.push(b'-');
        }
        push_seconds(out, parts.seconds, parts.micros, 1);
        out.push(b'S');
    }
}
