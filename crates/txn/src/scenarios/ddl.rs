//! DDL that reads all rows of a relation, beside those who write to it.

use super::*;
use shard::locks::Bar;
use std::pin::pin;

const LEVELS: [Isolation; 3] = [Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable];
/// The index that is filled, and the relation as plans see it afterwards.
const INDEX: RelationRef = RelationRef { storage: StorageId(101), ..T };
const NEW: RelationRef = RelationRef { schema_version: 2, ..T };

/// CREATE INDEX, up to its commit: every row seen becomes an entry.
async fn fill(ddl: &Transaction) -> Result<Vec<String>> {
    let _newest = ddl.exclude(&[T]).await?;
    let rows = scan(ddl, "", "", Direction::Forward).await?;
    for row in &rows {
        ddl.put(&INDEX, 0, row.as_bytes(), b"")?;
    }
    ddl.put(&M, 0, b"descriptor", b"2")?;
    ddl.fence(T.id, 2);
    Ok(rows)
}

async fn write_new(txn: &Transaction, key: &str) -> Result<()> {
    txn.lock(&NEW, 0, key.as_bytes(), LockMode::NoKeyUpdate, WaitPolicy::Wait, |_| ()).await?;
    txn.put(&NEW, 0, key.as_bytes(), b"x")
}

#[tokio::test]
async fn index_backfill_that_misses_a_concurrent_write() {
    for level in LEVELS {
        let node = node().await;
        node.given(&[("a", "1")]).await;
        let ddl = node.begin(level).await;
        assert_eq!(get(&ddl, "a").await.expect("read"), Some("1".into()), "its snapshot is from before");
        let before = node.begin(level).await;
        write(&before, "b", "2").await.expect("nobody is in the way");
        let mut filled = Box::pin(fill(&ddl));
        assert!(poll(filled.as_mut()).is_none(), "waits for who has written");
        let after = node.begin(level).await;
        let mut late = pin!(write(&after, "c", "3"));
        assert!(poll(late.as_mut()).is_none(), "no new writer overtakes who waits");
        before.commit().await.expect("not disturbed");
        assert_eq!(filled.await.expect("filled"), ["a=1", "b=2"], "{level:?}");
        assert!(poll(late.as_mut()).is_none());
        ddl.commit().await.expect("nobody came in between");
        assert_eq!(late.await.expect_err("planned without the index"), TxnError::SchemaChanged { relation: T.id });
        let again = node.begin(level).await;
        write_new(&again, "c").await.expect("planned with it");
        again.commit().await.expect("committed");
    }
}

#[tokio::test]
async fn what_ddl_has_read_is_validated_at_every_level() {
    // The gate is lost with its leader; the row that came then is not in the index.
    for level in LEVELS {
        let node = node().await;
        node.given(&[("a", "1")]).await;
        let ddl = node.begin(level).await;
        fill(&ddl).await.expect("filled");
        let term = node.data.lead_again();
        node.gateway.shard(Home::Data).expect("data").serve(term).await;
        node.given(&[("b", "2")]).await;
        assert!(is_conflict(&ddl.commit().await.expect_err("b has no entry")), "{level:?}");
    }
}

#[tokio::test]
async fn what_ddl_has_read_is_validated_against_what_is_in_flight() {
    let node = node().await;
    let ddl = node.begin(Isolation::ReadCommitted).await;
    fill(&ddl).await.expect("filled");
    let term = node.data.lead_again();
    node.gateway.shard(Home::Data).expect("data").serve(term).await;
    node.data.hold();
    let writer = node.serializable().await;
    write(&writer, "b", "2").await.expect("the gate is lost");
    let mut written = pin!(writer.commit());
    assert!(poll(written.as_mut()).is_none());
    let mut commit = pin!(ddl.commit());
    assert!(poll(commit.as_mut()).is_none(), "the meta shard's no is awaited in the log");
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    node.data.release();
    written.await.expect("committed");
    assert!(is_conflict(&commit.await.expect_err("b has no entry")));
}

#[tokio::test]
async fn a_plan_from_before_is_refused_at_its_first_write_and_at_its_commit() {
    let node = node().await;
    let (early, reader) = (node.serializable().await, node.serializable().await);
    get(&early, "a").await.expect("read");
    get(&reader, "a").await.expect("read");
    let ddl = node.begin(Isolation::ReadCommitted).await;
    fill(&ddl).await.expect("readers are in nobody's way");
    ddl.commit().await.expect("committed");
    let refused = TxnError::SchemaChanged { relation: T.id };
    assert_eq!(write(&early, "b", "2").await.expect_err("planned before"), refused);
    assert_eq!(early.put(&T, 0, b"b", b"2").expect_err("not even without a lock"), refused);
    write(&reader, "other", "1").await.expect_err("the same");
    // Read before, written to another relation after: at SERIALIZABLE what it has read must be as it was.
    let other = RelationRef { storage: StorageId(200), id: 200, ..T };
    reader.lock(&other, 0, b"k", LockMode::Update, WaitPolicy::Wait, |_| ()).await.expect("another gate");
    reader.put(&other, 0, b"k", b"v").expect("put");
    assert_eq!(reader.commit().await.expect_err("planned before"), refused);
}

