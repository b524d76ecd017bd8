//! What is sequenced but not durable: who may see it, who waits for it, what happens when it is lost.

use super::*;
use std::pin::pin;

#[tokio::test]
async fn read_skips_in_flight_never() {
    let node = node().await;
    node.given(&[("a", "1")]).await;
    node.data.hold();
    let writer = node.serializable().await;
    write(&writer, "a", "2").await.expect("locked");
    let mut commit = pin!(writer.commit());
    assert!(poll(commit.as_mut()).is_none(), "not answered before it is durable");
    let reader = node.serializable().await; // its snapshot is above the stamp
    let mut read = pin!(get(&reader, "a"));
    assert!(poll(read.as_mut()).is_none(), "neither the old nor the new version is right yet");
    let other = node.serializable().await;
    let mut scan = pin!(scan(&other, "", "", Direction::Forward));
    assert!(poll(scan.as_mut()).is_none());
    node.data.release();
    commit.await.expect("committed");
    assert_eq!(read.await.expect("read"), Some("2".into()));
    assert_eq!(scan.await.expect("scanned"), ["a=2"]);
}

#[tokio::test]
async fn a_snapshot_below_the_stamp_does_not_wait() {
    let node = node().await;
    node.given(&[("a", "1")]).await;
    let reader = node.serializable().await;
    assert_eq!(get(&reader, "a").await.expect("read"), Some("1".into()));
    node.data.hold();
    let writer = node.serializable().await;
    write(&writer, "a", "2").await.expect("locked");
    let mut commit = pin!(writer.commit());
    assert!(poll(commit.as_mut()).is_none());
    assert_eq!(get(&reader, "a").await.expect("ready at once"), Some("1".into()));
    node.data.release();
    commit.await.expect("committed");
}

#[tokio::test]
async fn failed_check_is_a_read_and_raises_max_read_ts() {
    // What was not there for a snapshot can not come to be below it.
    let node = node().await;
    let writer = node.begin(Isolation::ReadCommitted).await; // its own snapshot is the older
    let reader = node.serializable().await;
    assert_eq!(get(&reader, "a").await.expect("read"), None);
    write(&writer, "a", "1").await.expect("locked");
    let stamp = writer.commit().await.expect("committed");
    assert!(stamp > reader.snapshot());
    assert_eq!(get(&reader, "a").await.expect("read"), None);
    // The same for a range.
    let writer = node.begin(Isolation::ReadCommitted).await;
    let scanner = node.serializable().await;
    assert_eq!(scan(&scanner, "b", "c", Direction::Forward).await.expect("scanned"), [""; 0]);
    write(&writer, "b", "1").await.expect("locked");
    assert!(writer.commit().await.expect("committed") > scanner.snapshot());
    assert_eq!(scan(&scanner, "b", "c", Direction::Forward).await.expect("scanned"), [""; 0]);
}

#[tokio::test]
async fn validation_without_batches_in_flight() {
    let node = node().await;
    node.given(&[("a", "1")]).await;
    let (one, two) = (node.serializable().await, node.serializable().await);
    assert_eq!(get(&two, "a").await.expect("read"), Some("1".into()));
    write(&two, "b", "1").await.expect("locked");
    node.data.hold();
    write(&one, "a", "2").await.expect("locked");
    let mut first = pin!(one.commit());
    assert!(poll(first.as_mut()).is_none());
    let mut second = pin!(two.commit());
    let refused = poll(second.as_mut()).expect("refused at once: nothing was sent");
    assert!(is_conflict(&refused.expect_err("a is being changed")));
    node.data.release();
    first.await.expect("committed");
}

#[tokio::test]
async fn early_release_shows_the_version_in_flight_to_lockers() {
    let node = node().await;
    node.data.hold();
    let (one, two, three) = (node.serializable().await, node.serializable().await, node.serializable().await);
    increment(&one, "n").await.expect("locked");
    let mut first = pin!(one.commit());
    assert!(poll(first.as_mut()).is_none());
    increment(&two, "n").await.expect("the lock is free although nothing is durable");
    let mut second = pin!(two.commit());
    assert!(poll(second.as_mut()).is_none());
    assert_eq!(lock(&three, "n", LockMode::NoKeyUpdate).await.expect("locked"), Some("2".into()));
    let mut settled = pin!(three.settle());
    assert!(poll(settled.as_mut()).is_none(), "in_flight_reaches_client");
    node.data.release();
    settled.await.expect("durable");
    first.await.expect("committed");
    second.await.expect("committed");
}

