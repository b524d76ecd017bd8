//! pg_type and pg_enum: the built-in types, users' types and the row types of relations, with their arrays.

use super::row::row;
use super::{RowsFn, Scan};
use crate::descriptor::*;
use types::{Datum, Oid, SqlType, builtin};

pub(super) const RELATIONS: &[(&str, RowsFn)] = &[("pg_enum", pg_enum), ("pg_type", pg_type)];

/// I/O functions of all row types and of all arrays: in, out, receive, send, typmod in and out, subscript.
const RECORD_PROCS: [Oid; 7] = [2290, 2291, 2402, 2403, 0, 0, 0];
const ENUM_PROCS: [Oid; 7] = [3506, 3507, 3532, 3533, 0, 0, 0];
/// A domain is read by functions of its own, and written by its base type's.
const DOMAIN_IN: Oid = 2597;
const DOMAIN_RECEIVE: Oid = 2598;
const ARRAY_PROCS: [Oid; 7] = [750, 751, 2400, 2401, 0, 0, 6179];
const ARRAY_TYPANALYZE: Oid = 3816;
const RANGE_TYPANALYZE: Oid = 3916;
const MULTIRANGE_TYPANALYZE: Oid = 4242;
const TSVECTOR_TYPANALYZE: Oid = 3688;
/// Domains of information_schema, with their base types and the typmods of these.
const DOMAINS: &[(Oid, Oid, i32)] =
    &[(13_221, 23, -1), (13_224, 1043, -1), (13_226, 19, -1), (13_232, 1184, 2), (13_234, 1043, 7)];

fn pg_type(scan: &mut Scan<'_>) {
    if let Some(id) = scan.oid(1) {
        if let Some(ty) = builtin::type_by_oid(id) {
            return builtin_type(scan, ty);
        }
        return match scan.catalog.relation_of_type(id) {
            Some(r) if r.row_array_type == id => array_type(scan, r),
            Some(r) => user_type(scan, r),
            None => {}
        };
    }
    for ty in builtin::types() {
        if scan.wants_text(2, ty.name) {
            builtin_type(scan, ty);
        }
    }
    let of_relations = scan.relations(None).filter(|r| r.row_type != 0 && r.kind != RelationKind::Sequence);
    for relation in of_relations.chain(scan.scalar_types()) {
        if builtin::type_by_oid(relation.row_type).is_none() && scan.wants_text(2, &relation.name) {
            user_type(scan, relation);
        }
        if relation.row_array_type != 0 && builtin::type_by_oid(relation.row_array_type).is_none() {
            array_type(scan, relation);
        }
    }
}

/// What differs from type to type.
struct Entry<'a> {
    id: Oid,
    name: &'a str,
    schema: Oid,
    owner: Oid,
    len: i16,
    by_value: bool,
    kind: char,
    category: char,
    is_preferred: bool,
    delimiter: char,
    relation: Oid,
    element: Oid,
    array: Oid,
    procs: [Oid; 7],
    analyze: Oid,
    align: char,
    storage: char,
    base: (Oid, i32),
    collation: Oid,
    not_null: bool,
    default: Option<&'a str>,
    acl: Datum,
}

/// What is the same for all types that users make; the rest is to be changed.
fn entry<'a>(scan: &Scan<'a>, r: &'a Relation) -> Entry<'a> {
    Entry {
        id: r.row_type,
        name: &r.name,
        schema: r.schema,
        owner: r.owner,
        len: -1,
        by_value: false,
        kind: 'c',
        category: 'C',
        is_preferred: false,
        delimiter: ',',
        relation: r.id,
        element: 0,
        array: r.row_array_type,
        procs: RECORD_PROCS,
        analyze: 0,
        align: 'd',
        storage: 'x',
        base: (0, -1),
        collation: 0,
        not_null: false,
        default: None,
        // A relation's rights are not its row type's.
        acl: if r.is_type() { scan.acl(r.privileges.as_deref()) } else { Datum::Null },
    }
}

/// The domains of information_schema and its relations' arrays live there; their OIDs were given after its own.
fn schema_of(ty: &builtin::Type) -> Oid {
    if ty.oid > INFORMATION_SCHEMA { INFORMATION_SCHEMA } else { PG_CATALOG_SCHEMA }
}

fn builtin_type(scan: &mut Scan<'_>, ty: &builtin::Type) {
    let base = DOMAINS.iter().find(|(domain, ..)| *domain == ty.oid);
    push(
        scan,
        Entry {
            id: ty.oid,
            name: ty.name,
            schema: schema_of(ty),
            owner: POSTGRES_ROLE,
            len: ty.len,
            by_value: ty.by_value,
            kind: ty.kind,
            category: ty.category,
            is_preferred: ty.is_preferred,
            delimiter: ty.delimiter,
            relation: 0,
            element: ty.element,
            array: ty.array,
            procs: ty.procs,
            analyze: match ty.kind {
                'r' => RANGE_TYPANALYZE,
                'm' => MULTIRANGE_TYPANALYZE,
                _ if ty.oid == types::oid::TSVECTOR => TSVECTOR_TYPANALYZE,
                // The vectors of the catalog are arrays that nobody gathers.
                _ if matches!(ty.oid, types::oid::INT2VECTOR | types::oid::OIDVECTOR) => 0,
                _ if builtin::element_of(ty.oid).is_some() => ARRAY_TYPANALYZE,
                _ => 0,
            },
            align: ty.align,
            storage: ty.storage,
            base: base.map_or((0, -1), |(_, base, typmod)| (*base, *typmod)),
            collation: ty.collation,
            not_null: false,
            default: None,
            acl: Datum::Null,
        },
    );
}

