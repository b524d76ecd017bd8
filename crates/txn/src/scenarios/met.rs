//! What a transaction is told of the other that it met.

use super::*;
use std::time::Duration;

async fn begin_as(node: &Node, session: u64, isolation: Isolation) -> Transaction {
    let options = TxnOptions { isolation, session: SessionId(session), ..TxnOptions::default() };
    let txn = node.gateway.begin(options);
    txn.begin_statement().await.expect("begins");
    txn
}

fn row(key: &str) -> Option<Place> {
    Some(Place::Row { relation: T.storage, key: Some(Bytes::copy_from_slice(key.as_bytes())) })
}

fn sessions(met: &Met) -> Vec<u64> {
    met.others.iter().filter_map(|other| other.session).map(|session| session.0).collect()
}

#[tokio::test]
async fn conflict_tells_key_and_writer() {
    let node = node().await;
    node.given(&[("a", "1"), ("b", "1")]).await;
    let one = begin_as(&node, 1, Isolation::RepeatableRead).await;
    let two = begin_as(&node, 2, Isolation::Serializable).await;
    write(&two, "a", "2").await.expect("written");
    two.commit().await.expect("committed");
    let error = write(&one, "a", "3").await.expect_err("changed since");
    assert!(is_conflict(&error));
    let met = one.take_met().expect("told");
    assert_eq!((met.place.clone(), sessions(&met)), (row("a"), vec![2]));
    assert!(one.take_met().is_none(), "once");
}

#[tokio::test]
async fn reads_that_changed_are_told_before_the_commit() {
    let node = node().await;
    node.given(&[("a", "1"), ("b", "1")]).await;
    let one = begin_as(&node, 1, Isolation::Serializable).await;
    get(&one, "a").await.expect("read");
    let two = begin_as(&node, 2, Isolation::Serializable).await;
    write(&two, "a", "2").await.expect("written");
    two.commit().await.expect("committed");
    assert_eq!(one.check_reads(), Ok(()), "it has written nothing: it may stay in the past");
    write(&one, "b", "2").await.expect("written");
    assert!(is_conflict(&one.check_reads().expect_err("it can not commit")));
    let met = one.take_met().expect("told");
    assert_eq!((met.place.clone(), sessions(&met)), (row("a"), vec![2]));
    let copy = one.clone();
    assert!(is_conflict(&one.commit().await.expect_err("as was told")));
    assert_eq!(copy.take_met().map(|met| met.place), Some(row("a")));
}

#[tokio::test]
async fn lock_timeout_and_nowait_tell_the_holder() {
    let node = node().await;
    let holder = begin_as(&node, 1, Isolation::Serializable).await;
    write(&holder, "a", "2").await.expect("written");
    let waiter = begin_as(&node, 2, Isolation::ReadCommitted).await;
    waiter.set_lock_timeout(Some(Duration::from_millis(1)));
    for wait in [WaitPolicy::Wait, WaitPolicy::NoWait] {
        lock_as(&waiter, "a", LockMode::Update, wait).await.expect_err("held");
        let met = waiter.take_met().expect("told");
        assert_eq!((met.place.clone(), sessions(&met)), (row("a"), vec![1]));
    }
}

/// PostgreSQL's FOR KEY SHARE does not see updates that leave the key alone, at any level.
#[tokio::test]
async fn key_share_does_not_meet_updates_that_keep_the_key() {
    let node = node().await;
    node.given(&[("a", "1")]).await;
    let one = begin_as(&node, 1, Isolation::RepeatableRead).await;
    node.given(&[("a", "2")]).await;
    let (_, has_changed) = lock_as(&one, "a", LockMode::KeyShare, WaitPolicy::Wait).await.expect("no conflict");
    assert!(!has_changed);
    let error = lock_as(&one, "a", LockMode::Share, WaitPolicy::Wait).await.expect_err("changed since");
    assert!(is_conflict(&error));
}
