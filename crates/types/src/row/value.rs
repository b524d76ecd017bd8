//! The form of one variable-width value inside a row (and of a number inside a jsonb).
//!
//! - numeric: `[scale 0..=0x3F][mantissa, shortest little-endian two's complement]` for what fits an `i64`, so that
//!   12.50 takes three bytes; `[0xFE][scale u16][mantissa]` for longer scales; `[0xFF][PostgreSQL's binary form]` for the rest.
//! - self-described: `[tag][payload]`, lengths as LEB128. Arrays and records are made of such values.

use super::{damaged, text};
use crate::array::{Array, DIMENSIONS_MAX, Dimension};
use crate::datetime::{Interval, TimeTz};
use crate::json::Jsonb;
use crate::numeric::Numeric;
use crate::{Datum, Record, Result, SqlType};
use ecow::EcoString;
use std::sync::Arc;

const SCALE_INLINE_MAX: u16 = 0x3f;
const NUMERIC_LONG_SCALE: u8 = 0xfe;
const NUMERIC_WIRE: u8 = 0xff;

/// Records and arrays inside each other. Declared composite types nest a few levels; the bound keeps a damaged row off the stack.
const NESTING_MAX: usize = 500;

/// Appends a numeric, exact and with its display scale.
pub fn encode_numeric(value: &Numeric, out: &mut Vec<u8>) {
    match value {
        Numeric::Small { mantissa, scale } => {
            if *scale <= SCALE_INLINE_MAX {
                out.push(*scale as u8);
            } else {
                out.push(NUMERIC_LONG_SCALE);
                out.extend_from_slice(&scale.to_le_bytes());
            }
            let bytes = mantissa.to_le_bytes();
            out.extend_from_slice(&bytes[..signed_len(*mantissa)]);
        }
        other => {
            out.push(NUMERIC_WIRE);
            other.send(out);
        }
    }
}

/// Bytes of the shortest two's complement that holds `value`; 0 takes none.
fn signed_len(value: i64) -> usize {
    if value == 0 {
        return 0;
    }
    let magnitude = if value < 0 { !value } else { value };
    // One more bit for the sign.
    (64 - magnitude.leading_zeros() as usize) / 8 + 1
}

/// `(mantissa, scale)` of a numeric in the short form.
#[inline]
pub(super) fn small_numeric(bytes: &[u8]) -> Option<(i64, u16)> {
    let (scale, digits) = match bytes {
        [NUMERIC_LONG_SCALE, low, high, digits @ ..] => (u16::from_le_bytes([*low, *high]), digits),
        [scale, digits @ ..] if u16::from(*scale) <= SCALE_INLINE_MAX => (u16::from(*scale), digits),
        _ => return None,
    };
    let Some(last) = digits.last() else { return Some((0, scale)) };
    let mut mantissa = if last & 0x80 != 0 { [0xff; 8] } else { [0; 8] };
    mantissa.get_mut(..digits.len())?.copy_from_slice(digits);
    Some((i64::from_le_bytes(mantissa), scale))
}

/// Reads a numeric back. XX001 on damage.
pub fn decode_numeric(bytes: &[u8]) -> Result<Numeric> {
    if let Some((mantissa, scale)) = small_numeric(bytes) {
        return Ok(Numeric::Small { mantissa, scale });
    }
    match bytes {
        [NUMERIC_WIRE, wire @ ..] => Numeric::receive(wire).map_err(|_| damaged("a number is malformed")),
        _ => Err(damaged("a number is malformed")),
    }
}

/// Tags of self-described values. On disk: never renumber.
mod tag {
    pub const NULL: u8 = 0;
    pub const BOOL: u8 = 1;
    pub const INT2: u8 = 2;
    pub const INT4: u8 = 3;
    pub const INT8: u8 = 4;
    pub const FLOAT4: u8 = 5;
    pub const FLOAT8: u8 = 6;
    pub const NUMERIC: u8 = 7;
    pub const TEXT: u8 = 8;
    pub const BYTEA: u8 = 9;
    pub const DATE: u8 = 10;
    pub const TIME: u8 = 11;
    pub const TIMETZ: u8 = 12;
    pub const TIMESTAMP: u8 = 13;
    pub const TIMESTAMPTZ: u8 = 14;
    pub const INTERVAL: u8 = 15;
    pub const UUID: u8 = 16;
    pub const JSONB: u8 = 17;
    pub const OID: u8 = 18;
    pub const ARRAY: u8 = 19;
    pub const RECORD: u8 = 20;
}

fn put_len(mut len: usize, out: &mut Vec<u8>) {
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
}

