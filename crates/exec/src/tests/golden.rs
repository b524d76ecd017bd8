//! Scripts of statements with what PostgreSQL 15 answers to each, run from text to rows.
//!
//! A script is blocks with an empty line between them: the statement, `----`, the rows (`|` between columns) or the error with
//! its position. A block without `----` must succeed, whatever it shows.

use super::ddl::{Database, with_database};
use types::{Datum, FormatSettings, SqlError};

pub(super) fn show(rows: &[Vec<Datum>]) -> String {
    let format = FormatSettings::default();
    let value = |datum: &Datum| match datum {
        Datum::Null => "NULL".to_owned(),
        datum => {
            let mut out = vec![];
            types::io::output(crate::op::type_of(datum), datum, &format, &mut out);
            String::from_utf8(out).expect("text")
        }
    };
    let lines: Vec<_> = rows.iter().map(|row| row.iter().map(value).collect::<Vec<_>>().join("|")).collect();
    lines.join("\n")
}

pub(super) fn show_error(error: &SqlError) -> String {
    let fields = error.fields();
    let detail = fields.detail.as_ref().map_or_else(String::new, |d| format!(" | {d}"));
    format!("{} {} @{}{detail}", error.code(), error.message(), fields.position.unwrap_or(0))
}

fn check(script: &str) {
    with_database(async |mut database: Database| {
        database.show = show;
        let mut wrong = vec![];
        for block in script.split("\n\n").map(str::trim).filter(|b| !b.is_empty()) {
            let (statement, expected) = match block.split_once("\n----") {
                Some((statement, expected)) => (statement, Some(expected.trim_start_matches('\n'))),
                None => (block, None),
            };
            let got = database.run(statement).await;
            let failed = got.is_err();
            let shown = got.unwrap_or_else(|error| show_error(&error));
            if expected.map_or(failed, |expected| shown != expected) {
                wrong.push(format!("{statement}\n  got:\n{shown}\n  expected:\n{}", expected.unwrap_or("success")));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    });
}

#[test]
fn windows() {
    check(include_str!("golden/window.test"));
}

#[test]
fn expressions() {
    check(include_str!("golden/expressions.test"));
}

/// What PostgreSQL does not have: fields that are not declared.
#[test]
fn documents() {
    check(include_str!("golden/documents.test"));
}

#[test]
fn with_queries() {
    check(include_str!("golden/with.test"));
}

#[test]
fn grouping_sets() {
    check(include_str!("golden/grouping.test"));
}

#[test]
fn query_forms() {
    check(include_str!("golden/select.test"));
}

#[test]
fn writes() {
    check(include_str!("golden/writes.test"));
}

#[test]
fn merges() {
    check(include_str!("golden/merge.test"));
}

/// What the planner rewrites gives the same rows: joins made of subqueries, bounds of indexes, orders, estimates apart.
#[test]
fn plans() {
    check(include_str!("golden/plans.test"));
}

#[test]
fn names_and_types_of_queries() {
    check(include_str!("golden/rules.test"));
}

#[test]
fn whole_rows_of_padded_items() {
    check(include_str!("golden/padded.test"));
}
