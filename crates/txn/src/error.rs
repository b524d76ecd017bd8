//! What can go wrong with a transaction, and what the client is told: one table from `TxnError` to SQLSTATE and text.
//!
//! `retryable` means: nothing of the transaction happened, executing it again may succeed. `UnknownOutcome` is the one
//! error after which the writes may be there; it is never retryable (`traps.md`: client_retries_nonidempotent).

use crate::StorageId;
use bytes::Bytes;
use types::{SqlError, SqlState};

pub type Result<T, E = TxnError> = std::result::Result<T, E>;

/// Why a commit or a lock met another transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConflictKind {
    /// A row to be written was changed after the snapshot (REPEATABLE READ), or a locked row was changed after it was looked at.
    Update,
    /// The same, and the row is gone.
    Delete,
    /// Something that was read at SERIALIZABLE was changed after the snapshot.
    Read,
    /// Two transactions over several shards met, and this one is the younger (`distributed-core.md` R6).
    Prepare,
}

/// Where a conflict was found: for DETAIL and for the retry policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conflict {
    pub kind: ConflictKind,
    pub relation: StorageId,
    /// The key, where one row is known.
    pub key: Option<Bytes>,
    /// The other transaction's number on this node, where it is known.
    pub other: Option<u64>,
}

