//! The physical plan: plain data that `exec` runs. Expressions read their operator's input by position (`Input`),
//! enclosing rows by `Outer` slots.
//!
//! A statement by full key has no operator tree: it is a `Direct` plan, run by `exec::direct` without batches.

use crate::ResultColumn;
use crate::aggregate::AggregateFunction;
use crate::expr::Expr;
use crate::logical::locking::{LockMode, WaitPolicy};
use crate::logical::{
    CommandTag, Frame, JoinKind, MergeClause, OnConflict, Overriding, PrivilegeCheck, ScanColumn, SetOperation, Until,
    WindowFunction,
};
use catalog::{Index, Relation};
use std::sync::Arc;
use types::builtin::Operator;
use types::{Oid, SqlType};

#[derive(Debug)]
pub struct Plan {
    pub body: PlanBody,
    pub result: Vec<ResultColumn>,
    pub tag: CommandTag,
    pub privileges: Vec<PrivilegeCheck>,
    /// (relation, schema version): what the plan's commit is fenced with.
    pub depends_on: Vec<(Oid, u32)>,
    /// A materialized view that it reads and that has no rows yet: the plan can be explained, not run.
    pub unpopulated: Option<String>,
    pub is_read_only: bool,
    /// More than a point or a short index scan: runs on the worker pool.
    pub is_long: bool,
    /// Number of `Outer` slots.
    pub outer_slots: usize,
    pub parameters: Vec<SqlType>,
}

#[derive(Debug)]
pub enum PlanBody {
    Direct(Direct),
    Tree(Tree),
}

#[derive(Debug)]
pub struct Tree {
    pub root: PlanNode,
    /// Output positions of the root that go to the client, in order.
    pub output: Vec<u32>,
    pub subplans: Vec<SubPlan>,
    /// CTEs that are computed once and read by CteScan, in order of first use. Data-modifying ones run to the end even if not read.
    pub ctes: Vec<CtePlan>,
}

#[derive(Debug)]
pub struct SubPlan {
    pub root: PlanNode,
    /// Output positions that make the value.
    pub output: Vec<u32>,
    /// EXPLAIN's "SubPlan 1" / "InitPlan 1 (returns $0)".
    pub is_correlated: bool,
}

#[derive(Debug)]
pub struct CtePlan {
    pub name: String,
    pub root: PlanNode,
    pub output: Vec<u32>,
    pub types: Vec<SqlType>,
    pub is_modifying: bool,
}

/// One operator with its estimates. `id` numbers the nodes of a statement in EXPLAIN's order (for ANALYZE's measures).
#[derive(Debug)]
pub struct PlanNode {
    pub op: Op,
    /// Types of the output columns.
    pub types: Vec<SqlType>,
    pub id: u32,
    pub rows: f64,
    pub startup_cost: f64,
    pub total_cost: f64,
    pub width: u32,
}

impl PlanNode {
    /// Direct inputs, left to right.
    pub fn inputs(&self) -> Vec<&PlanNode> {
        match &self.op {
            Op::OneRow
            | Op::Values { .. }
            | Op::SeqScan { .. }
            | Op::IndexScan { .. }
            | Op::VirtualScan { .. }
            | Op::FunctionScan { .. }
            | Op::CteScan { .. }
            | Op::WorkTableScan { .. } => vec![],
            Op::Filter { input, .. }
            | Op::Project { input, .. }
            | Op::ProjectSet { input, .. }
            | Op::HashAggregate { input, .. }
            | Op::SortedAggregate { input, .. }
            | Op::Window { input, .. }
            | Op::Sort { input, .. }
            | Op::Limit { input, .. }
            | Op::Unique { input, .. }
            | Op::Materialize { input }
            | Op::LockRows { input, .. } => vec![input],
            Op::LookupJoin { left, .. } => vec![left],
            Op::NestedLoop { left, right, .. }
            | Op::HashJoin { left, right, .. }
            | Op::MergeJoin { left, right, .. }
            | Op::HashSetOp { left, right, .. } => vec![left, right],
            Op::RecursiveUnion { base, step, .. } => vec![base, step],
            Op::Append { inputs } => inputs.iter().collect(),
            Op::Insert(insert) => vec![&insert.input],
            Op::Update(update) => vec![&update.input],
            Op::Delete(delete) => vec![&delete.input],
            Op::Merge(merge) => vec![&merge.input],
        }
    }
}

