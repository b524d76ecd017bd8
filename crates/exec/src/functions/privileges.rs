//! has_*_privilege and pg_has_role: `[role,] object [, column], privilege`, each part by name or by OID.

use super::SessionFn;
use super::reg::with_scope;
use crate::expr::EvalContext;
use catalog::privileges::{self, Target};
use catalog::{Relation, RelationKind, names, privilege};
use types::{CallContext, Datum, Oid, Result, SqlError, SqlState, builtin};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("has_table_privilege_name_id", table),
    ("has_table_privilege_name_name", table),
    ("has_table_privilege_id_id", table),
    ("has_table_privilege_id", table),
    ("has_table_privilege_id_name", table),
    ("has_table_privilege_name", table),
    ("has_sequence_privilege_name_id", sequence),
    ("has_sequence_privilege_name_name", sequence),
    ("has_sequence_privilege_id_id", sequence),
    ("has_sequence_privilege_id", sequence),
    ("has_sequence_privilege_id_name", sequence),
    ("has_sequence_privilege_name", sequence),
    ("has_any_column_privilege_name_id", any_column),
    ("has_any_column_privilege_name_name", any_column),
    ("has_any_column_privilege_id_id", any_column),
    ("has_any_column_privilege_id", any_column),
    ("has_any_column_privilege_id_name", any_column),
    ("has_any_column_privilege_name", any_column),
    ("has_database_privilege_name_id", database),
    ("has_database_privilege_name_name", database),
    ("has_database_privilege_id_id", database),
    ("has_database_privilege_id", database),
    ("has_database_privilege_id_name", database),
    ("has_database_privilege_name", database),
    ("has_schema_privilege_name_id", schema),
    ("has_schema_privilege_name_name", schema),
    ("has_schema_privilege_id_id", schema),
    ("has_schema_privilege_id", schema),
    ("has_schema_privilege_id_name", schema),
    ("has_schema_privilege_name", schema),
    ("has_type_privilege_name_id", r#type),
    ("has_type_privilege_name_name", r#type),
    ("has_type_privilege_id_id", r#type),
    ("has_type_privilege_id", r#type),
    ("has_type_privilege_id_name", r#type),
    ("has_type_privilege_name", r#type),
    ("has_function_privilege_name_id", function),
    ("has_function_privilege_name_name", function),
    ("has_function_privilege_id_id", function),
    ("has_function_privilege_id", function),
    ("has_function_privilege_id_name", function),
    ("has_function_privilege_name", function),
    ("has_language_privilege_name_id", language),
    ("has_language_privilege_name_name", language),
    ("has_language_privilege_id_id", language),
    ("has_language_privilege_id", language),
    ("has_language_privilege_id_name", language),
    ("has_language_privilege_name", language),
    ("has_parameter_privilege_name_name", parameter),
    ("has_parameter_privilege_id_name", parameter),
    ("has_parameter_privilege_name", parameter),
    ("has_tablespace_privilege_name_id", tablespace),
    ("has_tablespace_privilege_name_name", tablespace),
    ("has_tablespace_privilege_id_id", tablespace),
    ("has_tablespace_privilege_id", tablespace),
    ("has_tablespace_privilege_id_name", tablespace),
    ("has_tablespace_privilege_name", tablespace),
    ("has_column_privilege_name_id_attnum", column),
    ("has_column_privilege_name_id_name", column),
    ("has_column_privilege_name_name_attnum", column),
    ("has_column_privilege_name_name_name", column),
    ("has_column_privilege_id_id_attnum", column),
    ("has_column_privilege_id_id_name", column),
    ("has_column_privilege_id_attnum", column),
    ("has_column_privilege_id_name_attnum", column),
    ("has_column_privilege_id_name", column),
    ("has_column_privilege_id_name_name", column),
    ("has_column_privilege_name_attnum", column),
    ("has_column_privilege_name_name", column),
    ("pg_has_role_name_name", has_role),
    ("pg_has_role_name_id", has_role),
    ("pg_has_role_name", has_role),
    ("pg_has_role_id_name", has_role),
    ("pg_has_role_id_id", has_role),
    ("pg_has_role_id", has_role),
];

/// The role asked about: the current user where the call names none (`count` arguments without it).
fn role(env: &EvalContext<'_>, args: &[Datum], count: usize) -> Result<(Oid, usize)> {
    if args.len() == count {
        return Ok((env.session.current_user(), 0));
    }
    Ok((role_of(env, args.first())?, 1))
}

fn role_of(env: &EvalContext<'_>, arg: Option<&Datum>) -> Result<Oid> {
    match arg {
        Some(Datum::Oid(id)) => Ok(*id),
        Some(Datum::Text(name)) if name.as_str() == "public" => Ok(0),
        Some(Datum::Text(name)) => env
            .catalog
            .role_by_name(name)
            .map(|r| r.id)
            .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))),
        _ => Ok(0),
    }
}

fn text(args: &[Datum], index: usize) -> &str {
    super::arg_str(args, index)
}

/// The rights of a list such as `select, insert with grant option`; whether one of them asks for the grant option.
fn rights(list: &str, known: &[(&str, u32)]) -> Result<Vec<(u32, bool)>> {
    list.split(',')
        .map(|item| {
            let item = item.trim().to_ascii_uppercase();
            let (name, grant) = match item.strip_suffix(" WITH GRANT OPTION") {
                Some(name) => (name.trim_end(), true),
                None => (item.as_str(), false),
            };
            known.iter().find(|(n, _)| *n == name).map(|(_, bit)| (*bit, grant)).ok_or_else(|| {
                let message = format!("unrecognized privilege type: \"{}\"", list.trim());
                SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
            })
        })
        .collect()
}

const TABLE: &[(&str, u32)] = &[
    ("SELECT", privilege::SELECT),
    ("INSERT", privilege::INSERT),
    ("UPDATE", privilege::UPDATE),
    ("DELETE", privilege::DELETE),
    ("TRUNCATE", privilege::TRUNCATE),
    ("REFERENCES", privilege::REFERENCES),
    ("TRIGGER", privilege::TRIGGER),
    ("RULE", 0),
];
const COLUMN: &[(&str, u32)] = &[
    ("SELECT", privilege::SELECT),
    ("INSERT", privilege::INSERT),
    ("UPDATE", privilege::UPDATE),
    ("REFERENCES", privilege::REFERENCES),
];
const SEQUENCE: &[(&str, u32)] =
    &[("USAGE", privilege::USAGE), ("SELECT", privilege::SELECT), ("UPDATE", privilege::UPDATE)];
const SCHEMA: &[(&str, u32)] = &[("CREATE", privilege::CREATE), ("USAGE", privilege::USAGE)];
const DATABASE: &[(&str, u32)] = &[
    ("CREATE", privilege::CREATE),
    ("TEMPORARY", privilege::CREATE_TEMP),
    ("TEMP", privilege::CREATE_TEMP),
    ("CONNECT", privilege::CONNECT),
];

/// Any of the rights will do, as in PostgreSQL.
fn any(env: &EvalContext<'_>, role: Oid, target: Target<'_>, wanted: &[(u32, bool)]) -> bool {
    wanted.iter().any(|(bit, grant)| match grant {
        false => *bit != 0 && privileges::has_privilege(env.catalog, role, target, *bit),
        true => {
            privileges::is_owner(env.catalog, role, target)
                || target.list().iter().any(|g| {
                    g.grantable & bit != 0
                        && privileges::has_rights_of(env.catalog, role, g.grantee, env.session.database())
                })
        }
    })
}

/// The relation named; None where an OID is of nothing (the answer is NULL).
fn relation<'a>(env: &EvalContext<'a>, arg: Option<&Datum>) -> Result<Option<&'a Relation>> {
    let id = match arg {
        Some(Datum::Text(name)) => with_scope(env.session, |scope| names::regclass(env.catalog, scope, name))?,
        Some(Datum::Oid(id)) => *id,
        _ => return Ok(None),
    };
    Ok(env.catalog.relation(id).map(|r| &**r))
}

