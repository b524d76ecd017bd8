//! Conflicts explain themselves: what DETAIL and HINT say, and to whom; what the views show of those who wait.

mod support;

use std::time::Duration;
use support::{Node, connect, run};
use tokio_postgres::Client;
use tokio_postgres::error::DbError;

async fn fails(client: &Client, sql: &str) -> DbError {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.as_db_error().expect("an error of the server").clone()
}

async fn done(client: &Client, sql: &str) {
    client.batch_execute(sql).await.expect(sql);
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.expect(sql).get(0)
}

async fn pid(client: &Client) -> i32 {
    client.query_one("SELECT pg_backend_pid()", &[]).await.expect("a pid").get(0)
}

/// Until a query gives true.
async fn until(client: &Client, sql: &str) {
    for _ in 0..500 {
        if client.query_one(sql, &[]).await.expect(sql).get(0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {sql}");
}

async fn table(client: &Client) {
    done(client, "CREATE TABLE account (id int PRIMARY KEY, balance int); INSERT INTO account VALUES (1, 1), (2, 2)")
        .await;
}

#[test]
fn serialization_failure_names_key_and_other_session() {
    let node = Node::start(&[]);
    run(async {
        let (a, b) = (connect(&node.config()).await, connect(&node.config()).await);
        table(&a).await;
        done(&b, "SET application_name = 'clerk'").await;
        let other = pid(&b).await;
        done(&a, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM account").await;
        done(&b, "UPDATE account SET balance = 5 WHERE id = 1").await;
        let error = fails(&a, "UPDATE account SET balance = 6 WHERE id = 1").await;
        assert_eq!(error.code().code(), "40001");
        let detail = error.detail().expect("a detail");
        assert!(detail.starts_with("Key (id)=(1) of relation \"account\" was changed by transaction "), "{detail}");
        assert!(detail.ends_with(&format!(" of process {other} (application \"clerk\").")), "{detail}");
        assert!(error.hint().is_some());
        done(&a, "ROLLBACK; BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT * FROM account WHERE id = 2").await;
        done(&b, "UPDATE account SET balance = 7 WHERE id = 2").await;
        let error = fails(&a, "UPDATE account SET balance = 8 WHERE id = 1").await;
        assert_eq!(error.code().code(), "40001", "what was read has changed, and is told at once");
        let detail = error.detail().expect("a detail");
        let expected = "Key (id)=(2) of relation \"account\", which this transaction has read, was changed by ";
        assert!(detail.starts_with(expected), "{detail}");
    });
}

#[test]
fn key_is_hidden_from_who_may_not_read_the_table() {
    let node = Node::start(&[]);
    run(async {
        let (a, b) = (connect(&node.config()).await, connect(&node.config()).await);
        table(&a).await;
        done(&a, "CREATE ROLE writer; GRANT INSERT, DELETE ON account TO writer; SET ROLE writer").await;
        done(&b, "SET application_name = 'clerk'; BEGIN; INSERT INTO account VALUES (9, 9)").await;
        done(&a, "SET lock_timeout = '20ms'").await;
        let error = fails(&a, "INSERT INTO account VALUES (9, 9)").await;
        assert_eq!(error.code().code(), "55P03");
        let detail = error.detail().expect("a detail");
        assert!(detail.starts_with("A row of relation \"account\" is locked by transaction "), "{detail}");
        assert!(!detail.contains("clerk"), "{detail}");
    });
}

#[test]
fn deadlock_names_every_member_of_its_cycle() {
    let node = Node::start(&[]);
    run(async {
        let (a, b) = (connect(&node.config()).await, connect(&node.config()).await);
        table(&a).await;
        let pids = [pid(&a).await, pid(&b).await];
        done(&a, "BEGIN; UPDATE account SET balance = 0 WHERE id = 1").await;
        done(&b, "BEGIN; UPDATE account SET balance = 0 WHERE id = 2").await;
        let (one, two) = tokio::join!(
            a.batch_execute("UPDATE account SET balance = 0 WHERE id = 2"),
            b.batch_execute("UPDATE account SET balance = 0 WHERE id = 1; ROLLBACK"),
        );
        one.expect("the older goes on");
        let error = two.expect_err("the younger ends");
        let error = error.as_db_error().expect("an error of the server");
        assert_eq!(error.code().code(), "40P01");
        let expected = format!(
            "Process {1} waits for key (id)=(1) of relation \"account\"; blocked by process {0}.\n\
             Process {0} waits for key (id)=(2) of relation \"account\"; blocked by process {1}.",
            pids[0], pids[1]
        );
        assert_eq!(error.detail(), Some(&*expected));
    });
}

#[test]
fn who_waits_is_seen_waiting() {
    let node = Node::start(&[]);
    run(async {
        let (a, b, look) =
            (connect(&node.config()).await, connect(&node.config()).await, connect(&node.config()).await);
        table(&a).await;
        let (holder, waiter) = (pid(&a).await, pid(&b).await);
        done(&a, "BEGIN; UPDATE account SET balance = 0 WHERE id = 1").await;
        let see = async {
            until(&look, &format!("SELECT pg_blocking_pids({waiter}) = ARRAY[{holder}]")).await;
            let event = format!("SELECT wait_event_type || wait_event FROM pg_stat_activity WHERE pid = {waiter}");
            assert_eq!(text(&look, &event).await, "Locktransactionid");
            let held = "SELECT string_agg(locktype || mode || granted, ' ' ORDER BY locktype, mode) FROM pg_locks \
                        WHERE locktype IN ('relation', 'transactionid') AND relation IS DISTINCT FROM 'pg_locks'::regclass AND pid = ";
            let expected = "relationRowExclusiveLocktrue transactionidExclusiveLocktrue";
            assert_eq!(
                text(&look, &format!("{held}{holder}")).await.replace("relationAccessShareLocktrue ", ""),
                expected
            );
            assert!(text(&look, &format!("{held}{waiter}")).await.ends_with("transactionidShareLockfalse"));
            until(&look, &format!("SELECT pg_cancel_backend({waiter})")).await;
        };
        let (waited, ()) = tokio::join!(b.batch_execute("UPDATE account SET balance = 0 WHERE id = 1"), see);
        let error = waited.expect_err("cancelled");
        assert_eq!(error.code().expect("a code").code(), "57014");
        assert!(text(&look, "SELECT count(*)::text FROM pg_locks WHERE NOT granted").await == "0");
    });
}

#[test]
fn an_exported_snapshot_is_read_by_another() {
    let node = Node::start(&[]);
    run(async {
        let (a, b) = (connect(&node.config()).await, connect(&node.config()).await);
        table(&a).await;
        done(&a, "BEGIN ISOLATION LEVEL REPEATABLE READ").await;
        let name = text(&a, "SELECT pg_export_snapshot()").await;
        done(&b, "INSERT INTO account VALUES (3, 3)").await;
        done(&b, &format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{name}'")).await;
        assert_eq!(text(&b, "SELECT count(*)::text FROM account").await, "2");
        done(&b, "COMMIT").await;
        done(&a, "COMMIT").await;
        let error =
            fails(&b, &format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{name}'")).await;
        assert_eq!(error.code().code(), "22023", "its exporter is gone");
    });
}

#[test]
fn a_tokens_outcome_survives_a_restart() {
    let mut node = Node::start(&[]);
    run(async {
        let a = connect(&node.config()).await;
        table(&a).await;
        done(&a, "SET hyrax.txn_token = 'one'; INSERT INTO account VALUES (5, 5)").await;
        assert_eq!(text(&a, "SELECT hyrax_txn_status('two')").await, "aborted");
    });
    node.stop(Duration::from_secs(5));
    node.start_again();
    run(async {
        let a = connect(&node.config()).await;
        assert_eq!(text(&a, "SELECT hyrax_txn_status('one')").await, "committed");
        for (token, code) in [("one", "HX001"), ("two", "HX002")] {
            done(&a, &format!("SET hyrax.txn_token = '{token}'")).await;
            let error = fails(&a, "INSERT INTO account VALUES (6, 6)").await;
            assert_eq!(error.code().code(), code);
        }
        assert_eq!(text(&a, "SELECT count(*)::text FROM account").await, "3");
    });
}

/// Recorded from PostgreSQL 15 in two sessions: whoever waited finds the row under the key that it has now, and looks at its WHERE again.
#[test]
fn row_that_gets_another_key_is_followed_by_who_waited() {
    let node = Node::start(&[]);
    run(async {
        let (a, b) = (connect(&node.config()).await, connect(&node.config()).await);
        done(&a, "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
            .await;
        done(&b, "SET default_transaction_isolation = 'read committed'").await;
        let steps = [
            ("UPDATE t SET v = v + 10 WHERE v <= 2 RETURNING id", "5,2"),
            ("DELETE FROM t WHERE v = 3 RETURNING id", "5"),
            ("SELECT id FROM t WHERE v = 4 ORDER BY id FOR UPDATE", "5"),
            // By its key it is another row; and one that does not qualify any more stays.
            ("UPDATE t SET v = 0 WHERE id = 1 RETURNING id", ""),
            ("DELETE FROM t WHERE id < 4 AND v < 9 RETURNING id", "2,3"),
        ];
        let moved = ["id = 1", "id = 3", "id = 4", "id = 1", "id = 1"];
        for ((sql, expected), moved) in steps.into_iter().zip(moved) {
            done(&a, &format!("BEGIN; UPDATE t SET id = 5 WHERE {moved}")).await;
            let waiter = async {
                let rows = b.query(sql, &[]).await.expect(sql);
                rows.iter().map(|row| row.get::<_, i32>(0).to_string()).collect::<Vec<_>>().join(",")
            };
            let mover = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                done(&a, "COMMIT").await;
            };
            let (found, ()) = tokio::join!(waiter, mover);
            assert_eq!(found, expected, "{sql}");
            done(&a, "DELETE FROM t; INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4)").await;
        }
    });
}

/// Whoever of them commits makes stale what all others have read: without turns, ten attempts of each would not do.
#[test]
fn many_that_write_what_they_find_by_a_scan_come_through() {
    const CLIENTS: usize = 32;
    const TIMES: usize = 20;
    let node = Node::start(&[]);
    run(async {
        let watcher = connect(&node.config()).await;
        done(&watcher, "CREATE TABLE counter (n int); INSERT INTO counter VALUES (0)").await;
        let mut tasks = vec![];
        for _ in 0..CLIENTS {
            let client = connect(&node.config()).await;
            tasks.push(tokio::spawn(async move {
                for _ in 0..TIMES {
                    done(&client, "UPDATE counter SET n = n + 1").await;
                }
            }));
        }
        for task in tasks {
            task.await.expect("no conflict that a client sees");
        }
        let sum: i32 = watcher.query_one("SELECT n FROM counter", &[]).await.expect("a sum").get(0);
        assert_eq!(sum as usize, CLIENTS * TIMES);
    });
}
