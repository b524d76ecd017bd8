//! Conditions go down to where their columns come from; an outer join whose padded rows a condition would drop is an inner one.

use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnId, JoinKind, Node};
use crate::plan::columns::{self, ColumnSet, children_mut, conjuncts, is_volatile, output_set, rejects_null, used};
use std::collections::BTreeMap;

pub(super) fn apply(node: &mut Node) {
    push(node, vec![]);
}

fn take(node: &mut Node) -> Node {
    std::mem::replace(node, Node::OneRow)
}

/// Puts `wanted` as low in `node` as it can go.
fn push(node: &mut Node, mut wanted: Vec<Expr>) {
    let stay = match node {
        Node::Filter { input, predicate } => {
            let (mut here, mut all) = (vec![], vec![]);
            std::mem::take(predicate).into_iter().for_each(|e| conjuncts(e, &mut all));
            all.append(&mut wanted);
            let (volatile, stable): (Vec<_>, Vec<_>) = all.into_iter().partition(is_volatile);
            here.extend(volatile);
            let mut below = take(input);
            push(&mut below, stable);
            *node = below;
            here
        }
        Node::Project { input, exprs } => {
            // A subquery's own plan is not rewritten: a condition with one passes only where nothing is renamed.
            let fits = |e: &Expr| {
                let used = used(e);
                exprs.iter().all(|(id, made)| !used.contains(id) || (movable(made) && simple(e)))
            };
            let (down, stay): (Vec<_>, Vec<_>) = wanted.into_iter().partition(fits);
            let map: BTreeMap<ColumnId, Expr> = exprs.iter().map(|(id, e)| (*id, e.clone())).collect();
            push(input, substituted(down, &map));
            stay
        }
        Node::Sort { input, .. } => {
            push(input, wanted);
            vec![]
        }
        Node::Distinct { input, columns, .. } => {
            let keys: ColumnSet = columns.iter().copied().collect();
            let offers = output_set(input);
            let (down, stay): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|e| only(e, &offers, &keys));
            push(input, down);
            stay
        }
        Node::Aggregate { input, groups, group_outputs, sets: None, .. } if !groups.is_empty() => {
            let keys: ColumnSet = group_outputs.iter().copied().collect();
            let (down, stay): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|e| {
                let used = used(e);
                simple(e) && !used.is_empty() && used.is_subset(&keys)
            });
            let map = renames(group_outputs, groups, &down);
            push(input, substituted(down, &map));
            stay
        }
        Node::SetOp { left, right, left_columns, right_columns, columns, .. } => {
            let keys: ColumnSet = columns.iter().copied().collect();
            let (down, stay): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|e| {
                let used = used(e);
                simple(e) && !used.is_disjoint(&keys)
            });
            let to = |side: &[ColumnId], down: &[Expr]| substituted(down.to_vec(), &renames(columns, side, down));
            push(left, to(left_columns, &down));
            push(right, to(right_columns, &down));
            stay
        }
        Node::Window { input, spec } => {
            // Whole partitions come or go, so that no call sees a difference.
            let key = |e: &Expr| match e.kind {
                ExprKind::Column(id) => Some(id),
                _ => None,
            };
            let keys: ColumnSet = spec.partition_by.iter().filter_map(key).collect();
            let offers = output_set(input);
            let made: ColumnSet = spec.calls.iter().map(|c| c.output).collect();
            let (down, stay): (Vec<_>, Vec<_>) =
                wanted.into_iter().partition(|e| simple(e) && only(e, &offers, &keys) && used(e).is_disjoint(&made));
            push(input, down);
            stay
        }
        Node::ProjectSet { input, exprs } => {
            let made: ColumnSet = exprs.iter().map(|(id, _)| *id).collect();
            let (down, stay): (Vec<_>, Vec<_>) =
                wanted.into_iter().partition(|e| simple(e) && used(e).is_disjoint(&made));
            push(input, down);
            stay
        }
        Node::Join { .. } => push_join(node, wanted),
        _ => {
            children_mut(node).into_iter().for_each(|child| push(child, vec![]));
            wanted
        }
    };
    if !stay.is_empty() {
        let input = Box::new(take(node));
        *node = Node::Filter { input, predicate: stay };
    }
}

