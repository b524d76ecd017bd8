//! From `sql::Expr` to `Node`: functions are looked up, kernels chosen, constant IN lists made sets.

use super::domain::DomainNode;
use super::kernel::Kernel;
use super::{Call, Kind, Node, OperatorCall, SubPlanNode, Target};
use foldhash::HashSet;
use foldhash::HashSetExt;
use sql::expr::{CallForm, Expr, ExprKind, SubPlanKind, Subscript};
use std::sync::Arc;
use types::builtin::{self, Operator, Proc};
use types::key::{self, KeyOrder};
use types::{Datum, Result, SqlError, SqlType, oid};

/// From how many elements a constant `= ANY` is looked up in a set.
const IN_SET_MIN: usize = 9;

pub(super) fn node(expr: &Expr) -> Result<Node> {
    let kind = kind(expr).map_err(|e| e.at(expr.position))?;
    let waits = waits(&kind);
    Ok(Node { kind, ty: expr.ty, waits })
}

fn boxed(expr: &Expr) -> Result<Box<Node>> {
    Ok(Box::new(node(expr)?))
}

fn nodes<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Result<Vec<Node>> {
    exprs.into_iter().map(node).collect()
}

fn kind(expr: &Expr) -> Result<Kind> {
    Ok(match &expr.kind {
        ExprKind::Const(value) => Kind::Const(value.clone()),
        ExprKind::Parameter(n) => Kind::Parameter(usize::from(*n)),
        ExprKind::Input(n) => Kind::Input(*n as usize),
        ExprKind::Outer(n) => Kind::Outer(*n as usize),
        ExprKind::CaseValue => Kind::CaseValue,
        ExprKind::Call { proc, args, variadic_array, form } => call(proc, args, *variadic_array, *form, expr.ty)?,
        ExprKind::Relabel(arg, _) if types::io::is_oid_like(arg.ty.oid) != types::io::is_oid_like(expr.ty.oid) => {
            Kind::Represent(boxed(arg)?)
        }
        ExprKind::Relabel(arg, _) => Kind::Relabel(boxed(arg)?),
        ExprKind::InOut(arg, _) => Kind::InOut(boxed(arg)?),
        ExprKind::ToDomain { arg, domain, .. } => Kind::ToDomain(boxed(arg)?, DomainNode::new(domain)?),
        ExprKind::ArrayCoerce { array, element, .. } => Kind::ArrayCoerce(boxed(array)?, boxed(element)?),
        ExprKind::RowCoerce { row, fields } => Kind::RowCoerce(boxed(row)?, nodes(fields)?),
        ExprKind::And(args) => Kind::And(nodes(args)?),
        ExprKind::Or(args) => Kind::Or(nodes(args)?),
        ExprKind::Not(arg) => Kind::Not(boxed(arg)?),
        ExprKind::IsNull { arg, negated, of_row } => {
            Kind::IsNull { arg: boxed(arg)?, negated: *negated, of_row: *of_row }
        }
        ExprKind::BoolTest { arg, test } => Kind::BoolTest(boxed(arg)?, *test),
        ExprKind::Distinct { equal, left, right, negated } => Kind::Distinct {
            equal: Box::new(operator(equal, left.ty, right.ty)?),
            left: boxed(left)?,
            right: boxed(right)?,
            negated: *negated,
        },
        ExprKind::NullIf { equal, left, right } => Kind::NullIf {
            equal: Box::new(operator(equal, left.ty, right.ty)?),
            left: boxed(left)?,
            right: boxed(right)?,
        },
        ExprKind::Case { operand, branches, otherwise } => Kind::Case {
            operand: operand.as_deref().map(boxed).transpose()?,
            branches: branches.iter().map(|(c, r)| Ok((node(c)?, node(r)?))).collect::<Result<_>>()?,
            otherwise: otherwise.as_deref().map(boxed).transpose()?,
        },
        ExprKind::Coalesce(args) => Kind::Coalesce(nodes(args)?),
        ExprKind::Extremum { greatest, args } => Kind::Extremum(*greatest, nodes(args)?),
        ExprKind::AnyAll { operator: op, left, array, all, .. } => any_all(op, left, array, *all)?,
        ExprKind::Array { elements, nested } => Kind::Array(nodes(elements)?, *nested),
        ExprKind::Row { fields, names } => Kind::Row(nodes(fields)?, names.iter().map(|n| n.as_str().into()).collect()),
        ExprKind::Field { row, index } => Kind::Field(boxed(row)?, *index),
        ExprKind::Subscripts { container, subscripts } => {
            let subscripts = subscripts.iter().map(subscript).collect::<Result<_>>()?;
            Kind::Subscripts(boxed(container)?, subscripts)
        }
        ExprKind::AssignSubscripts { container, subscripts, value } => {
            let subscripts = subscripts.iter().map(subscript).collect::<Result<_>>()?;
            Kind::Assign(boxed(container)?, subscripts, boxed(value)?)
        }
        ExprKind::RowCompare { op, left, right, .. } => {
            Kind::RowCompare { op: *op, left: nodes(left)?, right: nodes(right)? }
        }
        ExprKind::SubPlan(plan) => Kind::SubPlan(Box::new(SubPlanNode {
            parameters: plan.parameters.iter().map(|(slot, e)| Ok((*slot, node(e)?))).collect::<Result<_>>()?,
            comparison: match &plan.kind {
                SubPlanKind::AnyAll { comparison, .. } => Some(node(comparison)?),
                _ => None,
            },
            plan: plan.clone(),
        })),
        ExprKind::DocumentPath { document, path } => Kind::DocumentPath(boxed(document)?, path.clone()),
        ExprKind::DocumentSet { document, path, value } => {
            Kind::DocumentSet(boxed(document)?, path.clone(), boxed(value)?)
        }
        ExprKind::Grouping { set_id, groups } => Kind::Grouping(boxed(set_id)?, groups.clone()),
        ExprKind::Inlined(call) => kind(&call.body)?,
        ExprKind::Column(_) | ExprKind::Subquery(_) | ExprKind::DefaultMarker => {
            return Err(SqlError::internal("a logical expression reached execution"));
        }
    })
}

