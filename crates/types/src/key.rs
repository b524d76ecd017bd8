//! Order-preserving keys: byte order of encodings is SQL order of values; self-delimiting and prefix-free, so a
//! composite key is a concatenation and its prefix a range.
//!
//! I1  `encode(a) < encode(b)` by bytes exactly if `compare(a, b)` is Less, and equal bytes exactly if it is Equal.
//! I2  No encoding is a prefix of another of the same type and order.
//! I3  This form is on disks. It never changes.
//!
//! ```text
//! value      = [00 | FF]               NULL: first or last, whatever the direction
//!            | 80 body                 DESC: all bytes of the body inverted
//! bool       = 00 | 01
//! int2/4/8, date, time, timestamp(tz), money : big-endian, sign bit flipped
//! oid, reg*, pg_lsn, xid8   : big-endian
//! float4/8   : IEEE bits big-endian; sign bit flipped if positive, all flipped if negative; one NaN, one zero
//! timetz     : UTC instant as int8, zone as int4      interval : comparison value as 10 bytes, sign flipped
//! uuid       : 16 bytes
//! text, bytea: bytes with 00 -> 00 FF, then 00 00     bpchar: without trailing blanks
//! numeric    : 01 -Infinity | 02 negative | 03 zero | 04 positive | 05 Infinity | 06 NaN
//!              positive: weight of the first base-10,000 digit + 8000h as u16; the digits, each as two bytes of
//!              (two decimal digits + 1), trailing 01 dropped; 00.   negative: the same inverted
//! array      : each element as a value (ASC NULLS LAST), 00, number of dimensions, lengths (not of one), lower bounds
//! oidvector  : length first, then as array      record, jsonb: columns resp. nodes in a row, escaped as bytea
//! ```
//!
//! Equality rules here: '1 month' and '30 days' are one interval key, 1.0 and 1.00 one numeric key, so that a unique
//! index means what PostgreSQL's means.

use crate::array::{Array, DIMENSIONS_MAX, Dimension};
use crate::datetime::TimeTz;
use crate::numeric::Numeric;
use crate::{Datum, Result, SqlError, SqlState, SqlType, builtin, compare, hash, oid, user_type};
use std::sync::Arc;

/// Direction of one key column. PostgreSQL's defaults: ASC NULLS LAST, DESC NULLS FIRST.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct KeyOrder {
    pub descending: bool,
    pub nulls_first: bool,
}

impl KeyOrder {
    pub const ASC: KeyOrder = KeyOrder { descending: false, nulls_first: false };
    pub const DESC: KeyOrder = KeyOrder { descending: true, nulls_first: true };
}

const TAG_NULL_FIRST: u8 = 0x00;
const TAG_VALUE: u8 = 0x80;
const TAG_NULL_LAST: u8 = 0xFF;
/// Ends the elements of an array; below every value's tag, so that the shorter array is less.
const END: u8 = 0x00;

const NUMERIC_NEG_INFINITY: u8 = 1;
const NUMERIC_NEGATIVE: u8 = 2;
const NUMERIC_ZERO: u8 = 3;
const NUMERIC_POSITIVE: u8 = 4;
const NUMERIC_POS_INFINITY: u8 = 5;
const NUMERIC_NAN: u8 = 6;

/// Appends the key of one value (NULL included).
#[inline]
pub fn encode(ty: SqlType, value: &Datum, order: KeyOrder, out: &mut Vec<u8>) {
    if value.is_null() {
        out.push(if order.nulls_first { TAG_NULL_FIRST } else { TAG_NULL_LAST });
        return;
    }
    out.push(TAG_VALUE);
    let start = out.len();
    encode_body(ty, value, out);
    if order.descending {
        out.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
    }
}

