//! The stored form of a row (architecture §6).
//!
//! ```text
//! 0        1       2        4                 6
//! [format 1][flags 1][slot u16][schema version u16][null bitmap][fixed fields][ends][variable fields][document tail]
//!                                                  ceil(n/8)    widths by type  u16 or u32 each
//! ```
//!
//! Owns the bytes of a row, nobody else reads or writes them. All integers are little-endian.
//!
//! - I1  A fixed-width column lies at an offset that its layout alone decides; NULL leaves zeros there.
//! - I2  A variable column is `[end of the one before, its own end)` of the variable area; NULL and the empty string are
//!   both empty there, the bitmap tells them apart. A bit of 1 is NULL.
//! - I3  Ends are `u16` unless flag `WIDE` is set, then `u32`; the last one is where the tail begins.
//! - I4  `RowView::new` has checked every bound that reading a column relies on. Damage is XX001, never a panic.
//!
//! Reading one column costs one bitmap test and one or two loads. Encoding is one pass into the caller's buffer; only
//! a row whose variable part passes 64 KiB is moved once, to make room for wide ends.
//! The form of one variable value is in `value`.

mod value;

pub use value::{decode_described, decode_numeric, encode_described, encode_numeric};

use crate::datetime::{Interval, TimeTz};
use crate::json::{Jsonb, JsonbRef};
use crate::{Datum, FormatSettings, Result, SqlError, SqlState, SqlType, io, oid, user_type};
use ecow::EcoString;
use std::sync::Arc;

/// The first byte of every row of this form; another one is a newer Hyrax's.
pub const FORMAT: u8 = 1;
const FLAG_TAIL: u8 = 1;
const FLAG_WIDE: u8 = 2;
const FLAGS_KNOWN: u8 = FLAG_TAIL | FLAG_WIDE;
const HEADER_SIZE: usize = 6;

/// How a column's value is stored; decided by its type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid,
    Oid,
    // Variable width from here on.
    Text,
    Bytea,
    Numeric,
    Jsonb,
    /// Carries its own type: arrays, records and the types of users.
    Described,
}

impl Kind {
    fn of(ty: SqlType) -> Kind {
        match ty.oid {
            oid::BOOL => Kind::Bool,
            oid::INT2 => Kind::Int2,
            oid::INT4 => Kind::Int4,
            oid::INT8 | oid::XID8 | oid::MONEY | oid::PG_LSN => Kind::Int8,
            oid::FLOAT4 => Kind::Float4,
            oid::FLOAT8 => Kind::Float8,
            oid::DATE => Kind::Date,
            oid::TIME => Kind::Time,
            oid::TIMETZ => Kind::TimeTz,
            oid::TIMESTAMP => Kind::Timestamp,
            oid::TIMESTAMPTZ => Kind::TimestampTz,
            oid::INTERVAL => Kind::Interval,
            oid::UUID => Kind::Uuid,
            oid::NUMERIC => Kind::Numeric,
            oid::BYTEA | oid::INET | oid::CIDR | oid::MACADDR | oid::MACADDR8 => Kind::Bytea,
            oid::JSONB => Kind::Jsonb,
            oid::TEXT
            | oid::VARCHAR
            | oid::BPCHAR
            | oid::NAME
            | oid::CHAR
            | oid::JSON
            | oid::UNKNOWN
            | oid::CSTRING
            | oid::XML
            | oid::REFCURSOR
            | oid::JSONPATH
            | oid::ACLITEM
            | oid::BIT
            | oid::VARBIT => Kind::Text,
            other if io::is_oid_like(other) => Kind::Oid,
            other if user_type::is_enum(other) => Kind::Int8,
            _ => Kind::Described,
        }
    }

    /// Bytes in the fixed area, or None for a variable field.
    fn width(self) -> Option<usize> {
        Some(match self {
            Kind::Bool => 1,
            Kind::Int2 => 2,
            Kind::Int4 | Kind::Float4 | Kind::Date | Kind::Oid => 4,
            Kind::Int8 | Kind::Float8 | Kind::Time | Kind::Timestamp | Kind::TimestampTz => 8,
            Kind::TimeTz => 12,
            Kind::Interval | Kind::Uuid => 16,
            _ => return None,
        })
    }
}

/// Where one column lies: an offset from the row's start for a fixed field, the index among variable fields otherwise.
#[derive(Clone, Copy, Debug)]
struct Field {
    kind: Kind,
    place: u32,
}

