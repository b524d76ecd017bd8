//! Level 1. Walks a range of the base: the rows visible at a timestamp, in key order, either way.
//!
//! At or above the newest timestamp of the relation's base this is one walk of the rows and nothing else. Below it,
//! rows and history are walked side by side: a row that is too new gives way to its newest older version, and a row
//! deleted since is found in history alone.
//!
//! Long keys (`stored`) lie in the order of their hashes within a run of one prefix. A run is gathered, sorted by the
//! whole key and handed out; it borrows from the map and copies nothing.

use super::Direction;
use super::base::Relation;
use super::engine::{ReadTxn, Walk};
use super::stored::{self, HistoryKey, LONG_ENTRY_KEY, SHORT_KEY_MAX};
use crate::{KeyRange, Result, StorageId, Timestamp};
use std::cmp::Ordering;
use std::ops::Bound;

/// A visible row.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'t> {
    pub key: &'t [u8],
    pub value: &'t [u8],
    pub ts: Timestamp,
}

pub struct BaseWalk<'t> {
    id: StorageId,
    at: Timestamp,
    direction: Direction,
    rows: Walk<'t>,
    /// `Some` if older versions may be needed.
    history: Option<Merge<'t>>,
    /// Bounds longer than a short key, which entry keys do not tell apart.
    filter: Option<KeyRange>,
    /// A run of long keys, in reverse order of handing out, and the entry read behind it.
    run: Vec<Entry<'t>>,
    behind: Option<(&'t [u8], &'t [u8])>,
}

struct Merge<'t> {
    history: HistoryWalk<'t>,
    row: Option<(&'t [u8], &'t [u8])>,
    group: Option<Group<'t>>,
    is_started: bool,
}

impl<'t> BaseWalk<'t> {
    pub fn new(
        txn: &'t ReadTxn,
        id: StorageId,
        relation: &Relation,
        range: &KeyRange,
        at: Timestamp,
        direction: Direction,
    ) -> Result<BaseWalk<'t>> {
        let mut upper = Vec::new();
        let (from, to) = entry_bounds(range, &mut upper);
        let rows = txn.walk(relation.rows_slot(), from, to, direction)?;
        let history = match relation.history_slot() {
            Some(slot) if at < relation.newest => {
                let history = HistoryWalk::new(txn, id, slot, from, to, direction)?;
                Some(Merge { history, row: None, group: None, is_started: false })
            }
            _ => None,
        };
        let is_long = |bound: &[u8]| bound.len() > SHORT_KEY_MAX;
        let filter = is_long(&range.start) || range.end.as_ref().is_some_and(|end| is_long(end));
        let filter = filter.then(|| range.clone());
        Ok(BaseWalk { id, at, direction, rows, history, filter, run: Vec::new(), behind: None })
    }

    #[inline]
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry<'t>>> {
        if self.is_plain() {
            // What nearly all walks are from end to end: no row is looked at twice.
            while let Some((entry_key, value)) = self.rows.next()? {
                let row = self.decode(entry_key, value)?;
                if row.ts > self.at {
                    continue;
                }
                if entry_key.len() != LONG_ENTRY_KEY {
                    return Ok(Some(row));
                }
                self.gather(entry_key, row)?;
                break;
            }
        }
        self.next_of_any()
    }

    /// Nothing but the rows themselves is to be looked at.
    #[inline]
    fn is_plain(&self) -> bool {
        self.history.is_none() && self.filter.is_none() && self.run.is_empty() && self.behind.is_none()
    }

    fn next_of_any(&mut self) -> Result<Option<Entry<'t>>> {
        loop {
            if let Some(row) = self.run.pop() {
                if self.filter.as_ref().is_none_or(|range| range.contains(row.key)) {
                    return Ok(Some(row));
                }
                continue;
            }
            let Some((entry_key, value)) = self.next_entry()? else { return Ok(None) };
            let row = self.decode(entry_key, value)?;
            if entry_key.len() == LONG_ENTRY_KEY {
                self.gather(entry_key, row)?;
            } else if self.filter.as_ref().is_none_or(|range| range.contains(row.key)) {
                return Ok(Some(row));
            }
        }
    }

    #[inline]
    fn decode(&self, entry_key: &'t [u8], value: &'t [u8]) -> Result<Entry<'t>> {
        let stored = stored::decode(self.id, entry_key, value)?;
        Ok(Entry { key: stored.key, ts: stored.ts, value: stored.row })
    }

    #[cold]
    fn gather(&mut self, first: &'t [u8], row: Entry<'t>) -> Result<()> {
        self.run.push(row);
        while let Some((entry_key, value)) = self.next_entry()? {
            if entry_key.len() != LONG_ENTRY_KEY || entry_key[..SHORT_KEY_MAX] != first[..SHORT_KEY_MAX] {
                self.behind = Some((entry_key, value));
                break;
            }
            self.run.push(self.decode(entry_key, value)?);
        }
        // Handed out from the end.
        match self.direction {
            Direction::Forward => self.run.sort_by(|a, b| b.key.cmp(a.key)),
            Direction::Backward => self.run.sort_by(|a, b| a.key.cmp(b.key)),
        }
        Ok(())
    }

    /// The next visible entry in the order of entry keys.
    #[inline]
    fn next_entry(&mut self) -> Result<Option<(&'t [u8], &'t [u8])>> {
        if let Some(entry) = self.behind.take() {
            return Ok(Some(entry));
        }
        let Some(merge) = &mut self.history else {
            while let Some((key, value)) = self.rows.next()? {
                if stored::decode(self.id, key, value)?.ts <= self.at {
                    return Ok(Some((key, value)));
                }
            }
            return Ok(None);
        };
        merge.next(&mut self.rows, self.id, self.at, self.direction)
    }
}

