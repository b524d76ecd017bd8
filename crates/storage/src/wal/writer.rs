//! Level 1. Appending: encode, write, sync, go on to the next file; the log thread and the file maker.

use super::file::{Folder, LogFile, of_io};
use super::record::{self, HEADER, Header};
use super::recover::{self, Found, GroupLog};
use super::{Body, LogRecord, STATE_BYTES_MAX, STATES_MAX};
use crate::{Fatal, Result, StopOnPanic, StorageError};
use bytes::Bytes;
use host::Host;
use host::bugs::{self, Bug};
use parking_lot::{Condvar, MappedMutexGuard, Mutex, MutexGuard};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Called when a submitted batch is on disk, or was refused.
pub type Done = Box<dyn FnOnce(Result<()>) + Send>;

#[derive(Clone)]
pub struct WalOptions {
    pub folder: PathBuf,
    /// Size of a file.
    pub file_bytes: u64,
    /// Zeroed of the very first file before the log opens; the rest follows in the background.
    pub first_zeroed: u64,
    /// Whether threads may be started: the log thread (without it `submit` works in the caller) and the maker of
    /// files (without it files are made when they are needed, or by who calls `make_files` now and then).
    pub threads: bool,
    pub fatal: Fatal,
}

impl WalOptions {
    pub fn new(folder: impl Into<PathBuf>) -> WalOptions {
        WalOptions {
            folder: folder.into(),
            file_bytes: 64 << 20,
            first_zeroed: 4 << 20,
            threads: true,
            fatal: crate::fatal_abort(),
        }
    }
}

/// Spares kept; further dropped files are removed.
const SPARES_MAX: usize = 2;
/// Between two attempts to make a spare on a full disk.
const RETRY: Duration = Duration::from_millis(500);
/// A write buffer that grew beyond this for one large entry is not kept.
const BUFFER_KEPT: usize = 4 << 20;
/// A piece of an entry in the rest of a file is not worth less than this.
const PIECE_MIN: usize = 1024;
const STACK_BYTES: usize = 512 << 10;
/// Of a file, what stays for what is under way when no space can be made behind it.
const ROOM_SHARE: u64 = 4;
/// Room kept beside a reserved payload: headers, votes and entries of other groups that come between.
const RESERVE: u64 = 64 << 10;

/// The log's handle; cheap to clone.
#[derive(Clone)]
pub struct Wal {
    inner: Arc<Inner>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

struct Inner {
    folder: Folder,
    options: WalOptions,
    stage: Mutex<Stage>,
    queue: Mutex<Queue>,
    queued: Condvar,
    /// Set when the writer wants a spare, or the threads are to end.
    wishes: Mutex<Wishes>,
    wished: Condvar,
    /// After a failure nothing is written any more.
    is_broken: AtomicBool,
    /// No spare could be made and the current file is running out.
    is_full: AtomicBool,
    syncs: metrics::Counter,
    written_bytes: metrics::Counter,
}

/// A log that was read is changed only once it is known to be the segments' own: a start that is refused must leave it as it was.
enum Stage {
    /// None: there is no file yet.
    Read(Option<Box<Found>>),
    Begun(Box<Writer>),
}

/// Bounded by those who submit: a group has a few appends in flight, and there are few groups.
#[derive(Default)]
struct Queue {
    batches: VecDeque<(Vec<LogRecord>, Done)>,
    is_idle: bool,
    is_closing: bool,
}

#[derive(Default)]
struct Wishes {
    is_wanted: bool,
    is_closing: bool,
}

#[derive(Default)]
struct Group {
    purged: Option<(u64, u64)>,
    states: [Option<Bytes>; STATES_MAX as usize],
}

struct Writer {
    file: Arc<LogFile>,
    /// Where the next record goes.
    offset: u64,
    /// Position (file number * file size + offset) up to which everything is synced.
    synced: u64,
    /// The log's files, oldest first, with the greatest index per group.
    files: VecDeque<(u64, BTreeMap<u64, u64>)>,
    spares: Vec<u64>,
    spare_next: u64,
    groups: BTreeMap<u64, Group>,
    /// The states at the beginning of the current file may have been lost with a write that a crash cut off: they are written
    /// again with the first records, or they would go with the older files.
    owes_states: bool,
    /// Encoded, to be written at `offset`.
    buffer: Vec<u8>,
}

impl Wal {
    /// Reads the log and gives back what each group has in it. No byte of it changes before `begin`, or before the first record.
    pub fn open(host: &Host, options: WalOptions) -> Result<(Wal, BTreeMap<u64, GroupLog>)> {
        let folder = Folder::open(host.files.clone(), &options.folder, options.file_bytes)?;
        let mut found = recover::recover(&folder)?;
        let groups = found.as_mut().map(Found::take_entries).unwrap_or_default();
        let inner = Arc::new(Inner {
            folder,
            options,
            stage: Mutex::new(Stage::Read(found.map(Box::new))),
            queue: Mutex::default(),
            queued: Condvar::new(),
            wishes: Mutex::default(),
            wished: Condvar::new(),
            is_broken: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            syncs: metrics::counter!("hyrax_log_syncs_total"),
            written_bytes: metrics::counter!("hyrax_log_written_bytes_total"),
        });
        let wal = Wal { inner: inner.clone(), threads: Arc::default() };
        if inner.options.threads {
            let start = |name, body: fn(&Inner)| -> Result<()> {
                let inner = inner.clone();
                let thread = host::spawn::thread(name, STACK_BYTES, move || body(&inner));
                wal.threads.lock().push(thread.map_err(|error| of_io("log thread", error))?);
                Ok(())
            };
            start("log", Inner::run_log)?;
            start("log-files", Inner::run_files)?;
        }
        Ok((wal, groups))
    }

