//! The log against a disk that loses what it may lose: any sectors of what was written since the last sync.

use super::*;
use crate::{Fatal, StorageError};
use host::{File, Files, Host};
use parking_lot::Mutex;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const SECTOR: usize = 512;

/// One file: what is on the disk for sure, and the sectors written since the last sync.
#[derive(Default, Clone)]
struct Content {
    durable: Vec<u8>,
    current: Vec<u8>,
}

/// A disk in memory. Names are durable at once.
#[derive(Default)]
struct Disk {
    files: Mutex<BTreeMap<PathBuf, Arc<Mutex<Content>>>>,
    /// Calls that write or sync so far, and the one that fails with this error.
    calls: AtomicU64,
    fails: Mutex<Option<(u64, i32)>>,
    space: Mutex<Option<u64>>,
}

impl Disk {
    fn step(&self) -> io::Result<()> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match *self.fails.lock() {
            Some((at, error)) if call == at => Err(io::Error::from_raw_os_error(error)),
            _ => Ok(()),
        }
    }

    /// What a power cut leaves; `keeps` says for each unsynced sector whether it reached the disk.
    fn crash(&self, mut keeps: impl FnMut() -> bool) -> Arc<Disk> {
        let mut files = BTreeMap::new();
        for (path, content) in &*self.files.lock() {
            let Content { durable, current } = content.lock().clone();
            let mut left = durable.clone();
            left.resize(current.len(), 0);
            for (at, sector) in current.chunks(SECTOR).enumerate() {
                let place = at * SECTOR..at * SECTOR + sector.len();
                if left[place.clone()] != *sector && keeps() {
                    left[place].copy_from_slice(sector);
                }
            }
            files.insert(path.clone(), Arc::new(Mutex::new(Content { durable: left.clone(), current: left })));
        }
        Arc::new(Disk { files: Mutex::new(files), ..Disk::default() })
    }

    fn host(self: &Arc<Disk>) -> Host {
        Host { files: Arc::new(DiskFiles(self.clone())), ..Host::real() }
    }
}

struct DiskFiles(Arc<Disk>);

struct DiskFile {
    disk: Arc<Disk>,
    content: Arc<Mutex<Content>>,
}

impl File for DiskFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content.lock();
        let from = (offset as usize).min(content.current.len());
        let size = buffer.len().min(content.current.len() - from);
        buffer[..size].copy_from_slice(&content.current[from..from + size]);
        Ok(size)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.step()?;
        let mut content = self.content.lock();
        let end = offset as usize + bytes.len();
        if end > content.current.len() {
            if let Some(space) = &mut *self.disk.space.lock() {
                let grows = (end - content.current.len()) as u64;
                *space = space.checked_sub(grows).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSPC))?;
            }
            content.current.resize(end, 0);
        }
        content.current[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        self.disk.step()?;
        let mut content = self.content.lock();
        content.durable = content.current.clone();
        Ok(())
    }
    fn size(&self) -> io::Result<u64> {
        Ok(self.content.lock().current.len() as u64)
    }
    fn set_size(&self, size: u64) -> io::Result<()> {
        self.content.lock().current.resize(size as usize, 0);
        Ok(())
    }
}

