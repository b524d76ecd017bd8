//! Calls: functions, aggregates, window functions; and subqueries in expressions.

use super::clause::Outputs;
use super::{Deparser, join, row_compare};
use crate::aggregate::AggregateFunction;
use crate::expr::{CallForm, Expr, ExprKind, Inlined};
use crate::logical::{AggregateCall, Subquery, SubqueryKind, WindowCall, WindowFunction};
use crate::tree::{Made, Over};
use types::builtin;
use types::functions::quote_ident;
use types::{Result, SqlError};

/// Whether it is a query's row, as `row_comparison` takes it.
pub(super) fn is_row_of_query(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Subquery(query) if matches!(query.kind, SubqueryKind::Row) && query.tree.is_some())
}

impl Deparser<'_> {
    pub(super) fn call(
        &self,
        expr: &Expr,
        proc: &builtin::Proc,
        args: &[Expr],
        variadic_array: bool,
        form: CallForm,
        shows_implied: bool,
    ) -> Result<String> {
        match (form, args) {
            (CallForm::Operator(operator), args) => self.operator(operator.name, args, expr),
            (CallForm::ExplicitCast | CallForm::ImplicitCast, [arg, ..]) => self.cast(arg, expr, form, shows_implied),
            (CallForm::SqlSyntax, []) if matches!(proc.name, "current_user" | "session_user" | "current_schema") => {
                Ok(proc.name.to_uppercase())
            }
            (CallForm::SqlSyntax, args) => match self.sql_syntax(proc, args, expr)? {
                Some(text) => Ok(text),
                None => self.plain_call(proc, args, variadic_array),
            },
            _ => self.plain_call(proc, args, variadic_array),
        }
    }

    /// A user's function or operator as it was called.
    pub(super) fn inlined(&self, call: &Inlined, expr: &Expr) -> Result<String> {
        match (&call.operator, &call.function) {
            (Some(operator), _) => self.operator(&self.operator_name(operator), &call.args, expr),
            (None, Some(function)) => {
                Ok(format!("{}({})", self.function_name(function), join(&self.list(&call.args)?)))
            }
            (None, None) => self.bare(&call.body),
        }
    }

    fn plain_call(&self, proc: &builtin::Proc, args: &[Expr], variadic_array: bool) -> Result<String> {
        let mut parts = self.list(args)?;
        if variadic_array && let Some(last) = parts.last_mut() {
            *last = format!("VARIADIC {last}");
        }
        // SQL's own words (`position`, `overlay`) take a comma list when they are quoted.
        Ok(format!("{}({})", quote_ident(proc.name), join(&parts)))
    }

    /// A column that a call makes.
    pub(super) fn made_column(&self, made: &Made) -> Result<String> {
        match made {
            Made::Aggregate(call) => self.aggregate(call),
            Made::Window(call, over) => self.window_call(call, over),
            Made::Grouping(args) => Ok(format!("GROUPING({})", join(&self.list(args)?))),
            Made::Set(call) => self.operand(call),
        }
    }

    fn filter(&self, filter: Option<&Expr>) -> Result<String> {
        match filter {
            Some(filter) => Ok(format!(" FILTER (WHERE {})", self.bare(filter)?)),
            None => Ok(String::new()),
        }
    }

    fn aggregate_name(&self, function: &AggregateFunction) -> String {
        match function {
            AggregateFunction::Builtin(proc) => quote_ident(proc.name).to_string(),
            AggregateFunction::User(aggregate) => match self.catalog.function(aggregate.id) {
                Some(function) => self.function_name(function),
                None => quote_ident(&aggregate.name).to_string(),
            },
        }
    }

    fn aggregate(&self, call: &AggregateCall) -> Result<String> {
        let name = self.aggregate_name(&call.function);
        let is_ordered_set = match &call.function {
            AggregateFunction::Builtin(proc) => builtin::aggregate(proc.oid).is_some_and(|a| a.kind != 'n'),
            AggregateFunction::User(_) => false,
        };
        let order_by = self.order_by(&call.order_by, Outputs::None)?;
        let filter = self.filter(call.filter.as_ref())?;
        if is_ordered_set {
            let direct = join(&self.list(&call.direct)?);
            return Ok(format!("{name}({direct}) WITHIN GROUP (ORDER BY {order_by}){filter}"));
        }
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let args = if call.args.is_empty() { "*".to_owned() } else { join(&self.list(&call.args)?) };
        let order_by = if order_by.is_empty() { order_by } else { format!(" ORDER BY {order_by}") };
        Ok(format!("{name}({distinct}{args}{order_by}){filter}"))
    }

    fn window_call(&self, call: &WindowCall, over: &Over) -> Result<String> {
        let (name, is_aggregate) = match &call.function {
            WindowFunction::Builtin(proc) => (quote_ident(proc.name).to_string(), false),
            WindowFunction::Aggregate(function) => (self.aggregate_name(function), true),
        };
        let args = if call.args.is_empty() && is_aggregate { "*".to_owned() } else { join(&self.list(&call.args)?) };
        let filter = self.filter(call.filter.as_ref())?;
        Ok(format!("{name}({args}){filter} OVER {}", self.over_words(over)?))
    }

    /// A subquery in its place in an expression.
    pub(super) fn subquery(&self, subquery: &Subquery, expr: &Expr) -> Result<String> {
        let Some(tree) = &subquery.tree else {
            return Err(SqlError::unsupported("this kind of expression cannot be stored").at(expr.position));
        };
        let query = self.nested(tree, None, false)?;
        Ok(match &subquery.kind {
            SubqueryKind::Scalar | SubqueryKind::Row => format!("({query})"),
            SubqueryKind::Array => format!("ARRAY({query})"),
            SubqueryKind::Exists => format!("(EXISTS ({query}))"),
            SubqueryKind::AnyAll { comparison, all } => {
                let (left, operator) = self.compared(comparison)?;
                let word = match (operator.as_str(), all) {
                    ("=", false) => "IN".to_owned(),
                    (operator, false) => format!("{operator} ANY"),
                    (operator, true) => format!("{operator} ALL"),
                };
                format!("({left} {word} ({query}))")
            }
        })
    }

    /// `(a, b) op (SELECT …)`, which is bound as a CASE over the query's row.
    pub(super) fn row_comparison(&self, row: &Expr, branches: &[(Expr, Expr)]) -> Result<String> {
        let comparison = match branches.first().map(|(condition, _)| &condition.kind) {
            Some(ExprKind::BoolTest { arg, .. }) => arg,
            _ => return Err(SqlError::internal("a comparison with a row was expected")),
        };
        let (left, operator) = self.compared(comparison)?;
        Ok(format!("({left} {operator} {})", self.operand(row)?))
    }

    /// The left side of a comparison with a subquery's columns, and the operator.
    fn compared(&self, comparison: &Expr) -> Result<(String, String)> {
        let (lefts, operator, is_row) = match &comparison.kind {
            ExprKind::Call { args, form: CallForm::Operator(operator), .. } => {
                (args.iter().take(1).collect::<Vec<_>>(), operator.name.to_owned(), false)
            }
            ExprKind::And(pairs) | ExprKind::Or(pairs) => {
                let of_pair = |pair: &'_ Expr| match &pair.kind {
                    ExprKind::Call { form: CallForm::Operator(operator), .. } => Some(operator.name),
                    _ => None,
                };
                let operator = pairs.first().and_then(of_pair).unwrap_or("=").to_owned();
                let lefts = pairs.iter().filter_map(|pair| pair.children().into_iter().next());
                (lefts.collect(), operator, true)
            }
            ExprKind::RowCompare { op, left, .. } => (left.iter().collect(), row_compare(*op).to_owned(), true),
            _ => return Err(SqlError::unsupported("this comparison cannot be stored").at(comparison.position)),
        };
        let texts = lefts.into_iter().map(|e| self.operand(e)).collect::<Result<Vec<_>>>()?;
        let text = if is_row { format!("({})", join(&texts)) } else { join(&texts) };
        Ok((text, operator))
    }
}
