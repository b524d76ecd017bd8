//! From one type to another: PostgreSQL's implicit, assignment and explicit casts, literals of unknown type, type modifiers
//! and the common type of several expressions.

use super::Binder;
use crate::expr::{CallForm, Expr, ExprKind};
use types::builtin::{self, CastContext, CastMethod, Proc};
use types::{Datum, Oid, Result, SqlError, SqlState, SqlType, oid, user_type};

/// How a value of one type becomes one of another.
#[derive(Clone, Copy)]
pub(super) enum Path {
    Same,
    Function(&'static Proc),
    InOut,
    /// Element by element, from this type.
    Elements(Oid),
}

pub(super) fn category(oid: Oid) -> char {
    match builtin::type_by_oid(oid) {
        Some(ty) => ty.category,
        None if user_type::is_enum(oid) => 'E',
        None if builtin::element_of(oid).is_some() => 'A',
        None => 'C',
    }
}

pub(super) fn is_preferred(oid: Oid) -> bool {
    builtin::type_by_oid(oid).is_some_and(|t| t.is_preferred)
}

/// The way from `source` to `target` that `context` allows.
pub(super) fn path(source: Oid, target: Oid, context: CastContext) -> Option<Path> {
    if source == target {
        return Some(Path::Same);
    }
    if let Some(cast) = builtin::cast(source, target) {
        if cast.context > context {
            return None;
        }
        return match cast.method {
            CastMethod::Binary => Some(Path::Same),
            CastMethod::InOut => Some(Path::InOut),
            CastMethod::Function => builtin::proc_by_oid(cast.function).map(Path::Function),
        };
    }
    // The vector types are made by no cast, or `oid[] = '{0}'` could mean them.
    let is_vector = matches!(target, oid::OIDVECTOR | oid::INT2VECTOR);
    if let (Some(from), Some(to), false) = (builtin::element_of(source), builtin::element_of(target), is_vector) {
        return path(from, to, context).map(|_| Path::Elements(from));
    }
    let through_text = context >= CastContext::Assignment && category(target) == 'S'
        || context == CastContext::Explicit && category(source) == 'S';
    let is_value = category(source) != 'P' || source == oid::RECORD;
    (through_text && is_value && category(target) != 'P').then_some(Path::InOut)
}

pub(super) fn is_polymorphic(oid: Oid) -> bool {
    matches!(
        oid,
        oid::ANYELEMENT
            | oid::ANYARRAY
            | oid::ANYNONARRAY
            | oid::ANYENUM
            | oid::ANYCOMPATIBLE
            | oid::ANYCOMPATIBLEARRAY
            | oid::ANYCOMPATIBLENONARRAY
    )
}

/// Whether an argument of type `source` may stand where `target` is declared, without being asked for.
pub(super) fn can_coerce(source: Oid, target: Oid) -> bool {
    match target {
        oid::ANY => true,
        oid::ANYELEMENT | oid::ANYCOMPATIBLE => true,
        oid::RECORD if is_composite(source) => true,
        oid::RECORD_ARRAY if builtin::element_of(source).is_some_and(is_composite) => true,
        oid::ANYARRAY | oid::ANYCOMPATIBLEARRAY => source == oid::UNKNOWN || builtin::element_of(source).is_some(),
        oid::ANYNONARRAY | oid::ANYCOMPATIBLENONARRAY => builtin::element_of(source).is_none(),
        oid::ANYENUM => source == oid::UNKNOWN || user_type::is_enum(source),
        oid::ANYRANGE | oid::ANYMULTIRANGE | oid::ANYCOMPATIBLERANGE | oid::ANYCOMPATIBLEMULTIRANGE => false,
        _ => source == oid::UNKNOWN || path(source, target, CastContext::Implicit).is_some(),
    }
}

/// The common type of several, text where all are unknown; or the type chosen so far and the number of the one that does not go with it.
pub(super) fn select_common(types: &[Oid]) -> std::result::Result<Oid, (Oid, usize)> {
    if let Some((first, rest)) = types.split_first()
        && *first != oid::UNKNOWN
        && rest.iter().all(|t| t == first)
    {
        return Ok(*first);
    }
    let mut known = types.iter().copied().enumerate().filter(|(_, t)| *t != oid::UNKNOWN);
    let Some((_, mut chosen)) = known.next() else { return Ok(oid::TEXT) };
    for (at, ty) in known {
        if ty == chosen {
            continue;
        }
        if category(ty) != category(chosen) {
            return Err((chosen, at));
        }
        let forth = path(chosen, ty, CastContext::Implicit).is_some();
        let back = path(ty, chosen, CastContext::Implicit).is_some();
        if !is_preferred(chosen) && forth && !back {
            chosen = ty;
        }
    }
    Ok(chosen)
}

/// Types that are no built-in ones, no enums and no arrays are composite.
pub(super) fn is_composite(oid: Oid) -> bool {
    category(oid) == 'C'
}

impl Binder<'_> {
    pub(super) fn no_cast(&self, source: SqlType, target: SqlType, position: u32) -> SqlError {
        let (source, target) = (self.type_name(source), self.type_name(target));
        SqlError::new(SqlState::CANNOT_COERCE, format!("cannot cast type {source} to {target}")).at(position)
    }

