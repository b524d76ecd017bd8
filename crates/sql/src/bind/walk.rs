//! Walks over logical trees, into the plans of subqueries too.

use crate::expr::{Expr, ExprKind};
use crate::logical::{CteId, FrameBound, Node};
use crate::plan::columns::{children, children_mut, expressions};

/// Whether a CteScan of one of these stands anywhere in the tree.
pub(super) fn reads_cte(node: &Node, ctes: &[CteId]) -> bool {
    if matches!(node, Node::CteScan { cte, .. } if ctes.contains(cte)) {
        return true;
    }
    let in_subquery = |e: &Expr| {
        e.any(&mut |e| match &e.kind {
            ExprKind::Subquery(subquery) => reads_cte(&subquery.plan, ctes),
            _ => false,
        })
    };
    expressions(node).into_iter().any(in_subquery) || children(node).into_iter().any(|child| reads_cte(child, ctes))
}

/// How many CteScans of it stand in the tree.
pub(super) fn count_scans(node: &Node, id: CteId) -> usize {
    let own = usize::from(matches!(node, Node::CteScan { cte, .. } if *cte == id));
    let mut inside = 0;
    for expr in expressions(node) {
        expr.any(&mut |e| {
            if let ExprKind::Subquery(subquery) = &e.kind {
                inside += count_scans(&subquery.plan, id);
            }
            false
        });
    }
    own + inside + children(node).into_iter().map(|child| count_scans(child, id)).sum::<usize>()
}

/// The expressions that a node of a query (not of a write) evaluates, for rewriting.
fn expressions_mut(node: &mut Node) -> Vec<&mut Expr> {
    match node {
        Node::Scan(scan) => scan.as_of.iter_mut().collect(),
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
        _ => vec![],
    }
}

/// Visits every expression of a tree, those inside subqueries' plans too.
pub(super) fn each_expr_mut(node: &mut Node, visit: &mut dyn FnMut(&mut Expr)) {
    expressions_mut(node).into_iter().for_each(&mut *visit);
    children_mut(node).into_iter().for_each(|child| each_expr_mut(child, visit));
}
