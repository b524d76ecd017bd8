//! Order, equality and hashes of values, as PostgreSQL's default btree and hash operator classes have them.
//!
//! Promises: `compare` is a total order per type; two values hash alike if they compare equal (tested by property in
//! `key`); integers of all widths hash alike, and so do the floats, so that joins across them may use the hash.
//! How: a datum's variant mostly tells the order; the type is asked only where it does not (`bpchar`, unsigned
//! `pg_lsn` and `xid8`, `oidvector`).

use crate::array::Array;
use crate::datetime::{Interval, TimeTz};
use crate::hash::Hasher64;
use crate::key::KeyOrder;
use crate::typename;
use crate::{Datum, Record, Result, SqlError, SqlState, SqlType, oid, stop};
use std::cmp::Ordering;
use std::convert::Infallible;

/// Two elements of arrays that are compared.
const ELEMENT_WORK: usize = 8;

/// Compares two non-NULL values of one type. NaN is greatest; text by bytes; bpchar without trailing blanks;
/// arrays and records element by element (their NULLs last and equal). A NULL given all the same is last.
#[inline]
pub fn compare(ty: SqlType, a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Int4(a), Datum::Int4(b)) => a.cmp(b),
        (Datum::Int8(a), Datum::Int8(b)) if is_unsigned(ty) => (*a as u64).cmp(&(*b as u64)),
        (Datum::Int8(a), Datum::Int8(b)) => a.cmp(b),
        (Datum::Text(a), Datum::Text(b)) if ty.oid == oid::BPCHAR => {
            without_blanks(a).as_bytes().cmp(without_blanks(b).as_bytes())
        }
        (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => compare_others(ty, a, b),
    }
}

fn compare_others(ty: SqlType, a: &Datum, b: &Datum) -> Ordering {
    use Datum::*;
    match (a, b) {
        (Bool(a), Bool(b)) => a.cmp(b),
        (Int2(a), Int2(b)) => a.cmp(b),
        (Float4(a), Float4(b)) => compare_floats(f64::from(*a), f64::from(*b)),
        (Float8(a), Float8(b)) => compare_floats(*a, *b),
        (Numeric(a), Numeric(b)) => a.cmp(b),
        (Bytea(a), Bytea(b)) => a.cmp(b),
        (Date(a), Date(b)) => a.cmp(b),
        (Time(a), Time(b)) | (Timestamp(a), Timestamp(b)) | (TimestampTz(a), TimestampTz(b)) => a.cmp(b),
        (TimeTz(a), TimeTz(b)) => timetz_order(*a).cmp(&timetz_order(*b)),
        (Interval(a), Interval(b)) => interval_order(*a).cmp(&interval_order(*b)),
        (Uuid(a), Uuid(b)) => a.cmp(b),
        (Oid(a), Oid(b)) => a.cmp(b),
        (Jsonb(a), Jsonb(b)) => a.compare(b),
        (Array(a), Array(b)) if ty.oid == oid::OIDVECTOR => {
            a.values.len().cmp(&b.values.len()).then_with(|| compare_arrays(a, b))
        }
        (Array(a), Array(b)) => compare_arrays(a, b),
        (Record(a), Record(b)) => compare_records(a, b),
        (Null, Null) => Ordering::Equal,
        (Null, _) => Ordering::Greater,
        (_, Null) => Ordering::Less,
        // Values of two representations: the binder never lets this happen. Any total order will do.
        (a, b) => {
            debug_assert!(false, "comparing {a:?} with {b:?}");
            rank(a).cmp(&rank(b))
        }
    }
}

/// Compares two values, NULLs included, as an ORDER BY or index column with this direction does.
#[inline]
pub fn compare_ordered(ty: SqlType, order: KeyOrder, a: &Datum, b: &Datum) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (false, false) if order.descending => compare(ty, b, a),
        (false, false) => compare(ty, a, b),
        (true, true) => Ordering::Equal,
        (a_is_null, _) => {
            if a_is_null == order.nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
    }
}

