//! Filter and Project.

use super::{Input, Operator};
use crate::batch::Batch;
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

pub(crate) struct Project {
    input: Input,
    exprs: Vec<Program>,
}

impl Project {
    pub fn new(input: Input, exprs: &[Expr]) -> Result<Project> {
        Ok(Project { input, exprs: Program::compile_all(exprs)? })
    }
}

impl Operator for Project {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let Some(batch) = self.input.next(run).await? else { return Ok(None) };
            let mut columns = Vec::with_capacity(self.exprs.len());
            for expr in &self.exprs {
                columns.push(expr.eval(run, &batch).await?);
            }
            Ok(Some(Batch::new(columns, batch.len)))
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.input.rewind(run);
    }
}
