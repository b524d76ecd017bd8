//! One suite that every engine passes: delta and base together behave as a plain map of versions, whatever flushes,
//! collections and reopenings come between.

use super::*;
use crate::{KeyRange, Mutation, StorageError, StorageId, Timestamp};
use host::Host;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// An engine under test: how a segment is opened on what an earlier one left.
enum Ground {
    Disk(tempfile::TempDir),
    Memory(Arc<MemoryStore>),
}

impl Ground {
    fn both() -> [Ground; 2] {
        [Ground::Disk(tempfile::tempdir().unwrap()), Ground::Memory(MemoryStore::new())]
    }

    fn options(&self) -> SegmentOptions {
        let options = match self {
            Ground::Disk(folder) => SegmentOptions::on_disk(folder.path().join("segment"), "test"),
            Ground::Memory(store) => {
                SegmentOptions { memory: Some(store.clone()), ..SegmentOptions::in_memory("test") }
            }
        };
        SegmentOptions { history_us: 0, map_size: 1 << 30, flush_after: Duration::from_secs(3600), ..options }
    }

    fn open(&self) -> (Segment, Recovered) {
        Segment::open(Host::real(), self.options()).unwrap()
    }
}

const R: StorageId = StorageId(7);

fn put(key: &[u8], value: &str) -> Mutation {
    let value = Some(Bytes::copy_from_slice(value.as_bytes()));
    Mutation { relation: R, key: Bytes::copy_from_slice(key), value }
}

fn delete(key: &[u8]) -> Mutation {
    Mutation { relation: R, key: Bytes::copy_from_slice(key), value: None }
}

fn get(segment: &Segment, key: &[u8], at: u64) -> Option<String> {
    let view = segment.view().unwrap();
    view.get(R, key, Timestamp(at)).unwrap().map(|version| String::from_utf8(version.value.to_vec()).unwrap())
}

fn scan(segment: &Segment, range: &KeyRange, at: u64, direction: Direction) -> Vec<(Vec<u8>, Vec<u8>, u64)> {
    let view = segment.view().unwrap();
    let mut cursor = view.cursor(R, range, Timestamp(at), direction).unwrap();
    let mut rows = Vec::new();
    while let Some(entry) = cursor.next().unwrap() {
        rows.push((entry.key.to_vec(), entry.value.to_vec(), entry.ts.0));
    }
    let mut cursor = view.cursor(R, range, Timestamp(at), direction).unwrap();
    let (mut by_block, mut has_more) = (Vec::new(), true);
    while has_more {
        let mut block = Block::with_capacity(3);
        has_more = cursor.fill(&mut block, 3, 1 << 20).unwrap();
        by_block.extend(block.iter().map(|entry| (entry.key.to_vec(), entry.value.to_vec(), entry.ts.0)));
    }
    assert_eq!(rows, by_block);
    if *range == KeyRange::all()
        && let Some(count) = view.count_by_changes(R, Timestamp(at)).unwrap()
    {
        assert_eq!(count, rows.len() as u64, "at {at}");
    }
    rows
}

#[test]
fn a_version_is_read_at_its_time_before_and_after_flushes() {
    for ground in Ground::both() {
        let (segment, recovered) = ground.open();
        assert_eq!(recovered.applied, 0);
        segment.apply(1, Timestamp(10), &[put(b"a", "a10"), put(b"b", "b10")]);
        segment.flush().unwrap();
        segment.apply(2, Timestamp(20), &[put(b"a", "a20"), delete(b"b")]);
        for _ in 0..2 {
            assert_eq!(get(&segment, b"a", 9), None);
            assert_eq!(get(&segment, b"a", 10).as_deref(), Some("a10"));
            assert_eq!(get(&segment, b"a", 19).as_deref(), Some("a10"));
            assert_eq!(get(&segment, b"a", 20).as_deref(), Some("a20"));
            assert_eq!(get(&segment, b"b", 19).as_deref(), Some("b10"));
            assert_eq!(get(&segment, b"b", 20), None);
            let view = segment.view().unwrap();
            let newest = view.newest(R, b"b").unwrap().unwrap();
            assert!(newest.ts == Timestamp(20) && newest.value.is_none());
            assert!(view.newest(R, b"c").unwrap().is_none());
            let changed = |since| view.changed_since(R, &KeyRange::all(), Timestamp(since)).unwrap();
            assert_eq!((changed(19), changed(20)), (Some(Timestamp(20)), None));
            let point = |key| view.changed_since(R, &KeyRange::point(key), Timestamp(10)).unwrap();
            assert_eq!((point(b"b"), point(b"c")), (Some(Timestamp(20)), None));
            drop(view);
            segment.flush().unwrap();
        }
        assert_eq!((segment.applied(), segment.flushed(), segment.rows_estimate(R)), (2, 2, 1));
        // Nobody reads below 20 any more.
        segment.set_horizon(Timestamp(20));
        segment.apply(3, Timestamp(30), &[put(b"c", "c30")]);
        segment.flush().unwrap();
        assert_eq!(segment.verify().unwrap(), Verified { relations: 1, rows: 2, history_rows: 0 });
        segment.close().unwrap();
    }
}