    /// Makes the log ready to be written: what a crash has left behind its end goes.
    pub fn begin(&self) -> Result<()> {
        self.inner.writer().map(drop)
    }

    /// Writes and syncs on this thread. `DiskFull`: nothing was written, try again later. Anything else: the log is
    /// broken.
    pub fn append(&self, records: &[LogRecord]) -> Result<()> {
        let mut writer = self.inner.writer()?;
        self.inner.write_queued(&mut writer)?;
        self.inner.write(&mut writer, &[records])
    }

    /// Leaves the records to the log thread, which calls `done`. While the disk is full they wait for room.
    pub fn submit(&self, records: Vec<LogRecord>, done: Done) {
        if !self.inner.options.threads {
            return done(self.append(&records));
        }
        let mut queue = self.inner.queue.lock();
        queue.batches.push_back((records, done));
        if std::mem::take(&mut queue.is_idle) {
            self.inner.queued.notify_one();
        }
    }

    /// Entries of the group up to `index` are not needed any more. Files that nobody needs become spares.
    pub fn purge(&self, group: u64, index: u64, term: u64) -> Result<()> {
        let mut writer = self.inner.writer()?;
        let purged = &mut writer.groups.entry(group).or_default().purged;
        *purged = (*purged).max(Some((index, term)));
        self.inner.drop_files(&mut writer)
    }

    /// Makes sure that records of `payload` bytes in all can be written; `DiskFull` if not.
    pub fn reserve(&self, payload: u64) -> Result<()> {
        let mut writer = self.inner.writer()?;
        self.inner.make_room(&mut writer, payload + RESERVE)
    }

    /// False while the disk is full and what is left of the current file is kept for what is under way: new work is
    /// to be refused.
    pub fn has_room(&self) -> bool {
        !self.inner.is_full.load(Ordering::Acquire)
    }

    /// One round of the file maker, where the log has no thread for it. Err: the log is broken.
    pub fn make_files(&self) -> Result<()> {
        if std::mem::take(&mut self.inner.wishes.lock().is_wanted) && !self.inner.make_files()? {
            self.inner.wishes.lock().is_wanted = true;
        }
        Ok(())
    }

