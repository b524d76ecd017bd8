//! Groups of one member on a real log.

use super::*;
use parking_lot::Condvar;
use std::time::Instant;

/// A replica that queues strings, applies them to a list and notes what it is told.
#[derive(Default)]
struct Notes {
    state: Mutex<State>,
    changed: Condvar,
    /// The list up to here is "in the segment".
    flushed: AtomicU64,
}

#[derive(Default, Clone)]
struct State {
    open: Vec<u8>,
    applied: Vec<(u64, u64, Bytes)>,
    /// The last entry applied before the last round ended.
    round_of: u64,
    started: Vec<u64>,
    stopped: Vec<u64>,
}

impl Notes {
    fn queue(&self, byte: u8) {
        self.state.lock().open.push(byte);
    }

    fn wait(&self, what: &str, is_so: impl Fn(&State) -> bool) -> State {
        let mut state = self.state.lock();
        while !is_so(&state) {
            assert!(!self.changed.wait_for(&mut state, Duration::from_secs(20)).timed_out(), "{what} did not happen");
        }
        state.clone()
    }

    fn bytes(&self) -> Vec<u8> {
        self.state.lock().applied.iter().flat_map(|(_, _, entry)| entry.to_vec()).collect()
    }
}

impl Replica for Notes {
    fn next_batch(&self, _: u64) -> Option<Bytes> {
        let open = std::mem::take(&mut self.state.lock().open);
        (!open.is_empty()).then(|| open.into())
    }
    fn has_batch(&self, _: u64) -> bool {
        !self.state.lock().open.is_empty()
    }
    fn apply(&self, index: u64, term: u64, entry: Bytes) {
        let mut state = self.state.lock();
        assert!(state.applied.last().is_none_or(|(last, ..)| *last < index), "in log order, once");
        state.applied.push((index, term, entry));
        self.changed.notify_all();
    }
    fn applied_round(&self) {
        let mut state = self.state.lock();
        state.round_of = state.applied.last().map_or(0, |(index, ..)| *index);
        drop(state);
        self.changed.notify_all();
    }
    fn leader_started(&self, term: u64) {
        self.state.lock().started.push(term);
        self.changed.notify_all();
    }
    fn leader_stopped(&self, term: u64) {
        self.state.lock().stopped.push(term);
        self.changed.notify_all();
    }
    fn flushed(&self) -> u64 {
        self.flushed.load(Ordering::SeqCst)
    }
}

fn node(folder: &tempfile::TempDir) -> RaftNode {
    let wal = WalOptions { file_bytes: 1 << 20, first_zeroed: 1 << 16, ..WalOptions::new(folder.path().join("log")) };
    RaftNode::start(NodeOptions { node_id: 1, host: Host::real(), wal, spawn: None }).unwrap()
}

fn add(node: &RaftNode, id: u64, notes: &Arc<Notes>) -> Group {
    node.add_group_blocking(GroupOptions { id, replica: notes.clone(), is_busy: id > 1 }).unwrap()
}

#[test]
fn a_new_group_leads_and_applies_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let (meta, data) = (Arc::new(Notes::default()), Arc::new(Notes::default()));
    let groups = [add(&node, 1, &meta), add(&node, 2, &data)];
    assert!(node.is_inline());
    let term = data.wait("leadership", |state| !state.started.is_empty()).started[0];
    meta.wait("leadership", |state| !state.started.is_empty());
    assert_eq!((groups[1].read_lease(), groups[1].leader()), (Some(term), Some(1)));
    let expected: Vec<u8> = (0..200).collect();
    for byte in &expected {
        data.queue(*byte);
        groups[1].wake();
    }
    data.wait("all applied", |state| state.applied.iter().map(|(_, _, entry)| entry.len()).sum::<usize>() == 200);
    assert_eq!(data.bytes(), expected);
    let state = data.state.lock().clone();
    assert!(state.applied.iter().all(|(_, at, _)| *at == term));
    // Told after the entry, before the round.
    data.wait("the round's end", |state| state.applied.last().is_some_and(|(index, ..)| state.round_of == *index));
    assert_eq!(groups[1].applied(), state.applied.last().unwrap().0);
    assert!(meta.bytes().is_empty());
    node.stop();
    assert_eq!(data.state.lock().stopped, [term]);
}

