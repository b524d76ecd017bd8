//! RENAME, SET SCHEMA and OWNER of relations and their parts; and storing a table's rows again (`rewrite`, `rekey`).
//!
//! Stored texts (views, defaults, checks, index expressions) name objects; what is renamed is renamed in them in the same
//! transaction, so that they go on meaning the same object.

use super::context::{DdlContext, already_exists, check_not_system, error};
use super::depend;
use super::mentions;
use super::services::RenamedQuery;
use catalog::names;
use catalog::privileges::{self, Target};
use catalog::rows::NameSpace;
use catalog::*;
use sql::utility::ddl::Name;
use std::sync::Arc;
use types::{Oid, Result, SqlState};

pub(super) async fn rename_relation(context: &mut DdlContext<'_>, id: Oid, to: &Name) -> Result<()> {
    let relation = context.relation(id)?;
    check_not_system(&relation)?;
    move_relation(context, &relation, relation.schema, &to.name).await
}

/// Gives a relation another name or schema, and tells those who mention it.
async fn move_relation(context: &mut DdlContext<'_>, relation: &Arc<Relation>, schema: Oid, name: &str) -> Result<()> {
    if relation.schema == schema && relation.name == name {
        return Err(already_exists(name));
    }
    context.claim_relation_name(schema, name).await?;
    let before = context.snapshot();
    context.change_relation(relation.id, |r| {
        r.name = name.to_owned();
        r.schema = schema;
    })?;
    let after = context.snapshot();
    if relation.kind == RelationKind::Sequence {
        let (old, new) = (
            mentions::sequence_literal(&before, relation),
            mentions::sequence_literal(&after, &*context.relation(relation.id)?),
        );
        for (table, number) in depend::defaults_using(&before, relation.id) {
            if context.lock_relation_by_id(table).await?.is_none() {
                continue;
            }
            context.change_relation(table, |r| {
                if let Some(column) = super::columns::column_mut(r, number) {
                    column.default = column.default.as_ref().map(|text| text.replace(&old, &new));
                }
            })?;
        }
    }
    rename_in_views(context, &before, relation.id).await
}

/// What happens to a text that cannot be told with the names of today and means nothing as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Untold {
    Refused,
    Kept,
}

/// Views over the relation, and rules and bodies that use it, after it (or a column of it) has got another name.
pub(super) async fn rename_in_views(context: &mut DdlContext<'_>, before: &Arc<Snapshot>, relation: Oid) -> Result<()> {
    retell_users(context, before, relation, Untold::Refused).await
}

/// The same after it has got a column or lost one: texts that list the names of its columns list those that it has.
pub(super) async fn follow_columns(context: &mut DdlContext<'_>, before: &Arc<Snapshot>, relation: Oid) -> Result<()> {
    retell_users(context, before, relation, Untold::Kept).await
}

async fn retell_users(
    context: &mut DdlContext<'_>,
    before: &Arc<Snapshot>,
    relation: Oid,
    untold: Untold,
) -> Result<()> {
    let uses = |depends_on: &[(Oid, AttributeNumber)]| depends_on.iter().any(|(on, _)| *on == relation);
    retell_views(context, before, untold, |view| uses(&view.depends_on)).await?;
    retell_bodies(context, before, |_, depends_on| uses(depends_on)).await?;
    super::rules::retell(context, before, |rule| rule.relation == relation || uses(&rule.depends_on)).await
}

/// Views, rules and bodies whose texts have the name of a type or a schema in them, after that has got another.
pub(super) async fn rename_mentions(context: &mut DdlContext<'_>, before: &Arc<Snapshot>, name: &str) -> Result<()> {
    retell_views(context, before, Untold::Refused, |view| view.query.contains(name)).await?;
    retell_bodies(context, before, |query, _| query.contains(name)).await?;
    super::rules::retell(context, before, |rule| rule.texts().any(|text| text.contains(name))).await
}

/// Whether what is in that schema is of the session's database: those of others mean other objects.
pub(super) fn is_here(context: &DdlContext<'_>, snapshot: &Snapshot, schema: Oid) -> bool {
    snapshot.schema(schema).is_some_and(|s| s.database == context.database)
}

