//! Functions of `bytea`, encodings and digests. Positions are in bytes, from 1; bits count from the lowest of the first byte.

use super::strings::{check_size, count, int, negative_length, text};
use super::{ScalarFn, strings};
use crate::io::bytea;
use crate::text::encoding::Encoding;
use crate::{Datum, Result, SqlError, SqlState, stop};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ecow::EcoString;
use md5::Md5;
use sha2::digest::Output;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// Characters of a line of base64, as MIME has it.
const BASE64_LINE: usize = 76;
/// Lines that are made at once.
const LINES_TOGETHER: usize = 1 << 10;

fn b(args: &[Datum], index: usize) -> &[u8] {
    args[index].as_bytes()
}

fn bytes(value: impl Into<std::sync::Arc<[u8]>>) -> Result<Datum> {
    Ok(Datum::Bytea(value.into()))
}

#[cold]
fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

pub const PARTS: &[(&str, ScalarFn)] = &[
    ("byteaoctetlen", |_, a| count(b(a, 0).len())),
    ("bit_length(bytea)", |_, a| count(b(a, 0).len() * 8)),
    ("bytea_bit_count", |_, a| Ok(Datum::Int8(b(a, 0).iter().map(|byte| i64::from(byte.count_ones())).sum()))),
    ("byteacat", |_, a| {
        check_size(b(a, 0).len() + b(a, 1).len())?;
        bytes([b(a, 0), b(a, 1)].concat())
    }),
    ("bytea_substr", |_, a| bytes(substring(b(a, 0), int(a, 1), Some(int(a, 2)))?)),
    ("bytea_substr_no_len", |_, a| bytes(substring(b(a, 0), int(a, 1), None)?)),
    ("byteaoverlay", |_, a| overlay(b(a, 0), b(a, 1), int(a, 2), int(a, 3))),
    ("byteaoverlay_no_len", |_, a| overlay(b(a, 0), b(a, 1), int(a, 2), b(a, 1).len() as i32)),
    ("byteapos", |_, a| {
        let (whole, part) = (b(a, 0), b(a, 1));
        if part.is_empty() {
            return count(1);
        }
        for (at, window) in whole.windows(part.len()).enumerate() {
            // How far the two are alike is not known: taken for a long way where they begin alike.
            stop::spent(if window.first() == part.first() { 1 + part.len() / 8 } else { 1 })?;
            if window == part {
                return count(at + 1);
            }
        }
        count(0)
    }),
    ("byteatrim", |_, a| bytes(trim(b(a, 0), b(a, 1), true, true)?)),
    ("bytealtrim", |_, a| bytes(trim(b(a, 0), b(a, 1), true, false)?)),
    ("byteartrim", |_, a| bytes(trim(b(a, 0), b(a, 1), false, true)?)),
    ("byteaGetByte", |_, a| Ok(Datum::Int4(i32::from(b(a, 0)[index(a[1].as_i64(), b(a, 0).len())?])))),
    ("byteaSetByte", |_, a| {
        let at = index(a[1].as_i64(), b(a, 0).len())?;
        let mut value = b(a, 0).to_vec();
        value[at] = a[2].as_i64() as u8;
        bytes(value)
    }),
    ("byteaGetBit", |_, a| {
        let at = index(a[1].as_i64(), b(a, 0).len() * 8)?;
        Ok(Datum::Int4(i32::from(b(a, 0)[at / 8] >> (at % 8) & 1)))
    }),
    ("byteaSetBit", |_, a| {
        let at = index(a[1].as_i64(), b(a, 0).len() * 8)?;
        let mut value = b(a, 0).to_vec();
        match int(a, 2) {
            0 => value[at / 8] &= !(1 << (at % 8)),
            1 => value[at / 8] |= 1 << (at % 8),
            _ => return Err(invalid("new bit must be 0 or 1")),
        }
        bytes(value)
    }),
];

pub const CODES: &[(&str, ScalarFn)] = &[
    ("md5_text", |_, a| text(hex(&digest::<Md5>(a[0].as_str().as_bytes())?))),
    ("md5_bytea", |_, a| text(hex(&digest::<Md5>(b(a, 0))?))),
    ("sha224_bytea", |_, a| bytes(digest::<Sha224>(b(a, 0))?.as_slice())),
    ("sha256_bytea", |_, a| bytes(digest::<Sha256>(b(a, 0))?.as_slice())),
    ("sha384_bytea", |_, a| bytes(digest::<Sha384>(b(a, 0))?.as_slice())),
    ("sha512_bytea", |_, a| bytes(digest::<Sha512>(b(a, 0))?.as_slice())),
    ("binary_encode", |_, a| encode(b(a, 0), a[1].as_str())),
    ("binary_decode", |_, a| decode(a[0].as_str(), a[1].as_str())),
    ("pg_convert_from", |_, a| text(encoding(a[1].as_str(), "source")?.decode(b(a, 0))?)),
    ("pg_convert_to", |_, a| bytes(encoding(a[1].as_str(), "destination")?.encode(a[0].as_str())?)),
    ("pg_convert", |_, a| {
        let (from, to) = (encoding(a[1].as_str(), "source")?, encoding(a[2].as_str(), "destination")?);
        bytes(from.convert(b(a, 0), to)?)
    }),
    ("length_in_encoding", |_, a| count(encoding(a[1].as_str(), "source")?.length(b(a, 0))?)),
];

/// A byte that goes into a digest.
const DIGEST_WORK: usize = 4;

fn digest<D: Digest>(value: &[u8]) -> Result<Output<D>> {
    let mut digest = D::new();
    for piece in stop::pieces(value, DIGEST_WORK) {
        digest.update(piece?);
    }
    Ok(digest.finalize())
}

