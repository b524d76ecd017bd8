//! Walks over logical trees, into the plans of subqueries too.

use crate::expr::{Expr, ExprKind};
use crate::logical::{CteId, Node};
use crate::plan::columns::{children, children_mut, expressions, expressions_mut};

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

/// Visits every expression of a tree, those inside subqueries' plans too.
pub(super) fn each_expr_mut(node: &mut Node, visit: &mut dyn FnMut(&mut Expr)) {
    expressions_mut(node).into_iter().for_each(&mut *visit);
    children_mut(node).into_iter().for_each(|child| each_expr_mut(child, visit));
}
