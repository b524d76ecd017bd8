//! Input and output of the number types, as crate `io` does it for all: int2, int4, int8, float4, float8, numeric, oid, bool.

use super::Numeric;
use super::parse::is_space;
use crate::{Datum, FormatSettings, Result, SqlError, SqlState, SqlType, oid};

/// Parses text into a value of one of the number types; 22P02 for garbage, 22003 out of range. The typmod of numeric is applied.
pub fn input(ty: SqlType, text: &str, _format: &FormatSettings) -> Result<Datum> {
    match ty.oid {
        oid::INT2 => parse_integer(text, "smallint").map(Datum::Int2),
        oid::INT4 => parse_integer(text, "integer").map(Datum::Int4),
        oid::INT8 => parse_integer(text, "bigint").map(Datum::Int8),
        oid::OID => parse_oid(text).map(Datum::Oid),
        oid::FLOAT4 => parse_f32(text).map(Datum::Float4),
        oid::FLOAT8 => parse_f64(text).map(Datum::Float8),
        oid::NUMERIC => Numeric::parse(text)?.apply_typmod(ty.typmod).map(Datum::Numeric),
        oid::BOOL => parse_bool(text).map(Datum::Bool),
        _ => Err(not_a_number(ty)),
    }
}

/// Appends the text form.
pub fn output(ty: SqlType, value: &Datum, format: &FormatSettings, out: &mut Vec<u8>) {
    let _ = ty;
    match value {
        Datum::Int2(v) => write_i64(i64::from(*v), out),
        Datum::Int4(v) => write_i64(i64::from(*v), out),
        Datum::Int8(v) => write_i64(*v, out),
        Datum::Oid(v) => write_i64(i64::from(*v), out),
        Datum::Float4(v) => write_f32(*v, format.extra_float_digits, out),
        Datum::Float8(v) => write_f64(*v, format.extra_float_digits, out),
        Datum::Numeric(v) => v.write(out),
        Datum::Bool(v) => out.push(if *v { b't' } else { b'f' }),
        _ => debug_assert!(false, "not a number: {value:?}"),
    }
}

/// Reads the binary form: 08P01 for too few bytes, 22P03 for too many or ones that mean nothing.
pub fn receive(ty: SqlType, bytes: &[u8]) -> Result<Datum> {
    Ok(match ty.oid {
        oid::INT2 => Datum::Int2(i16::from_be_bytes(exactly(bytes)?)),
        oid::INT4 => Datum::Int4(i32::from_be_bytes(exactly(bytes)?)),
        oid::INT8 => Datum::Int8(i64::from_be_bytes(exactly(bytes)?)),
        oid::OID => Datum::Oid(u32::from_be_bytes(exactly(bytes)?)),
        oid::FLOAT4 => Datum::Float4(f32::from_be_bytes(exactly(bytes)?)),
        oid::FLOAT8 => Datum::Float8(f64::from_be_bytes(exactly(bytes)?)),
        oid::NUMERIC => Datum::Numeric(Numeric::receive(bytes)?.apply_typmod(ty.typmod)?),
        oid::BOOL => Datum::Bool(exactly::<1>(bytes)? != [0]),
        _ => return Err(not_a_number(ty)),
    })
}

/// Appends the binary form.
pub fn send(ty: SqlType, value: &Datum, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Datum::Int2(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Int4(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Int8(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Oid(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Float4(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Float8(v) => out.extend_from_slice(&v.to_be_bytes()),
        Datum::Numeric(v) => v.send(out),
        Datum::Bool(v) => out.push(u8::from(*v)),
        _ => return Err(not_a_number(ty)),
    }
    Ok(())
}

fn not_a_number(ty: SqlType) -> SqlError {
    SqlError::internal(format!("type {} is not a number type", ty.oid))
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    match bytes.split_first_chunk::<N>() {
        Some((value, [])) => Ok(*value),
        Some(_) => Err(excess()),
        None => Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")),
    }
}

pub(super) fn excess() -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "incorrect binary data format")
}

fn syntax_error(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

fn range_error(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{text}\" is out of range for type {type_name}"),
    )
}

/// Digits with a sign, blanks around; `type_name` is SQL's (`integer`).
pub fn parse_integer<T: TryFrom<i64>>(text: &str, type_name: &str) -> Result<T> {
    let trimmed = text.trim_matches(is_space);
    let (negative, digits) = match trimmed.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(syntax_error(type_name, text));
    }
    // Below zero there is one value more, so the sum runs below zero for all.
    let negated = digits.iter().try_fold(0i64, |sum, digit| sum.checked_mul(10)?.checked_sub(i64::from(digit - b'0')));
    let value = negated.and_then(|sum| if negative { Some(sum) } else { sum.checked_neg() });
    value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| range_error(type_name, text))
}

