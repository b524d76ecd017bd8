//! REASSIGN OWNED, DROP OWNED, and what keeps a role from being dropped.

use super::context::DdlContext;
use super::depend::{self, Part};
use super::drop::drop_parts;
use super::rename::{change_grantor, give};
use catalog::*;
use sql::utility::ddl::RoleSpec;
use std::sync::Arc;
use types::{Oid, Result, SqlState};

/// Lines of DROP ROLE's detail, as PostgreSQL words them.
pub(super) fn uses(context: &DdlContext<'_>, role: Oid) -> Vec<String> {
    let snapshot = context.catalog.snapshot();
    let mut lines = vec![];
    let mentions = |list: &Privileges| list.iter().flatten().any(|g| g.grantee == role || g.grantor == role);
    for database in snapshot.databases() {
        if database.owner == role {
            lines.push(format!("owner of database {}", database.name));
        } else if mentions(&database.privileges) {
            lines.push(format!("privileges for database {}", database.name));
        }
    }
    for schema in snapshot.schemas().filter(|s| s.database == context.database) {
        if schema.owner == role {
            lines.push(format!("owner of schema {}", schema.name));
        } else if mentions(&schema.privileges) {
            lines.push(format!("privileges for schema {}", schema.name));
        }
    }
    let mut elsewhere = 0;
    for relation in snapshot.relations().filter(|r| r.database != 0) {
        let columns: Vec<&Column> =
            relation.live_columns().filter(|c| c.privileges.as_ref().is_some_and(mentions)).collect();
        let on_columns = !columns.is_empty();
        let is_owner = relation.owner == role;
        if !is_owner && !mentions(&relation.privileges) && !on_columns {
            continue;
        }
        if relation.database != context.database {
            elsewhere += 1;
            continue;
        }
        let what = depend::describe(snapshot, context.scope(), Part::Relation(relation.id));
        // A sequence that a column owns is told with its table.
        let is_owned = relation.sequence.as_ref().is_some_and(|s| s.owned_by.is_some());
        match is_owner {
            true if is_owned => {}
            true => lines.push(format!("owner of {what}")),
            false if mentions(&relation.privileges) => lines.push(format!("privileges for {what}")),
            false => {
                lines.extend(columns.iter().map(|c| format!("privileges for column {} of {what}", c.name)));
            }
        }
    }
    for function in snapshot.functions().filter(|f| f.database == context.database) {
        let what = depend::describe(snapshot, context.scope(), Part::Function(function.id));
        if function.owner == role {
            lines.push(format!("owner of {what}"));
        } else if mentions(&function.privileges) {
            lines.push(format!("privileges for {what}"));
        }
    }
    for operator in snapshot.operators().filter(|o| o.database == context.database && o.owner == role) {
        let what = depend::describe(snapshot, context.scope(), Part::Operator(operator.id));
        lines.push(format!("owner of {what}"));
    }
    for default in
        snapshot.default_privileges().filter(|d| d.role == role || d.grants.iter().any(|g| g.grantee == role))
    {
        let owner = context.role_name(default.role);
        let what = if default.kind == 'r' { "relations" } else { "sequences" };
        let verb = if default.role == role { "owner of" } else { "privileges for" };
        lines.push(format!("{verb} default privileges on new {what} belonging to role {owner}"));
    }
    if elsewhere > 0 {
        lines.push(format!("{elsewhere} object{} in other databases", if elsewhere == 1 { "" } else { "s" }));
    }
    lines
}

fn check_role(context: &DdlContext<'_>, role: Oid, verb: &str) -> Result<()> {
    if role == POSTGRES_ROLE {
        let message = format!(
            "cannot {verb} objects owned by role {} because they are required by the database system",
            context.role_name(role)
        );
        return Err(super::context::error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
    }
    if catalog::privileges::has_rights_of(context.catalog.snapshot(), context.role, role, context.database) {
        return Ok(());
    }
    let message = format!("permission denied to {verb} objects");
    Err(super::context::error(SqlState::INSUFFICIENT_PRIVILEGE, message))
}

pub(super) async fn reassign(context: &mut DdlContext<'_>, from: &[RoleSpec], to: &RoleSpec) -> Result<()> {
    let from: Vec<Oid> = from.iter().map(|r| context.role_id(r)).collect::<Result<_>>()?;
    let to = context.role_id(to)?;
    for role in &from {
        check_role(context, *role, "reassign ownership of")?;
    }
    check_role_target(context, to)?;
    let (snapshot, here) = (context.snapshot(), context.database);
    for database in snapshot.databases().filter(|d| from.contains(&d.owner)) {
        context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Database, database.id)).await?;
        let mut changed = Database::clone(database);
        change_grantor(&mut changed.privileges, database.owner, to);
        changed.owner = to;
        context.catalog.put(context.txn, Object::Database(changed))?;
    }
    for schema in snapshot.schemas().filter(|s| s.database == here && from.contains(&s.owner)) {
        context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Schema, schema.id)).await?;
        let mut changed = Schema::clone(schema);
        change_grantor(&mut changed.privileges, schema.owner, to);
        changed.owner = to;
        context.catalog.put(context.txn, Object::Schema(changed))?;
    }
    for relation in snapshot.relations().filter(|r| r.database == here && from.contains(&r.owner)) {
        give(context, relation.id, to).await?;
    }
    for function in snapshot.functions().filter(|f| f.database == here && from.contains(&f.owner)) {
        let function = super::routines::lock(context, function.id).await?;
        super::functions::give(context, &function, to)?;
    }
    for operator in snapshot.operators().filter(|o| o.database == here && from.contains(&o.owner)) {
        super::operators::give_by_id(context, operator.id, to).await?;
    }
    Ok(())
}

