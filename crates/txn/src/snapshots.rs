//! The snapshots in use on this node: nothing that one of them can see is collected.
//!
//! I1: a snapshot is registered under the lock under which its timestamp was taken, so the horizon, which starts from a
//! timestamp taken *before* the look at all parts, is never above a snapshot that it has not seen.

use parking_lot::Mutex;
use shard::Oracle;
use std::collections::BTreeMap;
use storage::Timestamp;

const PARTS: usize = 16;
/// After so long an idle transaction's snapshot is no longer kept (72000; `architecture.md` §9).
pub const SNAPSHOT_AGE_MAX_US: u64 = 3_600_000_000;

#[derive(Default)]
pub struct Snapshots {
    parts: [Mutex<BTreeMap<Timestamp, u32>>; PARTS],
}

impl Snapshots {
    fn part(&self, number: u64) -> &Mutex<BTreeMap<Timestamp, u32>> {
        &self.parts[(number % PARTS as u64) as usize]
    }

    /// A new snapshot for transaction `number`.
    pub async fn take(&self, number: u64, oracle: &Oracle) -> Timestamp {
        loop {
            if let Some(now) = self.try_take(number, oracle) {
                return now;
            }
            oracle.now().await;
        }
    }

    fn try_take(&self, number: u64, oracle: &Oracle) -> Option<Timestamp> {
        let mut part = self.part(number).lock();
        let now = oracle.try_now()?;
        *part.entry(now).or_default() += 1;
        Some(now)
    }

    /// A past moment (`AS OF`), to be held like any other.
    pub fn hold(&self, number: u64, at: Timestamp) {
        *self.part(number).lock().entry(at).or_default() += 1;
    }

    pub fn release(&self, number: u64, snapshot: Timestamp) {
        let mut part = self.part(number).lock();
        if let Some(count) = part.get_mut(&snapshot) {
            *count -= 1;
            if *count == 0 {
                part.remove(&snapshot);
            }
        }
    }

    /// What may be collected up to.
    pub fn horizon(&self, oracle: &Oracle) -> Timestamp {
        let now = oracle.current();
        let oldest_kept = Timestamp(now.0.saturating_sub(SNAPSHOT_AGE_MAX_US << 12));
        let oldest = |part: &Mutex<BTreeMap<Timestamp, u32>>| part.lock().keys().next().copied();
        self.parts.iter().filter_map(oldest).min().unwrap_or(now).min(now).max(oldest_kept)
    }
}
