//! CREATE, ALTER and DROP DATABASE. A database is a name space: making one makes its `public` schema, nothing is copied.

use super::context::{DdlContext, error};
use super::depend::Part;
use super::drop::carry_out;
use catalog::bootstrap::{new_database, public_schema};
use catalog::privileges::{self, Target};
use catalog::rows::NameSpace;
use catalog::*;
use sql::utility::ddl::{AlterDatabase, Name, Options, RoleSpec, SettingChange};
use std::sync::Arc;
use std::time::Duration;
use types::{Result, SqlError, SqlState};

/// How long sessions that are about to leave a database are waited for: 5 seconds, as in PostgreSQL.
const LEAVING_LOOKS: u32 = 250;
const LEAVING_LOOK_EVERY: Duration = Duration::from_millis(20);

fn no_database(name: &str) -> SqlError {
    error(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
}

fn boolean(name: &str, value: Option<&str>) -> Result<bool> {
    match value.map(str::to_lowercase).as_deref() {
        None | Some("true" | "on" | "1" | "yes") => Ok(true),
        Some("false" | "off" | "0" | "no") => Ok(false),
        Some(_) => Err(error(SqlState::SYNTAX_ERROR, format!("{name} requires a Boolean value"))),
    }
}

/// Options that both CREATE and ALTER have.
fn apply_option(database: &mut Database, name: &str, value: Option<&str>) -> Result<()> {
    match name {
        "connection_limit" => {
            let limit = value.map_or(Ok(-1), str::parse).ok().filter(|l| *l >= -1);
            let shown = value.unwrap_or_default();
            database.connection_limit = limit.ok_or_else(|| {
                error(SqlState::INVALID_PARAMETER_VALUE, format!("invalid connection limit: {shown}"))
            })?;
        }
        "allow_connections" => database.allow_connections = boolean(name, value)?,
        "is_template" => database.is_template = boolean(name, value)?,
        _ => return Err(error(SqlState::SYNTAX_ERROR, format!("option \"{name}\" not recognized"))),
    }
    Ok(())
}

/// What CREATE DATABASE is given beside the common options: all but the owner must be what every database here has.
fn check_fixed_option(context: &DdlContext<'_>, name: &str, value: &str) -> Result<bool> {
    match name {
        "encoding" => match value.to_lowercase().replace('-', "").as_str() {
            "utf8" | "unicode" | "6" => Ok(true),
            "sql_ascii" | "latin1" | "latin9" | "win1252" => {
                Err(SqlError::unsupported(format!("encoding \"{value}\" is not supported, databases are UTF8")))
            }
            _ => Err(error(SqlState::UNDEFINED_OBJECT, format!("{value} is not a valid encoding name"))),
        },
        "lc_collate" | "lc_ctype" | "locale" | "icu_locale" | "collation_version" => match value {
            "C" | "POSIX" | "C.UTF-8" | "en_US.UTF-8" | "en_US.utf8" | "C.utf8" => Ok(true),
            _ => Err(error(SqlState::WRONG_OBJECT_TYPE, format!("invalid locale name: \"{value}\""))),
        },
        "locale_provider" | "tablespace" | "strategy" | "oid" => Ok(true),
        "template" => {
            let snapshot = context.catalog.snapshot();
            let Some(template) = snapshot.database_by_name(value) else {
                return Err(error(
                    SqlState::INVALID_CATALOG_NAME,
                    format!("template database \"{value}\" does not exist"),
                ));
            };
            let is_empty = !snapshot.relations().any(|r| r.database == template.id && !r.is_temporary);
            if is_empty {
                return Ok(true);
            }
            Err(SqlError::unsupported(format!(
                "copying the contents of template database \"{value}\" is not supported"
            )))
        }
        _ => Ok(false),
    }
}

pub(super) async fn create(context: &mut DdlContext<'_>, name: &Name, options: &Options) -> Result<()> {
    let may =
        context.is_superuser() || context.catalog.snapshot().role(context.role).is_some_and(|r| r.create_database);
    let mut owner = context.role;
    let mut database = new_database(0, &name.name, owner);
    for (option, value) in options {
        match (option.as_str(), value.as_deref()) {
            ("owner", Some(value)) => owner = context.role_id(&RoleSpec::Name(value.to_owned()))?,
            ("owner", None) => {}
            (option, Some(value)) if check_fixed_option(context, option, value)? => {}
            (option, value) => apply_option(&mut database, option, value)?,
        }
    }
    if !may {
        return Err(error(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to create database"));
    }
    context.require_may_become(owner)?;
    claim(context, &name.name).await?;
    database.id = context.catalog.allocate_id().await?;
    database.owner = owner;
    let public = public_schema(context.catalog.allocate_id().await?, database.id);
    context.catalog.put(context.txn, Object::Database(database))?;
    context.catalog.put(context.txn, Object::Schema(public))
}

async fn claim(context: &mut DdlContext<'_>, name: &str) -> Result<()> {
    match context.catalog.claim_name(context.txn, NameSpace::Databases, 0, name).await? {
        None => Ok(()),
        Some(_) => Err(error(SqlState::DUPLICATE_DATABASE, format!("database \"{name}\" already exists"))),
    }
}

async fn lock(context: &mut DdlContext<'_>, name: &str) -> Result<Option<Arc<Database>>> {
    let Some(id) = context.catalog.snapshot().database_by_name(name).map(|d| d.id) else { return Ok(None) };
    context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Database, id)).await?;
    Ok(context.catalog.snapshot().database(id).cloned())
}

fn require_owner(context: &DdlContext<'_>, database: &Database) -> Result<()> {
    if privileges::is_owner(context.catalog.snapshot(), context.role, Target::Database(database)) {
        return Ok(());
    }
    Err(error(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of database {}", database.name)))
}

/// 55006 where other sessions hold the database, and do not leave it in time: a client that has hung up may not be gone yet.
async fn check_unused(context: &DdlContext<'_>, database: &Database) -> Result<()> {
    let mut sessions = context.services.sessions_in(database.id);
    for _ in 0..LEAVING_LOOKS {
        if sessions == 0 {
            return Ok(());
        }
        context.txn.check()?;
        host::clock::sleep(LEAVING_LOOK_EVERY).await;
        sessions = context.services.sessions_in(database.id);
    }
    let message = format!("database \"{}\" is being accessed by other users", database.name);
    let detail = match sessions {
        1 => "There is 1 other session using the database.".to_owned(),
        n => format!("There are {n} other sessions using the database."),
    };
    Err(error(SqlState::OBJECT_IN_USE, message).detail(detail))
}

pub(super) async fn alter(context: &mut DdlContext<'_>, name: &Name, action: &AlterDatabase) -> Result<()> {
    let Some(database) = lock(context, &name.name).await? else { return Err(no_database(&name.name)) };
    require_owner(context, &database)?;
    let mut changed = Database::clone(&database);
    match action {
        AlterDatabase::Rename(to) => {
            let may = context.is_superuser()
                || context.catalog.snapshot().role(context.role).is_some_and(|r| r.create_database);
            if !may {
                return Err(error(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to rename database"));
            }
            if database.id == context.database {
                return Err(error(SqlState::FEATURE_NOT_SUPPORTED, "current database cannot be renamed"));
            }
            claim(context, &to.name).await?;
            check_unused(context, &database).await?;
            changed.name = to.name.clone();
        }
        AlterDatabase::Owner(role) => {
            let owner = context.role_id(role)?;
            context.require_may_become(owner)?;
            super::rename::change_grantor(&mut changed.privileges, database.owner, owner);
            changed.owner = owner;
        }
        AlterDatabase::Options(options) => {
            for (option, value) in options {
                apply_option(&mut changed, option, value.as_deref())?;
            }
        }
        AlterDatabase::Setting(change) => change_setting(&mut changed.settings, 0, change),
    }
    context.catalog.put(context.txn, Object::Database(changed))
}

/// Settings of a database: (role or 0, name, value).
pub(super) fn change_setting(
    settings: &mut Vec<(types::Oid, String, String)>,
    role: types::Oid,
    change: &SettingChange,
) {
    match change {
        SettingChange::Set(name, values) => {
            settings.retain(|(r, n, _)| !(*r == role && n == name));
            settings.push((role, name.clone(), join_values(values)));
        }
        SettingChange::Reset(name) => settings.retain(|(r, n, _)| !(*r == role && n == name)),
        SettingChange::ResetAll => settings.retain(|(r, _, _)| *r != role),
    }
}

/// A list as SET takes it.
pub(super) fn join_values(values: &[String]) -> String {
    match values {
        [one] => one.clone(),
        many => many.iter().map(|v| types::functions::quote_ident(v).to_string()).collect::<Vec<_>>().join(", "),
    }
}

pub(super) async fn drop(context: &mut DdlContext<'_>, name: &Name, if_exists: bool, force: bool) -> Result<()> {
    let Some(database) = lock(context, &name.name).await? else {
        let missing = no_database(&name.name);
        if !if_exists {
            return Err(missing);
        }
        context.skipping(SqlState::SUCCESSFUL_COMPLETION, missing.message());
        return Ok(());
    };
    require_owner(context, &database)?;
    if database.id == context.database {
        return Err(error(SqlState::OBJECT_IN_USE, "cannot drop the currently open database"));
    }
    if database.is_template {
        return Err(error(SqlState::WRONG_OBJECT_TYPE, "cannot drop a template database"));
    }
    if force {
        context.services.end_sessions_in(database.id);
    }
    check_unused(context, &database).await?;
    let snapshot = context.snapshot();
    let mut parts: Vec<Part> =
        snapshot.schemas().filter(|s| s.database == database.id).map(|s| Part::Schema(s.id)).collect();
    parts.extend(snapshot.relations().filter(|r| r.database == database.id).map(|r| Part::Relation(r.id)));
    carry_out(context, super::depend::DropPlan { parts }).await?;
    context.catalog.remove(context.txn, ObjectKey::new(ObjectKind::Database, database.id))
}
