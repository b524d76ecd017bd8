//! Fences: the oldest schema version of a relation that may still commit or be read by what is planned.
//!
//! - F1  A fence is raised by the commit that changes the relation, at its stamp, and never lowered.
//! - F2  There are at most `FENCES_MAX`. Beyond, the older half goes, and whatever has a snapshot below the newest of those is
//!   refused: what was planned before one of them and has not looked since is older than that. A statement asks between its plan
//!   and its snapshot, so that the two lie on one side of a fence.
//!
//! Part of the replicated state; the sequencer has a copy that is ahead by what is in flight.

use crate::SchemaVersion;
use std::collections::BTreeMap;
use storage::Timestamp;

/// Fences kept: 16 bytes each in the state image. A relation that was never altered has none.
pub const FENCES_MAX: usize = 65_536;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fence {
    pub version: u32,
    pub raised_at: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fences {
    by_relation: BTreeMap<u32, Fence>,
    /// Stamp of the newest fence that is no longer kept.
    floor: Timestamp,
}

impl Fences {
    /// From a state image.
    pub fn restore(floor: Timestamp, fences: impl IntoIterator<Item = (u32, Fence)>) -> Fences {
        Fences { by_relation: fences.into_iter().collect(), floor }
    }

    pub fn floor(&self) -> Timestamp {
        self.floor
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, Fence)> {
        self.by_relation.iter().map(|(relation, fence)| (*relation, *fence))
    }

    pub fn raise(&mut self, raised: &[SchemaVersion], stamp: Timestamp) {
        for schema in raised {
            let fence = self.by_relation.entry(schema.relation);
            let fence = fence.or_insert(Fence { version: 0, raised_at: Timestamp::ZERO });
            fence.version = fence.version.max(schema.version);
            fence.raised_at = fence.raised_at.max(stamp);
        }
        if self.by_relation.len() > FENCES_MAX {
            self.forget_older_half();
        }
    }

    fn forget_older_half(&mut self) {
        let mut stamps: Vec<Timestamp> = self.by_relation.values().map(|fence| fence.raised_at).collect();
        stamps.sort_unstable();
        let floor = stamps.get(stamps.len() / 2).copied().unwrap_or_default();
        self.by_relation.retain(|_, fence| fence.raised_at > floor);
        self.floor = self.floor.max(floor);
    }

    /// Whether a plan made with this version is out of date.
    pub fn is_above(&self, relation: u32, version: u32) -> bool {
        self.by_relation.get(&relation).is_some_and(|fence| fence.version > version)
    }

    /// A transaction without a snapshot has just looked at its plans.
    fn is_below_floor(&self, snapshot: Timestamp) -> bool {
        snapshot != Timestamp::ZERO && snapshot < self.floor
    }

    /// The first of a transaction's plans that is out of date, or might be.
    pub fn refused<'s>(&self, schemas: &'s [SchemaVersion], snapshot: Timestamp) -> Option<&'s SchemaVersion> {
        schemas.iter().find(|schema| self.is_below_floor(snapshot) || self.is_above(schema.relation, schema.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(relation: u32, version: u32) -> SchemaVersion {
        SchemaVersion { relation, version }
    }

    #[test]
    fn older_plans_are_refused_and_newer_ones_are_not() {
        let mut fences = Fences::default();
        fences.raise(&[schema(1, 3)], Timestamp(10));
        fences.raise(&[schema(1, 2)], Timestamp(11));
        let check = |relation, version, expected: bool| {
            assert_eq!(fences.refused(&[schema(relation, version)], Timestamp(5)).is_some(), expected);
        };
        check(1, 2, true);
        check(1, 3, false);
        check(2, 0, false);
    }

    #[test]
    fn beyond_the_limit_what_may_have_missed_a_fence_is_refused() {
        let mut fences = Fences::default();
        for relation in 0..=FENCES_MAX as u32 {
            fences.raise(&[schema(relation, 1)], Timestamp(u64::from(relation) + 100));
        }
        assert!(fences.iter().len() <= FENCES_MAX / 2 + 1);
        let floor = fences.floor();
        // Relation 0's fence is gone: a transaction from before it was forgotten can not be judged.
        assert!(fences.refused(&[schema(0, 0)], Timestamp(99)).is_some());
        assert!(fences.refused(&[schema(0, 1)], floor).is_none());
        // The newest is there.
        assert!(fences.is_above(FENCES_MAX as u32, 0));
        assert_eq!(Fences::restore(floor, fences.iter()), fences);
    }
}
