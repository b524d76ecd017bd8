//! The columns that an expression may name: FROM items of the query at hand and of the queries around it.

use super::Binder;
use crate::expr::Expr;
use crate::logical::{AggregateCall, ColumnId};
use sqlparser::ast::Ident;
use types::{Result, SqlError, SqlState, SqlType};

#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) id: ColumnId,
    pub(super) ty: SqlType,
}

/// One FROM item.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) alias: String,
    pub(super) columns: Vec<Name>,
    /// Columns that JOIN USING merged away: found by qualified name only.
    pub(super) hidden: Vec<ColumnId>,
}

impl Item {
    pub(super) fn new(alias: &str, columns: Vec<Name>) -> Item {
        Item { alias: alias.to_owned(), columns, hidden: vec![] }
    }
}

/// Where in a query an expression stands, as far as aggregates are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Clause {
    /// The select list, HAVING and ORDER BY.
    Output,
    #[default]
    Where,
    Join,
    GroupBy,
    Other,
    InAggregate,
}

/// One query's names, and what was found while its expressions were bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) items: Vec<Item>,
    pub(super) clause: Clause,
    pub(super) aggregates: Vec<AggregateCall>,
    /// Columns of enclosing queries that were used.
    pub(super) correlated: Vec<ColumnId>,
}

impl Scope {
    pub(super) fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    /// The columns of `name`, or of `table.name`.
    fn find(&self, table: Option<&str>, name: &str) -> Vec<&Name> {
        let items = self.items.iter().filter(|item| table.is_none_or(|t| t == item.alias));
        items
            .flat_map(|item| {
                let is_shown = move |c: &&Name| table.is_some() || !item.hidden.contains(&c.id);
                item.columns.iter().filter(move |c| c.name == name).filter(is_shown)
            })
            .collect()
    }
}

/// An identifier as PostgreSQL folds it.
pub(super) fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

impl Binder<'_> {
    pub(super) fn scope(&mut self) -> Result<&mut Scope> {
        self.scopes.last_mut().ok_or_else(|| SqlError::internal("a scope was expected"))
    }

    /// `name` or `table.name` of the innermost query that has it.
    pub(super) fn column(&mut self, parts: &[Ident]) -> Result<Expr> {
        let Some((last, qualifiers)) = parts.split_last() else {
            return Err(SqlError::internal("a name was expected"));
        };
        let position = parts.first().map_or(0, |p| self.at(p.span));
        let name = fold(last);
        let table = qualifiers.last().map(fold);
        if qualifiers.len() > 2 {
            return Err(super::unsupported("a name of that many parts", position));
        }
        for depth in (0..self.scopes.len()).rev() {
            let found = self.scopes[depth].find(table.as_deref(), &name);
            match found.as_slice() {
                [] => {}
                [one] => {
                    let (id, ty) = (one.id, one.ty);
                    for inner in self.scopes.iter_mut().skip(depth + 1) {
                        if !inner.correlated.contains(&id) {
                            inner.correlated.push(id);
                        }
                    }
                    return Ok(Expr { position, ..Expr::column(id, ty) });
                }
                _ => {
                    let message = format!("column reference \"{name}\" is ambiguous");
                    return Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message).at(position));
                }
            }
        }
        Err(self.no_column(table.as_deref(), &name).at(position))
    }

    fn no_column(&self, table: Option<&str>, name: &str) -> SqlError {
        let Some(table) = table else {
            return SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"));
        };
        if self.scopes.iter().any(|s| s.items.iter().any(|i| i.alias == table)) {
            return SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column {table}.{name} does not exist"));
        }
        SqlError::new(SqlState::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{table}\""))
    }
}