#[test]
fn a_restart_applies_from_the_flushed_index_and_leads_a_new_term_quickly() {
    let folder = tempfile::tempdir().unwrap();
    let mut terms = Vec::new();
    let mut expected = Vec::new();
    let mut flushed = (0, 0);
    for round in 0..4_u8 {
        let notes = Arc::new(Notes::default());
        notes.flushed.store(flushed.0, Ordering::SeqCst);
        let begun = Instant::now();
        let node = node(&folder);
        let group = add(&node, 2, &notes);
        let state = notes.wait("leadership", |state| !state.started.is_empty());
        assert!(begun.elapsed() < Duration::from_millis(300), "led after {:?}", begun.elapsed());
        terms.push(state.started[0]);
        // Everything above the flushed index is applied before it leads.
        assert_eq!(notes.bytes(), expected[flushed.1..]);
        for byte in 0..10 {
            notes.queue(round * 10 + byte);
            group.wake();
            expected.push(round * 10 + byte);
        }
        let length = expected.len() - flushed.1;
        let size = |state: &State| state.applied.iter().map(|(_, _, entry)| entry.len()).sum::<usize>();
        let state = notes.wait("all applied", |state| size(state) == length);
        if round == 1 {
            flushed = (state.applied.last().unwrap().0, expected.len());
        }
        drop(node);
    }
    assert!(terms.is_sorted_by(|a, b| a < b), "{terms:?}");
}

#[test]
fn the_log_is_purged_up_to_the_flushed_index() {
    let folder = tempfile::tempdir().unwrap();
    let first = node(&folder);
    let notes = Arc::new(Notes::default());
    let group = add(&first, 2, &notes);
    let files = || std::fs::read_dir(folder.path().join("log")).unwrap().count();
    notes.wait("leadership", |state| !state.started.is_empty());
    // 6 MB through files of 1 MB.
    for round in 0..60_usize {
        notes.state.lock().open.extend(std::iter::repeat_n(round as u8, 100_000));
        group.wake();
        let wanted = (round + 1) * 100_000;
        notes.wait("applied", |state| state.applied.iter().map(|(_, _, entry)| entry.len()).sum::<usize>() == wanted);
    }
    assert!(files() >= 6);
    notes.flushed.store(group.applied(), Ordering::SeqCst);
    let begun = Instant::now();
    while files() > 4 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} files are left", files());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let last = group.applied();
    drop((group, first));
    let again = Arc::new(Notes::default());
    again.flushed.store(last, Ordering::SeqCst);
    let second = node(&folder);
    let group = add(&second, 2, &again);
    again.wait("leadership", |state| !state.started.is_empty());
    assert!(again.bytes().is_empty() && group.applied() > last);
}

/// `performance.md` §4.4: the switch to the log thread falls into running work.
/// `reaches`, both ways: what is missing between segment and log is told, never taken for nothing.
#[test]
fn a_segment_that_the_log_does_not_reach_is_refused() {
    for (flushed, purged, last, is_sound) in [
        (0, 0, 0, true),
        (0, 0, 7, true),
        (5, 5, 5, true),
        (6, 5, 9, true),
        (5, 0, 4, false),
        (0, 5, 9, false),
        (4, 5, 9, false),
        (10, 5, 9, false),
    ] {
        let answer = super::reaches(2, flushed, purged, last);
        assert_eq!(answer.is_ok(), is_sound, "{flushed} of {purged}..={last}: {answer:?}");
    }
}

#[test]
fn the_switch_to_the_log_thread_under_load_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let notes = Arc::new(Notes::default());
    let group = add(&node, 2, &notes);
    notes.wait("leadership", |state| !state.started.is_empty());
    let mut expected = Vec::new();
    for round in 0..2000_u32 {
        notes.queue(round as u8);
        expected.push(round as u8);
        group.wake();
        if round % 97 == 0 {
            node.set_inline(!node.is_inline());
        }
    }
    notes.wait("all applied", |state| state.applied.iter().map(|(_, _, entry)| entry.len()).sum::<usize>() == 2000);
    assert_eq!(notes.bytes(), expected);
}

