//! Whether the statement that this thread works for is still wanted.
//!
//! Owns nothing but a question: the session says how it is answered ([`while_wanted`], [`wanted`]). Every loop and recursion over
//! a statement asks now and then ([`check`]), and every function whose arguments can make it slow says what it has done
//! ([`spent`]). A statement whose client has cancelled it, or whose time is up, ends there, however long its text is and
//! whatever a row of it costs.

use crate::{Result, SqlError};
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// Answers with the error that a statement ends with, if it must end.
pub type StopCheck = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Work between two looks at the clock, in units of about a nanosecond: a byte that is read, a digit that is multiplied.
const LOOK_EVERY: usize = 1 << 20;
/// What a node of a statement's tree takes: some microseconds, with the memory that it is moved through.
const NODE_WORK: usize = LOOK_EVERY / 256;

thread_local! {
    static CHECK: RefCell<Option<StopCheck>> = const { RefCell::new(None) };
    /// Work since the last look.
    static SPENT: Cell<usize> = const { Cell::new(0) };
    /// What the last look said, for callers whose own errors have no room for it.
    static ERROR: RefCell<Option<SqlError>> = const { RefCell::new(None) };
}

/// Takes back what was set, also when the work panics.
struct Restore(Option<StopCheck>);

impl Drop for Restore {
    fn drop(&mut self) {
        CHECK.set(self.0.take());
    }
}

/// Does `work`, which ends early with the check's error if there is one.
pub fn while_wanted<T>(check: &StopCheck, work: impl FnOnce() -> T) -> T {
    let _restore = Restore(CHECK.replace(Some(check.clone())));
    ERROR.set(None);
    work()
}

/// The same for work that waits: wherever it is polled.
pub async fn wanted<T>(check: &StopCheck, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(|context| -> Poll<T> { while_wanted(check, || work.as_mut().poll(context)) }).await
}

/// The error that the statement ends with, if it must. Asked for each node of its tree.
pub fn check() -> Result<()> {
    spent(NODE_WORK)
}

/// The same after this much work: bytes, or what takes about as long as a byte.
#[inline]
pub fn spent(work: usize) -> Result<()> {
    let spent = SPENT.get().saturating_add(work);
    if spent < LOOK_EVERY {
        SPENT.set(spent);
        return Ok(());
    }
    look()
}

/// The same, at once.
#[cold]
pub fn look() -> Result<()> {
    SPENT.set(0);
    let check = CHECK.with_borrow(Clone::clone);
    match check {
        Some(check) => check(),
        None => Ok(()),
    }
}

/// The same, as a flag; `take_error` has the error.
pub fn must_stop() -> bool {
    let error = check().err();
    let stops = error.is_some();
    if stops {
        ERROR.set(error);
    }
    stops
}

/// What `must_stop` has met.
pub fn take_error() -> Option<SqlError> {
    ERROR.take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqlState;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn much_work_looks_often_and_little_seldom() {
        let looks = Arc::new(AtomicU32::new(0));
        let counted = looks.clone();
        let check: StopCheck = Arc::new(move || match counted.fetch_add(1, Ordering::Relaxed) {
            0..10 => Ok(()),
            _ => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")),
        });
        while_wanted(&check, || {
            look().expect("wanted");
            (0..LOOK_EVERY / 2).for_each(|_| spent(1).expect("wanted"));
            assert_eq!(looks.load(Ordering::Relaxed), 1);
            (1..10).for_each(|_| spent(LOOK_EVERY).expect("wanted"));
            assert!(must_stop() || spent(LOOK_EVERY).is_err());
        });
        assert!(spent(usize::MAX).is_ok(), "the check is gone with its work");
    }
}
