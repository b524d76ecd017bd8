//! FROM: tables, subqueries, joins.

use super::from_function::is_lateral;
use super::query::CteName;
use super::scope::{Clause, Item, Name, Scope, fold};
use super::{Binder, unsupported};
use crate::expr::{Expr, ExprKind};
use crate::logical::{JoinKind, Node, PrivilegeCheck, Scan, ScanColumn};
use catalog::{Relation, RelationKind};
use sqlparser::ast::{JoinConstraint, JoinOperator, ObjectName, Spanned, TableAlias, TableFactor, TableWithJoins};
use std::sync::Arc;
use types::{Result, SqlError, SqlState};

impl Binder<'_> {
    /// The items of a FROM list, cross joined; their names are put into the innermost scope.
    pub(super) fn from(&mut self, items: &[TableWithJoins]) -> Result<Node> {
        let mut node = None;
        for item in items {
            let right = self.with_joins(item)?;
            node = Some(match node {
                None => right,
                Some(left) => cross(left, right),
            });
        }
        Ok(node.unwrap_or(Node::OneRow))
    }

    fn with_joins(&mut self, item: &TableWithJoins) -> Result<Node> {
        let start = self.scope()?.items.len();
        let mut node = self.factor(&item.relation)?;
        for join in &item.joins {
            let middle = self.scope()?.items.len();
            let right = self.factor(&join.relation)?;
            let (kind, constraint) = match &join.join_operator {
                JoinOperator::Join(c) | JoinOperator::Inner(c) | JoinOperator::CrossJoin(c) => (JoinKind::Inner, c),
                JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinKind::Left, c),
                JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (JoinKind::Right, c),
                JoinOperator::FullOuter(c) => (JoinKind::Full, c),
                _ => return Err(unsupported("this kind of join", self.at(join.relation.span()))),
            };
            let on = self.join_condition(kind, constraint, start, middle)?;
            node = {
                let lateral = is_lateral(&right);
                Node::Join { kind, left: Box::new(node), right: Box::new(right), on, lateral }
            };
        }
        Ok(node)
    }

    fn join_condition(
        &mut self,
        kind: JoinKind,
        constraint: &JoinConstraint,
        start: usize,
        middle: usize,
    ) -> Result<Vec<Expr>> {
        let names = match constraint {
            JoinConstraint::None => return Ok(vec![]),
            JoinConstraint::On(condition) => {
                // Only what stands left in the same join is visible.
                let hidden: Vec<Item> = self.scope()?.items.drain(..start).collect();
                self.scope()?.clause = Clause::Join;
                let bound = self.expr(condition).and_then(|c| self.boolean(c, "JOIN/ON"));
                let scope = self.scope()?;
                scope.clause = Clause::Where;
                scope.items.splice(0..0, hidden);
                return Ok(conjuncts(bound?));
            }
            JoinConstraint::Using(names) => {
                names.iter().filter_map(|n| n.0.last().and_then(|p| p.as_ident()).map(fold)).collect()
            }
            JoinConstraint::Natural => self.shared_names(start, middle)?,
            JoinConstraint::UsingAlias(..) => return Err(unsupported("JOIN USING with an alias", 0)),
        };
        if kind == JoinKind::Full {
            return Err(unsupported("FULL JOIN with USING", 0));
        }
        let mut on = vec![];
        for name in &names {
            on.push(self.using_column(kind, name, start, middle)?);
        }
        Ok(on)
    }

    fn shared_names(&mut self, start: usize, middle: usize) -> Result<Vec<String>> {
        let scope = self.scope()?;
        let left = visible(scope, start, middle);
        let right = visible(scope, middle, scope.items.len());
        Ok(left.into_iter().filter(|l| right.iter().any(|r| r.name == l.name)).map(|l| l.name).collect())
    }

    /// `left.name = right.name`; afterwards the bare name means the side that is not padded with NULLs.
    fn using_column(&mut self, kind: JoinKind, name: &str, start: usize, middle: usize) -> Result<Expr> {
        let scope = self.scope()?;
        let end = scope.items.len();
        let side = |from, to, which: &str| {
            let found: Vec<_> = visible(scope, from, to).into_iter().filter(|c| c.name == name).collect();
            match <[Name; 1]>::try_from(found) {
                Ok([one]) => Ok(one),
                Err(found) if found.is_empty() => Err(SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{name}\" specified in USING clause does not exist in {which} table"),
                )),
                Err(_) => Err(SqlError::new(
                    SqlState::AMBIGUOUS_COLUMN,
                    format!("common column name \"{name}\" appears more than once in {which} table"),
                )),
            }
        };
        let (left, right) = (side(start, middle, "left")?, side(middle, end, "right")?);
        let merged = if kind == JoinKind::Right { left.id } else { right.id };
        for item in scope.items.iter_mut().skip(start) {
            if item.columns.iter().any(|c| c.id == merged) {
                item.hidden.push(merged);
            }
        }
        self.binary("=", Expr::column(left.id, left.ty), Expr::column(right.id, right.ty), 0)
    }

    fn factor(&mut self, factor: &TableFactor) -> Result<Node> {
        let position = self.at(factor.span());
        match factor {
            TableFactor::Table {
                name, alias, args: None, version: None, sample: None, with_ordinality: false, ..
            } => self.table(name, alias.as_ref(), position),
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                let Some(alias) = alias else {
                    let message = "subquery in FROM must have an alias";
                    return Err(SqlError::new(SqlState::SYNTAX_ERROR, message)
                        .hint("For example, FROM (SELECT ...) [AS] foo.")
                        .at(position));
                };
                // Its FROM siblings are not visible inside.
                let siblings = std::mem::take(&mut self.scope()?.items);
                let bound = self.query(subquery);
                self.scope()?.items = siblings;
                let bound = bound?;
                self.add_item(&fold(&alias.name), bound.columns, Some(alias))?;
                Ok(bound.node)
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.with_joins(table_with_joins),
            TableFactor::Table { args: Some(_), .. } | TableFactor::Function { .. } | TableFactor::UNNEST { .. } => {
                self.from_function(factor, position)
            }
            _ => Err(unsupported("this kind of FROM item", position)),
        }
    }

    pub(super) fn add_item(&mut self, name: &str, mut columns: Vec<Name>, alias: Option<&TableAlias>) -> Result<()> {
        if let Some(alias) = alias {
            let position = self.at(alias.name.span);
            if alias.columns.len() > columns.len() {
                let message = format!(
                    "table \"{name}\" has {} columns available but {} columns specified",
                    columns.len(),
                    alias.columns.len()
                );
                return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(position));
            }
            for (column, renamed) in columns.iter_mut().zip(&alias.columns) {
                column.name = fold(&renamed.name);
            }
        }
        if self.scope()?.items.iter().any(|i| i.alias == name) {
            let message = format!("table name \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
        }
        self.scope()?.push(Item::new(name, columns));
        Ok(())
    }

    pub(super) fn relation(&mut self, name: &ObjectName, position: u32) -> Result<Arc<Relation>> {
        let parts: Vec<_> = name.0.iter().filter_map(|p| p.as_ident().map(fold)).collect();
        let found = catalog::names::relation(&self.context.catalog, self.name_scope(), &parts);
        let relation = found.map_err(|e| e.at(position))?.clone();
        if !self.depends_on.iter().any(|(id, _)| *id == relation.id) {
            self.depends_on.push((relation.id, relation.schema_version));
        }
        Ok(relation)
    }

    /// To be checked when the statement runs. All columns or none: column privileges are not told apart yet.
    pub(super) fn need(&mut self, relation: &Relation, rights: u32) {
        let role = self.context.role;
        self.privileges.push(PrivilegeCheck { relation: relation.id, role, rights, columns: vec![] });
    }

    pub(super) fn table(&mut self, name: &ObjectName, alias: Option<&TableAlias>, position: u32) -> Result<Node> {
        if let [part] = name.0.as_slice()
            && let Some(ident) = part.as_ident()
        {
            let wanted = fold(ident);
            if let Some(cte) = self.ctes_in_view.iter().rev().find(|c| c.name == wanted).cloned() {
                return self.cte_scan(&cte, alias);
            }
        }
        let relation = self.relation(name, position)?;
        if relation.row_security {
            return Err(unsupported("row security", position));
        }
        self.need(&relation, catalog::privilege::SELECT);
        let alias_name = alias.map_or_else(|| relation.name.clone(), |a| fold(&a.name));
        match relation.kind {
            RelationKind::View => self.view(&relation, &alias_name, alias, position),
            RelationKind::Table | RelationKind::MaterializedView | RelationKind::Virtual | RelationKind::Collection => {
                let (scan, names) = self.scan(&relation, &alias_name);
                self.add_item(&alias_name, names, alias)?;
                Ok(Node::Scan(scan))
            }
            RelationKind::Sequence | RelationKind::Composite => {
                Err(unsupported(&format!("reading a {}", relation.kind_name()), position))
            }
        }
    }

    /// A scan with all live columns, and their names.
    pub(super) fn scan(&mut self, relation: &Arc<Relation>, alias: &str) -> (Scan, Vec<Name>) {
        let names = self.row_of(relation);
        let numbers = relation.live_columns().map(|c| ScanColumn::Attribute(c.number));
        let columns = numbers.zip(names.iter().map(|n| n.id)).collect();
        (Scan { relation: relation.clone(), alias: alias.to_owned(), columns, as_of: None }, names)
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

    /// A view's query is bound in its place, under the search path that it was made with.
    fn view(&mut self, view: &Relation, name: &str, alias: Option<&TableAlias>, position: u32) -> Result<Node> {
        let Some(definition) = &view.view else { return Err(SqlError::internal("a view has a query")) };
        let mut context = self.context.clone();
        let path = definition.search_path.iter();
        context.search_path =
            path.filter_map(|s| context.catalog.schema_by_name(context.database, s).map(|s| s.id)).collect();
        context.role = view.owner;
        let statements = crate::parse::parse(&definition.query, true)?;
        let Some(query) = statements.first().and_then(crate::Statement::as_query) else {
            return Err(SqlError::internal("a view's query is one SELECT"));
        };
        let mut inner = Binder::new(&context, crate::parse::Lines::default());
        std::mem::swap(&mut inner.columns, &mut self.columns);
        inner.ctes = std::mem::take(&mut self.ctes);
        let bound = inner.query(query);
        std::mem::swap(&mut inner.columns, &mut self.columns);
        self.ctes = std::mem::take(&mut inner.ctes);
        let bound = bound.map_err(|e| e.at(position))?;
        self.privileges.append(&mut inner.privileges);
        self.depends_on.append(&mut inner.depends_on);
        let mut columns = bound.columns;
        for (column, shown) in columns.iter_mut().zip(view.live_columns()) {
            column.name.clone_from(&shown.name);
        }
        self.add_item(name, columns, alias)?;
        Ok(bound.node)
    }

    fn cte_scan(&mut self, cte: &CteName, alias: Option<&TableAlias>) -> Result<Node> {
        let (mut names, mut columns) = (vec![], vec![]);
        for source in &cte.columns {
            let id = self.new_column(&source.name, source.ty, 0, 0);
            names.push(Name { id, ..source.clone() });
            columns.push((id, source.id));
        }
        let name = alias.map_or_else(|| cte.name.clone(), |a| fold(&a.name));
        self.add_item(&name, names, alias)?;
        Ok(Node::CteScan { cte: cte.id, columns, alias: name })
    }
}

fn visible(scope: &Scope, from: usize, to: usize) -> Vec<Name> {
    let items = scope.items.get(from..to).unwrap_or_default();
    items.iter().flat_map(|i| i.columns.iter().filter(|c| !i.hidden.contains(&c.id)).cloned()).collect()
}

pub(super) fn cross(left: Node, right: Node) -> Node {
    let lateral = is_lateral(&right);
    let (left, right) = (Box::new(left), Box::new(right));
    Node::Join { kind: JoinKind::Inner, left, right, on: vec![], lateral }
}

/// The terms of a condition.
pub(super) fn conjuncts(condition: Expr) -> Vec<Expr> {
    match condition.kind {
        ExprKind::And(terms) => terms,
        _ => vec![condition],
    }
}
