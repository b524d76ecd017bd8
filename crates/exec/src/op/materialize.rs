//! Keeps its input's rows for repeated reading.

use super::{Input, Operator};
use crate::batch::Batch;
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::run::Run;
use sql::physical::{Op, PlanNode};
use types::Result;

pub(crate) struct Materialize {
    input: Input,
    batches: Vec<Batch>,
    is_complete: bool,
    at: usize,
    memory: Option<Reservation>,
    /// The input reads a slot of an enclosing row: what was kept is void at each rewind.
    reads_outer: bool,
    /// The input reads a working table: what was kept is void in the next round of its recursive union.
    reads_work_table: bool,
    round: u64,
}

impl Materialize {
    pub fn new(input: Input, plan: &PlanNode) -> Materialize {
        Materialize {
            input,
            batches: vec![],
            is_complete: false,
            at: 0,
            memory: None,
            reads_outer: crate::subplan::reads_outer(plan),
            reads_work_table: crate::walk::any(plan, &|n| matches!(n.op, Op::WorkTableScan { .. })),
            round: 0,
        }
    }

    fn forget(&mut self, run: &mut Run) {
        self.batches.clear();
        self.memory = None;
        self.is_complete = false;
        self.at = 0;
        self.input.rewind(run);
    }
}

impl Operator for Materialize {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            if self.reads_work_table && std::mem::replace(&mut self.round, run.round) != run.round {
                self.forget(run);
            }
            if let Some(batch) = self.batches.get(self.at) {
                self.at += 1;
                let batch = batch.clone();
                run.pause(batch.len).await?;
                return Ok(Some(batch));
            }
            if self.is_complete {
                return Ok(None);
            }
            let Some(batch) = self.input.next(run).await? else {
                self.is_complete = true;
                return Ok(None);
            };
            self.memory.get_or_insert_with(|| Reservation::new(&run.context.memory)).grow(batch.size_bytes())?;
            self.batches.push(batch.clone());
            self.at = self.batches.len();
            Ok(Some(batch))
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.at = 0;
        if self.reads_outer {
            self.forget(run);
        }
    }
}
