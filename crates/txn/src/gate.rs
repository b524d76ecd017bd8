//! What keeps writers of a relation and DDL that reads all its rows apart.
//!
//! CREATE INDEX, a rewrite, the check of a new constraint: each reads every row once, and what it found must still be true
//! when it commits, at every level. Two things see to that:
//!
//! - `exclude` closes the relation's gate: it waits for the transactions that have written to it, and lets no other write
//!   until its own end (`shard::locks::gates`). A writer passes the gate with its first write or lock, in memory.
//! - What it read is *certified*: a version that came since fails its commit. So nothing depends on the gate still being
//!   closed, which is lost with a leader (or whose writer's session is gone while its commit goes on).
//!
//! The other side of it: a writer that comes after the DDL's commit with a plan from before is told so as soon as it passes
//! the gate (`SchemaChanged`: plan again), and at the latest by the fence at its commit.

use crate::met::gate_name;
use crate::state::Part;
use crate::transaction::Transaction;
use crate::wait::{self, Undo};
use crate::{Home, RelationRef, Result, StorageId, Timestamp, TxnError, WaitPolicy};
use shard::locks::{Attempt, Bar, Grant, Inside, Owner, Stand};
use shard::wake::Wakeups;
use shard::{Certified, Shard};

/// While it lives, the transaction reads what was newest when `exclude` returned, whatever its level.
pub struct ReadsNewest {
    txn: Transaction,
    before: Option<Timestamp>,
}

impl Drop for ReadsNewest {
    fn drop(&mut self) {
        self.txn.state().newest = self.before;
    }
}

impl Transaction {
    /// Before the first row is written without a lock on its key; waits while the relation's gate is closed.
    pub async fn enter(&self, relation: &RelationRef) -> Result<()> {
        self.enter_as(relation, Inside::Writes).await
    }

    /// The same of a statement that may only lock rows.
    pub async fn enter_as(&self, relation: &RelationRef, inside: Inside) -> Result<()> {
        self.pass_inside(relation, inside, WaitPolicy::Wait).await
    }

    /// To write, or only to lock rows.
    pub(crate) async fn pass_inside(&self, relation: &RelationRef, inside: Inside, wait: WaitPolicy) -> Result<()> {
        if relation.home != Home::Data || self.state().part(relation.home).is_inside(relation.id, inside) {
            return Ok(());
        }
        let shard = self.inner.gateway.shard(relation.home).ok_or(TxnError::NotServing)?;
        let enter = || shard.rows().enter_relation(self.inner.owner, relation.id, inside, wait);
        let passed = self.pass(shard, relation.id, enter).await;
        if matches!(passed, Err(TxnError::LockNotAvailable { .. })) {
            let is_closer = |(owner, id, stand): &(Owner, u32, Stand)| {
                *id == relation.id && *owner != self.inner.owner && matches!(stand, Stand::Closed { .. })
            };
            let closers: Vec<Owner> = shard.rows().stands().into_iter().filter(is_closer).map(|(o, ..)| o).collect();
            self.note_met(&gate_name(relation.id), &closers);
        }
        passed?;
        self.entered(self.state().part(relation.home), shard, relation, inside)
    }

    /// Inside: to be left at the end, or at once where the plan is too old.
    fn entered(&self, part: &mut Part, shard: &Shard, relation: &RelationRef, inside: Inside) -> Result<()> {
        if shard.is_fenced(relation.id, relation.schema_version) {
            let mut wakeups = Wakeups::default();
            shard.rows().leave_relations(self.inner.owner, [relation.id].into_iter(), &mut wakeups);
            wakeups.wake();
            part.entered.retain(|(id, _)| *id != relation.id);
            return Err(TxnError::SchemaChanged { relation: relation.id });
        }
        part.note_inside(relation.id, inside);
        Ok(())
    }

    /// The same where nobody can wait. Plans that write enter first, so here it is open, or the leader is another.
    pub(crate) fn enter_now(&self, part: &mut Part, relation: &RelationRef) -> Result<()> {
        let shard = self.inner.gateway.shard(relation.home).ok_or(TxnError::NotServing)?;
        let inside = Inside::Writes;
        match shard.rows().enter_relation(self.inner.owner, relation.id, inside, WaitPolicy::NoWait) {
            Attempt::Granted(_) => self.entered(part, shard, relation, inside),
            _ => Err(TxnError::SchemaChanged { relation: relation.id }),
        }
    }

