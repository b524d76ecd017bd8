//! Level 1. The LMDB engine: one environment per segment, one named database per slot. Sole importer of heed.
//!
//! Always synced: a power cut cannot tear what `write` said is there. The map is opened huge and never resized (a
//! resize under a reader moves the map). No WRITE_MAP: on a full disk that is a SIGBUS, and it is no faster.
//! The lock is a process-shared semaphore (`posix-sem`), and yet a write transaction never leaves `write`:
//! begun on one thread and ended on another, LMDB's mutex is lost for ever (`dependencies.md` §2.3).

use super::Direction;
use super::engine::{Slot, Walk, WriteTxn};
use crate::{Result, StorageError};
use arc_swap::ArcSwap;
use heed::types::Bytes;
use heed::{
    CommitOrAbort, CommitToken, Database, Env, EnvFlags, EnvOpenOptions, MdbError, OnCommit, PutFlags, RoTxn, RwTxn,
    WithoutTls,
};
use host::Files;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Table = Database<'static, Bytes, Bytes>;
pub type Forward<'t> = heed::RoRange<'t, Bytes, Bytes>;
pub type Backward<'t> = heed::RoRevRange<'t, Bytes, Bytes>;

/// Read transactions at once: sessions' threads, workers, and two generations of each. LMDB's default of 126 is a
/// named failure (MDB_READERS_FULL) under a bulk of long scans.
const READERS_MAX: u32 = 4096;
/// Relations and their histories (`architecture.md` §9), and the own slot: two for each of `RELATIONS_MAX`, and what commits that
/// are under way when it is reached can bring.
pub const SLOTS_MAX: u32 = 32_768;
/// A write that was cut short on a disk with less than this was cut short by its end.
const CUT_SHORT_BELOW: u64 = 4 << 20;
/// Databases opened by one small transaction.
const OPEN_CHUNK: u32 = 64;

/// Databases opened in one transaction; valid beyond it once it is committed.
struct Opened<'e>(Vec<Database<'e, Bytes, Bytes>>);

impl OnCommit for Opened<'_> {
    type Committed = Vec<Table>;

    fn on_commit(self, token: &CommitToken) -> Vec<Table> {
        self.0.into_iter().map(|table| table.on_commit(token)).collect()
    }
}

pub struct LmdbEngine {
    files: Arc<dyn Files>,
    folder: PathBuf,
    env: Env<WithoutTls>,
    tables: ArcSwap<Vec<Table>>,
}

/// LMDB's errors in our words: a full map and a full disk are the same thing to those above.
pub fn error(error: heed::Error) -> StorageError {
    match error {
        heed::Error::Mdb(MdbError::MapFull) => StorageError::DiskFull("the segment's map is full".into()),
        heed::Error::Mdb(MdbError::Other(code)) if is_no_space(code) => {
            StorageError::DiskFull("the segment's disk".into())
        }
        heed::Error::Io(error) if error.raw_os_error().is_some_and(is_no_space) => {
            StorageError::DiskFull("the segment's disk".into())
        }
        heed::Error::Io(source) => StorageError::Io { what: "segment".into(), source },
        heed::Error::Mdb(MdbError::Corrupted | MdbError::PageNotFound | MdbError::Invalid) => {
            StorageError::Corrupt(format!("segment: {error}"))
        }
        other => StorageError::Lmdb(other.to_string()),
    }
}

fn is_no_space(code: i32) -> bool {
    code == libc::ENOSPC || code == libc::EDQUOT
}

