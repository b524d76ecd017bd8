//! `pg_class`: one row for each relation, view, sequence and index.

use super::*;
use types::oid;

pub(super) fn relation() -> VirtualRelation {
    VirtualRelation { id: 1259, row_type: 83, schema: PG_CATALOG_SCHEMA, name: "pg_class", columns: COLUMNS, rows }
}

#[rustfmt::skip]
const COLUMNS: &[(&str, Oid, bool)] = &[
        ("oid", oid::OID, true),
        ("relname", oid::NAME, true),
        ("relnamespace", oid::OID, true),
        ("reltype", oid::OID, true),
        ("reloftype", oid::OID, true),
        ("relowner", oid::OID, true),
        ("relam", oid::OID, true),
        ("relfilenode", oid::OID, true),
        ("reltablespace", oid::OID, true),
        ("relpages", oid::INT4, true),
        ("reltuples", oid::FLOAT4, true),
        ("relallvisible", oid::INT4, true),
        ("reltoastrelid", oid::OID, true),
        ("relhasindex", oid::BOOL, true),
        ("relisshared", oid::BOOL, true),
        ("relpersistence", oid::CHAR, true),
        ("relkind", oid::CHAR, true),
        ("relnatts", oid::INT2, true),
        ("relchecks", oid::INT2, true),
        ("relhasrules", oid::BOOL, true),
        ("relhastriggers", oid::BOOL, true),
        ("relhassubclass", oid::BOOL, true),
        ("relrowsecurity", oid::BOOL, true),
        ("relforcerowsecurity", oid::BOOL, true),
        ("relispopulated", oid::BOOL, true),
        ("relreplident", oid::CHAR, true),
        ("relispartition", oid::BOOL, true),
        ("relrewrite", oid::OID, true),
        ("relfrozenxid", oid::XID, true),
        ("relminmxid", oid::XID, true),
        ("relacl", oid::ACLITEM_ARRAY, false),
        ("reloptions", oid::TEXT_ARRAY, false),
        ("relpartbound", oid::PG_NODE_TREE, false),
];

const OID: AttributeNumber = 1;
const NAME: AttributeNumber = 2;
const NAMESPACE: AttributeNumber = 3;
/// pg_am: heap and btree.
const HEAP: Oid = 2;
const BTREE: Oid = 403;
const HASH: Oid = 405;
const PAGE: u64 = 8192;

fn rows(context: &VirtualContext<'_>, equal: &[(AttributeNumber, Datum)]) -> Vec<Vec<Datum>> {
    if let Some(id) = wanted_oid(equal, OID) {
        return row_of(context, id).into_iter().collect();
    }
    if let (Some(schema), Some(Datum::Text(name))) = (wanted_oid(equal, NAMESPACE), wanted(equal, NAME)) {
        let id = context.catalog.id_by_name(schema, name);
        return id.and_then(|id| row_of(context, id)).into_iter().collect();
    }
    let relations = visible_relations(context).map(|r| relation_row(context, r));
    relations.chain(visible_indexes(context).map(|i| index_row(context, i))).collect()
}

fn row_of(context: &VirtualContext<'_>, id: Oid) -> Option<Vec<Datum>> {
    let is_here = |database: Oid| database == 0 || database == context.scope.database;
    match (context.catalog.relation(id), context.catalog.index(id)) {
        (Some(relation), _) => is_here(relation.database).then(|| relation_row(context, relation)),
        (None, Some(index)) => is_here(index.database).then(|| index_row(context, index)),
        (None, None) => None,
    }
}

/// What differs between relations and indexes; the rest is the same for all.
struct Entry<'a> {
    id: Oid,
    name: &'a str,
    schema: Oid,
    row_type: Oid,
    owner: Oid,
    method: Oid,
    storage: u32,
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
    acl: Datum,
    options: Datum,
}

