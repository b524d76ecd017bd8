//! The `search_path` setting as ids of schemas, with the implicit ones where PostgreSQL puts them: the session's
//! temporary schema and pg_catalog in front, unless the setting names them itself.

use catalog::privileges::{self, Target};
use catalog::{PG_CATALOG_SCHEMA, Snapshot, privilege};
use types::Oid;

/// Where unqualified names are looked up, and where new objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPath {
    pub schemas: Vec<Oid>,
    /// The first schema of the setting that exists (`pg_temp` stands for the temporary one).
    pub creation: Option<Oid>,
}

/// Splits the setting: names by comma, quoted ones with doubled quotes, the others folded to lower case.
pub fn split(setting: &str) -> Vec<String> {
    let (mut names, mut name, mut is_quoted, mut was_quoted) = (vec![], String::new(), false, false);
    let mut letters = setting.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                name.push('"');
            }
            '"' => {
                is_quoted = !is_quoted;
                was_quoted = true;
            }
            ',' if !is_quoted => {
                names.push(std::mem::take(&mut name));
                was_quoted = false;
            }
            letter if letter.is_whitespace() && !is_quoted => {}
            letter if is_quoted => name.push(letter),
            letter => name.push(letter.to_ascii_lowercase()),
        }
    }
    if was_quoted || !name.is_empty() {
        names.push(name);
    }
    names
}

/// Names that do not exist are passed over, as PostgreSQL does, and schemas that the role may not use; `"$user"` is the role's
/// own name.
pub fn resolve(setting: &str, catalog: &Snapshot, database: Oid, role: Oid, temporary: Option<Oid>) -> SearchPath {
    let role_name = catalog.role(role).map_or("", |role| role.name.as_str());
    let is_usable = |id: Oid| {
        let needs_right = catalog.schema(id).filter(|schema| schema.database != 0 && Some(id) != temporary);
        needs_right.is_none_or(|s| privileges::has_privilege(catalog, role, Target::Schema(s), privilege::USAGE))
    };
    let mut named = Vec::new();
    for name in split(setting) {
        let id = match name.as_str() {
            "pg_temp" => temporary,
            "$user" => catalog.schema_by_name(database, role_name).map(|s| s.id),
            name => catalog.schema_by_name(database, name).map(|s| s.id),
        };
        if let Some(id) = id.filter(|id| !named.contains(id) && is_usable(*id)) {
            named.push(id);
        }
    }
    let creation = named.first().copied();
    let mut schemas = Vec::with_capacity(named.len() + 2);
    schemas.extend(temporary.filter(|id| !named.contains(id)));
    schemas.extend(Some(PG_CATALOG_SCHEMA).filter(|id| !named.contains(id)));
    schemas.extend(named);
    SearchPath { schemas, creation }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_split_as_it_is_printed() {
        assert_eq!(split("\"$user\", public"), ["$user", "public"]);
        assert_eq!(split("\"a, b\"\"c\",d"), ["a, b\"c", "d"]);
        assert_eq!(split("\"\""), [""]);
        assert_eq!(split(""), Vec::<String>::new());
    }

    #[test]
    fn implicit_schemas_come_first_and_missing_ones_are_passed_over() {
        let catalog = Snapshot::with_builtins();
        let path = resolve("nowhere, information_schema", &catalog, 5, 10, Some(99));
        let information = catalog.schema_by_name(5, "information_schema").map(|s| s.id).unwrap();
        assert_eq!(path.schemas, [99, PG_CATALOG_SCHEMA, information]);
        assert_eq!(path.creation, Some(information));
    }

    #[test]
    fn a_schema_that_is_named_keeps_its_place() {
        let catalog = Snapshot::with_builtins();
        let path = resolve("information_schema, pg_catalog", &catalog, 5, 10, None);
        assert_eq!(path.schemas.last(), Some(&PG_CATALOG_SCHEMA));
        assert_eq!(path.schemas.len(), 2);
        assert_eq!(resolve("", &catalog, 5, 10, None).creation, None);
    }
}
