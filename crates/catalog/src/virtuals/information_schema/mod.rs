//! information_schema: the SQL standard's catalog. Each relation shows what the enabled roles own or have rights on, by
//! the same rules as PostgreSQL's views of that name.
//!
//! The standard's domains (sql_identifier, yes_or_no, …) are shown as their base types, as on the wire. Relations about
//! triggers, foreign data, transforms and what routines use are empty; so are the conformance tables (sql_features and
//! its relatives), which would claim features one by one.

use super::row::row;
use super::{RowsFn, Scan};
use crate::descriptor::*;
use crate::privileges::{self, Target};
use types::{Datum, Oid};

mod constraints;
mod domains;
mod privileges_of;
mod routines;
mod tables;
mod type_facts;

pub(super) const RELATIONS: &[(&str, RowsFn)] = &[
    ("administrable_role_authorizations", |s| role_authorizations(s, true)),
    ("applicable_roles", |s| role_authorizations(s, false)),
    ("attributes", tables::attributes),
    ("character_sets", character_sets),
    ("check_constraints", |s| {
        constraints::check_constraints(s);
        domains::checks(s);
    }),
    ("collation_character_set_applicability", collation_character_sets),
    ("collations", collations),
    ("column_domain_usage", domains::column_domain_usage),
    ("column_privileges", |s| privileges_of::columns(s, true)),
    ("column_udt_usage", tables::column_udt_usage),
    ("columns", tables::columns),
    ("constraint_column_usage", constraints::constraint_column_usage),
    ("constraint_table_usage", constraints::constraint_table_usage),
    ("data_type_privileges", tables::data_type_privileges),
    ("domain_constraints", domains::domain_constraints),
    ("domain_udt_usage", domains::domain_udt_usage),
    ("domains", domains::domains),
    ("element_types", tables::element_types),
    ("enabled_roles", enabled_roles),
    ("information_schema_catalog_name", catalog_name),
    ("key_column_usage", constraints::key_column_usage),
    ("parameters", routines::parameters),
    ("referential_constraints", constraints::referential_constraints),
    ("role_column_grants", |s| privileges_of::columns(s, false)),
    ("role_routine_grants", |s| routines::privileges(s, false)),
    ("role_table_grants", |s| privileges_of::tables(s, false)),
    ("role_usage_grants", |s| privileges_of::usage(s, false)),
    ("role_udt_grants", |s| privileges_of::types(s, false)),
    ("routine_privileges", |s| routines::privileges(s, true)),
    ("routines", routines::routines),
    ("schemata", schemata),
    ("sequences", sequences),
    ("table_constraints", constraints::table_constraints),
    ("table_privileges", |s| privileges_of::tables(s, true)),
    ("tables", tables::tables),
    ("udt_privileges", |s| privileges_of::types(s, true)),
    ("usage_privileges", |s| privileges_of::usage(s, true)),
    ("user_defined_types", tables::user_defined_types),
    ("view_column_usage", tables::view_column_usage),
    ("view_table_usage", tables::view_table_usage),
    ("views", tables::views),
];

/// Collations that every database has.
const COLLATIONS: &[&str] = &["default", "C", "POSIX", "ucs_basic"];

fn yes_or_no(is: bool) -> &'static str {
    if is { "YES" } else { "NO" }
}

/// What all rows of a scan share.
struct Viewer<'a> {
    catalog: &'a crate::Snapshot,
    database: Oid,
    /// The database's name, first column of most relations.
    name: &'a str,
    role: Oid,
    scope: crate::names::NameScope<'a>,
}

