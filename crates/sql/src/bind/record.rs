//! Binding a query to tell how it was written: the same walk as for running it, with a tree kept beside the plan.
//!
//! The plan that comes with it is not whole and is thrown away: views and users' functions stand in it unexpanded, which keeps the
//! definition of a view independent of those that it reads. What is recorded is recorded before grouping and the planner's rules
//! replace anything. Without a record every method here does nothing.

use super::Binder;
use super::callee::UserCall;
use super::group::Groups;
use super::query::{BoundQuery, Tail};
use super::record_change::ChangeRecord;
use super::scope::{Item, Name, fold};
use super::sql_function::{FunctionScope, search_path_of};
use crate::expr::{Expr, ExprKind, Inlined};
use crate::logical::{ColumnId, Node, ScanColumn, SortKey};
use crate::parse::{self, Lines};
use crate::tree::*;
use crate::{BindContext, Statement};
use catalog::{Function, FunctionBody};
use sqlparser::ast::{self, TableAlias};
use std::sync::Arc;
use types::{Datum, Result, SqlError, SqlType};

/// What was met so far.
#[derive(Default)]
pub(super) struct Record {
    pub(super) made: Vec<(ColumnId, Made)>,
    items: u32,
    /// Of the FROM item that is being bound.
    source: Option<Source>,
    /// OLD and NEW of the rule whose text is bound, and the statement of it that writes.
    pub(super) rows: Vec<RowTree>,
    pub(super) change: ChangeRecord,
}

/// The parts of one SELECT before grouping.
pub(super) struct SelectParts<'p> {
    pub(super) names: &'p [Name],
    pub(super) exprs: &'p [(ColumnId, Expr)],
    pub(super) distinct: DistinctTree,
    pub(super) filter: &'p [Expr],
    pub(super) groups: &'p Groups,
    pub(super) having: Option<&'p Expr>,
    pub(super) keys: &'p [SortKey],
}

/// The query of `text`, bound to be told again.
pub fn written(text: &str, context: &BindContext) -> Result<Written> {
    recorded(text, Binder::new(context, Lines::default()))
}

/// The query that a function's body of BEGIN ATOMIC is; its parameters are `ExprKind::Parameter`s.
pub fn written_body(function: &Function, context: &BindContext) -> Result<Written> {
    let FunctionBody::Atomic { query, .. } = &function.body else {
        return Err(SqlError::internal("a body of BEGIN ATOMIC was expected"));
    };
    let mut context = context.clone();
    if let Some(path) = search_path_of(&context, &function.body) {
        context.search_path = path;
    }
    let value = |(number, p): (u16, &catalog::Parameter)| {
        (p.name.clone(), Expr::new(ExprKind::Parameter(number), SqlType::new(p.ty), 0))
    };
    let parameters = (0..).zip(function.inputs()).map(value).collect();
    let mut binder = Binder::new(&context, Lines::default());
    binder.function = Some(FunctionScope { name: function.name.clone(), parameters });
    recorded(query, binder)
}

fn recorded(text: &str, mut binder: Binder<'_>) -> Result<Written> {
    let statements = parse::parse(text, true)?;
    let Some(query) = statements.first().and_then(Statement::as_query) else {
        return Err(SqlError::internal("a view's query is one SELECT"));
    };
    binder.record = Some(Box::default());
    let bound = binder.query(query)?;
    let tree = bound.tree.ok_or_else(|| SqlError::unsupported("this kind of query cannot be shown"))?;
    let record = binder.record.take().unwrap_or_default();
    Ok(Written {
        query: *tree,
        made: record.made,
        relations: binder.depends_on.iter().map(|(id, _)| *id).collect(),
        functions: binder.depends_on_functions,
    })
}

fn outputs(names: &[Name]) -> Vec<(String, ColumnId)> {
    names.iter().map(|n| (n.name.clone(), n.id)).collect()
}

impl BoundQuery {
    /// A literal of the select list got its type from outside.
    pub(super) fn retold(&mut self, column: ColumnId, expr: &Expr) {
        if let Some(tree) = &mut self.tree
            && let Body::Select(select) = &mut tree.body
            && let Some(target) = select.targets.iter_mut().find(|t| t.id == column)
        {
            target.expr = expr.clone();
        }
    }

    /// LIMIT and OFFSET as they were bound into the plan.
    pub(super) fn tell_limit(&mut self, tail: &Tail<'_>) {
        let is_limited = tail.limit.is_some() || tail.offset.is_some();
        if let (Some(tree), Node::Limit { limit, offset, with_ties, .. }, true) =
            (&mut self.tree, &self.node, is_limited)
        {
            tree.tail.limit.clone_from(limit);
            tree.tail.offset.clone_from(offset);
            tree.tail.with_ties = *with_ties;
        }
    }

