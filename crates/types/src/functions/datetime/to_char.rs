//! `to_char` of timestamps and intervals.

use super::template::{self, Field, Letters, Node, Pattern};
use super::{ScalarFn, SqlError, SqlState};
use crate::datetime::calendar::{
    self, Civil, EPOCH_JULIAN, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, MONTHS, WEEKDAYS,
};
use crate::datetime::{Interval, ZoneOffset};
use crate::{Datum, Result, stop};
use std::fmt::Write;

/// Roman months, January first.
pub const ROMAN: [&str; 12] = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"];

/// What a template can show of a value. An interval has no weekday and no zone, and its hours have no bound.
struct Shown {
    is_interval: bool,
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    day_of_year: i64,
    weekday: i64,
    civil: Civil,
    zone: Option<ZoneOffset>,
}

impl Shown {
    fn timestamp(civil: Civil, zone: Option<ZoneOffset>) -> Shown {
        Shown {
            is_interval: false,
            year: i64::from(civil.year),
            month: i64::from(civil.month),
            day: i64::from(civil.day),
            hour: i64::from(civil.hour),
            minute: i64::from(civil.minute),
            second: i64::from(civil.second),
            micros: i64::from(civil.micros),
            day_of_year: i64::from(civil.day_of_year()),
            weekday: i64::from(civil.weekday()),
            civil,
            zone,
        }
    }

    fn interval(value: Interval) -> Shown {
        let (year, month) = (i64::from(value.months / 12), i64::from(value.months % 12));
        Shown {
            is_interval: true,
            year,
            month,
            day: i64::from(value.days),
            hour: value.micros / MICROS_PER_HOUR,
            minute: value.micros / MICROS_PER_MINUTE % 60,
            second: value.micros / MICROS_PER_SECOND % 60,
            micros: value.micros % MICROS_PER_SECOND,
            // An approximation: the whole span in days.
            day_of_year: i64::from(value.months) * 30 + i64::from(value.days),
            weekday: 0,
            // Of an interval's fields the calendar's arithmetic gives some number, as it does in PostgreSQL.
            civil: Civil { year: year as i32, month: month as i32, day: value.days, ..Civil::default() },
            zone: None,
        }
    }

    /// The year as it is written: BC years are counted from 1.
    fn shown_year(&self, year: i64) -> i64 {
        if self.is_interval || year > 0 { year } else { 1 - year }
    }

    /// The start of week 1 of the ISO year and that year, for what has a date.
    fn iso(&self) -> (i64, i64, i64) {
        let (year, week) = self.civil.iso_week();
        let day = self.civil.days() - calendar::iso_year_start(year) + 1;
        (i64::from(year), i64::from(week), day)
    }

    fn calendar_only(&self) -> Result<()> {
        if self.is_interval {
            return Err(SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                "invalid format specification for an interval value",
            )
            .hint("Intervals are not tied to specific calendar dates."));
        }
        Ok(())
    }

    fn east_s(&self) -> i32 {
        self.zone.as_ref().map_or(0, |zone| zone.east_s)
    }
}

/// A number padded with zeros to `width`, its minus included.
fn plain(out: &mut String, value: i64, width: usize, fill_mode: bool) {
    let width = if fill_mode { 0 } else { width };
    let _ = write!(out, "{value:0width$}");
}

/// A number padded with zeros to `width`, one more for a minus.
fn padded(out: &mut String, value: i64, width: usize, fill_mode: bool) {
    let width = match (fill_mode, value < 0) {
        (true, _) => 0,
        (false, true) => width + 1,
        (false, false) => width,
    };
    let _ = write!(out, "{value:0width$}");
}

fn in_letters(text: &str, letters: Letters) -> String {
    match letters {
        Letters::Upper => text.to_ascii_uppercase(),
        Letters::Title => text.to_owned(),
        Letters::Lower => text.to_ascii_lowercase(),
    }
}

/// A full name is padded to the longest one's nine letters, unless told not to.
fn name(out: &mut String, text: &str, field: &Field) {
    let width = if field.fill_mode || field.translated { 0 } else { 9 };
    let _ = write!(out, "{:width$}", in_letters(text, field.letters));
}

/// The ending of an ordinal number whose digits end `out`.
fn push_ordinal(out: &mut String, start: usize, letters: Letters) {
    let digits = out.get(start..).unwrap_or("").as_bytes();
    let is_teen = digits.len() > 1 && digits.get(digits.len() - 2) == Some(&b'1');
    let ending = match digits.last() {
        Some(b'1') if !is_teen => "st",
        Some(b'2') if !is_teen => "nd",
        Some(b'3') if !is_teen => "rd",
        _ => "th",
    };
    out.push_str(&in_letters(ending, letters));
}

