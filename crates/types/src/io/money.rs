//! `money` as text, as the C locale has it: `$1,234.50`. A value is its cents.

use super::invalid_input;
use crate::numeric::is_space;
use crate::{Result, SqlError, SqlState};

/// Digits of a cent.
const FRACTION_DIGITS: usize = 2;

fn out_of_range(text: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value \"{text}\" is out of range for type money"))
}

/// `$1,234.5`, `-12`, `(0.99)`; what is behind the cents rounds them, half away from zero.
pub(super) fn parse(text: &str) -> Result<i64> {
    let (mut is_negative, mut rest) = sign_and_symbol(text.as_bytes());
    let (mut cents, mut fraction) = (0_i64, None);
    // Below zero there is one value more.
    let shifted = |cents: i64, digit: u8| {
        cents.checked_mul(10).and_then(|c| c.checked_sub(i64::from(digit))).ok_or_else(|| out_of_range(text))
    };
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'0'..=b'9' if fraction.is_none_or(|count| count < FRACTION_DIGITS) => {
                cents = shifted(cents, byte - b'0')?;
                fraction = fraction.map(|count| count + 1);
            }
            b'.' if fraction.is_none() => fraction = Some(0),
            b',' => {}
            _ => break,
        }
        rest = after;
    }
    if rest.first().is_some_and(|byte| (b'5'..=b'9').contains(byte)) {
        cents = cents.checked_sub(1).ok_or_else(|| out_of_range(text))?;
    }
    for _ in fraction.unwrap_or(0)..FRACTION_DIGITS {
        cents = shifted(cents, 0)?;
    }
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    for byte in rest.get(digits..).unwrap_or_default() {
        match byte {
            b'-' => is_negative = true,
            b')' | b'+' | b'$' => {}
            byte if is_space(char::from(*byte)) => {}
            _ => return Err(invalid_input("money", text)),
        }
    }
    match is_negative {
        true => Ok(cents),
        false => cents.checked_neg().ok_or_else(|| out_of_range(text)),
    }
}

/// What may stand in front of the digits: whether it says "below zero", and what is behind it.
fn sign_and_symbol(bytes: &[u8]) -> (bool, &[u8]) {
    let trimmed = |bytes: &[u8]| bytes.iter().take_while(|b| is_space(char::from(**b))).count();
    let skip_symbol = |bytes: &[u8]| trimmed(bytes) + usize::from(bytes.get(trimmed(bytes)) == Some(&b'$'));
    let mut rest = bytes.get(skip_symbol(bytes)..).unwrap_or_default();
    rest = rest.get(trimmed(rest)..).unwrap_or_default();
    let is_negative = matches!(rest.first(), Some(b'-' | b'('));
    if is_negative || rest.first() == Some(&b'+') {
        rest = rest.get(1..).unwrap_or_default();
    }
    rest = rest.get(skip_symbol(rest)..).unwrap_or_default();
    (is_negative, rest.get(trimmed(rest)..).unwrap_or_default())
}

/// `$1,234.50`, as the C locale has it.
pub(super) fn write(cents: i64, out: &mut Vec<u8>) {
    let amount = cents.unsigned_abs();
    let whole = (amount / 100).to_string();
    out.extend_from_slice(if cents < 0 { b"-$" } else { b"$" });
    for (index, digit) in whole.bytes().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(b',');
        }
        out.push(digit);
    }
    out.extend_from_slice(format!(".{:02}", amount % 100).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = parse(text).map_or_else(
            |e| format!("{} {}", e.code(), e.message()),
            |cents| {
                let mut out = vec![];
                write(cents, &mut out);
                String::from_utf8(out).unwrap()
            },
        );
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn amounts_are_read_as_postgresql_reads_them() {
        check("$1,000.55", "$1,000.55");
        check(" -$ 12.5", "-$12.50");
        check("($0.995)", "-$1.00");
        check("1.234", "$1.23");
        check("12-", "-$12.00");
        check("-92233720368547758.08", "-$92,233,720,368,547,758.08");
        check("92233720368547758.08", "22003 value \"92233720368547758.08\" is out of range for type money");
        check("12x", "22P02 invalid input syntax for type money: \"12x\"");
        check("", "$0.00");
    }
}
