//! Walks over plans: every expression of a tree, every slot that its nested loops fill.

use sql::expr::Expr;
use sql::expr::ExprKind;
use sql::physical::{Direct, KeyBounds, KeyEqual, Op, PlanAggregate, PlanBody, PlanNode, PlanSortKey, PlanTarget};
use types::builtin::Volatility;

/// Volatile functions that leave nothing behind but a number that is used up.
const HARMLESS: &[&str] =
    &["nextval", "currval", "lastval", "random", "gen_random_uuid", "clock_timestamp", "timeofday"];

/// Whether executing the plan has no effect that a rollback does not take back.
pub(crate) fn is_repeatable(body: &PlanBody) -> bool {
    let mut acts = false;
    let mut look = |expr: &Expr| {
        acts |= expr.any(&mut |e| match &e.kind {
            ExprKind::Call { proc, .. } => proc.volatility == Volatility::Volatile && !HARMLESS.contains(&proc.name),
            _ => false,
        });
    };
    match body {
        PlanBody::Direct(plan) => direct(plan, &mut look),
        PlanBody::Tree(tree) => {
            let roots = tree.subplans.iter().map(|s| &s.root).chain(tree.ctes.iter().map(|c| &c.root));
            roots.chain([&tree.root]).for_each(|root| expressions(root, &mut look));
        }
    }
    !acts
}

fn direct(plan: &Direct, f: &mut dyn FnMut(&Expr)) {
    match plan {
        Direct::Get { key, filter, output, .. } => key.iter().chain(filter).chain(output).for_each(f),
        Direct::Insert { target: t, values, returning } => {
            target(t, f);
            values.iter().flatten().chain(returning).for_each(f);
        }
        Direct::Update { target: t, key, filter, assignments, returning } => {
            target(t, f);
            key.iter().chain(filter).chain(assignments.iter().map(|(_, e)| e)).chain(returning).for_each(f);
        }
        Direct::Delete { target: t, key, filter, returning } => {
            target(t, f);
            key.iter().chain(filter).chain(returning).for_each(f);
        }
    }
}

fn target(target: &PlanTarget, f: &mut dyn FnMut(&Expr)) {
    target.checks.iter().chain(&target.view_checks).for_each(|(_, e)| f(e));
}

/// Whether a node of the tree passes the test.
pub(crate) fn any(node: &PlanNode, test: &dyn Fn(&PlanNode) -> bool) -> bool {
    test(node) || node.inputs().into_iter().any(|input| any(input, test))
}

/// Slots that nested loops of the tree fill for their right sides.
pub(crate) fn parameters(node: &PlanNode, f: &mut dyn FnMut(u32)) {
    if let Op::NestedLoop { parameters, .. } = &node.op {
        parameters.iter().for_each(|(slot, _)| f(*slot));
    }
    node.inputs().into_iter().for_each(|input| self::parameters(input, f));
}

/// Every expression of the tree.
pub(crate) fn expressions(node: &PlanNode, f: &mut dyn FnMut(&Expr)) {
    own(node, f);
    node.inputs().into_iter().for_each(|input| expressions(input, f));
}

fn sort_keys(keys: &[PlanSortKey], f: &mut dyn FnMut(&Expr)) {
    keys.iter().for_each(|k| f(&k.expr));
}

fn calls(calls: &[PlanAggregate], f: &mut dyn FnMut(&Expr)) {
    for call in calls {
        call.args.iter().chain(&call.direct).chain(&call.filter).for_each(&mut *f);
        call.function.steps().for_each(&mut *f);
        sort_keys(&call.order_by, f);
    }
}

fn bounds(bounds: &KeyBounds, f: &mut dyn FnMut(&Expr)) {
    for equal in &bounds.equal {
        match equal {
            KeyEqual::Value(e) | KeyEqual::AnyOf(e) => f(e),
            KeyEqual::IsNull => {}
        }
    }
    bounds.lower.iter().chain(&bounds.upper).for_each(|(e, _)| f(e));
}

