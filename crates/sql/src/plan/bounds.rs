//! Bounds that conditions give a key: equality (or IN, or IS NULL) on the first columns, then one range.
//!
//! `lower` and `upper` of `KeyBounds` are bounds of the *value*, also where the key column is descending. A LIKE pattern that
//! begins with text is a range of that text and still tested row by row.

use super::columns;
use super::estimate::{Estimates, array_length};
use super::exprs::{as_key_type, as_operator, is_same_representation};
use super::keys::{KeyChoice, KeyColumn};
use crate::expr::{Expr, ExprKind};
use crate::logical::Scan;
use crate::physical::{KeyBounds, KeyEqual};
use types::{Datum, SqlType, builtin, oid};

/// Bounds of a key, and which conjuncts they stand for.
#[derive(Default)]
pub(crate) struct Matched {
    pub bounds: KeyBounds,
    /// Conjuncts that the bounds make true.
    pub consumed: Vec<usize>,
    /// Conjuncts that gave a bound; consumed ones among them.
    pub used: Vec<usize>,
    pub descents: f64,
    /// A unique key, fixed: at most one row for each descent.
    pub is_point: bool,
}

/// Whether an expression has one value for the whole scan.
pub(crate) fn is_fixed(scan: &Scan, expr: &Expr) -> bool {
    let used = columns::used(expr);
    !scan.columns.iter().any(|(_, id)| used.contains(id)) && !columns::is_volatile(expr)
}

/// `side op value` with a value that is fixed, turned round where it was written the other way.
pub(crate) fn comparison<'e>(scan: &Scan, expr: &'e Expr) -> Option<(&'e Expr, &'static str, &'e Expr)> {
    let (operator, left, right) = as_operator(expr)?;
    if is_fixed(scan, right) && !is_fixed(scan, left) {
        return Some((left, operator.name, right));
    }
    if is_fixed(scan, left) && !is_fixed(scan, right) {
        return Some((right, builtin::operator_by_oid(operator.commutator)?.name, left));
    }
    None
}

/// `side = value`.
pub(crate) fn equality<'e>(scan: &Scan, expr: &'e Expr) -> Option<(&'e Expr, &'e Expr)> {
    comparison(scan, expr).filter(|(_, name, _)| *name == "=").map(|(side, _, value)| (side, value))
}

fn key_equal(scan: &Scan, column: &KeyColumn, expr: &Expr) -> Option<KeyEqual> {
    if let Some((side, value)) = equality(scan, expr) {
        return match column.is(scan, side) {
            true => Some(KeyEqual::Value(as_key_type(value, column.ty)?)),
            false => None,
        };
    }
    match &expr.kind {
        ExprKind::AnyAll { operator, left, array, all: false, .. } if operator.name == "=" => {
            let fits = column.is(scan, left)
                && array.ty.element().is_some_and(|e| is_same_representation(e.oid, column.ty.oid))
                && is_fixed(scan, array);
            fits.then(|| KeyEqual::AnyOf((**array).clone()))
        }
        ExprKind::IsNull { arg, negated: false, of_row: false } => column.is(scan, arg).then_some(KeyEqual::IsNull),
        // A boolean column as it stands.
        ExprKind::Column(_) if expr.ty.oid == oid::BOOL && column.is(scan, expr) => {
            Some(KeyEqual::Value(Expr::constant(Datum::Bool(true), SqlType::BOOL)))
        }
        ExprKind::Not(arg) if matches!(arg.kind, ExprKind::Column(_)) && column.is(scan, arg) => {
            Some(KeyEqual::Value(Expr::constant(Datum::Bool(false), SqlType::BOOL)))
        }
        _ => None,
    }
}

pub(crate) fn match_key(scan: &Scan, key: &KeyChoice, conjuncts: &[Expr]) -> Matched {
    let mut matched = Matched { descents: 1.0, ..Matched::default() };
    for column in &key.columns {
        let candidates = conjuncts.iter().enumerate().filter(|(i, _)| !matched.consumed.contains(i));
        // A single value is better than a list.
        let mut found: Option<(usize, KeyEqual)> = None;
        for (i, expr) in candidates {
            match key_equal(scan, column, expr) {
                Some(KeyEqual::AnyOf(array)) => {
                    found = found.or(Some((i, KeyEqual::AnyOf(array))));
                }
                Some(equal) => {
                    found = Some((i, equal));
                    break;
                }
                None => {}
            }
        }
        let Some((i, equal)) = found else { break };
        if let KeyEqual::AnyOf(array) = &equal {
            matched.descents *= array_length(array);
        }
        matched.consumed.push(i);
        matched.used.push(i);
        matched.bounds.equal.push(equal);
    }
    let is_full = matched.bounds.equal.len() == key.columns.len();
    matched.is_point = is_full && key.is_unique && !matched.bounds.equal.iter().any(|e| matches!(e, KeyEqual::IsNull));
    if let Some(column) = key.columns.get(matched.bounds.equal.len()) {
        match_range(scan, column, conjuncts, &mut matched);
    }
    matched
}

