//! What several workers read together is what one scan reads, in its order.

use super::support::*;
use catalog::Object;
use host::{Spawn, TokioSpawn};
use sql::PlannerSettings;
use std::sync::Arc;
use txn::Isolation;
use types::SqlType;

const ROWS: u64 = 1_000_000;

/// `t(a, b, c)`: keys without and with gaps, and one far away.
async fn table_of(keys: &str) -> Node {
    let t = table(20_000, "t", &[("a", SqlType::INT4), ("b", SqlType::TEXT), ("c", SqlType::INT4)]);
    let node = node(vec![Object::Relation(t)]).await;
    let rows = format!("INSERT INTO t SELECT a, 'x' || a % 7, nullif(a % 5, 0) FROM ({keys}) k(a)");
    assert_eq!(node.sql(&rows).await, "");
    node
}

/// Planned as for a large table.
async fn large(node: &Node, statement: &str) -> String {
    node.sql_for(statement, &PlannerSettings::default(), &|_| ROWS).await
}

fn workers() -> Option<Arc<dyn Spawn>> {
    Some(Arc::new(TokioSpawn(tokio::runtime::Handle::current())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn workers_together_give_what_one_scan_gives_in_its_order() {
    let keys = [
        "SELECT generate_series(1, 30000)",
        "SELECT i * (i % 40) FROM generate_series(1, 20000, 3) i GROUP BY 1",
        "SELECT generate_series(1, 20000) UNION ALL SELECT 2000000000",
        "SELECT 1 WHERE false",
        "SELECT 5",
    ];
    let statements = [
        "SELECT a, b FROM t",
        "SELECT a FROM t WHERE c = 3 AND a % 2 = 0",
        "SELECT b, count(*), sum(c), min(a) FROM t WHERE a > 100 GROUP BY b",
        "SELECT count(*) FROM t",
        "SELECT count(*), count(c) FROM t WHERE b < 'x4'",
        "SELECT x.b, count(*) FROM t x JOIN t y ON x.a = y.c GROUP BY x.b",
        "SELECT a, c FROM t ORDER BY c DESC, a LIMIT 7",
        "SELECT a FROM t WHERE 1 / (a - 500) > 3",
        "SELECT a FROM t OFFSET 19990",
    ];
    for keys in keys {
        let mut node = table_of(keys).await;
        for statement in statements {
            let alone = large(&node, statement).await;
            node.workers = workers();
            let together = large(&node, statement).await;
            node.workers = None;
            assert_eq!(alone, together, "{statement} of {keys}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn workers_read_at_the_statements_snapshot() {
    let mut node = table_of("SELECT generate_series(1, 60000)").await;
    node.workers = workers();
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        let txn = node.begin(isolation).await;
        txn.begin_statement().await.expect("begun");
        let plan = node.plan_sql_for("SELECT a FROM t", &PlannerSettings::default(), &|_| ROWS).expect("planned");
        let prepared = crate::Prepared::new(Arc::new(plan)).expect("prepared");
        let mut execution = crate::execute(&prepared, node.context(&txn, vec![])).expect("started");
        let mut rows = execution.next().await.expect("read").map_or(0, |b| b.len);
        assert_eq!(node.sql("DELETE FROM t WHERE a > 30000 AND a % 2 = 0").await, "");
        assert_eq!(node.sql("INSERT INTO t SELECT a + 100000 FROM t WHERE a < 10").await, "");
        while let Some(batch) = execution.next().await.expect("read") {
            rows += batch.len;
        }
        assert_eq!(rows, 60_000);
        drop(txn);
        node = table_of("SELECT generate_series(1, 60000)").await;
        node.workers = workers();
    }
}

/// Drops what it is given.
struct Nowhere;

impl Spawn for Nowhere {
    fn spawn(&self, _name: &'static str, _task: host::spawn::Task) {}
}

#[tokio::test]
async fn workers_that_vanish_are_an_error_and_no_shorter_answer() {
    let mut node = table_of("SELECT generate_series(1, 3000)").await;
    node.workers = Some(Arc::new(Nowhere));
    let answer = large(&node, "SELECT sum(a) FROM t").await;
    assert_eq!(answer, "XX000 a worker of the statement ended in a panic");
}
