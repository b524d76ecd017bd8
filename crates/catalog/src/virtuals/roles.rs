//! Roles: pg_authid and its readable forms, and pg_auth_members.

use super::row::{array, array_or_null, row};
use super::{RowsFn, Scan};
use crate::descriptor::*;
use types::{Datum, oid};

pub(super) const RELATIONS: &[(&str, RowsFn)] = &[
    ("pg_auth_members", pg_auth_members),
    ("pg_authid", pg_authid),
    ("pg_group", pg_group),
    ("pg_roles", pg_roles),
    ("pg_shadow", pg_shadow),
    ("pg_user", pg_user),
];

/// What PUBLIC sees instead of a password.
const HIDDEN: &str = "********";

fn valid_until(role: &Role) -> Datum {
    role.valid_until.map_or(Datum::Null, Datum::TimestampTz)
}

fn settings(role: &Role) -> Datum {
    array_or_null(oid::TEXT, role.settings.iter().map(|(name, value)| format!("{name}={value}")))
}

fn pg_authid(scan: &mut Scan<'_>) {
    for r in scan.catalog.roles() {
        if scan.wants(1, r.id) && scan.wants_text(2, &r.name) {
            scan.push(row![
                r.id,
                &r.name,
                r.is_superuser,
                r.inherit,
                r.create_role,
                r.create_database,
                r.can_login,
                r.replication,
                r.bypass_row_security,
                r.connection_limit,
                r.password.as_deref(),
                valid_until(r),
            ]);
        }
    }
}

fn pg_roles(scan: &mut Scan<'_>) {
    for r in scan.catalog.roles() {
        if scan.wants(13, r.id) && scan.wants_text(1, &r.name) {
            scan.push(row![
                &r.name,
                r.is_superuser,
                r.inherit,
                r.create_role,
                r.create_database,
                r.can_login,
                r.replication,
                r.connection_limit,
                HIDDEN,
                valid_until(r),
                r.bypass_row_security,
                settings(r),
                r.id,
            ]);
        }
    }
}

fn pg_auth_members(scan: &mut Scan<'_>) {
    for r in scan.catalog.roles().filter(|r| scan.wants(2, r.id)).collect::<Vec<_>>() {
        for (role, admin, grantor) in &r.member_of {
            if scan.wants(1, *role) {
                scan.push(row![*role, r.id, *grantor, *admin]);
            }
        }
    }
}

fn push_user(scan: &mut Scan<'_>, r: &Role, password: Datum) {
    scan.push(row![
        &r.name,
        r.id,
        r.create_database,
        r.is_superuser,
        r.replication,
        r.bypass_row_security,
        password,
        valid_until(r),
        settings(r),
    ]);
}

fn pg_user(scan: &mut Scan<'_>) {
    for r in scan.catalog.roles().filter(|r| r.can_login) {
        push_user(scan, r, Datum::text(HIDDEN));
    }
}

fn pg_shadow(scan: &mut Scan<'_>) {
    for r in scan.catalog.roles().filter(|r| r.can_login) {
        push_user(scan, r, r.password.as_deref().map_or(Datum::Null, Datum::text));
    }
}

fn pg_group(scan: &mut Scan<'_>) {
    let catalog = scan.catalog;
    for group in catalog.roles().filter(|r| !r.can_login) {
        let is_member = |r: &&std::sync::Arc<Role>| r.member_of.iter().any(|(role, ..)| *role == group.id);
        let members = catalog.roles().filter(is_member).map(|r| r.id);
        scan.push(row![&group.name, group.id, array(oid::OID, members)]);
    }
}
