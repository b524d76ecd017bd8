//! What a statement does when nobody wants it any more: it ends, whatever it is in the middle of. Each of these would take minutes.

mod support;

use futures_util::TryStreamExt;
use std::time::{Duration, Instant};
use support::{Node, code, connect};
use tokio_postgres::{Client, Config, NoTls};

/// A statement has this long to get going, and this long to end: no test of speed, but far below what it would take.
const BEGUN: Duration = Duration::from_millis(200);
const ENDED: Duration = Duration::from_secs(20);
/// When it is asked again.
const AGAIN: Duration = Duration::from_secs(5);

const GIVEN: &str = "
    CREATE TABLE big (id int PRIMARY KEY, v int, s text);
    INSERT INTO big SELECT i, i * 7919 % 20000, 'text ' || i FROM generate_series(1, 20000) i;
    CREATE TABLE held (id int PRIMARY KEY, v int);
    INSERT INTO held VALUES (1, 1);
    CREATE TABLE sink (a int, b int);";

/// Joins of so many rows that nothing about them ends.
const ENDLESS: &str = "big a, big b, big c";

fn statements() -> Vec<(&'static str, String)> {
    let from = ENDLESS;
    let many =
        |n: usize, part: &dyn Fn(usize) -> String, between: &str| (0..n).map(part).collect::<Vec<_>>().join(between);
    vec![
        ("many statements", many(90_000, &|i| format!("EXPLAIN SELECT {i} AS a, b FROM (VALUES (1)) t(b)"), ";")),
        (
            "join order",
            many(
                300,
                &|_| {
                    let tables = many(12, &|i| format!("held t{i}"), ", ");
                    format!(
                        "EXPLAIN SELECT 1 FROM {tables} WHERE {}",
                        many(11, &|i| format!("t{i}.v = t{}.id", i + 1), " AND ")
                    )
                },
                ";",
            ),
        ),
        ("text of many tokens", format!("SELECT 1 WHERE 1 IN (1{})", ", 1".repeat(4_000_000))),
        ("look-ahead", "SELECT count(*) FROM big WHERE repeat('ab', 20000) || s ~ '(?=.*b)(?!.*q)c'".into()),
        ("sort", format!("SELECT a.s FROM {from} ORDER BY b.s, c.v OFFSET 1000000000")),
        ("cross join", format!("SELECT count(*) FROM {from} WHERE a.v + b.v + c.v < 0")),
        ("hash join", format!("SELECT count(*) FROM big d JOIN (SELECT a.id + b.id AS k FROM {from}) x ON x.k = d.id")),
        ("window", format!("SELECT max(x) FROM (SELECT sum(a.v) OVER (ORDER BY b.id) AS x FROM {from}) y")),
        ("aggregate", format!("SELECT count(*) FROM (SELECT a.v * b.v AS k, sum(c.id) FROM {from} GROUP BY 1) x")),
        ("set operation", format!("SELECT count(*) FROM (SELECT a.v + b.v FROM {from} EXCEPT SELECT 1) x")),
        (
            "recursion",
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n % 10 + 1 FROM r) SELECT count(*) FROM r".into(),
        ),
        ("set function", "SELECT count(*) FROM generate_series(1, 100000000000)".into()),
        (
            "regular expression",
            "SELECT count(regexp_replace(repeat('x', 10000000), '(.)', '\\1y', 'g')) FROM big".into(),
        ),
        ("numbers", "SELECT count(*) FROM big WHERE sqrt(repeat('9', 100000)::numeric + v) > v".into()),
        ("long texts", "SELECT sum(length(repeat(s, 3000000))) FROM big".into()),
        ("subplan", format!("SELECT count(*) FROM big d WHERE NOT EXISTS (SELECT 1 FROM {from} WHERE a.v + d.v < 0)")),
        ("sleep", "SELECT pg_sleep(1000)".into()),
        ("row lock", "UPDATE held SET v = 2".into()),
        ("DDL behind a writer", "ALTER TABLE held ADD COLUMN w int".into()),
        ("index behind a writer", "CREATE INDEX ON held (v)".into()),
        ("online index behind a writer", "CREATE INDEX CONCURRENTLY ON held (v)".into()),
        ("sequence that is changed", "SELECT nextval('changed')".into()),
        ("INSERT", format!("INSERT INTO sink SELECT a.id, b.id FROM {from}")),
        ("UPDATE", format!("UPDATE big SET v = 1 FROM {from} WHERE a.v + b.v + c.v < 0")),
        ("CREATE TABLE AS", format!("CREATE TABLE made AS SELECT a.id, b.v FROM {from}")),
        ("index build", "CREATE INDEX made ON big (md5(repeat(s, 1000000)))".into()),
        ("check of what is there", "ALTER TABLE big ADD CHECK (length(md5(repeat(s, 1000000))) = 32)".into()),
        ("COPY TO", format!("COPY (SELECT 1 FROM {from} WHERE a.v + b.v + c.v < 0) TO STDOUT")),
        ("EXPLAIN ANALYZE", format!("EXPLAIN ANALYZE SELECT count(*) FROM {from} WHERE a.v + b.v + c.v < 0")),
        (
            "cursor",
            format!("BEGIN; DECLARE c CURSOR FOR SELECT count(*) FROM {from} WHERE a.v + b.v + c.v < 0; FETCH c"),
        ),
    ]
}

