//! When sides are merged.

use super::{planned_with, show, snapshot};
use crate::PlannerSettings;

/// The join of the plan for relations of so many rows, and whether something is sorted for it.
#[track_caller]
fn check(text: &str, settings: &PlannerSettings, rows: u64, join: &str, sorts: bool) {
    let catalog = snapshot();
    let plan = planned_with(&catalog, text, settings, &|_| rows);
    let shown = show::plan(&plan, &catalog);
    assert_eq!(shown.first().map(String::as_str), Some(join), "{text}: {shown:?}");
    assert_eq!(shown.iter().any(|line| line.contains("->  Sort")), sorts, "{text}: {shown:?}");
}

const BY_KEY: &str = "SELECT a.x, b.x FROM c1 a JOIN c2 b ON a.a = b.a";
const BY_ANOTHER: &str = "SELECT a.x, b.x FROM c1 a JOIN c2 b ON a.b = b.a";

#[test]
fn sorted_sides_are_merged_where_a_table_would_outgrow_memory() {
    let all = PlannerSettings::default();
    check(BY_KEY, &all, 10_000_000, "Merge Join", false);
    check(BY_KEY, &all, 10_000, "Hash Join", false);
    check(BY_KEY, &PlannerSettings { enable_mergejoin: false, ..all.clone() }, 10_000_000, "Hash Join", false);
    check(BY_ANOTHER, &all, 10_000_000, "Hash Join", false);
}

#[test]
fn without_hashing_sides_are_sorted() {
    let settings = PlannerSettings { enable_hashjoin: false, ..PlannerSettings::default() };
    let text = "SELECT a.x, b.x FROM c1 a LEFT JOIN c2 b ON a.b = b.b AND a.x < b.x";
    check(text, &settings, 100_000, "Merge Left Join", true);
    let settings = PlannerSettings { enable_nestloop: false, ..settings };
    check(BY_KEY, &settings, 100_000, "Merge Join", false);
}
