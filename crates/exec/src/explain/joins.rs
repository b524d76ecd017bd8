//! Joins.

use super::names::{Name, Outer, Scope, all_of, from_below, key_columns, target_names};
use super::tree::{Named, Renderer, push};
use super::{Estimate, Line, Shown, Value};
use crate::run::NodeMeasure;
use sql::Expr;
use sql::logical::JoinKind;
use sql::physical::{Op, PlanNode};

impl<'a> Renderer<'a> {
    pub(super) fn join(&mut self, node: &'a PlanNode, outer: &Outer) -> Named {
        let (kind, method) = match &node.op {
            Op::NestedLoop { kind, .. } | Op::LookupJoin { kind, .. } => (*kind, "Nested Loop"),
            Op::HashJoin { kind, .. } => (*kind, "Hash"),
            Op::MergeJoin { kind, .. } => (*kind, "Merge"),
            _ => return (Shown::default(), vec![]),
        };
        let mut shown = self.plain(node, if method == "Nested Loop" { method } else { "" });
        let (word, name) = match kind {
            JoinKind::Inner => ("", "Inner"),
            JoinKind::Left => (" Left", "Left"),
            JoinKind::Right => (" Right", "Right"),
            JoinKind::Full => (" Full", "Full"),
            JoinKind::Semi => (" Semi", "Semi"),
            JoinKind::Anti => (" Anti", "Anti"),
        };
        if method == "Nested Loop" {
            shown.heading = if word.is_empty() { method.to_owned() } else { format!("{method}{word} Join") };
        } else {
            shown.heading = format!("{method}{word} Join");
            shown.kind = vec![("Node Type", Value::Text(format!("{method} Join")))];
        }
        shown.details.push(("Join Type", Value::Text(name.to_owned())));
        let names = match &node.op {
            Op::LookupJoin { left, .. } => self.lookup(node, &mut shown, left, outer),
            _ => self.two_sides(node, &mut shown, outer),
        };
        if matches!(kind, JoinKind::Semi | JoinKind::Anti) {
            let width = node.types.len();
            return (shown, names.into_iter().take(width).collect());
        }
        (shown, names)
    }

    pub(super) fn two_sides(&mut self, node: &'a PlanNode, shown: &mut Shown, outer: &Outer) -> Vec<Name> {
        let (left, right) = match &node.op {
            Op::NestedLoop { left, right, .. }
            | Op::HashJoin { left, right, .. }
            | Op::MergeJoin { left, right, .. } => (left, right),
            _ => return vec![],
        };
        let (left_shown, left_names) = self.node(left, outer);
        let left_names = from_below(left_names);
        let mut inner_outer = outer.clone();
        if let Op::NestedLoop { parameters, .. } = &node.op {
            for (slot, value) in parameters {
                let scope = Scope { is_qualified: true, ..self.scope(&left_names, outer, false) };
                inner_outer.insert(*slot, scope.text(value));
            }
        }
        let (mut right_shown, right_names) = self.node(right, &inner_outer);
        let right_names = from_below(right_names);
        if let Op::HashJoin { .. } = &node.op {
            right_shown = hash_of(right_shown, self.measure(node.id));
        }
        push(shown, left_shown, "Outer");
        push(shown, right_shown, "Inner");
        let all: Vec<Name> = left_names.iter().chain(&right_names).cloned().collect();
        if let Op::HashJoin { left_keys, right_keys, .. } | Op::MergeJoin { left_keys, right_keys, .. } = &node.op {
            let (l, r) = (self.scope(&left_names, outer, false), self.scope(&right_names, outer, false));
            let pairs = left_keys.iter().zip(right_keys).map(|(a, b)| format!("({} = {})", l.text(a), r.text(b)));
            let label = if matches!(node.op, Op::HashJoin { .. }) { "Hash Cond" } else { "Merge Cond" };
            shown.lines.push(Line::plain(label, all_of(pairs.collect())));
        }
        let residual = match &node.op {
            Op::NestedLoop { on, .. } => on.as_ref(),
            Op::HashJoin { residual, .. } | Op::MergeJoin { residual, .. } => residual.as_ref(),
            _ => None,
        };
        self.join_filter(shown, residual, &all, outer);
        all
    }

