//! `Numeric` to text, and its binary form on the wire.

use super::{Numeric, magnitude};
use crate::{Result, SqlError, SqlState};
use dashu_int::ops::BitTest;
use dashu_int::{IBig, Sign, UBig};
use std::fmt;

/// Division into digits, by multiplication.
const DIGITS_WORK: usize = 8;

impl Numeric {
    /// Appends the text that `numeric_out` gives: all digits, `scale` of them after the point.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Numeric::Small { mantissa, scale } => {
                let mut buffer = [0u8; 20];
                let digits = decimal_digits(mantissa.unsigned_abs(), &mut buffer);
                write_digits(*mantissa < 0, digits, usize::from(*scale), out);
            }
            Numeric::Big(big) => {
                let digits = digits(&magnitude(&big.mantissa));
                let negative = big.mantissa.sign() == Sign::Negative;
                write_digits(negative, digits.as_bytes(), usize::from(big.scale), out);
            }
            Numeric::NaN => out.extend_from_slice(b"NaN"),
            Numeric::PosInfinity => out.extend_from_slice(b"Infinity"),
            Numeric::NegInfinity => out.extend_from_slice(b"-Infinity"),
        }
    }
}

/// The digits of a large number; "0" where the statement is to stop.
fn digits(mantissa: &UBig) -> String {
    match crate::stop::cut_short(super::work(mantissa.bit_len() / 8).saturating_mul(DIGITS_WORK)) {
        true => "0".to_owned(),
        false => mantissa.to_string(),
    }
}

/// The digits of `value` at the end of `buffer`; "0" for zero.
#[inline]
pub(crate) fn decimal_digits(mut value: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &buffer[at..];
        }
    }
}

