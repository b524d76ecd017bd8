//! A position in the tokens, with the small words of the grammar: identifiers, names, literals, pieces of text.

use crate::parse::{Lines, error};
use crate::utility::ddl::*;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Token, Word};
use types::{SqlError, SqlState};

/// Bytes of an identifier that count; the rest is cut off, as PostgreSQL does.
const IDENTIFIER_BYTES_MAX: usize = 63;
/// Items of any list in a statement (columns, names, options).
const LIST_MAX: usize = 65_535;

/// The words that are never a name without quotes.
const RESERVED: &str = " all analyse analyze and any array as asc asymmetric both case cast check collate column constraint \
 create current_catalog current_date current_role current_time current_timestamp current_user default deferrable desc \
 distinct do else end except false fetch for foreign from grant group having in initially intersect into lateral leading \
 limit localtime localtimestamp not null offset on only or order placing primary references returning select session_user \
 some symmetric table then to trailing true union unique user using variadic when where window with ";

/// Words that may name functions and types, but no tables and columns.
const TYPE_OR_FUNCTION_ONLY: &str = " authorization binary collation concurrently cross current_schema freeze full ilike \
 inner is isnull join left like natural notnull outer overlaps right similar tablesample verbose ";

fn is_in(list: &str, word: &str) -> bool {
    list.split(' ').any(|w| w == word)
}

/// The text that tokens came from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'s> {
    pub(in crate::parse) text: &'s str,
    pub(in crate::parse) lines: &'s Lines,
}

impl<'s> Source<'s> {
    pub(crate) fn new(text: &'s str, lines: &'s Lines) -> Source<'s> {
        Source { text, lines }
    }

    fn slice(&self, start: Location, end: Location) -> &'s str {
        self.text.get(self.lines.byte(self.text, start)..self.lines.byte(self.text, end)).unwrap_or_default()
    }

    /// 1-based character index; behind the end for what has no place.
    pub(in crate::parse) fn position(&self, location: Location) -> u32 {
        match self.lines.position(location) {
            0 => self.lines.end(),
            position => position,
        }
    }
}

pub(in crate::parse) struct Cursor<'p, 'a> {
    pub(in crate::parse) parser: &'p mut Parser<'a>,
    pub(in crate::parse) source: &'p Source<'p>,
}

pub(in crate::parse) type Result<T> = types::Result<T>;

impl Cursor<'_, '_> {
    // --- looking

    /// 1-based character index of the next token.
    pub(in crate::parse) fn position(&self) -> u32 {
        self.source.position(self.parser.peek_token_ref().span.start)
    }

    fn unquoted(token: &Token) -> Option<String> {
        match token {
            Token::Word(Word { value, quote_style: None, .. }) => Some(value.to_lowercase()),
            _ => None,
        }
    }

    /// The next token, if it is a word without quotes, in lower case.
    pub(in crate::parse) fn peek_word(&self) -> Option<String> {
        Cursor::unquoted(&self.parser.peek_token_ref().token)
    }

    pub(in crate::parse) fn peek_nth_word(&self, n: usize) -> Option<String> {
        Cursor::unquoted(&self.parser.peek_nth_token_ref(n).token)
    }

    pub(in crate::parse) fn peek(&self, word: &str) -> bool {
        self.peek_nth(0, word)
    }

    fn peek_nth(&self, n: usize, word: &str) -> bool {
        match &self.parser.peek_nth_token_ref(n).token {
            Token::Word(Word { value, quote_style: None, .. }) => value.eq_ignore_ascii_case(word),
            _ => false,
        }
    }

