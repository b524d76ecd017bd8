//! Own writes, chunks of scans, large transactions, TEMP rows, past moments, restarts.

use super::*;

#[tokio::test]
async fn own_writes_unseen_by_their_own_command_only() {
    let node = node().await;
    node.given(&[("b", "old"), ("d", "old")]).await;
    let txn = node.serializable().await;
    write(&txn, "a", "1").await.expect("locked");
    lock(&txn, "b", LockMode::Update).await.expect("locked");
    txn.delete(&T, 0, b"b").expect("deleted");
    assert_eq!(get(&txn, "a").await.expect("read"), None, "INSERT ... SELECT never sees its own rows");
    assert_eq!(scan(&txn, "", "", Direction::Forward).await.expect("scanned"), ["b=old", "d=old"]);
    assert_eq!(lock(&txn, "a", LockMode::Update).await.expect("ours"), Some("1".into()), "a unique check does");
    txn.begin_statement().await.expect("next");
    assert_eq!(get(&txn, "a").await.expect("read"), Some("1".into()));
    assert_eq!(get(&txn, "b").await.expect("read"), None);
    assert_eq!(scan(&txn, "", "", Direction::Forward).await.expect("scanned"), ["a=1", "d=old"]);
    assert_eq!(scan(&txn, "", "", Direction::Backward).await.expect("scanned"), ["d=old", "a=1"]);
    let other = node.serializable().await;
    assert_eq!(get(&other, "a").await.expect("read"), None);
    txn.commit().await.expect("committed");
    assert_eq!(node.value("a").await, Some("1".into()), "and the session's next transaction sees it");
}

#[tokio::test]
async fn page_end_skips_rows_never() {
    // Committed rows and own ones, deletions among them, in chunks of every size, both ways.
    let node = node().await;
    let given: Vec<(String, String)> = (0..20).map(|n| (format!("{:02}", n * 2), "c".to_owned())).collect();
    let given: Vec<(&str, &str)> = given.iter().map(|(key, value)| (&key[..], &value[..])).collect();
    node.given(&given).await;
    let txn = node.serializable().await;
    let mut expected: Vec<String> = Vec::new();
    for n in 0..40 {
        let key = format!("{n:02}");
        match n % 5 {
            0 => txn.put(&T, 0, key.as_bytes(), b"own").expect("put"),
            3 => txn.delete(&T, 0, key.as_bytes()).expect("deleted"),
            _ => {}
        }
        match (n % 5, n % 2) {
            (0, _) => expected.push(format!("{key}=own")),
            (3, _) | (_, 1) => {}
            _ => expected.push(format!("{key}=c")),
        }
    }
    txn.next_command();
    let expected_from = |start: &str, end: &str| -> Vec<String> {
        expected.iter().filter(|row| &row[..2] >= start && (end.is_empty() || &row[..2] < end)).cloned().collect()
    };
    txn.begin_statement().await.expect("next");
    for chunk in [1, 2, 3, 7, 100] {
        for (start, end) in [("", ""), ("05", "33"), ("10", "11"), ("39", "")] {
            let mut rows = expected_from(start, end);
            assert_eq!(scan_by(&txn, start, end, Direction::Forward, chunk).await.expect("scanned"), rows);
            rows.reverse();
            assert_eq!(scan_by(&txn, start, end, Direction::Backward, chunk).await.expect("scanned"), rows);
        }
    }
}

fn small_parts() -> Limits {
    Limits { commit_bytes: 4096, stage_bytes: 1024, ..Limits::default() }
}

async fn count(node: &Node) -> usize {
    let txn = node.serializable().await;
    scan_by(&txn, "", "", Direction::Forward, 1000).await.expect("scanned").len()
}

#[tokio::test]
async fn large_transaction_travels_in_parts_and_appears_at_once() {
    let disk = Disk::default();
    let node = start(&disk, small_parts()).await;
    let txn = node.begin(Isolation::ReadCommitted).await;
    for n in 0..2000 {
        txn.put(&T, 0, format!("{n:06}").as_bytes(), b"value").expect("put");
    }
    let before = disk.logs[1].0.lock().len();
    let ts = txn.commit().await.expect("committed");
    let entries: Vec<usize> = disk.logs[1].0.lock()[before..].iter().map(|(_, entry)| entry.len()).collect();
    assert!(entries.len() > 20 && entries.iter().all(|size| *size < 3 * 1024), "{entries:?}");
    assert_eq!(count(&node).await, 2000);
    let (_, at) = node.gateway.get_latest(&T, 0, b"001999", |_, ts| ((), ts)).await.expect("read");
    assert_eq!(at, ts);
    drop(node);
    let node = start(&disk, small_parts()).await;
    assert_eq!(count(&node).await, 2000, "and again from the log");
}

