//! Text and binary forms of arrays: `{1,NULL,"a b"}`, `[0:1]={…}`.
//!
//! The reader is one state machine over characters, as PostgreSQL's is, so that a malformed literal gives the same detail:
//! what may come next depends on what came last (an element, a delimiter, a brace) and on the level.

use super::{fixed, insufficient};
use crate::array::{Array, DIMENSIONS_MAX, Dimension};
use crate::{Datum, FormatSettings, Oid, Result, SqlError, SqlState, SqlType, builtin, stop};
use smallvec::SmallVec;
use std::sync::Arc;

/// Elements of one array: PostgreSQL's own bound (MaxAllocSize / size of a datum).
pub const ELEMENTS_MAX: usize = 134_217_727;

/// An element that is read or written.
const ELEMENT_WORK: usize = 32;

/// What the text has just shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Start,
    LevelStarted,
    Element,
    LevelCompleted,
    ElementDelimited,
    LevelDelimited,
    Done,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

#[cold]
fn malformed(text: &str, detail: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{text}\"")).detail(detail)
}

#[cold]
pub(crate) fn too_many_dimensions(count: usize) -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("number of array dimensions ({count}) exceeds the maximum allowed ({DIMENSIONS_MAX})"),
    )
}

#[cold]
pub(crate) fn too_large() -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})"))
}

/// Parses an array literal; `parse` makes an element from its text.
pub fn input_with(element: Oid, text: &str, parse: &mut dyn FnMut(&str) -> Result<Datum>) -> Result<Datum> {
    let delimiter = builtin::type_by_oid(element).map_or(',', |t| t.delimiter);
    let (declared, body) = declared_dimensions(text)?;
    if !body.starts_with('{') {
        return Err(malformed(
            text,
            match declared {
                Some(_) => "Array contents must start with \"{\".",
                None => "Array value must start with \"{\" or dimension information.",
            },
        ));
    }
    // Messages show what the braces are in, without the dimensions in front.
    let mut reader = Reader::new(body, delimiter, parse);
    reader.run()?;
    let (lens, values) = (reader.lens(), reader.values);
    let mut dims: Vec<Dimension> = lens.iter().map(|len| Dimension { len: *len, lower: 1 }).collect();
    if values.is_empty() {
        dims.clear();
    }
    if let Some(declared) = declared {
        let fits = declared.len() == dims.len() && declared.iter().zip(&dims).all(|(a, b)| a.len == b.len);
        if !fits {
            return Err(malformed(text, "Specified array dimensions do not match array contents."));
        }
        dims = declared;
    }
    Ok(Datum::Array(Arc::new(Array { element, dims, values })))
}

/// `[2:4][0:1]=` in front of the braces, and what follows it.
fn declared_dimensions(text: &str) -> Result<(Option<Vec<Dimension>>, &str)> {
    let mut rest = text.trim_start_matches(is_space);
    if !rest.starts_with('[') {
        return Ok((None, rest));
    }
    let mut dims = Vec::new();
    while let Some(inside) = rest.trim_start_matches(is_space).strip_prefix('[') {
        if dims.len() >= DIMENSIONS_MAX {
            return Err(too_many_dimensions(dims.len() + 1));
        }
        let (first, after) = bound(text, inside)?;
        let (lower, upper, after) = match after.strip_prefix(':') {
            Some(after) => {
                let (upper, after) = bound(text, after)?;
                (first, upper, after)
            }
            None => (1, first, after),
        };
        rest = after.strip_prefix(']').ok_or_else(|| malformed(text, "Missing \"]\" after array dimensions."))?;
        let out_of_range =
            || SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("array upper bound is too large: {upper}"));
        if upper < lower {
            return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "upper bound cannot be less than lower bound"));
        }
        let len = upper.checked_sub(lower).and_then(|n| n.checked_add(1)).ok_or_else(out_of_range)?;
        dims.push(Dimension { len, lower });
    }
    let rest = rest.trim_start_matches(is_space);
    match rest.strip_prefix('=') {
        Some(rest) => Ok((Some(dims), rest.trim_start_matches(is_space))),
        None => Err(malformed(text, "Missing \"=\" after array dimensions.")),
    }
}

