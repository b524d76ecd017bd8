//! Which statements are direct plans, and which only look like it.

use super::{planned, snapshot};
use crate::physical::{Direct, PlanBody};

/// `kind`: the direct plan's, with a letter for what else it has: `f`ilter, `r`eturning, `l`ock; or `tree`.
#[track_caller]
fn check(text: &str, kind: &str) {
    let plan = planned(&snapshot(), text);
    let marks = |name: &str, marks: &[(char, bool)]| {
        let marks: String = marks.iter().filter(|(_, is_there)| *is_there).map(|(mark, _)| *mark).collect();
        format!("{name} {marks}").trim_end().to_owned()
    };
    let found = match &plan.body {
        PlanBody::Tree(_) => "tree".to_owned(),
        PlanBody::Direct(Direct::Get { filter, lock, .. }) => {
            marks("get", &[('f', filter.is_some()), ('l', lock.is_some())])
        }
        PlanBody::Direct(Direct::Insert { returning, .. }) => marks("insert", &[('r', !returning.is_empty())]),
        PlanBody::Direct(Direct::Update { filter, returning, .. }) => {
            marks("update", &[('f', filter.is_some()), ('r', !returning.is_empty())])
        }
        PlanBody::Direct(Direct::Delete { filter, returning, .. }) => {
            marks("delete", &[('f', filter.is_some()), ('r', !returning.is_empty())])
        }
    };
    assert_eq!(found, kind, "{text}");
    assert!(plan.depends_on.iter().any(|(relation, _)| *relation >= 20_000), "fenced by its table: {text}");
    assert!(found == "tree" || !plan.is_long, "{text}");
}

#[test]
fn pgbench_is_direct() {
    check("SELECT abalance FROM accounts WHERE aid = $1", "get");
    check("UPDATE accounts SET abalance = abalance + $1 WHERE aid = $2", "update");
    check("INSERT INTO history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP)", "insert");
    check("SELECT abalance FROM accounts WHERE aid = 4711", "get");
    check("UPDATE accounts SET abalance = abalance + -42 WHERE aid = 4711", "update");
    check("INSERT INTO history (tid, bid, aid, delta, mtime) VALUES (1, 2, 3, -4, CURRENT_TIMESTAMP)", "insert");
}

#[test]
fn reads_by_full_key_are_direct() {
    check("SELECT * FROM lines WHERE doc = $1 AND no = $2", "get");
    check("SELECT price * 2 AS twice, upper(note) FROM lines l WHERE 7 = l.no AND l.doc = 5", "get");
    check("SELECT 1 FROM lines WHERE doc = $1::int AND no = 2", "get");
    check("SELECT note FROM lines WHERE doc = $1 AND no = $2 AND price > 5", "get f");
    check("SELECT note FROM lines WHERE doc = 1 AND no = 1 AND no = 2", "get f");
    check("SELECT note FROM lines WHERE doc = 1 AND no = 1 ORDER BY price LIMIT 1", "get");
    check("SELECT n FROM (SELECT no + 1 AS n, doc, no FROM lines) s WHERE doc = 1 AND no = 1 AND n > 0", "get f");
}

#[test]
fn reads_of_less_or_more_than_a_key_are_trees() {
    check("SELECT note FROM lines WHERE doc = 1", "tree");
    check("SELECT note FROM lines WHERE doc = 1 AND no > 1", "tree");
    check("SELECT note FROM lines WHERE doc = 1 AND no IN (1, 2)", "tree");
    check("SELECT note FROM lines WHERE doc = 1 OR no = 1", "tree");
    check("SELECT note FROM lines WHERE doc = item AND no = 1", "tree");
    check("SELECT note FROM lines WHERE doc = 1.5 AND no = 1", "tree");
    check("SELECT note FROM lines WHERE doc = 1 AND no = $1::bigint", "tree");
    check("SELECT count(*) FROM lines WHERE doc = 1 AND no = 1", "tree");
    check("SELECT note FROM lines WHERE doc = 1 AND no = 1 LIMIT 0", "tree");
    check("SELECT note FROM lines WHERE doc = 1 AND no = 1 OFFSET 1", "tree");
    check("SELECT note FROM lines WHERE doc = 1 AND no = 1 LIMIT $1", "tree");
    check("SELECT note FROM lines WHERE doc = 1 AND no = random()::int", "tree");
    check("SELECT random() FROM lines WHERE doc = 1 AND no = 1", "tree");
    check("SELECT (SELECT max(aid) FROM accounts) FROM lines WHERE doc = 1 AND no = 1", "tree");
    check("SELECT note FROM lines WHERE doc = 1 AND no = (SELECT 1)", "tree");
    check("SELECT l.note FROM lines l, accounts a WHERE l.doc = 1 AND l.no = 1 AND a.aid = 1", "tree");
    check("SELECT note FROM lines WHERE doc = 1 AND no = 1 UNION ALL SELECT note FROM lines", "tree");
    check("SELECT tid FROM history WHERE aid = 1", "tree");
    check("WITH w AS (SELECT 1) SELECT note FROM lines WHERE doc = 1 AND no = 1", "tree");
}

#[test]
fn writes_of_one_row_are_direct() {
    check("INSERT INTO lines VALUES (1, 2, 3) RETURNING no + 1, note", "insert r");
    check("INSERT INTO lines (doc, no) SELECT 1, 2", "insert");
    check("INSERT INTO lines DEFAULT VALUES", "insert");
    check(
        "UPDATE lines SET price = price + 1, note = $1 WHERE doc = 1 AND no = 2 AND price < 9 RETURNING price",
        "update fr",
    );
    check("DELETE FROM lines WHERE doc = $1 AND no = $2", "delete");
    check("DELETE FROM lines WHERE doc = $1 AND no = $2 AND item = 3 RETURNING *", "delete fr");
}

#[test]
fn other_writes_are_trees() {
    check("INSERT INTO lines VALUES (1, 2), (3, 4)", "tree");
    check("INSERT INTO lines (doc, no) VALUES (1, 2) ON CONFLICT DO NOTHING", "tree");
    check("INSERT INTO lines (doc, no) VALUES (1, (SELECT max(aid) FROM accounts))", "tree");
    check("INSERT INTO lines (doc, no, item) SELECT 1, x, x FROM (SELECT (random() * 10)::int AS x) s", "tree");
    check("INSERT INTO lines (doc, no) VALUES (1, 2) RETURNING (SELECT 1)", "tree");
    check("UPDATE lines SET no = 3 WHERE doc = 1 AND no = 2", "tree");
    check("UPDATE lines SET price = 3 WHERE doc = 1", "tree");
    check("UPDATE lines SET price = random() WHERE doc = 1 AND no = 1", "tree");
    check("UPDATE lines SET price = a.abalance FROM accounts a WHERE doc = 1 AND no = 2 AND a.aid = 1", "tree");
    check("UPDATE lines SET price = (SELECT 1) WHERE doc = 1 AND no = 2", "tree");
    check("DELETE FROM lines", "tree");
    check("DELETE FROM lines USING accounts WHERE doc = 1 AND no = 2", "tree");
    check("DELETE FROM lines WHERE doc = 1 AND no = 2 RETURNING random()", "tree");
}
