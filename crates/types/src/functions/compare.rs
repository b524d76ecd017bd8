//! Comparison operators and their relatives: `int4eq`, `text_lt`, `btint8cmp`, `numeric_larger`, …
//!
//! All follow `crate::compare`, so that operators, sorts, indexes and keys cannot differ. Integers and text have paths of
//! their own, as scans spend their time there. Dates and times are in `datetime`; what compares across types of one
//! family (`int48eq`, `float84lt`, `nameeqtext`) widens first.

use super::ScalarFn;
use crate::compare::{check_comparable, compare, compare_floats, compare_long_arrays, without_blanks};
use crate::{Datum, Result, SqlType, oid};
use std::cmp::Ordering;

fn truth(value: bool) -> Result<Datum> {
    Ok(Datum::Bool(value))
}

/// Six operators from one order.
macro_rules! six {
    ($($eq:expr, $ne:expr, $lt:expr, $le:expr, $gt:expr, $ge:expr => |$a:ident, $b:ident| $order:expr;)*) => {
        &[$(
            ($eq, |_, args| { let ($a, $b) = (&args[0], &args[1]); truth($order == Ordering::Equal) }),
            ($ne, |_, args| { let ($a, $b) = (&args[0], &args[1]); truth($order != Ordering::Equal) }),
            ($lt, |_, args| { let ($a, $b) = (&args[0], &args[1]); truth($order == Ordering::Less) }),
            ($le, |_, args| { let ($a, $b) = (&args[0], &args[1]); truth($order != Ordering::Greater) }),
            ($gt, |_, args| { let ($a, $b) = (&args[0], &args[1]); truth($order == Ordering::Greater) }),
            ($ge, |_, args| { let ($a, $b) = (&args[0], &args[1]); truth($order != Ordering::Less) }),
        )*]
    };
}

/// `six` with names made of a prefix and `eq`, `ne`, `lt`, `le`, `gt`, `ge`.
macro_rules! families {
    ($($prefix:literal => |$a:ident, $b:ident| $order:expr;)*) => {
        six!($(
            concat!($prefix, "eq"), concat!($prefix, "ne"), concat!($prefix, "lt"),
            concat!($prefix, "le"), concat!($prefix, "gt"), concat!($prefix, "ge")
            => |$a, $b| $order;
        )*)
    };
}

/// Integers of any width (and oids) beside one another.
#[inline]
fn integers(a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Int4(a), Datum::Int4(b)) => a.cmp(b),
        (Datum::Int8(a), Datum::Int8(b)) => a.cmp(b),
        _ => a.as_i64().cmp(&b.as_i64()),
    }
}

#[inline]
fn floats(a: &Datum, b: &Datum) -> Ordering {
    compare_floats(a.as_f64(), b.as_f64())
}

#[inline]
fn texts(a: &Datum, b: &Datum) -> Ordering {
    a.as_str().as_bytes().cmp(b.as_str().as_bytes())
}

fn bpchars(a: &Datum, b: &Datum) -> Ordering {
    without_blanks(a.as_str()).as_bytes().cmp(without_blanks(b.as_str()).as_bytes())
}

pub const MADE_OF_PREFIX: &[(&str, ScalarFn)] = families! {
    "int2" => |a, b| integers(a, b);
    "int4" => |a, b| integers(a, b);
    "int8" => |a, b| integers(a, b);
    "int24" => |a, b| integers(a, b);
    "int42" => |a, b| integers(a, b);
    "int28" => |a, b| integers(a, b);
    "int82" => |a, b| integers(a, b);
    "int48" => |a, b| integers(a, b);
    "int84" => |a, b| integers(a, b);
    "oid" => |a, b| integers(a, b);
    "bool" => |a, b| a.as_bool().cmp(&b.as_bool());
    "float4" => |a, b| floats(a, b);
    "float8" => |a, b| floats(a, b);
    "float48" => |a, b| floats(a, b);
    "float84" => |a, b| floats(a, b);
    "char" => |a, b| texts(a, b);
    "name" => |a, b| texts(a, b);
    "bpchar" => |a, b| bpchars(a, b);
    "bytea" => |a, b| a.as_bytes().cmp(b.as_bytes());
    "bit" => |a, b| texts(a, b);
    "numeric_" => |a, b| a.as_numeric().cmp(b.as_numeric());
    "uuid_" => |a, b| compare(SqlType::UUID, a, b);
    "jsonb_" => |a, b| compare(SqlType::JSONB, a, b);
    "cash_" => |a, b| integers(a, b);
    "pg_lsn_" => |a, b| compare(SqlType::new(oid::PG_LSN), a, b);
    "xid8" => |a, b| compare(SqlType::new(oid::XID8), a, b);
    "oidvector" => |a, b| compare(SqlType::new(oid::OIDVECTOR), a, b);
};

