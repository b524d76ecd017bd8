//! COPY and the maintenance statements against `t (a int primary key, b text, c numeric(8,2) default 7, g int generated)`, a
//! view, a sequence and an index: what PostgreSQL 15 answers.

use super::tests::context;
use super::*;
use crate::BoundKind;
use crate::utility::{Copy, CopyDirection, Maintain, Utility};
use catalog::{IndexSource, Object, RelationKind};
use std::sync::Arc;

fn with_objects() -> BindContext {
    let mut context = context();
    let mut catalog = (*context.catalog).clone();
    let mut t = (**catalog.relation(20_000).expect("t")).clone();
    let mut generated = catalog::new_column(4, "g", SqlType::INT4);
    generated.is_generated = true;
    generated.default = Some("a + 1".to_owned());
    t.columns.push(generated);
    t.indexes = vec![20_030];
    catalog.put(Object::Relation(t));
    for (id, name, kind) in [
        (20_010, "v", RelationKind::View),
        (20_015, "mv", RelationKind::MaterializedView),
        (20_020, "s", RelationKind::Sequence),
    ] {
        let mut relation = catalog::new_relation(id, name, kind);
        relation.database = catalog::POSTGRES_DATABASE;
        relation.schema = catalog::PUBLIC_SCHEMA;
        catalog.put(Object::Relation(relation));
    }
    catalog.put(Object::Index(catalog::Index {
        id: 20_030,
        relation: 20_000,
        schema: catalog::PUBLIC_SCHEMA,
        database: catalog::POSTGRES_DATABASE,
        name: "ti".to_owned(),
        storage: 20_030,
        columns: vec![catalog::IndexColumn {
            source: IndexSource::Column(2),
            ty: SqlType::TEXT.into(),
            descending: false,
            nulls_first: false,
            opclass: None,
            collation: 0,
        }],
        included: vec![],
        is_unique: false,
        nulls_not_distinct: false,
        is_primary: false,
        method: "btree".to_owned(),
        predicate: None,
        state: catalog::IndexState::Public,
        options: vec![],
        comment: None,
    }));
    context.catalog = Arc::new(catalog);
    context
}

fn utility(text: &str) -> Result<Utility> {
    let statements = parse::parse(text, true)?;
    match bind(&statements[0], &with_objects(), &[])?.kind {
        BoundKind::Utility(utility) => Ok(*utility),
        BoundKind::Query(_) | BoundKind::Rewritten(_) => panic!("a query: {text}"),
    }
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = utility(text).map(|_| ()).expect_err(text);
    let at = error.fields().position.unwrap_or(0);
    assert_eq!(format!("{} {} @{at}", error.code(), error.message()), expected, "{text}");
}

#[track_caller]
fn copy(text: &str) -> Copy {
    match utility(text) {
        Ok(Utility::Copy(copy)) => *copy,
        other => panic!("{text}: {other:?}"),
    }
}

/// Format, delimiter, null and header as one text, then the names of the columns.
#[track_caller]
fn check_copy(text: &str, expected: &str) {
    let copy = copy(text);
    let format = &copy.format;
    let names: Vec<_> = copy.columns.iter().map(|c| c.0.as_str()).collect();
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?}{:?} {}",
        format.kind,
        char::from(format.delimiter),
        format.null,
        format.header,
        char::from(format.quote),
        char::from(format.escape),
        names.join(",")
    );
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn copy_takes_all_of_postgresqls_forms() {
    check_copy("copy t from stdin", "Text '\\t' \"\\\\N\" None '\"''\"' a,b,c");
    check_copy("copy t (b, a) from stdin with (format csv, header)", "Csv ',' \"\" Present '\"''\"' b,a");
    check_copy(
        "copy public.t to stdout csv header quote as '''' escape as '\\' force quote *",
        "Csv ',' \"\" Present '\\'''\\\\' a,b,c",
    );
    check_copy("COPY t FROM STDOUT DELIMITER AS '|' NULL AS 'x' WHERE a > 0", "Text '|' \"x\" None '\"''\"' a,b,c");
    check_copy("copy t from stdin using delimiters ';' with null 'n'", "Text ';' \"n\" None '\"''\"' a,b,c");
    check_copy("copy binary t to stdout", "Binary '\\t' \"\\\\N\" None '\"''\"' a,b,c");
    check_copy("copy (select a, 1 as one from t) to stdout (header)", "Text '\\t' \"\\\\N\" Present '\"''\"' a,one");
    check_copy("copy (table t) to stdout", "Text '\\t' \"\\\\N\" None '\"''\"' a,b,c,g");
    check_copy("copy (values (1, 2)) to stdout", "Text '\\t' \"\\\\N\" None '\"''\"' column1,column2");
    check_copy(
        "copy (insert into t values (1) returning a) to stdout with (format 'csv', encoding 'utf-8')",
        "Csv ',' \"\" None '\"''\"' a",
    );
    check_copy("copy t from stdin (header match)", "Text '\\t' \"\\\\N\" Match '\"''\"' a,b,c");
    let forced = copy("copy t from stdin csv force not null c, b force null a").format;
    assert_eq!((forced.force_not_null, forced.force_null), (vec![false, true, true], vec![true, false, false]));
    assert!(parse::parse("copy t from stdin; select 1", true).is_ok_and(|s| s.len() == 2));
}