impl LmdbEngine {
    /// `folder` exists. One environment per folder and process.
    pub fn open(files: Arc<dyn Files>, folder: &Path, map_size: usize) -> Result<LmdbEngine> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(map_size).max_readers(READERS_MAX).max_dbs(SLOTS_MAX + 1);
        // SAFETY: the folder is this node's own (its identity file is locked), so nobody else changes the mapped file.
        let env = unsafe { options.open(folder) }.map_err(error)?;
        env.clear_stale_readers().map_err(error)?;
        let engine = LmdbEngine { files, folder: folder.to_owned(), env, tables: ArcSwap::default() };
        engine.open_slots()?;
        engine.make_slots(1)?;
        Ok(engine)
    }

    /// The last committed state, for reading alone: no byte of the folder changes.
    pub fn open_to_read(files: Arc<dyn Files>, folder: &Path) -> Result<LmdbEngine> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.max_dbs(SLOTS_MAX + 1);
        // SAFETY: as above; nobody writes while the folder is locked, so readers need no table of readers.
        let env = unsafe { options.flags(EnvFlags::READ_ONLY | EnvFlags::NO_LOCK).open(folder) }.map_err(error)?;
        let engine = LmdbEngine { files, folder: folder.to_owned(), env, tables: ArcSwap::default() };
        engine.open_slots()?;
        Ok(engine)
    }

    fn open_slots(&self) -> Result<()> {
        loop {
            let known = self.slots();
            let txn = self.env.read_txn().map_err(error)?;
            let found = self.env.open_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
                let mut found = Vec::new();
                for slot in known..known + OPEN_CHUNK {
                    match opener.open_database::<Bytes, Bytes>(txn, Some(&name(slot)))? {
                        Some(table) => found.push(table),
                        None => break,
                    }
                }
                Ok(CommitOrAbort::<_, ()>::Commit(Opened(found)))
            });
            let found = found.map_err(error)?.unwrap_commit();
            let is_last = found.len() < OPEN_CHUNK as usize;
            self.add(found);
            if is_last {
                return Ok(());
            }
        }
    }

    fn add(&self, found: Vec<Table>) {
        let mut tables = Vec::clone(&self.tables.load());
        tables.extend(found);
        self.tables.store(Arc::new(tables));
    }

    pub fn slots(&self) -> u32 {
        self.tables.load().len() as u32
    }

    pub fn make_slots(&self, count: u32) -> Result<()> {
        let known = self.slots();
        if count <= known {
            return Ok(());
        }
        if count > SLOTS_MAX {
            return Err(StorageError::Lmdb(format!("a segment holds at most {SLOTS_MAX} relations and histories")));
        }
        let txn = self.env.write_txn().map_err(error)?;
        let made = self.env.create_databases_and_commit(txn, |creator, txn| -> heed::Result<_> {
            let mut made = Vec::new();
            for slot in known..count {
                made.push(creator.create_database::<Bytes, Bytes>(txn, Some(&name(slot)))?);
            }
            Ok(CommitOrAbort::<_, ()>::Commit(Opened(made)))
        });
        self.add(made.map_err(|failed| self.error_of_write(error(failed)))?.unwrap_commit());
        Ok(())
    }

    /// Whether the pages in use, of all tables, take `limit` bytes or more. Looks at each table's own record of it.
    pub fn is_full(&self, limit: u64) -> Result<bool> {
        let read = self.read()?;
        let mut pages = 0;
        for table in read.tables.iter() {
            let stat = table.stat(&read.txn).map_err(error)?;
            let page_bytes = u64::from(stat.page_size);
            // Mostly the file alone tells: it never had so many pages.
            if (self.env.info().last_page_number as u64 + 1) * page_bytes < limit {
                return Ok(false);
            }
            pages += (stat.branch_pages + stat.leaf_pages + stat.overflow_pages) as u64 * page_bytes;
        }
        Ok(pages >= limit)
    }

    pub fn read(&self) -> Result<Read> {
        // The tables first: a table opened after the transaction began would not be valid in it.
        let tables = self.tables.load_full();
        let txn = self.env.clone().static_read_txn().map_err(error)?;
        Ok(Read { txn, tables })
    }

    pub fn write<R>(&self, body: impl FnOnce(&mut WriteTxn<'_>) -> Result<R>) -> Result<R> {
        let tables = self.tables.load_full();
        let txn = self.env.write_txn().map_err(error)?;
        let mut txn = WriteTxn::Lmdb(Write { txn, tables });
        // Pages are also written before the commit, when many are dirty.
        let result = body(&mut txn).map_err(|error| self.error_of_write(error))?;
        if let WriteTxn::Lmdb(write) = txn {
            write.txn.commit().map_err(|failed| self.error_of_write(error(failed)))?;
        }
        Ok(result)
    }

    /// LMDB says EIO of a write that was cut short, which is how a disk becomes full in the middle of one. The
    /// transaction is gone, its pages are all written again by the next attempt, and what was committed before is
    /// synced: so it is safe to go on even if it was another error.
    fn error_of_write(&self, error: StorageError) -> StorageError {
        let StorageError::Io { source, .. } = &error else { return error };
        let is_short = source.raw_os_error() == Some(libc::EIO);
        if is_short && self.files.free_bytes(&self.folder).is_ok_and(|free| free < CUT_SHORT_BELOW) {
            return StorageError::DiskFull("the segment's disk (a write was cut short)".into());
        }
        error
    }
}

