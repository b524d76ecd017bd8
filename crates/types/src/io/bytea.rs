//! `bytea`: hexadecimal and escape formats.

use super::invalid_input;
use crate::context::ByteaOutput;
use crate::{Result, SqlError, SqlState, stop};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Bytes that are written at once, and what one takes to be read or written.
const PIECE: usize = 1 << 14;
const BYTE_WORK: usize = 4;

/// Reads either format: `\x` begins hexadecimal.
pub fn parse(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix("\\x") {
        Some(digits) => parse_hex(digits),
        None => parse_escape(text),
    }
}

/// Pairs of hexadecimal digits, white space between pairs (22023).
pub fn parse_hex(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut chars = text.chars();
    while let Some(first) = chars.next() {
        stop::spent(BYTE_WORK)?;
        if matches!(first, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = hex_digit(first)?;
        let Some(second) = chars.next() else {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "invalid hexadecimal data: odd number of digits",
            ));
        };
        out.push(high << 4 | hex_digit(second)?);
    }
    Ok(out)
}

fn hex_digit(c: char) -> Result<u8> {
    match c.to_digit(16) {
        Some(digit) => Ok(digit as u8),
        None => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid hexadecimal digit: \"{c}\""))),
    }
}

/// `\\` and `\ooo`; everything else stands for itself (22P02).
pub fn parse_escape(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        stop::spent(BYTE_WORK)?;
        match rest {
            [] => return Ok(out),
            [b'\\', b'\\', more @ ..] => {
                out.push(b'\\');
                rest = more;
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', more @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = more;
            }
            [b'\\', ..] => {
                let error = invalid_input("bytea", text);
                return Err(SqlError::new(error.code(), "invalid input syntax for type bytea"));
            }
            [byte, more @ ..] => {
                out.push(*byte);
                rest = more;
            }
        }
    }
}

/// Appends hexadecimal digits, as far as the statement is wanted.
pub fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() * 2);
    for byte in wanted_bytes(bytes) {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

/// The bytes, as long as the statement is wanted.
fn wanted_bytes(bytes: &[u8]) -> impl Iterator<Item = &u8> {
    bytes.chunks(PIECE).take_while(|piece| !stop::cut_short(piece.len() * BYTE_WORK)).flatten()
}

/// Appends the escape format, as far as the statement is wanted: backslash doubled, bytes outside printable ASCII as `\ooo`.
pub fn write_escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in wanted_bytes(bytes) {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..0x7f => out.push(*byte),
            _ => out.extend_from_slice(&[b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]),
        }
    }
}

pub fn write(bytes: &[u8], style: ByteaOutput, out: &mut Vec<u8>) {
    match style {
        ByteaOutput::Hex => {
            out.extend_from_slice(b"\\x");
            write_hex(bytes, out);
        }
        ByteaOutput::Escape => write_escape(bytes, out),
    }
}
