//! Assignment to a part of a column: an element or a slice of an array, a key of jsonb, a field of a row.

use super::Binder;
use super::scope::fold;
use crate::expr::{Expr, ExprKind};
use crate::parse::{self, targets};
use catalog::Column;
use sqlparser::ast::{AccessExpr, Expr as Ast, ObjectName, Spanned};
use types::{Result, SqlError, SqlState, SqlType, oid};

/// A column and the part of it that is meant; all of it where `steps` is empty.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) column: String,
    pub(super) steps: Vec<AccessExpr>,
}

impl Place {
    pub(super) fn of(name: &ObjectName) -> Result<Place> {
        let parts: Vec<_> = name.0.iter().filter_map(|p| p.as_ident()).collect();
        let Some((first, rest)) = parts.split_first() else { return Err(SqlError::internal("a target has a name")) };
        let Some(text) = targets::target(&first.value) else {
            let steps = rest.iter().map(|i| AccessExpr::Dot(Ast::Identifier((*i).clone()))).collect();
            return Ok(Place { column: fold(first), steps });
        };
        match parse::expression_at(text, name.span().start)? {
            Ast::CompoundIdentifier(parts) => match parts.split_first() {
                Some((column, fields)) => {
                    let steps = fields.iter().map(|f| AccessExpr::Dot(Ast::Identifier(f.clone()))).collect();
                    Ok(Place { column: fold(column), steps })
                }
                None => Err(SqlError::internal("a target has a name")),
            },
            Ast::CompoundFieldAccess { root, access_chain } => match *root {
                Ast::Identifier(column) => Ok(Place { column: fold(&column), steps: access_chain }),
                Ast::CompoundIdentifier(parts) => {
                    let mut parts = parts.into_iter();
                    let column = parts.next().map(|c| fold(&c)).unwrap_or_default();
                    let mut steps: Vec<_> = parts.map(|f| AccessExpr::Dot(Ast::Identifier(f))).collect();
                    steps.extend(access_chain);
                    Ok(Place { column, steps })
                }
                _ => Err(SqlError::unsupported("this kind of target is not supported")),
            },
            _ => Err(SqlError::unsupported("this kind of target is not supported")),
        }
    }
}

