//! `FROM t [alias] AS OF SYSTEM TIME x`, the same of a transaction, and `t FOR SYSTEM_TIME BETWEEN a AND b`.
//!
//! sqlparser knows the standard's `t FOR SYSTEM_TIME AS OF x [alias]`: that is what the words become. PostgreSQL has a syntax error
//! wherever these four stand in a row. A span of time goes into the place of `x` as a call that no client can write:
//!
//! ```text
//! t FOR SYSTEM_TIME BETWEEN a AND b h   -> t FOR SYSTEM_TIME AS OF "\0between"(a, b) h
//! t FOR SYSTEM_TIME FROM a TO b h       -> t FOR SYSTEM_TIME AS OF "\0from"(a, b) h
//! ```

use super::forms::{mark, marked};
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// What ends the time of a FROM item, besides a comma, a bracket or the statement's end.
const ENDS: &[&str] = &[
    "where",
    "join",
    "inner",
    "left",
    "right",
    "full",
    "cross",
    "natural",
    "on",
    "using",
    "group",
    "having",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
    "window",
    "union",
    "intersect",
    "except",
    "returning",
    "as",
];

/// Words behind which a name is no alias.
const BEFORE_NAMES: &[&str] = &["from", "join", "only", "lateral"];

/// Marks of the two spans of time.
const BETWEEN: &str = "between";
const FROM: &str = "from";

/// The ends of a marked span of time, and whether the later one belongs to it.
pub(crate) fn span(time: &Expr) -> Option<(&Expr, &Expr, bool)> {
    let Expr::Function(call) = time else { return None };
    let [name] = call.name.0.as_slice() else { return None };
    let is_closed = match marked(name.as_ident()?)? {
        BETWEEN => true,
        FROM => false,
        _ => return None,
    };
    let FunctionArguments::List(list) = &call.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(from)), FunctionArg::Unnamed(FunctionArgExpr::Expr(to))] => {
            Some((from, to, is_closed))
        }
        _ => None,
    }
}

/// The tokens in the standard's words; None where there is nothing to change.
pub(super) fn rewritten(tokens: &[TokenWithSpan]) -> Option<Vec<TokenWithSpan>> {
    let mut out: Vec<TokenWithSpan> = vec![];
    let (mut at, mut is_changed) = (0, false);
    while let Some(token) = tokens.get(at) {
        let found = match () {
            () if is_word(token, "as") => words_end(tokens, at, &["as", "of", "system", "time"]).map(|end| (end, None)),
            () if is_word(token, "for") => span_of_time(tokens, at),
            () => None,
        };
        let Some((end, span)) = found else {
            if is_changed {
                out.push(token.clone());
            }
            at += 1;
            continue;
        };
        if !is_changed {
            out.extend(tokens.get(..at)?.iter().cloned());
            is_changed = true;
        }
        let alias = take_alias(&mut out);
        let word = |value: &str, keyword| TokenWithSpan {
            token: Token::Word(Word { value: value.to_owned(), quote_style: None, keyword }),
            span: token.span,
        };
        out.extend([word("FOR", Keyword::FOR), word("SYSTEM_TIME", Keyword::SYSTEM_TIME)]);
        out.extend([word("AS", Keyword::AS), word("OF", Keyword::OF)]);
        at = match (span, alias.is_empty()) {
            (Some(span), _) => put_span(tokens, end, span, &mut out)?,
            (None, true) => end,
            (None, false) => {
                let time_end = expression_end(tokens, end);
                out.extend(tokens.get(end..time_end)?.iter().cloned());
                time_end
            }
        };
        out.extend(alias);
    }
    is_changed.then_some(out)
}

/// How a span of time is written.
#[derive(Clone, Copy)]
struct SpanOfTime {
    mark: &'static str,
    /// Between its ends.
    separator: &'static str,
}

/// `FOR SYSTEM_TIME …` at `at`: where its words end, and which span it is (None: `AS OF`).
fn span_of_time(tokens: &[TokenWithSpan], at: usize) -> Option<(usize, Option<SpanOfTime>)> {
    if let Some(end) = words_end(tokens, at, &["for", "system_time", "between"]) {
        return Some((end, Some(SpanOfTime { mark: BETWEEN, separator: "and" })));
    }
    if let Some(end) = words_end(tokens, at, &["for", "system_time", "from"]) {
        return Some((end, Some(SpanOfTime { mark: FROM, separator: "to" })));
    }
    words_end(tokens, at, &["for", "system_time", "as", "of"]).map(|end| (end, None))
}

/// Puts the span whose first end begins at `at` out as a call; where the tokens go on. None: it has no second end, which is
/// left to be a syntax error.
fn put_span(tokens: &[TokenWithSpan], at: usize, span: SpanOfTime, out: &mut Vec<TokenWithSpan>) -> Option<usize> {
    let place = tokens.get(at)?.span;
    let symbol = |token| TokenWithSpan { token, span: place };
    let end = expression_end(tokens, at);
    let mut depth = 0;
    let separator = (at..end).find(|i| {
        match tokens.get(*i).map(|t| &t.token) {
            Some(Token::LParen | Token::LBracket) => depth += 1,
            Some(Token::RParen | Token::RBracket) => depth -= 1,
            _ => {}
        }
        depth == 0 && tokens.get(*i).is_some_and(|t| is_word(t, span.separator))
    })?;
    let second = tokens.get(separator + 1..end)?;
    let (second, alias) = second.split_at(alias_start(second));
    out.extend([mark(span.mark, place), symbol(Token::LParen)]);
    out.extend(tokens.get(at..separator)?.iter().cloned());
    out.push(symbol(Token::Comma));
    out.extend(second.iter().cloned());
    out.push(symbol(Token::RParen));
    out.extend(alias.iter().cloned());
    Some(end)
}

