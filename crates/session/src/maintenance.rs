//! LOCK TABLE, ANALYZE, and the maintenance that needs no doing.

use crate::session::Session;
use exec::SessionAccess;
use sql::utility::Maintain;
use std::sync::Arc;
use txn::{Direction, KeyRange};
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

    /// Modes that exclude nothing but changes of the definition: the commit fails if the definition has changed.
    pub(crate) async fn lock_tables(&mut self, relations: &[Oid]) -> Result<String> {
        if !self.block.is_in_block() {
            let message = "LOCK TABLE can only be used in transaction blocks";
            return Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
        }
        self.begin_statement().await?;
        for relation in relations {
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
}
