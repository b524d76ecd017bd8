//! A running statement: its operators, what they share, and the handle that the session pulls batches from.

use crate::batch::{BATCH_ROWS, Batch};
use crate::context::StatementContext;
use crate::direct::DirectProgram;
use crate::expr::EvalContext;
use crate::op::{self, Operator};
use crate::subplan::{CteState, SubPlanState};
use crate::walk;
use sql::physical::{Plan, PlanBody, Tree};
use std::sync::Arc;
use types::{Datum, Result, SqlError, SqlType};

/// A plan with what execution computes once for it. Kept beside the plan in the plan cache; immutable, shared.
pub struct Prepared {
    pub plan: Arc<Plan>,
    pub(crate) direct: Option<DirectProgram>,
    is_repeatable: bool,
}

impl Prepared {
    /// 0A000 where the plan calls what has no implementation.
    pub fn new(plan: Arc<Plan>) -> Result<Arc<Prepared>> {
        let direct = match &plan.body {
            PlanBody::Direct(direct) => Some(DirectProgram::compile(direct)?),
            PlanBody::Tree(_) => None,
        };
        let is_repeatable = walk::is_repeatable(&plan.body);
        Ok(Arc::new(Prepared { plan, direct, is_repeatable }))
    }
    /// Whether a rollback takes back all that it does, so that it can be executed again: it calls nothing that acts outside.
    pub fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }
    pub fn is_direct(&self) -> bool {
        self.direct.is_some()
    }
    /// A read of one row by its key without a lock: alone in its transaction it needs none (`Gateway::get_latest`). TEMP rows
    /// are the session's own, in no shard that could be asked so.
    pub fn is_lone_read(&self) -> bool {
        let PlanBody::Direct(sql::physical::Direct::Get { target, lock: None, .. }) = &self.plan.body else {
            return false;
        };
        self.plan.is_read_only && !target.relation.is_temporary
    }
    /// Types of the result's columns.
    pub fn types(&self) -> Vec<SqlType> {
        self.plan.result.iter().map(|c| c.ty).collect()
    }
}

/// What one plan node did, for EXPLAIN ANALYZE; by `PlanNode::id`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeMeasure {
    pub rows: u64,
    pub loops: u64,
    pub startup_ms: f64,
    pub total_ms: f64,
    /// Rows that a filter of the node itself dropped.
    pub rows_removed: u64,
    /// The most that its rows took at once, in memory and in files.
    pub memory_bytes: u64,
    pub disk_bytes: u64,
    /// A sort that kept only the first rows.
    pub is_top: bool,
    /// Passes over the data: more than one where it spilled.
    pub batches: u32,
}

/// What the operator being run tells of its work; `op::measure` collects it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    pub rows_removed: u64,
    pub memory_bytes: usize,
    pub disk_bytes: u64,
    pub is_top: bool,
    pub batches: u32,
}

/// What the operators of one execution share.
pub(crate) struct Run {
    pub context: Arc<StatementContext>,
    pub plan: Arc<Plan>,
    pub outer: Vec<Datum>,
    pub subplans: Vec<SubPlanState>,
    pub ctes: Vec<CteState>,
    /// Working tables of the recursive unions being computed: (number, rows).
    pub work_tables: Vec<(usize, Arc<Vec<Batch>>)>,
    /// Raised with every round of a recursive union.
    pub round: u64,
    pub rows_affected: u64,
    pub measures: Option<Vec<NodeMeasure>>,
    pub work: Work,
    pub depth: usize,
    /// How many rows the nearest LIMIT above still takes.
    pub wanted: Option<usize>,
    /// Rows that came by COPY, for the plan's empty `Values`.
    pub feed: std::collections::VecDeque<Batch>,
    /// Rows worked on since the thread's other tasks had their turn.
    turn: usize,
}

/// Rows of work after which a statement lets the other tasks of its thread go on: a millisecond or two.
const TURN_ROWS: usize = 16 * BATCH_ROWS;
/// What a batch counts at least, so that many small ones take turns, too.
const TURN_BATCH: usize = 64;