    pub(super) fn join_filter(&self, shown: &mut Shown, residual: Option<&Expr>, names: &[Name], outer: &Outer) {
        let Some(residual) = residual else { return };
        let conjuncts = self.scope(names, outer, false).conjuncts(residual);
        shown.lines.push(Line::plain("Join Filter", all_of(conjuncts)));
        if self.explain.options.analyze {
            let removed = shown.measure.map_or(0, |m| m.rows_removed / m.loops.max(1));
            shown.lines.push(Line::count_if_any("Rows Removed by Join Filter", removed));
        }
    }

    /// A look-up join is a nested loop over an index scan there.
    pub(super) fn lookup(
        &mut self,
        node: &'a PlanNode,
        shown: &mut Shown,
        left: &'a PlanNode,
        outer: &Outer,
    ) -> Vec<Name> {
        let Op::LookupJoin { target, index, keys, residual, .. } = &node.op else { return vec![] };
        let (left_shown, left_names) = self.node(left, outer);
        let left_names = from_below(left_names);
        let alias = self.alias(node, true, &target.alias);
        let inner_names = target_names(target, &alias);
        let scope = Scope { is_qualified: true, ..self.scope(&left_names, outer, false) };
        let columns = key_columns(&target.relation, index.as_ref());
        let conditions = keys.iter().zip(&columns).map(|(e, c)| format!("({c} = {})", scope.text(e))).collect();
        let mut inner = Shown::default();
        self.by_index(node, &mut inner, target, index.as_ref(), (false, "Forward"), conditions);
        let rows = (node.rows / left.rows.max(1.0)).max(1.0).round();
        let total = (node.total_cost - left.total_cost).max(0.0) / left.rows.max(1.0);
        let width = node.width.saturating_sub(left.width);
        inner.estimate = Some(Estimate { startup: 0.0, total, rows, width });
        // Its time is the join's; how often it ran and what it found is known.
        inner.measure = self.measure(node.id).zip(self.measure(left.id)).map(|(join, left)| NodeMeasure {
            rows: join.rows,
            loops: left.rows,
            total_ms: (join.total_ms - left.total_ms).max(0.0),
            ..NodeMeasure::default()
        });
        push(shown, left_shown, "Outer");
        push(shown, inner, "Inner");
        let all: Vec<Name> = left_names.into_iter().chain(inner_names).collect();
        self.join_filter(shown, residual.as_ref(), &all, outer);
        all
    }
}

/// The table of a hash join's right side; what the join tells of its work is told here.
fn hash_of(input: Shown, join: Option<NodeMeasure>) -> Shown {
    let mut hash = Shown {
        heading: "Hash".to_owned(),
        kind: vec![("Node Type", Value::Text("Hash".to_owned()))],
        estimate: input.estimate.map(|e| Estimate { startup: e.total, ..e }),
        measure: input.measure.map(|m| NodeMeasure { startup_ms: m.total_ms, ..m }),
        output: input.output.clone(),
        ..Shown::default()
    };
    if let (Some(join), Some(rows)) = (join.filter(|j| j.batches > 0), input.measure.map(|m| m.rows)) {
        let buckets = rows.max(HASH_BUCKETS_MIN).next_power_of_two();
        let (batches, kilobytes) = (u64::from(join.batches), join.memory_bytes.div_ceil(1024));
        hash.work.push(Line {
            text: Some(format!("Buckets: {buckets}  Batches: {batches}  Memory Usage: {kilobytes}kB")),
            json: vec![
                ("Hash Buckets", Value::Integer(buckets)),
                ("Original Hash Buckets", Value::Integer(buckets)),
                ("Hash Batches", Value::Integer(batches)),
                ("Original Hash Batches", Value::Integer(batches)),
                ("Peak Memory Usage", Value::Integer(kilobytes)),
            ],
        });
    }
    push(&mut hash, input, "Outer");
    hash
}

/// PostgreSQL's tables have at least so many.
const HASH_BUCKETS_MIN: u64 = 1024;
