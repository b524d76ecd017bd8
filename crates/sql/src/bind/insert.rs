//! INSERT: VALUES, SELECT and DEFAULT VALUES, ON CONFLICT, RETURNING.

use super::assign::{Place, nothing, refuse_default};
use super::change::Assigned;
use super::fields::{DOCUMENT, FieldTarget, Fields};
use super::from::conjuncts;
use super::query::{BoundQuery, literal_of};
use super::rules::with_rule_rows;
use super::scope::{Clause, Item, Name, Scope, fold};
use super::set_returning::expanded;
use super::stored::StoredUse;
use super::target::{WholeRow, give_hidden, is_column, is_default, no_such_column, refuse_generated, write};
use super::view_target::{WriteRelation, replace_computed, resolve_computed};
use super::{Binder, group, unsupported};
use crate::expr::{Expr, PathStep};
use crate::logical::{ColumnId, ConflictUpdate, Insert, Node, OnConflict, Overriding, WriteTarget};
use crate::parse::{forms, targets};
use catalog::{Column, Identity, Relation, privilege};
use sqlparser::ast::{self, OnConflictAction, OnInsert, SetExpr, Spanned};
use std::borrow::Cow;
use std::sync::Arc;
use types::{Datum, Oid, Result, SqlError, SqlState, SqlType, oid};

/// A column that a value is given for, a part of one, or a field of a document.
#[derive(Clone)]
struct Given<'r> {
    /// Of a field: one of jsonb with number 0 and the field's name.
    column: Cow<'r, Column>,
    steps: Vec<ast::AccessExpr>,
    /// Where a field stands in the document.
    path: Option<Vec<PathStep>>,
    position: u32,
}

impl<'r> Given<'r> {
    fn whole(column: &'r Column) -> Given<'r> {
        Given { column: Cow::Borrowed(column), steps: vec![], path: None, position: 0 }
    }

    /// Of a column or of a document.
    fn is_part(&self) -> bool {
        self.path.is_some() || !self.steps.is_empty()
    }

    fn field(name: &str, path: Vec<PathStep>, position: u32) -> Given<'r> {
        let column = catalog::new_column(0, name, SqlType::JSONB);
        Given { column: Cow::Owned(column), steps: vec![], path: Some(path), position }
    }
}

impl std::ops::Deref for Given<'_> {
    type Target = Column;
    fn deref(&self) -> &Column {
        &self.column
    }
}

/// The rows of an INSERT: which of their columns is given to which attribute, and which become fields of the document.
#[derive(Default)]
struct Source {
    given: Vec<(i16, ColumnId)>,
    fields: Vec<(Vec<PathStep>, ColumnId)>,
}

impl Source {
    /// Of parts of one column the first holds what all make of it.
    fn give(&mut self, column: &Given<'_>, id: ColumnId) {
        match &column.path {
            Some(path) => self.fields.push((path.clone(), id)),
            None if self.given.iter().any(|(n, _)| *n == column.number) => {}
            None => self.given.push((column.number, id)),
        }
    }
}

/// The rows that an INSERT makes.
pub(super) struct Inserting {
    pub(super) written: WriteRelation,
    /// What the new row is called.
    pub(super) alias: String,
    overriding: Option<Overriding>,
    pub(super) input: Node,
    /// What is given for each attribute.
    pub(super) values: Vec<(i16, ColumnId)>,
    pub(super) tail: Option<ColumnId>,
    /// Attributes that the statement gives values for.
    pub(super) named: Vec<i16>,
}

