//! Level 1. The segment itself: apply, freeze, flush, and the thread that does it.
//!
//! One lock, the *cut*, is held for the length of an entry and for a freeze: so a freeze falls between two entries and
//! the delta, the applied index and the state image agree (I2 of the segment). The flush itself holds nothing that a
//! reader or the state machine needs.

use super::base::{self, BaseState, Drops, Relations};
use super::collect::Collector;
use super::delta::Delta;
use super::engine::Engine;
use super::flush::{self, Cut};
use super::lmdb::LmdbEngine;
use super::memory::MemoryEngine;
use super::space::{Shortage, Space};
use super::verify::{self, Verified};
use super::{Generation, SegmentOptions, StateImage, View};
use crate::audit::{Audit, FirstFinding};
use crate::{Mutation, Result, StopOnPanic, StorageError, StorageId, Timestamp};
use arc_swap::ArcSwap;
use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use host::Host;
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two attempts while the disk is full.
const RETRY: Duration = Duration::from_secs(1);
/// How often a segment that nobody writes to is looked through for what can be removed.
const COLLECT_EVERY: Duration = Duration::from_secs(5);
/// A flush that would change one page of so many, and not yet one of so few, comes after this part of `flush_after` if it has at most so
/// many versions.
const MUCH: u64 = 16;
const TOO_MUCH: u64 = 2;
const SMALL_FLUSH: u64 = 4096;
const SOONER: u32 = 5;
/// Of a base whose file's size does not matter.
const SMALL_BYTES: u64 = 4 << 20;
/// Of the engine.
const PAGE_BYTES: u64 = 4096;
/// Bytes of transient rows that count like one of others.
const TRANSIENT_SHARE: u64 = 8;
/// The flusher's stack: LMDB's spilling and our shallow calls.
const STACK_BYTES: usize = 1 << 20;

/// What the base held when the segment was opened.
#[derive(Debug)]
pub struct Recovered {
    /// Highest log index whose effects are in the base; the log is replayed from the next.
    pub applied: u64,
    /// The replicated state at that index; empty for a new segment.
    pub state: Bytes,
}

