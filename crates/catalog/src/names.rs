//! From names in text to objects, and back: search path, `regclass` and `regtype` forms.
//!
//! Owns no state. A name is what the parser made of it: up to three parts, folded and truncated already.

use crate::Snapshot;
use crate::descriptor::*;
use std::sync::Arc;
use types::functions::quote_ident;
use types::{Oid, SqlError, SqlState, SqlType, builtin, typename};

/// What an unqualified name is searched in.
#[derive(Clone, Copy, Debug)]
pub struct NameScope<'a> {
    pub database: Oid,
    /// In order; with pg_catalog and the temporary schema where the session puts them.
    pub search_path: &'a [Oid],
    /// What `pg_temp` means.
    pub temporary_schema: Option<Oid>,
}

fn joined(name: &[String]) -> String {
    name.join(".")
}

/// Splits a name into schema and object; names of this database may carry it as first part.
pub fn split<'a>(
    catalog: &Snapshot,
    scope: NameScope<'_>,
    name: &'a [String],
) -> Result<(Option<&'a str>, &'a str), SqlError> {
    match name {
        [object] => Ok((None, object)),
        [schema, object] => Ok((Some(schema), object)),
        [database, schema, object] => {
            let is_this = catalog.database(scope.database).is_some_and(|d| d.name == *database);
            if is_this {
                return Ok((Some(schema), object));
            }
            Err(SqlError::unsupported(format!("cross-database references are not implemented: \"{}\"", joined(name))))
        }
        _ => Err(SqlError::new(
            SqlState::SYNTAX_ERROR,
            format!("improper qualified name (too many dotted names): {}", joined(name)),
        )),
    }
}

/// The schema of that name; 3F000 if there is none.
pub fn schema<'a>(catalog: &'a Snapshot, scope: NameScope<'_>, name: &str) -> Result<&'a Arc<Schema>, SqlError> {
    let found = match (name, scope.temporary_schema) {
        ("pg_temp", Some(id)) => catalog.schema(id),
        _ => catalog.schema_by_name(scope.database, name),
    };
    found.ok_or_else(|| no_schema(name))
}

pub fn no_schema(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
}

pub fn no_relation(name: &[String]) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_TABLE, format!("relation \"{}\" does not exist", joined(name)))
}

/// Id of the relation or index that a name means; None if there is none (a schema that is not there is an error only
/// for `find`'s callers who ask through `relation`).
pub fn find(catalog: &Snapshot, scope: NameScope<'_>, name: &[String]) -> Result<Option<Oid>, SqlError> {
    let (qualifier, object) = split(catalog, scope, name)?;
    // Enums and domains have names of the same space, but are no relations.
    let is_scalar_type = |id: &Oid| catalog.relation(*id).is_some_and(|r| r.is_scalar_type());
    let by_name = |schema: Oid| catalog.id_by_name(schema, object).filter(|id| !is_scalar_type(id));
    match qualifier {
        Some(qualifier) => Ok(schema(catalog, scope, qualifier).ok().and_then(|s| by_name(s.id))),
        None => Ok(scope.search_path.iter().find_map(|schema| by_name(*schema))),
    }
}

/// The relation that a name means; 42P01 if there is none, 42809 if it is an index.
pub fn relation<'a>(
    catalog: &'a Snapshot,
    scope: NameScope<'_>,
    name: &[String],
) -> Result<&'a Arc<Relation>, SqlError> {
    let Some(id) = find(catalog, scope, name)? else { return Err(no_relation(name)) };
    match catalog.relation(id) {
        Some(relation) => Ok(relation),
        None => {
            let object = name.last().map(String::as_str).unwrap_or_default();
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{object}\" is an index")))
        }
    }
}

/// `schema.name` in quotes where needed.
pub fn qualified(catalog: &Snapshot, schema: Oid, name: &str) -> String {
    match catalog.schema(schema) {
        Some(schema) => format!("{}.{}", quote_ident(&schema.name), quote_ident(name)),
        None => quote_ident(name).to_string(),
    }
}

/// A relation's or index's name as `regclass` prints it: qualified only where the search path would not find it.
pub fn regclass_text(catalog: &Snapshot, scope: NameScope<'_>, id: Oid) -> String {
    let (schema, name) = match (catalog.relation(id), catalog.index(id)) {
        (Some(r), _) => (r.schema, &r.name),
        (None, Some(i)) => (i.schema, &i.name),
        (None, None) => return if id == 0 { "-".to_owned() } else { id.to_string() },
    };
    let visible = scope.search_path.iter().find_map(|schema| catalog.id_by_name(*schema, name)) == Some(id);
    if visible { quote_ident(name).to_string() } else { qualified(catalog, schema, name) }
}

/// Splits `a."B".c` as `::regclass` does: unquoted parts are folded.
pub fn parse_qualified(text: &str) -> Result<Vec<String>, SqlError> {
    let invalid = || SqlError::new(SqlState::INVALID_NAME, "invalid name syntax");
    let mut parts = vec![];
    let mut rest = text.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_part(quoted).ok_or_else(invalid)?,
            None => {
                let end = rest.find(['.', '"', ' ', '\t', '\n']).unwrap_or(rest.len());
                (rest[..end].to_lowercase(), &rest[end..])
            }
        };
        if part.is_empty() {
            return Err(invalid());
        }
        parts.push(part);
        let after = after.trim_start();
        match after.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None if after.is_empty() => return Ok(parts),
            None => return Err(invalid()),
        }
    }
}

