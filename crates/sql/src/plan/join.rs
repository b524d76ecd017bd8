//! Joins: which algorithm, by cost. Equalities between the sides are keys; the rest is tested on pairs.

use super::bounds::{equality, match_key};
use super::columns::{self, ColumnSet, add_used, output_set};
use super::exprs::{as_key_type, as_operator, same_type};
use super::keys::{KeyColumn, keys_of};
use super::{Lowered, OrderKey, Planner, Result, positions};
use crate::cost::{self, Cost};
use crate::expr::Expr;
use crate::logical::{ColumnId, JoinKind, Node, Scan, ScanColumn};
use crate::physical::{Op, ScanTarget};
use crate::stats;
use catalog::RelationKind;
use types::SqlType;

/// An equality between the two sides, in one type.
pub(super) struct EquiKey {
    pub left: Expr,
    pub right: Expr,
    pub ty: SqlType,
    /// Index in `on`.
    pub conjunct: usize,
}

impl EquiKey {
    /// With the sides changed.
    fn turned(&self) -> EquiKey {
        EquiKey { left: self.right.clone(), right: self.left.clone(), ty: self.ty, conjunct: self.conjunct }
    }
}

impl Planner<'_> {
    pub(super) fn join(
        &mut self,
        kind: JoinKind,
        left: &Node,
        right: &Node,
        on: &[Expr],
        lateral: bool,
        need: &ColumnSet,
    ) -> Result<Lowered> {
        let (offers_left, offers_right) = (output_set(left), output_set(right));
        let keys = equi_keys(on, &offers_left, &offers_right);
        if kind == JoinKind::Left && !lateral && need.is_disjoint(&offers_right) && self.adds_nothing(right, on) {
            return self.lower(left, need);
        }
        let wanted = std::mem::take(&mut self.wanted_order);
        let top = self.wanted_rows.take().filter(|_| !wanted.is_empty() && !lateral);
        if top.is_some() && kind == JoinKind::Inner && reads_only(&wanted, &offers_right) {
            let turned: Vec<EquiKey> = keys.iter().map(EquiKey::turned).collect();
            if self.can_look_up(left, &turned) {
                (self.wanted_order, self.wanted_rows) = (wanted, top);
                return self.join_in_order(kind, right, left, on, need, turned);
            }
        }
        (self.wanted_order, self.wanted_rows) = (wanted, top);
        if lateral {
            (self.wanted_order, self.wanted_rows) = (vec![], None);
            let mut need = need.clone();
            on.iter().for_each(|e| add_used(e, &mut need));
            let mut need_left: ColumnSet = need.intersection(&offers_left).copied().collect();
            let need_right: ColumnSet = need.intersection(&offers_right).copied().collect();
            need_left.extend(columns::free(right).intersection(&offers_left));
            let left = self.lower(left, &need_left)?;
            return self.lateral_join(kind, left, right, on, &need_right, &offers_left);
        }
        self.join_in_order(kind, left, right, on, need, keys)
    }

    /// Joins with the left side as the outer one.
    fn join_in_order(
        &mut self,
        kind: JoinKind,
        left: &Node,
        right: &Node,
        on: &[Expr],
        need: &ColumnSet,
        keys: Vec<EquiKey>,
    ) -> Result<Lowered> {
        let mut need = need.clone();
        on.iter().for_each(|e| add_used(e, &mut need));
        let (offers_left, offers_right) = (output_set(left), output_set(right));
        let need_left: ColumnSet = need.intersection(&offers_left).copied().collect();
        let need_right: ColumnSet = need.intersection(&offers_right).copied().collect();
        let wanted = std::mem::take(&mut self.wanted_order);
        let top = self.wanted_rows.take();
        // Rows come in the wanted order if each is looked up on the other side as it comes.
        let keeps_order = matches!(kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti);
        if top.is_some() && keeps_order && reads_only(&wanted, &offers_left) && self.can_look_up(right, &keys) {
            (self.wanted_order, self.wanted_rows) = (wanted.clone(), top);
        }
        let left = self.lower(left, &need_left)?;
        (self.wanted_order, self.wanted_rows) = (vec![], None);
        let taken = top.filter(|_| !wanted.is_empty() && left.order.starts_with(&wanted));
        if let Some(joined) = self.lookup_join(kind, &left, right, on, &keys, &need_right, taken)? {
            return Ok(finish_lookup(self, joined, left));
        }
        let right = self.lower(right, &need_right)?;
        let is_null_aware = self.is_null_aware(kind, &keys);
        if !keys.is_empty() && !is_null_aware {
            let merged = self.presorted_keys(&left, &right, &keys);
            if !merged.is_empty() {
                return self.merge_join(kind, left, right, on, &keys, &merged);
            }
            if self.sorts_to_merge(&left, &right) {
                let (left, right, merged) = self.sorted_sides(left, right, &keys)?;
                return self.merge_join(kind, left, right, on, &keys, &merged);
            }
        }
        match keys.is_empty() || (!self.context.settings.enable_hashjoin && !is_null_aware) {
            true => self.nested_loop(kind, left, right, on),
            false => self.hash_join(kind, left, right, on, keys),
        }
    }

    /// Whether each left row of an outer join meets at most one right row, so that without right columns it changes nothing.
    fn adds_nothing(&self, right: &Node, on: &[Expr]) -> bool {
        self.estimates().is_unique(right, on)
    }

    /// An anti join made from NOT IN.
    fn is_null_aware(&self, kind: JoinKind, keys: &[EquiKey]) -> bool {
        let is_marked = |k: &EquiKey| columns::used(&k.right).iter().any(|id| self.null_aware.contains(id));
        kind == JoinKind::Anti && keys.iter().any(is_marked)
    }

    fn can_look_up(&self, inner: &Node, keys: &[EquiKey]) -> bool {
        let Some((scan, filter)) = plain_scan(inner) else { return false };
        self.context.settings.enable_nestloop && self.cheapest_lookup(scan, filter, keys, Cost::default()).is_some()
    }

    fn lateral_join(
        &mut self,
        kind: JoinKind,
        left: Lowered,
        right: &Node,
        on: &[Expr],
        need: &ColumnSet,
        offers: &ColumnSet,
    ) -> Result<Lowered> {
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            return Err(super::not_supported("RIGHT or FULL JOIN LATERAL"));
        }
        let free: ColumnSet = columns::free(right).intersection(offers).copied().collect();
        let (scope, parameters) = self.bind_outer(&free, &positions(&left.layout))?;
        self.outer.push(scope);
        let right = self.lower(right, need);
        self.outer.pop();
        let right = right?;
        let layout = joined_layout(kind, &left.layout, &right.layout);
        let both = positions(&[&left.layout[..], &right.layout].concat());
        let on = self.resolve_conjunction(on, &both)?;
        let (a, b) = (stats::of(&left.node), stats::of(&right.node));
        let rows = joined_rows(kind, a.rows, b.rows, 1.0);
        let op = Op::NestedLoop { kind, left: Box::new(left.node), right: Box::new(right.node), on, parameters };
        let node = self.node(op, &layout, cost::nested_loop(a, b, rows, true));
        Ok(Lowered { node, layout, order: left.order })
    }

    fn nested_loop(&mut self, kind: JoinKind, left: Lowered, right: Lowered, on: &[Expr]) -> Result<Lowered> {
        let layout = joined_layout(kind, &left.layout, &right.layout);
        let both = positions(&[&left.layout[..], &right.layout].concat());
        let test = self.resolve_conjunction(on, &both)?;
        let (a, b) = (stats::of(&left.node), stats::of(&right.node));
        let rows = joined_rows(kind, a.rows, b.rows, self.estimates().selectivity(on));
        let kept = match right.node.op {
            Op::OneRow | Op::Values { .. } | Op::Materialize { .. } => right.node,
            _ => self.node(Op::Materialize { input: Box::new(right.node) }, &right.layout, b),
        };
        let op =
            Op::NestedLoop { kind, left: Box::new(left.node), right: Box::new(kept), on: test, parameters: vec![] };
        let order = if matches!(kind, JoinKind::Right | JoinKind::Full) { vec![] } else { left.order };
        Ok(Lowered { node: self.node(op, &layout, cost::nested_loop(a, b, rows, false)), layout, order })
    }

    fn hash_join(
        &mut self,
        kind: JoinKind,
        left: Lowered,
        right: Lowered,
        on: &[Expr],
        keys: Vec<EquiKey>,
    ) -> Result<Lowered> {
        // The hash table is the right side's: an inner join may turn round to build the smaller one.
        let turn = kind == JoinKind::Inner && right.node.rows > left.node.rows;
        let (left, right) = if turn { (right, left) } else { (left, right) };
        let layout = joined_layout(kind, &left.layout, &right.layout);
        let both = positions(&[&left.layout[..], &right.layout].concat());
        let (place_left, place_right) = (positions(&left.layout), positions(&right.layout));
        let rest: Vec<Expr> =
            (0..).zip(on).filter(|(i, _)| !keys.iter().any(|k| k.conjunct == *i)).map(|(_, e)| e.clone()).collect();
        let residual = self.resolve_conjunction(&rest, &both)?;
        let null_aware = self.is_null_aware(kind, &keys);
        let (a, b) = (stats::of(&left.node), stats::of(&right.node));
        let estimates = self.estimates();
        let equal = |k: &EquiKey| match turn {
            true => estimates.join_equality(&k.right, a.rows, &k.left, b.rows),
            false => estimates.join_equality(&k.left, a.rows, &k.right, b.rows),
        };
        let share = estimates.selectivity(&rest) * keys.iter().map(equal).product::<f64>();
        let rows = joined_rows(kind, a.rows, b.rows, share);
        let (mut left_keys, mut right_keys, mut key_types) = (vec![], vec![], vec![]);
        for key in keys {
            let (l, r) = if turn { (key.right, key.left) } else { (key.left, key.right) };
            left_keys.push(self.resolve(&l, &place_left)?);
            right_keys.push(self.resolve(&r, &place_right)?);
            key_types.push(key.ty);
        }
        let op = Op::HashJoin {
            kind,
            left: Box::new(left.node),
            right: Box::new(right.node),
            left_keys,
            right_keys,
            key_types,
            residual,
            null_aware,
        };
        Ok(Lowered { node: self.node(op, &layout, cost::hash_join(a, b, rows)), layout, order: vec![] })
    }

    /// Looks each left row up in the right relation's key, where that is cheaper than to read all of it.
    fn lookup_join(
        &mut self,
        kind: JoinKind,
        left: &Lowered,
        right: &Node,
        on: &[Expr],
        keys: &[EquiKey],
        need: &ColumnSet,
        taken: Option<f64>,
    ) -> Result<Option<Lookup>> {
        let Some((scan, filter)) = plain_scan(right) else { return Ok(None) };
        let allowed = matches!(kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti);
        if !allowed || self.is_null_aware(kind, keys) || !self.context.settings.enable_nestloop {
            return Ok(None);
        }
        let a = stats::of(&left.node);
        let Some(choice) = self.cheapest_lookup(scan, filter, keys, a) else { return Ok(None) };
        let right_cost = self.whole_cost(scan, filter);
        let price = match taken {
            // The rows that a LIMIT takes, and as many again that find no partner.
            Some(top) => {
                cost::lookup_join(
                    Cost { rows: 2.0 * top, total: 0.0, ..a },
                    choice.matches,
                    choice.index.is_none(),
                    top,
                )
                .total
            }
            None => choice.cost.total,
        };
        if price > cost::hash_join(a, right_cost, a.rows).total && self.context.settings.enable_hashjoin {
            return Ok(None);
        }
        let mut inner_need = need.clone();
        filter.iter().for_each(|e| add_used(e, &mut inner_need));
        let kept: Vec<(ScanColumn, ColumnId)> =
            scan.columns.iter().filter(|(_, id)| inner_need.contains(id)).copied().collect();
        let inner: Vec<ColumnId> = kept.iter().map(|(_, id)| *id).collect();
        let both = positions(&[&left.layout[..], &inner].concat());
        let place = positions(&left.layout);
        let (mut done, mut settled, mut values) = (vec![], vec![], vec![]);
        for source in &choice.sources {
            match source {
                LookupKey::Join(at) => {
                    let Some(key) = keys.get(*at) else { continue };
                    values.push(self.resolve(&key.left, &place)?);
                    done.push(key.conjunct);
                }
                LookupKey::Filter(at, value) => {
                    values.push(self.resolve(value, &place)?);
                    settled.push(*at);
                }
            }
        }
        let rest: Vec<Expr> =
            on.iter().enumerate().filter(|(i, _)| !done.contains(i)).map(|(_, e)| e.clone()).collect();
        let inner_rest = filter.iter().enumerate().filter(|(i, _)| !settled.contains(i)).map(|(_, e)| e.clone());
        let rest: Vec<Expr> = rest.into_iter().chain(inner_rest).collect();
        let residual = self.resolve_conjunction(&rest, &both)?;
        let a_rows = a.rows;
        let found = joined_rows(kind, a_rows, choice.matches, self.estimates().selectivity(&rest));
        let cost = Cost::new(found, choice.cost.startup, choice.cost.total);
        self.depend(&scan.relation);
        let target = ScanTarget {
            relation: scan.relation.clone(),
            alias: scan.alias.clone(),
            columns: kept.iter().map(|(what, _)| *what).collect(),
            as_of: None,
            until: None,
        };
        let layout = joined_layout(kind, &left.layout, &inner);
        Ok(Some(Lookup { kind, target, index: choice.index, keys: values, residual, layout, cost }))
    }

    /// What reading all of a filtered relation costs.
    fn whole_cost(&self, scan: &Scan, filter: &[Expr]) -> Cost {
        let estimates = self.estimates();
        let rows = estimates.relation_rows(&scan.relation);
        let selected = rows * estimates.selectivity(filter);
        let bounded = keys_of(self.context, scan, filter).into_iter().filter_map(|key| {
            let matched = match_key(scan, &key, filter);
            let fetched = estimates.fetched(&matched, filter, rows);
            let is_bounded = !matched.used.is_empty();
            is_bounded.then(|| cost::index_scan(fetched, matched.descents, key.index.is_none(), filter.len(), selected))
        });
        let whole = cost::seq_scan(rows, 64.0, filter.len(), selected);
        bounded.fold(whole, |best, cost| if cost.total < best.total { cost } else { best })
    }

    /// The best key to look left rows up in.
    fn cheapest_lookup(&self, scan: &Scan, filter: &[Expr], keys: &[EquiKey], left: Cost) -> Option<LookupChoice> {
        let estimates = self.estimates();
        let rows = estimates.relation_rows(&scan.relation);
        let mut best: Option<LookupChoice> = None;
        for choice in keys_of(self.context, scan, filter) {
            let source = |column: &KeyColumn| {
                let joined = keys.iter().position(|k| {
                    column.is(scan, &k.right) && super::exprs::is_same_representation(k.ty.oid, column.ty.oid)
                });
                let fixed = || {
                    filter.iter().enumerate().find_map(|(at, e)| {
                        let (side, value) = equality(scan, e).filter(|_| !columns::has_subquery(e))?;
                        let value = as_key_type(value, column.ty).filter(|_| column.is(scan, side))?;
                        Some(LookupKey::Filter(at, value))
                    })
                };
                joined.map(LookupKey::Join).or_else(fixed)
            };
            let sources: Vec<LookupKey> = choice.columns.iter().map_while(source).collect();
            if !sources.iter().any(|s| matches!(s, LookupKey::Join(_))) {
                continue;
            }
            let is_point = choice.is_unique && sources.len() == choice.columns.len();
            let sides: Vec<Expr> = sources
                .iter()
                .filter_map(|s| match s {
                    LookupKey::Join(at) => keys.get(*at).map(|k| k.right.clone()),
                    LookupKey::Filter(at, _) => filter.get(*at).and_then(|e| equality(scan, e)).map(|(s, _)| s.clone()),
                })
                .collect();
            let matches = if is_point { 1.0 } else { (rows / estimates.groups(&sides, rows)).max(1.0) };
            let cost = cost::lookup_join(left, matches, choice.index.is_none(), left.rows * matches);
            if best.as_ref().is_none_or(|b| cost.total < b.cost.total) {
                best = Some(LookupChoice { index: choice.index, sources, matches, cost });
            }
        }
        best
    }
}

