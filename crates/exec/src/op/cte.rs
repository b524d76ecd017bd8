//! Reading CTEs and the working tables of recursive ones.

use super::{Operator, Place};
use crate::batch::Batch;
use crate::context::BoxFuture;
use crate::run::Run;
use types::Result;

pub(crate) struct CteScan {
    cte: usize,
    columns: Vec<u32>,
    place: Place,
}

impl CteScan {
    pub fn new(cte: usize, columns: &[u32]) -> CteScan {
        CteScan { cte, columns: columns.to_vec(), place: Place::default() }
    }
}

impl Operator for CteScan {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let batch = crate::subplan::cte_batch(run, self.cte, &mut self.place).await?;
            run.pause(batch.as_ref().map_or(0, |b| b.len)).await?;
            Ok(batch.map(|b| b.select(&self.columns)))
        })
    }
    fn rewind(&mut self, _run: &mut Run) {
        self.place = Place::default();
    }
}

/// The rows that the last step of the recursive union gave.
pub(crate) struct WorkTableScan {
    number: usize,
    columns: Vec<u32>,
    at: usize,
}

impl WorkTableScan {
    pub fn new(number: usize, columns: &[u32]) -> WorkTableScan {
        WorkTableScan { number, columns: columns.to_vec(), at: 0 }
    }
}

impl Operator for WorkTableScan {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        // The innermost union of that number: a union inside a rewound subtree may be running twice.
        let table = run.work_tables.iter().rev().find(|(number, _)| *number == self.number);
        let batch = table.and_then(|(_, batches)| batches.get(self.at)).map(|b| b.select(&self.columns));
        self.at += 1;
        Box::pin(std::future::ready(Ok(batch)))
    }
    fn rewind(&mut self, _run: &mut Run) {
        self.at = 0;
    }
}