/// A base relation's columns that a scan yields, in output order.
#[derive(Clone, Debug)]
pub struct ScanTarget {
    pub relation: Arc<Relation>,
    pub alias: String,
    pub columns: Vec<ScanColumn>,
    pub as_of: Option<Expr>,
    pub until: Option<Until>,
}

/// Bounds of an index (or primary key) scan: equality on a prefix of the key columns, then at most one range.
#[derive(Clone, Debug, Default)]
pub struct KeyBounds {
    /// Values of the first key columns (already of the column's type). NULL in one: no rows (unless `is_null` of that column).
    pub equal: Vec<KeyEqual>,
    pub lower: Option<(Expr, bool /* inclusive */)>,
    pub upper: Option<(Expr, bool)>,
    /// The next column must not be NULL (a range implies it).
    pub not_null: bool,
}

#[derive(Clone, Debug)]
pub enum KeyEqual {
    Value(Expr),
    /// `IN`/`= ANY(array)`: one descent per distinct element, in key order.
    AnyOf(Expr),
    IsNull,
}

#[derive(Clone, Debug)]
pub struct PlanSortKey {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: bool,
}

#[derive(Clone, Debug)]
pub struct PlanAggregate {
    pub function: AggregateFunction,
    pub args: Vec<Expr>,
    pub direct: Vec<Expr>,
    pub distinct: bool,
    pub order_by: Vec<PlanSortKey>,
    pub filter: Option<Expr>,
    pub ty: SqlType,
}

#[derive(Clone, Debug)]
pub struct PlanWindowCall {
    pub function: WindowFunction,
    pub args: Vec<Expr>,
    pub filter: Option<Expr>,
    pub ty: SqlType,
}

