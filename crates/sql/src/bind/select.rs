//! One SELECT: FROM, the select list, WHERE, grouping, windows, sets, DISTINCT, ORDER BY, row locks and LIMIT.
//!
//! ```text
//! FROM -> WHERE -> groups -> HAVING -> windows -> sets -> select list -> DISTINCT -> ORDER BY -> LIMIT
//! ```

use super::from::conjuncts;
use super::locking;
use super::output_name::output_name;
use super::query::{BoundQuery, Tail};
use super::record::SelectParts;
use super::rules::with_rule_rows;
use super::scope::{Clause, Item, Name, Scope, fold};
use super::set_returning::expanded;
use super::window::{has_windows, windowed};
use super::{Binder, group, start, unsupported};
use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, Node, SortKey};
use crate::tree::DistinctTree;
use sqlparser::ast::{self, SelectItem, SelectItemQualifiedWildcardKind as Qualified, Spanned};
use types::{Result, SqlError, SqlState};

/// Columns of a result, as in PostgreSQL.
const TARGETS_MAX: usize = 1_664;

/// The select list: names, and the expressions with the columns that they become.
struct Outputs {
    names: Vec<Name>,
    exprs: Vec<(ColumnId, Expr)>,
    positions: Vec<u32>,
}

/// DISTINCT as bound.
enum Distinct {
    No,
    All,
    On(Vec<ColumnId>),
}

impl Distinct {
    fn tree(&self) -> DistinctTree {
        match self {
            Distinct::No => DistinctTree::No,
            Distinct::All => DistinctTree::All,
            Distinct::On(columns) => DistinctTree::On(columns.clone()),
        }
    }
}

