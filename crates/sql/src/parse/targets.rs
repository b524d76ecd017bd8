//! Targets with subscripts and fields: `UPDATE t SET a[1] = …`, `INSERT INTO t (a[1:2], b.c) …`.
//!
//! sqlparser's tree has plain names there. A target that is more becomes one identifier that no client can write: [`MARK`] and the
//! target's text, which the binder parses. `INSERT INTO c DOCUMENT x` becomes a VALUES whose one column is named in that way.

use super::Lines;
use sqlparser::ast::ObjectName;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

const MARK: &str = "\0target ";

/// Tokens between UPDATE and SET, white space and comments among them: names, an alias.
const TABLE_TOKENS_MAX: usize = 200;

/// The column that DOCUMENT stands for.
const DOCUMENT: &str = "\0document";

pub(crate) fn is_document(name: &ObjectName) -> bool {
    matches!(name.0.as_slice(), [part] if part.as_ident().is_some_and(|i| i.value == DOCUMENT))
}

/// `DOCUMENT x` as `("\0document") VALUES (x)`; None where none stands.
pub(super) fn with_documents(tokens: &[TokenWithSpan]) -> Option<Vec<TokenWithSpan>> {
    if !tokens.iter().any(|t| is_word(t, "document")) {
        return None;
    }
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 8);
    let (mut at, mut is_changed) = (0, false);
    while let Some(token) = tokens.get(at) {
        if is_word(token, "document") && follows_insert_into(tokens, at) {
            let span = token.span;
            let put = |token: Token| TokenWithSpan { token, span };
            let word = |value: &str, quote_style| {
                Token::Word(Word { value: value.to_owned(), quote_style, keyword: Keyword::NoKeyword })
            };
            let values = Word { value: "VALUES".to_owned(), quote_style: None, keyword: Keyword::VALUES };
            out.extend([put(Token::LParen), put(word(DOCUMENT, Some('"'))), put(Token::RParen)]);
            out.extend([put(Token::Word(values)), put(Token::LParen)]);
            let end = expression_end(tokens, at + 1);
            out.extend(tokens.get(at + 1..end)?.iter().cloned());
            out.push(put(Token::RParen));
            (at, is_changed) = (end, true);
            continue;
        }
        out.push(token.clone());
        at += 1;
    }
    is_changed.then_some(out)
}

/// Whether `INSERT INTO name` stands before the token.
fn follows_insert_into(tokens: &[TokenWithSpan], at: usize) -> bool {
    let before = tokens.get(..at).unwrap_or_default().iter().rev();
    let mut before = before.filter(|t| !matches!(t.token, Token::Whitespace(_)));
    // The name, with its schema.
    loop {
        if !before.next().is_some_and(|t| matches!(t.token, Token::Word(_))) {
            return false;
        }
        match before.next() {
            Some(t) if t.token == Token::Period => {}
            Some(t) => return is_word(t, "into") && before.next().is_some_and(|t| is_word(t, "insert")),
            None => return false,
        }
    }
}

fn expression_end(tokens: &[TokenWithSpan], mut at: usize) -> usize {
    let mut depth = 0;
    while let Some(token) = tokens.get(at) {
        depth += depth_change(&token.token);
        let ends = is_word(token, "returning") || is_word(token, "on");
        if depth < 0 || depth == 0 && ends || matches!(token.token, Token::SemiColon | Token::EOF) {
            return at;
        }
        at += 1;
    }
    at
}

/// The text of a marked target.
pub(crate) fn target(name: &str) -> Option<&str> {
    name.strip_prefix(MARK)
}

/// The tokens with their targets marked, or None where there is nothing to mark.
pub(super) fn marked(tokens: &[TokenWithSpan], text: &str, lines: &Lines) -> Option<Vec<TokenWithSpan>> {
    let has_brackets = tokens.iter().any(|t| matches!(t.token, Token::LBracket | Token::Period));
    let has_write = tokens.iter().any(|t| is_word(t, "update") || is_word(t, "insert"));
    if !has_brackets || !has_write {
        return None;
    }
    let mut found: Vec<(usize, usize)> = vec![];
    for at in 0..tokens.len() {
        if tokens.get(at).is_some_and(|t| is_word(t, "update")) {
            set_targets(tokens, at, &mut found);
        } else if tokens.get(at).is_some_and(|t| is_word(t, "insert")) {
            insert_targets(tokens, at, &mut found);
        }
    }
    if found.is_empty() {
        return None;
    }
    found.sort_unstable();
    let mut out = Vec::with_capacity(tokens.len());
    let mut next = 0;
    for (start, end) in found {
        if start < next {
            continue;
        }
        out.extend(tokens.get(next..start)?.iter().cloned());
        let span = Span::new(tokens.get(start)?.span.start, tokens.get(end)?.span.end);
        let source = text.get(lines.byte(text, span.start)..lines.byte(text, span.end))?;
        let value = format!("{MARK}{source}");
        let word = Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword };
        out.push(TokenWithSpan { token: Token::Word(word), span });
        next = end + 1;
    }
    out.extend(tokens.get(next..)?.iter().cloned());
    Some(out)
}

