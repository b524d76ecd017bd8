//! Rows into storage: key, slot, stored form, index entries, and the checks that belong to one row.
//!
//! ```text
//! insert   generated columns, NOT NULL, CHECKs, key lock, row, index entries (unique ones under their own lock)
//! update   the same; the row in place where its key stays, else delete and insert; only entries that change are touched
//! delete   the row and its entries
//! ```
//!
//! A unique key is decided by a lock on the key itself, absent or not: who holds it sees the newest version, and keeps others
//! out until the commit is stamped.

use super::foreign_key::Pending;
use super::violation;
use crate::expr::{EvalContext, Program, RowRef};
use crate::index::{Entry, Holder, WriteIndex};
use crate::rows::{Table, period_elsewhere, row_key, whole_row};
use catalog::{Index, IndexSource, Relation};
use sql::logical::ScanColumn;
use sql::physical::PlanTarget;
use std::borrow::Cow;
use std::sync::Arc;
use txn::{LockMode, Locked, Timestamp, Transaction, WaitPolicy};
use types::compare::compare;
use types::json::Jsonb;
use types::{Datum, Result, SqlError, SqlState};

/// How often a row is followed that gets another key while it is waited for.
pub(crate) const MOVES_MAX: usize = 16;

/// A relation that is written to.
pub(crate) struct Target {
    pub table: Arc<Table>,
    pub indexes: Vec<WriteIndex>,
    pub primary: Option<Arc<Index>>,
    key_columns: Vec<usize>,
    /// What its expressions read besides attributes: see `image`.
    hidden: Vec<ScanColumn>,
    generated: Vec<(usize, Program)>,
    not_null: Vec<usize>,
    checks: Vec<(String, Program)>,
    view_checks: Vec<(String, Program)>,
    pub references: Vec<Arc<super::foreign_key::ForeignKeyShape>>,
    pub referenced_by: Vec<Arc<super::foreign_key::ForeignKeyShape>>,
}

/// A row as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct StoredRow {
    pub slot: u16,
    pub key: Vec<u8>,
    /// Attribute n at `n - 1`.
    pub values: Vec<Datum>,
    pub tail: Option<Jsonb>,
}

impl Target {
    pub fn new(plan: &PlanTarget) -> Result<Target> {
        let relation = &plan.relation;
        let named = |checks: &[(String, sql::Expr)]| -> Result<Vec<(String, Program)>> {
            checks.iter().map(|(name, e)| Ok((name.clone(), Program::compile(e)?))).collect()
        };
        let secondary = plan.indexes.iter().filter(|i| !i.index.is_primary);
        let indexes = secondary.map(|i| WriteIndex::new(relation, i)).collect::<Result<Vec<_>>>()?;
        Ok(Target {
            table: Table::new(relation)?,
            key_columns: key_columns(relation, &indexes),
            indexes,
            hidden: plan.hidden.clone(),
            primary: plan.indexes.iter().find(|i| i.index.is_primary).map(|i| i.index.clone()),
            generated: plan
                .generated
                .iter()
                .map(|(a, e)| Ok(((*a as usize).wrapping_sub(1), Program::compile(e)?)))
                .collect::<Result<_>>()?,
            not_null: relation
                .columns
                .iter()
                .enumerate()
                .filter(|(_, c)| c.not_null && !c.is_dropped)
                .map(|(i, _)| i)
                .collect(),
            checks: named(&plan.checks)?,
            view_checks: named(&plan.view_checks)?,
            references: plan.references.iter().map(super::foreign_key::ForeignKeyShape::new).collect::<Result<_>>()?,
            referenced_by: plan
                .referenced_by
                .iter()
                .map(super::foreign_key::ForeignKeyShape::new)
                .collect::<Result<_>>()?,
        })
    }

    pub fn width(&self) -> usize {
        self.table.types.len()
    }