/// Functions' bodies of BEGIN ATOMIC. `is_meant` looks at the query and at what it uses.
async fn retell_bodies(
    context: &mut DdlContext<'_>,
    before: &Arc<Snapshot>,
    is_meant: impl Fn(&str, &[(Oid, AttributeNumber)]) -> bool,
) -> Result<()> {
    let is_one = |f: &&Arc<Function>| match &f.body {
        FunctionBody::Atomic { query, depends_on, .. } => {
            is_here(context, before, f.schema) && is_meant(query, depends_on)
        }
        FunctionBody::Text(_) | FunctionBody::Return { .. } | FunctionBody::Aggregate(_) => false,
    };
    let functions: Vec<Arc<Function>> = before.functions().filter(is_one).cloned().collect();
    for function in functions {
        let mut changed = Function::clone(&*super::routines::lock(context, function.id).await?);
        changed.body = context.services.rename_body(before, &context.snapshot(), &function)?;
        context.catalog.put(context.txn, Object::Function(changed))?;
    }
    Ok(())
}

/// Tells the queries of these views again, with the names of today.
async fn retell_views(
    context: &mut DdlContext<'_>,
    before: &Arc<Snapshot>,
    untold: Untold,
    is_meant: impl Fn(&ViewDefinition) -> bool,
) -> Result<()> {
    let views =
        before.relations().filter(|r| r.view.as_ref().is_some_and(&is_meant) && is_here(context, before, r.schema));
    let views: Vec<Arc<Relation>> = views.cloned().collect();
    for view in views {
        let after = context.snapshot();
        let query = match context.services.rename_query(before, &after, &view) {
            Ok(RenamedQuery::Qualified(query)) => query,
            Ok(RenamedQuery::AsWritten) => continue,
            Err(_) if untold == Untold::Kept => continue,
            Err(error) => return Err(error),
        };
        if context.lock_relation_by_id(view.id).await?.is_none() {
            continue;
        }
        context.change_relation(view.id, |v| {
            if let Some(definition) = &mut v.view {
                definition.query = query;
                definition.search_path = super::services::qualified_path();
            }
        })?;
    }
    Ok(())
}

pub(super) async fn set_schema(context: &mut DdlContext<'_>, id: Oid, to: &Name) -> Result<()> {
    let relation = context.relation(id)?;
    check_not_system(&relation)?;
    let schema = context.schema_named(&to.name)?;
    if relation.schema == schema.id {
        return Ok(());
    }
    if relation.is_temporary || schema.name.starts_with("pg_temp_") {
        let message = "cannot move objects into or out of temporary schemas";
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    if let Some((owner, _)) = relation.sequence.as_ref().and_then(|s| s.owned_by) {
        let owner = context.catalog.snapshot().relation(owner).map(|r| r.name.clone()).unwrap_or_default();
        let detail = format!("Sequence \"{}\" is linked to table \"{owner}\".", relation.name);
        let message = "cannot move an owned sequence into another schema";
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message).detail(detail));
    }
    let snapshot = context.snapshot();
    privileges::require(&snapshot, context.role, Target::Schema(&schema), privilege::CREATE)?;
    if snapshot.id_by_name(schema.id, &relation.name).is_some() {
        let message = format!("relation \"{}\" already exists in schema \"{}\"", relation.name, schema.name);
        return Err(error(SqlState::DUPLICATE_TABLE, message));
    }
    move_relation(context, &relation, schema.id, &relation.name).await?;
    for index in relation.indexes.clone() {
        let mut index = Index::clone(&*context.lock_index_by_id(index).await?);
        context.claim_relation_name(schema.id, &index.name).await?;
        index.schema = schema.id;
        context.catalog.put(context.txn, Object::Index(index))?;
    }
    for sequence in super::sequences::owned_by(&snapshot, id, 0) {
        if let Some(sequence) = context.lock_relation_by_id(sequence.id).await? {
            move_relation(context, &sequence, schema.id, &sequence.name).await?;
        }
    }
    Ok(())
}

