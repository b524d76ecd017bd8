//! GROUP BY with grouping sets, HAVING and aggregates: the Aggregate node, and what the expressions above it may still see.

use super::aggregate::none_left_out;
use super::from::conjuncts;
use super::scope::{Clause, GroupingCall, Name};
use super::set_returning::{SetCall, expanded, needed_by};
use super::window::BoundWindow;
use super::{Binder, start, unsupported, walk};
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{ColumnId, Node, ScanColumn, SortKey};
use crate::parse::forms;
use crate::plan::columns;
use crate::tree::GroupTree;
use sqlparser::ast::{self, GroupByExpr};
use types::{Result, SqlError, SqlState, SqlType};

/// Grouping sets of one query.
const SETS_MAX: usize = 4_096;
/// Elements of a CUBE.
const CUBE_MAX: usize = 12;

/// What is computed from the groups.
pub(super) struct Parts<'p> {
    pub(super) exprs: &'p mut Vec<(ColumnId, Expr)>,
    pub(super) having: Option<Expr>,
    pub(super) keys: &'p mut Vec<SortKey>,
    pub(super) windows: &'p mut Vec<BoundWindow>,
    pub(super) set_calls: &'p mut Vec<SetCall>,
}

impl Parts<'_> {
    fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        let exprs = self.exprs.iter_mut().map(|(_, e)| e).chain(self.having.as_mut());
        let keys = self.keys.iter_mut().map(|k| &mut k.expr);
        let windows = self.windows.iter_mut().flat_map(BoundWindow::exprs_mut);
        exprs.chain(keys).chain(windows).chain(self.set_calls.iter_mut().map(|s| &mut s.call)).collect()
    }
}

/// GROUP BY as bound: the distinct expressions, and the sets of them if there is more than one.
#[derive(Default)]
pub(super) struct Groups {
    exprs: Vec<Expr>,
    sets: Option<Vec<Vec<usize>>>,
    pub(super) is_written: bool,
    /// GROUP BY DISTINCT.
    pub(super) is_distinct: bool,
    /// Under a record: the items.
    pub(super) trees: Vec<GroupTree>,
}

