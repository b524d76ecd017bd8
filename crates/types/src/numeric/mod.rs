//! `numeric`: PostgreSQL's whole range, its display scale, rounding and special values.
//!
//! What it promises:
//! I1  `Big` is used exactly when the mantissa does not fit an `i64`; so two equal values of one scale have one form.
//! I2  A finite value has at most `DIGITS_BEFORE_MAX` digits before and `SCALE_MAX` after the point; all that would
//!     be larger is 22003, found before anything large is computed.
//! I3  The scale is PostgreSQL's display scale; every operation gives the scale that PostgreSQL 15 gives.
//!
//! How: an `i64` mantissa with a decimal scale computes in `i128` where operands fit, which is nearly always; the rest
//! is dashu's integers with the same scale. Files: `parse`, `format` (text and wire), `arith` (+ - * / %, rounding),
//! `convert` (to and from machine numbers), `functions` (sqrt, exp, ln, power, …) over `real` (fixed point of any length),
//! `io` (the number types' input and output).

mod arith;
mod convert;
mod format;
mod functions;
pub mod io;
mod parse;
mod real;

pub use arith::typmod_parts;
pub use functions::{factorial, width_bucket};
pub(crate) use parse::is_space;

use crate::hash::Hasher64;
use crate::{Result, SqlError, SqlState};
use dashu_int::ops::{Abs, BitTest, UnsignedAbs};
use dashu_int::{IBig, Sign, UBig};
use std::cmp::Ordering;
use std::sync::Arc;

/// Digits that PostgreSQL's format has room for before the point.
pub const DIGITS_BEFORE_MAX: u32 = 131_072;
/// Digits after the point that a value may have.
pub const SCALE_MAX: u32 = 16_383;
/// Digits after the point that a computed (not a given) scale may reach: quotients, roots, logarithms.
pub(crate) const RESULT_SCALE_MAX: i64 = 1_000;
/// Significant digits that quotients, roots and logarithms have at least.
pub(crate) const SIGNIFICANT_DIGITS_MIN: i64 = 16;

/// About what it takes to multiply, divide or read a number of so many bytes.
fn work(bytes: usize) -> usize {
    bytes.saturating_mul(1 + bytes.isqrt() / 8)
}

/// An exact decimal, 16 bytes: an `i64` mantissa with its scale where that fits, else shared big digits.
#[derive(Clone, Debug)]
pub enum Numeric {
    /// `mantissa / 10^scale`; the scale is the display scale.
    Small {
        mantissa: i64,
        scale: u16,
    },
    /// The same, with a mantissa beyond `i64` (I1).
    Big(Arc<BigDecimal>),
    NaN,
    PosInfinity,
    NegInfinity,
}

#[derive(Debug)]
pub struct BigDecimal {
    pub(crate) mantissa: IBig,
    pub(crate) scale: u16,
}

const _: () = assert!(std::mem::size_of::<Numeric>() <= 16);

