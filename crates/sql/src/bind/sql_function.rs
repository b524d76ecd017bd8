//! Functions in SQL: a call's body is bound in the call's place, so that the planner sees through it.
//!
//! ```text
//! f(a, b)   bare expression       the body's expression with the arguments in it, where nothing is computed twice by that
//!           query                 a subquery: (SELECT … LIMIT 1), with arguments that are not trivial computed once beside it
//! FROM f()                        LATERAL (SELECT …)
//! f() of sets in a select list    unnest(ARRAY(SELECT …))
//! ```
//!
//! I1  A volatile argument is evaluated once; one that costs, at most once for each call.
//! I2  A body that calls itself would be expanded for ever: 54001 from `EXPANSIONS_MAX` levels on.
//! I3  A strict function's body is not run for a NULL.
//!
//! Only a body of one SELECT is done; others are refused when the function is made.

use super::callee::UserCall;
use super::from::cross;
use super::function_result::Shape;
use super::query::BoundQuery;
use super::scope::{Clause, Name};
use super::{Binder, unsupported, volatility, walk};
use crate::expr::{CallForm, Expr, ExprKind, Inlined};
use crate::logical::{ColumnId, JoinKind, Node, Query, Subquery, SubqueryKind};
use crate::parse::{self, Lines};
use crate::plan::columns;
use crate::{BindContext, Statement};
use catalog::{Function, FunctionBody};
use sqlparser::ast;
use types::builtin::Volatility;
use types::{Datum, Oid, Result, SqlError, SqlState, SqlType, oid};

/// Functions inside of functions' bodies.
const EXPANSIONS_MAX: usize = 40;
/// Nodes of an argument that may be computed more than once rather than beside the body.
const CHEAP_NODES_MAX: usize = 3;

/// What a body's `$1` and names mean.
#[derive(Clone)]
pub(super) struct FunctionScope {
    pub(super) name: String,
    /// Name (or none) and value of each input.
    pub(super) parameters: Vec<(String, Expr)>,
}

/// A body bound for one call.
struct Body {
    query: BoundQuery,
    /// Arguments that are computed beside it.
    arguments: Vec<(ColumnId, Expr)>,
    /// All arguments as the body reads them.
    values: Vec<Expr>,
}

