//! From text to syntax trees: sqlparser with our dialect, our front for statements it lacks, guards against depth.
//!
//! The whole string is parsed before any of it runs, statement by statement (`pieces`). `ddl` is asked first, then `session`, then
//! sqlparser. Positions are character indexes into the whole string.

pub(crate) mod as_of;
mod comments;
mod copy;
pub(crate) mod ddl;
mod dialect;
mod error;
pub(crate) mod expr;
pub(crate) mod forms;
mod frames;
mod lexer;
mod lines;
mod literals;
mod maintenance;
mod options;
mod pieces;
pub(crate) mod rows;
mod scan;
pub(crate) mod search_cycle;
mod session;
pub(crate) mod targets;

pub(crate) use copy::{CopyPlace, CopySource, CopyStatement};
pub(crate) use lines::Lines;
pub(crate) use maintenance::{Maintenance, Named, Reindexed};
pub(crate) use options::{GivenOption, OptionValue};
pub use pieces::{Parsed, Piece};

use crate::stop;
use crate::utility::Utility;
use dialect::HyraxDialect;
use sqlparser::ast;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};
use std::sync::Arc;
use types::{Result, SqlError};

/// Levels of nesting that the parser follows.
const RECURSION_MAX: usize = 200;
/// Set operations in one string: their trees are as deep as they are many.
const SET_OPERATIONS_MAX: usize = 400;
/// Subscripts in one string.
const BRACKETS_IN_A_ROW_MAX: usize = 1_000;

/// One statement as parsed: its syntax tree and where it stands in the text it came from.
#[derive(Debug)]
pub struct Statement {
    pub(crate) syntax: Syntax,
    pub(crate) lines: Lines,
    text: String,
    /// 0-based character offset of `text` in the whole string; added to every position.
    offset: u32,
}

#[derive(Debug)]
pub(crate) enum Syntax {
    Sql(Box<ast::Statement>),
    /// What `ddl::parse` took.
    Ddl(Arc<crate::utility::ddl::Ddl>),
    /// Needs no names: done when parsed.
    Utility(Box<Utility>),
    Copy(Box<CopyStatement>),
    Maintenance(Box<Maintenance>),
    Execute {
        name: String,
        args: Vec<ast::Expr>,
    },
    Call(Box<ast::Function>),
    Explain {
        options: crate::utility::ExplainOptions,
        statement: Box<Statement>,
    },
    Prepare {
        name: String,
        types: Vec<ast::DataType>,
        statement: Arc<Statement>,
    },
    Declare {
        name: String,
        scroll: Option<bool>,
        hold: bool,
        binary: bool,
        query: Box<ast::Query>,
    },
}

/// What kind of statement it is, before it is bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatementKind {
    Query,
    Begin,
    Commit,
    Rollback,
    Savepoint,
    RollbackTo,
    Release,
    Utility,
}

impl Statement {
    /// The statement's own source, without the semicolon.
    pub fn text(&self) -> &str {
        &self.text
    }
    pub fn offset(&self) -> u32 {
        self.offset
    }
    /// The first parameter in its text, and where it stands: for where it may have none.
    pub fn first_parameter(&self) -> Option<(String, u32)> {
        let lines = Lines::behind(&self.text, self.offset);
        let tokens = tokenize(&self.text, &lines).ok()?;
        tokens.iter().find_map(|token| match &token.token {
            Token::Placeholder(name) => Some((name.clone(), lines.of(token.span))),
            _ => None,
        })
    }
    /// Its text with these expressions in the place of its parameters.
    pub fn text_with(&self, values: &[String]) -> Result<String> {
        let lines = Lines::new(&self.text);
        let mut characters = self.text.chars();
        let (mut out, mut at) = (String::new(), 1);
        for token in tokenize(&self.text, &lines)? {
            let Token::Placeholder(name) = &token.token else { continue };
            let number = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
            let Some(value) = number.and_then(|number| values.get(number.checked_sub(1)?)) else { continue };
            let start = lines.of(token.span);
            out.extend(characters.by_ref().take(start.saturating_sub(at) as usize));
            characters.by_ref().take(name.chars().count()).for_each(drop);
            at = start + name.chars().count() as u32;
            out.push_str(value);
        }
        out.extend(characters);
        Ok(out)
    }
    pub fn kind(&self) -> StatementKind {
        match &self.syntax {
            Syntax::Sql(statement) => match **statement {
                ast::Statement::Query(_)
                | ast::Statement::Insert(_)
                | ast::Statement::Update(_)
                | ast::Statement::Delete(_)
                | ast::Statement::Merge(_) => StatementKind::Query,
                _ => StatementKind::Utility,
            },
            Syntax::Utility(utility) => match **utility {
                Utility::Begin { .. } => StatementKind::Begin,
                Utility::Commit { .. } | Utility::PrepareTransaction => StatementKind::Commit,
                Utility::Rollback { .. } => StatementKind::Rollback,
                Utility::Savepoint(_) => StatementKind::Savepoint,
                Utility::RollbackTo(_) => StatementKind::RollbackTo,
                Utility::Release(_) => StatementKind::Release,
                _ => StatementKind::Utility,
            },
            _ => StatementKind::Utility,
        }
    }
    /// Whether it may run in a transaction that has failed, as far as its kind tells.
    pub fn is_transaction_control(&self) -> bool {
        self.kind().is_transaction_control()
    }
}

