//! What relations are: pg_class, pg_namespace, pg_index, pg_sequence.

use super::row::{options, row, vector};
use super::{RowsFn, Scan};
use crate::descriptor::*;
use types::{Oid, oid};

pub(super) const RELATIONS: &[(&str, RowsFn)] =
    &[("pg_class", pg_class), ("pg_index", pg_index), ("pg_namespace", pg_namespace), ("pg_sequence", pg_sequence)];

const HEAP: Oid = 2;
const BTREE: Oid = 403;
const HASH: Oid = 405;
/// Bytes of what PostgreSQL calls a page.
const PAGE: u64 = 8192;

fn pg_class(scan: &mut Scan<'_>) {
    if let Some(id) = scan.oid(1) {
        return one_class(scan, id);
    }
    if let (Some(schema), Some(name)) = (scan.oid(3), scan.text(2)) {
        if let Some(id) = scan.catalog.id_by_name(schema, name) {
            one_class(scan, id);
        }
        return;
    }
    // A type's relation: drivers ask for the fields of each type that they meet.
    if let Some(row_type) = scan.oid(4).filter(|ty| *ty != 0) {
        if let Some(relation) = scan.catalog.type_descriptor(row_type) {
            one_class(scan, relation.id);
        }
        return;
    }
    for relation in scan.relations(None) {
        if scan.wants_text(2, &relation.name) && scan.wants(3, relation.schema) {
            class_of_relation(scan, relation);
        }
    }
    for (index, relation) in scan.indexes(None) {
        if scan.wants_text(2, &index.name) && scan.wants(3, index.schema) {
            class_of_index(scan, index, relation);
        }
    }
}

fn one_class(scan: &mut Scan<'_>, id: Oid) {
    if let Some(relation) = scan.relations(Some(id)).next() {
        class_of_relation(scan, relation);
    } else if let Some((index, relation)) = scan.indexes(Some(id)).next() {
        class_of_index(scan, index, relation);
    }
}

/// pg_class.relkind.
pub(super) fn kind_letter(relation: &Relation) -> char {
    match relation.kind {
        RelationKind::Table | RelationKind::Collection => 'r',
        RelationKind::Virtual => super::relation(relation.id).map_or('r', |r| r.kind),
        RelationKind::View => 'v',
        RelationKind::MaterializedView => 'm',
        RelationKind::Sequence => 'S',
        // Enums and domains are no relations: nobody asks.
        RelationKind::Composite | RelationKind::Enum | RelationKind::Domain => 'c',
    }
}

/// What differs between relations and indexes; the rest is the same for all.
struct Class<'a> {
    id: Oid,
    name: &'a str,
    schema: Oid,
    row_type: Oid,
    owner: Oid,
    method: Oid,
    storage: Oid,
    bytes: u64,
    rows: f32,
    has_index: bool,
    is_temporary: bool,
    kind: char,
    columns: usize,
    checks: usize,
    has_rules: bool,
    has_triggers: bool,
    row_security: bool,
    is_populated: bool,
    acl: types::Datum,
    options: types::Datum,
}

fn class_of_relation(scan: &mut Scan<'_>, r: &Relation) {
    let has_rows = r.has_rows();
    let (live, bytes) = if has_rows { (scan.context.size)(r) } else { (0, 0) };
    let is_analyzed = scan.catalog.statistics(r.id).is_some();
    let has_keys = r.constraints.iter().any(|c| matches!(c.kind, ConstraintKind::ForeignKey(_)))
        || scan.catalog.foreign_keys_to(r.id).next().is_some();
    let kind = kind_letter(r);
    let acl = scan.acl(r.privileges.as_deref());
    push_class(
        scan,
        Class {
            id: r.id,
            name: &r.name,
            schema: r.schema,
            row_type: if r.kind == RelationKind::Sequence { 0 } else { r.row_type },
            owner: r.owner,
            method: if matches!(kind, 'r' | 'm') { HEAP } else { 0 },
            storage: if has_rows || r.kind == RelationKind::Sequence { r.storage } else { 0 },
            bytes,
            // -1: never analyzed, as PostgreSQL has it.
            rows: match r.kind {
                RelationKind::Sequence => 1.0,
                _ if is_analyzed => live as f32,
                _ if has_rows => -1.0,
                _ => 0.0,
            },
            has_index: !r.indexes.is_empty(),
            is_temporary: r.is_temporary,
            kind,
            columns: r.columns.len(),
            checks: r.constraints.iter().filter(|c| matches!(c.kind, ConstraintKind::Check { .. })).count(),
            has_rules: matches!(kind, 'v' | 'm') || scan.catalog.rules_of(r.id).next().is_some(),
            has_triggers: has_keys,
            row_security: r.row_security,
            is_populated: r.is_populated(),
            acl,
            options: options(&r.options),
        },
    );
}

