//! Hash join: a table of the right side by key (`packed`), the left side run past it, a batch at a time.
//!
//! A right side that does not fit in memory is cut by hash into `PARTITIONS` files, the left side likewise, and the pairs of
//! files are joined one after the other; a file that does not fit is cut again, up to `DEPTH_MAX` times (one key with
//! more rows than memory holds cannot be cut: 53200). A file of no more than a batch is taken whatever others hold: where the
//! rest of the statement has filled its memory, cutting further would come to nothing but files.

use super::nested_loop::{concat, pad_left, pad_right};
use super::{Input, KeyTable, Operator, Packing, RowKeys};
use crate::batch::{BATCH_ROWS, Batch, ColumnKind};
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::run::Run;
use crate::spill::{SpillFile, SpillReader, layout};
use sql::Expr;
use sql::logical::JoinKind;
use std::collections::VecDeque;
use std::sync::Arc;
use types::row::RowLayout;
use types::{Result, SqlType};

const PARTITIONS: usize = 16;
const DEPTH_MAX: u32 = 5;
/// Pairs of rows that are put together at once.
const PAIRS_MAX: usize = 4 * BATCH_ROWS;
const END: u32 = u32::MAX;

pub(crate) struct HashJoin {
    shape: Shape,
    left: Input,
    right: Input,
    state: State,
    ready: VecDeque<Batch>,
    /// NOT IN: what the right side held, over all partitions.
    right_has_null: bool,
    right_has_rows: bool,
    partitions: Vec<Partition>,
    /// The right side reads nothing of an enclosing row: its table serves again after a rewind.
    keeps_table: bool,
    kept: Option<Box<Table>>,
}

struct Shape {
    kind: JoinKind,
    left_keys: Vec<Program>,
    right_keys: Vec<Program>,
    key_types: Vec<SqlType>,
    packing: Option<Packing>,
    left_types: Vec<SqlType>,
    right_types: Vec<SqlType>,
    residual: Option<Program>,
    null_aware: bool,
}

enum State {
    Start,
    /// The table stands; the left rows come from the input or from a file.
    Probe(Box<Table>, Option<(SpillFile, SpillReader)>),
    /// The next pair of files.
    NextPartition,
    Done,
}

struct Partition {
    left: SpillFile,
    right: SpillFile,
    depth: u32,
}

struct Table {
    rows: Batch,
    /// First row of each key.
    heads: KeyTable,
    /// The next row of the same key; empty where no key has two.
    next: Vec<u32>,
    /// Right and Full: rows that have met a match.
    matched: Vec<bool>,
    _memory: Reservation,
}

impl Table {
    fn new(shape: &Shape, batches: &[Batch], keys: &[RowKeys], memory: Reservation) -> Table {
        let rows = concat(batches);
        let mut heads = KeyTable::with_capacity(rows.len, shape.packing.is_some());
        let mut next = vec![];
        // From the last to the first, so that a chain runs in the order of the rows.
        let mut number = rows.len as u32;
        for (batch, keys) in batches.iter().zip(keys).rev() {
            for row in (0..batch.len).rev() {
                number -= 1;
                if keys.is_null(row) {
                    continue;
                }
                let key = keys.get(row);
                if let Some(after) = heads.put(key.hash(), key, number) {
                    if next.is_empty() {
                        next = vec![END; rows.len];
                    }
                    if let Some(place) = next.get_mut(number as usize) {
                        *place = after;
                    }
                }
            }
        }
        let keeps_right = matches!(shape.kind, JoinKind::Right | JoinKind::Full);
        let matched = vec![false; if keeps_right { rows.len } else { 0 }];
        Table { heads, next, matched, rows, _memory: memory }
    }
}

impl HashJoin {
    pub fn new(
        kind: JoinKind,
        (left, right): (Input, Input),
        types: (&[SqlType], &[SqlType]),
        (left_keys, right_keys, key_types): (&[Expr], &[Expr], &[SqlType]),
        residual: Option<&Expr>,
        null_aware: bool,
    ) -> Result<HashJoin> {
        Ok(HashJoin {
            shape: Shape {
                kind,
                left_keys: Program::compile_all(left_keys)?,
                right_keys: Program::compile_all(right_keys)?,
                packing: Packing::new(key_types),
                key_types: key_types.to_vec(),
                left_types: types.0.to_vec(),
                right_types: types.1.to_vec(),
                residual: Program::compile_option(residual)?,
                null_aware,
            },
            left,
            right,
            state: State::Start,
            ready: VecDeque::new(),
            right_has_null: false,
            right_has_rows: false,
            partitions: vec![],
            keeps_table: false,
            kept: None,
        })
    }

