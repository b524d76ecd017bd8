//! Typed loops for the calls that plans are made of: arithmetic and comparison of integers, floats, dates, timestamps,
//! text and numerics over whole columns.
//!
//! Integers of all widths are widened to `i64` slices first (a copy of some nanoseconds per hundred rows), so that one
//! loop serves all pairs of widths. A kernel that does not know its operands' columns returns None, and the caller calls
//! the function row by row: kernels change speed, never answers.

use super::like::Pattern;
use crate::batch::{Column, ColumnData};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;
use types::numeric::Numeric;
use types::{Datum, Result, SqlError, SqlState, compare};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    #[inline]
    fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order == Ordering::Equal,
            Comparison::NotEqual => order != Ordering::Equal,
            Comparison::Less => order == Ordering::Less,
            Comparison::LessOrEqual => order != Ordering::Greater,
            Comparison::Greater => order == Ordering::Greater,
            Comparison::GreaterOrEqual => order != Ordering::Less,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kernel {
    /// Result width in bytes: 2, 4, 8.
    Int(Arithmetic, u8),
    Float8(Arithmetic),
    Numeric(Arithmetic),
    /// Integers, dates, timestamps.
    CompareInt(Comparison),
    /// A date and a timestamp, either way round.
    CompareLocal(Comparison),
    CompareFloat(Comparison),
    CompareText(Comparison),
    CompareNumeric(Comparison),
    /// `text [NOT] LIKE`, when the pattern is constant.
    Like {
        negated: bool,
    },
    /// `jsonb -> text`, and `->>`.
    JsonField {
        is_text: bool,
    },
    /// `jsonb @> jsonb`, when the part is constant.
    JsonContains,
}

/// An operand: one value for all rows, or a column.
#[derive(Clone, Debug)]
pub(crate) enum Vector {
    Const(Datum),
    Column(Arc<Column>),
}

impl Vector {
    pub fn into_column(self, len: usize) -> Arc<Column> {
        match self {
            Vector::Const(value) => Arc::new(Column::constant(&value, len)),
            Vector::Column(column) => column,
        }
    }
    #[inline]
    pub fn datum(&self, row: usize) -> Datum {
        match self {
            Vector::Const(value) => value.clone(),
            Vector::Column(column) => column.datum(row),
        }
    }
}