struct Image(parking_lot::Mutex<Bytes>);
impl StateImage for Image {
    fn image(&self) -> Bytes {
        self.0.lock().clone()
    }
}

#[test]
fn state_and_index_come_back_with_the_rows_they_belong_to() {
    for ground in Ground::both() {
        let (segment, _) = ground.open();
        let image = Arc::new(Image(parking_lot::Mutex::new("one".into())));
        segment.set_image(image.clone());
        segment.apply(5, Timestamp(1), &[put(b"k", "one")]);
        segment.flush().unwrap();
        *image.0.lock() = "two".into();
        segment.apply(6, Timestamp(2), &[put(b"k", "two")]);
        drop(segment);
        let (segment, recovered) = ground.open();
        assert_eq!((recovered.applied, &recovered.state[..]), (5, &b"one"[..]));
        assert_eq!(get(&segment, b"k", 9).as_deref(), Some("one"));
    }
}

#[test]
fn long_keys_sort_by_the_whole_key() {
    let long = |last: &[u8]| [&[b'x'; 1950][..], last].concat();
    let keys: Vec<Vec<u8>> =
        (0..40_u8).map(|n| long(&[n.wrapping_mul(97), 1])).chain([b"a".to_vec(), b"z".to_vec()]).collect();
    for ground in Ground::both() {
        let (segment, _) = ground.open();
        let mutations: Vec<Mutation> = keys.iter().map(|key| put(key, "v")).collect();
        segment.apply(1, Timestamp(1), &mutations);
        let sorted: Vec<Vec<u8>> = keys.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        for _ in 0..2 {
            let rows = |range: &KeyRange, direction| -> Vec<Vec<u8>> {
                scan(&segment, range, 5, direction).into_iter().map(|(key, ..)| key).collect()
            };
            assert_eq!(rows(&KeyRange::all(), Direction::Forward), sorted);
            assert!(rows(&KeyRange::all(), Direction::Backward).into_iter().rev().eq(sorted.clone()));
            let range = KeyRange { start: sorted[7].clone().into(), end: Some(sorted[20].clone().into()) };
            assert_eq!(rows(&range, Direction::Forward), sorted[7..20]);
            assert_eq!(rows(&KeyRange::point(&sorted[9]), Direction::Backward), sorted[9..10]);
            assert!(keys.iter().all(|key| get(&segment, key, 5).is_some()));
            segment.flush().unwrap();
        }
        segment.apply(2, Timestamp(9), &[delete(&sorted[9])]);
        segment.flush().unwrap();
        assert_eq!(get(&segment, &sorted[9], 8).as_deref(), Some("v"));
        assert_eq!(scan(&segment, &KeyRange::all(), 8, Direction::Forward).len(), sorted.len());
        assert_eq!(scan(&segment, &KeyRange::all(), 9, Direction::Forward).len(), sorted.len() - 1);
        segment.verify().unwrap();
    }
}

#[test]
fn full_disk_refuses_the_flush_loses_nothing_and_heals() {
    let store = MemoryStore::new();
    let ground = Ground::Memory(store.clone());
    let (segment, _) = ground.open();
    store.set_full(true);
    segment.apply(1, Timestamp(1), &[put(b"a", "1")]);
    assert!(matches!(segment.flush(), Err(StorageError::DiskFull(_))));
    segment.apply(2, Timestamp(2), &[put(b"b", "2")]);
    assert!(matches!(segment.flush(), Err(StorageError::DiskFull(_))));
    assert_eq!(segment.flushed(), 0);
    assert_eq!((get(&segment, b"a", 9).as_deref(), get(&segment, b"b", 9).as_deref()), (Some("1"), Some("2")));
    store.set_full(false);
    segment.flush().unwrap();
    drop(segment);
    let (segment, recovered) = ground.open();
    assert_eq!(recovered.applied, 2);
    assert_eq!((get(&segment, b"a", 9).as_deref(), get(&segment, b"b", 9).as_deref()), (Some("1"), Some("2")));
}

