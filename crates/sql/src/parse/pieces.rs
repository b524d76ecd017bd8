//! A string cut into its statements' texts, so that each is read by itself: however many there are, one tree is in memory.
//!
//! A semicolon ends a piece where it stands in no literal, comment or parentheses (those of CREATE RULE hold statements). What a piece
//! holds is the parser's to say, also that it holds more than one statement: where this cuts too seldom, nothing is wrong.

use super::scan::{self, Kind};
use super::{Statement, parse_piece};
use crate::stop;
use types::{Result, SqlError, SqlState};

/// Statements in one string.
const STATEMENTS_MAX: usize = 1_000_000;
/// The trees of no more statements are kept when a string is read.
const KEPT_MAX: usize = 256;

/// The text of one statement in a string, up to its semicolon or to the end.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    start: u32,
    end: u32,
    /// Characters before it.
    characters: u32,
}

/// The statements of a string.
pub enum Parsed {
    /// There are few.
    Statements(Vec<Statement>),
    /// Nothing is wrong with any of them; each is to be read again when its turn comes.
    Pieces(Vec<Piece>),
}

impl Piece {
    pub fn text<'t>(&self, whole: &'t str) -> &'t str {
        whole.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Its statements: one, or more where the text could not be cut between them.
    pub fn parse(&self, whole: &str) -> Result<Vec<Statement>> {
        let mut statements = vec![];
        parse_piece(self.text(whole), self.characters, &mut statements)?;
        Ok(statements)
    }
}

/// All statements of a string, of which none may run when one of them can not be read.
pub(super) fn parse(text: &str) -> Result<Parsed> {
    let pieces = cut(text)?;
    let mut statements = vec![];
    for piece in &pieces {
        stop::check()?;
        if pieces.len() > KEPT_MAX {
            statements.clear();
        }
        parse_piece(piece.text(text), piece.characters, &mut statements)?;
    }
    Ok(if pieces.len() > KEPT_MAX { Parsed::Pieces(pieces) } else { Parsed::Statements(statements) })
}

/// The pieces with anything in them.
pub(super) fn cut(text: &str) -> Result<Vec<Piece>> {
    let mut pieces = vec![];
    let (mut start, mut at, mut characters) = (0, 0, 0);
    let (mut depth, mut is_empty) = (0_u32, true);
    // Behind BEGIN ATOMIC semicolons separate what belongs together.
    let (mut begins, mut is_atomic) = (false, false);
    let mut push = |start: usize, end: usize, characters: u32| {
        if pieces.len() == STATEMENTS_MAX {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "too many statements in one string"));
        }
        pieces.push(Piece { start: short(start), end: short(end), characters });
        Ok(())
    };
    while let Some(item) = scan::item(text, at) {
        stop::spent(item.place.len())?;
        let written = text.get(item.place.clone()).unwrap_or_default();
        at = item.place.end;
        match (item.kind, written) {
            (Kind::Mark, "(") => depth += 1,
            (Kind::Mark, ")") => depth = depth.saturating_sub(1),
            (Kind::Mark, ";") if depth == 0 && !is_atomic => {
                if !is_empty {
                    push(start, at, characters)?;
                }
                characters += count(text.get(start..at).unwrap_or_default());
                (start, is_empty, begins) = (at, true, false);
                continue;
            }
            (Kind::Word, _) => {
                is_atomic |= begins && written.eq_ignore_ascii_case("atomic");
                begins = written.eq_ignore_ascii_case("begin");
            }
            (Kind::Blank | Kind::LineComment | Kind::BlockComment, _) if item.is_whole => continue,
            _ => {}
        }
        is_empty = false;
    }
    if !is_empty {
        push(start, text.len(), characters)?;
    }
    Ok(pieces)
}

/// Messages are shorter than 4 GB.
fn short(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Characters of a text.
pub(super) fn count(text: &str) -> u32 {
    short(text.as_bytes().iter().filter(|byte| (**byte & 0xc0) != 0x80).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let pieces = cut(text).expect("few");
        let found: Vec<&str> = pieces.iter().map(|piece| piece.text(text).trim()).collect();
        assert_eq!(found, expected);
        for piece in pieces {
            assert_eq!(piece.characters as usize, text[..piece.start as usize].chars().count(), "{text}");
        }
    }

    #[test]
    fn strings_are_cut_between_statements_only() {
        check("", &[]);
        check(" ; /* ; */ ;-- ;\n", &[]);
        check("é;a';'b;$$;$$", &["é;", "a';'b;", "$$;$$"]);
        check("create rule r as on insert to t do (a; b); c", &["create rule r as on insert to t do (a; b);", "c"]);
        check("a); b; (c; d", &["a);", "b;", "(c; d"]);
        check("f() begin atomic a; b; end; c", &["f() begin atomic a; b; end; c"]);
        check("begin; a; /* open ;", &["begin;", "a;", "/* open ;"]);
    }

    #[test]
    fn many_statements_leave_no_trees_and_all_of_them_are_read() {
        let text = "select 1; ".repeat(KEPT_MAX + 1);
        let Ok(Parsed::Pieces(pieces)) = parse(&text) else { panic!("few") };
        assert_eq!(pieces.len(), KEPT_MAX + 1);
        let last = pieces.last().expect("many").parse(&text).expect("read before");
        assert_eq!((last.len(), last[0].text(), last[0].offset() as usize), (1, "select 1", 10 * KEPT_MAX));
        let error = parse(&format!("{text}é selec")).err().expect("wrong at its end");
        assert_eq!(error.fields().position, Some(10 * (KEPT_MAX as u32 + 1) + 1));
    }
}
