//! From the logical plan to the physical one: which access paths, which joins, in which order.
//!
//! `plan` first tries the direct path (`direct`), then lets `rules` rewrite the tree and lowers it node by node
//! (`lower` and its neighbours). Every lowered node knows its layout, the `ColumnId`s of its output positions, so an
//! expression is resolved against the layout of its input; what is not there is a value of an enclosing row and gets
//! an `Outer` slot.

pub(crate) mod bounds;
pub(crate) mod columns;
mod direct;
pub(crate) mod estimate;
mod exprs;
pub(crate) mod join;
pub(crate) mod keys;
mod lower;
mod merge;
mod number;
mod order;
mod scan;
mod setops;
mod sort;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use exprs::{as_operator, integer_constant, same_type, too_deep};
pub(crate) use keys::same;

use crate::expr::Expr;
use crate::logical::{ColumnId, ColumnInfo, CteId, Query};
use crate::physical::{CtePlan, Op, Plan, PlanBody, PlanNode, SubPlan, Tree};
use crate::{cost, rules};
use catalog::{Relation, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{Datum, Oid, SqlError, SqlState, SqlType};

pub(crate) type Result<T> = std::result::Result<T, SqlError>;

/// Nested nodes in one plan beyond which planning stops with 54001.
const MAX_DEPTH: usize = 500;
/// Plans dearer than this (in units of a sequential page read) run on the worker pool.
const LONG_COST: f64 = 200.0;

/// Settings that steer the choice of plans, named as PostgreSQL's.
#[derive(Clone, Debug)]
pub struct PlannerSettings {
    pub enable_seqscan: bool,
    pub enable_indexscan: bool,
    pub enable_indexonlyscan: bool,
    pub enable_hashjoin: bool,
    pub enable_mergejoin: bool,
    pub enable_nestloop: bool,
    pub enable_hashagg: bool,
    pub enable_sort: bool,
    pub enable_material: bool,
    /// Bytes one operator may hold before it spills.
    pub work_mem: u64,
}

impl Default for PlannerSettings {
    fn default() -> PlannerSettings {
        PlannerSettings {
            enable_seqscan: true,
            enable_indexscan: true,
            enable_indexonlyscan: true,
            enable_hashjoin: true,
            enable_mergejoin: true,
            enable_nestloop: true,
            enable_hashagg: true,
            enable_sort: true,
            enable_material: true,
            work_mem: 64 << 20,
        }
    }
}

/// What the planner may ask.
pub struct PlanContext<'a> {
    pub catalog: &'a Arc<Snapshot>,
    /// Live row count of a relation, an estimate.
    pub rows: &'a dyn Fn(&Relation) -> u64,
    pub settings: &'a PlannerSettings,
    /// The snapshot that it will be run with, where that is known: indexes made since have not what it sees.
    pub reads_at: Option<catalog::Timestamp>,
    /// Evaluates an immutable expression over constants; None where it would raise an error.
    pub fold: Option<&'a dyn Fn(&Expr) -> Option<Datum>>,
}

/// Chooses how a bound statement is run. `parameters`: the types of $1, $2, ….
pub fn plan(query: &Query, parameters: &[SqlType], context: &PlanContext) -> Result<Plan> {
    rules::check_depth(query)?;
    let mut planner = Planner::new(query, context);
    let (body, cost) = match planner.direct(query)? {
        Some(direct) => (PlanBody::Direct(direct), 0.0),
        None => planner.tree(query)?,
    };
    crate::stop::whole()?;
    Ok(Plan {
        body,
        result: query.result.clone(),
        tag: query.tag,
        privileges: query.privileges.clone(),
        depends_on: planner.depends_on.into_iter().collect(),
        unpopulated: planner.unpopulated,
        is_read_only: query.is_read_only,
        is_long: cost > LONG_COST,
        outer_slots: planner.outer_slots as usize,
        parameters: parameters.to_vec(),
    })
}

/// A lowered node and what its output positions hold.
pub(crate) struct Lowered {
    pub node: PlanNode,
    pub layout: Vec<ColumnId>,
    /// The order in which rows come, as far as known.
    pub order: Vec<OrderKey>,
}

/// One key of a known or wanted order.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct OrderKey {
    pub column: ColumnId,
    pub descending: bool,
    pub nulls_first: bool,
}

/// Where an operator's expressions find columns in its input.
pub(crate) type Positions = BTreeMap<ColumnId, u32>;

pub(crate) fn positions(layout: &[ColumnId]) -> Positions {
    let mut map = Positions::new();
    for (at, id) in (0..).zip(layout) {
        map.entry(*id).or_insert(at);
    }
    map
}

