//! Aggregates: which query they belong to, what their arguments may hold, and GROUPING.
//!
//! An aggregate belongs to the innermost query whose columns its arguments read, which may be one around the query that it is
//! written in; of no columns at all, to that one.

use super::Binder;
use super::resolve::Candidate;
use super::scope::{Clause, GroupingCall};
use super::set_returning::{MOVE_TO_LATERAL, set_in};
use super::unsupported;
use crate::aggregate::AggregateFunction;
use crate::expr::{CallForm, Expr, ExprKind};
use crate::logical::{AggregateCall, ColumnId, SortKey};
use crate::plan::columns;
use crate::tree::Made;
use sqlparser::ast;
use types::builtin::Proc;
use types::{Datum, Result, SqlError, SqlState, SqlType};

/// Arguments of GROUPING: bits of an integer.
const GROUPING_ARGUMENTS_MAX: usize = 31;

/// An aggregate's parts before its query is known.
pub(super) struct AggregateParts {
    pub(super) args: Vec<Expr>,
    pub(super) direct: Vec<Expr>,
    pub(super) distinct: bool,
    pub(super) order_by: Vec<SortKey>,
    pub(super) filter: Option<Expr>,
}

impl AggregateParts {
    fn exprs(&self) -> Vec<&Expr> {
        let keys = self.order_by.iter().map(|k| &k.expr);
        self.args.iter().chain(&self.direct).chain(keys).chain(&self.filter).collect()
    }
}

/// The place of the first part of `expr` that reads one of these columns.
fn place_of(exprs: &[&Expr], is_wanted: impl Fn(ColumnId) -> bool) -> Option<u32> {
    let mut found = None;
    for expr in exprs {
        expr.any(&mut |e| {
            if let ExprKind::Column(id) = e.kind
                && found.is_none()
                && is_wanted(id)
            {
                found = Some(e.position);
            }
            found.is_some()
        });
    }
    found
}

