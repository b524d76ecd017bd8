//! What of its rows a read depended on.
//!
//! A transaction that has read one column of a row need not fail because another column has changed. So a read may leave, with its
//! span, a facet: a judge of whether two versions of a row are the same to the reader. It costs nothing while nothing changes; where
//! the span has changed, the versions at the snapshot and now are read and compared. Values count, not times: a row that was changed
//! there and back is the same.
//!
//! - I1  A read without a facet depends on all of its rows, and so does the whole relation's read set then.
//! - I2  A row that came or went is a change, whatever the facet.

use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;
use storage::segment::{Direction, View};
use storage::{KeyRange, StorageId, Timestamp};

/// Facets of one relation in one transaction; with more, all of its rows count.
const FACETS_MAX: usize = 4;
/// Rows of a range that are compared; a longer one counts as changed.
const ROWS_COMPARED_MAX: usize = 1024;

/// A part of a relation's rows.
pub trait Facet: Send + Sync {
    /// The same for facets of one relation that judge alike.
    fn id(&self) -> u64;
    /// Whether two versions of a row are the same to the reader. No, where it can not tell.
    fn is_same(&self, old: &[u8], new: &[u8]) -> bool;
}

/// What the reads of one relation depend on.
#[derive(Clone, Default)]
pub struct Depends {
    is_whole: bool,
    facets: SmallVec<[Arc<dyn Facet>; 1]>,
}

impl fmt::Debug for Depends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole { f.write_str("Whole") } else { write!(f, "Facets({})", self.facets.len()) }
    }
}

impl Depends {
    /// One more read; `None`: of whole rows.
    pub fn note(&mut self, facet: Option<&Arc<dyn Facet>>) {
        let Some(facet) = facet else { return self.widen() };
        if self.is_whole || self.facets.iter().any(|other| other.id() == facet.id()) {
            return;
        }
        if self.facets.len() == FACETS_MAX {
            return self.widen();
        }
        self.facets.push(facet.clone());
    }

    fn widen(&mut self) {
        self.is_whole = true;
        self.facets.clear();
    }

    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    fn is_same(&self, old: &[u8], new: &[u8]) -> bool {
        !self.is_whole && self.facets.iter().all(|facet| facet.is_same(old, new))
    }

    /// Whether what was read of the range at `since` is something else at `at`. Versions at `since` must still be kept.
    pub fn has_changed(
        &self,
        view: &View,
        relation: StorageId,
        range: &KeyRange,
        since: Timestamp,
        at: Timestamp,
    ) -> storage::Result<bool> {
        if view.changed_since(relation, range, since)?.is_none() {
            return Ok(false);
        }
        if self.is_whole {
            return Ok(true);
        }
        let mut then = view.cursor(relation, range, since, Direction::Forward)?;
        let mut now = view.cursor(relation, range, at, Direction::Forward)?;
        for _ in 0..ROWS_COMPARED_MAX {
            match (then.next()?, now.next()?) {
                (None, None) => return Ok(false),
                (Some(old), Some(new))
                    if old.key == new.key && (old.ts == new.ts || self.is_same(old.value, new.value)) => {}
                _ => return Ok(true),
            }
        }
        Ok(true)
    }
}
