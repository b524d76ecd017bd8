//! The stored form of the catalog: rows of the meta shard.
//!
//! ```text
//! StorageId(1)  descriptors and names; the node's cache follows its commits
//!   key   [kind u8][id u32 be]                       value [02][postcard of Object]
//!   key   [20][name space u8][scope u32 be][name]    value [02][id u32 be]
//!   key   [21][relation id u32 be]                   value [02]; its timestamp is when the relation got its present storage
//! StorageId(2)  counters, changed by commits of their own
//!   key   [00]                                       value [01][next oid u32 be]
//!   key   [01][storage id u32 be]                    value [01][last i64 be][called u8][epoch u64 be]
//! ```
//!
//! The name rows are what makes names unique: whoever creates, renames or moves an object locks its name first, finds
//! out there whether it is taken, and commits object and name together. Numbers and layouts here are on disks for ever;
//! fields of descriptors are only ever added behind a new format byte.

use crate::descriptor::*;
use bytes::Bytes;
use std::borrow::Cow;
use txn::{Home, Mutation, RelationRef, StorageId};
use types::{Oid, SqlError, SqlState};

pub const DESCRIPTORS: StorageId = StorageId(1);
pub const COUNTERS: StorageId = StorageId(2);

/// 2: users' types (decision 0006). 3: whether materialized views are populated. Clusters of formats 1 and 2 were never released.
const FORMAT: u8 = 3;
const NAME_TAG: u8 = 0x20;
const REPLACED_TAG: u8 = 0x21;

/// How a transaction addresses the two system relations: they are never changed by DDL.
pub const DESCRIPTOR_ROWS: RelationRef =
    RelationRef { storage: DESCRIPTORS, id: 1, schema_version: 0, home: Home::Meta };
pub const COUNTER_ROWS: RelationRef = RelationRef { storage: COUNTERS, id: 2, schema_version: 0, home: Home::Meta };

/// Rows of the meta shard have no distribution.
pub const SLOT: u16 = 0;

pub const OID_COUNTER_KEY: &[u8] = &[0];

/// Where names must differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum NameSpace {
    Databases = 1,
    Roles = 2,
    /// Scope: the database.
    Schemas = 3,
    /// Scope: the schema. Relations, views, sequences and indexes.
    Relations = 4,
    /// Scope: the schema. The name is a signature: `f(23,25)`.
    Functions = 6,
    /// Scope: the schema. The name is a signature: `===(16,16)`.
    Operators = 7,
}

pub fn object_key(key: ObjectKey) -> Vec<u8> {
    let mut bytes = vec![key.kind as u8];
    bytes.extend_from_slice(&key.id.to_be_bytes());
    bytes
}

pub fn name_key(space: NameSpace, scope: Oid, name: &str) -> Vec<u8> {
    let mut bytes = vec![NAME_TAG, space as u8];
    bytes.extend_from_slice(&scope.to_be_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

/// Of the row that is written when a relation's rows go to other storage (TRUNCATE, a rewrite): nothing in there is older than
/// that commit, and what was before can not be read.
pub fn replaced_key(relation: Oid) -> Vec<u8> {
    let mut bytes = vec![REPLACED_TAG];
    bytes.extend_from_slice(&relation.to_be_bytes());
    bytes
}

/// The relation of such a key.
pub fn parse_replaced_key(key: &[u8]) -> Option<Oid> {
    let [REPLACED_TAG, id @ ..] = key else { return None };
    Some(u32::from_be_bytes(id.try_into().ok()?))
}

pub fn replaced_value() -> Vec<u8> {
    vec![FORMAT]
}

pub fn sequence_key(storage: u32) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&storage.to_be_bytes());
    bytes
}

/// The key of a descriptor's row; None for a name's row.
pub fn parse_object_key(key: &[u8]) -> Option<ObjectKey> {
    let [kind, rest @ ..] = key else { return None };
    let kind = match kind {
        1 => ObjectKind::Database,
        2 => ObjectKind::Schema,
        3 => ObjectKind::Relation,
        4 => ObjectKind::Index,
        5 => ObjectKind::Role,
        6 => ObjectKind::Statistics,
        7 => ObjectKind::DefaultPrivileges,
        9 => ObjectKind::Function,
        10 => ObjectKind::Operator,
        11 => ObjectKind::Rule,
        _ => return None,
    };
    Some(ObjectKey { kind, id: u32::from_be_bytes(rest.try_into().ok()?) })
}

fn corrupt(what: &str) -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, format!("catalog row is damaged: {what}"))
}

pub fn encode_object(object: &Object) -> Result<Vec<u8>, SqlError> {
    postcard::to_extend(object, vec![FORMAT])
        .map_err(|e| SqlError::internal(format!("descriptor does not encode: {e}")))
}

pub fn decode_object(bytes: &[u8]) -> Result<Object, SqlError> {
    let Some((&FORMAT, body)) = bytes.split_first() else { return Err(corrupt("unknown format")) };
    postcard::from_bytes(body).map_err(|e| corrupt(&e.to_string()))
}

pub fn encode_id(id: Oid) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes
}

pub fn decode_id(bytes: &[u8]) -> Result<Oid, SqlError> {
    match bytes.split_first() {
        Some((&FORMAT, body)) => Ok(u32::from_be_bytes(body.try_into().map_err(|_| corrupt("length of an id"))?)),
        _ => Err(corrupt("unknown format")),
    }
}

/// The names that an object occupies.
pub fn names_of(object: &Object) -> Option<(NameSpace, Oid, Cow<'_, str>)> {
    Some(match object {
        Object::Database(o) => (NameSpace::Databases, 0, Cow::from(&o.name)),
        Object::Schema(o) => (NameSpace::Schemas, o.database, Cow::from(&o.name)),
        Object::Relation(o) => (NameSpace::Relations, o.schema, Cow::from(&o.name)),
        Object::Index(o) => (NameSpace::Relations, o.schema, Cow::from(&o.name)),
        Object::Role(o) => (NameSpace::Roles, 0, Cow::from(&o.name)),
        Object::Function(o) => (NameSpace::Functions, o.schema, Cow::from(o.signature())),
        Object::Operator(o) => (NameSpace::Operators, o.schema, Cow::from(o.signature())),
        // A rule's name is its relation's business, which is locked for it.
        Object::Statistics(_) | Object::DefaultPrivileges(_) | Object::Rule(_) => return None,
    })
}

/// The rows of an object that is there from the start.
pub fn mutations(object: &Object) -> Result<Vec<Mutation>, SqlError> {
    let row = |key: Vec<u8>, value: Vec<u8>| Mutation {
        relation: DESCRIPTORS,
        key: Bytes::from(key),
        value: Some(Bytes::from(value)),
    };
    let mut rows = vec![row(object_key(object.key()), encode_object(object)?)];
    if let Some((space, scope, name)) = names_of(object) {
        rows.push(row(name_key(space, scope, &name), encode_id(object.key().id)));
    }
    Ok(rows)
}
