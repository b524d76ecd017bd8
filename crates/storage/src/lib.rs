//! Level 1. What is on a node's disk: segments (a multi-version delta in memory over LMDB) and the write-ahead log.
//!
//! Owns the data folder below the node's identity file. Knows no transactions, no SQL, no Raft: rows are bytes with
//! a commit timestamp, log entries are bytes with a group, an index and a term.
//!
//! `segment` is where rows live and are read; `wal` is the one log of all groups of a node.

pub mod audit;
pub mod segment;
pub mod wal;

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// A value of the oracle: microseconds shifted left 12 bits, plus a counter (`distributed-core.md` §2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    pub const ZERO: Timestamp = Timestamp(0);
    /// Above every value that is ever handed out: reads the newest version.
    pub const MAX: Timestamp = Timestamp(u64::MAX);

    pub fn next(self) -> Timestamp {
        Timestamp(self.0 + 1)
    }
    pub fn previous(self) -> Timestamp {
        Timestamp(self.0.saturating_sub(1))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 >> 12, self.0 & 0xfff)
    }
}

/// Names one relation's (or index's) database in a segment. Never reused; TRUNCATE takes a new one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StorageId(pub u32);

/// One row's or index entry's new version. `value: None` deletes.
#[derive(Clone, Debug)]
pub struct Mutation {
    pub relation: StorageId,
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// Half-open range of keys; `end: None` is unbounded. A single key is a range too, see `KeyRange::point`.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct KeyRange {
    pub start: Bytes,
    pub end: Option<Bytes>,
}

impl KeyRange {
    pub fn all() -> KeyRange {
        KeyRange { start: Bytes::new(), end: None }
    }
    /// Exactly `key`: up to `key` followed by a zero byte (keys are prefix-free, so nothing else is between).
    pub fn point(key: &[u8]) -> KeyRange {
        let mut end = Vec::with_capacity(key.len() + 1);
        end.extend_from_slice(key);
        end.push(0);
        KeyRange { start: Bytes::copy_from_slice(key), end: Some(end.into()) }
    }
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &self.start[..] && self.end.as_ref().is_none_or(|end| key < &end[..])
    }
    pub fn overlaps(&self, other: &KeyRange) -> bool {
        self.end.as_ref().is_none_or(|end| other.start < *end) && other.end.as_ref().is_none_or(|end| self.start < *end)
    }
}

/// What went wrong on disk. Any error of a write path stops the store: after a failed sync nothing is known.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// The disk (or the map) is full; reads go on, writes are refused until there is room (53100).
    #[error("disk full: {0}")]
    DiskFull(String),
    /// Damage that a checksum or a format check found (XX001). Says where.
    #[error("{0}")]
    Corrupt(String),
    /// A folder of another format version or identity, or in use.
    #[error("{0}")]
    Folder(String),
    #[error("lmdb: {0}")]
    Lmdb(String),
}

pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// What a node does when a write or a sync failed: nothing is known about the disk any more, so it stops at once
/// (`traps.md`: fsync_failed_then_ok). Tests give one that takes note.
pub type Fatal = Arc<dyn Fn(&StorageError) + Send + Sync>;

/// Logs and ends the process without unwinding.
pub fn fatal_abort() -> Fatal {
    Arc::new(|error| {
        tracing::error!("storage failed, the node stops: {error}");
        std::process::abort();
    })
}

/// Stops the node if the scope it stands in is left by a panic: what was half changed there is shared, and a thread or
/// task that dies alone would leave the rest waiting for it.
pub struct StopOnPanic<'f> {
    pub fatal: &'f Fatal,
    pub place: &'static str,
}

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.fatal)(&StorageError::Corrupt(format!("panic in {}", self.place)));
        }
    }
}
