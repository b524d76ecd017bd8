//! WITH RECURSIVE: the base, then the step over what the last round gave, until a round gives nothing.

use super::keys::encode_columns;
use super::{Input, Operator};
use crate::batch::Batch;
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::run::Run;
use foldhash::{HashSet, HashSetExt};
use std::sync::Arc;
use types::{Result, SqlType};

pub(crate) struct RecursiveUnion {
    number: usize,
    all: bool,
    base: Input,
    step: Input,
    types: Vec<SqlType>,
    /// UNION: rows that were there already.
    seen: HashSet<Box<[u8]>>,
    /// What this round has given so far: the next round's working table.
    fresh: Vec<Batch>,
    working: Arc<Vec<Batch>>,
    in_base: bool,
    is_done: bool,
    memory: Option<Reservation>,
    /// Of `fresh` and of `working`.
    fresh_memory: Option<Reservation>,
    working_memory: Option<Reservation>,
}

impl RecursiveUnion {
    pub fn new(number: usize, all: bool, base: Input, step: Input, types: &[SqlType]) -> RecursiveUnion {
        RecursiveUnion {
            number,
            all,
            base,
            step,
            types: types.to_vec(),
            seen: HashSet::new(),
            fresh: vec![],
            working: Arc::default(),
            in_base: true,
            is_done: false,
            memory: None,
            fresh_memory: None,
            working_memory: None,
        }
    }

    /// The rows not seen before (UNION), or all (UNION ALL).
    fn distinct(&mut self, run: &Run, batch: Batch) -> Result<Batch> {
        let memory = self.memory.get_or_insert_with(|| Reservation::new(&run.context.memory));
        if self.all {
            return Ok(batch);
        }
        let keys = encode_columns(&batch.columns, &self.types, &[], batch.len);
        let mut rows = Vec::new();
        for row in 0..batch.len {
            let key = keys.get(row);
            if !self.seen.contains(key) {
                memory.grow(key.len() + 48)?;
                self.seen.insert(key.into());
                rows.push(row as u32);
            }
        }
        Ok(batch.gather(&rows))
    }

    async fn pull(&mut self, run: &mut Run) -> Result<Option<Batch>> {
        if self.in_base {
            return self.base.next(run).await;
        }
        run.work_tables.push((self.number, self.working.clone()));
        let batch = self.step.next(run).await;
        run.work_tables.pop();
        batch
    }
}

impl Operator for RecursiveUnion {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            while !self.is_done {
                run.pause(0).await?;
                match self.pull(run).await? {
                    Some(batch) => {
                        let batch = self.distinct(run, batch)?;
                        if !batch.is_empty() {
                            let memory = &run.context.memory;
                            self.fresh_memory
                                .get_or_insert_with(|| Reservation::new(memory))
                                .grow(batch.size_bytes())?;
                            self.fresh.push(batch.clone());
                            return Ok(Some(batch));
                        }
                    }
                    None => {
                        self.in_base = false;
                        self.working = Arc::new(std::mem::take(&mut self.fresh));
                        self.working_memory = self.fresh_memory.take();
                        self.is_done = self.working.is_empty();
                        run.round += 1;
                        self.step.rewind(run);
                    }
                }
            }
            Ok(None)
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.base.rewind(run);
        self.seen.clear();
        self.fresh.clear();
        self.working = Arc::default();
        self.in_base = true;
        self.is_done = false;
        (self.memory, self.fresh_memory, self.working_memory) = (None, None, None);
    }
}
