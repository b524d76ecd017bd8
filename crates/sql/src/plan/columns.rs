//! Which columns a logical node offers, reads and makes. The planner and the rules ask nothing else of a tree's shape.

use crate::expr::{BoolTest, Expr, ExprKind};
use crate::logical::{ColumnId, FrameBound, JoinKind, Node, Subquery, WriteTarget};
use std::collections::{BTreeMap, BTreeSet};
use types::builtin::Volatility;

pub(crate) type ColumnSet = BTreeSet<ColumnId>;

/// What it takes to gather a node's columns; and to walk over it some times, to copy it and to drop the copy. Both are done for each
/// query of the trees inside of it anew, so that they look whether the statement is to stop.
const WALK_WORK: usize = 1 << 10;
const COPY_WORK: usize = 1 << 11;

/// Columns of the enclosing row that an expression reads; those that its subqueries read from outside count too.
pub(crate) fn used(expr: &Expr) -> ColumnSet {
    let mut set = ColumnSet::new();
    add_used(expr, &mut set);
    set
}

pub(crate) fn add_used(expr: &Expr, set: &mut ColumnSet) {
    match &expr.kind {
        ExprKind::Column(id) => {
            set.insert(*id);
        }
        ExprKind::Subquery(subquery) => set.extend(subquery_free(subquery)),
        _ => expr.children().into_iter().for_each(|child| add_used(child, set)),
    }
}

/// What a subquery reads of enclosing rows, its comparison's left side included.
pub(crate) fn subquery_free(subquery: &Subquery) -> ColumnSet {
    let mut free = free(&subquery.plan);
    for expr in subquery.outer_expressions() {
        add_used(expr, &mut free);
    }
    subquery.output.iter().for_each(|id| {
        free.remove(id);
    });
    free
}

/// Columns that a node reads and nothing in it makes. Not all where the statement is to stop: `stop::whole` tells.
pub(crate) fn free(node: &Node) -> ColumnSet {
    let (mut read, mut made) = (ColumnSet::new(), ColumnSet::new());
    collect(node, &mut read, &mut made);
    read.difference(&made).copied().collect()
}

fn collect(node: &Node, read: &mut ColumnSet, made: &mut ColumnSet) {
    if crate::stop::cut_short(WALK_WORK) {
        return;
    }
    expressions(node).into_iter().for_each(|e| add_used(e, read));
    read.extend(plain_reads(node));
    made.extend(makes(node));
    children(node).into_iter().for_each(|child| collect(child, read, made));
}

/// Input nodes, left to right.
pub(crate) fn children(node: &Node) -> Vec<&Node> {
    match node {
        Node::OneRow | Node::Scan(_) | Node::Values { .. } | Node::Functions { .. } | Node::CteScan { .. } => vec![],
        Node::Project { input, .. }
        | Node::ProjectSet { input, .. }
        | Node::Filter { input, .. }
        | Node::Aggregate { input, .. }
        | Node::Window { input, .. }
        | Node::Sort { input, .. }
        | Node::Limit { input, .. }
        | Node::Distinct { input, .. }
        | Node::LockRows { input, .. } => vec![input],
        Node::Join { left, right, .. } | Node::SetOp { left, right, .. } => vec![left, right],
        Node::RecursiveUnion { base, step, .. } => vec![base, step],
        Node::Insert(write) => vec![&write.input],
        Node::Update(write) => vec![&write.input],
        Node::Delete(write) => vec![&write.input],
        Node::Merge(write) => vec![&write.input],
    }
}

pub(crate) fn children_mut(node: &mut Node) -> Vec<&mut Node> {
    match node {
        Node::OneRow | Node::Scan(_) | Node::Values { .. } | Node::Functions { .. } | Node::CteScan { .. } => vec![],
        Node::Project { input, .. }
        | Node::ProjectSet { input, .. }
        | Node::Filter { input, .. }
        | Node::Aggregate { input, .. }
        | Node::Window { input, .. }
        | Node::Sort { input, .. }
        | Node::Limit { input, .. }
        | Node::Distinct { input, .. }
        | Node::LockRows { input, .. } => vec![input],
        Node::Join { left, right, .. } | Node::SetOp { left, right, .. } => vec![left, right],
        Node::RecursiveUnion { base, step, .. } => vec![base, step],
        Node::Insert(write) => vec![&mut write.input],
        Node::Update(write) => vec![&mut write.input],
        Node::Delete(write) => vec![&mut write.input],
        Node::Merge(write) => vec![&mut write.input],
    }
}

fn target_expressions(target: &WriteTarget) -> Vec<&Expr> {
    let indexes = target.index_exprs.iter().flat_map(|(keys, predicate)| keys.iter().chain(predicate));
    let checks = target.checks.iter().chain(&target.view_checks).map(|(_, e)| e);
    indexes.chain(checks).collect()
}

