//! Reading intervals: PostgreSQL's own forms, SQL's, and both forms of ISO 8601.

use super::calendar::{DAYS_PER_MONTH, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use super::fields::{self, ParseError, Parsed, have};
use super::interval::{Interval, interval_out_of_range, typmod};
use super::tokens::{self, Field, FieldKind, IntervalWord, Unit};
use crate::context::IntervalStyle;
use crate::{Result, SqlError};

/// An interval being read: years and months apart until the end, as each has its own bound.
#[derive(Clone, Copy, Default)]
struct Parts {
    years: i32,
    months: i32,
    days: i32,
    micros: i64,
}

fn small(value: i64) -> Parsed<i32> {
    i32::try_from(value).map_err(|_| ParseError::Overflow)
}

fn add(sum: &mut i32, value: i32) -> Parsed<()> {
    *sum = sum.checked_add(value).ok_or(ParseError::Overflow)?;
    Ok(())
}

impl Parts {
    fn add_micros(&mut self, value: i64, fraction: f64, scale: i64) -> Parsed<()> {
        fields::multiply_add(value, scale, &mut self.micros)?;
        self.add_fraction_micros(fraction, scale)
    }

    fn add_fraction_micros(&mut self, fraction: f64, scale: i64) -> Parsed<()> {
        let scaled = fraction * scale as f64;
        let mut whole = scaled as i64;
        let rest = scaled - whole as f64;
        if rest > 0.5 {
            whole += 1;
        } else if rest < -0.5 {
            whole -= 1;
        }
        fields::multiply_add(whole, 1, &mut self.micros)
    }

    fn add_days(&mut self, value: i64, fraction: f64, scale: i32) -> Parsed<()> {
        let days = small(value)?.checked_mul(scale).ok_or(ParseError::Overflow)?;
        add(&mut self.days, days)?;
        self.add_fraction_days(fraction, scale)
    }

    fn add_fraction_days(&mut self, fraction: f64, scale: i32) -> Parsed<()> {
        let scaled = fraction * f64::from(scale);
        let whole = scaled as i32;
        add(&mut self.days, whole)?;
        self.add_fraction_micros(scaled - f64::from(whole), MICROS_PER_DAY)
    }

    fn add_months(&mut self, value: i64, fraction: f64) -> Parsed<()> {
        add(&mut self.months, small(value)?)?;
        self.add_fraction_days(fraction, DAYS_PER_MONTH)
    }

    fn add_years(&mut self, value: i64, fraction: f64, scale: i32) -> Parsed<()> {
        let years = small(value)?.checked_mul(scale).ok_or(ParseError::Overflow)?;
        add(&mut self.years, years)?;
        add(&mut self.months, (fraction * f64::from(scale) * 12.0).round_ties_even() as i32)
    }

    fn negate(&mut self) -> Parsed<()> {
        let negated = || {
            Some(Parts {
                years: self.years.checked_neg()?,
                months: self.months.checked_neg()?,
                days: self.days.checked_neg()?,
                micros: self.micros.checked_neg()?,
            })
        };
        *self = negated().ok_or(ParseError::Overflow)?;
        Ok(())
    }
}

/// Reads an interval; `typmod` decides what a bare number means and what is cut at the end.
pub fn parse_interval(text: &str, typmod: i32, style: IntervalStyle) -> Result<Interval> {
    let range = if typmod >= 0 { typmod::fields(typmod) } else { typmod::FULL_RANGE };
    let parts = match tokens::tokenize(text, tokens::INTERVAL_BYTES_MAX)
        .ok_or(ParseError::Format)
        .and_then(|fields| decode(&fields, range, style))
    {
        // What is no interval in our words may be one in ISO 8601's.
        Err(ParseError::Format) => decode_iso8601(text),
        other => other,
    };
    let parts = parts.map_err(|error| in_interval(error, text))?;
    let months = i64::from(parts.years) * 12 + i64::from(parts.months);
    let months = i32::try_from(months).map_err(|_| interval_out_of_range())?;
    Ok(Interval { months, days: parts.days, micros: parts.micros }.with_typmod(typmod))
}

fn in_interval(error: ParseError, text: &str) -> SqlError {
    let error = if matches!(error, ParseError::Overflow) { ParseError::IntervalOverflow } else { error };
    error.into_sql("interval", text)
}

/// What a bare number on the right means, by the typmod's lowest field.
fn default_unit(range: i32) -> Unit {
    use typmod::{DAY, FULL_RANGE, HOUR, MINUTE, MONTH, SECOND, YEAR};
    if range == FULL_RANGE || range & SECOND != 0 {
        Unit::Second
    } else if range & MINUTE != 0 {
        Unit::Minute
    } else if range & HOUR != 0 {
        Unit::Hour
    } else if range & DAY != 0 {
        Unit::Day
    } else if range & MONTH != 0 {
        Unit::Month
    } else if range & YEAR != 0 {
        Unit::Year
    } else {
        Unit::Second
    }
}

/// PostgreSQL's and SQL's forms. Read from the right, as units stand behind their numbers.
fn decode(fields: &[Field], range: i32, style: IntervalStyle) -> Parsed<Parts> {
    let is_signed = |field: &Field| field.text.starts_with(['-', '+']);
    // SQL's '-1 1:00:00' means minus both, PostgreSQL's minus one day plus an hour. In SQL's style a leading sign is for
    // all, unless another field has a sign of its own.
    let force_negative = style == IntervalStyle::SqlStandard
        && fields.first().is_some_and(|field| field.text.starts_with('-'))
        && !fields.iter().skip(1).any(is_signed);
    let mut parts = Parts::default();
    let mut have = 0;
    let mut unit = None;
    let mut is_ago = false;
    for field in fields.iter().rev() {
        let mask = match field.kind {
            FieldKind::Time => {
                parts.micros = clock_micros(&field.text, range)?;
                if force_negative && parts.micros > 0 {
                    parts.micros = -parts.micros;
                }
                unit = Some(Unit::Day);
                have::TIME
            }
            FieldKind::Zone if signed_clock(&field.text, range).is_some() => {
                let micros = signed_clock(&field.text, range).unwrap_or(0);
                parts.micros = if force_negative && micros > 0 { -micros } else { micros };
                unit = Some(Unit::Day);
                have::TIME
            }
            FieldKind::Zone | FieldKind::Date | FieldKind::Number => {
                let current = unit.unwrap_or_else(|| default_unit(range));
                let (mask, next) = decode_number(&mut parts, &field.text, current, force_negative)?;
                unit = Some(next);
                mask
            }
            FieldKind::Word | FieldKind::Special => match tokens::interval_word(&field.text) {
                IntervalWord::Unit(found) => {
                    unit = Some(found);
                    0
                }
                IntervalWord::Ago => {
                    is_ago = true;
                    // No number stands right before "ago": there must be a unit between.
                    unit = Some(Unit::TimeOfDay);
                    0
                }
                IntervalWord::Ignored => continue,
                IntervalWord::Unknown => return Err(ParseError::Format),
            },
        };
        if have & mask != 0 {
            return Err(ParseError::Format);
        }
        have |= mask;
    }
    if have == 0 {
        return Err(ParseError::Format);
    }
    if is_ago {
        parts.negate()?;
    }
    Ok(parts)
}

fn clock_micros(text: &str, range: i32) -> Parsed<i64> {
    let clock = fields::clock(text, range == typmod::MINUTE | typmod::SECOND)?;
    let mut micros = i64::from(clock.micros);
    fields::multiply_add(clock.hour, MICROS_PER_HOUR, &mut micros)?;
    fields::multiply_add(i64::from(clock.minute), MICROS_PER_MINUTE, &mut micros)?;
    fields::multiply_add(i64::from(clock.second), MICROS_PER_SECOND, &mut micros)?;
    Ok(micros)
}

/// `+hh:mm[:ss]`; None where it is no clock, and so perhaps a number.
fn signed_clock(text: &str, range: i32) -> Option<i64> {
    let clock = text.get(1..).filter(|clock| clock.contains(':'))?;
    let micros = clock_micros(clock, range).ok()?;
    Some(if text.starts_with('-') { -micros } else { micros })
}

/// A number in `unit`, or SQL's `years-months`. Returns what it sets, and the unit for the number to its left.
fn decode_number(parts: &mut Parts, text: &str, unit: Unit, force_negative: bool) -> Parsed<(u32, Unit)> {
    let (value, rest) = fields::leading_int64(text);
    let mut value = value?;
    let is_negative = text.starts_with('-');
    let mut unit = unit;
    let mut fraction = 0.0;
    if let Some(months) = rest.strip_prefix('-') {
        let (months, rest) = fields::leading_int(months);
        let months = i64::from(months?);
        if !(0..12).contains(&months) {
            return Err(ParseError::Overflow);
        }
        if !rest.is_empty() {
            return Err(ParseError::Format);
        }
        unit = Unit::Month;
        let mut total = if is_negative { -months } else { months };
        fields::multiply_add(value, 12, &mut total)?;
        value = total;
    } else if rest.starts_with('.') {
        fraction = fields::fraction(rest)?;
        if is_negative {
            fraction = -fraction;
        }
    } else if !rest.is_empty() {
        return Err(ParseError::Format);
    }
    if force_negative {
        value = if value > 0 { -value } else { value };
        fraction = if fraction > 0.0 { -fraction } else { fraction };
    }
    let mask = match unit {
        Unit::Microsecond => {
            parts.add_micros(value, fraction, 1)?;
            have::MICROSECOND
        }
        Unit::Millisecond => {
            parts.add_micros(value, fraction, 1_000)?;
            have::MILLISECOND
        }
        Unit::Second => {
            parts.add_micros(value, fraction, MICROS_PER_SECOND)?;
            if fraction == 0.0 { have::SECOND } else { have::ALL_SECONDS }
        }
        Unit::Minute => {
            parts.add_micros(value, fraction, MICROS_PER_MINUTE)?;
            have::MINUTE
        }
        Unit::Hour => {
            parts.add_micros(value, fraction, MICROS_PER_HOUR)?;
            unit = Unit::Day;
            have::HOUR
        }
        Unit::Day => {
            parts.add_days(value, 0.0, 1)?;
            parts.add_fraction_micros(fraction, MICROS_PER_DAY)?;
            have::DAY
        }
        Unit::Week => {
            parts.add_days(value, fraction, 7)?;
            have::WEEK
        }
        Unit::Month => {
            parts.add_months(value, fraction)?;
            have::MONTH
        }
        Unit::Year => {
            parts.add_years(value, fraction, 1)?;
            have::YEAR
        }
        Unit::Decade => {
            parts.add_years(value, fraction, 10)?;
            have::DECADE
        }
        Unit::Century => {
            parts.add_years(value, fraction, 100)?;
            have::CENTURY
        }
        Unit::Millennium => {
            parts.add_years(value, fraction, 1_000)?;
            have::MILLENNIUM
        }
        _ => return Err(ParseError::Format),
    };
    Ok((mask, unit))
}

/// ISO 8601: `P1Y2M3DT4H5M6S`, and the alternative forms `P0001-02-03T04:05:06` and `P00010203T040506`.
fn decode_iso8601(text: &str) -> Parsed<Parts> {
    let mut rest = text.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or(ParseError::Format)?;
    let mut parts = Parts::default();
    let mut is_date = true;
    let mut has_field = false;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            (is_date, has_field, rest) = (false, false, time);
            continue;
        }
        let field = rest;
        let (value, fraction, after) = iso_number(rest)?;
        let unit = after.chars().next();
        rest = after.get(unit.map_or(0, char::len_utf8)..).unwrap_or("");
        if is_date {
            match unit {
                Some('Y') => parts.add_years(value, fraction, 1)?,
                Some('M') => parts.add_months(value, fraction)?,
                Some('W') => parts.add_days(value, fraction, 7)?,
                Some('D') => {
                    parts.add_days(value, 0.0, 1)?;
                    parts.add_fraction_micros(fraction, MICROS_PER_DAY)?;
                }
                Some('T' | '-') | None => {
                    if unit != Some('-') && integer_width(field) == 8 && !has_field {
                        parts.add_years(value / 10_000, 0.0, 1)?;
                        parts.add_months(value / 100 % 100, 0.0)?;
                        parts.add_days(value % 100, 0.0, 1)?;
                        parts.add_fraction_micros(fraction, MICROS_PER_DAY)?;
                    } else {
                        if has_field {
                            return Err(ParseError::Format);
                        }
                        parts.add_years(value, fraction, 1)?;
                        if unit == Some('-') {
                            match iso_date_rest(&mut parts, rest)? {
                                Some(time) => {
                                    (is_date, has_field, rest) = (false, false, time);
                                    continue;
                                }
                                None => return Ok(parts),
                            }
                        }
                    }
                    if unit.is_none() {
                        return Ok(parts);
                    }
                    (is_date, has_field) = (false, false);
                    continue;
                }
                Some(_) => return Err(ParseError::Format),
            }
        } else {
            match unit {
                Some('H') => parts.add_micros(value, fraction, MICROS_PER_HOUR)?,
                Some('M') => parts.add_micros(value, fraction, MICROS_PER_MINUTE)?,
                Some('S') => parts.add_micros(value, fraction, MICROS_PER_SECOND)?,
                None if integer_width(field) == 6 && !has_field => {
                    parts.add_micros(value / 10_000, 0.0, MICROS_PER_HOUR)?;
                    parts.add_micros(value / 100 % 100, 0.0, MICROS_PER_MINUTE)?;
                    parts.add_micros(value % 100, 0.0, MICROS_PER_SECOND)?;
                    parts.add_fraction_micros(fraction, 1)?;
                    return Ok(parts);
                }
                Some(':') | None => {
                    if has_field {
                        return Err(ParseError::Format);
                    }
                    parts.add_micros(value, fraction, MICROS_PER_HOUR)?;
                    if unit.is_some() {
                        iso_clock_rest(&mut parts, rest)?;
                    }
                    return Ok(parts);
                }
                Some(_) => return Err(ParseError::Format),
            }
        }
        has_field = true;
    }
    Ok(parts)
}