/// `traps.md`: map_full_wrapped_error.
#[test]
fn map_full_wrapped_error() {
    let ground = Ground::Disk(tempfile::tempdir().unwrap());
    let small = SegmentOptions { map_size: 1 << 20, map_reserve: 0, ..ground.options() };
    let (segment, _) = Segment::open(Host::real(), small).unwrap();
    let row = "x".repeat(1000);
    let mutations: Vec<Mutation> = (0..3000_u32).map(|n| put(&n.to_be_bytes(), &row)).collect();
    segment.apply(1, Timestamp(1), &mutations);
    assert!(matches!(segment.flush(), Err(StorageError::DiskFull(_))));
    assert_eq!(scan(&segment, &KeyRange::all(), 1, Direction::Forward).len(), 3000);
    assert_eq!(segment.flushed(), 0);
    drop(segment);
    let (segment, recovered) = ground.open();
    assert_eq!(recovered.applied, 0);
    segment.apply(1, Timestamp(1), &mutations);
    segment.flush().unwrap();
    assert_eq!(scan(&segment, &KeyRange::all(), 1, Direction::Forward).len(), 3000);
}

/// `traps.md`: long_reader_bloat. A view is dropped by its reader; what the segment keeps pooled must not pin pages.
#[test]
fn long_reader_bloat() {
    let ground = Ground::Disk(tempfile::tempdir().unwrap());
    let (segment, _) = ground.open();
    let row = "x".repeat(200);
    let size = || {
        let Ground::Disk(folder) = &ground else { return 0 };
        std::fs::metadata(folder.path().join("segment/data.mdb")).unwrap().len()
    };
    let mut index = 0;
    let mut round = |segment: &Segment| {
        index += 1;
        segment.set_horizon(Timestamp(index));
        let mutations: Vec<Mutation> = (0..2000_u32).map(|n| put(&n.to_be_bytes(), &row)).collect();
        segment.apply(index, Timestamp(index), &mutations);
        segment.flush().unwrap();
        assert!(get(segment, &3_u32.to_be_bytes(), index).is_some());
    };
    (0..6).for_each(|_| round(&segment));
    let before = size();
    (0..20).for_each(|_| round(&segment));
    assert!(size() <= before + before / 2, "{before} grew to {}", size());
}

#[test]
fn a_dropped_relation_goes_with_its_retention_and_its_slot_is_used_again() {
    for ground in Ground::both() {
        let (segment, _) = ground.open();
        let mut index = 0;
        let mut slots = Vec::new();
        for id in 1..20_u32 {
            index += 1;
            let key = Bytes::from_static(b"k");
            let value = Some(Bytes::copy_from_slice(&id.to_le_bytes()));
            segment.apply(index, Timestamp(index), &[Mutation { relation: StorageId(id), key: key.clone(), value }]);
            segment.flush().unwrap();
            segment.drop_relation(StorageId(id));
            assert!(!segment.relations().contains(&StorageId(id)));
            // A snapshot from before the drop still reads it.
            let view = segment.view().unwrap();
            assert!(view.get(StorageId(id), b"k", Timestamp(index)).unwrap().is_some());
            drop(view);
            segment.set_horizon(Timestamp(index));
            index += 1;
            segment.apply(index, Timestamp(index), &[]);
            segment.flush().unwrap();
            let view = segment.view().unwrap();
            assert!(view.get(StorageId(id), b"k", Timestamp(index)).unwrap().is_none());
            slots.push(segment.slots());
        }
        assert_eq!(slots.last(), slots.get(2), "slots are used again: {slots:?}");
    }
}

