//! Level 1. The flush: a frozen delta goes into the base in one durable transaction, together with the applied log
//! index and the replicated state that belong to it.
//!
//! A superseded version goes to history if somebody may still read it: if what superseded it is above the horizon.
//! Others are never written. A deletion leaves a history entry of its own until the horizon has passed it and all
//! older versions of the row are collected.
//! Rows above the relation's greatest key are appended (LMDB fills pages instead of splitting them) and nothing is
//! looked up for them.
//!
//! Cost: per row one lookup and one put (appended: one append), per needed old version one more put; one sync.

use super::Direction;
use super::base::{self, Drops, Relation, Relations};
use super::collect::{self, Collector};
use super::delta::{Delta, DeltaVersion, RelationDelta, Row};
use super::engine::{Engine, WriteTxn};
use super::stored::{self, entry_key};
use crate::{Result, StorageError, StorageId, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use std::ops::Bound;
use std::sync::Arc;

/// Rows copied out of the delta's index at once.
const RUN: usize = 4096;

/// What goes into the base in one transaction.
pub struct Cut<'a> {
    pub delta: &'a Delta,
    /// Log index up to which the delta holds everything, and the replicated state at that index.
    pub applied: u64,
    pub state: &'a [u8],
    /// Relations that may be removed now, and those that must wait.
    pub remove: &'a [StorageId],
    pub drops: &'a Drops,
}

