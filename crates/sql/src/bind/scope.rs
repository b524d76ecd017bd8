//! The columns that an expression may name: FROM items of the query at hand and of the queries around it; and where in a
//! query an expression stands, which tells what it may hold.

use super::Binder;
use super::hidden::Hidden;
use super::locking::LockWish;
use super::set_returning::SetCall;
use super::window::BoundWindow;
use crate::expr::Expr;
use crate::logical::{AggregateCall, ColumnId, LockTarget};
use crate::tree::{FromTree, LockTree, WindowTree};
use catalog::Relation;
use sqlparser::ast::{Ident, NamedWindowDefinition};
use std::sync::Arc;
use types::{Result, SqlError, SqlState, SqlType};

#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) id: ColumnId,
    pub(super) ty: SqlType,
}

/// One FROM item, or a join's columns.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Empty for a join without an alias.
    pub(super) alias: String,
    pub(super) columns: Vec<Name>,
    /// The base relation whose row it is; None for subqueries, functions and joins.
    pub(super) relation: Option<Arc<Relation>>,
    /// What its rows have besides.
    pub(super) hidden: Vec<Hidden>,
    /// How many of the last columns are found by name and not shown by `*`.
    pub(super) unlisted: usize,
    /// Found by bare column names and by `*`: not so the sides of a join, whose item stands for them.
    pub(super) columns_visible: bool,
    /// Found by `alias.column`.
    pub(super) name_visible: bool,
    /// While FROM is bound: to be seen by LATERAL items alone.
    pub(super) lateral_only: bool,
    /// Whether those may use it: not the outer side of a RIGHT or FULL JOIN.
    pub(super) lateral_allowed: bool,
    /// On a side that an outer join pads: the column that holds its whole row, NULL where it is padded.
    pub(super) padded_row: Option<(ColumnId, SqlType)>,
    /// The target of UPDATE or MERGE, which no FROM item may use.
    pub(super) is_target: bool,
}

impl Item {
    /// The columns that `*` stands for.
    pub(super) fn listed(&self) -> &[Name] {
        self.columns.get(..self.columns.len().saturating_sub(self.unlisted)).unwrap_or_default()
    }

    pub(super) fn new(alias: &str, columns: Vec<Name>) -> Item {
        Item {
            alias: alias.to_owned(),
            columns,
            relation: None,
            hidden: vec![],
            unlisted: 0,
            columns_visible: true,
            name_visible: true,
            lateral_only: false,
            lateral_allowed: true,
            padded_row: None,
            is_target: false,
        }
    }
}

/// Where in a query an expression stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Clause {
    Select,
    OrderBy,
    DistinctOn,
    Having,
    #[default]
    Where,
    Join,
    /// FROM, outside of what has a clause of its own.
    From,
    GroupBy,
    FromFunction,
    Filter,
    Limit,
    Offset,
    /// One row of VALUES, as good as a select list without FROM.
    ValuesRow,
    Values,
    Set,
    Returning,
    MergeWhen,
    PartitionBy,
    WindowOrder,
    /// ROWS, RANGE or GROUPS.
    WindowFrame(&'static str),
    Execute,
    Call,
    /// Expressions of the catalog and their like, by what PostgreSQL calls one and several of them.
    Stored {
        place: &'static str,
        places: &'static str,
    },
    Other,
}

