//! FOR UPDATE and its weaker forms: locks the input's rows, drops those that are gone, and goes on with the newest version.
//!
//! At READ COMMITTED a row that changed since the snapshot is read again and its WHERE evaluated again on the new version
//! (PostgreSQL's EvalPlanQual); at the other levels the transaction layer has refreshed or refused already.

use super::{Input, Operator};
use crate::batch::Batch;
use crate::context::BoxFuture;
use crate::dml::MOVES_MAX;
use crate::expr::Program;
use crate::rows::{RowReader, Table, split_row_key};
use crate::run::Run;
use sql::logical::locking;
use sql::physical::PlanLockTarget;
use txn::{LockMode, Locked, Transaction, WaitPolicy};
use types::{Datum, Result, SqlError, SqlState, SqlType};

pub(crate) struct LockRows {
    input: Input,
    types: Vec<SqlType>,
    targets: Vec<Target>,
    /// A batch of which only the rows before this one were wanted so far.
    rest: Option<(Batch, usize)>,
    /// The input is told how many rows are wanted.
    tells: bool,
}

struct Target {
    reader: RowReader,
    /// Where the reader's columns lie in the input.
    positions: Vec<u32>,
    row_key: usize,
    mode: LockMode,
    wait: WaitPolicy,
    recheck: Option<Program>,
}

pub(crate) fn lock_mode(mode: locking::LockMode) -> LockMode {
    match mode {
        locking::LockMode::KeyShare => LockMode::KeyShare,
        locking::LockMode::Share => LockMode::Share,
        locking::LockMode::NoKeyUpdate => LockMode::NoKeyUpdate,
        locking::LockMode::Update => LockMode::Update,
    }
}

pub(crate) fn wait_policy(wait: locking::WaitPolicy) -> WaitPolicy {
    match wait {
        locking::WaitPolicy::Wait => WaitPolicy::Wait,
        locking::WaitPolicy::NoWait => WaitPolicy::NoWait,
        locking::WaitPolicy::Skip => WaitPolicy::Skip,
    }
}

/// What a lock's error says to the client, with the relation's name.
pub(crate) fn lock_error(error: txn::TxnError, relation: &str) -> SqlError {
    match error {
        txn::TxnError::LockNotAvailable { .. } => SqlError::new(
            SqlState::LOCK_NOT_AVAILABLE,
            format!("could not obtain lock on row in relation \"{relation}\""),
        ),
        other => other.to_sql(),
    }
}

/// What became of a row that was to be locked.
enum Outcome {
    Same,
    Gone,
    /// The newest version's columns.
    Changed(Vec<Datum>),
    /// It stands under another key now.
    Moved(u16, Vec<u8>),
}

impl Target {
    fn new(plan: &PlanLockTarget, types: &[SqlType]) -> Result<Target> {
        let columns: Vec<_> = plan.columns.iter().map(|(c, _)| *c).collect();
        let positions: Vec<u32> = plan.columns.iter().map(|(_, p)| *p).collect();
        let column_types: Vec<SqlType> =
            positions.iter().map(|p| types.get(*p as usize).copied().unwrap_or(SqlType::UNKNOWN)).collect();
        Ok(Target {
            reader: RowReader::new(Table::new(&plan.relation)?, &columns, &column_types),
            positions,
            row_key: plan.row_key as usize,
            mode: lock_mode(plan.mode),
            wait: wait_policy(plan.wait),
            recheck: Program::compile_option(plan.recheck.as_ref())?,
        })
    }

    /// Of rows that come in the order of their scan, as a LIMIT takes them: each is locked before it is used, or not used. So what
    /// others do to them is no conflict of those that take from a queue. (KEY SHARE does not keep what a row says.)
    fn pass_over(&self, txn: &Transaction, batch: &Batch) {
        if self.mode == LockMode::KeyShare {
            return;
        }
        for row in 0..batch.len {
            let row_key = batch.row(row).get(self.row_key).cloned().unwrap_or_default();
            if let Some((_, key)) = split_row_key(&row_key) {
                txn.pass_over(&self.reader.table.at, key);
            }
        }
    }