/// Where each stored column of one schema version lies. Made once per schema version; shared.
#[derive(Clone, Debug)]
pub struct RowLayout {
    pub schema_version: u16,
    pub columns: Vec<SqlType>,
    fields: Vec<Field>,
    /// Where the table of ends begins: behind the fixed area.
    ends_start: usize,
    variable_count: usize,
}

impl RowLayout {
    pub fn new(schema_version: u16, columns: Vec<SqlType>) -> RowLayout {
        // The fixed area begins behind the null bitmap.
        let mut ends_start = HEADER_SIZE + columns.len().div_ceil(8);
        let mut variable_count = 0;
        let fields = columns
            .iter()
            .map(|ty| {
                let kind = Kind::of(*ty);
                let place = match kind.width() {
                    Some(width) => {
                        ends_start += width;
                        ends_start - width
                    }
                    None => {
                        variable_count += 1;
                        variable_count - 1
                    }
                };
                Field { kind, place: place as u32 }
            })
            .collect();
        RowLayout { schema_version, columns, fields, ends_start, variable_count }
    }

    #[inline]
    fn variable_start(&self, is_wide: bool) -> usize {
        self.ends_start + self.variable_count * if is_wide { 4 } else { 2 }
    }
}

/// Appends a row. `values` has one datum per column of the layout, each of the representation that its type has
/// (`datum`); another one is a programmer error.
pub fn encode(layout: &RowLayout, slot: u16, values: &[Datum], tail: Option<&Jsonb>, out: &mut Vec<u8>) {
    assert_eq!(layout.columns.len(), values.len(), "a row has one value per column of its layout");
    let start = out.len();
    let variable_start = start + layout.variable_start(false);
    out.extend_from_slice(&[FORMAT, if tail.is_some() { FLAG_TAIL } else { 0 }]);
    out.extend_from_slice(&slot.to_le_bytes());
    out.extend_from_slice(&layout.schema_version.to_le_bytes());
    out.resize(variable_start, 0);
    for (index, (field, value)) in layout.fields.iter().zip(values).enumerate() {
        if value.is_null() {
            out[start + HEADER_SIZE + index / 8] |= 1 << (index % 8);
        } else if let Some(width) = field.kind.width() {
            let at = start + field.place as usize;
            put_fixed(field.kind, value, &mut out[at..at + width]);
        } else {
            put_variable(field.kind, value, out);
        }
        if field.kind.width().is_none() {
            let end = out.len() - variable_start;
            if end > usize::from(u16::MAX) {
                // The ends no longer fit: begin again with wide ones. Rare, and the row is long anyway.
                out.truncate(start);
                return encode_wide(layout, slot, values, tail, out);
            }
            let at = start + layout.ends_start + field.place as usize * 2;
            out[at..at + 2].copy_from_slice(&(end as u16).to_le_bytes());
        }
    }
    if let Some(tail) = tail {
        out.extend_from_slice(tail.as_bytes());
    }
}

fn encode_wide(layout: &RowLayout, slot: u16, values: &[Datum], tail: Option<&Jsonb>, out: &mut Vec<u8>) {
    let start = out.len();
    let variable_start = start + layout.variable_start(true);
    out.extend_from_slice(&[FORMAT, FLAG_WIDE | if tail.is_some() { FLAG_TAIL } else { 0 }]);
    out.extend_from_slice(&slot.to_le_bytes());
    out.extend_from_slice(&layout.schema_version.to_le_bytes());
    out.resize(variable_start, 0);
    for (index, (field, value)) in layout.fields.iter().zip(values).enumerate() {
        if value.is_null() {
            out[start + HEADER_SIZE + index / 8] |= 1 << (index % 8);
        } else if let Some(width) = field.kind.width() {
            let at = start + field.place as usize;
            put_fixed(field.kind, value, &mut out[at..at + width]);
        } else {
            put_variable(field.kind, value, out);
        }
        if field.kind.width().is_none() {
            let end = u32::try_from(out.len() - variable_start).expect("a row is at most 64 MiB (architecture §9)");
            let at = start + layout.ends_start + field.place as usize * 4;
            out[at..at + 4].copy_from_slice(&end.to_le_bytes());
        }
    }
    if let Some(tail) = tail {
        out.extend_from_slice(tail.as_bytes());
    }
}

