//! A number into a picture.
//!
//! The digits stand as text; `position` counts the places of the picture. The first `blanks` places have no digit; the
//! sign is written before the first that has one.

use super::picture::{Node, Pattern, Picture, SignPlace};
use crate::{Result, SqlError, SqlState};

/// A number that is rounded to the picture: its digits, how many places before it stay empty, and its sign (none for
/// Roman and scientific output).
pub struct Prepared {
    pub number: String,
    pub blanks: usize,
    pub sign: Option<char>,
}

struct Writer<'a> {
    picture: &'a Picture,
    number: Vec<u8>,
    blanks: usize,
    sign: Option<char>,
    /// Effective now: fill mode takes brackets away, a sign after all digits is one behind.
    bracket: bool,
    sign_place: SignPlace,
    sign_written: bool,
    /// The next digit.
    at: usize,
    /// The place of the picture.
    position: usize,
    /// The place behind which a sign may follow; -1 where the picture has no digits.
    places: i64,
    /// The last digit that counts in fill mode (or the point).
    last_relevant: Option<usize>,
    /// Whether a digit was written at the last place: then a group separator is wanted.
    in_number: bool,
    out: Vec<u8>,
}

pub fn write(picture: &Picture, prepared: Prepared) -> Result<String> {
    if picture.scientific {
        return Ok(prepared.number);
    }
    let mut writer = Writer::new(picture, prepared);
    for node in &picture.nodes {
        match node {
            Node::Literal(c) => writer.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Node::Pattern(pattern) => writer.pattern(*pattern)?,
        }
    }
    // A place behind the last digit (a float has fewer than asked for) ends the text there.
    let end = writer.out.iter().position(|byte| *byte == 0).unwrap_or(writer.out.len());
    writer.out.truncate(end);
    String::from_utf8(writer.out).map_err(|_| SqlError::internal("a formatted number is no text"))
}

/// The last digit after the point that is not 0, or else the point.
fn last_relevant(number: &[u8]) -> Option<usize> {
    let point = number.iter().position(|byte| *byte == b'.')?;
    let digit = number.iter().rposition(|byte| *byte != b'0')?;
    Some(digit.max(point))
}

