//! Statements bound against a small catalog: `t (a int primary key, b text, c numeric(8,2) default 7)`.

use super::*;
use crate::BoundKind;
use catalog::{Snapshot, bootstrap, new_column, new_relation};
use std::sync::Arc;
use types::typename;

pub(super) fn context() -> BindContext {
    let mut snapshot = Snapshot::with_builtins();
    bootstrap::objects().into_iter().for_each(|o| snapshot.put(o));
    let mut table = new_relation(20_000, "t", catalog::RelationKind::Table);
    table.database = catalog::POSTGRES_DATABASE;
    table.schema = catalog::PUBLIC_SCHEMA;
    let mut price = new_column(3, "c", SqlType::with_typmod(types::oid::NUMERIC, (8 << 16 | 2) + 4));
    price.default = Some("7".to_owned());
    let mut key = new_column(1, "a", SqlType::INT4);
    key.not_null = true;
    table.columns = vec![key, new_column(2, "b", SqlType::TEXT), price];
    table.key = vec![1];
    snapshot.put(catalog::Object::Relation(table));
    BindContext {
        catalog: Arc::new(snapshot),
        database: catalog::POSTGRES_DATABASE,
        search_path: vec![catalog::PG_CATALOG_SCHEMA, catalog::PUBLIC_SCHEMA],
        creation_schema: Some(catalog::PUBLIC_SCHEMA),
        temporary_schema: None,
        role: catalog::POSTGRES_ROLE,
        session_role: catalog::POSTGRES_ROLE,
        format: Arc::default(),
        standard_conforming_strings: true,
        is_implemented: |_| true,
    }
}

fn bound(text: &str) -> Result<Bound> {
    let statements = parse::parse(text, true)?;
    bind(&statements[0], &context(), &[])
}

/// Names and types of the result, then the parameters' types.
#[track_caller]
fn check(text: &str, expected: &str) {
    let bound = match bound(text) {
        Ok(bound) => bound,
        Err(error) => panic!("{text}: {} {}", error.code(), error.message()),
    };
    let columns: Vec<_> = bound
        .columns
        .iter()
        .map(|c| format!("{} {}", c.name, typename::format_type(c.ty.oid, Some(c.ty.typmod))))
        .collect();
    let parameters: Vec<_> = bound.parameters.iter().map(|t| typename::display(*t)).collect();
    assert_eq!(format!("{} | {}", columns.join(", "), parameters.join(", ")), expected, "{text}");
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = bound(text).map(|_| ()).expect_err(text);
    let at = error.fields().position.unwrap_or(0);
    assert_eq!(format!("{} {} @{at}", error.code(), error.message()), expected, "{text}");
}

#[test]
fn expressions_have_postgresqls_types() {
    check(
        "select 1, 'x', null, 2.5, 9999999999",
        "?column? integer, ?column? text, ?column? text, ?column? numeric, ?column? bigint | ",
    );
    check(
        "select 1 + 2.5 as x, 1 / 2, 'a' || 'b', 'a' || 1",
        "x numeric, ?column? integer, ?column? text, ?column? text | ",
    );
    check("select -2 ^ 2, 2 = 3, not true", "?column? double precision, ?column? boolean, ?column? boolean | ");
    check(
        "select upper('x'), length('abc'), coalesce(null, 1), nullif(1, 2)",
        "upper text, length integer, coalesce integer, nullif integer | ",
    );
    check("select case when true then 1 else 2.5 end", "case numeric | ");
    check(
        "select '1'::int, cast(1 as varchar(3)), array[1, 2], date '2020-01-01'",
        "int4 integer, varchar character varying(3), array integer[], date date | ",
    );
    check(
        "select 1 in (1, 2, null), 1 between 0 and 2, 'a' like 'b'",
        "?column? boolean, ?column? boolean, ?column? boolean | ",
    );
}

#[test]
fn parameters_are_inferred() {
    check("select $1 + 1", "?column? integer | integer");
    check("select a from t where b = $1 and c > $2", "a integer | text, numeric");
    check("select $1::bigint limit $2", "int8 bigint | bigint, bigint");
}

