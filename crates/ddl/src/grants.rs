//! GRANT and REVOKE on tables, columns, sequences, schemas, databases and functions; ALTER DEFAULT PRIVILEGES.

use super::columns::column_mut;
use super::context::{DdlContext, error};
use super::user_types;
use catalog::names;
use catalog::privileges::{self, Target};
use catalog::*;
use sql::utility::ddl::{Grant as GrantStatement, GrantTarget, Name, ObjectName, RoleSpec};
use std::sync::Arc;
use types::{Oid, Result, Severity, SqlError, SqlState};

/// Kinds of objects as GRANT tells them apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Table,
    Sequence,
    Schema,
    Database,
    Function,
    Type,
}

impl Kind {
    fn rights(self) -> u32 {
        match self {
            Kind::Table => privilege::ALL_TABLE,
            Kind::Sequence => privilege::ALL_SEQUENCE,
            Kind::Schema => privilege::ALL_SCHEMA,
            Kind::Database => privilege::ALL_DATABASE,
            Kind::Function => privilege::EXECUTE,
            Kind::Type => privilege::USAGE,
        }
    }
    fn word(self) -> &'static str {
        match self {
            Kind::Table => "relation",
            Kind::Sequence => "sequence",
            Kind::Schema => "schema",
            Kind::Database => "database",
            Kind::Function => "function",
            Kind::Type => "type",
        }
    }
}

fn bit(word: &str) -> Option<u32> {
    Some(match word {
        "insert" => privilege::INSERT,
        "select" => privilege::SELECT,
        "update" => privilege::UPDATE,
        "delete" => privilege::DELETE,
        "truncate" => privilege::TRUNCATE,
        "references" => privilege::REFERENCES,
        "trigger" => privilege::TRIGGER,
        "execute" => privilege::EXECUTE,
        "usage" => privilege::USAGE,
        "create" => privilege::CREATE,
        "temp" | "temporary" => privilege::CREATE_TEMP,
        "connect" => privilege::CONNECT,
        _ => return None,
    })
}

/// Bits of the words that are not for columns.
fn object_rights(grant: &GrantStatement, kind: Kind) -> Result<u32> {
    if grant.rights.is_empty() {
        return Ok(if grant.all_columns.is_empty() { kind.rights() } else { 0 });
    }
    let is_default = matches!(grant.target, GrantTarget::Default(_));
    let mut rights = 0;
    for (word, columns, _) in &grant.rights {
        let Some(bit) = bit(word) else {
            return Err(error(SqlState::SYNTAX_ERROR, format!("unrecognized privilege type \"{word}\"")));
        };
        if !columns.is_empty() {
            continue;
        }
        // What a sequence alone has is refused when the object turns out to be none.
        let allowed = kind.rights() | if kind == Kind::Table && !is_default { privilege::ALL_SEQUENCE } else { 0 };
        if allowed & bit == 0 {
            let message = format!("invalid privilege type {} for {}", word.to_uppercase(), kind.word());
            return Err(error(SqlState::INVALID_GRANT_OPERATION, message));
        }
        rights |= bit;
    }
    Ok(rights)
}

/// (columns, bits) of the words that are.
fn column_rights(grant: &GrantStatement) -> Result<Vec<(&[Name], u32)>> {
    let mut all = vec![];
    if !grant.all_columns.is_empty() {
        all.push((&grant.all_columns[..], privilege::ALL_COLUMN));
    }
    for (word, columns, _) in grant.rights.iter().filter(|(_, columns, _)| !columns.is_empty()) {
        let bit = bit(word).unwrap_or(0);
        if privilege::ALL_COLUMN & bit == 0 {
            let message = format!("invalid privilege type {} for column", word.to_uppercase());
            return Err(error(SqlState::INVALID_GRANT_OPERATION, message));
        }
        all.push((&columns[..], bit));
    }
    Ok(all)
}

