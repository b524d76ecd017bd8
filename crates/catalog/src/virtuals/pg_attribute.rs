//! `pg_attribute`: one row for each column of each relation and index, dropped ones included.

use super::*;
use types::oid;

pub(super) fn relation() -> VirtualRelation {
    VirtualRelation { id: 1249, row_type: 75, schema: PG_CATALOG_SCHEMA, name: "pg_attribute", columns: COLUMNS, rows }
}

#[rustfmt::skip]
const COLUMNS: &[(&str, Oid, bool)] = &[
        ("attrelid", oid::OID, true),
        ("attname", oid::NAME, true),
        ("atttypid", oid::OID, true),
        ("attstattarget", oid::INT4, true),
        ("attlen", oid::INT2, true),
        ("attnum", oid::INT2, true),
        ("attndims", oid::INT4, true),
        ("attcacheoff", oid::INT4, true),
        ("atttypmod", oid::INT4, true),
        ("attbyval", oid::BOOL, true),
        ("attalign", oid::CHAR, true),
        ("attstorage", oid::CHAR, true),
        ("attcompression", oid::CHAR, true),
        ("attnotnull", oid::BOOL, true),
        ("atthasdef", oid::BOOL, true),
        ("atthasmissing", oid::BOOL, true),
        ("attidentity", oid::CHAR, true),
        ("attgenerated", oid::CHAR, true),
        ("attisdropped", oid::BOOL, true),
        ("attislocal", oid::BOOL, true),
        ("attinhcount", oid::INT4, true),
        ("attcollation", oid::OID, true),
        ("attacl", oid::ACLITEM_ARRAY, false),
        ("attoptions", oid::TEXT_ARRAY, false),
        ("attfdwoptions", oid::TEXT_ARRAY, false),
        ("attmissingval", oid::ANYARRAY, false),
];

const RELATION: AttributeNumber = 1;

fn rows(context: &VirtualContext<'_>, equal: &[(AttributeNumber, Datum)]) -> Vec<Vec<Datum>> {
    let mut all = vec![];
    match wanted_oid(equal, RELATION) {
        Some(id) => match (context.catalog.relation(id), context.catalog.index(id)) {
            (Some(relation), _) => relation_rows(context, relation, &mut all),
            (None, Some(index)) => index_rows(context, index, &mut all),
            (None, None) => {}
        },
        None => {
            visible_relations(context).for_each(|r| relation_rows(context, r, &mut all));
            visible_indexes(context).for_each(|i| index_rows(context, i, &mut all));
        }
    }
    all
}

fn relation_rows(context: &VirtualContext<'_>, relation: &Relation, out: &mut Vec<Vec<Datum>>) {
    for column in &relation.columns {
        out.push(make(context, relation.id, column));
    }
}

/// An index's columns are named after what they come from.
fn index_rows(context: &VirtualContext<'_>, index: &Index, out: &mut Vec<Vec<Datum>>) {
    let Some(relation) = context.catalog.relation(index.relation) else { return };
    let keys = index.columns.iter().map(|c| match &c.source {
        IndexSource::Column(number) => (relation.column(*number).map(|c| c.name.clone()), c.ty, c.collation),
        IndexSource::Expression(_) => (None, c.ty, c.collation),
    });
    let included = index.included.iter().filter_map(|n| relation.column(*n));
    let included = included.map(|c| (Some(c.name.clone()), c.ty, c.collation));
    let mut expressions = 0;
    for (position, (name, ty, collation)) in keys.chain(included).enumerate() {
        let name = name.unwrap_or_else(|| {
            expressions += 1;
            if expressions == 1 { "expr".to_owned() } else { format!("expr{}", expressions - 1) }
        });
        let mut column = new_column(position as AttributeNumber + 1, &name, ty.into());
        column.collation = collation;
        out.push(make(context, index.id, &column));
    }
}

fn make(context: &VirtualContext<'_>, relation: Oid, c: &Column) -> Vec<Datum> {
    let ty = types::builtin::type_by_oid(c.ty.oid);
    let (length, by_value, align, storage) = match ty {
        Some(ty) => (ty.len, ty.by_value, ty.align, ty.storage),
        None => (-1, false, 'd', 'x'),
    };
    let name = if c.is_dropped { format!("........pg.dropped.{}........", c.number) } else { c.name.clone() };
    let dimensions = i32::from(types::builtin::element_of(c.ty.oid).is_some());
    vec![
        Datum::Oid(relation),
        Datum::text(name),
        Datum::Oid(if c.is_dropped { 0 } else { c.ty.oid }),
        Datum::Int4(c.statistics_target),
        Datum::Int2(length),
        Datum::Int2(c.number),
        Datum::Int4(dimensions),
        Datum::Int4(-1),
        Datum::Int4(c.ty.typmod),
        Datum::Bool(by_value),
        letter(align),
        letter(c.storage.unwrap_or(storage)),
        Datum::text(""),
        Datum::Bool(c.not_null),
        Datum::Bool(c.default.is_some()),
        Datum::Bool(c.missing.is_some()),
        match c.identity {
            None => Datum::text(""),
            Some(Identity::Always) => letter('a'),
            Some(Identity::ByDefault) => letter('d'),
        },
        if c.is_generated { letter('s') } else { Datum::text("") },
        Datum::Bool(c.is_dropped),
        Datum::Bool(true),
        Datum::Int4(0),
        Datum::Oid(c.collation),
        acl(context.catalog, c.privileges.as_ref().and_then(|p| p.as_deref())),
        Datum::Null,
        Datum::Null,
        Datum::Null,
    ]
}
