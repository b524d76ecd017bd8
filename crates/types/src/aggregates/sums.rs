//! `sum` and `avg`.
//!
//! Nothing is allocated per row: integers add up in `i128` (which 2^64 rows of bigint cannot overflow), numerics in an
//! `i128` at the greatest scale so far, which spills into big digits only when it is full.

use super::Accumulator;
use crate::datetime::Interval;
use crate::functions::float;
use crate::numeric::{Numeric, POWERS, power_of_ten};
use crate::{CallContext, Datum, Result, SqlError, SqlState};
use dashu_int::IBig;

/// `sum(int2)`, `sum(int4)`: bigint.
#[derive(Default)]
pub struct SmallIntegerSum {
    sum: i64,
    has_value: bool,
}

impl Accumulator for SmallIntegerSum {
    #[inline]
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        let value = match args[0] {
            Datum::Int4(value) => i64::from(value),
            Datum::Int2(value) => i64::from(value),
            _ => return Ok(()),
        };
        self.has_value = true;
        match self.sum.checked_add(value) {
            Some(sum) => self.sum = sum,
            None => return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")),
        }
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        Ok(if self.has_value { Datum::Int8(self.sum) } else { Datum::Null })
    }
}

/// `sum(int8)` and the averages of integers: numeric.
#[derive(Default)]
pub struct IntegerSum {
    is_average: bool,
    sum: i128,
    count: i64,
}

impl IntegerSum {
    pub fn new(is_average: bool) -> IntegerSum {
        IntegerSum { is_average, ..IntegerSum::default() }
    }
}

impl Accumulator for IntegerSum {
    #[inline]
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        let value = match args[0] {
            Datum::Int4(value) => i128::from(value),
            Datum::Int8(value) => i128::from(value),
            Datum::Int2(value) => i128::from(value),
            _ => return Ok(()),
        };
        self.sum += value;
        self.count += 1;
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        let sum = Numeric::from_i128(self.sum);
        Ok(Datum::Numeric(if self.is_average { sum.div(&Numeric::from_i64(self.count))? } else { sum }))
    }
}

/// `sum(money)`.
#[derive(Default)]
pub struct MoneySum {
    sum: Option<i64>,
}

impl Accumulator for MoneySum {
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if let Datum::Int8(value) = args[0] {
            let sum = self.sum.unwrap_or(0).checked_add(value);
            self.sum =
                Some(sum.ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "money out of range"))?);
        }
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        Ok(self.sum.map_or(Datum::Null, Datum::Int8))
    }
}

/// A sum of decimals: `low / 10^scale` and, once that was full, `spilled`.
#[derive(Default)]
pub struct DecimalSum {
    low: i128,
    scale: u32,
    spilled: Option<(IBig, u32)>,
}

impl DecimalSum {
    /// Adds `mantissa / 10^scale`.
    #[inline]
    pub fn add(&mut self, mantissa: i128, scale: u32) {
        if scale == self.scale
            && let Some(low) = self.low.checked_add(mantissa)
        {
            self.low = low;
        } else {
            self.add_slowly(mantissa, scale);
        }
    }

    #[cold]
    fn add_slowly(&mut self, mantissa: i128, scale: u32) {
        let scaled = |value: i128, up: u32| POWERS.get(up as usize).and_then(|power| value.checked_mul(*power));
        let target = self.scale.max(scale);
        let sum = match (scaled(self.low, target - self.scale), scaled(mantissa, target - scale)) {
            (Some(low), Some(mantissa)) => low.checked_add(mantissa),
            _ => None,
        };
        match sum {
            Some(sum) => (self.low, self.scale) = (sum, target),
            None => {
                self.add_big(IBig::from(self.low), self.scale);
                (self.low, self.scale) = (0, target);
                match scaled(mantissa, target - scale) {
                    Some(mantissa) => self.low = mantissa,
                    None => self.add_big(IBig::from(mantissa), scale),
                }
            }
        }
    }

    pub fn add_big(&mut self, mantissa: IBig, scale: u32) {
        let (sum, sum_scale) = self.spilled.take().unwrap_or((IBig::ZERO, 0));
        self.spilled = Some(add_scaled(sum, sum_scale, mantissa, scale));
    }

    /// The sum and its scale, which is the greatest of what was added.
    pub fn total(&self) -> (IBig, u32) {
        let low = IBig::from(self.low);
        match &self.spilled {
            None => (low, self.scale),
            Some((sum, scale)) => add_scaled(sum.clone(), *scale, low, self.scale),
        }
    }
}