/// 42804 if two arrays or records cannot be compared: other element types, or other columns. `compare` itself
/// cannot fail, so operators on `anyarray` and `record` ask this first.
pub fn check_comparable(a: &Datum, b: &Datum) -> Result<()> {
    match (a, b) {
        (Datum::Array(a), Datum::Array(b)) if a.element != b.element => {
            Err(SqlError::new(SqlState::DATATYPE_MISMATCH, "cannot compare arrays of different element types"))
        }
        (Datum::Record(a), Datum::Record(b)) => check_comparable_records(a, b),
        _ => Ok(()),
    }
}

fn check_comparable_records(a: &Record, b: &Record) -> Result<()> {
    for (i, (x, y)) in a.types.iter().zip(&b.types).enumerate() {
        if x.oid != y.oid {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "cannot compare dissimilar column types {} and {} at record column {}",
                    typename::display(*x),
                    typename::display(*y),
                    i + 1
                ),
            ));
        }
    }
    for (x, y) in a.values.iter().zip(&b.values) {
        check_comparable(x, y)?;
    }
    if a.values.len() != b.values.len() {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            "cannot compare record types with different numbers of columns",
        ));
    }
    Ok(())
}

/// Types whose `Int8` representation holds an unsigned number.
pub(crate) fn is_unsigned(ty: SqlType) -> bool {
    matches!(ty.oid, oid::PG_LSN | oid::XID8)
}

/// A bpchar's text as comparisons, keys and hashes see it.
pub(crate) fn without_blanks(text: &str) -> &str {
    text.trim_end_matches(' ')
}

/// PostgreSQL's float order: NaN equals NaN and is greater than all others; -0 equals 0.
#[inline]
pub fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The instant in UTC, then the zone.
pub(crate) fn timetz_order(value: TimeTz) -> (i64, i32) {
    let (micros, zone_west_s) = (value.micros, value.zone_west_s);
    (micros.saturating_add(i64::from(zone_west_s) * 1_000_000), zone_west_s)
}

/// Microseconds, with months of 30 days and days of 24 hours: '1 month' equals '30 days'.
pub(crate) fn interval_order(value: Interval) -> i128 {
    const DAY_MICROS: i128 = 86_400_000_000;
    (i128::from(value.months) * 30 + i128::from(value.days)) * DAY_MICROS + i128::from(value.micros)
}

fn compare_arrays(a: &Array, b: &Array) -> Ordering {
    let Ok(order) = try_compare_arrays(a, b, || Ok::<(), Infallible>(()));
    order
}

/// As `compare`, for arrays that may be long: ends with the error if the statement must.
pub(crate) fn compare_long_arrays(a: &Array, b: &Array) -> Result<Ordering> {
    try_compare_arrays(a, b, || stop::spent(ELEMENT_WORK))
}

/// Asks before each pair of elements whether to go on.
fn try_compare_arrays<E>(a: &Array, b: &Array, mut ask: impl FnMut() -> Result<(), E>) -> Result<Ordering, E> {
    let element = SqlType::new(a.element);
    for (x, y) in a.values.iter().zip(&b.values) {
        ask()?;
        let order = compare(element, x, y);
        if order != Ordering::Equal {
            return Ok(order);
        }
    }
    // Equal as far as both go: then the shape decides, by number of elements first.
    let shape = (a.values.len().cmp(&b.values.len()))
        .then_with(|| a.dims.len().cmp(&b.dims.len()))
        .then_with(|| a.dims.iter().map(|d| d.len).cmp(b.dims.iter().map(|d| d.len)))
        .then_with(|| a.dims.iter().map(|d| d.lower).cmp(b.dims.iter().map(|d| d.lower)));
    Ok(shape)
}

fn compare_records(a: &Record, b: &Record) -> Ordering {
    let columns = a.values.iter().zip(&b.values).zip(&a.types);
    for ((x, y), ty) in columns {
        let order = compare(*ty, x, y);
        if order != Ordering::Equal {
            return order;
        }
    }
    a.values.len().cmp(&b.values.len())
}