#[derive(Debug)]
pub enum Op {
    /// One row, no columns.
    OneRow,
    Values {
        rows: Vec<Vec<Expr>>,
    },
    /// The whole relation in key order. `filter` reads the scan's output columns.
    SeqScan {
        target: ScanTarget,
        filter: Option<Expr>,
        backward: bool,
    },
    /// By primary key (`index` None) or a secondary index.
    IndexScan {
        target: ScanTarget,
        index: Option<Arc<Index>>,
        bounds: KeyBounds,
        /// Reads only what the index entry holds.
        index_only: bool,
        filter: Option<Expr>,
        backward: bool,
        /// Rows come in the index's order. False: nobody needs it, and rows are fetched in the order in which they are stored.
        keeps_order: bool,
    },
    /// pg_catalog and information_schema. `equal`: (attribute, value) look-ups that the source may use.
    VirtualScan {
        target: ScanTarget,
        equal: Vec<(i16, Expr)>,
        filter: Option<Expr>,
    },
    /// FROM functions; output: all calls' columns, then the ordinality.
    FunctionScan {
        calls: Vec<Expr>,
        column_counts: Vec<usize>,
        ordinality: bool,
    },
    CteScan {
        /// Index into `Tree::ctes`.
        cte: usize,
        columns: Vec<u32>,
    },
    /// The working table of the enclosing RecursiveUnion with this number.
    WorkTableScan {
        number: usize,
        columns: Vec<u32>,
    },
    Filter {
        input: Box<PlanNode>,
        predicate: Expr,
    },
    /// Output = these expressions.
    Project {
        input: Box<PlanNode>,
        exprs: Vec<Expr>,
    },
    /// Output = these; those whose call returns a set are run in lockstep, the others repeated.
    ProjectSet {
        input: Box<PlanNode>,
        exprs: Vec<Expr>,
    },
    /// Right/Full only without parameters. `parameters`: (Outer slot, expression over the left row) for a lateral or index-lookup inner side,
    /// which is then restarted for each left row. Output: left columns, right columns (Semi, Anti: left only).
    NestedLoop {
        kind: JoinKind,
        left: Box<PlanNode>,
        right: Box<PlanNode>,
        on: Option<Expr>,
        parameters: Vec<(u32, Expr)>,
    },
    /// Builds a hash table of the right side. Keys compare by equality operators whose type hash/compare is `key_types`.
    HashJoin {
        kind: JoinKind,
        left: Box<PlanNode>,
        right: Box<PlanNode>,
        left_keys: Vec<Expr>,
        right_keys: Vec<Expr>,
        key_types: Vec<SqlType>,
        /// Further condition over left ++ right.
        residual: Option<Expr>,
        /// NOT IN: a NULL key on the right (or left) makes the result NULL, so nothing qualifies.
        null_aware: bool,
    },
    MergeJoin {
        kind: JoinKind,
        left: Box<PlanNode>,
        right: Box<PlanNode>,
        left_keys: Vec<Expr>,
        right_keys: Vec<Expr>,
        key_types: Vec<SqlType>,
        descending: Vec<bool>,
        nulls_first: Vec<bool>,
        residual: Option<Expr>,
    },
    /// Batched look-ups in the inner relation's primary key or index by values of the left row. Inner, Left, Semi, Anti.
    LookupJoin {
        kind: JoinKind,
        left: Box<PlanNode>,
        target: ScanTarget,
        index: Option<Arc<Index>>,
        /// Expressions over the left row for the first key columns.
        keys: Vec<Expr>,
        /// Over left ++ inner columns.
        residual: Option<Expr>,
    },
    /// Output: group keys (NULL where not in the set), calls, then, if there are `sets`, the set id (bit g: group g is in it).
    HashAggregate {
        input: Box<PlanNode>,
        groups: Vec<Expr>,
        sets: Option<Vec<Vec<usize>>>,
        calls: Vec<PlanAggregate>,
    },
    /// Input sorted by `groups`. Without groups: one row, always.
    SortedAggregate {
        input: Box<PlanNode>,
        groups: Vec<Expr>,
        calls: Vec<PlanAggregate>,
    },
    /// Input sorted by partition and order keys. Output: input columns, then the calls.
    Window {
        input: Box<PlanNode>,
        partition_by: Vec<Expr>,
        order_by: Vec<PlanSortKey>,
        frame: Frame,
        calls: Vec<PlanWindowCall>,
    },
    /// `top`: keeps only the first n rows (LIMIT pushed in), n = limit + offset.
    Sort {
        input: Box<PlanNode>,
        keys: Vec<PlanSortKey>,
        /// The first keys by which the input comes sorted already.
        presorted: usize,
        top: Option<Expr>,
    },
    Limit {
        input: Box<PlanNode>,
        limit: Option<Expr>,
        offset: Option<Expr>,
        /// WITH TIES: the sort keys.
        ties: Option<Vec<PlanSortKey>>,
    },
    /// First row of each run of equal `keys`; input sorted by them.
    Unique {
        input: Box<PlanNode>,
        keys: Vec<Expr>,
    },
    /// UNION ALL, partitions.
    Append {
        inputs: Vec<PlanNode>,
    },
    /// INTERSECT, EXCEPT [ALL], by hash over all columns. (UNION is Append + HashAggregate.)
    HashSetOp {
        operation: SetOperation,
        all: bool,
        left: Box<PlanNode>,
        right: Box<PlanNode>,
    },
    RecursiveUnion {
        number: usize,
        all: bool,
        base: Box<PlanNode>,
        step: Box<PlanNode>,
    },
    /// Keeps the input for repeated reading (inner side of a nested loop).
    Materialize {
        input: Box<PlanNode>,
    },
    LockRows {
        input: Box<PlanNode>,
        targets: Vec<PlanLockTarget>,
    },
    Insert(Box<PlanInsert>),
    Update(Box<PlanUpdate>),
    Delete(Box<PlanDelete>),
    Merge(Box<PlanMerge>),
}

#[derive(Debug)]
pub struct PlanLockTarget {
    pub relation: Arc<Relation>,
    /// Position of the RowKey column.
    pub row_key: u32,
    pub mode: LockMode,
    pub wait: WaitPolicy,
    /// (what, input position) to be read again from the locked version where it changed.
    pub columns: Vec<(ScanColumn, u32)>,
    /// Conjuncts of the WHERE clause over the input, evaluated again on a changed row at READ COMMITTED.
    pub recheck: Option<Expr>,
}

/// What every write operator needs. Expressions named "over the new row" read `Input(n - 1)` for attribute n (dropped attributes have a position too, NULL).
#[derive(Debug)]
pub struct PlanTarget {
    pub relation: Arc<Relation>,
    /// What those expressions read besides, behind the attributes.
    pub hidden: Vec<ScanColumn>,
    pub indexes: Vec<PlanIndex>,
    pub checks: Vec<(String, Expr)>,
    pub view_checks: Vec<(String, Expr)>,
    pub generated: Vec<(i16, Expr)>,
    /// Foreign keys of this relation (child side) and those that point to it (parent side) with the child relation.
    pub references: Vec<PlanForeignKey>,
    pub referenced_by: Vec<PlanForeignKey>,
}

