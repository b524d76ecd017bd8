//! Subqueries in conditions become joins.
//!
//! ```text
//! EXISTS (q)              semi join     on what q's filters say of the enclosing row
//! NOT EXISTS (q)          anti join
//! x IN (q), x = ANY (q)   semi join     on the comparison as well
//! x NOT IN (q)            anti join, which any NULL in q's column empties (`Facts::null_aware`), unless neither side can be NULL
//! (SELECT agg(…) FROM … WHERE k = outer)      left join with the aggregate of every k
//! (SELECT … FROM … WHERE unique key = outer)  left join
//! ```
//!
//! A condition of the subquery that reads the enclosing row is *pulled* out of its filters and inner joins into the
//! join's; where one stays behind, the subquery stays an expression. So it does where no equality is among them: an
//! index range under a subplan is better than a nested loop over everything. Under row locks nothing is changed, since what
//! is locked is tested again, expression by expression.

use super::Rules;
use crate::expr::{Expr, ExprKind};
use crate::logical::{AggregateCall, ColumnId, JoinKind, Node, Subquery, SubqueryKind};
use crate::plan::columns::{
    self, ColumnSet, children_mut, conjuncts, free, has_subquery, is_volatile, node_is_volatile, output_set,
    substitute, used,
};
use crate::plan::{as_operator, integer_constant, same_type};
use std::collections::{BTreeMap, VecDeque};
use types::{Datum, SqlType};

pub(super) fn apply(rules: &mut Rules, node: &mut Node) {
    match node {
        Node::LockRows { .. } => return,
        Node::Filter { input, predicate } => {
            let (nested, plain): (Vec<_>, Vec<_>) = std::mem::take(predicate).into_iter().partition(has_subquery);
            *predicate = plain;
            let mut nested = VecDeque::from(nested);
            while let Some(mut conjunct) = nested.pop_front() {
                rules.compute_left(&mut conjunct, input);
                match rules.semi_join(&conjunct, input) {
                    Some(outer) => nested.extend(outer),
                    None => {
                        rules.scalars(&mut conjunct, input, predicate);
                        predicate.push(conjunct);
                    }
                }
            }
            if predicate.is_empty() {
                *node = take(input);
                return apply(rules, node);
            }
        }
        Node::Project { input, exprs } => {
            for (_, expr) in exprs {
                rules.scalars(expr, input, &[]);
            }
        }
        _ => {}
    }
    children_mut(node).into_iter().for_each(|child| apply(rules, child));
}

fn take(node: &mut Node) -> Node {
    std::mem::replace(node, Node::OneRow)
}

/// What may be left out of a subquery of which only the existence of rows is asked.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Existence,
    /// Its values, however often each.
    Membership,
    /// All its rows.
    Rows,
}

