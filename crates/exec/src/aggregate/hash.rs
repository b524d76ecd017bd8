//! Groups by hash of their encoded keys.
//!
//! When memory ends, no new group is made: rows of groups that are there go on being taken, the others are put into
//! `PARTITIONS` files by hash and taken, file by file, once the groups in memory are out. Grouping sets are so many tables in
//! one: a row is looked up once per set, with the set's number in front of its key.
//!
//! The set id that is output (`sets`) is a bit mask: bit g is 1 where group g is part of the set. GROUPING reads it.

use super::call::Call;
use crate::batch::{BATCH_ROWS, Batch, ColumnBuilder, ColumnKind};
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::op::{Input, Operator, keys};
use crate::run::Run;
use crate::spill::{SpillFile, SpillReader, layout};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use sql::Expr;
use sql::physical::PlanAggregate;
use std::sync::Arc;
use types::row::RowLayout;
use types::{Datum, Result, SqlError, SqlType};

const PARTITIONS: usize = 16;
/// After so many cuts of one file the rest is taken whatever it costs, up to 53200.
const DEPTH_MAX: u32 = 5;

pub(super) struct HashAggregate {
    input: Input,
    input_kinds: Vec<ColumnKind>,
    layout: Arc<RowLayout>,
    groups: Vec<Program>,
    group_types: Vec<SqlType>,
    /// Of each set, which groups it has. One with all where there are no grouping sets.
    sets: Vec<Vec<usize>>,
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
    index: HashTable<u32>,
    key_bytes: Vec<u8>,
    key_ends: Vec<usize>,
    /// Values of the groups' keys, and each group's set.
    values: Vec<ColumnBuilder>,
    set_of: Vec<u32>,
}

impl Table {
    fn key(&self, group: u32) -> &[u8] {
        let group = group as usize;
        let start = if group == 0 { 0 } else { self.key_ends.get(group - 1).copied().unwrap_or(0) };
        self.key_bytes.get(start..self.key_ends.get(group).copied().unwrap_or(start)).unwrap_or_default()
    }
    fn len(&self) -> usize {
        self.key_ends.len()
    }
    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |group| self.key(*group) == key).copied()
    }
    fn insert(&mut self, hash: u64, key: &[u8], set: u32) -> u32 {
        let group = self.key_ends.len() as u32;
        self.key_bytes.extend_from_slice(key);
        self.key_ends.push(self.key_bytes.len());
        self.set_of.push(set);
        let (bytes, ends) = (&self.key_bytes, &self.key_ends);
        let key_of = |group: u32| {
            let group = group as usize;
            let start = if group == 0 { 0 } else { ends.get(group - 1).copied().unwrap_or(0) };
            bytes.get(start..ends.get(group).copied().unwrap_or(start)).unwrap_or_default()
        };
        match self.index.entry(hash, |_| false, |g| keys::hash(key_of(*g))) {
            Entry::Vacant(entry) => {
                entry.insert(group);
            }
            Entry::Occupied(_) => {}
        }
        group
    }
}

