//! Level 7. A node: its settings, its data folder, the order in which its parts start and stop, its HTTP port.
//!
//! Owns what is the process's: threads, supervised tasks, logs, metrics, the phases from starting to stopped, and the
//! adapter from `session` to `wire` (`backend`). Knows no SQL.
//!
//! ```text
//! Config --check--> DataFolder --lock--> log, shards (txn::Gateway) --> Catalog --> Engine --> listener: ready
//! stop: no new sessions -> transactions under way end -> the rest is ended (57P01) -> flush -> threads -> lock
//! ```
//!
//! Where to start: `node` (the life of a node), `config` (settings), `folder` (what is on disk).

mod backend;
pub mod config;
mod engine;
mod folder;
mod http;
pub mod logging;
mod node;
mod parameters;
mod tasks;
mod threads;
mod verify;

pub use config::{Config, ConfigError};
pub use engine::Engine;
pub use folder::FolderError;
pub use node::{Exit, Server, StartError};
pub use verify::verify;
pub use wire::POSTGRES_VERSION;
