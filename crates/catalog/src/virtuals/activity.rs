//! Counters of use: pg_stat_*_tables, _indexes, pg_statio_*, pg_stat_database. Accesses are not counted by relation (the
//! counts are 0, as PostgreSQL has them with track_counts off); sizes are known.

use super::row::row;
use super::{RowsFn, Scan};
use crate::descriptor::*;
use types::Datum;

pub(super) const RELATIONS: &[(&str, RowsFn)] = &[
    ("pg_stat_all_indexes", |s| indexes(s, Which::All, index_use)),
    ("pg_stat_all_tables", |s| tables(s, Which::All, table_use)),
    ("pg_stat_database", pg_stat_database),
    ("pg_stat_database_conflicts", pg_stat_database_conflicts),
    ("pg_stat_sys_tables", |s| tables(s, Which::System, table_use)),
    ("pg_stat_user_indexes", |s| indexes(s, Which::User, index_use)),
    ("pg_stat_user_tables", |s| tables(s, Which::User, table_use)),
    ("pg_stat_xact_all_tables", |s| tables(s, Which::All, own_use)),
    ("pg_stat_xact_sys_tables", |s| tables(s, Which::System, own_use)),
    ("pg_stat_xact_user_tables", |s| tables(s, Which::User, own_use)),
    ("pg_statio_all_indexes", |s| indexes(s, Which::All, index_reads)),
    ("pg_statio_all_sequences", |s| sequences(s)),
    ("pg_statio_all_tables", |s| tables(s, Which::All, table_reads)),
    ("pg_statio_sys_tables", |s| tables(s, Which::System, table_reads)),
    ("pg_statio_user_indexes", |s| indexes(s, Which::User, index_reads)),
    ("pg_statio_user_sequences", |s| sequences(s)),
    ("pg_statio_user_tables", |s| tables(s, Which::User, table_reads)),
];

#[derive(Clone, Copy, PartialEq)]
enum Which {
    All,
    User,
    System,
}

fn tables(scan: &mut Scan<'_>, which: Which, make: fn(&Scan<'_>, &Relation, &str) -> Vec<Datum>) {
    for r in scan.relations(scan.oid(1)).filter(|r| matches!(super::classes::kind_letter(r), 'r' | 'm')) {
        let is_system = r.kind == RelationKind::Virtual;
        let schema = scan.schema_name(r.schema);
        let is_listed = which == Which::All || (which == Which::System) == is_system;
        if is_listed && scan.wants_text(2, schema) && scan.wants_text(3, &r.name) {
            let row = make(scan, r, schema);
            scan.push(row);
        }
    }
}

/// Scans of an index are counted where there is one.
fn if_indexed(r: &Relation) -> Option<i64> {
    (!r.indexes.is_empty()).then_some(0)
}

fn table_use(scan: &Scan<'_>, r: &Relation, schema: &str) -> Vec<Datum> {
    let live = if r.has_rows() { (scan.context.size)(r).0 } else { 0 };
    let live = i64::try_from(live).unwrap_or(i64::MAX);
    let index = if_indexed(r);
    row![
        r.id,
        schema,
        &r.name,
        0i64,
        0i64,
        index,
        index,
        0i64,
        0i64,
        0i64,
        0i64,
        live,
        0i64,
        0i64,
        0i64,
        (),
        (),
        (),
        (),
        0i64,
        0i64,
        0i64,
        0i64,
    ]
}

fn own_use(_: &Scan<'_>, r: &Relation, schema: &str) -> Vec<Datum> {
    let index = if_indexed(r);
    row![r.id, schema, &r.name, 0i64, 0i64, index, index, 0i64, 0i64, 0i64, 0i64]
}

fn table_reads(_: &Scan<'_>, r: &Relation, schema: &str) -> Vec<Datum> {
    let index = if_indexed(r);
    row![r.id, schema, &r.name, 0i64, 0i64, index, index, (), (), (), ()]
}

type IndexRow = fn(&Index, &Relation, &str) -> Vec<Datum>;

fn indexes(scan: &mut Scan<'_>, which: Which, make: IndexRow) {
    if which == Which::System {
        return;
    }
    for (index, r) in scan.indexes(scan.oid(2)) {
        if scan.wants(1, r.id) && scan.wants_text(4, &r.name) && scan.wants_text(5, &index.name) {
            let row = make(index, r, scan.schema_name(r.schema));
            scan.push(row);
        }
    }
}

fn index_use(index: &Index, r: &Relation, schema: &str) -> Vec<Datum> {
    row![r.id, index.id, schema, &r.name, &index.name, 0i64, 0i64, 0i64]
}

fn index_reads(index: &Index, r: &Relation, schema: &str) -> Vec<Datum> {
    row![r.id, index.id, schema, &r.name, &index.name, 0i64, 0i64]
}

fn sequences(scan: &mut Scan<'_>) {
    for r in scan.user_relations(scan.oid(1)).filter(|r| r.kind == RelationKind::Sequence) {
        let schema = scan.schema_name(r.schema);
        scan.push(row![r.id, schema, &r.name, 0i64, 0i64]);
    }
}

fn pg_stat_database(scan: &mut Scan<'_>) {
    for d in scan.catalog.databases().filter(|d| scan.wants(1, d.id) && scan.wants_text(2, &d.name)).collect::<Vec<_>>()
    {
        let mut row = row![d.id, &d.name, 0i32];
        // xact_commit … deadlocks.
        row.extend(std::iter::repeat_n(Datum::Int8(0), 13));
        // checksum_failures and checksum_last_failure.
        row.extend([Datum::Null, Datum::Null]);
        // blk_read_time … idle_in_transaction_time.
        row.extend(std::iter::repeat_n(Datum::Float8(0.0), 5));
        // sessions … sessions_killed.
        row.extend(std::iter::repeat_n(Datum::Int8(0), 4));
        row.push(Datum::Null);
        scan.push(row);
    }
}

fn pg_stat_database_conflicts(scan: &mut Scan<'_>) {
    for d in scan.catalog.databases() {
        scan.push(row![d.id, &d.name, 0i64, 0i64, 0i64, 0i64, 0i64]);
    }
}
