//! Bulk loads: very many new keys in one transaction, claimed without a lock each.

use super::*;
use std::pin::pin;

const ROWS: u32 = 600;

async fn insert(txn: &Transaction, key: &str) -> Result<bool> {
    let is_there = txn.claim(&T, 0, key.as_bytes(), |locked| matches!(locked, Locked::Row { .. })).await?;
    if !is_there {
        txn.put(&T, 0, key.as_bytes(), b"new")?;
    }
    Ok(is_there)
}

async fn load(txn: &Transaction) {
    for n in 0..ROWS {
        assert!(!insert(txn, &format!("k{n:06}")).await.expect("claimed"));
    }
}

fn locks(node: &Node) -> usize {
    node.gateway.shard(Home::Data).expect("data").rows().len()
}

#[tokio::test]
async fn a_bulk_load_does_not_lock_row_by_row_and_still_keeps_others_out() {
    let node = node().await;
    let loader = node.begin(Isolation::ReadCommitted).await;
    load(&loader).await;
    assert!(locks(&node) < ROWS as usize / 2, "{} rows in the lock table", locks(&node));
    let other = node.begin(Isolation::ReadCommitted).await;
    {
        let mut duplicate = pin!(insert(&other, "k000599"));
        assert!(poll(duplicate.as_mut()).is_none(), "waits until it is known whether the key is taken");
        assert!(!insert(&node.begin(Isolation::ReadCommitted).await, "z").await.expect("another key is free"));
        loader.commit().await.expect("committed");
        assert!(duplicate.await.expect("free to look"), "it is taken");
    }
    other.rollback();
    assert!(node.gateway.shard(Home::Data).expect("data").rows().is_empty(), "nothing is left behind");
    assert_eq!(node.value("k000599").await, Some("new".into()));
}

#[tokio::test]
async fn a_key_that_another_holds_is_waited_for_by_a_bulk_load() {
    let node = node().await;
    let other = node.begin(Isolation::ReadCommitted).await;
    assert!(!insert(&other, "z").await.expect("free"));
    let loader = node.begin(Isolation::ReadCommitted).await;
    load(&loader).await;
    {
        let mut meets = pin!(insert(&loader, "z"));
        assert!(poll(meets.as_mut()).is_none());
        other.commit().await.expect("committed");
        assert!(meets.await.expect("granted"), "it is taken");
    }
    assert!(insert(&loader, "k000001").await.expect("own"), "an own row is one");
    loader.rollback();
    let next = node.begin(Isolation::ReadCommitted).await;
    assert!(!insert(&next, "k000001").await.expect("free"), "never was");
}

#[tokio::test]
async fn bulk_loads_that_want_each_others_keys_are_a_deadlock() {
    let node = node().await;
    let (one, two) = (node.begin(Isolation::ReadCommitted).await, node.begin(Isolation::ReadCommitted).await);
    load(&one).await;
    for n in 0..ROWS {
        insert(&two, &format!("m{n:06}")).await.expect("claimed");
    }
    let (first, second) = tokio::join!(insert(&one, "m000500"), async {
        let refused = insert(&two, "k000500").await;
        two.clone().rollback();
        refused
    });
    assert_eq!(second.expect_err("the younger"), TxnError::Deadlock);
    assert!(!first.expect("free"));
    one.commit().await.expect("committed");
}

#[tokio::test]
async fn claims_that_went_with_their_leader_are_not_believed() {
    let node = node().await;
    let loader = node.begin(Isolation::ReadCommitted).await;
    load(&loader).await;
    let term = node.data.lead_again();
    node.gateway.shard(Home::Data).expect("data").serve(term).await;
    let other = node.begin(Isolation::ReadCommitted).await;
    assert!(!insert(&other, "k000599").await.expect("the claim is lost"));
    other.commit().await.expect("committed");
    assert!(is_conflict(&loader.commit().await.expect_err("two rows under one key")));
}

#[tokio::test]
async fn duplicate_key_at_repeatable_read_is_one_whatever_the_snapshot_shows() {
    // PostgreSQL 15: 23505 for a row committed since; a row deleted since is no duplicate.
    let node = node().await;
    node.given(&[("gone", "1")]).await;
    let txn = node.begin(Isolation::RepeatableRead).await;
    assert_eq!(get(&txn, "gone").await.expect("read"), Some("1".into()));
    node.given(&[("here", "1")]).await;
    let other = node.serializable().await;
    lock(&other, "gone", LockMode::Update).await.expect("locked");
    other.delete(&T, 0, b"gone").expect("deleted");
    other.commit().await.expect("committed");
    assert!(insert(&txn, "here").await.expect("no 40001"));
    assert!(!insert(&txn, "gone").await.expect("no 40001"));
    assert!(is_conflict(&lock(&txn, "here", LockMode::Update).await.expect_err("an update is another thing")));
    txn.commit().await.expect("committed");
    assert_eq!(node.value("gone").await, Some("new".into()));
}

#[tokio::test]
async fn rows_in_storage_of_ones_own_take_no_locks() {
    let node = node().await;
    let txn = node.serializable().await;
    txn.own_storage(T.storage);
    load(&txn).await;
    assert!(insert(&txn, "k000001").await.expect("own"), "a duplicate is found all the same");
    lock(&txn, "k000002", LockMode::Update).await.expect("own");
    txn.delete(&T, 0, b"k000002").expect("deleted");
    assert!(!insert(&txn, "k000002").await.expect("free again"));
    assert_eq!(locks(&node), 0);
    txn.commit().await.expect("committed");
    assert_eq!(node.value("k000599").await, Some("new".into()));
}

#[tokio::test]
async fn what_all_transactions_buffer_is_bounded_and_given_back() {
    let limits = Limits { buffers_bytes: 3 << 20, ..Limits::default() };
    let node = start(&Disk::default(), limits).await;
    let fill = async |txn: &Transaction, megabytes: u8| {
        for n in 0..megabytes {
            txn.put(&T, 0, &[b'k', n], &vec![n; 1 << 20])?;
        }
        Ok::<_, TxnError>(())
    };
    let (one, two) = (node.serializable().await, node.serializable().await);
    fill(&one, 3).await.expect("within the bound");
    let refused = fill(&two, 3).await.expect_err("together they are over it");
    assert!(matches!(refused, TxnError::Memory { .. }), "{refused:?}");
    assert_eq!(refused.to_sql().code().as_str(), "53200");
    one.rollback();
    fill(&two, 2).await.expect("there is room again");
    two.commit().await.expect("committed");
    let three = node.serializable().await;
    fill(&three, 3).await.expect("all of it is back");
}

#[tokio::test]
async fn rows_without_a_key_stay_in_the_order_in_which_they_came() {
    let node = node().await;
    let ids: Vec<[u8; 16]> = (0..20_000).map(|_| node.gateway.new_row_id()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "also within one microsecond");
    let first = |id: &[u8; 16]| id[8..].to_vec();
    assert_ne!(first(&ids[0]), first(&ids[1]), "the second half is chance");
}
