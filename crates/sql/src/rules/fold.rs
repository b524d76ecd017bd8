//! Constants: what can be computed now is, and boolean operators lose the arguments that do not matter.
//!
//! An expression that would raise an error stays as it is: the error comes when, and only if, a row reaches it. A filter
//! that nothing passes becomes an empty relation.

use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::Node;
use crate::plan::columns::{self, children_mut, expressions_mut, is_volatile, outputs};
use crate::plan::{as_operator, same};
use types::builtin::Volatility;
use types::{Datum, SqlType, oid};

/// Evaluates an expression of constants; None where that fails.
type Evaluate<'a> = Option<&'a dyn Fn(&Expr) -> Option<Datum>>;

/// What is known of an expression's value.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    Constant,
    /// Constant but for the operand of the CASE (or the element of the cast) around it.
    WithinCase,
    No,
}

pub(super) fn apply(node: &mut Node, evaluate: Evaluate) {
    for expr in expressions_mut(node) {
        expression(expr, evaluate);
    }
    children_mut(node).into_iter().for_each(|child| apply(child, evaluate));
    if let Node::Filter { predicate, .. } = node {
        let never = |e: &Expr| matches!(e.kind, ExprKind::Const(Datum::Bool(false) | Datum::Null));
        if predicate.iter().any(never) {
            *node = Node::Values { rows: vec![], columns: outputs(node) };
        } else {
            let mut parts = vec![];
            std::mem::take(predicate).into_iter().for_each(|e| columns::conjuncts(e, &mut parts));
            *predicate = parts;
        }
    }
}

/// Folds `expr` in place.
pub(super) fn expression(expr: &mut Expr, evaluate: Evaluate) {
    fold(expr, evaluate);
}

fn fold(expr: &mut Expr, evaluate: Evaluate) -> Known {
    let mut known = Known::Constant;
    let reads_own = own_readers(expr);
    for (at, child) in expr.children_mut().into_iter().enumerate() {
        known = match (fold(child, evaluate), known) {
            (Known::Constant, known) => known,
            (Known::WithinCase, known) if reads_own.contains(&at) => known,
            (Known::WithinCase, Known::Constant) => Known::WithinCase,
            (Known::WithinCase, known) => known,
            (Known::No, _) => Known::No,
        };
    }
    if let ExprKind::Subquery(subquery) = &mut expr.kind {
        apply(&mut subquery.plan, evaluate);
    }
    simplify(expr);
    if let ExprKind::AnyAll { array, is_in_list: true, .. } = &mut expr.kind
        && !matches!(array.kind, ExprKind::Const(_))
    {
        fold(array, evaluate);
    }
    match &expr.kind {
        ExprKind::Const(_) => Known::Constant,
        ExprKind::CaseValue => Known::WithinCase,
        _ if !is_foldable(expr) => Known::No,
        _ if known == Known::Constant => match evaluate.and_then(|evaluate| evaluate(expr)) {
            Some(value) => {
                expr.kind = ExprKind::Const(value);
                Known::Constant
            }
            None => Known::No,
        },
        _ => known,
    }
}

/// Which children read `CaseValue` as this node sets it: the conditions of a simple CASE, a cast's element.
fn own_readers(expr: &Expr) -> Vec<usize> {
    match &expr.kind {
        ExprKind::Case { operand: Some(_), branches, .. } => (0..branches.len()).map(|n| 2 * n + 1).collect(),
        ExprKind::ArrayCoerce { .. } => vec![1],
        _ => vec![],
    }
}

/// Whether the node itself, with constant children, is one value for ever.
fn is_foldable(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Call { proc, .. } => proc.volatility == Volatility::Immutable && !proc.returns_set,
        ExprKind::Parameter(_)
        | ExprKind::Column(_)
        | ExprKind::Input(_)
        | ExprKind::Outer(_)
        | ExprKind::Subquery(_)
        | ExprKind::SubPlan(_)
        | ExprKind::InOut(..)
        | ExprKind::ToDomain { .. }
        | ExprKind::Row { .. }
        | ExprKind::RowCoerce { .. }
        | ExprKind::DocumentPath { .. }
        | ExprKind::DocumentSet { .. }
        | ExprKind::Grouping { .. }
        | ExprKind::DefaultMarker => false,
        _ => true,
    }
}

fn boolean(value: bool) -> ExprKind {
    ExprKind::Const(Datum::Bool(value))
}

