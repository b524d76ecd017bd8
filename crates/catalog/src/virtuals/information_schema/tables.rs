//! Tables, views, their columns and the types of these.

use super::super::Scan;
use super::super::row::row;
use super::type_facts::{self, Facts};
use super::{Viewer, nulls, yes_or_no};
use crate::descriptor::*;
use std::sync::Arc;
use types::{Datum, builtin};

/// Tables and views: what information_schema calls tables. Materialized views are not among them.
fn is_listed(relation: &Relation) -> bool {
    let kinds = [RelationKind::Table, RelationKind::Collection, RelationKind::View, RelationKind::Virtual];
    kinds.contains(&relation.kind)
}

fn is_view(relation: &Relation) -> bool {
    super::super::classes::kind_letter(relation) == 'v'
}

/// What can be done with a view, in pg_relation_is_updatable's bits.
const CAN_UPDATE: i32 = 1 << 2;
const CAN_INSERT: i32 = 1 << 3;
const CAN_DELETE: i32 = 1 << 4;

fn abilities(scan: &Scan<'_>, relation: &Arc<Relation>) -> i32 {
    match is_view(relation) {
        true if relation.kind == RelationKind::Virtual => 0,
        true => match (scan.context.updatable)(relation) {
            None => 0,
            Some(columns) if columns.contains(&true) => CAN_UPDATE | CAN_INSERT | CAN_DELETE,
            Some(_) => CAN_DELETE,
        },
        false => CAN_UPDATE | CAN_INSERT | CAN_DELETE,
    }
}

/// Whether each column can be given a value.
fn can_change(scan: &Scan<'_>, relation: &Arc<Relation>) -> Vec<bool> {
    let all = |can: bool| vec![can; relation.columns.len()];
    match is_view(relation) {
        true if relation.kind == RelationKind::Virtual => all(false),
        true => (scan.context.updatable)(relation).unwrap_or_else(|| all(false)),
        false => all(true),
    }
}

/// Relations with their schemas' names, where the query's hints let them through and they are not another session's.
fn listed<'a>(scan: &Scan<'a>, schema_at: i16, name_at: i16) -> Vec<(&'a Arc<Relation>, &'a str)> {
    let temporary = scan.context.scope.temporary_schema;
    scan.relations(None)
        .filter(|r| is_listed(r) && (!r.is_temporary || Some(r.schema) == temporary))
        .map(|r| (r, scan.schema_name(r.schema)))
        .filter(|(r, schema)| scan.wants_text(schema_at, schema) && scan.wants_text(name_at, &r.name))
        .collect()
}

pub(super) fn tables(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema) in listed(scan, 2, 3) {
        if !viewer.sees(r, privilege::ALL_TABLE, privilege::ALL_COLUMN) {
            continue;
        }
        let kind = match () {
            () if r.is_temporary => "LOCAL TEMPORARY",
            () if is_view(r) => "VIEW",
            () => "BASE TABLE",
        };
        let can_insert = abilities(scan, r) & CAN_INSERT != 0;
        scan.push(row![
            viewer.name,
            schema,
            &r.name,
            kind,
            (),
            (),
            (),
            (),
            (),
            yes_or_no(can_insert),
            "NO",
            r.is_temporary.then_some("PRESERVE"),
        ]);
    }
}

pub(super) fn views(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema) in listed(scan, 2, 3) {
        if !is_view(r) || !viewer.sees(r, privilege::ALL_TABLE, privilege::ALL_COLUMN) {
            continue;
        }
        let definition = viewer.is(r.owner).then(|| (scan.context.view)(r)).flatten();
        let check = r.view.as_ref().and_then(|v| v.check_option.as_deref());
        let abilities = abilities(scan, r);
        scan.push(row![
            viewer.name,
            schema,
            &r.name,
            definition,
            check.map_or_else(|| "NONE".to_owned(), str::to_uppercase),
            yes_or_no(abilities & (CAN_UPDATE | CAN_DELETE) == CAN_UPDATE | CAN_DELETE),
            yes_or_no(abilities & CAN_INSERT != 0),
            "NO",
            "NO",
            "NO",
        ]);
    }
}

/// character_maximum_length, character_octet_length.
pub(super) fn lengths(facts: &Facts) -> Vec<Datum> {
    row![facts.character_length, facts.octet_length]
}