impl Files for DiskFiles {
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn File>> {
        let mut files = self.0.files.lock();
        if !create && !files.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let content = files.entry(path.to_owned()).or_default().clone();
        Ok(Box::new(DiskFile { disk: self.0.clone(), content }))
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.files.lock().contains_key(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let files = self.0.files.lock();
        let names = files.keys().filter(|path| path.parent() == Some(folder));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }
    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.0.files.lock();
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.files.lock().remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.0.step()
    }
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn lock(&self, _: &Path) -> io::Result<Option<host::files::FileLock>> {
        Ok(Some(host::files::FileLock::unshared()))
    }
    fn replace(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

const FILE_BYTES: u64 = 16 << 10;

fn options(fatal: Fatal) -> WalOptions {
    WalOptions { file_bytes: FILE_BYTES, first_zeroed: 4096, threads: false, fatal, ..WalOptions::new("log") }
}

/// Takes note instead of ending the process.
fn noted() -> (Fatal, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let counter = count.clone();
    let note = move |_: &StorageError| {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    (Arc::new(note), count)
}

fn open(disk: &Arc<Disk>) -> (Wal, BTreeMap<u64, GroupLog>) {
    Wal::open(&disk.host(), options(noted().0)).unwrap()
}

fn entry(group: u64, index: u64, size: usize) -> LogRecord {
    let byte = (index * 31 + group) as u8;
    LogRecord { group, index, term: 1 + index / 7, body: Body::Entry { flavor: 1, payload: vec![byte; size].into() } }
}

fn indexes(groups: &BTreeMap<u64, GroupLog>, group: u64) -> Vec<u64> {
    groups.get(&group).map(|log| log.entries.iter().map(|entry| entry.index).collect()).unwrap_or_default()
}

#[test]
fn entries_states_and_truncations_come_back() {
    let disk = Arc::new(Disk::default());
    let (wal, found) = open(&disk);
    assert!(found.is_empty());
    let vote = LogRecord { group: 1, index: 0, term: 0, body: Body::State { number: 2, payload: "vote".into() } };
    wal.append(&[entry(1, 0, 10), entry(1, 1, 0), entry(2, 5, 3000), entry(1, 2, 100), vote]).unwrap();
    wal.append(&[LogRecord { group: 1, index: 1, term: 0, body: Body::Truncate }, entry(1, 1, 5)]).unwrap();
    let (_, found) = open(&disk);
    assert_eq!(indexes(&found, 1), [0, 1]);
    assert_eq!(found[&1].entries[1].payload.len(), 5);
    assert_eq!(found[&1].states[2].as_deref(), Some(&b"vote"[..]));
    assert_eq!(found[&2].entries[0].payload, vec![(5 * 31 + 2) as u8; 3000]);
}

#[test]
fn a_record_larger_than_a_file_goes_on_in_the_next_ones() {
    let disk = Arc::new(Disk::default());
    let (wal, _) = open(&disk);
    let large = entry(1, 1, 5 * FILE_BYTES as usize + 77);
    wal.append(&[entry(1, 0, 100), large.clone(), entry(1, 2, 100)]).unwrap();
    wal.append(&[entry(1, 3, 100)]).unwrap();
    let (_, found) = open(&disk);
    assert_eq!(indexes(&found, 1), [0, 1, 2, 3]);
    assert!(matches!(&large.body, Body::Entry { payload, .. } if *payload == found[&1].entries[1].payload));
}

#[test]
fn purged_files_are_used_again_and_states_outlive_them() {
    let disk = Arc::new(Disk::default());
    let (wal, _) = open(&disk);
    wal.append(&[LogRecord { group: 1, index: 0, term: 0, body: Body::State { number: 0, payload: "v".into() } }])
        .unwrap();
    for index in 0..400 {
        wal.append(&[entry(1, index, 500), entry(2, index, 10)]).unwrap();
        if index > 20 {
            wal.purge(1, index - 20, 1).unwrap();
            wal.purge(2, index - 20, 1).unwrap();
        }
    }
    assert!(wal.bytes() <= 4 * FILE_BYTES, "{}", wal.bytes());
    assert!(disk.files.lock().len() <= 6);
    let (_, found) = open(&disk);
    assert_eq!(found[&1].states[0].as_deref(), Some(&b"v"[..]));
    let kept = indexes(&found, 1);
    assert!(kept.first().is_some_and(|first| *first <= 380) && kept.last() == Some(&399));
}

/// The states stand at a file's beginning. Where its first write was cut off, and the log goes on in it, they must not go with
/// the older file.
#[test]
fn states_outlive_a_cut_in_the_first_write_of_a_file() {
    let disk = Arc::new(Disk::default());
    let (wal, _) = open(&disk);
    let vote = Body::State { number: 0, payload: "v".into() };
    wal.append(&[LogRecord { group: 1, index: 0, term: 0, body: vote }]).unwrap();
    let mut index = 0;
    let second = PathBuf::from("log/00000000000000000002.log");
    while !disk.files.lock().contains_key(&second) {
        wal.append(&[entry(1, index, 500)]).unwrap();
        index += 1;
    }
    drop(wal);
    // No sector of the second file's first write has outlived the cut.
    let content = disk.files.lock()[&second].clone();
    *content.lock() = Content { durable: vec![0; FILE_BYTES as usize], current: vec![0; FILE_BYTES as usize] };
    let (wal, found) = open(&disk);
    let next = indexes(&found, 1).last().map_or(0, |last| last + 1);
    assert!((1..index).contains(&next), "what the second file had is gone, and nothing else");
    wal.append(&[entry(1, next, 100)]).unwrap();
    wal.purge(1, next, 1).unwrap();
    assert!(!disk.files.lock().contains_key(Path::new("log/00000000000000000001.log")), "the older file is dropped");
    wal.append(&[entry(1, next + 1, 100)]).unwrap();
    let (_, found) = open(&disk);
    assert_eq!(found[&1].states[0].as_deref(), Some(&b"v"[..]));
    assert_eq!(indexes(&found, 1), [next + 1]);
}

/// A leader's first entry has no payload. What is written behind a file's end is not read again.
#[test]
fn an_entry_without_payload_never_lies_across_a_files_end() {
    for left in [0, 8, 40, 48, 56, 64] {
        let disk = Arc::new(Disk::default());
        let (wal, _) = open(&disk);
        wal.append(&[entry(1, 0, FILE_BYTES as usize - record::HEADER - left)]).unwrap();
        wal.append(&[entry(1, 1, 0)]).unwrap();
        wal.append(&[entry(1, 2, 100)]).unwrap();
        let (_, found) = open(&disk);
        assert_eq!(indexes(&found, 1), [0, 1, 2], "{left} bytes were left");
    }
}

/// A sound record behind what a crash cut off: when the log has grown up to it again, it must not be read.
#[test]
fn remains_of_a_torn_write_are_never_records_again() {
    let disk = Arc::new(Disk::default());
    let (wal, _) = open(&disk);
    wal.append(&[entry(1, 0, 100)]).unwrap();
    // The second record of the write begins with a sector of its own, and that one is kept.
    let size = 2 * SECTOR - record::size_of(100) - record::HEADER;
    *disk.fails.lock() = Some((disk.calls.load(Ordering::SeqCst) + 1, libc::EIO));
    assert!(wal.append(&[entry(1, 1, size), entry(1, 2, 600)]).is_err());
    let mut sectors = 0;
    let disk = disk.crash(|| {
        sectors += 1;
        sectors > 2
    });
    let (wal, found) = open(&disk);
    assert_eq!(indexes(&found, 1), [0]);
    wal.append(&[entry(1, 1, size)]).unwrap();
    let (_, found) = open(&disk.crash(|| true));
    assert_eq!(indexes(&found, 1), [0, 1]);
}

/// `traps.md`: torn_tail_or_bit_rot.
#[test]
fn torn_tail_or_bit_rot() {
    let disk = Arc::new(Disk::default());
    let (wal, _) = open(&disk);
    for index in 0..20 {
        wal.append(&[entry(1, index, 200)]).unwrap();
    }
    let place = |disk: &Disk| {
        disk.files.lock().iter().find(|(path, _)| path.ends_with("00000000000000000001.log")).unwrap().1.clone()
    };
    // Damage of the last record, of which no later one says that it was synced, is a torn tail.
    let tail = disk.crash(|| true);
    place(&tail).lock().current[19 * 256 + 100] ^= 1;
    let (_, found) = open(&tail);
    assert_eq!(indexes(&found, 1), (0..19).collect::<Vec<_>>());
    // Damage below is bit rot, whatever part of the record it hits.
    for byte in [0, 5, 9, 60, 200] {
        let rotten = disk.crash(|| true);
        place(&rotten).lock().current[7 * 256 + byte] ^= 1;
        let failed = Wal::open(&rotten.host(), options(noted().0)).err();
        assert!(matches!(failed, Some(StorageError::Corrupt(_))), "byte {byte}: {failed:?}");
    }
}

/// `traps.md`: fsync_failed_then_ok.
#[test]
fn fsync_failed_then_ok() {
    let disk = Arc::new(Disk::default());
    let (fatal, count) = noted();
    let (wal, _) = Wal::open(&disk.host(), options(fatal)).unwrap();
    wal.append(&[entry(1, 0, 10)]).unwrap();
    // The write, then the sync.
    *disk.fails.lock() = Some((disk.calls.load(Ordering::SeqCst) + 1, libc::EIO));
    assert!(wal.append(&[entry(1, 1, 10)]).is_err());
    assert_eq!(count.load(Ordering::SeqCst), 1);
    // The disk works again; the log does not.
    assert!(wal.append(&[entry(1, 1, 10)]).is_err());
    let (answer, got) = std::sync::mpsc::channel();
    wal.submit(vec![entry(1, 1, 10)], Box::new(move |result| answer.send(result.is_err()).unwrap()));
    assert!(got.recv().unwrap());
}

#[test]
fn full_disk_refuses_the_append_whole_and_heals() {
    let disk = Arc::new(Disk::default());
    let (fatal, count) = noted();
    let (wal, _) = Wal::open(&disk.host(), options(fatal)).unwrap();
    *disk.space.lock() = Some(FILE_BYTES * 2);
    let mut index = 0;
    let full = loop {
        match wal.append(&[entry(1, index, 700)]) {
            Ok(()) => index += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StorageError::DiskFull(_)) && index > 20 && !wal.has_room());
    assert!(matches!(wal.append(&[entry(1, index, 700)]), Err(StorageError::DiskFull(_))));
    *disk.space.lock() = None;
    wal.append(&[entry(1, index, 700)]).unwrap();
    assert!(wal.has_room() && count.load(Ordering::SeqCst) == 0);
    let (_, found) = open(&disk.crash(|| false));
    assert_eq!(indexes(&found, 1), (0..=index).collect::<Vec<_>>());
}

#[test]
fn the_log_thread_answers_in_order_and_appends_overtake_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        || WalOptions { file_bytes: 1 << 20, first_zeroed: 1 << 16, ..WalOptions::new(folder.path().join("log")) };
    let (wal, _) = Wal::open(&Host::real(), options()).unwrap();
    let (answer, got) = std::sync::mpsc::channel();
    for index in 0..2000 {
        if index % 7 == 3 {
            wal.append(&[entry(1, index, 900)]).unwrap();
            answer.send(index).unwrap();
        } else {
            let answer = answer.clone();
            let done: Done = Box::new(move |result| drop(result.map(|()| answer.send(index))));
            wal.submit(vec![entry(1, index, 900)], done);
        }
    }
    let mut order: Vec<u64> = got.iter().take(2000).collect();
    assert!(order.is_sorted());
    order.dedup();
    assert_eq!(order.len(), 2000);
    drop(wal);
    let (_, found) = Wal::open(&Host::real(), options()).unwrap();
    assert_eq!(indexes(&found, 1), (0..2000).collect::<Vec<_>>());
}

/// A random life: batches, purges, truncations, and crashes at any call with any sectors lost.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(u8, u16)>),
    Truncate(u8),
    /// A small state of the first group, and of the second.
    State(u8, u16),
    Purge,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![8 => 0..900_u16, 1 => 900..40_000_u16];
    let step = prop_oneof![
        6 => prop::collection::vec((0..2_u8, size), 1..5).prop_map(Step::Append),
        1 => (0..4_u8).prop_map(Step::Truncate),
        1 => (0..2_u8, 0..600_u16).prop_map(|(group, size)| Step::State(group, size)),
        1 => Just(Step::Purge),
    ];
    prop::collection::vec(step, 1..30)
}

/// What a group must have: entries by index, those above `durable` perhaps.
#[derive(Default, Clone, Debug)]
struct Model {
    entries: BTreeMap<u64, LogRecord>,
    next: u64,
    purged: u64,
    state: Option<Bytes>,
}

fn records(step: &Step, models: &mut BTreeMap<u64, Model>) -> Vec<LogRecord> {
    let mut records = Vec::new();
    match step {
        Step::Append(entries) => {
            for (group, size) in entries {
                let model = models.entry(u64::from(*group)).or_default();
                let record = entry(u64::from(*group), model.next, usize::from(*size));
                model.entries.insert(model.next, record.clone());
                model.next += 1;
                records.push(record);
            }
        }
        Step::Truncate(back) => {
            for (group, model) in models.iter_mut() {
                if model.next < model.purged + u64::from(*back) + 2 {
                    continue;
                }
                let keep = model.next - 1 - u64::from(*back);
                model.entries.retain(|index, _| *index <= keep);
                model.next = keep + 1;
                records.push(LogRecord { group: *group, index: keep + 1, term: 0, body: Body::Truncate });
            }
        }
        Step::State(group, size) => {
            let model = models.entry(u64::from(*group)).or_default();
            let payload = Bytes::from(vec![*group + 1; usize::from(*size)]);
            model.state = Some(payload.clone());
            let body = Body::State { number: STATE, payload };
            records.push(LogRecord { group: u64::from(*group), index: 0, term: 0, body });
        }
        Step::Purge => {}
    }
    records
}

const STATE: u8 = 1;

fn check_found(found: &BTreeMap<u64, GroupLog>, states: &[BTreeMap<u64, Model>]) -> Result<usize, String> {
    // The log is as it was after some record of the last batch, or after an earlier sync and all that.
    let got: BTreeMap<u64, Vec<(u64, Bytes)>> = found
        .iter()
        .map(|(id, log)| (*id, log.entries.iter().map(|entry| (entry.index, entry.payload.clone())).collect()))
        .collect();
    for (place, state) in states.iter().enumerate() {
        let is_this = state.iter().all(|(id, model)| {
            let first = got.get(id).and_then(|entries| entries.first()).map_or(model.next, |(index, _)| *index);
            let expected: Vec<(u64, Bytes)> = model
                .entries
                .range(first..)
                .map(|(index, record)| match &record.body {
                    Body::Entry { payload, .. } => (*index, payload.clone()),
                    _ => (*index, Bytes::new()),
                })
                .collect();
            let purged_next = if model.purged > 0 { model.purged + 1 } else { 0 };
            let has_all =
                first <= purged_next.max(model.entries.keys().next().copied().unwrap_or(0)) || model.entries.is_empty();
            let state = found.get(id).and_then(|log| log.states[usize::from(STATE)].clone());
            has_all && state == model.state && got.get(id).cloned().unwrap_or_default() == expected
        });
        let is_empty = |log: &GroupLog| log.entries.is_empty() && log.states[usize::from(STATE)].is_none();
        let knows_all = found.iter().all(|(id, log)| is_empty(log) || state.contains_key(id));
        if is_this && knows_all {
            return Ok(place);
        }
    }
    let shown = |log: &GroupLog| {
        let sizes: Vec<_> = log.entries.iter().map(|entry| (entry.index, entry.payload.len())).collect();
        (log.purged, sizes)
    };
    let got: Vec<_> = found.iter().map(|(id, log)| (id, shown(log))).collect();
    let last: Vec<_> = states
        .iter()
        .map(|state| {
            state
                .iter()
                .map(|(id, model)| {
                    (*id, model.purged, model.next, model.entries.values().map(size_of_record).collect::<Vec<_>>())
                })
                .collect::<Vec<_>>()
        })
        .collect();
    Err(format!("recovered what never was: {got:?}, expected one of {last:?}"))
}

fn run_life(steps: &[Step], crash_at: u64, seed: u64) -> Result<(), String> {
    let mut disk = Arc::new(Disk::default());
    let mut models: BTreeMap<u64, Model> = BTreeMap::new();
    let mut random = seed | 1;
    let mut flip = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let (mut wal, _) = open(&disk);
    *disk.fails.lock() = Some((disk.calls.load(Ordering::SeqCst) + crash_at, libc::EIO));
    for step in steps {
        let mut states = vec![models.clone()];
        let mut result = Ok(());
        if let Step::Purge = step {
            for (group, model) in &mut models {
                if model.next > 3 {
                    model.purged = model.purged.max(model.next - 3);
                    result = result.and(wal.purge(*group, model.purged, 0));
                }
            }
            states = vec![models.clone()];
        } else {
            let batch = records(step, &mut models);
            // Every prefix of the batch is a state that a crash may leave.
            let mut partial = states[0].clone();
            for record in &batch {
                let model = partial.entry(record.group).or_default();
                match &record.body {
                    Body::Truncate => {
                        model.entries.retain(|index, _| *index < record.index);
                        model.next = record.index;
                    }
                    Body::State { payload, .. } => model.state = Some(payload.clone()),
                    Body::Entry { .. } => {
                        model.entries.insert(record.index, record.clone());
                        model.next = record.index + 1;
                    }
                }
                states.push(partial.clone());
            }
            result = wal.append(&batch);
        }
        let is_last = result.is_err();
        if is_last || flip() % 8 == 0 {
            if !is_last {
                states = vec![models.clone()];
            }
            let after = disk.crash(|| flip() % 2 == 0);
            let opened = Wal::open(&after.host(), options(noted().0));
            let (reopened, found) = opened.map_err(|error| format!("refused: {error}"))?;
            let place = check_found(&found, &states)?;
            models = states.swap_remove(place);
            for (group, log) in &found {
                let model = models.entry(*group).or_default();
                model.purged = model.purged.max(log.purged.map_or(0, |(index, _)| index));
            }
            disk = after;
            wal = reopened;
            if is_last {
                *disk.fails.lock() = Some((disk.calls.load(Ordering::SeqCst) + crash_at / 2 + 1, libc::EIO));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_crash_leaves_a_prefix_and_everything_synced(steps in steps(), crash_at in 0..80_u64, seed in any::<u64>()) {
        if let Err(what) = run_life(&steps, crash_at, seed) {
            prop_assert!(false, "{what}");
        }
    }
}

fn size_of_record(record: &LogRecord) -> (u64, usize) {
    let size = match &record.body {
        Body::Entry { payload, .. } => payload.len(),
        _ => 0,
    };
    (record.index, size)
}
