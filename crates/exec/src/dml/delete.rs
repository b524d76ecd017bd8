//! DELETE: the input finds the rows, each is locked and, if it still qualifies, deleted with its index entries.

use super::foreign_key::Pending;
use super::update::OldRow;
use super::{Returning, Target};
use crate::batch::Batch;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::op::{Input, Operator};
use crate::rows::split_row_key;
use crate::run::Run;
use sql::physical::PlanDelete;
use txn::LockMode;
use types::{Datum, Result};

pub(crate) struct DeleteRows {
    input: Input,
    target: Target,
    row_key: usize,
    old_row: OldRow,
    recheck: Option<Program>,
    returning: Returning,
    is_done: bool,
}

impl DeleteRows {
    pub fn new(input: Input, plan: &PlanDelete) -> Result<DeleteRows> {
        Ok(DeleteRows {
            input,
            target: Target::new(&plan.target)?,
            row_key: plan.row_key as usize,
            old_row: OldRow::new(&plan.old_row),
            recheck: Program::compile_option(plan.recheck.as_ref())?,
            returning: Returning::new(&plan.returning)?,
            is_done: false,
        })
    }

    async fn all(&mut self, run: &mut Run) -> Result<()> {
        let context = run.context.clone();
        let env = context.env();
        let mut pending = Pending::default();
        while let Some(batch) = self.input.next(run).await? {
            for row in 0..batch.len {
                if row % 128 == 0 {
                    run.pause(super::ROWS_WORK).await?;
                    pending.shrink(&env, &context.txn).await?;
                }
                let mut values = batch.row(row);
                let row_key = values.get(self.row_key).cloned().unwrap_or_default();
                let Some((slot, key)) = split_row_key(&row_key) else { continue };
                // A row that a join finds twice is gone the second time.
                let Some(locked) = self.target.lock_found(&context.txn, slot, key, LockMode::Update).await? else {
                    continue;
                };
                if locked.changed {
                    self.old_row.replace(&self.target, &locked.row, locked.ts, &mut values)?;
                    if let Some(recheck) = &self.recheck
                        && !matches!(recheck.eval_datums(run, &values).await?, Datum::Bool(true))
                    {
                        continue;
                    }
                }
                self.target.delete(&env, &context.txn, &locked.row).await?;
                pending.deleted(&self.target, &locked.row);
                run.rows_affected += 1;
                if !self.returning.is_empty() {
                    let mut row = locked.row.values;
                    row.append(&mut values);
                    self.returning.push(run, &row).await?;
                }
            }
        }
        pending.settle(&env, &context.txn).await
    }
}

impl Operator for DeleteRows {
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
