//! A client's transaction: statements, reads, writes, savepoints. Row locks are in `lock`, what keeps DDL and writers apart
//! in `gate`; how it ends is in `commit`.
//!
//! I1  The state's mutex is never held across an await, nor while a caller's closure runs.
//! I2  A read sees own writes of earlier commands, else what was committed at the snapshot, and nothing else.
//! I3  At SERIALIZABLE every read leaves a span before its rows are used, whether it found something or not.
//! I4  A lock leaves a span at every level (R9), and what it showed in flight is a dependency (R7).

use crate::scan::Scan;
use crate::state::{Savepoint, State, leaves_spans};
use crate::wait;
use crate::{
    CancelFlag, Direction, Facet, Gateway, Home, Isolation, KeyRange, RelationRef, Result, Timestamp, TxnError,
};
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use shard::SchemaVersion;
use shard::locks::{Inside, Owner, RowKey};
use shard::reads::{RangeEnd, ReadRange};
use shard::recent::Key;
use std::sync::Arc;
use std::time::Duration;

/// Names a client session on this node; its TEMP rows belong to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct SessionId(pub u64);

#[derive(Clone, Copy, Debug, Default)]
pub struct TxnOptions {
    pub isolation: Isolation,
    pub read_only: bool,
    pub deferrable: bool,
    /// Reads as of this past moment; read-only.
    pub as_of: Option<Timestamp>,
    /// A client's block: what it reads it may write later. Its first read may lock (`ahead`).
    pub is_block: bool,
    pub session: SessionId,
    /// The age of the attempt before, when a transaction is executed again: it keeps its place (R6). ZERO: a new one.
    pub age: Timestamp,
}

/// What a lock shows: the newest committed version, or this transaction's own write.
#[derive(Clone, Copy, Debug)]
pub enum Locked<'a> {
    Row {
        value: &'a [u8],
        /// Commit timestamp of the version; ZERO for this transaction's own write.
        ts: Timestamp,
        /// Newer than the statement's snapshot: READ COMMITTED evaluates its WHERE again.
        changed: bool,
    },
    Absent {
        /// It was there in the statement's snapshot.
        changed: bool,
    },
    /// READ COMMITTED: it is gone, and stands now under another key.
    Moved { slot: u16, key: &'a [u8] },
    /// `WaitPolicy::Skip`, and somebody holds the lock.
    Skipped,
}

/// A point to roll back to; nested by order of creation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SavepointId(pub(crate) u32);

pub(crate) struct Inner {
    pub gateway: Arc<Gateway>,
    pub options: TxnOptions,
    pub owner: Owner,
    pub state: Mutex<State>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut state = std::mem::take(self.state.get_mut());
        if !state.is_over {
            crate::commit::give_up(&self.gateway, self.owner, &mut state);
        }
    }
}

/// A handle, cheap to clone. The transaction is rolled back when the last handle goes without a commit.
#[derive(Clone)]
pub struct Transaction {
    pub(crate) inner: Arc<Inner>,
}

impl Transaction {
    pub(crate) fn new(gateway: Arc<Gateway>, options: TxnOptions) -> Transaction {
        let owner = Owner(gateway.next_transaction());
        gateway.beginners().note(owner, options.session);
        crate::lone::note(options.session);
        let state = State { command: 1, age: options.age, ..State::default() };
        Transaction { inner: Arc::new(Inner { gateway, options, owner, state: Mutex::new(state) }) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock()
    }

    pub(crate) fn limits(&self) -> wait::Limits<'_> {
        let state = self.state();
        wait::Limits { host: self.inner.gateway.host(), cancel: state.cancel.clone(), deadline: state.deadline }
    }

    pub(crate) fn leaves_spans(&self) -> bool {
        leaves_spans(self.inner.options.isolation, self.inner.options.read_only)
    }

    // --- statements

