//! What a transaction has read at one shard: keys and ranges, present or absent, per relation.
//!
//! Owned by the gateway's transaction; validated by the sequencer. Ranges are merged, and coarsened beyond a limit,
//! never dropped (I1): a coarser range can only make a conflict more likely.
//!
//! A row that SKIP LOCKED has passed over was not read, whatever becomes of it: what its scan has left has a hole there (I2), unless
//! anything else of the transaction has read the row, before or after.

use crate::facet::{Depends, Facet};
use crate::recent::Key;
use std::sync::Arc;
use storage::{KeyRange, StorageId};

/// Where a range ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RangeEnd {
    /// Just this key.
    Point,
    Before(Key),
    Unbounded,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadRange {
    pub start: Key,
    pub end: RangeEnd,
}

impl ReadRange {
    fn reaches(&self, key: &[u8]) -> bool {
        match &self.end {
            RangeEnd::Point => key == &self.start[..],
            RangeEnd::Before(end) => key < &end[..],
            RangeEnd::Unbounded => true,
        }
    }

    /// No gap between this range's end and `start`.
    fn touches(&self, start: &[u8]) -> bool {
        self.reaches(start) || matches!(&self.end, RangeEnd::Before(end) if start == &end[..])
    }

    /// Takes in everything up to the end of `other`, which does not start before this range.
    fn extend(&mut self, other: &ReadRange) {
        let end_of = |range: &ReadRange| match &range.end {
            RangeEnd::Point => {
                let mut end = range.start.clone();
                end.push(0);
                Some(end)
            }
            RangeEnd::Before(end) => Some(end.clone()),
            RangeEnd::Unbounded => None,
        };
        if self.end == RangeEnd::Point && other.end == RangeEnd::Point && self.start == other.start {
            return;
        }
        self.end = match (end_of(self), end_of(other)) {
            (Some(mine), Some(others)) => RangeEnd::Before(mine.max(others)),
            _ => RangeEnd::Unbounded,
        };
    }

    pub fn to_range(&self) -> KeyRange {
        match &self.end {
            RangeEnd::Point => KeyRange::point(&self.start),
            RangeEnd::Before(end) => KeyRange { start: self.start.to_vec().into(), end: Some(end.to_vec().into()) },
            RangeEnd::Unbounded => KeyRange { start: self.start.to_vec().into(), end: None },
        }
    }

    pub fn overlaps(&self, range: &KeyRange) -> bool {
        let ends_before = match &self.end {
            RangeEnd::Point => self.start[..] < range.start[..],
            RangeEnd::Before(end) => end[..] <= range.start[..],
            RangeEnd::Unbounded => false,
        };
        let starts_behind = range.end.as_ref().is_some_and(|end| self.start[..] >= end[..]);
        !ends_before && !starts_behind
    }
}

/// Rows skipped in a relation by one transaction; more count as read.
const SKIPPED_MAX: usize = 256;

/// Which scan of a transaction reads: look-ups are `LOOKUP` all together.
pub type Reader = u64;
pub const LOOKUP: Reader = 0;

/// Who has read a relation so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Readers {
    #[default]
    Nobody,
    /// One scan.
    Only(Reader),
    Several,
}

#[derive(Clone, Default, Debug)]
struct RelationReads {
    ranges: Vec<ReadRange>,
    /// The first so many are sorted and do not touch each other.
    sorted: usize,
    depends: Depends,
    readers: Readers,
    /// Rows that the only scan has skipped and nothing has read since.
    skipped: Vec<Key>,
}

impl RelationReads {
    fn note_reader(&mut self, reader: Reader, range: &ReadRange) {
        match self.readers {
            Readers::Only(only) if only == reader => {}
            Readers::Nobody if reader != LOOKUP => self.readers = Readers::Only(reader),
            _ => {
                self.readers = Readers::Several;
                self.skipped.retain(|key| range.start > *key || !range.reaches(key));
            }
        }
    }

    fn skip(&mut self, key: &[u8]) {
        if matches!(self.readers, Readers::Only(_)) && self.skipped.len() < SKIPPED_MAX {
            self.skipped.push(Key::from_slice(key));
            self.sorted = 0;
        }
    }

    /// Cuts the rows that were skipped out of the ranges, which are sorted.
    fn cut_skipped(&mut self) {
        for key in &self.skipped {
            let behind = self.ranges.partition_point(|range| range.start[..] <= key[..]);
            let Some(place) = behind.checked_sub(1).filter(|place| self.ranges[*place].reaches(key)) else { continue };
            let range = self.ranges.remove(place);
            let mut next = key.clone();
            next.push(0);
            let is_point = range.end == RangeEnd::Point;
            if !is_point && range.end != RangeEnd::Before(next.clone()) {
                self.ranges.insert(place, ReadRange { start: next, end: range.end });
            }
            if !is_point && range.start != *key {
                self.ranges.insert(place, ReadRange { start: range.start, end: RangeEnd::Before(key.clone()) });
            }
        }
    }