/// A segment's handle; cheap to clone.
#[derive(Clone)]
pub struct Segment {
    inner: Arc<Inner>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

struct Inner {
    host: Host,
    options: SegmentOptions,
    engine: Arc<Engine>,
    generation: ArcSwap<Generation>,
    cut: Mutex<()>,
    image: RwLock<Option<Arc<dyn StateImage>>>,
    applied: AtomicU64,
    flushed: AtomicU64,
    /// The greatest timestamp applied, and below what nobody reads.
    newest: AtomicU64,
    horizon: AtomicU64,
    retention: RwLock<HashMap<StorageId, u64, FixedState>>,
    /// A relation's id, or 0 (`set_transient`).
    transient: AtomicU32,
    drops: Mutex<Drops>,
    /// What only the flusher touches.
    flusher: Mutex<Flusher>,
    orders: Mutex<Orders>,
    space: Space,
    work: Condvar,
    done: Condvar,
    flush_seconds: metrics::Histogram,
    flushed_versions: metrics::Counter,
    delta_bytes: metrics::Gauge,
    /// Set once per freeze when the delta has reached its size.
    is_due: AtomicBool,
}

#[derive(Default)]
struct Flusher {
    /// What a frozen delta waits for: its log index and state image.
    pending: Option<(u64, Bytes)>,
    collector: Collector,
}

/// What the flusher is to do next.
enum Work {
    Flush,
    Collect,
    End,
}

#[derive(Default)]
struct Orders {
    /// Log index that somebody wants flushed.
    wanted: u64,
    /// Attempts that failed so far, and the last one's reason.
    failures: u64,
    failure: String,
    is_closing: bool,
    is_ended: bool,
    /// Monotonic time of the first entry that is not flushed.
    dirty_since: Option<Duration>,
}

impl Segment {
    pub fn open(host: Host, options: SegmentOptions) -> Result<(Segment, Recovered)> {
        let engine = match &options.folder {
            Some(folder) => {
                let failed = |source| StorageError::Io { what: format!("segment {}", folder.display()), source };
                if options.is_read_only {
                    Engine::Lmdb(LmdbEngine::open_to_read(host.files.clone(), folder)?)
                } else {
                    host.files.create_folder(folder).map_err(failed)?;
                    let map_size = options.map_size.saturating_add(options.map_reserve);
                    Engine::Lmdb(LmdbEngine::open(host.files.clone(), folder, map_size)?)
                }
            }
            None => Engine::Memory(MemoryEngine::new(options.memory.clone().unwrap_or_default())),
        };
        let engine = Arc::new(engine);
        let own = base::read_own(&engine.read()?)?;
        let newest = own.relations.values().map(|relation| relation.newest).max().unwrap_or_default();
        let base = Arc::new(BaseState::new(engine.clone(), own.relations)?);
        let generation = Generation { active: Arc::default(), frozen: None, base };
        let name = options.name.clone();
        let space = Space::new(host.clone(), options.folder.clone());
        space.flushed(engine.is_full(options.map_size as u64)?);
        let inner = Arc::new(Inner {
            host,
            options,
            engine,
            generation: ArcSwap::from_pointee(generation),
            cut: Mutex::default(),
            image: RwLock::default(),
            applied: AtomicU64::new(own.applied),
            flushed: AtomicU64::new(own.applied),
            newest: AtomicU64::new(newest.0),
            horizon: AtomicU64::new(0),
            retention: RwLock::default(),
            transient: AtomicU32::new(0),
            drops: Mutex::new(own.drops),
            flusher: Mutex::default(),
            orders: Mutex::default(),
            space,
            work: Condvar::new(),
            done: Condvar::new(),
            flush_seconds: metrics::histogram!("hyrax_segment_flush_seconds", "segment" => name.clone()),
            flushed_versions: metrics::counter!("hyrax_segment_flushed_versions_total", "segment" => name.clone()),
            delta_bytes: metrics::gauge!("hyrax_segment_delta_bytes", "segment" => name),
            is_due: AtomicBool::new(false),
        });
        let mut thread = None;
        if inner.has_thread() {
            let flusher = inner.clone();
            let spawned =
                host::spawn::thread(&format!("flush-{}", inner.options.name), STACK_BYTES, move || flusher.run());
            thread = Some(spawned.map_err(|source| StorageError::Io { what: "flush thread".into(), source })?);
        }
        let recovered = Recovered { applied: own.applied, state: own.state };
        Ok((Segment { inner, thread: Arc::new(Mutex::new(thread)) }, recovered))
    }

    /// What `StateImage::image` is asked of at each freeze. Without one the state is empty.
    pub fn set_image(&self, image: Arc<dyn StateImage>) {
        *self.inner.image.write() = Some(image);
    }

    /// Begins the effects of log entry `index`; the state machine alone, in log order. The entry is applied when the
    /// guard is dropped. An entry that touches no rows has one too, if it changed the replicated state.
    pub fn entry(&self, index: u64) -> ApplyEntry<'_> {
        let guard = self.inner.cut.lock();
        let applied = self.inner.applied.load(Ordering::Relaxed);
        assert!(index > applied, "log entry {index} after {applied}");
        ApplyEntry { inner: &self.inner, index, guard: Some(guard) }
    }

    /// One entry with one timestamp, whole.
    pub fn apply(&self, index: u64, ts: Timestamp, mutations: &[Mutation]) {
        self.entry(index).write(ts, mutations);
    }

    /// Pins what is there for reading on this thread.
    pub fn view(&self) -> Result<View> {
        loop {
            let generation = self.inner.generation.load();
            if let Some(txn) = generation.base.txn()? {
                return Ok(View::new(generation, txn));
            }
            // The base moved on a moment ago; its generation is about to be published.
            std::thread::yield_now();
        }
    }

