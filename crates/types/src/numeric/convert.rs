//! Between `Numeric` and the machine's numbers.

use super::arith::{Rounding, divide_i128};
use super::{Numeric, POWERS};
use crate::{Result, SqlError, SqlState};

impl Numeric {
    /// The integer nearest to the value, half away from zero; None beyond `i64` and of the specials.
    pub fn to_i64_checked(&self) -> Option<i64> {
        match self {
            Numeric::Small { mantissa, scale: 0 } => Some(*mantissa),
            Numeric::Small { mantissa, scale } => match POWERS.get(usize::from(*scale)) {
                Some(power) => i64::try_from(divide_i128(i128::from(*mantissa), *power, Rounding::HalfAway)).ok(),
                None => Some(0),
            },
            Numeric::Big(_) => match self.rescale(0, Rounding::HalfAway) {
                Ok(Numeric::Small { mantissa, .. }) => Some(mantissa),
                _ => None,
            },
            _ => None,
        }
    }

    fn to_integer<T: TryFrom<i64>>(&self, type_name: &str) -> Result<T> {
        let what = match self {
            Numeric::NaN => "NaN",
            Numeric::PosInfinity | Numeric::NegInfinity => "infinity",
            finite => {
                return finite.to_i64_checked().and_then(|v| T::try_from(v).ok()).ok_or_else(|| {
                    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{type_name} out of range"))
                });
            }
        };
        Err(SqlError::unsupported(format!("cannot convert {what} to {type_name}")))
    }

    /// Rounded half away from zero; 22003 beyond bigint, 0A000 for NaN and the infinities (as PostgreSQL has it).
    pub fn to_i64(&self) -> Result<i64> {
        self.to_integer("bigint")
    }
    pub fn to_i32(&self) -> Result<i32> {
        self.to_integer("integer")
    }
    pub fn to_i16(&self) -> Result<i16> {
        self.to_integer("smallint")
    }

    /// The nearest float; infinite beyond its range, 0 below it.
    pub fn to_f64_lossy(&self) -> f64 {
        match self {
            // Both exact as floats, so that one division rounds once.
            Numeric::Small { mantissa, scale } if mantissa.unsigned_abs() < 1 << 53 && *scale <= 22 => {
                *mantissa as f64 / POWERS.get(usize::from(*scale)).map_or(1.0, |p| *p as f64)
            }
            Numeric::NaN => f64::NAN,
            Numeric::PosInfinity => f64::INFINITY,
            Numeric::NegInfinity => f64::NEG_INFINITY,
            finite => finite.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    /// The nearest double; 22003 if that is infinite, or zero though the value is not.
    pub fn to_f64(&self) -> Result<f64> {
        let value = self.to_f64_lossy();
        self.check_range(f64::is_infinite(value), value == 0.0, "double precision")?;
        Ok(value)
    }

    /// The nearest single; errors as `to_f64`.
    pub fn to_f32(&self) -> Result<f32> {
        let value = match self {
            // By way of the text: a detour over f64 would round twice.
            Numeric::Small { .. } | Numeric::Big(_) => self.to_string().parse().unwrap_or(f32::NAN),
            special => special.to_f64_lossy() as f32,
        };
        self.check_range(f32::is_infinite(value), value == 0.0, "real")?;
        Ok(value)
    }

    fn check_range(&self, infinite: bool, zero: bool, type_name: &str) -> Result<()> {
        if (infinite && self.is_finite()) || (zero && !self.is_zero()) {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("\"{self}\" is out of range for type {type_name}"),
            ));
        }
        Ok(())
    }

    /// The value to 15 significant digits, as PostgreSQL's cast has it.
    pub fn from_f64(value: f64) -> Numeric {
        from_float(value, 15)
    }

    /// The value to 6 significant digits.
    pub fn from_f32(value: f32) -> Numeric {
        from_float(f64::from(value), 6)
    }
}

fn from_float(value: f64, significant_digits: usize) -> Numeric {
    if value.is_nan() {
        return Numeric::NaN;
    }
    if value.is_infinite() {
        return if value > 0.0 { Numeric::PosInfinity } else { Numeric::NegInfinity };
    }
    let text = super::io::general_format(value, significant_digits);
    // A finite float's digits are always a number within the format.
    Numeric::parse(&text).unwrap_or(Numeric::NaN)
}
