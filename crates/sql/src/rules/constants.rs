//! `a.x = b.x AND a.x = 5`: then `b.x = 5` too. Found among the conditions of inner joins and filters, and carried over the
//! condition of an outer or semi join to its right side.

use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, JoinKind, Node};
use crate::plan::as_operator;
use crate::plan::columns::{ColumnSet, children_mut, has_subquery, is_volatile, output_set, used};

/// Adds what follows; whether anything did.
pub(super) fn apply(node: &mut Node) -> bool {
    if !is_cluster(node) {
        return children_mut(node).into_iter().fold(false, |changed, child| apply(child) | changed);
    }
    let mut changed = members(node);
    let mut known = vec![];
    gather(node, &mut known);
    let offers = output_set(node);
    let new = implied(&known, &offers);
    // What is to be told outer joins is found first: what is known borrows from the tree.
    let fact = |e: &&Expr| fixed(e, &offers).map(|(id, _)| (id, (*e).clone()));
    let facts: Vec<(ColumnId, Expr)> = known.iter().filter_map(fact).collect();
    let mut found = vec![];
    outer_joins(node, &facts, &mut found);
    changed |= !found.is_empty() || !new.is_empty();
    add(node, &mut found.into_iter().peekable(), &mut 0);
    if !new.is_empty() {
        let input = Box::new(std::mem::replace(node, Node::OneRow));
        *node = Node::Filter { input, predicate: new };
    }
    changed
}

/// What the conditions of a cluster do not reach: the other sides of its outer joins, and what its relations are made of.
fn members(node: &mut Node) -> bool {
    match node {
        Node::Filter { input, .. } => members(input),
        Node::Join { kind: JoinKind::Inner, left, right, .. } => members(left) | members(right),
        Node::Join { kind: JoinKind::Left | JoinKind::Semi | JoinKind::Anti, left, right, .. } => {
            members(left) | apply(right)
        }
        other => children_mut(other).into_iter().fold(false, |changed, child| apply(child) | changed),
    }
}

fn is_cluster(node: &Node) -> bool {
    match node {
        Node::Join { .. } => true,
        Node::Filter { input, .. } => is_cluster(input),
        _ => false,
    }
}

/// Conditions that every row of `node` fulfils.
fn gather<'n>(node: &'n Node, into: &mut Vec<&'n Expr>) {
    match node {
        Node::Filter { input, predicate } => {
            into.extend(predicate);
            gather(input, into);
        }
        Node::Join { kind: JoinKind::Inner, left, right, on, .. } => {
            into.extend(on);
            gather(left, into);
            gather(right, into);
        }
        Node::Join { kind: JoinKind::Semi | JoinKind::Anti | JoinKind::Left, left, .. } => gather(left, into),
        _ => {}
    }
}

/// `column = column`, both of one type.
fn columns_equal(expr: &Expr) -> Option<(ColumnId, ColumnId)> {
    let (operator, a, b) = as_operator(expr)?;
    match (&a.kind, &b.kind) {
        (ExprKind::Column(x), ExprKind::Column(y)) if operator.name == "=" && a.ty.oid == b.ty.oid => Some((*x, *y)),
        _ => None,
    }
}

/// `column = value` with a value that reads none of `offers`.
fn fixed<'e>(expr: &'e Expr, offers: &ColumnSet) -> Option<(ColumnId, &'e Expr)> {
    let (operator, a, b) = as_operator(expr).filter(|(o, ..)| o.name == "=")?;
    let is_value = |e: &Expr| used(e).is_disjoint(offers) && !is_volatile(e) && !has_subquery(e);
    let _ = operator;
    match (&a.kind, &b.kind) {
        (ExprKind::Column(id), _) if offers.contains(id) && is_value(b) => Some((*id, b)),
        (_, ExprKind::Column(id)) if offers.contains(id) && is_value(a) => Some((*id, a)),
        _ => None,
    }
}

/// The condition with one column in another's place.
fn moved(expr: &Expr, from: ColumnId, to: ColumnId) -> Expr {
    let mut expr = expr.clone();
    expr.rewrite(&mut |e| {
        if matches!(e.kind, ExprKind::Column(id) if id == from) {
            e.kind = ExprKind::Column(to);
        }
    });
    expr
}

