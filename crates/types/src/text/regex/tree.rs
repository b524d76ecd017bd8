//! The shape of a pattern, as far as it decides how groups share a match.
//!
//! Each node knows its part of the translated text, so that it can be matched alone. `is_simple` tells whether the order in
//! which a backtracking engine tries things (alternatives in turn, each repetition longest first) finds the same division
//! as PostgreSQL's rule (each *part* longest first): then the usual engine reads the groups, and `divide` is not needed.

use super::translate::Preference;

/// What a node is made of.
#[derive(Debug)]
pub enum Kind {
    /// No group inside.
    Leaf,
    /// A capturing group, by number.
    Group(usize, Box<Node>),
    Concat(Vec<Node>),
    Alternation(Vec<Node>),
    Repeat {
        inner: Box<Node>,
        low: u32,
        high: Option<u32>,
    },
}

/// How the places where a node can end, from one start, depend on the order in which they are tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// There is at most one.
    Unique,
    /// Tried from the preferred end on.
    Ordered,
    Complex,
}

#[derive(Debug)]
pub struct Node {
    pub kind: Kind,
    /// Bytes of the translated pattern.
    pub range: (usize, usize),
    pub preference: Preference,
    pub has_groups: bool,
    pub ends: Ends,
    pub is_simple: bool,
    /// Characters of every match, if that is one number.
    width: Option<u32>,
    /// The text itself, where a node is plain text.
    literal: Option<String>,
}

impl Node {
    /// Something one character wide, plain text if it is known.
    pub fn char(range: (usize, usize), literal: Option<char>) -> Node {
        Node { width: Some(1), literal: literal.map(String::from), ..Node::leaf(range) }
    }

    /// Something that takes no characters.
    pub fn leaf(range: (usize, usize)) -> Node {
        Node {
            kind: Kind::Leaf,
            range,
            preference: Preference::None,
            has_groups: false,
            ends: Ends::Unique,
            is_simple: true,
            width: Some(0),
            literal: None,
        }
    }

    pub fn group(index: usize, inner: Node, range: (usize, usize)) -> Node {
        Node {
            range,
            preference: inner.preference,
            has_groups: true,
            ends: inner.ends,
            is_simple: inner.is_simple,
            width: inner.width,
            literal: inner.literal.clone(),
            kind: Kind::Group(index, Box::new(inner)),
        }
    }

    /// Parentheses without a number, around `inner`.
    pub fn enclosed(inner: Node, range: (usize, usize)) -> Node {
        Node { range, ..inner }
    }

    pub fn concat(parts: Vec<Node>, range: (usize, usize)) -> Node {
        let mut parts = merged(parts);
        if parts.len() == 1 {
            return Node { range, ..parts.remove(0) };
        }
        let preference = first_preference(&parts);
        let count = |ends: Ends| parts.iter().filter(|part| part.ends == ends).count();
        let ends = match (count(Ends::Complex), count(Ends::Ordered)) {
            (0, 0) => Ends::Unique,
            // The one that varies has to want what the whole wants.
            (0, 1) if parts.iter().all(|p| p.ends == Ends::Unique || p.preference == preference) => Ends::Ordered,
            _ => Ends::Complex,
        };
        let has_groups = parts.iter().any(|part| part.has_groups);
        Node {
            range,
            preference,
            has_groups,
            ends,
            // The last part takes what is left, whatever it is.
            is_simple: parts.iter().all(|part| part.is_simple)
                && parts.iter().rev().skip(1).all(|part| part.ends != Ends::Complex),
            width: parts.iter().try_fold(0_u32, |sum, part| sum.checked_add(part.width?)),
            literal: parts.iter().map(|part| part.literal.as_deref()).collect(),
            kind: if has_groups { Kind::Concat(parts) } else { Kind::Leaf },
        }
    }

    pub fn alternation(branches: Vec<Node>, range: (usize, usize)) -> Node {
        let width = branches.first().and_then(|b| b.width).filter(|w| branches.iter().all(|b| b.width == Some(*w)));
        let is_unique = width.is_some() || are_prefix_free(&branches);
        let has_groups = branches.iter().any(|branch| branch.has_groups);
        Node {
            range,
            preference: Preference::Longest,
            has_groups,
            ends: if is_unique { Ends::Unique } else { Ends::Complex },
            is_simple: !has_groups || (is_unique && branches.iter().all(|branch| branch.is_simple)),
            width,
            literal: None,
            kind: if has_groups { Kind::Alternation(branches) } else { Kind::Leaf },
        }
    }

    pub fn repeat(inner: Node, low: u32, high: Option<u32>, preference: Preference, range: (usize, usize)) -> Node {
        let is_fixed = high == Some(low);
        let ends = match (inner.ends, is_fixed) {
            (ends, _) if is_fixed && low == 1 && inner.preference == preference => ends,
            (Ends::Unique, true) => Ends::Unique,
            (Ends::Unique, false) => Ends::Ordered,
            _ => Ends::Complex,
        };
        let width = match is_fixed {
            true => inner.width.and_then(|width| width.checked_mul(low)),
            false => None,
        };
        // Engines keep the groups of earlier rounds where a later one has none: fine if every round has the same ones.
        let is_one_group = matches!(&inner.kind, Kind::Group(_, of) if matches!(of.kind, Kind::Leaf));
        let is_plain_round = is_one_group && inner.ends == Ends::Unique && inner.width.is_some_and(|width| width > 0);
        Node {
            range,
            preference,
            has_groups: inner.has_groups,
            ends,
            is_simple: !inner.has_groups || is_plain_round,
            width,
            literal: None,
            kind: match inner.has_groups {
                true => Kind::Repeat { inner: Box::new(inner), low, high },
                false => Kind::Leaf,
            },
        }
    }
}

fn first_preference(parts: &[Node]) -> Preference {
    parts.iter().map(|part| part.preference).find(|p| *p != Preference::None).unwrap_or(Preference::None)
}

/// Neighbours without groups become one part, as long as they want the same end: PostgreSQL matches them as one.
fn merged(parts: Vec<Node>) -> Vec<Node> {
    let mut out: Vec<Node> = Vec::with_capacity(parts.len());
    for part in parts {
        let joins = out.last().is_some_and(|last| {
            let differ = last.preference != part.preference
                && last.preference != Preference::None
                && part.preference != Preference::None;
            !last.has_groups && !part.has_groups && !differ
        });
        let Some(last) = out.last_mut().filter(|_| joins) else {
            out.push(part);
            continue;
        };
        last.range.1 = part.range.1;
        last.ends = match (last.ends, part.ends) {
            (Ends::Unique, other) | (other, Ends::Unique) => other,
            _ => Ends::Complex,
        };
        last.preference = if last.preference == Preference::None { part.preference } else { last.preference };
        last.width = last.width.zip(part.width).and_then(|(a, b)| a.checked_add(b));
        last.literal = last.literal.take().zip(part.literal.as_deref()).map(|(a, b)| a + b);
    }
    out
}

/// Whether all are plain texts of which none begins another one.
fn are_prefix_free(branches: &[Node]) -> bool {
    let Some(mut texts) = branches.iter().map(|b| b.literal.as_deref()).collect::<Option<Vec<&str>>>() else {
        return false;
    };
    texts.sort_unstable();
    // In sorted order a text stands right before those that begin with it.
    texts.windows(2).all(|pair| !pair[1].starts_with(pair[0]))
}