    /// Versions superseded at or below `ts` may be collected once their retention is over too: callers give the
    /// oldest snapshot in use. Never goes back.
    pub fn set_horizon(&self, ts: Timestamp) {
        self.inner.horizon.fetch_max(ts.0, Ordering::AcqRel);
    }

    /// A relation whose rows are mostly deleted before a flush would come to them: they alone do not bring one about so soon.
    pub fn set_transient(&self, relation: StorageId) {
        self.inner.transient.store(relation.0, Ordering::Relaxed);
    }

    /// How long a relation's superseded versions are kept, in microseconds. Not kept over a restart.
    pub fn set_retention(&self, relation: StorageId, micros: u64) {
        self.inner.retention.write().insert(relation, micros);
    }

    /// Nobody reads the relation at a timestamp above what is applied now; older snapshots still may. It is removed
    /// by the first flush after its retention.
    pub fn drop_relation(&self, relation: StorageId) {
        let now = self.inner.now();
        let mut drops = self.inner.drops.lock();
        if drops.iter().all(|(id, _)| *id != relation) {
            drops.push((relation, now));
        }
    }

    /// The relations that have rows here and are not dropped, so that leftovers can be found.
    pub fn relations(&self) -> Vec<StorageId> {
        let generation = self.inner.generation.load();
        let mut ids: Vec<StorageId> = generation.base.relations.keys().copied().collect();
        ids.extend(generation.deltas().flat_map(|delta| delta.relations()).map(|(id, _)| id));
        ids.sort();
        ids.dedup();
        let drops = self.inner.drops.lock();
        ids.retain(|id| drops.iter().all(|(dropped, _)| dropped != id));
        ids
    }

    /// No version of the relation that is visible here is newer. Costs no walk.
    pub fn newest_of(&self, relation: StorageId) -> Timestamp {
        let generation = self.inner.generation.load();
        let deltas = generation.deltas().filter_map(|delta| delta.relation(relation)).map(|delta| delta.newest());
        let base = generation.base.relations.get(&relation).map(|relation| relation.newest);
        deltas.chain(base).max().unwrap_or(Timestamp::ZERO)
    }

    /// About how many rows there are: exact after a flush; rows of the delta count as new in the share of the last
    /// flush.
    pub fn rows_estimate(&self, relation: StorageId) -> u64 {
        let generation = self.inner.generation.load();
        let base = generation.base.relations.get(&relation).copied().unwrap_or_default();
        let mut rows = base.rows;
        for delta in generation.deltas().filter_map(|delta| delta.relation(relation)) {
            let new = if base.rows == 0 { 1000 } else { u64::from(base.new_per_mille) };
            rows = (rows + delta.alive() * new / 1000).saturating_sub(if base.rows == 0 { 0 } else { delta.deleted() });
        }
        rows
    }

    /// About how many bytes its keys and rows take.
    pub fn bytes_estimate(&self, relation: StorageId) -> u64 {
        let generation = self.inner.generation.load();
        let base = generation.base.relations.get(&relation).map_or(0, |relation| relation.bytes);
        base + generation.deltas().filter_map(|delta| delta.relation(relation)).map(|delta| delta.bytes()).sum::<u64>()
    }

    /// Blocks until all that is applied now is in the base, synced. `DiskFull` says that this attempt was refused;
    /// nothing is lost and the next may succeed.
    pub fn flush(&self) -> Result<()> {
        let inner = &self.inner;
        if inner.options.is_read_only {
            return Ok(());
        }
        let wanted = inner.applied.load(Ordering::Acquire);
        if !inner.has_thread() {
            let mut flusher = inner.flusher.lock();
            while inner.flushed.load(Ordering::Acquire) < wanted {
                inner.flush(&mut flusher)?;
            }
            return Ok(());
        }
        let mut orders = inner.orders.lock();
        orders.wanted = orders.wanted.max(wanted);
        let failures = orders.failures;
        inner.work.notify_one();
        while inner.flushed.load(Ordering::Acquire) < wanted {
            if orders.failures > failures {
                return Err(StorageError::DiskFull(orders.failure.clone()));
            }
            if orders.is_ended {
                return Err(StorageError::Folder(format!("segment {} is closed", inner.options.name)));
            }
            inner.done.wait(&mut orders);
        }
        Ok(())
    }

