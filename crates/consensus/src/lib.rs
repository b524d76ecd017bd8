//! Level 1. Replication of one shard: an ordered log of opaque entries, behind a trait that the simulator, a one-member
//! group and the real thing all meet. Only this crate imports openraft.
//!
//! ```text
//! sessions --wake--> proposer --next_batch--> openraft --append--> WAL (write, sync)
//!                       ^                        |
//!                       +---- apply (Replica) <--+ committed
//! ```
//!
//! A group of one member has a shorter way: the proposer, or a session that is alone, writes and applies, and openraft is
//! told afterwards (`raft/ahead.rs`).
//!
//! One node has one WAL, one Raft runtime (a thread) and any number of groups (`RaftNode`). Batches are pulled: the
//! one proposer of a group takes the open batch when fewer than `pipe` entries are in flight, so batches grow with
//! load. Nobody answers a proposal: `Replica::apply` does, or the loss of the term.
//!
//! I1  Entries are applied once per life of the process, in log order, after they are durable on a quorum.
//! I2  A restarted leader leads a *new* term: batch numbers within a term are never used twice (R7).
//! I3  `read_lease` is Some only while no other member can have been elected: alone, for as long as it leads.
//!
//! One-member commit with one busy group: 1 pwrite, 1 fdatasync (`examples/commits.rs`), 2 hops between threads, and none
//! from a session that is alone.
//! Leaves out, for later: members on other nodes (the network answers "unreachable"), images, transfers.

mod raft;
mod rehearsal;

pub use raft::{GroupOptions, NodeOptions, RaftNode};
pub use rehearsal::Rehearsal;

use bytes::Bytes;
use std::sync::Arc;

/// The state machine's side, implemented by `shard`. Batches are asked for and applied one at a time, by the Raft thread or
/// by a session's that drives the log (`Consensus::drive`).
pub trait Replica: Send + Sync + 'static {
    /// Closes the open batch and hands it over, encoded; None if nothing waits. Called when fewer than `pipe` entries are
    /// in flight, after `wake` or after an apply: batches are pulled, so they grow with load by themselves.
    fn next_batch(&self, term: u64) -> Option<Bytes>;
    /// Whether `next_batch` has one to give.
    fn has_batch(&self, term: u64) -> bool;
    /// A committed entry, in log order. Deterministic; waiters are answered from here.
    fn apply(&self, index: u64, term: u64, entry: Bytes);
    /// Called once per apply round, after its entries: wake-ups of waiting sessions are rung here, once per runtime.
    fn applied_round(&self);
    /// This replica leads `term` and has applied everything up to its own first entry of it (R4: the rest is shard's).
    fn leader_started(&self, term: u64);
    /// Leadership of `term` is lost: everything in flight has an unknown outcome until the log tells.
    fn leader_stopped(&self, term: u64);
    /// Log index that is safely in the segment (flushed): the log below may be dropped.
    fn flushed(&self) -> u64;
}

/// One group's handle.
pub trait Consensus: Send + Sync {
    /// There may be something in the open batch. Cheap; a no-op while the pipe is full.
    fn wake(&self);
    /// The same, from a session that nobody else of its thread would wait for: where nothing is under way in a group of
    /// one member, the batch is written, synced, applied and answered on this thread before it returns.
    fn drive(&self) {
        self.wake();
    }
    /// The term this replica leads and may serve reads in right now (its lease is valid), else None. Read it *after* the data.
    fn read_lease(&self) -> Option<u64>;
    /// The leader's node id as far as this replica knows.
    fn leader(&self) -> Option<u64>;
    /// Highest log index applied here.
    fn applied(&self) -> u64;
    /// False while the log's disk is full: new commits are to be refused (53100) before they enter a batch. What is in
    /// the open batch already waits until there is room.
    fn has_room(&self) -> bool {
        true
    }
}

pub type Group = Arc<dyn Consensus>;