fn add_scaled(a: IBig, a_scale: u32, b: IBig, b_scale: u32) -> (IBig, u32) {
    let scale = a_scale.max(b_scale);
    let up =
        |value: IBig, from: u32| if from == scale { value } else { value * IBig::from(power_of_ten(scale - from)) };
    (up(a, a_scale) + up(b, b_scale), scale)
}

/// How many special values a column of numerics had: they decide the result whatever else there was.
#[derive(Default)]
pub struct Specials {
    nan: u64,
    positive: u64,
    negative: u64,
}

impl Specials {
    pub fn add(&mut self, value: &Numeric) {
        match value {
            Numeric::PosInfinity => self.positive += 1,
            Numeric::NegInfinity => self.negative += 1,
            _ => self.nan += 1,
        }
    }

    pub fn count(&self) -> u64 {
        self.nan + self.positive + self.negative
    }

    /// Their sum, if there were any.
    pub fn sum(&self) -> Option<Numeric> {
        match (self.nan, self.positive, self.negative) {
            (0, 0, 0) => None,
            (0, _, 0) => Some(Numeric::PosInfinity),
            (0, 0, _) => Some(Numeric::NegInfinity),
            _ => Some(Numeric::NaN),
        }
    }
}

/// `sum(numeric)` and `avg(numeric)`.
#[derive(Default)]
pub struct NumericSum {
    is_average: bool,
    sum: DecimalSum,
    count: i64,
    specials: Specials,
}

impl NumericSum {
    pub fn new(is_average: bool) -> NumericSum {
        NumericSum { is_average, ..NumericSum::default() }
    }

    #[inline]
    pub fn add(&mut self, value: &Numeric) {
        self.count += 1;
        match value {
            Numeric::Small { mantissa, scale } => self.sum.add(i128::from(*mantissa), u32::from(*scale)),
            other => match other.big_parts() {
                Some((mantissa, scale)) => self.sum.add_big(mantissa, scale),
                None => self.specials.add(other),
            },
        }
    }

    /// The sum or average so far; NULL of nothing.
    pub fn total(&self) -> Result<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        if let Some(special) = self.specials.sum() {
            return Ok(Datum::Numeric(special));
        }
        let (mantissa, scale) = self.sum.total();
        let sum = Numeric::from_big(mantissa, scale)?;
        Ok(Datum::Numeric(if self.is_average { sum.div(&Numeric::from_i64(self.count))? } else { sum }))
    }
}

impl Accumulator for NumericSum {
    #[inline]
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if let Datum::Numeric(value) = &args[0] {
            self.add(value);
        }
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        self.total()
    }
}

/// `sum(float4)` and `sum(float8)`: 22003 on overflow, each row rounded to the type.
pub struct FloatSum {
    is_single: bool,
    sum: Option<f64>,
}

impl FloatSum {
    pub fn new(is_single: bool) -> FloatSum {
        FloatSum { is_single, sum: None }
    }
}

impl Accumulator for FloatSum {
    #[inline]
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        let value = match args[0] {
            Datum::Float8(value) => value,
            Datum::Float4(value) => f64::from(value),
            _ => return Ok(()),
        };
        self.sum = Some(match self.sum {
            None => value,
            Some(sum) if self.is_single => float::add_singles(sum as f32, value as f32).map(f64::from)?,
            Some(sum) => float::add(sum, value)?,
        });
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        Ok(match self.sum {
            None => Datum::Null,
            Some(sum) if self.is_single => Datum::Float4(sum as f32),
            Some(sum) => Datum::Float8(sum),
        })
    }
}

/// `sum(interval)` and `avg(interval)`: 22008 on overflow.
#[derive(Default)]
pub struct IntervalSum {
    is_average: bool,
    sum: Interval,
    count: i64,
}

impl IntervalSum {
    pub fn new(is_average: bool) -> IntervalSum {
        IntervalSum { is_average, ..IntervalSum::default() }
    }
}

impl Accumulator for IntervalSum {
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        if let Datum::Interval(value) = args[0] {
            self.sum = self.sum.checked_add(value)?;
            self.count += 1;
        }
        Ok(())
    }
    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        match self.count {
            0 => Ok(Datum::Null),
            count if self.is_average => self.sum.div_f64(count as f64).map(Datum::Interval),
            _ => Ok(Datum::Interval(self.sum)),
        }
    }
}
