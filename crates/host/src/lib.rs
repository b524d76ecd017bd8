//! Level 0. The world outside the process, as handles: clock, randomness, files, tasks; and the process's own limits.
//!
//! Owns every call to the operating system's clock, entropy, file system and thread or task creation; nothing above
//! calls them directly (a `tidy` test enforces it), so a node runs unchanged when the handles are simulated (`world`).
//! Sockets of clients are `wire`'s (tokio), sockets between nodes `rpc`'s; both stay outside the simulator.

pub mod bugs;
pub mod clock;
pub mod files;
pub mod process;
pub mod random;
pub mod spawn;
pub mod world;

pub use clock::{Clock, Micros, RealClock};
pub use files::{File, Files, RealFiles};
pub use random::{Random, RealRandom};
pub use spawn::{Spawn, TokioSpawn};

use std::sync::Arc;

/// The handles of one node. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub files: Arc<dyn Files>,
}

impl Host {
    /// The operating system's own.
    pub fn real() -> Host {
        Host { clock: Arc::new(RealClock::new()), random: Arc::new(RealRandom), files: Arc::new(RealFiles) }
    }
}
