//! Joins, loops, sets and sorts under every choice that the planner may make, and with little memory: PostgreSQL 15's answers.

use super::support::*;
use catalog::Object;
use sql::PlannerSettings;
use types::SqlType;

/// `t(a, b, c)` and `u(a, t, d)` with an index on `u.t`.
async fn tables() -> Node {
    let mut t = table(20_000, "t", &[("a", SqlType::INT4), ("b", SqlType::TEXT), ("c", SqlType::INT4)]);
    let mut u = table(20_001, "u", &[("a", SqlType::INT4), ("t", SqlType::INT4), ("d", SqlType::TEXT)]);
    let by_t = Object::Index((*index(20_002, &u, "ub", &[2], false)).clone());
    let primary = |id, relation: &catalog::Relation, name| {
        Object::Index(catalog::Index { is_primary: true, ..(*index(id, relation, name, &[1], true)).clone() })
    };
    let keys = [primary(20_003, &t, "t_pkey"), primary(20_004, &u, "u_pkey"), by_t];
    (t.indexes, u.indexes) = (vec![20_003], vec![20_004, 20_002]);
    let node = node([Object::Relation(t), Object::Relation(u)].into_iter().chain(keys).collect()).await;
    let rows = "INSERT INTO t SELECT i, 'x' || (i % 7), CASE WHEN i % 5 = 0 THEN NULL ELSE i % 11 END FROM generate_series(1, 40) i";
    assert_eq!(node.sql(rows).await, "");
    let rows = "INSERT INTO u SELECT i, CASE WHEN i % 9 = 0 THEN NULL ELSE i % 23 END, 'd' || (i % 4) FROM generate_series(1, 60) i";
    assert_eq!(node.sql(rows).await, "");
    node
}

/// Each statement of the script, planned as for relations of so many rows.
async fn check(node: &Node, name: &str, settings: &PlannerSettings, rows: Option<u64>) {
    let mut wrong = vec![];
    for block in include_str!("golden/operators.test").split("\n\n") {
        let (statement, expected) = block.split_once("\n----").expect("a statement and its rows");
        let expected = expected.trim_matches('\n');
        let got = match rows {
            None => node.sql_with(statement, settings).await,
            Some(rows) => node.sql_for(statement, settings, &|_| rows).await,
        };
        if got != expected {
            wrong.push(format!("{statement}\n  got:\n{got}\n  expected:\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn every_plan_gives_the_same_rows() {
    let node = tables().await;
    let all = PlannerSettings::default();
    check(&node, "small", &all, None).await;
    check(&node, "large", &all, Some(1_000_000)).await;
    let none = PlannerSettings { enable_hashjoin: false, enable_mergejoin: false, enable_nestloop: false, ..all };
    let plans = [
        ("hash", PlannerSettings { enable_hashjoin: true, ..none.clone() }),
        ("merge", PlannerSettings { enable_mergejoin: true, ..none.clone() }),
        ("loops", PlannerSettings { enable_nestloop: true, ..none.clone() }),
        ("sorted groups", PlannerSettings { enable_hashagg: false, enable_sort: true, ..PlannerSettings::default() }),
        ("no keys", PlannerSettings { enable_indexscan: false, ..PlannerSettings::default() }),
    ];
    for (name, settings) in &plans {
        check(&node, name, settings, None).await;
        check(&node, name, settings, Some(1_000_000)).await;
    }
}

/// Everything that can go to files does.
#[tokio::test]
async fn little_memory_gives_the_same_rows() {
    let mut node = tables().await;
    node.work_mem = 2_000;
    let settings = PlannerSettings { work_mem: 2_000, ..PlannerSettings::default() };
    check(&node, "little memory", &settings, None).await;
    check(&node, "little memory, large", &settings, Some(1_000_000)).await;
}
