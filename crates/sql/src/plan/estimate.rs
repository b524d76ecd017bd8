//! Estimates over the logical plan: rows of a node, the share of rows a condition keeps, distinct values of an expression.
//!
//! ANALYZE's statistics where there are some: common values and histograms for constants, distinct counts for equalities.
//! Else what the schema tells (a unique key has as many values as rows), else PostgreSQL's defaults. Conditions count as
//! independent, but for the two ends of a range.

use super::columns::{children, used};
use super::exprs::{as_operator, integer_constant};
use super::keys::{KeyChoice, keys_of};
use super::{PlanContext, columns};
use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, ColumnInfo, JoinKind, Node, Scan};
use crate::stats;
use catalog::{ColumnStatistics, Relation, RelationKind, Statistics};
use std::cmp::Ordering;
use std::sync::Arc;
use types::{Datum, FormatSettings, SqlType, builtin};

/// Live rows assumed of computed relations.
pub(crate) const VIRTUAL_ROWS: f64 = 1000.0;
/// PostgreSQL's guess for a set-returning function.
pub(crate) const FUNCTION_ROWS: f64 = 100.0;
/// Distinct values of a column that nothing is known of.
const DISTINCT: f64 = 200.0;
/// Share of rows between two bounds that nothing is known of.
const BETWEEN: f64 = 0.005;

#[derive(Clone, Copy)]
pub(crate) struct Estimates<'a> {
    pub context: &'a PlanContext<'a>,
    pub columns: &'a [ColumnInfo],
}

/// `column op constant`, turned round where it was written the other way.
fn against_constant(expr: &Expr) -> Option<(ColumnId, SqlType, &'static str, Option<&Datum>)> {
    let (operator, left, right) = as_operator(expr)?;
    let constant = |e: &Expr| columns::used(e).is_empty() && !columns::has_subquery(e);
    fn datum(e: &Expr) -> Option<&Datum> {
        match &e.kind {
            ExprKind::Const(value) => Some(value),
            _ => None,
        }
    }
    if let Some(id) = plain_column(left).filter(|_| constant(right)) {
        return Some((id, right.ty, operator.name, datum(right)));
    }
    let id = plain_column(right).filter(|_| constant(left))?;
    Some((id, left.ty, builtin::operator_by_oid(operator.commutator)?.name, datum(left)))
}

/// The column that an expression is, seen through casts.
fn plain_column(expr: &Expr) -> Option<ColumnId> {
    match &expr.kind {
        ExprKind::Column(id) => Some(*id),
        ExprKind::Relabel(arg, _) => plain_column(arg),
        ExprKind::Call { args, form, .. } => match (form, &args[..]) {
            (crate::expr::CallForm::ImplicitCast | crate::expr::CallForm::ExplicitCast, [arg, ..]) => plain_column(arg),
            _ => None,
        },
        _ => None,
    }
}

impl<'a> Estimates<'a> {
    pub fn relation_rows(&self, relation: &Relation) -> f64 {
        match relation.kind {
            RelationKind::Virtual => VIRTUAL_ROWS,
            _ => ((self.context.rows)(relation) as f64).max(1.0),
        }
    }

