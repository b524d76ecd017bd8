//! Level 1. Reading: a view pins one generation (frozen delta, active delta, one read transaction of the base).
//!
//! I1: a view sees everything that was applied before `Segment::view` was called, and perhaps what is applied while
//! it lives; a reader at a timestamp below what is being applied sees one unchanging state. A view taken *before*
//! waiting for a commit may miss it: wait first, then take the view.
//! I2: a view is `!Send` and short (a call, never across an await), so no LMDB reader outlives the next generation
//! or two.
//!
//! Lookup order: active, frozen, base; the first that has a version up to the timestamp decides.

use super::base::{self, Found};
use super::block::Block;
use super::delta::{DeltaVersion, RelationDelta, Row};
use super::engine::ReadTxn;
use super::walk::{self, BaseWalk, Entry};
use super::{Direction, Generation};
use crate::{KeyRange, Result, StorageId, Timestamp};
use bytes::Bytes;
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::ops::{Bound, Deref};
use std::sync::Arc;

/// A value: in the map, or shared with the log entry that brought it.
#[derive(Clone, Debug)]
pub enum Value<'v> {
    Mapped(&'v [u8]),
    Shared(Bytes),
}

impl Value<'_> {
    /// Copied only if it is in the map.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Value::Mapped(value) => Bytes::copy_from_slice(value),
            Value::Shared(value) => value,
        }
    }
}

impl Deref for Value<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Value::Mapped(value) => value,
            Value::Shared(value) => value,
        }
    }
}

/// A visible version.
#[derive(Clone, Debug)]
pub struct Version<'v> {
    pub ts: Timestamp,
    pub value: Value<'v>,
}

/// The newest version, deletions included while they are known.
#[derive(Clone, Debug)]
pub struct Newest<'v> {
    pub ts: Timestamp,
    pub value: Option<Value<'v>>,
}

pub struct View {
    generation: arc_swap::Guard<Arc<Generation>>,
    /// Always there until the view is dropped.
    txn: Option<ReadTxn>,
    not_send: PhantomData<*const ()>,
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(txn) = self.txn.take() {
            self.generation.base.give_back(txn);
        }
    }
}

impl View {
    pub(super) fn new(generation: arc_swap::Guard<Arc<Generation>>, txn: ReadTxn) -> View {
        View { generation, txn: Some(txn), not_send: PhantomData }
    }

    pub(super) fn relation(&self, id: StorageId) -> Option<&base::Relation> {
        self.generation.base.relations.get(&id)
    }

    pub(super) fn deltas(&self) -> impl Iterator<Item = &Arc<super::Delta>> {
        self.generation.deltas()
    }

    pub(super) fn txn(&self) -> &ReadTxn {
        match &self.txn {
            Some(txn) => txn,
            None => unreachable!("a view has its transaction until it is dropped"),
        }
    }

