//! Files of rows: what sort, hash join and hash aggregate put aside when memory ends.
//!
//! A run file is written once, front to back, and read once or more, front to back:
//! `[key size u32][key][row size u32][row]`, the row as `types::row` stores it. Removed when dropped. Nothing is synced: a
//! spill outlives no statement.

use crate::batch::{BATCH_ROWS, Batch, ColumnBuilder, ColumnKind};
use crate::context::SpillFolder;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use types::row::{self, RowLayout, RowView};
use types::{Datum, Result, SqlError, SqlState, SqlType};

const BUFFER_BYTES: usize = 256 << 10;

/// The stored form of an operator's rows.
pub(crate) fn layout(types: &[SqlType]) -> Arc<RowLayout> {
    Arc::new(RowLayout::new(0, types.to_vec()))
}

pub(crate) struct SpillFile {
    file: Box<dyn host::File>,
    files: Arc<dyn host::Files>,
    path: PathBuf,
    buffer: Vec<u8>,
    size: u64,
    pub rows: u64,
    layout: Arc<RowLayout>,
    scratch: Vec<Datum>,
}

fn failed(what: &str, error: &io::Error) -> SqlError {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SqlState::DISK_FULL,
        _ => SqlState::IO_ERROR,
    };
    SqlError::new(code, format!("could not {what} temporary file: {error}"))
}

impl SpillFile {
    pub fn create(folder: &SpillFolder, layout: &Arc<RowLayout>) -> Result<SpillFile> {
        let path = folder.next_path();
        let file = match folder.files.open(&path, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                folder.files.create_folder(&folder.folder).map_err(|e| failed("create folder of", &e))?;
                folder.files.open(&path, true)
            }
            other => other,
        };
        let file = file.map_err(|e| failed("create", &e))?;
        // A name may be that of a file which a killed process left.
        file.set_size(0).map_err(|e| failed("truncate", &e))?;
        metrics::counter!("hyrax_exec_spill_files_total").increment(1);
        Ok(SpillFile {
            file,
            files: folder.files.clone(),
            path,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            size: 0,
            rows: 0,
            layout: layout.clone(),
            scratch: vec![],
        })
    }

    /// Appends a batch's row behind its key.
    pub fn push(&mut self, key: &[u8], batch: &Batch, row: usize) -> Result<()> {
        let mut values = std::mem::take(&mut self.scratch);
        batch.row_into(row, &mut values);
        let result = self.push_datums(key, &values);
        self.scratch = values;
        result
    }

    pub fn push_datums(&mut self, key: &[u8], values: &[Datum]) -> Result<()> {
        self.buffer.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(key);
        let at = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        row::encode(&self.layout, 0, values, None, &mut self.buffer);
        let size = (self.buffer.len() - at - 4) as u32;
        if let Some(place) = self.buffer.get_mut(at..at + 4) {
            place.copy_from_slice(&size.to_le_bytes());
        }
        self.rows += 1;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Readers see what has been pushed so far.
    pub fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file.write_all_at(&self.buffer, self.size).map_err(|e| failed("write to", &e))?;
        self.size += self.buffer.len() as u64;
        metrics::counter!("hyrax_exec_spill_bytes_total").increment(self.buffer.len() as u64);
        self.buffer.clear();
        Ok(())
    }

    pub fn size_bytes(&self) -> u64 {
        self.size + self.buffer.len() as u64
    }

    /// From the first row on.
    pub fn reader(&mut self) -> Result<SpillReader> {
        self.flush()?;
        Ok(SpillReader { buffer: vec![], start: 0, read: 0 })
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        // Nobody is left who could act on a failure; the folder is emptied at the next start.
        let _ = self.files.remove(&self.path);
    }
}

/// A place in a `SpillFile`.
pub(crate) struct SpillReader {
    buffer: Vec<u8>,
    start: usize,
    read: u64,
}

