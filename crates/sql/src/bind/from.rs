//! FROM: tables, subqueries, views. Joins are in `join`, functions in `from_function`, WITH queries in `with`.

use super::scope::{Clause, Item, Name, Scope, fold};
use super::{Binder, locking, start, unsupported};
use crate::expr::{Expr, ExprKind};
use crate::logical::{JoinKind, Node, PrivilegeCheck, Scan, ScanColumn, Until};
use crate::parse::as_of;
use crate::plan::columns;
use crate::tree::{FromTree, Source};
use catalog::{Relation, RelationKind};
use sqlparser::ast::{self, ObjectName, Query, TableAlias, TableFactor, TableVersion, TableWithJoins};
use std::sync::Arc;
use types::{Result, SqlError, SqlState, SqlType, oid};

/// One FROM item as a node, and the columns that `*` over it shows.
pub(super) struct Factor {
    pub(super) node: Node,
    pub(super) columns: Vec<Name>,
    /// Under a record.
    pub(super) tree: Option<FromTree>,
}

impl Binder<'_> {
    /// The items of a FROM list, cross joined; their names are put into the innermost scope.
    pub(super) fn from(&mut self, items: &[TableWithJoins]) -> Result<Node> {
        let clause = self.enter(Clause::From);
        let mut node = None;
        for item in items {
            let start = self.scope()?.items.len();
            let Factor { node: right, tree, .. } = self.with_joins(item)?;
            self.scope()?.from_trees.extend(tree);
            self.check_names(0, start)?;
            for item in self.scope()?.items.iter_mut().skip(start) {
                (item.lateral_only, item.lateral_allowed) = (true, true);
            }
            node = Some(match node {
                None => right,
                Some(left) => cross(left, right),
            });
        }
        self.scope()?.items.iter_mut().for_each(|item| item.lateral_only = false);
        self.enter(clause);
        self.check_locked_names()?;
        Ok(node.unwrap_or(Node::OneRow))
    }

    pub(super) fn factor(&mut self, factor: &TableFactor) -> Result<Factor> {
        let position = self.at(start::of_factor(factor));
        let start = self.scope()?.items.len();
        let node = match factor {
            TableFactor::NestedJoin { table_with_joins, alias } => {
                return self.nested_join(table_with_joins, alias.as_ref());
            }
            TableFactor::Table { name, alias, args: None, version, sample: None, with_ordinality: false, .. } => {
                let node = self.table(name, alias.as_ref(), position)?;
                match version {
                    None => node,
                    Some(version) => self.as_of(node, version, position)?,
                }
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                let Some(alias) = alias else {
                    let what = if matches!(*subquery.body, sqlparser::ast::SetExpr::Values(_)) {
                        "VALUES"
                    } else {
                        "subquery"
                    };
                    let example = if what == "VALUES" { "VALUES" } else { "SELECT" };
                    let message = format!("{what} in FROM must have an alias");
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message)
                        .hint(format!("For example, FROM ({example} ...) [AS] foo."))
                        .at(position));
                };
                self.derived(subquery, *lateral, alias)?
            }
            TableFactor::Table { args: Some(_), .. } | TableFactor::Function { .. } | TableFactor::UNNEST { .. } => {
                let active = std::mem::replace(&mut self.scope()?.lateral_active, true);
                let bound = self.from_function(factor, position);
                self.scope()?.lateral_active = active;
                bound?
            }
            _ => return Err(unsupported("this kind of FROM item", position)),
        };
        let columns = self.scope()?.items.iter().skip(start).flat_map(|i| i.listed().to_vec()).collect();
        let (alias, is_lateral) = named(factor);
        let tree = self.item_tree(alias, is_lateral, start)?;
        Ok(Factor { node, columns, tree })
    }

    /// `AS OF SYSTEM TIME` on a table, or a span of system time.
    fn as_of(&mut self, node: Node, version: &TableVersion, position: u32) -> Result<Node> {
        let (Node::Scan(mut scan), TableVersion::ForSystemTimeAsOf(time)) = (node, version) else {
            return Err(unsupported("AS OF SYSTEM TIME on this kind of FROM item", position));
        };
        // A tree has no place for it: the query stays as it was written.
        if self.is_recording() {
            return Err(unsupported("AS OF SYSTEM TIME in a query that is told again", position));
        }
        if scan.relation.kind == RelationKind::Virtual || scan.relation.is_temporary {
            let what = format!("AS OF SYSTEM TIME on \"{}\", which keeps no history,", scan.relation.name);
            return Err(unsupported(&what, position));
        }
        if scan.columns.iter().any(|(what, _)| *what == ScanColumn::RowKey) {
            return Err(unsupported("locking rows of the past", position));
        }
        let Some((from, to, is_closed)) = as_of::span(time) else {
            scan.as_of = Some(self.system_time(time)?);
            return Ok(Node::Scan(scan));
        };
        scan.as_of = Some(self.system_time(from)?);
        scan.until = Some(Until { time: self.system_time(to)?, is_closed });
        let period = [ScanColumn::ValidFrom, ScanColumn::ValidTo].map(|what| self.hidden(what, SqlType::TIMESTAMPTZ));
        scan.columns.extend(period.iter().map(|h| (h.what, h.id)));
        if let Some(item) = self.scope()?.items.last_mut() {
            item.hidden.extend(period);
        }
        Ok(Node::Scan(scan))
    }

    fn system_time(&mut self, time: &ast::Expr) -> Result<Expr> {
        self.scopes.push(Scope::of(Clause::Other));
        let bound = self.expr(time);
        self.scopes.pop();
        let time = self.time_of(bound?)?;
        if time.any(&mut |e| matches!(e.kind, ExprKind::Column(_) | ExprKind::Subquery(_))) {
            return Err(unsupported("a time that is read from a table", time.position));
        }
        Ok(time)
    }

    /// A timestamptz, an interval back from now, or a raw timestamp as `_ts` shows it. A literal is the first that it can be.
    fn time_of(&mut self, time: Expr) -> Result<Expr> {
        let (ty, position) = (time.ty, time.position);
        match ty.oid {
            oid::TIMESTAMPTZ | oid::INTERVAL | oid::INT8 => Ok(time),
            oid::UNKNOWN => {
                let text = match &time.kind {
                    ExprKind::Const(value @ types::Datum::Text(_)) => Some(value.as_str().to_owned()),
                    _ => None,
                };
                let is = |ty| text.as_ref().is_some_and(|t| types::io::input(ty, t, &self.context.format).is_ok());
                let interval = SqlType::new(oid::INTERVAL);
                let ty = if !is(SqlType::TIMESTAMPTZ) && is(interval) { interval } else { SqlType::TIMESTAMPTZ };
                self.implicit(time, ty)
            }
            oid::INT2 | oid::INT4 => self.explicit_cast(time, SqlType::INT8, position),
            oid::TIMESTAMP | oid::DATE => self.explicit_cast(time, SqlType::TIMESTAMPTZ, position),
            _ => {
                let message = format!(
                    "AS OF SYSTEM TIME must be a timestamp with time zone, an interval or a bigint, not type {}",
                    self.type_name(ty)
                );
                Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position))
            }
        }
    }

    fn derived(&mut self, subquery: &Query, lateral: bool, alias: &TableAlias) -> Result<Node> {
        let name = fold(&alias.name);
        let mut locks = self.locks_of(&name)?;
        if !locks.is_empty() && matches!(*subquery.body, sqlparser::ast::SetExpr::Values(_)) {
            locking::refuse(&locks, "VALUES")?;
        }
        // The subquery is told as it was written, without locks that reach into it.
        if self.is_recording() {
            locks.clear();
        }
        let active = std::mem::replace(&mut self.scope()?.lateral_active, lateral);
        let bound = self.query_locked(subquery, locks);
        self.scope()?.lateral_active = active;
        let mut bound = bound?;
        if let Some(tree) = bound.tree.take() {
            self.record_source(|| Source::Query(tree));
        }
        self.add_item(&name, bound.columns, Some(alias))?;
        Ok(bound.node)
    }

    pub(super) fn add_item(&mut self, name: &str, columns: Vec<Name>, alias: Option<&TableAlias>) -> Result<()> {
        let columns = self.renamed(name, columns, alias)?;
        self.put_item(Item::new(name, columns))
    }

    /// Column names as an alias's list gives them.
    pub(super) fn renamed(&self, name: &str, mut columns: Vec<Name>, alias: Option<&TableAlias>) -> Result<Vec<Name>> {
        let Some(alias) = alias else { return Ok(columns) };
        if alias.columns.len() > columns.len() {
            let message = format!(
                "table \"{name}\" has {} columns available but {} columns specified",
                columns.len(),
                alias.columns.len()
            );
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        for (column, renamed) in columns.iter_mut().zip(&alias.columns) {
            column.name = fold(&renamed.name);
        }
        Ok(columns)
    }

    /// No name may stand among the items from `start` on and again from `middle` on. What an alias hides does not count.
    pub(super) fn check_names(&mut self, start: usize, middle: usize) -> Result<()> {
        let items = &self.scope()?.items;
        let visible = |from: usize| items.iter().skip(from).filter(|i| i.name_visible);
        let left: Vec<_> =
            visible(start).take_while(|i| !items.iter().skip(middle).any(|m| std::ptr::eq(m, *i))).collect();
        match visible(middle).find(|right| left.iter().any(|l| l.alias == right.alias)) {
            None => Ok(()),
            Some(item) => {
                let message = format!("table name \"{}\" specified more than once", item.alias);
                Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message))
            }
        }
    }

    pub(super) fn put_item(&mut self, item: Item) -> Result<()> {
        let item = self.with_row(item);
        let relation = item.relation.as_ref().map_or(0, |r| r.id);
        let scope = self.scope()?;
        scope.mentioned.push((item.alias.clone(), relation));
        scope.push(item);
        Ok(())
    }

    /// The last item is that relation, though its row is not.
    pub(super) fn mention(&mut self, relation: types::Oid) -> Result<()> {
        if let Some((_, id)) = self.scope()?.mentioned.last_mut() {
            *id = relation;
        }
        Ok(())
    }

    pub(super) fn relation(&mut self, name: &ObjectName, position: u32) -> Result<Arc<Relation>> {
        let parts: Vec<_> = name.0.iter().filter_map(|p| p.as_ident().map(fold)).collect();
        let found = catalog::names::relation(&self.context.catalog, self.name_scope(), &parts);
        if parts.len() > 1 {
            self.require_usage(&parts).map_err(|e| e.at(position))?;
        }
        let relation = found.map_err(|e| e.at(position))?.clone();
        if !self.depends_on.iter().any(|(id, _)| *id == relation.id) {
            self.depends_on.push((relation.id, relation.schema_version));
        }
        Ok(relation)
    }

    /// What a schema holds can be named only by those who may use it. The search path leaves out what may not be.
    fn require_usage(&self, name: &[String]) -> Result<()> {
        let catalog = &self.context.catalog;
        let (Some(schema), _) = catalog::names::split(catalog, self.name_scope(), name)? else { return Ok(()) };
        let Ok(schema) = catalog::names::schema(catalog, self.name_scope(), schema) else { return Ok(()) };
        // pg_catalog, information_schema and the session's own TEMP tables are open to all.
        if schema.database == 0 || Some(schema.id) == self.context.temporary_schema {
            return Ok(());
        }
        let target = catalog::privileges::Target::Schema(schema);
        catalog::privileges::require(catalog, self.context.role, target, catalog::privilege::USAGE)
    }

    /// To be checked when the statement runs; `rights` tells on which columns.
    pub(super) fn need(&mut self, relation: &Relation, rights: u32) {
        let role = self.context.role;
        self.privileges.push(PrivilegeCheck { relation: relation.id, role, rights, columns: None });
    }

    pub(super) fn table(&mut self, name: &ObjectName, alias: Option<&TableAlias>, position: u32) -> Result<Node> {
        if let [part] = name.0.as_slice()
            && let Some(ident) = part.as_ident()
            && let Some(index) = self.with_query(&fold(ident))
        {
            return self.with_item(index, alias, position);
        }
        let relation = self.relation(name, position)?;
        if relation.row_security {
            return Err(unsupported("row security", position));
        }
        self.need(&relation, catalog::privilege::SELECT);
        let alias_name = alias.map_or_else(|| relation.name.clone(), |a| fold(&a.name));
        let locks = self.locks_of(&alias_name)?;
        if !locks.is_empty() {
            self.need(&relation, catalog::privilege::UPDATE);
        }
        let attributes = || relation.live_columns().map(|c| c.number).collect();
        self.record_source(|| Source::Relation(relation.id, attributes()));
        match relation.kind {
            RelationKind::View if self.is_recording() => {
                let names = self.row_of(&relation);
                let columns = names.iter().map(|n| n.id).collect();
                self.add_item(&alias_name, names, alias)?;
                Ok(Node::Values { rows: vec![], columns })
            }
            RelationKind::View => self.view(&relation, &alias_name, alias, locks, position),
            RelationKind::Table | RelationKind::MaterializedView | RelationKind::Virtual | RelationKind::Collection => {
                let (mut scan, names) = self.scan(&relation, &alias_name);
                let hidden = self.hide(&mut scan);
                self.lock_scan(&mut scan, &locks)?;
                let columns = self.renamed(&alias_name, names, alias)?;
                self.put_item(Item { relation: Some(relation), hidden, ..Item::new(&alias_name, columns) })?;
                Ok(Node::Scan(scan))
            }
            RelationKind::Sequence => {
                locking::refuse(&locks, "a sequence")?;
                self.sequence(&relation, &alias_name, alias)
            }
            RelationKind::Composite | RelationKind::Enum | RelationKind::Domain => {
                let message = format!("\"{}\" is a composite type", relation.name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position))
            }
        }
    }

    /// A scan with all live columns, and their names.
    pub(super) fn scan(&mut self, relation: &Arc<Relation>, alias: &str) -> (Scan, Vec<Name>) {
        let names = self.row_of(relation);
        let numbers = relation.live_columns().map(|c| ScanColumn::Attribute(c.number));
        let columns = numbers.zip(names.iter().map(|n| n.id)).collect();
        (Scan { relation: relation.clone(), alias: alias.to_owned(), columns, as_of: None, until: None }, names)
    }

    /// New columns for each live attribute.
    pub(super) fn row_of(&mut self, relation: &Relation) -> Vec<Name> {
        let mut names = vec![];
        for column in relation.live_columns() {
            let ty = column.ty.into();
            let id = self.new_column(&column.name, ty, relation.id, column.number);
            names.push(Name { name: column.name.clone(), id, ty });
        }
        names
    }

    fn view(
        &mut self,
        view: &Arc<Relation>,
        name: &str,
        alias: Option<&TableAlias>,
        locks: Vec<locking::LockWish>,
        position: u32,
    ) -> Result<Node> {
        let (node, columns) = self.view_rows_of(view, locks, position)?;
        let columns = self.renamed(name, columns, alias)?;
        self.put_item(Item::new(name, columns))?;
        self.mention(view.id)?;
        Ok(node)
    }

    /// A view's query is bound in its place, under the search path that it was made with.
    pub(super) fn view_rows_of(
        &mut self,
        view: &Arc<Relation>,
        locks: Vec<locking::LockWish>,
        position: u32,
    ) -> Result<(Node, Vec<Name>)> {
        let Some(definition) = &view.view else { return Err(SqlError::internal("a view has a query")) };
        let context = self.view_context(view);
        let statements = crate::parse::parse(&definition.query, true)?;
        let Some(query) = statements.first().and_then(crate::Statement::as_query) else {
            return Err(SqlError::internal("a view's query is one SELECT"));
        };
        let bound = self.inside(&context, crate::parse::Lines::default(), |inner| inner.query_locked(query, locks));
        let bound = bound.map_err(|e| e.at(position))?;
        let mut columns = bound.columns;
        for (column, shown) in columns.iter_mut().zip(view.live_columns()) {
            column.name.clone_from(&shown.name);
        }
        Ok((bound.node, columns))
    }
}

