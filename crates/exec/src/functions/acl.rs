//! Access control lists as values: aclexplode, acldefault, makeaclitem, aclcontains.
//!
//! An `aclitem` is its text, `grantee=rights/grantor`, with `*` behind a right that may be granted on.

use super::{SessionFn, SessionSetFn, arg_oid, arg_str};
use crate::expr::EvalContext;
use catalog::{Grant, Snapshot, privilege};
use std::sync::Arc;
use types::array::Array;
use types::{CallContext, Datum, Oid, Result, SqlError, SqlState, oid};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] =
    &[("acldefault_sql", default), ("aclcontains", contains), ("makeaclitem", make)];

pub(crate) const SETS: &[(&str, SessionSetFn)] = &[("aclexplode", explode)];

/// Letters and names of rights, in bit order.
const RIGHTS: &[(char, &str)] = &[
    ('a', "INSERT"),
    ('r', "SELECT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('X', "EXECUTE"),
    ('U', "USAGE"),
    ('C', "CREATE"),
    ('T', "TEMPORARY"),
    ('c', "CONNECT"),
    ('s', "SET"),
    ('A', "ALTER SYSTEM"),
];
const SET: u32 = 1 << 12;
const ALTER_SYSTEM: u32 = 1 << 13;

/// A role's name, quoted or not, and what is behind it.
fn role_name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut is_quoted = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                name.push('"');
            }
            '"' => is_quoted = !is_quoted,
            '=' | '/' if !is_quoted => return (name, text.get(at..).unwrap_or_default()),
            c => name.push(c),
        }
    }
    (name, "")
}

fn role_id(catalog: &Snapshot, name: &str) -> Result<Oid> {
    if name.is_empty() {
        return Ok(0);
    }
    let found = catalog.role_by_name(name).map(|r| r.id).or_else(|| name.parse().ok());
    found.ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
}

fn parse(catalog: &Snapshot, text: &str) -> Result<Grant> {
    let invalid = |message: &str| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message);
    let (grantee, rest) = role_name(text);
    let rest = rest.strip_prefix('=').ok_or_else(|| invalid("missing \"=\" sign"))?;
    let (letters, grantor) = rest.split_once('/').unwrap_or((rest, ""));
    let mut grant = Grant {
        grantee: role_id(catalog, &grantee)?,
        grantor: role_id(catalog, &role_name(grantor).0)?,
        rights: 0,
        grantable: 0,
    };
    let mut last = 0;
    for letter in letters.chars() {
        if letter == '*' {
            grant.grantable |= last;
            continue;
        }
        let bit = RIGHTS.iter().position(|(l, _)| *l == letter);
        let message = "invalid mode character: must be one of \"arwdDxtXUCTcsA\"";
        last = 1 << bit.ok_or_else(|| invalid(message))?;
        grant.rights |= last;
    }
    Ok(grant)
}

fn explode(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<types::functions::RowIter> {
    let Some(Datum::Array(list)) = args.first() else { return Ok(Box::new(std::iter::empty())) };
    let mut rows = vec![];
    for item in list.values.iter().filter(|i| !i.is_null()) {
        let grant = parse(env.catalog, item.as_str())?;
        for (bit, (_, name)) in RIGHTS.iter().enumerate().filter(|(bit, _)| grant.rights & (1 << bit) != 0) {
            rows.push(Ok(vec![
                Datum::Oid(grant.grantor),
                Datum::Oid(grant.grantee),
                Datum::text(*name),
                Datum::Bool(grant.grantable & (1 << bit) != 0),
            ]));
        }
    }
    Ok(Box::new(rows.into_iter()))
}

/// `acldefault(kind, owner)`: what an object without a list of its own is guarded by.
fn default(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (kind, owner) = (arg_str(args, 0), arg_oid(args, 1));
    let (public, own) = match kind {
        "c" => (0, 0),
        "r" => (0, privilege::ALL_TABLE),
        "s" => (0, privilege::ALL_SEQUENCE),
        "d" => (privilege::CREATE_TEMP | privilege::CONNECT, privilege::ALL_DATABASE),
        "f" => (privilege::EXECUTE, privilege::EXECUTE),
        "l" | "T" => (privilege::USAGE, privilege::USAGE),
        "L" => (0, privilege::SELECT | privilege::UPDATE),
        "n" => (0, privilege::ALL_SCHEMA),
        "p" => (0, SET | ALTER_SYSTEM),
        "t" => (0, privilege::CREATE),
        "F" | "S" => (0, privilege::USAGE),
        other => {
            let message = format!("unrecognized objtype abbreviation: {other}");
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, message));
        }
    };
    let grants = [(0, public), (owner, own)].into_iter().filter(|(_, rights)| *rights != 0);
    let items = grants.map(|(grantee, rights)| Grant { grantee, grantor: owner, rights, grantable: 0 });
    let items = items.map(|g| Datum::text(catalog::privileges::aclitem(env.catalog, &g))).collect();
    Ok(Datum::Array(Arc::new(Array::from_values(oid::ACLITEM, items))))
}

fn contains(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Some(Datum::Array(list)) = args.first() else { return Ok(Datum::Null) };
    let wanted = parse(env.catalog, arg_str(args, 1))?;
    for item in list.values.iter().filter(|i| !i.is_null()) {
        let has = parse(env.catalog, item.as_str())?;
        let is_same = has.grantee == wanted.grantee && has.grantor == wanted.grantor;
        let covers = wanted.rights & !has.rights == 0 && wanted.grantable & !has.grantable == 0;
        if is_same && covers {
            return Ok(Datum::Bool(true));
        }
    }
    Ok(Datum::Bool(false))
}

/// `makeaclitem(grantee, grantor, rights, grantable)`.
fn make(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let mut rights = 0;
    for word in arg_str(args, 2).split(',').map(str::trim) {
        let bit = RIGHTS.iter().position(|(_, name)| name.eq_ignore_ascii_case(word));
        let unknown = || {
            let message = format!("unrecognized privilege type: \"{word}\"");
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
        };
        rights |= 1 << bit.ok_or_else(unknown)?;
    }
    let grantable = if matches!(args.get(3), Some(Datum::Bool(true))) { rights } else { 0 };
    let grant = Grant { grantee: arg_oid(args, 0), grantor: arg_oid(args, 1), rights, grantable };
    Ok(Datum::text(catalog::privileges::aclitem(env.catalog, &grant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_as_they_are_written() {
        let mut snapshot = Snapshot::with_builtins();
        catalog::bootstrap::objects().into_iter().for_each(|o| snapshot.put(o));
        for text in ["postgres=ar*/postgres", "=r/postgres", "postgres=UC/postgres"] {
            let grant = parse(&snapshot, text).expect(text);
            assert_eq!(catalog::privileges::aclitem(&snapshot, &grant), text);
        }
        assert_eq!(role_name("\"a=\"\"b\"=r").0, "a=\"b");
        assert!(parse(&snapshot, "nobody=r/postgres").is_err());
        assert!(parse(&snapshot, "postgres=q/postgres").is_err());
    }
}