    /// Waits for all other transactions that are inside and that the bar keeps out, and keeps others out until this one is over.
    /// What it does itself goes on.
    pub(crate) async fn close(&self, relation: &RelationRef, bar: Bar, wait: WaitPolicy) -> Result<()> {
        if relation.home != Home::Data {
            return Ok(());
        }
        let shard = self.inner.gateway.shard(relation.home).ok_or(TxnError::NotServing)?;
        // Before the attempt: the gate may be closed and this future dropped before it hears of it.
        self.state().part(relation.home).has_closed = true;
        let close = || shard.rows().close_relation(self.inner.owner, relation.id, bar, wait);
        let closed = self.pass(shard, relation.id, close).await;
        if matches!(closed, Err(TxnError::LockNotAvailable { .. })) {
            let others = shard.rows().in_the_way_of_closing(self.inner.owner, relation.id, bar);
            self.note_met(&gate_name(relation.id), &others);
        }
        closed
    }

    /// A savepoint was rolled back: back to what was done inside of relations, and to how gates were closed.
    pub(crate) fn step_back(&self, left: &[(u32, Option<Inside>)], opened: &[(u32, Option<Bar>)]) {
        let Some(shard) = self.inner.gateway.shard(Home::Data) else { return };
        let (rows, owner, mut wakeups) = (shard.rows(), self.inner.owner, Wakeups::default());
        left.iter().for_each(|(relation, to)| rows.step_back(owner, *relation, *to, &mut wakeups));
        opened.iter().for_each(|(relation, to)| rows.open_relation_to(owner, *relation, *to, &mut wakeups));
        wakeups.wake();
    }

    /// For DDL that looks at all rows of these relations: closes them, takes a snapshot of what is newest, and lets the
    /// commit fail if one of them has been written to since by anybody else.
    pub async fn exclude(&self, relations: &[RelationRef]) -> Result<ReadsNewest> {
        let mut relations = relations.to_vec();
        // In one order, so that two that need the same ones do not meet crosswise.
        relations.sort_by_key(|relation| (relation.id, relation.storage));
        for relation in &relations {
            self.close(relation, Bar::Writers, WaitPolicy::Wait).await?;
        }
        let newest = self.newest_of_all().await?;
        let mut state = self.state();
        for relation in relations.iter().filter(|relation| relation.home == Home::Data) {
            let part = state.part(relation.home);
            part.certified.push(Certified { relation: relation.storage, since: newest });
            part.excluded.push(relation.id);
            part.note_schema(relation);
        }
        let before = state.newest.replace(newest);
        drop(state);
        Ok(ReadsNewest { txn: self.clone(), before })
    }

    /// This transaction has made that storage (CREATE, TRUNCATE, a rewrite): until its commit nobody else can have rows there,
    /// so nothing in it is locked.
    pub fn own_storage(&self, storage: StorageId) {
        let mut state = self.state();
        if !state.own_storage.contains(&storage) {
            state.own_storage.push(storage);
        }
    }

    async fn pass(&self, shard: &Shard, relation: u32, attempt: impl Fn() -> Attempt) -> Result<()> {
        loop {
            shard.term()?;
            match attempt() {
                Attempt::Granted(_) => return Ok(()),
                Attempt::Busy => return Err(TxnError::LockNotAvailable { relation: StorageId(relation) }),
                Attempt::TooMany => {
                    let limit = shard::locks::WAITERS_MAX as u64;
                    return Err(TxnError::Limit { what: "too many transactions wait for one relation", limit });
                }
                Attempt::Wait(ticket) => {
                    let (name, owner) = (gate_name(relation), self.inner.owner);
                    let grant = wait::for_lock(self, shard, owner, &name, ticket, Undo::Nothing, None);
                    if grant.await? == Grant::Granted {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// As `exclude`, where writers need not be kept out: they check by themselves what is looked for. Only what is newest is read,
    /// and nothing of it is validated.
    pub async fn look_at_newest(&self, relations: &[RelationRef]) -> Result<ReadsNewest> {
        let newest = self.newest_of_all().await?;
        let mut state = self.state();
        for relation in relations.iter().filter(|relation| relation.home == Home::Data) {
            state.part(relation.home).excluded.push(relation.id);
        }
        let before = state.newest.replace(newest);
        drop(state);
        Ok(ReadsNewest { txn: self.clone(), before })
    }

    /// A snapshot above all that is in flight, kept to the end.
    async fn newest_of_all(&self) -> Result<Timestamp> {
        let gateway = &self.inner.gateway;
        for home in [Home::Meta, Home::Data] {
            let Some(shard) = gateway.shard(home) else { continue };
            // Who left the gate may be in flight: the snapshot is to be above it.
            self.limits().wait(gateway.oracle().cover(shard.begin_look(Timestamp::ZERO))).await?;
        }
        let newest = gateway.snapshots().take(self.inner.owner.0, gateway.oracle()).await;
        self.state().kept.push(newest);
        Ok(newest)
    }
}
