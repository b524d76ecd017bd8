//! A client's transaction.

use crate::scan::Scan;
use crate::{
    CancelFlag, Direction, Gateway, Isolation, KeyRange, LockMode, RelationRef, Result, Timestamp, TxnError, TxnId,
    WaitPolicy,
};
use std::sync::Arc;
use std::time::Duration;

/// Names a client session on this node; its TEMP rows belong to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct SessionId(pub u64);

#[derive(Clone, Copy, Debug, Default)]
pub struct TxnOptions {
    pub isolation: Isolation,
    pub read_only: bool,
    pub deferrable: bool,
    /// Reads as of this past moment; read-only.
    pub as_of: Option<Timestamp>,
    pub session: SessionId,
}

/// What a lock shows: the newest committed version, or this transaction's own write.
#[derive(Clone, Copy, Debug)]
pub enum Locked<'a> {
    Row {
        value: &'a [u8],
        /// Commit timestamp of the version; ZERO for this transaction's own write.
        ts: Timestamp,
        /// Newer than the statement's snapshot: READ COMMITTED evaluates its WHERE again.
        changed: bool,
    },
    Absent {
        /// It was there in the statement's snapshot.
        changed: bool,
    },
    /// `WaitPolicy::Skip`, and somebody holds the lock.
    Skipped,
}

/// A point to roll back to; nested by order of creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SavepointId(pub(crate) u32);

struct Inner {
    gateway: Arc<Gateway>,
    options: TxnOptions,
    id: TxnId,
}

/// A handle, cheap to clone. The transaction is rolled back when the last handle goes without a commit.
#[derive(Clone)]
pub struct Transaction {
    inner: Arc<Inner>,
}

impl Transaction {
    pub(crate) fn new(gateway: Arc<Gateway>, options: TxnOptions) -> Transaction {
        Transaction { inner: Arc::new(Inner { gateway, options, id: TxnId::default() }) }
    }

    // --- statements

    /// Begins a statement: takes a snapshot where the level says so (first statement; each one at READ COMMITTED) and
    /// raises the command number: the statement sees this transaction's writes of *earlier* commands only.
    pub async fn begin_statement(&self) -> Result<()> {
        Err(TxnError::NotServing)
    }

    /// Between the parts of one statement of which the later must see what the earlier wrote (foreign key checks).
    pub fn next_command(&self) {}

    /// Of the current statement.
    pub fn snapshot(&self) -> Timestamp {
        Timestamp::ZERO
    }

    /// `statement_timeout`: when the current statement must be over, on `host.clock.monotonic()`.
    pub fn set_deadline(&self, deadline: Option<Duration>) {
        let _ = deadline;
    }

    /// How long one lock may be waited for.
    pub fn set_lock_timeout(&self, timeout: Option<Duration>) {
        let _ = timeout;
    }

    /// The flag that ends this transaction's waits.
    pub fn set_cancel(&self, flag: CancelFlag) {
        let _ = flag;
    }

    /// For loops that compute: `Err` when cancelled or past the deadline.
    pub fn check(&self) -> Result<()> {
        Ok(())
    }

    // --- reads: own buffered writes first, then the shard at the snapshot; SERIALIZABLE leaves spans

    /// One row. `read` is called once, synchronously, with the stored bytes (None: no such row) and their commit
    /// timestamp (ZERO for this transaction's own write).
    pub async fn get<R>(
        &self,
        relation: &RelationRef,
        slot: u16,
        key: &[u8],
        read: impl FnOnce(Option<&[u8]>, Timestamp) -> R,
    ) -> Result<R> {
        let _ = (relation, slot, key, read);
        Err(TxnError::NotServing)
    }

    /// A range, at the current statement's snapshot and command. `slot` narrows it to one slot's shard where it is known.
    pub fn scan(&self, relation: &RelationRef, slot: Option<u16>, range: KeyRange, direction: Direction) -> Scan {
        Scan::new(self.clone(), *relation, slot, range, direction)
    }

    // --- locks

    /// Waits for the lock, then looks at the newest committed version (or the newest own write). A version newer than
    /// the snapshot means refresh at SERIALIZABLE, 40001 at REPEATABLE READ, `changed` at READ COMMITTED.
    pub async fn lock<R>(
        &self,
        relation: &RelationRef,
        slot: u16,
        key: &[u8],
        mode: LockMode,
        wait: WaitPolicy,
        read: impl FnOnce(Locked<'_>) -> R,
    ) -> Result<R> {
        let _ = (relation, slot, key, mode, wait, read);
        Err(TxnError::NotServing)
    }

    // --- writes: buffered; the caller has locked the key, or it is a fresh hidden row id

    pub fn put(&self, relation: &RelationRef, slot: u16, key: &[u8], value: &[u8]) -> Result<()> {
        let _ = (relation, slot, key, value);
        Err(TxnError::NotServing)
    }

    pub fn delete(&self, relation: &RelationRef, slot: u16, key: &[u8]) -> Result<()> {
        let _ = (relation, slot, key);
        Err(TxnError::NotServing)
    }

    /// DDL: once committed, shards that hold `relation` (an id) refuse plans made with an older schema version.
    pub fn fence(&self, relation: u32, schema_version: u32) {
        let _ = (relation, schema_version);
    }

    // --- savepoints

    pub fn savepoint(&self) -> SavepointId {
        SavepointId(0)
    }

    /// Drops the writes and the locks since; keeps spans, and keeps the savepoint itself.
    pub fn rollback_to(&self, savepoint: SavepointId) {
        let _ = savepoint;
    }

    /// Forgets the savepoint and those made after it; what was written since belongs to the transaction.
    pub fn release(&self, savepoint: SavepointId) {
        let _ = savepoint;
    }

    // --- end

    /// Ok only when durable on a quorum and covered by the oracle: the commit's timestamp (the snapshot, if nothing was
    /// written). Any error but `UnknownOutcome` means that nothing happened.
    pub async fn commit(self) -> Result<Timestamp> {
        Err(TxnError::NotServing)
    }

    pub fn rollback(self) {}

    pub fn isolation(&self) -> Isolation {
        self.inner.options.isolation
    }
    pub fn is_read_only(&self) -> bool {
        self.inner.options.read_only
    }
    pub fn has_writes(&self) -> bool {
        false
    }
    pub fn id(&self) -> TxnId {
        self.inner.id
    }
    pub fn session(&self) -> SessionId {
        self.inner.options.session
    }
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.inner.gateway
    }
}