impl SpillReader {
    /// The next row, by `(key, stored row)`; None at the end.
    pub fn next<R>(
        &mut self,
        file: &SpillFile,
        read: impl FnOnce(&[u8], RowView<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        // Each look may move everything to the front: places are counted from `start` again behind it.
        let Some(key_size) = self.u32(file, self.start)? else { return Ok(None) };
        let row_size = self.u32(file, self.start + 4 + key_size)?.ok_or_else(short)?;
        if !self.fill(file, self.start + 8 + key_size + row_size)? {
            return Err(short());
        }
        let key_start = self.start + 4;
        let row_start = key_start + key_size + 4;
        let key = self.buffer.get(key_start..key_start + key_size).ok_or_else(short)?;
        let row = self.buffer.get(row_start..row_start + row_size).ok_or_else(short)?;
        let result = read(key, RowView::new(&file.layout, row)?)?;
        self.start = row_start + row_size;
        Ok(Some(result))
    }

    fn u32(&mut self, file: &SpillFile, at: usize) -> Result<Option<usize>> {
        let offset = at - self.start;
        if !self.fill(file, at + 4)? {
            return Ok(None);
        }
        let at = self.start + offset;
        let bytes = self.buffer.get(at..at + 4).and_then(|b| b.first_chunk::<4>()).ok_or_else(short)?;
        Ok(Some(u32::from_le_bytes(*bytes) as usize))
    }

    /// Makes the buffer reach to `end` (counted before the call); false if the file ends first.
    fn fill(&mut self, file: &SpillFile, end: usize) -> Result<bool> {
        if end <= self.buffer.len() {
            return Ok(true);
        }
        let wanted = end - self.start;
        self.buffer.drain(..self.start);
        self.start = 0;
        while self.buffer.len() < wanted {
            let filled = self.buffer.len();
            let left = file.size.saturating_sub(self.read);
            let more = (wanted - filled).max(BUFFER_BYTES).min(left as usize);
            if more == 0 {
                return Ok(false);
            }
            self.buffer.resize(filled + more, 0);
            let into = self.buffer.get_mut(filled..).unwrap_or_default();
            let read = file.file.read_at(into, self.read).map_err(|e| failed("read from", &e))?;
            self.buffer.truncate(filled + read);
            if read == 0 {
                return Ok(false);
            }
            self.read += read as u64;
        }
        Ok(true)
    }

    /// Up to a batch of rows; None at the end.
    pub fn batch(&mut self, file: &SpillFile, kinds: &[ColumnKind]) -> Result<Option<Batch>> {
        let mut builders: Vec<ColumnBuilder> = kinds.iter().map(|k| ColumnBuilder::new(*k)).collect();
        let mut count = 0;
        while count < BATCH_ROWS && self.next(file, |_, row| push_row(&mut builders, row))?.is_some() {
            count += 1;
        }
        let columns = builders.into_iter().map(|b| Arc::new(b.finish())).collect();
        Ok((count > 0).then(|| Batch::new(columns, count)))
    }
}

pub(crate) fn push_row(builders: &mut [ColumnBuilder], row: RowView<'_>) -> Result<()> {
    for (i, builder) in builders.iter_mut().enumerate() {
        builder.push_owned(row.column(i)?);
    }
    Ok(())
}

fn short() -> SqlError {
    SqlError::new(SqlState::IO_ERROR, "unexpected end of temporary file")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows whose parts lie on both sides of the reader's buffer, wherever that ends.
    #[test]
    fn rows_are_read_back_over_many_buffers() {
        let host = host::Host::real();
        let folder = std::env::temp_dir().join(format!("hyrax-spill-{}", std::process::id()));
        let folder = SpillFolder::new(host.files.clone(), folder);
        let layout = layout(&[SqlType::INT4, SqlType::TEXT]);
        let mut file = SpillFile::create(&folder, &layout).expect("created");
        let rows = 40_000;
        for i in 0..rows {
            let key = vec![7; i % 13];
            let values = [Datum::Int4(i as i32), Datum::text("x".repeat(i % 41))];
            file.push_datums(&key, &values).expect("written");
        }
        assert!(file.size_bytes() > 4 * BUFFER_BYTES as u64);
        let mut reader = file.reader().expect("a reader");
        for i in 0..rows {
            let row = reader.next(&file, |key, row| Ok((key.len(), row.int(0), row.str(1).map(str::len))));
            assert_eq!(row.expect("read"), Some((i % 13, Some(i as i64), Some(i % 41))));
        }
        assert!(reader.next(&file, |_, _| Ok(())).expect("read").is_none());
    }
}
