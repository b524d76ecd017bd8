//! pg_constraint.

use super::row::{array_or_null, row};
use super::{RowsFn, Scan};
use crate::descriptor::*;
use types::{Datum, Oid, builtin, oid};

pub(super) const RELATIONS: &[(&str, RowsFn)] = &[("pg_constraint", pg_constraint)];

fn pg_constraint(scan: &mut Scan<'_>) {
    for relation in scan.user_relations(scan.oid(8)) {
        for constraint in &relation.constraints {
            let is_wanted = scan.wants(1, constraint.id) && scan.wants_text(2, &constraint.name);
            if is_wanted {
                push(scan, relation, constraint);
            }
        }
    }
    if scan.oid(8).is_none_or(|id| id == 0) {
        let of_types = scan.scalar_types().flat_map(|ty| ty.constraints.iter().map(move |c| (ty, c)));
        for (ty, constraint) in of_types.filter(|(ty, _)| scan.wants(9, ty.row_type)).collect::<Vec<_>>() {
            if scan.wants(1, constraint.id) && scan.wants_text(2, &constraint.name) {
                push(scan, ty, constraint);
            }
        }
    }
}

/// pg_constraint.contype.
pub(super) fn type_letter(kind: &ConstraintKind) -> char {
    match kind {
        ConstraintKind::PrimaryKey { .. } => 'p',
        ConstraintKind::Unique { .. } => 'u',
        ConstraintKind::Check { .. } => 'c',
        ConstraintKind::ForeignKey(_) => 'f',
    }
}

/// The columns that a constraint is about.
pub(super) fn columns(scan: &Scan<'_>, constraint: &Constraint) -> Vec<AttributeNumber> {
    match &constraint.kind {
        ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => {
            let index = scan.catalog.index(*index);
            let columns = index.into_iter().flat_map(|i| &i.columns);
            let number = |c: &IndexColumn| match c.source {
                IndexSource::Column(number) => Some(number),
                IndexSource::Expression(_) => None,
            };
            columns.filter_map(number).collect()
        }
        ConstraintKind::Check { columns, .. } => columns.clone(),
        ConstraintKind::ForeignKey(key) => key.columns.clone(),
    }
}

fn action(action: ReferentialAction) -> char {
    match action {
        ReferentialAction::NoAction => 'a',
        ReferentialAction::Restrict => 'r',
        ReferentialAction::Cascade => 'c',
        ReferentialAction::SetNull => 'n',
        ReferentialAction::SetDefault => 'd',
    }
}

fn push(scan: &mut Scan<'_>, relation: &Relation, c: &Constraint) {
    let key = match &c.kind {
        ConstraintKind::ForeignKey(key) => Some(key),
        _ => None,
    };
    let (index, check, no_inherit) = match &c.kind {
        ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => (*index, None, true),
        ConstraintKind::ForeignKey(key) => (key.target_index, None, true),
        ConstraintKind::Check { expression, no_inherit, .. } => (0, Some(expression), *no_inherit),
    };
    let none = || Datum::text(" ");
    let letter = |c: Option<char>| c.map_or_else(none, |c| Datum::text(c.to_string()));
    let [across, target, own] = key.map(|key| key_operators(scan, relation, key)).unwrap_or_default();
    let deletes = key.map(|k| k.delete_set_columns.clone()).unwrap_or_default();
    scan.push(row![
        c.id,
        &c.name,
        relation.schema,
        type_letter(&c.kind),
        c.deferrable,
        c.initially_deferred,
        c.is_validated,
        if relation.is_scalar_type() { 0 } else { relation.id },
        if relation.is_scalar_type() { relation.row_type } else { 0 },
        index,
        0u32,
        key.map_or(0, |k| k.target),
        letter(key.map(|k| action(k.on_update))),
        letter(key.map(|k| action(k.on_delete))),
        letter(key.map(|k| if k.match_full { 'f' } else { 's' })),
        true,
        0i32,
        no_inherit,
        array_or_null(oid::INT2, columns(scan, c)),
        array_or_null(oid::INT2, key.map(|k| k.target_columns.clone()).unwrap_or_default()),
        array_or_null(oid::OID, across),
        array_or_null(oid::OID, target),
        array_or_null(oid::OID, own),
        array_or_null(oid::INT2, deletes),
        (),
        check,
    ]);
}

/// Equality between the target's and the key's columns, among the target's, and among the key's.
fn key_operators(scan: &Scan<'_>, relation: &Relation, key: &ForeignKey) -> [Vec<Oid>; 3] {
    let types = |relation: Option<&Relation>, numbers: &[AttributeNumber]| -> Vec<Oid> {
        numbers.iter().map(|n| relation.and_then(|r| r.column(*n)).map_or(0, |c| c.ty.oid)).collect()
    };
    let own = types(Some(relation), &key.columns);
    let target = types(scan.catalog.relation(key.target).map(|r| &**r), &key.target_columns);
    let pairs = |left: &[Oid], right: &[Oid]| left.iter().zip(right).map(|(l, r)| equality(*l, *r)).collect();
    [pairs(&target, &own), pairs(&target, &target), pairs(&own, &own)]
}

fn equality(left: Oid, right: Oid) -> Oid {
    let read_as = |ty: Oid| match ty {
        oid::VARCHAR => oid::TEXT,
        ty if builtin::element_of(ty).is_some() => oid::ANYARRAY,
        ty => ty,
    };
    let find = |l: Oid, r: Oid| builtin::operators_by_name("=").iter().find(|o| o.left == l && o.right == r);
    find(left, right).or_else(|| find(read_as(left), read_as(right))).map_or(0, |o| o.oid)
}
