//! Functions of `bit` and `bit varying`, which are texts of 0s and 1s; positions count from the left.

use super::ScalarFn;
use super::strings::{char_range, check_size, count, int, joined, mapped, negative_length, text};
use crate::io::bits::fit;
use crate::io::strings::{push, push_repeated};
use crate::{Datum, Result, SqlError, SqlState, SqlType, oid};
use ecow::EcoString;

fn s(args: &[Datum], index: usize) -> &str {
    args[index].as_str()
}

pub const SCALARS: &[(&str, ScalarFn)] = &[
    ("bitlength", |_, a| count(s(a, 0).len())),
    ("bitoctetlength", |_, a| count(s(a, 0).len().div_ceil(8))),
    ("bit_length(bit)", |_, a| count(s(a, 0).len())),
    ("bit_bit_count", |_, a| Ok(Datum::Int8(s(a, 0).bytes().filter(|b| *b == b'1').count() as i64))),
    ("bit_and", |_, a| combine(a, "AND", |a, b| a & b)),
    ("bit_or", |_, a| combine(a, "OR", |a, b| a | b)),
    ("bitxor", |_, a| combine(a, "XOR", |a, b| a ^ b)),
    ("bitnot", |_, a| {
        text(mapped(s(a, 0), |piece, out| out.extend(piece.chars().map(|c| if c == '1' { '0' } else { '1' })))?)
    }),
    ("bitshiftleft", |_, a| shift(s(a, 0), i64::from(int(a, 1)))),
    ("bitshiftright", |_, a| shift(s(a, 0), -i64::from(int(a, 1)))),
    ("bitcat", |_, a| joined(&[s(a, 0), s(a, 1)])),
    ("bitsubstr", |_, a| part(s(a, 0), int(a, 1), Some(int(a, 2)))),
    ("bitsubstr_no_len", |_, a| part(s(a, 0), int(a, 1), None)),
    ("bitoverlay", |_, a| overlay(s(a, 0), s(a, 1), int(a, 2), int(a, 3))),
    ("bitoverlay_no_len", |_, a| overlay(s(a, 0), s(a, 1), int(a, 2), s(a, 1).len() as i32)),
    ("bitposition", |_, a| count(s(a, 0).find(s(a, 1)).map_or(0, |at| usize::from(!s(a, 0).is_empty()) * (at + 1)))),
    ("bitgetbit", |_, a| {
        let at = index(s(a, 0), int(a, 1))?;
        Ok(Datum::Int4(i32::from(s(a, 0).as_bytes().get(at) == Some(&b'1'))))
    }),
    ("bitsetbit", |_, a| {
        let at = index(s(a, 0), int(a, 1))?;
        let bit = match int(a, 2) {
            0 => "0",
            1 => "1",
            _ => return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "new bit must be 0 or 1")),
        };
        joined(&[&s(a, 0)[..at], bit, &s(a, 0)[at + 1..]])
    }),
    ("bit", |_, a| cast(oid::BIT, a)),
    ("varbit", |_, a| cast(oid::VARBIT, a)),
    ("bitfromint4", |_, a| from_integer(a[0].as_i64(), int(a, 1))),
    ("bitfromint8", |_, a| from_integer(a[0].as_i64(), int(a, 1))),
    ("bittoint4", |_, a| {
        to_integer(s(a, 0), 32).map(|bits| Datum::Int4(bits as u32 as i32)).ok_or_else(|| out_of_range("integer"))
    }),
    ("bittoint8", |_, a| {
        to_integer(s(a, 0), 64).map(|bits| Datum::Int8(bits as i64)).ok_or_else(|| out_of_range("bigint"))
    }),
];

#[cold]
fn out_of_range(what: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} out of range"))
}

fn combine(args: &[Datum], name: &str, operator: fn(bool, bool) -> bool) -> Result<Datum> {
    let (a, b) = (s(args, 0), s(args, 1));
    if a.len() != b.len() {
        return Err(SqlError::new(
            SqlState::STRING_DATA_LENGTH_MISMATCH,
            format!("cannot {name} bit strings of different sizes"),
        ));
    }
    let mut others = b.bytes();
    let mut bit = |a: u8| if operator(a == b'1', others.next() == Some(b'1')) { '1' } else { '0' };
    text(mapped(a, |piece, out| out.extend(piece.bytes().map(&mut bit)))?)
}

/// To the left for a positive number; what leaves is lost, zeros come in.
fn shift(bits: &str, places: i64) -> Result<Datum> {
    let by = usize::try_from(places.unsigned_abs()).unwrap_or(usize::MAX).min(bits.len());
    let mut out = EcoString::with_capacity(bits.len());
    if places >= 0 {
        push(&mut out, &bits[by..])?;
        push_repeated(&mut out, "0", by)?;
    } else {
        push_repeated(&mut out, "0", by)?;
        push(&mut out, &bits[..bits.len() - by])?;
    }
    text(out)
}

fn part(bits: &str, start: i32, length: Option<i32>) -> Result<Datum> {
    let (from, to) = char_range(bits, start, length)?;
    joined(&[&bits[from..to]])
}

fn overlay(bits: &str, new: &str, start: i32, length: i32) -> Result<Datum> {
    if start <= 0 {
        return Err(negative_length());
    }
    let behind = start.checked_add(length).ok_or_else(|| out_of_range("integer"))?;
    let (_, head) = char_range(bits, 1, Some(start - 1))?;
    let (tail, _) = char_range(bits, behind, None)?;
    joined(&[&bits[..head], new, &bits[tail..]])
}

/// An index from 0 (2202E).
fn index(bits: &str, at: i32) -> Result<usize> {
    match usize::try_from(at) {
        Ok(index) if index < bits.len() => Ok(index),
        _ => Err(SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            format!("bit index {at} out of valid range (0..{})", bits.len() as i64 - 1),
        )),
    }
}

fn cast(target: crate::Oid, args: &[Datum]) -> Result<Datum> {
    let ty = SqlType::with_typmod(target, int(args, 1));
    Ok(Datum::Text(fit(ty, EcoString::from(s(args, 0)), args[2].as_bool())?))
}

/// The low bits of a number; the sign fills what is wider. A typmod that is none means one bit.
fn from_integer(value: i64, typmod: i32) -> Result<Datum> {
    let length = usize::try_from(typmod).unwrap_or(1).max(1);
    check_size(length)?;
    let own = length.min(64);
    let mut out = EcoString::with_capacity(length);
    push_repeated(&mut out, if value < 0 { "1" } else { "0" }, length - own)?;
    out.extend((0..own).rev().map(|place| if value >> place & 1 == 1 { '1' } else { '0' }));
    text(out)
}

/// Bits as a number, or None if there are more than `most`.
fn to_integer(bits: &str, most: usize) -> Option<u64> {
    if bits.len() > most {
        return None;
    }
    Some(bits.bytes().fold(0, |value, bit| value << 1 | u64::from(bit == b'1')))
}