fn comparison(suffix: &str) -> Option<Comparison> {
    Some(match suffix {
        "eq" => Comparison::Equal,
        "ne" => Comparison::NotEqual,
        "lt" => Comparison::Less,
        "le" => Comparison::LessOrEqual,
        "gt" => Comparison::Greater,
        "ge" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn arithmetic(suffix: &str) -> Option<Arithmetic> {
    Some(match suffix {
        "pl" | "add" => Arithmetic::Add,
        "mi" | "sub" => Arithmetic::Subtract,
        "mul" => Arithmetic::Multiply,
        "div" => Arithmetic::Divide,
        "mod" => Arithmetic::Modulo,
        _ => return None,
    })
}

impl Kernel {
    /// By the function's symbol.
    pub fn of(symbol: &str) -> Option<Kernel> {
        match symbol {
            "textlike" => return Some(Kernel::Like { negated: false }),
            "textnlike" => return Some(Kernel::Like { negated: true }),
            "jsonb_object_field" => return Some(Kernel::JsonField { is_text: false }),
            "jsonb_object_field_text" => return Some(Kernel::JsonField { is_text: true }),
            "jsonb_contains" => return Some(Kernel::JsonContains),
            _ => {}
        }
        for prefix in ["int24", "int42", "int28", "int82", "int48", "int84", "int2", "int4", "int8"] {
            if let Some(suffix) = symbol.strip_prefix(prefix) {
                if let Some(comparison) = comparison(suffix) {
                    return Some(Kernel::CompareInt(comparison));
                }
                let width = prefix.bytes().skip(3).map(|b| b - b'0').max().unwrap_or(8);
                return arithmetic(suffix).map(|a| Kernel::Int(a, width));
            }
        }
        if let Some(op) = symbol.strip_prefix("date_").and_then(|rest| rest.strip_suffix("_timestamp")) {
            return comparison(op).map(Kernel::CompareLocal);
        }
        if let Some(op) = symbol.strip_prefix("timestamp_").and_then(|rest| rest.strip_suffix("_date")) {
            return comparison(op).map(Kernel::CompareLocal);
        }
        for prefix in ["date_", "timestamp_"] {
            if let Some(suffix) = symbol.strip_prefix(prefix) {
                return comparison(suffix).map(Kernel::CompareInt);
            }
        }
        for prefix in ["float48", "float84", "float8", "float4"] {
            if let Some(suffix) = symbol.strip_prefix(prefix) {
                return match (comparison(suffix), arithmetic(suffix)) {
                    (Some(comparison), _) => Some(Kernel::CompareFloat(comparison)),
                    (None, Some(a)) if prefix == "float8" => Some(Kernel::Float8(a)),
                    _ => None,
                };
            }
        }
        if let Some(suffix) = symbol.strip_prefix("text_").or_else(|| symbol.strip_prefix("text")) {
            return comparison(suffix).map(Kernel::CompareText);
        }
        if let Some(suffix) = symbol.strip_prefix("numeric_") {
            return match (comparison(suffix), arithmetic(suffix)) {
                (Some(comparison), _) => Some(Kernel::CompareNumeric(comparison)),
                (None, Some(a @ (Arithmetic::Add | Arithmetic::Subtract | Arithmetic::Multiply))) => {
                    Some(Kernel::Numeric(a))
                }
                _ => None,
            };
        }
        None
    }

    /// None: not these operands.
    pub fn run(self, args: &[Vector], len: usize) -> Option<Result<Column>> {
        let [a, b] = args else { return None };
        // A NULL constant makes all rows NULL; the caller deals with it.
        if matches!(a, Vector::Const(Datum::Null)) || matches!(b, Vector::Const(Datum::Null)) {
            return None;
        }
        match self {
            Kernel::Int(op, width) => {
                let (x, y) = (ints(a)?, ints(b)?);
                Some(int_arithmetic(op, width, &x, &y, nulls(a, b, len), len))
            }
            Kernel::CompareInt(op) => {
                let (x, y) = (ints(a)?, ints(b)?);
                let values = compare_ints(op, &x, &y, len);
                Some(Ok(Column { data: ColumnData::Bool(values), nulls: nulls(a, b, len) }))
            }
            Kernel::CompareLocal(op) => {
                let (x, y) = (local_micros(a)?, local_micros(b)?);
                let values = compare_ints(op, &x, &y, len);
                Some(Ok(Column { data: ColumnData::Bool(values), nulls: nulls(a, b, len) }))
            }
            Kernel::Float8(op) => {
                let (x, y) = (floats(a)?, floats(b)?);
                Some(float_arithmetic(op, &x, &y, nulls(a, b, len), len))
            }
            Kernel::CompareFloat(op) => {
                let (x, y) = (floats(a)?, floats(b)?);
                let values = (0..len).map(|i| op.holds(compare::compare_floats(x.at(i), y.at(i)))).collect();
                Some(Ok(Column { data: ColumnData::Bool(values), nulls: nulls(a, b, len) }))
            }
            Kernel::CompareText(op) => {
                let (x, y) = (text(a)?, text(b)?);
                let values = (0..len).map(|i| op.holds(x.at(i).as_bytes().cmp(y.at(i).as_bytes()))).collect();
                Some(Ok(Column { data: ColumnData::Bool(values), nulls: nulls(a, b, len) }))
            }
            Kernel::CompareNumeric(op) => {
                let (x, y) = (numerics(a)?, numerics(b)?);
                let compare = |i| match (x.at(i), y.at(i)) {
                    (Some(a), Some(b)) => op.holds(a.cmp(b)),
                    _ => false,
                };
                Some(Ok(Column { data: ColumnData::Bool((0..len).map(compare).collect()), nulls: nulls(a, b, len) }))
            }
            Kernel::Numeric(op) => {
                let (x, y) = (numerics(a)?, numerics(b)?);
                Some(numeric_arithmetic(op, &x, &y, nulls(a, b, len), len))
            }
            Kernel::Like { negated } => {
                let (x, Vector::Const(Datum::Text(pattern))) = (text(a)?, b) else { return None };
                let pattern = Pattern::simple(pattern)?;
                let values = (0..len).map(|i| pattern.matches(x.at(i)) != negated).collect();
                Some(Ok(Column { data: ColumnData::Bool(values), nulls: nulls(a, b, len) }))
            }
            // A field is read by the chain that it ends (`json::Fields`).
            Kernel::JsonField { .. } => None,
            Kernel::JsonContains => super::json::contains(a, b).map(Ok),
        }
    }
}

/// Values of a column, or one for all rows.
enum Operand<'a, T: Clone> {
    One(T),
    Many(Cow<'a, [T]>),
}

impl<T: Copy> Operand<'_, T> {
    #[inline]
    fn at(&self, i: usize) -> T
    where
        T: Default,
    {
        match self {
            Operand::One(v) => *v,
            Operand::Many(v) => v.get(i).copied().unwrap_or_default(),
        }
    }
}

fn ints(vector: &Vector) -> Option<Operand<'_, i64>> {
    Some(match vector {
        Vector::Const(
            value @ (Datum::Int2(_)
            | Datum::Int4(_)
            | Datum::Int8(_)
            | Datum::Date(_)
            | Datum::Timestamp(_)
            | Datum::TimestampTz(_)),
        ) => Operand::One(value.as_i64()),
        Vector::Const(_) => return None,
        Vector::Column(column) => Operand::Many(match &column.data {
            ColumnData::Int2(v) => v.iter().map(|x| i64::from(*x)).collect(),
            ColumnData::Int4(v) | ColumnData::Date(v) => v.iter().map(|x| i64::from(*x)).collect(),
            ColumnData::Int8(v) | ColumnData::Timestamp(v) | ColumnData::TimestampTz(v) => Cow::Borrowed(&v[..]),
            _ => return None,
        }),
    })
}

/// Microseconds of dates and timestamps. What is beyond a timestamp's range is still nearer than infinity.
fn local_micros(vector: &Vector) -> Option<Operand<'_, i64>> {
    const DAY: i64 = 86_400_000_000;
    let of = |date: i32| match date {
        i32::MIN => i64::MIN,
        i32::MAX => i64::MAX,
        days => i64::from(days).saturating_mul(DAY).clamp(i64::MIN + 1, i64::MAX - 1),
    };
    Some(match vector {
        Vector::Const(Datum::Date(v)) => Operand::One(of(*v)),
        Vector::Const(Datum::Timestamp(v)) => Operand::One(*v),
        Vector::Const(_) => return None,
        Vector::Column(column) => Operand::Many(match &column.data {
            ColumnData::Date(v) => v.iter().map(|x| of(*x)).collect(),
            ColumnData::Timestamp(v) => Cow::Borrowed(&v[..]),
            _ => return None,
        }),
    })
}