pub const OTHERWISE_NAMED: &[(&str, ScalarFn)] = six! {
    "nameeqtext", "namenetext", "namelttext", "nameletext", "namegttext", "namegetext" => |a, b| texts(a, b);
    "texteqname", "textnename", "textltname", "textlename", "textgtname", "textgename" => |a, b| texts(a, b);
    "array_eq", "array_ne", "array_lt", "array_le", "array_gt", "array_ge" => |a, b| checked(a, b)?;
    "record_eq", "record_ne", "record_lt", "record_le", "record_gt", "record_ge" => |a, b| checked(a, b)?;
    "record_image_eq", "record_image_ne", "record_image_lt", "record_image_le", "record_image_gt", "record_image_ge"
        => |a, b| images(a, b)?;
};

/// Rows by their bytes (`*<`, `*=`, …): integers as unsigned words, text and its like as bytes, numbers as they are written.
fn images(a: &Datum, b: &Datum) -> Result<Ordering> {
    check_comparable(a, b)?;
    let (Datum::Record(a), Datum::Record(b)) = (a, b) else { return Ok(compare(SqlType::RECORD, a, b)) };
    let columns = a.types.iter().zip(a.values.iter().zip(&b.values));
    let order = columns.map(|(ty, (x, y))| image(*ty, x, y)).find(|order| order.is_ne());
    Ok(order.unwrap_or(Ordering::Equal))
}

fn image(ty: SqlType, a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Greater,
        (_, Datum::Null) => Ordering::Less,
        (Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_), _) => (a.as_i64() as u64).cmp(&(b.as_i64() as u64)),
        (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Datum::Numeric(a), Datum::Numeric(b)) => {
            let written = |n: &crate::numeric::Numeric| {
                let mut out = vec![];
                n.write(&mut out);
                out
            };
            written(a).cmp(&written(b))
        }
        _ => compare(ty, a, b),
    }
}

/// Arrays and records: 42804 where the two cannot be compared.
fn checked(a: &Datum, b: &Datum) -> Result<Ordering> {
    check_comparable(a, b)?;
    match (a, b) {
        (Datum::Array(a), Datum::Array(b)) => compare_long_arrays(a, b),
        _ => Ok(compare(SqlType::RECORD, a, b)),
    }
}

/// What has no whole family, and text, whose equality need not order.
pub const SINGLE: &[(&str, ScalarFn)] = &[
    ("texteq", |_, args| truth(args[0].as_str() == args[1].as_str())),
    ("textne", |_, args| truth(args[0].as_str() != args[1].as_str())),
    ("text_lt", |_, args| truth(texts(&args[0], &args[1]).is_lt())),
    ("text_le", |_, args| truth(texts(&args[0], &args[1]).is_le())),
    ("text_gt", |_, args| truth(texts(&args[0], &args[1]).is_gt())),
    ("text_ge", |_, args| truth(texts(&args[0], &args[1]).is_ge())),
    ("text_pattern_lt", |_, args| truth(texts(&args[0], &args[1]).is_lt())),
    ("text_pattern_le", |_, args| truth(texts(&args[0], &args[1]).is_le())),
    ("text_pattern_gt", |_, args| truth(texts(&args[0], &args[1]).is_gt())),
    ("text_pattern_ge", |_, args| truth(texts(&args[0], &args[1]).is_ge())),
    ("bpchar_pattern_lt", |_, args| truth(bpchars(&args[0], &args[1]).is_lt())),
    ("bpchar_pattern_le", |_, args| truth(bpchars(&args[0], &args[1]).is_le())),
    ("bpchar_pattern_gt", |_, args| truth(bpchars(&args[0], &args[1]).is_gt())),
    ("bpchar_pattern_ge", |_, args| truth(bpchars(&args[0], &args[1]).is_ge())),
    // `xid = integer` is this function too: there the second is signed.
    ("xideq", |_, args| truth(args[0].as_i64() as u32 == args[1].as_i64() as u32)),
    ("xidneq", |_, args| truth(args[0].as_i64() as u32 != args[1].as_i64() as u32)),
    ("cideq", |_, args| truth(args[0].as_oid() == args[1].as_oid())),
    ("aclitem_eq", |_, args| truth(args[0].as_str() == args[1].as_str())),
];