/// Gives every relation of the delta its slots, in a small transaction of its own if new ones must be made.
/// `relations` then names slots that are empty and nobody else's.
pub fn assign_slots(engine: &Engine, delta: &Delta, relations: &mut Relations) -> Result<()> {
    let mut wanted: Vec<(StorageId, bool)> = Vec::new();
    for (id, changes) in delta.relations() {
        let known = relations.get(&id);
        if known.is_none() {
            wanted.push((id, false));
        }
        let has_history = known.is_some_and(|relation| relation.history_slot != 0);
        let needs_history = changes.superseding() > 0 || known.is_some_and(|relation| relation.rows > 0);
        if needs_history && !has_history {
            wanted.push((id, true));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mut used: HashSet<u32, FixedState> = HashSet::default();
    used.insert(base::OWN_SLOT);
    for relation in relations.values() {
        used.extend([relation.rows_slot, relation.history_slot]);
    }
    let free: Vec<u32> = (0..).filter(|slot| !used.contains(slot)).take(wanted.len()).collect();
    if let Some(last) = free.last() {
        engine.make_slots(last + 1)?;
    }
    for ((id, is_history), slot) in wanted.into_iter().zip(free) {
        let relation = relations.entry(id).or_default();
        *(if is_history { &mut relation.history_slot } else { &mut relation.rows_slot }) = slot;
    }
    Ok(())
}

/// Writes the cut. `relations` has slots for all of it (`assign_slots`); returns the relations as they are afterwards.
pub fn write(
    engine: &Engine,
    cut: &Cut<'_>,
    mut relations: Relations,
    horizon: &dyn Fn(StorageId) -> Timestamp,
    collector: &mut Collector,
) -> Result<Relations> {
    let mut position = collector.clone();
    engine.write(|txn| {
        for (id, changes) in cut.delta.relations() {
            let relation = relations.get(&id).copied().unwrap_or_default();
            let mut writer = RelationWriter::new(id, relation, horizon(id));
            writer.write(txn, &changes)?;
            base::write_relation(txn, id, &writer.relation)?;
            relations.insert(id, writer.relation);
        }
        let budget = collect::budget(cut.delta.versions());
        position.step(txn, &mut relations, horizon, budget)?;
        remove(txn, &mut relations, cut.remove)?;
        base::write_own(txn, cut.applied, cut.state, cut.drops)
    })?;
    *collector = position;
    Ok(relations)
}

/// What a flush does besides writing rows, for a segment that nobody writes to: a step of the collection, and the
/// relations whose time has come. Without anything to remove no page is written.
pub fn collect(
    engine: &Engine,
    (due, drops): (&[StorageId], &Drops),
    mut relations: Relations,
    horizon: &dyn Fn(StorageId) -> Timestamp,
    collector: &mut Collector,
) -> Result<Relations> {
    let mut position = collector.clone();
    engine.write(|txn| {
        position.step(txn, &mut relations, horizon, collect::budget(0))?;
        if due.is_empty() {
            return Ok(());
        }
        remove(txn, &mut relations, due)?;
        base::write_drops(txn, drops)
    })?;
    *collector = position;
    Ok(relations)
}

fn remove(txn: &mut WriteTxn<'_>, relations: &mut Relations, due: &[StorageId]) -> Result<()> {
    for id in due {
        let Some(relation) = relations.remove(id) else { continue };
        txn.clear(relation.rows_slot())?;
        if let Some(slot) = relation.history_slot() {
            txn.clear(slot)?;
        }
        base::remove_relation(txn, *id)?;
    }
    Ok(())
}

struct RelationWriter {
    id: StorageId,
    relation: Relation,
    horizon: Timestamp,
    /// The greatest entry key, while rows may be appended behind it.
    greatest: Vec<u8>,
    value: Vec<u8>,
    history_key: Vec<u8>,
    history_value: Vec<u8>,
    entry_key: Vec<u8>,
    rows_put: u64,
    rows_new: u64,
}

/// The version that lies in the base.
struct Old {
    ts: Timestamp,
    /// Copied only if it goes to history.
    row: Option<Vec<u8>>,
    checksum: u32,
    size: u64,
}

impl RelationWriter {
    fn new(id: StorageId, relation: Relation, horizon: Timestamp) -> RelationWriter {
        RelationWriter {
            id,
            relation,
            horizon,
            greatest: Vec::new(),
            value: Vec::new(),
            history_key: Vec::new(),
            history_value: Vec::new(),
            entry_key: Vec::new(),
            rows_put: 0,
            rows_new: 0,
        }
    }

    fn write(&mut self, txn: &mut WriteTxn<'_>, changes: &RelationDelta) -> Result<()> {
        self.greatest = txn.last(self.relation.rows_slot())?.unwrap_or_default().to_vec();
        let mut run: Vec<Arc<Row>> = Vec::new();
        loop {
            let last = run.last().map(|row| row.key.clone());
            run.clear();
            let from = last.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key[..]));
            changes.run(from, Bound::Unbounded, Direction::Forward, RUN, &mut run);
            for row in &run {
                self.write_row(txn, row)?;
            }
            if run.len() < RUN {
                break;
            }
        }
        self.relation.newest = self.relation.newest.max(changes.newest());
        if let Some(share) = (self.rows_new * 1000).checked_div(self.rows_put) {
            self.relation.new_per_mille = share as u32;
        }
        Ok(())
    }

    fn write_row(&mut self, txn: &mut WriteTxn<'_>, row: &Row) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.entry_key);
        let entry_key = entry_key(&row.key, &mut buffer);
        let is_greatest = entry_key > &self.greatest[..];
        let versions = row.versions();
        let old = if is_greatest { None } else { self.old(txn, row, entry_key, &versions)? };
        self.keep_superseded(txn, row, entry_key, old.as_ref(), &versions)?;
        let Some(newest) = versions.last() else { return Ok(()) };
        if let Some(old) = &old {
            self.relation.checksum ^= old.checksum;
            self.relation.rows -= 1;
            self.relation.bytes = self.relation.bytes.saturating_sub(old.size);
        }
        match &newest.value {
            Some(value) => {
                let sum = stored::encode(&mut self.value, self.id, entry_key, &row.key, newest.ts, value);
                if is_greatest {
                    txn.append(self.relation.rows_slot(), entry_key, &self.value)?;
                    self.greatest.clear();
                    self.greatest.extend_from_slice(entry_key);
                } else {
                    txn.put(self.relation.rows_slot(), entry_key, &self.value)?;
                }
                self.relation.checksum ^= sum;
                self.relation.rows += 1;
                self.relation.bytes += (row.key.len() + value.len()) as u64;
                self.rows_put += 1;
                self.rows_new += u64::from(old.is_none());
            }
            None => {
                if old.is_some() {
                    txn.delete(self.relation.rows_slot(), entry_key)?;
                }
                if self.must_tell_deletion(newest.ts) {
                    self.put_history(txn, row, entry_key, newest.ts, None)?;
                }
            }
        }
        self.entry_key = buffer;
        Ok(())
    }

    fn old(&self, txn: &WriteTxn<'_>, row: &Row, entry_key: &[u8], versions: &[DeltaVersion]) -> Result<Option<Old>> {
        let Some(value) = txn.get(self.relation.rows_slot(), entry_key)? else { return Ok(None) };
        let old = stored::decode_value(self.id, entry_key, value)?;
        if !old.is_of(&row.key) {
            let what = format!("two keys of relation {} have one hash", self.id.0);
            return Err(StorageError::Corrupt(what));
        }
        let size = (row.key.len() + old.row.len()) as u64;
        let is_needed = versions.first().is_some_and(|next| next.ts > self.horizon);
        let row = is_needed.then(|| old.row.to_vec());
        Ok(Some(Old { ts: old.ts, row, checksum: old.checksum, size }))
    }

    /// Puts into history what is superseded by a version above the horizon.
    fn keep_superseded(
        &mut self,
        txn: &mut WriteTxn<'_>,
        row: &Row,
        entry_key: &[u8],
        old: Option<&Old>,
        versions: &[DeltaVersion],
    ) -> Result<()> {
        if let Some(Old { ts, row: Some(old), .. }) = old {
            self.put_history(txn, row, entry_key, *ts, Some(old))?;
        }
        for pair in versions.windows(2) {
            let is_needed =
                if pair[0].value.is_some() { pair[1].ts > self.horizon } else { self.must_tell_deletion(pair[0].ts) };
            if is_needed {
                self.put_history(txn, row, entry_key, pair[0].ts, pair[0].value.as_deref())?;
            }
        }
        Ok(())
    }

    /// A deletion at or below the horizon says no more than the absence of anything, unless there may be older
    /// versions that are not collected yet: they would come back to life.
    fn must_tell_deletion(&self, ts: Timestamp) -> bool {
        ts > self.horizon || self.relation.history_rows > 0
    }

    fn put_history(
        &mut self,
        txn: &mut WriteTxn<'_>,
        row: &Row,
        entry_key: &[u8],
        ts: Timestamp,
        value: Option<&[u8]>,
    ) -> Result<()> {
        let Some(slot) = self.relation.history_slot() else {
            return Err(StorageError::Corrupt(format!("relation {} has no history", self.id.0)));
        };
        stored::history_key(&mut self.history_key, entry_key, ts, value.is_none());
        stored::encode(&mut self.history_value, self.id, entry_key, &row.key, ts, value.unwrap_or_default());
        txn.put(slot, &self.history_key, &self.history_value)?;
        self.relation.history_rows += 1;
        self.relation.deletions += u64::from(value.is_none());
        Ok(())
    }
}
