//! Access paths of a base relation: the whole of it, its primary key, or an index.
//!
//! Bounds are taken from the conjuncts: equality (or IN, or IS NULL) on the first key columns, then one range. `lower`
//! and `upper` of `KeyBounds` are bounds of the *value*, also where the key column is descending.

use super::columns::{self, ColumnSet};
use super::exprs::{as_key_type, as_operator, is_same_representation};
use super::{Lowered, OrderKey, Planner, Positions, Result, positions};
use crate::cost::{self, Cost};
use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, Scan, ScanColumn};
use crate::physical::{KeyBounds, KeyEqual, Op, ScanTarget};
use crate::stats;
use catalog::{Index, IndexSource, IndexState, Relation, RelationKind, Statistics};
use std::sync::Arc;
use types::{SqlType, builtin};

/// Live rows assumed of computed relations.
const VIRTUAL_ROWS: f64 = 1000.0;

/// One column of a key that a scan can go by.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyColumn {
    pub attribute: i16,
    pub ty: SqlType,
    pub descending: bool,
    pub nulls_first: bool,
}

/// The primary key (`index` None) or a secondary index.
pub(super) struct KeyChoice {
    pub index: Option<Arc<Index>>,
    pub columns: Vec<KeyColumn>,
    pub is_unique: bool,
}

/// Bounds that conjuncts give a key, and which conjuncts they stand for.
#[derive(Default)]
struct Matched {
    bounds: KeyBounds,
    consumed: Vec<usize>,
    selectivity: f64,
    descents: f64,
    is_point: bool,
}

struct Path {
    key: Option<KeyChoice>,
    matched: Matched,
    backward: bool,
    index_only: bool,
    cost: Cost,
    order: Vec<OrderKey>,
}

