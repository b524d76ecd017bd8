//! Rows of TEMP relations: in memory, one segment for each session that has any.
//!
//! I1  Only its own session reads a segment, and always the newest: no history is kept.
//! I2  All of them together take no more than `Limits::temporary_bytes`, told before anything of a transaction is committed;
//!     what is deleted, truncated or dropped makes room.

use crate::transaction::SessionId;
use crate::{Result, TxnError};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use host::Host;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use storage::segment::{Segment, SegmentOptions};
use storage::{Mutation, StorageId, Timestamp};

/// A session that drops TEMP relations while it holds more has them removed at once.
const DROPPED_KEPT: u64 = 16 << 20;
/// Memory of a row beside its key and value.
const ROW_OVERHEAD: usize = 200;

#[derive(Default)]
pub(crate) struct TemporaryRows {
    sessions: Mutex<HashMap<SessionId, Arc<Temporary>, FixedState>>,
    /// The sum of what the segments hold.
    held: AtomicU64,
}

struct Temporary {
    segment: Segment,
    written: AtomicU64,
    /// What the segment held when it was counted last.
    held: AtomicU64,
}

impl TemporaryRows {
    fn of(&self, host: &Host, session: SessionId) -> Result<Arc<Temporary>> {
        let mut all = self.sessions.lock();
        if let Some(found) = all.get(&session) {
            return Ok(found.clone());
        }
        let options = SegmentOptions { history_us: 0, ..SegmentOptions::in_memory("temporary") };
        let (segment, _) = Segment::open(host.clone(), options)?;
        let made = Arc::new(Temporary { segment, written: AtomicU64::new(0), held: AtomicU64::new(0) });
        all.insert(session, made.clone());
        Ok(made)
    }

    pub fn segment_of(&self, host: &Host, session: SessionId) -> Result<Segment> {
        Ok(self.of(host, session)?.segment.clone())
    }

    fn count(&self, session: SessionId, temporary: &Arc<Temporary>) {
        // Not of a session that has ended meanwhile, whose share is given back.
        let sessions = self.sessions.lock();
        if !sessions.get(&session).is_some_and(|known| Arc::ptr_eq(known, temporary)) {
            return;
        }
        let held = temporary.segment.bytes_held();
        let before = temporary.held.swap(held, Ordering::Relaxed);
        // Two's complement: adding a negative number takes it away.
        self.held.fetch_add(held.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Whether there is memory for these rows.
    pub fn admit(&self, mutations: &[Mutation], limit: u64) -> Result<()> {
        let size =
            |mutation: &Mutation| mutation.value.as_ref().map(|value| mutation.key.len() + value.len() + ROW_OVERHEAD);
        let wanted = mutations.iter().filter_map(size).sum::<usize>() as u64;
        let is_room = || wanted == 0 || self.held.load(Ordering::Relaxed).saturating_add(wanted) <= limit;
        if is_room() {
            return Ok(());
        }
        let all: Vec<_> =
            self.sessions.lock().iter().map(|(session, temporary)| (*session, temporary.clone())).collect();
        for (session, temporary) in all {
            temporary.segment.compact()?;
            self.count(session, &temporary);
        }
        if is_room() { Ok(()) } else { Err(TxnError::TemporaryFull { limit }) }
    }

    pub fn write(&self, host: &Host, session: SessionId, at: Timestamp, mutations: &[Mutation]) -> Result<()> {
        let temporary = self.of(host, session)?;
        // One session, one transaction at a time: in order by itself.
        let index = temporary.written.fetch_add(1, Ordering::AcqRel) + 1;
        temporary.segment.set_horizon(at);
        temporary.segment.apply(index, at, mutations);
        self.count(session, &temporary);
        Ok(())
    }

    pub fn drop_relation(&self, session: SessionId, storage: StorageId) {
        let found = self.sessions.lock().get(&session).cloned();
        let Some(temporary) = found else { return };
        temporary.segment.drop_relation(storage);
        if temporary.held.load(Ordering::Relaxed) > DROPPED_KEPT {
            // An in-memory segment has nothing that could fail but its own damage, which its next reader is told.
            _ = temporary.segment.compact();
            self.count(session, &temporary);
        }
    }

    pub fn end_session(&self, session: SessionId) {
        if let Some(temporary) = self.sessions.lock().remove(&session) {
            self.held.fetch_sub(temporary.held.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
