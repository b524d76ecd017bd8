//! Indexes that are made beside writers: what is in them afterwards, what they keep out meanwhile, and what is left of one that
//! ends in the middle.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{Node, code, connect, run, value};
use tokio_postgres::Client;

/// What a query answers through the index on `v`, and without any.
async fn both_ways(client: &Client, query: &str) -> (String, String) {
    client.batch_execute("SET enable_seqscan = off").await.expect("set");
    let plan = value(client, &format!("EXPLAIN (FORMAT JSON) {query}")).await;
    assert!(plan.contains("t_v"), "not through the index: {plan}");
    let by_index = value(client, query).await;
    client
        .batch_execute("SET enable_seqscan = on; SET enable_indexscan = off; SET enable_indexonlyscan = off")
        .await
        .expect("set");
    let by_table = value(client, query).await;
    client.batch_execute("RESET ALL").await.expect("reset");
    (by_index, by_table)
}

async fn state(client: &Client, index: &str) -> String {
    let query = format!(
        "SELECT coalesce((SELECT indisvalid::text FROM pg_index WHERE indexrelid = to_regclass('{index}')), 'none')"
    );
    value(client, &query).await
}

/// Changes rows of its own until it is told to stop; how many changes there were.
async fn write(client: Client, number: i32, stop: Arc<AtomicBool>) -> i32 {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let id = number * 100_000 + count;
        let old = number * 1_000 + count % 200;
        for statement in [
            format!("INSERT INTO t VALUES ({id}, {})", 5_000_000 + id),
            format!("UPDATE t SET v = v + 1000000 WHERE id = {old}"),
            format!("DELETE FROM t WHERE id = {}", id - 7),
            format!("BEGIN; UPDATE t SET v = -v WHERE id = {id}; UPDATE t SET id = -id WHERE id = {}; COMMIT", id - 3),
            format!("BEGIN; DELETE FROM t WHERE id = {old}; ROLLBACK"),
        ] {
            client.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
        count += 1;
    }
    count
}

#[test]
fn an_index_made_beside_writers_has_every_row_and_no_writer_fails() {
    let node = Node::start(&[]);
    run(async {
        let client = connect(&node.config()).await;
        client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int)").await.expect("table");
        for number in 1..=3 {
            let rows =
                format!("INSERT INTO t SELECT {number} * 1000 + i, {number} * 1000 + i FROM generate_series(0, 199) i");
            client.batch_execute(&rows).await.expect("rows");
        }
        client.batch_execute("INSERT INTO t SELECT i, i FROM generate_series(10000, 12000) i").await.expect("rows");
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = vec![];
        for number in 1..=3 {
            writers.push(tokio::spawn(write(connect(&node.config()).await, number, stop.clone())));
        }
        for statement in [
            "CREATE INDEX CONCURRENTLY t_v ON t (v)",
            "CREATE UNIQUE INDEX CONCURRENTLY t_v ON t (v)",
            "CREATE INDEX t_v ON t (v)",
        ] {
            client.batch_execute("DROP INDEX IF EXISTS t_v").await.expect("dropped");
            client.batch_execute(statement).await.expect(statement);
            let (by_index, by_table) =
                both_ways(&client, "SELECT count(*)||' '||sum(v) FROM t WHERE v < 2000000000").await;
            // The two are not of one moment while writers go on.
            assert!(!by_index.is_empty() && !by_table.is_empty());
        }
        client.batch_execute("DROP INDEX t_v; CREATE UNIQUE INDEX CONCURRENTLY t_v ON t (v)").await.expect_err("25001");
        client.batch_execute("DROP INDEX IF EXISTS t_v").await.expect("dropped");
        client.batch_execute("CREATE UNIQUE INDEX CONCURRENTLY t_v ON t (v)").await.expect("built");
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            assert!(writer.await.expect("no writer fails") > 0);
        }
        assert_eq!(state(&client, "t_v").await, "true");
        let (by_index, by_table) =
            both_ways(&client, "SELECT count(*)||' '||sum(v::bigint * id) FROM t WHERE v < 2000000000").await;
        assert_eq!(by_index, by_table);
    });
}

#[test]
fn a_build_that_fails_leaves_an_invalid_index_that_still_keeps_duplicates_out() {
    let node = Node::start(&[]);
    run(async {
        let client = connect(&node.config()).await;
        let given = "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2), (3, 2), (4, 4)";
        client.batch_execute(given).await.expect("rows");
        let built = client.batch_execute("CREATE UNIQUE INDEX CONCURRENTLY t_v ON t (v)").await;
        assert_eq!(code(built), "23505 could not create unique index \"t_v\"");
        assert_eq!(state(&client, "t_v").await, "false");
        // Plans do not read it, writers keep it.
        assert_eq!(value(&client, "SET enable_seqscan = off; SELECT count(*) FROM t WHERE v = 2").await, "2");
        let again = client.batch_execute("INSERT INTO t VALUES (5, 7); INSERT INTO t VALUES (6, 7)").await;
        client.batch_execute("INSERT INTO t VALUES (5, 7)").await.expect("a new value");
        assert_eq!(code(again), "23505 duplicate key value violates unique constraint \"t_v\"");
        // The entry of 2 is one row's: the other must not take it away.
        client.batch_execute("UPDATE t SET v = 3 WHERE id = 3; DELETE FROM t WHERE id = 3").await.expect("gone");
        assert_eq!(code(client.batch_execute("REINDEX INDEX CONCURRENTLY t_v").await), "ok");
        assert_eq!(state(&client, "t_v").await, "true");
        let (by_index, by_table) =
            both_ways(&client, "SELECT string_agg(id||'='||v, ' ' ORDER BY id) FROM t WHERE v < 100").await;
        assert_eq!((by_index.as_str(), by_table.as_str()), ("1=1 2=2 4=4 5=7", "1=1 2=2 4=4 5=7"));
        let taken = client.batch_execute("INSERT INTO t VALUES (6, 2)").await;
        assert_eq!(code(taken), "23505 duplicate key value violates unique constraint \"t_v\"");
    });
}