fn put_sized(bytes: &[u8], out: &mut Vec<u8>) {
    put_len(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends any value with its representation, so that it can be read back without its type.
pub fn encode_described(value: &Datum, out: &mut Vec<u8>) {
    let fixed = |tag: u8, bytes: &[u8], out: &mut Vec<u8>| {
        out.push(tag);
        out.extend_from_slice(bytes);
    };
    match value {
        Datum::Null => out.push(tag::NULL),
        Datum::Bool(v) => fixed(tag::BOOL, &[u8::from(*v)], out),
        Datum::Int2(v) => fixed(tag::INT2, &v.to_le_bytes(), out),
        Datum::Int4(v) => fixed(tag::INT4, &v.to_le_bytes(), out),
        Datum::Int8(v) => fixed(tag::INT8, &v.to_le_bytes(), out),
        Datum::Float4(v) => fixed(tag::FLOAT4, &v.to_bits().to_le_bytes(), out),
        Datum::Float8(v) => fixed(tag::FLOAT8, &v.to_bits().to_le_bytes(), out),
        Datum::Date(v) => fixed(tag::DATE, &v.to_le_bytes(), out),
        Datum::Time(v) => fixed(tag::TIME, &v.to_le_bytes(), out),
        Datum::Timestamp(v) => fixed(tag::TIMESTAMP, &v.to_le_bytes(), out),
        Datum::TimestampTz(v) => fixed(tag::TIMESTAMPTZ, &v.to_le_bytes(), out),
        Datum::Uuid(v) => fixed(tag::UUID, v, out),
        Datum::Oid(v) => fixed(tag::OID, &v.to_le_bytes(), out),
        Datum::TimeTz(v) => {
            let (micros, zone) = (v.micros, v.zone_west_s);
            fixed(tag::TIMETZ, &micros.to_le_bytes(), out);
            out.extend_from_slice(&zone.to_le_bytes());
        }
        Datum::Interval(v) => {
            fixed(tag::INTERVAL, &v.micros.to_le_bytes(), out);
            out.extend_from_slice(&v.days.to_le_bytes());
            out.extend_from_slice(&v.months.to_le_bytes());
        }
        Datum::Numeric(v) => {
            out.push(tag::NUMERIC);
            let mut bytes = Vec::with_capacity(12);
            encode_numeric(v, &mut bytes);
            put_sized(&bytes, out);
        }
        Datum::Text(v) => {
            out.push(tag::TEXT);
            put_sized(v.as_bytes(), out);
        }
        Datum::Bytea(v) => {
            out.push(tag::BYTEA);
            put_sized(v, out);
        }
        Datum::Jsonb(v) => {
            out.push(tag::JSONB);
            put_sized(v.as_bytes(), out);
        }
        Datum::Array(array) => {
            fixed(tag::ARRAY, &array.element.to_le_bytes(), out);
            out.push(array.dims.len() as u8);
            for dimension in &array.dims {
                out.extend_from_slice(&dimension.len.to_le_bytes());
                out.extend_from_slice(&dimension.lower.to_le_bytes());
            }
            put_len(array.values.len(), out);
            array.values.iter().for_each(|value| encode_described(value, out));
        }
        Datum::Record(record) => {
            out.push(tag::RECORD);
            put_len(record.values.len(), out);
            for (index, value) in record.values.iter().enumerate() {
                let ty = record.types.get(index).copied().unwrap_or(SqlType::UNKNOWN);
                out.extend_from_slice(&ty.oid.to_le_bytes());
                out.extend_from_slice(&ty.typmod.to_le_bytes());
                put_sized(record.names.get(index).map_or(&[], |name| name.as_bytes()), out);
                encode_described(value, out);
            }
        }
    }
}

/// Reads a self-described value that fills `bytes`. XX001 on damage.
pub fn decode_described(bytes: &[u8]) -> Result<Datum> {
    let mut input = bytes;
    let value = described(&mut input, NESTING_MAX)?;
    if input.is_empty() { Ok(value) } else { Err(damaged("a value has bytes left over")) }
}

fn take<'a>(input: &mut &'a [u8], len: usize) -> Result<&'a [u8]> {
    let (head, rest) = input.split_at_checked(len).ok_or_else(|| damaged("a value is cut short"))?;
    *input = rest;
    Ok(head)
}

fn take_array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N]> {
    take(input, N)?.try_into().map_err(|_| damaged("a value is cut short"))
}

fn take_len(input: &mut &[u8]) -> Result<usize> {
    let mut len = 0_u64;
    for shift in (0..35).step_by(7) {
        let [byte] = take_array::<1>(input)?;
        len |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return usize::try_from(len).map_err(|_| damaged("a length is too great"));
        }
    }
    Err(damaged("a length is too great"))
}

