//! CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY: the steps of `ddl::online`, each in a transaction of its own.
//!
//! The two steps that change the definition need the relation for a moment without writers. They ask politely: who waits for a
//! writer keeps the writers behind out, so it gives up after `POLITE` and lets them through before it asks again. One that never
//! ends so delays the build, and nobody else.

use crate::session::Session;
use crate::utility::DdlWork;
use ddl::DdlOutcome;
use sql::utility::TransactionModes;
use sql::utility::{IsolationLevel, ddl::Ddl};
use std::time::Duration;
use txn::Timestamp;
use types::{Oid, Result, SqlError, SqlState};

/// How long writers are kept waiting by a step that waits for others of them.
const POLITE: Duration = Duration::from_millis(50);
/// Between two attempts.
const REST: Duration = Duration::from_millis(200);
/// Attempts of one chunk against writers of the same rows.
const ATTEMPTS_MAX: usize = 100;

/// A conflict with somebody who was quicker: the same again may go well.
fn is_passing(error: &SqlError) -> bool {
    error.code() == SqlState::LOCK_NOT_AVAILABLE || crate::query::may_try_again(error)
}

impl Session {
    /// The index is committed write-only before it is filled: what ends the statement from then on leaves it so.
    pub(crate) async fn create_index_online(&mut self, ddl: &Ddl) -> Result<DdlOutcome> {
        let outcome = self.politely(DdlWork::Execute(ddl)).await?;
        if let Some(index) = outcome.unfilled {
            self.fill_online(index).await?;
        }
        Ok(outcome)
    }

    /// Fills a write-only index and makes it public.
    pub(crate) async fn fill_online(&mut self, index: Oid) -> Result<()> {
        let (mut from, mut attempts) = (Some(vec![]), 0);
        while let Some(key) = &from {
            match self.fill_chunk(index, key).await {
                Ok(next) => (from, attempts) = (next, 0),
                Err(error) if is_passing(&error) && attempts < ATTEMPTS_MAX => {
                    attempts += 1;
                    self.abort();
                    self.rest().await?;
                }
                Err(error) => return Err(not_again(error)),
            }
        }
        self.politely(DdlWork::Publish(index)).await.map_err(not_again).map(drop)
    }

    async fn fill_chunk(&mut self, index: Oid, from: &[u8]) -> Result<Option<Vec<u8>>> {
        self.begin_step().await?;
        let services = self.services()?;
        let catalog = self.catalog.snapshot().clone();
        let gone = || SqlError::new(SqlState::UNDEFINED_OBJECT, "index was dropped concurrently");
        let index = catalog.index(index).ok_or_else(gone)?;
        let relation = catalog.relation(index.relation).ok_or_else(gone)?;
        let next = services.fill_some(&catalog, relation, index, from).await?;
        self.commit().await?;
        Ok(next)
    }

    /// A transaction of the statement's, at the level at which what is locked is read newest.
    async fn begin_step(&mut self) -> Result<()> {
        self.refresh()?;
        // The one that the statement was begun in is of the session's level, and has done nothing.
        self.abort();
        let modes = TransactionModes { isolation: Some(IsolationLevel::ReadCommitted), ..Default::default() };
        self.block.start_statement();
        self.open_transaction(&modes, Timestamp::ZERO);
        self.begin_statement().await
    }

    /// Carries out and commits a step, as often as it takes.
    async fn politely(&mut self, work: DdlWork<'_>) -> Result<DdlOutcome> {
        let clock = self.shared.host.clock.clone();
        let started = clock.monotonic();
        loop {
            let error = match self.try_step(&work).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            let is_late = self.derived.lock_timeout.is_some_and(|most| clock.monotonic() - started > most);
            if !is_passing(&error) || is_late {
                return Err(error);
            }
            self.abort();
            self.rest().await?;
        }
    }

    async fn try_step(&mut self, work: &DdlWork<'_>) -> Result<DdlOutcome> {
        self.begin_step().await?;
        self.transaction()?.set_lock_timeout(Some(POLITE));
        let outcome = self.do_ddl(work).await?;
        self.commit().await?;
        Ok(outcome)
    }

    async fn rest(&mut self) -> Result<()> {
        let _ = host::clock::timeout(REST, self.state.cancel.wait()).await;
        self.state.check_stop()
    }
}

/// The statement is not to be executed again from its start: its index is there.
fn not_again(error: SqlError) -> SqlError {
    if !is_passing(&error) {
        return error;
    }
    SqlError::new(SqlState::LOCK_NOT_AVAILABLE, "could not fill the index: the rows of its table change too often")
        .detail(error.message().to_owned())
        .hint("The index is invalid: drop it, or REINDEX it when there is less to do.")
}