fn weekday_name(weekday: i64) -> &'static str {
    usize::try_from(weekday).ok().and_then(|index| WEEKDAYS.get(index)).copied().unwrap_or("")
}

fn month_name(month: i64) -> &'static str {
    usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).copied().unwrap_or("")
}

fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

fn write_field(value: &Shown, field: &Field, out: &mut String) -> Result<()> {
    use Pattern::*;
    let start = out.len();
    let fill_mode = field.fill_mode;
    match field.pattern {
        Hour12 => {
            let hour = value.hour % 12;
            // The width goes by the sign of the whole hour.
            let width = if fill_mode { 0 } else { 2 + usize::from(value.hour < 0) };
            let _ = write!(out, "{:0width$}", if hour == 0 { 12 } else { hour });
        }
        Hour24 => padded(out, value.hour, 2, fill_mode),
        Minute => padded(out, value.minute, 2, fill_mode),
        Second => padded(out, value.second, 2, fill_mode),
        Fraction(digits) => fraction(out, value.micros, digits),
        Millisecond => fraction(out, value.micros, 3),
        Microsecond => fraction(out, value.micros, 6),
        SecondOfDay => {
            let _ = write!(out, "{}", (value.hour * 60 + value.minute) * 60 + value.second);
        }
        DayOfYear => plain(out, value.day_of_year, 3, fill_mode),
        IsoDayOfYear => plain(out, value.iso().2, 3, fill_mode),
        DayOfMonth => plain(out, value.day, 2, fill_mode),
        Month => padded(out, value.month, 2, fill_mode),
        Week => plain(out, (value.day_of_year - 1) / 7 + 1, 2, fill_mode),
        IsoWeek => plain(out, value.iso().1, 2, fill_mode),
        WeekOfMonth => {
            let _ = write!(out, "{}", (value.day - 1) / 7 + 1);
        }
        DayOfWeek => {
            value.calendar_only()?;
            let _ = write!(out, "{}", value.weekday + 1);
        }
        IsoDayOfWeek => {
            value.calendar_only()?;
            let _ = write!(out, "{}", if value.weekday == 0 { 7 } else { value.weekday });
        }
        Quarter => {
            if value.month == 0 {
                return Ok(());
            }
            let _ = write!(out, "{}", (value.month - 1) / 3 + 1);
        }
        Century => century(value, fill_mode, out),
        YearWithComma => {
            let year = value.shown_year(value.year);
            let _ = write!(out, "{},{:03}", year / 1_000, year % 1_000);
        }
        Year(digits) => year(value, value.shown_year(value.year), digits, fill_mode, out),
        IsoYear(digits) => year(value, value.shown_year(value.iso().0), digits, fill_mode, out),
        Julian => {
            let _ = write!(out, "{}", value.civil.days() + i64::from(EPOCH_JULIAN));
        }
        RomanMonth => return roman(value, field, out),
        Meridian(with_points) => {
            let is_pm = value.hour % 24 >= 12;
            let text = match (is_pm, with_points) {
                (false, false) => "AM",
                (false, true) => "A.M.",
                (true, false) => "PM",
                (true, true) => "P.M.",
            };
            out.push_str(&in_letters(text, field.letters));
            return Ok(());
        }
        _ => return write_calendar_field(value, field, out),
    }
    if let Some(letters) = field.ordinal {
        push_ordinal(out, start, letters);
    }
    Ok(())
}

/// Names, eras and zones: what an interval has not, and what takes no ordinal ending.
fn write_calendar_field(value: &Shown, field: &Field, out: &mut String) -> Result<()> {
    value.calendar_only()?;
    match field.pattern {
        Pattern::MonthName => name(out, month_name(value.month), field),
        Pattern::MonthAbbreviation => out.push_str(&in_letters(short(month_name(value.month)), field.letters)),
        Pattern::DayName => name(out, weekday_name(value.weekday), field),
        Pattern::DayAbbreviation => out.push_str(&in_letters(short(weekday_name(value.weekday)), field.letters)),
        Pattern::Era(with_points) => {
            let text = match (value.year <= 0, with_points) {
                (false, false) => "AD",
                (false, true) => "A.D.",
                (true, false) => "BC",
                (true, true) => "B.C.",
            };
            out.push_str(&in_letters(text, field.letters));
        }
        Pattern::ZoneName => {
            if let Some(zone) = &value.zone {
                match field.letters {
                    Letters::Lower => out.push_str(&zone.abbreviation.to_ascii_lowercase()),
                    _ => out.push_str(&zone.abbreviation),
                }
            }
        }
        Pattern::ZoneHour => {
            let east_s = value.east_s();
            let _ = write!(out, "{}{:02}", if east_s >= 0 { '+' } else { '-' }, east_s.abs() / 3_600);
        }
        Pattern::ZoneMinute => {
            let _ = write!(out, "{:02}", value.east_s().abs() % 3_600 / 60);
        }
        Pattern::Offset => {
            let east_s = value.east_s();
            let width = if field.fill_mode { 0 } else { 2 };
            let sign = if east_s >= 0 { '+' } else { '-' };
            let _ = write!(out, "{sign}{:0width$}", east_s.abs() / 3_600);
            if east_s % 3_600 != 0 {
                let _ = write!(out, ":{:02}", east_s.abs() % 3_600 / 60);
            }
        }
        _ => {}
    }
    Ok(())
}

