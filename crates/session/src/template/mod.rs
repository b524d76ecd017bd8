//! Statements that differ only in their literals share one plan.
//!
//! Clients that write values into their text (psycopg2, PHP, pgbench's simple mode) send a new text each time. A text is read once,
//! byte by byte, into its *shape*: itself with a mark in the place of each literal. A shape that comes again is prepared with
//! parameters in those places, and from then on costs no parsing, binding or planning. Only statements by full key (direct plans) are
//! run so: in them a parameter of the literal's type means what the literal means, which is not so where SQL wants a constant
//! (`ORDER BY 1`). Whatever the reader does not know is left to the parser.

mod rows;

use crate::block::BlockState;
use crate::session::{Queued, Session};
use crate::shared::wall;
use crate::statement::PreparedStatement;
use exec::output::ValueFormat;
use foldhash::HashMap;
use rows::Rows;
use smallvec::SmallVec;
use sql::StatementKind;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use types::{Datum, Result, SqlType};

/// Shapes that a session knows; all are forgotten when there are more.
const SHAPES_MAX: usize = 512;
/// Longer texts have no shape.
const TEXT_MAX: usize = 4 << 10;
/// Literals of one statement.
const LITERALS_MAX: usize = 64;

/// Before the shape of an INSERT of rows; no other shape has this byte.
const ROWS_MARK: u8 = 31;

/// What a literal is without any context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Int4,
    Int8,
    Numeric,
    Bool,
    /// A string: of the type that its place asks for.
    Unknown,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Literal {
    kind: Kind,
    /// In the text, with a string's quotes.
    place: Range<usize>,
}

impl Kind {
    fn ty(self) -> Option<SqlType> {
        match self {
            Kind::Int4 => Some(SqlType::INT4),
            Kind::Int8 => Some(SqlType::INT8),
            Kind::Numeric => Some(SqlType::NUMERIC),
            Kind::Bool => Some(SqlType::BOOL),
            Kind::Unknown => None,
        }
    }
}

impl Literal {
    /// The literal's value as text.
    pub fn value<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let written = text.get(self.place.clone()).unwrap_or_default();
        match written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(inner) if inner.contains('\'') => Cow::Owned(inner.replace("''", "'")),
            Some(inner) => Cow::Borrowed(inner),
            None => Cow::Borrowed(written),
        }
    }
}

pub(crate) type Literals = SmallVec<[Literal; 8]>;

/// What is known of a shape.
enum Known {
    /// Has come once.
    Seen,
    /// Is none of those that can share a plan.
    Refused,
    Ready(Arc<PreparedStatement>),
}

/// What to do with a text.
pub(crate) enum Advice {
    /// Parse it.
    Parse,
    /// Parse it, and see whether its shape can be prepared: it has come before.
    Learn(Literals),
    /// Run this with the literals as parameters.
    Run(Arc<PreparedStatement>, Literals),
}

#[derive(Default)]
pub(crate) struct Templates {
    known: HashMap<Box<[u8]>, Known>,
    /// The shape that was read last.
    shape: Vec<u8>,
}

impl Templates {
    /// What to do with rows; `Learn` where their like has not come before: there are many at once.
    fn advice_on_rows(&mut self, text: &str, rows: &Rows) -> Advice {
        self.shape.clear();
        self.shape.push(ROWS_MARK);
        self.shape.extend_from_slice(rows.head(text).as_bytes());
        self.shape.extend(rows.kinds().iter().map(|kind| kind.map_or(0, |kind| 1 + kind as u8)));
        match self.known.get(self.shape.as_slice()) {
            Some(Known::Ready(statement)) => Advice::Run(statement.clone(), Literals::new()),
            Some(Known::Refused) => Advice::Parse,
            Some(Known::Seen) | None => Advice::Learn(Literals::new()),
        }
    }

    pub fn advice(&mut self, text: &str) -> Advice {
        let Some(literals) = read(text, &mut self.shape) else { return Advice::Parse };
        match self.known.get(self.shape.as_slice()) {
            Some(Known::Ready(statement)) => Advice::Run(statement.clone(), literals),
            Some(Known::Seen) => Advice::Learn(literals),
            Some(Known::Refused) => Advice::Parse,
            None => {
                self.put(Known::Seen);
                Advice::Parse
            }
        }
    }

    /// Of the shape that [`Templates::advice`] has read.
    pub fn learn(&mut self, statement: Option<Arc<PreparedStatement>>) {
        self.put(statement.map_or(Known::Refused, Known::Ready));
    }

    fn put(&mut self, known: Known) {
        if self.known.len() >= SHAPES_MAX {
            self.known.clear();
        }
        self.known.insert(Box::from(self.shape.as_slice()), known);
    }

    pub fn clear(&mut self) {
        self.known.clear();
    }
}

