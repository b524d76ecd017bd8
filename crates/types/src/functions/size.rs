//! `pg_size_pretty` and `pg_size_bytes`.

use super::ScalarFn;
use crate::numeric::{Numeric, is_space};
use crate::{Datum, Result, SqlError, SqlState};

struct Unit {
    name: &'static str,
    /// Sizes below this are shown in this unit.
    limit: i64,
    /// The unit is 2^bits bytes.
    bits: u32,
}

/// From the second unit on a size is kept doubled until it is shown, so that the last step rounds by halves.
const UNITS: [Unit; 6] = [
    Unit { name: "bytes", limit: 10 * 1024, bits: 0 },
    Unit { name: "kB", limit: 20 * 1024 - 1, bits: 10 },
    Unit { name: "MB", limit: 20 * 1024 - 1, bits: 20 },
    Unit { name: "GB", limit: 20 * 1024 - 1, bits: 30 },
    Unit { name: "TB", limit: 20 * 1024 - 1, bits: 40 },
    Unit { name: "PB", limit: 20 * 1024 - 1, bits: 50 },
];

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("pg_size_pretty", |_, args| pretty(args[0].as_i64())),
    ("pg_size_pretty_numeric", |_, args| pretty_numeric(args[0].as_numeric().clone())),
    ("pg_size_bytes", |_, args| bytes(args[0].as_str()).map(Datum::Int8)),
];

/// The bits to shift by from a unit to the next: one less onto the first doubled one.
fn bits_to_next(index: usize) -> u32 {
    if index == 0 { 9 } else { 10 }
}

fn pretty(size: i64) -> Result<Datum> {
    let mut size = size;
    for (index, unit) in UNITS.iter().enumerate() {
        if size.unsigned_abs() < unit.limit as u64 || index + 1 == UNITS.len() {
            let shown = if index == 0 { size } else { (size + if size < 0 { -1 } else { 1 }) / 2 };
            return Ok(Datum::text(format!("{shown} {}", unit.name)));
        }
        size /= 1 << bits_to_next(index);
    }
    Err(SqlError::internal("no unit for a size"))
}

fn pretty_numeric(size: Numeric) -> Result<Datum> {
    let mut size = size;
    for (index, unit) in UNITS.iter().enumerate() {
        if size.abs() < Numeric::from_i64(unit.limit) || index + 1 == UNITS.len() {
            if index > 0 {
                let one = Numeric::from_i64(if size.is_negative() { -1 } else { 1 });
                size = size.add(&one)?.div_trunc(&Numeric::from_i64(2))?;
            }
            return Ok(Datum::text(format!("{size} {}", unit.name)));
        }
        size = size.div_trunc(&Numeric::from_i64(1 << bits_to_next(index)))?;
    }
    Err(SqlError::internal("no unit for a size"))
}

/// How many bytes of `text` are a number: sign, digits, point, digits, exponent (if whole). None if there is no digit.
fn number_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits_from = |at: usize| bytes.iter().skip(at).take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let before = digits_from(at);
    at += before;
    let mut after = 0;
    if bytes.get(at) == Some(&b'.') {
        after = digits_from(at + 1);
        at += 1 + after;
    }
    if before + after == 0 {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        // As strtol reads it: blanks, a sign, digits.
        let mut start = at + 1 + bytes.iter().skip(at + 1).take_while(|byte| is_space(char::from(**byte))).count();
        start += usize::from(matches!(bytes.get(start), Some(b'+' | b'-')));
        match digits_from(start) {
            0 => {}
            digits => at = start + digits,
        }
    }
    Some(at)
}

fn bytes(text: &str) -> Result<i64> {
    let invalid = || SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid size: \"{text}\""));
    let trimmed = text.trim_start_matches(is_space);
    let length = number_length(trimmed).ok_or_else(invalid)?;
    let (number, unit) = trimmed.split_at_checked(length).ok_or_else(invalid)?;
    let number = Numeric::parse(number)?;
    let unit = unit.trim_matches(is_space);
    if unit.is_empty() {
        return number.to_i64();
    }
    let known = UNITS.iter().find(|known| known.name.eq_ignore_ascii_case(unit));
    let bits = match known {
        Some(known) => known.bits,
        None => {
            return Err(invalid()
                .detail(format!("Invalid size unit: \"{unit}\"."))
                .hint("Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\"."));
        }
    };
    number.mul(&Numeric::from_i64(1 << bits))?.to_i64()
}
