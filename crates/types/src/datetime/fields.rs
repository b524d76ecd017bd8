//! The parts that reading dates, times and intervals share: numbers, clocks, zone offsets, and the set of fields that a
//! text has given so far.
//!
//! `Fields` promises that nothing is set twice (`add`), and that year, month and day are checked once all are there
//! (`validate_date`). What a bare number means follows from what is there already and from DateStyle's order.

use super::abbreviations::{Abbreviation, abbreviation};
use super::calendar::{self, Civil, MICROS_PER_DAY};
use super::tokens::{self, Field, FieldKind, Unit, Word};
use super::zone::{TimeZone, not_recognized};
use crate::context::DateOrder;
use crate::{FormatSettings, SqlError, SqlState};

/// What a text can be wrong in; becomes an error with the whole text and the type's name.
#[derive(Debug)]
pub enum ParseError {
    Format,
    Overflow,
    /// A month or day out of range: the order of the fields may be meant otherwise.
    MonthDayOverflow,
    IntervalOverflow,
    ZoneOverflow,
    Sql(SqlError),
}

pub type Parsed<T> = Result<T, ParseError>;

impl ParseError {
    pub fn into_sql(self, type_name: &str, text: &str) -> SqlError {
        match self {
            ParseError::Format => SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input syntax for type {type_name}: \"{text}\""),
            ),
            ParseError::Overflow => SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            ),
            ParseError::MonthDayOverflow => SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            )
            .hint("Perhaps you need a different \"datestyle\" setting."),
            ParseError::IntervalOverflow => SqlError::new(
                SqlState::INTERVAL_FIELD_OVERFLOW,
                format!("interval field value out of range: \"{text}\""),
            ),
            ParseError::ZoneOverflow => SqlError::new(
                SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
                format!("time zone displacement out of range: \"{text}\""),
            ),
            ParseError::Sql(error) => error,
        }
    }
}

/// The set of things a text has given so far.
pub mod have {
    pub const YEAR: u32 = 1;
    pub const MONTH: u32 = 1 << 1;
    pub const DAY: u32 = 1 << 2;
    pub const HOUR: u32 = 1 << 3;
    pub const MINUTE: u32 = 1 << 4;
    pub const SECOND: u32 = 1 << 5;
    pub const MILLISECOND: u32 = 1 << 6;
    pub const MICROSECOND: u32 = 1 << 7;
    pub const ZONE: u32 = 1 << 8;
    pub const SUMMER: u32 = 1 << 9;
    pub const DAY_OF_YEAR: u32 = 1 << 10;
    pub const WEEKDAY: u32 = 1 << 11;
    pub const MERIDIAN: u32 = 1 << 12;
    pub const ERA: u32 = 1 << 13;
    pub const WEEK: u32 = 1 << 14;
    pub const DECADE: u32 = 1 << 15;
    pub const CENTURY: u32 = 1 << 16;
    pub const MILLENNIUM: u32 = 1 << 17;
    /// `dst` after a zone.
    pub const SUMMER_MODIFIER: u32 = 1 << 18;
    /// An abbreviation whose meaning depends on the date.
    pub const DYNAMIC_ZONE: u32 = 1 << 19;
    /// `epoch` and the infinities: a time beside them is read and not used.
    pub const SPECIAL: u32 = 1 << 20;
    pub const DATE: u32 = YEAR | MONTH | DAY;
    pub const ALL_SECONDS: u32 = SECOND | MILLISECOND | MICROSECOND;
    pub const TIME: u32 = HOUR | MINUTE | ALL_SECONDS;
}

/// A number at the start of `text`: `Err` beyond `i32`, with what follows it.
pub fn leading_int(text: &str) -> (Parsed<i32>, &str) {
    let (value, rest) = leading_int64(text);
    (value.and_then(|v| i32::try_from(v).map_err(|_| ParseError::Overflow)), rest)
}

/// The same beyond `i64`. No digits read as 0.
pub fn leading_int64(text: &str) -> (Parsed<i64>, &str) {
    let sign_len = usize::from(text.starts_with(['-', '+']));
    let digits = text.get(sign_len..).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if digits == 0 {
        return (Ok(0), text);
    }
    let (number, rest) = text.split_at_checked(sign_len + digits).unwrap_or((text, ""));
    (number.parse().map_err(|_| ParseError::Overflow), rest)
}

/// A fraction from its point on: ".25" is 0.25, "." is 0.
pub fn fraction(text: &str) -> Parsed<f64> {
    if text == "." {
        return Ok(0.0);
    }
    if !text.starts_with('.') {
        return Err(ParseError::Format);
    }
    text.parse::<f64>().map_err(|_| ParseError::Format)
}

