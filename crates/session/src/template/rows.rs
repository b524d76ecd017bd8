//! INSERT of many rows of literals: the plan of one row, run once for each.
//!
//! Loaders write `INSERT INTO t VALUES (1, 'a'), (2, 'b'), …`. Parsed, bound and planned, each literal is a tree of its own; here a text
//! is read once, byte by byte, into the places of its literals. As in PostgreSQL each literal is assigned to its column by itself, so
//! rows whose literals are of other numeric types share a plan: that of the widest. A row with anything else in it than literals leaves
//! the whole statement to the parser.

use super::{Kind, Literal, number, string};
use smallvec::SmallVec;
use std::ops::Range;

/// Longer texts are parsed.
const TEXT_MAX: usize = 1 << 20;
/// `INSERT INTO t (columns) VALUES`.
const HEAD_MAX: usize = 4 << 10;
const COLUMNS_MAX: usize = 64;

/// The rows of one INSERT.
pub(crate) struct Rows {
    /// Up to the first row.
    head: usize,
    /// What the literals of a column are, all rows considered; None: NULL in each of them.
    kinds: SmallVec<[Option<Kind>; 16]>,
    /// Of each literal, row by row; None: NULL.
    pub places: Vec<Option<Range<usize>>>,
}

impl Rows {
    /// The text up to the first row, and one row of parameters' types.
    pub fn head<'a>(&self, text: &'a str) -> &'a str {
        text.get(..self.head).unwrap_or_default()
    }

    pub fn kinds(&self) -> &[Option<Kind>] {
        &self.kinds
    }

    /// The literal of a column as text; None: NULL.
    pub fn literals(&self) -> impl Iterator<Item = Option<Literal>> + '_ {
        let kinds = self.kinds.iter().copied().cycle();
        self.places
            .iter()
            .zip(kinds)
            .map(|(place, kind)| place.clone().map(|place| Literal { kind: kind.unwrap_or(Kind::Unknown), place }))
    }
}

/// Reads an INSERT of at least two rows of literals. None: it is something else, or the parser must read it.
pub(crate) fn read(text: &str) -> Option<Rows> {
    if text.len() > TEXT_MAX {
        return None;
    }
    let bytes = text.as_bytes();
    let head = head(bytes)?;
    let mut rows = Rows { head, kinds: SmallVec::new(), places: Vec::new() };
    let mut at = head;
    loop {
        at = row(bytes, at, &mut rows)?;
        at = blank(bytes, at);
        match bytes.get(at) {
            Some(b',') => at = blank(bytes, at + 1),
            Some(b';') if blank(bytes, at + 1) == bytes.len() => break,
            None => break,
            _ => return None,
        }
    }
    (rows.places.len() > rows.kinds.len()).then_some(rows)
}

fn blank(bytes: &[u8], from: usize) -> usize {
    let length = bytes.iter().skip(from).take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
    from + length
}

/// Where the first row begins: behind the word VALUES that stands in no parentheses.
fn head(bytes: &[u8]) -> Option<usize> {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80;
    let mut at = blank(bytes, 0);
    let (mut depth, mut is_first) = (0, true);
    while at < HEAD_MAX {
        let rest = bytes.get(at..)?;
        match rest.first()? {
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b'.' => at += 1,
            b'(' => (depth, at) = (depth + 1, at + 1),
            b')' => (depth, at) = (depth - 1, at + 1),
            b'"' => at += 2 + rest.get(1..)?.iter().position(|b| *b == b'"')?,
            b if is_part(b) => {
                let length = rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len());
                let word = rest.get(..length)?;
                if std::mem::take(&mut is_first) && !word.eq_ignore_ascii_case(b"insert") {
                    return None;
                }
                at += length;
                if depth == 0 && word.eq_ignore_ascii_case(b"values") {
                    let first = blank(bytes, at);
                    return (bytes.get(first) == Some(&b'(')).then_some(first);
                }
            }
            _ => return None,
        }
    }
    None
}

/// One row in its parentheses; where it ends.
fn row(bytes: &[u8], from: usize, rows: &mut Rows) -> Option<usize> {
    let is_first = rows.places.is_empty();
    let (mut at, mut column) = (from, 0);
    if bytes.get(at) != Some(&b'(') {
        return None;
    }
    loop {
        at = blank(bytes, at + 1);
        let (length, kind) = literal(bytes.get(at..)?)?;
        if is_first {
            rows.kinds.push(None);
        }
        let known = rows.kinds.get_mut(column)?;
        *known = widened(*known, kind)?;
        rows.places.push(kind.map(|_| at..at + length));
        column += 1;
        at = blank(bytes, at + length);
        match bytes.get(at)? {
            b',' if column < COLUMNS_MAX => {}
            b')' if column == rows.kinds.len() => return Some(at + 1),
            _ => return None,
        }
    }
}

