//! Expressions of a plan node: columns become input positions or `Outer` slots, subqueries become subplans.

use super::columns::{self, ColumnSet};
use super::{Planner, Positions, Result, find, missing, positions};
use crate::expr::{CallForm, Expr, ExprKind, SubPlanKind, SubPlanRef};
use crate::logical::{ColumnId, SortKey, Subquery, SubqueryKind};
use crate::physical::{PlanSortKey, SubPlan};
use types::builtin::{self, CastMethod, Operator};
use types::{Datum, Oid, SqlError, SqlState, SqlType, oid};

impl Planner<'_> {
    /// The expression as its operator evaluates it.
    pub(super) fn resolve(&mut self, expr: &Expr, place: &Positions) -> Result<Expr> {
        crate::stop::check()?;
        let mut expr = expr.clone();
        self.resolve_in_place(&mut expr, place)?;
        Ok(expr)
    }

    fn resolve_in_place(&mut self, expr: &mut Expr, place: &Positions) -> Result<()> {
        if let ExprKind::Column(id) = expr.kind {
            expr.kind = self.resolve_column(id, place)?;
            return Ok(());
        }
        if let ExprKind::Subquery(subquery) = &expr.kind {
            let reference = self.subplan(subquery, place)?;
            expr.kind = ExprKind::SubPlan(reference);
            return Ok(());
        }
        expr.children_mut().into_iter().try_for_each(|child| self.resolve_in_place(child, place))
    }

    fn resolve_column(&self, id: ColumnId, place: &Positions) -> Result<ExprKind> {
        if let Some(at) = place.get(&id) {
            return Ok(ExprKind::Input(*at));
        }
        let slot = self.outer.iter().rev().find_map(|scope| scope.get(&id));
        slot.map(|slot| ExprKind::Outer(*slot)).ok_or_else(|| missing(id))
    }

    pub(super) fn resolve_all(&mut self, exprs: &[Expr], place: &Positions) -> Result<Vec<Expr>> {
        exprs.iter().map(|e| self.resolve(e, place)).collect()
    }

    pub(super) fn resolve_option(&mut self, expr: Option<&Expr>, place: &Positions) -> Result<Option<Expr>> {
        expr.map(|e| self.resolve(e, place)).transpose()
    }

    /// Several conjuncts as one predicate; None of none.
    pub(super) fn resolve_conjunction(&mut self, parts: &[Expr], place: &Positions) -> Result<Option<Expr>> {
        Ok(columns::conjunction(self.resolve_all(parts, place)?))
    }

    pub(super) fn resolve_keys(&mut self, keys: &[SortKey], place: &Positions) -> Result<Vec<PlanSortKey>> {
        keys.iter()
            .map(|key| {
                let expr = self.resolve(&key.expr, place)?;
                Ok(PlanSortKey { expr, descending: key.descending, nulls_first: key.nulls_first })
            })
            .collect()
    }

    /// Slots for columns of an enclosing row: (column to slot, slot and the expression that fills it).
    pub(super) fn bind_outer(&mut self, free: &ColumnSet, place: &Positions) -> Result<(Positions, Vec<(u32, Expr)>)> {
        let (mut scope, mut parameters) = (Positions::new(), vec![]);
        for id in free {
            let value = Expr::new(self.resolve_column(*id, place)?, self.ty(*id), 0);
            let slot = self.new_slot();
            scope.insert(*id, slot);
            parameters.push((slot, value));
        }
        Ok((scope, parameters))
    }

    fn new_slot(&mut self) -> u32 {
        self.outer_slots += 1;
        self.outer_slots - 1
    }

    fn subplan(&mut self, subquery: &Subquery, place: &Positions) -> Result<SubPlanRef> {
        let (scope, parameters) = self.bind_outer(&columns::free(&subquery.plan), place)?;
        let (top, wanted) = (self.pending_top.take(), std::mem::take(&mut self.wanted_order));
        self.outer.push(scope);
        let lowered = self.lower(&subquery.plan, &subquery.output.iter().copied().collect());
        self.outer.pop();
        (self.pending_top, self.wanted_order) = (top, wanted);
        let lowered = lowered?;
        let at = positions(&lowered.layout);
        let output = subquery.output.iter().map(|id| find(&at, *id)).collect::<Result<_>>()?;
        let index = self.subplans.len();
        self.subplans.push(SubPlan { root: lowered.node, output, is_correlated: !parameters.is_empty() });
        let kind = match &subquery.kind {
            SubqueryKind::Scalar => SubPlanKind::Scalar,
            SubqueryKind::Row => SubPlanKind::Row,
            SubqueryKind::Exists => SubPlanKind::Exists,
            SubqueryKind::Array => SubPlanKind::Array,
            SubqueryKind::AnyAll { comparison, all } => self.any_all(comparison, &subquery.output, *all, place)?,
        };
        Ok(SubPlanRef { index, kind, parameters })
    }

    fn any_all(&mut self, comparison: &Expr, output: &[ColumnId], all: bool, place: &Positions) -> Result<SubPlanKind> {
        let slots: Vec<u32> = output.iter().map(|_| self.new_slot()).collect();
        self.outer.push(output.iter().copied().zip(slots.iter().copied()).collect());
        let comparison = self.resolve(comparison, place);
        self.outer.pop();
        Ok(SubPlanKind::AnyAll { comparison: Box::new(comparison?), columns: slots, all })
    }
}

