//! `pg_type`: the built-in types, and the row types of relations with their arrays.

use super::*;
use types::oid;

pub(super) fn relation() -> VirtualRelation {
    VirtualRelation { id: 1247, row_type: 71, schema: PG_CATALOG_SCHEMA, name: "pg_type", columns: COLUMNS, rows }
}

#[rustfmt::skip]
const COLUMNS: &[(&str, Oid, bool)] = &[
        ("oid", oid::OID, true),
        ("typname", oid::NAME, true),
        ("typnamespace", oid::OID, true),
        ("typowner", oid::OID, true),
        ("typlen", oid::INT2, true),
        ("typbyval", oid::BOOL, true),
        ("typtype", oid::CHAR, true),
        ("typcategory", oid::CHAR, true),
        ("typispreferred", oid::BOOL, true),
        ("typisdefined", oid::BOOL, true),
        ("typdelim", oid::CHAR, true),
        ("typrelid", oid::OID, true),
        ("typsubscript", oid::REGPROC, true),
        ("typelem", oid::OID, true),
        ("typarray", oid::OID, true),
        ("typinput", oid::REGPROC, true),
        ("typoutput", oid::REGPROC, true),
        ("typreceive", oid::REGPROC, true),
        ("typsend", oid::REGPROC, true),
        ("typmodin", oid::REGPROC, true),
        ("typmodout", oid::REGPROC, true),
        ("typanalyze", oid::REGPROC, true),
        ("typalign", oid::CHAR, true),
        ("typstorage", oid::CHAR, true),
        ("typnotnull", oid::BOOL, true),
        ("typbasetype", oid::OID, true),
        ("typtypmod", oid::INT4, true),
        ("typndims", oid::INT4, true),
        ("typcollation", oid::OID, true),
        ("typdefaultbin", oid::PG_NODE_TREE, false),
        ("typdefault", oid::TEXT, false),
        ("typacl", oid::ACLITEM_ARRAY, false),
];

const OID: AttributeNumber = 1;
/// I/O functions of all row types and of all arrays.
const RECORD_IN: Oid = 2290;
const RECORD_OUT: Oid = 2291;
const RECORD_RECV: Oid = 2402;
const RECORD_SEND: Oid = 2403;
const ARRAY_IN: Oid = 750;
const ARRAY_OUT: Oid = 751;
const ARRAY_RECV: Oid = 2400;
const ARRAY_SEND: Oid = 2401;
const ARRAY_TYPANALYZE: Oid = 3816;
const ARRAY_SUBSCRIPT: Oid = 6179;

fn rows(context: &VirtualContext<'_>, equal: &[(AttributeNumber, Datum)]) -> Vec<Vec<Datum>> {
    if let Some(id) = wanted_oid(equal, OID) {
        if let Some(ty) = types::builtin::type_by_oid(id) {
            return vec![builtin_row(ty)];
        }
        return match context.catalog.relation_of_type(id) {
            Some(r) if r.row_array_type == id => vec![array_row(r)],
            Some(r) => vec![row_type_row(r)],
            None => vec![],
        };
    }
    let mut all: Vec<Vec<Datum>> = types::builtin::types().iter().map(builtin_row).collect();
    for relation in visible_relations(context).filter(|r| r.row_type != 0) {
        if types::builtin::type_by_oid(relation.row_type).is_none() {
            all.push(row_type_row(relation));
        }
        if relation.row_array_type != 0 {
            all.push(array_row(relation));
        }
    }
    all
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
    /// typinput, typoutput, typreceive, typsend, typmodin, typmodout, typsubscript.
    procs: [Oid; 7],
    analyze: Oid,
    align: char,
    storage: char,
    collation: Oid,
}

fn builtin_row(ty: &types::builtin::Type) -> Vec<Datum> {
    make(Entry {
        id: ty.oid,
        name: ty.name,
        schema: PG_CATALOG_SCHEMA,
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
        analyze: if types::builtin::element_of(ty.oid).is_some() { ARRAY_TYPANALYZE } else { 0 },
        align: ty.align,
        storage: ty.storage,
        collation: ty.collation,
    })
}

fn row_type_row(r: &Relation) -> Vec<Datum> {
    make(Entry {
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
        procs: [RECORD_IN, RECORD_OUT, RECORD_RECV, RECORD_SEND, 0, 0, 0],
        analyze: 0,
        align: 'd',
        storage: 'x',
        collation: 0,
    })
}

fn array_row(r: &Relation) -> Vec<Datum> {
    make(Entry {
        id: r.row_array_type,
        name: &format!("_{}", r.name),
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
        procs: [ARRAY_IN, ARRAY_OUT, ARRAY_RECV, ARRAY_SEND, 0, 0, ARRAY_SUBSCRIPT],
        analyze: ARRAY_TYPANALYZE,
        align: 'd',
        storage: 'x',
        collation: 0,
    })
}

fn make(e: Entry<'_>) -> Vec<Datum> {
    let [input, output, receive, send, modifier_in, modifier_out, subscript] = e.procs;
    vec![
        Datum::Oid(e.id),
        Datum::text(e.name),
        Datum::Oid(e.schema),
        Datum::Oid(e.owner),
        Datum::Int2(e.len),
        Datum::Bool(e.by_value),
        letter(e.kind),
        letter(e.category),
        Datum::Bool(e.is_preferred),
        Datum::Bool(true),
        letter(e.delimiter),
        Datum::Oid(e.relation),
        Datum::Oid(subscript),
        Datum::Oid(e.element),
        Datum::Oid(e.array),
        Datum::Oid(input),
        Datum::Oid(output),
        Datum::Oid(receive),
        Datum::Oid(send),
        Datum::Oid(modifier_in),
        Datum::Oid(modifier_out),
        Datum::Oid(e.analyze),
        letter(e.align),
        letter(e.storage),
        Datum::Bool(false),
        Datum::Oid(0),
        Datum::Int4(-1),
        Datum::Int4(0),
        Datum::Oid(e.collation),
        Datum::Null,
        Datum::Null,
        Datum::Null,
    ]
}
