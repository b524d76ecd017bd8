//! Reading dates, times and timestamps: from fields to values, in every form PostgreSQL reads.
//!
//! A decoder walks the fields of a text once (`fields` says what each may set); zones are resolved at the end, when date
//! and time are known. Dates and times of day differ in what they take where, so each has its own walk.

use super::calendar::{self, Civil};
use super::fields::{self, Fields, ParseError, Parsed, have, zone_offset};
use super::iso;
use super::tokens::{self, Field, FieldKind, Moment, Unit, Word};
use super::zone::TimeZone;
use crate::FormatSettings;

/// The reading of a date or timestamp.
#[derive(Debug)]
pub enum DateTime {
    /// A local time, and the seconds east of UTC that the text (or else the session's zone) gives it.
    Civil(Civil, i32),
    Epoch,
    Infinity,
    NegInfinity,
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
        let (day, zone) = fields::leading_int(text);
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
