//! The leaves without storage, and Append.

use super::{Input, Operator};
use crate::batch::{BATCH_ROWS, Batch, ColumnBuilder, ColumnKind};
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::Run;
use sql::Expr;
use std::sync::Arc;
use types::{Result, SqlType};

/// One row without columns.
#[derive(Default)]
pub(crate) struct OneRow {
    is_done: bool,
}

impl Operator for OneRow {
    fn next<'a>(&'a mut self, _run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        let batch = (!std::mem::replace(&mut self.is_done, true)).then(|| Batch::new(vec![], 1));
        Box::pin(std::future::ready(Ok(batch)))
    }
    fn rewind(&mut self, _run: &mut Run) {
        self.is_done = false;
    }
}

pub(crate) struct Values {
    rows: Vec<Vec<Program>>,
    kinds: Vec<ColumnKind>,
    next: usize,
}

impl Values {
    pub fn new(rows: &[Vec<Expr>], types: &[SqlType]) -> Result<Values> {
        let rows = rows.iter().map(Program::compile_all).collect::<Result<_>>()?;
        Ok(Values { rows, kinds: types.iter().map(|t| ColumnKind::of(*t)).collect(), next: 0 })
    }
}

impl Operator for Values {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let end = (self.next + BATCH_ROWS).min(self.rows.len());
            if self.rows.is_empty() {
                // The place in a COPY's plan where its rows come in.
                return Ok(run.feed.pop_front());
            }
            let Some(rows) = self.rows.get(self.next..end).filter(|r| !r.is_empty()) else { return Ok(None) };
            let mut builders: Vec<ColumnBuilder> = self.kinds.iter().map(|k| ColumnBuilder::new(*k)).collect();
            for row in rows {
                for (program, builder) in row.iter().zip(&mut builders) {
                    builder.push_owned(program.eval_datums(run, &[]).await?);
                }
            }
            let len = rows.len();
            self.next = end;
            Ok(Some(Batch::new(builders.into_iter().map(|b| Arc::new(b.finish())).collect(), len)))
        })
    }
    fn rewind(&mut self, _run: &mut Run) {
        self.next = 0;
    }
}

/// One input after the other.
pub(crate) struct Append {
    inputs: Vec<Input>,
    at: usize,
}

impl Append {
    pub fn new(inputs: Vec<Input>) -> Append {
        Append { inputs, at: 0 }
    }
}

impl Operator for Append {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            while let Some(input) = self.inputs.get_mut(self.at) {
                run.check()?;
                if let Some(batch) = input.next(run).await? {
                    return Ok(Some(batch));
                }
                self.at += 1;
            }
            Ok(None)
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.at = 0;
        self.inputs.iter_mut().for_each(|input| input.rewind(run));
    }
}
