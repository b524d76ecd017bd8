//! Level 1. What a segment does for room: flushes sooner where a file would grow, says that there is none before a flush meets it,
//! loses nothing, and heals.

use super::*;
use crate::wal::{Body, LogRecord, Wal, WalOptions};
use crate::{Mutation, StorageId, Timestamp};
use host::files::{File, FileLock, Files};
use host::{Host, RealFiles};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const R: StorageId = StorageId(7);

fn write(segment: &Segment, index: u64, rows: std::ops::Range<u32>, value: Option<&str>) {
    let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
    let row =
        |row: u32| Mutation { relation: R, key: Bytes::copy_from_slice(&row.to_be_bytes()), value: value.clone() };
    segment.apply(index, Timestamp(index), &rows.map(row).collect::<Vec<_>>());
}

#[track_caller]
fn within(seconds: u64, mut what: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(seconds), "not within {seconds} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The real file system, which says that it has so many bytes left, and takes no more than that in new bytes of files.
struct Limited(AtomicU64);

struct LimitedFile(Box<dyn File>, std::sync::Arc<Limited>);

impl File for LimitedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let new = (offset + bytes.len() as u64).saturating_sub(self.0.size()?);
        let take = |left: u64| left.checked_sub(new);
        match self.1.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(_) => self.0.write_all_at(bytes, offset),
            Err(_) => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
        }
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_size(size)
    }
}

struct LimitedFiles(std::sync::Arc<Limited>);

impl Files for LimitedFiles {
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn File>> {
        Ok(Box::new(LimitedFile(RealFiles.open(path, create)?, self.0.clone())))
    }
    fn exists(&self, path: &Path) -> bool {
        RealFiles.exists(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealFiles.list(folder)
    }
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        RealFiles.create_folder(folder)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFiles.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealFiles.remove(path)
    }
    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealFiles.read(path)
    }
    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.0.0.load(Ordering::SeqCst))
    }
    fn lock(&self, path: &Path) -> io::Result<Option<FileLock>> {
        RealFiles.lock(path)
    }
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        RealFiles.replace(path, content)
    }
}

fn limited(bytes: u64) -> (Host, std::sync::Arc<Limited>) {
    let disk = std::sync::Arc::new(Limited(AtomicU64::new(bytes)));
    (Host { files: std::sync::Arc::new(LimitedFiles(disk.clone())), ..Host::real() }, disk)
}

/// Time stands still until the test moves it.
#[derive(Default)]
struct Stopped(AtomicU64);

impl host::Clock for Stopped {
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
    fn wall(&self) -> host::Micros {
        0
    }
}

/// What a large flush of a small base copies is free only two flushes later: the file would be many times as large.
#[test]
fn a_flush_that_changes_much_of_its_base_comes_sooner() {
    let folder = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(Stopped::default());
    let host = Host { clock: clock.clone(), ..Host::real() };
    let flush_after = Duration::from_millis(100);
    let (segment, _) =
        Segment::open(host, SegmentOptions { flush_after, ..SegmentOptions::on_disk(folder.path(), "test") }).unwrap();
    write(&segment, 1, 0..6000, Some(&"x".repeat(1000)));
    segment.flush().unwrap();
    let pause = || std::thread::sleep(flush_after * 5);
    write(&segment, 2, 0..50, Some("few"));
    pause();
    clock.0.store(60, Ordering::SeqCst);
    pause();
    assert_eq!(segment.flushed(), 1, "few wait for the whole time");
    clock.0.store(100, Ordering::SeqCst);
    within(20, || segment.flushed() == 2);
    write(&segment, 3, 0..200, Some("many"));
    pause();
    assert_eq!(segment.flushed(), 2, "no time has passed");
    clock.0.store(160, Ordering::SeqCst);
    within(20, || segment.flushed() == 3);
}

#[test]
fn small_flushes_that_write_each_page_about_once_come_sooner() {
    const MB: u64 = 1 << 20;
    for (base_bytes, versions, turns, expected) in [
        (3 * MB, 500, 1, false),
        (16 * MB, 200, 1, false),
        (16 * MB, 300, 1, true),
        (16 * MB, 1500, 1, true),
        // Each page twice, but in three times the time.
        (16 * MB, 2500, 1, false),
        (16 * MB, 2500, 3, true),
        (160 * MB, 4000, 1, true),
        (160 * MB, 5000, 1, false),
        (160 * MB, 5000, 2, true),
        (16_000 * MB, 5000, 1, false),
    ] {
        let is_better = writer::is_better_soon(base_bytes, versions, turns);
        assert_eq!(is_better, expected, "{versions} versions in {turns} turns on {base_bytes} bytes");
    }
}

