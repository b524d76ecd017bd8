//! Level 1. A group of one, ahead of openraft: who claims the log writes the open batch, applies it and answers; openraft is
//! handed the entries later, many at a time.
//!
//! With one member "durable here" is "committed", and only the leader's own proposals make entries, so index and term of
//! the next one are known. openraft's way of an entry (its tasks, channels and metrics) is some 45,000 instructions, a
//! third of what a small commit costs; handed over in bulk it is a few thousand and no client waits for it. A session
//! that is alone on its thread drives the log itself: no hop to the Raft thread and back around its one sync.
//!
//! ```text
//! claim -> next_batch -> WAL (write, sync) -> window -> Replica::apply -> applied_round -> let go
//!                                               |
//!                                               +-- 64 of them, or once a second --> openraft: append and apply find
//!                                                                                    them done
//! ```
//!
//! I1  One at a time: nothing is written ahead without the claim, nor while a batch is on openraft's way (`in_flight`).
//! I2  What openraft appends at an index written ahead is that entry. Anything else (a membership change, a blank entry of
//!     another term) would be a second entry under one index: the node stops.
//! I3  Before a batch goes openraft's way again (`is_inline` was taken back), everything written ahead is handed over.
//! I4  Nothing is handed over before it is applied, so nothing is applied twice.
//! I5  A claim is let go before the proposer is told of what waits: who saw a claim and did not wake anybody is served.

use super::log::record;
use super::machine::Machine;
use super::shared::Shared;
use super::types::{Batch, LogEntry, Payload, Types, log_id};
use super::{ROOM_EVERY, Raft};
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::{StopOnPanic, StorageError};

/// Entries that are handed over together.
const HANDED_TOGETHER: u64 = 64;
/// A write and sync that took longer is left to the Raft thread the next time: a session's thread serves others, too.
const QUICK: Duration = Duration::from_millis(2);

/// The right to write the group's log.
pub struct Claim<'s>(&'s Shared);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.is_claimed.store(false, Ordering::SeqCst);
        // A full pipe: the apply that empties it asks.
        if self.0.in_flight.load(Ordering::SeqCst) < self.0.pipe() && self.0.has_batch() {
            self.0.proposer.notify_one();
        }
    }
}

/// A batch that was taken from the replica in a term and is not in the log yet.
pub struct Taken {
    term: u64,
    pub batch: Bytes,
}

impl Shared {
    pub fn claim(&self) -> Option<Claim<'_>> {
        let free = self.is_claimed.compare_exchange(false, true, Ordering::SeqCst, Ordering::SeqCst);
        free.is_ok().then(|| Claim(self))
    }

    fn has_batch(&self) -> bool {
        let term = self.leading.load(Ordering::SeqCst);
        term != 0 && (self.held.lock().is_some() || self.replica.has_batch(term))
    }

    /// Entries that openraft does not know yet.
    fn unhanded(&self) -> u64 {
        self.written.load(Ordering::SeqCst).saturating_sub(self.handed.load(Ordering::SeqCst))
    }

    pub fn wants_hand_over(&self) -> bool {
        self.unhanded() >= HANDED_TOGETHER || self.is_hand_over_due.load(Ordering::Relaxed) && self.unhanded() > 0
    }

    /// Gives openraft what was written ahead, in order. Only the proposer may. False: the core has ended.
    pub async fn hand_over(&self, raft: &Raft<Types, Machine>) -> bool {
        self.is_hand_over_due.store(false, Ordering::Relaxed);
        let from = self.handed.load(Ordering::SeqCst) + 1;
        // Not what a session's thread is applying just now: openraft would apply it, too.
        let entries = self.log.lock().range(from..=self.written.load(Ordering::SeqCst));
        for entry in entries {
            let Payload::Normal(batch) = entry.payload else { continue };
            if raft.client_write_ff(batch, None).await.is_err() {
                return false;
            }
            self.handed.fetch_max(entry.log_id.index, Ordering::SeqCst);
        }
        true
    }

    /// Writes, applies and answers the open batch on the calling thread, which is a session's; false: it is left to the
    /// proposer (whom the caller wakes), because others are at work or the disk is slow or full.
    pub fn drive_here(&self) -> bool {
        let is_quick = self.last_write_us.load(Ordering::Relaxed) < QUICK.as_micros() as u64;
        if !is_quick || !self.common.files.latency().is_zero() {
            return false;
        }
        let Some(claim) = self.claim() else { return false };
        let Some(term) = claim.may_write_ahead() else { return false };
        let Some(taken) = claim.next_batch(term) else { return true };
        let entry = claim.entry(&taken);
        let written = self.timed(|| {
            self.common.wal.reserve(taken.batch.len() as u64)?;
            self.common.wal.append(&[record(self.group, &entry)])
        });
        match written {
            Ok(()) => claim.land(entry),
            // The proposer waits for room.
            Err(StorageError::DiskFull(_)) => *self.held.lock() = Some(taken),
            Err(_) => self.stop_leading(),
        }
        if self.wants_hand_over() {
            self.proposer.notify_one();
        }
        true
    }

    fn timed<R>(&self, write: impl FnOnce() -> R) -> R {
        let begun = host::clock::monotonic();
        let result = write();
        let took = host::clock::monotonic().saturating_sub(begun).as_micros();
        self.last_write_us.store(u64::try_from(took).unwrap_or(u64::MAX), Ordering::Relaxed);
        result
    }
}

