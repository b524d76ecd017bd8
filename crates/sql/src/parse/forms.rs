//! Forms of PostgreSQL's grammar that sqlparser's tree has no place for, rewritten in the token stream.
//!
//! What the tree can not say is put into an identifier that no client can write, because it begins with [`MARK`]; the binder
//! reads it there. Positions stay those of the text.
//!
//! ```text
//! OVER (w ORDER BY a … EXCLUDE TIES)     -> OVER ("\0exclude ties\0w" ORDER BY a …)
//! OVER (ORDER BY a)                      -> OVER ("\0exclude no others" ORDER BY a), whose place is the parenthesis's
//! FOR NO KEY UPDATE OF a, b              -> FOR UPDATE OF "\0no key update".a.b
//! FOR UPDATE LIMIT 1                     -> LIMIT 1 FOR UPDATE
//! ROWS FROM (f(), g())                   -> "\0rows from"(f(), g())
//! GROUP BY DISTINCT a                    -> GROUP BY "\0distinct", a
//! GROUPING SETS (GROUPING SETS (a, b), c) -> GROUPING SETS (a, b, c)
//! ON CONFLICT (lower(a))                 -> ON CONFLICT ("\0lower(a)")
//! ON CONFLICT DO UPDATE                  -> ON CONFLICT ("\0\0no target") DO UPDATE, refused where it stands
//! q AS (…) SEARCH … CYCLE …              -> q AS (…), "\0search cycle\0SEARCH … CYCLE …" AS (SELECT 1), see `search_cycle`
//! ```

use super::{Lines, search_cycle};
use crate::logical::FrameExclusion;
use sqlparser::ast::Ident;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

const MARK: char = '\0';

pub(crate) const NO_KEY_UPDATE: &str = "no key update";
pub(crate) const KEY_SHARE: &str = "key share";
pub(crate) const QUALIFIED: &str = "qualified";
pub(crate) const ROWS_FROM: &str = "rows from";
pub(crate) const DISTINCT: &str = "distinct";
const EXCLUDE: &str = "exclude ";
/// Behind two marks: behind one stands what a client wrote.
const NO_TARGET: &str = "\0no target";

/// What a marked identifier says; None for the client's own.
pub(crate) fn marked(ident: &Ident) -> Option<&str> {
    ident.value.strip_prefix(MARK)
}

/// Whether the item stands for the target that ON CONFLICT DO UPDATE lacks.
pub(crate) fn is_missing_target(ident: &Ident) -> bool {
    marked(ident) == Some(NO_TARGET)
}

/// The name in front of a window's definition, and what its frame excludes.
pub(crate) fn window_name(ident: &Ident) -> (Option<Ident>, FrameExclusion) {
    let Some(rest) = marked(ident).and_then(|m| m.strip_prefix(EXCLUDE)) else {
        return (Some(ident.clone()), FrameExclusion::None);
    };
    let (what, name) = match rest.split_once(MARK) {
        None => (rest, None),
        Some((what, name)) => (what, Some(Ident { value: name.to_owned(), ..ident.clone() })),
    };
    let exclusion = match what {
        "current row" => FrameExclusion::CurrentRow,
        "group" => FrameExclusion::Group,
        "ties" => FrameExclusion::Ties,
        _ => FrameExclusion::None,
    };
    (name, exclusion)
}

fn word(value: String, quote_style: Option<char>, span: Span) -> TokenWithSpan {
    TokenWithSpan { token: Token::Word(Word { value, quote_style, keyword: Keyword::NoKeyword }), span }
}

pub(super) fn mark(what: &str, span: Span) -> TokenWithSpan {
    word(format!("{MARK}{what}"), Some('"'), span)
}

pub(super) fn is(token: &TokenWithSpan, name: &str) -> bool {
    matches!(&token.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(name))
}

fn marked_window(what: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{MARK}{EXCLUDE}{what}{MARK}{name}"),
        None => format!("{MARK}{EXCLUDE}{what}"),
    }
}

fn is_window_name(w: &Word) -> bool {
    let starts_a_clause =
        ["partition", "order", "rows", "range", "groups"].iter().any(|k| w.value.eq_ignore_ascii_case(k));
    !starts_a_clause || w.quote_style.is_some()
}

