//! INSERT, with ON CONFLICT.

use super::conflict::{Conflict, Met};
use super::foreign_key::Pending;
use super::target::StoredRow;
use super::{Returning, Target};
use crate::batch::Batch;
use crate::context::{BoxFuture, StatementContext};
use crate::expr::Program;
use crate::op::{Input, Operator};
use crate::run::Run;
use foldhash::{HashSet, HashSetExt};
use sql::physical::PlanInsert;
use std::sync::Arc;
use types::json::Jsonb;
use types::{Datum, Result, SqlError, SqlState};

pub(crate) struct InsertRows {
    input: Input,
    target: Target,
    values: Vec<Option<usize>>,
    tail: Option<usize>,
    conflict: Option<Conflict>,
    returning: Returning,
    /// Keys of the rows that this statement wrote, for ON CONFLICT DO UPDATE.
    written: HashSet<Vec<u8>>,
    pending: Pending,
    /// Over the new row and its undeclared part behind it: rows for which it is not true are left out (COPY … WHERE).
    filter: Option<Program>,
    /// Rows taken from the input so far.
    pub taken: u64,
    is_done: bool,
}

impl InsertRows {
    pub fn new(input: Input, plan: &PlanInsert) -> Result<InsertRows> {
        Ok(InsertRows {
            input,
            target: Target::new(&plan.target)?,
            values: plan.values.iter().map(|v| v.map(|p| p as usize)).collect(),
            tail: plan.tail.map(|p| p as usize),
            conflict: plan.on_conflict.as_ref().map(Conflict::new).transpose()?,
            returning: Returning::new(&plan.returning)?,
            written: HashSet::new(),
            pending: Pending::default(),
            filter: None,
            taken: 0,
            is_done: false,
        })
    }

    fn row(&self, batch: &Batch, row: usize) -> (Vec<Datum>, Option<Jsonb>) {
        let mut values: Vec<Datum> =
            self.values.iter().map(|p| p.map_or(Datum::Null, |p| batch.datum(p, row))).collect();
        values.resize(self.target.width(), Datum::Null);
        let tail = self.tail.and_then(|p| match batch.datum(p, row) {
            Datum::Jsonb(tail) => Some(tail),
            _ => None,
        });
        (values, tail)
    }

    pub fn with_filter(mut self, filter: Option<Program>) -> InsertRows {
        self.filter = filter;
        self
    }

    /// The input again from its start (COPY hands it the next rows).
    pub fn again(&mut self, run: &mut Run) {
        self.input.rewind(run);
    }

    /// Writes all that the input has.
    pub async fn load(&mut self, run: &mut Run) -> Result<()> {
        let context = run.context.clone();
        while let Some(batch) = self.input.next(run).await? {
            for row in 0..batch.len {
                if row % 128 == 0 {
                    run.pause(super::ROWS_WORK).await?;
                    self.pending.shrink(&context.env(), &context.txn).await?;
                }
                let (values, tail) = self.row(&batch, row);
                if tail.as_ref().is_some_and(|t| !t.as_ref().is_object()) {
                    let message = "a document must be a JSON object";
                    return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
                }
                self.taken += 1;
                if !is_wanted(run, self.filter.as_ref(), &values, tail.as_ref()).await? {
                    continue;
                }
                if let Some(row) = self.one(run, &context, values, tail).await? {
                    run.rows_affected += 1;
                    if !self.returning.is_empty() {
                        self.returning.push(run, &row).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks what is checked at the end of the statement.
    pub async fn settle(&mut self, run: &mut Run) -> Result<()> {
        let context = run.context.clone();
        std::mem::take(&mut self.pending).settle(&context.env(), &context.txn).await
    }

    /// Writes one row and gives what RETURNING reads of it; None where ON CONFLICT leaves everything as it is.
    async fn one(
        &mut self,
        run: &mut Run,
        context: &Arc<StatementContext>,
        mut values: Vec<Datum>,
        mut tail: Option<Jsonb>,
    ) -> Result<Option<Vec<Datum>>> {
        let env = context.env();
        let pending = &mut self.pending;
        self.target.complete(&env, &mut values, tail.as_ref())?;
        if let Some(conflict) = &self.conflict {
            let proposed = StoredRow { slot: 0, key: vec![], values, tail };
            match conflict.meet(&env, &context.txn, &self.target, &proposed, &self.written).await? {
                Met::Nobody => (values, tail) = (proposed.values, proposed.tail),
                Met::Nothing => return Ok(None),
                Met::Row(existing) => {
                    let updated =
                        conflict.update(run, &env, &context.txn, &self.target, existing, &proposed, pending).await?;
                    let Some((old, new)) = updated else { return Ok(None) };
                    pending.updated(&self.target, &old, &new);
                    let image = self.target.image(&new)?.into_owned();
                    self.written.insert(new.key);
                    return Ok(Some(image));
                }
            }
        }
        let row = self.target.insert(&env, &context.txn, values, tail, pending).await?;
        pending.inserted(&self.target, &row);
        let image = match self.returning.is_empty() {
            true => vec![],
            false => self.target.image(&row)?.into_owned(),
        };
        if self.conflict.as_ref().is_some_and(Conflict::updates) {
            self.written.insert(row.key);
        }
        Ok(Some(image))
    }
}

async fn is_wanted(run: &mut Run, filter: Option<&Program>, values: &[Datum], tail: Option<&Jsonb>) -> Result<bool> {
    let Some(filter) = filter else { return Ok(true) };
    let mut row = values.to_vec();
    row.push(tail.cloned().map_or(Datum::Null, Datum::Jsonb));
    Ok(matches!(filter.eval_datums(run, &row).await?, Datum::Bool(true)))
}

impl Operator for InsertRows {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            if !self.is_done {
                self.is_done = true;
                self.load(run).await?;
                self.settle(run).await?;
            }
            self.returning.pop(run)
        })
    }
    /// A write is never repeated.
    fn rewind(&mut self, _run: &mut Run) {}
}
