//! Level 8. The machine that a simulated node runs on, and how a node is put together there.
//!
//! The machine outlives the node: disk, clock and what the segments have committed stay over a crash. The node is the real
//! one from the log up to the sessions, with three differences: its log has no threads (one task makes its files), its
//! segments are the in-memory engine (a task cuts and flushes), and there is no socket: a client drives a
//! `session::Session`.

use crate::dice::Dice;
use crate::disk::Disk;
use crate::power::Power;
use crate::trace::Trace;
use crate::world::WorldSpawn;
use catalog::{Catalog, bootstrap};
use consensus::{NodeOptions, RaftNode};
use exec::{NodeBudget, SpillFolder};
use host::{Clock, Files, Host, Micros, Random, Spawn};
use parking_lot::Mutex;
use session::settings::ServerSettings;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use storage::StorageError;
use storage::segment::MemoryStore;
use storage::wal::WalOptions;
use txn::{Gateway, GatewayOptions, TxnError};

/// The wall clock at the beginning: 2026-01-01 00:00 UTC.
const WALL_START: Micros = 1_767_225_600_000_000;
/// Small, so that files are changed and used again often; one of these in a run.
const LOG_FILE_BYTES: &[u64] = &[32 << 10, 64 << 10, 256 << 10];
const LOG_FIRST_ZEROED: u64 = 64 << 10;
const STATEMENT_MEMORY: usize = 256 << 20;
const CLUSTER: [u8; 16] = *b"simulated hyrax!";
/// Between two flushes, and between the cut and the flush.
const FLUSH_EVERY: Duration = Duration::from_secs(8);
const FLUSH_AFTER_CUT: Duration = Duration::from_millis(400);
/// No lock, no slow and no full disk keeps a statement for so long.
const STUCK_AFTER: Duration = Duration::from_secs(25);
/// Between two attempts of a start that finds no space.
const SPACE_RETRY: Duration = Duration::from_millis(500);

struct SimClock {
    offset: AtomicI64,
}

impl Clock for SimClock {
    fn monotonic(&self) -> Duration {
        host::world::current().map_or(Duration::ZERO, |world| world.now())
    }
    fn wall(&self) -> Micros {
        WALL_START + self.monotonic().as_micros() as i64 + self.offset.load(Ordering::Relaxed)
    }
}

struct SimRandom(Mutex<Dice>);

