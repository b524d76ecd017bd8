//! Running one statement: queries with their rows, others through `utility`.

use crate::block::{Action, BlockState};
use crate::conflicts::Settled;
use crate::feed::Feed;
use crate::portal::{Portal, Source};
use crate::replay::Recorder;
use crate::rewritten::RewrittenWork;
use crate::row_store::RowStore;
use crate::session::{Outcome, Queued, Session};
use crate::sink::{Sink, SinkMark};
use crate::statement::{Planned, PreparedStatement, Work};
use ecow::{EcoString, eco_format};
use exec::output::{RowBuffer, ValueFormat};
use exec::{DirectContext, MemoryBudget, Prepared, Seat, SessionAccess, StatementContext};
use sql::ResultColumn;
use sql::logical::CommandTag;
use sql::utility::TransactionModes;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use txn::Timestamp;
use types::stop::wanted;
use types::{Datum, Result, SqlError, SqlState};

/// Times that a statement is executed again after a conflict of Hyrax's own making (`distributed-core.md` §4).
pub(crate) const ATTEMPTS_MAX: usize = 10;
/// After so many, a statement that finds its rows by a scan keeps other writers out of what it writes to: each of them makes what it has
/// read stale, and of many none would come through.
const TURNS_FROM: usize = 2;
/// Plans that a statement makes before it begins, when DDL comes in between each time.
const PLANS_MAX: usize = 10;
/// Rows handed to the client between two looks at its buffer.
const SLICE_ROWS: usize = 1_024;

/// How a statement stands to its transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Its own transaction, begun and committed with it: it may be executed again.
    Alone,
    /// In a block, or in a string or pipeline with others before or after it. `is_last`: the implicit block ends with it.
    Among { is_last: bool },
}

/// How often a statement has been executed, and where its answers begin.
pub(crate) struct Attempts {
    standing: Standing,
    mark: SinkMark,
    count: usize,
}

/// What a statement has behind it that is executed again.
#[derive(Default)]
pub(crate) struct Behind {
    /// Of its first attempt: it keeps its place in queues.
    age: Timestamp,
    attempts: usize,
}

impl Attempts {
    pub fn new(standing: Standing, sink: &mut dyn Sink) -> Attempts {
        Attempts { standing, mark: sink.mark(), count: 0 }
    }
}

impl Standing {
    pub fn commits(self) -> bool {
        matches!(self, Standing::Alone | Standing::Among { is_last: true })
    }
}

pub(crate) fn tag(command: CommandTag, rows: u64) -> EcoString {
    match command {
        CommandTag::Select => eco_format!("SELECT {rows}"),
        CommandTag::Insert => eco_format!("INSERT 0 {rows}"),
        CommandTag::Update => eco_format!("UPDATE {rows}"),
        CommandTag::Delete => eco_format!("DELETE {rows}"),
        CommandTag::Merge => eco_format!("MERGE {rows}"),
    }
}

pub(crate) fn may_try_again(error: &SqlError) -> bool {
    error.code() == SqlState::SERIALIZATION_FAILURE || error.code() == SqlState::DEADLOCK_DETECTED
}

impl Session {
    /// One statement of a simple-query string.
    pub(crate) async fn run_in_string(
        &mut self,
        queued: &Queued,
        is_alone: bool,
        is_last: bool,
        sink: &mut dyn Sink,
    ) -> Result<Outcome> {
        let statement = &queued.statement;
        self.block.check_runnable(statement.is_transaction_control())?;
        if statement.is_transaction_control() {
            self.control(statement, sink).await?;
            return Ok(Outcome::Completed);
        }
        let standing = match self.block == BlockState::Idle && is_alone {
            true => Standing::Alone,
            false => Standing::Among { is_last },
        };
        let mut attempts = Attempts::new(standing, sink);
        loop {
            let result = self.try_in_string(queued, standing, sink).await;
            if let Some(result) = self.ends(&mut attempts, result, sink).await {
                return result;
            }
        }
    }

