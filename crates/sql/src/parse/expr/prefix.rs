//! Operands: literals, names with their fields and subscripts, parentheses and subqueries, prefix operators, keywords.

use super::infix::{self, string_at};
use super::precedence as level;
use super::{
    Result, at, call, expect, expect_token, here, is_token, is_word, list, named, nested, own_syntax, tokens, typed,
    unexpected, word_at,
};
use crate::parse::rows;
use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    AccessExpr, Array, CastKind, Expr as Ast, Function, FunctionArguments, Ident, ObjectName, Query, Subscript,
    UnaryOperator, Value,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token};

/// Names, parameters and what stands in parentheses take their subscripts themselves; nothing else may have any.
pub(super) fn operand(parser: &mut Parser<'_>) -> Result<Ast> {
    let operand = without_subscripts(parser)?;
    if is_token(parser, 0, &Token::LBracket) { unexpected(parser) } else { Ok(operand) }
}

fn without_subscripts(parser: &mut Parser<'_>) -> Result<Ast> {
    let span = here(parser);
    match &parser.peek_token_ref().token {
        Token::Word(word) if word.quote_style.is_none() => {
            let keyword = word.keyword;
            word_operand(parser, keyword, span)
        }
        Token::Word(word) if rows::is_mark(word) => rows::parse(parser, |parser| nested(parser, level::ANY)),
        Token::Word(_) => name(parser),
        Token::LParen => parenthesis(parser),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::SingleQuotedByteStringLiteral(_) => Ok(Ast::Value(parser.parse_value()?)),
        Token::Placeholder(_) => {
            let value = Ast::Value(parser.parse_value()?);
            indirection(parser, value)
        }
        Token::Plus | Token::Minus => {
            let op = if is_token(parser, 0, &Token::Minus) { UnaryOperator::Minus } else { UnaryOperator::Plus };
            parser.advance_token();
            let expr = Box::new(nested(parser, level::SIGN)?);
            Ok(at(span, Ast::UnaryOp { op, expr }))
        }
        Token::Eq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq | Token::RArrow => {
            unexpected(parser)
        }
        Token::Mul | Token::Div | Token::Mod | Token::Caret => unexpected(parser),
        token if tokens::spelling(token).is_some() => prefix_operator(parser, span),
        _ => unexpected(parser),
    }
}

fn prefix_operator(parser: &mut Parser<'_>, span: Span) -> Result<Ast> {
    let op = infix::operator_name(parser)?;
    let name = infix::operator_spelling(&op).unwrap_or_default();
    let expr = Box::new(nested(parser, level::OPERATOR)?);
    Ok(Ast::Named { expr, name: Ident::with_span(span, name) })
}

/// An operand that starts with an unquoted word.
fn word_operand(parser: &mut Parser<'_>, keyword: Keyword, span: Span) -> Result<Ast> {
    let parenthesis = is_token(parser, 1, &Token::LParen);
    match keyword {
        Keyword::NULL | Keyword::TRUE | Keyword::FALSE => Ok(Ast::Value(parser.parse_value()?)),
        Keyword::NOT => {
            parser.advance_token();
            let expr = Box::new(nested(parser, level::NOT)?);
            Ok(at(span, Ast::UnaryOp { op: UnaryOperator::Not, expr }))
        }
        Keyword::CASE => {
            parser.advance_token();
            parser.parse_case_expr()
        }
        Keyword::ARRAY => array(parser, span),
        Keyword::DEFAULT => {
            parser.advance_token();
            Ok(Ast::Identifier(Ident::with_span(span, "DEFAULT")))
        }
        Keyword::EXISTS if parenthesis => {
            parser.advance_token();
            let Some(subquery) = subquery(parser)? else { return unexpected_after_parenthesis(parser) };
            Ok(at(span, Ast::Exists { subquery, negated: false }))
        }
        Keyword::CAST if parenthesis => {
            parser.advance_token();
            parser.advance_token();
            let expr = nested(parser, level::ANY)?;
            expect(parser, "as")?;
            let cast = infix::cast(parser, expr, CastKind::Cast, span)?;
            expect_token(parser, &Token::RParen)?;
            Ok(cast)
        }
        // In a FROM item's arguments, which sqlparser reads one by one.
        Keyword::VARIADIC => {
            parser.advance_token();
            let expr = Box::new(nested(parser, level::ANY)?);
            Ok(Ast::Named { expr, name: Ident::with_span(span, super::Mark::VARIADIC) })
        }
        Keyword::OPERATOR if parenthesis => prefix_operator(parser, span),
        Keyword::COLLATION if is_word(parser, 1, "for") => {
            parser.advance_token();
            parser.advance_token();
            expect_token(parser, &Token::LParen)?;
            let arg = nested(parser, level::ANY)?;
            expect_token(parser, &Token::RParen)?;
            Ok(own_syntax("pg_collation_for", span, vec![arg]))
        }
        Keyword::CURRENT_DATE
        | Keyword::CURRENT_TIME
        | Keyword::CURRENT_TIMESTAMP
        | Keyword::LOCALTIME
        | Keyword::LOCALTIMESTAMP
        | Keyword::CURRENT_USER
        | Keyword::CURRENT_ROLE
        | Keyword::SESSION_USER
        | Keyword::USER
        | Keyword::CURRENT_CATALOG => value_function(parser, keyword, span),
        Keyword::CURRENT_SCHEMA if !parenthesis => value_function(parser, keyword, span),
        _ => match typed::literal(parser, span)? {
            Some(literal) => Ok(literal),
            None if parenthesis => match call::own_syntax_call(parser, span)? {
                Some(call) => Ok(call),
                None => name(parser),
            },
            None => name(parser),
        },
    }
}