    /// Rewinding leaves the right side as it is.
    pub fn keeping_table(mut self, keeps_table: bool) -> HashJoin {
        self.keeps_table = keeps_table;
        self
    }

    /// Reads the right side into a table, or, if memory ends, both sides into files.
    async fn start(&mut self, run: &mut Run) -> Result<State> {
        let (mut batches, mut keys) = (vec![], vec![]);
        let mut memory = Reservation::new(&run.context.memory);
        while let Some(batch) = self.right.next(run).await? {
            run.pause(0).await?;
            let rows = self.shape.right_keys(run, &batch).await?;
            self.right_has_rows |= batch.len > 0;
            self.right_has_null |= rows.has_null();
            let fits = memory.try_grow(table_size(&batch, &rows));
            batches.push(batch);
            keys.push(rows);
            if !fits {
                drop(memory);
                let mut files = Files::new(run, &self.shape, 0)?;
                for (batch, keys) in batches.drain(..).zip(keys.drain(..)) {
                    files.push(&batch, &keys, false)?;
                }
                while let Some(batch) = self.right.next(run).await? {
                    run.pause(0).await?;
                    let rows = self.shape.right_keys(run, &batch).await?;
                    self.right_has_null |= rows.has_null();
                    files.push(&batch, &rows, false)?;
                }
                while let Some(batch) = self.left.next(run).await? {
                    run.pause(0).await?;
                    let rows = self.shape.left_keys(run, &batch).await?;
                    files.push(&batch, &rows, true)?;
                }
                self.partitions = files.finish(0);
                run.work.batches = self.partitions.len() as u32;
                run.work.disk_bytes = self.partitions.iter().map(|p| p.left.size_bytes() + p.right.size_bytes()).sum();
                return Ok(State::NextPartition);
            }
        }
        run.work.memory_bytes = memory.bytes();
        run.work.batches = 1;
        Ok(State::Probe(Box::new(Table::new(&self.shape, &batches, &keys, memory)), None))
    }

    /// Joins the next pair of files, or cuts it further.
    async fn next_partition(&mut self, run: &mut Run) -> Result<State> {
        let Some(mut partition) = self.partitions.pop() else { return Ok(State::Done) };
        let kinds = |types: &[SqlType]| types.iter().map(|t| ColumnKind::of(*t)).collect::<Vec<_>>();
        let (left_kinds, right_kinds) = (kinds(&self.shape.left_types), kinds(&self.shape.right_types));
        let (mut batches, mut keys) = (vec![], vec![]);
        let mut memory = Reservation::new(&run.context.memory);
        let mut reader = partition.right.reader()?;
        while let Some(batch) = reader.batch(&partition.right, &right_kinds)? {
            run.pause(0).await?;
            let rows = self.shape.right_keys(run, &batch).await?;
            let size = table_size(&batch, &rows);
            let mut fits = memory.try_grow(size);
            if !fits && (partition.depth >= DEPTH_MAX || partition.right.rows <= BATCH_ROWS as u64) {
                memory.grow(size)?;
                fits = true;
            }
            batches.push(batch);
            keys.push(rows);
            if !fits {
                drop(memory);
                drop((batches, keys));
                let mut files = Files::new(run, &self.shape, partition.depth + 1)?;
                let mut reader = partition.right.reader()?;
                while let Some(batch) = reader.batch(&partition.right, &right_kinds)? {
                    run.pause(0).await?;
                    let rows = self.shape.right_keys(run, &batch).await?;
                    files.push(&batch, &rows, false)?;
                }
                let mut reader = partition.left.reader()?;
                while let Some(batch) = reader.batch(&partition.left, &left_kinds)? {
                    run.pause(0).await?;
                    let rows = self.shape.left_keys(run, &batch).await?;
                    files.push(&batch, &rows, true)?;
                }
                self.partitions.extend(files.finish(partition.depth + 1));
                return Ok(State::NextPartition);
            }
        }
        run.work.memory_bytes = memory.bytes();
        let table = Table::new(&self.shape, &batches, &keys, memory);
        let reader = partition.left.reader()?;
        Ok(State::Probe(Box::new(table), Some((partition.left, reader))))
    }

