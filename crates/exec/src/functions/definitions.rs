//! pg_get_*def: definitions of objects as SQL (`catalog::definitions`), in full and pretty form.
//!
//! Stored expressions are bound again to be shown: names in them are qualified for ever, and a reader sees them as the
//! search path finds them. What does not bind any more (it always should) is shown as it is stored.

use super::reg::with_scope;
use super::{SessionFn, arg_oid, arg_str};
use crate::expr::EvalContext;
use catalog::definitions::Definitions;
use catalog::rule_definition::ToldRule;
use catalog::{Relation, RelationKind, Rule, names};
use sql::{Deparser, RuleTexts, Shown};
use types::{CallContext, Datum, Oid, Result};

pub(crate) const FUNCTIONS: &[(&str, SessionFn)] = &[
    ("pg_get_expr", get_expr),
    ("pg_get_expr_ext", get_expr),
    ("pg_get_indexdef", |env, _, args| Ok(tell(env, false, |d| d.index(arg_oid(args, 0))))),
    ("pg_get_indexdef_ext", |env, _, args| {
        let (id, column, pretty) = (arg_oid(args, 0), args.get(1).map_or(0, Datum::as_i64), is_true(args, 2));
        Ok(tell(env, pretty, |d| if column == 0 { d.index(id) } else { d.index_column(id, column) }))
    }),
    ("pg_get_constraintdef", |env, _, args| Ok(tell(env, false, |d| d.constraint(arg_oid(args, 0))))),
    ("pg_get_constraintdef_ext", |env, _, args| Ok(tell(env, is_true(args, 1), |d| d.constraint(arg_oid(args, 0))))),
    ("pg_get_ruledef", |env, _, args| Ok(rule(env, arg_oid(args, 0), PLAIN))),
    ("pg_get_ruledef_ext", |env, _, args| Ok(rule(env, arg_oid(args, 0), pretty(args)))),
    ("pg_get_viewdef", |env, _, args| Ok(view(env, arg_oid(args, 0), PLAIN))),
    ("pg_get_viewdef_ext", |env, _, args| Ok(view(env, arg_oid(args, 0), pretty(args)))),
    ("pg_get_viewdef_wrap", |env, _, args| Ok(view(env, arg_oid(args, 0), wrapped(args)))),
    ("pg_get_viewdef_name", |env, _, args| view_by_name(env, arg_str(args, 0), PLAIN)),
    ("pg_get_viewdef_name_ext", |env, _, args| view_by_name(env, arg_str(args, 0), pretty(args))),
];

fn is_true(args: &[Datum], index: usize) -> bool {
    matches!(args.get(index), Some(Datum::Bool(true)))
}

/// A stored expression for a reader; None where it does not bind.
fn shown(env: &EvalContext<'_>, relation: &Relation, text: &str, pretty: bool) -> Option<String> {
    let expr = crate::stored::expression(env, relation, text).ok()?;
    with_scope(env.session, |scope| {
        let shown = Some(Shown { scope, pretty, format: env.format });
        Deparser::new(env.catalog).over(Some(relation)).shown(shown).expr(&expr).ok()
    })
}

/// `pg_get_expr(expression, relation [, pretty])`; NULL where there is no such relation.
fn get_expr(env: &EvalContext<'_>, _: &CallContext<'_>, args: &[Datum]) -> Result<Datum> {
    let Some(Datum::Text(text)) = args.first() else { return Ok(Datum::Null) };
    let id = arg_oid(args, 1);
    let index = env.catalog.index(id).map(|i| i.relation);
    // 0: of no relation.
    let none = (id == 0).then(|| std::sync::Arc::new(catalog::new_relation(0, "", RelationKind::Virtual)));
    let Some(relation) = env.catalog.relation(index.unwrap_or(id)).or(none.as_ref()) else { return Ok(Datum::Null) };
    // Rules are queries, not expressions.
    if matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView) {
        return Ok(Datum::Text(text.clone()));
    }
    let shown = shown(env, relation, text, is_true(args, 2));
    Ok(shown.map_or_else(|| Datum::Text(text.clone()), Datum::text))
}

