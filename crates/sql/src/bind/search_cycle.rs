//! SEARCH and CYCLE of a recursive WITH query: columns that both of its terms get besides their own.
//!
//! ```text
//!                  first term                 second term, of the row before (p) and its own columns
//! SEARCH DEPTH     ARRAY[ROW(by…)]            p.seq || ROW(by…)
//! SEARCH BREADTH   ROW(0, by…)                ROW(p.seq.f1 + 1, by…)
//! CYCLE mark       off                        CASE WHEN ROW(of…) = ANY (p.path) THEN on ELSE off END
//! CYCLE path       ARRAY[ROW(of…)]            p.path || ROW(of…)      only rows with p.mark <> on go on
//! ```
//!
//! The second term reads the row before by columns that are put behind its select list. In the query itself the new columns have names
//! but are not part of `*`.

use super::Binder;
use super::query::BoundQuery;
use super::scope::{Name, fold};
use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, Node};
use crate::parse::search_cycle::{Cycle, Search, SearchCycle};
use crate::tree::{CycleTree, SearchTree};
use sqlparser::ast::{self, Ident, SelectItem, SetExpr, TableFactor};
use types::{Datum, Result, SqlError, SqlState, SqlType, oid};

const RECORDS: SqlType = SqlType::new(oid::RECORD_ARRAY);

/// The clauses, bound against the columns of the query.
pub(super) struct Growth {
    search: Option<SearchColumn>,
    cycle: Option<CycleColumns>,
}

struct SearchColumn {
    is_depth_first: bool,
    by: Vec<usize>,
    name: String,
    position: u32,
}

struct CycleColumns {
    of: Vec<usize>,
    mark: String,
    path: String,
    on: Expr,
    off: Expr,
    position: u32,
}

impl Growth {
    /// The clauses over the query's columns, to be told.
    pub(super) fn trees(&self, names: &[Name]) -> (Option<SearchTree>, Option<CycleTree>) {
        let listed = |places: &[usize]| places.iter().filter_map(|p| names.get(*p)).map(|n| n.name.clone()).collect();
        let search = self.search.as_ref().map(|search| SearchTree {
            is_depth_first: search.is_depth_first,
            columns: listed(&search.by),
            sequence: search.name.clone(),
        });
        let cycle = self.cycle.as_ref().map(|cycle| CycleTree {
            columns: listed(&cycle.of),
            mark: cycle.mark.clone(),
            values: (cycle.on.clone(), cycle.off.clone()),
            path: cycle.path.clone(),
        });
        (search, cycle)
    }
}

fn wrong(code: SqlState, message: String, position: u32) -> SqlError {
    SqlError::new(code, message).at(position)
}

/// Whether a term is one SELECT or VALUES and no set operation.
fn is_one(term: &SetExpr) -> bool {
    match term {
        SetExpr::Query(query) if is_bare(query) => is_one(&query.body),
        SetExpr::SetOperation { .. } => false,
        _ => true,
    }
}

/// Parentheses and nothing else.
fn is_bare(query: &ast::Query) -> bool {
    query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty()
}

/// The name by which a FROM clause reads the query `name`.
fn reference(from: &[ast::TableWithJoins], name: &str) -> Option<Ident> {
    let of_factor = |factor: &TableFactor| match factor {
        TableFactor::Table { name: table, alias, .. } => {
            let is_it = matches!(table.0.as_slice(), [part] if part.as_ident().is_some_and(|i| fold(i) == name));
            let shown = alias.as_ref().map_or_else(|| Ident::with_quote('"', name), |a| a.name.clone());
            is_it.then_some(shown)
        }
        TableFactor::NestedJoin { table_with_joins, .. } => reference(std::slice::from_ref(table_with_joins), name),
        _ => None,
    };
    from.iter().find_map(|item| {
        of_factor(&item.relation).or_else(|| item.joins.iter().find_map(|join| of_factor(&join.relation)))
    })
}

/// A column of the row before, behind the second term's own.
struct Before(Vec<(ColumnId, SqlType)>);

impl Before {
    fn take(&mut self) -> Result<Expr> {
        match self.0.is_empty() {
            true => Err(SqlError::internal("a column of the row before was expected")),
            false => {
                let (id, ty) = self.0.remove(0);
                Ok(Expr::column(id, ty))
            }
        }
    }
}

