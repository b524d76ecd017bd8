//! Subplans that have run for good become constants, and what waited for them is evaluated a batch at a time.
//!
//! A subplan that reads nothing of an enclosing row runs once, when (and only if) some row asks for it, as PostgreSQL's
//! InitPlans do. From then on `x > (SELECT …)` is a comparison with a constant, and `x IN (SELECT …)` a look-up in a set.

use super::compile::waits;
use super::{Kind, Node, SubPlanNode};
use crate::run::Run;
use crate::subplan::Rows;
use foldhash::{HashSet, HashSetExt};
use sql::expr::{CallForm, ExprKind, SubPlanKind};
use std::sync::Arc;
use types::key::{self, KeyOrder};
use types::{Datum, SqlType};

/// Values of a subplan's one column, encoded, and whether a NULL is among them.
pub(crate) type ValueSet = (Arc<HashSet<Vec<u8>>>, bool);

impl Node {
    /// The expression with constants for its subplans; None while something in it still waits.
    pub(super) fn settled(&self, run: &mut Run) -> Option<Node> {
        let mut node = self.clone();
        node.settle(run);
        (!node.waits).then_some(node)
    }

    fn settle(&mut self, run: &mut Run) {
        if !self.waits {
            return;
        }
        if let Kind::SubPlan(plan) = &self.kind {
            if let Some(kind) = constant(plan, self.ty, run) {
                self.kind = kind;
                self.waits = waits(&self.kind);
            }
            return;
        }
        for child in self.children_mut() {
            child.settle(run);
        }
        self.waits = waits(&self.kind);
    }

    fn children_mut(&mut self) -> Vec<&mut Node> {
        match &mut self.kind {
            Kind::Const(_)
            | Kind::Parameter(_)
            | Kind::Input(_)
            | Kind::Outer(_)
            | Kind::CaseValue
            | Kind::SubPlan(_) => vec![],
            Kind::Call(call) => call.args.iter_mut().collect(),
            Kind::Relabel(a)
            | Kind::Represent(a)
            | Kind::InOut(a)
            | Kind::Not(a)
            | Kind::BoolTest(a, _)
            | Kind::ToDomain(a, _)
            | Kind::Field(a, _)
            | Kind::DocumentPath(a, _)
            | Kind::Grouping(a, _)
            | Kind::IsNull { arg: a, .. }
            | Kind::InSet { left: a, .. } => vec![a],
            Kind::ArrayCoerce(a, b) | Kind::DocumentSet(a, _, b) => vec![a, b],
            Kind::RowCoerce(a, fields) => std::iter::once(&mut **a).chain(fields).collect(),
            Kind::And(v)
            | Kind::Or(v)
            | Kind::Coalesce(v)
            | Kind::Extremum(_, v)
            | Kind::Array(v, _)
            | Kind::Row(v, _) => v.iter_mut().collect(),
            Kind::Distinct { left, right, .. }
            | Kind::NullIf { left, right, .. }
            | Kind::AnyAll { left, array: right, .. } => vec![left, right],
            Kind::Case { operand, branches, otherwise } => operand
                .iter_mut()
                .map(|o| &mut **o)
                .chain(branches.iter_mut().flat_map(|(c, r)| [c, r]))
                .chain(otherwise.iter_mut().map(|o| &mut **o))
                .collect(),
            Kind::Subscripts(c, subscripts) => std::iter::once(&mut **c)
                .chain(subscripts.iter_mut().flat_map(|(a, b, _)| a.iter_mut().chain(b)))
                .collect(),
            Kind::Assign(c, subscripts, value) => std::iter::once(&mut **c)
                .chain(subscripts.iter_mut().flat_map(|(a, b, _)| a.iter_mut().chain(b)))
                .chain(std::iter::once(&mut **value))
                .collect(),
            Kind::RowCompare { left, right, .. } => left.iter_mut().chain(right).collect(),
        }
    }
}

fn constant(node: &SubPlanNode, ty: SqlType, run: &mut Run) -> Option<Kind> {
    if !node.parameters.is_empty() {
        return None;
    }
    let index = node.plan.index;
    let (rows, is_complete) = run.subplans.get(index)?.known()?;
    match &node.plan.kind {
        SubPlanKind::Exists => Some(Kind::Const(Datum::Bool(!rows.is_empty()))),
        // More than one row is an error, and stays one.
        SubPlanKind::Scalar if rows.len() <= 1 => {
            Some(Kind::Const(rows.first().and_then(|r| r.first()).cloned().unwrap_or_default()))
        }
        SubPlanKind::Array if is_complete => {
            let values: Vec<Datum> = rows.iter().map(|r| r.first().cloned().unwrap_or_default()).collect();
            let nested = run.subplan_types(index).first().is_some_and(|t| t.oid == ty.oid);
            super::row::make_array(ty, nested, &values).ok().map(Kind::Const)
        }
        SubPlanKind::AnyAll { .. } if is_complete => any_all(node, ty, run, &rows),
        _ => None,
    }
}

/// `x = ANY (subplan)` and `x <> ALL (subplan)`.
fn any_all(node: &SubPlanNode, ty: SqlType, run: &mut Run, rows: &Rows) -> Option<Kind> {
    let SubPlanKind::AnyAll { comparison, columns, all } = &node.plan.kind else { return None };
    let ExprKind::Call { args, form: CallForm::Operator(operator), .. } = &comparison.kind else { return None };
    let ([left, right], [column]) = (&args[..], &columns[..]) else { return None };
    let is_column = matches!(right.kind, ExprKind::Outer(slot) if slot == *column);
    let is_equality = matches!((operator.name, all), ("=", false) | ("<>", true));
    if !is_column || !is_equality || operator.left != operator.right || left.ty.oid != right.ty.oid {
        return None;
    }
    if left.ty.oid != operator.left {
        return None;
    }
    if rows.is_empty() {
        return Some(Kind::Const(Datum::Bool(*all)));
    }
    let Some(Kind::Call(call)) = node.comparison.as_ref().map(|c| &c.kind) else { return None };
    let compared = call.args.first()?.clone();
    let value_type = left.ty;
    let state = run.subplans.get_mut(node.plan.index)?;
    let (set, has_null) = state.set.get_or_insert_with(|| value_set(rows, value_type)).clone();
    let found = Kind::InSet { left: Box::new(compared), ty: value_type, set, has_null };
    Some(match all {
        false => found,
        true => {
            let waits = waits(&found);
            Kind::Not(Box::new(Node { kind: found, ty, waits }))
        }
    })
}

fn value_set(rows: &Rows, ty: SqlType) -> ValueSet {
    let mut set = HashSet::with_capacity(rows.len());
    let mut has_null = false;
    for value in rows.iter().filter_map(|row| row.first()) {
        if value.is_null() {
            has_null = true;
            continue;
        }
        let mut bytes = Vec::new();
        key::encode(ty, value, KeyOrder::ASC, &mut bytes);
        set.insert(bytes);
    }
    (Arc::new(set), has_null)
}
