//! pg_get_*def: definitions of objects as SQL (`catalog::definitions`), in full and pretty form.

use super::reg::with_scope;
use super::{SessionFn, arg_oid, arg_str};
use crate::expr::EvalContext;
use catalog::definitions::Definitions;
use catalog::names;
use types::{Datum, Oid, Result};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    // Stored expressions are their text already.
    ("pg_get_expr", |_, _, args| Ok(args.first().cloned().unwrap_or_default())),
    ("pg_get_expr_ext", |_, _, args| Ok(args.first().cloned().unwrap_or_default())),
    ("pg_get_indexdef", |env, _, args| Ok(tell(env, false, |d| d.index(arg_oid(args, 0))))),
    ("pg_get_indexdef_ext", |env, _, args| {
        let (id, column, pretty) = (arg_oid(args, 0), args.get(1).map_or(0, Datum::as_i64), is_true(args, 2));
        Ok(tell(env, pretty, |d| if column == 0 { d.index(id) } else { d.index_column(id, column) }))
    }),
    ("pg_get_constraintdef", |env, _, args| Ok(tell(env, false, |d| d.constraint(arg_oid(args, 0))))),
    ("pg_get_constraintdef_ext", |env, _, args| Ok(tell(env, is_true(args, 1), |d| d.constraint(arg_oid(args, 0))))),
    ("pg_get_viewdef", |env, _, args| Ok(view(env, arg_oid(args, 0)))),
    ("pg_get_viewdef_ext", |env, _, args| Ok(view(env, arg_oid(args, 0)))),
    ("pg_get_viewdef_wrap", |env, _, args| Ok(view(env, arg_oid(args, 0)))),
    ("pg_get_viewdef_name", |env, _, args| view_by_name(env, arg_str(args, 0))),
    ("pg_get_viewdef_name_ext", |env, _, args| view_by_name(env, arg_str(args, 0))),
];

fn is_true(args: &[Datum], index: usize) -> bool {
    matches!(args.get(index), Some(Datum::Bool(true)))
}

/// A definition as a datum: NULL for what is not there.
fn tell(env: &EvalContext<'_>, pretty: bool, f: impl FnOnce(&Definitions<'_>) -> Option<String>) -> Datum {
    let keep = |_: &catalog::Relation, text: &str| Some(text.to_owned());
    with_scope(env.session, |scope| {
        let definitions = Definitions { catalog: env.catalog, scope, pretty: pretty.then_some(&keep) };
        f(&definitions).map_or(Datum::Null, Datum::text)
    })
}

fn view(env: &EvalContext<'_>, id: Oid) -> Datum {
    tell(env, false, |d| d.view(id))
}

fn view_by_name(env: &EvalContext<'_>, name: &str) -> Result<Datum> {
    let id = with_scope(env.session, |scope| names::regclass(env.catalog, scope, name))?;
    Ok(view(env, id))
}
