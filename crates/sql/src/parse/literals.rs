//! Literals that PostgreSQL reads otherwise than sqlparser: numbers with letters behind them, and the `U&` forms of strings and
//! identifiers with UESCAPE; and what is wrong with an `E'…'` that sqlparser could not read.
//!
//! ```text
//! 123abc, 1_000, 0x10          -> 42601 trailing junk after numeric literal
//! U&'d!0061ta' UESCAPE '!'     -> 'data'
//! U&"d\0061ta"                 -> "data"
//! ```

use super::Lines;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};
use types::{Result, SqlError, SqlState};

/// The tokens with these literals put right.
pub(super) fn read(tokens: Vec<TokenWithSpan>, text: &str, lines: &Lines) -> Result<Vec<TokenWithSpan>> {
    let mut has_unicode = false;
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::Number(digits, is_long) => check_number(digits, *is_long, token, tokens.get(at + 1), text, lines)?,
            Token::Ampersand => has_unicode |= starts_escaped(&tokens, at.wrapping_sub(1)).is_some(),
            _ => {}
        }
    }
    if has_unicode { unescaped(tokens, text, lines) } else { Ok(tokens) }
}

fn source<'t>(token: &TokenWithSpan, text: &'t str, lines: &Lines) -> &'t str {
    text.get(lines.byte(text, token.span.start)..lines.byte(text, token.span.end)).unwrap_or_default()
}

fn is_unquoted(token: &TokenWithSpan) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none())
}

fn is_word(token: &TokenWithSpan, name: &str) -> bool {
    matches!(&token.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(name))
}

fn check_number(
    digits: &str,
    is_long: bool,
    token: &TokenWithSpan,
    next: Option<&TokenWithSpan>,
    text: &str,
    lines: &Lines,
) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    let junk = next.filter(|next| next.span.start == token.span.end && is_unquoted(next));
    if !is_long && junk.is_none() && digits.chars().all(is_plain) {
        return Ok(());
    }
    let near = format!("{}{}", source(token, text, lines), junk.map_or("", |junk| source(junk, text, lines)));
    let message = format!("trailing junk after numeric literal at or near \"{near}\"");
    Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(lines.of(token.span)))
}

/// Tokens of `U&'…'` and `U&"…"`.
const ESCAPED_TOKENS: usize = 3;

/// The quote of such a literal: its tokens have no white space between them.
fn starts_escaped(tokens: &[TokenWithSpan], at: usize) -> Option<char> {
    let [prefix, ampersand, quoted] = tokens.get(at..at.saturating_add(ESCAPED_TOKENS))? else { return None };
    let is_prefix = is_word(prefix, "u")
        && ampersand.token == Token::Ampersand
        && prefix.span.end == ampersand.span.start
        && ampersand.span.end == quoted.span.start;
    match &quoted.token {
        Token::SingleQuotedString(_) if is_prefix => Some('\''),
        Token::Word(word) if is_prefix && word.quote_style == Some('"') => Some('"'),
        _ => None,
    }
}

fn unescaped(tokens: Vec<TokenWithSpan>, text: &str, lines: &Lines) -> Result<Vec<TokenWithSpan>> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let Some(quote) = starts_escaped(&tokens, at) else {
            out.push(token.clone());
            at += 1;
            continue;
        };
        let last = tokens.get(at + ESCAPED_TOKENS - 1).unwrap_or(token);
        let start = lines.byte(text, token.span.start);
        let raw = text.get(start..lines.byte(text, last.span.end)).unwrap_or_default();
        let (escape, used) = uescape(&tokens, at + ESCAPED_TOKENS, lines)?;
        // Behind `U&` and the quote, whose two letters and one are single bytes.
        let place = lines.of(token.span) + 3;
        let body = raw.get(3..).and_then(|body| body.strip_suffix(quote)).unwrap_or_default();
        let value = Unescape { body, quote, escape, place }.value()?;
        let token = match quote {
            '\'' => Token::SingleQuotedString(value),
            _ => Token::Word(Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword }),
        };
        let span = Span::new(tokens.get(at).map_or(last.span.start, |first| first.span.start), last.span.end);
        out.push(TokenWithSpan { token, span });
        at += ESCAPED_TOKENS + used;
    }
    Ok(out)
}

