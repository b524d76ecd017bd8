//! Row locks: waiting for one, what it shows, and what follows when that is newer than the snapshot.

use crate::met::{Met, Place};
use crate::transaction::{Locked, Transaction};
use crate::wait;
use crate::{Conflict, ConflictKind, Home, Isolation, LockMode, RelationRef, Result, Timestamp, TxnError, WaitPolicy};
use bytes::Bytes;
use shard::locks::{Attempt, Claims, Flying, Grant, Inside, Owner, RowKey};
use shard::recent::Key;
use shard::{Dependency, LockedSpan, Shard};
use std::sync::Arc;
use std::time::Duration;

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub mode: LockMode,
    pub wait: WaitPolicy,
    /// What the row is to the statement.
    pub purpose: Purpose,
    /// How long to wait at most, whatever `lock_timeout` says.
    pub patience: Option<Duration>,
}

impl Request {
    fn new(mode: LockMode, wait: WaitPolicy, purpose: Purpose) -> Request {
        Request { mode, wait, purpose, patience: None }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Whatever is newest counts.
    Newest,
    /// The same, but a row that another has inserted and not committed is none, and is not waited for: a foreign key's parent.
    Parent,
    /// Below SERIALIZABLE, a row that the statement's snapshot does not show is none, is not waited for, and keeps no lock.
    Shown,
    /// A key that is to be inserted.
    Claim,
    /// The same; where a row stands there, no lock is kept, but at SERIALIZABLE one that keeps it from going.
    Probe,
}

impl Purpose {
    fn is_claim(self) -> bool {
        matches!(self, Purpose::Claim | Purpose::Probe)
    }

    fn inside(self) -> Inside {
        if self.is_claim() { Inside::Writes } else { Inside::Locks }
    }

