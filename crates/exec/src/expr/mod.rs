//! Expressions: `sql::Expr` compiled once per operator into a tree of `Node`s, evaluated by batch (`vector`), by row
//! (`row`), or by row with waiting (`waiting`: subplans and functions such as `nextval` that must wait).
//!
//! PostgreSQL's promises are kept in all three: AND, OR, CASE and COALESCE evaluate no more than they must *for a row*
//! (the vector form narrows the selection), strict functions are not called with NULL.
//!
//! Cost, per row and node: typed kernels 1-3 ns, scalar functions 20-40 ns, waiting forms a box per node that waits.

mod assign;
mod compile;
mod constant;
mod document;
mod domain;
mod json;
mod kernel;
mod like;
mod record;
mod row;
mod settle;
mod vector;
mod waiting;

pub use constant::fold;
pub(crate) use row::in_out;
pub(crate) use settle::ValueSet;
pub(crate) use waiting::Scope;

use crate::batch::{Batch, Column};
use crate::context::SessionAccess;
use crate::functions::{AsyncFn, SessionFn};
use catalog::Snapshot;
use domain::DomainNode;
use host::Host;
use kernel::Kernel;
use sql::expr::{BoolTest, PathStep, RowCompareOp, SubPlanRef};
use std::sync::Arc;
use txn::{Gateway, Transaction};
use types::builtin::Proc;
use types::functions::ScalarFn;
use types::{Datum, FormatSettings, Result, SqlType};

/// What the results of one expression may take for one batch.
const RESULTS_BYTES_MAX: usize = 1 << 30;

/// What evaluation may look at besides the row. A handful of references, copied freely.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    pub format: &'a FormatSettings,
    pub parameters: &'a [Datum],
    pub session: &'a dyn SessionAccess,
    pub catalog: &'a Arc<Snapshot>,
    pub host: &'a Host,
    pub gateway: &'a Arc<Gateway>,
    pub txn: Option<&'a Transaction>,
    /// Values of the enclosing rows, by slot.
    pub outer: &'a [Datum],
}

impl EvalContext<'_> {
    /// SET TRANSACTION READ ONLY may come when the transaction runs already: then the session alone knows.
    pub fn is_read_only(&self) -> bool {
        self.txn.is_some_and(|txn| txn.is_read_only() || self.session.is_read_only())
    }
}

