//! `json` kept as text: finding parts of it without building anything.
//!
//! The text was checked when it became a json, so the walk here only has to find ends: strings, brackets, commas. On a
//! text that is not JSON it finds nonsense or nothing, but does not panic.

use super::Kind;
use std::borrow::Cow;

/// A JSON value's text, without the space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonText<'a>(&'a str);

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

impl<'a> JsonText<'a> {
    pub fn new(text: &'a str) -> JsonText<'a> {
        JsonText(trim(text))
    }

    pub fn as_str(self) -> &'a str {
        self.0
    }

    pub fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        }
    }

    /// What `->>` gives: a string resolved, NULL (None) for null, the text of others.
    pub fn to_sql_text(self) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::Null => None,
            Kind::String => Some(resolve(self.0)),
            _ => Some(Cow::Borrowed(self.0)),
        }
    }

    /// The parts of an array's or object's inside, split at its own commas.
    fn parts(self, open: u8) -> Parts<'a> {
        let bytes = self.0.as_bytes();
        let is_container = bytes.first() == Some(&open) && bytes.len() >= 2;
        let inside = if is_container { trim(self.0.get(1..self.0.len() - 1).unwrap_or_default()) } else { "" };
        Parts { rest: inside }
    }

    /// Elements of an array; nothing for others.
    pub fn elements(self) -> impl Iterator<Item = JsonText<'a>> {
        self.parts(b'[').map(JsonText::new)
    }

    /// Members of an object in written order, duplicates included; nothing for others.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, str>, JsonText<'a>)> {
        self.parts(b'{').filter_map(|part| {
            let part = trim(part);
            let end = string_end(part.as_bytes(), 0);
            let value = part.get(end..)?.trim_start_matches([' ', '\t', '\n', '\r']).strip_prefix(':')?;
            Some((resolve(part.get(..end)?), JsonText::new(value)))
        })
    }

    /// The member of that name; of duplicates the last.
    pub fn get(self, key: &str) -> Option<JsonText<'a>> {
        self.members().filter(|(name, _)| name == key).last().map(|(_, value)| value)
    }

    /// An element; negative counts from the end.
    pub fn element(self, index: i64) -> Option<JsonText<'a>> {
        let index = if index < 0 { index.checked_add(self.elements().count() as i64)? } else { index };
        self.elements().nth(usize::try_from(index).ok()?)
    }
}

/// Splits at commas that are in no string and no inner bracket.
struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;
    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = self.rest.as_bytes();
        let (mut at, mut depth) = (0_usize, 0_usize);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    at = string_end(bytes, at);
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' if depth == 0 => {
                    let part = &self.rest[..at];
                    self.rest = &self.rest[at + 1..];
                    return Some(part);
                }
                _ => {}
            }
            at += 1;
        }
        Some(std::mem::take(&mut self.rest))
    }
}

/// Behind the closing quote of the string that starts at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The value of a string's text, quotes included. A lone surrogate, which json text may hold, becomes U+FFFD.
fn resolve(quoted: &str) -> Cow<'_, str> {
    let inside = quoted.strip_prefix('"').and_then(|s| s.strip_suffix('"')).unwrap_or(quoted);
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    let mut out = String::with_capacity(inside.len());
    let mut units: Vec<u16> = Vec::new();
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            flush_units(&mut units, &mut out);
            out.push(c);
            continue;
        }
        let Some(escape) = chars.next() else { break };
        if escape == 'u' {
            let digits: String = chars.by_ref().take(4).collect();
            units.push(u16::from_str_radix(&digits, 16).unwrap_or(0xfffd));
            continue;
        }
        flush_units(&mut units, &mut out);
        out.push(match escape {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            other => other,
        });
    }
    flush_units(&mut units, &mut out);
    Cow::Owned(out)
}

fn flush_units(units: &mut Vec<u16>, out: &mut String) {
    if !units.is_empty() {
        out.extend(char::decode_utf16(units.drain(..)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
}

/// Appends a string as JSON, quoted and escaped as PostgreSQL escapes.
pub fn write_string(value: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = value.as_bytes();
    let mut run = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            8 => b"\\b",
            12 => b"\\f",
            0..0x20 => b"\\u00",
            _ => continue,
        };
        out.extend_from_slice(&bytes[run..at]);
        out.extend_from_slice(escape);
        if escape.len() == 4 {
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
        run = at + 1;
    }
    out.extend_from_slice(&bytes[run..]);
    out.push(b'"');
}
