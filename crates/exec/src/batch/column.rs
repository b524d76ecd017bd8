//! One column of a batch: a typed vector with NULLs beside it.

use types::{Datum, SqlType, oid};

/// What a column's values are held as. `Datums` holds anything; a typed column holds only its own variant and NULL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnKind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Date,
    Timestamp,
    TimestampTz,
    Text,
    Datums,
}

impl ColumnKind {
    pub fn of(ty: SqlType) -> ColumnKind {
        match ty.oid {
            oid::BOOL => ColumnKind::Bool,
            oid::INT2 => ColumnKind::Int2,
            oid::INT4 => ColumnKind::Int4,
            oid::INT8 | oid::MONEY | oid::XID8 | oid::PG_LSN => ColumnKind::Int8,
            oid::FLOAT4 => ColumnKind::Float4,
            oid::FLOAT8 => ColumnKind::Float8,
            oid::DATE => ColumnKind::Date,
            oid::TIMESTAMP => ColumnKind::Timestamp,
            oid::TIMESTAMPTZ => ColumnKind::TimestampTz,
            oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME => ColumnKind::Text,
            user if types::user_type::is_enum(user) => ColumnKind::Int8,
            _ => ColumnKind::Datums,
        }
    }
}

/// Strings end to end. `ends[i]` is where string i ends.
#[derive(Clone, Debug, Default)]
pub struct TextData {
    pub text: String,
    pub ends: Vec<usize>,
}

impl TextData {
    #[inline]
    pub fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends.get(row - 1).copied().unwrap_or(0) };
        let end = self.ends.get(row).copied().unwrap_or(start);
        self.text.get(start..end).unwrap_or("")
    }
    #[inline]
    pub fn push(&mut self, value: &str) {
        self.text.push_str(value);
        self.ends.push(self.text.len());
    }
}

#[derive(Clone, Debug)]
pub enum ColumnData {
    Bool(Vec<bool>),
    Int2(Vec<i16>),
    Int4(Vec<i32>),
    Int8(Vec<i64>),
    Float4(Vec<f32>),
    Float8(Vec<f64>),
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
    TimestampTz(Vec<i64>),
    Text(TextData),
    /// NULLs are `Datum::Null` here, and marked in `nulls` too.
    Datums(Vec<Datum>),
}

#[derive(Clone, Debug)]
pub struct Column {
    pub data: ColumnData,
    /// True where the value is NULL; empty if none is.
    pub nulls: Vec<bool>,
}

macro_rules! each {
    ($data:expr, $v:ident => $plain:expr, $t:ident => $text:expr) => {
        match $data {
            ColumnData::Bool($v) => $plain,
            ColumnData::Int2($v) => $plain,
            ColumnData::Int4($v) => $plain,
            ColumnData::Int8($v) => $plain,
            ColumnData::Float4($v) => $plain,
            ColumnData::Float8($v) => $plain,
            ColumnData::Date($v) => $plain,
            ColumnData::Timestamp($v) => $plain,
            ColumnData::TimestampTz($v) => $plain,
            ColumnData::Text($t) => $text,
            ColumnData::Datums($v) => $plain,
        }
    };
}

