//! LOCK TABLE: PostgreSQL's eight modes and its table of conflicts, made of two names and a gate.
//!
//! | mode | `access` | `use` | gate |
//! | --- | --- | --- | --- |
//! | ACCESS SHARE | key share | | |
//! | ROW SHARE | | key share | inside, locks rows |
//! | ROW EXCLUSIVE | | key share | inside, writes |
//! | SHARE UPDATE EXCLUSIVE | | no key update | |
//! | SHARE | | share | closed to writers, with others |
//! | SHARE ROW EXCLUSIVE | | no key update | closed to writers |
//! | EXCLUSIVE | | update | closed to all |
//! | ACCESS EXCLUSIVE | update | update | closed to all |
//!
//! The names are locked in the row modes named here, whose matrix gives the conflicts among the modes that no gate tells. Writers
//! and row locks pass the gate anyway (`gate`), so they meet these locks without knowing of names; plain reads pass none, and see what
//! was before. Held to the end, or back to a savepoint. A transaction never meets itself.

use crate::transaction::Transaction;
use crate::wait::{self, Undo};
use crate::{Home, LockMode, RelationRef, Result, TxnError, WaitPolicy};
use shard::Shard;
use shard::locks::{Attempt, Bar, Grant, Inside, NAMES, RowKey, WAITERS_MAX};
use std::sync::Arc;
use types::TableLock;

/// Last byte of the names.
const ACCESS: u8 = 1;
const USE: u8 = 2;
/// Tells the names of relations from those of advisory locks, which are longer.
const NAME_BYTES: usize = 5;

/// How a mode locks the name `ACCESS`.
fn access_mode(mode: TableLock) -> Option<LockMode> {
    match mode {
        TableLock::AccessShare => Some(LockMode::KeyShare),
        TableLock::AccessExclusive => Some(LockMode::Update),
        _ => None,
    }
}

/// How it locks the name `USE`.
fn use_mode(mode: TableLock) -> Option<LockMode> {
    match mode {
        TableLock::AccessShare => None,
        TableLock::RowShare | TableLock::RowExclusive => Some(LockMode::KeyShare),
        TableLock::Share => Some(LockMode::Share),
        TableLock::ShareUpdateExclusive | TableLock::ShareRowExclusive => Some(LockMode::NoKeyUpdate),
        TableLock::Exclusive | TableLock::AccessExclusive => Some(LockMode::Update),
    }
}

/// How it closes the gate.
fn bar(mode: TableLock) -> Option<Bar> {
    match mode {
        TableLock::Share => Some(Bar::Shared),
        TableLock::ShareRowExclusive => Some(Bar::Writers),
        TableLock::Exclusive | TableLock::AccessExclusive => Some(Bar::All),
        _ => None,
    }
}

/// A name that a transaction has locked.
pub(crate) struct HeldName {
    pub row: RowKey,
    pub mode: LockMode,
    pub before: Option<LockMode>,
}

/// The relation of a lock's name; None: it is an advisory lock's.
pub fn named_relation(name: &[u8]) -> Option<u32> {
    let (id, _) = name.split_first_chunk::<4>()?;
    (name.len() == NAME_BYTES).then_some(u32::from_be_bytes(*id))
}

impl Transaction {
    /// Locks a relation. 55P03 where `wait` says not to wait and somebody is in the way. A TEMP relation is nobody else's.
    pub async fn lock_table(&self, relation: &RelationRef, mode: TableLock, wait: WaitPolicy) -> Result<()> {
        if relation.home == Home::Temporary {
            return Ok(());
        }
        self.state().wanted = Some((relation.id, mode));
        let locked = self.lock_names_and_gate(relation, mode, wait).await;
        self.state().wanted = None;
        locked
    }

    async fn lock_names_and_gate(&self, relation: &RelationRef, mode: TableLock, wait: WaitPolicy) -> Result<()> {
        for (kind, held_as) in [(ACCESS, access_mode(mode)), (USE, use_mode(mode))] {
            if let Some(held_as) = held_as {
                self.lock_name(relation.id, kind, held_as, wait).await?;
            }
        }
        self.note_table_lock(relation.id, mode);
        if relation.home != Home::Data {
            return Ok(());
        }
        match mode {
            TableLock::RowShare => self.pass_inside(relation, Inside::Locks, wait).await,
            TableLock::RowExclusive => self.pass_inside(relation, Inside::Writes, wait).await,
            _ => match bar(mode) {
                Some(bar) => {
                    self.close(relation, bar, wait).await?;
                    self.state().part(relation.home).gates.push((relation.id, bar));
                    Ok(())
                }
                None => Ok(()),
            },
        }
    }

    fn note_table_lock(&self, relation: u32, mode: TableLock) {
        let tables = &mut self.state().tables;
        if !tables.contains(&(relation, mode)) {
            tables.push((relation, mode));
        }
    }

    async fn lock_name(&self, relation: u32, kind: u8, mode: LockMode, wait: WaitPolicy) -> Result<()> {
        let shard: Arc<Shard> = self.inner.gateway.shard(Home::Meta).cloned().ok_or(TxnError::NotServing)?;
        let mut name = [0; NAME_BYTES];
        name.iter_mut().zip(relation.to_be_bytes().into_iter().chain([kind])).for_each(|(to, from)| *to = from);
        let row = RowKey::new(NAMES, &name);
        let owner = self.inner.owner;
        loop {
            shard.term()?;
            match shard.rows().acquire(owner, &row, mode, wait) {
                Attempt::Granted(look) => {
                    if look.before.is_none_or(|before| before < mode) {
                        self.state().names.push(HeldName { row, mode, before: look.before });
                    }
                    return Ok(());
                }
                Attempt::Busy => {
                    self.note_met(&row, &shard.rows().in_the_way(owner, &row, mode));
                    return Err(TxnError::LockNotAvailable { relation: NAMES });
                }
                Attempt::TooMany => {
                    let what = "too many transactions wait for one relation";
                    return Err(TxnError::Limit { what, limit: WAITERS_MAX as u64 });
                }
                Attempt::Wait(ticket) => {
                    let before = self.state().names.iter().rev().find(|held| held.row == row).map(|held| held.mode);
                    let grant = wait::for_lock(self, &shard, owner, &row, ticket, Undo::Row(before), None).await?;
                    if grant == Grant::Granted {
                        self.state().names.push(HeldName { row, mode, before });
                        return Ok(());
                    }
                }
            }
        }
    }
}
