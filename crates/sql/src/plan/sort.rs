//! Order: sorts (left out where rows come sorted), LIMIT and its push into the sort, DISTINCT, window input, row locks.

use super::columns::{ColumnSet, add_used, children};
use super::exprs::integer_constant;
use super::{Lowered, OrderKey, Planner, Positions, Result, find, positions, same};
use crate::cost;
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{ColumnId, Frame, FrameBound, JoinKind, LockTarget, Node, SortKey, WindowSpec};
use crate::physical::{Op, PlanLockTarget, PlanSortKey};
use crate::stats;
use types::{Datum, SqlType, builtin, oid};

/// Rows that a LIMIT is thought to take whose number is a parameter.
const UNKNOWN_LIMIT: f64 = 100.0;

/// Caps LIMIT and OFFSET in the sum that a sort keeps, so that it can not overflow.
const MAX_TOP: i64 = 1 << 60;

fn common_prefix(a: &[OrderKey], b: &[OrderKey]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn as_int8(expr: Expr) -> Expr {
    let args = vec![expr, Expr::constant(Datum::Int8(MAX_TOP), SqlType::INT8)];
    Expr::new(ExprKind::Extremum { greatest: false, args }, SqlType::INT8, 0)
}

/// limit + offset; None where that is not a plain bigint sum.
fn top(limit: Option<&Expr>, offset: Option<&Expr>) -> Option<Expr> {
    let limit = limit.filter(|e| e.ty.oid == oid::INT8)?;
    let Some(offset) = offset else { return Some(limit.clone()) };
    if offset.ty.oid != oid::INT8 {
        return None;
    }
    if let (Some(limit), Some(offset)) = (integer_constant(limit), integer_constant(offset)) {
        let sum = limit.checked_add(offset).filter(|_| limit >= 0 && offset >= 0)?;
        return Some(Expr::constant(Datum::Int8(sum), SqlType::INT8));
    }
    let is_sum = |o: &&&builtin::Operator| o.left == oid::INT8 && o.right == oid::INT8;
    let operator = builtin::operators_by_name("+").iter().find(is_sum)?;
    let proc = builtin::proc_by_oid(operator.proc)?;
    let args = vec![as_int8(limit.clone()), as_int8(offset.clone())];
    let kind = ExprKind::Call { proc, args, variadic_array: false, form: CallForm::Operator(operator) };
    Some(Expr::new(kind, SqlType::INT8, 0))
}

fn constant_rows(expr: Option<&Expr>) -> Option<f64> {
    expr.and_then(integer_constant).map(|n| n.max(0) as f64)
}

/// The keys of the sort that orders the rows of `node`.
fn sort_keys_of(node: &Node) -> Option<&[SortKey]> {
    match node {
        Node::Sort { keys, .. } => Some(keys),
        Node::Project { input, .. } | Node::Filter { input, .. } | Node::LockRows { input, .. } => sort_keys_of(input),
        Node::Distinct { input, on: true, .. } => sort_keys_of(input),
        _ => None,
    }
}

/// Conjuncts that a row of `node` fulfils, as far as inner joins and filters tell.
fn known_conjuncts<'n>(node: &'n Node, into: &mut Vec<&'n Expr>) {
    match node {
        Node::Filter { predicate, .. } => into.extend(predicate),
        Node::Join { kind: JoinKind::Inner, on, .. } => into.extend(on),
        Node::Join { kind: JoinKind::Left | JoinKind::Semi | JoinKind::Anti, left, .. } => {
            return known_conjuncts(left, into);
        }
        Node::Join { kind: JoinKind::Right, right, .. } => return known_conjuncts(right, into),
        Node::Project { .. } | Node::Sort { .. } | Node::Limit { .. } => {}
        _ => return,
    }
    children(node).into_iter().for_each(|child| known_conjuncts(child, into));
}

/// Ids of expressions that orders are by lie above those of columns.
const ORDER_EXPRS: u32 = 1 << 31;

pub(super) fn is_order_expr(id: ColumnId) -> bool {
    id.0 >= ORDER_EXPRS
}