impl Planner<'_> {
    /// Keys by which rows of a relation can be found. Partial indexes and those over expressions are left out.
    pub(super) fn keys_of(&self, relation: &Relation) -> Vec<KeyChoice> {
        let mut choices = vec![];
        for index in self.context.catalog.indexes_of(relation) {
            if index.state != IndexState::Public || index.predicate.is_some() {
                continue;
            }
            let plain = |c: &catalog::IndexColumn| match c.source {
                IndexSource::Column(attribute) => {
                    let ty = relation.column(attribute)?.ty.into();
                    Some(KeyColumn { attribute, ty, descending: c.descending, nulls_first: c.nulls_first })
                }
                IndexSource::Expression(_) => None,
            };
            let columns: Vec<KeyColumn> = index.columns.iter().map_while(plain).collect();
            if columns.is_empty() {
                continue;
            }
            let whole = columns.len() == index.columns.len();
            choices.push(KeyChoice {
                index: (!index.is_primary).then(|| index.clone()),
                columns,
                is_unique: whole && (index.is_unique || index.is_primary),
            });
        }
        choices
    }

    pub(super) fn relation_rows(&self, relation: &Relation) -> f64 {
        match relation.kind {
            RelationKind::Virtual => VIRTUAL_ROWS,
            _ => ((self.context.rows)(relation) as f64).max(1.0),
        }
    }

    pub(super) fn scan(&mut self, scan: &Scan, conjuncts: &[Expr], need: &ColumnSet) -> Result<Lowered> {
        self.depend(&scan.relation);
        let mut need = need.clone();
        conjuncts.iter().for_each(|e| columns::add_used(e, &mut need));
        let kept: Vec<_> = scan.columns.iter().filter(|(_, id)| need.contains(id)).copied().collect();
        let layout: Vec<ColumnId> = kept.iter().map(|(_, id)| *id).collect();
        let place = positions(&layout);
        let target = ScanTarget {
            relation: scan.relation.clone(),
            alias: scan.alias.clone(),
            columns: kept.iter().map(|(what, _)| *what).collect(),
            as_of: self.resolve_option(scan.as_of.as_ref(), &Positions::new())?,
        };
        if scan.relation.kind == RelationKind::Virtual {
            return self.virtual_scan(scan, target, conjuncts, &place, layout);
        }
        let path = self.best_path(scan, &target, conjuncts);
        let rest: Vec<Expr> =
            (0..).zip(conjuncts).filter(|(i, _)| !path.matched.consumed.contains(i)).map(|(_, e)| e.clone()).collect();
        let filter = self.resolve_conjunction(&rest, &place)?;
        let op = match path.key {
            None => Op::SeqScan { target, filter, backward: path.backward },
            Some(key) => Op::IndexScan {
                target,
                index: key.index,
                bounds: self.resolve_bounds(path.matched.bounds)?,
                index_only: path.index_only,
                filter,
                backward: path.backward,
            },
        };
        Ok(Lowered { node: self.node(op, &layout, path.cost), layout, order: path.order })
    }

    fn virtual_scan(
        &mut self,
        scan: &Scan,
        target: ScanTarget,
        conjuncts: &[Expr],
        place: &Positions,
        layout: Vec<ColumnId>,
    ) -> Result<Lowered> {
        let mut equal = vec![];
        for conjunct in conjuncts {
            if let Some((attribute, value)) = equality(scan, conjunct) {
                equal.push((attribute, self.resolve(&value, &Positions::new())?));
            }
        }
        let filter = self.resolve_conjunction(conjuncts, place)?;
        let rows = VIRTUAL_ROWS * stats::default_selectivity(conjuncts);
        let cost = cost::seq_scan(VIRTUAL_ROWS, 100.0, conjuncts.len(), rows);
        Ok(self.leaf(Op::VirtualScan { target, equal, filter }, layout, cost))
    }

    fn resolve_bounds(&mut self, bounds: KeyBounds) -> Result<KeyBounds> {
        let none = Positions::new();
        let mut resolved = KeyBounds { not_null: bounds.not_null, ..KeyBounds::default() };
        for equal in bounds.equal {
            resolved.equal.push(match equal {
                KeyEqual::Value(e) => KeyEqual::Value(self.resolve(&e, &none)?),
                KeyEqual::AnyOf(e) => KeyEqual::AnyOf(self.resolve(&e, &none)?),
                KeyEqual::IsNull => KeyEqual::IsNull,
            });
        }
        resolved.lower =
            bounds.lower.map(|(e, i)| Ok::<_, types::SqlError>((self.resolve(&e, &none)?, i))).transpose()?;
        resolved.upper =
            bounds.upper.map(|(e, i)| Ok::<_, types::SqlError>((self.resolve(&e, &none)?, i))).transpose()?;
        Ok(resolved)
    }

    fn best_path(&self, scan: &Scan, target: &ScanTarget, conjuncts: &[Expr]) -> Path {
        let relation = &*scan.relation;
        let statistics = self.context.catalog.statistics(relation.id).map(|s| &**s);
        let rows = self.relation_rows(relation);
        let selected = rows * selectivity(scan, conjuncts, statistics, rows);
        let width = stats::row_width(relation, statistics);
        let seq = Path {
            key: None,
            matched: Matched::default(),
            backward: false,
            index_only: false,
            cost: cost::seq_scan(rows, width, conjuncts.len(), selected),
            order: vec![],
        };
        let mut best = (self.path_price(&seq, self.context.settings.enable_seqscan), seq);
        for key in self.keys_of(relation) {
            let matched = match_key(scan, &key, conjuncts, statistics, rows);
            let index_only = key.index.as_ref().is_some_and(|i| covers(i, relation, target));
            let fetched = if matched.is_point { matched.descents } else { (rows * matched.selectivity).max(1.0) };
            let clustered = key.index.is_none() || index_only;
            let rest = conjuncts.len() - matched.consumed.len();
            let selected = if matched.is_point { selected.min(matched.descents) } else { selected };
            let mut cost = cost::index_scan(fetched, matched.descents, clustered, rest, selected);
            if key.index.is_none() {
                cost.total += fetched * width / 8192.0;
            }
            let forward = key_order(scan, &key, &matched.bounds.equal, false);
            let backward = key_order(scan, &key, &matched.bounds.equal, true);
            let is_backward = !self.is_wanted(&forward) && self.is_wanted(&backward);
            let order = if is_backward { backward } else { forward };
            let helps =
                !matched.bounds.equal.is_empty() || matched.bounds.lower.is_some() || matched.bounds.upper.is_some();
            if !helps && !self.is_wanted(&order) && !index_only {
                continue;
            }
            let path = Path { key: Some(key), matched, backward: is_backward, index_only, cost, order };
            let price = self.path_price(&path, self.context.settings.enable_indexscan);
            if price < best.0 {
                best = (price, path);
            }
        }
        best.1
    }

    fn is_wanted(&self, order: &[OrderKey]) -> bool {
        !self.wanted_order.is_empty() && order.starts_with(&self.wanted_order)
    }

    /// What a path costs with the sort that it makes necessary.
    fn path_price(&self, path: &Path, enabled: bool) -> f64 {
        let penalty = if enabled { 0.0 } else { 1e10 };
        let sort = !self.wanted_order.is_empty() && !self.is_wanted(&path.order);
        penalty + if sort { cost::sort(path.cost, None).total } else { path.cost.total * 0.999 }
    }
}

