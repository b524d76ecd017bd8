//! One shard on one node: its segment, its replicated state, and, while it leads, its sequencer and lock table.
//!
//! I1  Apply needs nothing of a leader's memory; a replica that has none of it applies the same.
//! I2  What a read was served cannot be changed later: `max_read_ts` is raised before anything is looked at (R2).
//! I3  Locks are taken in this order: `Segment::entry`, machine, sequencer, a part of the lock table.

use crate::command::{self, Command, TxnId};
use crate::facet::Depends;
use crate::locks::{LockTable, Owner, RowKey, WaitGraph};
use crate::machine::{Effect, Fate, Machine, Rows, STAGED};
use crate::moves::Moves;
use crate::oracle::Oracle;
use crate::reads::{RangeEnd, ReadRange, ReadSet};
use crate::sequencer::{
    Checked, CommitRequest, Dependency, Lookup, Outcome, Refusal, Sequenced, Sequencer, SharedFences, Spoilt,
};
use crate::wake::{Slot, Wakeups};
use crate::{LockMode, ShardId};
use arc_swap::ArcSwapOption;
use bytes::{Bytes, BytesMut};
use consensus::{Group, Replica};
use foldhash::fast::FixedState;
use host::bugs::{self, Bug};
use parking_lot::{Mutex, RwLock};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use storage::segment::{ApplyEntry, Recovered, Segment, StateImage, View};
use storage::{KeyRange, Mutation, StorageError, StorageId, Timestamp};
use tokio::sync::Notify;

/// How long recent commits stay below the horizon.
const RECENT_KEPT_US: u64 = 60_000_000;

/// Why a shard did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// It does not lead, or does not serve yet, or has lost its leadership meanwhile.
    #[error("not serving")]
    NotServing,
    #[error("{0}")]
    Storage(#[from] StorageError),
}

pub type Result<T, E = ShardError> = std::result::Result<T, E>;

/// Called in log order from apply, before waiters are answered: the timestamp and the writes of a commit.
pub type CommitListener = Box<dyn Fn(Timestamp, &[Mutation]) + Send + Sync>;

/// The replicated state as the segment flushes it.
struct Image(Arc<Mutex<Machine>>);

impl StateImage for Image {
    fn image(&self) -> Bytes {
        self.0.lock().encode()
    }
}

pub struct Shard {
    id: ShardId,
    segment: Segment,
    machine: Arc<Mutex<Machine>>,
    sequencer: Mutex<Sequencer>,
    /// The sequencer's.
    fences: SharedFences,
    rows: Arc<LockTable>,
    moves: Moves,
    max_read_ts: AtomicU64,
    /// A mirror of the sequencer's, to be read without it.
    last_stamp: AtomicU64,
    /// Large commits in flight or prepared: while 0, rows tell all.
    wide: AtomicBool,
    /// The term served; 0: none.
    serving: AtomicU64,
    leads: Notify,
    /// None before the start and after `detach`.
    group: ArcSwapOption<Group>,
    oracle: Arc<Oracle>,
    wakeups: Mutex<Wakeups>,
    listener: RwLock<Option<CommitListener>>,
    sequenced: metrics::Counter,
    refused: metrics::Counter,
    landed: metrics::Counter,
}

impl Shard {
    /// From what the segment recovered; the log above it is replayed through `Replica::apply`.
    pub fn new(
        id: ShardId,
        segment: Segment,
        recovered: Recovered,
        oracle: Arc<Oracle>,
        waits: Arc<WaitGraph>,
    ) -> Result<Arc<Shard>> {
        let damaged = |error: command::DecodeError| StorageError::Corrupt(format!("state image: {error}"));
        let machine = Arc::new(Mutex::new(Machine::decode(recovered.state).map_err(damaged)?));
        segment.set_image(Arc::new(Image(machine.clone())));
        segment.set_retention(STAGED, 0);
        segment.set_transient(STAGED);
        let label = id.0.to_string();
        let sequencer = Sequencer::default();
        Ok(Arc::new(Shard {
            id,
            segment,
            machine,
            fences: sequencer.fences().clone(),
            sequencer: Mutex::new(sequencer),
            rows: Arc::new(LockTable::new(waits)),
            moves: Moves::default(),
            max_read_ts: AtomicU64::new(0),
            last_stamp: AtomicU64::new(0),
            wide: AtomicBool::new(false),
            serving: AtomicU64::new(0),
            leads: Notify::new(),
            group: ArcSwapOption::empty(),
            oracle,
            wakeups: Mutex::default(),
            listener: RwLock::new(None),
            sequenced: metrics::counter!("hyrax_shard_sequenced_total", "shard" => label.clone()),
            refused: metrics::counter!("hyrax_shard_refused_total", "shard" => label.clone()),
            landed: metrics::counter!("hyrax_shard_applied_total", "shard" => label),
        }))
    }