/// Where an alias without AS begins at the end of an expression: a name behind what an expression can end with.
fn alias_start(expression: &[TokenWithSpan]) -> usize {
    let mut words = (0..expression.len()).rev().filter(|i| expression.get(*i).is_some_and(|t| !is_space(t)));
    let (Some(last), Some(before)) = (words.next(), words.next()) else { return expression.len() };
    let token = |i: usize| expression.get(i).map(|t| &t.token);
    let is_name = matches!(token(last), Some(Token::Word(_)));
    let ends = matches!(
        token(before),
        Some(
            Token::Word(_)
                | Token::RParen
                | Token::RBracket
                | Token::SingleQuotedString(_)
                | Token::Number(..)
                | Token::Placeholder(_)
        )
    );
    if is_name && ends { last } else { expression.len() }
}

fn is_word(token: &TokenWithSpan, name: &str) -> bool {
    matches!(&token.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(name))
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

/// Where these words, which begin at `at`, end.
fn words_end(tokens: &[TokenWithSpan], mut at: usize, words: &[&str]) -> Option<usize> {
    for word in words {
        while is_space(tokens.get(at)?) {
            at += 1;
        }
        if !is_word(tokens.get(at)?, word) {
            return None;
        }
        at += 1;
    }
    Some(at)
}

/// The alias at the end of what was put out, taken off. What stands in no FROM is a transaction's mode.
fn take_alias(out: &mut Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let statement = out.iter().rev().take_while(|t| t.token != Token::SemiColon);
    if !statement.into_iter().any(|t| is_word(t, "from")) {
        return vec![];
    }
    let words: Vec<usize> =
        (0..out.len()).rev().filter(|i| out.get(*i).is_some_and(|t| !is_space(t))).take(2).collect();
    let [name, before] = words.as_slice() else { return vec![] };
    let is_name = |at: &usize| matches!(out.get(*at).map(|t| &t.token), Some(Token::Word(_)));
    let is_first = out.get(*before).is_some_and(|t| BEFORE_NAMES.iter().any(|w| is_word(t, w)));
    match is_name(name) && is_name(before) && !is_first {
        true if out.get(*before).is_some_and(|t| is_word(t, "as")) => out.split_off(*before),
        true => out.split_off(*name),
        false => vec![],
    }
}

/// Where a time that begins at `at` ends.
fn expression_end(tokens: &[TokenWithSpan], mut at: usize) -> usize {
    let mut depth = 0;
    while let Some(token) = tokens.get(at) {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth -= 1,
            _ => {}
        }
        let ends = matches!(token.token, Token::Comma) || ENDS.iter().any(|w| is_word(token, w));
        if depth < 0 || depth == 0 && ends || matches!(token.token, Token::SemiColon | Token::EOF) {
            return at;
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::tokenizer::Tokenizer;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().expect(text);
        let tokens = rewritten(&tokens).unwrap_or(tokens);
        let words: Vec<String> = tokens.iter().filter(|t| !is_space(t)).map(|t| t.token.to_string()).collect();
        assert_eq!(words.join(" ").trim_end_matches(" EOF"), expected, "{text}");
    }

    #[test]
    fn the_alias_goes_behind_the_time() {
        check("from t as of system time $1 where a", "from t FOR SYSTEM_TIME AS OF $1 where a");
        check("from t x AS OF SYSTEM TIME '-1s' join u", "from t FOR SYSTEM_TIME AS OF '-1s' x join u");
        check("from s.t as x as of system time f(1, 2), u", "from s . t FOR SYSTEM_TIME AS OF f ( 1 , 2 ) as x , u");
        check("begin as of system time 1", "begin FOR SYSTEM_TIME AS OF 1");
        check("set transaction read only as of system time 1", "set transaction read only FOR SYSTEM_TIME AS OF 1");
        check("from t as of, u", "from t as of , u");
        check("from t FOR SYSTEM_TIME AS OF $1 x", "from t FOR SYSTEM_TIME AS OF $1 x");
        check("from t for update", "from t for update");
    }

    #[test]
    fn a_span_of_time_is_a_call_that_nobody_writes() {
        let between = "from t FOR SYSTEM_TIME AS OF \"\0between\" ( a , b ) h where x";
        check("from t for system_time between a and b h where x", between);
        check("from t h for system_time between a and b where x", between);
        let from = "from t FOR SYSTEM_TIME AS OF \"\0from\" ( '-1h' , now ( ) ) as h , u";
        check("from t for system_time from '-1h' to now() as h, u", from);
        let nested = "from t FOR SYSTEM_TIME AS OF \"\0between\" ( f ( a and b ) , $1 - interval '1s' )";
        check("from t for system_time between f(a and b) and $1 - interval '1s'", nested);
    }

    #[test]
    fn half_a_span_is_left_to_the_parser() {
        check("from t for system_time between a", "from t for system_time between a");
    }
}
