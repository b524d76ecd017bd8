//! Locks between transactions: waiting, refusing, giving up, deadlock, savepoints, escalation.

use super::*;
use std::pin::pin;
use std::time::Duration;

#[tokio::test]
async fn for_update_on_absent_row() {
    let node = node().await;
    let (one, two) = (node.begin(Isolation::ReadCommitted).await, node.begin(Isolation::ReadCommitted).await);
    assert_eq!(lock(&one, "k", LockMode::Update).await.expect("locked"), None);
    let mut waits = pin!(lock(&two, "k", LockMode::Update));
    assert!(poll(waits.as_mut()).is_none(), "an absent key is lockable");
    one.put(&T, 0, b"k", b"1").expect("put");
    one.commit().await.expect("committed");
    assert_eq!(waits.await.expect("granted"), Some("1".into()));
}

#[tokio::test]
async fn insert_meets_insert_of_the_same_key() {
    let node = node().await;
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable] {
        let key = format!("{isolation:?}");
        let (one, two) = (node.begin(isolation).await, node.begin(isolation).await);
        assert_eq!(lock(&one, &key, LockMode::Update).await.expect("locked"), None);
        one.put(&T, 0, key.as_bytes(), b"1").expect("put");
        one.commit().await.expect("committed");
        match lock(&two, &key, LockMode::Update).await {
            Ok(seen) => assert_eq!(seen, Some("1".into()), "never two rows under one key"),
            Err(error) => assert!(isolation == Isolation::RepeatableRead && is_conflict(&error)),
        }
    }
}

#[tokio::test]
async fn nowait_skip_timeout_cancel_deadline() {
    let node = node().await;
    node.given(&[("a", "1")]).await;
    let holder = node.serializable().await;
    lock(&holder, "a", LockMode::Update).await.expect("locked");
    let txn = node.begin(Isolation::ReadCommitted).await;
    let refused = lock_as(&txn, "a", LockMode::KeyShare, WaitPolicy::NoWait).await.expect_err("held");
    assert_eq!(refused.to_sql().code().as_str(), "55P03");
    let skipped = lock_as(&txn, "a", LockMode::Share, WaitPolicy::Skip).await.expect("skipped");
    assert_eq!(skipped.0, Some("skipped".into()));
    txn.set_lock_timeout(Some(Duration::from_millis(1)));
    let refused = lock(&txn, "a", LockMode::Share).await.expect_err("held");
    assert_eq!(refused, TxnError::LockTimeout);
    txn.set_lock_timeout(None);
    txn.set_deadline(Some(Duration::ZERO));
    assert_eq!(lock(&txn, "a", LockMode::Share).await.expect_err("late"), TxnError::Deadline);
    txn.set_deadline(None);
    let flag = CancelFlag::new();
    txn.set_cancel(flag.clone());
    {
        let mut waits = pin!(lock(&txn, "a", LockMode::Share));
        assert!(poll(waits.as_mut()).is_none());
        flag.raise(CancelReason::User);
        assert_eq!(waits.await.expect_err("cancelled"), TxnError::Cancelled);
    }
    // None of them left a place in the queue behind.
    flag.clear();
    holder.rollback();
    lock(&txn, "a", LockMode::Update).await.expect("free");
    txn.rollback();
    assert!(node.gateway.shard(Home::Data).expect("data").rows().is_empty(), "nothing is kept of locks that are gone");
}

