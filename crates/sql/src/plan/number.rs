//! Numbers the nodes of a plan: the root's tree first, depth first, then the CTEs' and the subplans'.

use crate::physical::{Op, PlanNode, Tree};

pub(crate) fn number(tree: &mut Tree) {
    let mut next = 0;
    visit(&mut tree.root, &mut next);
    tree.ctes.iter_mut().for_each(|cte| visit(&mut cte.root, &mut next));
    tree.subplans.iter_mut().for_each(|sub| visit(&mut sub.root, &mut next));
}

fn visit(node: &mut PlanNode, next: &mut u32) {
    node.id = *next;
    *next += 1;
    children_mut(&mut node.op).into_iter().for_each(|child| visit(child, next));
}

fn children_mut(op: &mut Op) -> Vec<&mut PlanNode> {
    match op {
        Op::Filter { input, .. }
        | Op::Project { input, .. }
        | Op::ProjectSet { input, .. }
        | Op::HashAggregate { input, .. }
        | Op::SortedAggregate { input, .. }
        | Op::Window { input, .. }
        | Op::Sort { input, .. }
        | Op::Limit { input, .. }
        | Op::Unique { input, .. }
        | Op::Materialize { input }
        | Op::LockRows { input, .. }
        | Op::LookupJoin { left: input, .. } => vec![input],
        Op::NestedLoop { left, right, .. }
        | Op::HashJoin { left, right, .. }
        | Op::MergeJoin { left, right, .. }
        | Op::HashSetOp { left, right, .. } => vec![left, right],
        Op::RecursiveUnion { base, step, .. } => vec![base, step],
        Op::Append { inputs } => inputs.iter_mut().collect(),
        Op::Insert(write) => vec![&mut write.input],
        Op::Update(write) => vec![&mut write.input],
        Op::Delete(write) => vec![&mut write.input],
        Op::Merge(write) => vec![&mut write.input],
        _ => vec![],
    }
}
