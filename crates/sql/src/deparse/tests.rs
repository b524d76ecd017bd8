//! Expressions told as PostgreSQL tells them, in the full and in the pretty form.

use super::*;
use crate::BindContext;
use crate::bind::{StoredUse, bind_stored};
use std::sync::Arc;
use types::FormatSettings;
use types::typename;

fn context() -> BindContext {
    let mut snapshot = Snapshot::with_builtins();
    catalog::bootstrap::objects().into_iter().for_each(|o| snapshot.put(o));
    BindContext {
        catalog: Arc::new(snapshot),
        database: catalog::POSTGRES_DATABASE,
        search_path: vec![catalog::PG_CATALOG_SCHEMA, catalog::PUBLIC_SCHEMA],
        creation_schema: None,
        temporary_schema: None,
        role: catalog::POSTGRES_ROLE,
        session_role: catalog::POSTGRES_ROLE,
        format: Arc::new(FormatSettings::default()),
        standard_conforming_strings: true,
        is_implemented: |_| true,
    }
}

/// Over `(a int, b text, c numeric(8,2), d timestamptz, e int[], f varchar(5), g bool)`; expected: what PostgreSQL 15's
/// `pg_get_constraintdef` and `pg_get_expr` show. What is shown must show itself again.
#[track_caller]
fn check_form(text: &str, expected: &str, pretty: bool) {
    let mut t = catalog::new_relation(20_000, "t", catalog::RelationKind::Table);
    let types = ["integer", "text", "numeric(8,2)", "timestamptz", "integer[]", "varchar(5)", "boolean"];
    for (i, (name, ty)) in ["a", "b", "c", "d", "e", "f", "g"].iter().zip(types).enumerate() {
        t.columns.push(catalog::new_column(i as i16 + 1, name, typename::parse(ty).expect("a type")));
    }
    let context = context();
    let show = |text: &str| {
        let expr = bind_stored(text, Some(&t), &context, StoredUse::Any).unwrap_or_else(|e| panic!("{text}: {e}"));
        let shown = pretty.then(|| Shown {
            scope: NameScope { database: context.database, search_path: &context.search_path, temporary_schema: None },
            pretty,
            format: &context.format,
        });
        Deparser::new(&context.catalog).over(Some(&t)).shown(shown).expr(&expr).expect(text)
    };
    assert_eq!(show(text), expected, "{text}");
    assert_eq!(show(expected), expected, "again: {expected}");
}

#[track_caller]
fn check(text: &str, expected: &str) {
    check_form(text, expected, false);
}

#[track_caller]
fn check_pretty(text: &str, expected: &str) {
    check_form(text, expected, true);
}

/// Expected: `pg_get_constraintdef(oid, true)` of CHECKs in PostgreSQL 15.
#[test]
fn the_pretty_form_has_the_parentheses_that_postgresql_leaves() {
    check_pretty("a > 0 and b <> 'x' or not g", "a > 0 AND b <> 'x'::text OR NOT g");
    check_pretty("a + 1 * 2 > 0", "(a + 1 * 2) > 0");
    check_pretty("(a + 1) * 2 > 0", "((a + 1) * 2) > 0");
    check_pretty("a - (1 - 2) > 0", "(a - (1 - 2)) > 0");
    check_pretty("a - 1 - 2 > 0", "(a - 1 - 2) > 0");
    check_pretty("-a > 0", "(- a) > 0");
    check_pretty("lower(b) || 'x' = b", "(lower(b) || 'x'::text) = b");
    check_pretty("c > 1", "c > 1::numeric");
    check_pretty("a::text = b", "a::text = b");
    check_pretty("(a + 1)::text = b", "((a + 1)::text) = b");
    check_pretty("b is null or a is not null", "b IS NULL OR a IS NOT NULL");
    check_pretty("(a > 0) is not true", "(a > 0) IS NOT TRUE");
    check_pretty("a in (1, 2) and g", "(a = ANY (ARRAY[1, 2])) AND g");
    check_pretty("not (a in (1,2))", "NOT (a = ANY (ARRAY[1, 2]))");
    check_pretty("a between 1 and 5", "a >= 1 AND a <= 5");
    check_pretty("coalesce(b, 'x') = 'y'", "COALESCE(b, 'x'::text) = 'y'::text");
    check_pretty(
        "case when a > 0 then 'x' else b end = b",
        "\nCASE\n    WHEN a > 0 THEN 'x'::text\n    ELSE b\nEND = b",
    );
    check_pretty("f = 'x'", "f::text = 'x'::text");
    check_pretty("f in ('x','y')", "f::text = ANY (ARRAY['x'::character varying, 'y'::character varying]::text[])");
    check_pretty("a is distinct from 3", "a IS DISTINCT FROM 3");
    check_pretty("(a + 1) is distinct from 3", "(a + 1) IS DISTINCT FROM 3");
    check_pretty("not (g and a > 1)", "NOT (g AND a > 1)");
    check_pretty("g and (a > 1 or a < 0)", "g AND (a > 1 OR a < 0)");
    check_pretty("b like 'x%' and upper(f) = 'Y'", "b ~~ 'x%'::text AND upper(f::text) = 'Y'::text");
    check_pretty("a % 2 = 0", "(a % 2) = 0");
    check_pretty("a / 2.0 > c * 2", "(a::numeric / 2.0) > (c * 2::numeric)");
    check_pretty("greatest(a, 3) > 1", "GREATEST(a, 3) > 1");
    check_pretty("abs(a + 1) > 1", "abs(a + 1) > 1");
    check_pretty("c > (a + 1)", "c > (a + 1)::numeric");
    check_pretty("(a > 1) = (a < 5)", "(a > 1) = (a < 5)");
    check_pretty("nullif(a, 1) > 0", "NULLIF(a, 1) > 0");
    check_pretty("(a is null) = g", "(a IS NULL) = g");
    check_pretty("2 * (a + 1) / 3 > 1", "(2 * (a + 1) / 3) > 1");
    check_pretty("a * (2 / 3) > 1", "(a * (2 / 3)) > 1");
}

