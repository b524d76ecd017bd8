//! Filter and Project.

use super::{Input, Operator};
use crate::batch::{BATCH_ROWS, Batch};
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::Run;
use sql::Expr;
use types::Result;

pub(crate) struct Filter {
    input: Input,
    predicate: Program,
}

impl Filter {
    pub fn new(input: Input, predicate: &Expr) -> Result<Filter> {
        Ok(Filter { input, predicate: Program::compile(predicate)? })
    }
}

impl Operator for Filter {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            loop {
                run.pause(0).await?;
                let Some(batch) = self.input.next(run).await? else { return Ok(None) };
                let rows = self.predicate.select(run, &batch).await?;
                run.work.rows_removed += (batch.len - rows.len()) as u64;
                if !rows.is_empty() {
                    return Ok(Some(batch.gather(&rows)));
                }
            }
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.input.rewind(run);
    }
}

/// Takes fewer rows at once where their values are large.
pub(crate) struct Project {
    input: Input,
    exprs: Vec<Program>,
    /// What is left of a batch that was too large, and how many of its rows are taken next.
    rest: Option<Batch>,
    step: usize,
}

impl Project {
    pub fn new(input: Input, exprs: &[Expr]) -> Result<Project> {
        Ok(Project { input, exprs: Program::compile_all(exprs)?, rest: None, step: BATCH_ROWS })
    }
}

/// None: the batch has too many rows.
async fn project(exprs: &[Program], run: &mut Run, batch: &Batch) -> Result<Option<Batch>> {
    let mut columns = Vec::with_capacity(exprs.len());
    for expr in exprs {
        let Some(column) = expr.eval_some(run, batch).await? else { return Ok(None) };
        columns.push(column);
    }
    Ok(Some(Batch::new(columns, batch.len)))
}

impl Operator for Project {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let batch = match self.rest.take() {
                Some(rest) => rest,
                None => match self.input.next(run).await? {
                    Some(batch) => batch,
                    None => return Ok(None),
                },
            };
            if batch.len <= self.step
                && let Some(projected) = project(&self.exprs, run, &batch).await?
            {
                self.step = BATCH_ROWS;
                return Ok(Some(projected));
            }
            self.step = self.step.min(batch.len / 2).max(1);
            loop {
                run.pause(0).await?;
                let some = batch.slice(0, self.step.min(batch.len));
                if let Some(projected) = project(&self.exprs, run, &some).await? {
                    self.rest = (some.len < batch.len).then(|| batch.slice(some.len, batch.len));
                    self.step = some.len * 2;
                    return Ok(Some(projected));
                }
                self.step = some.len / 2;
            }
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        (self.rest, self.step) = (None, BATCH_ROWS);
        self.input.rewind(run);
    }
}
