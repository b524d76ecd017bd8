//! From text to rows: what PostgreSQL 15 answers.

use super::support::*;
use catalog::Object;
use std::sync::Arc;
use types::SqlType;

async fn check(node: &Node, text: &str, expected: &str) {
    assert_eq!(node.sql(text).await, expected, "{text}");
}

/// `emp(id, dept, name, pay)` and `dept(id, name)`.
async fn staff() -> Node {
    let emp = table(
        20_000,
        "emp",
        &[("id", SqlType::INT4), ("dept", SqlType::INT4), ("name", SqlType::TEXT), ("pay", SqlType::NUMERIC)],
    );
    let dept = table(20_100, "dept", &[("id", SqlType::INT4), ("name", SqlType::TEXT)]);
    let by_dept = index(20_200, &emp, "emp_dept", &[2], false);
    let mut emp = emp;
    emp.indexes = vec![20_200];
    let node =
        node(vec![Object::Relation(emp), Object::Relation(dept), Object::Index(Arc::unwrap_or_clone(by_dept))]).await;
    check(&node, "INSERT INTO dept VALUES (1, 'dev'), (2, 'ops'), (3, 'law')", "").await;
    let rows = "INSERT INTO emp VALUES (1, 1, 'ann', 10), (2, 1, 'bob', 20), (3, 2, 'cyd', 15), (4, NULL, 'dan', NULL), (5, 2, 'eve', 15)";
    check(&node, rows, "").await;
    node
}

#[tokio::test]
async fn expressions_are_lazy_where_postgresql_is() {
    let node = staff().await;
    check(&node, "SELECT CASE WHEN id > 0 THEN id ELSE 1 / (id - id) END FROM dept ORDER BY id", "1\n2\n3").await;
    check(&node, "SELECT id FROM dept WHERE id <> 2 AND 10 / (id - 2) < 0", "1").await;
    check(&node, "SELECT coalesce(id, 1 / 0) FROM dept WHERE id = 1", "1").await;
    check(&node, "SELECT NULL IS NULL, NOT NULL::bool, NULL AND false, NULL OR true, NULL = NULL", "t|NULL|f|t|NULL")
        .await;
    check(&node, "SELECT 2 IN (1, NULL), 1 IN (1, NULL), 2 NOT IN (1, 3), 3 = ANY (ARRAY[1, 3])", "NULL|t|t|t").await;
    check(&node, "SELECT 1 IS DISTINCT FROM NULL, nullif(1, 1), greatest(1, NULL, 3), least(2, 1)", "t|NULL|3|1").await;
    check(
        &node,
        "SELECT CASE dept WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE 'none' END FROM emp ORDER BY id",
        "one\none\ntwo\nnone\ntwo",
    )
    .await;
    check(&node, "SELECT 2147483647 + 1", "22003 integer out of range").await;
}

#[tokio::test]
async fn joins_groups_and_orders() {
    let node = staff().await;
    check(
        &node,
        "SELECT e.name, d.name FROM emp e JOIN dept d ON e.dept = d.id ORDER BY e.id",
        "ann|dev\nbob|dev\ncyd|ops\neve|ops",
    )
    .await;
    check(&node, "SELECT d.name, count(e.id), sum(e.pay) FROM dept d LEFT JOIN emp e ON e.dept = d.id GROUP BY d.name ORDER BY 1", "dev|2|30\nlaw|0|NULL\nops|2|30").await;
    check(
        &node,
        "SELECT e.name, d.name FROM emp e FULL JOIN dept d ON e.dept = d.id ORDER BY 1 NULLS LAST, 2",
        "ann|dev\nbob|dev\ncyd|ops\ndan|NULL\neve|ops\nNULL|law",
    )
    .await;
    check(
        &node,
        "SELECT dept, avg(pay), min(name), max(name) FROM emp GROUP BY dept HAVING count(*) > 1 ORDER BY dept",
        "1|15.0000000000000000|ann|bob\n2|15.0000000000000000|cyd|eve",
    )
    .await;
    check(
        &node,
        "SELECT string_agg(name, ',' ORDER BY name DESC), count(DISTINCT pay), array_agg(DISTINCT dept) FROM emp",
        "eve,dan,cyd,bob,ann|3|{1,2,NULL}",
    )
    .await;
    check(&node, "SELECT sum(pay) FILTER (WHERE dept = 1), count(*) FROM emp", "30|5").await;
    check(&node, "SELECT DISTINCT dept FROM emp ORDER BY 1", "1\n2\nNULL").await;
    check(&node, "SELECT name FROM emp ORDER BY pay DESC NULLS LAST, name LIMIT 2 OFFSET 1", "cyd\neve").await;
    check(&node, "SELECT pay FROM emp WHERE pay IS NOT NULL ORDER BY pay FETCH FIRST 2 ROWS WITH TIES", "10\n15\n15")
        .await;
    check(&node, "SELECT 1 LIMIT -1", "2201W LIMIT must not be negative").await;
}

