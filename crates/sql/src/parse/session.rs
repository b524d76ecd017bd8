//! The grammar of statements about the session: transactions, settings, prepared statements, cursors, EXPLAIN, `TABLE t`.
//! What is none of them is sqlparser's.

use super::ddl::{Cursor, Source};
use super::options::GivenOption;
use super::{Lines, Statement, Syntax, error};
use crate::utility::*;
use sqlparser::ast::{self, Spanned};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Token, Word};
use std::sync::Arc;
use types::{Datum, Result, SqlError, SqlState};

/// EXPLAIN EXPLAIN … and PREPARE p AS PREPARE …
const LIST_MAX: usize = 10_000;

pub(super) struct Front<'p, 'a> {
    pub(super) parser: &'p mut Parser<'a>,
    pub(super) source: &'p Source<'p>,
    pub(super) text: &'p str,
    pub(super) lines: &'p Lines,
}

fn utility(utility: Utility) -> Syntax {
    Syntax::Utility(Box::new(utility))
}

impl<'a> Front<'_, 'a> {
    pub(super) fn statement(&mut self) -> Result<Syntax> {
        let Some(word) = self.peek_word() else { return self.other() };
        match word.as_str() {
            "begin" | "start" => self.begin(),
            "commit" | "rollback" if self.peek_nth_word(1).is_some_and(|w| w == "prepared") => {
                let tag = if word == "commit" { "COMMIT PREPARED" } else { "ROLLBACK PREPARED" };
                self.next();
                self.next();
                let name = self.string().ok_or_else(|| self.syntax_error())?;
                Ok(utility(Utility::FinishPrepared { tag, name }))
            }
            "commit" | "end" => self.end_transaction().map(|chain| utility(Utility::Commit { chain })),
            "abort" => self.end_transaction().map(|chain| utility(Utility::Rollback { chain })),
            "rollback" => self.rollback(),
            "savepoint" => {
                self.next();
                Ok(utility(Utility::Savepoint(self.name()?)))
            }
            "release" => {
                self.next();
                self.accept("savepoint");
                Ok(utility(Utility::Release(self.name()?)))
            }
            "set" => self.set(),
            "reset" => self.reset(),
            "show" => self.show(),
            "discard" => self.discard(),
            "prepare" => self.prepare(),
            "execute" => self.execute().map(|(name, args)| Syntax::Execute { name, args }),
            "deallocate" => self.deallocate(),
            "declare" => self.declare(),
            "fetch" | "move" => self.fetch(word == "move"),
            "close" => {
                self.next();
                let name = if self.accept("all") { None } else { Some(self.name()?) };
                Ok(utility(Utility::Close(name)))
            }
            "explain" => self.explain(),
            "copy" => self.copy(),
            "lock" | "analyze" | "analyse" | "vacuum" | "cluster" | "reindex" | "checkpoint" | "listen" | "notify"
            | "unlisten" | "load" | "do" | "call" => self.maintenance(&word),
            _ => self.query(),
        }
    }

    /// What sqlparser reads.
    pub(super) fn query(&mut self) -> Result<Syntax> {
        match self.peek_word().as_deref() {
            Some("table") => self.table(),
            _ => self.other(),
        }
    }

    pub(super) fn cursor(&mut self) -> Cursor<'_, 'a> {
        Cursor { parser: self.parser, source: self.source }
    }

    fn other(&mut self) -> Result<Syntax> {
        let parsed = self.parser.parse_statement();
        let statement = parsed.map_err(|e| error::from_parser(&e, self.parser, self.text, self.lines))?;
        match self.ordered_write(&statement) {
            Some(error) => Err(error),
            None => Ok(Syntax::Sql(Box::new(statement))),
        }
    }

    /// ORDER BY and LIMIT of UPDATE and DELETE are another dialect's, where sqlparser takes them.
    fn ordered_write(&self, statement: &ast::Statement) -> Option<SqlError> {
        let (order_by, limit) = match statement {
            ast::Statement::Delete(delete) => (delete.order_by.first(), delete.limit.as_ref()),
            ast::Statement::Update(update) => (update.order_by.first(), update.limit.as_ref()),
            _ => return None,
        };
        let order_by = order_by.map(|by| ("order", by.expr.span()));
        let (word, behind) = order_by.or(limit.map(|limit| ("limit", limit.span())))?;
        let before = self.text.get(..self.lines.byte(self.text, behind.start))?;
        let at = before.to_ascii_lowercase().rfind(word)?;
        let place = u32::try_from(before.get(..at)?.chars().count() + 1).ok()?;
        let message = format!("syntax error at or near \"{}\"", before.get(at..at + word.len())?);
        Some(SqlError::new(SqlState::SYNTAX_ERROR, message).at(place))
    }

    // --- tokens

    fn peek_nth_word(&self, n: usize) -> Option<String> {
        match &self.parser.peek_nth_token_ref(n).token {
            Token::Word(Word { value, quote_style: None, .. }) => Some(value.to_lowercase()),
            _ => None,
        }
    }
    fn peek_word(&self) -> Option<String> {
        self.peek_nth_word(0)
    }
    fn next(&mut self) {
        self.parser.next_token();
    }
    fn accept(&mut self, word: &str) -> bool {
        let found = self.peek_word().is_some_and(|w| w == word);
        if found {
            self.next();
        }
        found
    }
    fn expect(&mut self, word: &str) -> Result<()> {
        if self.accept(word) { Ok(()) } else { Err(self.syntax_error()) }
    }
    fn at_end(&self) -> bool {
        matches!(self.parser.peek_token_ref().token, Token::SemiColon | Token::EOF)
    }
    fn syntax_error(&self) -> SqlError {
        error::at_next_token(self.parser, self.text, self.lines)
    }
    fn name(&mut self) -> Result<String> {
        let name = match &self.parser.peek_token_ref().token {
            Token::Word(Word { value, quote_style: None, .. }) => value.to_lowercase(),
            Token::Word(word) => word.value.clone(),
            _ => return Err(self.syntax_error()),
        };
        self.next();
        Ok(name)
    }
    fn string(&mut self) -> Option<String> {
        let value = match &self.parser.peek_token_ref().token {
            Token::SingleQuotedString(s) | Token::EscapedStringLiteral(s) => s.clone(),
            _ => return None,
        };
        self.next();
        Some(value)
    }

    // --- transactions

    fn begin(&mut self) -> Result<Syntax> {
        let is_start = self.accept("start");
        if is_start {
            self.expect("transaction")?;
        } else {
            self.next();
            let _ = self.accept("work") || self.accept("transaction");
        }
        self.transaction_modes().map(|modes| utility(Utility::Begin { modes, is_start }))
    }

    /// `ISOLATION LEVEL …`, `READ ONLY`, `[NOT] DEFERRABLE`, with or without commas.
    fn transaction_modes(&mut self) -> Result<TransactionModes> {
        let mut modes = TransactionModes::default();
        while !self.at_end() {
            if self.accept("isolation") {
                self.expect("level")?;
                modes.isolation = Some(self.isolation_level()?);
            } else if self.accept("read") {
                let read_only = self.accept("only");
                if !read_only {
                    self.expect("write")?;
                }
                modes.read_only = Some(read_only);
            } else if self.accept("for") {
                for word in ["system_time", "as", "of"] {
                    self.expect(word)?;
                }
                modes.as_of = Some(self.time()?);
            } else {
                let not = self.accept("not");
                self.expect("deferrable")?;
                modes.deferrable = Some(!not);
            }
            if self.parser.consume_token(&Token::Comma) && self.at_end() {
                return Err(self.syntax_error());
            }
        }
        Ok(modes)
    }

    /// A time in quotes, or a number.
    fn time(&mut self) -> Result<String> {
        if let Some(text) = self.string() {
            return Ok(text);
        }
        match self.parser.next_token().token {
            Token::Number(digits, _) => Ok(digits),
            _ => {
                self.parser.prev_token();
                Err(self.syntax_error())
            }
        }
    }

    fn isolation_level(&mut self) -> Result<IsolationLevel> {
        if self.accept("serializable") {
            return Ok(IsolationLevel::Serializable);
        }
        if self.accept("repeatable") {
            return self.expect("read").map(|()| IsolationLevel::RepeatableRead);
        }
        self.expect("read")?;
        if self.accept("committed") {
            return Ok(IsolationLevel::ReadCommitted);
        }
        self.expect("uncommitted").map(|()| IsolationLevel::ReadUncommitted)
    }

    /// The rest of COMMIT and ROLLBACK: whether AND CHAIN.
    fn end_transaction(&mut self) -> Result<bool> {
        self.next();
        let _ = self.accept("work") || self.accept("transaction");
        if !self.accept("and") {
            return Ok(false);
        }
        let chain = !self.accept("no");
        self.expect("chain").map(|()| chain)
    }

    fn rollback(&mut self) -> Result<Syntax> {
        let chain = self.end_transaction()?;
        if self.accept("to") {
            self.accept("savepoint");
            return Ok(utility(Utility::RollbackTo(self.name()?)));
        }
        Ok(utility(Utility::Rollback { chain }))
    }

    // --- settings

    fn set(&mut self) -> Result<Syntax> {
        self.next();
        if self.accept("constraints") {
            return self.set_constraints();
        }
        let session = self.accept("session");
        if session && self.accept("characteristics") {
            for word in ["as", "transaction"] {
                self.expect(word)?;
            }
            let modes = self.transaction_modes()?;
            return Ok(utility(Utility::SetTransaction { modes, session: true }));
        }
        let local = !session && self.accept("local");
        if !session && self.accept("transaction") {
            if self.accept("snapshot") {
                let snapshot = Some(self.string().ok_or_else(|| self.syntax_error())?);
                let modes = TransactionModes { snapshot, ..TransactionModes::default() };
                return Ok(utility(Utility::SetTransaction { modes, session: false }));
            }
            let modes = self.transaction_modes()?;
            return Ok(utility(Utility::SetTransaction { modes, session: false }));
        }
        if session && self.accept("authorization") || self.accept("session") {
            self.accept("authorization");
            let role = self.role_value("default")?;
            return Ok(utility(Utility::SetSessionAuthorization { role, local }));
        }
        if self.accept("role") {
            let role = self.role_value("none")?;
            return Ok(utility(Utility::SetRole { role, local }));
        }
        self.set_variable(local)
    }

    fn role_value(&mut self, nobody: &str) -> Result<Option<String>> {
        if self.accept(nobody) {
            return Ok(None);
        }
        match self.string() {
            Some(role) => Ok(Some(role)),
            None => self.name().map(Some),
        }
    }

    fn set_variable(&mut self, local: bool) -> Result<Syntax> {
        if self.peek_word().is_some_and(|w| w == "time") && self.peek_nth_word(1).is_some_and(|w| w == "zone") {
            self.next();
            self.next();
            let value = if self.accept("local") { SetValue::Default } else { self.time_zone()? };
            return Ok(utility(Utility::Set { name: "timezone".to_owned(), value, local }));
        }
        if self.accept("names") {
            let value = if self.at_end() { SetValue::Default } else { self.set_value()? };
            return Ok(utility(Utility::Set { name: "client_encoding".to_owned(), value, local }));
        }
        let name = self.setting_name()?;
        if !self.parser.consume_token(&Token::Eq) {
            self.expect("to")?;
        }
        let value = self.set_value()?;
        Ok(utility(Utility::Set { name, value, local }))
    }

    /// A zone's name, hours, or an interval with its fields.
    fn time_zone(&mut self) -> Result<SetValue> {
        let is_interval = self.peek_word().is_some_and(|w| w == "interval")
            && matches!(self.parser.peek_nth_token_ref(1).token, Token::SingleQuotedString(_));
        if !is_interval {
            return self.set_value();
        }
        self.next();
        let position = self.cursor().position();
        let mut text = self.string().unwrap_or_default();
        if self.accept("hour") {
            if text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ')) {
                text.push_str(" hours");
            }
            if self.accept("to") {
                self.expect("minute")?;
            }
        }
        let interval = types::io::input(types::SqlType::new(types::oid::INTERVAL), &text, &Default::default());
        let Datum::Interval(interval) = interval.map_err(|e| e.at(position))? else { return Err(self.syntax_error()) };
        if interval.months != 0 || interval.days != 0 {
            let what = if interval.months != 0 { "months" } else { "days" };
            let message = format!("time zone interval must not specify {what}");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        /// Microseconds.
        const HOUR: f64 = 3_600_000_000.0;
        Ok(SetValue::Items(vec![(interval.micros as f64 / HOUR).to_string()]))
    }

    /// `a` or `extension.a`, or one of two words.
    fn setting_name(&mut self) -> Result<String> {
        let mut name = self.name()?;
        while self.parser.consume_token(&Token::Period) {
            name = format!("{name}.{}", self.name()?);
        }
        Ok(name)
    }

    fn set_value(&mut self) -> Result<SetValue> {
        if self.accept("default") {
            return Ok(SetValue::Default);
        }
        let mut items = vec![];
        loop {
            items.push(self.set_item()?);
            if !self.parser.consume_token(&Token::Comma) || items.len() > LIST_MAX {
                return Ok(SetValue::Items(items));
            }
        }
    }

    fn set_item(&mut self) -> Result<String> {
        if let Some(text) = self.string() {
            return Ok(text);
        }
        let minus = self.parser.consume_token(&Token::Minus);
        if !minus {
            let _ = self.parser.consume_token(&Token::Plus);
        }
        if let Token::Number(digits, _) = &self.parser.peek_token_ref().token {
            let text = format!("{}{digits}", if minus { "-" } else { "" });
            self.next();
            return Ok(text);
        }
        if minus { Err(self.syntax_error()) } else { self.name() }
    }

    fn set_constraints(&mut self) -> Result<Syntax> {
        let names = if self.accept("all") {
            None
        } else {
            let mut names = vec![];
            loop {
                let mut name = vec![self.name()?];
                while self.parser.consume_token(&Token::Period) {
                    name.push(self.name()?);
                }
                names.push(name);
                if !self.parser.consume_token(&Token::Comma) {
                    break Some(names);
                }
            }
        };
        let deferred = self.accept("deferred");
        if !deferred {
            self.expect("immediate")?;
        }
        Ok(utility(Utility::SetConstraints { names, deferred }))
    }

    /// The name after RESET and SHOW; None: ALL.
    fn setting(&mut self) -> Result<Option<String>> {
        if self.accept("all") {
            return Ok(None);
        }
        if self.accept("time") {
            return self.expect("zone").map(|()| Some("timezone".to_owned()));
        }
        if self.accept("session") {
            return self.expect("authorization").map(|()| Some("session_authorization".to_owned()));
        }
        if self.accept("transaction") {
            self.expect("isolation")?;
            return self.expect("level").map(|()| Some("transaction_isolation".to_owned()));
        }
        self.setting_name().map(Some)
    }

    fn reset(&mut self) -> Result<Syntax> {
        self.next();
        Ok(utility(self.setting()?.map_or(Utility::ResetAll, Utility::Reset)))
    }

    fn show(&mut self) -> Result<Syntax> {
        self.next();
        Ok(utility(self.setting()?.map_or(Utility::ShowAll, Utility::Show)))
    }

    fn discard(&mut self) -> Result<Syntax> {
        self.next();
        let target = match self.peek_word().as_deref() {
            Some("all") => DiscardTarget::All,
            Some("plans") => DiscardTarget::Plans,
            Some("sequences") => DiscardTarget::Sequences,
            Some("temp" | "temporary") => DiscardTarget::Temporary,
            _ => return Err(self.syntax_error()),
        };
        self.next();
        Ok(utility(Utility::Discard(target)))
    }

    // --- prepared statements and cursors

    fn nested(&mut self) -> Result<Statement> {
        super::statement(self.parser, self.source, self.text, self.lines)
    }

    fn prepare(&mut self) -> Result<Syntax> {
        self.next();
        if self.accept("transaction") {
            self.string().ok_or_else(|| self.syntax_error())?;
            return Ok(utility(Utility::PrepareTransaction));
        }
        let name = self.name()?;
        let mut types = vec![];
        if self.parser.consume_token(&Token::LParen) {
            let parsed = self.parser.parse_comma_separated(Parser::parse_data_type);
            types = parsed.map_err(|e| error::from_parser(&e, self.parser, self.text, self.lines))?;
            self.close_paren()?;
        }
        self.expect("as")?;
        let first = self.peek_word().unwrap_or_default();
        if !matches!(first.as_str(), "select" | "insert" | "update" | "delete" | "with" | "values" | "table" | "merge")
            && self.parser.peek_token_ref().token != Token::LParen
        {
            return Err(self.syntax_error());
        }
        let statement = Arc::new(self.nested()?);
        Ok(Syntax::Prepare { name, types, statement })
    }

    fn close_paren(&mut self) -> Result<()> {
        if self.parser.consume_token(&Token::RParen) { Ok(()) } else { Err(self.syntax_error()) }
    }

    fn execute(&mut self) -> Result<(String, Vec<ast::Expr>)> {
        self.next();
        let name = self.name()?;
        let mut args = vec![];
        if self.parser.consume_token(&Token::LParen) {
            let parsed = self.parser.parse_comma_separated(Parser::parse_expr);
            args = parsed.map_err(|e| error::from_parser(&e, self.parser, self.text, self.lines))?;
            self.close_paren()?;
        }
        Ok((name, args))
    }

    fn deallocate(&mut self) -> Result<Syntax> {
        self.next();
        self.accept("prepare");
        let name = if self.accept("all") { None } else { Some(self.name()?) };
        Ok(utility(Utility::Deallocate(name)))
    }

    fn declare(&mut self) -> Result<Syntax> {
        self.next();
        let name = self.name()?;
        let (mut binary, mut scroll) = (false, None);
        loop {
            match self.peek_word().as_deref() {
                Some("binary") => binary = true,
                Some("insensitive" | "asensitive") => {}
                Some("scroll") => scroll = Some(true),
                Some("no") => {
                    self.next();
                    scroll = Some(false);
                }
                _ => break,
            }
            self.next();
        }
        self.expect("cursor")?;
        let hold = self.accept("with");
        if hold || self.accept("without") {
            self.expect("hold")?;
        }
        self.expect("for")?;
        let parsed = self.parser.parse_query();
        let query = parsed.map_err(|e| error::from_parser(&e, self.parser, self.text, self.lines))?;
        Ok(Syntax::Declare { name, scroll, hold, binary, query })
    }

    fn fetch(&mut self, is_move: bool) -> Result<Syntax> {
        self.next();
        let direction = self.fetch_direction()?;
        let _ = self.accept("from") || self.accept("in");
        let cursor = self.name()?;
        Ok(utility(Utility::Fetch { cursor, direction, is_move }))
    }

    fn fetch_direction(&mut self) -> Result<FetchDirection> {
        use FetchDirection::*;
        if let Some(count) = self.signed()? {
            return Ok(Count(count));
        }
        // A cursor may have one of these names: then nothing follows.
        let is_cursor = matches!(self.parser.peek_nth_token_ref(1).token, Token::SemiColon | Token::EOF);
        let word = self.peek_word().filter(|_| !is_cursor).unwrap_or_default();
        let direction = match word.as_str() {
            "next" => Next,
            "prior" => Prior,
            "first" => First,
            "last" => Last,
            "all" => All,
            "absolute" | "relative" => {
                self.next();
                let count = self.signed()?.ok_or_else(|| self.syntax_error())?;
                return Ok(if word == "absolute" { Absolute(count) } else { Relative(count) });
            }
            "forward" | "backward" => {
                self.next();
                return self.many(word == "backward");
            }
            _ => return Ok(Count(1)),
        };
        self.next();
        Ok(direction)
    }

    fn many(&mut self, backward: bool) -> Result<FetchDirection> {
        if self.accept("all") {
            return Ok(if backward { FetchDirection::BackwardAll } else { FetchDirection::All });
        }
        let count = self.signed()?.unwrap_or(1);
        Ok(FetchDirection::Count(if backward { -count } else { count }))
    }

    fn signed(&mut self) -> Result<Option<i64>> {
        let minus = self.parser.consume_token(&Token::Minus);
        let Token::Number(digits, _) = &self.parser.peek_token_ref().token else {
            return if minus { Err(self.syntax_error()) } else { Ok(None) };
        };
        let Ok(number) = digits.parse::<i32>() else { return Err(self.syntax_error()) };
        self.next();
        Ok(Some(i64::from(if minus { -number } else { number })))
    }

    // --- the rest

    fn explain(&mut self) -> Result<Syntax> {
        self.next();
        let mut options = ExplainOptions { costs: true, timing: true, ..ExplainOptions::default() };
        if self.parser.peek_token_ref().token == Token::LParen && !self.starts_query_in_parentheses() {
            let given = self.cursor().given_options()?;
            explain_options(&given, &mut options)?;
        } else {
            options.analyze = self.accept("analyze") || self.accept("analyse");
            options.verbose = self.accept("verbose");
        }
        const EXPLAINABLE: &[&str] = &[
            "select", "insert", "update", "delete", "merge", "with", "values", "table", "declare", "create", "refresh",
            "execute",
        ];
        let first = self.peek_word();
        if first.as_ref().is_some_and(|word| !EXPLAINABLE.contains(&word.as_str())) {
            return Err(self.syntax_error());
        }
        let start = self.parser.peek_token_ref().span.start;
        let statement = Box::new(self.nested()?);
        let has_query = match &statement.syntax {
            Syntax::Ddl(ddl) => matches!(**ddl, ddl::Ddl::CreateTableAs(_)),
            _ => false,
        };
        if first.as_deref() == Some("create") && !has_query {
            return Err(self.create_without_query(start)?);
        }
        Ok(Syntax::Explain { options, statement })
    }

    /// Behind EXPLAIN the grammar has no CREATE but that of a query's result: where the one at `start` is another.
    fn create_without_query(&mut self, start: Location) -> Result<SqlError> {
        while self.parser.peek_token_ref().span.start > start || self.at_end() {
            self.parser.prev_token();
        }
        self.next();
        while ["local", "global", "temp", "temporary", "unlogged"].iter().any(|word| self.accept(word)) {}
        if !self.accept("table") {
            return Ok(self.syntax_error());
        }
        let mut cursor = self.cursor();
        cursor.accept(&["if", "not", "exists"]);
        cursor.name()?;
        cursor.optional_columns()?;
        Ok(self.syntax_error())
    }

    /// `EXPLAIN (SELECT …)` has no options.
    fn starts_query_in_parentheses(&self) -> bool {
        match &self.parser.peek_nth_token_ref(1).token {
            Token::LParen => true,
            _ => self.peek_nth_word(1).is_some_and(|w| matches!(w.as_str(), "select" | "values" | "with" | "table")),
        }
    }

    /// `TABLE t` is `SELECT * FROM t`; sqlparser knows it only inside queries.
    fn table(&mut self) -> Result<Syntax> {
        let parsed = self.parser.parse_query();
        let query = parsed.map_err(|e| error::from_parser(&e, self.parser, self.text, self.lines))?;
        Ok(Syntax::Sql(Box::new(ast::Statement::Query(query))))
    }
}

