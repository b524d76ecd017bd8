//! Commits per second through a one-member group: `cargo run --release --example commits [FOLDER] [SECONDS]`.
//!
//! Proposers are tasks on one current-thread runtime, as sessions are: each queues 200 bytes, wakes the group and
//! waits to be woken by `applied_round`. Prints commits/s, entries/s and the median latency at 1, 8 and 32 proposers.

use bytes::{BufMut, Bytes, BytesMut};
use consensus::{Consensus, GroupOptions, NodeOptions, RaftNode, Replica};
use host::{Clock, Host, RealClock};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use storage::wal::WalOptions;
use tokio::sync::Notify;

#[derive(Default)]
struct Sequencer {
    open: Mutex<(BytesMut, Vec<Arc<Notify>>)>,
    /// Waiters of batches in the log, in order.
    in_log: Mutex<VecDeque<Vec<Arc<Notify>>>>,
    done: Mutex<Vec<Arc<Notify>>>,
    /// Rings the dispatcher of the session runtime: one wake-up per round.
    ring: Notify,
    entries: AtomicU64,
    leads: Notify,
}

impl Replica for Sequencer {
    fn next_batch(&self, _: u64) -> Option<Bytes> {
        let mut open = self.open.lock();
        if open.1.is_empty() {
            return None;
        }
        self.in_log.lock().push_back(std::mem::take(&mut open.1));
        Some(open.0.split().freeze())
    }
    fn has_batch(&self, _: u64) -> bool {
        !self.open.lock().1.is_empty()
    }
    fn apply(&self, _: u64, _: u64, _: Bytes) {
        if let Some(waiters) = self.in_log.lock().pop_front() {
            self.entries.fetch_add(1, Ordering::Relaxed);
            self.done.lock().extend(waiters);
        }
    }
    fn applied_round(&self) {
        if !self.done.lock().is_empty() {
            self.ring.notify_one();
        }
    }
    fn leader_started(&self, _: u64) {
        self.leads.notify_one();
    }
    fn leader_stopped(&self, _: u64) {}
    fn flushed(&self) -> u64 {
        0
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("hyrax-commits"), Into::into);
    let seconds: u64 = arguments.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(3);
    let is_inline = std::env::var_os("THREAD").is_none();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for proposers in [1, 8, 32] {
        let log = folder.join(format!("log-{proposers}-{}", std::process::id()));
        let wal = WalOptions { first_zeroed: 64 << 20, ..WalOptions::new(&log) };
        let node = RaftNode::start(NodeOptions { node_id: 1, host: Host::real(), wal, spawn: None }).expect("a node");
        node.set_inline(is_inline);
        let sequencer = Arc::new(Sequencer::default());
        let group = node
            .add_group_blocking(GroupOptions { id: 2, replica: sequencer.clone(), is_busy: true })
            .expect("a group");
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, run(sequencer, group, proposers, Duration::from_secs(seconds)));
        drop(node);
        let _ = std::fs::remove_dir_all(&log);
    }
}

async fn run(sequencer: Arc<Sequencer>, group: Arc<dyn Consensus>, proposers: usize, length: Duration) {
    sequencer.leads.notified().await;
    let clock = Arc::new(RealClock::new());
    let ends = Arc::new(AtomicBool::new(false));
    let latencies = Arc::new(Mutex::new(Vec::new()));
    let dispatcher = sequencer.clone();
    host::spawn::local(async move {
        loop {
            dispatcher.ring.notified().await;
            for waiter in std::mem::take(&mut *dispatcher.done.lock()) {
                waiter.notify_one();
            }
        }
    });
    let begun = clock.monotonic();
    for _ in 0..proposers {
        let (sequencer, group, ends, latencies, clock) =
            (sequencer.clone(), group.clone(), ends.clone(), latencies.clone(), clock.clone());
        host::spawn::local(async move {
            let slot = Arc::new(Notify::new());
            while !ends.load(Ordering::Relaxed) {
                let sent = clock.monotonic();
                {
                    let mut open = sequencer.open.lock();
                    open.0.put_bytes(7, 200);
                    open.1.push(slot.clone());
                }
                group.wake();
                slot.notified().await;
                latencies.lock().push(clock.monotonic() - sent);
            }
        });
    }
    host::clock::sleep(length).await;
    ends.store(true, Ordering::Relaxed);
    let elapsed = (clock.monotonic() - begun).as_secs_f64();
    let mut latencies = std::mem::take(&mut *latencies.lock());
    latencies.sort();
    let median = latencies.get(latencies.len() / 2).copied().unwrap_or_default();
    let entries = sequencer.entries.load(Ordering::Relaxed) as f64;
    println!(
        "{proposers:3} proposers: {:8.0} commits/s {:8.0} entries/s  median {median:?}",
        latencies.len() as f64 / elapsed,
        entries / elapsed
    );
}
