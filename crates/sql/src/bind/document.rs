//! Whole documents: `INSERT INTO c DOCUMENT '{…}', …`, `INSERT INTO c (_doc) …`, `UPDATE c SET _doc = …`.
//!
//! A document's declared fields become columns, the others the row's tail. A declared field that the document lacks gets the
//! column's default when it is inserted, NULL when the document replaces another. A field's JSON text is what the column's input
//! reads: numbers, booleans and strings as they are; a JSON null is NULL, a JSON array an array.

use super::{Binder, unsupported};
use crate::expr::{CallForm, Expr, ExprKind, PathStep};
use crate::logical::{ColumnId, Node};
use crate::parse::targets;
use crate::plan::columns::is_volatile;
use catalog::{Column, Relation, RelationKind};
use sqlparser::ast::{self, SetExpr, Spanned};
use types::array::Array;
use types::{Datum, Result, SqlError, SqlState, SqlType, oid};

/// The rows, which column of theirs is given to which attribute, and the one that becomes the tail.
pub(super) struct Documents {
    pub(super) input: Node,
    pub(super) given: Vec<(i16, ColumnId)>,
    pub(super) tail: ColumnId,
}

impl Binder<'_> {
    pub(super) fn documents(&mut self, relation: &Relation, insert: &ast::Insert, position: u32) -> Result<Documents> {
        if relation.kind != RelationKind::Collection {
            let message = format!("\"{}\" is not an open collection", relation.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                .hint("CREATE COLLECTION makes one.")
                .at(position));
        }
        let Some(source) = &insert.source else {
            return Err(unsupported("DEFAULT VALUES of a document", position));
        };
        let (input, document) = match &*source.body {
            SetExpr::Values(values) if source.with.is_none() && source.order_by.is_none() => {
                self.listed_documents(values, insert.columns.iter().any(targets::is_document))?
            }
            _ => self.queried_documents(source)?,
        };
        self.split_documents(relation, input, &document)
    }

    /// `is_list`: `DOCUMENT a, b, …`, a row each.
    fn listed_documents(&mut self, values: &ast::Values, is_list: bool) -> Result<(Node, Expr)> {
        let mut rows = vec![];
        for row in crate::parse::rows::of(values) {
            if let Some(second) = row.get(1).filter(|_| !is_list) {
                return Err(too_many(self.at(second.span())));
            }
            for document in row {
                let bound = self.expr(document)?;
                rows.push(vec![self.document(bound)?]);
            }
        }
        let id = self.new_column("document", SqlType::JSONB, 0, 0);
        Ok((Node::Values { rows, columns: vec![id] }, Expr::column(id, SqlType::JSONB)))
    }

    fn queried_documents(&mut self, source: &ast::Query) -> Result<(Node, Expr)> {
        let bound = self.open_query(source, vec![])?;
        let [column] = bound.columns.as_slice() else {
            return Err(too_many(bound.positions.get(1).copied().unwrap_or(0)));
        };
        let position = bound.positions.first().copied().unwrap_or(0);
        let source = Expr { position, ..Expr::column(column.id, column.ty) };
        let value = self.document(source)?;
        let id = self.new_column("document", SqlType::JSONB, 0, 0);
        let input = Node::Project { input: Box::new(bound.node), exprs: vec![(id, value)] };
        Ok((input, Expr::column(id, SqlType::JSONB)))
    }

    /// Rows that hold documents, as rows of the relation.
    pub(super) fn split_documents(&mut self, relation: &Relation, input: Node, document: &Expr) -> Result<Documents> {
        let (mut exprs, mut given) = (vec![], vec![]);
        for column in relation.live_columns().filter(|c| !c.is_generated) {
            let value = self.declared_field(relation, column, document)?;
            let id = self.new_column(&column.name, column.ty.into(), 0, 0);
            exprs.push((id, value));
            given.push((column.number, id));
        }
        let rest = self.undeclared(relation, document.clone())?;
        let tail = self.new_column("tail", SqlType::JSONB, 0, 0);
        exprs.push((tail, rest));
        Ok(Documents { input: Node::Project { input: Box::new(input), exprs }, given, tail })
    }

    /// The columns and the tail of a row whose document becomes this one.
    pub(super) fn replaced_document(
        &mut self,
        relation: &Relation,
        document: Expr,
    ) -> Result<(Vec<(i16, Expr)>, Expr)> {
        if is_volatile(&document) {
            // It is evaluated once for each field.
            return Err(unsupported("a document that is volatile", document.position));
        }
        let mut columns = vec![];
        for column in relation.live_columns().filter(|c| !c.is_generated) {
            columns.push((column.number, self.field_value(column, &document)?));
        }
        Ok((columns, self.undeclared(relation, document)?))
    }

    /// The document without its declared fields.
    fn undeclared(&mut self, relation: &Relation, document: Expr) -> Result<Expr> {
        let names = relation.live_columns().map(|c| Datum::text(c.name.as_str())).collect();
        let declared = Datum::Array(std::sync::Arc::new(Array::from_values(oid::TEXT, names)));
        self.binary("-", document, Expr::constant(declared, SqlType::TEXT_ARRAY), 0)
    }

    /// The whole document, as jsonb.
    pub(super) fn document(&mut self, bound: Expr) -> Result<Expr> {
        let (ty, position) = (bound.ty, bound.position);
        match ty.oid {
            oid::UNKNOWN | oid::JSONB => self.implicit(bound, SqlType::JSONB),
            oid::JSON | oid::TEXT | oid::VARCHAR => self.explicit_cast(bound, SqlType::JSONB, position),
            _ => {
                let message = format!("a document must be of type jsonb, not type {}", self.type_name(ty));
                Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position))
            }
        }
    }

    /// A declared field's value, or the column's default where the document has no such field.
    fn declared_field(&mut self, relation: &Relation, column: &Column, document: &Expr) -> Result<Expr> {
        let value = self.field_value(column, document)?;
        if column.default.is_none() && column.identity.is_none() {
            return Ok(value);
        }
        let name = Expr::constant(Datum::text(column.name.as_str()), SqlType::TEXT);
        let is_there = self.binary("?", document.clone(), name, 0)?;
        let default = self.default_value(relation, column)?;
        let ty = value.ty;
        let kind =
            ExprKind::Case { operand: None, branches: vec![(is_there, value)], otherwise: Some(Box::new(default)) };
        Ok(Expr::new(kind, ty, 0))
    }

    fn field_value(&mut self, column: &Column, document: &Expr) -> Result<Expr> {
        let ty: SqlType = column.ty.into();
        let value = if ty.oid == oid::JSONB || ty.oid == oid::JSON {
            let path = vec![PathStep::Key(column.name.clone())];
            let kind = ExprKind::DocumentPath { document: Box::new(document.clone()), path };
            Expr::new(kind, SqlType::JSONB, 0)
        } else if ty.is_array() {
            self.array_field(column, document)?
        } else {
            let name = Expr::constant(Datum::text(column.name.as_str()), SqlType::TEXT);
            self.binary("->>", document.clone(), name, 0)?
        };
        self.explicit_cast(value, column.declared(), 0)
    }

    /// An array as `jsonb_populate_record` reads it, for a row of this one column.
    fn array_field(&mut self, column: &Column, document: &Expr) -> Result<Expr> {
        let ty = SqlType::new(SqlType::from(column.ty).oid);
        let fields = vec![Expr::constant(Datum::Null, ty)];
        let row = Expr::new(ExprKind::Row { fields, names: vec![column.name.clone()] }, SqlType::RECORD, 0);
        let chosen = self.function("jsonb_populate_record", &[oid::RECORD, oid::JSONB], 0)?;
        let args = vec![row, document.clone()];
        let row = self.call(chosen.item, &chosen.args, oid::RECORD, args, CallForm::Function, 0)?;
        Ok(Expr::new(ExprKind::Field { row: Box::new(row), index: 0 }, ty, 0))
    }
}

fn too_many(position: u32) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, "INSERT has more expressions than target columns").at(position)
}
