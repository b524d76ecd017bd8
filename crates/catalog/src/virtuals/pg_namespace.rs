//! `pg_namespace`: one row for each schema of the database.

use super::*;
use types::oid;

pub(super) fn relation() -> VirtualRelation {
    VirtualRelation {
        id: 2615,
        row_type: 10047,
        schema: PG_CATALOG_SCHEMA,
        name: "pg_namespace",
        columns: COLUMNS,
        rows,
    }
}

#[rustfmt::skip]
const COLUMNS: &[(&str, Oid, bool)] = &[
        ("oid", oid::OID, true),
        ("nspname", oid::NAME, true),
        ("nspowner", oid::OID, true),
        ("nspacl", oid::ACLITEM_ARRAY, false),
];

fn rows(context: &VirtualContext<'_>, _: &[(AttributeNumber, Datum)]) -> Vec<Vec<Datum>> {
    let database = context.scope.database;
    let here = context.catalog.schemas().filter(|s| s.database == database || s.database == 0);
    here.map(|s| {
        vec![
            Datum::Oid(s.id),
            Datum::text(&*s.name),
            Datum::Oid(s.owner),
            acl(context.catalog, s.privileges.as_deref()),
        ]
    })
    .collect()
}
