//! The text format: fields between delimiters, backslash escapes, `\N` for NULL.

use super::fields::Fields;
use sql::utility::CopyFormat;

/// Cuts a line into fields and undoes the escapes.
pub(super) fn parse(line: &[u8], format: &CopyFormat, fields: &mut Fields) {
    fields.clear();
    let null = format.null.as_bytes();
    let mut rest = line;
    loop {
        let (raw, is_last) = take_field(&mut rest, format.delimiter, fields);
        // NULL is what is written, before escapes.
        fields.close(raw == null);
        if is_last {
            return;
        }
    }
}

/// Appends one field's bytes; gives it as it is written, and whether the line ended with it.
fn take_field<'l>(rest: &mut &'l [u8], delimiter: u8, fields: &mut Fields) -> (&'l [u8], bool) {
    let line = *rest;
    let mut at = 0;
    loop {
        let plain = line.get(at..).unwrap_or_default();
        let stop = plain.iter().position(|b| *b == delimiter || *b == b'\\');
        let Some(stop) = stop else {
            fields.bytes.extend_from_slice(plain);
            *rest = &[];
            return (line, true);
        };
        fields.bytes.extend_from_slice(plain.get(..stop).unwrap_or_default());
        at += stop;
        if line.get(at) == Some(&delimiter) {
            *rest = line.get(at + 1..).unwrap_or_default();
            return (line.get(..at).unwrap_or_default(), false);
        }
        at += 1 + unescape(line.get(at + 1..).unwrap_or_default(), &mut fields.bytes);
    }
}

/// Appends what stands for the bytes behind a backslash; how many of them are used.
fn unescape(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(first) = rest.first().copied() else {
        // A backslash at the end stands for itself.
        out.push(b'\\');
        return 0;
    };
    let digit = |at: usize, radix: u32| rest.get(at).and_then(|b| char::from(*b).to_digit(radix));
    match first {
        b'b' => out.push(0x08),
        b'f' => out.push(0x0c),
        b'n' => out.push(b'\n'),
        b'r' => out.push(b'\r'),
        b't' => out.push(b'\t'),
        b'v' => out.push(0x0b),
        b'0'..=b'7' => {
            let (mut value, mut used) = (0, 0);
            while used < 3
                && let Some(d) = digit(used, 8)
            {
                value = value * 8 + d;
                used += 1;
            }
            out.push((value & 0xff) as u8);
            return used;
        }
        b'x' if digit(1, 16).is_some() => {
            let (mut value, mut used) = (0, 1);
            while used < 3
                && let Some(d) = digit(used, 16)
            {
                value = value * 16 + d;
                used += 1;
            }
            out.push((value & 0xff) as u8);
            return used;
        }
        other => out.push(other),
    }
    1
}

/// Appends a value with what would end it escaped.
pub(super) fn write(value: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x0b => out.extend_from_slice(b"\\v"),
            byte if *byte == delimiter => out.extend_from_slice(&[b'\\', *byte]),
            byte => out.push(*byte),
        }
    }
}