fn encode_body(ty: SqlType, value: &Datum, out: &mut Vec<u8>) {
    match value {
        Datum::Null => {}
        Datum::Bool(v) => out.push(u8::from(*v)),
        Datum::Int2(v) => out.extend_from_slice(&(*v as u16 ^ 0x8000).to_be_bytes()),
        Datum::Int4(v) | Datum::Date(v) => out.extend_from_slice(&flip4(*v)),
        Datum::Int8(v) if compare::is_unsigned(ty) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Int8(v) | Datum::Time(v) | Datum::Timestamp(v) | Datum::TimestampTz(v) => {
            out.extend_from_slice(&flip8(*v));
        }
        Datum::Oid(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Float4(v) => out.extend_from_slice(&float4_bytes(*v)),
        Datum::Float8(v) => out.extend_from_slice(&float8_bytes(*v)),
        Datum::Numeric(v) => encode_numeric(v, out),
        Datum::Text(v) if ty.oid == oid::BPCHAR => encode_bytes(compare::without_blanks(v).as_bytes(), out),
        Datum::Text(v) => encode_bytes(v.as_bytes(), out),
        Datum::Bytea(v) => encode_bytes(v, out),
        Datum::TimeTz(v) => {
            let (instant, zone) = compare::timetz_order(*v);
            out.extend_from_slice(&flip8(instant));
            out.extend_from_slice(&flip4(zone));
        }
        Datum::Interval(v) => {
            // At most 2^73 in size: the low 80 bits hold it.
            let flipped = compare::interval_order(*v) ^ (1 << 79);
            out.extend(flipped.to_be_bytes().iter().skip(6));
        }
        Datum::Uuid(v) => out.extend_from_slice(v),
        Datum::Array(v) => encode_array(ty, v, out),
        Datum::Jsonb(v) => {
            let mut ordered = Vec::with_capacity(v.as_bytes().len() + 16);
            v.as_ref().write_ordered(&mut ordered);
            encode_bytes(&ordered, out);
        }
        Datum::Record(v) => {
            let mut inner = Vec::new();
            for (value, ty) in v.values.iter().zip(&v.types) {
                encode(*ty, value, KeyOrder::ASC, &mut inner);
            }
            inner.push(END);
            encode_bytes(&inner, out);
        }
    }
}

fn flip4(value: i32) -> [u8; 4] {
    (value as u32 ^ 1 << 31).to_be_bytes()
}

fn flip8(value: i64) -> [u8; 8] {
    (value as u64 ^ 1 << 63).to_be_bytes()
}

/// Positive floats order as their bits do, negative ones the other way round.
fn float8_bytes(value: f64) -> [u8; 8] {
    let bits = match value {
        v if v.is_nan() => 0x7FF8_0000_0000_0000,
        0.0 => 0,
        v => v.to_bits(),
    };
    (if bits >> 63 == 1 { !bits } else { bits ^ 1 << 63 }).to_be_bytes()
}

fn float4_bytes(value: f32) -> [u8; 4] {
    let bits = match value {
        v if v.is_nan() => 0x7FC0_0000,
        0.0 => 0,
        v => v.to_bits(),
    };
    (if bits >> 31 == 1 { !bits } else { bits ^ 1 << 31 }).to_be_bytes()
}

/// Appends bytes so that they end themselves: 00 becomes 00 FF, the end is 00 00.
pub fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let mut parts = bytes.split(|byte| *byte == 0);
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        out.extend_from_slice(&[0x00, 0xFF]);
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&[0x00, 0x00]);
}

fn encode_numeric(value: &Numeric, out: &mut Vec<u8>) {
    match value {
        Numeric::NegInfinity => return out.push(NUMERIC_NEG_INFINITY),
        Numeric::PosInfinity => return out.push(NUMERIC_POS_INFINITY),
        Numeric::NaN => return out.push(NUMERIC_NAN),
        zero if zero.is_zero() => return out.push(NUMERIC_ZERO),
        _ => {}
    }
    out.push(if value.is_negative() { NUMERIC_NEGATIVE } else { NUMERIC_POSITIVE });
    let start = out.len();
    value.for_each_group(|weight, group| {
        if out.len() == start {
            out.extend_from_slice(&(weight as u16 ^ 0x8000).to_be_bytes());
        }
        out.extend_from_slice(&[(group / 100) as u8 + 1, (group % 100) as u8 + 1]);
    });
    // Zeros at the end say nothing; without them equal values are equal bytes.
    while out.len() > start + 3 && out.last() == Some(&1) {
        out.pop();
    }
    out.push(END);
    if value.is_negative() {
        out.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
    }
}

fn encode_array(ty: SqlType, array: &Array, out: &mut Vec<u8>) {
    if ty.oid == oid::OIDVECTOR {
        out.extend_from_slice(&(array.values.len() as u32).to_be_bytes());
    }
    let element = SqlType::new(array.element);
    for value in &array.values {
        encode(element, value, KeyOrder::ASC, out);
    }
    out.push(END);
    out.push(array.dims.len() as u8);
    // The length of a single dimension is the number of elements, which the reader has counted.
    for dimension in array.dims.iter().filter(|_| array.dims.len() > 1) {
        out.extend_from_slice(&flip4(dimension.len));
    }
    for dimension in &array.dims {
        out.extend_from_slice(&flip4(dimension.lower));
    }
}