    /// Runs one left batch past the table.
    async fn probe(&mut self, run: &mut Run, table: &mut Table, batch: &Batch) -> Result<()> {
        let keys = self.shape.left_keys(run, batch).await?;
        // An inner join asks nobody which rows were left over.
        let mut matched = vec![false; if matches!(self.shape.kind, JoinKind::Inner) { 0 } else { batch.len }];
        let only_first = self.shape.residual.is_none() && matches!(self.shape.kind, JoinKind::Semi | JoinKind::Anti);
        let (mut left_rows, mut right_rows) = (Vec::with_capacity(batch.len), Vec::with_capacity(batch.len));
        for row in 0..batch.len {
            if keys.is_null(row) {
                continue;
            }
            let key = keys.get(row);
            let mut at = table.heads.find(key.hash(), key).unwrap_or(END);
            if only_first {
                if let Some(matched) = matched.get_mut(row) {
                    *matched = at != END;
                }
                continue;
            }
            while at != END {
                left_rows.push(row as u32);
                right_rows.push(at);
                at = table.next.get(at as usize).copied().unwrap_or(END);
                if left_rows.len() >= PAIRS_MAX {
                    run.pause(PAIRS_MAX).await?;
                    self.pairs(run, table, batch, &left_rows, &right_rows, &mut matched).await?;
                    left_rows.clear();
                    right_rows.clear();
                }
            }
        }
        self.pairs(run, table, batch, &left_rows, &right_rows, &mut matched).await?;
        self.leftovers(batch, &keys, &matched);
        Ok(())
    }

    async fn pairs(
        &mut self,
        run: &mut Run,
        table: &mut Table,
        batch: &Batch,
        left_rows: &[u32],
        right_rows: &[u32],
        matched: &mut [bool],
    ) -> Result<()> {
        if left_rows.is_empty() {
            return Ok(());
        }
        let mut joined = batch.gather(left_rows);
        joined.columns.extend(table.rows.gather(right_rows).columns);
        let hits = match &self.shape.residual {
            Some(residual) => residual.select(run, &joined).await?,
            None if matched.is_empty() && table.matched.is_empty() => {
                self.ready.push_back(joined);
                return Ok(());
            }
            None => (0..joined.len as u32).collect(),
        };
        run.work.rows_removed += (joined.len - hits.len()) as u64;
        for hit in &hits {
            let hit = *hit as usize;
            if let Some(matched) = left_rows.get(hit).and_then(|row| matched.get_mut(*row as usize)) {
                *matched = true;
            }
            if let Some(matched) = right_rows.get(hit).and_then(|row| table.matched.get_mut(*row as usize)) {
                *matched = true;
            }
        }
        if !hits.is_empty() && !matches!(self.shape.kind, JoinKind::Semi | JoinKind::Anti) {
            self.ready.push_back(joined.gather(&hits));
        }
        Ok(())
    }

    /// What the left rows give that stand alone: Left and Full without a match, Semi with one, Anti without.
    fn leftovers(&mut self, batch: &Batch, keys: &RowKeys, matched: &[bool]) {
        let wanted = match self.shape.kind {
            JoinKind::Semi => true,
            JoinKind::Left | JoinKind::Full | JoinKind::Anti => false,
            JoinKind::Inner | JoinKind::Right => return,
        };
        let unknown =
            |row: usize| self.shape.null_aware && (self.right_has_null || (self.right_has_rows && keys.is_null(row)));
        let rows: Vec<u32> = (0..batch.len)
            .filter(|row| matched.get(*row).copied().unwrap_or(false) == wanted && !unknown(*row))
            .map(|row| row as u32)
            .collect();
        if rows.is_empty() {
            return;
        }
        let rows = batch.gather(&rows);
        self.ready.push_back(match self.shape.kind {
            JoinKind::Left | JoinKind::Full => pad_right(rows, &self.shape.right_types),
            _ => rows,
        });
    }