/// Columns of one value, in classes.
fn classes(known: &[&Expr]) -> Vec<Vec<ColumnId>> {
    let mut classes: Vec<Vec<ColumnId>> = vec![];
    for (a, b) in known.iter().filter_map(|e| columns_equal(e)) {
        let find = |id: ColumnId, classes: &[Vec<ColumnId>]| classes.iter().position(|c| c.contains(&id));
        match (find(a, &classes), find(b, &classes)) {
            (None, None) => classes.push(vec![a, b]),
            (Some(at), None) => classes[at].push(b),
            (None, Some(at)) => classes[at].push(a),
            (Some(x), Some(y)) if x != y => {
                let merged = classes.swap_remove(x.max(y));
                classes[x.min(y)].extend(merged);
            }
            _ => {}
        }
    }
    classes
}

fn implied(known: &[&Expr], offers: &ColumnSet) -> Vec<Expr> {
    let mut new = vec![];
    for class in classes(known) {
        let value = known.iter().find_map(|e| {
            let (id, _) = fixed(e, offers).filter(|(id, _)| class.contains(id))?;
            Some((*e, id))
        });
        let Some((condition, from)) = value else { continue };
        for to in class.iter().filter(|id| **id != from && offers.contains(id)) {
            let is_known = known.iter().any(|e| fixed(e, offers).is_some_and(|(id, _)| id == *to));
            if !is_known {
                new.push(moved(condition, from, *to));
            }
        }
    }
    new
}

/// (number of the join in `outer_joins`' order, its new conditions).
type Found = (usize, Vec<Expr>);

/// What is known of the left rows of outer and semi joins, for the right side where the two are equal.
fn outer_joins(node: &Node, facts: &[(ColumnId, Expr)], found: &mut Vec<Found>) {
    fn visit(node: &Node, facts: &[(ColumnId, Expr)], number: &mut usize, found: &mut Vec<Found>) {
        if let Node::Join { kind, left, right, on, .. } = node {
            if matches!(kind, JoinKind::Left | JoinKind::Semi | JoinKind::Anti) {
                let here = *number;
                *number += 1;
                let in_right = output_set(right);
                let mut new = vec![];
                for (a, b) in on.iter().filter_map(columns_equal) {
                    let (l, r) = if in_right.contains(&b) { (a, b) } else { (b, a) };
                    let fact = facts.iter().find(|(id, _)| *id == l).filter(|_| in_right.contains(&r));
                    new.extend(fact.map(|(id, condition)| moved(condition, *id, r)));
                }
                // A NOT IN's anti join has one condition, which is not to be taken for a filter of the right side.
                let is_plain = *kind != JoinKind::Anti || on.len() > 1;
                if !new.is_empty() && is_plain && !already(right, &new) {
                    found.push((here, new));
                }
                visit(left, facts, number, found);
            } else if *kind == JoinKind::Inner {
                visit(left, facts, number, found);
                visit(right, facts, number, found);
            }
        } else if let Node::Filter { input, .. } = node {
            visit(input, facts, number, found);
        }
    }
    visit(node, facts, &mut 0, found);
}

/// Whether the right side fulfils the new conditions already.
fn already(right: &Node, new: &[Expr]) -> bool {
    let mut known = vec![];
    gather(right, &mut known);
    new.iter().all(|n| known.iter().any(|k| crate::plan::same(k, n)))
}

fn add(node: &mut Node, found: &mut std::iter::Peekable<std::vec::IntoIter<Found>>, number: &mut usize) {
    match node {
        Node::Join { kind: JoinKind::Left | JoinKind::Semi | JoinKind::Anti, left, on, .. } => {
            if let Some((_, new)) = found.next_if(|(at, _)| *at == *number) {
                on.extend(new);
            }
            *number += 1;
            add(left, found, number);
        }
        Node::Join { kind: JoinKind::Inner, left, right, .. } => {
            add(left, found, number);
            add(right, found, number);
        }
        Node::Filter { input, .. } => add(input, found, number),
        _ => {}
    }
}
