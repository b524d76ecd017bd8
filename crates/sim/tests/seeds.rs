//! Whole runs, short ones: what one seed is, and a power cut at each place of a start.

use sim::{Cut, Options, Report};

fn run(seed: u64, minutes: f64, scenario: Option<&str>, cut: Option<Cut>) -> Report {
    let scenario = scenario.map(str::to_owned);
    sim::run(&Options { seed, minutes, scenario, cut, bug: None, is_printed: false }).expect("a run ends")
}

#[test]
fn one_seed_is_one_history() {
    let (first, again, other) = (run(3, 0.03, None, None), run(3, 0.03, None, None), run(4, 0.03, None, None));
    assert!(first.findings.is_empty(), "{first:?}");
    assert_eq!(first.hash, again.hash);
    assert_ne!(first.hash, other.hash);
    assert!(first.operations > 0 && first.lives > 1, "{first:?}");
}

/// Every so many of the operations that founding a node and its first table takes, and a second cut while that is
/// recovered.
#[test]
fn power_cut_while_a_node_is_founded() {
    let whole = run(1, 0.1, Some("bank"), Some(Cut::Never));
    let (operations, _) = whole.first_life;
    assert!(operations > 20, "{whole:?}");
    for at in (1..=operations).step_by(operations.div_ceil(24) as usize) {
        let report = run(1, 0.1, Some("bank"), Some(Cut::Operation(at)));
        assert!(report.findings.is_empty(), "cut at {at}: {report:?}");
    }
}