pub(super) async fn rename_index(context: &mut DdlContext<'_>, id: Oid, to: &Name) -> Result<()> {
    let mut index = Index::clone(&*context.lock_index_by_id(id).await?);
    let Some(relation) = context.lock_relation_by_id(index.relation).await? else { return Ok(()) };
    context.claim_relation_name(index.schema, &to.name).await?;
    index.name = to.name.clone();
    context.catalog.put(context.txn, Object::Index(index))?;
    // A constraint's index and the constraint have one name.
    if depend::is_of_constraint(&relation, id) {
        context.change_relation(relation.id, |r| {
            let constraint = r.constraints.iter_mut().find(|c| {
                matches!(c.kind, ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } if index == id)
            });
            if let Some(constraint) = constraint {
                constraint.name = to.name.clone();
            }
        })?;
    }
    Ok(())
}

pub(super) async fn rename_constraint(context: &mut DdlContext<'_>, id: Oid, from: &Name, to: &Name) -> Result<()> {
    let relation = context.relation(id)?;
    let Some(constraint) = relation.constraint_by_name(&from.name) else {
        let message = format!("constraint \"{}\" for table \"{}\" does not exist", from.name, relation.name);
        return Err(error(SqlState::UNDEFINED_OBJECT, message));
    };
    if relation.constraint_by_name(&to.name).is_some() {
        let message = format!("constraint \"{}\" for relation \"{}\" already exists", to.name, relation.name);
        return Err(error(SqlState::DUPLICATE_OBJECT, message));
    }
    if let ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } = constraint.kind {
        return rename_index(context, index, to).await;
    }
    let constraint = constraint.id;
    context.change_relation(id, |r| {
        if let Some(c) = r.constraints.iter_mut().find(|c| c.id == constraint) {
            c.name = to.name.clone();
        }
    })?;
    Ok(())
}

pub(super) async fn rename_column(context: &mut DdlContext<'_>, id: Oid, from: &Name, to: &Name) -> Result<()> {
    let old = context.relation(id)?;
    check_not_system(&old)?;
    if old.kind == RelationKind::Sequence {
        let message = format!("cannot rename columns of relation \"{}\"", old.name);
        return Err(
            error(SqlState::WRONG_OBJECT_TYPE, message).detail("This operation is not supported for sequences.")
        );
    }
    let Some(number) = old.column_by_name(&from.name).map(|c| c.number) else {
        return Err(error(SqlState::UNDEFINED_COLUMN, format!("column \"{}\" does not exist", from.name)));
    };
    super::columns::check_name(to)?;
    if old.column_by_name(&to.name).is_some() {
        let message = format!("column \"{}\" of relation \"{}\" already exists", to.name, old.name);
        return Err(error(SqlState::DUPLICATE_COLUMN, message));
    }
    let before = context.snapshot();
    let mut new = Relation::clone(&old);
    if let Some(column) = super::columns::column_mut(&mut new, number) {
        column.name = to.name.clone();
    }
    let renamed = new.clone();
    let rewrite = |text: &str| context.services.rename_expression(&before, &old, &renamed, text);
    for column in new.columns.iter_mut().filter(|c| c.is_generated) {
        column.default = column.default.as_deref().map(rewrite).transpose()?;
    }
    for constraint in &mut new.constraints {
        if let ConstraintKind::Check { expression, columns, .. } = &mut constraint.kind
            && columns.contains(&number)
        {
            *expression = rewrite(expression)?;
        }
    }
    let mut indexes = vec![];
    for index in before.indexes_of(&old).filter(|i| depend::index_uses(&old, i, number)) {
        let mut index = Index::clone(index);
        for column in &mut index.columns {
            if let IndexSource::Expression(text) = &mut column.source {
                *text = rewrite(text)?;
            }
        }
        index.predicate = index.predicate.as_deref().map(rewrite).transpose()?;
        indexes.push(index);
    }
    for index in indexes {
        context.lock_index_by_id(index.id).await?;
        context.catalog.put(context.txn, Object::Index(index))?;
    }
    context.put_relation(new)?;
    rename_in_views(context, &before, id).await
}

pub(super) async fn set_owner(context: &mut DdlContext<'_>, id: Oid, owner: Oid) -> Result<()> {
    let relation = context.relation(id)?;
    check_not_system(&relation)?;
    if relation.owner == owner {
        return Ok(());
    }
    if let Some((table, _)) = relation.sequence.as_ref().and_then(|s| s.owned_by) {
        let table = context.catalog.snapshot().relation(table).map(|r| r.name.clone()).unwrap_or_default();
        let message = format!("cannot change owner of sequence \"{}\"", relation.name);
        let detail = format!("Sequence \"{}\" is linked to table \"{table}\".", relation.name);
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message).detail(detail));
    }
    if !context.is_superuser() {
        context.require_owner(Target::Relation(&relation))?;
        context.require_may_become(owner)?;
        let snapshot = context.snapshot();
        if let Some(schema) = snapshot.schema(relation.schema) {
            privileges::require(&snapshot, owner, Target::Schema(schema), privilege::CREATE)?;
        }
    }
    give(context, id, owner).await
}

