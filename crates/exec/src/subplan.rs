//! Subplans of expressions and CTEs: trees beside the main one, run when they are asked.

use crate::batch::Batch;
use crate::budget::Reservation;
use crate::op::{self, KeptRows, Operator, Place};
use crate::run::Run;
use foldhash::{HashSet, HashSetExt};
use sql::expr::{Expr, ExprKind};
use sql::physical::{CtePlan, PlanNode, SubPlan};
use std::sync::Arc;
use types::{Datum, Result, SqlError, SqlState, SqlType};

/// How deep subplans may call each other.
const DEPTH_MAX: usize = 200;

pub(crate) type Rows = Arc<Vec<Vec<Datum>>>;

/// One subplan's operators and, if it reads no outer row, its result.
pub(crate) struct SubPlanState {
    operator: Option<Box<dyn Operator>>,
    /// Reads nothing of an enclosing row: one run serves all.
    is_constant: bool,
    /// The rows, and how many were asked for.
    kept: Option<(Rows, usize)>,
    /// The rows as a set, once `IN` has asked.
    pub set: Option<crate::expr::ValueSet>,
}

impl SubPlanState {
    pub fn new(plan: &SubPlan) -> SubPlanState {
        SubPlanState { operator: None, is_constant: !reads_outer(&plan.root), kept: None, set: None }
    }
    /// Rows that will not change any more, and whether they are all.
    pub fn known(&self) -> Option<(Rows, bool)> {
        self.kept.as_ref().map(|(rows, asked)| (rows.clone(), *asked == usize::MAX))
    }
}

impl Run {
    /// Up to `max` rows of a subplan, with the outer slots as they are.
    pub async fn subplan_rows(&mut self, index: usize, max: usize) -> Result<Rows> {
        self.check()?;
        let state = self.subplans.get_mut(index).ok_or_else(|| SqlError::internal("no such subplan"))?;
        if let Some((rows, asked)) = &state.kept
            && *asked >= max
        {
            return Ok(rows.clone());
        }
        if self.depth >= DEPTH_MAX {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
        }
        let is_constant = state.is_constant;
        // A subplan that calls itself through an expression of its own would find its place empty: plans are trees.
        let mut operator = state.operator.take();
        let plan = self.plan.clone();
        let sql::physical::PlanBody::Tree(tree) = &plan.body else {
            return Err(SqlError::internal("a direct plan has no subplans"));
        };
        let subplan = tree.subplans.get(index).ok_or_else(|| SqlError::internal("no such subplan"))?;
        match &mut operator {
            Some(operator) => operator.rewind(self),
            None => operator = Some(op::build(&subplan.root, self.measures.is_some())?),
        }
        let mut rows = Vec::new();
        self.depth += 1;
        let result = collect(operator.as_mut(), self, &subplan.output, max, &mut rows).await;
        self.depth -= 1;
        result?;
        let rows: Rows = Arc::new(rows);
        if let Some(state) = self.subplans.get_mut(index) {
            state.operator = operator;
            if is_constant {
                state.kept = Some((rows.clone(), if rows.len() < max { usize::MAX } else { max }));
            }
        }
        Ok(rows)
    }

    pub fn subplan_types(&self, index: usize) -> Vec<SqlType> {
        let Ok(tree) = self.tree() else { return vec![] };
        let Some(subplan) = tree.subplans.get(index) else { return vec![] };
        subplan.output.iter().filter_map(|o| subplan.root.types.get(*o as usize).copied()).collect()
    }
}

async fn collect(
    operator: Option<&mut Box<dyn Operator>>,
    run: &mut Run,
    output: &[u32],
    max: usize,
    rows: &mut Vec<Vec<Datum>>,
) -> Result<()> {
    let Some(operator) = operator else { return Ok(()) };
    let mut memory = Reservation::new(&run.context.memory);
    while rows.len() < max {
        let Some(batch) = operator.next(run).await? else { break };
        let batch = batch.select(output);
        memory.grow(batch.size_bytes())?;
        for row in 0..batch.len.min(max - rows.len()) {
            rows.push(batch.row(row));
        }
        run.pause(0).await?;
    }
    Ok(())
}

