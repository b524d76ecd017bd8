//! CREATE, ALTER and DROP ROLE, their settings, and membership.

use super::context::{DdlContext, error};
use super::scram;
use catalog::bootstrap::new_role;
use catalog::privileges;
use catalog::rows::NameSpace;
use catalog::*;
use sql::utility::ddl::{GrantRoles, Name, RoleKind, RoleOption, RoleSpec, SettingChange};
use std::sync::Arc;
use types::{Datum, Oid, Result, Severity, SqlError, SqlState, SqlType};

fn denied(message: &str) -> SqlError {
    error(SqlState::INSUFFICIENT_PRIVILEGE, message)
}

fn may_create_roles(context: &DdlContext<'_>) -> bool {
    context.is_superuser() || context.catalog.snapshot().role(context.role).is_some_and(|r| r.create_role)
}

fn check_new_name(name: &str) -> Result<()> {
    if !name.starts_with("pg_") {
        return Ok(());
    }
    Err(error(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved"))
        .detail("Role names starting with \"pg_\" are reserved."))
}

async fn claim(context: &mut DdlContext<'_>, name: &str) -> Result<()> {
    match context.catalog.claim_name(context.txn, NameSpace::Roles, 0, name).await? {
        None => Ok(()),
        Some(_) => Err(error(SqlState::DUPLICATE_OBJECT, format!("role \"{name}\" already exists"))),
    }
}

async fn lock(context: &mut DdlContext<'_>, id: Oid) -> Result<Arc<Role>> {
    context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Role, id)).await?;
    let role = context.catalog.snapshot().role(id).cloned();
    role.ok_or_else(|| error(SqlState::UNDEFINED_OBJECT, format!("role with OID {id} does not exist")))
}

/// What only superusers may hand out.
fn check_powers(context: &DdlContext<'_>, options: &[RoleOption], alter: bool) -> Result<()> {
    if context.is_superuser() {
        return Ok(());
    }
    for option in options {
        let message = match option {
            RoleOption::Superuser(_) if alter => {
                "must be superuser to alter superuser roles or change superuser attribute"
            }
            RoleOption::Superuser(true) => "must be superuser to create superusers",
            RoleOption::Replication(_) if alter => {
                "must be superuser to alter replication roles or change replication attribute"
            }
            RoleOption::Replication(true) => "must be superuser to create replication users",
            RoleOption::BypassRowSecurity(_) if alter => "must be superuser to change bypassrls attribute",
            RoleOption::BypassRowSecurity(true) => "must be superuser to create bypassrls users",
            _ => continue,
        };
        return Err(denied(message));
    }
    Ok(())
}

fn apply(context: &DdlContext<'_>, role: &mut Role, option: &RoleOption) -> Result<()> {
    match option {
        RoleOption::Superuser(on) => role.is_superuser = *on,
        RoleOption::CreateDatabase(on) => role.create_database = *on,
        RoleOption::CreateRole(on) => role.create_role = *on,
        RoleOption::Inherit(on) => role.inherit = *on,
        RoleOption::Login(on) => role.can_login = *on,
        RoleOption::Replication(on) => role.replication = *on,
        RoleOption::BypassRowSecurity(on) => role.bypass_row_security = *on,
        RoleOption::ConnectionLimit(limit) if *limit < -1 => {
            return Err(error(SqlState::INVALID_PARAMETER_VALUE, format!("invalid connection limit: {limit}")));
        }
        RoleOption::ConnectionLimit(limit) => role.connection_limit = *limit,
        RoleOption::Password(None) => role.password = None,
        RoleOption::Password(Some(password)) => role.password = stored_password(context, password)?,
        RoleOption::ValidUntil(text) => {
            role.valid_until = match context.services.input(SqlType::TIMESTAMPTZ, text)? {
                Datum::TimestampTz(at) => Some(at),
                _ => None,
            };
        }
        _ => {}
    }
    Ok(())
}

