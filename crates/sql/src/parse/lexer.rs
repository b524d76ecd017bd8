//! Tokens of a statement's text. sqlparser's tokenizer makes them, a stretch at a time, so that a long text can be given up in between;
//! what is long by itself (a literal of megabytes, a comment) is read here, for the tokenizer takes such character by character.

use super::scan::{self, Item, Kind};
use super::{Lines, comments, error, literals, pieces};
use crate::stop;
use sqlparser::ast::DollarQuotedString;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace, Word};
use types::Result;

use super::dialect::HyraxDialect;

/// Bytes that are made tokens of at a time.
const STRETCH: usize = 64 << 10;
/// Items of more bytes are read here.
const LONG: usize = 16 << 10;
/// Characters of a run of operators: each may be a token, and a level of the tree.
const OPERATORS_MAX: usize = 1_000;

/// The tokens of a text; blanks and comments in a row are one.
pub(super) fn tokens(text: &str, lines: &Lines) -> Result<Vec<TokenWithSpan>> {
    let mut lexer = Lexer { text, lines, start: 0, place: Location::new(1, 1), out: vec![] };
    let mut at = 0;
    let mut before = Kind::Blank;
    while let Some(item) = scan::item(text, at) {
        stop::spent(item.place.len())?;
        if item.kind == Kind::Operator && item.place.len() > OPERATORS_MAX {
            return Err(error::too_deep());
        }
        at = item.place.end;
        let is_long = item.place.len() > LONG && item.is_whole && has_no_prefix(before, text, item.place.start);
        if is_long && !matches!(item.kind, Kind::Operator | Kind::Word) {
            lexer.stretch(item.place.start)?;
            lexer.long(&item)?;
        } else if at - lexer.start >= STRETCH && ends_tokens(before, &item, text) {
            lexer.stretch(at)?;
        }
        before = item.kind;
    }
    lexer.stretch(text.len())?;
    Ok(lexer.out)
}

/// Whether no letter stands right before a literal that gives it another meaning: `X'…'`, `U&'…'`.
fn has_no_prefix(before: Kind, text: &str, at: usize) -> bool {
    before != Kind::Word && !text.get(..at).is_some_and(|text| text.ends_with('&'))
}

/// Whether no token reaches from this item into what follows it.
fn ends_tokens(before: Kind, item: &Item, text: &str) -> bool {
    match (item.kind, text.get(item.place.clone()).unwrap_or_default()) {
        (Kind::Blank, blank) => blank != "\r",
        (Kind::Mark, "." | "$" | ":") => false,
        (Kind::Mark, _) => true,
        (Kind::LineComment, _) => true,
        (Kind::Word, _) => before == Kind::Mark && !next_is(text, item.place.end, |b| b == b'\'' || b == b'"'),
        _ => false,
    }
}

fn next_is(text: &str, at: usize, is: impl Fn(u8) -> bool) -> bool {
    text.as_bytes().get(at).is_some_and(|byte| is(*byte))
}

struct Lexer<'t> {
    text: &'t str,
    lines: &'t Lines,
    /// Byte of the first character that is in no token yet, and its location.
    start: usize,
    place: Location,
    out: Vec<TokenWithSpan>,
}

impl Lexer<'_> {
    /// Makes tokens of what stands before `end`.
    fn stretch(&mut self, end: usize) -> Result<()> {
        let text = self.text.get(self.start..end).unwrap_or_default();
        if text.is_empty() {
            return Ok(());
        }
        let blanked = comments::blanked(text);
        let first = self.out.len();
        let mut tokenizer = Tokenizer::new(&HyraxDialect, blanked.as_deref().unwrap_or(text));
        tokenizer.tokenize_with_location_into_buf(&mut self.out).map_err(|mut error| {
            error.location = moved(error.location, self.place);
            error::from_tokenizer(&error, self.text, self.lines)
        })?;
        for token in self.out.get_mut(first..).unwrap_or_default() {
            token.span = Span::new(moved(token.span.start, self.place), moved(token.span.end, self.place));
        }
        self.place = self.out.last().map_or(self.place, |token| token.span.end);
        self.start = end;
        self.drop_blanks(first);
        Ok(())
    }

    /// Blanks and comments in a row become one token: the parser steps over each of them at each look. Only a new line says something:
    /// it joins two strings.
    fn drop_blanks(&mut self, first: usize) {
        let mut kept = first;
        for at in first..self.out.len() {
            let Some(blank) = self.out.get(at).and_then(blank) else {
                self.out.swap(kept, at);
                kept += 1;
                continue;
            };
            let before = kept.checked_sub(1).and_then(|at| self.out.get_mut(at));
            match before.filter(|token| matches!(token.token, Token::Whitespace(_))) {
                Some(before) if blank == Whitespace::Newline => before.token = Token::Whitespace(blank),
                Some(_) => {}
                None => {
                    self.out.swap(kept, at);
                    if let Some(token) = self.out.get_mut(kept) {
                        token.token = Token::Whitespace(blank);
                    }
                    kept += 1;
                }
            }
        }
        self.out.truncate(kept);
    }

    /// Makes a token of an item.
    fn long(&mut self, item: &Item) -> Result<()> {
        let written = self.text.get(item.place.clone()).unwrap_or_default();
        let inner = written.get(1..written.len().saturating_sub(1)).unwrap_or_default();
        let token = match item.kind {
            Kind::Text => Token::SingleQuotedString(undoubled(inner, '\'')),
            Kind::Name => {
                Token::Word(Word { value: undoubled(inner, '"'), quote_style: Some('"'), keyword: Keyword::NoKeyword })
            }
            Kind::Escaped => Token::EscapedStringLiteral(literals::escaped(written, self.lines.position(self.place))?),
            Kind::Dollar => {
                let tag = written.get(..inner.find('$').unwrap_or_default() + 2).unwrap_or_default();
                let value = written.strip_prefix(tag).and_then(|rest| rest.strip_suffix(tag)).unwrap_or_default();
                let name = tag.trim_matches('$').to_owned();
                let tag = Some(name).filter(|name| !name.is_empty());
                Token::DollarQuotedString(DollarQuotedString { value: value.to_owned(), tag })
            }
            Kind::LineComment => Token::Whitespace(Whitespace::Newline),
            _ => Token::Whitespace(Whitespace::Space),
        };
        let end = behind(written, self.place);
        self.out.push(TokenWithSpan { token, span: Span::new(self.place, end) });
        (self.start, self.place) = (item.place.end, end);
        self.drop_blanks(self.out.len() - 1);
        Ok(())
    }
}

