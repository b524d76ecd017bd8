//! What bounds a window's frame may have, told while it is read, as PostgreSQL's grammar does.
//!
//! sqlparser's tree does not say where the bounds stand.

use super::Lines;
use super::forms::is;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use types::{Result, SqlError, SqlState};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    UnboundedPreceding,
    Preceding,
    CurrentRow,
    Following,
    UnboundedFollowing,
}

/// 42P20 where a frame's bounds do not go together.
pub(super) fn check(tokens: &[TokenWithSpan], lines: &Lines) -> Result<()> {
    if !tokens.iter().any(|t| is(t, "preceding") || is(t, "following")) {
        return Ok(());
    }
    let significant: Vec<_> = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).collect();
    // Of each parenthesis that is open, whether it holds a window's definition.
    let mut open = vec![];
    for (at, token) in significant.iter().enumerate() {
        match token.token {
            Token::LParen => open.push(opens_window(&significant, at)),
            Token::RParen => {
                open.pop();
            }
            Token::SemiColon => open.clear(),
            _ if open.last() == Some(&true) && starts_frame(&significant, at) => {
                frame(significant.get(at + 1..).unwrap_or_default(), lines)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a parenthesis stands behind OVER, or behind `name AS` and holds no query: WINDOW name AS (…).
fn opens_window(tokens: &[&TokenWithSpan], at: usize) -> bool {
    let before = |distance: usize| at.checked_sub(distance).and_then(|at| tokens.get(at));
    if before(1).is_some_and(|t| is(t, "over")) {
        return true;
    }
    let queries = ["select", "with", "values", "table", "insert", "update", "delete", "merge"];
    before(1).is_some_and(|t| is(t, "as"))
        && before(3).is_some_and(|t| is(t, "window") || t.token == Token::Comma)
        && !tokens.get(at + 1).is_some_and(|t| queries.iter().any(|word| is(t, word)))
}

/// Whether the token is the first word of a frame and no column in the definition's lists.
fn starts_frame(tokens: &[&TokenWithSpan], at: usize) -> bool {
    let is_unit = tokens.get(at).is_some_and(|t| ["rows", "range", "groups"].iter().any(|unit| is(t, unit)));
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    is_unit && !before.is_some_and(|t| is(t, "by") || t.token == Token::Comma)
}

/// What stands behind ROWS, RANGE or GROUPS; nothing is said where that is no frame.
fn frame(tokens: &[&TokenWithSpan], lines: &Lines) -> Result<()> {
    let is_between = tokens.first().is_some_and(|t| is(t, "between"));
    let tokens = tokens.get(usize::from(is_between)..).unwrap_or_default();
    let Some((start, length)) = bound(tokens) else { return Ok(()) };
    let refused = |message: &str, at: usize| {
        let position = tokens.get(at).map_or(0, |t| lines.of(t.span));
        Err(SqlError::new(SqlState::WINDOWING_ERROR, message).at(position))
    };
    if start == Bound::UnboundedFollowing {
        return refused("frame start cannot be UNBOUNDED FOLLOWING", 0);
    }
    if !is_between {
        return match start {
            Bound::Following => refused("frame starting from following row cannot end with current row", 0),
            _ => Ok(()),
        };
    }
    let Some(second) = tokens.get(length + 1..).filter(|_| tokens.get(length).is_some_and(|t| is(t, "and"))) else {
        return Ok(());
    };
    match (start, bound(second).map(|(end, _)| end)) {
        (_, Some(Bound::UnboundedPreceding)) => refused("frame end cannot be UNBOUNDED PRECEDING", length + 1),
        (Bound::CurrentRow, Some(Bound::Preceding)) => {
            refused("frame starting from current row cannot have preceding rows", length + 1)
        }
        (Bound::Following, Some(Bound::Preceding | Bound::CurrentRow)) => {
            refused("frame starting from following row cannot have preceding rows", length + 1)
        }
        _ => Ok(()),
    }
}

/// The bound that stands first, and its number of tokens.
fn bound(tokens: &[&TokenWithSpan]) -> Option<(Bound, usize)> {
    let starts = |words: [&str; 2]| words.iter().zip(tokens).filter(|(word, token)| is(token, word)).count() == 2;
    if starts(["unbounded", "preceding"]) {
        return Some((Bound::UnboundedPreceding, 2));
    }
    if starts(["unbounded", "following"]) {
        return Some((Bound::UnboundedFollowing, 2));
    }
    if starts(["current", "row"]) {
        return Some((Bound::CurrentRow, 2));
    }
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket if depth == 0 => return None,
            Token::RParen | Token::RBracket => depth -= 1,
            Token::Comma | Token::SemiColon | Token::EOF if depth == 0 => return None,
            _ if depth > 0 || at == 0 => {}
            _ if is(token, "preceding") => return Some((Bound::Preceding, at + 1)),
            _ if is(token, "following") => return Some((Bound::Following, at + 1)),
            _ if is(token, "and") => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[track_caller]
    fn check(frame: &str, expected: &str) {
        let found = match parse(&format!("select sum(a) over (order by a {frame}) from t"), true) {
            Ok(_) => String::new(),
            Err(e) => format!("{} @{}", e.message(), e.fields().position.unwrap_or(0)),
        };
        assert_eq!(found, expected, "{frame}");
    }

    #[test]
    fn bounds_are_refused_where_they_stand() {
        let starting = |from: &str, with: &str| format!("frame starting from {from} row cannot {with}");
        check("rows unbounded following", "frame start cannot be UNBOUNDED FOLLOWING @37");
        check("rows 1 following", &starting("following", "end with current row @37"));
        check("range between unbounded following and current row", "frame start cannot be UNBOUNDED FOLLOWING @46");
        check("rows between current row and unbounded preceding", "frame end cannot be UNBOUNDED PRECEDING @61");
        check("groups between current row and 1+(2) preceding", &starting("current", "have preceding rows @63"));
        check("rows between 1 following and 2 preceding", &starting("following", "have preceding rows @61"));
        check("rows between f(1,2) following and current row", &starting("following", "have preceding rows @66"));
    }

    #[test]
    fn what_is_no_frame_is_left_alone() {
        check("rows between 2 following and 1 following", "");
        check("rows between unbounded preceding and unbounded following", "");
        assert!(parse("select rows from t where rows between 1 and 2 and following > preceding", true).is_ok());
        assert!(parse("select range from t where range in (1, 2) order by following", true).is_ok());
        assert!(parse("select rows - following from t where (rows 1 following) is null", true).is_err());
        assert!(parse("select (rows - following) from t", true).is_ok());
        assert!(parse("select sum(a) over (partition by range order by following) from t", true).is_ok());
        assert!(parse("with w as (select range from t order by following) select * from w", true).is_ok());
    }
}
