//! WITH: queries by name, recursive ones, and those that write.
//!
//! A WITH query that reads nothing from around it is computed once, as a `Cte` of the statement. One that reads an enclosing
//! query's row, or the working table of a recursive query around it, has a value per row: it is bound anew in each place that
//! names it. Those that write are `Cte`s always, and allowed only at the statement's top.
//!
//! `WITH RECURSIVE` may name any query of its list, itself too. A query is bound when it is first named or when its turn
//! comes; while a recursive one is being bound its name means the working table.

use super::query::BoundQuery;
use super::scope::{Item, Name, fold};
use super::{Binder, locking, unsupported};
use crate::logical::{ColumnId, Cte, CteId, Node};
use crate::parse::search_cycle::{self, SearchCycle};
use crate::plan::columns;
use crate::tree::{Body, CycleTree, SearchTree, Source, WithTree};
use sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier, Spanned, TableAlias};
use std::sync::Arc;
use types::{Result, SqlError, SqlState, SqlType, oid, typename};

/// Where inside a recursive term the binder is, if a reference to the query itself is wrong there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Subquery,
    OuterJoin,
    Intersect,
    Except,
}

/// A query by name that may be seen from where the binder is.
#[derive(Clone)]
pub(super) struct WithQuery {
    name: String,
    syntax: Arc<ast::Cte>,
    /// Which WITH clause it stands in.
    list: usize,
    /// Enclosing scopes where it is defined, and how many names are in view for its own text.
    depth: usize,
    in_view: usize,
    growth: Option<Arc<SearchCycle>>,
    state: State,
    /// Under a record: its SEARCH and CYCLE, and then all of it.
    grown: (Option<SearchTree>, Option<CycleTree>),
    tree: Option<Box<WithTree>>,
}

#[derive(Clone)]
enum State {
    Unbound,
    /// Being bound, and not a UNION.
    Plain,
    /// The WITH clause of a recursive UNION.
    Before,
    /// The first term of a recursive UNION.
    Base,
    /// Its second term: the working table's columns, and whether it was read.
    Step {
        cte: CteId,
        columns: Vec<Name>,
        /// The last of them, which SEARCH and CYCLE add: `*` does not show them.
        unlisted: usize,
        is_read: bool,
    },
    Once {
        cte: CteId,
        columns: Vec<Name>,
    },
    /// Bound again in each place.
    InPlace {
        is_volatile: bool,
        uses: usize,
    },
    /// Writes, and is being bound: it may not read itself.
    Writing,
    /// Writes and returns nothing.
    Silent,
}