/// `mm[-dd]` after `Pyyyy-`. What follows a `T` is returned.
fn iso_date_rest<'a>(parts: &mut Parts, text: &'a str) -> Parsed<Option<&'a str>> {
    let (value, fraction, rest) = iso_number(text)?;
    parts.add_months(value, fraction)?;
    if rest.is_empty() {
        return Ok(None);
    }
    if let Some(time) = rest.strip_prefix('T') {
        return Ok(Some(time));
    }
    let (value, fraction, rest) = iso_number(rest.strip_prefix('-').ok_or(ParseError::Format)?)?;
    parts.add_days(value, 0.0, 1)?;
    parts.add_fraction_micros(fraction, MICROS_PER_DAY)?;
    match rest.strip_prefix('T') {
        Some(time) => Ok(Some(time)),
        None if rest.is_empty() => Ok(None),
        None => Err(ParseError::Format),
    }
}

/// `mm[:ss]` after `Thh:`.
fn iso_clock_rest(parts: &mut Parts, text: &str) -> Parsed<()> {
    let (value, fraction, rest) = iso_number(text)?;
    parts.add_micros(value, fraction, MICROS_PER_MINUTE)?;
    if rest.is_empty() {
        return Ok(());
    }
    let (value, fraction, rest) = iso_number(rest.strip_prefix(':').ok_or(ParseError::Format)?)?;
    parts.add_micros(value, fraction, MICROS_PER_SECOND)?;
    if rest.is_empty() { Ok(()) } else { Err(ParseError::Format) }
}

