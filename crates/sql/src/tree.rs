//! A query as it was written, with everything in it bound: what definitions of views are told from.
//!
//! A logical plan says what is computed and has forgotten how that was said: which columns a join's USING merged, which window
//! was named, where a view or a WITH query stood. `bind::written` keeps it in these trees, and `deparse` tells them. The expressions
//! in them read columns by id, as in the plan; what those columns are is found in the FROM items, and for the ones that a call makes
//! (aggregates, window functions, sets) in `Written::made`.

use crate::expr::Expr;
use crate::logical::locking::{LockMode, WaitPolicy};
use crate::logical::{AggregateCall, ColumnId, Frame, JoinKind, Overriding, SetOperation, SortKey, WindowCall};
use types::{Oid, SqlType};

/// A whole query.
#[derive(Clone, Debug)]
pub struct Written {
    pub query: QueryTree,
    /// Columns that are no FROM item's.
    pub made: Vec<(ColumnId, Made)>,
    /// Relations and users' functions that it names.
    pub relations: Vec<Oid>,
    pub functions: Vec<Oid>,
}

/// A rule: its condition and its actions, None for one that is no query.
#[derive(Clone, Debug)]
pub struct WrittenRule {
    pub condition: Option<RulePart<Expr>>,
    pub actions: Vec<Option<RulePart<StatementTree>>>,
}

/// One text of a rule.
#[derive(Clone, Debug)]
pub struct RulePart<T> {
    pub tree: T,
    /// OLD and NEW.
    pub rows: Vec<RowTree>,
    pub made: Vec<(ColumnId, Made)>,
}

/// A row of a relation, by a name of its own.
#[derive(Clone, Debug)]
pub struct RowTree {
    pub alias: String,
    pub relation: Oid,
    pub columns: Vec<(i16, ColumnId)>,
    pub whole: Option<ColumnId>,
}

#[derive(Clone, Debug)]
pub enum StatementTree {
    Query(Box<QueryTree>),
    Change(Box<ChangeTree>),
}

/// INSERT, UPDATE or DELETE.
#[derive(Clone, Debug)]
pub struct ChangeTree {
    pub with: Vec<WithTree>,
    pub is_recursive: bool,
    pub kind: Change,
    /// The target's row before and after, both of the one name.
    pub target: Vec<RowTree>,
    pub is_aliased: bool,
    pub from: Vec<FromTree>,
    pub filter: Vec<Expr>,
    pub returning: Vec<Target>,
}

#[derive(Clone, Debug)]
pub enum Change {
    Insert { columns: Vec<i16>, overriding: Option<Overriding>, source: InsertTree },
    Update(Vec<(i16, Expr)>),
    Delete,
}

#[derive(Clone, Debug)]
pub enum InsertTree {
    Defaults,
    /// None for DEFAULT.
    Rows(Vec<Vec<Option<Expr>>>),
    Query(Box<QueryTree>),
}

/// What a column stands for that a call makes.
#[derive(Clone, Debug)]
pub enum Made {
    Aggregate(AggregateCall),
    Window(WindowCall, Over),
    Grouping(Vec<Expr>),
    /// A call that returns a set.
    Set(Expr),
}

#[derive(Clone, Debug)]
pub struct QueryTree {
    pub with: Vec<WithTree>,
    pub is_recursive: bool,
    pub body: Body,
    pub tail: TailTree,
    /// The output columns.
    pub columns: Vec<(String, ColumnId)>,
}

/// What follows a query's body.
#[derive(Clone, Debug, Default)]
pub struct TailTree {
    pub order_by: Vec<SortKey>,
    pub limit: Option<Expr>,
    pub offset: Option<Expr>,
    pub with_ties: bool,
    pub locks: Vec<LockTree>,
}

/// FOR UPDATE and its like on one FROM item.
#[derive(Clone, Debug)]
pub struct LockTree {
    pub item: u32,
    pub mode: LockMode,
    pub wait: WaitPolicy,
}

#[derive(Clone, Debug)]
pub enum Body {
    Select(Box<SelectTree>),
    Values(ValuesTree),
    SetOperation { operation: SetOperation, all: bool, left: Box<QueryTree>, right: Box<QueryTree> },
}