    /// Once, after the group was started.
    pub fn set_group(&self, group: Group) {
        self.group.store(Some(Arc::new(group)));
    }

    /// At the end: the group holds this shard and this shard its group, so one of them has to let go.
    pub fn detach(&self) {
        self.serving.store(0, Ordering::Release);
        self.group.store(None);
    }

    pub fn set_listener(&self, listener: CommitListener) {
        *self.listener.write() = Some(listener);
    }

    pub fn id(&self) -> ShardId {
        self.id
    }
    pub fn segment(&self) -> &Segment {
        &self.segment
    }
    pub fn rows(&self) -> &Arc<LockTable> {
        &self.rows
    }
    pub fn moves(&self) -> &Moves {
        &self.moves
    }
    pub fn oracle(&self) -> &Arc<Oracle> {
        &self.oracle
    }

    /// The replicated state, for whoever only looks.
    pub fn with_machine<R>(&self, look: impl FnOnce(&Machine) -> R) -> R {
        look(&self.machine.lock())
    }

    /// Commits sequenced and not yet applied.
    pub fn in_flight(&self) -> usize {
        self.sequencer.lock().in_flight()
    }

    fn wake(&self) {
        if let Some(group) = &*self.group.load() {
            group.wake();
        }
    }

    /// What a `CommitRequest` with `drives` promised.
    pub fn drive(&self) {
        if let Some(group) = &*self.group.load() {
            group.drive();
        }
    }

    // ---- leading (R4) ----------------------------------------------------------------------

    /// The term that this replica serves.
    pub fn term(&self) -> Result<u64> {
        match self.serving.load(Ordering::Acquire) {
            0 => Err(ShardError::NotServing),
            term => Ok(term),
        }
    }

    /// To be asked *after* data was read in `term`: whether it may be told.
    pub fn confirm(&self, term: u64) -> Result<()> {
        let lease = self.group.load().as_ref().and_then(|group| group.read_lease());
        if lease == Some(term) && self.serving.load(Ordering::Acquire) == term {
            Ok(())
        } else {
            Err(ShardError::NotServing)
        }
    }

    /// The term led, as soon as this replica leads one: its log is applied, it does not serve yet.
    pub async fn leading(&self) -> u64 {
        loop {
            let changed = self.leads.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(term) = self.sequencer.lock().term {
                return term;
            }
            changed.await;
        }
    }

    /// The rest of R4: covers the log's stamps, *then* takes the oracle's now as `max_read_ts`, then serves. The group
    /// has seen to it that the previous lease has run out.
    pub async fn serve(&self, term: u64) {
        let last_stamp = self.machine.lock().last_stamp;
        self.oracle.cover(last_stamp).await;
        let now = self.oracle.now().await;
        self.max_read_ts.fetch_max(now.0, Ordering::SeqCst);
        let sequencer = self.sequencer.lock();
        if sequencer.term == Some(term) {
            self.serving.store(term, Ordering::Release);
        }
    }

    // ---- reads (R2, R3) --------------------------------------------------------------------

    /// True where a read of the row at `at` misses nothing, without a wait. `max_read_ts` is raised first.
    pub fn is_row_clear(&self, row: &RowKey, at: Timestamp) -> bool {
        self.max_read_ts.fetch_max(at.0, Ordering::SeqCst);
        !self.rows.is_pending(row.hash) && !self.wide.load(Ordering::SeqCst)
    }

