//! Foreign keys, from both sides, at the end of the statement (or of the transaction, where deferred).
//!
//! **Child side.** A row with a new reference locks the parent's key FOR KEY SHARE: the primary key's row, or the entry of the unique
//! index. If it is absent, 23503. The lock (and the span it leaves) keeps the parent until the commit.
//!
//! **Parent side.** A row that lost its key is locked FOR UPDATE already, so no new child can be committed before this transaction
//! ends; children that were committed after this statement's snapshot must be seen all the same. At READ COMMITTED the end of the
//! statement takes a new snapshot; at REPEATABLE READ the newest children are looked at through a second transaction and locked
//! through this one, which gives 40001 for those its snapshot does not hold; at SERIALIZABLE the read spans do it.

use super::target::{StoredRow, Target};
use super::{deferred, violation};
use crate::context::BoxFuture;
use crate::expr::EvalContext;
use crate::index::IndexShape;
use crate::rows::Table;
use crate::stored;
use catalog::{Constraint, ConstraintKind, ForeignKey, Index, IndexSource, ReferentialAction, Relation};
use foldhash::HashSet;
use sql::physical::PlanForeignKey;
use std::ops::ControlFlow;
use std::sync::Arc;
use txn::{Direction, Isolation, KeyRange, LockMode, Locked, Transaction, TxnError, TxnOptions, WaitPolicy};
use types::key::{self, KeyOrder, prefix_end};
use types::{Datum, Result, SqlError, SqlState, SqlType, compare};

/// How deep cascades may go.
const CASCADE_DEPTH_MAX: usize = 100;
/// References that a statement gathers before it looks which of them are there already.
const CHILDREN_GATHERED: usize = 10_000;
/// What one statement may leave to be checked at its end.
const PENDING_MAX: usize = 5_000_000;
/// Child rows read at a time.
const ROWS_AT_ONCE: usize = 1024;

/// A foreign key with what checking it needs.
pub(crate) struct ForeignKeyShape {
    pub constraint: Constraint,
    pub key: ForeignKey,
    pub child: Arc<Table>,
    pub parent: Arc<Table>,
    /// None: the parent's primary key.
    parent_index: Option<IndexShape>,
    child_path: ChildPath,
    child_types: Vec<SqlType>,
    parent_types: Vec<SqlType>,
}

/// How the rows that refer to a parent are found.
enum ChildPath {
    PrimaryKey,
    Index(Box<IndexShape>),
    Scan,
}

fn types_of(table: &Table, attributes: &[i16]) -> Vec<SqlType> {
    attributes
        .iter()
        .map(|a| table.types.get((*a as usize).wrapping_sub(1)).copied().unwrap_or(SqlType::UNKNOWN))
        .collect()
}

pub(crate) fn pick(row: &[Datum], attributes: &[i16]) -> Vec<Datum> {
    attributes.iter().map(|a| row.get((*a as usize).wrapping_sub(1)).cloned().unwrap_or_default()).collect()
}

impl ForeignKeyShape {
    pub fn new(plan: &PlanForeignKey) -> Result<Arc<ForeignKeyShape>> {
        let child_path = match (&plan.child_index, plan.child_uses_primary_key) {
            (Some(index), _) if !index.is_primary => ChildPath::Index(Box::new(IndexShape::new(&plan.child, index))),
            (_, true) | (Some(_), false) => ChildPath::PrimaryKey,
            (None, false) => ChildPath::Scan,
        };
        ForeignKeyShape::make(&plan.constraint, &plan.child, &plan.parent, plan.parent_index.as_ref(), child_path)
    }

    fn make(
        constraint: &Constraint,
        child: &Arc<Relation>,
        parent: &Arc<Relation>,
        parent_index: Option<&Arc<Index>>,
        child_path: ChildPath,
    ) -> Result<Arc<ForeignKeyShape>> {
        let ConstraintKind::ForeignKey(key) = &constraint.kind else {
            return Err(SqlError::internal("a constraint that is no foreign key"));
        };
        let (child, parent_table) = (Table::new(child)?, Table::new(parent)?);
        Ok(Arc::new(ForeignKeyShape {
            child_types: types_of(&child, &key.columns),
            parent_types: types_of(&parent_table, &key.target_columns),
            constraint: constraint.clone(),
            key: key.clone(),
            parent_index: parent_index.filter(|i| !i.is_primary).map(|i| IndexShape::new(parent, i)),
            child_path,
            child,
            parent: parent_table,
        }))
    }

