//! Reading dates, times and timestamps: from fields to values, in every form PostgreSQL reads.
//!
//! The decoder walks the fields once and keeps a set of what it has (`Fields::have`); a field that would set something
//! twice is a format error, and the meaning of a bare number follows from what is there already and from DateStyle's
//! order. Zones are resolved at the end, when date and time are known.

use super::abbreviations::{Abbreviation, abbreviation};
use super::calendar::{self, Civil, MICROS_PER_DAY};
use super::iso;
use super::tokens::{self, Field, FieldKind, Moment, Unit, Word};
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

/// The reading of a date or timestamp.
#[derive(Debug)]
pub enum DateTime {
    /// A local time, and the seconds east of UTC that the text (or else the session's zone) gives it.
    Civil(Civil, i32),
    Epoch,
    Infinity,
    NegInfinity,
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

struct Fields<'a> {
    have: u32,
    civil: Civil,
    day_of_year: i32,
    /// Year given with at most two digits: 70..99 are 19xx, 0..69 20xx.
    is_two_digits: bool,
    is_julian: bool,
    has_month_name: bool,
    is_bc: bool,
    /// True for pm.
    meridian: Option<bool>,
    east_s: i32,
    named_zone: Option<TimeZone>,
    dynamic_zone: Option<(TimeZone, String)>,
    /// The unit a word before announced for the next number (`y2001m02`).
    announced: Option<Unit>,
    format: &'a FormatSettings,
}