#[tokio::test]
async fn reader_of_a_lock_waits_at_its_end_too() {
    let node = node().await;
    node.data.hold();
    let (one, two) = (node.serializable().await, node.serializable().await);
    increment(&one, "n").await.expect("locked");
    let mut first = pin!(one.commit());
    assert!(poll(first.as_mut()).is_none());
    assert_eq!(lock(&two, "n", LockMode::Share).await.expect("locked"), Some("1".into()));
    let mut second = pin!(two.commit());
    assert!(poll(second.as_mut()).is_none(), "it wrote nothing, but it has seen something");
    node.data.release();
    second.await.expect("durable");
    first.await.expect("committed");
}

#[tokio::test]
async fn dependency_lost_with_the_leader() {
    let node = node().await;
    node.data.hold();
    let (one, two) = (node.serializable().await, node.serializable().await);
    increment(&one, "n").await.expect("locked");
    let mut first = pin!(one.commit());
    assert!(poll(first.as_mut()).is_none());
    increment(&two, "n").await.expect("locked");
    node.data.lose_leadership();
    let outcome = first.await.expect_err("nobody knows");
    assert_eq!(outcome, TxnError::UnknownOutcome);
    assert!(!outcome.retryable());
    assert_eq!(outcome.to_sql().code().as_str(), "40003");
    let refused = two.commit().await.expect_err("what it has read is gone, and so is the leader");
    assert!(refused.retryable(), "{refused:?}");
}

#[tokio::test]
async fn dependency_lost_is_refused_by_the_next_leader() {
    // Validation alone would pass: the version read has vanished, and the older one is back.
    let node = node().await;
    node.given(&[("n", "5")]).await;
    node.data.hold();
    let (one, two) = (node.begin(Isolation::ReadCommitted).await, node.begin(Isolation::ReadCommitted).await);
    increment(&one, "n").await.expect("locked");
    let mut first = pin!(one.commit());
    assert!(poll(first.as_mut()).is_none());
    increment(&two, "n").await.expect("locked");
    let term = node.data.lead_again();
    assert_eq!(first.await.expect_err("nobody knows"), TxnError::UnknownOutcome);
    node.gateway.shard(Home::Data).expect("data").serve(term).await;
    node.data.release();
    assert!(is_conflict(&two.commit().await.expect_err("it has counted on 6")));
    assert_eq!(node.value("n").await, Some("5".into()));
}

#[tokio::test]
async fn new_leader_history_unknown() {
    // R4: the next leader's stamps are above every read that its predecessor served.
    let node = node().await;
    let writer = node.begin(Isolation::ReadCommitted).await;
    let reader = node.serializable().await;
    assert_eq!(get(&reader, "a").await.expect("read"), None);
    let term = node.data.lead_again();
    let shard = node.gateway.shard(Home::Data).expect("data");
    assert_eq!(get(&reader, "a").await.expect_err("it does not serve yet"), TxnError::NotServing);
    shard.serve(term).await;
    write(&writer, "a", "1").await.expect("locked");
    assert!(writer.commit().await.expect("committed") > reader.snapshot());
    assert_eq!(get(&reader, "a").await.expect("read"), None);
}

#[tokio::test]
async fn latest_read_serves_applied_versions_alone() {
    let node = node().await;
    node.given(&[("a", "1")]).await;
    node.data.hold();
    let writer = node.serializable().await;
    write(&writer, "a", "2").await.expect("locked");
    let mut commit = pin!(writer.commit());
    assert!(poll(commit.as_mut()).is_none());
    let latest = || node.gateway.get_latest(&T, 0, b"a", |value, ts| (value.map(text), ts));
    let (value, before) = latest().await.expect("no wait for what is in flight");
    assert_eq!(value, Some("1".into()));
    node.data.release();
    let ts = commit.await.expect("committed");
    let (value, after) = latest().await.expect("read");
    assert_eq!((value, after), (Some("2".into()), ts));
    assert!(after > before && node.gateway.now() > after, "covered (R1)");
}

#[tokio::test]
async fn commit_ts_below_earlier_commit_never() {
    // Real-time order: what was answered lies below every snapshot taken afterwards.
    let node = node().await;
    let mut last = Timestamp::ZERO;
    for n in 0..50 {
        let txn = node.begin(Isolation::ReadCommitted).await;
        assert!(txn.snapshot() > last);
        write(&txn, &format!("k{}", n % 3), "x").await.expect("locked");
        let ts = txn.commit().await.expect("committed");
        assert!(ts > last);
        last = ts;
    }
}
