//! Logarithm and exponential to any number of digits, in binary fixed point.
//!
//! A `Real` is an integer `x` that stands for `x / 2^bits`. All results err by a few units of the last bit, so callers
//! ask for `GUARD_DIGITS` more digits than they show. Shifts take the place of decimal divisions.

use super::Numeric;
use crate::stop::cut_short;
use crate::{Result, SqlError};
use dashu_int::ops::BitTest;
use dashu_int::{IBig, UBig};

/// Digits computed beyond those asked for: what series, reductions and the final rounding may lose, and enough that a
/// result is misrounded only if its digits go on like 499999999999 behind the last one shown.
pub(crate) const GUARD_DIGITS: i64 = 14;

/// About what a step of a series of so many bits takes: a product, a quotient, and their memory. A series that is cut short has no
/// value of any use.
fn step(bits: usize) -> usize {
    super::work(bits / 8).saturating_mul(2).saturating_add(256)
}

/// Bits that hold this many decimal digits.
pub(crate) fn bits_for(digits: i64) -> usize {
    (digits.max(1) as f64 * std::f64::consts::LOG2_10) as usize + 8
}

/// `2 * atanh(z)` of a small `z`, by its power series. The function is odd, so it runs on the magnitude: a negative number
/// shifts down to -1 and never to 0.
fn twice_atanh(z: IBig, bits: usize) -> IBig {
    let (sign, mut power) = z.into_parts();
    let square = (&power * &power) >> bits;
    let mut sum = power.clone();
    let mut odd = 1u32;
    while !power.is_zero() && !cut_short(step(bits)) {
        power = (power * &square) >> bits;
        odd += 2;
        sum += &power / UBig::from(odd);
    }
    IBig::from_parts(sign, sum << 1)
}

/// `ln 2`, from three series of small fractions: 18 atanh(1/26) - 2 atanh(1/4801) + 8 atanh(1/8749).
pub(crate) fn ln_2(bits: usize) -> IBig {
    let atanh = |denominator: u32| {
        let square = IBig::from(u64::from(denominator) * u64::from(denominator));
        let mut power = (IBig::ONE << bits) / IBig::from(denominator);
        let mut sum = power.clone();
        let mut odd = 1u32;
        while !power.is_zero() && !cut_short(step(bits)) {
            power /= &square;
            odd += 2;
            sum += &power / IBig::from(odd);
        }
        sum
    };
    atanh(26) * IBig::from(18) - atanh(4801) * IBig::from(2) + atanh(8749) * IBig::from(8)
}

/// `ln(mantissa / 10^scale)` of a positive number.
pub(crate) fn ln(mantissa: &UBig, scale: u32, bits: usize) -> IBig {
    let denominator = super::power_of_ten(scale);
    // value = y * 2^k with y in (1/2, 2); then y about 1, which the series wants.
    let mut k = mantissa.bit_len() as i64 - denominator.bit_len() as i64;
    let scaled = |k: i64| {
        let shift = bits as i64 - k;
        let numerator = if shift >= 0 { mantissa << shift as usize } else { mantissa >> (-shift) as usize };
        IBig::from(numerator / &denominator)
    };
    let mut y = scaled(k);
    if y > IBig::from(3) << (bits - 1) {
        k += 1;
        y = scaled(k);
    } else if y < IBig::from(3) << (bits - 2) {
        k -= 1;
        y = scaled(k);
    }
    let one = IBig::ONE << bits;
    let z = ((&y - &one) << bits) / (y + one);
    let mut result = twice_atanh(z, bits);
    if k != 0 {
        // The factor k multiplies the error of ln 2: 24 bits more pay for it.
        result += (ln_2(bits + 24) * IBig::from(k)) >> 24;
    }
    result
}

/// `e^x` as `(m, k)`: the value is `m / 2^bits * 2^k`.
pub(crate) fn exp(x: IBig, bits: usize) -> (IBig, i64) {
    let ln_2 = ln_2(bits);
    let k = (&x + (&ln_2 >> 1usize)) / &ln_2;
    let rest = x - &k * &ln_2;
    // Halving the rest `halvings` times makes the series short; squaring undoes it, losing a bit each time.
    let halvings = (bits as f64).sqrt() as usize / 2 + 2;
    let inner = bits + halvings + 8;
    let rest = (rest << (inner - bits)) >> halvings;
    let one = IBig::ONE << inner;
    let (mut sum, mut term, mut n) = (one.clone(), one, 0u32);
    while !term.is_zero() && !cut_short(step(inner)) {
        n += 1;
        term = ((term * &rest) >> inner) / IBig::from(n);
        sum += &term;
        // A negative rest shifts down to -1 and never to 0.
        if term == IBig::NEG_ONE {
            break;
        }
    }
    for _ in 0..halvings {
        if cut_short(step(inner)) {
            break;
        }
        sum = (&sum * &sum) >> inner;
    }
    (sum >> (inner - bits), i64::try_from(k).unwrap_or(i64::MAX))
}

/// `mantissa / 10^scale` in fixed point.
pub(crate) fn from_decimal(mantissa: &IBig, scale: u32, bits: usize) -> IBig {
    (mantissa << bits) / IBig::from(super::power_of_ten(scale))
}

/// `value / 2^bits * 2^exponent`, rounded half away from zero to `scale` digits after the point.
pub(crate) fn to_numeric(value: IBig, bits: usize, exponent: i64, scale: u32) -> Result<Numeric> {
    let scaled = value * IBig::from(super::power_of_ten(scale));
    let down = bits as i64 - exponent;
    if down <= 0 {
        let up = usize::try_from(-down).map_err(|_| SqlError::internal("exponent"))?;
        return Numeric::from_big(scaled << up, scale);
    }
    let down = down as usize;
    let (sign, magnitude) = scaled.into_parts();
    let rounded = (magnitude + (UBig::ONE << (down - 1))) >> down;
    Numeric::from_big(IBig::from_parts(sign, rounded), scale)
}