/// numeric_precision … interval_precision.
pub(super) fn measures(facts: Facts) -> Vec<Datum> {
    row![
        facts.numeric_precision,
        facts.numeric_radix,
        facts.numeric_scale,
        facts.datetime_precision,
        facts.interval_type,
        (),
    ]
}

/// collation_catalog, collation_schema, collation_name.
fn collation(viewer: &Viewer<'_>, column: &Column) -> Vec<Datum> {
    match type_facts::collation(column) {
        Some(name) => row![viewer.name, "pg_catalog", name],
        None => row![(), (), ()],
    }
}

pub(super) fn columns(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema) in listed(scan, 2, 3) {
        let can_change = can_change(scan, r);
        for column in r.live_columns() {
            if scan.wants_text(4, &column.name) && viewer.sees_column(r, column) {
                let at = usize::try_from(column.number - 1).ok();
                let can_change = at.and_then(|at| can_change.get(at)).copied().unwrap_or(false);
                let row = column_row(&viewer, r, schema, column, can_change);
                scan.push(row);
            }
        }
    }
}

fn column_row(viewer: &Viewer<'_>, r: &Relation, schema: &str, c: &Column, can_change: bool) -> Vec<Datum> {
    let facts = Facts::of(c.ty.into());
    let is_array = type_facts::element(viewer.catalog, c.ty.oid).is_some();
    let data_type = if is_array { "ARRAY".to_owned() } else { type_facts::data_type(c.ty.oid) };
    let (udt_schema, udt_name) = type_facts::udt(viewer.catalog, c.ty.oid);
    let mut row = row![
        viewer.name,
        schema,
        &r.name,
        &c.name,
        i32::from(c.number),
        c.default.as_ref().filter(|_| !c.is_generated).map(|text| viewer.shown(text)),
        yes_or_no(!c.not_null),
        data_type,
    ];
    row.extend(lengths(&facts));
    row.extend(measures(facts));
    row.extend(nulls(3));
    row.extend(collation(viewer, c));
    row.extend(match c.domain.filter(|domain| types::user_type::is_domain(*domain)) {
        Some(domain) => {
            let (domain_schema, domain_name) = type_facts::udt(viewer.catalog, domain);
            row![viewer.name, domain_schema, domain_name]
        }
        None => nulls(3).collect(),
    });
    row.extend(row![viewer.name, udt_schema, udt_name]);
    row.extend(nulls(4));
    row.extend(row![i32::from(c.number).to_string(), "NO"]);
    row.extend(identity(viewer, r, c));
    row.extend(row![
        if c.is_generated { "ALWAYS" } else { "NEVER" },
        c.default.as_ref().filter(|_| c.is_generated),
        yes_or_no(can_change),
    ]);
    row
}

/// is_identity … identity_cycle.
fn identity(viewer: &Viewer<'_>, r: &Relation, c: &Column) -> Vec<Datum> {
    let Some(identity) = c.identity else { return row!["NO", (), (), (), (), (), "NO"] };
    let generation = match identity {
        Identity::Always => "ALWAYS",
        Identity::ByDefault => "BY DEFAULT",
    };
    let owned = |s: &&SequenceDefinition| s.is_identity && s.owned_by == Some((r.id, c.number));
    let sequence = viewer.catalog.relations().find_map(|r| r.sequence.as_ref().filter(owned));
    let number = |get: fn(&SequenceDefinition) -> i64| sequence.map(|s| get(s).to_string());
    row![
        "YES",
        generation,
        number(|s| s.start),
        number(|s| s.increment),
        number(|s| s.max),
        number(|s| s.min),
        yes_or_no(sequence.is_some_and(|s| s.cycle)),
    ]
}

/// Free-standing composite types that the viewer may use.
fn composites<'a>(scan: &Scan<'a>) -> Vec<(&'a Arc<Relation>, &'a str)> {
    let types = scan.user_relations(None).filter(|r| r.kind == RelationKind::Composite);
    types.map(|r| (r, scan.schema_name(r.schema))).collect()
}

pub(super) fn user_defined_types(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema) in composites(scan) {
        let mut row = row![viewer.name, schema, &r.name, "STRUCTURED", "YES"];
        row.extend(nulls(24));
        scan.push(row);
    }
}

