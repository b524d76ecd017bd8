//! The logical plan: relational algebra over `ColumnId`s. *What* a statement computes, in the shape it was written;
//! rules rewrite it, the planner chooses how.

use crate::ResultColumn;
use crate::aggregate::AggregateFunction;
use crate::expr::Expr;
use catalog::{Index, Relation};
use locking::{LockMode, WaitPolicy};
use std::sync::Arc;
use types::builtin::{Operator, Proc};
use types::{Oid, SqlType};

/// The lock words a plan carries (the planner knows no transactions).
pub mod locking {
    /// FOR UPDATE and its weaker forms.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
    pub enum LockMode {
        KeyShare,
        Share,
        NoKeyUpdate,
        Update,
    }
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum WaitPolicy {
        Wait,
        NoWait,
        Skip,
    }
}

/// One column of one relational node, unique in a statement; index into `Query::columns`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ColumnId(pub u32);

#[derive(Clone, Debug)]
pub struct ColumnInfo {
    pub name: String,
    pub ty: SqlType,
    pub nullable: bool,
    /// Base relation and attribute, or 0.
    pub table: Oid,
    pub attribute: i16,
}

/// A whole statement of the query kind.
#[derive(Clone, Debug)]
pub struct Query {
    pub root: Node,
    /// Columns sent to the client, in order (for DML: RETURNING; empty without it).
    pub output: Vec<ColumnId>,
    pub result: Vec<ResultColumn>,
    /// All columns of the statement by `ColumnId`.
    pub columns: Vec<ColumnInfo>,
    /// CTEs that are not inlined (recursive, data-modifying, MATERIALIZED, used twice), in order of definition.
    pub ctes: Vec<Cte>,
    pub tag: CommandTag,
    /// Rights to be checked at execution: (relation, role to check as, privilege bits, columns for column privileges).
    pub privileges: Vec<PrivilegeCheck>,
    /// Whether any row may be written or locked.
    pub is_read_only: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommandTag {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
}

#[derive(Clone, Debug)]
pub struct PrivilegeCheck {
    pub relation: Oid,
    pub role: Oid,
    pub rights: u32,
    /// The columns that are read or written, which may be none. None: it is not said, and the right is needed on the whole relation.
    pub columns: Option<Vec<i16>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CteId(pub u32);

#[derive(Clone, Debug)]
pub struct Cte {
    pub id: CteId,
    pub name: String,
    pub plan: Node,
    pub columns: Vec<ColumnId>,
    pub is_recursive: bool,
    pub is_modifying: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// Left rows with / without a match; made by rules from EXISTS and IN.
    Semi,
    Anti,
}

#[derive(Clone, Debug)]
pub struct SortKey {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: bool,
    /// ORDER BY … USING op: the btree less/greater operator, else None for the default class.
    pub using: Option<&'static Operator>,
}

#[derive(Clone, Debug)]
pub struct AggregateCall {
    pub function: AggregateFunction,
    pub args: Vec<Expr>,
    /// Direct arguments of ordered-set aggregates.
    pub direct: Vec<Expr>,
    pub distinct: bool,
    pub order_by: Vec<SortKey>,
    pub filter: Option<Expr>,
    pub output: ColumnId,
    pub ty: SqlType,
}

#[derive(Clone, Debug)]
pub struct WindowCall {
    pub function: WindowFunction,
    pub args: Vec<Expr>,
    pub filter: Option<Expr>,
    pub output: ColumnId,
    pub ty: SqlType,
}

#[derive(Clone, Debug)]
pub enum WindowFunction {
    /// row_number, rank, lag, … by `proc.name`.
    Builtin(&'static Proc),
    Aggregate(AggregateFunction),
}

impl WindowFunction {
    pub fn name(&self) -> &str {
        match self {
            WindowFunction::Builtin(proc) => proc.name,
            WindowFunction::Aggregate(function) => function.name(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameUnits {
    Rows,
    Range,
    Groups,
}

#[derive(Clone, Debug)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
    UnboundedFollowing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameExclusion {
    None,
    CurrentRow,
    Group,
    Ties,
}

#[derive(Clone, Debug)]
pub struct Frame {
    pub units: FrameUnits,
    pub start: FrameBound,
    pub end: FrameBound,
    pub exclusion: FrameExclusion,
    /// RANGE with an offset: `in_range` comparison functions of the ORDER BY column's type.
    pub in_range: Option<&'static Proc>,
}

#[derive(Clone, Debug)]
pub struct WindowSpec {
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortKey>,
    pub frame: Frame,
    pub calls: Vec<WindowCall>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetOperation {
    Union,
    Intersect,
    Except,
}

/// A base relation in FROM. Every attribute that is used has a `ColumnId`.
#[derive(Clone, Debug)]
pub struct Scan {
    pub relation: Arc<Relation>,
    pub alias: String,
    /// (what, its column), only those used.
    pub columns: Vec<(ScanColumn, ColumnId)>,
    /// AS OF SYSTEM TIME on this item, or the beginning of a span of time.
    pub as_of: Option<Expr>,
    /// FOR SYSTEM_TIME: the item's rows are the versions that were there at some moment of the span.
    pub until: Option<Until>,
}

/// The end of a span of system time.
#[derive(Clone, Debug)]
pub struct Until {
    pub time: Expr,
    /// BETWEEN … AND: the end belongs to the span. FROM … TO: it does not.
    pub is_closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScanColumn {
    Attribute(i16),
    /// The whole row as a record (`t` or `t.*` used as a value).
    WholeRow,
    /// `_ts`: commit timestamp as bigint.
    CommitTimestamp,
    /// `_valid_from`, `_valid_to` of a scan with `until`: timestamptz, the period in which this version was the newest.
    ValidFrom,
    ValidTo,
    /// `_doc`: the whole document as jsonb.
    Document,
    /// The document's undeclared part, for `ExprKind::DocumentPath`.
    Tail,
    TableOid,
    /// The row's stored key and slot, for UPDATE, DELETE and row locks. A bytea.
    RowKey,
}

#[derive(Clone, Debug)]
pub struct FunctionCallItem {
    /// A set-returning call (ProjectSet/FROM) or a plain one (one row).
    pub call: Expr,
    pub columns: Vec<ColumnId>,
}

#[derive(Clone, Debug)]
pub enum Node {
    /// One row without columns: SELECT without FROM.
    OneRow,
    Scan(Scan),
    Values {
        rows: Vec<Vec<Expr>>,
        columns: Vec<ColumnId>,
    },
    /// FROM f(…), g(…) [WITH ORDINALITY]; several in ROWS FROM run side by side, shorter ones padded with NULLs.
    Functions {
        calls: Vec<FunctionCallItem>,
        ordinality: Option<ColumnId>,
    },
    CteScan {
        cte: CteId,
        /// (column here, column of the CTE).
        columns: Vec<(ColumnId, ColumnId)>,
        alias: String,
    },
    /// Computes `exprs` and keeps the input's columns (projection away of unused ones is the planner's).
    Project {
        input: Box<Node>,
        exprs: Vec<(ColumnId, Expr)>,
    },
    /// SELECT-list set-returning functions: like Project, for calls that return sets, run in lockstep.
    ProjectSet {
        input: Box<Node>,
        exprs: Vec<(ColumnId, Expr)>,
    },
    /// Conjuncts, all must be true.
    Filter {
        input: Box<Node>,
        predicate: Vec<Expr>,
    },
    /// `lateral`: the right side may use the left's columns.
    Join {
        kind: JoinKind,
        left: Box<Node>,
        right: Box<Node>,
        on: Vec<Expr>,
        lateral: bool,
    },
    /// `groups` are columns of the input (computed by a Project below). Several `sets` (indexes into groups): GROUPING SETS;
    /// then `set_id` tells the set of each output row as a bit mask (bit g: group g is in it) and groups not in it are NULL.
    Aggregate {
        input: Box<Node>,
        groups: Vec<ColumnId>,
        sets: Option<Vec<Vec<usize>>>,
        /// Output columns of the groups (differ from `groups` where sets make them nullable).
        group_outputs: Vec<ColumnId>,
        set_id: Option<ColumnId>,
        calls: Vec<AggregateCall>,
    },
    Window {
        input: Box<Node>,
        spec: WindowSpec,
    },
    Sort {
        input: Box<Node>,
        keys: Vec<SortKey>,
    },
    Limit {
        input: Box<Node>,
        limit: Option<Expr>,
        offset: Option<Expr>,
        with_ties: bool,
    },
    /// DISTINCT (all of `columns`) or DISTINCT ON (`columns` = the keys; input sorted by them first where ORDER BY says so).
    Distinct {
        input: Box<Node>,
        columns: Vec<ColumnId>,
        on: bool,
    },
    SetOp {
        operation: SetOperation,
        all: bool,
        left: Box<Node>,
        right: Box<Node>,
        left_columns: Vec<ColumnId>,
        right_columns: Vec<ColumnId>,
        columns: Vec<ColumnId>,
    },
    /// WITH RECURSIVE body: `base`, then `step` until it yields nothing; `step` reads the working table through CteScan of `cte`.
    RecursiveUnion {
        cte: CteId,
        all: bool,
        base: Box<Node>,
        step: Box<Node>,
        base_columns: Vec<ColumnId>,
        step_columns: Vec<ColumnId>,
        columns: Vec<ColumnId>,
    },
    /// FOR UPDATE/SHARE on some relations of the input, by their RowKey columns.
    LockRows {
        input: Box<Node>,
        targets: Vec<LockTarget>,
    },
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    Merge(Box<Merge>),
}

#[derive(Clone, Debug)]
pub struct LockTarget {
    pub relation: Arc<Relation>,
    pub row_key: ColumnId,
    pub mode: LockMode,
    pub wait: WaitPolicy,
    /// The relation's own columns in the input, to be read again from the locked version.
    pub columns: Vec<(ScanColumn, ColumnId)>,
}

/// What every write needs of its target.
#[derive(Clone, Debug)]
pub struct WriteTarget {
    pub relation: Arc<Relation>,
    pub indexes: Vec<Arc<Index>>,
    /// Columns of the new row as CHECKs, index expressions and RETURNING read them: (attribute, column).
    pub new_row: Vec<(i16, ColumnId)>,
    /// What they read of the new row besides its attributes.
    pub hidden: Vec<(ScanColumn, ColumnId)>,
    /// Index key expressions and partial predicates, bound over `new_row`, per index of `indexes`: (keys, predicate).
    pub index_exprs: Vec<(Vec<Expr>, Option<Expr>)>,
    /// CHECK constraints (name, expr over `new_row`).
    pub checks: Vec<(String, Expr)>,
    /// Views' WITH CHECK OPTION (view name, expr).
    pub view_checks: Vec<(String, Expr)>,
}

#[derive(Clone, Debug)]
pub struct Insert {
    pub target: WriteTarget,
    /// Rows to insert: the input yields, for each stored attribute in order, the column in `values`. Defaults, identity and casts are
    /// already part of the input. Generated columns are computed from `new_row` by `generated`.
    pub input: Node,
    pub values: Vec<(i16, ColumnId)>,
    pub generated: Vec<(i16, Expr)>,
    /// INSERT … DOCUMENT / collections: column with the undeclared fields (jsonb) to become the tail.
    pub tail: Option<ColumnId>,
    pub on_conflict: Option<OnConflict>,
    /// RETURNING expressions over `new_row`.
    pub returning: Vec<(ColumnId, Expr)>,
    pub overriding: Option<Overriding>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overriding {
    System,
    User,
}

#[derive(Clone, Debug)]
pub struct OnConflict {
    /// Arbiter indexes (ids); empty: any unique index (DO NOTHING without a target).
    pub arbiters: Vec<Oid>,
    pub update: Option<ConflictUpdate>,
}

#[derive(Clone, Debug)]
pub struct ConflictUpdate {
    /// The existing row, read under its lock: (what, column).
    pub existing: Vec<(ScanColumn, ColumnId)>,
    /// EXCLUDED, the row proposed.
    pub excluded: Vec<(ScanColumn, ColumnId)>,
    pub assignments: Vec<(i16, Expr)>,
    pub generated: Vec<(i16, Expr)>,
    /// As in `Update`.
    pub tail: Option<Expr>,
    pub predicate: Option<Expr>,
}

#[derive(Clone, Debug)]
pub struct Update {
    pub target: WriteTarget,
    /// Joined input with the target's RowKey, its old columns (`old_row`) and what the assignments need.
    pub input: Node,
    pub row_key: ColumnId,
    pub old_row: Vec<(ScanColumn, ColumnId)>,
    /// New values as expressions over the input's columns (old row, FROM items).
    pub assignments: Vec<(i16, Expr)>,
    pub generated: Vec<(i16, Expr)>,
    /// New undeclared part of a document (expression over the input), where assignments reach into it.
    pub tail: Option<Expr>,
    /// The predicate over target and other columns, evaluated again on the newest version at READ COMMITTED (EvalPlanQual).
    pub recheck: Vec<Expr>,
    /// RETURNING over `new_row` and the input's columns.
    pub returning: Vec<(ColumnId, Expr)>,
}

#[derive(Clone, Debug)]
pub struct Delete {
    pub target: WriteTarget,
    pub input: Node,
    pub row_key: ColumnId,
    pub old_row: Vec<(ScanColumn, ColumnId)>,
    pub recheck: Vec<Expr>,
    /// RETURNING over the old row's columns.
    pub returning: Vec<(ColumnId, Expr)>,
}

/// MERGE: for each row of the input the first clause that fits is done.
#[derive(Clone, Debug)]
pub struct Merge {
    pub target: WriteTarget,
    /// Source rows joined with the target's; `row_key` is NULL where no row of the target matches.
    pub input: Node,
    pub row_key: ColumnId,
    pub old_row: Vec<(ScanColumn, ColumnId)>,
    pub generated: Vec<(i16, Expr)>,
    /// The join's condition, evaluated again on a newer version at READ COMMITTED.
    pub recheck: Vec<Expr>,
    pub clauses: Vec<MergeClause>,
}

#[derive(Clone, Debug)]
pub struct MergeClause {
    /// WHEN MATCHED, or WHEN NOT MATCHED.
    pub is_matched: bool,
    pub condition: Option<Expr>,
    pub action: MergeAction,
}

/// Expressions over the input.
#[derive(Clone, Debug)]
pub enum MergeAction {
    Nothing,
    Delete,
    Update(Vec<(i16, Expr)>),
    /// A value for each attribute that is not generated.
    Insert(Vec<(i16, Expr)>),
}

impl MergeClause {
    pub fn expressions(&self) -> Vec<&Expr> {
        let values = match &self.action {
            MergeAction::Update(values) | MergeAction::Insert(values) => values.as_slice(),
            MergeAction::Nothing | MergeAction::Delete => &[],
        };
        self.condition.iter().chain(values.iter().map(|(_, e)| e)).collect()
    }
}

#[derive(Clone, Debug)]
pub enum SubqueryKind {
    Scalar,
    /// Several columns at once.
    Row,
    Exists,
    /// `comparison` is over the enclosing columns and the subquery's output columns.
    AnyAll {
        comparison: Expr,
        all: bool,
    },
    Array,
}

/// A subquery in an expression. Its plan may use columns of enclosing queries (`correlated`).
#[derive(Clone, Debug)]
pub struct Subquery {
    pub kind: SubqueryKind,
    pub plan: Node,
    pub output: Vec<ColumnId>,
    /// Columns of enclosing queries used inside.
    pub correlated: Vec<ColumnId>,
    /// How it was written, where the statement is bound to be told again.
    pub tree: Option<Arc<crate::tree::QueryTree>>,
}

impl Subquery {
    /// Expressions of the enclosing row (the left side of IN and friends).
    pub fn outer_expressions(&self) -> Vec<&Expr> {
        match &self.kind {
            SubqueryKind::AnyAll { comparison, .. } => vec![comparison],
            _ => vec![],
        }
    }
    pub fn outer_expressions_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.kind {
            SubqueryKind::AnyAll { comparison, .. } => vec![comparison],
            _ => vec![],
        }
    }
}
