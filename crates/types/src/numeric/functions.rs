//! Roots, logarithms, powers and number theory, with the scales that PostgreSQL 15 gives their results.

use super::arith::{Rounding, aligned_big, divide, division_by_zero, shift};
use super::real::{self, GUARD_DIGITS, bits_for};
use super::{
    CanonicalMantissa, DIGITS_BEFORE_MAX, Numeric, RESULT_SCALE_MAX, SIGNIFICANT_DIGITS_MIN, magnitude, overflow,
};
use crate::{Result, SqlError, SqlState};
use dashu_int::ops::{BitTest, Gcd, SquareRootRem};
use dashu_int::{IBig, UBig};
use std::cmp::Ordering;

/// Results of `exp` and `power` beyond e^±6000 are overflow or zero.
const EXPONENT_LIMIT: f64 = 6_000.0;
/// Fuzz that `power` leaves its first estimate.
const POWER_LIMIT: f64 = 6_020.0;
const LOG10_E: f64 = std::f64::consts::LOG10_E;
/// The greatest argument of `factorial` whose value the format holds.
const FACTORIAL_MAX: i64 = 32_177;

fn logarithm_error(what: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOG, format!("cannot take logarithm of {what}"))
}

fn power_error(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message)
}

/// A result's scale: 16 significant digits for a value of about `10^weight`, at least `scale`.
fn result_scale(weight: i64, scale: i64) -> u32 {
    (SIGNIFICANT_DIGITS_MIN - weight).max(scale).clamp(0, RESULT_SCALE_MAX) as u32
}

impl Numeric {
    fn scale_or_zero(&self) -> i64 {
        i64::from(self.scale().unwrap_or(0))
    }

    /// 2201F below zero.
    pub fn sqrt(&self) -> Result<Numeric> {
        if self.is_negative() {
            return Err(power_error("cannot take square root of a negative number"));
        }
        let Some(scale) = self.scale() else { return Ok(self.clone()) };
        let (weight, _) = self.leading_group();
        // The root of a number of weight w (base 10,000) has about 2(w + 1) digits before the point.
        self.sqrt_at(result_scale((weight + 1) * 2 - 1, i64::from(scale)))
    }

    /// The root of a number not below zero, rounded to a scale not below its own.
    pub(crate) fn sqrt_at(&self, result: u32) -> Result<Numeric> {
        let Some((mantissa, scale)) = self.big_parts() else { return Ok(self.clone()) };
        // sqrt(m / 10^s) * 10^r = sqrt(m * 10^(2r - s)).
        let scaled = magnitude(&shift(mantissa, i64::from(result) * 2 - i64::from(scale), Rounding::Truncate));
        let (root, rest) = scaled.sqrt_rem();
        // The half above the root, squared, is root^2 + root + 1/4.
        let rounded = if rest > root { root + UBig::ONE } else { root };
        Numeric::from_big(IBig::from(rounded), result)
    }

    /// 22003 beyond the format.
    pub fn exp(&self) -> Result<Numeric> {
        let Some((mantissa, scale)) = self.big_parts() else {
            return Ok(if matches!(self, Numeric::NegInfinity) { Numeric::ZERO } else { self.clone() });
        };
        let estimate = self.to_f64_lossy();
        let weight = (estimate * LOG10_E).clamp(-2_000.0, 2_000.0) as i64;
        let result = result_scale(weight, i64::from(scale));
        if estimate.abs() >= EXPONENT_LIMIT {
            return if estimate > 0.0 { Err(overflow()) } else { zero(result) };
        }
        let digits = i64::from(result) + (estimate * LOG10_E) as i64;
        // Relative precision for the result, and room for the digits of the argument before the point.
        let bits = bits_for(digits.max(0) + GUARD_DIGITS + 5);
        let (value, exponent) = real::exp(real::from_decimal(&mantissa, scale, bits), bits);
        real::to_numeric(value, bits, exponent, result)
    }

    fn check_logarithm(&self) -> Result<()> {
        match self.signum() {
            -1 => Err(logarithm_error("a negative number")),
            0 if !self.is_nan() => Err(logarithm_error("zero")),
            _ => Ok(()),
        }
    }

