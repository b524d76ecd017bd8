//! The one JSON parser: strict RFC 8259, errors in PostgreSQL's words.
//!
//! It walks the text once and tells a `Sink` what it finds. `json` needs no values (its text is kept, and surrogates in
//! it are nobody's business until it is read); `jsonb` builds. Depth is bounded by `DEPTH_MAX` (54001).

use super::{DEPTH_MAX, too_deep};
use crate::numeric::Numeric;
use crate::{Result, SqlError, SqlState, stop};

/// Takes what the parser finds.
pub trait Sink {
    /// Whether strings and numbers are wanted; if not, they are only checked.
    const NEEDS_VALUES: bool;
    fn null(&mut self);
    fn bool(&mut self, value: bool);
    fn number(&mut self, value: Numeric);
    fn string(&mut self, value: &str) -> Result<()>;
    fn key(&mut self, key: &str);
    fn begin_array(&mut self);
    fn begin_object(&mut self);
    /// Ends the innermost container.
    fn end(&mut self) -> Result<()>;
}

/// Keeps nothing; `RESOLVES` says whether strings must have a value all the same.
struct Check<const RESOLVES: bool>;

impl<const RESOLVES: bool> Sink for Check<RESOLVES> {
    const NEEDS_VALUES: bool = RESOLVES;
    fn null(&mut self) {}
    fn bool(&mut self, _: bool) {}
    fn number(&mut self, _: Numeric) {}
    fn string(&mut self, _: &str) -> Result<()> {
        Ok(())
    }
    fn key(&mut self, _: &str) {}
    fn begin_array(&mut self) {}
    fn begin_object(&mut self) {}
    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Checks that the strings of a json have values: a json may hold \u0000 and lone surrogates as long as nobody looks
/// (22P05, 22P02 when somebody does).
pub fn check_strings(text: &str) -> Result<()> {
    if !text.contains("\\u0000") && !text.contains("\\ud") && !text.contains("\\uD") {
        return Ok(());
    }
    parse(text, &mut Check::<true>)
}

/// Checks that `text` is JSON, as input of type json does (22P02, 54001).
pub fn validate(text: &str) -> Result<()> {
    parse(text, &mut Check::<false>)
}

/// Parses a whole text.
pub fn parse<S: Sink>(text: &str, sink: &mut S) -> Result<()> {
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, scratch: String::new() };
    parser.skip_space();
    parser.value(sink, DEPTH_MAX)?;
    parser.skip_space();
    if parser.at < parser.bytes.len() {
        return Err(parser.unexpected("end of input"));
    }
    Ok(())
}

/// The exact value of a JSON number's text.
pub fn number(text: &str) -> Result<Numeric> {
    let bytes = text.as_bytes();
    // Up to 18 digits fit an i64 whatever they are. An exponent goes the long way.
    if bytes.len() <= 18 {
        let (mut mantissa, mut scale, mut is_fraction, mut is_plain) = (0_i64, 0_u16, false, true);
        for byte in bytes {
            match byte {
                b'0'..=b'9' => {
                    mantissa = mantissa * 10 + i64::from(byte - b'0');
                    scale += u16::from(is_fraction);
                }
                b'.' => is_fraction = true,
                b'-' => {}
                _ => is_plain = false,
            }
        }
        if is_plain {
            let mantissa = if bytes.first() == Some(&b'-') { -mantissa } else { mantissa };
            return Ok(Numeric::Small { mantissa, scale });
        }
    }
    Numeric::parse(text)
}