fn own(node: &PlanNode, f: &mut dyn FnMut(&Expr)) {
    match &node.op {
        Op::OneRow | Op::CteScan { .. } | Op::WorkTableScan { .. } | Op::Append { .. } => {}
        Op::Materialize { .. } | Op::HashSetOp { .. } | Op::RecursiveUnion { .. } => {}
        Op::Values { rows } => rows.iter().flatten().for_each(f),
        Op::SeqScan { target, filter, .. } => {
            target.as_of.iter().chain(target.until.as_ref().map(|until| &until.time)).chain(filter).for_each(f);
        }
        Op::IndexScan { target, bounds: b, filter, .. } => {
            bounds(b, f);
            target.as_of.iter().chain(filter).for_each(f);
        }
        Op::VirtualScan { equal, filter, .. } => {
            equal.iter().for_each(|(_, e)| f(e));
            filter.iter().for_each(f);
        }
        Op::FunctionScan { calls, .. } => calls.iter().for_each(f),
        Op::Filter { predicate, .. } => f(predicate),
        Op::Project { exprs, .. } | Op::ProjectSet { exprs, .. } => exprs.iter().for_each(f),
        Op::NestedLoop { on, parameters, .. } => {
            on.iter().for_each(&mut *f);
            parameters.iter().for_each(|(_, e)| f(e));
        }
        Op::HashJoin { left_keys, right_keys, residual, .. }
        | Op::MergeJoin { left_keys, right_keys, residual, .. } => {
            left_keys.iter().chain(right_keys).chain(residual).for_each(f);
        }
        Op::LookupJoin { keys, residual, .. } => keys.iter().chain(residual).for_each(f),
        Op::HashAggregate { groups, calls: c, .. } | Op::SortedAggregate { groups, calls: c, .. } => {
            groups.iter().for_each(&mut *f);
            calls(c, f);
        }
        Op::Window { partition_by, order_by, calls, frame, .. } => {
            use sql::logical::{FrameBound, WindowFunction};
            partition_by.iter().for_each(&mut *f);
            sort_keys(order_by, f);
            for call in calls {
                call.args.iter().chain(&call.filter).for_each(&mut *f);
                if let WindowFunction::Aggregate(function) = &call.function {
                    function.steps().for_each(&mut *f);
                }
            }
            for bound in [&frame.start, &frame.end] {
                if let FrameBound::Preceding(e) | FrameBound::Following(e) = bound {
                    f(e);
                }
            }
        }
        Op::Sort { keys, top, .. } => {
            sort_keys(keys, f);
            top.iter().for_each(f);
        }
        Op::Limit { limit, offset, ties, .. } => {
            limit.iter().chain(offset).for_each(&mut *f);
            ties.iter().for_each(|t| sort_keys(t, f));
        }
        Op::Unique { keys, .. } => keys.iter().for_each(f),
        Op::LockRows { targets, .. } => targets.iter().filter_map(|t| t.recheck.as_ref()).for_each(f),
        Op::Insert(insert) => {
            target(&insert.target, f);
            insert.returning.iter().for_each(&mut *f);
            if let Some(conflict) = &insert.on_conflict {
                conflict.assignments.iter().for_each(|(_, e)| f(e));
                conflict.predicate.iter().chain(&conflict.tail).for_each(f);
            }
        }
        Op::Update(update) => {
            target(&update.target, f);
            update.assignments.iter().for_each(|(_, e)| f(e));
            update.tail.iter().chain(&update.recheck).chain(&update.returning).for_each(f);
        }
        Op::Delete(delete) => delete.recheck.iter().chain(&delete.returning).for_each(f),
        Op::Merge(merge) => {
            let clauses = merge.clauses.iter().flat_map(|c| c.expressions());
            merge.recheck.iter().chain(clauses).for_each(f);
        }
    }
}
