//! Objects by class and OID, told in words: pg_describe_object, pg_identify_object; and what tables and views are part of.

use super::reg::with_scope;
use super::{SessionFn, SessionSetFn, arg_oid};
use crate::expr::EvalContext;
use catalog::{RelationKind, names};
use std::sync::Arc;
use types::functions::{RowIter, quote_ident};
use types::{CallContext, Datum, Oid, Record, Result, SqlError, SqlState, SqlType, builtin, typename};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("pg_describe_object", |env, _, args| Ok(describe(env, args).map_or(Datum::Null, Datum::text))),
    ("pg_identify_object", identify),
    ("pg_sequence_parameters", sequence_parameters),
    ("pg_relation_is_updatable", |env, _, args| Ok(Datum::Int4(abilities(env, arg_oid(args, 0))))),
    ("pg_column_is_updatable", |env, _, args| {
        let (id, number) = (arg_oid(args, 0), args.get(1).map_or(0, Datum::as_i64));
        let Some(index) = usize::try_from(number).ok().and_then(|n| n.checked_sub(1)) else {
            return Ok(Datum::Bool(false));
        };
        let can = match env.catalog.relation(id).filter(|r| r.kind == RelationKind::View) {
            Some(view) => {
                crate::stored::updatable_columns(env, view).is_some_and(|columns| columns.get(index) == Some(&true))
            }
            None => abilities(env, id) & CAN_UPDATE != 0,
        };
        Ok(Datum::Bool(can))
    }),
    // There are no partitions.
    ("pg_partition_root", |_, _, _| Ok(Datum::Null)),
    ("pg_get_partition_constraintdef", |_, _, _| Ok(Datum::Null)),
    ("pg_collation_for", collation_for),
];

pub(crate) const SETS: &[(&str, SessionSetFn)] = &[
    ("pg_partition_tree", |_, _, _| Ok(Box::new(std::iter::empty()))),
    ("pg_partition_ancestors", |_, _, _| Ok(Box::new(std::iter::empty()))),
    ("pg_get_keywords", |_, _, _| Ok(keywords())),
    ("_pg_expandarray(anyarray)", expand_array),
];

const PG_CLASS: Oid = 1259;
const PG_TYPE: Oid = 1247;
const PG_PROC: Oid = 1255;
const PG_OPERATOR: Oid = 2617;
const PG_CAST: Oid = 2605;
const PG_CONSTRAINT: Oid = 2606;
const PG_NAMESPACE: Oid = 2615;
const PG_AUTHID: Oid = 1260;
const PG_DATABASE: Oid = 1262;

/// Bits of pg_relation_is_updatable.
const CAN_UPDATE: i32 = 1 << 2;
const CAN_INSERT: i32 = 1 << 3;
const CAN_DELETE: i32 = 1 << 4;

/// What can be done with a relation.
fn abilities(env: &EvalContext<'_>, id: Oid) -> i32 {
    let all = CAN_UPDATE | CAN_INSERT | CAN_DELETE;
    let Some(relation) = env.catalog.relation(id) else { return 0 };
    match relation.kind {
        RelationKind::Table | RelationKind::Collection => all,
        RelationKind::View => match crate::stored::updatable_columns(env, relation) {
            Some(columns) if columns.contains(&true) => all,
            Some(_) => CAN_DELETE,
            None => 0,
        },
        _ => 0,
    }
}

fn relation_name(env: &EvalContext<'_>, id: Oid) -> String {
    with_scope(env.session, |scope| names::regclass_text(env.catalog, scope, id))
}

fn type_name(env: &EvalContext<'_>, id: Oid) -> String {
    with_scope(env.session, |scope| names::format_type(env.catalog, scope, id, None))
}