impl<'a> Writer<'a> {
    fn new(picture: &'a Picture, prepared: Prepared) -> Writer<'a> {
        let mut writer = Writer {
            picture,
            number: prepared.number.into_bytes(),
            blanks: prepared.blanks,
            sign: prepared.sign,
            bracket: picture.bracket,
            sign_place: picture.sign_place,
            sign_written: true,
            at: 0,
            position: 0,
            places: picture.pre as i64 + picture.post as i64 - 1,
            last_relevant: None,
            in_number: false,
            out: Vec::new(),
        };
        if picture.roman {
            return writer;
        }
        writer.start();
        writer
    }

    fn start(&mut self) {
        let picture = self.picture;
        if picture.plus || picture.minus {
            // MI and SG write the sign where they stand; PL alone leaves a minus to the number.
            self.sign_written = picture.minus;
        } else {
            self.bracket &= self.sign == Some('-') || !picture.fill;
            self.sign_written = self.sign == Some('+') && picture.fill && !picture.sign;
            if self.sign_place == SignPlace::Before && picture.pre == picture.sign_at {
                self.sign_place = SignPlace::After;
            }
        }
        if picture.fill && picture.decimal {
            self.last_relevant = last_relevant(&self.number);
            if let Some(last) = &mut self.last_relevant
                && picture.zero_end > self.blanks
            {
                // A `0` keeps its digit, as far as there are digits.
                *last = (*last).max((self.number.len() - 1).min(picture.zero_end - self.blanks));
            }
        }
        if !self.sign_written && self.blanks == 0 {
            self.places += 1;
        }
    }

    fn digit(&self) -> u8 {
        self.number.get(self.at).copied().unwrap_or(0)
    }

    fn only_point_is_relevant(&self) -> bool {
        self.last_relevant.is_some_and(|last| self.number.get(last) == Some(&b'.'))
    }

    /// A leading 0 before the point that only `9`s ask for: `9.9` shows .1 as `  .1`.
    fn is_blank_zero(&self) -> bool {
        self.picture.zero_from.is_none() && self.at == 0 && self.digit() == b'0' && self.picture.post != 0
    }

    fn pattern(&mut self, pattern: Pattern) -> Result<()> {
        let (fill, sign) = (self.picture.fill, self.sign);
        match pattern {
            Pattern::Nine | Pattern::Zero | Pattern::Point | Pattern::LocalePoint if !self.picture.roman => {
                self.place(pattern);
            }
            Pattern::Comma | Pattern::LocaleGroup if self.in_number => self.out.push(b','),
            Pattern::Comma | Pattern::LocaleGroup if !fill => self.out.push(b' '),
            Pattern::Currency => self.out.push(b' '),
            Pattern::Roman { upper } if self.picture.roman => {
                let text = String::from_utf8_lossy(&self.number).into_owned();
                let text = if upper { text } else { text.to_ascii_lowercase() };
                let width = if fill { 0 } else { super::ROMAN_WIDTH };
                self.out.extend_from_slice(format!("{text:>width$}").as_bytes());
            }
            Pattern::Ordinal { upper } => self.ordinal(upper)?,
            Pattern::Minus if sign == Some('-') => self.out.push(b'-'),
            Pattern::Plus if sign == Some('+') => self.out.push(b'+'),
            Pattern::Minus | Pattern::Plus if !fill => self.out.push(b' '),
            Pattern::PlusMinus => self.out.push(sign.map_or(0, |sign| sign as u8)),
            _ => {}
        }
        Ok(())
    }

    /// `st`, `nd`, `rd`, `th` behind whole numbers that are not negative.
    fn ordinal(&mut self, upper: bool) -> Result<()> {
        let is_plain = !self.picture.roman && self.number.first() != Some(&b'#') && self.sign != Some('-');
        if !is_plain || self.picture.decimal {
            return Ok(());
        }
        let Some(last) = self.number.last().filter(|byte| byte.is_ascii_digit()) else {
            let message = format!("\"{}\" is not a number", String::from_utf8_lossy(&self.number));
            return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message));
        };
        let is_teen = self.number.len() > 1 && self.number.get(self.number.len() - 2) == Some(&b'1');
        let suffix = match last {
            b'1' if !is_teen => "st",
            b'2' if !is_teen => "nd",
            b'3' if !is_teen => "rd",
            _ => "th",
        };
        self.out.extend_from_slice(if upper { suffix.to_ascii_uppercase() } else { suffix.to_owned() }.as_bytes());
        Ok(())
    }

    /// One place of the picture: a digit, the point, or nothing.
    fn place(&mut self, pattern: Pattern) {
        self.in_number = false;
        self.write_sign();
        let zero_from = self.picture.zero_from;
        let has_no_digit = self.position < self.blanks;
        if has_no_digit && zero_from.is_none_or(|from| from > self.position) {
            if !self.picture.fill {
                self.out.push(b' ');
            }
        } else if has_no_digit {
            self.out.push(b'0');
            self.in_number = true;
        } else {
            self.write_digit(pattern);
        }
        self.write_sign_behind();
        self.position += 1;
    }

    /// The sign, if this is the place before which it stands.
    fn write_sign(&mut self) {
        let starts = self.position >= self.blanks || self.picture.zero_from == Some(self.position);
        let waits = self.is_blank_zero() && !self.only_point_is_relevant();
        if self.sign_written || !starts || waits {
            return;
        }
        let negative = self.sign == Some('-');
        if self.picture.sign {
            if self.sign_place != SignPlace::Before {
                return;
            }
            self.out.push(if negative { b'-' } else { b'+' });
        } else if self.bracket {
            self.out.push(if negative { b'<' } else { b' ' });
        } else if negative {
            self.out.push(b'-');
        } else if !self.picture.fill {
            self.out.push(b' ');
        }
        self.sign_written = true;
    }

    fn write_digit(&mut self, pattern: Pattern) {
        if self.digit() == b'.' {
            self.out.push(b'.');
        } else if self.last_relevant.is_some_and(|last| self.at > last) && pattern != Pattern::Zero {
            // Fill mode drops zeros at the end.
        } else if self.is_blank_zero() {
            if !self.picture.fill {
                self.out.push(b' ');
            } else if self.only_point_is_relevant() {
                self.out.push(b'0');
            }
        } else {
            self.out.push(self.digit());
            self.in_number = true;
        }
        if self.at < self.number.len() {
            self.at += 1;
        }
    }

    /// A closing bracket or a sign, if this was the last place.
    fn write_sign_behind(&mut self) {
        let mut end = self.places + i64::from(self.blanks > 0) + i64::from(self.picture.decimal);
        if self.last_relevant == Some(self.at) && self.position >= self.blanks {
            end = self.position as i64;
        }
        if self.position as i64 + 1 != end {
            return;
        }
        let negative = self.sign == Some('-');
        if self.sign_written && self.bracket {
            self.out.push(if negative { b'>' } else { b' ' });
        } else if self.picture.sign && self.sign_place == SignPlace::After {
            self.out.push(if negative { b'-' } else { b'+' });
        }
    }
}