fn floats(vector: &Vector) -> Option<Operand<'_, f64>> {
    Some(match vector {
        Vector::Const(Datum::Float8(v)) => Operand::One(*v),
        Vector::Const(Datum::Float4(v)) => Operand::One(f64::from(*v)),
        Vector::Const(_) => return None,
        Vector::Column(column) => Operand::Many(match &column.data {
            ColumnData::Float4(v) => v.iter().map(|x| f64::from(*x)).collect(),
            ColumnData::Float8(v) => Cow::Borrowed(&v[..]),
            _ => return None,
        }),
    })
}

enum TextOperand<'a> {
    One(&'a str),
    Many(&'a crate::batch::TextData),
}

impl TextOperand<'_> {
    #[inline]
    fn at(&self, i: usize) -> &str {
        match self {
            TextOperand::One(v) => v,
            TextOperand::Many(v) => v.get(i),
        }
    }
}

fn text(vector: &Vector) -> Option<TextOperand<'_>> {
    match vector {
        Vector::Const(Datum::Text(v)) => Some(TextOperand::One(v)),
        Vector::Const(_) => None,
        Vector::Column(column) => match &column.data {
            ColumnData::Text(t) => Some(TextOperand::Many(t)),
            _ => None,
        },
    }
}

enum NumericOperand<'a> {
    One(&'a Numeric),
    Many(&'a [Datum]),
}

impl NumericOperand<'_> {
    #[inline]
    fn at(&self, i: usize) -> Option<&Numeric> {
        match self {
            NumericOperand::One(v) => Some(v),
            NumericOperand::Many(v) => match v.get(i) {
                Some(Datum::Numeric(n)) => Some(n),
                _ => None,
            },
        }
    }
}

fn numerics(vector: &Vector) -> Option<NumericOperand<'_>> {
    match vector {
        Vector::Const(Datum::Numeric(v)) => Some(NumericOperand::One(v)),
        Vector::Const(_) => None,
        Vector::Column(column) => match &column.data {
            ColumnData::Datums(v) => Some(NumericOperand::Many(v)),
            _ => None,
        },
    }
}

