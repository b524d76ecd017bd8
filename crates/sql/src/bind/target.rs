//! What INSERT, UPDATE and DELETE share: the target with its checks and indexes, defaults, generated columns, RETURNING.

use super::Binder;
use super::query::BoundQuery;
use super::scope::{Clause, Item, Name, Scope};
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{ColumnId, Node, WriteTarget};
use catalog::{Column, ConstraintKind, IndexSource, Relation};
use sqlparser::ast;
use std::sync::Arc;
use types::{Datum, Result, SqlError, SqlState, SqlType, oid};

impl Binder<'_> {
    /// The target, and the names of its new row.
    pub(super) fn write_target(&mut self, relation: &Arc<Relation>) -> Result<(WriteTarget, Vec<Name>)> {
        let names = self.row_of(relation);
        let (mut checks, mut index_exprs) = (vec![], vec![]);
        let indexes: Vec<_> = self.context.catalog.indexes_of(relation).cloned().collect();
        self.push_row(&relation.name, &names);
        for constraint in &relation.constraints {
            if let ConstraintKind::Check { expression, .. } = &constraint.kind {
                checks.push((constraint.name.clone(), self.stored_as(expression, SqlType::BOOL)?));
            }
        }
        for index in &indexes {
            let mut keys = vec![];
            for column in &index.columns {
                keys.push(match &column.source {
                    IndexSource::Expression(text) => self.stored(text)?,
                    IndexSource::Column(number) => attribute(relation, &names, *number)?,
                });
            }
            let predicate = index.predicate.as_ref().map(|p| self.stored_as(p, SqlType::BOOL)).transpose()?;
            index_exprs.push((keys, predicate));
        }
        self.scopes.pop();
        let new_row = relation.live_columns().zip(&names).map(|(c, n)| (c.number, n.id)).collect();
        let relation = relation.clone();
        Ok((WriteTarget { relation, indexes, new_row, index_exprs, checks, view_checks: vec![] }, names))
    }

    /// A scope of one row.
    pub(super) fn push_row(&mut self, alias: &str, names: &[Name]) {
        let mut scope = Scope::of(Clause::Other);
        scope.push(Item::new(alias, names.to_vec()));
        self.scopes.push(scope);
    }

    /// Expressions of the generated columns over the new row.
    pub(super) fn generated(&mut self, relation: &Arc<Relation>, names: &[Name]) -> Result<Vec<(i16, Expr)>> {
        self.push_row(&relation.name, names);
        let mut generated = vec![];
        for column in relation.live_columns().filter(|c| c.is_generated) {
            let text =
                column.default.as_deref().ok_or_else(|| SqlError::internal("a generated column has an expression"))?;
            generated.push((column.number, self.stored_as(text, column.declared())?));
        }
        self.scopes.pop();
        Ok(generated)
    }

    /// What a column gets when nothing is given: its default, its identity's next value, or NULL.
    pub(super) fn default_value(&mut self, relation: &Relation, column: &Column) -> Result<Expr> {
        let ty: SqlType = column.ty.into();
        if let Some(text) = &column.default {
            self.scopes.push(Scope::of(Clause::Other));
            let value = self.stored_as(text, column.declared());
            self.scopes.pop();
            return value;
        }
        if column.identity.is_none() && column.domain.is_some() {
            self.scopes.push(Scope::of(Clause::Other));
            let value = self.domain_default(column);
            self.scopes.pop();
            return value;
        }
        if column.identity.is_none() {
            return Ok(Expr::constant(Datum::Null, ty));
        }
        let owner = Some((relation.id, column.number));
        let sequence = self
            .context
            .catalog
            .relations()
            .find(|r| r.sequence.as_ref().is_some_and(|s| s.is_identity && s.owned_by == owner));
        let sequence = sequence.ok_or_else(|| SqlError::internal("an identity column has a sequence"))?.id;
        let arg = Expr::constant(Datum::Oid(sequence), SqlType::new(oid::REGCLASS));
        let chosen = self.function("nextval", &[oid::REGCLASS], 0)?;
        let next = self.call(chosen.item, &chosen.args, chosen.item.result, vec![arg], CallForm::Function, 0)?;
        self.assign(next, column.declared(), &column.name)
    }

    /// RETURNING over the innermost scope: (column, expression), and the names.
    pub(super) fn returning(
        &mut self,
        items: Option<&[ast::SelectItem]>,
    ) -> Result<(Vec<(ColumnId, Expr)>, Vec<Name>)> {
        let Some(items) = items else { return Ok((vec![], vec![])) };
        self.enter(Clause::Returning);
        let (mut exprs, mut names) = (vec![], vec![]);
        for (name, expr) in self.select_list(items)? {
            let expr = self.known(expr)?;
            let (table, attribute) = self.origin(&expr);
            let id = self.new_column(&name, expr.ty, table, attribute);
            names.push(Name { name, id, ty: expr.ty });
            exprs.push((id, expr));
        }
        Ok((exprs, names))
    }
}

fn attribute(relation: &Relation, names: &[Name], number: i16) -> Result<Expr> {
    let found = relation.live_columns().zip(names).find(|(c, _)| c.number == number);
    let (_, name) = found.ok_or_else(|| SqlError::internal("an index's column exists"))?;
    Ok(Expr::column(name.id, name.ty))
}

/// `DEFAULT` where a value stands.
pub(super) fn is_default(expr: &ast::Expr) -> bool {
    matches!(expr, ast::Expr::Identifier(i) if i.quote_style.is_none() && i.value.eq_ignore_ascii_case("default"))
}

pub(super) fn no_such_column(relation: &Relation, name: &str, position: u32) -> SqlError {
    let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.name);
    SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position)
}

pub(super) fn write(node: Node, columns: Vec<Name>) -> BoundQuery {
    let positions = vec![0; columns.len()];
    BoundQuery::new(node, columns, positions)
}

/// Only a DEFAULT may be given to a generated column.
pub(super) fn refuse_generated(column: &Column, what: &str) -> Result<()> {
    if !column.is_generated {
        return Ok(());
    }
    let message = match what {
        "insert" => format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name),
        _ => format!("column \"{}\" can only be updated to DEFAULT", column.name),
    };
    let detail = format!("Column \"{}\" is a generated column.", column.name);
    Err(SqlError::new(SqlState::GENERATED_ALWAYS, message).detail(detail))
}

/// The column itself, for projections.
pub(super) fn is_column(expr: &Expr) -> Option<ColumnId> {
    match expr.kind {
        ExprKind::Column(id) => Some(id),
        _ => None,
    }
}
