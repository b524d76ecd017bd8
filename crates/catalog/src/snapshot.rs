//! An immutable view of the whole catalog at one version: what a statement is bound against.
//!
//! Maps are ordered by id, so that whoever walks them answers in the same order on every node. Besides the objects a
//! snapshot keeps what would otherwise be searched for on every statement: names, row types, who references whom.

use crate::descriptor::*;
use crate::virtuals;
use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use types::Oid;

/// (schema, name) of a relation, sequence, view or index: one name space, as PostgreSQL's.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Name {
    schema: Oid,
    name: String,
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.schema, self.name.as_str()).hash(state);
    }
}

/// A `Name` to look up by, without a copy of the text.
struct NameRef<'a>(Oid, &'a str);

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1).hash(state);
    }
}

impl Equivalent<Name> for NameRef<'_> {
    fn equivalent(&self, key: &Name) -> bool {
        self.0 == key.schema && self.1 == key.name
    }
}

type IdMap<T> = BTreeMap<Oid, Arc<T>>;
/// Ids of objects that may have a name in common, in order.
type IdsByName = HashMap<Name, Vec<Oid>, RandomState>;

fn add_id(names: &mut IdsByName, schema: Oid, name: &str, id: Oid) {
    let ids = names.entry(Name { schema, name: name.to_owned() }).or_default();
    if let Err(at) = ids.binary_search(&id) {
        ids.insert(at, id);
    }
}

fn remove_id(names: &mut IdsByName, schema: Oid, name: &str, id: Oid) {
    let name = NameRef(schema, name);
    if let Some(ids) = names.get_mut(&name) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            names.remove(&name);
        }
    }
}

/// Everything that exists at `version`. Cloned (maps of `Arc`s) and changed only by DDL and by the meta shard's commits.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Raised with every change; a plan cache is keyed by it. A transaction's own uncommitted DDL gives versions of its own (top bit set).
    pub version: u64,
    /// Timestamp of the last catalog commit that is in it.
    pub as_of: txn::Timestamp,
    /// Indexes and the moment from which on they hold every version: not in it are those that were there always, or are the
    /// transaction's own.
    index_births: BTreeMap<Oid, txn::Timestamp>,
    /// The last of them.
    newest_index: txn::Timestamp,
    databases: IdMap<Database>,
    schemas: IdMap<Schema>,
    relations: IdMap<Relation>,
    indexes: IdMap<Index>,
    roles: IdMap<Role>,
    statistics: IdMap<Statistics>,
    default_privileges: IdMap<DefaultPrivileges>,
    functions: IdMap<Function>,
    rules: IdMap<Rule>,
    /// Of one name, in order of id.
    function_names: IdsByName,
    operators: IdMap<Operator>,
    /// Of one name, in order of id.
    operator_names: IdsByName,
    names: HashMap<Name, Oid, RandomState>,
    /// Row types and their arrays, to the relation.
    row_types: HashMap<Oid, Oid, RandomState>,
    /// The rules of a relation, in order of name.
    rules_of: BTreeMap<Oid, Vec<Oid>>,
    /// Relations whose foreign keys point at the key, in order of id.
    referencing: BTreeMap<Oid, Vec<Oid>>,
}

