//! What belongs to the cluster: pg_database, its settings, and what ALTER DEFAULT PRIVILEGES said.

use super::row::{array_or_null, row};
use super::{RowsFn, Scan};
use types::{Oid, oid};

pub(super) const RELATIONS: &[(&str, RowsFn)] =
    &[("pg_database", pg_database), ("pg_db_role_setting", pg_db_role_setting), ("pg_default_acl", pg_default_acl)];

const UTF8: i32 = 6;
const PG_DEFAULT: Oid = 1663;

fn pg_database(scan: &mut Scan<'_>) {
    for d in scan.catalog.databases() {
        if !scan.wants(1, d.id) || !scan.wants_text(2, &d.name) {
            continue;
        }
        let acl = scan.acl(d.privileges.as_deref());
        scan.push(row![
            d.id,
            &d.name,
            d.owner,
            UTF8,
            'c',
            d.is_template,
            d.allow_connections,
            d.connection_limit,
            0u32,
            0u32,
            PG_DEFAULT,
            "C",
            "C",
            (),
            (),
            acl,
        ]);
    }
}

fn pg_db_role_setting(scan: &mut Scan<'_>) {
    let setting = |name: &str, value: &str| format!("{name}={value}");
    let catalog = scan.catalog;
    for database in catalog.databases() {
        let mut roles: Vec<Oid> = database.settings.iter().map(|(role, ..)| *role).collect();
        roles.sort_unstable();
        roles.dedup();
        for role in roles {
            let of_role = database.settings.iter().filter(|(r, ..)| *r == role);
            let list = array_or_null(oid::TEXT, of_role.map(|(_, name, value)| setting(name, value)));
            scan.push(row![database.id, role, list]);
        }
    }
    for role in catalog.roles().filter(|r| !r.settings.is_empty()) {
        let list = array_or_null(oid::TEXT, role.settings.iter().map(|(name, value)| setting(name, value)));
        scan.push(row![0u32, role.id, list]);
    }
}

fn pg_default_acl(scan: &mut Scan<'_>) {
    let (catalog, database) = (scan.catalog, scan.database);
    for d in catalog.default_privileges().filter(|d| d.database == database) {
        let acl = scan.acl(Some(&d.grants));
        scan.push(row![d.id, d.role, d.schema, d.kind, acl]);
    }
}