/// A fraction of a second in microseconds, rounded (up to a full million).
pub fn fraction_micros(text: &str) -> Parsed<i32> {
    Ok((fraction(text)? * 1_000_000.0).round_ties_even() as i32)
}

pub(super) struct Fields<'a> {
    pub(super) have: u32,
    pub(super) civil: Civil,
    pub(super) day_of_year: i32,
    /// Year given with at most two digits: 70..99 are 19xx, 0..69 20xx.
    pub(super) is_two_digits: bool,
    pub(super) is_julian: bool,
    pub(super) has_month_name: bool,
    pub(super) is_bc: bool,
    /// True for pm.
    pub(super) meridian: Option<bool>,
    pub(super) east_s: i32,
    pub(super) named_zone: Option<TimeZone>,
    pub(super) dynamic_zone: Option<(TimeZone, String)>,
    /// The unit a word before announced for the next number (`y2001m02`).
    pub(super) announced: Option<Unit>,
    pub(super) format: &'a FormatSettings,
}

impl Fields<'_> {
    pub(super) fn new(format: &FormatSettings) -> Fields<'_> {
        Fields {
            have: 0,
            civil: Civil::default(),
            day_of_year: 0,
            is_two_digits: false,
            is_julian: false,
            has_month_name: false,
            is_bc: false,
            meridian: None,
            east_s: 0,
            named_zone: None,
            dynamic_zone: None,
            announced: None,
            format,
        }
    }

    pub(super) fn has_all(&self, mask: u32) -> bool {
        self.have & mask == mask
    }

    pub(super) fn has_any(&self, mask: u32) -> bool {
        self.have & mask != 0
    }

    pub(super) fn set_date(&mut self, (year, month, day): (i32, i32, i32)) {
        (self.civil.year, self.civil.month, self.civil.day) = (year, month, day);
    }

    pub(super) fn today(&self) -> i64 {
        self.format.time_zone.local(self.format.now).days()
    }

    /// `hh:mm[:ss[.fff]]`, or `mm:ss.fff`.
    pub(super) fn time(&mut self, text: &str) -> Parsed<u32> {
        let clock = clock(text, false)?;
        let hour = i32::try_from(clock.hour).map_err(|_| ParseError::Overflow)?;
        (self.civil.hour, self.civil.minute, self.civil.second, self.civil.micros) =
            (hour, clock.minute, clock.second, clock.micros);
        Ok(have::TIME)
    }

    /// A field with separators that is a date: `1999-01-08`, `08.jan.1999`.
    pub(super) fn date(&mut self, text: &str) -> Parsed<u32> {
        let parts = date_parts(text)?;
        let mut have = self.have;
        let mut set = 0;
        let mut has_month_name = false;
        let mut add = |have: &mut u32, mask: u32| {
            if *have & mask != 0 {
                return Err(ParseError::Format);
            }
            *have |= mask;
            set |= mask;
            Ok(())
        };
        // A name is the month whatever the order, so names go first.
        for part in parts.iter().filter(|part| part.starts_with(|c: char| c.is_ascii_alphabetic())) {
            match tokens::word(part) {
                Word::Ignored => {}
                Word::Month(month) => {
                    self.civil.month = month;
                    has_month_name = true;
                    add(&mut have, have::MONTH)?;
                }
                _ => return Err(ParseError::Format),
            }
        }
        for part in parts.iter().filter(|part| part.starts_with(|c: char| c.is_ascii_digit())) {
            let mask = self.number(part, has_month_name, have)?;
            add(&mut have, mask)?;
        }
        if have & !(have::DAY_OF_YEAR | have::ZONE) != have::DATE {
            return Err(ParseError::Format);
        }
        Ok(set)
    }

    /// A bare number: the next part of a date in DateStyle's order, or a time once the date is there.
    pub(super) fn number(&mut self, text: &str, has_month_name: bool, have: u32) -> Parsed<u32> {
        let (value, rest) = leading_int(text);
        let value = value?;
        if rest.len() == text.len() {
            return Err(ParseError::Format);
        }
        if rest.starts_with('.') {
            // More than two digits before the point: "2001.360", "040506.789".
            if text.len() - rest.len() > 2 {
                return self.run_together(text, have | have::DATE);
            }
            self.civil.micros = fraction_micros(rest)?;
        } else if !rest.is_empty() {
            return Err(ParseError::Format);
        }
        let len = text.len();
        if len == 3 && have & have::DATE == have::YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            return Ok(have::DAY_OF_YEAR | have::MONTH | have::DAY);
        }
        let order = self.format.date_order;
        let looks_like_year = len >= 3 || order == DateOrder::Ymd;
        const YEAR_MONTH: u32 = have::YEAR | have::MONTH;
        const MONTH_DAY: u32 = have::MONTH | have::DAY;
        let mask = match have & have::DATE {
            0 if looks_like_year => have::YEAR,
            0 if order == DateOrder::Dmy => have::DAY,
            0 => have::MONTH,
            have::YEAR => have::MONTH,
            have::MONTH if has_month_name && looks_like_year => have::YEAR,
            have::MONTH => have::DAY,
            YEAR_MONTH if has_month_name && len >= 3 && self.is_two_digits => {
                // The number taken for a year was the day: "08-jan-1999" in YMD order.
                self.civil.day = self.civil.year;
                self.civil.year = value;
                self.is_two_digits = false;
                return Ok(have::DAY);
            }
            YEAR_MONTH => have::DAY,
            have::DAY => have::MONTH,
            MONTH_DAY => have::YEAR,
            have::DATE => return self.run_together(text, have),
            _ => return Err(ParseError::Format),
        };
        match mask {
            have::YEAR => {
                self.civil.year = value;
                self.is_two_digits = len <= 2;
            }
            have::MONTH => self.civil.month = value,
            _ => self.civil.day = value,
        }
        Ok(mask)
    }

    /// Digits without separators: `yymmdd`, `yyyymmdd`, `hhmm`, `hhmmss`, the times with a fraction.
    pub(super) fn run_together(&mut self, text: &str, have: u32) -> Parsed<u32> {
        let (digits, has_fraction) = match text.split_once('.') {
            Some((digits, _)) => {
                self.civil.micros = fraction_micros(text.get(digits.len()..).unwrap_or("."))?;
                (digits, true)
            }
            None => (text, false),
        };
        if !digits.bytes().all(|c| c.is_ascii_digit()) {
            return Err(ParseError::Format);
        }
        let len = digits.len();
        let part = |from: usize, to: usize| digits.get(from..to).and_then(|d| d.parse::<i32>().ok());
        if !has_fraction && have & have::DATE != have::DATE && len >= 6 {
            self.civil.day = part(len - 2, len).ok_or(ParseError::Format)?;
            self.civil.month = part(len - 4, len - 2).ok_or(ParseError::Format)?;
            // A year beyond all years stays out of range until the end.
            self.civil.year = part(0, len - 4).unwrap_or(i32::MAX);
            if len == 6 {
                self.is_two_digits = true;
            }
            return Ok(have::DATE);
        }
        if have & have::TIME != have::TIME && (len == 4 || len == 6) {
            self.civil.hour = part(0, 2).ok_or(ParseError::Format)?;
            self.civil.minute = part(2, 4).ok_or(ParseError::Format)?;
            self.civil.second = part(4, len).unwrap_or(0);
            return Ok(have::TIME);
        }
        Err(ParseError::Format)
    }

    /// `hhmmss-zz`: a time run together with its zone.
    pub(super) fn time_with_zone(&mut self, text: &str, have: u32) -> Parsed<u32> {
        let at = text.find('-').ok_or(ParseError::Format)?;
        let (digits, zone) = text.split_at_checked(at).ok_or(ParseError::Format)?;
        self.east_s = zone_offset(zone)?;
        Ok(self.run_together(digits, have)? | have::ZONE)
    }

    pub(super) fn zone_name(&mut self, text: &str) -> Parsed<u32> {
        self.named_zone = Some(TimeZone::lookup(text).ok_or_else(|| ParseError::Sql(not_recognized(text)))?);
        Ok(have::ZONE)
    }

    /// A number that a word announced: `y2001`, `j2451187`, the time after `t`.
    pub(super) fn announced_number(&mut self, unit: Unit, text: &str) -> Parsed<u32> {
        let (value, rest) = leading_int(text);
        let value = value?;
        let has_fraction = rest.starts_with('.');
        if has_fraction && !matches!(unit, Unit::Julian | Unit::TimeOfDay | Unit::Second)
            || !has_fraction && !rest.is_empty()
        {
            return Err(ParseError::Format);
        }
        match unit {
            Unit::Year => {
                self.civil.year = value;
                Ok(have::YEAR)
            }
            // "m" after a month and an hour means minutes.
            Unit::Month if self.has_all(have::MONTH | have::HOUR) => {
                self.civil.minute = value;
                Ok(have::MINUTE)
            }
            Unit::Month => {
                self.civil.month = value;
                Ok(have::MONTH)
            }
            Unit::Day => {
                self.civil.day = value;
                Ok(have::DAY)
            }
            Unit::Hour => {
                self.civil.hour = value;
                Ok(have::HOUR)
            }
            Unit::Minute => {
                self.civil.minute = value;
                Ok(have::MINUTE)
            }
            Unit::Second => {
                self.civil.second = value;
                if has_fraction {
                    self.civil.micros = fraction_micros(rest)?;
                    return Ok(have::ALL_SECONDS);
                }
                Ok(have::SECOND)
            }
            Unit::Julian => self.julian(value, rest),
            Unit::TimeOfDay => match self.run_together(text, self.have | have::DATE)? {
                have::TIME => Ok(have::TIME),
                _ => Err(ParseError::Format),
            },
            _ => Err(ParseError::Format),
        }
    }

    /// A Julian day with an optional fraction, which is the time.
    pub(super) fn julian(&mut self, day: i32, rest: &str) -> Parsed<u32> {
        if day < 0 {
            return Err(ParseError::Overflow);
        }
        self.set_date(calendar::civil_from_julian(i64::from(day)));
        self.is_julian = true;
        if rest.is_empty() {
            return Ok(have::DATE);
        }
        let micros = (fraction(rest)? * MICROS_PER_DAY as f64) as i64;
        self.civil = self.civil.with_time(micros);
        Ok(have::DATE | have::TIME)
    }

    /// A zone abbreviation, if the word is one.
    pub(super) fn abbreviation(&mut self, text: &str) -> Option<u32> {
        match abbreviation(text)? {
            Abbreviation::Fixed { east_s, is_dst } => {
                self.east_s = east_s;
                Some(if is_dst { have::ZONE | have::SUMMER } else { have::ZONE })
            }
            Abbreviation::Zone(name) => {
                let zone = TimeZone::lookup(name)?;
                self.dynamic_zone = Some((zone, text.to_ascii_uppercase()));
                Some(have::ZONE | have::DYNAMIC_ZONE)
            }
        }
    }

    /// Words that mean the same in dates and in times. None: the caller's own business.
    pub(super) fn common_word(&mut self, word: Word, fields: &[Field], at: usize) -> Parsed<Option<u32>> {
        match word {
            Word::Meridian(is_pm) => {
                self.meridian = Some(is_pm);
                Ok(Some(have::MERIDIAN))
            }
            Word::Era(is_bc) => {
                self.is_bc = is_bc;
                Ok(Some(have::ERA))
            }
            Word::SummerTime => {
                self.east_s += 3_600;
                Ok(Some(have::SUMMER | have::SUMMER_MODIFIER))
            }
            Word::Unit(unit) => {
                self.announced = Some(unit);
                Ok(Some(0))
            }
            Word::IsoTime => {
                // The next field must be able to be a time.
                let next = fields.get(at + 1).map(|field| field.kind);
                if !matches!(next, Some(FieldKind::Number | FieldKind::Time | FieldKind::Date)) {
                    return Err(ParseError::Format);
                }
                self.announced = Some(Unit::TimeOfDay);
                Ok(Some(0))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn add(&mut self, mask: u32) -> Parsed<()> {
        if self.have & mask != 0 {
            return Err(ParseError::Format);
        }
        self.have |= mask;
        Ok(())
    }

    /// Turns the year into ours, and checks month and day.
    pub(super) fn validate_date(&mut self) -> Parsed<()> {
        if self.has_any(have::YEAR) && !self.is_julian {
            let year = self.civil.year;
            if self.is_bc {
                // There is no year 0: 1 BC is 0 inside.
                if year <= 0 {
                    return Err(ParseError::Overflow);
                }
                self.civil.year = 1 - year;
            } else if self.is_two_digits {
                match year {
                    ..0 => return Err(ParseError::Overflow),
                    0..70 => self.civil.year += 2_000,
                    70..100 => self.civil.year += 1_900,
                    _ => {}
                }
            } else if year <= 0 {
                return Err(ParseError::Overflow);
            }
        }
        if self.has_any(have::DAY_OF_YEAR) {
            let first = calendar::days_from_civil(i64::from(self.civil.year), 1, 1);
            self.set_date(calendar::civil_from_days(first + i64::from(self.day_of_year) - 1));
        }
        if self.has_any(have::MONTH) && !(1..=12).contains(&self.civil.month) {
            return Err(ParseError::MonthDayOverflow);
        }
        if self.has_any(have::DAY) && !(1..=31).contains(&self.civil.day) {
            return Err(ParseError::MonthDayOverflow);
        }
        // 30 February is not a matter of the fields' order: no hint.
        if self.has_all(have::DATE) && self.civil.day > calendar::days_in_month(self.civil.year, self.civil.month) {
            return Err(ParseError::Overflow);
        }
        Ok(())
    }

    pub(super) fn apply_meridian(&mut self) -> Parsed<()> {
        let Some(is_pm) = self.meridian else { return Ok(()) };
        match (is_pm, self.civil.hour) {
            (_, 13..) => return Err(ParseError::Overflow),
            (false, 12) => self.civil.hour = 0,
            (true, hour) if hour != 12 => self.civil.hour += 12,
            _ => {}
        }
        Ok(())
    }
}

/// A clock reading of an input; hours of intervals have no bound of their own.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub hour: i64,
    pub minute: i32,
    pub second: i32,
    pub micros: i32,
}

/// `hh:mm`, `hh:mm:ss[.fff]`, `mm:ss.fff`; with `is_minute_to_second` two parts are minutes and seconds.
pub fn clock(text: &str, is_minute_to_second: bool) -> Parsed<Clock> {
    let (hour, rest) = leading_int64(text);
    let hour = hour?;
    let (minute, rest) = leading_int(rest.strip_prefix(':').ok_or(ParseError::Format)?);
    let mut clock = Clock { hour, minute: minute?, second: 0, micros: 0 };
    let shift = |clock: Clock| -> Parsed<Clock> {
        let minute = i32::try_from(clock.hour).map_err(|_| ParseError::Overflow)?;
        Ok(Clock { hour: 0, minute, second: clock.minute, micros: clock.micros })
    };
    if rest.is_empty() {
        if is_minute_to_second {
            clock = shift(clock)?;
        }
    } else if rest.starts_with('.') {
        clock.micros = fraction_micros(rest)?;
        clock = shift(clock)?;
    } else {
        let (second, rest) = leading_int(rest.strip_prefix(':').ok_or(ParseError::Format)?);
        clock.second = second?;
        if !rest.is_empty() {
            clock.micros = fraction_micros(rest)?;
        }
    }
    let is_valid = clock.hour >= 0
        && (0..60).contains(&clock.minute)
        && (0..=60).contains(&clock.second)
        && (0..=1_000_000).contains(&clock.micros);
    if is_valid { Ok(clock) } else { Err(ParseError::Overflow) }
}

/// `+hh`, `-hhmm`, `+hh:mm`, `+hh:mm:ss` in seconds east of UTC.
pub fn zone_offset(text: &str) -> Parsed<i32> {
    let sign = match text.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(ParseError::Format),
    };
    let in_range = |value: Parsed<i32>| value.map_err(|_| ParseError::ZoneOverflow);
    let unsigned = text.get(1..).unwrap_or("");
    let (hour, mut rest) = leading_int(unsigned);
    let (mut hour, mut minute, mut second) = (in_range(hour)?, 0, 0);
    if let Some(more) = rest.strip_prefix(':') {
        let (value, after) = leading_int(more);
        (minute, rest) = (in_range(value)?, after);
        if let Some(more) = rest.strip_prefix(':') {
            let (value, after) = leading_int(more);
            (second, rest) = (in_range(value)?, after);
        }
    } else if rest.is_empty() && text.len() > 3 {
        (hour, minute) = (hour / 100, hour % 100);
    }
    if !(0..=15).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) {
        return Err(ParseError::ZoneOverflow);
    }
    if !rest.is_empty() {
        return Err(ParseError::Format);
    }
    Ok(sign * ((hour * 60 + minute) * 60 + second))
}

/// The runs of digits and of letters of a date field. One character after each is a separator, whatever it is.
fn date_parts(text: &str) -> Parsed<Vec<&str>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && parts.len() < tokens::FIELDS_MAX {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let first = rest.chars().next().ok_or(ParseError::Format)?;
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| if is_digit { !c.is_ascii_digit() } else { !c.is_ascii_alphabetic() });
        let (part, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, ""));
        parts.push(part);
        let mut after = after.chars();
        after.next();
        rest = after.as_str();
    }
    Ok(parts)
}

/// `value` with a checked multiply-add, for intervals.
pub fn multiply_add(value: i64, scale: i64, sum: &mut i64) -> Parsed<()> {
    *sum = value.checked_mul(scale).and_then(|product| sum.checked_add(product)).ok_or(ParseError::Overflow)?;
    Ok(())
}
