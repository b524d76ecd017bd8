//! Functions of strings that count, cut, pad and map characters. Positions and lengths are in characters, from 1.
//!
//! Upper and lower case, and what is a letter, are those of the C locale: ASCII alone.

use super::{ScalarFn, arg_type};
use crate::io::strings::{
    bpchar, char_type, declared_length, end_of_chars, push, push_repeated, truncate_name, varchar,
};
use crate::{CallContext, Datum, Result, SqlError, SqlState, SqlType, io, oid, stop};
use ecow::EcoString;

/// Bytes of a string that a function makes: what a client could never fetch nor a row hold is refused before it is made.
pub const STRING_SIZE_MAX: usize = 256 << 20;

/// A character that is looked up in a set.
const SEARCH_WORK: usize = 8;
/// Bytes that are searched at once.
const BLOCK: usize = 1 << 16;
/// A byte whose character is looked at by itself.
pub(super) const CHAR_WORK: usize = 4;

/// A copy of a text, which may be long.
fn copied(value: &str) -> Result<Datum> {
    joined(&[value])
}

/// The parts in a row.
pub(super) fn joined(parts: &[&str]) -> Result<Datum> {
    let size = parts.iter().map(|part| part.len()).sum();
    check_size(size)?;
    let mut out = EcoString::with_capacity(size);
    parts.iter().try_for_each(|part| push(&mut out, part))?;
    Ok(Datum::Text(out))
}

/// A text made from another's pieces, in order.
pub(super) fn mapped(value: &str, mut map: impl FnMut(&str, &mut String)) -> Result<EcoString> {
    let mut out = EcoString::with_capacity(value.len());
    let mut made = String::new();
    for piece in stop::text_pieces(value, CHAR_WORK) {
        made.clear();
        map(piece?, &mut made);
        out.push_str(&made);
    }
    Ok(out)
}

/// Where a text stands in another, in bytes, from the left; no two places overlap. An empty one stands nowhere.
pub(super) fn places_of<'v>(part: &'v str, value: &'v str) -> impl Iterator<Item = Result<usize>> {
    // A stretch of the value that is searched, where it starts, and where the next may start.
    let mut stretch = "".match_indices(part);
    let (mut start, mut next, mut is_last) = (0, 0, part.is_empty());
    std::iter::from_fn(move || {
        loop {
            if let Some((place, _)) = stretch.next().filter(|_| !part.is_empty()) {
                next = next.max(start + place + part.len());
                return Some(stop::spent(SEARCH_WORK).map(|()| start + place));
            }
            if is_last {
                return None;
            }
            start = next;
            let rest = &value[start..];
            // What lies across the end of a stretch is found in the next.
            let size = end_from(rest, BLOCK.max(part.len()) + part.len());
            is_last = size == rest.len();
            next = start + end_from(rest, size - part.len().min(size));
            stretch = rest[..size].match_indices(part);
            if let Err(error) = stop::spent(size) {
                return Some(Err(error));
            }
        }
    })
}