/// NULL where either operand is.
fn nulls(a: &Vector, b: &Vector, len: usize) -> Vec<bool> {
    let of = |v: &Vector| match v {
        Vector::Column(column) if !column.nulls.is_empty() => Some(column.clone()),
        _ => None,
    };
    match (of(a), of(b)) {
        (None, None) => vec![],
        (Some(one), None) | (None, Some(one)) => one.nulls.clone(),
        (Some(a), Some(b)) => (0..len).map(|i| a.is_null(i) || b.is_null(i)).collect(),
    }
}

fn compare_ints(op: Comparison, x: &Operand<'_, i64>, y: &Operand<'_, i64>, len: usize) -> Vec<bool> {
    #[inline]
    fn both(x: &Operand<'_, i64>, y: &Operand<'_, i64>, len: usize, f: impl Fn(i64, i64) -> bool) -> Vec<bool> {
        match (x, y) {
            (Operand::Many(a), Operand::One(b)) => a.iter().map(|a| f(*a, *b)).collect(),
            (Operand::One(a), Operand::Many(b)) => b.iter().map(|b| f(*a, *b)).collect(),
            (Operand::Many(a), Operand::Many(b)) => a.iter().zip(b.iter()).map(|(a, b)| f(*a, *b)).collect(),
            (Operand::One(a), Operand::One(b)) => vec![f(*a, *b); len],
        }
    }
    match op {
        Comparison::Equal => both(x, y, len, |a, b| a == b),
        Comparison::NotEqual => both(x, y, len, |a, b| a != b),
        Comparison::Less => both(x, y, len, |a, b| a < b),
        Comparison::LessOrEqual => both(x, y, len, |a, b| a <= b),
        Comparison::Greater => both(x, y, len, |a, b| a > b),
        Comparison::GreaterOrEqual => both(x, y, len, |a, b| a >= b),
    }
}

fn out_of_range(width: u8) -> SqlError {
    let name = match width {
        2 => "smallint",
        4 => "integer",
        _ => "bigint",
    };
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{name} out of range"))
}

fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

