//! Statements that grow without end: each is planned, or refused with 54001.

use super::{bind_context, fold, rows_of, snapshot};
use crate::plan::{PlanContext, PlannerSettings, plan};
use crate::{BoundKind, bind, parse};

/// "planned", or the error's code.
fn outcome(text: &str) -> String {
    let catalog = snapshot();
    let settings = PlannerSettings::default();
    let context =
        PlanContext { catalog: &catalog, rows: &rows_of, settings: &settings, reads_at: None, fold: Some(&fold) };
    let bound = parse::parse(text, true).and_then(|s| bind(&s[0], &bind_context(catalog.clone()), &[]));
    let planned = bound.and_then(|bound| match &bound.kind {
        BoundKind::Query(query) => plan(query, &bound.parameters, &context).map(drop),
        BoundKind::Utility(_) | BoundKind::Rewritten(_) => Ok(()),
    });
    planned.map_or_else(|e| e.code().to_string(), |()| "planned".to_owned())
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let outcome = outcome(text);
    assert!(expected.contains(&outcome.as_str()), "{outcome}: {}", &text[..80]);
}

#[test]
fn long_and_deep_statements_are_planned_or_refused() {
    let chain = |count: usize| vec!["SELECT a FROM c1"; count].join(" UNION ALL ");
    check(&chain(40), &["planned"]);
    check(&chain(2000), &["54001"]);
    let nested = |depth: usize| format!("{}SELECT a FROM c1{}", "SELECT a FROM (".repeat(depth), ") s".repeat(depth));
    check(&nested(20), &["planned"]);
    check(&nested(1000), &["54001"]);
    let within = |depth: usize| {
        format!("SELECT a FROM c1 WHERE {}true{}", "EXISTS (SELECT 1 FROM c2 WHERE ".repeat(depth), ")".repeat(depth))
    };
    check(&within(15), &["planned"]);
    check(&within(1000), &["54001"]);
    let ors = format!("SELECT a FROM c1 WHERE {}", vec!["(a = 1 AND b = 2)"; 2000].join(" OR "));
    check(&ors, &["planned", "54001"]);
}

#[test]
fn sixty_four_tables_are_joined_by_their_conditions() {
    let tables: Vec<String> = (0..64).map(|i| format!("c{} AS t{i}", i % 10 + 1)).collect();
    let mut conditions: Vec<String> = (1..64).map(|i| format!("t{}.b = t{i}.a", (i * 7) % i)).collect();
    conditions.reverse();
    let text = format!("SELECT t0.x FROM {} WHERE {} AND t5.a = 3", tables.join(", "), conditions.join(" AND "));
    let shown = move || super::show::plan(&super::planned(&snapshot(), &text), &snapshot()).join("\n");
    // As deep as a session's: without optimization its frames are large.
    let shown = host::spawn::thread("sixty-four tables", 64 << 20, shown).expect("a thread").join().expect("planned");
    assert!(!shown.contains("Nested Loop"), "a cross product: {shown}");
}
