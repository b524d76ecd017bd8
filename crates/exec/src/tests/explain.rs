//! EXPLAIN: what PostgreSQL 15 shows where the plan is the same.

use super::support::*;
use crate::explain::{Explain, render};
use crate::run::NodeMeasure;
use catalog::Object;
use sql::physical::Plan;
use sql::utility::{ExplainFormat, ExplainOptions};
use std::sync::Arc;
use std::time::Duration;
use txn::Isolation;
use types::SqlType;

async fn two_tables() -> Node {
    let mut t = table(20_000, "t", &[("a", SqlType::INT4), ("b", SqlType::TEXT), ("c", SqlType::NUMERIC)]);
    let mut u = table(20_001, "u", &[("a", SqlType::INT4), ("t", SqlType::INT4), ("d", SqlType::TEXT)]);
    let by_t = index(20_002, &u, "ub", &[2], false);
    u.indexes = vec![20_004, 20_002];
    t.indexes = vec![20_003];
    let primary = |id, relation: &catalog::Relation, name| {
        Object::Index(catalog::Index { is_primary: true, ..(*index(id, relation, name, &[1], true)).clone() })
    };
    let keys = [primary(20_003, &t, "t_pkey"), primary(20_004, &u, "u_pkey"), Object::Index((*by_t).clone())];
    node([Object::Relation(t), Object::Relation(u)].into_iter().chain(keys).collect()).await
}

fn shown(node: &Node, plan: &Plan, options: &ExplainOptions, measures: Option<&[NodeMeasure]>) -> Vec<String> {
    render(&Explain {
        plan,
        catalog: &node.catalog,
        options,
        measures,
        planning: Duration::from_micros(1_500),
        execution: measures.map(|_| Duration::from_millis(2)),
        settings: &[],
    })
}

fn options() -> ExplainOptions {
    ExplainOptions { timing: true, summary: Some(false), ..ExplainOptions::default() }
}

#[track_caller]
fn check(node: &Node, statement: &str, expected: &str) {
    let plan = node.plan_sql_for(statement, &sql::PlannerSettings::default(), &|_| 10_000).expect(statement);
    let lines = shown(node, &plan, &options(), None).join("\n");
    assert_eq!(lines, expected.trim_matches('\n'), "{statement}\n{lines}");
}

async fn analyzed(node: &Node, statement: &str, options: &ExplainOptions) -> Vec<String> {
    let plan = node.plan_sql_for(statement, &sql::PlannerSettings::default(), &|_| 10_000).expect(statement);
    let prepared = crate::Prepared::new(Arc::new(plan)).expect("prepared");
    let txn = node.begin(Isolation::Serializable).await;
    txn.begin_statement().await.expect("begins");
    let mut execution = crate::execute_measured(&prepared, node.context(&txn, vec![])).expect("starts");
    execution.finish().await.expect("runs");
    let lines = shown(node, &prepared.plan, options, Some(execution.measures()));
    drop(execution);
    txn.commit().await.expect("commits");
    lines
}

#[tokio::test]
async fn plans_are_shown_as_postgresql_shows_them() {
    let node = two_tables().await;
    check(
        &node,
        "SELECT * FROM t WHERE b = 'x' AND c > 1.5",
        "
Seq Scan on t
  Filter: ((b = 'x'::text) AND (c > 1.5))",
    );
    check(
        &node,
        "SELECT * FROM t WHERE a = 5",
        "
Index Scan using t_pkey on t
  Index Cond: (a = 5)",
    );
    check(
        &node,
        "SELECT * FROM t x WHERE a = 5 AND b = 'y'",
        "
Index Scan using t_pkey on t x
  Index Cond: (a = 5)
  Filter: (b = 'y'::text)",
    );
    check(
        &node,
        "SELECT b, count(*) FROM t GROUP BY b HAVING count(*) > 1 ORDER BY 2 DESC LIMIT 5",
        "
Limit
  ->  Sort
        Sort Key: (count(*)) DESC
        ->  HashAggregate
              Group Key: b
              Filter: (count(*) > 1)
              ->  Seq Scan on t",
    );
    check(
        &node,
        "SELECT count(*) FROM t",
        "
Aggregate
  ->  Seq Scan on t",
    );
    check(
        &node,
        "SELECT a FROM t WHERE c > (SELECT avg(c) FROM t)",
        "
Seq Scan on t
  Filter: (c > $0)
  InitPlan 1 (returns $0)
    ->  Aggregate
          ->  Seq Scan on t t_1",
    );
    check(
        &node,
        "WITH x AS MATERIALIZED (SELECT * FROM t) SELECT * FROM x WHERE a < 3",
        "
CTE Scan on x
  Filter: (a < 3)
  CTE x
    ->  Seq Scan on t",
    );
    check(
        &node,
        "DELETE FROM t WHERE a = 1",
        "
Delete on t
  ->  Index Scan using t_pkey on t
        Index Cond: (a = 1)",
    );
    check(
        &node,
        "VALUES (1), (2)",
        "
Values Scan on \"*VALUES*\"",
    );
    check(
        &node, "SELECT 1", "
Result",
    );
    check(
        &node,
        "SELECT b, a FROM t ORDER BY b, c DESC NULLS LAST",
        "
Sort
  Sort Key: b, c DESC NULLS LAST
  ->  Seq Scan on t",
    );
    check(
        &node,
        "SELECT CASE WHEN a > 1 THEN 'x' ELSE b END FROM t ORDER BY 1",
        "
Sort
  Sort Key: (CASE WHEN (a > 1) THEN 'x'::text ELSE b END)
  ->  Seq Scan on t",
    );
}

