//! Indexes that are made while their relation is written to (CREATE INDEX CONCURRENTLY, REINDEX CONCURRENTLY).
//!
//! ```text
//! write-only   the descriptor is committed: whoever writes from then on keeps entries, nobody reads them
//! fill         chunk by chunk, each a transaction of its own: rows are locked, read newest, their entries added
//! public       the descriptor is committed again: plans may read the index, for snapshots that are not older (`Snapshot::index_serves`)
//! ```
//!
//! I1  An entry in a write-only index is that of a row as it is now: a writer takes away only the entry of its own row, and who
//!     finds a unique key taken by another row fails, be it the writer or the fill (`dml::Target`).
//! I2  A row is in the index once the fill has passed its key: rows before it were locked and read newest, so that a writer either
//!     came before and was seen, or came after and kept the entry itself.
//!
//! I3  The fill (`exec::SqlServices::fill_some`) waits for a row only while it holds no other: a chunk ends before a row that somebody else holds. So no
//!     writer dies in a cycle of waits for rows. (It may wait for the key of a unique index, beside a writer of the same key.)
//!
//! The session sequences the steps, and repeats one that meets a conflict; a build that ends in the middle leaves the index
//! write-only (`\d` says INVALID), for DROP INDEX or REINDEX.

use super::context::DdlContext;
use catalog::{Index, IndexState, Object};
use types::{Oid, Result};

/// The index holds every row: it may be read.
pub async fn publish_index(context: &mut DdlContext<'_>, index: Oid) -> Result<()> {
    let relation = context.lock_index_by_id(index).await?.relation;
    context.lock_relation_by_id(relation).await?;
    make_public(context, relation, index).await
}

/// REINDEX of an index that is not public: filled within the transaction, which keeps writers out.
pub async fn rebuild_index(context: &mut DdlContext<'_>, index: Oid) -> Result<()> {
    let relation = context.lock_index_by_id(index).await?.relation;
    context.lock_relation_by_id(relation).await?;
    super::indexes::fill(context, relation, index).await?;
    make_public(context, relation, index).await
}

async fn make_public(context: &mut DdlContext<'_>, relation: Oid, index: Oid) -> Result<()> {
    let index = context.lock_index_by_id(index).await?;
    let changed = Index { state: IndexState::Public, ..Index::clone(&index) };
    context.catalog.put(context.txn, Object::Index(changed))?;
    // Plans from before do not use it.
    context.change_relation(relation, |_| ())?;
    Ok(())
}
