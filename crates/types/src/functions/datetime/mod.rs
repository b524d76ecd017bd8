//! Functions and operators of dates, times and intervals: one file per theme, listed here for `functions`.
//!
//! The arithmetic itself is `crate::datetime`'s; here stand PostgreSQL's rules for infinities, zones and errors.

mod arithmetic;
mod compare;
mod convert;
mod extract;
mod from_char;
mod make;
mod overlaps;
pub(crate) mod standard;
mod template;
mod to_char;
mod truncate;

use super::{ScalarFn, SetFn};
use crate::datetime::TimeTz;
use crate::datetime::tokens::{self, IntervalWord, Moment, Unit, Word};
use crate::{Datum, SqlError, SqlState};

pub use arithmetic::{SCALARS as ARITHMETIC, SETS};
pub use compare::{ACROSS_TYPES, EXTREMES, IN_RANGE, SAME_TYPE, THREE_WAY};
pub use convert::SCALARS as CONVERT;
pub use extract::SCALARS as EXTRACT;
pub use from_char::SCALARS as FROM_CHAR;
pub use make::SCALARS as MAKE;
pub use overlaps::SCALARS as OVERLAPS;
pub use to_char::SCALARS as TO_CHAR;
pub use truncate::SCALARS as TRUNCATE;

/// The `timetz` of an argument. Another variant is a programmer error, as for `Datum::as_i64`.
#[track_caller]
fn as_timetz(value: &Datum) -> TimeTz {
    match value {
        Datum::TimeTz(value) => *value,
        other => panic!("a TimeTz datum was expected, found {other:?}"),
    }
}

/// The days of a date argument.
#[track_caller]
fn as_date(value: &Datum) -> i32 {
    match value {
        Datum::Date(days) => *days,
        other => panic!("a Date datum was expected, found {other:?}"),
    }
}

/// The `int4` of an argument.
#[track_caller]
fn as_i32(value: &Datum) -> i32 {
    match value {
        Datum::Int4(value) => *value,
        other => panic!("an Int4 datum was expected, found {other:?}"),
    }
}

fn overflow(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

fn bad_parameter(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// What the first argument of `date_part` and `date_trunc` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Unit(Unit),
    Epoch,
    /// `now`, `infinity` and the like: words of time, but no parts of one.
    OtherMoment,
}

/// Looks a unit up, in any case. None is a word that no unit has.
fn part(name: &str) -> Option<Part> {
    // Names are short and mostly in lower case already: no allocation then.
    if name.bytes().any(|c| c.is_ascii_uppercase()) {
        return part_of_lower(&name.to_ascii_lowercase());
    }
    part_of_lower(name)
}

/// A unit that `date_trunc` knows: the words of intervals only, so no `dow` or `julian`.
fn interval_unit(name: &str) -> Option<Unit> {
    match tokens::interval_word(&name.to_ascii_lowercase()) {
        IntervalWord::Unit(unit) => Some(unit),
        _ => None,
    }
}

fn part_of_lower(lower: &str) -> Option<Part> {
    if let IntervalWord::Unit(unit) = tokens::interval_word(lower) {
        return Some(Part::Unit(unit));
    }
    match tokens::word(lower) {
        Word::Unit(unit) => Some(Part::Unit(unit)),
        Word::Moment(Moment::Epoch) => Some(Part::Epoch),
        Word::Moment(_) => Some(Part::OtherMoment),
        _ => None,
    }
}

#[cold]
fn not_supported(name: &str, type_name: &str) -> SqlError {
    SqlError::unsupported(format!("unit \"{}\" not supported for type {type_name}", name.to_ascii_lowercase()))
}

#[cold]
fn not_recognized(name: &str, type_name: &str) -> SqlError {
    bad_parameter(format!("unit \"{}\" not recognized for type {type_name}", name.to_ascii_lowercase()))
}