    /// A stored row as the expressions of its target read it: attribute n at `n - 1`, what is hidden behind them.
    pub fn image<'r>(&self, row: &'r StoredRow) -> Result<Cow<'r, [Datum]>> {
        if self.hidden.is_empty() {
            return Ok(Cow::Borrowed(&row.values));
        }
        // A version in the making has no time yet.
        image(&self.table, row, Timestamp::ZERO, &self.hidden).map(Cow::Owned)
    }

    /// Computes generated columns and checks what the row alone tells.
    pub fn complete(&self, env: &EvalContext<'_>, row: &mut Vec<Datum>, tail: Option<&Jsonb>) -> Result<()> {
        let width = self.width();
        // Expressions of the catalog read the undeclared part and nothing else that is hidden.
        let part = |what: &ScanColumn| match (what, tail) {
            (ScanColumn::Tail, Some(tail)) => Datum::Jsonb(tail.clone()),
            _ => Datum::Null,
        };
        row.extend(self.hidden.iter().map(part));
        let completed = self.complete_image(env, row);
        row.truncate(width);
        completed
    }

    fn complete_image(&self, env: &EvalContext<'_>, row: &mut [Datum]) -> Result<()> {
        for (column, program) in &self.generated {
            let value = program.eval_row(env, RowRef::Datums(row))?;
            if let Some(place) = row.get_mut(*column) {
                *place = value;
            }
        }
        for column in &self.not_null {
            if row.get(*column).is_none_or(Datum::is_null) {
                return Err(violation::not_null(env, &self.table, *column, row));
            }
        }
        for (name, program) in &self.checks {
            if !violation::passes(&program.eval_row(env, RowRef::Datums(row))?) {
                return Err(violation::check(env, &self.table, name, row));
            }
        }
        Ok(())
    }

    fn check_views(&self, env: &EvalContext<'_>, row: &[Datum]) -> Result<()> {
        for (view, program) in &self.view_checks {
            // Here NULL does not pass.
            if !matches!(program.eval_row(env, RowRef::Datums(row))?, Datum::Bool(true)) {
                return Err(violation::view_check(env, &self.table, view, row));
            }
        }
        Ok(())
    }

    /// Key and slot for a new row.
    pub fn place(&self, env: &EvalContext<'_>, row: &[Datum]) -> Result<(Vec<u8>, u16)> {
        let mut key = Vec::with_capacity(32);
        match self.table.has_hidden_key() {
            true => key.extend_from_slice(&env.gateway.new_row_id()),
            false => self.table.encode_key(row, &mut key)?,
        }
        let slot = self.table.slot(&key, row);
        Ok((key, slot))
    }

    /// The primary key's values of a row.
    fn primary_values(&self, row: &[Datum]) -> Vec<Datum> {
        let key = &self.table.relation.key;
        key.iter().map(|a| row.get((*a as usize).wrapping_sub(1)).cloned().unwrap_or_default()).collect()
    }

    pub fn primary_violation(&self, env: &EvalContext<'_>, row: &[Datum]) -> SqlError {
        match &self.primary {
            Some(index) => violation::unique(env, &self.table.relation, index, &self.primary_values(row)),
            None => {
                let key = &self.table.relation.key;
                let detail = violation::attributes_key(env, &self.table.relation, key, &self.primary_values(row));
                let name = format!("{}_pkey", self.table.relation.name);
                SqlError::new(
                    SqlState::UNIQUE_VIOLATION,
                    format!("duplicate key value violates unique constraint \"{name}\""),
                )
                .detail(format!("Key {detail} already exists."))
                .constraint(name)
            }
        }
    }

    pub fn put(&self, txn: &Transaction, row: &StoredRow) -> Result<()> {
        let mut bytes = Vec::with_capacity(128);
        self.table.encode(row.slot, &row.values, row.tail.as_ref(), &mut bytes);
        Ok(txn.put(&self.table.at, row.slot, &row.key, &bytes)?)
    }

    /// Inserts a completed row.
    pub async fn insert(
        &self,
        env: &EvalContext<'_>,
        txn: &Transaction,
        values: Vec<Datum>,
        tail: Option<Jsonb>,
        pending: &mut Pending,
    ) -> Result<StoredRow> {
        let (key, slot) = self.place(env, &values)?;
        let row = StoredRow { slot, key, values, tail };
        self.claim(env, txn, &row).await?;
        self.put(txn, &row)?;
        self.fill_indexes(env, txn, &row, pending).await?;
        self.check_views(env, &row.values)?;
        Ok(row)
    }

    /// Locks the primary key of a new row; 23505 if there is a row. A hidden key is nobody else's.
    async fn claim(&self, env: &EvalContext<'_>, txn: &Transaction, row: &StoredRow) -> Result<()> {
        if self.table.has_hidden_key() {
            return Ok(txn.enter(&self.table.at).await?);
        }
        let claim = txn.claim(&self.table.at, row.slot, &row.key, |locked| matches!(locked, Locked::Row { .. }));
        match claim.await? {
            true => Err(self.primary_violation(env, &row.values)),
            false => Ok(()),
        }
    }

    async fn add_entry(
        &self,
        env: &EvalContext<'_>,
        txn: &Transaction,
        index: &WriteIndex,
        entry: &Entry,
        keys: &[Datum],
        pending: &mut Pending,
    ) -> Result<()> {
        let shape = &index.shape;
        if entry.is_exclusive && !shape.is_deferrable {
            let claim = txn.claim(&shape.at, entry.slot, &entry.key, |locked| shape.holder(entry, &locked));
            match claim.await?? {
                Holder::Nobody => {}
                // While the index is filled, who writes and who fills may both come to it.
                Holder::SameRow if !shape.is_public() => {}
                _ => return Err(violation::unique(env, &self.table.relation, &shape.index, keys)),
            }
        }
        txn.put(&shape.at, entry.slot, &entry.key, &entry.value)?;
        if entry.is_exclusive && shape.is_deferrable {
            pending.unique(super::deferred::unique(self, index, entry, keys)?);
        }
        Ok(())
    }

    /// Adds the entries of a row that is stored already.
    pub async fn fill_indexes(
        &self,
        env: &EvalContext<'_>,
        txn: &Transaction,
        row: &StoredRow,
        pending: &mut Pending,
    ) -> Result<()> {
        if self.indexes.is_empty() {
            return Ok(());
        }
        let image = self.image(row)?;
        for index in &self.indexes {
            if let Some((entry, keys)) = index.entry(env, &image, row.slot, &row.key)? {
                self.add_entry(env, txn, index, &entry, &keys, pending).await?;
            }
        }
        Ok(())
    }

    async fn remove_entry(&self, txn: &Transaction, index: &WriteIndex, entry: &Entry) -> Result<()> {
        let shape = &index.shape;
        if entry.is_exclusive && !shape.is_deferrable {
            // Who wants to insert this key waits until it is known whether it is gone.
            if shape.is_public() {
                txn.lock(&shape.at, entry.slot, &entry.key, LockMode::Update, WaitPolicy::Wait, |_| ()).await?;
            } else {
                // Not all entries are there yet, and this one may be another row's.
                let claim = txn.claim(&shape.at, entry.slot, &entry.key, |locked| shape.holder(entry, &locked));
                if claim.await?? != Holder::SameRow {
                    return Ok(());
                }
            }
        }
        Ok(txn.delete(&shape.at, entry.slot, &entry.key)?)
    }

    /// Replaces a row that is locked FOR NO KEY UPDATE by a completed one.
    pub async fn update(
        &self,
        env: &EvalContext<'_>,
        txn: &Transaction,
        old: &StoredRow,
        values: Vec<Datum>,
        tail: Option<Jsonb>,
        pending: &mut Pending,
    ) -> Result<StoredRow> {
        self.lock_key(txn, old, &values).await?;
        let row = match self.table.has_hidden_key() {
            true => {
                let slot = self.table.slot(&old.key, &values);
                StoredRow { slot, key: old.key.clone(), values, tail }
            }
            false => {
                let (key, slot) = self.place(env, &values)?;
                StoredRow { slot, key, values, tail }
            }
        };
        if row.key != old.key {
            self.claim(env, txn, &row).await?;
        }
        if row.key != old.key {
            txn.note_moved(&self.table.at, &old.key, row.slot, &row.key);
        }
        if row.key != old.key || row.slot != old.slot {
            txn.delete(&self.table.at, old.slot, &old.key)?;
        }
        self.put(txn, &row)?;
        let (old_image, image) = (self.image(old)?, self.image(&row)?);
        for index in &self.indexes {
            let before = index.entry(env, &old_image, old.slot, &old.key)?;
            let after = index.entry(env, &image, row.slot, &row.key)?;
            match (before, after) {
                (Some((before, _)), Some((after, _))) if before == after => {}
                // Same place, other content (another row key, an INCLUDE column).
                (Some((before, _)), Some((after, _)))
                    if before.key == after.key && before.slot == after.slot && index.shape.is_public() =>
                {
                    txn.put(&index.shape.at, after.slot, &after.key, &after.value)?;
                }
                (before, after) => {
                    if let Some((before, _)) = before {
                        self.remove_entry(txn, index, &before).await?;
                    }
                    if let Some((after, keys)) = after {
                        self.add_entry(env, txn, index, &after, &keys, pending).await?;
                    }
                }
            }
        }
        drop(image);
        self.check_views(env, &row.values)?;
        Ok(row)
    }

    /// Deletes a locked row.
    pub async fn delete(&self, env: &EvalContext<'_>, txn: &Transaction, row: &StoredRow) -> Result<()> {
        txn.delete(&self.table.at, row.slot, &row.key)?;
        if self.indexes.is_empty() {
            return Ok(());
        }
        let image = self.image(row)?;
        for index in &self.indexes {
            if let Some((entry, _)) = index.entry(env, &image, row.slot, &row.key)? {
                self.remove_entry(txn, index, &entry).await?;
            }
        }
        Ok(())
    }

    /// A key that others may name changes: that takes the stronger lock, as in PostgreSQL. (One that is assigned its old value does not.)
    async fn lock_key(&self, txn: &Transaction, old: &StoredRow, values: &[Datum]) -> Result<()> {
        let is_same =
            |column: &usize| match (self.table.types.get(*column), old.values.get(*column), values.get(*column)) {
                (Some(ty), Some(a), Some(b)) if !a.is_null() && !b.is_null() => compare(*ty, a, b).is_eq(),
                (_, a, b) => a.is_none_or(Datum::is_null) && b.is_none_or(Datum::is_null),
            };
        if self.key_columns.iter().all(is_same) {
            return Ok(());
        }
        Ok(txn.lock(&self.table.at, old.slot, &old.key, LockMode::Update, WaitPolicy::Wait, |_| ()).await?)
    }

    /// Locks a row that the statement is about and reads its newest version. None: gone, or never seen.
    pub async fn lock(&self, txn: &Transaction, slot: u16, key: &[u8], mode: LockMode) -> Result<Option<LockedRow>> {
        let read = |locked: Locked<'_>| self.found(slot, key, locked);
        Ok(txn.lock_shown(&self.table.at, slot, key, mode, WaitPolicy::Wait, read).await??.row())
    }

    /// The same for a row that a scan found: one that got another key meanwhile is followed, as in PostgreSQL (READ COMMITTED), and
    /// has `changed` then.
    pub async fn lock_found(
        &self,
        txn: &Transaction,
        slot: u16,
        key: &[u8],
        mode: LockMode,
    ) -> Result<Option<LockedRow>> {
        let read = |locked: Locked<'_>| self.found(slot, key, locked);
        let mut found = txn.lock_shown(&self.table.at, slot, key, mode, WaitPolicy::Wait, read).await??;
        for _ in 0..MOVES_MAX {
            let Found::Moved(slot, key) = found else { break };
            found = self.lock_as(txn, slot, &key, mode, WaitPolicy::Wait).await?;
        }
        Ok(found.row())
    }

    /// Locks a row of which the newest version counts, whatever the statement sees. None: gone.
    pub async fn lock_newest(
        &self,
        txn: &Transaction,
        slot: u16,
        key: &[u8],
        mode: LockMode,
    ) -> Result<Option<LockedRow>> {
        Ok(self.lock_as(txn, slot, key, mode, WaitPolicy::Wait).await?.row())
    }

    /// The same, with a choice of what to do about a lock that another holds.
    pub async fn lock_as(
        &self,
        txn: &Transaction,
        slot: u16,
        key: &[u8],
        mode: LockMode,
        wait: WaitPolicy,
    ) -> Result<Found> {
        txn.lock(&self.table.at, slot, key, mode, wait, |locked| self.found(slot, key, locked)).await?
    }

    fn found(&self, slot: u16, key: &[u8], locked: Locked<'_>) -> Result<Found> {
        match locked {
            Locked::Row { value, ts, changed } => {
                let (view, layout) = self.table.view(value)?;
                let width = self.table.types.len() as i16;
                let values = (1..=width).map(|n| layout.column(&view, n)).collect::<Result<_>>()?;
                let row = StoredRow { slot, key: key.to_vec(), values, tail: view.tail() };
                Ok(Found::Row(Box::new(LockedRow { row, ts, changed })))
            }
            Locked::Absent { .. } => Ok(Found::Gone),
            Locked::Moved { slot, key } => Ok(Found::Moved(slot, key.to_vec())),
            Locked::Skipped => Ok(Found::Held),
        }
    }
}

