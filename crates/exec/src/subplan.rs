//! Subplans of expressions and CTEs: trees beside the main one, run when they are asked.

use crate::batch::Batch;
use crate::budget::Reservation;
use crate::op::{self, Operator};
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
    pub operator: Option<Box<dyn Operator>>,
    pub output: Vec<u32>,
    pub batches: Vec<Batch>,
    pub is_done: bool,
    pub is_modifying: bool,
    memory: Option<Reservation>,
}

impl CteState {
    pub fn new(plan: &CtePlan, measured: bool) -> Result<CteState> {
        Ok(CteState {
            operator: Some(op::build(&plan.root, measured)?),
            output: plan.output.clone(),
            batches: vec![],
            is_done: false,
            is_modifying: plan.is_modifying,
            memory: None,
        })
    }
}

/// The n-th batch of a CTE, computing as far as needed; None behind the last.
pub(crate) async fn cte_batch(run: &mut Run, cte: usize, n: usize) -> Result<Option<Batch>> {
    loop {
        let state = run.ctes.get_mut(cte).ok_or_else(|| SqlError::internal("no such CTE"))?;
        if let Some(batch) = state.batches.get(n) {
            return Ok(Some(batch.clone()));
        }
        if state.is_done {
            return Ok(None);
        }
        let Some(mut operator) = state.operator.take() else {
            return Err(SqlError::internal("a CTE reads itself"));
        };
        // A data-modifying CTE runs to its end before anyone reads of it.
        let to_end = state.is_modifying;
        loop {
            run.pause(0).await?;
            // The rows it writes are not the statement's.
            let affected = run.rows_affected;
            let batch = operator.next(run).await?;
            run.rows_affected = affected;
            let memory = run.context.memory.clone();
            let Some(state) = run.ctes.get_mut(cte) else { break };
            match batch {
                None => state.is_done = true,
                Some(batch) if batch.is_empty() => continue,
                Some(batch) => {
                    let batch = batch.select(&state.output);
                    state.memory.get_or_insert_with(|| Reservation::new(&memory)).grow(batch.size_bytes())?;
                    state.batches.push(batch);
                }
            }
            if state.is_done || !to_end {
                break;
            }
        }
        if let Some(state) = run.ctes.get_mut(cte) {
            state.operator = Some(operator);
        }
    }
}

/// Data-modifying CTEs take effect whether or not anything read them. Their rows are not the statement's.
pub(crate) async fn finish_modifying_ctes(run: &mut Run) -> Result<()> {
    for cte in 0..run.ctes.len() {
        let is_open = run.ctes.get(cte).is_some_and(|c| c.is_modifying && !c.is_done);
        if is_open {
            cte_batch(run, cte, usize::MAX).await?;
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
