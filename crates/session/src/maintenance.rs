//! LOCK TABLE, ANALYZE, and the maintenance that needs no doing.

use crate::advisory::relation_key;
use crate::session::Session;
use exec::{AdvisoryRequest, SessionAccess};
use sql::utility::{Maintain, TableLockMode};
use std::sync::Arc;
use std::time::Duration;
use txn::{Direction, KeyRange};

/// How long NOWAIT waits for writers that are about to go.
const NOWAIT: Duration = Duration::from_millis(1);
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
        Ok(maintain.tag.to_owned())
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

    /// The weaker modes exclude nothing but changes of the definition: the commit fails if that has changed. The stronger ones
    /// exclude each other (SHARE but itself), and from SHARE on all that writes; nothing keeps readers out, who see what was
    /// before. The transaction's snapshot, if this is its first statement, is taken once the locks are there.
    pub(crate) async fn lock_tables(&mut self, relations: &[Oid], mode: TableLockMode, nowait: bool) -> Result<String> {
        if !self.block.is_in_block() {
            let message = "LOCK TABLE can only be used in transaction blocks";
            return Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        let relations = self.locked_with(relations);
        if mode > TableLockMode::RowExclusive {
            self.lock_names(&relations, mode, nowait).await?;
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
    async fn lock_names(&mut self, relations: &[Oid], mode: TableLockMode, nowait: bool) -> Result<()> {
        self.ensure_transaction();
        let Some(open) = &self.open else { return Err(SqlError::internal("no transaction is open")) };
        let now = self.shared.host.clock.monotonic();
        open.txn.set_deadline(self.derived.statement_timeout.map(|timeout| now + timeout));
        open.txn.set_lock_timeout(self.derived.lock_timeout);
        for relation in relations {
            let request =
                AdvisoryRequest { is_shared: mode == TableLockMode::Share, is_of_transaction: true, waits: !nowait };
            if !self.state.advisory.lock(&open.txn, relation_key(*relation), request).await? {
                let name = self.catalog.snapshot().relation(*relation).map_or(String::new(), |r| r.name.clone());
                let message = format!("could not obtain lock on relation \"{name}\"");
                return Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, message));
            }
        }
        if mode < TableLockMode::Share {
            return Ok(());
        }
        if nowait {
            open.txn.set_lock_timeout(Some(NOWAIT));
        }
        for relation in relations {
            if let Some(relation) = self.catalog.snapshot().relation(*relation).filter(|r| r.has_rows()) {
                open.txn.close(&relation.reference()).await?;
            }
        }
        Ok(())
    }
}
