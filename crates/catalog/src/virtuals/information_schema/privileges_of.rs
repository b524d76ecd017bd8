//! Grants, one right a row: to or from a role that the viewer has the rights of, or to PUBLIC.

use super::super::Scan;
use super::super::row::row;
use super::{COLLATIONS, Viewer, yes_or_no};
use crate::descriptor::*;
use crate::privileges::Target;
use types::{Datum, Oid};

/// Bits and names, in the order of the bits.
const TABLE_RIGHTS: &[(u32, &str)] = &[
    (privilege::INSERT, "INSERT"),
    (privilege::SELECT, "SELECT"),
    (privilege::UPDATE, "UPDATE"),
    (privilege::DELETE, "DELETE"),
    (privilege::TRUNCATE, "TRUNCATE"),
    (privilege::REFERENCES, "REFERENCES"),
    (privilege::TRIGGER, "TRIGGER"),
];

/// Whether a grant is shown: in the `role_…` relations those to PUBLIC are only where the viewer gave them.
fn is_shown(viewer: &Viewer<'_>, grant: &Grant, with_public: bool) -> bool {
    let to_viewer = if grant.grantee == 0 { with_public } else { viewer.is(grant.grantee) };
    viewer.is(grant.grantor) || to_viewer
}

fn grantee_name(scan: &Scan<'_>, role: Oid) -> Datum {
    if role == 0 { Datum::text("PUBLIC") } else { scan.role_name(role) }
}

/// An owner may always grant on.
fn can_grant(viewer: &Viewer<'_>, grant: &Grant, owner: Oid, bit: u32) -> bool {
    let is_owner =
        grant.grantee != 0 && crate::privileges::has_rights_of(viewer.catalog, grant.grantee, owner, viewer.database);
    is_owner || grant.grantable & bit != 0
}

pub(super) fn tables(scan: &mut Scan<'_>, with_public: bool) {
    let viewer = Viewer::new(scan);
    for r in scan.relations(None) {
        let schema = scan.schema_name(r.schema);
        let is_table =
            !matches!(r.kind, RelationKind::Sequence | RelationKind::Composite | RelationKind::MaterializedView);
        if !is_table || !scan.wants_text(4, schema) || !scan.wants_text(5, &r.name) {
            continue;
        }
        for grant in Target::Relation(r).list().iter().filter(|g| is_shown(&viewer, g, with_public)) {
            for (bit, name) in TABLE_RIGHTS.iter().filter(|(bit, _)| grant.rights & bit != 0) {
                let row = row![
                    scan.role_name(grant.grantor),
                    grantee_name(scan, grant.grantee),
                    viewer.name,
                    schema,
                    &r.name,
                    *name,
                    yes_or_no(can_grant(&viewer, grant, r.owner, *bit)),
                    yes_or_no(*bit == privilege::SELECT),
                ];
                scan.push(row);
            }
        }
    }
}

pub(super) fn columns(scan: &mut Scan<'_>, with_public: bool) {
    let viewer = Viewer::new(scan);
    for r in scan.relations(None) {
        let schema = scan.schema_name(r.schema);
        let is_table =
            !matches!(r.kind, RelationKind::Sequence | RelationKind::Composite | RelationKind::MaterializedView);
        if !is_table || !scan.wants_text(4, schema) || !scan.wants_text(5, &r.name) {
            continue;
        }
        let of_table = Target::Relation(r).list();
        for column in r.live_columns().filter(|c| scan.wants_text(6, &c.name)).collect::<Vec<_>>() {
            let mut rows = vec![];
            for grant in of_table.iter().chain(&Target::Column(r, column).list()) {
                let rights = TABLE_RIGHTS.iter().filter(|(bit, _)| grant.rights & bit & privilege::ALL_COLUMN != 0);
                for (bit, name) in rights.filter(|_| is_shown(&viewer, grant, with_public)) {
                    // One right may be held by table and by column; it is one row, with the option if either has it.
                    let grantable = can_grant(&viewer, grant, r.owner, *bit);
                    let key = (grant.grantor, grant.grantee, *name);
                    match rows.iter_mut().find(|(k, _)| *k == key) {
                        Some((_, old)) => *old |= grantable,
                        None => rows.push((key, grantable)),
                    }
                }
            }
            for ((grantor, grantee, name), grantable) in rows {
                let row = row![
                    scan.role_name(grantor),
                    grantee_name(scan, grantee),
                    viewer.name,
                    schema,
                    &r.name,
                    &column.name,
                    name,
                    yes_or_no(grantable),
                ];
                scan.push(row);
            }
        }
    }
}

/// USAGE of collations (all may) and of sequences.
pub(super) fn usage(scan: &mut Scan<'_>, with_public: bool) {
    let viewer = Viewer::new(scan);
    if with_public || viewer.is(POSTGRES_ROLE) {
        for collation in COLLATIONS {
            let grantor = scan.role_name(POSTGRES_ROLE);
            scan.push(row![grantor, "PUBLIC", viewer.name, "pg_catalog", *collation, "COLLATION", "USAGE", "NO"]);
        }
    }
    for r in scan.user_relations(None).filter(|r| r.kind == RelationKind::Sequence) {
        let usage = |g: &&Grant| g.rights & privilege::USAGE != 0 && is_shown(&viewer, g, with_public);
        for grant in Target::Relation(r).list().iter().filter(usage) {
            let row = row![
                scan.role_name(grant.grantor),
                grantee_name(scan, grant.grantee),
                viewer.name,
                scan.schema_name(r.schema),
                &r.name,
                "SEQUENCE",
                "USAGE",
                yes_or_no(can_grant(&viewer, grant, r.owner, privilege::USAGE)),
            ];
            scan.push(row);
        }
    }
}

/// Row types may be used by all.
pub(super) fn types(scan: &mut Scan<'_>, with_public: bool) {
    let viewer = Viewer::new(scan);
    for r in scan.user_relations(None).filter(|r| r.kind != RelationKind::Sequence) {
        for (grantee, option) in [(0, "NO"), (r.owner, "YES")] {
            let grant = Grant { grantee, grantor: r.owner, rights: privilege::USAGE, grantable: 0 };
            if is_shown(&viewer, &grant, with_public) {
                let row = row![
                    scan.role_name(r.owner),
                    grantee_name(scan, grantee),
                    viewer.name,
                    scan.schema_name(r.schema),
                    &r.name,
                    "TYPE USAGE",
                    option,
                ];
                scan.push(row);
            }
        }
    }
}
