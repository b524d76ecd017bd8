//! ON CONFLICT: looks for the row that stands in the way, under the lock of the key both want.

use super::Target;
use super::foreign_key::Pending;
use super::target::{LockedRow, StoredRow, image};
use crate::expr::{EvalContext, Program};
use crate::run::Run;
use foldhash::HashSet;
use sql::logical::{ColumnId, ScanColumn};
use sql::physical::PlanConflict;
use txn::{LockMode, Locked, Timestamp, Transaction, WaitPolicy};
use types::json::Jsonb;
use types::{Datum, Oid, Result, SqlError, SqlState};

pub(super) struct Conflict {
    /// None: any unique index.
    arbiters: Vec<Oid>,
    updates: bool,
    assignments: Vec<(usize, Program)>,
    predicate: Option<Program>,
    tail: Option<Program>,
    /// What they read of both rows besides attributes.
    existing: Vec<ScanColumn>,
    excluded: Vec<ScanColumn>,
}

/// What stands where the new row would.
pub(super) enum Met {
    Nobody,
    /// DO NOTHING.
    Nothing,
    Row(LockedRow),
}

impl Conflict {
    pub fn new(plan: &PlanConflict) -> Result<Conflict> {
        let hidden = |row: &[(ScanColumn, ColumnId)]| {
            let parts = row.iter().map(|(what, _)| *what);
            parts.filter(|what| !matches!(what, ScanColumn::Attribute(_))).collect()
        };
        let update = plan.source.update.as_ref();
        Ok(Conflict {
            existing: update.map(|u| hidden(&u.existing)).unwrap_or_default(),
            excluded: update.map(|u| hidden(&u.excluded)).unwrap_or_default(),
            arbiters: plan.source.arbiters.clone(),
            updates: plan.source.update.is_some(),
            assignments: plan
                .assignments
                .iter()
                .map(|(a, e)| Ok(((*a as usize).wrapping_sub(1), Program::compile(e)?)))
                .collect::<Result<_>>()?,
            predicate: Program::compile_option(plan.predicate.as_ref())?,
            tail: Program::compile_option(plan.tail.as_ref())?,
        })
    }

    pub fn updates(&self) -> bool {
        self.updates
    }

    fn arbitrates(&self, index: Option<Oid>) -> bool {
        self.arbiters.is_empty() || index.is_some_and(|i| self.arbiters.contains(&i))
    }

    pub async fn meet(
        &self,
        env: &EvalContext<'_>,
        txn: &Transaction,
        target: &Target,
        proposed: &StoredRow,
        written: &HashSet<Vec<u8>>,
    ) -> Result<Met> {
        let Some((slot, key)) = self.find(env, txn, target, proposed).await? else { return Ok(Met::Nobody) };
        if !self.updates {
            return Ok(Met::Nothing);
        }
        if written.contains(&key) {
            return Err(SqlError::new(
                SqlState::CARDINALITY_VIOLATION,
                "ON CONFLICT DO UPDATE command cannot affect row a second time",
            )
            .hint(
                "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
            ));
        }
        let changes_key = self.assignments.iter().any(|(column, _)| target.is_key_column(*column));
        let mode = if changes_key { LockMode::Update } else { LockMode::NoKeyUpdate };
        match target.lock(txn, slot, &key, mode).await? {
            Some(locked) => Ok(Met::Row(locked)),
            // The lock on the key keeps the row from going: it went before, and the key is free.
            None => Ok(Met::Nobody),
        }
    }

    /// Slot and key of the row in the way. At REPEATABLE READ one that the snapshot does not show is 40001, as in PostgreSQL.
    async fn find(
        &self,
        env: &EvalContext<'_>,
        txn: &Transaction,
        target: &Target,
        proposed: &StoredRow,
    ) -> Result<Option<(u16, Vec<u8>)>> {
        let (values, image) = (&proposed.values, target.image(proposed)?);
        let is_there = |locked: Locked<'_>| match locked {
            Locked::Row { changed, .. } => (true, changed),
            Locked::Absent { .. } | Locked::Skipped => (false, false),
        };
        if !target.table.has_hidden_key() && self.arbitrates(target.primary.as_ref().map(|p| p.id)) {
            let (key, slot) = target.place(env, values)?;
            let (is_row, is_newer) = txn.claim(&target.table.at, slot, &key, is_there).await?;
            if is_newer {
                txn.lock(&target.table.at, slot, &key, LockMode::Update, WaitPolicy::Wait, |_| ()).await?;
            }
            if is_row {
                return Ok(Some((slot, key)));
            }
        }
        for index in target.indexes.iter().filter(|i| i.shape.is_unique) {
            let shape = &index.shape;
            if !self.arbitrates(Some(shape.index.id)) {
                continue;
            }
            if shape.is_deferrable {
                return Err(SqlError::new(
                    SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters",
                ));
            }
            let Some((entry, _)) = index.entry(env, &image, 0, &[])? else { continue };
            if !entry.is_exclusive {
                continue;
            }
            let slot = match shape.slot_of_columns(&entry.key) {
                Some(slot) => slot,
                None => target.place(env, values)?.1,
            };
            let row = txn.claim(&shape.at, slot, &entry.key, |locked| match locked {
                Locked::Row { value, changed, .. } => {
                    let (slot, key) = shape.row_of(&entry.key, value)?;
                    Ok(Some((slot, key.to_vec(), changed)))
                }
                _ => Ok::<_, SqlError>(None),
            });
            if let Some((row_slot, row_key, is_newer)) = row.await?? {
                if is_newer {
                    txn.lock(&shape.at, slot, &entry.key, LockMode::Update, WaitPolicy::Wait, |_| ()).await?;
                }
                return Ok(Some((row_slot, row_key)));
            }
        }
        Ok(None)
    }

    /// DO UPDATE: (old row, new row); None where its WHERE is not true.
    #[allow(clippy::too_many_arguments)] // Each is another part of the statement at hand.
    pub async fn update(
        &self,
        run: &mut Run,
        env: &EvalContext<'_>,
        txn: &Transaction,
        target: &Target,
        existing: LockedRow,
        excluded: &StoredRow,
        pending: &mut Pending,
    ) -> Result<Option<(StoredRow, StoredRow)>> {
        let LockedRow { row: existing, ts, .. } = existing;
        let mut both = image(&target.table, &existing, ts, &self.existing)?;
        both.append(&mut image(&target.table, excluded, Timestamp::ZERO, &self.excluded)?);
        if let Some(predicate) = &self.predicate
            && !matches!(predicate.eval_datums(run, &both).await?, Datum::Bool(true))
        {
            return Ok(None);
        }
        let mut values = existing.values.clone();
        for (column, program) in &self.assignments {
            let value = program.eval_datums(run, &both).await?;
            if let Some(place) = values.get_mut(*column) {
                *place = value;
            }
        }
        let tail: Option<Jsonb> = match &self.tail {
            None => existing.tail.clone(),
            Some(tail) => match tail.eval_datums(run, &both).await? {
                Datum::Jsonb(tail) => Some(tail),
                _ => None,
            },
        };
        target.complete(env, &mut values, tail.as_ref())?;
        let new = target.update(env, txn, &existing, values, tail, pending).await?;
        Ok(Some((existing, new)))
    }
}
