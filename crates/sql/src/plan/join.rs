//! Joins: which algorithm, by cost. Equalities between the sides are keys; the rest is tested on pairs.

use super::columns::{self, ColumnSet, add_used, output_set};
use super::exprs::{as_operator, same_type};
use super::scan::attribute_of;
use super::{Lowered, Planner, Result, positions};
use crate::cost::{self, Cost};
use crate::expr::Expr;
use crate::logical::{ColumnId, JoinKind, Node, Scan, ScanColumn};
use crate::physical::{Op, ScanTarget};
use crate::stats;
use catalog::RelationKind;
use types::SqlType;

/// An equality between the two sides, in one type.
struct EquiKey {
    left: Expr,
    right: Expr,
    ty: SqlType,
    /// Index in `on`.
    conjunct: usize,
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
        let mut need = need.clone();
        on.iter().for_each(|e| add_used(e, &mut need));
        let (offers_left, offers_right) = (output_set(left), output_set(right));
        let mut need_left: ColumnSet = need.intersection(&offers_left).copied().collect();
        let need_right: ColumnSet = need.intersection(&offers_right).copied().collect();
        if lateral {
            need_left.extend(columns::free(right).intersection(&offers_left));
        }
        let left = self.lower(left, &need_left)?;
        if lateral {
            return self.lateral_join(kind, left, right, on, &need_right, &offers_left);
        }
        let keys = equi_keys(on, &offers_left, &offers_right);
        if let Some(joined) = self.lookup_join(kind, &left, right, on, &keys, &need_right)? {
            return Ok(finish_lookup(self, joined, left));
        }
        let right = self.lower(right, &need_right)?;
        match keys.is_empty() || !self.context.settings.enable_hashjoin {
            true => self.nested_loop(kind, left, right, on),
            false => self.hash_join(kind, left, right, on, keys),
        }
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
        let rows = joined_rows(kind, a.rows, b.rows, stats::default_selectivity(on));
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
        let null_aware = kind == JoinKind::Anti
            && keys.iter().any(|k| columns::used(&k.right).iter().any(|id| self.null_aware.contains(id)));
        let (a, b) = (stats::of(&left.node), stats::of(&right.node));
        let rows = joined_rows(kind, a.rows, b.rows, stats::default_selectivity(&rest) / a.rows.max(b.rows).max(1.0));
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
    ) -> Result<Option<Lookup>> {
        let (scan, filter) = match right {
            Node::Scan(scan) => (scan, &[][..]),
            Node::Filter { input, predicate } => match &**input {
                Node::Scan(scan) => (scan, &predicate[..]),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        let allowed = matches!(kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti);
        let null_aware = keys.iter().any(|k| columns::used(&k.right).iter().any(|id| self.null_aware.contains(id)));
        let plain = scan.as_of.is_none() && scan.relation.kind != RelationKind::Virtual;
        if !allowed || null_aware || !plain || !self.context.settings.enable_nestloop {
            return Ok(None);
        }
        let rows = self.relation_rows(&scan.relation);
        let a = stats::of(&left.node);
        let whole = cost::hash_join(a, cost::seq_scan(rows, 64.0, filter.len(), rows), a.rows).total;
        let Some((choice, used, price)) = self.cheapest_lookup(scan, keys, a, rows) else { return Ok(None) };
        if price.total > whole {
            return Ok(None);
        }
        let mut inner_need = need.clone();
        filter.iter().for_each(|e| add_used(e, &mut inner_need));
        let kept: Vec<(ScanColumn, ColumnId)> =
            scan.columns.iter().filter(|(_, id)| inner_need.contains(id)).copied().collect();
        let inner: Vec<ColumnId> = kept.iter().map(|(_, id)| *id).collect();
        let both = positions(&[&left.layout[..], &inner].concat());
        let done: Vec<usize> = used.iter().filter_map(|at| keys.get(*at)).map(|k| k.conjunct).collect();
        let rest: Vec<Expr> = (0..)
            .zip(on)
            .filter(|(i, _)| !done.contains(i))
            .map(|(_, e)| e.clone())
            .chain(filter.iter().cloned())
            .collect();
        let residual = self.resolve_conjunction(&rest, &both)?;
        let place = positions(&left.layout);
        let mut values = vec![];
        for at in used {
            let Some(key) = keys.get(at) else { continue };
            values.push(self.resolve(&key.left, &place)?);
        }
        self.depend(&scan.relation);
        let target = ScanTarget {
            relation: scan.relation.clone(),
            alias: scan.alias.clone(),
            columns: kept.iter().map(|(what, _)| *what).collect(),
            as_of: None,
        };
        let layout = joined_layout(kind, &left.layout, &inner);
        Ok(Some(Lookup { kind, target, index: choice, keys: values, residual, layout, cost: price }))
    }

    /// (index, positions in `keys` for its first columns, cost) of the best look-up.
    fn cheapest_lookup(&self, scan: &Scan, keys: &[EquiKey], left: Cost, rows: f64) -> Option<LookupChoice> {
        let mut best: Option<LookupChoice> = None;
        for choice in self.keys_of(&scan.relation) {
            let fits = |column: &super::scan::KeyColumn| {
                keys.iter().position(|k| {
                    attribute_of(scan, &k.right) == Some(column.attribute)
                        && super::exprs::is_same_representation(k.ty.oid, column.ty.oid)
                })
            };
            let used: Vec<usize> = choice.columns.iter().map_while(fits).collect();
            if used.is_empty() {
                continue;
            }
            let point = choice.is_unique && used.len() == choice.columns.len();
            let matches = if point { 1.0 } else { (rows * stats::EQUAL.powi(used.len() as i32)).max(1.0) };
            let cost = cost::lookup_join(left, matches, choice.index.is_none(), left.rows * matches);
            if best.as_ref().is_none_or(|(_, _, c)| cost.total < c.total) {
                best = Some((choice.index, used, cost));
            }
        }
        best
    }
}

type LookupChoice = (Option<std::sync::Arc<catalog::Index>>, Vec<usize>, Cost);

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
    Lowered { node: planner.node(op, &layout, cost), layout, order: vec![] }
}

fn joined_layout(kind: JoinKind, left: &[ColumnId], right: &[ColumnId]) -> Vec<ColumnId> {
    match kind {
        JoinKind::Semi | JoinKind::Anti => left.to_vec(),
        _ => [left, right].concat(),
    }
}

fn joined_rows(kind: JoinKind, left: f64, right: f64, selectivity: f64) -> f64 {
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