fn table(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, at) = role(env, args, 2)?;
    let wanted = rights(text(args, at + 1), TABLE)?;
    let relation = relation(env, args.get(at))?;
    Ok(relation.map_or(Datum::Null, |r| Datum::Bool(any(env, role, Target::Relation(r), &wanted))))
}

fn sequence(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, at) = role(env, args, 2)?;
    let wanted = rights(text(args, at + 1), SEQUENCE)?;
    match relation(env, args.get(at))? {
        None => Ok(Datum::Null),
        Some(r) if r.kind != RelationKind::Sequence => {
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a sequence", r.name)))
        }
        Some(r) => Ok(Datum::Bool(any(env, role, Target::Relation(r), &wanted))),
    }
}

fn any_column(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, at) = role(env, args, 2)?;
    let wanted = rights(text(args, at + 1), COLUMN)?;
    Ok(relation(env, args.get(at))?.map_or(Datum::Null, |r| {
        let of_column = r.columns.iter().any(|c| any(env, role, Target::Column(r, c), &wanted));
        Datum::Bool(of_column || any(env, role, Target::Relation(r), &wanted))
    }))
}

fn column(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, at) = role(env, args, 3)?;
    let wanted = rights(text(args, at + 2), COLUMN)?;
    let Some(relation) = relation(env, args.get(at))? else { return Ok(Datum::Null) };
    let found = match args.get(at + 1) {
        Some(Datum::Text(name)) => {
            let found = relation.columns.iter().find(|c| c.name == name.as_str() && !c.is_dropped);
            if found.is_none() {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{name}\" of relation \"{}\" does not exist", relation.name),
                ));
            }
            found
        }
        Some(number) => {
            let number = number.as_i64();
            relation.columns.iter().find(|c| i64::from(c.number) == number && !c.is_dropped)
        }
        None => None,
    };
    Ok(found.map_or(Datum::Null, |c| {
        let on_table = any(env, role, Target::Relation(relation), &wanted);
        Datum::Bool(on_table || any(env, role, Target::Column(relation, c), &wanted))
    }))
}

