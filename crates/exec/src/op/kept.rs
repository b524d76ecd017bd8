//! Rows kept to be read again, by one reader or several: in memory, and behind those that found room there, in a file.

use crate::batch::{Batch, ColumnKind};
use crate::budget::Reservation;
use crate::context::StatementContext;
use crate::spill::{SpillFile, SpillReader, layout};
use types::{Result, SqlType};

pub(crate) struct KeptRows {
    types: Vec<SqlType>,
    kinds: Vec<ColumnKind>,
    batches: Vec<Batch>,
    file: Option<SpillFile>,
    memory: Option<Reservation>,
}

/// How far a reader has come.
#[derive(Default)]
pub(crate) struct Place {
    batch: usize,
    /// Rows of the file.
    rows: u64,
    /// A reader of the file, and the rows that it has passed: made when the file is read, not while it is written.
    reader: Option<(SpillReader, u64)>,
}

impl KeptRows {
    pub fn new(types: &[SqlType]) -> KeptRows {
        KeptRows {
            types: types.to_vec(),
            kinds: types.iter().map(|ty| ColumnKind::of(*ty)).collect(),
            batches: vec![],
            file: None,
            memory: None,
        }
    }

    pub fn clear(&mut self) {
        self.batches.clear();
        self.file = None;
        self.memory = None;
    }

    pub fn push(&mut self, context: &StatementContext, batch: Batch) -> Result<()> {
        let memory = self.memory.get_or_insert_with(|| Reservation::new(&context.memory));
        if self.file.is_none() && memory.try_grow_above(batch.size_bytes()) {
            self.batches.push(batch);
            return Ok(());
        }
        self.spill(context, &batch)
    }

    /// Into the file. Nothing is kept in memory behind it.
    pub fn spill(&mut self, context: &StatementContext, batch: &Batch) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(SpillFile::create(&context.spill, &layout(&self.types))?),
        };
        for row in 0..batch.len {
            file.push(&[], batch, row)?;
        }
        Ok(())
    }

    pub fn disk_bytes(&self) -> u64 {
        self.file.as_ref().map_or(0, SpillFile::size_bytes)
    }

    /// The batch behind the place, which moves there; None: so far there is no more.
    pub fn next(&mut self, place: &mut Place) -> Result<Option<Batch>> {
        if let Some(batch) = self.batches.get(place.batch) {
            place.batch += 1;
            return Ok(Some(batch.clone()));
        }
        let Some(file) = self.file.as_mut().filter(|file| place.rows < file.rows) else { return Ok(None) };
        let (reader, passed) = match &mut place.reader {
            Some(reader) => {
                file.flush()?;
                reader
            }
            None => place.reader.insert((file.reader()?, 0)),
        };
        while *passed < place.rows {
            reader.next(file, |_, _| Ok(()))?;
            *passed += 1;
        }
        let batch = reader.batch(file, &self.kinds)?;
        place.rows += batch.as_ref().map_or(0, |batch| batch.len as u64);
        *passed = place.rows;
        Ok(batch)
    }

    /// Behind all rows there are now.
    pub fn end(&self, place: &mut Place) {
        place.batch = self.batches.len();
        place.rows = self.file.as_ref().map_or(0, |file| file.rows);
    }
}
