//! Groups by hash of their keys (`op::packed`).
//!
//! When memory ends, no new group is made: rows of groups that are there go on being taken, the others are put into
//! `PARTITIONS` files by hash and taken, file by file, once the groups in memory are out. Grouping sets have a table each
//! over one run of group numbers: a row is looked up once per set.
//!
//! The set id that is output (`sets`) is a bit mask: bit g is 1 where group g is part of the set. GROUPING reads it.

use super::call::{Call, NO_GROUP, Rows};
use crate::batch::{BATCH_ROWS, Batch, Column, ColumnBuilder, ColumnKind};
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::op::{Input, Key, KeyTable, Operator, Packing, RowKeys};
use crate::run::Run;
use crate::spill::{SpillFile, SpillReader, layout};
use sql::Expr;
use sql::physical::PlanAggregate;
use std::sync::Arc;
use types::row::RowLayout;
use types::{Datum, Result, SqlError, SqlType};

const PARTITIONS: usize = 16;
/// After so many cuts of one file the rest is taken whatever it costs, up to 53200.
const DEPTH_MAX: u32 = 5;
/// So many groups have room whatever the rest of the statement holds, so that files get fewer and not more.
const GROUPS_MIN: usize = 256;

pub(super) struct HashAggregate {
    input: Input,
    input_kinds: Vec<ColumnKind>,
    layout: Arc<RowLayout>,
    groups: Vec<Program>,
    group_types: Vec<SqlType>,
    /// Of each set, which groups it has. One with all where there are no grouping sets.
    sets: Vec<Vec<usize>>,
    /// How each set's keys are packed.
    packings: Vec<Option<Packing>>,
    has_sets: bool,
    calls: Vec<Call>,
    table: Table,
    spilled: Vec<(SpillFile, u32)>,
    phase: Phase,
    memory: Option<Reservation>,
    state_memory: Option<Reservation>,
}

enum Phase {
    Start,
    /// Handing out the groups in memory, from this one on.
    Output(usize),
    Done,
}

#[derive(Default)]
struct Table {
    /// Group numbers by key, for each set.
    index: Vec<KeyTable>,
    /// Values of the groups' keys, and each group's set.
    values: Vec<ColumnBuilder>,
    set_of: Vec<u32>,
}

impl Table {
    fn len(&self) -> usize {
        self.set_of.len()
    }
    /// A new group, whose key is not there yet.
    fn insert(&mut self, set: usize, hash: u64, key: Key<'_>) -> u32 {
        let group = self.set_of.len() as u32;
        self.set_of.push(set as u32);
        if let Some(index) = self.index.get_mut(set) {
            index.put(hash, key, group);
        }
        group
    }
}

/// Files that take the rows of groups which found no room.
struct Overflow {
    files: Vec<SpillFile>,
    depth: u32,
}

/// Into the file of its hash with a row whose group found no room.
fn put_aside(
    run: &Run,
    layout: &Arc<RowLayout>,
    overflow: &mut Option<Overflow>,
    depth: u32,
    hash: u64,
    (set, batch, row): (u32, &Batch, usize),
) -> Result<()> {
    let overflow = match overflow {
        Some(overflow) => overflow,
        None => {
            let files = (0..PARTITIONS).map(|_| SpillFile::create(&run.context.spill, layout));
            overflow.insert(Overflow { files: files.collect::<Result<_>>()?, depth })
        }
    };
    let part = (hash >> (60 - 4 * depth.min(14))) as usize % PARTITIONS;
    match overflow.files.get_mut(part) {
        Some(file) => file.push(&set.to_be_bytes(), batch, row),
        None => Ok(()),
    }
}

impl HashAggregate {
    pub fn new(
        input: Input,
        input_types: &[SqlType],
        groups: &[Expr],
        sets: Option<&[Vec<usize>]>,
        calls: &[PlanAggregate],
    ) -> Result<HashAggregate> {
        if groups.len() > 63 && sets.is_some() {
            return Err(SqlError::unsupported("more than 63 grouping columns in grouping sets are not supported"));
        }
        let has_sets = sets.is_some();
        let sets = sets.map_or_else(|| vec![(0..groups.len()).collect()], <[_]>::to_vec);
        let packing = |set: &Vec<usize>| {
            let types: Vec<SqlType> = set.iter().filter_map(|g| groups.get(*g)).map(|g| g.ty).collect();
            Packing::new(&types)
        };
        Ok(HashAggregate {
            input,
            packings: sets.iter().map(packing).collect(),
            sets,
            has_sets,
            input_kinds: input_types.iter().map(|t| ColumnKind::of(*t)).collect(),
            layout: layout(input_types),
            groups: Program::compile_all(groups)?,
            group_types: groups.iter().map(|g| g.ty).collect(),
            calls: calls.iter().map(Call::new).collect::<Result<_>>()?,
            table: Table::default(),
            spilled: vec![],
            phase: Phase::Start,
            memory: None,
            state_memory: None,
        })
    }

