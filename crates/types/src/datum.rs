//! One SQL value in memory.
//!
//! A datum does not know its SQL type, only its representation: the static type of an expression or
//! column (`SqlType`) says whether `Text` is a `text`, a `varchar` or a `json`. 24 bytes; clones are cheap
//! (reference counts, no copies).

use crate::array::Array;
use crate::datetime::{Interval, TimeTz};
use crate::json::Jsonb;
use crate::numeric::Numeric;
use crate::{Oid, SqlType};
use ecow::EcoString;
use std::sync::Arc;

/// What each SQL type is represented by:
/// `int2 int4 int8 float4 float8 bool numeric bytea date time timetz timestamp timestamptz interval uuid jsonb` by the
/// variant of that name; `text varchar bpchar name "char" json unknown cstring xml refcursor jsonpath aclitem` by `Text`;
/// `oid xid cid` and `reg*` by `Oid`; `xid8 money pg_lsn` by `Int8`; arrays, `int2vector` and `oidvector` by `Array`;
/// rows by `Record`; `bit varbit` by `Text` of 0s and 1s; `void` by `Null`-free empty `Text`.
#[derive(Clone, Debug, Default)]
pub enum Datum {
    #[default]
    Null,
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Float4(f32),
    Float8(f64),
    Numeric(Numeric),
    Text(EcoString),
    Bytea(Arc<[u8]>),
    /// Days since 2000-01-01; `i32::MIN` is -infinity, `i32::MAX` infinity.
    Date(i32),
    /// Microseconds since midnight, 0..=86,400,000,000.
    Time(i64),
    TimeTz(TimeTz),
    /// Microseconds since 2000-01-01 00:00 local; `i64::MIN` is -infinity, `i64::MAX` infinity.
    Timestamp(i64),
    /// Microseconds since 2000-01-01 00:00 UTC; `i64::MIN` is -infinity, `i64::MAX` infinity.
    TimestampTz(i64),
    Interval(Interval),
    Uuid([u8; 16]),
    Jsonb(Jsonb),
    Oid(Oid),
    Array(Arc<Array>),
    Record(Arc<Record>),
}

/// A row value: `ROW(1, 'a')`, or a whole row of a relation.
#[derive(Clone, Debug)]
pub struct Record {
    pub types: Vec<SqlType>,
    /// Names, for `row_to_json` and friends; empty for an anonymous ROW (`f1`, `f2`, …).
    pub names: Vec<EcoString>,
    pub values: Vec<Datum>,
}

impl Datum {
    pub fn text(s: impl Into<EcoString>) -> Datum {
        Datum::Text(s.into())
    }
    pub fn bytea(b: impl Into<Arc<[u8]>>) -> Datum {
        Datum::Bytea(b.into())
    }
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }

    /// The text of a `Text` datum. Asking another variant is a programmer error: the binder has typed the argument.
    #[track_caller]
    pub fn as_str(&self) -> &str {
        match self {
            Datum::Text(s) => s,
            other => panic!("a Text datum was expected, found {other:?}"),
        }
    }
    #[track_caller]
    pub fn as_bool(&self) -> bool {
        match self {
            Datum::Bool(b) => *b,
            other => panic!("a Bool datum was expected, found {other:?}"),
        }
    }
    /// Any of the integer variants (and Oid), widened.
    #[track_caller]
    pub fn as_i64(&self) -> i64 {
        match self {
            Datum::Int2(v) => i64::from(*v),
            Datum::Int4(v) => i64::from(*v),
            Datum::Int8(v) => *v,
            Datum::Oid(v) => i64::from(*v),
            Datum::Date(v) => i64::from(*v),
            Datum::Time(v) | Datum::Timestamp(v) | Datum::TimestampTz(v) => *v,
            other => panic!("an integer datum was expected, found {other:?}"),
        }
    }
    #[track_caller]
    pub fn as_f64(&self) -> f64 {
        match self {
            Datum::Float8(v) => *v,
            Datum::Float4(v) => f64::from(*v),
            other => panic!("a float datum was expected, found {other:?}"),
        }
    }
    #[track_caller]
    pub fn as_numeric(&self) -> &Numeric {
        match self {
            Datum::Numeric(v) => v,
            other => panic!("a Numeric datum was expected, found {other:?}"),
        }
    }
    #[track_caller]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Datum::Bytea(v) => v,
            other => panic!("a Bytea datum was expected, found {other:?}"),
        }
    }
    #[track_caller]
    pub fn as_array(&self) -> &Arc<Array> {
        match self {
            Datum::Array(v) => v,
            other => panic!("an Array datum was expected, found {other:?}"),
        }
    }
    #[track_caller]
    pub fn as_jsonb(&self) -> &Jsonb {
        match self {
            Datum::Jsonb(v) => v,
            other => panic!("a Jsonb datum was expected, found {other:?}"),
        }
    }
    #[track_caller]
    pub fn as_interval(&self) -> Interval {
        match self {
            Datum::Interval(v) => *v,
            other => panic!("an Interval datum was expected, found {other:?}"),
        }
    }
    #[track_caller]
    pub fn as_oid(&self) -> Oid {
        match self {
            Datum::Oid(v) => *v,
            other => panic!("an Oid datum was expected, found {other:?}"),
        }
    }

    /// Bytes this value holds beyond `size_of::<Datum>()`; for memory budgets (shared parts count in full).
    pub fn heap_size(&self) -> usize {
        match self {
            Datum::Text(s) if s.len() > 15 => s.len() + 16,
            Datum::Bytea(b) => b.len() + 16,
            Datum::Numeric(n) => n.heap_size(),
            Datum::Jsonb(j) => j.as_bytes().len() + 16,
            Datum::Array(a) => a.heap_size(),
            Datum::Record(r) => r.values.iter().map(|v| v.heap_size() + 24).sum::<usize>() + 32,
            _ => 0,
        }
    }
}

const _: () = assert!(std::mem::size_of::<Datum>() <= 24, "a datum is three words");