    /// The row's newest version with a timestamp up to `at`; `None` if there is none or it is a deletion.
    pub fn get(&self, relation: StorageId, key: &[u8], at: Timestamp) -> Result<Option<Version<'_>>> {
        Ok(self.version(relation, key, at)?.and_then(|newest| {
            let ts = newest.ts;
            newest.value.map(|value| Version { ts, value })
        }))
    }

    /// The row's newest version. A deletion is known until the horizon has passed it.
    pub fn newest(&self, relation: StorageId, key: &[u8]) -> Result<Option<Newest<'_>>> {
        self.version(relation, key, Timestamp::MAX)
    }

    fn version(&self, id: StorageId, key: &[u8], at: Timestamp) -> Result<Option<Newest<'_>>> {
        for delta in self.generation.deltas() {
            let row = delta.relation(id).and_then(|relation| relation.row(key));
            if let Some(DeltaVersion { ts, value }) = row.and_then(|row| row.at(at)) {
                return Ok(Some(Newest { ts, value: value.map(Value::Shared) }));
            }
        }
        let Some(relation) = self.generation.base.relations.get(&id) else { return Ok(None) };
        Ok(match base::find(self.txn(), id, relation, key, at)? {
            Found::Row(row) => Some(Newest { ts: row.ts, value: Some(Value::Mapped(row.row)) }),
            Found::Deleted(ts) => Some(Newest { ts, value: None }),
            Found::Nothing => None,
        })
    }

    /// The rows of a range visible at `at`, in key order.
    pub fn cursor(
        &self,
        relation: StorageId,
        range: &KeyRange,
        at: Timestamp,
        direction: Direction,
    ) -> Result<Cursor<'_>> {
        let mut cursor = Cursor {
            view: self,
            relation,
            range: range.clone(),
            at,
            direction,
            base: None,
            base_head: None,
            deltas: [None, None],
            nearest: 0,
            current: None,
        };
        cursor.start(range)?;
        Ok(cursor)
    }

    /// How many rows are visible at `at`; `None` where walking them takes fewer steps.
    pub fn count(&self, relation: StorageId, at: Timestamp) -> Result<Option<u64>> {
        let rows = self.generation.base.relations.get(&relation).map_or(0, |known| known.rows);
        let deltas = self.generation.deltas().filter_map(|delta| delta.relation(relation));
        let changed: u64 = deltas.map(|delta| delta.alive() + delta.deleted()).sum();
        if changed > rows / COUNT_WALK { Ok(None) } else { self.count_by_changes(relation, at) }
    }

    /// The base says how many rows it has, and each row of a delta adds one, takes one away, or neither. `None`: the base
    /// has changes that are newer than `at`.
    pub(super) fn count_by_changes(&self, relation: StorageId, at: Timestamp) -> Result<Option<u64>> {
        let known = self.generation.base.relations.get(&relation);
        if known.is_some_and(|known| known.newest > at) {
            return Ok(None);
        }
        let is_in_base = |key: &[u8]| match known {
            Some(known) => Ok(matches!(base::find(self.txn(), relation, known, key, at)?, Found::Row(_))),
            None => Ok(false),
        };
        let mut count = known.map_or(0, |known| known.rows);
        let deltas: SmallVec<[Arc<RelationDelta>; 2]> =
            self.generation.deltas().filter_map(|delta| delta.relation(relation)).collect();
        for (age, delta) in deltas.iter().enumerate() {
            let mut walk = DeltaWalk::new(delta.clone(), &KeyRange::all(), Direction::Forward);
            while let Some(row) = walk.head() {
                let decides = |newer: &Arc<RelationDelta>| newer.row(&row.key).is_some_and(|row| row.at(at).is_some());
                if let Some(version) = row.at(at)
                    && !deltas.iter().take(age).any(decides)
                {
                    count = count + u64::from(version.value.is_some()) - u64::from(is_in_base(&row.key)?);
                }
                walk.advance();
            }
        }
        Ok(Some(count))
    }

    /// A change (put or deletion) in the range with a timestamp above `since`, if there is any: the newest of the delta,
    /// else the newest of the base. `since` is not below the horizon.
    pub fn changed_since(&self, relation: StorageId, range: &KeyRange, since: Timestamp) -> Result<Option<Timestamp>> {
        let mut newest = None;
        for delta in self.generation.deltas() {
            let Some(delta) = delta.relation(relation).filter(|delta| delta.newest() > since) else { continue };
            if is_point(range) {
                newest = newest.max(delta.row(&range.start).map(|row| row.newest_ts()).filter(|ts| *ts > since));
                continue;
            }
            let mut rows = DeltaWalk::new(delta, range, Direction::Forward);
            while let Some(row) = rows.head() {
                newest = newest.max(Some(row.newest_ts()).filter(|ts| *ts > since));
                rows.advance();
            }
        }
        if newest.is_some() {
            // The base is not walked for one that might be newer still: callers ask whether, not how much.
            return Ok(newest);
        }
        let Some(known) = self.generation.base.relations.get(&relation) else { return Ok(None) };
        walk::changed_since(self.txn(), relation, known, range, since)
    }
}

/// Rows of the base that are walked in the time in which one row of a delta is looked up there.
const COUNT_WALK: u64 = 32;

fn is_point(range: &KeyRange) -> bool {
    range.end.as_ref().is_some_and(|end| {
        end.len() == range.start.len() + 1 && end.last() == Some(&0) && end.starts_with(&range.start)
    })
}

