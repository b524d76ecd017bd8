//! Calls: arguments by place and by name, aggregates' clauses, windows; and the functions that have a syntax of their own.

use super::precedence as level;
use super::{
    Mark, Result, accept, expect, expect_token, function, here, is_token, is_word, list, named, nested, own_syntax,
    string, unexpected, word_at,
};
use sqlparser::ast::{
    DataType, DuplicateTreatment, Expr as Ast, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, Ident, ObjectName, OrderByExpr, Value,
    WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Span, Token};

/// Never a name without quotes.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lateral",
    "leading",
    "limit",
    "localtime",
    "localtimestamp",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "references",
    "returning",
    "select",
    "session_user",
    "some",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "when",
    "where",
    "window",
    "with",
];

/// Names of functions and types, but of no columns.
const NO_COLUMN: &[&str] = &[
    "authorization",
    "binary",
    "collation",
    "concurrently",
    "cross",
    "current_schema",
    "freeze",
    "full",
    "ilike",
    "inner",
    "is",
    "isnull",
    "join",
    "left",
    "like",
    "natural",
    "notnull",
    "outer",
    "overlaps",
    "right",
    "similar",
    "tablesample",
    "verbose",
];

/// Whether a name in an expression may start with the unquoted word.
pub(super) fn may_start_operand(word: &str, is_called: bool) -> bool {
    let is_in = |list: &[&str]| list.iter().any(|w| w.eq_ignore_ascii_case(word));
    !is_in(RESERVED) && (is_called || !is_in(NO_COLUMN))
}

/// The call whose name has been read.
pub(super) fn function_call(parser: &mut Parser<'_>, name: ObjectName) -> Result<Ast> {
    expect_token(parser, &Token::LParen)?;
    let args = arguments(parser)?;
    let mut call = function(Ident::new(""), vec![]);
    call.name = name;
    call.args = FunctionArguments::List(args);
    if is_word(parser, 0, "within") && is_word(parser, 1, "group") {
        parser.advance_token();
        parser.advance_token();
        expect_token(parser, &Token::LParen)?;
        call.within_group = order_by(parser)?;
        expect_token(parser, &Token::RParen)?;
    }
    if is_word(parser, 0, "filter") && is_token(parser, 1, &Token::LParen) {
        parser.advance_token();
        parser.advance_token();
        expect(parser, "where")?;
        call.filter = Some(Box::new(nested(parser, level::ANY)?));
        expect_token(parser, &Token::RParen)?;
    }
    if accept(parser, "over") {
        call.over = Some(match is_token(parser, 0, &Token::LParen) {
            true => {
                parser.advance_token();
                WindowType::WindowSpec(window(parser)?)
            }
            false => WindowType::NamedWindow(parser.parse_identifier()?),
        });
    }
    Ok(Ast::Function(call))
}

fn arguments(parser: &mut Parser<'_>) -> Result<FunctionArgumentList> {
    let mut list = FunctionArgumentList { duplicate_treatment: None, args: vec![], clauses: vec![] };
    if parser.consume_token(&Token::RParen) {
        return Ok(list);
    }
    if is_token(parser, 0, &Token::Mul) && is_token(parser, 1, &Token::RParen) {
        parser.advance_token();
        parser.advance_token();
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
        return Ok(list);
    }
    if accept(parser, "distinct") {
        list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
    } else if accept(parser, "all") {
        list.duplicate_treatment = Some(DuplicateTreatment::All);
    }
    loop {
        list.args.push(argument(parser)?);
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    if is_word(parser, 0, "order") {
        list.clauses.push(FunctionArgumentClause::OrderBy(order_by(parser)?));
    }
    expect_token(parser, &Token::RParen)?;
    Ok(list)
}

fn argument(parser: &mut Parser<'_>) -> Result<FunctionArg> {
    let span = here(parser);
    if accept(parser, "variadic") {
        let arg = argument(parser)?;
        let mark = |expr| {
            FunctionArgExpr::Expr(Ast::Named { expr: Box::new(expr), name: Ident::with_span(span, Mark::VARIADIC) })
        };
        return match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(FunctionArg::Unnamed(mark(expr))),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), operator } => {
                Ok(FunctionArg::Named { name, arg: mark(expr), operator })
            }
            _ => unexpected(parser),
        };
    }
    let operator = match parser.peek_nth_token_ref(1).token {
        Token::RArrow => Some(FunctionArgOperator::RightArrow),
        Token::Assignment => Some(FunctionArgOperator::Assignment),
        _ => None,
    };
    if let (Some(operator), Token::Word(_)) = (operator, &parser.peek_token_ref().token) {
        let name = parser.parse_identifier()?;
        parser.advance_token();
        let arg = nested(parser, level::ANY)?.into();
        return Ok(FunctionArg::Named { name, arg, operator });
    }
    Ok(FunctionArg::Unnamed(nested(parser, level::ANY)?.into()))
}