impl Binder<'_> {
    pub(super) fn enter_place(&mut self, place: Option<Place>) -> Option<Place> {
        match place {
            Some(_) => std::mem::replace(&mut self.place, place),
            None => self.place,
        }
    }

    pub(super) fn leave_place(&mut self, outer: Option<Place>) {
        self.place = outer;
    }

    /// Puts the queries of a WITH clause in view. `at_top`: of the whole statement.
    pub(super) fn with(&mut self, with: Option<&ast::With>, at_top: bool) -> Result<()> {
        let Some(with) = with else { return Ok(()) };
        let first = self.with_queries.len();
        self.with_lists += 1;
        let queries = self.with_clauses(with)?;
        for (number, (cte, growth)) in queries.iter().enumerate() {
            let name = fold(&cte.alias.name);
            let position = self.at(cte.alias.name.span);
            if self.with_queries.iter().skip(first).any(|q| q.name == name)
                || queries.iter().take(number).any(|(c, _)| fold(&c.alias.name) == name)
            {
                let message = format!("WITH query name \"{name}\" specified more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message).at(position));
            }
            let is_writing = matches!(
                &*cte.query.body,
                SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
            );
            if is_writing && !at_top {
                let message = "WITH clause containing a data-modifying statement must be at the top level";
                return Err(SqlError::unsupported(message).at(position));
            }
            if !with.recursive {
                self.add_with_query(cte, growth.clone(), first + number);
                self.bind_with_query(first + number)?;
            }
        }
        if with.recursive {
            let end = first + queries.len();
            for (cte, growth) in queries {
                self.add_with_query(cte, growth, end);
            }
            for index in first..end {
                self.bind_with_query(index)?;
            }
        }
        Ok(())
    }

    /// The queries of a WITH clause, with what SEARCH and CYCLE say of them.
    fn with_clauses<'w>(&self, with: &'w ast::With) -> Result<Vec<(&'w ast::Cte, Option<Arc<SearchCycle>>)>> {
        let mut queries: Vec<(&ast::Cte, Option<Arc<SearchCycle>>)> = vec![];
        for cte in &with.cte_tables {
            match (search_cycle::of_cte(cte), queries.last_mut()) {
                (Some(Ok(clauses)), Some((_, growth))) => *growth = Some(Arc::new(clauses)),
                (Some(_), _) => {
                    let message = "syntax error in a SEARCH or CYCLE clause";
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(self.at(cte.alias.name.span)));
                }
                (None, _) => queries.push((cte, None)),
            }
        }
        Ok(queries)
    }

    fn add_with_query(&mut self, cte: &ast::Cte, growth: Option<Arc<SearchCycle>>, in_view: usize) {
        self.with_queries.push(WithQuery {
            name: fold(&cte.alias.name),
            syntax: Arc::new(cte.clone()),
            list: self.with_lists,
            depth: self.scopes.len(),
            in_view,
            growth,
            state: State::Unbound,
            grown: (None, None),
            tree: None,
        });
    }

    /// The innermost query of that name.
    pub(super) fn with_query(&self, name: &str) -> Option<usize> {
        self.with_queries.iter().rposition(|q| q.name == name)
    }

    fn entry(&mut self, index: usize) -> Result<&mut WithQuery> {
        self.with_queries.get_mut(index).ok_or_else(|| SqlError::internal("a WITH query was expected"))
    }

    /// Runs `work` with the names and rows in view that the query's own text sees.
    fn where_defined<T>(&mut self, index: usize, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let entry = self.entry(index)?;
        let (depth, in_view) = (entry.depth, entry.in_view);
        let inner = self.scopes.split_off(depth.min(self.scopes.len()));
        let later = self.with_queries.split_off(in_view.min(self.with_queries.len()));
        let place = self.place.take();
        let done = work(self);
        self.place = place;
        self.with_queries.truncate(in_view);
        self.with_queries.extend(later);
        self.scopes.extend(inner);
        done
    }

    fn bind_with_query(&mut self, index: usize) -> Result<()> {
        let entry = self.entry(index)?;
        if !matches!(entry.state, State::Unbound) {
            return Ok(());
        }
        let syntax = entry.syntax.clone();
        let name = entry.name.clone();
        let position = self.at(syntax.alias.name.span);
        if syntax.from.is_some() {
            return Err(unsupported("FROM after a WITH query", position));
        }
        if let SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Merge(inner) =
            &*syntax.query.body
        {
            return self.bind_writing(index, &syntax, inner, position);
        }
        self.binding.push(index);
        let bound = self.body_of(index);
        self.binding.pop();
        let mut bound = bound?;
        if let Some(tree) = bound.tree.take() {
            let entry = self.entry(index)?;
            let grown = std::mem::take(&mut entry.grown);
            entry.tree = Some(Box::new(Self::with_tree(&name, &syntax, *tree, grown)));
        }
        let columns = self.with_columns(&name, bound.columns, &syntax.alias, position)?;
        let is_in_place = !columns::free(&bound.node).is_empty() || self.reads_working_table(&bound.node);
        let state = match is_in_place {
            true => State::InPlace { is_volatile: columns::node_is_volatile(&bound.node), uses: 0 },
            false => {
                let cte = self.new_cte();
                let ids = columns.iter().map(|c| c.id).collect();
                let is_recursive = matches!(bound.node, Node::RecursiveUnion { .. });
                let cte = match &bound.node {
                    // Its working table goes by the same id.
                    Node::RecursiveUnion { cte, .. } => *cte,
                    _ => cte,
                };
                if syntax.materialized == Some(ast::CteAsMaterialized::Materialized) {
                    self.materialized.push(cte);
                }
                self.ctes.push(Cte {
                    id: cte,
                    name,
                    plan: bound.node,
                    columns: ids,
                    is_recursive,
                    is_modifying: false,
                });
                State::Once { cte, columns }
            }
        };
        self.entry(index)?.state = state;
        Ok(())
    }

    /// The trees of the queries in view from `start` on.
    pub(super) fn with_trees(&mut self, start: usize) -> Vec<WithTree> {
        self.with_queries.iter_mut().skip(start).filter_map(|q| q.tree.take()).map(|tree| *tree).collect()
    }

    /// Whether each working table was read so far. A text that is bound again reads it anew, which is no second reference.
    fn readings(&mut self, set: Option<&[bool]>) -> Vec<bool> {
        let mut old = vec![];
        for (number, query) in self.with_queries.iter_mut().enumerate() {
            let State::Step { is_read, .. } = &mut query.state else {
                old.push(false);
                continue;
            };
            old.push(*is_read);
            *is_read = set.is_some_and(|set| set.get(number).copied().unwrap_or(false));
        }
        old
    }

    pub(super) fn new_cte(&mut self) -> CteId {
        self.next_cte += 1;
        CteId(self.next_cte - 1)
    }

    /// Whether the node reads a working table that something around it fills.
    fn reads_working_table(&self, node: &Node) -> bool {
        let mut open: Vec<CteId> = vec![];
        for query in &self.with_queries {
            if let State::Step { cte, .. } = query.state {
                open.push(cte);
            }
        }
        !open.is_empty() && super::walk::reads_cte(node, &open)
    }

    /// Names from the WITH clause, or from the query's own outputs.
    fn with_columns(&self, name: &str, mut columns: Vec<Name>, alias: &TableAlias, position: u32) -> Result<Vec<Name>> {
        if alias.columns.len() > columns.len() {
            let message = format!(
                "WITH query \"{name}\" has {} columns available but {} columns specified",
                columns.len(),
                alias.columns.len()
            );
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position));
        }
        for (column, renamed) in columns.iter_mut().zip(&alias.columns) {
            column.name = fold(&renamed.name);
        }
        Ok(columns)
    }

    fn bind_writing(&mut self, index: usize, syntax: &ast::Cte, inner: &ast::Statement, position: u32) -> Result<()> {
        let name = fold(&syntax.alias.name);
        let with = syntax.query.with.as_ref();
        self.entry(index)?.state = State::Writing;
        let bound = self.where_defined(index, |binder| {
            let in_view = binder.with_queries.len();
            let bound = binder.write_in_with(inner, with, position);
            binder.with_queries.truncate(in_view);
            bound
        })?;
        let columns = self.with_columns(&name, bound.columns, &syntax.alias, position)?;
        let ids: Vec<ColumnId> = columns.iter().map(|c| c.id).collect();
        let cte = self.new_cte();
        self.ctes.push(Cte { id: cte, name, plan: bound.node, columns: ids, is_recursive: false, is_modifying: true });
        self.entry(index)?.state = match columns.is_empty() {
            true => State::Silent,
            false => State::Once { cte, columns },
        };
        Ok(())
    }

    /// The query's own text, bound where it is defined.
    fn body_of(&mut self, index: usize) -> Result<BoundQuery> {
        let entry = self.entry(index)?;
        let syntax = entry.syntax.clone();
        let is_recursive = entry.in_view > index;
        let query = &*syntax.query;
        let (name, has_clauses) = (syntax.alias.name.span, entry.growth.is_some());
        entry.state = State::Plain;
        self.where_defined(index, |binder| match &*query.body {
            SetExpr::SetOperation { left, op: SetOperator::Union, set_quantifier, right } if is_recursive => {
                let all = matches!(set_quantifier, SetQuantifier::All);
                let in_view = binder.with_queries.len();
                binder.entry(index)?.state = State::Before;
                let mut bound = binder
                    .with(query.with.as_ref(), false)
                    .and_then(|()| binder.recursive_union(index, query, left, right, all));
                if let Ok(BoundQuery { tree: Some(tree), .. }) = &mut bound {
                    (tree.with, tree.is_recursive) =
                        (binder.with_trees(in_view), query.with.as_ref().is_some_and(|w| w.recursive));
                }
                binder.with_queries.truncate(in_view);
                bound
            }
            _ => match has_clauses {
                true => Err(SqlError::new(SqlState::SYNTAX_ERROR, "WITH query is not recursive").at(binder.at(name))),
                false => binder.query(query),
            },
        })
    }

    fn recursive_union(
        &mut self,
        index: usize,
        query: &ast::Query,
        left: &SetExpr,
        right: &SetExpr,
        all: bool,
    ) -> Result<BoundQuery> {
        let alias = self.entry(index)?.syntax.alias.clone();
        self.entry(index)?.state = State::Base;
        let mut base = self.set_expr(left)?;
        let cte = self.new_cte();
        let mut names = self.names_of(&base, &alias);
        let width = names.len();
        let clauses = self.entry(index)?.growth.clone();
        let growth = clauses.map(|clauses| self.growth(&clauses, [left, right], &names)).transpose()?;
        if let Some(growth) = growth.as_ref().filter(|_| self.is_recording()) {
            self.entry(index)?.grown = growth.trees(&names);
        }
        let added = growth.as_ref().map_or(vec![], |growth| self.grown_names(growth));
        names.extend(added.iter().cloned());
        let unlisted = added.len();
        self.entry(index)?.state = State::Step { cte, columns: names.clone(), unlisted, is_read: false };
        let mut step = match &growth {
            None => self.set_expr(right)?,
            Some(_) => {
                let name = self.entry(index)?.name.clone();
                self.set_expr(&self.with_row_before(right, &name, &added)?)?
            }
        };
        let is_read = matches!(self.entry(index)?.state, State::Step { is_read: true, .. });
        if !is_read {
            let bound = self.set_operation(crate::logical::SetOperation::Union, all, base, step)?;
            // What stands behind the UNION counts as a place where it might read itself.
            let refused = self.refuse_tail(query);
            return self.set_operation_tail(bound, query).map_err(|error| match refused {
                Err(refused) if error.code() == SqlState::INVALID_RECURSION => refused,
                _ => error,
            });
        }
        self.refuse_tail(query)?;
        let name = self.entry(index)?.name.clone();
        let own = step.columns.len().saturating_sub(unlisted);
        let behind: Vec<Name> = step.columns.drain(own..).collect();
        step.without_targets(own);
        self.unite(&name, all, &mut base, &mut step, &names)?;
        if let Some(growth) = &growth {
            base = self.grow_base(growth, base)?;
            step.columns.extend(behind);
            step = self.grow_step(growth, step, width)?;
        }
        let tree = base.tree.take().zip(step.tree.take()).and_then(|(left, right)| {
            let operation = crate::logical::SetOperation::Union;
            self.tree_of(|| Body::SetOperation { operation, all, left, right }, &names)
        });
        let ids = |names: &[Name]| names.iter().map(|n| n.id).collect::<Vec<_>>();
        let node = Node::RecursiveUnion {
            cte,
            all,
            base_columns: ids(&base.columns),
            step_columns: ids(&step.columns),
            columns: ids(&names),
            base: Box::new(base.node),
            step: Box::new(step.node),
        };
        Ok(BoundQuery { tree, ..BoundQuery::new(node, names, base.positions) })
    }

    /// The columns of a recursive query, as its first part has them.
    fn names_of(&mut self, base: &BoundQuery, alias: &ast::TableAlias) -> Vec<Name> {
        let column = |(number, column): (usize, &Name)| {
            let name = alias.columns.get(number).map_or_else(|| column.name.clone(), |c| fold(&c.name));
            let ty = if column.ty.oid == oid::UNKNOWN { SqlType::TEXT } else { column.ty };
            Name { id: self.new_column(&name, ty, 0, 0), name, ty }
        };
        base.columns.iter().enumerate().map(column).collect()
    }

    /// Both parts get the types of the UNION, which must be those that the first part alone has.
    fn unite(
        &mut self,
        name: &str,
        all: bool,
        base: &mut BoundQuery,
        step: &mut BoundQuery,
        names: &[Name],
    ) -> Result<()> {
        let types = self.union_types("UNION", base, step)?;
        if !all && types.iter().any(|ty| !is_hashable(ty.oid)) {
            return Err(SqlError::unsupported("could not implement recursive UNION")
                .detail("All column datatypes must be hashable."));
        }
        for (number, (ty, declared)) in types.iter().zip(names).enumerate() {
            if ty != &declared.ty {
                let position = base.positions.get(number).copied().unwrap_or(0);
                return Err(type_changes(name, number + 1, declared.ty, *ty).at(position));
            }
        }
        self.convert(base, &types, "UNION")?;
        self.convert(step, &types, "UNION")
    }

    /// ORDER BY and its like have no meaning for rows that are still to grow.
    fn refuse_tail(&self, query: &ast::Query) -> Result<()> {
        let (what, position) = if let Some(order_by) = &query.order_by {
            let position = match &order_by.kind {
                ast::OrderByKind::Expressions(exprs) => exprs.first().map_or(0, |e| self.at(e.expr.span())),
                ast::OrderByKind::All(_) => 0,
            };
            ("ORDER BY", position)
        } else if let Some(ast::LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            match (offset, limit) {
                (Some(offset), _) => ("OFFSET", self.at(offset.value.span())),
                (None, Some(limit)) => ("LIMIT", self.at(limit.span())),
                (None, None) => return Ok(()),
            }
        } else if query.fetch.is_some() {
            ("LIMIT", 0)
        } else if !query.locks.is_empty() {
            ("FOR UPDATE/SHARE", 0)
        } else {
            return Ok(());
        };
        Err(SqlError::unsupported(format!("{what} in a recursive query is not implemented")).at(position))
    }

    /// A FROM item that names a WITH query.
    pub(super) fn with_item(&mut self, index: usize, alias: Option<&TableAlias>, position: u32) -> Result<Node> {
        if matches!(self.entry(index)?.state, State::Unbound) {
            self.bind_with_query(index)?;
        }
        let entry = self.entry(index)?.clone();
        let name = alias.map_or_else(|| entry.name.clone(), |a| fold(&a.name));
        let locks = self.locks_of(&name)?;
        locking::refuse(&locks, "a WITH query")?;
        self.record_source(|| Source::With(entry.name.clone()));
        match entry.state.clone() {
            State::Unbound => Err(SqlError::internal("a WITH query was bound")),
            State::Plain => {
                let place = self.at(entry.syntax.alias.name.span);
                Err(self.wrong_reference(index, &entry).at(place))
            }
            State::Writing => {
                let message = format!("recursive query \"{}\" must not contain data-modifying statements", entry.name);
                let place = self.at(entry.syntax.alias.name.span);
                Err(SqlError::new(SqlState::INVALID_RECURSION, message).at(place))
            }
            State::Before if !self.is_mutual(index, &entry) => {
                Err(misplaced(&entry.name, "within a subquery").at(position))
            }
            State::Base if !self.is_mutual(index, &entry) => Err(self.wrong_reference(index, &entry).at(position)),
            State::Base | State::Before => {
                let place = self.at(entry.syntax.alias.name.span);
                Err(self.wrong_reference(index, &entry).at(place))
            }
            State::Step { cte, columns, unlisted, is_read } => {
                if let Some(error) = self.wrong_step(index, &entry, is_read) {
                    let place = match self.is_mutual(index, &entry) {
                        true => self.at(entry.syntax.alias.name.span),
                        false => position,
                    };
                    return Err(error.at(place));
                }
                self.entry(index)?.state = State::Step { cte, columns: columns.clone(), unlisted, is_read: true };
                self.scope()?.reads_itself = true;
                self.cte_scan(cte, &columns, unlisted, &name, alias)
            }
            State::Once { cte, columns } => self.cte_scan(cte, &columns, 0, &name, alias),
            State::InPlace { is_volatile, uses } => {
                if is_volatile && uses > 0 {
                    return Err(unsupported("a volatile WITH query that reads outer columns used twice", position));
                }
                self.entry(index)?.state = State::InPlace { is_volatile, uses: uses + 1 };
                self.in_place(index, &entry, &name, alias, position)
            }
            State::Silent => {
                let message = format!("WITH query \"{}\" does not have a RETURNING clause", entry.name);
                Err(SqlError::unsupported(message).at(position))
            }
        }
    }

    fn in_place(
        &mut self,
        index: usize,
        entry: &WithQuery,
        name: &str,
        alias: Option<&TableAlias>,
        position: u32,
    ) -> Result<Node> {
        let before = self.readings(None);
        self.binding.push(index);
        let bound = self.body_of(index);
        self.binding.pop();
        // What was recorded of the text inside is not of this item.
        self.record_source(|| Source::With(entry.name.clone()));
        self.readings(Some(&before));
        self.entry(index)?.state = entry.state.clone();
        if let State::InPlace { uses, .. } = &mut self.entry(index)?.state {
            *uses += 1;
        }
        let bound = bound?;
        let columns = self.with_columns(&entry.name, bound.columns, &entry.syntax.alias, position)?;
        self.add_item(name, columns, alias)?;
        Ok(bound.node)
    }

    /// `unlisted`: how many of the last columns `*` does not show.
    fn cte_scan(
        &mut self,
        cte: CteId,
        sources: &[Name],
        unlisted: usize,
        name: &str,
        alias: Option<&TableAlias>,
    ) -> Result<Node> {
        let (mut names, mut columns) = (vec![], vec![]);
        for source in sources {
            let id = self.new_column(&source.name, source.ty, 0, 0);
            names.push(Name { id, ..source.clone() });
            columns.push((id, source.id));
        }
        let columns_shown = self.renamed(name, names, alias)?;
        self.put_item(Item { unlisted, ..Item::new(name, columns_shown) })?;
        Ok(Node::CteScan { cte, columns, alias: name.to_owned() })
    }

    /// Whether another query of the same WITH clause is being bound on behalf of this one.
    fn is_mutual(&self, index: usize, entry: &WithQuery) -> bool {
        let inner = self.binding.iter().rev().take_while(|i| **i != index);
        let mut lists = inner.filter_map(|i| self.with_queries.get(*i)).map(|q| q.list);
        lists.any(|list| list == entry.list)
    }

    fn wrong_reference(&self, index: usize, entry: &WithQuery) -> SqlError {
        if self.is_mutual(index, entry) {
            return SqlError::unsupported("mutual recursion between WITH items is not implemented");
        }
        let message = match entry.state {
            State::Base => {
                let name = &entry.name;
                format!("recursive reference to query \"{name}\" must not appear within its non-recursive term")
            }
            _ => format!(
                "recursive query \"{}\" does not have the form non-recursive-term UNION [ALL] recursive-term",
                entry.name
            ),
        };
        SqlError::new(SqlState::INVALID_RECURSION, message)
    }

    fn wrong_step(&self, index: usize, entry: &WithQuery, is_read: bool) -> Option<SqlError> {
        if self.is_mutual(index, entry) {
            return Some(SqlError::unsupported("mutual recursion between WITH items is not implemented"));
        }
        let place = match self.place {
            Some(Place::Subquery) => "within a subquery",
            Some(Place::OuterJoin) => "within an outer join",
            Some(Place::Intersect) => "within INTERSECT",
            Some(Place::Except) => "within EXCEPT",
            None if is_read => "more than once",
            None => return None,
        };
        Some(misplaced(&entry.name, place))
    }

    /// The WITH queries that are defined inside of the query at that depth.
    pub(super) fn ctes_within(&self, depth: usize) -> Vec<CteId> {
        let inside = self.with_queries.iter().filter(|q| q.depth > depth);
        let once = inside.filter_map(|q| match q.state {
            State::Once { cte, .. } => Some(cte),
            _ => None,
        });
        once.collect()
    }
}

fn misplaced(name: &str, place: &str) -> SqlError {
    let message = format!("recursive reference to query \"{name}\" must not appear {place}");
    SqlError::new(SqlState::INVALID_RECURSION, message)
}

/// Types that PostgreSQL has no hash operator class for, though they can be compared.
fn is_hashable(ty: types::Oid) -> bool {
    let ty = types::builtin::element_of(ty).unwrap_or(ty);
    !matches!(ty, oid::MONEY | oid::BIT | oid::VARBIT)
}

fn type_changes(name: &str, column: usize, declared: SqlType, overall: SqlType) -> SqlError {
    let (declared, overall) = (
        typename::format_type(declared.oid, Some(declared.typmod)),
        typename::format_type(overall.oid, Some(overall.typmod)),
    );
    let message = format!(
        "recursive query \"{name}\" column {column} has type {declared} in non-recursive term but type {overall} overall"
    );
    SqlError::new(SqlState::DATATYPE_MISMATCH, message)
        .hint("Cast the output of the non-recursive term to the correct type.")
}
