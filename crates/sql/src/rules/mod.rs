//! Rewrites of the logical plan that are always for the better, in one fixed order:
//!
//! ```text
//! fold        expressions of constants are computed, AND and OR lose what does not matter
//! unnest      EXISTS, IN, NOT IN become semi and anti joins; correlated scalar subqueries left joins
//! push_down   conditions go to where their columns come from; outer joins that keep no padded row become inner ones
//! constants   `a.x = b.x AND a.x = 5` reaches both relations
//! extremes    min and max of an indexed column read one row
//! ```
//!
//! Subqueries that stay in expressions are rewritten as statements of their own. The order of joins is chosen afterwards
//! (`plan::order`), where costs are known.

mod constants;
mod extremes;
mod fold;
mod push_down;
mod unnest;

use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, ColumnInfo, Node, Query};
use crate::plan::columns::{children, children_mut, expressions, expressions_mut};
use crate::plan::{PlanContext, Result, too_deep};
use std::collections::BTreeSet;

/// Nested nodes in one statement beyond which planning stops with 54001, subqueries in expressions included.
const MAX_DEPTH: usize = 500;

/// What the rules found out and the logical plan has no place for.
#[derive(Default)]
pub(crate) struct Facts {
    /// Right-hand columns of anti joins made from NOT IN: a NULL among them leaves no row.
    pub null_aware: BTreeSet<ColumnId>,
}

/// Folds the constants of one expression.
pub(crate) fn fold_expression(expr: &mut Expr, evaluate: &dyn Fn(&Expr) -> Option<types::Datum>) {
    fold::expression(expr, Some(evaluate));
}

/// What every rule may use.
pub(crate) struct Rules<'a> {
    pub context: &'a PlanContext<'a>,
    pub columns: &'a mut Vec<ColumnInfo>,
    pub facts: Facts,
}

/// Refuses statements that recursion over them could not end. Walks with a list of its own.
pub(crate) fn check_depth(query: &Query) -> Result<()> {
    let mut open: Vec<(&Node, usize)> =
        query.ctes.iter().map(|c| &c.plan).chain([&query.root]).map(|n| (n, 0)).collect();
    while let Some((node, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        open.extend(children(node).into_iter().map(|child| (child, depth + 1)));
        let mut exprs: Vec<&Expr> = expressions(node);
        while let Some(expr) = exprs.pop() {
            exprs.extend(expr.children());
            if let ExprKind::Subquery(subquery) = &expr.kind {
                open.push((&subquery.plan, depth + 1));
            }
        }
    }
    Ok(())
}

/// Rewrites the whole statement, which `check_depth` has passed. It leaves off where the statement is to stop: `stop::whole` tells.
pub(crate) fn apply(query: &mut Query, context: &PlanContext) -> Facts {
    let mut rules = Rules { context, columns: &mut query.columns, facts: Facts::default() };
    query.ctes.iter_mut().map(|c| &mut c.plan).chain([&mut query.root]).for_each(|node| {
        fold::apply(node, context.fold);
        rules.tree(node);
    });
    rules.facts
}

impl Rules<'_> {
    fn tree(&mut self, node: &mut Node) {
        unnest::apply(self, node);
        push_down::apply(node);
        if constants::apply(node) {
            push_down::apply(node);
        }
        extremes::apply(self.context, node);
        self.subqueries(node);
    }

    /// The subqueries that are still in expressions.
    fn subqueries(&mut self, node: &mut Node) {
        for expr in expressions_mut(node) {
            self.subqueries_of(expr);
        }
        children_mut(node).into_iter().for_each(|child| self.subqueries(child));
    }

    fn subqueries_of(&mut self, expr: &mut Expr) {
        if let ExprKind::Subquery(subquery) = &mut expr.kind {
            self.tree(&mut subquery.plan);
        }
        expr.children_mut().into_iter().for_each(|child| self.subqueries_of(child));
    }

    /// A new column that holds `expr`.
    fn column_for(&mut self, name: &str, expr: &Expr) -> ColumnId {
        let id = ColumnId(u32::try_from(self.columns.len()).unwrap_or(u32::MAX));
        let info = ColumnInfo { name: name.to_owned(), ty: expr.ty, nullable: true, table: 0, attribute: 0 };
        let origin = match expr.kind {
            ExprKind::Column(from) => self.columns.get(from.0 as usize).map(|c| (c.table, c.attribute)),
            _ => None,
        };
        let (table, attribute) = origin.unwrap_or((0, 0));
        self.columns.push(ColumnInfo { table, attribute, ..info });
        id
    }
}