fn order_by(parser: &mut Parser<'_>) -> Result<Vec<OrderByExpr>> {
    expect(parser, "order")?;
    expect(parser, "by")?;
    parser.parse_comma_separated(Parser::parse_order_by_expr)
}

// --- windows

/// A window's definition behind its parenthesis.
fn window(parser: &mut Parser<'_>) -> Result<WindowSpec> {
    let mut spec = WindowSpec { window_name: None, partition_by: vec![], order_by: vec![], window_frame: None };
    let starts_clause = ["partition", "order", "rows", "range", "groups"].iter().any(|w| is_word(parser, 0, w));
    if matches!(parser.peek_token_ref().token, Token::Word(_)) && !starts_clause {
        spec.window_name = Some(parser.parse_identifier()?);
    }
    if accept(parser, "partition") {
        expect(parser, "by")?;
        spec.partition_by = list(parser)?;
    }
    if is_word(parser, 0, "order") {
        spec.order_by = order_by(parser)?;
    }
    if let Some(units) = frame_units(parser) {
        parser.advance_token();
        spec.window_frame = Some(frame(parser, units)?);
    }
    expect_token(parser, &Token::RParen)?;
    Ok(spec)
}

fn frame_units(parser: &Parser<'_>) -> Option<WindowFrameUnits> {
    let word = word_at(parser, 0)?.to_ascii_lowercase();
    match word.as_str() {
        "rows" => Some(WindowFrameUnits::Rows),
        "range" => Some(WindowFrameUnits::Range),
        "groups" => Some(WindowFrameUnits::Groups),
        _ => None,
    }
}

fn frame(parser: &mut Parser<'_>, units: WindowFrameUnits) -> Result<WindowFrame> {
    if accept(parser, "between") {
        let start_bound = frame_bound(parser)?;
        expect(parser, "and")?;
        let end_bound = Some(frame_bound(parser)?);
        return Ok(WindowFrame { units, start_bound, end_bound });
    }
    Ok(WindowFrame { units, start_bound: frame_bound(parser)?, end_bound: None })
}

fn frame_bound(parser: &mut Parser<'_>) -> Result<WindowFrameBound> {
    if is_word(parser, 0, "current") && is_word(parser, 1, "row") {
        parser.advance_token();
        parser.advance_token();
        return Ok(WindowFrameBound::CurrentRow);
    }
    let is_unbounded =
        is_word(parser, 0, "unbounded") && ["preceding", "following"].iter().any(|w| is_word(parser, 1, w));
    let offset = if is_unbounded {
        parser.advance_token();
        None
    } else {
        Some(Box::new(nested(parser, level::AND)?))
    };
    if accept(parser, "preceding") {
        return Ok(WindowFrameBound::Preceding(offset));
    }
    expect(parser, "following")?;
    Ok(WindowFrameBound::Following(offset))
}

// --- functions with a syntax of their own

/// `EXTRACT(… FROM …)` and its like, if the word and parenthesis that stand next begin one.
pub(super) fn own_syntax_call(parser: &mut Parser<'_>, span: Span) -> Result<Option<Ast>> {
    let word = word_at(parser, 0).unwrap_or_default().to_ascii_lowercase();
    let read: fn(&mut Parser<'_>, Span) -> Result<Ast> = match word.as_str() {
        "coalesce" | "greatest" | "least" | "grouping" | "nullif" | "row" => {
            return listed(parser, &word, span).map(Some);
        }
        "extract" => extract,
        "overlay" => overlay,
        "position" => position,
        "substring" => substring,
        "trim" => trim,
        "normalize" => normalize,
        _ => return Ok(None),
    };
    parser.advance_token();
    parser.advance_token();
    let call = read(parser, span)?;
    expect_token(parser, &Token::RParen)?;
    Ok(Some(call))
}

fn listed(parser: &mut Parser<'_>, word: &str, span: Span) -> Result<Ast> {
    parser.advance_token();
    parser.advance_token();
    if word == "row" && parser.consume_token(&Token::RParen) {
        return Ok(named(word, span, vec![]));
    }
    let args = list(parser)?;
    if word == "nullif" && args.len() != 2 {
        return unexpected(parser);
    }
    expect_token(parser, &Token::RParen)?;
    let args = args.into_iter().map(|a| FunctionArg::Unnamed(a.into())).collect();
    let list = FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] };
    Ok(Ast::Function(Function {
        args: FunctionArguments::List(list),
        ..function(Ident::with_span(span, word), vec![])
    }))
}

