//! The writes of one transaction at one shard, until they are committed.
//!
//! Owns: every version written, in the order of writing, in an arena (no allocation per row); a hash index to the newest
//! version of each row; the keys of each relation in sorted runs, made when a scan asks for them.
//!
//! I1  Entries are in order of writing, so their command numbers do not fall: a savepoint is a length to cut back to.
//! I2  A row's versions are a chain from the newest back; a reader of command `c` takes the first below `c`.
//! I3  Each row's key is in exactly one run or in the tail of its relation, by its first entry.
//!
//! Costs: a put is one hash look-up and a copy (about 0.1 µs); a scan sorts what was put since the last one and merges
//! runs as they grow, so that all sorting of n rows is n log n whatever the order of puts and scans.

use crate::{StorageId, TxnError};
use hashbrown::HashTable;
use shard::locks::hash_of;
use storage::KeyRange;

const NONE: u32 = u32::MAX;
const FIRST_CHUNK: usize = 1 << 10;
const CHUNK: usize = 1 << 20;
/// Entries are counted in 32 bits.
const ENTRIES_MAX: usize = (u32::MAX - 1) as usize;

struct Entry {
    hash: u64,
    chunk: u32,
    offset: u32,
    key_size: u32,
    /// NONE: a deletion.
    value_size: u32,
    command: u32,
    /// The row's version before, or NONE.
    previous: u32,
    relation: u32,
}

#[derive(Default)]
struct Relation {
    id: u32,
    /// First entries of rows, sorted by key within each run; sizes fall at least by half.
    runs: Vec<Vec<u32>>,
    /// First entries not yet sorted.
    tail: Vec<u32>,
}

#[derive(Default)]
pub struct Buffer {
    chunks: Vec<Vec<u8>>,
    entries: Vec<Entry>,
    /// Newest entry of each row.
    index: HashTable<u32>,
    relations: Vec<Relation>,
    bytes: usize,
    /// Some row was written by more than one command.
    has_versions: bool,
}

/// A copy of the next own rows of a range, so that the buffer is not locked while they are visited.
#[derive(Default)]
pub struct OwnRows {
    bytes: Vec<u8>,
    rows: Vec<OwnRow>,
    /// There are more behind the last one.
    pub has_more: bool,
}

struct OwnRow {
    key: std::ops::Range<usize>,
    value: Option<std::ops::Range<usize>>,
}

impl OwnRows {
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// No row, here or behind.
    pub fn is_nothing(&self) -> bool {
        self.rows.is_empty() && !self.has_more
    }
    pub fn key(&self, position: usize) -> Option<&[u8]> {
        self.rows.get(position).map(|row| &self.bytes[row.key.clone()])
    }
    pub fn value(&self, position: usize) -> Option<&[u8]> {
        self.rows.get(position).and_then(|row| row.value.clone()).map(|value| &self.bytes[value])
    }
}

