//! Operators as PostgreSQL's lexer cuts them: a run of operator characters is one operator, but for a sign at its end.
//!
//! sqlparser's tokenizer knows a list of operators and takes the longest of them; `a->-1` and `1 *<> 2` come out wrong.
//! Here runs of adjacent operator tokens are joined and cut again.

use crate::parse::Lines;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan};

/// How an operator token is spelled; None for tokens that are no operators. `!=` is spelled `<>`, which it means.
pub(in crate::parse) fn spelling(token: &Token) -> Option<&str> {
    Some(match token {
        Token::CustomBinaryOperator(s) => s,
        Token::DoubleEq => "==",
        Token::Spaceship => "<=>",
        Token::Eq => "=",
        Token::Neq => "<>",
        Token::Lt => "<",
        Token::Gt => ">",
        Token::LtEq => "<=",
        Token::GtEq => ">=",
        Token::Plus => "+",
        Token::Minus => "-",
        Token::Mul => "*",
        Token::Div => "/",
        Token::DuckIntDiv => "//",
        Token::StringConcat => "||",
        Token::Mod => "%",
        Token::Ampersand => "&",
        Token::Caret => "^",
        Token::Pipe => "|",
        Token::RArrow => "=>",
        Token::Sharp => "#",
        Token::DoubleSharp => "##",
        Token::ExclamationMark => "!",
        Token::DoubleExclamationMark => "!!",
        Token::Tilde => "~",
        Token::TildeAsterisk => "~*",
        Token::ExclamationMarkTilde => "!~",
        Token::ExclamationMarkTildeAsterisk => "!~*",
        Token::DoubleTilde => "~~",
        Token::DoubleTildeAsterisk => "~~*",
        Token::ExclamationMarkDoubleTilde => "!~~",
        Token::ExclamationMarkDoubleTildeAsterisk => "!~~*",
        Token::AtSign => "@",
        Token::CaretAt => "^@",
        Token::ShiftLeft => "<<",
        Token::ShiftRight => ">>",
        Token::Overlap => "&&",
        Token::PGSquareRoot => "|/",
        Token::PGCubeRoot => "||/",
        Token::AtDashAt => "@-@",
        Token::QuestionMarkDash => "?-",
        Token::AmpersandLeftAngleBracket => "&<",
        Token::AmpersandRightAngleBracket => "&>",
        Token::AmpersandLeftAngleBracketVerticalBar => "&<|",
        Token::VerticalBarAmpersandRightAngleBracket => "|&>",
        Token::VerticalBarRightAngleBracket => "|>",
        Token::TwoWayArrow => "<->",
        Token::LeftAngleBracketCaret => "<^",
        Token::RightAngleBracketCaret => ">^",
        Token::QuestionMarkSharp => "?#",
        Token::QuestionMarkDashVerticalBar => "?-|",
        Token::QuestionMarkDoubleVerticalBar => "?||",
        Token::TildeEqual => "~=",
        Token::ShiftLeftVerticalBar => "<<|",
        Token::VerticalBarShiftRight => "|>>",
        Token::Arrow => "->",
        Token::LongArrow => "->>",
        Token::HashArrow => "#>",
        Token::HashLongArrow => "#>>",
        Token::AtArrow => "@>",
        Token::ArrowAt => "<@",
        Token::HashMinus => "#-",
        Token::AtQuestion => "@?",
        Token::AtAt => "@@",
        Token::Question => "?",
        Token::QuestionAnd => "?&",
        Token::QuestionPipe => "?|",
        _ => return None,
    })
}

/// The tokens that other parts of the grammar than operators know; all others are custom ones.
fn token(operator: &str) -> Token {
    match operator {
        "=" => Token::Eq,
        "<>" | "!=" => Token::Neq,
        "<" => Token::Lt,
        ">" => Token::Gt,
        "<=" => Token::LtEq,
        ">=" => Token::GtEq,
        "+" => Token::Plus,
        "-" => Token::Minus,
        "*" => Token::Mul,
        "/" => Token::Div,
        "%" => Token::Mod,
        "^" => Token::Caret,
        "=>" => Token::RArrow,
        "||" => Token::StringConcat,
        other => Token::CustomBinaryOperator(other.to_owned()),
    }
}

/// The first operator of a run: all of it, without the signs at its end unless a character before them allows these.
fn first(run: &str) -> &str {
    if run.chars().any(|c| "~!@#^&|`?%".contains(c)) {
        return run;
    }
    let bare = run.trim_end_matches(['+', '-']);
    // A run of signs alone is cut one by one.
    let end = if bare.is_empty() { 1 } else { bare.len() };
    run.get(..end).unwrap_or(run)
}

