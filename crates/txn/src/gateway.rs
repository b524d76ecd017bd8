//! The gateway of a node: its shards, the oracle, ids, limits; and the constructor that wires them.
//!
//! Background tasks, each ended by `stop`: the oracle's mark, the horizon below which versions are collected, and recovery
//! of prepared transactions whose coordinator is silent.

use crate::ahead::Contended;
use crate::ids::Ids;
use crate::met::Beginners;
use crate::metrics::Metrics;
use crate::snapshots::Snapshots;
use crate::temporary::TemporaryRows;
use crate::transaction::{SessionId, Transaction, TxnOptions};
use crate::{Conflict, ConflictKind, Home, Mutation, RelationRef, Result, StorageId, Timestamp, TxnError};
use consensus::{GroupOptions, RaftNode, Rehearsal};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use host::Host;
use parking_lot::Mutex;
use shard::command::{self, EncodedWrites};
use shard::locks::{RowKey, WaitGraph};
use shard::{Oracle, Outcome, Shard, ShardId, TxnId};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::segment::{MemoryStore, Segment, SegmentOptions};

/// Format of the data folder, in its Bootstrap entry.
const FORMAT: u32 = 1;
/// Relations of the catalog, for its listener (`architecture.md` §11: compiled in).
const CATALOG_STORAGE_END: u32 = 16;
/// How often the horizon moves, and prepared transactions are looked at: one that is there twice is recovered.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Bytes by which a transaction's share of the node's memory for buffered writes grows.
const RESERVE_STEP: usize = 1 << 20;
/// How long superseded versions are kept where nothing else is said.
pub const RETENTION_US: u64 = 60_000_000;

/// Starts replication of a group on this node: the real thing, or a double in tests.
pub trait Groups: Send + Sync {
    /// `name` is `meta` or `data`; the log is replayed to `replica` above `replica.flushed()` before it leads.
    fn start<'a>(&'a self, name: &'static str, replica: Arc<dyn consensus::Replica>) -> Starting<'a>;