    /// Bytes of log files in use.
    pub fn bytes(&self) -> u64 {
        let files = match &*self.inner.stage.lock() {
            Stage::Read(found) => found.as_ref().map_or(0, |found| found.files.len()),
            Stage::Begun(writer) => writer.files.len(),
        };
        files as u64 * self.inner.folder.file_bytes
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        if Arc::strong_count(&self.threads) > 1 {
            return;
        }
        self.inner.queue.lock().is_closing = true;
        self.inner.queued.notify_one();
        self.inner.wishes.lock().is_closing = true;
        self.inner.wished.notify_one();
        for thread in self.threads.lock().drain(..) {
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Inner {
    /// The writer, which the first that asks for it begins.
    fn writer(&self) -> Result<MappedMutexGuard<'_, Writer>> {
        let mut stage = self.stage.lock();
        if let Stage::Read(found) = &*stage {
            let writer = Writer::begin(&self.folder, self.options.first_zeroed, found.as_deref())?;
            *stage = Stage::Begun(Box::new(writer));
            self.wishes.lock().is_wanted = true;
            self.wished.notify_one();
        }
        let begun = MutexGuard::try_map(stage, |stage| match stage {
            Stage::Begun(writer) => Some(&mut **writer),
            Stage::Read(_) => None,
        });
        begun.map_err(|_| StorageError::Folder("the log has not begun".into()))
    }

    /// Writes what waits for the log thread, in order, with one sync. On a full disk it goes on waiting.
    fn write_queued(&self, writer: &mut Writer) -> Result<()> {
        let batches = std::mem::take(&mut self.queue.lock().batches);
        if batches.is_empty() {
            return Ok(());
        }
        let records: Vec<&[LogRecord]> = batches.iter().map(|(records, _)| &records[..]).collect();
        let result = self.write(writer, &records);
        if let Err(StorageError::DiskFull(_)) = &result {
            let mut queue = self.queue.lock();
            let later = std::mem::replace(&mut queue.batches, batches);
            queue.batches.extend(later);
            return result;
        }
        for (_, done) in batches {
            done(result.as_ref().map(|_| ()).map_err(|error| StorageError::Folder(error.to_string())));
        }
        Ok(())
    }

    fn write(&self, writer: &mut Writer, batches: &[&[LogRecord]]) -> Result<()> {
        if self.is_broken.load(Ordering::Acquire) {
            return Err(StorageError::Folder("the log failed before; the node is stopping".into()));
        }
        // Space first: behind this point every error is fatal.
        let size = batches.iter().flat_map(|records| records.iter()).map(size_of).sum();
        self.make_room(writer, size)?;
        let written = writer.write(&self.folder, batches);
        if let Err(error) = &written {
            self.is_broken.store(true, Ordering::Release);
            (self.options.fatal)(error);
        }
        self.syncs.increment(1);
        self.written_bytes.increment(size);
        self.look_ahead(writer);
        written
    }

    /// Makes `size` bytes of records writable, in this file and spares.
    fn make_room(&self, writer: &mut Writer, size: u64) -> Result<()> {
        let made = writer.make_room(&self.folder, size);
        let is_full = matches!(&made, Err(StorageError::DiskFull(_)));
        if is_full {
            self.is_full.store(true, Ordering::Release);
            // The file maker says when there is room again; without it the next append that finds some does.
            self.wishes.lock().is_wanted = true;
            self.wished.notify_one();
        } else if !self.options.threads {
            self.is_full.store(false, Ordering::Release);
        }
        made
    }

    /// Asks for a spare early enough.
    fn look_ahead(&self, writer: &Writer) {
        if writer.spares.is_empty() {
            let mut wishes = self.wishes.lock();
            if !wishes.is_wanted {
                wishes.is_wanted = true;
                self.wished.notify_one();
            }
        }
    }

    fn drop_files(&self, writer: &mut Writer) -> Result<()> {
        let Writer { files, groups, .. } = &*writer;
        let is_needless = |indexes: &BTreeMap<u64, u64>| {
            indexes.iter().all(|(group, index)| {
                groups.get(group).and_then(|group| group.purged).is_some_and(|(purged, _)| *index <= purged)
            })
        };
        let last = files.len().saturating_sub(1);
        let count = files.iter().take(last).take_while(|(_, indexes)| is_needless(indexes)).count();
        if count == 0 {
            return Ok(());
        }
        // That these entries are purged must be on disk before they are gone.
        let records = writer.purge_records();
        self.make_room(writer, records.len() as u64 * record::size_of(0) as u64)?;
        let result = writer.write_purges(&self.folder, &records).and_then(|()| writer.drop_oldest(&self.folder, count));
        if let Err(error) = &result {
            self.is_broken.store(true, Ordering::Release);
            (self.options.fatal)(error);
        }
        self.is_full.store(false, Ordering::Release);
        result
    }

    fn run_log(&self) {
        let _stop = StopOnPanic { fatal: &self.options.fatal, place: "the log thread" };
        loop {
            let mut queue = self.queue.lock();
            while queue.batches.is_empty() && !queue.is_closing {
                queue.is_idle = true;
                self.queued.wait(&mut queue);
            }
            queue.is_idle = false;
            if queue.batches.is_empty() {
                return;
            }
            drop(queue);
            // The writer's lock first, so that an `append` cannot come between taking and writing.
            let result = self.writer().and_then(|mut writer| self.write_queued(&mut writer));
            if result.is_err() {
                let mut queue = self.queue.lock();
                if queue.is_closing {
                    return;
                }
                self.queued.wait_for(&mut queue, RETRY);
            }
        }
    }

    /// Zeroes the rest of the first file, then keeps a spare ready.
    fn run_files(&self) {
        loop {
            let mut wishes = self.wishes.lock();
            while !wishes.is_wanted && !wishes.is_closing {
                self.wished.wait(&mut wishes);
            }
            if wishes.is_closing {
                return;
            }
            drop(wishes);
            match self.make_files() {
                Ok(true) => self.wishes.lock().is_wanted = false,
                Ok(false) => {
                    let mut wishes = self.wishes.lock();
                    if !wishes.is_closing {
                        self.wished.wait_for(&mut wishes, RETRY);
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// One round: true when the files are there, false while the disk is full.
    fn make_files(&self) -> Result<bool> {
        match self.prepare_files() {
            Ok(()) => {
                self.is_full.store(false, Ordering::Release);
                Ok(true)
            }
            Err(StorageError::DiskFull(what)) => {
                let writer = self.writer()?;
                let left = writer.file.zeroed().saturating_sub(writer.offset);
                let is_low = left < self.folder.file_bytes / ROOM_SHARE;
                let was_full = self.is_full.fetch_or(is_low, Ordering::AcqRel);
                drop(writer);
                if is_low && !was_full {
                    tracing::error!("no space for the next log file: new writes are refused ({what})");
                }
                Ok(false)
            }
            Err(error) => {
                self.is_broken.store(true, Ordering::Release);
                (self.options.fatal)(&error);
                Err(error)
            }
        }
    }

    fn prepare_files(&self) -> Result<()> {
        let file = self.writer()?.file.clone();
        let mut zeroed = file.zeroed();
        while zeroed < self.folder.file_bytes {
            zeroed = self.folder.file_bytes.min(zeroed + (1 << 20));
            file.zero_to(zeroed)?;
            if self.wishes.lock().is_closing {
                return Ok(());
            }
        }
        let spare = {
            let mut writer = self.writer()?;
            if !writer.spares.is_empty() {
                return Ok(());
            }
            writer.spare_next += 1;
            writer.spare_next
        };
        self.folder.make_spare(spare)?;
        self.writer()?.spares.push(spare);
        Ok(())
    }
}

/// Bytes of a record if it is not cut.
fn size_of(record: &LogRecord) -> u64 {
    let payload = match &record.body {
        Body::Entry { payload, .. } | Body::State { payload, .. } => payload.len(),
        Body::Truncate => 0,
    };
    record::size_of(payload) as u64
}

impl Writer {
    fn begin(folder: &Folder, first_zeroed: u64, found: Option<&Found>) -> Result<Writer> {
        let spares = folder.spares()?;
        let spare_next = spares.iter().copied().max().unwrap_or(0);
        let Some(found) = found else {
            let file = Arc::new(folder.create_file(1, first_zeroed.min(folder.file_bytes))?);
            let (files, groups, buffer) = (VecDeque::from([(1, BTreeMap::new())]), BTreeMap::new(), Vec::new());
            let (synced, owes_states) = (folder.file_bytes, false);
            return Ok(Writer { file, offset: 0, synced, files, spares, spare_next, groups, owes_states, buffer });
        };
        for number in &found.void_files {
            folder.remove(*number)?;
        }
        let (last, before) =
            found.files.split_last().ok_or_else(|| StorageError::Corrupt("the log has no file".into()))?;
        let file = folder.open_file(last.0)?;
        if found.has_remains && !bugs::is_on(Bug::RemainsKept) {
            // What is left of a torn write must never be read as records of this file.
            file.zero_from(found.offset)?;
        }
        // A process that was killed may have left pages that no sync has seen; from here on they count.
        for (number, _) in before {
            folder.open_file(*number)?.file.sync_data().map_err(|error| of_io("log file", error))?;
        }
        file.file.sync_data().map_err(|error| of_io("log file", error))?;
        let state = |group: &GroupLog| Group { purged: group.purged, states: group.states.clone() };
        Ok(Writer {
            offset: found.offset,
            synced: file.number * folder.file_bytes + found.offset,
            file: Arc::new(file),
            spares,
            spare_next,
            groups: found.groups.iter().map(|(id, group)| (*id, state(group))).collect(),
            files: found.files.clone().into(),
            owes_states: true,
            buffer: Vec::new(),
        })
    }

    fn make_room(&mut self, folder: &Folder, size: u64) -> Result<()> {
        let size = size + if self.owes_states { self.checkpoint_size() } else { 0 };
        let here = folder.file_bytes - self.offset;
        self.file.zero_to(folder.file_bytes.min(self.offset + size))?;
        if size <= here {
            return Ok(());
        }
        // What the states at its start and cut pieces take from a file.
        let overhead = self.checkpoint_size() + (HEADER + PIECE_MIN) as u64 * 2;
        let usable = folder.file_bytes.saturating_sub(overhead).max(1);
        let files = (size - here + overhead).div_ceil(usable) as usize;
        // The rest of this file is used up to its end (the mark of the end included).
        self.file.zero_to(folder.file_bytes)?;
        while self.spares.len() < files {
            let spare = self.spare_next + 1;
            folder.make_spare(spare)?;
            self.spare_next = spare;
            self.spares.push(spare);
        }
        Ok(())
    }

    fn checkpoint_size(&self) -> u64 {
        let states =
            |group: &Group| group.states.iter().flatten().map(|state| record::size_of(state.len())).sum::<usize>();
        self.groups.values().map(|group| (states(group) + record::size_of(0)) as u64).sum()
    }

    /// There is room (`make_room`). Written and synced on return.
    fn write(&mut self, folder: &Folder, batches: &[&[LogRecord]]) -> Result<()> {
        self.pay_states(folder)?;
        for record in batches.iter().flat_map(|records| records.iter()) {
            self.put(folder, record)?;
        }
        self.sync(folder)
    }

    fn header(&self, record: &LogRecord, kind: u8, flavor: u8) -> Header {
        let LogRecord { group, index, term, .. } = *record;
        Header { file: self.file.number, group, index, term, synced: self.synced, kind, flavor, flags: 0 }
    }

    fn put(&mut self, folder: &Folder, record: &LogRecord) -> Result<()> {
        let header = match &record.body {
            Body::Entry { flavor, payload } => {
                return self.put_entry(folder, self.header(record, record::KIND_ENTRY, *flavor), payload);
            }
            Body::Truncate => self.header(record, record::KIND_TRUNCATE, 0),
            Body::State { number, payload } => {
                assert!(*number < STATES_MAX && payload.len() <= STATE_BYTES_MAX, "a group's states are few and small");
                let group = self.groups.entry(record.group).or_default();
                group.states[usize::from(*number)] = Some(payload.clone());
                self.header(record, record::KIND_STATE, *number)
            }
        };
        let payload = match &record.body {
            Body::State { payload, .. } => &payload[..],
            _ => &[],
        };
        self.put_whole(folder, header, payload)
    }

    fn room(&self, folder: &Folder) -> usize {
        (folder.file_bytes - self.offset) as usize - self.buffer.len()
    }

    fn put_whole(&mut self, folder: &Folder, header: Header, payload: &[u8]) -> Result<()> {
        if record::size_of(payload.len()) > self.room(folder) {
            self.next_file(folder)?;
        }
        record::encode(&mut self.buffer, &Header { file: self.file.number, ..header }, payload);
        Ok(())
    }

    fn put_entry(&mut self, folder: &Folder, header: Header, payload: &[u8]) -> Result<()> {
        let mut rest = payload;
        let mut flags = 0;
        loop {
            let room = self.room(folder);
            let piece = record::payload_that_fits(room).min(rest.len());
            // An entry without a payload needs its header's room, too.
            if room < HEADER || piece < rest.len() && piece < PIECE_MIN {
                self.next_file(folder)?;
                continue;
            }
            let (now, later) = rest.split_at(piece);
            flags = (flags & record::CONTINUES) | if later.is_empty() { 0 } else { record::GOES_ON };
            record::encode(&mut self.buffer, &Header { file: self.file.number, flags, ..header }, now);
            self.note_index(header.group, header.index);
            if later.is_empty() {
                return Ok(());
            }
            rest = later;
            flags = record::CONTINUES;
        }
    }

    fn note_index(&mut self, group: u64, index: u64) {
        if let Some((_, indexes)) = self.files.back_mut() {
            let greatest = indexes.entry(group).or_default();
            *greatest = index.max(*greatest);
        }
    }

    fn flush_buffer(&mut self) -> Result<()> {
        self.file.file.write_all_at(&self.buffer, self.offset).map_err(|error| of_io("log write", error))?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        if self.buffer.capacity() > BUFFER_KEPT {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    fn sync(&mut self, folder: &Folder) -> Result<()> {
        self.flush_buffer()?;
        self.sync_file()?;
        // Not at a change of files in the middle of a batch: the mark speaks of whole batches.
        self.synced = self.file.number * folder.file_bytes + self.offset;
        Ok(())
    }

    fn sync_file(&self) -> Result<()> {
        if bugs::is_on(Bug::AckBeforeSync) {
            return Ok(());
        }
        match self.file.file.sync_data() {
            Err(_) if bugs::is_on(Bug::SyncFailureIgnored) => Ok(()),
            synced => synced.map_err(|error| of_io("log sync", error)),
        }
    }

    /// Marks the end of this file, syncs it, and begins the next with every group's states.
    fn next_file(&mut self, folder: &Folder) -> Result<()> {
        if self.room(folder) >= HEADER {
            let (file, synced) = (self.file.number, self.synced);
            let end = Header { file, group: 0, index: 0, term: 0, synced, kind: record::KIND_END, flavor: 0, flags: 0 };
            record::encode(&mut self.buffer, &end, &[]);
        }
        self.flush_buffer()?;
        self.sync_file()?;
        let number = self.file.number + 1;
        let file = match self.spares.pop() {
            Some(spare) => folder.take_spare(spare, number)?,
            None => folder.create_file(number, folder.file_bytes)?,
        };
        self.file = Arc::new(file);
        self.offset = 0;
        self.files.push_back((number, BTreeMap::new()));
        self.put_states();
        Ok(())
    }

    fn put_states(&mut self) {
        self.owes_states = false;
        let (file, synced) = (self.file.number, self.synced);
        for (id, group) in &self.groups {
            let header =
                Header { file, group: *id, index: 0, term: 0, synced, kind: record::KIND_STATE, flavor: 0, flags: 0 };
            for (number, state) in (0..).zip(&group.states) {
                if let Some(state) = state {
                    record::encode(&mut self.buffer, &Header { flavor: number, ..header }, state);
                }
            }
            // What is purged is in the segment, durably; so it may be said at any time.
            if let Some((index, term)) = group.purged {
                record::encode(&mut self.buffer, &Header { kind: record::KIND_PURGE, index, term, ..header }, &[]);
            }
        }
    }

    fn pay_states(&mut self, folder: &Folder) -> Result<()> {
        if !self.owes_states {
            return Ok(());
        }
        if self.checkpoint_size() > self.room(folder) as u64 {
            return self.next_file(folder);
        }
        self.put_states();
        Ok(())
    }

    fn purge_records(&self) -> Vec<(u64, u64, u64)> {
        self.groups.iter().filter_map(|(id, group)| group.purged.map(|(index, term)| (*id, index, term))).collect()
    }

    fn write_purges(&mut self, folder: &Folder, purges: &[(u64, u64, u64)]) -> Result<()> {
        self.pay_states(folder)?;
        for (group, index, term) in purges.iter().copied() {
            let record = LogRecord { group, index, term, body: Body::Truncate };
            let header = self.header(&record, record::KIND_PURGE, 0);
            self.put_whole(folder, header, &[])?;
        }
        self.sync(folder)
    }

    fn drop_oldest(&mut self, folder: &Folder, count: usize) -> Result<()> {
        for _ in 0..count {
            let Some((number, _)) = self.files.pop_front() else { break };
            // Only a whole file needs no space when it is written again.
            let is_whole = folder.open_file(number)?.zeroed() == folder.file_bytes;
            if self.spares.len() < SPARES_MAX && is_whole {
                self.spare_next += 1;
                folder.recycle(number, self.spare_next)?;
                self.spares.push(self.spare_next);
            } else {
                folder.remove(number)?;
            }
        }
        Ok(())
    }
}