fn put_fixed(kind: Kind, value: &Datum, out: &mut [u8]) {
    match (kind, value) {
        (Kind::Bool, Datum::Bool(v)) => out[0] = u8::from(*v),
        (Kind::Int2, Datum::Int2(v)) => out.copy_from_slice(&v.to_le_bytes()),
        (Kind::Int4, Datum::Int4(v)) => out.copy_from_slice(&v.to_le_bytes()),
        (Kind::Int8, Datum::Int8(v)) => out.copy_from_slice(&v.to_le_bytes()),
        (Kind::Float4, Datum::Float4(v)) => out.copy_from_slice(&v.to_bits().to_le_bytes()),
        (Kind::Float8, Datum::Float8(v)) => out.copy_from_slice(&v.to_bits().to_le_bytes()),
        (Kind::Date, Datum::Date(v)) => out.copy_from_slice(&v.to_le_bytes()),
        (Kind::Time, Datum::Time(v)) => out.copy_from_slice(&v.to_le_bytes()),
        (Kind::Timestamp, Datum::Timestamp(v)) => out.copy_from_slice(&v.to_le_bytes()),
        (Kind::TimestampTz, Datum::TimestampTz(v)) => out.copy_from_slice(&v.to_le_bytes()),
        (Kind::TimeTz, Datum::TimeTz(v)) => {
            let (micros, zone) = (v.micros, v.zone_west_s);
            out[..8].copy_from_slice(&micros.to_le_bytes());
            out[8..].copy_from_slice(&zone.to_le_bytes());
        }
        (Kind::Interval, Datum::Interval(v)) => {
            out[..8].copy_from_slice(&v.micros.to_le_bytes());
            out[8..12].copy_from_slice(&v.days.to_le_bytes());
            out[12..].copy_from_slice(&v.months.to_le_bytes());
        }
        (Kind::Uuid, Datum::Uuid(v)) => out.copy_from_slice(v),
        (Kind::Oid, Datum::Oid(v)) => out.copy_from_slice(&v.to_le_bytes()),
        (kind, other) => panic!("a {kind:?} column was given {other:?}"),
    }
}

fn put_variable(kind: Kind, value: &Datum, out: &mut Vec<u8>) {
    match (kind, value) {
        (Kind::Text, Datum::Text(v)) => out.extend_from_slice(v.as_bytes()),
        (Kind::Bytea, Datum::Bytea(v)) => out.extend_from_slice(v),
        (Kind::Numeric, Datum::Numeric(v)) => encode_numeric(v, out),
        (Kind::Jsonb, Datum::Jsonb(v)) => out.extend_from_slice(v.as_bytes()),
        (Kind::Described, value) => encode_described(value, out),
        (kind, other) => panic!("a {kind:?} column was given {other:?}"),
    }
}

/// A column's value as it lies in a row: what scans put into typed columns without a datum.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    Null,
    /// Any integer-like value, widened.
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(&'a str),
    /// A numeric in its short form.
    Numeric {
        mantissa: i64,
        scale: u16,
    },
    /// `RowView::column` reads it.
    Other,
}

/// A stored row, read in place; `new` has checked its bounds, so columns are read without further checks failing.
#[derive(Clone, Copy)]
pub struct RowView<'a> {
    pub layout: &'a RowLayout,
    pub bytes: &'a [u8],
    is_wide: bool,
    variable_start: usize,
}

#[cold]
fn damaged(what: &str) -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, format!("a stored row is damaged: {what}"))
}

/// `N` bytes at `at`; zeros where there are none, which `RowView::new` has ruled out (I4).
#[inline]
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
}