/// A number with fraction and exponent: its whole part, its fraction, and what follows.
fn iso_number(text: &str) -> Parsed<(i64, f64, &str)> {
    /// Beyond it a double's whole part is not exact.
    const MAX: f64 = 1.0e15;
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes.iter().skip(from).take_while(|c| c.is_ascii_digit()).count();
    let mut end = usize::from(text.starts_with('-'));
    let whole = digits(end);
    end += whole;
    let mut decimals = 0;
    if bytes.get(end) == Some(&b'.') {
        decimals = digits(end + 1);
        end += 1 + decimals;
    }
    if whole + decimals == 0 {
        return Err(ParseError::Format);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    let (number, rest) = text.split_at_checked(end).ok_or(ParseError::Format)?;
    let value: f64 = number.parse().map_err(|_| ParseError::Format)?;
    // A number no double can hold is a format error; one too large for us an overflow.
    if value.is_infinite() {
        return Err(ParseError::Format);
    }
    if value.abs() > MAX {
        return Err(ParseError::Overflow);
    }
    Ok((value.trunc() as i64, value - value.trunc(), rest))
}

fn integer_width(field: &str) -> usize {
    field.strip_prefix('-').unwrap_or(field).bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, months: i32, days: i32, micros: i64) {
        let got = parse_interval(text, -1, IntervalStyle::Postgres).unwrap();
        assert!(got.is_identical(&Interval::new(months, days, micros)), "{text}: {got:?}");
    }

    #[test]
    fn all_forms_agree() {
        let micros = 4 * MICROS_PER_HOUR + 5 * MICROS_PER_MINUTE + 6_700_000;
        for text in [
            "1 year 2 months 3 days 4 hours 5 minutes 6.7 seconds",
            "@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs",
            "1-2 3 4:05:06.7",
            "1y 2mon 3d 04:05:06.7",
            "P1Y2M3DT4H5M6.7S",
            "P0001-02-03T04:05:06.7",
        ] {
            check(text, 14, 3, micros);
        }
        check("1 day ago", 0, -1, 0);
        check("-1-2 +3 -4:00", -14, 3, -4 * MICROS_PER_HOUR);
        check("1.5 weeks", 0, 10, MICROS_PER_HOUR * 12);
        check("P00010203T040506", 14, 3, 4 * MICROS_PER_HOUR + 5 * MICROS_PER_MINUTE + 6_000_000);
    }

    #[test]
    fn a_leading_sign_in_sql_style_is_for_all() {
        let got = parse_interval("-1 2:03", -1, IntervalStyle::SqlStandard).unwrap();
        assert!(got.is_identical(&Interval::new(0, -1, -123 * MICROS_PER_MINUTE)), "{got:?}");
        let error = parse_interval("3000000000 months", -1, IntervalStyle::Postgres).unwrap_err();
        assert_eq!(error.message(), "interval field value out of range: \"3000000000 months\"");
    }
}