/// Whether two expressions are the same but for where they stand. Subqueries never are.
pub(super) fn same(a: &Expr, b: &Expr) -> bool {
    let plain = |e: &Expr| {
        let mut e = e.clone();
        e.rewrite(&mut |n| {
            n.position = 0;
            if let ExprKind::Inlined(call) = &mut n.kind {
                *n = call.body.clone();
            }
            // A cast is the same, asked for or not.
            if let ExprKind::Call { form, .. }
            | ExprKind::Relabel(_, form)
            | ExprKind::InOut(_, form)
            | ExprKind::ToDomain { form, .. } = &mut n.kind
                && matches!(form, CallForm::ExplicitCast)
            {
                *form = CallForm::ImplicitCast;
            }
        });
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
    /// Binds GROUP BY over the select list's `names` and `exprs`.
    pub(super) fn group_by(
        &mut self,
        group_by: &GroupByExpr,
        names: &[Name],
        exprs: &[(ColumnId, Expr)],
    ) -> Result<Groups> {
        let syntax = match group_by {
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => exprs,
            _ => return Err(unsupported("GROUP BY ALL", 0)),
        };
        let mut groups = Groups { is_written: !syntax.is_empty(), ..Groups::default() };
        let clause = self.enter(Clause::GroupBy);
        let bound = self.group_items(syntax, &mut groups, names, exprs);
        self.enter(clause);
        bound?;
        Ok(groups)
    }

    fn group_items(
        &mut self,
        items: &[ast::Expr],
        groups: &mut Groups,
        names: &[Name],
        exprs: &[(ColumnId, Expr)],
    ) -> Result<()> {
        let mut sets: Vec<Vec<usize>> = vec![vec![]];
        let mut is_distinct = false;
        for item in items {
            if let ast::Expr::Identifier(ident) = item
                && forms::marked(ident) == Some(forms::DISTINCT)
            {
                is_distinct = true;
                continue;
            }
            let alternatives = self.group_item(item, groups, names, exprs)?;
            if self.is_recording() {
                let tree = self.group_tree(item, groups, names, exprs)?;
                groups.trees.push(tree);
            }
            if sets.len().saturating_mul(alternatives.len()) > SETS_MAX {
                let message = format!("too many grouping sets present (maximum {SETS_MAX})");
                return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message).at(self.group_position(item)));
            }
            sets = sets.iter().flat_map(|set| alternatives.iter().map(|more| union(set, more))).collect();
        }
        groups.is_distinct = is_distinct;
        if is_distinct {
            let mut kept: Vec<Vec<usize>> = vec![];
            for set in sets {
                let like = |other: &Vec<usize>| other.len() == set.len() && set.iter().all(|g| other.contains(g));
                if !kept.iter().any(like) {
                    kept.push(set);
                }
            }
            sets = kept;
        }
        let is_one = matches!(sets.as_slice(), [one] if one.len() == groups.exprs.len());
        groups.sets = (!is_one).then_some(sets);
        Ok(())
    }

    fn group_position(&self, item: &ast::Expr) -> u32 {
        self.at(start::of_expr(item))
    }

    /// The sets that one item of GROUP BY stands for.
    fn group_item(
        &mut self,
        item: &ast::Expr,
        groups: &mut Groups,
        names: &[Name],
        exprs: &[(ColumnId, Expr)],
    ) -> Result<Vec<Vec<usize>>> {
        let mut together = |binder: &mut Self, parts: &[ast::Expr]| -> Result<Vec<usize>> {
            let mut set = vec![];
            for part in parts {
                let index = binder.group(part, groups, names, exprs)?;
                if !set.contains(&index) {
                    set.push(index);
                }
            }
            Ok(set)
        };
        match item {
            ast::Expr::Tuple(parts) => Ok(vec![together(self, parts)?]),
            ast::Expr::Rollup(elements) => {
                let elements = elements.iter().map(|e| together(self, e)).collect::<Result<Vec<_>>>()?;
                Ok((0..=elements.len()).rev().map(|n| joined(elements.iter().take(n))).collect())
            }
            ast::Expr::Cube(elements) => {
                if elements.len() > CUBE_MAX {
                    let message = format!("CUBE is limited to {CUBE_MAX} elements");
                    return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message).at(self.group_position(item)));
                }
                let elements = elements.iter().map(|e| together(self, e)).collect::<Result<Vec<_>>>()?;
                let chosen = |mask: usize| {
                    joined(elements.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, e)| e))
                };
                Ok((0..1usize << elements.len()).rev().map(chosen).collect())
            }
            ast::Expr::GroupingSets(sets) => {
                let mut all = vec![];
                for set in sets {
                    match (inner_sets(set)?, set.as_slice()) {
                        (Some(inner), _) => {
                            all.extend(self.group_item(&inner, groups, names, exprs)?);
                        }
                        (None, parts) => {
                            let mut index = vec![];
                            for part in parts {
                                let at = self.group(part, groups, names, exprs)?;
                                if !index.contains(&at) {
                                    index.push(at);
                                }
                            }
                            all.push(index);
                        }
                    }
                }
                Ok(all)
            }
            one => Ok(vec![vec![self.group(one, groups, names, exprs)?]]),
        }
    }

    /// The same as an expression.
    pub(super) fn group_value(
        &mut self,
        syntax: &ast::Expr,
        groups: &mut Groups,
        names: &[Name],
        exprs: &[(ColumnId, Expr)],
    ) -> Result<Expr> {
        let number = self.group(syntax, groups, names, exprs)?;
        groups.exprs.get(number).cloned().ok_or_else(|| SqlError::internal("a group has an expression"))
    }

    /// The number of a grouping expression among the different ones.
    fn group(
        &mut self,
        syntax: &ast::Expr,
        groups: &mut Groups,
        names: &[Name],
        exprs: &[(ColumnId, Expr)],
    ) -> Result<usize> {
        let expr = self.group_expr(syntax, names, exprs)?;
        if let Some(known) = groups.exprs.iter().position(|e| same(e, &expr)) {
            return Ok(known);
        }
        self.require_equality(expr.ty, expr.position)?;
        groups.exprs.push(expr);
        Ok(groups.exprs.len() - 1)
    }

    /// An input column by name first, then an output column by name or number.
    fn group_expr(&mut self, syntax: &ast::Expr, names: &[Name], exprs: &[(ColumnId, Expr)]) -> Result<Expr> {
        let position = self.group_position(syntax);
        let expr_of = |id: ColumnId| exprs.iter().find(|(i, _)| *i == id).map(|(_, e)| e);
        let is_input = match syntax {
            ast::Expr::Identifier(name) => {
                let name = super::scope::fold(name);
                let items = self.scope()?.items.iter();
                items.filter(|i| i.columns_visible).any(|i| i.columns.iter().any(|c| c.name == name))
            }
            _ => false,
        };
        let like = |a: &Name, b: &Name| match (expr_of(a.id), expr_of(b.id)) {
            (Some(a), Some(b)) => same(a, b),
            _ => false,
        };
        if !is_input && let Some(output) = self.output_like(syntax, names, "GROUP BY", like)? {
            let expr = expr_of(output.id).cloned().ok_or_else(|| SqlError::internal("an output has an expression"))?;
            self.check_group_output(&expr, position)?;
            return Ok(expr);
        }
        let expr = self.expr(syntax)?;
        self.known(expr)
    }

    /// An output that is grouped by may hold no aggregates and no window functions.
    fn check_group_output(&self, expr: &Expr, _position: u32) -> Result<()> {
        let Some(scope) = self.scopes.last() else { return Ok(()) };
        let mut failed = None;
        expr.any(&mut |e| {
            if let ExprKind::Column(id) = e.kind
                && failed.is_none()
            {
                if scope.aggregates.iter().any(|a| a.output == id) {
                    let message = "aggregate functions are not allowed in GROUP BY";
                    failed = Some(SqlError::new(SqlState::GROUPING_ERROR, message).at(e.position));
                } else if scope.windows.iter().any(|w| w.calls.iter().any(|c| c.output == id)) {
                    let message = "window functions are not allowed in GROUP BY";
                    failed = Some(SqlError::new(SqlState::WINDOWING_ERROR, message).at(e.position));
                }
            }
            failed.is_some()
        });
        failed.map_or(Ok(()), Err)
    }

    /// Puts the Aggregate over `node` where the query groups, and makes everything above read its columns.
    pub(super) fn grouped(&mut self, node: Node, mut groups: Groups, mut parts: Parts<'_>) -> Result<Node> {
        let scope = self.scope()?;
        let calls = std::mem::take(&mut scope.aggregates);
        let calls_at = std::mem::take(&mut scope.aggregates_at);
        let groupings = std::mem::take(&mut scope.groupings);
        if !groups.is_written && calls.is_empty() && groupings.is_empty() && parts.having.is_none() {
            return Ok(node);
        }
        if self.scope()?.reads_itself
            && let Some(position) = calls_at.first()
        {
            let message = "aggregate functions are not allowed in a recursive query's recursive term";
            return Err(SqlError::new(SqlState::INVALID_RECURSION, message).at(*position));
        }
        // A merged column is what it is computed from, as far as groups are concerned.
        let merged = self.scope()?.merged.clone();
        parts.exprs_mut().into_iter().chain(&mut groups.exprs).for_each(|e| replace_columns(e, &merged));
        self.add_dependent(&mut groups, &mut parts)?;
        let mut below = vec![];
        for expr in &groups.exprs {
            below.push((self.new_column("group", expr.ty, 0, 0), expr.clone()));
        }
        let ids: Vec<ColumnId> = below.iter().map(|(id, _)| *id).collect();
        let (mut outputs, mut set_id) = (ids.clone(), None);
        if groups.sets.is_some() {
            outputs.clear();
            for expr in &groups.exprs {
                outputs.push(self.new_column("group", expr.ty, 0, 0));
            }
            set_id = Some(self.new_column("grouping set", SqlType::INT8, 0, 0));
        }
        let above: Vec<(ColumnId, Expr)> = outputs.iter().copied().zip(groups.exprs.iter().cloned()).collect();
        let (group_sets, rest) = needed_by(std::mem::take(parts.set_calls), &groups.exprs.iter().collect::<Vec<_>>());
        *parts.set_calls = rest;
        for direct in calls.iter().flat_map(|call| &call.direct) {
            let mut direct = direct.clone();
            replace_groups(&mut direct, &above);
            let detail = "Direct arguments of an ordered-set aggregate must use only grouped columns.";
            self.check_grouped(&direct).map_err(|e| e.detail(detail))?;
        }
        let groupings = self.grouping_values(groupings, &groups, set_id)?;
        for expr in parts.exprs_mut() {
            replace_groups(expr, &above);
            self.check_grouped(expr)?;
            replace_columns(expr, &groupings);
        }
        let node = expanded(node, &group_sets);
        let input =
            Box::new(if below.is_empty() { node } else { Node::Project { input: Box::new(node), exprs: below } });
        let aggregate =
            Node::Aggregate { input, group_outputs: outputs, groups: ids, sets: groups.sets, set_id, calls };
        Ok(match parts.having.take() {
            Some(condition) => Node::Filter { input: Box::new(aggregate), predicate: conjuncts(condition) },
            None => aggregate,
        })
    }

    /// Columns of a relation whose primary key is grouped by are as good as grouped by.
    fn add_dependent(&mut self, groups: &mut Groups, parts: &mut Parts<'_>) -> Result<()> {
        let mut used = columns::ColumnSet::new();
        parts.exprs_mut().into_iter().for_each(|e| columns::add_used(e, &mut used));
        let is_grouped = |id: ColumnId| {
            let index = groups.exprs.iter().position(|e| matches!(e.kind, ExprKind::Column(c) if c == id));
            index.is_some_and(|g| groups.sets.as_ref().is_none_or(|sets| sets.iter().all(|s| s.contains(&g))))
        };
        let mut dependent = vec![];
        for item in &self.scope()?.items {
            let Some(relation) = item.relation.as_ref().filter(|r| !r.key.is_empty()) else { continue };
            if item.hidden.iter().any(|h| h.what == ScanColumn::ValidFrom) {
                continue; // of versions of rows the key tells nothing
            }
            let of_attribute = |number: i16| {
                let index = relation.live_columns().position(|c| c.number == number);
                index.and_then(|i| item.columns.get(i)).map(|c| c.id)
            };
            if relation.key.iter().all(|n| of_attribute(*n).is_some_and(is_grouped)) {
                let columns = item.columns.iter().filter(|c| used.contains(&c.id) && !is_grouped(c.id));
                dependent.extend(columns.map(|c| Expr::column(c.id, c.ty)));
            }
        }
        for expr in dependent {
            if groups.exprs.iter().any(|e| same(e, &expr)) {
                continue;
            }
            groups.exprs.push(expr);
            let index = groups.exprs.len() - 1;
            groups.sets.iter_mut().flatten().for_each(|set| set.push(index));
        }
        Ok(())
    }

    fn grouping_values(
        &self,
        calls: Vec<GroupingCall>,
        groups: &Groups,
        set_id: Option<ColumnId>,
    ) -> Result<Vec<(ColumnId, Expr)>> {
        let mut values = vec![];
        for call in calls {
            let mut indexes = vec![];
            for arg in &call.args {
                let index = groups.exprs.iter().position(|e| same(e, arg));
                indexes.push(index.ok_or_else(|| {
                    let message = "arguments to GROUPING must be grouping expressions of the associated query level";
                    SqlError::new(SqlState::GROUPING_ERROR, message).at(arg.position)
                })?);
            }
            let value = match set_id {
                None => none_left_out(0),
                Some(id) => {
                    let set_id = Box::new(Expr::column(id, SqlType::INT8));
                    Expr::new(ExprKind::Grouping { set_id, groups: indexes }, SqlType::INT4, 0)
                }
            };
            values.push((call.output, value));
        }
        Ok(values)
    }

    /// 42803 for a column of this query that is neither grouped nor in an aggregate.
    fn check_grouped(&self, expr: &Expr) -> Result<()> {
        let Some(scope) = self.scopes.last() else { return Ok(()) };
        let mut found: Option<(ColumnId, u32, bool)> = None;
        let mut subqueries = vec![];
        expr.any(&mut |e| {
            match &e.kind {
                ExprKind::Column(id) if scope.has_column(*id) => found = found.or(Some((*id, e.position, false))),
                ExprKind::Subquery(subquery) => subqueries.push(subquery.plan.clone()),
                _ => {}
            }
            found.is_some()
        });
        for plan in &mut subqueries {
            walk::each_expr_mut(plan, &mut |e| {
                each_node(e, &mut |e| {
                    if let ExprKind::Column(id) = e.kind
                        && scope.has_column(id)
                    {
                        found = found.or(Some((id, e.position, true)));
                    }
                });
            });
        }
        let Some((id, position, in_subquery)) = found else { return Ok(()) };
        let named = scope.items.iter().filter(|i| !i.alias.is_empty()).chain(&scope.items);
        let mut owners = named.filter_map(|i| i.columns.iter().find(|c| c.id == id).map(|c| (&i.alias, &c.name)));
        let Some((table, column)) = owners.next() else { return Ok(()) };
        let message = match in_subquery {
            true => format!("subquery uses ungrouped column \"{table}.{column}\" from outer query"),
            false => format!(
                "column \"{table}.{column}\" must appear in the GROUP BY clause or be used in an aggregate function"
            ),
        };
        Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position))
    }
}