impl Binder<'_> {
    /// The column's value when `value` is put at `steps` into `container`. `position` is that of the target.
    pub(super) fn assign_part(
        &mut self,
        column: &Column,
        steps: &[AccessExpr],
        container: Expr,
        value: Expr,
        position: u32,
    ) -> Result<Expr> {
        if steps.is_empty() {
            return self.assign(value, column.declared(), &column.name);
        }
        let whole = self.assign_steps(&column.name, steps, container, value, position)?;
        // A domain asks the whole value.
        if column.domain.is_some() { self.assign(whole, column.declared(), &column.name) } else { Ok(whole) }
    }

    /// `container` with `value` at the steps below it; `name` is the column or field that it is.
    fn assign_steps(
        &mut self,
        name: &str,
        steps: &[AccessExpr],
        container: Expr,
        value: Expr,
        position: u32,
    ) -> Result<Expr> {
        match steps.split_first() {
            None => Ok(value),
            Some((AccessExpr::Dot(Ast::Identifier(field)), rest)) => {
                let field = fold(field);
                self.assign_field(name, &field, rest, container, value, position)
            }
            Some(_) => self.assign_elements(name, steps, container, value, position),
        }
    }

    fn assign_elements(
        &mut self,
        name: &str,
        steps: &[AccessExpr],
        container: Expr,
        value: Expr,
        position: u32,
    ) -> Result<Expr> {
        let count = steps.iter().take_while(|s| matches!(s, AccessExpr::Subscript(_))).count();
        let (subscripts, rest) = steps.split_at(count);
        let subscripts = subscripts.iter().filter_map(|s| match s {
            AccessExpr::Subscript(subscript) => Some(subscript),
            AccessExpr::Dot(_) => None,
        });
        let ty = container.ty;
        let read = self.subscripted(container, subscripts).map_err(|e| e.at(position))?;
        // What is below the element goes into the element as it is.
        let value = self.assign_steps(name, rest, read.clone(), value, position)?;
        let (wanted, source) = (read.ty, value.ty);
        let ExprKind::Subscripts { container, subscripts } = read.kind else {
            return Err(SqlError::internal("subscripts were expected"));
        };
        let cast = self.try_coerce(
            value,
            wanted,
            types::builtin::CastContext::Assignment,
            crate::expr::CallForm::ImplicitCast,
        )?;
        let value = cast.ok_or_else(|| {
            let (wanted, source) = (self.type_name(wanted), self.type_name(source));
            let message = format!(
                "subscripted assignment to \"{name}\" requires type {wanted} but expression is of type {source}"
            );
            SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression.")
                .at(position)
        })?;
        let kind = ExprKind::AssignSubscripts { container, subscripts, value: Box::new(value) };
        Ok(Expr::new(kind, ty, position))
    }

    /// The row with one field replaced.
    fn assign_field(
        &mut self,
        of: &str,
        name: &str,
        rest: &[AccessExpr],
        container: Expr,
        value: Expr,
        position: u32,
    ) -> Result<Expr> {
        let ty = container.ty;
        let Some(fields) = self.fields_of_type(ty) else {
            let type_name = self.type_name(ty);
            let message = format!(
                "cannot assign to field \"{name}\" of column \"{of}\" because its type {type_name} is not a composite type"
            );
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position));
        };
        let Some(index) = fields.iter().position(|(field, _)| field == name) else {
            let type_name = self.type_name(ty);
            let message = format!(
                "cannot assign to field \"{name}\" of column \"{of}\" because there is no such column in data type {type_name}"
            );
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(position));
        };
        let declared = self.domains_of_fields(ty);
        let mut value = Some(value);
        let (mut exprs, mut names) = (vec![], vec![]);
        for (number, (field, field_type)) in fields.into_iter().enumerate() {
            let old = Expr::new(ExprKind::Field { row: Box::new(container.clone()), index: number }, field_type, 0);
            let given = if number == index { value.take() } else { None };
            exprs.push(match given {
                Some(value) => {
                    let target = declared.as_ref().and_then(|d| d.get(number)).copied().unwrap_or(field_type);
                    let value = self.assign_steps(&field, rest, old, value, position)?;
                    self.assign_to_field(value, target, &field, position)?
                }
                None => old,
            });
            names.push(field);
        }
        Ok(Expr::new(ExprKind::Row { fields: exprs, names }, SqlType::new(ty.oid), position))
    }

    fn assign_to_field(&mut self, value: Expr, target: SqlType, field: &str, position: u32) -> Result<Expr> {
        let source = value.ty;
        let (context, form) = (types::builtin::CastContext::Assignment, crate::expr::CallForm::ImplicitCast);
        self.try_coerce(value, target, context, form)?.ok_or_else(|| {
            let (target, source) = (self.type_name(target), self.type_name(source));
            let message = format!("subfield \"{field}\" is of type {target} but expression is of type {source}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression.")
                .at(position)
        })
    }
}

/// DEFAULT is for whole columns.
pub(super) fn refuse_default(steps: &[AccessExpr], position: u32) -> Result<()> {
    let message = match steps.first() {
        None => return Ok(()),
        Some(AccessExpr::Dot(_)) => "cannot set a subfield to DEFAULT",
        Some(AccessExpr::Subscript(_)) => "cannot set an array element to DEFAULT",
    };
    Err(SqlError::unsupported(message).at(position))
}

/// Reads nothing: an array, document or row that is not there yet.
pub(super) fn nothing(column: &Column) -> Expr {
    let ty: SqlType = column.ty.into();
    debug_assert_ne!(ty.oid, oid::UNKNOWN);
    Expr::constant(types::Datum::Null, ty)
}
