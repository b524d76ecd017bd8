//! One SELECT: FROM, WHERE, grouping, the select list, DISTINCT and ORDER BY.

use super::from::conjuncts;
use super::query::BoundQuery;
use super::scope::{Clause, Name, Scope, fold};
use super::{Binder, group, unsupported};
use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, Node, SortKey};
use sqlparser::ast::{self, SelectItem, SelectItemQualifiedWildcardKind as Qualified, Spanned};
use types::{Result, SqlError, SqlState};

impl Binder<'_> {
    pub(super) fn select(&mut self, select: &ast::Select, order_by: &[ast::OrderByExpr]) -> Result<BoundQuery> {
        self.scopes.push(Scope::default());
        let bound = self.select_in_scope(select, order_by);
        let scope = self.scopes.pop().unwrap_or_default();
        let (node, columns) = bound?;
        Ok(BoundQuery { node, columns, correlated: scope.correlated })
    }

    fn select_in_scope(&mut self, select: &ast::Select, order_by: &[ast::OrderByExpr]) -> Result<(Node, Vec<Name>)> {
        let position = self.at(select.span());
        if select.into.is_some() || !select.named_window.is_empty() || select.qualify.is_some() {
            return Err(unsupported("this clause of SELECT", position));
        }
        let mut node = self.from(&select.from)?;
        if let Some(condition) = &select.selection {
            node = self.filter(node, condition)?;
        }
        self.scope()?.clause = Clause::Output;
        let outputs = self.select_list(&select.projection)?;
        let mut names = vec![];
        let mut exprs = vec![];
        for (name, expr) in outputs {
            let expr = self.known(expr)?;
            let (table, attribute) = self.origin(&expr);
            let id = self.new_column(&name, expr.ty, table, attribute);
            names.push(Name { name, id, ty: expr.ty });
            exprs.push((id, expr));
        }
        let having = match &select.having {
            Some(condition) => {
                let bound = self.expr(condition)?;
                Some(self.boolean(bound, "HAVING")?)
            }
            None => None,
        };
        let mut keys = self.order_keys(order_by, &names, &exprs)?;
        let parts = group::Parts { exprs: &mut exprs, having, keys: &mut keys, names: &names };
        node = self.grouped(node, &select.group_by, parts)?;
        node = Node::Project { input: Box::new(node), exprs };
        node = self.distinct_and_sort(node, select.distinct.as_ref(), &names, keys)?;
        Ok((node, names))
    }

    pub(super) fn filter(&mut self, node: Node, condition: &ast::Expr) -> Result<Node> {
        self.scope()?.clause = Clause::Where;
        let bound = self.expr(condition)?;
        let predicate = conjuncts(self.boolean(bound, "WHERE")?);
        Ok(Node::Filter { input: Box::new(node), predicate })
    }

    /// Base relation and attribute of a plain column.
    pub(super) fn origin(&self, expr: &Expr) -> (types::Oid, i16) {
        match expr.kind {
            ExprKind::Column(id) => self.columns.get(id.0 as usize).map_or((0, 0), |info| (info.table, info.attribute)),
            _ => (0, 0),
        }
    }

    /// The select list (also RETURNING's) with its names, `*` spelled out.
    pub(super) fn select_list(&mut self, items: &[SelectItem]) -> Result<Vec<(String, Expr)>> {
        let mut outputs = vec![];
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => outputs.push((output_name(expr), self.expr(expr)?)),
                SelectItem::ExprWithAlias { expr, alias } => outputs.push((fold(alias), self.expr(expr)?)),
                SelectItem::Wildcard(_) => {
                    let scope = self.scope()?;
                    if scope.items.is_empty() {
                        let message = "SELECT * with no tables specified is not valid";
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(self.at(item.span())));
                    }
                    if !merged_first(&scope.items) {
                        return Err(unsupported("* over this JOIN USING", self.at(item.span())));
                    }
                    for from in &scope.items {
                        let shown = from.columns.iter().filter(|c| !from.hidden.contains(&c.id));
                        outputs.extend(shown.map(|c| (c.name.clone(), Expr::column(c.id, c.ty))));
                    }
                }
                SelectItem::QualifiedWildcard(Qualified::ObjectName(name), _) => {
                    let position = self.at(name.span());
                    let table = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                    let scope = self.scope()?;
                    let Some(from) = scope.items.iter().find(|i| i.alias == table) else {
                        let message = format!("missing FROM-clause entry for table \"{table}\"");
                        return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message).at(position));
                    };
                    outputs.extend(from.columns.iter().map(|c| (c.name.clone(), Expr::column(c.id, c.ty))));
                }
                _ => return Err(unsupported("this item of a select list", self.at(item.span()))),
            }
        }
        Ok(outputs)
    }

    fn order_keys(
        &mut self,
        order_by: &[ast::OrderByExpr],
        names: &[Name],
        exprs: &[(ColumnId, Expr)],
    ) -> Result<Vec<SortKey>> {
        let mut keys = vec![];
        for by in order_by {
            let position = self.at(by.expr.span());
            let expr = match self.output_column(&by.expr, names, "ORDER BY")? {
                Some(column) => Expr::column(column.id, column.ty),
                None => {
                    let bound = self.expr(&by.expr)?;
                    // The same expression in the select list is computed once.
                    match exprs.iter().find(|(_, e)| group::same(e, &bound)) {
                        Some((id, e)) => Expr::column(*id, e.ty),
                        None => bound,
                    }
                }
            };
            keys.push(self.sort_key(expr, &by.options, position)?);
        }
        Ok(keys)
    }

    fn distinct_and_sort(
        &mut self,
        mut node: Node,
        distinct: Option<&ast::Distinct>,
        names: &[Name],
        keys: Vec<SortKey>,
    ) -> Result<Node> {
        match distinct {
            None | Some(ast::Distinct::All) => {}
            Some(ast::Distinct::Distinct) => {
                let is_output = |e: &Expr| matches!(e.kind, ExprKind::Column(id) if names.iter().any(|n| n.id == id));
                if let Some(key) = keys.iter().find(|k| !is_output(&k.expr)) {
                    let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                    return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(key.expr.position));
                }
                let columns = names.iter().map(|n| n.id).collect();
                node = Node::Distinct { input: Box::new(node), columns, on: false };
            }
            Some(ast::Distinct::On(_)) => return Err(unsupported("DISTINCT ON", 0)),
        }
        if !keys.is_empty() {
            node = Node::Sort { input: Box::new(node), keys };
        }
        Ok(node)
    }
}