    /// From the catalog alone: for relations that a cascade comes to.
    pub fn of_catalog(
        env: &EvalContext<'_>,
        child: &Arc<Relation>,
        constraint: &Constraint,
    ) -> Result<Arc<ForeignKeyShape>> {
        let ConstraintKind::ForeignKey(key) = &constraint.kind else {
            return Err(SqlError::internal("a constraint that is no foreign key"));
        };
        let parent = env
            .catalog
            .relation(key.target)
            .ok_or_else(|| SqlError::internal("a foreign key points to a relation that is gone"))?;
        let begins = |index: &&Arc<Index>| {
            let columns: Vec<_> = index.columns.iter().take(key.columns.len()).map(|c| &c.source).collect();
            index.predicate.is_none()
                && index.state == catalog::IndexState::Public
                && columns.len() == key.columns.len()
                && columns.iter().zip(&key.columns).all(|(source, a)| **source == IndexSource::Column(*a))
        };
        let path = match env.catalog.indexes_of(child).find(begins) {
            Some(index) if index.is_primary => ChildPath::PrimaryKey,
            Some(index) => ChildPath::Index(Box::new(IndexShape::new(child, index))),
            None => ChildPath::Scan,
        };
        ForeignKeyShape::make(constraint, child, parent, env.catalog.index(key.target_index), path)
    }

    fn is_deferred(&self, env: &EvalContext<'_>) -> bool {
        self.constraint.deferrable && env.session.is_deferred(self.constraint.id, self.constraint.initially_deferred)
    }
}

/// Values of the other side's types: foreign keys may join types that compare with each other.
fn convert_all(env: &EvalContext<'_>, values: &[Datum], from: &[SqlType], to: &[SqlType]) -> Result<Vec<Datum>> {
    values.iter().zip(from).zip(to).map(|((v, from), to)| stored::convert(env, v, *from, *to)).collect()
}

/// A parent that a new or changed child row refers to.
pub(super) struct Reference {
    pub shape: Arc<ForeignKeyShape>,
    /// Of the child's types.
    pub values: Vec<Datum>,
    /// Where the constraint may be checked later, the row: it may be gone by then, or refer to another parent.
    row: Option<RowKey>,
    /// The row has another key and nothing else is new: of interest where its check has been put off, which would not find it.
    has_moved: bool,
}

impl Reference {
    pub async fn still_stands(&self, txn: &Transaction) -> Result<bool> {
        let Some((slot, key)) = &self.row else { return Ok(true) };
        let shape = &self.shape;
        let is_same = |row: Option<&[u8]>| -> Result<bool> {
            let Some(row) = row else { return Ok(false) };
            let (view, layout) = shape.child.view(row)?;
            let now = shape.key.columns.iter().map(|attribute| layout.column(&view, *attribute));
            Ok(equal(&shape.child_types, &now.collect::<Result<Vec<_>>>()?, &self.values))
        };
        txn.get(&shape.child.at, *slot, key, |row, _| is_same(row)).await?
    }
}