fn simplify(expr: &mut Expr) {
    let is = |e: &Expr, value: bool| matches!(e.kind, ExprKind::Const(Datum::Bool(v)) if v == value);
    match &mut expr.kind {
        ExprKind::And(parts) | ExprKind::Or(parts) if parts.is_empty() => {}
        ExprKind::And(parts) => match parts.iter().any(|e| is(e, false)) {
            true => expr.kind = boolean(false),
            false => {
                parts.retain(|e| !is(e, true));
                collapse(expr, true);
            }
        },
        ExprKind::Or(parts) => match parts.iter().any(|e| is(e, true)) {
            true => expr.kind = boolean(true),
            false => {
                parts.retain(|e| !is(e, false));
                match one_of(parts).or_else(|| factored(parts)) {
                    Some(kind) => expr.kind = kind,
                    None => collapse(expr, false),
                }
            }
        },
        ExprKind::Call { args, form: CallForm::Operator(operator), .. }
            if operator.name == "=" && args.iter().all(|e| e.ty.oid == oid::BOOL) =>
        {
            if let Some(at) = args.iter().position(|e| is(e, true) || is(e, false)) {
                let wanted = is(&args.swap_remove(at), true);
                if let Some(other) = args.pop() {
                    let position = expr.position;
                    *expr = match wanted {
                        true => other,
                        false => Expr::new(ExprKind::Not(Box::new(other)), SqlType::BOOL, position),
                    };
                }
            }
        }
        ExprKind::Case { operand: None, branches, otherwise } => {
            branches
                .retain(|(condition, _)| !matches!(condition.kind, ExprKind::Const(Datum::Bool(false) | Datum::Null)));
            if let Some(at) = branches.iter().position(|(condition, _)| is(condition, true)) {
                let (_, value) = branches.swap_remove(at);
                branches.truncate(at);
                *otherwise = Some(Box::new(value));
            }
            if branches.is_empty() {
                *expr = match otherwise.take() {
                    Some(value) => *value,
                    None => Expr::new(ExprKind::Const(Datum::Null), expr.ty, expr.position),
                };
            }
        }
        ExprKind::Coalesce(args) => {
            args.retain(|e| !matches!(e.kind, ExprKind::Const(Datum::Null)));
            match args.first().map(|e| &e.kind) {
                None => expr.kind = ExprKind::Const(Datum::Null),
                Some(ExprKind::Const(_)) => {
                    let first = args.swap_remove(0);
                    expr.kind = first.kind;
                }
                Some(_) => {}
            }
        }
        ExprKind::Call { proc, args, .. }
            if proc.strict
                && !proc.returns_set
                // The items of a loose VARIADIC list are one array's, which is not NULL.
                && proc.variadic == 0
                && args.iter().any(|e| matches!(e.kind, ExprKind::Const(Datum::Null))) =>
        {
            expr.kind = ExprKind::Const(Datum::Null);
        }
        _ => {}
    }
}

/// `x = 1 OR x = 2` is `x = ANY (ARRAY[1, 2])`, for which an index can be asked.
fn one_of(parts: &[Expr]) -> Option<ExprKind> {
    let (operator, left, first) = as_operator(parts.first()?).filter(|(o, ..)| o.name == "=")?;
    let is_value = |e: &Expr| matches!(e.kind, ExprKind::Const(_) | ExprKind::Parameter(_));
    let array = first.ty.array()?;
    let mut elements = vec![];
    for part in parts {
        let (o, l, value) = as_operator(part)?;
        if o.oid != operator.oid || !same(l, left) || !is_value(value) || value.ty.oid != first.ty.oid {
            return None;
        }
        elements.push(value.clone());
    }
    if elements.len() < 2 || is_volatile(left) {
        return None;
    }
    let array = Expr::new(ExprKind::Array { elements, nested: false }, array, 0);
    let left = Box::new(left.clone());
    Some(ExprKind::AnyAll { operator, left, array: Box::new(array), all: false, is_in_list: true })
}

/// `(a AND b) OR (a AND c)` is `a AND (b OR c)`, so that what all branches ask can be pushed down or joined by.
fn factored(parts: &[Expr]) -> Option<ExprKind> {
    if parts.len() < 2 || parts.iter().any(is_volatile) {
        return None;
    }
    let terms = |e: &Expr| match &e.kind {
        ExprKind::And(terms) => terms.clone(),
        _ => vec![e.clone()],
    };
    let mut branches: Vec<Vec<Expr>> = parts.iter().map(terms).collect();
    let is_in_all = |term: &Expr| branches.iter().all(|branch| branch.iter().any(|t| same(t, term)));
    let mut common: Vec<Expr> = branches.first()?.iter().filter(|t| is_in_all(t)).cloned().collect();
    if common.is_empty() {
        return None;
    }
    for branch in &mut branches {
        branch.retain(|t| !common.iter().any(|c| same(c, t)));
    }
    // A branch that asks nothing more makes the others idle.
    if !branches.iter().any(Vec::is_empty) {
        let rest = branches.into_iter().filter_map(columns::conjunction).collect();
        common.push(Expr::new(ExprKind::Or(rest), SqlType::BOOL, 0));
    }
    match common.len() {
        1 => common.pop().map(|e| e.kind),
        _ => Some(ExprKind::And(common)),
    }
}

/// AND and OR of one argument are it; of none, their neutral value.
fn collapse(expr: &mut Expr, neutral: bool) {
    let (ExprKind::And(parts) | ExprKind::Or(parts)) = &mut expr.kind else { return };
    match parts.len() {
        0 => *expr = Expr::new(boolean(neutral), SqlType::BOOL, expr.position),
        1 => {
            if let Some(only) = parts.pop() {
                *expr = only;
            }
        }
        _ => {}
    }
}