#[tokio::test]
async fn who_gave_up_waiting_is_granted_nothing() {
    let node = node().await;
    let holder = node.serializable().await;
    lock(&holder, "a", LockMode::Update).await.expect("locked");
    // Another transaction each, or the release of one would hide what another has left behind.
    let timed = node.begin(Isolation::ReadCommitted).await;
    timed.set_lock_timeout(Some(Duration::from_millis(1)));
    assert_eq!(lock(&timed, "a", LockMode::KeyShare).await.expect_err("held"), TxnError::LockTimeout);
    let dropped = node.begin(Isolation::ReadCommitted).await;
    let gone = node.begin(Isolation::ReadCommitted).await;
    {
        // Dropped while it waits, and dropped when it has just been granted.
        let mut waits = Box::pin(lock(&dropped, "a", LockMode::KeyShare));
        assert!(poll(waits.as_mut()).is_none());
        drop(waits);
        let mut granted = Box::pin(lock(&gone, "a", LockMode::Update));
        assert!(poll(granted.as_mut()).is_none());
        holder.rollback();
    }
    let other = node.begin(Isolation::ReadCommitted).await;
    lock_as(&other, "a", LockMode::Update, WaitPolicy::NoWait).await.expect("nobody has it");
}

#[tokio::test]
async fn queue_is_first_come_first_served() {
    let node = node().await;
    let holder = node.serializable().await;
    lock(&holder, "a", LockMode::Update).await.expect("locked");
    let (writer, reader) = (node.begin(Isolation::ReadCommitted).await, node.begin(Isolation::ReadCommitted).await);
    let mut first = Box::pin(lock(&writer, "a", LockMode::Update));
    assert!(poll(first.as_mut()).is_none());
    let mut second = pin!(lock(&reader, "a", LockMode::Share));
    assert!(poll(second.as_mut()).is_none());
    holder.rollback();
    first.await.expect("granted");
    assert!(poll(second.as_mut()).is_none());
    writer.clone().rollback();
    second.await.expect("granted");
}

/// As in PostgreSQL, who goes with all holders of a row passes those that wait for them to go; here not without end.
#[tokio::test]
async fn who_shares_passes_the_queue_and_does_not_starve_it() {
    let node = node().await;
    let holder = node.serializable().await;
    lock(&holder, "a", LockMode::Share).await.expect("locked");
    let writer = node.begin(Isolation::ReadCommitted).await;
    let mut waits = pin!(lock(&writer, "a", LockMode::Update));
    assert!(poll(waits.as_mut()).is_none());
    let mut passed = Vec::new();
    loop {
        let reader = node.begin(Isolation::ReadCommitted).await;
        let mut shares = Box::pin(lock(&reader, "a", LockMode::Share));
        if poll(shares.as_mut()).is_none() {
            break;
        }
        drop(shares);
        passed.push(reader);
        assert!(passed.len() < 100, "it must not starve the writer");
    }
    assert!(!passed.is_empty());
    holder.rollback();
    passed.into_iter().for_each(Transaction::rollback);
    waits.await.expect("granted");
}

/// PostgreSQL's rule for savepoints, for what keeps writers and LOCK TABLE apart.
#[tokio::test]
async fn rolled_back_savepoint_gives_relations_back() {
    let node = node().await;
    let (one, two) = (node.begin(Isolation::ReadCommitted).await, node.begin(Isolation::ReadCommitted).await);
    let savepoint = one.savepoint();
    write(&one, "a", "1").await.expect("written");
    let refused = two.lock_table(&T, TableLock::Share, WaitPolicy::NoWait).await.expect_err("written to");
    assert!(matches!(refused, TxnError::LockNotAvailable { .. }));
    one.rollback_to(savepoint);
    two.lock_table(&T, TableLock::Share, WaitPolicy::NoWait).await.expect("nothing is written any more");
    let savepoint = two.savepoint();
    one.enter_as(&T, shard::locks::Inside::Locks).await.expect("SHARE lets row locks in");
    assert!(two.lock_table(&T, TableLock::Exclusive, WaitPolicy::NoWait).await.is_err());
    one.clone().rollback();
    two.lock_table(&T, TableLock::Exclusive, WaitPolicy::NoWait).await.expect("alone");
    two.rollback_to(savepoint);
    let three = node.begin(Isolation::ReadCommitted).await;
    three.lock_table(&T, TableLock::Share, WaitPolicy::NoWait).await.expect("SHARE is left, which goes with SHARE");
    let mut writes = pin!(three.enter(&T));
    assert!(poll(writes.as_mut()).is_none(), "and keeps writers out");
    two.rollback();
    writes.await.expect("let in");
}

