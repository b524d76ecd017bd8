//! Laws of operators: two ways to compute one thing agree, with and without memory.

use super::support::*;
use proptest::prelude::*;
use sql::logical::JoinKind;
use sql::physical::*;
use types::{Datum, SqlType};

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

fn rows() -> impl Strategy<Value = Vec<Vec<Option<i32>>>> {
    let value = prop_oneof![1 => Just(None), 6 => (0..6i32).prop_map(Some)];
    prop::collection::vec((value.clone(), value).prop_map(|(a, b)| vec![a, b]), 1..40)
}

fn sorted(rows: Vec<Vec<Datum>>) -> Vec<String> {
    let mut lines: Vec<String> = rows.iter().map(|r| text(std::slice::from_ref(r))).collect();
    lines.sort();
    lines
}

/// `SELECT … FROM l JOIN r ON l.0 = r.0 AND l.1 < r.1`, three ways.
fn join(kind: JoinKind, way: u8, left: &[Vec<Option<i32>>], right: &[Vec<Option<i32>>]) -> Plan {
    let is_half = matches!(kind, JoinKind::Semi | JoinKind::Anti);
    let types = vec![SqlType::INT4; if is_half { 2 } else { 4 }];
    let sort = |input: PlanNode| {
        let op = Op::Sort { input: Box::new(input), keys: vec![key(0)], presorted: 0, top: None };
        node_of(op, &[SqlType::INT4; 2])
    };
    let (l, r) = (values(left), values(right));
    let residual = call("<", input(1), input(3));
    let op = match way {
        0 => Op::NestedLoop {
            kind,
            left: Box::new(l),
            right: Box::new(node_of(Op::Materialize { input: Box::new(r) }, &[SqlType::INT4; 2])),
            on: Some(sql::Expr::new(
                sql::ExprKind::And(vec![call("=", input(0), input(2)), residual]),
                SqlType::BOOL,
                0,
            )),
            parameters: vec![],
        },
        1 => Op::HashJoin {
            kind,
            left: Box::new(l),
            right: Box::new(r),
            left_keys: vec![input(0)],
            right_keys: vec![input(0)],
            key_types: vec![SqlType::INT4],
            residual: Some(residual),
            null_aware: false,
        },
        _ => Op::MergeJoin {
            kind,
            left: Box::new(sort(l)),
            right: Box::new(sort(r)),
            left_keys: vec![input(0)],
            right_keys: vec![input(0)],
            key_types: vec![SqlType::INT4],
            descending: vec![false],
            nulls_first: vec![false],
            residual: Some(residual),
        },
    };
    plan(node_of(op, &types))
}

fn grouped(is_hash: bool, rows: &[Vec<Option<i32>>]) -> Plan {
    let calls = || {
        let mut distinct = aggregate(2147, vec![input(1)]);
        distinct.distinct = true;
        let mut filtered = aggregate(2108, vec![input(1)]);
        filtered.filter = Some(call(">", input(1), int(2)));
        vec![
            aggregate(2803, vec![]),
            aggregate(2108, vec![input(1)]),
            aggregate(2101, vec![input(1)]),
            aggregate(2116, vec![input(1)]),
            distinct,
            filtered,
        ]
    };
    let types =
        [SqlType::INT4, SqlType::INT8, SqlType::INT8, SqlType::NUMERIC, SqlType::INT4, SqlType::INT8, SqlType::INT8];
    let op = match is_hash {
        true => Op::HashAggregate { input: Box::new(values(rows)), groups: vec![input(0)], sets: None, calls: calls() },
        false => {
            let sort = Op::Sort { input: Box::new(values(rows)), keys: vec![key(0)], presorted: 0, top: None };
            let input_node = node_of(sort, &[SqlType::INT4; 2]);
            Op::SortedAggregate { input: Box::new(input_node), groups: vec![input(0)], calls: calls() }
        }
    };
    plan(node_of(op, &types))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn joins_agree_whatever_the_algorithm(left in rows(), right in rows()) {
        block_on(async {
            let node = node(vec![]).await;
            use JoinKind::*;
            for kind in [Inner, Left, Right, Full, Semi, Anti] {
                let mut results = vec![];
                for way in 0..3 {
                    let (rows, _) = node.run(join(kind, way, &left, &right)).await.expect("runs");
                    results.push(sorted(rows));
                }
                assert_eq!(results[0], results[1], "{kind:?}: nested loop and hash");
                assert_eq!(results[0], results[2], "{kind:?}: nested loop and merge");
            }
        });
    }

    #[test]
    fn aggregates_agree_whatever_the_algorithm(rows in rows()) {
        block_on(async {
            let node = node(vec![]).await;
            let hash = sorted(node.run(grouped(true, &rows)).await.expect("runs").0);
            let sort = sorted(node.run(grouped(false, &rows)).await.expect("runs").0);
            assert_eq!(hash, sort);
        });
    }
}

