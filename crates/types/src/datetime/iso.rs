//! The short way for what most programs send: `2024-02-29`, `2024-02-29 12:34:56.789+05:30`, `12:34:56`.
//!
//! Promises to read a text just as `parse` does, or not at all: anything unusual, and anything out of range, is None and
//! goes the long way, which allocates and knows all forms and errors.

use super::calendar::{Civil, days_in_month};

/// The bytes of a text, eaten from the front.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        if *first != byte {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    /// Exactly `count` digits, at most four.
    fn number(&mut self, count: usize) -> Option<i32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let mut value = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i32::from(digit - b'0');
        }
        self.0 = rest;
        Some(value)
    }

    /// One to six digits of a fraction, as microseconds.
    fn micros(&mut self) -> Option<i32> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=6).contains(&count) {
            return None;
        }
        let (digits, rest) = self.0.split_at_checked(count)?;
        let value = digits.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
        self.0 = rest;
        Some(value * 10_i32.pow(6 - count as u32))
    }

    fn clock(&mut self, civil: &mut Civil) -> Option<()> {
        civil.hour = self.number(2).filter(|hour| *hour < 24)?;
        self.take(b':')?;
        civil.minute = self.number(2).filter(|minute| *minute < 60)?;
        self.take(b':')?;
        civil.second = self.number(2).filter(|second| *second < 60)?;
        if self.0.first() == Some(&b'.') {
            self.take(b'.')?;
            civil.micros = self.micros()?;
        }
        Some(())
    }
}

/// A date, or a date and a time, and the seconds east of UTC if the text has them.
pub fn datetime(text: &str) -> Option<(Civil, Option<i32>)> {
    let mut bytes = Bytes(text.as_bytes());
    let mut civil = Civil { year: bytes.number(4).filter(|year| *year > 0)?, ..Civil::default() };
    bytes.take(b'-')?;
    civil.month = bytes.number(2)?;
    bytes.take(b'-')?;
    civil.day = bytes.number(2)?;
    if !(1..=days_in_month(civil.year, civil.month)).contains(&civil.day) {
        return None;
    }
    if bytes.0.is_empty() {
        return Some((civil, None));
    }
    if bytes.take(b' ').is_none() {
        bytes.take(b'T')?;
    }
    bytes.clock(&mut civil)?;
    let sign = match bytes.0.first() {
        None => return Some((civil, None)),
        Some(b'Z') if bytes.0.len() == 1 => return Some((civil, Some(0))),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    bytes.0 = bytes.0.get(1..)?;
    let mut east_s = bytes.number(2).filter(|hour| *hour <= 15)? * 3_600;
    if !bytes.0.is_empty() {
        bytes.take(b':')?;
        east_s += bytes.number(2).filter(|minute| *minute < 60)? * 60;
    }
    bytes.0.is_empty().then_some((civil, Some(sign * east_s)))
}

/// A time of day without zone.
pub fn time(text: &str) -> Option<i64> {
    let mut bytes = Bytes(text.as_bytes());
    let mut civil = Civil::default();
    bytes.clock(&mut civil)?;
    bytes.0.is_empty().then(|| civil.time())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FormatSettings;
    use crate::datetime::parse;

    #[test]
    fn the_short_way_reads_what_the_long_way_reads() {
        let format = FormatSettings::default();
        for text in [
            "2024-02-29",
            "0001-01-01",
            "2024-02-29 12:34:56",
            "2024-02-29T12:34:56.7",
            "2024-02-29 23:59:59.999999Z",
            "2024-02-29 12:34:56.123456-08",
            "2024-02-29 12:34:56+05:30",
        ] {
            let (civil, east_s) = datetime(text).unwrap();
            let parse::DateTime::Civil(long, long_east_s) = parse::datetime_long(text, &format).unwrap() else {
                panic!("{text}")
            };
            assert_eq!((civil, east_s.unwrap_or(0)), (long, long_east_s), "{text}");
        }
        assert_eq!(time("12:34:56.5"), Some(45_296_500_000));
    }

    #[test]
    fn the_unusual_goes_the_long_way() {
        for text in [
            "2023-02-29",
            "0000-01-01",
            "2024-1-1",
            "2024-01-01 ",
            "2024-01-01 24:00:00",
            "2024-01-01 12:34",
            "2024-01-01 12:34:60",
            "2024-01-01 12:34:56.1234567",
            "2024-01-01 12:34:56+16",
            "2024-01-01 12:34:56+0530",
            "2024-01-01 12:34:56 BC",
            "12024-01-01",
        ] {
            assert!(datetime(text).is_none(), "{text}");
        }
    }
}
