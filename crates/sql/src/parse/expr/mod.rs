//! The grammar of expressions: PostgreSQL's a_expr, read from sqlparser's tokens into sqlparser's tree.
//!
//! sqlparser asks its dialect for the prefix of an expression; ours answers with the whole of it, so that precedence,
//! associativity and the place of each error are PostgreSQL's wherever an expression stands. Nesting (parentheses, arguments,
//! prefix operators) goes through sqlparser's `parse_subexpr`, which counts its depth and grows the stack; what binds to
//! the left is a loop.
//!
//! The tree has no room for some of what the binder needs, so these shapes carry more than they were made for:
//! - `Prefixed { prefix, value }`: `value`, whose own token (its operator, keyword or bracket) stands at the prefix's span. The
//!   prefix's text is a [`Mark`] or empty.
//! - `Named { expr, name }`: a prefix operator called `name`; or `VARIADIC` before an argument.
//! - `Function` with `uses_odbc_syntax`: syntax of its own for a function of pg_catalog (`EXTRACT`, `OVERLAY`, `AT TIME ZONE`).
//! - `Cast` whose `format` is a NULL: where the name of the type stands.

mod call;
mod infix;
mod prefix;
mod tokens;
mod typed;

use super::dialect::Depth;
pub(crate) use infix::operator_spelling;
pub(super) use tokens::{cut_operators, spelling, wrap_whole_rows};

use sqlparser::ast::{
    Expr as Ast, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    Value,
};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};
use std::cell::Cell;

type Result<T> = std::result::Result<T, ParserError>;

/// What the text of a `Prefixed` may say of its value.
pub(crate) struct Mark;

impl Mark {
    /// BETWEEN SYMMETRIC.
    pub(crate) const SYMMETRIC: &str = "symmetric";
    /// `VARIADIC x`, in the name of a `Named`.
    pub(crate) const VARIADIC: &str = "VARIADIC";
}

/// Precedences, the loosest first. Those of one number bind alike.
mod precedence {
    pub(super) const ANY: u8 = 0;
    pub(super) const OR: u8 = 5;
    pub(super) const AND: u8 = 10;
    pub(super) const NOT: u8 = 15;
    pub(super) const IS: u8 = 17;
    pub(super) const COMPARISON: u8 = 20;
    /// IN, BETWEEN, LIKE, ILIKE, SIMILAR TO, with or without NOT.
    pub(super) const MATCH: u8 = 30;
    pub(super) const OPERATOR: u8 = 70;
    pub(super) const ADDITION: u8 = 80;
    pub(super) const MULTIPLICATION: u8 = 90;
    pub(super) const POWER: u8 = 100;
    pub(super) const AT: u8 = 110;
    pub(super) const COLLATE: u8 = 120;
    pub(super) const SIGN: u8 = 130;
    pub(super) const CAST: u8 = 150;

    /// `a < b < c` is an error.
    pub(super) fn is_alone(precedence: u8) -> bool {
        matches!(precedence, IS | COMPARISON | MATCH)
    }
}

thread_local! {
    /// What the next expression must bind tighter than: the dialect is asked without it.
    static MINIMUM: Cell<u8> = const { Cell::new(precedence::ANY) };
}

/// What the dialect answers with for an expression.
pub(super) fn expression(parser: &mut Parser<'_>) -> Result<Ast> {
    bound(parser, MINIMUM.replace(precedence::ANY))
}

/// PostgreSQL's b_expr, which can stand before `NOT NULL`, `IN` and `AND`.
pub(super) fn plain(parser: &mut Parser<'_>) -> Result<Ast> {
    nested(parser, precedence::MATCH)
}

/// An expression one level deeper, in which all binds tighter than `minimum`.
fn nested(parser: &mut Parser<'_>, minimum: u8) -> Result<Ast> {
    MINIMUM.set(minimum);
    let parsed = parser.parse_subexpr(0);
    MINIMUM.set(precedence::ANY);
    parsed
}

/// An expression in which all binds tighter than `minimum`. Calls itself no deeper than there are precedences.
fn bound(parser: &mut Parser<'_>, minimum: u8) -> Result<Ast> {
    let mut depth = Depth::start();
    let mut expr = prefix::operand(parser)?;
    depth.grow()?;
    let mut last = precedence::ANY;
    loop {
        let next = infix::precedence(parser, &expr);
        if next <= minimum {
            depth.end();
            return Ok(expr);
        }
        if next == last && precedence::is_alone(next) {
            return unexpected(parser);
        }
        expr = infix::infix(parser, expr, next)?;
        depth.grow()?;
        last = if infix::is_closed(&expr) { precedence::ANY } else { next };
    }
}

// --- tokens

fn unexpected<T>(parser: &Parser<'_>) -> Result<T> {
    parser.expected_ref("an expression", parser.peek_token_ref())
}

/// The unquoted word that is `n` tokens ahead.
fn word_at<'p>(parser: &'p Parser<'_>, n: usize) -> Option<&'p str> {
    match &parser.peek_nth_token_ref(n).token {
        Token::Word(Word { value, quote_style: None, .. }) => Some(value),
        _ => None,
    }
}

fn is_word(parser: &Parser<'_>, n: usize, word: &str) -> bool {
    word_at(parser, n).is_some_and(|w| w.eq_ignore_ascii_case(word))
}

fn accept(parser: &mut Parser<'_>, word: &str) -> bool {
    let found = is_word(parser, 0, word);
    if found {
        parser.advance_token();
    }
    found
}

fn expect(parser: &mut Parser<'_>, word: &str) -> Result<()> {
    if accept(parser, word) { Ok(()) } else { unexpected(parser) }
}

fn expect_token(parser: &mut Parser<'_>, token: &Token) -> Result<()> {
    if parser.consume_token(token) { Ok(()) } else { unexpected(parser) }
}

fn is_token(parser: &Parser<'_>, n: usize, token: &Token) -> bool {
    parser.peek_nth_token_ref(n).token == *token
}

fn is_string(token: &TokenWithSpan) -> bool {
    matches!(
        token.token,
        Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::DollarQuotedString(_)
    )
}

fn here(parser: &Parser<'_>) -> Span {
    parser.peek_token_ref().span
}

fn list(parser: &mut Parser<'_>) -> Result<Vec<Ast>> {
    let mut items = vec![];
    loop {
        items.push(nested(parser, precedence::ANY)?);
        if !parser.consume_token(&Token::Comma) {
            return Ok(items);
        }
    }
}

// --- trees

/// `value`, whose own token stands at `span`.
fn at(span: Span, value: Ast) -> Ast {
    marked("", span, value)
}

fn marked(mark: &str, span: Span, value: Ast) -> Ast {
    Ast::Prefixed { prefix: Ident::with_span(span, mark), value: Box::new(value) }
}

fn string(text: &str, span: Span) -> Ast {
    Ast::Value(Value::SingleQuotedString(text.to_owned()).with_span(span))
}

/// A function of pg_catalog's that is written in syntax of its own.
fn own_syntax(name: &str, span: Span, args: Vec<Ast>) -> Ast {
    Ast::Function(Function { uses_odbc_syntax: true, ..function(Ident::with_span(span, name), args) })
}

/// A function that is called by its name.
fn named(name: &str, span: Span, args: Vec<Ast>) -> Ast {
    Ast::Function(function(Ident::with_span(span, name), args))
}

fn function(name: Ident, args: Vec<Ast>) -> Function {
    let args = args.into_iter().map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a))).collect();
    Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    }
}