    /// Before any group is started: whether the log belongs to what these have flushed. Nothing of it has changed until then.
    fn check(&self, flushed: &[(&'static str, u64)]) -> Result<()> {
        let _ = flushed;
        Ok(())
    }
}

/// A group on its way.
pub type Starting<'a> = Pin<Box<dyn Future<Output = Result<consensus::Group>> + Send + 'a>>;

impl Groups for RaftNode {
    fn start<'a>(&'a self, name: &'static str, replica: Arc<dyn consensus::Replica>) -> Starting<'a> {
        Box::pin(async move { Ok(self.add_group(group_options(name, replica)).await?) })
    }

    fn check(&self, flushed: &[(&'static str, u64)]) -> Result<()> {
        let flushed: Vec<_> = flushed.iter().map(|(name, index)| (group_id(name), *index)).collect();
        Ok(RaftNode::check(self, &flushed)?)
    }
}

impl Groups for Rehearsal {
    fn start<'a>(&'a self, name: &'static str, replica: Arc<dyn consensus::Replica>) -> Starting<'a> {
        Box::pin(async move { Ok(self.add_group(group_options(name, replica))?) })
    }
}

fn group_options(name: &str, replica: Arc<dyn consensus::Replica>) -> GroupOptions {
    GroupOptions { id: group_id(name), replica, is_busy: name == "data" }
}

fn group_id(name: &str) -> u64 {
    if name == "data" { 2 } else { 1 }
}

/// What the meta shard holds from the start, on an empty folder.
pub struct Bootstrap {
    /// Random, names the cluster for ever.
    pub cluster_id: [u8; 16],
    /// The catalog's first rows, all in relations whose home is the meta shard.
    pub rows: Vec<Mutation>,
}

/// Bounds by name (`architecture.md` §9).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Spans of one transaction before they are coarsened.
    pub spans: usize,
    /// Row locks of one transaction in one relation before they become one lock.
    pub row_locks: usize,
    /// Bytes that one transaction's buffered writes may take.
    pub buffer_bytes: usize,
    /// The same for all transactions of the node together.
    pub buffers_bytes: usize,
    /// A commit larger than this travels as staged parts.
    pub commit_bytes: usize,
    /// Bytes of one staged part.
    pub stage_bytes: usize,
    /// Bytes that a segment's file may have in use.
    pub segment_bytes: usize,
    /// Bytes that the rows of all sessions' TEMP tables may take: they are in memory alone.
    pub temporary_bytes: u64,
    /// Relations of a segment that have rows, or whose history is kept.
    pub relations: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            spans: 10_000,
            row_locks: 50_000,
            buffer_bytes: 1 << 30,
            buffers_bytes: 4 << 30,
            commit_bytes: 4 << 20,
            stage_bytes: 1 << 20,
            segment_bytes: 1 << 40,
            temporary_bytes: 1 << 30,
            relations: storage::segment::RELATIONS_MAX,
        }
    }
}

/// Called from the meta shard's apply, in log order, before the commit is answered, with its writes to catalog relations
/// (storage ids below 16). Must be quick and must not call the gateway's async methods.
pub type CatalogListener = Box<dyn Fn(Timestamp, &[Mutation]) + Send + Sync>;

pub struct GatewayOptions {
    pub host: Host,
    /// This node's id; its transactions' ids are counted under it.
    pub node_id: u64,
    /// The data folder; None keeps everything in memory.
    pub folder: Option<PathBuf>,
    /// Without a folder: what is kept of the segments `meta` and `data` over a restart.
    pub memory: Option<[Arc<MemoryStore>; 2]>,
    pub groups: Arc<dyn Groups>,
    /// Runs the gateway's background tasks and two-shard commits.
    pub spawn: Arc<dyn host::Spawn>,
    /// Asked only when the folder is empty.
    pub bootstrap: Box<dyn FnOnce() -> Bootstrap + Send>,
    pub limits: Limits,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.meta.detach();
        self.data.detach();
    }
}

/// One per node, shared by its sessions.
pub struct Gateway {
    host: Host,
    node_id: u64,
    spawn: Arc<dyn host::Spawn>,
    limits: Limits,
    oracle: Arc<Oracle>,
    meta: Arc<Shard>,
    data: Arc<Shard>,
    snapshots: Snapshots,
    contended: Contended,
    /// Set when the node's epoch is open.
    ids: OnceLock<Arc<Ids>>,
    transactions: AtomicU64,
    /// The last row id's first half.
    row_ids: AtomicU64,
    /// Two-shard commits under way here: recovery leaves them alone.
    coordinating: Mutex<HashSet<TxnId, FixedState>>,
    temporary: TemporaryRows,
    retention: Mutex<HashMap<StorageId, u64, FixedState>>,
    /// Storages that took the place of another while this node runs, and when: what was before is not in them.
    replaced: Mutex<HashMap<StorageId, Timestamp, FixedState>>,
    /// The last of them: a snapshot above it need not ask.
    last_replaced: AtomicU64,
    horizon: AtomicU64,
    /// Bytes that transactions have reserved of `Limits::buffers_bytes`.
    buffered: AtomicUsize,
    is_stopped: AtomicBool,
    metrics: Metrics,
    beginners: Beginners,
    /// Keeps the log and its threads.
    _groups: Arc<dyn Groups>,
}

/// Row ids of one microsecond are counted in this many bits.
const ROW_ID_COUNT_BITS: u32 = 12;