/// Whether a token alone may stay as it is.
fn is_settled(token: &Token) -> bool {
    spelling(token).is_none_or(|s| first(s).len() == s.len())
}

pub(in crate::parse) fn cut_operators(tokens: Vec<TokenWithSpan>, text: &str, lines: &Lines) -> Vec<TokenWithSpan> {
    let is_operator = |t: &TokenWithSpan| spelling(&t.token).is_some();
    let adjacent = tokens.windows(2).any(|pair| pair.iter().all(is_operator));
    if !adjacent && tokens.iter().all(|t| is_settled(&t.token)) {
        return tokens;
    }
    let mut cut = Vec::with_capacity(tokens.len());
    let mut run: Vec<TokenWithSpan> = vec![];
    for token in tokens {
        if is_operator(&token) {
            run.push(token);
            continue;
        }
        cut_run(&mut run, &mut cut, text, lines);
        cut.push(token);
    }
    cut_run(&mut run, &mut cut, text, lines);
    cut
}

/// `t.*::text` as `(t.*)::text`: in a select list sqlparser takes `t.*` for all of the item.
pub(in crate::parse) fn wrap_whole_rows(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_space = |t: &TokenWithSpan| matches!(t.token, Token::Whitespace(_));
    let goes_on = |at: usize| {
        let next = tokens.get(at..).unwrap_or_default().iter().find(|t| !is_space(t));
        next.is_some_and(|t| match &t.token {
            Token::DoubleColon => true,
            Token::Word(w) => w.quote_style.is_none() && w.value.eq_ignore_ascii_case("is"),
            other => spelling(other).is_some(),
        })
    };
    let mut wraps = vec![];
    for (at, pair) in tokens.windows(2).enumerate() {
        if pair.first().is_some_and(|t| t.token == Token::Period)
            && pair.get(1).is_some_and(|t| t.token == Token::Mul)
            && goes_on(at + 2)
        {
            // Back over the names that stand before.
            let mut start = at;
            while start > 0 && tokens.get(start - 1).is_some_and(|t| matches!(t.token, Token::Word(_) | Token::Period))
            {
                start -= 1;
            }
            if start < at && tokens.get(start).is_some_and(|t| matches!(t.token, Token::Word(_))) {
                wraps.push((start, at + 1));
            }
        }
    }
    if wraps.is_empty() {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len() + 2 * wraps.len());
    // In order, and apart from each other.
    let mut wraps = wraps.into_iter().peekable();
    for (at, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        if wraps.peek().is_some_and(|(start, _)| *start == at) {
            out.push(TokenWithSpan { token: Token::LParen, span });
        }
        out.push(token);
        if wraps.next_if(|(_, end)| *end == at).is_some() {
            out.push(TokenWithSpan { token: Token::RParen, span });
        }
    }
    out
}

fn cut_run(run: &mut Vec<TokenWithSpan>, cut: &mut Vec<TokenWithSpan>, text: &str, lines: &Lines) {
    let (Some(start), Some(end)) = (run.first().map(|t| t.span.start), run.last().map(|t| t.span.end)) else { return };
    if run.len() == 1 && run.iter().all(|t| is_settled(&t.token)) {
        cut.append(run);
        return;
    }
    run.clear();
    let mut rest = text.get(lines.byte(text, start)..lines.byte(text, end)).unwrap_or_default();
    let mut column = start.column;
    while !rest.is_empty() {
        let operator = first(rest);
        rest = rest.get(operator.len()..).unwrap_or_default();
        let next = column + operator.len() as u64;
        let span = Span::new(Location::new(start.line, column), Location::new(start.line, next));
        cut.push(TokenWithSpan { token: token(operator), span });
        column = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_cut_as_postgresql_cuts_them() {
        for (run, expected) in [
            ("->-", vec!["->", "-"]),
            ("*-", vec!["*", "-"]),
            ("<>-", vec!["<>", "-"]),
            ("--", vec!["-", "-"]),
            ("@-", vec!["@-"]),
            ("||-", vec!["||-"]),
            ("*<>", vec!["*<>"]),
            ("=-+", vec!["=", "-", "+"]),
        ] {
            let (mut rest, mut found) = (run, vec![]);
            while !rest.is_empty() {
                let operator = first(rest);
                found.push(operator);
                rest = &rest[operator.len()..];
            }
            assert_eq!(found, expected, "{run}");
        }
    }
}
