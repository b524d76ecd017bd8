//! Which aggregate a call is of: one of PostgreSQL's, or a user's as expressions over its state and its arguments.

use crate::expr::Expr;
use std::sync::Arc;
use types::builtin::Proc;
use types::{Datum, Oid};

#[derive(Clone, Debug)]
pub enum AggregateFunction {
    Builtin(&'static Proc),
    User(Arc<UserAggregate>),
}

/// A user's aggregate for the types of one call.
#[derive(Clone, Debug)]
pub struct UserAggregate {
    /// The function's OID.
    pub id: Oid,
    pub name: String,
    pub plain: AggregateSteps,
    /// For frames whose first row moves.
    pub moving: Option<AggregateSteps>,
}

/// How a state comes to be, and a value from it. Input 0 is the state, inputs 1, 2, … are the arguments; no part of the
/// expressions around: rewrites leave them alone.
#[derive(Clone, Debug)]
pub struct AggregateSteps {
    pub initial: Datum,
    pub transition: Step,
    /// Takes a row out again.
    pub inverse: Option<Step>,
    /// None: the state is the value.
    pub finish: Option<Step>,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub expr: Expr,
    /// The function is not called with a NULL among what it takes.
    pub is_strict: bool,
}

impl AggregateFunction {
    pub fn name(&self) -> &str {
        match self {
            AggregateFunction::Builtin(proc) => proc.name,
            AggregateFunction::User(user) => &user.name,
        }
    }

    /// The name of one of PostgreSQL's; empty for a user's, whatever it is called.
    pub fn builtin_name(&self) -> &'static str {
        self.builtin().map_or("", |proc| proc.name)
    }

    pub fn builtin(&self) -> Option<&'static Proc> {
        match self {
            AggregateFunction::Builtin(proc) => Some(proc),
            AggregateFunction::User(_) => None,
        }
    }

    /// The expressions that a user's aggregate is computed with.
    pub fn steps(&self) -> impl Iterator<Item = &Expr> {
        let user = match self {
            AggregateFunction::Builtin(_) => None,
            AggregateFunction::User(user) => Some(user),
        };
        let all = user.into_iter().flat_map(|user| std::iter::once(&user.plain).chain(&user.moving));
        all.flat_map(|steps| std::iter::once(&steps.transition).chain(&steps.inverse).chain(&steps.finish))
            .map(|step| &step.expr)
    }

    /// Whether both compute the same of the same arguments.
    pub fn is_same(&self, other: &AggregateFunction) -> bool {
        match (self, other) {
            (AggregateFunction::Builtin(a), AggregateFunction::Builtin(b)) => std::ptr::eq(*a, *b),
            (AggregateFunction::User(a), AggregateFunction::User(b)) => a.id == b.id,
            _ => false,
        }
    }
}
