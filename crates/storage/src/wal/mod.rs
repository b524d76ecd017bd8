//! Level 1. The write-ahead log: one for all groups of a node.
//!
//! ```text
//! 00…07.log  00…08.log  00…09.log   spare-1.log
//! [records ………][records ………][records …|zeros ]   zeroed, for the next
//!  ^oldest: dropped when every group has purged what is in it, and becomes a spare
//! ```
//!
//! Owns the folder `log`. Files of 64 MB are zeroed ahead and recycled, so that a sync writes data alone. A record
//! (`record`) is an entry, a truncation, a purge or a small state of a group (its vote, …); one that does not fit
//! into what is left of a file goes on in the next. Every file begins with all groups' states, and the first write after a
//! start has them again (a crash may have cut off a file's first write), so that older files are needed for entries alone.
//!
//! I1  `append` returns, or a `submit`'s callback is called with `Ok`, when the records are on disk.
//! I2  Recovery gives back every record of I1 and, of what was being written, a prefix; never a hole.
//! I3  Damage below what was known to be synced is refused (`recover`), never cut off.
//! I4  After a failed write or sync nothing more is written: `fatal` is called, all later calls fail. A full disk is
//!     no failure: space is made *before* a record is written, and if there is none the append is refused whole.
//!
//! Two ways in, one log: `append` writes and syncs on the caller's thread (a node with one busy group of one member:
//! no hop); `submit` leaves it to the log thread, where one sync serves all that has gathered. An `append` first
//! writes what is queued, so the order of calls is the order in the log.
//!
//! Cost of `append`: one pwrite, one fdatasync; each payload is copied once.

mod file;
mod record;
mod recover;
mod writer;

#[cfg(test)]
mod tests;

pub use recover::{GroupLog, LogEntry};
pub use writer::{Done, Wal, WalOptions};

use crate::Result;
use bytes::Bytes;
use host::Files;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A log that was read and left as it is.
pub struct Contents {
    pub groups: BTreeMap<u64, GroupLog>,
    pub files: u64,
    pub records: u64,
    /// Where a crash cut a write off: a file's name and the offset in it.
    pub torn: Option<(String, u64)>,
}

/// Reads the log of a node that does not run, as `Wal::open` would, and writes nothing. Errors are what `Wal::open` would
/// refuse too.
pub fn read(files: Arc<dyn Files>, path: &Path, file_bytes: u64) -> Result<Contents> {
    let folder = file::Folder::of(files, path, file_bytes);
    let found = recover::recover(&folder)?;
    Ok(found.map_or_else(
        || Contents { groups: BTreeMap::new(), files: 0, records: 0, torn: None },
        |found| Contents {
            files: found.files.len() as u64,
            records: found.records,
            torn: found.torn.map(|(number, offset)| (folder.name_of(number), offset)),
            groups: found.groups,
        },
    ))
}

/// What a record says about its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// An entry; `flavor` is the owner's (normal, blank, membership).
    Entry { flavor: u8, payload: Bytes },
    /// Entries at and above `index` are void.
    Truncate,
    /// A small state of the group under a number of the owner's (0..8): the newest counts.
    State { number: u8, payload: Bytes },
}

/// A record to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    pub group: u64,
    pub index: u64,
    pub term: u64,
    pub body: Body,
}

/// Small states per group, and the bytes of one.
pub const STATES_MAX: u8 = 8;
pub const STATE_BYTES_MAX: usize = 4096;