    pub(in crate::parse) fn peek_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.peek_nth(n, word))
    }

    pub(in crate::parse) fn peek_token(&self, token: &Token) -> bool {
        self.parser.peek_token_ref().token == *token
    }

    pub(in crate::parse) fn at_end(&self) -> bool {
        matches!(self.parser.peek_token_ref().token, Token::EOF | Token::SemiColon)
    }

    // --- taking

    pub(in crate::parse) fn advance(&mut self) {
        self.parser.advance_token();
    }

    /// Takes the words if they are next.
    pub(in crate::parse) fn accept(&mut self, words: &[&str]) -> bool {
        let found = self.peek_words(words);
        if found {
            words.iter().for_each(|_| self.advance());
        }
        found
    }

    pub(in crate::parse) fn accept_word(&mut self, word: &str) -> bool {
        self.accept(&[word])
    }

    /// The one of these words that is next.
    pub(in crate::parse) fn accept_any(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let found = words.iter().copied().find(|word| self.peek(word))?;
        self.advance();
        Some(found)
    }

    pub(in crate::parse) fn accept_token(&mut self, token: &Token) -> bool {
        let found = self.peek_token(token);
        if found {
            self.advance();
        }
        found
    }

    pub(in crate::parse) fn expect(&mut self, words: &[&str]) -> Result<()> {
        for word in words {
            if !self.accept_word(word) {
                return Err(self.syntax_error());
            }
        }
        Ok(())
    }

    pub(in crate::parse) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.accept_token(token) { Ok(()) } else { Err(self.syntax_error()) }
    }

    pub(in crate::parse) fn expect_end(&mut self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// 42601 at the next token.
    pub(in crate::parse) fn syntax_error(&self) -> SqlError {
        error::at_next_token(self.parser, self.source.text, self.source.lines)
    }

    /// Skips the rest of a statement that is refused as a whole.
    pub(in crate::parse) fn unsupported(&mut self, what: &str, position: u32) -> Result<Ddl> {
        // The body of a rule has semicolons inside its parentheses.
        let mut depth = 0_usize;
        loop {
            match self.parser.peek_token_ref().token {
                Token::EOF => break,
                Token::SemiColon if depth == 0 => break,
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.advance();
        }
        Ok(Ddl::Unsupported { what: format!("{what} is not supported"), position })
    }

    // --- identifiers

    fn identifier_of(&self, allowed: fn(&str) -> bool) -> Option<String> {
        let mut name = match &self.parser.peek_token_ref().token {
            Token::Word(Word { value, quote_style: Some(_), .. }) | Token::DoubleQuotedString(value) => value.clone(),
            Token::Word(Word { value, .. }) => {
                let folded = value.to_lowercase();
                if !allowed(&folded) {
                    return None;
                }
                folded
            }
            _ => return None,
        };
        if name.len() > IDENTIFIER_BYTES_MAX {
            let end = (0..=IDENTIFIER_BYTES_MAX).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
            name.truncate(end);
        }
        Some(name)
    }

    fn take(&mut self, name: Option<String>) -> Result<Name> {
        let position = self.position();
        let Some(name) = name else { return Err(self.syntax_error()) };
        if name.is_empty() {
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, "zero-length delimited identifier at or near \"\"\"\"")
                .at(position));
        }
        self.advance();
        Ok(Name { name, position })
    }

    /// PostgreSQL's ColId.
    pub(in crate::parse) fn identifier(&mut self) -> Result<Name> {
        let name = self.identifier_of(|word| !is_in(RESERVED, word) && !is_in(TYPE_OR_FUNCTION_ONLY, word));
        self.take(name)
    }

    pub(in crate::parse) fn at_identifier(&self) -> bool {
        self.identifier_of(|word| !is_in(RESERVED, word) && !is_in(TYPE_OR_FUNCTION_ONLY, word)).is_some()
    }

    /// Whether a type's name may begin here.
    pub(in crate::parse) fn at_type(&self) -> bool {
        self.identifier_of(|word| !is_in(RESERVED, word)).is_some()
    }

    /// PostgreSQL's ColLabel: any word.
    pub(in crate::parse) fn label(&mut self) -> Result<Name> {
        let name = self.identifier_of(|_| true);
        self.take(name)
    }

    /// A name of up to any number of parts; the first is a ColId, the others any words.
    pub(in crate::parse) fn name(&mut self) -> Result<ObjectName> {
        let Name { name, position } = self.identifier()?;
        let mut parts = vec![name];
        while self.accept_token(&Token::Period) {
            parts.push(self.label()?.name);
        }
        Ok(ObjectName { parts, position })
    }

    /// `item, item, …`
    pub(in crate::parse) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.accept_token(&Token::Comma) {
            if items.len() >= LIST_MAX {
                return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "list is too long (limit 65535)"));
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `(item, item, …)`
    pub(in crate::parse) fn parenthesized<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect_token(&Token::LParen)?;
        let items = self.list(item)?;
        self.expect_token(&Token::RParen)?;
        Ok(items)
    }

    pub(in crate::parse) fn columns(&mut self) -> Result<Vec<Name>> {
        self.parenthesized(Self::identifier)
    }

    pub(in crate::parse) fn optional_columns(&mut self) -> Result<Vec<Name>> {
        if self.peek_token(&Token::LParen) { self.columns() } else { Ok(vec![]) }
    }

    pub(in crate::parse) fn role(&mut self) -> Result<RoleSpec> {
        match self.accept_any(&["current_user", "current_role", "session_user"]) {
            Some("session_user") => return Ok(RoleSpec::SessionUser),
            Some(_) => return Ok(RoleSpec::CurrentUser),
            None => {}
        }
        let quoted = matches!(self.parser.peek_token_ref().token, Token::Word(Word { quote_style: Some(_), .. }));
        let Name { name, position } = self.identifier()?;
        match name.as_str() {
            "public" => Ok(RoleSpec::Public),
            "none" if !quoted => {
                Err(SqlError::new(SqlState::RESERVED_NAME, "role name \"none\" is reserved").at(position))
            }
            _ => Ok(RoleSpec::Name(name)),
        }
    }

    // --- literals

    pub(in crate::parse) fn at_string(&self) -> bool {
        matches!(
            self.parser.peek_token_ref().token,
            Token::SingleQuotedString(_)
                | Token::EscapedStringLiteral(_)
                | Token::DollarQuotedString(_)
                | Token::UnicodeStringLiteral(_)
        )
    }

    pub(in crate::parse) fn string(&mut self) -> Result<String> {
        let text = match &self.parser.peek_token_ref().token {
            Token::SingleQuotedString(s) | Token::EscapedStringLiteral(s) | Token::UnicodeStringLiteral(s) => s.clone(),
            Token::DollarQuotedString(s) => s.value.clone(),
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        Ok(text)
    }

    /// A number with its sign, as text.
    fn number(&mut self) -> Result<String> {
        let is_negative = self.accept_token(&Token::Minus);
        if !is_negative {
            self.accept_token(&Token::Plus);
        }
        let Token::Number(digits, _) = &self.parser.peek_token_ref().token else { return Err(self.syntax_error()) };
        let text = if is_negative { format!("-{digits}") } else { digits.clone() };
        self.advance();
        Ok(text)
    }

    pub(in crate::parse) fn integer(&mut self) -> Result<i64> {
        let position = self.position();
        let text = self.number()?;
        text.parse().map_err(|_| {
            let code = SqlState::NUMERIC_VALUE_OUT_OF_RANGE;
            SqlError::new(code, format!("value \"{text}\" is out of range for type bigint")).at(position)
        })
    }

    pub(in crate::parse) fn small_integer(&mut self) -> Result<i32> {
        let position = self.position();
        let value = self.integer()?;
        i32::try_from(value).map_err(|_| {
            let code = SqlState::NUMERIC_VALUE_OUT_OF_RANGE;
            SqlError::new(code, format!("value \"{value}\" is out of range for type integer")).at(position)
        })
    }

    /// The value of an option: word, string or number.
    pub(in crate::parse) fn option_value(&mut self) -> Result<String> {
        if self.at_string() {
            return self.string();
        }
        match self.parser.peek_token_ref().token {
            Token::Number(..) | Token::Minus | Token::Plus => self.number(),
            _ => Ok(self.label()?.name),
        }
    }

    /// `(name = value, name, a.b = value)`
    pub(in crate::parse) fn options(&mut self) -> Result<Options> {
        self.parenthesized(|c| {
            let name = c.option_name()?;
            let value = if c.accept_token(&Token::Eq) { Some(c.option_value()?) } else { None };
            Ok((name, value))
        })
    }

    pub(in crate::parse) fn option_name(&mut self) -> Result<String> {
        let mut name = self.label()?.name;
        while self.accept_token(&Token::Period) {
            name = format!("{name}.{}", self.label()?.name);
        }
        Ok(name)
    }

    /// `WITH (…)` if it is there.
    pub(in crate::parse) fn with_options(&mut self) -> Result<Options> {
        if self.accept_word("with") { self.options() } else { Ok(vec![]) }
    }

    // --- pieces of text

    /// The text of what `read` takes.
    pub(in crate::parse) fn piece(&mut self, read: impl FnOnce(&mut Self) -> Result<()>) -> Result<SqlText> {
        let position = self.position();
        let start = self.parser.peek_token_ref().span.start;
        read(self)?;
        let end = self.parser.get_current_token().span.end;
        Ok(SqlText { text: self.source.slice(start, end).to_owned(), position })
    }

    /// PostgreSQL's a_expr.
    pub(in crate::parse) fn expression(&mut self) -> Result<SqlText> {
        self.piece(|c| c.sub_parse(|parser| parser.parse_expr().map(drop)))
    }

    /// PostgreSQL's b_expr: what can stand before NOT NULL.
    pub(in crate::parse) fn plain_expression(&mut self) -> Result<SqlText> {
        self.piece(|c| c.sub_parse(|parser| crate::parse::expr::plain(parser).map(drop)))
    }

    pub(in crate::parse) fn parenthesized_expression(&mut self) -> Result<SqlText> {
        self.expect_token(&Token::LParen)?;
        let expression = self.expression()?;
        self.expect_token(&Token::RParen)?;
        Ok(expression)
    }

    pub(in crate::parse) fn query(&mut self) -> Result<SqlText> {
        self.piece(|c| {
            // TABLE t, which sqlparser knows only inside of others.
            if c.accept_word("table") {
                return c.name().map(drop);
            }
            c.sub_parse(|parser| parser.parse_query().map(drop))
        })
    }

    /// `EXECUTE name (…)`, as a text.
    pub(super) fn executed(&mut self) -> Result<SqlText> {
        self.piece(|c| {
            c.expect(&["execute"])?;
            c.identifier()?;
            if c.peek_token(&Token::LParen) {
                c.parenthesized(|c| c.expression().map(drop))?;
            }
            Ok(())
        })
    }

    /// Runs sqlparser; where it gives up is where the error is.
    pub(super) fn sub_parse(
        &mut self,
        read: impl FnOnce(&mut Parser<'_>) -> std::result::Result<(), sqlparser::parser::ParserError>,
    ) -> Result<()> {
        read(self.parser).map_err(|e| error::from_parser(&e, self.parser, self.source.text, self.source.lines))
    }

    /// A type with its modifiers and array bounds.
    pub(in crate::parse) fn type_name(&mut self) -> Result<SqlText> {
        self.piece(Self::skip_type)
    }

    fn skip_type(&mut self) -> Result<()> {
        self.accept_word("setof");
        let name = self.identifier_of(|word| !is_in(RESERVED, word));
        let is_plain = self.peek_word().is_some();
        let first = self.take(name)?.name;
        if is_plain {
            self.skip_type_words(&first)?;
        }
        while self.accept_token(&Token::Period) {
            self.label()?;
        }
        self.skip_modifiers()?;
        if is_plain && matches!(first.as_str(), "time" | "timestamp") {
            self.skip_time_zone()?;
        }
        if self.accept_word("array") {
            self.skip_array_bound()?;
            return Ok(());
        }
        while self.peek_token(&Token::LBracket) {
            self.skip_array_bound()?;
        }
        Ok(())
    }

    /// The further words of `double precision`, `character varying`, `interval day to second`, …
    fn skip_type_words(&mut self, first: &str) -> Result<()> {
        const FIELDS: &[&str] = &["year", "month", "day", "hour", "minute", "second"];
        match first {
            "double" => self.expect(&["precision"])?,
            "character" | "char" | "nchar" | "bit" => drop(self.accept_word("varying")),
            "national" => {
                if self.accept_any(&["character", "char"]).is_none() {
                    return Err(self.syntax_error());
                }
                self.accept_word("varying");
            }
            "interval"
                if self.accept_any(FIELDS).is_some() && self.accept_word("to") && self.accept_any(FIELDS).is_none() =>
            {
                return Err(self.syntax_error());
            }
            _ => {}
        }
        Ok(())
    }

    fn skip_time_zone(&mut self) -> Result<()> {
        if self.peek_words(&["with", "time"]) || self.peek_words(&["without", "time"]) {
            self.advance();
            self.expect(&["time", "zone"])?;
        }
        Ok(())
    }

    fn skip_modifiers(&mut self) -> Result<()> {
        if self.peek_token(&Token::LParen) {
            self.parenthesized(Self::option_value)?;
        }
        Ok(())
    }

    fn skip_array_bound(&mut self) -> Result<()> {
        if self.accept_token(&Token::LBracket) {
            if !self.peek_token(&Token::RBracket) {
                self.integer()?;
            }
            self.expect_token(&Token::RBracket)?;
        }
        Ok(())
    }
}
