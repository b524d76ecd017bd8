//! Level 8. Whether the node is up: the one switch that disk, segments and clients ask.
//!
//! A crash does not unwind anything. From its moment on every operation fails without an effect and no answer counts, so
//! what the code still does before it is dropped can not be told from nothing.

use crate::trace::Trace;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

#[derive(Clone)]
pub struct Power(Arc<Mutex<State>>, Trace);

#[derive(Default)]
struct State {
    is_down: bool,
    /// Operations of disk and segments since the beginning.
    operations: u64,
    /// The operation at which the power goes.
    crash_at: Option<u64>,
}

impl Power {
    pub fn new(trace: Trace) -> Power {
        Power(Arc::default(), trace)
    }

    /// Counts an operation; an error if there is no power for it. The one at which the power goes is done in part:
    /// `true` says so.
    pub fn operation(&self) -> io::Result<bool> {
        let mut state = self.0.lock();
        if state.is_down {
            return Err(io::Error::other("no power"));
        }
        state.operations += 1;
        if state.crash_at.is_some_and(|at| state.operations >= at) {
            state.crash_at = None;
            let reason = format!("power cut at operation {}", state.operations);
            drop(state);
            self.cut(&reason);
            return Ok(true);
        }
        Ok(false)
    }

    pub fn cut(&self, reason: &str) {
        let mut state = self.0.lock();
        if !state.is_down {
            state.is_down = true;
            let text = format!("-- {reason}");
            drop(state);
            self.1.tell(|| text);
        }
    }

    pub fn is_down(&self) -> bool {
        self.0.lock().is_down
    }

    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// Up again; it goes at the `crash_after`th operation from now.
    pub fn restore(&self, crash_after: Option<u64>) {
        let mut state = self.0.lock();
        state.is_down = false;
        state.crash_at = crash_after.map(|after| state.operations + after.max(1));
    }
}