/// CURRENT_TIMESTAMP and its like: without parentheses, some with a precision.
fn value_function(parser: &mut Parser<'_>, keyword: Keyword, span: Span) -> Result<Ast> {
    let word = word_at(parser, 0).unwrap_or_default().to_ascii_lowercase();
    parser.advance_token();
    let has_precision = matches!(
        keyword,
        Keyword::CURRENT_TIME | Keyword::CURRENT_TIMESTAMP | Keyword::LOCALTIME | Keyword::LOCALTIMESTAMP
    );
    if has_precision && is_token(parser, 0, &Token::LParen) {
        parser.advance_token();
        if !matches!(parser.peek_token_ref().token, Token::Number(..)) {
            return unexpected(parser);
        }
        let precision = Ast::Value(parser.parse_value()?);
        expect_token(parser, &Token::RParen)?;
        return Ok(named(&word, span, vec![precision]));
    }
    Ok(Ast::Function(Function {
        args: FunctionArguments::None,
        ..super::function(Ident::with_span(span, word), vec![])
    }))
}

/// `ARRAY[…]`, with arrays of arrays written without the word; `ARRAY(SELECT …)`.
fn array(parser: &mut Parser<'_>, span: Span) -> Result<Ast> {
    parser.advance_token();
    if is_token(parser, 0, &Token::LParen) {
        let Some(query) = subquery(parser)? else { return unexpected_after_parenthesis(parser) };
        let name = ObjectName::from(vec![Ident::with_span(span, "ARRAY")]);
        let call = super::function(Ident::new(""), vec![]);
        return Ok(Ast::Function(Function { name, args: FunctionArguments::Subquery(query), ..call }));
    }
    Ok(at(span, elements(parser, true)?))
}

