//! What tools ask of the catalog: types' names, visibility, comments, keywords.

use super::reg::with_scope;
use super::{SessionFn, SessionSetFn, arg_oid, arg_str};
use crate::expr::EvalContext;
use catalog::{INFORMATION_SCHEMA, names, operators};
use types::text::encoding::Encoding;
use types::{Datum, Oid, Result, SqlError, SqlState, builtin};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("pg_typeof", |_, context, _| Ok(Datum::Oid(context.arg_types.first().map_or(0, |t| t.oid)))),
    ("format_type", |env, _, args| {
        let Some(Datum::Oid(id)) = args.first() else { return Ok(Datum::Null) };
        let typmod = match args.get(1) {
            Some(Datum::Int4(typmod)) => Some(*typmod),
            _ => None,
        };
        Ok(Datum::text(with_scope(env.session, |scope| names::format_type(env.catalog, scope, *id, typmod))))
    }),
    ("pg_table_is_visible", |env, _, args| Ok(is_visible(env, arg_oid(args, 0)))),
    ("pg_type_is_visible", |env, _, args| {
        let id = arg_oid(args, 0);
        if builtin::type_by_oid(id).is_some() {
            // Those of information_schema are found like any other schema's; nothing hides pg_catalog's.
            let is_found = |scope: names::NameScope<'_>| scope.search_path.contains(&INFORMATION_SCHEMA);
            return Ok(Datum::Bool(id < INFORMATION_SCHEMA || with_scope(env.session, is_found)));
        }
        Ok(env.catalog.relation_of_type(id).map_or(Datum::Null, |r| is_visible(env, r.id)))
    }),
    ("pg_function_is_visible", |env, _, args| {
        if let Some(function) = env.catalog.function(arg_oid(args, 0)) {
            let is_visible = |scope: names::NameScope<'_>| names::function_is_visible(env.catalog, scope, function);
            return Ok(Datum::Bool(with_scope(env.session, is_visible)));
        }
        Ok(builtin::proc_by_oid(arg_oid(args, 0)).map_or(Datum::Null, |_| Datum::Bool(true)))
    }),
    ("pg_operator_is_visible", |env, _, args| {
        let Some(operator) = operators::by_id(env.catalog, arg_oid(args, 0)) else { return Ok(Datum::Null) };
        let is_visible = |scope: names::NameScope<'_>| operators::is_visible(env.catalog, scope, &operator);
        Ok(Datum::Bool(with_scope(env.session, is_visible)))
    }),
    ("pg_collation_is_visible", |_, _, _| Ok(Datum::Bool(true))),
    ("pg_conversion_is_visible", |_, _, _| Ok(Datum::Bool(true))),
    ("pg_opclass_is_visible", |_, _, _| Ok(Datum::Bool(true))),
    ("pg_opfamily_is_visible", |_, _, _| Ok(Datum::Bool(true))),
    // None of these can be made, so none has an OID that is known.
    ("pg_statistics_obj_is_visible", |_, _, _| Ok(Datum::Null)),
    ("pg_ts_config_is_visible", |_, _, _| Ok(Datum::Bool(true))),
    ("pg_ts_dict_is_visible", |_, _, _| Ok(Datum::Bool(true))),
    ("pg_ts_parser_is_visible", |_, _, _| Ok(Datum::Bool(true))),
    ("pg_ts_template_is_visible", |_, _, _| Ok(Datum::Bool(true))),
    ("pg_is_other_temp_schema", |env, _, args| {
        let id = arg_oid(args, 0);
        let is_temporary = env.catalog.schema(id).is_some_and(|s| s.name.starts_with("pg_temp_"));
        Ok(Datum::Bool(is_temporary && env.session.temporary_schema() != Some(id)))
    }),
    ("pg_get_userbyid", |env, _, args| {
        let id = arg_oid(args, 0);
        let unknown = || format!("unknown (OID={id})");
        Ok(Datum::text(env.catalog.role(id).map_or_else(unknown, |r| r.name.clone())))
    }),
    ("PG_encoding_to_char", |_, _, args| {
        Ok(Datum::text(Encoding::by_number(args.first().map_or(-1, Datum::as_i64)).map_or("", Encoding::name)))
    }),
    ("PG_char_to_encoding", |_, _, args| {
        Ok(Datum::Int4(Encoding::by_name(arg_str(args, 0)).map_or(-1, Encoding::number)))
    }),
    ("obj_description(oid,name)", |env, _, args| Ok(description(env, arg_oid(args, 0), arg_str(args, 1)))),
    ("obj_description(oid)", |env, _, args| Ok(description(env, arg_oid(args, 0), ""))),
    ("shobj_description(oid,name)", |env, _, args| Ok(description(env, arg_oid(args, 0), arg_str(args, 1)))),
    ("col_description(oid,int4)", |env, _, args| {
        let column = args.get(1).map_or(0, Datum::as_i64);
        let relation = env.catalog.relation(arg_oid(args, 0));
        let found = relation.and_then(|r| r.columns.iter().find(|c| i64::from(c.number) == column));
        Ok(text_or_null(found.and_then(|c| c.comment.as_deref())))
    }),
    ("pg_relation_filenode", |env, _, args| {
        let id = arg_oid(args, 0);
        let storage = env.catalog.relation(id).map(|r| r.storage).or_else(|| env.catalog.index(id).map(|i| i.storage));
        Ok(storage.filter(|s| *s != 0).map_or(Datum::Null, Datum::Oid))
    }),
    ("pg_relation_is_publishable", |env, _, args| {
        Ok(env.catalog.relation(arg_oid(args, 0)).map_or(Datum::Null, |r| {
            Datum::Bool(matches!(r.kind, catalog::RelationKind::Table | catalog::RelationKind::Collection))
        }))
    }),
    ("pg_get_serial_sequence", serial_sequence),
    ("pg_tablespace_location", |_, _, _| Ok(Datum::text(""))),
    ("row_security_active", |_, _, _| Ok(Datum::Bool(false))),
    ("row_security_active_name", |_, _, _| Ok(Datum::Bool(false))),
    ("pg_get_partkeydef", |_, _, _| Ok(Datum::Null)),
    ("pg_get_triggerdef", |_, _, _| Ok(Datum::Null)),
    ("pg_get_triggerdef_ext", |_, _, _| Ok(Datum::Null)),
    ("pg_get_statisticsobjdef", |_, _, _| Ok(Datum::Null)),
    ("pg_get_statisticsobjdef_columns", |_, _, _| Ok(Datum::Null)),
    ("pg_encoding_max_length_sql", |_, _, args| {
        let encoding = Encoding::by_number(args.first().map_or(-1, Datum::as_i64));
        Ok(encoding.map_or(Datum::Null, |e| Datum::Int4(e.max_length())))
    }),
];