impl Planner<'_> {
    /// What stands for an expression in an order: a column for itself, another that some order is wanted by for a number.
    pub(super) fn order_column(&self, expr: &Expr) -> Option<ColumnId> {
        if let ExprKind::Column(id) = expr.kind {
            return Some(id);
        }
        let place = self.order_exprs.iter().position(|known| same(known, expr))?;
        u32::try_from(place).ok().map(|place| ColumnId(ORDER_EXPRS + place))
    }

    /// The same, for a wanted order. None where rows can not lie in the order of such an expression.
    pub(super) fn wanted_column(&mut self, expr: &Expr) -> Option<ColumnId> {
        if super::columns::has_subquery(expr) || super::columns::is_volatile(expr) {
            return None;
        }
        if self.order_column(expr).is_none() {
            self.order_exprs.push(expr.clone());
        }
        self.order_column(expr)
    }

    /// The keys as an order, up to the first that rows can not lie in.
    fn order_of(&mut self, keys: &[SortKey]) -> Vec<OrderKey> {
        let key = |k: &SortKey| {
            let column = self.wanted_column(&k.expr)?;
            Some(OrderKey { column, descending: k.descending, nulls_first: k.nulls_first })
        };
        keys.iter().map_while(key).collect()
    }

    pub(super) fn sort(&mut self, input: &Node, keys: &[SortKey], need: &ColumnSet) -> Result<Lowered> {
        let top = self.pending_top.take();
        let mut below = need.clone();
        keys.iter().for_each(|k| add_used(&k.expr, &mut below));
        let order = self.order_of(keys);
        self.wanted_order = if order.len() == keys.len() { order } else { vec![] };
        self.wanted_rows = top.as_ref().map(|top| constant_rows(Some(top)).unwrap_or(UNKNOWN_LIMIT));
        let input = self.lower(input, &below)?;
        self.wanted_order.clear();
        self.wanted_rows = None;
        self.sorted(input, keys, top)
    }

    /// Sorts, unless the rows come in that order.
    pub(super) fn sorted(&mut self, input: Lowered, keys: &[SortKey], top: Option<Expr>) -> Result<Lowered> {
        let order = self.order_of(keys);
        let presorted = common_prefix(&order, &input.order);
        if presorted == keys.len() {
            return Ok(input);
        }
        let plan_keys = self.resolve_keys(keys, &positions(&input.layout))?;
        let top = self.resolve_option(top.as_ref(), &Positions::new())?;
        Ok(self.sort_node(input, plan_keys, order, presorted, top))
    }

    fn sort_node(
        &mut self,
        input: Lowered,
        keys: Vec<PlanSortKey>,
        order: Vec<OrderKey>,
        presorted: usize,
        top: Option<Expr>,
    ) -> Lowered {
        let cost = cost::sort(stats::of(&input.node), constant_rows(top.as_ref()));
        let op = Op::Sort { input: Box::new(input.node), keys, presorted, top };
        Lowered { node: self.node(op, &input.layout, cost), layout: input.layout, order }
    }

    pub(super) fn limit(
        &mut self,
        input: &Node,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        with_ties: bool,
        need: &ColumnSet,
    ) -> Result<Lowered> {
        let ties = sort_keys_of(input).filter(|_| with_ties).map(<[_]>::to_vec);
        let mut below = need.clone();
        ties.iter().flatten().for_each(|k| add_used(&k.expr, &mut below));
        let simple = |e: &Expr| !super::columns::has_subquery(e) && !super::columns::is_volatile(e);
        self.pending_top = match with_ties || !limit.iter().chain(&offset).all(|e| simple(e)) {
            true => None,
            false => top(limit, offset),
        };
        let input = self.lower(input, &below)?;
        self.pending_top = None;
        let none = Positions::new();
        let wanted = constant_rows(limit).unwrap_or(input.node.rows);
        let below = stats::of(&input.node);
        let rows = wanted.min(below.rows).max(1.0);
        let share = ((rows + constant_rows(offset).unwrap_or(0.0)) / below.rows.max(1.0)).min(1.0);
        let total = below.startup + (below.total - below.startup) * share;
        let op = Op::Limit {
            limit: self.resolve_option(limit, &none)?,
            offset: self.resolve_option(offset, &none)?,
            ties: ties.map(|keys| self.resolve_keys(&keys, &positions(&input.layout))).transpose()?,
            input: Box::new(input.node),
        };
        let cost = cost::Cost::new(rows, below.startup, total);
        Ok(Lowered { node: self.node(op, &input.layout, cost), layout: input.layout, order: input.order })
    }

    pub(super) fn distinct(
        &mut self,
        input: &Node,
        columns: &[ColumnId],
        on: bool,
        need: &ColumnSet,
    ) -> Result<Lowered> {
        let mut below: ColumnSet = columns.iter().copied().collect();
        if on {
            below.extend(need);
        }
        let written = sort_keys_of(input).map(<[_]>::to_vec).unwrap_or_default();
        let input = self.lower(input, &below)?;
        if !on && input.order.is_empty() {
            return self.hashed_distinct(input, columns);
        }
        let input = self.grouped_together(input, columns, &written)?;
        let place = positions(&input.layout);
        let keys: Vec<Expr> = columns.iter().map(|id| Expr::column(*id, self.ty(*id))).collect();
        let keys = self.resolve_all(&keys, &place)?;
        let cost = cost::streamed(stats::of(&input.node), input.node.rows * 0.1, keys.len());
        let op = Op::Unique { input: Box::new(input.node), keys };
        Ok(Lowered { node: self.node(op, &input.layout, cost), layout: input.layout, order: input.order })
    }

    fn hashed_distinct(&mut self, input: Lowered, columns: &[ColumnId]) -> Result<Lowered> {
        let place = positions(&input.layout);
        let at = |id: &ColumnId| Ok(Expr::input(find(&place, *id)?, self.ty(*id)));
        let groups = columns.iter().map(at).collect::<Result<Vec<_>>>()?;
        let keys: Vec<Expr> = columns.iter().map(|id| Expr::column(*id, self.ty(*id))).collect();
        let rows = self.estimates().groups(&keys, input.node.rows);
        let cost = cost::blocking(stats::of(&input.node), rows, groups.len());
        let op = if groups.is_empty() {
            let one = Some(Expr::constant(Datum::Int8(1), SqlType::INT8));
            Op::Limit { input: Box::new(input.node), limit: one, offset: None, ties: None }
        } else {
            Op::HashAggregate { input: Box::new(input.node), groups, sets: None, calls: vec![] }
        };
        Ok(self.leaf(op, columns.to_vec(), cost))
    }

    /// Rows equal in `columns` side by side, otherwise in the order they had. `written`: the keys of the ORDER BY below.
    fn grouped_together(&mut self, input: Lowered, columns: &[ColumnId], written: &[SortKey]) -> Result<Lowered> {
        let mut left: ColumnSet = columns.iter().copied().collect();
        let leading = input.order.iter().take_while(|key| left.remove(&key.column)).count();
        if left.is_empty() {
            return Ok(input);
        }
        let known = input.order[..leading].iter();
        let mut keys: Vec<SortKey> = known
            .map(|k| SortKey {
                expr: Expr::column(k.column, self.ty(k.column)),
                descending: k.descending,
                nulls_first: k.nulls_first,
                using: None,
            })
            .collect();
        for id in columns.iter().filter(|id| left.contains(id)) {
            keys.push(SortKey {
                expr: Expr::column(*id, self.ty(*id)),
                descending: false,
                nulls_first: false,
                using: None,
            });
        }
        keys.extend(
            written
                .iter()
                .filter(|k| {
                    let used = super::columns::used(&k.expr);
                    used.iter().all(|id| input.layout.contains(id))
                })
                .cloned(),
        );
        self.sorted(input, &keys, None)
    }

    pub(super) fn sorted_for_window(&mut self, input: Lowered, spec: &WindowSpec) -> Result<Lowered> {
        let ascending =
            |expr: &Expr| SortKey { expr: expr.clone(), descending: false, nulls_first: false, using: None };
        let keys: Vec<SortKey> = spec.partition_by.iter().map(ascending).chain(spec.order_by.iter().cloned()).collect();
        match keys.is_empty() {
            true => Ok(input),
            false => self.sorted(input, &keys, None),
        }
    }

    pub(super) fn resolve_frame(&mut self, frame: &Frame, place: &Positions) -> Result<Frame> {
        let mut frame = frame.clone();
        for bound in [&mut frame.start, &mut frame.end] {
            if let FrameBound::Preceding(e) | FrameBound::Following(e) = bound {
                *e = self.resolve(e, place)?;
            }
        }
        Ok(frame)
    }

    pub(super) fn lock_rows(&mut self, input: &Node, targets: &[LockTarget], need: &ColumnSet) -> Result<Lowered> {
        let mut known = vec![];
        known_conjuncts(input, &mut known);
        let mut below = need.clone();
        let mut rechecks = vec![];
        for target in targets {
            below.insert(target.row_key);
            let own: ColumnSet = target.columns.iter().map(|(_, id)| *id).collect();
            let tests = known.iter().filter(|e| !super::columns::used(e).is_disjoint(&own));
            let tests: Vec<Expr> = tests.map(|e| (*e).clone()).collect();
            tests.iter().for_each(|e| add_used(e, &mut below));
            rechecks.push(tests);
        }
        let offered: ColumnSet = super::columns::output_set(input);
        below.retain(|id| offered.contains(id));
        let input = self.lower(input, &below)?;
        let place = positions(&input.layout);
        let mut planned = vec![];
        for (target, tests) in targets.iter().zip(&rechecks) {
            self.depend(&target.relation);
            let columns = target.columns.iter().filter_map(|(what, id)| Some((*what, *place.get(id)?)));
            planned.push(PlanLockTarget {
                relation: target.relation.clone(),
                row_key: find(&place, target.row_key)?,
                mode: target.mode,
                wait: target.wait,
                columns: columns.collect(),
                recheck: self.resolve_conjunction(tests, &place)?,
            });
        }
        let cost = cost::streamed(stats::of(&input.node), input.node.rows, targets.len());
        let op = Op::LockRows { input: Box::new(input.node), targets: planned };
        Ok(Lowered { node: self.node(op, &input.layout, cost), layout: input.layout, order: input.order })
    }
}