    /// 2201E at and below zero.
    pub fn ln(&self) -> Result<Numeric> {
        self.check_logarithm()?;
        let Some((mantissa, scale)) = self.big_parts() else { return Ok(self.clone()) };
        let result = result_scale(self.ln_weight(), i64::from(scale));
        let bits = bits_for(i64::from(result) + GUARD_DIGITS);
        real::to_numeric(real::ln(&magnitude(&mantissa), scale, bits), bits, 0, result)
    }

    /// The decimal weight of the natural logarithm, estimated from the first digits: it sets scales, so its quirks count.
    fn ln_weight(&self) -> i64 {
        let near_one = |low: i64| Numeric::Small { mantissa: low, scale: 1 };
        if *self >= near_one(9) && *self <= near_one(11) {
            let Ok(distance) = self.sub(&Numeric::ONE) else { return 0 };
            if distance.is_zero() {
                return 0;
            }
            let (weight, first) = distance.leading_group();
            return weight * 4 + f64::from(first).log10() as i64;
        }
        let (groups_value, exponent) = self.first_two_groups();
        let ln = groups_value.ln() + exponent as f64 * std::f64::consts::LN_10;
        ln.abs().log10() as i64
    }

    /// The first two base-10,000 digits (one, if the number has no more) as a float, and the decimal weight of the last of them.
    fn first_two_groups(&self) -> (f64, i64) {
        let (groups, weight) = self.groups();
        let weight = i64::from(weight);
        match groups.as_slice() {
            [] => (0.0, 0),
            [only] => (f64::from(*only), weight * 4),
            [first, second, ..] => (f64::from(*first) * 10_000.0 + f64::from(*second), weight * 4 - 4),
        }
    }

    /// `log(base, self)`. 2201E at and below zero, 22012 for base 1.
    pub fn log(&self, base: &Numeric) -> Result<Numeric> {
        if self.is_nan() || base.is_nan() {
            return Ok(Numeric::NaN);
        }
        if base.is_negative() && self.is_infinite() || self.is_negative() && (self.is_infinite() || base.is_infinite())
        {
            return Err(logarithm_error("a negative number"));
        }
        base.check_logarithm()?;
        self.check_logarithm()?;
        let (Some((m, s)), Some((n, t))) = (self.big_parts(), base.big_parts()) else {
            return Ok(match (self.is_infinite(), base.is_infinite()) {
                (true, true) => Numeric::NaN,
                (true, false) => Numeric::PosInfinity,
                _ => Numeric::ZERO,
            });
        };
        if *base == Numeric::ONE {
            return Err(division_by_zero());
        }
        let (weight, base_weight) = (self.ln_weight(), base.ln_weight());
        let result = result_scale(weight - base_weight, i64::from(s.max(t)));
        // Either logarithm needs as many *significant* digits as the quotient has; near 1 they begin far behind the point.
        let significant = i64::from(result) + (weight - base_weight).max(0) + GUARD_DIGITS;
        let bits_of = |weight: i64| bits_for((significant - weight).max(GUARD_DIGITS));
        let (bits, base_bits, result_bits) = (bits_of(weight), bits_of(base_weight), bits_for(significant));
        let ln = real::ln(&magnitude(&m), s, bits);
        let ln_base = real::ln(&magnitude(&n), t, base_bits);
        if ln_base.is_zero() {
            return Err(division_by_zero());
        }
        let up = (result_bits + base_bits) as i64 - bits as i64;
        let numerator = if up >= 0 { ln << up as usize } else { ln >> up.unsigned_abs() as usize };
        real::to_numeric(divide(numerator, ln_base, Rounding::Truncate), result_bits, 0, result)
    }