    /// Freezes what is applied, for the next `flush` to write: between the two the state machine goes on. For a segment
    /// without a thread, whose flushes would else be one step.
    pub fn cut(&self) {
        if let Some(mut flusher) = self.inner.flusher.try_lock()
            && flusher.pending.is_none()
        {
            flusher.pending = self.inner.freeze();
        }
    }

    /// The highest log index whose effects are visible.
    pub fn applied(&self) -> u64 {
        self.inner.applied.load(Ordering::Acquire)
    }

    /// The highest log index whose effects are in the base; the log up to it can be dropped.
    pub fn flushed(&self) -> u64 {
        self.inner.flushed.load(Ordering::Acquire)
    }

    /// How full the unflushed delta is against its limit, 0 to 1: writers are slowed down, and refused at 1.
    pub fn pressure(&self) -> f64 {
        let generation = self.inner.generation.load();
        let bytes: u64 = generation.deltas().map(|delta| delta.bytes()).sum();
        (bytes as f64 / self.inner.options.delta_bytes_max.max(1) as f64).min(1.0)
    }

    /// Why new writes are to be refused, if they are. Cheap enough for every commit.
    pub fn shortage(&self) -> Option<Shortage> {
        self.inner.space.shortage()
    }

    /// Memory that it takes, about: what is not flushed, and all of it where the engine is memory.
    pub fn bytes_held(&self) -> u64 {
        let generation = self.inner.generation.load();
        generation.deltas().map(|delta| delta.bytes()).sum::<u64>() + self.inner.engine.bytes_held()
    }

    /// Of an in-memory segment, which has no thread for it: lets go of what nobody can read any more.
    pub fn compact(&self) -> Result<()> {
        self.flush()?;
        self.inner.collect(&mut self.inner.flusher.lock())
    }

    /// How many relations more it can hold, at least.
    pub fn relations_left(&self) -> usize {
        let generation = self.inner.generation.load();
        let changed: usize = generation.deltas().map(|delta| delta.relation_count()).sum();
        self.inner.options.relations_max.saturating_sub(generation.base.relations.len() + changed)
    }

    /// Whether rows can be put into all of `relations`: what it holds already has its place. Dear; `relations_left` mostly tells.
    pub fn has_place_for(&self, relations: impl IntoIterator<Item = StorageId>) -> bool {
        let generation = self.inner.generation.load();
        let held = &generation.base.relations;
        let is_new = |id: &StorageId| !held.contains_key(id);
        let mut new: HashSet<StorageId, FixedState> = HashSet::default();
        for delta in generation.deltas() {
            new.extend(delta.relations().into_iter().map(|(id, _)| id).filter(is_new));
        }
        let before = new.len();
        new.extend(relations.into_iter().filter(is_new));
        new.len() == before || held.len() + new.len() <= self.inner.options.relations_max
    }

    /// Flushes and ends the segment's thread. Lets go of the image too, which mostly holds this segment in turn.
    pub fn close(&self) -> Result<()> {
        let flushed = self.flush();
        self.stop();
        *self.inner.image.write() = None;
        flushed
    }