/// The replicated state changes within an entry, in two steps; its image must never fall between them.
#[test]
fn the_image_is_of_the_same_moment_as_the_rows() {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    #[derive(Default)]
    struct TwoSteps {
        first: AtomicU64,
        second: AtomicU64,
        was_torn: AtomicBool,
    }
    impl StateImage for TwoSteps {
        fn image(&self) -> Bytes {
            let (first, second) = (self.first.load(Ordering::SeqCst), self.second.load(Ordering::SeqCst));
            self.was_torn.fetch_or(first != second, Ordering::SeqCst);
            Bytes::copy_from_slice(&first.to_le_bytes())
        }
    }
    for ground in Ground::both() {
        let (segment, _) = ground.open();
        let state = Arc::new(TwoSteps::default());
        segment.set_image(state.clone());
        let ends = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let flusher = scope.spawn(|| {
                while !ends.load(Ordering::SeqCst) {
                    segment.flush().unwrap();
                }
            });
            for index in 1..=400_u64 {
                let entry = segment.entry(index);
                state.first.store(index, Ordering::SeqCst);
                entry.write(Timestamp(index), &[put(b"k", &index.to_string())]);
                std::thread::sleep(Duration::from_micros(300));
                state.second.store(index, Ordering::SeqCst);
            }
            ends.store(true, Ordering::SeqCst);
            flusher.join().unwrap();
        });
        assert!(!state.was_torn.load(Ordering::SeqCst));
        drop(segment);
        let (segment, recovered) = ground.open();
        assert!(recovered.applied > 0);
        assert_eq!(recovered.state, recovered.applied.to_le_bytes()[..]);
        assert_eq!(get(&segment, b"k", u64::MAX), Some(recovered.applied.to_string()));
    }
}

/// Every entry writes all keys with one value, deletes another, and readers must see whole entries at each timestamp
/// that is applied, while flushes, collections and slot changes go on.
#[test]
fn readers_beside_writer_and_flusher_see_whole_entries() {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    const KEYS: u64 = 50;
    for ground in Ground::both() {
        let options = SegmentOptions { flush_rows: 700, ..ground.options() };
        let (segment, _) = Segment::open(Host::real(), options).unwrap();
        let (applied, ends) = (AtomicU64::new(0), AtomicBool::new(false));
        let reader = || {
            let mut reads = 0_u64;
            while !ends.load(Ordering::Acquire) || reads < 10 {
                let at = applied.load(Ordering::Acquire);
                if at == 0 {
                    continue;
                }
                let rows = scan(&segment, &KeyRange::all(), at, Direction::Forward);
                // One key is deleted by each entry, another comes back.
                assert_eq!(rows.len() as u64, KEYS - 1, "at {at}");
                assert!(rows.iter().all(|(_, value, ts)| *value == at.to_string().as_bytes() && *ts == at), "at {at}");
                let key = ((at + 1) % KEYS).to_be_bytes();
                assert_eq!(get(&segment, &key, at), Some(at.to_string()));
                assert_eq!(get(&segment, &(at % KEYS).to_be_bytes(), at), None);
                reads += 1;
            }
        };
        std::thread::scope(|scope| {
            let readers = [scope.spawn(reader), scope.spawn(reader)];
            for ts in 1..=2000_u64 {
                let mutation = |number: u64| match number == ts % KEYS {
                    true => delete(&number.to_be_bytes()),
                    false => put(&number.to_be_bytes(), &ts.to_string()),
                };
                let mutations: Vec<Mutation> = (0..KEYS).map(mutation).collect();
                segment.apply(ts, Timestamp(ts), &mutations);
                applied.store(ts, Ordering::Release);
                // A reader may have read `applied` a moment ago: nothing it can hold is collected.
                segment.set_horizon(Timestamp(ts.saturating_sub(500)));
            }
            ends.store(true, Ordering::Release);
            readers.into_iter().for_each(|reader| reader.join().unwrap());
        });
        segment.flush().unwrap();
        segment.verify().unwrap();
    }
}

/// A step of the random history.
#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u8, Option<u8>)>),
    Flush,
    Reopen,
    Horizon(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = prop::collection::vec((0..24_u8, prop::option::weighted(0.7, any::<u8>())), 1..8);
    let step = prop_oneof![
        6 => write.prop_map(Step::Write),
        2 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => any::<u8>().prop_map(Step::Horizon),
    ];
    prop::collection::vec(step, 1..40)
}

/// Prefix-free, some long with a common prefix, some of different lengths.
fn key(number: u8) -> Vec<u8> {
    match number % 4 {
        0 => [&[b'p'; 1900][..], &[number; 30], &[0]].concat(),
        1 => vec![b'p', number, 0],
        2 => [&[number.wrapping_mul(53) | 1; 5][..], &[0, 0]].concat(),
        _ => vec![b'q', 1, 1, number.wrapping_mul(91) | 1, 0],
    }
}

type Model = BTreeMap<Vec<u8>, Vec<(u64, Option<u8>)>>;

/// Long keys shown short.
fn shown(rows: Vec<(Vec<u8>, Vec<u8>, u64)>) -> Vec<(String, Vec<u8>, u64)> {
    let name = |key: &[u8]| format!("{:?}", if key.len() > 20 { &key[key.len() - 3..] } else { key });
    rows.into_iter().map(|(key, value, ts)| (name(&key), value, ts)).collect()
}

