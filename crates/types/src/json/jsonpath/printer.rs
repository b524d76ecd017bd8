//! Writes a path as PostgreSQL does: keys in quotes, operators in brackets where their surroundings bind as tightly.
//!
//! Recursion is bounded by the tree, which is by `OPERATIONS_MAX`.

use super::tree::{Arithmetic, Chain, Flags, LEVEL_LAST, Path, Predicate, Range, Step};
use std::fmt::{self, Formatter, Write};

impl fmt::Display for Path {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if !self.is_lax {
            out.write_str("strict ")?;
        }
        chain(&self.root, true, out)
    }
}

/// How tightly what a chain begins with binds; 6 for all that needs no brackets among operators.
fn chain_priority(chain: &Chain) -> u8 {
    match chain.first() {
        Some(Step::Arithmetic(Arithmetic::Add | Arithmetic::Sub, _)) => 3,
        Some(Step::Arithmetic(..)) => 4,
        Some(Step::Sign(..)) => 5,
        Some(Step::Test(predicate)) => priority(predicate),
        _ => 6,
    }
}

fn priority(predicate: &Predicate) -> u8 {
    match predicate {
        Predicate::Or(_) => 0,
        Predicate::And(_) => 1,
        Predicate::Compare(..) | Predicate::StartsWith(_) => 2,
        _ => 6,
    }
}

/// `in_brackets` if an operator in front must have brackets; one with accessors behind it always has.
fn chain(chain: &Chain, in_brackets: bool, out: &mut Formatter<'_>) -> fmt::Result {
    let Some((first, accessors)) = chain.split_first() else { return Ok(()) };
    primary(first, in_brackets, !accessors.is_empty(), out)?;
    accessors.iter().try_for_each(|step| accessor(step, out))
}

fn primary(step: &Step, in_brackets: bool, has_accessors: bool, out: &mut Formatter<'_>) -> fmt::Result {
    match step {
        Step::Null => out.write_str("null"),
        Step::Bool(value) => write!(out, "{value}"),
        Step::Number(number) => {
            let mut text = Vec::new();
            number.write(&mut text);
            let text = crate::io::into_string(text);
            if has_accessors { write!(out, "({text})") } else { out.write_str(&text) }
        }
        Step::String(text) => string(text, out),
        Step::Variable(name) => {
            out.write_char('$')?;
            string(name, out)
        }
        Step::Root => out.write_char('$'),
        Step::Current => out.write_char('@'),
        Step::Last => out.write_str("last"),
        Step::Arithmetic(arithmetic, sides) => bracketed(in_brackets || has_accessors, out, |out| {
            operands(sides, chain_priority_of(*arithmetic), arithmetic.symbol(), out)
        }),
        Step::Sign(sign, value) => bracketed(in_brackets || has_accessors, out, |out| {
            out.write_str(sign.symbol())?;
            chain(value, chain_priority(value) <= 5, out)
        }),
        Step::Test(predicate) if has_accessors => match &**predicate {
            // These have no brackets of their own around all of them.
            Predicate::Not(_) | Predicate::Exists(_) | Predicate::IsUnknown(_) => {
                bracketed(true, out, |out| test(predicate, false, out))
            }
            _ => test(predicate, true, out),
        },
        Step::Test(predicate) => test(predicate, in_brackets, out),
        other => accessor(other, out),
    }
}

fn chain_priority_of(arithmetic: Arithmetic) -> u8 {
    if matches!(arithmetic, Arithmetic::Add | Arithmetic::Sub) { 3 } else { 4 }
}

fn operands(sides: &[Chain; 2], own: u8, symbol: &str, out: &mut Formatter<'_>) -> fmt::Result {
    let [left, right] = sides;
    chain(left, chain_priority(left) <= own, out)?;
    write!(out, " {symbol} ")?;
    chain(right, chain_priority(right) <= own, out)
}