/// The text up to the closing quote, with doubled quotes made single, and what is behind it.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        part.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                part.push('"');
                rest = more;
            }
            None => return Some((part, after)),
        }
    }
}

/// The relation or index that a `regclass` input means: a name, or digits.
pub fn regclass(catalog: &Snapshot, scope: NameScope<'_>, text: &str) -> Result<Oid, SqlError> {
    if text == "-" {
        return Ok(0);
    }
    if let Ok(id) = text.parse::<Oid>() {
        return Ok(id);
    }
    let name = parse_qualified(text)?;
    if let [schema_name, _] = &name[..] {
        schema(catalog, scope, schema_name)?;
    }
    find(catalog, scope, &name)?.ok_or_else(|| no_relation(&name))
}

/// A type of a user (an enum, a domain, a composite type, a relation's rows) or an array of one (`_name`) by its possibly
/// qualified name; built-in ones are `typename`'s.
pub fn user_type(catalog: &Snapshot, scope: NameScope<'_>, name: &[String]) -> Result<Option<SqlType>, SqlError> {
    let (qualifier, object) = split(catalog, scope, name)?;
    let in_schema = |schema: Oid| {
        let by = |name: &str| catalog.relation_by_name(schema, name).filter(|r| r.row_type != 0);
        by(object).map(|r| r.row_type).or_else(|| by(object.strip_prefix('_')?).map(|r| r.row_array_type))
    };
    let found = match qualifier {
        Some(qualifier) => schema(catalog, scope, qualifier).ok().and_then(|s| in_schema(s.id)),
        None => scope.search_path.iter().find_map(|schema| in_schema(*schema)),
    };
    Ok(found.map(SqlType::new))
}

/// Whether the search path finds the function by its bare name and argument types, before any other like it.
pub fn function_is_visible(catalog: &Snapshot, scope: NameScope<'_>, function: &Function) -> bool {
    let args = function.input_types();
    for schema in scope.search_path {
        if *schema == function.schema {
            return true;
        }
        let is_hidden = match *schema {
            PG_CATALOG_SCHEMA => builtin::procs_by_name(&function.name).iter().any(|p| *p.args == *args),
            schema => catalog.functions_by_name(schema, &function.name).any(|f| f.input_types() == args),
        };
        if is_hidden {
            return false;
        }
    }
    false
}

/// A type by SQL's spelling (`numeric(8,2)`, `app.mood[]`, `mood array`), built-in or a user's. 42704 if there is none.
pub fn type_by_text(catalog: &Snapshot, scope: NameScope<'_>, text: &str) -> Result<SqlType, SqlError> {
    let unknown = match typename::parse(text) {
        Ok(ty) => return Ok(ty),
        Err(error) if matches!(error.code(), SqlState::UNDEFINED_OBJECT | SqlState::INVALID_SCHEMA_NAME) => error,
        Err(error) => return Err(error),
    };
    let (base, is_array) = without_array(text.trim());
    let Ok(name) = parse_qualified(base) else { return Err(unknown) };
    if let [schema_name, _] = &name[..]
        && schema_name != "pg_temp"
    {
        schema(catalog, scope, schema_name)?;
    }
    let missing = || SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", joined(&name)));
    let found = user_type(catalog, scope, &name)?.filter(|ty| ty.oid != 0).ok_or_else(missing)?;
    let base = catalog.base_type(found);
    if is_array && base.oid != found.oid && base.is_array() && !found.is_array() {
        return Err(SqlError::unsupported("arrays of domains over arrays are not supported"));
    }
    match is_array {
        // An array of arrays is an array of more dimensions.
        true if found.is_array() => Ok(found),
        true => found.array().ok_or_else(missing),
        false => Ok(found),
    }
}

/// The name in front of `[]`, `[3]` or `ARRAY`, and whether there was such a mark.
fn without_array(text: &str) -> (&str, bool) {
    let outside_quotes = |at: usize| text[..at].matches('"').count().is_multiple_of(2);
    if let Some((at, _)) = text.match_indices('[').find(|(at, _)| outside_quotes(*at)) {
        return (text[..at].trim_end(), true);
    }
    let lower = text.to_ascii_lowercase();
    match lower.strip_suffix("array") {
        Some(base) if base.ends_with([' ', '\t', '\n', '"']) => (text[..base.len()].trim_end(), true),
        _ => (text, false),
    }
}

/// `format_type` for any type, built-in or a user's.
pub fn format_type(catalog: &Snapshot, scope: NameScope<'_>, oid: Oid, typmod: Option<i32>) -> String {
    if builtin::type_by_oid(oid).is_some() {
        return typename::format_type(oid, typmod);
    }
    let Some(relation) = catalog.relation_of_type(oid) else { return typename::format_type(oid, typmod) };
    let name = regclass_text(catalog, scope, relation.id);
    if relation.row_array_type == oid { format!("{name}[]") } else { name }
}

