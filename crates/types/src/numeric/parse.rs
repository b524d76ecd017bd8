//! Text to `Numeric`, as `numeric_in` reads it.

use super::{Numeric, overflow};
use crate::{Result, SqlError, SqlState};
use dashu_int::{IBig, UBig};

/// Exponents beyond this are refused before their digits are counted; anything near it overflows anyway.
const EXPONENT_MAX: i64 = i32::MAX as i64 / 2;

impl Numeric {
    /// 22P02 if the text is no number, 22003 if it is beyond the format. Blanks around are skipped; exponents,
    /// `NaN`, `Infinity` and `inf` in any case are known.
    pub fn parse(text: &str) -> Result<Numeric> {
        let trimmed = text.trim_matches(is_space);
        match trimmed.as_bytes() {
            [b'0'..=b'9' | b'.', ..] => parse_digits(trimmed.as_bytes(), false, text),
            [b'-', rest @ ..] if rest.first().is_some_and(|c| c.is_ascii_digit() || *c == b'.') => {
                parse_digits(rest, true, text)
            }
            [b'+', rest @ ..] if rest.first().is_some_and(|c| c.is_ascii_digit() || *c == b'.') => {
                parse_digits(rest, false, text)
            }
            _ => parse_special(trimmed).ok_or_else(|| syntax_error(text)),
        }
    }
}

/// What C's isspace takes for a blank.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

fn syntax_error(text: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type numeric: \"{text}\""))
}

fn parse_special(text: &str) -> Option<Numeric> {
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    if is("NaN") {
        Some(Numeric::NaN)
    } else if is("Infinity") || is("+Infinity") || is("inf") || is("+inf") {
        Some(Numeric::PosInfinity)
    } else if is("-Infinity") || is("-inf") {
        Some(Numeric::NegInfinity)
    } else {
        None
    }
}

/// Digits with at most one point, then an exponent. `whole` is for the message.
fn parse_digits(bytes: &[u8], negative: bool, whole: &str) -> Result<Numeric> {
    let mut small: Option<u64> = Some(0);
    let (mut digits, mut after_point, mut seen_point, mut at) = (0usize, 0i64, false, 0usize);
    // From the first that is not 0 on.
    let mut significant = 0usize;
    while let Some(c) = bytes.get(at) {
        match c {
            b'0'..=b'9' => {
                small = small.and_then(|v| v.checked_mul(10)).and_then(|v| v.checked_add(u64::from(c - b'0')));
                digits += 1;
                significant += usize::from(significant > 0 || *c != b'0');
                after_point += i64::from(seen_point);
            }
            b'.' if !seen_point => seen_point = true,
            _ => break,
        }
        at += 1;
    }
    if digits == 0 {
        return Err(syntax_error(whole));
    }
    let exponent = parse_exponent(bytes.get(at..).unwrap_or_default(), whole)?;
    // Whatever the exponent: so many do not fit before the point and behind it. They are told before they are multiplied.
    if significant > (super::DIGITS_BEFORE_MAX + super::SCALE_MAX) as usize {
        return Err(overflow());
    }
    let mantissa = small.map(i128::from);
    if let (Some(mantissa), None) = (mantissa, exponent) {
        let scale = u16::try_from(after_point).ok().filter(|s| u32::from(*s) <= super::SCALE_MAX);
        let signed = if negative { -mantissa } else { mantissa };
        return scale.map(|scale| Numeric::from_i128_scaled(signed, scale)).ok_or_else(overflow);
    }
    let magnitude = match mantissa {
        Some(small) => UBig::from(small as u128),
        None => {
            let only_digits: String =
                bytes.iter().take(at).filter(|c| c.is_ascii_digit()).map(|c| char::from(*c)).collect();
            UBig::from_str_radix(&only_digits, 10).map_err(|_| syntax_error(whole))?
        }
    };
    scaled(magnitude, negative, after_point - exponent.unwrap_or(0))
}

/// `magnitude / 10^scale` for a scale of any sign and size.
pub(crate) fn scaled(magnitude: UBig, negative: bool, scale: i64) -> Result<Numeric> {
    let sign = |m: UBig| if negative { -IBig::from(m) } else { IBig::from(m) };
    if scale >= 0 {
        return Numeric::from_big(sign(magnitude), u32::try_from(scale).map_err(|_| overflow())?);
    }
    if magnitude.is_zero() {
        return Ok(Numeric::ZERO);
    }
    // I2: the size is known before the power is computed.
    let up = u32::try_from(-scale).ok().filter(|up| *up < super::DIGITS_BEFORE_MAX).ok_or_else(overflow)?;
    Numeric::from_big(sign(magnitude * super::power_of_ten(up)), 0)
}

/// What follows the digits: nothing, or `e` and an integer (blanks before it are taken, as strtol takes them).
fn parse_exponent(rest: &[u8], whole: &str) -> Result<Option<i64>> {
    let after_e = match rest {
        [] => return Ok(None),
        [b'e' | b'E', after @ ..] => after,
        _ => return Err(syntax_error(whole)),
    };
    let text = std::str::from_utf8(after_e).unwrap_or("").trim_start_matches(is_space);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_digit()) {
        return Err(syntax_error(whole));
    }
    match text.parse::<i64>() {
        Ok(value) if value.abs() < EXPONENT_MAX => Ok(Some(value)),
        _ => Err(overflow()),
    }
}
