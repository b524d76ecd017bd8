//! Window functions: one partition at a time, each call computed as a column over it.
//!
//! A partition that does not fit in memory is put into a file; what the calls read of it, and what they give, stays.

use super::keys::KeyRows;
use super::nested_loop::concat;
use super::{Input, KeptRows, Operator, Place, SortKeys, encode_keys};
use crate::batch::{BATCH_ROWS, Batch, Column, ColumnBuilder};
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::Run;
use crate::window::{Call, FrameSpec, Partition};
use sql::Expr;
use sql::expr::ExprKind;
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
    /// The columns that calls and order read; None: all.
    read: Option<Vec<usize>>,
    types: Vec<SqlType>,
    /// The whole rows of the partition being read, where `parts` has room for `read` only.
    spilled: Option<KeptRows>,
    /// A finished partition of that kind, being handed out.
    leaving: Option<Leaving>,
    /// Finished partitions: small ones are put together before they are handed out.
    done: Vec<Batch>,
    done_rows: usize,
    ready: VecDeque<Batch>,
    is_done: bool,
}

/// What a row of a partition takes besides its values.
const ROW_BYTES: usize = 24;

/// The batch without the columns that nobody reads: empty ones stand in their places.
fn thin(batch: &Batch, read: Option<&[usize]>) -> Batch {
    let Some(read) = read else { return batch.clone() };
    let empty = |column: &Column| Arc::new(ColumnBuilder::new(column.kind()).finish());
    let columns = batch.columns.iter().enumerate();
    let columns = columns.map(|(i, column)| if read.contains(&i) { column.clone() } else { empty(column) });
    Batch { columns: columns.collect(), len: batch.len }
}

struct Open {
    batch: Batch,
    partition: KeyRows,
    order: KeyRows,
    at: usize,
}

/// Rows in a file, the place in it, and what the calls gave.
struct Leaving {
    rows: KeptRows,
    place: Place,
    calls: Vec<Column>,
    at: usize,
}

impl Leaving {
    fn next(&mut self) -> Result<Option<Batch>> {
        let Some(mut batch) = self.rows.next(&mut self.place)? else { return Ok(None) };
        let rows: Vec<u32> = (self.at as u32..(self.at + batch.len) as u32).collect();
        self.at += batch.len;
        batch.columns.extend(self.calls.iter().map(|call| Arc::new(call.gather(&rows))));
        Ok(Some(batch))
    }
}

/// Columns that these read; None: who knows (a subplan).
fn columns_read<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Option<Vec<usize>> {
    let (mut read, mut has_subplan) = (vec![], false);
    for expr in exprs {
        expr.any(&mut |e| {
            match e.kind {
                ExprKind::Input(column) => read.push(column as usize),
                ExprKind::SubPlan(_) => has_subplan = true,
                _ => {}
            }
            false
        });
    }
    (!has_subplan).then_some(read)
}

impl Window {
    pub fn new(
        input: Input,
        types: &[SqlType],
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
            read: columns_read(
                calls.iter().flat_map(|c| c.args.iter().chain(&c.filter)).chain(order_by.iter().map(|k| &k.expr)),
            ),
            types: types.to_vec(),
            spilled: None,
            leaving: None,
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
            open.at = end;
            self.keep(run, part)?;
        }
        let Some(open) = &self.open else { return Ok(false) };
        if end < open.batch.len {
            return Ok(true);
        }
        self.open = None;
        Ok(false)
    }

    fn keep(&mut self, run: &Run, part: Batch) -> Result<()> {
        let memory = self.memory.get_or_insert_with(|| Reservation::new(&run.context.memory));
        if self.spilled.is_none()
            && self.read.is_some()
            && !memory.try_grow_above(part.size_bytes() + part.len * ROW_BYTES)
        {
            let mut spilled = KeptRows::new(&self.types);
            memory.release();
            for part in &mut self.parts {
                let thin = thin(part, self.read.as_deref());
                memory.grow(thin.size_bytes() + thin.len * ROW_BYTES)?;
                spilled.spill(&run.context, &std::mem::replace(part, thin))?;
            }
            self.spilled = Some(spilled);
        } else if self.spilled.is_none() {
            if self.read.is_none() {
                memory.grow(part.size_bytes() + part.len * ROW_BYTES)?;
            }
            self.parts.push(part);
            return Ok(());
        }
        if let Some(spilled) = &mut self.spilled {
            let thin = thin(&part, self.read.as_deref());
            memory.grow(thin.size_bytes() + thin.len * ROW_BYTES)?;
            spilled.spill(&run.context, &part)?;
            self.parts.push(thin);
        }
        Ok(())
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
        let mut calls = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            calls.push(call.compute(run, &partition).await?);
        }
        if let Some(rows) = self.spilled.take() {
            run.work.disk_bytes = rows.disk_bytes();
            self.hand_out();
            self.leaving = Some(Leaving { rows, place: Place::default(), calls, at: 0 });
            self.memory = None;
            return Ok(());
        }
        let mut columns = partition.rows.columns.clone();
        columns.extend(calls.into_iter().map(Arc::new));
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
                if let Some(leaving) = &mut self.leaving {
                    run.pause(BATCH_ROWS).await?;
                    match leaving.next()? {
                        Some(batch) => return Ok(Some(batch)),
                        None => self.leaving = None,
                    }
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
        (self.memory, self.spilled, self.leaving) = (None, None, None);
        self.is_done = false;
    }
}
