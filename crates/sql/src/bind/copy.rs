//! COPY: the INSERT or the query behind it, its columns, and its format (`copy_format`).
//!
//! Checks come in PostgreSQL's order: the relation, WHERE, the list of columns, the options, what kind of relation it is.

use super::copy_format::{Columns, copy_format};
use super::fields::{DOCUMENT, FieldTarget};
use super::hidden::is_own_name;
use super::query::BoundQuery;
use super::scope::Name;
use super::stored::StoredUse;
use super::target::give_hidden;
use super::{Binder, unsupported};
use crate::expr::{Expr, ExprKind, PathStep};
use crate::logical::{ColumnId, CommandTag, Insert, Node, Overriding, PrivilegeCheck, Query, ScanColumn};
use crate::parse::{CopyPlace, CopySource, CopyStatement, Statement, Syntax};
use crate::utility::ddl;
use crate::utility::{Copy, CopyDirection};
use catalog::{Column, Relation, RelationKind, privilege, privileges};
use sqlparser::ast::{self, SetExpr};
use std::borrow::Cow;
use std::sync::Arc;
use types::{Oid, Result, SqlError, SqlState, SqlType};

impl Binder<'_> {
    pub(super) fn copy(&mut self, copy: &CopyStatement) -> Result<Copy> {
        match copy.place {
            CopyPlace::Client => {}
            CopyPlace::File => return Err(self.server_side("a file", copy)),
            CopyPlace::Program => return Err(self.server_side("a program", copy)),
        }
        match &copy.source {
            CopySource::Query(statement) => self.copy_query(copy, statement),
            CopySource::Relation { name, columns } => {
                let relation = self.relation_by_name(name)?;
                if relation.row_security {
                    return Err(unsupported("row security", name.position));
                }
                match copy.is_from {
                    true => self.copy_from(copy, &relation, columns),
                    false => self.copy_to(copy, &relation, columns),
                }
            }
        }
    }

    fn copy_from(&mut self, copy: &CopyStatement, relation: &Arc<Relation>, columns: &[ddl::Name]) -> Result<Copy> {
        let filter = copy.filter.as_ref().map(|f| self.copy_filter(relation, f)).transpose()?;
        let columns = copied_columns(relation, columns)?;
        let format = copy_format(copy, &Columns::Relation { relation, copied: &columns })?;
        let what = match relation.kind {
            RelationKind::Table | RelationKind::Collection => None,
            RelationKind::Virtual => return Err(unsupported("COPY to a system catalog", 0)),
            _ => Some(format!("cannot copy to {} \"{}\"", relation.kind_name(), relation.name)),
        };
        if let Some(message) = what {
            let error = SqlError::new(SqlState::WRONG_OBJECT_TYPE, message);
            return Err(match relation.kind {
                RelationKind::View => error.hint("To enable copying to a view, provide an INSTEAD OF INSERT trigger."),
                _ => error,
            });
        }
        let attributes: Vec<i16> = attributes_of(relation, &columns);
        self.is_read_only = false;
        self.privileges.push(PrivilegeCheck {
            relation: relation.id,
            role: self.context.role,
            rights: privilege::INSERT,
            columns: Some(attributes.clone()),
        });
        let insert = Box::new(self.copy_insert(relation, &columns)?);
        Ok(Copy {
            direction: CopyDirection::From { insert, relation: relation.id, attributes, filter },
            format,
            columns: columns.iter().map(|c| (c.name.clone(), c.ty.into())).collect(),
        })
    }

    /// INSERT of the file's columns, with defaults for the others. An identity column takes what the file says.
    fn copy_insert(&mut self, relation: &Arc<Relation>, columns: &[Copied<'_>]) -> Result<Query> {
        let (input, given, tail) = self.copied_rows(relation, columns)?;
        let (input, values) = self.complete(relation, input, given)?;
        let (mut target, new_row) = self.write_target(relation)?;
        let generated = self.generated(relation, &new_row)?;
        give_hidden(&mut target, &new_row, &generated, &[]);
        let overriding = Some(Overriding::System);
        let insert =
            Insert { target, input, values, generated, tail, on_conflict: None, returning: vec![], overriding };
        let node = Node::Insert(Box::new(insert));
        self.finish_as(BoundQuery::new(node, vec![], vec![]), CommandTag::Insert)
    }

    /// The file's values are read as the base types; a domain's checks are still to be made.
    fn checked_domains(&mut self, columns: &[&Column], rows: Node, given: &mut [(i16, ColumnId)]) -> Result<Node> {
        let mut exprs = vec![];
        for (column, (_, id)) in columns.iter().zip(given).filter(|(c, _)| c.domain.is_some()) {
            let read = Expr::column(*id, column.ty.into());
            let value = self.assign(read, column.declared(), &column.name)?;
            *id = self.new_column(&column.name, column.ty.into(), 0, 0);
            exprs.push((*id, value));
        }
        Ok(if exprs.is_empty() { rows } else { Node::Project { input: Box::new(rows), exprs } })
    }

    /// The file's rows: the columns that they give, and the one that holds undeclared fields.
    fn copied_rows(
        &mut self,
        relation: &Arc<Relation>,
        columns: &[Copied<'_>],
    ) -> Result<(Node, Vec<(i16, ColumnId)>, Option<ColumnId>)> {
        let (mut given, mut fields, mut ids) = (vec![], vec![], vec![]);
        for column in columns {
            let id = self.new_column(&column.name, column.ty.into(), 0, 0);
            ids.push(id);
            match &column.field {
                None => given.push((column.number, id)),
                Some(FieldTarget::Field(path)) => fields.push((path.clone(), id)),
                Some(_) => {
                    let rows = Node::Values { rows: vec![], columns: ids };
                    let documents = self.split_documents(relation, rows, &Expr::column(id, SqlType::JSONB))?;
                    return Ok((documents.input, documents.given, Some(documents.tail)));
                }
            }
        }
        let declared: Vec<&Column> = columns.iter().filter(|c| c.field.is_none()).map(|c| &*c.column).collect();
        let rows = self.checked_domains(&declared, Node::Values { rows: vec![], columns: ids }, &mut given)?;
        let (input, tail) = self.with_fields(rows, fields);
        Ok((input, given, tail))
    }

    /// WHERE over the new row: attribute n is input n - 1, an open collection's undeclared part the one behind them.
    fn copy_filter(&mut self, relation: &Arc<Relation>, filter: &ast::Expr) -> Result<Expr> {
        let row = self.whole(relation);
        let names = row.names.clone();
        self.push_item(row.stored_item());
        self.scope()?.clause = StoredUse::CopyFilter.clause();
        let bound = self.expr(filter).and_then(|expr| {
            self.check_parts(&expr, StoredUse::CopyFilter)?;
            self.boolean(expr, "WHERE")
        });
        self.scopes.pop();
        let mut bound = bound?;
        let mut generated = None;
        bound.rewrite(&mut |e| {
            let ExprKind::Column(id) = e.kind else { return };
            if row.hidden.iter().any(|h| h.id == id) {
                e.kind = ExprKind::Input(u32::try_from(relation.columns.len()).unwrap_or(u32::MAX));
            }
            let Some((column, _)) = relation.live_columns().zip(&names).find(|(_, n)| n.id == id) else { return };
            if column.is_generated {
                generated = Some(column.name.clone());
            }
            e.kind = ExprKind::Input(u32::try_from(column.number - 1).unwrap_or(u32::MAX));
        });
        match generated {
            None => Ok(bound),
            Some(name) => {
                let message = "generated columns are not supported in COPY FROM WHERE conditions";
                Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                    .detail(format!("Column \"{name}\" is a generated column.")))
            }
        }
    }

    fn copy_to(&mut self, copy: &CopyStatement, relation: &Arc<Relation>, columns: &[ddl::Name]) -> Result<Copy> {
        let columns = copied_columns(relation, columns)?;
        if !matches!(relation.kind, RelationKind::Table | RelationKind::Collection | RelationKind::Virtual) {
            let message = format!("cannot copy from {} \"{}\"", relation.kind_name(), relation.name);
            let error = SqlError::new(SqlState::WRONG_OBJECT_TYPE, message);
            return Err(match relation.kind {
                RelationKind::View | RelationKind::MaterializedView => {
                    error.hint("Try the COPY (SELECT ...) TO variant.")
                }
                _ => error,
            });
        }
        let format = copy_format(copy, &Columns::Relation { relation, copied: &columns })?;
        self.privileges.push(PrivilegeCheck {
            relation: relation.id,
            role: self.context.role,
            rights: privilege::SELECT,
            columns: Some(attributes_of(relation, &columns)),
        });
        let (node, names) = self.copied_scan(relation, &columns)?;
        let query = self.finish_as(BoundQuery::new(node, names, vec![]), CommandTag::Select)?;
        let columns = result_columns(&query);
        Ok(Copy { direction: CopyDirection::To { query: Box::new(query) }, format, columns })
    }

    /// The relation's rows with the columns that are copied.
    fn copied_scan(&mut self, relation: &Arc<Relation>, columns: &[Copied<'_>]) -> Result<(Node, Vec<Name>)> {
        let (mut scan, names) = self.scan(relation, &relation.name);
        let hidden = self.hide(&mut scan);
        let missing = || SqlError::internal("a copied column is the relation's");
        let read = |what: ScanColumn| hidden.iter().find(|h| h.what == what).map(|h| h.id).ok_or_else(missing);
        let (mut copied, mut fields) = (vec![], vec![]);
        for column in columns {
            let id = match &column.field {
                None => {
                    let found = relation.live_columns().zip(&names).find(|(c, _)| c.number == column.number);
                    found.map(|(_, name)| name.id).ok_or_else(missing)?
                }
                Some(FieldTarget::Field(path)) => {
                    let document = Box::new(Expr::column(read(ScanColumn::Tail)?, SqlType::JSONB));
                    let kind = ExprKind::DocumentPath { document, path: path.clone() };
                    let id = self.new_column(&column.name, SqlType::JSONB, 0, 0);
                    fields.push((id, Expr::new(kind, SqlType::JSONB, 0)));
                    id
                }
                Some(_) => read(ScanColumn::Document)?,
            };
            copied.push(Name { name: column.name.clone(), id, ty: column.ty.into() });
        }
        let node = match fields.is_empty() {
            true => Node::Scan(scan),
            false => Node::Project { input: Box::new(Node::Scan(scan)), exprs: fields },
        };
        Ok((node, copied))
    }

    fn copy_query(&mut self, copy: &CopyStatement, statement: &Statement) -> Result<Copy> {
        let Syntax::Sql(syntax) = &statement.syntax else {
            return Err(unsupported("COPY of this statement", statement.offset() + 1));
        };
        if let ast::Statement::Query(query) = &**syntax
            && let SetExpr::Select(select) = &*query.body
            && select.into.is_some()
        {
            return Err(SqlError::unsupported("COPY (SELECT INTO) is not supported"));
        }
        let query = self.written_alone(syntax, statement.offset() + 1, "COPY")?;
        if query.result.is_empty() && query.tag != CommandTag::Select {
            return Err(SqlError::unsupported("COPY query must have a RETURNING clause"));
        }
        let columns = result_columns(&query);
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let format = copy_format(copy, &Columns::Query(&names))?;
        Ok(Copy { direction: CopyDirection::To { query: Box::new(query) }, format, columns })
    }
}

/// pg_read_server_files, pg_write_server_files, pg_execute_server_program.
const READ_FILES_ROLE: Oid = 4_569;
const WRITE_FILES_ROLE: Oid = 4_570;
const EXECUTE_ROLE: Oid = 4_571;

impl Binder<'_> {
    /// Who may not reach the server's files is told so; nobody else is served yet.
    fn server_side(&self, what: &str, copy: &CopyStatement) -> SqlError {
        let (role, name, to_do) = match (copy.place, copy.is_from) {
            (CopyPlace::Program, _) => (EXECUTE_ROLE, "pg_execute_server_program", "to or from an external program"),
            (_, true) => (READ_FILES_ROLE, "pg_read_server_files", "from a file"),
            (_, false) => (WRITE_FILES_ROLE, "pg_write_server_files", "to a file"),
        };
        if !privileges::has_rights_of(&self.context.catalog, self.context.role, role, self.context.database) {
            let message = format!("must be superuser or have privileges of the {name} role to COPY {to_do}");
            return SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
                .hint("Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.");
        }
        not_served(what, copy)
    }
}