/// Brackets nest as deeply as `parse::check_depth` lets them.
fn elements(parser: &mut Parser<'_>, named: bool) -> Result<Ast> {
    expect_token(parser, &Token::LBracket)?;
    if parser.consume_token(&Token::RBracket) {
        return Ok(Ast::Array(Array { elem: vec![], named }));
    }
    let mut elem = vec![];
    if is_token(parser, 0, &Token::LBracket) {
        loop {
            let span = here(parser);
            elem.push(at(span, elements(parser, false)?));
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    } else {
        elem = list(parser)?;
    }
    expect_token(parser, &Token::RBracket)?;
    Ok(Ast::Array(Array { elem, named }))
}

/// A column with its table, fields and subscripts; `t.*`; a call of a function.
fn name(parser: &mut Parser<'_>) -> Result<Ast> {
    if let Token::Word(word) = &parser.peek_token_ref().token
        && word.quote_style.is_none()
        && !super::call::may_start_operand(&word.value, is_token(parser, 1, &Token::LParen))
    {
        return unexpected(parser);
    }
    let mut parts = vec![parser.parse_identifier()?];
    while is_token(parser, 0, &Token::Period) {
        parser.advance_token();
        match &parser.peek_token_ref().token {
            Token::Word(_) => parts.push(parser.parse_identifier()?),
            Token::Mul => {
                let star = parser.next_token();
                return Ok(Ast::QualifiedWildcard(ObjectName::from(parts), AttachedToken(star)));
            }
            _ => return unexpected(parser),
        }
    }
    if is_token(parser, 0, &Token::LParen) {
        return call::function_call(parser, ObjectName::from(parts));
    }
    if string_at(parser, 0) {
        return typed::named_literal(parser, parts);
    }
    let root = match <[Ident; 1]>::try_from(parts) {
        Ok([one]) => Ast::Identifier(one),
        Err(parts) => Ast::CompoundIdentifier(parts),
    };
    indirection(parser, root)
}

/// `.field`, `.*` and subscripts after an operand.
fn indirection(parser: &mut Parser<'_>, root: Ast) -> Result<Ast> {
    let mut chain = vec![];
    loop {
        if is_token(parser, 0, &Token::Period) {
            parser.advance_token();
            match &parser.peek_token_ref().token {
                Token::Word(_) => chain.push(AccessExpr::Dot(Ast::Identifier(parser.parse_identifier()?))),
                Token::Mul => {
                    let star = AttachedToken(parser.next_token());
                    chain.push(AccessExpr::Dot(Ast::Wildcard(star)));
                }
                _ => return unexpected(parser),
            }
        } else if is_token(parser, 0, &Token::LBracket) {
            parser.advance_token();
            chain.push(AccessExpr::Subscript(subscript(parser)?));
        } else if chain.is_empty() {
            return Ok(root);
        } else {
            return Ok(Ast::CompoundFieldAccess { root: Box::new(root), access_chain: chain });
        }
    }
}

fn subscript(parser: &mut Parser<'_>) -> Result<Subscript> {
    let bound = |parser: &mut Parser<'_>| match parser.peek_token_ref().token {
        Token::Colon | Token::RBracket => Ok(None),
        _ => nested(parser, level::ANY).map(Some),
    };
    let lower = bound(parser)?;
    if parser.consume_token(&Token::Colon) {
        let upper = bound(parser)?;
        expect_token(parser, &Token::RBracket)?;
        return Ok(Subscript::Slice { lower_bound: lower, upper_bound: upper, stride: None });
    }
    let Some(index) = lower else { return unexpected(parser) };
    expect_token(parser, &Token::RBracket)?;
    Ok(Subscript::Index { index })
}

// --- parentheses

/// `(a)`, `(a, b)` and `(SELECT …)`, the first and the last with fields and subscripts.
fn parenthesis(parser: &mut Parser<'_>) -> Result<Ast> {
    let span = here(parser);
    if let Some(query) = subquery(parser)? {
        return indirection(parser, at(span, Ast::Subquery(query)));
    }
    parser.advance_token();
    let mut items = list(parser)?;
    expect_token(parser, &Token::RParen)?;
    match items.len() {
        1 => {
            let inner = items.pop().unwrap_or_else(|| Ast::Value(Value::Null.with_span(span)));
            indirection(parser, Ast::Nested(Box::new(inner)))
        }
        _ => Ok(Ast::Tuple(items)),
    }
}

/// The rest of `ANY (…)`, behind the parenthesis.
pub(super) fn parenthesized(parser: &mut Parser<'_>) -> Result<Ast> {
    parser.prev_token();
    let span = here(parser);
    if let Some(query) = subquery(parser)? {
        return Ok(at(span, Ast::Subquery(query)));
    }
    parser.advance_token();
    let inner = nested(parser, level::ANY)?;
    expect_token(parser, &Token::RParen)?;
    Ok(inner)
}

fn starts_query(parser: &Parser<'_>, n: usize) -> bool {
    ["select", "with", "values", "table"].iter().any(|w| is_word(parser, n, w))
}

/// `(SELECT …)` if one stands next; `((SELECT …) UNION …)` too, but not `((SELECT …) + 1)`.
pub(super) fn subquery(parser: &mut Parser<'_>) -> Result<Option<Box<Query>>> {
    let mut depth = 1;
    while is_token(parser, depth, &Token::LParen) {
        depth += 1;
        if depth > super::super::RECURSION_MAX {
            return Err(ParserError::RecursionLimitExceeded);
        }
    }
    if !starts_query(parser, depth) {
        return Ok(None);
    }
    let whole = |parser: &mut Parser<'_>| {
        parser.advance_token();
        let query = parser.parse_query()?;
        expect_token(parser, &Token::RParen)?;
        Ok(query)
    };
    if depth == 1 {
        return whole(parser).map(Some);
    }
    Ok(parser.try_parse(whole).ok())
}

fn unexpected_after_parenthesis<T>(parser: &mut Parser<'_>) -> Result<T> {
    parser.advance_token();
    unexpected(parser)
}