impl Binder<'_> {
    /// Arguments, DISTINCT, ORDER BY and FILTER as written. The arguments are bound already.
    pub(super) fn aggregate_parts(
        &mut self,
        args: Vec<Expr>,
        list: &ast::FunctionArgumentList,
        filter: Option<&ast::Expr>,
        position: u32,
    ) -> Result<AggregateParts> {
        let order_by = self.aggregate_order(list, position)?;
        let filter = self.filter_condition(filter)?;
        let distinct = list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct);
        Ok(AggregateParts { args, direct: vec![], distinct, order_by, filter })
    }

    pub(super) fn filter_condition(&mut self, filter: Option<&ast::Expr>) -> Result<Option<Expr>> {
        let Some(filter) = filter else { return Ok(None) };
        let clause = self.enter(Clause::Filter);
        let bound = self.expr(filter).and_then(|f| self.boolean(f, "FILTER"));
        self.enter(clause);
        bound.map(Some)
    }

    pub(super) fn aggregate(
        &mut self,
        chosen: &Candidate<&'static Proc>,
        mut parts: AggregateParts,
        position: u32,
    ) -> Result<Expr> {
        let proc = chosen.item;
        let (args, ty) = self.convert_args(&chosen.args, proc.result, std::mem::take(&mut parts.args))?;
        parts.args = args;
        self.require_implemented(proc, position)?;
        self.aggregate_of(AggregateFunction::Builtin(proc), parts, ty, position)
    }

    /// The same with its arguments converted.
    pub(super) fn aggregate_of(
        &mut self,
        function: AggregateFunction,
        mut parts: AggregateParts,
        ty: SqlType,
        position: u32,
    ) -> Result<Expr> {
        self.check_aggregate_parts(&parts)?;
        if parts.distinct {
            self.check_distinct(function.name(), &mut parts, position)?;
        }
        let depth = self.depth_of(&parts, position)?;
        self.check_nested_queries(&parts, depth, position)?;
        let scope = self.scopes.get(depth).ok_or_else(|| SqlError::internal("an aggregate has a query"))?;
        if !scope.clause.takes_aggregates() {
            let message = format!("aggregate functions are not allowed in {}", scope.clause.place());
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position));
        }
        let output = self.new_column(function.name(), ty, 0, 0);
        let AggregateParts { args, direct, distinct, order_by, filter } = parts;
        let call = AggregateCall { function, args, direct, distinct, order_by, filter, output, ty };
        self.record_made(call.output, || Made::Aggregate(call.clone()));
        let output = match self.known_aggregate(depth, &call) {
            Some(known) => known,
            None => {
                if let Some(scope) = self.scopes.get_mut(depth) {
                    scope.aggregates.push(call);
                    scope.aggregates_at.push(position);
                }
                output
            }
        };
        Ok(Expr { position, ..Expr::column(output, ty) })
    }

    /// What an outer query aggregates must not read WITH queries that are defined inside of that query.
    fn check_nested_queries(&self, parts: &AggregateParts, depth: usize, position: u32) -> Result<()> {
        if depth + 1 >= self.scopes.len() {
            return Ok(());
        }
        let nested = self.ctes_within(depth);
        let reads = |e: &Expr| match &e.kind {
            ExprKind::Subquery(subquery) => super::walk::reads_cte(&subquery.plan, &nested),
            _ => false,
        };
        match !nested.is_empty() && parts.exprs().iter().any(|e| e.any(&mut |e| reads(e))) {
            true => Err(SqlError::unsupported("outer-level aggregate cannot use a nested CTE").at(position)),
            false => Ok(()),
        }
    }

    /// The same aggregate written before: it is computed once.
    fn known_aggregate(&self, depth: usize, call: &AggregateCall) -> Option<ColumnId> {
        let same =
            |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| super::group::same(a, b));
        let is_stable = |e: &Expr| super::volatility(e) != types::builtin::Volatility::Volatile;
        let is_plain = |c: &AggregateCall| c.order_by.is_empty() && c.direct.is_empty();
        if !is_plain(call) || !call.args.iter().chain(&call.filter).all(is_stable) {
            return None;
        }
        let known = self.scopes.get(depth)?.aggregates.iter().find(|c| {
            c.function.is_same(&call.function)
                && is_plain(c)
                && c.distinct == call.distinct
                && same(&c.args, &call.args)
                && same(c.filter.as_slice(), call.filter.as_slice())
        });
        known.map(|c| c.output)
    }

    /// No window functions and no sets inside.
    fn check_aggregate_parts(&mut self, parts: &AggregateParts) -> Result<()> {
        let exprs = parts.exprs();
        let scope = self.scope()?;
        let in_window = |id: ColumnId| scope.windows.iter().any(|w| w.calls.iter().any(|c| c.output == id));
        if let Some(at) = place_of(&exprs, in_window) {
            let message = "aggregate function calls cannot contain window function calls";
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(at));
        }
        if exprs.iter().any(|e| set_in(scope, e)) {
            let at = place_of(&exprs, |id| scope.set_calls.iter().any(|s| s.output == id)).unwrap_or(0);
            let message = "aggregate function calls cannot contain set-returning function calls";
            return Err(SqlError::unsupported(message).hint(MOVE_TO_LATERAL).at(at));
        }
        Ok(())
    }

    fn check_distinct(&mut self, name: &str, parts: &mut AggregateParts, position: u32) -> Result<()> {
        if parts.args.is_empty() {
            let message = format!("DISTINCT specified, but {name}(*) takes no arguments");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(position));
        }
        for key in &mut parts.order_by {
            // An argument that was cast to what the function takes is still the one that was written, and not what it was cast to.
            let Some(arg) = parts.args.iter().find(|a| super::group::same(without_cast(a), &key.expr)) else {
                let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
                return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(key.expr.position));
            };
            key.expr = Expr { position: key.expr.position, ..arg.clone() };
        }
        for arg in &parts.args {
            self.require_equality(arg.ty, arg.position)?;
        }
        Ok(())
    }

    /// The query that an aggregate of these parts belongs to, as an index into the scopes.
    fn depth_of(&self, parts: &AggregateParts, _position: u32) -> Result<usize> {
        let exprs = parts.exprs();
        let (mut by_column, mut by_aggregate) = (None, None);
        for id in exprs.iter().flat_map(|e| columns::used(e)) {
            by_column = by_column.max(self.scopes.iter().rposition(|s| s.has_column(id)));
            let is_made = |s: &super::scope::Scope| s.aggregates.iter().any(|a| a.output == id);
            by_aggregate = by_aggregate.max(self.scopes.iter().rposition(is_made));
        }
        let depth = by_column.max(by_aggregate);
        self.check_direct(parts)?;
        if by_aggregate.is_some() && by_aggregate == depth {
            let at = by_aggregate
                .and_then(|d| self.scopes.get(d))
                .and_then(|scope| place_of(&exprs, |id| scope.aggregates.iter().any(|a| a.output == id)));
            let message = "aggregate function calls cannot be nested";
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(at.unwrap_or(0)));
        }
        Ok(depth.unwrap_or(self.scopes.len().saturating_sub(1)))
    }

    /// Direct arguments have one value for a group of the query that the aggregated rows are of: nothing inside it tells them.
    fn check_direct(&self, parts: &AggregateParts) -> Result<()> {
        let depth_of = |id: ColumnId| self.scopes.iter().rposition(|s| s.has_column(id));
        let keys = parts.order_by.iter().map(|k| &k.expr);
        let rows = parts.args.iter().chain(keys).chain(&parts.filter);
        let depth = rows.flat_map(columns::used).filter_map(depth_of).max();
        let direct: Vec<&Expr> = parts.direct.iter().collect();
        match place_of(&direct, |id| depth.is_some() && depth_of(id) > depth) {
            None => Ok(()),
            Some(at) => {
                let message = "outer-level aggregate cannot contain a lower-level variable in its direct arguments";
                Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(at))
            }
        }
    }

    pub(super) fn aggregate_order(&mut self, list: &ast::FunctionArgumentList, position: u32) -> Result<Vec<SortKey>> {
        let mut keys = vec![];
        for clause in &list.clauses {
            let ast::FunctionArgumentClause::OrderBy(exprs) = clause else {
                return Err(unsupported("this clause of an aggregate", position));
            };
            for by in exprs {
                let expr = self.expr(&by.expr)?;
                let at = expr.position;
                keys.push(self.sort_key(expr, &by.options, at)?);
            }
        }
        Ok(keys)
    }

    /// GROUPING(…) of the query at hand: what it yields is known when the groups are.
    pub(super) fn grouping(&mut self, args: Vec<Expr>, position: u32) -> Result<Expr> {
        if args.len() > GROUPING_ARGUMENTS_MAX {
            let message = "GROUPING must have fewer than 32 arguments";
            return Err(SqlError::new(SqlState::TOO_MANY_ARGUMENTS, message).at(position));
        }
        let used = args.iter().flat_map(columns::used);
        let depth = used.filter_map(|id| self.scopes.iter().rposition(|s| s.has_column(id))).max();
        let depth = depth.unwrap_or(self.scopes.len().saturating_sub(1));
        let scope = self.scopes.get(depth).ok_or_else(|| SqlError::internal("GROUPING has a query"))?;
        if !scope.clause.takes_aggregates() {
            let message = format!("grouping operations are not allowed in {}", scope.clause.place());
            return Err(SqlError::new(SqlState::GROUPING_ERROR, message).at(position));
        }
        let output = self.new_column("grouping", SqlType::INT4, 0, 0);
        self.record_made(output, || Made::Grouping(args.clone()));
        if let Some(scope) = self.scopes.get_mut(depth) {
            scope.groupings.push(GroupingCall { output, args });
        }
        Ok(Expr { position, ..Expr::column(output, SqlType::INT4) })
    }
}

fn without_cast(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Relabel(inner, CallForm::ImplicitCast) | ExprKind::InOut(inner, CallForm::ImplicitCast) => inner,
        ExprKind::Call { args, form: CallForm::ImplicitCast, .. } => args.first().unwrap_or(expr),
        _ => expr,
    }
}

/// GROUPING where there is one set of groups alone: nothing is left out.
pub(super) fn none_left_out(position: u32) -> Expr {
    Expr { position, ..Expr::constant(Datum::Int4(0), SqlType::INT4) }
}