impl<'t> Merge<'t> {
    fn next(
        &mut self,
        rows: &mut Walk<'t>,
        id: StorageId,
        at: Timestamp,
        direction: Direction,
    ) -> Result<Option<(&'t [u8], &'t [u8])>> {
        if !self.is_started {
            self.is_started = true;
            self.row = rows.next()?;
            self.group = self.history.next_group(at)?;
        }
        loop {
            let order = match (&self.row, &self.group) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((key, _)), Some(group)) => match direction {
                    Direction::Forward => key.cmp(&group.entry_key),
                    Direction::Backward => group.entry_key.cmp(key),
                },
            };
            let row = if order.is_le() { std::mem::replace(&mut self.row, rows.next()?) } else { None };
            let group =
                if order.is_ge() { std::mem::replace(&mut self.group, self.history.next_group(at)?) } else { None };
            if let Some((key, value)) = row
                && stored::decode(id, key, value)?.ts <= at
            {
                return Ok(Some((key, value)));
            }
            if let Some(Group { entry_key, visible: Some(value) }) = group {
                return Ok(Some((entry_key, value)));
            }
        }
    }
}

/// A key's versions in history.
struct Group<'t> {
    entry_key: &'t [u8],
    /// The newest version up to the timestamp, unless it is a deletion.
    visible: Option<&'t [u8]>,
}

struct HistoryWalk<'t> {
    id: StorageId,
    walk: Walk<'t>,
    head: Option<(HistoryKey<'t>, &'t [u8])>,
    is_started: bool,
    direction: Direction,
    from: Vec<u8>,
    to: Bound<Vec<u8>>,
}