async fn given(config: &Config) -> Client {
    let holder = connect(config).await;
    holder.batch_execute(GIVEN).await.expect("tables");
    holder.batch_execute("CREATE SEQUENCE changed").await.expect("a sequence");
    holder.batch_execute("BEGIN; UPDATE held SET v = 5; ALTER SEQUENCE changed INCREMENT 2").await.expect("held");
    holder
}

/// COPY's answer is a stream that a string of statements can not have.
async fn run(client: &Client, statement: &str) -> Result<(), tokio_postgres::Error> {
    if statement.starts_with("COPY ") {
        return client.copy_out(statement).await?.try_for_each(async |_| Ok(())).await;
    }
    client.simple_query(statement).await.map(drop)
}

/// Runs the statement in a session of its own; how it ended, and that it did.
async fn ended(config: &Config, set: &str, statement: &str, stop: &impl AsyncFn(&Client)) -> String {
    let client = connect(config).await;
    client.batch_execute(set).await.expect("set");
    let started = Instant::now();
    let work = run(&client, statement);
    tokio::pin!(work);
    let early = tokio::time::timeout(BEGUN, &mut work).await;
    if early.is_ok() && set.is_empty() {
        return "ended by itself".to_owned();
    }
    let mut result = early;
    while result.is_err() && started.elapsed() < ENDED {
        // Who asks before a long text has arrived, which takes its time on a busy machine, has asked for nothing.
        stop(&client).await;
        result = tokio::time::timeout(AGAIN, &mut work).await;
    }
    match result {
        Ok(result) => code(result),
        Err(_) => format!("still running after {:?}", started.elapsed()),
    }
}

/// All of them, one after the other. `set`: before each.
fn all_end(set: &str, left_out: &[&str], expected: &str, stop: impl AsyncFn(&Client)) {
    let node = Node::start(&[]);
    let config = node.config();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let _holder = given(&config).await;
        for (name, statement) in statements().iter().filter(|(name, _)| !left_out.contains(name)) {
            assert_eq!(ended(&config, set, statement, &stop).await, expected, "{name}");
        }
    });
}

#[test]
fn a_cancelled_statement_ends_whatever_it_is_doing() {
    all_end("", &[], "57014 canceling statement due to user request", async |client: &Client| {
        client.cancel_token().cancel_query(NoTls).await.expect("asked");
    });
}

#[test]
fn a_statement_whose_time_is_up_ends_whatever_it_is_doing() {
    // The time counts for each statement of a string.
    let strings = ["many statements", "join order"];
    let set = "SET statement_timeout = 100";
    all_end(set, &strings, "57014 canceling statement due to statement timeout", async |_: &Client| ());
}