impl Snapshot {
    /// What every database has: the system schemas and the virtual relations.
    pub fn with_builtins() -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (id, name) in virtuals::SCHEMAS {
            snapshot.put(Object::Schema(Schema {
                id: *id,
                database: 0,
                name: (*name).to_owned(),
                owner: POSTGRES_ROLE,
                privileges: virtuals::schema_privileges(*id),
                comment: None,
            }));
        }
        for relation in virtuals::relations() {
            snapshot.put(Object::Relation(relation.descriptor()));
        }
        snapshot
    }

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
        self.relations.get(&self.id_by_name(schema, name)?)
    }
    pub fn index(&self, id: Oid) -> Option<&Arc<Index>> {
        self.indexes.get(&id)
    }
    pub fn index_by_name(&self, schema: Oid, name: &str) -> Option<&Arc<Index>> {
        self.indexes.get(&self.id_by_name(schema, name)?)
    }
    /// Whether an index has the versions that a snapshot of this time sees. Its entries are as old as the transactions that made
    /// it: a row that was there before has none for whoever reads the past.
    pub fn index_serves(&self, id: Oid, reads_at: txn::Timestamp) -> bool {
        self.index_births.get(&id).is_none_or(|birth| *birth <= reads_at)
    }
    /// When the youngest index was made.
    pub fn newest_index(&self) -> txn::Timestamp {
        self.newest_index
    }
    /// Puts an index that was committed at `ts`. `before`: the catalog until then.
    pub fn put_index_at(&mut self, index: Index, before: Option<&Snapshot>, ts: txn::Timestamp) {
        let old = before.and_then(|b| b.index(index.id));
        let is_same = old.is_some_and(|old| old.state == IndexState::Public && old.storage == index.storage);
        let birth = match before.filter(|_| is_same) {
            Some(before) => before.index_births.get(&index.id).copied(),
            None => Some(ts),
        };
        let id = index.id;
        self.put(Object::Index(index));
        if let Some(birth) = birth {
            self.index_births.insert(id, birth);
            self.newest_index = self.newest_index.max(birth);
        }
    }
    /// Id of the relation or index of that name.
    pub fn id_by_name(&self, schema: Oid, name: &str) -> Option<Oid> {
        self.names.get(&NameRef(schema, name)).copied()
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
    /// The relation whose row type, or whose row type's array, has this pg_type OID.
    pub fn relation_of_type(&self, type_id: Oid) -> Option<&Arc<Relation>> {
        self.relations.get(self.row_types.get(&type_id)?)
    }
    /// The indexes of a relation, the primary key's first.
    pub fn indexes_of<'a>(&'a self, relation: &'a Relation) -> impl Iterator<Item = &'a Arc<Index>> {
        relation.indexes.iter().filter_map(|id| self.indexes.get(id))
    }
    /// Foreign keys that point at a relation, with the relation that has them (itself too).
    pub fn foreign_keys_to(&self, target: Oid) -> impl Iterator<Item = (&Arc<Relation>, &Constraint, &ForeignKey)> {
        let ids = self.referencing.get(&target).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.relations.get(id)).flat_map(move |relation| {
            relation.constraints.iter().filter_map(move |c| match &c.kind {
                ConstraintKind::ForeignKey(key) if key.target == target => Some((relation, c, key)),
                _ => None,
            })
        })
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
    pub fn function(&self, id: Oid) -> Option<&Arc<Function>> {
        self.functions.get(&id)
    }
    /// The functions of that name, in order of id.
    pub fn functions_by_name<'a>(
        &'a self,
        schema: Oid,
        name: &str,
    ) -> impl Iterator<Item = &'a Arc<Function>> + use<'a> {
        let ids = self.function_names.get(&NameRef(schema, name)).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.functions.get(id))
    }
    pub fn functions(&self) -> impl Iterator<Item = &Arc<Function>> {
        self.functions.values()
    }
    pub fn operator(&self, id: Oid) -> Option<&Arc<Operator>> {
        self.operators.get(&id)
    }
    /// The operators of that name, in order of id; shells too.
    pub fn operators_by_name<'a>(
        &'a self,
        schema: Oid,
        name: &str,
    ) -> impl Iterator<Item = &'a Arc<Operator>> + use<'a> {
        let ids = self.operator_names.get(&NameRef(schema, name)).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.operators.get(id))
    }
    pub fn operators(&self) -> impl Iterator<Item = &Arc<Operator>> {
        self.operators.values()
    }
    pub fn rule(&self, id: Oid) -> Option<&Arc<Rule>> {
        self.rules.get(&id)
    }
    /// The rules of a relation, in the order in which they fire.
    pub fn rules_of(&self, relation: Oid) -> impl Iterator<Item = &Arc<Rule>> {
        let ids = self.rules_of.get(&relation).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.rules.get(id))
    }
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.values()
    }
    pub fn default_privileges(&self) -> impl Iterator<Item = &Arc<DefaultPrivileges>> {
        self.default_privileges.values()
    }

    /// The descriptor of that key, as it would be stored.
    pub fn object(&self, key: ObjectKey) -> Option<Object> {
        fn get<T: Clone>(map: &IdMap<T>, id: Oid, wrap: fn(T) -> Object) -> Option<Object> {
            map.get(&id).map(|o| wrap((**o).clone()))
        }
        match key.kind {
            ObjectKind::Database => get(&self.databases, key.id, Object::Database),
            ObjectKind::Schema => get(&self.schemas, key.id, Object::Schema),
            ObjectKind::Relation => get(&self.relations, key.id, Object::Relation),
            ObjectKind::Index => get(&self.indexes, key.id, Object::Index),
            ObjectKind::Role => get(&self.roles, key.id, Object::Role),
            ObjectKind::Statistics => get(&self.statistics, key.id, Object::Statistics),
            ObjectKind::DefaultPrivileges => get(&self.default_privileges, key.id, Object::DefaultPrivileges),
            ObjectKind::Function => get(&self.functions, key.id, Object::Function),
            ObjectKind::Operator => get(&self.operators, key.id, Object::Operator),
            ObjectKind::Rule => get(&self.rules, key.id, Object::Rule),
        }
    }

    /// Adds or replaces one object. `version` is the caller's to raise. For a snapshot made by hand (tests) as well.
    pub fn put(&mut self, object: Object) {
        self.remove(object.key());
        match object {
            Object::Database(o) => drop(self.databases.insert(o.id, Arc::new(o))),
            Object::Schema(o) => drop(self.schemas.insert(o.id, Arc::new(o))),
            Object::Role(o) => drop(self.roles.insert(o.id, Arc::new(o))),
            Object::Statistics(o) => drop(self.statistics.insert(o.relation, Arc::new(o))),
            Object::DefaultPrivileges(o) => drop(self.default_privileges.insert(o.id, Arc::new(o))),
            Object::Index(o) => {
                self.names.insert(Name { schema: o.schema, name: o.name.clone() }, o.id);
                self.indexes.insert(o.id, Arc::new(o));
            }
            Object::Function(o) => {
                add_id(&mut self.function_names, o.schema, &o.name, o.id);
                self.functions.insert(o.id, Arc::new(o));
            }
            Object::Rule(o) => self.put_rule(o),
            Object::Operator(o) => {
                add_id(&mut self.operator_names, o.schema, &o.name, o.id);
                self.operators.insert(o.id, Arc::new(o));
            }
            Object::Relation(o) => self.put_relation(o),
        }
    }

    fn put_rule(&mut self, rule: Rule) {
        let ids = self.rules_of.entry(rule.relation).or_default();
        let name = |id: &Oid| self.rules.get(id).map_or("", |r| r.name.as_str());
        let at = ids.partition_point(|id| name(id) < rule.name.as_str());
        ids.insert(at, rule.id);
        self.rules.insert(rule.id, Arc::new(rule));
    }

    fn remove_rule(&mut self, id: Oid) {
        let Some(old) = self.rules.remove(&id) else { return };
        if let Some(ids) = self.rules_of.get_mut(&old.relation) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.rules_of.remove(&old.relation);
            }
        }
    }

    fn put_relation(&mut self, relation: Relation) {
        let id = relation.id;
        // A free-standing composite type has no name among relations' users, but PostgreSQL keeps it there too.
        self.names.insert(Name { schema: relation.schema, name: relation.name.clone() }, id);
        for ty in [relation.row_type, relation.row_array_type] {
            if ty != 0 {
                self.row_types.insert(ty, id);
            }
        }
        for target in targets(&relation) {
            let ids = self.referencing.entry(target).or_default();
            if let Err(at) = ids.binary_search(&id) {
                ids.insert(at, id);
            }
        }
        self.relations.insert(id, Arc::new(relation));
    }

    /// Removes one object, if it is there; what depends on it is the caller's business.
    pub fn remove(&mut self, key: ObjectKey) {
        match key.kind {
            ObjectKind::Database => drop(self.databases.remove(&key.id)),
            ObjectKind::Schema => drop(self.schemas.remove(&key.id)),
            ObjectKind::Role => drop(self.roles.remove(&key.id)),
            ObjectKind::Statistics => drop(self.statistics.remove(&key.id)),
            ObjectKind::DefaultPrivileges => drop(self.default_privileges.remove(&key.id)),
            ObjectKind::Function => {
                if let Some(old) = self.functions.remove(&key.id) {
                    remove_id(&mut self.function_names, old.schema, &old.name, old.id);
                }
            }
            ObjectKind::Operator => {
                if let Some(old) = self.operators.remove(&key.id) {
                    remove_id(&mut self.operator_names, old.schema, &old.name, old.id);
                }
            }
            ObjectKind::Rule => self.remove_rule(key.id),
            ObjectKind::Index => {
                self.index_births.remove(&key.id);
                if let Some(old) = self.indexes.remove(&key.id) {
                    self.forget_name(old.schema, &old.name, old.id);
                }
            }
            ObjectKind::Relation => {
                let Some(old) = self.relations.remove(&key.id) else { return };
                self.forget_name(old.schema, &old.name, old.id);
                self.row_types.remove(&old.row_type);
                self.row_types.remove(&old.row_array_type);
                for target in targets(&old) {
                    if let Some(ids) = self.referencing.get_mut(&target) {
                        ids.retain(|id| *id != key.id);
                    }
                }
            }
        }
    }

    /// Only if it still is that object's: of two objects that swap a name in one commit, the second put must win.
    fn forget_name(&mut self, schema: Oid, name: &str, id: Oid) {
        if self.id_by_name(schema, name) == Some(id) {
            self.names.remove(&NameRef(schema, name));
        }
    }
}

fn targets(relation: &Relation) -> impl Iterator<Item = Oid> {
    relation.constraints.iter().filter_map(|c| match &c.kind {
        ConstraintKind::ForeignKey(key) => Some(key.target),
        _ => None,
    })
}
