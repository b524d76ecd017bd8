//! Sorting by encoded keys. In memory; the best n in a heap where a limit was pushed in; or, when memory ends, as sorted
//! runs in files that are merged at the end. Equal rows keep their order, or where they are few come in PostgreSQL's (`quicksort`).

use super::keys::KeyRows;
use super::parts::Parts;
use super::top::Top;
use super::{Input, Operator, SortKeys, quicksort};
use crate::batch::{BATCH_ROWS, Batch, ColumnBuilder, ColumnKind};
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::{Run, Work};
use crate::spill::{SpillFile, SpillReader, layout};
use sql::Expr;
use sql::physical::PlanSortKey;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use types::row::RowLayout;
use types::{Datum, Result, SqlType};

/// Above this a pushed-in limit sorts everything instead of keeping a heap of rows.
const TOP_ROWS_MAX: i64 = 10_000;
/// Runs merged at once; more are merged in rounds.
const MERGE_WIDTH: usize = 64;

pub(crate) struct Sort {
    input: Input,
    keys: SortKeys,
    top: Option<Program>,
    types: Vec<SqlType>,
    output: Option<Output>,
}

enum Output {
    /// Rows of `rows` in order, and how many are out.
    Memory {
        rows: Batch,
        order: Vec<u32>,
        at: usize,
        _memory: Reservation,
    },
    Merge(Merge),
}

/// What is in memory: whole batches, their keys, and for each row its key's place.
#[derive(Default)]
struct Held {
    batches: Vec<Batch>,
    keys: Vec<KeyRows>,
    rows: usize,
}

impl Held {
    /// (first bytes of the key, batch, row), sorted. The first eight bytes decide most comparisons without a jump.
    async fn order(&self, run: &mut Run) -> Result<Vec<(u64, u32, u32)>> {
        let mut order = Vec::with_capacity(self.rows);
        for (b, keys) in self.keys.iter().enumerate() {
            for row in 0..keys.len() {
                order.push((prefix(keys.get(row)), b as u32, row as u32));
            }
        }
        let key = |b: u32, row: u32| self.keys.get(b as usize).map_or(&[][..], |k| k.get(row as usize));
        let by_key =
            |a: &(u64, u32, u32), b: &(u64, u32, u32)| a.0.cmp(&b.0).then_with(|| key(a.1, a.2).cmp(key(b.1, b.2)));
        if order.len() <= quicksort::ROWS_MAX {
            run.pause(order.len()).await?;
            quicksort::sort(&mut order, &by_key);
            return Ok(order);
        }
        let compare = |a: &(u64, u32, u32), b: &(u64, u32, u32)| by_key(a, b).then_with(|| (a.1, a.2).cmp(&(b.1, b.2)));
        let mut parts = Parts::new(&mut order);
        while let Some(rows) = parts.next_len() {
            run.pause(rows).await?;
            parts.step(compare);
        }
        Ok(order)
    }
}

fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(key) {
        *to = *from;
    }
    u64::from_be_bytes(bytes)
}

impl Sort {
    pub fn new(input: Input, types: &[SqlType], keys: &[PlanSortKey], top: Option<&Expr>) -> Result<Sort> {
        Ok(Sort {
            input,
            keys: SortKeys::new(keys)?,
            top: Program::compile_option(top)?,
            types: types.to_vec(),
            output: None,
        })
    }

    async fn run(&mut self, run: &mut Run) -> Result<Output> {
        let top = match &self.top {
            Some(top) => match top.eval_datums(run, &[]).await? {
                Datum::Null => None,
                value => Some(value.as_i64()).filter(|n| (0..=TOP_ROWS_MAX).contains(n)),
            },
            None => None,
        };
        match top {
            Some(top) => self.best(run, top as usize).await,
            None => self.all(run).await,
        }
    }

    async fn best(&mut self, run: &mut Run, most: usize) -> Result<Output> {
        let mut top = Top::new(run, most);
        while let Some(batch) = self.input.next(run).await? {
            run.pause(0).await?;
            top.push(run, &self.keys, &batch).await?;
        }
        let (rows, order, memory) = top.finish(&self.types);
        run.work = Work { memory_bytes: memory.bytes(), is_top: true, ..run.work };
        Ok(Output::Memory { rows, order, at: 0, _memory: memory })
    }