/// The text with parameters in the literals' places, and the parameters' types.
pub(crate) fn parameterized(text: &str, literals: &[Literal]) -> (String, Vec<Option<SqlType>>) {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for (index, literal) in literals.iter().enumerate() {
        out.push_str(text.get(end..literal.place.start).unwrap_or_default());
        out.push_str(&format!("${}", index + 1));
        end = literal.place.end;
    }
    out.push_str(text.get(end..).unwrap_or_default());
    (out, literals.iter().map(|literal| literal.kind.ty()).collect())
}

/// Reads one statement with at least one literal. None: there is something in it that only the parser understands.
fn read(text: &str, shape: &mut Vec<u8>) -> Option<Literals> {
    if text.len() > TEXT_MAX {
        return None;
    }
    shape.clear();
    let bytes = text.as_bytes();
    let mut literals = Literals::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let next = rest.get(1).copied().unwrap_or(b' ');
        let length = match byte {
            b'0'..=b'9' => {
                let (length, kind) = number(rest)?;
                push(&mut literals, shape, kind, at..at + length)?;
                at += length;
                continue;
            }
            b'\'' => {
                let length = string(rest)?;
                push(&mut literals, shape, Kind::Unknown, at..at + length)?;
                at += length;
                continue;
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'_' | 0x80.. => word(rest)?,
            b'"' => 2 + rest.get(1..)?.iter().position(|b| *b == b'"')?,
            // The only one, or there are several statements.
            b';' if rest.iter().skip(1).all(u8::is_ascii_whitespace) => break,
            b';' | b'$' | b'\\' | 0..=8 | 11 | 12 | 14..=31 | 127 => return None,
            b'-' if next == b'-' => return None,
            b'/' if next == b'*' => return None,
            // `.5`, and `U&'…'`.
            b'.' if next.is_ascii_digit() => return None,
            b'&' if next == b'\'' || next == b'"' => return None,
            _ => 1,
        };
        shape.extend_from_slice(rest.get(..length)?);
        at += length;
    }
    (!literals.is_empty()).then_some(literals)
}

fn push(literals: &mut Literals, shape: &mut Vec<u8>, kind: Kind, place: Range<usize>) -> Option<()> {
    // Marks are bytes that no shape has from its text.
    shape.push(1 + kind as u8);
    literals.push(Literal { kind, place });
    (literals.len() <= LITERALS_MAX).then_some(())
}

/// A word's length; none of a string's prefix (`E'…'`, `date'…'`), and none of those behind which a number is a column's place.
fn word(rest: &[u8]) -> Option<usize> {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || *b >= 0x80;
    let length = rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len());
    let word = rest.get(..length)?;
    let counts_columns = word.eq_ignore_ascii_case(b"order") || word.eq_ignore_ascii_case(b"group");
    (!counts_columns && rest.get(length) != Some(&b'\'')).then_some(length)
}

/// `12`, `1.5`; no exponents, no letters behind.
fn number(rest: &[u8]) -> Option<(usize, Kind)> {
    let digits = |from: usize| rest.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(0);
    let (length, kind) = match rest.get(whole) {
        Some(b'.') => {
            let fraction = digits(whole + 1);
            if fraction == 0 {
                return None;
            }
            (whole + 1 + fraction, Kind::Numeric)
        }
        _ => (whole, integer(rest.get(..whole)?)?),
    };
    match rest.get(length) {
        Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$' | b'\'') || *b >= 0x80 => None,
        _ => Some((length, kind)),
    }
}

fn integer(digits: &[u8]) -> Option<Kind> {
    let value: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if i32::try_from(value).is_ok() { Kind::Int4 } else { Kind::Int8 })
}