/// The last end of a character at or before `at`.
fn end_from(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

pub(super) fn text(value: impl Into<EcoString>) -> Result<Datum> {
    Ok(Datum::Text(value.into()))
}

pub(super) fn count(value: usize) -> Result<Datum> {
    Ok(Datum::Int4(i32::try_from(value).unwrap_or(i32::MAX)))
}

pub(super) fn int(args: &[Datum], index: usize) -> i32 {
    args[index].as_i64() as i32
}

fn s(args: &[Datum], index: usize) -> &str {
    args[index].as_str()
}

#[cold]
pub(super) fn too_large() -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

#[cold]
pub(super) fn negative_length() -> SqlError {
    SqlError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed")
}

/// 54000 before a string of `size` bytes is made.
pub(super) fn check_size(size: usize) -> Result<()> {
    if size > STRING_SIZE_MAX { Err(too_large()) } else { Ok(()) }
}

pub const LENGTHS: &[(&str, ScalarFn)] = &[
    ("textlen", |_, a| count(s(a, 0).chars().count())),
    ("bpcharlen", |_, a| count(without_blanks(s(a, 0)).chars().count())),
    ("textoctetlen", |_, a| count(s(a, 0).len())),
    ("bpcharoctetlen", |_, a| count(s(a, 0).len())),
    ("bit_length(text)", |_, a| count(s(a, 0).len() * 8)),
    ("ascii", |_, a| Ok(Datum::Int4(s(a, 0).chars().next().map_or(0, |c| u32::from(c) as i32)))),
    ("chr", |_, a| chr(int(a, 0))),
];

pub const CUTS: &[(&str, ScalarFn)] = &[
    ("text_substr", |_, a| copied(substring(s(a, 0), int(a, 1), Some(int(a, 2)))?)),
    ("text_substr_no_len", |_, a| copied(substring(s(a, 0), int(a, 1), None)?)),
    ("textoverlay", |_, a| overlay(s(a, 0), s(a, 1), int(a, 2), int(a, 3))),
    ("textoverlay_no_len", |_, a| overlay(s(a, 0), s(a, 1), int(a, 2), s(a, 1).chars().count() as i32)),
    ("textpos", |_, a| {
        let place = if s(a, 1).is_empty() { Some(0) } else { places_of(s(a, 1), s(a, 0)).next().transpose()? };
        count(place.map_or(0, |at| s(a, 0)[..at].chars().count() + 1))
    }),
    ("text_left", |_, a| copied(left(s(a, 0), int(a, 1)))),
    ("text_right", |_, a| copied(right(s(a, 0), int(a, 1)))),
    ("split_part", |_, a| split_part(s(a, 0), s(a, 1), int(a, 2))),
    ("btrim", |_, a| copied(trim(s(a, 0), s(a, 1), true, true)?)),
    ("btrim1", |_, a| copied(trim(s(a, 0), " ", true, true)?)),
    ("ltrim", |_, a| copied(trim(s(a, 0), s(a, 1), true, false)?)),
    ("ltrim1", |_, a| copied(trim(s(a, 0), " ", true, false)?)),
    ("rtrim", |_, a| copied(trim(s(a, 0), s(a, 1), false, true)?)),
    ("rtrim1", |_, a| copied(without_blanks(s(a, 0)))),
    ("text_starts_with", |_, a| Ok(Datum::Bool(s(a, 0).starts_with(s(a, 1))))),
];

pub const MAPS: &[(&str, ScalarFn)] = &[
    ("upper", |_, a| text(in_case(s(a, 0), str::make_ascii_uppercase)?)),
    ("lower", |_, a| text(in_case(s(a, 0), str::make_ascii_lowercase)?)),
    ("initcap", |_, a| text(initcap(s(a, 0))?)),
    ("text_reverse", |_, a| reverse(s(a, 0))),
    ("replace_text", |_, a| replace(s(a, 0), s(a, 1), s(a, 2))),
    ("translate", |_, a| translate(s(a, 0), s(a, 1), s(a, 2))),
    ("lpad", |_, a| pad(s(a, 0), int(a, 1), s(a, 2), true)),
    ("lpad(text,int4)", |_, a| pad(s(a, 0), int(a, 1), " ", true)),
    ("rpad", |_, a| pad(s(a, 0), int(a, 1), s(a, 2), false)),
    ("rpad(text,int4)", |_, a| pad(s(a, 0), int(a, 1), " ", false)),
    ("repeat", |_, a| {
        let times = usize::try_from(int(a, 1)).unwrap_or(0);
        let size = s(a, 0).len().checked_mul(times).ok_or_else(too_large)?;
        check_size(size)?;
        let mut out = EcoString::with_capacity(size);
        push_repeated(&mut out, s(a, 0), times)?;
        text(out)
    }),
    ("textcat", |_, a| joined(&[s(a, 0), s(a, 1)])),
    ("anytextcat(anynonarray,text)", |c, a| joined(&[&cast_to_text(c, a, 0)?, s(a, 1)])),
    ("textanycat(text,anynonarray)", |c, a| joined(&[s(a, 0), &cast_to_text(c, a, 1)?])),
];

pub const CASTS: &[(&str, ScalarFn)] = &[
    ("name_text", |_, a| Ok(a[0].clone())),
    ("text_name", |_, a| text(truncate_name(s(a, 0)))),
    ("name_bpchar", |_, a| Ok(a[0].clone())),
    ("bpchar_name", |_, a| text(without_blanks(truncate_name(s(a, 0))))),
    ("char_bpchar", |_, a| Ok(a[0].clone())),
    ("char_text", |_, a| Ok(a[0].clone())),
    ("text_char", |_, a| Ok(Datum::Text(char_type(s(a, 0))?))),
    ("chartoi4", |_, a| Ok(Datum::Int4(s(a, 0).bytes().next().map_or(0, |b| i32::from(b as i8))))),
    ("i4tochar", |_, a| char_from_int(int(a, 0))),
    ("bpchar", |_, a| {
        let length = declared_length(SqlType::with_typmod(oid::BPCHAR, int(a, 1)));
        Ok(Datum::Text(bpchar(s(a, 0), length, a[2].as_bool())?))
    }),
    ("varchar", |_, a| {
        let length = declared_length(SqlType::with_typmod(oid::VARCHAR, int(a, 1)));
        Ok(Datum::Text(varchar(s(a, 0), length, a[2].as_bool())?))
    }),
    ("nameconcatoid", |_, a| {
        let suffix = format!("_{}", a[1].as_oid());
        let room = io::strings::NAME_SIZE_MAX - suffix.len();
        let mut end = s(a, 0).len().min(room);
        while !s(a, 0).is_char_boundary(end) {
            end -= 1;
        }
        text(format!("{}{suffix}", &s(a, 0)[..end]))
    }),
];

/// `value::text`, which for a boolean is a word where its output is a letter.
fn cast_to_text(context: &CallContext<'_>, args: &[Datum], index: usize) -> Result<EcoString> {
    match &args[index] {
        Datum::Bool(true) => Ok("true".into()),
        Datum::Bool(false) => Ok("false".into()),
        _ => shown(context, args, index),
    }
}

/// Without the blanks at its end, which do not count in a bpchar.
pub(super) fn without_blanks(value: &str) -> &str {
    value.trim_end_matches(' ')
}

fn chr(code: i32) -> Result<Datum> {
    let limit = |message: String| SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message);
    let Ok(code) = u32::try_from(code) else {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "character number must be positive"));
    };
    match char::from_u32(code) {
        Some('\0') => Err(limit("null character not permitted".to_owned())),
        Some(c) => text(EcoString::from(c.encode_utf8(&mut [0; 4]) as &str)),
        None if code > 0x10_ffff => Err(limit(format!("requested character too large for encoding: {code}"))),
        None => Err(limit(format!("requested character not valid for encoding: {code}"))),
    }
}

