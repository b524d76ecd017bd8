//! Bugs on switches: faults that others shipped (`docs/simulator.md`), to be found by the simulator, or it is not good
//! enough. They exist in builds with the feature `bugs` alone; elsewhere `is_on` is a constant and costs nothing.

/// A rule that a test build can be told to break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// The log answers before its sync.
    AckBeforeSync,
    /// Validation does not look at commits in flight.
    InFlightIgnored,
    /// A read that found nothing leaves no span.
    AbsentSpansDropped,
    /// A commit is answered before the oracle has passed its timestamp.
    CoverSkipped,
    /// A log record is taken whatever its checksum says.
    ChecksumIgnored,
    /// What is left of a torn write stays behind the log's new end.
    RemainsKept,
    /// A failed sync is taken for a good one.
    SyncFailureIgnored,
    /// Names of new log files are not made durable.
    FolderNotSynced,
    /// The flushed state leaves out prepared transactions.
    ImageWithoutPrepared,
    /// The log is dropped up to what is applied, not what is flushed.
    PurgedBeforeFlush,
    /// Damage below what was synced is cut off as a torn tail.
    DamageCutOff,
    /// What was read under a lock is told before it is durable.
    DependencyIgnored,
    /// A snapshot read does not wait for commits in flight below it.
    FlightSkipped,
    /// A failed commit's writes are sent again without its reads.
    CommitRetriedBlindly,
}

/// All, with the names of the command line.
pub const ALL: &[(&str, Bug)] = &[
    ("ack_before_sync", Bug::AckBeforeSync),
    ("in_flight_ignored", Bug::InFlightIgnored),
    ("absent_spans_dropped", Bug::AbsentSpansDropped),
    ("cover_skipped", Bug::CoverSkipped),
    ("checksum_ignored", Bug::ChecksumIgnored),
    ("remains_kept", Bug::RemainsKept),
    ("sync_failure_ignored", Bug::SyncFailureIgnored),
    ("folder_not_synced", Bug::FolderNotSynced),
    ("image_without_prepared", Bug::ImageWithoutPrepared),
    ("purged_before_flush", Bug::PurgedBeforeFlush),
    ("damage_cut_off", Bug::DamageCutOff),
    ("dependency_ignored", Bug::DependencyIgnored),
    ("flight_skipped", Bug::FlightSkipped),
    ("commit_retried_blindly", Bug::CommitRetriedBlindly),
];

#[cfg(feature = "bugs")]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether this thread's world has the bug.
    pub fn is_on(bug: Bug) -> bool {
        ON.get() == Some(bug)
    }

    /// Switches this thread's bug.
    pub fn set(bug: Option<Bug>) {
        ON.set(bug);
    }
}

#[cfg(not(feature = "bugs"))]
mod switch {
    /// Never, in this build.
    #[inline(always)]
    pub const fn is_on(_: super::Bug) -> bool {
        false
    }
}

pub use switch::*;