    async fn all(&mut self, run: &mut Run) -> Result<Output> {
        let layout = layout(&self.types);
        let mut held = Held::default();
        let mut memory = Reservation::new(&run.context.memory);
        let mut runs: Vec<SpillFile> = vec![];
        while let Some(batch) = self.input.next(run).await? {
            run.pause(0).await?;
            if batch.is_empty() {
                continue;
            }
            let keys = self.keys.encode(run, &batch).await?;
            let size = batch.size_bytes() + keys.bytes.len() + batch.len * 40;
            if !memory.try_grow(size) && held.rows > 0 {
                runs.push(spill(run, &held, &layout).await?);
                held = Held::default();
                memory.release();
                // One batch is always taken, or a small work_mem would stop the sort altogether.
                memory.grow(size)?;
            }
            held.rows += batch.len;
            held.batches.push(batch);
            held.keys.push(keys);
        }
        if runs.is_empty() {
            let rows = super::nested_loop::concat(&held.batches);
            let starts: Vec<u32> =
                held.batches.iter().scan(0u32, |at, b| Some(std::mem::replace(at, *at + b.len as u32))).collect();
            let order = held.order(run).await?;
            let order = order.iter().map(|(_, b, r)| starts.get(*b as usize).copied().unwrap_or(0) + r).collect();
            run.work.memory_bytes = memory.bytes();
            return Ok(Output::Memory { rows, order, at: 0, _memory: memory });
        }
        if held.rows > 0 {
            runs.push(spill(run, &held, &layout).await?);
        }
        drop(held);
        run.work.disk_bytes = runs.iter().map(|r| r.size_bytes()).sum();
        while runs.len() > MERGE_WIDTH {
            run.pause(0).await?;
            let rest = runs.split_off(MERGE_WIDTH);
            let mut merge = Merge::new(runs, &self.types)?;
            let mut merged = SpillFile::create(&run.context.spill, &layout)?;
            while let Some((key, values)) = merge.pop()? {
                merged.push_datums(&key, &values)?;
                if merged.rows.is_multiple_of(BATCH_ROWS as u64) {
                    run.pause(BATCH_ROWS).await?;
                }
            }
            // In front, so that equal rows keep their order.
            runs = std::iter::once(merged).chain(rest).collect();
        }
        Ok(Output::Merge(Merge::new(runs, &self.types)?))
    }
}

async fn spill(run: &mut Run, held: &Held, layout: &Arc<RowLayout>) -> Result<SpillFile> {
    let mut file = SpillFile::create(&run.context.spill, layout)?;
    for (_, b, row) in held.order(run).await? {
        if let (Some(batch), Some(keys)) = (held.batches.get(b as usize), held.keys.get(b as usize)) {
            file.push(keys.get(row as usize), batch, row as usize)?;
        }
    }
    Ok(file)
}

/// Sorted runs, read together. Their heads stand in a heap by key, then by run.
struct Merge {
    runs: Vec<(SpillFile, SpillReader)>,
    heap: BinaryHeap<Reverse<Head>>,
    kinds: Vec<ColumnKind>,
}

struct Head {
    key: Vec<u8>,
    run: usize,
    values: Vec<Datum>,
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Head {}
impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Head {
    fn cmp(&self, other: &Head) -> std::cmp::Ordering {
        self.key.cmp(&other.key).then(self.run.cmp(&other.run))
    }
}

impl Merge {
    fn new(files: Vec<SpillFile>, types: &[SqlType]) -> Result<Merge> {
        let mut merge =
            Merge { runs: vec![], heap: BinaryHeap::new(), kinds: types.iter().map(|t| ColumnKind::of(*t)).collect() };
        for mut file in files {
            let reader = file.reader()?;
            merge.runs.push((file, reader));
        }
        for run in 0..merge.runs.len() {
            merge.pull(run)?;
        }
        Ok(merge)
    }

    fn pull(&mut self, run: usize) -> Result<()> {
        let width = self.kinds.len();
        let Some((file, reader)) = self.runs.get_mut(run) else { return Ok(()) };
        let head = reader.next(file, |key, row| {
            let values = (0..width).map(|i| row.column(i)).collect::<Result<_>>()?;
            Ok(Head { key: key.to_vec(), run, values })
        })?;
        if let Some(head) = head {
            self.heap.push(Reverse(head));
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Option<(Vec<u8>, Vec<Datum>)>> {
        let Some(Reverse(head)) = self.heap.pop() else { return Ok(None) };
        self.pull(head.run)?;
        Ok(Some((head.key, head.values)))
    }

    fn batch(&mut self) -> Result<Option<Batch>> {
        let mut builders: Vec<ColumnBuilder> = self.kinds.iter().map(|k| ColumnBuilder::new(*k)).collect();
        let mut count = 0;
        while count < BATCH_ROWS
            && let Some((_, values)) = self.pop()?
        {
            for (builder, value) in builders.iter_mut().zip(values) {
                builder.push_owned(value);
            }
            count += 1;
        }
        Ok((count > 0).then(|| super::scan::finish(builders, count)))
    }
}

impl Operator for Sort {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let mut output = match self.output.take() {
                Some(output) => output,
                None => self.run(run).await?,
            };
            let batch = match &mut output {
                Output::Merge(merge) => {
                    run.pause(BATCH_ROWS).await?;
                    merge.batch()?
                }
                Output::Memory { rows, order, at, .. } => {
                    let end = (*at + BATCH_ROWS).min(order.len());
                    let some = order.get(*at..end).unwrap_or_default();
                    *at = end;
                    (!some.is_empty()).then(|| rows.gather(some))
                }
            };
            self.output = Some(output);
            Ok(batch)
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.output = None;
        self.input.rewind(run);
    }
}
