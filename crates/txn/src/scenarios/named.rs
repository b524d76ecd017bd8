//! Locks by name, beside a session's transaction.

use super::*;

#[tokio::test]
async fn name_is_locked_by_one_holder_and_shared_by_many() {
    let node = node().await;
    let txn = node.serializable().await;
    let holder = || NamedLocks::new(node.gateway.clone(), SessionId(1));
    let (one, two) = (holder(), holder());
    let try_lock = async |who: &NamedLocks, mode, before| {
        who.lock(&txn, b"x", mode, before, WaitPolicy::NoWait).await.expect("an answer")
    };
    assert!(try_lock(&one, LockMode::Share, None).await);
    assert!(try_lock(&two, LockMode::Share, None).await);
    assert!(!try_lock(&one, LockMode::Update, Some(LockMode::Share)).await);
    two.release(b"x", None);
    assert!(try_lock(&one, LockMode::Update, Some(LockMode::Share)).await);
    assert!(!try_lock(&two, LockMode::Share, None).await);
    one.release(b"x", Some(LockMode::Share));
    assert!(try_lock(&two, LockMode::Share, None).await);
    assert!(!one.is_lost());
}

/// Each session holds a name and wants a row that the other's transaction holds: no owner alone is in a cycle.
#[tokio::test]
async fn deadlock_across_names_and_rows_is_found() {
    let node = node().await;
    let (old, young) = (node.serializable().await, node.serializable().await);
    let holder = || NamedLocks::new(node.gateway.clone(), SessionId(1));
    let (olds, youngs) = (holder(), holder());
    write(&young, "a", "1").await.expect("locked");
    olds.lock(&old, b"x", LockMode::Update, None, WaitPolicy::Wait).await.expect("locked");
    youngs.join(&young);
    let (one, two) = tokio::join!(write(&old, "a", "2"), async {
        let answer = youngs.lock(&young, b"x", LockMode::Update, None, WaitPolicy::Wait).await;
        young.rollback();
        answer
    });
    one.expect("the older transaction gets its lock");
    assert_eq!(two.expect_err("the younger holder dies"), TxnError::Deadlock);
}

/// A lock that went with its leader is believed by nobody.
#[tokio::test]
async fn lock_without_fencing() {
    let node = node().await;
    let txn = node.serializable().await;
    let holder = NamedLocks::new(node.gateway.clone(), SessionId(1));
    assert!(holder.lock(&txn, b"x", LockMode::Update, None, WaitPolicy::NoWait).await.expect("an answer"));
    assert!(!holder.is_lost());
    let term = node.meta.lead_again();
    assert!(holder.is_lost(), "the new leader does not serve yet");
    node.gateway.shard(Home::Meta).expect("meta").serve(term).await;
    assert!(holder.is_lost(), "and knows of no lock");
    holder.forget_term();
    assert!(!holder.is_lost());
}