#[test]
fn the_place_of_a_calls_result_is_no_argument() {
    let given = [Some(SqlType::new(types::oid::VOID)), Some(SqlType::new(types::oid::VARCHAR))];
    for text in ["select * from upper($1, $2) as result", "select upper($1, $2)"] {
        let statements = parse::parse(text, true).unwrap();
        let bound = bind(&statements[0], &context(), &given).unwrap_or_else(|e| panic!("{text}: {}", e.message()));
        assert_eq!(bound.columns[0].ty, SqlType::TEXT, "{text}");
    }
}

#[test]
fn queries_bind() {
    check("select * from t", "a integer, b text, c numeric(8,2) | ");
    check("table t", "a integer, b text, c numeric(8,2) | ");
    check("select x.a, y.b from t x join t y using (a) where x.b > 'k' order by 1 limit 3", "a integer, b text | ");
    check(
        "select b, count(*), sum(a) from t group by b having count(*) > 1 order by 2",
        "b text, count bigint, sum bigint | ",
    );
    check("select a, (select max(c) from t y where y.a = t.a) from t", "a integer, max numeric | ");
    check("with w as (select a + 1 as n from t) select n from w union all select 2.5", "n numeric | ");
    check("select * from (values (1, 'x'), (2, null)) v(i, s) order by s", "i integer, s text | ");
    check(
        "select a from t where exists (select 1 from t y where y.a > t.a) and a in (select a from t)",
        "a integer | ",
    );
}

#[test]
fn errors_are_postgresqls() {
    check_error("select nope from t", "42703 column \"nope\" does not exist @8");
    check_error("select t.nope from t", "42703 column t.nope does not exist @8");
    check_error("select x.a from t", "42P01 missing FROM-clause entry for table \"x\" @8");
    check_error("select * from nope", "42P01 relation \"nope\" does not exist @15");
    check_error("select a from t, t u", "42702 column reference \"a\" is ambiguous @8");
    check_error(
        "select a, count(*) from t",
        "42803 column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function @8",
    );
    check_error("select nope(1)", "42883 function nope(integer) does not exist @8");
    check_error("select 1 from t where a", "42804 argument of WHERE must be type boolean, not type integer @23");
    check_error("select a from t where count(*) > 1", "42803 aggregate functions are not allowed in WHERE @23");
}

#[test]
fn utilities_bind() {
    assert!(matches!(bound("begin").map(|b| b.kind), Ok(BoundKind::Utility(_))));
    assert!(matches!(bound("set search_path to a, 'b'").map(|b| b.kind), Ok(BoundKind::Utility(_))));
    assert!(matches!(bound("explain select 1").map(|b| b.kind), Ok(BoundKind::Utility(_))));
}

#[test]
fn writes_bind() {
    check("insert into t values (1, 'x', 2)", " | ");
    check("insert into t (a) values ($1), (default) returning a, c + 1 as d", "a integer, d numeric | integer");
    check("insert into t (b, a) select b, a from t", " | ");
    check("insert into t default values returning *", "a integer, b text, c numeric(8,2) | ");
    check("update t set b = $1, c = default where a = $2 returning b", "b text | text, integer");
    check("update t set b = u.b from t u where u.a = t.a", " | ");
    check("delete from t using t u where t.a = u.a returning t.*", "a integer, b text, c numeric(8,2) | ");
    check_error("insert into t (nope) values (1)", "42703 column \"nope\" of relation \"t\" does not exist @16");
    check_error("insert into t values (1, 'x', 2, 3)", "42601 INSERT has more expressions than target columns @34");
    check_error("update t set a = true", "42804 column \"a\" is of type integer but expression is of type boolean @18");
}

#[test]
fn functions_in_from_bind() {
    check("select * from generate_series(1, 3) g", "g integer | ");
    check("select n, o from t, unnest(array[t.a, 2]) with ordinality u(n, o)", "n integer, o bigint | ");
    check(
        "select b, count(*) from generate_series(1, 3) s(i) left join t on a = i group by 1",
        "b text, count bigint | ",
    );
    check_error("select count(*), a from t group by 1", "42803 aggregate functions are not allowed in GROUP BY @8");
}