/// The escape character that stands behind, and the tokens that say so.
fn uescape(tokens: &[TokenWithSpan], from: usize, lines: &Lines) -> Result<(char, usize)> {
    let mut behind = tokens.iter().enumerate().skip(from).filter(|(_, t)| !matches!(t.token, Token::Whitespace(_)));
    if !behind.next().is_some_and(|(_, t)| is_word(t, "uescape")) {
        return Ok(('\\', 0));
    }
    let Some((at, token)) = behind.next() else { return Ok(('\\', 0)) };
    let Token::SingleQuotedString(escape) = &token.token else {
        let message = "UESCAPE must be followed by a simple string literal";
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(lines.of(token.span)));
    };
    let mut characters = escape.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) if !one.is_ascii_hexdigit() && !one.is_whitespace() && !matches!(one, '+' | '\'' | '"') => {
            Ok((one, at + 1 - from))
        }
        _ => Err(SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape character").at(lines.of(token.span))),
    }
}

struct Unescape<'t> {
    body: &'t str,
    quote: char,
    escape: char,
    /// 1-based character index of the body's start.
    place: u32,
}

impl Unescape<'_> {
    fn value(&self) -> Result<String> {
        let letters: Vec<char> = self.body.chars().collect();
        let (mut out, mut at) = (String::with_capacity(self.body.len()), 0);
        let mut high: Option<u32> = None;
        while let Some(letter) = letters.get(at) {
            let (code, size) = match *letter {
                quote if quote == self.quote => (quote as u32, 2),
                escape if escape == self.escape && letters.get(at + 1) == Some(&escape) => (escape as u32, 2),
                escape if escape == self.escape => self.code(&letters, at)?,
                other => (other as u32, 1),
            };
            let is_low = (0xdc00..0xe000).contains(&code);
            let code = match high.take() {
                Some(first) if is_low => 0x1_0000 + ((first - 0xd800) << 10) + (code - 0xdc00),
                Some(_) => return Err(self.error("invalid Unicode surrogate pair", at)),
                None if (0xd800..0xdc00).contains(&code) => {
                    high = Some(code);
                    at += size;
                    continue;
                }
                None => code,
            };
            let letter = char::from_u32(code).filter(|c| *c != '\0');
            out.push(letter.ok_or_else(|| self.error("invalid Unicode escape value", at))?);
            at += size;
        }
        match high {
            Some(_) => Err(self.error("invalid Unicode surrogate pair", at)),
            None => Ok(out),
        }
    }

    /// Four hexadecimal digits, or a plus and six.
    fn code(&self, letters: &[char], at: usize) -> Result<(u32, usize)> {
        let (from, count) = if letters.get(at + 1) == Some(&'+') { (at + 2, 6) } else { (at + 1, 4) };
        let digits = letters.get(from..from + count).unwrap_or_default();
        let code = digits.iter().try_fold(0, |code: u32, c| Some(code * 16 + c.to_digit(16)?));
        match code {
            Some(code) if digits.len() == count => Ok((code, from + count - at)),
            _ => Err(self.error("invalid Unicode escape", at).hint("Unicode escapes must be \\XXXX or \\+XXXXXX.")),
        }
    }

    fn error(&self, message: &str, at: usize) -> SqlError {
        let place = self.place + u32::try_from(at).unwrap_or(0);
        SqlError::new(SqlState::SYNTAX_ERROR, message).at(place)
    }
}

/// What is wrong with an `E'…'` that begins `text` and has its end; None if it has none. `place`: where it stands.
pub(super) fn bad_escape(text: &str, place: u32) -> Option<SqlError> {
    escaped_bytes(text, place)?.err()
}

