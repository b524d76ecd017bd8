//! The readable views: pg_tables, pg_views, pg_matviews, pg_indexes, pg_rules, pg_sequences.

use super::row::row;
use super::{RowsFn, Scan};
use crate::definitions::Definitions;
use crate::descriptor::*;
use crate::privileges::{self, Target};

pub(super) const RELATIONS: &[(&str, RowsFn)] = &[
    ("pg_indexes", pg_indexes),
    ("pg_matviews", pg_matviews),
    ("pg_rules", pg_rules),
    ("pg_sequences", pg_sequences),
    ("pg_tables", pg_tables),
    ("pg_views", pg_views),
];

/// How definitions are told in a scan: in full form.
pub(super) fn definitions<'a>(scan: &Scan<'a>) -> Definitions<'a> {
    Definitions { catalog: scan.catalog, scope: scan.context.scope, pretty: None }
}

fn pg_tables(scan: &mut Scan<'_>) {
    for r in scan.relations(None).filter(|r| super::classes::kind_letter(r) == 'r') {
        let schema = scan.schema_name(r.schema);
        if !scan.wants_text(1, schema) || !scan.wants_text(2, &r.name) {
            continue;
        }
        let has_keys = r.constraints.iter().any(|c| matches!(c.kind, ConstraintKind::ForeignKey(_)))
            || scan.catalog.foreign_keys_to(r.id).next().is_some();
        let owner = scan.role_name(r.owner);
        let has_rules = scan.catalog.rules_of(r.id).next().is_some();
        scan.push(row![schema, &r.name, owner, (), !r.indexes.is_empty(), has_rules, has_keys, r.row_security]);
    }
}

fn pg_views(scan: &mut Scan<'_>) {
    for r in scan.relations(None).filter(|r| super::classes::kind_letter(r) == 'v') {
        let schema = scan.schema_name(r.schema);
        if scan.wants_text(1, schema) && scan.wants_text(2, &r.name) {
            let owner = scan.role_name(r.owner);
            let definition = (scan.context.view)(r);
            scan.push(row![schema, &r.name, owner, definition]);
        }
    }
}

fn pg_matviews(scan: &mut Scan<'_>) {
    for r in scan.user_relations(None).filter(|r| r.kind == RelationKind::MaterializedView) {
        let schema = scan.schema_name(r.schema);
        if scan.wants_text(1, schema) && scan.wants_text(2, &r.name) {
            let owner = scan.role_name(r.owner);
            let definition = (scan.context.view)(r);
            let has_indexes = !r.indexes.is_empty();
            scan.push(row![schema, &r.name, owner, (), has_indexes, r.is_populated(), definition]);
        }
    }
}

/// But those that views are made of.
fn pg_rules(scan: &mut Scan<'_>) {
    for relation in scan.relations(None) {
        let schema = scan.schema_name(relation.schema);
        if !scan.wants_text(1, schema) || !scan.wants_text(2, &relation.name) {
            continue;
        }
        for rule in scan.catalog.rules_of(relation.id) {
            let definition = definitions(scan).rule(rule.id, |_| None, scan.context.rule);
            scan.push(row![schema, &relation.name, &rule.name, definition]);
        }
    }
}

fn pg_indexes(scan: &mut Scan<'_>) {
    for (index, relation) in scan.indexes(None) {
        let schema = scan.schema_name(relation.schema);
        let is_wanted =
            scan.wants_text(1, schema) && scan.wants_text(2, &relation.name) && scan.wants_text(3, &index.name);
        if is_wanted {
            let definition = definitions(scan).index(index.id);
            scan.push(row![schema, &relation.name, &index.name, (), definition]);
        }
    }
}

fn pg_sequences(scan: &mut Scan<'_>) {
    for r in scan.user_relations(None) {
        let Some(s) = &r.sequence else { continue };
        let schema = scan.schema_name(r.schema);
        if !scan.wants_text(1, schema) || !scan.wants_text(2, &r.name) {
            continue;
        }
        let owner = scan.role_name(r.owner);
        let may_read =
            privileges::held(scan.catalog, scan.role, Target::Relation(r), privilege::SELECT | privilege::USAGE);
        let last = if may_read != 0 { (scan.context.last_value)(r) } else { None };
        scan.push(row![schema, &r.name, owner, s.ty, s.start, s.min, s.max, s.increment, s.cycle, s.cache, last]);
    }
}
