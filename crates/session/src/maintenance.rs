//! LOCK TABLE, ANALYZE, and the maintenance that needs no doing.

use crate::session::Session;
use crate::utility::DdlWork;
use exec::SessionAccess;
use sql::utility::Maintain;
use std::sync::Arc;
use txn::{Direction, KeyRange, TableLock, TxnError, WaitPolicy};
use types::{Oid, Result, SqlError, SqlState};

impl Session {
    pub(crate) async fn maintain(&mut self, maintain: &Maintain) -> Result<String> {
        if maintain.outside_block {
            self.prevent_block(maintain.tag)?;
        }
        for notice in &maintain.notices {
            self.state.notice(notice.clone());
        }
        for (relation, attributes) in &maintain.analyze {
            self.analyze(*relation, attributes).await?;
        }
        for index in &maintain.reindex {
            self.reindex(*index, maintain.concurrently).await?;
        }
        Ok(maintain.tag.to_owned())
    }

    async fn reindex(&mut self, index: Oid, concurrently: bool) -> Result<()> {
        if concurrently {
            return Box::pin(self.fill_online(index)).await;
        }
        self.store_running().await?;
        self.begin_statement().await?;
        self.do_ddl(&DdlWork::Rebuild(index)).await.map(drop)
    }

    /// Gathers statistics of a relation. They are the transaction's, as any other change of the catalog.
    async fn analyze(&mut self, relation: Oid, attributes: &[i16]) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.facts.read_only) {
            return Err(crate::query::read_only("ANALYZE"));
        }
        self.begin_statement().await?;
        let Some(relation) = self.catalog.snapshot().relation(relation).cloned() else { return Ok(()) };
        let context = self.statement_context(Arc::from([]))?;
        let statistics = exec::analyze::gather(&context, &relation, attributes).await?;
        let Some(open) = &self.open else { return Err(SqlError::internal("no transaction is open")) };
        exec::analyze::store(&open.txn, &mut self.catalog, statistics).await
    }

    /// PostgreSQL's modes and conflicts among them, and with writes, row locks and DDL; plain reads see what was before and are
    /// not kept out (docs/isolation.md). The transaction's snapshot, if this is its first statement, is taken once the locks are there.
    pub(crate) async fn lock_tables(&mut self, relations: &[Oid], mode: TableLock, nowait: bool) -> Result<String> {
        if !self.block.is_in_block() {
            let message = "LOCK TABLE can only be used in transaction blocks";
            return Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        let relations = self.locked_with(relations);
        for relation in &relations {
            self.lock_relation(*relation, mode, nowait).await?;
        }
        self.begin_statement().await?;
        for relation in &relations {
            let (Some(relation), Some(open)) = (self.catalog.snapshot().relation(*relation), &self.open) else {
                continue;
            };
            if relation.has_rows() {
                // Nothing is read: a scan notes the definition that its transaction depends on.
                drop(open.txn.scan(&relation.reference(), None, KeyRange::all(), Direction::Forward));
            }
        }
        Ok("LOCK TABLE".to_owned())
    }

    /// With a view goes what it reads.
    fn locked_with(&self, relations: &[Oid]) -> Vec<Oid> {
        let mut all = relations.to_vec();
        let mut at = 0;
        while let Some(id) = all.get(at).copied() {
            at += 1;
            let relation = self.catalog.snapshot().relation(id);
            let used = relation.and_then(|r| r.view.as_ref()).map_or(&[][..], |view| &view.depends_on);
            for (used, _) in used {
                let is_relation =
                    self.catalog.snapshot().relation(*used).is_some_and(|r| r.has_rows() || r.view.is_some());
                if is_relation && !all.contains(used) {
                    all.push(*used);
                }
            }
        }
        all
    }

    /// Before the snapshot is taken, if this is the transaction's first statement.
    async fn lock_relation(&mut self, id: Oid, mode: TableLock, nowait: bool) -> Result<()> {
        self.ensure_transaction();
        self.set_limits()?;
        let wait = if nowait { WaitPolicy::NoWait } else { WaitPolicy::Wait };
        loop {
            let Some(relation) = self.catalog.snapshot().relation(id).cloned() else { return Ok(()) };
            match self.transaction()?.lock_table(&relation.reference(), mode, wait).await {
                Err(TxnError::LockNotAvailable { .. }) => {
                    let message = format!("could not obtain lock on relation \"{}\"", relation.name);
                    return Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, message));
                }
                // It was redefined while it was waited for: each time another version, or the loop ends.
                Err(TxnError::SchemaChanged { .. }) => {
                    self.refresh()?;
                    let now = self.catalog.snapshot().relation(id).map(|now| now.schema_version);
                    if now == Some(relation.schema_version) {
                        return Err(TxnError::SchemaChanged { relation: id }.into());
                    }
                }
                locked => return Ok(locked?),
            }
        }
    }
}
