//! Counters of the gateway, with handles so that a hot path does not look names up.

use crate::{ConflictKind, TxnError};
use metrics::Counter;

pub struct Metrics {
    pub commits: Counter,
    pub lock_waits: Counter,
    pub refreshes: Counter,
    pub refreshes_failed: Counter,
    pub locked_ahead: Counter,
    pub escalations: Counter,
    pub recoveries: Counter,
    /// Commits that waited because more was committed than flushed.
    pub slowed: Counter,
}

impl Metrics {
    pub fn new() -> Metrics {
        Metrics {
            commits: metrics::counter!("hyrax_txn_commits_total"),
            lock_waits: metrics::counter!("hyrax_txn_lock_waits_total"),
            refreshes: metrics::counter!("hyrax_txn_refreshes_total"),
            refreshes_failed: metrics::counter!("hyrax_txn_refreshes_failed_total"),
            locked_ahead: metrics::counter!("hyrax_txn_locked_ahead_total"),
            escalations: metrics::counter!("hyrax_txn_lock_escalations_total"),
            recoveries: metrics::counter!("hyrax_txn_recoveries_total"),
            slowed: metrics::counter!("hyrax_txn_slowed_total"),
        }
    }

    pub fn abort(&self, error: &TxnError) {
        let reason = match error {
            TxnError::Conflict(conflict) => match conflict.kind {
                ConflictKind::Update | ConflictKind::Delete => "row changed",
                ConflictKind::Read => "read changed",
                ConflictKind::Prepare => "younger prepare",
            },
            TxnError::SchemaChanged { .. } => "schema changed",
            TxnError::UnknownOutcome => "unknown outcome",
            TxnError::DiskFull(_) | TxnError::MapFull => "disk full",
            TxnError::Cancelled | TxnError::Deadline | TxnError::Terminated => "cancelled",
            _ => "other",
        };
        metrics::counter!("hyrax_txn_aborts_total", "reason" => reason).increment(1);
    }
}