    /// Returns when a read of the row at `at` misses nothing. `max_read_ts` is raised first.
    pub async fn wait_for_row(&self, row: &RowKey, at: Timestamp) -> Result<()> {
        self.max_read_ts.fetch_max(at.0, Ordering::SeqCst);
        loop {
            self.term()?;
            if !self.rows.is_pending(row.hash) && !self.wide.load(Ordering::SeqCst) {
                return Ok(());
            }
            let slot = self.sequencer.lock().row_in_the_way(&self.rows, row, at);
            match slot.filter(|_| !bugs::is_on(Bug::FlightSkipped)) {
                None => return Ok(()),
                Some(slot) => slot.wait().await,
            }
        }
    }

    /// The same for a range.
    pub async fn wait_for_range(&self, relation: StorageId, range: &KeyRange, at: Timestamp) -> Result<()> {
        self.max_read_ts.fetch_max(at.0, Ordering::SeqCst);
        loop {
            self.term()?;
            if !self.rows.is_relation_pending(relation) && !self.wide.load(Ordering::SeqCst) {
                return Ok(());
            }
            let slot = self.sequencer.lock().range_in_the_way(relation, range, at);
            match slot.filter(|_| !bugs::is_on(Bug::FlightSkipped)) {
                None => return Ok(()),
                Some(slot) => slot.wait().await,
            }
        }
    }

    /// R3: waits for undecided prepared transactions on the row, whatever their stamps.
    pub async fn wait_for_prepared(&self, row: &RowKey) -> Result<()> {
        loop {
            self.term()?;
            if !self.rows.is_pending(row.hash) && !self.wide.load(Ordering::SeqCst) {
                return Ok(());
            }
            let slot = self.sequencer.lock().prepared_over(row, Timestamp::MAX);
            match slot {
                None => return Ok(()),
                Some(slot) => slot.wait().await,
            }
        }
    }

    /// Whether `wait_for_wide` has anything to look at.
    pub fn has_wide(&self) -> bool {
        self.wide.load(Ordering::SeqCst)
    }

    /// After a lock was granted, where rows do not tell all: a large commit in flight over the row.
    pub async fn wait_for_wide(&self, row: &RowKey) -> Result<()> {
        while self.wide.load(Ordering::SeqCst) {
            let slot = {
                let mut sequencer = self.sequencer.lock();
                match sequencer.range_over(row, Timestamp::MAX) {
                    Some(batch) => Some(sequencer.wait_for_batch(batch)),
                    None => sequencer.prepared_over(row, Timestamp::MAX),
                }
            };
            match slot {
                None => return Ok(()),
                Some(slot) => slot.wait().await,
            }
            self.term()?;
        }
        Ok(())
    }

    /// Every stamp given from now on is above the answer; locks and checks of a transaction raise `max_read_ts` to its
    /// snapshot here.
    pub fn begin_look(&self, snapshot: Timestamp) -> Timestamp {
        self.max_read_ts.fetch_max(snapshot.0, Ordering::SeqCst);
        Timestamp(self.last_stamp.load(Ordering::SeqCst))
    }

    /// R8: what of `reads` has changed in `(since, now]`, if anything. A read at `now`.
    pub async fn has_changed(&self, reads: &ReadSet, since: Timestamp, now: Timestamp) -> Result<Option<Spoilt>> {
        let term = self.term()?;
        self.max_read_ts.fetch_max(now.0, Ordering::SeqCst);
        let mut changed = None;
        for (relation, read, depends) in reads.iter_with_facets() {
            self.wait_for_range(relation, &read.to_range(), now).await?;
            changed = self.changed_between(&self.segment.view()?, relation, read, depends, since, now)?;
            if changed.is_some() {
                break;
            }
        }
        self.confirm(term)?;
        Ok(changed)
    }

