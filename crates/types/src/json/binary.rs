//! The binary form of jsonb.
//!
//! ```text
//! scalar   [tag 0 null | 1 false | 2 true]   [tag 3][number: row::encode_numeric]   [tag 4][string, raw UTF-8]
//! array    [tag 5][element]…            [ends: one per element][count][depth u16]
//! object   [tag 6][key][value][key]…    [members sorted by key: (key start, key end, value end)][count][depth u16]
//! ```
//!
//! A value has no length of its own: its container (or the row, or the wire) says where it ends, so a sub-document is a
//! slice. Tables stand *behind* the content, so that a document is written in one pass without moving anything; their
//! numbers are `u16` little-endian where the content is below 64 KiB, else `u32` and the tag has `WIDE` set. Offsets
//! count from behind the tag. A member's value begins where its key ends. Members are sorted as PostgreSQL sorts keys:
//! shorter first, then by bytes; a key is found by binary search in the table. The depth counts containers inside each
//! other, this one included, so that putting documents into each other is refused at `DEPTH_MAX` without a walk.
//!
//! J1  Bytes made by `Builder` are well formed. J2  Reading bytes that are not (a damaged page that slipped through its
//! checksum) gives nulls or nothing, never a panic, and recursion is bounded by `DEPTH_MAX`.

use super::{Builder, DEPTH_MAX};
use crate::numeric::Numeric;
use crate::{Result, SqlError, SqlState, row, stop};
use std::cmp::Ordering;
use std::sync::Arc;

pub(super) const NULL: u8 = 0;
pub(super) const FALSE: u8 = 1;
pub(super) const TRUE: u8 = 2;
pub(super) const NUMBER: u8 = 3;
pub(super) const STRING: u8 = 4;
pub(super) const ARRAY: u8 = 5;
pub(super) const OBJECT: u8 = 6;
/// Set in a container's tag when its table has `u32`s.
pub(super) const WIDE: u8 = 0x10;

/// A value that is written as text.
pub(super) const VALUE_WORK: usize = 64;

/// Bytes of a container's depth, at its very end.
const DEPTH_SIZE: usize = 2;

/// What a JSON value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// As `jsonb_typeof` names it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }
}

/// A jsonb value in Hyrax's binary form (also the form of a row's document tail).
#[derive(Clone, Debug)]
pub struct Jsonb(Arc<[u8]>);

impl Jsonb {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Parses JSON text (22P02, 22P05 for \u0000, 54001 for too deep).
    pub fn parse(text: &str) -> Result<Jsonb> {
        let mut builder = Builder::with_capacity(text.len() + text.len() / 4 + 8);
        super::parse::parse(text, &mut builder)?;
        builder.finish()
    }

    /// Takes bytes that `as_bytes` once gave. XX001 if they can not be a value at all; deeper damage reads as null (J2).
    pub fn from_stored(bytes: &[u8]) -> Result<Jsonb> {
        match bytes.first() {
            Some(tag) if tag & !WIDE <= OBJECT => Ok(Jsonb(Arc::from(bytes))),
            _ => Err(SqlError::new(SqlState::DATA_CORRUPTED, "a stored jsonb value is damaged")),
        }
    }

    pub(super) fn from_builder(bytes: Vec<u8>) -> Jsonb {
        Jsonb(Arc::from(bytes))
    }

    #[inline]
    pub fn as_ref(&self) -> JsonbRef<'_> {
        JsonbRef(&self.0)
    }

    /// Borrowed access to one field of an object.
    #[inline]
    pub fn get(&self, key: &str) -> Option<JsonbRef<'_>> {
        self.as_ref().get(key)
    }

    /// PostgreSQL's order of jsonb: Object > Array > Boolean > Number > String > Null, bigger containers greater.
    pub fn compare(&self, other: &Jsonb) -> Ordering {
        self.as_ref().compare(other.as_ref())
    }
}

impl PartialEq for Jsonb {
    fn eq(&self, other: &Jsonb) -> bool {
        self.compare(other).is_eq()
    }
}

/// A jsonb value, or a part of one, read where it lies.
#[derive(Clone, Copy, Debug)]
pub struct JsonbRef<'a>(&'a [u8]);

