//! Types whose text form names an object: `regclass`, `regtype`, `regrole`, `regnamespace`, `regproc` and relatives.
//!
//! Owns no state. A name without a schema is looked up along the search path; one that the path would not find again is
//! shown with its schema. The binder reads literals with it, the executor all other text.

use crate::Snapshot;
use crate::descriptor::{Function, INFORMATION_SCHEMA, PG_CATALOG_SCHEMA};
use crate::names::{self, NameScope};
use crate::operators::{self, AnyOperator};
use types::functions::quote_ident;
use types::{Oid, SqlError, SqlState, builtin, oid};

type Result<T> = std::result::Result<T, SqlError>;

/// Names of the few objects that have a reg type but no table here.
const COLLATIONS: &[(Oid, &str)] = &[(100, "default"), (950, "C"), (951, "POSIX"), (12_340, "ucs_basic")];
const TEXT_SEARCH_CONFIGURATIONS: &[(Oid, &str)] = &[(3748, "simple")];
const TEXT_SEARCH_DICTIONARIES: &[(Oid, &str)] = &[(3765, "simple")];

pub fn is_reg(ty: Oid) -> bool {
    matches!(
        ty,
        oid::REGCLASS
            | oid::REGTYPE
            | oid::REGROLE
            | oid::REGNAMESPACE
            | oid::REGPROC
            | oid::REGPROCEDURE
            | oid::REGOPER
            | oid::REGOPERATOR
            | oid::REGCOLLATION
            | oid::REGCONFIG
            | oid::REGDICTIONARY
    )
}

fn named(list: &[(Oid, &str)], id: Oid) -> Option<String> {
    list.iter().find(|(known, _)| *known == id).map(|(_, name)| quote_ident(name).to_string())
}

/// The text form: digits where there is no such object.
pub fn output(catalog: &Snapshot, scope: NameScope<'_>, ty: Oid, id: Oid) -> String {
    if id == 0 {
        return if ty == oid::REGOPER || ty == oid::REGOPERATOR { "0" } else { "-" }.to_owned();
    }
    let type_name = |ty: Oid| names::format_type(catalog, scope, ty, None);
    let found = match ty {
        oid::REGCLASS => Some(names::regclass_text(catalog, scope, id)),
        oid::REGTYPE => Some(type_name(id)),
        oid::REGROLE => catalog.role(id).map(|r| quote_ident(&r.name).to_string()),
        oid::REGNAMESPACE => catalog.schema(id).map(|s| quote_ident(&s.name).to_string()),
        oid::REGPROC => match catalog.function(id) {
            Some(f) => Some(user_function_name(catalog, f, !is_alone(catalog, scope, f))),
            // An overloaded name would not be read back without its schema, so it is shown with it.
            None => builtin::proc_by_oid(id).map(|p| match builtin::procs_by_name(p.name).len() {
                1 => quote_ident(p.name).to_string(),
                _ => format!("pg_catalog.{}", quote_ident(p.name)),
            }),
        },
        oid::REGPROCEDURE => {
            let list = |args: &[Oid]| args.iter().map(|ty| type_name(*ty)).collect::<Vec<_>>().join(",");
            match catalog.function(id) {
                Some(f) => {
                    let is_hidden = !names::function_is_visible(catalog, scope, f);
                    Some(format!("{}({})", user_function_name(catalog, f, is_hidden), list(&f.input_types())))
                }
                None => builtin::proc_by_oid(id).map(|p| format!("{}({})", quote_ident(p.name), list(&p.args))),
            }
        }
        oid::REGOPER => operators::by_id(catalog, id).map(|o| {
            // An overloaded name would not be read back without its schema, so it is shown with it.
            match operators::named(catalog, scope, None, o.name()).as_deref() {
                Ok([only]) if only.id() == id => o.name().to_owned(),
                _ => operators::qualified_name(catalog, &o),
            }
        }),
        oid::REGOPERATOR => operators::by_id(catalog, id).map(|o| operators::signature(catalog, scope, &o)),
        oid::REGCOLLATION => named(COLLATIONS, id),
        oid::REGCONFIG => named(TEXT_SEARCH_CONFIGURATIONS, id),
        oid::REGDICTIONARY => named(TEXT_SEARCH_DICTIONARIES, id),
        _ => None,
    };
    found.unwrap_or_else(|| id.to_string())
}