    /// Begins a statement: takes a snapshot where the level says so (first statement; each one at READ COMMITTED) and
    /// raises the command number: the statement sees this transaction's writes of *earlier* commands only.
    pub async fn begin_statement(&self) -> Result<()> {
        let (inner, gateway) = (&*self.inner, &*self.inner.gateway);
        crate::lone::note(inner.options.session);
        let old = {
            let mut state = self.state();
            if state.is_over {
                return Err(TxnError::Over);
            }
            state.command = next_command(state.command)?;
            self.count_ahead(&mut state);
            match state.snapshot {
                Some(snapshot)
                    if inner.options.isolation != Isolation::ReadCommitted || inner.options.as_of.is_some() =>
                {
                    return if inner.options.as_of.is_some() { Ok(()) } else { gateway.check_age(snapshot) };
                }
                old => old,
            }
        };
        let snapshot = match inner.options.as_of {
            Some(at) if at > gateway.now() => return Err(TxnError::FutureTimestamp),
            Some(at) => {
                gateway.snapshots().hold(inner.owner.0, at);
                at
            }
            None => gateway.snapshots().take(inner.owner.0, gateway.oracle()).await,
        };
        let mut state = self.state();
        state.snapshot = Some(snapshot);
        if state.age == Timestamp::ZERO {
            state.age = snapshot;
        }
        drop(state);
        if let Some(old) = old {
            gateway.snapshots().release(inner.owner.0, old);
        }
        Ok(())
    }

    /// Between the parts of one statement of which the later must see what the earlier wrote (foreign key checks).
    pub fn next_command(&self) {
        let mut state = self.state();
        state.command = state.command.saturating_add(1);
    }

    /// Of the current statement; ZERO before the first.
    pub fn snapshot(&self) -> Timestamp {
        self.state().snapshot.unwrap_or_default()
    }

    /// Reads at another transaction's snapshot, which that one still holds. Before the first statement.
    pub fn adopt(&self, snapshot: Timestamp) {
        self.inner.gateway.snapshots().hold(self.inner.owner.0, snapshot);
        let mut state = self.state();
        state.snapshot = Some(snapshot);
        state.age = snapshot;
    }

    /// For `TxnOptions::age` of the next attempt.
    pub fn age(&self) -> Timestamp {
        self.state().age
    }

    /// `statement_timeout`: when the current statement must be over, on `host.clock.monotonic()`.
    pub fn set_deadline(&self, deadline: Option<Duration>) {
        self.state().deadline = deadline;
    }

    /// How long one lock may be waited for.
    pub fn set_lock_timeout(&self, timeout: Option<Duration>) {
        self.state().lock_timeout = timeout;
    }

    /// The flag that ends this transaction's waits.
    pub fn set_cancel(&self, flag: CancelFlag) {
        self.state().cancel = flag;
    }

    /// For loops that compute: `Err` when cancelled or past the deadline.
    pub fn check(&self) -> Result<()> {
        let (cancel, deadline) = {
            let state = self.state();
            (state.cancel.raised(), state.deadline)
        };
        if let Some(reason) = cancel {
            return Err(wait::cancelled(reason));
        }
        match deadline {
            Some(deadline) if self.inner.gateway.host().clock.monotonic() >= deadline => Err(TxnError::Deadline),
            _ => Ok(()),
        }
    }

    // --- reads: own buffered writes first, then the shard at the snapshot; SERIALIZABLE leaves spans

    /// One row. `read` is called once, synchronously, with the stored bytes (None: no such row) and their commit
    /// timestamp (ZERO for this transaction's own write).
    pub async fn get<R>(
        &self,
        relation: &RelationRef,
        slot: u16,
        key: &[u8],
        read: impl FnOnce(Option<&[u8]>, Timestamp) -> R,
    ) -> Result<R> {
        self.get_facet(relation, slot, key, None, read).await
    }