/// Without questions; sequences that its columns own come along.
pub(super) async fn give(context: &mut DdlContext<'_>, id: Oid, owner: Oid) -> Result<()> {
    let Some(relation) = context.lock_relation_by_id(id).await? else { return Ok(()) };
    let old_owner = relation.owner;
    context.change_relation(id, |r| {
        r.owner = owner;
        change_grantor(&mut r.privileges, old_owner, owner);
    })?;
    for sequence in super::sequences::owned_by(&context.snapshot(), id, 0) {
        if context.lock_relation_by_id(sequence.id).await?.is_some() {
            context.change_relation(sequence.id, |r| {
                change_grantor(&mut r.privileges, r.owner, owner);
                r.owner = owner;
            })?;
        }
    }
    Ok(())
}

/// What the old owner had and gave is the new owner's.
pub(super) fn change_grantor(list: &mut Privileges, old: Oid, new: Oid) {
    let Some(list) = list else { return };
    let old_list = std::mem::take(list);
    let swap = |id: Oid| if id == old { new } else { id };
    for entry in old_list {
        let (grantee, grantor) = (swap(entry.grantee), swap(entry.grantor));
        match list.iter_mut().find(|g| g.grantee == grantee && g.grantor == grantor) {
            Some(same) => {
                same.rights |= entry.rights;
                same.grantable |= entry.grantable;
            }
            None => list.push(Grant { grantee, grantor, ..entry }),
        }
    }
}

pub(super) async fn claim_schema_name(context: &mut DdlContext<'_>, name: &str) -> Result<()> {
    match context.catalog.claim_name(context.txn, NameSpace::Schemas, context.database, name).await? {
        None if names::schema(context.catalog.snapshot(), context.scope(), name).is_err() => Ok(()),
        _ => Err(error(SqlState::DUPLICATE_SCHEMA, format!("schema \"{name}\" already exists"))),
    }
}

// --- rows stored again

/// Stores all rows under another key (empty: hidden row ids); the indexes are filled again too.
pub(super) async fn rekey(context: &mut DdlContext<'_>, id: Oid, key: Vec<AttributeNumber>) -> Result<()> {
    let old = context.relation(id)?;
    let mut changed = Relation::clone(&old);
    changed.key = key;
    rewrite(context, &old, changed, vec![]).await
}

/// Takes new storage for a relation and its indexes and fills it from the old one. `values`: expressions over the old row for
/// attributes that are not copied. `changed` is put with the new storage.
pub(super) async fn rewrite(
    context: &mut DdlContext<'_>,
    old: &Arc<Relation>,
    mut changed: Relation,
    values: Vec<(AttributeNumber, String)>,
) -> Result<()> {
    let id = changed.id;
    changed.storage = new_storage(context, &changed).await?;
    context.put_relation(changed)?;
    let new = context.relation(id)?;
    let snapshot = context.snapshot();
    context.services.rewrite(&snapshot, old, &new, values).await
}

/// New storage for a relation and its indexes; the relation's own is given back to be put with what else changes.
pub(super) async fn new_storage(context: &mut DdlContext<'_>, relation: &Relation) -> Result<u32> {
    let home = relation.home();
    let storage = context.catalog.allocate_id().await?;
    context.note_created_storage(home, storage);
    let current = context.relation(relation.id)?.storage;
    context.catalog.drop_storage(home, current);
    context.catalog.note_replaced(context.txn, relation)?;
    for index in relation.indexes.clone() {
        let mut index = Index::clone(&*context.lock_index_by_id(index).await?);
        if index.is_primary {
            index.storage = storage;
        } else {
            context.catalog.drop_storage(home, index.storage);
            index.storage = context.catalog.allocate_id().await?;
            context.note_created_storage(home, index.storage);
        }
        context.catalog.put(context.txn, Object::Index(index))?;
    }
    Ok(storage)
}