fn kind_name(env: &EvalContext<'_>, id: Oid) -> Option<&'static str> {
    match (env.catalog.relation(id), env.catalog.index(id)) {
        (Some(relation), _) => Some(match relation.kind {
            RelationKind::Composite => "composite type",
            _ => relation.kind_name(),
        }),
        (None, Some(_)) => Some("index"),
        (None, None) => None,
    }
}

fn types(env: &EvalContext<'_>, list: &[Oid]) -> String {
    list.iter().map(|ty| type_name(env, *ty)).collect::<Vec<_>>().join(",")
}

fn describe(env: &EvalContext<'_>, args: &[Datum]) -> Option<String> {
    let (class, id) = (arg_oid(args, 0), arg_oid(args, 1));
    let column = args.get(2).map_or(0, Datum::as_i64);
    match class {
        PG_CLASS => {
            let shown = format!("{} {}", kind_name(env, id)?, relation_name(env, id));
            if column == 0 {
                return Some(shown);
            }
            let relation = env.catalog.relation(id)?;
            let column = relation.columns.iter().find(|c| i64::from(c.number) == column)?;
            Some(format!("column {} of {shown}", column.name))
        }
        PG_TYPE => {
            builtin::type_by_oid(id).map(|_| ()).or_else(|| env.catalog.relation_of_type(id).map(|_| ()))?;
            Some(format!("type {}", type_name(env, id)))
        }
        PG_PROC if env.catalog.function(id).is_some() => {
            let ty = types::oid::REGPROCEDURE;
            Some(format!(
                "function {}",
                with_scope(env.session, |scope| catalog::reg::output(env.catalog, scope, ty, id))
            ))
        }
        PG_PROC => {
            let proc = builtin::proc_by_oid(id)?;
            Some(format!("function {}({})", quote_ident(proc.name), types(env, &proc.args)))
        }
        PG_OPERATOR => {
            let operator = catalog::operators::by_id(env.catalog, id)?;
            let shown = with_scope(env.session, |scope| catalog::operators::signature(env.catalog, scope, &operator));
            Some(format!("operator {shown}"))
        }
        PG_CAST => {
            let cast = builtin::casts().iter().find(|c| c.oid == id)?;
            Some(format!("cast from {} to {}", type_name(env, cast.source), type_name(env, cast.target)))
        }
        PG_CONSTRAINT => {
            let mut all = env.catalog.relations().flat_map(|r| r.constraints.iter().map(move |c| (r, c)));
            let (relation, constraint) = all.find(|(_, c)| c.id == id)?;
            Some(format!("constraint {} on table {}", constraint.name, relation_name(env, relation.id)))
        }
        PG_NAMESPACE => env.catalog.schema(id).map(|s| format!("schema {}", s.name)),
        PG_AUTHID => env.catalog.role(id).map(|r| format!("role {}", r.name)),
        PG_DATABASE => env.catalog.database(id).map(|d| format!("database {}", d.name)),
        _ => None,
    }
}

/// Several values as one composite result.
fn record(fields: &[(&'static str, SqlType)], values: Vec<Datum>) -> Datum {
    Datum::Record(Arc::new(Record {
        types: fields.iter().map(|(_, ty)| *ty).collect(),
        names: fields.iter().map(|(name, _)| (*name).into()).collect(),
        values,
    }))
}

/// Type, schema, name and full name, of relations, columns, types and schemas; NULLs for others.
fn identify(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (class, id) = (arg_oid(args, 0), arg_oid(args, 1));
    let number = args.get(2).map_or(0, Datum::as_i64);
    let quoted = |name: &str| Datum::text(quote_ident(name).to_string());
    let schema = |id: Oid| env.catalog.schema(id).map_or(Datum::Null, |s| quoted(&s.name));
    let found = match class {
        PG_CLASS => {
            let place = match (env.catalog.relation(id), env.catalog.index(id)) {
                (Some(r), _) => Some((r.schema, &r.name)),
                (None, Some(i)) => Some((i.schema, &i.name)),
                (None, None) => None,
            };
            place.zip(kind_name(env, id)).map(|((of, name), kind)| {
                let full = names::qualified(env.catalog, of, name);
                let columns = env.catalog.relation(id).map(|r| &r.columns);
                let column = columns.and_then(|all| all.iter().find(|c| i64::from(c.number) == number));
                match column {
                    Some(c) => [
                        Datum::text(format!("{kind} column")),
                        schema(of),
                        quoted(name),
                        Datum::text(format!("{full}.{}", quote_ident(&c.name))),
                    ],
                    None => [Datum::text(kind), schema(of), quoted(name), Datum::text(full)],
                }
            })
        }
        PG_TYPE => builtin::type_by_oid(id).map(|ty| {
            let name = Datum::text(typename::format_type(id, None));
            [Datum::text("type"), Datum::text("pg_catalog"), quoted(ty.name), name]
        }),
        PG_NAMESPACE => {
            env.catalog.schema(id).map(|s| [Datum::text("schema"), Datum::Null, quoted(&s.name), quoted(&s.name)])
        }
        _ => None,
    };
    let values = found.unwrap_or_default().to_vec();
    let text = SqlType::TEXT;
    Ok(record(&[("type", text), ("schema", text), ("name", text), ("identity", text)], values))
}

fn sequence_parameters(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let id = arg_oid(args, 0);
    let Some(s) = env.catalog.relation(id).and_then(|r| r.sequence.as_ref()) else {
        return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, format!("cache lookup failed for sequence {id}")));
    };
    let number = Datum::Int8;
    let values = vec![
        number(s.start),
        number(s.min),
        number(s.max),
        number(s.increment),
        Datum::Bool(s.cycle),
        number(s.cache),
        Datum::Oid(s.ty),
    ];
    let int8 = SqlType::INT8;
    let fields = [
        ("start_value", int8),
        ("minimum_value", int8),
        ("maximum_value", int8),
        ("increment", int8),
        ("cycle_option", SqlType::BOOL),
        ("cache_size", int8),
        ("data_type", SqlType::OID),
    ];
    Ok(record(&fields, values))
}

/// The collation's name: all values have the default one, names C.
fn collation_for(_: &EvalContext<'_>, context: &CallContext<'_>, _: &[Datum]) -> Result<Datum> {
    let Some(ty) = context.arg_types.first() else { return Ok(Datum::Null) };
    let of = |id: Oid| builtin::type_by_oid(id).map_or(0, |t| t.collation);
    match of(builtin::element_of(ty.oid).unwrap_or(ty.oid)) {
        0 => {
            let message = format!("collations are not supported by type {}", typename::display(*ty));
            Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message))
        }
        950 => Ok(Datum::text("\"C\"")),
        _ => Ok(Datum::text("\"default\"")),
    }
}

