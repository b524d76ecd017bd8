//! Catalog queries as clients send them, from text to rows: what PostgreSQL 15 answers.

use super::support::*;
use catalog::{IndexSource, Object};
use std::sync::Arc;
use types::SqlType;

/// `t(id, name)` with its primary key and an index on `lower(name)`.
async fn database() -> Node {
    let mut t = table(20_000, "t", &[("id", SqlType::INT4), ("name", SqlType::TEXT)]);
    let key = |name: &str, id| {
        let mut index = Arc::unwrap_or_clone(index(id, &t, name, &[1], true));
        index.is_primary = name == "t_pkey";
        index
    };
    let primary = key("t_pkey", 20_010);
    let mut lower = key("t_lower", 20_011);
    lower.columns[0].source = IndexSource::Expression("lower(name)".to_owned());
    lower.predicate = Some("(id > 0)".to_owned());
    lower.is_unique = false;
    t.indexes = vec![20_010, 20_011];
    t.columns[1].default = Some("'x'::text".to_owned());
    t.constraints.push(catalog::Constraint {
        id: 20_020,
        name: "t_pkey".to_owned(),
        kind: catalog::ConstraintKind::PrimaryKey { index: 20_010 },
        deferrable: false,
        initially_deferred: false,
        is_validated: true,
        comment: None,
    });
    t.constraints.push(catalog::Constraint {
        id: 20_021,
        name: "t_check".to_owned(),
        kind: catalog::ConstraintKind::Check {
            expression: "((id > 0) AND (name <> 'y'::text))".to_owned(),
            columns: vec![1, 2],
            no_inherit: false,
        },
        deferrable: false,
        initially_deferred: false,
        is_validated: true,
        comment: None,
    });
    node(vec![Object::Relation(t), Object::Index(primary), Object::Index(lower)]).await
}

async fn check(node: &Node, text: &str, expected: &str) {
    assert_eq!(node.sql(text).await, expected, "{text}");
}

#[tokio::test]
async fn definitions_come_in_full_and_pretty() {
    let node = database().await;
    let full = "CHECK (((id > 0) AND (name <> 'y'::text)))";
    check(&node, "SELECT pg_get_constraintdef(20021)", full).await;
    check(&node, "SELECT pg_get_constraintdef(20021, true)", "CHECK (id > 0 AND name <> 'y'::text)").await;
    check(&node, "SELECT pg_get_constraintdef(20020)", "PRIMARY KEY (id)").await;
    let index = "CREATE INDEX t_lower ON public.t USING btree (lower(name)) WHERE (id > 0)";
    check(&node, "SELECT pg_get_indexdef(20011)", index).await;
    let pretty = "CREATE INDEX t_lower ON t USING btree (lower(name)) WHERE id > 0";
    check(&node, "SELECT pg_get_indexdef(20011, 0, true)", pretty).await;
    check(&node, "SELECT pg_get_indexdef(20011, 1, true)", "lower(name)").await;
}

#[tokio::test]
async fn a_functions_several_results_are_read_by_name() {
    let node = database().await;
    let keys = "SELECT (information_schema._pg_expandarray(indkey)).n FROM pg_index WHERE indexrelid = 20010";
    check(&node, keys, "1").await;
    let nested = "SELECT (k).x, (k).n FROM (SELECT information_schema._pg_expandarray(indkey) AS k FROM pg_index WHERE indisprimary) s";
    check(&node, nested, "1|1").await;
    check(&node, "SELECT (pg_identify_object(1259, 20000, 0)).identity", "public.t").await;
    let acl = "SELECT grantee::regrole, privilege_type FROM aclexplode(acldefault('s', 10))";
    check(&node, acl, "postgres|SELECT\npostgres|UPDATE\npostgres|USAGE").await;
}

#[tokio::test]
async fn arrays_are_compared_with_literals() {
    let node = database().await;
    check(&node, "SELECT conname FROM pg_constraint WHERE conrelid = 20000 AND conkey = '{1}'", "t_pkey").await;
    check(&node, "SELECT ARRAY[1] = ARRAY[1], ARRAY[1::oid] = '{1}'", "t|t").await;
    check(&node, "SELECT proargtypes::regtype[] FROM pg_proc WHERE oid = 870", "[0:0]={text}").await;
    check(&node, "SELECT format_type(30, NULL), format_type(2276, NULL)", "oidvector|\"any\"").await;
}

#[tokio::test]
async fn functions_tell_their_arguments() {
    let node = database().await;
    let told = |name: &str| format!("SELECT pg_get_function_arguments(oid) FROM pg_proc WHERE proname = '{name}'");
    check(
        &node,
        &told("jsonb_set"),
        "jsonb_in jsonb, path text[], replacement jsonb, create_if_missing boolean DEFAULT true",
    )
    .await;
    check(&node, &told("mode"), "ORDER BY anyelement").await;
    let explode = "acl aclitem[], OUT grantor oid, OUT grantee oid, OUT privilege_type text, OUT is_grantable boolean";
    check(&node, &told("aclexplode"), explode).await;
    check(&node, "SELECT 'abs(int)'::regprocedure, 'now'::regproc, 870::regproc", "abs(integer)|now|pg_catalog.lower")
        .await;
}

#[tokio::test]
async fn information_schema_tells_of_tables_and_keys() {
    let node = database().await;
    let columns = "SELECT column_name, data_type, column_default, is_nullable, character_octet_length FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position";
    check(&node, columns, "id|integer|NULL|NO|NULL\nname|text|'x'::text|YES|1073741824").await;
    let keys = "SELECT constraint_name, column_name, ordinal_position FROM information_schema.key_column_usage WHERE table_schema = 'public'";
    check(&node, keys, "t_pkey|id|1").await;
    let indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 't' ORDER BY 1 LIMIT 1";
    check(&node, indexes, "t_lower|CREATE INDEX t_lower ON public.t USING btree (lower(name)) WHERE (id > 0)").await;
    check(&node, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'pg_catalog'", "139").await;
}
