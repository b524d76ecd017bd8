//! The order of joins. Inner joins side by side are one set of relations and conditions; the cheapest tree is found by
//! dynamic programming over connected subsets, above `DYNAMIC_MAX` relations by joining the pair with the smallest result,
//! again and again. A cross product is made only where no condition connects what is left.
//!
//! Which algorithm joins a pair is decided when the tree is lowered; here each pair is priced with the best of them.

use super::columns::{ColumnSet, children_mut, conjuncts, expressions_mut, is_volatile, output_set, used};
use super::estimate::Estimates;
use super::exprs::{as_operator, same_type};
use super::join::plain_scan;
use super::keys::{KeyChoice, KeyColumn, keys_of};
use super::{PlanContext, Planner};
use crate::cost::{self, Cost};
use crate::expr::{Expr, ExprKind};
use crate::logical::{ColumnInfo, JoinKind, Node};

/// Relations up to which every connected order is looked at.
const DYNAMIC_MAX: usize = 8;
/// Relations whose order is chosen at all; beyond, joins stay as written.
const RELATIONS_MAX: usize = 128;

/// Relations of one set, by bits.
type Mask = u128;

/// Orders all joins of a tree, those in subqueries too.
pub(super) fn apply(node: &mut Node, context: &PlanContext, columns: &[ColumnInfo]) {
    order(node, Estimates { context, columns });
}

fn order(node: &mut Node, estimates: Estimates) {
    if let Node::Join { kind: JoinKind::Inner, lateral: false, .. } = node {
        let (mut leaves, mut conditions) = (vec![], vec![]);
        flatten(std::mem::replace(node, Node::OneRow), &mut leaves, &mut conditions);
        leaves.iter_mut().for_each(|leaf| order(leaf, estimates));
        conditions.iter_mut().for_each(|e| subqueries(e, estimates));
        *node = match leaves.len() <= RELATIONS_MAX {
            true => Orderer::new(leaves, conditions, estimates).tree(),
            false => as_written(leaves, conditions),
        };
        return;
    }
    expressions_mut(node).into_iter().for_each(|e| subqueries(e, estimates));
    children_mut(node).into_iter().for_each(|child| order(child, estimates));
}

fn subqueries(expr: &mut Expr, estimates: Estimates) {
    if let ExprKind::Subquery(subquery) = &mut expr.kind {
        order(&mut subquery.plan, estimates);
    }
    expr.children_mut().into_iter().for_each(|child| subqueries(child, estimates));
}

fn flatten(node: Node, leaves: &mut Vec<Node>, conditions: &mut Vec<Expr>) {
    match node {
        Node::Join { kind: JoinKind::Inner, left, right, on, lateral: false } => {
            on.into_iter().for_each(|e| conjuncts(e, conditions));
            flatten(*left, leaves, conditions);
            flatten(*right, leaves, conditions);
        }
        Node::Filter { input, predicate }
            if matches!(*input, Node::Join { kind: JoinKind::Inner, lateral: false, .. })
                && !predicate.iter().any(is_volatile) =>
        {
            predicate.into_iter().for_each(|e| conjuncts(e, conditions));
            flatten(*input, leaves, conditions);
        }
        leaf => leaves.push(leaf),
    }
}

fn join(left: Node, right: Node, on: Vec<Expr>) -> Node {
    Node::Join { kind: JoinKind::Inner, left: Box::new(left), right: Box::new(right), on, lateral: false }
}

fn as_written(leaves: Vec<Node>, mut conditions: Vec<Expr>) -> Node {
    let mut leaves = leaves.into_iter();
    let mut tree = leaves.next().unwrap_or(Node::OneRow);
    let mut offers = output_set(&tree);
    for leaf in leaves {
        let here = output_set(&leaf);
        let missing = |e: &Expr, offers: &ColumnSet| used(e).iter().any(|id| here.contains(id) && !offers.contains(id));
        let before = offers.clone();
        offers.extend(&here);
        let (on, rest): (Vec<_>, Vec<_>) =
            conditions.into_iter().partition(|e| missing(e, &before) && used(e).is_subset(&offers));
        conditions = rest;
        tree = join(tree, leaf, on);
    }
    match conditions.is_empty() {
        true => tree,
        false => Node::Filter { input: Box::new(tree), predicate: conditions },
    }
}

