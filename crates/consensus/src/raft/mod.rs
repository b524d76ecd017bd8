//! Level 1. `Consensus` by openraft: a node's groups, their proposers, and the purge of what is flushed.

mod ahead;
mod log;
mod machine;
mod network;
mod runtime;
mod shared;
#[cfg(test)]
mod tests;
mod types;

use crate::{Consensus, Group, Replica};
use ahead::Claim;
use bytes::Bytes;
use host::spawn::RuntimeThread;
use host::{Host, Spawn, TokioSpawn};
use log::Log;
use machine::Machine;
use network::Alone;
use openraft::{Config, Raft, SnapshotPolicy};
use parking_lot::Mutex;
use shared::{NodeShared, Shared, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;
use storage::wal::{GroupLog, Wal, WalOptions};
use storage::{Result, StorageError};
use tokio::sync::{Notify, oneshot};
use types::{Batch, LogEntry, Payload, StoredMembership, Types};

/// How often a group looks whether its segment has flushed further.
const PURGE_EVERY: Duration = Duration::from_secs(1);
/// While the log's disk is full.
const ROOM_EVERY: Duration = Duration::from_millis(100);
const STACK_BYTES: usize = 2 << 20;

/// A node's part in consensus.
pub struct NodeOptions {
    pub node_id: u64,
    pub host: Host,
    pub wal: WalOptions,
    /// `None`: a thread of its own. The simulator gives its world.
    pub spawn: Option<Arc<dyn Spawn>>,
}

/// One group on this node.
pub struct GroupOptions {
    pub id: u64,
    pub replica: Arc<dyn Replica>,
    /// Whether it carries a load (a data shard). While at most one does, and every group has one member, the log is
    /// written on the Raft thread.
    pub is_busy: bool,
}

/// The node: one log, one runtime, its groups.
pub struct RaftNode {
    node_id: u64,
    common: Arc<NodeShared>,
    spawn: Arc<dyn Spawn>,
    /// What the log had for groups that are not added yet.
    found: Mutex<BTreeMap<u64, GroupLog>>,
    groups: Mutex<Vec<Arc<RaftGroup>>>,
    busy: AtomicUsize,
    /// Last, so that it ends after everything that runs on it is let go.
    thread: Option<RuntimeThread>,
}

struct RaftGroup {
    shared: Arc<Shared>,
    raft: Raft<Types, Machine>,
    is_stopped: Arc<AtomicBool>,
}

impl RaftNode {
    /// Opens the log. Blocks; not to be called from a task.
    pub fn start(options: NodeOptions) -> Result<RaftNode> {
        let fatal = options.wal.fatal.clone();
        let has_threads = options.wal.threads;
        let (wal, found) = Wal::open(&options.host, options.wal)?;
        let files = options.host.files.clone();
        let common = Arc::new(NodeShared { wal, files, is_inline: AtomicBool::new(true), fatal });
        let (spawn, thread): (Arc<dyn Spawn>, _) = match options.spawn {
            Some(spawn) => (spawn, None),
            None => {
                let thread = RuntimeThread::start("raft", STACK_BYTES).map_err(|error| failed("raft thread", error))?;
                (Arc::new(TokioSpawn(thread.handle().clone())), Some(thread))
            }
        };
        if !has_threads {
            spawn.spawn("log files", Box::pin(make_files(Arc::downgrade(&common))));
        }
        Ok(RaftNode {
            node_id: options.node_id,
            common,
            spawn,
            found: Mutex::new(found),
            groups: Mutex::default(),
            busy: AtomicUsize::new(0),
            thread,
        })
    }

    /// Before the first group is added: whether the log has what each group's replica has flushed. Only then is anything of it
    /// changed: what looked like a torn end may have been damage.
    pub fn check(&self, flushed: &[(u64, u64)]) -> Result<()> {
        for (group, flushed) in flushed {
            let found = self.found.lock();
            let log = found.get(group);
            let purged = log.and_then(|log| log.purged).map_or(0, |(index, _)| index);
            let last = log.and_then(|log| log.entries.last()).map_or(purged, |entry| entry.index);
            reaches(*group, *flushed, purged, last)?;
        }
        self.common.wal.begin()
    }

    /// Starts a group: what is in the log above `Replica::flushed` is applied again, then it leads
    /// (`Replica::leader_started`). A group that the log does not know is founded with this node as its one member.
    /// Returns when it runs, which is before it leads.
    pub async fn add_group(&self, options: GroupOptions) -> Result<Group> {
        let started = self.start_group(options)?;
        self.keep(started.await.map_err(|_| ended())??)
    }

    /// The same, blocking; not to be called from a task.
    pub fn add_group_blocking(&self, options: GroupOptions) -> Result<Group> {
        let started = self.start_group(options)?;
        self.keep(started.blocking_recv().map_err(|_| ended())??)
    }

    fn start_group(&self, options: GroupOptions) -> Result<oneshot::Receiver<Result<RaftGroup>>> {
        if options.is_busy && self.busy.fetch_add(1, Ordering::AcqRel) >= 1 {
            self.common.is_inline.store(false, Ordering::SeqCst);
        }
        let found = self.found.lock().remove(&options.id).unwrap_or_default();
        let shared = Arc::new(restore(self.node_id, self.common.clone(), &options, found)?);
        let (answer, started) = oneshot::channel();
        let spawn = self.spawn.clone();
        let task = async move {
            // Nobody waits any more: the node is being stopped.
            let _ = answer.send(start_group(shared, &spawn).await);
        };
        self.spawn.spawn("start group", Box::pin(task));
        Ok(started)
    }

    fn keep(&self, group: RaftGroup) -> Result<Group> {
        let group = Arc::new(group);
        self.groups.lock().push(group.clone());
        Ok(group)
    }

    /// Whether the log is written on the Raft thread.
    pub fn is_inline(&self) -> bool {
        self.common.is_inline.load(Ordering::Acquire)
    }

    /// To be set to false *before* a group gets a second member: a thread that syncs must not be the one that
    /// answers another's heartbeats, and what is written ahead of openraft must have been handed to it (`ahead`).
    pub fn set_inline(&self, is_inline: bool) {
        self.common.is_inline.store(is_inline, Ordering::SeqCst);
    }

    /// Ends all groups: their leaders stop, what is in flight has an unknown outcome. Blocks.
    pub fn stop(&self) {
        let (answer, got) = std::sync::mpsc::channel();
        let groups = std::mem::take(&mut *self.groups.lock());
        let task = async move {
            for group in groups {
                group.is_stopped.store(true, Ordering::Release);
                group.shared.proposer.notify_one();
                let _ = group.raft.shutdown().await;
                group.shared.stop_leading();
            }
            let _ = answer.send(());
        };
        self.spawn.spawn("stop groups", Box::pin(task));
        let _ = got.recv();
    }
}

impl Drop for RaftNode {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop();
        }
    }
}