fn user_type(scan: &mut Scan<'_>, r: &Relation) {
    let row = match &r.definition {
        None => entry(scan, r),
        Some(TypeDefinition::Enum(_)) => enum_entry(scan, r),
        Some(TypeDefinition::Domain(definition)) => domain_entry(scan, r, definition),
    };
    push(scan, row);
}

fn enum_entry<'a>(scan: &Scan<'a>, r: &'a Relation) -> Entry<'a> {
    let (len, by_value, align, storage) = (4, true, 'i', 'p');
    Entry { kind: 'e', category: 'E', relation: 0, procs: ENUM_PROCS, len, by_value, align, storage, ..entry(scan, r) }
}

/// Most is the base type's.
fn domain_entry<'a>(scan: &Scan<'a>, r: &'a Relation, definition: &'a DomainDefinition) -> Entry<'a> {
    let base = shape(scan.catalog, definition.base.into());
    let mut row = Entry {
        kind: 'd',
        category: base.category,
        relation: 0,
        len: base.len,
        by_value: base.by_value,
        align: base.align,
        storage: base.storage,
        base: (definition.base.oid, definition.base.typmod),
        collation: definition.collation,
        not_null: definition.not_null,
        default: definition.default.as_deref(),
        ..entry(scan, r)
    };
    let [_, output, _, send, ..] = base.procs;
    row.procs = [DOMAIN_IN, output, DOMAIN_RECEIVE, send, 0, 0, 0];
    row
}

/// How values of a type are laid out in PostgreSQL, for pg_type and pg_attribute.
pub(super) struct Shape {
    pub len: i16,
    pub by_value: bool,
    pub align: char,
    pub storage: char,
    category: char,
    procs: [Oid; 7],
}

pub(super) fn shape(catalog: &crate::Snapshot, ty: SqlType) -> Shape {
    let base = catalog.base_type(ty).oid;
    if let Some(ty) = builtin::type_by_oid(base) {
        let (len, by_value, align, storage) = (ty.len, ty.by_value, ty.align, ty.storage);
        return Shape { len, by_value, align, storage, category: ty.category, procs: ty.procs };
    }
    let (category, procs) = match builtin::element_of(base) {
        Some(_) => ('A', ARRAY_PROCS),
        None if types::user_type::is_enum(base) => {
            return Shape { len: 4, by_value: true, align: 'i', storage: 'p', category: 'E', procs: ENUM_PROCS };
        }
        None => ('C', RECORD_PROCS),
    };
    Shape { len: -1, by_value: false, align: 'd', storage: 'x', category, procs }
}

fn array_type(scan: &mut Scan<'_>, r: &Relation) {
    let name = format!("_{}", r.name);
    if !scan.wants_text(2, &name) {
        return;
    }
    let align = shape(scan.catalog, SqlType::new(r.row_type)).align;
    let row = Entry {
        id: r.row_array_type,
        name: &name,
        kind: 'b',
        category: 'A',
        relation: 0,
        element: r.row_type,
        array: 0,
        procs: ARRAY_PROCS,
        analyze: ARRAY_TYPANALYZE,
        // An element's alignment, but four bytes at least: an array begins with numbers of that size.
        align: if align == 'd' { 'd' } else { 'i' },
        acl: Datum::Null,
        ..entry(scan, r)
    };
    push(scan, row);
}

/// One row per label. Its order is the key in gaps, as PostgreSQL numbers labels: 1, 2, 3, and what is put between in halves;
/// where `real` cannot tell two of them apart, all are counted.
fn pg_enum(scan: &mut Scan<'_>) {
    let wanted = scan.oid(2);
    for ty in scan.scalar_types().filter(|r| wanted.is_none_or(|id| id == r.row_type)) {
        let Some(TypeDefinition::Enum(labels)) = &ty.definition else { continue };
        let orders: Vec<f32> = labels.iter().map(|l| crate::user_types::sort_order(l.key)).collect();
        let are_apart = orders.is_sorted_by(|a, b| a < b);
        for ((label, order), number) in labels.iter().zip(orders).zip(1u16..) {
            if scan.wants(1, label.id) && scan.wants_text(4, &label.name) {
                let order = if are_apart { order } else { f32::from(number) };
                scan.push(row![label.id, ty.row_type, order, &label.name]);
            }
        }
    }
}

fn push(scan: &mut Scan<'_>, e: Entry<'_>) {
    let [input, output, receive, send, modifier_in, modifier_out, subscript] = e.procs;
    scan.push(row![
        e.id,
        e.name,
        e.schema,
        e.owner,
        e.len,
        e.by_value,
        e.kind,
        e.category,
        e.is_preferred,
        true,
        e.delimiter,
        e.relation,
        subscript,
        e.element,
        e.array,
        input,
        output,
        receive,
        send,
        modifier_in,
        modifier_out,
        e.analyze,
        e.align,
        e.storage,
        e.not_null,
        e.base.0,
        e.base.1,
        0i32,
        e.collation,
        e.default,
        e.default,
        e.acl,
    ]);
}