/// Visits an expression's nodes, those of its subqueries' plans too.
fn each_node(expr: &mut Expr, visit: &mut dyn FnMut(&mut Expr)) {
    visit(expr);
    if let ExprKind::Subquery(subquery) = &mut expr.kind {
        walk::each_expr_mut(&mut subquery.plan, &mut |e| each_node(e, visit));
    }
    expr.children_mut().into_iter().for_each(|child| each_node(child, visit));
}

fn union(set: &[usize], more: &[usize]) -> Vec<usize> {
    let mut all = set.to_vec();
    all.extend(more.iter().filter(|g| !set.contains(g)));
    all
}

fn joined<'s>(sets: impl Iterator<Item = &'s Vec<usize>>) -> Vec<usize> {
    sets.fold(vec![], |all, set| union(&all, set))
}

/// Inside GROUPING SETS the parser takes ROLLUP and its like for calls.
fn is_nested_sets(call: &ast::Function) -> bool {
    let name = call.name.0.last().and_then(|p| p.as_ident());
    name.is_some_and(|n| n.quote_style.is_none() && matches!(n.value.to_lowercase().as_str(), "rollup" | "cube"))
}

/// ROLLUP and its like as one of several grouping sets.
pub(super) fn inner_sets(set: &[ast::Expr]) -> Result<Option<ast::Expr>> {
    match set {
        [ast::Expr::Function(call)] if is_nested_sets(call) => nested_sets(call).map(Some),
        _ => Ok(None),
    }
}

