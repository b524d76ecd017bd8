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
//! I3  The fill waits for a row only while it holds no other: a chunk ends before a row that somebody else holds. So no
//!     writer dies in a cycle of waits for rows. (It may wait for the key of a unique index, beside a writer of the same key.)
//!
//! The session sequences the steps, and repeats one that meets a conflict; a build that ends in the middle leaves the index
//! write-only (`\d` says INVALID), for DROP INDEX or REINDEX.

use super::context::DdlContext;
use super::sql_services::{SqlServices, not_unique};
use crate::dml::Found;
use crate::dml::foreign_key::Pending;
use crate::rows::Table;
use catalog::{Index, IndexState, Object, Relation, Snapshot};
use std::ops::ControlFlow;
use std::sync::Arc;
use txn::{Direction, KeyRange, LockMode, WaitPolicy};
use types::{Oid, Result};

/// Rows of one transaction of the fill: their writers wait for it.
const CHUNK: usize = 256;

impl SqlServices {
    /// Adds the entries of the next rows, from this key on; the key to go on from, None at the end. In a READ COMMITTED
    /// transaction of its own. 23505 as CREATE INDEX says it.
    pub async fn fill_some(
        &self,
        catalog: &Arc<Snapshot>,
        relation: &Arc<Relation>,
        index: &Arc<Index>,
        from: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let context = self.statement_context(catalog);
        let target = self.index_target(catalog, relation, index)?;
        let places = self.places(&target.table, from).await?;
        let mut pending = Pending::default();
        let mut wait = WaitPolicy::Wait;
        let mut held = None;
        for (slot, key) in &places {
            context.check()?;
            match target.lock_as(&context.txn, *slot, key, LockMode::Share, wait).await? {
                Found::Row(locked) => {
                    let env = context.env();
                    target.fill_indexes(&env, &context.txn, &locked.row, &mut pending).await.map_err(not_unique)?;
                }
                Found::Gone => {}
                Found::Held => {
                    held = Some(key.clone());
                    break;
                }
            }
            wait = WaitPolicy::Skip;
        }
        pending.settle(&context.env(), &context.txn).await.map_err(not_unique)?;
        let next = |(_, mut key): (u16, Vec<u8>)| {
            key.push(0);
            key
        };
        Ok(held.or_else(|| places.into_iter().nth(CHUNK - 1).map(next)))
    }

    /// Slots and keys of the next rows.
    async fn places(&self, table: &Table, from: &[u8]) -> Result<Vec<(u16, Vec<u8>)>> {
        let range = KeyRange { start: from.to_vec().into(), end: None };
        let mut scan = self.context.txn.scan(&table.at, None, range, Direction::Forward);
        let (mut places, mut failed) = (vec![], None);
        scan.next(CHUNK, |key, bytes, _| match table.view(bytes) {
            Ok((view, _)) => {
                places.push((view.slot(), key.to_vec()));
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })
        .await?;
        failed.map_or(Ok(places), Err)
    }
}

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