    /// The same where `read` looks at no more of the row than the facet does.
    pub async fn get_facet<R>(
        &self,
        relation: &RelationRef,
        slot: u16,
        key: &[u8],
        facet: Option<&Arc<dyn Facet>>,
        read: impl FnOnce(Option<&[u8]>, Timestamp) -> R,
    ) -> Result<R> {
        let _ = slot; // every slot of a home is in one shard
        if self.inner.options.is_block && self.is_contended(relation, key) {
            // Boxed: rare, and every read would carry its room.
            Box::pin(self.lock_ahead(relation, key)).await?;
        }
        let at = {
            let mut state = self.state();
            if state.is_over {
                return Err(TxnError::Over);
            }
            let snapshot = state.newest.or(state.snapshot).ok_or(TxnError::Over)?;
            let command = state.command;
            let reads_newest = state.newest.is_some();
            let part = state.part(relation.home);
            if self.leaves_spans() {
                part.note_schema(relation);
            }
            if let Some(own) = part.buffer.get(relation.storage, key, command) {
                // Copied, so that the caller's closure runs without the mutex (I1).
                let own = own.map(Bytes::copy_from_slice);
                drop(state);
                return Ok(read(own.as_deref(), Timestamp::ZERO));
            }
            let is_certified = reads_newest && part.excluded.contains(&relation.id);
            if relation.home != Home::Temporary && self.leaves_spans() && !is_certified {
                let span = ReadRange { start: Key::from_slice(key), end: RangeEnd::Point };
                part.reads.add(relation.storage, span, facet, self.inner.gateway.limits().spans);
            }
            snapshot
        };
        let gateway = &self.inner.gateway;
        let Some(shard) = gateway.shard(relation.home) else {
            let temporary = gateway.temporary(self.inner.options.session)?;
            let view = temporary.view()?;
            let found = view.get(relation.storage, key, Timestamp::MAX)?;
            return Ok(read(found.as_ref().map(|found| &*found.value), found.as_ref().map_or(at, |found| found.ts)));
        };
        gateway.check_readable(relation, at, self.inner.options.as_of.is_some())?;
        let row = RowKey::new(relation.storage, key);
        if !shard.is_row_clear(&row, at) {
            self.limits().wait(shard.wait_for_row(&row, at)).await??;
        }
        let term = shard.term()?;
        let answer = {
            let view = shard.segment().view()?;
            let found = view.get(relation.storage, key, at)?;
            read(found.as_ref().map(|found| &*found.value), found.as_ref().map_or(Timestamp::ZERO, |found| found.ts))
        };
        shard.confirm(term)?;
        // Again: the horizon may have passed the snapshot before the view was taken.
        gateway.check_readable(relation, at, self.inner.options.as_of.is_some())?;
        Ok(answer)
    }

    /// A range, at the current statement's snapshot and command. `slot` narrows it to one slot's shard where it is known.
    pub fn scan(&self, relation: &RelationRef, slot: Option<u16>, range: KeyRange, direction: Direction) -> Scan {
        let _ = slot;
        let mut state = self.state();
        let (snapshot, command) = (state.newest.or(state.snapshot).unwrap_or_default(), state.command);
        let is_fixed = state.newest.is_some() || self.isolation() == Isolation::ReadCommitted;
        state.scans += 1;
        let reader = state.scans;
        if self.leaves_spans() {
            state.part(relation.home).note_schema(relation);
        }
        drop(state);
        Scan::new(self.clone(), *relation, snapshot, is_fixed, command, range, direction).numbered(reader)
    }

    // --- writes: buffered; the caller has locked the key, or has entered the relation and it is a fresh hidden row id

    pub fn put(&self, relation: &RelationRef, slot: u16, key: &[u8], value: &[u8]) -> Result<()> {
        let _ = slot;
        self.write(relation, key, Some(value))
    }

    pub fn delete(&self, relation: &RelationRef, slot: u16, key: &[u8]) -> Result<()> {
        let _ = slot;
        self.write(relation, key, None)
    }

    fn write(&self, relation: &RelationRef, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        if (self.inner.options.read_only || self.inner.options.as_of.is_some()) && relation.home != Home::Temporary {
            return Err(TxnError::ReadOnly);
        }
        let mut state = self.state();
        if state.is_over {
            return Err(TxnError::Over);
        }
        let command = state.command;
        let part = state.part(relation.home);
        if relation.home == Home::Data && !part.is_inside(relation.id, Inside::Writes) {
            self.enter_now(part, relation)?;
        }
        part.note_schema(relation);
        let bytes = part.bytes();
        if bytes > self.inner.gateway.limits().buffer_bytes {
            return Err(TxnError::Memory { what: "buffered writes" });
        }
        if bytes > part.reserved + UNRESERVED_BYTES {
            self.inner.gateway.reserve(&mut part.reserved)?;
        }
        part.buffer.put(relation.storage, key, value, command)
    }

    /// DDL: once committed, shards that hold `relation` (an id) refuse plans made with an older schema version.
    pub fn fence(&self, relation: u32, schema_version: u32) {
        self.state().fences.push(SchemaVersion { relation, version: schema_version });
    }

    // --- savepoints

    pub fn savepoint(&self) -> SavepointId {
        let mut state = self.state();
        // Writes of one command are not told apart: the next ones are another's.
        state.command = state.command.saturating_add(1);
        let id = state.next_savepoint;
        state.next_savepoint += 1;
        let savepoint = Savepoint {
            id,
            writes: [0, 1, 2].map(|home| state.parts[home].buffer.len()),
            locks: [0, 1, 2].map(|home| state.parts[home].locks.len()),
            entered: state.part(Home::Data).entered.clone(),
            gates: state.part(Home::Data).gates.len(),
            fences: state.fences.len(),
            names: state.names.len(),
            tables: state.tables.len(),
        };
        state.savepoints.push(savepoint);
        SavepointId(id)
    }