    async fn try_in_string(&mut self, queued: &Queued, standing: Standing, sink: &mut dyn Sink) -> Result<Outcome> {
        let planned = self.planned_to_run(&queued.statement, false).await;
        if let Some(text) = &queued.written
            && !planned.as_ref().is_ok_and(|planned| planned.is_direct() && planned.takes(queued.parameters.len()))
        {
            // The schema has changed since the template was found. Only the text knows what it means now, and where it is wrong.
            let own = self.statement_of(text, &[])?;
            let planned = self.planned_to_run(&own, false).await?;
            return self.run_planned(&own, planned, Arc::from([]), standing, sink).await;
        }
        self.run_planned(&queued.statement, planned?, queued.parameters.clone(), standing, sink).await
    }

    async fn run_planned(
        &mut self,
        statement: &Arc<PreparedStatement>,
        planned: Arc<Planned>,
        parameters: Arc<[Datum]>,
        standing: Standing,
        sink: &mut dyn Sink,
    ) -> Result<Outcome> {
        if !planned.takes(parameters.len()) {
            let first = statement.syntax()?.and_then(|syntax| syntax.first_parameter());
            let (name, position) = first.unwrap_or_else(|| ("$1".to_owned(), 0));
            let message = format!("there is no parameter {name}");
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, message).at(position));
        }
        self.next_portal += 1;
        let mut portal = Portal::new(self.next_portal, statement.clone(), planned, parameters, vec![]);
        self.run_portal(&mut portal, 0, standing, true, sink).await
    }

    /// The plan that holds now; of one that writes, nothing is changed by DDL until the transaction is over. Nothing of the
    /// statement has happened yet, so it may be planned again in the middle of a block, too. `is_promised`: the client knows which
    /// columns it returns.
    pub(crate) async fn planned_to_run(
        &mut self,
        statement: &Arc<PreparedStatement>,
        is_promised: bool,
    ) -> Result<Arc<Planned>> {
        for _ in 0..PLANS_MAX {
            self.refresh()?;
            if !is_promised && statement.is_stale(self.derived.epoch) {
                statement.forget();
            }
            let planned = self.planned_anywhere(statement).await?;
            let is_current = match &planned.work {
                Work::Query(prepared) if !prepared.plan.is_read_only => self.enter(&prepared.clone()).await?,
                Work::Rewritten(work) => self.enter_all(&work.clone()).await?,
                Work::Utility(utility) => self.enter_copied(&utility.clone()).await?,
                _ => true,
            };
            if is_current {
                return Ok(planned);
            }
        }
        let message = "could not serialize access due to concurrent change of a relation's definition";
        Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, message))
    }

    /// Whether the plan still holds; from then on it does.
    async fn enter(&mut self, prepared: &Prepared) -> Result<bool> {
        self.ensure_transaction();
        self.set_limits()?;
        let keeps_out = self.behind.attempts >= TURNS_FROM;
        exec::enter(&prepared.plan, self.transaction()?, keeps_out).await
    }

    async fn enter_all(&mut self, work: &RewrittenWork) -> Result<bool> {
        for prepared in work.queries().filter(|p| !p.plan.is_read_only) {
            if !self.enter(prepared).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `statement_timeout` and `lock_timeout` of the statement that begins.
    pub(crate) fn set_limits(&self) -> Result<()> {
        let txn = self.transaction()?;
        txn.set_deadline(self.state.deadline());
        txn.set_lock_timeout(self.derived.lock_timeout);
        Ok(())
    }

    /// What an attempt came to; None: it is to be made again, from the start and in a new transaction. Of a statement in a block,
    /// what came before it has been executed again (`replay`).
    pub(crate) async fn ends(
        &mut self,
        attempts: &mut Attempts,
        result: Result<Outcome>,
        sink: &mut dyn Sink,
    ) -> Option<Result<Outcome>> {
        attempts.count += 1;
        let conflict = match result {
            Err(error) if may_try_again(&error) => error,
            Err(error) => {
                self.behind = Behind::default();
                return Some(Err(self.explain_conflict(error)));
            }
            Ok(outcome) => {
                self.behind = Behind::default();
                return Some(Ok(outcome));
            }
        };
        if attempts.count >= ATTEMPTS_MAX || !sink.rewind(attempts.mark) {
            self.behind = Behind::default();
            return Some(Err(self.explain_conflict(conflict)));
        }
        if attempts.standing != Standing::Alone {
            return match self.replay_block(&conflict).await {
                Ok(true) => None,
                Ok(false) => Some(Err(self.explain_conflict(conflict))),
                Err(error) => Some(Err(error)),
            };
        }
        let age = self.open.as_ref().map_or(Timestamp::ZERO, |open| open.txn.age());
        self.behind = Behind { age: self.behind.age.max(age), attempts: attempts.count };
        self.note_conflict(&conflict, Settled::StatementAgain);
        self.state.advisory.undo_taken();
        self.abort();
        self.block = BlockState::Idle;
        self.state.take_notices();
        metrics::counter!("hyrax_statement_retries_total").increment(1);
        None
    }

    /// Opens the implicit transaction if none is open, and takes the statement's snapshot.
    pub(crate) async fn begin_statement(&mut self) -> Result<()> {
        self.state.advisory.check()?;
        self.ensure_transaction();
        let Some(open) = &mut self.open else { return Err(SqlError::internal("no transaction is open")) };
        open.has_run = true;
        self.set_limits()?;
        self.state.start_statement(crate::shared::wall(&self.shared.host));
        Ok(self.transaction()?.begin_statement().await?)
    }

    pub(crate) fn ensure_transaction(&mut self) {
        if self.block.start_statement() == Action::Start || self.open.is_none() {
            let age = self.behind.age;
            self.open_transaction(&TransactionModes::default(), age);
        }
    }

    pub(crate) fn statement_context(&self, parameters: Arc<[Datum]>) -> Result<Arc<StatementContext>> {
        self.context_with(parameters, self.memory())
    }

    fn context_with(&self, parameters: Arc<[Datum]>, memory: Arc<MemoryBudget>) -> Result<Arc<StatementContext>> {
        Ok(Arc::new(StatementContext {
            txn: self.transaction()?.clone(),
            gateway: self.shared.gateway.clone(),
            host: self.shared.host.clone(),
            catalog: self.catalog.snapshot().clone(),
            format: self.derived.format.clone(),
            parameters,
            session: self.state.clone(),
            cancel: self.state.cancel.clone(),
            memory,
            spill: self.shared.spill.clone(),
            workers: self.shared.workers.clone(),
        }))
    }

    pub(crate) fn memory(&self) -> Arc<MemoryBudget> {
        MemoryBudget::new(self.derived.work_mem, self.shared.memory.clone())
    }

    /// Waits until there is memory for a statement that will work on much.
    pub(crate) async fn seat(&mut self, prepared: &Prepared) -> Result<Option<Seat>> {
        if !prepared.plan.is_long {
            return Ok(None);
        }
        let seat = async {
            tokio::select! {
                biased;
                seat = self.shared.memory.seat(self.derived.work_mem) => seat,
                _ = self.state.cancel.wait() => None,
            }
        };
        let now = self.shared.host.clock.monotonic();
        let left = self.state.deadline().map_or(Duration::MAX, |deadline| deadline.saturating_sub(now));
        let seat = host::clock::timeout(left, seat).await.flatten();
        self.state.check_stop()?;
        Ok(seat)
    }

    /// Runs a portal, or goes on with it, for at most `max_rows` rows (0: all). In a block, keeps what is needed to do it again.
    pub(crate) async fn run_portal(
        &mut self,
        portal: &mut Portal,
        max_rows: u32,
        standing: Standing,
        describes: bool,
        sink: &mut dyn Sink,
    ) -> Result<Outcome> {
        let stop = self.stop.clone();
        if !self.keeps_history(standing) {
            let outcome = {
                // Pinned here: its some 9 KB are not moved once more.
                let work = pin!(self.run_unrecorded(portal, max_rows, standing, describes, sink));
                wanted(&stop, work).await?
            };
            self.check_reads(standing)?;
            return Ok(outcome);
        }
        let is_whole = max_rows == 0 && portal.cursor.is_none() && matches!(portal.source, Source::Fresh);
        let mut recorder = Recorder::new(sink);
        let outcome = {
            let work = pin!(self.run_unrecorded(portal, max_rows, standing, describes, &mut recorder));
            wanted(&stop, work).await?
        };
        self.check_reads(standing)?;
        let seen = recorder.finish();
        self.note_step(portal, is_whole && outcome == Outcome::Completed, describes, seen);
        Ok(outcome)
    }

    /// 40001 at once in a block that could not commit any more, as far as that is cheap to see. Not behind a savepoint: there it
    /// is COMMIT that can execute the block again.
    fn check_reads(&self, standing: Standing) -> Result<()> {
        match &self.open {
            Some(open) if standing != Standing::Alone && open.savepoints.is_empty() => Ok(open.txn.check_reads()?),
            _ => Ok(()),
        }
    }

    pub(crate) async fn run_unrecorded(
        &mut self,
        portal: &mut Portal,
        max_rows: u32,
        standing: Standing,
        describes: bool,
        sink: &mut dyn Sink,
    ) -> Result<Outcome> {
        let planned = portal.planned.clone();
        match &planned.work {
            Work::Nothing => {
                sink.empty_query();
                Ok(Outcome::Completed)
            }
            Work::Utility(utility) => {
                let utility = utility.clone();
                self.run_utility(&utility, portal, max_rows, standing, describes, sink).await
            }
            Work::Rewritten(work) => {
                let work = work.clone();
                self.run_rewritten(&work, portal, max_rows, standing, describes, sink).await
            }
            Work::Query(prepared) => {
                if describes && planned.returns_rows {
                    sink.row_description(&planned.columns, &portal.formats);
                }
                if prepared.is_direct() && matches!(portal.source, Source::Fresh) && portal.cursor.is_none() {
                    return self.run_direct(prepared, portal, standing, sink).await;
                }
                self.start_portal(portal).await?;
                self.send_portal(prepared, portal, max_rows, standing, sink).await
            }
        }
    }

    /// A statement by full key: no operators, no batches.
    async fn run_direct(
        &mut self,
        prepared: &Arc<Prepared>,
        portal: &mut Portal,
        standing: Standing,
        sink: &mut dyn Sink,
    ) -> Result<Outcome> {
        portal.source = Source::Done;
        let is_lone_read = standing == Standing::Alone && prepared.is_lone_read();
        if is_lone_read {
            txn::note_statement(self.state.id);
            let now = crate::shared::wall(&self.shared.host);
            self.state.start_transaction(now, self.state.facts());
            self.state.start_statement(now);
            self.derived.set_now(now);
        } else {
            self.before_write(prepared).await?;
            self.begin_statement().await?;
        }
        let txn = self.open.as_ref().map(|open| &open.txn).filter(|_| !is_lone_read);
        let context = DirectContext {
            txn,
            gateway: &self.shared.gateway,
            host: &self.shared.host,
            catalog: self.catalog.snapshot(),
            format: &self.derived.format,
            parameters: &portal.parameters,
            width: portal.planned.parameters.len(),
            session: &*self.state,
        };
        let buffer = sink.buffer();
        let mut rows =
            RowBuffer::new(buffer, &portal.formats, &self.derived.format).with_names(context.catalog, &*self.state);
        let count = exec::direct::run(prepared, &context, &mut rows).await?;
        drop(rows);
        let tag = tag(prepared.plan.tag, count);
        let tells = !prepared.plan.result.is_empty();
        self.complete(&tag, standing.commits(), tells, sink).await?;
        Ok(Outcome::Completed)
    }

    /// What else of this session still computes rows must not see what is going to be written.
    pub(crate) async fn before_write(&mut self, prepared: &Prepared) -> Result<()> {
        if !prepared.plan.is_read_only {
            self.store_running().await?;
        }
        Ok(())
    }

    /// Computes what suspended portals have left, so that a write does not show in them.
    pub(crate) async fn store_running(&mut self) -> Result<()> {
        for portal in self.portals.values_mut().filter(|p| p.is_running()) {
            portal.store_all().await?;
        }
        Ok(())
    }

    /// Starts a portal's query, if it has not been started.
    pub(crate) async fn start_portal(&mut self, portal: &mut Portal) -> Result<()> {
        if !matches!(portal.source, Source::Fresh) {
            return Ok(());
        }
        let Work::Query(prepared) = &portal.planned.work else { return Ok(()) };
        let seat = match portal.cursor {
            None => self.seat(prepared).await?,
            // It may stand unread for as long as its client likes.
            Some(_) => None,
        };
        let keeps = portal.cursor.is_some_and(|c| c.scroll != Some(false));
        let rows = self.start_query(prepared, portal.parameters.clone(), keeps, seat).await?;
        portal.source = Source::Rows(Box::new(rows));
        Ok(())
    }

    /// Starts a query; its rows are still to be computed. `keeps`: they may be read again.
    pub(crate) async fn start_query(
        &mut self,
        prepared: &Arc<Prepared>,
        parameters: Arc<[Datum]>,
        keeps: bool,
        seat: Option<Seat>,
    ) -> Result<RowStore> {
        self.before_write(prepared).await?;
        self.begin_statement().await?;
        if prepared.plan.privileges.iter().any(|p| crate::live::LISTS.contains(&p.relation)) {
            self.copy_lists();
        }
        let memory = MemoryBudget::seated(self.derived.work_mem, self.shared.memory.clone(), seat);
        let context = self.context_with(parameters, memory)?;
        let execution = exec::execute(prepared, context.clone())?;
        let feed = match &self.shared.workers {
            Some(workers) if prepared.plan.is_long => Feed::away(execution, self.stop.clone(), workers),
            _ => Feed::here(execution),
        };
        Ok(RowStore::new(feed, keeps, &context.memory))
    }

    async fn send_portal(
        &mut self,
        prepared: &Arc<Prepared>,
        portal: &mut Portal,
        max_rows: u32,
        standing: Standing,
        sink: &mut dyn Sink,
    ) -> Result<Outcome> {
        let Source::Rows(rows) = &mut portal.source else {
            let tag = tag(prepared.plan.tag, 0);
            self.complete(&tag, standing.commits(), true, sink).await?;
            return Ok(Outcome::Completed);
        };
        let limit = if max_rows == 0 { u64::MAX } else { u64::from(max_rows) };
        let columns = &portal.planned.columns;
        let (sent, is_over) = self.send_rows(rows, limit, columns, &portal.formats, sink).await?;
        if !is_over {
            self.settle().await?;
            self.send_notices(sink);
            return Ok(Outcome::Suspended);
        }
        let count = match prepared.plan.tag {
            CommandTag::Select => sent,
            _ => rows.rows_affected(),
        };
        portal.source = Source::Done;
        let tag = tag(prepared.plan.tag, count);
        let tells = !prepared.plan.result.is_empty();
        self.complete(&tag, standing.commits(), tells, sink).await?;
        Ok(Outcome::Completed)
    }

    /// Sends at most `limit` rows; how many, and whether those were the last.
    pub(crate) async fn send_rows(
        &mut self,
        rows: &mut RowStore,
        limit: u64,
        columns: &[ResultColumn],
        formats: &[ValueFormat],
        sink: &mut dyn Sink,
    ) -> Result<(u64, bool)> {
        let types: Vec<_> = columns.iter().map(|c| c.ty).collect();
        let mut sent = 0;
        while sent < limit {
            let max = usize::try_from(limit - sent).unwrap_or(usize::MAX).min(SLICE_ROWS);
            let Some(batch) = rows.next(max).await? else { return Ok((sent, true)) };
            sent += batch.len as u64;
            RowBuffer::new(sink.buffer(), formats, &self.derived.format)
                .with_names(self.catalog.snapshot(), &*self.state)
                .batch(&batch, &types)?;
            if sink.is_full() {
                self.settle().await?;
                sink.flow().await?;
            }
        }
        Ok((sent, false))
    }

    /// BEGIN, COMMIT and their like.
    pub(crate) async fn control(&mut self, statement: &PreparedStatement, sink: &mut dyn Sink) -> Result<()> {
        self.refresh()?;
        let planned = self.planned(statement)?;
        let Work::Utility(utility) = &planned.work else { return Err(SqlError::internal("not a control statement")) };
        let utility = utility.clone();
        let tag = self.run_control(&utility).await?;
        self.note_control(&utility);
        self.send_notices(sink);
        sink.command_complete(tag);
        Ok(())
    }
}

pub(crate) fn read_only(command: &str) -> SqlError {
    let message = format!("cannot execute {command} in a read-only transaction");
    SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A commit whose fate is not known, and what is no conflict of ours, is the client's to decide about.
    #[test]
    fn client_retries_nonidempotent() {
        let tried = |code| may_try_again(&SqlError::new(code, "x"));
        assert!(tried(SqlState::SERIALIZATION_FAILURE) && tried(SqlState::DEADLOCK_DETECTED));
        let unknown: SqlError = txn::TxnError::UnknownOutcome.into();
        assert_eq!(unknown.code().as_str(), "40003");
        assert!(!may_try_again(&unknown));
        for code in [SqlState::UNIQUE_VIOLATION, SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED] {
            assert!(!tried(code), "{code:?}");
        }
    }
}
