//! What a transaction holds at its gateway, behind one short mutex.

use crate::buffer::Buffer;
use crate::cancel::CancelFlag;
use crate::met::Met;
use crate::table_lock::HeldName;
use crate::{Home, Isolation, RelationRef, Timestamp};
use hashbrown::HashTable;
use shard::locks::{Bar, Claims, Inside, RowKey};
use shard::reads::ReadSet;
use shard::{Certified, Dependency, LockMode, LockedSpan, SchemaVersion};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;
use storage::StorageId;
use types::TableLock;

/// Keys of one relation that are locked one by one before the next ones are claimed in bulk.
const CLAIMS_AFTER: usize = 256;
/// A row lock here and in the lock table, with a short key.
const LOCK_BYTES: usize = 340;

/// A lock held, and the span that it left (R9).
pub struct HeldLock {
    pub span: LockedSpan,
    /// What a savepoint's rollback goes back to; the mode of the lock before this entry.
    pub before: Option<LockMode>,
}

/// A transaction's part at one home.
#[derive(Default)]
pub struct Part {
    pub buffer: Buffer,
    /// Bytes taken from what all transactions of the node may buffer.
    pub reserved: usize,
    /// Plain reads, at SERIALIZABLE.
    pub reads: ReadSet,
    pub locks: Vec<HeldLock>,
    /// Last entry of each row in `locks`.
    lock_index: HashTable<u32>,
    /// Locks per relation, until they become one.
    lock_counts: SmallVec<[(StorageId, usize); 2]>,
    /// Relations of which so many keys are inserted that they are claimed in bulk.
    pub claims: SmallVec<[(StorageId, Arc<Claims>); 1]>,
    /// Relations locked as a whole, and how.
    pub whole: Vec<(StorageId, LockMode)>,
    /// The term in which locks were taken: they are lost with it.
    pub lock_term: Option<u64>,
    pub schemas: SmallVec<[SchemaVersion; 2]>,
    /// Relations (ids) whose gate was passed to write.
    pub entered: SmallVec<[(u32, Inside); 4]>,
    /// Whether gates were closed.
    pub has_closed: bool,
    /// Those that LOCK TABLE has closed, in this order; of one relation the last is the strongest.
    pub gates: Vec<(u32, Bar)>,
    /// Relations that nobody else may have written to since they were read (`exclude`).
    pub certified: Vec<Certified>,
    /// Their ids: of their indexes too no more is to be validated.
    pub excluded: SmallVec<[u32; 2]>,
    pub dependencies: SmallVec<[Dependency; 1]>,
    /// The newest version that a lock has shown, be the lock kept or not: told only when the oracle is past it.
    pub shown: Timestamp,
}

impl Part {
    /// Whether the gate was passed to do this, or more.
    pub fn is_inside(&self, relation: u32, inside: Inside) -> bool {
        self.entered.iter().any(|(id, held)| *id == relation && *held >= inside)
    }

    pub fn note_inside(&mut self, relation: u32, inside: Inside) {
        match self.entered.iter_mut().find(|(id, _)| *id == relation) {
            Some((_, held)) => *held = inside.max(*held),
            None => self.entered.push((relation, inside)),
        }
    }

    /// What was done inside of relations since a savepoint, with what was before.
    pub fn cut_entered(&mut self, before: &[(u32, Inside)]) -> SmallVec<[(u32, Option<Inside>); 2]> {
        let held = |relation: u32| before.iter().find(|(id, _)| *id == relation).map(|(_, inside)| *inside);
        let now = std::mem::replace(&mut self.entered, SmallVec::from_slice(before));
        now.into_iter()
            .map(|(relation, inside)| (relation, inside, held(relation)))
            .filter(|(_, inside, before)| *before != Some(*inside))
            .map(|(relation, _, before)| (relation, before))
            .collect()
    }

    /// Gates that LOCK TABLE has closed since a savepoint, with how they were closed before. DDL that has looked at all rows keeps
    /// its gates closed.
    pub fn cut_gates(&mut self, length: usize) -> Vec<(u32, Option<Bar>)> {
        let cut = self.gates.split_off(length.min(self.gates.len()));
        let before = |relation: u32| self.gates.iter().rev().find(|(id, _)| *id == relation).map(|(_, bar)| *bar);
        let is_kept = |relation: &u32| self.excluded.contains(relation);
        cut.into_iter().map(|(id, _)| id).filter(|id| !is_kept(id)).map(|id| (id, before(id))).collect()
    }

    /// The plan's schema version of a relation that it touches.
    pub fn note_schema(&mut self, relation: &RelationRef) {
        let schema = SchemaVersion { relation: relation.id, version: relation.schema_version };
        match self.schemas.iter_mut().find(|other| other.relation == schema.relation) {
            // The oldest plan counts — but what this transaction's own DDL made newer is newer.
            Some(other) => other.version = other.version.min(schema.version),
            None => self.schemas.push(schema),
        }
    }

    /// The set that notes a claimed key, where the relation has one; `begin` makes it when it is time.
    pub fn claims(&mut self, relation: StorageId, begin: impl FnOnce() -> Arc<Claims>) -> Option<Arc<Claims>> {
        if let Some((_, claims)) = self.claims.iter().find(|(id, _)| *id == relation) {
            return Some(claims.clone());
        }
        let count = self.lock_counts.iter().find(|(id, _)| *id == relation).map_or(0, |(_, count)| *count);
        if count < CLAIMS_AFTER {
            return None;
        }
        let claims = begin();
        self.claims.push((relation, claims.clone()));
        Some(claims)
    }

