//! Sums, products, quotients and rounding, with PostgreSQL's scales.
//!
//! Every operation has a fast path for two `Small` operands, in `i128` with checked or provably safe steps, and one
//! slow path on big digits. The special values come first in the slow path only: a `Small` is never special.

use super::{
    DIGITS_BEFORE_MAX, Numeric, POWERS, RESULT_SCALE_MAX, SCALE_MAX, SIGNIFICANT_DIGITS_MIN, digit_count, magnitude,
    overflow, power_of_ten, small_power,
};
use crate::{Result, SqlError, SqlState};
use dashu_int::ops::{BitTest, DivRem};
use dashu_int::{IBig, Sign, UBig};

/// The least scale that `round` and `trunc` look at: the greatest number, rounded one place before its first digit, is zero.
const ROUND_SCALE_MIN: i64 = -(DIGITS_BEFORE_MAX as i64) - 1;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    HalfAway,
    Truncate,
    Floor,
    Ceiling,
}

pub(crate) fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// Both mantissas at the greater scale, if `i128` surely holds their sum: 2^63 * 10^19 + 2^63 < 2^127.
#[inline]
fn aligned(a: &Numeric, b: &Numeric) -> Option<(i128, i128, u16)> {
    let (Numeric::Small { mantissa: m, scale: s }, Numeric::Small { mantissa: n, scale: t }) = (a, b) else {
        return None;
    };
    let (m, n) = (i128::from(*m), i128::from(*n));
    match (s.abs_diff(*t), s < t) {
        (0, _) => Some((m, n, *s)),
        (up @ 1..=19, true) => Some((m * POWERS[usize::from(up)], n, *t)),
        (up @ 1..=19, false) => Some((m, n * POWERS[usize::from(up)], *s)),
        _ => None,
    }
}

/// The same with big digits; None if one is special.
pub(crate) fn aligned_big(a: &Numeric, b: &Numeric) -> Option<(IBig, IBig, u32)> {
    let ((m, s), (n, t)) = (a.big_parts()?, b.big_parts()?);
    Some(match s.cmp(&t) {
        std::cmp::Ordering::Equal => (m, n, s),
        std::cmp::Ordering::Less => (m * IBig::from(power_of_ten(t - s)), n, t),
        std::cmp::Ordering::Greater => (m, n * IBig::from(power_of_ten(s - t)), s),
    })
}

/// A division is some multiplications, and what it leaves may be small.
fn division_work(dividend: &IBig) -> usize {
    super::work(dividend.bit_len() / 8).saturating_mul(4)
}