/// A value that is read.
const VALUE_WORK: usize = 32;
/// Bytes of a string that are read before it is said.
const STRING_WORK: usize = 1 << 14;

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// A string with escapes resolved.
    scratch: String,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value<S: Sink>(&mut self, sink: &mut S, depth: usize) -> Result<()> {
        stop::spent(VALUE_WORK)?;
        match self.peek() {
            Some(b'{') => {
                let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
                self.object(sink, depth)
            }
            Some(b'[') => {
                let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
                self.array(sink, depth)
            }
            Some(b'"') => {
                let plain = self.string::<S>()?;
                if S::NEEDS_VALUES { sink.string(plain.unwrap_or(&self.scratch)) } else { Ok(()) }
            }
            Some(b'-' | b'0'..=b'9') => {
                let text = self.number()?;
                if S::NEEDS_VALUES {
                    sink.number(number(text)?);
                }
                Ok(())
            }
            _ => self.word(sink),
        }
    }

    fn word<S: Sink>(&mut self, sink: &mut S) -> Result<()> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().take_while(|b| is_word(**b)).count();
        match &rest[..len] {
            b"null" => sink.null(),
            b"true" => sink.bool(true),
            b"false" => sink.bool(false),
            _ => return Err(self.unexpected("JSON value")),
        }
        self.at += len;
        Ok(())
    }

    fn array<S: Sink>(&mut self, sink: &mut S, depth: usize) -> Result<()> {
        self.at += 1;
        sink.begin_array();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return sink.end();
        }
        loop {
            self.value(sink, depth)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return sink.end();
                }
                _ => return Err(self.unexpected("\",\" or \"]\"")),
            }
            self.skip_space();
        }
    }

    fn object<S: Sink>(&mut self, sink: &mut S, depth: usize) -> Result<()> {
        self.at += 1;
        sink.begin_object();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return sink.end();
        }
        let mut expected = "string or \"}\"";
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected(expected));
            }
            let plain = self.string::<S>()?;
            if S::NEEDS_VALUES {
                sink.key(plain.unwrap_or(&self.scratch));
            }
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("\":\""));
            }
            self.at += 1;
            self.skip_space();
            self.value(sink, depth)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return sink.end();
                }
                _ => return Err(self.unexpected("\",\" or \"}\"")),
            }
            self.skip_space();
            expected = "string";
        }
    }

    /// Reads a number's text and advances past it.
    fn number(&mut self) -> Result<&'a str> {
        let start = self.at;
        let mut end = start;
        let digits = |from: usize| self.bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut is_valid = true;
        if self.bytes.get(end) == Some(&b'-') {
            end += 1;
        }
        match self.bytes.get(end) {
            Some(b'0') => end += 1,
            Some(b'1'..=b'9') => end += digits(end),
            _ => is_valid = false,
        }
        if self.bytes.get(end) == Some(&b'.') {
            end += 1;
            let count = digits(end);
            end += count;
            is_valid &= count > 0;
        }
        if matches!(self.bytes.get(end), Some(b'e' | b'E')) {
            end += 1;
            if matches!(self.bytes.get(end), Some(b'+' | b'-')) {
                end += 1;
            }
            let count = digits(end);
            end += count;
            is_valid &= count > 0;
        }
        // A word behind the number belongs to a bad token: 01, 1a, 0x1.
        let junk = self.bytes[end..].iter().take_while(|b| is_word(**b)).count();
        if !is_valid || junk > 0 {
            return Err(self.invalid_token(start, end + junk));
        }
        self.at = end;
        Ok(&self.text[start..end])
    }

    /// Behind a byte of a string, which may be long.
    #[inline]
    fn go_on(&mut self) -> Result<()> {
        self.at += 1;
        if self.at.is_multiple_of(STRING_WORK) { stop::spent(STRING_WORK) } else { Ok(()) }
    }

    /// Reads a string; None means that it had escapes and is in `scratch`.
    fn string<S: Sink>(&mut self) -> Result<Option<&'a str>> {
        let start = self.at;
        self.at += 1;
        let body = self.at;
        loop {
            match self.peek() {
                None => return Err(self.invalid_token(start, self.bytes.len())),
                Some(b'"') => {
                    let plain = &self.text[body..self.at];
                    self.at += 1;
                    return Ok(Some(plain));
                }
                Some(b'\\') => break,
                Some(byte) if byte < 0x20 => return Err(self.control_character(byte)),
                Some(_) => self.go_on()?,
            }
        }
        self.scratch.clear();
        let mut run = body;
        let mut high: Option<u32> = None;
        loop {
            match self.peek() {
                None => return Err(self.invalid_token(start, self.bytes.len())),
                Some(b'\\') => {
                    if S::NEEDS_VALUES {
                        if run < self.at && high.is_some() {
                            return Err(self.bad_surrogate(self.at, false));
                        }
                        self.scratch.push_str(&self.text[run..self.at]);
                    }
                    self.escape::<S>(start, &mut high)?;
                    run = self.at;
                }
                Some(byte @ (b'"' | 0x20..)) => {
                    if high.is_some() && S::NEEDS_VALUES {
                        // A high surrogate needs its other half at once.
                        let width = self.text[self.at..].chars().next().map_or(1, char::len_utf8);
                        return Err(self.bad_surrogate(self.at + width, false));
                    }
                    if byte == b'"' {
                        self.scratch.push_str(&self.text[run..self.at]);
                        self.at += 1;
                        return Ok(None);
                    }
                    self.go_on()?;
                }
                Some(byte) => return Err(self.control_character(byte)),
            }
        }
    }

    fn escape<S: Sink>(&mut self, start: usize, high: &mut Option<u32>) -> Result<()> {
        self.at += 1;
        let Some(byte) = self.peek() else { return Err(self.invalid_token(start, self.bytes.len())) };
        if byte == b'u' {
            self.at += 1;
            return self.unicode_escape::<S>(start, high);
        }
        let resolved = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => {
                let width = self.text[self.at..].chars().next().map_or(1, char::len_utf8);
                let text = &self.text[self.at - 1..self.at + width];
                return Err(self.error(format!("Escape sequence \"{text}\" is invalid."), self.at + width));
            }
        };
        if S::NEEDS_VALUES {
            if high.is_some() {
                return Err(self.bad_surrogate(self.at + 1, false));
            }
            self.scratch.push(char::from(resolved));
        }
        self.at += 1;
        Ok(())
    }

    fn unicode_escape<S: Sink>(&mut self, start: usize, high: &mut Option<u32>) -> Result<()> {
        let mut code = 0_u32;
        for _ in 0..4 {
            let Some(byte) = self.peek() else { return Err(self.invalid_token(start, self.bytes.len())) };
            let Some(digit) = char::from(byte).to_digit(16) else {
                let width = self.text[self.at..].chars().next().map_or(1, char::len_utf8);
                let detail = "\"\\u\" must be followed by four hexadecimal digits.".to_owned();
                return Err(self.error(detail, self.at + width));
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        if !S::NEEDS_VALUES {
            return Ok(());
        }
        match (code, high.take()) {
            (0xd800..=0xdbff, None) => *high = Some(code),
            (0xd800..=0xdbff, Some(_)) => return Err(self.bad_surrogate(self.at, true)),
            (0xdc00..=0xdfff, Some(first)) => {
                let code = 0x10000 + ((first - 0xd800) << 10) + (code - 0xdc00);
                self.scratch.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (0xdc00..=0xdfff, None) | (_, Some(_)) => return Err(self.bad_surrogate(self.at, false)),
            (0, None) => {
                let error = SqlError::new(SqlState::UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence");
                let context = self.context(self.at);
                return Err(error.detail("\\u0000 cannot be converted to text.").context(context));
            }
            (code, None) => self.scratch.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
        Ok(())
    }
}

/// Errors, with the detail and the context line that PostgreSQL gives.
impl Parser<'_> {
    #[cold]
    fn error(&self, detail: String, token_end: usize) -> SqlError {
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
            .detail(detail)
            .context(self.context(token_end))
    }

    fn invalid_token(&self, start: usize, end: usize) -> SqlError {
        self.error(format!("Token \"{}\" is invalid.", self.slice(start, end)), end)
    }

    fn control_character(&self, byte: u8) -> SqlError {
        self.error(format!("Character with value 0x{byte:02x} must be escaped."), self.at)
    }

    fn bad_surrogate(&self, token_end: usize, is_high: bool) -> SqlError {
        let detail = match is_high {
            true => "Unicode high surrogate must not follow a high surrogate.",
            false => "Unicode low surrogate must follow a high surrogate.",
        };
        self.error(detail.to_owned(), token_end)
    }

    /// The token at hand is not what should come here, or is no token at all.
    #[cold]
    fn unexpected(&mut self, expected: &str) -> SqlError {
        let start = self.at;
        let Some(first) = self.peek() else {
            return self.error("The input string ended unexpectedly.".to_owned(), self.bytes.len());
        };
        let end = match first {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => start + 1,
            b'"' => match self.string::<Check<false>>() {
                Ok(_) => self.at,
                Err(error) => return error,
            },
            b'-' | b'0'..=b'9' => match self.number() {
                Ok(text) => start + text.len(),
                Err(error) => return error,
            },
            _ => {
                let len = self.bytes[start..].iter().take_while(|b| is_word(**b)).count();
                let end = start + if len == 0 { 1 } else { len };
                if !matches!(&self.bytes[start..end], b"null" | b"true" | b"false") {
                    return self.invalid_token(start, end);
                }
                end
            }
        };
        self.error(format!("Expected {expected}, but found \"{}\".", self.slice(start, end)), end)
    }

    /// Text between two byte positions, widened to whole characters.
    fn slice(&self, start: usize, mut end: usize) -> &str {
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        self.text.get(start..end).unwrap_or_default()
    }

    /// The line of the text that the error is in, up to the end of the bad token and at most 50 bytes of it.
    fn context(&self, token_end: usize) -> String {
        const SHOWN_MAX: usize = 50;
        const NEAR_START: usize = 3;
        let mut end = token_end.min(self.bytes.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        let before = &self.text[..end];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let mut start = line_start;
        while end - start >= SHOWN_MAX {
            start += self.text[start..].chars().next().map_or(1, char::len_utf8);
        }
        if start - line_start <= NEAR_START {
            start = line_start;
        }
        let prefix = if start > line_start { "..." } else { "" };
        let suffix = match self.bytes.get(end) {
            None | Some(b'\n' | b'\r') => "",
            Some(_) => "...",
        };
        format!("JSON data, line {line}: {prefix}{}{suffix}", &self.text[start..end])
    }
}

/// Bytes that PostgreSQL takes as parts of one (bad) word: letters, digits, `_` and everything beyond ASCII.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