/// The row an expression reads.
#[derive(Clone, Copy)]
pub enum RowRef<'a> {
    None,
    Batch(&'a Batch, usize),
    Datums(&'a [Datum]),
}

impl RowRef<'_> {
    #[inline]
    fn get(&self, index: usize) -> Datum {
        match self {
            RowRef::None => Datum::Null,
            RowRef::Batch(batch, row) => batch.datum(index, *row),
            RowRef::Datums(row) => row.get(index).cloned().unwrap_or_default(),
        }
    }
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Program {
    pub(crate) node: Node,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub kind: Kind,
    pub ty: SqlType,
    /// Holds a subplan or a function that waits.
    pub waits: bool,
}

/// How a call is carried out.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    Scalar(ScalarFn),
    Session(SessionFn),
    Async(AsyncFn),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("function")
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub proc: &'static Proc,
    pub target: Target,
    pub args: Vec<Node>,
    pub arg_types: Vec<SqlType>,
    pub result: SqlType,
    pub(in crate::expr) kernel: Option<Kernel>,
    /// `VARIADIC "any"` given as an array: spread for each call.
    pub spread: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct OperatorCall {
    pub target: Target,
    pub strict: bool,
    pub arg_types: [SqlType; 2],
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Const(Datum),
    Parameter(usize),
    Input(usize),
    Outer(usize),
    CaseValue,
    Call(Box<Call>),
    /// Same value, other type.
    Relabel(Box<Node>),
    /// The same between int4 and the OID types, which PostgreSQL calls one representation and `Datum` does not.
    Represent(Box<Node>),
    InOut(Box<Node>),
    /// The value itself, where the domain takes it.
    ToDomain(Box<Node>, Arc<DomainNode>),
    ArrayCoerce(Box<Node>, Box<Node>),
    RowCoerce(Box<Node>, Vec<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsNull {
        arg: Box<Node>,
        negated: bool,
        of_row: bool,
    },
    BoolTest(Box<Node>, BoolTest),
    Distinct {
        equal: Box<OperatorCall>,
        left: Box<Node>,
        right: Box<Node>,
        negated: bool,
    },
    NullIf {
        equal: Box<OperatorCall>,
        left: Box<Node>,
        right: Box<Node>,
    },
    Case {
        operand: Option<Box<Node>>,
        branches: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Coalesce(Vec<Node>),
    Extremum(bool, Vec<Node>),
    AnyAll {
        operator: Box<OperatorCall>,
        left: Box<Node>,
        array: Box<Node>,
        all: bool,
    },
    /// `x = ANY (constant array)`, by a set of encoded keys; `has_null` makes a miss NULL.
    InSet {
        left: Box<Node>,
        ty: SqlType,
        set: Arc<foldhash::HashSet<Vec<u8>>>,
        has_null: bool,
    },
    Array(Vec<Node>, bool),
    Row(Vec<Node>, Vec<ecow::EcoString>),
    Field(Box<Node>, usize),
    /// Container, then (lower or index, upper, is slice).
    Subscripts(Box<Node>, Vec<(Option<Node>, Option<Node>, bool)>),
    /// The same with the value that is put there.
    Assign(Box<Node>, Vec<(Option<Node>, Option<Node>, bool)>, Box<Node>),
    RowCompare {
        op: RowCompareOp,
        left: Vec<Node>,
        right: Vec<Node>,
    },
    SubPlan(Box<SubPlanNode>),
    DocumentPath(Box<Node>, Vec<PathStep>),
    /// Document, place and value.
    DocumentSet(Box<Node>, Vec<PathStep>, Box<Node>),
    Grouping(Box<Node>, Vec<usize>),
}

#[derive(Debug, Clone)]
pub(crate) struct SubPlanNode {
    pub plan: SubPlanRef,
    pub parameters: Vec<(u32, Node)>,
    /// AnyAll's test.
    pub comparison: Option<Node>,
}

impl Program {
    /// 0A000 where a function has no implementation.
    pub fn compile(expr: &sql::Expr) -> Result<Program> {
        Ok(Program { node: compile::node(expr)? })
    }
    pub fn compile_all<'e>(exprs: impl IntoIterator<Item = &'e sql::Expr>) -> Result<Vec<Program>> {
        exprs.into_iter().map(Program::compile).collect()
    }
    pub fn compile_option(expr: Option<&sql::Expr>) -> Result<Option<Program>> {
        expr.map(Program::compile).transpose()
    }
    pub fn ty(&self) -> SqlType {
        self.node.ty
    }
    pub fn waits(&self) -> bool {
        self.node.waits
    }
    /// The column it hands through, if it is nothing else.
    pub fn as_input(&self) -> Option<usize> {
        match &self.node.kind {
            Kind::Input(i) => Some(*i),
            Kind::Relabel(inner) => match inner.kind {
                Kind::Input(i) => Some(i),
                _ => None,
            },
            _ => None,
        }
    }
    /// One row, without waiting.
    #[inline]
    pub fn eval_row(&self, context: &EvalContext<'_>, row: RowRef<'_>) -> Result<Datum> {
        self.node.eval(context, row, &Datum::Null)
    }
    /// A whole batch, in which nothing waits; None where its values take too much for so many rows at once.
    fn eval_narrow(&self, context: &EvalContext<'_>, batch: &Batch) -> Result<Option<Arc<Column>>> {
        match self.node.vector(context, batch, None, &Datum::Null) {
            Ok(vector) => Ok(Some(vector.into_column(batch.len))),
            Err(error) if vector::is_wide(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
    /// The same, row by row where it must be: 53200 if even the results take too much.
    fn eval_now(&self, context: &EvalContext<'_>, batch: &Batch) -> Result<Arc<Column>> {
        if let Some(column) = self.eval_narrow(context, batch)? {
            return Ok(column);
        }
        let mut column = vector::Widening::new(&self.node, RESULTS_BYTES_MAX);
        for row in 0..batch.len {
            let value = self.node.eval(context, RowRef::Batch(batch, row), &Datum::Null)?;
            let bytes = value.heap_size();
            column.push(value).map_err(|_| crate::budget::out_of_memory(bytes))?;
        }
        Ok(Arc::new(column.finish()))
    }
    /// A whole batch for who can also take fewer rows at once: None says so.
    pub(crate) async fn eval_some(&self, run: &mut crate::run::Run, batch: &Batch) -> Result<Option<Arc<Column>>> {
        match self.node.waits || batch.len == 1 {
            false => self.eval_narrow(&run.env(), batch),
            true => self.eval(run, batch).await.map(Some),
        }
    }
    /// A whole batch.
    pub(crate) async fn eval(&self, run: &mut crate::run::Run, batch: &Batch) -> Result<Arc<Column>> {
        if !self.node.waits {
            return self.eval_now(&run.env(), batch);
        }
        let mut builder = crate::batch::ColumnBuilder::new(crate::batch::ColumnKind::of(self.node.ty));
        let mut row = Vec::new();
        for i in 0..batch.len {
            // The first row may have run the subplans that all rows share.
            if i <= 1
                && let Some(node) = self.node.settled(run)
            {
                let rest = batch.slice(i, batch.len);
                let column = Program { node }.eval_now(&run.env(), &rest)?;
                if i == 0 {
                    return Ok(column);
                }
                builder.append(&column);
                break;
            }
            batch.row_into(i, &mut row);
            builder.push_owned(self.node.eval_waiting(Scope::Run(run), &row, &Datum::Null).await?);
        }
        Ok(Arc::new(builder.finish()))
    }
    /// One row of datums, waiting where it must.
    pub(crate) async fn eval_datums(&self, run: &mut crate::run::Run, row: &[Datum]) -> Result<Datum> {
        match self.node.waits {
            false => self.node.eval(&run.env(), RowRef::Datums(row), &Datum::Null),
            true => self.node.eval_waiting(Scope::Run(run), row, &Datum::Null).await,
        }
    }
    /// The same outside of a plan: there are no subplans.
    pub(crate) async fn eval_alone(&self, context: &EvalContext<'_>, row: &[Datum]) -> Result<Datum> {
        match self.node.waits {
            false => self.node.eval(context, RowRef::Datums(row), &Datum::Null),
            true => self.node.eval_waiting(Scope::Direct(*context), row, &Datum::Null).await,
        }
    }
    /// Rows of the batch for which the predicate, in which nothing waits, is true.
    pub(crate) fn select_now(&self, context: &EvalContext<'_>, batch: &Batch) -> Result<Vec<u32>> {
        match self.node.select(context, batch) {
            Err(error) if vector::is_wide(&error) => Ok(vector::true_rows(&*self.eval_now(context, batch)?)),
            other => other,
        }
    }
    /// Rows of the batch for which the predicate is true.
    pub(crate) async fn select(&self, run: &mut crate::run::Run, batch: &Batch) -> Result<Vec<u32>> {
        if !self.node.waits {
            return self.select_now(&run.env(), batch);
        }
        if let Some(node) = self.node.settled(run) {
            return Program { node }.select_now(&run.env(), batch);
        }
        let column = self.eval(run, batch).await?;
        Ok(vector::true_rows(&column))
    }
}
