//! Small formats: integers and short decimals on the hot path, uuid, oids, pg_lsn.

use super::invalid_input;
use crate::{Oid, Result, SqlError, SqlType, oid, typename};

const DIGIT_PAIRS: &[u8; 200] =
    b"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// Writes `value` in decimal to the end of `buffer`; returns where it begins.
fn digits(mut value: u64, buffer: &mut [u8; 20]) -> usize {
    let mut at = buffer.len();
    while value >= 100 {
        let pair = (value % 100) as usize * 2;
        value /= 100;
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&DIGIT_PAIRS[pair..pair + 2]);
    }
    if value >= 10 {
        let pair = value as usize * 2;
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&DIGIT_PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        buffer[at] = b'0' + value as u8;
    }
    at
}

/// Appends an integer in decimal.
pub fn write_int(value: i64, out: &mut Vec<u8>) {
    let mut buffer = [0; 20];
    let at = digits(value.unsigned_abs(), &mut buffer);
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&buffer[at..]);
}

/// Appends `mantissa / 10^scale` with exactly `scale` digits behind the point.
pub fn write_decimal(mantissa: i64, scale: u16, out: &mut Vec<u8>) {
    let scale = usize::from(scale);
    let mut buffer = [0; 20];
    let at = digits(mantissa.unsigned_abs(), &mut buffer);
    let text = &buffer[at..];
    if mantissa < 0 {
        out.push(b'-');
    }
    if scale == 0 {
        return out.extend_from_slice(text);
    }
    let whole = text.len().saturating_sub(scale);
    if whole == 0 {
        out.push(b'0');
    }
    out.extend_from_slice(&text[..whole]);
    out.push(b'.');
    out.resize(out.len() + scale.saturating_sub(text.len()), b'0');
    out.extend_from_slice(&text[whole..]);
}

/// A string of bytes that are UTF-8 by construction.
pub fn into_string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// `xxxxxxxx-xxxx-…` in any case, hyphens after any four digits, braces around if wanted.
pub(super) fn parse_uuid(text: &str) -> Result<[u8; 16]> {
    let error = || invalid_input("uuid", text);
    let bytes = text.as_bytes();
    let (inside, is_braced) = match bytes {
        [b'{', inside @ ..] => (inside, true),
        _ => (bytes, false),
    };
    let mut uuid = [0; 16];
    let mut at = 0;
    for (index, byte) in uuid.iter_mut().enumerate() {
        let pair = inside.get(at..at + 2).ok_or_else(error)?;
        let nibble = |b: u8| char::from(b).to_digit(16).map(|d| d as u8).ok_or_else(error);
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        at += 2;
        if index % 2 == 1 && index < 15 && inside.get(at) == Some(&b'-') {
            at += 1;
        }
    }
    match (is_braced, inside.get(at..).unwrap_or_default()) {
        (false, []) | (true, [b'}']) => Ok(uuid),
        _ => Err(error()),
    }
}

pub(super) fn write_uuid(bytes: &[u8; 16], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

/// What C's `strtoull(text, NULL, 0)` reads: xid, cid and xid8 take any text so.
pub(super) fn parse_c_unsigned(text: &str) -> u64 {
    let text = text.trim_start();
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, text) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(rest) => (16, rest),
        None if text.starts_with('0') => (8, text),
        None => (10, text),
    };
    let mut value = 0_u64;
    for digit in text.chars().map_while(|c| c.to_digit(radix)) {
        value = match value.checked_mul(u64::from(radix)).and_then(|v| v.checked_add(u64::from(digit))) {
            Some(value) => value,
            None => return u64::MAX,
        };
    }
    if is_negative { value.wrapping_neg() } else { value }
}

/// Digits, or `-` for 0. Names of `reg*` are resolved before this by those who know the catalog.
pub(super) fn parse_oid_like(ty: SqlType, text: &str) -> Result<Oid> {
    if matches!(ty.oid, oid::XID | oid::CID) {
        return Ok(parse_c_unsigned(text) as u32);
    }
    let digits = text.trim();
    if digits == "-" {
        return Ok(0);
    }
    digits.parse().map_err(|_| {
        let name = typename::display(ty);
        SqlError::unsupported(format!("a name can not be resolved to a {name} here: \"{text}\""))
    })
}

/// Two hexadecimal numbers around a slash.
pub(super) fn parse_lsn(text: &str) -> Result<i64> {
    let error = || invalid_input("pg_lsn", text);
    let half = |part: &str| {
        let is_hex = (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hex { u32::from_str_radix(part, 16).map_err(|_| error()) } else { Err(error()) }
    };
    let (high, low) = text.split_once('/').ok_or_else(error)?;
    Ok((u64::from(half(high)?) << 32 | u64::from(half(low)?)) as i64)
}

pub(super) fn write_lsn(value: i64, out: &mut Vec<u8>) {
    let value = value as u64;
    out.extend_from_slice(format!("{:X}/{:X}", value >> 32, value & 0xffff_ffff).as_bytes());
}
