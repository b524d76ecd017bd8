//! Queries: set operations, VALUES, ORDER BY and LIMIT around what `select` makes.

use super::locking::{self, LockWish};
use super::scope::{Clause, Name, Scope, fold};
use super::with::Place;
use super::{Binder, start, unsupported};
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{ColumnId, Node, SetOperation, SortKey};
use crate::parse::rows;
use crate::plan::columns;
use crate::tree::{Body, QueryTree, ValuesTree};
use sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier, Spanned};
use std::borrow::Cow;
use types::builtin::CastContext;
use types::{Result, SqlError, SqlState, SqlType, oid};

/// A query as a relational node with named columns.
pub(super) struct BoundQuery {
    pub(super) node: Node,
    pub(super) columns: Vec<Name>,
    /// Where the columns' expressions stand.
    pub(super) positions: Vec<u32>,
    /// Columns of enclosing queries that it uses.
    pub(super) correlated: Vec<ColumnId>,
    /// Under a record: how it was written.
    pub(super) tree: Option<Box<QueryTree>>,
}

impl BoundQuery {
    pub(super) fn new(node: Node, columns: Vec<Name>, positions: Vec<u32>) -> BoundQuery {
        BoundQuery { node, columns, positions, correlated: vec![], tree: None }
    }
}

/// What follows a query's body.
#[derive(Clone, Default)]
pub(super) struct Tail<'q> {
    pub(super) order_by: &'q [ast::OrderByExpr],
    pub(super) limit: Option<Cow<'q, ast::Expr>>,
    pub(super) offset: Option<&'q ast::Expr>,
    pub(super) with_ties: bool,
    pub(super) locks: Vec<LockWish>,
}

