//! `FROM t [alias] AS OF SYSTEM TIME x`, and the same of a transaction.
//!
//! sqlparser knows the standard's `t FOR SYSTEM_TIME AS OF x [alias]`: that is what the words become. PostgreSQL has a syntax error
//! wherever these four stand in a row.

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

/// The tokens in the standard's words; None where there is nothing to change.
pub(super) fn rewritten(tokens: &[TokenWithSpan]) -> Option<Vec<TokenWithSpan>> {
    let mut out: Vec<TokenWithSpan> = vec![];
    let (mut at, mut is_changed) = (0, false);
    while let Some(token) = tokens.get(at) {
        let Some(end) = is_word(token, "as").then(|| words_end(tokens, at)).flatten() else {
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
        at = match alias.is_empty() {
            true => end,
            false => {
                let time_end = expression_end(tokens, end);
                out.extend(tokens.get(end..time_end)?.iter().cloned());
                out.extend(alias);
                time_end
            }
        };
    }
    is_changed.then_some(out)
}

fn is_word(token: &TokenWithSpan, name: &str) -> bool {
    matches!(&token.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(name))
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

/// Where `AS OF SYSTEM TIME` that begins at `at` ends.
fn words_end(tokens: &[TokenWithSpan], mut at: usize) -> Option<usize> {
    for word in ["as", "of", "system", "time"] {
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
    }
}