impl<'a> RowView<'a> {
    /// XX001 if the bytes are no row of this layout.
    #[inline]
    pub fn new(layout: &'a RowLayout, bytes: &'a [u8]) -> Result<RowView<'a>> {
        let &[format, flags, _, _, ..] = bytes else { return Err(damaged("it is cut short")) };
        if format != FORMAT {
            return Err(damaged("its format is unknown"));
        }
        if flags & !FLAGS_KNOWN != 0 {
            return Err(damaged("its flags are unknown"));
        }
        if RowView::schema_version(bytes)? != layout.schema_version {
            return Err(damaged("it was written under another schema version"));
        }
        let is_wide = flags & FLAG_WIDE != 0;
        let variable_start = layout.variable_start(is_wide);
        if bytes.len() < variable_start {
            return Err(damaged("it is cut short"));
        }
        let row = RowView { layout, bytes, is_wide, variable_start };
        let mut previous = 0;
        for index in 0..layout.variable_count {
            let end = row.end(index);
            if end < previous {
                return Err(damaged("its offsets are out of order"));
            }
            previous = end;
        }
        let size = bytes.len() - variable_start;
        let has_tail = flags & FLAG_TAIL != 0;
        if previous > size || (!has_tail && previous != size) || (has_tail && previous == size) {
            return Err(damaged("its length does not fit its offsets"));
        }
        Ok(row)
    }

    /// The schema version a stored row was written under, to find its layout.
    #[inline]
    pub fn schema_version(bytes: &[u8]) -> Result<u16> {
        match bytes {
            [_, _, _, _, low, high, ..] => Ok(u16::from_le_bytes([*low, *high])),
            _ => Err(damaged("it is cut short")),
        }
    }

    pub fn slot(&self) -> u16 {
        u16::from_le_bytes(bytes_at(self.bytes, 2))
    }

    #[inline]
    pub fn is_null(&self, index: usize) -> bool {
        self.bytes.get(HEADER_SIZE + index / 8).is_none_or(|b| b >> (index % 8) & 1 == 1)
    }

    /// Where variable field `place` ends, from the start of the variable area.
    #[inline]
    fn end(&self, place: usize) -> usize {
        if self.is_wide {
            u32::from_le_bytes(bytes_at(self.bytes, self.layout.ends_start + place * 4)) as usize
        } else {
            usize::from(u16::from_le_bytes(bytes_at(self.bytes, self.layout.ends_start + place * 2)))
        }
    }

    /// The bytes of variable field `place`.
    #[inline]
    fn variable(&self, place: usize) -> &'a [u8] {
        let from = if place == 0 { 0 } else { self.end(place - 1) };
        self.bytes.get(self.variable_start + from..self.variable_start + self.end(place)).unwrap_or_default()
    }

    /// Whether a column lies in both rows, which are of one layout, with the same bytes.
    pub fn is_same_column(&self, other: &RowView<'_>, index: usize) -> bool {
        match (self.field(index), other.field(index)) {
            (None, None) => true,
            (Some(field), Some(_)) => match field.kind.width() {
                Some(width) => {
                    let place = field.place as usize..field.place as usize + width;
                    self.bytes.get(place.clone()) == other.bytes.get(place)
                }
                None => self.variable(field.place as usize) == other.variable(field.place as usize),
            },
            _ => false,
        }
    }

    /// A column that is not NULL, with where it lies.
    #[inline]
    fn field(&self, index: usize) -> Option<Field> {
        if self.is_null(index) { None } else { self.layout.fields.get(index).copied() }
    }

    /// One column, O(1). XX001 where a variable value's own form is damaged.
    pub fn column(&self, index: usize) -> Result<Datum> {
        let Some(Field { kind, place }) = self.field(index) else { return Ok(Datum::Null) };
        let place = place as usize;
        Ok(match kind {
            Kind::Text => Datum::Text(EcoString::from(text(self.variable(place))?)),
            Kind::Bytea => Datum::Bytea(Arc::from(self.variable(place))),
            Kind::Numeric => Datum::Numeric(decode_numeric(self.variable(place))?),
            Kind::Jsonb => Datum::Jsonb(Jsonb::from_stored(self.variable(place))?),
            Kind::Described => decode_described(self.variable(place))?,
            fixed => self.fixed(fixed, place),
        })
    }

    /// A fixed-width value; building it allocates nothing.
    #[inline]
    fn fixed(&self, kind: Kind, at: usize) -> Datum {
        let bytes = self.bytes;
        match kind {
            Kind::Bool => Datum::Bool(bytes_at::<1>(bytes, at) != [0]),
            Kind::Int2 => Datum::Int2(i16::from_le_bytes(bytes_at(bytes, at))),
            Kind::Int4 => Datum::Int4(i32::from_le_bytes(bytes_at(bytes, at))),
            Kind::Int8 => Datum::Int8(i64::from_le_bytes(bytes_at(bytes, at))),
            Kind::Float4 => Datum::Float4(f32::from_bits(u32::from_le_bytes(bytes_at(bytes, at)))),
            Kind::Float8 => Datum::Float8(f64::from_bits(u64::from_le_bytes(bytes_at(bytes, at)))),
            Kind::Date => Datum::Date(i32::from_le_bytes(bytes_at(bytes, at))),
            Kind::Time => Datum::Time(i64::from_le_bytes(bytes_at(bytes, at))),
            Kind::Timestamp => Datum::Timestamp(i64::from_le_bytes(bytes_at(bytes, at))),
            Kind::TimestampTz => Datum::TimestampTz(i64::from_le_bytes(bytes_at(bytes, at))),
            Kind::TimeTz => Datum::TimeTz(TimeTz {
                micros: i64::from_le_bytes(bytes_at(bytes, at)),
                zone_west_s: i32::from_le_bytes(bytes_at(bytes, at + 8)),
            }),
            Kind::Interval => Datum::Interval(Interval {
                micros: i64::from_le_bytes(bytes_at(bytes, at)),
                days: i32::from_le_bytes(bytes_at(bytes, at + 8)),
                months: i32::from_le_bytes(bytes_at(bytes, at + 12)),
            }),
            Kind::Uuid => Datum::Uuid(bytes_at(bytes, at)),
            Kind::Oid => Datum::Oid(u32::from_le_bytes(bytes_at(bytes, at))),
            Kind::Text | Kind::Bytea | Kind::Numeric | Kind::Jsonb | Kind::Described => Datum::Null,
        }
    }

    /// One column, in place. A text that is not UTF-8 is `Other`, and an error there.
    #[inline]
    pub fn stored(&self, index: usize) -> Stored<'a> {
        let Some(Field { kind, place }) = self.field(index) else { return Stored::Null };
        let (at, bytes) = (place as usize, self.bytes);
        match kind {
            Kind::Int4 | Kind::Date => Stored::Int(i64::from(i32::from_le_bytes(bytes_at(bytes, at)))),
            Kind::Int8 | Kind::Time | Kind::Timestamp | Kind::TimestampTz => {
                Stored::Int(i64::from_le_bytes(bytes_at(bytes, at)))
            }
            Kind::Text => match std::str::from_utf8(self.variable(at)) {
                Ok(text) => Stored::Text(text),
                Err(_) => Stored::Other,
            },
            Kind::Numeric => match value::small_numeric(self.variable(at)) {
                Some((mantissa, scale)) => Stored::Numeric { mantissa, scale },
                None => Stored::Other,
            },
            Kind::Float8 => Stored::Float(f64::from_bits(u64::from_le_bytes(bytes_at(bytes, at)))),
            Kind::Float4 => Stored::Float(f64::from(f32::from_bits(u32::from_le_bytes(bytes_at(bytes, at))))),
            Kind::Int2 => Stored::Int(i64::from(i16::from_le_bytes(bytes_at(bytes, at)))),
            Kind::Bool => Stored::Bool(bytes_at::<1>(bytes, at) != [0]),
            _ => Stored::Other,
        }
    }

    /// Any integer-like column (int2, int4, int8, oid, date, time, timestamp, timestamptz) widened; None for NULL and other types.
    #[inline]
    pub fn int(&self, index: usize) -> Option<i64> {
        let Field { kind, place } = self.field(index)?;
        let at = place as usize;
        Some(match kind {
            Kind::Int4 | Kind::Date => i64::from(i32::from_le_bytes(bytes_at(self.bytes, at))),
            Kind::Int8 | Kind::Time | Kind::Timestamp | Kind::TimestampTz => {
                i64::from_le_bytes(bytes_at(self.bytes, at))
            }
            Kind::Int2 => i64::from(i16::from_le_bytes(bytes_at(self.bytes, at))),
            Kind::Oid => i64::from(u32::from_le_bytes(bytes_at(self.bytes, at))),
            _ => return None,
        })
    }

    /// A float4 or float8 column; None for NULL and other types.
    #[inline]
    pub fn float(&self, index: usize) -> Option<f64> {
        let Field { kind, place } = self.field(index)?;
        match kind {
            Kind::Float8 => Some(f64::from_bits(u64::from_le_bytes(bytes_at(self.bytes, place as usize)))),
            Kind::Float4 => Some(f64::from(f32::from_bits(u32::from_le_bytes(bytes_at(self.bytes, place as usize))))),
            _ => None,
        }
    }

    /// A bool column; None for NULL and other types.
    #[inline]
    pub fn bool(&self, index: usize) -> Option<bool> {
        let Field { kind, place } = self.field(index)?;
        (kind == Kind::Bool).then(|| bytes_at::<1>(self.bytes, place as usize) != [0])
    }

    /// A column that is stored as text (text, varchar, bpchar, name, json, …), borrowed; None for NULL and other types.
    #[inline]
    pub fn str(&self, index: usize) -> Option<&'a str> {
        let Field { kind, place } = self.field(index)?;
        if kind == Kind::Text { std::str::from_utf8(self.variable(place as usize)).ok() } else { None }
    }

    /// The stored bytes of a text or bytea column, borrowed; None for NULL and other types.
    #[inline]
    pub fn bytes(&self, index: usize) -> Option<&'a [u8]> {
        let Field { kind, place } = self.field(index)?;
        matches!(kind, Kind::Text | Kind::Bytea).then(|| self.variable(place as usize))
    }

    /// A jsonb column, borrowed: one field of it is read without copying the rest. None for NULL and other types.
    pub fn json(&self, index: usize) -> Option<JsonbRef<'a>> {
        let Field { kind, place } = self.field(index)?;
        if kind == Kind::Jsonb { Some(JsonbRef::new(self.variable(place as usize))) } else { None }
    }

    /// Undeclared fields of an open collection's document, copied.
    pub fn tail(&self) -> Option<Jsonb> {
        self.tail_ref().map(|tail| tail.to_owned())
    }

    /// Undeclared fields of an open collection's document, borrowed.
    pub fn tail_ref(&self) -> Option<JsonbRef<'a>> {
        if self.bytes.get(1).is_none_or(|flags| flags & FLAG_TAIL == 0) {
            return None;
        }
        let from = match self.layout.variable_count {
            0 => 0,
            count => self.end(count - 1),
        };
        self.bytes.get(self.variable_start + from..).map(JsonbRef::new)
    }

    /// Appends a column's text form; nothing for NULL. Common types go from the row to the buffer without a datum.
    pub fn write_text(&self, index: usize, ty: SqlType, format: &FormatSettings, out: &mut Vec<u8>) -> Result<()> {
        let Some(Field { kind, place }) = self.field(index) else { return Ok(()) };
        let place = place as usize;
        match kind {
            Kind::Int4 => io::write_int(i64::from(i32::from_le_bytes(bytes_at(self.bytes, place))), out),
            Kind::Int2 => io::write_int(i64::from(i16::from_le_bytes(bytes_at(self.bytes, place))), out),
            Kind::Text => out.extend_from_slice(self.variable(place)),
            Kind::Bytea => io::bytea::write(self.variable(place), format.bytea_output, out),
            Kind::Jsonb => JsonbRef::new(self.variable(place)).write_text(out),
            Kind::Numeric => decode_numeric(self.variable(place))?.write(out),
            Kind::Described => io::output(ty, &decode_described(self.variable(place))?, format, out),
            fixed => io::output(ty, &self.fixed(fixed, place), format, out),
        }
        Ok(())
    }

    /// Appends a column's binary form (without a length); nothing for NULL.
    pub fn write_binary(&self, index: usize, ty: SqlType, format: &FormatSettings, out: &mut Vec<u8>) -> Result<()> {
        let Some(Field { kind, place }) = self.field(index) else { return Ok(()) };
        let place = place as usize;
        match kind {
            Kind::Int4 => out.extend_from_slice(&i32::from_le_bytes(bytes_at(self.bytes, place)).to_be_bytes()),
            Kind::Int8 if !user_type::is_enum(ty.oid) => {
                out.extend_from_slice(&i64::from_le_bytes(bytes_at(self.bytes, place)).to_be_bytes());
            }
            Kind::Int2 => out.extend_from_slice(&i16::from_le_bytes(bytes_at(self.bytes, place)).to_be_bytes()),
            // `bit` is text in a row and bits on the wire.
            Kind::Text if !matches!(ty.oid, oid::BIT | oid::VARBIT | oid::JSONPATH) => {
                out.extend_from_slice(self.variable(place));
            }
            Kind::Bytea => out.extend_from_slice(self.variable(place)),
            Kind::Jsonb => {
                out.push(io::JSONB_VERSION);
                JsonbRef::new(self.variable(place)).write_text(out);
            }
            _ => io::send(ty, &self.column(index)?, format, out)?,
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| damaged("a text is not UTF-8"))
}

#[cfg(test)]
mod tests;
