//! Level 1. Reading the log at start: what counts, where it ends, and whether its end is a torn tail or damage.
//!
//! A power cut may keep any sectors of the write under way, so the first place that is no record, the *hole*, may
//! have sound records behind it. Each record says up to where the log was synced when it was written; the highest
//! such mark, of records behind the hole too, decides: a hole at or above it is a torn tail and the log is cut there;
//! a hole below it is damage of what was acknowledged, and the node does not start.

use super::file::{Folder, LogFile, of_io};
use super::record::{self, Header};
use super::{STATES_MAX, record::HEADER};
use crate::{Result, StorageError};
use bytes::Bytes;
use host::bugs::{self, Bug};
use std::collections::BTreeMap;

/// An entry that was in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub index: u64,
    pub term: u64,
    pub flavor: u8,
    pub payload: Bytes,
}

/// One group's part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupLog {
    /// Index and term of the last entry that was purged before a file was dropped.
    pub purged: Option<(u64, u64)>,
    /// Entries above it, without a gap.
    pub entries: Vec<LogEntry>,
    /// Small states by number.
    pub states: [Option<Bytes>; STATES_MAX as usize],
}

/// What the writer goes on with.
pub struct Found {
    pub groups: BTreeMap<u64, GroupLog>,
    /// Files in order, each with the greatest index it holds per group.
    pub files: Vec<(u64, BTreeMap<u64, u64>)>,
    /// Where the next record goes, in the last file.
    pub offset: u64,
    /// Whether the last file has something like a record of its own from there on. (What is left of its earlier life
    /// has another number and never counts.)
    pub has_remains: bool,
    /// Sound records up to there.
    pub records: u64,
    /// Where a write was cut off by a crash: file and offset.
    pub torn: Option<(u64, u64)>,
    /// Files behind a torn tail: they hold nothing that counts.
    pub void_files: Vec<u64>,
}

impl Found {
    /// What each group has, entries and all, which are not kept here.
    pub fn take_entries(&mut self) -> BTreeMap<u64, GroupLog> {
        let rest = |log: &GroupLog| GroupLog { entries: Vec::new(), states: log.states.clone(), purged: log.purged };
        let rest = self.groups.iter().map(|(id, log)| (*id, rest(log))).collect();
        std::mem::replace(&mut self.groups, rest)
    }
}

/// Reads all files, and changes none. None is a log that has not begun.
pub fn recover(folder: &Folder) -> Result<Option<Found>> {
    let numbers = folder.numbers()?;
    let Some(first) = numbers.first().copied() else { return Ok(None) };
    for (place, number) in numbers.iter().enumerate() {
        if *number != first + place as u64 {
            let missing = folder.name_of(first + place as u64);
            return Err(StorageError::Corrupt(format!("{missing} is missing from the log")));
        }
    }
    let mut reader = Reader { folder, found: empty(), hole: None, mark: 0, part: None };
    for number in &numbers {
        reader.read_file(*number)?;
    }
    reader.finish(&numbers).map(Some)
}

fn empty() -> Found {
    Found {
        groups: BTreeMap::new(),
        files: Vec::new(),
        offset: 0,
        has_remains: false,
        records: 0,
        torn: None,
        void_files: Vec::new(),
    }
}

struct Reader<'f> {
    folder: &'f Folder,
    found: Found,
    /// The first place that is no record: file and offset.
    hole: Option<(u64, u64)>,
    /// The highest position known to have been synced.
    mark: u64,
    /// An entry whose first pieces were read.
    part: Option<(Header, Vec<u8>)>,
}

