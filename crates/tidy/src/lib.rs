//! Checks of the workspace's shape that no compiler makes (architecture §2): arrows between crates point down, some
//! packages have one importer, and the outside world is reached through `host` only.
//!
//! Owns the table of levels; `tests/tidy.rs` runs the checks over the tree. A check returns one line per finding, so
//! that a failing test prints what to mend.

pub mod arrows;
pub mod sources;

use std::path::{Path, PathBuf};

/// The workspace's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