pub(super) fn attributes(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema) in composites(scan) {
        for c in r.live_columns() {
            let facts = Facts::of(c.ty.into());
            let is_array = type_facts::element(viewer.catalog, c.ty.oid).is_some();
            let data_type = if is_array { "ARRAY".to_owned() } else { type_facts::data_type(c.ty.oid) };
            let (udt_schema, udt_name) = type_facts::udt(viewer.catalog, c.ty.oid);
            let mut row = row![
                viewer.name,
                schema,
                &r.name,
                &c.name,
                i32::from(c.number),
                c.default.as_ref(),
                yes_or_no(!c.not_null),
                data_type,
            ];
            row.extend(lengths(&facts));
            row.extend(nulls(3));
            row.extend(collation(&viewer, c));
            row.extend(measures(facts));
            row.extend(row![viewer.name, udt_schema, udt_name]);
            row.extend(nulls(4));
            row.extend(row![i32::from(c.number).to_string(), "NO"]);
            scan.push(row);
        }
    }
}

pub(super) fn column_udt_usage(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    // Built-in types belong to the bootstrap role.
    for (r, schema) in listed(scan, 5, 6) {
        for c in r.live_columns() {
            let owner = viewer.catalog.relation_of_type(c.ty.oid).map_or(POSTGRES_ROLE, |r| r.owner);
            let is_builtin = builtin::type_by_oid(c.ty.oid).is_some();
            if viewer.is(if is_builtin { POSTGRES_ROLE } else { owner }) {
                let (udt_schema, udt_name) = type_facts::udt(viewer.catalog, c.ty.oid);
                scan.push(row![viewer.name, udt_schema, udt_name, viewer.name, schema, &r.name, &c.name]);
            }
        }
    }
}

/// Columns and attributes with what they belong to: relation, schema, kind of object, column.
type Place<'a> = (&'a Arc<Relation>, &'a str, &'static str, &'a Column);

fn places<'a>(scan: &Scan<'a>) -> Vec<Place<'a>> {
    let viewer = Viewer::new(scan);
    let tables = listed(scan, 2, 3).into_iter().map(|(r, schema)| (r, schema, "TABLE"));
    let types = composites(scan).into_iter().map(|(r, schema)| (r, schema, "USER-DEFINED TYPE"));
    let all = tables.chain(types).flat_map(|(r, schema, kind)| r.live_columns().map(move |c| (r, schema, kind, c)));
    all.filter(|(r, _, _, c)| r.kind == RelationKind::Composite || viewer.sees_column(r, c)).collect()
}

pub(super) fn data_type_privileges(scan: &mut Scan<'_>) {
    let name = Viewer::new(scan).name;
    for (r, schema, kind, c) in places(scan) {
        scan.push(row![name, schema, &r.name, kind, i32::from(c.number).to_string()]);
    }
}

pub(super) fn element_types(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for (r, schema, kind, c) in places(scan) {
        let Some(element) = type_facts::element(viewer.catalog, c.ty.oid) else { continue };
        let (udt_schema, udt_name) = type_facts::udt(viewer.catalog, element);
        let number = i32::from(c.number).to_string();
        let mut row = row![viewer.name, schema, &r.name, kind, &number, type_facts::data_type(element)];
        // Lengths and precisions of elements are not told.
        row.extend(nulls(15));
        row.extend(row![viewer.name, udt_schema, udt_name]);
        row.extend(nulls(4));
        row.extend(row![format!("a{number}")]);
        scan.push(row);
    }
}

pub(super) fn view_table_usage(scan: &mut Scan<'_>) {
    view_usage(scan, false);
}

pub(super) fn view_column_usage(scan: &mut Scan<'_>) {
    view_usage(scan, true);
}

/// What a view reads, of relations that the viewer owns.
fn view_usage(scan: &mut Scan<'_>, with_columns: bool) {
    let viewer = Viewer::new(scan);
    for view in scan.user_relations(None).filter(|r| r.kind == RelationKind::View) {
        let schema = scan.schema_name(view.schema);
        let Some(definition) = &view.view else { continue };
        let mut used: Vec<_> = definition.depends_on.clone();
        if !with_columns {
            used.iter_mut().for_each(|(_, column)| *column = 0);
        }
        used.sort_unstable();
        used.dedup();
        for (id, number) in used {
            let Some(table) = viewer.catalog.relation(id).filter(|t| is_listed(t) && viewer.is(t.owner)) else {
                continue;
            };
            let mut row =
                row![viewer.name, schema, &view.name, viewer.name, scan.schema_name(table.schema), &table.name];
            if with_columns {
                let Some(column) = table.column(number) else { continue };
                row.extend(row![&column.name]);
            }
            scan.push(row);
        }
    }
}
