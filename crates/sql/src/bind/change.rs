//! UPDATE and DELETE.

use super::assign::{Place, refuse_default};
use super::fields::Fields;
use super::from::cross;
use super::hidden::Hidden;
use super::query::BoundQuery;
use super::rules::with_rule_rows;
use super::scope::{Clause, Item, Name, Scope, fold};
use super::target::{give_hidden, is_default, no_such_column, refuse_generated, write};
use super::view_target::{ViewRow, WriteRelation, resolve_computed};
use super::{Binder, unsupported};
use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, Delete, Node, ScanColumn, Subquery, SubqueryKind, Update};
use crate::tree::Change;
use catalog::{Relation, RelationKind, privilege};
use sqlparser::ast::{self, AssignmentTarget, Spanned, TableFactor, TableWithJoins};
use std::sync::Arc;
use types::{Result, SqlError, SqlState, SqlType};

/// The target of a change, scanned with the keys of its rows.
pub(super) struct Scanned {
    pub(super) relation: Arc<Relation>,
    pub(super) written: WriteRelation,
    /// The row as the statement sees it.
    pub(super) seen: ViewRow,
    pub(super) alias: String,
    /// The target's own columns.
    pub(super) names: Vec<Name>,
    pub(super) node: Node,
    pub(super) row_key: ColumnId,
    old_row: Vec<(ScanColumn, ColumnId)>,
    /// What its rows have besides declared columns.
    fields: Vec<(ScanColumn, ColumnId)>,
    /// Rules take over from the statement.
    is_for_rules: bool,
}

impl Scanned {
    /// The old row with the fields that these expressions read.
    pub(super) fn old_row_for<'e>(&self, exprs: impl Iterator<Item = &'e Expr>) -> Vec<(ScanColumn, ColumnId)> {
        let mut used = crate::plan::columns::ColumnSet::new();
        exprs.for_each(|e| crate::plan::columns::add_used(e, &mut used));
        let fields = self.fields.iter().filter(|(_, id)| used.contains(id));
        self.old_row.iter().chain(fields).copied().collect()
    }
}

/// A target's rows, before the statement has narrowed them.
struct TargetRows {
    node: Node,
    names: Vec<Name>,
    row_key: ColumnId,
    old_row: Vec<(ScanColumn, ColumnId)>,
    hidden: Vec<Hidden>,
}

/// Fewer rows, to be checked again where a newer version of one is met.
fn narrowed(input: Node, mut recheck: Vec<Expr>, kept: Vec<Expr>) -> (Node, Vec<Expr>) {
    if kept.is_empty() {
        return (input, recheck);
    }
    recheck.extend(kept.iter().cloned());
    (Node::Filter { input: Box::new(input), predicate: kept }, recheck)
}

/// What an UPDATE does to which rows.
pub(super) struct Updating {
    pub(super) scanned: Scanned,
    pub(super) input: Node,
    /// The input without the target, for rules that do not read it.
    pub(super) beside: Node,
    pub(super) recheck: Vec<Expr>,
    pub(super) assigned: Assigned,
}

/// The rows of a DELETE.
pub(super) struct Deleting {
    pub(super) scanned: Scanned,
    pub(super) input: Node,
    /// As in `Updating`.
    pub(super) beside: Node,
    pub(super) recheck: Vec<Expr>,
}

/// Target and FROM, joined and filtered.
pub(super) struct ChangeInput {
    node: Node,
    beside: Node,
    /// The predicate for the check on a newer version.
    recheck: Vec<Expr>,
}