fn ended() -> StorageError {
    StorageError::Folder("the raft runtime has ended".into())
}

/// Keeps log files ready where the log has no thread for it.
async fn make_files(node: Weak<NodeShared>) {
    loop {
        host::clock::sleep(ROOM_EVERY).await;
        let Some(node) = node.upgrade() else { return };
        if node.wal.make_files().is_err() {
            return;
        }
    }
}

fn failed(what: &str, source: io::Error) -> StorageError {
    StorageError::Io { what: what.to_owned(), source }
}

/// A group's state from its part of the log.
fn restore(node: u64, common: Arc<NodeShared>, options: &GroupOptions, found: GroupLog) -> Result<Shared> {
    let group = options.id;
    let state = |number: u8| found.states.get(usize::from(number)).and_then(Option::as_ref);
    let vote = state(types::STATE_VOTE).map(|bytes| types::decode_vote(bytes).ok_or_else(|| damaged(group, "vote")));
    let membership = state(types::STATE_MEMBERSHIP)
        .map(|bytes| types::decode_stored_membership(bytes).ok_or_else(|| damaged(group, "membership")));
    let mut log = Window { purged: found.purged.map(|(index, term)| types::log_id(term, index)), ..Window::default() };
    for entry in found.entries {
        let log_id = types::log_id(entry.term, entry.index);
        log.entries.push_back(LogEntry { log_id, payload: payload(group, entry)? });
    }
    let flushed = options.replica.flushed();
    let last = log.last().map_or(0, |id| id.index);
    reaches(group, flushed, log.purged.map_or(0, |id| id.index), last)?;
    Ok(Shared {
        group,
        node,
        replica: options.replica.clone(),
        common,
        log: Mutex::new(log),
        vote: Mutex::new(vote.transpose()?),
        membership: Mutex::new(membership.transpose()?.unwrap_or_else(StoredMembership::default)),
        applied: AtomicU64::new(flushed),
        leading: AtomicU64::new(0),
        in_flight: AtomicUsize::new(0),
        proposer: Notify::new(),
        is_claimed: AtomicBool::new(false),
        held: Mutex::new(None),
        written: AtomicU64::new(last),
        handed: AtomicU64::new(last),
        raft_applied: AtomicU64::new(flushed),
        is_hand_over_due: AtomicBool::new(false),
        last_write_us: AtomicU64::new(0),
    })
}