#[tokio::test]
async fn large_transaction_refused_leaves_nothing() {
    let disk = Disk::default();
    let node = start(&disk, small_parts()).await;
    let txn = node.serializable().await;
    assert_eq!(get(&txn, "r").await.expect("read"), None);
    for n in 0..2000 {
        txn.put(&T, 0, format!("{n:06}").as_bytes(), b"value").expect("put");
    }
    node.given(&[("r", "1")]).await;
    assert!(is_conflict(&txn.commit().await.expect_err("r has changed")));
    assert_eq!(count(&node).await, 1);
    let view = node.gateway.shard(Home::Data).expect("data").segment().view().expect("a view");
    let mut parts =
        view.cursor(shard::machine::STAGED, &KeyRange::all(), Timestamp::MAX, Direction::Forward).expect("a cursor");
    assert!(parts.next().expect("readable").is_none(), "a tombstone dropped the parts");
}

#[tokio::test]
async fn wide_commit_in_flight_blocks_readers_lockers_and_validation() {
    use std::pin::pin;
    let node = start(&Disk::default(), small_parts()).await;
    node.given(&[("000100", "old")]).await;
    let (reader, checker) = (node.serializable().await, node.serializable().await);
    assert_eq!(get(&checker, "000100").await.expect("read"), Some("old".into()));
    assert_eq!(get(&reader, "000100").await.expect("read"), Some("old".into()));
    let txn = node.begin(Isolation::ReadCommitted).await;
    lock(&txn, "000100", LockMode::Update).await.expect("locked");
    for n in 0..1000 {
        txn.put(&T, 0, format!("{n:06}").as_bytes(), b"new").expect("put");
    }
    let mut commit = pin!(txn.commit());
    node.data.hold();
    // The parts go one by one; the commit itself stays in flight.
    for _ in 0..200 {
        assert!(poll(commit.as_mut()).is_none());
        let has_staged_all =
            node.gateway.shard(Home::Data).expect("data").in_flight() == 1 && !lock_is_held(&node, "000100").await;
        if has_staged_all {
            break;
        }
        node.data.step();
    }
    let late = node.serializable().await;
    let mut read = pin!(get(&late, "000500"));
    assert!(poll(read.as_mut()).is_none());
    let locker = node.begin(Isolation::ReadCommitted).await;
    let mut locks = pin!(lock(&locker, "000100", LockMode::Update));
    assert!(poll(locks.as_mut()).is_none());
    write(&checker, "zz", "1").await.expect("locked");
    let mut checks = pin!(checker.commit());
    assert!(poll(checks.as_mut()).is_none(), "it waits to see which rows");
    node.data.release();
    commit.await.expect("committed");
    assert_eq!(read.await.expect("read"), Some("new".into()));
    assert_eq!(locks.await.expect("locked"), Some("new".into()));
    assert!(is_conflict(&checks.await.expect_err("000100 was read")));
    assert_eq!(get(&reader, "000100").await.expect("read"), Some("old".into()), "a snapshot stays");
}

async fn lock_is_held(node: &Node, key: &str) -> bool {
    let row = shard::locks::RowKey::new(T.storage, key.as_bytes());
    let rows = node.gateway.shard(Home::Data).expect("data").rows().clone();
    let probe = shard::locks::Owner(u64::MAX);
    match rows.acquire(probe, &row, LockMode::KeyShare, WaitPolicy::NoWait) {
        shard::locks::Attempt::Granted(_) => {
            rows.release(probe, &row, None, &mut shard::wake::Wakeups::default());
            false
        }
        _ => true,
    }
}

