//! ON CONFLICT: looks for the row that stands in the way, under the lock of the key both want.
//!
//! Keys that are free are locked for the row to be inserted. Below SERIALIZABLE nothing stays locked but the row that is updated:
//! where another row stands, the keys that were found free go back.

use super::Target;
use super::foreign_key::Pending;
use super::target::{LockedRow, StoredRow, image};
use crate::expr::{EvalContext, Program};
use crate::run::Run;
use foldhash::HashSet;
use smallvec::SmallVec;
use sql::logical::{ColumnId, ScanColumn};
use sql::physical::PlanConflict;
use txn::{Isolation, LockMode, Locked, RelationRef, Timestamp, Transaction, WaitPolicy};
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

/// How often the row in the way may go before it is locked, until it is said.
const TRIES: usize = 100;

/// The row in the way.
struct InTheWay {
    slot: u16,
    key: Vec<u8>,
    /// The unique index (its place in `Target::indexes`) and the entry that led to it; None: its own key.
    entry: Option<(usize, Vec<u8>)>,
}

/// Keys that were found free.
type Claimed = SmallVec<[(RelationRef, Vec<u8>); 2]>;

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
        for _ in 0..TRIES {
            if let Some(met) = self.meet_once(env, txn, target, proposed, written).await? {
                return Ok(met);
            }
        }
        Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, "could not lock the row in the way: it goes and comes"))
    }

    /// None: the row in the way went before it was locked.
    async fn meet_once(
        &self,
        env: &EvalContext<'_>,
        txn: &Transaction,
        target: &Target,
        proposed: &StoredRow,
        written: &HashSet<Vec<u8>>,
    ) -> Result<Option<Met>> {
        let mut claimed = Claimed::new();
        let found = self.find(env, txn, target, proposed, &mut claimed).await?;
        let Some(InTheWay { slot, key, entry }) = found else { return Ok(Some(Met::Nobody)) };
        for (at, key) in claimed.iter().rev() {
            txn.give_back(at, key);
        }
        if !self.updates {
            return Ok(Some(Met::Nothing));
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
        let Some(locked) = target.lock_newest(txn, slot, &key, LockMode::NoKeyUpdate).await? else { return Ok(None) };
        if let Some((index, entry)) = entry {
            // It may have got another key before it was locked.
            let image = target.image(&locked.row)?;
            let now =
                target.indexes.get(index).map(|index| index.entry(env, &image, slot, &key)).transpose()?.flatten();
            if now.is_none_or(|(now, _)| now.key != entry) {
                return Ok(None);
            }
        }
        Ok(Some(Met::Row(locked)))
    }

    /// The row in the way. At REPEATABLE READ one that the snapshot does not show is 40001, as in PostgreSQL.
    async fn find(
        &self,
        env: &EvalContext<'_>,
        txn: &Transaction,
        target: &Target,
        proposed: &StoredRow,
        claimed: &mut Claimed,
    ) -> Result<Option<InTheWay>> {
        let (values, image) = (&proposed.values, target.image(proposed)?);
        let is_there = |locked: Locked<'_>| match locked {
            Locked::Row { changed, .. } => (true, changed),
            Locked::Absent { .. } | Locked::Moved { .. } | Locked::Skipped => (false, false),
        };
        if !target.table.has_hidden_key() && self.arbitrates(target.primary.as_ref().map(|p| p.id)) {
            let (key, slot) = target.place(env, values)?;
            let (is_row, is_newer) = txn.probe(&target.table.at, slot, &key, is_there).await?;
            if is_newer {
                refuse_newer(txn, &target.table.at, slot, &key).await?;
            }
            if is_row {
                return Ok(Some(InTheWay { slot, key, entry: None }));
            }
            claimed.push((target.table.at, key));
        }
        for (position, index) in target.indexes.iter().enumerate().filter(|(_, i)| i.shape.is_unique) {
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
            let row = txn.probe(&shape.at, slot, &entry.key, |locked| match locked {
                Locked::Row { value, changed, .. } => {
                    let (slot, key) = shape.row_of(&entry.key, value)?;
                    Ok(Some((slot, key.to_vec(), changed)))
                }
                _ => Ok::<_, SqlError>(None),
            });
            if let Some((row_slot, row_key, is_newer)) = row.await?? {
                if is_newer {
                    refuse_newer(txn, &shape.at, slot, &entry.key).await?;
                }
                return Ok(Some(InTheWay { slot: row_slot, key: row_key, entry: Some((position, entry.key)) }));
            }
            claimed.push((shape.at, entry.key));
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

/// 40001 at REPEATABLE READ for a row that the snapshot does not show.
async fn refuse_newer(txn: &Transaction, at: &RelationRef, slot: u16, key: &[u8]) -> Result<()> {
    if txn.isolation() == Isolation::RepeatableRead {
        txn.lock(at, slot, key, LockMode::Update, WaitPolicy::Wait, |_| ()).await?;
    }
    Ok(())
}
