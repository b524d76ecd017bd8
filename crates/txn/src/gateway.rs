//! The gateway of a node: its shards, the oracle, ids, limits; and the constructor that wires them.

use crate::transaction::{SessionId, Transaction, TxnOptions};
use crate::{Home, Mutation, RelationRef, Result, StorageId, Timestamp, TxnError};
use host::Host;
use std::path::PathBuf;
use std::sync::Arc;

/// Starts replication of a group on this node: the real thing, or a double in tests.
pub trait Groups: Send + Sync {
    /// `name` is `meta` or `data`; the log is replayed to `replica` above `replica.flushed()` before this returns.
    fn start(&self, name: &'static str, replica: Arc<dyn consensus::Replica>) -> Result<consensus::Group>;
}

/// What the meta shard holds from the start, on an empty folder.
pub struct Bootstrap {
    /// Random, names the cluster for ever.
    pub cluster_id: [u8; 16],
    /// The catalog's first rows, all in relations whose home is the meta shard.
    pub rows: Vec<Mutation>,
}

/// Bounds by name (`architecture.md` §9).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Spans of one transaction before they are coarsened.
    pub spans: usize,
    /// Row locks of one transaction in one relation before they become one range lock.
    pub row_locks: usize,
    /// Bytes that one transaction's buffered writes may take.
    pub buffer_bytes: usize,
    /// A commit larger than this travels as staged parts.
    pub commit_bytes: usize,
    /// Bytes of one staged part.
    pub stage_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { spans: 10_000, row_locks: 50_000, buffer_bytes: 2 << 30, commit_bytes: 4 << 20, stage_bytes: 1 << 20 }
    }
}

/// Called from the meta shard's apply, in log order, before the commit is answered, with its writes to catalog relations
/// (storage ids below 16). Must be quick and must not call the gateway's async methods.
pub type CatalogListener = Box<dyn Fn(Timestamp, &[Mutation]) + Send + Sync>;

pub struct GatewayOptions {
    pub host: Host,
    /// The data folder; None keeps everything in memory and loses it with the process.
    pub folder: Option<PathBuf>,
    pub groups: Arc<dyn Groups>,
    /// Runs the gateway's background tasks (oracle's mark, recovery of prepared transactions).
    pub spawn: Arc<dyn host::Spawn>,
    /// Asked only when the folder is empty.
    pub bootstrap: Box<dyn FnOnce() -> Bootstrap + Send>,
    pub limits: Limits,
}

/// One per node, shared by its sessions.
pub struct Gateway {
    #[allow(dead_code)]
    host: Host,
}

impl Gateway {
    /// Opens (or makes) the segments `meta` and `data`, replays the log, and returns when both shards serve.
    pub async fn start(options: GatewayOptions) -> Result<Arc<Gateway>> {
        let _ = options;
        Err(TxnError::NotServing)
    }

    /// Flushes and closes the segments. No transaction may be running.
    pub async fn stop(&self) -> Result<()> {
        Ok(())
    }

    pub fn cluster_id(&self) -> [u8; 16] {
        [0; 16]
    }

    /// Opens a transaction: no message, no timestamp yet (the first statement takes it).
    pub fn begin(self: &Arc<Self>, options: TxnOptions) -> Transaction {
        Transaction::new(self.clone(), options)
    }

    /// The newest applied and covered version of one row, for a single-shard autocommit read (R3): no oracle, no
    /// transaction. `read` is called once, synchronously, with the stored bytes (None: no such row).
    pub async fn get_latest<R>(
        &self,
        relation: &RelationRef,
        slot: u16,
        key: &[u8],
        read: impl FnOnce(Option<&[u8]>, Timestamp) -> R,
    ) -> Result<R> {
        let _ = (relation, slot, key, read);
        Err(TxnError::NotServing)
    }

    /// The oracle's time: not below any commit that was answered.
    pub fn now(&self) -> Timestamp {
        Timestamp::ZERO
    }

    /// Live rows of a relation, cheap and roughly right.
    pub fn rows_estimate(&self, relation: &RelationRef) -> u64 {
        let _ = relation;
        0
    }

    pub fn bytes_estimate(&self, relation: &RelationRef) -> u64 {
        let _ = relation;
        0
    }

    /// After the commit that dropped or truncated it.
    pub fn drop_storage(&self, home: Home, storage: StorageId) {
        let _ = (home, storage);
    }

    /// How long superseded versions of a relation stay readable, in microseconds.
    pub fn set_retention(&self, home: Home, storage: StorageId, micros: u64) {
        let _ = (home, storage, micros);
    }

    pub fn on_catalog_commit(&self, listener: CatalogListener) {
        let _ = listener;
    }

    /// The session is over: its TEMP rows go.
    pub fn end_session(&self, session: SessionId) {
        let _ = session;
    }

    /// A timestamp's physical time, in microseconds since 1970-01-01 UTC.
    pub fn micros_of(timestamp: Timestamp) -> i64 {
        i64::try_from(timestamp.0 >> 12).unwrap_or(i64::MAX)
    }

    /// The last timestamp of that microsecond: `AS OF` sees what was committed within it.
    pub fn timestamp_of(micros: i64) -> Timestamp {
        match u64::try_from(micros) {
            Ok(micros) if micros < 1 << 52 => Timestamp((micros << 12) | 0xfff),
            Ok(_) => Timestamp::MAX,
            Err(_) => Timestamp::ZERO,
        }
    }
}