    async fn lock(&self, txn: &Transaction, slot: u16, key: &[u8]) -> Result<Outcome> {
        let reader = &self.reader;
        txn.lock_shown(&reader.table.at, slot, key, self.mode, self.wait, |locked| match locked {
            Locked::Row { changed: false, .. } => Ok(Outcome::Same),
            Locked::Row { value, ts, changed: true } => reader.datums(key, value, ts).map(Outcome::Changed),
            Locked::Absent { .. } | Locked::Skipped => Ok(Outcome::Gone),
            Locked::Moved { slot, key } => Ok(Outcome::Moved(slot, key.to_vec())),
        })
        .await
        .map_err(|e| lock_error(e, &reader.table.relation.name))?
    }

    /// The newest version of a row that got another key.
    async fn follow(&self, txn: &Transaction, slot: u16, key: &[u8]) -> Result<Outcome> {
        let reader = &self.reader;
        txn.lock(&reader.table.at, slot, key, self.mode, self.wait, |locked| match locked {
            Locked::Row { value, ts, .. } => reader.datums(key, value, ts).map(Outcome::Changed),
            Locked::Absent { .. } | Locked::Skipped => Ok(Outcome::Gone),
            Locked::Moved { slot, key } => Ok(Outcome::Moved(slot, key.to_vec())),
        })
        .await
        .map_err(|e| lock_error(e, &reader.table.relation.name))?
    }
}

impl LockRows {
    pub fn new(input: Input, types: &[SqlType], targets: &[PlanLockTarget]) -> Result<LockRows> {
        let targets = targets.iter().map(|t| Target::new(t, types)).collect::<Result<_>>()?;
        Ok(LockRows { input, types: types.to_vec(), targets, rest: None, tells: true })
    }

    /// Whether the input streams.
    pub fn over(mut self, streams: bool) -> LockRows {
        self.tells = streams;
        self
    }

    async fn pull(&mut self, run: &mut Run) -> Result<Option<Batch>> {
        let outer = run.wanted;
        run.wanted = outer.filter(|_| self.tells);
        let batch = self.input.next(run).await;
        if let (Some(_), Ok(Some(batch)), [target]) = (run.wanted, &batch, &self.targets[..]) {
            target.pass_over(&run.context.txn, batch);
        }
        run.wanted = outer;
        batch
    }

    /// Locks one row's parts; None where the row is to be left out.
    async fn row(&mut self, run: &mut Run, mut values: Vec<Datum>) -> Result<Option<Vec<Datum>>> {
        for target in &self.targets {
            // The null side of an outer join has nothing to lock.
            let row_key = values.get(target.row_key).cloned().unwrap_or_default();
            let Some((slot, key)) = split_row_key(&row_key) else { continue };
            let txn = run.context.txn.clone();
            let mut outcome = target.lock(&txn, slot, key).await?;
            for _ in 0..MOVES_MAX {
                let Outcome::Moved(slot, key) = outcome else { break };
                outcome = target.follow(&txn, slot, &key).await?;
            }
            match outcome {
                Outcome::Same => {}
                Outcome::Gone | Outcome::Moved(..) => return Ok(None),
                Outcome::Changed(new) => {
                    for (position, value) in target.positions.iter().zip(new) {
                        if let Some(place) = values.get_mut(*position as usize) {
                            *place = value;
                        }
                    }
                    if let Some(recheck) = &target.recheck
                        && !matches!(recheck.eval_datums(run, &values).await?, Datum::Bool(true))
                    {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(values))
    }
}

impl Operator for LockRows {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            loop {
                run.pause(0).await?;
                // A LIMIT above must not make rows locked that it does not want (queues with SKIP LOCKED live on that): it
                // says how many it still takes, and what is left of the batch waits.
                let wanted = run.wanted.unwrap_or(usize::MAX).max(1);
                let (batch, from) = match self.rest.take() {
                    Some(rest) => rest,
                    None => match self.pull(run).await? {
                        Some(batch) => (batch, 0),
                        None => return Ok(None),
                    },
                };
                let mut rows = Vec::new();
                let mut row = from;
                while row < batch.len && rows.len() < wanted {
                    if let Some(values) = self.row(run, batch.row(row)).await? {
                        rows.push(values);
                    }
                    row += 1;
                }
                if row < batch.len {
                    self.rest = Some((batch, row));
                }
                if !rows.is_empty() {
                    return Ok(Some(Batch::from_rows(&self.types, &rows)));
                }
            }
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.rest = None;
        self.input.rewind(run);
    }
}
