//! `to_date` and `to_timestamp` with a template.
//!
//! The text is read along the template. Outside of `FX` mode blanks and separators match loosely: one in the template may
//! stand for one or none in the text, and what the text has more is skipped before the next field.

use super::template::{self, Convention, Field, Node, Pattern};
use super::to_char::ROMAN;
use super::{ScalarFn, SqlError, SqlState, overflow};
use crate::datetime::calendar::{self, Civil, MICROS_PER_SECOND, MONTHS, WEEKDAYS};
use crate::datetime::fields::{ParseError, have};
use crate::datetime::interval::round_micros;
use crate::{CallContext, Datum, Result, stop};

/// What the fields of a text have given. 0 is "not given", as no field of a date can be 0 and none of a time need be.
#[derive(Default)]
struct Given {
    convention: Option<Convention>,
    hour: i32,
    minute: i32,
    second: i32,
    second_of_day: i32,
    millisecond: i32,
    microsecond: i32,
    /// Digits of the last `FFn`: the precision the result is rounded to.
    fraction_digits: i32,
    is_pm: i32,
    is_twelve_hour: bool,
    is_bc: i32,
    /// From Sunday, 1.
    weekday: i32,
    day: i32,
    day_of_year: i32,
    month: i32,
    year: i32,
    /// Digits of the pattern that gave the year.
    year_digits: u8,
    century: i32,
    julian: i32,
    week: i32,
    week_of_month: i32,
    zone_sign: i32,
    zone_hour: i32,
    zone_minute: i32,
    /// For a quarter, which is read and not used.
    ignored: i32,
}

fn format_error(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

/// Sets a field, which may be given twice only if both agree.
fn set(place: &mut i32, value: i32, field: &Field) -> Result<()> {
    if *place != 0 && *place != value {
        return Err(format_error(format!("conflicting values for \"{}\" field in formatting string", field.name))
            .detail("This value contradicts a previous setting for the same field type."));
    }
    *place = value;
    Ok(())
}

fn value_out_of_range(field: &Field) -> SqlError {
    overflow(format!("value for \"{}\" in source string is out of range", field.name)).detail(format!(
        "Value must be in the range {} to {}.",
        i32::MIN,
        i32::MAX
    ))
}

/// The text being read, and the template around the field at hand.
struct Reader<'a> {
    rest: &'a str,
    /// The character before `rest`, for a minus that was taken as a separator.
    previous: Option<char>,
    is_fixed: bool,
    /// The standard's reading, of SQL/JSON: fixed, and separators and literals must be as the template has them.
    is_standard: bool,
    /// Characters skipped beyond what the template asked for.
    extra: i32,
}

impl<'a> Reader<'a> {
    fn skip(&mut self, bytes: usize) {
        if let Some((taken, rest)) = self.rest.split_at_checked(bytes) {
            self.previous = taken.chars().next_back().or(self.previous);
            self.rest = rest;
        }
    }

    fn skip_char(&mut self) {
        self.skip(self.rest.chars().next().map_or(0, char::len_utf8));
    }

    fn skip_spaces(&mut self) {
        let blanks = self.rest.len() - self.rest.trim_start_matches(template::is_space).len();
        self.skip(blanks);
        self.extra = self.extra.saturating_add(i32::try_from(blanks).unwrap_or(i32::MAX));
    }

    /// Skips a character of the template that the text must have just so.
    fn skip_exactly(&mut self, c: char, what: &str) -> Result<()> {
        if !self.rest.starts_with(c) {
            return Err(format_error(format!("unmatched format {what} \"{c}\"")));
        }
        self.skip_char();
        Ok(())
    }

    /// A blank or separator of the template.
    fn separator(&mut self, c: char) -> Result<()> {
        if self.is_standard {
            return self.skip_exactly(c, "separator");
        }
        if self.is_fixed {
            self.skip_char();
            return Ok(());
        }
        self.extra -= 1;
        if self.rest.starts_with(|c| template::is_space(c) || template::is_separator(c)) {
            self.skip(1);
            self.extra += 1;
        }
        Ok(())
    }