/// The table of a container: where it is and how wide its numbers are.
#[derive(Clone, Copy)]
struct Table<'a> {
    content: &'a [u8],
    entries: &'a [u8],
    count: usize,
    is_wide: bool,
}

impl<'a> Table<'a> {
    /// `columns` numbers per entry.
    #[inline]
    fn new(bytes: &'a [u8], columns: usize) -> Option<Table<'a>> {
        let (tag, rest) = bytes.split_first()?;
        let is_wide = tag & WIDE != 0;
        let width = if is_wide { 4 } else { 2 };
        let (rest, _depth) = rest.split_at_checked(rest.len().checked_sub(DEPTH_SIZE)?)?;
        let (rest, count) = rest.split_at_checked(rest.len().checked_sub(width)?)?;
        let count = number_at(count, 0, is_wide);
        let size = count.checked_mul(columns * width)?;
        let (content, entries) = rest.split_at_checked(rest.len().checked_sub(size)?)?;
        Some(Table { content, entries, count, is_wide })
    }

    #[inline]
    fn number(&self, index: usize) -> usize {
        number_at(self.entries, index, self.is_wide)
    }

    /// The member at `index` of an object's table.
    fn member(&self, index: usize) -> (&'a str, JsonbRef<'a>) {
        let (from, to) = (self.number(index * 3), self.number(index * 3 + 1));
        let key = std::str::from_utf8(self.slice(from, to)).unwrap_or_default();
        (key, JsonbRef(self.slice(to, self.number(index * 3 + 2))))
    }

    #[inline]
    fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        self.content.get(from..to).unwrap_or_default()
    }
}

#[inline]
fn number_at(bytes: &[u8], index: usize, is_wide: bool) -> usize {
    if is_wide {
        let at = index * 4;
        bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, |b| u32::from_le_bytes(b) as usize)
    } else {
        let at = index * 2;
        bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, |b| usize::from(u16::from_le_bytes(b)))
    }
}

