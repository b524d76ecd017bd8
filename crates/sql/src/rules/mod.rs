//! Rewrites of the logical plan that are always for the better, in one fixed order.

mod push_down;

use crate::logical::{ColumnId, Query};
use crate::plan::{PlanContext, Result};
use std::collections::BTreeSet;

/// What the rules found out and the logical plan has no place for.
#[derive(Default)]
pub(crate) struct Facts {
    /// Right-hand columns of anti joins made from NOT IN: a NULL among them leaves no row.
    pub null_aware: BTreeSet<ColumnId>,
}

pub(crate) fn apply(query: &mut Query, _context: &PlanContext) -> Result<Facts> {
    let facts = Facts::default();
    for cte in &mut query.ctes {
        push_down::apply(&mut cte.plan);
    }
    push_down::apply(&mut query.root);
    Ok(facts)
}