#[tokio::test]
async fn temporary_rows_follow_their_transaction() {
    let node = node().await;
    let begin = |session| {
        let options = TxnOptions { session: SessionId(session), ..TxnOptions::default() };
        node.gateway.begin(options)
    };
    let read = |txn: Transaction| async move {
        txn.begin_statement().await.expect("begins");
        txn.get(&TEMP, 0, b"k", |value, _| value.map(text)).await.expect("read")
    };
    let txn = begin(1);
    txn.begin_statement().await.expect("begins");
    txn.put(&TEMP, 0, b"k", b"1").expect("put");
    let savepoint = txn.savepoint();
    txn.put(&TEMP, 0, b"k", b"2").expect("put");
    txn.rollback_to(savepoint);
    write(&txn, "a", "1").await.expect("locked");
    txn.commit().await.expect("committed");
    assert_eq!(read(begin(1)).await, Some("1".into()));
    assert_eq!(read(begin(2)).await, None, "another session has its own");
    let txn = begin(1);
    txn.begin_statement().await.expect("begins");
    txn.put(&TEMP, 0, b"k", b"3").expect("put");
    txn.rollback();
    assert_eq!(read(begin(1)).await, Some("1".into()));
    node.gateway.end_session(SessionId(1));
    assert_eq!(read(begin(1)).await, None);
}

#[tokio::test]
async fn foreign_timestamp_never_enters_and_past_is_readable() {
    let node = node().await;
    node.given(&[("a", "1")]).await;
    let then = node.gateway.now();
    node.given(&[("a", "2")]).await;
    let at = |as_of| TxnOptions { as_of: Some(as_of), read_only: true, ..TxnOptions::default() };
    let past = node.gateway.begin(at(then));
    past.begin_statement().await.expect("begins");
    assert_eq!(get(&past, "a").await.expect("read"), Some("1".into()));
    assert_eq!(past.put(&T, 0, b"a", b"x").expect_err("the past is over"), TxnError::ReadOnly);
    let future = node.gateway.begin(at(Timestamp(then.0 + (1 << 40))));
    assert_eq!(future.begin_statement().await.expect_err("not yet"), TxnError::FutureTimestamp);
    let ancient = node.gateway.begin(at(Timestamp(1)));
    ancient.begin_statement().await.expect("begins");
    assert_eq!(get(&ancient, "a").await.expect_err("collected"), TxnError::SnapshotTooOld);
}

#[tokio::test]
async fn restart_keeps_what_was_answered_and_goes_on_above_it() {
    let disk = Disk::default();
    let mut last = Timestamp::ZERO;
    for life in 0..4 {
        let node = start(&disk, Limits::default()).await;
        assert_eq!(node.gateway.cluster_id(), [7; 16]);
        assert!(node.gateway.now() > last, "restart_begins_above");
        for n in 0..life {
            assert_eq!(node.value(&format!("k{n}")).await, Some("1".into()));
        }
        let txn = node.serializable().await;
        write(&txn, &format!("k{life}"), "1").await.expect("locked");
        let ts = txn.commit().await.expect("committed");
        assert!(ts > last);
        last = ts;
        if life % 2 == 1 {
            node.gateway.stop().await.expect("flushed");
        }
    }
}