#[test]
fn expressions_are_shown_as_postgresql_shows_them() {
    check("a > 0 and b <> 'x' or not g", "(((a > 0) AND (b <> 'x'::text)) OR (NOT g))");
    check("a + 1 * 2", "(a + (1 * 2))");
    check("-a", "(- a)");
    check("lower(b) || 'é''s'", "(lower(b) || 'é''s'::text)");
    check("c > 1.5", "(c > 1.5)");
    check("c > 1", "(c > (1)::numeric)");
    check("a::text", "(a)::text");
    check("a::bigint > 5000000000", "((a)::bigint > '5000000000'::bigint)");
    check("b is null", "(b IS NULL)");
    check("g is not true", "(g IS NOT TRUE)");
    check("a in (1, 2)", "(a = ANY (ARRAY[1, 2]))");
    check("b not in ('x', 'y')", "(b <> ALL (ARRAY['x'::text, 'y'::text]))");
    check("a between 1 and 5", "((a >= 1) AND (a <= 5))");
    check("coalesce(b, 'x')", "COALESCE(b, 'x'::text)");
    check("case when a > 0 then 'x' else b end", "\nCASE\n    WHEN (a > 0) THEN 'x'::text\n    ELSE b\nEND");
    check("case a when 1 then 2 end", "\nCASE a\n    WHEN 1 THEN 2\n    ELSE NULL::integer\nEND");
    check(
        "case when a > 0 then case when a > 1 then 3 end end",
        "\nCASE\n    WHEN (a > 0) THEN\n    CASE\n        WHEN (a > 1) THEN 3\n        ELSE NULL::integer\n    END\n    ELSE NULL::integer\nEND",
    );
    check("b like 'x%'", "(b ~~ 'x%'::text)");
    check("d > '2000-01-01 00:00:00+00'", "(d > '2000-01-01 00:00:00+00'::timestamp with time zone)");
    check("date '2000-01-01'", "'2000-01-01'::date");
    check("nullif(a, 1)", "NULLIF(a, 1)");
    check("a is distinct from 3", "(a IS DISTINCT FROM 3)");
    check("greatest(a, 3)", "GREATEST(a, 3)");
    check("now()", "now()");
    check("f = 'x'", "((f)::text = 'x'::text)");
    check("f || 'x'", "((f)::text || 'x'::text)");
    check("'abc'::varchar(2)", "'abc'::character varying(2)");
    check("upper(f)", "upper((f)::text)");
    check("a / 2.0", "((a)::numeric / 2.0)");
    check("round(c, 1) + a", "(round(c, 1) + (a)::numeric)");
    check("true", "true");
    check("null::int", "NULL::integer");
}

#[test]
fn what_is_written_reads_back() {
    check("-5", "'-5'::integer");
    check("e'a\\\\b'", "'a\\b'::text");
}

/// The stored form of a query, bound again, is stored as the same text.
#[test]
fn a_query_that_is_told_tells_itself_again() {
    let context = context();
    let told = |text: &str| {
        let written = crate::bind::written(text, &context).unwrap_or_else(|e| panic!("{text}: {e}"));
        Deparser::new(&context.catalog).view(&written, &[], 0).unwrap_or_else(|e| panic!("{text}: {e}"))
    };
    for text in [
        "select relname, oid from pg_class c where relkind = 'r' order by 2 desc, relname nulls first limit 3 offset 1",
        "select * from pg_class c join pg_index i on c.oid = i.indexrelid left join pg_am a on a.oid = c.relam",
        "select * from pg_class full join pg_am using (oid)",
        "select j.oid from (pg_class join pg_am using (oid)) as j",
        "select distinct on (relkind) relkind, count(*) over (partition by relkind order by oid rows 2 preceding) from pg_class",
        "select sum(a) over w from generate_series(1, 3) a window w as (order by a), v as (w groups current row)",
        "select relkind, count(*) filter (where oid > 1::oid) from pg_class group by rollup (relkind) having count(*) > 1",
        "(select 1 as a union select 2) except all (select 3 order by 1 limit 1) order by a",
        "values (1, 'a'), (2, 'b') order by column2",
        "with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) select * from r, r s",
        "with x as materialized (select 1 as a) select a, (select max(a) from x) from x where a in (select 1) and exists (select)",
        "select array(select oid from pg_class), row(1, 2) < row(3, 4), c from pg_class c where (relname, relkind) = (select 'a' as x, 'r' as y)",
        "select * from rows from (generate_series(1, 2), generate_series(1, 3)) with ordinality as f(a, b, n), unnest(array[f.a]) u",
        "select string_agg(distinct relname, ',' order by relname), percentile_cont(0.5) within group (order by oid::int) from pg_class",
        "select case when relkind = 'r' then case relname when 'x' then 1 end end, extract(day from now()), current_date from pg_class",
    ] {
        let first = told(text);
        assert_eq!(told(&first), first, "{text}");
    }
}