fn subscript(subscript: &Subscript) -> Result<(Option<Node>, Option<Node>, bool)> {
    Ok(match subscript {
        Subscript::Index(i) => (Some(node(i)?), None, false),
        Subscript::Slice(a, b) => (a.as_ref().map(node).transpose()?, b.as_ref().map(node).transpose()?, true),
    })
}

/// The implementation of a function: a value's, a session's, or one that waits.
pub(super) fn target(proc: &'static Proc) -> Result<Target> {
    if let Some(f) = types::functions::scalar(proc.symbol) {
        return Ok(Target::Scalar(f));
    }
    if let Some(f) = crate::functions::session(proc.symbol) {
        return Ok(Target::Session(f));
    }
    if let Some(f) = crate::functions::waiting(proc.symbol) {
        return Ok(Target::Async(f));
    }
    Err(SqlError::unsupported(format!("function {} is not supported", crate::functions::signature(proc))))
}

fn call(proc: &'static Proc, args: &[Expr], variadic_array: bool, _form: CallForm, result: SqlType) -> Result<Kind> {
    let target = target(proc)?;
    let mut args = nodes(args)?;
    let fixed = proc.args.len();
    // A variadic function of one type takes an array; the binder may have left the items apart.
    let is_loose = proc.variadic != 0 && proc.variadic != oid::ANY && !variadic_array && fixed > 0;
    if is_loose && args.get(fixed - 1).is_none_or(|a| !a.ty.is_array() || args.len() > fixed) {
        let items = args.split_off((fixed - 1).min(args.len()));
        let element = items.first().map_or(SqlType::new(proc.variadic), |i| i.ty);
        let ty = element.array().unwrap_or(SqlType::TEXT_ARRAY);
        let waits = items.iter().any(|i| i.waits);
        args.push(Node { kind: Kind::Array(items, false), ty, waits });
    }
    let arg_types = args.iter().map(|a| a.ty).collect();
    let kernel = Kernel::of(proc.symbol);
    let spread = variadic_array && proc.variadic == oid::ANY;
    Ok(Kind::Call(Box::new(Call { proc, target, args, arg_types, result, kernel, spread })))
}

