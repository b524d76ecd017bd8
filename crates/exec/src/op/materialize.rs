//! Keeps its input's rows for repeated reading.

use super::kept::{KeptRows, Place};
use super::{Input, Operator};
use crate::batch::Batch;
use crate::context::BoxFuture;
use crate::run::Run;
use sql::physical::{Op, PlanNode};
use types::Result;

pub(crate) struct Materialize {
    input: Input,
    kept: KeptRows,
    place: Place,
    is_complete: bool,
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
            kept: KeptRows::new(&plan.types),
            place: Place::default(),
            is_complete: false,
            reads_outer: crate::subplan::reads_outer(plan),
            reads_work_table: crate::walk::any(plan, &|n| matches!(n.op, Op::WorkTableScan { .. })),
            round: 0,
        }
    }

    fn forget(&mut self, run: &mut Run) {
        self.kept.clear();
        self.place = Place::default();
        self.is_complete = false;
        self.input.rewind(run);
    }
}

impl Operator for Materialize {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            if self.reads_work_table && std::mem::replace(&mut self.round, run.round) != run.round {
                self.forget(run);
            }
            if let Some(batch) = self.kept.next(&mut self.place)? {
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
            self.kept.push(&run.context, batch.clone())?;
            run.work.disk_bytes = self.kept.disk_bytes();
            self.kept.end(&mut self.place);
            Ok(Some(batch))
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.place = Place::default();
        if self.reads_outer {
            self.forget(run);
        }
    }
}