fn model_at(model: &Model, at: u64) -> Vec<(Vec<u8>, Vec<u8>, u64)> {
    let visible = |versions: &Vec<(u64, Option<u8>)>| versions.iter().rev().find(|(ts, _)| *ts <= at).copied();
    let rows = model.iter().filter_map(|(key, versions)| match visible(versions) {
        Some((ts, Some(value))) => Some((key.clone(), vec![value], ts)),
        _ => None,
    });
    rows.collect()
}

fn check_history(ground: &Ground, steps: &[Step], probes: &[(u8, u8, u8)]) {
    let (mut segment, _) = ground.open();
    let mut model = Model::new();
    // What each applied entry wrote, for replay after a reopening.
    let mut log: Vec<Vec<Mutation>> = Vec::new();
    let mut horizon = 0_u64;
    for step in steps {
        match step {
            Step::Write(writes) => {
                let ts = 10 * (log.len() as u64 + 1);
                let writes: BTreeMap<u8, Option<u8>> = writes.iter().copied().collect();
                let mutations: Vec<Mutation> = writes
                    .iter()
                    .map(|(number, value)| Mutation {
                        relation: R,
                        key: key(*number).into(),
                        value: value.map(|value| Bytes::copy_from_slice(&[value])),
                    })
                    .collect();
                for (number, value) in writes {
                    model.entry(key(number)).or_default().push((ts, value));
                }
                log.push(mutations.clone());
                segment.apply(log.len() as u64, Timestamp(ts), &mutations);
            }
            Step::Flush => segment.flush().unwrap(),
            Step::Reopen => {
                drop(segment);
                let recovered;
                (segment, recovered) = ground.open();
                segment.set_horizon(Timestamp(horizon));
                for index in recovered.applied..log.len() as u64 {
                    segment.apply(index + 1, Timestamp(10 * (index + 1)), &log[index as usize]);
                }
            }
            Step::Horizon(part) => {
                horizon = horizon.max(10 * log.len() as u64 * u64::from(*part) / 255);
                segment.set_horizon(Timestamp(horizon));
            }
        }
        let newest = 10 * log.len() as u64;
        for (at, from, to) in probes {
            let at = horizon + (newest + 5 - horizon) * u64::from(*at) / 255;
            let (from, to) = (key(from % 24), key(to % 24));
            let range = KeyRange { start: from.clone().into(), end: Some(to.clone().into()) };
            for range in [KeyRange::all(), range, KeyRange::point(&from)] {
                let expected =
                    shown(model_at(&model, at).into_iter().filter(|(key, ..)| range.contains(key)).collect());
                assert_eq!(shown(scan(&segment, &range, at, Direction::Forward)), expected, "at {at}");
                let mut backward = scan(&segment, &range, at, Direction::Backward);
                backward.reverse();
                assert_eq!(shown(backward), expected, "backward at {at}");
                let changed = model.iter().filter(|(key, _)| range.contains(key));
                let changed = changed.filter_map(|(_, versions)| versions.last()).any(|(ts, _)| *ts > at);
                let view = segment.view().unwrap();
                assert_eq!(view.changed_since(R, &range, Timestamp(at)).unwrap().is_some(), changed, "since {at}");
            }
            let view = segment.view().unwrap();
            let got = view.get(R, &to, Timestamp(at)).unwrap().map(|version| (version.value.to_vec(), version.ts.0));
            let expected = model_at(&model, at).into_iter().find(|(key, ..)| *key == to);
            assert_eq!(got, expected.map(|(_, value, ts)| (value, ts)), "get at {at}");
            let mut cursor = view.cursor(R, &KeyRange::all(), Timestamp(at), Direction::Forward).unwrap();
            cursor.seek(&from).unwrap();
            let got = cursor.next().unwrap().map(|entry| entry.key.to_vec());
            assert_eq!(got, model_at(&model, at).into_iter().map(|(key, ..)| key).find(|key| *key >= from));
        }
    }
    segment.flush().unwrap();
    segment.verify().unwrap();
    assert_eq!(segment.rows_estimate(R), model_at(&model, u64::MAX).len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn delta_over_base_is_a_map_of_versions(
        steps in steps(),
        probes in prop::collection::vec(any::<(u8, u8, u8)>(), 1..4),
    ) {
        for ground in Ground::both() {
            check_history(&ground, &steps, &probes);
        }
    }
}