/// A stored expression as a reader of this search path has it: types and operators that the path finds lose their schema. (Other names
/// stay as they are stored; `pg_get_expr` binds the text and shows all of it.)
pub fn with_visible_names(catalog: &Snapshot, scope: NameScope<'_>, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("::") {
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '"' | '.');
        let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
        let (name, behind) = after.split_at(end);
        let parts = parse_qualified(name).ok().filter(|parts| parts.len() == 2);
        let ty = parts.and_then(|parts| user_type(catalog, scope, &parts).ok().flatten());
        match ty.and_then(|ty| catalog.relation_of_type(ty.oid)) {
            Some(relation) => out.push_str(&regclass_text(catalog, scope, relation.id)),
            None => out.push_str(name),
        }
        rest = behind;
    }
    out.push_str(rest);
    if out.contains("OPERATOR(") { crate::operators::with_visible(catalog, scope, &out) } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{check_error, column, snapshot, table};

    fn names(text: &str) -> Vec<String> {
        parse_qualified(text).unwrap()
    }

    fn catalog() -> Snapshot {
        let mut catalog = snapshot();
        catalog.put(Object::Relation(table(20_000, "t", vec![column(1, "a", SqlType::INT4)])));
        catalog.put(Object::Relation(table(20_003, "Odd name", vec![])));
        catalog
    }

    const SCOPE: NameScope<'static> = NameScope {
        database: POSTGRES_DATABASE,
        search_path: &[PG_CATALOG_SCHEMA, PUBLIC_SCHEMA],
        temporary_schema: None,
    };

    #[test]
    fn names_are_found_along_the_path_and_by_qualifier() {
        let catalog = catalog();
        let check = |text: &str, id: Oid| assert_eq!(relation(&catalog, SCOPE, &names(text)).unwrap().id, id, "{text}");
        check("t", 20_000);
        check("T", 20_000);
        check("public.t", 20_000);
        check("postgres.public.t", 20_000);
        check("\"Odd name\"", 20_003);
        check("pg_class", 1259);
        check("pg_catalog.pg_class", 1259);
    }

    #[test]
    fn names_not_found_are_told_as_postgresql_tells_them() {
        let catalog = catalog();
        let check = |text: &str, expected: &str| check_error(relation(&catalog, SCOPE, &names(text)), expected);
        check("u", "42P01 relation \"u\" does not exist");
        check("public.u", "42P01 relation \"public.u\" does not exist");
        check("nowhere.t", "42P01 relation \"nowhere.t\" does not exist");
        check("other.public.t", "0A000 cross-database references are not implemented: \"other.public.t\"");
        check("a.b.c.d", "42601 improper qualified name (too many dotted names): a.b.c.d");
        check_error(regclass(&catalog, SCOPE, "nowhere.t"), "3F000 schema \"nowhere\" does not exist");
        check_error(regclass(&catalog, SCOPE, "a b"), "42602 invalid name syntax");
    }

    #[test]
    fn regclass_qualifies_only_what_the_path_does_not_find() {
        let catalog = catalog();
        assert_eq!(regclass_text(&catalog, SCOPE, 20_000), "t");
        assert_eq!(regclass_text(&catalog, SCOPE, 20_003), "\"Odd name\"");
        let narrow = NameScope { search_path: &[PG_CATALOG_SCHEMA], ..SCOPE };
        assert_eq!(regclass_text(&catalog, narrow, 20_000), "public.t");
        assert_eq!(regclass_text(&catalog, narrow, 999), "999");
    }

    #[test]
    fn types_are_found_by_every_spelling() {
        let catalog = catalog();
        let check = |text: &str, shown: &str| {
            let ty = type_by_text(&catalog, SCOPE, text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(format_type(&catalog, SCOPE, ty.oid, Some(ty.typmod)), shown, "{text}");
        };
        check("t", "t");
        check("public.t", "t");
        check("t[]", "t[]");
        check("public.T [3][]", "t[]");
        check("t array", "t[]");
        check("\"Odd name\"", "\"Odd name\"");
        check("\"Odd name\"[]", "\"Odd name\"[]");
        check("numeric(8,2)", "numeric(8,2)");
        check_error(type_by_text(&catalog, SCOPE, "u"), "42704 type \"u\" does not exist");
        check_error(type_by_text(&catalog, SCOPE, "public.u[]"), "42704 type \"public.u\" does not exist");
        check_error(type_by_text(&catalog, SCOPE, "nowhere.t"), "3F000 schema \"nowhere\" does not exist");
    }

    #[test]
    fn row_types_have_the_relations_name() {
        let catalog = catalog();
        let ty = user_type(&catalog, SCOPE, &names("t")).unwrap().unwrap();
        assert_eq!(format_type(&catalog, SCOPE, ty.oid, None), "t");
        let array = user_type(&catalog, SCOPE, &names("_t")).unwrap().unwrap();
        assert_eq!(format_type(&catalog, SCOPE, array.oid, None), "t[]");
    }
}
