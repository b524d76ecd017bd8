//! The state of one DDL statement, and the questions that all of them ask: names, schemas, rights, notices.

use super::services::DdlServices;
use catalog::names::{self, NameScope};
use catalog::privileges::{self, Target};
use catalog::rows::NameSpace;
use catalog::*;
use sql::utility::ddl::{ObjectName, RelationWord, RoleSpec};
use std::sync::Arc;
use txn::{TableLock, Transaction, WaitPolicy};
use types::user_type::{self, ID_LIMIT, UserKind};
use types::{Oid, Result, Severity, SqlError, SqlState};

pub struct DdlContext<'a> {
    pub txn: &'a Transaction,
    pub catalog: &'a mut TransactionCatalog,
    pub services: &'a dyn DdlServices,
    pub database: Oid,
    pub role: Oid,
    pub session_role: Oid,
    /// With pg_catalog and the temporary schema where they are searched.
    pub search_path: Vec<Oid>,
    pub creation_schema: Option<Oid>,
    /// pg_temp_n of the session; made by the first TEMP object, to be taken over by the session afterwards.
    pub temporary_schema: Option<Oid>,
    /// n of pg_temp_n.
    pub session_number: u32,
}

pub struct DdlOutcome {
    pub tag: String,
    /// A write-only index, to be filled by transactions of its own (`online`).
    pub unfilled: Option<Oid>,
}

pub(super) fn error(code: SqlState, message: impl Into<String>) -> SqlError {
    SqlError::new(code, message)
}