    /// `self ^ exponent`. 2201F where that is undefined or complex, 22003 beyond the format.
    pub fn power(&self, exponent: &Numeric) -> Result<Numeric> {
        if !self.is_finite() || !exponent.is_finite() {
            return self.power_special(exponent);
        }
        if self.is_zero() && exponent.is_negative() {
            return Err(power_error("zero raised to a negative power is undefined"));
        }
        let whole = exponent.is_integral();
        if whole
            && let Some(small) = exponent.to_i64_checked()
            && let Ok(small) = i32::try_from(small)
        {
            let result = result_scale(0, self.scale_or_zero());
            return self.power_integer(i64::from(small), result);
        }
        if self.is_zero() {
            return zero(SIGNIFICANT_DIGITS_MIN as u32);
        }
        if !self.is_negative() {
            return self.power_real(exponent);
        }
        if !whole {
            return Err(power_error("a negative number raised to a non-integer power yields a complex result"));
        }
        let result = self.abs().power_real(exponent)?;
        Ok(if exponent.is_odd() { result.neg() } else { result })
    }

    fn is_integral(&self) -> bool {
        self.canonical().is_some_and(|(_, exponent)| exponent >= 0)
    }

    fn is_odd(&self) -> bool {
        match self.canonical() {
            Some((CanonicalMantissa::Small(mantissa), 0)) => mantissa % 2 != 0,
            Some((CanonicalMantissa::Big(mantissa), 0)) => magnitude(&mantissa).bit(0),
            _ => false,
        }
    }

    /// Powers with NaN or an infinity on either side, as POSIX has `pow`.
    fn power_special(&self, exponent: &Numeric) -> Result<Numeric> {
        if *self == Numeric::ONE || exponent.is_zero() {
            return Ok(Numeric::ONE);
        }
        if self.is_nan() || exponent.is_nan() {
            return Ok(Numeric::NaN);
        }
        if self.is_zero() {
            let undefined = || power_error("zero raised to a negative power is undefined");
            return if exponent.is_negative() { Err(undefined()) } else { Ok(Numeric::ZERO) };
        }
        if exponent.is_infinite() {
            let grows = match self.abs().cmp(&Numeric::ONE) {
                Ordering::Equal => return Ok(Numeric::ONE),
                Ordering::Greater => !exponent.is_negative(),
                Ordering::Less => exponent.is_negative(),
            };
            return Ok(if grows { Numeric::PosInfinity } else { Numeric::ZERO });
        }
        if self.is_negative() && !exponent.is_integral() {
            return Err(power_error("a negative number raised to a non-integer power yields a complex result"));
        }
        if exponent.is_negative() {
            return Ok(Numeric::ZERO);
        }
        Ok(if self.is_negative() && exponent.is_odd() { Numeric::NegInfinity } else { Numeric::PosInfinity })
    }

    /// A whole power, computed by repeated squaring with as many digits as the result shows.
    fn power_integer(&self, exponent: i64, result: u32) -> Result<Numeric> {
        match exponent {
            0 => return Numeric::ONE.rescale(i64::from(result), Rounding::HalfAway),
            1 => return self.rescale(i64::from(result), Rounding::HalfAway),
            -1 => {
                let scale = self.scale().unwrap_or(0);
                return Numeric::ONE.quotient(self, 0, scale, result, Rounding::HalfAway);
            }
            2 => return self.mul(self)?.rescale(i64::from(result), Rounding::HalfAway),
            _ if self.is_zero() => return zero(result),
            _ => {}
        }
        let Some((mantissa, scale)) = self.big_parts() else { return Ok(self.clone()) };
        let weight = exponent as f64 * self.log10_estimate();
        // I2: the size is known before anything large is computed.
        if weight > f64::from(DIGITS_BEFORE_MAX) + 1.0 {
            return Err(overflow());
        }
        if weight + 1.0 < -f64::from(result) {
            return zero(result);
        }
        let digits = i64::from(result) + weight as i64 + GUARD_DIGITS + 12;
        let bits = bits_for(digits.max(GUARD_DIGITS + 12));
        let times = exponent.unsigned_abs();
        let mantissa_power = Float::new(magnitude(&mantissa)).power(times, bits);
        let scale_power = Float::new(UBig::from(10u8)).power(u64::from(scale) * times, bits);
        let value = match exponent > 0 {
            true => mantissa_power.quotient(&scale_power, result, bits),
            false => scale_power.quotient(&mantissa_power, result, bits),
        };
        let negative = self.is_negative() && times % 2 == 1;
        Numeric::from_big(if negative { -IBig::from(value) } else { IBig::from(value) }, result)
    }