impl Buffer {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    pub fn bytes(&self) -> usize {
        self.bytes
    }
    /// For `cut_back`.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    pub fn row_count(&self) -> usize {
        self.index.len()
    }

    fn key(&self, entry: &Entry) -> &[u8] {
        let from = entry.offset as usize;
        &self.chunks[entry.chunk as usize][from..from + entry.key_size as usize]
    }

    fn value(&self, entry: &Entry) -> Option<&[u8]> {
        let from = entry.offset as usize + entry.key_size as usize;
        (entry.value_size != NONE).then(|| &self.chunks[entry.chunk as usize][from..from + entry.value_size as usize])
    }

    fn find(&self, hash: u64, relation: StorageId, key: &[u8]) -> Option<u32> {
        let same = |position: &u32| {
            let entry = &self.entries[*position as usize];
            entry.hash == hash && entry.relation == relation.0 && self.key(entry) == key
        };
        self.index.find(hash, same).copied()
    }

    /// One more version of a row.
    pub fn put(&mut self, relation: StorageId, key: &[u8], value: Option<&[u8]>, command: u32) -> crate::Result<()> {
        if self.entries.len() >= ENTRIES_MAX {
            return Err(TxnError::Limit { what: "writes of one transaction", limit: ENTRIES_MAX as u64 });
        }
        let hash = hash_of(relation, key);
        let (chunk, offset) = self.store(key, value.unwrap_or_default());
        let size = |length: usize| u32::try_from(length).unwrap_or(NONE - 1);
        let position = self.entries.len() as u32;
        let mut entry = Entry {
            hash,
            chunk,
            offset,
            key_size: size(key.len()),
            value_size: value.map_or(NONE, |value| size(value.len())),
            command,
            previous: NONE,
            relation: relation.0,
        };
        self.bytes += key.len() + value.map_or(0, <[u8]>::len) + size_of::<Entry>();
        if let Some(before) = self.find(hash, relation, key) {
            if self.entries[before as usize].command == command {
                // No reader and no savepoint comes between two writes of one command.
                entry.previous = self.entries[before as usize].previous;
                self.entries[before as usize] = entry;
                return Ok(());
            }
            entry.previous = before;
            self.has_versions = true;
            self.entries.push(entry);
            let entries = &self.entries;
            if let Ok(mut found) = self.index.find_entry(hash, |other| *other == before) {
                *found.get_mut() = position;
            }
            debug_assert!(entries.len() > before as usize);
            return Ok(());
        }
        self.entries.push(entry);
        let entries = &self.entries;
        self.index.insert_unique(hash, position, |other| entries[*other as usize].hash);
        self.relation_mut(relation).tail.push(position);
        Ok(())
    }

    fn store(&mut self, key: &[u8], value: &[u8]) -> (u32, u32) {
        let size = key.len() + value.len();
        if self.chunks.last().is_none_or(|chunk| chunk.capacity() - chunk.len() < size) {
            let grown = self.chunks.last().map_or(FIRST_CHUNK, |chunk| chunk.capacity() * 4).clamp(FIRST_CHUNK, CHUNK);
            self.chunks.push(Vec::with_capacity(grown.max(size)));
        }
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let offset = chunk.len();
        chunk.extend_from_slice(key);
        chunk.extend_from_slice(value);
        (number as u32, offset as u32)
    }

    fn relation_mut(&mut self, relation: StorageId) -> &mut Relation {
        let position = self.relations.iter().position(|other| other.id == relation.0).unwrap_or_else(|| {
            self.relations.push(Relation { id: relation.0, ..Relation::default() });
            self.relations.len() - 1
        });
        &mut self.relations[position]
    }

    fn version_below(&self, newest: u32, command: u32) -> Option<&Entry> {
        let mut position = newest;
        while position != NONE {
            let entry = &self.entries[position as usize];
            if entry.command < command {
                return Some(entry);
            }
            position = entry.previous;
        }
        None
    }

    /// What commands below `command` wrote to the row: None, nothing; Some(None), they deleted it.
    pub fn get(&self, relation: StorageId, key: &[u8], command: u32) -> Option<Option<&[u8]>> {
        if self.entries.is_empty() {
            return None;
        }
        let newest = self.find(hash_of(relation, key), relation, key)?;
        self.version_below(newest, command).map(|entry| self.value(entry))
    }

    pub fn has_relation(&self, relation: StorageId) -> bool {
        self.relations.iter().any(|other| other.id == relation.0)
    }

    /// Up to `max` own rows of the range, as commands below `command` left them, in key order from its start (backward:
    /// from its end).
    pub fn rows(&mut self, relation: StorageId, range: &KeyRange, command: u32, max: usize, backward: bool) -> OwnRows {
        let mut own = OwnRows::default();
        let Some(place) = self.relations.iter().position(|other| other.id == relation.0) else { return own };
        self.sort(place);
        let runs = &self.relations[place].runs;
        let bounds = |run: &Vec<u32>| {
            let from = run.partition_point(|first| self.key(&self.entries[*first as usize]) < &range.start[..]);
            let to = range.end.as_ref().map_or(run.len(), |end| {
                run.partition_point(|first| self.key(&self.entries[*first as usize]) < &end[..])
            });
            (from, to.max(from))
        };
        let mut heads: Vec<(usize, usize)> = runs.iter().map(bounds).collect();
        loop {
            let mut best: Option<(usize, &[u8])> = None;
            for (number, (from, to)) in heads.iter().enumerate().filter(|(_, (from, to))| from < to) {
                let first = runs[number][if backward { to - 1 } else { *from }];
                let key = self.key(&self.entries[first as usize]);
                if best.is_none_or(|(_, other)| if backward { key > other } else { key < other }) {
                    best = Some((number, key));
                }
            }
            let Some((number, key)) = best else { return own };
            if own.rows.len() >= max {
                own.has_more = true;
                return own;
            }
            match backward {
                true => heads[number].1 -= 1,
                false => heads[number].0 += 1,
            }
            let newest = self.find(hash_of(relation, key), relation, key);
            if let Some(entry) = newest.and_then(|newest| self.version_below(newest, command)) {
                let from = own.bytes.len();
                own.bytes.extend_from_slice(key);
                let middle = own.bytes.len();
                let value = self.value(entry).map(|value| {
                    own.bytes.extend_from_slice(value);
                    middle..own.bytes.len()
                });
                own.rows.push(OwnRow { key: from..middle, value });
            }
        }
    }

    /// Sorts the tail into a run, and joins runs so that there are few.
    fn sort(&mut self, place: usize) {
        let relation = &mut self.relations[place];
        if relation.tail.is_empty() {
            return;
        }
        let mut run = std::mem::take(&mut relation.tail);
        let mut runs = std::mem::take(&mut relation.runs);
        let key = |first: &u32| self.key(&self.entries[*first as usize]);
        // Stable sorting takes runs that are there already: keys often come in order.
        run.sort_by(|a, b| key(a).cmp(key(b)));
        while runs.last().is_some_and(|last| last.len() <= run.len() * 2) {
            let mut joined = runs.pop().unwrap_or_default();
            joined.append(&mut run);
            joined.sort_by(|a, b| key(a).cmp(key(b)));
            run = joined;
        }
        runs.push(run);
        self.relations[place].runs = runs;
    }

    /// A savepoint is rolled back: what was written since has never been.
    pub fn cut_back(&mut self, length: usize) {
        while self.entries.len() > length {
            let position = (self.entries.len() - 1) as u32;
            let Some(entry) = self.entries.pop() else { return };
            let value_size = if entry.value_size == NONE { 0 } else { entry.value_size as usize };
            self.bytes = self.bytes.saturating_sub(entry.key_size as usize + value_size + size_of::<Entry>());
            if let Ok(mut found) = self.index.find_entry(entry.hash, |other| *other == position) {
                match entry.previous {
                    NONE => _ = found.remove(),
                    previous => *found.get_mut() = previous,
                }
            }
        }
        let length = length as u32;
        for relation in &mut self.relations {
            relation.tail.retain(|first| *first < length);
            relation.runs.iter_mut().for_each(|run| run.retain(|first| *first < length));
            relation.runs.retain(|run| !run.is_empty());
        }
        self.relations.retain(|relation| !relation.tail.is_empty() || !relation.runs.is_empty());
    }

    /// Each row's newest version, by relation; within one, in the order of the runs and then of writing.
    pub fn newest(&self) -> impl Iterator<Item = (StorageId, &[u8], Option<&[u8]>)> {
        self.relations.iter().flat_map(move |relation| {
            let firsts = relation.runs.iter().flatten().chain(&relation.tail);
            firsts.filter_map(move |first| {
                let entry = &self.entries[*first as usize];
                let (id, key) = (StorageId(relation.id), self.key(entry));
                let newest = if self.has_versions { self.find(entry.hash, id, key)? } else { *first };
                Some((id, key, self.value(&self.entries[newest as usize])))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const T: StorageId = StorageId(20);

    fn range(start: &str, end: Option<&str>) -> KeyRange {
        KeyRange { start: start.as_bytes().to_vec().into(), end: end.map(|end| end.as_bytes().to_vec().into()) }
    }

    fn seen(buffer: &mut Buffer, command: u32, backward: bool) -> Vec<(String, Option<String>)> {
        let own = buffer.rows(T, &range("", None), command, usize::MAX, backward);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (0..own.len()).map(|n| (text(own.key(n).unwrap_or_default()), own.value(n).map(text))).collect()
    }

    #[test]
    fn a_command_sees_earlier_ones_only() {
        let mut buffer = Buffer::default();
        buffer.put(T, b"a", Some(b"1"), 1).expect("room");
        buffer.put(T, b"a", Some(b"2"), 2).expect("room");
        buffer.put(T, b"a", None, 3).expect("room");
        assert_eq!(buffer.get(T, b"a", 1), None);
        assert_eq!(buffer.get(T, b"a", 2), Some(Some(&b"1"[..])));
        assert_eq!(buffer.get(T, b"a", 3), Some(Some(&b"2"[..])));
        assert_eq!(buffer.get(T, b"a", 4), Some(None));
        assert_eq!(buffer.get(StorageId(21), b"a", 4), None);
    }

    #[test]
    fn matches_a_map_of_versions() {
        // Puts, scans and cuts in a scrambled order, against the obvious model.
        let mut buffer = Buffer::default();
        let mut log: Vec<(String, Option<String>, u32)> = Vec::new();
        let mut marks: Vec<(usize, usize, u32)> = Vec::new();
        let (mut seed, mut command) = (12345u64, 1u32);
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        for step in 0..4000 {
            match next(20) {
                0 => {
                    command += 1;
                    marks.push((buffer.len(), log.len(), command));
                }
                1 if !marks.is_empty() => {
                    let (length, logged, _) = marks.swap_remove(0);
                    marks.clear();
                    buffer.cut_back(length);
                    log.truncate(logged);
                    command += 1;
                }
                2 => command += 1,
                3 => {
                    let below = command.saturating_sub(next(3) as u32);
                    let mut model: BTreeMap<String, Option<String>> = BTreeMap::new();
                    for (key, value, _) in log.iter().filter(|(_, _, written)| *written < below) {
                        model.insert(key.clone(), value.clone());
                    }
                    let forward: Vec<_> = model.into_iter().collect();
                    assert_eq!(seen(&mut buffer, below, false), forward, "step {step}");
                    let backward: Vec<_> = forward.into_iter().rev().collect();
                    assert_eq!(seen(&mut buffer, below, true), backward, "step {step}");
                }
                n => {
                    let key = format!("{:03}", next(200));
                    let value = (n % 5 != 0).then(|| format!("v{step}"));
                    buffer.put(T, key.as_bytes(), value.as_deref().map(str::as_bytes), command).expect("room");
                    log.push((key, value, command));
                }
            }
        }
    }

    #[test]
    fn own_rows_come_in_chunks() {
        let mut buffer = Buffer::default();
        for n in 0..10 {
            buffer.put(T, format!("{n}").as_bytes(), Some(b"x"), 1).expect("room");
        }
        let own = buffer.rows(T, &range("2", Some("8")), 2, 4, false);
        assert_eq!((own.len(), own.key(0), own.key(3), own.has_more), (4, Some(&b"2"[..]), Some(&b"5"[..]), true));
        let own = buffer.rows(T, &range("2", Some("8")), 2, 6, true);
        assert_eq!((own.len(), own.key(0), own.key(5), own.has_more), (6, Some(&b"7"[..]), Some(&b"2"[..]), false));
    }
}