#[derive(Clone, Debug)]
pub struct ValuesTree {
    /// As a FROM item.
    pub number: u32,
    pub rows: Vec<Vec<Expr>>,
}

#[derive(Clone, Debug)]
pub struct SelectTree {
    pub distinct: DistinctTree,
    /// The select list; behind it, without a name, what only DISTINCT ON reads.
    pub targets: Vec<Target>,
    pub from: Vec<FromTree>,
    pub filter: Vec<Expr>,
    pub groups: Vec<GroupTree>,
    pub groups_are_distinct: bool,
    pub having: Option<Expr>,
    /// The WINDOW clause.
    pub windows: Vec<(String, WindowTree)>,
}

#[derive(Clone, Debug)]
pub enum DistinctTree {
    No,
    All,
    On(Vec<ColumnId>),
}

#[derive(Clone, Debug)]
pub struct Target {
    pub name: Option<String>,
    pub id: ColumnId,
    pub expr: Expr,
}

/// One item of GROUP BY.
#[derive(Clone, Debug)]
pub enum GroupTree {
    /// An expression, or several in parentheses.
    Set(Vec<Expr>),
    Rollup(Vec<Vec<Expr>>),
    Cube(Vec<Vec<Expr>>),
    Sets(Vec<GroupTree>),
}

#[derive(Clone, Debug)]
pub enum FromTree {
    Item(Box<ItemTree>),
    Join(Box<JoinTree>),
}

#[derive(Clone, Debug)]
pub struct ItemTree {
    /// Tells the items of a statement apart.
    pub number: u32,
    pub source: Source,
    /// The name that the item goes by, and whether it was given one.
    pub alias: String,
    pub is_aliased: bool,
    /// How many of the columns were given names.
    pub renamed: usize,
    pub is_lateral: bool,
    pub columns: Vec<(String, ColumnId)>,
    /// Parts of its rows besides: what follows the item's name, and the column.
    pub hidden: Vec<(Option<&'static str>, ColumnId)>,
}

#[derive(Clone, Debug)]
pub enum Source {
    /// With the attribute of each column.
    Relation(Oid, Vec<i16>),
    Query(Box<QueryTree>),
    /// A WITH query of that name.
    With(String),
    Functions(FunctionsTree),
}

#[derive(Clone, Debug)]
pub struct FunctionsTree {
    pub calls: Vec<Expr>,
    pub with_ordinality: bool,
    /// A column definition list.
    pub definitions: Option<Vec<SqlType>>,
}

#[derive(Clone, Debug)]
pub struct JoinTree {
    pub kind: JoinKind,
    pub left: FromTree,
    pub right: FromTree,
    pub on: Vec<Expr>,
    pub using: Vec<String>,
    pub using_alias: Option<String>,
    /// A name for the whole join, how many of its columns were given names, and its number.
    pub alias: Option<(String, usize, u32)>,
    pub columns: Vec<(String, ColumnId)>,
}

#[derive(Clone, Debug)]
pub struct WithTree {
    pub name: String,
    pub columns: Vec<String>,
    pub materialized: Option<bool>,
    pub query: QueryTree,
    pub search: Option<SearchTree>,
    pub cycle: Option<CycleTree>,
}

#[derive(Clone, Debug)]
pub struct SearchTree {
    pub is_depth_first: bool,
    pub columns: Vec<String>,
    pub sequence: String,
}

#[derive(Clone, Debug)]
pub struct CycleTree {
    pub columns: Vec<String>,
    pub mark: String,
    /// TO and DEFAULT.
    pub values: (Expr, Expr),
    pub path: String,
}

/// OVER.
#[derive(Clone, Debug)]
pub enum Over {
    Named(String),
    Window(WindowTree),
}

#[derive(Clone, Debug, Default)]
pub struct WindowTree {
    /// The window that it is made on top of.
    pub base: Option<String>,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortKey>,
    /// With whether BETWEEN was written.
    pub frame: Option<(Frame, bool)>,
}
