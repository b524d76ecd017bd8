//! Whether the statement that this thread parses, binds or plans is still wanted.
//!
//! Owns nothing but a question: the session says how it is answered ([`while_wanted`]), and every loop and recursion over a
//! statement asks now and then ([`check`]). A statement whose client has cancelled it, or whose time is up, ends there, however
//! long its text is.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use types::{Result, SqlError};

/// Answers with the error that a statement ends with, if it must end.
pub type StopCheck = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Questions between two looks at the clock: a node of a statement's tree takes about a microsecond.
const LOOK_EVERY: u32 = 256;

thread_local! {
    static CHECK: RefCell<Option<StopCheck>> = const { RefCell::new(None) };
    static ASKED: Cell<u32> = const { Cell::new(0) };
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

/// The error that the statement ends with, if it must.
pub(crate) fn check() -> Result<()> {
    let asked = ASKED.get().wrapping_add(1);
    ASKED.set(asked);
    if !asked.is_multiple_of(LOOK_EVERY) {
        return Ok(());
    }
    let check = CHECK.with_borrow(Clone::clone);
    match check {
        Some(check) => check(),
        None => Ok(()),
    }
}

/// The same, as a flag; `take_error` has the error.
pub(crate) fn must_stop() -> bool {
    let error = check().err();
    let stops = error.is_some();
    if stops {
        ERROR.set(error);
    }
    stops
}

/// What `must_stop` has met.
pub(crate) fn take_error() -> Option<SqlError> {
    ERROR.take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;
    use std::sync::atomic::{AtomicU32, Ordering};
    use types::SqlState;

    /// A check that allows `most` looks.
    fn patient(most: u32) -> StopCheck {
        let looks = AtomicU32::new(0);
        Arc::new(move || match looks.fetch_add(1, Ordering::Relaxed) < most {
            true => Ok(()),
            false => Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")),
        })
    }

    #[test]
    fn parsing_a_long_text_ends_when_nobody_wants_it() {
        let text = format!("values {}", vec!["(1)"; 5_000].join(","));
        let parsed = while_wanted(&patient(u32::MAX), || parse(&text, true));
        assert_eq!(parsed.map(|all| all.len()).ok(), Some(1));
        let stopped = while_wanted(&patient(3), || parse(&text, true)).unwrap_err();
        assert_eq!(stopped.code(), SqlState::QUERY_CANCELED);
        assert!(parse(&text, true).is_ok(), "the check is gone with its work");
    }
}