fn extract(parser: &mut Parser<'_>, span: Span) -> Result<Ast> {
    let place = here(parser);
    let field = match &parser.peek_token_ref().token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
        Token::Word(word) => word.value.clone(),
        Token::SingleQuotedString(s) | Token::EscapedStringLiteral(s) => s.clone(),
        _ => return unexpected(parser),
    };
    parser.advance_token();
    expect(parser, "from")?;
    let source = nested(parser, level::ANY)?;
    Ok(own_syntax("extract", span, vec![string(&field, place), source]))
}

fn plain_list(parser: &mut Parser<'_>, name: &str, span: Span, first: Ast) -> Result<Ast> {
    let mut args = vec![first];
    if parser.consume_token(&Token::Comma) {
        args.extend(list(parser)?);
    }
    Ok(named(name, span, args))
}

fn overlay(parser: &mut Parser<'_>, span: Span) -> Result<Ast> {
    let text = nested(parser, level::ANY)?;
    if !accept(parser, "placing") {
        return plain_list(parser, "overlay", span, text);
    }
    let mut args = vec![text, nested(parser, level::ANY)?];
    expect(parser, "from")?;
    args.push(nested(parser, level::ANY)?);
    if accept(parser, "for") {
        args.push(nested(parser, level::ANY)?);
    }
    Ok(own_syntax("overlay", span, args))
}

fn position(parser: &mut Parser<'_>, span: Span) -> Result<Ast> {
    let what = super::plain(parser)?;
    expect(parser, "in")?;
    let text = super::plain(parser)?;
    Ok(own_syntax("position", span, vec![text, what]))
}

fn substring(parser: &mut Parser<'_>, span: Span) -> Result<Ast> {
    if is_token(parser, 0, &Token::RParen) {
        return Ok(named("substring", span, vec![]));
    }
    let text = nested(parser, level::ANY)?;
    if accept(parser, "similar") {
        let pattern = nested(parser, level::ANY)?;
        expect(parser, "escape")?;
        let escape = nested(parser, level::ANY)?;
        return Ok(own_syntax("substring", span, vec![text, pattern, escape]));
    }
    let from = if accept(parser, "from") { Some(nested(parser, level::ANY)?) } else { None };
    let count = if accept(parser, "for") { Some(nested(parser, level::ANY)?) } else { None };
    let (from, count) = match (from, count) {
        (None, None) => return plain_list(parser, "substring", span, text),
        (from @ Some(_), None) if accept(parser, "for") => (from, Some(nested(parser, level::ANY)?)),
        (None, count) if accept(parser, "from") => (Some(nested(parser, level::ANY)?), count),
        other => other,
    };
    let mut args = vec![text];
    match (from, count) {
        (Some(from), count) => args.extend(std::iter::once(from).chain(count)),
        // Only the length: an integer, whatever it looks like.
        (None, Some(count)) => {
            args.push(Ast::Value(Value::Number("1".to_owned(), false).with_span(span)));
            args.push(Ast::Cast {
                kind: sqlparser::ast::CastKind::Cast,
                expr: Box::new(count),
                data_type: DataType::Int4(None),
                format: None,
            });
        }
        (None, None) => {}
    }
    Ok(own_syntax("substring", span, args))
}

fn trim(parser: &mut Parser<'_>, span: Span) -> Result<Ast> {
    let name = if accept(parser, "leading") {
        "ltrim"
    } else if accept(parser, "trailing") {
        "rtrim"
    } else {
        accept(parser, "both");
        "btrim"
    };
    if accept(parser, "from") {
        let args = list(parser)?;
        return Ok(own_syntax(name, span, args));
    }
    let first = list(parser)?;
    if !accept(parser, "from") {
        return Ok(own_syntax(name, span, first));
    }
    let mut args = list(parser)?;
    args.extend(first);
    Ok(own_syntax(name, span, args))
}

fn normalize(parser: &mut Parser<'_>, span: Span) -> Result<Ast> {
    let mut args = vec![nested(parser, level::ANY)?];
    if parser.consume_token(&Token::Comma) {
        let place = here(parser);
        let form = word_at(parser, 0).unwrap_or_default().to_ascii_uppercase();
        if !["NFC", "NFD", "NFKC", "NFKD"].contains(&form.as_str()) {
            return unexpected(parser);
        }
        parser.advance_token();
        args.push(string(&form, place));
    }
    Ok(own_syntax("normalize", span, args))
}
