//! Randomness: unpredictable in life, seeded in the simulator.

use crate::world;
use rand::RngCore;

pub trait Random: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);

    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// The thread's cryptographically secure generator.
pub struct RealRandom;

impl Random for RealRandom {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// A number for timings and the like, of this thread's world. For those who have no handle (`consensus`' runtime).
pub fn any() -> u64 {
    match world::current() {
        None => rand::rng().next_u64(),
        Some(world) => world.random(),
    }
}
