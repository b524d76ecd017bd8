//! Level 3. What exists: databases, schemas, relations, indexes, sequences, roles, as of a timestamp; and how
//! PostgreSQL's system catalogs show it.
//!
//! Owns the catalog's rows (versioned rows of the meta shard) and the node's cache of them. A statement is bound
//! against one immutable `Snapshot`; a transaction's own DDL makes a snapshot of its own on top.
//! Knows no SQL text but what it stores: expressions are kept deparsed and bound again by `sql`.

pub mod descriptor;
pub mod snapshot;

pub use descriptor::*;
pub use snapshot::Snapshot;
