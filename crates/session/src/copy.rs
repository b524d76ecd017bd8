//! COPY: FROM STDIN takes pieces of data between two calls of the session, TO STDOUT sends rows as they come.

use crate::query::Standing;
use crate::session::{Outcome, Session};
use crate::sink::Sink;
use exec::SessionAccess;
use exec::copy::{CopyIn, CopyOut};
use sql::utility::{Copy, CopyDirection, CopyKind, Utility};
use std::sync::Arc;
use txn::{CancelReason, TxnError};
use types::stop::wanted;
use types::{Oid, Result, SqlError, SqlState};

/// A COPY FROM STDIN that waits for data.
pub(crate) struct CopyUnderway {
    /// None: it failed, and what the client still sends is dropped.
    work: Option<CopyIn>,
    standing: Standing,
}

impl Session {
    /// What `exec::enter` does for queries. False: the table was changed, bind again.
    pub(crate) async fn enter_copied(&mut self, utility: &Utility) -> Result<bool> {
        let Utility::Copy(copy) = utility else { return Ok(true) };
        let CopyDirection::From { relation, .. } = &copy.direction else { return Ok(true) };
        let Some(relation) = self.catalog.snapshot().relation(*relation).cloned() else { return Ok(true) };
        self.ensure_transaction();
        self.set_limits()?;
        match self.transaction()?.enter(&relation.reference()).await {
            Ok(()) => Ok(true),
            Err(TxnError::SchemaChanged { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// 55000 for FREEZE where others may have looked at the relation.
    fn check_freeze(&self, copy: &Copy, relation: Oid) -> Result<()> {
        let relation = self.catalog.snapshot().relation(relation);
        if !copy.format.freeze || relation.is_none_or(|r| r.is_temporary || self.catalog.is_own_storage(r.storage)) {
            return Ok(());
        }
        let message = "cannot perform COPY FREEZE because the table was not created or truncated in the current \
                       subtransaction";
        Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message))
    }

    pub(crate) async fn run_copy(&mut self, copy: &Copy, standing: Standing, sink: &mut dyn Sink) -> Result<Outcome> {
        match &copy.direction {
            CopyDirection::From { insert, relation, filter, .. } => {
                self.check_freeze(copy, *relation)?;
                let prepared = self.plan_query(insert, &[])?;
                self.before_write(&prepared).await?;
                self.begin_statement().await?;
                let context = self.statement_context(Arc::from([]))?;
                let table = self.catalog.snapshot().relation(*relation).map_or(String::new(), |r| r.name.clone());
                let plan = prepared.plan.clone();
                let work = CopyIn::new(plan, context, &copy.format, &table, &copy.columns, filter.as_ref())?;
                sink.copy_in(copy.format.kind == CopyKind::Binary, copy.columns.len());
                self.copy = Some(CopyUnderway { work: Some(work), standing });
                Ok(Outcome::CopyIn)
            }
            CopyDirection::To { query } => {
                let prepared = self.plan_query(query, &[])?;
                self.before_write(&prepared).await?;
                self.begin_statement().await?;
                let context = self.statement_context(Arc::from([]))?;
                let mut execution = exec::execute(&prepared, context.clone())?;
                sink.copy_out(copy.format.kind == CopyKind::Binary, copy.columns.len());
                let mut out = CopyOut::new(&copy.format, &copy.columns, true, context);
                out.begin(sink.buffer())?;
                while let Some(batch) = execution.next().await? {
                    out.batch(&batch, sink.buffer())?;
                    if sink.is_full() {
                        self.settle().await?;
                        sink.flow().await?;
                    }
                }
                out.end(sink.buffer())?;
                sink.copy_done();
                let tag = format!("COPY {}", out.rows);
                self.complete(&tag, standing.commits(), true, sink).await?;
                Ok(Outcome::Completed)
            }
        }
    }

    /// A piece of COPY data; pieces end anywhere.
    pub async fn copy_data(&mut self, data: &[u8]) -> Result<()> {
        let Some(work) = self.copy.as_mut().and_then(|copy| copy.work.as_mut()) else { return Ok(()) };
        if let Err(error) = wanted(&self.stop, work.push(data)).await {
            let error = self.explain_conflict(error);
            self.fail();
            return Err(error);
        }
        Ok(())
    }

    /// The data has ended; goes on with the rest of a string of statements.
    pub async fn copy_done(&mut self, sink: &mut dyn Sink) -> Result<Outcome> {
        let Some(CopyUnderway { work: Some(work), standing }) = self.copy.take() else {
            return Ok(Outcome::Completed);
        };
        let result = self.finish_copy(work, standing, sink).await;
        if let Err(error) = result {
            let error = self.explain_conflict(error);
            return Err(self.fail_statement(error, sink).await);
        }
        self.run_queue(false, sink).await
    }

    async fn finish_copy(&mut self, work: CopyIn, standing: Standing, sink: &mut dyn Sink) -> Result<()> {
        let rows = work.finish().await?;
        self.complete(&format!("COPY {rows}"), standing.commits(), false, sink).await
    }

    /// Ends when a COPY that waits for data must stop: with the error of its statement.
    pub async fn copy_stopped(&mut self) -> SqlError {
        let cancelled = self.state.cancel.wait();
        let clock = &self.shared.host.clock;
        let reason = match self.state.deadline() {
            None => Some(cancelled.await),
            Some(at) => host::clock::timeout(at.saturating_sub(clock.monotonic()), cancelled).await,
        };
        let error = match reason {
            Some(CancelReason::User) => TxnError::Cancelled,
            Some(CancelReason::Terminate) => TxnError::Terminated,
            Some(CancelReason::StatementTimeout) | None => TxnError::Deadline,
        };
        error.into()
    }

    /// The client gave up.
    pub async fn copy_fail(&mut self, message: &str) -> SqlError {
        self.fail();
        SqlError::new(SqlState::QUERY_CANCELED, format!("COPY from stdin failed: {message}"))
    }
}
