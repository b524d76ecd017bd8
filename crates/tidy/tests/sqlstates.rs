//! `docs/sqlstates.md` names every code that a client can be sent, and none that there is not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The constants of `types::SqlState`, by name.
fn constants(root: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root.join("crates/types/src/sqlstate.rs")).expect("the codes");
    let pair = |line: &str| {
        let (name, code) = line.trim().strip_suffix("\";")?.split_once(" = b\"")?;
        Some((name.to_owned(), code.to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

/// Names that follow `SqlState::` in the sources, tests left out.
fn used(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
        let path = entry.path();
        let is_test = path.file_stem().is_some_and(|name| name.to_string_lossy().contains("tests"));
        if path.is_dir() && !is_test {
            used(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let name = |rest: &str| {
                rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
            };
            names.extend(code.split("SqlState::").skip(1).map(name));
        }
    }
}

/// Whether it has the form of a code: five capitals and digits, a digit among them.
fn is_code(word: &str) -> bool {
    word.len() == 5
        && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
        && word.chars().any(|c| c.is_ascii_digit())
}

#[test]
fn the_page_names_every_code_that_is_sent() {
    let root = tidy::root();
    let page = std::fs::read_to_string(root.join("docs/sqlstates.md")).expect("the page");
    let named: BTreeSet<&str> = page.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_code(word)).collect();
    let constants = constants(&root);
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("crates")).expect("crates").filter_map(Result::ok) {
        used(&entry.path().join("src"), &mut names);
    }
    let sent: BTreeSet<&str> = names.iter().filter_map(|name| constants.get(name)).map(String::as_str).collect();
    assert!(sent.len() > 100, "the sources are read: {}", sent.len());
    let missing: Vec<&&str> = sent.difference(&named).collect();
    assert!(missing.is_empty(), "not in docs/sqlstates.md: {missing:?}");
    // One code is made where it is used.
    let known: BTreeSet<&str> = constants.values().map(String::as_str).chain(["2200H"]).collect();
    let unknown: Vec<&&str> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "no such code: {unknown:?}");
}