/// 20,000 rows, the second column repeating.
fn many(rows: i32) -> Vec<Vec<Option<i32>>> {
    (0..rows).map(|i| vec![Some((i * 7919) % rows), Some(i % 5_000)]).collect()
}

#[test]
fn sort_join_and_aggregate_spill_and_answer_the_same() {
    block_on(async {
        let mut node = node(vec![]).await;
        let rows = many(20_000);
        let sort = || {
            let keys = vec![key(1), key(0)];
            let op = Op::Sort { input: Box::new(values(&rows)), keys, presorted: 0, top: None };
            plan(node_of(op, &[SqlType::INT4; 2]))
        };
        let (in_memory, _) = node.run(sort()).await.expect("runs");
        let joined = sorted(node.run(join(JoinKind::Full, 1, &rows, &rows)).await.expect("runs").0);
        let groups = sorted(node.run(grouped(true, &rows)).await.expect("runs").0);
        node.work_mem = 200 << 10;
        let (spilled, _) = node.run(sort()).await.expect("runs");
        assert_eq!(text(&in_memory), text(&spilled));
        assert_eq!(joined, sorted(node.run(join(JoinKind::Full, 1, &rows, &rows)).await.expect("runs").0));
        assert_eq!(groups, sorted(node.run(grouped(true, &rows)).await.expect("runs").0));
        let left = node.folder.read_dir().expect("it has spilled").count();
        assert_eq!(left, 0, "spill files go with their operators");
        std::fs::remove_dir_all(&node.folder).expect("removed");
    });
}

/// What they keep is many times what would be an error if it had to stay in memory.
#[test]
fn sets_loops_and_ctes_spill_and_answer_the_same() {
    let many = "SELECT x % 7000 AS x FROM generate_series(1, 20000) x";
    let windows = |call: &str| {
        let rows = format!("(SELECT x, repeat('x', 200) AS t FROM ({many}) m OFFSET 0) m");
        (64 << 10, format!("SELECT x, length(t), {call} FROM {rows}"))
    };
    let small = |statement: String| (10 << 10, statement);
    let statements = [
        small(format!("{many} EXCEPT SELECT y FROM generate_series(1, 5000) y")),
        small(format!("{many} EXCEPT ALL SELECT y FROM generate_series(-6000, 5000) y")),
        small(format!("{many} INTERSECT SELECT y FROM generate_series(-6000, 5000) y")),
        small(format!("{many} INTERSECT ALL ({many} OFFSET 500)")),
        small(format!(
            "SELECT a, count(*), sum(x) FROM generate_series(1, 3) a LEFT JOIN ({many}) b ON a < b.x GROUP BY a"
        )),
        small(format!(
            "WITH c AS MATERIALIZED ({many}) SELECT count(*), sum(a.x) FROM c a, (SELECT x FROM c OFFSET 19990) b"
        )),
        windows("rank() OVER (ORDER BY x), sum(x) OVER (ORDER BY x)"),
        windows("lag(x, 3) OVER (PARTITION BY x % 2 ORDER BY x)"),
    ];
    block_on(async {
        let mut node = node(vec![]).await;
        for (work_mem, statement) in &statements {
            node.work_mem = 64 << 20;
            let mut in_memory: Vec<String> = node.sql(statement).await.lines().map(str::to_owned).collect();
            node.work_mem = *work_mem;
            let mut spilled: Vec<String> = node.sql(statement).await.lines().map(str::to_owned).collect();
            in_memory.sort();
            spilled.sort();
            assert!(in_memory == spilled, "{statement}: {:?}", spilled.first());
            let left = node.folder.read_dir().expect("it has spilled").count();
            assert_eq!(left, 0, "spill files go with their operators");
        }
        std::fs::remove_dir_all(&node.folder).expect("removed");
    });
}

#[test]
fn top_n_is_a_prefix_of_the_whole_sort() {
    block_on(async {
        let node = node(vec![]).await;
        let rows = many(3_000);
        let sort = |top: Option<sql::Expr>| {
            let op = Op::Sort { input: Box::new(values(&rows)), keys: vec![key(1), key(0)], presorted: 0, top };
            plan(node_of(op, &[SqlType::INT4; 2]))
        };
        let (all, _) = node.run(sort(None)).await.expect("runs");
        let (top, _) = node.run(sort(Some(int(17)))).await.expect("runs");
        assert_eq!(text(&all[..17]), text(&top));
    });
}
