//! Level 1. The delta: versions that are committed and applied but not yet in the base, in memory.
//!
//! Owns, per relation, the rows that changed since the last cut, each with its versions, oldest first. Written by one
//! thread (the state machine), read by all. A row is found by hash in one of 16 shards, and in key order through one
//! ordered map: a point read never meets the ordered map's lock, an update of a row that is already here changes
//! neither index, and a small range costs one descent (`performance.md` §4.8: hash + order was the fastest pair).
//! New rows wait in a list and enter the ordered map sorted, some thousand at a time or when somebody asks for order.
//!
//! I1: a row's versions have growing timestamps. I2: a row never leaves its delta; the delta is dropped whole.
//! A reader holds no lock between two rows: it copies out a run of row handles and looks at each later.

use crate::{Mutation, StorageId, Timestamp};
use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};
use parking_lot::RwLock;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::Direction;

const SHARDS: usize = 16;
/// What a new row costs besides its key and value: two index entries, the row, one version.
const ROW_OVERHEAD: u64 = 200;
const VERSION_OVERHEAD: u64 = 48;
/// Rows of one batch from which on room is made for all of them first.
const RESERVE_FROM: usize = 1024;
/// A row's versions are looked through for ones that nobody needs when their number reaches this and then each time
/// it has doubled.
const PRUNE_AT: usize = 8;

/// One version of a row; `None` is a deletion.
#[derive(Clone, Debug)]
pub struct DeltaVersion {
    pub ts: Timestamp,
    pub value: Option<Bytes>,
}

pub struct Row {
    pub key: Bytes,
    /// Oldest first; never empty once the row can be found.
    versions: RwLock<SmallVec<[DeltaVersion; 1]>>,
}

impl Row {
    /// The newest version with a timestamp up to `at`.
    pub fn at(&self, at: Timestamp) -> Option<DeltaVersion> {
        self.versions.read().iter().rev().find(|version| version.ts <= at).cloned()
    }

    pub fn newest_ts(&self) -> Timestamp {
        self.versions.read().last().map_or(Timestamp::ZERO, |version| version.ts)
    }

    /// All versions, oldest first.
    pub fn versions(&self) -> SmallVec<[DeltaVersion; 1]> {
        self.versions.read().clone()
    }

    /// Returns whether the row was alive before.
    fn push(&self, ts: Timestamp, value: Option<Bytes>, horizon: Timestamp) -> bool {
        let mut versions = self.versions.write();
        let last = versions.last();
        assert!(last.is_none_or(|last| last.ts <= ts), "I1: versions of a row have growing timestamps");
        let was_alive = last.is_some_and(|last| last.value.is_some());
        if let Some(same) = versions.last_mut().filter(|last| last.ts == ts) {
            // Written twice by one transaction (an index entry deleted and put back): the last word counts.
            same.value = value;
            return was_alive;
        }
        if versions.len() >= PRUNE_AT && versions.len().is_power_of_two() {
            // Superseded at or below the horizon: the next version is not above it.
            let needless = versions.windows(2).take_while(|pair| pair[1].ts <= horizon).count();
            versions.drain(..needless);
        }
        versions.push(DeltaVersion { ts, value });
        was_alive
    }
}

/// Rows by key, and new ones that are not in the map yet.
#[derive(Default)]
struct Order {
    sorted: BTreeMap<Bytes, Arc<Row>>,
    unordered: Vec<Arc<Row>>,
}

/// So many wait at most, but for bulk loads: what a reader may have to sort in.
const UNORDERED_MAX: usize = 8192;

impl Order {
    fn sort_in(&mut self) {
        let mut fresh = std::mem::take(&mut self.unordered);
        fresh.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let fresh = fresh.into_iter().map(|row| (row.key.clone(), row));
        if fresh.len() >= self.sorted.len() / 4 {
            // Built, and merged, in one pass.
            self.sorted.append(&mut fresh.collect());
        } else {
            self.sorted.extend(fresh);
        }
    }
}

/// The changed rows of one relation.
pub struct RelationDelta {
    /// With the hash: growing a table and passing by a neighbour do not touch the row.
    shards: [RwLock<HashTable<(u64, Arc<Row>)>>; SHARDS],
    order: RwLock<Order>,
    /// How many rows wait in `order`.
    unordered: AtomicUsize,
    /// The greatest timestamp in it.
    newest: AtomicU64,
    /// Rows whose newest version here is a row, and those whose newest is a deletion.
    alive: AtomicU64,
    deleted: AtomicU64,
    /// Versions that superseded another one here, and deletions: what may have to go to history.
    superseding: AtomicU64,
    bytes: AtomicU64,
}

fn hash_of(key: &[u8]) -> u64 {
    FixedState::with_seed(0x5e67).hash_one(key)
}

