//! May this plan run? Rights on relations, materialized views without rows, and writes in read-only transactions. Asked once per execution.
//!
//! I1  A plan that does not say which columns it reads or writes (`PrivilegeCheck::columns` is None) needs the right on the
//!     whole relation: a right on one column must not open the others. One that reads no column (`SELECT count(*)`) needs
//!     a right on any column.

use crate::expr::EvalContext;
use catalog::privileges::{self, Target};
use catalog::{Relation, Snapshot, privilege};
use sql::logical::locking::LockMode;
use sql::logical::{CommandTag, PrivilegeCheck};
use sql::physical::{Direct, Op, Plan, PlanBody, PlanNode};
use std::sync::Arc;
use txn::{Inside, Transaction, TxnError, WaitPolicy};
use types::{Result, SqlError, SqlState, TableLock};

/// 42501, 55000 or 25006.
pub(crate) fn admit(plan: &Plan, env: &EvalContext<'_>) -> Result<()> {
    allow(plan, env.catalog)?;
    if !plan.is_read_only && env.is_read_only() {
        refuse_write(plan)?;
    }
    Ok(())
}

/// 42501 or 55000: all that EXPLAIN asks.
pub fn allow(plan: &Plan, catalog: &Snapshot) -> Result<()> {
    for check in &plan.privileges {
        allowed(check, catalog)?;
    }
    if let Some(view) = &plan.unpopulated {
        let message = format!("materialized view \"{view}\" has not been populated");
        return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
            .hint("Use the REFRESH MATERIALIZED VIEW command."));
    }
    Ok(())
}

/// Rights that may be held on columns, too.
const OF_COLUMNS: u32 = privilege::SELECT | privilege::INSERT | privilege::UPDATE | privilege::REFERENCES;

fn allowed(check: &PrivilegeCheck, catalog: &Snapshot) -> Result<()> {
    let Some(relation) = catalog.relation(check.relation) else { return Ok(()) };
    let target = Target::Relation(relation);
    if privileges::has_privilege(catalog, check.role, target, check.rights) {
        return Ok(());
    }
    // What is missing on the relation may be there on each of the columns.
    for bit in (0..32).map(|bit| 1 << bit).filter(|bit| check.rights & bit != 0) {
        let on_columns = bit & OF_COLUMNS != 0
            && check
                .columns
                .as_ref()
                .is_some_and(|columns| privileges::has_column_privilege(catalog, check.role, relation, columns, bit));
        if !on_columns && !privileges::has_privilege(catalog, check.role, target, bit) {
            return Err(privileges::denied(target));
        }
    }
    Ok(())
}

/// Temporary relations may be written in a read-only transaction.
fn refuse_write(plan: &Plan) -> Result<()> {
    let refuse = |what: &str| {
        let message = format!("cannot execute {what} in a read-only transaction");
        Err(SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message))
    };
    let written = written(plan);
    let word = match plan.tag {
        CommandTag::Select if written.iter().any(|(_, inside)| *inside == Inside::Writes) => "SELECT",
        CommandTag::Select => match first_lock(plan) {
            Some(LockMode::KeyShare) => "SELECT FOR KEY SHARE",
            Some(LockMode::Share) => "SELECT FOR SHARE",
            Some(LockMode::NoKeyUpdate) => "SELECT FOR NO KEY UPDATE",
            _ => "SELECT FOR UPDATE",
        },
        CommandTag::Insert => "INSERT",
        CommandTag::Update => "UPDATE",
        CommandTag::Delete => "DELETE",
        CommandTag::Merge => "MERGE",
    };
    match written.iter().all(|(relation, _)| relation.is_temporary) {
        true => Ok(()),
        false => refuse(word),
    }
}

/// How the rows are locked that the plan locks first.
fn first_lock(plan: &Plan) -> Option<LockMode> {
    fn of_node(node: &PlanNode) -> Option<LockMode> {
        match &node.op {
            Op::LockRows { targets, .. } => targets.first().map(|target| target.mode),
            _ => node.inputs().into_iter().find_map(of_node),
        }
    }
    match &plan.body {
        PlanBody::Direct(Direct::Get { lock, .. }) => lock.map(|(mode, _)| mode),
        PlanBody::Direct(_) => None,
        PlanBody::Tree(tree) => of_node(&tree.root),
    }
}

