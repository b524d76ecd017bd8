//! Level 1. All versions of rows that are kept, deleted rows included: history as it is asked for by SQL.
//!
//! Rows come in chunks, each from one view. A chunk is an interval of key prefixes (a key's first `SHORT_KEY_MAX` bytes): in
//! these all sources have one order, which they have not in whole keys (long ones lie in the base by a hash). Each source is
//! walked twice: for how far a chunk's worth of its entries reaches, and then up to the nearest of those places.

use super::Direction;
use super::base::Relation;
use super::stored::{self, SHORT_KEY_MAX};
use super::view::{DeltaWalk, View};
use crate::{KeyRange, Result, StorageId, Timestamp};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

/// A row's versions, oldest first; None is a deletion.
pub type Versions = BTreeMap<Timestamp, Option<Bytes>>;

/// A part of a relation's rows.
#[derive(Default)]
pub struct Chunk {
    /// By key.
    pub rows: BTreeMap<Vec<u8>, Versions>,
    /// Where the next one begins; None at the end.
    pub after: Option<Vec<u8>>,
}

fn prefix(key: &[u8]) -> &[u8] {
    &key[..key.len().min(SHORT_KEY_MAX)]
}

impl View {
    /// Rows behind the prefix `after`: of each source at most about `entries` entries.
    pub fn versions(&self, relation: StorageId, after: Option<&[u8]>, entries: usize) -> Result<Chunk> {
        let mut end: Option<Vec<u8>> = None;
        for source in Source::ALL {
            let mut left = entries;
            self.walk_source(source, relation, after, &mut |key, _, _| {
                left = left.saturating_sub(1);
                if left > 0 {
                    return ControlFlow::Continue(());
                }
                if end.as_ref().is_none_or(|end| prefix(key) < &end[..]) {
                    end = Some(prefix(key).to_vec());
                }
                ControlFlow::Break(())
            })?;
        }
        let mut chunk = Chunk { rows: BTreeMap::new(), after: end };
        let Chunk { rows, after: end } = &mut chunk;
        for source in Source::ALL {
            self.walk_source(source, relation, after, &mut |key, ts, value| {
                if end.as_ref().is_some_and(|end| prefix(key) > &end[..]) {
                    return ControlFlow::Break(());
                }
                if !rows.contains_key(key) {
                    rows.insert(key.to_vec(), Versions::new());
                }
                if let Some(versions) = rows.get_mut(key) {
                    versions.insert(ts, value.map(Bytes::copy_from_slice));
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok(chunk)
    }

    fn walk_source(
        &self,
        source: Source,
        relation: StorageId,
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], Timestamp, Option<&[u8]>) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut visit = |key: &[u8], ts, value: Option<&[u8]>| match after {
            Some(after) if prefix(key) <= after => ControlFlow::Continue(()),
            _ => visit(key, ts, value),
        };
        match source {
            Source::Rows => match self.relation(relation) {
                Some(known) => self.walk_rows(relation, known, after, &mut visit),
                None => Ok(()),
            },
            Source::History => match self.relation(relation) {
                Some(known) => self.walk_history(relation, known, after, &mut visit),
                None => Ok(()),
            },
            Source::Delta => {
                self.walk_deltas(relation, after, &mut visit);
                Ok(())
            }
        }
    }

    fn walk_rows(
        &self,
        id: StorageId,
        known: &Relation,
        after: Option<&[u8]>,
        visit: &mut impl FnMut(&[u8], Timestamp, Option<&[u8]>) -> ControlFlow<()>,
    ) -> Result<()> {
        let from = after.map_or(Bound::Unbounded, Bound::Included);
        let mut walk = self.txn().walk(known.rows_slot(), from, Bound::Unbounded, Direction::Forward)?;
        while let Some((key, value)) = walk.next()? {
            let stored = stored::decode_checked(id, key, value)?;
            if visit(stored.key, stored.ts, Some(stored.row)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn walk_history(
        &self,
        id: StorageId,
        known: &Relation,
        after: Option<&[u8]>,
        visit: &mut impl FnMut(&[u8], Timestamp, Option<&[u8]>) -> ControlFlow<()>,
    ) -> Result<()> {
        let Some(slot) = known.history_slot() else { return Ok(()) };
        let from = after.map_or(Bound::Unbounded, Bound::Included);
        let mut walk = self.txn().walk(slot, from, Bound::Unbounded, Direction::Forward)?;
        while let Some((key, value)) = walk.next()? {
            let version = stored::parse_history_key(id, key)?;
            let stored = stored::decode_checked(id, version.entry_key, value)?;
            let row = (!version.is_deletion).then_some(stored.row);
            if visit(stored.key, version.ts, row).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn walk_deltas(
        &self,
        id: StorageId,
        after: Option<&[u8]>,
        visit: &mut impl FnMut(&[u8], Timestamp, Option<&[u8]>) -> ControlFlow<()>,
    ) {
        let range = KeyRange { start: Bytes::copy_from_slice(after.unwrap_or_default()), end: None };
        for delta in self.deltas().filter_map(|delta| delta.relation(id)) {
            let mut walk = DeltaWalk::new(delta, &range, Direction::Forward);
            'rows: while let Some(row) = walk.head() {
                for version in row.versions() {
                    if visit(&row.key, version.ts, version.value.as_deref()).is_break() {
                        break 'rows;
                    }
                }
                walk.advance();
            }
        }
    }
}

/// Where versions lie.
#[derive(Clone, Copy)]
enum Source {
    Rows,
    History,
    Delta,
}

impl Source {
    const ALL: [Source; 3] = [Source::Rows, Source::History, Source::Delta];
}
