//! pg_*_size, from the storage's estimates.

use super::{SessionFn, arg_oid, arg_str};
use crate::expr::EvalContext;
use crate::rows::relation_ref;
use catalog::{Relation, RelationKind};
use types::{CallContext, Datum, Oid, Result, SqlError, SqlState, builtin};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("pg_relation_size(regclass)", |env, _, args| Ok(relation_size(env, arg_oid(args, 0)))),
    ("pg_relation_size", |env, _, args| {
        // The main fork holds everything; the others are empty here.
        match arg_str(args, 1) {
            "main" => Ok(relation_size(env, arg_oid(args, 0))),
            "fsm" | "vm" | "init" => Ok(Datum::Int8(0)),
            _ => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "invalid fork name")
                .hint("Valid fork names are \"main\", \"fsm\", \"vm\", and \"init\".")),
        }
    }),
    ("pg_table_size", |env, _, args| Ok(relation_size(env, arg_oid(args, 0)))),
    ("pg_indexes_size", |env, _, args| {
        Ok(env.catalog.relation(arg_oid(args, 0)).map_or(Datum::Null, |r| Datum::Int8(indexes(env, r))))
    }),
    ("pg_total_relation_size", |env, _, args| {
        let id = arg_oid(args, 0);
        Ok(match (relation_size(env, id), env.catalog.relation(id)) {
            (Datum::Int8(own), Some(relation)) => Datum::Int8(own + indexes(env, relation)),
            (own, _) => own,
        })
    }),
    ("pg_tablespace_size_oid", |env, _, args| tablespace(env, arg_oid(args, 0))),
    ("pg_tablespace_size_name", |env, _, args| match arg_str(args, 0) {
        "pg_default" => tablespace(env, PG_DEFAULT),
        "pg_global" => tablespace(env, PG_GLOBAL),
        name => {
            let message = format!("tablespace \"{name}\" does not exist");
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
        }
    }),
    ("pg_column_size", |_, context, args| Ok(args.first().map_or(Datum::Null, |value| column_size(context, value)))),
    ("pg_database_size_oid", |env, _, args| database(env, env.catalog.database(arg_oid(args, 0)).map(|d| d.id))),
    ("pg_database_size_name", |env, _, args| {
        let name = arg_str(args, 0);
        let found = env.catalog.database_by_name(name).map(|d| d.id);
        match found {
            Some(_) => database(env, found),
            None => Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))),
        }
    }),
];

/// Bytes of a value: of a type with a fixed length PostgreSQL's, else as a row of Hyrax keeps it.
fn column_size(context: &CallContext<'_>, value: &Datum) -> Datum {
    let length = context.arg_types.first().and_then(|ty| builtin::type_by_oid(ty.oid)).map_or(-1, |ty| ty.len);
    if length > 0 {
        return Datum::Int4(i32::from(length));
    }
    let mut stored = vec![];
    types::row::encode_described(value, &mut stored);
    Datum::Int4(i32::try_from(stored.len()).unwrap_or(i32::MAX))
}

const PG_DEFAULT: Oid = 1663;
const PG_GLOBAL: Oid = 1664;

/// All databases are in one tablespace; what is global is part of the meta shard, and not counted.
fn tablespace(env: &EvalContext<'_>, id: Oid) -> Result<Datum> {
    match id {
        PG_DEFAULT => {
            let all = env.catalog.relations().map(|r| bytes(env, r, r.storage) + indexes(env, r)).sum();
            Ok(Datum::Int8(all))
        }
        PG_GLOBAL => Ok(Datum::Int8(0)),
        _ => Ok(Datum::Null),
    }
}

fn bytes(env: &EvalContext<'_>, relation: &Relation, storage: u32) -> i64 {
    i64::try_from(env.gateway.bytes_estimate(&relation_ref(relation, storage))).unwrap_or(i64::MAX)
}

fn relation_size(env: &EvalContext<'_>, id: Oid) -> Datum {
    if let Some(relation) = env.catalog.relation(id) {
        return Datum::Int8(match relation.kind {
            RelationKind::View | RelationKind::Virtual | RelationKind::Composite => 0,
            _ => bytes(env, relation, relation.storage),
        });
    }
    let index = env.catalog.index(id).and_then(|i| Some((i, env.catalog.relation(i.relation)?)));
    index.map_or(Datum::Null, |(index, relation)| {
        Datum::Int8(if index.is_primary { 0 } else { bytes(env, relation, index.storage) })
    })
}

fn indexes(env: &EvalContext<'_>, relation: &Relation) -> i64 {
    env.catalog.indexes_of(relation).filter(|i| !i.is_primary).map(|i| bytes(env, relation, i.storage)).sum()
}

fn database(env: &EvalContext<'_>, id: Option<Oid>) -> Result<Datum> {
    let Some(id) = id else { return Ok(Datum::Null) };
    let relations = env.catalog.relations().filter(|r| r.database == id);
    let size = relations.map(|r| bytes(env, r, r.storage) + indexes(env, r)).sum();
    Ok(Datum::Int8(size))
}