/// PostgreSQL's key words: word, category, whether it may be a label without AS.
fn keywords() -> RowIter {
    let describe = |letter: &str| match letter {
        "U" => "unreserved",
        "C" => "unreserved (cannot be function or type name)",
        "T" => "reserved (can be function or type name)",
        _ => "reserved",
    };
    let lines = include_str!("keywords.tsv").lines();
    Box::new(lines.filter_map(move |line| {
        let mut fields = line.split('\t');
        let (word, category, bare) = (fields.next()?, fields.next()?, fields.next()? == "t");
        Some(Ok(vec![
            Datum::text(word),
            Datum::text(category),
            Datum::Bool(bare),
            Datum::text(describe(category)),
            Datum::text(if bare { "can be bare label" } else { "requires AS" }),
        ]))
    }))
}

/// Elements with their places, from 1: pgjdbc takes keys apart with it.
fn expand_array(_: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<RowIter> {
    let Some(Datum::Array(array)) = args.first() else { return Ok(Box::new(std::iter::empty())) };
    let array = array.clone();
    let row = move |at: i32| {
        let place = usize::try_from(at).ok()?;
        Some(Ok(vec![array.values.get(place)?.clone(), Datum::Int4(at + 1)]))
    };
    Ok(Box::new((0..).map_while(row)))
}