    fn reset(&mut self, run: &Run) {
        self.table = Table::default();
        self.table.index = self.sets.iter().map(|_| KeyTable::default()).collect();
        self.table.values = self.group_types.iter().map(|t| ColumnBuilder::new(ColumnKind::of(*t))).collect();
        self.calls.iter_mut().for_each(Call::clear);
        self.memory = Some(Reservation::new(&run.context.memory));
        self.state_memory = Some(Reservation::new(&run.context.memory));
    }

    /// Takes the whole input.
    async fn consume(&mut self, run: &mut Run) -> Result<()> {
        self.reset(run);
        // A set without columns has its one group even where no row comes; it is there before memory can end.
        for set in 0..self.sets.len() {
            if self.sets.get(set).is_some_and(Vec::is_empty) {
                self.empty_group(run, set).await?;
            }
        }
        let mut overflow = None;
        while let Some(batch) = self.input.next(run).await? {
            run.pause(0).await?;
            for set in 0..self.sets.len() {
                self.take(run, &batch, set, 0, &mut overflow).await?;
            }
        }
        self.keep(overflow);
        run.work.memory_bytes = self.memory.iter().chain(&self.state_memory).map(Reservation::bytes).sum();
        run.work.disk_bytes = self.spilled.iter().map(|(f, _)| f.size_bytes()).sum();
        run.work.batches = 1 + self.spilled.len() as u32;
        Ok(())
    }

    async fn empty_group(&mut self, run: &mut Run, set: usize) -> Result<()> {
        let packing = self.packings.get(set).and_then(Option::as_ref);
        let keys = RowKeys::new(packing, &[], &[], 1);
        self.new_group(set, keys.get(0).hash(), keys.get(0), &[], &[], 0);
        let count = self.table.len();
        for call in &mut self.calls {
            call.grow(run, count, None).await?;
        }
        Ok(())
    }

    fn keep(&mut self, overflow: Option<Overflow>) {
        if let Some(overflow) = overflow {
            let depth = overflow.depth + 1;
            self.spilled.extend(overflow.files.into_iter().filter(|f| f.rows > 0).map(|f| (f, depth)));
        }
    }

    /// Takes what one file holds.
    async fn consume_file(&mut self, run: &mut Run, mut file: SpillFile, depth: u32) -> Result<()> {
        self.reset(run);
        let mut overflow = None;
        let mut reader = file.reader()?;
        loop {
            run.pause(0).await?;
            // All rows of a batch are of one set: its number stands before each row.
            let Some((set, batch)) = self.read(&file, &mut reader)? else { break };
            self.take(run, &batch, set, depth, &mut overflow).await?;
        }
        self.keep(overflow);
        Ok(())
    }

    fn read(&self, file: &SpillFile, reader: &mut SpillReader) -> Result<Option<(usize, Batch)>> {
        if self.sets.len() == 1 {
            return Ok(reader.batch(file, &self.input_kinds)?.map(|b| (0, b)));
        }
        // Sets are mixed in a file: row by row then.
        let mut builders: Vec<ColumnBuilder> = self.input_kinds.iter().map(|k| ColumnBuilder::new(*k)).collect();
        let set = reader.next(file, |key, row| {
            crate::spill::push_row(&mut builders, row)?;
            Ok(key.first_chunk::<4>().map_or(0, |b| u32::from_be_bytes(*b)) as usize)
        })?;
        Ok(set.map(|set| (set, Batch::new(builders.into_iter().map(|b| Arc::new(b.finish())).collect(), 1))))
    }

