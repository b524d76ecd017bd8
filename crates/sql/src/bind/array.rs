//! Arrays: ARRAY[…] and subscripts, of jsonb as well.

use super::Binder;
use super::resolve::Given;
use crate::expr::{CallForm, Expr, ExprKind, Subscript};
use sqlparser::ast::{self, Expr as Ast};
use types::builtin::CastContext;
use types::{Datum, Result, SqlError, SqlState, SqlType, oid};

/// Dimensions of an array.
const DIMENSIONS_MAX: usize = 6;

/// The elements of `ARRAY[…]` where nothing else is around it.
pub(super) fn elements_of(syntax: &Ast) -> Option<(&[Ast], Option<sqlparser::tokenizer::Span>)> {
    match syntax {
        Ast::Prefixed { value, prefix } => match &**value {
            Ast::Array(array) => Some((&array.elem, Some(prefix.span))),
            _ => None,
        },
        Ast::Nested(inner) => elements_of(inner),
        Ast::Array(array) => Some((&array.elem, None)),
        _ => None,
    }
}

/// Whether values of the type form a further dimension in ARRAY[…]. Not so int2vector and oidvector, though they are arrays.
pub(super) fn is_sub_array(ty: SqlType) -> bool {
    ty.is_array() && !matches!(ty.oid, oid::INT2VECTOR | oid::OIDVECTOR)
}

/// The type of an array of these.
pub(super) fn array_over(element: SqlType) -> Option<SqlType> {
    if is_sub_array(element) { Some(element) } else { element.array() }
}