/// Reads value by value, turning the bytes of a descending key back.
struct Reader<'a, 'b> {
    input: &'a mut &'b [u8],
    mask: u8,
}

impl Reader<'_, '_> {
    fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.input.split_first().ok_or_else(truncated)?;
        *self.input = rest;
        Ok(first ^ self.mask)
    }

    fn peek(&self) -> Result<u8> {
        self.input.first().map(|byte| byte ^ self.mask).ok_or_else(truncated)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.input.split_first_chunk::<N>().ok_or_else(truncated)?;
        *self.input = rest;
        Ok(first.map(|byte| byte ^ self.mask))
    }

    fn skip(&mut self, count: usize) -> Result<()> {
        *self.input = self.input.get(count..).ok_or_else(truncated)?;
        Ok(())
    }

    fn int4(&mut self) -> Result<i32> {
        Ok((u32::from_be_bytes(self.array()?) ^ 1 << 31) as i32)
    }

    fn int8(&mut self) -> Result<i64> {
        Ok((u64::from_be_bytes(self.array()?) ^ 1 << 63) as i64)
    }

    /// The bytes that `encode_bytes` wrote, without its escapes.
    fn bytes(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let byte = self.byte()?;
            if byte != 0 {
                bytes.push(byte);
                continue;
            }
            match self.byte()? {
                0x00 => return Ok(bytes),
                0xFF => bytes.push(0),
                _ => return Err(corrupted()),
            }
        }
    }

    fn skip_bytes(&mut self) -> Result<()> {
        loop {
            let zero = self.input.iter().position(|byte| *byte == self.mask).ok_or_else(truncated)?;
            self.skip(zero + 1)?;
            match self.byte()? {
                0x00 => return Ok(()),
                0xFF => {}
                _ => return Err(corrupted()),
            }
        }
    }

    /// The tag before a value's body: whether there is a body.
    fn tag(input: &mut &[u8]) -> Result<bool> {
        let (first, rest) = input.split_first().ok_or_else(truncated)?;
        *input = rest;
        match *first {
            TAG_VALUE => Ok(true),
            TAG_NULL_FIRST | TAG_NULL_LAST => Ok(false),
            _ => Err(corrupted()),
        }
    }
}

fn truncated() -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, "a key ends in the middle of a value")
}

fn corrupted() -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, "a key holds a byte that no encoding writes")
}

/// How the key of a type is laid out, where the type alone must tell (reading).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Unsigned8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Bpchar,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    TimeTz,
    Interval,
    Uuid,
    Array,
    OidVector,
    Jsonb,
    Record,
}

fn form(ty: SqlType) -> Result<Form> {
    Ok(match ty.oid {
        oid::BOOL => Form::Bool,
        oid::INT2 => Form::Int2,
        oid::INT4 => Form::Int4,
        oid::INT8 | oid::MONEY => Form::Int8,
        oid::PG_LSN | oid::XID8 => Form::Unsigned8,
        oid::OID | oid::XID | oid::CID | oid::REGPROC | oid::REGPROCEDURE | oid::REGOPER | oid::REGOPERATOR => {
            Form::Oid
        }
        oid::REGCLASS | oid::REGTYPE | oid::REGROLE | oid::REGNAMESPACE | oid::REGCONFIG => Form::Oid,
        oid::REGDICTIONARY | oid::REGCOLLATION => Form::Oid,
        oid::FLOAT4 => Form::Float4,
        oid::FLOAT8 => Form::Float8,
        oid::NUMERIC => Form::Numeric,
        oid::TEXT | oid::VARCHAR | oid::NAME | oid::CHAR | oid::BIT | oid::VARBIT | oid::UNKNOWN => Form::Text,
        oid::CSTRING | oid::REFCURSOR | oid::ACLITEM | oid::JSON | oid::XML | oid::JSONPATH => Form::Text,
        oid::BPCHAR => Form::Bpchar,
        // Their bytes are made to be compared.
        oid::BYTEA | oid::INET | oid::CIDR | oid::MACADDR | oid::MACADDR8 => Form::Bytea,
        oid::DATE => Form::Date,
        oid::TIME => Form::Time,
        oid::TIMESTAMP => Form::Timestamp,
        oid::TIMESTAMPTZ => Form::TimestampTz,
        oid::TIMETZ => Form::TimeTz,
        oid::INTERVAL => Form::Interval,
        oid::UUID => Form::Uuid,
        oid::JSONB => Form::Jsonb,
        oid::OIDVECTOR => Form::OidVector,
        oid::INT2VECTOR => Form::Array,
        oid::RECORD => Form::Record,
        _ if ty.is_array() => Form::Array,
        user if user_type::is_enum(user) => Form::Int8,
        // Composite types of relations: a record's key tells its own end.
        user if builtin::type_by_oid(user).is_none() => Form::Record,
        _ => return Err(no_key(ty)),
    })
}