    fn normalize(&mut self) {
        if self.sorted == self.ranges.len() {
            return;
        }
        self.ranges.sort_by(|a, b| a.start.cmp(&b.start));
        let mut merged: Vec<ReadRange> = Vec::with_capacity(self.ranges.len());
        for range in self.ranges.drain(..) {
            match merged.last_mut() {
                Some(last) if last.touches(&range.start) => last.extend(&range),
                _ => merged.push(range),
            }
        }
        self.ranges = merged;
        self.cut_skipped();
        self.sorted = self.ranges.len();
    }

    /// Halves the number of ranges by closing every second gap.
    fn coarsen(&mut self) {
        let mut coarse: Vec<ReadRange> = Vec::with_capacity(self.ranges.len() / 2 + 1);
        for (position, range) in self.ranges.drain(..).enumerate() {
            match coarse.last_mut() {
                Some(last) if position % 2 == 1 => last.extend(&range),
                _ => coarse.push(range),
            }
        }
        self.sorted = coarse.len();
        self.ranges = coarse;
    }
}

/// The plain reads of one transaction at one shard.
#[derive(Clone, Default, Debug)]
pub struct ReadSet {
    relations: Vec<(StorageId, RelationReads)>,
    count: usize,
}

impl ReadSet {
    fn relation(&mut self, relation: StorageId) -> &mut RelationReads {
        let position = match self.relations.iter().position(|(id, _)| *id == relation) {
            Some(position) => position,
            None => {
                self.relations.push((relation, RelationReads::default()));
                self.relations.len() - 1
            }
        };
        &mut self.relations[position].1
    }

    /// A look-up, of whole rows or of a part of them; beyond `max` neighbours are joined.
    pub fn add(&mut self, relation: StorageId, range: ReadRange, facet: Option<&Arc<dyn Facet>>, max: usize) {
        self.add_scanned(relation, range, facet, max, LOOKUP);
    }

    /// SKIP LOCKED has passed over a row, which was read before by its scan.
    pub fn skip(&mut self, relation: StorageId, key: &[u8]) {
        self.relation(relation).skip(key);
    }

    /// The same of a scan.
    pub fn add_scanned(
        &mut self,
        relation: StorageId,
        range: ReadRange,
        facet: Option<&Arc<dyn Facet>>,
        max: usize,
        reader: Reader,
    ) {
        let reads = self.relation(relation);
        reads.note_reader(reader, &range);
        reads.depends.note(facet);
        // A loop over one range, or the next chunk of the same scan: the last one grows.
        if let Some(last) = reads.ranges.last_mut()
            && last.start <= range.start
            && last.touches(&range.start)
        {
            last.extend(&range);
            return;
        }
        reads.ranges.push(range);
        self.count += 1;
        if self.count > max {
            self.normalize();
            while self.count > max / 2 + 1 {
                let before = self.count;
                self.relations.iter_mut().for_each(|(_, reads)| reads.coarsen());
                self.count = self.relations.iter().map(|(_, reads)| reads.ranges.len()).sum();
                if self.count == before {
                    break; // one range per relation is left
                }
            }
        }
    }

    pub fn normalize(&mut self) {
        self.relations.iter_mut().for_each(|(_, reads)| reads.normalize());
        self.count = self.relations.iter().map(|(_, reads)| reads.ranges.len()).sum();
    }

    pub fn len(&self) -> usize {
        self.count
    }
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = (StorageId, &ReadRange)> {
        self.relations.iter().flat_map(|(id, reads)| reads.ranges.iter().map(move |range| (*id, range)))
    }

    /// The same, and what of the rows in each range was read.
    pub fn iter_with_facets(&self) -> impl Iterator<Item = (StorageId, &ReadRange, &Depends)> {
        self.relations.iter().flat_map(move |(id, reads)| {
            let id = *id;
            reads.ranges.iter().map(move |range| (id, range, &reads.depends))
        })
    }

    /// What of a relation's rows was read, if any were.
    pub fn depends_on(&self, relation: StorageId) -> Option<&Depends> {
        self.relations.iter().find(|(id, _)| *id == relation).map(|(_, reads)| &reads.depends)
    }

    /// Whether a row of the relation may change without a change of what was read.
    pub fn has_facets(&self, relation: StorageId) -> bool {
        self.depends_on(relation).is_some_and(|depends| !depends.is_whole())
    }

    fn ranges_of(&self, relation: StorageId) -> &[ReadRange] {
        let reads = self.relations.iter().find(|(id, _)| *id == relation).map(|(_, reads)| reads);
        debug_assert!(reads.is_none_or(|reads| reads.sorted == reads.ranges.len()), "normalized before it is asked");
        reads.map_or(&[], |reads| &reads.ranges[..])
    }

    pub fn has_relation(&self, relation: StorageId) -> bool {
        self.relations.iter().any(|(id, _)| *id == relation)
    }