impl Numeric {
    /// 22003 beyond the format. Infinity + -Infinity is NaN.
    #[inline]
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        if let Some((a, b, scale)) = aligned(self, other) {
            return Ok(Numeric::from_i128_scaled(a + b, scale));
        }
        if let Some((a, b, scale)) = aligned_big(self, other) {
            return Numeric::from_big(a + b, scale);
        }
        Ok(match (self, other) {
            (Numeric::NaN, _) | (_, Numeric::NaN) => Numeric::NaN,
            (Numeric::PosInfinity, Numeric::NegInfinity) | (Numeric::NegInfinity, Numeric::PosInfinity) => Numeric::NaN,
            (Numeric::PosInfinity, _) | (_, Numeric::PosInfinity) => Numeric::PosInfinity,
            _ => Numeric::NegInfinity,
        })
    }

    /// 22003 beyond the format. Infinity - Infinity is NaN.
    #[inline]
    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        if let Some((a, b, scale)) = aligned(self, other) {
            return Ok(Numeric::from_i128_scaled(a - b, scale));
        }
        self.add(&other.neg())
    }

    /// The scale is the sum of both. 22003 beyond the format. 0 * Infinity is NaN.
    #[inline]
    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        if let (Numeric::Small { mantissa: m, scale: s }, Numeric::Small { mantissa: n, scale: t }) = (self, other) {
            let scale = u32::from(*s) + u32::from(*t);
            if scale <= SCALE_MAX {
                return Ok(Numeric::from_i128_scaled(i128::from(*m) * i128::from(*n), scale as u16));
            }
        }
        let (Some((m, s)), Some((n, t))) = (self.big_parts(), other.big_parts()) else {
            if self.is_nan() || other.is_nan() {
                return Ok(Numeric::NaN);
            }
            return Ok(infinity(self.signum() * other.signum()));
        };
        let scale = s + t;
        if scale <= SCALE_MAX {
            return Numeric::from_big(m * n, scale);
        }
        Numeric::from_big(shift(m * n, i64::from(SCALE_MAX) - i64::from(scale), Rounding::HalfAway), SCALE_MAX)
    }

    /// The quotient at PostgreSQL's scale (at least 16 significant digits), rounded half away from zero. 22012 for zero.
    #[inline]
    pub fn div(&self, other: &Numeric) -> Result<Numeric> {
        let (Some(s), Some(t)) = (self.scale(), other.scale()) else {
            return self.div_special(other);
        };
        if other.is_zero() {
            return Err(division_by_zero());
        }
        let scale = self.division_scale(other);
        self.quotient(other, s, t, scale, Rounding::HalfAway)
    }

    /// `div(a, b)`: the whole part of the quotient.
    pub fn div_trunc(&self, other: &Numeric) -> Result<Numeric> {
        let (Some(s), Some(t)) = (self.scale(), other.scale()) else {
            return self.div_special(other);
        };
        if other.is_zero() {
            return Err(division_by_zero());
        }
        self.quotient(other, s, t, 0, Rounding::Truncate)
    }

    fn div_special(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (Numeric::NaN, _) | (_, Numeric::NaN) => Ok(Numeric::NaN),
            (_, zero) if zero.is_zero() => Err(division_by_zero()),
            (a, b) if a.is_infinite() && b.is_infinite() => Ok(Numeric::NaN),
            (a, b) if a.is_infinite() => Ok(infinity(a.signum() * b.signum())),
            _ => Ok(Numeric::ZERO),
        }
    }

    /// `self / other` with `scale` digits after the point; both finite, `other` not zero.
    pub(crate) fn quotient(&self, other: &Numeric, s: u32, t: u32, scale: u32, rounding: Rounding) -> Result<Numeric> {
        let up = i64::from(scale) + i64::from(t) - i64::from(s);
        if let (Numeric::Small { mantissa: m, .. }, Numeric::Small { mantissa: n, .. }) = (self, other) {
            let power = small_power(up.unsigned_abs() as u32);
            let operands = match power {
                Some(power) if up >= 0 => i128::from(*m).checked_mul(power).map(|m| (m, i128::from(*n))),
                Some(power) => i128::from(*n).checked_mul(power).map(|n| (i128::from(*m), n)),
                None => None,
            };
            if let Some((m, n)) = operands {
                return Ok(Numeric::from_i128_scaled(divide_i128(m, n, rounding), scale as u16));
            }
        }
        let (Some((mut m, _)), Some((mut n, _))) = (self.big_parts(), other.big_parts()) else {
            return self.div_special(other);
        };
        let power = IBig::from(power_of_ten(up.unsigned_abs() as u32));
        if up >= 0 {
            m *= power;
        } else {
            n *= power;
        }
        crate::stop::spent(division_work(&m))?;
        Numeric::from_big(divide(m, n, rounding), scale)
    }

    /// The scale that PostgreSQL gives a quotient: 16 significant digits at least, counted by base-10,000 digits, and
    /// no less than either operand's, at most 1,000.
    pub(crate) fn division_scale(&self, other: &Numeric) -> u32 {
        let ((weight, first), (other_weight, other_first)) = (self.leading_group(), other.leading_group());
        let quotient_weight = weight - other_weight - i64::from(first <= other_first);
        (SIGNIFICANT_DIGITS_MIN - quotient_weight * 4)
            .max(i64::from(self.scale().unwrap_or(0)))
            .max(i64::from(other.scale().unwrap_or(0)))
            .clamp(0, RESULT_SCALE_MAX) as u32
    }

    /// Weight and value of the first base-10,000 digit that is not 0; (0, 0) for zero and the specials.
    pub(crate) fn leading_group(&self) -> (i64, u32) {
        let (digits, scale, leading) = match self {
            Numeric::Small { mantissa: 0, .. } => return (0, 0),
            Numeric::Small { mantissa, scale } => {
                let value = mantissa.unsigned_abs();
                let digits = value.ilog10() + 1;
                (digits, *scale, u128::from(value))
            }
            Numeric::Big(big) => {
                let value = magnitude(&big.mantissa);
                let digits = digit_count(&value);
                let leading = value / power_of_ten(digits.saturating_sub(20));
                (digits, big.scale, u128::try_from(leading).unwrap_or(0))
            }
            _ => return (0, 0),
        };
        let before_point = i64::from(digits) - i64::from(scale);
        let weight = (before_point - 1).div_euclid(4);
        let group_digits = (before_point - weight * 4) as u32; // 1 to 4
        let known = digits.min(20);
        let group = if known >= group_digits {
            leading / POWERS[(known - group_digits) as usize] as u128
        } else {
            leading * POWERS[(group_digits - known) as usize] as u128
        };
        (weight, group as u32)
    }

    /// The remainder, with the sign of `self` and the greater scale. 22012 for zero.
    #[inline]
    pub fn rem(&self, other: &Numeric) -> Result<Numeric> {
        if other.is_zero() && !self.is_nan() {
            return Err(division_by_zero());
        }
        if let Some((a, b, scale)) = aligned(self, other) {
            return Ok(Numeric::from_i128_scaled(a % b, scale));
        }
        if let Some((a, b, scale)) = aligned_big(self, other) {
            crate::stop::spent(division_work(&a))?;
            return Numeric::from_big(a % b, scale);
        }
        Ok(match (self, other) {
            (Numeric::NaN, _) | (_, Numeric::NaN) => Numeric::NaN,
            (infinite, _) if infinite.is_infinite() => Numeric::NaN,
            (finite, _) => finite.clone(),
        })
    }

    pub fn neg(&self) -> Numeric {
        match self {
            Numeric::Small { mantissa, scale } => Numeric::from_i128_scaled(-i128::from(*mantissa), *scale),
            // Only -2^63 leaves the big ones by a change of sign, and `from_big` sees to that (I1).
            Numeric::Big(big) => Numeric::from_big(-big.mantissa.clone(), u32::from(big.scale)).unwrap_or(Numeric::NaN),
            Numeric::NaN => Numeric::NaN,
            Numeric::PosInfinity => Numeric::NegInfinity,
            Numeric::NegInfinity => Numeric::PosInfinity,
        }
    }

    pub fn abs(&self) -> Numeric {
        if self.is_negative() { self.neg() } else { self.clone() }
    }

    /// To `scale` digits after the point, half away from zero; a negative scale rounds before the point. The display
    /// scale grows if need be. 22003 if a carry leaves the format.
    pub fn round(&self, scale: i32) -> Result<Numeric> {
        self.rescale(i64::from(scale).clamp(ROUND_SCALE_MIN, i64::from(SCALE_MAX)), Rounding::HalfAway)
    }

    pub fn trunc(&self, scale: i32) -> Result<Numeric> {
        self.rescale(i64::from(scale).clamp(ROUND_SCALE_MIN, i64::from(SCALE_MAX)), Rounding::Truncate)
    }

    pub fn floor(&self) -> Result<Numeric> {
        self.rescale(0, Rounding::Floor)
    }

    pub fn ceil(&self) -> Result<Numeric> {
        self.rescale(0, Rounding::Ceiling)
    }

    pub(crate) fn rescale(&self, scale: i64, rounding: Rounding) -> Result<Numeric> {
        let Some(current) = self.scale() else { return Ok(self.clone()) };
        if scale == i64::from(current) {
            return Ok(self.clone());
        }
        let change = scale - i64::from(current);
        if let Numeric::Small { mantissa, .. } = self
            && let Some(power) = small_power(change.unsigned_abs().min(100) as u32)
        {
            let mantissa = i128::from(*mantissa);
            if change > 0 {
                if let Some(up) = mantissa.checked_mul(power) {
                    return Ok(Numeric::from_i128_scaled(up, scale as u16));
                }
            } else if scale >= 0 {
                return Ok(Numeric::from_i128_scaled(divide_i128(mantissa, power, rounding), scale as u16));
            }
        }
        let Some((mantissa, _)) = self.big_parts() else { return Ok(self.clone()) };
        // More places are cut than there are digits: what is left is zero (or a carry), without computing the power.
        let places_max = i64::from(DIGITS_BEFORE_MAX + SCALE_MAX) + 1;
        let shifted = shift(mantissa, change.max(-places_max), rounding);
        if scale >= 0 {
            return Numeric::from_big(shifted, scale as u32);
        }
        let up = u32::try_from(-scale).map_err(|_| overflow())?;
        Numeric::from_big(shifted * IBig::from(power_of_ten(up)), 0)
    }

    /// What a column of `numeric(precision, scale)` holds: rounded, and 22003 if it does not fit then.
    pub fn apply_typmod(&self, typmod: i32) -> Result<Numeric> {
        let Some((precision, scale)) = typmod_parts(typmod) else { return Ok(self.clone()) };
        if self.is_infinite() {
            return Err(field_overflow(format!(
                "A field with precision {precision}, scale {scale} cannot hold an infinite value."
            )));
        }
        let rounded = self.rescale(i64::from(scale), Rounding::HalfAway)?;
        let digits_max = precision - scale;
        let fits = match &rounded {
            Numeric::Small { mantissa: 0, .. } | Numeric::NaN => true,
            // At scale >= 0 the mantissa itself has `precision` digits at most; else the zeros that rounding left count too.
            Numeric::Small { mantissa, .. } => {
                small_power((precision - scale.min(0)) as u32).is_none_or(|limit| i128::from(*mantissa).abs() < limit)
            }
            Numeric::Big(big) => digit_count(&magnitude(&big.mantissa)) as i32 <= precision - scale.min(0),
            _ => false,
        };
        if fits {
            return Ok(rounded);
        }
        let limit = if digits_max == 0 { "1".to_owned() } else { format!("10^{digits_max}") };
        Err(field_overflow(format!(
            "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
        )))
    }
}