/// What a statement leaves to be checked at its end.
#[derive(Default)]
pub(crate) struct Pending {
    /// References of new and changed child rows: each key once, or where the constraint is deferrable each row's.
    children: Vec<Reference>,
    seen: HashSet<(u32, Vec<u8>)>,
    /// How many children there must be for the next `shrink`.
    shrink_at: usize,
    /// Parents that are gone (None) or have another key.
    parents: Vec<(Arc<ForeignKeyShape>, Vec<Datum>, Option<Vec<Datum>>)>,
    /// Keys of deferrable unique constraints.
    uniques: Vec<deferred::DeferredCheck>,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.children.is_empty() && self.parents.is_empty() && self.uniques.is_empty()
    }

    pub fn inserted(&mut self, target: &Target, row: &StoredRow) {
        for shape in &target.references {
            self.child(shape, row, false);
        }
    }

    pub fn unique(&mut self, check: deferred::DeferredCheck) {
        self.uniques.push(check);
    }

    fn child(&mut self, shape: &Arc<ForeignKeyShape>, row: &StoredRow, has_moved: bool) {
        let values = pick(&row.values, &shape.key.columns);
        if values.iter().all(Datum::is_null) || (!shape.key.match_full && values.iter().any(Datum::is_null)) {
            return;
        }
        let mut bytes = Vec::new();
        for (ty, value) in shape.child_types.iter().zip(&values) {
            key::encode(*ty, value, KeyOrder::ASC, &mut bytes);
        }
        let place = shape.constraint.deferrable.then(|| (row.slot, row.key.clone()));
        if let Some((slot, key)) = &place {
            bytes.extend_from_slice(&slot.to_be_bytes());
            bytes.extend_from_slice(key);
        }
        if self.seen.insert((shape.constraint.id, bytes)) {
            self.children.push(Reference { shape: shape.clone(), values, row: place, has_moved });
        }
    }

    pub fn updated(&mut self, target: &Target, old: &StoredRow, new: &StoredRow) {
        for shape in &target.references {
            self.reference_updated(shape, old, new);
        }
        for shape in &target.referenced_by {
            self.parent_updated(shape, old, new);
        }
    }

    fn reference_updated(&mut self, shape: &Arc<ForeignKeyShape>, old: &StoredRow, new: &StoredRow) {
        let columns = &shape.key.columns;
        if !equal(&shape.child_types, &pick(&old.values, columns), &pick(&new.values, columns)) {
            self.child(shape, new, false);
        } else if shape.constraint.deferrable && (old.key != new.key || old.slot != new.slot) {
            self.child(shape, new, true);
        }
    }

    fn parent_updated(&mut self, shape: &Arc<ForeignKeyShape>, old: &StoredRow, new: &StoredRow) {
        let columns = &shape.key.target_columns;
        let (before, after) = (pick(&old.values, columns), pick(&new.values, columns));
        if !before.iter().any(Datum::is_null) && !equal(&shape.parent_types, &before, &after) {
            self.parents.push((shape.clone(), before, Some(after)));
        }
    }

    pub fn deleted(&mut self, target: &Target, old: &StoredRow) {
        for shape in &target.referenced_by {
            let before = pick(&old.values, &shape.key.target_columns);
            if !before.iter().any(Datum::is_null) {
                self.parents.push((shape.clone(), before, None));
            }
        }
    }

    fn count(&self) -> usize {
        self.children.len() + self.parents.len() + self.uniques.len()
    }

    /// Between two rows of a long statement: of the references gathered, only those stay whose parent is not there yet (a
    /// later row may be it). 54000 where even so too much is left.
    pub async fn shrink(&mut self, env: &EvalContext<'_>, txn: &Transaction) -> Result<()> {
        if self.children.len() >= self.shrink_at.max(CHILDREN_GATHERED) && self.parents.is_empty() {
            self.seen.clear();
            for reference in std::mem::take(&mut self.children) {
                let Reference { shape, values, has_moved, .. } = &reference;
                let is_settled = !shape.is_deferred(env)
                    && (*has_moved
                        || !values.iter().any(Datum::is_null) && parent_exists(shape, values, env, txn).await?);
                if !is_settled {
                    self.children.push(reference);
                }
            }
            // Those that stay are not looked at each time.
            self.shrink_at = self.children.len() * 2;
        }
        if self.count() <= PENDING_MAX {
            return Ok(());
        }
        let message = format!("a statement can leave {PENDING_MAX} checks of constraints to its end");
        Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).hint("Write the rows in several statements."))
    }

    /// Carries out the referential actions and checks what is to be checked now.
    pub async fn settle(mut self, env: &EvalContext<'_>, txn: &Transaction) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        refresh(txn).await?;
        settle(&mut self, env, txn, 0).await
    }
}