fn sign(order: Ordering) -> Result<Datum> {
    Ok(Datum::Int4(order as i32))
}

/// What C's memcmp and then the lengths tell: the distance of the first bytes that differ, else -1, 0 or 1. The order is
/// all that counts, but the number is seen by who calls the function from SQL.
fn distance(a: &[u8], b: &[u8]) -> Result<Datum> {
    let differing = a.iter().zip(b).find(|(x, y)| x != y);
    Ok(Datum::Int4(differing.map_or(a.len().cmp(&b.len()) as i32, |(x, y)| i32::from(*x) - i32::from(*y))))
}

fn text_distance(args: &[Datum]) -> Result<Datum> {
    distance(args[0].as_str().as_bytes(), args[1].as_str().as_bytes())
}

/// As strcmp: the end of a string counts as a byte 0.
fn name_distance(args: &[Datum]) -> Result<Datum> {
    let ends = |text: &str| text.bytes().chain([0]).collect::<Vec<u8>>();
    distance(&ends(args[0].as_str()), &ends(args[1].as_str()))
}

/// The support functions of btree operator classes, callable from SQL.
pub const THREE_WAY: &[(&str, ScalarFn)] = &[
    ("btboolcmp", |_, args| sign(args[0].as_bool().cmp(&args[1].as_bool()))),
    ("btint2cmp", |_, args| Ok(Datum::Int4((args[0].as_i64() - args[1].as_i64()) as i32))),
    ("btint4cmp", |_, args| sign(integers(&args[0], &args[1]))),
    ("btint8cmp", |_, args| sign(integers(&args[0], &args[1]))),
    ("btint24cmp", |_, args| sign(integers(&args[0], &args[1]))),
    ("btint42cmp", |_, args| sign(integers(&args[0], &args[1]))),
    ("btint28cmp", |_, args| sign(integers(&args[0], &args[1]))),
    ("btint82cmp", |_, args| sign(integers(&args[0], &args[1]))),
    ("btint48cmp", |_, args| sign(integers(&args[0], &args[1]))),
    ("btint84cmp", |_, args| sign(integers(&args[0], &args[1]))),
    ("btfloat4cmp", |_, args| sign(floats(&args[0], &args[1]))),
    ("btfloat8cmp", |_, args| sign(floats(&args[0], &args[1]))),
    ("btfloat48cmp", |_, args| sign(floats(&args[0], &args[1]))),
    ("btfloat84cmp", |_, args| sign(floats(&args[0], &args[1]))),
    ("btoidcmp", |_, args| sign(integers(&args[0], &args[1]))),
    ("btoidvectorcmp", |_, args| sign(compare(SqlType::new(oid::OIDVECTOR), &args[0], &args[1]))),
    ("bttextcmp", |_, args| text_distance(args)),
    ("btnamecmp", |_, args| name_distance(args)),
    ("btnametextcmp", |_, args| text_distance(args)),
    ("bttextnamecmp", |_, args| text_distance(args)),
    ("bttext_pattern_cmp", |_, args| text_distance(args)),
    ("btcharcmp", |_, args| name_distance(args)),
    ("bpcharcmp", |_, args| sign(bpchars(&args[0], &args[1]))),
    ("btbpchar_pattern_cmp", |_, args| sign(bpchars(&args[0], &args[1]))),
    ("bitcmp", |_, args| sign(texts(&args[0], &args[1]))),
    ("byteacmp", |_, args| distance(args[0].as_bytes(), args[1].as_bytes())),
    ("numeric_cmp", |_, args| sign(args[0].as_numeric().cmp(args[1].as_numeric()))),
    ("uuid_cmp", |_, args| sign(compare(SqlType::UUID, &args[0], &args[1]))),
    ("jsonb_cmp", |_, args| sign(compare(SqlType::JSONB, &args[0], &args[1]))),
    ("cash_cmp", |_, args| sign(integers(&args[0], &args[1]))),
    ("pg_lsn_cmp", |_, args| sign(compare(SqlType::new(oid::PG_LSN), &args[0], &args[1]))),
    ("xid8cmp", |_, args| sign(compare(SqlType::new(oid::XID8), &args[0], &args[1]))),
    ("btarraycmp", |_, args| sign(checked(&args[0], &args[1])?)),
    ("btrecordimagecmp", |_, args| sign(images(&args[0], &args[1])?)),
    ("btrecordcmp", |_, args| sign(checked(&args[0], &args[1])?)),
];

