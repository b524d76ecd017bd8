//! UNION, INTERSECT, EXCEPT and recursive unions: both sides brought to one layout first.

use super::columns::ColumnSet;
use super::{Lowered, Planner, Result, find, positions};
use crate::cost::{self, Cost};
use crate::expr::Expr;
use crate::logical::{ColumnId, Node, SetOperation};
use crate::physical::{Op, PlanNode};
use crate::stats;

/// Rounds that a recursive union is thought to take (PostgreSQL's guess).
const RECURSION_ROUNDS: f64 = 10.0;

impl Planner<'_> {
    /// A side of a set operation with just `columns`, in that order.
    fn side(&mut self, node: &Node, columns: &[ColumnId]) -> Result<PlanNode> {
        let need: ColumnSet = columns.iter().copied().collect();
        let lowered = self.lower(node, &need)?;
        if lowered.layout == columns {
            return Ok(lowered.node);
        }
        let place = positions(&lowered.layout);
        let at = |id: &ColumnId| Ok(Expr::input(find(&place, *id)?, self.ty(*id)));
        let exprs = columns.iter().map(at).collect::<Result<Vec<_>>>()?;
        let cost = stats::of(&lowered.node);
        Ok(self.node(Op::Project { input: Box::new(lowered.node), exprs }, columns, cost))
    }

    pub(super) fn set_operation(&mut self, node: &Node) -> Result<Lowered> {
        let Node::SetOp { operation, all, left, right, left_columns, right_columns, columns } = node else {
            return Err(super::not_supported("this set operation"));
        };
        let left = self.side(left, left_columns)?;
        let right = self.side(right, right_columns)?;
        let (a, b) = (stats::of(&left), stats::of(&right));
        if *operation != SetOperation::Union {
            let cost = cost::blocking(Cost::new(a.rows + b.rows, 0.0, a.total + b.total), a.rows, columns.len());
            let op = Op::HashSetOp { operation: *operation, all: *all, left: Box::new(left), right: Box::new(right) };
            return Ok(self.leaf(op, columns.clone(), cost));
        }
        let mut inputs = match left.op {
            Op::Append { inputs } => inputs,
            _ => vec![left],
        };
        inputs.push(right);
        let total = Cost::new(a.rows + b.rows, a.startup, a.total + b.total);
        let append = self.leaf(Op::Append { inputs }, columns.clone(), total);
        if *all {
            return Ok(append);
        }
        let groups = (0..).zip(columns).map(|(at, id)| Expr::input(at, self.ty(*id))).collect::<Vec<_>>();
        let cost = cost::blocking(total, total.rows, groups.len());
        let op = match groups.is_empty() {
            true => {
                let one = Some(Expr::constant(types::Datum::Int8(1), types::SqlType::INT8));
                Op::Limit { input: Box::new(append.node), limit: one, offset: None, ties: None }
            }
            false => Op::HashAggregate { input: Box::new(append.node), groups, sets: None, calls: vec![] },
        };
        Ok(self.leaf(op, columns.clone(), cost))
    }

    pub(super) fn recursive_union(&mut self, node: &Node) -> Result<Lowered> {
        let Node::RecursiveUnion { cte, all, base, step, base_columns, step_columns, columns } = node else {
            return Err(super::not_supported("this recursive query"));
        };
        let number = self.recursive_unions;
        self.recursive_unions += 1;
        let base = self.side(base, base_columns)?;
        self.work_tables.push((*cte, number, columns.clone()));
        let step = self.side(step, step_columns);
        self.work_tables.pop();
        let step = step?;
        let rows = base.rows + RECURSION_ROUNDS * step.rows;
        let cost = Cost::new(rows, base.startup_cost, base.total_cost + RECURSION_ROUNDS * step.total_cost);
        let op = Op::RecursiveUnion { number, all: *all, base: Box::new(base), step: Box::new(step) };
        Ok(self.leaf(op, columns.clone(), cost))
    }
}
