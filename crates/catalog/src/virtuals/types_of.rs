//! pg_type: the built-in types, and the row types of relations with their arrays.

use super::row::row;
use super::{RowsFn, Scan};
use crate::descriptor::*;
use types::{Oid, builtin};

pub(super) const RELATIONS: &[(&str, RowsFn)] = &[("pg_type", pg_type)];

/// I/O functions of all row types and of all arrays: in, out, receive, send, typmod in and out, subscript.
const RECORD_PROCS: [Oid; 7] = [2290, 2291, 2402, 2403, 0, 0, 0];
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
            Some(r) => row_type(scan, r),
            None => {}
        };
    }
    for ty in builtin::types() {
        if scan.wants_text(2, ty.name) {
            builtin_type(scan, ty);
        }
    }
    for relation in scan.relations(None).filter(|r| r.row_type != 0 && r.kind != RelationKind::Sequence) {
        if builtin::type_by_oid(relation.row_type).is_none() && scan.wants_text(2, &relation.name) {
            row_type(scan, relation);
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
                _ if builtin::element_of(ty.oid).is_some() => ARRAY_TYPANALYZE,
                _ => 0,
            },
            align: ty.align,
            storage: ty.storage,
            base: base.map_or((0, -1), |(_, base, typmod)| (*base, *typmod)),
            collation: ty.collation,
        },
    );
}

fn row_type(scan: &mut Scan<'_>, r: &Relation) {
    push(
        scan,
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
        },
    );
}

fn array_type(scan: &mut Scan<'_>, r: &Relation) {
    let name = format!("_{}", r.name);
    if !scan.wants_text(2, &name) {
        return;
    }
    push(
        scan,
        Entry {
            id: r.row_array_type,
            name: &name,
            schema: r.schema,
            owner: r.owner,
            len: -1,
            by_value: false,
            kind: 'b',
            category: 'A',
            is_preferred: false,
            delimiter: ',',
            relation: 0,
            element: r.row_type,
            array: 0,
            procs: ARRAY_PROCS,
            analyze: ARRAY_TYPANALYZE,
            align: 'd',
            storage: 'x',
            base: (0, -1),
            collation: 0,
        },
    );
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
        false,
        e.base.0,
        e.base.1,
        0i32,
        e.collation,
        (),
        (),
        (),
    ]);
}
