//! Types whose value is a text: length rules of varchar and bpchar, truncation of names.

use crate::stop::{cut_text, text_pieces};
use crate::{Datum, Result, SqlError, SqlState, SqlType, oid};
use ecow::EcoString;

/// Bytes of a `name`; longer ones are cut at a character.
pub const NAME_SIZE_MAX: usize = 63;

/// Bytes that are made at once.
const BLOCK: usize = 1 << 16;
/// Characters from which they are counted, not looked at.
const COUNTED_FROM: usize = 256;

/// The typmod of `varchar(n)` and `char(n)` is n + 4.
const LENGTH_OFFSET: i32 = 4;

/// `n` of varchar(n) or char(n), if there is one.
pub fn declared_length(ty: SqlType) -> Option<usize> {
    if ty.typmod < LENGTH_OFFSET { None } else { usize::try_from(ty.typmod - LENGTH_OFFSET).ok() }
}

pub(super) fn input(ty: SqlType, text: &str) -> Result<Datum> {
    Ok(Datum::Text(match ty.oid {
        oid::VARCHAR => varchar(text, declared_length(ty), false)?,
        oid::BPCHAR => bpchar(text, declared_length(ty), false)?,
        oid::NAME => EcoString::from(truncate_name(text)),
        oid::CHAR => char_type(text)?,
        _ => EcoString::from(text),
    }))
}

/// Where the first `count` characters end, or None if there are no more than that.
pub fn end_of_chars(text: &str, count: usize) -> Option<usize> {
    // Enough room whatever the characters are: the usual case, without counting.
    if text.len() <= count {
        return None;
    }
    // Counting is many times faster than looking at each.
    let (mut at, mut left, mut rest) = (0, count, text);
    while let Some((piece, behind)) = cut_text(rest).filter(|_| left >= COUNTED_FROM) {
        let chars = piece.chars().count();
        if chars > left {
            break;
        }
        (at, left, rest) = (at + piece.len(), left - chars, behind);
    }
    rest.char_indices().nth(left).map(|(place, _)| at + place)
}

/// Appends a text, which may be long.
pub(crate) fn push(out: &mut EcoString, part: &str) -> Result<()> {
    text_pieces(part, 1).try_for_each(|piece| piece.map(|piece| out.push_str(piece)))
}

/// Appends a text so many times.
pub(crate) fn push_repeated(out: &mut EcoString, part: &str, times: usize) -> Result<()> {
    if part.is_empty() || times == 0 {
        return Ok(());
    }
    let together = (BLOCK / part.len()).clamp(1, times);
    let block = part.repeat(together);
    for _ in 0..times / together {
        push(out, &block)?;
    }
    push(out, &block[..times % together * part.len()])
}

/// Cuts to `length` characters. What is cut must be blanks, unless the cast is explicit (22001).
pub fn varchar(text: &str, length: Option<usize>, is_explicit: bool) -> Result<EcoString> {
    let Some(length) = length else { return Ok(EcoString::from(text)) };
    let Some(end) = end_of_chars(text, length) else { return Ok(EcoString::from(text)) };
    let (kept, cut) = text.split_at(end);
    if !is_explicit && cut.bytes().any(|b| b != b' ') {
        return Err(too_long("character varying", length));
    }
    Ok(EcoString::from(kept))
}

/// Cuts or pads to `length` characters, as `varchar` does.
pub fn bpchar(text: &str, length: Option<usize>, is_explicit: bool) -> Result<EcoString> {
    let Some(length) = length else { return Ok(EcoString::from(text)) };
    if let Some(end) = end_of_chars(text, length) {
        let (kept, cut) = text.split_at(end);
        if !is_explicit && cut.bytes().any(|b| b != b' ') {
            return Err(too_long("character", length));
        }
        return Ok(EcoString::from(kept));
    }
    let missing = length - text.chars().count();
    if missing == 0 {
        return Ok(EcoString::from(text));
    }
    let mut padded = EcoString::with_capacity(text.len() + missing);
    push(&mut padded, text)?;
    push_repeated(&mut padded, " ", missing)?;
    Ok(padded)
}

#[cold]
fn too_long(type_name: &str, length: usize) -> SqlError {
    SqlError::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, format!("value too long for type {type_name}({length})"))
}

/// The first 63 bytes, whole characters.
pub fn truncate_name(text: &str) -> &str {
    let mut end = text.len().min(NAME_SIZE_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// `"char"`: one byte. PostgreSQL keeps the first byte of any text, which would cut a character that has more.
pub fn char_type(text: &str) -> Result<EcoString> {
    match text.chars().next() {
        None => Ok(EcoString::new()),
        Some(c) if c.is_ascii() => Ok(EcoString::from(text.get(..1).unwrap_or_default())),
        Some(_) => Err(SqlError::unsupported("values of type \"char\" beyond ASCII are not supported")),
    }
}