#[derive(Debug)]
pub struct PlanIndex {
    pub index: Arc<Index>,
    /// Key columns over the new row.
    pub keys: Vec<Expr>,
    pub predicate: Option<Expr>,
}

#[derive(Debug)]
pub struct PlanForeignKey {
    pub constraint: Arc<catalog::Constraint>,
    /// The relation with the constraint, and what it points to.
    pub child: Arc<Relation>,
    pub parent: Arc<Relation>,
    /// The unique index of the parent (None: its primary key).
    pub parent_index: Option<Arc<Index>>,
    /// An index of the child whose first columns are the foreign key, for checks from the parent's side; None: the child is scanned.
    pub child_index: Option<Arc<Index>>,
    pub child_uses_primary_key: bool,
}

#[derive(Debug)]
pub struct PlanInsert {
    pub target: PlanTarget,
    pub input: PlanNode,
    /// Per attribute n (index n - 1): input position of its value, or None (generated, dropped: NULL/computed).
    pub values: Vec<Option<u32>>,
    pub tail: Option<u32>,
    pub on_conflict: Option<PlanConflict>,
    /// Over the new row.
    pub returning: Vec<Expr>,
    pub overriding: Option<Overriding>,
}

#[derive(Debug)]
pub struct PlanConflict {
    pub source: OnConflict,
    /// Assignments, predicate: over existing row (attribute n at `n - 1`), then EXCLUDED (attribute n at `width + n - 1`).
    pub assignments: Vec<(i16, Expr)>,
    pub predicate: Option<Expr>,
    pub tail: Option<Expr>,
}

#[derive(Debug)]
pub struct PlanUpdate {
    pub target: PlanTarget,
    pub input: PlanNode,
    pub row_key: u32,
    /// Where the target's columns lie in the input: (what, position).
    pub old_row: Vec<(ScanColumn, u32)>,
    /// Over the input.
    pub assignments: Vec<(i16, Expr)>,
    pub tail: Option<Expr>,
    /// Over the input with the target's columns read again.
    pub recheck: Option<Expr>,
    /// Over the new row (attribute n at `n - 1`), then the input's columns at `width + position`.
    pub returning: Vec<Expr>,
}

#[derive(Debug)]
pub struct PlanDelete {
    pub target: PlanTarget,
    pub input: PlanNode,
    pub row_key: u32,
    pub old_row: Vec<(ScanColumn, u32)>,
    pub recheck: Option<Expr>,
    /// Over the old row (attribute n at `n - 1`), then the input's columns at `width + position`.
    pub returning: Vec<Expr>,
}

#[derive(Debug)]
pub struct PlanMerge {
    pub target: PlanTarget,
    pub input: PlanNode,
    /// NULL where no row of the target matches.
    pub row_key: u32,
    pub old_row: Vec<(ScanColumn, u32)>,
    /// Over the input with the target's columns read again.
    pub recheck: Option<Expr>,
    /// In order; expressions over the input.
    pub clauses: Vec<MergeClause>,
}

/// A statement by full primary key: no operator tree.
#[derive(Debug)]
pub enum Direct {
    /// SELECT … WHERE key = …: at most one row. `key`: one expression per key column (Const or Parameter, cast to the column's type).
    Get {
        target: ScanTarget,
        key: Vec<Expr>,
        /// Over the scan's columns; every other conjunct of WHERE.
        filter: Option<Expr>,
        /// Over the scan's columns; `Input(i)` alone is written to the wire without building a datum.
        output: Vec<Expr>,
        lock: Option<(LockMode, WaitPolicy)>,
    },
    /// INSERT of one row of constants and parameters (expressions over nothing), no RETURNING beyond the new row.
    Insert {
        target: PlanTarget,
        /// Per attribute n at `n - 1`.
        values: Vec<Option<Expr>>,
        returning: Vec<Expr>,
    },
    /// UPDATE … WHERE key = …: `assignments` and `filter` over the old row (attribute n at `n - 1`); key columns unchanged.
    Update {
        target: PlanTarget,
        key: Vec<Expr>,
        filter: Option<Expr>,
        assignments: Vec<(i16, Expr)>,
        /// Over the new row.
        returning: Vec<Expr>,
    },
    Delete {
        target: PlanTarget,
        key: Vec<Expr>,
        filter: Option<Expr>,
        /// Over the old row.
        returning: Vec<Expr>,
    },
}

/// Equality operator of a type's default class, for hash keys.
pub type Equality = &'static Operator;
