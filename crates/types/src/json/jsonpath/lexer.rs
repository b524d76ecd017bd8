//! Words, strings, numbers and signs of a path.
//!
//! Errors show the piece of text that PostgreSQL's scanner has in hand when it meets them, which is why a token knows what
//! it `shows`: nothing for a word that a sign follows, the blanks for one that they end, a quote for a string.

use crate::{Result, SqlError, SqlState};
use ecow::EcoString;

#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// One of `?%$.[]{}()@,*:-+/#|&=` that is no part of a longer sign.
    Sign(u8),
    And,
    Or,
    Not,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `**`.
    Any,
    Integer,
    Decimal,
    String(EcoString),
    Variable(EcoString),
    /// A name, or a keyword by where it stands.
    Word(EcoString),
    End,
}

#[derive(Clone, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    /// What an error at this token shows; of a number its text.
    pub shows: &'a str,
}

/// 42601 as PostgreSQL's scanner and parser word it.
#[cold]
pub fn syntax_error(message: &str, shows: &str) -> SqlError {
    let place = if shows.is_empty() { "at end".to_owned() } else { format!("at or near \"{shows}\"") };
    SqlError::new(SqlState::SYNTAX_ERROR, format!("{message} {place} of jsonpath input"))
}

#[cold]
fn bad_surrogate(detail: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type jsonpath").detail(detail)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 12)
}

fn is_sign(byte: u8) -> bool {
    b"?%$.[]{}()|&!=<>@#,*:-+/".contains(&byte)
}

/// What a word is made of, escapes aside; digits and all of Unicode too.
fn is_other(byte: u8) -> bool {
    !is_sign(byte) && !is_blank(byte) && byte != b'"' && byte != b'\\'
}

pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// Bytes from `from` for as long as they are of a kind.
    fn run(&self, from: usize, is_part: impl Fn(u8) -> bool) -> usize {
        self.text.as_bytes().iter().skip(from).take_while(|b| is_part(**b)).count()
    }

    /// Takes so many bytes.
    fn take(&mut self, bytes: usize) -> &'a str {
        let taken = self.text.get(self.at..self.at + bytes).unwrap_or("");
        self.at += bytes;
        taken
    }

    pub fn next(&mut self) -> Result<Token<'a>> {
        loop {
            self.at += self.run(self.at, is_blank);
            if !self.rest().starts_with("/*") {
                break;
            }
            let end = self.rest().get(2..).and_then(|rest| rest.find("*/"));
            self.at += end.ok_or_else(|| syntax_error("unexpected end of comment", ""))? + 4;
        }
        let Some(byte) = self.peek(0) else { return Ok(Token { kind: Kind::End, shows: "" }) };
        match byte {
            b'"' => {
                self.at += 1;
                Ok(Token { kind: Kind::String(self.quoted()?), shows: "\"" })
            }
            b'$' => self.variable_or_root(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|b| b.is_ascii_digit()) => self.number(),
            _ if is_sign(byte) => Ok(self.sign(byte)),
            _ => self.word(),
        }
    }

    fn sign(&mut self, byte: u8) -> Token<'a> {
        let (kind, len) = match (byte, self.peek(1)) {
            (b'&', Some(b'&')) => (Kind::And, 2),
            (b'|', Some(b'|')) => (Kind::Or, 2),
            (b'*', Some(b'*')) => (Kind::Any, 2),
            (b'=', Some(b'=')) => (Kind::Equal, 2),
            (b'<', Some(b'=')) => (Kind::LessOrEqual, 2),
            (b'<', Some(b'>')) | (b'!', Some(b'=')) => (Kind::NotEqual, 2),
            (b'>', Some(b'=')) => (Kind::GreaterOrEqual, 2),
            (b'<', _) => (Kind::Less, 1),
            (b'>', _) => (Kind::Greater, 1),
            (b'!', _) => (Kind::Not, 1),
            _ => (Kind::Sign(byte), 1),
        };
        Token { kind, shows: self.take(len) }
    }

    fn variable_or_root(&mut self) -> Result<Token<'a>> {
        if self.peek(1) == Some(b'"') {
            self.at += 2;
            return Ok(Token { kind: Kind::Variable(self.quoted()?), shows: "\"" });
        }
        let len = self.run(self.at + 1, is_other);
        let shows = self.take(len + 1);
        let kind = match shows.get(1..) {
            Some(name) if !name.is_empty() => Kind::Variable(name.into()),
            _ => Kind::Sign(b'$'),
        };
        Ok(Token { kind, shows })
    }

    fn number(&mut self) -> Result<Token<'a>> {
        let is_digit = |b: u8| b.is_ascii_digit();
        let mut len = match self.peek(0) {
            Some(b'0') => 1,
            _ => self.run(self.at, is_digit),
        };
        let mut kind = Kind::Integer;
        if self.peek(len) == Some(b'.') {
            kind = Kind::Decimal;
            len += 1 + self.run(self.at + len + 1, is_digit);
        }
        if matches!(self.peek(len), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.peek(len + 1), Some(b'+' | b'-')));
            let digits = self.run(self.at + len + 1 + sign, is_digit);
            if digits > 0 {
                kind = Kind::Decimal;
                len += 1 + sign + digits;
            } else if sign > 0 {
                return Err(syntax_error("invalid numeric literal", self.take(len + 2)));
            }
        }
        // The longest piece wins: `12a` is a number with junk behind it, `12ab` a name.
        if self.run(self.at, is_other) > len + 1 {
            return self.word();
        }
        if self.peek(len).is_some_and(is_other) {
            let junk = self.text.get(self.at + len..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            return Err(syntax_error("trailing junk after numeric literal", self.take(len + junk)));
        }
        Ok(Token { kind, shows: self.take(len) })
    }

    /// A name with escapes; what follows it is what errors show.
    fn word(&mut self) -> Result<Token<'a>> {
        let mut value = EcoString::new();
        loop {
            let len = self.run(self.at, is_other);
            value.push_str(self.take(len));
            match self.peek(0) {
                Some(b'\\') => self.escape(&mut value)?,
                Some(byte) if is_blank(byte) => {
                    let len = self.run(self.at, is_blank);
                    return Ok(Token { kind: Kind::Word(value), shows: self.take(len) });
                }
                Some(b'/') if self.peek(1) == Some(b'*') => {
                    return Ok(Token { kind: Kind::Word(value), shows: "/*" });
                }
                _ => return Ok(Token { kind: Kind::Word(value), shows: "" }),
            }
        }
    }

    /// The rest of a quoted string.
    fn quoted(&mut self) -> Result<EcoString> {
        let mut value = EcoString::new();
        loop {
            let len = self.run(self.at, |b| b != b'"' && b != b'\\');
            value.push_str(self.take(len));
            match self.peek(0) {
                Some(b'\\') => self.escape(&mut value)?,
                Some(_) => {
                    self.at += 1;
                    return Ok(value);
                }
                None => return Err(syntax_error("unexpected end of quoted string", "")),
            }
        }
    }

    /// A backslash and what belongs to it; of `\u` as many as follow each other, for surrogates are two.
    fn escape(&mut self, value: &mut EcoString) -> Result<()> {
        let escaped = self.rest().chars().nth(1);
        let plain = match escaped {
            None | Some('\n') => return Err(syntax_error("unexpected end after backslash", "\\")),
            Some('u') => return self.unicode_run(value),
            Some('x') => {
                let digits = self.run(self.at + 2, |b| b.is_ascii_hexdigit()).min(2);
                let shows = self.take(2 + digits);
                if digits < 2 {
                    return Err(syntax_error("invalid hex character sequence", shows));
                }
                return push_code(u32::from_str_radix(shows.get(2..).unwrap_or(""), 16).unwrap_or(0), value);
            }
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(other) => other,
        };
        self.at += 1 + escaped.map_or(0, char::len_utf8);
        value.push(plain);
        Ok(())
    }

    fn unicode_run(&mut self, value: &mut EcoString) -> Result<()> {
        let start = self.at;
        let mut high = None;
        while self.rest().starts_with("\\u") {
            let code = self
                .unicode_digits()
                .ok_or_else(|| syntax_error("invalid unicode sequence", self.text.get(start..self.at).unwrap_or("")))?;
            match (high.take(), code) {
                (None, 0xd800..0xdc00) => high = Some(code),
                (Some(_), 0xd800..0xdc00) => {
                    return Err(bad_surrogate("Unicode high surrogate must not follow a high surrogate."));
                }
                (Some(high), 0xdc00..0xe000) => push_code(0x10000 + ((high & 0x3ff) << 10) + (code & 0x3ff), value)?,
                (None, 0xdc00..0xe000) | (Some(_), _) => {
                    return Err(bad_surrogate("Unicode low surrogate must follow a high surrogate."));
                }
                (None, code) => push_code(code, value)?,
            }
        }
        match high {
            Some(_) => Err(bad_surrogate("Unicode low surrogate must follow a high surrogate.")),
            None => Ok(()),
        }
    }

    /// The digits behind `\u`: four, or up to six in braces. What was looked at is taken even where they are wrong.
    fn unicode_digits(&mut self) -> Option<u32> {
        self.at += 2;
        let is_braced = self.peek(0) == Some(b'{');
        self.at += usize::from(is_braced);
        let max = if is_braced { 6 } else { 4 };
        let count = self.run(self.at, |b| b.is_ascii_hexdigit()).min(max);
        let digits = self.take(count);
        if is_braced {
            if count == 0 || self.peek(0) != Some(b'}') {
                return None;
            }
            self.at += 1;
        } else if count < 4 {
            return None;
        }
        u32::from_str_radix(digits, 16).ok()
    }
}

fn push_code(code: u32, value: &mut EcoString) -> Result<()> {
    match char::from_u32(code) {
        Some('\0') => Err(SqlError::new(SqlState::UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence")
            .detail("\\u0000 cannot be converted to text.")),
        Some(c) => {
            value.push(c);
            Ok(())
        }
        None => Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode code point")),
    }
}