impl StatementKind {
    /// Whether such a statement may run in a transaction that has failed.
    pub fn is_transaction_control(self) -> bool {
        !matches!(self, StatementKind::Query | StatementKind::Utility)
    }
}

/// All statements of a string; none for "" and ";". 42601 with position, 54001 for nesting beyond the bounds.
pub fn parse(text: &str, standard_conforming_strings: bool) -> Result<Vec<Statement>> {
    check_backslashes(text, standard_conforming_strings)?;
    let mut statements = vec![];
    for piece in pieces::cut(text)? {
        stop::check()?;
        statements.append(&mut piece.parse(text)?);
    }
    Ok(statements)
}

/// The same, of a string with any number of statements: when there are many, only that they can be read.
pub fn parse_many(text: &str, standard_conforming_strings: bool) -> Result<Parsed> {
    check_backslashes(text, standard_conforming_strings)?;
    pieces::parse(text)
}

fn check_backslashes(text: &str, standard_conforming_strings: bool) -> Result<()> {
    match !standard_conforming_strings && text.contains('\\') {
        true => Err(SqlError::unsupported("standard_conforming_strings = off is not supported with backslashes")),
        false => Ok(()),
    }
}

/// The statements of a piece. `before`: characters of the string that stand before it.
fn parse_piece(text: &str, before: u32, statements: &mut Vec<Statement>) -> Result<()> {
    let lines = Lines::behind(text, before);
    let tokens = tokenize(text, &lines)?;
    check_depth(&tokens)?;
    // Each pass over the tokens of a long text takes a while.
    stop::spent(text.len())?;
    frames::check(&tokens, &lines)?;
    let past = as_of::rewritten(&tokens);
    let _versions = past.is_some().then(dialect::Versions::allow);
    let tokens = past.unwrap_or(tokens);
    let tokens = targets::with_documents(&tokens).unwrap_or(tokens);
    stop::spent(text.len())?;
    let tokens = targets::marked(&tokens, text, &lines).unwrap_or(tokens);
    stop::spent(text.len())?;
    let tokens = forms::rewritten(&tokens, text, &lines).unwrap_or(tokens);
    stop::spent(text.len())?;
    let tokens = rows::gathered(tokens);
    let mut parser = parser(tokens);
    let source = ddl::Source::new(text, &lines);
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        if parser.peek_token_ref().token == Token::EOF {
            return Ok(());
        }
        stop::check()?;
        statements.push(statement(&mut parser, &source, text, &lines)?);
    }
}

/// One expression, for stored defaults, checks and index expressions.
pub(crate) fn expression(text: &str) -> Result<ast::Expr> {
    expression_at(text, Location::new(1, 1))
}

/// The same for a part of a longer text, in which it begins at `start`: its places are those of that text.
pub(crate) fn expression_at(text: &str, start: Location) -> Result<ast::Expr> {
    let lines = Lines::new(text);
    let mut tokens = tokenize(text, &lines)?;
    check_depth(&tokens)?;
    tokens.iter_mut().for_each(|token| token.span = moved(token.span, start));
    let mut parser = parser(tokens);
    dialect::reset();
    let expr = parser.parse_expr().map_err(|e| error::from_parser(&e, &parser, text, &lines))?;
    match parser.peek_token_ref().token {
        Token::EOF => Ok(expr),
        _ => Err(error::at_next_token(&parser, text, &lines)),
    }
}

/// Of a text that begins at `start`. A place that is nowhere stays so.
fn moved(span: Span, start: Location) -> Span {
    let of = |at: Location| match at.line {
        0 => at,
        1 => Location::new(start.line, start.column.max(1) + at.column - 1),
        line => Location::new(start.line.max(1) + line - 1, at.column),
    };
    Span::new(of(span.start), of(span.end))
}

fn parser(tokens: Vec<TokenWithSpan>) -> Parser<'static> {
    Parser::new(&HyraxDialect).with_recursion_limit(RECURSION_MAX).with_tokens_with_locations(tokens)
}

fn tokenize(text: &str, lines: &Lines) -> Result<Vec<TokenWithSpan>> {
    let tokens = lexer::tokens(text, lines)?;
    stop::spent(text.len())?;
    let tokens = literals::read(tokens, text, lines)?;
    stop::spent(text.len())?;
    Ok(expr::wrap_whole_rows(expr::cut_operators(tokens, text, lines)))
}

fn check_depth(tokens: &[TokenWithSpan]) -> Result<()> {
    let (mut set_operations, mut brackets) = (0, 0);
    for token in tokens {
        match &token.token {
            Token::Word(word) if word.quote_style.is_none() => {
                let is_set_operation =
                    ["union", "intersect", "except"].iter().any(|name| word.value.eq_ignore_ascii_case(name));
                set_operations += usize::from(is_set_operation);
            }
            Token::LBracket => brackets += 1,
            Token::SemiColon => (set_operations, brackets) = (0, 0),
            _ => {}
        }
        if set_operations > SET_OPERATIONS_MAX || brackets > BRACKETS_IN_A_ROW_MAX {
            return Err(error::too_deep());
        }
    }
    Ok(())
}

