//! The data folder: who holds it, and which node of which cluster it belongs to.
//!
//! ```text
//! hyrax-data/
//!   lock        held by the running process
//!   identity    format, cluster, node, and a CRC-32 of these lines: written once
//!   log/        the write-ahead log
//!   meta/ data/ the segments
//!   spill/      what statements put aside; emptied at start
//! ```
//!
//! I1  At most one process has a folder open.
//! I2  A folder is used only by a program that knows its format; its identity never changes.
//! I3  A folder with other things in it is left alone.

use host::Host;
use host::files::FileLock;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Format of the folder as this program writes it.
pub const FORMAT: u32 = 1;
/// The node that founds a cluster.
const FIRST_NODE: u64 = 1;

/// How long a folder's last process may take to vanish: one that was killed has it until the system has taken its memory back.
const LOCK_WAIT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

const LOCK: &str = "lock";
const IDENTITY: &str = "identity";
const FIRST_SHARD: &str = "meta";
const KEYS: &[&str] = &["format", "cluster", "node"];
/// How the identity's last line begins.
const SUM: &str = "sum = \"";
/// What may lie in a folder that is still empty: the lock of an earlier attempt, a torn identity, and what file systems
/// put at their root.
const NOT_DATA: &[&str] = &[LOCK, "identity.part", "lost+found"];

/// Why a folder can not be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("the data folder {0} is in use by another process")]
    InUse(PathBuf),
    #[error("{0} is not empty, and no data folder of Hyrax")]
    Foreign(PathBuf),
    #[error("{0} is no data folder of Hyrax: it has no file `identity`")]
    NoData(PathBuf),
    #[error("the data folder {folder} has format {found}, this program writes format {FORMAT}")]
    OtherFormat { folder: PathBuf, found: u32 },
    #[error("the identity file of the data folder {0} can not be read")]
    Damaged(PathBuf),
    #[error("{what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

impl FolderError {
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            FolderError::InUse(_) => Some("Stop the other node, or give this one a folder of its own with --data."),
            FolderError::NoData(_) => Some("Name the folder that `hyrax start --data` was given."),
            FolderError::Foreign(_) => Some("Name an empty or new folder with --data."),
            FolderError::OtherFormat { .. } => Some("Start it with the version of Hyrax that made it."),
            FolderError::Damaged(_) => Some("Restore the file `identity` from a copy; everything else may be intact."),
            FolderError::Io { .. } => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    pub cluster_id: [u8; 16],
    pub node_id: u64,
}

/// An opened folder; given up when dropped.
pub struct DataFolder {
    pub path: PathBuf,
    pub identity: Identity,
    /// Whether this start founds the cluster: there are no shards yet.
    pub is_new: bool,
    _lock: FileLock,
}

impl DataFolder {
    /// Opens a folder, or makes a new one into a node of a new cluster.
    pub fn open(host: &Host, path: &Path) -> Result<DataFolder, FolderError> {
        DataFolder::open_within(host, path, LOCK_WAIT)
    }

    fn open_within(host: &Host, path: &Path, wait: Duration) -> Result<DataFolder, FolderError> {
        let files = host.files.as_ref();
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| FolderError::Io { what, path, source }
        };
        if !files.exists(path) {
            files.create_folder(path).map_err(failed("can not make the data folder", path))?;
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                files.sync_folder(parent).map_err(failed("can not sync", parent))?;
            }
        }
        let names = files.list(path).map_err(failed("can not read the data folder", path))?;
        let identity_file = path.join(IDENTITY);
        let is_known = names.iter().any(|name| name == IDENTITY);
        if !is_known && names.iter().any(|name| !NOT_DATA.contains(&name.as_str())) {
            return Err(FolderError::Foreign(path.to_owned()));
        }
        let lock_file = path.join(LOCK);
        let lock = lock_within(host, &lock_file, wait).map_err(failed("can not lock", &lock_file))?;
        let Some(lock) = lock else { return Err(FolderError::InUse(path.to_owned())) };
        // Under the lock: another process may have founded it meanwhile.
        let is_new = !files.exists(&path.join(FIRST_SHARD));
        let identity = if files.exists(&identity_file) {
            let bytes = files.read(&identity_file).map_err(failed("can not read", &identity_file))?;
            parse(path, &bytes)?
        } else {
            let mut cluster_id = [0; 16];
            host.random.fill(&mut cluster_id);
            let identity = Identity { cluster_id, node_id: FIRST_NODE };
            files
                .replace(&identity_file, show(&identity).as_bytes())
                .map_err(failed("can not write", &identity_file))?;
            identity
        };
        let folder = DataFolder { path: path.to_owned(), identity, is_new, _lock: lock };
        folder.empty_spill(host).map_err(failed("can not empty", &folder.spill()))?;
        Ok(folder)
    }

    /// Opens a stopped node's folder to look at it: nothing is made, removed or written but the lock, if that is missing.
    pub fn open_stopped(host: &Host, path: &Path) -> Result<DataFolder, FolderError> {
        let files = host.files.as_ref();
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| FolderError::Io { what, path, source }
        };
        let identity_file = path.join(IDENTITY);
        if !files.exists(&identity_file) {
            return Err(FolderError::NoData(path.to_owned()));
        }
        let lock_file = path.join(LOCK);
        let lock = files.lock(&lock_file).map_err(failed("can not lock", &lock_file))?;
        let Some(lock) = lock else { return Err(FolderError::InUse(path.to_owned())) };
        let bytes = files.read(&identity_file).map_err(failed("can not read", &identity_file))?;
        let is_new = !files.exists(&path.join(FIRST_SHARD));
        Ok(DataFolder { path: path.to_owned(), identity: parse(path, &bytes)?, is_new, _lock: lock })
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub fn spill(&self) -> PathBuf {
        self.path.join("spill")
    }

    fn empty_spill(&self, host: &Host) -> io::Result<()> {
        let folder = self.spill();
        host.files.create_folder(&folder)?;
        for name in host.files.list(&folder)? {
            host.files.remove(&folder.join(name))?;
        }
        Ok(())
    }
}