impl Binder<'_> {
    pub(super) fn update(&mut self, update: &ast::Update) -> Result<BoundQuery> {
        self.scopes.push(Scope::default());
        let bound = self.update_in_scope(update);
        self.scopes.pop();
        bound
    }

    /// The rows and what is assigned, over a scope of their own.
    pub(super) fn update_rows(&mut self, update: &ast::Update) -> Result<Updating> {
        if update.or.is_some() || update.limit.is_some() || !update.order_by.is_empty() {
            return Err(unsupported("this form of UPDATE", self.at(update.table.span())));
        }
        let from = match &update.from {
            None => &[],
            Some(ast::UpdateTableFromKind::AfterSet(from)) => from.as_slice(),
            Some(ast::UpdateTableFromKind::BeforeSet(_)) => {
                return Err(unsupported("FROM before SET", self.at(update.table.span())));
            }
        };
        let scanned = self.changed(&update.table, privilege::UPDATE)?;
        let ChangeInput { node: input, beside, recheck } =
            self.change_input(&scanned, from, update.selection.as_ref())?;
        self.scope()?.clause = Clause::Set;
        let assigned = self.assignments(&scanned.written, &update.assignments)?;
        self.record_kind(|| Change::Update(assigned.columns.clone()));
        if assigned.tail.is_some() {
            self.record_untold();
        }
        Ok(Updating { scanned, input, beside, recheck, assigned })
    }

    fn update_in_scope(&mut self, update: &ast::Update) -> Result<BoundQuery> {
        let negated = std::mem::take(&mut self.negated);
        let Updating { scanned, input, recheck, assigned, .. } = self.update_rows(update)?;
        let (input, recheck) = match negated.is_empty() {
            true => (input, recheck),
            false => {
                let (new, computed) = self.new_names(&scanned.relation, &scanned.names, assigned.columns.clone());
                let kept = self.not_replaced(&negated, Some(&scanned.names), Some(&new), &computed)?;
                narrowed(input, recheck, kept)
            }
        };
        let relation = scanned.relation.clone();
        let Assigned { columns: assignments, tail } = assigned;
        let (mut target, new_row) = self.write_target(&relation)?;
        target.view_checks = self.view_checks(&scanned.written, &new_row.names)?;
        let generated = self.generated(&relation, &new_row)?;
        let seen_new = self.seen_row(&scanned.written, &new_row.names)?;
        // RETURNING reads the new row where the old one stood.
        if let Some(item) = self.scope()?.items.iter_mut().find(|i| i.alias == scanned.alias) {
            *item = new_row.seen_item(&scanned.written, &scanned.alias, seen_new.names.clone());
        }
        self.record_target(&scanned.written.shown, &scanned.alias, false)?;
        let (returning, names) = self.returning(update.returning.as_deref())?;
        self.record_returning(&returning, &names);
        give_hidden(&mut target, &new_row, &generated, &returning);
        let read = recheck.iter().chain(assignments.iter().map(|(_, e)| e)).chain(&tail);
        let read: Vec<&Expr> = read.chain(returning.iter().map(|(_, e)| e)).collect();
        let assigned: Vec<i16> = assignments.iter().map(|(n, _)| *n).collect();
        let seen: Vec<_> = scanned.seen.names.iter().cloned().chain(seen_new.names).collect();
        self.need_on_views(&scanned.written, privilege::UPDATE, &assigned, &seen, &read);
        let node = Update {
            old_row: scanned.old_row_for(read.into_iter()),
            target,
            input,
            row_key: scanned.row_key,
            assignments,
            generated,
            tail,
            recheck,
            returning,
        };
        let mut node = Node::Update(Box::new(node));
        let computed: Vec<_> = scanned.seen.computed.into_iter().chain(seen_new.computed).collect();
        resolve_computed(&mut node, &computed);
        Ok(write(node, names))
    }

    pub(super) fn delete(&mut self, delete: &ast::Delete) -> Result<BoundQuery> {
        self.scopes.push(Scope::default());
        let bound = self.delete_in_scope(delete);
        self.scopes.pop();
        bound
    }

    /// The rows, over a scope of their own.
    pub(super) fn delete_rows(&mut self, delete: &ast::Delete) -> Result<Deleting> {
        let (ast::FromTable::WithFromKeyword(tables) | ast::FromTable::WithoutKeyword(tables)) = &delete.from;
        let [table] = tables.as_slice() else { return Err(unsupported("DELETE from several tables", 0)) };
        if !delete.tables.is_empty() || delete.limit.is_some() || !delete.order_by.is_empty() {
            return Err(unsupported("this form of DELETE", self.at(table.span())));
        }
        let scanned = self.changed(table, privilege::DELETE)?;
        let using = delete.using.as_deref().unwrap_or_default();
        let ChangeInput { node: input, beside, recheck } =
            self.change_input(&scanned, using, delete.selection.as_ref())?;
        self.record_kind(|| Change::Delete);
        Ok(Deleting { scanned, input, beside, recheck })
    }

    fn delete_in_scope(&mut self, delete: &ast::Delete) -> Result<BoundQuery> {
        let negated = std::mem::take(&mut self.negated);
        let Deleting { scanned, input, recheck, .. } = self.delete_rows(delete)?;
        let kept = self.not_replaced(&negated, Some(&scanned.names), None, &[])?;
        let (input, recheck) = narrowed(input, recheck, kept);
        let (returning, names) = self.returning(delete.returning.as_deref())?;
        self.record_returning(&returning, &names);
        let (mut target, row) = self.write_target(&scanned.relation)?;
        give_hidden(&mut target, &row, &[], &[]);
        let row_key = scanned.row_key;
        let read: Vec<&Expr> = recheck.iter().chain(returning.iter().map(|(_, e)| e)).collect();
        self.need_on_views(&scanned.written, privilege::DELETE, &[], &scanned.seen.names, &read);
        let old_row = scanned.old_row_for(read.into_iter());
        let node = Delete { target, input, row_key, old_row, recheck, returning };
        let mut node = Node::Delete(Box::new(node));
        resolve_computed(&mut node, &scanned.seen.computed);
        Ok(write(node, names))
    }

    pub(super) fn changed(&mut self, table: &TableWithJoins, rights: u32) -> Result<Scanned> {
        let position = self.at(table.span());
        let TableFactor::Table { name, alias, args: None, sample: None, version: None, .. } = &table.relation else {
            return Err(unsupported("this target", position));
        };
        if !table.joins.is_empty() || alias.as_ref().is_some_and(|a| !a.columns.is_empty()) {
            return Err(unsupported("this target", position));
        }
        let position = self.at(name.span());
        let is_for_rules = self.rule_target.is_some();
        let written = self.write_relation(name, rights, position)?;
        let relation = written.base.clone();
        if !is_for_rules {
            self.need_to_read(&written);
        }
        let is_aliased = alias.is_some();
        let alias = alias.as_ref().map_or_else(|| written.shown.name.clone(), |a| fold(&a.name));
        let TargetRows { node, names, row_key, old_row, hidden } = self.target_rows(&written, &alias, position)?;
        let fields = hidden.iter().map(|h| (h.what, h.id)).collect();
        let seen = self.seen_row(&written, &names)?;
        let is_stored = !written.is_view() && relation.kind != RelationKind::View;
        let whole = is_stored.then(|| relation.clone());
        self.put_item(Item { relation: whole, hidden, ..Item::new(&alias, seen.names.clone()) })?;
        self.mention(written.named())?;
        self.record_target(&written.shown, &alias, is_aliased)?;
        let predicate = Self::view_predicate(&seen);
        let node = match predicate.is_empty() {
            true => node,
            false => Node::Filter { input: Box::new(node), predicate },
        };
        Ok(Scanned { relation, written, seen, alias, names, node, row_key, old_row, fields, is_for_rules })
    }

    /// A scan of the target; of a view that rules take over from, its query.
    fn target_rows(&mut self, written: &WriteRelation, alias: &str, position: u32) -> Result<TargetRows> {
        let relation = &written.base;
        let row_key = self.new_column("row key", SqlType::BYTEA, 0, 0);
        if relation.kind == RelationKind::View {
            let (node, names) = self.view_rows_of(relation, vec![], position)?;
            return Ok(TargetRows { node, names, row_key, old_row: vec![], hidden: vec![] });
        }
        let (mut scan, names) = self.scan(relation, alias);
        scan.columns.push((ScanColumn::RowKey, row_key));
        let old_row = scan.columns.iter().filter(|(what, _)| *what != ScanColumn::RowKey).copied().collect();
        let hidden = if written.is_view() { vec![] } else { self.hide(&mut scan) };
        Ok(TargetRows { node: Node::Scan(scan), names, row_key, old_row, hidden })
    }

    fn change_input(
        &mut self,
        scanned: &Scanned,
        from: &[TableWithJoins],
        selection: Option<&ast::Expr>,
    ) -> Result<ChangeInput> {
        let mut node = scanned.node.clone();
        let mut beside = Node::OneRow;
        let mut recheck = Self::view_predicate(&scanned.seen);
        if !from.is_empty() {
            // FROM may not read the target, not even LATERAL.
            self.scope()?
                .items
                .iter_mut()
                .for_each(|i| (i.lateral_only, i.lateral_allowed, i.is_target) = (true, false, true));
            let right = self.from(from)?;
            self.scope()?.items.iter_mut().for_each(|i| i.lateral_allowed = true);
            if scanned.is_for_rules {
                beside = right.clone();
            }
            node = cross(node, right);
        }
        if let Some(rows) = self.join_rule_rows()? {
            if scanned.is_for_rules {
                beside = with_rule_rows(Some(rows.clone()), beside);
            }
            node = cross(node, rows);
        }
        let Some(condition) = selection else {
            self.record_change_input(&[])?;
            return Ok(ChangeInput { node, beside, recheck });
        };
        let predicate = self.condition(condition)?;
        self.record_change_input(&predicate)?;
        recheck.extend(predicate.iter().cloned());
        if scanned.is_for_rules {
            beside = Node::Filter { input: Box::new(beside), predicate: predicate.clone() };
        }
        Ok(ChangeInput { node: Node::Filter { input: Box::new(node), predicate }, beside, recheck })
    }

    /// SET, over the innermost scope.
    pub(super) fn assignments(&mut self, written: &WriteRelation, syntax: &[ast::Assignment]) -> Result<Assigned> {
        let mut assigned = Assigned::default();
        let mut fields = Fields::default();
        for assignment in syntax {
            match &assignment.target {
                AssignmentTarget::ColumnName(name) => {
                    self.assign_one(written, name, &assignment.value, &mut assigned, &mut fields)?;
                }
                AssignmentTarget::Tuple(names) => match row_values(&assignment.value, names.len()) {
                    Some(values) => {
                        for (name, value) in names.iter().zip(values) {
                            self.assign_one(written, name, value, &mut assigned, &mut fields)?;
                        }
                    }
                    None => {
                        for (number, value) in self.assigned_row(&written.shown, names, &assignment.value)? {
                            put_once(written, &mut assigned.columns, number, value)?;
                        }
                    }
                },
            }
        }
        // DEFAULT of a generated column: it is computed anyway.
        assigned.columns.retain(|(n, _)| column_of(written, *n).is_some_and(|c| !c.is_generated));
        Ok(assigned)
    }

    /// `column = value`, a part of a column, or a field of an open collection's documents.
    fn assign_one(
        &mut self,
        written: &WriteRelation,
        name: &ast::ObjectName,
        value: &ast::Expr,
        assigned: &mut Assigned,
        fields: &mut Fields,
    ) -> Result<()> {
        let relation = &written.shown;
        let place = Place::of(name)?;
        if self.assigned_field(relation, name, &place, value, assigned, fields)? {
            return Ok(());
        }
        if let Some(()) = self.assigned_part(relation, name, value, &mut assigned.columns)? {
            return Ok(());
        }
        let (number, value) = self.assignment(relation, name, value)?;
        put_once(written, &mut assigned.columns, number, value)
    }

    /// `SET a[1] = …`: further parts of one column go into what the first made of it. None if it is a whole column.
    fn assigned_part(
        &mut self,
        relation: &Arc<Relation>,
        name: &ast::ObjectName,
        value: &ast::Expr,
        assigned: &mut Vec<(i16, Expr)>,
    ) -> Result<Option<()>> {
        let position = self.at(name.span());
        let place = Place::of(name)?;
        if place.steps.is_empty() {
            return Ok(None);
        }
        if is_default(value) {
            refuse_default(&place.steps, position)?;
        }
        let plain = ast::ObjectName::from(vec![ast::Ident::with_quote_and_span('"', name.span(), place.column)]);
        let column = self.assigned_column(relation, &plain)?;
        let known = assigned.iter_mut().find(|(n, e)| *n == column.number && is_part(e));
        let container = match &known {
            Some((_, made)) => made.clone(),
            None => self.target_column(relation, &column)?,
        };
        let value = self.expr(value)?;
        let made = self.assign_part(&column, &place.steps, container, value, position)?;
        let place = assigned.iter().position(|(n, _)| *n == column.number);
        match place.and_then(|at| assigned.get_mut(at)) {
            Some((_, known)) if is_part(known) => *known = made,
            Some(_) => return Err(assigned_twice(&column.name)),
            None => assigned.push((column.number, made)),
        }
        Ok(Some(()))
    }

    /// The target's own column, as it was.
    pub(super) fn target_column(&mut self, relation: &Relation, column: &catalog::Column) -> Result<Expr> {
        let scope = self.scope()?;
        let item = scope.items.iter().find(|i| i.relation.as_ref().is_some_and(|r| r.id == relation.id));
        let found = item.and_then(|i| i.columns.iter().find(|c| c.name == column.name));
        let found = found.ok_or_else(|| unsupported("assigning to a part of a view's column", 0))?;
        Ok(Expr::column(found.id, found.ty))
    }

    /// `(a, b) = (SELECT …)`.
    fn assigned_row(
        &mut self,
        relation: &Arc<Relation>,
        names: &[ast::ObjectName],
        value: &ast::Expr,
    ) -> Result<Vec<(i16, Expr)>> {
        let position = self.place(value);
        let mismatch = || {
            let message = "number of columns does not match number of values";
            SqlError::new(SqlState::SYNTAX_ERROR, message).at(position)
        };
        let query = match bare(value) {
            ast::Expr::Subquery(query) => query,
            ast::Expr::Tuple(_) => return Err(mismatch()),
            ast::Expr::Function(call) if is_row(call) => return Err(mismatch()),
            _ => {
                let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                return Err(SqlError::unsupported(message).at(position));
            }
        };
        let row = self.row_of_query(query, position)?;
        let ExprKind::Subquery(subquery) = &row.kind else { return Err(mismatch()) };
        let types: Vec<SqlType> = subquery
            .output
            .iter()
            .map(|id| self.columns.get(id.0 as usize).map_or(SqlType::UNKNOWN, |c| c.ty))
            .collect();
        if types.len() != names.len() {
            return Err(mismatch());
        }
        let mut assigned = vec![];
        for (index, (name, ty)) in names.iter().zip(types).enumerate() {
            let column = self.assigned_column(relation, name)?;
            let field = ExprKind::Field { row: Box::new(row.clone()), index };
            let value = self.assign(Expr::new(field, ty, position), column.declared(), &column.name)?;
            assigned.push((column.number, value));
        }
        Ok(assigned)
    }

    /// A subquery's one row as a record.
    fn row_of_query(&mut self, query: &ast::Query, position: u32) -> Result<Expr> {
        let place = self.enter_place(Some(super::with::Place::Subquery));
        let bound = self.query(query);
        self.leave_place(place);
        let bound = bound?;
        let output = bound.columns.iter().map(|c| c.id).collect();
        let (plan, correlated) = (bound.node, bound.correlated);
        let subquery = Subquery { kind: SubqueryKind::Row, plan, output, correlated, tree: None };
        Ok(Expr::new(ExprKind::Subquery(Box::new(subquery)), SqlType::RECORD, position))
    }

    fn assigned_column(&self, relation: &Arc<Relation>, name: &ast::ObjectName) -> Result<catalog::Column> {
        let position = self.at(name.span());
        let first = name.0.first().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
        let column = relation.column_by_name(&first).ok_or_else(|| no_such_column(relation, &first, position))?;
        if name.0.len() > 1 {
            return Err(unsupported("assigning to a field", position));
        }
        refuse_generated(column, "update")?;
        if column.identity == Some(catalog::Identity::Always) {
            let message = format!("column \"{first}\" can only be updated to DEFAULT");
            let detail = format!("Column \"{first}\" is an identity column defined as GENERATED ALWAYS.");
            return Err(SqlError::new(SqlState::GENERATED_ALWAYS, message).detail(detail));
        }
        Ok(column.clone())
    }

    fn assignment(
        &mut self,
        relation: &Arc<Relation>,
        name: &ast::ObjectName,
        value: &ast::Expr,
    ) -> Result<(i16, Expr)> {
        if is_default(value)
            && let [part] = name.0.as_slice()
        {
            let position = self.at(name.span());
            let name = part.as_ident().map(fold).unwrap_or_default();
            let column = relation.column_by_name(&name).ok_or_else(|| no_such_column(relation, &name, position))?;
            let default = match column.is_generated {
                true => Expr::constant(types::Datum::Null, column.ty.into()),
                false => self.default_value(relation, column)?,
            };
            return Ok((column.number, default));
        }
        let column = self.assigned_column(relation, name)?;
        let value = self.expr(value)?;
        Ok((column.number, self.assign(value, column.declared(), &column.name)?))
    }
}

