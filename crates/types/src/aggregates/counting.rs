//! Aggregates with a word of state: counts, truth values, bits.

use super::Accumulator;
use crate::{CallContext, Datum, Result, SqlError, SqlState};

/// `count(*)` counts rows, `count(x)` those without NULL, `regr_count(y, x)` those with no NULL in either.
#[derive(Default)]
pub struct Count {
    count: i64,
}

impl Accumulator for Count {
    #[inline]
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        self.count += i64::from(!args.iter().any(Datum::is_null));
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        Ok(Datum::Int8(self.count))
    }
}

/// `bool_and` (`every`) and `bool_or`; NULL without rows.
pub struct Truth {
    is_and: bool,
    value: Option<bool>,
}

impl Truth {
    pub fn new(is_and: bool) -> Truth {
        Truth { is_and, value: None }
    }
}

impl Accumulator for Truth {
    #[inline]
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if let Datum::Bool(next) = args[0] {
            let value = self.value.get_or_insert(next);
            *value = if self.is_and { *value && next } else { *value || next };
        }
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        Ok(self.value.map_or(Datum::Null, Datum::Bool))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum BitOperation {
    And,
    Or,
    Xor,
}

impl BitOperation {
    fn apply(self, a: i64, b: i64) -> i64 {
        match self {
            BitOperation::And => a & b,
            BitOperation::Or => a | b,
            BitOperation::Xor => a ^ b,
        }
    }

    fn name(self) -> &'static str {
        match self {
            BitOperation::And => "AND",
            BitOperation::Or => "OR",
            BitOperation::Xor => "XOR",
        }
    }
}

/// `bit_and`, `bit_or`, `bit_xor` over integers and bit strings; NULL without rows.
pub struct Bits {
    operation: BitOperation,
    value: Datum,
}

impl Bits {
    pub fn new(operation: BitOperation) -> Bits {
        Bits { operation, value: Datum::Null }
    }
}

impl Accumulator for Bits {
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        let operation = self.operation;
        match (&mut self.value, &args[0]) {
            (_, Datum::Null) => {}
            (value @ Datum::Null, first) => *value = first.clone(),
            (Datum::Int2(a), Datum::Int2(b)) => *a = operation.apply(i64::from(*a), i64::from(*b)) as i16,
            (Datum::Int4(a), Datum::Int4(b)) => *a = operation.apply(i64::from(*a), i64::from(*b)) as i32,
            (Datum::Int8(a), Datum::Int8(b)) => *a = operation.apply(*a, *b),
            (Datum::Text(a), Datum::Text(b)) => {
                if a.len() != b.len() {
                    let message = format!("cannot {} bit strings of different sizes", operation.name());
                    return Err(SqlError::new(SqlState::STRING_DATA_LENGTH_MISMATCH, message));
                }
                // Bytes '0' and '1' differ in their last bit alone.
                let bit = |(a, b): (u8, u8)| {
                    let bit = operation.apply(i64::from(a & 1), i64::from(b & 1));
                    if bit == 1 { '1' } else { '0' }
                };
                *a = a.bytes().zip(b.bytes()).map(bit).collect();
            }
            (value, other) => debug_assert!(false, "bits of {value:?} and {other:?}"),
        }
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        Ok(self.value.clone())
    }
}