/// None: another process still has it after `wait`.
fn lock_within(host: &Host, file: &Path, wait: Duration) -> io::Result<Option<FileLock>> {
    let until = host.clock.monotonic() + wait;
    loop {
        let lock = host.files.lock(file)?;
        if lock.is_some() || host.clock.monotonic() >= until {
            return Ok(lock);
        }
        std::thread::sleep(LOCK_PAUSE);
    }
}

pub fn show_cluster(id: &[u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn show(identity: &Identity) -> String {
    let cluster = show_cluster(&identity.cluster_id);
    let lines = format!("format = {FORMAT}\ncluster = \"{cluster}\"\nnode = {}\n", identity.node_id);
    let sum = show_sum(&lines);
    lines + &sum
}

fn show_sum(lines: &str) -> String {
    format!("{SUM}{:08x}\"\n", crc32fast::hash(lines.as_bytes()))
}

/// The lines that the sum is of; None where it is another's. Folders of before it was written have none.
fn without_sum(text: &str) -> Option<&str> {
    match text.rfind(SUM) {
        Some(at) => text.split_at_checked(at).filter(|(lines, sum)| *sum == show_sum(lines)).map(|(lines, _)| lines),
        None => Some(text),
    }
}

fn parse(folder: &Path, bytes: &[u8]) -> Result<Identity, FolderError> {
    let damaged = || FolderError::Damaged(folder.to_owned());
    let lines = std::str::from_utf8(bytes).ok().and_then(without_sum).ok_or_else(damaged)?;
    let table: toml::Table = lines.parse().map_err(|_| damaged())?;
    if table.keys().any(|name| !KEYS.contains(&name.as_str())) {
        return Err(damaged());
    }
    let number = |name: &str| table.get(name).and_then(toml::Value::as_integer);
    match number("format") {
        Some(found) if found == i64::from(FORMAT) => {}
        Some(found) => {
            let found = u32::try_from(found).map_err(|_| damaged())?;
            return Err(FolderError::OtherFormat { folder: folder.to_owned(), found });
        }
        None => return Err(damaged()),
    }
    let node_id = number("node").and_then(|node| u64::try_from(node).ok()).ok_or_else(damaged)?;
    let cluster = table.get("cluster").and_then(toml::Value::as_str).ok_or_else(damaged)?;
    let number = u128::from_str_radix(cluster, 16).ok().filter(|_| cluster.len() == 32).ok_or_else(damaged)?;
    Ok(Identity { cluster_id: number.to_be_bytes(), node_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<DataFolder, String> {
        open_within(path, Duration::ZERO)
    }

    fn open_within(path: &Path, wait: Duration) -> Result<DataFolder, String> {
        DataFolder::open_within(&Host::real(), path, wait)
            .map_err(|e| e.to_string().replace(&path.display().to_string(), "DIR"))
    }

    #[test]
    fn identity_survives_and_a_folder_has_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/data");
        let first = open(&path).unwrap();
        assert!(first.is_new);
        assert_eq!(open(&path).err().as_deref(), Some("the data folder DIR is in use by another process"));
        let identity = first.identity;
        drop(first);
        let second = open(&path).unwrap();
        assert_eq!((second.identity, second.is_new), (identity, true), "it has no shards yet");
        Host::real().files.create_folder(&path.join("meta")).unwrap();
        drop(second);
        assert!(!open(&path).unwrap().is_new);
    }

    #[test]
    fn a_process_that_is_about_to_end_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let first = open(&path).unwrap();
        let ends = host::spawn::thread("ends", 1 << 20, move || {
            std::thread::sleep(LOCK_PAUSE * 3);
            drop(first);
        });
        assert!(open_within(&path, Duration::from_secs(60)).is_ok());
        ends.unwrap().join().unwrap();
    }

    #[test]
    fn other_folders_are_left_alone() {
        let host = Host::real();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| host.files.replace(&folder.path().join(name), text.as_bytes()).unwrap();
        write("diary", "dear diary");
        assert_eq!(open(folder.path()).err().as_deref(), Some("DIR is not empty, and no data folder of Hyrax"));
        write("identity", "format = 2\ncluster = \"00\"\nnode = 1\n");
        let error = open(folder.path()).err();
        assert_eq!(error.as_deref(), Some("the data folder DIR has format 2, this program writes format 1"));
        for damaged in ["", "format = 1\n", "format = 1\ncluster = \"zz\"\nnode = 1\n", "format = \"1\"\n"] {
            write("identity", damaged);
            assert!(open(folder.path()).err().unwrap().contains("identity"), "{damaged}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_in_the_identity_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::real();
        drop(open(folder.path()).unwrap());
        let file = folder.path().join(IDENTITY);
        let bytes = host.files.read(&file).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let parsed = parse(folder.path(), &bytes);
            assert!(matches!(parsed, Err(FolderError::Damaged(_))), "bit {bit}: {parsed:?}");
        }
        let (lines, _) = bytes.split_at(bytes.len() - show_sum("").len());
        assert!(parse(folder.path(), lines).is_ok(), "a folder of before there was a sum");
    }

    #[test]
    fn what_was_spilled_before_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let opened = open(&path).unwrap();
        let left = opened.spill().join("spill-7");
        Host::real().files.replace(&left, b"rows").unwrap();
        drop(opened);
        let _again = open(&path).unwrap();
        assert!(!left.exists());
    }
}