impl Random for SimRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut dice = self.0.lock();
        for chunk in bytes.chunks_mut(8) {
            let number = dice.next().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

/// Everything that a crash leaves.
pub struct Machine {
    pub power: Power,
    pub disk: Disk,
    pub trace: Trace,
    pub stores: [Arc<MemoryStore>; 2],
    log_file_bytes: u64,
    clock: Arc<SimClock>,
    random: Arc<SimRandom>,
    findings: Arc<Mutex<Vec<String>>>,
    /// What each client waits for, and since when.
    waiting: Mutex<BTreeMap<u64, (Duration, String)>>,
}

/// A running node, as clients see it.
pub type Node = Arc<session::Shared>;

/// Why a start failed.
pub enum StartFailed {
    /// The power went.
    Lost,
    /// The log or a segment says that it is damaged.
    Damaged(String),
    Other(String),
}

impl Machine {
    pub fn new(seed: u64, trace: Trace) -> Machine {
        let power = Power::new(trace.clone());
        let disk = Disk::new(Dice::of(seed, "disk"), power.clone(), trace.clone());
        let stores = [MemoryStore::new(), MemoryStore::new()];
        let mut dice = Dice::of(seed, "segments");
        for store in &stores {
            let (power, dice) = (power.clone(), Mutex::new(dice.split()));
            // A commit is whole or not at all; the power may go before it, or behind it.
            let failed = |source| StorageError::Io { what: "segment".into(), source };
            store.set_gate(Arc::new(move || match power.operation().map_err(failed)? {
                true if dice.lock().percent(50) => Err(failed(io::Error::other("no power"))),
                _ => Ok(()),
            }));
        }
        Machine {
            power,
            disk,
            trace,
            stores,
            log_file_bytes: Dice::of(seed, "log").pick(LOG_FILE_BYTES).copied().unwrap_or(64 << 10),
            clock: Arc::new(SimClock { offset: AtomicI64::new(0) }),
            random: Arc::new(SimRandom(Mutex::new(Dice::of(seed, "host")))),
            findings: Arc::default(),
            waiting: Mutex::default(),
        }
    }

    pub fn host(&self) -> Host {
        Host { clock: self.clock.clone(), random: self.random.clone(), files: Arc::new(self.disk.clone()) }
    }

    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Moves the wall clock.
    pub fn jump(&self, micros: i64) {
        self.clock.offset.fetch_add(micros, Ordering::Relaxed);
    }

    /// A promise was broken. Nothing counts that is found without power.
    pub fn find(&self, what: String) {
        if !self.power.is_down() {
            self.trace.tell(|| format!("!! {what}"));
            self.findings.lock().push(what);
        }
    }

    /// A client's statement begins, or (None) has its answer.
    pub fn waits(&self, client: u64, text: Option<&str>) {
        let mut waiting = self.waiting.lock();
        match text {
            Some(text) => _ = waiting.insert(client, (self.now(), text.to_owned())),
            None => _ = waiting.remove(&client),
        }
    }

    /// At the end of a life: a statement that ran for too long is one that nobody wakes.
    pub fn find_stuck(&self) {
        let now = self.now();
        for (client, (since, text)) in std::mem::take(&mut *self.waiting.lock()) {
            if now.saturating_sub(since) > STUCK_AFTER {
                self.find(format!("client {client} waits since {since:?}, it is {now:?}: {text}"));
            }
        }
    }

    pub fn find_not_started(&self, failed: StartFailed) {
        match failed {
            StartFailed::Lost => {}
            // A disk that fails while the node starts is a reason not to; then this life is over.
            StartFailed::Other(what) if self.disk.has_struck() => self.power.cut(&what),
            StartFailed::Damaged(what) => self.find(format!("the node says it is damaged: {what}")),
            StartFailed::Other(what) => self.find(format!("the node does not start: {what}")),
        }
    }

    pub fn findings(&self) -> Vec<String> {
        self.findings.lock().clone()
    }

    /// Starts the node: recovers the log, leads both shards, reads the catalog. Its tasks run in this thread's world.
    pub async fn start(&self) -> Result<Node, StartFailed> {
        let spawn: Arc<dyn Spawn> = Arc::new(WorldSpawn);
        spawn.spawn("dispatcher", Box::pin(txn::dispatcher()));
        let raft = loop {
            match RaftNode::start(self.node_options(spawn.clone())) {
                Err(StorageError::DiskFull(_)) => host::clock::sleep(SPACE_RETRY).await,
                started => break started.map_err(|error| self.start_failed(error))?,
            }
        };
        let host = self.host();
        let rows = bootstrap::rows_of(&bootstrap::objects()).map_err(|error| StartFailed::Other(error.to_string()))?;
        let options = GatewayOptions {
            host: host.clone(),
            node_id: 1,
            folder: None,
            memory: Some(self.stores.clone()),
            groups: Arc::new(raft),
            spawn: spawn.clone(),
            bootstrap: Box::new(move || txn::Bootstrap { cluster_id: CLUSTER, rows }),
            limits: txn::Limits::default(),
        };
        let gateway = Gateway::start(options).await.map_err(|error| match error {
            TxnError::Corrupt(what) => self.start_failed(StorageError::Corrupt(what)),
            other => self.start_failed(StorageError::Folder(other.to_string())),
        })?;
        let loaded = Catalog::load(gateway.clone()).await;
        let catalog = loaded.map_err(|error| self.start_failed(StorageError::Folder(error.to_string())))?;
        let refresh = exec::analyze::Refresh { catalog: catalog.clone(), gateway: gateway.clone(), host: host.clone() };
        spawn.spawn("statistics", Box::pin(refresh.run()));
        spawn.spawn("flush", Box::pin(flush(gateway.clone())));
        let files: Arc<dyn Files> = host.files.clone();
        let spill = SpillFolder::new(files, PathBuf::from("/node/spill"));
        let memory = NodeBudget::new(STATEMENT_MEMORY);
        Ok(session::Shared::new(host, gateway, catalog, memory, spill, Some(spawn), ServerSettings::default()))
    }

    fn node_options(&self, spawn: Arc<dyn Spawn>) -> NodeOptions {
        let power = self.power.clone();
        let wal = WalOptions {
            file_bytes: self.log_file_bytes,
            first_zeroed: LOG_FIRST_ZEROED,
            threads: false,
            fatal: Arc::new(move |error| power.cut(&format!("the node stops: {error}"))),
            ..WalOptions::new("/node/log")
        };
        NodeOptions { node_id: 1, host: self.host(), wal, spawn: Some(spawn) }
    }

    fn start_failed(&self, error: StorageError) -> StartFailed {
        match error {
            _ if self.power.is_down() => StartFailed::Lost,
            StorageError::Corrupt(what) => StartFailed::Damaged(what),
            other => StartFailed::Other(other.to_string()),
        }
    }
}

/// What the flush threads of segments on disk do.
async fn flush(gateway: Arc<Gateway>) {
    loop {
        let chance = Dice::new(host::random::any()).pause(FLUSH_EVERY);
        host::clock::sleep(chance).await;
        gateway.cut();
        let chance = Dice::new(host::random::any()).pause(FLUSH_AFTER_CUT);
        host::clock::sleep(chance).await;
        // A full disk is met again next time; any other failure is the end of the power.
        let _ = gateway.flush();
    }
}