/// The value of an `E'…'` that is all of `text`.
pub(super) fn escaped(text: &str, place: u32) -> Result<String> {
    let unended = || SqlError::internal("an E'…' without its end was read");
    let bytes = escaped_bytes(text, place).unwrap_or_else(|| Err(unended()))?;
    String::from_utf8(bytes).map_err(|_| SqlError::internal("an E'…' of wrong bytes was read"))
}

/// The value of an `E'…'` that begins `text` and has its end, as UTF-8; None if it has none.
fn escaped_bytes(text: &str, place: u32) -> Option<Result<Vec<u8>>> {
    let body = text.strip_prefix(['E', 'e'])?.strip_prefix('\'')?;
    let letters: Vec<char> = body.chars().collect();
    let mut bytes: Vec<u8> = vec![];
    let (mut at, mut error, mut is_high) = (0, None, false);
    let place_of = |at: usize| place + 2 + u32::try_from(at).unwrap_or(0);
    loop {
        if let Err(stopped) = crate::stop::spent(4) {
            return Some(Err(stopped));
        }
        let letter = *letters.get(at)?;
        let mut encoded = [0; 4];
        if is_high && letter != '\\' {
            error.get_or_insert_with(|| bad_pair(place_of(at)));
        }
        match letter {
            '\'' if letters.get(at + 1) != Some(&'\'') => break,
            '\\' => {
                let escape = Escape::read(&letters, at + 1)?;
                if is_high && !matches!(escape.what, What::Code(_)) {
                    error.get_or_insert_with(|| bad_pair(place_of(at)));
                }
                match escape.what {
                    What::Byte(byte) => bytes.push(byte),
                    What::Code(code) => {
                        let is_low = (0xdc00..0xe000).contains(&code);
                        if is_high != is_low {
                            error.get_or_insert_with(|| bad_pair(place_of(at)));
                        }
                        is_high = (0xd800..0xdc00).contains(&code);
                        if !is_high && !is_low {
                            match char::from_u32(code).filter(|c| *c != '\0') {
                                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut encoded).as_bytes()),
                                None => _ = error.get_or_insert_with(|| bad_value(place_of(at))),
                            }
                        }
                    }
                    What::Wrong => _ = error.get_or_insert_with(|| bad_digits(place_of(at))),
                }
                at += 1 + escape.size;
                continue;
            }
            '\'' => at += 1,
            _ => {}
        }
        bytes.extend_from_slice(letter.encode_utf8(&mut encoded).as_bytes());
        at += 1;
    }
    // PostgreSQL tells no place of wrong bytes.
    Some(error.or_else(|| bad_bytes(&bytes)).map_or(Ok(bytes), Err))
}

enum What {
    Byte(u8),
    Code(u32),
    Wrong,
}

/// What a backslash stands for, and how many characters behind it.
struct Escape {
    what: What,
    size: usize,
}

impl Escape {
    fn read(letters: &[char], at: usize) -> Option<Escape> {
        let digits = |from: usize, radix: u32, max: usize| {
            letters.iter().skip(from).take(max).map_while(|c| c.to_digit(radix)).collect::<Vec<u32>>()
        };
        let number = |digits: &[u32], radix: u32| digits.iter().fold(0, |n, d| n * radix + d);
        let first = *letters.get(at)?;
        Some(match first {
            '0'..='7' => {
                let digits = digits(at, 8, 3);
                Escape { what: What::Byte(number(&digits, 8) as u8), size: digits.len() }
            }
            'x' if letters.get(at + 1).is_some_and(char::is_ascii_hexdigit) => {
                let digits = digits(at + 1, 16, 2);
                Escape { what: What::Byte(number(&digits, 16) as u8), size: 1 + digits.len() }
            }
            'u' | 'U' => {
                let wanted = if first == 'u' { 4 } else { 8 };
                let digits = digits(at + 1, 16, wanted);
                let is_whole = digits.len() == wanted;
                let what = if is_whole { What::Code(number(&digits, 16)) } else { What::Wrong };
                Escape { what, size: 1 + digits.len() }
            }
            other => {
                let mut encoded = [0; 4];
                let byte = other.encode_utf8(&mut encoded).bytes().next().unwrap_or(b'?');
                Escape { what: if other.is_ascii() { What::Byte(byte) } else { What::Code(other as u32) }, size: 1 }
            }
        })
    }
}