/// A string's length with its quotes. Backslashes may mean something; two strings on two lines are one.
fn string(rest: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match (rest.get(at)?, rest.get(at + 1)) {
            (b'\\' | 0, _) => return None,
            (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
}

impl Session {
    /// The statement of a text whose like has come before, with its literals as parameters. Whatever is wrong with it is left to the
    /// parser and the binder, which know where in the text.
    pub(crate) fn from_template(&mut self, text: &str) -> Option<Queued> {
        if self.block == BlockState::Failed || !self.derived.standard_conforming_strings {
            return None;
        }
        if let Some(rows) = rows::read(text) {
            return self.from_rows(text, &rows);
        }
        let (statement, literals) = match self.templates.advice(text) {
            Advice::Parse => return None,
            Advice::Run(statement, literals) if !statement.is_stale(self.derived.epoch) => (statement, literals),
            Advice::Run(_, literals) | Advice::Learn(literals) => {
                let statement = self.template(text, &literals);
                self.templates.learn(statement.clone());
                (statement?, literals)
            }
        };
        let planned = self.planned(&statement).ok().filter(|planned| planned.is_direct())?;
        let values = literals.iter().zip(&planned.parameters);
        let parameters: Result<Vec<Datum>> = values
            .map(|(literal, ty)| self.parameter(*ty, Some(literal.value(text).as_bytes()), ValueFormat::Text))
            .collect();
        Some(Queued { statement, parameters: parameters.ok()?.into(), written: Some(Arc::from(text)) })
    }

    /// The same for the rows of an INSERT: the statement inserts one, and the parameters are those of all.
    fn from_rows(&mut self, text: &str, rows: &Rows) -> Option<Queued> {
        let statement = match self.templates.advice_on_rows(text, rows) {
            Advice::Parse => return None,
            Advice::Run(statement, _) if !statement.is_stale(self.derived.epoch) => statement,
            Advice::Run(..) | Advice::Learn(_) => {
                let places: Vec<String> = (1..=rows.kinds().len()).map(|number| format!("${number}")).collect();
                let types = rows.kinds().iter().map(|kind| kind.and_then(Kind::ty)).collect();
                let statement = self.prepared_directly(format!("{}({})", rows.head(text), places.join(",")), types);
                self.templates.learn(statement.clone());
                statement?
            }
        };
        let planned = self.planned(&statement).ok().filter(|planned| planned.is_direct())?;
        let mut parameters = Vec::with_capacity(rows.places.len());
        for (literal, ty) in rows.literals().zip(planned.parameters.iter().cycle()) {
            let value = literal.as_ref().map(|literal| literal.value(text));
            let bytes = value.as_ref().map(|value| value.as_bytes());
            parameters.push(self.parameter(*ty, bytes, ValueFormat::Text).ok()?);
        }
        Some(Queued { statement, parameters: parameters.into(), written: Some(Arc::from(text)) })
    }

    /// Prepares a text with parameters for its literals, if it is one of those that mean the same then.
    fn template(&mut self, text: &str, literals: &[Literal]) -> Option<Arc<PreparedStatement>> {
        let (text, types) = parameterized(text, literals);
        self.prepared_directly(text, types)
    }

    /// Prepares a text, if its plan is a direct one and has just these parameters.
    fn prepared_directly(&mut self, text: String, types: Vec<Option<SqlType>>) -> Option<Arc<PreparedStatement>> {
        let count = types.len();
        let mut all = self.parse_all(&text).ok()?;
        let syntax = all.pop().filter(|syntax| all.is_empty() && syntax.kind() == StatementKind::Query)?;
        let now = wall(&self.shared.host);
        let statement = PreparedStatement::template(Arc::from(text), Arc::new(syntax), types, now);
        let planned = self.planned(&statement).ok()?;
        (planned.is_direct() && planned.parameters.len() == count).then_some(statement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(text: &str) -> Option<(String, Vec<String>)> {
        let mut shape = Vec::new();
        let literals = read(text, &mut shape)?;
        let values = literals.iter().map(|l| l.value(text).into_owned()).collect();
        Some((parameterized(text, &literals).0, values))
    }

    #[test]
    fn literals_become_parameters() {
        let check = |text, expected: &str, values: &[&str]| {
            let (template, found) = shape_of(text).expect(text);
            assert_eq!((template.as_str(), found), (expected, values.iter().map(|v| (*v).to_owned()).collect()));
        };
        check("SELECT a FROM t1 WHERE k=5;", "SELECT a FROM t1 WHERE k=$1;", &["5"]);
        check(
            "UPDATE t SET a = a + -12, b='it''s' WHERE k = 1.5 ; ",
            "UPDATE t SET a = a + -$1, b=$2 WHERE k = $3 ; ",
            &["12", "it's", "1.5"],
        );
        check("SELECT \"a 1'\" FROM t WHERE é = ''", "SELECT \"a 1'\" FROM t WHERE é = $1", &[""]);
    }

    #[test]
    fn what_only_the_parser_understands_has_no_shape() {
        for text in [
            "SELECT 1; SELECT 2",
            "SELECT 1 -- c",
            "SELECT /* c */ 1",
            "SELECT $1, 1",
            "SELECT $$a$$, 1",
            "SELECT E'a', 1",
            "SELECT date'2020-01-01'",
            "SELECT U&'a', 1",
            "SELECT 'a\\b'",
            "SELECT 'a",
            "SELECT 1e5",
            "SELECT .5",
            "SELECT 1.",
            "SELECT 0x1F",
            "SELECT 1a",
            "SELECT 99999999999999999999",
            "SELECT a FROM t",
            "SELECT a FROM t WHERE k = 1 ORDER BY 2",
            "SELECT \"a",
            "SELECT 1, '\u{1}'\u{1}",
        ] {
            assert_eq!(shape_of(text), None, "{text}");
        }
    }

    #[test]
    fn shapes_tell_literals_of_other_types_apart() {
        let shape = |text| {
            let mut shape = Vec::new();
            read(text, &mut shape).unwrap();
            shape
        };
        assert_eq!(shape("SELECT 1, 'a'"), shape("SELECT 22, 'b'"));
        assert_ne!(shape("SELECT 1"), shape("SELECT 3000000000"));
        assert_ne!(shape("SELECT 1"), shape("SELECT '1'"));
        assert_ne!(shape("SELECT 1"), shape("SELECT 1.0"));
    }
}