#[test]
fn copy_from_is_an_insert_of_its_fields() {
    let copy = copy("copy t (b, a) from stdin where b = 'x'");
    let CopyDirection::From { insert, attributes, filter, .. } = copy.direction else { panic!("from") };
    assert_eq!(attributes, [2, 1]);
    assert!(matches!(&insert.root, crate::logical::Node::Insert(i) if i.values.len() == 3 && i.generated.len() == 1));
    assert!(filter.is_some_and(|f| f.any(&mut |e| matches!(e.kind, crate::ExprKind::Input(1)))));
    let context = with_objects();
    let settings = crate::PlannerSettings::default();
    let planning =
        crate::PlanContext { catalog: &context.catalog, rows: &|_| 0, settings: &settings, reads_at: None, fold: None };
    let plan = crate::plan(&insert, &[], &planning).expect("a plan");
    assert!(matches!(plan.body, crate::physical::PlanBody::Tree(_)));
}

#[test]
fn copy_options_are_refused_as_postgresql_does() {
    check_error("copy t from stdin with (bogus)", "42601 option \"bogus\" not recognized @25");
    check_error("copy t from stdin with (format foo)", "22023 COPY format \"foo\" not recognized @25");
    check_error("copy t from stdin with (format csv, format text)", "42601 conflicting or redundant options @37");
    check_error("copy t from stdin csv csv", "42601 conflicting or redundant options @23");
    let plain = [
        ("format text, delimiter 'ab'", "0A000 COPY delimiter must be a single one-byte character"),
        ("format text, delimiter E'\\n'", "22023 COPY delimiter cannot be newline or carriage return"),
        ("format text, delimiter 'a'", "22023 COPY delimiter cannot be \"a\""),
        ("format text, null E'\\n'", "22023 COPY null representation cannot use newline or carriage return"),
        ("format text, quote '\"'", "0A000 COPY quote available only in CSV mode"),
        ("format csv, quote 'ab'", "0A000 COPY quote must be a single one-byte character"),
        ("format csv, quote ','", "22023 COPY delimiter and quote must be different"),
        ("format text, escape '\"'", "0A000 COPY escape available only in CSV mode"),
        ("format csv, escape 'ab'", "0A000 COPY escape must be a single one-byte character"),
        ("format text, force_quote *", "0A000 COPY force quote available only in CSV mode"),
        ("format csv, force_quote *", "0A000 COPY force quote only available using COPY TO"),
        ("format text, force_not_null (a)", "0A000 COPY force not null available only in CSV mode"),
        ("format csv, delimiter ',', null 'a,b'", "0A000 COPY delimiter must not appear in the NULL specification"),
        ("format csv, null 'a\"b'", "0A000 CSV quote character must not appear in the NULL specification"),
        ("format binary, delimiter ','", "42601 cannot specify DELIMITER in BINARY mode"),
        ("format binary, null ','", "42601 cannot specify NULL in BINARY mode"),
        ("format binary, header", "0A000 cannot specify HEADER in BINARY mode"),
        ("header foo", "42601 header requires a Boolean value or \"match\""),
        ("header 2", "42601 header requires a Boolean value or \"match\""),
        ("freeze foo", "42601 freeze requires a Boolean value"),
        ("delimiter", "42601 delimiter requires a parameter"),
        ("format csv, force_null (zz)", "42703 column \"zz\" of relation \"t\" does not exist"),
        ("format csv, force_null (a, a)", "42701 column \"a\" specified more than once"),
    ];
    for (options, expected) in plain {
        check_error(&format!("copy t from stdin with ({options})"), &format!("{expected} @0"));
    }
    check_error("copy t to stdout with (header match)", "0A000 cannot use \"match\" with HEADER in COPY TO @0");
    check_error(
        "copy t from stdin with (encoding 'foo')",
        "22023 argument to option \"encoding\" must be a valid encoding name @25",
    );
    check_error("copy t from stdin with (encoding 'LATIN2')", "0A000 COPY in encoding \"LATIN2\" is not supported @25");
    check_error(
        "copy t from stdin with (encoding 'LATIN1', format binary)",
        "0A000 binary COPY in encoding \"LATIN1\" is not supported @0",
    );
    check_error(
        "copy t from stdin with (format csv, force_null a)",
        "22023 argument to option \"force_null\" must be a list of column names @37",
    );
    check_error(
        "copy t (b) to stdout with (format csv, force_quote (a))",
        "42P10 FORCE_QUOTE column \"a\" not referenced by COPY @0",
    );
}

