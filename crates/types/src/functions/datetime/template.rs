//! The templates of `to_char`, `to_date` and `to_timestamp`: `YYYY-MM-DD HH24:MI:SS` taken apart.
//!
//! Owns the table of patterns. A template is parsed once per thread while it stays the same from row to row.

use crate::{Result, stop};
use std::cell::RefCell;
use std::rc::Rc;

/// What a pattern stands for. Names follow PostgreSQL's patterns; `Letters` says how a word is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `AD` or `BC`; true with points.
    Era(bool),
    /// `AM` or `PM`; true with points.
    Meridian(bool),
    Century,
    DayName,
    DayAbbreviation,
    DayOfYear,
    IsoDayOfYear,
    DayOfMonth,
    DayOfWeek,
    IsoDayOfWeek,
    /// `FF1` to `FF6`.
    Fraction(u8),
    Fixed,
    Hour12,
    Hour24,
    IsoWeek,
    /// The last n digits of the ISO year.
    IsoYear(u8),
    Julian,
    Minute,
    Month,
    MonthName,
    MonthAbbreviation,
    Millisecond,
    Offset,
    Quarter,
    RomanMonth,
    SecondOfDay,
    Second,
    ZoneHour,
    ZoneMinute,
    ZoneName,
    Microsecond,
    Week,
    WeekOfMonth,
    /// `Y,YYY`.
    YearWithComma,
    /// The last n digits of the year.
    Year(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    Upper,
    Title,
    Lower,
}

/// Which calendar a pattern belongs to; a template for input may not mix the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    Gregorian,
    Iso,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub pattern: Pattern,
    pub letters: Letters,
    /// As the table writes it, for errors; its length is the width of a number to be read.
    pub name: &'static str,
    /// `FM`: no padding.
    pub fill_mode: bool,
    /// `TM`: a translated name; in the C locale only the padding differs.
    pub translated: bool,
    /// `TH` or `th` after a number.
    pub ordinal: Option<Letters>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    Field(Field),
    Separator(char),
    Space(char),
    Char(char),
}

impl Pattern {
    /// Whether text for this pattern begins with a digit, so that a number before it must have its exact width.
    pub fn is_digits(self) -> bool {
        !matches!(
            self,
            Pattern::Era(_)
                | Pattern::Meridian(_)
                | Pattern::DayName
                | Pattern::DayAbbreviation
                | Pattern::Fixed
                | Pattern::MonthName
                | Pattern::MonthAbbreviation
                | Pattern::Offset
                | Pattern::RomanMonth
                | Pattern::ZoneHour
                | Pattern::ZoneName
        )
    }

    pub fn convention(self) -> Option<Convention> {
        use Pattern::*;
        match self {
            DayOfYear | DayOfMonth | DayOfWeek | Month | MonthName | MonthAbbreviation | RomanMonth | Week
            | WeekOfMonth | YearWithComma | Year(_) => Some(Convention::Gregorian),
            IsoDayOfYear | IsoDayOfWeek | IsoWeek | IsoYear(_) => Some(Convention::Iso),
            _ => None,
        }
    }
}

