//! Level 8. Cycles in a graph of transactions: who must come before whom.

use std::collections::{BTreeMap, VecDeque};

/// Edges with the reason for each.
#[derive(Default)]
pub struct Graph {
    edges: Vec<Vec<(usize, &'static str)>>,
}

impl Graph {
    pub fn new(nodes: usize) -> Graph {
        Graph { edges: vec![Vec::new(); nodes] }
    }

    pub fn add_node(&mut self) -> usize {
        self.edges.push(Vec::new());
        self.edges.len() - 1
    }

    pub fn add(&mut self, from: usize, to: usize, reason: &'static str) {
        if from != to {
            self.edges[from].push((to, reason));
        }
    }

    /// A cycle, as nodes with the reason that leads to the next; a shortest one through the node where it was met.
    pub fn cycle(&self) -> Option<Vec<(usize, &'static str)>> {
        let component = self.components();
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        component.iter().for_each(|number| *sizes.entry(*number).or_default() += 1);
        let start = (0..self.edges.len()).find(|node| sizes.get(&component[*node]).is_some_and(|size| *size > 1))?;
        self.shortest(start, &component)
    }

    /// Back to `start` within its component.
    fn shortest(&self, start: usize, component: &[usize]) -> Option<Vec<(usize, &'static str)>> {
        let mut came: BTreeMap<usize, (usize, &'static str)> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for (to, reason) in self.edges[node].iter().filter(|(to, _)| component[*to] == component[start]) {
                if *to == start {
                    let mut path = vec![(node, *reason)];
                    while let Some((before, reason)) = came.get(&path[path.len() - 1].0) {
                        path.push((*before, reason));
                    }
                    path.reverse();
                    return Some(path);
                }
                if !came.contains_key(to) {
                    came.insert(*to, (node, reason));
                    queue.push_back(*to);
                }
            }
        }
        None
    }

    /// Tarjan's strongly connected components, without recursion: each node's component.
    fn components(&self) -> Vec<usize> {
        const NONE: usize = usize::MAX;
        let count = self.edges.len();
        let (mut index, mut low, mut component) = (vec![NONE; count], vec![0; count], vec![NONE; count]);
        let (mut stack, mut next) = (Vec::new(), 0);
        for root in 0..count {
            let mut calls = vec![(root, 0)];
            while let Some((node, edge)) = calls.pop() {
                if edge == 0 {
                    if index[node] != NONE {
                        continue;
                    }
                    (index[node], low[node]) = (next, next);
                    next += 1;
                    stack.push(node);
                }
                if let Some((to, _)) = self.edges[node].get(edge) {
                    calls.push((node, edge + 1));
                    if index[*to] == NONE {
                        calls.push((*to, 0));
                    } else if component[*to] == NONE {
                        low[node] = low[node].min(index[*to]);
                    }
                    continue;
                }
                for (to, _) in &self.edges[node] {
                    if component[*to] == NONE {
                        low[node] = low[node].min(low[*to]);
                    }
                }
                if low[node] == index[node] {
                    while let Some(member) = stack.pop() {
                        component[member] = node;
                        if member == node {
                            break;
                        }
                    }
                }
            }
        }
        component
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(edges: &[(usize, usize)]) -> Option<usize> {
        let mut graph = Graph::new(10);
        edges.iter().for_each(|(from, to)| graph.add(*from, *to, "edge"));
        graph.cycle().map(|path| path.len())
    }

    #[test]
    fn cycles_are_found_and_only_they() {
        assert_eq!(cycle(&[(0, 1), (1, 2), (0, 2), (3, 2)]), None);
        assert_eq!(cycle(&[(0, 1), (1, 2), (2, 0), (3, 2)]), Some(3));
        assert_eq!(cycle(&[(5, 6), (6, 5), (0, 5), (6, 9)]), Some(2));
        assert_eq!(cycle(&[(0, 1), (1, 2), (2, 3), (3, 4), (4, 1), (2, 1)]), Some(2));
    }
}
