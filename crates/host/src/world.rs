//! The seam to a simulated world. A thread that has entered one takes its time, tasks and chance from there; every other
//! thread from the operating system.
//!
//! The world itself (crate `sim`) is above: here is only what the handles ask of it. What sleeps, spawns or throws dice
//! through `clock`, `spawn` and `random` therefore runs in both without knowing.

use crate::spawn::Task;
use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

/// What a simulated world gives to the code that runs in it, all on one thread.
pub trait World {
    /// Virtual time since an arbitrary start, never going back.
    fn now(&self) -> Duration;
    /// Runs a task; it is polled when the world chooses.
    fn spawn(&self, name: &'static str, task: Task);
    /// Wakes the waker at `at`. The answer names the alarm for `cancel`.
    fn wake_at(&self, at: Duration, waker: Waker) -> u64;
    /// An alarm is not needed any more. One that has rung is none.
    fn cancel(&self, alarm: u64);
    /// The next of the seed's numbers.
    fn random(&self) -> u64;
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn World>>> = const { RefCell::new(None) };
}

/// Leaves the world when it is dropped.
pub struct Entered(());

/// From now on this thread lives in `world`.
pub fn enter(world: Rc<dyn World>) -> Entered {
    CURRENT.set(Some(world));
    Entered(())
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// The world this thread lives in; None is the real one.
#[inline]
pub fn current() -> Option<Rc<dyn World>> {
    CURRENT.with_borrow(Option::clone)
}
