//! Whether what a transaction has read and locked still stands, inside the critical section (R5, R6, R8, R9).
//!
//! Two ways, the cheaper one taken: walk the recent commits back to the snapshot and test each against the spans, or look
//! each span up. Looking many up is done outside (`LookFirst`), and what came since is walked here.
//!
//! I4  A span that meets a prepared write, or one in flight and newer than it may be, fails; it does not wait. Only a
//!     large commit in flight, of which the ranges alone are known, is waited for.

use super::{
    Certified, Checked, CommitRequest, FlyingCommand, FlyingRange, LockedSpan, Lookup, PreparedHere, Refusal,
    Sequenced, Sequencer,
};
use crate::command::SchemaVersion;
use crate::locks::{LockMode, LockTable, Owner};
use crate::reads::ReadSet;
use crate::recent::Written;
use crate::wake::Slot;
use bytes::Bytes;
use host::bugs::{self, Bug};
use storage::{KeyRange, StorageId, Timestamp};

/// A walk of so many commits costs nothing worth counting.
const WALK_FREE: usize = 64;
/// Commits that can be walked past in the time of one look-up of a row, and of a span.
const WALK_PER_LOOKUP: usize = 300;
const WALK_PER_SPAN: usize = 16;

pub(super) enum Valid {
    Yes,
    No { relation: StorageId, key: Option<Bytes>, is_locked_row: bool, other: Option<Owner> },
    Wait(u64),
    LookFirst,
}

/// A write meets what a prepared transaction has read, locked or will write, or a fence meets its schema versions.
fn must_wait(request: &CommitRequest<'_>, prepared: &PreparedHere) -> bool {
    let meets_span = |relation: StorageId, range: &KeyRange| {
        prepared.spans.iter().any(|span| {
            // How strong the write is is not known here: KEY SHARE waits too, which costs a moment, not correctness.
            span.relation == relation && span.range.overlaps(range)
        })
    };
    request.writes.iter().any(|write| {
        prepared.writes_row(&write.row)
            || prepared
                .spans
                .iter()
                .any(|span| span.relation == write.row.relation && span.range.contains(&write.row.key))
    }) || request
        .ranges
        .iter()
        .any(|(relation, range)| prepared.writes_in(*relation, range) || meets_span(*relation, range))
        || request.fences.iter().any(|fence| {
            let same = |schema: &SchemaVersion| schema.relation == fence.relation;
            prepared.schemas.iter().any(same) || prepared.fences.iter().any(same)
        })
}

impl Sequencer {
    /// R5 and R6: what is prepared and undecided.
    pub(super) fn meet_prepared(&mut self, request: &CommitRequest<'_>) -> Option<Sequenced> {
        for position in 0..self.prepared.len() {
            let prepared = &self.prepared[position];
            let fails = |relation, key: Option<&[u8]>, is_locked_row| {
                let key = key.map(Bytes::copy_from_slice);
                let other = prepared.owner;
                Some(Sequenced::Refused(Refusal::Changed { relation, key, is_locked_row, is_prepared: true, other }))
            };
            for row in &prepared.rows {
                if request.reads.contains(row.relation, &row.key) {
                    return fails(row.relation, Some(&row.key), false);
                }
            }
            for (relation, range) in &prepared.ranges {
                if request.reads.overlaps(*relation, range) {
                    return fails(*relation, None, false);
                }
            }
            if let Some(read) =
                request.certified.iter().find(|read| prepared.writes_in(read.relation, &KeyRange::all()))
            {
                return fails(read.relation, None, false);
            }
            if let Some(span) = request.locked.iter().find(|span| prepared.writes_row(&span.row)) {
                return fails(span.row.relation, Some(&span.row.key), true);
            }
            let fenced = |schema: &&SchemaVersion| {
                prepared.fences.iter().any(|fence| fence.relation == schema.relation && fence.version > schema.version)
            };
            if let Some(schema) = request.schemas.iter().find(fenced) {
                return Some(Sequenced::Refused(Refusal::SchemaChanged { relation: schema.relation }));
            }
            if !must_wait(request, prepared) {
                continue;
            }
            if let Some((age, _)) = request.prepare
                && (age, request.txn) > (prepared.age, prepared.txn)
            {
                return Some(Sequenced::Refused(Refusal::Younger { other: prepared.owner }));
            }
            let slot = Slot::new();
            self.prepared[position].waiters.push(slot.clone());
            return Some(Sequenced::Wait(slot));
        }
        None
    }

    pub(super) fn validate(
        &self,
        request: &CommitRequest<'_>,
        checked: Option<Checked>,
        rows: &LockTable,
        segment: &impl Lookup,
    ) -> Valid {
        if let Some(flying) = self.ranges.iter().find(|flying| {
            let is_locked = |span: &LockedSpan| {
                span.row.relation == flying.relation
                    && flying.range.contains(&span.row.key)
                    && flying.stamp > span.looked
            };
            request.reads.overlaps(flying.relation, &flying.range) && flying.stamp > request.snapshot
                || request.locked.iter().any(is_locked)
        }) {
            return Valid::Wait(flying.batch);
        }
        if let Some(read) = request.certified.iter().find(|read| self.has_new_version(read, segment)) {
            let other = self.recent.writer_at(segment.newest_of(read.relation));
            return Valid::No { relation: read.relation, key: None, is_locked_row: false, other };
        }
        match self.validate_locked(request.locked, rows, segment) {
            Valid::Yes => self.validate_reads(request.reads, request.snapshot, checked, segment),
            other => other,
        }
    }