fn nested_sets(call: &ast::Function) -> Result<ast::Expr> {
    let ast::FunctionArguments::List(list) = &call.args else { return Err(unsupported("this grouping set", 0)) };
    let mut elements = vec![];
    for arg in &list.args {
        let ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(arg)) = arg else {
            return Err(unsupported("this grouping set", 0));
        };
        elements.push(match arg {
            ast::Expr::Tuple(parts) => parts.clone(),
            ast::Expr::Nested(inner) => vec![(**inner).clone()],
            one => vec![one.clone()],
        });
    }
    let name = call.name.0.last().and_then(|p| p.as_ident()).map(|n| n.value.to_lowercase()).unwrap_or_default();
    Ok(match name.as_str() {
        "rollup" => ast::Expr::Rollup(elements),
        _ => ast::Expr::Cube(elements),
    })
}

/// Where an expression of GROUP BY stands in `expr`, its column is read instead, in subqueries too.
fn replace_groups(expr: &mut Expr, groups: &[(ColumnId, Expr)]) {
    if let Some((id, group)) = groups.iter().find(|(_, group)| same(group, expr)) {
        *expr = Expr { position: expr.position, ..Expr::column(*id, group.ty) };
        return;
    }
    if let ExprKind::Subquery(subquery) = &mut expr.kind {
        walk::each_expr_mut(&mut subquery.plan, &mut |e| replace_groups(e, groups));
        let free = columns::free(&subquery.plan);
        subquery.correlated = free.into_iter().collect();
    }
    for child in expr.children_mut() {
        replace_groups(child, groups);
    }
}

/// Columns that stand for a value which was not known yet.
fn replace_columns(expr: &mut Expr, values: &[(ColumnId, Expr)]) {
    if values.is_empty() {
        return;
    }
    each_node(expr, &mut |e| {
        if let ExprKind::Column(id) = e.kind
            && let Some((_, value)) = values.iter().find(|(output, _)| *output == id)
        {
            *e = Expr { position: e.position, ..value.clone() };
        }
    });
}