fn check_role_target(context: &DdlContext<'_>, role: Oid) -> Result<()> {
    if catalog::privileges::has_rights_of(context.catalog.snapshot(), context.role, role, context.database) {
        return Ok(());
    }
    Err(super::context::error(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to reassign objects"))
}

pub(super) async fn drop(context: &mut DdlContext<'_>, roles: &[RoleSpec], cascade: bool) -> Result<()> {
    let roles: Vec<Oid> = roles.iter().map(|r| context.role_id(r)).collect::<Result<_>>()?;
    for role in &roles {
        check_role(context, *role, "drop")?;
    }
    revoke_all(context, &roles).await?;
    let snapshot = context.snapshot();
    let here = |database: Oid, owner: Oid| database == context.database && roles.contains(&owner);
    let mut parts: Vec<Part> =
        snapshot.schemas().filter(|s| here(s.database, s.owner)).map(|s| Part::Schema(s.id)).collect();
    let is_free = |r: &&Arc<Relation>| r.sequence.as_ref().is_none_or(|s| s.owned_by.is_none());
    parts.extend(
        snapshot.relations().filter(|r| here(r.database, r.owner)).filter(is_free).map(|r| Part::Relation(r.id)),
    );
    let functions = snapshot.functions().filter(|f| here(f.database, f.owner));
    parts.extend(functions.map(|f| Part::Function(f.id)));
    let operators = snapshot.operators().filter(|o| here(o.database, o.owner));
    parts.extend(operators.map(|o| Part::Operator(o.id)));
    if parts.is_empty() {
        return Ok(());
    }
    drop_parts(context, &parts, cascade).await
}

/// What was granted to the roles in this database, and on databases.
async fn revoke_all(context: &mut DdlContext<'_>, roles: &[Oid]) -> Result<()> {
    let strip = |list: &mut Privileges| {
        if let Some(list) = list {
            list.retain(|g| !roles.contains(&g.grantee) && !roles.contains(&g.grantor));
        }
    };
    let mentions = |list: &Privileges| list.iter().flatten().any(|g| roles.contains(&g.grantee));
    let (snapshot, here) = (context.snapshot(), context.database);
    for relation in snapshot.relations().filter(|r| r.database == here && !roles.contains(&r.owner)) {
        let on_columns = relation.columns.iter().any(|c| c.privileges.as_ref().is_some_and(mentions));
        if !mentions(&relation.privileges) && !on_columns || context.lock_relation_by_id(relation.id).await?.is_none() {
            continue;
        }
        context.change_relation(relation.id, |r| {
            strip(&mut r.privileges);
            r.columns.iter_mut().filter_map(|c| c.privileges.as_mut()).for_each(strip);
        })?;
    }
    for function in snapshot.functions().filter(|f| f.database == here && mentions(&f.privileges)) {
        let function = super::routines::lock(context, function.id).await?;
        super::routines::change(context, &function, |f| strip(&mut f.privileges))?;
    }
    for schema in snapshot.schemas().filter(|s| s.database == here && mentions(&s.privileges)) {
        context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Schema, schema.id)).await?;
        let mut changed = Schema::clone(schema);
        strip(&mut changed.privileges);
        context.catalog.put(context.txn, Object::Schema(changed))?;
    }
    for database in snapshot.databases().filter(|d| mentions(&d.privileges)) {
        context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Database, database.id)).await?;
        let mut changed = Database::clone(database);
        strip(&mut changed.privileges);
        context.catalog.put(context.txn, Object::Database(changed))?;
    }
    let defaults: Vec<Arc<DefaultPrivileges>> = snapshot
        .default_privileges()
        .filter(|d| d.database == context.database && roles.contains(&d.role))
        .cloned()
        .collect();
    for default in defaults {
        let key = ObjectKey::new(ObjectKind::DefaultPrivileges, default.id);
        if context.catalog.lock(context.txn, key).await? {
            context.catalog.remove(context.txn, key)?;
        }
    }
    Ok(())
}