/// A parenthesis that is still open: its place in the output, and whether it lists grouping sets.
struct Open {
    at: usize,
    is_sets: bool,
    /// It and its end are left out.
    is_dropped: bool,
}

struct Rewriter<'t> {
    /// The significant tokens; white space is left out.
    input: Vec<&'t TokenWithSpan>,
    output: Vec<TokenWithSpan>,
    open: Vec<Open>,
    at: usize,
    text: &'t str,
    lines: &'t Lines,
}

/// The tokens with these forms rewritten; None where there is none of them.
pub(super) fn rewritten(tokens: &[TokenWithSpan], text: &str, lines: &Lines) -> Option<Vec<TokenWithSpan>> {
    let has_any = tokens.iter().any(|t| {
        let heads = ["over", "exclude", "share", "update", "rows", "group", "grouping", "conflict", "search", "cycle"];
        heads.iter().any(|name| is(t, name))
    });
    if !has_any {
        return None;
    }
    let input: Vec<_> = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).collect();
    let output = Vec::with_capacity(input.len());
    let mut rewriter = Rewriter { input, output, open: vec![], at: 0, text, lines };
    while rewriter.at < rewriter.input.len() {
        rewriter.step();
    }
    Some(rewriter.output)
}

impl Rewriter<'_> {
    fn peek(&self, ahead: usize, name: &str) -> bool {
        self.input.get(self.at + ahead).is_some_and(|t| is(t, name))
    }

    fn peek_all(&self, ahead: usize, names: &[&str]) -> bool {
        names.iter().enumerate().all(|(i, name)| self.peek(ahead + i, name))
    }

    fn is_token(&self, ahead: usize, token: &Token) -> bool {
        self.input.get(self.at + ahead).is_some_and(|t| t.token == *token)
    }

    fn copy(&mut self) {
        let Some(token) = self.input.get(self.at) else { return };
        match token.token {
            Token::LParen => {
                let n = self.output.len();
                let is_sets = n >= 2
                    && self.output.get(n - 1).is_some_and(|t| is(t, "sets"))
                    && self.output.get(n - 2).is_some_and(|t| is(t, "grouping"));
                self.open.push(Open { at: n, is_sets, is_dropped: false });
            }
            Token::RParen if self.open.last().is_some_and(|o| o.is_dropped) => {
                self.open.pop();
                self.at += 1;
                return;
            }
            Token::RParen => {
                self.open.pop();
            }
            Token::SemiColon => self.open.clear(),
            _ => {}
        }
        self.output.push((*token).clone());
        self.at += 1;
    }

    fn step(&mut self) {
        let rewritten = self.over()
            || self.exclude()
            || self.locks()
            || self.rows_from()
            || self.group_by()
            || self.nested_sets()
            || self.conflict_target()
            || self.search_cycle();
        if !rewritten {
            self.copy();
        }
    }

    /// Behind the parenthesis of a WITH query.
    fn search_cycle(&mut self) -> bool {
        if !matches!(self.output.last().map(|t| &t.token), Some(Token::RParen)) {
            return false;
        }
        let rest = self.input.get(self.at..).unwrap_or_default();
        let Some((tokens, length)) = search_cycle::rewritten(rest, self.text, self.lines) else { return false };
        self.output.extend(tokens);
        self.at += length;
        true
    }

    fn span(&self) -> Span {
        self.input.get(self.at).map_or_else(Span::empty, |t| t.span)
    }

    /// The parenthesis of a window's definition, marked with where it stands.
    fn over(&mut self) -> bool {
        if !(self.peek(0, "over") && self.is_token(1, &Token::LParen)) {
            return false;
        }
        self.copy();
        let span = self.span();
        self.copy();
        match self.input.get(self.at).map(|t| &t.token) {
            Some(Token::RParen) => {}
            Some(Token::Word(w)) if is_window_name(w) => {
                let named = word(marked_window("no others", Some(&w.value)), w.quote_style, span);
                self.output.push(named);
                self.at += 1;
            }
            _ => self.output.push(mark(&format!("{EXCLUDE}no others"), span)),
        }
        true
    }

    fn exclude(&mut self) -> bool {
        if !self.peek(0, "exclude") {
            return false;
        }
        let forms: [(&str, &[&str]); 4] = [
            ("current row", &["current", "row"]),
            ("group", &["group"]),
            ("ties", &["ties"]),
            ("no others", &["no", "others"]),
        ];
        let found =
            forms.iter().find(|(_, words)| self.peek_all(1, words) && self.is_token(1 + words.len(), &Token::RParen));
        let (Some((what, words)), Some(open)) = (found, self.open.last()) else { return false };
        let first = open.at + 1;
        let is_marked = |w: &Word| w.value.starts_with(MARK);
        match self.output.get(first).map(|t| (t.token.clone(), t.span)) {
            Some((Token::Word(w), span)) if is_marked(&w) => {
                let rest = w.value.get(1..).and_then(|v| v.split_once(MARK)).map(|(_, name)| name);
                let value = marked_window(what, rest);
                if let Some(place) = self.output.get_mut(first) {
                    *place = word(value, w.quote_style, span);
                }
            }
            Some((Token::Word(w), span)) if is_window_name(&w) => {
                if let Some(place) = self.output.get_mut(first) {
                    *place = word(marked_window(what, Some(&w.value)), w.quote_style, span);
                }
            }
            _ => self.output.insert(first, mark(&format!("{EXCLUDE}{what}"), self.span())),
        }
        self.at += 1 + words.len();
        true
    }

    /// A locking clause with all that it names, and LIMIT behind it put before it.
    fn locks(&mut self) -> bool {
        if !self.peek(0, "for") {
            return false;
        }
        let (words, strength, what) = if self.peek_all(1, &["no", "key", "update"]) {
            (3, "update", Some(NO_KEY_UPDATE))
        } else if self.peek_all(1, &["key", "share"]) {
            (2, "share", Some(KEY_SHARE))
        } else if self.peek(1, "update") {
            (1, "update", None)
        } else if self.peek(1, "share") {
            (1, "share", None)
        } else {
            return false;
        };
        let span = self.span();
        let mut clause: Vec<TokenWithSpan> = self.input.get(self.at).map(|t| (*t).clone()).into_iter().collect();
        self.at += words;
        let last = self.input.get(self.at).filter(|t| is(t, strength)).map(|t| (*t).clone());
        clause.extend(last);
        self.at += 1;
        let names = self.locked_names(what, span);
        if !names.is_empty() {
            clause.push(TokenWithSpan { token: Token::make_keyword("OF"), span });
            for (number, name) in names.into_iter().enumerate() {
                if number > 0 {
                    clause.push(TokenWithSpan { token: Token::Period, span });
                }
                clause.push(name);
            }
        }
        if self.peek(0, "nowait") {
            clause.extend(self.input.get(self.at).map(|t| (*t).clone()));
            self.at += 1;
        } else if self.peek_all(0, &["skip", "locked"]) {
            clause.extend(self.input.iter().skip(self.at).take(2).map(|t| (*t).clone()));
            self.at += 2;
        }
        while ["limit", "offset", "fetch"].iter().any(|name| self.peek(0, name)) {
            let depth = self.open.len();
            self.copy();
            while self.at < self.input.len() {
                let ends = self.open.len() == depth
                    && (self.is_token(0, &Token::RParen)
                        || self.is_token(0, &Token::SemiColon)
                        || ["for", "limit", "offset", "fetch"].iter().any(|name| self.peek(0, name))
                        || self.is_token(0, &Token::EOF));
                if ends {
                    break;
                }
                self.copy();
            }
        }
        self.output.extend(clause);
        true
    }

    fn locked_names(&mut self, what: Option<&str>, span: Span) -> Vec<TokenWithSpan> {
        let mut names: Vec<TokenWithSpan> = what.map(|w| mark(w, span)).into_iter().collect();
        if !self.peek(0, "of") {
            return names;
        }
        self.at += 1;
        while let Some(token) = self.input.get(self.at).filter(|t| matches!(t.token, Token::Word(_))) {
            names.push((*token).clone());
            self.at += 1;
            while self.is_token(0, &Token::Period) {
                names.push(mark(QUALIFIED, token.span));
                self.at += 2;
            }
            if !self.is_token(0, &Token::Comma) {
                break;
            }
            self.at += 1;
        }
        names
    }

    fn rows_from(&mut self) -> bool {
        if !(self.peek_all(0, &["rows", "from"]) && self.is_token(2, &Token::LParen)) {
            return false;
        }
        self.output.push(mark(ROWS_FROM, self.span()));
        self.at += 2;
        true
    }

    fn group_by(&mut self) -> bool {
        if !self.peek_all(0, &["group", "by"]) {
            return false;
        }
        self.copy();
        self.copy();
        if self.peek(0, "distinct") {
            let span = self.span();
            self.output.push(mark(DISTINCT, span));
            self.output.push(TokenWithSpan { token: Token::Comma, span });
            self.at += 1;
        } else if self.peek(0, "all") {
            self.at += 1;
        }
        true
    }

    fn nested_sets(&mut self) -> bool {
        let in_sets = self.open.last().is_some_and(|o| o.is_sets);
        if !(in_sets && self.peek_all(0, &["grouping", "sets"]) && self.is_token(2, &Token::LParen)) {
            return false;
        }
        self.at += 3;
        self.open.push(Open { at: self.output.len(), is_sets: true, is_dropped: true });
        true
    }

    fn conflict_target(&mut self) -> bool {
        if self.peek_all(0, &["on", "conflict", "do", "update"]) {
            let span = self.span();
            (0..2).for_each(|_| self.copy());
            let put = |token| TokenWithSpan { token, span };
            self.output.extend([put(Token::LParen), mark(NO_TARGET, span), put(Token::RParen)]);
            return true;
        }
        if !(self.peek_all(0, &["on", "conflict"]) && self.is_token(2, &Token::LParen)) {
            return false;
        }
        (0..3).for_each(|_| self.copy());
        loop {
            let start = self.at;
            let mut depth = 0usize;
            while let Some(token) = self.input.get(self.at) {
                match token.token {
                    Token::LParen => depth += 1,
                    Token::RParen | Token::Comma if depth == 0 => break,
                    Token::RParen => depth -= 1,
                    Token::EOF => break,
                    _ => {}
                }
                self.at += 1;
            }
            let (first, last) = (self.input.get(start), self.input.get(self.at.saturating_sub(1)));
            match (first, last) {
                (Some(first), Some(last)) if self.at > start + 1 => {
                    let bytes = self.lines.byte(self.text, first.span.start)..self.lines.byte(self.text, last.span.end);
                    let item = self.text.get(bytes).unwrap_or_default();
                    self.output.push(mark(item, first.span));
                }
                _ => self.output.extend(self.input.iter().skip(start).take(self.at - start).map(|t| (*t).clone())),
            }
            if !self.is_token(0, &Token::Comma) {
                return true;
            }
            self.copy();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    /// The statement as sqlparser shows it, marks as `~`.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let statements = parse(text, true).unwrap_or_else(|e| panic!("{text}: {}", e.message()));
        let super::super::Syntax::Sql(statement) = &statements[0].syntax else { panic!("{text}") };
        assert_eq!(statement.to_string().replace('\0', "~"), expected, "{text}");
    }

    #[test]
    fn forms_are_rewritten() {
        check(
            "select a from t for no key update of t nowait",
            "SELECT a FROM t FOR UPDATE OF \"~no key update\".t NOWAIT",
        );
        check("select a from t for update skip locked limit 1", "SELECT a FROM t LIMIT 1 FOR UPDATE SKIP LOCKED");
        check("select a from t for share of a, b", "SELECT a FROM t FOR SHARE OF a.b");
        check("select * from rows from (f(1), g(2)) x", "SELECT * FROM \"~rows from\"(f(1), g(2)) x");
        check("select a from t group by distinct a", "SELECT a FROM t GROUP BY \"~distinct\", a");
        check(
            "insert into t values (1) on conflict (lower(a), b) do nothing",
            "INSERT INTO t VALUES (1) ON CONFLICT(\"~lower(a)\", b) DO NOTHING",
        );
    }
}
