//! Domains: what they are, their checks, and the columns that have them.

use super::super::row::row;
use super::super::{Scan, listings};
use super::tables::{lengths, measures};
use super::type_facts::{self, Facts};
use super::{Viewer, nulls, yes_or_no};
use crate::descriptor::*;
use std::sync::Arc;
use types::SqlType;

/// Domains with their schemas' names and definitions.
fn all<'a>(scan: &Scan<'a>) -> Vec<(&'a Arc<Relation>, &'a str, &'a DomainDefinition)> {
    let with_definition = |r: &'a Arc<Relation>| match &r.definition {
        Some(TypeDefinition::Domain(definition)) => Some((r, definition)),
        _ => None,
    };
    let found = scan.scalar_types().filter_map(with_definition);
    found.map(|(r, definition)| (r, scan.schema_name(r.schema), definition)).collect()
}

pub(super) fn domains(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema, definition) in all(scan) {
        let base = SqlType::from(definition.base);
        let facts = Facts::of(base);
        let (udt_schema, udt_name) = type_facts::udt(viewer.catalog, base.oid);
        let mut row = row![viewer.name, schema, &r.name, type_facts::data_type(base.oid)];
        row.extend(lengths(&facts));
        row.extend(nulls(3));
        row.extend(nulls(3));
        row.extend(measures(facts));
        row.extend(row![definition.default.as_ref().map(|text| viewer.shown(text)), viewer.name, udt_schema, udt_name]);
        row.extend(nulls(4));
        row.extend(row!["1"]);
        scan.push(row);
    }
}

pub(super) fn domain_constraints(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema, _) in all(scan).into_iter().filter(|(r, ..)| viewer.is(r.owner)) {
        for c in &r.constraints {
            scan.push(row![
                viewer.name,
                schema,
                &c.name,
                viewer.name,
                schema,
                &r.name,
                yes_or_no(c.deferrable),
                yes_or_no(c.initially_deferred),
            ]);
        }
    }
}

/// The part of check_constraints that is about domains.
pub(super) fn checks(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema, _) in all(scan).into_iter().filter(|(r, ..)| viewer.is(r.owner)) {
        for c in &r.constraints {
            let text = listings::definitions(scan).constraint_of(r, c);
            let clause = text.strip_prefix("CHECK ").unwrap_or(&text);
            scan.push(row![viewer.name, schema, &c.name, clause]);
        }
    }
}

pub(super) fn domain_udt_usage(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema, definition) in all(scan).into_iter().filter(|(r, ..)| viewer.is(r.owner)) {
        let (udt_schema, udt_name) = type_facts::udt(viewer.catalog, definition.base.oid);
        scan.push(row![viewer.name, udt_schema, udt_name, viewer.name, schema, &r.name]);
    }
}

pub(super) fn column_domain_usage(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (domain, schema, _) in all(scan).into_iter().filter(|(r, ..)| viewer.is(r.owner)) {
        for r in scan.user_relations(None).filter(|r| r.kind != RelationKind::Composite).collect::<Vec<_>>() {
            for c in r.live_columns().filter(|c| c.domain == Some(domain.row_type)) {
                let table_schema = scan.schema_name(r.schema);
                scan.push(row![viewer.name, schema, &domain.name, viewer.name, table_schema, &r.name, &c.name]);
            }
        }
    }
}