/// An unsigned 32-bit number; as in PostgreSQL a negative one of 32 bits is taken modulo 2^32.
pub fn parse_oid(text: &str) -> Result<u32> {
    let value: i64 = parse_integer(text, "oid")?;
    if value < i64::from(i32::MIN) {
        return Err(range_error("oid", text));
    }
    if value < 0 {
        return Ok(value as i32 as u32);
    }
    u32::try_from(value).map_err(|_| range_error("oid", text))
}

/// The spellings of booleans, shortened as far as they stay unambiguous, blanks around.
pub fn parse_bool(text: &str) -> Result<bool> {
    let word = text.trim_matches(is_space).to_ascii_lowercase();
    let starts = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    if starts("true", 1) || starts("yes", 1) || word == "on" || word == "1" {
        Ok(true)
    } else if starts("false", 1) || starts("no", 1) || starts("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(syntax_error("boolean", text))
    }
}

enum FloatFault {
    Syntax,
    Range,
}

/// What C's strtod takes but hexadecimal digits: a number with blanks around, `inf`, `infinity`, `nan` with a sign.
fn parse_float<T>(text: &str, is_infinite: fn(T) -> bool, is_zero: fn(T) -> bool) -> Result<T, FloatFault>
where
    T: std::str::FromStr + Copy,
{
    let number = text.trim_matches(is_space);
    let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
    let is_number = unsigned.as_bytes().first().is_some_and(|c| c.is_ascii_digit() || *c == b'.');
    let named = ["inf", "infinity", "nan"].iter().any(|name| unsigned.eq_ignore_ascii_case(name));
    if !is_number && !named {
        return Err(FloatFault::Syntax);
    }
    let value: T = number.parse().map_err(|_| FloatFault::Syntax)?;
    let is_written_zero =
        || unsigned.bytes().take_while(|c| !matches!(c, b'e' | b'E')).all(|c| matches!(c, b'0' | b'.'));
    if is_number && (is_infinite(value) || (is_zero(value) && !is_written_zero())) {
        return Err(FloatFault::Range);
    }
    Ok(value)
}

fn float_error(fault: FloatFault, type_name: &str, text: &str) -> SqlError {
    match fault {
        FloatFault::Syntax => syntax_error(type_name, text),
        FloatFault::Range => SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{}\" is out of range for type {type_name}", text.trim_matches(is_space)),
        ),
    }
}

pub fn parse_f64(text: &str) -> Result<f64> {
    parse_float(text, f64::is_infinite, |v| v == 0.0).map_err(|fault| float_error(fault, "double precision", text))
}

pub fn parse_f32(text: &str) -> Result<f32> {
    parse_float(text, f32::is_infinite, |v| v == 0.0).map_err(|fault| float_error(fault, "real", text))
}

/// Appends an integer in decimal.
#[inline]
pub fn write_i64(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let mut buffer = [0u8; 20];
    out.extend_from_slice(super::format::decimal_digits(value.unsigned_abs(), &mut buffer));
}

/// Appends a double as PostgreSQL writes it: the shortest text that reads back the same, or `15 + extra_digits`
/// significant digits where that setting is not positive.
pub fn write_f64(value: f64, extra_digits: i32, out: &mut Vec<u8>) {
    if let Some(name) = special_name(value) {
        out.extend_from_slice(name);
    } else if extra_digits > 0 {
        write_shortest(&shortest(value, false), 15, out);
    } else {
        out.extend_from_slice(general_format(value, (15 + extra_digits).max(1) as usize).as_bytes());
    }
}