impl<'a> Viewer<'a> {
    fn new(scan: &Scan<'a>) -> Viewer<'a> {
        let name = scan.catalog.database(scan.database).map_or("", |d| d.name.as_str());
        Viewer { catalog: scan.catalog, database: scan.database, name, role: scan.role, scope: scan.context.scope }
    }

    /// A stored expression as this session's search path has it.
    fn shown(&self, text: &str) -> String {
        crate::names::with_visible_names(self.catalog, self.scope, text)
    }

    /// Whether the viewer has the rights of a role (`pg_has_role(…, 'USAGE')`).
    fn is(&self, role: Oid) -> bool {
        privileges::has_rights_of(self.catalog, self.role, role, self.database)
    }

    /// Whether the viewer owns the relation, or has one of `rights` on it, or one of `column_rights` on a column.
    fn sees(&self, relation: &Relation, rights: u32, column_rights: u32) -> bool {
        if self.is(relation.owner) || privileges::held(self.catalog, self.role, Target::Relation(relation), rights) != 0
        {
            return true;
        }
        let of_column = |c: &Column| {
            let target = Target::Column(relation, c);
            c.privileges.is_some() && privileges::held(self.catalog, self.role, target, column_rights) != 0
        };
        relation.live_columns().any(of_column)
    }

    /// Whether the viewer owns the relation or has one of the rights on the column, by the relation or by itself.
    fn sees_column(&self, relation: &Relation, column: &Column) -> bool {
        self.is(relation.owner)
            || privileges::held(self.catalog, self.role, Target::Relation(relation), privilege::ALL_COLUMN) != 0
            || privileges::held(self.catalog, self.role, Target::Column(relation, column), privilege::ALL_COLUMN) != 0
    }
}

/// Rights on a relation that show its constraints: SELECT alone is not one of them.
const BEYOND_SELECT: u32 = privilege::ALL_TABLE & !privilege::SELECT;

fn catalog_name(scan: &mut Scan<'_>) {
    let name = Viewer::new(scan).name;
    scan.push(row![name]);
}

fn schemata(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for schema in scan.schemas() {
        let rights = privilege::CREATE | privilege::USAGE;
        let is_seen = viewer.is(schema.owner)
            || privileges::held(viewer.catalog, viewer.role, Target::Schema(schema), rights) != 0;
        if is_seen && scan.wants_text(2, &schema.name) {
            let owner = scan.role_name(schema.owner);
            scan.push(row![viewer.name, &schema.name, owner, (), (), (), ()]);
        }
    }
}

fn enabled_roles(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for role in viewer.catalog.roles().filter(|r| viewer.is(r.id)) {
        scan.push(row![&role.name]);
    }
}

fn role_authorizations(scan: &mut Scan<'_>, only_administrable: bool) {
    let viewer = Viewer::new(scan);
    for member in viewer.catalog.roles().filter(|r| viewer.is(r.id)) {
        for (role, admin, _) in &member.member_of {
            if *admin || !only_administrable {
                let name = scan.role_name(*role);
                scan.push(row![&member.name, name, yes_or_no(*admin)]);
            }
        }
        let owns = viewer.catalog.database(viewer.database).is_some_and(|d| d.owner == member.id);
        if owns && !only_administrable {
            let name = scan.role_name(DATABASE_OWNER_ROLE);
            scan.push(row![&member.name, name, "NO"]);
        }
    }
}

fn character_sets(scan: &mut Scan<'_>) {
    let name = Viewer::new(scan).name;
    scan.push(row![(), (), "UTF8", "UCS", "UTF8", name, "pg_catalog", "ucs_basic"]);
}

fn collations(scan: &mut Scan<'_>) {
    let name = Viewer::new(scan).name;
    for collation in COLLATIONS {
        scan.push(row![name, "pg_catalog", *collation, "NO PAD"]);
    }
}

fn collation_character_sets(scan: &mut Scan<'_>) {
    let name = Viewer::new(scan).name;
    for collation in COLLATIONS {
        scan.push(row![name, "pg_catalog", *collation, (), (), "UTF8"]);
    }
}

fn sequences(scan: &mut Scan<'_>) {
    let viewer = Viewer::new(scan);
    for r in scan.user_relations(None) {
        let Some(s) = r.sequence.as_ref().filter(|s| !s.is_identity) else { continue };
        let schema = scan.schema_name(r.schema);
        let is_seen = viewer.is(r.owner)
            || privileges::held(viewer.catalog, viewer.role, Target::Relation(r), privilege::ALL_SEQUENCE) != 0;
        if !is_seen || !scan.wants_text(2, schema) || !scan.wants_text(3, &r.name) {
            continue;
        }
        let facts = type_facts::Facts::of(types::SqlType::new(s.ty));
        scan.push(row![
            viewer.name,
            schema,
            &r.name,
            types::typename::format_type(s.ty, None),
            facts.numeric_precision,
            2i32,
            0i32,
            s.start.to_string(),
            s.min.to_string(),
            s.max.to_string(),
            s.increment.to_string(),
            yes_or_no(s.cycle),
        ]);
    }
}

/// NULLs for `count` columns.
fn nulls(count: usize) -> impl Iterator<Item = Datum> {
    std::iter::repeat_n(Datum::Null, count)
}
