//! Whether a session has its thread to itself, so that its commit may write the log right there (`Consensus::drive`).
//!
//! A session that syncs on its own thread saves two hops between threads, and stops every other session of that thread
//! meanwhile: with eight writers it halves what they do. So it takes a row of statements of one session with none of
//! another's in between on this thread; a session that sits idle in a pool disturbs nothing.

use crate::SessionId;
use std::cell::Cell;

/// Beginnings of one session in a row: a statement that is its own transaction is two.
const LONE_AFTER: u32 = 32;

thread_local! {
    static LAST: Cell<(SessionId, u32)> = const { Cell::new((SessionId(0), 0)) };
}

/// A statement or a transaction of the session begins on this thread.
pub fn note(session: SessionId) {
    let (last, count) = LAST.get();
    LAST.set((session, if last == session { count.saturating_add(1) } else { 0 }));
}

/// In a simulated world all sessions share one thread, and a run must not depend on the run before it.
pub fn is_lone(session: SessionId) -> bool {
    let (last, count) = LAST.get();
    session != SessionId::default() && last == session && count >= LONE_AFTER && host::world::current().is_none()
}

#[test]
fn a_session_is_lone_after_many_statements_and_until_another_comes() {
    let (mine, other) = (SessionId(1), SessionId(2));
    (0..LONE_AFTER).for_each(|_| note(mine));
    assert!(!is_lone(mine));
    note(mine);
    assert!(is_lone(mine) && !is_lone(other));
    note(other);
    note(mine);
    assert!(!is_lone(mine));
}