impl Gateway {
    /// A new hidden row id: 64 bits that grow with time and with every id of this gateway, so that rows stay in the order in which they
    /// came; then 64 bits of chance, which set it apart from other gateways' ids.
    pub fn new_row_id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        self.host.random.fill(&mut id);
        let now = u64::try_from(self.host.clock.wall()).unwrap_or(0) << ROW_ID_COUNT_BITS;
        let next = |last: u64| now.max(last + 1);
        let last = self.row_ids.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        let head = next(last.unwrap_or_else(|last| last));
        let (first, _) = id.split_at_mut(8);
        first.copy_from_slice(&head.to_be_bytes());
        id
    }

    /// Opens (or makes) the segments `meta` and `data`, replays the log, and returns when both shards serve.
    pub async fn start(options: GatewayOptions) -> Result<Arc<Gateway>> {
        Gateway::start_on(options, false).await
    }

    /// As `start`, over a stopped node's folder of which no byte is to change: what is applied stays in memory. For
    /// `groups` that write nothing either.
    pub async fn rehearse(options: GatewayOptions) -> Result<Arc<Gateway>> {
        Gateway::start_on(options, true).await
    }

    async fn start_on(options: GatewayOptions, is_read_only: bool) -> Result<Arc<Gateway>> {
        let oracle = Arc::new(Oracle::new(options.host.clone()));
        let waits = Arc::new(WaitGraph::default());
        let mut shards = Vec::new();
        for (number, name) in ["meta", "data"].into_iter().enumerate() {
            let segment = match (&options.folder, &options.memory) {
                (Some(folder), _) => SegmentOptions {
                    map_size: options.limits.segment_bytes,
                    relations_max: options.limits.relations,
                    is_read_only,
                    ..SegmentOptions::on_disk(folder.join(name), name)
                },
                (None, memory) => SegmentOptions {
                    relations_max: options.limits.relations,
                    memory: memory.as_ref().and_then(|memory| memory.get(number).cloned()),
                    ..SegmentOptions::in_memory(name)
                },
            };
            let (segment, recovered) = Segment::open(options.host.clone(), segment)?;
            let id = ShardId(number as u32 + 1);
            shards.push((name, Shard::new(id, segment, recovered, oracle.clone(), waits.clone())?));
        }
        let flushed: Vec<_> =
            shards.iter().map(|(name, shard)| (*name, consensus::Replica::flushed(&**shard))).collect();
        options.groups.check(&flushed)?;
        for (name, shard) in &shards {
            shard.set_group(options.groups.start(name, shard.clone()).await?);
        }
        let (data, meta) = match (shards.pop(), shards.pop()) {
            (Some((_, data)), Some((_, meta))) => (data, meta),
            _ => return Err(TxnError::NotServing),
        };
        let gateway = Arc::new(Gateway {
            host: options.host,
            node_id: options.node_id,
            spawn: options.spawn,
            limits: options.limits,
            oracle,
            meta,
            data,
            snapshots: Snapshots::default(),
            contended: Contended::default(),
            ids: OnceLock::new(),
            transactions: AtomicU64::new(1),
            row_ids: AtomicU64::new(0),
            coordinating: Mutex::default(),
            temporary: TemporaryRows::default(),
            retention: Mutex::default(),
            replaced: Mutex::default(),
            last_replaced: AtomicU64::new(0),
            horizon: AtomicU64::new(0),
            buffered: AtomicUsize::new(0),
            is_stopped: AtomicBool::new(false),
            metrics: Metrics::new(),
            beginners: Beginners::default(),
            _groups: options.groups,
        });
        gateway.lead(options.bootstrap).await?;
        Ok(gateway)
    }

    /// What a new leader of both shards does before it serves, in this order (R4, R10, R11).
    async fn lead(self: &Arc<Self>, bootstrap: Box<dyn FnOnce() -> Bootstrap + Send>) -> Result<()> {
        let terms = [self.meta.leading().await, self.data.leading().await];
        self.oracle.start_at(self.meta.with_machine(|machine| machine.mark));
        self.raise_mark().await?;
        self.start_mark_task();
        self.bootstrap(bootstrap).await?;
        self.open_epoch().await?;
        self.meta.serve(terms[0]).await;
        self.data.serve(terms[1]).await;
        self.start_housekeeping();
        Ok(())
    }

    async fn raise_mark(&self) -> Result<()> {
        let mark = self.oracle.next_mark();
        match self.meta.submit(command::mark(mark), None)?.wait().await {
            Outcome::Unknown => Err(TxnError::NotServing),
            Outcome::Fate(_) => {
                self.oracle.set_mark(mark);
                Ok(())
            }
        }
    }

    fn start_mark_task(self: &Arc<Self>) {
        let (weak, oracle) = (Arc::downgrade(self), self.oracle.clone());
        let task = async move {
            loop {
                oracle.mark_wanted().await;
                let Some(gateway) = weak.upgrade() else { return };
                if gateway.is_stopped.load(Ordering::Acquire) || gateway.raise_mark().await.is_err() {
                    return;
                }
            }
        };
        self.spawn.spawn("oracle mark", Box::pin(task));
    }

    async fn bootstrap(&self, bootstrap: Box<dyn FnOnce() -> Bootstrap + Send>) -> Result<()> {
        let known = |shard: &Shard| shard.with_machine(|machine| machine.cluster);
        if known(&self.meta).is_none() {
            let Bootstrap { cluster_id, rows } = bootstrap();
            self.found(&self.meta, cluster_id, &rows).await?;
        }
        let cluster = known(&self.meta).ok_or(TxnError::NotServing)?;
        match known(&self.data) {
            None => self.found(&self.data, cluster, &[]).await,
            Some(other) if other == cluster => Ok(()),
            Some(_) => Err(TxnError::Corrupt("the shards of this folder belong to two clusters".into())),
        }
    }

    async fn found(&self, shard: &Shard, cluster: [u8; 16], rows: &[Mutation]) -> Result<()> {
        let stamp = self.oracle.now().await;
        let entry = command::bootstrap(FORMAT, cluster, stamp, &EncodedWrites::from_mutations(rows));
        match shard.submit(entry, Some(stamp))?.wait().await {
            Outcome::Unknown => Err(TxnError::NotServing),
            Outcome::Fate(_) => Ok(()),
        }
    }

    /// What an earlier life left prepared is decided; then that life is closed for ever at both shards.
    async fn open_epoch(&self) -> Result<()> {
        for shard in [&self.meta, &self.data] {
            for txn in shard.prepared() {
                self.recover(txn).await?;
            }
        }
        let known = |shard: &Shard| shard.with_machine(|machine| machine.epoch(self.node_id));
        let epoch = known(&self.meta).max(known(&self.data)) + 1;
        for shard in [&self.meta, &self.data] {
            if shard.submit(command::open_epoch(self.node_id, epoch), None)?.wait().await == Outcome::Unknown {
                return Err(TxnError::NotServing);
            }
        }
        let _ = self.ids.set(Arc::new(Ids::new(self.node_id, epoch)));
        Ok(())
    }

    async fn recover(&self, txn: TxnId) -> Result<()> {
        let names = |shard: &Shard| {
            shard.with_machine(|machine| {
                let found = machine.prepared().find(|(other, _)| **other == txn);
                found.map(|(_, prepare)| prepare.participants.clone())
            })
        };
        let Some(names) = names(&self.meta).or_else(|| names(&self.data)) else { return Ok(()) };
        let all = [&self.meta, &self.data];
        let participants: Vec<Arc<Shard>> =
            all.into_iter().filter(|shard| names.contains(&shard.id())).map(Arc::clone).collect();
        let decision = shard::recovery::recover(txn, &participants).await?;
        self.metrics.recoveries.increment(1);
        tracing::info!(?txn, ?decision, "a prepared transaction was recovered");
        Ok(())
    }

    fn start_housekeeping(self: &Arc<Self>) {
        let weak = Arc::downgrade(self);
        let task = async move {
            let mut seen: Vec<TxnId> = Vec::new();
            loop {
                host::clock::sleep(HOUSEKEEPING).await;
                let Some(gateway) = weak.upgrade() else { return };
                if gateway.is_stopped.load(Ordering::Acquire) {
                    return;
                }
                gateway.move_horizon();
                let mut prepared = gateway.meta.prepared();
                prepared.extend(gateway.data.prepared());
                prepared.retain(|txn| !gateway.coordinating.lock().contains(txn));
                for txn in prepared.iter().filter(|txn| seen.contains(txn)) {
                    if let Err(error) = gateway.recover(*txn).await {
                        tracing::warn!(?txn, %error, "a prepared transaction could not be recovered yet");
                    }
                }
                seen = prepared;
            }
        };
        self.spawn.spawn("housekeeping", Box::pin(task));
    }

    fn move_horizon(&self) {
        let horizon = self.snapshots.horizon(&self.oracle);
        self.horizon.fetch_max(horizon.0, Ordering::SeqCst);
        self.meta.set_horizon(horizon);
        self.data.set_horizon(horizon);
    }

    /// Freezes what is applied in both segments, for the next `flush`. For a node whose segments have no threads.
    pub fn cut(&self) {
        self.meta.segment().cut();
        self.data.segment().cut();
    }

    /// Flushes both segments. Blocks.
    pub fn flush(&self) -> Result<()> {
        self.meta.segment().flush()?;
        Ok(self.data.segment().flush()?)
    }

    /// Flushes and closes the segments. No transaction may be running. Blocks: not for a task that others share a thread with.
    pub async fn stop(&self) -> Result<()> {
        self.is_stopped.store(true, Ordering::Release);
        self.meta.segment().close()?;
        self.data.segment().close()?;
        Ok(())
    }

    pub fn cluster_id(&self) -> [u8; 16] {
        self.meta.with_machine(|machine| machine.cluster).unwrap_or_default()
    }

    /// Opens a transaction: no message, no timestamp yet (the first statement takes it).
    pub fn begin(self: &Arc<Self>, options: TxnOptions) -> Transaction {
        Transaction::new(self.clone(), options)
    }

    /// The number of the transaction that began last.
    pub fn newest_transaction(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// The newest applied and covered version of one row, for a single-shard autocommit read (R3): no oracle, no
    /// transaction. `read` is called once, synchronously, with the stored bytes (None: no such row).
    pub async fn get_latest<R>(
        &self,
        relation: &RelationRef,
        slot: u16,
        key: &[u8],
        read: impl FnOnce(Option<&[u8]>, Timestamp) -> R,
    ) -> Result<R> {
        let _ = slot;
        let shard = self.shard(relation.home).ok_or(TxnError::NotServing)?;
        let row = RowKey::new(relation.storage, key);
        shard.wait_for_prepared(&row).await?;
        let term = shard.term()?;
        // A deletion has a timestamp too: that nothing is there must be covered like anything else.
        let newest = {
            let view = shard.segment().view()?;
            match view.newest(relation.storage, key)? {
                Some(newest) if self.oracle.try_cover(newest.ts) => {
                    let answer = read(newest.value.as_deref(), newest.ts);
                    shard.confirm(term)?;
                    return Ok(answer);
                }
                None => {
                    let answer = read(None, Timestamp::ZERO);
                    shard.confirm(term)?;
                    return Ok(answer);
                }
                Some(newest) => (newest.ts, newest.value.as_deref().map(bytes::Bytes::copy_from_slice)),
            }
        };
        // Applied but not covered yet: the version may be told once it is.
        self.oracle.cover(newest.0).await;
        shard.confirm(term)?;
        Ok(read(newest.1.as_deref(), newest.0))
    }

    /// The oracle's time: not below any commit that was answered.
    pub fn now(&self) -> Timestamp {
        self.oracle.try_now().unwrap_or_else(|| self.oracle.current())
    }

    /// Live rows of a relation, cheap and roughly right.
    pub fn rows_estimate(&self, relation: &RelationRef) -> u64 {
        self.shard(relation.home).map_or(0, |shard| shard.segment().rows_estimate(relation.storage))
    }

    pub fn bytes_estimate(&self, relation: &RelationRef) -> u64 {
        self.shard(relation.home).map_or(0, |shard| shard.segment().bytes_estimate(relation.storage))
    }

    /// After the commit that dropped or truncated it. TEMP relations: `drop_temporary`.
    pub fn drop_storage(&self, home: Home, storage: StorageId) {
        if let Some(shard) = self.shard(home) {
            shard.segment().drop_relation(storage);
        }
    }

    /// A session's TEMP relation was dropped or truncated.
    pub fn drop_temporary(&self, session: SessionId, storage: StorageId) {
        self.temporary.drop_relation(session, storage);
    }

    /// How long superseded versions of a relation stay readable, in microseconds.
    pub fn set_retention(&self, home: Home, storage: StorageId, micros: u64) {
        if let Some(shard) = self.shard(home) {
            self.retention.lock().insert(storage, micros);
            shard.segment().set_retention(storage, micros);
        }
    }

    /// At `ts` a relation's rows went to this storage, and what it had before was left behind (TRUNCATE, a rewrite).
    pub fn note_replaced(&self, storage: StorageId, ts: Timestamp) {
        let mut replaced = self.replaced.lock();
        // Moments before those are too old by themselves by now, and so are the snapshots of transactions.
        let horizon = Timestamp(self.horizon.load(Ordering::Acquire));
        replaced.retain(|storage, at| *at > self.oldest_kept(*storage).min(horizon));
        replaced.insert(storage, ts);
        self.last_replaced.fetch_max(ts.0, Ordering::AcqRel);
    }

    /// Before it no past moment of the storage can be read.
    fn oldest_kept(&self, storage: StorageId) -> Timestamp {
        let kept = self.retention.lock().get(&storage).copied().unwrap_or(RETENTION_US);
        Timestamp(self.oracle.current().0.saturating_sub(kept << 12))
    }

    pub fn on_catalog_commit(&self, listener: CatalogListener) {
        self.meta.set_listener(Box::new(move |ts, mutations| {
            let is_catalog = |mutation: &&Mutation| mutation.relation.0 < CATALOG_STORAGE_END;
            if mutations.iter().all(|mutation| is_catalog(&mutation)) {
                return listener(ts, mutations);
            }
            let mutations: Vec<Mutation> = mutations.iter().filter(is_catalog).cloned().collect();
            if !mutations.is_empty() {
                listener(ts, &mutations);
            }
        }));
    }

    /// The session is over: its TEMP rows go.
    pub fn end_session(&self, session: SessionId) {
        self.temporary.end_session(session);
    }

    /// A timestamp's physical time, in microseconds since 1970-01-01 UTC.
    pub fn micros_of(timestamp: Timestamp) -> i64 {
        i64::try_from(timestamp.0 >> 12).unwrap_or(i64::MAX)
    }

    /// The last timestamp of that microsecond: `AS OF` sees what was committed within it.
    pub fn timestamp_of(micros: i64) -> Timestamp {
        match u64::try_from(micros) {
            Ok(micros) if micros < 1 << 52 => Timestamp((micros << 12) | 0xfff),
            Ok(_) => Timestamp::MAX,
            Err(_) => Timestamp::ZERO,
        }
    }

    // ---- for the rest of the crate ---------------------------------------------------------

    /// None for TEMP relations, which are in no shard.
    pub(crate) fn shard(&self, home: Home) -> Option<&Arc<Shard>> {
        match home {
            Home::Meta => Some(&self.meta),
            Home::Data => Some(&self.data),
            Home::Temporary => None,
        }
    }

    pub(crate) fn home_of(&self, shard: &Shard) -> Home {
        if shard.id() == self.meta.id() { Home::Meta } else { Home::Data }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }
    pub(crate) fn contended(&self) -> &Contended {
        &self.contended
    }
    pub(crate) fn spawn(&self) -> &Arc<dyn host::Spawn> {
        &self.spawn
    }
    pub(crate) fn oracle(&self) -> &Arc<Oracle> {
        &self.oracle
    }
    pub(crate) fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }
    pub(crate) fn beginners(&self) -> &Beginners {
        &self.beginners
    }
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }
    pub(crate) fn ids(&self) -> Result<&Arc<Ids>> {
        self.ids.get().ok_or(TxnError::NotServing)
    }
    pub(crate) fn next_transaction(&self) -> u64 {
        self.transactions.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes one more step of what all transactions may buffer.
    pub(crate) fn reserve(&self, reserved: &mut usize) -> Result<()> {
        if self.buffered.fetch_add(RESERVE_STEP, Ordering::Relaxed) + RESERVE_STEP > self.limits.buffers_bytes {
            self.buffered.fetch_sub(RESERVE_STEP, Ordering::Relaxed);
            return Err(TxnError::Memory { what: "buffered writes, together with those of other transactions," });
        }
        *reserved += RESERVE_STEP;
        Ok(())
    }

    pub(crate) fn give_back(&self, reserved: &mut usize) {
        if *reserved > 0 {
            self.buffered.fetch_sub(std::mem::take(reserved), Ordering::Relaxed);
        }
    }

    pub(crate) fn coordinating(&self, txn: TxnId, is_under_way: bool) {
        let mut coordinating = self.coordinating.lock();
        match is_under_way {
            true => _ = coordinating.insert(txn),
            false => _ = coordinating.remove(&txn),
        }
    }

    /// 72000 where the snapshot is no longer kept.
    pub(crate) fn check_age(&self, snapshot: Timestamp) -> Result<()> {
        if snapshot.0 < self.horizon.load(Ordering::Acquire) { Err(TxnError::SnapshotTooOld) } else { Ok(()) }
    }

    /// The same for a read; a past moment is readable for as long as the relation's versions are kept.
    pub(crate) fn check_readable(&self, relation: &RelationRef, at: Timestamp, is_as_of: bool) -> Result<()> {
        if !is_as_of {
            self.check_age(at)?;
            let is_older = at.0 < self.last_replaced.load(Ordering::Acquire);
            return if is_older { self.check_replaced(relation.storage, at) } else { Ok(()) };
        }
        let replaced = self.replaced.lock().get(&relation.storage).copied();
        let oldest = replaced.unwrap_or_default().max(self.oldest_kept(relation.storage));
        if at < oldest { Err(TxnError::SnapshotTooOld) } else { Ok(()) }
    }

    /// 40001 where a TRUNCATE or a rewrite has come after the snapshot: what stood there before it is not to be found here.
    fn check_replaced(&self, storage: StorageId, at: Timestamp) -> Result<()> {
        match self.replaced.lock().get(&storage) {
            Some(replaced) if at < *replaced => {
                let kind = ConflictKind::Update;
                Err(TxnError::Conflict(Box::new(Conflict { kind, relation: storage, key: None, other: None })))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn temporary(&self, session: SessionId) -> Result<Segment> {
        self.temporary.segment_of(&self.host, session)
    }

    /// Before anything of the transaction is committed: whether there is memory for its TEMP rows.
    pub(crate) fn admit_temporary(&self, mutations: &[Mutation]) -> Result<()> {
        self.temporary.admit(mutations, self.limits.temporary_bytes)
    }

    pub(crate) fn write_temporary(&self, session: SessionId, at: Timestamp, mutations: &[Mutation]) -> Result<()> {
        self.temporary.write(&self.host, session, at, mutations)
    }
}
