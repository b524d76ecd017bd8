//! Level 1. Collection: history that nobody can read any more is removed, a bounded part with each flush.
//!
//! A version goes when what superseded it is at or below the horizon; a deletion that nothing superseded goes when it
//! is itself, and not before all older versions of its row are gone (they would come back to life). The collector
//! walks all histories round and round and remembers where it stopped; a restart begins again from the front.

use super::base::{self, Relations};
use super::engine::WriteTxn;
use super::stored;
use crate::{Result, StorageId, Timestamp};
use std::ops::Bound;

/// History entries looked at by one flush, at least, and per version flushed: so it keeps up with what is added.
const ENTRIES_MIN: u64 = 20_000;
const ENTRIES_PER_VERSION: u64 = 3;

pub fn budget(versions: u64) -> u64 {
    ENTRIES_MIN.max(versions.saturating_mul(ENTRIES_PER_VERSION))
}

/// Where the next step begins.
#[derive(Clone, Default)]
pub struct Collector {
    relation: Option<StorageId>,
    /// The last history key looked at, and the timestamp of its version.
    last: Option<(Vec<u8>, Timestamp)>,
}

impl Collector {
    /// Looks at up to `budget` entries.
    pub fn step(
        &mut self,
        txn: &mut WriteTxn<'_>,
        relations: &mut Relations,
        horizon: &dyn Fn(StorageId) -> Timestamp,
        mut budget: u64,
    ) -> Result<()> {
        let mut ids: Vec<StorageId> =
            relations.iter().filter(|(_, relation)| relation.history_rows > 0).map(|(id, _)| *id).collect();
        ids.sort();
        // Round once: from the relation where the last step stopped.
        let start = ids.iter().position(|id| Some(*id) >= self.relation).unwrap_or(0);
        ids.rotate_left(start);
        for id in ids {
            if self.relation != Some(id) {
                *self = Collector { relation: Some(id), last: None };
            }
            let looked_at = self.step_relation(txn, id, relations, horizon(id), budget)?;
            budget -= looked_at;
            if budget == 0 {
                return Ok(());
            }
            *self = Collector { relation: Some(StorageId(id.0.saturating_add(1))), last: None };
        }
        *self = Collector::default();
        Ok(())
    }

    /// Looks on through one history; less than the budget means that its end was reached.
    fn step_relation(
        &mut self,
        txn: &mut WriteTxn<'_>,
        id: StorageId,
        relations: &mut Relations,
        horizon: Timestamp,
        budget: u64,
    ) -> Result<u64> {
        let Some(relation) = relations.get_mut(&id) else { return Ok(0) };
        let Some(slot) = relation.history_slot() else { return Ok(0) };
        let mut needless: Vec<(Vec<u8>, bool)> = Vec::new();
        let mut looked_at = 0;
        // The version that superseded the one being looked at.
        let mut newer: Option<Timestamp> = None;
        let mut row_key: Vec<u8> = Vec::new();
        // A deletion that goes when the end of its row's versions is reached in this step.
        let mut held: Option<Vec<u8>> = None;
        let start = self.last.take();
        if let Some((key, ts)) = &start {
            row_key = stored::parse_history_key(id, key)?.entry_key.to_vec();
            newer = Some(*ts);
        }
        let from = start.as_ref().map_or(Bound::Unbounded, |(key, _)| Bound::Excluded(&key[..]));
        let mut walk = txn.walk(slot, from, Bound::Unbounded)?;
        while looked_at < budget {
            let Some((key, _)) = walk.next()? else {
                needless.extend(held.take().map(|key| (key, true)));
                break;
            };
            looked_at += 1;
            let version = stored::parse_history_key(id, key)?;
            if version.entry_key != row_key {
                needless.extend(held.take().map(|key| (key, true)));
                row_key = version.entry_key.to_vec();
                newer = match txn.get(relation.rows_slot(), version.entry_key)? {
                    Some(value) => Some(stored::decode(id, version.entry_key, value)?.ts),
                    None => None,
                };
            }
            let is_superseded = newer.is_some_and(|newer| newer <= horizon);
            if is_superseded {
                needless.push((key.to_vec(), version.is_deletion));
            } else if version.is_deletion && version.ts <= horizon {
                held = Some(key.to_vec());
            }
            newer = Some(version.ts);
            if looked_at == budget {
                self.last = Some((key.to_vec(), version.ts));
            }
        }
        drop(walk);
        for (key, is_deletion) in &needless {
            txn.delete(slot, key)?;
            relation.history_rows = relation.history_rows.saturating_sub(1);
            relation.deletions = relation.deletions.saturating_sub(u64::from(*is_deletion));
        }
        if !needless.is_empty() {
            base::write_relation(txn, id, relation)?;
        }
        Ok(looked_at)
    }
}
