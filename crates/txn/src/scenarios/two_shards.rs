//! Transactions over meta and data shard (DDL with rows): prepare, decide, recover, fence.

use super::*;
use shard::TxnId;
use std::pin::pin;

async fn ddl(node: &Node, meta: &str, data: &str) -> Transaction {
    let txn = node.serializable().await;
    txn.lock(&M, 0, meta.as_bytes(), LockMode::Update, WaitPolicy::Wait, |_| ()).await.expect("locked");
    txn.put(&M, 0, meta.as_bytes(), b"1").expect("put");
    write(&txn, data, "1").await.expect("locked");
    txn
}

async fn meta_value(node: &Node, key: &str) -> Option<String> {
    let txn = node.serializable().await;
    txn.get(&M, 0, key.as_bytes(), |value, _| value.map(text)).await.expect("read")
}

fn prepared(node: &Node, home: Home) -> Vec<TxnId> {
    node.gateway.shard(home).expect("a shard").prepared()
}

/// Runs other tasks until this one waits for a log.
async fn turn() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn both_shards_or_none() {
    let node = node().await;
    let ts = ddl(&node, "t", "a").await.commit().await.expect("committed");
    assert_eq!((meta_value(&node, "t").await, node.value("a").await), (Some("1".into()), Some("1".into())));
    let (_, at) = node.gateway.get_latest(&M, 0, b"t", |_, ts| ((), ts)).await.expect("read");
    let (_, also) = node.gateway.get_latest(&T, 0, b"a", |_, ts| ((), ts)).await.expect("read");
    assert_eq!((at, also), (ts, ts), "one commit timestamp at both");
    // Refused at one: nothing at the other.
    let txn = node.serializable().await;
    assert_eq!(get(&txn, "a").await.expect("read"), Some("1".into()));
    txn.put(&M, 0, b"u", b"1").expect("put");
    node.given(&[("a", "2")]).await;
    assert!(is_conflict(&txn.commit().await.expect_err("a has changed")));
    assert_eq!(meta_value(&node, "u").await, None);
    assert!(prepared(&node, Home::Meta).is_empty() && prepared(&node, Home::Data).is_empty());
}

#[tokio::test]
async fn prepared_writes_block_readers_until_decided() {
    let node = node().await;
    node.data.hold();
    let txn = ddl(&node, "t", "a").await;
    let mut commit = pin!(txn.commit());
    assert!(poll(commit.as_mut()).is_none());
    turn().await;
    node.data.step_one(); // the Prepare is applied; its Decide will wait
    turn().await;
    assert_eq!(prepared(&node, Home::Data).len(), 1);
    let reader = node.serializable().await;
    let mut read = pin!(get(&reader, "a"));
    assert!(poll(read.as_mut()).is_none(), "prepared_writes_do_not_block_readers");
    let mut latest = pin!(node.gateway.get_latest(&T, 0, b"a", |value, _| value.map(text)));
    assert!(poll(latest.as_mut()).is_none(), "latest_ignores_prepared");
    let locker = node.begin(Isolation::ReadCommitted).await;
    let mut waits = pin!(lock(&locker, "a", LockMode::Update));
    assert!(poll(waits.as_mut()).is_none());
    assert_eq!(node.value("other").await, None, "other keys go on");
    node.data.release();
    commit.await.expect("committed");
    assert_eq!(read.await.expect("read"), Some("1".into()));
    assert_eq!(latest.await.expect("read"), Some("1".into()));
    assert_eq!(waits.await.expect("granted"), Some("1".into()));
}

#[tokio::test]
async fn validation_meets_what_is_prepared() {
    let node = node().await;
    node.data.hold();
    let txn = ddl(&node, "t", "a").await;
    let reader = node.serializable().await; // below the prepare's stamp
    assert_eq!(get(&reader, "a").await.expect("read"), None);
    write(&reader, "b", "1").await.expect("locked");
    let mut commit = pin!(txn.commit());
    assert!(poll(commit.as_mut()).is_none());
    turn().await;
    let mut refused = pin!(reader.commit());
    let answer = poll(refused.as_mut()).expect("fails, does not wait (R5)");
    assert!(is_conflict(&answer.expect_err("a is about to be there")));
    node.data.release();
    commit.await.expect("committed");
}

#[tokio::test]
async fn decide_lands_below_later_commits_and_is_found() {
    // A one-shard commit on another key gets a higher stamp than the prepared one will have; validation finds both.
    let node = node().await;
    let old = node.serializable().await;
    assert_eq!(get(&old, "a").await.expect("read"), None);
    write(&old, "mine", "1").await.expect("locked");
    node.meta.hold();
    let txn = ddl(&node, "t", "a").await;
    let mut commit = pin!(txn.commit());
    assert!(poll(commit.as_mut()).is_none());
    turn().await;
    node.given(&[("z", "1")]).await;
    node.meta.release();
    commit.await.expect("committed");
    assert!(is_conflict(&old.commit().await.expect_err("recent_unsorted")));
}