fn is_word(token: &TokenWithSpan, name: &str) -> bool {
    matches!(&token.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(name))
}

/// The next token that is no white space, from `at` on.
fn skip(tokens: &[TokenWithSpan], mut at: usize) -> usize {
    while tokens.get(at).is_some_and(|t| matches!(t.token, Token::Whitespace(_))) {
        at += 1;
    }
    at
}

fn depth_change(token: &Token) -> i32 {
    match token {
        Token::LParen | Token::LBracket => 1,
        Token::RParen | Token::RBracket => -1,
        _ => 0,
    }
}

/// Marks a target that starts at `start` if it ends before `end_token` at its own depth, and is more than a name. Gives where it ends.
fn target_until(
    tokens: &[TokenWithSpan],
    start: usize,
    is_end: impl Fn(&Token) -> bool,
    found: &mut Vec<(usize, usize)>,
) -> Option<usize> {
    let (mut at, mut depth, mut last) = (start, 0, start);
    loop {
        let token = &tokens.get(at)?.token;
        if depth == 0 && is_end(token) {
            break;
        }
        match token {
            Token::SemiColon | Token::EOF => return None,
            Token::Whitespace(_) => {}
            _ => last = at,
        }
        depth += depth_change(token);
        if depth < 0 {
            return None;
        }
        at += 1;
    }
    let second = skip(tokens, start + 1);
    let is_more = matches!(tokens.get(second).map(|t| &t.token), Some(Token::LBracket | Token::Period));
    if is_more && last > start && matches!(tokens.get(start).map(|t| &t.token), Some(Token::Word(_))) {
        found.push((start, last));
    }
    Some(at)
}

/// `UPDATE … SET target = value, …`, and `DO UPDATE SET …`.
fn set_targets(tokens: &[TokenWithSpan], update: usize, found: &mut Vec<(usize, usize)>) {
    let (mut at, mut depth) = (update + 1, 0);
    // SET follows the name of the table and its alias.
    loop {
        let Some(token) = tokens.get(at).filter(|_| at - update < TABLE_TOKENS_MAX) else { return };
        depth += depth_change(&token.token);
        if depth < 0 || matches!(token.token, Token::SemiColon | Token::Eq) {
            return;
        }
        at += 1;
        if depth == 0 && is_word(token, "set") {
            break;
        }
    }
    loop {
        let Some(equals) = target_until(tokens, skip(tokens, at), |t| *t == Token::Eq, found) else { return };
        at = equals + 1;
        let mut depth = 0;
        // The value, up to the next target.
        loop {
            let Some(token) = tokens.get(at) else { return };
            depth += depth_change(&token.token);
            let ends = ["from", "where", "returning"].iter().any(|w| is_word(token, w));
            if depth < 0 || matches!(token.token, Token::SemiColon) || depth == 0 && ends {
                return;
            }
            at += 1;
            if depth == 0 && token.token == Token::Comma {
                break;
            }
        }
    }
}

/// `INSERT INTO name [AS alias] (target, …)`.
fn insert_targets(tokens: &[TokenWithSpan], insert: usize, found: &mut Vec<(usize, usize)>) {
    let mut at = skip(tokens, insert + 1);
    if !tokens.get(at).is_some_and(|t| is_word(t, "into")) {
        return;
    }
    at += 1;
    loop {
        at = skip(tokens, at);
        match tokens.get(at).map(|t| &t.token) {
            Some(Token::LParen) => break,
            // No list of targets: what the parentheses hold are values.
            Some(Token::Word(_)) if tokens.get(at).is_some_and(|t| is_word(t, "values")) => return,
            Some(Token::Word(_) | Token::Period) => at += 1,
            _ => return,
        }
    }
    let first = skip(tokens, at + 1);
    let is_query = |t: &TokenWithSpan| ["select", "with", "values", "table"].iter().any(|w| is_word(t, w));
    if tokens.get(first).is_none_or(|t| is_query(t) || t.token == Token::LParen) {
        return;
    }
    at = first;
    loop {
        let Some(end) = target_until(tokens, skip(tokens, at), |t| matches!(t, Token::Comma | Token::RParen), found)
        else {
            return;
        };
        if tokens.get(end).is_none_or(|t| t.token == Token::RParen) {
            return;
        }
        at = end + 1;
    }
}
