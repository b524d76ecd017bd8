//! A statement that takes longer than its plan promised: the others of its thread go on beside it, and it ends when told to.

use super::support::*;
use std::cell::Cell;
use txn::CancelReason;

/// Each computes for long, in another operator, out of next to nothing.
const STATEMENTS: [&str; 9] = [
    "SELECT count(*) FROM generate_series(1, 700) a, generate_series(1, 700) b WHERE a + b < 0",
    "SELECT count(*) FROM generate_series(1, 700) a, LATERAL (SELECT a + b FROM generate_series(1, 700) b OFFSET 0) c",
    "SELECT count(*) FROM generate_series(1, 700) a JOIN generate_series(1, 700) b ON a % 1 = b % 1",
    "SELECT max(x) FROM (SELECT x FROM generate_series(1, 200000) x ORDER BY -x OFFSET 10) s",
    "SELECT count(r) FROM (SELECT rank() OVER (ORDER BY x) r FROM generate_series(1, 200000) x) s",
    "SELECT count(*) FROM (SELECT x FROM generate_series(1, 200000) x EXCEPT ALL SELECT 1) s",
    "SELECT count(*) FROM (SELECT x % 90000, count(*) FROM generate_series(1, 200000) x GROUP BY 1) s",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 20000) SELECT count(*) FROM t",
    "SELECT count(*) FROM generate_series(1, 9000) x WHERE (SELECT count(*) FROM generate_series(1, x % 20)) >= 0",
];
const TURNS_MIN: usize = 5;

/// Runs the statement and, in the same thread, what a neighbour does in its turns until the statement ends.
async fn beside(node: &Node, statement: &str, turn: impl AsyncFn(usize)) -> (String, usize) {
    let (has_ended, turns) = (Cell::new(false), Cell::new(0));
    let statement = async {
        let answer = node.sql(statement).await;
        has_ended.set(true);
        answer
    };
    let neighbour = async {
        while !has_ended.get() {
            turn(turns.get()).await;
            turns.set(turns.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(statement, neighbour);
    (answer, turns.get())
}

#[tokio::test]
async fn a_neighbour_gets_its_answers_beside_a_statement_that_was_thought_small() {
    let node = node(vec![]).await;
    for statement in STATEMENTS {
        let (_, turns) = beside(&node, statement, async |_| assert_eq!(node.sql("SELECT 1").await, "1")).await;
        assert!(turns >= TURNS_MIN, "{turns} turns beside {statement}");
    }
}

#[tokio::test]
async fn every_operator_ends_when_the_statement_is_cancelled() {
    let node = node(vec![]).await;
    for statement in STATEMENTS {
        let cancel = async |turn| {
            if turn == 2 {
                node.cancel.raise(CancelReason::User);
            }
        };
        let (answer, turns) = beside(&node, statement, cancel).await;
        node.cancel.clear();
        assert_eq!(answer, "57014 canceling statement due to user request", "{statement}");
        assert!(turns <= 2 + TURNS_MIN, "{turns} turns beside {statement}");
    }
}