/// Moves the conditions that read `outer` out of `node`; those with subqueries of their own if they read nothing else.
fn pull(node: &mut Node, outer: &ColumnSet, asked: Asked, into: &mut Vec<Expr>) {
    let inner = output_set(node);
    let reads_outer = |e: &Expr| {
        let used = used(e);
        !used.is_disjoint(outer) && !is_volatile(e) && (!has_subquery(e) || used.is_disjoint(&inner))
    };
    match node {
        Node::Filter { input, predicate } => {
            let mut all = vec![];
            std::mem::take(predicate).into_iter().for_each(|e| conjuncts(e, &mut all));
            let (pulled, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(reads_outer);
            into.extend(pulled);
            *predicate = kept;
            pull(input, outer, asked, into);
            if predicate.is_empty() {
                *node = take(input);
            }
        }
        Node::Join { kind: JoinKind::Inner, left, right, on, lateral: false } => {
            let (pulled, kept): (Vec<_>, Vec<_>) = std::mem::take(on).into_iter().partition(reads_outer);
            into.extend(pulled);
            *on = kept;
            pull(left, outer, asked, into);
            pull(right, outer, asked, into);
        }
        Node::Join { kind: JoinKind::Left | JoinKind::Semi | JoinKind::Anti, left, .. } => {
            pull(left, outer, asked, into);
        }
        Node::Project { input, .. } => pull(input, outer, asked, into),
        Node::Sort { input, .. } => {
            *node = take(input);
            pull(node, outer, asked, into);
        }
        Node::Distinct { input, on: false, .. } if asked != Asked::Rows => {
            *node = take(input);
            pull(node, outer, asked, into);
        }
        Node::Limit { input, limit, offset: None, .. }
            if asked == Asked::Existence
                && limit.as_ref().is_none_or(|e| integer_constant(e).is_some_and(|n| n >= 1)) =>
        {
            *node = take(input);
            pull(node, outer, asked, into);
        }
        _ => {}
    }
}

/// Puts a join with `right` on that part of `input` whose columns `on` reads.
fn attach(input: &mut Node, kind: JoinKind, right: Node, on: Vec<Expr>) {
    let offers = output_set(input);
    let reads: ColumnSet = on.iter().flat_map(used).filter(|id| offers.contains(id)).collect();
    match input {
        Node::Filter { input, .. } => return attach(input, kind, right, on),
        Node::Join { kind: JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti, left, .. }
            if reads.is_subset(&output_set(left)) =>
        {
            return attach(left, kind, right, on);
        }
        Node::Join { kind: JoinKind::Inner, right: other, lateral: false, .. }
            if reads.is_subset(&output_set(other)) =>
        {
            return attach(other, kind, right, on);
        }
        _ => {}
    }
    let left = Box::new(take(input));
    *input = Node::Join { kind, left, right: Box::new(right), on, lateral: false };
}

/// Whether a condition is an equality by which rows of the two sides can be hashed.
fn is_equi(expr: &Expr, left: &ColumnSet, right: &ColumnSet) -> bool {
    let Some((operator, a, b)) = as_operator(expr).filter(|(o, ..)| o.name == "=" && o.can_hash) else { return false };
    let (in_a, in_b) = (used(a), used(b));
    let fits = |x: &ColumnSet, y: &ColumnSet| {
        !x.is_disjoint(left) && x.is_disjoint(right) && !y.is_disjoint(right) && y.is_disjoint(left)
    };
    operator.result == types::oid::BOOL && (fits(&in_a, &in_b) || fits(&in_b, &in_a)) && same_type(a, b).is_some()
}

/// A column that no row of `node` has NULL in.
fn is_not_null(node: &Node, id: ColumnId) -> bool {
    match node {
        Node::Scan(scan) => scan.columns.iter().any(|(what, column)| {
            let attribute = match what {
                crate::logical::ScanColumn::Attribute(n) => scan.relation.column(*n),
                _ => None,
            };
            *column == id && attribute.is_some_and(|c| c.not_null)
        }),
        Node::Filter { input, predicate } => {
            is_not_null(input, id) || predicate.iter().any(|e| columns::rejects_null(e, &ColumnSet::from([id])))
        }
        Node::Project { input, exprs } => match exprs.iter().find(|(made, _)| *made == id) {
            Some((_, expr)) => match &expr.kind {
                ExprKind::Column(from) => is_not_null(input, *from),
                ExprKind::Const(value) => !value.is_null(),
                _ => false,
            },
            None => is_not_null(input, id),
        },
        Node::Sort { input, .. } | Node::Limit { input, .. } | Node::Distinct { input, .. } => is_not_null(input, id),
        Node::Join { kind, left, right, .. } => {
            let (in_left, in_right) = match kind {
                JoinKind::Inner => (true, true),
                JoinKind::Left | JoinKind::Semi | JoinKind::Anti => (true, false),
                JoinKind::Right => (false, true),
                JoinKind::Full => (false, false),
            };
            (in_left && is_not_null(left, id)) || (in_right && is_not_null(right, id))
        }
        _ => false,
    }
}

impl Rules<'_> {
    /// `expression IN (subquery)` with a subquery in the expression as well: that is computed once for each row, below.
    fn compute_left(&mut self, conjunct: &mut Expr, input: &mut Node) {
        let subquery = match &mut conjunct.kind {
            ExprKind::Subquery(subquery) => subquery,
            ExprKind::Not(arg) => match &mut arg.kind {
                ExprKind::Subquery(subquery) => subquery,
                _ => return,
            },
            _ => return,
        };
        let output: ColumnSet = subquery.output.iter().copied().collect();
        let SubqueryKind::AnyAll { comparison, .. } = &mut subquery.kind else { return };
        let ExprKind::Call { args, .. } = &mut comparison.kind else { return };
        for side in args.iter_mut().filter(|e| has_subquery(e) && !is_volatile(e) && used(e).is_disjoint(&output)) {
            let id = self.column_for("left", side);
            let value = std::mem::replace(side, Expr::column(id, side.ty));
            *input = Node::Project { input: Box::new(take(input)), exprs: vec![(id, value)] };
        }
    }

    /// Turns a conjunct over `input` into a semi or anti join with it; gives what else must hold of the outer row.
    fn semi_join(&mut self, conjunct: &Expr, input: &mut Node) -> Option<Vec<Expr>> {
        let (subquery, negated) = match &conjunct.kind {
            ExprKind::Subquery(subquery) => (subquery, false),
            ExprKind::Not(arg) => match &arg.kind {
                ExprKind::Subquery(subquery) => (subquery, true),
                _ => return None,
            },
            _ => return None,
        };
        let asked = match &subquery.kind {
            SubqueryKind::Exists => Asked::Existence,
            SubqueryKind::AnyAll { all: false, comparison }
                if !has_subquery(comparison) && !is_volatile(comparison) =>
            {
                Asked::Membership
            }
            _ => return None,
        };
        if node_is_volatile(&subquery.plan) {
            return None;
        }
        let offers = output_set(input);
        let outer: ColumnSet = free(&subquery.plan).intersection(&offers).copied().collect();
        let mut right = subquery.plan.clone();
        let mut on = vec![];
        pull(&mut right, &outer, asked, &mut on);
        let (left_free, right_offers) = (free(&right), output_set(&right));
        let (elsewhere, mut on): (Vec<Expr>, Vec<Expr>) = on.into_iter().partition(has_subquery);
        if negated && !elsewhere.is_empty() {
            return None;
        }
        let is_correlated = !on.is_empty();
        if !left_free.is_disjoint(&outer) {
            return None;
        }
        if let SubqueryKind::AnyAll { comparison, .. } = &subquery.kind {
            conjuncts(comparison.clone(), &mut on);
        }
        if !on.iter().any(|e| is_equi(e, &offers, &right_offers)) {
            return None;
        }
        let kind = if negated { JoinKind::Anti } else { JoinKind::Semi };
        if let (SubqueryKind::AnyAll { comparison, .. }, true) = (&subquery.kind, negated) {
            let (_, a, b) = as_operator(comparison)?;
            let is_known = |e: &Expr| match e.kind {
                ExprKind::Column(id) => is_not_null(input, id) || is_not_null(&right, id),
                _ => false,
            };
            if !is_known(a) || !is_known(b) {
                // By the one comparison alone a NULL can be told from a mere difference.
                if is_correlated || !is_equi(comparison, &offers, &right_offers) {
                    return None;
                }
                self.facts.null_aware.extend(subquery.output.iter().copied());
            }
        }
        // Where no row finds two partners, it is a plain join, which can stand in any order.
        let estimates = crate::plan::estimate::Estimates { context: self.context, columns: self.columns };
        let kind = match kind == JoinKind::Semi && estimates.is_unique(&right, &on) {
            true => JoinKind::Inner,
            false => kind,
        };
        attach(input, kind, right, on);
        Some(elsewhere)
    }

    /// Replaces scalar subqueries in `expr` by columns of left joins with `input`, whose rows also pass `others`.
    fn scalars(&mut self, expr: &mut Expr, input: &mut Node, others: &[Expr]) {
        if let ExprKind::Subquery(subquery) = &expr.kind {
            if let Some(value) = self.scalar(subquery, input, others) {
                *expr = value;
            }
            return;
        }
        // Where a branch is perhaps never taken, its subquery is perhaps never run.
        if matches!(expr.kind, ExprKind::Case { .. } | ExprKind::Coalesce(_)) {
            return;
        }
        expr.children_mut().into_iter().for_each(|child| self.scalars(child, input, others));
    }

    fn scalar(&mut self, subquery: &Subquery, input: &mut Node, others: &[Expr]) -> Option<Expr> {
        let (SubqueryKind::Scalar, [output]) = (&subquery.kind, &subquery.output[..]) else { return None };
        if node_is_volatile(&subquery.plan) {
            return None;
        }
        let offers = output_set(input);
        let outer: ColumnSet = free(&subquery.plan).intersection(&offers).copied().collect();
        if outer.is_empty() {
            return None;
        }
        let mut plan = subquery.plan.clone();
        let mut made = vec![];
        while let Node::Project { input, exprs } = plan {
            made.push(exprs);
            plan = *input;
        }
        match plan {
            Node::Aggregate { input: inner, groups, sets: None, set_id: None, calls, .. } if groups.is_empty() => {
                let parts = Aggregated { inner: *inner, calls, made, output: *output };
                self.scalar_aggregate(parts, &outer, &offers, input, others)
            }
            _ => self.scalar_row(subquery, *output, &outer, &offers, input),
        }
    }

    fn scalar_aggregate(
        &mut self,
        parts: Aggregated,
        outer: &ColumnSet,
        offers: &ColumnSet,
        input: &mut Node,
        others: &[Expr],
    ) -> Option<Expr> {
        let Aggregated { mut inner, calls, made, output } = parts;
        let is_known = |name: &'static str| EMPTY_IS_NULL.contains(&name) || name == "count";
        if !calls.iter().all(|c| is_known(c.function.builtin_name())) {
            return None;
        }
        let mut pulled = vec![];
        pull(&mut inner, outer, Asked::Rows, &mut pulled);
        let reads_outer = |e: &Expr| !used(e).is_disjoint(outer);
        let call_exprs = |c: &AggregateCall| {
            let keys = c.order_by.iter().map(|k| &k.expr);
            c.args.iter().chain(&c.direct).chain(&c.filter).chain(keys).any(reads_outer)
        };
        if pulled.is_empty() || !free(&inner).is_disjoint(outer) || calls.iter().any(call_exprs) {
            return None;
        }
        let inner_offers = output_set(&inner);
        if !self.pays(input, others, &inner, &pulled) {
            return None;
        }
        let (mut groups, mut group_outputs, mut keys, mut on) = (vec![], vec![], vec![], vec![]);
        for conjunct in pulled {
            if !is_equi(&conjunct, offers, &inner_offers) {
                return None;
            }
            let (_, a, b) = as_operator(&conjunct)?;
            let inside = if used(a).is_disjoint(&inner_offers) { b.clone() } else { a.clone() };
            let group = match inside.kind {
                ExprKind::Column(id) => id,
                _ => {
                    let id = self.column_for("group", &inside);
                    keys.push((id, inside.clone()));
                    id
                }
            };
            let shown = self.column_for("group", &inside);
            groups.push(group);
            group_outputs.push(shown);
            on.push(replace_side(conjunct, &inner_offers, Expr::column(shown, inside.ty)));
        }
        if !keys.is_empty() {
            inner = Node::Project { input: Box::new(inner), exprs: keys };
        }
        // The value over no rows at all: NULL by the padding, 0 of a count.
        let mut values: BTreeMap<ColumnId, Expr> = BTreeMap::new();
        for call in calls.iter().filter(|c| c.function.builtin_name() == "count") {
            let args = vec![Expr::column(call.output, call.ty), Expr::constant(Datum::Int8(0), SqlType::INT8)];
            values.insert(call.output, Expr::new(ExprKind::Coalesce(args), call.ty, 0));
        }
        let ty = self.columns.get(output.0 as usize).map_or(SqlType::UNKNOWN, |c| c.ty);
        for exprs in made.into_iter().rev() {
            for (id, expr) in exprs {
                let expr = substitute(expr, &values);
                values.insert(id, expr);
            }
        }
        let right = Node::Aggregate { input: Box::new(inner), groups, sets: None, group_outputs, set_id: None, calls };
        let value = values.remove(&output).unwrap_or_else(|| Expr::column(output, ty));
        let left = Box::new(take(input));
        *input = Node::Join { kind: JoinKind::Left, left, right: Box::new(right), on, lateral: false };
        Some(value)
    }

    /// Whether computing the aggregate for every key is better than for the keys asked, one by one.
    fn pays(&self, outer: &Node, others: &[Expr], inner: &Node, pulled: &[Expr]) -> bool {
        let estimates = crate::plan::estimate::Estimates { context: self.context, columns: self.columns };
        let (asked, rows) = (estimates.filtered(outer, others), estimates.rows(inner));
        let indexed = pulled.iter().any(|e| estimates.is_indexed(inner, e));
        let each = if indexed { 4.0 * crate::cost::DESCENT } else { rows * crate::cost::TUPLE };
        2.0 * rows * crate::cost::TUPLE + asked * crate::cost::TUPLE < asked * each
    }

    /// A subquery that finds at most one row by a unique key.
    fn scalar_row(
        &mut self,
        subquery: &Subquery,
        output: ColumnId,
        outer: &ColumnSet,
        offers: &ColumnSet,
        input: &mut Node,
    ) -> Option<Expr> {
        let mut right = subquery.plan.clone();
        let mut on = vec![];
        pull(&mut right, outer, Asked::Rows, &mut on);
        let right_offers = output_set(&right);
        let estimates = crate::plan::estimate::Estimates { context: self.context, columns: self.columns };
        let is_one = !on.is_empty()
            && on.iter().all(|e| is_equi(e, offers, &right_offers))
            && free(&right).is_disjoint(outer)
            && estimates.is_unique(&right, &on);
        if !is_one {
            return None;
        }
        let ty = self.columns.get(output.0 as usize).map_or(SqlType::UNKNOWN, |c| c.ty);
        let left = Box::new(take(input));
        *input = Node::Join { kind: JoinKind::Left, left, right: Box::new(right), on, lateral: false };
        Some(Expr::column(output, ty))
    }
}

/// Aggregates that are NULL over no rows.
const EMPTY_IS_NULL: &[&str] = &[
    "sum",
    "min",
    "max",
    "avg",
    "bool_and",
    "bool_or",
    "every",
    "string_agg",
    "array_agg",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "variance",
    "var_samp",
    "var_pop",
    "bit_and",
    "bit_or",
    "json_agg",
    "jsonb_agg",
];

/// The parts of `Project* (Aggregate (inner))`; `made`: the projections, outermost first.
struct Aggregated {
    inner: Node,
    calls: Vec<AggregateCall>,
    made: Vec<Vec<(ColumnId, Expr)>>,
    output: ColumnId,
}

/// The equality with its inner side replaced.
fn replace_side(mut conjunct: Expr, inner: &ColumnSet, by: Expr) -> Expr {
    if let ExprKind::Call { args, .. } = &mut conjunct.kind
        && let Some(side) = args.iter_mut().find(|e| !used(e).is_disjoint(inner))
    {
        *side = by;
    }
    conjunct
}