fn no_key(ty: SqlType) -> SqlError {
    SqlError::unsupported(format!("type {} cannot be read from an index key", crate::typename::display(ty)))
}

fn element_type(ty: SqlType) -> SqlType {
    match ty.oid {
        oid::OIDVECTOR => SqlType::OID,
        oid::INT2VECTOR => SqlType::INT2,
        _ => ty.element().unwrap_or(SqlType::UNKNOWN),
    }
}

/// Reads one value back and advances `input`. Only types for which `is_decodable` keep everything in the key
/// (numeric loses its display scale, bpchar its blanks, float -0 its sign, interval its parts, jsonb its numbers' scales).
/// 0A000 for interval, jsonb and records, whose keys hold too little; XX001 for bytes that are no key.
pub fn decode(ty: SqlType, order: KeyOrder, input: &mut &[u8]) -> Result<Datum> {
    if !Reader::tag(input)? {
        return Ok(Datum::Null);
    }
    decode_body(ty, &mut Reader { input, mask: if order.descending { 0xFF } else { 0 } })
}

fn decode_body(ty: SqlType, reader: &mut Reader<'_, '_>) -> Result<Datum> {
    let text = |bytes: Vec<u8>| Ok(Datum::text(String::from_utf8(bytes).map_err(|_| corrupted())?));
    Ok(match form(ty)? {
        Form::Bool => match reader.byte()? {
            0 => Datum::Bool(false),
            1 => Datum::Bool(true),
            _ => return Err(corrupted()),
        },
        Form::Int2 => Datum::Int2((u16::from_be_bytes(reader.array()?) ^ 0x8000) as i16),
        Form::Int4 => Datum::Int4(reader.int4()?),
        Form::Int8 => Datum::Int8(reader.int8()?),
        Form::Unsigned8 => Datum::Int8(i64::from_be_bytes(reader.array()?)),
        Form::Oid => Datum::Oid(u32::from_be_bytes(reader.array()?)),
        Form::Float4 => {
            let bits = u32::from_be_bytes(reader.array()?);
            Datum::Float4(f32::from_bits(if bits >> 31 == 1 { bits ^ 1 << 31 } else { !bits }))
        }
        Form::Float8 => {
            let bits = u64::from_be_bytes(reader.array()?);
            Datum::Float8(f64::from_bits(if bits >> 63 == 1 { bits ^ 1 << 63 } else { !bits }))
        }
        Form::Numeric => Datum::Numeric(decode_numeric(reader)?),
        Form::Text | Form::Bpchar => text(reader.bytes()?)?,
        Form::Bytea => Datum::bytea(reader.bytes()?),
        Form::Date => Datum::Date(reader.int4()?),
        Form::Time => Datum::Time(reader.int8()?),
        Form::Timestamp => Datum::Timestamp(reader.int8()?),
        Form::TimestampTz => Datum::TimestampTz(reader.int8()?),
        Form::TimeTz => {
            let (instant, zone_west_s) = (reader.int8()?, reader.int4()?);
            let micros = instant.saturating_sub(i64::from(zone_west_s) * 1_000_000);
            Datum::TimeTz(TimeTz { micros, zone_west_s })
        }
        Form::Uuid => Datum::Uuid(reader.array()?),
        Form::Array => decode_array(element_type(ty), reader)?,
        Form::OidVector => {
            reader.skip(4)?;
            decode_array(SqlType::OID, reader)?
        }
        Form::Interval | Form::Jsonb | Form::Record => return Err(no_key(ty)),
    })
}

fn decode_numeric(reader: &mut Reader<'_, '_>) -> Result<Numeric> {
    let negative = match reader.byte()? {
        NUMERIC_NEG_INFINITY => return Ok(Numeric::NegInfinity),
        NUMERIC_POS_INFINITY => return Ok(Numeric::PosInfinity),
        NUMERIC_NAN => return Ok(Numeric::NaN),
        NUMERIC_ZERO => return Ok(Numeric::ZERO),
        NUMERIC_NEGATIVE => true,
        NUMERIC_POSITIVE => false,
        _ => return Err(corrupted()),
    };
    let mut reader = Reader { mask: reader.mask ^ if negative { 0xFF } else { 0 }, input: reader.input };
    let weight = (u16::from_be_bytes(reader.array()?) ^ 0x8000) as i16;
    let mut digits = Vec::new();
    loop {
        match reader.byte()? {
            END => break,
            pair @ 1..=100 => digits.extend_from_slice(&[(pair - 1) / 10, (pair - 1) % 10]),
            _ => return Err(corrupted()),
        }
    }
    Numeric::from_digits(negative, &digits, i64::from(weight) * 4 + 3).map_err(|_| corrupted())
}