#[tokio::test]
async fn upgrade_goes_before_who_waits_for_the_upgrader() {
    let node = node().await;
    let (one, two) = (node.begin(Isolation::ReadCommitted).await, node.begin(Isolation::ReadCommitted).await);
    lock(&one, "a", LockMode::Share).await.expect("locked");
    let mut waits = pin!(lock(&two, "a", LockMode::Update));
    assert!(poll(waits.as_mut()).is_none());
    lock(&one, "a", LockMode::Update).await.expect("nobody else holds it");
    one.rollback();
    waits.await.expect("granted");
}

#[tokio::test]
async fn deadlock_kills_the_youngest() {
    let node = node().await;
    let (old, young) = (node.serializable().await, node.serializable().await);
    write(&old, "a", "1").await.expect("locked");
    write(&young, "b", "1").await.expect("locked");
    let (one, two) = tokio::join!(write(&old, "b", "2"), async {
        let answer = write(&young, "a", "2").await;
        young.rollback();
        answer
    });
    one.expect("the older gets its lock");
    let error = two.expect_err("the younger dies");
    assert_eq!(error, TxnError::Deadlock);
    assert_eq!((error.to_sql().code().as_str(), error.to_sql().message()), ("40P01", "deadlock detected"));
    old.commit().await.expect("committed");
}

#[tokio::test]
async fn deadlock_of_two_upgrades() {
    let node = node().await;
    let (old, young) = (node.begin(Isolation::ReadCommitted).await, node.begin(Isolation::ReadCommitted).await);
    lock(&old, "a", LockMode::Share).await.expect("locked");
    lock(&young, "a", LockMode::Share).await.expect("locked");
    let (one, two) = tokio::join!(lock(&old, "a", LockMode::Update), async {
        let answer = lock(&young, "a", LockMode::Update).await;
        young.rollback();
        answer
    });
    one.expect("the older gets its lock");
    assert_eq!(two.expect_err("the younger dies"), TxnError::Deadlock);
}

#[tokio::test]
async fn key_share_is_not_disturbed_by_an_update_of_other_columns() {
    // A foreign key's lock on its parent, and a counter in the parent.
    let node = node().await;
    node.given(&[("parent", "1")]).await;
    let child = node.begin(Isolation::ReadCommitted).await;
    lock(&child, "parent", LockMode::KeyShare).await.expect("locked");
    let counter = node.begin(Isolation::ReadCommitted).await;
    increment(&counter, "parent").await.expect("no conflict");
    counter.commit().await.expect("committed");
    child.put(&T, 0, b"child", b"1").expect("put");
    child.commit().await.expect("KEY SHARE looks at the key alone");
    // Deleting the parent conflicts while the lock is held.
    let child = node.begin(Isolation::ReadCommitted).await;
    lock(&child, "parent", LockMode::KeyShare).await.expect("locked");
    let other = node.begin(Isolation::ReadCommitted).await;
    let answer = lock_as(&other, "parent", LockMode::Update, WaitPolicy::NoWait).await;
    assert!(answer.is_err());
}

#[tokio::test]
async fn lock_lost_with_the_table_is_no_lost_update() {
    // R9: the lock is gone behind its holder's back; what it looked at is validated all the same.
    let node = node().await;
    node.given(&[("n", "1")]).await;
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable] {
        let txn = node.begin(isolation).await;
        increment(&txn, "n").await.expect("locked");
        let mut wakeups = shard::wake::Wakeups::default();
        node.gateway.shard(Home::Data).expect("data").rows().clear(&mut wakeups);
        let other = node.begin(isolation).await;
        increment(&other, "n").await.expect("the lock table has forgotten");
        other.commit().await.expect("committed");
        assert!(is_conflict(&txn.commit().await.expect_err("locked_rows_not_validated")), "{isolation:?}");
    }
}