    /// The expression as `target`, or None where `context` does not allow it.
    pub(super) fn try_coerce(
        &mut self,
        expr: Expr,
        target: SqlType,
        context: CastContext,
        form: CallForm,
    ) -> Result<Option<Expr>> {
        if target.oid == oid::ANY || target.oid == oid::UNKNOWN {
            return Ok(Some(expr));
        }
        if super::domain::holds_domain(target) {
            return self.coerce_to_domain(expr, target, context, form);
        }
        if expr.ty.oid == oid::UNKNOWN {
            match &expr.kind {
                ExprKind::Parameter(number) => {
                    return self.fix_parameter(*number, expr, target, context, form).map(Some);
                }
                ExprKind::Const(_) => {
                    let literal = self.literal_as(expr, target)?;
                    let is_row = is_composite(target.oid) && !matches!(literal.kind, ExprKind::Const(Datum::Null));
                    let literal = if is_row { self.checked_fields(literal)? } else { literal };
                    return self.with_typmod(literal, target, context, form).map(Some);
                }
                _ => {
                    let position = expr.position;
                    let kind = ExprKind::InOut(Box::new(expr), form);
                    return Ok(Some(Expr::new(kind, SqlType::new(target.oid), position)));
                }
            }
        }
        if let Some(row) = self.coerce_row(&expr, target, context, form)? {
            return Ok(Some(row));
        }
        let Some(path) = path(expr.ty.oid, target.oid, context) else { return Ok(None) };
        let converted = self.follow(path, expr, target, context, form)?;
        self.with_typmod(converted, target, context, form).map(Some)
    }

    pub(super) fn explicit_cast(&mut self, expr: Expr, target: SqlType, position: u32) -> Result<Expr> {
        let source = expr.ty;
        let cast = self.try_coerce(expr, target, CastContext::Explicit, CallForm::ExplicitCast);
        let cast = cast.map_err(|e| if e.code() == SqlState::CANNOT_COERCE { e.at(position) } else { e })?;
        cast.ok_or_else(|| self.no_cast(source, target, position))
    }

    /// For arguments that were found to be coercible.
    pub(super) fn implicit(&mut self, expr: Expr, target: SqlType) -> Result<Expr> {
        let (source, position) = (expr.ty, expr.position);
        let cast = self.try_coerce(expr, target, CastContext::Implicit, CallForm::ImplicitCast)?;
        cast.ok_or_else(|| self.no_cast(source, target, position))
    }

    /// For the value of a column in INSERT and UPDATE.
    pub(super) fn assign(&mut self, expr: Expr, target: SqlType, column: &str) -> Result<Expr> {
        let (source, position) = (expr.ty, expr.position);
        let cast = self.try_coerce(expr, target, CastContext::Assignment, CallForm::ImplicitCast)?;
        cast.ok_or_else(|| {
            let message = format!(
                "column \"{column}\" is of type {} but expression is of type {}",
                self.type_name(target),
                self.type_name(source)
            );
            SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression.")
                .at(position)
        })
    }