fn damaged(group: u64, what: &str) -> StorageError {
    StorageError::Corrupt(format!("log of group {group}: {what}"))
}

fn payload(group: u64, entry: storage::wal::LogEntry) -> Result<Payload> {
    Ok(match entry.flavor {
        types::FLAVOR_NORMAL => Payload::Normal(Batch(entry.payload)),
        types::FLAVOR_BLANK => Payload::Blank,
        types::FLAVOR_MEMBERSHIP => {
            Payload::Membership(types::decode_membership(&entry.payload).ok_or_else(|| damaged(group, "membership"))?)
        }
        _ => return Err(damaged(group, "an entry of unknown kind")),
    })
}

/// The batch of an entry that has one.
pub(crate) fn batch_of(group: u64, entry: storage::wal::LogEntry) -> Result<Option<Bytes>> {
    Ok(match payload(group, entry)? {
        Payload::Normal(Batch(batch)) => Some(batch),
        Payload::Blank | Payload::Membership(_) => None,
    })
}

/// What is flushed must be in the log or just purged from it: a log that ends before it is not this segment's, and where one begins
/// behind it entries are missing (a segment whose file was removed or cut off has nothing).
pub(crate) fn reaches(group: u64, flushed: u64, purged: u64, last: u64) -> Result<()> {
    if (purged..=last).contains(&flushed) {
        return Ok(());
    }
    let what =
        format!("the segment has entry {flushed}, the log has {purged} to {last}: restore the folder from a backup");
    Err(damaged(group, &what))
}

/// Timings of a group alone: it is elected at once when it starts and nobody waits for its heartbeats, so the clock
/// only costs wake-ups (one per 13/64 of the heartbeat). With followers: `distributed-core.md` §6.
fn config(group: u64) -> std::result::Result<Arc<Config>, openraft::ConfigError> {
    let config = Config {
        cluster_name: format!("group {group}"),
        heartbeat_interval: 1_000,
        election_timeout_min: 3_000,
        election_timeout_max: 5_000,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: 0,
        enable_pre_vote: Some(true),
        // A restarted leader must lead a new term (I2 of the crate).
        enable_leader_restore: Some(false),
        api_channel_size: Some(64),
        notification_channel_size: Some(1024),
        state_machine_channel_size: Some(64),
        ..Config::default()
    };
    config.validate().map(Arc::new)
}

async fn start_group(shared: Arc<Shared>, spawn: &Arc<dyn Spawn>) -> Result<RaftGroup> {
    let raft_failed = |error: String| StorageError::Folder(format!("group {}: {error}", shared.group));
    let config = config(shared.group).map_err(|error| raft_failed(error.to_string()))?;
    let log = Log(shared.clone());
    let raft = Raft::new(shared.node, config, Alone, log, Machine(shared.clone())).await;
    let raft: Raft<Types, Machine> = raft.map_err(|error| raft_failed(error.to_string()))?;
    if !raft.is_initialized().await.map_err(|error| raft_failed(error.to_string()))? {
        let founded = raft.initialize(BTreeSet::from([shared.node])).await;
        founded.map_err(|error| raft_failed(error.to_string()))?;
    } else if is_alone(&shared) {
        // No lease of another can be in force and nobody is asked: no need to wait for a timeout.
        raft.trigger().elect(false).await.map_err(|error| raft_failed(error.to_string()))?;
    }
    let is_stopped = Arc::new(AtomicBool::new(false));
    let group = RaftGroup { shared, raft, is_stopped };
    spawn.spawn("proposer", Box::pin(propose(group.shared.clone(), group.raft.clone(), group.is_stopped.clone())));
    spawn.spawn("purger", Box::pin(purge(group.shared.clone(), group.raft.clone(), group.is_stopped.clone())));
    Ok(group)
}

fn is_alone(shared: &Shared) -> bool {
    let log = shared.log.lock();
    let latest = log.entries.iter().rev().find_map(|entry| match &entry.payload {
        Payload::Membership(membership) => Some(membership.clone()),
        _ => None,
    });
    let membership = latest.unwrap_or_else(|| shared.membership.lock().membership().clone());
    membership.voter_ids().eq([shared.node])
}

