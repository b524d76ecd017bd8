//! Calls that have no place in some sources: the outside world past `host`, panics on bytes from outside, stubs.
//! Lines of tests (`#[cfg(test)]` to the end of the file, `tests/`, `benches/`, `examples/`, conformance suites) are free.

use std::fs;
use std::path::{Path, PathBuf};

/// What only `host` may call, with what to use instead.
const OUTSIDE_WORLD: &[(&str, &str)] = &[
    ("Instant::now(", "host::Clock::monotonic"),
    ("SystemTime::now(", "host::Clock::wall"),
    ("rand::rng(", "host::Random"),
    ("thread_rng(", "host::Random"),
    ("tokio::spawn(", "host::Spawn or host::spawn::local"),
    ("thread::spawn(", "host::spawn::thread"),
    ("std::fs::", "host::Files"),
    ("Uuid::new_v4(", "host::Random"),
];

/// Sources that decode bytes from outside: no panic may be written there.
const DECODERS: &[&str] = &["crates/wire/src/decode", "crates/storage/src/wal/record", "crates/rpc/src/frame"];
const PANICS: &[&str] = &[".unwrap()", ".expect(", "panic!(", "unreachable!("];

const STUBS: &[&str] = &["todo!(", "unimplemented!("];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Lines of code of a file up to its tests, with their numbers; comments are blanked.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .map(|(i, line)| (i + 1, line.split("//").next().unwrap_or("")))
}

fn search(root: &Path, is_searched: impl Fn(&str) -> bool, words: &[(&str, &str)]) -> Vec<String> {
    let mut files = Vec::new();
    rust_files(&root.join("crates"), &mut files);
    files.sort();
    let mut findings = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        let is_test = ["/tests/", "/benches/", "/examples/", "/tests.rs", "/conformance.rs"]
            .iter()
            .any(|part| name.contains(part));
        if is_test || name.starts_with("crates/tidy/") || !is_searched(&name) {
            continue;
        }
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (number, line) in code_lines(&text) {
            for (word, instead) in words {
                // A function of that name is no call of it.
                if line.contains(word) && !line.contains(&format!("fn {word}")) {
                    findings.push(format!("{name}:{number}: {word} ({instead})"));
                }
            }
        }
    }
    findings
}

/// The operating system's clock, entropy, files and threads, reached past `host`.
pub fn outside_world(root: &Path) -> Vec<String> {
    search(root, |name| !name.starts_with("crates/host/"), OUTSIDE_WORLD)
}

/// Panics where bytes from outside are decoded.
pub fn panics_in_decoders(root: &Path) -> Vec<String> {
    let words: Vec<(&str, &str)> = PANICS.iter().map(|w| (*w, "return an error")).collect();
    search(root, |name| DECODERS.iter().any(|d| name.starts_with(d)), &words)
}

/// Stubs: either a thing works or it is refused with 0A000.
pub fn stubs(root: &Path) -> Vec<String> {
    let words: Vec<(&str, &str)> = STUBS.iter().map(|w| (*w, "refuse with 0A000")).collect();
    search(root, |_| true, &words)
}

/// Names of tests in docs/traps.md that no test has: every word in backquotes there that is made like a function's name.
pub fn tests_that_are_missing(root: &Path) -> Vec<String> {
    let page = fs::read_to_string(root.join("docs/traps.md")).unwrap_or_default();
    let mut files = Vec::new();
    rust_files(&root.join("crates"), &mut files);
    let code: String = files.iter().filter_map(|file| fs::read_to_string(file).ok()).collect();
    let is_name =
        |word: &&str| word.contains('_') && word.bytes().all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b));
    let names = page.split('`').skip(1).step_by(2).filter(is_name);
    names.filter(|name| !code.contains(&format!("fn {name}("))).map(|name| format!("docs/traps.md: {name}")).collect()
}