/// `left op right` as written by an operator.
pub(crate) fn as_operator(expr: &Expr) -> Option<(&'static Operator, &Expr, &Expr)> {
    match &expr.kind {
        ExprKind::Call { args, form: CallForm::Operator(operator), .. } => match &args[..] {
            [left, right] => Some((operator, left, right)),
            _ => None,
        },
        _ => None,
    }
}

fn integer_rank(ty: Oid) -> Option<u8> {
    match ty {
        oid::INT2 => Some(0),
        oid::INT4 => Some(1),
        oid::INT8 => Some(2),
        _ => None,
    }
}

/// Same bytes, same order.
pub(crate) fn is_same_representation(a: Oid, b: Oid) -> bool {
    let text = |ty| matches!(ty, oid::TEXT | oid::VARCHAR);
    a == b || (text(a) && text(b))
}

/// `value` as the type of a key column, if that changes nothing about what it is equal to or less than.
pub(crate) fn as_key_type(value: &Expr, target: SqlType) -> Option<Expr> {
    if is_same_representation(value.ty.oid, target.oid) {
        return Some(value.clone());
    }
    let (from, to) = (integer_rank(value.ty.oid)?, integer_rank(target.oid)?);
    if let ExprKind::Const(datum) = &value.kind {
        let datum = match (datum, target.oid) {
            (Datum::Null, _) => Datum::Null,
            (Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_), oid::INT2) => {
                Datum::Int2(i16::try_from(datum.as_i64()).ok()?)
            }
            (Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_), oid::INT4) => {
                Datum::Int4(i32::try_from(datum.as_i64()).ok()?)
            }
            (Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_), oid::INT8) => Datum::Int8(datum.as_i64()),
            _ => return None,
        };
        return Some(Expr::new(ExprKind::Const(datum), SqlType::new(target.oid), value.position));
    }
    if from > to {
        return None;
    }
    cast_call(value.clone(), target.oid)
}

/// The number that an integer constant is, seen through casts between integers.
pub(crate) fn integer_constant(expr: &Expr) -> Option<i64> {
    match &expr.kind {
        ExprKind::Const(datum @ (Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_))) => Some(datum.as_i64()),
        ExprKind::Call { args, form: CallForm::ImplicitCast | CallForm::ExplicitCast, .. } => match &args[..] {
            [arg] if integer_rank(arg.ty.oid)? <= integer_rank(expr.ty.oid)? => integer_constant(arg),
            _ => None,
        },
        _ => None,
    }
}

fn cast_call(value: Expr, target: Oid) -> Option<Expr> {
    let cast = builtin::cast(value.ty.oid, target).filter(|c| c.method == CastMethod::Function)?;
    let proc = builtin::proc_by_oid(cast.function).filter(|p| p.args.len() == 1)?;
    let position = value.position;
    let kind = ExprKind::Call { proc, args: vec![value], variadic_array: false, form: CallForm::ImplicitCast };
    Some(Expr::new(kind, SqlType::new(target), position))
}

/// Both sides of an equality in one type, for hashing and merging.
pub(crate) fn same_type(left: &Expr, right: &Expr) -> Option<(Expr, Expr, SqlType)> {
    if is_same_representation(left.ty.oid, right.ty.oid) {
        return Some((left.clone(), right.clone(), SqlType::new(left.ty.oid)));
    }
    let wide = match integer_rank(left.ty.oid)? >= integer_rank(right.ty.oid)? {
        true => left.ty.oid,
        false => right.ty.oid,
    };
    let ty = SqlType::new(wide);
    Some((as_key_type(left, ty)?, as_key_type(right, ty)?, ty))
}

pub(crate) fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
}