#[tokio::test]
async fn subqueries_ctes_and_recursion() {
    let node = staff().await;
    check(
        &node,
        "SELECT name, (SELECT d.name FROM dept d WHERE d.id = e.dept) FROM emp e ORDER BY id",
        "ann|dev\nbob|dev\ncyd|ops\ndan|NULL\neve|ops",
    )
    .await;
    check(&node, "SELECT name FROM dept d WHERE EXISTS (SELECT 1 FROM emp WHERE dept = d.id) ORDER BY 1", "dev\nops")
        .await;
    check(&node, "SELECT name FROM dept WHERE id NOT IN (SELECT dept FROM emp)", "").await;
    check(&node, "SELECT name FROM dept WHERE id NOT IN (SELECT dept FROM emp WHERE dept IS NOT NULL)", "law").await;
    check(&node, "SELECT name FROM emp WHERE pay >= ALL (SELECT pay FROM emp WHERE pay IS NOT NULL)", "bob").await;
    check(
        &node,
        "SELECT (SELECT id FROM dept)",
        "21000 more than one row returned by a subquery used as an expression",
    )
    .await;
    check(
        &node,
        "WITH x AS MATERIALIZED (SELECT id FROM dept) SELECT a.id FROM x a, x b WHERE a.id = b.id + 1 ORDER BY 1",
        "2\n3",
    )
    .await;
    check(&node, "SELECT id FROM dept UNION SELECT dept FROM emp ORDER BY 1", "1\n2\n3\nNULL").await;
    check(&node, "SELECT dept FROM emp INTERSECT ALL SELECT id FROM dept ORDER BY 1", "1\n2").await;
    check(&node, "SELECT dept FROM emp EXCEPT ALL SELECT id FROM dept ORDER BY 1", "1\n2\nNULL").await;
    check(&node, "SELECT * FROM generate_series(1, 3) WITH ORDINALITY AS g(v, n)", "1|1\n2|2\n3|3").await;
}

#[tokio::test]
async fn writes_return_what_they_wrote() {
    let node = staff().await;
    check(&node, "UPDATE emp SET pay = pay * 2 WHERE dept = 1 RETURNING id, pay", "1|20\n2|40").await;
    check(&node, "UPDATE emp e SET name = d.name || '-' || e.name FROM dept d WHERE d.id = e.dept AND d.id = 2 RETURNING e.name, d.id", "ops-cyd|2\nops-eve|2").await;
    check(
        &node,
        "DELETE FROM emp USING dept d WHERE d.id = emp.dept AND d.name = 'dev' RETURNING emp.id, d.name",
        "1|dev\n2|dev",
    )
    .await;
    check(
        &node,
        "INSERT INTO emp SELECT id + 10, id, name, id * 1.5 FROM dept RETURNING *",
        "11|1|dev|1.5\n12|2|ops|3.0\n13|3|law|4.5",
    )
    .await;
    check(&node, "INSERT INTO dept VALUES (1, 'x') ON CONFLICT DO NOTHING RETURNING name", "").await;
    check(
        &node,
        "UPDATE emp SET id = id + 1 WHERE id = 12",
        "23505 duplicate key value violates unique constraint \"emp_pkey\" | Key (id)=(13) already exists.",
    )
    .await;
    check(&node, "INSERT INTO emp (id) VALUES (NULL)", "23502 null value in column \"id\" of relation \"emp\" violates not-null constraint | Failing row contains (null, null, null, null).").await;
}

