//! Whether the statement that this thread works for is still wanted.
//!
//! Owns nothing but a question: the session says how it is answered ([`while_wanted`], [`wanted`]). Every loop and recursion over
//! a statement asks now and then ([`check`]), and every function whose arguments can make it slow says what it has done
//! ([`spent`]). A statement whose client has cancelled it, or whose time is up, ends there, however long its text is and
//! whatever a row of it costs. Long values are gone through with [`pieces`], [`text_pieces`] and [`each`], which ask on the way;
//! what can not fail, like the writing of a value's text, leaves off ([`cut_short`]), and who asked for it says [`whole`].

use crate::{Result, SqlError};
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::sync::Arc;

/// Answers with the error that a statement ends with, if it must end.
pub type StopCheck = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Work between two looks at the clock, in units of about a nanosecond: a byte that is read, a digit that is multiplied.
const LOOK_EVERY: usize = 1 << 20;
/// What a node of a statement's tree takes: some microseconds, with the memory that it is moved through.
const NODE_WORK: usize = LOOK_EVERY / 256;

/// Bytes of a long value that are worked at between two questions.
const PIECE: usize = 1 << 16;

thread_local! {
    static CHECK: RefCell<Option<StopCheck>> = const { RefCell::new(None) };
    /// Work since the last look.
    static SPENT: Cell<usize> = const { Cell::new(0) };
    /// What the last look said, for callers whose own errors have no room for it.
    static ERROR: RefCell<Option<SqlError>> = const { RefCell::new(None) };
    /// Why something was cut short, and whether.
    static CUT: RefCell<Option<SqlError>> = const { RefCell::new(None) };
    static IS_CUT: Cell<bool> = const { Cell::new(false) };
}

/// Takes back what was set, also when the work panics.
struct Restore {
    check: Option<StopCheck>,
    cut: Option<SqlError>,
}

impl Drop for Restore {
    fn drop(&mut self) {
        CHECK.set(self.check.take());
        set_cut(self.cut.take());
    }
}

fn set_cut(error: Option<SqlError>) -> Option<SqlError> {
    IS_CUT.set(error.is_some());
    CUT.replace(error)
}

/// Does `work` under the check. `cut` is why something of it was cut short before, and comes back with why something was now.
fn under<T>(check: &StopCheck, cut: &mut Option<SqlError>, work: impl FnOnce() -> T) -> T {
    let _restore = Restore { check: CHECK.replace(Some(check.clone())), cut: set_cut(cut.take()) };
    ERROR.set(None);
    let done = work();
    *cut = set_cut(None);
    done
}

/// Does `work`, which ends early with the check's error if there is one. What was cut short is never taken for done.
pub fn while_wanted<T, E: From<SqlError>>(check: &StopCheck, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let mut cut = None;
    let done = under(check, &mut cut, work);
    match cut {
        Some(error) => done.and(Err(error.into())),
        None => done,
    }
}

/// The same for work that waits: wherever it is polled.
pub async fn wanted<T>(check: &StopCheck, work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut work = pin!(work);
    let mut cut = None;
    let done = std::future::poll_fn(|context| under(check, &mut cut, || work.as_mut().poll(context))).await;
    match cut {
        Some(error) => done.and(Err(error)),
        None => done,
    }
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

/// For work that can not fail: whether it is to leave off where it is, after this much more. What it has made is then not to be
/// used: [`whole`] has the error.
#[inline]
pub fn cut_short(work: usize) -> bool {
    // What goes on for a while all the same asks nothing any more.
    if IS_CUT.get() {
        return true;
    }
    let Err(error) = spent(work) else { return false };
    set_cut(Some(error));
    // The next one asks at once, and leaves off too.
    SPENT.set(LOOK_EVERY);
    true
}

/// The error of a statement that has cut something short: asked before what it has made is used outside of it.
#[inline]
pub fn whole() -> Result<()> {
    if !IS_CUT.get() {
        return Ok(());
    }
    CUT.with_borrow(Clone::clone).map_or(Ok(()), Err)
}

/// The bytes of a long value piece by piece; each byte takes `work`.
pub fn pieces(bytes: &[u8], work: usize) -> impl Iterator<Item = Result<&[u8]>> {
    bytes.chunks(PIECE).map(move |piece| spent(piece.len().saturating_mul(work)).map(|()| piece))
}

/// The same of a text: no character is cut in two.
pub fn text_pieces(text: &str, work: usize) -> impl Iterator<Item = Result<&str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, behind) = cut_text(rest)?;
        rest = behind;
        Some(spent(piece.len().saturating_mul(work)).map(|()| piece))
    })
}

/// The first piece of a text and what is behind it; None of nothing.
pub fn cut_text(text: &str) -> Option<(&str, &str)> {
    let end = (0..=text.len().min(PIECE)).rev().find(|end| text.is_char_boundary(*end)).filter(|end| *end > 0)?;
    Some(text.split_at(end))
}

/// Items, each of which takes `work`.
pub fn each<I: Iterator>(items: I, work: usize) -> impl Iterator<Item = Result<I::Item>> {
    items.map(move |item| spent(work).map(|()| item))
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
            Ok::<(), SqlError>(())
        })
        .expect("nothing was cut short");
        assert!(spent(usize::MAX).is_ok(), "the check is gone with its work");
    }

    #[test]
    fn pieces_are_the_whole_and_cut_no_character() {
        let text = "aé€😀".repeat(PIECE / 2);
        let pieces: Vec<&str> = text_pieces(&text, 1).collect::<Result<_>>().expect("wanted");
        assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(pieces.concat(), text);
        assert!(text_pieces("", 1).next().is_none());
    }

    #[test]
    fn what_was_cut_short_is_not_whole() {
        let check: StopCheck =
            Arc::new(|| Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")));
        let done = while_wanted(&check, || {
            SPENT.set(0);
            assert!(!cut_short(1) && whole().is_ok());
            let within = while_wanted(&check, || Ok::<bool, SqlError>(cut_short(LOOK_EVERY)));
            assert!(within.is_err() && whole().is_ok(), "what is inside answers for itself");
            assert!(cut_short(LOOK_EVERY) && cut_short(1), "what comes behind leaves off at once");
            assert!(whole().is_err() && whole().is_err(), "as long as the statement runs");
            Ok::<(), SqlError>(())
        });
        assert_eq!(done.expect_err("cut").code(), SqlState::QUERY_CANCELED);
        assert!(whole().is_ok(), "another statement");
    }

    #[test]
    fn what_was_cut_short_before_a_wait_is_not_whole() {
        let check: StopCheck =
            Arc::new(|| Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")));
        let mut polls = 0;
        let work = std::future::poll_fn(|_| {
            polls += 1;
            match polls {
                1 if cut_short(LOOK_EVERY) => std::task::Poll::Pending,
                2 => std::task::Poll::Ready(whole().map_err(|_| SqlError::internal("as it should be"))),
                _ => std::task::Poll::Ready(Ok(())),
            }
        });
        let mut work = pin!(wanted(&check, work));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(work.as_mut().poll(&mut context).is_pending());
        assert!(whole().is_ok(), "nobody else's");
        let std::task::Poll::Ready(Err(error)) = work.as_mut().poll(&mut context) else { panic!("taken for whole") };
        assert_eq!(error.message(), "as it should be");
    }
}