/// As `write_f64`; six digits.
pub fn write_f32(value: f32, extra_digits: i32, out: &mut Vec<u8>) {
    if let Some(name) = special_name(f64::from(value)) {
        out.extend_from_slice(name);
    } else if extra_digits > 0 {
        write_shortest(&shortest(f64::from(value), true), 6, out);
    } else {
        out.extend_from_slice(general_format(f64::from(value), (6 + extra_digits).max(1) as usize).as_bytes());
    }
}

fn special_name(value: f64) -> Option<&'static [u8]> {
    match value {
        v if v.is_nan() => Some(b"NaN"),
        f64::INFINITY => Some(b"Infinity"),
        f64::NEG_INFINITY => Some(b"-Infinity"),
        _ => None,
    }
}

/// Sign, digits and the decimal exponent of the first digit.
struct Decimal {
    negative: bool,
    digits: [u8; 17],
    len: usize,
    exponent: i32,
}

impl Decimal {
    /// From Rust's `1.2345e-7`.
    fn read(scientific: &[u8]) -> Decimal {
        let mut decimal = Decimal { negative: false, digits: [b'0'; 17], len: 0, exponent: 0 };
        let mut bytes = scientific.iter();
        for byte in bytes.by_ref() {
            match byte {
                b'-' => decimal.negative = true,
                b'e' => break,
                b'.' => {}
                digit => {
                    if let Some(slot) = decimal.digits.get_mut(decimal.len) {
                        *slot = *digit;
                        decimal.len += 1;
                    }
                }
            }
        }
        let mut sign = 1;
        for byte in bytes {
            match byte {
                b'-' => sign = -1,
                digit => decimal.exponent = decimal.exponent * 10 + i32::from(digit - b'0'),
            }
        }
        decimal.exponent *= sign;
        decimal
    }