/// The order in which rows come: by the key columns after those that are fixed. None is claimed with an IN list among
/// them: rows of one element come before those of the next, whatever the later columns say.
fn key_order(scan: &Scan, key: &KeyChoice, equal: &[KeyEqual], backward: bool) -> Vec<OrderKey> {
    if equal.iter().any(|e| matches!(e, KeyEqual::AnyOf(_))) {
        return Vec::new();
    }
    let column = |k: &KeyColumn| {
        let column =
            scan.columns.iter().find(|(what, _)| *what == ScanColumn::Attribute(k.attribute)).map(|(_, id)| *id)?;
        Some(OrderKey { column, descending: k.descending != backward, nulls_first: k.nulls_first != backward })
    };
    key.columns.iter().skip(equal.len()).map_while(column).collect()
}

/// Whether the index's entries hold all that the scan yields: its columns, INCLUDE columns and the primary key.
fn covers(index: &Index, relation: &Relation, target: &ScanTarget) -> bool {
    let holds = |attribute: i16| {
        index.columns.iter().any(|c| c.source == IndexSource::Column(attribute))
            || index.included.contains(&attribute)
            || relation.key.contains(&attribute)
    };
    target.as_of.is_none() && target.columns.iter().all(|what| matches!(what, ScanColumn::Attribute(n) if holds(*n)))
}

/// The attribute that an expression is, seen through casts that keep the representation.
pub(super) fn attribute_of(scan: &Scan, expr: &Expr) -> Option<i16> {
    match &expr.kind {
        ExprKind::Column(id) => scan.columns.iter().find(|(_, c)| c == id).and_then(|(what, _)| match what {
            ScanColumn::Attribute(n) => Some(*n),
            _ => None,
        }),
        ExprKind::Relabel(arg, _) if is_same_representation(arg.ty.oid, expr.ty.oid) => attribute_of(scan, arg),
        _ => None,
    }
}

/// Whether an expression has one value for the whole scan.
pub(super) fn is_fixed(scan: &Scan, expr: &Expr) -> bool {
    let reads_scan =
        expr.any(&mut |e| matches!(e.kind, ExprKind::Column(id) if scan.columns.iter().any(|(_, c)| *c == id)));
    !reads_scan && !columns::is_volatile(expr) && !columns::has_subquery(expr)
}

/// `attribute op value`, turned round where it was written the other way.
pub(super) fn comparison(scan: &Scan, expr: &Expr) -> Option<(i16, &'static str, Expr)> {
    let (operator, left, right) = as_operator(expr)?;
    if let Some(attribute) = attribute_of(scan, left).filter(|_| is_fixed(scan, right)) {
        return Some((attribute, operator.name, right.clone()));
    }
    let attribute = attribute_of(scan, right).filter(|_| is_fixed(scan, left))?;
    Some((attribute, builtin::operator_by_oid(operator.commutator)?.name, left.clone()))
}

fn key_type(scan: &Scan, attribute: i16) -> Option<SqlType> {
    scan.relation.column(attribute).map(|c| c.ty.into())
}

/// `attribute = value` with the value in the column's type.
pub(super) fn equality(scan: &Scan, expr: &Expr) -> Option<(i16, Expr)> {
    let (attribute, name, value) = comparison(scan, expr)?;
    let value = as_key_type(&value, key_type(scan, attribute)?)?;
    (name == "=").then_some((attribute, value))
}