#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum TxnError {
    #[error("conflict: {0:?}")]
    Conflict(Box<Conflict>),
    /// This transaction was the youngest of a cycle of waiters.
    #[error("deadlock")]
    Deadlock,
    /// `lock_timeout` passed.
    #[error("lock timeout")]
    LockTimeout,
    /// NOWAIT, and somebody holds the lock. `exec` adds the relation's name.
    #[error("lock not available")]
    LockNotAvailable { relation: StorageId },
    #[error("cancelled")]
    Cancelled,
    /// `statement_timeout` passed.
    #[error("deadline")]
    Deadline,
    /// The node is going down or the session was ended by an administrator.
    #[error("terminated")]
    Terminated,
    /// The relation was changed by DDL after the statement was planned: plan again, execute again.
    #[error("schema changed: {relation}")]
    SchemaChanged { relation: u32 },
    /// The commit was sent and its fate could not be learnt.
    #[error("unknown outcome")]
    UnknownOutcome,
    /// Leadership was lost before anything was sent, or the shard is not (yet) serving.
    #[error("not serving")]
    NotServing,
    #[error("disk full: {0}")]
    DiskFull(String),
    /// TEMP tables have reached `Limits::temporary_bytes`.
    #[error("temporary tables have their memory")]
    TemporaryFull { limit: u64 },
    /// The segment has reached `Limits::relations`.
    #[error("the segment has its relations")]
    Relations { limit: usize },
    /// The segment has reached `Limits::segment_bytes`.
    #[error("segment full")]
    MapFull,
    /// The snapshot lies before what is still kept.
    #[error("snapshot too old")]
    SnapshotTooOld,
    /// `AS OF SYSTEM TIME` above the oracle.
    #[error("timestamp in the future")]
    FutureTimestamp,
    /// A limit by name was reached (54000): which one, and its value.
    #[error("limit: {what}")]
    Limit { what: &'static str, limit: u64 },
    /// The transaction's buffer is over its memory (53200).
    #[error("out of memory: {what}")]
    Memory { what: &'static str },
    #[error("read-only transaction")]
    ReadOnly,
    /// The handle is used after commit or rollback: ours, not the client's.
    #[error("transaction is over")]
    Over,
    /// Damage found on disk (XX001).
    #[error("{0}")]
    Corrupt(String),
    #[error("{0}")]
    Internal(String),
}

impl TxnError {
    /// Nothing happened, and the same statements may succeed when they are executed again.
    pub fn retryable(&self) -> bool {
        matches!(
            self,
            TxnError::Conflict(_) | TxnError::Deadlock | TxnError::SchemaChanged { .. } | TxnError::NotServing
        )
    }

    /// SQLSTATE, message and hint as the client sees them.
    pub fn to_sql(&self) -> SqlError {
        let new = |code, message: &str| SqlError::new(code, message);
        match self {
            TxnError::Conflict(conflict) => conflict_to_sql(conflict),
            TxnError::Deadlock => new(SqlState::DEADLOCK_DETECTED, "deadlock detected"),
            TxnError::LockTimeout => new(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout"),
            TxnError::LockNotAvailable { .. } => {
                new(SqlState::LOCK_NOT_AVAILABLE, "could not obtain lock on row in relation")
            }
            TxnError::Cancelled => new(SqlState::QUERY_CANCELED, "canceling statement due to user request"),
            TxnError::Deadline => new(SqlState::QUERY_CANCELED, "canceling statement due to statement timeout"),
            TxnError::Terminated => {
                new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
                    .severity(types::Severity::Fatal)
            }
            TxnError::SchemaChanged { .. } => new(
                SqlState::SERIALIZATION_FAILURE,
                "could not serialize access due to concurrent change of a relation's definition",
            ),
            TxnError::UnknownOutcome => {
                new(SqlState::STATEMENT_COMPLETION_UNKNOWN, "the outcome of the commit is unknown")
                    .detail("The transaction was sent to be committed and no answer arrived.")
                    .hint("Look whether its effects are there before doing it again.")
            }
            TxnError::NotServing => new(SqlState::CANNOT_CONNECT_NOW, "the shard has no leader that serves"),
            TxnError::DiskFull(what) => {
                new(SqlState::DISK_FULL, &format!("could not extend storage: {what}")).hint("Check free disk space.")
            }
            TxnError::MapFull => {
                new(SqlState::DISK_FULL, "could not extend storage: the data has reached \"max_segment_size\"")
                    .hint("Delete rows or drop tables (their space is free when their history is over), or raise max_segment_size and restart.")
            }
            TxnError::Relations { limit } => {
                new(SqlState::PROGRAM_LIMIT_EXCEEDED, &format!("too many tables and indexes with rows (limit {limit})"))
                    .hint("Drop some; their place is free when their history is over.")
            }
            TxnError::SnapshotTooOld => new(SqlState::SNAPSHOT_TOO_OLD, "snapshot too old"),
            TxnError::FutureTimestamp => {
                new(SqlState::INVALID_PARAMETER_VALUE, "cannot read as of a time in the future")
            }
            TxnError::Limit { what, limit } => {
                new(SqlState::PROGRAM_LIMIT_EXCEEDED, &format!("{what} (limit {limit})"))
            }
            TxnError::Memory { what } => new(SqlState::OUT_OF_MEMORY, "out of memory")
                .detail(format!("The transaction's {what} would exceed the memory that one transaction may use."))
                .hint("Write the rows in several transactions."),
            TxnError::TemporaryFull { limit } => new(SqlState::OUT_OF_MEMORY, "out of memory")
                .detail(format!("Rows of temporary tables may take {} MB, all sessions' together.", limit >> 20))
                .hint("Drop or truncate temporary tables, or raise max_memory and restart."),
            TxnError::ReadOnly => new(SqlState::READ_ONLY_SQL_TRANSACTION, "cannot write in a read-only transaction"),
            TxnError::Over => SqlError::internal("transaction is over"),
            TxnError::Corrupt(what) => new(SqlState::DATA_CORRUPTED, what),
            TxnError::Internal(what) => SqlError::internal(what.clone()),
        }
    }
}

fn conflict_to_sql(conflict: &Conflict) -> SqlError {
    let message = match conflict.kind {
        ConflictKind::Update => "could not serialize access due to concurrent update",
        ConflictKind::Delete => "could not serialize access due to concurrent delete",
        ConflictKind::Read | ConflictKind::Prepare => {
            "could not serialize access due to read/write dependencies among transactions"
        }
    };
    let error = SqlError::new(SqlState::SERIALIZATION_FAILURE, message);
    match conflict.kind {
        ConflictKind::Update | ConflictKind::Delete => error,
        _ => error.hint("The transaction might succeed if retried."),
    }
}

impl From<shard::Spoilt> for TxnError {
    fn from(changed: shard::Spoilt) -> TxnError {
        let shard::Spoilt { relation, key, other } = changed;
        let other = other.map(|owner| owner.0);
        TxnError::Conflict(Box::new(Conflict { kind: ConflictKind::Read, relation, key, other }))
    }
}

impl From<shard::ShardError> for TxnError {
    fn from(error: shard::ShardError) -> TxnError {
        match error {
            shard::ShardError::NotServing => TxnError::NotServing,
            shard::ShardError::Storage(error) => error.into(),
        }
    }
}

impl From<storage::StorageError> for TxnError {
    fn from(error: storage::StorageError) -> TxnError {
        match error {
            storage::StorageError::DiskFull(what) => TxnError::DiskFull(what),
            storage::StorageError::Corrupt(what) => TxnError::Corrupt(what),
            other => TxnError::Internal(other.to_string()),
        }
    }
}

impl From<TxnError> for SqlError {
    fn from(error: TxnError) -> SqlError {
        error.to_sql()
    }
}