fn char_from_int(value: i32) -> Result<Datum> {
    if !(i32::from(i8::MIN)..=i32::from(i8::MAX)).contains(&value) {
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "\"char\" out of range"));
    }
    match u8::try_from(value) {
        Ok(0) => text(""),
        Ok(byte) => text(EcoString::from(char::from(byte).encode_utf8(&mut [0; 4]) as &str)),
        Err(_) => Err(SqlError::unsupported("values of type \"char\" beyond ASCII are not supported")),
    }
}

/// Bytes `from` to `to` of the characters `start` (from 1, may be below) and `length` behind it. 22011 for a negative length.
pub(super) fn char_range(value: &str, start: i32, length: Option<i32>) -> Result<(usize, usize)> {
    let begin = i64::from(start);
    let end = match length {
        None => i64::MAX,
        Some(length) if length < 0 => return Err(negative_length()),
        Some(length) => begin + i64::from(length),
    };
    let skipped = usize::try_from(begin.max(1) - 1).unwrap_or(usize::MAX);
    let ended = usize::try_from(end.max(1) - 1).unwrap_or(usize::MAX);
    // One byte a character: positions are what they seem.
    if value.is_ascii() {
        let to = ended.min(value.len());
        return Ok((skipped.min(to), to));
    }
    let from = end_of_chars(value, skipped).unwrap_or(value.len());
    let to = end_of_chars(value, ended).unwrap_or(value.len());
    Ok((from.min(to), to))
}

fn substring(value: &str, start: i32, length: Option<i32>) -> Result<&str> {
    let (from, to) = char_range(value, start, length)?;
    Ok(&value[from..to])
}

fn overlay(value: &str, new: &str, start: i32, length: i32) -> Result<Datum> {
    if start <= 0 {
        return Err(negative_length());
    }
    let behind = start
        .checked_add(length)
        .ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?;
    let head = substring(value, 1, Some(start - 1))?;
    let tail = substring(value, behind, None)?;
    joined(&[head, new, tail])
}