impl Fields<'_> {
    fn new(format: &FormatSettings) -> Fields<'_> {
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

    fn has_all(&self, mask: u32) -> bool {
        self.have & mask == mask
    }

    fn has_any(&self, mask: u32) -> bool {
        self.have & mask != 0
    }

    fn set_date(&mut self, (year, month, day): (i32, i32, i32)) {
        (self.civil.year, self.civil.month, self.civil.day) = (year, month, day);
    }

    fn today(&self) -> i64 {
        self.format.time_zone.local(self.format.now).days()
    }

    /// `hh:mm[:ss[.fff]]`, or `mm:ss.fff`.
    fn time(&mut self, text: &str) -> Parsed<u32> {
        let clock = clock(text, false)?;
        let hour = i32::try_from(clock.hour).map_err(|_| ParseError::Overflow)?;
        (self.civil.hour, self.civil.minute, self.civil.second, self.civil.micros) =
            (hour, clock.minute, clock.second, clock.micros);
        Ok(have::TIME)
    }

    /// A field with separators that is a date: `1999-01-08`, `08.jan.1999`.
    fn date(&mut self, text: &str) -> Parsed<u32> {
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
    fn number(&mut self, text: &str, has_month_name: bool, have: u32) -> Parsed<u32> {
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
    fn run_together(&mut self, text: &str, have: u32) -> Parsed<u32> {
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
    fn time_with_zone(&mut self, text: &str, have: u32) -> Parsed<u32> {
        let at = text.find('-').ok_or(ParseError::Format)?;
        let (digits, zone) = text.split_at_checked(at).ok_or(ParseError::Format)?;
        self.east_s = zone_offset(zone)?;
        Ok(self.run_together(digits, have)? | have::ZONE)
    }

    fn zone_name(&mut self, text: &str) -> Parsed<u32> {
        self.named_zone = Some(TimeZone::lookup(text).ok_or_else(|| ParseError::Sql(not_recognized(text)))?);
        Ok(have::ZONE)
    }

    /// A number that a word announced: `y2001`, `j2451187`, the time after `t`.
    fn announced_number(&mut self, unit: Unit, text: &str) -> Parsed<u32> {
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
    fn julian(&mut self, day: i32, rest: &str) -> Parsed<u32> {
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
    fn abbreviation(&mut self, text: &str) -> Option<u32> {
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
    fn common_word(&mut self, word: Word, fields: &[Field], at: usize) -> Parsed<Option<u32>> {
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

    fn add(&mut self, mask: u32) -> Parsed<()> {
        if self.have & mask != 0 {
            return Err(ParseError::Format);
        }
        self.have |= mask;
        Ok(())
    }

    /// Turns the year into ours, and checks month and day.
    fn validate_date(&mut self) -> Parsed<()> {
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

    fn apply_meridian(&mut self) -> Parsed<()> {
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

/// Reads a date or timestamp.
pub fn datetime(text: &str, format: &FormatSettings) -> Parsed<DateTime> {
    if let Some((civil, east_s)) = iso::datetime(text) {
        let east_s = east_s.unwrap_or_else(|| zone_offset_of(&format.time_zone, &civil));
        return Ok(DateTime::Civil(civil, east_s));
    }
    datetime_long(text, format)
}

/// The same for all forms there are.
pub(super) fn datetime_long(text: &str, format: &FormatSettings) -> Parsed<DateTime> {
    let list = tokens::tokenize(text, tokens::DATE_BYTES_MAX).ok_or(ParseError::Format)?;
    let mut fields = Fields::new(format);
    let mut special = None;
    for (at, field) in list.iter().enumerate() {
        let mask = match field.kind {
            FieldKind::Date => datetime_date_field(&mut fields, &field.text)?,
            FieldKind::Time => {
                if fields.announced.take().is_some_and(|unit| unit != Unit::TimeOfDay) {
                    return Err(ParseError::Format);
                }
                let mask = fields.time(&field.text)?;
                let c = &fields.civil;
                if calendar::time_overflows(c.hour, c.minute, c.second, c.micros) {
                    return Err(ParseError::Overflow);
                }
                mask
            }
            FieldKind::Zone => {
                fields.east_s = zone_offset(&field.text)?;
                have::ZONE
            }
            FieldKind::Number => datetime_number_field(&mut fields, &field.text)?,
            FieldKind::Word | FieldKind::Special => {
                if let Some(mask) = fields.abbreviation(&field.text) {
                    mask
                } else {
                    match datetime_word(&mut fields, &list, at, &mut special)? {
                        Some(mask) => mask,
                        None => continue,
                    }
                }
            }
        };
        fields.add(mask)?;
    }
    fields.validate_date()?;
    fields.apply_meridian()?;
    match special {
        Some(Moment::Epoch) => return Ok(DateTime::Epoch),
        Some(Moment::Infinity) => return Ok(DateTime::Infinity),
        Some(Moment::NegInfinity) => return Ok(DateTime::NegInfinity),
        _ => {}
    }
    if !fields.has_all(have::DATE) {
        return Err(ParseError::Format);
    }
    resolve_zone(&mut fields)?;
    Ok(DateTime::Civil(fields.civil, fields.east_s))
}

/// A field with `-`, `/` or `.` inside: a date; or, once there is one, a zone name or `hhmmss-zz`.
fn datetime_date_field(fields: &mut Fields<'_>, text: &str) -> Parsed<u32> {
    if fields.announced == Some(Unit::Julian) {
        fields.announced = None;
        let (day, zone) = leading_int(text);
        let day = day?;
        fields.julian(day, "")?;
        fields.east_s = zone_offset(zone)?;
        return Ok(have::DATE | have::TIME | have::ZONE);
    }
    let announced = fields.announced.take();
    if announced.is_none() && !fields.has_all(have::MONTH | have::DAY) {
        return fields.date(text);
    }
    if announced.is_some() || text.starts_with(|c: char| c.is_ascii_digit()) {
        if announced.is_some_and(|unit| unit != Unit::TimeOfDay) || fields.has_all(have::TIME) {
            return Err(ParseError::Format);
        }
        return fields.time_with_zone(text, fields.have);
    }
    fields.zone_name(text)
}

fn datetime_number_field(fields: &mut Fields<'_>, text: &str) -> Parsed<u32> {
    if let Some(unit) = fields.announced.take() {
        return fields.announced_number(unit, text);
    }
    let point = text.find('.');
    if point.is_some() && !fields.has_any(have::DATE) {
        return fields.date(text);
    }
    let is_run_together = match point {
        Some(at) => at > 2,
        // Six digits or more are a date or a time while one of them is missing; else it is a year.
        None => text.len() >= 6 && !(fields.has_any(have::DATE) && fields.has_any(have::TIME)),
    };
    if is_run_together {
        return fields.run_together(text, fields.have);
    }
    fields.number(text, fields.has_month_name, fields.have)
}

/// A word of a date. None: to be ignored.
fn datetime_word(
    fields: &mut Fields<'_>,
    list: &[Field],
    at: usize,
    special: &mut Option<Moment>,
) -> Parsed<Option<u32>> {
    let text = list.get(at).map_or("", |field| field.text.as_str());
    let word = tokens::word(text);
    if word == Word::IsoTime && !fields.has_all(have::DATE) {
        return Err(ParseError::Format);
    }
    if let Some(mask) = fields.common_word(word, list, at)? {
        return Ok(Some(mask));
    }
    const ALL: u32 = have::DATE | have::TIME | have::ZONE;
    let mask = match word {
        Word::Ignored => return Ok(None),
        Word::Moment(moment) => match moment {
            Moment::Now => {
                fields.civil = fields.format.time_zone.local(fields.format.now);
                fields.east_s = fields.format.time_zone.offset_at(fields.format.now);
                ALL
            }
            Moment::Today | Moment::Tomorrow | Moment::Yesterday => {
                let shift = i64::from(moment == Moment::Tomorrow) - i64::from(moment == Moment::Yesterday);
                fields.set_date(calendar::civil_from_days(fields.today() + shift));
                have::DATE
            }
            Moment::Allballs => {
                fields.civil = fields.civil.with_time(0);
                fields.east_s = 0;
                have::TIME | have::ZONE
            }
            Moment::Epoch | Moment::Infinity | Moment::NegInfinity => {
                *special = Some(moment);
                have::SPECIAL
            }
        },
        Word::Month(month) => {
            // The number taken for a month was the day: "8 January".
            let was_day = fields.has_any(have::MONTH)
                && !fields.has_month_name
                && !fields.has_any(have::DAY)
                && (1..=31).contains(&fields.civil.month);
            let mask = if was_day {
                fields.civil.day = fields.civil.month;
                have::DAY
            } else {
                have::MONTH
            };
            fields.has_month_name = true;
            fields.civil.month = month;
            mask
        }
        Word::Weekday(_) => have::WEEKDAY,
        Word::Unknown => {
            fields.named_zone = Some(TimeZone::lookup(text).ok_or(ParseError::Format)?);
            have::ZONE
        }
        _ => return Err(ParseError::Format),
    };
    Ok(Some(mask))
}

/// The offset at the end, when date and time are known.
fn resolve_zone(fields: &mut Fields<'_>) -> Parsed<()> {
    let has_modifier = fields.has_any(have::SUMMER_MODIFIER);
    if let Some(zone) = &fields.named_zone {
        if has_modifier {
            return Err(ParseError::Format);
        }
        fields.east_s = zone_offset_of(zone, &fields.civil);
    }
    if let Some((zone, abbreviation)) = &fields.dynamic_zone {
        if has_modifier {
            return Err(ParseError::Format);
        }
        fields.east_s = zone.offset_of_local_abbreviation(&fields.civil, abbreviation);
    }
    if !fields.has_any(have::ZONE) {
        if has_modifier {
            return Err(ParseError::Format);
        }
        fields.east_s = zone_offset_of(&fields.format.time_zone, &fields.civil);
    }
    Ok(())
}

fn zone_offset_of(zone: &TimeZone, civil: &Civil) -> i32 {
    if calendar::is_valid_julian(civil.year, civil.month) { zone.offset_of_local(civil) } else { 0 }
}

/// Reads a time of day: microseconds since midnight, and seconds east of UTC.
pub fn time(text: &str, format: &FormatSettings) -> Parsed<(i64, i32)> {
    let list = tokens::tokenize(text, tokens::DATE_BYTES_MAX).ok_or(ParseError::Format)?;
    let mut fields = Fields::new(format);
    for (at, field) in list.iter().enumerate() {
        let mask = match field.kind {
            FieldKind::Date => time_date_field(&mut fields, &list, at)?,
            FieldKind::Time => fields.time(&field.text)?,
            FieldKind::Zone => {
                fields.east_s = zone_offset(&field.text)?;
                have::ZONE
            }
            FieldKind::Number => time_number_field(&mut fields, &list, at)?,
            FieldKind::Word | FieldKind::Special => {
                if let Some(mask) = fields.abbreviation(&field.text) {
                    mask
                } else {
                    match time_word(&mut fields, &list, at)? {
                        Some(mask) => mask,
                        None => continue,
                    }
                }
            }
        };
        fields.add(mask)?;
    }
    fields.validate_date()?;
    fields.apply_meridian()?;
    let c = fields.civil;
    if calendar::time_overflows(c.hour, c.minute, c.second, c.micros) {
        return Err(ParseError::Overflow);
    }
    if !fields.has_all(have::TIME) {
        return Err(ParseError::Format);
    }
    resolve_time_zone(&mut fields)?;
    Ok((c.time(), fields.east_s))
}

/// In a time, a date is taken only in front, where a time or zone name must still follow.
fn time_date_field(fields: &mut Fields<'_>, list: &[Field], at: usize) -> Parsed<u32> {
    let Some(field) = list.get(at) else { return Err(ParseError::Format) };
    let last_is_date = list.last().is_some_and(|field| field.kind == FieldKind::Date);
    let time_follows = list.get(1).is_some_and(|field| field.kind == FieldKind::Time);
    if at == 0 && list.len() >= 2 && (last_is_date || time_follows) {
        return fields.date(&field.text);
    }
    if !field.text.starts_with(|c: char| c.is_ascii_digit()) {
        return fields.zone_name(&field.text);
    }
    if fields.has_all(have::TIME) {
        return Err(ParseError::Format);
    }
    fields.time_with_zone(&field.text, fields.have | have::DATE)
}

fn time_number_field(fields: &mut Fields<'_>, list: &[Field], at: usize) -> Parsed<u32> {
    let Some(field) = list.get(at) else { return Err(ParseError::Format) };
    let text = field.text.as_str();
    if let Some(unit) = fields.announced.take() {
        return fields.announced_number(unit, text);
    }
    let have = fields.have | have::DATE;
    match text.find('.') {
        Some(point) => {
            let last_is_date = list.last().is_some_and(|field| field.kind == FieldKind::Date);
            if at == 0 && list.len() >= 2 && last_is_date {
                fields.date(text)
            } else if point > 2 {
                fields.run_together(text, have)
            } else {
                Err(ParseError::Format)
            }
        }
        None if text.len() > 4 => fields.run_together(text, have),
        None => fields.number(text, false, have),
    }
}

/// A word of a time. None: to be ignored.
fn time_word(fields: &mut Fields<'_>, list: &[Field], at: usize) -> Parsed<Option<u32>> {
    let text = list.get(at).map_or("", |field| field.text.as_str());
    let word = tokens::word(text);
    if let Some(mask) = fields.common_word(word, list, at)? {
        return Ok(Some(mask));
    }
    let mask = match word {
        Word::Ignored => return Ok(None),
        Word::Moment(Moment::Now) => {
            let local = fields.format.time_zone.local(fields.format.now);
            fields.civil = fields.civil.with_time(local.time());
            have::TIME
        }
        Word::Moment(Moment::Allballs) => {
            fields.civil = fields.civil.with_time(0);
            have::TIME | have::ZONE
        }
        Word::Unknown => {
            fields.named_zone = Some(TimeZone::lookup(text).ok_or(ParseError::Format)?);
            have::ZONE
        }
        _ => return Err(ParseError::Format),
    };
    Ok(Some(mask))
}

/// A time's offset: of its date if it has one, of today for the session's zone and for abbreviations.
fn resolve_time_zone(fields: &mut Fields<'_>) -> Parsed<()> {
    let has_modifier = fields.has_any(have::SUMMER_MODIFIER);
    if let Some(zone) = &fields.named_zone {
        if has_modifier {
            return Err(ParseError::Format);
        }
        fields.east_s = match zone.constant_offset() {
            Some(east_s) => east_s,
            // A zone with summer time needs the date.
            None if !fields.has_all(have::DATE) => return Err(ParseError::Format),
            None => zone_offset_of(zone, &fields.civil),
        };
    }
    let needs_date = fields.dynamic_zone.is_some() || !fields.has_any(have::ZONE);
    if !needs_date {
        return Ok(());
    }
    if has_modifier {
        return Err(ParseError::Format);
    }
    let mut local = fields.civil;
    if !fields.has_any(have::DATE) {
        (local.year, local.month, local.day) = calendar::civil_from_days(fields.today());
    } else if !fields.has_all(have::DATE) {
        return Err(ParseError::Format);
    }
    fields.east_s = match &fields.dynamic_zone {
        Some((zone, abbreviation)) => zone.offset_of_local_abbreviation(&local, abbreviation),
        None => zone_offset_of(&fields.format.time_zone, &local),
    };
    Ok(())
}

/// `value` with a checked multiply-add, for intervals.
pub fn multiply_add(value: i64, scale: i64, sum: &mut i64) -> Parsed<()> {
    *sum = value.checked_mul(scale).and_then(|product| sum.checked_add(product)).ok_or(ParseError::Overflow)?;
    Ok(())
}