fn key_equal(scan: &Scan, column: &KeyColumn, expr: &Expr) -> Option<KeyEqual> {
    if let Some((attribute, value)) = equality(scan, expr) {
        return (attribute == column.attribute).then_some(KeyEqual::Value(value));
    }
    match &expr.kind {
        ExprKind::AnyAll { operator, left, array, all: false, .. } if operator.name == "=" => {
            let fits = attribute_of(scan, left) == Some(column.attribute)
                && array.ty.element().is_some_and(|e| is_same_representation(e.oid, column.ty.oid))
                && is_fixed(scan, array);
            fits.then(|| KeyEqual::AnyOf((**array).clone()))
        }
        ExprKind::IsNull { arg, negated: false, of_row: false } => {
            (attribute_of(scan, arg) == Some(column.attribute)).then_some(KeyEqual::IsNull)
        }
        _ => None,
    }
}

fn match_key(scan: &Scan, key: &KeyChoice, conjuncts: &[Expr], statistics: Option<&Statistics>, rows: f64) -> Matched {
    let mut matched = Matched { selectivity: 1.0, descents: 1.0, ..Matched::default() };
    for column in &key.columns {
        let found = (0..).zip(conjuncts).find_map(|(i, e)| Some((i, e, key_equal(scan, column, e)?)));
        let Some((i, expr, equal)) = found else { break };
        if let KeyEqual::AnyOf(array) = &equal {
            matched.descents *= array_length(array);
        }
        matched.selectivity *= conjunct_selectivity(scan, expr, statistics, rows);
        matched.consumed.push(i);
        matched.bounds.equal.push(equal);
    }
    let full = matched.bounds.equal.len() == key.columns.len();
    matched.is_point = full && key.is_unique && !matched.bounds.equal.iter().any(|e| matches!(e, KeyEqual::IsNull));
    if let Some(column) = key.columns.get(matched.bounds.equal.len()) {
        match_range(scan, column, conjuncts, &mut matched);
    }
    matched
}

fn match_range(scan: &Scan, column: &KeyColumn, conjuncts: &[Expr], matched: &mut Matched) {
    for (i, expr) in (0..).zip(conjuncts) {
        let Some((attribute, name, value)) = comparison(scan, expr) else { continue };
        if attribute != column.attribute {
            continue;
        }
        let Some(value) = as_key_type(&value, column.ty) else { continue };
        let bound = match name {
            ">" | ">=" => &mut matched.bounds.lower,
            "<" | "<=" => &mut matched.bounds.upper,
            _ => continue,
        };
        if bound.is_none() {
            *bound = Some((value, name.len() == 2));
            matched.bounds.not_null = true;
            matched.consumed.push(i);
            matched.selectivity *= if matched.consumed.len() > 1 { 0.02 } else { stats::RANGE };
        }
    }
}

fn array_length(array: &Expr) -> f64 {
    match &array.kind {
        ExprKind::Array { elements, .. } => elements.len().max(1) as f64,
        _ => 10.0,
    }
}

fn conjunct_selectivity(scan: &Scan, expr: &Expr, statistics: Option<&Statistics>, rows: f64) -> f64 {
    let attribute = match &expr.kind {
        ExprKind::AnyAll { left, .. } => attribute_of(scan, left),
        _ => equality(scan, expr).map(|(attribute, _)| attribute),
    };
    let Some(attribute) = attribute else { return stats::shape_selectivity(expr) };
    let unique = scan.relation.key == [attribute];
    let known = if unique { Some(rows) } else { stats::distinct_values(statistics, attribute, rows) };
    let one = known.map_or(stats::EQUAL, |distinct| 1.0 / distinct.max(1.0));
    match &expr.kind {
        ExprKind::AnyAll { operator, array, .. } if operator.name == "=" => (one * array_length(array)).min(1.0),
        ExprKind::AnyAll { .. } => stats::shape_selectivity(expr),
        _ => one,
    }
}

fn selectivity(scan: &Scan, conjuncts: &[Expr], statistics: Option<&Statistics>, rows: f64) -> f64 {
    conjuncts.iter().map(|e| conjunct_selectivity(scan, e, statistics, rows)).product()
}
