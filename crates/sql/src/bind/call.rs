//! Calls of functions and aggregates.

use super::resolve::Candidate;
use super::scope::fold;
use super::{Binder, unsupported};
use crate::expr::{CallForm, Expr, ExprKind};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments};
use types::builtin::{Proc, ProcKind};
use types::{Oid, Result, SqlError, SqlState, SqlType, oid};

impl Binder<'_> {
    pub(super) fn function_call(&mut self, call: &ast::Function, position: u32) -> Result<Expr> {
        let parts: Vec<_> = call.name.0.iter().filter_map(|p| p.as_ident()).collect();
        let Some(last) = parts.last() else { return Err(unsupported("this function name", position)) };
        let name = fold(last);
        if parts.len() > 1 && parts.first().is_none_or(|schema| fold(schema) != "pg_catalog") {
            return Err(unsupported("a function outside pg_catalog", position));
        }
        if !call.within_group.is_empty() || call.null_treatment.is_some() {
            return Err(unsupported("WITHIN GROUP", position));
        }
        let list = match &call.args {
            FunctionArguments::List(list) => list,
            FunctionArguments::None => return self.named_value(&name, position),
            FunctionArguments::Subquery(_) => return Err(unsupported("a subquery as argument list", position)),
        };
        if name == "coalesce" || name == "greatest" || name == "least" || name == "nullif" {
            let outer = self.lazy_in;
            if name == "coalesce" {
                self.lazy_in = Some("COALESCE");
            }
            let args = self.plain_args(list, position);
            self.lazy_in = outer;
            return self.conditional(&name, args?, position);
        }
        let args = self.plain_args(list, position)?;
        if name == "grouping" {
            return self.grouping(args, position);
        }
        let input: Vec<Oid> = args.iter().map(|a| a.ty.oid).collect();
        let chosen = match self.function(&name, &input, position) {
            Ok(chosen) => chosen,
            Err(error) => return self.cast_call_form(&name, args, position).unwrap_or(Err(error)),
        };
        match chosen.item.kind {
            ProcKind::Aggregate | ProcKind::Window => {
                self.aggregate_or_window(&name, &chosen, args, list, call, position)
            }
            ProcKind::Function => {
                refuse_aggregate_clauses(&name, call, list).map_err(|e| e.at(position))?;
                let bound = self.plain_call(&chosen, args, position)?;
                if chosen.item.returns_set { self.set_returning(bound, position) } else { Ok(bound) }
            }
            _ => Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("{name} is a procedure")).at(position)),
        }
    }

    fn aggregate_or_window(
        &mut self,
        name: &str,
        chosen: &Candidate<&'static Proc>,
        args: Vec<Expr>,
        list: &ast::FunctionArgumentList,
        call: &ast::Function,
        position: u32,
    ) -> Result<Expr> {
        let wrong = |message: String| SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position);
        let is_aggregate = chosen.item.kind == ProcKind::Aggregate;
        let is_ordered_set = types::builtin::aggregate(chosen.item.oid).is_some_and(|a| a.kind != 'n');
        if is_aggregate && is_ordered_set {
            return Err(wrong(format!("WITHIN GROUP is required for ordered-set aggregate {name}")));
        }
        if is_aggregate && list.args.is_empty() {
            return Err(wrong(format!("{name}(*) must be used to call a parameterless aggregate function")));
        }
        let parts = self.aggregate_parts(args, list, call.filter.as_deref(), position)?;
        match &call.over {
            Some(over) => self.window_call(chosen, parts, over, position),
            None if is_aggregate => self.aggregate(chosen, parts, position),
            None => Err(wrong(format!("window function {name} requires an OVER clause"))),
        }
    }

    fn plain_args(&mut self, list: &ast::FunctionArgumentList, position: u32) -> Result<Vec<Expr>> {
        let mut args = vec![];
        for arg in &list.args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => args.push(self.expr(arg)?),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if list.args.len() == 1 => {}
                _ => return Err(unsupported("this kind of argument", position)),
            }
        }
        Ok(args)
    }

    pub(super) fn plain_call(
        &mut self,
        chosen: &Candidate<&'static Proc>,
        mut args: Vec<Expr>,
        position: u32,
    ) -> Result<Expr> {
        let proc = chosen.item;
        let Some(gathered) = chosen.gathered else {
            return self.call(proc, &chosen.args, proc.result, args, CallForm::Function, position);
        };
        let tail = args.split_off(args.len().saturating_sub(gathered));
        let (elements, ty) = self.unify(tail, "VARIADIC")?;
        let element = if matches!(proc.variadic, oid::ANYELEMENT | oid::ANYCOMPATIBLE) {
            ty
        } else {
            SqlType::new(proc.variadic)
        };
        let elements = elements.into_iter().map(|e| self.implicit(e, element)).collect::<Result<_>>()?;
        let array = element.array().ok_or_else(|| unsupported("an array of this type", position))?;
        args.push(Expr::new(ExprKind::Array { elements, nested: false }, array, position));
        self.call(proc, &proc.args, proc.result, args, CallForm::Function, position)
    }

    /// `text(x)`, `float8(x)`: a type's name called as a function is a cast.
    fn cast_call_form(&mut self, name: &str, args: Vec<Expr>, position: u32) -> Option<Result<Expr>> {
        let ty = types::builtin::type_by_name(name)?;
        let [arg] = <[Expr; 1]>::try_from(args).ok()?;
        Some(self.explicit_cast(arg, SqlType::new(ty.oid), position))
    }

    /// CURRENT_DATE and others that are called without parentheses.
    fn named_value(&mut self, name: &str, position: u32) -> Result<Expr> {
        let (function, cast) = match name {
            "current_timestamp" => ("now", None),
            "current_date" => ("now", Some(SqlType::DATE)),
            "current_time" => ("now", Some(SqlType::TIMETZ)),
            "localtimestamp" => ("now", Some(SqlType::TIMESTAMP)),
            "localtime" => ("now", Some(SqlType::TIME)),
            "current_user" | "user" | "current_role" => ("current_user", None),
            "session_user" => ("session_user", None),
            "current_schema" => ("current_schema", None),
            "current_catalog" => ("current_database", None),
            _ => return Err(unsupported(name, position)),
        };
        let chosen = self.function(function, &[], position)?;
        let value = self.plain_call(&chosen, vec![], position)?;
        match cast {
            Some(ty) => self.explicit_cast(value, ty, position),
            None => Ok(value),
        }
    }
}

/// What only aggregates take.
fn refuse_aggregate_clauses(name: &str, call: &ast::Function, list: &ast::FunctionArgumentList) -> Result<()> {
    let is_star = matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
    let message = if is_star {
        format!("{name}(*) specified, but {name} is not an aggregate function")
    } else if list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct) {
        format!("DISTINCT specified, but {name} is not an aggregate function")
    } else if !list.clauses.is_empty() {
        format!("ORDER BY specified, but {name} is not an aggregate function")
    } else if call.filter.is_some() {
        format!("FILTER specified, but {name} is not an aggregate function")
    } else if call.over.is_some() {
        format!("OVER specified, but {name} is not a window function nor an aggregate function")
    } else {
        return Ok(());
    };
    Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
}
