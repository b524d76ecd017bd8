//! The first step of reading a date, time or interval: text into fields, and words into their meanings.
//!
//! A field is a run of characters of one kind; what it means (`8` may be a month, a day or an hour) is decided later, by
//! `parse` and `parse_interval`, from the fields around it.

use super::calendar::{MONTHS, WEEKDAYS};

/// Fields of one input; more is a format error.
pub const FIELDS_MAX: usize = 25;
/// Bytes of all fields of a date or time together with one separator each, and of an interval.
pub const DATE_BYTES_MAX: usize = 153;
pub const INTERVAL_BYTES_MAX: usize = 256;
/// Words are told apart by their first ten characters.
const WORD_LEN: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Number,
    /// A word.
    Word,
    /// Something with `-`, `/` or `.` inside: a date, or a zone name.
    Date,
    /// Digits with colons.
    Time,
    /// A sign and digits.
    Zone,
    /// A sign and a word.
    Special,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub kind: FieldKind,
    pub text: String,
}

/// A unit of time, as a field of an input or of `extract`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Julian,
    /// The ISO 8601 `T`.
    TimeOfDay,
    Zone,
    ZoneHour,
    ZoneMinute,
    Dow,
    Doy,
    IsoDow,
    IsoYear,
}

/// A word that stands for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Now,
    Today,
    Tomorrow,
    Yesterday,
    Allballs,
    Epoch,
    Infinity,
    NegInfinity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Moment(Moment),
    Month(i32),
    Weekday(i32),
    /// True for pm.
    Meridian(bool),
    /// True for BC.
    Era(bool),
    /// `dst` after a zone.
    SummerTime,
    Unit(Unit),
    /// The `t` between date and time.
    IsoTime,
    Ignored,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalWord {
    Unit(Unit),
    Ago,
    Ignored,
    Unknown,
}

fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn take_while(&mut self, text: &mut String, accept: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() && accept(self.peek()) {
            text.push(self.peek().to_ascii_lowercase() as char);
            self.at += 1;
        }
    }

    fn take(&mut self, text: &mut String) {
        text.push(self.peek().to_ascii_lowercase() as char);
        self.at += 1;
    }

    /// A field that begins with a digit: a time, a date or a number.
    fn number(&mut self, text: &mut String) -> FieldKind {
        self.take_while(text, |c| c.is_ascii_digit());
        let delimiter = self.peek();
        match delimiter {
            b':' => {
                self.take_while(text, |c| c.is_ascii_digit() || c == b':' || c == b'.');
                FieldKind::Time
            }
            b'-' | b'/' | b'.' => {
                self.take(text);
                if !self.peek().is_ascii_digit() {
                    self.take_while(text, |c| c.is_ascii_alphanumeric() || c == delimiter);
                    return FieldKind::Date;
                }
                self.take_while(text, |c| c.is_ascii_digit());
                if self.peek() == delimiter {
                    self.take_while(text, |c| c.is_ascii_digit() || c == delimiter);
                    return FieldKind::Date;
                }
                if delimiter == b'.' { FieldKind::Number } else { FieldKind::Date }
            }
            _ => FieldKind::Number,
        }
    }

    /// A field that begins with a letter: a word, a date with a month's name first, or a zone name.
    fn word(&mut self, text: &mut String) -> FieldKind {
        self.take_while(text, |c| c.is_ascii_alphabetic());
        let next = self.peek();
        let goes_on = match next {
            b'-' | b'/' | b'.' => true,
            // "T10:00", "jan8" and the like: a known word ends here.
            b'+' | b'0'..=b'9' => word(text) == Word::Unknown,
            _ => false,
        };
        if !goes_on {
            return FieldKind::Word;
        }
        self.take_while(text, |c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'/' | b'_' | b'.' | b':'));
        FieldKind::Date
    }

    /// A field that begins with a sign.
    fn signed(&mut self, text: &mut String) -> Option<FieldKind> {
        self.take(text);
        while is_space(self.peek()) {
            self.at += 1;
        }
        if self.peek().is_ascii_digit() {
            self.take_while(text, |c| c.is_ascii_digit() || matches!(c, b':' | b'.' | b'-'));
            Some(FieldKind::Zone)
        } else if self.peek().is_ascii_alphabetic() {
            self.take_while(text, |c| c.is_ascii_alphabetic());
            Some(FieldKind::Special)
        } else {
            None
        }
    }
}