    fn changed_between(
        &self,
        view: &View,
        relation: StorageId,
        read: &ReadRange,
        depends: &Depends,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Spoilt>> {
        let range = read.to_range();
        let Some(at) = view.changed_since(relation, &range, since)? else { return Ok(None) };
        if !depends.has_changed(view, relation, &range, since, now)? {
            return Ok(None);
        }
        let key = matches!(read.end, RangeEnd::Point).then(|| Bytes::copy_from_slice(&read.start));
        Ok(Some(Spoilt { relation, key, other: self.writer_at(at) }))
    }

    /// The look-ups that the sequencer asked for, or that tell what of a changed row was read; and what has changed.
    pub fn look_first(&self, reads: &ReadSet, snapshot: Timestamp) -> Result<(Checked, Option<Spoilt>)> {
        let checked = self.sequencer.lock().checked_now();
        let view = self.segment.view()?;
        for (relation, read, depends) in reads.iter_with_facets() {
            let changed = self.changed_between(&view, relation, read, depends, snapshot, Timestamp::MAX)?;
            if changed.is_some() {
                return Ok((checked, changed));
            }
        }
        Ok((checked, None))
    }

    /// What of `reads` is seen to have changed without looking far: what a statement asks, whose commit will look at all.
    pub fn spoilt(&self, reads: &ReadSet, since: Timestamp) -> Option<Spoilt> {
        if self.last_stamp.load(Ordering::SeqCst) <= since.0 {
            return None;
        }
        let suspects = self.sequencer.lock().suspects(reads, since);
        suspects.into_iter().find(|suspect| self.is_spoilt(suspect, reads, since))
    }

    /// Whether it is what was read of the row that has changed, as far as that is applied.
    fn is_spoilt(&self, suspect: &Spoilt, reads: &ReadSet, since: Timestamp) -> bool {
        let (Some(depends), Some(key)) = (reads.depends_on(suspect.relation), &suspect.key) else { return false };
        if depends.is_whole() {
            return true;
        }
        let (row, newest) = (KeyRange::point(key), Timestamp::MAX);
        let compared =
            self.segment.view().map(|view| depends.has_changed(&view, suspect.relation, &row, since, newest));
        matches!(compared, Ok(Ok(true)))
    }

    /// Who committed at `ts`, as far as this leader remembers.
    pub fn writer_at(&self, ts: Timestamp) -> Option<Owner> {
        self.sequencer.lock().writer_at(ts)
    }

    /// Whether the row was written after `since` in a way that a lock of this mode forbids; None: not all is known.
    pub fn conflicts_since(&self, row: &RowKey, since: Timestamp, mode: LockMode) -> Option<bool> {
        self.sequencer.lock().conflicts_since(row, since, mode)
    }

    /// Whether a plan made with this version of the relation (its id) can not be committed any more.
    pub fn is_fenced(&self, relation: u32, version: u32) -> bool {
        self.fences.read().is_above(relation, version)
    }

    // ---- commits ---------------------------------------------------------------------------

    /// One attempt to sequence a commit or prepare; `command` is taken where the answer is `Done`.
    pub fn sequence(&self, request: &CommitRequest<'_>, command: &mut BytesMut, checked: Option<Checked>) -> Sequenced {
        if self.term().is_err() {
            return Sequenced::Refused(Refusal::NotServing);
        }
        let mut wakeups = Wakeups::default();
        let lookup = SegmentLookup(&self.segment);
        let answer = {
            let mut sequencer = self.sequencer.lock();
            let read_below = || Timestamp(self.max_read_ts.load(Ordering::SeqCst));
            if !request.ranges.is_empty() {
                self.wide.store(true, Ordering::SeqCst);
            }
            let answer = sequencer.sequence(request, command, checked, read_below, &self.rows, &lookup, &mut wakeups);
            self.last_stamp.store(sequencer.last_stamp().0, Ordering::SeqCst);
            self.wide.store(sequencer.has_ranges_or_prepared(), Ordering::SeqCst);
            answer
        };
        wakeups.wake();
        match &answer {
            Sequenced::Done { stamp, .. } => {
                self.sequenced.increment(1);
                // R1, in parallel with the log: mostly this is all there is to it.
                self.oracle.try_cover(*stamp);
                if !request.drives {
                    self.wake();
                }
            }
            Sequenced::Refused(_) => self.refused.increment(1),
            _ => {}
        }
        answer
    }

    /// Puts a command that needs no validation into the open batch: Stage, Tombstone, Decide, Mark, …
    pub fn submit(&self, command: BytesMut, decided_at: Option<Timestamp>) -> Result<Arc<Slot<Outcome>>> {
        let slot = {
            let mut sequencer = self.sequencer.lock();
            let slot = sequencer.submit(command.freeze(), decided_at).ok_or(ShardError::NotServing)?;
            self.last_stamp.store(sequencer.last_stamp().0, Ordering::SeqCst);
            slot
        };
        self.wake();
        Ok(slot)
    }

    /// Fate of a transaction that was sent: who asks and finds nothing leaves a tombstone (R10). A tombstone behind what is in
    /// flight about it is void, so the answer is of all that came before. Durable; covered by the caller.
    pub async fn status(&self, txn: TxnId, watermark: u64) -> Result<Outcome> {
        let slot = self.submit(command::tombstone(txn, watermark), None)?;
        Ok(slot.wait().await)
    }

    /// Whether versions of a batch that were read in flight are durable; waits for them (R7). Err: they are lost.
    pub async fn wait_for_dependency(&self, dependency: Dependency) -> Result<()> {
        if bugs::is_on(Bug::DependencyIgnored) {
            return Ok(());
        }
        loop {
            let slot = {
                let mut sequencer = self.sequencer.lock();
                match sequencer.is_applied(dependency) {
                    Some(true) => return Ok(()),
                    Some(false) => sequencer.wait_for_batch(dependency.batch),
                    None => return Err(ShardError::NotServing),
                }
            };
            slot.wait().await;
        }
    }

    /// Waits for the decision of a prepared transaction.
    pub async fn wait_for_decision(&self, txn: TxnId) {
        let slot = self.sequencer.lock().wait_for_decision(txn);
        if let Some(slot) = slot {
            slot.wait().await;
        }
    }

    /// Prepared here, and not yet decided.
    pub fn prepared(&self) -> Vec<TxnId> {
        self.sequencer.lock().prepared_ids()
    }

    /// Nobody reads below `horizon` any more. Recent commits are kept longer: locks of a READ COMMITTED transaction were
    /// looked at below it.
    pub fn set_horizon(&self, horizon: Timestamp) {
        self.segment.set_horizon(horizon);
        let kept = Timestamp(horizon.0.saturating_sub(RECENT_KEPT_US << 12));
        self.sequencer.lock().forget_recent_below(kept);
    }

    /// False while the log's disk is full.
    pub fn has_room(&self) -> bool {
        self.group.load().as_ref().is_none_or(|group| group.has_room())
    }

    /// Gives a lock back.
    pub fn release(&self, owner: Owner, row: &RowKey, to: Option<LockMode>) {
        let mut wakeups = Wakeups::default();
        self.rows.release(owner, row, to, &mut wakeups);
        wakeups.wake();
    }

    /// Newest versions and replicated state in one number, for comparing replicas (invariant 5). Walks everything.
    pub fn state_hash(&self) -> Result<u64> {
        let view = self.segment.view()?;
        let hasher = FixedState::with_seed(5);
        let mut sum = self.machine.lock().hash;
        for relation in self.segment.relations() {
            let mut cursor =
                view.cursor(relation, &KeyRange::all(), Timestamp::MAX, storage::segment::Direction::Forward)?;
            while let Some(entry) = cursor.next()? {
                sum ^= hasher.hash_one((relation.0, entry.key, entry.value, entry.ts.0));
            }
        }
        Ok(sum)
    }
}

struct SegmentLookup<'s>(&'s Segment);

