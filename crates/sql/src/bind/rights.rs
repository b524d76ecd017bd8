//! Which columns each right of a query is needed on.
//!
//! A right may be held on single columns, so the check must know what is read and written:
//! - SELECT: the columns that expressions read; none of them (`count(*)`) means a right on any column will do. The target of a write
//!   needs it only if a column is read.
//! - INSERT and UPDATE: the columns that are given a value. `FOR UPDATE` names none.
//! - The others are held on the whole relation alone.

use crate::attributes::used_attributes;
use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, Insert, MergeAction, Node, PrivilegeCheck, Query, ScanColumn, WriteTarget};
use crate::plan::columns;
use catalog::{Relation, privilege};
use std::collections::{BTreeMap, BTreeSet};
use types::Oid;

#[derive(Default)]
struct Uses {
    read: BTreeSet<(Oid, i16)>,
    inserted: BTreeMap<Oid, BTreeSet<i16>>,
    updated: BTreeMap<Oid, BTreeSet<i16>>,
    targets: BTreeSet<Oid>,
}

/// Fills `columns` of the query's checks. `inserted`: what INSERTs name.
pub(super) fn fill(query: &mut Query, inserted: &[(Oid, Vec<i16>)]) {
    let mut uses = Uses { read: used_attributes(query).into_iter().collect(), ..Uses::default() };
    for (relation, columns) in inserted {
        uses.inserted.entry(*relation).or_default().extend(columns);
    }
    uses.node(&query.root);
    query.ctes.iter().for_each(|cte| uses.node(&cte.plan));
    let checks = std::mem::take(&mut query.privileges);
    for check in checks {
        for bit in (0..32).map(|bit| 1 << bit).filter(|bit| check.rights & bit != 0) {
            query.privileges.extend(uses.check(&check, bit));
        }
    }
}

impl Uses {
    fn check(&self, check: &PrivilegeCheck, right: u32) -> Option<PrivilegeCheck> {
        if check.columns.is_some() {
            return Some(PrivilegeCheck { rights: right, ..check.clone() });
        }
        let relation = check.relation;
        let of = |map: &BTreeMap<Oid, BTreeSet<i16>>| {
            map.get(&relation).map(|columns| columns.iter().copied().collect()).unwrap_or_default()
        };
        let columns = match right {
            privilege::SELECT => {
                let read: Vec<i16> = self.read.iter().filter(|(r, _)| *r == relation).map(|(_, n)| *n).collect();
                if read.is_empty() && self.targets.contains(&relation) {
                    return None;
                }
                Some(read)
            }
            privilege::INSERT => Some(of(&self.inserted)),
            privilege::UPDATE => Some(of(&self.updated)),
            _ => None,
        };
        Some(PrivilegeCheck { rights: right, columns, ..check.clone() })
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Insert(insert) => {
                let relation = insert.target.relation.id;
                self.targets.insert(relation);
                self.reads_new_row(&insert.target, insert.returning.iter().map(|(_, e)| e));
                self.reads_arbiters(insert);
                if let Some(update) = insert.on_conflict.as_ref().and_then(|c| c.update.as_ref()) {
                    self.assigns(&insert.target.relation, &update.assignments, update.tail.is_some());
                    let exprs =
                        || update.assignments.iter().map(|(_, e)| e).chain(&update.predicate).chain(&update.tail);
                    self.reads_row(&insert.target.relation, &update.existing, exprs());
                    self.reads_row(&insert.target.relation, &update.excluded, exprs());
                }
            }
            Node::Update(update) => {
                let relation = update.target.relation.id;
                self.targets.insert(relation);
                self.assigns(&update.target.relation, &update.assignments, update.tail.is_some());
                self.reads_new_row(&update.target, update.returning.iter().map(|(_, e)| e));
            }
            Node::Merge(merge) => {
                let relation = merge.target.relation.id;
                self.targets.insert(relation);
                for clause in &merge.clauses {
                    if let MergeAction::Update(assignments) = &clause.action {
                        self.updated.entry(relation).or_default().extend(assignments.iter().map(|(n, _)| *n));
                    }
                }
            }
            Node::Delete(delete) => drop(self.targets.insert(delete.target.relation.id)),
            _ => {}
        }
        columns::expressions(node).into_iter().for_each(|e| self.expr(e));
        columns::children(node).into_iter().for_each(|child| self.node(child));
    }

    /// ON CONFLICT tells whether a row with these columns is there.
    fn reads_arbiters(&mut self, insert: &Insert) {
        let arbiters = insert.on_conflict.as_ref().map(|c| c.arbiters.as_slice()).unwrap_or_default();
        for index in insert.target.indexes.iter().filter(|index| arbiters.contains(&index.id)) {
            self.read.extend(index.columns.iter().filter_map(|column| match column.source {
                catalog::IndexSource::Column(number) => Some((insert.target.relation.id, number)),
                catalog::IndexSource::Expression(_) => None,
            }));
        }
    }

    /// Writes in WITH may stand in subqueries.
    fn expr(&mut self, expr: &Expr) {
        if let ExprKind::Subquery(subquery) = &expr.kind {
            self.node(&subquery.plan);
        }
        expr.children().into_iter().for_each(|child| self.expr(child));
    }

    /// Undeclared fields are everybody's who may write to all columns.
    fn assigns(&mut self, relation: &Relation, assignments: &[(i16, Expr)], with_fields: bool) {
        let updated = self.updated.entry(relation.id).or_default();
        updated.extend(assignments.iter().map(|(n, _)| *n));
        if with_fields {
            updated.extend(relation.live_columns().map(|c| c.number));
        }
    }

    fn reads_new_row<'e>(&mut self, target: &WriteTarget, exprs: impl Iterator<Item = &'e Expr>) {
        let attributes = target.new_row.iter().map(|(n, id)| (ScanColumn::Attribute(*n), *id));
        let row: Vec<_> = attributes.chain(target.hidden.iter().copied()).collect();
        self.reads_row(&target.relation, &row, exprs);
    }

    fn reads_row<'e>(
        &mut self,
        relation: &Relation,
        row: &[(ScanColumn, ColumnId)],
        exprs: impl Iterator<Item = &'e Expr>,
    ) {
        for expr in exprs {
            expr.any(&mut |e| {
                let ids = match &e.kind {
                    ExprKind::Column(id) => std::slice::from_ref(id),
                    ExprKind::Subquery(subquery) => &subquery.correlated,
                    _ => &[],
                };
                for (what, _) in row.iter().filter(|(_, id)| ids.contains(id)) {
                    match what {
                        ScanColumn::Attribute(n) => drop(self.read.insert((relation.id, *n))),
                        ScanColumn::Document | ScanColumn::Tail => {
                            self.read.extend(relation.live_columns().map(|c| (relation.id, c.number)));
                        }
                        _ => {}
                    }
                }
                false
            });
        }
    }
}