    /// log10 of the absolute value, to double precision.
    fn log10_estimate(&self) -> f64 {
        let Some((mantissa, scale)) = self.big_parts() else { return 0.0 };
        let magnitude = magnitude(&mantissa);
        let down = magnitude.bit_len().saturating_sub(64);
        let leading = u64::try_from(magnitude >> down).unwrap_or(u64::MAX) as f64;
        leading.log10() + down as f64 * std::f64::consts::LOG10_2 - f64::from(scale)
    }

    /// `e^(exponent * ln self)` for a positive, finite base.
    fn power_real(&self, exponent: &Numeric) -> Result<Numeric> {
        let (Some((m, s)), Some((n, t))) = (self.big_parts(), exponent.big_parts()) else { return Ok(Numeric::NaN) };
        // The logarithm to eight significant digits decides about overflow and the scale.
        let rough_bits = bits_for(8 - self.ln_weight().min(0) + GUARD_DIGITS);
        let rough = real::to_numeric(real::ln(&magnitude(&m), s, rough_bits), rough_bits, 0, {
            (8 - self.ln_weight()).clamp(0, i64::from(super::SCALE_MAX)) as u32
        })?;
        let estimate = rough.to_f64_lossy() * exponent.to_f64_lossy();
        if estimate.abs() > POWER_LIMIT {
            return if estimate > 0.0 { Err(overflow()) } else { zero(RESULT_SCALE_MAX as u32) };
        }
        let weight = estimate * LOG10_E;
        let result = result_scale(weight as i64, i64::from(s.max(t)));
        let digits = (i64::from(result) + weight as i64).max(0) + GUARD_DIGITS + 5;
        let bits = bits_for(digits);
        // The exponent multiplies the logarithm's error, so its digits before the point are added to the logarithm's.
        let exponent_digits = (exponent.leading_group().0 + 1).max(0) * 4;
        let ln_bits = bits_for(digits + exponent_digits);
        let ln = real::ln(&magnitude(&m), s, ln_bits);
        let product = (ln * n) / IBig::from(super::power_of_ten(t));
        let (value, power) = real::exp(product >> (ln_bits - bits), bits);
        real::to_numeric(value, bits, power, result)
    }

    /// The greatest common divisor, never negative, at the greater scale.
    pub fn gcd(&self, other: &Numeric) -> Result<Numeric> {
        match aligned_big(self, other) {
            Some((a, b, scale)) => Numeric::from_big(IBig::from(gcd_big(&a, &b)?), scale),
            None => Ok(Numeric::NaN),
        }
    }

    /// The least common multiple, never negative, at the greater scale. 22003 beyond the format.
    pub fn lcm(&self, other: &Numeric) -> Result<Numeric> {
        let Some((a, b, scale)) = aligned_big(self, other) else { return Ok(Numeric::NaN) };
        if a.is_zero() || b.is_zero() {
            return zero(scale);
        }
        let divisor = gcd_big(&a, &b)?;
        Numeric::from_big(IBig::from(magnitude(&a) / divisor * magnitude(&b)), scale)
    }

    /// The least scale that keeps the value; None of the specials.
    pub fn min_scale(&self) -> Option<u32> {
        self.canonical().map(|(_, exponent)| (-exponent).max(0) as u32)
    }

    pub fn trim_scale(&self) -> Result<Numeric> {
        match self.min_scale() {
            Some(scale) => self.rescale(i64::from(scale), Rounding::Truncate),
            None => Ok(self.clone()),
        }
    }

    /// The sign as a number; NaN of NaN.
    pub fn sign(&self) -> Numeric {
        if self.is_nan() { Numeric::NaN } else { Numeric::from_i64(i64::from(self.signum())) }
    }
}

fn zero(scale: u32) -> Result<Numeric> {
    Numeric::from_big(IBig::ZERO, scale)
}

fn gcd_big(a: &IBig, b: &IBig) -> Result<UBig> {
    // Lehmer's way: words of one times words of the other.
    let words = |n: &IBig| n.bit_len() / 64 + 1;
    crate::stop::spent(words(a).saturating_mul(words(b)))?;
    Ok(match (a.is_zero(), b.is_zero()) {
        (true, _) => magnitude(b),
        (_, true) => magnitude(a),
        _ => magnitude(a).gcd(magnitude(b)),
    })
}

