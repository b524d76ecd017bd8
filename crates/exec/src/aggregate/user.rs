//! Aggregates that users made: their functions compiled once for a plan node, and a state that calls them.
//!
//! A strict transition function is not called for a row with a NULL, and of an aggregate without an initial value its first
//! row's argument is the first state. A final function that is strict is not called for a NULL.

use crate::context::StatementContext;
use crate::expr::{Program, RowRef};
use sql::aggregate::{AggregateSteps, Step};
use std::sync::Arc;
use types::aggregates::Accumulator;
use types::{CallContext, Datum, Result, SqlError};

/// One of an aggregate's functions over (state, arguments …).
pub(crate) struct Function {
    program: Program,
    is_strict: bool,
}

/// An aggregate's functions.
pub(crate) struct Steps {
    initial: Datum,
    transition: Function,
    inverse: Option<Function>,
    finish: Option<Function>,
}

impl Function {
    /// 0A000 for what would have to wait in the middle of a row.
    fn compile(step: &Step) -> Result<Function> {
        let program = Program::compile(&step.expr)?;
        if program.waits() {
            return Err(SqlError::unsupported("an aggregate over a function that waits is not supported"));
        }
        Ok(Function { program, is_strict: step.is_strict })
    }

    fn call(&self, context: &StatementContext, row: &[Datum]) -> Result<Datum> {
        self.program.eval_row(&context.env(), RowRef::Datums(row))
    }
}

impl Steps {
    pub fn compile(steps: &AggregateSteps) -> Result<Steps> {
        Ok(Steps {
            initial: steps.initial.clone(),
            transition: Function::compile(&steps.transition)?,
            inverse: steps.inverse.as_ref().map(Function::compile).transpose()?,
            finish: steps.finish.as_ref().map(Function::compile).transpose()?,
        })
    }
}

/// The running state of a user's aggregate.
pub(crate) struct UserState {
    steps: Arc<Steps>,
    context: Arc<StatementContext>,
    /// The state, then a row's arguments.
    row: Vec<Datum>,
    /// Rows that are in the state.
    count: usize,
}

/// What taking a row out came to.
pub(crate) enum Removed {
    Done,
    /// The inverse function does not know: all rows have to be taken again.
    Unknown,
}

impl UserState {
    pub fn new(steps: &Arc<Steps>, context: &Arc<StatementContext>) -> UserState {
        let row = vec![steps.initial.clone()];
        UserState { steps: steps.clone(), context: context.clone(), row, count: 0 }
    }

    fn state(&self) -> &Datum {
        self.row.first().unwrap_or(&Datum::Null)
    }

    fn set_state(&mut self, state: Datum) {
        if let Some(first) = self.row.first_mut() {
            *first = state;
        }
    }

    fn set_args(&mut self, args: &[Datum]) {
        self.row.truncate(1);
        self.row.extend_from_slice(args);
    }

    pub fn reset(&mut self) {
        let initial = self.steps.initial.clone();
        self.set_state(initial);
        self.count = 0;
    }

    pub fn add(&mut self, args: &[Datum]) -> Result<()> {
        if self.steps.transition.is_strict {
            if args.iter().any(Datum::is_null) {
                return Ok(());
            }
            if self.state().is_null() {
                // A state that became NULL stays so.
                if self.count == 0 {
                    self.set_state(args.first().cloned().unwrap_or_default());
                    self.count = 1;
                }
                return Ok(());
            }
        }
        self.set_args(args);
        let state = self.steps.transition.call(&self.context, &self.row)?;
        if self.steps.inverse.is_some() && state.is_null() {
            let message = "moving-aggregate transition function must not return null";
            return Err(SqlError::new(types::SqlState::NULL_VALUE_NOT_ALLOWED, message));
        }
        self.set_state(state);
        self.count += 1;
        Ok(())
    }

    /// Takes a row out that was added before the others that are left.
    pub fn remove(&mut self, args: &[Datum]) -> Result<Removed> {
        let steps = self.steps.clone();
        let Some(inverse) = &steps.inverse else { return Ok(Removed::Unknown) };
        if inverse.is_strict && args.iter().any(Datum::is_null) {
            return Ok(Removed::Done);
        }
        // The last one: what is left is the initial value, whatever the inverse would make of it.
        if self.count <= 1 {
            self.reset();
            return Ok(Removed::Done);
        }
        self.set_args(args);
        let state = inverse.call(&self.context, &self.row)?;
        if state.is_null() {
            return Ok(Removed::Unknown);
        }
        self.set_state(state);
        self.count -= 1;
        Ok(Removed::Done)
    }

    /// `types`: of the arguments, for a final function that takes them as NULLs.
    pub fn value(&mut self, args: usize) -> Result<Datum> {
        let steps = self.steps.clone();
        let Some(finish) = &steps.finish else { return Ok(self.state().clone()) };
        if finish.is_strict && self.state().is_null() {
            return Ok(Datum::Null);
        }
        self.row.truncate(1);
        self.row.resize(1 + args, Datum::Null);
        finish.call(&self.context, &self.row)
    }
}

impl Accumulator for UserState {
    fn update(&mut self, _: &CallContext<'_>, args: &[Datum]) -> Result<()> {
        self.add(args)
    }
    fn finish(&mut self, context: &CallContext<'_>) -> Result<Datum> {
        self.value(context.arg_types.len())
    }
    fn size_bytes(&self) -> usize {
        64 + self.state().heap_size()
    }
}