impl Binder<'_> {
    /// Checks the clauses, and the terms' form, against the query's columns.
    pub(super) fn growth(&mut self, clauses: &SearchCycle, terms: [&SetExpr; 2], names: &[Name]) -> Result<Growth> {
        let must = "with a SEARCH or CYCLE clause, the";
        match terms.map(is_one) {
            [false, _] => return Err(SqlError::unsupported(format!("{must} left side of the UNION must be a SELECT"))),
            [_, false] => {
                let message = format!("{must} right side of the UNION must be a SELECT");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
            _ => {}
        }
        let search = clauses.search.as_ref().map(|search| self.search_column(search, names)).transpose()?;
        let cycle = clauses.cycle.as_ref().map(|cycle| self.cycle_columns(cycle, names)).transpose()?;
        if let (Some(search), Some(cycle)) = (&search, &cycle) {
            for (name, what) in [(&cycle.mark, "mark"), (&cycle.path, "path")] {
                if search.name == *name {
                    let message = format!("search sequence column name and cycle {what} column name are the same");
                    return Err(wrong(SqlState::SYNTAX_ERROR, message, search.position));
                }
            }
        }
        Ok(Growth { search, cycle })
    }

    fn listed(&self, columns: &[Ident], names: &[Name], what: &str, position: u32) -> Result<Vec<usize>> {
        let mut places: Vec<usize> = vec![];
        for column in columns {
            let name = fold(column);
            let Some(place) = names.iter().position(|n| n.name == name) else {
                let message = format!("{what} column \"{name}\" not in WITH query column list");
                return Err(wrong(SqlState::SYNTAX_ERROR, message, position));
            };
            if places.contains(&place) {
                let message = format!("{what} column \"{name}\" specified more than once");
                return Err(wrong(SqlState::DUPLICATE_COLUMN, message, position));
            }
            places.push(place);
        }
        Ok(places)
    }

    fn new_name(&self, name: &Ident, names: &[Name], what: &str, position: u32) -> Result<String> {
        let name = fold(name);
        match names.iter().any(|n| n.name == name) {
            true => {
                let message = format!("{what} column name \"{name}\" already used in WITH query column list");
                Err(wrong(SqlState::SYNTAX_ERROR, message, position))
            }
            false => Ok(name),
        }
    }

    fn search_column(&mut self, search: &Search, names: &[Name]) -> Result<SearchColumn> {
        let position = self.at(search.span);
        Ok(SearchColumn {
            is_depth_first: search.is_depth_first,
            by: self.listed(&search.columns, names, "search", position)?,
            name: self.new_name(&search.sequence, names, "search sequence", position)?,
            position,
        })
    }

    fn cycle_columns(&mut self, cycle: &Cycle, names: &[Name]) -> Result<CycleColumns> {
        let position = self.at(cycle.span);
        let of = self.listed(&cycle.columns, names, "cycle", position)?;
        let (on, off) = match &cycle.values {
            Some((on, off)) => (self.expr(on)?, self.expr(off)?),
            None => {
                let flag = |value| Expr::constant(Datum::Bool(value), SqlType::BOOL);
                (flag(true), flag(false))
            }
        };
        let ty = self.common_type(&[(on.ty, on.position), (off.ty, off.position)], "CYCLE")?;
        let (on, off) = (self.implicit_as(on, ty, "CYCLE")?, self.implicit_as(off, ty, "CYCLE")?);
        let mark = self.new_name(&cycle.mark, names, "cycle mark", position)?;
        let path = self.new_name(&cycle.path, names, "cycle path", position)?;
        if mark == path {
            let message = "cycle mark column name and cycle path column name are the same".to_owned();
            return Err(wrong(SqlState::SYNTAX_ERROR, message, position));
        }
        Ok(CycleColumns { of, mark, path, on, off, position })
    }

    /// The columns that the query has besides its own.
    pub(super) fn grown_names(&mut self, growth: &Growth) -> Vec<Name> {
        let mut columns = vec![];
        if let Some(search) = &growth.search {
            let ty = if search.is_depth_first { RECORDS } else { SqlType::RECORD };
            columns.push((search.name.clone(), ty));
        }
        if let Some(cycle) = &growth.cycle {
            columns.push((cycle.mark.clone(), cycle.on.ty));
            columns.push((cycle.path.clone(), RECORDS));
        }
        columns.into_iter().map(|(name, ty)| Name { id: self.new_column(&name, ty, 0, 0), name, ty }).collect()
    }

    /// The second term with the columns of the row before behind its select list.
    pub(super) fn with_row_before(&self, term: &SetExpr, name: &str, added: &[Name]) -> Result<SetExpr> {
        let mut term = term;
        while let SetExpr::Query(query) = term
            && is_bare(query)
        {
            term = &query.body;
        }
        let found = match term {
            SetExpr::Select(select) => reference(&select.from, name).map(|alias| (select, alias)),
            _ => None,
        };
        let Some((select, alias)) = found else {
            let message = format!(
                "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"{name}\" must be at the top level of \
                 its right-hand SELECT"
            );
            return Err(SqlError::unsupported(message));
        };
        let mut select = select.clone();
        for column in added {
            let column = Ident::with_quote('"', &column.name);
            let read = ast::Expr::CompoundIdentifier(vec![alias.clone(), column]);
            select.projection.push(SelectItem::UnnamedExpr(read));
        }
        Ok(SetExpr::Select(select))
    }

    /// The first term with the new columns.
    pub(super) fn grow_base(&mut self, growth: &Growth, mut base: BoundQuery) -> Result<BoundQuery> {
        let own = own_columns(&base.columns);
        let mut new = vec![];
        if let Some(search) = &growth.search {
            let first = match search.is_depth_first {
                true => array(row(vec![], &search.by, &own)),
                false => row(vec![Expr::constant(Datum::Int8(0), SqlType::INT8)], &search.by, &own),
            };
            new.push((search.name.as_str(), first));
        }
        if let Some(cycle) = &growth.cycle {
            new.push((&cycle.mark, cycle.off.clone()));
            new.push((&cycle.path, array(row(vec![], &cycle.of, &own))));
        }
        self.add_columns(&mut base, own, new);
        Ok(base)
    }

    /// The second term, bound with the row before, with the new columns in its place. Its first `width` columns are its own.
    pub(super) fn grow_step(&mut self, growth: &Growth, mut step: BoundQuery, width: usize) -> Result<BoundQuery> {
        let behind = step.columns.split_off(width.min(step.columns.len()));
        step.positions.truncate(width);
        let mut before = Before(behind.iter().map(|n| (n.id, n.ty)).collect());
        let own = own_columns(&step.columns);
        let mut new = vec![];
        if let Some(search) = &growth.search {
            let sequence = before.take()?;
            let next = match search.is_depth_first {
                true => self.binary("||", sequence, row(vec![], &search.by, &own), search.position)?,
                false => {
                    let depth = ExprKind::Field { row: Box::new(sequence), index: 0 };
                    let depth = Expr::new(depth, SqlType::INT8, search.position);
                    let one = Expr::constant(Datum::Int8(1), SqlType::INT8);
                    row(vec![self.binary("+", depth, one, search.position)?], &search.by, &own)
                }
            };
            new.push((search.name.as_str(), next));
        }
        if let Some(cycle) = &growth.cycle {
            let (mark, path) = (before.take()?, before.take()?);
            let goes_on = self.binary("<>", mark, cycle.on.clone(), cycle.position)?;
            step.node = Node::Filter { input: Box::new(step.node), predicate: vec![goes_on] };
            let at = row(vec![], &cycle.of, &own);
            let was_here = self.any_array("=", at.clone(), path.clone(), false, false, cycle.position)?;
            let branches = vec![(was_here, cycle.on.clone())];
            let otherwise = Some(Box::new(cycle.off.clone()));
            let mark = ExprKind::Case { operand: None, branches, otherwise };
            new.push((&cycle.mark, Expr::new(mark, cycle.on.ty, cycle.position)));
            new.push((&cycle.path, self.binary("||", path, at, cycle.position)?));
        }
        self.add_columns(&mut step, own, new);
        Ok(step)
    }

    fn add_columns(&mut self, term: &mut BoundQuery, own: Vec<Expr>, new: Vec<(&str, Expr)>) {
        let mut exprs: Vec<(ColumnId, Expr)> = term.columns.iter().map(|n| n.id).zip(own).collect();
        for (name, expr) in new {
            let (id, ty) = (self.new_column(name, expr.ty, 0, 0), expr.ty);
            term.columns.push(Name { id, name: name.to_owned(), ty });
            term.positions.push(expr.position);
            exprs.push((id, expr));
        }
        let input = Box::new(std::mem::replace(&mut term.node, Node::OneRow));
        term.node = Node::Project { input, exprs };
    }
}

fn own_columns(columns: &[Name]) -> Vec<Expr> {
    columns.iter().map(|n| Expr::column(n.id, n.ty)).collect()
}

fn row(mut fields: Vec<Expr>, places: &[usize], own: &[Expr]) -> Expr {
    fields.extend(places.iter().filter_map(|place| own.get(*place)).cloned());
    let names = (1..=fields.len()).map(|n| format!("f{n}")).collect();
    Expr::new(ExprKind::Row { fields, names }, SqlType::RECORD, 0)
}

fn array(row: Expr) -> Expr {
    Expr::new(ExprKind::Array { elements: vec![row], nested: false }, RECORDS, 0)
}