/// A definition as a datum: NULL for what is not there.
fn tell(env: &EvalContext<'_>, pretty: bool, f: impl FnOnce(&Definitions<'_>) -> Option<String>) -> Datum {
    let prettify = |relation: &Relation, text: &str| shown(env, relation, text, true);
    with_scope(env.session, |scope| {
        let definitions = Definitions { catalog: env.catalog, scope, pretty: pretty.then_some(&prettify) };
        f(&definitions).map_or(Datum::Null, Datum::text)
    })
}

/// How PostgreSQL lays out a view's query.
#[derive(Clone, Copy)]
struct Form {
    pretty: bool,
    /// Characters of a line; 0: a line for each column.
    wrap: i64,
}

const PLAIN: Form = Form { pretty: false, wrap: 0 };

fn pretty(args: &[Datum]) -> Form {
    Form { pretty: is_true(args, 1), wrap: 0 }
}

fn wrapped(args: &[Datum]) -> Form {
    Form { pretty: true, wrap: args.get(1).map_or(0, Datum::as_i64) }
}

/// A view's query with a semicolon, as a reader sees it; None for what is no view. A query that cannot be told any other way is
/// shown as it is kept.
pub(crate) fn view_text(env: &EvalContext<'_>, view: &Relation, pretty: bool, wrap: usize) -> Option<String> {
    let definition = view.view.as_ref()?;
    let mut context = crate::stored::bind_context(env);
    let path = definition.search_path.iter();
    context.search_path =
        path.filter_map(|s| context.catalog.schema_by_name(context.database, s).map(|s| s.id)).collect();
    context.role = view.owner;
    let columns: Vec<String> = view.live_columns().map(|c| c.name.clone()).collect();
    let told = sql::written(&definition.query, &context).and_then(|written| {
        with_scope(env.session, |scope| {
            Deparser::new(env.catalog)
                .shown(Some(Shown { scope, pretty, format: env.format }))
                .view(&written, &columns, wrap)
        })
    });
    let as_kept = || format!(" {}", definition.query.trim().trim_end_matches(';').trim_end());
    Some(told.unwrap_or_else(|_| as_kept()) + ";")
}

/// A rule's texts as a reader sees them; None where they cannot be told any other way than they are kept.
pub(crate) fn rule_texts(env: &EvalContext<'_>, rule: &Rule, relation: &Relation, pretty: bool) -> Option<ToldRule> {
    let relation = env.catalog.relation(relation.id)?;
    let written = sql::written_rule(&RuleTexts::of(rule, relation), &crate::stored::bind_context(env)).ok()?;
    with_scope(env.session, |scope| {
        let deparser = || Deparser::new(env.catalog).shown(Some(Shown { scope, pretty, format: env.format }));
        let condition = written.condition.as_ref().map(|part| deparser().rule_condition(part)).transpose().ok()?;
        let actions = rule.actions.iter().zip(&written.actions).map(|(kept, part)| match part {
            Some(part) => deparser().rule_action(part).ok(),
            None => Some(ToldRule::utility(&kept.text)),
        });
        Some(ToldRule { condition, actions: actions.collect::<Option<_>>()? })
    })
}

fn rule(env: &EvalContext<'_>, id: Oid, form: Form) -> Datum {
    let view = |view: &Relation| view_text(env, view, form.pretty, 0);
    let texts = |rule: &Rule, relation: &Relation| rule_texts(env, rule, relation, form.pretty);
    tell(env, form.pretty, |d| d.rule(id, view, texts))
}

fn view(env: &EvalContext<'_>, id: Oid, form: Form) -> Datum {
    let wrap = usize::try_from(form.wrap).unwrap_or(usize::MAX);
    let text = env.catalog.relation(id).and_then(|relation| view_text(env, relation, form.pretty, wrap));
    text.map_or(Datum::Null, Datum::text)
}

fn view_by_name(env: &EvalContext<'_>, name: &str, form: Form) -> Result<Datum> {
    let id = with_scope(env.session, |scope| names::regclass(env.catalog, scope, name))?;
    Ok(view(env, id, form))
}