fn schema(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, at) = role(env, args, 2)?;
    let wanted = rights(text(args, at + 1), SCHEMA)?;
    let found = match args.get(at) {
        Some(Datum::Text(name)) => {
            Some(with_scope(env.session, |scope| names::schema(env.catalog, scope, name).cloned())?)
        }
        Some(Datum::Oid(id)) => env.catalog.schema(*id).cloned(),
        _ => None,
    };
    Ok(found.map_or(Datum::Null, |s| Datum::Bool(any(env, role, Target::Schema(&s), &wanted))))
}

fn database(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, at) = role(env, args, 2)?;
    let wanted = rights(text(args, at + 1), DATABASE)?;
    let found = match args.get(at) {
        Some(Datum::Text(name)) => Some(env.catalog.database_by_name(name).ok_or_else(|| {
            SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
        })?),
        Some(Datum::Oid(id)) => env.catalog.database(*id),
        _ => None,
    };
    Ok(found.map_or(Datum::Null, |d| Datum::Bool(any(env, role, Target::Database(d), &wanted))))
}

/// Types are everybody's to use.
fn r#type(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (_, at) = role(env, args, 2)?;
    rights(text(args, at + 1), &[("USAGE", privilege::USAGE)])?;
    let known = match args.get(at) {
        Some(Datum::Text(name)) => super::reg::type_by_text(env.catalog, env.session, name).map(|_| true)?,
        Some(Datum::Oid(id)) => builtin::type_by_oid(*id).is_some() || env.catalog.relation_of_type(*id).is_some(),
        _ => false,
    };
    Ok(if known { Datum::Bool(true) } else { Datum::Null })
}

fn function(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, at) = role(env, args, 2)?;
    let wanted = rights(text(args, at + 1), &[("EXECUTE", privilege::EXECUTE)])?;
    let id = match args.get(at) {
        Some(Datum::Text(name)) => {
            let ty = types::SqlType::new(types::oid::REGPROCEDURE);
            match super::reg::input(env.catalog, env.session, ty, name)? {
                Datum::Oid(id) => id,
                _ => 0,
            }
        }
        Some(Datum::Oid(id)) => *id,
        _ => 0,
    };
    if let Some(function) = env.catalog.function(id) {
        return Ok(Datum::Bool(any(env, role, Target::Function(function), &wanted)));
    }
    Ok(builtin::proc_by_oid(id).map_or(Datum::Null, |_| Datum::Bool(true)))
}

/// All may use SQL; `internal` and `c` are for superusers.
fn language(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, at) = role(env, args, 2)?;
    rights(text(args, at + 1), &[("USAGE", privilege::USAGE)])?;
    let is_trusted = match args.get(at) {
        Some(Datum::Text(name)) => match name.as_str() {
            "sql" => true,
            "internal" | "c" => false,
            _ => {
                let message = format!("language \"{name}\" does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
            }
        },
        Some(Datum::Oid(14)) => true,
        Some(Datum::Oid(12 | 13)) => false,
        _ => return Ok(Datum::Null),
    };
    Ok(Datum::Bool(is_trusted || privileges::is_superuser(env.catalog, role)))
}

/// No rights on parameters can be granted; superusers have them all.
fn parameter(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, at) = role(env, args, 2)?;
    rights(text(args, at + 1), &[("SET", 1), ("ALTER SYSTEM", 2)])?;
    Ok(Datum::Bool(privileges::is_superuser(env.catalog, role)))
}

/// There are no tablespaces but the two that PostgreSQL has from the start.
fn tablespace(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (role, at) = role(env, args, 2)?;
    rights(text(args, at + 1), &[("CREATE", privilege::CREATE)])?;
    match args.get(at) {
        Some(Datum::Text(name)) if !matches!(name.as_str(), "pg_default" | "pg_global") => {
            let message = format!("tablespace \"{name}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        Some(Datum::Text(_) | Datum::Oid(1663 | 1664)) => {}
        _ => return Ok(Datum::Null),
    }
    Ok(Datum::Bool(privileges::is_superuser(env.catalog, role)))
}

fn role_membership(env: &EvalContext<'_>, member: Oid, role: Oid, list: &str) -> Result<bool> {
    // USAGE: its rights without SET ROLE. MEMBER: SET ROLE would do.
    let wanted = rights(list, &[("USAGE", 1), ("MEMBER", 2)])?;
    Ok(wanted.iter().any(|(what, _)| match what {
        1 => privileges::has_rights_of(env.catalog, member, role, env.session.database()),
        _ => privileges::is_member(env.catalog, member, role),
    }))
}

fn has_role(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (member, at) = role(env, args, 2)?;
    let other = role_of(env, args.get(at))?;
    Ok(Datum::Bool(role_membership(env, member, other, text(args, at + 1))?))
}