    fn stop(&self) {
        self.inner.orders.lock().is_closing = true;
        self.inner.work.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> u32 {
        self.inner.engine.slots()
    }

    /// Looks at the whole base and tells `audit` what is wrong with it.
    pub fn audit(&self, audit: &mut dyn Audit) -> Result<Verified> {
        let generation = self.inner.generation.load_full();
        let Some(txn) = generation.base.txn()? else { return self.audit(audit) };
        verify::verify(&txn, &generation.base.relations, audit)
    }

    /// The same; the first thing that is wrong is the error.
    pub fn verify(&self) -> Result<Verified> {
        let mut first = FirstFinding::default();
        let verified = self.audit(&mut first)?;
        first.0.map_or(Ok(verified), |finding| Err(StorageError::Corrupt(finding)))
    }
}

impl Drop for Segment {
    /// The last handle ends the thread without a flush, as a crash would.
    fn drop(&mut self) {
        if Arc::strong_count(&self.thread) == 1 {
            self.stop();
        }
    }
}

/// The effects of one log entry, while they are written.
pub struct ApplyEntry<'s> {
    inner: &'s Inner,
    index: u64,
    guard: Option<MutexGuard<'s, ()>>,
}

impl ApplyEntry<'_> {
    /// One commit of the entry. Per key, timestamps grow. Values are kept as given (slices of the entry: no copy).
    pub fn write(&self, ts: Timestamp, mutations: &[Mutation]) {
        let inner = self.inner;
        debug_assert!(mutations.iter().all(|mutation| !mutation.key.is_empty()), "a key has at least one byte");
        inner.newest.fetch_max(ts.0, Ordering::AcqRel);
        inner.generation.load().active.write(ts, mutations, |relation| inner.horizon_of(relation));
    }
}

impl Drop for ApplyEntry<'_> {
    fn drop(&mut self) {
        let inner = self.inner;
        inner.applied.store(self.index, Ordering::Release);
        drop(self.guard.take());
        inner.after_entry();
    }
}