fn take_sized<'a>(input: &mut &'a [u8]) -> Result<&'a [u8]> {
    let len = take_len(input)?;
    take(input, len)
}

fn described(input: &mut &[u8], depth: usize) -> Result<Datum> {
    let Some(depth) = depth.checked_sub(1) else { return Err(damaged("values nest too deeply")) };
    let [tag] = take_array::<1>(input)?;
    Ok(match tag {
        tag::NULL => Datum::Null,
        tag::BOOL => Datum::Bool(take_array::<1>(input)? != [0]),
        tag::INT2 => Datum::Int2(i16::from_le_bytes(take_array(input)?)),
        tag::INT4 => Datum::Int4(i32::from_le_bytes(take_array(input)?)),
        tag::INT8 => Datum::Int8(i64::from_le_bytes(take_array(input)?)),
        tag::FLOAT4 => Datum::Float4(f32::from_bits(u32::from_le_bytes(take_array(input)?))),
        tag::FLOAT8 => Datum::Float8(f64::from_bits(u64::from_le_bytes(take_array(input)?))),
        tag::DATE => Datum::Date(i32::from_le_bytes(take_array(input)?)),
        tag::TIME => Datum::Time(i64::from_le_bytes(take_array(input)?)),
        tag::TIMESTAMP => Datum::Timestamp(i64::from_le_bytes(take_array(input)?)),
        tag::TIMESTAMPTZ => Datum::TimestampTz(i64::from_le_bytes(take_array(input)?)),
        tag::UUID => Datum::Uuid(take_array(input)?),
        tag::OID => Datum::Oid(u32::from_le_bytes(take_array(input)?)),
        tag::TIMETZ => Datum::TimeTz(TimeTz {
            micros: i64::from_le_bytes(take_array(input)?),
            zone_west_s: i32::from_le_bytes(take_array(input)?),
        }),
        tag::INTERVAL => Datum::Interval(Interval {
            micros: i64::from_le_bytes(take_array(input)?),
            days: i32::from_le_bytes(take_array(input)?),
            months: i32::from_le_bytes(take_array(input)?),
        }),
        tag::NUMERIC => Datum::Numeric(decode_numeric(take_sized(input)?)?),
        tag::TEXT => Datum::Text(EcoString::from(text(take_sized(input)?)?)),
        tag::BYTEA => Datum::Bytea(Arc::from(take_sized(input)?)),
        tag::JSONB => Datum::Jsonb(Jsonb::from_stored(take_sized(input)?)?),
        tag::ARRAY => Datum::Array(Arc::new(array(input, depth)?)),
        tag::RECORD => Datum::Record(Arc::new(record(input, depth)?)),
        _ => return Err(damaged("a value's tag is unknown")),
    })
}

fn array(input: &mut &[u8], depth: usize) -> Result<Array> {
    let element = u32::from_le_bytes(take_array(input)?);
    let [dimensions] = take_array::<1>(input)?;
    if usize::from(dimensions) > DIMENSIONS_MAX {
        return Err(damaged("an array has too many dimensions"));
    }
    let mut dims = Vec::with_capacity(usize::from(dimensions));
    for _ in 0..dimensions {
        let len = i32::from_le_bytes(take_array(input)?);
        let lower = i32::from_le_bytes(take_array(input)?);
        dims.push(Dimension { len, lower });
    }
    let count = take_len(input)?;
    let product = dims.iter().try_fold(1_usize, |product, d| product.checked_mul(usize::try_from(d.len).ok()?));
    // A value takes a byte at least, so this also keeps a damaged count from reserving memory.
    if count > input.len() || product != Some(if dims.is_empty() { 1 } else { count }) || dims.is_empty() && count != 0
    {
        return Err(damaged("an array's dimensions do not fit its values"));
    }
    let values = (0..count).map(|_| described(input, depth)).collect::<Result<Vec<Datum>>>()?;
    Ok(Array { element, dims, values })
}

fn record(input: &mut &[u8], depth: usize) -> Result<Record> {
    let count = take_len(input)?;
    if count > input.len() {
        return Err(damaged("a record is cut short"));
    }
    let mut record = Record { types: Vec::with_capacity(count), names: Vec::new(), values: Vec::with_capacity(count) };
    for _ in 0..count {
        let oid = u32::from_le_bytes(take_array(input)?);
        let typmod = i32::from_le_bytes(take_array(input)?);
        record.types.push(SqlType { oid, typmod });
        record.names.push(EcoString::from(text(take_sized(input)?)?));
        record.values.push(described(input, depth)?);
    }
    if record.names.iter().all(|name| name.is_empty()) {
        record.names.clear();
    }
    Ok(record)
}
