//! Which parentheses the pretty form leaves out, by PostgreSQL's rules.

use crate::expr::{CallForm, Expr, ExprKind};

/// Whether an operand of `parent` needs no parentheses.
pub(super) fn is_simple(expr: &Expr, parent: &Expr) -> bool {
    use ExprKind::*;
    match &expr.kind {
        Relabel(arg, _) | InOut(arg, _) => is_simple(arg, expr),
        ArrayCoerce { array, .. } => is_simple(array, expr),
        ToDomain { arg, .. } => is_simple(arg, expr),
        _ if is_operation(expr) => match as_arithmetic(parent) {
            _ if matches!(parent.kind, And(_) | Or(_) | Not(_)) => true,
            _ if !is_operation(parent) => is_delimited(parent),
            Some((outer, [left, _])) => match as_arithmetic(expr) {
                Some((inner, _)) if inner == outer => std::ptr::eq(expr, left),
                Some((inner, _)) => inner > outer,
                None => false,
            },
            _ => false,
        },
        IsNull { .. } | BoolTest { .. } | Distinct { .. } | Subquery(_) => {
            matches!(parent.kind, And(_) | Or(_) | Not(_)) || is_delimited(parent)
        }
        And(_) | Not(_) => matches!(parent.kind, And(_) | Or(_)) || is_delimited(parent),
        Or(_) => matches!(parent.kind, Or(_)) || is_delimited(parent),
        Field { .. } => !matches!(parent.kind, Field { .. }),
        AnyAll { .. } | RowCompare { .. } => false,
        _ => true,
    }
}

/// Whether it was written with an operator.
fn is_operation(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Call { form, .. } => matches!(form, CallForm::Operator(_)),
        ExprKind::Inlined(call) => call.operator.is_some(),
        _ => false,
    }
}

/// Whether what stands in this expression has commas, brackets or words around it.
fn is_delimited(parent: &Expr) -> bool {
    use ExprKind::*;
    match &parent.kind {
        Call { form, .. } => matches!(form, CallForm::Function),
        Inlined(call) => call.operator.is_none(),
        Subscripts { .. } | Array { .. } | Row { .. } | Coalesce(_) | Extremum { .. } | NullIf { .. } | Case { .. } => {
            true
        }
        _ => false,
    }
}

/// The rank of `+ -` (1) and `* / %` (2), with the operands.
fn as_arithmetic(expr: &Expr) -> Option<(u8, &[Expr; 2])> {
    let ExprKind::Call { args, form: CallForm::Operator(operator), .. } = &expr.kind else { return None };
    let rank = match operator.name {
        "+" | "-" => 1,
        "*" | "/" | "%" => 2,
        _ => return None,
    };
    Some((rank, args.as_slice().try_into().ok()?))
}