impl Clause {
    /// "aggregate functions are not allowed in WHERE".
    pub(super) fn place(self) -> &'static str {
        match self {
            Clause::Select => "the select list",
            Clause::OrderBy => "ORDER BY",
            Clause::DistinctOn => "DISTINCT ON",
            Clause::Having => "HAVING",
            Clause::Where => "WHERE",
            Clause::Join => "JOIN conditions",
            Clause::From => "FROM clause of their own query level",
            Clause::GroupBy => "GROUP BY",
            Clause::FromFunction => "functions in FROM",
            Clause::Filter => "FILTER",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
            Clause::ValuesRow | Clause::Values => "VALUES",
            Clause::Set => "UPDATE",
            Clause::Returning => "RETURNING",
            Clause::MergeWhen => "MERGE WHEN conditions",
            Clause::PartitionBy | Clause::WindowOrder => "window definitions",
            Clause::WindowFrame("ROWS") => "window ROWS",
            Clause::WindowFrame("RANGE") => "window RANGE",
            Clause::WindowFrame(_) => "window GROUPS",
            Clause::Execute => "EXECUTE parameters",
            Clause::Call => "CALL arguments",
            Clause::Stored { places, .. } => places,
            Clause::Other => "this clause",
        }
    }

    /// "cannot use subquery in check constraint".
    pub(super) fn without_subqueries(self) -> Option<&'static str> {
        match self {
            Clause::Execute => Some("EXECUTE parameter"),
            Clause::Call => Some("CALL argument"),
            Clause::Stored { place, .. } => Some(place),
            _ => None,
        }
    }

    pub(super) fn takes_aggregates(self) -> bool {
        matches!(
            self,
            Clause::Select
                | Clause::OrderBy
                | Clause::DistinctOn
                | Clause::Having
                | Clause::PartitionBy
                | Clause::WindowOrder
        )
    }

    pub(super) fn takes_windows(self) -> bool {
        matches!(self, Clause::Select | Clause::OrderBy | Clause::DistinctOn)
    }

    pub(super) fn takes_sets(self) -> bool {
        self.takes_windows() || matches!(self, Clause::GroupBy | Clause::ValuesRow)
    }

    /// The place as errors about window and set-returning functions name it.
    pub(super) fn window_place(self) -> &'static str {
        match self {
            Clause::WindowFrame(_) => "window definitions",
            other => other.place(),
        }
    }
}

/// GROUPING(…), which becomes an expression when the groups are known.
#[derive(Clone, Debug)]
pub(super) struct GroupingCall {
    pub(super) output: ColumnId,
    pub(super) args: Vec<Expr>,
}

/// One query's names, and what was found while its expressions were bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) items: Vec<Item>,
    pub(super) clause: Clause,
    /// A LATERAL item is being bound.
    pub(super) lateral_active: bool,
    /// Names of all relations of the query, visible or not: (alias, the relation's id or 0).
    pub(super) mentioned: Vec<(String, types::Oid)>,
    pub(super) aggregates: Vec<AggregateCall>,
    /// Where each of `aggregates` stands.
    pub(super) aggregates_at: Vec<u32>,
    pub(super) groupings: Vec<GroupingCall>,
    pub(super) named_windows: Vec<NamedWindowDefinition>,
    pub(super) windows: Vec<BoundWindow>,
    pub(super) set_calls: Vec<SetCall>,
    /// What USING made that has to be computed: (column, its value).
    pub(super) merged: Vec<(ColumnId, Expr)>,
    /// Row locks that the query asks for, and the scans that they fell on.
    pub(super) lock_wishes: Vec<LockWish>,
    pub(super) lock_targets: Vec<LockTarget>,
    /// Reads the working table of a recursive query.
    pub(super) reads_itself: bool,
    /// Under a record: FROM, the WINDOW clause and the row locks as written.
    pub(super) from_trees: Vec<FromTree>,
    pub(super) window_trees: Vec<(String, WindowTree)>,
    pub(super) lock_trees: Vec<LockTree>,
}

impl Scope {
    pub(super) fn of(clause: Clause) -> Scope {
        Scope { clause, ..Scope::default() }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    fn is_seen(&self, item: &Item) -> bool {
        !item.lateral_only || self.lateral_active
    }

    /// The columns of that bare name.
    fn find(&self, name: &str) -> Vec<(&Item, &Name)> {
        let items = self.items.iter().filter(|item| item.columns_visible && self.is_seen(item));
        items.flat_map(|item| item.columns.iter().filter(|c| c.name == name).map(move |c| (item, c))).collect()
    }

    /// The FROM items of that name.
    pub(super) fn tables(&self, name: &str) -> Vec<&Item> {
        self.items.iter().filter(|item| item.name_visible && item.alias == name && self.is_seen(item)).collect()
    }

    pub(super) fn has_column(&self, id: ColumnId) -> bool {
        self.items.iter().any(|i| i.columns.iter().any(|c| c.id == id))
    }
}

/// An identifier as PostgreSQL folds it.
pub(super) fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn not_lateral(item: &Item) -> SqlError {
    let name = &item.alias;
    let message = format!("invalid reference to FROM-clause entry for table \"{name}\"");
    let error = SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message);
    match item.is_target {
        true => error.hint(format!(
            "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
        )),
        false => error.detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference."),
    }
}