fn bracketed(
    in_brackets: bool,
    out: &mut Formatter<'_>,
    inner: impl FnOnce(&mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    if !in_brackets {
        return inner(out);
    }
    out.write_char('(')?;
    inner(out)?;
    out.write_char(')')
}

fn test(predicate: &Predicate, in_brackets: bool, out: &mut Formatter<'_>) -> fmt::Result {
    let own = priority(predicate);
    match predicate {
        Predicate::And(sides) | Predicate::Or(sides) => bracketed(in_brackets, out, |out| {
            let [left, right] = &**sides;
            test(left, priority(left) <= own, out)?;
            out.write_str(if own == 0 { " || " } else { " && " })?;
            test(right, priority(right) <= own, out)
        }),
        Predicate::Not(inner) => {
            out.write_char('!')?;
            bracketed(true, out, |out| test(inner, false, out))
        }
        Predicate::IsUnknown(inner) => {
            bracketed(true, out, |out| test(inner, false, out))?;
            out.write_str(" is unknown")
        }
        Predicate::Exists(value) => {
            out.write_str("exists ")?;
            bracketed(true, out, |out| chain(value, false, out))
        }
        Predicate::Compare(comparison, sides) => {
            bracketed(in_brackets, out, |out| operands(sides, own, comparison.symbol(), out))
        }
        Predicate::StartsWith(sides) => bracketed(in_brackets, out, |out| operands(sides, own, "starts with", out)),
        Predicate::LikeRegex(like) => bracketed(in_brackets, out, |out| {
            chain(&like.value, chain_priority(&like.value) <= own, out)?;
            out.write_str(" like_regex ")?;
            string(&like.pattern, out)?;
            flags(like.flags, out)
        }),
    }
}

fn flags(flags: Flags, out: &mut Formatter<'_>) -> fmt::Result {
    if flags == Flags::default() {
        return Ok(());
    }
    out.write_str(" flag \"")?;
    let letters = [
        (flags.ignores_case, 'i'),
        (flags.dot_is_all, 's'),
        (flags.is_multiline, 'm'),
        (flags.is_expanded, 'x'),
        (flags.is_quoted, 'q'),
    ];
    letters.iter().filter(|(is_set, _)| *is_set).try_for_each(|(_, letter)| out.write_char(*letter))?;
    out.write_char('"')
}

fn accessor(step: &Step, out: &mut Formatter<'_>) -> fmt::Result {
    match step {
        Step::Key(name) => {
            out.write_char('.')?;
            string(name, out)
        }
        Step::AnyKey => out.write_str(".*"),
        Step::AnyElement => out.write_str("[*]"),
        Step::Elements(ranges) => elements(ranges, out),
        Step::Descendants { first, last } => descendants(*first, *last, out),
        Step::Filter(predicate) => {
            out.write_char('?')?;
            bracketed(true, out, |out| test(predicate, false, out))
        }
        Step::Method(method) => write!(out, ".{}()", method.name()),
        Step::Datetime(template) => {
            out.write_str(".datetime(")?;
            template.iter().try_for_each(|template| string(template, out))?;
            out.write_char(')')
        }
        // A primary is no accessor.
        _ => Ok(()),
    }
}

fn elements(ranges: &[Range], out: &mut Formatter<'_>) -> fmt::Result {
    out.write_char('[')?;
    for (index, range) in ranges.iter().enumerate() {
        if index > 0 {
            out.write_char(',')?;
        }
        chain(&range.from, false, out)?;
        if let Some(to) = &range.to {
            out.write_str(" to ")?;
            chain(to, false, out)?;
        }
    }
    out.write_char(']')
}

fn descendants(first: u32, last: u32, out: &mut Formatter<'_>) -> fmt::Result {
    match (first, last) {
        (0, LEVEL_LAST) => out.write_str(".**"),
        (LEVEL_LAST, LEVEL_LAST) => out.write_str(".**{last}"),
        (first, last) if first == last => write!(out, ".**{{{first}}}"),
        (LEVEL_LAST, last) => write!(out, ".**{{last to {last}}}"),
        (first, LEVEL_LAST) => write!(out, ".**{{{first} to last}}"),
        (first, last) => write!(out, ".**{{{first} to {last}}}"),
    }
}

fn string(text: &str, out: &mut Formatter<'_>) -> fmt::Result {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    crate::json::text::write_string(text, &mut quoted);
    out.write_str(&crate::io::into_string(quoted))
}