fn grantees(context: &DdlContext<'_>, grant: &GrantStatement) -> Result<Vec<Oid>> {
    let id = |role: &RoleSpec| match role {
        RoleSpec::Public if grant.is_grant && grant.grant_option => {
            let message = "grant options can only be granted to roles";
            Err(error(SqlState::INVALID_GRANT_OPERATION, message))
        }
        RoleSpec::Public => Ok(0),
        role => context.role_id(role),
    };
    grant.grantees.iter().map(id).collect()
}

pub(super) async fn grant(context: &mut DdlContext<'_>, grant: &GrantStatement) -> Result<()> {
    if let Some(by) = &grant.granted_by
        && context.role_id(by)? != context.role
    {
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, "grantor must be current user"));
    }
    let grantees = grantees(context, grant)?;
    match &grant.target {
        GrantTarget::Tables(tables) => {
            for name in tables {
                let relation = context.must_lock_relation(name).await?;
                let is_sequence = relation.kind == RelationKind::Sequence;
                grant_on_relation(context, grant, &relation, is_sequence, &grantees)?;
            }
        }
        GrantTarget::Sequences(sequences) => {
            for name in sequences {
                let relation = context.must_lock_relation(name).await?;
                if relation.kind != RelationKind::Sequence {
                    return Err(error(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a sequence", relation.name)));
                }
                grant_on_relation(context, grant, &relation, true, &grantees)?;
            }
        }
        GrantTarget::AllTablesIn(schemas) => grant_on_all(context, grant, schemas, false, &grantees).await?,
        GrantTarget::AllSequencesIn(schemas) => grant_on_all(context, grant, schemas, true, &grantees).await?,
        GrantTarget::Databases(databases) => {
            for name in databases {
                grant_on_database(context, grant, name, &grantees).await?;
            }
        }
        GrantTarget::Schemas(schemas) => {
            for name in schemas {
                grant_on_schema(context, grant, name, &grantees).await?;
            }
        }
        GrantTarget::Functions(functions) => {
            for named in functions {
                let id = super::routines::find(context, named)?.id;
                grant_on_function(context, grant, id, &grantees).await?;
            }
        }
        GrantTarget::AllFunctionsIn(schemas) => {
            for name in schemas {
                let schema = context.schema_named(&name.name)?.id;
                let ids: Vec<Oid> =
                    context.snapshot().functions().filter(|f| f.schema == schema).map(|f| f.id).collect();
                for id in ids {
                    grant_on_function(context, grant, id, &grantees).await?;
                }
            }
        }
        GrantTarget::Types { names, is_domain } => {
            for name in names {
                grant_on_type(context, grant, name, *is_domain, &grantees).await?;
            }
        }
        GrantTarget::Unsupported { what, position } => {
            return Err(SqlError::unsupported(format!("{what} is not supported")).at(*position));
        }
        GrantTarget::Default(_) => {}
    }
    Ok(())
}

async fn grant_on_all(
    context: &mut DdlContext<'_>,
    grant: &GrantStatement,
    schemas: &[Name],
    sequences: bool,
    grantees: &[Oid],
) -> Result<()> {
    for name in schemas {
        let schema = context.schema_named(&name.name)?;
        let of_kind = |r: &&Arc<Relation>| r.schema == schema.id && (r.kind == RelationKind::Sequence) == sequences;
        let ids: Vec<Oid> = context.snapshot().relations().filter(of_kind).map(|r| r.id).collect();
        for id in ids {
            if let Some(relation) = context.lock_relation_by_id(id).await? {
                grant_on_relation(context, grant, &relation, sequences, grantees)?;
            }
        }
    }
    Ok(())
}

/// The list after the statement; warnings where rights were not the grantor's to give.
fn changed_list(
    context: &DdlContext<'_>,
    grant: &GrantStatement,
    target: Target<'_>,
    object: &str,
    rights: u32,
    grantees: &[Oid],
) -> Result<Vec<Grant>> {
    let snapshot = context.catalog.snapshot();
    let mut list = target.list();
    let (grantor, mut may) = privileges::grantor(snapshot, context.role, target);
    if let Target::Column(relation, _) = target {
        may |= privileges::grantor(snapshot, context.role, Target::Relation(relation)).1;
    }
    let effective = rights & may;
    if effective == 0 && rights != 0 {
        let held = privileges::held(snapshot, context.role, target, target.all());
        if held == 0 {
            return Err(privileges::denied(target));
        }
    }
    if effective != rights {
        let is_all = grant.rights.is_empty();
        let (code, message) = match (grant.is_grant, effective == 0) {
            (true, true) => (SqlState::PRIVILEGE_NOT_GRANTED, format!("no privileges were granted for \"{object}\"")),
            (true, false) => {
                (SqlState::PRIVILEGE_NOT_GRANTED, format!("not all privileges were granted for \"{object}\""))
            }
            (false, true) => {
                (SqlState::PRIVILEGE_NOT_REVOKED, format!("no privileges could be revoked for \"{object}\""))
            }
            (false, false) => {
                (SqlState::PRIVILEGE_NOT_REVOKED, format!("not all privileges could be revoked for \"{object}\""))
            }
        };
        if !(is_all && effective != 0) {
            context.services.notice(SqlError::new(code, message).severity(Severity::Warning));
        }
    }
    for grantee in grantees {
        if grant.is_grant {
            privileges::grant(&mut list, *grantee, grantor, effective, grant.grant_option);
        } else {
            privileges::revoke(&mut list, *grantee, grantor, effective, grant.grant_option, grant.cascade)?;
        }
    }
    list.retain(|g| g.rights != 0 || g.grantable != 0);
    Ok(list)
}

fn grant_on_relation(
    context: &mut DdlContext<'_>,
    grant: &GrantStatement,
    relation: &Arc<Relation>,
    as_sequence: bool,
    grantees: &[Oid],
) -> Result<()> {
    let is_sequence = relation.kind == RelationKind::Sequence;
    let mut kind = if as_sequence { Kind::Sequence } else { Kind::Table };
    // GRANT ON TABLE with a sequence: PostgreSQL takes what both have, and warns of the rest.
    if is_sequence && matches!(grant.target, GrantTarget::Tables(_)) && !grant.rights.is_empty() {
        kind = Kind::Table;
    }
    let mut rights = object_rights(grant, kind)?;
    if is_sequence && kind == Kind::Table {
        if rights & !privilege::ALL_SEQUENCE != 0 {
            let message = format!("sequence \"{}\" only supports USAGE, SELECT, and UPDATE privileges", relation.name);
            context
                .services
                .notice(SqlError::new(SqlState::INVALID_GRANT_OPERATION, message).severity(Severity::Warning));
        }
        rights &= privilege::ALL_SEQUENCE;
    }
    if !is_sequence && rights & !privilege::ALL_TABLE != 0 {
        let message = "invalid privilege type USAGE for table";
        return Err(error(SqlState::INVALID_GRANT_OPERATION, message));
    }
    let mut changed = Relation::clone(relation);
    if rights != 0 {
        let list = changed_list(context, grant, Target::Relation(relation), &relation.name, rights, grantees)?;
        changed.privileges = Some(list);
        // REVOKE on a table takes the same rights from its columns.
        if !grant.is_grant {
            revoke_from_columns(context, grant, relation, &mut changed, rights, grantees)?;
        }
    }
    for (columns, rights) in column_rights(grant)? {
        for name in columns {
            let Some(column) = relation.column_by_name(&name.name) else {
                return Err(super::columns::undefined_column(&name.name, &relation.name));
            };
            let current = changed.column(column.number).cloned().unwrap_or_else(|| column.clone());
            let target = Target::Column(relation, &current);
            let list = changed_list(context, grant, target, &name.name, rights, grantees)?;
            if let Some(column) = column_mut(&mut changed, column.number) {
                column.privileges = (!list.is_empty()).then_some(Some(list));
            }
        }
    }
    context.put_relation(changed)
}

fn revoke_from_columns(
    context: &DdlContext<'_>,
    grant: &GrantStatement,
    relation: &Relation,
    changed: &mut Relation,
    rights: u32,
    grantees: &[Oid],
) -> Result<()> {
    let rights = rights & privilege::ALL_COLUMN;
    let (grantor, _) = privileges::grantor(context.catalog.snapshot(), context.role, Target::Relation(relation));
    for column in changed.columns.iter_mut() {
        let Some(Some(list)) = &mut column.privileges else { continue };
        for grantee in grantees {
            privileges::revoke(list, *grantee, grantor, rights, grant.grant_option, grant.cascade)?;
        }
        if list.is_empty() {
            column.privileges = None;
        }
    }
    Ok(())
}

fn refuse_columns(grant: &GrantStatement) -> Result<()> {
    if column_rights(grant)?.is_empty() {
        return Ok(());
    }
    Err(error(SqlState::INVALID_GRANT_OPERATION, "column privileges are only valid for relations"))
}

async fn grant_on_type(
    context: &mut DdlContext<'_>,
    grant: &GrantStatement,
    name: &ObjectName,
    is_domain: bool,
    grantees: &[Oid],
) -> Result<()> {
    refuse_columns(grant)?;
    let rights = object_rights(grant, Kind::Type)?;
    let ty = user_types::lock(context, name).await?;
    if is_domain {
        user_types::require_domain(&ty, name)?;
    }
    let list = changed_list(context, grant, Target::Relation(&ty), &ty.name, rights, grantees)?;
    context.change_relation(ty.id, |t| t.privileges = Some(list)).map(drop)
}

async fn grant_on_database(
    context: &mut DdlContext<'_>,
    grant: &GrantStatement,
    name: &Name,
    grantees: &[Oid],
) -> Result<()> {
    refuse_columns(grant)?;
    let rights = object_rights(grant, Kind::Database)?;
    let found = context.catalog.snapshot().database_by_name(&name.name).map(|d| d.id);
    let missing = || error(SqlState::INVALID_CATALOG_NAME, format!("database \"{}\" does not exist", name.name));
    let id = found.ok_or_else(missing)?;
    context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Database, id)).await?;
    let database = context.catalog.snapshot().database(id).cloned().ok_or_else(missing)?;
    let list = changed_list(context, grant, Target::Database(&database), &database.name, rights, grantees)?;
    let mut changed = Database::clone(&database);
    changed.privileges = Some(list);
    context.catalog.put(context.txn, Object::Database(changed))
}

