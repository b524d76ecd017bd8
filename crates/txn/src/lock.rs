//! Row locks: waiting for one, what it shows, and what follows when that is newer than the snapshot.

use crate::met::{Met, Place};
use crate::transaction::{Locked, Transaction};
use crate::wait;
use crate::{Conflict, ConflictKind, Home, Isolation, LockMode, RelationRef, Result, Timestamp, TxnError, WaitPolicy};
use bytes::Bytes;
use shard::locks::{Attempt, Flying, Grant, Inside, Owner, RowKey};
use shard::{Dependency, LockedSpan, Shard};
use std::sync::Arc;
use std::time::Duration;

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub mode: LockMode,
    pub wait: WaitPolicy,
    /// Of a key that is to be inserted.
    pub is_claim: bool,
    /// How long to wait at most, whatever `lock_timeout` says.
    pub patience: Option<Duration>,
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
        let request = Request { mode, wait, is_claim: false, patience: None };
        self.lock_row(relation, key, request, read).await
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
        let request = Request { mode: LockMode::Update, wait: WaitPolicy::Wait, is_claim: true, patience: None };
        self.lock_row(relation, key, request, read).await
    }

    pub(crate) async fn lock_row<R>(
        &self,
        relation: &RelationRef,
        key: &[u8],
        request: Request,
        read: impl FnOnce(Locked<'_>) -> R,
    ) -> Result<R> {
        let Request { mode, is_claim, .. } = request;
        let inside = if is_claim { Inside::Writes } else { Inside::Locks };
        let gateway = &*self.inner.gateway;
        let row = RowKey::new(relation.storage, key);
        let (snapshot, own, is_whole, must_enter, claims) = {
            let mut state = self.state();
            if state.is_over {
                return Err(TxnError::Over);
            }
            if state.ahead.as_ref() == Some(&row) {
                state.ahead = None; // the block's own from now on
            }
            let snapshot = state.newest.or(state.snapshot).ok_or(TxnError::Over)?;
            let is_own_storage = state.own_storage.contains(&relation.storage);
            let part = state.part(relation.home);
            let own = part.buffer.get(relation.storage, key, u32::MAX).map(|own| own.map(Bytes::copy_from_slice));
            if is_own_storage {
                drop(state);
                return Ok(read(own_row(own.as_ref())));
            }
            let is_whole = part.whole.iter().any(|(id, held)| *id == relation.storage && *held >= mode);
            // Who only locks, too: what is locked is not to be rewritten meanwhile.
            let must_enter = relation.home == Home::Data && !part.is_inside(relation.id, inside);
            let claims = match gateway.shard(relation.home) {
                Some(shard) if is_claim && own.is_none() && !is_whole => {
                    part.claims(relation.storage, || shard.rows().begin_claims(self.inner.owner, relation.storage))
                }
                _ => None,
            };
            (snapshot, own, is_whole, must_enter, claims)
        };
        let Some(shard) = gateway.shard(relation.home).cloned() else {
            return self.look_temporary(relation, key, own, read);
        };
        if must_enter {
            self.pass_inside(relation, inside, WaitPolicy::Wait).await?;
        }
        let looked = shard.begin_look(snapshot);
        let claimed = claims.and_then(|claims| shard.rows().claim(&claims, self.inner.owner, &row));
        // No lock and no span of its own: what the whole of the relation, or of the claims, stands for.
        let is_whole = is_whole || claimed.is_some();
        let (mut flying, before) = match (claimed, is_whole) {
            (Some(look), _) => (look.flying, look.before),
            (None, true) => (shard.rows().look(&row), Some(mode)),
            (None, false) => match self.acquire(&shard, &row, request).await? {
                Some(granted) => granted,
                None => return Ok(read(Locked::Skipped)),
            },
        };
        if flying.is_none() && shard.has_wide() {
            self.limits().wait(shard.wait_for_wide(&row)).await??;
            flying = shard.rows().look(&row);
        }
        let newest = match self.newest(&shard, &row, flying) {
            Ok(newest) => newest,
            Err(error) => {
                self.let_go(&shard, &row, before, is_whole);
                return Err(error);
            }
        };
        self.note_lock(&shard, &row, mode, before, &newest, looked, is_whole);
        if let Some(own) = own {
            // It is ours: nobody has changed it since we locked it.
            return Ok(read(own_row(Some(&own))));
        }
        let changed = newest.ts > snapshot
            && !self.keeps_its_key(&shard, &row, snapshot, &newest, mode)
            && self.meet_newer(&shard, relation, key, snapshot, &newest, is_claim).await?;
        Ok(read(match &newest.value {
            Some(value) => Locked::Row { value, ts: newest.ts, changed },
            None => Locked::Absent { changed },
        }))
    }

    /// The lock, what is in flight on the row, and the mode held before; None where it was to be skipped.
    async fn acquire(
        &self,
        shard: &Arc<Shard>,
        row: &RowKey,
        request: Request,
    ) -> Result<Option<(Option<Flying>, Option<LockMode>)>> {
        let (owner, Request { mode, wait, .. }) = (self.inner.owner, request);
        let before = self.held(shard, row);
        loop {
            shard.term()?;
            match shard.rows().acquire(owner, row, mode, wait) {
                Attempt::Granted(look) => return Ok(Some((look.flying, look.before))),
                Attempt::Busy if wait == WaitPolicy::Skip => return Ok(None),
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
                        return Ok(Some((shard.rows().look(row), before)));
                    }
                }
            }
        }
    }

    fn held(&self, shard: &Shard, row: &RowKey) -> Option<LockMode> {
        let home = self.inner.gateway.home_of(shard);
        self.state().part(home).held(row)
    }

    fn let_go(&self, shard: &Shard, row: &RowKey, before: Option<LockMode>, is_whole: bool) {
        if !is_whole {
            shard.release(self.inner.owner, row, before);
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

    fn note_lock(
        &self,
        shard: &Shard,
        row: &RowKey,
        mode: LockMode,
        before: Option<LockMode>,
        newest: &Newest,
        looked: Timestamp,
        is_whole: bool,
    ) {
        let gateway = &self.inner.gateway;
        let home = gateway.home_of(shard);
        let mut state = self.state();
        let part = state.part(home);
        part.lock_term = part.lock_term.or_else(|| shard.term().ok());
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
        is_claim: bool,
    ) -> Result<bool> {
        let is_deleted = newest.value.is_none();
        if is_deleted && self.inner.options.isolation != Isolation::Serializable {
            // Deleted after the snapshot; was it there in it?
            let was_there = shard.segment().view()?.get(relation.storage, key, snapshot)?.is_some();
            if !was_there {
                return Ok(false);
            }
        }
        match self.inner.options.isolation {
            Isolation::ReadCommitted => Ok(true),
            Isolation::RepeatableRead if is_claim => Ok(true),
            Isolation::RepeatableRead => {
                let kind = if is_deleted { ConflictKind::Delete } else { ConflictKind::Update };
                let other = shard.writer_at(newest.ts).map(|owner| owner.0);
                let key = Some(Bytes::copy_from_slice(key));
                Err(self.noted(TxnError::Conflict(Box::new(Conflict { kind, relation: relation.storage, key, other }))))
            }
            Isolation::Serializable => {
                self.refresh(relation, key, newest.ts).await?;
                Ok(true)
            }
        }
    }

    /// R8: moves the snapshot to now if nothing that was read has changed since.
    async fn refresh(&self, relation: &RelationRef, key: &[u8], newest: Timestamp) -> Result<()> {
        let gateway = &*self.inner.gateway;
        // Covered first, or now could lie below what was just read.
        gateway.oracle().cover(newest).await;
        let now = gateway.snapshots().take(self.inner.owner.0, gateway.oracle()).await;
        let (old, reads) = {
            let mut state = self.state();
            let old = state.snapshot.unwrap_or_default();
            let reads = [Home::Meta, Home::Data].map(|home| {
                let reads = &mut state.part(home).reads;
                reads.normalize();
                reads.clone()
            });
            (old, reads)
        };
        let mut outcome = Ok(None);
        for (home, reads) in [Home::Meta, Home::Data].into_iter().zip(&reads) {
            if let (false, Some(shard)) = (reads.is_empty(), gateway.shard(home)) {
                outcome = match self.limits().wait(shard.has_changed(reads, old, now)).await {
                    Ok(answer) => answer.map_err(TxnError::from),
                    Err(error) => Err(error),
                };
            }
            if !matches!(outcome, Ok(None)) {
                break;
            }
        }
        let released = if matches!(outcome, Ok(None)) { old } else { now };
        if released == old {
            self.state().snapshot = Some(now);
        }
        gateway.snapshots().release(self.inner.owner.0, released);
        match outcome {
            Ok(None) => {
                gateway.metrics().refreshes.increment(1);
                Ok(())
            }
            Ok(Some(changed)) => {
                gateway.metrics().refreshes_failed.increment(1);
                let row = RowKey::new(relation.storage, key);
                gateway.contended().note(row.hash, gateway.host().clock.monotonic());
                Err(self.noted(changed.into()))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the transaction, which has written and read, is seen to be unable to commit: something that it has read has
    /// changed. Told at once, as PostgreSQL does, where that costs little; what is not seen here, the commit sees.
    pub fn check_reads(&self) -> Result<()> {
        let mut state = self.state();
        if !self.leaves_spans() || !state.has_writes() {
            return Ok(());
        }
        let Some(snapshot) = state.snapshot else { return Ok(()) };
        for home in [Home::Meta, Home::Data] {
            let part = state.part(home);
            let Some(shard) = self.inner.gateway.shard(home).filter(|_| !part.reads.is_empty()) else { continue };
            part.reads.normalize();
            if let Some(changed) = shard.spoilt(&part.reads, snapshot) {
                drop(state);
                return Err(self.noted(changed.into()));
            }
        }
        Ok(())
    }

    // --- what was met

    /// Somebody was in the way at `row`.
    pub(crate) fn note_met(&self, row: &RowKey, others: &[Owner]) {
        let met = self.inner.gateway.met(Some(Place::of(row)), others);
        self.state().met = Some(Box::new(met));
    }

    fn noted(&self, error: TxnError) -> TxnError {
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
            let newest = self.state().part(home).locks.iter().map(|held| held.span.seen).max();
            if let Some(newest) = newest {
                self.limits().wait(self.inner.gateway.oracle().cover(newest)).await?;
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