/// A read that fails on a damaged page counts as a change: the commit is refused, the reader of the page reports it.
impl Lookup for SegmentLookup<'_> {
    fn changed_since(&self, relation: StorageId, range: &KeyRange, since: Timestamp) -> Option<Timestamp> {
        match self.0.view().and_then(|view| view.changed_since(relation, range, since)) {
            Ok(changed) => changed,
            Err(_) => Some(Timestamp::MAX),
        }
    }

    fn newest(&self, relation: StorageId, key: &[u8]) -> Option<Timestamp> {
        match self.0.view() {
            Ok(view) => match view.newest(relation, key) {
                Ok(newest) => newest.map(|newest| newest.ts),
                Err(_) => Some(Timestamp::MAX),
            },
            Err(_) => Some(Timestamp::MAX),
        }
    }

    fn newest_of(&self, relation: StorageId) -> Timestamp {
        self.0.newest_of(relation)
    }
}

struct SegmentRows<'s> {
    entry: &'s ApplyEntry<'s>,
    segment: &'s Segment,
    listener: Option<&'s CommitListener>,
}

impl Rows for SegmentRows<'_> {
    fn write(&mut self, ts: Timestamp, mutations: &[Mutation]) {
        if mutations.is_empty() {
            return;
        }
        self.entry.write(ts, mutations);
        if let Some(listener) = self.listener {
            listener(ts, mutations);
        }
    }

    fn staged(&mut self, key: &[u8]) -> Option<Bytes> {
        let view = self.segment.view().ok()?;
        let newest = view.newest(STAGED, key).ok()??;
        newest.value.map(storage::segment::Value::into_bytes)
    }
}