/// `mantissa * 2^exponent`: a positive number kept to a number of leading bits. Exact while it has no more.
struct Float {
    mantissa: UBig,
    exponent: i64,
}

impl Float {
    fn new(mantissa: UBig) -> Float {
        Float { mantissa, exponent: 0 }
    }

    fn cut(mut self, bits: usize) -> Float {
        let over = self.mantissa.bit_len().saturating_sub(bits);
        if over > 0 {
            self.mantissa >>= over;
            self.exponent += over as i64;
        }
        self
    }

    fn times(&self, other: &Float, bits: usize) -> Float {
        let product = Float { mantissa: &self.mantissa * &other.mantissa, exponent: self.exponent + other.exponent };
        product.cut(bits)
    }

    fn power(self, mut times: u64, bits: usize) -> Float {
        // Each of up to 60 steps loses less than a unit of the last bit, and squaring doubles what was lost.
        let bits = bits + 128;
        let mut result = Float::new(UBig::ONE);
        let mut square = self.cut(bits);
        while times > 0 {
            if times & 1 == 1 {
                result = result.times(&square, bits);
            }
            times >>= 1;
            if times > 0 {
                square = square.times(&square, bits);
            }
        }
        result
    }

    /// `self / other * 10^scale`, rounded half away from zero.
    fn quotient(&self, other: &Float, scale: u32, bits: usize) -> UBig {
        let mut numerator = &self.mantissa * super::power_of_ten(scale);
        let mut denominator = other.mantissa.clone();
        let shift = self.exponent - other.exponent;
        // The callers' estimate has bounded the quotient to about `bits`; a shift beyond that means it is zero.
        if shift >= 0 {
            numerator <<= shift as usize;
        } else if shift.unsigned_abs() as usize > numerator.bit_len() + bits + 64 {
            return UBig::ZERO;
        } else {
            denominator <<= shift.unsigned_abs() as usize;
        }
        magnitude(&divide(IBig::from(numerator), IBig::from(denominator), Rounding::HalfAway))
    }
}

/// `n!`. 22003 below zero and beyond the format.
pub fn factorial(n: i64) -> Result<Numeric> {
    if n < 0 {
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "factorial of a negative number is undefined"));
    }
    if n > FACTORIAL_MAX {
        return Err(overflow());
    }
    Numeric::from_big(IBig::from(product(1, n as u64)?), 0)
}

/// `low * … * high` by halves, so that the factors of each product are of one size.
fn product(low: u64, high: u64) -> Result<UBig> {
    if high < low {
        return Ok(UBig::ONE);
    }
    if high - low < 8 {
        return Ok((low..=high).map(UBig::from).fold(UBig::ONE, |product, factor| product * factor));
    }
    let middle = (low + high) / 2;
    let product = product(low, middle)? * product(middle + 1, high)?;
    crate::stop::spent(super::work(product.bit_len() / 8))?;
    Ok(product)
}

/// `width_bucket(operand, low, high, count)`: 0 below, `count + 1` above. 2201G for bounds or counts that make no buckets.
pub fn width_bucket(operand: &Numeric, low: &Numeric, high: &Numeric, count: i32) -> Result<i32> {
    let error = |message: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, message));
    if count <= 0 {
        return error("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return error("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return error("lower and upper bounds must be finite");
    }
    let above = || {
        count.checked_add(1).ok_or_else(|| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))
    };
    let (from_low, past_high) = match low.cmp(high) {
        Ordering::Equal => return error("lower bound cannot equal upper bound"),
        Ordering::Less => (operand < low, operand >= high),
        Ordering::Greater => (operand > low, operand <= high),
    };
    if from_low {
        return Ok(0);
    }
    if past_high {
        return above();
    }
    let distance = operand.sub(low)?.mul(&Numeric::from_i64(i64::from(count)))?;
    // The quotient is rounded at its scale before it is cut, and may so reach `count`: as in PostgreSQL 15.
    distance.div(&high.sub(low)?)?.add(&Numeric::ONE)?.floor()?.to_i32()
}