#[tokio::test]
async fn savepoint_gives_back_writes_and_locks() {
    let node = node().await;
    let txn = node.serializable().await;
    write(&txn, "a", "1").await.expect("locked");
    let outer = txn.savepoint();
    write(&txn, "a", "2").await.expect("locked");
    write(&txn, "b", "1").await.expect("locked");
    let inner = txn.savepoint();
    write(&txn, "c", "1").await.expect("locked");
    txn.release(inner);
    txn.begin_statement().await.expect("next");
    assert_eq!(scan(&txn, "", "", Direction::Forward).await.expect("scanned"), ["a=2", "b=1", "c=1"]);
    txn.rollback_to(outer);
    txn.begin_statement().await.expect("next");
    assert_eq!(scan(&txn, "", "", Direction::Forward).await.expect("scanned"), ["a=1"]);
    let other = node.begin(Isolation::ReadCommitted).await;
    lock_as(&other, "b", LockMode::Update, WaitPolicy::NoWait).await.expect("given back");
    lock_as(&other, "a", LockMode::Update, WaitPolicy::NoWait).await.expect_err("held from before the savepoint");
    other.rollback();
    write(&txn, "d", "1").await.expect("locked");
    txn.rollback_to(outer);
    txn.commit().await.expect("committed");
    let reader = node.serializable().await;
    assert_eq!(scan(&reader, "", "", Direction::Forward).await.expect("scanned"), ["a=1"]);
}

#[tokio::test]
async fn many_row_locks_become_one() {
    let limits = Limits { row_locks: 10, ..Limits::default() };
    let node = start(&Disk::default(), limits).await;
    let txn = node.begin(Isolation::ReadCommitted).await;
    for n in 0..25 {
        write(&txn, &format!("{n:02}"), "x").await.expect("locked");
    }
    let other = node.begin(Isolation::ReadCommitted).await;
    lock_as(&other, "99", LockMode::Update, WaitPolicy::NoWait).await.expect_err("the whole relation is locked");
    let mut waits = pin!(lock(&other, "24", LockMode::Update));
    assert!(poll(waits.as_mut()).is_none());
    txn.commit().await.expect("committed");
    assert_eq!(waits.await.expect("free"), Some("x".into()));
}

#[tokio::test]
async fn escalation_waits_for_nobody_and_drops_nothing() {
    let limits = Limits { row_locks: 10, ..Limits::default() };
    let node = start(&Disk::default(), limits).await;
    let other = node.begin(Isolation::ReadCommitted).await;
    lock(&other, "zz", LockMode::Share).await.expect("locked");
    let txn = node.begin(Isolation::ReadCommitted).await;
    for n in 0..15 {
        write(&txn, &format!("{n:02}"), "x").await.expect("locked");
    }
    lock_as(&other, "99", LockMode::Update, WaitPolicy::NoWait).await.expect("somebody was in the way: rows stay rows");
    lock_as(&other, "14", LockMode::Update, WaitPolicy::NoWait).await.expect_err("each still locked");
}

#[tokio::test]
async fn key_share_does_not_queue_behind_one_who_waits_for_all_holders() {
    // PostgreSQL's isolation spec tuplelock-upgrade-no-deadlock.
    let node = node().await;
    node.given(&[("a", "1")]).await;
    let (one, two, three) = (
        node.begin(Isolation::ReadCommitted).await,
        node.begin(Isolation::ReadCommitted).await,
        node.begin(Isolation::ReadCommitted).await,
    );
    lock(&one, "a", LockMode::KeyShare).await.expect("free");
    let mut waits = pin!(lock(&two, "a", LockMode::Update));
    assert!(poll(waits.as_mut()).is_none());
    {
        let mut shares = pin!(lock(&three, "a", LockMode::KeyShare));
        assert!(poll(shares.as_mut()).is_some(), "as one does");
    }
    one.rollback();
    assert!(poll(waits.as_mut()).is_none(), "three has it, too");
    three.rollback();
    assert_eq!(waits.await.expect("granted"), Some("1".into()));
}
