//! MERGE: each row of the join of source and target does what its first fitting WHEN clause says.

use super::Target;
use super::foreign_key::Pending;
use super::target::LockedRow;
use super::update::OldRow;
use crate::batch::Batch;
use crate::context::{BoxFuture, StatementContext};
use crate::expr::Program;
use crate::op::{Input, Operator};
use crate::rows::split_row_key;
use crate::run::Run;
use foldhash::{HashSet, HashSetExt};
use sql::logical::{MergeAction, MergeClause};
use sql::physical::PlanMerge;
use std::sync::Arc;
use txn::LockMode;
use types::{Datum, Result, SqlError, SqlState};

/// (position of the attribute, its value).
type Values = Vec<(usize, Program)>;

enum Action {
    Nothing,
    Delete,
    Update(Values),
    Insert(Values),
}

struct When {
    is_matched: bool,
    condition: Option<Program>,
    action: Action,
}

impl When {
    fn new(clause: &MergeClause) -> Result<When> {
        let values = |values: &[(i16, sql::Expr)]| -> Result<Values> {
            values.iter().map(|(a, e)| Ok(((*a as usize).wrapping_sub(1), Program::compile(e)?))).collect()
        };
        Ok(When {
            is_matched: clause.is_matched,
            condition: Program::compile_option(clause.condition.as_ref())?,
            action: match &clause.action {
                MergeAction::Nothing => Action::Nothing,
                MergeAction::Delete => Action::Delete,
                MergeAction::Update(assignments) => Action::Update(values(assignments)?),
                MergeAction::Insert(row) => Action::Insert(values(row)?),
            },
        })
    }
}

pub(crate) struct MergeRows {
    input: Input,
    target: Target,
    row_key: usize,
    old_row: OldRow,
    recheck: Option<Program>,
    clauses: Vec<When>,
    mode: LockMode,
    /// Keys of rows that were updated, deleted or left alone by a clause: a second source row for one is an error.
    written: HashSet<Vec<u8>>,
    is_done: bool,
}

impl MergeRows {
    pub fn new(input: Input, plan: &PlanMerge) -> Result<MergeRows> {
        let target = Target::new(&plan.target)?;
        let clauses: Vec<When> = plan.clauses.iter().map(When::new).collect::<Result<_>>()?;
        let is_strong = clauses.iter().any(|clause| matches!(clause.action, Action::Delete));
        Ok(MergeRows {
            input,
            row_key: plan.row_key as usize,
            old_row: OldRow::new(&plan.old_row),
            recheck: Program::compile_option(plan.recheck.as_ref())?,
            mode: if is_strong { LockMode::Update } else { LockMode::NoKeyUpdate },
            target,
            clauses,
            written: HashSet::new(),
            is_done: false,
        })
    }

    async fn all(&mut self, run: &mut Run) -> Result<()> {
        let context = run.context.clone();
        let mut pending = Pending::default();
        while let Some(batch) = self.input.next(run).await? {
            for row in 0..batch.len {
                if row % 128 == 0 {
                    run.pause(super::ROWS_WORK).await?;
                }
                let mut values = batch.row(row);
                let locked = self.matched(run, &context, &mut values).await?;
                let Some(clause) = self.clause(run, locked.is_some(), &values).await? else { continue };
                self.act(run, &context, clause, locked, &values, &mut pending).await?;
            }
        }
        pending.settle(&context.env(), &context.txn).await
    }

    /// The target's row under its lock, if there is one and it still matches; `values` is the input row with its newest version.
    async fn matched(
        &mut self,
        run: &mut Run,
        context: &Arc<StatementContext>,
        values: &mut [Datum],
    ) -> Result<Option<LockedRow>> {
        let row_key = values.get(self.row_key).cloned().unwrap_or_default();
        let Some((slot, key)) = split_row_key(&row_key) else { return Ok(None) };
        if !self.clauses.iter().any(|c| c.is_matched) {
            // Nothing is done to it, but it is no row to insert for either.
            return self.target.lock_found(&context.txn, slot, key, LockMode::KeyShare).await;
        }
        if self.written.contains(key) {
            return Err(SqlError::new(
                SqlState::CARDINALITY_VIOLATION,
                "MERGE command cannot affect row a second time",
            )
            .hint("Ensure that not more than one source row matches any one target row."));
        }
        let Some(locked) = self.target.lock_found(&context.txn, slot, key, self.mode).await? else { return Ok(None) };
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

    /// The first clause that fits, by its number.
    async fn clause(&mut self, run: &mut Run, is_matched: bool, values: &[Datum]) -> Result<Option<usize>> {
        for (number, clause) in self.clauses.iter().enumerate().filter(|(_, c)| c.is_matched == is_matched) {
            let fits = match &clause.condition {
                None => true,
                Some(condition) => matches!(condition.eval_datums(run, values).await?, Datum::Bool(true)),
            };
            if fits {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    async fn act(
        &mut self,
        run: &mut Run,
        context: &Arc<StatementContext>,
        clause: usize,
        locked: Option<LockedRow>,
        input: &[Datum],
        pending: &mut Pending,
    ) -> Result<()> {
        let env = context.env();
        let txn = &context.txn;
        let Some(clause) = self.clauses.get(clause) else { return Ok(()) };
        match (&clause.action, locked) {
            (Action::Delete, Some(locked)) => {
                self.target.delete(&env, txn, &locked.row).await?;
                pending.deleted(&self.target, &locked.row);
                self.written.insert(locked.row.key);
            }
            (Action::Update(assignments), Some(locked)) => {
                let mut values = locked.row.values.clone();
                assign(run, assignments, input, &mut values).await?;
                let tail = locked.row.tail.clone();
                self.target.complete(&env, &mut values, tail.as_ref())?;
                let new = self.target.update(&env, txn, &locked.row, values, tail, pending).await?;
                pending.updated(&self.target, &locked.row, &new);
                self.written.insert(locked.row.key);
            }
            (Action::Insert(row), None) => {
                let mut values = vec![Datum::Null; self.target.width()];
                assign(run, row, input, &mut values).await?;
                self.target.complete(&env, &mut values, None)?;
                let row = self.target.insert(&env, txn, values, None, pending).await?;
                pending.inserted(&self.target, &row);
            }
            _ => return Ok(()),
        }
        run.rows_affected += 1;
        Ok(())
    }
}

async fn assign(run: &mut Run, values: &Values, input: &[Datum], row: &mut [Datum]) -> Result<()> {
    for (column, program) in values {
        let value = program.eval_datums(run, input).await?;
        if let Some(place) = row.get_mut(*column) {
            *place = value;
        }
    }
    Ok(())
}

impl Operator for MergeRows {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            if !self.is_done {
                self.is_done = true;
                self.all(run).await?;
            }
            Ok(None)
        })
    }
    /// A write is never repeated.
    fn rewind(&mut self, _run: &mut Run) {}
}