/// The first `n` characters; all but the last `-n` for a negative one.
fn left(value: &str, n: i32) -> &str {
    let keep = match usize::try_from(n) {
        Ok(n) => n,
        Err(_) => value.chars().count().saturating_sub(n.unsigned_abs() as usize),
    };
    &value[..end_of_chars(value, keep).unwrap_or(value.len())]
}

/// The last `n` characters; all but the first `-n` for a negative one.
fn right(value: &str, n: i32) -> &str {
    let skip = match usize::try_from(n) {
        Ok(n) => value.chars().count().saturating_sub(n),
        Err(_) => n.unsigned_abs() as usize,
    };
    &value[end_of_chars(value, skip).unwrap_or(value.len())..]
}

fn split_part(value: &str, delimiter: &str, field: i32) -> Result<Datum> {
    if field == 0 {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "field position must not be zero"));
    }
    if delimiter.is_empty() || value.is_empty() {
        return text(if matches!(field, 1 | -1) { value } else { "" });
    }
    let mut index = field.unsigned_abs() as usize - 1;
    if field < 0 {
        // From the front, so that overlapping delimiters are found as they are for positive fields.
        let mut delimiters = 0;
        for place in places_of(delimiter, value) {
            place?;
            delimiters += 1;
        }
        let Some(from_front) = usize::checked_sub(delimiters, index) else { return text("") };
        index = from_front;
    }
    let (mut start, mut field) = (0, 0);
    for place in places_of(delimiter, value) {
        let end = place?;
        if field == index {
            return copied(&value[start..end]);
        }
        (start, field) = (end + delimiter.len(), field + 1);
    }
    copied(if field == index { &value[start..] } else { "" })
}

fn trim<'a>(value: &'a str, set: &str, at_start: bool, at_end: bool) -> Result<&'a str> {
    let places = Places::new(set)?;
    let mut out = value;
    while let Some(c) = out.chars().next().filter(|c| at_start && places.of(*c).is_some()) {
        stop::spent(SEARCH_WORK)?;
        out = &out[c.len_utf8()..];
    }
    while let Some(c) = out.chars().next_back().filter(|c| at_end && places.of(*c).is_some()) {
        stop::spent(SEARCH_WORK)?;
        out = &out[..out.len() - c.len_utf8()];
    }
    Ok(out)
}

/// Where a character first stands in a text that is asked for many, in characters.
struct Places(Vec<(char, usize)>);

impl Places {
    /// Places kept before the first look for those of one character.
    const FEW: usize = 1 << 12;

    fn new(text: &str) -> Result<Places> {
        let mut places: Vec<(char, usize)> = Vec::new();
        let settle = |places: &mut Vec<(char, usize)>| {
            places.sort_unstable();
            places.dedup_by_key(|(c, _)| *c);
        };
        let mut most = Places::FEW;
        for (at, c) in text.chars().enumerate() {
            stop::spent(SEARCH_WORK)?;
            places.push((c, at));
            if places.len() > most {
                settle(&mut places);
                most = Places::FEW.max(2 * places.len());
            }
        }
        settle(&mut places);
        Ok(Places(places))
    }

    fn of(&self, c: char) -> Option<usize> {
        let found = self.0.binary_search_by_key(&c, |(own, _)| *own).ok()?;
        self.0.get(found).map(|(_, at)| *at)
    }
}

fn in_case(value: &str, make: fn(&mut str)) -> Result<EcoString> {
    mapped(value, |piece, out| {
        out.push_str(piece);
        make(out);
    })
}