#[test]
fn a_disk_that_is_nearly_full_is_said_before_a_flush_meets_it() {
    let folder = tempfile::tempdir().unwrap();
    let (host, disk) = limited(1 << 30);
    let options = SegmentOptions { map_size: 1 << 28, ..SegmentOptions::on_disk(folder.path(), "test") };
    let (segment, _) = Segment::open(host, options).unwrap();
    assert_eq!(segment.shortage(), None);
    disk.0.store(FREE_MIN - 1, Ordering::SeqCst);
    within(1, || segment.shortage() == Some(Shortage::Disk));
    disk.0.store(FREE_MIN, Ordering::SeqCst);
    within(1, || segment.shortage().is_none());
}

#[test]
fn a_refused_flush_is_a_shortage_until_one_succeeds() {
    let store = MemoryStore::new();
    let options = SegmentOptions { memory: Some(store.clone()), ..SegmentOptions::in_memory("test") };
    let (segment, _) = Segment::open(Host::real(), options).unwrap();
    store.set_full(true);
    write(&segment, 1, 0..1, Some("x"));
    assert!(segment.flush().is_err());
    assert_eq!(segment.shortage(), Some(Shortage::Disk));
    store.set_full(false);
    segment.flush().unwrap();
    assert_eq!(segment.shortage(), None);
}

/// Also: a segment that nobody writes to is collected.
#[test]
fn a_full_map_heals_by_deleting() {
    let folder = tempfile::tempdir().unwrap();
    let options = SegmentOptions { map_size: 2 << 20, history_us: 0, ..SegmentOptions::on_disk(folder.path(), "test") };
    let (segment, _) = Segment::open(Host::real(), options.clone()).unwrap();
    write(&segment, 1, 0..4000, Some(&"x".repeat(1000)));
    segment.flush().unwrap();
    assert_eq!(segment.shortage(), Some(Shortage::Map));
    drop(segment);
    let (segment, _) = Segment::open(Host::real(), options).unwrap();
    assert_eq!(segment.shortage(), Some(Shortage::Map), "after a restart too");
    write(&segment, 2, 0..3500, None);
    segment.flush().unwrap();
    assert_eq!(segment.shortage(), Some(Shortage::Map), "a snapshot may still read what was deleted");
    segment.set_horizon(Timestamp(3));
    within(20, || segment.shortage().is_none());
    assert_eq!(segment.verify().unwrap(), Verified { relations: 1, rows: 500, history_rows: 0 });
}

/// Who puts rows into a relation must know beforehand that a flush can give it a place.
#[test]
fn relations_that_have_rows_are_counted_wherever_they_lie() {
    let options = SegmentOptions { relations_max: 4, history_us: 0, ..SegmentOptions::in_memory("test") };
    let (segment, _) = Segment::open(Host::real(), options).unwrap();
    let put = |index: u64, relation: u32| {
        let row = Mutation { relation: StorageId(relation), key: "key".into(), value: Some("value".into()) };
        segment.apply(index, Timestamp(index), &[row]);
    };
    put(1, 11);
    put(2, 12);
    segment.flush().unwrap();
    put(3, 12);
    put(4, 13);
    assert_eq!(segment.relations_left(), 0, "12 counts twice: at least none is left");
    assert!(segment.has_place_for([StorageId(14), StorageId(14), StorageId(11)]), "but there is one");
    assert!(!segment.has_place_for([StorageId(14), StorageId(15)]));
    put(5, 14);
    assert!(segment.has_place_for([11, 12, 13, 14].map(StorageId)), "what is there may be written to");
    assert!(!segment.has_place_for([StorageId(15)]));
    segment.drop_relation(StorageId(11));
    segment.set_horizon(Timestamp(9));
    segment.flush().unwrap();
    assert!(segment.has_place_for([StorageId(15)]), "a dropped one's place is free");
}

/// The current file is not zeroed whole when the disk becomes full: what counts is what may still be written of it.
#[test]
fn a_log_file_without_room_refuses_before_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (host, disk) = limited(3 << 20);
    let options = WalOptions { file_bytes: 32 << 20, first_zeroed: 1 << 20, ..WalOptions::new(folder.path()) };
    let (wal, _) = Wal::open(&host, options).unwrap();
    wal.begin().unwrap();
    within(5, || !wal.has_room());
    let payload = Bytes::from(vec![7; 1000]);
    let entry =
        |index| LogRecord { group: 1, index, term: 1, body: Body::Entry { flavor: 0, payload: payload.clone() } };
    (1..500).for_each(|index| wal.append(&[entry(index)]).unwrap());
    disk.0.store(1 << 30, Ordering::SeqCst);
    within(5, || wal.has_room());
}
