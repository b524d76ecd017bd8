//! `min(column)` and `max(column)`, where an index has the column's values in order, read the first row of that order.
//!
//! ```text
//! Aggregate max(c) (scan)   ->   Aggregate max(c) (Limit 1 (Sort c DESC (Filter c IS NOT NULL (scan))))
//! ```
//!
//! The sort falls away when the scan is planned. Only scans all of whose conditions the index takes are rewritten: others might
//! read long before a row passes. Several calls become a cross product of one-row aggregates.

use crate::expr::{Expr, ExprKind};
use crate::logical::{AggregateCall, JoinKind, Node, SortKey};
use crate::physical::KeyEqual;
use crate::plan::bounds::match_key;
use crate::plan::columns::children_mut;
use crate::plan::join::plain_scan;
use crate::plan::keys::keys_of;
use crate::plan::{PlanContext, columns};
use types::{Datum, SqlType};

/// Calls of one aggregate that are rewritten; each makes a scan.
const CALLS_MAX: usize = 4;

pub(super) fn apply(context: &PlanContext, node: &mut Node) {
    children_mut(node).into_iter().for_each(|child| apply(context, child));
    let Node::Aggregate { input, groups, sets: None, calls, .. } = node else { return };
    if !groups.is_empty() || calls.is_empty() || calls.len() > CALLS_MAX {
        return;
    }
    let firsts: Option<Vec<Node>> = calls.iter().map(|call| first(context, input, call)).collect();
    let Some(firsts) = firsts else { return };
    let joined = firsts.into_iter().reduce(|left, right| {
        let (left, right) = (Box::new(left), Box::new(right));
        Node::Join { kind: JoinKind::Inner, left, right, on: vec![], lateral: false }
    });
    if let Some(joined) = joined {
        *node = joined;
    }
}

/// The aggregate of one call over the row that has its value.
fn first(context: &PlanContext, input: &Node, call: &AggregateCall) -> Option<Node> {
    let descending = match call.function.builtin_name() {
        "min" => false,
        "max" => true,
        _ => return None,
    };
    let [arg] = &call.args[..] else { return None };
    let is_plain = !call.distinct && call.filter.is_none() && call.order_by.is_empty();
    if !is_plain || !matches!(arg.kind, ExprKind::Column(_)) {
        return None;
    }
    let (scan, conditions) = plain_scan(input)?;
    let is_ordered = keys_of(context, scan, conditions).iter().any(|key| {
        let matched = match_key(scan, key, conditions);
        let equal = &matched.bounds.equal;
        let is_next = key.columns.get(equal.len()).is_some_and(|column| column.is(scan, arg));
        is_next
            && !equal.iter().any(|e| matches!(e, KeyEqual::AnyOf(_)))
            && (0..conditions.len()).all(|i| matched.consumed.contains(&i))
    });
    if !is_ordered || conditions.iter().any(columns::is_volatile) {
        return None;
    }
    let not_null = ExprKind::IsNull { arg: Box::new(arg.clone()), negated: true, of_row: false };
    let mut predicate = conditions.to_vec();
    predicate.push(Expr::new(not_null, SqlType::BOOL, 0));
    let filtered = Node::Filter { input: Box::new(Node::Scan(scan.clone())), predicate };
    let key = SortKey { expr: arg.clone(), descending, nulls_first: false, using: None };
    let sorted = Node::Sort { input: Box::new(filtered), keys: vec![key] };
    let one = Some(Expr::constant(Datum::Int8(1), SqlType::INT8));
    let limited = Node::Limit { input: Box::new(sorted), limit: one, offset: None, with_ties: false };
    Some(Node::Aggregate {
        input: Box::new(limited),
        groups: vec![],
        sets: None,
        group_outputs: vec![],
        set_id: None,
        calls: vec![call.clone()],
    })
}