async fn grant_on_schema(
    context: &mut DdlContext<'_>,
    grant: &GrantStatement,
    name: &Name,
    grantees: &[Oid],
) -> Result<()> {
    refuse_columns(grant)?;
    let rights = object_rights(grant, Kind::Schema)?;
    let id = context.schema_named(&name.name)?.id;
    context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::Schema, id)).await?;
    let schema = context.catalog.snapshot().schema(id).cloned().ok_or_else(|| names::no_schema(&name.name))?;
    let list = changed_list(context, grant, Target::Schema(&schema), &schema.name, rights, grantees)?;
    if schema.database == 0 {
        return Err(SqlError::unsupported("changing the privileges of system schemas is not supported"));
    }
    let mut changed = Schema::clone(&schema);
    changed.privileges = Some(list);
    context.catalog.put(context.txn, Object::Schema(changed))
}

async fn grant_on_function(
    context: &mut DdlContext<'_>,
    grant: &GrantStatement,
    id: Oid,
    grantees: &[Oid],
) -> Result<()> {
    refuse_columns(grant)?;
    let rights = object_rights(grant, Kind::Function)?;
    let function = super::routines::lock(context, id).await?;
    let list = changed_list(context, grant, Target::Function(&function), &function.name, rights, grantees)?;
    super::routines::change(context, &function, |f| f.privileges = Some(list))
}

