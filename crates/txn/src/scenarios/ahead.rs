//! Blocks that read a row and then write it, where others do the same (`ahead`).

use super::*;
use std::pin::pin;
use std::time::Duration;

async fn block(node: &Node) -> Transaction {
    let txn = node.gateway.begin(TxnOptions { is_block: true, ..TxnOptions::default() });
    txn.begin_statement().await.expect("begins");
    txn
}

/// Two blocks read `n` and write it, so that one fails: from now on the row counts as contended.
async fn contended() -> Node {
    let node = node().await;
    node.given(&[("n", "1"), ("other", "1")]).await;
    let (one, two) = (block(&node).await, block(&node).await);
    for txn in [&one, &two] {
        assert_eq!(get(txn, "n").await.expect("nobody is kept waiting yet"), Some("1".into()));
    }
    increment(&one, "n").await.expect("first");
    one.commit().await.expect("committed");
    assert!(is_conflict(&increment(&two, "n").await.expect_err("what it read has changed")));
    node
}

#[tokio::test]
async fn who_reads_a_contended_row_first_can_write_it() {
    let node = contended().await;
    let (one, two) = (block(&node).await, block(&node).await);
    assert_eq!(get(&one, "n").await.expect("locked ahead"), Some("2".into()));
    let reader = two.clone();
    let mut reads = pin!(get(&reader, "n"));
    assert!(poll(reads.as_mut()).is_none(), "it waits for the one that read first");
    increment(&one, "n").await.expect("it has the lock");
    one.commit().await.expect("committed");
    assert_eq!(reads.await.expect("granted"), Some("3".into()), "read after it has waited");
    increment(&two, "n").await.expect("nobody has come between");
    two.commit().await.expect("committed");
    assert_eq!(node.value("n").await, Some("4".into()));
}

#[tokio::test]
async fn who_reads_and_thinks_keeps_nobody_waiting() {
    let node = contended().await;
    let thinker = block(&node).await;
    assert_eq!(get(&thinker, "n").await.expect("locked ahead"), Some("2".into()));
    // A reader waits for a while only, and a writer until the thinker has had its time.
    let reader = block(&node).await;
    assert_eq!(get(&reader, "n").await.expect("without the lock"), Some("2".into()));
    let writer = node.serializable().await;
    write(&writer, "n", "7").await.expect("the lock has gone back");
    writer.commit().await.expect("committed");
    assert_eq!(get(&thinker, "n").await.expect("its snapshot stays"), Some("2".into()));
    write(&thinker, "other", "2").await.expect("written");
    assert!(is_conflict(&thinker.commit().await.expect_err("the span of the lock stayed")));
}

#[tokio::test]
async fn who_reads_on_keeps_nobody_waiting_and_is_not_guessed_at_again() {
    let node = contended().await;
    let reader = block(&node).await;
    assert_eq!(get(&reader, "n").await.expect("locked ahead"), Some("2".into()));
    let writer = node.serializable().await;
    for statement in 2..=5 {
        let refused = lock_as(&writer, "n", LockMode::NoKeyUpdate, WaitPolicy::NoWait).await;
        assert!(refused.is_err(), "held before statement {statement}");
        reader.begin_statement().await.expect("begins");
        assert_eq!(get(&reader, "other").await.expect("read"), Some("1".into()));
    }
    lock_as(&writer, "n", LockMode::NoKeyUpdate, WaitPolicy::NoWait).await.expect("given back");
    let next = block(&node).await;
    let mut reads = pin!(get(&next, "n"));
    assert_eq!(poll(reads.as_mut()).expect("does not wait").expect("read"), Some("2".into()));
}

#[tokio::test]
async fn a_lock_that_the_block_has_asked_for_stays() {
    let node = contended().await;
    let owner = block(&node).await;
    assert_eq!(get(&owner, "n").await.expect("locked ahead"), Some("2".into()));
    lock(&owner, "n", LockMode::NoKeyUpdate).await.expect("its own");
    host::clock::sleep(Duration::from_millis(1500)).await;
    let other = node.serializable().await;
    let refused = lock_as(&other, "n", LockMode::NoKeyUpdate, WaitPolicy::NoWait).await.expect_err("held");
    assert_eq!(refused.to_sql().code().as_str(), "55P03");
}

#[tokio::test]
async fn only_the_first_read_of_a_block_that_may_write_locks() {
    let node = contended().await;
    let holder = node.serializable().await;
    lock(&holder, "n", LockMode::Update).await.expect("locked");
    let later = block(&node).await;
    assert_eq!(get(&later, "other").await.expect("read"), Some("1".into()));
    let options = [
        TxnOptions::default(),
        TxnOptions { is_block: true, read_only: true, ..TxnOptions::default() },
        TxnOptions { is_block: true, isolation: Isolation::RepeatableRead, ..TxnOptions::default() },
    ];
    let mut readers = vec![later];
    for options in options {
        let txn = node.gateway.begin(options);
        txn.begin_statement().await.expect("begins");
        readers.push(txn);
    }
    for reader in readers {
        let mut reads = pin!(get(&reader, "n"));
        assert_eq!(poll(reads.as_mut()).expect("does not wait").expect("read"), Some("2".into()));
    }
}
