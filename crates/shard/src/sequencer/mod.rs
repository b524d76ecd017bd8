//! The sequencer: where commits of this shard are validated, stamped and put in order, in one short critical section that
//! the session's own thread enters (`performance.md` §4.2).
//!
//! Owns what a leader knows beyond the replicated state: batches open and in flight, recent commits, a mirror of what is
//! prepared, who waits for which batch or decision. Lost with leadership.
//!
//! I1  Stamps grow; each is above `max_read_ts` as it was after the commit's rows were announced (`LockTable` I4), so a
//!     read that saw nothing pending has missed nothing.
//! I2  Validation and stamping are one step: nothing is stamped in between.
//! I3  Batches are numbered within the term in the order in which they reach the log (R7).
//!
//! ```text
//! session: encode -> [ validate | announce rows | stamp | show versions, free locks | open batch ] -> wake proposer -> wait
//! raft:    next_batch -> log -> apply -> land: versions are applied, waiters get their answers
//! ```
//!
//! Nobody waits in here: who must wait gets a slot and comes again (R6).

mod validate;

use crate::TxnId;
use crate::command::{self, Prepare, SchemaVersion, Span};
use crate::fences::Fences;
use crate::locks::{LockMode, LockTable, Owner, RowKey};
use crate::machine::{Fate, Machine};
use crate::reads::ReadSet;
use crate::recent::{RECENT_MAX, Recent, RecentList, Written};
use crate::wake::{Slot, Wakeups};
use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use storage::{KeyRange, StorageId, Timestamp};
use validate::Valid;

/// A batch that has grown so large is followed by another.
const BATCH_BYTES: usize = 4 << 20;

/// A statement that asks whether its transaction still can commit walks so many commits, and no more.
const SPOILT_WALK_MAX: usize = 64;

/// Something read that has changed since.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spoilt {
    pub relation: StorageId,
    /// Where one row is known.
    pub key: Option<Bytes>,
    /// Who changed it, where that is known.
    pub other: Option<Owner>,
}

/// What a waiter for a command of its own is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Fate(Fate),
    /// Leadership was lost while it was in flight: it may survive or not.
    Unknown,
}

/// One write of a commit: which row, and where its value stands in the command's bytes.
#[derive(Clone, Debug)]
pub struct WriteAt {
    pub row: RowKey,
    /// None deletes.
    pub value: Option<Range<usize>>,
}

/// A row that was locked and looked at (R9).
#[derive(Clone, Debug)]
pub struct LockedSpan {
    pub row: RowKey,
    pub mode: LockMode,
    /// Timestamp of the version seen; ZERO if there was none.
    pub seen: Timestamp,
    /// Every later change of the row has a greater stamp.
    pub looked: Timestamp,
}

/// A relation of which nobody may have written a row since it was read (`Transaction::exclude`): an index was filled from
/// it, or all its rows were checked. Validated at every level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Certified {
    pub relation: StorageId,
    pub since: Timestamp,
}

/// A batch whose versions were read before they were durable (R7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Dependency {
    pub term: u64,
    pub batch: u64,
}

/// What a session brings to the sequencer.
pub struct CommitRequest<'a> {
    pub txn: TxnId,
    pub owner: Owner,
    pub snapshot: Timestamp,
    /// Plain reads, normalized; empty below SERIALIZABLE.
    pub reads: &'a ReadSet,
    pub locked: &'a [LockedSpan],
    pub certified: &'a [Certified],
    pub schemas: &'a [SchemaVersion],
    pub fences: &'a [SchemaVersion],
    pub dependencies: &'a [Dependency],
    /// Each row once. Empty where `ranges` stands for a large commit's rows.
    pub writes: &'a [WriteAt],
    pub ranges: &'a [(StorageId, KeyRange)],
    /// Of a Prepare: its age (R6) and its spans as they stand in the command.
    pub prepare: Option<(Timestamp, &'a [Span])>,
    /// The caller calls `Shard::drive` next: nobody needs to be woken for the log.
    pub drives: bool,
}

/// Why a commit was refused; nothing of it is in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// A read or a locked row has changed.
    Changed {
        relation: StorageId,
        key: Option<Bytes>,
        is_locked_row: bool,
        /// What is in the way is prepared: it may yet come to nothing.
        is_prepared: bool,
        /// Whose write it met, where that is known.
        other: Option<Owner>,
    },
    /// The younger of two Prepares that would wait for each other.
    Younger {
        other: Option<Owner>,
    },
    SchemaChanged {
        relation: u32,
    },
    /// A version it has read never became durable.
    DependencyLost,
    NotServing,
}