fn stored_password(context: &DdlContext<'_>, password: &str) -> Result<Option<String>> {
    if password.is_empty() {
        context.notice(SqlState::SUCCESSFUL_COMPLETION, "empty string is not a valid password, clearing password");
        return Ok(None);
    }
    if scram::is_verifier(password) {
        return Ok(Some(password.to_owned()));
    }
    let mut salt = [0; scram::SALT_BYTES];
    context.services.random(&mut salt);
    scram::verifier(password, &salt).map(Some)
}

pub(super) async fn create(
    context: &mut DdlContext<'_>,
    name: &Name,
    kind: RoleKind,
    options: &[RoleOption],
) -> Result<()> {
    check_powers(context, options, false)?;
    if !may_create_roles(context) {
        return Err(denied("permission denied to create role"));
    }
    check_new_name(&name.name)?;
    claim(context, &name.name).await?;
    let mut role = new_role(context.catalog.allocate_id().await?, &name.name);
    role.can_login = kind == RoleKind::User;
    for option in options {
        apply(context, &mut role, option)?;
    }
    let id = role.id;
    context.catalog.put(context.txn, Object::Role(role))?;
    for option in options {
        match option {
            RoleOption::InRoles(roles) => {
                for parent in roles {
                    let parent = context.role_id(parent)?;
                    add_member(context, parent, id, false, context.role).await?;
                }
            }
            RoleOption::Members(members) => add_members(context, id, members, false).await?,
            RoleOption::Admins(members) => add_members(context, id, members, true).await?,
            _ => {}
        }
    }
    Ok(())
}

async fn add_members(context: &mut DdlContext<'_>, role: Oid, members: &[RoleSpec], admin: bool) -> Result<()> {
    for member in members {
        let member = context.role_id(member)?;
        add_member(context, role, member, admin, context.role).await?;
    }
    Ok(())
}

pub(super) async fn alter(context: &mut DdlContext<'_>, spec: &RoleSpec, options: &[RoleOption]) -> Result<()> {
    let id = context.role_id(spec)?;
    let role = lock(context, id).await?;
    check_powers(context, options, true)?;
    let only_password = options.iter().all(|o| matches!(o, RoleOption::Password(_)));
    if role.is_superuser && !context.is_superuser() {
        return Err(denied("must be superuser to alter superuser roles or change superuser attribute"));
    }
    let changes_own_password = id == context.role && only_password;
    if !changes_own_password && !may_create_roles(context) {
        return Err(denied("permission denied"));
    }
    let mut changed = Role::clone(&role);
    for option in options {
        apply(context, &mut changed, option)?;
    }
    context.catalog.put(context.txn, Object::Role(changed))?;
    for option in options {
        match option {
            RoleOption::AddMembers(members) => add_members(context, id, members, false).await?,
            RoleOption::DropMembers(members) => {
                for member in members {
                    let member = context.role_id(member)?;
                    remove_member(context, id, member, false).await?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) async fn alter_settings(
    context: &mut DdlContext<'_>,
    role: Option<&RoleSpec>,
    database: Option<&Name>,
    change: &SettingChange,
) -> Result<()> {
    let role_id = role.map(|r| context.role_id(r)).transpose()?;
    match role_id {
        None if !context.is_superuser() => return Err(denied("must be superuser to alter settings globally")),
        Some(id) if id != context.role && !may_create_roles(context) => return Err(denied("permission denied")),
        _ => {}
    }
    if let Some(database) = database {
        let found = context.catalog.snapshot().database_by_name(&database.name).cloned();
        let Some(found) = found else {
            return Err(error(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{}\" does not exist", database.name),
            ));
        };
        context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Database, found.id)).await?;
        let newest = context.catalog.snapshot().database(found.id).cloned().unwrap_or(found);
        let mut changed = Database::clone(&newest);
        super::databases::change_setting(&mut changed.settings, role_id.unwrap_or(0), change);
        return context.catalog.put(context.txn, Object::Database(changed));
    }
    let Some(id) = role_id else {
        return Err(SqlError::unsupported("ALTER ROLE ALL SET is not supported"));
    };
    let mut changed = Role::clone(&*lock(context, id).await?);
    match change {
        SettingChange::Set(name, values) => {
            changed.settings.retain(|(n, _)| n != name);
            changed.settings.push((name.clone(), super::databases::join_values(values)));
        }
        SettingChange::Reset(name) => changed.settings.retain(|(n, _)| n != name),
        SettingChange::ResetAll => changed.settings.clear(),
    }
    context.catalog.put(context.txn, Object::Role(changed))
}

pub(super) async fn rename(context: &mut DdlContext<'_>, from: &Name, to: &Name) -> Result<()> {
    let id = context.role_by_name(&from.name)?.id;
    let role = lock(context, id).await?;
    if id == context.session_role {
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, "session user cannot be renamed"));
    }
    if id == context.role {
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, "current user cannot be renamed"));
    }
    check_new_name(&role.name)?;
    check_new_name(&to.name)?;
    if role.is_superuser && !context.is_superuser() {
        return Err(denied("must be superuser to rename superusers"));
    }
    if !may_create_roles(context) {
        return Err(denied("permission denied to rename role"));
    }
    claim(context, &to.name).await?;
    let mut changed = Role::clone(&role);
    changed.name = to.name.clone();
    context.catalog.put(context.txn, Object::Role(changed))
}

