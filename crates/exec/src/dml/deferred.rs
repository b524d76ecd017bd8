//! Checks that wait for the commit (or SET CONSTRAINTS … IMMEDIATE), and what cascades need of the catalog.

use super::foreign_key::{self, ForeignKeyShape, Reference};
use super::target::Target;
use super::violation;
use crate::context::StatementContext;
use crate::expr::EvalContext;
use crate::index::{Entry, WriteIndex, deferrable_constraint};
use crate::stored;
use catalog::{ConstraintKind, Relation, Snapshot};
use std::ops::ControlFlow;
use std::sync::Arc;
use txn::{Direction, Isolation, KeyRange, LockMode, RelationRef, Transaction, TxnError, WaitPolicy};
use types::key::prefix_end;
use types::{Datum, Result, SqlError};

/// Entries of one key read at a time; more than a few are there only where a transaction has made them itself.
const ENTRIES_AT_ONCE: usize = 64;

/// One check that was put off. The session keeps them in order and drops those of rolled-back sub-transactions.
pub struct DeferredCheck {
    /// pg_constraint's OID, for SET CONSTRAINTS.
    pub constraint: u32,
    what: What,
}

enum What {
    /// The row with this key refers to a parent, unless it is gone by then, or refers to another.
    Child(Reference),
    Parent(Arc<ForeignKeyShape>, Vec<Datum>),
    /// Entries with this prefix must be one at most.
    Unique {
        at: RelationRef,
        slot: u16,
        prefix: Vec<u8>,
        relation: Arc<Relation>,
        index: Arc<catalog::Index>,
        keys: Vec<Datum>,
    },
}

pub(super) fn child(reference: Reference) -> DeferredCheck {
    DeferredCheck { constraint: reference.shape.constraint.id, what: What::Child(reference) }
}

pub(super) fn parent(shape: Arc<ForeignKeyShape>, old: Vec<Datum>) -> DeferredCheck {
    DeferredCheck { constraint: shape.constraint.id, what: What::Parent(shape, old) }
}

/// An entry of a deferrable unique constraint was written: checked at the end of the statement or of the transaction.
pub(super) fn unique(target: &Target, index: &WriteIndex, entry: &Entry, keys: &[Datum]) -> Result<DeferredCheck> {
    let relation = &target.table.relation;
    let Some(constraint) = deferrable_constraint(relation, &index.shape.index) else {
        return Err(SqlError::internal("an index is deferrable without a constraint"));
    };
    Ok(DeferredCheck {
        constraint: constraint.id,
        what: What::Unique {
            at: index.shape.at,
            slot: entry.slot,
            prefix: entry.key.get(..entry.columns_size).unwrap_or_default().to_vec(),
            relation: relation.clone(),
            index: index.shape.index.clone(),
            keys: keys.to_vec(),
        },
    })
}

impl DeferredCheck {
    /// The relation whose row was written.
    pub fn relation(&self) -> u32 {
        match &self.what {
            What::Child(reference) => reference.shape.child.relation.id,
            What::Parent(shape, _) => shape.parent.relation.id,
            What::Unique { relation, .. } => relation.id,
        }
    }

    /// Whether its constraint is still there: it may have gone since, with the table that it refers to.
    fn has_constraint(&self, catalog: &Snapshot) -> bool {
        let holder = match &self.what {
            What::Child(Reference { shape, .. }) | What::Parent(shape, _) => shape.child.relation.id,
            What::Unique { relation, .. } => relation.id,
        };
        catalog.relation(holder).is_some_and(|relation| relation.constraints.iter().any(|c| c.id == self.constraint))
    }

    /// Whether it waits for the commit, as SET CONSTRAINTS stands now.
    pub(super) fn is_deferred(&self, env: &EvalContext<'_>) -> bool {
        let initially = match &self.what {
            What::Child(Reference { shape, .. }) | What::Parent(shape, _) => shape.constraint.initially_deferred,
            What::Unique { relation, index, .. } => {
                deferrable_constraint(relation, index).is_some_and(|c| c.initially_deferred)
            }
        };
        env.session.is_deferred(self.constraint, initially)
    }