/// Lets the checks see what the statement wrote and, at READ COMMITTED, what others have committed meanwhile.
pub(super) async fn refresh(txn: &Transaction) -> Result<()> {
    match txn.isolation() {
        Isolation::ReadCommitted => txn.begin_statement().await?,
        _ => txn.next_command(),
    }
    Ok(())
}

fn settle<'a>(
    pending: &'a mut Pending,
    env: &'a EvalContext<'_>,
    txn: &'a Transaction,
    depth: usize,
) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if depth > CASCADE_DEPTH_MAX {
            return violation::too_deep();
        }
        let mut further = Pending::default();
        for (shape, old, new) in std::mem::take(&mut pending.parents) {
            parent_changed(&shape, &old, new.as_deref(), env, txn, &mut further).await?;
        }
        if !further.is_empty() {
            txn.next_command();
            settle(&mut further, env, txn, depth + 1).await?;
        }
        // Asked for before this statement's own are put off: of a relation that has none waiting no row's is.
        let mut waiting: Vec<(types::Oid, bool)> = vec![];
        for reference in std::mem::take(&mut pending.children) {
            let relation = reference.shape.child.relation.id;
            match (reference.shape.is_deferred(env), reference.has_moved) {
                (true, true) if !has_waiting(&mut waiting, relation, env) => {}
                (true, _) => env.session.defer(deferred::child(reference)),
                (false, true) => {}
                (false, false) => check_child(&reference.shape, &reference.values, env, txn).await?,
            }
        }
        for check in std::mem::take(&mut pending.uniques) {
            match check.is_deferred(env) {
                true => env.session.defer(check),
                false => check.run(env, txn).await?,
            }
        }
        Ok(())
    })
}

/// Whether checks of the relation's rows have been put off; each relation is asked about once.
fn has_waiting(known: &mut Vec<(types::Oid, bool)>, relation: types::Oid, env: &EvalContext<'_>) -> bool {
    if let Some((_, has)) = known.iter().find(|(id, _)| *id == relation) {
        return *has;
    }
    let has = env.session.has_put_off(relation);
    known.push((relation, has));
    has
}

fn equal(types: &[SqlType], a: &[Datum], b: &[Datum]) -> bool {
    types.iter().zip(a).zip(b).all(|((ty, a), b)| match (a.is_null(), b.is_null()) {
        (true, true) => true,
        (false, false) => compare::compare(*ty, a, b).is_eq(),
        _ => false,
    })
}

/// The parent's key as its index has it.
fn parent_key(shape: &ForeignKeyShape, values: &[Datum]) -> Result<(txn::RelationRef, u16, Vec<u8>)> {
    if let Some(index) = &shape.parent_index {
        // The index's columns may stand in another order than the constraint's.
        let ordered: Vec<Datum> = index
            .index
            .columns
            .iter()
            .map(|c| {
                let place = shape.key.target_columns.iter().position(|a| c.source == IndexSource::Column(*a));
                place.and_then(|p| values.get(p)).cloned().unwrap_or_default()
            })
            .collect();
        let entry = index.entry(&ordered, &[], 0, &[])?;
        let slot = match index.slot_of_columns(&entry.key) {
            Some(slot) => slot,
            None => distribution_slot(&shape.parent, &shape.key.target_columns, values, &entry.key),
        };
        return Ok((index.at, slot, entry.key));
    }
    let relation = &shape.parent.relation;
    let ordered: Vec<Datum> = relation
        .key
        .iter()
        .map(|k| {
            let place = shape.key.target_columns.iter().position(|a| a == k);
            place.and_then(|p| values.get(p)).cloned().unwrap_or_default()
        })
        .collect();
    let mut bytes = Vec::new();
    for (ty, value) in types_of(&shape.parent, &relation.key).iter().zip(&ordered) {
        key::encode(*ty, value, KeyOrder::ASC, &mut bytes);
    }
    let slot = distribution_slot(&shape.parent, &shape.key.target_columns, values, &bytes);
    Ok((shape.parent.at, slot, bytes))
}