/// I1 and I3 of `ahead`: the log is written by sessions' threads, by the proposer and by openraft in turns.
#[test]
fn who_drives_the_log_beside_the_proposer_loses_nothing_and_a_restart_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = node(&folder);
    let notes = Arc::new(Notes::default());
    let group = add(&first, 2, &notes);
    notes.wait("leadership", |state| !state.started.is_empty());
    let size = |state: &State| state.applied.iter().map(|(_, _, entry)| entry.len()).sum::<usize>();
    std::thread::scope(|scope| {
        for thread in 0..3_u8 {
            let (notes, group, first) = (&notes, &group, &first);
            scope.spawn(move || {
                for round in 0..200_usize {
                    notes.queue(thread);
                    match thread == 0 || round % 3 == 0 {
                        true => group.drive(),
                        false => group.wake(),
                    }
                    if thread == 2 && round % 17 == 0 {
                        first.set_inline(!first.is_inline());
                    }
                    // As a session waits for its answer.
                    notes.wait("its own", |state| {
                        let all = state.applied.iter().flat_map(|(_, _, entry)| entry);
                        all.filter(|byte| **byte == thread).count() > round
                    });
                }
            });
        }
    });
    let state = notes.wait("all applied", |state| {
        size(state) == 600 && state.applied.last().is_some_and(|(index, ..)| state.round_of == *index)
    });
    assert_eq!(group.applied(), state.applied.last().unwrap().0);
    assert!(state.applied.is_sorted_by(|(a, ..), (b, ..)| a + 1 == *b), "no index is left out");
    drop((group, first));
    let again = Arc::new(Notes::default());
    let second = node(&folder);
    let group = add(&second, 2, &again);
    again.wait("leadership", |state| !state.started.is_empty());
    assert_eq!(again.bytes(), notes.bytes());
    // What one thread drives alone is applied when the call returns.
    for byte in 0..100 {
        again.queue(byte);
        group.drive();
        again.wait("applied", |state| state.applied.last().unwrap().2 == [byte][..]);
    }
}

#[test]
fn a_commit_that_is_driven_is_applied_on_return_and_openraft_follows() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let notes = Arc::new(Notes::default());
    let group = add(&node, 2, &notes);
    notes.wait("leadership", |state| !state.started.is_empty());
    let mut here = 0;
    for byte in 0..200_u8 {
        // However slow the disk is.
        node.groups.lock()[0].shared.last_write_us.store(0, Ordering::SeqCst);
        notes.queue(byte);
        group.drive();
        here += usize::from(notes.state.lock().applied.len() > usize::from(byte));
        notes.wait("applied", |state| state.applied.len() > usize::from(byte));
    }
    // Now and then the proposer is just looking.
    assert!(here > 100, "{here} of 200");
    // Purged up to the last: openraft was handed them all. (`Group::applied` may still be on its way there.)
    let last = notes.state.lock().applied.last().unwrap().0;
    notes.flushed.store(last, Ordering::SeqCst);
    let begun = Instant::now();
    let purged = || node.groups.lock()[0].shared.log.lock().entries.is_empty();
    while !purged() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never handed over");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// I2 of `ahead`.
#[tokio::test]
async fn a_second_entry_under_an_index_stops_the_node() {
    use openraft::storage::{IOFlushed, RaftLogStorage};
    let folder = tempfile::tempdir().unwrap();
    let (answer, got) = std::sync::mpsc::channel();
    let fatal: storage::Fatal = Arc::new(move |error| drop(answer.send(error.to_string())));
    let wal = WalOptions { fatal: fatal.clone(), ..WalOptions::new(folder.path().join("log")) };
    let (wal, _) = Wal::open(&Host::real(), wal).unwrap();
    let files = Host::real().files;
    let common = Arc::new(NodeShared { wal, files, is_inline: AtomicBool::new(true), fatal });
    let replica: Arc<dyn Replica> = Arc::new(Notes::default());
    let options = GroupOptions { id: 2, replica, is_busy: true };
    let shared = Arc::new(restore(1, common, &options, GroupLog::default()).unwrap());
    let mine = LogEntry { log_id: types::log_id(1, 1), payload: Payload::Normal(Batch(Bytes::from_static(b"mine"))) };
    shared.log.lock().push(mine.clone());
    let mut log = Log(shared);
    log.append([mine.clone()], IOFlushed::noop()).await.unwrap();
    assert!(got.try_recv().is_err());
    let other = LogEntry { payload: Payload::Blank, ..mine };
    assert!(log.append([other], IOFlushed::noop()).await.is_err());
    assert!(got.recv().unwrap().contains("a second entry"));
}

#[test]
fn a_second_busy_group_takes_the_log_to_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(&folder);
    let notes: Vec<Arc<Notes>> = (0..3).map(|_| Arc::default()).collect();
    let groups: Vec<Group> = (0..3).map(|id| add(&node, id + 1, &notes[id as usize])).collect();
    assert!(!node.is_inline());
    for (group, notes) in groups.iter().zip(&notes) {
        notes.wait("leadership", |state| !state.started.is_empty());
        for byte in 0..100 {
            notes.queue(byte);
            group.wake();
        }
    }
    for notes in &notes {
        notes.wait("all applied", |state| state.applied.iter().map(|(_, _, entry)| entry.len()).sum::<usize>() == 100);
        assert!(notes.bytes().is_sorted());
    }
}

