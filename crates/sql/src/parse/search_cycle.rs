//! SEARCH and CYCLE behind a recursive WITH query, for which sqlparser's tree has no place.
//!
//! ```text
//! q AS (…) SEARCH DEPTH FIRST BY a, b SET seq CYCLE a SET mark TO 'y' DEFAULT 'n' USING path
//! ```
//!
//! In the token stream the clauses become a query of their own behind it, whose name carries their text (`forms` says how marks
//! work): `q AS (…), "\0search cycle\0SEARCH …" AS (SELECT 1)`. The binder takes it off again with [`of_cte`].

use super::forms::{self, is, mark};
use super::{HyraxDialect, Lines};
use sqlparser::ast::{self, Ident};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

const SEARCH_CYCLE: &str = "search cycle\0";

/// What the two clauses say, with the positions of the client's text.
#[derive(Clone, Debug, Default)]
pub(crate) struct SearchCycle {
    pub search: Option<Search>,
    pub cycle: Option<Cycle>,
}

#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub span: Span,
    pub is_depth_first: bool,
    pub columns: Vec<Ident>,
    pub sequence: Ident,
}

#[derive(Clone, Debug)]
pub(crate) struct Cycle {
    pub span: Span,
    pub columns: Vec<Ident>,
    pub mark: Ident,
    /// The mark's value on a cycle and off it; none: true and false.
    pub values: Option<(ast::Expr, ast::Expr)>,
    pub path: Ident,
}

/// The clauses that a marked WITH query stands for; None for the client's own queries.
pub(crate) fn of_cte(cte: &ast::Cte) -> Option<Result<SearchCycle, ParserError>> {
    let name = &cte.alias.name;
    let text = forms::marked(name)?.strip_prefix(SEARCH_CYCLE)?;
    Some(decode(text, name.span.start))
}

/// Where in the client's text something stands that stands `at` a place of the clauses.
fn moved(at: Location, start: Location) -> Location {
    match at.line {
        1 => Location { line: start.line, column: start.column + at.column.saturating_sub(1) },
        line => Location { line: start.line + line - 1, column: at.column },
    }
}

fn decode(text: &str, start: Location) -> Result<SearchCycle, ParserError> {
    let mut tokens = Tokenizer::new(&HyraxDialect, text).tokenize_with_location()?;
    for token in &mut tokens {
        token.span = Span { start: moved(token.span.start, start), end: moved(token.span.end, start) };
    }
    let mut parser = Parser::new(&HyraxDialect).with_tokens_with_locations(tokens);
    let mut clauses = SearchCycle::default();
    let span = parser.peek_token_ref().span;
    if parser.parse_keyword(Keyword::SEARCH) {
        let is_depth_first = parser.parse_identifier()?.value.eq_ignore_ascii_case("depth");
        parser.expect_keywords(&[Keyword::FIRST, Keyword::BY])?;
        let columns = parser.parse_comma_separated(Parser::parse_identifier)?;
        parser.expect_keyword(Keyword::SET)?;
        clauses.search = Some(Search { span, is_depth_first, columns, sequence: parser.parse_identifier()? });
    }
    let span = parser.peek_token_ref().span;
    if parser.parse_keyword(Keyword::CYCLE) {
        let columns = parser.parse_comma_separated(Parser::parse_identifier)?;
        parser.expect_keyword(Keyword::SET)?;
        let mark = parser.parse_identifier()?;
        let values = match parser.parse_keyword(Keyword::TO) {
            true => {
                let value = parser.parse_expr()?;
                parser.expect_keyword(Keyword::DEFAULT)?;
                Some((value, parser.parse_expr()?))
            }
            false => None,
        };
        parser.expect_keyword(Keyword::USING)?;
        clauses.cycle = Some(Cycle { span, columns, mark, values, path: parser.parse_identifier()? });
    }
    match parser.peek_token_ref().token {
        Token::EOF => Ok(clauses),
        _ => Err(ParserError::ParserError("unexpected token behind CYCLE".into())),
    }
}

/// How many tokens behind a WITH query's parenthesis are its SEARCH and CYCLE clauses; 0: none.
fn clauses_length(tokens: &[&TokenWithSpan]) -> usize {
    let word = |at: usize, name: &str| tokens.get(at).is_some_and(|t| is(t, name));
    let is_ident = |at: usize| matches!(tokens.get(at).map(|t| &t.token), Some(Token::Word(_)));
    // `a, b SET name`: the place behind it.
    let columns_and_name = |mut at: usize| {
        while is_ident(at) && tokens.get(at + 1).is_some_and(|t| t.token == Token::Comma) {
            at += 2;
        }
        (is_ident(at) && word(at + 1, "set") && is_ident(at + 2)).then_some(at + 3)
    };
    let mut at = 0;
    if word(0, "search") && (word(1, "depth") || word(1, "breadth")) && word(2, "first") && word(3, "by") {
        let Some(end) = columns_and_name(4) else { return 0 };
        at = end;
    }
    if !word(at, "cycle") {
        return at;
    }
    let Some(end) = columns_and_name(at + 1) else { return at };
    let using = (end..tokens.len()).take_while(|n| !word(*n, "as")).find(|n| word(*n, "using"));
    match using {
        Some(using) if is_ident(using + 1) => using + 2,
        _ => at,
    }
}

/// What stands for the clauses at the head of `tokens`, and how many tokens they are.
pub(super) fn rewritten(tokens: &[&TokenWithSpan], text: &str, lines: &Lines) -> Option<(Vec<TokenWithSpan>, usize)> {
    let length = clauses_length(tokens);
    let (first, last) = (tokens.first()?, tokens.get(length.checked_sub(1)?)?);
    let written = text.get(lines.byte(text, first.span.start)..lines.byte(text, last.span.end))?;
    let plain = |token: Token| TokenWithSpan { token, span: first.span };
    let out = vec![
        plain(Token::Comma),
        mark(&format!("{SEARCH_CYCLE}{written}"), first.span),
        plain(Token::make_keyword("AS")),
        plain(Token::LParen),
        plain(Token::make_keyword("SELECT")),
        plain(Token::Number("1".into(), false)),
        plain(Token::RParen),
    ];
    Some((out, length))
}
