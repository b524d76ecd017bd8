//! Level 3. What exists: databases, schemas, relations, indexes, sequences, roles, as of a timestamp; and how
//! PostgreSQL's system catalogs show it.
//!
//! Owns the catalog's rows (versioned rows of the meta shard) and the node's cache of them. A statement is bound
//! against one immutable `Snapshot`; a transaction's own DDL makes a snapshot of its own on top.
//! Knows no SQL text but what it stores: expressions are kept deparsed and bound again by `sql`.
//!
//! ```text
//! meta shard's rows --apply--> Catalog (one per node, newest Snapshot) --refresh--> TransactionCatalog (one per session)
//!        ^                                                                              | own DDL, TEMP objects
//!        +------------------- commit <- txn::Transaction <- rows <----------------------+
//! ```
//!
//! `descriptor` what is stored; `snapshot` what is read; `store` the node's side; `transaction` the session's side;
//! `rows` bytes on disk; `definitions`, `rule_definition`, `names`, `order`, `reg`, `privileges`, `layout`, `sequences`, `virtuals` what is asked of it.

pub mod bootstrap;
pub mod definitions;
pub mod descriptor;
pub mod layout;
pub mod names;
pub mod operators;
mod order;
pub mod privileges;
pub mod reg;
pub mod retention;
pub mod rows;
pub mod rule_definition;
pub mod sequences;
pub mod snapshot;
pub mod store;
#[cfg(test)]
mod test_support;
pub mod transaction;
pub mod user_types;
pub mod virtuals;

pub use descriptor::*;
pub use order::has_order;
pub use snapshot::Snapshot;
pub use store::Catalog;
pub use transaction::{CatalogMark, TransactionCatalog};
pub use txn::Timestamp;