/// Where the value of a key column comes from.
enum LookupKey {
    /// An equality of the join, by its place in the keys.
    Join(usize),
    /// An equality of the inner relation's own filter (its place there), and the value.
    Filter(usize, Expr),
}

struct LookupChoice {
    index: Option<std::sync::Arc<catalog::Index>>,
    /// For the key's first columns.
    sources: Vec<LookupKey>,
    /// Inner rows for one left row.
    matches: f64,
    cost: Cost,
}

/// A relation that rows can be looked up in, with its filter.
pub(crate) fn plain_scan(node: &Node) -> Option<(&Scan, &[Expr])> {
    let (scan, filter): (&Scan, &[Expr]) = match node {
        Node::Scan(scan) => (scan, &[]),
        Node::Filter { input, predicate } => match &**input {
            Node::Scan(scan) => (scan, predicate),
            _ => return None,
        },
        _ => return None,
    };
    (scan.as_of.is_none() && scan.relation.kind != RelationKind::Virtual).then_some((scan, filter))
}

fn reads_only(order: &[OrderKey], offers: &ColumnSet) -> bool {
    !order.is_empty() && order.iter().all(|key| offers.contains(&key.column))
}

/// A look-up join that waits for its left side.
struct Lookup {
    kind: JoinKind,
    target: ScanTarget,
    index: Option<std::sync::Arc<catalog::Index>>,
    keys: Vec<Expr>,
    residual: Option<Expr>,
    layout: Vec<ColumnId>,
    cost: Cost,
}

