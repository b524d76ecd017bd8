//! Sorts, and several inputs of one shape.

use super::names::{Name, Outer, from_below};
use super::tree::{Named, Renderer, push};
use super::{Line, Value};
use sql::logical::SetOperation;
use sql::physical::{PlanNode, PlanSortKey};

impl<'a> Renderer<'a> {
    pub(super) fn sort(
        &mut self,
        node: &PlanNode,
        input: &'a PlanNode,
        keys: &[PlanSortKey],
        presorted: usize,
        outer: &Outer,
    ) -> Named {
        let kind = if presorted > 0 { "Incremental Sort" } else { "Sort" };
        let (mut shown, names) = self.above(node, kind, input, outer);
        let keys = self.sort_keys(keys, &names, outer);
        let before = keys.iter().take(presorted).cloned().collect();
        shown.lines.push(Line::list("Sort Key", keys));
        if presorted > 0 {
            shown.lines.push(Line::list("Presorted Key", before));
        }
        if let Some(m) = shown.measure.filter(|m| m.loops > 0) {
            let method = match (m.disk_bytes, m.is_top) {
                (0, true) => "top-N heapsort",
                (0, false) => "quicksort",
                _ => "external merge",
            };
            let (place, bytes) = if m.disk_bytes > 0 { ("Disk", m.disk_bytes) } else { ("Memory", m.memory_bytes) };
            let kilobytes = bytes.div_ceil(1024);
            shown.work.push(Line {
                text: Some(format!("Sort Method: {method}  {place}: {kilobytes}kB")),
                json: vec![
                    ("Sort Method", Value::Text(method.to_owned())),
                    ("Sort Space Used", Value::Integer(kilobytes)),
                    ("Sort Space Type", Value::Text(place.to_owned())),
                ],
            });
        }
        (shown, names)
    }

    pub fn sort_keys(&self, keys: &[PlanSortKey], names: &[Name], outer: &Outer) -> Vec<String> {
        let scope = self.scope(names, outer, false);
        keys.iter()
            .map(|key| {
                let mut text = scope.text(&key.expr);
                if key.descending {
                    text.push_str(" DESC");
                }
                if key.nulls_first != key.descending {
                    text.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
                }
                text
            })
            .collect()
    }

    pub(super) fn append(&mut self, node: &PlanNode, inputs: &'a [PlanNode], outer: &Outer) -> Named {
        let mut shown = self.plain(node, "Append");
        let mut names = None;
        for input in inputs {
            let (child, child_names) = self.node(input, outer);
            push(&mut shown, child, "Member");
            names.get_or_insert(from_below(child_names));
        }
        (shown, names.unwrap_or_default())
    }

    pub(super) fn set_op(
        &mut self,
        node: &PlanNode,
        operation: SetOperation,
        all: bool,
        inputs: [&'a PlanNode; 2],
        outer: &Outer,
    ) -> Named {
        let word = match operation {
            SetOperation::Union => "Union",
            SetOperation::Intersect => "Intersect",
            SetOperation::Except => "Except",
        };
        let command = if all { format!("{word} All") } else { word.to_owned() };
        let mut shown = self.plain(node, "SetOp");
        shown.heading = format!("HashSetOp {command}");
        shown.kind.push(("Strategy", Value::Text("Hashed".to_owned())));
        shown.details.push(("Command", Value::Text(command)));
        let mut names = None;
        for (input, relationship) in inputs.into_iter().zip(["Outer", "Inner"]) {
            let (child, child_names) = self.node(input, outer);
            push(&mut shown, child, relationship);
            names.get_or_insert(from_below(child_names));
        }
        (shown, names.unwrap_or_default())
    }
}
