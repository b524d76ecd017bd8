//! `hyrax sim`: runs seeds of the simulator and says what came of each.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use host::{Clock, RealClock};
use sim::{Cut, Options, Report, SCENARIOS};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

const LONG_ABOUT: &str = "\
Runs whole nodes, with their disk and clocks simulated, each in one thread: clients work, the power goes, disks fail and fill,
clocks jump, and after every start and at the end all that was answered must be there. A seed is a history: the same
seed gives the same trace hash, everywhere. Exits with 1 where a promise was broken, and prints the command that shows it
again.";

/// A promise was broken.
const BROKEN: u8 = 1;
/// Seeds that run at the same time, at most.
const JOBS_MAX: u64 = 256;
/// Of a thread that waits for one run after the other: each has a thread and a stack of its own.
const JOB_STACK: usize = 256 << 10;

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
            number("jobs", "N", "1", "Seeds that run at the same time, each on a thread of its own")
                .value_parser(value_parser!(u64).range(1..=JOBS_MAX)),
        )
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
    let (first, count) = (number("seed"), number("seeds"));
    let bug = bug(arguments);
    let plan = Arc::new(Plan {
        options: Options {
            seed: first,
            minutes: arguments.get_one::<f64>("minutes").copied().unwrap_or(5.0),
            scenario: arguments.get_one::<String>("scenario").cloned(),
            cut: cut_of(arguments),
            bug: bug.map(|(_, bug)| bug),
            is_printed: arguments.get_flag("trace"),
        },
        bug: bug.map(|(name, _)| name),
        is_each: arguments.get_flag("each"),
        is_twice: arguments.get_flag("twice"),
        next: AtomicU64::new(first),
        end: first.saturating_add(count),
        is_over: AtomicBool::new(false),
    });
    let (tell, told) = mpsc::channel();
    for _ in 0..number("jobs").min(count) {
        let (plan, tell) = (plan.clone(), tell.clone());
        let job = host::spawn::thread("simulations", JOB_STACK, move || plan.work(&tell));
        if let Err(error) = job {
            eprintln!("hyrax: a thread can not be had: {error}");
            return ExitCode::from(BROKEN);
        }
    }
    drop(tell);
    // What each seed says, in the order in which they end.
    let mut code = ExitCode::SUCCESS;
    for verdict in told {
        print!("{}", verdict.text);
        if !verdict.is_kept {
            code = ExitCode::from(BROKEN);
        }
    }
    code
}

/// What is to be run. Threads take one seed after the other from it, until one has broken a promise.
struct Plan {
    options: Options,
    bug: Option<&'static str>,
    is_each: bool,
    is_twice: bool,
    next: AtomicU64,
    end: u64,
    is_over: AtomicBool,
}

/// What came of a seed.
struct Verdict {
    text: String,
    is_kept: bool,
}

impl Plan {
    fn work(&self, tell: &mpsc::Sender<Verdict>) {
        while !self.is_over.load(Ordering::Acquire) {
            let seed = self.next.fetch_add(1, Ordering::AcqRel);
            if seed >= self.end {
                return;
            }
            let options = Options { seed, ..self.options.clone() };
            let verdict = match self.is_each {
                true => each(&options, self.bug),
                false => one(&options, self.bug, self.is_twice),
            };
            if !verdict.is_kept {
                self.is_over.store(true, Ordering::Release);
            }
            if tell.send(verdict).is_err() {
                return;
            }
        }
    }
}

/// One run, or two of the same seed.
fn one(options: &Options, bug: Option<&str>, is_twice: bool) -> Verdict {
    let clock = RealClock::new();
    let Some(report) = sim::run(options) else {
        let text = format!("seed {}: the simulation itself has ended in a panic\n", options.seed);
        return Verdict { text, is_kept: false };
    };
    let took = clock.monotonic().as_secs_f64();
    let mut text = format!("seed {}: {}\n", options.seed, line(&report, took));
    let is_same = !is_twice || sim::run(options).is_some_and(|again| again.hash == report.hash);
    if !is_same {
        text.push_str("  a second run of the same seed went another way\n");
    }
    let is_kept = is_same && report.findings.is_empty();
    if !is_kept {
        report.findings.iter().for_each(|finding| text.push_str(&format!("  {finding}\n")));
        text.push_str(&format!("  again: {}\n", replay(options, bug)));
    }
    Verdict { text, is_kept }
}

/// The power goes at each place of a short run in turn.
fn each(options: &Options, bug: Option<&str>) -> Verdict {
    let whole = Options { cut: Some(Cut::Never), ..options.clone() };
    let Some(whole) = sim::run(&whole) else { return one(options, bug, false) };
    let (operations, steps) = whole.first_life;
    let text = format!("seed {}: {operations} operations, {steps} steps\n", options.seed);
    // Steps are many, and most of them alike: every so many.
    let stride = steps.div_ceil(operations.max(1)).max(1);
    let cuts = (1..=operations).map(Cut::Operation);
    let cuts = cuts.chain((1..=steps).step_by(usize::try_from(stride).unwrap_or(1)).map(Cut::Step));
    for cut in cuts {
        let options = Options { cut: Some(cut), ..options.clone() };
        match sim::run(&options) {
            Some(report) if report.findings.is_empty() => {}
            _ => {
                let broken = one(&options, bug, false);
                return Verdict { text: format!("{text}  cut at {cut:?}:\n{}", broken.text), ..broken };
            }
        }
    }
    Verdict { text, is_kept: true }
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