fn match_range(scan: &Scan, column: &KeyColumn, conjuncts: &[Expr], matched: &mut Matched) {
    for (i, expr) in conjuncts.iter().enumerate() {
        if let ExprKind::IsNull { arg, negated: true, of_row: false } = &expr.kind
            && column.is(scan, arg)
        {
            matched.bounds.not_null = true;
            matched.consumed.push(i);
            continue;
        }
        let Some((side, name, value)) = comparison(scan, expr) else { continue };
        if !column.is(scan, side) {
            continue;
        }
        let Some(value) = as_key_type(value, column.ty) else { continue };
        let bound = match name {
            ">" | ">=" => &mut matched.bounds.lower,
            "<" | "<=" => &mut matched.bounds.upper,
            _ => continue,
        };
        if bound.is_none() {
            *bound = Some((value, name.len() == 2));
            matched.bounds.not_null = true;
            matched.consumed.push(i);
            matched.used.push(i);
        }
    }
    if matched.bounds.lower.is_none() && matched.bounds.upper.is_none() {
        match_prefix(scan, column, conjuncts, matched);
    }
}

/// `column LIKE 'text%'` and `column ^@ 'text'`: the range of values that begin so.
fn match_prefix(scan: &Scan, column: &KeyColumn, conjuncts: &[Expr], matched: &mut Matched) {
    if !matches!(column.ty.oid, oid::TEXT | oid::VARCHAR) {
        return;
    }
    for (i, expr) in conjuncts.iter().enumerate() {
        let Some((operator, left, right)) = as_operator(expr) else { continue };
        let ExprKind::Const(Datum::Text(pattern)) = &right.kind else { continue };
        if !column.is(scan, left) {
            continue;
        }
        let prefix = match operator.name {
            "~~" => like_prefix(pattern),
            "^@" => pattern.to_string(),
            _ => continue,
        };
        if prefix.is_empty() {
            continue;
        }
        let text = |value: String| Expr::constant(Datum::text(value), SqlType::new(column.ty.oid));
        matched.bounds.upper = after_prefix(&prefix).map(|end| (text(end), false));
        matched.bounds.lower = Some((text(prefix), true));
        matched.bounds.not_null = true;
        matched.used.push(i);
        return;
    }
}

/// The text that a LIKE pattern begins with, before the first wildcard.
fn like_prefix(pattern: &str) -> String {
    let mut prefix = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' | '_' => break,
            '\\' => match chars.next() {
                Some(escaped) => prefix.push(escaped),
                None => break,
            },
            _ => prefix.push(c),
        }
    }
    prefix
}

/// The least text above all that begin with `prefix`; None where there is none.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // UTF-8's byte order is that of code points; surrogates are none.
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            _ => char::from_u32(last as u32 + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

impl Estimates<'_> {
    /// Rows that a scan within the bounds reads.
    pub fn fetched(&self, matched: &Matched, conjuncts: &[Expr], rows: f64) -> f64 {
        if matched.is_point {
            return matched.descents;
        }
        let bounding: Vec<Expr> = matched.used.iter().filter_map(|i| conjuncts.get(*i)).cloned().collect();
        (rows * self.selectivity(&bounding)).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_begin_with_their_prefix() {
        let check = |pattern: &str, prefix: &str, end: Option<&str>| {
            assert_eq!(like_prefix(pattern), prefix, "{pattern}");
            assert_eq!(after_prefix(prefix).as_deref(), end, "{pattern}");
        };
        check("abc%", "abc", Some("abd"));
        check("a_c", "a", Some("b"));
        check("%x", "", None);
        check("10\\%%", "10%", Some("10&"));
        check("a\u{10FFFF}%", "a\u{10FFFF}", Some("b"));
        check("\u{D7FF}%", "\u{D7FF}", Some("\u{E000}"));
        check("é%", "é", Some("ê"));
    }
}
