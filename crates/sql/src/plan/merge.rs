//! Merge joins: where both sides come sorted by the keys and a hash table of the smaller one would not fit in memory; with
//! hashing switched off, also where sorting both is cheaper than looking at all pairs.

use super::join::{EquiKey, joined_layout, joined_rows};
use super::{Lowered, OrderKey, Planner, Result, positions};
use crate::cost;
use crate::expr::{Expr, ExprKind};
use crate::logical::{JoinKind, ScanColumn, SortKey};
use crate::physical::{Op, PlanNode};
use crate::stats;

/// What a row takes in a hash table besides its values.
const ENTRY_BYTES: f64 = 64.0;

/// A key to merge by: its place among the join's keys, and the order in which both sides have it.
pub(super) struct MergeKey {
    key: usize,
    descending: bool,
    nulls_first: bool,
}

impl Planner<'_> {
    /// The keys by which both sides are sorted already, if it is worth to make use of that; none: it is not.
    pub(super) fn presorted_keys(&self, left: &Lowered, right: &Lowered, keys: &[EquiKey]) -> Vec<MergeKey> {
        let settings = &self.context.settings;
        let smaller = if left.node.rows < right.node.rows { &left.node } else { &right.node };
        let table_bytes = smaller.rows * (f64::from(smaller.width) + ENTRY_BYTES);
        if !settings.enable_mergejoin || (settings.enable_hashjoin && table_bytes <= settings.work_mem as f64) {
            return vec![];
        }
        let mut found = vec![];
        for (a, b) in order_of(left).iter().zip(&order_of(right)) {
            let reads = |key: &EquiKey| is_column(&key.left, a) && is_column(&key.right, b);
            let is_alike = (a.descending, a.nulls_first) == (b.descending, b.nulls_first);
            let Some(key) = keys.iter().position(reads).filter(|_| is_alike) else { break };
            found.push(MergeKey { key, descending: a.descending, nulls_first: a.nulls_first });
        }
        found
    }

    /// Without hashing: whether to sort both sides and merge them, rather than to loop.
    pub(super) fn sorts_to_merge(&self, left: &Lowered, right: &Lowered) -> bool {
        let settings = &self.context.settings;
        if !settings.enable_mergejoin || settings.enable_hashjoin {
            return false;
        }
        let (a, b) = (stats::of(&left.node), stats::of(&right.node));
        let merged = cost::merge_join(cost::sort(a, None), cost::sort(b, None), a.rows);
        !settings.enable_nestloop || merged.total < cost::nested_loop(a, b, a.rows, false).total
    }

    /// Both sides in the order of all keys, and these.
    pub(super) fn sorted_sides(
        &mut self,
        left: Lowered,
        right: Lowered,
        keys: &[EquiKey],
    ) -> Result<(Lowered, Lowered, Vec<MergeKey>)> {
        let by = |side: fn(&EquiKey) -> &Expr| -> Vec<SortKey> {
            let key = |k| SortKey { expr: side(k).clone(), descending: false, nulls_first: false, using: None };
            keys.iter().map(key).collect()
        };
        let left = self.sorted(left, &by(|k| &k.left), None)?;
        let right = self.sorted(right, &by(|k| &k.right), None)?;
        let merged = (0..keys.len()).map(|key| MergeKey { key, descending: false, nulls_first: false });
        Ok((left, right, merged.collect()))
    }

    /// Joins two sides that are sorted by `merged`; the other keys are tested on pairs.
    pub(super) fn merge_join(
        &mut self,
        kind: JoinKind,
        left: Lowered,
        right: Lowered,
        on: &[Expr],
        keys: &[EquiKey],
        merged: &[MergeKey],
    ) -> Result<Lowered> {
        let layout = joined_layout(kind, &left.layout, &right.layout);
        let both = positions(&[&left.layout[..], &right.layout].concat());
        let (place_left, place_right) = (positions(&left.layout), positions(&right.layout));
        let (a, b) = (stats::of(&left.node), stats::of(&right.node));
        let (mut left_keys, mut right_keys, mut key_types, mut done) = (vec![], vec![], vec![], vec![]);
        let mut share = 1.0;
        for key in merged.iter().filter_map(|m| keys.get(m.key)) {
            left_keys.push(self.resolve(&key.left, &place_left)?);
            right_keys.push(self.resolve(&key.right, &place_right)?);
            key_types.push(key.ty);
            done.push(key.conjunct);
            share *= self.estimates().join_equality(&key.left, a.rows, &key.right, b.rows);
        }
        let rest = on.iter().enumerate().filter(|(i, _)| !done.contains(i)).map(|(_, e)| e.clone());
        let rest: Vec<Expr> = rest.collect();
        let rows = joined_rows(kind, a.rows, b.rows, share * self.estimates().selectivity(&rest));
        let keeps_order = matches!(kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti);
        // Within rows of equal keys those without a match come last.
        let order = order_of(&left).into_iter().take(if keeps_order { merged.len() } else { 0 }).collect();
        let op = Op::MergeJoin {
            kind,
            left_keys,
            right_keys,
            key_types,
            descending: merged.iter().map(|m| m.descending).collect(),
            nulls_first: merged.iter().map(|m| m.nulls_first).collect(),
            residual: self.resolve_conjunction(&rest, &both)?,
            left: Box::new(left.node),
            right: Box::new(right.node),
        };
        Ok(Lowered { node: self.node(op, &layout, cost::merge_join(a, b, rows)), layout, order })
    }
}

fn is_column(expr: &Expr, key: &OrderKey) -> bool {
    matches!(expr.kind, ExprKind::Column(id) if id == key.column)
}

/// The order in which rows come. A scan from end to end gives them in that of the primary key, which nothing else asks it for.
fn order_of(side: &Lowered) -> Vec<OrderKey> {
    match &side.node {
        PlanNode { op: Op::SeqScan { target, backward: false, .. }, .. }
            if side.order.is_empty() && target.until.is_none() =>
        {
            let column = |attribute: &i16| {
                let at = target.columns.iter().position(|c| *c == ScanColumn::Attribute(*attribute))?;
                let column = *side.layout.get(at)?;
                Some(OrderKey { column, descending: false, nulls_first: false })
            };
            target.relation.key.iter().map_while(column).collect()
        }
        _ => side.order.clone(),
    }
}