impl Binder<'_> {
    /// The call as a value.
    pub(super) fn user_value(&mut self, call: UserCall) -> Result<Expr> {
        if call.function.aggregate().is_some() {
            return Err(unsupported(&format!("aggregate {} in this place", call.function.name), call.position));
        }
        if self.is_checked(&call.function) {
            return Ok(Expr::new(ExprKind::Const(Datum::Null), call.result, call.position));
        }
        if self.is_recording() {
            return self.recorded_value(&call);
        }
        if call.function.returns_set {
            return self.user_set(call);
        }
        let body = self.function_body(&call)?;
        let shape = self.shape(&call);
        let value = match &shape {
            Shape::Value(_) => value_of(&body.query),
            Shape::Row { ty, .. } if ty.oid != oid::RECORD => row_of(&body.query, *ty),
            _ => None,
        };
        match value.and_then(|expr| in_place(&call.function, &body, expr)) {
            Some(value) => {
                self.has_inlined = true;
                let ty = value.ty;
                let inlined = Inlined { function: Some(call.function), operator: None, args: call.args, body: value };
                Ok(Expr::new(ExprKind::Inlined(Box::new(inlined)), ty, call.position))
            }
            None => self.as_subquery(&call, body, &shape),
        }
    }

    /// While a new function is checked, a call of itself is a value of its type.
    fn is_checked(&self, function: &Function) -> bool {
        self.checks_function && self.expanding.contains(&function.id)
    }

    /// The call as a subquery of one row.
    fn as_subquery(&mut self, call: &UserCall, body: Body, shape: &Shape) -> Result<Expr> {
        self.refuse_in_stored(&call.function, call.position)?;
        let output: Vec<ColumnId> = body.query.columns.iter().map(|c| c.id).collect();
        let (kind, ty) = match shape {
            Shape::Value(ty) => (SubqueryKind::Scalar, *ty),
            // All rows are computed, for what else they do.
            Shape::Void => (SubqueryKind::Array, SqlType::new(oid::TEXT_ARRAY)),
            Shape::Row { ty, .. } => (SubqueryKind::Row, *ty),
            Shape::Open => (SubqueryKind::Row, SqlType::RECORD),
        };
        let is_void = matches!(shape, Shape::Void);
        let plan = match is_void {
            true => with_arguments(&call.function, body),
            false => with_arguments(&call.function, Body { query: first_row(body.query), ..body }),
        };
        let correlated = columns::free(&plan).into_iter().collect();
        let subquery = Subquery { kind, plan, output, correlated, tree: None };
        let value = Expr::new(ExprKind::Subquery(Box::new(subquery)), ty, call.position);
        Ok(if is_void { void_of(value, call.position) } else { value })
    }

    /// A stored expression is evaluated without a plan.
    fn refuse_in_stored(&self, function: &Function, position: u32) -> Result<()> {
        match self.scopes.last().map(|scope| scope.clause) {
            Some(Clause::Stored { places, .. }) => {
                let what = format!("function {}, whose body is a query, in {places}", function.name);
                Err(unsupported(&what, position))
            }
            _ => Ok(()),
        }
    }

    /// Rows of a set in a select list: all are computed, and then put side by side with those of other calls.
    fn user_set(&mut self, call: UserCall) -> Result<Expr> {
        self.refuse_in_stored(&call.function, call.position)?;
        let shape = self.shape(&call);
        let mut body = self.function_body(&call)?;
        let (element, fields) = match &shape {
            Shape::Value(ty) => (*ty, vec![]),
            Shape::Row { ty, fields } => (*ty, fields.clone()),
            Shape::Open => (SqlType::RECORD, vec![]),
            Shape::Void => return Err(unsupported("a function that returns a set of void", call.position)),
        };
        // An array of arrays would be one of more dimensions.
        let is_wrapped = element.is_array();
        if is_wrapped || !matches!(shape, Shape::Value(_)) {
            let (names, values): (Vec<_>, Vec<_>) =
                body.query.columns.iter().map(|c| (c.name.clone(), Expr::column(c.id, c.ty))).unzip();
            let row = Expr::new(ExprKind::Row { fields: values, names }, SqlType::RECORD, 0);
            let id = self.new_column("row", SqlType::RECORD, 0, 0);
            let input = Box::new(std::mem::replace(&mut body.query.node, Node::OneRow));
            body.query.node = Node::Project { input, exprs: vec![(id, row)] };
            body.query.columns = vec![Name { name: "row".to_owned(), id, ty: SqlType::RECORD }];
        }
        let output = body.query.columns.iter().map(|c| c.id).collect();
        let plan = with_arguments(&call.function, body);
        let correlated = columns::free(&plan).into_iter().collect();
        let element = if is_wrapped { SqlType::RECORD } else { element };
        let array = match element.oid {
            oid::RECORD => SqlType::new(oid::RECORD_ARRAY),
            _ => self.array_of(element, call.position)?,
        };
        let subquery = Subquery { kind: SubqueryKind::Array, plan, output, correlated, tree: None };
        let array = Expr::new(ExprKind::Subquery(Box::new(subquery)), array, call.position);
        let unnest = self.function("unnest", &[oid::ANYARRAY], call.position)?;
        let args = vec![array];
        let kind = ExprKind::Call { proc: unnest.item, args, variadic_array: false, form: CallForm::Function };
        let set = self.set_returning(Expr::new(kind, element, call.position), call.position)?;
        if is_wrapped {
            return Ok(Expr::new(ExprKind::Field { row: Box::new(set), index: 0 }, call.result, call.position));
        }
        if let (ExprKind::Column(id), false) = (&set.kind, fields.is_empty()) {
            self.records.push((*id, fields));
        }
        Ok(set)
    }

    fn array_of(&self, element: SqlType, position: u32) -> Result<SqlType> {
        let of_row = self.context.catalog.relation_of_type(element.oid).map(|r| r.row_array_type);
        let found = of_row.or_else(|| element.array().map(|t| t.oid));
        found.map(SqlType::new).ok_or_else(|| unsupported("a set of this type in a select list", position))
    }

    /// The call as a FROM item: its rows, and its columns with their names. `item` names the column of a plain value.
    pub(super) fn user_rows(&mut self, call: UserCall, item: &str) -> Result<(Node, Vec<Name>)> {
        let shape = self.shape(&call);
        let column_name = match call.outputs.as_slice() {
            [(name, _)] if !name.is_empty() => name.clone(),
            _ => item.to_owned(),
        };
        let is_value = matches!(shape, Shape::Value(_) | Shape::Void);
        if is_value && !call.function.returns_set && !self.is_recording() {
            let expr = self.user_value(call)?;
            let (id, ty) = (self.new_column(&column_name, expr.ty, 0, 0), expr.ty);
            let node = Node::Project { input: Box::new(Node::OneRow), exprs: vec![(id, expr)] };
            return Ok((node, vec![Name { name: column_name, id, ty }]));
        }
        if self.is_checked(&call.function) || self.is_recording() {
            let (node, mut names) = self.checked_rows(&shape);
            if is_value {
                names.iter_mut().for_each(|n| n.name.clone_from(&column_name));
            }
            return Ok((node, names));
        }
        let body = self.function_body(&call)?;
        let mut names = body.query.columns.clone();
        if is_value {
            names.iter_mut().for_each(|n| n.name.clone_from(&column_name));
        }
        if call.function.returns_set {
            return Ok((with_arguments(&call.function, body), names));
        }
        // One row, of NULLs where the body has none.
        let on = if call.function.strict { not_null(&body.values) } else { vec![] };
        let left = arguments_row(body.arguments).unwrap_or(Node::OneRow);
        let right = Box::new(first_row(body.query).node);
        let node = Node::Join { kind: JoinKind::Left, left: Box::new(left), right, on, lateral: true };
        Ok((node, names))
    }

    fn checked_rows(&mut self, shape: &Shape) -> (Node, Vec<Name>) {
        let fields = match shape {
            Shape::Row { fields, .. } => fields.clone(),
            Shape::Value(ty) => vec![(String::new(), *ty)],
            Shape::Void | Shape::Open => vec![],
        };
        let (mut names, mut exprs) = (vec![], vec![]);
        for (name, ty) in fields {
            let id = self.new_column(&name, ty, 0, 0);
            exprs.push((id, Expr::constant(Datum::Null, ty)));
            names.push(Name { name, id, ty });
        }
        (Node::Project { input: Box::new(Node::OneRow), exprs }, names)
    }

    /// Binds the body for a call's arguments, its columns as the function declares them.
    fn function_body(&mut self, call: &UserCall) -> Result<Body> {
        let function = &call.function;
        if self.expanding.len() >= EXPANSIONS_MAX {
            let message = "stack depth limit exceeded";
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, message)
                .hint(format!(
                    "Functions are expanded where they are called, at most {EXPANSIONS_MAX} inside each other."
                ))
                .at(call.position));
        }
        let (mut arguments, mut values) = (vec![], vec![]);
        for arg in &call.args {
            let mut value = arg.clone();
            if !is_trivial(arg) {
                let id = self.new_column("argument", arg.ty, 0, 0);
                value = Expr::column(id, arg.ty);
                arguments.push((id, arg.clone()));
            }
            values.push(value);
        }
        let names = function.inputs().map(|p| p.name.clone());
        let parameters = names.zip(values.iter().cloned()).collect();
        let scope = FunctionScope { name: function.name.clone(), parameters };
        let shape = self.shape(call);
        let mut context = self.context.clone();
        if function.security_definer {
            context.role = function.owner;
        }
        if let Some(path) = search_path_of(&context, &function.body) {
            context.search_path = path;
        }
        self.expanding.push(function.id);
        let query = self.inside(&context, Lines::default(), |inner| inner.function_query(function, scope, &shape));
        self.expanding.pop();
        let mut query = query.map_err(|mut e| {
            e.fields_mut().position = None;
            e.fields_mut().context.get_or_insert_with(|| format!("SQL function \"{}\" during inlining", function.name));
            e
        })?;
        query.correlated = columns::free(&query.node).into_iter().collect();
        Ok(Body { query, arguments, values })
    }

    /// The body's query in a binder of its own, coerced to the function's result.
    fn function_query(&mut self, function: &Function, scope: FunctionScope, shape: &Shape) -> Result<BoundQuery> {
        self.function = Some(scope);
        let statements = parse::parse(&source(&function.body), true)?;
        let Some(query) = only_query(&statements) else {
            return Err(SqlError::unsupported(format!("the body of function {} is not supported", function.name)));
        };
        let mut bound = self.query(query)?;
        self.as_result(&mut bound, shape, &function.body)?;
        Ok(bound)
    }

    /// `$1` in a body.
    pub(super) fn body_parameter(scope: &FunctionScope, number: usize) -> Option<Expr> {
        scope.parameters.get(number).map(|(_, value)| value.clone())
    }

    /// A name that is no column: a parameter, `function.parameter`, or a field of a parameter.
    pub(super) fn body_name(&mut self, parts: &[ast::Ident]) -> Result<Option<Expr>> {
        let Some(scope) = &self.function else { return Ok(None) };
        let names: Vec<String> = parts.iter().map(super::scope::fold).collect();
        let value = |name: &str| {
            let found = scope.parameters.iter().find(|(parameter, _)| parameter == name);
            found.filter(|_| !name.is_empty()).map(|(_, value)| value.clone())
        };
        match names.as_slice() {
            [name] => Ok(value(name)),
            [function, name] if *function == scope.name && value(name).is_some() => Ok(value(name)),
            [name, field] => match value(name) {
                Some(row) => self.field(row, field).map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }
}

/// A complete statement has the bodies alone.
pub(super) fn settle(query: &mut Query) {
    let roots = query.ctes.iter_mut().map(|c| &mut c.plan).chain([&mut query.root]);
    roots.for_each(|root| walk::each_expr_mut(root, &mut body_alone));
}

pub(super) fn body_alone(expr: &mut Expr) {
    while let ExprKind::Inlined(call) = &mut expr.kind {
        let body = std::mem::replace(&mut call.body, Expr::constant(Datum::Null, SqlType::UNKNOWN));
        *expr = Expr { ty: expr.ty, ..body };
    }
    if let ExprKind::Subquery(subquery) = &mut expr.kind {
        walk::each_expr_mut(&mut subquery.plan, &mut body_alone);
    }
    expr.children_mut().into_iter().for_each(body_alone);
}

/// Where names in a body are looked up that was bound when the function was made.
pub(super) fn search_path_of(context: &BindContext, body: &FunctionBody) -> Option<Vec<Oid>> {
    let path = match body {
        FunctionBody::Text(_) | FunctionBody::Aggregate(_) => return None,
        FunctionBody::Return { search_path, .. } | FunctionBody::Atomic { search_path, .. } => search_path.iter(),
    };
    Some(path.filter_map(|s| context.catalog.schema_by_name(context.database, s).map(|s| s.id)).collect())
}

/// The body as statements.
pub(super) fn source(body: &FunctionBody) -> String {
    match body {
        FunctionBody::Text(text) => text.clone(),
        FunctionBody::Return { expression, .. } => format!("SELECT {expression}"),
        // Never asked for.
        FunctionBody::Aggregate(_) => String::new(),
        FunctionBody::Atomic { query, .. } => query.clone(),
    }
}

pub(super) fn only_query(statements: &[Statement]) -> Option<&ast::Query> {
    match statements {
        [only] if !only.is_write() => only.as_query(),
        _ => None,
    }
}

/// Whether an argument may stand in any number of places.
fn is_trivial(arg: &Expr) -> bool {
    fn count(expr: &Expr) -> usize {
        1 + expr.children().into_iter().map(count).sum::<usize>()
    }
    let is_leaf =
        matches!(arg.kind, ExprKind::Column(_) | ExprKind::Input(_) | ExprKind::Const(_) | ExprKind::Parameter(_));
    let has_subquery = || arg.any(&mut |e| matches!(e.kind, ExprKind::Subquery(_)));
    is_leaf || count(arg) <= CHEAP_NODES_MAX && !has_subquery() && volatility(arg) == Volatility::Immutable
}

/// That the values are not NULL; constants need no asking.
fn not_null(values: &[Expr]) -> Vec<Expr> {
    let asked = values.iter().filter(|v| !matches!(&v.kind, ExprKind::Const(value) if !value.is_null()));
    let test = |value: &Expr| {
        let kind = ExprKind::IsNull { arg: Box::new(value.clone()), negated: true, of_row: false };
        Expr::new(kind, SqlType::BOOL, 0)
    };
    asked.map(test).collect()
}

/// The expressions of a body that has nothing else: `SELECT expression, …`.
fn values_of(query: &BoundQuery) -> Option<Vec<Expr>> {
    fn value(node: &Node, id: ColumnId) -> Option<Expr> {
        let Node::Project { input, exprs } = node else { return None };
        let (_, expr) = exprs.iter().find(|(column, _)| *column == id)?;
        let mut expr = expr.clone();
        match &**input {
            Node::OneRow => Some(expr),
            Node::Project { exprs: inner, .. } => {
                let mut is_whole = true;
                expr.rewrite(&mut |e| {
                    if let ExprKind::Column(column) = e.kind
                        && inner.iter().any(|(id, _)| *id == column)
                    {
                        match value(input, column) {
                            Some(found) => *e = found,
                            None => is_whole = false,
                        }
                    }
                });
                let is_plain = matches!(&**input, Node::Project { input, .. } if matches!(**input, Node::OneRow));
                (is_whole && is_plain).then_some(expr)
            }
            _ => None,
        }
    }
    query.columns.iter().map(|column| value(&query.node, column.id)).collect()
}

/// The expression of a body that is one.
pub(super) fn value_of(query: &BoundQuery) -> Option<Expr> {
    let [value] = <[Expr; 1]>::try_from(values_of(query)?).ok()?;
    Some(value)
}

/// The row of a body that is expressions for its fields, or one whose fields they are.
fn row_of(query: &BoundQuery, ty: SqlType) -> Option<Expr> {
    let fields = values_of(query)?;
    let source = |(at, field): (usize, &Expr)| match &field.kind {
        ExprKind::Field { row, index } if *index == at => Some((**row).clone()),
        _ => None,
    };
    let sources: Option<Vec<Expr>> = fields.iter().enumerate().map(source).collect();
    if let Some(rows) = sources
        && let [first, others @ ..] = rows.as_slice()
    {
        if first.ty.oid == ty.oid && others.iter().all(|other| super::group::same(first, other)) {
            return Some(first.clone());
        }
        // Read for each field, it would be computed for each.
        if rows.iter().any(|row| volatility(row) == Volatility::Volatile) {
            return None;
        }
    }
    let names = query.columns.iter().map(|c| c.name.clone()).collect();
    Some(Expr::new(ExprKind::Row { fields, names }, ty, 0))
}

/// The body's expression with the arguments in their places; None where that would compute one of them twice, or not at
/// all though it must be.
fn in_place(function: &Function, body: &Body, mut expr: Expr) -> Option<Expr> {
    for (id, arg) in &body.arguments {
        let mut uses = 0;
        let mut in_subquery = false;
        expr.any(&mut |e| {
            match &e.kind {
                ExprKind::Column(column) if column == id => uses += 1,
                ExprKind::Subquery(subquery) => in_subquery |= columns::subquery_free(subquery).contains(id),
                _ => {}
            }
            false
        });
        if in_subquery || uses != 1 || function.strict {
            return None;
        }
        expr.rewrite(&mut |e| {
            if matches!(e.kind, ExprKind::Column(column) if column == *id) {
                *e = arg.clone();
            }
        });
    }
    if !function.strict {
        return Some(expr);
    }
    let present = not_null(&body.values);
    if present.is_empty() {
        return Some(expr);
    }
    let (condition, ty) = (Expr::new(ExprKind::And(present), SqlType::BOOL, 0), expr.ty);
    Some(Expr::new(ExprKind::Case { operand: None, branches: vec![(condition, expr)], otherwise: None }, ty, 0))
}

fn first_row(query: BoundQuery) -> BoundQuery {
    let limit = Some(Expr::constant(Datum::Int8(1), SqlType::INT8));
    let is_one = matches!(&query.node, Node::Project { input, .. } if matches!(**input, Node::OneRow));
    match is_one {
        true => query,
        false => {
            let node = Node::Limit { input: Box::new(query.node), limit, offset: None, with_ties: false };
            BoundQuery { node, ..query }
        }
    }
}

/// The row of arguments that are computed beside the body.
fn arguments_row(arguments: Vec<(ColumnId, Expr)>) -> Option<Node> {
    (!arguments.is_empty()).then(|| Node::Project { input: Box::new(Node::OneRow), exprs: arguments })
}

/// The body's rows, for which its arguments are computed once; none where it is strict and one of them is NULL.
fn with_arguments(function: &Function, body: Body) -> Node {
    let predicate = if function.strict { not_null(&body.values) } else { vec![] };
    let filtered = |input: Node| match predicate.is_empty() {
        true => input,
        false => Node::Filter { input: Box::new(input), predicate: predicate.clone() },
    };
    match arguments_row(body.arguments) {
        Some(row) => cross(filtered(row), body.query.node),
        None => filtered(body.query.node),
    }
}

/// NULL, as PostgreSQL has it here, after `value` has been computed.
fn void_of(value: Expr, position: u32) -> Expr {
    let void = || Expr::constant(Datum::Null, SqlType::new(oid::VOID));
    let is_null = ExprKind::IsNull { arg: Box::new(value), negated: false, of_row: false };
    let branches = vec![(Expr::new(is_null, SqlType::BOOL, 0), void())];
    let kind = ExprKind::Case { operand: None, branches, otherwise: Some(Box::new(void())) };
    Expr::new(kind, SqlType::new(oid::VOID), position)
}