fn distribution_slot(table: &Table, attributes: &[i16], values: &[Datum], key: &[u8]) -> u16 {
    let mut row = vec![Datum::Null; table.types.len()];
    for (attribute, value) in attributes.iter().zip(values) {
        if let Some(place) = row.get_mut((*attribute as usize).wrapping_sub(1)) {
            *place = value.clone();
        }
    }
    // A primary key that is its own distribution is hashed as it is.
    let mut primary = Vec::new();
    match table.relation.distribution.is_empty() && !table.relation.key.is_empty() {
        true => {
            for (ty, value) in types_of(table, &table.relation.key).iter().zip(pick(&row, &table.relation.key)) {
                key::encode(*ty, &value, KeyOrder::ASC, &mut primary);
            }
            table.slot(&primary, &row)
        }
        false => table.slot(key, &row),
    }
}

/// Whether there is a parent with this key; locks it FOR KEY SHARE.
async fn parent_exists(
    shape: &ForeignKeyShape,
    values: &[Datum],
    env: &EvalContext<'_>,
    txn: &Transaction,
) -> Result<bool> {
    let values = convert_all(env, values, &shape.child_types, &shape.parent_types)?;
    let (at, slot, key) = parent_key(shape, &values)?;
    if txn.isolation() == Isolation::RepeatableRead && !txn.get(&at, slot, &key, |row, _| row.is_some()).await? {
        return Ok(false); // as in PostgreSQL, a parent that came after the snapshot is none
    }
    let is_there = |locked: Locked<'_>| matches!(locked, Locked::Row { .. });
    Ok(txn.lock_parent(&at, slot, &key, is_there).await?)
}

pub(super) async fn check_child(
    shape: &ForeignKeyShape,
    values: &[Datum],
    env: &EvalContext<'_>,
    txn: &Transaction,
) -> Result<()> {
    let (child, name) = (&shape.child.relation, &shape.constraint.name);
    if shape.key.match_full && values.iter().any(Datum::is_null) {
        let detail = "MATCH FULL does not allow mixing of null and nonnull key values.".to_owned();
        return Err(violation::foreign_key_child(env, child, name, detail));
    }
    if parent_exists(shape, values, env, txn).await? {
        return Ok(());
    }
    let key = violation::attributes_key(env, child, &shape.key.columns, values);
    let parent = violation::as_now(env, &shape.parent.relation);
    let detail = format!("Key {key} is not present in table \"{}\".", parent.name);
    Err(violation::foreign_key_child(env, child, name, detail))
}

/// A parent's key is gone or another: what its children are to do.
async fn parent_changed(
    shape: &Arc<ForeignKeyShape>,
    old: &[Datum],
    new: Option<&[Datum]>,
    env: &EvalContext<'_>,
    txn: &Transaction,
    further: &mut Pending,
) -> Result<()> {
    let action = if new.is_some() { shape.key.on_update } else { shape.key.on_delete };
    match action {
        ReferentialAction::NoAction if shape.is_deferred(env) => {
            env.session.defer(deferred::parent(shape.clone(), old.to_vec()));
            Ok(())
        }
        ReferentialAction::NoAction | ReferentialAction::Restrict => {
            check_parent(shape, old, action == ReferentialAction::NoAction, env, txn).await
        }
        _ => act(shape, old, new, action, env, txn, further).await,
    }
}

pub(super) async fn check_parent(
    shape: &ForeignKeyShape,
    old: &[Datum],
    may_be_replaced: bool,
    env: &EvalContext<'_>,
    txn: &Transaction,
) -> Result<()> {
    let values = convert_all(env, old, &shape.parent_types, &shape.child_types)?;
    if find_children(shape, &values, 1, Newer::Counts, env, txn).await?.is_empty() {
        return Ok(());
    }
    // NO ACTION is content if the key is there again at the end.
    if may_be_replaced && parent_exists(shape, &values, env, txn).await? {
        return Ok(());
    }
    let key = violation::attributes_key(env, &shape.parent.relation, &shape.key.target_columns, old);
    let (parent, child) = (&shape.parent.relation, &shape.child.relation);
    Err(violation::foreign_key_parent(env, parent, child, &shape.constraint.name, &key))
}