impl Binder<'_> {
    /// `target`: the array type that a cast around it asks for.
    pub(super) fn array(&mut self, elements: &[Ast], target: Option<SqlType>, position: u32) -> Result<Expr> {
        if elements.is_empty() && target.is_none() {
            let message = "cannot determine type of empty array";
            return Err(SqlError::new(SqlState::INDETERMINATE_DATATYPE, message)
                .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
                .at(position));
        }
        let nested = elements.iter().any(|e| elements_of(e).is_some());
        let mut bound = vec![];
        for element in elements {
            bound.push(match elements_of(element) {
                Some((inner, span)) => {
                    let position = span.map_or(position, |s| self.at(s));
                    self.array(inner, target, position)?
                }
                None => self.expr(element)?,
            });
        }
        // Elements of one known type are cast all at once: `ARRAY['x'::varchar]::text[]`, as stored definitions have it, stays so.
        let first = bound.first().map_or(oid::UNKNOWN, |e| e.ty.oid);
        let is_uniform = first != oid::UNKNOWN && bound.iter().all(|e| e.ty.oid == first);
        if let Some(target) = target.filter(|_| nested || !is_uniform) {
            return self.array_as(bound, nested, target, position);
        }
        let (elements, element) = self.unify(bound, "ARRAY")?;
        let nested = nested || is_sub_array(element);
        let Some(ty) = array_over(element) else {
            let name = self.type_name(element);
            let message = format!("could not find array type for data type {name}");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(position));
        };
        let array = Expr::new(ExprKind::Array { elements, nested }, SqlType::new(ty.oid), position);
        match target {
            Some(target) => self.explicit_cast(array, target, position),
            None => Ok(array),
        }
    }

    /// The elements cast to what the array's type says.
    fn array_as(&mut self, elements: Vec<Expr>, nested: bool, target: SqlType, position: u32) -> Result<Expr> {
        let is_array = |e: &Expr| e.ty.is_array();
        let nested = nested || elements.iter().any(is_array);
        let element = target.element().unwrap_or(target);
        let wanted = if nested { target } else { element };
        let mut converted = vec![];
        for e in elements {
            let (source, place) = (e.ty, e.position);
            let cast = self.try_coerce(e, wanted, CastContext::Explicit, CallForm::ExplicitCast)?;
            converted.push(cast.ok_or_else(|| self.no_cast(source, wanted, place))?);
        }
        Ok(Expr::new(ExprKind::Array { elements: converted, nested }, target, position))
    }

    /// `container[…]…`: all subscripts of one run.
    pub(super) fn subscripted<'s>(
        &mut self,
        container: Expr,
        subscripts: impl Iterator<Item = &'s ast::Subscript>,
    ) -> Result<Expr> {
        let container = self.known_container(container)?;
        let subscripts: Vec<_> = subscripts.collect();
        let start = container.position;
        let is_slice = subscripts.iter().any(|s| matches!(s, ast::Subscript::Slice { .. }));
        if container.ty.oid == oid::JSONB {
            let mut bound = vec![];
            for subscript in subscripts {
                let index = match subscript {
                    ast::Subscript::Index { index } => index,
                    ast::Subscript::Slice { lower_bound, upper_bound, .. } => {
                        let written = upper_bound.as_ref().or(lower_bound.as_ref());
                        let position = written.map_or(0, |bound| self.own_position(bound));
                        let message = "jsonb subscript does not support slices";
                        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position));
                    }
                };
                bound.push(Subscript::Index(self.jsonb_subscript(index)?));
            }
            let kind = ExprKind::Subscripts { container: Box::new(container), subscripts: bound };
            return Ok(Expr::new(kind, SqlType::JSONB, start));
        }
        if container.ty.oid == oid::NAME
            && let [ast::Subscript::Index { index }] = subscripts.as_slice()
        {
            return self.letter_of_name(container, index);
        }
        let element = element_of(container.ty).ok_or_else(|| {
            let name = self.type_name(container.ty);
            let message = format!("cannot subscript type {name} because it does not support subscripting");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(start)
        })?;
        if subscripts.len() > DIMENSIONS_MAX {
            let message = format!(
                "number of array dimensions ({}) exceeds the maximum allowed ({DIMENSIONS_MAX})",
                subscripts.len()
            );
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        let mut bound = vec![];
        for subscript in subscripts {
            bound.push(match subscript {
                ast::Subscript::Index { index } => Subscript::Index(self.array_subscript(index)?),
                ast::Subscript::Slice { lower_bound, upper_bound, .. } => Subscript::Slice(
                    lower_bound.as_ref().map(|b| self.array_subscript(b)).transpose()?,
                    upper_bound.as_ref().map(|b| self.array_subscript(b)).transpose()?,
                ),
            });
        }
        let ty = if is_slice { container.ty } else { element };
        let kind = ExprKind::Subscripts { container: Box::new(container), subscripts: bound };
        Ok(Expr::new(kind, ty, start))
    }

    /// A name is an array of "char", counted from 0; pg_dump looks at the first.
    fn letter_of_name(&mut self, name: Expr, index: &Ast) -> Result<Expr> {
        let start = name.position;
        let one = || Expr::constant(Datum::Int4(1), SqlType::INT4);
        let index = self.array_subscript(index)?;
        let from = self.binary("+", index, one(), start)?;
        let text = self.explicit_cast(name, SqlType::TEXT, start)?;
        let given =
            Given { types: &[oid::TEXT, oid::INT4, oid::INT4], names: &[None, None, None], variadic_array: false };
        let substr = self.function_for("substr", given, start)?;
        let letter = self.complete_call(&substr, vec![text, from, one()], CallForm::Function, start)?;
        self.explicit_cast(letter, SqlType::new(oid::CHAR), start)
    }

    fn known_container(&mut self, container: Expr) -> Result<Expr> {
        if container.ty.oid == oid::UNKNOWN && !matches!(container.kind, ExprKind::Parameter(_)) {
            return self.known(container);
        }
        Ok(container)
    }

    fn array_subscript(&mut self, syntax: &Ast) -> Result<Expr> {
        let bound = self.expr(syntax)?;
        let place = bound.position;
        let cast = self.try_coerce(bound, SqlType::INT4, CastContext::Assignment, CallForm::ImplicitCast)?;
        cast.ok_or_else(|| {
            SqlError::new(SqlState::DATATYPE_MISMATCH, "array subscript must have type integer").at(place)
        })
    }

    /// An integer where it is one, else text.
    fn jsonb_subscript(&mut self, syntax: &Ast) -> Result<Expr> {
        let bound = self.expr(syntax)?;
        let (source, place) = (bound.ty, bound.position);
        let target = match source.oid {
            oid::UNKNOWN => SqlType::TEXT,
            oid::INT2 | oid::INT4 => SqlType::INT4,
            _ if super::coerce::can_coerce(source.oid, oid::TEXT) => SqlType::TEXT,
            _ => {
                let name = self.type_name(source);
                return Err(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("subscript type {name} is not supported"),
                )
                .hint("jsonb subscript must be coercible to either integer or text.")
                .at(place));
            }
        };
        self.implicit(bound, target)
    }
}

/// The element of what may be subscripted: true arrays, and the vectors of the catalog.
fn element_of(ty: SqlType) -> Option<SqlType> {
    match ty.oid {
        oid::INT2VECTOR => Some(SqlType::INT2),
        oid::OIDVECTOR => Some(SqlType::OID),
        _ => ty.element(),
    }
}