fn simple(expr: &Expr) -> bool {
    !is_volatile(expr) && !columns::has_subquery(expr)
}

/// Whether a computed column may be computed again in a condition below.
fn movable(expr: &Expr) -> bool {
    simple(expr)
}

/// Of the columns below, an expression reads `keys` alone.
fn only(expr: &Expr, offers: &ColumnSet, keys: &ColumnSet) -> bool {
    used(expr).intersection(offers).all(|id| keys.contains(id))
}

fn renames(from: &[ColumnId], to: &[ColumnId], exprs: &[Expr]) -> BTreeMap<ColumnId, Expr> {
    let mut map = BTreeMap::new();
    let ty = |id: ColumnId| {
        let mut ty = types::SqlType::UNKNOWN;
        exprs.iter().for_each(|e| {
            e.any(&mut |e| {
                if matches!(e.kind, ExprKind::Column(c) if c == id) {
                    ty = e.ty;
                }
                false
            });
        });
        ty
    };
    for (from, to) in from.iter().zip(to) {
        map.insert(*from, Expr::column(*to, ty(*from)));
    }
    map
}

fn substituted(exprs: Vec<Expr>, map: &BTreeMap<ColumnId, Expr>) -> Vec<Expr> {
    exprs.into_iter().map(|expr| columns::substitute(expr, map)).collect()
}

fn push_join(node: &mut Node, wanted: Vec<Expr>) -> Vec<Expr> {
    let Node::Join { kind, left, right, on, .. } = node else { return wanted };
    let (in_left, in_right) = (output_set(left), output_set(right));
    *kind = simplified(*kind, &wanted, &in_left, &in_right);
    let mut tests = vec![];
    std::mem::take(on).into_iter().for_each(|e| conjuncts(e, &mut tests));
    let (mut to_left, mut to_right, mut stay) = (vec![], vec![], vec![]);
    let (filter_left, filter_right) = match kind {
        JoinKind::Inner => (true, true),
        JoinKind::Left | JoinKind::Semi | JoinKind::Anti => (true, false),
        JoinKind::Right => (false, true),
        JoinKind::Full => (false, false),
    };
    for expr in wanted {
        let used = used(&expr);
        if filter_left && used.is_disjoint(&in_right) {
            to_left.push(expr);
        } else if filter_right && used.is_disjoint(&in_left) {
            to_right.push(expr);
        } else if *kind == JoinKind::Inner {
            tests.push(expr);
        } else {
            stay.push(expr);
        }
    }
    let (on_left, on_right) = match kind {
        JoinKind::Inner => (true, true),
        JoinKind::Left => (false, true),
        JoinKind::Semi => (true, true),
        JoinKind::Anti => (false, true),
        JoinKind::Right => (true, false),
        JoinKind::Full => (false, false),
    };
    for expr in tests {
        let used = used(&expr);
        if is_volatile(&expr) || used.is_empty() && *kind != JoinKind::Inner {
            on.push(expr);
        } else if on_left && used.is_disjoint(&in_right) {
            to_left.push(expr);
        } else if on_right && used.is_disjoint(&in_left) {
            to_right.push(expr);
        } else {
            on.push(expr);
        }
    }
    push(left, to_left);
    push(right, to_right);
    stay
}

/// The join's kind under conditions that no padded row fulfils.
fn simplified(kind: JoinKind, wanted: &[Expr], left: &ColumnSet, right: &ColumnSet) -> JoinKind {
    let needs = |side: &ColumnSet| wanted.iter().any(|e| rejects_null(e, side));
    match kind {
        JoinKind::Left if needs(right) => JoinKind::Inner,
        JoinKind::Right if needs(left) => JoinKind::Inner,
        JoinKind::Full => match (needs(left), needs(right)) {
            (true, true) => JoinKind::Inner,
            (true, false) => JoinKind::Left,
            (false, true) => JoinKind::Right,
            (false, false) => JoinKind::Full,
        },
        other => other,
    }
}
