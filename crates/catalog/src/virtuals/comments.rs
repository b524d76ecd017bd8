//! pg_description and pg_shdescription: what COMMENT ON said.

use super::row::row;
use super::{RowsFn, Scan};
use crate::descriptor::RelationKind;
use types::Oid;

pub(super) const RELATIONS: &[(&str, RowsFn)] =
    &[("pg_description", pg_description), ("pg_shdescription", pg_shdescription)];

const PG_CLASS: Oid = 1259;
const PG_TYPE: Oid = 1247;
const PG_CONSTRAINT: Oid = 2606;
const PG_NAMESPACE: Oid = 2615;
const PG_REWRITE: Oid = 2618;
const PG_PROC: Oid = 1255;
const PG_OPERATOR: Oid = 2617;
const PG_DATABASE: Oid = 1262;
const PG_AUTHID: Oid = 1260;

fn push(scan: &mut Scan<'_>, object: Oid, class: Oid, column: i32, comment: Option<&String>) {
    if let Some(comment) = comment.filter(|_| scan.wants(1, object) && scan.wants(2, class)) {
        scan.push(row![object, class, column, comment]);
    }
}

fn pg_description(scan: &mut Scan<'_>) {
    for schema in scan.schemas() {
        push(scan, schema.id, PG_NAMESPACE, 0, schema.comment.as_ref());
    }
    for function in scan.functions() {
        push(scan, function.id, PG_PROC, 0, function.comment.as_ref());
    }
    for operator in scan.operators() {
        push(scan, operator.id, PG_OPERATOR, 0, operator.comment.as_ref());
    }
    for ty in scan.scalar_types() {
        push(scan, ty.row_type, PG_TYPE, 0, ty.comment.as_ref());
        for constraint in &ty.constraints {
            push(scan, constraint.id, PG_CONSTRAINT, 0, constraint.comment.as_ref());
        }
    }
    for relation in scan.user_relations(None) {
        match relation.kind {
            RelationKind::Composite => push(scan, relation.row_type, PG_TYPE, 0, relation.comment.as_ref()),
            _ => push(scan, relation.id, PG_CLASS, 0, relation.comment.as_ref()),
        }
        for column in relation.live_columns() {
            push(scan, relation.id, PG_CLASS, i32::from(column.number), column.comment.as_ref());
        }
        for constraint in &relation.constraints {
            push(scan, constraint.id, PG_CONSTRAINT, 0, constraint.comment.as_ref());
        }
        for rule in scan.catalog.rules_of(relation.id) {
            push(scan, rule.id, PG_REWRITE, 0, rule.comment.as_ref());
        }
    }
    for (index, _) in scan.indexes(None) {
        push(scan, index.id, PG_CLASS, 0, index.comment.as_ref());
    }
}

fn pg_shdescription(scan: &mut Scan<'_>) {
    let catalog = scan.catalog;
    let mut add = |object: Oid, class: Oid, comment: Option<&String>| {
        if let Some(comment) = comment.filter(|_| scan.wants(1, object) && scan.wants(2, class)) {
            scan.push(row![object, class, comment]);
        }
    };
    for database in catalog.databases() {
        add(database.id, PG_DATABASE, database.comment.as_ref());
    }
    for role in catalog.roles() {
        add(role.id, PG_AUTHID, role.comment.as_ref());
    }
}
