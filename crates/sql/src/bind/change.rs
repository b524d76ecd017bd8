//! UPDATE and DELETE.

use super::from::cross;
use super::query::BoundQuery;
use super::scope::{Clause, Item, Scope, fold};
use super::target::{is_default, no_such_column, refuse_generated, write};
use super::{Binder, unsupported};
use crate::expr::Expr;
use crate::logical::{ColumnId, Delete, Node, ScanColumn, Update};
use catalog::{Relation, privilege};
use sqlparser::ast::{self, AssignmentTarget, Spanned, TableFactor, TableWithJoins};
use std::sync::Arc;
use types::{Result, SqlError, SqlState, SqlType};

/// The target of a change, scanned with the keys of its rows.
struct Scanned {
    relation: Arc<Relation>,
    alias: String,
    node: Node,
    row_key: ColumnId,
    old_row: Vec<(ScanColumn, ColumnId)>,
}

impl Binder<'_> {
    pub(super) fn update(&mut self, update: &ast::Update, with: Option<&ast::With>) -> Result<BoundQuery> {
        self.with(with)?;
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
        self.scopes.push(Scope::default());
        let bound = self.update_in_scope(update, from);
        self.scopes.pop();
        bound
    }

    fn update_in_scope(&mut self, update: &ast::Update, from: &[TableWithJoins]) -> Result<BoundQuery> {
        let scanned = self.changed(&update.table, privilege::UPDATE)?;
        let relation = scanned.relation.clone();
        let (input, recheck) = self.change_input(scanned.node, from, update.selection.as_ref())?;
        self.scope()?.clause = Clause::Other;
        let assignments = self.assignments(&relation, &update.assignments)?;
        let (target, new_row) = self.write_target(&relation)?;
        let generated = self.generated(&relation, &new_row)?;
        // RETURNING reads the new row where the old one stood.
        if let Some(item) = self.scope()?.items.iter_mut().find(|i| i.alias == scanned.alias) {
            *item = Item::new(&scanned.alias, new_row);
        }
        let (returning, names) = self.returning(update.returning.as_deref())?;
        let node = Update {
            target,
            input,
            row_key: scanned.row_key,
            old_row: scanned.old_row,
            assignments,
            generated,
            tail: None,
            recheck,
            returning,
        };
        Ok(write(Node::Update(Box::new(node)), names))
    }

    pub(super) fn delete(&mut self, delete: &ast::Delete, with: Option<&ast::With>) -> Result<BoundQuery> {
        self.with(with)?;
        let (ast::FromTable::WithFromKeyword(tables) | ast::FromTable::WithoutKeyword(tables)) = &delete.from;
        let [table] = tables.as_slice() else { return Err(unsupported("DELETE from several tables", 0)) };
        if !delete.tables.is_empty() || delete.limit.is_some() || !delete.order_by.is_empty() {
            return Err(unsupported("this form of DELETE", self.at(table.span())));
        }
        self.scopes.push(Scope::default());
        let bound = self.delete_in_scope(delete, table);
        self.scopes.pop();
        bound
    }

    fn delete_in_scope(&mut self, delete: &ast::Delete, table: &TableWithJoins) -> Result<BoundQuery> {
        let scanned = self.changed(table, privilege::DELETE)?;
        let using = delete.using.as_deref().unwrap_or_default();
        let (input, recheck) = self.change_input(scanned.node, using, delete.selection.as_ref())?;
        self.scope()?.clause = Clause::Other;
        let (returning, names) = self.returning(delete.returning.as_deref())?;
        let (target, _) = self.write_target(&scanned.relation)?;
        let (row_key, old_row) = (scanned.row_key, scanned.old_row);
        let node = Delete { target, input, row_key, old_row, recheck, returning };
        Ok(write(Node::Delete(Box::new(node)), names))
    }

    fn changed(&mut self, table: &TableWithJoins, rights: u32) -> Result<Scanned> {
        let position = self.at(table.span());
        let TableFactor::Table { name, alias, args: None, sample: None, version: None, .. } = &table.relation else {
            return Err(unsupported("this target", position));
        };
        if !table.joins.is_empty() || alias.as_ref().is_some_and(|a| !a.columns.is_empty()) {
            return Err(unsupported("this target", position));
        }
        let position = self.at(name.span());
        let relation = self.writable(name, rights, position)?;
        self.need(&relation, privilege::SELECT);
        let alias = alias.as_ref().map_or_else(|| relation.name.clone(), |a| fold(&a.name));
        let (mut scan, names) = self.scan(&relation, &alias);
        let row_key = self.new_column("row key", SqlType::BYTEA, 0, 0);
        scan.columns.push((ScanColumn::RowKey, row_key));
        let old_row = scan.columns.iter().filter(|(what, _)| *what != ScanColumn::RowKey).copied().collect();
        self.scope()?.push(Item::new(&alias, names));
        Ok(Scanned { relation, alias, node: Node::Scan(scan), row_key, old_row })
    }

    /// Target and FROM joined and filtered, and the predicate for the check on a newer version.
    fn change_input(
        &mut self,
        target: Node,
        from: &[TableWithJoins],
        selection: Option<&ast::Expr>,
    ) -> Result<(Node, Vec<Expr>)> {
        let mut node = target;
        if !from.is_empty() {
            node = cross(node, self.from(from)?);
        }
        let Some(condition) = selection else { return Ok((node, vec![])) };
        let filtered = self.filter(node, condition)?;
        let recheck = match &filtered {
            Node::Filter { predicate, .. } => predicate.clone(),
            _ => vec![],
        };
        Ok((filtered, recheck))
    }

    /// SET, over the innermost scope.
    pub(super) fn assignments(
        &mut self,
        relation: &Arc<Relation>,
        syntax: &[ast::Assignment],
    ) -> Result<Vec<(i16, Expr)>> {
        let mut assigned: Vec<(i16, Expr)> = vec![];
        for assignment in syntax {
            let pairs: Vec<(&ast::ObjectName, &ast::Expr)> = match (&assignment.target, &assignment.value) {
                (AssignmentTarget::ColumnName(name), value) => vec![(name, value)],
                (AssignmentTarget::Tuple(names), ast::Expr::Tuple(values)) if names.len() == values.len() => {
                    names.iter().zip(values).collect()
                }
                (AssignmentTarget::Tuple(names), value) if names.len() == 1 => {
                    names.iter().zip(std::iter::once(value)).collect()
                }
                _ => return Err(unsupported("SET of several columns from this", self.at(assignment.value.span()))),
            };
            for (name, value) in pairs {
                let (number, value) = self.assignment(relation, name, value)?;
                if assigned.iter().any(|(n, _)| *n == number) {
                    let name = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                    let message = format!("multiple assignments to same column \"{name}\"");
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
                }
                assigned.push((number, value));
            }
        }
        // DEFAULT of a generated column: it is computed anyway.
        assigned.retain(|(n, _)| relation.column(*n).is_some_and(|c| !c.is_generated));
        Ok(assigned)
    }

    fn assignment(
        &mut self,
        relation: &Arc<Relation>,
        name: &ast::ObjectName,
        value: &ast::Expr,
    ) -> Result<(i16, Expr)> {
        let position = self.at(name.span());
        let [part] = name.0.as_slice() else { return Err(unsupported("assigning to a field", position)) };
        let name = part.as_ident().map(fold).unwrap_or_default();
        let column = relation.column_by_name(&name).ok_or_else(|| no_such_column(relation, &name, position))?;
        if is_default(value) {
            let default = match column.is_generated {
                true => Expr::constant(types::Datum::Null, column.ty.into()),
                false => self.default_value(relation, column)?,
            };
            return Ok((column.number, default));
        }
        refuse_generated(column, "update")?;
        if column.identity == Some(catalog::Identity::Always) {
            let message = format!("column \"{name}\" can only be updated to DEFAULT");
            let detail = format!("Column \"{name}\" is an identity column defined as GENERATED ALWAYS.");
            return Err(SqlError::new(SqlState::GENERATED_ALWAYS, message).detail(detail));
        }
        let value = self.expr(value)?;
        Ok((column.number, self.assign(value, column.ty.into(), &name)?))
    }
}