    fn digits(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}

/// The shortest digits that read back as `value` for readers of *any* rounding: PostgreSQL takes no digits that lie just
/// on the border to the neighbouring float, Rust does (1e23 is such a case).
fn shortest(value: f64, single: bool) -> Decimal {
    let mut text = StackText::default();
    let _ = match single {
        true => std::fmt::write(&mut text, format_args!("{:e}", value as f32)),
        false => std::fmt::write(&mut text, format_args!("{value:e}")),
    };
    let mut decimal = Decimal::read(text.bytes());
    if is_tie(&decimal, value, single) {
        let mut text = StackText::default();
        let places = decimal.len - 1;
        // Rounds half to even, as PostgreSQL does between two shortest texts of one distance.
        let _ = std::fmt::write(&mut text, format_args!("{value:.places$e}"));
        // Below a power of two the even one may already be the neighbour's.
        let read_back = std::str::from_utf8(text.bytes()).ok().and_then(|text| match single {
            true => text.parse::<f32>().ok().map(f64::from),
            false => text.parse::<f64>().ok(),
        });
        if read_back == Some(value) {
            decimal = Decimal::read(text.bytes());
        }
    }
    // More digits, rounded from the exact value, end up within the border; 17 (9) always do.
    let mut places = decimal.len;
    while is_on_border(&decimal, value, single) && places < 17 {
        let mut text = StackText::default();
        let _ = std::fmt::write(&mut text, format_args!("{value:.places$e}"));
        decimal = Decimal::read(text.bytes());
        while decimal.len > 1 && decimal.digits().last() == Some(&b'0') {
            decimal.len -= 1;
        }
        places += 1;
    }
    decimal
}

/// Whether the decimal lies exactly half-way to a neighbouring float.
///
/// With `value = m * 2^q` the half-way points are odd multiples of 2^(q-1), and a decimal `d * 5^p * 2^p` equals one only
/// if 5^p divides a number below 2^54: p is 0 to 23. (For p below 0 no float that large has so few digits.)
fn is_on_border(decimal: &Decimal, value: f64, single: bool) -> bool {
    let power = decimal.exponent - decimal.len as i32 + 1;
    if !(0..=23).contains(&power) {
        return false;
    }
    let (mantissa, exponent) = float_parts(value, single);
    let digits = decimal.digits().iter().fold(0u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
    // In units of a quarter of the last place, so that the nearer neighbour below a power of two is seen too.
    let odd_part = digits * 5u128.pow(power as u32);
    let shift = power - (exponent - 2);
    let quarters = match shift {
        0.. => odd_part.checked_shl(shift as u32).filter(|up| up >> shift == odd_part),
        _ => (odd_part.trailing_zeros() as i32 >= -shift).then(|| odd_part >> (-shift).min(127)),
    };
    let Some(quarters) = quarters else { return false };
    let own = u128::from(mantissa) * 4;
    quarters == own + 2 || quarters == own - 2 || (mantissa.is_power_of_two() && quarters == own - 1)
}

/// Whether the value lies half-way between this decimal and its neighbour of as many digits: then twice the value is an odd
/// multiple of 10^p, so the value's power of two is 2^(p-1). (Values that have it and are no ties round to themselves.)
fn is_tie(decimal: &Decimal, value: f64, single: bool) -> bool {
    let power = decimal.exponent - decimal.len as i32 + 1;
    let (mantissa, exponent) = float_parts(value, single);
    exponent + mantissa.trailing_zeros() as i32 == power - 1
}

/// Mantissa and exponent of a finite float but zero: `mantissa * 2^exponent`.
fn float_parts(value: f64, single: bool) -> (u64, i32) {
    let (bits, fraction_bits, exponent_mask, bias) = match single {
        true => (u64::from((value as f32).to_bits()), 23, 0xFF, 127 + 23),
        false => (value.to_bits(), 52, 0x7FF, 1023 + 52),
    };
    let fraction = bits & ((1 << fraction_bits) - 1);
    match (bits >> fraction_bits & exponent_mask) as i32 {
        0 => (fraction.max(1), 1 - bias),
        exponent => (fraction | 1 << fraction_bits, exponent - bias),
    }
}

/// Room for one float's text: sign, 17 digits, point, `e`, sign and exponent.
#[derive(Default)]
struct StackText {
    bytes: [u8; 32],
    len: usize,
}

impl StackText {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl std::fmt::Write for StackText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Fixed notation for exponents from -4 to `digits_max` - 1, else scientific with at least two exponent digits.
fn write_shortest(decimal: &Decimal, digits_max: i32, out: &mut Vec<u8>) {
    if decimal.negative {
        out.push(b'-');
    }
    let digits = decimal.digits();
    if digits == b"0" {
        return out.push(b'0');
    }
    if (-4..digits_max).contains(&decimal.exponent) {
        return write_fixed(digits, decimal.exponent, out);
    }
    write_scientific(digits, decimal.exponent, out);
}

fn write_fixed(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent - 1) as usize, b'0');
        return out.extend_from_slice(digits);
    }
    let whole = exponent as usize + 1;
    match digits.split_at_checked(whole) {
        Some((before, after)) => {
            out.extend_from_slice(before);
            if !after.is_empty() {
                out.push(b'.');
                out.extend_from_slice(after);
            }
        }
        None => {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - digits.len(), b'0');
        }
    }
}

fn write_scientific(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, &[]));
    out.extend_from_slice(first);
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.abs() < 10 {
        out.push(b'0');
    }
    write_i64(i64::from(exponent.abs()), out);
}

/// C's `%.{digits}g`: that many significant digits, trailing zeros dropped.
pub fn general_format(value: f64, digits: usize) -> String {
    if let Some(name) = special_name(value) {
        return String::from_utf8_lossy(name).into_owned();
    }
    let text = format!("{:.*e}", digits.saturating_sub(1), value);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let negative = mantissa.starts_with('-');
    let all: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let significant = all.trim_end_matches('0');
    let significant = if significant.is_empty() { "0" } else { significant };
    let mut out = Vec::with_capacity(24);
    if negative {
        out.push(b'-');
    }
    if significant == "0" {
        out.push(b'0');
    } else if exponent >= -4 && exponent < digits as i32 {
        write_fixed(significant.as_bytes(), exponent, &mut out);
    } else {
        write_scientific(significant.as_bytes(), exponent, &mut out);
    }
    String::from_utf8(out).unwrap_or_default()
}