pub(super) async fn drop(context: &mut DdlContext<'_>, roles: &[RoleSpec], if_exists: bool) -> Result<()> {
    if !may_create_roles(context) {
        return Err(denied("permission denied to drop role"));
    }
    for spec in roles {
        let RoleSpec::Name(name) = spec else {
            return Err(error(SqlState::INVALID_PARAMETER_VALUE, "cannot use special role specifier in DROP ROLE"));
        };
        let Some(id) = context.catalog.snapshot().role_by_name(name).map(|r| r.id) else {
            let missing = format!("role \"{name}\" does not exist");
            if !if_exists {
                return Err(error(SqlState::UNDEFINED_OBJECT, missing));
            }
            context.skipping(SqlState::SUCCESSFUL_COMPLETION, &missing);
            continue;
        };
        drop_one(context, id).await?;
    }
    Ok(())
}

async fn drop_one(context: &mut DdlContext<'_>, id: Oid) -> Result<()> {
    let role = lock(context, id).await?;
    if id == context.role {
        return Err(error(SqlState::OBJECT_IN_USE, "current user cannot be dropped"));
    }
    if id == context.session_role {
        return Err(error(SqlState::OBJECT_IN_USE, "session user cannot be dropped"));
    }
    if role.is_superuser && !context.is_superuser() {
        return Err(denied("must be superuser to drop superusers"));
    }
    if id < types::oid::FIRST_USER_OID {
        let message = format!("cannot drop role {} because it is required by the database system", role.name);
        return Err(error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
    }
    let uses = super::owned::uses(context, id);
    if !uses.is_empty() {
        let message = format!("role \"{}\" cannot be dropped because some objects depend on it", role.name);
        return Err(error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).detail(uses.join("\n")));
    }
    let snapshot = context.snapshot();
    let members: Vec<Oid> =
        snapshot.roles().filter(|r| r.member_of.iter().any(|(parent, _, _)| *parent == id)).map(|r| r.id).collect();
    for member in members {
        let mut changed = Role::clone(&*lock(context, member).await?);
        changed.member_of.retain(|(parent, _, _)| *parent != id);
        context.catalog.put(context.txn, Object::Role(changed))?;
    }
    context.catalog.remove(context.txn, ObjectKey::new(ObjectKind::Role, id))
}

// --- membership