fn bound<'a>(text: &str, rest: &'a str) -> Result<(i32, &'a str)> {
    let sign = usize::from(rest.starts_with(['-', '+']));
    let end = rest[sign..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |at| at + sign);
    if end == sign {
        return Err(match rest.is_empty() || rest.starts_with([']', ':']) {
            true => malformed(text, "Missing array dimension value."),
            false => malformed(text, "\"[\" must introduce explicitly-specified array dimensions."),
        });
    }
    let value = rest[..end]
        .trim_start_matches('+')
        .parse()
        .map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "array bound is out of integer range"))?;
    Ok((value, &rest[end..]))
}

struct Reader<'t, 'p> {
    text: &'t str,
    rest: &'t str,
    delimiter: char,
    parse: &'p mut dyn FnMut(&str) -> Result<Datum>,
    values: Vec<Datum>,
    /// Elements seen so far at each open level, and how many each level must have once one of it is complete.
    counts: [i32; DIMENSIONS_MAX],
    expected: [Option<i32>; DIMENSIONS_MAX],
    level: usize,
    deepest: usize,
    /// Level that elements stand at: all must stand at the same.
    element_level: Option<usize>,
}

impl<'t, 'p> Reader<'t, 'p> {
    fn new(body: &'t str, delimiter: char, parse: &'p mut dyn FnMut(&str) -> Result<Datum>) -> Reader<'t, 'p> {
        Reader {
            text: body,
            rest: body,
            delimiter,
            parse,
            values: Vec::new(),
            counts: [0; DIMENSIONS_MAX],
            expected: [None; DIMENSIONS_MAX],
            level: 0,
            deepest: 0,
            element_level: None,
        }
    }

    fn lens(&self) -> SmallVec<[i32; DIMENSIONS_MAX]> {
        self.expected[..self.deepest].iter().map(|len| len.unwrap_or(0)).collect()
    }

    fn run(&mut self) -> Result<()> {
        let mut state = State::Start;
        loop {
            self.rest = self.rest.trim_start_matches(is_space);
            let Some(c) = self.rest.chars().next() else { break };
            if state == State::Done {
                return Err(malformed(self.text, "Junk after closing right brace."));
            }
            state = match c {
                '{' => self.open(state)?,
                '}' => self.close(state)?,
                c if c == self.delimiter => self.delimit(state)?,
                _ => self.element(state)?,
            };
        }
        if state == State::Done { Ok(()) } else { Err(malformed(self.text, "Unexpected end of input.")) }
    }

    fn unexpected(&self, c: char) -> SqlError {
        malformed(self.text, format!("Unexpected \"{c}\" character."))
    }

    fn mismatch(&self) -> SqlError {
        malformed(self.text, "Multidimensional arrays must have sub-arrays with matching dimensions.")
    }

    fn open(&mut self, state: State) -> Result<State> {
        if !matches!(state, State::Start | State::LevelStarted | State::LevelDelimited) {
            return Err(self.unexpected('{'));
        }
        if self.level >= DIMENSIONS_MAX {
            return Err(too_many_dimensions(self.level + 1));
        }
        self.counts[self.level] = 0;
        self.level += 1;
        self.deepest = self.deepest.max(self.level);
        self.rest = &self.rest[1..];
        Ok(State::LevelStarted)
    }

    fn close(&mut self, state: State) -> Result<State> {
        let is_empty_array = state == State::LevelStarted && self.level == 1;
        if !matches!(state, State::Element | State::LevelCompleted) && !is_empty_array {
            return Err(self.unexpected('}'));
        }
        self.level -= 1;
        let count = self.counts[self.level];
        match self.expected[self.level] {
            None => self.expected[self.level] = Some(count),
            Some(expected) if expected != count => return Err(self.mismatch()),
            Some(_) => {}
        }
        if self.level > 0 {
            self.counts[self.level - 1] += 1;
        }
        self.rest = &self.rest[1..];
        Ok(if self.level == 0 { State::Done } else { State::LevelCompleted })
    }

    fn delimit(&mut self, state: State) -> Result<State> {
        self.rest = &self.rest[self.delimiter.len_utf8()..];
        match state {
            State::Element => Ok(State::ElementDelimited),
            State::LevelCompleted => Ok(State::LevelDelimited),
            _ => Err(self.unexpected(self.delimiter)),
        }
    }

