//! Set-returning functions in a select list, in ORDER BY and in GROUP BY.
//!
//! Each call becomes a column that a ProjectSet below the select list makes; calls inside another's arguments are made by a
//! ProjectSet further down. All of one ProjectSet run in lockstep, so all calls of a level go into one.

use super::scope::Scope;
use super::{Binder, group, volatility};
use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, Node};
use crate::tree::Made;
use types::builtin::Volatility;
use types::{Result, SqlError};

#[derive(Clone, Debug)]
pub(super) struct SetCall {
    pub(super) output: ColumnId,
    pub(super) call: Expr,
    /// 1 where no argument comes from another set.
    level: usize,
}

pub(super) const MOVE_TO_LATERAL: &str =
    "You might be able to move the set-returning function into a LATERAL FROM item.";

impl Binder<'_> {
    /// A call that returns a set, as the column that its rows come in.
    pub(super) fn set_returning(&mut self, call: Expr, position: u32) -> Result<Expr> {
        let clause = self.scope()?.clause;
        if !clause.takes_sets() {
            let message = format!("set-returning functions are not allowed in {}", clause.window_place());
            return Err(SqlError::unsupported(message).at(position));
        }
        if let Some(construct) = self.lazy_in {
            let message = format!("set-returning functions are not allowed in {construct}");
            return Err(SqlError::unsupported(message).hint(MOVE_TO_LATERAL).at(position));
        }
        let scope = self.scope()?;
        let known = scope.set_calls.iter().find(|s| group::same(&s.call, &call));
        if let Some(known) = known.filter(|_| arguments_are_stable(&call)) {
            return Ok(Expr { position, ..Expr::column(known.output, call.ty) });
        }
        let level = 1 + scope.set_calls.iter().filter(|s| reads(&call, s.output)).map(|s| s.level).max().unwrap_or(0);
        let ty = call.ty;
        let output = self.new_column("set", ty, 0, 0);
        if let ExprKind::Call { proc, args, .. } = &call.kind {
            let fields = self.out_columns(proc, args)?;
            if fields.len() > 1 {
                self.records.push((output, fields));
            }
        }
        self.record_made(output, || Made::Set(call.clone()));
        self.scope()?.set_calls.push(SetCall { output, call, level });
        Ok(Expr { position, ..Expr::column(output, ty) })
    }
}

fn arguments_are_stable(call: &Expr) -> bool {
    call.children().into_iter().all(|arg| volatility(arg) != Volatility::Volatile)
}

fn reads(expr: &Expr, column: ColumnId) -> bool {
    expr.any(&mut |e| matches!(e.kind, ExprKind::Column(id) if id == column))
}

/// Whether the expression reads a set's column of this query.
pub(super) fn set_in(scope: &Scope, expr: &Expr) -> bool {
    scope.set_calls.iter().any(|s| reads(expr, s.output))
}

/// `input` with these calls' columns, level by level.
pub(super) fn expanded(mut input: Node, calls: &[SetCall]) -> Node {
    let top = calls.iter().map(|c| c.level).max().unwrap_or(0);
    for level in 1..=top {
        let exprs: Vec<_> = calls.iter().filter(|c| c.level == level).map(|c| (c.output, c.call.clone())).collect();
        if !exprs.is_empty() {
            input = Node::ProjectSet { input: Box::new(input), exprs };
        }
    }
    input
}

/// The calls that these columns need, directly or as arguments of others: (needed, rest).
pub(super) fn needed_by(calls: Vec<SetCall>, exprs: &[&Expr]) -> (Vec<SetCall>, Vec<SetCall>) {
    let mut needed: Vec<ColumnId> =
        calls.iter().filter(|c| exprs.iter().any(|e| reads(e, c.output))).map(|c| c.output).collect();
    let mut at = 0;
    while let Some(id) = needed.get(at).copied() {
        if let Some(call) = calls.iter().find(|c| c.output == id) {
            let below = calls.iter().filter(|c| reads(&call.call, c.output)).map(|c| c.output);
            let fresh: Vec<_> = below.filter(|id| !needed.contains(id)).collect();
            needed.extend(fresh);
        }
        at += 1;
    }
    calls.into_iter().partition(|c| needed.contains(&c.output))
}