pub(crate) struct Planner<'a> {
    context: &'a PlanContext<'a>,
    columns: Vec<ColumnInfo>,
    subplans: Vec<SubPlan>,
    ctes: Vec<CtePlan>,
    /// Number of a CTE to its index in `ctes` and its columns, in output order.
    cte_places: BTreeMap<u32, (usize, Vec<ColumnId>)>,
    /// Recursive unions whose step is being lowered: (cte, number, columns).
    work_tables: Vec<(CteId, usize, Vec<ColumnId>)>,
    recursive_unions: usize,
    outer_slots: u32,
    /// Slots of enclosing rows' columns, innermost last.
    outer: Vec<Positions>,
    depends_on: BTreeMap<Oid, u32>,
    unpopulated: Option<String>,
    depth: usize,
    /// Right-hand columns of NOT IN anti joins (see `rules::Facts`).
    null_aware: BTreeSet<ColumnId>,
    /// LIMIT's row count for the node lowered next; only Sort and Project look at it.
    pending_top: Option<Expr>,
    /// The order that the node lowered next is wanted in; only scans look at it.
    wanted_order: Vec<OrderKey>,
    /// Expressions that orders are by: see `order_column`.
    order_exprs: Vec<Expr>,
    /// How many of those rows a LIMIT takes.
    wanted_rows: Option<f64>,
}

impl<'a> Planner<'a> {
    fn new(query: &Query, context: &'a PlanContext<'a>) -> Planner<'a> {
        Planner {
            context,
            columns: query.columns.clone(),
            subplans: vec![],
            ctes: vec![],
            cte_places: BTreeMap::new(),
            work_tables: vec![],
            recursive_unions: 0,
            outer_slots: 0,
            outer: vec![],
            depends_on: BTreeMap::new(),
            unpopulated: None,
            depth: 0,
            null_aware: BTreeSet::new(),
            pending_top: None,
            wanted_order: vec![],
            order_exprs: vec![],
            wanted_rows: None,
        }
    }

    fn tree(&mut self, query: &Query) -> Result<(PlanBody, f64)> {
        let mut query = query.clone();
        self.null_aware = rules::apply(&mut query, self.context).null_aware;
        crate::stop::whole()?;
        self.columns = std::mem::take(&mut query.columns);
        for cte in &mut query.ctes {
            self.order_joins(&mut cte.plan);
        }
        self.order_joins(&mut query.root);
        for cte in &query.ctes {
            let need = cte.columns.iter().copied().collect();
            let lowered = self.lower(&cte.plan, &need)?;
            let place = positions(&lowered.layout);
            let output = cte.columns.iter().map(|id| find(&place, *id)).collect::<Result<_>>()?;
            self.cte_places.insert(cte.id.0, (self.ctes.len(), cte.columns.clone()));
            self.ctes.push(CtePlan {
                name: cte.name.clone(),
                root: lowered.node,
                output,
                types: self.types(&cte.columns),
                is_modifying: cte.is_modifying,
            });
        }
        let lowered = self.lower(&query.root, &query.output.iter().copied().collect())?;
        let place = positions(&lowered.layout);
        let output = query.output.iter().map(|id| find(&place, *id)).collect::<Result<_>>()?;
        let mut tree = Tree {
            root: lowered.node,
            output,
            subplans: std::mem::take(&mut self.subplans),
            ctes: std::mem::take(&mut self.ctes),
        };
        number::number(&mut tree);
        let cost = tree.root.total_cost
            + tree.ctes.iter().map(|c| c.root.total_cost).sum::<f64>()
            + tree.subplans.iter().map(|s| s.root.total_cost).sum::<f64>();
        Ok((PlanBody::Tree(tree), cost))
    }

    fn ty(&self, id: ColumnId) -> SqlType {
        self.columns.get(id.0 as usize).map_or(SqlType::UNKNOWN, |c| c.ty)
    }
    fn types(&self, layout: &[ColumnId]) -> Vec<SqlType> {
        layout.iter().map(|id| self.ty(*id)).collect()
    }

    /// A plan node whose output is `layout`.
    fn node(&self, op: Op, layout: &[ColumnId], cost: cost::Cost) -> PlanNode {
        let types = self.types(layout);
        let width = types.iter().map(|ty| cost::type_width(*ty)).sum();
        PlanNode { op, types, id: 0, rows: cost.rows, startup_cost: cost.startup, total_cost: cost.total, width }
    }

    fn depend(&mut self, relation: &Relation) {
        if relation.kind != catalog::RelationKind::Virtual {
            self.depends_on.insert(relation.id, relation.schema_version);
        }
        if self.unpopulated.is_none() && !relation.is_populated() {
            self.unpopulated = Some(relation.name.clone());
        }
    }
}

pub(crate) fn find(place: &Positions, id: ColumnId) -> Result<u32> {
    place.get(&id).copied().ok_or_else(|| missing(id))
}

/// A reference to a column that no input offers: the binder's or a rule's mistake, never the user's.
pub(crate) fn missing(id: ColumnId) -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, format!("column {} is not in any input of its plan node", id.0))
}

pub(crate) fn not_supported(what: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported"))
}
