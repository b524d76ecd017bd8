//! Evaluation of one row where something in the expression waits: a subplan, `nextval`, `pg_sleep`.
//!
//! Nodes below which nothing waits are evaluated by `row`; the others cost a boxed future each.

use super::row::is_true;
use super::{EvalContext, Kind, Node, RowRef, SubPlanNode, Target};
use crate::context::BoxFuture;
use crate::run::Run;
use sql::expr::SubPlanKind;
use std::sync::Arc;
use types::array::Array;
use types::{Datum, Record, Result, SqlError};

/// Who evaluates: a running plan, which has subplans, or a direct plan, which has none.
pub(crate) enum Scope<'a> {
    Run(&'a mut Run),
    Direct(EvalContext<'a>),
}

impl Scope<'_> {
    pub fn env(&self) -> EvalContext<'_> {
        match self {
            Scope::Run(run) => run.env(),
            Scope::Direct(context) => *context,
        }
    }
    fn again(&mut self) -> Scope<'_> {
        match self {
            Scope::Run(run) => Scope::Run(run),
            Scope::Direct(context) => Scope::Direct(*context),
        }
    }
}

impl Node {
    pub(crate) fn eval_waiting<'a>(
        &'a self,
        scope: Scope<'a>,
        row: &'a [Datum],
        case: &'a Datum,
    ) -> BoxFuture<'a, Result<Datum>> {
        Box::pin(self.eval_inner(scope, row, case))
    }

    async fn eval_child(&self, scope: &mut Scope<'_>, row: &[Datum], case: &Datum) -> Result<Datum> {
        match self.waits {
            false => self.eval(&scope.env(), RowRef::Datums(row), case),
            true => self.eval_waiting(scope.again(), row, case).await,
        }
    }

    async fn eval_inner(&self, mut scope: Scope<'_>, row: &[Datum], case: &Datum) -> Result<Datum> {
        if !self.waits {
            return self.eval(&scope.env(), RowRef::Datums(row), case);
        }
        match &self.kind {
            Kind::And(args) | Kind::Or(args) => {
                let stop = matches!(self.kind, Kind::Or(_));
                let mut null = false;
                for arg in args {
                    match arg.eval_child(&mut scope, row, case).await? {
                        Datum::Bool(value) if value == stop => return Ok(Datum::Bool(stop)),
                        Datum::Bool(_) => {}
                        _ => null = true,
                    }
                }
                Ok(if null { Datum::Null } else { Datum::Bool(!stop) })
            }
            Kind::Case { operand, branches, otherwise } => {
                let operand = match operand {
                    Some(operand) => operand.eval_child(&mut scope, row, case).await?,
                    None => case.clone(),
                };
                for (condition, result) in branches {
                    if is_true(&condition.eval_child(&mut scope, row, &operand).await?) {
                        return result.eval_child(&mut scope, row, case).await;
                    }
                }
                match otherwise {
                    Some(otherwise) => otherwise.eval_child(&mut scope, row, case).await,
                    None => Ok(Datum::Null),
                }
            }
            Kind::Coalesce(args) => {
                for arg in args {
                    let value = arg.eval_child(&mut scope, row, case).await?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Datum::Null)
            }
            Kind::ArrayCoerce(array, element) => {
                let Datum::Array(array) = array.eval_child(&mut scope, row, case).await? else {
                    return Ok(Datum::Null);
                };
                let mut values = Vec::with_capacity(array.values.len());
                for item in &array.values {
                    values.push(element.eval_child(&mut scope, row, item).await?);
                }
                Ok(Datum::Array(Arc::new(Array { element: element.ty.oid, dims: array.dims.clone(), values })))
            }
            Kind::RowCoerce(record, fields) => {
                let Datum::Record(record) = record.eval_child(&mut scope, row, case).await? else {
                    return Ok(Datum::Null);
                };
                let mut values = Vec::with_capacity(fields.len());
                for (field, value) in fields.iter().zip(&record.values) {
                    values.push(field.eval_child(&mut scope, row, value).await?);
                }
                let types = fields.iter().map(|f| f.ty).collect();
                Ok(Datum::Record(Arc::new(Record { types, names: record.names.clone(), values })))
            }
            Kind::SubPlan(node) => match scope {
                Scope::Run(run) => subplan(node, run, row, case, self).await,
                Scope::Direct(_) => Err(SqlError::internal("a subplan in a direct plan")),
            },
            _ => {
                let mut args = Vec::new();
                for child in self.strict_children() {
                    args.push(match child {
                        Some(child) => child.eval_child(&mut scope, row, case).await?,
                        None => Datum::Null,
                    });
                }
                if let Kind::Call(call) = &self.kind
                    && let Target::Async(function) = call.target
                {
                    if call.proc.strict && args.iter().any(Datum::is_null) {
                        return Ok(Datum::Null);
                    }
                    return function(scope.env(), args).await;
                }
                self.apply(&scope.env(), &args)
            }
        }
    }
}

/// Runs (or remembers) a subplan and makes its value.
async fn subplan(node: &SubPlanNode, run: &mut Run, row: &[Datum], case: &Datum, of: &Node) -> Result<Datum> {
    for (slot, expr) in &node.parameters {
        let value = expr.eval_child(&mut Scope::Run(run), row, case).await?;
        run.set_outer(*slot, value);
    }
    match &node.plan.kind {
        SubPlanKind::Exists => Ok(Datum::Bool(!run.subplan_rows(node.plan.index, 1).await?.is_empty())),
        SubPlanKind::Scalar | SubPlanKind::Row => {
            let rows = run.subplan_rows(node.plan.index, 2).await?;
            if rows.len() > 1 {
                return Err(SqlError::new(
                    types::SqlState::CARDINALITY_VIOLATION,
                    "more than one row returned by a subquery used as an expression",
                ));
            }
            let Some(first) = rows.first() else { return Ok(Datum::Null) };
            match node.plan.kind {
                SubPlanKind::Scalar => Ok(first.first().cloned().unwrap_or_default()),
                _ => Ok(Datum::Record(Arc::new(Record {
                    types: run.subplan_types(node.plan.index),
                    names: vec![],
                    values: first.clone(),
                }))),
            }
        }
        SubPlanKind::Array => {
            let rows = run.subplan_rows(node.plan.index, usize::MAX).await?;
            let values: Vec<Datum> = rows.iter().map(|r| r.first().cloned().unwrap_or_default()).collect();
            // ARRAY(SELECT array) makes a further dimension.
            let nested = run.subplan_types(node.plan.index).first().is_some_and(|t| t.oid == of.ty.oid);
            super::row::make_array(of.ty, nested, &values)
        }
        SubPlanKind::AnyAll { columns, all, .. } => {
            let Some(comparison) = &node.comparison else { return Ok(Datum::Null) };
            let rows = run.subplan_rows(node.plan.index, usize::MAX).await?;
            let mut null = false;
            for values in rows.iter() {
                for (slot, value) in columns.iter().zip(values) {
                    run.set_outer(*slot, value.clone());
                }
                match comparison.eval_child(&mut Scope::Run(run), row, case).await? {
                    Datum::Bool(value) if value != *all => return Ok(Datum::Bool(!all)),
                    Datum::Bool(_) => {}
                    _ => null = true,
                }
            }
            Ok(if null { Datum::Null } else { Datum::Bool(*all) })
        }
    }
}