impl RelationDelta {
    fn new() -> RelationDelta {
        RelationDelta {
            shards: std::array::from_fn(|_| RwLock::default()),
            order: RwLock::default(),
            unordered: AtomicUsize::new(0),
            newest: AtomicU64::new(0),
            alive: AtomicU64::new(0),
            deleted: AtomicU64::new(0),
            superseding: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub fn row(&self, key: &[u8]) -> Option<Arc<Row>> {
        let hash = hash_of(key);
        self.find(hash, key)
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<Arc<Row>> {
        let shard = self.shard(hash).read();
        shard.find(hash, |(other, row)| *other == hash && row.key == key).map(|(_, row)| row.clone())
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<(u64, Arc<Row>)>> {
        &self.shards[(hash >> 60) as usize % SHARDS]
    }

    pub fn newest(&self) -> Timestamp {
        Timestamp(self.newest.load(Ordering::Acquire))
    }

    pub fn alive(&self) -> u64 {
        self.alive.load(Ordering::Relaxed)
    }

    pub fn deleted(&self) -> u64 {
        self.deleted.load(Ordering::Relaxed)
    }

    pub fn superseding(&self) -> u64 {
        self.superseding.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Up to `limit` rows of the range in `direction`'s order.
    pub fn run(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
        out: &mut Vec<Arc<Row>>,
    ) {
        if is_empty(from, to) {
            return;
        }
        if self.unordered.load(Ordering::Acquire) > 0 {
            let mut order = self.order.write();
            order.sort_in();
            // Under the lock: a batch that comes in between must not be counted out.
            self.unordered.store(0, Ordering::Release);
        }
        let order = self.order.read();
        let range = order.sorted.range::<[u8], _>((from, to)).map(|(_, row)| row);
        match direction {
            Direction::Forward => out.extend(range.take(limit).cloned()),
            Direction::Backward => out.extend(range.rev().take(limit).cloned()),
        }
    }

    /// Adds one version; `fresh` gathers rows that the ordered map has yet to learn of.
    fn put(&self, ts: Timestamp, mutation: &Mutation, horizon: Timestamp, fresh: &mut Vec<Arc<Row>>) -> Counts {
        let hash = hash_of(&mutation.key);
        let is_row = mutation.value.is_some();
        let value_bytes = mutation.value.as_ref().map_or(0, Bytes::len) as u64;
        // One visit: this thread is the only writer.
        let mut shard = self.shard(hash).write();
        let same = |(other, row): &(u64, Arc<Row>)| *other == hash && row.key == mutation.key;
        let place = match shard.entry(hash, same, |(hash, _)| *hash) {
            Entry::Occupied(found) => {
                let row = found.get().1.clone();
                drop(shard);
                let was_alive = row.push(ts, mutation.value.clone(), horizon);
                let alive = i64::from(is_row) - i64::from(was_alive);
                return Counts { alive, deleted: -alive, superseding: 1, bytes: value_bytes + VERSION_OVERHEAD };
            }
            Entry::Vacant(place) => place,
        };
        let mut versions = SmallVec::new();
        versions.push(DeltaVersion { ts, value: mutation.value.clone() });
        let row = Arc::new(Row { key: mutation.key.clone(), versions: RwLock::new(versions) });
        place.insert((hash, row.clone()));
        drop(shard);
        fresh.push(row);
        let (alive, deleted) = (i64::from(is_row), i64::from(!is_row));
        let bytes = value_bytes + mutation.key.len() as u64 + ROW_OVERHEAD;
        Counts { alive, deleted, superseding: deleted as u64, bytes }
    }

    /// Room for so many new rows, so that the tables do not grow step by step.
    fn reserve(&self, count: usize) {
        for shard in &self.shards {
            shard.write().reserve(count / SHARDS, |(hash, _)| *hash);
        }
    }

    /// The end of a batch: what it changed is counted and its new rows enter the order.
    fn finish(&self, ts: Timestamp, counts: &Counts, fresh: &mut Vec<Arc<Row>>) {
        self.newest.fetch_max(ts.0, Ordering::AcqRel);
        // Two's complement: adding a negative number takes it away.
        self.alive.fetch_add(counts.alive as u64, Ordering::Relaxed);
        self.deleted.fetch_add(counts.deleted as u64, Ordering::Relaxed);
        self.superseding.fetch_add(counts.superseding, Ordering::Relaxed);
        self.bytes.fetch_add(counts.bytes, Ordering::Relaxed);
        if fresh.is_empty() {
            return;
        }
        let is_bulk = fresh.len() >= RESERVE_FROM;
        let mut order = self.order.write();
        order.unordered.append(fresh);
        // A bulk load is sorted in at once, when a scan or the flush asks for it: not here, where everybody's commits wait.
        if order.unordered.len() >= UNORDERED_MAX && !is_bulk {
            order.sort_in();
        }
        self.unordered.store(order.unordered.len(), Ordering::Release);
    }
}

/// What a batch changes.
#[derive(Default)]
struct Counts {
    alive: i64,
    deleted: i64,
    superseding: u64,
    bytes: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.alive += other.alive;
        self.deleted += other.deleted;
        self.superseding += other.superseding;
        self.bytes += other.bytes;
    }
}

pub(super) fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from >= to,
    }
}

/// All changed rows since one cut.
#[derive(Default)]
pub struct Delta {
    relations: RwLock<HashMap<StorageId, Arc<RelationDelta>, FixedState>>,
    versions: AtomicU64,
    bytes: AtomicU64,
}

impl Delta {
    pub fn relation(&self, relation: StorageId) -> Option<Arc<RelationDelta>> {
        self.relations.read().get(&relation).cloned()
    }

    /// Every relation that changed, by id.
    pub fn relations(&self) -> Vec<(StorageId, Arc<RelationDelta>)> {
        let mut all: Vec<_> = self.relations.read().iter().map(|(id, delta)| (*id, delta.clone())).collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// How many relations changed.
    pub fn relation_count(&self) -> usize {
        self.relations.read().len()
    }

    /// Versions written into it.
    pub fn versions(&self) -> u64 {
        self.versions.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds a batch of one timestamp. `horizon` tells per relation what nobody needs any more.
    pub fn write(&self, ts: Timestamp, mutations: &[Mutation], horizon: impl Fn(StorageId) -> Timestamp) {
        let mut fresh = Vec::new();
        let mut bytes = 0;
        for run in mutations.chunk_by(|a, b| a.relation == b.relation) {
            let id = run[0].relation;
            let relation = self.relation_or_new(id);
            let horizon = horizon(id);
            let mut counts = Counts::default();
            if run.len() >= RESERVE_FROM {
                relation.reserve(run.len());
            }
            for mutation in run {
                counts.add(&relation.put(ts, mutation, horizon, &mut fresh));
            }
            relation.finish(ts, &counts, &mut fresh);
            bytes += counts.bytes;
        }
        self.versions.fetch_add(mutations.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn relation_or_new(&self, id: StorageId) -> Arc<RelationDelta> {
        if let Some(known) = self.relation(id) {
            return known;
        }
        self.relations.write().entry(id).or_insert_with(|| Arc::new(RelationDelta::new())).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hot_row_keeps_what_is_above_the_horizon_and_one_below() {
        let delta = Delta::default();
        let relation = StorageId(1);
        for ts in 1..=1000 {
            let mutation = Mutation { relation, key: "hot".into(), value: Some("v".into()) };
            delta.write(Timestamp(ts), &[mutation], |_| Timestamp(ts.saturating_sub(3)));
        }
        let row = delta.relation(relation).unwrap().row(b"hot").unwrap();
        assert!(row.versions().len() <= PRUNE_AT, "{}", row.versions().len());
        for ts in 997..=1000 {
            assert_eq!(row.at(Timestamp(ts)).unwrap().ts, Timestamp(ts));
        }
    }

    #[test]
    fn rows_that_come_while_a_scan_sorts_are_in_the_order() {
        let delta = Arc::new(Delta::default());
        let relation = StorageId(1);
        let all = |delta: &Delta| {
            let mut rows = Vec::new();
            let relation = delta.relation_or_new(relation);
            relation.run(Bound::Unbounded, Bound::Unbounded, Direction::Forward, usize::MAX, &mut rows);
            rows.len() as u32
        };
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (delta, is_over) = (&delta, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Acquire) {
                    let first: &[u8] = b"a";
                    let relation = delta.relation_or_new(relation);
                    relation.run(Bound::Included(first), Bound::Unbounded, Direction::Forward, 1, &mut Vec::new());
                }
            });
            for n in 0..4_000u32 {
                let key = Bytes::copy_from_slice(&n.to_be_bytes());
                let mutation = Mutation { relation, key, value: Some("v".into()) };
                delta.write(Timestamp(u64::from(n) + 1), &[mutation], |_| Timestamp::ZERO);
                if n % 100 == 99 && all(delta) != n + 1 {
                    is_over.store(true, Ordering::Release);
                    panic!("{} of {} rows", all(delta), n + 1);
                }
            }
            is_over.store(true, Ordering::Release);
        });
    }

    #[test]
    fn order_is_complete_however_many_rows_wait() {
        let delta = Delta::default();
        let relation = StorageId(1);
        let count = 3 * UNORDERED_MAX as u32 + 17;
        let mutations: Vec<Mutation> = (0..count)
            .map(|n| {
                let key = Bytes::copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
                Mutation { relation, key, value: Some("v".into()) }
            })
            .collect();
        for (ts, batch) in (1..).zip(mutations.chunks(1000)) {
            delta.write(Timestamp(ts), batch, |_| Timestamp::ZERO);
        }
        let mut rows = Vec::new();
        let relation = delta.relation(relation).unwrap();
        relation.run(Bound::Unbounded, Bound::Unbounded, Direction::Forward, usize::MAX, &mut rows);
        assert!(rows.len() == count as usize && rows.is_sorted_by(|a, b| a.key < b.key));
        assert_eq!((relation.alive(), relation.deleted(), delta.versions()), (u64::from(count), 0, u64::from(count)));
    }
}