// --- defaults

pub(super) async fn alter_defaults(
    context: &mut DdlContext<'_>,
    roles: &[RoleSpec],
    schemas: &[Name],
    grant: &GrantStatement,
) -> Result<()> {
    let GrantTarget::Default(letter) = grant.target else { return Ok(()) };
    let kind = match letter {
        'r' => Kind::Table,
        'S' => Kind::Sequence,
        'n' => Kind::Schema,
        // Functions and types have none here: kept for pg_default_acl alone would be a promise.
        _ => return Err(SqlError::unsupported("default privileges of functions and types are not supported")),
    };
    if kind == Kind::Schema && !schemas.is_empty() {
        let message = "cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS";
        return Err(error(SqlState::INVALID_GRANT_OPERATION, message));
    }
    if kind == Kind::Schema {
        return Err(SqlError::unsupported("default privileges of schemas are not supported"));
    }
    let rights = object_rights(grant, kind)?;
    let grantees = grantees(context, grant)?;
    let role_ids: Vec<Oid> = match roles {
        [] => vec![context.role],
        roles => roles.iter().map(|r| context.role_id(r)).collect::<Result<_>>()?,
    };
    let mut schema_ids = vec![];
    for name in schemas {
        schema_ids.push(context.schema_named(&name.name)?.id);
    }
    if schema_ids.is_empty() {
        schema_ids.push(0);
    }
    for role in role_ids {
        if !privileges::has_rights_of(context.catalog.snapshot(), context.role, role, context.database) {
            return Err(error(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to change default privileges"));
        }
        for schema in &schema_ids {
            change_default(context, grant, letter, role, *schema, rights, &grantees).await?;
        }
    }
    Ok(())
}

async fn change_default(
    context: &mut DdlContext<'_>,
    grant: &GrantStatement,
    kind: char,
    role: Oid,
    schema: Oid,
    rights: u32,
    grantees: &[Oid],
) -> Result<()> {
    let snapshot = context.snapshot();
    let of = |d: &&Arc<DefaultPrivileges>| {
        d.database == context.database && d.role == role && d.schema == schema && d.kind == kind
    };
    let all = if kind == 'r' { privilege::ALL_TABLE } else { privilege::ALL_SEQUENCE };
    let mut changed = match snapshot.default_privileges().find(of) {
        Some(found) => {
            context.catalog.lock(context.txn, ObjectKey::new(ObjectKind::DefaultPrivileges, found.id)).await?;
            DefaultPrivileges::clone(found)
        }
        None => {
            // Without a schema the list replaces the built-in default, so it starts as that.
            let own = Grant { grantee: role, grantor: role, rights: all, grantable: 0 };
            DefaultPrivileges {
                id: context.catalog.allocate_id().await?,
                database: context.database,
                role,
                schema,
                kind,
                grants: if schema == 0 { vec![own] } else { vec![] },
            }
        }
    };
    for grantee in grantees {
        if grant.is_grant {
            privileges::grant(&mut changed.grants, *grantee, role, rights, grant.grant_option);
        } else {
            privileges::revoke(&mut changed.grants, *grantee, role, rights, grant.grant_option, grant.cascade)?;
        }
    }
    let is_default = match schema {
        0 => matches!(&changed.grants[..], [g] if g.grantee == role && g.rights == all && g.grantable == 0),
        _ => changed.grants.is_empty(),
    };
    if is_default {
        return context.catalog.remove(context.txn, ObjectKey::new(ObjectKind::DefaultPrivileges, changed.id));
    }
    context.catalog.put(context.txn, Object::DefaultPrivileges(changed))
}