#[test]
fn a_build_that_is_cancelled_leaves_an_invalid_index_for_reindex_or_drop() {
    let node = Node::start(&[]);
    run(async {
        let (client, other) = (connect(&node.config()).await, connect(&node.config()).await);
        client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int)").await.expect("table");
        client.batch_execute("INSERT INTO t SELECT i, i FROM generate_series(1, 20000) i").await.expect("rows");
        let token = client.cancel_token();
        let build = tokio::spawn(async move {
            let slow = "CREATE INDEX CONCURRENTLY t_v ON t (v, md5(repeat('x', 20000 + v % 100)))";
            let result = client.batch_execute(slow).await;
            (client, code(result))
        });
        while state(&other, "t_v").await == "none" {
            tokio::task::yield_now().await;
        }
        token.cancel_query(tokio_postgres::NoTls).await.expect("asked");
        let (client, ended) = build.await.expect("ended");
        assert_eq!(ended, "57014 canceling statement due to user request");
        assert_eq!(state(&client, "t_v").await, "false");
        client.batch_execute("UPDATE t SET v = v + 1 WHERE id < 100; DROP INDEX t_v").await.expect("dropped");
        assert_eq!(state(&client, "t_v").await, "none");
        client.batch_execute("UPDATE t SET v = v + 1 WHERE id < 100").await.expect("nothing is left");
    });
}

#[test]
fn a_writer_that_never_ends_delays_the_build_and_nobody_else() {
    let node = Node::start(&[]);
    run(async {
        let (client, idle, writer) =
            (connect(&node.config()).await, connect(&node.config()).await, connect(&node.config()).await);
        client
            .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2)")
            .await
            .expect("rows");
        idle.batch_execute("BEGIN; UPDATE t SET v = 10 WHERE id = 1").await.expect("held");
        let build = tokio::spawn(async move {
            client.batch_execute("CREATE INDEX CONCURRENTLY t_v ON t (v)").await.expect("built");
            client
        });
        writer.batch_execute("SET statement_timeout = '20s'").await.expect("set");
        for i in 0..50 {
            writer.batch_execute(&format!("UPDATE t SET v = {i} WHERE id = 2")).await.expect("nobody is in the way");
        }
        assert!(!build.is_finished(), "it waits for who has written");
        idle.batch_execute("COMMIT").await.expect("committed");
        let client = build.await.expect("built");
        let (by_index, by_table) =
            both_ways(&client, "SELECT string_agg(id||'='||v, ' ' ORDER BY id) FROM t WHERE v < 100").await;
        assert_eq!((by_index.as_str(), by_table.as_str()), ("1=10 2=49", "1=10 2=49"));
    });
}

#[test]
fn a_snapshot_from_before_an_index_does_not_read_it() {
    let node = Node::start(&[]);
    run(async {
        let (client, old) = (connect(&node.config()).await, connect(&node.config()).await);
        client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, i FROM generate_series(1, 2000) i; ANALYZE t").await.expect("rows");
        let prepared = old.prepare("SELECT count(*) FROM t WHERE v = 77").await.expect("prepared");
        for (level, how) in [("REPEATABLE READ", ""), ("SERIALIZABLE", ""), ("REPEATABLE READ", "CONCURRENTLY")] {
            client.batch_execute("DROP INDEX IF EXISTS t_v").await.expect("dropped");
            old.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; SELECT 1 FROM t")).await.expect("a snapshot");
            client.batch_execute(&format!("CREATE INDEX {how} t_v ON t (v)")).await.expect("built");
            assert_eq!(value(&old, "SELECT count(*) FROM t WHERE v = 77").await, "1", "{level} {how}");
            let row = old.query_one(&prepared, &[]).await.expect("a row");
            assert_eq!(row.get::<_, i64>(0), 1, "{level} {how}");
            old.batch_execute("COMMIT").await.expect("ended");
            let plan =
                value(&old, "SET enable_seqscan = off; EXPLAIN SELECT count(*) FROM t WHERE v = 77; RESET ALL").await;
            assert!(!plan.is_empty());
            assert_eq!(old.query_one(&prepared, &[]).await.expect("a row").get::<_, i64>(0), 1);
        }
        client.batch_execute("SELECT pg_sleep(0)").await.expect("still there");
        tokio::time::sleep(Duration::ZERO).await;
    });
}
