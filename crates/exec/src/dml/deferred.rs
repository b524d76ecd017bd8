//! Checks that wait for the commit (or SET CONSTRAINTS … IMMEDIATE), and what cascades need of the catalog.

use super::foreign_key::{self, ForeignKeyShape};
use super::target::Target;
use super::violation;
use crate::context::StatementContext;
use crate::expr::EvalContext;
use crate::index::{Entry, WriteIndex, deferrable_constraint};
use catalog::{ConstraintKind, IndexSource, Relation};
use sql::Expr;
use sql::physical::{PlanIndex, PlanTarget};
use std::ops::ControlFlow;
use std::sync::Arc;
use txn::{Direction, KeyRange, LockMode, RelationRef, Transaction, WaitPolicy};
use types::key::prefix_end;
use types::{Datum, Result, SqlError, SqlType};

/// One check that was put off. The session keeps them in order and drops those of rolled-back sub-transactions.
pub struct DeferredCheck {
    /// pg_constraint's OID, for SET CONSTRAINTS.
    pub constraint: u32,
    what: What,
}

enum What {
    Child(Arc<ForeignKeyShape>, Vec<Datum>),
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

pub(super) fn child(shape: Arc<ForeignKeyShape>, values: Vec<Datum>) -> DeferredCheck {
    DeferredCheck { constraint: shape.constraint.id, what: What::Child(shape, values) }
}

pub(super) fn parent(shape: Arc<ForeignKeyShape>, old: Vec<Datum>) -> DeferredCheck {
    DeferredCheck { constraint: shape.constraint.id, what: What::Parent(shape, old) }
}

/// An entry of a deferrable unique constraint was written: remembered for the end of the statement or of the transaction.
pub(super) fn unique(
    env: &EvalContext<'_>,
    target: &Target,
    index: &WriteIndex,
    entry: &Entry,
    keys: &[Datum],
) -> Result<()> {
    let relation = &target.table.relation;
    let Some(constraint) = deferrable_constraint(relation, &index.shape.index) else {
        return Err(SqlError::internal("an index is deferrable without a constraint"));
    };
    env.session.defer(DeferredCheck {
        constraint: constraint.id,
        what: What::Unique {
            at: index.shape.at,
            slot: entry.slot,
            prefix: entry.key.get(..entry.columns_size).unwrap_or_default().to_vec(),
            relation: relation.clone(),
            index: index.shape.index.clone(),
            keys: keys.to_vec(),
        },
    });
    Ok(())
}

impl DeferredCheck {
    /// Checked at the end of its statement: a deferrable unique constraint that is IMMEDIATE now.
    pub fn is_due_at_statement_end(&self, is_deferred: impl Fn(u32, bool) -> bool) -> bool {
        match &self.what {
            What::Unique { relation, index, .. } => {
                let initially = deferrable_constraint(relation, index).is_some_and(|c| c.initially_deferred);
                !is_deferred(self.constraint, initially)
            }
            _ => false,
        }
    }
}

/// Runs checks that are due, in order.
pub async fn run_deferred(context: &StatementContext, checks: Vec<DeferredCheck>) -> Result<()> {
    if checks.is_empty() {
        return Ok(());
    }
    foreign_key::refresh(&context.txn).await?;
    let env = context.env();
    for check in checks {
        context.check()?;
        match &check.what {
            What::Child(shape, values) => foreign_key::check_child(shape, values, &env, &context.txn).await?,
            What::Parent(shape, old) => foreign_key::check_parent(shape, old, true, &env, &context.txn).await?,
            What::Unique { at, slot, prefix, relation, index, keys } => {
                if count_entries(&context.txn, at, *slot, prefix).await? > 1 {
                    return Err(violation::unique(&env, relation, index, keys));
                }
            }
        }
    }
    Ok(())
}

/// Entries of one unique key. The lock on the key itself (under which no entry is stored) orders those who check it.
async fn count_entries(txn: &Transaction, at: &RelationRef, slot: u16, prefix: &[u8]) -> Result<usize> {
    txn.lock(at, slot, prefix, LockMode::Update, WaitPolicy::Wait, |_| ()).await?;
    let range = KeyRange { start: prefix.to_vec().into(), end: prefix_end(prefix).map(Into::into) };
    let mut scan = txn.scan(at, None, range, Direction::Forward);
    Ok(scan.next(2, |_, _, _| ControlFlow::Continue(())).await?)
}

/// An expression that the catalog keeps as text, over the row (attribute n at `n - 1`).
fn stored_expression(relation: &Relation, what: &str) -> Result<Expr> {
    Err(SqlError::unsupported(format!(
        "foreign key actions on table \"{}\" are not supported: it has {what}",
        relation.name
    )))
}

/// A relation that a cascade writes to, from the catalog alone. `only_deletes`: CHECKs and defaults do not matter.
pub(super) fn catalog_target(env: &EvalContext<'_>, relation: &Arc<Relation>, only_deletes: bool) -> Result<Target> {
    let mut indexes = vec![];
    for index in env.catalog.indexes_of(relation) {
        let mut keys = vec![];
        for column in &index.columns {
            keys.push(match &column.source {
                IndexSource::Column(a) => Expr::input((*a as u32).wrapping_sub(1), column.ty.into()),
                IndexSource::Expression(_) => stored_expression(relation, "an index on an expression")?,
            });
        }
        let predicate = match &index.predicate {
            Some(_) => Some(stored_expression(relation, "a partial index")?),
            None => None,
        };
        indexes.push(PlanIndex { index: index.clone(), keys, predicate });
    }
    let has_checks = relation.constraints.iter().any(|c| matches!(c.kind, ConstraintKind::Check { .. }));
    if has_checks && !only_deletes {
        stored_expression(relation, "check constraints")?;
    }
    if relation.columns.iter().any(|c| c.is_generated && !c.is_dropped) && !only_deletes {
        stored_expression(relation, "generated columns")?;
    }
    let mut target = Target::new(&PlanTarget {
        relation: relation.clone(),
        indexes,
        checks: vec![],
        view_checks: vec![],
        generated: vec![],
        references: vec![],
        referenced_by: vec![],
    })?;
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
pub(super) fn default_value(env: &EvalContext<'_>, relation: &Relation, attribute: i16) -> Result<Datum> {
    let Some(column) = relation.columns.get((attribute as usize).wrapping_sub(1)) else { return Ok(Datum::Null) };
    let Some(text) = &column.default else { return Ok(Datum::Null) };
    let ty: SqlType = column.ty.into();
    // Constants as the catalog prints them: digits, or a quoted string with or without a cast.
    let literal = match text.strip_prefix('\'') {
        Some(rest) => rest.split_once('\'').filter(|(_, rest)| rest.is_empty() || rest.starts_with("::")).map(|p| p.0),
        None => Some(text.as_str()).filter(|t| t.bytes().all(|b| b.is_ascii_digit() || b"+-.".contains(&b))),
    };
    match literal {
        Some(literal) => types::io::input(ty, literal, env.format),
        None if text.starts_with("NULL") => Ok(Datum::Null),
        None => stored_expression(relation, "a default that is no constant").map(|_| Datum::Null),
    }
}