/// Powers of ten that fit an `i128`.
pub(crate) const POWERS: [i128; 39] = {
    let mut powers = [1i128; 39];
    let mut i = 1;
    while i < 39 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// `10^exponent`; None beyond `i128`.
#[inline]
pub(crate) fn small_power(exponent: u32) -> Option<i128> {
    POWERS.get(exponent as usize).copied()
}

/// `10^exponent` of any size. The caller has bounded the exponent (I2).
pub(crate) fn power_of_ten(exponent: u32) -> UBig {
    match small_power(exponent) {
        Some(power) => UBig::from(power as u128),
        None => UBig::from(10u8).pow(exponent as usize),
    }
}

pub(crate) fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

impl Numeric {
    pub const ZERO: Numeric = Numeric::Small { mantissa: 0, scale: 0 };
    pub const ONE: Numeric = Numeric::Small { mantissa: 1, scale: 0 };

    pub fn from_i64(value: i64) -> Numeric {
        Numeric::Small { mantissa: value, scale: 0 }
    }

    pub fn from_i128(value: i128) -> Numeric {
        Numeric::from_i128_scaled(value, 0)
    }

    /// `mantissa / 10^scale`. The scale is at most `SCALE_MAX`; an `i128` is always within the digits.
    #[inline]
    pub(crate) fn from_i128_scaled(mantissa: i128, scale: u16) -> Numeric {
        debug_assert!(u32::from(scale) <= SCALE_MAX);
        match i64::try_from(mantissa) {
            Ok(mantissa) => Numeric::Small { mantissa, scale },
            Err(_) => Numeric::Big(Arc::new(BigDecimal { mantissa: IBig::from(mantissa), scale })),
        }
    }

    /// `mantissa / 10^scale`, or 22003 if that is beyond the format (I2).
    pub(crate) fn from_big(mantissa: IBig, scale: u32) -> Result<Numeric> {
        if scale > SCALE_MAX {
            return Err(overflow());
        }
        if let Ok(mantissa) = i64::try_from(&mantissa) {
            return Ok(Numeric::Small { mantissa, scale: scale as u16 });
        }
        crate::stop::spent(work(mantissa.bit_len() / 8))?;
        let digits_max = DIGITS_BEFORE_MAX + scale;
        // log2(10) = 3.3219…: below this many bits there are surely few enough digits; else the comparison tells.
        let bits_safe = digits_max as usize * 33_219 / 10_000;
        if mantissa.bit_len() > bits_safe && mantissa.clone().unsigned_abs() >= power_of_ten(digits_max) {
            return Err(overflow());
        }
        Ok(Numeric::Big(Arc::new(BigDecimal { mantissa, scale: scale as u16 })))
    }

    /// Mantissa and scale of a finite value, for computing with big digits.
    pub(crate) fn big_parts(&self) -> Option<(IBig, u32)> {
        match self {
            Numeric::Small { mantissa, scale } => Some((IBig::from(*mantissa), u32::from(*scale))),
            Numeric::Big(big) => Some((big.mantissa.clone(), u32::from(big.scale))),
            _ => None,
        }
    }

    pub fn is_nan(&self) -> bool {
        matches!(self, Numeric::NaN)
    }
    pub fn is_infinite(&self) -> bool {
        matches!(self, Numeric::PosInfinity | Numeric::NegInfinity)
    }
    pub fn is_finite(&self) -> bool {
        matches!(self, Numeric::Small { .. } | Numeric::Big(_))
    }
    pub fn is_zero(&self) -> bool {
        matches!(self, Numeric::Small { mantissa: 0, .. })
    }
    /// Below zero, -Infinity included.
    pub fn is_negative(&self) -> bool {
        self.signum() < 0
    }

    /// -1, 0 or 1; NaN is 0.
    pub fn signum(&self) -> i32 {
        match self {
            Numeric::Small { mantissa, .. } => mantissa.signum() as i32,
            Numeric::Big(big) if big.mantissa.sign() == Sign::Negative => -1,
            Numeric::Big(_) | Numeric::PosInfinity => 1,
            Numeric::NegInfinity => -1,
            Numeric::NaN => 0,
        }
    }

    /// Digits after the point that are shown; None of NaN and the infinities.
    pub fn scale(&self) -> Option<u32> {
        match self {
            Numeric::Small { scale, .. } => Some(u32::from(*scale)),
            Numeric::Big(big) => Some(u32::from(big.scale)),
            _ => None,
        }
    }

    pub fn heap_size(&self) -> usize {
        match self {
            Numeric::Big(big) => big.mantissa.bit_len() / 8 + 48,
            _ => 0,
        }
    }

    /// The value without its trailing zeros, as `mantissa * 10^exponent`: what equal values share whatever their scale.
    /// Zero is `(0, 0)`; None of NaN and the infinities.
    pub(crate) fn canonical(&self) -> Option<(CanonicalMantissa, i32)> {
        match self {
            Numeric::Small { mantissa: 0, .. } => Some((CanonicalMantissa::Small(0), 0)),
            Numeric::Small { mantissa, scale } => {
                let (mut mantissa, mut exponent) = (*mantissa, -i32::from(*scale));
                while mantissa % 10 == 0 {
                    mantissa /= 10;
                    exponent += 1;
                }
                Some((CanonicalMantissa::Small(mantissa), exponent))
            }
            Numeric::Big(big) => {
                let (sign, mut magnitude) = big.mantissa.clone().into_parts();
                let removed = magnitude.remove(&UBig::from(10u8)).unwrap_or(0) as i32;
                let mantissa = IBig::from_parts(sign, magnitude);
                let exponent = removed - i32::from(big.scale);
                match i64::try_from(&mantissa) {
                    Ok(small) => Some((CanonicalMantissa::Small(small), exponent)),
                    Err(_) => Some((CanonicalMantissa::Big(mantissa), exponent)),
                }
            }
            _ => None,
        }
    }

    /// Equal values hash alike, whatever their scales. Stable for ever.
    pub fn hash_into(&self, hasher: &mut Hasher64) {
        match (self.canonical(), self) {
            (Some((CanonicalMantissa::Small(mantissa), exponent)), _) => {
                hasher.write_u64(mantissa as u64);
                hasher.write_u64(i64::from(exponent) as u64);
            }
            (Some((CanonicalMantissa::Big(mantissa), exponent)), _) => {
                hasher.write_bytes(&mantissa.to_le_bytes());
                hasher.write_u64(i64::from(exponent) as u64);
            }
            (None, special) => hasher.write_u64(0x0F00_u64.wrapping_add_signed(i64::from(special.class()))),
        }
    }

    /// Where special values stand in the order: -Infinity, the finite, Infinity, NaN.
    fn class(&self) -> i32 {
        match self {
            Numeric::NegInfinity => -1,
            Numeric::Small { .. } | Numeric::Big(_) => 0,
            Numeric::PosInfinity => 1,
            Numeric::NaN => 2,
        }
    }
}

/// See `Numeric::canonical`.
pub(crate) enum CanonicalMantissa {
    Small(i64),
    Big(IBig),
}

impl Ord for Numeric {
    #[inline]
    fn cmp(&self, other: &Numeric) -> Ordering {
        if let (Numeric::Small { mantissa: a, scale: s }, Numeric::Small { mantissa: b, scale: t }) = (self, other) {
            return if s == t { a.cmp(b) } else { compare_small(*a, *s, *b, *t) };
        }
        compare_slowly(self, other)
    }
}

fn compare_small(a: i64, a_scale: u16, b: i64, b_scale: u16) -> Ordering {
    if a_scale > b_scale {
        return compare_small(b, b_scale, a, a_scale).reverse();
    }
    // 2^63 * 10^19 < 2^127; and with more zeros than that any a but zero outweighs every i64.
    match b_scale - a_scale {
        up @ 0..=19 => (i128::from(a) * POWERS[usize::from(up)]).cmp(&i128::from(b)),
        _ if a == 0 => 0.cmp(&b),
        _ => a.cmp(&0),
    }
}

fn compare_slowly(a: &Numeric, b: &Numeric) -> Ordering {
    let (Some((m, s)), Some((n, t))) = (a.big_parts(), b.big_parts()) else {
        return a.class().cmp(&b.class());
    };
    let signs = a.signum().cmp(&b.signum());
    if signs != Ordering::Equal || a.is_zero() {
        return signs;
    }
    let by_magnitude = |order: Ordering| if a.is_negative() { order.reverse() } else { order };
    // Bits tell most pairs apart without scaling one up to the other: log10 in [(bits - 1) * L, bits * L] - scale.
    const LOG10_OF_2: f64 = std::f64::consts::LOG10_2;
    let (m_bits, n_bits) = (m.bit_len() as f64, n.bit_len() as f64);
    if m_bits * LOG10_OF_2 - f64::from(s) + 0.001 < (n_bits - 1.0) * LOG10_OF_2 - f64::from(t) {
        return by_magnitude(Ordering::Less);
    }
    if n_bits * LOG10_OF_2 - f64::from(t) + 0.001 < (m_bits - 1.0) * LOG10_OF_2 - f64::from(s) {
        return by_magnitude(Ordering::Greater);
    }
    match s.cmp(&t) {
        Ordering::Equal => m.cmp(&n),
        Ordering::Less => (m * IBig::from(power_of_ten(t - s))).cmp(&n),
        Ordering::Greater => m.cmp(&(n * IBig::from(power_of_ten(s - t)))),
    }
}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Numeric {
    /// Equality of values: 1.0 equals 1.00, NaN equals NaN.
    fn eq(&self, other: &Numeric) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Numeric {}

impl Default for Numeric {
    fn default() -> Numeric {
        Numeric::ZERO
    }
}

/// Decimal digits of a non-negative integer: 0 has one.
pub(crate) fn digit_count(value: &UBig) -> u32 {
    if value.is_zero() {
        return 1;
    }
    // bits * log10(2) is at most one above and never below by more than one; one comparison settles it.
    let guess = ((value.bit_len() - 1) as f64 * std::f64::consts::LOG10_2) as u32;
    if *value >= power_of_ten(guess + 1) { guess + 2 } else { guess + 1 }
}

pub(crate) fn magnitude(value: &IBig) -> UBig {
    value.clone().abs().unsigned_abs()
}

#[cfg(test)]
mod tests;