/// PostgreSQL puts the columns that USING merged first; here the order is the items', so it must be the same.
fn merged_first(items: &[super::scope::Item]) -> bool {
    let is_shown = |item: &super::scope::Item, name: &Name| !item.hidden.contains(&name.id);
    let first = items.iter().find_map(|i| i.columns.iter().find(|c| is_shown(i, c)));
    let mut merged = items.iter().flat_map(|i| i.columns.iter().filter(|c| i.hidden.contains(&c.id)));
    merged.all(|m| first.is_some_and(|f| f.name == m.name))
}

/// The name that PostgreSQL gives to an output without alias.
pub(super) fn output_name(expr: &ast::Expr) -> String {
    let named = |expr: &ast::Expr| Some(output_name(expr)).filter(|n| n != "?column?");
    match expr {
        ast::Expr::Identifier(name) => fold(name),
        ast::Expr::CompoundIdentifier(parts) => parts.last().map(fold).unwrap_or_default(),
        ast::Expr::Nested(inner) | ast::Expr::Collate { expr: inner, .. } => output_name(inner),
        ast::Expr::Function(call) => call.name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default(),
        ast::Expr::Cast { expr, data_type, .. } => named(expr).unwrap_or_else(|| type_name(data_type)),
        ast::Expr::TypedString(typed) => type_name(&typed.data_type),
        ast::Expr::Interval(_) => "interval".to_owned(),
        ast::Expr::Case { else_result, .. } => {
            else_result.as_deref().and_then(named).unwrap_or_else(|| "case".to_owned())
        }
        ast::Expr::Exists { negated: false, .. } => "exists".to_owned(),
        ast::Expr::Array(_) => "array".to_owned(),
        ast::Expr::Extract { .. } => "extract".to_owned(),
        ast::Expr::AtTimeZone { .. } => "timezone".to_owned(),
        ast::Expr::Position { .. } => "position".to_owned(),
        ast::Expr::Substring { .. } => "substring".to_owned(),
        ast::Expr::Ceil { .. } => "ceil".to_owned(),
        ast::Expr::Floor { .. } => "floor".to_owned(),
        ast::Expr::Trim { trim_where, .. } => match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim".to_owned(),
            Some(ast::TrimWhereField::Trailing) => "rtrim".to_owned(),
            _ => "btrim".to_owned(),
        },
        ast::Expr::Value(value) if matches!(value.value, ast::Value::Boolean(_)) => "bool".to_owned(),
        ast::Expr::Subquery(query) => match &*query.body {
            ast::SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expr)) => output_name(expr),
                Some(SelectItem::ExprWithAlias { alias, .. }) => fold(alias),
                _ => "?column?".to_owned(),
            },
            _ => "?column?".to_owned(),
        },
        _ => "?column?".to_owned(),
    }
}

/// pg_type's name of a type as written.
fn type_name(data_type: &ast::DataType) -> String {
    let ty = types::typename::parse(&data_type.to_string()).ok();
    let ty = ty.and_then(|t| types::builtin::type_by_oid(t.element().map_or(t.oid, |e| e.oid)));
    ty.map_or_else(|| "?column?".to_owned(), |t| t.name.to_owned())
}