#[tokio::test]
async fn reading_before_and_writing_after_ddl_is_fine_below_serializable() {
    for level in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        let node = node().await;
        let txn = node.begin(level).await;
        get(&txn, "a").await.expect("read");
        let ddl = node.begin(Isolation::ReadCommitted).await;
        fill(&ddl).await.expect("filled");
        ddl.commit().await.expect("committed");
        txn.begin_statement().await.expect("begins");
        write_new(&txn, "b").await.expect("planned anew");
        txn.commit().await.expect("committed");
    }
}

#[tokio::test]
async fn ddl_that_is_rolled_back_lets_writers_go_on() {
    let node = node().await;
    let ddl = node.begin(Isolation::Serializable).await;
    fill(&ddl).await.expect("filled");
    let writer = node.begin(Isolation::ReadCommitted).await;
    {
        let mut write = pin!(write(&writer, "a", "1"));
        assert!(poll(write.as_mut()).is_none());
        ddl.rollback();
        write.await.expect("the plan is as good as ever");
    }
    writer.commit().await.expect("committed");
    assert!(node.gateway.shard(Home::Data).expect("data").rows().is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn own_writes_are_in_the_index() {
    let node = node().await;
    node.given(&[("a", "1")]).await;
    let ddl = node.begin(Isolation::ReadCommitted).await;
    write(&ddl, "b", "2").await.expect("written");
    ddl.begin_statement().await.expect("begins");
    assert_eq!(fill(&ddl).await.expect("filled"), ["a=1", "b=2"]);
    write(&ddl, "c", "3").await.expect("who closed it may write");
    ddl.commit().await.expect("committed");
}

#[tokio::test]
async fn two_writers_that_both_want_the_relation_alone_are_a_deadlock() {
    let node = node().await;
    let (one, two) = (node.serializable().await, node.serializable().await);
    write(&one, "a", "1").await.expect("written");
    write(&two, "b", "2").await.expect("written");
    let (first, second) = tokio::join!(one.close(&T, Bar::Writers, WaitPolicy::Wait), async {
        let refused = two.close(&T, Bar::Writers, WaitPolicy::Wait).await;
        two.clone().rollback();
        refused
    });
    assert_eq!(second.expect_err("the younger"), TxnError::Deadlock);
    first.expect("closed");
    one.commit().await.expect("committed");
}

#[tokio::test]
async fn ddl_gives_up_at_its_lock_timeout_and_writers_go_on() {
    let node = node().await;
    let (writer, ddl, late) = (node.serializable().await, node.serializable().await, node.serializable().await);
    write(&writer, "a", "1").await.expect("written");
    ddl.set_lock_timeout(Some(std::time::Duration::from_millis(5)));
    let (closed, written) = tokio::join!(ddl.close(&T, Bar::Writers, WaitPolicy::Wait), write(&late, "b", "2"));
    assert_eq!(closed.expect_err("writer is inside"), TxnError::LockTimeout);
    written.expect("open again");
    late.commit().await.expect("committed");
    writer.commit().await.expect("committed");
}

/// A foreign key's check locks the parent's row: an index of the parent is filled beside it, a change of the parent waits.
#[tokio::test]
async fn a_row_that_is_only_locked_keeps_its_relations_definition() {
    let node = node().await;
    node.given(&[("parent", "1")]).await;
    let begin = async || node.begin(Isolation::ReadCommitted).await;
    let (child, index, change) = (begin().await, begin().await, begin().await);
    lock(&child, "parent", LockMode::KeyShare).await.expect("locked");
    fill(&index).await.expect("filled");
    index.commit().await.expect("committed");
    let mut closed = Box::pin(change.close(&T, Bar::All, WaitPolicy::Wait));
    assert!(poll(closed.as_mut()).is_none(), "waits for who has locked");
    child.put(&RelationRef { storage: StorageId(200), id: 200, ..T }, 0, b"row", b"1").expect("put");
    child.commit().await.expect("what it has locked is as it was");
    closed.await.expect("closed");
}
