//! GROUP BY, HAVING and aggregates: the Aggregate node, and what the expressions above it may still see.

use super::from::conjuncts;
use super::scope::{Clause, Name};
use super::{Binder, unsupported};
use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, Node, SortKey};
use sqlparser::ast::{self, GroupByExpr};
use types::{Result, SqlError, SqlState};

/// What is computed from the groups.
pub(super) struct Parts<'p> {
    pub(super) exprs: &'p mut Vec<(ColumnId, Expr)>,
    pub(super) having: Option<Expr>,
    pub(super) keys: &'p mut Vec<SortKey>,
    pub(super) names: &'p [Name],
}

/// Whether two expressions are the same but for where they stand. Subqueries never are.
pub(super) fn same(a: &Expr, b: &Expr) -> bool {
    let plain = |e: &Expr| {
        let mut e = e.clone();
        e.rewrite(&mut |n| n.position = 0);
        e
    };
    let has_subquery = |e: &Expr| e.any(&mut |n| matches!(n.kind, ExprKind::Subquery(_)));
    match (&a.kind, &b.kind) {
        (ExprKind::Column(a), ExprKind::Column(b)) => a == b,
        (ExprKind::Column(_), _) | (_, ExprKind::Column(_)) => false,
        _ if a.ty != b.ty || has_subquery(a) || has_subquery(b) => false,
        _ => format!("{:?}", plain(a)) == format!("{:?}", plain(b)),
    }
}

impl Binder<'_> {
    pub(super) fn grouped(&mut self, node: Node, group_by: &GroupByExpr, parts: Parts<'_>) -> Result<Node> {
        let syntax = match group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => exprs,
            _ => return Err(unsupported("GROUP BY ALL", 0)),
        };
        let calls = std::mem::take(&mut self.scope()?.aggregates);
        if syntax.is_empty() && calls.is_empty() && parts.having.is_none() {
            return Ok(node);
        }
        self.scope()?.clause = Clause::GroupBy;
        let mut groups: Vec<(ColumnId, Expr)> = vec![];
        for item in syntax {
            let expr = self.group_expr(item, &parts)?;
            let id = self.new_column("group", expr.ty, 0, 0);
            groups.push((id, expr));
        }
        let ids: Vec<_> = groups.iter().map(|(id, _)| *id).collect();
        let mut allowed = ids.clone();
        allowed.extend(calls.iter().map(|c| c.output));
        allowed.extend(parts.exprs.iter().map(|(id, _)| *id));
        let replace = |binder: &Self, expr: &mut Expr| {
            replace_groups(expr, &groups);
            binder.check_grouped(expr, &allowed)
        };
        for (_, expr) in parts.exprs.iter_mut() {
            replace(self, expr)?;
        }
        for key in parts.keys.iter_mut() {
            replace(self, &mut key.expr)?;
        }
        let mut having = parts.having;
        if let Some(condition) = &mut having {
            replace(self, condition)?;
        }
        let input =
            Box::new(if groups.is_empty() { node } else { Node::Project { input: Box::new(node), exprs: groups } });
        let aggregate =
            Node::Aggregate { input, group_outputs: ids.clone(), groups: ids, sets: None, set_id: None, calls };
        Ok(match having {
            Some(condition) => Node::Filter { input: Box::new(aggregate), predicate: conjuncts(condition) },
            None => aggregate,
        })
    }

    /// An input column by name first, then an output column by name or number.
    fn group_expr(&mut self, syntax: &ast::Expr, parts: &Parts<'_>) -> Result<Expr> {
        let position = self.at(sqlparser::ast::Spanned::span(syntax));
        if matches!(
            syntax,
            ast::Expr::GroupingSets(_) | ast::Expr::Cube(_) | ast::Expr::Rollup(_) | ast::Expr::Tuple(_)
        ) {
            return Err(unsupported("GROUPING SETS", position));
        }
        let is_input = match syntax {
            ast::Expr::Identifier(name) => {
                let name = super::scope::fold(name);
                self.scope()?.items.iter().any(|i| i.columns.iter().any(|c| c.name == name))
            }
            _ => false,
        };
        if !is_input && let Some(output) = self.output_column(syntax, parts.names, "GROUP BY")? {
            let expr = parts.exprs.iter().find(|(id, _)| *id == output.id).map(|(_, e)| e.clone());
            let expr = expr.ok_or_else(|| SqlError::internal("an output column has an expression"))?;
            let own = |e: &Expr| matches!(e.kind, ExprKind::Column(id) if self.is_from_column(id));
            if expr.any(&mut |e| matches!(e.kind, ExprKind::Column(_)) && !own(e)) {
                return Err(unsupported("grouping by this expression", position));
            }
            return Ok(expr);
        }
        let expr = self.expr(syntax)?;
        self.known(expr)
    }

    fn is_from_column(&self, id: ColumnId) -> bool {
        self.scopes.last().is_some_and(|s| s.items.iter().any(|i| i.columns.iter().any(|c| c.id == id)))
    }

    /// 42803 for a column of this query that is neither grouped nor in an aggregate.
    fn check_grouped(&self, expr: &Expr, allowed: &[ColumnId]) -> Result<()> {
        let Some(scope) = self.scopes.last() else { return Ok(()) };
        let reads_row = |e: &Expr| match &e.kind {
            ExprKind::Subquery(subquery) => subquery.correlated.iter().any(|id| self.is_from_column(*id)),
            _ => false,
        };
        if expr.any(&mut |e| reads_row(e)) {
            return Err(unsupported("a correlated subquery over grouped rows", expr.position));
        }
        let mut found = None;
        expr.any(&mut |e| {
            if let ExprKind::Column(id) = &e.kind
                && !allowed.contains(id)
            {
                found = found.or(Some((*id, e.position)));
            }
            found.is_some()
        });
        let Some((id, position)) = found else { return Ok(()) };
        for item in &scope.items {
            if let Some(column) = item.columns.iter().find(|c| c.id == id) {
                let message = format!(
                    "column \"{}.{}\" must appear in the GROUP BY clause or be used in an aggregate function",
                    item.alias, column.name
                );
                return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position));
            }
        }
        Ok(())
    }
}

/// Where an expression of GROUP BY stands in `expr`, its column is read instead.
fn replace_groups(expr: &mut Expr, groups: &[(ColumnId, Expr)]) {
    if let Some((id, group)) = groups.iter().find(|(_, group)| same(group, expr)) {
        *expr = Expr { position: expr.position, ..Expr::column(*id, group.ty) };
        return;
    }
    for child in expr.children_mut() {
        replace_groups(child, groups);
    }
}
