//! An immutable view of the whole catalog at one version: what a statement is bound against.

use crate::descriptor::*;
use foldhash::HashMap;
use std::sync::Arc;
use types::Oid;

/// Everything that exists at `version`. Cloned (cheaply: maps of `Arc`s) and changed only by DDL and by the meta shard's commits.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Raised with every change; a plan cache is keyed by it. A transaction's own uncommitted DDL gives versions of its own (top bit set).
    pub version: u64,
    pub(crate) databases: HashMap<Oid, Arc<Database>>,
    pub(crate) schemas: HashMap<Oid, Arc<Schema>>,
    pub(crate) relations: HashMap<Oid, Arc<Relation>>,
    pub(crate) indexes: HashMap<Oid, Arc<Index>>,
    pub(crate) roles: HashMap<Oid, Arc<Role>>,
    pub(crate) statistics: HashMap<Oid, Arc<Statistics>>,
    /// (schema, name) of relations, sequences, views and indexes: one name space, as PostgreSQL's.
    pub(crate) names: HashMap<(Oid, String), Oid>,
}

impl Snapshot {
    pub fn database(&self, id: Oid) -> Option<&Arc<Database>> {
        self.databases.get(&id)
    }
    pub fn database_by_name(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.values().find(|d| d.name == name)
    }
    pub fn schema(&self, id: Oid) -> Option<&Arc<Schema>> {
        self.schemas.get(&id)
    }
    /// pg_catalog and information_schema belong to every database.
    pub fn schema_by_name(&self, database: Oid, name: &str) -> Option<&Arc<Schema>> {
        self.schemas.values().find(|s| s.name == name && (s.database == database || s.database == 0))
    }
    pub fn relation(&self, id: Oid) -> Option<&Arc<Relation>> {
        self.relations.get(&id)
    }
    pub fn relation_by_name(&self, schema: Oid, name: &str) -> Option<&Arc<Relation>> {
        self.relations.get(self.names.get(&(schema, name.to_owned()))?)
    }
    pub fn index(&self, id: Oid) -> Option<&Arc<Index>> {
        self.indexes.get(&id)
    }
    pub fn index_by_name(&self, schema: Oid, name: &str) -> Option<&Arc<Index>> {
        self.indexes.get(self.names.get(&(schema, name.to_owned()))?)
    }
    pub fn role(&self, id: Oid) -> Option<&Arc<Role>> {
        self.roles.get(&id)
    }
    pub fn role_by_name(&self, name: &str) -> Option<&Arc<Role>> {
        self.roles.values().find(|r| r.name == name)
    }
    pub fn statistics(&self, relation: Oid) -> Option<&Arc<Statistics>> {
        self.statistics.get(&relation)
    }
    /// The indexes of a relation, the primary key's first.
    pub fn indexes_of<'a>(&'a self, relation: &'a Relation) -> impl Iterator<Item = &'a Arc<Index>> {
        relation.indexes.iter().filter_map(|id| self.indexes.get(id))
    }
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.databases.values()
    }
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.values()
    }
    pub fn relations(&self) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations.values()
    }
    pub fn indexes(&self) -> impl Iterator<Item = &Arc<Index>> {
        self.indexes.values()
    }
    pub fn roles(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.values()
    }
}