fn bad_digits(place: u32) -> SqlError {
    SqlError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid Unicode escape")
        .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
        .at(place)
}

fn bad_value(place: u32) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape value").at(place)
}

fn bad_pair(place: u32) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair").at(place)
}

/// 22021 for bytes that are no UTF-8, and for a zero.
fn bad_bytes(bytes: &[u8]) -> Option<SqlError> {
    let wrong: &[u8] = match std::str::from_utf8(bytes) {
        Err(error) => {
            let rest = bytes.get(error.valid_up_to()..).unwrap_or_default();
            let width = match rest.first() {
                Some(0xc0..=0xdf) => 2,
                Some(0xe0..=0xef) => 3,
                Some(0xf0..=0xf7) => 4,
                _ => 1,
            };
            rest.get(..width.min(rest.len())).unwrap_or_default()
        }
        Ok(_) if bytes.contains(&0) => &[0],
        Ok(_) => return None,
    };
    let shown: Vec<String> = wrong.iter().map(|b| format!("0x{b:02x}")).collect();
    let message = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
    Some(SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message))
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = parse(text, true).map(|s| s.len()).expect_err(text);
        let at = error.fields().position.unwrap_or(0);
        assert_eq!(format!("{} {} @{at}", error.code(), error.message()), expected, "{text}");
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let statements = parse(text, true).unwrap_or_else(|e| panic!("{text}: {}", e.message()));
        let super::super::Syntax::Sql(statement) = &statements[0].syntax else { panic!("{text}") };
        assert_eq!(statement.to_string(), expected, "{text}");
    }

    #[test]
    fn numbers_end_before_letters() {
        check_error("select 123abc", "42601 trailing junk after numeric literal at or near \"123abc\" @8");
        check_error("select 1_000", "42601 trailing junk after numeric literal at or near \"1_000\" @8");
        check_error("select 0x10", "42601 trailing junk after numeric literal at or near \"0x10\" @8");
        check_error("select 0.0e", "42601 trailing junk after numeric literal at or near \"0.0e\" @8");
        check("select 1e5, 1.5 e, 2::int", "SELECT 1e5, 1.5 AS e,  2::INT");
    }

    #[test]
    fn unicode_escapes_have_any_escape_character() {
        check("select U&'d\\0061t\\+000061', U&'d!0061ta' uescape '!'", "SELECT 'data', 'data'");
        check("select 1 as U&\"d*0061ta\" UESCAPE '*'", "SELECT 1 AS \"data\"");
        check("select U&'\\d83d\\de00 it''s \\\\'", "SELECT '😀 it''s \\'");
        check_error("select U&'wrong: \\061'", "42601 invalid Unicode escape @18");
        check_error("select U&'x' uescape 'ab'", "42601 invalid Unicode escape character @22");
    }

    #[test]
    fn what_is_wrong_with_an_escape_is_told() {
        check_error("select E'\\xff'", "22021 invalid byte sequence for encoding \"UTF8\": 0xff @0");
        check_error("select E'a\\000b'", "22021 invalid byte sequence for encoding \"UTF8\": 0x00 @0");
        check_error("select E'wrong: \\u061'", "22025 invalid Unicode escape @17");
        check_error("select E'wrong: \\udb99xy'", "42601 invalid Unicode surrogate pair @23");
        check_error("select E'abc", "42601 unterminated quoted string at or near \"E'abc\" @8");
    }
}
