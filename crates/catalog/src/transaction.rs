//! A session's view of the catalog: what is committed, what its transaction has changed, its TEMP objects.
//!
//! Owns the transaction's own DDL until it commits, and the session's temporary objects for as long as the session lives.
//!
//! ```text
//! current = newest committed snapshot + temporary objects + changes of this transaction (in order)
//! ```
//!
//! I1  Like PostgreSQL's, catalog reads are of *now*, not of the transaction's snapshot: `refresh` at the start of a
//!     statement takes the newest committed snapshot. What binds a plan to what it saw is the fence of each relation.
//! I2  Whoever changes an object has locked its row, and changes what the lock showed, not what its snapshot showed.
//! I3  Whoever takes a name has locked the name's row (`rows`), and knows from it whether the name is free.
//! I4  Every change is in the transaction's buffer and in `changes`, or in neither; savepoints cut both at one place.

use crate::descriptor::*;
use crate::rows::{self, NameSpace};
use crate::snapshot::Snapshot;
use crate::store::Catalog;
use std::collections::BTreeMap;
use std::sync::Arc;
use txn::{Home, LockMode, Locked, SessionId, StorageId, Transaction, WaitPolicy};
use types::{Oid, SqlError};

/// One change of one object; None: removed.
#[derive(Clone, Debug)]
struct Change {
    key: ObjectKey,
    object: Option<Object>,
    is_temporary: bool,
}

/// A place to roll back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CatalogMark {
    changes: usize,
    dropped: usize,
    created: usize,
    fences: usize,
}

/// One per session; its transaction part is empty between transactions.
pub struct TransactionCatalog {
    catalog: Arc<Catalog>,
    base: Arc<Snapshot>,
    current: Arc<Snapshot>,
    temporary: BTreeMap<ObjectKey, Object>,
    changes: Vec<Change>,
    /// To be dropped when the transaction commits.
    dropped: Vec<(Home, StorageId)>,
    /// Made by this transaction: nobody else has rows there. If it rolls back they are names without rows.
    created: Vec<(Home, StorageId)>,
    /// (relation, schema version) that its commit sets.
    fences: Vec<(Oid, u32)>,
}

impl TransactionCatalog {
    pub fn new(catalog: Arc<Catalog>) -> TransactionCatalog {
        let base = catalog.current();
        TransactionCatalog {
            current: base.clone(),
            base,
            catalog,
            temporary: BTreeMap::new(),
            changes: vec![],
            dropped: vec![],
            created: vec![],
            fences: vec![],
        }
    }

