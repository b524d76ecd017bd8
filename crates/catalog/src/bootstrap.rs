//! What an empty folder starts with: role `postgres`, the predefined roles, three databases with their `public`.

use crate::descriptor::*;
use crate::rows;
use bytes::Bytes;
use txn::Mutation;
use types::oid::FIRST_USER_OID;
use types::{Oid, SqlError};

/// `public` of template1 and template0; PostgreSQL has one number in every database, ids here are the cluster's.
const TEMPLATE1_PUBLIC: Oid = 2201;
const TEMPLATE0_PUBLIC: Oid = 2202;

/// PostgreSQL's predefined roles, with its OIDs.
const PREDEFINED_ROLES: &[(Oid, &str)] = &[
    (DATABASE_OWNER_ROLE, "pg_database_owner"),
    (6181, "pg_read_all_data"),
    (6182, "pg_write_all_data"),
    (3373, "pg_monitor"),
    (3374, "pg_read_all_settings"),
    (3375, "pg_read_all_stats"),
    (3377, "pg_stat_scan_tables"),
    (4569, "pg_read_server_files"),
    (4570, "pg_write_server_files"),
    (4571, "pg_execute_server_program"),
    (4200, "pg_signal_backend"),
    (4544, "pg_checkpoint"),
];

/// A role without rights.
pub fn new_role(id: Oid, name: &str) -> Role {
    Role {
        id,
        name: name.to_owned(),
        is_superuser: false,
        inherit: true,
        create_role: false,
        create_database: false,
        can_login: false,
        replication: false,
        bypass_row_security: false,
        connection_limit: -1,
        password: None,
        valid_until: None,
        member_of: vec![],
        settings: vec![],
        comment: None,
    }
}

pub fn new_database(id: Oid, name: &str, owner: Oid) -> Database {
    Database {
        id,
        name: name.to_owned(),
        owner,
        privileges: None,
        is_template: false,
        allow_connections: true,
        connection_limit: -1,
        settings: vec![],
        comment: None,
    }
}

/// The `public` schema of a database, with PostgreSQL 15's rights: all may use it, only the database's owner may create in it.
pub fn public_schema(id: Oid, database: Oid) -> Schema {
    let grant = |grantee, rights| Grant { grantee, grantor: DATABASE_OWNER_ROLE, rights, grantable: 0 };
    Schema {
        id,
        database,
        name: "public".to_owned(),
        owner: DATABASE_OWNER_ROLE,
        privileges: Some(vec![grant(DATABASE_OWNER_ROLE, privilege::ALL_SCHEMA), grant(0, privilege::USAGE)]),
        comment: Some("standard public schema".to_owned()),
    }
}

fn roles() -> Vec<Role> {
    let mut postgres = new_role(POSTGRES_ROLE, "postgres");
    postgres.is_superuser = true;
    postgres.create_role = true;
    postgres.create_database = true;
    postgres.can_login = true;
    postgres.replication = true;
    postgres.bypass_row_security = true;
    let mut roles = vec![postgres];
    for (id, name) in PREDEFINED_ROLES {
        let mut role = new_role(*id, name);
        if *name == "pg_monitor" {
            role.member_of = [3374, 3375, 3377].into_iter().map(|id| (id, false, POSTGRES_ROLE)).collect();
        }
        roles.push(role);
    }
    roles
}

fn databases() -> Vec<Database> {
    let template_rights = || {
        let grant = |grantee, rights| Grant { grantee, grantor: POSTGRES_ROLE, rights, grantable: 0 };
        Some(vec![grant(0, privilege::CONNECT), grant(POSTGRES_ROLE, privilege::ALL_DATABASE)])
    };
    let mut template1 = new_database(TEMPLATE1_DATABASE, "template1", POSTGRES_ROLE);
    template1.is_template = true;
    template1.privileges = template_rights();
    template1.comment = Some("default template for new databases".to_owned());
    let mut template0 = new_database(TEMPLATE0_DATABASE, "template0", POSTGRES_ROLE);
    template0.is_template = true;
    template0.allow_connections = false;
    template0.privileges = template_rights();
    template0.comment = Some("unmodifiable empty database".to_owned());
    let mut postgres = new_database(POSTGRES_DATABASE, "postgres", POSTGRES_ROLE);
    postgres.comment = Some("default administrative connection database".to_owned());
    vec![template1, template0, postgres]
}

/// All first objects.
pub fn objects() -> Vec<Object> {
    let schemas = [
        public_schema(PUBLIC_SCHEMA, POSTGRES_DATABASE),
        public_schema(TEMPLATE1_PUBLIC, TEMPLATE1_DATABASE),
        public_schema(TEMPLATE0_PUBLIC, TEMPLATE0_DATABASE),
    ];
    let mut objects: Vec<Object> = roles().into_iter().map(Object::Role).collect();
    objects.extend(databases().into_iter().map(Object::Database));
    objects.extend(schemas.into_iter().map(Object::Schema));
    objects
}

/// The first rows of the meta shard, for `txn::Bootstrap`.
pub fn mutations() -> Result<Vec<Mutation>, SqlError> {
    rows_of(&objects())
}

/// The same for objects that were changed first (a password of role postgres).
pub fn rows_of(objects: &[Object]) -> Result<Vec<Mutation>, SqlError> {
    let mut all = vec![Mutation {
        relation: rows::COUNTERS,
        key: Bytes::from_static(rows::OID_COUNTER_KEY),
        value: Some(rows::encode_id(FIRST_USER_OID).into()),
    }];
    for object in objects {
        all.extend(rows::mutations(object)?);
    }
    Ok(all)
}