/// The first of two if `wanted` is the order of the first to the second, else the second.
fn choose(ty: SqlType, args: &[Datum], wanted: Ordering) -> Result<Datum> {
    let first = compare(ty, &args[0], &args[1]) == wanted;
    Ok(args[usize::from(!first)].clone())
}

pub const EXTREMES: &[(&str, ScalarFn)] = &[
    ("int2larger", |_, args| choose(SqlType::INT2, args, Ordering::Greater)),
    ("int2smaller", |_, args| choose(SqlType::INT2, args, Ordering::Less)),
    ("int4larger", |_, args| choose(SqlType::INT4, args, Ordering::Greater)),
    ("int4smaller", |_, args| choose(SqlType::INT4, args, Ordering::Less)),
    ("int8larger", |_, args| choose(SqlType::INT8, args, Ordering::Greater)),
    ("int8smaller", |_, args| choose(SqlType::INT8, args, Ordering::Less)),
    ("oidlarger", |_, args| choose(SqlType::OID, args, Ordering::Greater)),
    ("oidsmaller", |_, args| choose(SqlType::OID, args, Ordering::Less)),
    ("float4larger", |_, args| choose(SqlType::FLOAT4, args, Ordering::Greater)),
    ("float4smaller", |_, args| choose(SqlType::FLOAT4, args, Ordering::Less)),
    ("float8larger", |_, args| choose(SqlType::FLOAT8, args, Ordering::Greater)),
    ("float8smaller", |_, args| choose(SqlType::FLOAT8, args, Ordering::Less)),
    ("numeric_larger", |_, args| choose(SqlType::NUMERIC, args, Ordering::Greater)),
    ("numeric_smaller", |_, args| choose(SqlType::NUMERIC, args, Ordering::Less)),
    ("text_larger", |_, args| choose(SqlType::TEXT, args, Ordering::Greater)),
    ("text_smaller", |_, args| choose(SqlType::TEXT, args, Ordering::Less)),
    ("bpchar_larger", |_, args| choose(SqlType::BPCHAR, args, Ordering::Greater)),
    ("bpchar_smaller", |_, args| choose(SqlType::BPCHAR, args, Ordering::Less)),
    ("cashlarger", |_, args| choose(SqlType::INT8, args, Ordering::Greater)),
    ("cashsmaller", |_, args| choose(SqlType::INT8, args, Ordering::Less)),
    ("pg_lsn_larger", |_, args| choose(SqlType::new(oid::PG_LSN), args, Ordering::Greater)),
    ("pg_lsn_smaller", |_, args| choose(SqlType::new(oid::PG_LSN), args, Ordering::Less)),
    ("xid8_larger", |_, args| choose(SqlType::new(oid::XID8), args, Ordering::Greater)),
    ("xid8_smaller", |_, args| choose(SqlType::new(oid::XID8), args, Ordering::Less)),
    ("array_larger", |_, args| extreme_array(args, Ordering::Greater)),
    ("array_smaller", |_, args| extreme_array(args, Ordering::Less)),
];

fn extreme_array(args: &[Datum], wanted: Ordering) -> Result<Datum> {
    check_comparable(&args[0], &args[1])?;
    choose(SqlType::RECORD, args, wanted)
}