/// A disk with so much space left for growing files.
struct Limited {
    space: Arc<Mutex<u64>>,
}

struct LimitedFile(Box<dyn host::File>, Arc<Mutex<u64>>);

impl host::File for LimitedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let grows = (offset + bytes.len() as u64).saturating_sub(self.0.size()?);
        let mut space = self.1.lock();
        *space = space.checked_sub(grows).ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
        self.0.write_all_at(bytes, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_size(size)
    }
}

impl host::Files for Limited {
    fn open(&self, path: &std::path::Path, create: bool) -> io::Result<Box<dyn host::File>> {
        Ok(Box::new(LimitedFile(host::RealFiles.open(path, create)?, self.space.clone())))
    }
    fn exists(&self, path: &std::path::Path) -> bool {
        host::RealFiles.exists(path)
    }
    fn list(&self, folder: &std::path::Path) -> io::Result<Vec<String>> {
        host::RealFiles.list(folder)
    }
    fn create_folder(&self, folder: &std::path::Path) -> io::Result<()> {
        host::RealFiles.create_folder(folder)
    }
    fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> io::Result<()> {
        host::RealFiles.rename(from, to)
    }
    fn remove(&self, path: &std::path::Path) -> io::Result<()> {
        host::RealFiles.remove(path)
    }
    fn sync_folder(&self, folder: &std::path::Path) -> io::Result<()> {
        host::RealFiles.sync_folder(folder)
    }
    fn read(&self, path: &std::path::Path) -> io::Result<Vec<u8>> {
        host::RealFiles.read(path)
    }
    fn lock(&self, path: &std::path::Path) -> io::Result<Option<host::files::FileLock>> {
        host::RealFiles.lock(path)
    }
    fn replace(&self, path: &std::path::Path, content: &[u8]) -> io::Result<()> {
        host::RealFiles.replace(path, content)
    }
}