fn field_overflow(detail: String) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").detail(detail)
}

/// Precision and scale of a `numeric(p, s)` type modifier; None for none.
pub fn typmod_parts(typmod: i32) -> Option<(i32, i32)> {
    let packed = typmod.checked_sub(4).filter(|packed| *packed >= 0)?;
    Some(((packed >> 16) & 0xFFFF, ((packed & 0x7FF) ^ 0x400) - 0x400))
}

pub(crate) fn infinity(sign: i32) -> Numeric {
    match sign {
        0 => Numeric::NaN,
        1.. => Numeric::PosInfinity,
        _ => Numeric::NegInfinity,
    }
}

/// `a / b`, `b` not zero. The one overflow, `i128::MIN / -1`, cannot come from what callers multiply.
#[inline]
pub(crate) fn divide_i128(a: i128, b: i128, rounding: Rounding) -> i128 {
    let (quotient, rest) = (a / b, a % b);
    if rest == 0 {
        return quotient;
    }
    let negative = (a < 0) != (b < 0);
    let away = match rounding {
        // |rest| >= |b| - |rest|, which cannot overflow as 2 * |rest| could.
        Rounding::HalfAway => rest.unsigned_abs() >= b.unsigned_abs() - rest.unsigned_abs(),
        Rounding::Truncate => false,
        Rounding::Floor => negative,
        Rounding::Ceiling => !negative,
    };
    match (away, negative) {
        (false, _) => quotient,
        (true, true) => quotient - 1,
        (true, false) => quotient + 1,
    }
}

/// `a / b`, `b` not zero.
pub(crate) fn divide(a: IBig, b: IBig, rounding: Rounding) -> IBig {
    let negative = (a.sign() == Sign::Negative) != (b.sign() == Sign::Negative);
    let (a, b) = (magnitude(&a), magnitude(&b));
    let (quotient, rest) = a.div_rem(&b);
    let away = match rounding {
        _ if rest.is_zero() => false,
        Rounding::HalfAway => (rest << 1) >= b,
        Rounding::Truncate => false,
        Rounding::Floor => negative,
        Rounding::Ceiling => !negative,
    };
    let quotient = if away { quotient + UBig::ONE } else { quotient };
    if negative { -IBig::from(quotient) } else { IBig::from(quotient) }
}

/// `value * 10^places`, rounded where places are negative. The caller has bounded `places`.
pub(crate) fn shift(value: IBig, places: i64, rounding: Rounding) -> IBig {
    let power = IBig::from(power_of_ten(places.unsigned_abs() as u32));
    if places >= 0 { value * power } else { divide(value, power, rounding) }
}
