//! `.datetime(template)` of SQL/JSON paths: a text read along a template of the SQL standard, and the order of what comes out.
//!
//! The type follows from the template: days, times or both, with or without a zone. A value with a zone keeps the zone that
//! its text had, because it is shown with it.

use super::compare::{instants, locals, timetzs};
use super::convert::time_to_timetz;
use super::from_char::{Moment, standard_moment};
use super::template::{self, Node, Pattern};
use super::{SqlError, SqlState, overflow};
use crate::datetime::interval::round_micros;
use crate::datetime::{TimeTz, calendar};
use crate::{Datum, FormatSettings, Result};
use std::cmp::Ordering;

/// A template, and what it says of the type of its values.
pub(crate) struct Template {
    nodes: Vec<Node>,
    is_dated: bool,
    is_timed: bool,
    is_zoned: bool,
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

impl Template {
    /// 22007 where a separator is none of the standard's.
    pub(crate) fn parse(text: &str) -> Result<Template> {
        let nodes = template::parse_standard(text)?
            .map_err(|c| invalid(format!("invalid datetime format separator: \"{c}\"")))?;
        let (mut is_dated, mut is_timed, mut is_zoned) = (false, false, false);
        for node in &nodes {
            use Pattern::*;
            let Node::Field(field) = node else { continue };
            match field.pattern {
                Fixed => {}
                Meridian(_) | Hour12 | Hour24 | Minute | Second | SecondOfDay | Millisecond | Microsecond
                | Fraction(_) => is_timed = true,
                ZoneHour | ZoneMinute | ZoneName | Offset => is_zoned = true,
                _ => is_dated = true,
            }
        }
        Ok(Template { nodes, is_dated, is_timed, is_zoned })
    }

    /// The value of a text, and its zone's offset in seconds east (0 without a zone).
    pub(crate) fn read(&self, text: &str) -> Result<(Datum, i32)> {
        // An empty template reads nothing, and has no type.
        let moment = if self.nodes.is_empty() { None } else { Some(standard_moment(text, &self.nodes)?) };
        match (moment, self.is_dated, self.is_timed, self.is_zoned) {
            (Some(moment), true, true, is_zoned) => timestamp(&moment, is_zoned),
            (Some(_), true, false, true) => Err(invalid("datetime format is zoned but not timed")),
            (Some(moment), true, false, false) => date(&moment, text),
            (Some(moment), false, true, is_zoned) => time(&moment, is_zoned),
            _ => Err(invalid("datetime format is not dated and not timed")),
        }
    }
}

fn rounded(micros: i64, moment: &Moment) -> i64 {
    match moment.fraction_digits {
        0 => micros,
        digits => round_micros(micros, digits),
    }
}

fn zone_of(moment: &Moment, type_name: &str) -> Result<i32> {
    moment.east_s.ok_or_else(|| invalid(format!("missing time zone in input string for type {type_name}")))
}

fn timestamp(moment: &Moment, is_zoned: bool) -> Result<(Datum, i32)> {
    let east_s = if is_zoned { zone_of(moment, "timestamptz")? } else { 0 };
    let name = if is_zoned { "timestamptz" } else { "timestamp" };
    let micros = moment.civil.to_timestamp(east_s).ok_or_else(|| overflow(format!("{name} out of range")))?;
    let micros = rounded(micros, moment);
    Ok((if is_zoned { Datum::TimestampTz(micros) } else { Datum::Timestamp(micros) }, east_s))
}

fn date(moment: &Moment, text: &str) -> Result<(Datum, i32)> {
    let (civil, days) = (&moment.civil, moment.civil.days());
    if !calendar::is_valid_julian(civil.year, civil.month) || !calendar::is_valid_date(days) {
        return Err(overflow(format!("date out of range: \"{text}\"")));
    }
    Ok((Datum::Date(days as i32), 0))
}

fn time(moment: &Moment, is_zoned: bool) -> Result<(Datum, i32)> {
    let micros = rounded(moment.civil.time(), moment);
    if !is_zoned {
        return Ok((Datum::Time(micros), 0));
    }
    let east_s = zone_of(moment, "timetz")?;
    Ok((Datum::TimeTz(TimeTz { micros, zone_west_s: -east_s }), east_s))
}

/// How two values compare. None where one is a time of day and the other is not. `needs_zone` is told which two types could
/// not be compared without the session's zone, as PostgreSQL names them.
pub(crate) fn compare(
    a: &Datum,
    b: &Datum,
    format: &FormatSettings,
    needs_zone: impl FnOnce(&'static str, &'static str) -> Result<()>,
) -> Result<Option<Ordering>> {
    use Datum::{Date, Time, TimeTz, Timestamp, TimestampTz};
    Ok(Some(match (a, b) {
        (Time(a), Time(b)) => a.cmp(b),
        (TimeTz(_), TimeTz(_)) => timetzs(format, a, b),
        (Time(micros), TimeTz(_)) => {
            needs_zone("time", "timetz")?;
            timetzs(format, &time_to_timetz(*micros, format), b)
        }
        (TimeTz(_), Time(micros)) => {
            needs_zone("time", "timetz")?;
            timetzs(format, a, &time_to_timetz(*micros, format))
        }
        (Time(_) | TimeTz(_), _) | (_, Time(_) | TimeTz(_)) => return Ok(None),
        (TimestampTz(_), TimestampTz(_)) => instants(format, a, b),
        (Date(_), TimestampTz(_)) | (TimestampTz(_), Date(_)) => {
            needs_zone("date", "timestamptz")?;
            instants(format, a, b)
        }
        (Timestamp(_), TimestampTz(_)) | (TimestampTz(_), Timestamp(_)) => {
            needs_zone("timestamp", "timestamptz")?;
            instants(format, a, b)
        }
        _ => locals(format, a, b),
    }))
}