impl Binder<'_> {
    pub(super) fn scope(&mut self) -> Result<&mut Scope> {
        self.scopes.last_mut().ok_or_else(|| SqlError::internal("a scope was expected"))
    }

    /// Puts the innermost scope into another clause; the one it was in is handed back.
    pub(super) fn enter(&mut self, clause: Clause) -> Clause {
        match self.scopes.last_mut() {
            Some(scope) => std::mem::replace(&mut scope.clause, clause),
            None => Clause::Other,
        }
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
            let too_many = super::unsupported("a name of that many parts", position);
            return self.hidden_column(parts, position)?.ok_or(too_many);
        }
        for scope in self.scopes.iter().rev() {
            let found = match &table {
                None => scope.find(&name),
                Some(table) => match self.table_item(scope, table).map_err(|e| e.at(position))? {
                    None => continue,
                    Some(item) => match item.columns.iter().filter(|c| c.name == name).collect::<Vec<_>>() {
                        none if none.is_empty() => {
                            if let Some(hidden) = self.hidden_column(parts, position)? {
                                return Ok(hidden);
                            }
                            let message = format!("column {table}.{name} does not exist");
                            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position));
                        }
                        found => found.into_iter().map(|c| (item, c)).collect(),
                    },
                },
            };
            match found.as_slice() {
                [] => {}
                [(item, _)] if item.lateral_only && !item.lateral_allowed => {
                    return Err(not_lateral(item).at(position));
                }
                [(_, one)] => return Ok(Expr { position, ..Expr::column(one.id, one.ty) }),
                _ => {
                    let message = format!("column reference \"{name}\" is ambiguous");
                    return Err(SqlError::new(SqlState::AMBIGUOUS_COLUMN, message).at(position));
                }
            }
        }
        // A FROM item's name is its row, whatever fields a document may have.
        if table.is_none()
            && let Some(row) = self.whole_row(&name, position)?
        {
            return Ok(row);
        }
        if let Some(value) = self.body_name(parts)? {
            return Ok(Expr { position, ..value });
        }
        if let Some(hidden) = self.hidden_column(parts, position)? {
            return Ok(hidden);
        }
        match table {
            None => {
                let message = format!("column \"{name}\" does not exist");
                Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position))
            }
            Some(table) => Err(self.no_table(&table).at(position)),
        }
    }

    /// The FROM item of that name in one query.
    pub(super) fn table_item<'s>(&self, scope: &'s Scope, table: &str) -> Result<Option<&'s Item>> {
        match scope.tables(table).as_slice() {
            [] => Ok(None),
            [item] if item.lateral_only && !item.lateral_allowed => Err(not_lateral(item)),
            [item] => Ok(Some(item)),
            _ => {
                let message = format!("table reference \"{table}\" is ambiguous");
                Err(SqlError::new(SqlState::AMBIGUOUS_ALIAS, message))
            }
        }
    }

    /// Where a qualifier means no FROM item that can be seen.
    pub(super) fn no_table(&self, table: &str) -> SqlError {
        let invalid = || {
            let message = format!("invalid reference to FROM-clause entry for table \"{table}\"");
            SqlError::new(SqlState::UNDEFINED_TABLE, message)
        };
        let relation = catalog::names::relation(&self.context.catalog, self.name_scope(), &[table.to_owned()]);
        let relation = relation.map_or(0, |r| r.id);
        for scope in self.scopes.iter().rev() {
            for (alias, id) in &scope.mentioned {
                if alias == table {
                    return invalid().hint(format!(
                        "There is an entry for table \"{table}\", but it cannot be referenced from this part of the query."
                    ));
                }
                if relation != 0 && *id == relation {
                    return invalid().hint(format!("Perhaps you meant to reference the table alias \"{alias}\"."));
                }
            }
        }
        SqlError::new(SqlState::UNDEFINED_TABLE, format!("missing FROM-clause entry for table \"{table}\""))
    }
}
