//! Calls of functions and aggregates.

use super::resolve::Candidate;
use super::scope::{Clause, fold};
use super::{Binder, unsupported};
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::AggregateCall;
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
        if call.over.is_some() {
            return Err(unsupported("a window function", position));
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
            let args = self.plain_args(list, position)?;
            return self.conditional(&name, args, position);
        }
        let outer = self.enter_arguments(&name);
        let args = self.plain_args(list, position);
        self.leave_arguments(outer);
        let args = args?;
        let input: Vec<Oid> = args.iter().map(|a| a.ty.oid).collect();
        let chosen = match self.function(&name, &input, position) {
            Ok(chosen) => chosen,
            Err(error) => return self.cast_call_form(&name, args, position).unwrap_or(Err(error)),
        };
        match chosen.item.kind {
            ProcKind::Aggregate => self.aggregate(&chosen, args, list, call.filter.as_deref(), position),
            ProcKind::Function if chosen.item.returns_set => {
                Err(unsupported("a set-returning function here", position))
            }
            ProcKind::Function => self.plain_call(&chosen, args, position),
            _ => {
                Err(SqlError::new(SqlState::WINDOWING_ERROR, format!("window function {name} requires an OVER clause"))
                    .at(position))
            }
        }
    }

    /// Aggregates may not stand in an aggregate's arguments.
    fn enter_arguments(&mut self, name: &str) -> Option<Clause> {
        let is_aggregate = types::builtin::procs_by_name(name).iter().any(|p| p.kind == ProcKind::Aggregate);
        let scope = self.scopes.last_mut().filter(|_| is_aggregate)?;
        (scope.clause == Clause::Output).then(|| std::mem::replace(&mut scope.clause, Clause::InAggregate))
    }

    fn leave_arguments(&mut self, outer: Option<Clause>) {
        if let (Some(clause), Some(scope)) = (outer, self.scopes.last_mut()) {
            scope.clause = clause;
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

    fn aggregate(
        &mut self,
        chosen: &Candidate<&'static Proc>,
        args: Vec<Expr>,
        list: &ast::FunctionArgumentList,
        filter: Option<&ast::Expr>,
        position: u32,
    ) -> Result<Expr> {
        let proc = chosen.item;
        self.require_implemented(proc, position)?;
        self.check_clause(position)?;
        if types::builtin::aggregate(proc.oid).is_none_or(|a| a.kind != 'n') {
            return Err(unsupported("WITHIN GROUP", position));
        }
        let own: Vec<_> = self.scope()?.items.iter().flat_map(|i| i.columns.iter().map(|c| c.id)).collect();
        let mut uses = |found: &Expr| matches!(found.kind, ExprKind::Column(id) if !own.contains(&id));
        if args.iter().any(|a| a.any(&mut uses)) {
            return Err(unsupported("an aggregate over columns of an outer query", position));
        }
        let clause = std::mem::replace(&mut self.scope()?.clause, Clause::InAggregate);
        let order_by = self.aggregate_order(list, position);
        let filter = filter.map(|f| self.expr(f).and_then(|f| self.boolean(f, "FILTER"))).transpose();
        self.scope()?.clause = clause;
        let (args, ty) = self.convert_args(&chosen.args, proc.result, args)?;
        let output = self.new_column(proc.name, ty, 0, 0);
        let distinct = list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct);
        let (order_by, filter) = (order_by?, filter?);
        let call = AggregateCall { proc, args, direct: vec![], distinct, order_by, filter, output, ty };
        self.scope()?.aggregates.push(call);
        Ok(Expr { position, ..Expr::column(output, ty) })
    }

    fn aggregate_order(
        &mut self,
        list: &ast::FunctionArgumentList,
        position: u32,
    ) -> Result<Vec<crate::logical::SortKey>> {
        let mut keys = vec![];
        for clause in &list.clauses {
            let ast::FunctionArgumentClause::OrderBy(exprs) = clause else {
                return Err(unsupported("this clause of an aggregate", position));
            };
            for by in exprs {
                let expr = self.expr(&by.expr)?;
                keys.push(self.sort_key(expr, &by.options, position)?);
            }
        }
        Ok(keys)
    }

    fn check_clause(&mut self, position: u32) -> Result<()> {
        let clause = self.scopes.last().map_or(Clause::Other, |s| s.clause);
        let place = match clause {
            Clause::Output => return Ok(()),
            Clause::InAggregate => {
                let message = "aggregate function calls cannot be nested";
                return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position));
            }
            Clause::Where => "WHERE",
            Clause::Join => "JOIN conditions",
            Clause::GroupBy => "GROUP BY",
            Clause::Other => return Err(unsupported("an aggregate here", position)),
        };
        Err(SqlError::new(SqlState::GROUPING_ERROR, format!("aggregate functions are not allowed in {place}"))
            .at(position))
    }
}