/// Expressions of the node itself.
pub(crate) fn expressions(node: &Node) -> Vec<&Expr> {
    match node {
        Node::Scan(scan) => scan.as_of.iter().chain(scan.until.as_ref().map(|until| &until.time)).collect(),
        Node::Values { rows, .. } => rows.iter().flatten().collect(),
        Node::Functions { calls, .. } => calls.iter().map(|c| &c.call).collect(),
        Node::Project { exprs, .. } | Node::ProjectSet { exprs, .. } => exprs.iter().map(|(_, e)| e).collect(),
        Node::Filter { predicate, .. } => predicate.iter().collect(),
        Node::Join { on, .. } => on.iter().collect(),
        Node::Aggregate { calls, .. } => calls
            .iter()
            .flat_map(|c| c.args.iter().chain(&c.direct).chain(&c.filter).chain(c.order_by.iter().map(|k| &k.expr)))
            .collect(),
        Node::Window { spec, .. } => {
            let bounds = [&spec.frame.start, &spec.frame.end].into_iter().filter_map(|bound| match bound {
                FrameBound::Preceding(e) | FrameBound::Following(e) => Some(e),
                _ => None,
            });
            let calls = spec.calls.iter().flat_map(|c| c.args.iter().chain(&c.filter));
            spec.partition_by.iter().chain(spec.order_by.iter().map(|k| &k.expr)).chain(bounds).chain(calls).collect()
        }
        Node::Sort { keys, .. } => keys.iter().map(|k| &k.expr).collect(),
        Node::Limit { limit, offset, .. } => limit.iter().chain(offset).collect(),
        Node::Insert(write) => {
            let mut all = target_expressions(&write.target);
            all.extend(write.generated.iter().map(|(_, e)| e));
            all.extend(write.returning.iter().map(|(_, e)| e));
            if let Some(update) = write.on_conflict.as_ref().and_then(|c| c.update.as_ref()) {
                all.extend(update.assignments.iter().chain(&update.generated).map(|(_, e)| e));
                all.extend(update.tail.iter().chain(&update.predicate));
            }
            all
        }
        Node::Update(write) => {
            let mut all = target_expressions(&write.target);
            all.extend(write.assignments.iter().chain(&write.generated).map(|(_, e)| e));
            all.extend(write.tail.iter().chain(&write.recheck));
            all.extend(write.returning.iter().map(|(_, e)| e));
            all
        }
        Node::Merge(write) => {
            let mut all = target_expressions(&write.target);
            all.extend(&write.recheck);
            all.extend(write.generated.iter().map(|(_, e)| e));
            all.extend(write.clauses.iter().flat_map(|c| c.expressions()));
            all
        }
        Node::Delete(write) => {
            let mut all = target_expressions(&write.target);
            all.extend(&write.recheck);
            all.extend(write.returning.iter().map(|(_, e)| e));
            all
        }
        _ => vec![],
    }
}

fn target_expressions_mut(target: &mut WriteTarget) -> Vec<&mut Expr> {
    let indexes = target.index_exprs.iter_mut().flat_map(|(keys, predicate)| keys.iter_mut().chain(predicate));
    let checks = target.checks.iter_mut().chain(&mut target.view_checks).map(|(_, e)| e);
    indexes.chain(checks).collect()
}