    fn element(&mut self, state: State) -> Result<State> {
        if !matches!(state, State::LevelStarted | State::ElementDelimited) {
            return Err(malformed(self.text, "Unexpected array element."));
        }
        if *self.element_level.get_or_insert(self.level) != self.level || self.deepest > self.level {
            return Err(self.mismatch());
        }
        if self.values.len() >= ELEMENTS_MAX {
            return Err(too_large());
        }
        stop::spent(ELEMENT_WORK)?;
        let value = if self.rest.starts_with('"') { self.quoted()? } else { self.bare()? };
        self.values.push(value);
        self.counts[self.level - 1] += 1;
        Ok(State::Element)
    }

    fn quoted(&mut self) -> Result<Datum> {
        let inside = &self.rest[1..];
        // Without a backslash the text is taken as it stands.
        if let Some(end) = inside.find(['"', '\\'])
            && inside.as_bytes().get(end) == Some(&b'"')
        {
            self.rest = &inside[end + 1..];
            return (self.parse)(&inside[..end]);
        }
        let mut value = String::new();
        let mut chars = inside.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &inside[at + 1..];
                    return (self.parse)(&value);
                }
                '\\' => match chars.next() {
                    Some((_, escaped)) => value.push(escaped),
                    None => break,
                },
                other => value.push(other),
            }
        }
        Err(malformed(self.text, "Unexpected end of input."))
    }

    fn bare(&mut self) -> Result<Datum> {
        let mut value = String::new();
        let mut has_escapes = false;
        // Trailing blanks do not belong to the element, escaped ones do.
        let mut kept = 0;
        let mut chars = self.rest.char_indices();
        let end = loop {
            let Some((at, c)) = chars.next() else {
                return Err(malformed(self.text, "Unexpected end of input."));
            };
            match c {
                '}' => break at,
                c if c == self.delimiter => break at,
                '{' => return Err(self.unexpected('{')),
                '"' => return Err(malformed(self.text, "Unexpected array element.")),
                '\\' => {
                    let Some((_, escaped)) = chars.next() else {
                        return Err(malformed(self.text, "Unexpected end of input."));
                    };
                    has_escapes = true;
                    value.push(escaped);
                    kept = value.len();
                }
                other => {
                    value.push(other);
                    if !is_space(other) {
                        kept = value.len();
                    }
                }
            }
        };
        value.truncate(kept);
        self.rest = &self.rest[end..];
        if !has_escapes && value.eq_ignore_ascii_case("null") { Ok(Datum::Null) } else { (self.parse)(&value) }
    }
}

/// Appends an array's text form.
pub fn output(array: &Array, format: &FormatSettings, out: &mut Vec<u8>) {
    let ty = SqlType::new(array.element);
    output_with(array, out, &mut |value, out| super::output(ty, value, format, out));
}

/// As `output`, with the element's text form by `write` (enums, names of catalog objects).
pub fn output_with(array: &Array, out: &mut Vec<u8>, write: &mut dyn FnMut(&Datum, &mut Vec<u8>)) {
    if array.values.is_empty() || array.dims.is_empty() {
        return out.extend_from_slice(b"{}");
    }
    if array.dims.iter().any(|d| d.lower != 1) {
        for d in &array.dims {
            out.push(b'[');
            super::write_int(i64::from(d.lower), out);
            out.push(b':');
            super::write_int(i64::from(d.lower) + i64::from(d.len) - 1, out);
            out.push(b']');
        }
        out.push(b'=');
    }
    let delimiter = builtin::type_by_oid(array.element).map_or(b',', |t| t.delimiter as u8);
    // How many values one sub-array of each level holds: where braces open and close.
    let mut sizes: SmallVec<[usize; DIMENSIONS_MAX]> = SmallVec::new();
    let mut size = 1;
    for d in array.dims.iter().rev() {
        size *= usize::try_from(d.len).unwrap_or(0).max(1);
        sizes.push(size);
    }
    let mut text = Vec::new();
    for (index, value) in array.values.iter().enumerate() {
        if index > 0 {
            out.push(delimiter);
        }
        sizes.iter().filter(|size| index % **size == 0).for_each(|_| out.push(b'{'));
        if value.is_null() {
            out.extend_from_slice(b"NULL");
        } else {
            text.clear();
            write(value, &mut text);
            // As in `record::output`.
            if stop::cut_short(ELEMENT_WORK) || out.len() > super::TEXT_FORM_MAX || text.len() > super::TEXT_FORM_MAX {
                return out.append(&mut text);
            }
            write_element(&text, delimiter, out);
        }
        sizes.iter().filter(|size| (index + 1) % **size == 0).for_each(|_| out.push(b'}'));
    }
}

