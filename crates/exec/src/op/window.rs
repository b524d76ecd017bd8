//! Window functions: one partition at a time, kept in memory, each call computed as a column over it.

use super::keys::KeyRows;
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
use std::sync::Arc;
use types::{Result, SqlType};

pub(crate) struct Window {
    input: Input,
    partition: Vec<Program>,
    partition_types: Vec<SqlType>,
    order: SortKeys,
    frame: FrameSpec,
    calls: Vec<Call>,
    /// The input batch being taken.
    open: Option<Open>,
    /// The partition being read: its key, its rows, and for each of them whether a group of peers begins there.
    key: Option<Vec<u8>>,
    parts: Vec<Batch>,
    begins_group: Vec<bool>,
    /// Order key of the last row taken.
    last_order: Vec<u8>,
    memory: Option<Reservation>,
    /// Finished partitions: small ones are put together before they are handed out.
    done: Vec<Batch>,
    done_rows: usize,
    ready: VecDeque<Batch>,
    is_done: bool,
}

struct Open {
    batch: Batch,
    partition: KeyRows,
    order: KeyRows,
    at: usize,
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
            open: None,
            key: None,
            parts: vec![],
            begins_group: vec![],
            last_order: vec![],
            memory: None,
            done: vec![],
            done_rows: 0,
            ready: VecDeque::new(),
            is_done: false,
        })
    }

    async fn open(&mut self, run: &mut Run, batch: Batch) -> Result<()> {
        let partition = encode_keys(run, &self.partition, &self.partition_types, &batch).await?;
        let order = self.order.encode(run, &batch).await?;
        self.open = Some(Open { batch, partition, order, at: 0 });
        Ok(())
    }

    /// Takes the rows of the open batch that belong to the partition; true when it has ended.
    fn take(&mut self, run: &Run) -> Result<bool> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let key = self.key.get_or_insert_with(|| open.partition.get(open.at).to_vec());
        let end = (open.at..open.batch.len).find(|row| open.partition.get(*row) != &key[..]).unwrap_or(open.batch.len);
        for row in open.at..end {
            let previous = if row > open.at { open.order.get(row - 1) } else { &self.last_order[..] };
            self.begins_group.push(self.begins_group.is_empty() || previous != open.order.get(row));
        }
        if end > open.at {
            self.last_order.clear();
            self.last_order.extend_from_slice(open.order.get(end - 1));
            let part = open.batch.slice(open.at, end);
            let memory = self.memory.get_or_insert_with(|| Reservation::new(&run.context.memory));
            memory.grow(part.size_bytes() + part.len * 24)?;
            self.parts.push(part);
        }
        open.at = end;
        if end < open.batch.len {
            return Ok(true);
        }
        self.open = None;
        Ok(false)
    }

    /// Computes the calls over the partition.
    async fn close(&mut self, run: &mut Run) -> Result<()> {
        let rows = concat(&std::mem::take(&mut self.parts));
        let begins_group = std::mem::take(&mut self.begins_group);
        self.key = None;
        if rows.is_empty() {
            return Ok(());
        }
        let partition = Partition::new(run, rows, &begins_group, &self.order, &self.frame).await?;
        let mut columns = partition.rows.columns.clone();
        for call in &self.calls {
            columns.push(Arc::new(call.compute(run, &partition).await?));
        }
        self.done_rows += partition.rows.len;
        self.done.push(Batch::new(columns, partition.rows.len));
        if self.done_rows >= BATCH_ROWS {
            self.hand_out();
        }
        self.memory = None;
        Ok(())
    }

    fn hand_out(&mut self) {
        let all = concat(&std::mem::take(&mut self.done));
        self.done_rows = 0;
        let mut at = 0;
        while at < all.len {
            self.ready.push_back(all.slice(at, at + BATCH_ROWS));
            at += BATCH_ROWS;
        }
    }
}

impl Operator for Window {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            loop {
                if let Some(batch) = self.ready.pop_front() {
                    return Ok(Some(batch));
                }
                run.pause(0).await?;
                if self.open.is_some() {
                    if self.take(run)? {
                        self.close(run).await?;
                    }
                    continue;
                }
                if self.is_done {
                    return Ok(None);
                }
                match self.input.next(run).await? {
                    Some(batch) if batch.is_empty() => {}
                    Some(batch) => self.open(run, batch).await?,
                    None => {
                        self.is_done = true;
                        self.close(run).await?;
                        self.hand_out();
                    }
                }
            }
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.input.rewind(run);
        self.open = None;
        self.key = None;
        self.parts.clear();
        self.begins_group.clear();
        self.done.clear();
        self.done_rows = 0;
        self.ready.clear();
        self.memory = None;
        self.is_done = false;
    }
}
