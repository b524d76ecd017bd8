//! What isolation forbids, at the level that forbids it, and allowed at the one below: so each test can fail.

use super::*;

/// Two transactions read both rows and each writes the other one.
async fn write_skew(isolation: Isolation) -> [Result<Timestamp>; 2] {
    let node = node().await;
    node.given(&[("a", "1"), ("b", "1")]).await;
    let (one, two) = (node.begin(isolation).await, node.begin(isolation).await);
    for txn in [&one, &two] {
        assert_eq!(get(txn, "a").await.expect("read"), Some("1".into()));
        assert_eq!(get(txn, "b").await.expect("read"), Some("1".into()));
    }
    write(&one, "a", "0").await.expect("locked");
    write(&two, "b", "0").await.expect("locked");
    [one.commit().await, two.commit().await]
}

#[tokio::test]
async fn write_skew_is_refused_at_serializable_alone() {
    let [one, two] = write_skew(Isolation::Serializable).await;
    assert!(one.is_ok());
    assert!(is_conflict(&two.expect_err("b was read before a changed")));
    assert!(write_skew(Isolation::RepeatableRead).await.iter().all(Result::is_ok));
}

/// Both look for rows in a range, find none, and insert one.
async fn phantom(isolation: Isolation) -> Vec<bool> {
    let node = node().await;
    let (one, two) = (node.begin(isolation).await, node.begin(isolation).await);
    for txn in [&one, &two] {
        assert!(scan(txn, "k", "l", Direction::Forward).await.expect("scanned").is_empty());
    }
    write(&one, "k1", "x").await.expect("locked");
    write(&two, "k2", "x").await.expect("locked");
    vec![one.commit().await.is_ok(), two.commit().await.is_ok()]
}

#[tokio::test]
async fn g2_phantom_in_an_empty_range() {
    assert_eq!(phantom(Isolation::Serializable).await, [true, false]);
    assert_eq!(phantom(Isolation::RepeatableRead).await, [true, true]);
}

#[tokio::test]
async fn serializable_missed_update_validates_what_was_looked_for() {
    // An absent key was read; it appears.
    let node = node().await;
    let txn = node.serializable().await;
    assert_eq!(get(&txn, "later").await.expect("read"), None);
    node.given(&[("later", "1")]).await;
    write(&txn, "mine", "1").await.expect("locked");
    assert!(is_conflict(&txn.commit().await.expect_err("what it did not find came")));
    // A row that was read is deleted.
    let txn = node.serializable().await;
    assert_eq!(get(&txn, "later").await.expect("read"), Some("1".into()));
    let other = node.serializable().await;
    lock(&other, "later", LockMode::Update).await.expect("locked");
    other.delete(&T, 0, b"later").expect("deleted");
    other.commit().await.expect("committed");
    write(&txn, "mine", "1").await.expect("locked");
    assert!(is_conflict(&txn.commit().await.expect_err("what it found went")));
}

#[tokio::test]
async fn monotonic_duplicates() {
    // Both take max + 1.
    let node = node().await;
    node.given(&[("001", "x"), ("002", "x")]).await;
    let (one, two) = (node.serializable().await, node.serializable().await);
    let mut next = Vec::new();
    for txn in [&one, &two] {
        let mut greatest = txn.scan(&T, None, KeyRange::all(), Direction::Backward);
        let mut key = String::new();
        let visit = |found: &[u8], _: &[u8], _: Timestamp| {
            key = text(found);
            ControlFlow::Break(())
        };
        assert_eq!(greatest.next(10, visit).await.expect("scanned"), 1);
        next.push(format!("{:03}", key.parse::<u32>().expect("a number") + 1));
    }
    assert_eq!(next, ["003", "003"]);
    // Different rows under the same number, say in two tables: no lock meets another.
    write(&one, "003a", "x").await.expect("locked");
    write(&two, "003b", "x").await.expect("locked");
    one.commit().await.expect("the first");
    assert!(is_conflict(&two.commit().await.expect_err("the gap above 002 was read")));
}

#[tokio::test]
async fn rows_outside_the_visited_part_do_not_conflict() {
    let node = node().await;
    node.given(&[("a", "1"), ("b", "1"), ("c", "1")]).await;
    let txn = node.serializable().await;
    let mut first = txn.scan(&T, None, KeyRange::all(), Direction::Forward);
    first.next(1, |_, _, _| ControlFlow::Continue(())).await.expect("scanned");
    node.given(&[("b", "2")]).await;
    write(&txn, "z", "1").await.expect("locked");
    txn.commit().await.expect("it has seen a alone");
}

