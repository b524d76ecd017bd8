//! A number out of a text, by a picture.
//!
//! The picture is a guide more than a rule: each digit place takes a digit if there is one, separators are passed over
//! where they stand, literals pass over one character each.

use super::picture::{Node, Pattern, Picture, SignPlace};
use crate::numeric::Numeric;
use crate::{Datum, Result, SqlError};

struct Reader<'a> {
    picture: &'a Picture,
    input: &'a [u8],
    at: usize,
    sign: Option<u8>,
    digits: Vec<u8>,
    read_before: usize,
    read_after: usize,
    has_point: bool,
}

pub fn to_number(text: &str, template: &str) -> Result<Datum> {
    if template.is_empty() {
        return Ok(Datum::Null);
    }
    let picture = Picture::parse(template)?;
    for (used, name) in [(picture.scientific, "EEEE"), (picture.roman, "RN")] {
        if used {
            return Err(SqlError::unsupported(format!("\"{name}\" not supported for input")));
        }
    }
    let mut reader = Reader {
        picture: &picture,
        input: text.as_bytes(),
        at: 0,
        sign: None,
        digits: Vec::new(),
        read_before: 0,
        read_after: 0,
        has_point: false,
    };
    for node in &picture.nodes {
        if reader.is_done() {
            break;
        }
        match node {
            Node::Literal(_) => reader.skip_character(),
            Node::Pattern(pattern) => reader.pattern(*pattern),
        }
    }
    reader.value()
}

impl Reader<'_> {
    fn is_done(&self) -> bool {
        self.at >= self.input.len()
    }

    fn next(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn skip_character(&mut self) {
        self.at += 1;
        while self.next().is_some_and(|byte| byte & 0xC0 == 0x80) {
            self.at += 1;
        }
    }

    /// Passes over up to `count` characters that can be no part of a number.
    fn skip_foreign(&mut self, count: usize) {
        for _ in 0..count {
            if self.next().is_none_or(|byte| b"0123456789.,+-".contains(&byte)) {
                break;
            }
            self.skip_character();
        }
    }

    fn pattern(&mut self, pattern: Pattern) {
        match pattern {
            Pattern::Nine | Pattern::Zero | Pattern::Point | Pattern::LocalePoint => self.place(pattern),
            // Before the number fill mode has no separators.
            Pattern::Comma | Pattern::LocaleGroup if !self.picture.fill && self.next() == Some(b',') => {
                self.at += 1;
            }
            Pattern::Currency => self.skip_foreign(1),
            // With a point in the picture there are no ordinals.
            Pattern::Ordinal { .. } if !self.picture.decimal => self.skip_foreign(2),
            Pattern::Minus => self.written_sign(b"-"),
            Pattern::Plus => self.written_sign(b"+"),
            Pattern::PlusMinus => self.written_sign(b"-+"),
            _ => {}
        }
    }

    fn written_sign(&mut self, signs: &[u8]) {
        match self.next() {
            Some(sign) if signs.contains(&sign) => {
                self.sign = Some(sign);
                self.at += 1;
            }
            _ => self.skip_foreign(1),
        }
    }

    fn place(&mut self, pattern: Pattern) {
        if self.next() == Some(b' ') {
            self.at += 1;
        }
        let is_digit_place = matches!(pattern, Pattern::Nine | Pattern::Zero);
        if is_digit_place && self.sign.is_none() && self.read_before + self.read_after == 0 {
            self.sign_before();
        }
        let Some(next) = self.next() else { return };
        let mut has_read = false;
        if next.is_ascii_digit() {
            if self.has_point && self.read_after == self.picture.post {
                // More digits than the picture has: the place is lost, the digit stays.
                self.at += 1;
                return;
            }
            self.digits.push(next);
            *(if self.has_point { &mut self.read_after } else { &mut self.read_before }) += 1;
            has_read = true;
        } else if self.picture.decimal && !self.has_point && next == b'.' {
            self.digits.push(b'.');
            (self.has_point, has_read) = (true, true);
        }
        if self.sign.is_none() && self.read_before + self.read_after > 0 {
            self.sign_behind(has_read);
        }
        self.at += 1;
    }

    fn sign_before(&mut self) {
        let is_anchored = self.picture.sign && self.picture.sign_place == SignPlace::Before;
        match self.next() {
            Some(b'<') if self.picture.bracket && !is_anchored => self.sign = Some(b'-'),
            Some(sign @ (b'-' | b'+')) => self.sign = Some(sign),
            _ => return,
        }
        self.at += 1;
    }

    /// A sign behind the digit at `at`, where the picture lets one follow.
    fn sign_behind(&mut self, has_read: bool) {
        if self.picture.sign && has_read {
            if let Some(sign @ (b'-' | b'+')) = self.input.get(self.at + 1).copied() {
                self.sign = Some(sign);
                self.at += 1;
            }
        } else if !has_read
            && !self.picture.sign
            && (self.picture.plus || self.picture.minus)
            && let Some(sign @ (b'-' | b'+')) = self.next()
        {
            self.sign = Some(sign);
        }
    }

    fn value(mut self) -> Result<Datum> {
        if self.digits.last() == Some(&b'.') {
            self.digits.pop();
        }
        let sign = char::from(self.sign.unwrap_or(b' '));
        let text = format!("{sign}{}", String::from_utf8_lossy(&self.digits));
        let (scale, shifted) = (self.read_after, self.picture.shifted);
        let precision = self.picture.pre + shifted + scale;
        let typmod = ((precision as i32) << 16 | scale as i32) + 4;
        let value = Numeric::parse(&text)?.apply_typmod(typmod)?;
        if !self.picture.has_shift {
            return Ok(Datum::Numeric(value));
        }
        let power = Numeric::from_i64(10).power(&Numeric::from_i64(-(shifted as i64)))?;
        Ok(Datum::Numeric(value.mul(&power)?))
    }
}
