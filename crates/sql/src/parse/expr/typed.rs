//! Literals with their type before them: `date '2020-01-01'`, `interval '1' day to second`, `numeric(4, 1) '1.5'`.

use super::infix::string_at;
use super::{Result, accept, at, expect_token, is_token, is_word, unexpected, word_at};
use sqlparser::ast::{DataType, Expr as Ast, Ident, IntervalFields, ObjectName, TypedString};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token};

/// Type names that are keywords: with a parenthesis behind them they are types and no functions.
const TYPES: &[&str] = &[
    "bigint",
    "bit",
    "boolean",
    "char",
    "character",
    "dec",
    "decimal",
    "float",
    "int",
    "integer",
    "nchar",
    "numeric",
    "real",
    "smallint",
    "time",
    "timestamp",
    "varchar",
];

/// A literal that starts with the keyword of a type, if one stands next.
pub(super) fn literal(parser: &mut Parser<'_>, span: Span) -> Result<Option<Ast>> {
    let Some(word) = word_at(parser, 0) else { return Ok(None) };
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    if is("interval") {
        return interval(parser, span);
    }
    let next = |name| is_word(parser, 1, name);
    let starts_type = if is("double") {
        next("precision")
    } else if is("character") || is("char") || is("nchar") || is("bit") {
        string_at(parser, 1) || is_token(parser, 1, &Token::LParen) || next("varying")
    } else if is("national") {
        next("character") || next("char")
    } else if is("time") || is("timestamp") {
        let has_zone = (next("with") || next("without")) && is_word(parser, 2, "time");
        string_at(parser, 1) || is_token(parser, 1, &Token::LParen) || has_zone
    } else {
        TYPES.iter().any(|t| is(t)) && (string_at(parser, 1) || is_token(parser, 1, &Token::LParen))
    };
    if !starts_type {
        return Ok(None);
    }
    let data_type = parser.parse_data_type()?;
    typed(parser, data_type, span).map(Some)
}

fn typed(parser: &mut Parser<'_>, data_type: DataType, span: Span) -> Result<Ast> {
    if !string_at(parser, 0) {
        return unexpected(parser);
    }
    let value = parser.parse_value()?;
    Ok(at(span, Ast::TypedString(TypedString { data_type, value, uses_odbc_syntax: false })))
}

/// `name 'text'`, the string standing next.
pub(super) fn named_literal(parser: &mut Parser<'_>, parts: Vec<Ident>) -> Result<Ast> {
    let span = parts.first().map_or(Span::empty(), |p| p.span);
    typed(parser, DataType::Custom(ObjectName::from(parts), vec![]), span)
}

fn interval(parser: &mut Parser<'_>, span: Span) -> Result<Option<Ast>> {
    let with_precision = is_token(parser, 1, &Token::LParen);
    if !string_at(parser, 1) && !with_precision {
        return Ok(None);
    }
    parser.advance_token();
    let mut precision = if with_precision { Some(self::precision(parser)?) } else { None };
    if !string_at(parser, 0) {
        return unexpected(parser);
    }
    let value = parser.parse_value()?;
    let fields = if with_precision { None } else { fields(parser)? };
    let has_seconds = fields.as_ref().is_some_and(|f| f.to_string().ends_with("SECOND"));
    if has_seconds && is_token(parser, 0, &Token::LParen) {
        precision = Some(self::precision(parser)?);
    }
    let data_type = DataType::Interval { fields, precision };
    Ok(Some(at(span, Ast::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }))))
}

fn precision(parser: &mut Parser<'_>) -> Result<u64> {
    expect_token(parser, &Token::LParen)?;
    let precision = parser.parse_literal_uint()?;
    expect_token(parser, &Token::RParen)?;
    Ok(precision)
}

fn fields(parser: &mut Parser<'_>) -> Result<Option<IntervalFields>> {
    use IntervalFields::*;
    let Some(first) = word_at(parser, 0).map(str::to_ascii_lowercase) else { return Ok(None) };
    let (alone, pairs): (IntervalFields, &[(&str, IntervalFields)]) = match first.as_str() {
        "year" => (Year, &[("month", YearToMonth)]),
        "month" => (Month, &[]),
        "day" => (Day, &[("hour", DayToHour), ("minute", DayToMinute), ("second", DayToSecond)]),
        "hour" => (Hour, &[("minute", HourToMinute), ("second", HourToSecond)]),
        "minute" => (Minute, &[("second", MinuteToSecond)]),
        "second" => (Second, &[]),
        _ => return Ok(None),
    };
    parser.advance_token();
    if !is_word(parser, 0, "to") {
        return Ok(Some(alone));
    }
    parser.advance_token();
    for (name, fields) in pairs {
        if accept(parser, name) {
            return Ok(Some(*fields));
        }
    }
    unexpected(parser)
}