/// The first digits of a fraction of a second, cut.
fn fraction(out: &mut String, micros: i64, digits: u8) {
    let scale = 10_i64.pow(6_u32.saturating_sub(u32::from(digits)));
    let width = usize::from(digits);
    let _ = write!(out, "{:0width$}", micros / scale);
}

fn century(value: &Shown, fill_mode: bool, out: &mut String) {
    let century = if value.is_interval {
        value.year / 100
    } else if value.year > 0 {
        (value.year - 1) / 100 + 1
    } else {
        value.year / 100 - 1
    };
    if (-99..=99).contains(&century) {
        padded(out, century, 2, fill_mode);
    } else {
        let _ = write!(out, "{century}");
    }
}

fn year(value: &Shown, year: i64, digits: u8, fill_mode: bool, out: &mut String) {
    let shown = if digits >= 4 { year } else { year % 10_i64.pow(u32::from(digits)) };
    let width = match (digits, fill_mode) {
        (1, _) => 1,
        (_, true) => 0,
        // The width goes by the sign of the whole year.
        _ => usize::from(digits) + usize::from(value.shown_year(value.year) < 0),
    };
    let _ = write!(out, "{shown:0width$}");
}

/// A Roman month; those of a negative interval count back from December.
fn roman(value: &Shown, field: &Field, out: &mut String) -> Result<()> {
    if value.month == 0 && value.year == 0 {
        return Ok(());
    }
    // Whole years of an interval end in December, or begin in January if negative.
    let index = match value.month {
        0 if value.year >= 0 => 11,
        0 => 0,
        month if month < 0 => 12 + month,
        month => month - 1,
    };
    let text = usize::try_from(index).ok().and_then(|index| ROMAN.get(index)).copied().unwrap_or("");
    let width = if field.fill_mode { 0 } else { 4 };
    let _ = write!(
        out,
        "{:width$}",
        in_letters(text, if field.letters == Letters::Lower { Letters::Lower } else { Letters::Upper })
    );
    Ok(())
}

/// A node of a template that is written.
const NODE_WORK: usize = 32;

fn write_all(value: &Shown, template: &str) -> Result<Datum> {
    let nodes = template::cached(template)?;
    let mut out = String::with_capacity(template.len() + 16);
    for node in nodes.iter() {
        stop::spent(NODE_WORK)?;
        match node {
            Node::Field(field) if field.pattern == Pattern::Fixed => {}
            Node::Field(field) => write_field(value, field, &mut out)?,
            Node::Separator(c) | Node::Space(c) | Node::Char(c) => out.push(*c),
        }
    }
    Ok(Datum::text(out))
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("timestamp_to_char", |_, args| {
        let (micros, template) = (args[0].as_i64(), args[1].as_str());
        if template.is_empty() || !calendar::is_finite_timestamp(micros) {
            return Ok(Datum::Null);
        }
        write_all(&Shown::timestamp(Civil::from_timestamp(micros), None), template)
    }),
    ("timestamptz_to_char", |c, args| {
        let (micros, template) = (args[0].as_i64(), args[1].as_str());
        if template.is_empty() || !calendar::is_finite_timestamp(micros) {
            return Ok(Datum::Null);
        }
        let zone = c.format.time_zone.info_at(micros);
        let local = Civil::from_timestamp(micros + i64::from(zone.east_s) * MICROS_PER_SECOND);
        write_all(&Shown::timestamp(local, Some(zone)), template)
    }),
    ("interval_to_char", |_, args| {
        let template = args[1].as_str();
        if template.is_empty() {
            return Ok(Datum::Null);
        }
        write_all(&Shown::interval(args[0].as_interval()), template)
    }),
];
