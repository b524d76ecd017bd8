//! From plan nodes to operators. Expressions are compiled here, once per execution.

use super::{
    Input, basic, cte, filter, function, hash_join, index_scan, limit, lock, lookup_join, materialize, measure,
    merge_join, nested_loop, recursive, scan, setop, sort, unique, versions, virtuals, window,
};
use sql::physical::{Op, PlanNode};
use types::{Result, SqlError};

/// Makes the operators of a tree; `measured`: each keeps its time and rows.
pub(crate) fn build(node: &PlanNode, measured: bool) -> Result<Input> {
    let operator = match &node.op {
        Op::OneRow
        | Op::Values { .. }
        | Op::SeqScan { .. }
        | Op::IndexScan { .. }
        | Op::VirtualScan { .. }
        | Op::FunctionScan { .. }
        | Op::CteScan { .. }
        | Op::WorkTableScan { .. } => leaf(node)?,
        Op::NestedLoop { .. } | Op::HashJoin { .. } | Op::MergeJoin { .. } | Op::LookupJoin { .. } => {
            join(node, measured)?
        }
        Op::Append { .. } | Op::HashSetOp { .. } | Op::RecursiveUnion { .. } => set(node, measured)?,
        Op::Insert(insert) => crate::dml::insert(build(&insert.input, measured)?, insert)?,
        Op::Update(update) => crate::dml::update(build(&update.input, measured)?, update)?,
        Op::Delete(delete) => crate::dml::delete(build(&delete.input, measured)?, delete)?,
        Op::Merge(merge) => crate::dml::merge(build(&merge.input, measured)?, merge)?,
        Op::Filter { .. }
        | Op::Project { .. }
        | Op::ProjectSet { .. }
        | Op::HashAggregate { .. }
        | Op::SortedAggregate { .. }
        | Op::Window { .. }
        | Op::Sort { .. }
        | Op::Limit { .. }
        | Op::Unique { .. }
        | Op::Materialize { .. }
        | Op::LockRows { .. } => above(node, measured)?,
    };
    Ok(match measured {
        true => Box::new(measure::Measured::new(operator, node.id as usize)),
        false => operator,
    })
}

fn misplaced() -> SqlError {
    SqlError::internal("an operator of another kind")
}

fn leaf(node: &PlanNode) -> Result<Input> {
    let types = &node.types[..];
    Ok(match &node.op {
        Op::OneRow => Box::new(basic::OneRow::default()),
        Op::Values { rows } => Box::new(basic::Values::new(rows, types)?),
        Op::SeqScan { target, filter, .. } if target.until.is_some() => {
            Box::new(versions::VersionsOp::new(target, types, filter.as_ref())?)
        }
        Op::SeqScan { target, filter, backward } => {
            Box::new(scan::SeqScan::new(node, target, filter.as_ref(), *backward)?)
        }
        Op::IndexScan { target, index, bounds, index_only, filter, backward, keeps_order } => {
            Box::new(index_scan::IndexScan::new(
                target,
                types,
                index.as_ref(),
                bounds,
                *index_only,
                filter.as_ref(),
                *backward,
                *keeps_order,
            )?)
        }
        Op::VirtualScan { target, equal, filter } => {
            Box::new(virtuals::VirtualScan::new(target, types, equal, filter.as_ref())?)
        }
        Op::FunctionScan { calls, column_counts, ordinality } => {
            Box::new(function::FunctionScan::new(calls, column_counts, *ordinality, types)?)
        }
        Op::CteScan { cte, columns } => Box::new(cte::CteScan::new(*cte, columns)),
        Op::WorkTableScan { number, columns } => Box::new(cte::WorkTableScan::new(*number, columns)),
        _ => return Err(misplaced()),
    })
}

