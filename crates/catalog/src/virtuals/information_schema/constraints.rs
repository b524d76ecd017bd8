//! Constraints. NOT NULL is shown as a CHECK, with a name made of numbers, as PostgreSQL 15 does.

use super::super::row::row;
use super::super::{Scan, classes, constraints, listings};
use super::{BEYOND_SELECT, Viewer, yes_or_no};
use crate::descriptor::*;
use std::sync::Arc;

const COLUMN_RIGHTS: u32 = privilege::INSERT | privilege::UPDATE | privilege::REFERENCES;

/// Tables that users made.
fn tables<'a>(scan: &Scan<'a>) -> Vec<(&'a Arc<Relation>, &'a str)> {
    let kinds = [RelationKind::Table, RelationKind::Collection];
    let mine = scan.user_relations(None).filter(|r| kinds.contains(&r.kind));
    mine.map(|r| (r, scan.schema_name(r.schema))).collect()
}

fn not_null_name(relation: &Relation, column: &Column) -> String {
    format!("{}_{}_{}_not_null", relation.schema, relation.id, column.number)
}

pub(super) fn table_constraints(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema) in tables(scan) {
        let is_wanted = scan.wants_text(5, schema) && scan.wants_text(6, &r.name);
        if !is_wanted || !viewer.sees(r, BEYOND_SELECT, COLUMN_RIGHTS) {
            continue;
        }
        for c in &r.constraints {
            let (kind, nulls_distinct) = match &c.kind {
                ConstraintKind::PrimaryKey { .. } => ("PRIMARY KEY", None),
                ConstraintKind::Unique { index } => {
                    let equal = viewer.catalog.index(*index).is_some_and(|i| i.nulls_not_distinct);
                    ("UNIQUE", Some(yes_or_no(!equal)))
                }
                ConstraintKind::Check { .. } => ("CHECK", None),
                ConstraintKind::ForeignKey(_) => ("FOREIGN KEY", None),
            };
            scan.push(row![
                viewer.name,
                schema,
                &c.name,
                viewer.name,
                schema,
                &r.name,
                kind,
                yes_or_no(c.deferrable),
                yes_or_no(c.initially_deferred),
                "YES",
                nulls_distinct,
            ]);
        }
        for column in r.live_columns().filter(|c| c.not_null) {
            let name = not_null_name(r, column);
            scan.push(row![viewer.name, schema, name, viewer.name, schema, &r.name, "CHECK", "NO", "NO", "YES", ()]);
        }
    }
}

pub(super) fn check_constraints(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema) in tables(scan).into_iter().filter(|(r, _)| viewer.is(r.owner)) {
        for c in r.constraints.iter().filter(|c| matches!(c.kind, ConstraintKind::Check { .. })) {
            let text = listings::definitions(scan).constraint_of(r, c);
            let clause = text.strip_prefix("CHECK ").unwrap_or(&text);
            scan.push(row![viewer.name, schema, &c.name, clause]);
        }
        for column in r.live_columns().filter(|c| c.not_null) {
            let clause = format!("{} IS NOT NULL", column.name);
            scan.push(row![viewer.name, schema, not_null_name(r, column), clause]);
        }
    }
}

pub(super) fn referential_constraints(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema) in tables(scan) {
        if !viewer.sees(r, BEYOND_SELECT, COLUMN_RIGHTS) {
            continue;
        }
        for c in &r.constraints {
            let ConstraintKind::ForeignKey(key) = &c.kind else { continue };
            let target = viewer.catalog.relation(key.target);
            let unique = target.and_then(|t| Some((t, classes::constraint_of(t, key.target_index)?)));
            let (unique_schema, unique_name) = match unique {
                Some((target, unique)) => (Some(scan.schema_name(target.schema)), Some(unique.name.as_str())),
                None => (None, None),
            };
            scan.push(row![
                viewer.name,
                schema,
                &c.name,
                unique_name.map(|_| viewer.name),
                unique_schema,
                unique_name,
                if key.match_full { "FULL" } else { "NONE" },
                rule(key.on_update),
                rule(key.on_delete),
            ]);
        }
    }
}

fn rule(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "NO ACTION",
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    }
}

pub(super) fn key_column_usage(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema) in tables(scan) {
        if !scan.wants_text(5, schema) || !scan.wants_text(6, &r.name) {
            continue;
        }
        for c in r.constraints.iter().filter(|c| !matches!(c.kind, ConstraintKind::Check { .. })) {
            for (number, place) in constraints::columns(scan, c).into_iter().zip(1i32..) {
                let Some(column) = r.column(number).filter(|column| viewer.sees_column(r, column)) else { continue };
                let in_target = match &c.kind {
                    ConstraintKind::ForeignKey(key) => place_in_target(scan, key, place),
                    _ => None,
                };
                scan.push(row![
                    viewer.name,
                    schema,
                    &c.name,
                    viewer.name,
                    schema,
                    &r.name,
                    &column.name,
                    place,
                    in_target,
                ]);
            }
        }
    }
}

/// Where the target of a key's column stands in the unique constraint that it points at.
fn place_in_target(scan: &Scan<'_>, key: &ForeignKey, place: i32) -> Option<i32> {
    let target = *key.target_columns.get(usize::try_from(place - 1).ok()?)?;
    let index = scan.catalog.index(key.target_index)?;
    let at = index.columns.iter().position(|c| c.source == IndexSource::Column(target))?;
    i32::try_from(at + 1).ok()
}

pub(super) fn constraint_column_usage(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema) in tables(scan) {
        for c in &r.constraints {
            let (table, columns) = match &c.kind {
                ConstraintKind::ForeignKey(key) => match viewer.catalog.relation(key.target) {
                    Some(target) => (target, key.target_columns.clone()),
                    None => continue,
                },
                _ => (r, constraints::columns(scan, c)),
            };
            let table_schema = scan.schema_name(table.schema);
            let is_wanted = scan.wants_text(2, table_schema) && scan.wants_text(3, &table.name);
            if !is_wanted || !viewer.is(table.owner) {
                continue;
            }
            for column in columns.iter().filter_map(|n| table.column(*n)) {
                scan.push(row![viewer.name, table_schema, &table.name, &column.name, viewer.name, schema, &c.name,]);
            }
        }
    }
}

pub(super) fn constraint_table_usage(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema) in tables(scan) {
        for c in &r.constraints {
            let table = match &c.kind {
                ConstraintKind::ForeignKey(key) => viewer.catalog.relation(key.target),
                ConstraintKind::Check { .. } => None,
                _ => Some(r),
            };
            let Some(table) = table.filter(|t| viewer.is(t.owner)) else { continue };
            scan.push(row![viewer.name, scan.schema_name(table.schema), &table.name, viewer.name, schema, &c.name]);
        }
    }
}
