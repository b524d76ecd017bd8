//! pg_init_privs: the rights that objects of the system came with, so that a dump leaves them out.

use super::row::row;
use super::{RowsFn, Scan};
use crate::descriptor::*;
use types::Oid;

pub(super) const RELATIONS: &[(&str, RowsFn)] = &[("pg_init_privs", pg_init_privs)];

const PG_CLASS: Oid = 1259;
const PG_NAMESPACE: Oid = 2615;

fn pg_init_privs(scan: &mut Scan<'_>) {
    // Rights of these do not change, so those of today are the first ones.
    for relation in scan.relations(scan.oid(1)).filter(|r| r.kind == RelationKind::Virtual) {
        push(scan, relation.id, PG_CLASS, relation.privileges.as_deref());
    }
    for schema in scan.schemas().filter(|s| s.database == 0) {
        push(scan, schema.id, PG_NAMESPACE, schema.privileges.as_deref());
    }
}

fn push(scan: &mut Scan<'_>, object: Oid, class: Oid, privileges: Option<&[Grant]>) {
    if privileges.is_some() && scan.wants(1, object) && scan.wants(2, class) {
        let acl = scan.acl(privileges);
        scan.push(row![object, class, 0i32, 'i', acl]);
    }
}
