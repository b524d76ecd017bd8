//! Virtual relations: `pg_catalog`, `information_schema` and `hyrax_catalog`, whose rows are computed from descriptors.
//!
//! Owns their definitions. `relations.tsv` has the shape of all of them (PostgreSQL 15's names, OIDs, columns, types,
//! kinds and who may read); each is in every `Snapshot` as a relation of kind `Virtual`, and the executor reads it
//! through `rows`.
//!
//! Rows come from one of four places:
//! * `fixed`: what PostgreSQL has compiled in, and its tables of types, functions and operators. Made once, on first use.
//! * a function named in `COMPUTED`, from the snapshot, for each scan;
//! * `Source`, the live state of the server (sessions, locks, settings), registered from above;
//! * nowhere: relations of features that do not exist here (rules, foreign data, replication, …) are empty.
//!
//! I1  A row has a datum for each column. `tests` asks every relation for its rows.
//! I2  `equal` is a hint: a relation may give more rows than match, never fewer.
//!
//! `pg_description` lists comments that users made; PostgreSQL's own descriptions of its built-in objects are not here.
//! Indexes and TOAST tables of the catalogs themselves are not listed either.

use crate::Snapshot;
use crate::descriptor::*;
use crate::names::NameScope;
use crate::rule_definition::ToldRule;
use std::sync::{Arc, OnceLock};
use types::{Datum, Oid, SqlType};

mod activity;
mod attributes;
mod classes;
mod comments;
mod constraints;
mod databases;
pub(crate) mod dependencies;
mod fixed;
mod information_schema;
mod initial;
mod listings;
mod roles;
mod routines;
mod row;
mod statistics;
#[cfg(test)]
mod tests;
mod time_zones;
mod types_of;

pub use row::Row;
pub(crate) use row::{Cell, Scan};

/// Schemas of every database.
pub const SCHEMAS: &[(Oid, &str)] = &[
    (PG_CATALOG_SCHEMA, "pg_catalog"),
    (INFORMATION_SCHEMA, "information_schema"),
    (TOAST_SCHEMA, "pg_toast"),
    (HYRAX_SCHEMA, "hyrax_catalog"),
];

/// What rows are computed from.
pub struct VirtualContext<'a> {
    pub catalog: &'a Arc<Snapshot>,
    pub scope: NameScope<'a>,
    pub role: Oid,
    /// Rows and bytes of a relation's storage, roughly.
    pub size: &'a dyn Fn(&Relation) -> (u64, u64),
    /// The last value of a sequence, None before the first; where it is known without waiting.
    pub last_value: &'a dyn Fn(&Relation) -> Option<i64>,
    /// For each of a view's columns whether a value can be given to it; None: the view is not updatable.
    pub updatable: &'a dyn Fn(&Arc<Relation>) -> Option<Vec<bool>>,
    /// A view's query as pg_get_viewdef tells it.
    pub view: &'a dyn Fn(&Relation) -> Option<String>,
    /// A rule's texts as pg_get_ruledef tells them.
    pub rule: &'a dyn Fn(&Rule, &Relation) -> Option<ToldRule>,
    /// Start of the statement, microseconds since 2000-01-01 UTC.
    pub now: i64,
    /// The live state behind pg_stat_activity, pg_locks, pg_settings, …; None where there is no server (tests).
    pub source: Option<&'a dyn Source>,
}