/// First run of rows copied out of the delta, and the most.
const RUN_FIRST: usize = 8;
const RUN_MAX: usize = 512;

/// Rows of one delta in order, copied out in growing runs so that no lock is held between rows.
pub(super) struct DeltaWalk {
    delta: Arc<RelationDelta>,
    range: KeyRange,
    direction: Direction,
    run: Vec<Arc<Row>>,
    position: usize,
    limit: usize,
    is_last: bool,
}

impl DeltaWalk {
    pub(super) fn new(delta: Arc<RelationDelta>, range: &KeyRange, direction: Direction) -> DeltaWalk {
        let range = range.clone();
        let mut walk =
            DeltaWalk { delta, range, direction, run: Vec::new(), position: 0, limit: RUN_FIRST, is_last: false };
        walk.fill();
        walk
    }

    fn fill(&mut self) {
        let last = self.run.last().map(|row| row.key.clone());
        self.run.clear();
        self.position = 0;
        let mut from = Bound::Included(&self.range.start[..]);
        let mut to = self.range.end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
        if let Some(last) = &last {
            match self.direction {
                Direction::Forward => from = Bound::Excluded(&last[..]),
                Direction::Backward => to = Bound::Excluded(&last[..]),
            }
        }
        self.delta.run(from, to, self.direction, self.limit, &mut self.run);
        self.is_last = self.run.len() < self.limit;
        self.limit = (self.limit * 4).min(RUN_MAX);
    }

    pub(super) fn head(&self) -> Option<&Arc<Row>> {
        self.run.get(self.position)
    }

    pub(super) fn advance(&mut self) {
        self.position += 1;
        if self.position == self.run.len() && !self.is_last {
            self.fill();
        }
    }
}

/// What a cursor came to.
enum Step<'v> {
    Base(Entry<'v>),
    /// A version of this time, which is the cursor's `current`.
    Delta(Timestamp),
}

/// Visible rows of a range. Borrows its view.
pub struct Cursor<'v> {
    view: &'v View,
    relation: StorageId,
    range: KeyRange,
    at: Timestamp,
    direction: Direction,
    base: Option<BaseWalk<'v>>,
    base_head: Option<Entry<'v>>,
    /// Active and frozen; `None` is one that has no more rows.
    deltas: [Option<DeltaWalk>; 2],
    /// Which of them has the first key.
    nearest: usize,
    /// The row it stands on, if that comes from a delta.
    current: Option<(Arc<Row>, Bytes)>,
}

impl<'v> Cursor<'v> {
    fn start(&mut self, range: &KeyRange) -> Result<()> {
        let view = self.view;
        let generation = &view.generation;
        self.deltas = generation.sources().map(|delta| {
            let delta = delta.and_then(|delta| delta.relation(self.relation));
            delta.map(|delta| DeltaWalk::new(delta, range, self.direction)).filter(|walk| walk.head().is_some())
        });
        self.find_nearest();
        self.base = None;
        self.base_head = None;
        if let Some(relation) = generation.base.relations.get(&self.relation) {
            let txn = view.txn();
            let mut walk = BaseWalk::new(txn, self.relation, relation, range, self.at, self.direction)?;
            if self.has_delta() {
                self.base_head = walk.next()?;
            }
            self.base = Some(walk);
        }
        Ok(())
    }

    fn has_delta(&self) -> bool {
        self.deltas.iter().any(Option::is_some)
    }