    /// Of a select list, what stands behind the first `count`.
    pub(super) fn without_targets(&mut self, count: usize) {
        if let Some(tree) = &mut self.tree
            && let Body::Select(select) = &mut tree.body
        {
            select.targets.truncate(count);
            tree.columns.truncate(count);
        }
    }

    pub(super) fn tell_order(&mut self, keys: &[SortKey]) {
        if let Some(tree) = &mut self.tree {
            tree.tail.order_by = keys.to_vec();
            tree.columns = outputs(&self.columns);
        }
    }
}

impl Binder<'_> {
    pub(super) fn is_recording(&self) -> bool {
        self.record.is_some()
    }

    pub(super) fn record_made(&mut self, column: ColumnId, made: impl FnOnce() -> Made) {
        if let Some(record) = &mut self.record {
            record.made.push((column, made()));
        }
    }

    pub(super) fn record_source(&mut self, source: impl FnOnce() -> Source) {
        if let Some(record) = &mut self.record {
            record.source = Some(source());
        }
    }

    pub(super) fn next_item(&mut self) -> u32 {
        match &mut self.record {
            Some(record) => {
                record.items += 1;
                record.items
            }
            None => 0,
        }
    }

    // --- queries

    pub(super) fn tree_of(&self, body: impl FnOnce() -> Body, names: &[Name]) -> Option<Box<QueryTree>> {
        let tree = |body| QueryTree {
            with: vec![],
            is_recursive: false,
            body,
            tail: TailTree::default(),
            columns: outputs(names),
        };
        self.is_recording().then(|| Box::new(tree(body())))
    }

    pub(super) fn select_tree(&mut self, parts: &SelectParts<'_>) -> Result<Option<Box<QueryTree>>> {
        if !self.is_recording() {
            return Ok(None);
        }
        let scope = self.scope()?;
        let (from, windows) = (std::mem::take(&mut scope.from_trees), std::mem::take(&mut scope.window_trees));
        let locks = std::mem::take(&mut scope.lock_trees);
        let targets = parts.exprs.iter().map(|(id, expr)| Target {
            name: parts.names.iter().find(|n| n.id == *id).map(|n| n.name.clone()),
            id: *id,
            expr: expr.clone(),
        });
        let select = SelectTree {
            distinct: parts.distinct.clone(),
            targets: targets.collect(),
            from,
            filter: parts.filter.to_vec(),
            groups: parts.groups.trees.clone(),
            groups_are_distinct: parts.groups.is_distinct,
            having: parts.having.cloned(),
            windows,
        };
        let mut tree = self.tree_of(|| Body::Select(Box::new(select)), parts.names);
        if let Some(tree) = &mut tree {
            tree.tail = TailTree { order_by: parts.keys.to_vec(), locks, ..TailTree::default() };
        }
        Ok(tree)
    }

    /// `TABLE t`: all columns of its one FROM item.
    pub(super) fn table_tree(&mut self, from: Option<FromTree>, columns: &[Name]) -> Option<Box<QueryTree>> {
        let targets = columns.iter().map(|n| {
            let id = self.new_column(&n.name, n.ty, 0, 0);
            Target { name: Some(n.name.clone()), id, expr: Expr::column(n.id, n.ty) }
        });
        let select = SelectTree {
            distinct: DistinctTree::No,
            targets: targets.collect(),
            from: from.into_iter().collect(),
            filter: vec![],
            groups: vec![],
            groups_are_distinct: false,
            having: None,
            windows: vec![],
        };
        self.tree_of(|| Body::Select(Box::new(select)), columns)
    }

    // --- FROM

    /// The item that was bound last, from the scope's item `start` on.
    pub(super) fn item_tree(
        &mut self,
        alias: Option<&TableAlias>,
        is_lateral: bool,
        start: usize,
    ) -> Result<Option<FromTree>> {
        let Some(source) = self.record.as_mut().and_then(|r| r.source.take()) else { return Ok(None) };
        let number = self.next_item();
        let Some(item) = self.scope()?.items.get(start..).and_then(<[Item]>::last).cloned() else { return Ok(None) };
        if matches!(source, Source::Relation(..) | Source::Query(_)) {
            self.record_locks(&item.alias, number)?;
        }
        let name = |what: ScanColumn| match what {
            ScanColumn::TableOid => Some("tableoid"),
            ScanColumn::CommitTimestamp => Some("_ts"),
            ScanColumn::ValidFrom => Some("_valid_from"),
            ScanColumn::ValidTo => Some("_valid_to"),
            ScanColumn::Document => Some("_doc"),
            ScanColumn::WholeRow => Some("*"),
            ScanColumn::Tail | ScanColumn::Attribute(_) | ScanColumn::RowKey => None,
        };
        Ok(Some(FromTree::Item(Box::new(ItemTree {
            number,
            source,
            is_aliased: alias.is_some(),
            renamed: alias.map_or(0, |a| a.columns.len()),
            is_lateral,
            columns: outputs(&item.columns),
            hidden: item.hidden.iter().map(|h| (name(h.what), h.id)).collect(),
            alias: item.alias,
        }))))
    }

    fn record_locks(&mut self, alias: &str, item: u32) -> Result<()> {
        let wishes = self.locks_of(alias)?;
        let Some(mode) = wishes.iter().map(|w| w.mode).max() else { return Ok(()) };
        let wait = super::locking::strictest(&wishes);
        self.scope()?.lock_trees.push(LockTree { item, mode, wait });
        Ok(())
    }

    /// A FROM item's whole row, which it has under a record whatever it is.
    pub(super) fn with_row(&mut self, mut item: Item) -> Item {
        let has_row = item.hidden.iter().any(|h| h.what == ScanColumn::WholeRow);
        if self.is_recording() && !has_row && !item.alias.is_empty() {
            let ty = self.row_type_of(&item.columns);
            let row = self.hidden(ScanColumn::WholeRow, ty);
            item.hidden.push(row);
        }
        item
    }

    // --- calls of users' functions

    /// The call itself, in place of its body.
    pub(super) fn recorded_call(&self, call: &UserCall) -> Expr {
        let body = Expr::constant(Datum::Null, call.result);
        let function = Some(Arc::clone(&call.function));
        let inlined = Inlined { function, operator: None, args: call.args.clone(), body };
        Expr::new(ExprKind::Inlined(Box::new(inlined)), call.result, call.position)
    }

    pub(super) fn recorded_value(&mut self, call: &UserCall) -> Result<Expr> {
        let value = self.recorded_call(call);
        if !call.function.returns_set {
            return Ok(value);
        }
        let set = self.set_returning(value, call.position)?;
        if let ExprKind::Column(id) = set.kind
            && call.outputs.len() > 1
        {
            self.records.push((id, call.outputs.clone()));
        }
        Ok(set)
    }

    // --- grouping

    /// One item of GROUP BY; its expressions have been bound once already.
    pub(super) fn group_tree(
        &mut self,
        item: &ast::Expr,
        groups: &mut Groups,
        names: &[Name],
        exprs: &[(ColumnId, Expr)],
    ) -> Result<GroupTree> {
        let mut set = |binder: &mut Self, parts: &[ast::Expr]| -> Result<Vec<Expr>> {
            parts.iter().map(|part| binder.group_value(part, groups, names, exprs)).collect()
        };
        Ok(match item {
            ast::Expr::Tuple(parts) => GroupTree::Set(set(self, parts)?),
            ast::Expr::Rollup(sets) => {
                GroupTree::Rollup(sets.iter().map(|parts| set(self, parts)).collect::<Result<_>>()?)
            }
            ast::Expr::Cube(sets) => GroupTree::Cube(sets.iter().map(|parts| set(self, parts)).collect::<Result<_>>()?),
            ast::Expr::GroupingSets(sets) => {
                let mut trees = vec![];
                for parts in sets {
                    trees.push(match super::group::inner_sets(parts)? {
                        Some(inner) => self.group_tree(&inner, groups, names, exprs)?,
                        None => GroupTree::Set(
                            parts.iter().map(|p| self.group_value(p, groups, names, exprs)).collect::<Result<_>>()?,
                        ),
                    });
                }
                GroupTree::Sets(trees)
            }
            one => GroupTree::Set(set(self, std::slice::from_ref(one))?),
        })
    }

    // --- WITH

    pub(super) fn with_tree(
        name: &str,
        syntax: &ast::Cte,
        query: QueryTree,
        growth: (Option<SearchTree>, Option<CycleTree>),
    ) -> WithTree {
        let materialized = syntax.materialized.map(|m| matches!(m, ast::CteAsMaterialized::Materialized));
        WithTree {
            name: name.to_owned(),
            columns: syntax.alias.columns.iter().map(|c| fold(&c.name)).collect(),
            materialized,
            query,
            search: growth.0,
            cycle: growth.1,
        }
    }

    /// Types of a column definition list.
    pub(super) fn definition_types(
        &mut self,
        alias: Option<&TableAlias>,
        position: u32,
    ) -> Result<Option<Vec<SqlType>>> {
        let definitions = alias.map(|a| a.columns.as_slice()).unwrap_or_default();
        if !definitions.iter().any(|c| c.data_type.is_some()) {
            return Ok(None);
        }
        let types = definitions.iter().filter_map(|c| c.data_type.as_ref());
        types.map(|ty| self.data_type(ty, position)).collect::<Result<_>>().map(Some)
    }
}
