//! Descriptors for tests.

use crate::descriptor::*;
use types::SqlType;
use types::{Oid, SqlError};

pub fn column(number: AttributeNumber, name: &str, ty: SqlType) -> Column {
    crate::new_column(number, name, ty)
}

/// A table in `public` of database `postgres`, owned by `postgres`.
pub fn table(id: Oid, name: &str, columns: Vec<Column>) -> Relation {
    let mut relation = crate::new_relation(id, name, RelationKind::Table);
    relation.database = POSTGRES_DATABASE;
    relation.schema = PUBLIC_SCHEMA;
    relation.columns = columns;
    relation
}

pub fn snapshot() -> crate::Snapshot {
    let mut snapshot = crate::Snapshot::with_builtins();
    crate::bootstrap::objects().into_iter().for_each(|o| snapshot.put(o));
    snapshot
}

#[track_caller]
pub fn check_error<T: std::fmt::Debug>(result: Result<T, SqlError>, expected: &str) {
    let error = result.expect_err(expected);
    assert_eq!(format!("{} {}", error.code(), error.message()), expected);
}
