//! `hyrax sim`: runs seeds of the simulator and says what came of each.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use host::{Clock, RealClock};
use sim::{Cut, Options, Report, SCENARIOS};
use std::process::ExitCode;

const LONG_ABOUT: &str = "\
Runs whole nodes, with their disk and clocks simulated, in one thread: clients work, the power goes, disks fail and fill,
clocks jump, and after every start and at the end all that was answered must be there. A seed is a history: the same
seed gives the same trace hash, everywhere. Exits with 1 where a promise was broken, and prints the command that shows it
again.";

/// A promise was broken.
const BROKEN: u8 = 1;

pub fn command() -> Command {
    let number = |name: &'static str, value: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).default_value(default).help(help)
    };
    let place = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("N").value_parser(value_parser!(u64)).help(help)
    };
    let command = Command::new("sim")
        .about("Run the simulator")
        .long_about(LONG_ABOUT)
        .arg(number("seed", "N", "1", "The first seed").value_parser(value_parser!(u64)))
        .arg(number("seeds", "K", "1", "How many seeds, one after the other").value_parser(value_parser!(u64)))
        .arg(number("minutes", "M", "5", "Simulated minutes of each").value_parser(value_parser!(f64)))
        .arg(
            Arg::new("scenario")
                .long("scenario")
                .value_name("NAME")
                .value_parser(SCENARIOS.to_vec())
                .help("Only this workload [default: several, drawn from the seed]"),
        )
        .arg(place("cut-at", "One life, in which the power goes at the Nth disk operation"))
        .arg(place("cut-at-step", "One life, in which the power goes at the Nth step"))
        .arg(flag("each", "Let the power go at each disk operation and each step of a short run in turn"))
        .arg(flag("twice", "Run each seed twice: the hashes must be equal"))
        .arg(flag("trace", "Print everything that happens"));
    with_bugs(command)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

#[cfg(feature = "bugs")]
fn with_bugs(command: Command) -> Command {
    let names: Vec<&str> = host::bugs::ALL.iter().map(|(name, _)| *name).collect();
    command.arg(Arg::new("bug").long("bug").value_name("NAME").value_parser(names).help("Break this rule"))
}

#[cfg(not(feature = "bugs"))]
fn with_bugs(command: Command) -> Command {
    command
}

pub fn run(arguments: &ArgMatches) -> ExitCode {
    let number = |name: &str| arguments.get_one::<u64>(name).copied().unwrap_or(1);
    let bug = bug(arguments);
    let (first, count) = (number("seed"), number("seeds"));
    for seed in first..first.saturating_add(count) {
        let options = Options {
            seed,
            minutes: arguments.get_one::<f64>("minutes").copied().unwrap_or(5.0),
            scenario: arguments.get_one::<String>("scenario").cloned(),
            cut: cut_of(arguments),
            bug: bug.map(|(_, bug)| bug),
            is_printed: arguments.get_flag("trace"),
        };
        let name = bug.map(|(name, _)| name);
        let is_kept = match arguments.get_flag("each") {
            true => each(&options, name),
            false => one(&options, name, arguments.get_flag("twice")),
        };
        if !is_kept {
            return ExitCode::from(BROKEN);
        }
    }
    ExitCode::SUCCESS
}

/// One run; false where a promise was broken.
fn one(options: &Options, bug: Option<&str>, is_twice: bool) -> bool {
    let clock = RealClock::new();
    let Some(report) = sim::run(options) else {
        eprintln!("hyrax: seed {}: the simulation itself has ended in a panic", options.seed);
        return false;
    };
    let took = clock.monotonic().as_secs_f64();
    println!("seed {}: {}", options.seed, line(&report, took));
    let again = if is_twice { sim::run(options) } else { Some(report.clone()) };
    let is_same = again.is_some_and(|again| again.hash == report.hash);
    if !is_same {
        println!("  a second run of the same seed went another way");
    }
    let is_kept = is_same && report.findings.is_empty();
    if !is_kept {
        report.findings.iter().for_each(|finding| println!("  {finding}"));
        println!("  again: {}", replay(options, bug));
    }
    is_kept
}

/// The power goes at each place of a short run in turn.
fn each(options: &Options, bug: Option<&str>) -> bool {
    let whole = Options { cut: Some(Cut::Never), ..options.clone() };
    let Some(whole) = sim::run(&whole) else { return false };
    let (operations, steps) = whole.first_life;
    println!("seed {}: {operations} operations, {steps} steps", options.seed);
    // Steps are many, and most of them alike: every so many.
    let stride = steps.div_ceil(operations.max(1)).max(1);
    let cuts = (1..=operations).map(Cut::Operation);
    let cuts = cuts.chain((1..=steps).step_by(usize::try_from(stride).unwrap_or(1)).map(Cut::Step));
    for cut in cuts {
        let options = Options { cut: Some(cut), ..options.clone() };
        match sim::run(&options) {
            Some(report) if report.findings.is_empty() => {}
            _ => {
                println!("  cut at {cut:?}:");
                return one(&options, bug, false);
            }
        }
    }
    true
}

fn cut_of(arguments: &ArgMatches) -> Option<Cut> {
    let place = |name: &str| arguments.get_one::<u64>(name).copied();
    place("cut-at").map(Cut::Operation).or(place("cut-at-step").map(Cut::Step))
}

type NamedBug = (&'static str, host::bugs::Bug);

#[cfg(feature = "bugs")]
fn bug(arguments: &ArgMatches) -> Option<NamedBug> {
    let wanted = arguments.get_one::<String>("bug")?;
    host::bugs::ALL.iter().find(|(name, _)| name == wanted).copied()
}

#[cfg(not(feature = "bugs"))]
fn bug(_: &ArgMatches) -> Option<NamedBug> {
    None
}

fn line(report: &Report, took: f64) -> String {
    let verdict = if report.findings.is_empty() { "ok" } else { "BROKEN" };
    let simulated = report.simulated.as_secs_f64();
    let speed = simulated / took.max(1e-9);
    let (lives, operations, workloads) = (report.lives, report.operations, report.workloads.join("+"));
    let hash = report.hash;
    format!(
        "{verdict} {hash:016x}, {workloads}: {operations} operations in {lives} lives, {simulated:.0} s in {took:.1} s ({speed:.0}x)"
    )
}

fn replay(options: &Options, bug: Option<&str>) -> String {
    let Options { seed, minutes, scenario, cut, .. } = options;
    let mut text = format!("hyrax sim --seed {seed} --minutes {minutes} --trace");
    match cut {
        Some(Cut::Operation(at)) => text.push_str(&format!(" --cut-at {at}")),
        Some(Cut::Step(at)) => text.push_str(&format!(" --cut-at-step {at}")),
        Some(Cut::Never) | None => {}
    }
    for (name, value) in [("scenario", scenario.as_deref()), ("bug", bug)] {
        if let Some(value) = value {
            text.push_str(&format!(" --{name} {value}"));
        }
    }
    text
}