    /// About what buffered writes and locks take.
    pub fn bytes(&self) -> usize {
        self.buffer.bytes() + self.locks.len() * LOCK_BYTES
    }

    pub fn held(&self, row: &RowKey) -> Option<LockMode> {
        let same = |position: &u32| self.locks.get(*position as usize).is_some_and(|held| held.span.row == *row);
        let position = *self.lock_index.find(row.hash, same)?;
        self.locks.get(position as usize).map(|held| held.span.mode)
    }

    /// Returns how many rows of the relation are locked now.
    pub fn push_lock(&mut self, span: LockedSpan, before: Option<LockMode>) -> usize {
        let position = self.locks.len() as u32;
        let (hash, relation) = (span.row.hash, span.row.relation);
        let locks = &self.locks;
        let same = |other: &u32| locks.get(*other as usize).is_some_and(|held| held.span.row == span.row);
        match self.lock_index.find_mut(hash, same) {
            Some(place) => *place = position,
            None => {
                self.lock_index.insert_unique(hash, position, |other| locks[*other as usize].span.row.hash);
            }
        }
        self.locks.push(HeldLock { span, before });
        match self.lock_counts.iter_mut().find(|(id, _)| *id == relation) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.lock_counts.push((relation, 1));
                1
            }
        }
    }

    /// Forgets the newest lock, if it is this row's only one and nothing was written there. Whether it was.
    pub fn pop_lock(&mut self, row: &RowKey) -> bool {
        let is_it = |held: &HeldLock| held.span.row == *row && held.before.is_none();
        if !self.locks.last().is_some_and(is_it) || self.buffer.get(row.relation, &row.key, u32::MAX).is_some() {
            return false;
        }
        self.locks.pop();
        let position = self.locks.len() as u32;
        if let Ok(found) = self.lock_index.find_entry(row.hash, |other| *other == position) {
            found.remove();
        }
        if let Some((_, count)) = self.lock_counts.iter_mut().find(|(id, _)| *id == row.relation) {
            *count -= 1;
        }
        true
    }

    /// Locks taken since a savepoint, newest first.
    pub fn cut_locks(&mut self, length: usize) -> Vec<HeldLock> {
        let mut cut = self.locks.split_off(length.min(self.locks.len()));
        self.lock_index.clear();
        let locks = &self.locks;
        for (position, held) in locks.iter().enumerate() {
            let same = |other: &u32| locks[*other as usize].span.row == held.span.row;
            match self.lock_index.find_mut(held.span.row.hash, same) {
                Some(place) => *place = position as u32,
                None => {
                    let hash_of = |other: &u32| locks[*other as usize].span.row.hash;
                    self.lock_index.insert_unique(held.span.row.hash, position as u32, hash_of);
                }
            }
        }
        for held in &cut {
            if let Some((_, count)) = self.lock_counts.iter_mut().find(|(id, _)| *id == held.span.row.relation) {
                *count -= 1;
            }
        }
        cut.reverse();
        cut
    }

    pub fn note_shown(&mut self, ts: Timestamp) {
        self.shown = self.shown.max(ts);
    }

    pub fn note_dependency(&mut self, dependency: Dependency) {
        if !self.dependencies.contains(&dependency) {
            self.dependencies.push(dependency);
        }
    }
}

/// A row whose lock is held on the guess that it will be written.
pub struct Ahead {
    pub row: RowKey,
    /// Statements begun since.
    pub statements: u8,
}

pub struct Savepoint {
    pub id: u32,
    pub writes: [usize; 3],
    pub locks: [usize; 3],
    /// What was done inside of relations, and which gates were closed, at `Home::Data`.
    pub entered: SmallVec<[(u32, Inside); 4]>,
    pub gates: usize,
    pub fences: usize,
    pub names: usize,
    pub tables: usize,
}

#[derive(Default)]
pub struct State {
    pub is_over: bool,
    pub snapshot: Option<Timestamp>,
    /// While a statement reads what is newest, whatever its level (`exclude`): the snapshot of those reads.
    pub newest: Option<Timestamp>,
    /// Snapshots of such reads, kept until the end: what was read at them is validated.
    pub kept: Vec<Timestamp>,
    /// The first snapshot: the transaction's age (R6).
    pub age: Timestamp,
    pub command: u32,
    /// How many scans were begun.
    pub scans: u64,
    pub parts: [Part; 3],
    /// Storages that this transaction has made: nobody else knows of them.
    pub own_storage: SmallVec<[StorageId; 2]>,
    pub savepoints: Vec<Savepoint>,
    pub next_savepoint: u32,
    pub fences: Vec<SchemaVersion>,
    /// The row that was locked ahead of its read, as long as the transaction has not asked for its lock by itself.
    pub ahead: Option<Ahead>,
    pub deadline: Option<Duration>,
    pub lock_timeout: Option<Duration>,
    pub cancel: CancelFlag,
    /// Names of relations that LOCK TABLE and DDL have locked, and how relations were locked.
    pub names: Vec<HeldName>,
    pub tables: Vec<(u32, TableLock)>,
    /// The one that is asked for now: told to who looks.
    pub wanted: Option<(u32, TableLock)>,
    /// What was in the way of the last statement.
    pub met: Option<Box<Met>>,
}

impl State {
    pub fn part(&mut self, home: Home) -> &mut Part {
        &mut self.parts[home as usize]
    }

    pub fn has_writes(&self) -> bool {
        !self.fences.is_empty() || self.parts.iter().any(|part| !part.buffer.is_empty())
    }
}

/// Whether plain reads leave spans.
pub fn leaves_spans(isolation: Isolation, is_read_only: bool) -> bool {
    isolation == Isolation::Serializable && !is_read_only
}