impl DdlContext<'_> {
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog.snapshot().clone()
    }

    pub(super) fn scope(&self) -> NameScope<'_> {
        NameScope { database: self.database, search_path: &self.search_path, temporary_schema: self.temporary_schema }
    }

    pub(super) fn notice(&self, code: SqlState, message: impl Into<String>) {
        self.services.notice(SqlError::new(code, message).severity(Severity::Notice));
    }

    /// "…, skipping".
    pub(super) fn skipping(&self, code: SqlState, what: &str) {
        self.notice(code, format!("{what}, skipping"));
    }

    pub(super) fn is_superuser(&self) -> bool {
        privileges::is_superuser(self.catalog.snapshot(), self.role)
    }

    pub(super) fn require_owner(&self, target: Target<'_>) -> Result<()> {
        privileges::require_owner(self.catalog.snapshot(), self.role, target)
    }

    // --- roles

    pub(super) fn role_id(&self, spec: &RoleSpec) -> Result<Oid> {
        match spec {
            RoleSpec::CurrentUser => Ok(self.role),
            RoleSpec::SessionUser => Ok(self.session_role),
            RoleSpec::Name(name) => self.role_by_name(name).map(|role| role.id),
            RoleSpec::Public => Err(error(SqlState::UNDEFINED_OBJECT, "role \"public\" does not exist")),
        }
    }

    pub(super) fn role_by_name(&self, name: &str) -> Result<Arc<Role>> {
        self.catalog
            .snapshot()
            .role_by_name(name)
            .cloned()
            .ok_or_else(|| error(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
    }

    pub(super) fn role_name(&self, id: Oid) -> String {
        self.catalog.snapshot().role(id).map_or_else(|| id.to_string(), |r| r.name.clone())
    }

    /// Whoever gives an object away must be able to become its new owner.
    pub(super) fn require_may_become(&self, role: Oid) -> Result<()> {
        if privileges::is_member(self.catalog.snapshot(), self.role, role) {
            return Ok(());
        }
        Err(error(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be member of role \"{}\"", self.role_name(role))))
    }

    // --- schemas

    pub(super) fn schema_named(&self, name: &str) -> Result<Arc<Schema>> {
        names::schema(self.catalog.snapshot(), self.scope(), name).cloned()
    }

    /// Where a new object of that name goes.
    pub(super) async fn creation_schema(
        &mut self,
        name: &ObjectName,
        is_temporary: bool,
    ) -> Result<(Arc<Schema>, bool)> {
        let snapshot = self.snapshot();
        let (qualifier, _) = names::split(&snapshot, self.scope(), &name.parts)?;
        let into_temporary = match qualifier {
            Some("pg_temp") => true,
            Some(qualifier) => {
                self.temporary_schema.is_some_and(|id| snapshot.schema(id).is_some_and(|s| s.name == qualifier))
            }
            None => false,
        };
        if is_temporary && qualifier.is_some() && !into_temporary {
            let message = "cannot create temporary relation in non-temporary schema";
            return Err(error(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        if is_temporary || into_temporary {
            return Ok((self.ensure_temporary_schema().await?, true));
        }
        let schema = match qualifier {
            Some(qualifier) => self.schema_named(qualifier)?,
            None => {
                let id = self.creation_schema.filter(|id| snapshot.schema(*id).is_some());
                let id =
                    id.ok_or_else(|| error(SqlState::INVALID_SCHEMA_NAME, "no schema has been selected to create in"))?;
                snapshot.schema(id).cloned().ok_or_else(|| names::no_schema("?"))?
            }
        };
        if schema.database == 0 {
            let message = format!("permission denied to create \"{}.{}\"", schema.name, name.object());
            return Err(error(SqlState::INSUFFICIENT_PRIVILEGE, message)
                .detail("System catalog modifications are currently disallowed."));
        }
        privileges::require(&snapshot, self.role, Target::Schema(&schema), privilege::CREATE)?;
        Ok((schema, false))
    }

    async fn ensure_temporary_schema(&mut self) -> Result<Arc<Schema>> {
        if let Some(schema) = self.temporary_schema.and_then(|id| self.catalog.snapshot().schema(id).cloned()) {
            return Ok(schema);
        }
        let snapshot = self.snapshot();
        if let Some(database) = snapshot.database(self.database) {
            let target = Target::Database(database);
            if !privileges::has_privilege(&snapshot, self.role, target, privilege::CREATE_TEMP) {
                let message = format!("permission denied to create temporary tables in database \"{}\"", database.name);
                return Err(error(SqlState::INSUFFICIENT_PRIVILEGE, message));
            }
        }
        let id = self.catalog.allocate_id().await?;
        let schema = Schema {
            id,
            database: self.database,
            name: format!("pg_temp_{}", self.session_number),
            owner: POSTGRES_ROLE,
            privileges: None,
            comment: None,
        };
        self.catalog.put_temporary_schema(schema.clone());
        self.temporary_schema = Some(id);
        self.search_path.insert(0, id);
        Ok(Arc::new(schema))
    }

    // --- relations and indexes

    /// Storage made by this statement: nobody else has rows there before the commit.
    pub(super) fn note_created_storage(&mut self, home: txn::Home, storage: u32) {
        self.catalog.note_created_storage(home, storage);
        if home == txn::Home::Data {
            self.txn.own_storage(txn::StorageId(storage));
        }
    }

    /// The relation of that name, locked and newest. None: it does not exist (and `if_exists` has said so).
    pub(super) async fn lock_relation(&mut self, name: &ObjectName, if_exists: bool) -> Result<Option<Arc<Relation>>> {
        self.lock_relation_as(name, if_exists, TableLock::AccessExclusive).await
    }

    pub(super) async fn lock_relation_as(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
        mode: TableLock,
    ) -> Result<Option<Arc<Relation>>> {
        let snapshot = self.snapshot();
        let found = names::find(&snapshot, self.scope(), &name.parts)?;
        let Some(id) = found else {
            let missing = names::no_relation(&name.parts);
            if if_exists {
                self.skipping(SqlState::SUCCESSFUL_COMPLETION, missing.message());
                return Ok(None);
            }
            if let (Some(schema), _) = names::split(&snapshot, self.scope(), &name.parts)? {
                self.schema_named(schema)?;
            }
            return Err(missing);
        };
        if snapshot.index(id).is_some() {
            return Err(error(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is an index", name.object())));
        }
        self.lock_relation_by_id_as(id, mode).await
    }

    /// 55006 where checks of the relation's rows wait for the commit: they are about the relation as it is.
    pub(super) fn check_nothing_put_off(&self, relation: &Relation, what: &str) -> Result<()> {
        if !self.services.has_put_off(relation.id) {
            return Ok(());
        }
        let message = format!("cannot {what} \"{}\" because it has pending trigger events", relation.name);
        Err(error(SqlState::OBJECT_IN_USE, message))
    }

    /// None: it was dropped while the lock was waited for. Transactions that have written to it are waited for too: they
    /// could not commit against what it is changed to.
    pub(super) async fn lock_relation_by_id(&mut self, id: Oid) -> Result<Option<Arc<Relation>>> {
        self.lock_relation_by_id_as(id, TableLock::AccessExclusive).await
    }

    async fn lock_relation_by_id_as(&mut self, id: Oid, mode: TableLock) -> Result<Option<Arc<Relation>>> {
        self.catalog.lock(self.txn, ObjectKey::relation(id)).await?;
        let relation = self.catalog.snapshot().relation(id).cloned();
        if let Some(relation) = &relation
            && relation.has_rows()
            && !relation.is_temporary
        {
            self.txn.lock_table(&relation.reference(), mode, WaitPolicy::Wait).await?;
        }
        Ok(relation)
    }

    pub(super) async fn must_lock_relation(&mut self, name: &ObjectName) -> Result<Arc<Relation>> {
        self.must_lock_relation_as(name, TableLock::AccessExclusive).await
    }

    pub(super) async fn must_lock_relation_as(&mut self, name: &ObjectName, mode: TableLock) -> Result<Arc<Relation>> {
        let relation = self.lock_relation_as(name, false, mode).await?;
        relation.ok_or_else(|| names::no_relation(&name.parts))
    }

    pub(super) async fn lock_index_by_id(&mut self, id: Oid) -> Result<Arc<Index>> {
        self.catalog.lock(self.txn, ObjectKey::index(id)).await?;
        let index = self.catalog.snapshot().index(id).cloned();
        index.ok_or_else(|| error(SqlState::UNDEFINED_OBJECT, "index was dropped concurrently"))
    }

    /// The newest version of a relation that has been locked.
    pub(super) fn relation(&self, id: Oid) -> Result<Arc<Relation>> {
        self.catalog
            .snapshot()
            .relation(id)
            .cloned()
            .ok_or_else(|| error(SqlState::UNDEFINED_TABLE, format!("relation with OID {id} does not exist")))
    }

    /// Puts a changed relation: plans made with the version before are void.
    pub(super) fn put_relation(&mut self, mut relation: Relation) -> Result<()> {
        relation.schema_version += 1;
        self.catalog.put(self.txn, Object::Relation(relation))
    }

    /// Changes a locked relation in place.
    pub(super) fn change_relation(&mut self, id: Oid, change: impl FnOnce(&mut Relation)) -> Result<Arc<Relation>> {
        let mut relation = Relation::clone(&*self.relation(id)?);
        change(&mut relation);
        self.put_relation(relation)?;
        self.relation(id)
    }

    /// A change that no plan depends on: those made before stay good, and what they write commits.
    pub(super) fn change_quietly(&mut self, id: Oid, change: impl FnOnce(&mut Relation)) -> Result<()> {
        let mut relation = Relation::clone(&*self.relation(id)?);
        change(&mut relation);
        self.catalog.put(self.txn, Object::Relation(relation))
    }

    /// Takes the name of a relation or index in a schema; 42P07 if it is taken.
    pub(super) async fn claim_relation_name(&mut self, schema: Oid, name: &str) -> Result<()> {
        match self.catalog.claim_name(self.txn, NameSpace::Relations, schema, name).await? {
            None => Ok(()),
            Some(id) if self.catalog.snapshot().relation(id).is_some_and(|r| r.is_scalar_type()) => {
                let message = format!("type \"{name}\" already exists");
                Err(error(SqlState::DUPLICATE_OBJECT, message).hint(
                    "A relation has an associated type of the same name, so you must use a name that doesn't conflict \
                     with any existing type.",
                ))
            }
            Some(_) => Err(already_exists(name)),
        }
    }

    /// IF NOT EXISTS: whether the name is taken. Where somebody else is about to take it, it is waited for.
    pub(super) async fn is_taken(&mut self, schema: Oid, name: &str) -> Result<bool> {
        let is_known = self.catalog.snapshot().id_by_name(schema, name).is_some();
        Ok(is_known || self.catalog.claim_name(self.txn, NameSpace::Relations, schema, name).await?.is_some())
    }

    /// A name that is free: `base`, `base1`, `base2`, … with parts shortened as PostgreSQL does.
    pub(super) async fn choose_relation_name(
        &mut self,
        schema: Oid,
        name1: &str,
        name2: &str,
        label: &str,
    ) -> Result<String> {
        for attempt in 0..CHOICES_MAX {
            let suffix = if attempt == 0 { label.to_owned() } else { format!("{label}{attempt}") };
            let name = object_name(name1, name2, &suffix);
            let is_taken = self.catalog.snapshot().id_by_name(schema, &name).is_some();
            if !is_taken && self.catalog.claim_name(self.txn, NameSpace::Relations, schema, &name).await?.is_none() {
                return Ok(name);
            }
        }
        Err(error(SqlState::DUPLICATE_OBJECT, "could not choose a name that is not in use"))
    }

    /// A new relation or type with its ids: itself, which its types' OIDs follow from, and its storage.
    pub(super) async fn new_relation(
        &mut self,
        schema: &Schema,
        name: &str,
        kind: RelationKind,
        is_temporary: bool,
    ) -> Result<Relation> {
        let id = self.catalog.allocate_id().await?;
        let mut relation = new_relation(id, name, kind);
        relation.schema = schema.id;
        relation.database = self.database;
        relation.owner = self.role;
        relation.is_temporary = is_temporary;
        if id >= ID_LIMIT {
            let message = "this cluster has made as many objects as it can number (limit 268435455)";
            return Err(error(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        let type_kind = match kind {
            RelationKind::Enum => UserKind::Enum,
            RelationKind::Domain => UserKind::Domain,
            _ => UserKind::Composite,
        };
        relation.row_type = if kind == RelationKind::Sequence { 0 } else { user_type::type_oid(type_kind, id) };
        relation.row_array_type = user_type::array_of(relation.row_type).unwrap_or(0);
        let is_type = relation.is_type();
        if !is_type {
            relation.storage = self.catalog.allocate_id().await?;
            self.note_created_storage(relation.home(), relation.storage);
        }
        let letter = match kind {
            RelationKind::Sequence => 'S',
            _ if is_type => 'T',
            _ => 'r',
        };
        relation.privileges = self.default_privileges(schema.id, letter, &relation);
        Ok(relation)
    }

    /// What ALTER DEFAULT PRIVILEGES says about a new object; None if it says nothing.
    fn default_privileges(&self, schema: Oid, kind: char, relation: &Relation) -> Privileges {
        let snapshot = self.catalog.snapshot();
        let of_role = |schema: Oid| {
            snapshot
                .default_privileges()
                .find(|d| d.database == self.database && d.role == self.role && d.kind == kind && d.schema == schema)
        };
        let (whole, more) = (of_role(0), of_role(schema));
        if whole.is_none() && more.is_none() {
            return None;
        }
        let mut list = match whole {
            Some(whole) => whole.grants.clone(),
            None => Target::Relation(relation).default_list(),
        };
        for grant in more.iter().flat_map(|d| &d.grants) {
            privileges::grant(&mut list, grant.grantee, grant.grantor, grant.rights, false);
        }
        Some(list)
    }
}

const CHOICES_MAX: usize = 10_000;
const NAME_MAX: usize = 63;

pub(super) fn already_exists(name: &str) -> SqlError {
    error(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists"))
}

/// `name1_name2_label`, the two names shortened (the longer first) so that it fits an identifier.
pub(super) fn object_name(name1: &str, name2: &str, label: &str) -> String {
    let overhead = usize::from(!label.is_empty()) + label.len() + usize::from(!name2.is_empty());
    let room = NAME_MAX.saturating_sub(overhead);
    let (mut length1, mut length2) = (name1.len(), name2.len());
    while length1 + length2 > room {
        if length1 > length2 {
            length1 -= 1;
        } else {
            length2 -= 1;
        }
    }
    let cut = |name: &str, length: usize| {
        let end = (0..=length).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
        name.get(..end).unwrap_or_default().to_owned()
    };
    let mut out = cut(name1, length1);
    if !name2.is_empty() {
        out.push('_');
        out.push_str(&cut(name2, length2));
    }
    if !label.is_empty() {
        out.push('_');
        out.push_str(label);
    }
    out
}

/// Whether ALTER/DROP/COMMENT with this word may name that kind: `"v" is not a table`.
pub(super) fn check_kind(word: RelationWord, relation: &Relation) -> Result<()> {
    use RelationKind::*;
    let (is_right, what) = match word {
        RelationWord::Table => (matches!(relation.kind, Table | Collection | Virtual), "a table"),
        RelationWord::View => (relation.kind == View, "a view"),
        RelationWord::MaterializedView => (relation.kind == MaterializedView, "a materialized view"),
        RelationWord::Sequence => (relation.kind == Sequence, "a sequence"),
        RelationWord::Index => (false, "an index"),
    };
    if is_right {
        Ok(())
    } else {
        Err(error(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not {what}", relation.name)))
    }
}

/// System catalogs are not to be changed.
pub(super) fn check_not_system(relation: &Relation) -> Result<()> {
    if relation.kind != RelationKind::Virtual {
        return Ok(());
    }
    let message = format!("permission denied: \"{}\" is a system catalog", relation.name);
    Err(error(SqlState::INSUFFICIENT_PRIVILEGE, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_postgresqls() {
        assert_eq!(object_name("t", "a", "key"), "t_a_key");
        assert_eq!(object_name("t", "", "pkey"), "t_pkey");
        let long = "x".repeat(60);
        assert_eq!(object_name(&long, &long, "key").len(), 63);
        assert_eq!(object_name(&long, "a", "seq"), format!("{}_a_seq", "x".repeat(57)));
    }
}
