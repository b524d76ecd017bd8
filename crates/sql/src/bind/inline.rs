//! WITH queries that are named once stand in their place, so that the planner sees through them.
//!
//! Not so those that are recursive, write, lock rows or are volatile, those that say MATERIALIZED, and those whose one place is run
//! again and again (a subquery of an expression, a LATERAL item, a recursive term): they are computed once.

use super::walk::{count_scans, reads_cte};
use crate::expr::Expr;
use crate::logical::{CteId, JoinKind, Node, Query};
use crate::plan::columns::{children_mut, node_is_volatile};
use std::collections::HashMap;
use types::Result;

pub(super) fn once(query: &mut Query, materialized: &[CteId]) -> Result<()> {
    if query.ctes.is_empty() {
        return crate::stop::whole();
    }
    // A plan that moves takes its scans along: the counts stay.
    let mut scans = HashMap::new();
    count_scans(&query.root, &mut scans);
    query.ctes.iter().for_each(|cte| count_scans(&cte.plan, &mut scans));
    let mut at = 0;
    while let Some(cte) = query.ctes.get(at) {
        crate::stop::check()?;
        let id = cte.id;
        let may_move = !cte.is_recursive
            && !cte.is_modifying
            && !materialized.contains(&id)
            && !node_is_volatile(&cte.plan)
            && scans.get(&id) == Some(&1);
        if !may_move {
            at += 1;
            continue;
        }
        let cte = query.ctes.remove(at);
        let types = |column: crate::logical::ColumnId| query.columns.get(column.0 as usize).map(|c| c.ty);
        let types: Vec<_> = cte.columns.iter().map(|id| (*id, types(*id))).collect();
        let mut plan = Some(cte.plan.clone());
        let roots = query.ctes.iter_mut().map(|c| &mut c.plan).chain([&mut query.root]);
        roots.for_each(|root| put(root, id, &mut plan, &types));
        if plan.is_some() {
            query.ctes.insert(at, cte);
            at += 1;
        }
    }
    crate::stop::whole()
}

type Types = [(crate::logical::ColumnId, Option<types::SqlType>)];

/// Puts the plan where the scan is, if that is reached by nodes that run once.
fn put(node: &mut Node, id: CteId, plan: &mut Option<Node>, types: &Types) {
    if plan.is_none() || !reads_cte(node, &[id]) {
        return;
    }
    match node {
        Node::CteScan { cte, columns, .. } if *cte == id => {
            let column = |(here, there): &(_, _)| {
                let ty = types.iter().find(|(id, _)| id == there).and_then(|(_, ty)| *ty);
                (*here, Expr::column(*there, ty.unwrap_or(types::SqlType::UNKNOWN)))
            };
            let exprs = columns.iter().map(column).collect();
            if let Some(plan) = plan.take() {
                *node = Node::Project { input: Box::new(plan), exprs };
            }
        }
        Node::RecursiveUnion { base, .. } => put(base, id, plan, types),
        Node::Join { left, lateral: true, kind: JoinKind::Inner | JoinKind::Left, .. } => put(left, id, plan, types),
        other => children_mut(other).into_iter().for_each(|child| put(child, id, plan, types)),
    }
}