fn initcap(value: &str) -> Result<EcoString> {
    let mut was_alphanumeric = false;
    mapped(value, |piece, out| {
        out.extend(piece.chars().map(|c| {
            let mapped = if was_alphanumeric { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
            was_alphanumeric = c.is_ascii_alphanumeric();
            mapped
        }));
    })
}

fn reverse(value: &str) -> Result<Datum> {
    let mut out = EcoString::with_capacity(value.len());
    let pieces = stop::text_pieces(value, 0).collect::<Result<Vec<&str>>>()?;
    for piece in pieces.into_iter().rev() {
        stop::spent(piece.len() * CHAR_WORK)?;
        out.push_str(&piece.chars().rev().collect::<String>());
    }
    text(out)
}

fn replace(value: &str, from: &str, to: &str) -> Result<Datum> {
    if from.is_empty() || value.is_empty() {
        return text(value);
    }
    let mut found = 0_usize;
    for place in places_of(from, value) {
        place?;
        found += 1;
    }
    if found == 0 {
        return Ok(Datum::Text(value.into()));
    }
    let added = found.checked_mul(to.len()).ok_or_else(too_large)?;
    let size = (value.len() - found * from.len()).checked_add(added).ok_or_else(too_large)?;
    check_size(size)?;
    let mut out = EcoString::with_capacity(size);
    let mut end = 0;
    for place in places_of(from, value) {
        let at = place?;
        push(&mut out, &value[end..at])?;
        push(&mut out, to)?;
        end = at + from.len();
    }
    push(&mut out, &value[end..])?;
    text(out)
}

fn translate(value: &str, from: &str, to: &str) -> Result<Datum> {
    let (from, to) = (Places::new(from)?, stop::each(to.chars(), SEARCH_WORK).collect::<Result<Vec<char>>>()?);
    text(mapped(value, |piece, out| {
        for c in piece.chars() {
            match from.of(c) {
                Some(index) => out.extend(to.get(index)),
                None => out.push(c),
            }
        }
    })?)
}

fn pad(value: &str, length: i32, fill: &str, at_start: bool) -> Result<Datum> {
    let length = usize::try_from(length).unwrap_or(0);
    let own = value.chars().count();
    if own >= length || fill.is_empty() {
        return copied(left(value, i32::try_from(length).unwrap_or(i32::MAX)));
    }
    // A character may take four bytes.
    check_size(length.checked_mul(fill.len().min(4)).and_then(|n| n.checked_add(value.len())).ok_or_else(too_large)?)?;
    let (missing, chars) = (length - own, fill.chars().count());
    let size = fill.len().saturating_mul(missing / chars + 1).min(4 * missing);
    let mut out = EcoString::with_capacity(value.len() + size);
    if !at_start {
        push(&mut out, value)?;
    }
    push_repeated(&mut out, fill, missing / chars)?;
    push(&mut out, &fill[..end_of_chars(fill, missing % chars).unwrap_or(fill.len())])?;
    if at_start {
        push(&mut out, value)?;
    }
    text(out)
}

/// The text form of an argument of any type.
pub(super) fn shown(context: &CallContext<'_>, args: &[Datum], index: usize) -> Result<EcoString> {
    let text = io::to_text(arg_type(context, index), &args[index], context.format);
    stop::whole()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(part: &str, value: &str) -> Vec<usize> {
        places_of(part, value).collect::<Result<_>>().expect("wanted")
    }

    /// Texts of several stretches, with what is looked for across their ends.
    #[test]
    fn long_texts_are_searched_as_short_ones() {
        for part in ["a", "aé", "éaé", "aa", "ab", &"é".repeat(BLOCK / 3), &"ab".repeat(BLOCK)] {
            for shift in 0..4 {
                let value = format!("{}{}", "x".repeat(shift), "aéaéabaab".repeat(BLOCK / 3)) + &part.repeat(2);
                let expected: Vec<usize> = value.match_indices(part).map(|(at, _)| at).collect();
                assert_eq!(places(part, &value), expected, "{} bytes, {shift}", part.len());
            }
        }
        assert!(places("", "abc").is_empty() && places("a", "").is_empty());
        assert_eq!(places("aa", "aaaaa"), [0, 2]);
    }

    #[test]
    fn long_texts_are_made_as_short_ones() {
        let value = "aBé ".repeat(BLOCK);
        assert_eq!(initcap(&value).expect("wanted"), "Abé ".repeat(BLOCK).as_str());
        assert_eq!(reverse(&value).expect("wanted").as_str(), " éBa".repeat(BLOCK));
        assert_eq!(pad("x", 3 * BLOCK as i32, "éa", true).expect("wanted").as_str().chars().count(), 3 * BLOCK);
        let mut repeated = EcoString::new();
        push_repeated(&mut repeated, "abc", BLOCK + 1).expect("wanted");
        assert_eq!(repeated, "abc".repeat(BLOCK + 1).as_str());
    }
}