/// Attributes (n - 1) that some key is made of.
fn key_columns(relation: &Relation, indexes: &[WriteIndex]) -> Vec<usize> {
    let attributes = (1..).zip(&relation.columns).map(|(attribute, _)| attribute);
    let is_key = |attribute: &i16| {
        relation.key.contains(attribute)
            || indexes.iter().any(|i| {
                i.shape.is_unique
                    && i.predicate.is_none()
                    && i.shape.index.columns.iter().any(|c| c.source == IndexSource::Column(*attribute))
            })
    };
    attributes.filter(is_key).map(|attribute| attribute as usize - 1).collect()
}

/// A row's attributes, and behind them those of its other parts that are wanted.
pub(crate) fn image(table: &Table, row: &StoredRow, ts: Timestamp, hidden: &[ScanColumn]) -> Result<Vec<Datum>> {
    let mut values = Vec::with_capacity(row.values.len() + hidden.len());
    values.extend_from_slice(&row.values);
    for what in hidden {
        values.push(part(table, row, ts, *what)?);
    }
    Ok(values)
}

/// One part of a row that is at hand.
pub(crate) fn part(table: &Table, row: &StoredRow, ts: Timestamp, what: ScanColumn) -> Result<Datum> {
    let attribute = |n: i16| row.values.get((n as usize).wrapping_sub(1)).cloned().unwrap_or_default();
    Ok(match what {
        ScanColumn::Attribute(n) => attribute(n),
        ScanColumn::WholeRow => whole_row(table, |n| Ok(attribute(n)))?,
        ScanColumn::CommitTimestamp if ts == Timestamp::ZERO => Datum::Null,
        ScanColumn::CommitTimestamp => Datum::Int8(ts.0 as i64),
        ScanColumn::ValidFrom | ScanColumn::ValidTo => return Err(period_elsewhere()),
        ScanColumn::Tail => row.tail.clone().map_or(Datum::Null, Datum::Jsonb),
        ScanColumn::TableOid => Datum::Oid(table.relation.id),
        ScanColumn::RowKey => row_key(row.slot, &row.key),
        ScanColumn::Document => {
            let mut bytes = Vec::new();
            table.encode(row.slot, &row.values, row.tail.as_ref(), &mut bytes);
            let (view, layout) = table.view(&bytes)?;
            crate::document::whole(table, &view, layout)?
        }
    })
}

/// What a lock that was asked for shows.
pub(crate) enum Found {
    Row(Box<LockedRow>),
    Gone,
    /// It stands under another key now.
    Moved(u16, Vec<u8>),
    /// `WaitPolicy::Skip`, and another holds it.
    Held,
}

impl Found {
    fn row(self) -> Option<LockedRow> {
        match self {
            Found::Row(row) => Some(*row),
            Found::Gone | Found::Moved(..) | Found::Held => None,
        }
    }
}

pub(crate) struct LockedRow {
    pub row: StoredRow,
    pub ts: txn::Timestamp,
    pub changed: bool,
}
