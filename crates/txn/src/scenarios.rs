//! Transactions against each other on one node, step by step and without a disk: each test is a fault that somebody shipped
//! or a rule that prevents one, under its name (`traps.md`, the design's R1-R11).
//!
//! `Log` is a double of consensus with one member: its entries survive a restart, and it can be held, so that a test sees
//! what is in flight.

mod ahead;
mod anomalies;
mod bulk;
mod ddl;
mod endings;
mod facets;
mod in_flight;
mod locking;
mod met;
mod named;
mod skipped;
mod tokens;
mod two_shards;

use crate::*;
use bytes::Bytes;
use consensus::{Consensus, Group, Replica};
use host::{Host, TokioSpawn};
use parking_lot::Mutex;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use storage::segment::MemoryStore;

pub const T: RelationRef = RelationRef { storage: StorageId(100), id: 100, schema_version: 1, home: Home::Data };
pub const M: RelationRef = RelationRef { storage: StorageId(7), id: 3, schema_version: 1, home: Home::Meta };
pub const TEMP: RelationRef =
    RelationRef { storage: StorageId(900), id: 900, schema_version: 1, home: Home::Temporary };

/// One group's log, kept over restarts.
#[derive(Default)]
pub struct Entries(Mutex<Vec<(u64, Bytes)>>);

pub struct Log {
    entries: Arc<Entries>,
    replica: Mutex<Option<Arc<dyn Replica>>>,
    term: AtomicU64,
    is_held: AtomicBool,
    applied: AtomicU64,
    running: Mutex<()>,
}

impl Log {
    fn step(&self) -> bool {
        let term = self.term.load(Ordering::SeqCst);
        let Some(replica) = self.replica.lock().clone() else { return false };
        let Some(entry) = replica.next_batch(term) else { return false };
        let index = {
            let mut entries = self.entries.0.lock();
            entries.push((term, entry.clone()));
            entries.len() as u64
        };
        replica.apply(index, term, entry);
        self.applied.store(index, Ordering::SeqCst);
        replica.applied_round();
        true
    }

    /// Entries wait until `step` or `release`.
    pub fn hold(&self) {
        self.is_held.store(true, Ordering::SeqCst);
    }
    pub fn release(&self) {
        self.is_held.store(false, Ordering::SeqCst);
        self.wake();
    }
    /// Makes one batch durable and applies it.
    pub fn step_one(&self) {
        assert!(self.step(), "something was to be in the open batch");
    }
    /// Makes one batch durable, and the node dies before it is applied.
    pub fn write_one_and_die(&self) {
        let term = self.term.load(Ordering::SeqCst);
        let replica = self.replica.lock().take().expect("running");
        let entry = replica.next_batch(term).expect("something in the open batch");
        self.entries.0.lock().push((term, entry));
    }
    /// Another term begins on this node, without what was in flight. Returns the term; the shard does not serve it yet.
    pub fn lead_again(&self) -> u64 {
        let replica = self.replica.lock().clone().expect("running");
        let term = self.term.fetch_add(1, Ordering::SeqCst);
        replica.leader_stopped(term);
        replica.leader_started(term + 1);
        term + 1
    }
    pub fn lose_leadership(&self) {
        let replica = self.replica.lock().take().expect("running");
        replica.leader_stopped(self.term.load(Ordering::SeqCst));
    }
}

impl Consensus for Log {
    fn wake(&self) {
        if self.is_held.load(Ordering::SeqCst) {
            return;
        }
        let Some(_one) = self.running.try_lock() else { return };
        while self.step() {}
    }
    fn read_lease(&self) -> Option<u64> {
        self.replica.lock().is_some().then(|| self.term.load(Ordering::SeqCst))
    }
    fn leader(&self) -> Option<u64> {
        Some(1)
    }
    fn applied(&self) -> u64 {
        self.applied.load(Ordering::SeqCst)
    }
}

/// What a node keeps on its disk.
#[derive(Clone, Default)]
pub struct Disk {
    logs: [Arc<Entries>; 2],
    memory: [Arc<MemoryStore>; 2],
}

struct Logs(Disk, Mutex<Vec<Arc<Log>>>);

impl Groups for Logs {
    fn start<'a>(&'a self, name: &'static str, replica: Arc<dyn Replica>) -> Starting<'a> {
        let entries = self.0.logs[usize::from(name == "data")].clone();
        let written = entries.0.lock().clone();
        for (index, (term, entry)) in (1..).zip(&written) {
            if index > replica.flushed() {
                replica.apply(index, *term, entry.clone());
            }
        }
        let term = written.last().map_or(0, |(term, _)| *term) + 1;
        replica.leader_started(term);
        let log = Arc::new(Log {
            entries,
            replica: Mutex::new(Some(replica)),
            term: AtomicU64::new(term),
            is_held: AtomicBool::new(false),
            applied: AtomicU64::new(written.len() as u64),
            running: Mutex::new(()),
        });
        self.1.lock().push(log.clone());
        Box::pin(std::future::ready(Ok(log as Group)))
    }
}