fn rank(value: &Datum) -> u8 {
    match value {
        Datum::Bool(_) => 1,
        Datum::Int2(_) => 2,
        Datum::Int4(_) => 3,
        Datum::Int8(_) => 4,
        Datum::Float4(_) => 5,
        Datum::Float8(_) => 6,
        Datum::Numeric(_) => 7,
        Datum::Text(_) => 8,
        Datum::Bytea(_) => 9,
        Datum::Date(_) => 10,
        Datum::Time(_) => 11,
        Datum::TimeTz(_) => 12,
        Datum::Timestamp(_) => 13,
        Datum::TimestampTz(_) => 14,
        Datum::Interval(_) => 15,
        Datum::Uuid(_) => 16,
        Datum::Jsonb(_) => 17,
        Datum::Oid(_) => 18,
        Datum::Array(_) => 19,
        Datum::Record(_) => 20,
        Datum::Null => 21,
    }
}

/// A hash that agrees with `compare`'s equality (1.0 and 1.00, -0 and 0, 'a ' and 'a' as bpchar). Stable for ever: it reaches disk as slots.
#[inline]
pub fn hash(ty: SqlType, value: &Datum, seed: u64) -> u64 {
    let mut hasher = Hasher64::new(seed);
    hash_into(ty, value, &mut hasher);
    hasher.finish()
}

/// `hash`, for values that are part of a larger one.
pub fn hash_into(ty: SqlType, value: &Datum, hasher: &mut Hasher64) {
    match value {
        Datum::Null => hasher.write_u64(NULL_WORD),
        Datum::Bool(v) => hasher.write_u64(u64::from(*v)),
        Datum::Int2(v) => hasher.write_u64(i64::from(*v) as u64),
        Datum::Int4(v) | Datum::Date(v) => hasher.write_u64(i64::from(*v) as u64),
        Datum::Int8(v) | Datum::Time(v) | Datum::Timestamp(v) | Datum::TimestampTz(v) => hasher.write_u64(*v as u64),
        Datum::Oid(v) => hasher.write_u64(u64::from(*v)),
        Datum::Float4(v) => hasher.write_u64(float_word(f64::from(*v))),
        Datum::Float8(v) => hasher.write_u64(float_word(*v)),
        Datum::Numeric(v) => v.hash_into(hasher),
        Datum::Text(v) if ty.oid == oid::BPCHAR => hasher.write_bytes(without_blanks(v).as_bytes()),
        Datum::Text(v) => hasher.write_bytes(v.as_bytes()),
        Datum::Bytea(v) => hasher.write_bytes(v),
        Datum::TimeTz(v) => {
            let (instant, zone) = timetz_order(*v);
            hasher.write_u64(instant as u64);
            hasher.write_u64(i64::from(zone) as u64);
        }
        Datum::Interval(v) => {
            let order = interval_order(*v);
            hasher.write_u64(order as u64);
            hasher.write_u64((order >> 64) as u64);
        }
        Datum::Uuid(v) => hasher.write_bytes(v),
        Datum::Jsonb(v) => v.as_ref().hash_into(hasher),
        Datum::Array(v) => hash_array(v, hasher),
        Datum::Record(v) => {
            hasher.write_u64(v.values.len() as u64);
            for (value, ty) in v.values.iter().zip(&v.types) {
                hash_into(*ty, value, hasher);
            }
        }
    }
}

/// What a NULL inside a row or array adds; also the hash of a lone NULL, so that grouping may hash any datum.
const NULL_WORD: u64 = 0x6E75_6C6C_6E75_6C6C;

/// Written out, as Rust does not promise the bits of `f64::NAN`.
const NAN_BITS: u64 = 0x7FF8_0000_0000_0000;

/// One word per float as comparisons see it: one NaN, one zero.
fn float_word(value: f64) -> u64 {
    if value.is_nan() {
        NAN_BITS
    } else if value == 0.0 {
        0
    } else {
        value.to_bits()
    }
}

fn hash_array(array: &Array, hasher: &mut Hasher64) {
    let element = SqlType::new(array.element);
    hasher.write_u64(array.dims.len() as u64);
    for dimension in &array.dims {
        hasher.write_u64(dimension.len as u64);
        hasher.write_u64(dimension.lower as u64);
    }
    for value in &array.values {
        hash_into(element, value, hasher);
    }
}