impl Reader<'_> {
    fn read_file(&mut self, number: u64) -> Result<()> {
        let file = self.folder.open_file(number)?;
        let bytes = read_whole(&file)?;
        let mut at = 0;
        if self.hole.is_none() {
            self.found.files.push((number, BTreeMap::new()));
            at = self.read_records(number, &bytes)?;
            self.found.offset = at as u64;
            if self.hole.is_none() {
                return Ok(());
            }
        }
        // Behind the hole records count for their marks alone.
        let expected = number.to_le_bytes();
        while let Some(place) = bytes.get(at..at + HEADER) {
            let is_likely = place[8..16] == expected;
            self.found.has_remains |= is_likely && self.hole.is_some_and(|(hole, _)| hole == number);
            match is_likely.then(|| record::decode(&bytes[at..], number)).flatten() {
                Some((header, _, size)) => {
                    self.mark = self.mark.max(header.synced);
                    at += size;
                }
                None => at += 8,
            }
        }
        Ok(())
    }

    /// Reads sound records up to the end of the file or the first hole.
    fn read_records(&mut self, number: u64, bytes: &[u8]) -> Result<usize> {
        let mut at = 0;
        // Less than a header is left over at the end of a file (only a whole file is left that way).
        while at + HEADER <= self.folder.file_bytes as usize {
            let Some((header, payload, size)) = bytes.get(at..).and_then(|rest| record::decode(rest, number)) else {
                self.hole = Some((number, at as u64));
                return Ok(at);
            };
            self.mark = self.mark.max(header.synced);
            self.found.records += 1;
            at += size;
            if header.kind == record::KIND_END {
                return Ok(self.folder.file_bytes as usize);
            }
            self.take(header, payload)?;
        }
        Ok(self.folder.file_bytes as usize)
    }

    fn take(&mut self, header: Header, payload: &[u8]) -> Result<()> {
        let group = self.found.groups.entry(header.group).or_default();
        match header.kind {
            record::KIND_ENTRY => self.take_piece(header, payload)?,
            record::KIND_TRUNCATE => group.entries.retain(|entry| entry.index < header.index),
            record::KIND_PURGE => {
                if group.purged.is_none_or(|(index, _)| index < header.index) {
                    group.purged = Some((header.index, header.term));
                    group.entries.retain(|entry| entry.index > header.index);
                }
            }
            record::KIND_STATE => {
                if let Some(state) = group.states.get_mut(usize::from(header.flavor)) {
                    *state = Some(Bytes::copy_from_slice(payload));
                }
            }
            other => return Err(self.damaged(format!("a record of unknown kind {other}"))),
        }
        Ok(())
    }

    fn take_piece(&mut self, header: Header, payload: &[u8]) -> Result<()> {
        if let Some((_, indexes)) = self.found.files.last_mut() {
            let index = indexes.entry(header.group).or_default();
            *index = header.index.max(*index);
        }
        if header.flags & record::CONTINUES == 0 {
            // An unfinished entry before this one was cut off by a crash.
            self.part = None;
        }
        let is_whole = header.flags & (record::GOES_ON | record::CONTINUES) == 0;
        if is_whole {
            return self.take_entry(header, Bytes::copy_from_slice(payload));
        }
        let mut part = match self.part.take() {
            None if header.flags & record::CONTINUES == 0 => (header, Vec::new()),
            // The rest of an entry whose beginning went with a dropped file: it is purged, or it is missing.
            None => return Ok(()),
            Some(part) if (part.0.group, part.0.index, part.0.term) == (header.group, header.index, header.term) => {
                part
            }
            Some(_) => return Err(self.damaged("pieces of different entries".into())),
        };
        part.1.extend_from_slice(payload);
        if header.flags & record::GOES_ON != 0 {
            self.part = Some(part);
            return Ok(());
        }
        self.take_entry(part.0, part.1.into())
    }

    fn take_entry(&mut self, header: Header, payload: Bytes) -> Result<()> {
        let group = self.found.groups.entry(header.group).or_default();
        if group.purged.is_some_and(|(index, _)| header.index <= index) {
            return Ok(());
        }
        // An entry takes the place of one with its index and of all behind that.
        let keep = group.entries.partition_point(|entry| entry.index < header.index);
        group.entries.truncate(keep);
        let before = group.entries.last().map(|entry| entry.index);
        if before.is_some_and(|before| before + 1 != header.index) {
            let what = format!("entry {} of group {} follows {before:?}", header.index, header.group);
            return Err(self.damaged(what));
        }
        let Header { index, term, flavor, .. } = header;
        group.entries.push(LogEntry { index, term, flavor, payload });
        Ok(())
    }

    fn damaged(&self, what: String) -> StorageError {
        let number = self.found.files.last().map_or(0, |(number, _)| *number);
        StorageError::Corrupt(format!("{}: {what}", self.folder.name_of(number)))
    }

    fn finish(mut self, numbers: &[u64]) -> Result<Found> {
        if let Some((number, offset)) = self.hole {
            if self.mark > number * self.folder.file_bytes + offset && !bugs::is_on(Bug::DamageCutOff) {
                return Err(StorageError::Corrupt(format!(
                    "{} is damaged at byte {offset}: the log was synced beyond it; rebuild this replica from its \
                     peers (hyrax node recover) or restore a backup",
                    self.folder.name_of(number)
                )));
            }
            // Where nothing follows that looks like a record, it is simply the end.
            self.found.torn = self.found.has_remains.then_some((number, offset));
            self.found.void_files = numbers.iter().copied().filter(|later| *later > number).rev().collect();
        }
        for (id, group) in &self.found.groups {
            let purged = group.purged.map_or(0, |(index, _)| index);
            if group.entries.first().is_some_and(|first| purged > 0 && first.index > purged + 1) {
                let what = format!("group {id}: entries {}.. are missing", purged + 1);
                return Err(self.damaged(what));
            }
        }
        Ok(self.found)
    }
}

fn read_whole(file: &LogFile) -> Result<Vec<u8>> {
    let mut bytes = vec![0; file.zeroed() as usize];
    let mut at = 0;
    while at < bytes.len() {
        let read = file.file.read_at(&mut bytes[at..], at as u64).map_err(|error| of_io("log file", error))?;
        if read == 0 {
            break;
        }
        at += read;
    }
    bytes.truncate(at);
    Ok(bytes)
}