    /// A condition: `what` is the clause, as in "argument of WHERE must be type boolean, not type integer".
    pub(super) fn boolean(&mut self, expr: Expr, what: &str) -> Result<Expr> {
        let (source, position) = (expr.ty, expr.position);
        let cast = self.try_coerce(expr, SqlType::BOOL, CastContext::Assignment, CallForm::ImplicitCast)?;
        cast.ok_or_else(|| {
            let name = self.type_name(source);
            let message = format!("argument of {what} must be type boolean, not type {name}");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position)
        })
    }

    fn fix_parameter(
        &mut self,
        number: u16,
        expr: Expr,
        target: SqlType,
        context: CastContext,
        form: CallForm,
    ) -> Result<Expr> {
        let slot = &mut self.parameters[usize::from(number)];
        let ty = *slot.get_or_insert(SqlType::new(target.oid));
        let parameter = Expr { ty, ..expr };
        if ty.oid == target.oid {
            return self.with_typmod(parameter, target, context, form);
        }
        let message = format!("inconsistent types deduced for parameter ${}", number + 1);
        let detail = format!("{} versus {}", self.type_name(ty), self.type_name(target));
        Err(SqlError::new(SqlState::AMBIGUOUS_PARAMETER, message).detail(detail).at(parameter.position))
    }

    /// A literal of unknown type, read by the target's input function now.
    fn literal_as(&mut self, expr: Expr, target: SqlType) -> Result<Expr> {
        let position = expr.position;
        let ExprKind::Const(value) = expr.kind else { return Err(SqlError::internal("a literal was expected")) };
        let plain = SqlType { typmod: if target.oid == oid::INTERVAL { target.typmod } else { -1 }, ..target };
        let value = match value {
            Datum::Text(text) if is_composite(target.oid) => {
                self.row_literal(plain, &text, 0).map_err(|e| e.at(position))?
            }
            Datum::Text(text) if catalog::reg::is_reg(target.oid) => {
                let id = catalog::reg::input(&self.context.catalog, self.name_scope(), target.oid, &text);
                Datum::Oid(id.map_err(|e| e.at(position))?)
            }
            Datum::Text(text) => types::io::input(plain, &text, &self.context.format).map_err(|e| e.at(position))?,
            other => other,
        };
        Ok(Expr::new(ExprKind::Const(value), plain, position))
    }

    fn follow(
        &mut self,
        path: Path,
        expr: Expr,
        target: SqlType,
        context: CastContext,
        form: CallForm,
    ) -> Result<Expr> {
        let position = expr.position;
        let ty = SqlType::new(target.oid);
        let kind = match path {
            Path::Same if expr.ty.oid == target.oid => return Ok(expr),
            Path::Same => ExprKind::Relabel(Box::new(expr), form),
            Path::InOut => ExprKind::InOut(Box::new(expr), form),
            Path::Function(proc) => {
                let args = vec![expr];
                return self.cast_call(proc, args, target, context, form);
            }
            Path::Elements(from) => {
                let value = Expr::new(ExprKind::CaseValue, SqlType { oid: from, ..expr.ty }, position);
                let element_type = target.element().unwrap_or(target);
                let element = self
                    .try_coerce(value, element_type, context, form)?
                    .ok_or_else(|| self.no_cast(expr.ty, target, position))?;
                let (array, element) = (Box::new(expr), Box::new(element));
                return Ok(Expr::new(ExprKind::ArrayCoerce { array, element, form }, target, position));
            }
        };
        Ok(Expr::new(kind, ty, position))
    }

    /// A cast function may also take the type modifier and whether the cast was asked for.
    fn cast_call(
        &mut self,
        proc: &'static Proc,
        mut args: Vec<Expr>,
        target: SqlType,
        context: CastContext,
        form: CallForm,
    ) -> Result<Expr> {
        let position = args.first().map_or(0, |a| a.position);
        self.require_implemented(proc, position)?;
        if proc.args.len() > 1 {
            args.push(Expr::constant(Datum::Int4(target.typmod), SqlType::INT4));
        }
        if proc.args.len() > 2 {
            args.push(Expr::constant(Datum::Bool(context == CastContext::Explicit), SqlType::BOOL));
        }
        let typmod = if proc.args.len() > 1 { target.typmod } else { -1 };
        let kind = ExprKind::Call { proc, args, variadic_array: false, form };
        Ok(Expr::new(kind, SqlType::with_typmod(target.oid, typmod), position))
    }

    /// Applies the target's modifier (`varchar(3)`, `numeric(8,2)`) to a value that has the type already.
    fn with_typmod(&mut self, expr: Expr, target: SqlType, context: CastContext, form: CallForm) -> Result<Expr> {
        if target.typmod < 0 || expr.ty.typmod == target.typmod {
            return Ok(expr);
        }
        if let Some(element) = builtin::element_of(target.oid) {
            let position = expr.position;
            let value = Expr::new(ExprKind::CaseValue, SqlType::new(element), position);
            let element_type = SqlType::with_typmod(element, target.typmod);
            let element = Box::new(self.with_typmod(value, element_type, context, form)?);
            return Ok(Expr::new(ExprKind::ArrayCoerce { array: Box::new(expr), element, form }, target, position));
        }
        let function = builtin::cast(target.oid, target.oid).and_then(|c| builtin::proc_by_oid(c.function));
        let Some(proc) = function else { return Ok(Expr { ty: target, ..expr }) };
        let mut call = self.cast_call(proc, vec![expr], target, context, form)?;
        call.ty = target;
        Ok(call)
    }

    /// The type that CASE, UNION, VALUES, ARRAY and their like give to expressions of these types; `what` names the construct.
    pub(super) fn common_type(&self, types: &[(SqlType, u32)], what: &str) -> Result<SqlType> {
        let oids: Vec<Oid> = types.iter().map(|(t, _)| t.oid).collect();
        let chosen = select_common(&oids).map_err(|(chosen, at)| {
            let (ty, position) = types.get(at).copied().unwrap_or((SqlType::UNKNOWN, 0));
            let (a, b) = (self.type_name(SqlType::new(chosen)), self.type_name(ty));
            let message = format!("{what} types {a} and {b} cannot be matched");
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position)
        })?;
        let Some(first) = types.first().map(|(t, _)| *t).filter(|t| t.oid == chosen) else {
            return Ok(SqlType::new(chosen));
        };
        let same = types.iter().all(|(t, _)| *t == first);
        Ok(if same { first } else { SqlType::new(chosen) })
    }

    /// All expressions brought to their common type.
    pub(super) fn unify(&mut self, exprs: Vec<Expr>, what: &str) -> Result<(Vec<Expr>, SqlType)> {
        let types: Vec<_> = exprs.iter().map(|e| (e.ty, e.position)).collect();
        let ty = self.common_type(&types, what)?;
        let exprs = exprs.into_iter().map(|e| self.implicit_as(e, ty, what)).collect::<Result<_>>()?;
        Ok((exprs, ty))
    }

    pub(super) fn implicit_as(&mut self, expr: Expr, ty: SqlType, what: &str) -> Result<Expr> {
        let (source, position) = (expr.ty, expr.position);
        let cast = self.try_coerce(expr, ty, CastContext::Implicit, CallForm::ImplicitCast)?;
        cast.ok_or_else(|| {
            let (a, b) = (self.type_name(source), self.type_name(ty));
            SqlError::new(SqlState::CANNOT_COERCE, format!("{what} could not convert type {a} to {b}")).at(position)
        })
    }

    /// What is still of unknown type at the end of a select list is text.
    pub(super) fn known(&mut self, expr: Expr) -> Result<Expr> {
        if expr.ty.oid == oid::UNKNOWN { self.implicit(expr, SqlType::TEXT) } else { Ok(expr) }
    }
}