impl Binder<'_> {
    /// A query whose columns all have a type.
    pub(super) fn query(&mut self, query: &ast::Query) -> Result<BoundQuery> {
        self.query_locked(query, vec![])
    }

    /// The same, with locks that the query around it asks for.
    pub(super) fn query_locked(&mut self, query: &ast::Query, locks: Vec<LockWish>) -> Result<BoundQuery> {
        let mut bound = self.open_query(query, locks)?;
        self.settle(&mut bound)?;
        bound.correlated = columns::free(&bound.node).into_iter().collect();
        crate::stop::whole()?;
        Ok(bound)
    }

    /// A query whose literals may still be of unknown type: what they become is decided around it.
    pub(super) fn open_query(&mut self, query: &ast::Query, locks: Vec<LockWish>) -> Result<BoundQuery> {
        let position = self.at(start::of_query(query));
        if query.for_clause.is_some() || query.settings.is_some() || !query.pipe_operators.is_empty() {
            return Err(unsupported("this clause", position));
        }
        let in_view = self.with_queries.len();
        let at_top = self.query_depth == 0 && self.scopes.is_empty();
        self.query_depth += 1;
        // A rule's rows are for the query itself.
        let rows = self.rule_rows.take();
        let with = self.with(query.with.as_ref(), at_top);
        self.rule_rows = rows;
        let mut bound = with.and_then(|()| self.body(query, locks));
        self.query_depth -= 1;
        if let Ok(BoundQuery { tree: Some(tree), .. }) = &mut bound
            && let Some(with) = &query.with
        {
            (tree.with, tree.is_recursive) = (self.with_trees(in_view), with.recursive);
        }
        self.with_queries.truncate(in_view);
        bound
    }

    /// What is still of unknown type becomes text.
    pub(super) fn settle(&mut self, bound: &mut BoundQuery) -> Result<()> {
        let types: Vec<_> = bound.columns.iter().map(|c| c.ty).collect();
        if types.iter().all(|t| t.oid != oid::UNKNOWN) {
            return Ok(());
        }
        let types: Vec<_> = types.into_iter().map(|t| if t.oid == oid::UNKNOWN { SqlType::TEXT } else { t }).collect();
        self.convert(bound, &types, "SELECT")
    }

    pub(super) fn tail<'q>(&self, query: &'q ast::Query) -> Result<Tail<'q>> {
        let order_by = match query.order_by.as_ref().map(|o| &o.kind) {
            None => &[],
            Some(ast::OrderByKind::Expressions(exprs)) => exprs.as_slice(),
            Some(ast::OrderByKind::All(_)) => return Err(unsupported("ORDER BY ALL", 0)),
        };
        let (mut limit, offset) = match &query.limit_clause {
            None => (None, None),
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                (limit.as_ref().map(Cow::Borrowed), offset.as_ref().map(|o| &o.value))
            }
            Some(_) => {
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, "LIMIT #,# syntax is not supported")
                    .hint("Use separate LIMIT and OFFSET clauses."));
            }
        };
        let mut with_ties = false;
        if let Some(fetch) = &query.fetch {
            if fetch.percent {
                return Err(unsupported("FETCH PERCENT", 0));
            }
            with_ties = fetch.with_ties;
            let one = || ast::Expr::Value(ast::Value::Number("1".to_owned(), false).into());
            limit = Some(fetch.quantity.as_ref().map_or_else(|| Cow::Owned(one()), Cow::Borrowed));
        }
        if with_ties && order_by.is_empty() {
            let message = "WITH TIES cannot be specified without ORDER BY clause";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let locks = self.lock_wishes(&query.locks)?;
        if with_ties && locks.iter().any(|l| l.wait == crate::logical::locking::WaitPolicy::Skip) {
            let message = "SKIP LOCKED and WITH TIES options cannot be used together";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        Ok(Tail { order_by, limit, offset, with_ties, locks })
    }

    fn body(&mut self, query: &ast::Query, mut locks: Vec<LockWish>) -> Result<BoundQuery> {
        let tail = self.tail(query)?;
        if matches!(&*query.body, SetExpr::Values(_)) {
            locking::not_with(&tail.locks, "VALUES")
                .map_err(|_| SqlError::unsupported("FOR UPDATE cannot be applied to VALUES"))?;
            // The lock of a query around it finds nothing here.
            locks.clear();
        }
        locks.extend(tail.locks.iter().cloned());
        let tail = Tail { locks, ..tail };
        match &*query.body {
            SetExpr::Select(select) => self.select(select, tail),
            SetExpr::Values(_) => {
                let bound = self.set_expr(&query.body)?;
                self.with_tail(bound, tail)
            }
            SetExpr::SetOperation { .. } => {
                locking::not_with(&tail.locks, "UNION/INTERSECT/EXCEPT")?;
                let bound = self.set_expr(&query.body)?;
                self.with_tail(bound, tail)
            }
            other => {
                let bound = self.set_expr(other)?;
                self.with_tail(bound, tail)
            }
        }
    }

    /// ORDER BY and LIMIT over rows that have no FROM items behind them.
    fn with_tail(&mut self, mut bound: BoundQuery, tail: Tail<'_>) -> Result<BoundQuery> {
        if !tail.order_by.is_empty() {
            self.settle(&mut bound)?;
        }
        let mut bound = self.ordered(bound, tail.order_by)?;
        self.scopes.push(Scope::default());
        let node = std::mem::replace(&mut bound.node, Node::OneRow);
        let limited = self.limited(node, &tail);
        self.scopes.pop();
        bound.node = limited?;
        bound.tell_limit(&tail);
        Ok(bound)
    }

    pub(super) fn set_operation_tail(&mut self, bound: BoundQuery, query: &ast::Query) -> Result<BoundQuery> {
        let tail = self.tail(query)?;
        locking::not_with(&tail.locks, "UNION/INTERSECT/EXCEPT")?;
        self.with_tail(bound, tail)
    }

    pub(super) fn set_expr(&mut self, body: &SetExpr) -> Result<BoundQuery> {
        match body {
            SetExpr::Select(select) => self.select(select, Tail::default()),
            SetExpr::Query(query) => self.open_query(query, vec![]),
            SetExpr::Values(values) => {
                let rows = rows::of(values);
                self.values(&rows, self.at(start::of_body(body)))
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
                let (in_left, in_right) = match operation {
                    SetOperation::Union => (None, None),
                    SetOperation::Intersect if all => (Some(Place::Intersect), Some(Place::Intersect)),
                    SetOperation::Intersect => (None, None),
                    SetOperation::Except => (all.then_some(Place::Except), Some(Place::Except)),
                };
                let rows = self.rule_rows.take();
                let left = self.arm(left, in_left)?;
                let right = self.arm(right, in_right)?;
                self.rule_rows = rows;
                self.set_operation(operation, all, left, right)
            }
            SetExpr::Table(table) => self.whole_table(table),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                let message = "WITH clause containing a data-modifying statement must be at the top level";
                Err(SqlError::unsupported(message).at(self.at(body.span())))
            }
        }
    }

    fn arm(&mut self, arm: &SetExpr, place: Option<Place>) -> Result<BoundQuery> {
        let outer = self.enter_place(place);
        let bound = self.set_expr(arm);
        self.leave_place(outer);
        bound
    }

    /// `TABLE t`: all its columns.
    fn whole_table(&mut self, table: &ast::Table) -> Result<BoundQuery> {
        let parts: Vec<_> = [&table.schema_name, &table.table_name].into_iter().flatten().cloned().collect();
        let name = ast::ObjectName::from(parts);
        let position = self.at(name.span());
        self.scopes.push(Scope::default());
        let node = self.table(&name, None, position);
        let from = self.item_tree(None, false, 0);
        let scope = self.scopes.pop().unwrap_or_default();
        let (node, from) = (node?, from?);
        let columns: Vec<Name> = scope.items.into_iter().flat_map(|i| i.columns).collect();
        let positions = vec![position; columns.len()];
        let tree = self.table_tree(from, &columns);
        Ok(BoundQuery { tree, ..BoundQuery::new(node, columns, positions) })
    }

    /// The columns' types of a set operation.
    pub(super) fn union_types(&mut self, name: &str, left: &BoundQuery, right: &BoundQuery) -> Result<Vec<SqlType>> {
        if left.columns.len() != right.columns.len() {
            let message = format!("each {name} query must have the same number of columns");
            let position = right.positions.first().copied().unwrap_or(0);
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        let mut types = vec![];
        let sides = left.columns.iter().zip(&left.positions).zip(right.columns.iter().zip(&right.positions));
        for ((l, at_left), (r, at_right)) in sides {
            types.push(self.common_type(&[(l.ty, *at_left), (r.ty, *at_right)], name)?);
        }
        Ok(types)
    }

    pub(super) fn set_operation(
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
        let types = self.union_types(name, &left, &right)?;
        let mut columns = vec![];
        for (l, ty) in left.columns.iter().zip(&types) {
            columns.push(Name { name: l.name.clone(), id: self.new_column(&l.name, *ty, 0, 0), ty: *ty });
        }
        self.convert(&mut left, &types, name)?;
        self.convert(&mut right, &types, name)?;
        if !all {
            for (column, position) in columns.iter().zip(&left.positions) {
                self.require_equality(column.ty, *position)?;
            }
        }
        let tree = match (left.tree.take(), right.tree.take()) {
            (Some(left), Some(right)) => self.tree_of(|| Body::SetOperation { operation, all, left, right }, &columns),
            _ => None,
        };
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
        Ok(BoundQuery { tree, ..BoundQuery::new(node, columns, left.positions) })
    }

    /// 42883 for a type whose values can not be compared for equality.
    pub(super) fn require_equality(&mut self, ty: SqlType, position: u32) -> Result<()> {
        if self.own_operator("=", ty, ty).is_some() {
            return Ok(());
        }
        let name = self.type_name(ty);
        let message = format!("could not identify an equality operator for type {name}");
        Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).at(position))
    }

    /// Casts a query's columns to these types where they differ. A literal of unknown type is read as its column's type in place.
    pub(super) fn convert(&mut self, query: &mut BoundQuery, types: &[SqlType], what: &str) -> Result<()> {
        let (mut exprs, mut retold) = (vec![], vec![]);
        for ((column, ty), position) in query.columns.iter_mut().zip(types).zip(&query.positions) {
            if column.ty == *ty || column.ty.oid == ty.oid && ty.typmod < 0 {
                column.ty = *ty;
                continue;
            }
            if column.ty.oid == oid::UNKNOWN
                && let Some(place) = literal_of(&mut query.node, column.id)
            {
                let literal = std::mem::replace(place, Expr::constant(types::Datum::Null, *ty));
                *place = self.implicit_as(literal, *ty, what)?;
                let told = self.is_recording().then(|| place.clone());
                column.ty = *ty;
                if let Some(info) = self.columns.get_mut(column.id.0 as usize) {
                    info.ty = *ty;
                }
                if let Some(told) = told {
                    let id = column.id;
                    retold.push((id, told));
                }
                continue;
            }
            let source = Expr { position: *position, ..Expr::column(column.id, column.ty) };
            let expr = self.implicit_as(source, *ty, what)?;
            column.id = self.new_column(&column.name, *ty, 0, 0);
            column.ty = *ty;
            exprs.push((column.id, expr));
        }
        for (column, expr) in retold {
            query.retold(column, &expr);
        }
        if !exprs.is_empty() {
            let input = Box::new(std::mem::replace(&mut query.node, Node::OneRow));
            query.node = Node::Project { input, exprs };
        }
        Ok(())
    }

    pub(super) fn values(&mut self, rows: &[&[ast::Expr]], position: u32) -> Result<BoundQuery> {
        let width = rows.first().map_or(0, |r| r.len());
        self.scopes.push(Scope::of(Clause::Values));
        let bound = self.value_columns(rows, width, position);
        self.scopes.pop();
        let columns_of_exprs = bound?;
        let (mut names, mut positions) = (vec![], vec![]);
        let mut by_row: Vec<Vec<Expr>> = rows.iter().map(|_| Vec::with_capacity(width)).collect();
        for (number, exprs) in columns_of_exprs.into_iter().enumerate() {
            positions.push(exprs.first().map_or(position, |e| e.position));
            let (exprs, ty) = self.unify(exprs, "VALUES")?;
            let name = format!("column{}", number + 1);
            names.push(Name { id: self.new_column(&name, ty, 0, 0), name, ty });
            for (row, expr) in by_row.iter_mut().zip(exprs) {
                row.push(expr);
            }
        }
        let columns = names.iter().map(|n| n.id).collect();
        let number = self.next_item();
        let tree = self.tree_of(|| Body::Values(ValuesTree { number, rows: by_row.clone() }), &names);
        Ok(BoundQuery { tree, ..BoundQuery::new(Node::Values { rows: by_row, columns }, names, positions) })
    }

    fn value_columns(&mut self, rows: &[&[ast::Expr]], width: usize, position: u32) -> Result<Vec<Vec<Expr>>> {
        let mut columns: Vec<Vec<Expr>> = (0..width).map(|_| Vec::with_capacity(rows.len())).collect();
        for row in rows {
            if row.len() != width {
                let message = "VALUES lists must all be the same length";
                let position = row.first().map_or(position, |e| self.at(e.span()));
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
            for (column, expr) in columns.iter_mut().zip(*row) {
                if super::target::is_default(expr) {
                    let message = "DEFAULT is not allowed in this context";
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(self.at(expr.span())));
                }
                column.push(self.expr(expr)?);
            }
        }
        Ok(columns)
    }

    /// ORDER BY over a set operation or VALUES: names and numbers of its columns.
    fn ordered(&mut self, mut bound: BoundQuery, order_by: &[ast::OrderByExpr]) -> Result<BoundQuery> {
        let mut keys = vec![];
        for by in order_by {
            let position = self.at(start::of_expr(&by.expr));
            let syntax = values_column(&by.expr);
            let syntax = syntax.as_ref().unwrap_or(&by.expr);
            let Some(column) = self.output_column(syntax, &bound.columns, "ORDER BY")? else {
                // A name that means nothing is an error of its own.
                self.scopes.push(Scope::of(Clause::OrderBy));
                self.scope()?.push(super::scope::Item::new("*SELECT*", bound.columns.clone()));
                let bound = self.expr(&by.expr);
                self.scopes.pop();
                bound?;
                let message = "invalid UNION/INTERSECT/EXCEPT ORDER BY clause";
                return Err(SqlError::unsupported(message)
                    .detail("Only result column names can be used, not expressions or functions.")
                    .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
                    .at(position));
            };
            let expr = Expr { position, ..Expr::column(column.id, column.ty) };
            keys.push(self.sort_key(expr, &by.options, position)?);
        }
        if !keys.is_empty() {
            bound.tell_order(&keys);
            bound.node = Node::Sort { input: Box::new(bound.node), keys };
        }
        Ok(bound)
    }

    /// `ORDER BY name` and `ORDER BY 1`: an output column.
    pub(super) fn output_column(&self, syntax: &ast::Expr, columns: &[Name], clause: &str) -> Result<Option<Name>> {
        self.output_like(syntax, columns, clause, |a, b| a.id == b.id)
    }

    /// The same, where two columns of one name may be the same by more than their ids.
    pub(super) fn output_like(
        &self,
        syntax: &ast::Expr,
        columns: &[Name],
        clause: &str,
        is_same: impl Fn(&Name, &Name) -> bool,
    ) -> Result<Option<Name>> {
        let position = self.place(syntax);
        match syntax {
            ast::Expr::Nested(inner) | ast::Expr::Prefixed { value: inner, .. } => {
                self.output_like(inner, columns, clause, is_same).map_err(|e| match syntax {
                    ast::Expr::Prefixed { .. } => e.at(position),
                    _ => e,
                })
            }
            ast::Expr::Identifier(ident) => {
                let name = fold(ident);
                let found: Vec<_> = columns.iter().filter(|c| c.name == name).collect();
                match found.as_slice() {
                    [] => Ok(None),
                    [first, rest @ ..] if rest.iter().all(|r| is_same(r, first)) => Ok(Some((*first).clone())),
                    _ => {
                        let message = format!("{clause} \"{name}\" is ambiguous");
                        Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message).at(position))
                    }
                }
            }
            ast::Expr::Value(value) if matches!(value.value, ast::Value::Placeholder(_)) => Ok(None),
            ast::Expr::Value(value) => self.output_number(&value.value, "", columns, clause, position),
            ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => match &**expr {
                ast::Expr::Value(value) => self.output_number(&value.value, "-", columns, clause, position),
                _ => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// Where an expression begins.
    pub(super) fn place(&self, syntax: &ast::Expr) -> u32 {
        match syntax {
            ast::Expr::Prefixed { prefix, .. } => self.at(prefix.span),
            other => self.at(start::of_expr(other)),
        }
    }

    fn output_number(
        &self,
        value: &ast::Value,
        sign: &str,
        columns: &[Name],
        clause: &str,
        position: u32,
    ) -> Result<Option<Name>> {
        let digits = match value {
            ast::Value::Number(digits, _) if digits.parse::<i32>().is_ok() => digits,
            _ => {
                let message = format!("non-integer constant in {clause}");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
            }
        };
        let index = digits.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).filter(|_| sign.is_empty());
        index.and_then(|i| columns.get(i)).cloned().map(Some).ok_or_else(|| {
            let message = format!("{clause} position {sign}{digits} is not in select list");
            SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position)
        })
    }

    pub(super) fn sort_key(&mut self, expr: Expr, options: &ast::OrderByOptions, position: u32) -> Result<SortKey> {
        let expr = self.known(expr)?;
        let descending = match &options.sort {
            None | Some(ast::OrderBySort::Asc) => false,
            Some(ast::OrderBySort::Desc) => true,
            Some(ast::OrderBySort::Using(operator)) => {
                let place = self.at(operator.span());
                self.sorts_descending(operator, expr.ty, if place > 0 { place } else { position })?
            }
        };
        let has_order = self.own_operator("<", expr.ty, expr.ty).is_some();
        if !has_order {
            let name = self.type_name(expr.ty);
            let message = format!("could not identify an ordering operator for type {name}");
            return Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
                .hint("Use an explicit ordering operator or modify the query.")
                .at(position));
        }
        let nulls_first = options.nulls_first.unwrap_or(descending);
        Ok(SortKey { expr, descending, nulls_first, using: None })
    }

    /// ORDER BY … USING: the type's less or greater operator.
    fn sorts_descending(&mut self, operator: &ast::ObjectName, ty: SqlType, position: u32) -> Result<bool> {
        let name = operator.0.last().map(ToString::to_string).unwrap_or_default();
        let name = name.as_str();
        self.meant(name, Some(ty), ty, position)?;
        match name {
            "<" => Ok(false),
            ">" => Ok(true),
            "~<~" | "~>~" => Err(unsupported("ordering by a pattern operator", position)),
            _ => {
                let message = format!("operator {name} is not a valid ordering operator");
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                    .hint("Ordering operators must be \"<\" or \">\" members of btree operator families.")
                    .at(position))
            }
        }
    }

    /// LIMIT and OFFSET, bound in the query's own scope so that its columns are known and refused.
    pub(super) fn limited(&mut self, node: Node, tail: &Tail<'_>) -> Result<Node> {
        let limit = tail.limit.as_ref().map(|l| self.row_count(l, Clause::Limit)).transpose()?;
        let offset = tail.offset.map(|o| self.row_count(o, Clause::Offset)).transpose()?;
        if limit.is_none() && offset.is_none() {
            return Ok(node);
        }
        Ok(Node::Limit { input: Box::new(node), limit, offset, with_ties: tail.with_ties })
    }

    fn row_count(&mut self, syntax: &ast::Expr, clause: Clause) -> Result<Expr> {
        let what = clause.place();
        let outer = self.enter(clause);
        let bound = self.expr(syntax);
        self.enter(outer);
        let expr = bound?;
        let (ty, position) = (expr.ty, expr.position);
        let cast = self.try_coerce(expr, SqlType::INT8, CastContext::Assignment, CallForm::ImplicitCast)?;
        let count = cast.ok_or_else(|| {
            let name = self.type_name(ty);
            let message = format!("argument of {what} must be type bigint, not type {name}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position)
        })?;
        self.without_variables(&count, what)?;
        Ok(count)
    }

    /// 42P10 for a value that must be the same for all rows.
    pub(super) fn without_variables(&mut self, expr: &Expr, what: &str) -> Result<()> {
        let Some(scope) = self.scopes.last() else { return Ok(()) };
        let mut found = None;
        expr.any(&mut |e| {
            if found.is_none() && matches!(e.kind, ExprKind::Column(id) if scope.has_column(id)) {
                found = Some(e.position);
            }
            found.is_some()
        });
        if found.is_none() && columns::used(expr).iter().any(|id| scope.has_column(*id)) {
            found = Some(expr.position);
        }
        let Some(position) = found else { return Ok(()) };
        let message = format!("argument of {what} must not contain variables");
        Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position))
    }
}

/// `"*VALUES*".column1`, as PostgreSQL tells a column that VALUES is ordered by.
fn values_column(syntax: &ast::Expr) -> Option<ast::Expr> {
    match syntax {
        ast::Expr::Prefixed { value, .. } => values_column(value),
        ast::Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [item, column] if item.value == "*VALUES*" => Some(ast::Expr::Identifier(column.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// The expression of unknown type that a query's column is, where nothing has been computed from it yet.
pub(super) fn literal_of(node: &mut Node, column: ColumnId) -> Option<&mut Expr> {
    match node {
        Node::Project { input, exprs } => match exprs.iter_mut().find(|(id, _)| *id == column) {
            Some((_, expr)) => Some(expr),
            None => literal_of(input, column),
        },
        Node::Limit { input, .. } | Node::Sort { input, .. } | Node::LockRows { input, .. } => {
            literal_of(input, column)
        }
        _ => None,
    }
}