fn finish_lookup(planner: &Planner, lookup: Lookup, left: Lowered) -> Lowered {
    let Lookup { kind, target, index, keys, residual, layout, cost } = lookup;
    let op = Op::LookupJoin { kind, left: Box::new(left.node), target, index, keys, residual };
    Lowered { node: planner.node(op, &layout, cost), layout, order: left.order }
}

pub(super) fn joined_layout(kind: JoinKind, left: &[ColumnId], right: &[ColumnId]) -> Vec<ColumnId> {
    match kind {
        JoinKind::Semi | JoinKind::Anti => left.to_vec(),
        _ => [left, right].concat(),
    }
}

pub(crate) fn joined_rows(kind: JoinKind, left: f64, right: f64, selectivity: f64) -> f64 {
    let inner = left * right * selectivity;
    match kind {
        JoinKind::Inner => inner,
        JoinKind::Left => inner.max(left),
        JoinKind::Right => inner.max(right),
        JoinKind::Full => inner.max(left + right),
        JoinKind::Semi => inner.min(left),
        JoinKind::Anti => (left - inner).max(left * 0.1),
    }
}

/// Equalities with one side's columns on each side, by hashable operators.
fn equi_keys(on: &[Expr], offers_left: &ColumnSet, offers_right: &ColumnSet) -> Vec<EquiKey> {
    let side = |e: &Expr, offers: &ColumnSet, other: &ColumnSet| {
        let used = columns::used(e);
        !used.is_disjoint(offers) && used.is_disjoint(other) && !columns::is_volatile(e) && !columns::has_subquery(e)
    };
    let key = |(conjunct, expr): (usize, &Expr)| {
        let (operator, a, b) = as_operator(expr).filter(|(o, ..)| o.name == "=" && o.can_hash)?;
        let (left, right) = if side(a, offers_left, offers_right) && side(b, offers_right, offers_left) {
            (a, b)
        } else if side(b, offers_left, offers_right) && side(a, offers_right, offers_left) {
            (b, a)
        } else {
            return None;
        };
        let (left, right, ty) = same_type(left, right).filter(|_| operator.result == types::oid::BOOL)?;
        Some(EquiKey { left, right, ty, conjunct })
    };
    on.iter().enumerate().filter_map(key).collect()
}