fn not_served(what: &str, copy: &CopyStatement) -> SqlError {
    let (direction, client) = if copy.is_from { ("from", "FROM STDIN") } else { ("to", "TO STDOUT") };
    unsupported(&format!("COPY {direction} {what} on the server"), copy.place_position)
        .hint(format!("Use COPY ... {client}. psql's \\copy reads and writes files of the client."))
}

fn result_columns(query: &Query) -> Vec<(String, SqlType)> {
    query.result.iter().map(|c| (c.name.clone(), c.ty)).collect()
}

/// A column that is copied, or a field of a collection's documents as one of jsonb.
pub(super) struct Copied<'r> {
    column: Cow<'r, Column>,
    pub(super) field: Option<FieldTarget>,
}

impl std::ops::Deref for Copied<'_> {
    type Target = Column;
    fn deref(&self) -> &Column {
        &self.column
    }
}

/// The attributes that are copied; all of them where undeclared fields are.
fn attributes_of(relation: &Relation, columns: &[Copied<'_>]) -> Vec<i16> {
    match columns.iter().any(|c| c.field.is_some()) {
        true => relation.live_columns().map(|c| c.number).collect(),
        false => columns.iter().map(|c| c.number).collect(),
    }
}

/// The columns that are copied: those named, or all that are not computed.
pub(super) fn copied_columns<'r>(relation: &'r Relation, names: &[ddl::Name]) -> Result<Vec<Copied<'r>>> {
    let declared = |column: &'r Column| Copied { column: Cow::Borrowed(column), field: None };
    if names.is_empty() {
        return Ok(relation.live_columns().filter(|c| !c.is_generated).map(declared).collect());
    }
    let mut columns: Vec<Copied<'_>> = vec![];
    for ddl::Name { name, position } in names {
        let column = match (relation.column_by_name(name), undeclared(relation, name, *position)?) {
            (Some(column), _) => declared(column),
            (None, Some(field)) => {
                let column = Cow::Owned(catalog::new_column(0, name, SqlType::JSONB));
                Copied { column, field: Some(field) }
            }
            (None, None) => {
                let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.name);
                return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message));
            }
        };
        if column.is_generated {
            let message = format!("column \"{name}\" is a generated column");
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                .detail("Generated columns cannot be used in COPY."));
        }
        if columns.iter().any(|c| c.name == column.name) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        columns.push(column);
    }
    if columns.len() > 1 && columns.iter().any(|c| c.field == Some(FieldTarget::Document)) {
        return Err(unsupported(&format!("{DOCUMENT} beside other columns"), 0));
    }
    Ok(columns)
}

/// What a name that is no column's means in an open collection.
fn undeclared(relation: &Relation, name: &str, position: u32) -> Result<Option<FieldTarget>> {
    match name {
        _ if relation.kind != RelationKind::Collection => Ok(None),
        DOCUMENT => Ok(Some(FieldTarget::Document)),
        own if is_own_name(own) => Err(unsupported(&format!("COPY of {own}"), position)),
        field => Ok(Some(FieldTarget::Field(vec![PathStep::Key(field.to_owned())]))),
    }
}
