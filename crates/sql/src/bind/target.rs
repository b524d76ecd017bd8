//! What INSERT, UPDATE and DELETE share: the target with its checks and indexes, defaults, generated columns, RETURNING.

use super::Binder;
use super::hidden::Hidden;
use super::query::BoundQuery;
use super::scope::{Clause, Item, Name, Scope};
use super::view_target::WriteRelation;
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{ColumnId, Node, ScanColumn, WriteTarget};
use crate::plan::columns::{ColumnSet, add_used};
use catalog::{Column, ConstraintKind, IndexSource, Relation};
use sqlparser::ast;
use std::sync::Arc;
use types::{Datum, Result, SqlError, SqlState, SqlType, oid};

/// A row that is written, or one that a written row meets: its columns, and what it has besides.
#[derive(Clone)]
pub(super) struct WholeRow {
    pub(super) relation: Arc<Relation>,
    pub(super) names: Vec<Name>,
    pub(super) hidden: Vec<Hidden>,
}

impl WholeRow {
    /// As RETURNING and SET read it.
    pub(super) fn item(&self, alias: &str) -> Item {
        let (relation, hidden) = (Some(self.relation.clone()), self.hidden.clone());
        Item { relation, hidden, ..Item::new(alias, self.names.clone()) }
    }

    /// The same; of a view's row what the statement sees of it.
    pub(super) fn seen_item(&self, written: &WriteRelation, alias: &str, seen: Vec<Name>) -> Item {
        if written.is_view() { Item::new(alias, seen) } else { self.item(alias) }
    }

    /// As the catalog's expressions read it.
    pub(super) fn stored_item(&self) -> Item {
        let hidden = self.hidden.iter().filter(|h| h.what == ScanColumn::Tail).copied().collect();
        Item { hidden, ..Item::new(&self.relation.name, self.names.clone()) }
    }

    /// The hidden parts that these expressions read.
    pub(super) fn hidden_of<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> Vec<(ScanColumn, ColumnId)> {
        let mut used = ColumnSet::new();
        exprs.into_iter().for_each(|e| add_used(e, &mut used));
        self.hidden.iter().filter(|h| used.contains(&h.id)).map(|h| (h.what, h.id)).collect()
    }

    /// All columns, and the hidden parts that these expressions read.
    pub(super) fn read_by<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> Vec<(ScanColumn, ColumnId)> {
        let numbers = self.relation.live_columns().map(|c| ScanColumn::Attribute(c.number));
        numbers.zip(self.names.iter().map(|n| n.id)).chain(self.hidden_of(exprs)).collect()
    }
}

/// Lets the target have what its own expressions and these read of the new row.
pub(super) fn give_hidden<'e>(
    target: &mut WriteTarget,
    row: &WholeRow,
    generated: &'e [(i16, Expr)],
    returning: &'e [(ColumnId, Expr)],
) {
    let indexes = target.index_exprs.iter().flat_map(|(keys, predicate)| keys.iter().chain(predicate));
    let checks = target.checks.iter().map(|(_, e)| e);
    let others = generated.iter().map(|(_, e)| e).chain(returning.iter().map(|(_, e)| e));
    target.hidden = row.hidden_of(indexes.chain(checks).chain(others));
}

impl Binder<'_> {
    /// New columns for a row of the relation and for what it has besides.
    pub(super) fn whole(&mut self, relation: &Arc<Relation>) -> WholeRow {
        let names = self.row_of(relation);
        let hidden = self.hidden_parts(relation);
        WholeRow { relation: relation.clone(), names, hidden }
    }

    /// The target, and the names of its new row.
    pub(super) fn write_target(&mut self, relation: &Arc<Relation>) -> Result<(WriteTarget, WholeRow)> {
        let row = self.whole(relation);
        let names = &row.names;
        let (mut checks, mut index_exprs) = (vec![], vec![]);
        let indexes: Vec<_> = self.context.catalog.indexes_of(relation).cloned().collect();
        self.push_item(row.stored_item());
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
                    IndexSource::Column(number) => attribute(relation, names, *number)?,
                });
            }
            let predicate = index.predicate.as_ref().map(|p| self.stored_as(p, SqlType::BOOL)).transpose()?;
            index_exprs.push((keys, predicate));
        }
        self.scopes.pop();
        let new_row = relation.live_columns().zip(names).map(|(c, n)| (c.number, n.id)).collect();
        let (relation, hidden) = (relation.clone(), vec![]);
        Ok((WriteTarget { relation, indexes, new_row, hidden, index_exprs, checks, view_checks: vec![] }, row))
    }

    /// A scope of one row.
    pub(super) fn push_item(&mut self, item: Item) {
        let mut scope = Scope::of(Clause::Other);
        scope.push(item);
        self.scopes.push(scope);
    }

    /// Expressions of the generated columns over the new row.
    pub(super) fn generated(&mut self, relation: &Arc<Relation>, row: &WholeRow) -> Result<Vec<(i16, Expr)>> {
        self.push_item(row.stored_item());
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