/// The same, for rewriting in place.
pub(crate) fn expressions_mut(node: &mut Node) -> Vec<&mut Expr> {
    match node {
        Node::Scan(scan) => scan.as_of.iter_mut().chain(scan.until.as_mut().map(|until| &mut until.time)).collect(),
        Node::Values { rows, .. } => rows.iter_mut().flatten().collect(),
        Node::Functions { calls, .. } => calls.iter_mut().map(|c| &mut c.call).collect(),
        Node::Project { exprs, .. } | Node::ProjectSet { exprs, .. } => exprs.iter_mut().map(|(_, e)| e).collect(),
        Node::Filter { predicate, .. } => predicate.iter_mut().collect(),
        Node::Join { on, .. } => on.iter_mut().collect(),
        Node::Aggregate { calls, .. } => calls
            .iter_mut()
            .flat_map(|c| {
                let keys = c.order_by.iter_mut().map(|k| &mut k.expr);
                c.args.iter_mut().chain(&mut c.direct).chain(&mut c.filter).chain(keys)
            })
            .collect(),
        Node::Window { spec, .. } => {
            let bounds = [&mut spec.frame.start, &mut spec.frame.end].into_iter().filter_map(|bound| match bound {
                FrameBound::Preceding(e) | FrameBound::Following(e) => Some(e),
                _ => None,
            });
            let calls = spec.calls.iter_mut().flat_map(|c| c.args.iter_mut().chain(&mut c.filter));
            let keys = spec.order_by.iter_mut().map(|k| &mut k.expr);
            spec.partition_by.iter_mut().chain(keys).chain(bounds).chain(calls).collect()
        }
        Node::Sort { keys, .. } => keys.iter_mut().map(|k| &mut k.expr).collect(),
        Node::Limit { limit, offset, .. } => limit.iter_mut().chain(offset).collect(),
        Node::Insert(write) => {
            let mut all = target_expressions_mut(&mut write.target);
            all.extend(write.generated.iter_mut().map(|(_, e)| e));
            all.extend(write.returning.iter_mut().map(|(_, e)| e));
            if let Some(update) = write.on_conflict.as_mut().and_then(|c| c.update.as_mut()) {
                all.extend(update.assignments.iter_mut().chain(&mut update.generated).map(|(_, e)| e));
                all.extend(update.tail.iter_mut().chain(&mut update.predicate));
            }
            all
        }
        Node::Update(write) => {
            let mut all = target_expressions_mut(&mut write.target);
            all.extend(write.assignments.iter_mut().chain(&mut write.generated).map(|(_, e)| e));
            all.extend(write.tail.iter_mut().chain(&mut write.recheck));
            all.extend(write.returning.iter_mut().map(|(_, e)| e));
            all
        }
        Node::Delete(write) => {
            let mut all = target_expressions_mut(&mut write.target);
            all.extend(&mut write.recheck);
            all.extend(write.returning.iter_mut().map(|(_, e)| e));
            all
        }
        _ => vec![],
    }
}

/// Columns that the node reads without an expression around them.
fn plain_reads(node: &Node) -> Vec<ColumnId> {
    match node {
        Node::Aggregate { groups, .. } => groups.clone(),
        Node::Distinct { columns, .. } => columns.clone(),
        Node::SetOp { left_columns, right_columns, .. } => [&left_columns[..], right_columns].concat(),
        Node::RecursiveUnion { base_columns, step_columns, .. } => [&base_columns[..], step_columns].concat(),
        Node::LockRows { targets, .. } => {
            targets.iter().flat_map(|t| t.columns.iter().map(|(_, id)| *id).chain([t.row_key])).collect()
        }
        Node::Insert(write) => write.values.iter().map(|(_, id)| *id).chain(write.tail).collect(),
        Node::Update(write) => write.old_row.iter().map(|(_, id)| *id).chain([write.row_key]).collect(),
        Node::Merge(write) => write.old_row.iter().map(|(_, id)| *id).chain([write.row_key]).collect(),
        Node::Delete(write) => write.old_row.iter().map(|(_, id)| *id).chain([write.row_key]).collect(),
        _ => vec![],
    }
}

fn new_row(target: &WriteTarget) -> Vec<ColumnId> {
    let attributes = target.new_row.iter().map(|(_, id)| *id);
    attributes.chain(target.hidden.iter().map(|(_, id)| *id)).collect()
}

/// Columns that the node itself makes.
fn makes(node: &Node) -> Vec<ColumnId> {
    match node {
        Node::Scan(scan) => scan.columns.iter().map(|(_, id)| *id).collect(),
        Node::Values { columns, .. } | Node::SetOp { columns, .. } | Node::RecursiveUnion { columns, .. } => {
            columns.clone()
        }
        Node::Functions { calls, ordinality } => {
            calls.iter().flat_map(|c| c.columns.iter().copied()).chain(*ordinality).collect()
        }
        Node::CteScan { columns, .. } => columns.iter().map(|(here, _)| *here).collect(),
        Node::Project { exprs, .. } | Node::ProjectSet { exprs, .. } => exprs.iter().map(|(id, _)| *id).collect(),
        Node::Aggregate { group_outputs, set_id, calls, .. } => {
            group_outputs.iter().copied().chain(*set_id).chain(calls.iter().map(|c| c.output)).collect()
        }
        Node::Window { spec, .. } => spec.calls.iter().map(|c| c.output).collect(),
        Node::Insert(write) => {
            let mut all = new_row(&write.target);
            all.extend(write.returning.iter().map(|(id, _)| *id));
            if let Some(update) = write.on_conflict.as_ref().and_then(|c| c.update.as_ref()) {
                all.extend(update.existing.iter().map(|(_, id)| *id));
                all.extend(update.excluded.iter().map(|(_, id)| *id));
            }
            all
        }
        Node::Update(write) => {
            new_row(&write.target).into_iter().chain(write.returning.iter().map(|(id, _)| *id)).collect()
        }
        Node::Merge(write) => new_row(&write.target),
        Node::Delete(write) => {
            new_row(&write.target).into_iter().chain(write.returning.iter().map(|(id, _)| *id)).collect()
        }
        _ => vec![],
    }
}

