//! `variance`, `stddev` and their `_pop` and `_samp` forms.
//!
//! Integers and numerics keep exact sums of the values and of their squares: the result is exact up to the one division
//! (and root), at the scale that PostgreSQL gives them. Floats use the recurrence of Youngs and Cramer (1971), which does
//! not cancel as the sum of squares does; PostgreSQL uses the same, so the last digits agree.

use super::Accumulator;
use super::sums::{DecimalSum, Specials};
use crate::functions::float::add;
use crate::numeric::Numeric;
use crate::{CallContext, Datum, Result, SqlError, SqlState};
use dashu_int::IBig;

/// Which of the four results.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Divided by n - 1, not by n.
    pub of_sample: bool,
    /// The root of the variance.
    pub is_deviation: bool,
}

/// Over integers and numerics; a numeric result.
pub struct ExactVariance {
    spread: Spread,
    count: i64,
    sum: DecimalSum,
    squares: DecimalSum,
    specials: Specials,
}

impl ExactVariance {
    pub fn new(spread: Spread) -> ExactVariance {
        let (sum, squares) = (DecimalSum::default(), DecimalSum::default());
        ExactVariance { spread, count: 0, sum, squares, specials: Specials::default() }
    }

    #[inline]
    fn add(&mut self, mantissa: i64, scale: u32) {
        let mantissa = i128::from(mantissa);
        self.sum.add(mantissa, scale);
        // |i64|^2 <= 2^126.
        self.squares.add(mantissa * mantissa, scale * 2);
        self.count += 1;
    }
}

impl Accumulator for ExactVariance {
    #[inline]
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        match &args[0] {
            Datum::Int4(value) => self.add(i64::from(*value), 0),
            Datum::Int8(value) => self.add(*value, 0),
            Datum::Int2(value) => self.add(i64::from(*value), 0),
            Datum::Numeric(Numeric::Small { mantissa, scale }) => self.add(*mantissa, u32::from(*scale)),
            Datum::Numeric(value) => {
                match value.big_parts() {
                    Some((mantissa, scale)) => {
                        self.squares.add_big(&mantissa * &mantissa, scale * 2);
                        self.sum.add_big(mantissa, scale);
                    }
                    None => self.specials.add(value),
                }
                self.count += 1;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        if self.count == 0 || (self.spread.of_sample && self.count == 1) {
            return Ok(Datum::Null);
        }
        if self.specials.count() > 0 {
            return Ok(Datum::Numeric(Numeric::NaN));
        }
        let ((sum, scale), (squares, squares_scale)) = (self.sum.total(), self.squares.total());
        debug_assert_eq!(squares_scale, scale * 2);
        // n * sum(x^2) - sum(x)^2, over n^2 or n * (n - 1).
        let numerator = IBig::from(self.count) * squares - &sum * &sum;
        if numerator <= IBig::ZERO {
            return Ok(Datum::Numeric(Numeric::ZERO));
        }
        let divisor = i128::from(self.count) * i128::from(self.count - i64::from(self.spread.of_sample));
        let numerator = Numeric::from_big(numerator, squares_scale)?;
        let divisor = Numeric::from_i128(divisor);
        let variance = numerator.div(&divisor)?;
        match self.spread.is_deviation {
            false => Ok(Datum::Numeric(variance)),
            true => variance.sqrt_at(variance.scale().unwrap_or(0)).map(Datum::Numeric),
        }
    }

    fn size_bytes(&self) -> usize {
        160
    }
}

/// What a recurrence over floats ends in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FloatResult {
    Average,
    Spread(Spread),
}

/// Over floats; a double result. `avg` of floats is here as well: PostgreSQL keeps the same state for it, with the same
/// overflow errors.
pub struct FloatVariance {
    result: FloatResult,
    count: f64,
    sum: f64,
    /// Sum of squared distances from the mean.
    distances: f64,
}

impl FloatVariance {
    pub fn new(result: FloatResult) -> FloatVariance {
        FloatVariance { result, count: 0.0, sum: 0.0, distances: 0.0 }
    }
}

pub(super) fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

impl FloatVariance {
    #[inline]
    pub fn add(&mut self, value: f64) -> Result<()> {
        let sum_before = self.sum;
        self.count += 1.0;
        self.sum += value;
        if self.count > 1.0 {
            let distance = value * self.count - self.sum;
            self.distances += distance * distance / (self.count * (self.count - 1.0));
            if self.sum.is_infinite() || self.distances.is_infinite() {
                if !sum_before.is_infinite() && !value.is_infinite() {
                    return Err(overflow());
                }
                self.distances = f64::NAN;
            }
        } else if !value.is_finite() {
            self.distances = f64::NAN;
        }
        Ok(())
    }

    /// The state as `float8_accum` keeps it: the count, the sum, and the sum of squared distances from the mean.
    pub fn from_state([count, sum, distances]: [f64; 3]) -> FloatVariance {
        FloatVariance { result: FloatResult::Average, count, sum, distances }
    }

    pub fn state(&self) -> [f64; 3] {
        [self.count, self.sum, self.distances]
    }

    /// Takes the rows that `other` has seen.
    pub fn merge(&mut self, other: &FloatVariance) -> Result<()> {
        if other.count == 0.0 {
            return Ok(());
        }
        if self.count == 0.0 {
            (self.count, self.sum, self.distances) = (other.count, other.sum, other.distances);
            return Ok(());
        }
        let count = self.count + other.count;
        let apart = self.sum / self.count - other.sum / other.count;
        let sum = add(self.sum, other.sum)?;
        let distances = self.distances + other.distances + self.count * other.count * apart * apart / count;
        if distances.is_infinite() && !self.distances.is_infinite() && !other.distances.is_infinite() {
            return Err(overflow());
        }
        (self.count, self.sum, self.distances) = (count, sum, distances);
        Ok(())
    }

    pub fn value(&self) -> Datum {
        let result = match self.result {
            _ if self.count == 0.0 => return Datum::Null,
            FloatResult::Average => self.sum / self.count,
            FloatResult::Spread(spread) => {
                let divisor = self.count - if spread.of_sample { 1.0 } else { 0.0 };
                if divisor <= 0.0 {
                    return Datum::Null;
                }
                let variance = self.distances / divisor;
                if spread.is_deviation { variance.sqrt() } else { variance }
            }
        };
        Datum::Float8(result)
    }
}

impl Accumulator for FloatVariance {
    #[inline]
    fn update(&mut self, _context: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        match args[0] {
            Datum::Float8(value) => self.add(value),
            Datum::Float4(value) => self.add(f64::from(value)),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, _context: &CallContext<'_>) -> Result<Datum> {
        Ok(self.value())
    }
}

/// `avg` of floats, outside of an `Accumulator`.
pub struct FloatAverage(FloatVariance);

impl Default for FloatAverage {
    fn default() -> FloatAverage {
        FloatAverage(FloatVariance::new(FloatResult::Average))
    }
}

impl FloatAverage {
    #[inline]
    pub fn add(&mut self, value: f64) -> Result<()> {
        self.0.add(value)
    }
    /// NULL of nothing.
    pub fn value(&self) -> Datum {
        self.0.value()
    }
}
