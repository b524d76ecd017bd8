//! Level 8. The trace: a hash of everything that could differ between two runs of one seed, and, where it is asked for, its
//! text. Disk operations with contents and results, which task ran, what clients were told, and when.

use crate::dice::mix;
use parking_lot::Mutex;
use std::sync::Arc;

#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    hash: u64,
    events: u64,
    is_printed: bool,
}

impl Trace {
    pub fn new(is_printed: bool) -> Trace {
        Trace(Arc::new(Mutex::new(State { is_printed, ..State::default() })))
    }

    /// Takes note of numbers. For what happens often.
    pub fn note(&self, numbers: &[u64]) {
        let mut state = self.0.lock();
        state.events += 1;
        state.hash = numbers.iter().fold(state.hash, |hash, number| mix(hash ^ number).wrapping_add(1));
    }

    /// Takes note of something worth reading.
    pub fn tell(&self, text: impl FnOnce() -> String) {
        let text = text();
        self.note(&[digest(text.as_bytes())]);
        if self.0.lock().is_printed {
            println!("{text}");
        }
    }

    pub fn hash(&self) -> u64 {
        self.0.lock().hash
    }

    pub fn events(&self) -> u64 {
        self.0.lock().events
    }
}

/// Of bytes, the same on every machine.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = mix(hash ^ u64::from_le_bytes(word)).wrapping_add(1);
    }
    chunks.remainder().iter().fold(hash, |hash, byte| mix(hash ^ u64::from(*byte)).wrapping_add(1))
}
