//! The switch by which a statement is told to stop, from another thread, while it waits or computes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::Notify;

/// Why a statement must stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum CancelReason {
    /// A cancel request, `pg_cancel_backend` (57014).
    User = 1,
    /// `statement_timeout` (57014).
    StatementTimeout = 2,
    /// `pg_terminate_backend`, drain (57P01).
    Terminate = 3,
}

#[derive(Default)]
struct State {
    reason: AtomicU8,
    changed: Notify,
}

/// One per session. Cheap to clone and to check; waits of `txn` end as soon as it is raised.
#[derive(Clone, Default)]
pub struct CancelFlag(Arc<State>);

impl CancelFlag {
    pub fn new() -> CancelFlag {
        CancelFlag::default()
    }

    /// Raises the flag. `Terminate` is never replaced by a weaker reason.
    pub fn raise(&self, reason: CancelReason) {
        self.0.reason.fetch_max(reason as u8, Ordering::AcqRel);
        self.0.changed.notify_waiters();
    }

    /// Before the next statement; `Terminate` stays.
    pub fn clear(&self) {
        let _ = self.0.reason.fetch_update(Ordering::AcqRel, Ordering::Acquire, |reason| {
            (reason != CancelReason::Terminate as u8).then_some(0)
        });
    }

    pub fn raised(&self) -> Option<CancelReason> {
        match self.0.reason.load(Ordering::Acquire) {
            0 => None,
            1 => Some(CancelReason::User),
            2 => Some(CancelReason::StatementTimeout),
            _ => Some(CancelReason::Terminate),
        }
    }

    /// `Err` if the flag is raised: for loops that compute.
    pub fn check(&self) -> crate::Result<()> {
        match self.raised() {
            None => Ok(()),
            Some(CancelReason::User) => Err(crate::TxnError::Cancelled),
            Some(CancelReason::StatementTimeout) => Err(crate::TxnError::Deadline),
            Some(CancelReason::Terminate) => Err(crate::TxnError::Terminated),
        }
    }

    /// Ready when the flag is raised.
    pub async fn wait(&self) -> CancelReason {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, or a raise in between would be missed.
            changed.as_mut().enable();
            if let Some(reason) = self.raised() {
                return reason;
            }
            changed.await;
        }
    }
}