    fn statistics(&self, relation: &Relation) -> Option<&'a Statistics> {
        self.context.catalog.statistics(relation.id).map(|s| &**s)
    }

    /// The base relation and attribute that a column shows.
    fn origin(&self, id: ColumnId) -> Option<(&'a Arc<Relation>, i16)> {
        let info = self.columns.get(id.0 as usize).filter(|c| c.table != 0 && c.attribute > 0)?;
        Some((self.context.catalog.relation(info.table)?, info.attribute))
    }

    fn column_statistics(&self, id: ColumnId) -> Option<(&'a ColumnStatistics, f64)> {
        let (relation, attribute) = self.origin(id)?;
        let column = self.statistics(relation)?.columns.iter().find(|c| c.number == attribute)?;
        Some((column, self.relation_rows(relation)))
    }

    /// Distinct values of a column in its whole relation; None where nothing is known.
    fn column_distinct(&self, id: ColumnId) -> Option<f64> {
        let (relation, attribute) = self.origin(id)?;
        let rows = self.relation_rows(relation);
        let is_key = relation.key == [attribute]
            || self.context.catalog.indexes_of(relation).any(|i| {
                i.is_unique
                    && i.predicate.is_none()
                    && i.columns.len() == 1
                    && i.columns.iter().all(|c| c.source == catalog::IndexSource::Column(attribute))
            });
        match is_key {
            true => Some(rows),
            false => stats::distinct_values(self.statistics(relation), attribute, rows),
        }
    }

    /// Distinct values of an expression among `rows` rows.
    pub fn distinct(&self, expr: &Expr, rows: f64) -> f64 {
        let known = match &expr.kind {
            ExprKind::Const(_) => Some(1.0),
            _ if expr.ty.oid == types::oid::BOOL => Some(2.0),
            _ => plain_column(expr).and_then(|id| self.column_distinct(id)),
        };
        known.unwrap_or(DISTINCT).clamp(1.0, rows.max(1.0))
    }

    /// Groups that `rows` rows make by `keys`.
    pub fn groups(&self, keys: &[Expr], rows: f64) -> f64 {
        let all: f64 = keys.iter().map(|k| self.distinct(k, rows)).product();
        all.clamp(1.0, rows.max(1.0))
    }

    /// Share of rows that pass all of `conjuncts`.
    pub fn selectivity(&self, conjuncts: &[Expr]) -> f64 {
        let mut share = 1.0;
        // (column, share below an upper bound, share above a lower one) of half ranges.
        let mut halves: Vec<(ColumnId, Option<f64>, Option<f64>)> = vec![];
        for conjunct in conjuncts {
            match against_constant(conjunct) {
                Some((id, ty, name @ ("<" | "<=" | ">" | ">="), value)) => {
                    let part = self.range(id, ty, name, value);
                    let at = match halves.iter().position(|(column, ..)| *column == id) {
                        Some(at) => at,
                        None => {
                            halves.push((id, None, None));
                            halves.len() - 1
                        }
                    };
                    let Some((_, upper, lower)) = halves.get_mut(at) else { continue };
                    let side = if name.starts_with('<') { upper } else { lower };
                    *side = Some(side.map_or(part, |known| known.min(part)));
                }
                _ => share *= self.conjunct(conjunct),
            }
        }
        for (id, upper, lower) in halves {
            share *= match (upper, lower) {
                (Some(upper), Some(lower)) => match self.has_histogram(id) {
                    true => (upper + lower - 1.0).max(0.0001),
                    false => BETWEEN,
                },
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => 1.0,
            };
        }
        share.clamp(0.0, 1.0)
    }

    fn has_histogram(&self, id: ColumnId) -> bool {
        self.column_statistics(id).is_some_and(|(s, _)| s.histogram.len() > 1)
    }

    fn conjunct(&self, expr: &Expr) -> f64 {
        match &expr.kind {
            ExprKind::And(parts) => self.selectivity(parts),
            ExprKind::Or(parts) => 1.0 - parts.iter().map(|p| 1.0 - self.conjunct(p)).product::<f64>(),
            ExprKind::Not(arg) => 1.0 - self.conjunct(arg),
            ExprKind::IsNull { arg, negated, .. } => {
                let known = plain_column(arg).and_then(|id| self.column_statistics(id));
                let share = known.map_or(stats::EQUAL, |(s, _)| s.null_fraction);
                if *negated { 1.0 - share } else { share }
            }
            ExprKind::AnyAll { operator, left, array, all: false, .. } if operator.name == "=" => {
                let one = plain_column(left).map_or(stats::EQUAL, |id| self.equal(id, left.ty, None));
                (one * array_length(array)).min(1.0)
            }
            ExprKind::Subquery(_) => 0.5,
            _ => self.comparison(expr),
        }
    }

    fn comparison(&self, expr: &Expr) -> f64 {
        if let Some((id, ty, name, value)) = against_constant(expr) {
            return match name {
                "=" => self.equal(id, ty, value),
                "<>" => 1.0 - self.equal(id, ty, value),
                "<" | "<=" | ">" | ">=" => self.range(id, ty, name, value),
                _ => stats::shape_selectivity(expr),
            };
        }
        match as_operator(expr) {
            Some((operator, left, right)) if operator.name == "=" => {
                1.0 / self.distinct(left, f64::MAX).max(self.distinct(right, f64::MAX))
            }
            _ => stats::shape_selectivity(expr),
        }
    }

    /// Share of rows with this value in the column; `value` None: with some one value.
    fn equal(&self, id: ColumnId, ty: SqlType, value: Option<&Datum>) -> f64 {
        let distinct = self.column_distinct(id);
        let plain = distinct.map_or(stats::EQUAL, |d| 1.0 / d.max(1.0));
        let (Some((column, _)), Some(value)) = (self.column_statistics(id), value) else { return plain };
        if value.is_null() {
            return 0.0;
        }
        let mut text = vec![];
        types::io::output(ty, value, &FormatSettings::default(), &mut text);
        if let Some((_, share)) = column.common.iter().find(|(common, _)| common.as_bytes() == text) {
            return *share;
        }
        let common: f64 = column.common.iter().map(|(_, share)| share).sum();
        let others = distinct.map_or(DISTINCT, |d| d - column.common.len() as f64).max(1.0);
        if column.common.is_empty() { plain } else { ((1.0 - common - column.null_fraction) / others).clamp(0.0, 1.0) }
    }

    /// Share of rows that `column op value` keeps, by the histogram.
    fn range(&self, id: ColumnId, ty: SqlType, name: &str, value: Option<&Datum>) -> f64 {
        let (Some((column, _)), Some(value)) = (self.column_statistics(id), value) else { return stats::RANGE };
        let buckets = column.histogram.len().saturating_sub(1);
        let is_below = |bound: &String| {
            let bound = types::io::input(ty, bound, &FormatSettings::default()).ok()?;
            Some(types::compare::compare(ty, &bound, value) == Ordering::Less)
        };
        if buckets == 0 || value.is_null() {
            return stats::RANGE;
        }
        let mut below = 0_usize;
        for bound in &column.histogram {
            match is_below(bound) {
                Some(true) => below += 1,
                Some(false) => break,
                None => return stats::RANGE,
            }
        }
        // The value lies in the bucket after the last bound below it: half of that counts.
        let share = match below {
            0 => 0.0,
            n if n > buckets => 1.0,
            n => (n as f64 - 0.5) / buckets as f64,
        };
        let share = if name.starts_with('<') { share } else { 1.0 - share };
        (share * (1.0 - column.null_fraction)).clamp(0.0001, 1.0)
    }

    /// Share of pairs of rows that pass an equality between the two sides of a join.
    pub fn join_equality(&self, left: &Expr, left_rows: f64, right: &Expr, right_rows: f64) -> f64 {
        1.0 / self.distinct(left, left_rows).max(self.distinct(right, right_rows)).max(1.0)
    }

    /// Share of pairs that pass a join's conditions.
    pub fn join_selectivity(
        &self,
        on: &[Expr],
        left: (&columns::ColumnSet, f64),
        right: (&columns::ColumnSet, f64),
    ) -> f64 {
        let one = |expr: &Expr| {
            let Some((_, a, b)) = as_operator(expr).filter(|(o, ..)| o.name == "=") else { return self.conjunct(expr) };
            let (in_a, in_b) = (used(a), used(b));
            let of = |x: &columns::ColumnSet, y: &columns::ColumnSet| !x.is_empty() && x.is_subset(y);
            if of(&in_a, left.0) && of(&in_b, right.0) {
                self.join_equality(a, left.1, b, right.1)
            } else if of(&in_b, left.0) && of(&in_a, right.0) {
                self.join_equality(b, left.1, a, right.1)
            } else {
                self.conjunct(expr)
            }
        };
        on.iter().map(one).product()
    }

    /// Rows that a node is thought to yield.
    pub fn rows(&self, node: &Node) -> f64 {
        let rows = match node {
            Node::OneRow => 1.0,
            Node::Scan(scan) => self.relation_rows(&scan.relation),
            Node::Values { rows, .. } => rows.len() as f64,
            Node::Functions { .. } | Node::CteScan { .. } => FUNCTION_ROWS,
            Node::ProjectSet { input, .. } => self.rows(input) * FUNCTION_ROWS,
            Node::Filter { input, predicate } => self.filtered(input, predicate),
            Node::Join { kind, left, right, on, .. } => {
                let (a, b) = (self.rows(left), self.rows(right));
                let (in_a, in_b) = (columns::output_set(left), columns::output_set(right));
                super::join::joined_rows(*kind, a, b, self.join_selectivity(on, (&in_a, a), (&in_b, b)))
            }
            Node::Aggregate { input, groups, .. } => {
                let keys: Vec<Expr> = groups.iter().map(|id| self.column(*id)).collect();
                if keys.is_empty() { 1.0 } else { self.groups(&keys, self.rows(input)) }
            }
            Node::Distinct { input, columns, .. } => {
                let keys: Vec<Expr> = columns.iter().map(|id| self.column(*id)).collect();
                self.groups(&keys, self.rows(input))
            }
            Node::Limit { input, limit, .. } => {
                let rows = self.rows(input);
                limit.as_ref().and_then(integer_constant).map_or(rows, |n| rows.min(n.max(0) as f64))
            }
            Node::SetOp { left, right, .. } => self.rows(left) + self.rows(right),
            Node::RecursiveUnion { base, step, .. } => self.rows(base) + 10.0 * self.rows(step),
            _ => children(node).first().map_or(1.0, |input| self.rows(input)),
        };
        rows.max(1.0)
    }

    fn column(&self, id: ColumnId) -> Expr {
        Expr::column(id, self.columns.get(id.0 as usize).map_or(SqlType::UNKNOWN, |c| c.ty))
    }

    /// Rows of a filtered node; a unique key fixed by the conditions leaves one.
    pub fn filtered(&self, input: &Node, predicate: &[Expr]) -> f64 {
        let rows = self.rows(input) * self.selectivity(predicate);
        match input {
            Node::Scan(scan) if self.fixes_unique_key(scan, predicate) => rows.min(1.0),
            _ => rows,
        }
    }

    fn fixes_unique_key(&self, scan: &Scan, predicate: &[Expr]) -> bool {
        let is_fixed = |key: &KeyChoice| {
            key.is_unique
                && key.columns.iter().all(|column| {
                    predicate
                        .iter()
                        .any(|e| super::bounds::equality(scan, e).is_some_and(|(side, _)| column.is(scan, side)))
                })
        };
        keys_of(self.context, scan, predicate).iter().any(is_fixed)
    }

    /// Whether an equality could be looked up in a key of `node`, a scan.
    pub fn is_indexed(&self, node: &Node, equality: &Expr) -> bool {
        let (scan, predicate) = match node {
            Node::Scan(scan) => (scan, &[][..]),
            Node::Filter { input, predicate } => match &**input {
                Node::Scan(scan) => (scan, &predicate[..]),
                _ => return false,
            },
            Node::Project { input, .. } => return self.is_indexed(input, equality),
            _ => return false,
        };
        let Some((_, a, b)) = as_operator(equality) else { return false };
        let leads = |key: &KeyChoice| key.columns.first().is_some_and(|c| c.is(scan, a) || c.is(scan, b));
        keys_of(self.context, scan, predicate).iter().any(leads)
    }

    /// Whether at most one row of `node` fulfils the equalities, for any values on their other sides.
    pub fn is_unique(&self, node: &Node, equalities: &[Expr]) -> bool {
        match node {
            Node::Scan(scan) => self.is_unique_scan(scan, &[], equalities),
            Node::Filter { input, predicate } => match &**input {
                Node::Scan(scan) => self.is_unique_scan(scan, predicate, equalities),
                other => self.is_unique(other, equalities),
            },
            Node::Project { input, exprs } => {
                let made = exprs.iter().cloned().collect();
                let below: Vec<Expr> = equalities.iter().map(|e| columns::substitute(e.clone(), &made)).collect();
                self.is_unique(input, &below)
            }
            Node::Sort { input, .. } => self.is_unique(input, equalities),
            Node::Aggregate { groups, group_outputs, sets: None, .. } => {
                !groups.is_empty()
                    && group_outputs.iter().all(|id| {
                        equalities.iter().any(|e| {
                            as_operator(e).is_some_and(|(o, a, b)| {
                                let is_group = |e: &Expr| matches!(e.kind, ExprKind::Column(c) if c == *id);
                                o.name == "=" && (is_group(a) != is_group(b))
                            })
                        })
                    })
            }
            Node::Join { kind: JoinKind::Semi | JoinKind::Anti, left, .. } => self.is_unique(left, equalities),
            _ => false,
        }
    }

    fn is_unique_scan(&self, scan: &Scan, predicate: &[Expr], equalities: &[Expr]) -> bool {
        let fixes = |column: &super::keys::KeyColumn| {
            let by_join = equalities.iter().any(|e| {
                as_operator(e).is_some_and(|(o, a, b)| {
                    let same = |side: &Expr, other: &Expr| {
                        column.is(scan, side)
                            && super::same_type(side, other).is_some_and(|(s, ..)| column.is(scan, &s))
                    };
                    o.name == "=" && (same(a, b) || same(b, a))
                })
            });
            let by_filter = predicate
                .iter()
                .any(|e| super::bounds::equality(scan, e).is_some_and(|(side, _)| column.is(scan, side)));
            by_join || by_filter
        };
        let is_fixed = |key: &KeyChoice| key.is_unique && key.columns.iter().all(fixes);
        keys_of(self.context, scan, predicate).iter().any(is_fixed)
    }
}

pub(crate) fn array_length(array: &Expr) -> f64 {
    match &array.kind {
        ExprKind::Array { elements, .. } => elements.len().max(1) as f64,
        ExprKind::Const(Datum::Array(array)) => array.values.len().max(1) as f64,
        _ => 10.0,
    }
}