    /// Drops the writes and the locks since; keeps spans, and keeps the savepoint itself.
    pub fn rollback_to(&self, savepoint: SavepointId) {
        let leaves_spans = self.leaves_spans();
        let limits = self.inner.gateway.limits();
        let (mut released, mut names_released) = (Vec::new(), Vec::new());
        let (left, opened);
        {
            let mut state = self.state();
            let Some(position) = state.savepoints.iter().position(|other| other.id == savepoint.0) else { return };
            state.savepoints.truncate(position + 1);
            let (writes, locks, fences, names, tables) = {
                let found = &state.savepoints[position];
                (found.writes, found.locks, found.fences, found.names, found.tables)
            };
            let (entered, gates) = {
                let found = &state.savepoints[position];
                (found.entered.clone(), found.gates)
            };
            left = state.part(Home::Data).cut_entered(&entered);
            opened = state.part(Home::Data).cut_gates(gates);
            state.tables.truncate(tables);
            names_released.extend(state.names.drain(names..).rev());
            state.command = state.command.saturating_add(1);
            state.fences.truncate(fences);
            for home in [Home::Meta, Home::Data, Home::Temporary] {
                let part = state.part(home);
                part.buffer.cut_back(writes[home as usize]);
                for held in part.cut_locks(locks[home as usize]) {
                    if leaves_spans {
                        // It was looked at, so it stays read.
                        let key = held.span.row.key.clone();
                        let span = ReadRange { start: key, end: RangeEnd::Point };
                        part.reads.add(held.span.row.relation, span, None, limits.spans);
                    }
                    released.push((home, held));
                }
            }
        }
        for (home, held) in released {
            if let Some(shard) = self.inner.gateway.shard(home) {
                shard.release(self.inner.owner, &held.span.row, held.before);
            }
        }
        for held in names_released {
            if let Some(shard) = self.inner.gateway.shard(Home::Meta) {
                shard.release(self.inner.owner, &held.row, held.before);
            }
        }
        self.step_back(&left, &opened);
    }

    /// Forgets the savepoint and those made after it; what was written since belongs to the transaction.
    pub fn release(&self, savepoint: SavepointId) {
        let mut state = self.state();
        if let Some(position) = state.savepoints.iter().position(|other| other.id == savepoint.0) {
            state.savepoints.truncate(position);
        }
    }

    // --- end

    /// Ok only when durable on a quorum and covered by the oracle: the commit's timestamp (the snapshot, if nothing was
    /// written). Any error but `UnknownOutcome` means that nothing happened. Other handles find the transaction over.
    pub async fn commit(self) -> Result<Timestamp> {
        crate::commit::commit(self).await
    }

    pub fn rollback(self) {
        let mut state = std::mem::take(&mut *self.state());
        self.state().is_over = true;
        if !state.is_over {
            crate::commit::give_up(&self.inner.gateway, self.inner.owner, &mut state);
        }
    }

    pub fn isolation(&self) -> Isolation {
        self.inner.options.isolation
    }
    pub fn is_read_only(&self) -> bool {
        self.inner.options.read_only
    }
    pub fn has_writes(&self) -> bool {
        self.state().has_writes()
    }
    /// Rows and bytes buffered, for statements that watch their memory.
    pub fn buffered(&self) -> (usize, usize) {
        let state = self.state();
        let rows = state.parts.iter().map(|part| part.buffer.row_count()).sum();
        (rows, state.parts.iter().map(|part| part.buffer.bytes()).sum())
    }
    pub fn is_in_savepoint(&self) -> bool {
        !self.state().savepoints.is_empty()
    }
    /// Microseconds since 1970.
    pub fn wall_clock(&self) -> i64 {
        self.inner.gateway.host().clock.wall()
    }
    /// Number of the transaction on this node: grows with every `begin`.
    pub fn id(&self) -> u64 {
        self.inner.owner.0
    }
    pub fn session(&self) -> SessionId {
        self.inner.options.session
    }
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.inner.gateway
    }
}

/// What a small transaction buffers is not counted.
const UNRESERVED_BYTES: usize = 64 << 10;

fn next_command(command: u32) -> Result<u32> {
    match command.checked_add(1) {
        Some(next) if next < u32::MAX => Ok(next),
        _ => Err(TxnError::Limit { what: "commands of one transaction", limit: u64::from(u32::MAX) - 1 }),
    }
}