/// All patterns. Among those with one first letter the longer stand before the shorter.
const PATTERNS: &[(&str, Pattern, Letters)] = {
    use Letters::{Lower, Title, Upper};
    use Pattern::*;
    &[
        ("A.D.", Era(true), Upper),
        ("A.M.", Meridian(true), Upper),
        ("AD", Era(false), Upper),
        ("AM", Meridian(false), Upper),
        ("B.C.", Era(true), Upper),
        ("BC", Era(false), Upper),
        ("CC", Century, Upper),
        ("DAY", DayName, Upper),
        ("DDD", DayOfYear, Upper),
        ("DD", DayOfMonth, Upper),
        ("DY", DayAbbreviation, Upper),
        ("Day", DayName, Title),
        ("Dy", DayAbbreviation, Title),
        ("D", DayOfWeek, Upper),
        ("FF1", Fraction(1), Upper),
        ("FF2", Fraction(2), Upper),
        ("FF3", Fraction(3), Upper),
        ("FF4", Fraction(4), Upper),
        ("FF5", Fraction(5), Upper),
        ("FF6", Fraction(6), Upper),
        ("FX", Fixed, Upper),
        ("HH24", Hour24, Upper),
        ("HH12", Hour12, Upper),
        ("HH", Hour12, Upper),
        ("IDDD", IsoDayOfYear, Upper),
        ("ID", IsoDayOfWeek, Upper),
        ("IW", IsoWeek, Upper),
        ("IYYY", IsoYear(4), Upper),
        ("IYY", IsoYear(3), Upper),
        ("IY", IsoYear(2), Upper),
        ("I", IsoYear(1), Upper),
        ("J", Julian, Upper),
        ("MI", Minute, Upper),
        ("MM", Month, Upper),
        ("MONTH", MonthName, Upper),
        ("MON", MonthAbbreviation, Upper),
        ("MS", Millisecond, Upper),
        ("Month", MonthName, Title),
        ("Mon", MonthAbbreviation, Title),
        ("OF", Offset, Upper),
        ("P.M.", Meridian(true), Upper),
        ("PM", Meridian(false), Upper),
        ("Q", Quarter, Upper),
        ("RM", RomanMonth, Upper),
        ("SSSSS", SecondOfDay, Upper),
        ("SSSS", SecondOfDay, Upper),
        ("SS", Second, Upper),
        ("TZH", ZoneHour, Upper),
        ("TZM", ZoneMinute, Upper),
        ("TZ", ZoneName, Upper),
        ("US", Microsecond, Upper),
        ("WW", Week, Upper),
        ("W", WeekOfMonth, Upper),
        ("Y,YYY", YearWithComma, Upper),
        ("YYYY", Year(4), Upper),
        ("YYY", Year(3), Upper),
        ("YY", Year(2), Upper),
        ("Y", Year(1), Upper),
        ("a.d.", Era(true), Lower),
        ("a.m.", Meridian(true), Lower),
        ("ad", Era(false), Lower),
        ("am", Meridian(false), Lower),
        ("b.c.", Era(true), Lower),
        ("bc", Era(false), Lower),
        ("cc", Century, Lower),
        ("day", DayName, Lower),
        ("ddd", DayOfYear, Lower),
        ("dd", DayOfMonth, Lower),
        ("dy", DayAbbreviation, Lower),
        ("d", DayOfWeek, Lower),
        ("ff1", Fraction(1), Lower),
        ("ff2", Fraction(2), Lower),
        ("ff3", Fraction(3), Lower),
        ("ff4", Fraction(4), Lower),
        ("ff5", Fraction(5), Lower),
        ("ff6", Fraction(6), Lower),
        ("fx", Fixed, Lower),
        ("hh24", Hour24, Lower),
        ("hh12", Hour12, Lower),
        ("hh", Hour12, Lower),
        ("iddd", IsoDayOfYear, Lower),
        ("id", IsoDayOfWeek, Lower),
        ("iw", IsoWeek, Lower),
        ("iyyy", IsoYear(4), Lower),
        ("iyy", IsoYear(3), Lower),
        ("iy", IsoYear(2), Lower),
        ("i", IsoYear(1), Lower),
        ("j", Julian, Lower),
        ("mi", Minute, Lower),
        ("mm", Month, Lower),
        ("month", MonthName, Lower),
        ("mon", MonthAbbreviation, Lower),
        ("ms", Millisecond, Lower),
        ("of", Offset, Lower),
        ("p.m.", Meridian(true), Lower),
        ("pm", Meridian(false), Lower),
        ("q", Quarter, Lower),
        ("rm", RomanMonth, Lower),
        ("sssss", SecondOfDay, Lower),
        ("ssss", SecondOfDay, Lower),
        ("ss", Second, Lower),
        ("tzh", ZoneHour, Lower),
        ("tzm", ZoneMinute, Lower),
        ("tz", ZoneName, Lower),
        ("us", Microsecond, Lower),
        ("ww", Week, Lower),
        ("w", WeekOfMonth, Lower),
        ("y,yyy", YearWithComma, Lower),
        ("yyyy", Year(4), Lower),
        ("yyy", Year(3), Lower),
        ("yy", Year(2), Lower),
        ("y", Year(1), Lower),
    ]
};

/// ASCII that is neither letter, digit nor blank.
pub fn is_separator(c: char) -> bool {
    c.is_ascii_graphic() && !c.is_ascii_alphanumeric()
}

/// What C calls a space.
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// A pattern that is looked up.
const NODE_WORK: usize = 256;

/// Takes a template apart. Every character of it becomes at most one node.
pub fn parse(template: &str) -> Result<Vec<Node>> {
    parse_noting(template, &mut None)
}

