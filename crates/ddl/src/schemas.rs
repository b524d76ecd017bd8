//! CREATE, ALTER and DROP SCHEMA.

use super::context::{DdlContext, error};
use super::depend::{self, Part};
use super::drop::drop_parts;
use super::mentions;
use super::rename::claim_schema_name;
use catalog::names;
use catalog::privileges::{self, Target};
use catalog::*;
use sql::utility::ddl::{AlterSchema, CreateSchema, Name, ObjectName};
use std::sync::Arc;
use types::{Result, SqlState};

fn check_name(name: &str) -> Result<()> {
    if !name.starts_with("pg_") {
        return Ok(());
    }
    Err(error(SqlState::RESERVED_NAME, format!("unacceptable schema name \"{name}\""))
        .detail("The prefix \"pg_\" is reserved for system schemas."))
}

fn require_create(context: &DdlContext<'_>) -> Result<()> {
    let snapshot = context.catalog.snapshot();
    let Some(database) = snapshot.database(context.database) else { return Ok(()) };
    privileges::require(snapshot, context.role, Target::Database(database), privilege::CREATE)
}

pub(super) async fn create(context: &mut DdlContext<'_>, create: &CreateSchema) -> Result<()> {
    let owner = match &create.authorization {
        Some(role) => context.role_id(role)?,
        None => context.role,
    };
    let name = match &create.name {
        Some(name) => name.name.clone(),
        None => context.role_name(owner),
    };
    require_create(context)?;
    if owner != context.role {
        context.require_may_become(owner)?;
    }
    check_name(&name)?;
    let exists = names::schema(context.catalog.snapshot(), context.scope(), &name).is_ok();
    if exists && create.if_not_exists {
        context.skipping(SqlState::DUPLICATE_SCHEMA, &format!("schema \"{name}\" already exists"));
        return Ok(());
    }
    claim_schema_name(context, &name).await?;
    let id = context.catalog.allocate_id().await?;
    let schema = Schema { id, database: context.database, name, owner, privileges: None, comment: None };
    context.catalog.put(context.txn, Object::Schema(schema))?;
    let (path, creation, role) = (context.search_path.clone(), context.creation_schema, context.role);
    context.search_path.insert(0, id);
    context.creation_schema = Some(id);
    context.role = owner;
    context.services.look_first_in(Some(id));
    let mut result = Ok(());
    for element in &create.elements {
        result = Box::pin(super::execute(element, context)).await.map(|_| ());
        if result.is_err() {
            break;
        }
    }
    context.services.look_first_in(None);
    (context.search_path, context.creation_schema, context.role) = (path, creation, role);
    result
}

async fn lock(context: &mut DdlContext<'_>, name: &str) -> Result<Option<Arc<Schema>>> {
    let Ok(found) = context.schema_named(name) else { return Ok(None) };
    let key = ObjectKey::new(ObjectKind::Schema, found.id);
    context.catalog.lock(context.txn, key).await?;
    Ok(context.catalog.snapshot().schema(found.id).cloned())
}

pub(super) async fn alter(context: &mut DdlContext<'_>, name: &Name, action: &AlterSchema) -> Result<()> {
    let Some(schema) = lock(context, &name.name).await? else { return Err(names::no_schema(&name.name)) };
    context.require_owner(Target::Schema(&schema))?;
    let mut changed = Schema::clone(&schema);
    match action {
        AlterSchema::Rename(to) => {
            require_create(context)?;
            check_name(&to.name)?;
            claim_schema_name(context, &to.name).await?;
            changed.name = to.name.clone();
            return rename(context, changed).await;
        }
        AlterSchema::Owner(role) => {
            let owner = context.role_id(role)?;
            context.require_may_become(owner)?;
            require_create(context)?;
            super::rename::change_grantor(&mut changed.privileges, schema.owner, owner);
            changed.owner = owner;
        }
    }
    context.catalog.put(context.txn, Object::Schema(changed))
}

/// Stored texts name the schema: sequences in defaults, relations in views.
async fn rename(context: &mut DdlContext<'_>, changed: Schema) -> Result<()> {
    let before = context.snapshot();
    let id = changed.id;
    for function in before.functions().filter(|f| f.schema == id) {
        super::functions::check_not_stored(context, function)?;
    }
    for operator in before.operators().filter(|o| o.schema == id) {
        super::operators::check_not_stored(context, operator)?;
    }
    context.catalog.put(context.txn, Object::Schema(changed))?;
    let inside: Vec<Arc<Relation>> = before.relations().filter(|r| r.schema == id).cloned().collect();
    for relation in inside {
        if relation.kind == RelationKind::Sequence {
            let after = context.snapshot();
            let old = mentions::sequence_literal(&before, &relation);
            let new = mentions::sequence_literal(&after, &relation);
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
        super::rename::rename_in_views(context, &before, relation.id).await?;
    }
    let functions = before.functions().filter(|f| f.schema == id).map(|f| f.id);
    let operators = before.operators().filter(|o| o.schema == id).map(|o| o.id);
    for object in functions.chain(operators) {
        super::rename::rename_in_views(context, &before, object).await?;
    }
    // What only a type's name brings in.
    let old_name = before.schema(id).map(|s| s.name.clone()).unwrap_or_default();
    super::rename::rename_mentions(context, &before, &old_name).await
}

pub(super) async fn drop(
    context: &mut DdlContext<'_>,
    object_names: &[ObjectName],
    if_exists: bool,
    cascade: bool,
) -> Result<()> {
    let mut targets = vec![];
    for name in object_names {
        let Some(schema) = lock(context, name.object()).await? else {
            let missing = names::no_schema(name.object());
            if !if_exists {
                return Err(missing);
            }
            context.skipping(SqlState::SUCCESSFUL_COMPLETION, missing.message());
            continue;
        };
        context.require_owner(Target::Schema(&schema))?;
        if schema.database == 0 {
            let message = format!("cannot drop schema {} because it is required by the database system", schema.name);
            return Err(error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
        }
        if !targets.contains(&Part::Schema(schema.id)) {
            targets.push(Part::Schema(schema.id));
        }
    }
    drop_parts(context, &targets, cascade).await
}
