//! Fields of an open collection's documents as targets: `SET nick = …, address.city = …`, `INSERT INTO c (id, nick) …`,
//! `COPY c (id, nick)`, and the document as a whole, `_doc`.
//!
//! A field is jsonb; an SQL value that it is given is lifted to that, as in comparisons. NULL and DEFAULT remove it: a field that
//! is not there is what reads as NULL. A name is taken for a field only where the collection has no column of it.

use super::assign::Place;
use super::change::{Assigned, assigned_twice};
use super::hidden::{is_own_name, literal_step};
use super::scope::fold;
use super::target::is_default;
use super::{Binder, unsupported};
use crate::expr::{Expr, ExprKind, PathStep};
use crate::logical::{ColumnId, Node, ScanColumn};
use catalog::{Relation, RelationKind};
use sqlparser::ast::{self, AccessExpr, Spanned};
use types::{Datum, Result, SqlError, SqlType, oid};

/// The hidden column that is the document.
pub(super) const DOCUMENT: &str = "_doc";

/// What a target means that is no column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldTarget {
    Document,
    /// A place in the undeclared part.
    Field(Vec<PathStep>),
    /// A place in a declared column of jsonb.
    Inside(i16, Vec<PathStep>),
}

/// Places that one statement has given a value.
#[derive(Default)]
pub(super) struct Fields(Vec<FieldTarget>);

impl Fields {
    /// Refuses a second value for a place, and one for a place inside of it or around it.
    pub(super) fn claim(&mut self, target: FieldTarget, name: &str) -> Result<()> {
        let meets = |other: &FieldTarget| match (other, &target) {
            (FieldTarget::Field(a), FieldTarget::Field(b)) => a.starts_with(b) || b.starts_with(a),
            (FieldTarget::Inside(m, a), FieldTarget::Inside(n, b)) => m == n && (a.starts_with(b) || b.starts_with(a)),
            (FieldTarget::Document, _) | (_, FieldTarget::Document) => true,
            _ => false,
        };
        if self.0.iter().any(meets) {
            return Err(assigned_twice(name));
        }
        self.0.push(target);
        Ok(())
    }
}

impl Binder<'_> {
    /// None where it is a column's business.
    pub(super) fn field_target(
        &self,
        relation: &Relation,
        place: &Place,
        position: u32,
    ) -> Result<Option<FieldTarget>> {
        if relation.kind != RelationKind::Collection {
            return Ok(None);
        }
        if let Some(column) = relation.column_by_name(&place.column) {
            let is_inside = column.ty.oid == oid::JSONB && matches!(place.steps.first(), Some(AccessExpr::Dot(_)));
            return match is_inside {
                true => Ok(Some(FieldTarget::Inside(column.number, steps(&place.steps, position)?))),
                false => Ok(None),
            };
        }
        if place.column == DOCUMENT && place.steps.is_empty() {
            return Ok(Some(FieldTarget::Document));
        }
        if is_own_name(&place.column) {
            return Err(unsupported(&format!("assigning to {}", place.column), position));
        }
        let mut path = vec![PathStep::Key(place.column.clone())];
        path.extend(steps(&place.steps, position)?);
        Ok(Some(FieldTarget::Field(path)))
    }

    /// One item of SET, if it is no column's; false otherwise.
    pub(super) fn assigned_field(
        &mut self,
        relation: &Relation,
        name: &ast::ObjectName,
        place: &Place,
        value: &ast::Expr,
        assigned: &mut Assigned,
        fields: &mut Fields,
    ) -> Result<bool> {
        let position = self.at(name.span());
        let Some(target) = self.field_target(relation, place, position)? else { return Ok(false) };
        fields.claim(target.clone(), &place.column)?;
        match target {
            FieldTarget::Document => {
                if !assigned.columns.is_empty() {
                    return Err(assigned_twice(DOCUMENT));
                }
                let bound = self.expr(value)?;
                let document = self.document(bound)?;
                let (columns, tail) = self.replaced_document(relation, document)?;
                (assigned.columns, assigned.tail) = (columns, Some(tail));
            }
            FieldTarget::Field(path) => {
                let value = self.field_given(value)?;
                let document = match assigned.tail.take() {
                    Some(made) => made,
                    None => self.target_tail(relation)?,
                };
                assigned.tail = Some(with_field(document, path, value, position));
            }
            FieldTarget::Inside(number, path) => {
                let value = self.field_given(value)?;
                let known = assigned.columns.iter_mut().find(|(n, _)| *n == number);
                match known {
                    Some((_, made)) if matches!(made.kind, ExprKind::DocumentSet { .. }) => {
                        let document = std::mem::replace(made, Expr::constant(Datum::Null, SqlType::JSONB));
                        *made = with_field(document, path, value, position);
                    }
                    Some(_) => return Err(assigned_twice(&place.column)),
                    None => {
                        let column = relation.column(number).ok_or_else(|| SqlError::internal("a column was found"))?;
                        let document = self.target_column(relation, column)?;
                        assigned.columns.push((number, with_field(document, path, value, position)));
                    }
                }
            }
        }
        Ok(true)
    }

    /// A value for a field.
    pub(super) fn field_given(&mut self, value: &ast::Expr) -> Result<Expr> {
        if is_default(value) {
            return Ok(Expr::constant(Datum::Null, SqlType::JSONB));
        }
        let bound = self.expr(value)?;
        self.lift(bound)
    }

    /// The rows with the fields put together.
    pub(super) fn with_fields(
        &mut self,
        input: Node,
        fields: Vec<(Vec<PathStep>, ColumnId)>,
    ) -> (Node, Option<ColumnId>) {
        if fields.is_empty() {
            return (input, None);
        }
        let tail = self.new_column("tail", SqlType::JSONB, 0, 0);
        let exprs = vec![(tail, tail_of(fields))];
        (Node::Project { input: Box::new(input), exprs }, Some(tail))
    }

    /// The target's undeclared part, as it was.
    fn target_tail(&mut self, relation: &Relation) -> Result<Expr> {
        let scope = self.scope()?;
        let item = scope.items.iter().find(|i| i.relation.as_ref().is_some_and(|r| r.id == relation.id));
        let found = item.and_then(|i| i.hidden.iter().find(|h| h.what == ScanColumn::Tail));
        let found = found.ok_or_else(|| SqlError::internal("the target of an assignment is in scope"))?;
        Ok(Expr::column(found.id, found.ty))
    }
}

/// The document with the place given the value.
fn with_field(document: Expr, path: Vec<PathStep>, value: Expr, position: u32) -> Expr {
    let kind = ExprKind::DocumentSet { document: Box::new(document), path, value: Box::new(value) };
    Expr::new(kind, SqlType::JSONB, position)
}

/// A new row's tail of fields that columns hold the values of.
fn tail_of(fields: Vec<(Vec<PathStep>, ColumnId)>) -> Expr {
    let nothing = Expr::constant(Datum::Null, SqlType::JSONB);
    fields
        .into_iter()
        .fold(nothing, |document, (path, id)| with_field(document, path, Expr::column(id, SqlType::JSONB), 0))
}

fn steps(steps: &[AccessExpr], position: u32) -> Result<Vec<PathStep>> {
    let step = |step: &AccessExpr| match step {
        AccessExpr::Dot(ast::Expr::Identifier(name)) => Some(PathStep::Key(fold(name))),
        AccessExpr::Subscript(subscript) => literal_step(subscript),
        AccessExpr::Dot(_) => None,
    };
    let steps: Option<Vec<PathStep>> = steps.iter().map(step).collect();
    steps.ok_or_else(|| unsupported("a path whose subscripts are no literals", position))
}