    pub(super) async fn run(&self, env: &EvalContext<'_>, txn: &Transaction) -> Result<()> {
        match &self.what {
            What::Child(reference) => match reference.still_stands(txn).await? {
                true => foreign_key::check_child(&reference.shape, &reference.values, env, txn).await,
                false => Ok(()),
            },
            What::Parent(shape, old) => foreign_key::check_parent(shape, old, true, env, txn).await,
            What::Unique { at, slot, prefix, relation, index, keys } => {
                match is_held_twice(env, txn, at, *slot, prefix).await? {
                    false => Ok(()),
                    true => Err(violation::unique(env, relation, index, keys)),
                }
            }
        }
    }
}

/// Runs checks that are due, in order.
pub async fn run_deferred(context: &StatementContext, checks: Vec<Arc<DeferredCheck>>) -> Result<()> {
    if checks.is_empty() {
        return Ok(());
    }
    foreign_key::refresh(&context.txn).await?;
    let env = context.env();
    for check in checks.iter().filter(|check| check.has_constraint(&context.catalog)) {
        context.check()?;
        check.run(&env, &context.txn).await?;
    }
    Ok(())
}

/// Whether a unique key has two entries: of those who check it the lock on the key itself (under which no entry is stored) lets one in
/// at a time, and who waited must see what the one before has committed. At READ COMMITTED a new snapshot does; at REPEATABLE READ the
/// newest entries are looked at through a second transaction; at SERIALIZABLE the spans of the scan are validated.
async fn is_held_twice(
    env: &EvalContext<'_>,
    txn: &Transaction,
    at: &RelationRef,
    slot: u16,
    prefix: &[u8],
) -> Result<bool> {
    txn.lock(at, slot, prefix, LockMode::Update, WaitPolicy::Wait, |_| ()).await?;
    if txn.isolation() == Isolation::ReadCommitted {
        foreign_key::refresh(txn).await?;
    }
    let seen = entries(txn, at, prefix).await?;
    if seen.len() > 1 || txn.isolation() != Isolation::RepeatableRead {
        return Ok(seen.len() > 1);
    }
    let newest = foreign_key::newest(env, txn).await?;
    let all = entries(&newest, at, prefix).await?;
    newest.rollback();
    for key in all.iter().filter(|key| !seen.contains(key)) {
        // A conflict if it is younger than this transaction's snapshot; nothing if this transaction deleted it.
        match txn.lock(at, slot, key, LockMode::KeyShare, WaitPolicy::Wait, |_| ()).await {
            Err(TxnError::Conflict(_)) => return Ok(true),
            locked => locked?,
        }
    }
    Ok(false)
}

/// The keys of the entries with this prefix.
async fn entries(txn: &Transaction, at: &RelationRef, prefix: &[u8]) -> Result<Vec<Vec<u8>>> {
    let range = KeyRange { start: prefix.to_vec().into(), end: prefix_end(prefix).map(Into::into) };
    let mut scan = txn.scan(at, None, range, Direction::Forward);
    let mut keys = vec![];
    let mut gather = |key: &[u8]| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    };
    while scan.next(ENTRIES_AT_ONCE, |key, _, _| gather(key)).await? > 0 {}
    Ok(keys)
}

/// A relation that a cascade writes to, from the catalog alone. `only_deletes`: CHECKs and defaults do not matter.
pub(super) fn catalog_target(env: &EvalContext<'_>, relation: &Arc<Relation>, only_deletes: bool) -> Result<Target> {
    let mut target = Target::new(&stored::target(env, relation, only_deletes)?)?;
    for constraint in &relation.constraints {
        if matches!(constraint.kind, ConstraintKind::ForeignKey(_)) {
            target.references.push(ForeignKeyShape::of_catalog(env, relation, constraint)?);
        }
    }
    for (child, constraint, _) in env.catalog.foreign_keys_to(relation.id) {
        target.referenced_by.push(ForeignKeyShape::of_catalog(env, child, constraint)?);
    }
    Ok(target)
}

/// SET DEFAULT: the column's default; NULL without one.
pub(super) async fn default_value(env: &EvalContext<'_>, relation: &Relation, attribute: i16) -> Result<Datum> {
    let Some(column) = relation.columns.get((attribute as usize).wrapping_sub(1)) else { return Ok(Datum::Null) };
    match &column.default {
        Some(text) => stored::evaluate(env, relation, text, column.ty.into()).await,
        None => Ok(Datum::Null),
    }
}