/// Live state that lives above this crate, by relation. Registered by `server`.
pub trait Source: Send + Sync {
    /// Rows with a datum for each of the relation's columns (`relations.tsv`); None: it is not this source's.
    fn rows(&self, relation: Oid, context: &VirtualContext<'_>) -> Option<Vec<Vec<Datum>>>;
}

/// Fills a scan with a relation's rows.
pub(crate) type RowsFn = fn(&mut Scan<'_>);

/// The shape of one virtual relation: a line of `relations.tsv`.
pub struct VirtualRelation {
    pub id: Oid,
    pub row_type: Oid,
    pub row_array_type: Oid,
    pub schema: Oid,
    pub name: &'static str,
    /// PostgreSQL has some of them as tables (`r`), the others as views (`v`).
    pub kind: char,
    /// What PUBLIC may do.
    pub public_rights: u32,
    pub columns: Vec<VirtualColumn>,
    rows: RowsOf,
}

pub struct VirtualColumn {
    pub name: &'static str,
    pub ty: SqlType,
    pub not_null: bool,
}

#[derive(Clone, Copy)]
enum RowsOf {
    Computed(RowsFn),
    Fixed(fixed::Table),
    Empty,
}

impl VirtualRelation {
    /// A line: OID, row type, its array, schema, name, kind, rights of PUBLIC, then columns as `name:type[:typmod][!]`
    /// where `!` is NOT NULL.
    fn parse(line: &'static str) -> Option<VirtualRelation> {
        let mut fields = line.split('\t');
        let mut number = || fields.next()?.parse::<Oid>().ok();
        let (id, row_type, row_array_type, schema) = (number()?, number()?, number()?, number()?);
        let name = fields.next()?;
        let kind = fields.next()?.chars().next()?;
        let public_rights = match fields.next()? {
            "r" => privilege::SELECT,
            "rw" => privilege::SELECT | privilege::UPDATE,
            _ => 0,
        };
        let columns = fields.next()?.split(' ').map(VirtualColumn::parse).collect::<Option<Vec<_>>>()?;
        let rows = rows_of(schema, name);
        Some(VirtualRelation { id, row_type, row_array_type, schema, name, kind, public_rights, columns, rows })
    }

    pub fn descriptor(&self) -> Relation {
        let mut relation = new_relation(self.id, self.name, RelationKind::Virtual);
        relation.schema = self.schema;
        relation.row_type = self.row_type;
        relation.row_array_type = self.row_array_type;
        let mut grants =
            vec![Grant { grantee: POSTGRES_ROLE, grantor: POSTGRES_ROLE, rights: privilege::ALL_TABLE, grantable: 0 }];
        if self.public_rights != 0 {
            grants.push(Grant { grantee: 0, grantor: POSTGRES_ROLE, rights: self.public_rights, grantable: 0 });
        }
        relation.privileges = Some(grants);
        for (column, number) in self.columns.iter().zip(1..) {
            let mut attribute = new_column(number, column.name, column.ty);
            attribute.not_null = column.not_null;
            relation.columns.push(attribute);
        }
        relation
    }
}

impl VirtualColumn {
    fn parse(text: &'static str) -> Option<VirtualColumn> {
        let not_null = text.ends_with('!');
        let mut parts = text.trim_end_matches('!').split(':');
        let name = parts.next()?;
        let oid = parts.next()?.parse().ok()?;
        let ty = match parts.next() {
            Some(typmod) => SqlType::with_typmod(oid, typmod.parse().ok()?),
            None => SqlType::new(oid),
        };
        Some(VirtualColumn { name, ty, not_null })
    }
}

fn rows_of(schema: Oid, name: &str) -> RowsOf {
    let computed: &[&[(&str, RowsFn)]] = match schema {
        INFORMATION_SCHEMA => &[information_schema::RELATIONS],
        _ => &[
            activity::RELATIONS,
            attributes::RELATIONS,
            classes::RELATIONS,
            comments::RELATIONS,
            constraints::RELATIONS,
            databases::RELATIONS,
            dependencies::RELATIONS,
            initial::RELATIONS,
            listings::RELATIONS,
            roles::RELATIONS,
            routines::RELATIONS,
            statistics::RELATIONS,
            time_zones::RELATIONS,
            types_of::RELATIONS,
        ],
    };
    let found = computed.iter().flat_map(|topic| topic.iter()).find(|(n, _)| *n == name);
    match (found, fixed::table(schema, name)) {
        (Some((_, rows)), _) => RowsOf::Computed(*rows),
        (None, Some(table)) => RowsOf::Fixed(table),
        (None, None) => RowsOf::Empty,
    }
}

/// All of them, by id.
pub fn relations() -> &'static [VirtualRelation] {
    static ALL: OnceLock<Vec<VirtualRelation>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Vec<_> = include_str!("relations.tsv").lines().filter_map(VirtualRelation::parse).collect();
        all.sort_by_key(|r| r.id);
        all
    })
}

/// The definition of one; None for an id that is none.
pub fn relation(id: Oid) -> Option<&'static VirtualRelation> {
    relations().binary_search_by_key(&id, |r| r.id).ok().and_then(|at| relations().get(at))
}

/// The rows of one; empty for an id that is none. `equal` (attribute, value) says which rows are wanted: a hint, the
/// executor filters again.
pub fn rows(id: Oid, context: &VirtualContext<'_>, equal: &[(AttributeNumber, Datum)]) -> Vec<Row> {
    if let Some(rows) = context.source.and_then(|source| source.rows(id, context)) {
        return rows.into_iter().map(Row::Made).collect();
    }
    let Some(relation) = relation(id) else { return vec![] };
    match relation.rows {
        RowsOf::Empty => vec![],
        RowsOf::Fixed(table) => fixed::rows(relation, table, equal),
        RowsOf::Computed(rows) => {
            let mut scan = Scan::new(context, equal);
            rows(&mut scan);
            scan.rows
        }
    }
}

/// The rights of a system schema, as PostgreSQL has them.
pub fn schema_privileges(id: Oid) -> Privileges {
    if id == TOAST_SCHEMA {
        return None;
    }
    let grant = |grantee, rights| Grant { grantee, grantor: POSTGRES_ROLE, rights, grantable: 0 };
    Some(vec![grant(POSTGRES_ROLE, privilege::ALL_SCHEMA), grant(0, privilege::USAGE)])
}
