//! What follows an operand: operators, casts, IS, IN, BETWEEN, LIKE, AT TIME ZONE, COLLATE, ANY and ALL.

use super::precedence as level;
use super::{
    Mark, Result, accept, at, bound, expect, expect_token, here, is_string, is_token, is_word, list, marked, named,
    own_syntax, tokens, unexpected, word_at,
};
use sqlparser::ast::{BinaryOperator as Op, CastFormat, CastKind, Expr as Ast, InTarget, NormalizationForm, Value};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token};

/// How tightly what stands next binds to the operand before it; 0 where it belongs to no expression.
pub(super) fn precedence(parser: &Parser<'_>, left: &Ast) -> u8 {
    let token = &parser.peek_token_ref().token;
    match token {
        Token::DoubleColon => level::CAST,
        Token::Plus | Token::Minus => level::ADDITION,
        Token::Mul | Token::Div | Token::Mod => level::MULTIPLICATION,
        Token::Caret => level::POWER,
        Token::Lt | Token::Gt | Token::Eq | Token::LtEq | Token::GtEq | Token::Neq => level::COMPARISON,
        Token::RArrow => level::ANY,
        Token::Word(word) if word.quote_style.is_none() => keyword(parser, &word.value, left),
        other if tokens::spelling(other).is_some() => level::OPERATOR,
        _ => level::ANY,
    }
}

fn keyword(parser: &Parser<'_>, word: &str, left: &Ast) -> u8 {
    // No word below is longer; most words after an operand are.
    if word.len() > 8 {
        return level::ANY;
    }
    let mut lower = [0u8; 8];
    for (to, from) in lower.iter_mut().zip(word.bytes()) {
        *to = from.to_ascii_lowercase();
    }
    match lower.get(..word.len()).unwrap_or_default() {
        b"or" => level::OR,
        b"and" => level::AND,
        b"is" | b"isnull" | b"notnull" => level::IS,
        b"in" | b"between" | b"like" | b"ilike" => level::MATCH,
        b"similar" if is_word(parser, 1, "to") => level::MATCH,
        b"not" if ["in", "between", "like", "ilike", "similar"].iter().any(|w| is_word(parser, 1, w)) => level::MATCH,
        b"at" if is_word(parser, 1, "time") => level::AT,
        b"collate" => level::COLLATE,
        b"operator" if is_token(parser, 1, &Token::LParen) => level::OPERATOR,
        b"overlaps" if is_row(left) => level::MATCH,
        _ => level::ANY,
    }
}

fn is_row(expr: &Ast) -> bool {
    match expr {
        Ast::Tuple(_) => true,
        Ast::Function(call) => {
            matches!(call.name.0.as_slice(), [name] if name.as_ident().is_some_and(|i| i.quote_style.is_none() && i.value.eq_ignore_ascii_case("row")))
        }
        _ => false,
    }
}

pub(super) fn infix(parser: &mut Parser<'_>, left: Ast, precedence: u8) -> Result<Ast> {
    let span = here(parser);
    match precedence {
        level::CAST => {
            parser.advance_token();
            cast(parser, left, CastKind::DoubleColon, span)
        }
        level::OR | level::AND => {
            parser.advance_token();
            let op = if precedence == level::OR { Op::Or } else { Op::And };
            let right = bound(parser, precedence)?;
            Ok(Ast::BinaryOp { left: Box::new(left), op, right: Box::new(right) })
        }
        level::IS => is(parser, left, span),
        level::MATCH => matching(parser, left, span),
        level::AT => {
            parser.advance_token();
            expect(parser, "time")?;
            expect(parser, "zone")?;
            let zone = bound(parser, precedence)?;
            Ok(own_syntax("timezone", span, vec![zone, left]))
        }
        level::COLLATE => {
            parser.advance_token();
            let collation = parser.parse_object_name(false)?;
            Ok(at(span, Ast::Collate { expr: Box::new(left), collation }))
        }
        _ => operator(parser, left, precedence, span),
    }
}

/// The type after `::` or AS.
pub(super) fn cast(parser: &mut Parser<'_>, expr: Ast, kind: CastKind, span: Span) -> Result<Ast> {
    let place = here(parser);
    let data_type = parser.parse_data_type()?;
    let format = Some(CastFormat::Value(Value::Null.with_span(place)));
    Ok(at(span, Ast::Cast { kind, expr: Box::new(expr), data_type, format }))
}

