//! Columns in the making. A typed builder that is handed another variant turns into one of datums: a plan's types are
//! promises of the planner, not something to lose a value over.

use super::column::{Column, ColumnData, ColumnKind, TextData};
use types::Datum;
use types::numeric::Numeric;

/// Room made for a string before its length is known.
const TEXT_BYTES: usize = 16;

#[derive(Debug)]
pub struct ColumnBuilder {
    data: ColumnData,
    nulls: Vec<bool>,
    len: usize,
}

impl ColumnBuilder {
    pub fn new(kind: ColumnKind) -> ColumnBuilder {
        ColumnBuilder::with_capacity(kind, 0)
    }
    pub fn with_capacity(kind: ColumnKind, rows: usize) -> ColumnBuilder {
        fn room<T>(rows: usize) -> Vec<T> {
            Vec::with_capacity(rows)
        }
        let data = match kind {
            ColumnKind::Bool => ColumnData::Bool(room(rows)),
            ColumnKind::Int2 => ColumnData::Int2(room(rows)),
            ColumnKind::Int4 => ColumnData::Int4(room(rows)),
            ColumnKind::Int8 => ColumnData::Int8(room(rows)),
            ColumnKind::Float4 => ColumnData::Float4(room(rows)),
            ColumnKind::Float8 => ColumnData::Float8(room(rows)),
            ColumnKind::Date => ColumnData::Date(room(rows)),
            ColumnKind::Timestamp => ColumnData::Timestamp(room(rows)),
            ColumnKind::TimestampTz => ColumnData::TimestampTz(room(rows)),
            ColumnKind::Text => {
                ColumnData::Text(TextData { text: String::with_capacity(rows * TEXT_BYTES), ends: room(rows) })
            }
            ColumnKind::Datums => ColumnData::Datums(room(rows)),
        };
        ColumnBuilder { data, nulls: vec![], len: 0 }
    }
    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    #[inline]
    fn mark(&mut self, null: bool) {
        if null && self.nulls.is_empty() {
            self.nulls = vec![false; self.len];
            self.nulls.push(true);
        } else if null || !self.nulls.is_empty() {
            self.nulls.push(null);
        }
        self.len += 1;
    }
    #[inline]
    pub fn push_null(&mut self) {
        match &mut self.data {
            ColumnData::Bool(v) => v.push(false),
            ColumnData::Int2(v) => v.push(0),
            ColumnData::Int4(v) | ColumnData::Date(v) => v.push(0),
            ColumnData::Int8(v) | ColumnData::Timestamp(v) | ColumnData::TimestampTz(v) => v.push(0),
            ColumnData::Float4(v) => v.push(0.0),
            ColumnData::Float8(v) => v.push(0.0),
            ColumnData::Text(t) => t.push(""),
            ColumnData::Datums(v) => v.push(Datum::Null),
        }
        self.mark(true);
    }
    /// A widened integer of an integer-like column; false if the column is none.
    #[inline]
    pub fn push_int(&mut self, value: i64) -> bool {
        match &mut self.data {
            ColumnData::Int2(v) => v.push(value as i16),
            ColumnData::Int4(v) | ColumnData::Date(v) => v.push(value as i32),
            ColumnData::Int8(v) | ColumnData::Timestamp(v) | ColumnData::TimestampTz(v) => v.push(value),
            _ => return false,
        }
        self.mark(false);
        true
    }
    #[inline]
    pub fn push_float(&mut self, value: f64) -> bool {
        match &mut self.data {
            ColumnData::Float4(v) => v.push(value as f32),
            ColumnData::Float8(v) => v.push(value),
            _ => return false,
        }
        self.mark(false);
        true
    }
    #[inline]
    pub fn push_bool(&mut self, value: bool) -> bool {
        match &mut self.data {
            ColumnData::Bool(v) => v.push(value),
            _ => return false,
        }
        self.mark(false);
        true
    }
    /// A number into a column of datums; false if the column is none.
    #[inline]
    pub fn push_numeric(&mut self, value: Numeric) -> bool {
        match &mut self.data {
            ColumnData::Datums(v) => v.push(Datum::Numeric(value)),
            _ => return false,
        }
        self.mark(false);
        true
    }
    #[inline]
    pub fn push_str(&mut self, value: &str) {
        match &mut self.data {
            ColumnData::Text(t) => t.push(value),
            _ => return self.push_other(Datum::text(value)),
        }
        self.mark(false);
    }
    #[inline]
    pub fn push(&mut self, value: &Datum) {
        match (&mut self.data, value) {
            (_, Datum::Null) => return self.push_null(),
            (ColumnData::Int4(v), Datum::Int4(x)) | (ColumnData::Date(v), Datum::Date(x)) => v.push(*x),
            (ColumnData::Int8(v), Datum::Int8(x))
            | (ColumnData::Timestamp(v), Datum::Timestamp(x))
            | (ColumnData::TimestampTz(v), Datum::TimestampTz(x)) => v.push(*x),
            (ColumnData::Int2(v), Datum::Int2(x)) => v.push(*x),
            (ColumnData::Bool(v), Datum::Bool(x)) => v.push(*x),
            (ColumnData::Float8(v), Datum::Float8(x)) => v.push(*x),
            (ColumnData::Float4(v), Datum::Float4(x)) => v.push(*x),
            (ColumnData::Text(t), Datum::Text(x)) => t.push(x),
            (ColumnData::Datums(v), x) => v.push(x.clone()),
            (_, x) => return self.push_other(x.clone()),
        }
        self.mark(false);
    }
    #[inline]
    pub fn push_owned(&mut self, value: Datum) {
        match (&mut self.data, value) {
            (ColumnData::Datums(v), x) if !x.is_null() => {
                v.push(x);
                self.mark(false);
            }
            (_, x) => self.push(&x),
        }
    }
    /// The variant does not fit the column's: go on with datums.
    fn push_other(&mut self, value: Datum) {
        let nulls = std::mem::take(&mut self.nulls);
        let data = std::mem::replace(&mut self.data, ColumnData::Datums(vec![]));
        let column = Column { data, nulls: nulls.clone() };
        let mut datums: Vec<Datum> = (0..self.len).map(|i| column.datum(i)).collect();
        datums.push(value);
        self.data = ColumnData::Datums(datums);
        self.nulls = nulls;
        self.mark(false);
    }
    /// All rows of another column.
    pub fn append(&mut self, column: &Column) {
        let len = column.len();
        let same = match (&mut self.data, &column.data) {
            (ColumnData::Bool(a), ColumnData::Bool(b)) => extend(a, b),
            (ColumnData::Int2(a), ColumnData::Int2(b)) => extend(a, b),
            (ColumnData::Int4(a), ColumnData::Int4(b)) | (ColumnData::Date(a), ColumnData::Date(b)) => extend(a, b),
            (ColumnData::Int8(a), ColumnData::Int8(b))
            | (ColumnData::Timestamp(a), ColumnData::Timestamp(b))
            | (ColumnData::TimestampTz(a), ColumnData::TimestampTz(b)) => extend(a, b),
            (ColumnData::Float4(a), ColumnData::Float4(b)) => extend(a, b),
            (ColumnData::Float8(a), ColumnData::Float8(b)) => extend(a, b),
            (ColumnData::Text(a), ColumnData::Text(b)) => {
                (0..len).for_each(|i| a.push(b.get(i)));
                true
            }
            (ColumnData::Datums(a), ColumnData::Datums(b)) => extend(a, b),
            _ => false,
        };
        if !same {
            (0..len).for_each(|i| self.push_owned(column.datum(i)));
            return;
        }
        if column.nulls.is_empty() && self.nulls.is_empty() {
            self.len += len;
        } else {
            if self.nulls.is_empty() {
                self.nulls = vec![false; self.len];
            }
            match column.nulls.is_empty() {
                true => self.nulls.resize(self.len + len, false),
                false => self.nulls.extend_from_slice(&column.nulls),
            }
            self.len += len;
        }
    }
    /// These rows of the column so far.
    pub fn gather(&self, rows: &[u32]) -> Column {
        // A look at the values in place: `Column` needs its own vectors only for what it keeps.
        Column::gather_parts(&self.data, &self.nulls, rows)
    }
    pub fn finish(self) -> Column {
        Column { data: self.data, nulls: self.nulls }
    }
    /// The column so far; the builder starts again, empty, of the same kind.
    pub fn take(&mut self, kind: ColumnKind) -> Column {
        std::mem::replace(self, ColumnBuilder::new(kind)).finish()
    }
}

fn extend<T: Clone>(a: &mut Vec<T>, b: &[T]) -> bool {
    a.extend_from_slice(b);
    true
}
