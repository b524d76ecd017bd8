//! Plans as EXPLAIN shows them, beside the statements they are of.

use super::{planned, show, snapshot};

const GOLDEN: &str = include_str!("plans.golden");

/// Each case of the file is a statement, a line `----` and its plan, and an empty line behind; `#` begins a comment. To
/// renew it, put what the test prints in its place and read the difference.
#[test]
fn plans_are_as_recorded() {
    let catalog = snapshot();
    let mut found = String::new();
    for case in GOLDEN.trim_end().split("\n\n") {
        let (comments, rest): (Vec<&str>, Vec<&str>) = case.lines().partition(|line| line.starts_with('#'));
        let statement: Vec<&str> = rest.iter().copied().take_while(|line| *line != "----").collect();
        let plan = planned(&catalog, &statement.join(" "));
        let shown = show::plan(&plan, &catalog);
        let lines = comments.into_iter().chain(statement).chain(["----"]).map(str::to_owned).chain(shown);
        found.push_str(&lines.collect::<Vec<_>>().join("\n"));
        found.push_str("\n\n");
    }
    let found = format!("{}\n", found.trim_end());
    if found != GOLDEN {
        let differs = found.lines().zip(GOLDEN.lines()).find(|(a, b)| a != b);
        panic!("plans differ, first at {differs:?}; all of them:\n=====\n{found}=====");
    }
}
