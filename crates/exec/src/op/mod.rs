//! Operators: a tree of them runs a plan. Each is pulled for its next batch; each may be rewound and pulled again, with the
//! outer slots changed in between (nested loops, subplans).

mod basic;
mod bounds;
mod cte;
mod filter;
mod function;
mod hash_join;
pub(crate) mod keys;
mod limit;
mod lock;
mod lookup_join;
mod materialize;
mod measure;
mod merge_join;
mod nested_loop;
mod packed;
mod recursive;
mod scan;
mod setop;
mod sort;
mod unique;
mod virtuals;
mod window;

#[cfg(test)]
pub(crate) use function::type_of;
pub(crate) use keys::{SortKeys, encode_keys};
pub(crate) use lock::{lock_error, lock_mode, wait_policy};
pub(crate) use lookup_join::scan_type;
pub(crate) use packed::{Key, KeyTable, Packing, RowKeys};
pub use scan::as_of;

use crate::batch::Batch;
use crate::context::BoxFuture;
use crate::run::Run;
use sql::physical::{Op, PlanNode};
use types::Result;

pub(crate) trait Operator: Send {
    /// The next rows; None at the end. A batch may be empty.
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>>;
    /// Back to before the first row, for other values in the outer slots.
    fn rewind(&mut self, run: &mut Run);
}

pub(crate) type Input = Box<dyn Operator>;

/// Makes the operators of a tree. Expressions are compiled here, once per execution.
pub(crate) fn build(node: &PlanNode, measured: bool) -> Result<Input> {
    let input = |node: &PlanNode| build(node, measured);
    let operator: Input = match &node.op {
        Op::OneRow => Box::new(basic::OneRow::default()),
        Op::Values { rows } => Box::new(basic::Values::new(rows, &node.types)?),
        Op::SeqScan { target, filter, backward } => {
            Box::new(scan::SeqScan::new(target, &node.types, filter.as_ref(), *backward)?)
        }
        Op::IndexScan { target, index, bounds, index_only, filter, backward } => Box::new(scan::IndexScan::new(
            target,
            &node.types,
            index.as_ref(),
            bounds,
            *index_only,
            filter.as_ref(),
            *backward,
        )?),
        Op::VirtualScan { target, equal, filter } => {
            Box::new(virtuals::VirtualScan::new(target, &node.types, equal, filter.as_ref())?)
        }
        Op::FunctionScan { calls, column_counts, ordinality } => {
            Box::new(function::FunctionScan::new(calls, column_counts, *ordinality, &node.types)?)
        }
        Op::CteScan { cte, columns } => Box::new(cte::CteScan::new(*cte, columns)),
        Op::WorkTableScan { number, columns } => Box::new(cte::WorkTableScan::new(*number, columns)),
        Op::Filter { input: below, predicate } => Box::new(filter::Filter::new(input(below)?, predicate)?),
        Op::Project { input: below, exprs } => Box::new(filter::Project::new(input(below)?, exprs)?),
        Op::ProjectSet { input: below, exprs } => Box::new(function::ProjectSet::new(input(below)?, exprs)?),
        Op::NestedLoop { kind, left, right, on, parameters } => Box::new(nested_loop::NestedLoop::new(
            *kind,
            input(left)?,
            input(right)?,
            (&left.types, &right.types),
            on.as_ref(),
            parameters,
        )?),
        Op::HashJoin { kind, left, right, left_keys, right_keys, key_types, residual, null_aware } => {
            let reads_work_table = crate::walk::any(right, &|n| matches!(n.op, Op::WorkTableScan { .. }));
            let join = hash_join::HashJoin::new(
                *kind,
                (input(left)?, input(right)?),
                (&left.types, &right.types),
                (left_keys, right_keys, key_types),
                residual.as_ref(),
                *null_aware,
            )?;
            Box::new(join.keeping_table(!reads_work_table && !crate::subplan::reads_outer(right)))
        }
        Op::MergeJoin { kind, left, right, left_keys, right_keys, key_types, descending, nulls_first, residual } => {
            Box::new(merge_join::MergeJoin::new(
                *kind,
                (input(left)?, input(right)?),
                (&left.types, &right.types),
                (left_keys, right_keys, key_types),
                (descending, nulls_first),
                residual.as_ref(),
            )?)
        }
        Op::LookupJoin { kind, left, target, index, keys, residual } => Box::new(lookup_join::LookupJoin::new(
            *kind,
            input(left)?,
            &left.types,
            target,
            &node.types,
            index.as_ref(),
            keys,
            residual.as_ref(),
        )?),
        Op::HashAggregate { input: below, groups, sets, calls } => {
            crate::aggregate::hash(input(below)?, &below.types, groups, sets.as_deref(), calls)?
        }
        Op::SortedAggregate { input: below, groups, calls } => crate::aggregate::sorted(input(below)?, groups, calls)?,
        Op::Window { input: below, partition_by, order_by, frame, calls } => {
            Box::new(window::Window::new(input(below)?, &below.types, partition_by, order_by, frame, calls)?)
        }
        Op::Sort { input: below, keys, top, .. } => {
            Box::new(sort::Sort::new(input(below)?, &below.types, keys, top.as_ref())?)
        }
        Op::Limit { input: below, limit, offset, ties } => {
            Box::new(limit::Limit::new(input(below)?, limit.as_ref(), offset.as_ref(), ties.as_deref())?)
        }
        Op::Unique { input: below, keys } => Box::new(unique::Unique::new(input(below)?, keys)?),
        Op::Append { inputs } => Box::new(basic::Append::new(inputs.iter().map(input).collect::<Result<_>>()?)),
        Op::HashSetOp { operation, all, left, right } => {
            Box::new(setop::HashSetOp::new(*operation, *all, input(left)?, input(right)?, &left.types))
        }
        Op::RecursiveUnion { number, all, base, step } => {
            Box::new(recursive::RecursiveUnion::new(*number, *all, input(base)?, input(step)?, &base.types))
        }
        Op::Materialize { input: below } => Box::new(materialize::Materialize::new(input(below)?, below)),
        Op::LockRows { input: below, targets } => Box::new(lock::LockRows::new(input(below)?, &below.types, targets)?),
        Op::Insert(insert) => crate::dml::insert(input(&insert.input)?, insert)?,
        Op::Update(update) => crate::dml::update(input(&update.input)?, update)?,
        Op::Delete(delete) => crate::dml::delete(input(&delete.input)?, delete)?,
        Op::Merge(merge) => crate::dml::merge(input(&merge.input)?, merge)?,
    };
    Ok(match measured {
        true => Box::new(measure::Measured::new(operator, node.id as usize)),
        false => operator,
    })
}
