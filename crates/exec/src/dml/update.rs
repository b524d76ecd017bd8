//! UPDATE: the input finds the rows, each is locked and read at its newest version, and written.

use super::foreign_key::Pending;
use super::target::{LockedRow, StoredRow, part};
use super::{Returning, Target};
use crate::batch::Batch;
use crate::context::{BoxFuture, StatementContext};
use crate::expr::Program;
use crate::op::{Input, Operator};
use crate::rows::split_row_key;
use crate::run::Run;
use foldhash::{HashSet, HashSetExt};
use sql::logical::ScanColumn;
use sql::physical::PlanUpdate;
use std::sync::Arc;
use txn::{LockMode, Timestamp};
use types::{Datum, Result, SqlError};

/// Where the target's columns lie in the input, to be read again from a newer version.
pub(super) struct OldRow(Vec<(ScanColumn, usize)>);

impl OldRow {
    pub fn new(columns: &[(ScanColumn, u32)]) -> OldRow {
        OldRow(columns.iter().map(|(c, p)| (*c, *p as usize)).collect())
    }

    /// Puts the newest version's columns into the input row.
    pub fn replace(&self, target: &Target, row: &StoredRow, ts: Timestamp, values: &mut [Datum]) -> Result<()> {
        for (column, position) in &self.0 {
            let value = part(&target.table, row, ts, *column)?;
            if let Some(place) = values.get_mut(*position) {
                *place = value;
            }
        }
        Ok(())
    }
}

pub(crate) struct UpdateRows {
    input: Input,
    target: Target,
    row_key: usize,
    old_row: OldRow,
    assignments: Vec<(usize, Program)>,
    tail: Option<Program>,
    recheck: Option<Program>,
    returning: Returning,
    /// Rows written by this statement: a join may find one twice, and the second time it stays as it is.
    written: HashSet<Vec<u8>>,
    is_done: bool,
}

impl UpdateRows {
    pub fn new(input: Input, plan: &PlanUpdate) -> Result<UpdateRows> {
        let target = Target::new(&plan.target)?;
        let assignments: Vec<(usize, Program)> = plan
            .assignments
            .iter()
            .map(|(a, e)| Ok(((*a as usize).wrapping_sub(1), Program::compile(e)?)))
            .collect::<Result<_>>()?;
        Ok(UpdateRows {
            input,
            row_key: plan.row_key as usize,
            old_row: OldRow::new(&plan.old_row),
            tail: Program::compile_option(plan.tail.as_ref())?,
            recheck: Program::compile_option(plan.recheck.as_ref())?,
            returning: Returning::new(&plan.returning)?,
            written: HashSet::new(),
            is_done: false,
            target,
            assignments,
        })
    }

    async fn all(&mut self, run: &mut Run) -> Result<()> {
        let context = run.context.clone();
        let mut pending = Pending::default();
        while let Some(batch) = self.input.next(run).await? {
            for row in 0..batch.len {
                if row % 128 == 0 {
                    run.pause(super::ROWS_WORK).await?;
                    pending.shrink(&context.env(), &context.txn).await?;
                }
                let mut values = batch.row(row);
                let Some(locked) = self.lock(run, &context, &mut values).await? else { continue };
                let new = self.write(run, &context, &locked.row, &values, &mut pending).await?;
                pending.updated(&self.target, &locked.row, &new);
                run.rows_affected += 1;
                if !self.returning.is_empty() {
                    let mut row = self.target.image(&new)?.into_owned();
                    row.append(&mut values);
                    self.returning.push(run, &row).await?;
                }
                self.written.insert(new.key);
            }
        }
        pending.settle(&context.env(), &context.txn).await
    }

    /// The newest version, if the row still qualifies; `values` is the input row with it.
    async fn lock(
        &mut self,
        run: &mut Run,
        context: &Arc<StatementContext>,
        values: &mut [Datum],
    ) -> Result<Option<LockedRow>> {
        let row_key = values.get(self.row_key).cloned().unwrap_or_default();
        let Some((slot, key)) = split_row_key(&row_key) else { return Ok(None) };
        if self.written.contains(key) {
            return Ok(None);
        }
        let Some(locked) = self.target.lock_found(&context.txn, slot, key, LockMode::NoKeyUpdate).await? else {
            return Ok(None);
        };
        if locked.changed {
            self.old_row.replace(&self.target, &locked.row, locked.ts, values)?;
            if let Some(recheck) = &self.recheck
                && !matches!(recheck.eval_datums(run, values).await?, Datum::Bool(true))
            {
                return Ok(None);
            }
        }
        Ok(Some(locked))
    }

    async fn write(
        &mut self,
        run: &mut Run,
        context: &Arc<StatementContext>,
        old: &StoredRow,
        input: &[Datum],
        pending: &mut Pending,
    ) -> Result<StoredRow> {
        let mut values = old.values.clone();
        for (column, program) in &self.assignments {
            let value = program.eval_datums(run, input).await?;
            if let Some(place) = values.get_mut(*column) {
                *place = value;
            }
        }
        let tail = match &self.tail {
            None => old.tail.clone(),
            Some(tail) => match tail.eval_datums(run, input).await? {
                Datum::Jsonb(tail) => Some(tail),
                Datum::Null => None,
                _ => return Err(SqlError::internal("a document tail that is no jsonb")),
            },
        };
        let env = context.env();
        self.target.complete(&env, &mut values, tail.as_ref())?;
        self.target.update(&env, &context.txn, old, values, tail, pending).await
    }
}

impl Operator for UpdateRows {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            if !self.is_done {
                self.is_done = true;
                self.all(run).await?;
            }
            self.returning.pop(run)
        })
    }
    fn rewind(&mut self, _run: &mut Run) {}
}
