//! SKIP LOCKED at SERIALIZABLE: a queue's takers do not get in one another's way.

use super::*;

/// The first row that is free; `None`: all are held.
async fn take(txn: &Transaction) -> Option<String> {
    let mut scan = txn.scan(&T, None, KeyRange::all(), Direction::Forward);
    loop {
        let mut key = String::new();
        let visit = |found: &[u8], _: &[u8], _| {
            key = text(found);
            ControlFlow::Continue(())
        };
        if scan.next(1, visit).await.expect("read") == 0 {
            return None;
        }
        let (seen, _) = lock_as(txn, &key, LockMode::Update, WaitPolicy::Skip).await.expect("no wait");
        if seen != Some("skipped".into()) {
            txn.delete(&T, 0, key.as_bytes()).expect("deleted");
            return Some(key);
        }
    }
}

#[tokio::test]
async fn takers_of_a_queue_do_not_conflict() {
    let node = node().await;
    node.given(&[("a", "1"), ("b", "1"), ("c", "1")]).await;
    let (one, two, three) = (node.serializable().await, node.serializable().await, node.serializable().await);
    assert_eq!(take(&one).await, Some("a".into()));
    assert_eq!(take(&two).await, Some("b".into()));
    assert_eq!(take(&three).await, Some("c".into()));
    one.commit().await.expect("committed");
    three.commit().await.expect("what it skipped, one of them gone now, it has not read");
    two.commit().await.expect("the same");
}

#[tokio::test]
async fn what_was_read_and_then_skipped_counts() {
    let node = node().await;
    node.given(&[("a", "1"), ("b", "1")]).await;
    let (one, two) = (node.serializable().await, node.serializable().await);
    assert_eq!(get(&two, "a").await.expect("read"), Some("1".into()));
    assert_eq!(take(&one).await, Some("a".into()));
    assert_eq!(take(&two).await, Some("b".into()));
    one.commit().await.expect("committed");
    assert!(is_conflict(&two.commit().await.expect_err("what it has read is gone")));
}

#[tokio::test]
async fn rows_that_come_before_what_was_taken_count() {
    let node = node().await;
    node.given(&[("b", "1"), ("c", "1")]).await;
    let (one, two) = (node.serializable().await, node.serializable().await);
    assert_eq!(take(&one).await, Some("b".into()));
    assert_eq!(take(&two).await, Some("c".into()));
    node.given(&[("a", "1")]).await;
    assert!(is_conflict(&two.commit().await.expect_err("it would have taken the new one")));
}