/// A CTE that is computed once: its rows as far as they have been asked for.
pub(crate) struct CteState {
    operator: Option<Box<dyn Operator>>,
    output: Vec<u32>,
    rows: KeptRows,
    is_done: bool,
    is_modifying: bool,
}

impl CteState {
    pub fn new(plan: &CtePlan, measured: bool) -> Result<CteState> {
        Ok(CteState {
            operator: Some(op::build(&plan.root, measured)?),
            output: plan.output.clone(),
            rows: KeptRows::new(&plan.types),
            is_done: false,
            is_modifying: plan.is_modifying,
        })
    }
}

fn state_of(run: &mut Run, cte: usize) -> Result<&mut CteState> {
    run.ctes.get_mut(cte).ok_or_else(|| SqlError::internal("no such CTE"))
}

/// The batch of a CTE behind the place, computing as far as needed; None behind the last.
pub(crate) async fn cte_batch(run: &mut Run, cte: usize, place: &mut Place) -> Result<Option<Batch>> {
    loop {
        let state = state_of(run, cte)?;
        if let Some(batch) = state.rows.next(place)? {
            return Ok(Some(batch));
        }
        if state.is_done {
            return Ok(None);
        }
        compute(run, cte).await?;
    }
}

/// One more batch; of a data-modifying CTE all, before anyone reads of it.
async fn compute(run: &mut Run, cte: usize) -> Result<()> {
    let state = state_of(run, cte)?;
    let to_end = state.is_modifying;
    let Some(mut operator) = state.operator.take() else { return Err(SqlError::internal("a CTE reads itself")) };
    loop {
        run.pause(0).await?;
        // The rows it writes are not the statement's.
        let affected = run.rows_affected;
        let batch = operator.next(run).await?;
        run.rows_affected = affected;
        let context = run.context.clone();
        let state = state_of(run, cte)?;
        match batch {
            None => state.is_done = true,
            Some(batch) if batch.is_empty() => continue,
            Some(batch) => state.rows.push(&context, batch.select(&state.output))?,
        }
        if state.is_done || !to_end {
            state.operator = Some(operator);
            return Ok(());
        }
    }
}

/// Data-modifying CTEs take effect whether or not anything read them. Their rows are not the statement's.
pub(crate) async fn finish_modifying_ctes(run: &mut Run) -> Result<()> {
    for cte in 0..run.ctes.len() {
        if run.ctes.get(cte).is_some_and(|c| c.is_modifying && !c.is_done) {
            compute(run, cte).await?;
        }
    }
    Ok(())
}

/// Whether a tree reads a slot of an enclosing row that it does not fill itself.
pub(crate) fn reads_outer(node: &PlanNode) -> bool {
    let (mut read, mut filled) = (HashSet::new(), HashSet::new());
    crate::walk::expressions(node, &mut |expr| slots(expr, &mut read, &mut filled));
    crate::walk::parameters(node, &mut |slot| {
        filled.insert(slot);
    });
    read.iter().any(|slot| !filled.contains(slot))
}

fn slots(expr: &Expr, read: &mut HashSet<u32>, filled: &mut HashSet<u32>) {
    expr.any(&mut |e| {
        match &e.kind {
            ExprKind::Outer(slot) => {
                read.insert(*slot);
            }
            ExprKind::SubPlan(plan) => {
                filled.extend(plan.parameters.iter().map(|(slot, _)| *slot));
                if let sql::expr::SubPlanKind::AnyAll { columns, .. } = &plan.kind {
                    filled.extend(columns.iter().copied());
                }
            }
            _ => {}
        }
        false
    });
}