#[tokio::test]
async fn joins_tell_their_conditions() {
    let node = two_tables().await;
    let settings = sql::PlannerSettings { enable_nestloop: false, enable_mergejoin: false, ..Default::default() };
    let plan = node
        .plan_sql_for("SELECT * FROM t JOIN u ON u.t = t.a AND u.a > t.a", &settings, &|_| 10_000)
        .expect("planned");
    let lines = shown(&node, &plan, &options(), None).join("\n");
    assert!(lines.starts_with("Hash Join\n  Hash Cond: ("), "{lines}");
    assert!(lines.contains("\n  Join Filter: (u.a > t.a)\n"), "{lines}");
    assert!(lines.contains("\n  ->  Hash\n        ->  Seq Scan on "), "{lines}");
}

#[tokio::test]
async fn analyze_counts_rows_and_loops() {
    let node = two_tables().await;
    node.sql("INSERT INTO t SELECT i, 'x' || i, i FROM generate_series(1, 100) i").await;
    let options = ExplainOptions { analyze: true, timing: false, ..options() };
    let lines = analyzed(&node, "SELECT * FROM t WHERE c > 90 ORDER BY b LIMIT 3", &options).await;
    let expected = [
        "Limit (actual rows=3 loops=1)",
        "  ->  Sort (actual rows=3 loops=1)",
        "        Sort Key: b",
        "        Sort Method: top-N heapsort  Memory: 1kB",
        "        ->  Seq Scan on t (actual rows=10 loops=1)",
        "              Filter: (c > ('90'::integer)::numeric)",
        "              Rows Removed by Filter: 90",
    ];
    assert_eq!(lines[..4], expected[..4]);
    assert_eq!(lines[4], expected[4]);
    assert_eq!(lines[6], expected[6]);
    let joined = "SELECT count(*) FROM t x JOIN t y ON x.c = y.c";
    let lines = analyzed(&node, joined, &options).await.join("\n");
    assert!(lines.contains("Hash (actual rows=100 loops=1)\n"), "{lines}");
    assert!(lines.contains("Buckets: 1024  Batches: 1  Memory Usage: "), "{lines}");
    let lines = analyzed(&node, "SELECT b FROM t WHERE a = 7", &options).await;
    assert_eq!(lines, ["Index Scan using t_pkey on t (actual rows=1 loops=1)", "  Index Cond: (a = 7)"]);
}

#[tokio::test]
async fn json_is_laid_out_as_postgresql_does() {
    let node = two_tables().await;
    let options = ExplainOptions { format: ExplainFormat::Json, ..options() };
    let plan = node.plan_sql_for("SELECT * FROM t WHERE a = 1 AND b IS NULL", &Default::default(), &|_| 10_000);
    let lines = shown(&node, &plan.expect("planned"), &options, None);
    let expected = r#"[
  {
    "Plan": {
      "Node Type": "Index Scan",
      "Parallel Aware": false,
      "Async Capable": false,
      "Scan Direction": "Forward",
      "Index Name": "t_pkey",
      "Relation Name": "t",
      "Alias": "t",
      "Index Cond": "(a = 1)",
      "Filter": "(b IS NULL)"
    }
  }
]"#;
    assert_eq!(lines, [expected]);
}
