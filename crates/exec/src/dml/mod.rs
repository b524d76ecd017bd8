//! INSERT, UPDATE, DELETE and MERGE as operators. Each runs to its end at the first pull, checks what is checked at the end of a
//! statement (foreign keys), and then hands out its RETURNING rows.

mod conflict;
mod deferred;
mod delete;
pub(crate) mod foreign_key;
pub(crate) mod insert;
mod merge;
pub(crate) mod target;
mod update;
pub(crate) mod violation;

pub use deferred::{DeferredCheck, run_deferred};
pub(crate) use target::{Found, MOVES_MAX, Target};

use crate::batch::{BATCH_ROWS, Batch, ColumnBuilder, ColumnKind};
use crate::budget::Reservation;
use crate::expr::Program;
use crate::op::{Input, Operator};
use crate::run::Run;
use sql::physical::{PlanDelete, PlanInsert, PlanMerge, PlanUpdate};
use std::collections::VecDeque;
use types::{Datum, Result};

/// What locking and writing 128 rows counts in `Run::pause`.
const ROWS_WORK: usize = 2_048;

pub(crate) fn insert(input: Input, plan: &PlanInsert) -> Result<Box<dyn Operator>> {
    Ok(Box::new(insert::InsertRows::new(input, plan)?))
}

pub(crate) fn update(input: Input, plan: &PlanUpdate) -> Result<Box<dyn Operator>> {
    Ok(Box::new(update::UpdateRows::new(input, plan)?))
}

pub(crate) fn delete(input: Input, plan: &PlanDelete) -> Result<Box<dyn Operator>> {
    Ok(Box::new(delete::DeleteRows::new(input, plan)?))
}

pub(crate) fn merge(input: Input, plan: &PlanMerge) -> Result<Box<dyn Operator>> {
    Ok(Box::new(merge::MergeRows::new(input, plan)?))
}

/// RETURNING: rows kept until the statement is through.
pub(crate) struct Returning {
    programs: Vec<Program>,
    builders: Vec<ColumnBuilder>,
    count: usize,
    ready: VecDeque<Batch>,
    memory: Option<Reservation>,
}

impl Returning {
    pub fn new(exprs: &[sql::Expr]) -> Result<Returning> {
        let programs = Program::compile_all(exprs)?;
        let builders = Returning::builders(&programs);
        Ok(Returning { programs, builders, count: 0, ready: VecDeque::new(), memory: None })
    }
    fn builders(programs: &[Program]) -> Vec<ColumnBuilder> {
        programs.iter().map(|p| ColumnBuilder::new(ColumnKind::of(p.ty()))).collect()
    }
    pub fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }
    /// Takes one written row.
    pub async fn push(&mut self, run: &mut Run, row: &[Datum]) -> Result<()> {
        for (program, builder) in self.programs.iter().zip(&mut self.builders) {
            builder.push_owned(program.eval_datums(run, row).await?);
        }
        self.count += 1;
        if self.count >= BATCH_ROWS {
            self.close(run)?;
        }
        Ok(())
    }
    fn close(&mut self, run: &Run) -> Result<()> {
        if self.count > 0 && !self.programs.is_empty() {
            let builders = std::mem::replace(&mut self.builders, Returning::builders(&self.programs));
            let columns = builders.into_iter().map(|b| std::sync::Arc::new(b.finish())).collect();
            let batch = Batch::new(columns, self.count);
            let memory = self.memory.get_or_insert_with(|| Reservation::new(&run.context.memory));
            memory.grow(batch.size_bytes())?;
            self.ready.push_back(batch);
        }
        self.count = 0;
        Ok(())
    }
    /// The next rows, once all are written.
    pub fn pop(&mut self, run: &Run) -> Result<Option<Batch>> {
        self.close(run)?;
        Ok(self.ready.pop_front())
    }
}