fn relation_row(context: &VirtualContext<'_>, r: &Relation) -> Vec<Datum> {
    let has_rows = r.has_rows();
    let (live, bytes) = if has_rows { (context.size)(r) } else { (0, 0) };
    let analyzed = context.catalog.statistics(r.id);
    let has_keys = r.constraints.iter().any(|c| matches!(c.kind, ConstraintKind::ForeignKey(_)))
        || context.catalog.foreign_keys_to(r.id).next().is_some();
    make(Entry {
        id: r.id,
        name: &r.name,
        schema: r.schema,
        row_type: r.row_type,
        owner: r.owner,
        method: if has_rows || r.kind == RelationKind::Virtual { HEAP } else { 0 },
        storage: r.storage,
        bytes,
        // -1: never analyzed, as PostgreSQL has it.
        rows: match analyzed {
            Some(_) => live as f32,
            None if has_rows => -1.0,
            None => 0.0,
        },
        has_index: !r.indexes.is_empty(),
        is_temporary: r.is_temporary,
        kind: kind_letter(r.kind),
        columns: r.columns.len(),
        checks: r.constraints.iter().filter(|c| matches!(c.kind, ConstraintKind::Check { .. })).count(),
        has_rules: matches!(r.kind, RelationKind::View | RelationKind::MaterializedView),
        has_triggers: has_keys,
        row_security: r.row_security,
        acl: acl(context.catalog, r.privileges.as_deref()),
        options: options(&r.options),
    })
}

fn index_row(context: &VirtualContext<'_>, i: &Index) -> Vec<Datum> {
    let relation = context.catalog.relation(i.relation);
    make(Entry {
        id: i.id,
        name: &i.name,
        schema: i.schema,
        row_type: 0,
        owner: relation.map_or(POSTGRES_ROLE, |r| r.owner),
        method: if i.method == "hash" { HASH } else { BTREE },
        storage: i.storage,
        bytes: 0,
        rows: relation.map_or(0.0, |r| (context.size)(r).0 as f32),
        has_index: false,
        is_temporary: relation.is_some_and(|r| r.is_temporary),
        kind: 'i',
        columns: i.columns.len() + i.included.len(),
        checks: 0,
        has_rules: false,
        has_triggers: false,
        row_security: false,
        acl: Datum::Null,
        options: options(&i.options),
    })
}

pub(super) fn kind_letter(kind: RelationKind) -> char {
    match kind {
        RelationKind::Table | RelationKind::Collection => 'r',
        // Catalogs are tables in PostgreSQL; tools look for them as such.
        RelationKind::Virtual => 'r',
        RelationKind::View => 'v',
        RelationKind::MaterializedView => 'm',
        RelationKind::Sequence => 'S',
        RelationKind::Composite => 'c',
    }
}

fn make(e: Entry<'_>) -> Vec<Datum> {
    let pages = i32::try_from(e.bytes.div_ceil(PAGE)).unwrap_or(i32::MAX);
    vec![
        Datum::Oid(e.id),
        Datum::text(e.name),
        Datum::Oid(e.schema),
        Datum::Oid(e.row_type),
        Datum::Oid(0),
        Datum::Oid(e.owner),
        Datum::Oid(e.method),
        Datum::Oid(e.storage),
        Datum::Oid(0),
        Datum::Int4(pages),
        Datum::Float4(e.rows),
        Datum::Int4(0),
        Datum::Oid(0),
        Datum::Bool(e.has_index),
        Datum::Bool(false),
        letter(if e.is_temporary { 't' } else { 'p' }),
        letter(e.kind),
        Datum::Int2(e.columns as i16),
        Datum::Int2(e.checks as i16),
        Datum::Bool(e.has_rules),
        Datum::Bool(e.has_triggers),
        Datum::Bool(false),
        Datum::Bool(e.row_security),
        Datum::Bool(false),
        Datum::Bool(true),
        letter(if matches!(e.kind, 'r' | 'm') { 'd' } else { 'n' }),
        Datum::Bool(false),
        Datum::Oid(0),
        Datum::Oid(0),
        Datum::Oid(0),
        e.acl,
        e.options,
        Datum::Null,
    ]
}
