//! Keeps its input's rows for repeated reading.

use super::{Input, Operator};
use crate::batch::Batch;
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::run::Run;
use types::Result;

pub(crate) struct Materialize {
    input: Input,
    batches: Vec<Batch>,
    is_complete: bool,
    at: usize,
    memory: Option<Reservation>,
}

impl Materialize {
    pub fn new(input: Input) -> Materialize {
        Materialize { input, batches: vec![], is_complete: false, at: 0, memory: None }
    }
}

impl Operator for Materialize {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            if let Some(batch) = self.batches.get(self.at) {
                self.at += 1;
                return Ok(Some(batch.clone()));
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
    /// The planner puts Materialize only over inputs that read no outer slot, so what was kept stays true.
    fn rewind(&mut self, _run: &mut Run) {
        self.at = 0;
    }
}
