//! Window functions: one partition at a time, kept in memory, each call computed as a column over it.

use super::nested_loop::concat;
use super::{Input, Operator, SortKeys, encode_keys};
use crate::batch::{BATCH_ROWS, Batch};
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::Run;
use crate::window::{Call, FrameSpec, Partition};
use sql::Expr;
use sql::logical::Frame;
use sql::physical::{PlanSortKey, PlanWindowCall};
use std::collections::VecDeque;
use types::{Result, SqlType};

pub(crate) struct Window {
    input: Input,
    partition: Vec<Program>,
    partition_types: Vec<SqlType>,
    order: SortKeys,
    frame: FrameSpec,
    calls: Vec<Call>,
    /// The partition being read: its key, rows, and order keys.
    key: Option<Vec<u8>>,
    parts: Vec<Batch>,
    order_keys: Vec<Box<[u8]>>,
    memory: Option<Reservation>,
    /// What is left of the input batch that the partition ended in.
    rest: Option<Batch>,
    ready: VecDeque<Batch>,
    is_done: bool,
}

impl Window {
    pub fn new(
        input: Input,
        _types: &[SqlType],
        partition_by: &[Expr],
        order_by: &[PlanSortKey],
        frame: &Frame,
        calls: &[PlanWindowCall],
    ) -> Result<Window> {
        Ok(Window {
            input,
            partition: Program::compile_all(partition_by)?,
            partition_types: partition_by.iter().map(|p| p.ty).collect(),
            order: SortKeys::new(order_by)?,
            frame: FrameSpec::new(frame)?,
            calls: calls.iter().map(Call::new).collect::<Result<_>>()?,
            key: None,
            parts: vec![],
            order_keys: vec![],
            memory: None,
            rest: None,
            ready: VecDeque::new(),
            is_done: false,
        })
    }

    /// Takes the rows of the batch that belong to the open partition; true when it has ended.
    async fn take(&mut self, run: &mut Run, batch: Batch) -> Result<bool> {
        let keys = encode_keys(run, &self.partition, &self.partition_types, &batch).await?;
        let key = self.key.get_or_insert_with(|| keys.get(0).to_vec());
        let end = (0..batch.len).find(|row| keys.get(*row) != &key[..]).unwrap_or(batch.len);
        let part = batch.slice(0, end);
        let order = self.order.encode(run, &part).await?;
        let memory = self.memory.get_or_insert_with(|| Reservation::new(&run.context.memory));
        memory.grow(part.size_bytes() + order.bytes.len() + part.len * 16)?;
        self.order_keys.extend((0..part.len).map(|row| Box::from(order.get(row))));
        if part.len > 0 {
            self.parts.push(part);
        }
        if end < batch.len {
            self.rest = Some(batch.slice(end, batch.len));
        }
        Ok(end < batch.len)
    }

    async fn close(&mut self, run: &mut Run) -> Result<()> {
        let rows = concat(&std::mem::take(&mut self.parts));
        let order_keys = std::mem::take(&mut self.order_keys);
        self.key = None;
        if rows.is_empty() {
            return Ok(());
        }
        let partition = Partition::new(run, rows, order_keys, &self.order, &self.frame).await?;
        let mut columns = partition.rows.columns.clone();
        for call in &self.calls {
            columns.push(std::sync::Arc::new(call.compute(run, &partition).await?));
        }
        let all = Batch::new(columns, partition.rows.len);
        let mut at = 0;
        while at < all.len {
            self.ready.push_back(all.slice(at, at + BATCH_ROWS));
            at += BATCH_ROWS;
        }
        self.memory = None;
        Ok(())
    }
}

impl Operator for Window {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            loop {
                if let Some(batch) = self.ready.pop_front() {
                    return Ok(Some(batch));
                }
                run.check()?;
                let batch = match self.rest.take() {
                    Some(rest) => Some(rest),
                    None if self.is_done => return Ok(None),
                    None => self.input.next(run).await?,
                };
                match batch {
                    None => {
                        self.is_done = true;
                        self.close(run).await?;
                    }
                    Some(batch) if batch.is_empty() => {}
                    Some(batch) => {
                        if self.take(run, batch).await? {
                            self.close(run).await?;
                        }
                    }
                }
            }
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.input.rewind(run);
        self.key = None;
        self.parts.clear();
        self.order_keys.clear();
        self.rest = None;
        self.ready.clear();
        self.memory = None;
        self.is_done = false;
    }
}
