//! `bit` and `bit varying`, kept as a text of 0s and 1s.

use super::strings::{push, push_repeated};
use super::{fixed, insufficient};
use crate::{Result, SqlError, SqlState, SqlType, oid, stop};
use ecow::EcoString;

/// Some bits that are read or written.
const BITS_WORK: usize = 16;

/// Reads `0101`, `b0101` or `x5F` (22P02).
pub fn parse(text: &str) -> Result<EcoString> {
    let bad = |c: char, kind: &str| {
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("\"{c}\" is not a valid {kind} digit"))
    };
    if let Some(digits) = text.strip_prefix(['x', 'X']) {
        let mut bits = EcoString::with_capacity(digits.len() * 4);
        for c in stop::each(digits.chars(), BITS_WORK) {
            let c = c?;
            let digit = c.to_digit(16).ok_or_else(|| bad(c, "hexadecimal"))?;
            for shift in (0..4).rev() {
                bits.push(if digit >> shift & 1 == 1 { '1' } else { '0' });
            }
        }
        return Ok(bits);
    }
    let digits = text.strip_prefix(['b', 'B']).unwrap_or(text);
    match digits.chars().find(|c| !matches!(c, '0' | '1')) {
        Some(c) => Err(bad(c, "binary")),
        None => Ok(EcoString::from(digits)),
    }
}

/// Makes bits fit `bit(n)` or `bit varying(n)`: an explicit cast cuts or pads with zeros, otherwise 22026 or 22001.
pub fn fit(ty: SqlType, bits: EcoString, is_explicit: bool) -> Result<EcoString> {
    let Ok(length) = usize::try_from(ty.typmod) else { return Ok(bits) };
    if bits.len() == length || (ty.oid == oid::VARBIT && bits.len() < length) {
        return Ok(bits);
    }
    if !is_explicit {
        return Err(match ty.oid {
            oid::VARBIT => SqlError::new(
                SqlState::STRING_DATA_RIGHT_TRUNCATION,
                format!("bit string too long for type bit varying({length})"),
            ),
            _ => SqlError::new(
                SqlState::STRING_DATA_LENGTH_MISMATCH,
                format!("bit string length {} does not match type bit({length})", bits.len()),
            ),
        });
    }
    let mut fitted = EcoString::with_capacity(length);
    push(&mut fitted, bits.get(..length).unwrap_or(&bits))?;
    push_repeated(&mut fitted, "0", length.saturating_sub(bits.len()))?;
    Ok(fitted)
}

/// `[bit count i32][bytes, the first bit highest]`.
pub(super) fn send(bits: &str, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&(bits.len() as i32).to_be_bytes());
    for chunk in stop::each(bits.as_bytes().chunks(8), BITS_WORK) {
        let chunk = chunk?;
        let byte = chunk.iter().enumerate().fold(0, |byte, (index, bit)| byte | (bit & 1) << (7 - index));
        out.push(byte);
    }
    Ok(())
}

pub(super) fn receive(ty: SqlType, bytes: &[u8]) -> Result<EcoString> {
    let (count, rest) = bytes.split_at_checked(4).ok_or_else(insufficient)?;
    let count = i32::from_be_bytes(fixed(count)?);
    let Ok(count) = usize::try_from(count) else {
        return Err(SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "invalid length in external bit string"));
    };
    if rest.len() != count.div_ceil(8) {
        return Err(insufficient());
    }
    let bit = |index: usize| rest.get(index / 8).is_some_and(|byte| byte >> (7 - index % 8) & 1 == 1);
    let mut bits = EcoString::with_capacity(count);
    for index in stop::each(0..count, BITS_WORK) {
        bits.push(if bit(index?) { '1' } else { '0' });
    }
    fit(ty, bits, false)
}