impl Binder<'_> {
    /// The rows, with defaults for what is not given.
    pub(super) fn insert_rows(&mut self, insert: &ast::Insert) -> Result<Inserting> {
        let position = self.at(insert.table.span());
        let ast::TableObject::TableName(name) = &insert.table else {
            return Err(unsupported("this target of INSERT", position));
        };
        let position = self.at(name.span()).max(position);
        if insert.or.is_some() || insert.partitioned.is_some() || !insert.assignments.is_empty() {
            return Err(unsupported("this form of INSERT", position));
        }
        let written = self.write_relation(name, privilege::INSERT, position)?;
        let (relation, shown) = (written.base.clone(), written.shown.clone());
        let overriding = insert.overriding.as_ref().map(|o| match o {
            ast::InsertOverriding::System => Overriding::System,
            ast::InsertOverriding::User => Overriding::User,
        });
        let is_document = self.is_document(&shown, &insert.columns)?;
        let (input, given, tail) = if is_document && written.is_view() {
            return Err(unsupported("DOCUMENT for a view", position));
        } else if is_document {
            let documents = self.documents(&relation, insert, position)?;
            self.insert_into_all(&relation);
            (documents.input, documents.given, Some(documents.tail))
        } else {
            let columns = self.insert_columns(&shown, &insert.columns)?;
            match columns.iter().any(|c| c.path.is_some()) {
                true => self.insert_into_all(&relation),
                false => self.inserted.push((relation.id, columns.iter().map(|c| c.number).collect())),
            }
            let (input, source) = self.insert_source(&written, columns, insert, overriding)?;
            let (input, tail) = self.with_fields(input, source.fields);
            (input, source.given, tail)
        };
        let named: Vec<i16> = given.iter().map(|(n, _)| *n).collect();
        let (input, values) = self.complete(&written.defaults, input, given)?;
        let alias = insert.table_alias.as_ref().map_or_else(|| shown.name.clone(), |a| fold(&a.alias));
        Ok(Inserting { written, alias, overriding, input, values, tail, named })
    }

    pub(super) fn insert(&mut self, insert: &ast::Insert) -> Result<BoundQuery> {
        let negated = std::mem::take(&mut self.negated);
        let rows = self.insert_rows(insert)?;
        let Inserting { written, alias, overriding, mut input, values, tail, named } = rows;
        let relation = written.base.clone();
        if !negated.is_empty() {
            let new = given_names(&relation, &values);
            let predicate = self.not_replaced(&negated, None, Some(&new), &[])?;
            input = Node::Filter { input: Box::new(input), predicate };
        }
        let (mut target, new_row) = self.write_target(&relation)?;
        target.view_checks = self.view_checks(&written, &new_row.names)?;
        let seen = self.seen_row(&written, &new_row.names)?;
        let generated = self.generated(&relation, &new_row)?;
        let on_conflict = match &insert.on {
            None => None,
            Some(OnInsert::OnConflict(conflict)) => {
                let item = match written.is_view() {
                    true => Item::new(&relation.name, seen.names.clone()),
                    false => new_row.stored_item(),
                };
                Some(self.on_conflict(&written, &target, item, &alias, conflict)?)
            }
            Some(_) => return Err(unsupported("this clause of INSERT", self.at(insert.table.span()))),
        };
        self.push_item(new_row.seen_item(&written, &alias, seen.names.clone()));
        self.record_target(&written.shown, &alias, insert.table_alias.is_some())?;
        if insert.on.is_some() || tail.is_some() {
            self.record_untold();
        }
        // Of the columns that RETURNING and ON CONFLICT read.
        if (insert.returning.is_some() || on_conflict.is_some()) && !written.is_view() {
            self.need(&relation, privilege::SELECT);
        }
        let returning = self.returning(insert.returning.as_deref());
        self.scopes.pop();
        let (returning, names) = returning?;
        self.record_overriding(overriding);
        self.record_returning(&returning, &names);
        let read: Vec<&Expr> = returning.iter().map(|(_, e)| e).collect();
        self.need_on_views(&written, privilege::INSERT, &named, &seen.names, &read);
        give_hidden(&mut target, &new_row, &generated, &returning);
        let node = Insert { target, input, values, generated, tail, on_conflict, returning, overriding };
        let mut node = Node::Insert(Box::new(node));
        resolve_computed(&mut node, &seen.computed);
        Ok(write(node, names))
    }

    /// Whether the rows are whole documents.
    fn is_document(&self, relation: &Relation, names: &[ast::ObjectName]) -> Result<bool> {
        if names.iter().any(targets::is_document) {
            return Ok(true);
        }
        for name in names {
            let position = self.at(name.span());
            if self.field_target(relation, &Place::of(name)?, position)? == Some(FieldTarget::Document) {
                return match names {
                    [_] => Ok(true),
                    _ => Err(unsupported(&format!("{DOCUMENT} beside other columns"), position)),
                };
            }
        }
        Ok(false)
    }

    /// Documents are for who may insert into all columns.
    pub(super) fn insert_into_all(&mut self, relation: &Relation) {
        self.inserted.push((relation.id, relation.live_columns().map(|c| c.number).collect()));
    }

    /// The columns that values are given for.
    fn insert_columns<'r>(&self, relation: &'r Relation, names: &[ast::ObjectName]) -> Result<Vec<Given<'r>>> {
        if names.is_empty() {
            return Ok(relation.live_columns().map(Given::whole).collect());
        }
        let mut columns: Vec<Given<'_>> = vec![];
        let mut fields = Fields::default();
        for name in names {
            let position = self.at(name.span());
            let place = Place::of(name)?;
            match self.field_target(relation, &place, position)? {
                None => {}
                Some(FieldTarget::Field(path)) => {
                    fields.claim(FieldTarget::Field(path.clone()), &place.column)?;
                    columns.push(Given::field(&place.column, path, position));
                    continue;
                }
                Some(_) => return Err(unsupported("inserting into parts of a document", position)),
            }
            let name = place.column;
            let column = relation.column_by_name(&name).ok_or_else(|| no_such_column(relation, &name, position))?;
            let is_whole = place.steps.is_empty();
            if columns.iter().any(|c| c.number == column.number && (is_whole || c.steps.is_empty())) {
                let message = format!("column \"{name}\" specified more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message).at(position));
            }
            columns.push(Given { column: Cow::Borrowed(column), steps: place.steps, path: None, position });
        }
        Ok(columns)
    }

    /// The rows, and which column of theirs is given to which attribute.
    fn insert_source(
        &mut self,
        written: &WriteRelation,
        columns: Vec<Given<'_>>,
        insert: &ast::Insert,
        overriding: Option<Overriding>,
    ) -> Result<(Node, Source)> {
        let Some(source) = &insert.source else {
            self.scopes.push(Scope::default());
            let rows = self.join_rule_rows();
            self.scopes.pop();
            self.record_inserted(vec![], None);
            return Ok((with_rule_rows(rows?, Node::OneRow), Source::default()));
        };
        let is_plain = source.with.is_none() && source.order_by.is_none() && source.limit_clause.is_none();
        if let SetExpr::Values(values) = &*source.body
            && is_plain
        {
            let rows = crate::parse::rows::of(values);
            return self.insert_values(written, &columns, &rows, &insert.columns, overriding);
        }
        let mut bound = self.open_query(source, vec![])?;
        let places = Places { names: &insert.columns, values: bound.positions.clone() };
        let columns = self.matched(columns, bound.columns.len(), &places)?;
        let tree = bound.tree.take();
        self.record_inserted(columns.iter().map(|c| c.number).collect(), Some(tree));
        let (mut exprs, mut made) = (vec![], Source::default());
        for ((column, name), position) in columns.iter().zip(bound.columns.clone()).zip(bound.positions.clone()) {
            written.refuse_computed(column, "insert into")?;
            refuse_generated(column, "insert")?;
            if overriding == Some(Overriding::User) && column.identity.is_some() {
                continue;
            }
            refuse_identity(column, overriding)?;
            let ty: SqlType = column.ty.into();
            if !column.steps.is_empty() {
                return Err(unsupported("inserting into parts of columns from a query", column.position));
            }
            if name.ty.oid == oid::UNKNOWN
                && column.path.is_none()
                && let Some(place) = literal_of(&mut bound.node, name.id)
            {
                let literal = std::mem::replace(place, Expr::constant(Datum::Null, ty));
                *place = self.assign(literal, column.declared(), &column.name)?;
                if let Some(info) = self.columns.get_mut(name.id.0 as usize) {
                    info.ty = ty;
                }
                made.give(column, name.id);
                continue;
            }
            let source = Expr { position, ..Expr::column(name.id, name.ty) };
            let value = match column.path {
                Some(_) => self.lift(source)?,
                None => self.assign(source, column.declared(), &column.name)?,
            };
            let id = is_column(&value).unwrap_or_else(|| self.new_column(&column.name, ty, 0, 0));
            made.give(column, id);
            if is_column(&value).is_none() {
                exprs.push((id, value));
            }
        }
        let node = match exprs.is_empty() {
            true => bound.node,
            false => Node::Project { input: Box::new(bound.node), exprs },
        };
        Ok((node, made))
    }

    /// Without a column list, fewer values than columns are taken for the first ones.
    fn matched<'r>(&self, mut columns: Vec<Given<'r>>, width: usize, places: &Places<'_>) -> Result<Vec<Given<'r>>> {
        if width > columns.len() {
            let message = "INSERT has more expressions than target columns";
            let position = places.values.get(columns.len()).copied().unwrap_or(0);
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        if !places.names.is_empty() && width < columns.len() {
            let message = "INSERT has more target columns than expressions";
            let position = places.names.get(width).map_or(0, |name| self.at(name.span()));
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        columns.truncate(width);
        Ok(columns)
    }

    fn insert_values(
        &mut self,
        written: &WriteRelation,
        columns: &[Given<'_>],
        rows: &[&[ast::Expr]],
        names: &[ast::ObjectName],
        overriding: Option<Overriding>,
    ) -> Result<(Node, Source)> {
        self.scopes.push(Scope::of(if rows.len() == 1 { Clause::ValuesRow } else { Clause::Values }));
        let rule_rows = self.join_rule_rows()?;
        let spelled_out = self.all_columns(rows)?;
        let rows: Vec<&[ast::Expr]> = spelled_out.iter().map(AsRef::as_ref).collect();
        let width = rows.first().map_or(0, |r| r.len());
        if let Some(row) = rows.iter().find(|r| r.len() != width) {
            let message = "VALUES lists must all be the same length";
            let position = row.first().map_or(0, |e| self.at(e.span()));
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        let values = rows.first().map_or_else(Vec::new, |r| r.iter().map(|e| self.at(e.span())).collect());
        let columns = self.matched(columns.to_vec(), width, &Places { names, values })?;
        columns.iter().try_for_each(|c| written.refuse_computed(c, "insert into"))?;
        let mut bound_rows = Vec::with_capacity(rows.len());
        for &row in &rows {
            let mut bound: Vec<Expr> = Vec::with_capacity(width);
            for (number, (column, expr)) in columns.iter().zip(row).enumerate() {
                if column.steps.is_empty() {
                    bound.push(self.insert_value(&written.shown, column, expr, overriding)?);
                    continue;
                }
                // Further parts of one column go into what the first made of it.
                let first = columns.iter().take(number).position(|c| c.path.is_none() && c.number == column.number);
                let container = first.and_then(|f| bound.get(f).cloned()).unwrap_or_else(|| nothing(column));
                refuse_generated(column, "insert")?;
                if is_default(expr) {
                    refuse_default(&column.steps, column.position)?;
                }
                let value = self.expr(expr)?;
                let made = self.assign_part(column, &column.steps, container, value, column.position)?;
                match first.and_then(|f| bound.get_mut(f)) {
                    Some(slot) => {
                        *slot = made;
                        bound.push(Expr::constant(Datum::Null, column.ty.into()));
                    }
                    None => bound.push(made),
                }
            }
            bound_rows.push(bound);
        }
        if self.is_recording() {
            let columns: Vec<(i16, bool)> = columns.iter().map(|c| (c.number, c.is_part())).collect();
            self.record_rows(&columns, &rows, &bound_rows);
        }
        let sets = self.scopes.pop().unwrap_or_default().set_calls;
        let mut ids = vec![];
        for column in &columns {
            ids.push(self.new_column(&column.name, column.ty.into(), 0, 0));
        }
        let mut made = Source::default();
        columns.iter().zip(&ids).filter(|(c, _)| !c.is_generated).for_each(|(column, id)| made.give(column, *id));
        let row = bound_rows.first().cloned().unwrap_or_default();
        let is_one = bound_rows.len() == 1;
        let node = match sets.is_empty() && !(is_one && rule_rows.is_some()) {
            true => with_rule_rows(rule_rows, Node::Values { rows: bound_rows, columns: ids }),
            false => Node::Project {
                input: Box::new(expanded(with_rule_rows(rule_rows, Node::OneRow), &sets)),
                exprs: ids.into_iter().zip(row).collect(),
            },
        };
        Ok((node, made))
    }

    /// Rows of VALUES with `new.*` as the columns that it stands for.
    fn all_columns<'r>(&mut self, rows: &[&'r [ast::Expr]]) -> Result<Vec<Cow<'r, [ast::Expr]>>> {
        let is_all = |e: &ast::Expr| matches!(e, ast::Expr::QualifiedWildcard(..));
        let mut spelled_out = Vec::with_capacity(rows.len());
        for row in rows {
            if !row.iter().any(is_all) {
                spelled_out.push(Cow::Borrowed(*row));
                continue;
            }
            let mut exprs = vec![];
            for expr in *row {
                let ast::Expr::QualifiedWildcard(name, _) = expr else {
                    exprs.push(expr.clone());
                    continue;
                };
                let table = name.0.iter().filter_map(|p| p.as_ident().cloned());
                let table: Vec<ast::Ident> = table.collect();
                for (column, _) in self.columns_of(name)? {
                    let column = ast::Ident::with_quote_and_span('"', name.span(), column);
                    let parts = table.iter().cloned().chain([column]).collect();
                    exprs.push(ast::Expr::CompoundIdentifier(parts));
                }
            }
            spelled_out.push(Cow::Owned(exprs));
        }
        Ok(spelled_out)
    }

    fn insert_value(
        &mut self,
        relation: &Relation,
        column: &Given<'_>,
        expr: &ast::Expr,
        overriding: Option<Overriding>,
    ) -> Result<Expr> {
        if column.path.is_some() {
            return self.field_given(expr);
        }
        let is_overridden = overriding == Some(Overriding::User) && column.identity.is_some();
        if column.is_generated && is_default(expr) {
            return Ok(Expr::constant(Datum::Null, column.ty.into()));
        }
        if is_default(expr) || is_overridden {
            return self.default_value(relation, column);
        }
        refuse_generated(column, "insert")?;
        refuse_identity(column, overriding)?;
        let value = self.expr(expr)?;
        self.assign(value, column.declared(), &column.name)
    }

    /// Defaults for the attributes that nothing is given for.
    pub(super) fn complete(
        &mut self,
        relation: &Relation,
        input: Node,
        given: Vec<(i16, ColumnId)>,
    ) -> Result<(Node, Vec<(i16, ColumnId)>)> {
        let (mut exprs, mut values) = (vec![], vec![]);
        for column in relation.live_columns().filter(|c| !c.is_generated) {
            if let Some(found) = given.iter().find(|(number, _)| *number == column.number) {
                values.push(*found);
                continue;
            }
            let default = self.default_value(relation, column)?;
            let id = self.new_column(&column.name, column.ty.into(), 0, 0);
            exprs.push((id, default));
            values.push((column.number, id));
        }
        let node = match exprs.is_empty() {
            true => input,
            false => Node::Project { input: Box::new(input), exprs },
        };
        Ok((node, values))
    }

    /// `seen`: the new row as the statement names it.
    fn on_conflict(
        &mut self,
        written: &WriteRelation,
        target: &WriteTarget,
        seen: Item,
        alias: &str,
        conflict: &ast::OnConflict,
    ) -> Result<OnConflict> {
        let relation = &target.relation;
        if let Some(ast::ConflictTarget::Columns { columns, .. }) = &conflict.conflict_target
            && let Some(place) = columns.iter().find(|c| forms::is_missing_target(c))
        {
            let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message)
                .hint("For example, ON CONFLICT (column_name).")
                .at(self.at(place.span)));
        }
        let arbiters = self.arbiters(target, seen, conflict.conflict_target.as_ref())?;
        let update = match &conflict.action {
            OnConflictAction::DoNothing => return Ok(OnConflict { arbiters, update: None }),
            OnConflictAction::DoUpdate(update) => update,
        };
        if !written.is_view() {
            self.need(relation, privilege::UPDATE);
        }
        let (old, proposed) = (self.whole(relation), self.whole(relation));
        let (seen_old, seen_proposed) = (self.seen_row(written, &old.names)?, self.seen_row(written, &proposed.names)?);
        self.push_item(old.seen_item(written, alias, seen_old.names.clone()));
        let scope = self.scope()?;
        scope.clause = Clause::Set;
        scope.push(proposed.seen_item(written, "excluded", seen_proposed.names));
        let bound = self.conflict_update(written, update, &old, &proposed);
        self.scopes.pop();
        let mut bound = bound?;
        let assigned: Vec<i16> = bound.assignments.iter().map(|(n, _)| *n).collect();
        let read: Vec<&Expr> = bound.assignments.iter().map(|(_, e)| e).chain(&bound.predicate).collect();
        if written.is_view() {
            self.need_on_views(written, privilege::UPDATE, &assigned, &seen_old.names, &read);
        }
        let computed: Vec<_> = seen_old.computed.into_iter().chain(seen_proposed.computed).collect();
        let exprs = bound.assignments.iter_mut().map(|(_, e)| e).chain(&mut bound.predicate);
        exprs.for_each(|e| replace_computed(e, &computed));
        Ok(OnConflict { arbiters, update: Some(bound) })
    }

    fn conflict_update(
        &mut self,
        written: &WriteRelation,
        update: &ast::DoUpdate,
        old: &WholeRow,
        proposed: &WholeRow,
    ) -> Result<ConflictUpdate> {
        let Assigned { columns: assignments, tail } = self.assignments(written, &update.assignments)?;
        let predicate = match &update.selection {
            Some(condition) => {
                self.enter(Clause::Where);
                let bound = self.expr(condition)?;
                Some(self.boolean(bound, "WHERE")?)
            }
            None => None,
        };
        let read: Vec<&Expr> = assignments.iter().map(|(_, e)| e).chain(&tail).chain(&predicate).collect();
        Ok(ConflictUpdate {
            existing: old.read_by(read.iter().copied()),
            excluded: proposed.read_by(read.iter().copied()),
            assignments,
            generated: vec![],
            tail,
            predicate,
        })
    }

    /// The unique indexes that an ON CONFLICT target means.
    fn arbiters(
        &mut self,
        target: &WriteTarget,
        row: Item,
        conflict: Option<&ast::ConflictTarget>,
    ) -> Result<Vec<Oid>> {
        let relation = &target.relation;
        let (columns, predicate) = match conflict {
            None => return Ok(vec![]),
            Some(ast::ConflictTarget::OnConstraint(name)) => {
                let name = name.0.last().and_then(|p| p.as_ident()).map(fold).unwrap_or_default();
                let index = target.indexes.iter().find(|i| i.name == name && i.is_unique);
                return index.map(|i| vec![i.id]).ok_or_else(|| {
                    let message = format!("constraint \"{name}\" for table \"{}\" does not exist", relation.name);
                    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
                });
            }
            Some(ast::ConflictTarget::Columns { columns, predicate }) => (columns, predicate),
        };
        self.push_item(row);
        self.scope()?.clause = StoredUse::Index.clause();
        let bound = self.conflict_elements(columns, predicate.as_ref());
        self.scopes.pop();
        let (wanted, conditions) = bound?;
        let fits = |(index, (keys, predicate)): &(&Arc<catalog::Index>, &(Vec<Expr>, Option<Expr>))| {
            let known = |condition: &Expr| conditions.iter().any(|c| group::same(c, condition));
            index.is_unique
                && wanted.iter().all(|w| keys.iter().any(|k| group::same(k, w)))
                && keys.iter().all(|k| wanted.iter().any(|w| group::same(k, w)))
                && predicate.as_ref().is_none_or(|p| conjuncts(p.clone()).iter().all(known))
        };
        let indexes = target.indexes.iter().zip(&target.index_exprs);
        let found: Vec<Oid> = indexes.filter(fits).map(|(index, _)| index.id).collect();
        if found.is_empty() {
            let message = "there is no unique or exclusion constraint matching the ON CONFLICT specification";
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
        }
        Ok(found)
    }

    /// What an ON CONFLICT target lists, and the conjuncts of its WHERE.
    fn conflict_elements(
        &mut self,
        columns: &[ast::Ident],
        predicate: Option<&ast::Expr>,
    ) -> Result<(Vec<Expr>, Vec<Expr>)> {
        let mut wanted = vec![];
        for ident in columns {
            wanted.push(match forms::marked(ident) {
                Some(text) => {
                    let place = self.at(ident.span);
                    let expr = self.stored(text).map_err(|e| e.at(place))?;
                    self.known(expr)?
                }
                None => self.column(std::slice::from_ref(ident))?,
            });
        }
        let conditions = match predicate {
            Some(condition) => {
                let bound = self.expr(condition)?;
                conjuncts(self.boolean(bound, "WHERE")?)
            }
            None => vec![],
        };
        Ok((wanted, conditions))
    }
}

/// The new row's columns by their names, as far as something is given for them.
fn given_names(relation: &Relation, values: &[(i16, ColumnId)]) -> Vec<Name> {
    let given = |c: &Column| values.iter().find(|(n, _)| *n == c.number).map(|(_, id)| *id);
    let names =
        relation.live_columns().filter_map(|c| Some(Name { name: c.name.clone(), id: given(c)?, ty: c.ty.into() }));
    names.collect()
}

/// Where the names and the values of an INSERT stand.
struct Places<'i> {
    names: &'i [ast::ObjectName],
    values: Vec<u32>,
}

pub(super) fn refuse_identity(column: &Column, overriding: Option<Overriding>) -> Result<()> {
    if column.identity != Some(Identity::Always) || overriding.is_some() {
        return Ok(());
    }
    let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
    let detail = format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", column.name);
    Err(SqlError::new(SqlState::GENERATED_ALWAYS, message)
        .detail(detail)
        .hint("Use OVERRIDING SYSTEM VALUE to override."))
}