fn hex(value: &[u8]) -> String {
    let mut out = Vec::new();
    bytea::write_hex(value, &mut out);
    crate::io::into_string(out)
}

/// An index from 0 in something of `size` (2202E).
fn index(at: i64, size: usize) -> Result<usize> {
    match usize::try_from(at) {
        Ok(index) if index < size => Ok(index),
        _ => Err(SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            format!("index {at} out of valid range, 0..{}", size as i64 - 1),
        )),
    }
}

fn substring(value: &[u8], start: i32, length: Option<i32>) -> Result<&[u8]> {
    let begin = i64::from(start);
    let end = match length {
        None => i64::MAX,
        Some(length) if length < 0 => return Err(negative_length()),
        Some(length) => begin + i64::from(length),
    };
    let size = value.len() as i64;
    let (from, to) = ((begin.max(1) - 1).min(size), (end.max(1) - 1).min(size));
    Ok(value.get(from as usize..to as usize).unwrap_or_default())
}

fn overlay(value: &[u8], new: &[u8], start: i32, length: i32) -> Result<Datum> {
    if start <= 0 {
        return Err(negative_length());
    }
    let behind = start
        .checked_add(length)
        .ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?;
    let parts = [substring(value, 1, Some(start - 1))?, new, substring(value, behind, None)?];
    check_size(parts.iter().map(|part| part.len()).sum())?;
    bytes(parts.concat())
}

fn trim<'a>(mut value: &'a [u8], set: &[u8], at_start: bool, at_end: bool) -> Result<&'a [u8]> {
    while let (true, [first, rest @ ..]) = (at_start, value) {
        stop::spent(1 + set.len())?;
        if !set.contains(first) {
            break;
        }
        value = rest;
    }
    while let (true, [rest @ .., last]) = (at_end, value) {
        stop::spent(1 + set.len())?;
        if !set.contains(last) {
            break;
        }
        value = rest;
    }
    Ok(value)
}

/// 22023 for names that PostgreSQL does not know either.
fn encoding(name: &str, which: &str) -> Result<Encoding> {
    Encoding::by_name(name).ok_or_else(|| invalid(format!("invalid {which} encoding name \"{name}\"")))
}

fn unknown_encoding(name: &str) -> SqlError {
    invalid(format!("unrecognized encoding: \"{name}\""))
}

fn encode(value: &[u8], format: &str) -> Result<Datum> {
    // Escaping takes four characters a byte at most.
    check_size(value.len().saturating_mul(2))?;
    match format.to_ascii_lowercase().as_str() {
        "hex" => encoded(value, bytea::write_hex),
        "escape" => encoded(value, |piece, out| piece.iter().for_each(|byte| escape(*byte, out))),
        "base64" => {
            let mut is_first = true;
            encoded(value, |piece, out| {
                let mut line = [0; BASE64_LINE];
                for part in piece.chunks(BASE64_LINE / 4 * 3) {
                    if !std::mem::take(&mut is_first) {
                        out.push(b'\n');
                    }
                    let size = STANDARD.encode_slice(part, &mut line).unwrap_or_default();
                    out.extend_from_slice(&line[..size]);
                }
            })
        }
        _ => Err(unknown_encoding(format)),
    }
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        0 | 0x80.. => out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]),
        b'\\' => out.extend_from_slice(b"\\\\"),
        _ => out.push(byte),
    }
}

/// A text that is made of pieces, each of whole lines of base64.
fn encoded(value: &[u8], mut encode: impl FnMut(&[u8], &mut Vec<u8>)) -> Result<Datum> {
    let mut out = EcoString::with_capacity(value.len().saturating_mul(4) / 3);
    let mut made = Vec::new();
    for piece in value.chunks(BASE64_LINE / 4 * 3 * LINES_TOGETHER) {
        stop::spent(piece.len() * strings::CHAR_WORK)?;
        made.clear();
        encode(piece, &mut made);
        out.push_str(&String::from_utf8_lossy(&made));
    }
    stop::whole()?;
    strings::text(out)
}

fn decode(value: &str, format: &str) -> Result<Datum> {
    bytes(match format.to_ascii_lowercase().as_str() {
        "hex" => bytea::parse_hex(value)?,
        "escape" => bytea::parse_escape(value)?,
        "base64" => decode_base64(value)?,
        _ => return Err(unknown_encoding(format)),
    })
}

/// Base64 with white space anywhere, as PostgreSQL reads it.
fn decode_base64(value: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(value.len() / 4 * 3);
    let (mut buffer, mut position, mut padding) = (0_u32, 0, 0);
    for c in value.chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
        stop::spent(strings::CHAR_WORK)?;
        let digit = match c {
            'A'..='Z' => u32::from(c) - 65,
            'a'..='z' => u32::from(c) - 71,
            '0'..='9' => u32::from(c) + 4,
            '+' => 62,
            '/' => 63,
            '=' => {
                // Padding closes a group of four, and only its last two places.
                if padding == 0 {
                    padding = match position {
                        2 => 1,
                        3 => 2,
                        _ => return Err(invalid("unexpected \"=\" while decoding base64 sequence")),
                    };
                }
                0
            }
            _ => return Err(invalid(format!("invalid symbol \"{c}\" found while decoding base64 sequence"))),
        };
        buffer = buffer << 6 | digit;
        position += 1;
        if position == 4 {
            let [_, first, second, third] = buffer.to_be_bytes();
            out.push(first);
            if padding == 0 || padding > 1 {
                out.push(second);
            }
            if padding == 0 || padding > 2 {
                out.push(third);
            }
            (buffer, position) = (0, 0);
        }
    }
    if position == 0 {
        return Ok(out);
    }
    Err(invalid("invalid base64 end sequence")
        .hint("Input data is missing padding, is truncated, or is otherwise corrupted."))
}
