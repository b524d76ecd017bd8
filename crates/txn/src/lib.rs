//! Level 3. The gateway's side of a transaction: snapshot, write buffer, read spans, savepoints, refresh, commit.
//!
//! Owns nothing that survives the process. Knows keys, versions and shards; knows no SQL, no rows, no catalog.
//!
//! CONTRACT (what `catalog`, `exec` and `session` are written against; the transaction work fills it in)
//!
//! All reads and writes are async because a snapshot read waits for what is in flight below it, and a shard may be
//! on another node one day; on one node they are ready at once. Methods take `&self`: many operators of one plan share
//! a `Transaction` (it is `Send + Sync`, its inside is behind a short mutex that is never held across an await).

pub use storage::{KeyRange, StorageId, Timestamp};

/// Where a relation's rows live, and what a commit that touches it is fenced with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct RelationRef {
    pub storage: StorageId,
    /// The descriptor's id (pg_class.oid); the fence is keyed by it.
    pub id: u32,
    /// The descriptor's schema version that the statement was planned with.
    pub schema_version: u32,
    pub home: Home,
}

/// Which shard(s) hold a relation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Home {
    /// The meta shard: the catalog's own relations, sequences.
    Meta,
    /// Data shards, by slot.
    Data,
    /// This session's in-memory segment (TEMP tables).
    Temporary,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default, PartialOrd, Ord)]
pub enum Isolation {
    ReadCommitted,
    RepeatableRead,
    #[default]
    Serializable,
}

/// PostgreSQL's four row lock modes, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum LockMode {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum WaitPolicy {
    /// Waits, up to `lock_timeout` (55P03) or the statement's deadline (57014).
    Wait,
    /// 55P03 at once.
    NoWait,
    /// `Locked::Skipped`.
    Skip,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Forward,
    Backward,
}

// CONTRACT of the types to come (names and shapes are fixed; bodies and further methods are the transaction work's):
//
// pub struct Gateway { .. }                       // Arc'd, one per node: the shards (meta, data), the oracle, ids, limits, metrics
// impl Gateway {
//     pub fn begin(self: &Arc<Self>, options: TxnOptions) -> Transaction;        // no message, no timestamp yet (first statement takes it)
//     /// The newest applied and covered version of one row, for a single-shard autocommit read (R3): no oracle, no transaction.
//     /// `read` is called once, synchronously, with the stored bytes.
//     pub async fn get_latest<R>(&self, relation: &RelationRef, slot: u16, key: &[u8], read: impl FnOnce(Option<&[u8]>, Timestamp) -> R) -> Result<R>;
//     pub fn now(&self) -> Timestamp;  // oracle
//     /// Physical time of a timestamp in microseconds since 1970 and back (AS OF SYSTEM TIME).
//     pub fn rows_estimate(&self, relation: &RelationRef) -> u64;  pub fn bytes_estimate(..) -> u64;
//     pub fn drop_storage(&self, home: Home, storage: StorageId);   // after a commit that dropped/truncated it
//     pub fn set_retention(..)
//     pub fn on_catalog_commit(&self, f: Box<dyn Fn(Timestamp, &[(StorageId, Bytes key, Option<Bytes> value)]) + Send + Sync>)
//         // called from the meta shard's apply, before the commit is answered, with the writes to Home::Meta relations of id < 16 (catalog rows)
// }
// pub struct TxnOptions { pub isolation: Isolation, pub read_only: bool, pub deferrable: bool, pub as_of: Option<Timestamp>, pub session: SessionId }
//
// impl Transaction {
//     // --- statements
//     /// Begins a statement: takes a snapshot where the level says so (first statement; each one at READ COMMITTED), raises the command
//     /// number: the statement sees this transaction's writes of *earlier* commands only (an INSERT … SELECT never sees its own rows).
//     pub async fn begin_statement(&self) -> Result<()>;
//     pub fn next_command(&self);                              // between the parts of one statement that must see earlier parts (FK checks, RETURNING triggers)
//     pub fn snapshot(&self) -> Timestamp;                     // of the current statement
//     pub fn set_deadline / set_lock_timeout(Option<Duration>) ; pub fn set_cancel(CancelFlag)   // shared Arc<AtomicU8>-like flag checked while waiting
//     // --- reads: own buffered writes first, then the shard at the snapshot; SERIALIZABLE leaves spans
//     pub async fn get<R>(&self, relation: &RelationRef, slot: u16, key: &[u8], read: impl FnOnce(Option<&[u8]>, Timestamp) -> R) -> Result<R>;
//     pub fn scan(&self, relation: &RelationRef, slot: Option<u16>, range: KeyRange, direction: Direction) -> Scan;
//     // --- locks: waits for the lock, then looks at the newest committed version (and own writes); refresh at SERIALIZABLE, 40001 at REPEATABLE READ
//     pub async fn lock<R>(&self, relation: &RelationRef, slot: u16, key: &[u8], mode: LockMode, wait: WaitPolicy, read: impl FnOnce(Locked<'_>) -> R) -> Result<R>;
//         // enum Locked<'a> { Row { value: &'a [u8], ts: Timestamp, changed: bool /* newer than the statement's snapshot: READ COMMITTED re-evaluates */ }, Absent { changed: bool }, Skipped }
//     // --- writes: buffered at the gateway; the caller has locked the key (or it is a fresh hidden row id)
//     pub fn put(&self, relation: &RelationRef, slot: u16, key: &[u8], value: &[u8]) -> Result<()>;
//     pub fn delete(&self, relation: &RelationRef, slot: u16, key: &[u8]) -> Result<()>;
//     pub fn fence(&self, relation: u32 /*id*/, new_schema_version: u32);          // DDL: the data shards that hold it refuse older plans from then on
//     // --- savepoints (nested); rollback_to drops buffered writes since, keeps spans, releases locks taken since
//     pub fn savepoint(&self) -> SavepointId; pub fn rollback_to(&self, id: SavepointId); pub fn release(&self, id: SavepointId);
//     // --- end. commit: Ok(commit ts) only when durable and covered; Err 40001 / 40P01 / 40003 (fate unknown)
//     pub async fn commit(self) -> Result<Timestamp>; pub fn rollback(self);
//     pub fn isolation(&self), is_read_only(&self), has_writes(&self), id(&self)
// }
// pub struct Scan { .. }   // holds (transaction, range, position): no LMDB reader, so it may sleep as a portal
// impl Scan {
//     /// Visits up to `max` visible rows in key order; stops early when `row` breaks. Returns how many were visited; 0 at the end.
//     /// No allocation per row. Yields to the runtime between calls is the caller's business.
//     pub async fn next(&mut self, max: usize, row: impl FnMut(&[u8] /*key*/, &[u8] /*value*/, Timestamp) -> ControlFlow<()>) -> Result<usize>;
// }