/// The kind that holds both; None: there is none.
fn widened(known: Option<Kind>, found: Option<Kind>) -> Option<Option<Kind>> {
    let rank = |kind| match kind {
        Kind::Int4 => Some(0),
        Kind::Int8 => Some(1),
        Kind::Numeric => Some(2),
        Kind::Bool | Kind::Unknown => None,
    };
    match (known, found) {
        (None, kind) | (kind, None) => Some(kind),
        (Some(a), Some(b)) if a == b => Some(Some(a)),
        (Some(a), Some(b)) => Some(Some(if rank(a)? > rank(b)? { a } else { b })),
    }
}

/// A literal's length, and its kind; no kind: NULL.
fn literal(rest: &[u8]) -> Option<(usize, Option<Kind>)> {
    match rest.first()? {
        b'0'..=b'9' => number(rest).map(|(length, kind)| (length, Some(kind))),
        b'-' if rest.get(1)?.is_ascii_digit() => number(rest.get(1..)?).map(|(length, kind)| (length + 1, Some(kind))),
        b'\'' => string(rest).map(|length| (length, Some(Kind::Unknown))),
        _ => {
            let length = rest.iter().position(|b| !b.is_ascii_alphabetic())?;
            let word = rest.get(..length)?;
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            match () {
                () if is("null") => Some((length, None)),
                () if is("true") || is("false") => Some((length, Some(Kind::Bool))),
                () => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, head: &str, kinds: &[Option<Kind>], values: &[&str]) {
        let rows = read(text).expect(text);
        assert_eq!((rows.head(text), rows.kinds()), (head, kinds), "{text}");
        let found: Vec<String> =
            rows.literals().map(|l| l.map_or("NULL".into(), |literal| literal.value(text).into_owned())).collect();
        assert_eq!(found, values, "{text}");
    }

    #[test]
    fn rows_of_literals_are_read() {
        let (int, text) = (Some(Kind::Int4), Some(Kind::Unknown));
        check("INSERT INTO t VALUES (1,'a'),(2,'b')", "INSERT INTO t VALUES ", &[int, text], &["1", "a", "2", "b"]);
        check(
            " insert into s.\"va lues\" (a, \"values\")\nvalues\n( -1 , 'it''s' ) , (NULL,null) ; ",
            " insert into s.\"va lues\" (a, \"values\")\nvalues\n",
            &[int, text],
            &["-1", "it's", "NULL", "NULL"],
        );
        check(
            "INSERT INTO t VALUES (1, true, NULL), (3000000000, FALSE, NULL), (1.5, NULL, NULL)",
            "INSERT INTO t VALUES ",
            &[Some(Kind::Numeric), Some(Kind::Bool), None],
            &["1", "true", "NULL", "3000000000", "FALSE", "NULL", "1.5", "NULL", "NULL"],
        );
    }

    #[test]
    fn all_else_is_left_to_the_parser() {
        for text in [
            "INSERT INTO t VALUES (1)",
            "INSERT INTO t VALUES (1), (1, 2)",
            "INSERT INTO t VALUES (1, 2), (1)",
            "INSERT INTO t VALUES (1), ('1')",
            "INSERT INTO t VALUES (1), (true)",
            "INSERT INTO t VALUES (1), (1 + 1)",
            "INSERT INTO t VALUES (1), (DEFAULT)",
            "INSERT INTO t VALUES (1), (nullif(1, 1))",
            "INSERT INTO t VALUES (1), (- 1)",
            "INSERT INTO t VALUES (1), (--1\n)",
            "INSERT INTO t VALUES (1), ('a' 'b')",
            "INSERT INTO t VALUES (1), ('a\\b')",
            "INSERT INTO t VALUES (1), (E'a')",
            "INSERT INTO t VALUES (1), (1::int)",
            "INSERT INTO t VALUES (1), (2) RETURNING a",
            "INSERT INTO t VALUES (1), (2) ON CONFLICT DO NOTHING",
            "INSERT INTO t VALUES (1), (2); SELECT 1",
            "INSERT INTO t VALUES (1), (2), ",
            "INSERT INTO t VALUES (), ()",
            "INSERT INTO t (a) SELECT 1 UNION VALUES (1), (2)'",
            "INSERT INTO t /* c */ VALUES (1), (2)",
            "WITH x AS (SELECT 1) INSERT INTO t VALUES (1), (2)",
            "VALUES (1), (2)",
            "",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