pub(crate) const SETS: &[(&str, SessionSetFn)] = &[("pg_options_to_table", |_, _, args| {
    let Some(Datum::Array(options)) = args.first() else { return Ok(Box::new(std::iter::empty())) };
    let rows: Vec<_> = options
        .values
        .iter()
        .filter(|o| !o.is_null())
        .map(|option| {
            let (name, value) = option.as_str().split_once('=').unwrap_or((option.as_str(), ""));
            Ok(vec![Datum::text(name), Datum::text(value)])
        })
        .collect();
    Ok(Box::new(rows.into_iter()))
})];

fn text_or_null(text: Option<&str>) -> Datum {
    text.map_or(Datum::Null, Datum::text)
}

/// Found by its bare name through the search path.
fn is_visible(env: &EvalContext<'_>, id: Oid) -> Datum {
    let name = match (env.catalog.relation(id), env.catalog.index(id)) {
        (Some(relation), _) => &relation.name,
        (None, Some(index)) => &index.name,
        (None, None) => return Datum::Null,
    };
    let path = env.session.search_path();
    Datum::Bool(path.iter().find_map(|schema| env.catalog.id_by_name(*schema, name)) == Some(id))
}

/// The comment of an object, of the catalog named or, without a name, of whichever has the OID.
fn description(env: &EvalContext<'_>, id: Oid, class: &str) -> Datum {
    let catalog = env.catalog;
    let is = |name: &str| class.is_empty() || class == name;
    let relation = || catalog.relation(id).filter(|r| !r.is_type()).and_then(|r| r.comment.as_deref());
    let ty = || catalog.type_descriptor(id).filter(|r| r.is_type()).and_then(|r| r.comment.as_deref());
    let index = || catalog.index(id).and_then(|i| i.comment.as_deref());
    let found = match () {
        () if is("pg_class") && relation().is_some() => relation(),
        () if is("pg_class") && index().is_some() => index(),
        () if is("pg_type") && ty().is_some() => ty(),
        () if is("pg_namespace") && catalog.schema(id).is_some() => {
            catalog.schema(id).and_then(|s| s.comment.as_deref())
        }
        () if is("pg_proc") && catalog.function(id).is_some() => {
            catalog.function(id).and_then(|f| f.comment.as_deref())
        }
        () if is("pg_operator") && catalog.operator(id).is_some() => {
            catalog.operator(id).and_then(|o| o.comment.as_deref())
        }
        () if is("pg_rewrite") && catalog.rule(id).is_some() => catalog.rule(id).and_then(|r| r.comment.as_deref()),
        () if class == "pg_database" => catalog.database(id).and_then(|d| d.comment.as_deref()),
        () if class == "pg_authid" => catalog.role(id).and_then(|r| r.comment.as_deref()),
        () if class == "pg_constraint" => {
            let constraints = catalog.relations().flat_map(|r| &r.constraints);
            constraints.into_iter().find(|c| c.id == id).and_then(|c| c.comment.as_deref())
        }
        () => None,
    };
    text_or_null(found)
}

/// The sequence that a column owns (SERIAL, IDENTITY).
fn serial_sequence(env: &EvalContext<'_>, _: &types::CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let (table, column) = (arg_str(args, 0), arg_str(args, 1));
    let id = with_scope(env.session, |scope| names::regclass(env.catalog, scope, table))?;
    let Some(relation) = env.catalog.relation(id) else { return Err(names::no_relation(&[table.to_owned()])) };
    let number = relation.columns.iter().find(|c| c.name == column && !c.is_dropped).map(|c| c.number);
    let Some(number) = number else {
        return Err(SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{column}\" of relation \"{}\" does not exist", relation.name),
        ));
    };
    let owns = |s: &catalog::SequenceDefinition| s.owned_by == Some((id, number));
    let found = env.catalog.relations().find(|r| r.sequence.as_ref().is_some_and(owns));
    Ok(found.map_or(Datum::Null, |s| Datum::text(names::qualified(env.catalog, s.schema, &s.name))))
}