type Written<'p> = Vec<(&'p Arc<Relation>, Inside)>;

/// Relations that a plan writes to or locks rows of; cascades are not told.
fn written(plan: &Plan) -> Written<'_> {
    let mut written = vec![];
    match &plan.body {
        PlanBody::Direct(direct) => written.push(match direct {
            Direct::Get { target, .. } => (&target.relation, Inside::Locks),
            Direct::Insert { target, .. } | Direct::Update { target, .. } | Direct::Delete { target, .. } => {
                (&target.relation, Inside::Writes)
            }
        }),
        PlanBody::Tree(tree) => {
            let others = tree.ctes.iter().map(|c| &c.root).chain(tree.subplans.iter().map(|s| &s.root));
            std::iter::once(&tree.root).chain(others).for_each(|root| targets(root, &mut written));
        }
    }
    written
}

/// Before a plan that writes takes its snapshot: waits while DDL keeps writers out of what it writes to, and keeps such DDL
/// away from then on. False: the plan is older than a relation's definition, make another.
///
/// `keeps_out`: other writers are kept out, too, of what the plan finds by more than a key. Their next statements queue up behind.
pub async fn enter(plan: &Plan, txn: &Transaction, keeps_out: bool) -> Result<bool> {
    if plan.is_read_only {
        return Ok(true);
    }
    let mut written = written(plan);
    if keeps_out && matches!(plan.body, PlanBody::Tree(_)) {
        // In one order for all.
        written.sort_by_key(|(relation, _)| relation.id);
        for (relation, _) in &written {
            txn.lock_table(&relation.reference(), TableLock::ShareRowExclusive, WaitPolicy::Wait).await?;
        }
    }
    for (relation, inside) in written {
        match txn.enter_as(&relation.reference(), inside).await {
            Ok(()) => {}
            Err(TxnError::SchemaChanged { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

fn targets<'p>(node: &'p PlanNode, out: &mut Written<'p>) {
    let mut writes = |relation| out.push((relation, Inside::Writes));
    match &node.op {
        Op::Insert(insert) => writes(&insert.target.relation),
        Op::Update(update) => writes(&update.target.relation),
        Op::Delete(delete) => writes(&delete.target.relation),
        Op::Merge(merge) => writes(&merge.target.relation),
        Op::LockRows { targets, .. } => out.extend(targets.iter().map(|t| (&t.relation, Inside::Locks))),
        _ => {}
    }
    node.inputs().into_iter().for_each(|input| targets(input, out));
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::{Grant, Object};
    use types::SqlType;

    const ROLE: u32 = 16_400;
    const TABLE: u32 = 20_000;

    /// A role that may SELECT column 1 of `t (a, b)`, and nothing else.
    fn catalog() -> Snapshot {
        let mut relation = crate::tests::support::table(TABLE, "t", &[("a", SqlType::INT4), ("b", SqlType::INT4)]);
        relation.columns[0].privileges =
            Some(Some(vec![Grant { grantee: ROLE, grantor: relation.owner, rights: privilege::SELECT, grantable: 0 }]));
        let mut snapshot = Snapshot::with_builtins();
        snapshot.put(Object::Role(catalog::bootstrap::new_role(ROLE, "reader")));
        snapshot.put(Object::Relation(relation));
        snapshot
    }

    #[track_caller]
    fn check(rights: u32, columns: Option<&[i16]>, is_allowed: bool) {
        let columns_named = columns.map(<[i16]>::to_vec);
        let check = PrivilegeCheck { relation: TABLE, role: ROLE, rights, columns: columns_named };
        let code = allowed(&check, &catalog()).err().map(|e| e.code());
        assert_eq!(code, (!is_allowed).then_some(SqlState::INSUFFICIENT_PRIVILEGE), "{columns:?}");
    }

    #[test]
    fn a_right_on_one_column_opens_that_column_alone() {
        check(privilege::SELECT, Some(&[1]), true);
        check(privilege::SELECT, Some(&[2]), false);
        check(privilege::SELECT, Some(&[1, 2]), false);
        check(privilege::SELECT, Some(&[]), true);
        check(privilege::SELECT, None, false);
        check(privilege::SELECT | privilege::UPDATE, Some(&[1]), false);
        check(privilege::DELETE, Some(&[1]), false);
    }
}