/// Reads the text form: a name, or digits.
pub fn input(catalog: &Snapshot, scope: NameScope<'_>, ty: Oid, text: &str) -> Result<Oid> {
    let is_operator = matches!(ty, oid::REGOPER | oid::REGOPERATOR);
    if text == "-" && !is_operator {
        return Ok(0);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let out_of_range = || {
            let message = format!("value \"{text}\" is out of range for type oid");
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
        };
        return text.parse().map_err(|_| out_of_range());
    }
    let undefined =
        |what: &str, name: &str| SqlError::new(SqlState::UNDEFINED_OBJECT, format!("{what} \"{name}\" does not exist"));
    let listed = |what: &str, list: &[(Oid, &str)]| {
        let name = names::parse_qualified(text)?.pop().unwrap_or_default();
        list.iter().find(|(_, known)| *known == name).map(|(id, _)| *id).ok_or_else(|| undefined(what, text))
    };
    match ty {
        oid::REGCLASS => names::regclass(catalog, scope, text),
        oid::REGTYPE => Ok(names::type_by_text(catalog, scope, text)?.oid),
        oid::REGROLE => {
            let name = single(text)?;
            catalog.role_by_name(&name).map(|r| r.id).ok_or_else(|| undefined("role", &name))
        }
        oid::REGNAMESPACE => names::schema(catalog, scope, &single(text)?).map(|s| s.id),
        oid::REGPROC => one_proc(catalog, scope, text),
        oid::REGPROCEDURE => one_procedure(catalog, scope, text),
        oid::REGOPER => one_operator(catalog, scope, text),
        oid::REGOPERATOR => one_operator_of_types(catalog, scope, text),
        oid::REGCOLLATION => {
            let name = names::parse_qualified(text)?.pop().unwrap_or_default();
            let found = COLLATIONS.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
            found.ok_or_else(|| {
                let message = format!("collation \"{name}\" for encoding \"UTF8\" does not exist");
                SqlError::new(SqlState::UNDEFINED_OBJECT, message)
            })
        }
        oid::REGCONFIG => listed("text search configuration", TEXT_SEARCH_CONFIGURATIONS),
        oid::REGDICTIONARY => listed("text search dictionary", TEXT_SEARCH_DICTIONARIES),
        _ => Err(SqlError::internal("a reg type is expected")),
    }
}

fn single(text: &str) -> Result<String> {
    match &names::parse_qualified(text)?[..] {
        [name] => Ok(name.clone()),
        _ => Err(SqlError::new(SqlState::INVALID_NAME, "invalid name syntax")),
    }
}

fn user_function_name(catalog: &Snapshot, function: &Function, qualified: bool) -> String {
    match qualified {
        true => names::qualified(catalog, function.schema, &function.name),
        false => quote_ident(&function.name).to_string(),
    }
}

/// Whether the bare name means this function and no other.
fn is_alone(catalog: &Snapshot, scope: NameScope<'_>, function: &Function) -> bool {
    matches!(functions_named(catalog, scope, &function.name).as_deref(), Ok([(only, _)]) if *only == function.id)
}

/// (id, input types) of all functions that a name, qualified or along the search path, may mean.
fn functions_named(catalog: &Snapshot, scope: NameScope<'_>, text: &str) -> Result<Vec<(Oid, Vec<Oid>)>> {
    let mut name = names::parse_qualified(text)?;
    let last = name.pop().unwrap_or_default();
    let schemas = match name.pop() {
        Some(schema) => vec![names::schema(catalog, scope, &schema)?.id],
        None => scope.search_path.to_vec(),
    };
    let mut found = vec![];
    for schema in schemas {
        if matches!(schema, PG_CATALOG_SCHEMA | INFORMATION_SCHEMA) {
            found.extend(builtin::procs_by_name(&last).iter().map(|p| (p.oid, p.args.to_vec())));
        }
        found.extend(catalog.functions_by_name(schema, &last).map(|f| (f.id, f.input_types())));
    }
    Ok(found)
}

fn one_proc(catalog: &Snapshot, scope: NameScope<'_>, text: &str) -> Result<Oid> {
    match functions_named(catalog, scope, text)?.as_slice() {
        [(id, _)] => Ok(*id),
        [] => Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{text}\" does not exist"))),
        _ => Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("more than one function named \"{text}\""))),
    }
}

/// `name(type, type)`: what is before the parentheses, and the types.
fn signature<'a>(catalog: &Snapshot, scope: NameScope<'_>, text: &'a str) -> Result<(&'a str, Vec<Oid>)> {
    let expected =
        |what: &str| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("expected a {what} parenthesis"));
    let (name, rest) = text.split_once('(').ok_or_else(|| expected("left"))?;
    let list = rest.trim_end().strip_suffix(')').ok_or_else(|| expected("right"))?;
    let mut types = vec![];
    for part in arguments(list) {
        types.push(match part.eq_ignore_ascii_case("none") {
            true => 0,
            false => names::type_by_text(catalog, scope, part)?.oid,
        });
    }
    Ok((name.trim(), types))
}

/// Splits at commas that are not inside a type's own parentheses (`numeric(8,2)`).
fn arguments(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (vec![], 0usize, 0);
    for (at, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(list.get(start..at).unwrap_or_default().trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list.get(start..).unwrap_or_default().trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn one_procedure(catalog: &Snapshot, scope: NameScope<'_>, text: &str) -> Result<Oid> {
    let missing = || SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{text}\" does not exist"));
    let (name, types) = signature(catalog, scope, text)?;
    let found = functions_named(catalog, scope, name)?;
    found.into_iter().find(|(_, args)| *args == types).map(|(id, _)| id).ok_or_else(missing)
}

/// Schema, if there is one, and name.
fn operator_name(text: &str) -> Result<(Option<String>, &str)> {
    match text.trim().rsplit_once('.') {
        None => Ok((None, text.trim())),
        Some((schema, name)) => Ok((names::parse_qualified(schema)?.pop(), name)),
    }
}

/// All operators that a name may mean; none where its schema is not there.
fn operators_named(catalog: &Snapshot, scope: NameScope<'_>, text: &str) -> Result<Vec<AnyOperator>> {
    let (schema, name) = operator_name(text)?;
    Ok(operators::named(catalog, scope, schema.as_deref(), name).unwrap_or_default())
}

fn one_operator(catalog: &Snapshot, scope: NameScope<'_>, text: &str) -> Result<Oid> {
    match operators_named(catalog, scope, text)?.as_slice() {
        [operator] => Ok(operator.id()),
        [] => Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {text}"))),
        _ => Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("more than one operator named {text}"))),
    }
}