pub enum Sequenced {
    Done {
        stamp: Timestamp,
        batch: u64,
        slot: Arc<Slot<Outcome>>,
    },
    /// Something undecided is in the way: come again when the slot is done.
    Wait(Arc<Slot<()>>),
    /// Too much has been committed since the snapshot to walk through it in here: look the spans up first.
    LookFirst,
    Refused(Refusal),
}

/// What was looked up outside: no span has changed up to `upto`, unless a Decide came since.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    pub upto: Timestamp,
    pub decides: u64,
}

struct FlyingCommand {
    slot: Arc<Slot<Outcome>>,
    stamp: Timestamp,
    rows: SmallVec<[RowKey; 1]>,
}

struct Batch {
    number: u64,
    commands: Vec<Bytes>,
    size: usize,
    commits: Vec<FlyingCommand>,
}

struct FlyingRange {
    batch: u64,
    stamp: Timestamp,
    relation: StorageId,
    range: KeyRange,
}

/// The leader's copy of a prepared transaction, from its sequencing to the application of its Decide.
struct PreparedHere {
    txn: TxnId,
    /// None: of another leader's time.
    owner: Option<Owner>,
    stamp: Timestamp,
    age: Timestamp,
    rows: Vec<RowKey>,
    ranges: Vec<(StorageId, KeyRange)>,
    spans: Vec<Span>,
    schemas: Vec<SchemaVersion>,
    fences: Vec<SchemaVersion>,
    waiters: Vec<Arc<Slot<()>>>,
}

impl PreparedHere {
    fn writes_in(&self, relation: StorageId, range: &KeyRange) -> bool {
        self.rows.iter().any(|row| row.relation == relation && range.contains(&row.key))
            || self.ranges.iter().any(|(id, mine)| *id == relation && mine.overlaps(range))
    }

    fn writes_row(&self, row: &RowKey) -> bool {
        self.rows.iter().any(|mine| mine == row)
            || self.ranges.iter().any(|(id, range)| *id == row.relation && range.contains(&row.key))
    }
}

/// Shared with the shard, so that a statement can ask before it begins.
pub type SharedFences = Arc<RwLock<Fences>>;

/// Below the mutex of a shard's leader.
pub struct Sequencer {
    /// The term led; None: a follower.
    pub term: Option<u64>,
    next_batch: u64,
    open: VecDeque<Batch>,
    flying: VecDeque<Batch>,
    last_stamp: Timestamp,
    recent: RecentList,
    prepared: Vec<PreparedHere>,
    ranges: Vec<FlyingRange>,
    /// As applied and as in flight here.
    fences: SharedFences,
    landed_waiters: Vec<(u64, Arc<Slot<()>>)>,
    /// Decides applied in this term: each may have come below `applied_stamp`.
    decides: u64,
    /// All one-shard commits stamped up to here are applied.
    applied_stamp: Timestamp,
    applied: Dependency,
}

/// What validation needs from the segment.
pub trait Lookup {
    /// The newest change in the range with a timestamp above `since`.
    fn changed_since(&self, relation: StorageId, range: &KeyRange, since: Timestamp) -> Option<Timestamp>;
    fn newest(&self, relation: StorageId, key: &[u8]) -> Option<Timestamp>;
    /// No version of the relation is newer.
    fn newest_of(&self, relation: StorageId) -> Timestamp;
}

impl Default for Sequencer {
    fn default() -> Sequencer {
        Sequencer {
            term: None,
            next_batch: 1,
            open: VecDeque::new(),
            flying: VecDeque::new(),
            last_stamp: Timestamp::ZERO,
            recent: RecentList::new(RECENT_MAX),
            prepared: Vec::new(),
            ranges: Vec::new(),
            fences: SharedFences::default(),
            landed_waiters: Vec::new(),
            decides: 0,
            applied_stamp: Timestamp::ZERO,
            applied: Dependency { term: 0, batch: 0 },
        }
    }
}

