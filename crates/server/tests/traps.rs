//! Faults that others shipped (docs/traps.md), as a client would meet them.

mod support;

use std::collections::BTreeSet;
use support::{Node, code, connect, run, value};

const CLIENTS: i64 = 6;
const EACH: i64 = 15;

/// Each statement meets the others and is executed again by the server: what is told is of the execution that counts.
#[test]
fn reads_of_first_attempt_returned() {
    let node = Node::start(&[]);
    run(async {
        let first = connect(&node.config()).await;
        first.batch_execute("CREATE TABLE ticket (n bigint PRIMARY KEY, who bigint)").await.expect("made");
        let client = async |who: i64| {
            let client = connect(&node.config()).await;
            let take = "INSERT INTO ticket SELECT coalesce(max(n), 0) + 1, $1::bigint FROM ticket RETURNING n";
            let mut told = Vec::new();
            while (told.len() as i64) < EACH {
                match client.query_one(take, &[&who]).await {
                    Ok(row) => told.push(row.get::<_, i64>(0)),
                    error => assert_eq!(&code(error)[..5], "40001", "ten executions were not enough"),
                }
            }
            told
        };
        let told = tokio::join!(client(0), client(1), client(2), client(3), client(4), client(5));
        let told = [told.0, told.1, told.2, told.3, told.4, told.5].concat();
        let all: BTreeSet<i64> = told.iter().copied().collect();
        assert_eq!(all, (1..=CLIENTS * EACH).collect(), "each number was told once: {told:?}");
        assert_eq!(value(&first, "SELECT count(*) FROM ticket").await, (CLIENTS * EACH).to_string());
        assert_ne!(value(&first, "SELECT count(DISTINCT who) FROM ticket").await, "1");
    });
}

/// The arm of ON CONFLICT that updates sees the newest version, which it holds the lock of.
#[test]
fn insert_on_dup_stale_value() {
    let node = Node::start(&[]);
    run(async {
        let (a, b) = (connect(&node.config()).await, connect(&node.config()).await);
        a.batch_execute("CREATE TABLE counter (id int PRIMARY KEY, n int)").await.expect("made");
        let add = "INSERT INTO counter AS c VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = c.n + 1 RETURNING n";
        for (level, expected) in [("READ COMMITTED", "12"), ("REPEATABLE READ", "40001"), ("SERIALIZABLE", "12")] {
            a.batch_execute("DELETE FROM counter; INSERT INTO counter VALUES (1, 1)").await.expect("given");
            b.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}")).await.expect("begun");
            value(&b, "SELECT 1 FROM counter LIMIT 0; SELECT 1").await;
            a.batch_execute("BEGIN; UPDATE counter SET n = n + 10").await.expect("changed");
            let waits = b.query_one(add, &[]);
            let ((), answer) = tokio::join!(async { a.batch_execute("COMMIT").await.expect("committed") }, waits);
            let told = match answer {
                Ok(row) => row.get::<_, i32>(0).to_string(),
                error => code(error)[..5].to_owned(),
            };
            assert_eq!(told, expected, "{level}");
            b.batch_execute("ROLLBACK").await.expect("over");
        }
    });
}

/// Nothing that a client or an operator can set makes a commit answer before it is durable.
#[test]
fn sync_off_by_default() {
    let node = Node::start(&[]);
    run(async {
        let client = connect(&node.config()).await;
        assert_eq!(value(&client, "SHOW fsync").await, "on");
        assert_eq!(value(&client, "SHOW full_page_writes").await, "on");
        assert_eq!(&code(client.simple_query("SET fsync = off").await)[..5], "55P02");
    });
    let settings = node.settings().to_toml();
    let names = settings.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim());
    let about_it: Vec<&str> = names.filter(|name| name.contains("sync")).collect();
    assert!(about_it.is_empty(), "settings of the node: {about_it:?}");
}