impl Column {
    pub fn len(&self) -> usize {
        each!(&self.data, v => v.len(), t => t.ends.len())
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.get(row).copied().unwrap_or(false)
    }
    pub fn kind(&self) -> ColumnKind {
        match &self.data {
            ColumnData::Bool(_) => ColumnKind::Bool,
            ColumnData::Int2(_) => ColumnKind::Int2,
            ColumnData::Int4(_) => ColumnKind::Int4,
            ColumnData::Int8(_) => ColumnKind::Int8,
            ColumnData::Float4(_) => ColumnKind::Float4,
            ColumnData::Float8(_) => ColumnKind::Float8,
            ColumnData::Date(_) => ColumnKind::Date,
            ColumnData::Timestamp(_) => ColumnKind::Timestamp,
            ColumnData::TimestampTz(_) => ColumnKind::TimestampTz,
            ColumnData::Text(_) => ColumnKind::Text,
            ColumnData::Datums(_) => ColumnKind::Datums,
        }
    }
    #[inline]
    pub fn datum(&self, row: usize) -> Datum {
        if self.is_null(row) {
            return Datum::Null;
        }
        fn at<T: Copy>(v: &[T], row: usize, f: impl Fn(T) -> Datum) -> Datum {
            v.get(row).map_or(Datum::Null, |x| f(*x))
        }
        match &self.data {
            ColumnData::Bool(v) => at(v, row, Datum::Bool),
            ColumnData::Int2(v) => at(v, row, Datum::Int2),
            ColumnData::Int4(v) => at(v, row, Datum::Int4),
            ColumnData::Int8(v) => at(v, row, Datum::Int8),
            ColumnData::Float4(v) => at(v, row, Datum::Float4),
            ColumnData::Float8(v) => at(v, row, Datum::Float8),
            ColumnData::Date(v) => at(v, row, Datum::Date),
            ColumnData::Timestamp(v) => at(v, row, Datum::Timestamp),
            ColumnData::TimestampTz(v) => at(v, row, Datum::TimestampTz),
            ColumnData::Text(t) => Datum::text(t.get(row)),
            ColumnData::Datums(v) => v.get(row).cloned().unwrap_or_default(),
        }
    }
    /// The same value `len` times.
    pub fn constant(value: &Datum, len: usize) -> Column {
        let nulls = if value.is_null() { vec![true; len] } else { vec![] };
        let data = match value {
            Datum::Bool(v) => ColumnData::Bool(vec![*v; len]),
            Datum::Int2(v) => ColumnData::Int2(vec![*v; len]),
            Datum::Int4(v) => ColumnData::Int4(vec![*v; len]),
            Datum::Int8(v) => ColumnData::Int8(vec![*v; len]),
            Datum::Float4(v) => ColumnData::Float4(vec![*v; len]),
            Datum::Float8(v) => ColumnData::Float8(vec![*v; len]),
            Datum::Date(v) => ColumnData::Date(vec![*v; len]),
            Datum::Timestamp(v) => ColumnData::Timestamp(vec![*v; len]),
            Datum::TimestampTz(v) => ColumnData::TimestampTz(vec![*v; len]),
            other => ColumnData::Datums(vec![other.clone(); len]),
        };
        Column { data, nulls }
    }
    pub fn gather(&self, rows: &[u32]) -> Column {
        Column::gather_parts(&self.data, &self.nulls, rows)
    }
    pub(super) fn gather_parts(data: &ColumnData, nulls: &[bool], rows: &[u32]) -> Column {
        fn pick<T: Clone + Default>(v: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|r| v.get(*r as usize).cloned().unwrap_or_default()).collect()
        }
        let data = match data {
            ColumnData::Bool(v) => ColumnData::Bool(pick(v, rows)),
            ColumnData::Int2(v) => ColumnData::Int2(pick(v, rows)),
            ColumnData::Int4(v) => ColumnData::Int4(pick(v, rows)),
            ColumnData::Int8(v) => ColumnData::Int8(pick(v, rows)),
            ColumnData::Float4(v) => ColumnData::Float4(pick(v, rows)),
            ColumnData::Float8(v) => ColumnData::Float8(pick(v, rows)),
            ColumnData::Date(v) => ColumnData::Date(pick(v, rows)),
            ColumnData::Timestamp(v) => ColumnData::Timestamp(pick(v, rows)),
            ColumnData::TimestampTz(v) => ColumnData::TimestampTz(pick(v, rows)),
            ColumnData::Text(t) => {
                let mut out = TextData { text: String::new(), ends: Vec::with_capacity(rows.len()) };
                rows.iter().for_each(|r| out.push(t.get(*r as usize)));
                ColumnData::Text(out)
            }
            ColumnData::Datums(v) => ColumnData::Datums(pick(v, rows)),
        };
        let nulls = if nulls.is_empty() { vec![] } else { pick(nulls, rows) };
        Column { data, nulls }
    }
    pub fn size_bytes(&self) -> usize {
        fn flat<T>(v: &[T]) -> usize {
            std::mem::size_of_val(v)
        }
        self.nulls.len()
            + match &self.data {
                ColumnData::Datums(v) => v.iter().map(|d| d.heap_size() + 24).sum(),
                other => each!(other, v => flat(v), t => t.text.len() + flat(&t.ends)),
            }
    }
}
