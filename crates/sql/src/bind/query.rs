//! Queries: WITH, set operations, VALUES, ORDER BY and LIMIT around what `select` makes.

use super::scope::{Clause, Name, Scope, fold};
use super::{Binder, unsupported};
use crate::expr::{CallForm, Expr};
use crate::logical::{ColumnId, Cte, CteId, Node, SetOperation, SortKey};
use sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier, Spanned};
use types::builtin::CastContext;
use types::{Result, SqlError, SqlState, SqlType};

/// A query as a relational node with named columns.
pub(super) struct BoundQuery {
    pub(super) node: Node,
    pub(super) columns: Vec<Name>,
    /// Columns of enclosing queries that it uses.
    pub(super) correlated: Vec<ColumnId>,
}

#[derive(Clone)]
pub(super) struct CteName {
    pub(super) name: String,
    pub(super) id: CteId,
    pub(super) columns: Vec<Name>,
}

impl Binder<'_> {
    pub(super) fn query(&mut self, query: &ast::Query) -> Result<BoundQuery> {
        let position = self.at(query.span());
        if query.for_clause.is_some() || query.settings.is_some() || !query.pipe_operators.is_empty() {
            return Err(unsupported("this clause", position));
        }
        if !query.locks.is_empty() {
            return Err(unsupported("FOR UPDATE", position));
        }
        let in_view = self.ctes_in_view.len();
        let bound = self.with(query.with.as_ref()).and_then(|()| self.body(query));
        self.ctes_in_view.truncate(in_view);
        bound
    }

    pub(super) fn with(&mut self, with: Option<&ast::With>) -> Result<()> {
        let Some(with) = with else { return Ok(()) };
        if with.recursive {
            return Err(unsupported("WITH RECURSIVE", self.at(with.with_token.0.span)));
        }
        for cte in &with.cte_tables {
            let position = self.at(cte.alias.name.span);
            // What a CTE may see of the queries around it would have to be handed in.
            let scopes = std::mem::take(&mut self.scopes);
            let bound = self.query(&cte.query);
            self.scopes = scopes;
            let mut bound = bound?;
            let name = fold(&cte.alias.name);
            if cte.alias.columns.len() > bound.columns.len() {
                let message = format!(
                    "WITH query \"{name}\" has {} columns available but {} columns specified",
                    bound.columns.len(),
                    cte.alias.columns.len()
                );
                return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position));
            }
            for (column, renamed) in bound.columns.iter_mut().zip(&cte.alias.columns) {
                column.name = fold(&renamed.name);
            }
            let id = CteId(u32::try_from(self.ctes.len()).unwrap_or(u32::MAX));
            let columns = bound.columns.iter().map(|c| c.id).collect();
            let (is_recursive, is_modifying) = (false, false);
            self.ctes.push(Cte { id, name: name.clone(), plan: bound.node, columns, is_recursive, is_modifying });
            self.ctes_in_view.push(CteName { name, id, columns: bound.columns });
        }
        Ok(())
    }

    fn body(&mut self, query: &ast::Query) -> Result<BoundQuery> {
        let order_by = match query.order_by.as_ref().map(|o| &o.kind) {
            None => &[],
            Some(ast::OrderByKind::Expressions(exprs)) => exprs.as_slice(),
            Some(ast::OrderByKind::All(_)) => return Err(unsupported("ORDER BY ALL", 0)),
        };
        let mut bound = match &*query.body {
            SetExpr::Select(select) => self.select(select, order_by)?,
            other => {
                let bound = self.set_expr(other)?;
                self.ordered(bound, order_by)?
            }
        };
        bound.node = self.limited(bound.node, query)?;
        Ok(bound)
    }

    pub(super) fn set_expr(&mut self, body: &SetExpr) -> Result<BoundQuery> {
        match body {
            SetExpr::Select(select) => self.select(select, &[]),
            SetExpr::Query(query) => self.query(query),
            SetExpr::Values(values) => {
                let rows: Vec<_> = values.rows.iter().map(|r| &r.content).collect();
                self.values(&rows, self.at(body.span()))
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let operation = match op {
                    SetOperator::Union => SetOperation::Union,
                    SetOperator::Intersect => SetOperation::Intersect,
                    SetOperator::Except | SetOperator::Minus => SetOperation::Except,
                };
                let all = match set_quantifier {
                    SetQuantifier::All => true,
                    SetQuantifier::None | SetQuantifier::Distinct => false,
                    _ => return Err(unsupported("BY NAME", self.at(body.span()))),
                };
                let (left, right) = (self.set_expr(left)?, self.set_expr(right)?);
                self.set_operation(operation, all, left, right)
            }
            SetExpr::Table(table) => self.whole_table(table),
            _ => Err(unsupported("this kind of query", self.at(body.span()))),
        }
    }

    /// `TABLE t`: all its columns.
    fn whole_table(&mut self, table: &ast::Table) -> Result<BoundQuery> {
        let parts: Vec<_> = [&table.schema_name, &table.table_name].into_iter().flatten().cloned().collect();
        let name = ast::ObjectName::from(parts);
        let position = self.at(name.span());
        self.scopes.push(Scope::default());
        let node = self.table(&name, None, position);
        let scope = self.scopes.pop().unwrap_or_default();
        let columns = scope.items.into_iter().flat_map(|i| i.columns).collect();
        Ok(BoundQuery { node: node?, columns, correlated: scope.correlated })
    }

    fn set_operation(
        &mut self,
        operation: SetOperation,
        all: bool,
        mut left: BoundQuery,
        mut right: BoundQuery,
    ) -> Result<BoundQuery> {
        let name = match operation {
            SetOperation::Union => "UNION",
            SetOperation::Intersect => "INTERSECT",
            SetOperation::Except => "EXCEPT",
        };
        if left.columns.len() != right.columns.len() {
            let message = format!("each {name} query must have the same number of columns");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let mut columns = vec![];
        let mut types = vec![];
        for (l, r) in left.columns.iter().zip(&right.columns) {
            let ty = self.common_type(&[(l.ty, 0), (r.ty, 0)], name)?;
            types.push(ty);
            columns.push(Name { name: l.name.clone(), id: self.new_column(&l.name, ty, 0, 0), ty });
        }
        self.convert(&mut left, &types, name)?;
        self.convert(&mut right, &types, name)?;
        let ids = |names: &[Name]| names.iter().map(|n| n.id).collect::<Vec<_>>();
        let node = Node::SetOp {
            operation,
            all,
            left_columns: ids(&left.columns),
            right_columns: ids(&right.columns),
            columns: ids(&columns),
            left: Box::new(left.node),
            right: Box::new(right.node),
        };
        let mut correlated = left.correlated;
        correlated.extend(right.correlated);
        Ok(BoundQuery { node, columns, correlated })
    }

    /// Casts a query's columns to these types where they differ.
    fn convert(&mut self, query: &mut BoundQuery, types: &[SqlType], what: &str) -> Result<()> {
        let mut exprs = vec![];
        for (column, ty) in query.columns.iter_mut().zip(types) {
            if column.ty != *ty {
                let expr = self.implicit_as(Expr::column(column.id, column.ty), *ty, what)?;
                column.id = self.new_column(&column.name, *ty, 0, 0);
                column.ty = *ty;
                exprs.push((column.id, expr));
            }
        }
        if !exprs.is_empty() {
            let input = Box::new(std::mem::replace(&mut query.node, Node::OneRow));
            query.node = Node::Project { input, exprs };
        }
        Ok(())
    }

    pub(super) fn values(&mut self, rows: &[&Vec<ast::Expr>], position: u32) -> Result<BoundQuery> {
        let width = rows.first().map_or(0, |r| r.len());
        let scope = Scope { clause: Clause::Other, ..Scope::default() };
        self.scopes.push(scope);
        let bound = self.value_columns(rows, width, position);
        let correlated = self.scopes.pop().map(|s| s.correlated).unwrap_or_default();
        let columns_of_exprs = bound?;
        let mut names = vec![];
        let mut by_row: Vec<Vec<Expr>> = rows.iter().map(|_| Vec::with_capacity(width)).collect();
        for (number, exprs) in columns_of_exprs.into_iter().enumerate() {
            let (exprs, ty) = self.unify(exprs, "VALUES")?;
            let name = format!("column{}", number + 1);
            names.push(Name { id: self.new_column(&name, ty, 0, 0), name, ty });
            for (row, expr) in by_row.iter_mut().zip(exprs) {
                row.push(expr);
            }
        }
        let columns = names.iter().map(|n| n.id).collect();
        Ok(BoundQuery { node: Node::Values { rows: by_row, columns }, columns: names, correlated })
    }

    fn value_columns(&mut self, rows: &[&Vec<ast::Expr>], width: usize, position: u32) -> Result<Vec<Vec<Expr>>> {
        let mut columns: Vec<Vec<Expr>> = (0..width).map(|_| Vec::with_capacity(rows.len())).collect();
        for row in rows {
            if row.len() != width {
                let message = "VALUES lists must all be the same length";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
            for (column, expr) in columns.iter_mut().zip(*row) {
                column.push(self.expr(expr)?);
            }
        }
        Ok(columns)
    }

    /// ORDER BY over a set operation or VALUES: names and numbers of its columns.
    fn ordered(&mut self, mut bound: BoundQuery, order_by: &[ast::OrderByExpr]) -> Result<BoundQuery> {
        let mut keys = vec![];
        for by in order_by {
            let position = self.at(by.expr.span());
            let Some(column) = self.output_column(&by.expr, &bound.columns, "ORDER BY")? else {
                let message = "invalid UNION/INTERSECT/EXCEPT ORDER BY clause";
                return Err(SqlError::unsupported(message)
                    .detail("Only result column names can be used, not expressions or functions.")
                    .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
                    .at(position));
            };
            let expr = Expr::column(column.id, column.ty);
            keys.push(self.sort_key(expr, &by.options, position)?);
        }
        if !keys.is_empty() {
            bound.node = Node::Sort { input: Box::new(bound.node), keys };
        }
        Ok(bound)
    }

    /// `ORDER BY name` and `ORDER BY 1`: an output column.
    pub(super) fn output_column(&self, syntax: &ast::Expr, columns: &[Name], clause: &str) -> Result<Option<Name>> {
        let position = self.at(syntax.span());
        match syntax {
            ast::Expr::Identifier(ident) => {
                let name = fold(ident);
                let found: Vec<_> = columns.iter().filter(|c| c.name == name).collect();
                match found.as_slice() {
                    [] => Ok(None),
                    [first, rest @ ..] if rest.iter().all(|r| r.id == first.id) => Ok(Some((*first).clone())),
                    _ => {
                        let message = format!("{clause} \"{name}\" is ambiguous");
                        Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message).at(position))
                    }
                }
            }
            ast::Expr::Value(value) => {
                let ast::Value::Number(digits, _) = &value.value else {
                    let message = format!("non-integer constant in {clause}");
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
                };
                let index = digits.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                index.and_then(|i| columns.get(i)).cloned().map(Some).ok_or_else(|| {
                    let message = format!("{clause} position {digits} is not in select list");
                    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position)
                })
            }
            _ => Ok(None),
        }
    }

    pub(super) fn sort_key(&mut self, expr: Expr, options: &ast::OrderByOptions, position: u32) -> Result<SortKey> {
        let expr = self.known(expr)?;
        let descending = match &options.sort {
            None | Some(ast::OrderBySort::Asc) => false,
            Some(ast::OrderBySort::Desc) => true,
            Some(ast::OrderBySort::Using(_)) => return Err(unsupported("ORDER BY USING", position)),
        };
        let has_order = self.binary_operator("<", expr.ty, expr.ty, position).is_ok();
        if !has_order {
            let name = types::typename::format_type(expr.ty.oid, None);
            let message = format!("could not identify an ordering operator for type {name}");
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
                .hint("Use an explicit ordering operator or modify the query.")
                .at(position));
        }
        let nulls_first = options.nulls_first.unwrap_or(descending);
        Ok(SortKey { expr, descending, nulls_first, using: None })
    }

    fn limited(&mut self, node: Node, query: &ast::Query) -> Result<Node> {
        let (mut limit, offset) = match &query.limit_clause {
            None => (None, None),
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|o| &o.value))
            }
            Some(_) => return Err(unsupported("this form of LIMIT", 0)),
        };
        let one = ast::Expr::Value(ast::Value::Number("1".to_owned(), false).into());
        let mut with_ties = false;
        if let Some(fetch) = &query.fetch {
            if fetch.percent {
                return Err(unsupported("FETCH PERCENT", 0));
            }
            with_ties = fetch.with_ties;
            limit = Some(fetch.quantity.as_ref().unwrap_or(&one));
        }
        let limit = limit.map(|l| self.row_count(l, "LIMIT")).transpose()?;
        let offset = offset.map(|o| self.row_count(o, "OFFSET")).transpose()?;
        if limit.is_none() && offset.is_none() {
            return Ok(node);
        }
        Ok(Node::Limit { input: Box::new(node), limit, offset, with_ties })
    }

    fn row_count(&mut self, syntax: &ast::Expr, what: &str) -> Result<Expr> {
        self.scopes.push(Scope { clause: Clause::Other, ..Scope::default() });
        let bound = self.expr(syntax);
        let correlated = self.scopes.pop().is_some_and(|s| !s.correlated.is_empty());
        let expr = bound?;
        let (ty, position) = (expr.ty, expr.position);
        if correlated {
            return Err(unsupported(&format!("an outer column in {what}"), position));
        }
        let cast = self.try_coerce(expr, SqlType::INT8, CastContext::Assignment, CallForm::ImplicitCast)?;
        cast.ok_or_else(|| {
            let name = types::typename::format_type(ty.oid, None);
            let message = format!("argument of {what} must be type bigint, not type {name}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position)
        })
    }
}
