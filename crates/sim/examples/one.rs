//! Runs seeds and prints what came of them: `cargo run -p sim --example one -- SEED [SEEDS] [MINUTES] [SCENARIO] [print]`.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, other: f64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(other);
    let (first, count) = (number(0, 1.0) as u64, number(1, 1.0) as u64);
    for seed in first..first + count {
        let options = sim::Options {
            seed,
            minutes: number(2, 0.2),
            scenario: arguments.get(3).filter(|name| *name != "-").cloned(),
            bug: bug(),
            cut: None,
            is_printed: arguments.get(4).is_some(),
        };
        let began = std::time::Instant::now();
        println!("{seed}: {:?} in {:?}", sim::run(&options), began.elapsed());
    }
}

fn bug() -> Option<host::bugs::Bug> {
    let wanted = std::env::var("BUG").ok()?;
    host::bugs::ALL.iter().find(|(name, _)| *name == wanted).map(|(_, bug)| *bug)
}
