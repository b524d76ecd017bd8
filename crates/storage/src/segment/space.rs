//! Level 1. Whether there is room for what is still to be flushed: what decides that writers are refused (53100).
//!
//! A commit needs the log, which keeps room of its own (`wal`), and later a flush, which may need as many new pages of
//! the segment's file as the delta has bytes. So writers are refused *before* the disk is full, while the rest still
//! takes what was answered:
//!
//! I1  `Disk`: less than `FREE_MIN` is left, or a flush has met a full disk and none has succeeded since.
//! I2  `Map`: the pages in use have reached `SegmentOptions::map_size`. The map itself is larger by `MAP_RESERVE`, so that
//!     deletions can still be flushed, which is what makes room again.
//!
//! The disk is looked at when somebody asks, and not more often than every `LOOK_EVERY`.

use host::Host;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What a segment lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortage {
    /// Nothing can be written.
    Disk,
    /// Only what makes room can be.
    Map,
}

/// With less left on the disk new writes are refused: a spare file of the log is not among it, nor what was answered.
pub const FREE_MIN: u64 = 16 << 20;
/// Of the map, for deletions: the delta's default limit, and copies of the pages above its rows.
pub const MAP_RESERVE: usize = 1 << 30;
/// Relations of a segment. Each has a slot, and later one for its history, which no flush may want in vain.
pub const RELATIONS_MAX: usize = 16_000;
/// Between two looks at the disk.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub struct Space {
    host: Host,
    /// None: in memory, where nothing is looked at.
    folder: Option<PathBuf>,
    /// Monotonic milliseconds, plus one; 0: never.
    looked_at: AtomicU64,
    is_low: AtomicBool,
    was_refused: AtomicBool,
    is_map_full: AtomicBool,
}

impl Space {
    pub fn new(host: Host, folder: Option<PathBuf>) -> Space {
        let [is_low, was_refused, is_map_full] = Default::default();
        Space { host, folder, looked_at: AtomicU64::new(0), is_low, was_refused, is_map_full }
    }

    pub fn shortage(&self) -> Option<Shortage> {
        self.look();
        if self.is_low.load(Ordering::Acquire) || self.was_refused.load(Ordering::Acquire) {
            return Some(Shortage::Disk);
        }
        self.is_map_full.load(Ordering::Acquire).then_some(Shortage::Map)
    }

    /// A flush has succeeded, and left the map full or not.
    pub fn flushed(&self, is_map_full: bool) {
        self.was_refused.store(false, Ordering::Release);
        self.is_map_full.store(is_map_full, Ordering::Release);
    }

    /// A flush has met a full disk.
    pub fn refused(&self) {
        self.was_refused.store(true, Ordering::Release);
    }

    fn look(&self) {
        let Some(folder) = &self.folder else { return };
        let now = self.host.clock.monotonic().as_millis() as u64 + 1;
        let looked_at = self.looked_at.load(Ordering::Acquire);
        if looked_at != 0 && now < looked_at + LOOK_EVERY.as_millis() as u64 {
            return;
        }
        // One of those who come at the same moment looks.
        if self.looked_at.compare_exchange(looked_at, now, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        // A disk that does not tell is met by the flush.
        let is_low = self.host.files.free_bytes(folder).is_ok_and(|free| free < FREE_MIN);
        if is_low != self.is_low.swap(is_low, Ordering::AcqRel) {
            match is_low {
                true => tracing::error!("less than {} MB are free: new writes are refused (53100)", FREE_MIN >> 20),
                false => tracing::info!("there is room again: writes are taken"),
            }
        }
    }
}
