//! EXPLAIN ANALYZE: time and rows of one node, its inputs' included.

use super::{Input, Operator};
use crate::batch::Batch;
use crate::context::BoxFuture;
use crate::run::{NodeMeasure, Run};
use types::Result;

pub(crate) struct Measured {
    input: Input,
    id: usize,
    /// This loop has given its first row.
    started: bool,
    pulled: bool,
}

impl Measured {
    pub fn new(input: Input, id: usize) -> Measured {
        Measured { input, id, started: false, pulled: false }
    }
}

/// Node ids above this are not measured (a plan has no such number of nodes).
const NODES_MAX: usize = 100_000;

impl Operator for Measured {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let clock = run.context.host.clock.clone();
            // What the nodes below say of their work is not this one's.
            let work = std::mem::take(&mut run.work);
            let before = clock.monotonic();
            let batch = self.input.next(run).await?;
            let ms = clock.monotonic().saturating_sub(before).as_secs_f64() * 1e3;
            let own = std::mem::replace(&mut run.work, work);
            let Some(measures) = run.measures.as_mut().filter(|_| self.id < NODES_MAX) else { return Ok(batch) };
            if measures.len() <= self.id {
                measures.resize(self.id + 1, NodeMeasure::default());
            }
            if let Some(measure) = measures.get_mut(self.id) {
                measure.loops += u64::from(!std::mem::replace(&mut self.pulled, true));
                if !std::mem::replace(&mut self.started, true) {
                    measure.startup_ms += ms;
                }
                measure.total_ms += ms;
                measure.rows += batch.as_ref().map_or(0, |b| b.len as u64);
                measure.rows_removed += own.rows_removed;
                measure.memory_bytes = measure.memory_bytes.max(own.memory_bytes as u64);
                measure.disk_bytes = measure.disk_bytes.max(own.disk_bytes);
                measure.is_top |= own.is_top;
                measure.batches = measure.batches.max(own.batches);
            }
            Ok(batch)
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        (self.started, self.pulled) = (false, false);
        self.input.rewind(run);
    }
}
