//! `macaddr` and `macaddr8`: six and eight bytes, as a `Datum::Bytea`.

use crate::io::invalid_input;
use crate::{Result, SqlError, SqlState};

pub const SIZE: usize = 6;
pub const SIZE8: usize = 8;

fn bad_octet(text: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("invalid octet value in \"macaddr\" value: \"{text}\""))
}

/// `08:00:2b:01:02:03`, with hyphens, in two groups of three bytes, in three of two, or without anything between.
pub fn parse(text: &str) -> Result<[u8; SIZE]> {
    let error = || invalid_input("macaddr", text);
    let trimmed = text.trim();
    let groups = |separator: char| trimmed.split(separator).collect::<Vec<&str>>();
    let is_hex = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit());
    let all = [groups(':'), groups('-'), groups('.')];
    let Some(found) = all.iter().find(|groups| groups.len() > 1).or(all.first()) else { return Err(error()) };
    if !found.iter().all(is_hex) {
        return Err(error());
    }
    let by_point = trimmed.contains('.');
    let digits = match found.as_slice() {
        six @ [_, _, _, _, _, _] if !by_point => {
            let mut bytes = [0; SIZE];
            for (byte, part) in bytes.iter_mut().zip(six) {
                *byte = u64::from_str_radix(part, 16)
                    .ok()
                    .and_then(|n| u8::try_from(n).ok())
                    .ok_or_else(|| bad_octet(text))?;
            }
            return Ok(bytes);
        }
        [a, b] if !by_point && a.len() == 6 && b.len() == 6 => format!("{a}{b}"),
        [a, b, c] if !trimmed.contains(':') && a.len() == 4 && b.len() == 4 && c.len() == 4 => format!("{a}{b}{c}"),
        [one] if one.len() == 12 => (*one).to_owned(),
        _ => return Err(error()),
    };
    let mut bytes = [0; SIZE];
    for (index, byte) in bytes.iter_mut().enumerate() {
        let pair = digits.get(2 * index..2 * index + 2).ok_or_else(error)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
    }
    Ok(bytes)
}

/// Pairs of digits with one kind of separator between them or none; of six bytes the middle is filled up with `ff:fe`.
pub fn parse8(text: &str) -> Result<[u8; SIZE8]> {
    let error = || invalid_input("macaddr8", text);
    let letters: Vec<char> = text.trim().chars().collect();
    let (mut bytes, mut at, mut separator) = (vec![], 0, None);
    while at < letters.len() {
        let digit = |at: usize| letters.get(at).and_then(|c| c.to_digit(16)).ok_or_else(error);
        let byte = digit(at)? * 16 + digit(at + 1)?;
        bytes.push(u8::try_from(byte).map_err(|_| error())?);
        at += 2;
        if let Some(mark) = letters.get(at).filter(|c| matches!(c, ':' | '-' | '.')) {
            if *separator.get_or_insert(*mark) != *mark || at + 1 == letters.len() {
                return Err(error());
            }
            at += 1;
        }
        if bytes.len() > SIZE8 {
            return Err(error());
        }
    }
    match bytes.as_slice() {
        [a, b, c, d, e, f] => Ok(widened([*a, *b, *c, *d, *e, *f])),
        whole => whole.try_into().map_err(|_| error()),
    }
}

/// The eight bytes of an address of six.
pub fn widened([a, b, c, d, e, f]: [u8; SIZE]) -> [u8; SIZE8] {
    [a, b, c, 0xff, 0xfe, d, e, f]
}

/// The six bytes of such an address of eight; 22003 for others.
pub fn narrowed(bytes: [u8; SIZE8]) -> Result<[u8; SIZE]> {
    match bytes {
        [a, b, c, 0xff, 0xfe, d, e, f] => Ok([a, b, c, d, e, f]),
        _ => {
            let message = "macaddr8 data out of range to convert to macaddr";
            let hint = "Only addresses that have FF and FE as values in the 4th and 5th bytes from the left, for example xx:xx:xx:ff:fe:xx:xx:xx, are eligible to be converted from macaddr8 to macaddr.";
            Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message).hint(hint))
        }
    }
}

pub fn write(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            out.push(b':');
        }
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, is_long: bool, expected: &str) {
        let parsed = if is_long { parse8(text).map(|b| b.to_vec()) } else { parse(text).map(|b| b.to_vec()) };
        let shown = parsed.map_or_else(
            |e| format!("{} {}", e.code(), e.message()),
            |bytes| {
                let mut out = vec![];
                write(&bytes, &mut out);
                String::from_utf8(out).unwrap()
            },
        );
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn addresses_have_many_forms() {
        for text in [
            "08:00:2b:01:02:03",
            "08-00-2b-01-02-03",
            "08002b:010203",
            "08002b-010203",
            "0800.2b01.0203",
            "0800-2b01-0203",
            "08002b010203",
            "8:0:2B:1:2:3",
        ] {
            check(text, false, "08:00:2b:01:02:03");
        }
        check("0800:2b01:0203", false, "22P02 invalid input syntax for type macaddr: \"0800:2b01:0203\"");
        check("not even close", false, "22P02 invalid input syntax for type macaddr: \"not even close\"");
        check("08002b0102030405", true, "08:00:2b:01:02:03:04:05");
        check("08:00:2b:01:02:03", true, "08:00:2b:ff:fe:01:02:03");
        check("08-00:2b:01:02:03", true, "22P02 invalid input syntax for type macaddr8: \"08-00:2b:01:02:03\"");
    }
}