/// CASCADE, SET NULL, SET DEFAULT.
async fn act(
    shape: &Arc<ForeignKeyShape>,
    old: &[Datum],
    new: Option<&[Datum]>,
    action: ReferentialAction,
    env: &EvalContext<'_>,
    txn: &Transaction,
    further: &mut Pending,
) -> Result<()> {
    let values = convert_all(env, old, &shape.parent_types, &shape.child_types)?;
    let children = find_children(shape, &values, usize::MAX, Newer::Conflicts, env, txn).await?;
    if children.is_empty() {
        return Ok(());
    }
    let target = super::deferred::catalog_target(
        env,
        &shape.child.relation,
        new.is_none() && action == ReferentialAction::Cascade,
    )?;
    txn.enter(&shape.child.at).await?;
    for (slot, key) in children {
        let Some(locked) = target.lock_newest(txn, slot, &key, LockMode::Update).await? else { continue };
        let row = locked.row;
        if !equal(&shape.child_types, &pick(&row.values, &shape.key.columns), &values) {
            continue;
        }
        match (action, new) {
            (ReferentialAction::Cascade, None) => {
                target.delete(env, txn, &row).await?;
                further.deleted(&target, &row);
            }
            _ => change_child(shape, &target, row, action, new, env, txn, further).await?,
        }
    }
    if action == ReferentialAction::SetDefault {
        // Where the default is the key that is gone, the children are what they were, and nothing else would look at them.
        txn.next_command();
        check_parent(shape, old, true, env, txn).await?;
    }
    Ok(())
}

async fn change_child(
    shape: &ForeignKeyShape,
    target: &Target,
    row: StoredRow,
    action: ReferentialAction,
    new: Option<&[Datum]>,
    env: &EvalContext<'_>,
    txn: &Transaction,
    further: &mut Pending,
) -> Result<()> {
    let mut values = row.values.clone();
    // ON DELETE SET NULL/DEFAULT may name some of the columns.
    let chosen = match (new.is_none(), shape.key.delete_set_columns.is_empty()) {
        (true, false) => &shape.key.delete_set_columns,
        _ => &shape.key.columns,
    };
    for (i, attribute) in shape.key.columns.iter().enumerate().filter(|(_, a)| chosen.contains(a)) {
        let value = match (action, new) {
            (ReferentialAction::Cascade, Some(new)) => {
                let from = shape.parent_types.get(i).copied().unwrap_or(SqlType::UNKNOWN);
                let to = shape.child_types.get(i).copied().unwrap_or(SqlType::UNKNOWN);
                stored::convert(env, new.get(i).unwrap_or(&Datum::Null), from, to)?
            }
            (ReferentialAction::SetDefault, _) => {
                deferred::default_value(env, &target.table.relation, *attribute).await?
            }
            _ => Datum::Null,
        };
        if let Some(place) = values.get_mut((*attribute as usize).wrapping_sub(1)) {
            *place = value;
        }
    }
    target.complete(env, &mut values, row.tail.as_ref())?;
    let written = target.update(env, txn, &row, values, row.tail.clone(), further).await?;
    if action == ReferentialAction::Cascade {
        // The parent's new key is there: what is left to look at are the row's other keys and its own children.
        let others = target.references.iter().filter(|r| r.constraint.id != shape.constraint.id);
        for other in others {
            further.reference_updated(other, &row, &written);
        }
        for child in &target.referenced_by {
            further.parent_updated(child, &row, &written);
        }
    } else {
        further.updated(target, &row, &written);
    }
    Ok(())
}

type RowKey = (u16, Vec<u8>);

/// What a child is, at REPEATABLE READ, that has come since the snapshot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Newer {
    /// A child like the others: its parent must stay.
    Counts,
    /// One that is to be changed and can not be seen: 40001.
    Conflicts,
}

/// A transaction that sees what is newest, for one at REPEATABLE READ.
pub(super) async fn newest(env: &EvalContext<'_>, txn: &Transaction) -> Result<Transaction> {
    let newest = env.gateway.begin(TxnOptions {
        isolation: Isolation::ReadCommitted,
        read_only: true,
        session: txn.session(),
        ..TxnOptions::default()
    });
    newest.begin_statement().await?;
    Ok(newest)
}