    /// After `normalize`.
    pub fn contains(&self, relation: StorageId, key: &[u8]) -> bool {
        let ranges = self.ranges_of(relation);
        let behind = ranges.partition_point(|range| &range.start[..] <= key);
        behind > 0 && ranges[behind - 1].reaches(key)
    }

    /// After `normalize`.
    pub fn overlaps(&self, relation: StorageId, range: &KeyRange) -> bool {
        self.ranges_of(relation).iter().any(|read| read.overlaps(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(key: &str) -> ReadRange {
        ReadRange { start: Key::from_slice(key.as_bytes()), end: RangeEnd::Point }
    }
    fn range(start: &str, end: &str) -> ReadRange {
        let end = if end == "*" { RangeEnd::Unbounded } else { RangeEnd::Before(Key::from_slice(end.as_bytes())) };
        ReadRange { start: Key::from_slice(start.as_bytes()), end }
    }

    fn check(ranges: &[ReadRange], inside: &[&str], outside: &[&str]) {
        for max in [100, 2] {
            let mut set = ReadSet::default();
            for read in ranges {
                set.add(StorageId(1), read.clone(), None, max);
            }
            set.normalize();
            for key in inside {
                assert!(set.contains(StorageId(1), key.as_bytes()), "{key} in {set:?}");
                assert!(set.overlaps(StorageId(1), &KeyRange::point(key.as_bytes())), "{key} in {set:?}");
            }
            if max == 100 {
                for key in outside {
                    assert!(!set.contains(StorageId(1), key.as_bytes()), "{key} not in {set:?}");
                    assert!(!set.overlaps(StorageId(1), &KeyRange::point(key.as_bytes())), "{key} not in {set:?}");
                }
            }
            assert!(!set.contains(StorageId(2), b"b"));
        }
    }

    #[test]
    fn spans_merge_and_are_never_dropped() {
        check(&[point("b"), point("d"), point("b")], &["b", "d"], &["a", "c", "ba"]);
        check(&[range("b", "d"), range("c", "f"), point("f")], &["b", "c", "e", "f"], &["a", "fa", "g"]);
        check(&[range("m", "*"), point("a"), range("c", "e")], &["a", "c", "d", "m", "z"], &["b", "e", "l"]);
        check(&[range("b", "c"), range("c", "d")], &["b", "c"], &["d"]);
        check(&[point("x"), range("a", "z"), point("y"), point("zz")], &["a", "x", "y", "zz"], &["z"]);
    }

    /// What is read of `a` to `z` when a scan has skipped `m`, and `then` has read more.
    fn check_skipped(then: &[(Reader, ReadRange)], skips: bool) {
        let mut set = ReadSet::default();
        set.add_scanned(StorageId(1), range("a", "z"), None, 100, 1);
        set.skip(StorageId(1), b"m");
        set.normalize();
        for (reader, range) in then {
            set.add_scanned(StorageId(1), range.clone(), None, 100, *reader);
        }
        set.normalize();
        set.normalize();
        assert_eq!(!set.contains(StorageId(1), b"m"), skips, "{set:?}");
        for key in ["a", "l", "m\0", "ma", "n"] {
            assert!(set.contains(StorageId(1), key.as_bytes()), "{key} in {set:?}");
        }
        assert!(!set.overlaps(StorageId(1), &KeyRange::point(b"m")) || !skips);
    }

    #[test]
    fn what_was_skipped_was_not_read() {
        check_skipped(&[], true);
        check_skipped(&[(1, range("z", "*"))], true);
        check_skipped(&[(LOOKUP, point("n")), (2, range("n", "p"))], true);
        check_skipped(&[(LOOKUP, point("m"))], false);
        check_skipped(&[(2, range("k", "n"))], false);
    }

    #[test]
    fn what_was_read_before_is_not_skipped() {
        for first in [(LOOKUP, point("m")), (2, range("l", "n"))] {
            let mut set = ReadSet::default();
            set.add_scanned(StorageId(1), first.1, None, 100, first.0);
            set.add_scanned(StorageId(1), range("a", "z"), None, 100, 3);
            set.skip(StorageId(1), b"m");
            set.normalize();
            assert!(set.contains(StorageId(1), b"m"), "{set:?}");
        }
        let mut set = ReadSet::default();
        set.add_scanned(StorageId(1), point("m"), None, 100, 1);
        set.skip(StorageId(1), b"m");
        set.normalize();
        assert!(set.is_empty());
        set.add_scanned(StorageId(1), point("m"), None, 100, 2);
        set.normalize();
        assert!(set.contains(StorageId(1), b"m"), "{set:?}");
    }

    #[test]
    fn number_of_ranges_is_bounded() {
        let mut set = ReadSet::default();
        for n in 0..1000u32 {
            set.add(StorageId(1), point(&format!("{:04}", n * 7919 % 10_000)), None, 100);
            assert!(set.len() <= 101);
        }
        set.normalize();
        for n in 0..1000u32 {
            assert!(set.contains(StorageId(1), format!("{:04}", n * 7919 % 10_000).as_bytes()));
        }
    }
}