/// Files that take the rows of groups which found no room.
struct Overflow {
    files: Vec<SpillFile>,
    depth: u32,
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
        Ok(HashAggregate {
            input,
            input_kinds: input_types.iter().map(|t| ColumnKind::of(*t)).collect(),
            layout: layout(input_types),
            groups: Program::compile_all(groups)?,
            group_types: groups.iter().map(|g| g.ty).collect(),
            sets: sets.map_or_else(|| vec![(0..groups.len()).collect()], <[_]>::to_vec),
            has_sets: sets.is_some(),
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
        self.table.values = self.group_types.iter().map(|t| ColumnBuilder::new(ColumnKind::of(*t))).collect();
        self.calls.iter_mut().for_each(Call::clear);
        self.memory = Some(Reservation::new(&run.context.memory));
        self.state_memory = Some(Reservation::new(&run.context.memory));
    }

    /// Takes the whole input.
    async fn consume(&mut self, run: &mut Run) -> Result<()> {
        self.reset(run);
        let mut overflow = None;
        while let Some(batch) = self.input.next(run).await? {
            run.check()?;
            for set in 0..self.sets.len() {
                self.take(run, &batch, set, 0, &mut overflow).await?;
            }
        }
        // A set without columns has its one group even where no row came.
        for set in 0..self.sets.len() {
            if self.sets.get(set).is_some_and(Vec::is_empty) {
                self.empty_group(run, set as u32).await?;
            }
        }
        self.keep(overflow);
        Ok(())
    }

    async fn empty_group(&mut self, run: &mut Run, set: u32) -> Result<()> {
        let key = set.to_be_bytes();
        let hash = keys::hash(&key);
        if self.table.find(hash, &key).is_none() {
            self.table.insert(hash, &key, set);
            self.table.values.iter_mut().for_each(ColumnBuilder::push_null);
            let count = self.table.len();
            for call in &mut self.calls {
                call.grow(run, count, None).await?;
            }
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
            run.check()?;
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
        let rows = keys::encode_columns(&columns, &types, &[], batch.len);
        let mut ids = vec![super::call::NO_GROUP; batch.len];
        let mut is_partial = false;
        let mut key = (set as u32).to_be_bytes().to_vec();
        for row in 0..batch.len {
            key.truncate(4);
            key.extend_from_slice(rows.get(row));
            let hash = keys::hash(&key);
            let group = match self.table.find(hash, &key) {
                Some(group) => group,
                None if self.makes_room(key.len(), depth, overflow.is_some())? => {
                    let group = self.table.insert(hash, &key, set as u32);
                    for (g, builder) in self.table.values.iter_mut().enumerate() {
                        match members.iter().position(|m| *m == g).and_then(|place| columns.get(place)) {
                            Some(column) => builder.push_owned(column.datum(row)),
                            None => builder.push_null(),
                        }
                    }
                    let count = self.table.len();
                    for call in &mut self.calls {
                        call.grow(run, count, Some((batch, row))).await?;
                    }
                    group
                }
                None => {
                    is_partial = true;
                    let overflow = match overflow {
                        Some(overflow) => overflow,
                        None => overflow.insert(Overflow {
                            files: (0..PARTITIONS)
                                .map(|_| SpillFile::create(&run.context.spill, &self.layout))
                                .collect::<Result<_>>()?,
                            depth,
                        }),
                    };
                    let part = (hash >> (60 - 4 * depth.min(14))) as usize % PARTITIONS;
                    if let Some(file) = overflow.files.get_mut(part) {
                        file.push(&(set as u32).to_be_bytes(), batch, row)?;
                    }
                    continue;
                }
            };
            if let Some(id) = ids.get_mut(row) {
                *id = group;
            }
        }
        let Some(mut memory) = self.state_memory.take() else { return Ok(()) };
        if is_partial {
            // The calls take only rows that have a group here.
            let kept: Vec<u32> =
                (0..batch.len as u32).filter(|i| ids.get(*i as usize) != Some(&super::call::NO_GROUP)).collect();
            let batch = batch.gather(&kept);
            ids.retain(|id| *id != super::call::NO_GROUP);
            for call in &mut self.calls {
                call.update(run, &batch, &ids, &mut memory).await?;
            }
        } else {
            for call in &mut self.calls {
                call.update(run, batch, &ids, &mut memory).await?;
            }
        }
        self.state_memory = Some(memory);
        Ok(())
    }

    /// Whether there is memory for one more group. Once one was turned away, all new ones are.
    fn makes_room(&mut self, key_size: usize, depth: u32, is_closed: bool) -> Result<bool> {
        let size =
            key_size + 40 + self.group_types.len() * 32 + self.calls.iter().map(Call::group_bytes).sum::<usize>();
        let Some(memory) = &mut self.memory else { return Ok(false) };
        if depth >= DEPTH_MAX || self.table.len() == 0 {
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
        let format = run.context.format.clone();
        for call in &mut self.calls {
            let mut builder = ColumnBuilder::new(ColumnKind::of(call.result));
            for group in from..to {
                builder.push_owned(call.finish(&format, group)?);
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
                run.check()?;
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
