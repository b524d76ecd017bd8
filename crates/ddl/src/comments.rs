//! COMMENT ON.

use super::columns::{column_mut, undefined_column};
use super::context::{DdlContext, check_kind, check_not_system, error};
use catalog::names;
use catalog::privileges::Target;
use catalog::*;
use sql::utility::ddl::{CommentTarget, ObjectName, RelationWord};
use types::{Result, SqlState};

pub(super) async fn comment(context: &mut DdlContext<'_>, target: &CommentTarget, comment: Option<&str>) -> Result<()> {
    let comment = comment.map(str::to_owned);
    match target {
        CommentTarget::Relation { word: RelationWord::Index, name } => on_index(context, name, comment).await,
        CommentTarget::Relation { word, name } => {
            check_no_index(context, *word, name)?;
            let relation = lock(context, name).await?;
            check_kind(*word, &relation)?;
            context.change_relation(relation.id, |r| r.comment = comment).map(drop)
        }
        CommentTarget::Column(name) => on_column(context, name, comment).await,
        CommentTarget::Constraint { name, relation } => {
            let relation = lock(context, relation).await?;
            let Some(constraint) = relation.constraint_by_name(&name.name).map(|c| c.id) else {
                let message = format!("constraint \"{}\" for table \"{}\" does not exist", name.name, relation.name);
                return Err(error(SqlState::UNDEFINED_OBJECT, message));
            };
            context
                .change_relation(relation.id, |r| {
                    if let Some(c) = r.constraints.iter_mut().find(|c| c.id == constraint) {
                        c.comment = comment;
                    }
                })
                .map(drop)
        }
        CommentTarget::Rule { name, relation } => {
            let relation = lock(context, relation).await?;
            super::rules::comment(context, name, &relation, comment).await
        }
        CommentTarget::Type { name, is_domain } => super::user_types::comment(context, name, *is_domain, comment).await,
        CommentTarget::DomainConstraint { name, domain } => {
            super::domains::comment_on_constraint(context, name, domain, comment).await
        }
        CommentTarget::Schema(name) => {
            let schema = context.schema_named(&name.name)?;
            context.require_owner(Target::Schema(&schema))?;
            context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Schema, schema.id)).await?;
            let mut changed = Schema::clone(&*context.schema_named(&name.name)?);
            changed.comment = comment;
            context.catalog.put(context.txn, Object::Schema(changed))
        }
        CommentTarget::Database(name) => {
            let Some(found) = context.catalog.snapshot().database_by_name(&name.name).cloned() else {
                return Err(error(
                    SqlState::INVALID_CATALOG_NAME,
                    format!("database \"{}\" does not exist", name.name),
                ));
            };
            context.require_owner(Target::Database(&found))?;
            context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Database, found.id)).await?;
            let newest = context.catalog.snapshot().database(found.id).cloned().unwrap_or(found);
            let mut changed = Database::clone(&newest);
            changed.comment = comment;
            context.catalog.put(context.txn, Object::Database(changed))
        }
        CommentTarget::Function(named) | CommentTarget::Aggregate(named) => {
            let found = match target {
                CommentTarget::Aggregate(_) => super::routines::find_aggregate(context, named)?,
                _ => super::routines::find(context, named)?,
            };
            let function = super::routines::lock(context, found.id).await?;
            context.require_owner(Target::Function(&function))?;
            super::routines::change(context, &function, |f| f.comment = comment)
        }
        CommentTarget::Operator(named) => super::operators::comment(context, named, comment).await,
        CommentTarget::Role(name) => {
            let role = context.role_by_name(&name.name)?;
            let may =
                context.is_superuser() || context.catalog.snapshot().role(context.role).is_some_and(|r| r.create_role);
            if !may {
                let message = "must have CREATEROLE privilege";
                return Err(error(SqlState::INSUFFICIENT_PRIVILEGE, message));
            }
            context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Role, role.id)).await?;
            let mut changed = Role::clone(&*context.role_by_name(&name.name)?);
            changed.comment = comment;
            context.catalog.put(context.txn, Object::Role(changed))
        }
    }
}

async fn lock(context: &mut DdlContext<'_>, name: &ObjectName) -> Result<std::sync::Arc<Relation>> {
    let relation = context.must_lock_relation(name).await.map_err(|mut e| {
        // COMMENT tells no position.
        e.fields_mut().position = None;
        e
    })?;
    check_not_system(&relation)?;
    context.require_owner(Target::Relation(&relation))?;
    Ok(relation)
}

/// `"i" is not a table`, where others say that it is an index.
fn check_no_index(context: &DdlContext<'_>, word: RelationWord, name: &ObjectName) -> Result<()> {
    let snapshot = context.catalog.snapshot();
    match names::find(snapshot, context.scope(), &name.parts)?.and_then(|id| snapshot.index(id)) {
        Some(_) => check_kind(word, &new_relation(0, name.object(), RelationKind::Composite)),
        None => Ok(()),
    }
}

async fn on_index(context: &mut DdlContext<'_>, name: &ObjectName, comment: Option<String>) -> Result<()> {
    let snapshot = context.snapshot();
    let found = names::find(&snapshot, context.scope(), &name.parts)?;
    let Some(index) = found.and_then(|id| snapshot.index(id)) else {
        return Err(match found {
            Some(_) => error(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not an index", name.object())),
            None => names::no_relation(&name.parts),
        });
    };
    if let Some(relation) = snapshot.relation(index.relation) {
        context.require_owner(Target::Relation(relation))?;
    }
    let mut changed = Index::clone(&*context.lock_index_by_id(index.id).await?);
    changed.comment = comment;
    context.catalog.put(context.txn, Object::Index(changed))
}

async fn on_column(context: &mut DdlContext<'_>, name: &ObjectName, comment: Option<String>) -> Result<()> {
    let Some((column, table)) = name.parts.split_last().filter(|(_, table)| !table.is_empty()) else {
        return Err(error(SqlState::SYNTAX_ERROR, "column name must be qualified"));
    };
    let table = ObjectName { parts: table.to_vec(), position: name.position };
    let relation = lock(context, &table).await?;
    let Some(number) = relation.column_by_name(column).map(|c| c.number) else {
        return Err(undefined_column(column, &relation.name));
    };
    context.change_relation(relation.id, |r| {
        if let Some(column) = column_mut(r, number) {
            column.comment = comment;
        }
    })?;
    Ok(())
}