/// The one proposer of a group: takes the open batch whenever the pipe has room. One, because two calls might
/// overtake each other and break the order of stamps.
async fn propose(shared: Arc<Shared>, raft: Raft<Types, Machine>, is_stopped: Arc<AtomicBool>) {
    loop {
        shared.proposer.notified().await;
        if is_stopped.load(Ordering::Acquire) {
            return;
        }
        let mut is_alive = true;
        while is_alive {
            // Claimed by a session's thread: it asks for us when it lets go.
            let Some(claim) = shared.claim() else { break };
            match claim.may_write_ahead() {
                Some(term) => {
                    let Some(taken) = claim.next_batch(term) else { break };
                    is_alive = claim.drive(taken).await;
                    drop(claim);
                    // Nothing in here waits, however long batches keep coming: the thread's other tasks have their turn.
                    yield_now().await;
                }
                None => match propose_one(&shared, &raft, claim).await {
                    Some(is_accepted) => is_alive = is_accepted,
                    None => break,
                },
            }
            if is_alive && shared.wants_hand_over() {
                is_alive = shared.hand_over(&raft).await;
            }
        }
        if is_alive && shared.wants_hand_over() {
            is_alive = shared.hand_over(&raft).await;
        }
        if !is_alive {
            // The core has ended (it logged why): whatever is in flight is unknown.
            shared.stop_leading();
            return;
        }
    }
}

async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A batch by openraft's way. None: there is none, or the pipe is full; false: the core has ended.
async fn propose_one(shared: &Shared, raft: &Raft<Types, Machine>, claim: Claim<'_>) -> Option<bool> {
    let term = shared.leading.load(Ordering::SeqCst);
    if term == 0 || shared.in_flight.load(Ordering::SeqCst) >= shared.pipe() {
        return None;
    }
    let taken = claim.next_batch(term)?;
    // Before the claim goes: while it is in flight nothing is written ahead.
    shared.in_flight.fetch_add(1, Ordering::SeqCst);
    drop(claim);
    if !shared.hand_over(raft).await {
        return Some(false);
    }
    while let Err(StorageError::DiskFull(_)) = shared.common.wal.reserve(taken.batch.len() as u64) {
        host::clock::sleep(ROOM_EVERY).await;
    }
    Some(raft.client_write_ff(Batch(taken.batch), None).await.is_ok())
}

/// Tells openraft what the segment has, which purges the log up to there.
async fn purge(shared: Arc<Shared>, raft: Raft<Types, Machine>, is_stopped: Arc<AtomicBool>) {
    loop {
        host::clock::sleep(PURGE_EVERY).await;
        if is_stopped.load(Ordering::Acquire) {
            return;
        }
        shared.is_hand_over_due.store(true, Ordering::Relaxed);
        if shared.wants_hand_over() {
            shared.proposer.notify_one();
        }
        let purged = shared.log.lock().purged.map_or(0, |id| id.index);
        let flushed = shared.flushed().map_or(0, |id| id.index);
        if flushed > purged && raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}

impl Consensus for RaftGroup {
    fn wake(&self) {
        // Whoever sees a claim or a full pipe has put its work into the batch before: who lets the claim go, or the
        // apply that empties the pipe, asks for the next batch after that.
        let is_claimed = self.shared.is_claimed.load(Ordering::SeqCst);
        if !is_claimed && self.shared.in_flight.load(Ordering::SeqCst) < self.shared.pipe() {
            self.shared.proposer.notify_one();
        }
    }

    fn drive(&self) {
        if !self.shared.drive_here() {
            self.wake();
        }
    }

    fn read_lease(&self) -> Option<u64> {
        // Alone, nobody else can be elected. With followers: last_quorum_acked + lease - margin > now.
        match self.shared.leading.load(Ordering::SeqCst) {
            0 => None,
            term => Some(term),
        }
    }

    fn leader(&self) -> Option<u64> {
        let vote = *self.shared.vote.lock();
        vote.filter(|vote| vote.committed).map(|vote| vote.leader_id.voted_for)
    }

    fn applied(&self) -> u64 {
        self.shared.applied.load(Ordering::Acquire)
    }

    fn has_room(&self) -> bool {
        self.shared.common.wal.has_room()
    }
}
