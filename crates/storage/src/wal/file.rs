//! Level 1. The log's files: names, zeroing ahead, spares.
//!
//! I1: bytes are only written where a file has been zeroed (or was used before): such a write needs no space, so
//! that a full disk is met here and nowhere else. I2: the zeroer never writes below `zeroed`, the writer never above.

use crate::{Result, StorageError};
use host::bugs::{self, Bug};
use host::{File, Files};
use parking_lot::Mutex;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Zeroed at once.
const CHUNK: u64 = 1 << 20;

/// A file of the log, open.
pub struct LogFile {
    pub number: u64,
    pub file: Box<dyn File>,
    /// Bytes from the start that may be written.
    zeroed: AtomicU64,
    /// Held while zeros are written behind them.
    zeroing: Mutex<()>,
}

impl LogFile {
    /// Makes the first `up_to` bytes writable.
    pub fn zero_to(&self, up_to: u64) -> Result<()> {
        while self.zeroed() < up_to {
            let _zeroing = self.zeroing.lock();
            let zeroed = self.zeroed();
            let size = CHUNK.min(up_to.saturating_sub(zeroed));
            self.file.write_all_at(&vec![0; size as usize], zeroed).map_err(|error| of_space("log file", error))?;
            self.zeroed.store(zeroed + size, Ordering::Release);
        }
        Ok(())
    }

    /// Zeroes what has been written from `offset` on.
    pub fn zero_from(&self, offset: u64) -> Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut at = offset;
        while at < self.zeroed() {
            let size = (self.zeroed() - at).min(zeros.len() as u64);
            self.file.write_all_at(&zeros[..size as usize], at).map_err(|error| of_io("log file", error))?;
            at += size;
        }
        Ok(())
    }

    pub fn zeroed(&self) -> u64 {
        self.zeroed.load(Ordering::Acquire)
    }

    fn new(number: u64, file: Box<dyn File>, zeroed: u64) -> LogFile {
        LogFile { number, file, zeroed: AtomicU64::new(zeroed), zeroing: Mutex::new(()) }
    }
}

/// The folder.
pub struct Folder {
    files: Arc<dyn Files>,
    path: PathBuf,
    pub file_bytes: u64,
}

/// An error of making space: full, or something worse.
pub fn of_space(what: &str, error: std::io::Error) -> StorageError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StorageError::DiskFull(format!("{what}: {error}")),
        _ => of_io(what, error),
    }
}

pub fn of_io(what: &str, source: std::io::Error) -> StorageError {
    StorageError::Io { what: what.to_owned(), source }
}

impl Folder {
    pub fn open(files: Arc<dyn Files>, path: &Path, file_bytes: u64) -> Result<Folder> {
        files.create_folder(path).map_err(|error| of_space("log folder", error))?;
        Ok(Folder::of(files, path, file_bytes))
    }

    /// One that is there.
    pub fn of(files: Arc<dyn Files>, path: &Path, file_bytes: u64) -> Folder {
        Folder { files, path: path.to_owned(), file_bytes }
    }

    fn path_of(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:020}.log"))
    }

    fn spare_path(&self, spare: u64) -> PathBuf {
        self.path.join(format!("spare-{spare}.log"))
    }

    pub fn name_of(&self, number: u64) -> String {
        self.path_of(number).display().to_string()
    }

    /// Numbers of the log's files, in order.
    pub fn numbers(&self) -> Result<Vec<u64>> {
        let names = self.files.list(&self.path).map_err(|error| of_io("log folder", error))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Names of the spares.
    pub fn spares(&self) -> Result<Vec<u64>> {
        let names = self.files.list(&self.path).map_err(|error| of_io("log folder", error))?;
        Ok(names.iter().filter_map(|name| name.strip_prefix("spare-")?.strip_suffix(".log")?.parse().ok()).collect())
    }

    pub fn open_file(&self, number: u64) -> Result<LogFile> {
        let file = self.files.open(&self.path_of(number), false).map_err(|error| of_io("log file", error))?;
        let size = file.size().map_err(|error| of_io("log file", error))?;
        Ok(LogFile::new(number, file, size.min(self.file_bytes)))
    }

    /// A new empty file of the log, `zeroed` bytes of it writable, its name durable.
    pub fn create_file(&self, number: u64, zeroed: u64) -> Result<LogFile> {
        let path = self.path_of(number);
        let file = self.files.open(&path, true).map_err(|error| of_space("log file", error))?;
        let file = LogFile::new(number, file, 0);
        file.zero_to(zeroed)?;
        file.file.sync_data().map_err(|error| of_io("log file", error))?;
        self.sync()?;
        Ok(file)
    }

    /// Makes a spare, zeroed whole and synced. A half-made one is removed again.
    pub fn make_spare(&self, spare: u64) -> Result<()> {
        let path = self.spare_path(spare);
        let part = path.with_extension("part");
        let made = || -> Result<()> {
            let file = self.files.open(&part, true).map_err(|error| of_space("spare log file", error))?;
            let file = LogFile::new(0, file, 0);
            file.zero_to(self.file_bytes)?;
            file.file.sync_data().map_err(|error| of_space("spare log file", error))?;
            self.files.rename(&part, &path).map_err(|error| of_space("spare log file", error))?;
            self.files.sync_folder(&self.path).map_err(|error| of_space("log folder", error))
        };
        made().inspect_err(|_| drop(self.files.remove(&part)))
    }

    /// A spare becomes file `number` of the log.
    pub fn take_spare(&self, spare: u64, number: u64) -> Result<LogFile> {
        let rename = self.files.rename(&self.spare_path(spare), &self.path_of(number));
        rename.map_err(|error| of_io("log file", error))?;
        self.sync()?;
        self.open_file(number)
    }

    /// A file whose records nobody needs becomes a spare. Its number is not used again, so its records are void.
    pub fn recycle(&self, number: u64, spare: u64) -> Result<()> {
        let rename = self.files.rename(&self.path_of(number), &self.spare_path(spare));
        rename.map_err(|error| of_io("log file", error))?;
        self.sync()
    }

    pub fn remove(&self, number: u64) -> Result<()> {
        self.files.remove(&self.path_of(number)).map_err(|error| of_io("log file", error))?;
        self.sync()
    }

    fn sync(&self) -> Result<()> {
        if bugs::is_on(Bug::FolderNotSynced) {
            return Ok(());
        }
        self.files.sync_folder(&self.path).map_err(|error| of_io("log folder", error))
    }
}