    /// Applied, or in flight.
    fn has_new_version(&self, read: &Certified, segment: &impl Lookup) -> bool {
        let is_new = |command: &FlyingCommand| {
            command.stamp > read.since && command.rows.iter().any(|row| row.relation == read.relation)
        };
        let is_new_range = |flying: &FlyingRange| flying.relation == read.relation && flying.stamp > read.since;
        segment.newest_of(read.relation) > read.since
            || self.ranges.iter().any(is_new_range)
            || self.open.iter().chain(&self.flying).any(|batch| batch.commits.iter().any(is_new))
    }

    /// R9. Walks the commits since the first look, or looks each row up: the cheaper.
    fn validate_locked(&self, locked: &[LockedSpan], rows: &LockTable, segment: &impl Lookup) -> Valid {
        let Some(first) = locked.iter().map(|span| span.looked).min() else { return Valid::Yes };
        let changed = |span: &LockedSpan, other| Valid::No {
            relation: span.row.relation,
            key: Some(Bytes::copy_from_slice(&span.row.key)),
            is_locked_row: true,
            other,
        };
        let newer = self.recent.count_since(first);
        let has_weak = locked.iter().any(|span| span.mode == LockMode::KeyShare);
        // Only the list knows how strong a write was: KEY SHARE has to ask it.
        let walks = newer <= WALK_FREE + WALK_PER_LOOKUP * locked.len() || has_weak;
        if self.recent.is_complete_since(first) && walks {
            return self.walk_locked(locked, first, segment, changed);
        }
        for span in locked {
            let flying = rows.newest_flying(&span.row, span.mode).is_some_and(|ts| ts > span.looked);
            let applied = segment.newest(span.row.relation, &span.row.key).is_some_and(|ts| ts > span.seen);
            if flying || applied {
                return changed(span, None);
            }
        }
        Valid::Yes
    }

    fn walk_locked(
        &self,
        locked: &[LockedSpan],
        first: Timestamp,
        segment: &impl Lookup,
        changed: impl Fn(&LockedSpan, Option<Owner>) -> Valid,
    ) -> Valid {
        let mut by_hash: Vec<(u64, usize)> = Vec::new();
        if locked.len() > 4 {
            by_hash = locked.iter().enumerate().map(|(position, span)| (span.row.hash, position)).collect();
            by_hash.sort_unstable();
        }
        for recent in self.recent.since(first) {
            let hits = |span: &LockedSpan| {
                recent.ts > span.looked
                    && recent.relation == span.row.relation
                    && recent.strength.conflicts_with(span.mode)
                    && match &recent.written {
                        Written::Key(key) => recent.hash == span.row.hash && *key == span.row.key,
                        Written::Range(range) => {
                            range.contains(&span.row.key)
                                && segment.newest(span.row.relation, &span.row.key).is_some_and(|ts| ts > span.seen)
                        }
                    }
            };
            let found = if by_hash.is_empty() || matches!(recent.written, Written::Range(_)) {
                locked.iter().find(|span| hits(span))
            } else {
                let from = by_hash.partition_point(|(hash, _)| *hash < recent.hash);
                let same = by_hash[from..].iter().take_while(|(hash, _)| *hash == recent.hash);
                same.map(|(_, position)| &locked[*position]).find(|span| hits(span))
            };
            if let Some(span) = found {
                return changed(span, recent.owner);
            }
        }
        Valid::Yes
    }

    /// No version in the spans is newer than the snapshot.
    fn validate_reads(
        &self,
        reads: &ReadSet,
        snapshot: Timestamp,
        checked: Option<Checked>,
        segment: &impl Lookup,
    ) -> Valid {
        if reads.is_empty() {
            return Valid::Yes;
        }
        let checked = checked.filter(|checked| checked.decides == self.decides);
        let since = checked.map_or(snapshot, |checked| checked.upto.max(snapshot));
        if !self.recent.is_complete_since(since)
            || checked.is_none() && self.recent.count_since(since) > WALK_FREE + WALK_PER_SPAN * reads.len()
        {
            return Valid::LookFirst;
        }
        for recent in self.recent.since(since) {
            if bugs::is_on(Bug::InFlightIgnored) && recent.ts > self.applied_stamp {
                continue;
            }
            let key = match &recent.written {
                Written::Key(key) if reads.contains(recent.relation, key) => Some(Bytes::copy_from_slice(key)),
                Written::Range(range) if self.range_has_changed(reads, recent.relation, range, since, segment) => None,
                _ => continue,
            };
            return Valid::No { relation: recent.relation, key, is_locked_row: false, other: recent.owner };
        }
        Valid::Yes
    }

    fn range_has_changed(
        &self,
        reads: &ReadSet,
        relation: StorageId,
        range: &KeyRange,
        since: Timestamp,
        segment: &impl Lookup,
    ) -> bool {
        reads.overlaps(relation, range)
            && reads
                .iter()
                .filter(|(id, read)| *id == relation && read.overlaps(range))
                .any(|(id, read)| segment.changed_since(id, &read.to_range(), since).is_some())
    }
}
