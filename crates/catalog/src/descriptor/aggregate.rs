//! Aggregates that users made: functions whose body is other functions.

use super::{Function, FunctionBody};
use serde::{Deserialize, Serialize};
use types::Oid;

/// What an aggregate is computed with. Functions are users' or built-in ones, 0 where there is none.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AggregateDefinition {
    pub plain: AggregateSteps,
    /// For frames of a window whose first row moves.
    pub moving: Option<AggregateSteps>,
    /// Kept and shown: states are never combined.
    pub combine: Oid,
    pub serialize: Oid,
    pub deserialize: Oid,
    /// The operator that makes it an index look-up; kept and shown.
    pub sort_operator: Oid,
}

/// How a state comes to be, and a value from it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AggregateSteps {
    pub transition: Oid,
    /// Takes a row out again; of moving steps alone.
    pub inverse: Oid,
    pub state: Oid,
    pub finish: Oid,
    /// The final function takes the arguments' types too, as NULLs.
    pub finish_extra: bool,
    /// pg_aggregate's letter of what the final function does to the state: `r`, `s` or `w`.
    pub finish_modify: char,
    /// Text form of the first state; None: NULL.
    pub initial: Option<String>,
    /// Bytes of a state, as its maker thinks.
    pub space: i32,
}

impl Function {
    pub fn aggregate(&self) -> Option<&AggregateDefinition> {
        match &self.body {
            FunctionBody::Aggregate(definition) => Some(definition),
            FunctionBody::Text(_) | FunctionBody::Return { .. } | FunctionBody::Atomic { .. } => None,
        }
    }
}

impl AggregateDefinition {
    /// All functions that it is computed with.
    pub fn functions(&self) -> impl Iterator<Item = Oid> {
        let of = |steps: &AggregateSteps| [steps.transition, steps.inverse, steps.finish];
        let moving = self.moving.as_ref().map(of).into_iter().flatten();
        let others = [self.combine, self.serialize, self.deserialize];
        of(&self.plain).into_iter().chain(moving).chain(others).filter(|id| *id != 0)
    }
}