impl Replica for Shard {
    fn next_batch(&self, term: u64) -> Option<Bytes> {
        self.sequencer.lock().next_batch(term)
    }

    fn has_batch(&self, term: u64) -> bool {
        self.sequencer.lock().has_batch(term)
    }

    fn apply(&self, index: u64, _term: u64, bytes: Bytes) {
        let salt = FixedState::with_seed(1).hash_one(&bytes[..]);
        // Written by a leader of this group and checked by the log: an entry that does not decode is damage or a bug, and
        // a replica that skipped it would differ from the others. The node stops.
        let entry = command::decode_entry(bytes).unwrap_or_else(|error| panic!("entry {index}: {error}"));
        let applied = Dependency { term: entry.term, batch: entry.batch };
        let (mut fates, mut decided, mut void) = (Vec::with_capacity(entry.commands.len()), Vec::new(), Vec::new());
        {
            let listener = self.listener.read();
            let guard = self.segment.entry(index);
            let mut rows = SegmentRows { entry: &guard, segment: &self.segment, listener: listener.as_ref() };
            let mut machine = self.machine.lock();
            (machine.term, machine.batch) = (entry.term, entry.batch);
            for (position, command) in entry.commands.into_iter().enumerate() {
                let prepares = match &command {
                    Command::Prepare { txn, .. } => Some(*txn),
                    _ => None,
                };
                match machine.apply(command, salt.wrapping_add(position as u64), &mut rows) {
                    Effect::Done => fates.push(Fate::Unseen),
                    Effect::Fate { fate, decided: ended } => {
                        fates.push(fate);
                        decided.extend(ended);
                        if let (Some(txn), false) = (prepares, matches!(fate, Fate::Prepared(_))) {
                            void.push(txn);
                        }
                    }
                }
            }
        }
        self.landed.increment(fates.len() as u64);
        let mut wakeups = Wakeups::default();
        {
            let mut sequencer = self.sequencer.lock();
            for ended in decided {
                let (txn, prepare, commit_ts) = &*ended;
                sequencer.decided(*txn, prepare, *commit_ts, &self.rows, &mut wakeups);
            }
            void.into_iter().for_each(|txn| sequencer.void(txn, &self.rows, &mut wakeups));
            sequencer.land(applied, &fates, &self.rows, &mut wakeups);
            self.last_stamp.fetch_max(sequencer.last_stamp().0, Ordering::SeqCst);
            self.wide.store(sequencer.has_ranges_or_prepared(), Ordering::SeqCst);
        }
        self.wakeups.lock().append(&mut wakeups);
    }

    fn applied_round(&self) {
        let mut wakeups = std::mem::take(&mut *self.wakeups.lock());
        wakeups.ring();
    }

    fn leader_started(&self, term: u64) {
        {
            let machine = self.machine.lock();
            let mut sequencer = self.sequencer.lock();
            sequencer.start(term, &machine, &self.rows);
            self.last_stamp.store(sequencer.last_stamp().0, Ordering::SeqCst);
            self.wide.store(sequencer.has_ranges_or_prepared(), Ordering::SeqCst);
        }
        self.leads.notify_waiters();
    }

    fn leader_stopped(&self, term: u64) {
        self.serving.store(0, Ordering::Release);
        let mut wakeups = Wakeups::default();
        {
            let mut sequencer = self.sequencer.lock();
            if sequencer.term == Some(term) {
                sequencer.stop(&mut wakeups);
                self.rows.clear(&mut wakeups);
            }
        }
        wakeups.ring();
    }

    fn flushed(&self) -> u64 {
        if bugs::is_on(Bug::PurgedBeforeFlush) {
            return self.segment.applied();
        }
        self.segment.flushed()
    }
}
