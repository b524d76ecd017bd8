//! Access paths of a base relation: the whole of it, its primary key, or an index; the cheapest, with the sort counted that
//! a path makes necessary and the LIMIT that lets it stop early.

use super::bounds::{Matched, equality, match_key};
use super::columns::{self, ColumnSet};
use super::estimate::{Estimates, VIRTUAL_ROWS};
use super::exprs::as_key_type;
use super::keys::{KeyChoice, KeyColumn, KeySource, attribute_of, implies, keys_of};
use super::sort::is_order_expr;
use super::{Lowered, OrderKey, Planner, Positions, Result, positions};
use crate::cost::{self, Cost};
use crate::expr::Expr;
use crate::logical::{ColumnId, Scan, ScanColumn, Until};
use crate::physical::{KeyBounds, KeyEqual, Op, ScanTarget};
use crate::stats;
use catalog::{Index, IndexSource, Relation, RelationKind};
use std::sync::Arc;

struct Path {
    key: Option<KeyChoice>,
    matched: Matched,
    backward: bool,
    index_only: bool,
    cost: Cost,
    order: Vec<OrderKey>,
    /// Conjuncts that every row of the path fulfils.
    settled: Vec<usize>,
}

impl Planner<'_> {
    pub(super) fn estimates(&self) -> Estimates<'_> {
        Estimates { context: self.context, columns: &self.columns }
    }

    pub(super) fn scan(&mut self, scan: &Scan, conjuncts: &[Expr], need: &ColumnSet) -> Result<Lowered> {
        self.depend(&scan.relation);
        let wanted_order = std::mem::take(&mut self.wanted_order);
        let path = match scan.relation.kind {
            RelationKind::Virtual => None,
            _ => Some(self.best_path(scan, conjuncts, need, &wanted_order)),
        };
        let settled: &[usize] = path.as_ref().map_or(&[], |p| &p.settled);
        let rest: Vec<Expr> =
            conjuncts.iter().enumerate().filter(|(i, _)| !settled.contains(i)).map(|(_, e)| e.clone()).collect();
        let kept = kept_columns(scan, &rest, need);
        let layout: Vec<ColumnId> = kept.iter().map(|(_, id)| *id).collect();
        let place = positions(&layout);
        let target = ScanTarget {
            relation: scan.relation.clone(),
            alias: scan.alias.clone(),
            columns: kept.iter().map(|(what, _)| *what).collect(),
            as_of: self.resolve_option(scan.as_of.as_ref(), &Positions::new())?,
            until: match &scan.until {
                Some(until) => Some(Until { time: self.resolve(&until.time, &Positions::new())?, ..*until }),
                None => None,
            },
        };
        let Some(path) = path else { return self.virtual_scan(scan, target, conjuncts, &place, layout) };
        let filter = self.resolve_conjunction(&rest, &place)?;
        let keeps_order =
            !wanted_order.is_empty() || path.index_only || path.key.as_ref().is_none_or(|k| k.index.is_none());
        let op = match path.key {
            None => Op::SeqScan { target, filter, backward: path.backward },
            Some(key) => Op::IndexScan {
                target,
                index: key.index,
                bounds: self.resolve_bounds(path.matched.bounds)?,
                index_only: path.index_only,
                filter,
                backward: path.backward,
                keeps_order,
            },
        };
        let is_there = |key: &OrderKey| layout.contains(&key.column) || is_order_expr(key.column);
        let order = path.order.into_iter().filter(|_| keeps_order).take_while(is_there).collect();
        Ok(Lowered { node: self.node(op, &layout, path.cost), layout, order })
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
        for conjunct in conjuncts.iter().filter(|e| !columns::has_subquery(e)) {
            let Some((side, value)) = equality(scan, conjunct) else { continue };
            let Some(attribute) = attribute_of(scan, side) else { continue };
            let ty = scan.relation.column(attribute).map(|c| c.ty.into());
            let Some(value) = ty.and_then(|ty| as_key_type(value, ty)) else { continue };
            equal.push((attribute, self.resolve(&value, &Positions::new())?));
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
        let mut side = |bound: Option<(Expr, bool)>| -> Result<Option<(Expr, bool)>> {
            bound.map(|(e, inclusive)| Ok((self.resolve(&e, &none)?, inclusive))).transpose()
        };
        resolved.lower = side(bounds.lower)?;
        resolved.upper = side(bounds.upper)?;
        Ok(resolved)
    }

    fn best_path(&self, scan: &Scan, conjuncts: &[Expr], need: &ColumnSet, wanted: &[OrderKey]) -> Path {
        let relation = &*scan.relation;
        let estimates = self.estimates();
        let rows = estimates.relation_rows(relation);
        let selected = rows * estimates.selectivity(conjuncts);
        let width = stats::row_width(relation, self.context.catalog.statistics(relation.id).map(|s| &**s));
        let seq = Path {
            key: None,
            matched: Matched::default(),
            backward: false,
            index_only: false,
            cost: cost::seq_scan(rows, width, conjuncts.len(), selected),
            order: vec![],
            settled: vec![],
        };
        let mut best = (self.path_price(&seq, wanted, self.context.settings.enable_seqscan), seq);
        for key in keys_of(self.context, scan, conjuncts) {
            if scan.until.is_some() || scan.as_of.is_some() && key.index.is_some() {
                // All versions are looked through; and an index made since then has no entries of that time.
                continue;
            }
            let matched = match_key(scan, &key, conjuncts);
            let partial = conjuncts.iter().enumerate().filter(|(_, c)| key.predicate.iter().any(|p| implies(p, c)));
            let mut settled: Vec<usize> = partial.map(|(i, _)| i).collect();
            let by_predicate: Vec<Expr> = settled.iter().filter_map(|i| conjuncts.get(*i)).cloned().collect();
            let entries = rows * estimates.selectivity(&by_predicate);
            settled.extend(&matched.consumed);
            let rest: Vec<Expr> =
                conjuncts.iter().enumerate().filter(|(i, _)| !settled.contains(i)).map(|(_, e)| e.clone()).collect();
            let kept = kept_columns(scan, &rest, need);
            let index_only = self.context.settings.enable_indexonlyscan
                && scan.as_of.is_none()
                && key.index.as_ref().is_some_and(|i| covers(i, relation, &kept));
            let fetched = estimates.fetched(&matched, conjuncts, entries);
            let selected = if matched.is_point { selected.min(matched.descents) } else { selected };
            let clustered = key.index.is_none() || index_only;
            let mut cost = cost::index_scan(fetched, matched.descents, clustered, rest.len(), selected);
            let bytes = if index_only { index_width(relation, &key) } else { width };
            if clustered {
                cost.total += fetched * bytes / 8192.0;
            }
            if index_only {
                cost.total += fetched * cost::ENTRY;
            }
            let order = self.path_order(scan, &key, &matched.bounds, wanted);
            let bounds = &matched.bounds;
            let helps = !bounds.equal.is_empty() || bounds.lower.is_some() || bounds.upper.is_some();
            let is_ordered = order.as_ref().is_some_and(|(order, _)| order.starts_with(wanted) && !wanted.is_empty());
            if !helps && !is_ordered && !index_only && key.predicate.is_empty() {
                continue;
            }
            let (order, backward) = order.unwrap_or_default();
            let path = Path { key: Some(key), matched, backward, index_only, cost, order, settled };
            let price = self.path_price(&path, wanted, self.context.settings.enable_indexscan);
            if price < best.0 {
                best = (price, path);
            }
        }
        best.1
    }

    /// The order in which rows come (and whether the scan runs backward for it), in the words of `wanted` where it serves that.
    ///
    /// Columns fixed by equality may stand anywhere in a wanted order. None is claimed with an IN list among the bounds: rows
    /// of one element come before those of the next, whatever the later columns say.
    fn path_order(
        &self,
        scan: &Scan,
        key: &KeyChoice,
        bounds: &KeyBounds,
        wanted: &[OrderKey],
    ) -> Option<(Vec<OrderKey>, bool)> {
        if bounds.equal.iter().any(|e| matches!(e, KeyEqual::AnyOf(_))) {
            return None;
        }
        let id_of = |k: &KeyColumn| match k.source {
            KeySource::Attribute(n) => {
                scan.columns.iter().find(|(what, _)| *what == ScanColumn::Attribute(n)).map(|(_, id)| *id)
            }
            KeySource::Expression(ref expr) => self.order_column(expr),
        };
        let fixed: ColumnSet = key.columns.iter().take(bounds.equal.len()).filter_map(id_of).collect();
        let free = key.columns.iter().skip(bounds.equal.len());
        let not_null = |at: usize, k: &KeyColumn| k.not_null || (at == 0 && bounds.not_null);
        let keys: Vec<(ColumnId, &KeyColumn, bool)> =
            free.enumerate().map_while(|(at, k)| Some((id_of(k)?, k, not_null(at, k)))).collect();
        let own = |backward: bool| -> Vec<OrderKey> {
            let one = |(column, k, _): &(ColumnId, &KeyColumn, bool)| OrderKey {
                column: *column,
                descending: k.descending != backward,
                nulls_first: k.nulls_first != backward,
            };
            keys.iter().map(one).collect()
        };
        for backward in [false, true] {
            let mut at = 0;
            let serves = !wanted.is_empty()
                && wanted.iter().all(|w| {
                    if fixed.contains(&w.column) {
                        return true;
                    }
                    let Some((column, k, no_nulls)) = keys.get(at) else {
                        return false;
                    };
                    at += 1;
                    *column == w.column
                        && (k.descending != backward) == w.descending
                        && (*no_nulls || (k.nulls_first != backward) == w.nulls_first)
                });
            if serves {
                let rest = own(backward).into_iter().skip(at);
                return Some((wanted.iter().copied().chain(rest).collect(), backward));
            }
        }
        Some((own(false), false))
    }

    /// What a path costs with the sort that it makes necessary, or as far as a LIMIT lets it run.
    fn path_price(&self, path: &Path, wanted: &[OrderKey], enabled: bool) -> f64 {
        let penalty = if enabled { 0.0 } else { 1e10 };
        let is_sorted = path.order.starts_with(wanted);
        let price = match (is_sorted, self.wanted_rows) {
            (false, top) => cost::sort(path.cost, top).total,
            (true, Some(top)) if !wanted.is_empty() => {
                let share = (top / path.cost.rows.max(1.0)).min(1.0);
                path.cost.startup + (path.cost.total - path.cost.startup) * share
            }
            // Of equals the one that has an order.
            (true, _) => path.cost.total * 0.999,
        };
        penalty + price
    }
}

