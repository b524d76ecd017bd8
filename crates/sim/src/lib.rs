//! Level 8. The simulator: a whole node, with its disk and its clocks simulated, in one thread, from one seed.
//!
//! ```text
//! seed -> machine (disk, clock, power) -> node (session, sql, exec, txn, shard, consensus, log) <- clients (workloads)
//!              ^                              |                                                      |
//!              +--- crash, faults, restart ---+                       what they were told --> checks-+
//! ```
//!
//! Owns virtual time, the order of tasks, faults, histories and their checks. The node is the real code over other `host`
//! handles (`machine`). One seed is one history: the same trace hash, whenever and wherever it runs.
//!
//! Where to start: `runner` (a run, life by life), `machine` (what a node stands on), `workloads` (what clients do and what
//! must hold), `world` (time and tasks), `disk` (what a power cut keeps). `docs/simulator.md` explains the whole.

mod client;
mod dice;
mod disk;
mod machine;
mod power;
mod runner;
#[cfg(test)]
mod scenes;
mod trace;
mod workloads;
mod world;

pub use runner::{Cut, Options, Report, run};
pub use workloads::NAMES as SCENARIOS;