impl Sequencer {
    /// Begins a term from the replicated state.
    pub fn start(&mut self, term: u64, machine: &Machine, rows: &LockTable) {
        let fences = self.fences.clone();
        *fences.write() = machine.fences().clone();
        *self = Sequencer { term: Some(term), last_stamp: machine.last_stamp, fences, ..Sequencer::default() };
        self.recent.restart(machine.last_stamp);
        self.applied_stamp = machine.last_stamp;
        self.applied = Dependency { term: machine.term, batch: machine.batch };
        for (txn, prepare) in machine.prepared() {
            let keys = prepare.writes.iter().map(|write| RowKey::new(write.relation, &write.key)).collect();
            // Which rows its staged parts write is not known here; it is all or nothing until it is decided.
            let ranges = if prepare.parts == 0 { Vec::new() } else { everything(prepare) };
            self.mirror(rows, None, *txn, prepare, keys, ranges);
        }
    }

    /// Ends the term: what is in flight has an unknown outcome.
    pub fn stop(&mut self, wakeups: &mut Wakeups) {
        for batch in self.open.drain(..).chain(self.flying.drain(..)) {
            for command in batch.commits {
                command.slot.complete(Outcome::Unknown, wakeups);
            }
        }
        let waiters = self.landed_waiters.drain(..).map(|(_, slot)| slot);
        for slot in waiters.chain(self.prepared.drain(..).flat_map(|prepared| prepared.waiters)) {
            slot.complete((), wakeups);
        }
        self.ranges.clear();
        self.term = None;
    }

    pub fn last_stamp(&self) -> Timestamp {
        self.last_stamp
    }
    pub fn checked_now(&self) -> Checked {
        Checked { upto: self.applied_stamp, decides: self.decides }
    }
    pub fn is_complete_since(&self, since: Timestamp) -> bool {
        self.recent.is_complete_since(since)
    }
    pub fn in_flight(&self) -> usize {
        self.flying.iter().chain(&self.open).map(|batch| batch.commits.len()).sum()
    }
    pub fn forget_recent_below(&mut self, horizon: Timestamp) {
        self.recent.forget_below(horizon);
    }
    pub fn prepared_ids(&self) -> Vec<TxnId> {
        self.prepared.iter().map(|prepared| prepared.txn).collect()
    }

    // ---- commits ---------------------------------------------------------------------------

    /// Validates, stamps and orders a commit or a prepare. `command` is its encoding, stamp still open; it is taken only
    /// where the answer is `Done`.
    pub fn sequence(
        &mut self,
        request: &CommitRequest<'_>,
        command: &mut BytesMut,
        checked: Option<Checked>,
        read_below: impl FnOnce() -> Timestamp,
        rows: &LockTable,
        segment: &impl Lookup,
        wakeups: &mut Wakeups,
    ) -> Sequenced {
        let Some(term) = self.term else { return Sequenced::Refused(Refusal::NotServing) };
        if let Some(lost) = request.dependencies.iter().find(|dependency| !self.has(term, **dependency)) {
            tracing::debug!(?lost, "a version that was read has vanished");
            return Sequenced::Refused(Refusal::DependencyLost);
        }
        if let Some(old) = self.fences.read().refused(request.schemas, request.snapshot) {
            return Sequenced::Refused(Refusal::SchemaChanged { relation: old.relation });
        }
        if let Some(answer) = self.meet_prepared(request) {
            return answer;
        }
        match self.validate(request, checked, rows, segment) {
            Valid::Yes => {}
            Valid::Wait(batch) => return Sequenced::Wait(self.wait_for_batch(batch)),
            Valid::LookFirst => return Sequenced::LookFirst,
            Valid::No { relation, key, is_locked_row, other } => {
                return Sequenced::Refused(Refusal::Changed {
                    relation,
                    key,
                    is_locked_row,
                    is_prepared: false,
                    other,
                });
            }
        }
        // I1: announced before `max_read_ts` is looked at.
        request.writes.iter().for_each(|write| rows.announce(write.row.hash, write.row.relation));
        let stamp = read_below().max(self.last_stamp).max(request.snapshot).next();
        self.last_stamp = stamp;
        command::patch_stamp(command, stamp);
        let command = std::mem::take(command).freeze();
        let batch = self.open_batch();
        let mut flying_rows = SmallVec::new();
        match request.prepare {
            None => self.show(request, &command, stamp, batch, rows, &mut flying_rows, wakeups),
            Some((age, spans)) => {
                let keys: Vec<RowKey> = request.writes.iter().map(|write| write.row.clone()).collect();
                keys.iter().for_each(|row| rows.prepare(Some(request.owner), row, request.txn, stamp));
                self.prepared.push(PreparedHere {
                    txn: request.txn,
                    owner: Some(request.owner),
                    stamp,
                    age,
                    rows: keys,
                    ranges: request.ranges.to_vec(),
                    spans: spans.to_vec(),
                    schemas: request.schemas.to_vec(),
                    fences: request.fences.to_vec(),
                    waiters: Vec::new(),
                });
            }
        }
        let slot = self.push(command, stamp, flying_rows);
        Sequenced::Done { stamp, batch, slot }
    }

