//! Virtual relations: `pg_catalog`, `information_schema` and `hyrax_catalog`, whose rows are computed from descriptors.
//!
//! Owns their definitions. Each is in every `Snapshot` as a relation of kind `Virtual`; the executor reads it through
//! `rows`. A relation is one file with a `VirtualRelation`, and a line in `relations`.

use crate::Snapshot;
use crate::descriptor::*;
use crate::names::NameScope;
use std::sync::{Arc, OnceLock};
use types::{Datum, Oid, SqlType};

mod pg_attribute;
mod pg_class;
mod pg_namespace;
mod pg_type;

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
    /// The live state behind pg_stat_activity, pg_locks, pg_settings, …; None where there is no server (tests).
    pub source: Option<&'a dyn Source>,
}

/// Live state that lives above this crate, by relation. Registered by `server`.
pub trait Source: Send + Sync {
    fn rows(&self, relation: Oid, context: &VirtualContext<'_>) -> Option<Vec<Vec<Datum>>>;
}

pub struct VirtualRelation {
    pub id: Oid,
    pub row_type: Oid,
    pub schema: Oid,
    pub name: &'static str,
    /// Name, type, NOT NULL.
    pub columns: &'static [(&'static str, Oid, bool)],
    /// All rows, or those with `equal` (attribute, value) only: a hint, the executor filters again.
    pub rows: fn(&VirtualContext<'_>, equal: &[(AttributeNumber, Datum)]) -> Vec<Vec<Datum>>,
}

impl VirtualRelation {
    pub fn descriptor(&self) -> Relation {
        let mut relation = new_relation(self.id, self.name, RelationKind::Virtual);
        relation.schema = self.schema;
        relation.row_type = self.row_type;
        relation.row_array_type = 0;
        // All may look.
        let public = Grant { grantee: 0, grantor: POSTGRES_ROLE, rights: privilege::SELECT, grantable: 0 };
        let own = Grant { grantee: POSTGRES_ROLE, grantor: POSTGRES_ROLE, rights: privilege::ALL_TABLE, grantable: 0 };
        relation.privileges = Some(vec![own, public]);
        for (index, (name, ty, not_null)) in self.columns.iter().enumerate() {
            let mut column = new_column(index as AttributeNumber + 1, name, SqlType::new(*ty));
            column.not_null = *not_null;
            relation.columns.push(column);
        }
        relation
    }
}

/// All of them, by id.
pub fn relations() -> &'static [VirtualRelation] {
    static ALL: OnceLock<Vec<VirtualRelation>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all =
            vec![pg_type::relation(), pg_attribute::relation(), pg_class::relation(), pg_namespace::relation()];
        all.sort_by_key(|r| r.id);
        all
    })
}

/// The rows of one; empty for an id that is none.
pub fn rows(id: Oid, context: &VirtualContext<'_>, equal: &[(AttributeNumber, Datum)]) -> Vec<Vec<Datum>> {
    if let Some(rows) = context.source.and_then(|source| source.rows(id, context)) {
        return rows;
    }
    match relations().binary_search_by_key(&id, |r| r.id) {
        Ok(at) => relations().get(at).map(|r| (r.rows)(context, equal)).unwrap_or_default(),
        Err(_) => vec![],
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

// --- helpers of the relations' files

/// The value that an attribute must have, where the query says so.
pub(crate) fn wanted(equal: &[(AttributeNumber, Datum)], attribute: AttributeNumber) -> Option<&Datum> {
    equal.iter().find(|(a, _)| *a == attribute).map(|(_, value)| value)
}

pub(crate) fn wanted_oid(equal: &[(AttributeNumber, Datum)], attribute: AttributeNumber) -> Option<Oid> {
    match wanted(equal, attribute)? {
        Datum::Oid(id) => Some(*id),
        _ => None,
    }
}

/// A value of type "char".
pub(crate) fn letter(c: char) -> Datum {
    let mut buffer = [0; 4];
    Datum::text(&*c.encode_utf8(&mut buffer))
}

pub(crate) fn acl(catalog: &Snapshot, list: Option<&[Grant]>) -> Datum {
    let Some(list) = list else { return Datum::Null };
    let items = list.iter().map(|g| Datum::text(crate::privileges::aclitem(catalog, g))).collect();
    Datum::Array(Arc::new(types::array::Array::from_values(types::oid::ACLITEM, items)))
}

pub(crate) fn options(list: &[(String, String)]) -> Datum {
    if list.is_empty() {
        return Datum::Null;
    }
    let items = list.iter().map(|(name, value)| Datum::text(format!("{name}={value}"))).collect();
    Datum::Array(Arc::new(types::array::Array::from_values(types::oid::TEXT, items)))
}

/// Relations that a session connected to `scope.database` sees, in order of id.
pub(crate) fn visible_relations<'a>(context: &'a VirtualContext<'_>) -> impl Iterator<Item = &'a Arc<Relation>> {
    let database = context.scope.database;
    context.catalog.relations().filter(move |r| r.database == database || r.database == 0)
}

pub(crate) fn visible_indexes<'a>(context: &'a VirtualContext<'_>) -> impl Iterator<Item = &'a Arc<Index>> {
    let database = context.scope.database;
    context.catalog.indexes().filter(move |i| i.database == database)
}
