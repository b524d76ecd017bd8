//! The fill of an index whose relation is written to meanwhile (`ddl::online` says how such an index is made, and what I1 to I3 promise).

use super::{SqlServices, not_unique};
use crate::dml::Found;
use crate::dml::foreign_key::Pending;
use crate::rows::Table;
use catalog::{Index, Relation, Snapshot};
use std::ops::ControlFlow;
use std::sync::Arc;
use txn::{Direction, KeyRange, LockMode, WaitPolicy};
use types::Result;

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
                Found::Gone | Found::Moved(..) => {}
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