fn statement(parser: &mut Parser<'_>, source: &ddl::Source<'_>, text: &str, lines: &Lines) -> Result<Statement> {
    dialect::reset();
    let start = parser.peek_token_ref().span.start;
    let syntax = match ddl::parse(parser, source) {
        Some(ddl) => Syntax::Ddl(Arc::new(ddl?)),
        None => session::Front { parser, source, text, lines }.statement()?,
    };
    if !matches!(parser.peek_token_ref().token, Token::SemiColon | Token::EOF) {
        return Err(error::at_next_token(parser, text, lines));
    }
    Ok(standing_from(start, syntax, parser, text, lines))
}

/// A query inside of another statement, which goes on behind it.
fn inner_statement(parser: &mut Parser<'_>, source: &ddl::Source<'_>, text: &str, lines: &Lines) -> Result<Statement> {
    let start = parser.peek_token_ref().span.start;
    let syntax = session::Front { parser, source, text, lines }.query()?;
    Ok(standing_from(start, syntax, parser, text, lines))
}

/// The statement that reaches from `start` to the next token.
fn standing_from(start: Location, syntax: Syntax, parser: &Parser<'_>, text: &str, lines: &Lines) -> Statement {
    let end = lines.byte(text, parser.peek_token_ref().span.start);
    let slice = text.get(lines.byte(text, start)..end).unwrap_or_default().trim_end();
    Statement { syntax, lines: lines.clone(), text: slice.to_owned(), offset: lines.position(start).saturating_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::{StopCheck, while_wanted};
    use std::sync::atomic::{AtomicU32, Ordering};
    use types::SqlState;

    /// A check that allows `most` looks.
    fn patient(most: u32) -> StopCheck {
        let looks = AtomicU32::new(0);
        Arc::new(move || match looks.fetch_add(1, Ordering::Relaxed) < most {
            true => Ok(()),
            false => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")),
        })
    }

    #[test]
    fn parsing_a_long_text_ends_when_nobody_wants_it() {
        let text = format!("values {}", vec!["(1)"; 5_000].join(","));
        let parsed = while_wanted(&patient(u32::MAX), || parse(&text, true));
        assert_eq!(parsed.map(|all| all.len()).ok(), Some(1));
        for looks in [0, 3, 6] {
            let stopped = while_wanted(&patient(looks), || parse(&text, true)).unwrap_err();
            assert_eq!(stopped.code(), SqlState::QUERY_CANCELED);
        }
        assert!(parse(&text, true).is_ok(), "the check is gone with its work");
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = parse(text, true).map(|s| s.len()).expect_err(text);
        let at = error.fields().position.unwrap_or(0);
        assert_eq!(format!("{} {} @{at}", error.code(), error.message()), expected, "{text}");
    }

    #[test]
    fn strings_are_split_into_statements() {
        assert!(parse("", true).unwrap().is_empty());
        assert!(parse(" ; ;", true).unwrap().is_empty());
        let statements = parse("select 1; begin;\ncommit", true).unwrap();
        let kinds: Vec<_> = statements.iter().map(Statement::kind).collect();
        assert_eq!(kinds, [StatementKind::Query, StatementKind::Begin, StatementKind::Commit]);
        assert_eq!(statements[2].text(), "commit");
        assert_eq!(statements[2].offset(), 17);
    }

    #[test]
    fn syntax_errors_are_postgresqls() {
        check_error("selec 1", "42601 syntax error at or near \"selec\" @1");
        check_error("select 1 +", "42601 syntax error at end of input @11");
        check_error("select 1; é selec", "42601 syntax error at or near \"é\" @11");
        check_error("select 'abc", "42601 unterminated quoted string at or near \"'abc\" @8");
    }

    #[test]
    fn long_statements_that_are_not_deep_are_parsed() {
        let rows: Vec<String> = (0..5_000).map(|i| format!("('n{i}'::varchar, {i} + 1)")).collect();
        assert_eq!(parse(&format!("values {}", rows.join(", ")), true).map(|s| s.len()).ok(), Some(1));
        let ors: Vec<String> = (0..400).map(|i| format!("id = {i}")).collect();
        assert_eq!(parse(&format!("select 1 from t where {}", ors.join(" or ")), true).map(|s| s.len()).ok(), Some(1));
    }

    #[test]
    fn depth_is_bounded() {
        for text in [
            format!("select 1{}", "+1".repeat(100_000)),
            format!("select 1{}", " union all select 1".repeat(10_000)),
            format!("select 1{}", "::int".repeat(100_000)),
            format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
            // Deep on the left, level by level.
            format!("select {}1{}", "(".repeat(90), format!("{})", "+1".repeat(20)).repeat(90)),
        ] {
            assert_eq!(parse(&text, true).map(|s| s.len()).expect_err("deep").code(), SqlState::STATEMENT_TOO_COMPLEX);
        }
    }
}