impl Claim<'_> {
    /// The term in which the next batch may be written ahead; None: openraft has one under way, or has to have it.
    pub fn may_write_ahead(&self) -> Option<u64> {
        let term = self.0.leading.load(Ordering::SeqCst);
        let is_alone = self.0.common.is_inline.load(Ordering::SeqCst) && self.0.in_flight.load(Ordering::SeqCst) == 0;
        (term != 0 && is_alone).then_some(term)
    }

    /// The batch that is to be written next.
    pub fn next_batch(&self, term: u64) -> Option<Taken> {
        // Of an ended term: its waiters were told that nothing is known of it.
        if let Some(held) = self.0.held.lock().take().filter(|held| held.term == term) {
            return Some(held);
        }
        self.0.replica.next_batch(term).map(|batch| Taken { term, batch })
    }

    /// Writes, applies and answers a batch on the Raft thread. False: the log is broken.
    pub async fn drive(&self, taken: Taken) -> bool {
        let shared = self.0;
        while let Err(StorageError::DiskFull(_)) = shared.common.wal.reserve(taken.batch.len() as u64) {
            host::clock::sleep(ROOM_EVERY).await;
        }
        let entry = self.entry(&taken);
        let records = [record(shared.group, &entry)];
        shared.common.device_time().await;
        loop {
            match shared.timed(|| shared.common.wal.append(&records)) {
                Ok(()) => break,
                Err(StorageError::DiskFull(_)) => host::clock::sleep(ROOM_EVERY).await,
                Err(_) => {
                    // The node is stopping (`WalOptions::fatal`); where it only takes note, it leads no more.
                    shared.stop_leading();
                    return false;
                }
            }
        }
        shared.common.device_time().await;
        self.land(entry);
        true
    }

    fn entry(&self, taken: &Taken) -> LogEntry {
        let last = self.0.log.lock().last().map_or(0, |id| id.index);
        LogEntry { log_id: log_id(taken.term, last + 1), payload: Payload::Normal(Batch(taken.batch.clone())) }
    }

    /// It is durable.
    fn land(&self, entry: LogEntry) {
        let shared = self.0;
        let (term, index) = (entry.log_id.leader_id.term, entry.log_id.index);
        let Payload::Normal(Batch(batch)) = entry.payload.clone() else { return };
        // A session's panic ends the session; here the replicated state may be half changed, so the node stops.
        let _stop = StopOnPanic { fatal: &shared.common.fatal, place: "the replicated state machine" };
        shared.log.lock().push(entry);
        shared.replica.apply(index, term, batch);
        shared.applied.fetch_max(index, Ordering::SeqCst);
        // Last: from here on it may be handed over (I4).
        shared.written.fetch_max(index, Ordering::SeqCst);
        shared.replica.applied_round();
    }
}
