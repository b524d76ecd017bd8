//! The leaves without storage, and Append.

use super::{Input, Operator};
use crate::batch::{BATCH_ROWS, Batch, ColumnBuilder, ColumnKind};
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::Run;
use sql::Expr;
use sql::expr::ExprKind;
use std::sync::Arc;
use types::{Datum, Result, SqlType};

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

/// Most rows that come as text are constants from end to end: nothing is compiled for those.
enum Cell {
    Constant(Datum),
    Computed(Program),
}

impl Cell {
    fn new(expr: &Expr) -> Result<Cell> {
        Ok(match &expr.kind {
            ExprKind::Const(value) => Cell::Constant(value.clone()),
            _ => Cell::Computed(Program::compile(expr)?),
        })
    }
}

pub(crate) struct Values {
    rows: Vec<Vec<Cell>>,
    kinds: Vec<ColumnKind>,
    next: usize,
}

impl Values {
    pub fn new(rows: &[Vec<Expr>], types: &[SqlType]) -> Result<Values> {
        let rows = rows.iter().map(|row| row.iter().map(Cell::new).collect()).collect::<Result<_>>()?;
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
                for (cell, builder) in row.iter().zip(&mut builders) {
                    match cell {
                        Cell::Constant(value) => builder.push(value),
                        Cell::Computed(program) => builder.push_owned(program.eval_datums(run, &[]).await?),
                    }
                }
            }
            let len = rows.len();
            self.next = end;
            run.pause(len).await?;
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
                run.pause(0).await?;
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