/// How PostgreSQL orders the keys of an object.
#[inline]
pub(super) fn key_order(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl<'a> JsonbRef<'a> {
    /// Reads bytes that `Jsonb::as_bytes` gave.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> JsonbRef<'a> {
        JsonbRef(bytes)
    }

    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    pub fn to_owned(self) -> Jsonb {
        if self.0.is_empty() { Jsonb(Arc::from([NULL].as_slice())) } else { Jsonb(Arc::from(self.0)) }
    }

    #[inline]
    pub fn kind(self) -> Kind {
        match self.0.first().map_or(NULL, |tag| tag & !WIDE) {
            FALSE | TRUE => Kind::Bool,
            NUMBER => Kind::Number,
            STRING => Kind::String,
            ARRAY => Kind::Array,
            OBJECT => Kind::Object,
            _ => Kind::Null,
        }
    }

    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }
    pub fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }
    pub fn is_array(self) -> bool {
        self.kind() == Kind::Array
    }
    pub fn is_scalar(self) -> bool {
        !self.is_array() && !self.is_object()
    }

    pub fn as_bool(self) -> Option<bool> {
        match self.0.first() {
            Some(&TRUE) => Some(true),
            Some(&FALSE) => Some(false),
            _ => None,
        }
    }

    pub fn as_str(self) -> Option<&'a str> {
        match self.0.split_first() {
            Some((&STRING, bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub fn as_number(self) -> Option<Numeric> {
        match self.0.split_first() {
            Some((&NUMBER, bytes)) => row::decode_numeric(bytes).ok(),
            _ => None,
        }
    }

    /// Containers inside each other, this one included; 0 for a scalar.
    pub(super) fn depth(self) -> usize {
        match self.0.last_chunk::<DEPTH_SIZE>() {
            Some(depth) if !self.is_scalar() => usize::from(u16::from_le_bytes(*depth)),
            _ => 0,
        }
    }

    /// Elements of an array, members of an object, 0 for a scalar.
    pub fn len(self) -> usize {
        self.table().map_or(0, |table| table.count)
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn table(self) -> Option<Table<'a>> {
        match self.kind() {
            Kind::Array => Table::new(self.0, 1),
            Kind::Object => Table::new(self.0, 3),
            _ => None,
        }
    }

    /// A member of an object by binary search; None where there is none or this is no object.
    #[inline]
    pub fn get(self, key: &str) -> Option<JsonbRef<'a>> {
        if self.kind() != Kind::Object {
            return None;
        }
        let table = Table::new(self.0, 3)?;
        let (mut low, mut high) = (0, table.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let (from, to) = (table.number(middle * 3), table.number(middle * 3 + 1));
            match key_order(table.slice(from, to), key.as_bytes()) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(JsonbRef(table.slice(to, table.number(middle * 3 + 2)))),
            }
        }
        None
    }

    /// An element of an array; negative counts from the end.
    pub fn element(self, index: i64) -> Option<JsonbRef<'a>> {
        if self.kind() != Kind::Array {
            return None;
        }
        let table = Table::new(self.0, 1)?;
        let count = table.count as i64;
        let index = if index < 0 { index.checked_add(count)? } else { index };
        if !(0..count).contains(&index) {
            return None;
        }
        let index = index as usize;
        let from = if index == 0 { 0 } else { table.number(index - 1) };
        Some(JsonbRef(table.slice(from, table.number(index))))
    }

    /// Elements of an array, in order; nothing for others.
    pub fn elements(self) -> impl ExactSizeIterator<Item = JsonbRef<'a>> + Clone {
        let table = if self.is_array() { Table::new(self.0, 1) } else { None };
        (0..table.map_or(0, |t| t.count)).map(move |index| match table {
            Some(table) => {
                let from = if index == 0 { 0 } else { table.number(index - 1) };
                JsonbRef(table.slice(from, table.number(index)))
            }
            None => JsonbRef(&[]),
        })
    }

    /// The member at `index` in key order.
    pub fn member(self, index: usize) -> Option<(&'a str, JsonbRef<'a>)> {
        if !self.is_object() {
            return None;
        }
        Table::new(self.0, 3).filter(|table| index < table.count).map(|table| table.member(index))
    }

    /// Members of an object, in key order; nothing for others.
    pub fn members(self) -> impl ExactSizeIterator<Item = (&'a str, JsonbRef<'a>)> + Clone {
        let table = if self.is_object() { Table::new(self.0, 3) } else { None };
        (0..table.map_or(0, |t| t.count))
            .map(move |index| table.map_or(("", JsonbRef(&[])), |table| table.member(index)))
    }

    /// Appends PostgreSQL's text form, as far as the statement is wanted: `{"a": 1, "b": [true, null]}`.
    pub fn write_text(self, out: &mut Vec<u8>) {
        self.write_nested(DEPTH_MAX + 1, out);
    }

    fn write_nested(self, depth: usize, out: &mut Vec<u8>) {
        let Some(depth) = depth.checked_sub(1) else { return out.extend_from_slice(b"null") };
        match self.kind() {
            _ if stop::cut_short(VALUE_WORK) => {}
            Kind::Array => {
                out.push(b'[');
                for (index, element) in self.elements().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(b", ");
                    }
                    element.write_nested(depth, out);
                }
                out.push(b']');
            }
            Kind::Object => {
                out.push(b'{');
                for (index, (key, value)) in self.members().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(b", ");
                    }
                    super::text::write_string(key, out);
                    out.extend_from_slice(b": ");
                    value.write_nested(depth, out);
                }
                out.push(b'}');
            }
            _ => self.write_scalar(out),
        }
    }

    /// Appends the text of a scalar (a string in quotes); `null` for a container.
    pub(super) fn write_scalar(self, out: &mut Vec<u8>) {
        match self.kind() {
            Kind::Bool => out.extend_from_slice(if self.as_bool() == Some(true) { b"true" } else { b"false" }),
            Kind::String => super::text::write_string(self.as_str().unwrap_or_default(), out),
            Kind::Number => match self.as_number() {
                Some(number) => number.write(out),
                None => out.extend_from_slice(b"null"),
            },
            _ => out.extend_from_slice(b"null"),
        }
    }

    pub fn to_text(self) -> String {
        let mut out = Vec::new();
        self.write_text(&mut out);
        crate::io::into_string(out)
    }

    /// What `->>` gives: a string without quotes, NULL (None) for null, the text form of others.
    pub fn to_sql_text(self) -> Option<String> {
        match self.kind() {
            Kind::Null => None,
            Kind::String => self.as_str().map(str::to_owned),
            _ => Some(self.to_text()),
        }
    }
}