impl Run {
    pub fn new(plan: Arc<Plan>, context: Arc<StatementContext>, measured: bool) -> Run {
        Run {
            outer: vec![Datum::Null; plan.outer_slots],
            subplans: vec![],
            ctes: vec![],
            work_tables: vec![],
            round: 0,
            rows_affected: 0,
            measures: measured.then(Vec::new),
            work: Work::default(),
            depth: 0,
            wanted: None,
            feed: std::collections::VecDeque::new(),
            turn: 0,
            context,
            plan,
        }
    }
    pub fn env(&self) -> EvalContext<'_> {
        EvalContext { outer: &self.outer, ..self.context.env() }
    }
    pub fn check(&self) -> Result<()> {
        self.context.check()
    }
    /// Between two batches, the last one of `rows` rows: `check`, and now and then the thread's other tasks go on, since
    /// what the plan's cost promised may be wrong. Counted, not timed, so that a run can be repeated.
    pub async fn pause(&mut self, rows: usize) -> Result<()> {
        self.check()?;
        self.turn += rows.max(TURN_BATCH);
        if self.turn >= TURN_ROWS {
            self.turn = 0;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
    pub fn set_outer(&mut self, slot: u32, value: Datum) {
        let slot = slot as usize;
        if self.outer.len() <= slot {
            self.outer.resize(slot + 1, Datum::Null);
        }
        if let Some(place) = self.outer.get_mut(slot) {
            *place = value;
        }
    }
    pub fn tree(&self) -> Result<&Tree> {
        match &self.plan.body {
            PlanBody::Tree(tree) => Ok(tree),
            PlanBody::Direct(_) => Err(SqlError::internal("a direct plan has no operators")),
        }
    }
}

/// A statement being executed. Dropping it stops it.
pub struct Execution {
    run: Run,
    prepared: Arc<Prepared>,
    root: Option<Box<dyn Operator>>,
    output: Vec<u32>,
    is_done: bool,
    /// Rows are locked as they are handed out.
    locks: bool,
    /// A data-modifying statement's rows are all computed before the first is handed out, as PostgreSQL's portals do.
    started: bool,
}

/// The value of an expression over no columns and no subqueries.
pub async fn evaluate(expr: &sql::Expr, context: &StatementContext) -> Result<Datum> {
    crate::expr::Program::compile(expr)?.eval_alone(&context.env(), &[]).await
}

/// Starts a plan. Nothing runs before the first `next`.
pub fn execute(prepared: &Arc<Prepared>, context: Arc<StatementContext>) -> Result<Execution> {
    Execution::new(prepared, context, false)
}

/// The same, keeping time and rows per node.
pub fn execute_measured(prepared: &Arc<Prepared>, context: Arc<StatementContext>) -> Result<Execution> {
    Execution::new(prepared, context, true)
}

impl Execution {
    fn new(prepared: &Arc<Prepared>, context: Arc<StatementContext>, measured: bool) -> Result<Execution> {
        let plan = prepared.plan.clone();
        crate::admit::admit(&plan, &context.env())?;
        let mut run = Run::new(plan.clone(), context, measured);
        let (mut root, mut output, mut locks) = (None, vec![], false);
        if let PlanBody::Tree(tree) = &plan.body {
            run.subplans = tree.subplans.iter().map(SubPlanState::new).collect();
            run.ctes = tree.ctes.iter().map(|cte| CteState::new(cte, measured)).collect::<Result<_>>()?;
            root = Some(op::build(&tree.root, measured)?);
            locks = op::locks_at_the_end(&tree.root);
            output = tree.output.clone();
        }
        Ok(Execution { run, prepared: prepared.clone(), root, output, is_done: false, locks, started: false })
    }

    /// How many rows the next batch is asked for: no more than these are locked.
    pub fn want(&mut self, rows: Option<usize>) {
        self.run.wanted = rows.filter(|_| self.locks);
    }

    /// The next rows, in the order and with the columns of the plan's result; None at the end. Batches are never empty.
    pub async fn next(&mut self) -> Result<Option<Batch>> {
        if self.is_done {
            return Ok(None);
        }
        self.run.check()?;
        if self.prepared.direct.is_some() {
            self.is_done = true;
            return self.run_direct().await;
        }
        self.started = true;
        let Some(root) = &mut self.root else { return Ok(None) };
        loop {
            match root.next(&mut self.run).await? {
                Some(batch) if batch.is_empty() => self.run.pause(0).await?,
                Some(batch) => {
                    self.run.pause(batch.len).await?;
                    if matches!(self.run.plan.tag, sql::logical::CommandTag::Select) {
                        self.run.rows_affected += batch.len as u64;
                    }
                    return Ok(Some(batch.select(&self.output)));
                }
                None => break,
            }
        }
        self.is_done = true;
        crate::subplan::finish_modifying_ctes(&mut self.run).await?;
        Ok(None)
    }

    async fn run_direct(&mut self) -> Result<Option<Batch>> {
        let Some(direct) = &self.prepared.direct else { return Ok(None) };
        let mut rows = crate::output::RowCollector::default();
        let context = self.run.context.clone();
        let borrowed = crate::context::DirectContext {
            txn: Some(&context.txn),
            gateway: &context.gateway,
            host: &context.host,
            catalog: &context.catalog,
            format: &context.format,
            parameters: &context.parameters,
            width: context.parameters.len(),
            session: &*context.session,
        };
        let before = context.host.clock.monotonic();
        self.run.rows_affected = direct.run(&borrowed, &mut rows).await?;
        if let Some(measures) = &mut self.run.measures {
            let ms = context.host.clock.monotonic().saturating_sub(before).as_secs_f64() * 1e3;
            let rows = self.run.rows_affected;
            measures.push(NodeMeasure { rows, loops: 1, startup_ms: ms, total_ms: ms, ..NodeMeasure::default() });
        }
        if rows.rows.is_empty() || self.prepared.plan.result.is_empty() {
            return Ok(None);
        }
        Ok(Some(Batch::from_rows(&self.prepared.types(), &rows.rows)))
    }

    /// Rows sent (SELECT) or written, so far: the number of the command tag.
    pub fn rows_affected(&self) -> u64 {
        self.run.rows_affected
    }
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Runs what is left (rows are dropped) and returns the number for the command tag. Data-modifying plans must be
    /// finished even if nobody wants their rows.
    pub async fn finish(&mut self) -> Result<u64> {
        while self.next().await?.is_some() {}
        Ok(self.rows_affected())
    }

    /// By node id; empty unless measured.
    pub fn measures(&self) -> &[NodeMeasure] {
        self.run.measures.as_deref().unwrap_or_default()
    }
}