struct Condition {
    expr: Expr,
    mask: Mask,
    /// An equality between two relations by which rows can be hashed.
    is_equi: bool,
}

/// A relation of the set.
struct Leaf {
    node: Node,
    offers: ColumnSet,
    cost: Cost,
    /// Keys by which its rows can be looked up.
    keys: Vec<KeyChoice>,
}

/// A joined subset.
#[derive(Clone, Copy)]
struct Joined {
    cost: Cost,
    /// None: a single relation.
    split: Option<(Mask, Mask)>,
}

struct Orderer<'a> {
    leaves: Vec<Leaf>,
    conditions: Vec<Condition>,
    /// Conditions that read none of the relations.
    elsewhere: Vec<Expr>,
    estimates: Estimates<'a>,
}

fn bits(mut mask: Mask) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let at = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            at
        })
    })
}

impl<'a> Orderer<'a> {
    fn new(nodes: Vec<Node>, exprs: Vec<Expr>, estimates: Estimates<'a>) -> Orderer<'a> {
        let mut leaves: Vec<Leaf> = nodes
            .into_iter()
            .map(|node| Leaf { offers: output_set(&node), node, cost: Cost::default(), keys: vec![] })
            .collect();
        let (mut conditions, mut elsewhere) = (vec![], vec![]);
        for expr in exprs {
            let used = used(&expr);
            let reads = leaves.iter().enumerate().filter(|(_, leaf)| !leaf.offers.is_disjoint(&used));
            let mask: Mask = reads.fold(0, |mask, (i, _)| mask | 1 << i);
            match mask.count_ones() {
                0 => elsewhere.push(expr),
                1 => filter(leaves.get_mut(mask.trailing_zeros() as usize), expr),
                _ => {
                    let is_equi = as_operator(&expr).is_some_and(|(o, a, b)| {
                        o.name == "=" && o.can_hash && same_type(a, b).is_some() && !is_volatile(&expr)
                    }) && mask.count_ones() == 2;
                    conditions.push(Condition { expr, mask, is_equi });
                }
            }
        }
        for leaf in &mut leaves {
            leaf.cost = leaf_cost(&leaf.node, estimates);
            if let Some((scan, predicate)) = plain_scan(&leaf.node) {
                leaf.keys = keys_of(estimates.context, scan, predicate);
            }
        }
        Orderer { leaves, conditions, elsewhere, estimates }
    }

    fn tree(mut self) -> Node {
        let all: Mask = match self.leaves.len() {
            128 => Mask::MAX,
            n => (1 << n) - 1,
        };
        let singles = (0..self.leaves.len()).map(|i| 1 << i).collect();
        let mut plan = std::collections::BTreeMap::new();
        let small = self.leaves.len() <= DYNAMIC_MAX;
        match small && self.dynamic(all, &mut plan) {
            true => {}
            false => self.greedy(singles, &mut plan),
        }
        let mut nodes: Vec<Option<Node>> =
            self.leaves.iter_mut().map(|leaf| Some(std::mem::replace(&mut leaf.node, Node::OneRow))).collect();
        let mut conditions: Vec<Option<Condition>> =
            std::mem::take(&mut self.conditions).into_iter().map(Some).collect();
        let tree = build(all, &plan, &mut nodes, &mut conditions);
        match self.elsewhere.is_empty() {
            true => tree,
            false => Node::Filter { input: Box::new(tree), predicate: self.elsewhere },
        }
    }

    /// Every connected subset's best split. False if the whole is not connected.
    fn dynamic(&self, all: Mask, plan: &mut std::collections::BTreeMap<Mask, Joined>) -> bool {
        for (i, leaf) in self.leaves.iter().enumerate() {
            plan.insert(1 << i, Joined { cost: leaf.cost, split: None });
        }
        for mask in 1..=all {
            if mask.count_ones() < 2 {
                continue;
            }
            let mut best: Option<Joined> = None;
            let mut left = (mask - 1) & mask;
            while left != 0 {
                let right = mask & !left;
                // Both ways round of one split are priced together.
                if left > right
                    && let (Some(a), Some(b)) = (plan.get(&left), plan.get(&right))
                    && self.connects(left, right)
                {
                    let joined = self.price(left, *a, right, *b);
                    if best.is_none_or(|best| joined.cost.total < best.cost.total) {
                        best = Some(joined);
                    }
                }
                left = (left - 1) & mask;
            }
            if let Some(best) = best {
                plan.insert(mask, best);
            }
        }
        plan.contains_key(&all)
    }

    /// Joins the pair with the smallest result until one is left.
    fn greedy(&self, mut parts: Vec<Mask>, plan: &mut std::collections::BTreeMap<Mask, Joined>) {
        plan.clear();
        for (i, leaf) in self.leaves.iter().enumerate() {
            plan.insert(1 << i, Joined { cost: leaf.cost, split: None });
        }
        while parts.len() > 1 {
            let mut best: Option<(bool, f64, f64, usize, usize, Joined)> = None;
            for i in 0..parts.len() {
                for j in i + 1..parts.len() {
                    let (Some(&left), Some(&right)) = (parts.get(i), parts.get(j)) else { continue };
                    let (Some(a), Some(b)) = (plan.get(&left), plan.get(&right)) else { continue };
                    let crosses = !self.connects(left, right);
                    if crosses && best.as_ref().is_some_and(|(best_crosses, ..)| !best_crosses) {
                        continue;
                    }
                    let joined = self.price(left, *a, right, *b);
                    let (rows, total) = (joined.cost.rows, joined.cost.total);
                    let is_better = best.as_ref().is_none_or(|(c, r, t, ..)| (crosses, rows, total) < (*c, *r, *t));
                    if is_better {
                        best = Some((crosses, rows, total, i, j, joined));
                    }
                }
            }
            let Some((.., i, j, joined)) = best else { return };
            let (right, left) = (parts.swap_remove(j), parts.swap_remove(i));
            plan.insert(left | right, joined);
            parts.push(left | right);
        }
    }

    fn between(&self, left: Mask, right: Mask) -> impl Iterator<Item = &Condition> {
        let both = left | right;
        self.conditions.iter().filter(move |c| c.mask & !both == 0 && c.mask & left != 0 && c.mask & right != 0)
    }

    fn connects(&self, left: Mask, right: Mask) -> bool {
        self.between(left, right).next().is_some()
    }

    /// The cheaper way round, with the cheapest algorithm.
    fn price(&self, left: Mask, a: Joined, right: Mask, b: Joined) -> Joined {
        let mut selectivity = 1.0;
        let mut equi = vec![];
        for condition in self.between(left, right) {
            selectivity *= match (condition.is_equi, as_operator(&condition.expr)) {
                (true, Some((_, x, y))) => {
                    equi.push(&condition.expr);
                    let x_is_left =
                        bits(left).any(|i| self.leaves.get(i).is_some_and(|l| !l.offers.is_disjoint(&used(x))));
                    let (x, y) = if x_is_left { (x, y) } else { (y, x) };
                    self.estimates.join_equality(x, a.cost.rows, y, b.cost.rows)
                }
                _ => self.estimates.selectivity(std::slice::from_ref(&condition.expr)),
            };
        }
        let rows = (a.cost.rows * b.cost.rows * selectivity).max(1.0);
        let one = |outer: Joined, outer_mask: Mask, inner: Joined, inner_mask: Mask| {
            let plain = match equi.is_empty() {
                true => cost::nested_loop(outer.cost, inner.cost, rows, false),
                // The smaller side is hashed, whichever it is.
                false if inner.cost.rows <= outer.cost.rows => cost::hash_join(outer.cost, inner.cost, rows),
                false => cost::hash_join(inner.cost, outer.cost, rows),
            };
            let looked_up = self.look_up(outer.cost, inner_mask, &equi, rows);
            let cost = looked_up.filter(|c| c.total < plain.total).unwrap_or(plain);
            Joined { cost, split: Some((outer_mask, inner_mask)) }
        };
        let (forth, back) = (one(a, left, b, right), one(b, right, a, left));
        if back.cost.total < forth.cost.total { back } else { forth }
    }

    /// The cost of looking each outer row up in a key of the inner side, a single relation.
    fn look_up(&self, outer: Cost, inner: Mask, equi: &[&Expr], rows: f64) -> Option<Cost> {
        if inner.count_ones() != 1 || equi.is_empty() || !self.estimates.context.settings.enable_nestloop {
            return None;
        }
        let leaf = self.leaves.get(inner.trailing_zeros() as usize)?;
        let (scan, predicate) = plain_scan(&leaf.node)?;
        let all = self.estimates.relation_rows(&scan.relation);
        let is_keyed = |column: &KeyColumn, e: &Expr| {
            as_operator(e).is_some_and(|(_, a, b)| column.is(scan, a) || column.is(scan, b))
        };
        let best = leaf.keys.iter().filter_map(|key| {
            let joined = |c: &KeyColumn| equi.iter().any(|e| is_keyed(c, e));
            let fixed = |c: &KeyColumn| {
                predicate.iter().any(|e| super::bounds::equality(scan, e).is_some_and(|(side, _)| c.is(scan, side)))
            };
            let used: Vec<&KeyColumn> = key.columns.iter().take_while(|c| joined(c) || fixed(c)).collect();
            if !used.iter().any(|c| joined(c)) {
                return None;
            }
            let is_point = key.is_unique && used.len() == key.columns.len();
            let matches = match is_point {
                true => 1.0,
                false => (all / self.estimates.groups(&sides(equi, &leaf.offers), all)).max(1.0),
            };
            Some(cost::lookup_join(outer, matches, key.index.is_none(), rows))
        });
        best.min_by(|a, b| a.total.total_cmp(&b.total))
    }
}

/// The sides of equalities that read `offers`.
fn sides(on: &[&Expr], offers: &ColumnSet) -> Vec<Expr> {
    let side = |e: &&Expr| {
        let (_, a, b) = as_operator(e)?;
        Some(if used(a).is_disjoint(offers) { b.clone() } else { a.clone() })
    };
    on.iter().filter_map(side).collect()
}

fn filter(leaf: Option<&mut Leaf>, expr: Expr) {
    let Some(leaf) = leaf else { return };
    match &mut leaf.node {
        Node::Filter { predicate, .. } => predicate.push(expr),
        node => {
            let input = Box::new(std::mem::replace(node, Node::OneRow));
            *node = Node::Filter { input, predicate: vec![expr] };
        }
    }
}

/// What reading a relation of the set costs, roughly: an index if its conditions lead to one, else all of it.
fn leaf_cost(node: &Node, estimates: Estimates) -> Cost {
    let rows = estimates.rows(node);
    let Some((scan, predicate)) = plain_scan(node) else { return Cost::new(rows, 0.0, rows * cost::TUPLE) };
    let all = estimates.relation_rows(&scan.relation);
    let whole = cost::seq_scan(all, 64.0, predicate.len(), rows);
    let by_key = keys_of(estimates.context, scan, predicate).into_iter().filter_map(|key| {
        let matched = super::bounds::match_key(scan, &key, predicate);
        let fetched = estimates.fetched(&matched, predicate, all);
        let is_bounded = !matched.used.is_empty();
        is_bounded.then(|| cost::index_scan(fetched, matched.descents, key.index.is_none(), predicate.len(), rows))
    });
    by_key.fold(whole, |best, cost| if cost.total < best.total { cost } else { best })
}

fn build(
    mask: Mask,
    plan: &std::collections::BTreeMap<Mask, Joined>,
    nodes: &mut [Option<Node>],
    conditions: &mut [Option<Condition>],
) -> Node {
    let Some((left, right)) = plan.get(&mask).and_then(|j| j.split) else {
        return nodes.get_mut(mask.trailing_zeros() as usize).and_then(Option::take).unwrap_or(Node::OneRow);
    };
    let a = build(left, plan, nodes, conditions);
    let b = build(right, plan, nodes, conditions);
    let here = conditions.iter_mut().filter_map(|c| c.take_if(|c| c.mask & !mask == 0)).map(|c| c.expr).collect();
    join(a, b, here)
}

impl Planner<'_> {
    pub(super) fn order_joins(&self, node: &mut Node) {
        apply(node, self.context, &self.columns);
    }
}
