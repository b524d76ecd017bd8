//! Level 3. The gateway's side of a transaction: snapshot, write buffer, read spans, savepoints, refresh, commit.
//!
//! Owns nothing that survives the process. Knows keys, versions and shards; knows no SQL, no rows, no catalog.
//!
//! All reads and writes are async because a snapshot read waits for what is in flight below it, and a shard may be
//! on another node one day; on one node they are ready at once. Methods take `&self`: many operators of one plan share
//! a `Transaction` (it is `Send + Sync`, its inside is behind a short mutex that is never held across an await).

mod ahead;
mod at_once;
mod buffer;
mod cancel;
mod commit;
mod error;
mod gate;
mod gateway;
mod history;
mod ids;
mod lock;
mod lone;
mod look;
mod many;
mod met;
mod metrics;
mod named;
mod refresh;
mod scan;
mod snapshots;
mod state;
mod table_lock;
mod temporary;
mod tokens;
mod transaction;
mod wait;

#[cfg(test)]
mod scenarios;

pub use at_once::AtOnce;
pub use cancel::{CancelFlag, CancelReason};
pub use error::{Conflict, ConflictKind, Result, TxnError};
pub use gate::ReadsNewest;
pub use gateway::{Bootstrap, CatalogListener, Gateway, GatewayOptions, Groups, Limits, RETENTION_US, Starting};
pub use history::{VersionOf, VersionScan};
pub use lone::note as note_statement;
pub use look::{Bar, Inside, Stand, TxnFacts, Waiter, WeakTransaction};
pub use met::{Met, Party, Place};
pub use named::NamedLocks;
pub use scan::Scan;
pub use shard::facet::Facet;
pub use shard::wake::dispatcher;
pub use shard::{LockMode, TxnId, WaitPolicy};
pub use storage::segment::{Block, Direction};
pub use storage::{KeyRange, Mutation, StorageId, Timestamp};
pub use table_lock::named_relation;
pub use tokens::{TOKEN_BYTES_MAX, Token, TokenOutcome};
pub use transaction::{Locked, SavepointId, SessionId, Transaction, TxnOptions};
pub use types::TableLock;

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