    /// The versions of a one-shard commit become the newest in flight, its locks go (early release).
    fn show(
        &mut self,
        request: &CommitRequest<'_>,
        command: &Bytes,
        stamp: Timestamp,
        batch: u64,
        rows: &LockTable,
        flying_rows: &mut SmallVec<[RowKey; 1]>,
        wakeups: &mut Wakeups,
    ) {
        let owner = Some(request.owner);
        for write in request.writes {
            let value = write.value.clone().map(|range| command.slice(range));
            let strength = rows.fly(request.owner, &write.row, stamp, batch, value, wakeups);
            self.recent.push(Recent {
                ts: stamp,
                relation: write.row.relation,
                hash: write.row.hash,
                written: Written::Key(write.row.key.clone()),
                strength,
                owner,
            });
            flying_rows.push(write.row.clone());
        }
        self.raise_fences(request.fences, stamp);
        for (relation, range) in request.ranges {
            self.ranges.push(FlyingRange { batch, stamp, relation: *relation, range: range.clone() });
            let (written, strength) = (Written::Range(range.clone()), LockMode::Update);
            self.recent.push(Recent { ts: stamp, relation: *relation, hash: 0, written, strength, owner });
        }
    }

    /// Who committed at `ts`, as far as this leader remembers.
    pub fn writer_at(&self, ts: Timestamp) -> Option<Owner> {
        self.recent.writer_at(ts)
    }

    /// Whether the row was written after `since` in a way that a lock of this mode forbids; None: not all are known.
    pub fn conflicts_since(&self, row: &RowKey, since: Timestamp, mode: LockMode) -> Option<bool> {
        self.recent.conflicts_since(row, since, mode)
    }

    /// Recent writes of rows that were read, newest first, if they can be seen by looking at a few. Where only a part of such a row
    /// was read, it need not have changed.
    pub fn suspects(&self, reads: &ReadSet, since: Timestamp) -> Vec<Spoilt> {
        if !self.recent.is_complete_since(since) || self.recent.count_since(since) > SPOILT_WALK_MAX {
            return Vec::new();
        }
        let is_read = |recent: &&Recent| match &recent.written {
            Written::Key(key) => reads.contains(recent.relation, key),
            // It is not known what was written: left to the commit.
            Written::Range(_) => false,
        };
        let suspect = |recent: &Recent| {
            let key = match &recent.written {
                Written::Key(key) => Some(Bytes::copy_from_slice(key)),
                Written::Range(_) => None,
            };
            Spoilt { relation: recent.relation, key, other: recent.owner }
        };
        self.recent.since(since).filter(is_read).map(suspect).collect()
    }

    pub fn fences(&self) -> &SharedFences {
        &self.fences
    }

    fn raise_fences(&mut self, raised: &[SchemaVersion], stamp: Timestamp) {
        if !raised.is_empty() {
            self.fences.write().raise(raised, stamp);
        }
    }

    /// Any other command: in order, without validation.
    pub fn submit(&mut self, command: Bytes, decided_at: Option<Timestamp>) -> Option<Arc<Slot<Outcome>>> {
        self.term?;
        // A Decide counts from now on: the next writer of its keys must come after it.
        self.last_stamp = self.last_stamp.max(decided_at.unwrap_or_default());
        let stamp = decided_at.unwrap_or_default();
        self.open_batch();
        Some(self.push(command, stamp, SmallVec::new()))
    }

    fn open_batch(&mut self) -> u64 {
        match self.open.back() {
            Some(batch) if batch.size < BATCH_BYTES => batch.number,
            _ => {
                let number = self.next_batch;
                self.next_batch += 1;
                self.open.push_back(Batch { number, commands: Vec::new(), size: 0, commits: Vec::new() });
                number
            }
        }
    }

    fn push(&mut self, command: Bytes, stamp: Timestamp, rows: SmallVec<[RowKey; 1]>) -> Arc<Slot<Outcome>> {
        let slot = Slot::new();
        let batch = self.open.back_mut().expect("opened by the caller");
        batch.size += command.len();
        batch.commands.push(command);
        batch.commits.push(FlyingCommand { slot: slot.clone(), stamp, rows });
        slot
    }