/// EXPLAIN's options, with PostgreSQL's refusals of what does not go together.
fn explain_options(given: &[GivenOption], options: &mut ExplainOptions) -> Result<()> {
    let (mut wal, mut timing) = (false, None);
    for option in given {
        match option.name.as_str() {
            "analyze" => options.analyze = option.boolean()?,
            "verbose" => options.verbose = option.boolean()?,
            "costs" => options.costs = option.boolean()?,
            "timing" => timing = Some(option.boolean()?),
            "summary" => options.summary = Some(option.boolean()?),
            "settings" => options.settings = option.boolean()?,
            "buffers" => _ = option.boolean()?,
            "wal" => wal = option.boolean()?,
            "format" => {
                options.format = match option.string()?.to_lowercase().as_str() {
                    "text" => ExplainFormat::Text,
                    "json" => ExplainFormat::Json,
                    "yaml" => ExplainFormat::Yaml,
                    "xml" => {
                        return Err(SqlError::unsupported("EXPLAIN format xml is not supported").at(option.position));
                    }
                    other => {
                        let message = format!("unrecognized value for EXPLAIN option \"format\": \"{other}\"");
                        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(option.position));
                    }
                }
            }
            name => {
                let message = format!("unrecognized EXPLAIN option \"{name}\"");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(option.position));
            }
        }
    }
    for (is_on, name) in [(wal, "WAL"), (timing == Some(true), "TIMING")] {
        if is_on && !options.analyze {
            let message = format!("EXPLAIN option {name} requires ANALYZE");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    }
    options.timing = timing.unwrap_or(true);
    Ok(())
}