    /// What statements are bound against.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.current
    }

    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Whether this transaction has changed the object, or sees a version of it that the node does not show yet.
    pub fn has_changed(&self, key: ObjectKey) -> bool {
        self.changes.iter().any(|change| change.key == key)
    }

    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// At the start of a statement: sees what others have committed.
    pub fn refresh(&mut self) {
        // Asked before every statement: sessions must not pass the snapshot's count of references to and fro.
        if !self.catalog.is_current(&self.base) {
            self.base = self.catalog.current();
            self.rebuild();
        }
    }

    fn rebuild(&mut self) {
        if self.temporary.is_empty() && self.changes.is_empty() {
            self.current = self.base.clone();
            return;
        }
        let mut next = Snapshot::clone(&self.base);
        self.temporary.values().for_each(|object| next.put(object.clone()));
        self.changes.iter().for_each(|change| apply(&mut next, change));
        next.version = self.catalog.next_private_version();
        self.current = Arc::new(next);
    }

    fn push(&mut self, change: Change) {
        let mut next = Snapshot::clone(&self.current);
        apply(&mut next, &change);
        next.version = self.catalog.next_private_version();
        self.current = Arc::new(next);
        self.changes.push(change);
    }

    // --- locks

    /// Waits for the object's row and makes the snapshot show its newest version. False: it is gone.
    pub async fn lock(&mut self, txn: &Transaction, key: ObjectKey) -> Result<bool, SqlError> {
        if self.is_temporary(key) || is_builtin(key) {
            return Ok(self.current.object(key).is_some());
        }
        let row = rows::object_key(key);
        let newest = txn
            .lock(&rows::DESCRIPTOR_ROWS, rows::SLOT, &row, LockMode::Update, WaitPolicy::Wait, |locked| match locked {
                Locked::Row { value, .. } => rows::decode_object(value).map(Some),
                Locked::Absent { .. } | Locked::Moved { .. } | Locked::Skipped => Ok(None),
            })
            .await??;
        let is_there = newest.is_some();
        // A version that the node's snapshot does not show yet may be shown here: the lock is let go before its commit
        // has been applied.
        let is_stale = match (&newest, self.current.object(key)) {
            (None, None) => false,
            (Some(new), Some(old)) => rows::encode_object(new)? != rows::encode_object(&old)?,
            _ => true,
        };
        if is_stale {
            self.push(Change { key, object: newest, is_temporary: false });
        }
        Ok(is_there)
    }

    /// Waits for the name; who has it now, if anybody. Names of the temporary schema are the session's own.
    async fn lock_name(
        &self,
        txn: &Transaction,
        space: NameSpace,
        scope: Oid,
        name: &str,
    ) -> Result<Option<Oid>, SqlError> {
        let row = rows::name_key(space, scope, name);
        txn.lock(&rows::DESCRIPTOR_ROWS, rows::SLOT, &row, LockMode::Update, WaitPolicy::Wait, |locked| match locked {
            Locked::Row { value, .. } => rows::decode_id(value).map(Some),
            Locked::Absent { .. } | Locked::Moved { .. } | Locked::Skipped => Ok(None),
        })
        .await?
    }

    /// Takes a name for a new, renamed or moved object, or says who has it. The caller puts the object next.
    pub async fn claim_name(
        &mut self,
        txn: &Transaction,
        space: NameSpace,
        scope: Oid,
        name: &str,
    ) -> Result<Option<Oid>, SqlError> {
        if self.is_temporary_schema(scope) {
            return Ok(match space {
                NameSpace::Relations => self.current.id_by_name(scope, name),
                _ => None,
            });
        }
        self.lock_name(txn, space, scope, name).await
    }

    fn is_temporary_schema(&self, schema: Oid) -> bool {
        self.temporary.contains_key(&ObjectKey::new(ObjectKind::Schema, schema))
            || self.changes.iter().any(|c| c.is_temporary && c.key == ObjectKey::new(ObjectKind::Schema, schema))
    }

    fn is_temporary(&self, key: ObjectKey) -> bool {
        self.temporary.contains_key(&key) || self.changes.iter().any(|c| c.is_temporary && c.key == key)
    }

    // --- changes

    /// A new id (OID or storage).
    pub async fn allocate_id(&self) -> Result<Oid, SqlError> {
        self.catalog.allocate_id().await
    }

    /// Adds or replaces an object. One that exists must have been locked; its name, if it is new, claimed.
    pub fn put(&mut self, txn: &Transaction, object: Object) -> Result<(), SqlError> {
        let key = object.key();
        let is_temporary = self.belongs_to_session(&object);
        if !is_temporary {
            let relation = &rows::DESCRIPTOR_ROWS;
            let old = self.current.object(key);
            let (new_name, old_name) = (rows::names_of(&object), old.as_ref().and_then(rows::names_of));
            if new_name != old_name {
                if let Some((space, scope, name)) = old_name {
                    txn.delete(relation, rows::SLOT, &rows::name_key(space, scope, &name))?;
                }
                if let Some((space, scope, name)) = new_name {
                    let row = rows::name_key(space, scope, &name);
                    txn.put(relation, rows::SLOT, &row, &rows::encode_id(key.id))?;
                }
            }
            txn.put(relation, rows::SLOT, &rows::object_key(key), &rows::encode_object(&object)?)?;
        }
        if let Object::Relation(new) = &object {
            self.note_fence(new);
        }
        self.push(Change { key, object: Some(object), is_temporary });
        Ok(())
    }

    /// Planned statements must not commit against the version before. A new relation fences nobody.
    fn note_fence(&mut self, new: &Relation) {
        let old = self.current.relation(new.id);
        if !new.is_temporary && old.is_some_and(|old| old.schema_version != new.schema_version) {
            self.fences.push((new.id, new.schema_version));
        }
    }

    fn belongs_to_session(&self, object: &Object) -> bool {
        match object {
            Object::Relation(r) => r.is_temporary,
            Object::Index(i) => self.current.relation(i.relation).is_some_and(|r| r.is_temporary),
            Object::Function(f) => self.is_temporary_schema(f.schema),
            Object::Operator(o) => self.is_temporary_schema(o.schema),
            Object::Statistics(s) => self.current.relation(s.relation).is_some_and(|r| r.is_temporary),
            Object::Rule(rule) => self.current.relation(rule.relation).is_some_and(|r| r.is_temporary),
            _ => false,
        }
    }

    /// Removes an object that has been locked.
    pub fn remove(&mut self, txn: &Transaction, key: ObjectKey) -> Result<(), SqlError> {
        let Some(old) = self.current.object(key) else { return Ok(()) };
        let is_temporary = self.is_temporary(key);
        if !is_temporary {
            let relation = &rows::DESCRIPTOR_ROWS;
            if let Some((space, scope, name)) = rows::names_of(&old) {
                txn.delete(relation, rows::SLOT, &rows::name_key(space, scope, &name))?;
            }
            txn.delete(relation, rows::SLOT, &rows::object_key(key))?;
            if let Object::Relation(old) = &old {
                txn.delete(relation, rows::SLOT, &rows::replaced_key(old.id))?;
                self.fences.push((old.id, old.schema_version + 1));
            }
        }
        self.push(Change { key, object: None, is_temporary });
        Ok(())
    }

    /// Makes the session's temporary schema known (it has no row: no other session sees into it).
    pub fn put_temporary_schema(&mut self, schema: Schema) {
        let object = Object::Schema(schema);
        self.push(Change { key: object.key(), object: Some(object), is_temporary: true });
    }

    /// Storage whose rows go when the transaction commits.
    pub fn drop_storage(&mut self, home: Home, storage: u32) {
        self.dropped.push((home, StorageId(storage)));
    }

    /// A relation's rows begin anew in other storage. That outlives the node: it must be told from a past without rows.
    pub fn note_replaced(&self, txn: &Transaction, relation: &Relation) -> Result<(), SqlError> {
        if relation.is_temporary {
            return Ok(());
        }
        let row = rows::replaced_key(relation.id);
        Ok(txn.put(&rows::DESCRIPTOR_ROWS, rows::SLOT, &row, &rows::replaced_value())?)
    }

    /// Storage that this transaction has made.
    pub fn note_created_storage(&mut self, home: Home, storage: u32) {
        self.created.push((home, StorageId(storage)));
    }

    /// Whether this transaction has made that storage, so that nobody else can have rows in it.
    pub fn is_own_storage(&self, storage: u32) -> bool {
        self.created.iter().any(|(_, id)| id.0 == storage)
    }

    /// The session's TEMP relations, for ON COMMIT, DISCARD TEMP and the session's end.
    pub fn temporary_relations(&self) -> Vec<Arc<Relation>> {
        // Asked at every commit: most sessions have none, and all relations would be looked through for that.
        if self.temporary.is_empty() && !self.changes.iter().any(|change| change.is_temporary) {
            return vec![];
        }
        self.current.relations().filter(|r| r.is_temporary).cloned().collect()
    }

    /// The session lets go of all its TEMP objects. Not in a transaction that has changed any.
    pub fn forget_temporary(&mut self) {
        self.temporary.clear();
        self.rebuild();
    }

    // --- savepoints and the end

    pub fn mark(&self) -> CatalogMark {
        CatalogMark {
            changes: self.changes.len(),
            dropped: self.dropped.len(),
            created: self.created.len(),
            fences: self.fences.len(),
        }
    }

    /// Beside `Transaction::rollback_to`. Rows in storage that was made since are gone with the buffer.
    pub fn rollback_to(&mut self, mark: CatalogMark) {
        let had_changes = self.changes.len() > mark.changes;
        self.changes.truncate(mark.changes);
        self.dropped.truncate(mark.dropped);
        self.created.truncate(mark.created);
        self.fences.truncate(mark.fences);
        if had_changes {
            self.rebuild();
        }
    }

    /// Just before `Transaction::commit`.
    pub fn before_commit(&self, txn: &Transaction) {
        for (relation, schema_version) in &self.fences {
            txn.fence(*relation, *schema_version);
        }
    }

    /// The transaction of this session has committed: temporary objects stay, dropped storage goes.
    pub fn after_commit(&mut self, session: SessionId) {
        if self.changes.is_empty() && self.dropped.is_empty() {
            self.created.clear();
            self.fences.clear();
            return self.refresh();
        }
        let gateway = self.catalog.gateway().clone();
        for (home, storage) in self.dropped.drain(..) {
            match home {
                Home::Temporary => gateway.drop_temporary(session, storage),
                Home::Meta | Home::Data => gateway.drop_storage(home, storage),
            }
        }
        for change in std::mem::take(&mut self.changes).into_iter().filter(|c| c.is_temporary) {
            match change.object {
                Some(object) => drop(self.temporary.insert(change.key, object)),
                None => drop(self.temporary.remove(&change.key)),
            }
        }
        self.created.clear();
        self.fences.clear();
        self.base = self.catalog.current();
        self.rebuild();
    }

    /// The transaction is rolled back, or its commit's fate is unknown.
    pub fn after_rollback(&mut self) {
        self.rollback_to(CatalogMark { changes: 0, dropped: 0, created: 0, fences: 0 });
        self.refresh();
    }
}

fn apply(snapshot: &mut Snapshot, change: &Change) {
    match &change.object {
        Some(object) => snapshot.put(object.clone()),
        None => snapshot.remove(change.key),
    }
}

/// System schemas and virtual relations have no rows.
fn is_builtin(key: ObjectKey) -> bool {
    match key.kind {
        ObjectKind::Schema => crate::virtuals::SCHEMAS.iter().any(|(id, _)| *id == key.id),
        ObjectKind::Relation => crate::virtuals::relations().iter().any(|r| r.id == key.id),
        _ => false,
    }
}