fn int_arithmetic(
    op: Arithmetic,
    width: u8,
    x: &Operand<'_, i64>,
    y: &Operand<'_, i64>,
    nulls: Vec<bool>,
    len: usize,
) -> Result<Column> {
    let (min, max) = match width {
        2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    let mut values = Vec::with_capacity(len);
    for i in 0..len {
        if nulls.get(i).copied().unwrap_or(false) {
            values.push(0);
            continue;
        }
        let (a, b) = (x.at(i), y.at(i));
        let value = match op {
            Arithmetic::Add => a.checked_add(b),
            Arithmetic::Subtract => a.checked_sub(b),
            Arithmetic::Multiply => a.checked_mul(b),
            Arithmetic::Divide if b == 0 => return Err(division_by_zero()),
            Arithmetic::Divide => a.checked_div(b),
            Arithmetic::Modulo if b == 0 => return Err(division_by_zero()),
            Arithmetic::Modulo => Some(a.wrapping_rem(b)),
        };
        match value {
            Some(value) if value >= min && value <= max => values.push(value),
            _ => return Err(out_of_range(width)),
        }
    }
    let data = match width {
        2 => ColumnData::Int2(values.into_iter().map(|v| v as i16).collect()),
        4 => ColumnData::Int4(values.into_iter().map(|v| v as i32).collect()),
        _ => ColumnData::Int8(values),
    };
    Ok(Column { data, nulls })
}

fn float_arithmetic(
    op: Arithmetic,
    x: &Operand<'_, f64>,
    y: &Operand<'_, f64>,
    nulls: Vec<bool>,
    len: usize,
) -> Result<Column> {
    let range = |what: &str| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value out of range: {what}"));
    let mut values = Vec::with_capacity(len);
    for i in 0..len {
        if nulls.get(i).copied().unwrap_or(false) {
            values.push(0.0);
            continue;
        }
        let (a, b) = (x.at(i), y.at(i));
        let value = match op {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Divide if b == 0.0 && !a.is_nan() => return Err(division_by_zero()),
            Arithmetic::Divide => a / b,
            Arithmetic::Modulo => a % b,
        };
        if value.is_infinite() && a.is_finite() && b.is_finite() {
            return Err(range("overflow"));
        }
        let vanishes = match op {
            Arithmetic::Multiply => value == 0.0 && a != 0.0 && b != 0.0,
            Arithmetic::Divide => value == 0.0 && a != 0.0 && b.is_finite(),
            _ => false,
        };
        if vanishes {
            return Err(range("underflow"));
        }
        values.push(value);
    }
    Ok(Column { data: ColumnData::Float8(values), nulls })
}

fn numeric_arithmetic(
    op: Arithmetic,
    x: &NumericOperand<'_>,
    y: &NumericOperand<'_>,
    nulls: Vec<bool>,
    len: usize,
) -> Result<Column> {
    let mut values = Vec::with_capacity(len);
    for i in 0..len {
        values.push(match (x.at(i), y.at(i)) {
            (Some(a), Some(b)) => Datum::Numeric(match op {
                Arithmetic::Add => a.add(b)?,
                Arithmetic::Subtract => a.sub(b)?,
                _ => a.mul(b)?,
            }),
            _ => Datum::Null,
        });
    }
    Ok(Column { data: ColumnData::Datums(values), nulls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_compared_with_timestamps_as_the_functions_do() {
        let format = types::FormatSettings::default();
        let dates = [i32::MIN, -2_451_545, -1, 0, 1, 8_766, 109_203_527, i32::MAX - 1, i32::MAX];
        let times =
            [i64::MIN, -86_400_000_000, -1, 0, 1, 86_400_000_000, 757_382_400_000_000, i64::MAX - 807, i64::MAX];
        for op in ["eq", "ne", "lt", "le", "gt", "ge"] {
            for symbol in [format!("date_{op}_timestamp"), format!("timestamp_{op}_date")] {
                let (kernel, function) = (Kernel::of(&symbol), types::functions::scalar(&symbol));
                let (kernel, function) = kernel.zip(function).expect("known");
                for date in dates {
                    for time in times {
                        let mut args = [Datum::Date(date), Datum::Timestamp(time)];
                        if symbol.starts_with('t') {
                            args.reverse();
                        }
                        let types = [types::SqlType::BOOL; 2];
                        let call = types::CallContext { format: &format, arg_types: &types, result_type: types[0] };
                        let expected = function(&call, &args).expect("a truth");
                        let column = |v: &Datum| Vector::Column(Arc::new(Column::constant(v, 1)));
                        for operands in
                            [[column(&args[0]), column(&args[1])], [column(&args[0]), Vector::Const(args[1].clone())]]
                        {
                            let got = kernel.run(&operands, 1).expect("taken").expect("a truth").datum(0);
                            assert_eq!(format!("{got:?}"), format!("{expected:?}"), "{symbol}({args:?})");
                        }
                    }
                }
            }
        }
    }

    /// Every kernel gives what the function it stands for gives, on values at the edges of the types.
    #[test]
    fn kernels_agree_with_the_functions() {
        let ints = [i32::MIN, -7, -1, 0, 1, 2, 46_341, i32::MAX];
        let format = types::FormatSettings::default();
        for symbol in ["int4pl", "int4mi", "int4mul", "int4div", "int4mod", "int4eq", "int4lt", "int4ge"] {
            let (Some(kernel), Some(function)) = (Kernel::of(symbol), types::functions::scalar(symbol)) else {
                panic!("{symbol} is not known");
            };
            for a in ints {
                for b in ints {
                    let args = [Datum::Int4(a), Datum::Int4(b)];
                    let types = [types::SqlType::INT4; 2];
                    let call = types::CallContext { format: &format, arg_types: &types, result_type: types[0] };
                    let expected = function(&call, &args).map(|d| format!("{d:?}")).map_err(|e| e.message().to_owned());
                    let column =
                        |v| Vector::Column(Arc::new(Column { data: ColumnData::Int4(vec![v]), nulls: vec![] }));
                    for operands in [[column(a), column(b)], [column(a), Vector::Const(Datum::Int4(b))]] {
                        let got = kernel
                            .run(&operands, 1)
                            .map(|r| r.map(|c| format!("{:?}", c.datum(0))).map_err(|e| e.message().to_owned()));
                        assert_eq!(got.as_ref(), Some(&expected), "{symbol}({a}, {b})");
                    }
                }
            }
        }
    }
}