impl<'t> HistoryWalk<'t> {
    fn new(
        txn: &'t ReadTxn,
        id: StorageId,
        slot: super::engine::Slot,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
    ) -> Result<HistoryWalk<'t>> {
        let own = |bound: Bound<&[u8]>| bound.map(<[u8]>::to_vec);
        let from = match own(from) {
            Bound::Included(from) | Bound::Excluded(from) => from,
            Bound::Unbounded => Vec::new(),
        };
        let to = own(to);
        // A history key is longer than its row's key, so the versions of a row just below the end may lie above it:
        // a row whose key begins the end. Forward, the walk is open and stops by itself; backward, it starts there.
        let mut start = Bound::Unbounded;
        if direction == Direction::Backward
            && let Bound::Included(end) | Bound::Excluded(end) = &to
        {
            start = to.clone();
            let mut above = txn.walk(slot, Bound::Included(end), Bound::Unbounded, Direction::Forward)?;
            if let Some((key, _)) = above.next()? {
                let entry_key = stored::parse_history_key(id, key)?.entry_key;
                if end.starts_with(entry_key) {
                    start = Bound::Included([entry_key, &[0xff; stored::HISTORY_SUFFIX + 1]].concat());
                }
            }
        }
        let lower = Bound::Included(&from[..]);
        let walk = txn.walk(slot, lower, start.as_ref().map(|key| &key[..]), direction)?;
        Ok(HistoryWalk { id, walk, head: None, is_started: false, direction, from, to })
    }

    fn advance(&mut self) -> Result<()> {
        self.head = match self.walk.next()? {
            None => None,
            Some((key, value)) => Some((stored::parse_history_key(self.id, key)?, value)),
        };
        Ok(())
    }

    fn is_above(&self, entry_key: &[u8]) -> bool {
        match &self.to {
            Bound::Included(to) => entry_key > &to[..],
            Bound::Excluded(to) => entry_key >= &to[..],
            Bound::Unbounded => false,
        }
    }

    fn next_group(&mut self, at: Timestamp) -> Result<Option<Group<'t>>> {
        if !self.is_started {
            self.is_started = true;
            self.advance()?;
        }
        loop {
            let Some((HistoryKey { entry_key, .. }, _)) = self.head else { return Ok(None) };
            let mut best: Option<(HistoryKey<'t>, &'t [u8])> = None;
            while let Some((version, value)) = self.head.filter(|(version, _)| version.entry_key == entry_key) {
                if version.ts <= at && best.is_none_or(|(best, _)| best.ts < version.ts) {
                    best = Some((version, value));
                }
                self.advance()?;
            }
            let is_above = self.is_above(entry_key);
            if is_above && self.direction == Direction::Forward {
                return Ok(None);
            }
            if is_above || entry_key < &self.from[..] {
                continue;
            }
            let visible = best.filter(|(version, _)| !version.is_deletion).map(|(_, value)| value);
            return Ok(Some(Group { entry_key, visible }));
        }
    }
}

/// The range in entry keys; wider where a bound is longer than a short key.
pub fn entry_bounds<'a>(range: &'a KeyRange, upper: &'a mut Vec<u8>) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    let start = &range.start[..range.start.len().min(SHORT_KEY_MAX)];
    let from = if start.is_empty() { Bound::Unbounded } else { Bound::Included(start) };
    let to = match &range.end {
        None => Bound::Unbounded,
        Some(end) if end.len() <= SHORT_KEY_MAX => Bound::Excluded(&end[..]),
        Some(end) => {
            upper.extend_from_slice(&end[..SHORT_KEY_MAX]);
            upper.extend_from_slice(&[0xff; LONG_ENTRY_KEY - SHORT_KEY_MAX + 1]);
            Bound::Included(&upper[..])
        }
    };
    (from, to)
}

/// The newest change in the range above `since`: put or deletion, while known.
pub fn changed_since(
    txn: &ReadTxn,
    id: StorageId,
    relation: &Relation,
    range: &KeyRange,
    since: Timestamp,
) -> Result<Option<Timestamp>> {
    if relation.newest <= since {
        return Ok(None);
    }
    let mut newest = since;
    let mut rows = BaseWalk::new(txn, id, relation, range, Timestamp::MAX, Direction::Forward)?;
    while let Some(row) = rows.next()? {
        newest = newest.max(row.ts);
    }
    if let Some(slot) = relation.history_slot().filter(|_| relation.deletions > 0) {
        let mut upper = Vec::new();
        let (from, to) = entry_bounds(range, &mut upper);
        let mut history = HistoryWalk::new(txn, id, slot, from, to, Direction::Forward)?;
        history.advance()?;
        while let Some((version, value)) = history.head {
            if history.is_above(version.entry_key) {
                break;
            }
            let key = stored::decode(id, version.entry_key, value)?.key;
            if version.is_deletion && range.contains(key) {
                newest = newest.max(version.ts);
            }
            history.advance()?;
        }
    }
    Ok((newest > since).then_some(newest))
}