/// Cuts a text into fields; None where no reading of it can be a date, time or interval.
pub fn tokenize(input: &str, bytes_max: usize) -> Option<Vec<Field>> {
    let mut cursor = Cursor { bytes: input.as_bytes(), at: 0 };
    let mut fields = Vec::new();
    let mut used = 0;
    while cursor.at < cursor.bytes.len() {
        let c = cursor.peek();
        if is_space(c) {
            cursor.at += 1;
            continue;
        }
        let mut text = String::new();
        let kind = match c {
            b'0'..=b'9' => cursor.number(&mut text),
            b'.' => {
                cursor.take(&mut text);
                cursor.take_while(&mut text, |c| c.is_ascii_digit());
                FieldKind::Number
            }
            b'+' | b'-' => cursor.signed(&mut text)?,
            c if c.is_ascii_alphabetic() => cursor.word(&mut text),
            c if c.is_ascii_punctuation() => {
                cursor.at += 1;
                continue;
            }
            _ => return None,
        };
        used += text.len() + 1;
        if fields.len() >= FIELDS_MAX || used > bytes_max {
            return None;
        }
        fields.push(Field { kind, text });
    }
    Some(fields)
}

fn key(word: &str) -> &str {
    word.get(..WORD_LEN).unwrap_or(word)
}

/// The meaning of a word (in lower case) in a date or time. Zone abbreviations are looked up before this.
pub fn word(lower: &str) -> Word {
    let lower = key(lower);
    match lower {
        "now" => Word::Moment(Moment::Now),
        "today" => Word::Moment(Moment::Today),
        "tomorrow" => Word::Moment(Moment::Tomorrow),
        "yesterday" => Word::Moment(Moment::Yesterday),
        "allballs" => Word::Moment(Moment::Allballs),
        "epoch" => Word::Moment(Moment::Epoch),
        "infinity" => Word::Moment(Moment::Infinity),
        "-infinity" => Word::Moment(Moment::NegInfinity),
        "am" => Word::Meridian(false),
        "pm" => Word::Meridian(true),
        "ad" => Word::Era(false),
        "bc" => Word::Era(true),
        "dst" => Word::SummerTime,
        "at" | "on" => Word::Ignored,
        "t" => Word::IsoTime,
        "y" => Word::Unit(Unit::Year),
        "m" => Word::Unit(Unit::Month),
        "d" => Word::Unit(Unit::Day),
        "h" => Word::Unit(Unit::Hour),
        "mm" => Word::Unit(Unit::Minute),
        "s" => Word::Unit(Unit::Second),
        "j" | "jd" | "julian" => Word::Unit(Unit::Julian),
        "dow" => Word::Unit(Unit::Dow),
        "doy" => Word::Unit(Unit::Doy),
        "isodow" => Word::Unit(Unit::IsoDow),
        "isoyear" => Word::Unit(Unit::IsoYear),
        "sept" => Word::Month(9),
        "tues" => Word::Weekday(2),
        "weds" => Word::Weekday(3),
        "thur" | "thurs" => Word::Weekday(4),
        _ => named(lower, &MONTHS)
            .map(|index| Word::Month(index + 1))
            .or_else(|| named(lower, &WEEKDAYS).map(Word::Weekday))
            .unwrap_or(Word::Unknown),
    }
}

/// A full name or its first three letters.
fn named(lower: &str, names: &[&str]) -> Option<i32> {
    let found = names.iter().position(|name| {
        lower.eq_ignore_ascii_case(name) || name.get(..3).is_some_and(|short| lower.eq_ignore_ascii_case(short))
    });
    found.map(|index| index as i32)
}

/// The meaning of a word (in lower case) in an interval.
pub fn interval_word(lower: &str) -> IntervalWord {
    let unit = match key(lower) {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" => Unit::Microsecond,
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecon" => Unit::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        "timezone" => Unit::Zone,
        "timezone_h" => Unit::ZoneHour,
        "timezone_m" => Unit::ZoneMinute,
        "ago" => return IntervalWord::Ago,
        "@" => return IntervalWord::Ignored,
        _ => return IntervalWord::Unknown,
    };
    IntervalWord::Unit(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_cut_by_kind() {
        let check = |input: &str, expected: &[(FieldKind, &str)]| {
            let fields = tokenize(input, DATE_BYTES_MAX).unwrap();
            let got: Vec<(FieldKind, &str)> = fields.iter().map(|f| (f.kind, f.text.as_str())).collect();
            assert_eq!(got, expected, "{input}");
        };
        check(
            "1999-01-08T04:05:06-8",
            &[
                (FieldKind::Date, "1999-01-08"),
                (FieldKind::Word, "t"),
                (FieldKind::Time, "04:05:06"),
                (FieldKind::Zone, "-8"),
            ],
        );
        check(
            "J2451187 America/New_York",
            &[(FieldKind::Word, "j"), (FieldKind::Number, "2451187"), (FieldKind::Date, "america/new_york")],
        );
        check("- infinity", &[(FieldKind::Special, "-infinity")]);
        check("Jan-08-1999 , .5", &[(FieldKind::Date, "jan-08-1999"), (FieldKind::Number, ".5")]);
        assert!(tokenize("1999-01-08 \u{e4}", DATE_BYTES_MAX).is_none());
        assert!(tokenize("- -", DATE_BYTES_MAX).is_none());
    }
}