/// The operator that stands next, `OPERATOR(pg_catalog.+)` too. Errors if there is none.
pub(super) fn operator_name(parser: &mut Parser<'_>) -> Result<Op> {
    if is_word(parser, 0, "operator") && is_token(parser, 1, &Token::LParen) {
        parser.advance_token();
        parser.advance_token();
        let mut parts = vec![];
        while matches!(parser.peek_token_ref().token, Token::Word(_)) {
            let part = parser.parse_identifier()?;
            parts.push(if part.quote_style.is_some() { part.value } else { part.value.to_lowercase() });
            expect_token(parser, &Token::Period)?;
        }
        let Some(name) = tokens::spelling(&parser.peek_token_ref().token).map(str::to_owned) else {
            return unexpected(parser);
        };
        parser.advance_token();
        expect_token(parser, &Token::RParen)?;
        parts.push(name);
        return Ok(Op::PGCustomBinaryOperator(parts));
    }
    let op = match &parser.peek_token_ref().token {
        Token::Eq => Op::Eq,
        Token::Neq => Op::NotEq,
        Token::Lt => Op::Lt,
        Token::Gt => Op::Gt,
        Token::LtEq => Op::LtEq,
        Token::GtEq => Op::GtEq,
        Token::Plus => Op::Plus,
        Token::Minus => Op::Minus,
        Token::Mul => Op::Multiply,
        Token::Div => Op::Divide,
        Token::Mod => Op::Modulo,
        Token::StringConcat => Op::StringConcat,
        token => match tokens::spelling(token) {
            Some(name) => Op::Custom(name.to_owned()),
            None => return unexpected(parser),
        },
    };
    parser.advance_token();
    Ok(op)
}

fn operator(parser: &mut Parser<'_>, left: Ast, precedence: u8, span: Span) -> Result<Ast> {
    let op = operator_name(parser)?;
    if let Some(all) = quantifier(parser) {
        return quantified(parser, left, op, all, span);
    }
    let right = Box::new(bound(parser, precedence)?);
    Ok(at(span, Ast::BinaryOp { left: Box::new(left), op, right }))
}

/// Whether ANY/SOME (false) or ALL (true) with a parenthesis stands next.
fn quantifier(parser: &Parser<'_>) -> Option<bool> {
    if !is_token(parser, 1, &Token::LParen) {
        return None;
    }
    let word = word_at(parser, 0)?;
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    if is("any") || is("some") { Some(false) } else { is("all").then_some(true) }
}

fn quantified(parser: &mut Parser<'_>, left: Ast, compare_op: Op, all: bool, span: Span) -> Result<Ast> {
    parser.advance_token();
    parser.advance_token();
    let right = Box::new(super::prefix::parenthesized(parser)?);
    let left = Box::new(left);
    let node = match all {
        true => Ast::AllOp { left, compare_op, right },
        false => Ast::AnyOp { left, compare_op, right, is_some: false },
    };
    Ok(at(span, node))
}

fn is(parser: &mut Parser<'_>, left: Ast, span: Span) -> Result<Ast> {
    let left = Box::new(left);
    if accept(parser, "isnull") {
        return Ok(at(span, Ast::IsNull(left)));
    }
    if accept(parser, "notnull") {
        return Ok(at(span, Ast::IsNotNull(left)));
    }
    parser.advance_token();
    let not = accept(parser, "not");
    let word = word_at(parser, 0).unwrap_or_default().to_ascii_lowercase();
    let node = match word.as_str() {
        "null" if not => Ast::IsNotNull(left),
        "null" => Ast::IsNull(left),
        "true" if not => Ast::IsNotTrue(left),
        "true" => Ast::IsTrue(left),
        "false" if not => Ast::IsNotFalse(left),
        "false" => Ast::IsFalse(left),
        "unknown" if not => Ast::IsNotUnknown(left),
        "unknown" => Ast::IsUnknown(left),
        "distinct" => {
            parser.advance_token();
            expect(parser, "from")?;
            let right = Box::new(bound(parser, level::IS)?);
            let node = if not { Ast::IsNotDistinctFrom(left, right) } else { Ast::IsDistinctFrom(left, right) };
            return Ok(at(span, node));
        }
        "document" => own_syntax("xml_is_document", span, vec![*left]),
        "normalized" => Ast::IsNormalized { expr: left, form: None, negated: not },
        "nfc" | "nfd" | "nfkc" | "nfkd" if is_word(parser, 1, "normalized") => {
            parser.advance_token();
            let form = Some(match word.as_str() {
                "nfc" => NormalizationForm::NFC,
                "nfd" => NormalizationForm::NFD,
                "nfkc" => NormalizationForm::NFKC,
                _ => NormalizationForm::NFKD,
            });
            Ast::IsNormalized { expr: left, form, negated: not }
        }
        _ => return unexpected(parser),
    };
    parser.advance_token();
    Ok(at(span, node))
}