fn one_operator_of_types(catalog: &Snapshot, scope: NameScope<'_>, text: &str) -> Result<Oid> {
    let (name, types) = signature(catalog, scope, text)?;
    let [left, right] = types[..] else {
        let message = if types.len() < 2 { "missing argument" } else { "too many arguments" };
        let hint = if types.len() < 2 {
            "Use NONE to denote the missing argument of a unary operator."
        } else {
            "Provide two argument types for operator."
        };
        let code = if types.len() < 2 { SqlState::UNDEFINED_PARAMETER } else { SqlState::TOO_MANY_ARGUMENTS };
        return Err(SqlError::new(code, message).hint(hint));
    };
    let mut found = operators_named(catalog, scope, name)?.into_iter();
    let missing = || SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {text}"));
    found.find(|o| o.operands() == (left, right)).map(|o| o.id()).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::{Object, POSTGRES_DATABASE, PUBLIC_SCHEMA};
    use crate::test_support::{check_error, column, snapshot, table};
    use types::SqlType;

    const SCOPE: NameScope<'static> = NameScope {
        database: POSTGRES_DATABASE,
        search_path: &[PG_CATALOG_SCHEMA, PUBLIC_SCHEMA],
        temporary_schema: None,
    };

    fn catalog() -> Snapshot {
        let mut catalog = snapshot();
        catalog.put(Object::Relation(table(20_000, "t", vec![column(1, "a", SqlType::INT4)])));
        catalog
    }

    /// Expected: what PostgreSQL 15 shows for the same text.
    #[test]
    fn what_is_read_is_shown_as_postgresql_shows_it() {
        let catalog = catalog();
        let check = |ty: Oid, text: &str, shown: &str| {
            let id = input(&catalog, SCOPE, ty, text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(output(&catalog, SCOPE, ty, id), shown, "{text}");
        };
        check(oid::REGCLASS, "public.t", "t");
        check(oid::REGTYPE, "int4", "integer");
        check(oid::REGTYPE, "numeric(8,2)", "numeric");
        check(oid::REGTYPE, "t[]", "t[]");
        check(oid::REGROLE, "postgres", "postgres");
        check(oid::REGNAMESPACE, "public", "public");
        check(oid::REGPROC, "pg_catalog.now", "now");
        check(oid::REGPROC, "870", "pg_catalog.lower");
        check(oid::REGPROCEDURE, "abs(int)", "abs(integer)");
        check(oid::REGPROCEDURE, "numeric_in(cstring, oid, integer)", "numeric_in(cstring,oid,integer)");
        check(oid::REGOPER, "96", "pg_catalog.=");
        check(oid::REGOPER, "||/", "||/");
        check(oid::REGOPERATOR, "+(int4,int4)", "+(integer,integer)");
        check(oid::REGOPERATOR, "-(none, int8)", "-(NONE,bigint)");
        check(oid::REGCOLLATION, "\"C\"", "\"C\"");
        check(oid::REGCLASS, "-", "-");
        check(oid::REGCLASS, "99", "99");
    }

    #[test]
    fn what_is_not_there_is_told_as_postgresql_tells_it() {
        let catalog = catalog();
        let check = |ty: Oid, text: &str, expected: &str| check_error(input(&catalog, SCOPE, ty, text), expected);
        check(oid::REGCLASS, "u", "42P01 relation \"u\" does not exist");
        check(oid::REGTYPE, "u", "42704 type \"u\" does not exist");
        check(oid::REGROLE, "u", "42704 role \"u\" does not exist");
        check(oid::REGNAMESPACE, "u", "3F000 schema \"u\" does not exist");
        check(oid::REGPROC, "lower", "42725 more than one function named \"lower\"");
        check(oid::REGPROC, "u", "42883 function \"u\" does not exist");
        check(oid::REGPROCEDURE, "abs(text)", "42883 function \"abs(text)\" does not exist");
        check(oid::REGPROC, "x.abs", "3F000 schema \"x\" does not exist");
        check(oid::REGPROCEDURE, "abs", "22P02 expected a left parenthesis");
        check(oid::REGOPER, "=", "42725 more than one operator named =");
        check(oid::REGOPERATOR, "=(int4)", "42P02 missing argument");
        check(oid::REGCOLLATION, "u", "42704 collation \"u\" for encoding \"UTF8\" does not exist");
    }
}