#[tokio::test]
async fn functions_of_the_session_and_the_catalog() {
    let node = staff().await;
    check(
        &node,
        "SELECT 'emp'::regclass, 'emp'::regclass::oid, pg_typeof(1.5), format_type(1043, 14), to_regclass('nix')",
        "emp|20000|numeric|character varying(10)|NULL",
    )
    .await;
    check(
        &node,
        "SELECT pg_table_is_visible(20000), has_table_privilege('emp', 'select'), pg_get_userbyid(10)",
        "t|t|postgres",
    )
    .await;
    check(&node, "SELECT 'nix'::regclass", "42P01 relation \"nix\" does not exist").await;
    check(&node, "SELECT pg_get_indexdef(20200)", "CREATE INDEX emp_dept ON public.emp USING btree (dept)").await;
    check(&node, "SELECT relname FROM pg_class WHERE oid = 20000", "emp").await;
}

/// Whatever algorithms the planner may use, the answer is one.
#[tokio::test]
async fn all_plans_give_one_answer() {
    let node = staff().await;
    let queries = [
        "SELECT e.name, d.name FROM emp e JOIN dept d ON e.dept = d.id",
        "SELECT e.name, d.name FROM emp e LEFT JOIN dept d ON e.dept = d.id AND d.name <> 'ops'",
        "SELECT e.name, d.name FROM emp e FULL JOIN dept d ON e.dept = d.id",
        "SELECT d.id FROM dept d WHERE EXISTS (SELECT 1 FROM emp WHERE dept = d.id AND pay > 10)",
        "SELECT d.id FROM dept d WHERE NOT EXISTS (SELECT 1 FROM emp WHERE dept = d.id)",
        "SELECT d.id FROM dept d WHERE id NOT IN (SELECT dept FROM emp WHERE id < 4)",
        "SELECT dept, count(*), sum(pay) FROM emp GROUP BY dept",
        "SELECT DISTINCT dept, pay FROM emp",
        "SELECT name FROM emp WHERE dept = 2",
        "SELECT name FROM emp WHERE id BETWEEN 2 AND 4",
        "SELECT name FROM emp WHERE dept IN (1, 2) AND pay < 20",
        "SELECT a.id, b.id FROM emp a JOIN emp b ON a.dept = b.dept AND a.id < b.id",
        "SELECT dept FROM emp UNION SELECT id FROM dept",
        "SELECT d.name, (SELECT max(pay) FROM emp e WHERE e.dept = d.id) FROM dept d",
    ];
    let all = sql::PlannerSettings::default();
    let variants = [
        sql::PlannerSettings { enable_hashjoin: false, ..all.clone() },
        sql::PlannerSettings { enable_hashjoin: false, enable_mergejoin: false, ..all.clone() },
        sql::PlannerSettings { enable_nestloop: false, enable_hashjoin: false, ..all.clone() },
        sql::PlannerSettings { enable_nestloop: false, enable_mergejoin: false, ..all.clone() },
        sql::PlannerSettings { enable_indexscan: false, enable_indexonlyscan: false, ..all.clone() },
        sql::PlannerSettings { enable_seqscan: false, ..all.clone() },
        sql::PlannerSettings { enable_hashagg: false, ..all.clone() },
        sql::PlannerSettings { enable_sort: false, enable_material: false, ..all.clone() },
    ];
    for query in queries {
        let lines = |text: String| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let expected = lines(node.sql(query).await);
        for settings in &variants {
            assert_eq!(lines(node.sql_with(query, settings).await), expected, "{query} {settings:?}");
        }
    }
}