/// What SET gives: columns, and the new undeclared part of a document where it reaches into that.
#[derive(Default)]
pub(super) struct Assigned {
    pub(super) columns: Vec<(i16, Expr)>,
    pub(super) tail: Option<Expr>,
}

/// Of a view too, whose computed columns have numbers of their own.
fn column_of(written: &WriteRelation, number: i16) -> Option<&catalog::Column> {
    written.shown.columns.iter().find(|c| c.number == number)
}

fn put_once(written: &WriteRelation, assigned: &mut Vec<(i16, Expr)>, number: i16, value: Expr) -> Result<()> {
    let column = column_of(written, number);
    if assigned.iter().any(|(n, _)| *n == number) {
        return Err(assigned_twice(&column.map(|c| c.name.clone()).unwrap_or_default()));
    }
    if let Some(column) = column {
        written.refuse_computed(column, "update")?;
    }
    assigned.push((number, value));
    Ok(())
}

pub(super) fn assigned_twice(name: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, format!("multiple assignments to same column \"{name}\""))
}

/// The values of a row constructor of so many, or the one value that stands for itself.
fn row_values(value: &ast::Expr, count: usize) -> Option<Vec<&ast::Expr>> {
    let values: Vec<&ast::Expr> = match bare(value) {
        ast::Expr::Subquery(_) => return None,
        ast::Expr::Tuple(values) => values.iter().collect(),
        ast::Expr::Function(call) if is_row(call) => row_arguments(call),
        _ if count == 1 => vec![value],
        _ => return None,
    };
    (values.len() == count).then_some(values)
}

/// What `assign_part` makes.
fn is_part(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::AssignSubscripts { .. } | ExprKind::Row { .. })
}

/// Without parentheses around it.
fn bare(expr: &ast::Expr) -> &ast::Expr {
    match expr {
        ast::Expr::Nested(inner) => bare(inner),
        ast::Expr::Prefixed { value, .. } => bare(value),
        other => other,
    }
}

fn is_row(call: &ast::Function) -> bool {
    matches!(call.name.0.as_slice(), [part] if part.as_ident().is_some_and(|i| i.quote_style.is_none() && i.value.eq_ignore_ascii_case("row")))
}

fn row_arguments(call: &ast::Function) -> Vec<&ast::Expr> {
    let ast::FunctionArguments::List(list) = &call.args else { return vec![] };
    let exprs = list.args.iter().filter_map(|arg| match arg {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    exprs.collect()
}
