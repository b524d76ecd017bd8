//! TRUNCATE: new, empty storage for each table; the old one goes at commit.

use super::context::{DdlContext, check_kind, check_not_system, error};
use super::rename::new_storage;
use super::sequences;
use catalog::names;
use catalog::privileges::{self, Target};
use catalog::*;
use sql::utility::ddl::{ObjectName, RelationWord};
use types::{Oid, Result, SqlState};

pub(super) async fn truncate(
    context: &mut DdlContext<'_>,
    relations: &[ObjectName],
    restart_identity: bool,
    cascade: bool,
) -> Result<()> {
    let mut ids: Vec<Oid> = vec![];
    for name in relations {
        let relation = context.must_lock_relation(name).await?;
        check(context, &relation)?;
        if !ids.contains(&relation.id) {
            ids.push(relation.id);
        }
    }
    if cascade {
        extend_by_references(context, &mut ids).await?;
    } else {
        check_references(context, &ids)?;
    }
    for id in ids {
        let relation = context.relation(id)?;
        context.check_nothing_put_off(&relation, "TRUNCATE")?;
        if restart_identity {
            for sequence in sequences::owned_by(&context.snapshot(), id, 0) {
                context.require_owner(Target::Relation(&sequence))?;
                sequences::restart(context, sequence.id).await?;
            }
        }
        let storage = new_storage(context, &relation).await?;
        context.change_relation(id, |r| r.storage = storage)?;
    }
    Ok(())
}

fn check(context: &DdlContext<'_>, relation: &Relation) -> Result<()> {
    check_not_system(relation)?;
    check_kind(RelationWord::Table, relation)?;
    let snapshot = context.catalog.snapshot();
    privileges::require(snapshot, context.role, Target::Relation(relation), privilege::TRUNCATE)
}

fn check_references(context: &DdlContext<'_>, ids: &[Oid]) -> Result<()> {
    let snapshot = context.catalog.snapshot();
    for id in ids {
        for (other, _, _) in snapshot.foreign_keys_to(*id) {
            if ids.contains(&other.id) {
                continue;
            }
            let target = snapshot.relation(*id).map(|r| r.name.clone()).unwrap_or_default();
            let message = "cannot truncate a table referenced in a foreign key constraint";
            return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message)
                .detail(format!("Table \"{}\" references \"{target}\".", other.name))
                .hint(format!("Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.", other.name)));
        }
    }
    Ok(())
}

async fn extend_by_references(context: &mut DdlContext<'_>, ids: &mut Vec<Oid>) -> Result<()> {
    let mut next = 0;
    while let Some(id) = ids.get(next).copied() {
        next += 1;
        let found: Vec<Oid> = context.snapshot().foreign_keys_to(id).map(|(other, _, _)| other.id).collect();
        for other in found {
            if ids.contains(&other) {
                continue;
            }
            let Some(relation) = context.lock_relation_by_id(other).await? else { continue };
            let shown = names::regclass_text(context.catalog.snapshot(), context.scope(), other);
            context.notice(SqlState::SUCCESSFUL_COMPLETION, format!("truncate cascades to table \"{shown}\""));
            check(context, &relation)?;
            ids.push(other);
        }
    }
    Ok(())
}
