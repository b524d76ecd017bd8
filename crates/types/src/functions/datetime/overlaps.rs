//! `(start, end) OVERLAPS (start, end)`, where an end may be a length, and any of the four may be NULL.

use super::{ScalarFn, arithmetic, as_timetz};
use crate::datetime::TimeZone;
use crate::{Datum, Result};
use std::cmp::Ordering;

/// A range with a known bound first; the other may be NULL.
fn ordered<'a>(
    start: &'a Datum,
    end: &'a Datum,
    order: fn(&Datum, &Datum) -> Ordering,
) -> Option<(&'a Datum, Option<&'a Datum>)> {
    match (start.is_null(), end.is_null()) {
        (true, true) => None,
        (true, false) => Some((end, None)),
        (false, true) => Some((start, None)),
        (false, false) if order(start, end).is_gt() => Some((end, Some(start))),
        (false, false) => Some((start, Some(end))),
    }
}

/// SQL's rule: true where the later range begins before the earlier one ends; unknown where a NULL could decide.
fn overlaps(args: [&Datum; 4], order: fn(&Datum, &Datum) -> Ordering) -> Datum {
    let (Some(first), Some(second)) = (ordered(args[0], args[1], order), ordered(args[2], args[3], order)) else {
        return Datum::Null;
    };
    let (earlier, later) = match order(first.0, second.0) {
        Ordering::Equal => {
            return if first.1.is_some() && second.1.is_some() { Datum::Bool(true) } else { Datum::Null };
        }
        Ordering::Less => (first, second),
        Ordering::Greater => (second, first),
    };
    match (earlier.1, later.1) {
        (None, _) => Datum::Null,
        (Some(end), _) if order(later.0, end).is_lt() => Datum::Bool(true),
        (Some(_), None) => Datum::Null,
        (Some(_), Some(_)) => Datum::Bool(false),
    }
}

fn integers(a: &Datum, b: &Datum) -> Ordering {
    a.as_i64().cmp(&b.as_i64())
}

fn timetzs(a: &Datum, b: &Datum) -> Ordering {
    as_timetz(a).compare(&as_timetz(b))
}

/// A start and a length make an end; NULL if either is NULL.
fn end_of(start: &Datum, length: &Datum, zone: &TimeZone) -> Result<Datum> {
    if length.is_null() {
        return Ok(Datum::Null);
    }
    let span = length.as_interval();
    Ok(match start {
        Datum::Timestamp(micros) => Datum::Timestamp(arithmetic::shift_timestamp(*micros, span, false)?),
        Datum::TimestampTz(micros) => Datum::TimestampTz(arithmetic::shift_timestamptz(*micros, span, false, zone)?),
        Datum::Time(micros) => Datum::Time(arithmetic::shift_time(*micros, span, false)),
        _ => Datum::Null,
    })
}

/// Entries of one type: which of the two ends are lengths.
macro_rules! with_lengths {
    ($($both:literal, $first:literal, $second:literal;)*) => {
        &[
            ("overlaps_timestamp", |_, args| Ok(overlaps([&args[0], &args[1], &args[2], &args[3]], integers))),
            ("overlaps_time", |_, args| Ok(overlaps([&args[0], &args[1], &args[2], &args[3]], integers))),
            ("overlaps_timetz", |_, args| Ok(overlaps([&args[0], &args[1], &args[2], &args[3]], timetzs))),
            $(
                ($both, |c, args| {
                    let first = end_of(&args[0], &args[1], &c.format.time_zone)?;
                    let second = end_of(&args[2], &args[3], &c.format.time_zone)?;
                    Ok(overlaps([&args[0], &first, &args[2], &second], integers))
                }),
                ($first, |c, args| {
                    let first = end_of(&args[0], &args[1], &c.format.time_zone)?;
                    Ok(overlaps([&args[0], &first, &args[2], &args[3]], integers))
                }),
                ($second, |c, args| {
                    let second = end_of(&args[2], &args[3], &c.format.time_zone)?;
                    Ok(overlaps([&args[0], &args[1], &args[2], &second], integers))
                }),
            )*
        ]
    };
}

pub const SCALARS: &[(&str, ScalarFn)] = with_lengths! {
    "overlaps(timestamp,interval,timestamp,interval)",
    "overlaps(timestamp,interval,timestamp,timestamp)",
    "overlaps(timestamp,timestamp,timestamp,interval)";
    "overlaps(timestamptz,interval,timestamptz,interval)",
    "overlaps(timestamptz,interval,timestamptz,timestamptz)",
    "overlaps(timestamptz,timestamptz,timestamptz,interval)";
    "overlaps(time,interval,time,interval)",
    "overlaps(time,interval,time,time)",
    "overlaps(time,time,time,interval)";
};
