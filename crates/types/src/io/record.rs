//! Text and binary forms of rows: `(1,"a b",)`.

use super::{TEXT_FORM_MAX, fixed, insufficient};
use crate::{Datum, FormatSettings, Record, Result, SqlError, SqlState, SqlType, stop};
use ecow::EcoString;
use std::sync::Arc;

/// Appends `(…)`. Quotes double with each level of nesting: what becomes longer than [`TEXT_FORM_MAX`] is cut, and a caller that
/// looks at the length refuses it.
pub fn output(record: &Record, format: &FormatSettings, out: &mut Vec<u8>) {
    out.push(b'(');
    let mut text = Vec::new();
    for (index, value) in record.values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if value.is_null() {
            continue;
        }
        text.clear();
        let ty = record.types.get(index).copied().unwrap_or(SqlType::TEXT);
        super::output(ty, value, format, &mut text);
        if stop::cut_short(text.len()) || out.len() > TEXT_FORM_MAX || text.len() > TEXT_FORM_MAX {
            return out.append(&mut text);
        }
        let needs_quotes = text.is_empty()
            || text
                .iter()
                .any(|b| matches!(b, b'"' | b'\\' | b'(' | b')' | b',') || b.is_ascii_whitespace() || *b == 11);
        if !needs_quotes {
            out.extend_from_slice(&text);
            continue;
        }
        out.push(b'"');
        for byte in &text {
            if matches!(byte, b'"' | b'\\') {
                out.push(*byte);
            }
            out.push(*byte);
        }
        out.push(b'"');
    }
    out.push(b')');
}

/// Reads a row of known column types. `parse` makes a column's value from its text.
pub fn input(
    types: &[SqlType],
    names: &[EcoString],
    text: &str,
    parse: &mut dyn FnMut(SqlType, &str) -> Result<Datum>,
) -> Result<Datum> {
    let malformed = |detail: &str| {
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed record literal: \"{text}\""))
            .detail(detail)
    };
    let inside = text.trim_start().strip_prefix('(').ok_or_else(|| malformed("Missing left parenthesis."))?;
    let mut chars = inside.chars().peekable();
    let mut values = Vec::with_capacity(types.len());
    for (index, ty) in types.iter().enumerate() {
        if index > 0 && chars.next_if_eq(&',').is_none() {
            return Err(malformed("Too few columns."));
        }
        if matches!(chars.peek(), Some(',' | ')')) {
            values.push(Datum::Null);
            continue;
        }
        let mut part = String::new();
        let mut is_quoted = false;
        loop {
            let Some(&c) = chars.peek() else { return Err(malformed("Unexpected end of input.")) };
            if !is_quoted && matches!(c, ',' | ')') {
                break;
            }
            chars.next();
            match c {
                '\\' => part.push(chars.next().ok_or_else(|| malformed("Unexpected end of input."))?),
                '"' if !is_quoted => is_quoted = true,
                '"' if chars.next_if_eq(&'"').is_some() => part.push('"'),
                '"' => is_quoted = false,
                other => part.push(other),
            }
        }
        values.push(parse(*ty, &part)?);
    }
    match chars.next() {
        Some(')') => {}
        Some(',') => return Err(malformed("Too many columns.")),
        _ if types.is_empty() => return Err(malformed("Too many columns.")),
        _ => return Err(malformed("Unexpected end of input.")),
    }
    if chars.any(|c| !c.is_ascii_whitespace()) {
        return Err(malformed("Junk after right parenthesis."));
    }
    Ok(Datum::Record(Arc::new(Record { types: types.to_vec(), names: names.to_vec(), values })))
}

/// `[columns i32]` and for each `[type oid][length i32, -1 for NULL][bytes]`.
pub fn send(record: &Record, format: &FormatSettings, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&(record.values.len() as i32).to_be_bytes());
    for (index, value) in record.values.iter().enumerate() {
        let ty = record.types.get(index).copied().unwrap_or(SqlType::TEXT);
        out.extend_from_slice(&ty.oid.to_be_bytes());
        super::array::send_sized(ty, value, format, out)?;
    }
    Ok(())
}

/// Reads a row of known column types.
pub fn receive(types: &[SqlType], names: &[EcoString], bytes: &[u8], format: &FormatSettings) -> Result<Datum> {
    let mut rest = bytes;
    let mut take = |count: usize| {
        let (head, tail) = rest.split_at_checked(count).ok_or_else(insufficient)?;
        rest = tail;
        Ok::<&[u8], SqlError>(head)
    };
    let columns = i32::from_be_bytes(fixed(take(4)?)?);
    if usize::try_from(columns).ok() != Some(types.len()) {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("wrong number of columns: {columns}, expected {}", types.len()),
        ));
    }
    let mut values = Vec::with_capacity(types.len());
    for (index, ty) in types.iter().enumerate() {
        let oid = u32::from_be_bytes(fixed(take(4)?)?);
        if oid != ty.oid {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "binary data has type {oid} ({}) instead of expected {} ({}) in record column {}",
                    crate::typename::format_type(oid, None),
                    ty.oid,
                    crate::typename::display(*ty),
                    index + 1
                ),
            ));
        }
        let size = i32::from_be_bytes(fixed(take(4)?)?);
        values.push(match usize::try_from(size) {
            Ok(size) => super::receive(*ty, take(size)?, format)?,
            Err(_) if size == -1 => Datum::Null,
            Err(_) => return Err(insufficient()),
        });
    }
    if !rest.is_empty() {
        return Err(SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "improper binary format in record"));
    }
    Ok(Datum::Record(Arc::new(Record { types: types.to_vec(), names: names.to_vec(), values })))
}
