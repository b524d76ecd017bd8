//! Level 1. Segments: versions of rows, newest first, in a delta over a base (LMDB or memory).
//!
//! ```text
//!   apply (state machine)            readers: View = one generation
//!      |                                |        |          |
//!      v                                v        v          v
//!   active delta  --freeze-->  frozen delta  --flush-->  base (rows + history), applied index, replicated state
//! ```
//!
//! Owns the segment's folder. Written by one state machine through `entry`, read by any thread through `view`.
//!
//! I1  What was applied is visible to every view taken afterwards.
//! I2  The base holds exactly the effects of the log up to `flushed()`, with the replicated state of the same index,
//!     whatever moment the power goes.
//! I3  A version is readable at `at` for every `at` at or above the horizon.
//! I4  No LMDB reader outlives the next generation or two (`view`).
//!
//! A full disk, or a full map: `shortage` says so before a flush meets it, and writers are to be refused by those above
//! (`space`). A flush that is refused is tried again each second; the frozen delta stays and reads go on. Any other write
//! error is fatal (`SegmentOptions::fatal`).
//!
//! `delta` is the memory side, `engine` (with `lmdb`, `memory`) the disk side, `stored` the bytes, `base` one
//! committed state, `walk`, `view` and `versions` the readers, `flush` and `collect` the writer, `space` whether there is room, `verify`
//! whether all is well.

mod base;
mod block;
mod collect;
mod delta;
mod engine;
mod flush;
mod lmdb;
mod memory;
mod space;
mod stored;
mod verify;
mod versions;
mod view;
mod walk;
mod writer;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

pub use block::Block;
pub use memory::{Gate, MemoryStore};
pub use space::{FREE_MIN, MAP_RESERVE, RELATIONS_MAX, Shortage};
pub use verify::Verified;
pub use versions::{Chunk, Versions};
pub use view::{Cursor, Newest, Value, Version, View};
pub use walk::Entry;
pub use writer::{ApplyEntry, Recovered, Segment};

use crate::Fatal;
use base::BaseState;
use bytes::Bytes;
use delta::Delta;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Direction {
    Forward,
    Backward,
}

/// The replicated state that is flushed with the rows (prepared transactions, outcomes, watermarks, …).
pub trait StateImage: Send + Sync + 'static {
    /// The state after the last finished entry. Called between two entries, under the lock that `Segment::entry`
    /// takes: whoever holds a lock that this needs must not call `entry` meanwhile.
    fn image(&self) -> Bytes;
}

/// How a segment is opened.
#[derive(Clone)]
pub struct SegmentOptions {
    /// `None`: the in-memory engine. It has no thread: a flush runs in the state machine's.
    pub folder: Option<PathBuf>,
    /// The folder's base is only read, and never flushed to: what is applied stays in memory. It must be there already.
    pub is_read_only: bool,
    /// What the in-memory engine keeps over a reopening; `None` is a new one.
    pub memory: Option<Arc<MemoryStore>>,
    /// For messages and thread names.
    pub name: String,
    /// A flush begins at so many versions, so many bytes, or so long after the first entry that is not flushed.
    pub flush_rows: u64,
    pub flush_bytes: u64,
    pub flush_after: Duration,
    /// Bytes of pages that may be in use; the file grows as it is filled. The address space taken is `map_reserve` more.
    pub map_size: usize,
    /// For deletions, when the rest is full.
    pub map_reserve: usize,
    /// Relations that have rows, and dropped ones whose history somebody may still read.
    pub relations_max: usize,
    /// How long superseded versions are kept, in microseconds, where `set_retention` says nothing else.
    pub history_us: u64,
    /// The unflushed delta's limit in bytes: `pressure` is 1 there.
    pub delta_bytes_max: u64,
    /// Called when a write fails for another reason than space.
    pub fatal: Fatal,
}

impl SegmentOptions {
    /// A segment on disk with the defaults of `architecture.md`.
    pub fn on_disk(folder: impl Into<PathBuf>, name: impl Into<String>) -> SegmentOptions {
        SegmentOptions { folder: Some(folder.into()), ..SegmentOptions::in_memory(name) }
    }

    /// An in-memory one.
    pub fn in_memory(name: impl Into<String>) -> SegmentOptions {
        SegmentOptions {
            folder: None,
            is_read_only: false,
            memory: None,
            name: name.into(),
            flush_rows: 200_000,
            flush_bytes: 64 << 20,
            flush_after: Duration::from_secs(5),
            map_size: 1 << 40,
            map_reserve: MAP_RESERVE,
            relations_max: RELATIONS_MAX,
            history_us: 60_000_000,
            delta_bytes_max: 512 << 20,
            fatal: crate::fatal_abort(),
        }
    }
}

/// What readers see at one moment.
struct Generation {
    active: Arc<Delta>,
    frozen: Option<Arc<Delta>>,
    base: Arc<BaseState>,
}

impl Generation {
    /// Newest first.
    fn deltas(&self) -> impl Iterator<Item = &Arc<Delta>> {
        std::iter::once(&self.active).chain(&self.frozen)
    }

    fn sources(&self) -> [Option<&Arc<Delta>>; 2] {
        [Some(&self.active), self.frozen.as_ref()]
    }
}
