//! sqlparser's errors as PostgreSQL words and places them.

use super::{Lines, dialect};
use crate::stop;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenizerError};
use types::{SqlError, SqlState};

pub(super) fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .hint("Split the statement into several ones, or nest it less.")
}

/// `syntax error at or near "x"` for the token that the parser stands before.
pub(super) fn at_next_token(parser: &Parser<'_>, text: &str, lines: &Lines) -> SqlError {
    let token = parser.peek_token_ref();
    if token.token == Token::EOF {
        return at_end(lines);
    }
    let slice = text.get(lines.byte(text, token.span.start)..lines.byte(text, token.span.end)).unwrap_or_default();
    near(slice).at(lines.of(token.span))
}

fn at_end(lines: &Lines) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "syntax error at end of input").at(lines.end())
}

fn near(token: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{token}\""))
}

/// The location that the error's text ends with: `… at Line: 1, Column: 8`.
fn location(message: &str) -> Option<Location> {
    let (_, place) = message.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some(Location::new(line.parse().ok()?, column.parse().ok()?))
}

pub(super) fn from_parser(error: &ParserError, parser: &Parser<'_>, text: &str, lines: &Lines) -> SqlError {
    let message = match error {
        ParserError::RecursionLimitExceeded => return too_deep(),
        ParserError::ParserError(message) if message == dialect::TOO_DEEP => return too_deep(),
        ParserError::ParserError(message) if message == dialect::STOPPED => {
            return stop::take_error().unwrap_or_else(|| SqlError::internal("a statement was stopped by nobody"));
        }
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
    };
    if message.contains("found: EOF") {
        return at_end(lines);
    }
    let Some(location) = location(message) else { return at_next_token(parser, text, lines) };
    let start = lines.byte(text, location);
    let rest = text.get(start..).unwrap_or_default();
    near(first_token(rest)).at(lines.position(location))
}

/// The first token of a text: a word, a string, or one character.
fn first_token(text: &str) -> &str {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else { return "" };
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
    let end = if is_word(first) {
        characters.find(|(_, c)| !is_word(*c)).map(|(at, _)| at)
    } else if matches!(first, '\'' | '"') {
        characters.find(|(_, c)| *c == first).map(|(at, c)| at + c.len_utf8())
    } else {
        Some(first.len_utf8())
    };
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

pub(super) fn from_tokenizer(error: &TokenizerError, text: &str, lines: &Lines) -> SqlError {
    let message = &error.message;
    let rest = text.get(lines.byte(text, error.location)..).unwrap_or_default();
    if let Some(error) = super::literals::bad_escape(rest, lines.position(error.location)) {
        return error;
    }
    let what = if message.contains("string literal") || message.contains("encoded string") {
        "unterminated quoted string"
    } else if message.contains("dollar-quoted") || message.contains("dollar quoted") {
        "unterminated dollar-quoted string"
    } else if message.contains("comment") {
        "unterminated /* comment"
    } else if message.contains("close delimiter") || message.contains("delimited identifier") {
        "unterminated quoted identifier"
    } else {
        "syntax error"
    };
    SqlError::new(SqlState::SYNTAX_ERROR, format!("{what} at or near \"{rest}\"")).at(lines.position(error.location))
}