    /// A literal character of the template; it stands for any one of the text, but not in the standard's reading.
    fn literal(&mut self, c: char) -> Result<()> {
        if self.is_standard {
            return self.skip_exactly(c, "character");
        }
        if !self.is_fixed && self.extra > 0 {
            self.extra -= 1;
        } else {
            self.skip_char();
        }
        Ok(())
    }

    /// Reads a number of `width` digits; of any length where the template's next node is no digit. Returns the
    /// characters taken.
    fn number(&mut self, place: &mut i32, width: usize, field: &Field, next: Option<&Node>) -> Result<usize> {
        let start = self.rest.len();
        let trimmed = self.rest.trim_start_matches(template::is_space);
        self.skip(start - trimmed.len());
        let exact: String = self.rest.chars().take(width).collect();
        let value;
        if field.fill_mode || is_number_end(field, next) {
            let (parsed, len) = c_integer(self.rest);
            value = parsed;
            if len == 0 {
                // No number at all: the blanks count as not read.
                return Err(no_integer(&exact, field));
            }
            self.skip(len);
        } else {
            let remaining = self.rest.len();
            if remaining < width {
                return Err(format_error(format!("source string too short for \"{}\" formatting field", field.name))
                    .detail(format!("Field requires {width} characters, but only {remaining} remain."))
                    .hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
            }
            let (parsed, len) = c_integer(&exact);
            value = parsed;
            if len > 0 && len < width {
                return Err(format_error(format!("invalid value \"{exact}\" for \"{}\"", field.name))
                    .detail(format!("Field requires {width} characters, but only {len} could be parsed."))
                    .hint("If your source string is not fixed-width, try using the \"FM\" modifier."));
            }
            if len == 0 && self.rest.len() == start {
                return Err(no_integer(&exact, field));
            }
            self.skip(len);
        }
        let value = value.and_then(|v| i32::try_from(v).ok()).ok_or_else(|| value_out_of_range(field))?;
        set(place, value, field)?;
        Ok(start - self.rest.len())
    }

    /// Reads one of some words, in any case; its index.
    fn word(&mut self, words: &[&str], field: &Field) -> Result<i32> {
        let found = words
            .iter()
            .position(|word| self.rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
        match found {
            Some(index) => {
                self.skip(words.get(index).map_or(0, |word| word.len()));
                Ok(index as i32)
            }
            None => {
                let shown = self.rest.split(template::is_space).next().unwrap_or("");
                Err(format_error(format!("invalid value \"{shown}\" for \"{}\"", field.name))
                    .detail("The given value did not match any of the allowed values for this field."))
            }
        }
    }
}

fn no_integer(shown: &str, field: &Field) -> SqlError {
    format_error(format!("invalid value \"{shown}\" for \"{}\"", field.name)).detail("Value must be an integer.")
}

/// Whether a number may run on: what follows in the template is no digit.
fn is_number_end(field: &Field, next: Option<&Node>) -> bool {
    field.ordinal.is_some()
        || match next {
            None => true,
            Some(Node::Field(next)) => !next.pattern.is_digits(),
            Some(Node::Char(c)) => !c.is_ascii_digit(),
            Some(Node::Separator(_) | Node::Space(_)) => true,
        }
}

/// A number as C reads one: blanks, a sign, digits. Its value (None beyond `i64`) and length.
fn c_integer(text: &str) -> (Option<i64>, usize) {
    let blanks = text.len() - text.trim_start_matches(template::is_space).len();
    let rest = text.get(blanks..).unwrap_or("");
    let sign = usize::from(rest.starts_with(['-', '+']));
    let digits = rest.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return (Some(0), 0);
    }
    (rest.get(..sign + digits).and_then(|number| number.parse().ok()), blanks + sign + digits)
}

/// A node of a template that is read along.
const NODE_WORK: usize = 32;

/// Reads a text along a template.
fn read(text: &str, nodes: &[Node], is_standard: bool) -> Result<Given> {
    let mut given = Given::default();
    let mut reader = Reader { rest: text, previous: None, is_fixed: is_standard, is_standard, extra: 0 };
    for (index, node) in nodes.iter().enumerate() {
        stop::spent(NODE_WORK)?;
        if reader.rest.is_empty() {
            if is_standard {
                return Err(format_error("input string is too short for datetime format".into()));
            }
            break;
        }
        let switches_fixed = matches!(node, Node::Field(field) if field.pattern == Pattern::Fixed);
        if !reader.is_fixed && !switches_fixed && (matches!(node, Node::Field(_)) || index == 0) {
            reader.skip_spaces();
        }
        let field = match node {
            Node::Separator(c) | Node::Space(c) => {
                reader.separator(*c)?;
                continue;
            }
            Node::Char(c) => {
                reader.literal(*c)?;
                continue;
            }
            Node::Field(field) => field,
        };
        if let Some(convention) = field.pattern.convention() {
            if given.convention.is_some_and(|before| before != convention) {
                return Err(format_error("invalid combination of date conventions".into())
                    .hint("Do not mix Gregorian and ISO week date conventions in a formatting template."));
            }
            given.convention = Some(convention);
        }
        read_field(&mut given, &mut reader, field, nodes.get(index + 1))?;
        if !reader.is_fixed {
            reader.extra = 0;
            reader.skip_spaces();
        }
    }
    if is_standard && !reader.rest.trim_start_matches(template::is_space).is_empty() {
        return Err(format_error("trailing characters remain in input string after datetime format".into()));
    }
    Ok(given)
}

fn read_field(given: &mut Given, reader: &mut Reader<'_>, field: &Field, next: Option<&Node>) -> Result<()> {
    use Pattern::*;
    let width = field.name.len();
    match field.pattern {
        Fixed => reader.is_fixed = true,
        Meridian(with_points) => {
            let words = if with_points { ["a.m.", "p.m."] } else { ["am", "pm"] };
            let value = reader.word(&words, field)?;
            set(&mut given.is_pm, value, field)?;
            given.is_twelve_hour = true;
        }
        Era(with_points) => {
            let words = if with_points { ["a.d.", "b.c."] } else { ["ad", "bc"] };
            let value = reader.word(&words, field)?;
            set(&mut given.is_bc, value, field)?;
        }
        Hour12 => {
            reader.number(&mut given.hour, 2, field, next)?;
            given.is_twelve_hour = true;
            skip_ordinal(reader, field);
        }
        Hour24 => number(&mut given.hour, 2, reader, field, next)?,
        Minute => number(&mut given.minute, width, reader, field, next)?,
        Second => number(&mut given.second, width, reader, field, next)?,
        SecondOfDay => number(&mut given.second_of_day, width, reader, field, next)?,
        Millisecond => {
            let len = reader.number(&mut given.millisecond, 3, field, next)?;
            // ".25" is 250 milliseconds.
            given.millisecond = given.millisecond.wrapping_mul(10_i32.pow(3_usize.saturating_sub(len) as u32));
            skip_ordinal(reader, field);
        }
        Microsecond | Fraction(_) => {
            let digits = match field.pattern {
                Fraction(digits) => {
                    given.fraction_digits = i32::from(digits);
                    usize::from(digits)
                }
                _ => 6,
            };
            let len = reader.number(&mut given.microsecond, digits, field, next)?;
            given.microsecond = given.microsecond.wrapping_mul(10_i32.pow(6_usize.saturating_sub(len) as u32));
            skip_ordinal(reader, field);
        }
        ZoneName | Offset => {
            return Err(SqlError::unsupported(format!(
                "formatting field \"{}\" is only supported in to_char",
                field.name
            )));
        }
        ZoneHour | ZoneMinute => read_zone(given, reader, field, next)?,
        _ => read_date_field(given, reader, field, next)?,
    }
    Ok(())
}

/// A number with an ordinal ending after it, if the template has one.
fn number(place: &mut i32, width: usize, reader: &mut Reader<'_>, field: &Field, next: Option<&Node>) -> Result<()> {
    reader.number(place, width, field, next)?;
    skip_ordinal(reader, field);
    Ok(())
}

fn skip_ordinal(reader: &mut Reader<'_>, field: &Field) {
    if field.ordinal.is_some() {
        reader.skip_char();
        reader.skip_char();
    }
}

fn read_zone(given: &mut Given, reader: &mut Reader<'_>, field: &Field, next: Option<&Node>) -> Result<()> {
    if field.pattern == Pattern::ZoneMinute {
        if given.zone_sign == 0 {
            given.zone_sign = 1;
        }
        reader.number(&mut given.zone_minute, 2, field, next)?;
        return Ok(());
    }
    match reader.rest.chars().next() {
        Some(c @ ('+' | '-' | ' ')) => {
            given.zone_sign = if c == '-' { -1 } else { 1 };
            reader.skip(1);
        }
        // A minus may have been taken for a separator.
        _ => given.zone_sign = if reader.extra > 0 && reader.previous == Some('-') { -1 } else { 1 },
    }
    reader.number(&mut given.zone_hour, 2, field, next)?;
    Ok(())
}

fn read_date_field(given: &mut Given, reader: &mut Reader<'_>, field: &Field, next: Option<&Node>) -> Result<()> {
    use Pattern::*;
    let width = field.name.len();
    let short = |names: &[&'static str]| -> Vec<&'static str> {
        names.iter().map(|name| name.get(..3).unwrap_or(name)).collect()
    };
    match field.pattern {
        MonthName => {
            let month = reader.word(&MONTHS, field)?;
            set(&mut given.month, month + 1, field)
        }
        MonthAbbreviation => {
            let month = reader.word(&short(&MONTHS), field)?;
            set(&mut given.month, month + 1, field)
        }
        RomanMonth => {
            // From the back: "vi" must not be read of "viii".
            let reversed: Vec<&str> = ROMAN.iter().rev().copied().collect();
            let index = reader.word(&reversed, field)?;
            set(&mut given.month, 12 - index, field)
        }
        DayName | DayAbbreviation => {
            let day = match field.pattern {
                DayName => reader.word(&WEEKDAYS, field)?,
                _ => reader.word(&short(&WEEKDAYS), field)?,
            };
            set(&mut given.weekday, day, field)?;
            given.weekday += 1;
            Ok(())
        }
        Month => number(&mut given.month, width, reader, field, next),
        DayOfMonth => number(&mut given.day, width, reader, field, next),
        DayOfYear => number(&mut given.day_of_year, width, reader, field, next),
        IsoDayOfYear => number(&mut given.day_of_year, 3, reader, field, next),
        DayOfWeek => number(&mut given.weekday, width, reader, field, next),
        IsoDayOfWeek => {
            reader.number(&mut given.weekday, 1, field, next)?;
            // ISO's week begins with Monday, 1; ours with Sunday.
            given.weekday = if given.weekday >= 7 { 1 } else { given.weekday + 1 };
            skip_ordinal(reader, field);
            Ok(())
        }
        Week | IsoWeek => number(&mut given.week, width, reader, field, next),
        WeekOfMonth => number(&mut given.week_of_month, width, reader, field, next),
        Quarter => {
            // Read and not used: it does not say which day is meant.
            given.ignored = 0;
            number(&mut given.ignored, width, reader, field, next)
        }
        Century => number(&mut given.century, width, reader, field, next),
        Julian => number(&mut given.julian, width, reader, field, next),
        YearWithComma => read_year_with_comma(given, reader, field),
        Year(digits) | IsoYear(digits) => {
            let len = reader.number(&mut given.year, width, field, next)?;
            if digits < 4 && len < 4 {
                given.year = complete_year(given.year);
            }
            given.year_digits = digits;
            skip_ordinal(reader, field);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `Y,YYY`: thousands, a comma, up to three digits.
fn read_year_with_comma(given: &mut Given, reader: &mut Reader<'_>, field: &Field) -> Result<()> {
    let invalid = || format_error("invalid input string for \"Y,YYY\"".into());
    let (millennia, len) = c_integer(reader.rest);
    let after = reader.rest.get(len..).filter(|_| len > 0).ok_or_else(invalid)?;
    let digits = after.strip_prefix(',').ok_or_else(invalid)?;
    let three: String = digits.chars().take(3).collect();
    let (years, years_len) = c_integer(&three);
    if years_len == 0 {
        return Err(invalid());
    }
    let year = millennia.zip(years).and_then(|(m, y)| m.checked_mul(1_000)?.checked_add(y));
    let year = year.and_then(|year| i32::try_from(year).ok()).ok_or_else(|| value_out_of_range(field))?;
    set(&mut given.year, year, field)?;
    given.year_digits = 4;
    reader.skip(len + 1 + years_len);
    skip_ordinal(reader, field);
    Ok(())
}

/// A year of less than four digits is the one nearest to 2020.
fn complete_year(year: i32) -> i32 {
    match year {
        ..70 => year + 2_000,
        70..100 => year + 1_900,
        100..520 => year + 2_000,
        520..1_000 => year + 1_000,
        _ => year,
    }
}

/// The result of a reading: a local time, an offset if the text had one, and a precision to round to.
pub(super) struct Moment {
    pub civil: Civil,
    pub east_s: Option<i32>,
    pub fraction_digits: i32,
}

/// Puts the fields together. `text` is for errors.
fn resolve(given: Given, text: &str) -> Result<Moment> {
    let out_of_range = || ParseError::Overflow.into_sql("timestamp", text);
    let mut civil = Civil { year: 0, month: 1, day: 1, ..Civil::default() };
    resolve_clock(&given, &mut civil)?;
    let mut given_fields = resolve_year(&given, &mut civil).ok_or_else(out_of_range)?;
    given_fields |= resolve_date(&given, &mut civil)?;
    let micros = i64::from(given.millisecond) * 1_000 + i64::from(given.microsecond);
    if given_fields & have::MONTH != 0 && !(1..=12).contains(&civil.month)
        || given_fields & have::DAY != 0 && !(1..=31).contains(&civil.day)
        || given_fields & have::DATE == have::DATE && civil.day > calendar::days_in_month(civil.year, civil.month)
        || !(0..24).contains(&civil.hour)
        || !(0..60).contains(&civil.minute)
        || !(0..60).contains(&civil.second)
        || !(0..MICROS_PER_SECOND).contains(&micros)
    {
        return Err(out_of_range());
    }
    civil.micros = micros as i32;
    let east_s = if given.zone_sign == 0 {
        None
    } else {
        if !(0..=15).contains(&given.zone_hour) || !(0..60).contains(&given.zone_minute) {
            return Err(ParseError::ZoneOverflow.into_sql("timestamp", text));
        }
        Some(given.zone_sign * (given.zone_hour * 60 + given.zone_minute) * 60)
    };
    Ok(Moment { civil, east_s, fraction_digits: given.fraction_digits })
}

fn resolve_clock(given: &Given, civil: &mut Civil) -> Result<()> {
    if given.second_of_day != 0 {
        civil.hour = given.second_of_day / 3_600;
        civil.minute = given.second_of_day / 60 % 60;
        civil.second = given.second_of_day % 60;
    }
    if given.second != 0 {
        civil.second = given.second;
    }
    if given.minute != 0 {
        civil.minute = given.minute;
    }
    if given.hour != 0 {
        civil.hour = given.hour;
    }
    if given.is_twelve_hour {
        if !(1..=12).contains(&civil.hour) {
            return Err(format_error(format!("hour \"{}\" is invalid for the 12-hour clock", civil.hour))
                .hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        if given.is_pm != 0 && civil.hour < 12 {
            civil.hour += 12;
        } else if given.is_pm == 0 && civil.hour == 12 {
            civil.hour = 0;
        }
    }
    Ok(())
}

/// The year by year, century and era; None where it overflows.
fn resolve_year(given: &Given, civil: &mut Civil) -> Option<u32> {
    if given.year == 0 && given.century == 0 {
        return Some(0);
    }
    let is_bc = given.is_bc != 0;
    let century = if is_bc { given.century.checked_neg()? } else { given.century };
    civil.year = if given.year == 0 {
        // A century alone is its first year.
        if century >= 0 {
            century.checked_sub(1)?.checked_mul(100)?.checked_add(1)?
        } else {
            century.checked_mul(100)?.checked_add(1)?
        }
    } else if given.century != 0 && given.year_digits <= 2 {
        // The year within the century. The 21st runs from 2001 to 2100, the 6th BC from 600 to 501 BC.
        let year = given.year % 100;
        match (year != 0, century >= 0) {
            (true, true) => century.checked_sub(1)?.checked_mul(100)?.checked_add(year)?,
            (true, false) => century.checked_add(1)?.checked_mul(100)?.checked_sub(year)?.checked_add(1)?,
            (false, true) => century.checked_mul(100)?,
            (false, false) => century.checked_mul(100)?.checked_add(1)?,
        }
    } else {
        let year = if is_bc { given.year.checked_neg()? } else { given.year };
        if year < 0 { year + 1 } else { year }
    };
    Some(have::YEAR)
}

/// Month and day by whatever gives them: Julian day, weeks, day of the year, month and day.
fn resolve_date(given: &Given, civil: &mut Civil) -> Result<u32> {
    let mut fields = 0;
    let mut set_days = |civil: &mut Civil, days: i64| {
        (civil.year, civil.month, civil.day) = calendar::civil_from_days(days);
        fields |= have::DATE;
    };
    let is_iso = given.convention == Some(Convention::Iso);
    let mut day_of_year = given.day_of_year;
    if given.julian != 0 {
        set_days(civil, i64::from(given.julian) - i64::from(calendar::EPOCH_JULIAN));
    }
    if given.week != 0 {
        if is_iso {
            let monday = calendar::iso_year_start(civil.year) + (i64::from(given.week) - 1) * 7;
            let shift = match given.weekday {
                0 => 0,
                ..=1 => 6,
                weekday => i64::from(weekday) - 2,
            };
            set_days(civil, monday + shift);
        } else {
            day_of_year = given.week.wrapping_sub(1).wrapping_mul(7).wrapping_add(1);
        }
    }
    let day = if given.week_of_month != 0 {
        given.week_of_month.wrapping_sub(1).wrapping_mul(7).wrapping_add(1)
    } else {
        given.day
    };
    if day != 0 {
        civil.day = day;
        fields |= have::DAY;
    }
    if given.month != 0 {
        civil.month = given.month;
        fields |= have::MONTH;
    }
    if day_of_year != 0 && (civil.month <= 1 || civil.day <= 1) {
        if civil.year == 0 && given.is_bc == 0 {
            return Err(format_error("cannot calculate day of year without year information".into()));
        }
        if is_iso {
            let days = calendar::iso_year_start(civil.year) + i64::from(day_of_year) - 1;
            (civil.year, civil.month, civil.day) = calendar::civil_from_days(days);
            fields |= have::DATE;
        } else {
            let (month, day) = month_and_day(civil.year, day_of_year);
            if civil.month <= 1 {
                civil.month = month;
            }
            if civil.day <= 1 {
                civil.day = day;
            }
            fields |= have::MONTH | have::DAY;
        }
    }
    Ok(fields)
}

/// The month that a day of the year lies in (13 beyond the year), and the day in it.
fn month_and_day(year: i32, day_of_year: i32) -> (i32, i32) {
    let mut rest = day_of_year;
    for month in 1..=12 {
        let length = calendar::days_in_month(year, month);
        if rest <= length {
            return (month, rest);
        }
        rest -= length;
    }
    (13, rest)
}

/// Reads a text as SQL/JSON does: along every character of a template of the standard.
pub(super) fn standard_moment(text: &str, nodes: &[Node]) -> Result<Moment> {
    resolve(read(text, nodes, true)?, text)
}

fn moment(args: &[Datum]) -> Result<Moment> {
    let (text, template) = (args[0].as_str(), args[1].as_str());
    resolve(read(text, &template::cached(template)?, false)?, text)
}

fn to_timestamp(c: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let moment = moment(args)?;
    let micros = match moment.east_s {
        Some(east_s) => moment.civil.to_timestamp(east_s),
        None => c.format.time_zone.instant_of(&moment.civil),
    };
    let micros = micros.ok_or_else(calendar::timestamp_out_of_range)?;
    Ok(Datum::TimestampTz(match moment.fraction_digits {
        0 => micros,
        digits => round_micros(micros, digits),
    }))
}

fn to_date(args: &[Datum]) -> Result<Datum> {
    let civil = moment(args)?.civil;
    let days = civil.days();
    if !calendar::is_valid_julian(civil.year, civil.month) || !calendar::is_valid_date(days) {
        return Err(overflow(format!("date out of range: \"{}\"", args[0].as_str())));
    }
    Ok(Datum::Date(days as i32))
}

pub const SCALARS: &[(&str, ScalarFn)] = &[("to_timestamp", to_timestamp), ("to_date", |_, args| to_date(args))];