#[tokio::test]
async fn restart_recovers_prepared_to_commit() {
    let disk = Disk::default();
    let node = start(&disk, Limits::default()).await;
    node.data.hold();
    node.meta.hold();
    let txn = ddl(&node, "t", "a").await;
    {
        let mut commit = pin!(txn.commit());
        assert!(poll(commit.as_mut()).is_none());
        turn().await;
        node.meta.write_one_and_die();
        node.data.write_one_and_die();
    }
    let node = start(&disk, Limits::default()).await;
    assert_eq!((meta_value(&node, "t").await, node.value("a").await), (Some("1".into()), Some("1".into())));
    assert!(prepared(&node, Home::Meta).is_empty() && prepared(&node, Home::Data).is_empty());
}

#[tokio::test]
async fn restart_aborts_what_one_shard_never_prepared() {
    let disk = Disk::default();
    let node = start(&disk, Limits::default()).await;
    node.data.hold();
    node.meta.hold();
    let txn = ddl(&node, "t", "a").await;
    {
        let mut commit = pin!(txn.commit());
        assert!(poll(commit.as_mut()).is_none());
        turn().await;
        node.meta.write_one_and_die(); // the data shard's Prepare was never written
    }
    let node = start(&disk, Limits::default()).await;
    assert_eq!((meta_value(&node, "t").await, node.value("a").await), (None, None));
    assert!(prepared(&node, Home::Meta).is_empty());
    // The row is free again.
    node.given(&[("a", "2")]).await;
}

#[tokio::test]
async fn recovery_beside_a_living_coordinator_derives_the_same() {
    let node = node().await;
    node.data.hold();
    let txn = ddl(&node, "t", "a").await;
    let mut commit = pin!(txn.commit());
    assert!(poll(commit.as_mut()).is_none());
    turn().await;
    let id = prepared(&node, Home::Meta)[0];
    let shards = [Home::Meta, Home::Data].map(|home| node.gateway.shard(home).expect("a shard").clone());
    let mut recovery = pin!(shard::recovery::recover(id, &shards));
    assert!(poll(recovery.as_mut()).is_none());
    node.data.release();
    let ts = commit.await.expect("committed");
    assert_eq!(recovery.await.expect("recovered"), Some(ts));
}

#[tokio::test]
async fn younger_prepare_is_refused_and_older_waits() {
    // Each reads what the other writes, on both shards (R6).
    let node = node().await;
    let (old, young) = (node.serializable().await, node.serializable().await);
    old.put(&M, 0, b"old", b"1").expect("put");
    old.put(&T, 0, b"x", b"old").expect("put");
    young.put(&M, 0, b"young", b"1").expect("put");
    young.put(&T, 0, b"x", b"young").expect("put");
    node.data.hold();
    let mut first = pin!(old.commit());
    assert!(poll(first.as_mut()).is_none());
    turn().await;
    let mut second = pin!(young.commit());
    assert!(poll(second.as_mut()).is_none());
    turn().await;
    node.data.release();
    let refused = second.await.expect_err("the younger does not wait");
    assert!(is_conflict(&refused) && refused.retryable());
    first.await.expect("committed");
    assert_eq!(meta_value(&node, "young").await, None);
}

#[tokio::test]
async fn catalog_version_mismatch_is_refused_by_the_fence() {
    let node = node().await;
    let planned = node.serializable().await;
    write(&planned, "a", "1").await.expect("locked");
    let alter = node.serializable().await;
    alter.put(&M, 0, b"t", b"v2").expect("put");
    alter.fence(T.id, 2);
    alter.commit().await.expect("committed");
    let refused = planned.commit().await.expect_err("planned under version 1");
    assert_eq!(refused, TxnError::SchemaChanged { relation: T.id });
    assert!(refused.retryable());
    let again = node.serializable().await;
    let newer = RelationRef { schema_version: 2, ..T };
    again.put(&newer, 0, b"a", b"1").expect("put");
    again.commit().await.expect("planned under version 2");
}

#[tokio::test]
async fn fence_survives_a_restart_and_blocks_while_prepared() {
    let disk = Disk::default();
    let node = start(&disk, Limits::default()).await;
    node.data.hold();
    let alter = node.serializable().await;
    alter.put(&M, 0, b"t", b"v2").expect("put");
    alter.fence(T.id, 2);
    let mut altered = pin!(alter.commit());
    assert!(poll(altered.as_mut()).is_none());
    turn().await;
    let planned = node.serializable().await;
    write(&planned, "a", "1").await.expect("locked");
    let refused = planned.commit().await.expect_err("the fence is prepared");
    assert_eq!(refused, TxnError::SchemaChanged { relation: T.id });
    node.data.release();
    altered.await.expect("committed");
    let node = start(&disk, Limits::default()).await;
    let planned = node.serializable().await;
    assert_eq!(write(&planned, "a", "1").await.expect_err("old"), TxnError::SchemaChanged { relation: T.id });
}

#[tokio::test]
async fn catalog_listener_hears_before_the_answer() {
    let node = node().await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    node.gateway.on_catalog_commit(Box::new(move |ts, mutations| {
        hears.lock().extend(mutations.iter().map(|mutation| (ts, text(&mutation.key))));
    }));
    let one = ddl(&node, "t", "a").await.commit().await.expect("committed");
    let txn = node.serializable().await;
    txn.put(&M, 0, b"u", b"1").expect("put");
    let two = txn.commit().await.expect("committed");
    assert_eq!(*heard.lock(), [(one, "t".into()), (two, "u".into())]);
}
