//! Expressions that the catalog keeps as text (defaults, checks, index keys, predicates), bound for a row: attribute n is
//! `Input(n - 1)`, an open collection's undeclared part the one behind them. For what has no plan to take them from: cascades, filling an index, rewriting a relation.

use crate::expr::{EvalContext, Program, Scope, in_out};
use catalog::{ConstraintKind, IndexSource, Relation};
use sql::expr::{Expr, ExprKind};
use sql::logical::ScanColumn;
use sql::physical::{PlanIndex, PlanTarget};
use sql::{BindContext, parse_bind_expr};
use std::sync::Arc;
use types::{CallContext, Datum, Result, SqlType, builtin, cast};

/// Binds stored text. Names in it are qualified where a search path decided them.
pub(crate) fn expression(env: &EvalContext<'_>, relation: &Relation, text: &str) -> Result<Expr> {
    let context = bind_context(env);
    let mut expr = parse_bind_expr(text, relation, &context)?;
    expr.rewrite(&mut |e| {
        if let ExprKind::Column(column) = &e.kind {
            e.kind = ExprKind::Input(column.0);
        }
    });
    Ok(expr)
}

/// What names are looked up against for the session.
pub(crate) fn bind_context(env: &EvalContext<'_>) -> BindContext {
    BindContext {
        catalog: env.catalog.clone(),
        database: env.session.database(),
        search_path: env.session.search_path(),
        creation_schema: None,
        temporary_schema: env.session.temporary_schema(),
        role: env.session.current_user(),
        session_role: env.session.session_user(),
        format: Arc::new(env.format.clone()),
        standard_conforming_strings: true,
        is_implemented: crate::functions::is_implemented,
    }
}

/// For each of a view's columns whether a value can be given to it; None: the view is not updatable.
pub(crate) fn updatable_columns(env: &EvalContext<'_>, view: &Arc<Relation>) -> Option<Vec<bool>> {
    sql::updatable_columns(view, &bind_context(env))
}

/// The value of a stored expression without columns, as a column's type.
pub(crate) async fn evaluate(env: &EvalContext<'_>, relation: &Relation, text: &str, ty: SqlType) -> Result<Datum> {
    let program = Program::compile(&expression(env, relation, text)?)?;
    let value = program.node.eval_waiting(Scope::Direct(*env), &[], &Datum::Null).await?;
    convert(env, &value, program.ty(), ty)
}

/// A value of another type, by the cast function between the two or else through text.
pub(crate) fn convert(env: &EvalContext<'_>, value: &Datum, from: SqlType, to: SqlType) -> Result<Datum> {
    if value.is_null() || from.oid == to.oid {
        return Ok(value.clone());
    }
    if let Some(found) = builtin::cast(from.oid, to.oid) {
        match (found.method, builtin::proc_by_oid(found.function)) {
            (builtin::CastMethod::Binary, _) => return Ok(cast::relabel(to, value.clone())),
            (builtin::CastMethod::Function, Some(proc)) if proc.args.len() == 1 => {
                if let Some(function) = types::functions::scalar(proc.symbol) {
                    let call = CallContext { format: env.format, arg_types: &[from], result_type: to };
                    return function(&call, std::slice::from_ref(value)).map(|result| cast::relabel(to, result));
                }
            }
            _ => {}
        }
    }
    in_out(env, from, to, value)
}

/// An index's keys and predicate over its relation's row.
pub(crate) fn index(env: &EvalContext<'_>, relation: &Relation, index: &Arc<catalog::Index>) -> Result<PlanIndex> {
    let keys = index
        .columns
        .iter()
        .map(|column| match &column.source {
            IndexSource::Column(a) => Ok(Expr::input((*a as u32).wrapping_sub(1), column.ty.into())),
            IndexSource::Expression(text) => expression(env, relation, text),
        })
        .collect::<Result<_>>()?;
    let predicate = index.predicate.as_ref().map(|text| expression(env, relation, text)).transpose()?;
    Ok(PlanIndex { index: index.clone(), keys, predicate })
}

/// A relation as a write's target, without its foreign keys. `only_deletes`: what checks and computes rows is left out.
pub(crate) fn target(env: &EvalContext<'_>, relation: &Arc<Relation>, only_deletes: bool) -> Result<PlanTarget> {
    let mut target = PlanTarget {
        relation: relation.clone(),
        hidden: vec![],
        indexes: env.catalog.indexes_of(relation).map(|i| index(env, relation, i)).collect::<Result<_>>()?,
        checks: vec![],
        view_checks: vec![],
        generated: vec![],
        references: vec![],
        referenced_by: vec![],
    };
    if only_deletes {
        hide(&mut target);
        return Ok(target);
    }
    for constraint in &relation.constraints {
        if let ConstraintKind::Check { expression: text, .. } = &constraint.kind {
            target.checks.push((constraint.name.clone(), expression(env, relation, text)?));
        }
    }
    target.checks.sort_by(|a, b| a.0.cmp(&b.0));
    for column in relation.columns.iter().filter(|c| c.is_generated && !c.is_dropped) {
        if let Some(text) = &column.default {
            target.generated.push((column.number, expression(env, relation, text)?));
        }
    }
    hide(&mut target);
    Ok(target)
}

/// Lets the target's expressions have the undeclared part of a document, if they read it.
pub(crate) fn hide(target: &mut PlanTarget) {
    let width = target.relation.columns.len();
    let is_tail = |e: &Expr| e.any(&mut |n| matches!(n.kind, ExprKind::Input(position) if position as usize >= width));
    let indexes = target.indexes.iter().flat_map(|i| i.keys.iter().chain(&i.predicate));
    let checks = target.checks.iter().map(|(_, e)| e);
    let mut exprs = indexes.chain(checks).chain(target.generated.iter().map(|(_, e)| e));
    target.hidden = if exprs.any(is_tail) { vec![ScanColumn::Tail] } else { vec![] };
}
