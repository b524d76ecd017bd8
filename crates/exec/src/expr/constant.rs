//! Constant folding, for the planner through a function pointer.

use super::{EvalContext, Node, Program, RowRef, Target};
use sql::expr::{Expr, ExprKind};
use types::Datum;
use types::builtin::Volatility;

/// The value of an expression of constants and immutable functions; None where it must wait for execution, and where
/// evaluating it fails (the error then comes when, and only if, the row is reached).
pub fn fold(expr: &Expr, context: &EvalContext<'_>) -> Option<Datum> {
    if !is_foldable(expr) {
        return None;
    }
    let program = Program::compile(expr).ok()?;
    if program.waits() || calls_session(&program.node) {
        return None;
    }
    program.eval_row(context, RowRef::None).ok()
}

/// Nothing below reads a row, a parameter, the session or the clock.
fn is_foldable(expr: &Expr) -> bool {
    !expr.any(&mut |e| match &e.kind {
        ExprKind::Call { proc, .. } => proc.volatility != Volatility::Immutable || proc.returns_set,
        ExprKind::Parameter(_)
        | ExprKind::Column(_)
        | ExprKind::Input(_)
        | ExprKind::Outer(_)
        | ExprKind::Subquery(_)
        | ExprKind::SubPlan(_)
        | ExprKind::DocumentPath { .. }
        | ExprKind::DocumentSet { .. }
        | ExprKind::Grouping { .. }
        | ExprKind::DefaultMarker
        // Casts through text may depend on settings or the catalog.
        | ExprKind::InOut(..) => true,
        _ => false,
    })
}

fn calls_session(node: &Node) -> bool {
    let here = matches!(&node.kind, super::Kind::Call(call) if !matches!(call.target, Target::Scalar(_)));
    here || node.strict_children().into_iter().flatten().any(calls_session)
}
