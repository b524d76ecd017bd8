//! INTERSECT and EXCEPT [ALL]: counts of the right side by whole row, then the left side against them.
//!
//! When memory ends, no new row is counted: rows of either side that are not known are put into `PARTITIONS` pairs of files by
//! hash, and each pair is worked off like the inputs, once the left side is through.

use super::keys::{encode_columns, hash};
use super::{Input, Operator};
use crate::batch::{BATCH_ROWS, Batch, ColumnKind};
use crate::budget::Reservation;
use crate::context::BoxFuture;
use crate::run::Run;
use crate::spill::{SpillFile, SpillReader, layout};
use foldhash::{HashMap, HashMapExt};
use sql::logical::SetOperation;
use types::{Result, SqlType};

const PARTITIONS: usize = 16;
/// After so many cuts the rest is counted whatever it costs, up to 53200.
const DEPTH_MAX: u32 = 5;
/// So many entries have room whatever the rest of the statement holds, so that files get fewer and not more.
const ENTRIES_MIN: usize = 256;
/// What an entry costs besides its row.
const ENTRY_BYTES: usize = 64;

pub(crate) struct HashSetOp {
    operation: SetOperation,
    all: bool,
    left: Input,
    right: Input,
    types: Vec<SqlType>,
    kinds: Vec<ColumnKind>,
    phase: Phase,
    counts: HashMap<Box<[u8]>, Count>,
    memory: Option<Reservation>,
    /// Where unknown rows go, once memory has ended.
    aside: Option<Aside>,
    pending: Vec<Pair>,
}

enum Phase {
    Start,
    /// The left rows come from the input.
    Input,
    /// They come from a file, at this depth.
    File(SpillFile, SpillReader, u32),
    Done,
}

/// Rows of the right side with their number; without ALL, also what was handed out already (`used`).
#[derive(Default)]
struct Count {
    right: u64,
    used: bool,
}

/// Files by hash, made when the first row comes.
#[derive(Default)]
struct Aside {
    left: [Option<SpillFile>; PARTITIONS],
    right: [Option<SpillFile>; PARTITIONS],
}

struct Pair {
    left: SpillFile,
    right: Option<SpillFile>,
    depth: u32,
}

/// What becomes of a left row.
enum Fate {
    Kept,
    Dropped,
    /// Its counterpart, if it has one, is in a file.
    Aside,
}

impl HashSetOp {
    pub fn new(operation: SetOperation, all: bool, left: Input, right: Input, types: &[SqlType]) -> HashSetOp {
        HashSetOp {
            operation,
            all,
            left,
            right,
            types: types.to_vec(),
            kinds: types.iter().map(|ty| ColumnKind::of(*ty)).collect(),
            phase: Phase::Start,
            counts: HashMap::new(),
            memory: None,
            aside: None,
            pending: vec![],
        }
    }

    fn reset(&mut self, run: &Run) {
        self.counts.clear();
        self.memory = Some(Reservation::new(&run.context.memory));
    }

    /// Whether there is memory for one more row. Once one was turned away, all are.
    fn makes_room(&mut self, key: &[u8], depth: u32) -> Result<bool> {
        let Some(memory) = &mut self.memory else { return Ok(false) };
        let size = key.len() + ENTRY_BYTES;
        if depth >= DEPTH_MAX || self.counts.len() < ENTRIES_MIN {
            memory.grow(size)?;
            return Ok(true);
        }
        Ok(self.aside.is_none() && memory.try_grow_above(size))
    }

    /// Into the file of its hash. Each depth looks at four other bits.
    fn put_aside(&mut self, run: &Run, key: &[u8], batch: &Batch, row: usize, is_left: bool, depth: u32) -> Result<()> {
        let aside = self.aside.get_or_insert_default();
        let files = if is_left { &mut aside.left } else { &mut aside.right };
        let part = (hash(key) >> (60 - 4 * depth.min(14))) as usize % PARTITIONS;
        let Some(place) = files.get_mut(part) else { return Ok(()) };
        let file = match place {
            Some(file) => file,
            None => place.insert(SpillFile::create(&run.context.spill, &layout(&self.types))?),
        };
        file.push(&[], batch, row)
    }

