//! GROUP BY: by hash, or over sorted input. Groups are numbered; each call keeps its states by group number.
//!
//! Common sums and counts have typed states that take a column at a time; everything else runs `types::aggregates`. Calls
//! with DISTINCT or ORDER BY keep their rows and feed them, sorted, at the end.

mod call;
mod hash;
mod sorted;
mod state;
mod user;

pub(crate) use user::{Removed, Steps, UserState};

use crate::op::{Input, Operator};
use sql::Expr;
use sql::physical::PlanAggregate;
use types::{Result, SqlType};

pub(crate) fn hash(
    input: Input,
    input_types: &[SqlType],
    groups: &[Expr],
    sets: Option<&[Vec<usize>]>,
    calls: &[PlanAggregate],
) -> Result<Box<dyn Operator>> {
    Ok(Box::new(hash::HashAggregate::new(input, input_types, groups, sets, calls)?))
}

pub(crate) fn sorted(input: Input, groups: &[Expr], calls: &[PlanAggregate]) -> Result<Box<dyn Operator>> {
    Ok(Box::new(sorted::SortedAggregate::new(input, groups, calls)?))
}
