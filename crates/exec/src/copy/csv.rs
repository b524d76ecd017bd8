//! The CSV format: quotes, doubled or escaped; NULL is an unquoted null string.

use super::error::bad_format;
use super::fields::Fields;
use sql::utility::CopyFormat;
use types::Result;

/// Cuts a line into fields.
pub(super) fn parse(line: &[u8], format: &CopyFormat, fields: &mut Fields) -> Result<()> {
    fields.clear();
    let null = format.null.as_bytes();
    let (quote, escape) = (format.quote, format.escape);
    let mut at = 0;
    loop {
        let (start, mut was_quoted, mut in_quotes) = (fields.bytes.len(), false, false);
        let ended = loop {
            let Some(byte) = line.get(at).copied() else { break true };
            at += 1;
            match byte {
                _ if in_quotes && byte == escape && matches!(line.get(at), Some(b) if *b == quote || *b == escape) => {
                    fields.bytes.extend(line.get(at));
                    at += 1;
                }
                _ if byte == quote => {
                    in_quotes = !in_quotes;
                    was_quoted = true;
                }
                _ if byte == format.delimiter && !in_quotes => break false,
                _ => fields.bytes.push(byte),
            }
        };
        if in_quotes {
            return Err(bad_format("unterminated CSV quoted field"));
        }
        let index = fields.len();
        let option = |list: &[bool]| list.get(index).copied().unwrap_or(false);
        let is_null_text = fields.bytes.get(start..) == Some(null);
        let is_null = match was_quoted {
            false => is_null_text && !option(&format.force_not_null),
            true => is_null_text && option(&format.force_null),
        };
        fields.close(is_null);
        if ended {
            return Ok(());
        }
    }
}

/// Appends a value, quoted where it must be.
pub(super) fn write(value: &[u8], format: &CopyFormat, force: bool, is_single: bool, out: &mut Vec<u8>) {
    let needs = |b: &u8| *b == format.delimiter || *b == format.quote || *b == b'\n' || *b == b'\r';
    let quoted = force
        || value == format.null.as_bytes()
        || value.iter().any(needs)
        // Alone on its line it would end the data.
        || (is_single && value == b"\\.");
    if !quoted {
        return out.extend_from_slice(value);
    }
    out.push(format.quote);
    for byte in value {
        if *byte == format.quote || *byte == format.escape {
            out.push(format.escape);
        }
        out.push(*byte);
    }
    out.push(format.quote);
}
