//! Walks over logical trees, into the plans of subqueries too.

use crate::expr::{Expr, ExprKind};
use crate::logical::{CteId, Node};
use crate::plan::columns::{children, children_mut, expressions, expressions_mut};
use std::collections::HashMap;

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

/// Adds how many CteScans of each stand in the tree.
pub(super) fn count_scans(node: &Node, scans: &mut HashMap<CteId, usize>) {
    if let Node::CteScan { cte, .. } = node {
        *scans.entry(*cte).or_default() += 1;
    }
    for expr in expressions(node) {
        expr.any(&mut |e| {
            if let ExprKind::Subquery(subquery) = &e.kind {
                count_scans(&subquery.plan, scans);
            }
            false
        });
    }
    children(node).into_iter().for_each(|child| count_scans(child, scans));
}

/// Visits every expression of a tree, those inside subqueries' plans too.
pub(super) fn each_expr_mut(node: &mut Node, visit: &mut dyn FnMut(&mut Expr)) {
    expressions_mut(node).into_iter().for_each(&mut *visit);
    children_mut(node).into_iter().for_each(|child| each_expr_mut(child, visit));
}