/// What a token says that is no part of the statement.
fn blank(token: &TokenWithSpan) -> Option<Whitespace> {
    match &token.token {
        Token::Whitespace(Whitespace::Newline | Whitespace::SingleLineComment { .. }) => Some(Whitespace::Newline),
        Token::Whitespace(_) => Some(Whitespace::Space),
        _ => None,
    }
}

fn undoubled(inner: &str, quote: char) -> String {
    let doubled: String = [quote, quote].iter().collect();
    inner.replace(&doubled, quote.encode_utf8(&mut [0; 4]))
}

/// A location in a stretch as one in the text. `place`: where the stretch begins.
fn moved(location: Location, place: Location) -> Location {
    match location.line {
        0 => location,
        1 => Location::new(place.line, place.column + location.column - 1),
        line => Location::new(place.line + line - 1, location.column),
    }
}

/// The location behind a text that begins at `place`.
fn behind(text: &str, place: Location) -> Location {
    let new_lines = text.bytes().filter(|byte| *byte == b'\n').count() as u64;
    let last = text.rsplit('\n').next().unwrap_or_default();
    let column = if new_lines == 0 { place.column } else { 1 };
    Location::new(place.line + new_lines, column + u64::from(pieces::count(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tokens say, without the blanks.
    fn shown(tokens: &[TokenWithSpan]) -> Vec<(String, Span)> {
        let tokens = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_)));
        tokens.map(|t| (format!("{:?}", t.token), t.span)).collect()
    }

    /// A text cut into stretches has the tokens that it has in one.
    #[track_caller]
    fn check(unit: &str) {
        let text = unit.repeat(3 * STRETCH / unit.len());
        let found = tokens(&text, &Lines::new(&text)).expect("tokens");
        let whole = Tokenizer::new(&HyraxDialect, &text).tokenize_with_location().expect("tokens");
        assert!(shown(&found) == shown(&whole), "{unit}");
    }

    #[test]
    fn stretches_have_the_tokens_of_the_whole() {
        for unit in [
            "(1,'a'),",
            "é\n, 'x' \r\n 'y''z' ",
            "a.b.c, 1.5e3 .5, ",
            "x'1f',b'01' , u&'\\0061' ",
            "- -1 <= @> ",
            "-- é ;\n/* /* é\n */ */ ",
            "$$a$$ $t$ $$ $t$, $1 ",
            "e'\\'' E'\\u00e9\\n' \"a\"\"b\" ",
            "a::int[1:2];",
            "(((",
        ] {
            check(unit);
        }
    }

    #[test]
    fn long_literals_are_what_the_tokenizer_makes_of_them() {
        let body = "é'' \n\\\\ x".repeat(LONG / 8);
        for literal in [
            format!("'{body}'"),
            format!("e'{body}'"),
            format!("\"{body}\""),
            format!("$a${body}$a$"),
            format!("$${body}$$"),
        ] {
            let text = format!("select é, {literal}, 1");
            let found = tokens(&text, &Lines::new(&text)).expect("tokens");
            let whole = Tokenizer::new(&HyraxDialect, &text).tokenize_with_location().expect("tokens");
            assert!(shown(&found) == shown(&whole), "{}", &text[..20]);
        }
    }

    #[test]
    fn long_blanks_and_comments_are_few_tokens() {
        let blanks = "\n-- x, 'x".repeat(STRETCH);
        let text = format!("{}/*{}*/{blanks}\n 1", " ".repeat(10 * STRETCH), "é\n".repeat(STRETCH));
        let found = tokens(&text, &Lines::new(&text)).expect("tokens");
        assert!(found.len() == 2, "{}", found.len());
        assert_eq!(found.last().map(|t| t.span.start), Some(Location::new(2 * STRETCH as u64 + 2, 2)));
        assert_eq!(found.first().map(|t| &t.token), Some(&Token::Whitespace(Whitespace::Newline)));
    }
}