fn class_of_index(scan: &mut Scan<'_>, i: &Index, relation: &Relation) {
    let rows = (scan.context.size)(relation).0 as f32;
    push_class(
        scan,
        Class {
            id: i.id,
            name: &i.name,
            schema: i.schema,
            row_type: 0,
            owner: relation.owner,
            method: if i.method == "hash" { HASH } else { BTREE },
            storage: i.storage,
            bytes: 0,
            rows,
            has_index: false,
            is_temporary: relation.is_temporary,
            kind: 'i',
            columns: i.columns.len() + i.included.len(),
            checks: 0,
            has_rules: false,
            has_triggers: false,
            row_security: false,
            is_populated: true,
            acl: types::Datum::Null,
            options: options(&i.options),
        },
    );
}

fn push_class(scan: &mut Scan<'_>, c: Class<'_>) {
    scan.push(row![
        c.id,
        c.name,
        c.schema,
        c.row_type,
        0u32,
        c.owner,
        c.method,
        c.storage,
        0u32,
        i32::try_from(c.bytes.div_ceil(PAGE)).unwrap_or(i32::MAX),
        c.rows,
        0i32,
        0u32,
        c.has_index,
        false,
        if c.is_temporary { 't' } else { 'p' },
        c.kind,
        c.columns as i16,
        c.checks as i16,
        c.has_rules,
        c.has_triggers,
        false,
        c.row_security,
        false,
        c.is_populated,
        // Without a primary key PostgreSQL's default identity still is `d`.
        if matches!(c.kind, 'r' | 'm') { 'd' } else { 'n' },
        false,
        0u32,
        0u32,
        0u32,
        c.acl,
        c.options,
        (),
    ]);
}

fn pg_namespace(scan: &mut Scan<'_>) {
    for schema in scan.schemas() {
        if scan.wants(1, schema.id) && scan.wants_text(2, &schema.name) {
            let acl = scan.acl(schema.privileges.as_deref());
            scan.push(row![schema.id, &schema.name, schema.owner, acl]);
        }
    }
}

fn pg_index(scan: &mut Scan<'_>) {
    let of_relation = scan.oid(2);
    if let (Some(id), None) = (of_relation, scan.oid(1)) {
        let Some(relation) = scan.relations(Some(id)).next() else { return };
        for index in scan.catalog.indexes_of(relation) {
            push_index(scan, index, relation);
        }
        return;
    }
    for (index, relation) in scan.indexes(scan.oid(1)) {
        if scan.wants(2, relation.id) {
            push_index(scan, index, relation);
        }
    }
}

const INDOPTION_DESC: i16 = 1;
const INDOPTION_NULLS_FIRST: i16 = 2;

fn push_index(scan: &mut Scan<'_>, i: &Index, relation: &Relation) {
    let constraint = constraint_of(relation, i.id);
    let is_primary = constraint.is_some_and(|c| matches!(c.kind, ConstraintKind::PrimaryKey { .. }));
    let number = |c: &IndexColumn| match c.source {
        IndexSource::Column(number) => number,
        IndexSource::Expression(_) => 0,
    };
    let keys = i.columns.iter().map(number).chain(i.included.iter().copied());
    let expressions: Vec<&str> = i
        .columns
        .iter()
        .filter_map(|c| match &c.source {
            IndexSource::Expression(text) => Some(text.as_str()),
            IndexSource::Column(_) => None,
        })
        .collect();
    let direction = |c: &IndexColumn| {
        let descending = if c.descending { INDOPTION_DESC } else { 0 };
        descending | if c.nulls_first { INDOPTION_NULLS_FIRST } else { 0 }
    };
    let is_public = i.state == IndexState::Public;
    scan.push(row![
        i.id,
        relation.id,
        (i.columns.len() + i.included.len()) as i16,
        i.columns.len() as i16,
        i.is_unique || is_primary,
        i.nulls_not_distinct,
        is_primary,
        false,
        !constraint.is_some_and(|c| c.deferrable),
        false,
        is_public,
        false,
        true,
        true,
        false,
        vector(oid::INT2, keys),
        vector(oid::OID, i.columns.iter().map(|c| c.collation)),
        vector(oid::OID, i.columns.iter().map(|c| operator_class(c, i.method == "hash"))),
        vector(oid::INT2, i.columns.iter().map(direction)),
        (!expressions.is_empty()).then(|| expressions.join(", ")),
        i.predicate.as_deref(),
    ]);
}

/// The constraint that an index stands behind.
pub(super) fn constraint_of(relation: &Relation, index: Oid) -> Option<&Constraint> {
    relation.constraints.iter().find(|c| match c.kind {
        ConstraintKind::PrimaryKey { index: id } | ConstraintKind::Unique { index: id } => id == index,
        _ => false,
    })
}

/// pg_opclass's OID: the one named, or the default of the column's type; 0 where there is none.
fn operator_class(column: &IndexColumn, is_hash: bool) -> Oid {
    let method = if is_hash { HASH } else { BTREE };
    super::fixed::operator_class(method, column.opclass.as_deref(), column.ty.oid)
}

fn pg_sequence(scan: &mut Scan<'_>) {
    for relation in scan.relations(scan.oid(1)) {
        let Some(s) = &relation.sequence else { continue };
        scan.push(row![relation.id, s.ty, s.start, s.increment, s.max, s.min, s.cache, s.cycle]);
    }
}