fn name(slot: u32) -> String {
    format!("s{slot}")
}

fn missing(slot: Slot) -> StorageError {
    StorageError::Corrupt(format!("the segment has no database {}", slot.0))
}

pub struct Read {
    txn: RoTxn<'static, WithoutTls>,
    tables: Arc<Vec<Table>>,
}

impl Read {
    pub fn id(&self) -> u64 {
        self.txn.id() as u64
    }

    fn table(&self, slot: Slot) -> Result<&Table> {
        self.tables.get(slot.0 as usize).ok_or_else(|| missing(slot))
    }

    #[inline]
    pub fn get(&self, slot: Slot, key: &[u8]) -> Result<Option<&[u8]>> {
        if key.is_empty() {
            return Ok(None);
        }
        self.table(slot)?.get(&self.txn, key).map_err(error)
    }

    pub fn walk(&self, slot: Slot, from: Bound<&[u8]>, to: Bound<&[u8]>, direction: Direction) -> Result<Walk<'_>> {
        if super::delta::is_empty(from, to) {
            return Ok(Walk::Nothing);
        }
        let range = (some_key(from), some_key(to));
        let table = self.table(slot)?;
        match direction {
            Direction::Forward => table.range(&self.txn, &range).map(Walk::Lmdb),
            Direction::Backward => table.rev_range(&self.txn, &range).map(Walk::LmdbBackward),
        }
        .map_err(error)
    }
}

/// LMDB knows no empty key; as a bound it says nothing.
fn some_key(bound: Bound<&[u8]>) -> Bound<&[u8]> {
    match bound {
        Bound::Included([]) | Bound::Excluded([]) => Bound::Unbounded,
        other => other,
    }
}

pub struct Write<'e> {
    txn: RwTxn<'e>,
    tables: Arc<Vec<Table>>,
}

impl Write<'_> {
    fn table(&self, slot: Slot) -> Result<Table> {
        self.tables.get(slot.0 as usize).copied().ok_or_else(|| missing(slot))
    }

    pub fn get(&self, slot: Slot, key: &[u8]) -> Result<Option<&[u8]>> {
        self.table(slot)?.get(&self.txn, key).map_err(error)
    }

    pub fn last(&self, slot: Slot) -> Result<Option<&[u8]>> {
        Ok(self.table(slot)?.last(&self.txn).map_err(error)?.map(|(key, _)| key))
    }

    pub fn walk(&self, slot: Slot, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Walk<'_>> {
        if super::delta::is_empty(from, to) {
            return Ok(Walk::Nothing);
        }
        let range = (some_key(from), some_key(to));
        self.table(slot)?.range(&self.txn, &range).map(Walk::Lmdb).map_err(error)
    }

    pub fn put(&mut self, slot: Slot, key: &[u8], value: &[u8]) -> Result<()> {
        self.table(slot)?.put(&mut self.txn, key, value).map_err(error)
    }

    pub fn append(&mut self, slot: Slot, key: &[u8], value: &[u8]) -> Result<()> {
        self.table(slot)?.put_with_flags(&mut self.txn, PutFlags::APPEND, key, value).map_err(error)
    }

    pub fn delete(&mut self, slot: Slot, key: &[u8]) -> Result<()> {
        self.table(slot)?.delete(&mut self.txn, key).map(drop).map_err(error)
    }

    pub fn clear(&mut self, slot: Slot) -> Result<()> {
        self.table(slot)?.clear(&mut self.txn).map_err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_cut_short_is_a_full_disk_only_where_there_is_no_space() {
        let folder = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(host::RealFiles);
        let mut engine = LmdbEngine::open(files, folder.path(), 1 << 20).unwrap();
        let short = || error(heed::Error::Io(std::io::Error::from_raw_os_error(libc::EIO)));
        assert!(matches!(engine.error_of_write(short()), StorageError::Io { .. }));
        // The kernel's file system without any space.
        engine.folder = "/proc".into();
        assert!(matches!(engine.error_of_write(short()), StorageError::DiskFull(_)));
    }
}