    /// Of an older term than the last one applied here nothing is known: better refused than believed.
    fn has_applied(&self, dependency: Dependency) -> bool {
        dependency.term == self.applied.term && dependency.batch <= self.applied.batch
    }

    fn has(&self, term: u64, dependency: Dependency) -> bool {
        self.has_applied(dependency) || dependency.term == term && dependency.batch < self.next_batch
    }

    // ---- waiting ---------------------------------------------------------------------------

    pub fn wait_for_batch(&mut self, batch: u64) -> Arc<Slot<()>> {
        let slot = Slot::new();
        self.landed_waiters.push((batch, slot.clone()));
        slot
    }

    /// For the end of a prepared transaction; None if it has ended.
    pub fn wait_for_decision(&mut self, txn: TxnId) -> Option<Arc<Slot<()>>> {
        let prepared = self.prepared.iter_mut().find(|prepared| prepared.txn == txn)?;
        let slot = Slot::new();
        prepared.waiters.push(slot.clone());
        Some(slot)
    }

    /// What a read of the row at `at` has to wait for (R2). The caller has raised `max_read_ts`.
    pub fn row_in_the_way(&mut self, rows: &LockTable, row: &RowKey, at: Timestamp) -> Option<Arc<Slot<()>>> {
        if let Some(batch) = rows.flying_below(row, at) {
            return Some(self.wait_for_batch(batch));
        }
        if let Some(batch) = self.range_over(row, at) {
            return Some(self.wait_for_batch(batch));
        }
        self.prepared_over(row, at)
    }

    /// A large commit in flight over the row.
    pub fn range_over(&self, row: &RowKey, at: Timestamp) -> Option<u64> {
        let over = |flying: &&FlyingRange| {
            flying.relation == row.relation && flying.stamp <= at && flying.range.contains(&row.key)
        };
        self.ranges.iter().rev().find(over).map(|flying| flying.batch)
    }

    /// A prepared transaction that will write the row with a stamp up to `at`.
    pub fn prepared_over(&mut self, row: &RowKey, at: Timestamp) -> Option<Arc<Slot<()>>> {
        let over = |prepared: &&mut PreparedHere| prepared.stamp <= at && prepared.writes_row(row);
        let prepared = self.prepared.iter_mut().find(over)?;
        let slot = Slot::new();
        prepared.waiters.push(slot.clone());
        Some(slot)
    }

    /// The same for a range.
    pub fn range_in_the_way(&mut self, relation: StorageId, range: &KeyRange, at: Timestamp) -> Option<Arc<Slot<()>>> {
        let writes = |command: &FlyingCommand| {
            command.stamp <= at && command.rows.iter().any(|row| row.relation == relation && range.contains(&row.key))
        };
        let batches = self.open.iter().rev().chain(self.flying.iter().rev());
        let batch = batches.filter(|batch| batch.commits.iter().any(writes)).map(|batch| batch.number).next();
        let wide = self
            .ranges
            .iter()
            .rev()
            .find(|flying| flying.relation == relation && flying.stamp <= at && flying.range.overlaps(range));
        if let Some(batch) = batch.max(wide.map(|flying| flying.batch)) {
            return Some(self.wait_for_batch(batch));
        }
        let over = |prepared: &&mut PreparedHere| prepared.stamp <= at && prepared.writes_in(relation, range);
        let prepared = self.prepared.iter_mut().find(over)?;
        let slot = Slot::new();
        prepared.waiters.push(slot.clone());
        Some(slot)
    }

    pub fn has_ranges_or_prepared(&self) -> bool {
        !self.ranges.is_empty() || self.prepared.iter().any(|prepared| !prepared.ranges.is_empty())
    }

    /// R7: whether a batch is applied; None: this leader has never had it.
    pub fn is_applied(&self, dependency: Dependency) -> Option<bool> {
        match self.term {
            _ if self.has_applied(dependency) => Some(true),
            Some(term) if self.has(term, dependency) => Some(false),
            _ => None,
        }
    }

    // ---- the log ---------------------------------------------------------------------------

    /// I3: in order.
    pub fn next_batch(&mut self, term: u64) -> Option<Bytes> {
        if self.term != Some(term) {
            return None;
        }
        let mut batch = self.open.pop_front()?;
        let entry = command::entry(term, batch.number, &batch.commands);
        batch.commands = Vec::new();
        self.flying.push_back(batch);
        Some(entry)
    }