impl Inner {
    fn has_thread(&self) -> bool {
        self.options.folder.is_some() && !self.options.is_read_only
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.newest.load(Ordering::Acquire).max(self.horizon.load(Ordering::Acquire)))
    }

    /// What is superseded at or below it can be read by nobody.
    fn horizon_of(&self, relation: StorageId) -> Timestamp {
        let kept = self.retention.read().get(&relation).copied().unwrap_or(self.options.history_us);
        let kept = u128::from(kept) << 12;
        let oldest = u128::from(self.now().0).saturating_sub(kept) as u64;
        Timestamp(oldest.min(self.horizon.load(Ordering::Acquire)))
    }

    fn after_entry(&self) {
        let active = self.generation.load().active.clone();
        let is_full =
            active.versions() >= self.options.flush_rows || self.bytes_to_flush(&active) >= self.options.flush_bytes;
        if self.options.is_read_only {
            return;
        }
        if !self.has_thread() {
            if is_full && let Some(mut flusher) = self.flusher.try_lock() {
                // A full store is met again at the next entry; `pressure` tells meanwhile.
                let _ = self.flush(&mut flusher);
            }
            return;
        }
        if is_full && !self.is_due.swap(true, Ordering::AcqRel) {
            let _orders = self.orders.lock();
            self.work.notify_one();
        }
    }

    /// What is soon to be deleted again is worth a flush only when it takes much memory.
    fn bytes_to_flush(&self, active: &Delta) -> u64 {
        let transient = match self.transient.load(Ordering::Relaxed) {
            0 => 0,
            id => active.relation(StorageId(id)).map_or(0, |relation| relation.bytes()),
        };
        active.bytes() - transient + transient / TRANSIENT_SHARE
    }

    /// The flusher's life.
    fn run(&self) {
        let _stop = StopOnPanic { fatal: &self.options.fatal, place: "the flush of a segment" };
        loop {
            let result = match self.wait_for_work() {
                Work::Flush => self.flush(&mut self.flusher.lock()),
                Work::Collect => self.collect(&mut self.flusher.lock()),
                Work::End => break,
            };
            let mut orders = self.orders.lock();
            match result {
                Ok(()) => orders.dirty_since = None,
                Err(StorageError::DiskFull(what)) => {
                    tracing::error!(segment = %self.options.name, "flush refused, disk full: {what}; tried again in {RETRY:?}");
                    orders.failures += 1;
                    orders.failure = what;
                    self.done.notify_all();
                    if !orders.is_closing {
                        self.work.wait_for(&mut orders, RETRY);
                    }
                    continue;
                }
                Err(error) => {
                    drop(orders);
                    (self.options.fatal)(&error);
                    break;
                }
            }
            self.done.notify_all();
            drop(orders);
            // A delta that is flushed was most of what the node held.
            host::spawn::give_memory_back();
        }
        self.orders.lock().is_ended = true;
        self.done.notify_all();
    }

    fn wait_for_work(&self) -> Work {
        let mut orders = self.orders.lock();
        let begun = self.host.clock.monotonic();
        loop {
            let (applied, flushed) = (self.applied.load(Ordering::Acquire), self.flushed.load(Ordering::Acquire));
            if orders.is_closing {
                return Work::End;
            }
            if orders.wanted > flushed || self.is_due.load(Ordering::Acquire) {
                return Work::Flush;
            }
            let now = self.host.clock.monotonic();
            if applied == flushed {
                orders.dirty_since = None;
                if now.saturating_sub(begun) >= COLLECT_EVERY {
                    return Work::Collect;
                }
                self.work.wait_for(&mut orders, self.options.flush_after.min(Duration::from_secs(1)));
                continue;
            }
            let since = *orders.dirty_since.get_or_insert(now);
            let waited = now.saturating_sub(since);
            let sooner = self.options.flush_after / SOONER;
            if waited >= self.options.flush_after || waited >= sooner && self.is_better_soon(waited) {
                return Work::Flush;
            }
            self.work.wait_for(&mut orders, (self.options.flush_after - waited).min(sooner));
        }
    }

    fn is_better_soon(&self, waited: Duration) -> bool {
        let generation = self.generation.load();
        let bytes = generation.base.relations.values().map(|relation| relation.bytes).sum();
        let turns = waited.as_millis() * u128::from(SOONER) / self.options.flush_after.as_millis().max(1);
        is_better_soon(bytes, generation.active.versions(), u64::try_from(turns).unwrap_or(u64::MAX))
    }

    fn flush(&self, flusher: &mut Flusher) -> Result<()> {
        let flushed = self.flush_cut(flusher);
        self.note_space(&flushed);
        flushed
    }

    fn note_space(&self, result: &Result<()>) {
        match result {
            Ok(()) => self.space.flushed(self.engine.is_full(self.options.map_size as u64).unwrap_or(false)),
            Err(StorageError::DiskFull(_)) => self.space.refused(),
            Err(_) => {}
        }
    }

    /// A step of the collection, where no flush takes one along.
    fn collect(&self, flusher: &mut Flusher) -> Result<()> {
        let generation = self.generation.load_full();
        let old = &generation.base.relations;
        let (remove, drops) = self.due_drops(old);
        if remove.is_empty() && old.values().all(|relation| relation.history_rows == 0) {
            return Ok(());
        }
        let horizon = |relation: StorageId| self.horizon_of(relation);
        let cut = (&remove[..], &drops);
        let collected = flush::collect(&self.engine, cut, old.clone(), &horizon, &mut flusher.collector);
        let result = collected.and_then(|relations| {
            if relations != *old || !remove.is_empty() {
                self.publish(generation.frozen.clone(), BaseState::new(self.engine.clone(), relations)?);
                self.forget_dropped(&remove);
            }
            Ok(())
        });
        self.note_space(&result);
        result
    }

    fn forget_dropped(&self, removed: &[StorageId]) {
        self.drops.lock().retain(|(id, _)| !removed.contains(id));
        self.retention.write().retain(|id, _| !removed.contains(id));
    }

    /// Freezes what is there (unless an earlier cut still waits) and writes it into the base.
    fn flush_cut(&self, flusher: &mut Flusher) -> Result<()> {
        if flusher.pending.is_none() {
            flusher.pending = self.freeze();
        }
        let Some((applied, state)) = flusher.pending.clone() else { return Ok(()) };
        let begun = self.host.clock.monotonic();
        let generation = self.generation.load_full();
        let empty = Arc::default();
        let delta: &Arc<Delta> = generation.frozen.as_ref().unwrap_or(&empty);
        let mut relations = generation.base.relations.clone();
        let slots = self.engine.slots();
        flush::assign_slots(&self.engine, delta, &mut relations)?;
        if self.engine.slots() != slots {
            // That was a transaction: readers that come now must find its state.
            let old = generation.base.relations.clone();
            self.publish(generation.frozen.clone(), BaseState::new(self.engine.clone(), old)?);
        }
        let (remove, drops) = self.due_drops(&relations);
        let cut = Cut { delta, applied, state: &state, remove: &remove, drops: &drops };
        let horizon = |relation: StorageId| self.horizon_of(relation);
        let relations = flush::write(&self.engine, &cut, relations, &horizon, &mut flusher.collector)?;
        self.publish(None, BaseState::new(self.engine.clone(), relations)?);
        self.forget_dropped(&remove);
        flusher.pending = None;
        self.flushed.store(applied, Ordering::Release);
        self.flush_seconds.record((self.host.clock.monotonic() - begun).as_secs_f64());
        self.flushed_versions.increment(delta.versions());
        self.delta_bytes.set(self.generation.load().active.bytes() as f64);
        Ok(())
    }

    fn freeze(&self) -> Option<(u64, Bytes)> {
        let image = self.image.read().clone();
        let _cut = self.cut.lock();
        let applied = self.applied.load(Ordering::Acquire);
        self.is_due.store(false, Ordering::Release);
        if applied == self.flushed.load(Ordering::Acquire) {
            return None;
        }
        let state = image.map(|image| image.image()).unwrap_or_default();
        let generation = self.generation.load_full();
        self.generation.store(Arc::new(Generation {
            active: Arc::default(),
            frozen: Some(generation.active.clone()),
            base: generation.base.clone(),
        }));
        Some((applied, state))
    }

    /// Only the flusher changes the generation, so nothing comes between load and store.
    fn publish(&self, frozen: Option<Arc<Delta>>, base: BaseState) {
        let active = self.generation.load().active.clone();
        self.generation.store(Arc::new(Generation { active, frozen, base: Arc::new(base) }));
    }

    /// Dropped relations whose time has come, and the others. One that has rows in the active delta waits.
    fn due_drops(&self, relations: &Relations) -> (Vec<StorageId>, Drops) {
        let active = self.generation.load().active.clone();
        let (mut due, mut waiting) = (Vec::new(), Drops::new());
        for (id, ts) in self.drops.lock().iter() {
            if *ts <= self.horizon_of(*id) && active.relation(*id).is_none() {
                due.push(*id);
            } else if relations.contains_key(id) || active.relation(*id).is_some() {
                waiting.push((*id, *ts));
            }
        }
        (due, waiting)
    }
}

/// Whether versions that have come in so many turns (of the sooner flush: it may be late) would change a good part of the pages of a
/// base of so many bytes, each about once. The engine copies a page to change it, and the page that was copied is free only two
/// flushes later: large flushes of a small base make its file many times as large. Where pages would be changed again and again,
/// to wait is worth more: they are written once. Much work is done later, too.
pub(super) fn is_better_soon(base_bytes: u64, versions: u64, turns: u64) -> bool {
    let touched = |versions: u64| versions.saturating_mul(PAGE_BYTES);
    let each_turn = versions / turns.max(1);
    base_bytes >= SMALL_BYTES
        && touched(versions) >= base_bytes / MUCH
        && touched(each_turn) < base_bytes / TOO_MUCH
        && each_turn <= SMALL_FLUSH
}
