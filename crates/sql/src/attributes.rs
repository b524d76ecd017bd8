//! Which attributes of which relations a bound query reads: what a view depends on.
//!
//! More than is read may be told, never less: a column that only passes through a node counts.

use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, Node, Query, ScanColumn};
use crate::plan::columns;
use std::collections::BTreeSet;
use types::Oid;

/// (relation, attribute), ascending. A whole row counts as all of its columns; so do undeclared fields, which no right on a
/// single column is meant for.
pub fn used_attributes(query: &Query) -> Vec<(Oid, i16)> {
    let mut walk = Walk::default();
    walk.used.extend(&query.output);
    walk.node(&query.root);
    query.ctes.iter().for_each(|cte| walk.node(&cte.plan));
    let mut found = BTreeSet::new();
    for (relation, columns) in &walk.scans {
        for (what, _) in columns.iter().filter(|(_, id)| walk.used.contains(id)) {
            match what {
                ScanColumn::Attribute(n) => drop(found.insert((relation.id, *n))),
                ScanColumn::WholeRow | ScanColumn::Document | ScanColumn::Tail => {
                    found.extend(relation.live_columns().map(|c| (relation.id, c.number)));
                }
                _ => {}
            }
        }
    }
    found.into_iter().collect()
}

#[derive(Default)]
struct Walk {
    used: BTreeSet<ColumnId>,
    scans: Vec<(std::sync::Arc<catalog::Relation>, Vec<(ScanColumn, ColumnId)>)>,
}

impl Walk {
    fn node(&mut self, node: &Node) {
        match node {
            Node::Scan(scan) => self.scans.push((scan.relation.clone(), scan.columns.clone())),
            Node::CteScan { columns, .. } => self.used.extend(columns.iter().map(|(_, source)| *source)),
            Node::Aggregate { groups, .. } => self.used.extend(groups),
            Node::Distinct { columns, .. } => self.used.extend(columns),
            Node::SetOp { left_columns, right_columns, .. } => {
                self.used.extend(left_columns);
                self.used.extend(right_columns);
            }
            Node::RecursiveUnion { base_columns, step_columns, .. } => {
                self.used.extend(base_columns);
                self.used.extend(step_columns);
            }
            _ => {}
        }
        columns::expressions(node).into_iter().for_each(|e| self.expr(e));
        columns::children(node).into_iter().for_each(|child| self.node(child));
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Column(id) => drop(self.used.insert(*id)),
            ExprKind::Subquery(subquery) => {
                self.used.extend(&subquery.output);
                self.used.extend(&subquery.correlated);
                self.node(&subquery.plan);
            }
            _ => {}
        }
        expr.children().into_iter().for_each(|child| self.expr(child));
    }
}