#[test]
fn copy_knows_its_relations_and_columns() {
    check_error("copy t (zz) from stdin", "42703 column \"zz\" of relation \"t\" does not exist @0");
    check_error("copy t (a, a) from stdin", "42701 column \"a\" specified more than once @0");
    check_error("copy t (g) to stdout", "42P10 column \"g\" is a generated column @0");
    check_error("copy t (a.b) from stdin", "42601 syntax error at or near \".\" @10");
    check_error("copy v from stdin", "42809 cannot copy to view \"v\" @0");
    check_error("copy v to stdout", "42809 cannot copy from view \"v\" @0");
    check_error("copy mv from stdin", "42809 cannot copy to materialized view \"mv\" @0");
    check_error("copy s to stdout", "42809 cannot copy from sequence \"s\" @0");
    check_error("copy ti to stdout", "42809 \"ti\" is an index @0");
    check_error("copy nope to stdout", "42P01 relation \"nope\" does not exist @0");
    check_error("copy (select 1) from stdin", "42601 syntax error at or near \"from\" @17");
    check_error("copy (begin) to stdout", "42601 syntax error at or near \"begin\" @7");
    check_error("copy (insert into t values (1)) to stdout", "0A000 COPY query must have a RETURNING clause @0");
    check_error("copy (select 1 into x) to stdout", "0A000 COPY (SELECT INTO) is not supported @0");
    check_error("copy t to stdout where a > 1", "42601 WHERE clause not allowed with COPY TO @18");
    check_error("copy t from stdin where a", "42804 argument of WHERE must be type boolean, not type integer @25");
    check_error("copy t from stdin where zz > 1", "42703 column \"zz\" does not exist @25");
    check_error(
        "copy t from stdin where g > 1",
        "42P10 generated columns are not supported in COPY FROM WHERE conditions @0",
    );
    check_error("copy t from '/tmp/x'", "0A000 COPY from a file on the server is not supported @13");
    check_error("copy t to program 'cat'", "0A000 COPY to a program on the server is not supported @19");
    check_error("copy t to program stdout", "42601 STDIN/STDOUT not allowed with PROGRAM @19");
}

#[track_caller]
fn check_maintain(text: &str, expected: &str) {
    let maintain = match utility(text) {
        Ok(Utility::Maintain(maintain)) => *maintain,
        other => panic!("{text}: {other:?}"),
    };
    let Maintain { tag, analyze, notices, outside_block, .. } = maintain;
    let notices: Vec<_> = notices.iter().map(|n| n.message().to_owned()).collect();
    let block = if outside_block { " alone" } else { "" };
    assert_eq!(format!("{tag}{block} {analyze:?} {}", notices.join("; ")), expected, "{text}");
}