fn may_admin(context: &DdlContext<'_>, role: &Role) -> bool {
    let snapshot = context.catalog.snapshot();
    if context.is_superuser() {
        return true;
    }
    if role.is_superuser {
        return false;
    }
    let has_option = snapshot
        .roles()
        .filter(|r| privileges::is_member(snapshot, context.role, r.id))
        .any(|r| r.member_of.iter().any(|(parent, admin, _)| *parent == role.id && *admin));
    has_option || may_create_roles(context)
}

pub(super) async fn grant(context: &mut DdlContext<'_>, grant: &GrantRoles) -> Result<()> {
    for name in &grant.roles {
        let role = context.role_by_name(&name.name)?;
        if role.id == DATABASE_OWNER_ROLE {
            let message = format!("role \"{}\" cannot have explicit members", role.name);
            return Err(error(SqlState::INVALID_GRANT_OPERATION, message));
        }
        if !may_admin(context, &role) {
            let message = match role.is_superuser {
                true => "must be superuser to alter superusers".to_owned(),
                false => format!("must have admin option on role \"{}\"", role.name),
            };
            return Err(denied(&message));
        }
        for member in &grant.members {
            let member = context.role_id(member)?;
            if grant.is_grant {
                add_member(context, role.id, member, grant.admin_option, context.role).await?;
            } else {
                remove_member(context, role.id, member, grant.admin_option).await?;
            }
        }
    }
    Ok(())
}

async fn add_member(context: &mut DdlContext<'_>, role: Oid, member: Oid, admin: bool, grantor: Oid) -> Result<()> {
    let snapshot = context.snapshot();
    let (role_name, member_name) = (context.role_name(role), context.role_name(member));
    // Superusers belong to all; only a real circle is one.
    let is_circle = role == member || reaches(&snapshot, role, member);
    if is_circle {
        let message = format!("role \"{member_name}\" is a member of role \"{role_name}\"");
        let message = if role == member {
            message
        } else {
            format!("role \"{role_name}\" is a member of role \"{member_name}\"")
        };
        return Err(error(SqlState::INVALID_GRANT_OPERATION, message));
    }
    let mut changed = Role::clone(&*lock(context, member).await?);
    match changed.member_of.iter_mut().find(|(parent, _, _)| *parent == role) {
        Some((_, has_admin, _)) if *has_admin || !admin => {
            context.notice(
                SqlState::SUCCESSFUL_COMPLETION,
                format!("role \"{member_name}\" is already a member of role \"{role_name}\""),
            );
            return Ok(());
        }
        Some((_, has_admin, _)) => *has_admin = true,
        None => changed.member_of.push((role, admin, grantor)),
    }
    context.catalog.put(context.txn, Object::Role(changed))
}

fn reaches(snapshot: &Snapshot, from: Oid, to: Oid) -> bool {
    let mut seen = vec![from];
    let mut front = vec![from];
    while let Some(next) = front.pop() {
        for (parent, _, _) in snapshot.role(next).map(|r| r.member_of.as_slice()).unwrap_or_default() {
            if *parent == to {
                return true;
            }
            if !seen.contains(parent) {
                seen.push(*parent);
                front.push(*parent);
            }
        }
    }
    false
}

async fn remove_member(context: &mut DdlContext<'_>, role: Oid, member: Oid, admin_only: bool) -> Result<()> {
    let mut changed = Role::clone(&*lock(context, member).await?);
    let Some(at) = changed.member_of.iter().position(|(parent, _, _)| *parent == role) else {
        let message =
            format!("role \"{}\" is not a member of role \"{}\"", context.role_name(member), context.role_name(role));
        context.services.notice(SqlError::new(SqlState::WARNING, message).severity(Severity::Warning));
        return Ok(());
    };
    if admin_only {
        if let Some((_, admin, _)) = changed.member_of.get_mut(at) {
            *admin = false;
        }
    } else {
        changed.member_of.remove(at);
    }
    context.catalog.put(context.txn, Object::Role(changed))
}