    pub fn has_batch(&self, term: u64) -> bool {
        self.term == Some(term) && !self.open.is_empty()
    }

    /// A batch was applied; if it is this leader's own, its versions leave flight and its waiters get their fates.
    pub fn land(&mut self, applied: Dependency, fates: &[Fate], rows: &LockTable, wakeups: &mut Wakeups) {
        self.applied = self.applied.max(applied);
        if self.term != Some(applied.term) || self.flying.front().is_none_or(|batch| batch.number != applied.batch) {
            return;
        }
        let Some(batch) = self.flying.pop_front() else { return };
        for (command, fate) in batch.commits.into_iter().zip(fates) {
            command.rows.iter().for_each(|row| rows.land(row, batch.number));
            self.applied_stamp = self.applied_stamp.max(command.stamp);
            command.slot.complete(Outcome::Fate(*fate), wakeups);
        }
        self.ranges.retain(|flying| flying.batch != batch.number);
        self.landed_waiters.retain(|(number, slot)| {
            let has_landed = *number <= batch.number;
            if has_landed {
                slot.complete((), wakeups);
            }
            !has_landed
        });
    }

    /// A prepared transaction's decision was applied: its writes are recent commits, its rows are free.
    pub fn decided(
        &mut self,
        txn: TxnId,
        prepare: &Prepare,
        commit_ts: Option<Timestamp>,
        rows: &LockTable,
        wakeups: &mut Wakeups,
    ) {
        if self.term.is_none() {
            return;
        }
        self.decides += 1;
        let Some(position) = self.prepared.iter().position(|prepared| prepared.txn == txn) else { return };
        let prepared = self.prepared.remove(position);
        if let Some(ts) = commit_ts {
            self.last_stamp = self.last_stamp.max(ts);
            self.raise_fences(&prepared.fences, ts);
            let (strength, owner) = (LockMode::Update, prepared.owner);
            for row in &prepared.rows {
                let written = Written::Key(row.key.clone());
                self.recent.push(Recent { ts, relation: row.relation, hash: row.hash, written, strength, owner });
            }
            for (relation, range) in &prepared.ranges {
                let written = Written::Range(range.clone());
                self.recent.push(Recent { ts, relation: *relation, hash: 0, written, strength, owner });
            }
        }
        debug_assert!(prepared.rows.len() >= prepare.writes.len() || !prepared.ranges.is_empty());
        prepared.rows.iter().for_each(|row| rows.decided(row, txn, wakeups));
        prepared.waiters.into_iter().for_each(|slot| _ = slot.complete((), wakeups));
    }

    /// A Prepare that was sequenced but found void when it was applied (a tombstone was first).
    pub fn void(&mut self, txn: TxnId, rows: &LockTable, wakeups: &mut Wakeups) {
        if let Some(position) = self.prepared.iter().position(|prepared| prepared.txn == txn) {
            let prepared = self.prepared.remove(position);
            prepared.rows.iter().for_each(|row| rows.decided(row, txn, wakeups));
            prepared.waiters.into_iter().for_each(|slot| _ = slot.complete((), wakeups));
        }
    }

    fn mirror(
        &mut self,
        rows: &LockTable,
        owner: Option<Owner>,
        txn: TxnId,
        prepare: &Prepare,
        keys: Vec<RowKey>,
        ranges: Vec<(StorageId, KeyRange)>,
    ) {
        for row in &keys {
            rows.announce(row.hash, row.relation);
            rows.prepare(owner, row, txn, prepare.stamp);
        }
        self.prepared.push(PreparedHere {
            txn,
            owner,
            stamp: prepare.stamp,
            age: prepare.age,
            rows: keys,
            ranges,
            spans: prepare.spans.clone(),
            schemas: prepare.schemas.clone(),
            fences: prepare.fences.clone(),
            waiters: Vec::new(),
        });
    }
}

/// The whole of each relation that a prepared transaction may write: its spans name those of its staged parts too.
fn everything(prepare: &Prepare) -> Vec<(StorageId, KeyRange)> {
    let mut relations: Vec<StorageId> = prepare.spans.iter().map(|span| span.relation).collect();
    relations.extend(prepare.writes.iter().map(|write| write.relation));
    relations.sort_unstable();
    relations.dedup();
    relations.into_iter().map(|relation| (relation, KeyRange::all())).collect()
}