#[tokio::test]
async fn a_replica_that_replays_has_the_same_state_hash() {
    let disk = Disk::default();
    let node = start(&disk, Limits::default()).await;
    node.given(&[("a", "1"), ("b", "2")]).await;
    let txn = node.serializable().await;
    txn.put(&M, 0, b"t", b"1").expect("put");
    write(&txn, "c", "1").await.expect("locked");
    txn.commit().await.expect("committed");
    let (segment, recovered) =
        storage::segment::Segment::open(Host::real(), storage::segment::SegmentOptions::in_memory("copy"))
            .expect("opens");
    let oracle = Arc::new(shard::Oracle::new(Host::real()));
    let copy = shard::Shard::new(shard::ShardId(2), segment, recovered, oracle, Arc::default()).expect("made");
    for (index, (term, entry)) in (1..).zip(disk.logs[1].0.lock().iter()) {
        copy.apply(index, *term, entry.clone());
    }
    let original = node.gateway.shard(Home::Data).expect("data");
    assert_eq!(copy.state_hash().expect("hashed"), original.state_hash().expect("hashed"));
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back() {
    let node = node().await;
    let txn = node.serializable().await;
    write(&txn, "a", "1").await.expect("locked");
    drop(txn);
    assert_eq!(node.value("a").await, None);
    assert!(node.gateway.shard(Home::Data).expect("data").rows().is_empty());
    // Another handle finds it over.
    let txn = node.serializable().await;
    let handle = txn.clone();
    txn.commit().await.expect("nothing to do");
    assert_eq!(get(&handle, "a").await.expect_err("over"), TxnError::Over);
    assert_eq!(handle.put(&T, 0, b"a", b"1").expect_err("over"), TxnError::Over);
}

#[tokio::test]
async fn fates_are_forgotten_below_the_watermark() {
    let node = node().await;
    for n in 0..100 {
        node.given(&[("a", &n.to_string())]).await;
    }
    let image = node.gateway.shard(Home::Data).expect("data").with_machine(|machine| machine.encode().len());
    assert!(image < 500, "outcomes do not pile up: {image}");
}

/// A wall clock that runs behind or ahead of the real one.
struct Skewed(i64, host::RealClock);

impl host::Clock for Skewed {
    fn monotonic(&self) -> std::time::Duration {
        self.1.monotonic()
    }
    fn wall(&self) -> i64 {
        self.1.wall() + self.0
    }
}

#[tokio::test]
async fn clock_jump_over_a_restart_keeps_real_time_order() {
    let disk = Disk::default();
    let mut last = Timestamp::ZERO;
    for skew_us in [0, 3_600_000_000, 0, -3_600_000_000, 60_000_000] {
        let clock = Arc::new(Skewed(skew_us, host::RealClock::new()));
        let node = start_on(Host { clock, ..Host::real() }, &disk, Limits::default()).await;
        let reader = node.serializable().await;
        assert!(reader.snapshot() > last, "a snapshot below what was answered would miss it");
        assert_eq!(get(&reader, "a").await.expect("read").is_some(), last > Timestamp::ZERO);
        let txn = node.serializable().await;
        increment(&txn, "a").await.expect("locked");
        let ts = txn.commit().await.expect("committed");
        last = node.gateway.now(); // a client may have been told of it
        assert!(last > ts);
    }
}

#[tokio::test]
async fn portal_of_read_committed_keeps_its_moment() {
    let node = node().await;
    node.given(&[("a", "1"), ("b", "1"), ("c", "1")]).await;
    let txn = node.begin(Isolation::ReadCommitted).await;
    let mut portal = txn.scan(&T, None, KeyRange::all(), Direction::Forward);
    let mut rows = Vec::new();
    let mut visit = |key: &[u8], value: &[u8], _: Timestamp| {
        rows.push(format!("{}={}", text(key), text(value)));
        ControlFlow::Continue(())
    };
    portal.next(1, &mut visit).await.expect("scanned");
    node.given(&[("b", "2"), ("d", "2")]).await;
    txn.begin_statement().await.expect("next");
    let held = node.gateway.snapshots().horizon(node.gateway.oracle());
    assert!(held < txn.snapshot(), "what the portal will read is not collected");
    assert_eq!(get(&txn, "b").await.expect("read"), Some("2".into()));
    portal.next(10, &mut visit).await.expect("scanned");
    assert_eq!(rows, ["a=1", "b=1", "c=1"]);
    drop(portal);
    assert!(node.gateway.snapshots().horizon(node.gateway.oracle()) > held);
}

/// A node that had taken more relations than its segment can hold stopped at the next flush, and at each one after a restart.
#[tokio::test]
async fn a_relation_too_many_is_refused_before_its_rows_are_committed() {
    let node = start(&Disk::default(), Limits { relations: 2, ..Limits::default() }).await;
    let put = async |storage: u32, key: &[u8]| {
        let relation = RelationRef { storage: StorageId(storage), id: storage, ..T };
        let txn = node.serializable().await;
        txn.enter(&relation).await?;
        txn.lock(&relation, 0, key, LockMode::NoKeyUpdate, WaitPolicy::Wait, |_| ()).await?;
        txn.put(&relation, 0, key, b"row")?;
        txn.commit().await
    };
    put(201, b"a").await.expect("the first");
    put(202, b"a").await.expect("the second");
    assert_eq!(put(203, b"a").await.expect_err("the third"), TxnError::Relations { limit: 2 });
    put(202, b"b").await.expect("into what is there");
    assert_eq!(node.gateway.shard(Home::Data).expect("data").rows().len(), 0, "nothing is left locked");
}