pub(super) fn operator(operator: &'static Operator, left: SqlType, right: SqlType) -> Result<OperatorCall> {
    let proc = builtin::proc_by_oid(operator.proc)
        .ok_or_else(|| SqlError::internal(format!("operator {} has no function", operator.oid)))?;
    Ok(OperatorCall { target: target(proc)?, strict: proc.strict, arg_types: [left, right] })
}

fn any_all(op: &'static Operator, left: &Expr, array: &Expr, all: bool) -> Result<Kind> {
    if let (ExprKind::Const(Datum::Array(items)), false, "=") = (&array.kind, all, op.name)
        && items.values.len() >= IN_SET_MIN
        && op.left == op.right
    {
        let ty = SqlType::new(items.element);
        let mut set = HashSet::with_capacity(items.values.len());
        for item in items.values.iter().filter(|i| !i.is_null()) {
            let mut bytes = Vec::new();
            key::encode(ty, item, KeyOrder::ASC, &mut bytes);
            set.insert(bytes);
        }
        let has_null = items.values.iter().any(Datum::is_null);
        return Ok(Kind::InSet { left: boxed(left)?, ty, set: Arc::new(set), has_null });
    }
    let element = array.ty.element().unwrap_or(SqlType::UNKNOWN);
    Ok(Kind::AnyAll {
        operator: Box::new(operator(op, left.ty, element)?),
        left: boxed(left)?,
        array: boxed(array)?,
        all,
    })
}

/// Whether evaluation of the kind may have to wait.
pub(super) fn waits(kind: &Kind) -> bool {
    let any = |nodes: &[Node]| nodes.iter().any(|n| n.waits);
    match kind {
        Kind::Const(_) | Kind::Parameter(_) | Kind::Input(_) | Kind::Outer(_) | Kind::CaseValue => false,
        Kind::Call(call) => matches!(call.target, Target::Async(_)) || any(&call.args),
        Kind::Relabel(a)
        | Kind::Represent(a)
        | Kind::InOut(a)
        | Kind::Not(a)
        | Kind::BoolTest(a, _)
        | Kind::ToDomain(a, _)
        | Kind::Field(a, _) => a.waits,
        Kind::DocumentPath(a, _) | Kind::Grouping(a, _) => a.waits,
        Kind::DocumentSet(a, _, b) => a.waits || b.waits,
        Kind::IsNull { arg, .. } => arg.waits,
        Kind::InSet { left, .. } => left.waits,
        Kind::ArrayCoerce(a, b) => a.waits || b.waits,
        Kind::RowCoerce(a, fields) => a.waits || any(fields),
        Kind::And(v) | Kind::Or(v) | Kind::Coalesce(v) | Kind::Extremum(_, v) | Kind::Array(v, _) | Kind::Row(v, _) => {
            any(v)
        }
        Kind::Distinct { left, right, .. } | Kind::NullIf { left, right, .. } => left.waits || right.waits,
        Kind::AnyAll { left, array, .. } => left.waits || array.waits,
        Kind::Case { operand, branches, otherwise } => {
            operand.as_ref().is_some_and(|o| o.waits)
                || branches.iter().any(|(c, r)| c.waits || r.waits)
                || otherwise.as_ref().is_some_and(|o| o.waits)
        }
        Kind::Assign(c, subscripts, value) => {
            let bounds = subscripts.iter().flat_map(|(a, b, _)| [a, b]).flatten();
            c.waits || value.waits || bounds.into_iter().any(|n| n.waits)
        }
        Kind::Subscripts(c, subscripts) => {
            c.waits || subscripts.iter().any(|(a, b, _)| [a, b].into_iter().flatten().any(|n| n.waits))
        }
        Kind::RowCompare { left, right, .. } => any(left) || any(right),
        Kind::SubPlan(_) => true,
    }
}
