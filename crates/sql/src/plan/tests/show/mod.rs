//! A plan as lines of text, for the golden file: PostgreSQL's EXPLAIN without costs, but for nodes that it has not (`Point
//! Select|Insert|Update|Delete` for direct plans, `Lookup Join`, `Top-N Sort`). Projections have no node of their own.

mod describe;

use crate::physical::Plan;
use catalog::Snapshot;

/// One node as it is shown.
#[derive(Default)]
struct Node {
    /// "Index Scan using t_pkey on t".
    title: String,
    /// ("Filter", "(a > 1)"), in order.
    lines: Vec<(&'static str, String)>,
    children: Vec<Node>,
    /// "InitPlan 1 (returns $0)", "SubPlan 2", "CTE w": a heading of its own above the node.
    heading: Option<String>,
}

pub(super) fn plan(plan: &Plan, catalog: &Snapshot) -> Vec<String> {
    let mut lines = vec![];
    text(&describe::plan(plan, catalog), 0, false, &mut lines);
    lines
}

fn text(node: &Node, indent: usize, is_child: bool, lines: &mut Vec<String>) {
    let mut indent = indent;
    if let Some(heading) = &node.heading {
        lines.push(format!("{:indent$}{heading}", ""));
        indent += 2;
    }
    let arrow = if is_child { "->  " } else { "" };
    lines.push(format!("{:indent$}{arrow}{}", "", node.title));
    let below = indent + if is_child { 6 } else { 2 };
    for (name, value) in &node.lines {
        lines.push(format!("{:below$}{name}: {value}", ""));
    }
    node.children.iter().for_each(|child| text(child, below, true, lines));
}