/// Columns that a node offers to the one above.
pub(crate) fn outputs(node: &Node) -> Vec<ColumnId> {
    match node {
        Node::Project { input, .. } | Node::ProjectSet { input, .. } | Node::Window { input, .. } => {
            let mut all = outputs(input);
            all.extend(makes(node));
            all
        }
        Node::Filter { input, .. }
        | Node::Sort { input, .. }
        | Node::Limit { input, .. }
        | Node::LockRows { input, .. } => outputs(input),
        Node::Distinct { input, on: true, .. } => outputs(input),
        Node::Distinct { columns, .. } => columns.clone(),
        Node::Join { kind: JoinKind::Semi | JoinKind::Anti, left, .. } => outputs(left),
        Node::Join { left, right, .. } => [outputs(left), outputs(right)].concat(),
        Node::Insert(write) => write.returning.iter().map(|(id, _)| *id).collect(),
        Node::Update(write) => write.returning.iter().map(|(id, _)| *id).collect(),
        Node::Merge(_) => vec![],
        Node::Delete(write) => write.returning.iter().map(|(id, _)| *id).collect(),
        _ => makes(node),
    }
}

pub(crate) fn output_set(node: &Node) -> ColumnSet {
    outputs(node).into_iter().collect()
}

/// Whether evaluating it twice, or not at all, can be noticed.
pub(crate) fn is_volatile(expr: &Expr) -> bool {
    expr.any(&mut |e| match &e.kind {
        ExprKind::Call { proc, .. } => proc.volatility == Volatility::Volatile || proc.returns_set,
        ExprKind::Subquery(subquery) => node_is_volatile(&subquery.plan),
        _ => false,
    })
}

/// The same of a whole tree. Asked before a tree is copied and taken apart, at each level anew: it counts as the work of that too. Where
/// the statement is to stop it is true, so that the tree is left as it is.
pub(crate) fn node_is_volatile(node: &Node) -> bool {
    crate::stop::cut_short(COPY_WORK)
        || matches!(node, Node::Insert(_) | Node::Update(_) | Node::Delete(_) | Node::Merge(_) | Node::LockRows { .. })
        || expressions(node).into_iter().any(is_volatile)
        || children(node).into_iter().any(node_is_volatile)
}

pub(crate) fn has_subquery(expr: &Expr) -> bool {
    expr.any(&mut |e| matches!(e.kind, ExprKind::Subquery(_)))
}

/// Splits nested ANDs into conjuncts; TRUE disappears.
pub(crate) fn conjuncts(expr: Expr, into: &mut Vec<Expr>) {
    match expr.kind {
        ExprKind::And(parts) => parts.into_iter().for_each(|part| conjuncts(part, into)),
        _ if expr.is_true() => {}
        _ => into.push(expr),
    }
}

/// The expression with columns replaced by what makes them (not inside subqueries' own plans).
pub(crate) fn substitute(mut expr: Expr, made: &BTreeMap<ColumnId, Expr>) -> Expr {
    if made.is_empty() {
        return expr;
    }
    expr.rewrite(&mut |e| {
        if let ExprKind::Column(id) = e.kind
            && let Some(value) = made.get(&id)
        {
            *e = value.clone();
        }
    });
    expr
}

/// The conjunction of several; None of none.
pub(crate) fn conjunction(mut parts: Vec<Expr>) -> Option<Expr> {
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(Expr::new(ExprKind::And(parts), types::SqlType::BOOL, 0)),
    }
}

/// Whether the value is NULL if all of `side` is.
fn null_with(expr: &Expr, side: &ColumnSet) -> bool {
    match &expr.kind {
        ExprKind::Column(id) => side.contains(id),
        ExprKind::Call { proc, args, .. } => {
            proc.strict && !proc.returns_set && args.iter().any(|a| null_with(a, side))
        }
        ExprKind::Relabel(arg, _) | ExprKind::InOut(arg, _) | ExprKind::Not(arg) => null_with(arg, side),
        _ => false,
    }
}

/// Whether the condition is not true if all of `side` is NULL.
pub(crate) fn rejects_null(expr: &Expr, side: &ColumnSet) -> bool {
    match &expr.kind {
        ExprKind::And(parts) => parts.iter().any(|p| rejects_null(p, side)),
        ExprKind::Or(parts) => parts.iter().all(|p| rejects_null(p, side)),
        ExprKind::IsNull { arg, negated: true, of_row: false } => null_with(arg, side),
        ExprKind::BoolTest { arg, test: BoolTest::IsTrue | BoolTest::IsFalse | BoolTest::IsNotUnknown } => {
            null_with(arg, side)
        }
        _ => null_with(expr, side),
    }
}