/// Keys of the child rows that refer to `values` (of the child's types), up to `max`.
async fn find_children(
    shape: &ForeignKeyShape,
    values: &[Datum],
    max: usize,
    newer: Newer,
    env: &EvalContext<'_>,
    txn: &Transaction,
) -> Result<Vec<RowKey>> {
    let mut found = read_children(shape, values, max, txn).await?;
    if txn.isolation() == Isolation::RepeatableRead && found.len() < max {
        let newest = newest(env, txn).await?;
        for (slot, key) in read_children(shape, values, usize::MAX, &newest).await? {
            if found.iter().any(|(_, k)| *k == key) {
                continue;
            }
            // A conflict if it is younger than this transaction's snapshot; nothing if this transaction deleted it.
            match txn.lock(&shape.child.at, slot, &key, LockMode::KeyShare, WaitPolicy::Wait, |_| ()).await {
                Err(TxnError::Conflict(_)) if newer == Newer::Counts => found.push((slot, key)),
                locked => locked?,
            }
        }
        newest.rollback();
    }
    Ok(found)
}

async fn read_children(
    shape: &ForeignKeyShape,
    values: &[Datum],
    max: usize,
    txn: &Transaction,
) -> Result<Vec<RowKey>> {
    let prefix = |types: &[SqlType], orders: &[KeyOrder], values: &[Datum]| {
        let mut bytes = Vec::new();
        for (i, value) in values.iter().enumerate() {
            let ty = types.get(i).copied().unwrap_or(SqlType::UNKNOWN);
            key::encode(ty, value, orders.get(i).copied().unwrap_or(KeyOrder::ASC), &mut bytes);
        }
        KeyRange { start: bytes.clone().into(), end: prefix_end(&bytes).map(Into::into) }
    };
    let (at, range) = match &shape.child_path {
        ChildPath::Scan => (shape.child.at, KeyRange::all()),
        ChildPath::Index(index) => (index.at, prefix(&index.types, &index.orders, values)),
        ChildPath::PrimaryKey => {
            let key = &shape.child.relation.key;
            let ordered: Vec<Datum> = key
                .iter()
                .take(values.len())
                .map(|k| {
                    let place = shape.key.columns.iter().position(|a| a == k);
                    place.and_then(|p| values.get(p)).cloned().unwrap_or_default()
                })
                .collect();
            (shape.child.at, prefix(&types_of(&shape.child, key), &[], &ordered))
        }
    };
    let mut scan = txn.scan(&at, None, range, Direction::Forward);
    let (mut found, mut failed) = (Vec::new(), None);
    loop {
        txn.check()?;
        let visited = scan
            .next(ROWS_AT_ONCE, |key, value, _| {
                match child_key(shape, values, key, value) {
                    Ok(Some(row)) => found.push(row),
                    Ok(None) => {}
                    Err(error) => failed = Some(error),
                }
                match failed.is_some() || found.len() >= max {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })
            .await?;
        if let Some(error) = failed {
            return Err(error);
        }
        if visited == 0 || found.len() >= max {
            return Ok(found);
        }
    }
}

/// The row behind an entry of the path, if it refers to `values`.
fn child_key(shape: &ForeignKeyShape, values: &[Datum], key: &[u8], value: &[u8]) -> Result<Option<RowKey>> {
    if let ChildPath::Index(index) = &shape.child_path {
        let (slot, row) = index.row_of(key, value)?;
        return Ok(Some((slot, row.to_vec())));
    }
    let (view, layout) = shape.child.view(value)?;
    for ((attribute, ty), wanted) in shape.key.columns.iter().zip(&shape.child_types).zip(values) {
        let value = layout.column(&view, *attribute)?;
        if value.is_null() || !compare::compare(*ty, &value, wanted).is_eq() {
            return Ok(None);
        }
    }
    Ok(Some((view.slot(), key.to_vec())))
}
