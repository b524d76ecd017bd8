//! Bound expressions: every node knows its type and where in the text it came from.
//!
//! In a logical plan columns are `Column(ColumnId)`, unique in the statement, so that rules move expressions about
//! without renumbering. The planner turns them into `Input(position)` of the operator's input batch, and correlated ones
//! into `Outer(slot)`.

use crate::logical::{ColumnId, Subquery};
use catalog::{Function, FunctionVolatility, Operator as UserOperator};
use std::sync::Arc;
use types::builtin::{Operator, Proc, Volatility};
use types::{Datum, Oid, SqlType};

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub ty: SqlType,
    /// 1-based character index in the query text; 0 where it is nobody's.
    pub position: u32,
}

/// How a call was written, for EXPLAIN and deparsing; no influence on its value.
#[derive(Clone, Copy, Debug)]
pub enum CallForm {
    Function,
    Operator(&'static Operator),
    /// `x::t`, written or implied.
    ExplicitCast,
    ImplicitCast,
    /// EXTRACT, OVERLAY, POSITION, SUBSTRING, TRIM, AT TIME ZONE, LIKE …: SQL syntax of its own.
    SqlSyntax,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BoolTest {
    IsTrue,
    IsNotTrue,
    IsFalse,
    IsNotFalse,
    IsUnknown,
    IsNotUnknown,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowCompareOp {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// `a[1]` or `a[1:2]`.
#[derive(Clone, Debug)]
pub enum Subscript {
    Index(Expr),
    Slice(Option<Expr>, Option<Expr>),
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    Const(Datum),
    /// $n, 0-based.
    Parameter(u16),
    /// Logical plans only.
    Column(ColumnId),
    /// Physical plans only: a column of the input batch (joins: left columns, then right ones).
    Input(u32),
    /// Physical plans only: a value of an enclosing row, handed in by Apply/SubPlan/lateral joins.
    Outer(u32),
    /// A built-in function, operator or cast function. Strictness is `proc.strict`.
    Call {
        proc: &'static Proc,
        args: Vec<Expr>,
        /// The last argument was written `VARIADIC array`.
        variadic_array: bool,
        form: CallForm,
    },
    /// Same representation, other type (binary-coercible cast, typmod label).
    Relabel(Box<Expr>, CallForm),
    /// Cast through text output and input.
    InOut(Box<Expr>, CallForm),
    /// Cast of each element; `element` reads the element as `CaseValue`.
    ArrayCoerce {
        array: Box<Expr>,
        element: Box<Expr>,
        form: CallForm,
    },
    /// A value of a domain's base type, checked: 23502 and 23514. Of the base type.
    ToDomain {
        arg: Box<Expr>,
        domain: Arc<DomainChecks>,
        form: CallForm,
    },
    /// Row value to a named composite type or another row type, field by field.
    RowCoerce {
        row: Box<Expr>,
        fields: Vec<Expr>,
    },
    /// n-ary, flattened, in source order.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// `IS [NOT] NULL`; of a row value: all fields (PostgreSQL's rule) when `of_row`.
    IsNull {
        arg: Box<Expr>,
        negated: bool,
        of_row: bool,
    },
    BoolTest {
        arg: Box<Expr>,
        test: BoolTest,
    },
    /// `IS [NOT] DISTINCT FROM` by the type's equality operator.
    Distinct {
        equal: &'static Operator,
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    NullIf {
        equal: &'static Operator,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `operand` (simple CASE) is evaluated once and read by the conditions as `CaseValue`.
    Case {
        operand: Option<Box<Expr>>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    /// The operand of the innermost simple CASE, or the element of the innermost ArrayCoerce.
    CaseValue,
    Coalesce(Vec<Expr>),
    /// GREATEST and LEAST by the type's default order.
    Extremum {
        greatest: bool,
        args: Vec<Expr>,
    },
    /// `left op ANY (array)` / `ALL`; `IN (list)` over constants or like-typed items is one with an array.
    AnyAll {
        operator: &'static Operator,
        left: Box<Expr>,
        array: Box<Expr>,
        all: bool,
        is_in_list: bool,
    },
    /// ARRAY[...]; `nested` when the elements are arrays of one type that form a further dimension.
    Array {
        elements: Vec<Expr>,
        nested: bool,
    },
    /// ROW(...).
    Row {
        fields: Vec<Expr>,
        names: Vec<String>,
    },
    /// `(row).f`, by position.
    Field {
        row: Box<Expr>,
        index: usize,
    },
    Subscripts {
        container: Box<Expr>,
        subscripts: Vec<Subscript>,
    },
    /// `container` with the element or slice at the subscripts replaced: `SET a[1] = …`. Of an array or jsonb.
    AssignSubscripts {
        container: Box<Expr>,
        subscripts: Vec<Subscript>,
        value: Box<Expr>,
    },
    /// `(a, b) < (c, d)`; equality forms are And/Or of operators.
    RowCompare {
        op: RowCompareOp,
        operators: Vec<&'static Operator>,
        left: Vec<Expr>,
        right: Vec<Expr>,
    },
    /// Logical plans only.
    Subquery(Box<Subquery>),
    /// Physical plans only: a subquery that was not turned into a join.
    SubPlan(SubPlanRef),
    /// An undeclared field of an open collection's row: `path` below the document (text keys, integer subscripts), jsonb or NULL.
    /// `document` is the `_doc` tail column; the field is found without parsing the rest.
    DocumentPath {
        document: Box<Expr>,
        path: Vec<PathStep>,
    },
    /// `document` with the field at `path` replaced (`SET address.city = …`); what is missing on the way is made. A NULL value
    /// removes the field: a missing field is what reads as NULL.
    DocumentSet {
        document: Box<Expr>,
        path: Vec<PathStep>,
        value: Box<Expr>,
    },
    /// GROUPING(...): bits from the grouping set being output; column `grouping set id` of the Aggregate's output.
    Grouping {
        set_id: Box<Expr>,
        groups: Vec<usize>,
    },
    /// DEFAULT in VALUES/SET, replaced by the binder before planning.
    DefaultMarker,
    /// A user's function or operator as its body. In stored expressions and while a statement is bound; plans have the body alone.
    Inlined(Box<Inlined>),
}

/// What a call of a user's function, or a user's operator, has become. Its child is the body; the call is kept to be shown.
#[derive(Clone, Debug)]
pub struct Inlined {
    /// None: a user's operator over a built-in function.
    pub function: Option<Arc<Function>>,
    /// What was written, where it was an operator.
    pub operator: Option<Arc<UserOperator>>,
    pub args: Vec<Expr>,
    pub body: Expr,
}

impl Inlined {
    /// How far its value can be relied on, with its arguments'.
    pub fn volatility(&self) -> Volatility {
        let Some(function) = &self.function else { return crate::volatility(&self.body) };
        let own = match function.volatility {
            FunctionVolatility::Immutable => Volatility::Immutable,
            FunctionVolatility::Stable => Volatility::Stable,
            FunctionVolatility::Volatile => Volatility::Volatile,
        };
        self.args.iter().map(crate::volatility).fold(own, Ord::max)
    }
}

/// What a domain asks of a value.
#[derive(Clone, Debug)]
pub struct DomainChecks {
    pub ty: Oid,
    pub name: String,
    pub schema: String,
    pub not_null: bool,
    /// (constraint's name, condition over the value as `Input(0)`). No part of the expression around: rewrites leave it alone.
    pub checks: Vec<(String, Expr)>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum PathStep {
    Key(String),
    Index(i32),
}

/// What a SubPlan yields in an expression.
#[derive(Clone, Debug)]
pub enum SubPlanKind {
    /// The one row's one column; NULL without rows; 21000 with more than one.
    Scalar,
    /// Several columns as a row value (row comparison, multi-column SET).
    Row,
    Exists,
    /// `tests op ANY/ALL (subquery)`: `comparison` reads the outer values as in the enclosing expression and the subquery's columns
    /// as `CaseValue`-free `Outer` slots given in `columns`.
    AnyAll {
        comparison: Box<Expr>,
        columns: Vec<u32>,
        all: bool,
    },
    /// ARRAY(subquery).
    Array,
}

#[derive(Clone, Debug)]
pub struct SubPlanRef {
    /// Index into `physical::Plan::subplans`.
    pub index: usize,
    pub kind: SubPlanKind,
    /// (Outer slot that the subplan reads, expression of the enclosing row that fills it). Empty: uncorrelated, run once and kept.
    pub parameters: Vec<(u32, Expr)>,
}

impl Expr {
    pub fn new(kind: ExprKind, ty: SqlType, position: u32) -> Expr {
        Expr { kind, ty, position }
    }
    pub fn constant(value: Datum, ty: SqlType) -> Expr {
        Expr { kind: ExprKind::Const(value), ty, position: 0 }
    }
    pub fn column(id: ColumnId, ty: SqlType) -> Expr {
        Expr { kind: ExprKind::Column(id), ty, position: 0 }
    }
    pub fn input(index: u32, ty: SqlType) -> Expr {
        Expr { kind: ExprKind::Input(index), ty, position: 0 }
    }
    pub fn is_true(&self) -> bool {
        matches!(self.kind, ExprKind::Const(Datum::Bool(true)))
    }

    /// Direct children, in evaluation order.
    pub fn children(&self) -> Vec<&Expr> {
        use ExprKind::*;
        match &self.kind {
            Const(_) | Parameter(_) | Column(_) | Input(_) | Outer(_) | CaseValue | DefaultMarker => vec![],
            Call { args, .. } | And(args) | Or(args) | Coalesce(args) | Extremum { args, .. } => args.iter().collect(),
            Array { elements, .. } => elements.iter().collect(),
            Row { fields, .. } => fields.iter().collect(),
            Relabel(arg, _) | InOut(arg, _) | Not(arg) | ToDomain { arg, .. } => vec![arg],
            ArrayCoerce { array, element, .. } => vec![array, element],
            RowCoerce { row, fields } => std::iter::once(&**row).chain(fields).collect(),
            IsNull { arg, .. } | BoolTest { arg, .. } => vec![arg],
            Distinct { left, right, .. } | NullIf { left, right, .. } => vec![left, right],
            AnyAll { left, array, .. } => vec![left, array],
            Case { operand, branches, otherwise } => operand
                .iter()
                .map(|e| &**e)
                .chain(branches.iter().flat_map(|(c, r)| [c, r]))
                .chain(otherwise.iter().map(|e| &**e))
                .collect(),
            Field { row, .. } => vec![row],
            Subscripts { container, subscripts } => std::iter::once(&**container)
                .chain(subscripts.iter().flat_map(|s| match s {
                    Subscript::Index(i) => vec![i],
                    Subscript::Slice(a, b) => a.iter().chain(b).collect(),
                }))
                .collect(),
            AssignSubscripts { container, subscripts, value } => std::iter::once(&**container)
                .chain(subscripts.iter().flat_map(|s| match s {
                    Subscript::Index(i) => vec![i],
                    Subscript::Slice(a, b) => a.iter().chain(b).collect(),
                }))
                .chain(std::iter::once(&**value))
                .collect(),
            RowCompare { left, right, .. } => left.iter().chain(right).collect(),
            Subquery(s) => s.outer_expressions(),
            SubPlan(s) => s
                .parameters
                .iter()
                .map(|(_, e)| e)
                .chain(match &s.kind {
                    SubPlanKind::AnyAll { comparison, .. } => Some(&**comparison),
                    _ => None,
                })
                .collect(),
            DocumentPath { document, .. } => vec![document],
            DocumentSet { document, value, .. } => vec![document, value],
            Grouping { set_id, .. } => vec![set_id],
            Inlined(call) => vec![&call.body],
        }
    }

    /// The same, for rewriting in place.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        use ExprKind::*;
        match &mut self.kind {
            Const(_) | Parameter(_) | Column(_) | Input(_) | Outer(_) | CaseValue | DefaultMarker => vec![],
            Call { args, .. } | And(args) | Or(args) | Coalesce(args) | Extremum { args, .. } => {
                args.iter_mut().collect()
            }
            Array { elements, .. } => elements.iter_mut().collect(),
            Row { fields, .. } => fields.iter_mut().collect(),
            Relabel(arg, _) | InOut(arg, _) | Not(arg) | ToDomain { arg, .. } => vec![arg],
            ArrayCoerce { array, element, .. } => vec![array, element],
            RowCoerce { row, fields } => std::iter::once(&mut **row).chain(fields).collect(),
            IsNull { arg, .. } | BoolTest { arg, .. } => vec![arg],
            Distinct { left, right, .. } | NullIf { left, right, .. } => vec![left, right],
            AnyAll { left, array, .. } => vec![left, array],
            Case { operand, branches, otherwise } => operand
                .iter_mut()
                .map(|e| &mut **e)
                .chain(branches.iter_mut().flat_map(|(c, r)| [c, r]))
                .chain(otherwise.iter_mut().map(|e| &mut **e))
                .collect(),
            Field { row, .. } => vec![row],
            Subscripts { container, subscripts } => std::iter::once(&mut **container)
                .chain(subscripts.iter_mut().flat_map(|s| match s {
                    Subscript::Index(i) => vec![i],
                    Subscript::Slice(a, b) => a.iter_mut().chain(b).collect(),
                }))
                .collect(),
            AssignSubscripts { container, subscripts, value } => std::iter::once(&mut **container)
                .chain(subscripts.iter_mut().flat_map(|s| match s {
                    Subscript::Index(i) => vec![i],
                    Subscript::Slice(a, b) => a.iter_mut().chain(b).collect(),
                }))
                .chain(std::iter::once(&mut **value))
                .collect(),
            RowCompare { left, right, .. } => left.iter_mut().chain(right).collect(),
            Subquery(s) => s.outer_expressions_mut(),
            SubPlan(s) => s
                .parameters
                .iter_mut()
                .map(|(_, e)| e)
                .chain(match &mut s.kind {
                    SubPlanKind::AnyAll { comparison, .. } => Some(&mut **comparison),
                    _ => None,
                })
                .collect(),
            DocumentPath { document, .. } => vec![document],
            DocumentSet { document, value, .. } => vec![document, value],
            Grouping { set_id, .. } => vec![set_id],
            Inlined(call) => vec![&mut call.body],
        }
    }

    /// Whether `test` holds for this node or one below it (not inside subqueries' own plans).
    pub fn any(&self, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
        test(self) || self.children().into_iter().any(|c| c.any(test))
    }

    /// Visits every node, children first, for rewriting.
    pub fn rewrite(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        for child in self.children_mut() {
            child.rewrite(f);
        }
        f(self);
    }
}