#[tokio::test]
async fn lost_update_at_each_level() {
    // Read, then write what was computed from the read.
    for (isolation, fails) in [(Isolation::Serializable, true), (Isolation::RepeatableRead, true)] {
        let node = node().await;
        node.given(&[("n", "1")]).await;
        let txn = node.begin(isolation).await;
        assert_eq!(get(&txn, "n").await.expect("read"), Some("1".into()));
        node.given(&[("n", "2")]).await;
        let answer = write(&txn, "n", "2").await;
        assert_eq!(answer.is_err(), fails, "{isolation:?}");
        assert!(is_conflict(&answer.expect_err("a newer version")));
    }
    // READ COMMITTED: the lock shows the newest and says that it has changed.
    let node = node().await;
    node.given(&[("n", "1")]).await;
    let txn = node.begin(Isolation::ReadCommitted).await;
    node.given(&[("n", "2")]).await;
    let seen = lock_as(&txn, "n", LockMode::NoKeyUpdate, WaitPolicy::Wait).await.expect("locked");
    assert_eq!(seen, (Some("2".into()), true));
    txn.put(&T, 0, b"n", b"3").expect("put");
    txn.commit().await.expect("nothing lost");
}

#[tokio::test]
async fn repeatable_read_keeps_its_snapshot_and_read_committed_does_not() {
    let node = node().await;
    node.given(&[("a", "1")]).await;
    for (isolation, second) in
        [(Isolation::Serializable, "1"), (Isolation::RepeatableRead, "1"), (Isolation::ReadCommitted, "2")]
    {
        node.given(&[("a", "1")]).await;
        let txn = node.begin(isolation).await;
        assert_eq!(get(&txn, "a").await.expect("read"), Some("1".into()));
        node.given(&[("a", "2")]).await;
        assert_eq!(get(&txn, "a").await.expect("read"), Some("1".into()), "within the statement");
        txn.begin_statement().await.expect("next statement");
        assert_eq!(get(&txn, "a").await.expect("read"), Some(second.into()), "{isolation:?}");
        txn.commit().await.expect("read only");
    }
}

#[tokio::test]
async fn increments_under_contention_never_fail() {
    let node = node().await;
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(node.serializable().await); // all snapshots are older than all commits
    }
    for txn in open {
        increment(&txn, "n").await.expect("refreshed");
        txn.commit().await.expect("no read of it can have changed");
    }
    assert_eq!(node.value("n").await, Some("20".into()));
}

#[tokio::test]
async fn refresh_fails_when_something_read_has_changed() {
    let node = node().await;
    node.given(&[("r", "1"), ("n", "1")]).await;
    let txn = node.serializable().await;
    assert_eq!(get(&txn, "r").await.expect("read"), Some("1".into()));
    node.given(&[("r", "2"), ("n", "2")]).await;
    assert!(is_conflict(&increment(&txn, "n").await.expect_err("r has changed")));
    txn.rollback();
    // And it succeeds when nothing read has.
    let txn = node.serializable().await;
    assert_eq!(get(&txn, "r").await.expect("read"), Some("2".into()));
    node.given(&[("n", "3")]).await;
    increment(&txn, "n").await.expect("refreshed");
    assert_eq!(get(&txn, "r").await.expect("read"), Some("2".into()));
    node.given(&[("r", "3")]).await;
    assert!(is_conflict(&txn.commit().await.expect_err("r changed after the refresh")));
}

#[tokio::test]
async fn read_only_transactions_validate_nothing() {
    let node = node().await;
    node.given(&[("a", "1")]).await;
    let txn = node.serializable().await;
    assert_eq!(get(&txn, "a").await.expect("read"), Some("1".into()));
    node.given(&[("a", "2")]).await;
    txn.commit().await.expect("it was before");
}

#[tokio::test]
async fn an_old_snapshot_is_validated_by_looking_up() {
    // More commits since the snapshot than a walk is worth.
    let node = node().await;
    node.given(&[("r", "1"), ("q", "1")]).await;
    let (good, bad) = (node.serializable().await, node.serializable().await);
    assert_eq!(get(&good, "q").await.expect("read"), Some("1".into()));
    assert_eq!(get(&bad, "r").await.expect("read"), Some("1".into()));
    for n in 0..300 {
        node.given(&[("r", &n.to_string())]).await;
    }
    write(&good, "x", "1").await.expect("locked");
    write(&bad, "y", "1").await.expect("locked");
    good.commit().await.expect("q never changed");
    assert!(is_conflict(&bad.commit().await.expect_err("r did")));
}