fn decode_array(element: SqlType, reader: &mut Reader<'_, '_>) -> Result<Datum> {
    let mut values = Vec::new();
    while reader.peek()? != END {
        values.push(match reader.byte()? {
            TAG_VALUE => decode_body(element, reader)?,
            TAG_NULL_LAST => Datum::Null,
            _ => return Err(corrupted()),
        });
    }
    reader.byte()?;
    let count = usize::from(reader.byte()?);
    if count > DIMENSIONS_MAX {
        return Err(corrupted());
    }
    let mut dims = vec![Dimension { len: values.len() as i32, lower: 1 }; count];
    if count > 1 {
        for dimension in &mut dims {
            dimension.len = reader.int4()?;
        }
    }
    for dimension in &mut dims {
        dimension.lower = reader.int4()?;
    }
    Ok(Datum::Array(Arc::new(Array { element: element.oid, dims, values })))
}

/// Advances past one encoded value without building it.
pub fn skip(ty: SqlType, order: KeyOrder, input: &mut &[u8]) -> Result<()> {
    if !Reader::tag(input)? {
        return Ok(());
    }
    skip_body(ty, &mut Reader { input, mask: if order.descending { 0xFF } else { 0 } })
}

fn skip_body(ty: SqlType, reader: &mut Reader<'_, '_>) -> Result<()> {
    match form(ty)? {
        Form::Bool => reader.skip(1),
        Form::Int2 => reader.skip(2),
        Form::Int4 | Form::Oid | Form::Float4 | Form::Date => reader.skip(4),
        Form::Int8 | Form::Unsigned8 | Form::Float8 | Form::Time | Form::Timestamp | Form::TimestampTz => {
            reader.skip(8)
        }
        Form::TimeTz => reader.skip(12),
        Form::Interval => reader.skip(10),
        Form::Uuid => reader.skip(16),
        Form::Numeric => skip_numeric(reader),
        Form::Text | Form::Bpchar | Form::Bytea | Form::Jsonb | Form::Record => reader.skip_bytes(),
        Form::Array => skip_array(element_type(ty), reader),
        Form::OidVector => {
            reader.skip(4)?;
            skip_array(SqlType::OID, reader)
        }
    }
}

fn skip_numeric(reader: &mut Reader<'_, '_>) -> Result<()> {
    let end = match reader.byte()? {
        NUMERIC_POSITIVE => reader.mask,
        NUMERIC_NEGATIVE => !reader.mask,
        _ => return Ok(()),
    };
    // The weight may hold the end's byte; digits do not.
    reader.skip(2)?;
    let digits = reader.input.iter().position(|byte| *byte == end).ok_or_else(truncated)?;
    reader.skip(digits + 1)
}

fn skip_array(element: SqlType, reader: &mut Reader<'_, '_>) -> Result<()> {
    loop {
        match reader.byte()? {
            END => break,
            TAG_VALUE => skip_body(element, reader)?,
            TAG_NULL_LAST => {}
            _ => return Err(corrupted()),
        }
    }
    match usize::from(reader.byte()?) {
        0 => Ok(()),
        1 => reader.skip(4),
        count => reader.skip(count * 8),
    }
}

/// Whether `decode` gives back exactly what was encoded.
pub fn is_decodable(ty: SqlType) -> bool {
    match form(ty) {
        Err(_) => false,
        Ok(Form::Array) => is_decodable(element_type(ty)),
        Ok(Form::Numeric | Form::Bpchar | Form::Float4 | Form::Float8) => false,
        Ok(Form::Interval | Form::Jsonb | Form::Record) => false,
        Ok(_) => true,
    }
}

/// The smallest byte string greater than every string with this prefix; None if there is none (all 0xFF).
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// Hash slots of the whole key space.
pub const SLOTS: u16 = 16_384;

/// The slot of a row: a stable hash (`hash`, seed 0, its top 14 bits) of its encoded distribution columns.
pub fn slot(encoded: &[u8]) -> u16 {
    let mut hasher = hash::Hasher64::new(0);
    hasher.write_bytes(encoded);
    (hasher.finish() >> 50) as u16
}

#[cfg(test)]
mod tests;