impl Binder<'_> {
    pub(super) fn select(&mut self, select: &ast::Select, tail: Tail<'_>) -> Result<BoundQuery> {
        let lock_wishes = tail.locks.clone();
        self.scopes.push(Scope { lock_wishes, clause: Clause::Select, ..Scope::default() });
        let bound = self.select_in_scope(select, tail);
        self.scopes.pop();
        bound
    }

    fn select_in_scope(&mut self, select: &ast::Select, tail: Tail<'_>) -> Result<BoundQuery> {
        let position = self.at(start::of_select(select));
        if select.into.is_some() || select.qualify.is_some() || select.top.is_some() || !select.lateral_views.is_empty()
        {
            return Err(unsupported("this clause of SELECT", position));
        }
        self.scope()?.named_windows.clone_from(&select.named_window);
        let rule_rows = self.join_rule_rows()?;
        let mut node = with_rule_rows(rule_rows, self.from(&select.from)?);
        self.scope()?.clause = Clause::Select;
        let is_open = tail.order_by.is_empty() && select.distinct.is_none();
        let mut outputs = self.outputs(select, is_open)?;
        let predicate = match &select.selection {
            Some(condition) => self.condition(condition)?,
            None => vec![],
        };
        self.scope()?.clause = Clause::Having;
        let having = match &select.having {
            Some(condition) => {
                let bound = self.expr(condition)?;
                Some(self.boolean(bound, "HAVING")?)
            }
            None => None,
        };
        self.scope()?.clause = Clause::OrderBy;
        let mut keys = self.order_keys(tail.order_by, &outputs)?;
        let groups = self.group_by(&select.group_by, &outputs.names, &outputs.exprs)?;
        self.scope()?.clause = Clause::DistinctOn;
        let distinct = self.distinct_rows(select.distinct.as_ref(), &mut outputs, &mut keys)?;
        self.scope()?.clause = Clause::Select;
        self.check_named_windows()?;
        self.check_locking(&tail, select, groups.is_written)?;
        let tree = self.select_tree(&SelectParts {
            names: &outputs.names,
            exprs: &outputs.exprs,
            distinct: distinct.tree(),
            filter: &predicate,
            groups: &groups,
            having: having.as_ref(),
            keys: &keys,
        })?;
        if !predicate.is_empty() {
            node = Node::Filter { input: Box::new(node), predicate };
        }
        let scope = self.scope()?;
        let mut windows = std::mem::take(&mut scope.windows);
        let mut set_calls = std::mem::take(&mut scope.set_calls);
        let parts = group::Parts {
            exprs: &mut outputs.exprs,
            having,
            keys: &mut keys,
            windows: &mut windows,
            set_calls: &mut set_calls,
        };
        node = self.grouped(node, groups, parts)?;
        node = expanded(windowed(node, windows), &set_calls);
        node = self.finished(node, &outputs, distinct, keys)?;
        let node = self.limited(node, &tail)?;
        let mut bound = BoundQuery { tree, ..BoundQuery::new(node, outputs.names, outputs.positions) };
        bound.tell_limit(&tail);
        Ok(bound)
    }

    /// The select list over the rows, DISTINCT and ORDER BY. Rows that are to be locked are ordered and locked before anything
    /// is computed from them, because that may change them.
    fn finished(&mut self, node: Node, outputs: &Outputs, distinct: Distinct, mut keys: Vec<SortKey>) -> Result<Node> {
        let exprs = outputs.exprs.clone();
        if !self.scope()?.lock_targets.is_empty() {
            for key in &mut keys {
                key.expr.rewrite(&mut |e| {
                    if let ExprKind::Column(id) = e.kind
                        && let Some((_, value)) = exprs.iter().find(|(output, _)| *output == id)
                    {
                        *e = value.clone();
                    }
                });
            }
            let sorted = sorted(node, keys);
            let input = Box::new(locking::locked(sorted, self.scope()?));
            return Ok(Node::Project { input, exprs });
        }
        let node = Node::Project { input: Box::new(node), exprs };
        Ok(match distinct {
            Distinct::No => sorted(node, keys),
            Distinct::All => {
                let columns = outputs.names.iter().map(|n| n.id).collect();
                sorted(Node::Distinct { input: Box::new(node), columns, on: false }, keys)
            }
            Distinct::On(columns) => Node::Distinct { input: Box::new(sorted(node, keys)), columns, on: true },
        })
    }

    fn outputs(&mut self, select: &ast::Select, is_open: bool) -> Result<Outputs> {
        let is_grouped = !matches!(&select.group_by, ast::GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
        let list = self.select_list(&select.projection)?;
        let mut outputs = Outputs { names: vec![], exprs: vec![], positions: vec![] };
        for (name, expr) in list {
            // A bare literal may still become what the query around it wants.
            let is_literal = matches!(expr.kind, ExprKind::Const(_) | ExprKind::Parameter(_));
            let expr = if is_literal && is_open && !is_grouped { expr } else { self.known(expr)? };
            let (table, attribute) = self.origin(&expr);
            let id = self.new_column(&name, expr.ty, table, attribute);
            if let ExprKind::Column(from) = expr.kind
                && let Some((_, fields)) = self.records.iter().find(|(column, _)| *column == from)
            {
                self.records.push((id, fields.clone()));
            }
            outputs.names.push(Name { name, id, ty: expr.ty });
            outputs.positions.push(expr.position);
            outputs.exprs.push((id, expr));
        }
        Ok(outputs)
    }

    fn check_locking(&mut self, tail: &Tail<'_>, select: &ast::Select, is_grouped: bool) -> Result<()> {
        let scope = self.scope()?;
        let what = if !matches!(select.distinct, None | Some(ast::Distinct::All)) {
            "DISTINCT clause"
        } else if is_grouped {
            "GROUP BY clause"
        } else if select.having.is_some() {
            "HAVING clause"
        } else if !scope.aggregates.is_empty() {
            "aggregate functions"
        } else if has_windows(scope) {
            "window functions"
        } else if !scope.set_calls.is_empty() {
            "set-returning functions in the target list"
        } else {
            return Ok(());
        };
        locking::not_with(&tail.locks, what)
    }

    /// The conjuncts of WHERE.
    pub(super) fn condition(&mut self, condition: &ast::Expr) -> Result<Vec<Expr>> {
        let clause = self.enter(Clause::Where);
        let bound = self.expr(condition).and_then(|c| self.boolean(c, "WHERE"));
        self.enter(clause);
        Ok(conjuncts(bound?))
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
                SelectItem::UnnamedExpr(expr) => match row_star(expr) {
                    Some((root, steps)) => outputs.extend(self.row_columns(root, steps)?),
                    None => outputs.push((output_name(expr), self.expr(expr)?)),
                },
                SelectItem::ExprWithAlias { expr, alias } => outputs.push((fold(alias), self.expr(expr)?)),
                SelectItem::Wildcard(_) => {
                    let position = self.at(item.span());
                    let scope = self.scope()?;
                    if !scope.items.iter().any(|i| i.columns_visible) {
                        let message = "SELECT * with no tables specified is not valid";
                        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
                    }
                    let shown = scope.items.iter().filter(|i| i.columns_visible).flat_map(Item::listed);
                    outputs.extend(shown.map(|c| (c.name.clone(), Expr { position, ..Expr::column(c.id, c.ty) })));
                }
                SelectItem::QualifiedWildcard(Qualified::ObjectName(name), _) => {
                    let position = self.at(name.span());
                    let table = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                    let mut found = None;
                    for scope in self.scopes.iter().rev() {
                        found = self.table_item(scope, &table).map_err(|e| e.at(position))?;
                        if found.is_some() {
                            break;
                        }
                    }
                    let Some(from) = found else { return Err(self.no_table(&table).at(position)) };
                    let shown = from.listed().iter();
                    outputs.extend(shown.map(|c| (c.name.clone(), Expr { position, ..Expr::column(c.id, c.ty) })));
                }
                _ => return Err(unsupported("this item of a select list", self.at(item.span()))),
            }
        }
        if outputs.len() > TARGETS_MAX {
            let message = format!("target lists can have at most {TARGETS_MAX} entries");
            return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
        }
        Ok(outputs)
    }

    /// The fields of a row as columns.
    fn row_columns(&mut self, root: &ast::Expr, steps: &[ast::AccessExpr]) -> Result<Vec<(String, Expr)>> {
        let row = self.indirection(root, steps)?;
        let position = row.position;
        self.all_fields(row, position)
    }

    fn order_keys(&mut self, order_by: &[ast::OrderByExpr], outputs: &Outputs) -> Result<Vec<SortKey>> {
        let mut keys: Vec<SortKey> = vec![];
        for by in order_by {
            let position = self.at(start::of_expr(&by.expr));
            let expr = self.order_expr(&by.expr, outputs, "ORDER BY")?;
            let key = self.sort_key(Expr { position, ..expr }, &by.options, position)?;
            if !keys.iter().any(|k| group::same(&k.expr, &key.expr)) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// An output by name or number, or an expression; one that is in the select list is computed once.
    fn order_expr(&mut self, syntax: &ast::Expr, outputs: &Outputs, clause: &str) -> Result<Expr> {
        let expr_of = |id: ColumnId| outputs.exprs.iter().find(|(i, _)| *i == id).map(|(_, e)| e);
        let like = |a: &Name, b: &Name| match (expr_of(a.id), expr_of(b.id)) {
            (Some(a), Some(b)) => group::same(a, b),
            _ => false,
        };
        if let Some(column) = self.output_like(syntax, &outputs.names, clause, like)? {
            return Ok(Expr::column(column.id, column.ty));
        }
        let bound = self.expr(syntax)?;
        let known = outputs.exprs.iter().find(|(_, e)| group::same(e, &bound));
        Ok(known.map_or(bound, |(id, e)| Expr::column(*id, e.ty)))
    }

    fn distinct_rows(
        &mut self,
        distinct: Option<&ast::Distinct>,
        outputs: &mut Outputs,
        keys: &mut [SortKey],
    ) -> Result<Distinct> {
        match distinct {
            None | Some(ast::Distinct::All) => Ok(Distinct::No),
            Some(ast::Distinct::Distinct) => {
                let names = &outputs.names;
                let is_output = |e: &Expr| matches!(e.kind, ExprKind::Column(id) if names.iter().any(|n| n.id == id));
                if let Some(key) = keys.iter().find(|k| !is_output(&k.expr)) {
                    let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                    return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(key.expr.position));
                }
                for (name, position) in outputs.names.iter().zip(&outputs.positions) {
                    self.require_equality(name.ty, *position)?;
                }
                Ok(Distinct::All)
            }
            Some(ast::Distinct::On(items)) => self.distinct_on(items, outputs, keys).map(Distinct::On),
        }
    }

    /// The keys must be the first of ORDER BY, in any order.
    fn distinct_on(
        &mut self,
        items: &[ast::Expr],
        outputs: &mut Outputs,
        keys: &mut [SortKey],
    ) -> Result<Vec<ColumnId>> {
        let mut wanted: Vec<(Expr, u32)> = vec![];
        for item in items {
            let position = self.at(start::of_expr(item));
            let expr = self.order_expr(item, outputs, "DISTINCT ON")?;
            let expr = self.known(expr)?;
            self.require_equality(expr.ty, position)?;
            if !wanted.iter().any(|(e, _)| group::same(e, &expr)) {
                wanted.push((expr, position));
            }
        }
        let mismatch = |position: u32| {
            let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
            SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position)
        };
        let (mut skipped, mut matched) = (false, vec![]);
        for key in keys.iter() {
            match wanted.iter().position(|(e, _)| group::same(e, &key.expr)) {
                Some(index) => match wanted.get(index) {
                    Some((_, position)) if skipped => return Err(mismatch(*position)),
                    _ => matched.push(index),
                },
                None => skipped = true,
            }
        }
        if let Some((_, (_, position))) = wanted.iter().enumerate().find(|(i, _)| !matched.contains(i))
            && skipped
        {
            return Err(mismatch(*position));
        }
        let mut columns = vec![];
        for (expr, _) in wanted {
            columns.push(match expr.kind {
                ExprKind::Column(id) if outputs.exprs.iter().any(|(output, _)| *output == id) => id,
                _ => {
                    let id = self.new_column("distinct on", expr.ty, 0, 0);
                    for key in keys.iter_mut().filter(|k| group::same(&k.expr, &expr)) {
                        key.expr = Expr { position: key.expr.position, ..Expr::column(id, expr.ty) };
                    }
                    outputs.exprs.push((id, expr));
                    id
                }
            });
        }
        Ok(columns)
    }
}

/// `(row).*`: the row, and the steps before the star.
fn row_star(expr: &ast::Expr) -> Option<(&ast::Expr, &[ast::AccessExpr])> {
    match expr {
        ast::Expr::Prefixed { value, .. } => row_star(value),
        ast::Expr::CompoundFieldAccess { root, access_chain } => match access_chain.split_last() {
            Some((ast::AccessExpr::Dot(ast::Expr::Wildcard(_)), steps)) => Some((root, steps)),
            _ => None,
        },
        _ => None,
    }
}

fn sorted(node: Node, keys: Vec<SortKey>) -> Node {
    match keys.is_empty() {
        true => node,
        false => Node::Sort { input: Box::new(node), keys },
    }
}