/// Takes a template of the SQL standard apart. Err is the first character outside of quotes that is neither of a pattern
/// nor one of the standard's separators.
pub fn parse_standard(template: &str) -> Result<Result<Vec<Node>, char>> {
    let mut foreign = None;
    let nodes = parse_noting(template, &mut foreign)?;
    Ok(foreign.map_or(Ok(nodes), Err))
}

/// `parse`, with the first character that the standard does not allow as a separator.
fn parse_noting(template: &str, foreign: &mut Option<char>) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        stop::spent(NODE_WORK)?;
        let (mut fill_mode, mut translated) = (false, false);
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            (fill_mode, rest) = (true, after);
        } else if let Some(after) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("tm")) {
            (translated, rest) = (true, after);
        }
        let found = PATTERNS.iter().find_map(|entry| rest.strip_prefix(entry.0).map(|after| (entry, after)));
        if let Some((&(name, pattern, letters), after)) = found {
            rest = after;
            let mut ordinal = None;
            for (suffix, letters) in [("TH", Some(Letters::Upper)), ("th", Some(Letters::Lower)), ("SP", None)] {
                if let Some(after) = rest.strip_prefix(suffix) {
                    // SP (spelled out) is taken and has no effect, in PostgreSQL as here.
                    (ordinal, rest) = (letters, after);
                    break;
                }
            }
            nodes.push(Node::Field(Field { pattern, letters, name, fill_mode, translated, ordinal }));
        } else if let Some(quoted) = rest.strip_prefix('"') {
            rest = parse_quoted(quoted, &mut nodes)?;
        } else {
            if rest.starts_with("\\\"") {
                rest = rest.get(1..).unwrap_or("");
            }
            let mut chars = rest.chars();
            let Some(c) = chars.next() else { break };
            rest = chars.as_str();
            if !"-./,':; ".contains(c) {
                foreign.get_or_insert(c);
            }
            nodes.push(match c {
                c if is_separator(c) => Node::Separator(c),
                c if is_space(c) => Node::Space(c),
                c => Node::Char(c),
            });
        }
    }
    Ok(nodes)
}

/// A literal in double quotes, in which a backslash keeps the next character. Returns what follows.
fn parse_quoted<'a>(text: &'a str, nodes: &mut Vec<Node>) -> Result<&'a str> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        stop::spent(size_of::<Node>())?;
        match c {
            '"' => break,
            // A last backslash stands for itself.
            '\\' => nodes.push(Node::Char(chars.next().unwrap_or('\\'))),
            c => nodes.push(Node::Char(c)),
        }
    }
    Ok(chars.as_str())
}

/// Bytes of a template that is kept.
const CACHED_SIZE_MAX: usize = 1 << 12;

thread_local! {
    static LAST: RefCell<Option<(String, Rc<[Node]>)>> = const { RefCell::new(None) };
}

/// The parsed template; the thread's last one is kept.
pub fn cached(template: &str) -> Result<Rc<[Node]>> {
    LAST.with_borrow_mut(|last| match last {
        Some((text, nodes)) if text == template => Ok(nodes.clone()),
        _ => {
            let nodes: Rc<[Node]> = parse(template)?.into();
            if template.len() <= CACHED_SIZE_MAX {
                *last = Some((template.to_owned(), nodes.clone()));
            }
            Ok(nodes)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_literals_and_suffixes() {
        let names: Vec<String> = parse("FMDDth \"of\" Month, YYYY\\\"HH24")
            .expect("wanted")
            .iter()
            .map(|node| match node {
                Node::Field(field) => field.name.to_owned(),
                Node::Separator(c) | Node::Space(c) | Node::Char(c) => format!("'{c}"),
            })
            .collect();
        assert_eq!(names, ["DD", "' ", "'o", "'f", "' ", "Month", "',", "' ", "YYYY", "'\"", "HH24"]);
        let Node::Field(first) = parse("FMDDth").expect("wanted")[0] else { panic!() };
        assert_eq!((first.fill_mode, first.ordinal), (true, Some(Letters::Lower)));
    }

    #[test]
    fn longer_patterns_stand_before_their_prefixes() {
        for (index, (name, ..)) in PATTERNS.iter().enumerate() {
            assert!(!PATTERNS[..index].iter().any(|(before, ..)| name.starts_with(before)), "{name} is hidden");
        }
    }
}
