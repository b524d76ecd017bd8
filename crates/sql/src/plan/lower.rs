//! One logical node to one (or a few) physical ones, with the columns the node above needs.

use super::columns::{ColumnSet, add_used, outputs};
use super::exprs::too_deep;
use super::sort::is_order_expr;
use super::{Lowered, MAX_DEPTH, Planner, Positions, Result, missing, positions};
use crate::cost::{self, Cost};
use crate::expr::Expr;
use crate::logical::{AggregateCall, ColumnId, CteId, FunctionCallItem, Node, WindowSpec};
use crate::physical::{Op, PlanAggregate, PlanWindowCall};
use crate::plan::estimate::FUNCTION_ROWS;
use crate::plan::{OrderKey, columns};
use crate::stats;

impl Planner<'_> {
    /// Lowers `node` so that its layout holds at least `need` (of what it offers).
    pub(super) fn lower(&mut self, node: &Node, need: &ColumnSet) -> Result<Lowered> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep());
        }
        crate::stop::check()?;
        let lowered = self.dispatch(node, need);
        self.depth -= 1;
        lowered
    }

    fn dispatch(&mut self, node: &Node, need: &ColumnSet) -> Result<Lowered> {
        if !matches!(node, Node::Sort { .. } | Node::Project { .. }) {
            self.pending_top = None;
        }
        if !matches!(node, Node::Scan(_) | Node::Filter { .. } | Node::Project { .. } | Node::Join { .. }) {
            self.wanted_order.clear();
            self.wanted_rows = None;
        }
        match node {
            Node::OneRow => Ok(self.leaf(Op::OneRow, vec![], Cost::new(1.0, 0.0, cost::TUPLE))),
            Node::Scan(scan) => self.scan(scan, &[], need),
            Node::Values { rows, columns } => self.values(rows, columns),
            Node::Functions { calls, ordinality } => self.functions(calls, *ordinality),
            Node::CteScan { cte, columns, .. } => self.cte_scan(*cte, columns, need),
            Node::Project { input, exprs } => self.project(input, exprs, need),
            Node::ProjectSet { input, exprs } => self.project_set(input, exprs, need),
            Node::Filter { input, predicate } => self.filter(input, predicate, need),
            Node::Join { kind, left, right, on, lateral } => self.join(*kind, left, right, on, *lateral, need),
            Node::Aggregate { input, groups, sets, group_outputs, set_id, calls } => {
                let shape = AggregateShape { groups, sets: sets.as_deref(), group_outputs, set_id: *set_id, calls };
                self.aggregate(input, &shape)
            }
            Node::Window { input, spec } => self.window(input, spec, need),
            Node::Sort { input, keys } => self.sort(input, keys, need),
            Node::Limit { input, limit, offset, with_ties } => {
                self.limit(input, limit.as_ref(), offset.as_ref(), *with_ties, need)
            }
            Node::Distinct { input, columns, on } => self.distinct(input, columns, *on, need),
            Node::SetOp { .. } => self.set_operation(node),
            Node::RecursiveUnion { .. } => self.recursive_union(node),
            Node::LockRows { input, targets } => self.lock_rows(input, targets, need),
            Node::Insert(write) => self.insert(write),
            Node::Update(write) => self.update(write),
            Node::Delete(write) => self.delete(write),
            Node::Merge(write) => self.merge(write),
        }
    }

    pub(super) fn leaf(&self, op: Op, layout: Vec<ColumnId>, cost: Cost) -> Lowered {
        Lowered { node: self.node(op, &layout, cost), layout, order: vec![] }
    }

    fn values(&mut self, rows: &[Vec<Expr>], columns: &[ColumnId]) -> Result<Lowered> {
        let none = Positions::new();
        let cost = Cost::new(rows.len() as f64, 0.0, rows.len() as f64 * cost::OPERATOR);
        let rows = rows.iter().map(|row| self.resolve_all(row, &none)).collect::<Result<_>>()?;
        Ok(self.leaf(Op::Values { rows }, columns.to_vec(), cost))
    }

    fn functions(&mut self, items: &[FunctionCallItem], ordinality: Option<ColumnId>) -> Result<Lowered> {
        let none = Positions::new();
        let calls = items.iter().map(|item| self.resolve(&item.call, &none)).collect::<Result<_>>()?;
        let layout: Vec<ColumnId> = items.iter().flat_map(|i| i.columns.iter().copied()).chain(ordinality).collect();
        let column_counts = items.iter().map(|item| item.columns.len()).collect();
        let op = Op::FunctionScan { calls, column_counts, ordinality: ordinality.is_some() };
        Ok(self.leaf(op, layout, Cost::new(FUNCTION_ROWS, 0.0, FUNCTION_ROWS * cost::TUPLE)))
    }

    fn cte_scan(&mut self, cte: CteId, pairs: &[(ColumnId, ColumnId)], need: &ColumnSet) -> Result<Lowered> {
        let wanted: Vec<_> = pairs.iter().filter(|(here, _)| need.contains(here)).copied().collect();
        let layout: Vec<ColumnId> = wanted.iter().map(|(here, _)| *here).collect();
        let at = |columns: &[ColumnId]| -> Result<Vec<u32>> {
            let place = positions(columns);
            wanted.iter().map(|(_, there)| place.get(there).copied().ok_or_else(|| missing(*there))).collect()
        };
        if let Some((_, number, columns)) = self.work_tables.iter().rev().find(|(id, ..)| *id == cte) {
            let op = Op::WorkTableScan { number: *number, columns: at(columns)? };
            return Ok(self.leaf(op, layout, Cost::new(FUNCTION_ROWS, 0.0, FUNCTION_ROWS * cost::TUPLE)));
        }
        let Some((index, columns)) = self.cte_places.get(&cte.0) else {
            return Err(super::not_supported("WITH query that uses columns of an outer query"));
        };
        let rows = self.ctes.get(*index).map_or(FUNCTION_ROWS, |c| c.root.rows);
        let op = Op::CteScan { cte: *index, columns: at(columns)? };
        Ok(self.leaf(op, layout, Cost::new(rows, 0.0, rows * cost::TUPLE)))
    }

    /// Keeps the input's needed columns and adds the needed expressions. Nothing to add: no node.
    fn project(&mut self, input: &Node, exprs: &[(ColumnId, Expr)], need: &ColumnSet) -> Result<Lowered> {
        let wanted: Vec<_> = exprs.iter().filter(|(id, e)| need.contains(id) || columns::is_volatile(e)).collect();
        let mut below = need.clone();
        wanted.iter().for_each(|(id, _)| {
            below.remove(id);
        });
        let kept = below.clone();
        wanted.iter().for_each(|(_, e)| add_used(e, &mut below));
        let above = std::mem::take(&mut self.wanted_order);
        self.wanted_order = self.wanted_below(&above, exprs);
        let input = self.lower(input, &below)?;
        if wanted.is_empty() {
            return Ok(input);
        }
        let place = positions(&input.layout);
        let mut layout: Vec<ColumnId> = input.layout.iter().copied().filter(|id| kept.contains(id)).collect();
        let mut all: Vec<Expr> = layout.iter().map(|id| Expr::input(place[id], self.ty(*id))).collect();
        for (id, expr) in &wanted {
            layout.push(*id);
            all.push(self.resolve(expr, &place)?);
        }
        let order = self.renamed_order(&input.order, &above, &layout, &wanted);
        let cost = cost::streamed(stats::of(&input.node), input.node.rows, wanted.len());
        let node = self.node(Op::Project { input: Box::new(input.node), exprs: all }, &layout, cost);
        Ok(Lowered { node, layout, order })
    }

    /// The order below, as far as its columns are still there, under their names above; under those that are wanted there.
    fn renamed_order(
        &self,
        order: &[OrderKey],
        above: &[OrderKey],
        layout: &[ColumnId],
        exprs: &[&(ColumnId, Expr)],
    ) -> Vec<OrderKey> {
        let rename = |key: &OrderKey| {
            let mut copies = exprs.iter().filter(|(_, e)| self.order_column(e) == Some(key.column)).map(|(id, _)| *id);
            let wanted = copies.clone().find(|id| above.iter().any(|k| k.column == *id));
            let kept = (layout.contains(&key.column) || is_order_expr(key.column)).then_some(key.column);
            wanted.or(kept).or_else(|| copies.next()).map(|column| OrderKey { column, ..*key })
        };
        order.iter().map_while(rename).collect()
    }

    /// The wanted order in the columns below a projection, what it computes by the expression; empty where that can not be.
    fn wanted_below(&mut self, order: &[OrderKey], exprs: &[(ColumnId, Expr)]) -> Vec<OrderKey> {
        let mut below = vec![];
        for key in order {
            let column = match exprs.iter().find(|(id, _)| *id == key.column) {
                None => Some(key.column),
                Some((_, expr)) => self.wanted_column(expr),
            };
            match column {
                Some(column) => below.push(OrderKey { column, ..*key }),
                None => return vec![],
            }
        }
        below
    }

    fn project_set(&mut self, input: &Node, exprs: &[(ColumnId, Expr)], need: &ColumnSet) -> Result<Lowered> {
        let mut below = need.clone();
        exprs.iter().for_each(|(_, e)| add_used(e, &mut below));
        let input = self.lower(input, &below)?;
        let place = positions(&input.layout);
        let mut layout = input.layout.clone();
        let mut all: Vec<Expr> = (0..).zip(&layout).map(|(at, id)| Expr::input(at, self.ty(*id))).collect();
        for (id, expr) in exprs {
            layout.push(*id);
            all.push(self.resolve(expr, &place)?);
        }
        let cost = cost::streamed(stats::of(&input.node), input.node.rows * FUNCTION_ROWS, exprs.len());
        let node = self.node(Op::ProjectSet { input: Box::new(input.node), exprs: all }, &layout, cost);
        Ok(Lowered { node, layout, order: vec![] })
    }

    fn filter(&mut self, input: &Node, predicate: &[Expr], need: &ColumnSet) -> Result<Lowered> {
        let mut below = need.clone();
        predicate.iter().for_each(|e| add_used(e, &mut below));
        if let Node::Scan(scan) = input {
            return self.scan(scan, predicate, need);
        }
        let input = self.lower(input, &below)?;
        self.filtered(input, predicate)
    }

    pub(super) fn filtered(&mut self, input: Lowered, predicate: &[Expr]) -> Result<Lowered> {
        let Some(test) = self.resolve_conjunction(predicate, &positions(&input.layout))? else { return Ok(input) };
        let rows = input.node.rows * self.estimates().selectivity(predicate);
        let cost = cost::streamed(stats::of(&input.node), rows, predicate.len());
        let node = self.node(Op::Filter { input: Box::new(input.node), predicate: test }, &input.layout, cost);
        Ok(Lowered { node, layout: input.layout, order: input.order })
    }

    fn aggregate(&mut self, input: &Node, shape: &AggregateShape) -> Result<Lowered> {
        let mut below: ColumnSet = shape.groups.iter().copied().collect();
        for call in shape.calls {
            let keys = call.order_by.iter().map(|k| &k.expr);
            call.args.iter().chain(&call.direct).chain(&call.filter).chain(keys).for_each(|e| add_used(e, &mut below));
        }
        let input = self.lower(input, &below)?;
        let place = positions(&input.layout);
        let calls = shape.calls.iter().map(|c| self.aggregate_call(c, &place)).collect::<Result<Vec<_>>>()?;
        let keys: Vec<Expr> = shape.groups.iter().map(|id| Expr::column(*id, self.ty(*id))).collect();
        let groups = self.resolve_all(&keys, &place)?;
        let mut layout = shape.group_outputs.to_vec();
        layout.extend(shape.calls.iter().map(|c| c.output));
        layout.extend(shape.set_id);
        let rows = if groups.is_empty() { 1.0 } else { self.estimates().groups(&keys, input.node.rows) };
        let cost = cost::blocking(stats::of(&input.node), rows, calls.len() + groups.len());
        let sorted = shape.groups.len() <= input.order.len()
            && input.order[..shape.groups.len()].iter().zip(shape.groups).all(|(key, id)| key.column == *id);
        let order = match shape.sets.is_none() && sorted {
            true => {
                let keys = input.order.iter().zip(shape.group_outputs);
                keys.map(|(key, id)| OrderKey { column: *id, ..*key }).collect()
            }
            false => vec![],
        };
        let below = Box::new(input.node);
        let op = match shape.sets {
            None if sorted => Op::SortedAggregate { input: below, groups, calls },
            sets => Op::HashAggregate { input: below, groups, sets: sets.map(<[_]>::to_vec), calls },
        };
        Ok(Lowered { node: self.node(op, &layout, cost), layout, order })
    }

    fn aggregate_call(&mut self, call: &AggregateCall, place: &Positions) -> Result<PlanAggregate> {
        Ok(PlanAggregate {
            function: call.function.clone(),
            args: self.resolve_all(&call.args, place)?,
            direct: self.resolve_all(&call.direct, place)?,
            distinct: call.distinct,
            order_by: self.resolve_keys(&call.order_by, place)?,
            filter: self.resolve_option(call.filter.as_ref(), place)?,
            ty: call.ty,
        })
    }

    fn window(&mut self, input: &Node, spec: &WindowSpec, need: &ColumnSet) -> Result<Lowered> {
        let mut below = need.clone();
        spec.calls.iter().for_each(|c| {
            below.remove(&c.output);
        });
        let exprs = spec.partition_by.iter().chain(spec.order_by.iter().map(|k| &k.expr));
        exprs.for_each(|e| add_used(e, &mut below));
        spec.calls.iter().flat_map(|c| c.args.iter().chain(&c.filter)).for_each(|e| add_used(e, &mut below));
        let offers = outputs(input);
        below.retain(|id| offers.contains(id));
        let input = self.lower(input, &below)?;
        let input = self.sorted_for_window(input, spec)?;
        let place = positions(&input.layout);
        let calls = spec.calls.iter().map(|call| {
            Ok(PlanWindowCall {
                function: call.function.clone(),
                args: self.resolve_all(&call.args, &place)?,
                filter: self.resolve_option(call.filter.as_ref(), &place)?,
                ty: call.ty,
            })
        });
        let calls = calls.collect::<Result<Vec<_>>>()?;
        let partition_by = self.resolve_all(&spec.partition_by, &place)?;
        let order_by = self.resolve_keys(&spec.order_by, &place)?;
        let frame = self.resolve_frame(&spec.frame, &place)?;
        let mut layout = input.layout.clone();
        layout.extend(spec.calls.iter().map(|c| c.output));
        let cost = cost::streamed(stats::of(&input.node), input.node.rows, calls.len());
        let op = Op::Window { input: Box::new(input.node), partition_by, order_by, frame, calls };
        Ok(Lowered { node: self.node(op, &layout, cost), layout, order: input.order })
    }
}

/// The parts of `Node::Aggregate`.
pub(super) struct AggregateShape<'a> {
    groups: &'a [ColumnId],
    sets: Option<&'a [Vec<usize>]>,
    group_outputs: &'a [ColumnId],
    set_id: Option<ColumnId>,
    calls: &'a [AggregateCall],
}