    /// Finds or makes the group of each row for one set, and hands the rows to the calls.
    async fn take(
        &mut self,
        run: &mut Run,
        batch: &Batch,
        set: usize,
        depth: u32,
        overflow: &mut Option<Overflow>,
    ) -> Result<()> {
        let members = self.sets.get(set).cloned().unwrap_or_default();
        let mut columns = Vec::with_capacity(members.len());
        let mut types = Vec::with_capacity(members.len());
        for member in &members {
            if let (Some(program), Some(ty)) = (self.groups.get(*member), self.group_types.get(*member)) {
                columns.push(program.eval(run, batch).await?);
                types.push(*ty);
            }
        }
        let packing = self.packings.get(set).and_then(Option::as_ref);
        let keys = RowKeys::new(packing, &columns, &types, batch.len);
        let before = self.table.len();
        let (mut ids, mut firsts) = (Vec::with_capacity(batch.len), vec![]);
        let mut is_partial = false;
        for row in 0..batch.len {
            let key = keys.get(row);
            let hash = key.hash();
            let found = self.table.index.get(set).and_then(|index| index.find(hash, key));
            ids.push(match found {
                Some(group) => group,
                None if self.makes_room(key.size_bytes(), depth, overflow.is_some())? => {
                    firsts.push(row);
                    self.new_group(set, hash, key, &members, &columns, row)
                }
                None => {
                    is_partial = true;
                    put_aside(run, &self.layout, overflow, depth, hash, (set as u32, batch, row))?;
                    NO_GROUP
                }
            });
        }
        for call in &mut self.calls {
            call.grow_by(run, before, batch, &firsts).await?;
        }
        let Some(mut memory) = self.state_memory.take() else { return Ok(()) };
        if is_partial {
            // The calls take only rows that have a group here.
            let kept: Vec<u32> = (0..batch.len as u32).filter(|i| ids.get(*i as usize) != Some(&NO_GROUP)).collect();
            let batch = batch.gather(&kept);
            ids.retain(|id| *id != NO_GROUP);
            for call in &mut self.calls {
                call.update(run, &batch, Rows::Each(&ids), &mut memory).await?;
            }
        } else {
            for call in &mut self.calls {
                call.update(run, batch, Rows::Each(&ids), &mut memory).await?;
            }
        }
        self.state_memory = Some(memory);
        Ok(())
    }

    fn new_group(
        &mut self,
        set: usize,
        hash: u64,
        key: Key<'_>,
        members: &[usize],
        columns: &[Arc<Column>],
        row: usize,
    ) -> u32 {
        for (g, builder) in self.table.values.iter_mut().enumerate() {
            match members.iter().position(|m| *m == g).and_then(|place| columns.get(place)) {
                Some(column) => builder.push_owned(column.datum(row)),
                None => builder.push_null(),
            }
        }
        self.table.insert(set, hash, key)
    }

    /// Whether there is memory for one more group. Once one was turned away, all new ones are.
    fn makes_room(&mut self, key_size: usize, depth: u32, is_closed: bool) -> Result<bool> {
        let size =
            key_size + 40 + self.group_types.len() * 32 + self.calls.iter().map(Call::group_bytes).sum::<usize>();
        let Some(memory) = &mut self.memory else { return Ok(false) };
        if depth >= DEPTH_MAX || self.table.len() < GROUPS_MIN {
            memory.grow(size)?;
            return Ok(true);
        }
        Ok(!is_closed && memory.try_grow(size))
    }

    fn output(&mut self, run: &Run, from: usize) -> Result<Option<Batch>> {
        let to = (from + BATCH_ROWS).min(self.table.len());
        if from >= to {
            return Ok(None);
        }
        let rows: Vec<u32> = (from as u32..to as u32).collect();
        let mut columns = Vec::with_capacity(self.table.values.len() + self.calls.len() + 1);
        for builder in &self.table.values {
            columns.push(Arc::new(builder.gather(&rows)));
        }
        for call in &mut self.calls {
            let mut builder = ColumnBuilder::new(ColumnKind::of(call.result));
            for group in from..to {
                builder.push_owned(call.finish(&run.context, group)?);
            }
            columns.push(Arc::new(builder.finish()));
        }
        if self.has_sets {
            let mut builder = ColumnBuilder::new(ColumnKind::Int8);
            for group in from..to {
                let set = self.table.set_of.get(group).copied().unwrap_or(0) as usize;
                let mask = self.sets.get(set).map_or(0i64, |s| s.iter().fold(0, |mask, g| mask | 1 << g));
                builder.push_owned(Datum::Int8(mask));
            }
            columns.push(Arc::new(builder.finish()));
        }
        Ok(Some(Batch::new(columns, to - from)))
    }
}

impl Operator for HashAggregate {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            loop {
                run.pause(0).await?;
                match self.phase {
                    Phase::Done => return Ok(None),
                    Phase::Start => {
                        self.consume(run).await?;
                        self.phase = Phase::Output(0);
                    }
                    Phase::Output(from) => {
                        if let Some(batch) = self.output(run, from)? {
                            self.phase = Phase::Output(from + batch.len);
                            return Ok(Some(batch));
                        }
                        match self.spilled.pop() {
                            Some((file, depth)) => {
                                self.consume_file(run, file, depth).await?;
                                self.phase = Phase::Output(0);
                            }
                            None => self.phase = Phase::Done,
                        }
                    }
                }
            }
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.input.rewind(run);
        self.spilled.clear();
        self.phase = Phase::Start;
        self.memory = None;
        self.state_memory = None;
    }
}
