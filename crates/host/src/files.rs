//! Files as the log and the data folder need them: positioned reads and writes, syncs, renames.
//!
//! A failed `sync` says that nothing is known about what was written (the page cache may have dropped it);
//! callers stop the node (`traps.md`, fsync_failed_then_ok).

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

/// An open file. Positioned, so that no seek position is shared.
pub trait File: Send + Sync {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// `fdatasync`: data and what is needed to read it back.
    fn sync_data(&self) -> io::Result<()>;
    fn size(&self) -> io::Result<u64>;
    fn set_size(&self, size: u64) -> io::Result<()>;
}

/// A file system. Paths are the operating system's.
pub trait Files: Send + Sync {
    /// Opens for reading and writing; `create` makes it if absent.
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn File>>;
    fn exists(&self, path: &Path) -> bool;
    /// Names in a folder, sorted.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes names in a folder durable (creation, rename, removal).
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Bytes that may still be written on the file system of `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let _ = path;
        Ok(u64::MAX)
    }
    /// How long a write and sync takes where time is simulated: the writer waits so long on its runtime's clock. Zero
    /// where calls take their time themselves.
    fn latency(&self) -> Duration {
        Duration::ZERO
    }
    /// Takes a file for this process alone, making it if absent; None if another process has it. Given back when the
    /// handle is dropped, or the process ends in any way.
    fn lock(&self, path: &Path) -> io::Result<Option<FileLock>>;
    /// Writes a whole small file so that after a crash the old or the new content is there.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()>;
}

/// Holds a file for this process.
pub struct FileLock(#[allow(dead_code)] Option<std::fs::File>);

impl FileLock {
    /// For file systems that no other process can reach.
    pub fn unshared() -> FileLock {
        FileLock(None)
    }
}

pub struct RealFiles;

struct RealFile(std::fs::File);

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_len(size)
    }
}

impl Files for RealFiles {
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn File>> {
        let file = std::fs::OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?;
        Ok(Box::new(RealFile(file)))
    }
    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::File::open(folder)?.sync_all()
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
        let mut about = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
        // SAFETY: both pointers are valid for the call; the answer is plain numbers, zeroed before.
        let (result, about) = unsafe { (libc::statvfs(path.as_ptr(), about.as_mut_ptr()), about.assume_init()) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(about.f_bavail.saturating_mul(about.f_frsize))
    }
    fn lock(&self, path: &Path) -> io::Result<Option<FileLock>> {
        let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(FileLock(Some(file)))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let part = path.with_extension("part");
        let file = self.open(&part, true)?;
        file.set_size(0)?;
        file.write_all_at(content, 0)?;
        file.sync_data()?;
        drop(file);
        self.rename(&part, path)?;
        match path.parent() {
            Some(folder) => self.sync_folder(folder),
            None => Ok(()),
        }
    }
}

#[test]
fn free_bytes_of_a_folder_are_known() {
    let free = RealFiles.free_bytes(&std::env::temp_dir()).unwrap();
    assert!(free > 0 && free < u64::MAX);
    assert!(RealFiles.free_bytes(Path::new("/no/such/folder")).is_err());
}
