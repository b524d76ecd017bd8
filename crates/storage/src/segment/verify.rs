//! Level 1. Looks at all of a base: every checksum, every relation's count and sum, and the order of every row's versions.
//!
//! Of the versions of one row, newest first: the row itself, then its history with timestamps that fall. Where there is no row,
//! the newest of its history is a deletion; anything else means that a row has been lost.

use super::Direction;
use super::base::{Relation, Relations};
use super::engine::{ReadTxn, Slot};
use super::stored::{self, HistoryKey};
use crate::audit::Audit;
use crate::{Result, StorageId, Timestamp};
use std::ops::Bound;

/// What was looked at.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub relations: u64,
    pub rows: u64,
    /// Older versions, and deletions.
    pub history_rows: u64,
}

/// Entries between two reports of progress.
const STEP: u64 = 4096;

/// Errors are of the engine itself, where nothing more can be read.
pub fn verify(txn: &ReadTxn, relations: &Relations, audit: &mut dyn Audit) -> Result<Verified> {
    let mut ids: Vec<StorageId> = relations.keys().copied().collect();
    ids.sort();
    let mut all = Verified::default();
    for id in ids {
        let Some(relation) = relations.get(&id) else { continue };
        let mut check = Check { id, relation, txn, audit, unreported: 0 };
        let counted = match check.relation() {
            Ok(counted) => counted,
            Err(error) => {
                check.audit.found(format!("relation {} can not be read further: {error}", id.0));
                Verified::default()
            }
        };
        all.relations += 1;
        all.rows += counted.rows;
        all.history_rows += counted.history_rows;
    }
    Ok(all)
}

struct Check<'a> {
    id: StorageId,
    relation: &'a Relation,
    txn: &'a ReadTxn,
    audit: &'a mut dyn Audit,
    unreported: u64,
}

impl Check<'_> {
    fn relation(&mut self) -> Result<Verified> {
        let (rows, checksum) = self.rows()?;
        let history_rows = match self.relation.history_slot() {
            Some(slot) => self.history(slot)?,
            None => 0,
        };
        self.audit.looked_at(std::mem::take(&mut self.unreported));
        let known = self.relation;
        if (rows, checksum, history_rows) != (known.rows, known.checksum, known.history_rows) {
            let (id, sum) = (self.id.0, known.checksum);
            self.audit.found(format!(
                "relation {id} has {rows} rows (sum {checksum:08x}) and {history_rows} older versions, {} ({sum:08x}) and {} were \
                 written",
                known.rows, known.history_rows
            ));
        }
        Ok(Verified { relations: 1, rows, history_rows })
    }

    /// How many, and the exclusive or of their checksums.
    fn rows(&mut self) -> Result<(u64, u32)> {
        let (mut rows, mut checksum) = (0, 0);
        let mut walk =
            self.txn.walk(self.relation.rows_slot(), Bound::Unbounded, Bound::Unbounded, Direction::Forward)?;
        while let Some((key, value)) = walk.next()? {
            rows += 1;
            self.count_one();
            match stored::decode_checked(self.id, key, value) {
                Ok(stored) if stored.ts > self.relation.newest => self.found(key, "is newer than its relation"),
                Ok(stored) => checksum ^= stored.checksum,
                Err(error) => self.audit.found(error.to_string()),
            }
        }
        Ok((rows, checksum))
    }

    fn history(&mut self, slot: Slot) -> Result<u64> {
        let mut versions = 0;
        let mut row_key: Vec<u8> = Vec::new();
        let mut newer = Timestamp::MAX;
        let mut walk = self.txn.walk(slot, Bound::Unbounded, Bound::Unbounded, Direction::Forward)?;
        while let Some((key, value)) = walk.next()? {
            versions += 1;
            self.count_one();
            let version = match stored::parse_history_key(self.id, key) {
                Ok(version) => version,
                Err(error) => {
                    self.audit.found(error.to_string());
                    continue;
                }
            };
            if version.entry_key != row_key {
                row_key = version.entry_key.to_vec();
                newer = self.newest(&version)?;
            }
            match stored::decode_checked(self.id, version.entry_key, value) {
                Ok(stored) if stored.ts != version.ts => self.found(&row_key, "has a version under another's time"),
                Ok(_) if version.ts >= newer => self.found(&row_key, "has a history that is newer than the row"),
                Ok(_) => {}
                Err(error) => self.audit.found(error.to_string()),
            }
            newer = version.ts;
        }
        Ok(versions)
    }

    /// The timestamp above the newest version of a row's history.
    fn newest(&mut self, version: &HistoryKey<'_>) -> Result<Timestamp> {
        match self.txn.get(self.relation.rows_slot(), version.entry_key)? {
            Some(value) => Ok(stored::decode(self.id, version.entry_key, value)?.ts),
            None => {
                if !version.is_deletion {
                    self.found(version.entry_key, "has older versions, and is neither there nor deleted");
                }
                Ok(Timestamp::MAX)
            }
        }
    }

    fn found(&mut self, key: &[u8], what: &str) {
        self.audit.found(format!("a row of relation {} {what}: key {:02x?}", self.id.0, &key[..key.len().min(64)]));
    }

    fn count_one(&mut self) {
        self.unreported += 1;
        if self.unreported == STEP {
            self.audit.looked_at(std::mem::take(&mut self.unreported));
        }
    }
}