pub struct Node {
    pub gateway: Arc<Gateway>,
    pub meta: Arc<Log>,
    pub data: Arc<Log>,
}

pub async fn start(disk: &Disk, limits: Limits) -> Node {
    start_on(Host::real(), disk, limits).await
}

pub async fn start_on(host: Host, disk: &Disk, limits: Limits) -> Node {
    let logs = Arc::new(Logs(disk.clone(), Mutex::default()));
    let options = GatewayOptions {
        host,
        node_id: 1,
        folder: None,
        memory: Some(disk.memory.clone()),
        groups: logs.clone(),
        spawn: Arc::new(TokioSpawn(tokio::runtime::Handle::current())),
        bootstrap: Box::new(|| Bootstrap { cluster_id: [7; 16], rows: vec![mutation(M.storage, "first", "row")] }),
        limits,
    };
    let gateway = Gateway::start(options).await.expect("starts");
    let (meta, data) = {
        let logs = logs.1.lock();
        (logs[0].clone(), logs[1].clone())
    };
    Node { gateway, meta, data }
}

pub async fn node() -> Node {
    start(&Disk::default(), Limits::default()).await
}

fn mutation(relation: StorageId, key: &str, value: &str) -> Mutation {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Mutation { relation, key: bytes(key), value: Some(bytes(value)) }
}

impl Node {
    /// A transaction in its first statement.
    pub async fn begin(&self, isolation: Isolation) -> Transaction {
        let txn = self.gateway.begin(TxnOptions { isolation, ..TxnOptions::default() });
        txn.begin_statement().await.expect("begins");
        txn
    }

    pub async fn serializable(&self) -> Transaction {
        self.begin(Isolation::Serializable).await
    }

    /// Commits these rows.
    pub async fn given(&self, rows: &[(&str, &str)]) {
        let txn = self.serializable().await;
        for (key, value) in rows {
            write(&txn, key, value).await.expect("written");
        }
        txn.commit().await.expect("committed");
    }

    /// What is there now.
    pub async fn value(&self, key: &str) -> Option<String> {
        let txn = self.serializable().await;
        let value = get(&txn, key).await.expect("read");
        txn.commit().await.expect("nothing to validate");
        value
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub async fn get(txn: &Transaction, key: &str) -> Result<Option<String>> {
    txn.get(&T, 0, key.as_bytes(), |value, _| value.map(text)).await
}

pub async fn lock(txn: &Transaction, key: &str, mode: LockMode) -> Result<Option<String>> {
    lock_as(txn, key, mode, WaitPolicy::Wait).await.map(|locked| locked.0)
}

/// The value and whether it had changed; `("skipped", _)` for a skipped row.
pub async fn lock_as(txn: &Transaction, key: &str, mode: LockMode, wait: WaitPolicy) -> Result<(Option<String>, bool)> {
    let seen = |locked: Locked<'_>| match locked {
        Locked::Row { value, changed, .. } => (Some(text(value)), changed),
        Locked::Absent { changed } => (None, changed),
        Locked::Moved { key, .. } => (Some(format!("moved to {}", text(key))), true),
        Locked::Skipped => (Some("skipped".into()), false),
    };
    txn.lock(&T, 0, key.as_bytes(), mode, wait, seen).await
}

/// Lock and put, as an UPDATE or INSERT does.
pub async fn write(txn: &Transaction, key: &str, value: &str) -> Result<()> {
    txn.enter(&T).await?;
    lock(txn, key, LockMode::NoKeyUpdate).await?;
    txn.put(&T, 0, key.as_bytes(), value.as_bytes())
}

/// `UPDATE t SET n = n + 1 WHERE key = …` by the direct path: no read before the lock.
pub async fn increment(txn: &Transaction, key: &str) -> Result<()> {
    txn.enter(&T).await?;
    let before = lock(txn, key, LockMode::NoKeyUpdate).await?;
    let number: u64 = before.and_then(|text| text.parse().ok()).unwrap_or(0);
    txn.put(&T, 0, key.as_bytes(), (number + 1).to_string().as_bytes())
}

pub async fn scan(txn: &Transaction, start: &str, end: &str, direction: Direction) -> Result<Vec<String>> {
    scan_by(txn, start, end, direction, 3).await
}

pub async fn scan_by(
    txn: &Transaction,
    start: &str,
    end: &str,
    direction: Direction,
    chunk: usize,
) -> Result<Vec<String>> {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let range = KeyRange { start: bytes(start), end: (!end.is_empty()).then(|| bytes(end)) };
    let mut scan = txn.scan(&T, None, range, direction);
    let mut rows = Vec::new();
    loop {
        let visit = |key: &[u8], value: &[u8], _: Timestamp| {
            rows.push(format!("{}={}", text(key), text(value)));
            ControlFlow::Continue(())
        };
        if scan.next(chunk, visit).await? == 0 {
            return Ok(rows);
        }
    }
}

pub fn is_conflict(error: &TxnError) -> bool {
    matches!(error, TxnError::Conflict(_))
}

/// Polls once and says whether it is still waiting.
pub fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
