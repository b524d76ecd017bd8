//! Arrows between crates, and packages with one importer, read from the manifests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Crate and level, as docs/architecture.md has them.
const LEVELS: &[(&str, u8)] = &[
    ("hyrax", 8),
    ("sim", 8),
    ("server", 7),
    ("wire", 6),
    ("session", 5),
    ("sql", 4),
    ("exec", 4),
    ("ddl", 4),
    ("catalog", 3),
    ("txn", 3),
    ("shard", 2),
    ("placement", 2),
    ("consensus", 1),
    ("storage", 1),
    ("rpc", 1),
    ("types", 0),
    ("host", 0),
];

/// The arrows inside a level; there are no others.
const SAME_LEVEL: &[(&str, &str)] = &[
    ("exec", "sql"),
    ("exec", "ddl"),
    ("ddl", "sql"),
    ("catalog", "txn"),
    ("consensus", "storage"),
    ("consensus", "rpc"),
    ("hyrax", "sim"),
];

/// Packages that only these crates may depend on.
const IMPORTERS: &[(&str, &[&str])] = &[
    ("clap", &["hyrax"]),
    ("axum", &["server"]),
    ("toml", &["server", "tidy"]),
    ("pgwire", &["wire"]),
    ("tokio-rustls", &["wire", "rpc"]),
    ("sqlparser", &["sql"]),
    ("openraft", &["consensus"]),
    ("heed", &["storage"]),
];

/// Dependencies (not dev-dependencies) of each crate.
fn manifests(root: &Path) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(root.join("crates")) else { return found };
    for entry in entries.flatten() {
        let Ok(text) = fs::read_to_string(entry.path().join("Cargo.toml")) else { continue };
        let Ok(manifest) = text.parse::<toml::Table>() else { continue };
        let dependencies = manifest
            .get("dependencies")
            .and_then(|d| d.as_table())
            .map(|d| d.keys().cloned().collect())
            .unwrap_or_default();
        found.insert(entry.file_name().to_string_lossy().into_owned(), dependencies);
    }
    found
}

fn level(name: &str) -> Option<u8> {
    LEVELS.iter().find(|(n, _)| *n == name).map(|(_, level)| *level)
}

fn is_allowed(from: &str, to: &str) -> bool {
    match (level(from), level(to)) {
        (Some(a), Some(b)) => a > b || SAME_LEVEL.contains(&(from, to)),
        _ => false,
    }
}

/// Crates without a level, and arrows that do not point down.
pub fn wrong_arrows(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    let manifests = manifests(root);
    for (name, dependencies) in &manifests {
        if name == "tidy" {
            continue;
        }
        if level(name).is_none() {
            findings.push(format!("crate {name} has no level in tidy's table"));
        }
        for dependency in dependencies.iter().filter(|d| manifests.contains_key(*d)) {
            if !is_allowed(name, dependency) {
                findings.push(format!("{name} -> {dependency}: this arrow does not point down"));
            }
        }
    }
    findings
}

/// Packages imported by a crate that is not their keeper.
pub fn second_importers(root: &Path) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, dependencies) in manifests(root) {
        for (package, keepers) in IMPORTERS {
            if dependencies.iter().any(|d| d == package) && !keepers.contains(&name.as_str()) {
                findings.push(format!("{name} depends on {package}, which belongs to {}", keepers.join(" and ")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upward_arrow_and_a_sideways_one_are_refused() {
        assert!(is_allowed("exec", "types"));
        assert!(is_allowed("exec", "sql"));
        assert!(!is_allowed("sql", "exec"));
        assert!(!is_allowed("types", "storage"));
        assert!(!is_allowed("types", "host"));
    }
}