    /// Goes on at the first row at or behind `key` (at or before it, backward), inside the cursor's range; it may
    /// also go back.
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        let mut range = self.range.clone();
        match self.direction {
            Direction::Forward if key > &range.start[..] => range.start = Bytes::copy_from_slice(key),
            Direction::Backward => {
                let end = KeyRange::point(key).end;
                if range.end.is_none() || end < range.end {
                    range.end = end;
                }
            }
            Direction::Forward => {}
        }
        self.start(&range)
    }

    /// The next visible row.
    #[inline]
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        Ok(match self.step()? {
            None => None,
            Some(Step::Base(row)) => Some(row),
            Some(Step::Delta(ts)) => self.of_delta(ts),
        })
    }

    /// Puts the next visible rows into `block` until that has so many rows or bytes of values; false at the end.
    pub fn fill(&mut self, block: &mut Block<'v>, rows_max: usize, bytes_max: usize) -> Result<bool> {
        while block.len() < rows_max && block.value_bytes() < bytes_max {
            match self.step()? {
                None => return Ok(false),
                Some(Step::Base(row)) => block.push(row),
                Some(Step::Delta(ts)) => {
                    if let Some(entry) = self.of_delta(ts) {
                        block.push_copy(entry);
                    }
                }
            }
        }
        Ok(true)
    }

    fn of_delta(&self, ts: Timestamp) -> Option<Entry<'_>> {
        self.current.as_ref().map(|(row, value)| Entry { key: &row.key, value, ts })
    }

    #[inline]
    fn step(&mut self) -> Result<Option<Step<'v>>> {
        if !self.has_delta() && self.base_head.is_none() {
            return self.step_of_base();
        }
        self.step_merged()
    }

    #[inline]
    fn step_of_base(&mut self) -> Result<Option<Step<'v>>> {
        let Some(base) = &mut self.base else { return Ok(None) };
        Ok(base.next()?.map(Step::Base))
    }

    fn step_merged(&mut self) -> Result<Option<Step<'v>>> {
        loop {
            let Some(nearest) = self.deltas[self.nearest].as_ref().and_then(DeltaWalk::head) else {
                // No delta has anything more, perhaps since its last row was a deletion: the base goes on alone.
                return match self.take_base()? {
                    Some(row) => Ok(Some(Step::Base(row))),
                    None => self.step_of_base(),
                };
            };
            if let Some(head) = self.base_head
                && is_before(self.direction, head.key, &nearest.key)
            {
                return Ok(self.take_base()?.map(Step::Base));
            }
            // A delta has the first key; the other sources may have it too, and the newer source decides.
            let row = nearest.clone();
            let version = self.take_deltas(&row.key);
            let base = match self.base_head {
                Some(head) if head.key == &row.key[..] => self.take_base()?,
                _ => None,
            };
            match (version, base) {
                (Some(DeltaVersion { ts, value: Some(value) }), _) => {
                    self.current = Some((row, value));
                    return Ok(Some(Step::Delta(ts)));
                }
                (None, Some(row)) => return Ok(Some(Step::Base(row))),
                (Some(_), _) | (None, None) => {}
            }
        }
    }

    /// Moves every delta that stands on `key`; returns what the newest of them says of it.
    fn take_deltas(&mut self, key: &[u8]) -> Option<DeltaVersion> {
        let mut version = None;
        for delta in &mut self.deltas {
            let Some(walk) = delta else { continue };
            let Some(head) = walk.head().filter(|head| head.key == key) else { continue };
            if version.is_none() {
                version = head.at(self.at);
            }
            walk.advance();
            if walk.head().is_none() {
                *delta = None;
            }
        }
        self.find_nearest();
        version
    }

    fn find_nearest(&mut self) {
        let [active, frozen] = &self.deltas;
        let key = |walk: &Option<DeltaWalk>| walk.as_ref().and_then(DeltaWalk::head).map(|row| row.key.clone());
        self.nearest = match (key(active), key(frozen)) {
            (Some(active), Some(frozen)) => usize::from(is_before(self.direction, &frozen, &active)),
            (None, Some(_)) => 1,
            _ => 0,
        };
    }
}

#[inline]
fn is_before(direction: Direction, a: &[u8], b: &[u8]) -> bool {
    match direction {
        Direction::Forward => a < b,
        Direction::Backward => a > b,
    }
}

impl<'v> Cursor<'v> {
    /// The base's head; the next one moves up.
    fn take_base(&mut self) -> Result<Option<Entry<'v>>> {
        let head = self.base_head.take();
        // Without a delta `next` reads the base itself.
        if self.has_delta()
            && let Some(base) = &mut self.base
        {
            self.base_head = base.next()?;
        }
        Ok(head)
    }
}