    /// Right and Full: the table's rows that nobody matched.
    fn right_leftovers(&mut self, table: &Table) {
        if !matches!(self.shape.kind, JoinKind::Right | JoinKind::Full) {
            return;
        }
        let rows: Vec<u32> =
            table.matched.iter().enumerate().filter(|(_, matched)| !**matched).map(|(i, _)| i as u32).collect();
        for rows in rows.chunks(BATCH_ROWS) {
            self.ready.push_back(pad_left(table.rows.gather(rows), &self.shape.left_types));
        }
    }
}

/// A row's entry in the table and in the chains.
const ENTRY_BYTES: usize = 48;

fn table_size(batch: &Batch, keys: &RowKeys) -> usize {
    batch.size_bytes() + keys.size_bytes() + batch.len * ENTRY_BYTES
}

impl Shape {
    async fn keys(&self, run: &mut Run, programs: &[Program], batch: &Batch) -> Result<RowKeys> {
        let mut columns = Vec::with_capacity(programs.len());
        for program in programs {
            columns.push(program.eval(run, batch).await?);
        }
        Ok(RowKeys::new(self.packing.as_ref(), &columns, &self.key_types, batch.len))
    }
    async fn left_keys(&self, run: &mut Run, batch: &Batch) -> Result<RowKeys> {
        self.keys(run, &self.left_keys, batch).await
    }
    async fn right_keys(&self, run: &mut Run, batch: &Batch) -> Result<RowKeys> {
        self.keys(run, &self.right_keys, batch).await
    }
}

/// Both sides, cut by hash.
struct Files {
    left: Vec<SpillFile>,
    right: Vec<SpillFile>,
    depth: u32,
}

impl Files {
    fn new(run: &Run, shape: &Shape, depth: u32) -> Result<Files> {
        let make = |layout: &Arc<RowLayout>| -> Result<Vec<SpillFile>> {
            (0..PARTITIONS).map(|_| SpillFile::create(&run.context.spill, layout)).collect()
        };
        Ok(Files { left: make(&layout(&shape.left_types))?, right: make(&layout(&shape.right_types))?, depth })
    }
    fn push(&mut self, batch: &Batch, keys: &RowKeys, is_left: bool) -> Result<()> {
        let files = if is_left { &mut self.left } else { &mut self.right };
        for row in 0..batch.len {
            // Four other bits of the hash at each depth.
            let part = (keys.get(row).hash() >> (60 - 4 * self.depth)) as usize % PARTITIONS;
            if let Some(file) = files.get_mut(part) {
                file.push(&[], batch, row)?;
            }
        }
        Ok(())
    }
    fn finish(self, depth: u32) -> Vec<Partition> {
        self.left.into_iter().zip(self.right).map(|(left, right)| Partition { left, right, depth }).collect()
    }
}

impl Operator for HashJoin {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            loop {
                if let Some(batch) = self.ready.pop_front() {
                    return Ok(Some(batch));
                }
                run.pause(0).await?;
                self.state = match std::mem::replace(&mut self.state, State::Done) {
                    State::Start => self.start(run).await?,
                    State::NextPartition => self.next_partition(run).await?,
                    State::Done => return Ok(None),
                    State::Probe(mut table, mut file) => {
                        let batch = match &mut file {
                            None => self.left.next(run).await?,
                            Some((file, reader)) => {
                                let kinds: Vec<ColumnKind> =
                                    self.shape.left_types.iter().map(|t| ColumnKind::of(*t)).collect();
                                reader.batch(file, &kinds)?
                            }
                        };
                        match batch {
                            Some(batch) => {
                                self.probe(run, &mut table, &batch).await?;
                                State::Probe(table, file)
                            }
                            None => {
                                self.right_leftovers(&table);
                                if file.is_some() {
                                    State::NextPartition
                                } else {
                                    self.kept = self.keeps_table.then_some(table);
                                    State::Done
                                }
                            }
                        }
                    }
                };
            }
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.left.rewind(run);
        self.ready.clear();
        let kept = match std::mem::replace(&mut self.state, State::Start) {
            State::Probe(table, None) if self.keeps_table => Some(table),
            _ => self.kept.take(),
        };
        if let Some(mut table) = kept {
            table.matched.fill(false);
            self.state = State::Probe(table, None);
            return;
        }
        self.right.rewind(run);
        self.partitions.clear();
        (self.right_has_null, self.right_has_rows) = (false, false);
    }
}
