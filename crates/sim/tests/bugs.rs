//! Every bug on a switch is found within 200 seeds: `cargo test --release -p sim --features bugs --test bugs -- --ignored`.
//! Prints how many seeds each took.
#![cfg(feature = "bugs")]

use sim::Options;

/// Seeds that a bug may take.
const SEEDS: u64 = 200;
const MINUTES: f64 = 0.1;

/// Shows with the log thread alone, and so with several nodes (`docs/simulator.md`); `storage::wal::tests` has it until then.
const WITH_THE_CLUSTER: &[&str] = &["remains_kept"];

/// Where a bug shows in one workload alone, that one: the seeds of others would be spent for nothing.
fn scenario_of(name: &str) -> Option<String> {
    let scenario = match name {
        "in_flight_ignored" | "commit_retried_blindly" | "absent_spans_dropped" | "dependency_ignored" => "append",
        "flight_skipped" => "bank",
        "image_without_prepared" => "ddl",
        _ => return None,
    };
    Some(scenario.to_owned())
}

#[test]
#[ignore = "minutes in a release build, hours in others"]
fn every_bug_is_found() {
    let mut missed = Vec::new();
    for (name, bug) in host::bugs::ALL.iter().filter(|(name, _)| !WITH_THE_CLUSTER.contains(name)) {
        let found = (1..=SEEDS).find_map(|seed| {
            let scenario = scenario_of(name);
            let options = Options { seed, minutes: MINUTES, scenario, cut: None, bug: Some(*bug), is_printed: false };
            let findings = sim::run(&options).map_or_else(|| vec!["panic".to_owned()], |report| report.findings);
            Some((seed, findings.first()?.lines().next().unwrap_or_default().to_owned()))
        });
        match found {
            Some((seed, what)) => println!("{name}: seed {seed}: {what}"),
            None => missed.push(*name),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