fn join(node: &PlanNode, measured: bool) -> Result<Input> {
    let sides =
        |left: &PlanNode, right: &PlanNode| -> Result<_> { Ok((build(left, measured)?, build(right, measured)?)) };
    Ok(match &node.op {
        Op::NestedLoop { kind, left, right, on, parameters } => {
            let types = (&left.types[..], &right.types[..]);
            let join = nested_loop::NestedLoop::new(*kind, sides(left, right)?, types, on.as_ref(), parameters);
            Box::new(join?)
        }
        Op::HashJoin { kind, left, right, left_keys, right_keys, key_types, residual, null_aware } => {
            let reads_work_table = crate::walk::any(right, &|n| matches!(n.op, Op::WorkTableScan { .. }));
            let join = hash_join::HashJoin::new(
                *kind,
                sides(left, right)?,
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
                sides(left, right)?,
                (&left.types, &right.types),
                (left_keys, right_keys, key_types),
                (descending, nulls_first),
                residual.as_ref(),
            )?)
        }
        Op::LookupJoin { kind, left, target, index, keys, residual } => Box::new(lookup_join::LookupJoin::new(
            *kind,
            build(left, measured)?,
            &left.types,
            target,
            &node.types,
            index.as_ref(),
            keys,
            residual.as_ref(),
        )?),
        _ => return Err(misplaced()),
    })
}

fn set(node: &PlanNode, measured: bool) -> Result<Input> {
    let input = |node: &PlanNode| build(node, measured);
    Ok(match &node.op {
        Op::Append { inputs } => Box::new(basic::Append::new(inputs.iter().map(input).collect::<Result<_>>()?)),
        Op::HashSetOp { operation, all, left, right } => {
            Box::new(setop::HashSetOp::new(*operation, *all, input(left)?, input(right)?, &left.types))
        }
        Op::RecursiveUnion { number, all, base, step } => {
            Box::new(recursive::RecursiveUnion::new(*number, *all, input(base)?, input(step)?, &base.types))
        }
        _ => return Err(misplaced()),
    })
}

/// Whether who takes a few rows of it makes it read little: what must be read to its end should not be read in small pieces, or
/// by one worker alone.
fn streams(node: &PlanNode) -> bool {
    match &node.op {
        Op::Sort { .. }
        | Op::HashAggregate { .. }
        | Op::SortedAggregate { .. }
        | Op::Window { .. }
        | Op::HashSetOp { .. } => false,
        Op::Project { input, .. }
        | Op::ProjectSet { input, .. }
        | Op::Filter { input, .. }
        | Op::Unique { input, .. } => streams(input),
        _ => true,
    }
}

/// Whether rows are locked as they are handed out.
pub(crate) fn locks_at_the_end(node: &PlanNode) -> bool {
    match &node.op {
        Op::LockRows { .. } => true,
        Op::Project { input, .. } | Op::Filter { input, .. } => locks_at_the_end(input),
        _ => false,
    }
}

/// Operators over one input.
fn above(node: &PlanNode, measured: bool) -> Result<Input> {
    let input = |node: &PlanNode| build(node, measured);
    Ok(match &node.op {
        Op::Filter { input: below, predicate } => Box::new(filter::Filter::new(input(below)?, predicate)?),
        Op::Project { input: below, exprs } => Box::new(filter::Project::new(input(below)?, exprs)?),
        Op::ProjectSet { input: below, exprs } => Box::new(function::ProjectSet::new(input(below)?, exprs)?),
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
            let limit = limit::Limit::new(input(below)?, limit.as_ref(), offset.as_ref(), ties.as_deref())?;
            Box::new(limit.over(streams(below)))
        }
        Op::Unique { input: below, keys } => Box::new(unique::Unique::new(input(below)?, keys)?),
        Op::Materialize { input: below } => Box::new(materialize::Materialize::new(input(below)?, below)),
        Op::LockRows { input: below, targets } => {
            Box::new(lock::LockRows::new(input(below)?, &below.types, targets)?.over(streams(below)))
        }
        _ => return Err(misplaced()),
    })
}
