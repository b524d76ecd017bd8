//! Calls of aggregates that users made: their functions as expressions over a state and a row's arguments.

use super::call::Arguments;
use super::callee::{UserCall, UserFunction};
use super::resolve::Candidate;
use super::{Binder, sql_function, unsupported};
use crate::aggregate::{AggregateFunction, AggregateSteps, Step, UserAggregate};
use crate::expr::{Expr, ExprKind};
use catalog::AggregateDefinition;
use sqlparser::ast;
use std::sync::Arc;
use types::builtin;
use types::{Datum, Oid, Result, SqlError, SqlState, SqlType};

impl Binder<'_> {
    pub(super) fn user_aggregate(
        &mut self,
        chosen: Candidate<UserFunction>,
        args: Arguments,
        list: &ast::FunctionArgumentList,
        call: &ast::Function,
        position: u32,
    ) -> Result<Expr> {
        let name = chosen.item.function.name.clone();
        if list.args.is_empty() {
            let message = format!("{name}(*) must be used to call a parameterless aggregate function");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position));
        }
        if args.names.iter().any(Option::is_some) {
            return Err(unsupported("an aggregate with arguments by name", position));
        }
        let mut bound = self.user_call(chosen, args, position)?;
        let Some(definition) = bound.function.aggregate().cloned() else {
            return Err(SqlError::internal("an aggregate was expected"));
        };
        let user = self.steps_of_aggregate(&bound, &definition)?;
        let function = AggregateFunction::User(Arc::new(user));
        let args = std::mem::take(&mut bound.args);
        let parts = self.aggregate_parts(args, list, call.filter.as_deref(), position)?;
        match &call.over {
            Some(over) => self.aggregate_over(function, parts, bound.result, over, position),
            None => self.aggregate_of(function, parts, bound.result, position),
        }
    }

    fn steps_of_aggregate(&mut self, call: &UserCall, definition: &AggregateDefinition) -> Result<UserAggregate> {
        let plain = self.steps(call, &definition.plain)?;
        let moving = definition.moving.as_ref().map(|steps| self.steps(call, steps)).transpose()?;
        Ok(UserAggregate { id: call.function.id, name: call.function.name.clone(), plain, moving })
    }

    /// The steps for a call's types.
    fn steps(&mut self, call: &UserCall, steps: &catalog::AggregateSteps) -> Result<AggregateSteps> {
        let declared = call.function.input_types();
        let concrete = self.concrete_if_open(&declared, &call.args)?;
        let state = concrete.of(steps.state).map(SqlType::new);
        let state = state.ok_or_else(|| unsupported("an aggregate whose state is of no known type", call.position))?;
        let mut inputs = vec![Expr::input(0, state)];
        inputs.extend(call.args.iter().zip(1..).map(|(arg, n)| Expr::input(n, arg.ty)));
        let transition = self.step(call, steps.transition, inputs.clone(), Some(state))?;
        let inverse = match steps.inverse {
            0 => None,
            id => Some(self.step(call, id, inputs.clone(), Some(state))?),
        };
        let finish = match steps.finish {
            0 => None,
            id => {
                let taken = if steps.finish_extra { inputs } else { vec![Expr::input(0, state)] };
                Some(self.step(call, id, taken, None)?)
            }
        };
        let initial = match &steps.initial {
            None => Datum::Null,
            Some(text) => types::io::input(state, text, &self.context.format)?,
        };
        Ok(AggregateSteps { initial, transition, inverse, finish })
    }

    /// One function of the aggregate over these inputs.
    fn step(&mut self, call: &UserCall, id: Oid, inputs: Vec<Expr>, wanted: Option<SqlType>) -> Result<Step> {
        let user = self.context.catalog.function(id).cloned();
        let is_strict = match &user {
            Some(function) => function.strict,
            None => builtin::proc_by_oid(id).is_some_and(|proc| proc.strict),
        };
        let mut expr = self.call_by_id(id, inputs, call.position)?;
        if let Some(wanted) = wanted {
            expr = self.implicit(expr, wanted)?;
        }
        sql_function::body_alone(&mut expr);
        if expr.any(&mut |e| matches!(e.kind, ExprKind::Subquery(_))) {
            let what = format!("aggregate {}, of whose functions one is a query,", call.function.name);
            return Err(unsupported(&what, call.position));
        }
        Ok(Step { expr, is_strict })
    }
}