fn write_element(text: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    let needs_quotes = text.is_empty()
        || text.eq_ignore_ascii_case(b"null")
        || text.iter().any(|b| {
            matches!(b, b'"' | b'\\' | b'{' | b'}' | b' ' | b'\t' | b'\n' | b'\r' | 11 | 12) || *b == delimiter
        });
    if !needs_quotes {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// `[length i32, -1 for NULL][bytes]`.
pub(super) fn send_sized(ty: SqlType, value: &Datum, format: &FormatSettings, out: &mut Vec<u8>) -> Result<()> {
    if value.is_null() {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        return Ok(());
    }
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    super::send(ty, value, format, out)?;
    let size = (out.len() - at - 4) as i32;
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&size.to_be_bytes());
    }
    Ok(())
}

/// `[dimensions i32][has NULLs i32][element oid]`, for each dimension `[len i32][lower i32]`, then the elements, sized.
pub fn send(array: &Array, format: &FormatSettings, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&(array.dims.len() as i32).to_be_bytes());
    let has_nulls = array.values.iter().any(Datum::is_null);
    out.extend_from_slice(&i32::from(has_nulls).to_be_bytes());
    out.extend_from_slice(&array.element.to_be_bytes());
    for d in &array.dims {
        out.extend_from_slice(&d.len.to_be_bytes());
        out.extend_from_slice(&d.lower.to_be_bytes());
    }
    let ty = SqlType::new(array.element);
    stop::each(array.values.iter(), ELEMENT_WORK).try_for_each(|value| send_sized(ty, value?, format, out))
}

/// Reads the binary form; `receive` makes an element from its bytes.
pub fn receive_with(element: Oid, bytes: &[u8], receive: &mut dyn FnMut(&[u8]) -> Result<Datum>) -> Result<Datum> {
    let bad = |message: String| SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, message);
    let mut rest = bytes;
    let mut take = |count: usize| {
        let (head, tail) = rest.split_at_checked(count).ok_or_else(insufficient)?;
        rest = tail;
        Ok::<&[u8], SqlError>(head)
    };
    let mut int = || Ok::<i32, SqlError>(i32::from_be_bytes(fixed(take(4)?)?));
    let count = int()?;
    let dimensions = usize::try_from(count).map_err(|_| bad(format!("invalid number of dimensions: {count}")))?;
    if dimensions > DIMENSIONS_MAX {
        return Err(too_many_dimensions(dimensions));
    }
    if !matches!(int()?, 0 | 1) {
        return Err(bad("invalid array flags".to_owned()));
    }
    let sent = int()? as u32;
    if sent != element {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {sent} ({}) instead of expected {element} ({})",
                crate::typename::format_type(sent, None),
                crate::typename::format_type(element, None)
            ),
        ));
    }
    let mut dims = Vec::with_capacity(dimensions);
    let mut total = 1_usize;
    for _ in 0..dimensions {
        let (len, lower) = (int()?, int()?);
        let size = usize::try_from(len).map_err(|_| bad(format!("invalid array dimension: {len}")))?;
        if lower.checked_add(len).is_none() {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("array lower bound is too large: {lower}"),
            ));
        }
        total = total.checked_mul(size).filter(|t| *t <= ELEMENTS_MAX).ok_or_else(too_large)?;
        dims.push(Dimension { len, lower });
    }
    if dimensions == 0 || total == 0 {
        return Ok(Datum::Array(Arc::new(Array { element, dims: vec![], values: vec![] })));
    }
    // Four bytes an element at least: a false count does not reserve memory.
    let mut values = Vec::with_capacity(total.min(bytes.len() / 4));
    for index in 0..total {
        stop::spent(ELEMENT_WORK)?;
        let size = i32::from_be_bytes(fixed(take(4)?)?);
        values.push(match usize::try_from(size) {
            Ok(size) => receive(take(size)?)?,
            Err(_) if size == -1 => Datum::Null,
            Err(_) => return Err(bad(format!("improper binary format in array element {}", index + 1))),
        });
    }
    if !rest.is_empty() {
        return Err(bad("incorrect binary data format".to_owned()));
    }
    Ok(Datum::Array(Arc::new(Array { element, dims, values })))
}