fn matching(parser: &mut Parser<'_>, left: Ast, span: Span) -> Result<Ast> {
    let negated = accept(parser, "not");
    let word = word_at(parser, 0).unwrap_or_default().to_ascii_lowercase();
    parser.advance_token();
    match word.as_str() {
        "in" => within(parser, left, negated, span),
        "between" => between(parser, left, negated, span),
        "like" => like(parser, left, if negated { "!~~" } else { "~~" }, "like_escape", span),
        "ilike" => like(parser, left, if negated { "!~~*" } else { "~~*" }, "like_escape", span),
        "overlaps" => {
            let right = bound(parser, level::MATCH)?;
            if !is_row(&right) {
                return unexpected(parser);
            }
            Ok(own_syntax("overlaps", span, vec![left, right]))
        }
        _ => {
            expect(parser, "to")?;
            let (pattern, escape) = pattern(parser)?;
            let args = std::iter::once(pattern).chain(escape).collect();
            let right = Box::new(named("similar_to_escape", span, args));
            let op = Op::Custom(if negated { "!~" } else { "~" }.to_owned());
            Ok(at(span, Ast::BinaryOp { left: Box::new(left), op, right }))
        }
    }
}

fn pattern(parser: &mut Parser<'_>) -> Result<(Ast, Option<Ast>)> {
    let pattern = bound(parser, level::MATCH)?;
    let escape = if accept(parser, "escape") { Some(bound(parser, level::MATCH)?) } else { None };
    Ok((pattern, escape))
}

fn like(parser: &mut Parser<'_>, left: Ast, name: &str, escape_function: &str, span: Span) -> Result<Ast> {
    let op = Op::Custom(name.to_owned());
    if let Some(all) = quantifier(parser) {
        return quantified(parser, left, op, all, span);
    }
    let (pattern, escape) = pattern(parser)?;
    let right = match escape {
        Some(escape) => named(escape_function, span, vec![pattern, escape]),
        None => pattern,
    };
    Ok(at(span, Ast::BinaryOp { left: Box::new(left), op, right: Box::new(right) }))
}

fn within(parser: &mut Parser<'_>, left: Ast, negated: bool, span: Span) -> Result<Ast> {
    let expr = Box::new(left);
    if !is_token(parser, 0, &Token::LParen) {
        return unexpected(parser);
    }
    let target = match super::prefix::subquery(parser)? {
        Some(query) => InTarget::Subquery(query),
        None => {
            parser.advance_token();
            let items = list(parser)?;
            expect_token(parser, &Token::RParen)?;
            InTarget::List(items)
        }
    };
    Ok(at(span, Ast::In { expr, target, negated, global: false }))
}

fn between(parser: &mut Parser<'_>, left: Ast, negated: bool, span: Span) -> Result<Ast> {
    let symmetric = accept(parser, "symmetric");
    if !symmetric {
        accept(parser, "asymmetric");
    }
    let low = Box::new(bound(parser, level::MATCH)?);
    expect(parser, "and")?;
    let high = Box::new(bound(parser, level::MATCH)?);
    let node = Ast::Between { expr: Box::new(left), negated, low, high };
    Ok(marked(if symmetric { Mark::SYMMETRIC } else { "" }, span, node))
}

/// Whether a string stands `n` tokens ahead.
pub(super) fn string_at(parser: &Parser<'_>, n: usize) -> bool {
    is_string(parser.peek_nth_token_ref(n))
}

/// pg_operator's name of an operator, behind the schema of OPERATOR(schema.op). None where it is no operator of PostgreSQL's.
pub(crate) fn operator_spelling(op: &Op) -> Option<String> {
    match op {
        Op::And | Op::Or => None,
        Op::PGCustomBinaryOperator(parts) => Some(parts.join(".")),
        Op::Custom(name) => Some(name.clone()),
        other => Some(other.to_string()),
    }
}

/// Whether nothing can follow that would belong to the last operand: `a IS NULL`, `a IN (…)`, `a = ANY (…)`.
pub(super) fn is_closed(expr: &Ast) -> bool {
    let Ast::Prefixed { value, .. } = expr else { return false };
    matches!(
        **value,
        Ast::IsNull(_)
            | Ast::IsNotNull(_)
            | Ast::IsTrue(_)
            | Ast::IsNotTrue(_)
            | Ast::IsFalse(_)
            | Ast::IsNotFalse(_)
            | Ast::IsUnknown(_)
            | Ast::IsNotUnknown(_)
            | Ast::IsNormalized { .. }
            | Ast::In { .. }
            | Ast::AnyOp { .. }
            | Ast::AllOp { .. }
    )
}