fn write_digits(negative: bool, digits: &[u8], scale: usize, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    match digits.split_at_checked(digits.len().saturating_sub(scale)) {
        Some((whole, fraction)) if !whole.is_empty() => {
            out.extend_from_slice(whole);
            if scale > 0 {
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
            out.extend_from_slice(digits);
        }
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        self.write(&mut text);
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

// The wire's form: [ndigits u16][weight i16][sign u16][dscale u16] and `ndigits` base-10,000 digits, the first of which
// stands at 10,000^weight. Digits neither start nor end with zeros.
const WIRE_POSITIVE: u16 = 0x0000;
const WIRE_NEGATIVE: u16 = 0x4000;
const WIRE_NAN: u16 = 0xC000;
const WIRE_POS_INFINITY: u16 = 0xD000;
const WIRE_NEG_INFINITY: u16 = 0xF000;
/// What PostgreSQL 15 sends as the scale of the infinities.
const WIRE_INFINITY_SCALE: u32 = 0x20;
/// Scales above this are no scale of the format.
const WIRE_SCALE_MASK: u16 = 0x3FFF;

impl Numeric {
    /// Appends what `numeric_send` sends.
    pub fn send(&self, out: &mut Vec<u8>) {
        let (sign, scale) = match self {
            Numeric::NaN => (WIRE_NAN, 0),
            Numeric::PosInfinity => (WIRE_POS_INFINITY, WIRE_INFINITY_SCALE),
            Numeric::NegInfinity => (WIRE_NEG_INFINITY, WIRE_INFINITY_SCALE),
            finite if finite.is_negative() => (WIRE_NEGATIVE, finite.scale().unwrap_or(0)),
            finite => (WIRE_POSITIVE, finite.scale().unwrap_or(0)),
        };
        let (groups, weight) = self.groups();
        let mut push = |word: u16| out.extend_from_slice(&word.to_be_bytes());
        push(groups.len() as u16);
        push(weight as u16);
        push(sign);
        push(scale as u16);
        groups.iter().for_each(|group| push(*group));
    }

    /// Base-10,000 digits without zeros at either end, and the weight of the first. Empty for zero and the specials.
    pub(crate) fn groups(&self) -> (Vec<u16>, i16) {
        let (mut groups, mut weight) = (Vec::new(), 0);
        self.for_each_group(|group_weight, group| {
            if groups.is_empty() {
                weight = group_weight;
            }
            groups.push(group);
        });
        while groups.last() == Some(&0) {
            groups.pop();
        }
        (groups, weight)
    }

    /// Calls `visit(weight, digit)` for each base-10,000 digit of a finite value but zero, from the greatest down; the
    /// first is not 0, the last ones may be. Does not allocate for small values.
    pub(crate) fn for_each_group(&self, mut visit: impl FnMut(i16, u16)) {
        let mut buffer = [0u8; 20];
        let text;
        let (digits, scale): (&[u8], i64) = match self {
            Numeric::Small { mantissa: 0, .. } => return,
            Numeric::Small { mantissa, scale } => {
                (decimal_digits(mantissa.unsigned_abs(), &mut buffer), i64::from(*scale))
            }
            Numeric::Big(big) => {
                text = digits(&magnitude(&big.mantissa));
                (text.as_bytes(), i64::from(big.scale))
            }
            _ => return,
        };
        // Groups of four meet the point, so the first one may have fewer digits.
        let before_point = digits.len() as i64 - scale;
        let mut weight = (before_point - 1).div_euclid(4);
        let mut filled = (weight + 1) * 4 - before_point;
        let mut group = 0u16;
        for digit in digits {
            group = group * 10 + u16::from(digit - b'0');
            filled += 1;
            if filled == 4 {
                visit(weight as i16, group);
                (group, filled, weight) = (0, 0, weight - 1);
            }
        }
        if filled > 0 {
            visit(weight as i16, group * 10u16.pow(4 - filled as u32));
        }
    }

    /// `-1.23e+05` with `scale` digits after the point, for `to_char`: the exponent is that of the value before rounding, so
    /// 9.99 may become 10.0e+00. None of NaN and the infinities.
    pub(crate) fn to_scientific(&self, scale: u32) -> Option<String> {
        let (mantissa, own_scale) = self.big_parts()?;
        let places = i64::from(super::digit_count(&magnitude(&mantissa))) - 1;
        let exponent = if self.is_zero() { 0 } else { places - i64::from(own_scale) };
        let shifted = super::arith::shift(mantissa, i64::from(scale) - places, super::arith::Rounding::HalfAway);
        let mut text = Vec::new();
        write_digits(self.is_negative(), digits(&magnitude(&shifted)).as_bytes(), scale as usize, &mut text);
        Some(format!("{}e{exponent:+03}", String::from_utf8_lossy(&text)))
    }

    /// The value of decimal digits (0..=9), the first of which stands at `10^exponent`; no zeros after the point's last digit.
    pub(crate) fn from_digits(negative: bool, digits: &[u8], exponent: i64) -> Result<Numeric> {
        let zeros = digits.iter().rev().take_while(|digit| **digit == 0).count();
        let digits = digits.get(..digits.len() - zeros).unwrap_or_default();
        let text: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let magnitude = UBig::from_str_radix(&text, 10).unwrap_or_default();
        super::parse::scaled(magnitude, negative, digits.len() as i64 - 1 - exponent)
    }

    /// Reads what `numeric_recv` reads: 22P03 for what is no number.
    pub fn receive(bytes: &[u8]) -> Result<Numeric> {
        let mut words = bytes.chunks(2).map(|pair| match pair {
            [high, low] => Ok(u16::from_be_bytes([*high, *low])),
            _ => Err(insufficient()),
        });
        let mut word = || words.next().unwrap_or_else(|| Err(insufficient()));
        let (count, weight, sign, scale) = (word()?, word()? as i16, word()?, word()?);
        let bad = |what: &str| {
            SqlError::new(
                SqlState::INVALID_BINARY_REPRESENTATION,
                format!("invalid {what} in external \"numeric\" value"),
            )
        };
        let negative = match sign {
            WIRE_POSITIVE => false,
            WIRE_NEGATIVE => true,
            WIRE_NAN | WIRE_POS_INFINITY | WIRE_NEG_INFINITY => {
                return Ok(match sign {
                    WIRE_POS_INFINITY => Numeric::PosInfinity,
                    WIRE_NEG_INFINITY => Numeric::NegInfinity,
                    _ => Numeric::NaN,
                });
            }
            _ => return Err(bad("sign")),
        };
        if scale & WIRE_SCALE_MASK != scale {
            return Err(bad("scale"));
        }
        let mut digits = String::with_capacity(usize::from(count) * 4);
        for _ in 0..count {
            let group = word()?;
            if group > 9_999 {
                return Err(bad("digit"));
            }
            digits.push_str(&format!("{group:04}"));
        }
        if words.next().is_some() {
            return Err(super::io::excess());
        }
        from_groups(&digits, negative, i64::from(weight), count, u32::from(scale))
    }
}

/// The value of base-10,000 digits; what lies behind the display scale is cut off.
fn from_groups(digits: &str, negative: bool, weight: i64, count: u16, scale: u32) -> Result<Numeric> {
    let magnitude = UBig::from_str_radix(digits, 10).unwrap_or_default();
    let mantissa = if negative { -IBig::from(magnitude) } else { IBig::from(magnitude) };
    let after_point = (i64::from(count) - 1 - weight) * 4;
    let shift = i64::from(scale) - after_point;
    let shifted = match u32::try_from(shift.unsigned_abs()) {
        Ok(up) if shift >= 0 => mantissa * IBig::from(super::power_of_ten(up)),
        Ok(down) => mantissa / IBig::from(super::power_of_ten(down)),
        Err(_) => return Err(super::overflow()),
    };
    Numeric::from_big(shifted, scale)
}

fn insufficient() -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
}
