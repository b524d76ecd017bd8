//! `INSERT INTO c DOCUMENT '{…}'`: a document's declared fields become columns, the others the row's tail.
//!
//! A declared field that the document lacks gets the column's default. A field's JSON text is what the column's input reads: numbers,
//! booleans and strings as they are; a JSON null is NULL.

use super::{Binder, unsupported};
use crate::expr::{Expr, ExprKind, PathStep};
use crate::logical::{ColumnId, Node};
use catalog::{Column, Relation, RelationKind};
use sqlparser::ast::{self, SetExpr};
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
        let Some(SetExpr::Values(values)) = insert.source.as_ref().map(|s| &*s.body) else {
            return Err(SqlError::internal("a document is a value"));
        };
        let mut rows = vec![];
        for row in crate::parse::rows::of(values) {
            let mut bound = vec![];
            for document in row {
                bound.push(self.document(document)?);
            }
            rows.push(bound);
        }
        let id = self.new_column("document", SqlType::JSONB, 0, 0);
        let input = Node::Values { rows, columns: vec![id] };
        let document = Expr::column(id, SqlType::JSONB);
        let (mut exprs, mut given, mut names) = (vec![], vec![], vec![]);
        for column in relation.live_columns() {
            names.push(Datum::text(column.name.as_str()));
            if column.is_generated {
                continue;
            }
            let value = self.declared_field(relation, column, &document)?;
            let id = self.new_column(&column.name, column.ty.into(), 0, 0);
            exprs.push((id, value));
            given.push((column.number, id));
        }
        let declared = Datum::Array(std::sync::Arc::new(Array::from_values(oid::TEXT, names)));
        let rest = self.binary("-", document, Expr::constant(declared, SqlType::TEXT_ARRAY), 0)?;
        let tail = self.new_column("tail", SqlType::JSONB, 0, 0);
        exprs.push((tail, rest));
        Ok(Documents { input: Node::Project { input: Box::new(input), exprs }, given, tail })
    }

    /// The whole document, as jsonb.
    fn document(&mut self, syntax: &ast::Expr) -> Result<Expr> {
        let bound = self.expr(syntax)?;
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

    fn declared_field(&mut self, relation: &Relation, column: &Column, document: &Expr) -> Result<Expr> {
        let ty: SqlType = column.ty.into();
        let name = || Expr::constant(Datum::text(column.name.as_str()), SqlType::TEXT);
        let value = if ty.oid == oid::JSONB || ty.oid == oid::JSON {
            let path = vec![PathStep::Key(column.name.clone())];
            let kind = ExprKind::DocumentPath { document: Box::new(document.clone()), path };
            Expr::new(kind, SqlType::JSONB, 0)
        } else {
            self.binary("->>", document.clone(), name(), 0)?
        };
        if ty.is_array() {
            return Err(unsupported("a document for a collection with an array column", 0));
        }
        let value = self.explicit_cast(value, ty, 0)?;
        if column.default.is_none() && column.identity.is_none() {
            return Ok(value);
        }
        let is_there = self.binary("?", document.clone(), name(), 0)?;
        let default = self.default_value(relation, column)?;
        let kind =
            ExprKind::Case { operand: None, branches: vec![(is_there, value)], otherwise: Some(Box::new(default)) };
        Ok(Expr::new(kind, ty, 0))
    }
}
