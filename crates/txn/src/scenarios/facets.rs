//! Reads of a part of a row: what else of it changes is no conflict (`shard::facet`).

use super::*;
use std::pin::pin;

/// What a transaction has read of rows `x:y` is the part before the colon.
struct Before;

impl Facet for Before {
    fn id(&self) -> u64 {
        1
    }
    fn is_same(&self, old: &[u8], new: &[u8]) -> bool {
        old.split(|b| *b == b':').next() == new.split(|b| *b == b':').next()
    }
}

async fn get_before(txn: &Transaction, key: &str) -> Option<String> {
    let facet: Arc<dyn Facet> = Arc::new(Before);
    txn.get_facet(&T, 0, key.as_bytes(), Some(&facet), |value, _| value.map(text)).await.expect("read")
}

async fn scan_before(txn: &Transaction) -> usize {
    let range = KeyRange { start: Bytes::from_static(b"r"), end: Some(Bytes::from_static(b"s")) };
    let mut scan = txn.scan(&T, None, range, Direction::Forward).reading(Some(Arc::new(Before)));
    scan.next(10, |_, _, _| ControlFlow::Continue(())).await.expect("read")
}

/// Reads some of `r`, while others change it so; then commits a write of its own, having met a newer version or not.
async fn commits_after(change: &[(&str, &str)], scans: bool, refreshes: bool) -> bool {
    let node = node().await;
    node.given(&[("r", "1:1"), ("r2", "1:1"), ("n", "1")]).await;
    let txn = node.serializable().await;
    match scans {
        true => assert_eq!(scan_before(&txn).await, 2),
        false => assert_eq!(get_before(&txn, "r").await, Some("1:1".into())),
    }
    node.given(change).await;
    if refreshes {
        node.given(&[("n", "2")]).await;
        if increment(&txn, "n").await.is_err() {
            return false;
        }
    } else {
        write(&txn, "own", "1").await.expect("not in the way");
    }
    txn.commit().await.is_ok()
}

#[tokio::test]
async fn what_was_read_of_a_row_counts() {
    for refreshes in [false, true] {
        for scans in [false, true] {
            assert!(commits_after(&[("r", "1:2")], scans, refreshes).await, "scans {scans}, refreshes {refreshes}");
            assert!(!commits_after(&[("r", "2:1")], scans, refreshes).await, "scans {scans}, refreshes {refreshes}");
        }
        // Rows that come count, and for who scans those that come to its range.
        assert!(!commits_after(&[("r3", "1:1")], true, refreshes).await);
        assert!(commits_after(&[("r3", "1:1")], false, refreshes).await);
    }
}

#[tokio::test]
async fn a_read_without_a_facet_makes_all_of_the_row_count() {
    let node = node().await;
    node.given(&[("r", "1:1")]).await;
    let txn = node.serializable().await;
    get_before(&txn, "r").await;
    get(&txn, "r").await.expect("read");
    node.given(&[("r", "1:2")]).await;
    write(&txn, "own", "1").await.expect("not in the way");
    assert!(is_conflict(&txn.commit().await.expect_err("all of it was read")));
}

#[tokio::test]
async fn what_is_in_flight_is_compared_when_it_is_applied() {
    for (change, commits) in [("1:2", true), ("2:1", false)] {
        let node = node().await;
        node.given(&[("r", "1:1")]).await;
        let txn = node.serializable().await;
        get_before(&txn, "r").await;
        write(&txn, "own", "1").await.expect("not in the way");
        node.data.hold();
        let other = node.serializable().await;
        write(&other, "r", change).await.expect("written");
        let mut other = pin!(other.commit());
        assert!(poll(other.as_mut()).is_none());
        let mut commit = pin!(txn.commit());
        assert!(poll(commit.as_mut()).is_none(), "{change}: it waits for the other's entry");
        node.data.release();
        other.await.expect("committed");
        assert_eq!(commit.await.is_ok(), commits, "{change}");
    }
}

/// What a statement is told before the commit (`check_reads`), of parts of rows too.
#[tokio::test]
async fn part_that_changed_is_told_before_the_commit() {
    for scans in [false, true] {
        let node = node().await;
        node.given(&[("r", "1:1"), ("r2", "1:1")]).await;
        let txn = node.serializable().await;
        if scans {
            assert_eq!(scan_before(&txn).await, 2);
        } else {
            get_before(&txn, "r").await;
        }
        write(&txn, "own", "1").await.expect("not in the way");
        node.given(&[("r", "1:2")]).await;
        assert_eq!(txn.check_reads(), Ok(()), "another part, scans {scans}");
        node.given(&[("r", "2:2")]).await;
        assert!(is_conflict(&txn.check_reads().expect_err("it can not commit")), "scans {scans}");
    }
}