    /// Whether the lock stays, below SERIALIZABLE, on a key where a row is, or is not.
    fn keeps(self, is_there: bool) -> bool {
        match self {
            Purpose::Newest | Purpose::Parent | Purpose::Claim => true,
            Purpose::Shown => is_there,
            Purpose::Probe => !is_there,
        }
    }
}

/// What is known before a lock is asked for.
struct Start {
    snapshot: Timestamp,
    /// What the transaction itself has written there.
    own: Option<Option<Bytes>>,
    /// That alone answers: no lock is needed.
    is_enough: bool,
    /// The whole relation is locked.
    is_whole: bool,
    /// The relation's gate was not passed yet.
    must_enter: bool,
    claims: Option<Arc<Claims>>,
}

/// A lock that was had.
struct Held {
    /// Less than was asked for where that is enough.
    mode: LockMode,
    /// The mode held before.
    before: Option<LockMode>,
    /// No lock and no span of its own: what the whole of the relation, or of the claims, stands for.
    is_whole: bool,
}

/// How it came to a row's lock.
enum Obtained {
    Held(Held, Option<Flying>),
    /// `WaitPolicy::Skip`.
    Skipped,
    /// Another holds a row that the statement does not see.
    Unseen,
}

/// The newest version that a lock has to show.
struct Newest {
    value: Option<Bytes>,
    ts: Timestamp,
}

impl Transaction {
    /// Waits for the lock, then looks at the newest committed version (or the newest own write). A version newer than
    /// the snapshot means refresh at SERIALIZABLE, 40001 at REPEATABLE READ, `changed` at READ COMMITTED.
    ///
    /// What it shows may be in flight: see `settle`.
    pub async fn lock<R>(
        &self,
        relation: &RelationRef,
        slot: u16,
        key: &[u8],
        mode: LockMode,
        wait: WaitPolicy,
        read: impl FnOnce(Locked<'_>) -> R,
    ) -> Result<R> {
        let _ = slot;
        self.lock_row(relation, key, Request::new(mode, wait, Purpose::Newest), read).await
    }

    /// Locks a row that another one names, so that it stays. As in PostgreSQL, one that is not committed yet is not waited for.
    pub async fn lock_parent<R>(
        &self,
        relation: &RelationRef,
        slot: u16,
        key: &[u8],
        read: impl FnOnce(Locked<'_>) -> R,
    ) -> Result<R> {
        let _ = slot;
        let request = Request::new(LockMode::KeyShare, WaitPolicy::Wait, Purpose::Parent);
        self.lock_row(relation, key, request, read).await
    }

    /// The same for a row that the statement itself is about (UPDATE, DELETE, SELECT … FOR): as in PostgreSQL, READ COMMITTED and
    /// REPEATABLE READ neither wait for a row that their snapshot does not show, nor lock its key. (A key that is absent is
    /// locked at SERIALIZABLE, where the commit would find it changed.)
    pub async fn lock_shown<R>(
        &self,
        relation: &RelationRef,
        slot: u16,
        key: &[u8],
        mode: LockMode,
        wait: WaitPolicy,
        read: impl FnOnce(Locked<'_>) -> R,
    ) -> Result<R> {
        let _ = slot;
        self.lock_row(relation, key, Request::new(mode, wait, Purpose::Shown), read).await
    }

    /// Locks a key that is to be inserted. What stands there counts whatever the snapshot (`changed` tells of a newer one):
    /// as in PostgreSQL, a duplicate is one at REPEATABLE READ even if it can not be seen, and a deleted row is none.
    pub async fn claim<R>(
        &self,
        relation: &RelationRef,
        slot: u16,
        key: &[u8],
        read: impl FnOnce(Locked<'_>) -> R,
    ) -> Result<R> {
        let _ = slot;
        let request = Request::new(LockMode::Update, WaitPolicy::Wait, Purpose::Claim);
        self.lock_row(relation, key, request, read).await
    }

    /// As `claim`, for who does not mind a row that stands there (ON CONFLICT): its lock is not kept, as in PostgreSQL; at
    /// SERIALIZABLE one FOR KEY SHARE is, since it counts that the row is there, and nothing else of it.
    pub async fn probe<R>(
        &self,
        relation: &RelationRef,
        slot: u16,
        key: &[u8],
        read: impl FnOnce(Locked<'_>) -> R,
    ) -> Result<R> {
        let _ = slot;
        let request = Request::new(LockMode::Update, WaitPolicy::Wait, Purpose::Probe);
        self.lock_row(relation, key, request, read).await
    }

    /// Gives the lock of a claimed key back that is not to be inserted after all: the newest lock, and nothing was written there.
    pub fn give_back(&self, relation: &RelationRef, key: &[u8]) {
        let Some(shard) = self.inner.gateway.shard(relation.home).filter(|_| self.is_below_serializable()) else {
            return;
        };
        let row = RowKey::new(relation.storage, key);
        if self.state().part(relation.home).pop_lock(&row) {
            shard.release(self.inner.owner, &row, None);
        }
    }

    fn is_below_serializable(&self) -> bool {
        self.inner.options.isolation != Isolation::Serializable
    }

    pub(crate) async fn lock_row<R>(
        &self,
        relation: &RelationRef,
        key: &[u8],
        request: Request,
        read: impl FnOnce(Locked<'_>) -> R,
    ) -> Result<R> {
        let purpose = request.purpose;
        let row = RowKey::new(relation.storage, key);
        let start = self.start_lock(relation, &row, request)?;
        if start.is_enough {
            return Ok(read(own_row(start.own.as_ref())));
        }
        let Some(shard) = self.inner.gateway.shard(relation.home).cloned() else {
            return self.look_temporary(relation, key, start.own, read);
        };
        if start.must_enter {
            self.pass_inside(relation, purpose.inside(), WaitPolicy::Wait).await?;
        }
        let (snapshot, looked) = (start.snapshot, shard.begin_look(start.snapshot));
        let (held, flying) = match self.obtain(&shard, &row, &start, request).await? {
            Obtained::Held(held, flying) => (held, flying),
            Obtained::Skipped => {
                self.pass_over(relation, key);
                return Ok(read(Locked::Skipped));
            }
            Obtained::Unseen => {
                self.note_absent(relation, key);
                return Ok(read(Locked::Absent { changed: false }));
            }
        };
        let (newest, is_shown) = match self.look_under(&shard, &row, flying, purpose, snapshot).await {
            Ok(seen) => seen,
            Err(error) => {
                self.let_go(&shard, &row, &held);
                return Err(error);
            }
        };
        let is_there = newest.value.is_some() && is_shown;
        self.keep(&shard, &row, &held, &newest, looked, start.own.is_none().then_some((purpose, is_there)));
        if let Some(own) = start.own {
            // It is ours: nobody has changed it since we locked it.
            return Ok(read(own_row(Some(&own))));
        }
        if !is_shown {
            return Ok(read(Locked::Absent { changed: false }));
        }
        let changed = newest.ts > snapshot
            && !self.keeps_its_key(&shard, &row, snapshot, &newest, held.mode)
            && self.meet_newer(&shard, relation, key, snapshot, &newest, request).await?;
        let moved = match &newest.value {
            None if newest.ts > snapshot && !purpose.is_claim() => self.moved(&shard, &row, newest.ts),
            _ => None,
        };
        Ok(read(match (&newest.value, &moved) {
            (Some(value), _) => Locked::Row { value, ts: newest.ts, changed },
            (None, Some((slot, key))) => Locked::Moved { slot: *slot, key },
            (None, None) => Locked::Absent { changed },
        }))
    }

    /// What is known without a look at the shard.
    fn start_lock(&self, relation: &RelationRef, row: &RowKey, request: Request) -> Result<Start> {
        let Request { mode, purpose, .. } = request;
        let mut state = self.state();
        if state.is_over {
            return Err(TxnError::Over);
        }
        if state.ahead.as_ref().is_some_and(|ahead| ahead.row == *row) {
            state.ahead = None; // the block's own from now on
        }
        let snapshot = state.newest.or(state.snapshot).ok_or(TxnError::Over)?;
        let is_own_storage = state.own_storage.contains(&relation.storage);
        let part = state.part(relation.home);
        let own = part.buffer.get(relation.storage, &row.key, u32::MAX).map(|own| own.map(Bytes::copy_from_slice));
        // A row of its own on the key that is to be inserted: no stronger lock is needed to see that.
        let is_enough = is_own_storage || purpose.is_claim() && matches!(own, Some(Some(_)));
        let is_whole = part.whole.iter().any(|(id, held)| *id == relation.storage && *held >= mode);
        // Who only locks, too: what is locked is not to be rewritten meanwhile.
        let must_enter = relation.home == Home::Data && !part.is_inside(relation.id, purpose.inside());
        let claims = match self.inner.gateway.shard(relation.home) {
            Some(shard) if purpose.is_claim() && own.is_none() && !is_whole && !is_enough => {
                part.claims(relation.storage, || shard.rows().begin_claims(self.inner.owner, relation.storage))
            }
            _ => None,
        };
        Ok(Start { snapshot, own, is_enough, is_whole, must_enter, claims })
    }

    /// The lock, or what stands for it; and what is in flight on the row.
    async fn obtain(&self, shard: &Arc<Shard>, row: &RowKey, start: &Start, request: Request) -> Result<Obtained> {
        let (owner, mode) = (self.inner.owner, request.mode);
        if let Some(look) = start.claims.as_ref().and_then(|claims| shard.rows().claim(claims, owner, row)) {
            return Ok(Obtained::Held(Held { mode, before: look.before, is_whole: true }, look.flying));
        }
        if start.is_whole {
            return Ok(Obtained::Held(Held { mode, before: Some(mode), is_whole: true }, shard.rows().look(row)));
        }
        self.acquire(shard, row, request, start.own.is_some(), start.snapshot).await
    }

    /// The newest version, under the lock, and whether the statement may see that there is one.
    async fn look_under(
        &self,
        shard: &Arc<Shard>,
        row: &RowKey,
        mut flying: Option<Flying>,
        purpose: Purpose,
        snapshot: Timestamp,
    ) -> Result<(Newest, bool)> {
        if flying.is_none() && shard.has_wide() {
            self.limits().wait(shard.wait_for_wide(row)).await??;
            flying = shard.rows().look(row);
        }
        let newest = self.newest(shard, row, flying)?;
        let is_shown = purpose != Purpose::Shown
            || newest.ts <= snapshot
            || !self.is_below_serializable()
            || self.was_there(shard, row, snapshot)?;
        Ok((newest, is_shown))
    }

    /// Keeps the lock, or as much of it as is needed: `found`, where the row is not the transaction's own, says for what it was
    /// asked and whether there is a row.
    fn keep(
        &self,
        shard: &Shard,
        row: &RowKey,
        held: &Held,
        newest: &Newest,
        looked: Timestamp,
        found: Option<(Purpose, bool)>,
    ) {
        match found {
            Some((purpose, is_there)) if self.is_below_serializable() && !purpose.keeps(is_there) => {
                let home = self.inner.gateway.home_of(shard);
                self.state().part(home).note_shown(newest.ts);
                self.let_go(shard, row, held);
            }
            Some((Purpose::Probe, true)) if !held.is_whole => {
                let least = held.before.unwrap_or(LockMode::KeyShare);
                shard.release(self.inner.owner, row, Some(least));
                self.note_lock(shard, row, &Held { mode: least, ..*held }, newest, looked);
            }
            _ => self.note_lock(shard, row, held, newest, looked),
        }
    }

    /// Notes that a row, which is locked, gets another key: who waits for it at READ COMMITTED follows it.
    pub fn note_moved(&self, relation: &RelationRef, key: &[u8], slot: u16, to: &[u8]) {
        if let Some(shard) = self.inner.gateway.shard(relation.home) {
            shard.moves().note(self.inner.owner, &RowKey::new(relation.storage, key), slot, to);
        }
    }

    /// Where a row that went at `ts` stands now, at READ COMMITTED and as far as it is remembered.
    fn moved(&self, shard: &Shard, row: &RowKey, ts: Timestamp) -> Option<(u16, Key)> {
        if self.inner.options.isolation != Isolation::ReadCommitted {
            return None;
        }
        shard.moves().follow(shard.writer_at(ts)?, row)
    }

    /// Takes the lock, waiting for it if there is no other way.
    async fn acquire(
        &self,
        shard: &Arc<Shard>,
        row: &RowKey,
        request: Request,
        is_own: bool,
        snapshot: Timestamp,
    ) -> Result<Obtained> {
        let (owner, Request { mode, wait, purpose, .. }) = (self.inner.owner, request);
        let before = self.held(shard, row);
        let looks_first = !is_own
            && match purpose {
                Purpose::Newest => false,
                Purpose::Shown => self.is_below_serializable(),
                Purpose::Parent | Purpose::Claim | Purpose::Probe => true,
            };
        if looks_first {
            shard.term()?;
            match shard.rows().acquire(owner, row, mode, WaitPolicy::NoWait) {
                Attempt::Granted(look) => {
                    return Ok(Obtained::Held(Held { mode, before: look.before, is_whole: false }, look.flying));
                }
                _ => {
                    if let Some(acquired) = self.without_waiting(shard, row, request, snapshot)? {
                        return Ok(acquired);
                    }
                }
            }
        }
        loop {
            shard.term()?;
            match shard.rows().acquire(owner, row, mode, wait) {
                Attempt::Granted(look) => {
                    return Ok(Obtained::Held(Held { mode, before: look.before, is_whole: false }, look.flying));
                }
                Attempt::Busy if wait == WaitPolicy::Skip => return Ok(Obtained::Skipped),
                Attempt::Busy => {
                    self.note_met(row, &shard.rows().in_the_way(owner, row, mode));
                    return Err(TxnError::LockNotAvailable { relation: row.relation });
                }
                Attempt::TooMany => {
                    let limit = shard::locks::WAITERS_MAX as u64;
                    return Err(TxnError::Limit { what: "too many transactions wait for one row", limit });
                }
                Attempt::Wait(ticket) => {
                    let undo = wait::Undo::Row(before);
                    let grant = wait::for_lock(self, shard, owner, row, ticket, undo, request.patience).await?;
                    if grant == Grant::Granted {
                        return Ok(Obtained::Held(Held { mode, before, is_whole: false }, shard.rows().look(row)));
                    }
                }
            }
        }
    }

    /// What needs no lock that another has: a row that the statement does not see, one that it may not have any more (40001 at
    /// REPEATABLE READ), a parent that nobody has committed, and, of a key that is to be inserted, a row that
    /// stands there while others only share it. (Who changes it is waited for, as in PostgreSQL, even if the key stays.)
    fn without_waiting(
        &self,
        shard: &Arc<Shard>,
        row: &RowKey,
        request: Request,
        snapshot: Timestamp,
    ) -> Result<Option<Obtained>> {
        match request.purpose {
            Purpose::Shown => {
                if !self.was_there(shard, row, snapshot)? {
                    return Ok(Some(Obtained::Unseen));
                }
                if self.inner.options.isolation == Isolation::RepeatableRead {
                    let newest = self.newest(shard, row, None)?;
                    if newest.ts > snapshot && !self.keeps_its_key(shard, row, snapshot, &newest, request.mode) {
                        return Err(self.lost_to(shard, row, &newest, request.mode));
                    }
                }
                return Ok(None);
            }
            Purpose::Parent => {
                let newest = self.newest(shard, row, shard.rows().look(row))?;
                return Ok(newest.value.is_none().then_some(Obtained::Unseen));
            }
            Purpose::Newest | Purpose::Claim | Purpose::Probe => {}
        }
        let (owner, mode) = (self.inner.owner, LockMode::Share);
        let Attempt::Granted(look) = shard.rows().acquire(owner, row, mode, WaitPolicy::NoWait) else {
            return Ok(None);
        };
        match self.newest(shard, row, look.flying.clone()) {
            Ok(Newest { value: Some(_), .. }) => {
                Ok(Some(Obtained::Held(Held { mode, before: look.before, is_whole: false }, look.flying)))
            }
            other => {
                shard.release(owner, row, look.before);
                other.map(|_| None)
            }
        }
    }

    /// Whether the snapshot shows a row. What is in flight on it counts as one: it may lie below the snapshot.
    fn was_there(&self, shard: &Shard, row: &RowKey, snapshot: Timestamp) -> Result<bool> {
        Ok(!shard.is_row_clear(row, snapshot)
            || shard.segment().view()?.get(row.relation, &row.key, snapshot)?.is_some())
    }

    fn held(&self, shard: &Shard, row: &RowKey) -> Option<LockMode> {
        let home = self.inner.gateway.home_of(shard);
        self.state().part(home).held(row)
    }

    fn let_go(&self, shard: &Shard, row: &RowKey, held: &Held) {
        if !held.is_whole {
            shard.release(self.inner.owner, row, held.before);
        }
    }

    fn newest(&self, shard: &Shard, row: &RowKey, flying: Option<Flying>) -> Result<Newest> {
        let term = shard.term()?;
        if let Some(flying) = flying {
            let home = self.inner.gateway.home_of(shard);
            self.state().part(home).note_dependency(Dependency { term, batch: flying.batch });
            return Ok(Newest { value: flying.value, ts: flying.ts });
        }
        let view = shard.segment().view()?;
        let newest = match view.newest(row.relation, &row.key)? {
            Some(newest) => {
                let value = newest.value.map(storage::segment::Value::into_bytes);
                Newest { value, ts: newest.ts }
            }
            None => Newest { value: None, ts: Timestamp::ZERO },
        };
        drop(view);
        shard.confirm(term)?;
        Ok(newest)
    }

    fn note_lock(&self, shard: &Shard, row: &RowKey, held: &Held, newest: &Newest, looked: Timestamp) {
        let Held { mode, before, is_whole } = *held;
        let gateway = &self.inner.gateway;
        let home = gateway.home_of(shard);
        let mut state = self.state();
        let part = state.part(home);
        part.lock_term = part.lock_term.or_else(|| shard.term().ok());
        part.note_shown(newest.ts);
        if is_whole || before.is_some_and(|before| before >= mode) && part.held(row).is_some() {
            return; // the first look counts: it was the older
        }
        let span = LockedSpan { row: row.clone(), mode, seen: newest.ts, looked: looked.max(newest.ts) };
        let count = part.push_lock(span, before);
        let limit = gateway.limits().row_locks;
        // Tried once per `limit` rows: somebody may be in the way now and gone later.
        if count >= limit && count.is_multiple_of(limit) {
            let mode = mode.max(LockMode::NoKeyUpdate);
            if shard.rows().escalate(self.inner.owner, row.relation, mode) {
                part.whole.push((row.relation, mode));
                gateway.metrics().escalations.increment(1);
            }
        }
    }

    /// Whether all that has come since the snapshot are updates that left the row's keys alone, where that is all that the lock
    /// is for (FOR KEY SHARE): as in PostgreSQL, it does not see them.
    fn keeps_its_key(&self, shard: &Shard, row: &RowKey, snapshot: Timestamp, newest: &Newest, mode: LockMode) -> bool {
        mode == LockMode::KeyShare
            && newest.value.is_some()
            && shard.conflicts_since(row, snapshot, mode) == Some(false)
    }

    /// The newest version is newer than the snapshot. Whether the caller has to know.
    async fn meet_newer(
        &self,
        shard: &Arc<Shard>,
        relation: &RelationRef,
        key: &[u8],
        snapshot: Timestamp,
        newest: &Newest,
        request: Request,
    ) -> Result<bool> {
        let Request { mode, purpose, .. } = request;
        let is_claim = purpose.is_claim();
        let is_deleted = newest.value.is_none();
        if is_deleted && self.inner.options.isolation != Isolation::Serializable {
            // Deleted after the snapshot; was it there in it?
            if !self.was_there(shard, &RowKey::new(relation.storage, key), snapshot)? {
                return Ok(false);
            }
        }
        match self.inner.options.isolation {
            Isolation::ReadCommitted => Ok(true),
            Isolation::RepeatableRead if is_claim => Ok(true),
            Isolation::RepeatableRead => Err(self.lost_to(shard, &RowKey::new(relation.storage, key), newest, mode)),
            Isolation::Serializable => {
                self.refresh(relation, key, newest.ts).await?;
                Ok(true)
            }
        }
    }

    /// REPEATABLE READ: the first who updates a row wins.
    fn lost_to(&self, shard: &Shard, row: &RowKey, newest: &Newest, mode: LockMode) -> TxnError {
        // As PostgreSQL words it: who only shares the row is told of an update.
        let is_deleted = newest.value.is_none() && mode >= LockMode::NoKeyUpdate;
        let kind = if is_deleted { ConflictKind::Delete } else { ConflictKind::Update };
        let other = shard.writer_at(newest.ts).map(|owner| owner.0);
        let key = Some(Bytes::copy_from_slice(&row.key));
        self.noted(TxnError::Conflict(Box::new(Conflict { kind, relation: row.relation, key, other })))
    }

    // --- what was met

    /// Somebody was in the way at `row`.
    pub(crate) fn note_met(&self, row: &RowKey, others: &[Owner]) {
        let met = self.inner.gateway.met(Some(Place::of(row)), others);
        self.state().met = Some(Box::new(met));
    }

    pub(crate) fn noted(&self, error: TxnError) -> TxnError {
        self.state().met = self.inner.gateway.met_by(&error).map(Box::new);
        error
    }

    /// Whom the last statement, or the commit, met when it failed. Told once.
    pub fn take_met(&self) -> Option<Met> {
        self.state().met.take().map(|met| *met)
    }

    fn look_temporary<R>(
        &self,
        relation: &RelationRef,
        key: &[u8],
        own: Option<Option<Bytes>>,
        read: impl FnOnce(Locked<'_>) -> R,
    ) -> Result<R> {
        if let Some(own) = own {
            return Ok(read(own_row(Some(&own))));
        }
        let temporary = self.inner.gateway.temporary(self.inner.options.session)?;
        let view = temporary.view()?;
        let found = view.get(relation.storage, key, Timestamp::MAX)?;
        Ok(read(match &found {
            Some(found) => Locked::Row { value: &found.value, ts: found.ts, changed: false },
            None => Locked::Absent { changed: false },
        }))
    }

    /// Returns when all that locks have shown is durable and covered. To be awaited before anything of this transaction (a row,
    /// a command tag) leaves for the client while the transaction goes on; `commit` does it by itself. Ready at once when no lock
    /// showed a version in flight.
    pub async fn settle(&self) -> Result<()> {
        for home in [Home::Meta, Home::Data] {
            loop {
                let dependency = self.state().part(home).dependencies.last().copied();
                let (Some(dependency), Some(shard)) = (dependency, self.inner.gateway.shard(home)) else { break };
                self.limits().wait(shard.wait_for_dependency(dependency)).await??;
                self.state().part(home).dependencies.retain(|other| *other != dependency);
            }
            let shown = self.state().part(home).shown;
            if shown != Timestamp::ZERO {
                self.limits().wait(self.inner.gateway.oracle().cover(shown)).await?;
            }
        }
        Ok(())
    }
}

/// What this transaction itself has written to a row, where that is all there is.
fn own_row(own: Option<&Option<Bytes>>) -> Locked<'_> {
    match own {
        Some(Some(value)) => Locked::Row { value, ts: Timestamp::ZERO, changed: false },
        Some(None) | None => Locked::Absent { changed: false },
    }
}