/// The name that a FROM item is given, and whether it says LATERAL.
fn named(factor: &TableFactor) -> (Option<&TableAlias>, bool) {
    match factor {
        TableFactor::Table { alias, .. } | TableFactor::UNNEST { alias, .. } => (alias.as_ref(), false),
        TableFactor::Function { alias, lateral, .. } | TableFactor::Derived { alias, lateral, .. } => {
            (alias.as_ref(), *lateral)
        }
        _ => (None, false),
    }
}

pub(super) fn cross(left: Node, right: Node) -> Node {
    let lateral = reads(&right, &left);
    let (left, right) = (Box::new(left), Box::new(right));
    Node::Join { kind: JoinKind::Inner, left, right, on: vec![], lateral }
}

/// Whether an item reads columns of what stands left of it.
pub(super) fn reads(right: &Node, left: &Node) -> bool {
    if matches!(right, Node::Scan(_) | Node::CteScan { .. }) {
        return false;
    }
    let free = columns::free(right);
    !free.is_empty() && columns::outputs(left).iter().any(|id| free.contains(id))
}

/// The terms of a condition.
pub(super) fn conjuncts(condition: Expr) -> Vec<Expr> {
    match condition.kind {
        ExprKind::And(terms) => terms,
        _ => vec![condition],
    }
}
