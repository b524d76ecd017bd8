//! A statement that writes, kept as it was written (`record`): the actions of rules.
//!
//! `change` and `insert` hand over each part as they bind it; what has no place in a `ChangeTree` (documents, parts of columns,
//! ON CONFLICT) makes it untold.

use super::scope::{Item, Name};
use super::target::is_default;
use super::{Binder, unsupported};
use crate::expr::Expr;
use crate::logical::{ColumnId, Overriding, ScanColumn};
use crate::tree::{Change, ChangeTree, InsertTree, QueryTree, RowTree, StatementTree, Target};
use catalog::Relation;
use sqlparser::ast;
use types::{Result, SqlError};

/// A change while it is bound.
#[derive(Default)]
pub(super) struct ChangeRecord {
    kind: Option<Change>,
    target: Vec<RowTree>,
    is_aliased: bool,
    from: Vec<crate::tree::FromTree>,
    filter: Vec<Expr>,
    returning: Vec<Target>,
    is_untold: bool,
}

/// A relation's row under that name; `names` are its live columns'.
pub(super) fn row_tree(relation: &Relation, alias: &str, names: &[Name]) -> RowTree {
    let columns = relation.live_columns().zip(names).map(|(column, name)| (column.number, name.id));
    RowTree { alias: alias.to_owned(), relation: relation.id, columns: columns.collect(), whole: None }
}

fn whole_of(item: &Item) -> Option<ColumnId> {
    item.hidden.iter().find(|h| h.what == ScanColumn::WholeRow).map(|h| h.id)
}

impl Binder<'_> {
    fn change_record(&mut self) -> Option<&mut ChangeRecord> {
        self.record.as_mut().map(|record| &mut record.change)
    }

    /// The scope's item of the target's name is a row of the target.
    pub(super) fn record_target(&mut self, relation: &Relation, alias: &str, is_aliased: bool) -> Result<()> {
        if !self.is_recording() {
            return Ok(());
        }
        let found = self.scope()?.items.iter().find(|item| item.alias == alias);
        let row = found.map(|item| RowTree { whole: whole_of(item), ..row_tree(relation, alias, &item.columns) });
        if let Some(change) = self.change_record() {
            change.target.extend(row);
            change.is_aliased |= is_aliased;
        }
        Ok(())
    }

    /// OLD or NEW as the scope has it.
    pub(super) fn record_rule_row(&mut self, item: &Item) {
        let rows = self.record.as_mut().map(|record| &mut record.rows);
        if let Some(row) = rows.and_then(|rows| rows.iter_mut().find(|row| row.alias == item.alias)) {
            row.whole = whole_of(item);
        }
    }

    /// FROM or USING, and WHERE.
    pub(super) fn record_change_input(&mut self, filter: &[Expr]) -> Result<()> {
        if self.is_recording() {
            let from = std::mem::take(&mut self.scope()?.from_trees);
            if let Some(change) = self.change_record() {
                (change.from, change.filter) = (from, filter.to_vec());
            }
        }
        Ok(())
    }

    pub(super) fn record_kind(&mut self, kind: impl FnOnce() -> Change) {
        if let Some(change) = self.change_record() {
            change.kind = Some(kind());
        }
    }

    /// `steps`: whether a part of a column or of a document is given.
    pub(super) fn record_rows(&mut self, columns: &[(i16, bool)], syntax: &[&[ast::Expr]], rows: &[Vec<Expr>]) {
        if columns.iter().any(|(_, is_part)| *is_part) {
            return self.record_untold();
        }
        let value = |(syntax, bound): (&ast::Expr, &Expr)| (!is_default(syntax)).then(|| bound.clone());
        let row = |(syntax, bound): (&&[ast::Expr], &Vec<Expr>)| syntax.iter().zip(bound).map(value).collect();
        let rows = || InsertTree::Rows(syntax.iter().zip(rows).map(row).collect());
        let columns = columns.iter().map(|(number, _)| *number).collect();
        self.record_kind(|| Change::Insert { columns, overriding: None, source: rows() });
    }

    /// The rows of a query, or none without one.
    pub(super) fn record_inserted(&mut self, columns: Vec<i16>, query: Option<Option<Box<QueryTree>>>) {
        let source = match query {
            None => InsertTree::Defaults,
            Some(Some(tree)) => InsertTree::Query(tree),
            Some(None) => return self.record_untold(),
        };
        self.record_kind(|| Change::Insert { columns, overriding: None, source });
    }

    pub(super) fn record_overriding(&mut self, given: Option<Overriding>) {
        if let Some(ChangeRecord { kind: Some(Change::Insert { overriding, .. }), .. }) = self.change_record() {
            *overriding = given;
        }
    }

    pub(super) fn record_untold(&mut self) {
        if let Some(change) = self.change_record() {
            change.is_untold = true;
        }
    }

    pub(super) fn record_returning(&mut self, exprs: &[(ColumnId, Expr)], names: &[Name]) {
        let target = |((id, expr), name): (&(ColumnId, Expr), &Name)| Target {
            name: Some(name.name.clone()),
            id: *id,
            expr: expr.clone(),
        };
        if let Some(change) = self.change_record() {
            change.returning = exprs.iter().zip(names).map(target).collect();
        }
    }

    /// The statement that has been bound, with the queries of its WITH clause.
    pub(super) fn written_change(&mut self, with: Option<&ast::With>) -> Result<StatementTree> {
        let with_trees = self.with_trees(0);
        let change = self.change_record().map(std::mem::take).unwrap_or_default();
        let Some(kind) = change.kind.filter(|_| !change.is_untold) else {
            return Err(unsupported("telling this kind of statement", 0));
        };
        if change.target.is_empty() {
            return Err(SqlError::internal("a change has a target"));
        }
        Ok(StatementTree::Change(Box::new(ChangeTree {
            with: with_trees,
            is_recursive: with.is_some_and(|w| w.recursive),
            kind,
            target: change.target,
            is_aliased: change.is_aliased,
            from: change.from,
            filter: change.filter,
            returning: change.returning,
        })))
    }
}
