//! Rows that are the same in every database: PostgreSQL's access methods with their operator classes, aggregates, languages,
//! collations, … (`fixed/*.tsv`, in COPY's text format, as its pg_catalog has them), and its operators, casts and
//! functions from `types::builtin`, which the binder uses.
//!
//! That a thing is listed says what it *is* in PostgreSQL; whether a statement may use it is the binder's to say. Of text
//! search only `simple` is listed, of collations those that every server has.
//!
//! Each table is made on first use and kept, with an index over its first column.

use super::routines;
use super::{Row, VirtualRelation};
use crate::descriptor::{AttributeNumber, PG_CATALOG_SCHEMA};
use foldhash::{HashMap, HashMapExt};
use std::sync::OnceLock;
use types::{Datum, FormatSettings, Oid};

/// Where a table's rows are made.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    Text(&'static str),
    Made(fn() -> Vec<Vec<Datum>>),
}

/// Names a table: its place in `TABLES`.
#[derive(Clone, Copy)]
pub(super) struct Table(usize);

const TABLES: &[(&str, Origin)] = &[
    ("pg_am", Origin::Text(include_str!("fixed/pg_am.tsv"))),
    ("pg_amop", Origin::Text(include_str!("fixed/pg_amop.tsv"))),
    ("pg_amproc", Origin::Text(include_str!("fixed/pg_amproc.tsv"))),
    ("pg_aggregate", Origin::Text(include_str!("fixed/pg_aggregate.tsv"))),
    ("pg_collation", Origin::Text(include_str!("fixed/pg_collation.tsv"))),
    ("pg_conversion", Origin::Text(include_str!("fixed/pg_conversion.tsv"))),
    ("pg_language", Origin::Text(include_str!("fixed/pg_language.tsv"))),
    ("pg_opclass", Origin::Text(include_str!("fixed/pg_opclass.tsv"))),
    ("pg_opfamily", Origin::Text(include_str!("fixed/pg_opfamily.tsv"))),
    ("pg_range", Origin::Text(include_str!("fixed/pg_range.tsv"))),
    ("pg_tablespace", Origin::Text(include_str!("fixed/pg_tablespace.tsv"))),
    ("pg_ts_config", Origin::Text(include_str!("fixed/pg_ts_config.tsv"))),
    ("pg_ts_config_map", Origin::Text(include_str!("fixed/pg_ts_config_map.tsv"))),
    ("pg_ts_dict", Origin::Text(include_str!("fixed/pg_ts_dict.tsv"))),
    ("pg_ts_parser", Origin::Text(include_str!("fixed/pg_ts_parser.tsv"))),
    ("pg_ts_template", Origin::Text(include_str!("fixed/pg_ts_template.tsv"))),
    ("pg_cast", Origin::Made(routines::casts)),
    ("pg_operator", Origin::Made(routines::operators)),
    (routines::BUILTIN, Origin::Made(routines::procs)),
];

pub(super) fn table(schema: Oid, name: &str) -> Option<Table> {
    let found = TABLES.iter().position(|(n, _)| *n == name);
    found.filter(|_| schema == PG_CATALOG_SCHEMA).map(Table)
}

struct Loaded {
    rows: Vec<Vec<Datum>>,
    /// Places of rows by their first column's OID.
    by_first: HashMap<Oid, Vec<u32>>,
    /// Places of rows by their second column's text (names).
    by_name: HashMap<String, Vec<u32>>,
}

fn load(relation: &VirtualRelation, origin: Origin) -> Loaded {
    let rows = match origin {
        Origin::Made(make) => make(),
        Origin::Text(text) => text.lines().filter_map(|line| parse(relation, line)).collect(),
    };
    let mut loaded = Loaded { by_first: HashMap::new(), by_name: HashMap::new(), rows };
    for (row, place) in loaded.rows.iter().zip(0..) {
        if let Some(Datum::Oid(id)) = row.first() {
            loaded.by_first.entry(*id).or_default().push(place);
        }
        if let Some(Datum::Text(name)) = row.get(1) {
            loaded.by_name.entry(name.to_string()).or_default().push(place);
        }
    }
    loaded
}

/// A line of COPY's text format. These lines have no escapes but `\N`.
fn parse(relation: &VirtualRelation, line: &str) -> Option<Vec<Datum>> {
    let format = FormatSettings::default();
    let cell = |(field, column): (&str, &super::VirtualColumn)| match field {
        "\\N" => Some(Datum::Null),
        text => types::io::input(column.ty, text, &format).ok(),
    };
    line.split('\t').zip(&relation.columns).map(cell).collect()
}

/// Those of a table that has others besides.
pub(super) fn rows_of(relation: &VirtualRelation, name: &str, equal: &[(AttributeNumber, Datum)]) -> Vec<Row> {
    table(PG_CATALOG_SCHEMA, name).map_or(vec![], |table| rows(relation, table, equal))
}

/// The rows of a fixed table: those of the key asked for, where it is the first column's or the name.
pub(super) fn rows(relation: &VirtualRelation, table: Table, equal: &[(AttributeNumber, Datum)]) -> Vec<Row> {
    static LOADED: [OnceLock<Loaded>; TABLES.len()] = [const { OnceLock::new() }; TABLES.len()];
    let (Some(cell), Some((_, origin))) = (LOADED.get(table.0), TABLES.get(table.0)) else { return vec![] };
    let loaded = cell.get_or_init(|| load(relation, *origin));
    let none: &[u32] = &[];
    let places = equal.iter().find_map(|wanted| match wanted {
        (1, Datum::Oid(id)) => Some(loaded.by_first.get(id).map_or(none, Vec::as_slice)),
        (2, Datum::Text(name)) => Some(loaded.by_name.get(name.as_str()).map_or(none, Vec::as_slice)),
        _ => None,
    });
    match places {
        Some(places) => places.iter().filter_map(|at| loaded.rows.get(*at as usize)).map(|r| Row::Fixed(r)).collect(),
        None => loaded.rows.iter().map(|r| Row::Fixed(r)).collect(),
    }
}

/// pg_opclass's OID of a class by access method and name, or of the method's default for a type; 0 where there is none.
pub(super) fn operator_class(method: Oid, name: Option<&str>, ty: Oid) -> Oid {
    static CLASSES: OnceLock<Vec<(Oid, Oid, &'static str, Oid, bool)>> = OnceLock::new();
    let classes = CLASSES.get_or_init(|| {
        let class = |line: &'static str| {
            let fields: Vec<&'static str> = line.split('\t').collect();
            let [id, method, name, _, _, _, input, default, ..] = fields[..] else { return None };
            Some((id.parse().ok()?, method.parse().ok()?, name, input.parse().ok()?, default == "t"))
        };
        include_str!("fixed/pg_opclass.tsv").lines().filter_map(class).collect()
    });
    let of = |ty: Oid| {
        let mut matching = classes.iter().filter(|(_, m, n, input, default)| {
            *m == method && name.map_or(*default && *input == ty, |wanted| *n == wanted)
        });
        matching.next().map(|(id, ..)| *id)
    };
    // Types without a class of their own use that of what they are read as.
    let stand_in = match ty {
        types::oid::VARCHAR => types::oid::TEXT,
        types::oid::CIDR => types::oid::INET,
        ty if types::builtin::element_of(ty).is_some() => types::oid::ANYARRAY,
        ty => ty,
    };
    of(ty).or_else(|| of(stand_in)).unwrap_or(0)
}