    fn count(&mut self, run: &Run, batch: &Batch, depth: u32) -> Result<()> {
        let keys = encode_columns(&batch.columns, &self.types, &[], batch.len);
        for row in 0..batch.len {
            let key = keys.get(row);
            if let Some(count) = self.counts.get_mut(key) {
                count.right += 1;
            } else if self.makes_room(key, depth)? {
                self.counts.insert(key.into(), Count { right: 1, used: false });
            } else {
                self.put_aside(run, key, batch, row, false, depth)?;
            }
        }
        Ok(())
    }

    fn fate(&mut self, key: &[u8], depth: u32) -> Result<Fate> {
        let is_kept = |is_kept| Ok(if is_kept { Fate::Kept } else { Fate::Dropped });
        let Some(count) = self.counts.get_mut(key) else {
            if self.aside.is_some() {
                return Ok(Fate::Aside);
            }
            return match (self.operation, self.all) {
                (SetOperation::Intersect, _) => Ok(Fate::Dropped),
                (_, true) => Ok(Fate::Kept),
                // Handed out once.
                (_, false) if self.makes_room(key, depth)? => {
                    self.counts.insert(key.into(), Count { right: 0, used: true });
                    Ok(Fate::Kept)
                }
                (_, false) => Ok(Fate::Aside),
            };
        };
        match (self.operation, self.all) {
            (SetOperation::Intersect, false) => is_kept(!std::mem::replace(&mut count.used, true)),
            (SetOperation::Except | SetOperation::Union, false) => Ok(Fate::Dropped),
            (operation, true) => {
                let meets = count.right > 0;
                count.right -= u64::from(meets);
                is_kept(meets == (operation == SetOperation::Intersect))
            }
        }
    }

    /// The left rows that stay.
    fn keep(&mut self, run: &Run, batch: &Batch, depth: u32) -> Result<Batch> {
        let keys = encode_columns(&batch.columns, &self.types, &[], batch.len);
        let mut rows = Vec::new();
        for row in 0..batch.len {
            let key = keys.get(row);
            match self.fate(key, depth)? {
                Fate::Kept => rows.push(row as u32),
                Fate::Dropped => {}
                Fate::Aside => self.put_aside(run, key, batch, row, true, depth)?,
            }
        }
        Ok(batch.gather(&rows))
    }

    async fn start(&mut self, run: &mut Run) -> Result<Phase> {
        self.reset(run);
        while let Some(batch) = self.right.next(run).await? {
            run.pause(0).await?;
            self.count(run, &batch, 0)?;
        }
        Ok(Phase::Input)
    }

    /// The left side is through: what was put aside follows.
    async fn next_pair(&mut self, run: &mut Run, depth: u32) -> Result<Phase> {
        if let Some(aside) = self.aside.take() {
            // Without left rows there is nothing to keep.
            let pairs = aside.left.into_iter().zip(aside.right);
            let pairs = pairs.filter_map(|(left, right)| Some(Pair { left: left?, right, depth: depth + 1 }));
            self.pending.extend(pairs);
            run.work.batches = run.work.batches.max(1 + self.pending.len() as u32);
        }
        let Some(mut pair) = self.pending.pop() else { return Ok(Phase::Done) };
        self.reset(run);
        if let Some(mut right) = pair.right {
            let mut reader = right.reader()?;
            while let Some(batch) = reader.batch(&right, &self.kinds)? {
                run.pause(BATCH_ROWS).await?;
                self.count(run, &batch, pair.depth)?;
            }
        }
        let reader = pair.left.reader()?;
        Ok(Phase::File(pair.left, reader, pair.depth))
    }
}

impl Operator for HashSetOp {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            loop {
                run.pause(0).await?;
                let (batch, depth) = match &mut self.phase {
                    Phase::Done => return Ok(None),
                    Phase::Start => {
                        self.phase = self.start(run).await?;
                        continue;
                    }
                    Phase::Input => (self.left.next(run).await?, 0),
                    Phase::File(file, reader, depth) => (reader.batch(file, &self.kinds)?, *depth),
                };
                match batch {
                    None => self.phase = self.next_pair(run, depth).await?,
                    Some(batch) => {
                        let kept = self.keep(run, &batch, depth)?;
                        if !kept.is_empty() {
                            return Ok(Some(kept));
                        }
                    }
                }
            }
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.phase = Phase::Start;
        self.counts.clear();
        (self.memory, self.aside) = (None, None);
        self.pending.clear();
        self.left.rewind(run);
        self.right.rewind(run);
    }
}