#[test]
fn maintenance_is_checked_and_answered() {
    check_maintain("analyze t", "ANALYZE [(20000, [])] ");
    check_maintain("analyse verbose t (b, a), mv", "ANALYZE [(20000, [2, 1]), (20015, [])] ");
    check_maintain("analyze", "ANALYZE [(20000, []), (20015, [])] ");
    check_maintain("analyze ti", "ANALYZE [] skipping \"ti\" --- cannot analyze non-tables or special system tables");
    check_maintain("vacuum", "VACUUM alone [] ");
    check_maintain("vacuum full freeze verbose analyze t", "VACUUM alone [(20000, [])] ");
    check_maintain(
        "vacuum (index_cleanup auto, parallel 2) v",
        "VACUUM alone [] skipping \"v\" --- cannot vacuum non-tables or special system tables",
    );
    check_maintain("cluster", "CLUSTER alone [] ");
    check_maintain("cluster ti on t", "CLUSTER [] ");
    check_maintain("cluster verbose t using ti", "CLUSTER [] ");
    check_maintain("reindex table t", "REINDEX [] ");
    check_maintain("reindex (verbose) index concurrently ti", "REINDEX alone [] ");
    check_maintain("reindex schema public", "REINDEX alone [] ");
    check_maintain("checkpoint", "CHECKPOINT [] ");
    check_error("analyze nope", "42P01 relation \"nope\" does not exist @0");
    check_error("analyze t (a, a)", "42701 column \"a\" of relation \"t\" appears more than once @0");
    check_error("analyze (verbose, foo) t", "42601 unrecognized ANALYZE option \"foo\" @19");
    check_error("vacuum t (a)", "0A000 ANALYZE option must be specified when a column list is provided @0");
    check_error("vacuum freeze full t", "42601 syntax error at or near \"full\" @15");
    check_error("vacuum (parallel) t", "42601 parallel option requires a value between 0 and 1024 @9");
    check_error("cluster t using nope", "42704 index \"nope\" for table \"t\" does not exist @0");
    check_error("reindex index t", "42809 \"t\" is not an index @0");
    check_error("reindex table v", "42809 \"v\" is not a table or materialized view @0");
    check_error("reindex database nope", "0A000 can only reindex the currently open database @0");
    check_error("reindex foo t", "42601 syntax error at or near \"foo\" @9");
    check_error("checkpoint now", "42601 syntax error at or near \"now\" @12");
}

#[test]
fn locks_that_only_guard_the_definition_are_taken() {
    assert!(matches!(
        utility("lock t, only v in access share mode nowait"),
        Ok(Utility::LockTable { nowait: true, .. })
    ));
    check_error("lock table t in foo mode", "42601 syntax error at or near \"foo\" @17");
    check_error("lock table t in share foo mode", "42601 syntax error at or near \"foo\" @23");
    check_error("lock table only t * in share mode", "42601 syntax error at or near \"*\" @19");
    check_error("lock table s", "42809 cannot lock relation \"s\" @0");
    check_error("lock ti", "42809 cannot lock relation \"ti\" @0");
}

#[test]
fn what_is_missing_is_refused_when_its_turn_comes() {
    check_error("load 'x'", "0A000 LOAD is not supported @1");
    check_error("do language plpgsql $$ begin end $$", "0A000 DO is not supported @1");
    check_error("call f(1, 2)", "42883 procedure f(integer, integer) does not exist @6");
    check_error("call abs(1)", "42809 abs(integer) is not a procedure @6");
    check_error("call abs((select 1))", "0A000 cannot use subquery in CALL argument @10");
    check_error("call f", "42601 syntax error at end of input @7");
    check_error("notify x, y", "42601 syntax error at or near \"y\" @11");
    check_error("unlisten", "42601 syntax error at end of input @9");
    check_error("listen *", "42601 syntax error at or near \"*\" @8");
    assert!(matches!(utility("unlisten *"), Ok(Utility::Unlisten(None))));
    assert!(matches!(utility("listen X"), Ok(Utility::Listen(channel)) if channel == "x"));
    assert!(matches!(utility("notify x"), Ok(Utility::Notify { payload, .. }) if payload.is_empty()));
}