#[test]
fn a_full_disk_holds_batches_back_says_so_and_heals() {
    let folder = tempfile::tempdir().unwrap();
    let space = Arc::new(Mutex::new(3 << 20));
    let host = Host { files: Arc::new(Limited { space: space.clone() }), ..Host::real() };
    let wal = WalOptions { file_bytes: 1 << 20, first_zeroed: 1 << 16, ..WalOptions::new(folder.path().join("log")) };
    let node = RaftNode::start(NodeOptions { node_id: 1, host, wal, spawn: None }).unwrap();
    let notes = Arc::new(Notes::default());
    let group = add(&node, 2, &notes);
    notes.wait("leadership", |state| !state.started.is_empty());
    let begun = Instant::now();
    let mut queued = 0_usize;
    while group.has_room() {
        notes.state.lock().open.extend(std::iter::repeat_n(9, 10_000));
        queued += 10_000;
        group.wake();
        assert!(begun.elapsed() < Duration::from_secs(20), "never full");
        std::thread::park_timeout(Duration::from_millis(2));
    }
    // What was queued already waits; reads go on.
    notes.state.lock().open.extend(std::iter::repeat_n(9, 900_000));
    queued += 900_000;
    group.wake();
    std::thread::park_timeout(Duration::from_millis(200));
    let size = |state: &State| state.applied.iter().map(|(_, _, entry)| entry.len()).sum::<usize>();
    assert!(size(&notes.state.lock()) < queued && group.read_lease().is_some());
    *space.lock() = 100 << 20;
    notes.wait("all applied", |state| size(state) == queued);
    while !group.has_room() {
        assert!(begun.elapsed() < Duration::from_secs(40), "never healed");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert!(notes.state.lock().stopped.is_empty());
}

/// A replica over a real segment: entry = one key, its value the entry's bytes.
struct Rows {
    segment: storage::segment::Segment,
    notes: Notes,
}

impl Replica for Rows {
    fn next_batch(&self, term: u64) -> Option<Bytes> {
        self.notes.next_batch(term)
    }
    fn has_batch(&self, term: u64) -> bool {
        self.notes.has_batch(term)
    }
    fn apply(&self, index: u64, term: u64, entry: Bytes) {
        let key = Bytes::copy_from_slice(&(index % 7).to_be_bytes());
        let mutation =
            storage::Mutation { relation: storage::StorageId(1), key, value: Some(entry.slice(..entry.len().min(1))) };
        self.segment.apply(index, storage::Timestamp(index), &[mutation]);
        self.notes.apply(index, term, entry);
    }
    fn applied_round(&self) {
        self.notes.applied_round();
    }
    fn leader_started(&self, term: u64) {
        self.notes.leader_started(term);
    }
    fn leader_stopped(&self, term: u64) {
        self.notes.leader_stopped(term);
    }
    fn flushed(&self) -> u64 {
        self.segment.flushed()
    }
}

#[test]
fn a_segment_and_its_log_come_back_together_however_far_it_was_flushed() {
    use storage::segment::{Direction, Segment, SegmentOptions};
    let folder = tempfile::tempdir().unwrap();
    let mut expected: BTreeMap<u64, u8> = BTreeMap::new();
    let mut last = 0;
    for round in 0..8_u8 {
        let options =
            SegmentOptions { map_size: 1 << 28, ..SegmentOptions::on_disk(folder.path().join("data"), "data") };
        let (segment, recovered) = Segment::open(Host::real(), options).unwrap();
        let rows = Arc::new(Rows { segment: segment.clone(), notes: Notes::default() });
        let node = node(&folder);
        let replica: Arc<dyn Replica> = rows.clone();
        let group = node.add_group_blocking(GroupOptions { id: 2, replica, is_busy: true }).unwrap();
        rows.notes.wait("leadership", |state| !state.started.is_empty());
        assert!(segment.applied() >= last && recovered.applied <= last);
        let view = segment.view().unwrap();
        let all = storage::KeyRange::all();
        let mut cursor = view.cursor(storage::StorageId(1), &all, storage::Timestamp::MAX, Direction::Forward).unwrap();
        let mut found = BTreeMap::new();
        while let Some(entry) = cursor.next().unwrap() {
            found.insert(u64::from_be_bytes(entry.key.try_into().unwrap()), entry.value[0]);
        }
        assert_eq!(found, expected, "round {round}");
        drop(cursor);
        drop(view);
        for byte in 0..20 {
            rows.notes.queue(round * 20 + byte);
            group.wake();
            if byte == 11 && round % 2 == 0 {
                segment.flush().unwrap();
            }
        }
        let size = |state: &State| state.applied.iter().map(|(_, _, entry)| entry.len()).sum::<usize>();
        let is_whole =
            |state: &State| state.applied.iter().any(|(_, _, entry)| entry.last() == Some(&(round * 20 + 19)));
        let state = rows.notes.wait("all applied", |state| size(state) >= 20 && is_whole(state));
        for (index, _, entry) in &state.applied {
            expected.insert(index % 7, entry[0]);
            last = *index;
        }
        // No flush at the end: a crash for the segment.
        node.stop();
        drop((group, node));
    }
}

#[test]
fn a_panic_in_apply_stops_the_node() {
    struct Panics(Notes);
    impl Replica for Panics {
        fn next_batch(&self, term: u64) -> Option<Bytes> {
            self.0.next_batch(term)
        }
        fn has_batch(&self, term: u64) -> bool {
            self.0.has_batch(term)
        }
        fn apply(&self, _: u64, _: u64, _: Bytes) {
            panic!("an invariant broke");
        }
        fn applied_round(&self) {}
        fn leader_started(&self, term: u64) {
            self.0.leader_started(term);
        }
        fn leader_stopped(&self, _: u64) {}
        fn flushed(&self) -> u64 {
            0
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (answer, got) = std::sync::mpsc::channel();
    let fatal: storage::Fatal = Arc::new(move |error| drop(answer.send(error.to_string())));
    let wal =
        WalOptions { file_bytes: 1 << 20, first_zeroed: 1 << 16, fatal, ..WalOptions::new(folder.path().join("log")) };
    let node = RaftNode::start(NodeOptions { node_id: 1, host: Host::real(), wal, spawn: None }).unwrap();
    let rows = Arc::new(Panics(Notes::default()));
    let replica: Arc<dyn Replica> = rows.clone();
    let group = node.add_group_blocking(GroupOptions { id: 2, replica, is_busy: true }).unwrap();
    rows.0.wait("leadership", |state| !state.started.is_empty());
    rows.0.queue(1);
    group.wake();
    assert!(got.recv_timeout(Duration::from_secs(20)).unwrap().contains("panic"));
}