/// The scan's columns that are needed above or by the conditions still to be tested.
fn kept_columns(scan: &Scan, rest: &[Expr], need: &ColumnSet) -> Vec<(ScanColumn, ColumnId)> {
    let mut used = need.clone();
    rest.iter().for_each(|e| columns::add_used(e, &mut used));
    scan.columns.iter().filter(|(_, id)| used.contains(id)).copied().collect()
}

fn index_width(relation: &Relation, key: &KeyChoice) -> f64 {
    let of = |ty: types::SqlType| f64::from(cost::type_width(ty));
    let primary = relation.key.iter().filter_map(|n| relation.column(*n)).map(|c| of(c.ty.into()));
    16.0 + key.columns.iter().map(|c| of(c.ty)).sum::<f64>() + primary.sum::<f64>()
}

/// Whether the index's entries hold all that the scan yields: its columns, INCLUDE columns and the primary key.
fn covers(index: &Arc<Index>, relation: &Relation, kept: &[(ScanColumn, ColumnId)]) -> bool {
    let holds = |attribute: i16| {
        index.columns.iter().any(|c| c.source == IndexSource::Column(attribute))
            || index.included.contains(&attribute)
            || relation.key.contains(&attribute)
    };
    kept.iter().all(|(what, _)| matches!(what, ScanColumn::Attribute(n) if holds(*n)))
}
