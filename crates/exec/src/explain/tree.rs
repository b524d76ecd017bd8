//! From plan nodes to shown ones.

use super::names::{Name, Outer, Scope, Use, all_of, column, from_below, function_name, key_columns};
use super::{Estimate, Explain, Line, Shown, Value};
use crate::run::NodeMeasure;
use catalog::{Index, Relation};
use sql::Expr;
use sql::physical::{Op, PlanBody, PlanNode, Tree};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::functions::quote_ident;

/// A node with the names of its output columns.
pub(super) type Named = (Shown, Vec<Name>);

pub(super) struct Renderer<'a> {
    pub explain: &'a Explain<'a>,
    pub tree: Option<&'a Tree>,
    /// Unique aliases by node; a look-up join's inner relation under `true`.
    aliases: BTreeMap<(u32, bool), String>,
    /// More than one relation: columns are told with theirs.
    pub has_many: bool,
    uses: RefCell<Vec<Use>>,
    initial: RefCell<Vec<usize>>,
    shown_subplans: BTreeSet<usize>,
    /// InitPlans of the tree being shown, for its top node.
    initial_plans: Vec<Shown>,
    pub cte_columns: BTreeMap<usize, Vec<Name>>,
    /// Names of the CTEs being shown: the innermost owns the working table.
    pub cte_names: Vec<String>,
}

pub(super) fn show(explain: &Explain<'_>) -> Shown {
    let mut renderer = Renderer {
        explain,
        tree: None,
        aliases: BTreeMap::new(),
        has_many: false,
        uses: RefCell::default(),
        initial: RefCell::default(),
        shown_subplans: BTreeSet::new(),
        initial_plans: vec![],
        cte_columns: BTreeMap::new(),
        cte_names: vec![],
    };
    match &explain.plan.body {
        PlanBody::Direct(direct) => renderer.direct(direct),
        PlanBody::Tree(tree) => {
            renderer.tree = Some(tree);
            renderer.whole(tree)
        }
    }
}

impl<'a> Renderer<'a> {
    fn whole(&mut self, tree: &'a Tree) -> Shown {
        self.name_relations(tree);
        let ctes: Vec<Shown> = (0..tree.ctes.len()).map(|at| self.cte(tree, at)).collect();
        let (mut root, names) = self.node(&tree.root, &Outer::new());
        if !tree.output.is_empty() && !matches!(root.kind.first(), Some((_, Value::Text(t))) if t == "ModifyTable") {
            let names = tree.output.iter().filter_map(|p| names.get(*p as usize));
            root.output = names.map(|n| n.show(self.has_many)).collect();
        }
        let children = std::mem::take(&mut root.children);
        root.children = ctes.into_iter().chain(std::mem::take(&mut self.initial_plans)).chain(children).collect();
        root
    }

    fn cte(&mut self, tree: &'a Tree, at: usize) -> Shown {
        let Some(cte) = tree.ctes.get(at) else { return Shown::default() };
        self.cte_names.push(cte.name.clone());
        let (mut shown, names) = self.node(&cte.root, &Outer::new());
        self.cte_names.pop();
        shown.plan_name = Some(format!("CTE {}", cte.name));
        shown.relationship = "InitPlan";
        self.adopt_initial(&mut shown);
        let column = |(at, place): (usize, &u32)| match names.get(*place as usize) {
            Some(Name::Column { column, .. }) => column.clone(),
            _ => format!("column{}", at + 1),
        };
        let columns = cte.output.iter().enumerate().map(column);
        let columns = columns.map(|column| Name::Column { qualifier: String::new(), column }).collect();
        self.cte_columns.insert(at, columns);
        shown
    }

    fn adopt_initial(&mut self, top: &mut Shown) {
        let initial = std::mem::take(&mut self.initial_plans);
        top.children.splice(0..0, initial);
    }

    // --- names of relations

    fn name_relations(&mut self, tree: &Tree) {
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        let mut found = vec![];
        aliases(&tree.root, &mut found);
        tree.subplans.iter().for_each(|s| aliases(&s.root, &mut found));
        tree.ctes.iter().for_each(|c| aliases(&c.root, &mut found));
        self.has_many = found.len() + usize::from(matches!(tree.root.op, Op::Insert(_))) > 1;
        for (key, alias) in found {
            let count = taken.entry(alias.clone()).or_insert(0);
            let unique = if *count == 0 { alias } else { format!("{alias}_{count}") };
            *count += 1;
            self.aliases.insert(key, unique);
        }
    }

    pub fn alias(&self, node: &PlanNode, is_inner: bool, otherwise: &str) -> String {
        self.aliases.get(&(node.id, is_inner)).cloned().unwrap_or_else(|| otherwise.to_owned())
    }

    // --- pieces

    pub fn scope<'s>(&'s self, names: &'s [Name], outer: &'s Outer, is_scan: bool) -> Scope<'s> {
        let verbose = self.explain.options.verbose;
        Scope {
            names,
            outer,
            is_qualified: verbose || (!is_scan && self.has_many),
            uses: &self.uses,
            initial: &self.initial,
            catalog: self.explain.catalog,
        }
    }

    pub fn measure(&self, id: u32) -> Option<NodeMeasure> {
        self.explain.measures?.get(id as usize).copied()
    }

    pub fn relation_name(&self, relation: &Relation) -> String {
        match self.explain.options.verbose {
            true => catalog::names::qualified(self.explain.catalog, relation.schema, &relation.name),
            false => quote_ident(&relation.name).to_string(),
        }
    }

    /// `t`, or `t x` under another name.
    pub fn on(&self, relation: &Relation, alias: &str) -> String {
        let name = self.relation_name(relation);
        if alias == relation.name { name } else { format!("{name} {}", quote_ident(alias)) }
    }

    pub fn of_relation(&self, relation: &Relation, alias: &str) -> Vec<(&'static str, Value)> {
        let mut details = vec![("Relation Name", Value::Text(relation.name.clone()))];
        if self.explain.options.verbose
            && let Some(schema) = self.explain.catalog.schema(relation.schema)
        {
            details.push(("Schema", Value::Text(schema.name.clone())));
        }
        details.push(("Alias", Value::Text(alias.to_owned())));
        details
    }

    pub fn index_name(&self, relation: &Relation, index: Option<&Arc<Index>>) -> String {
        if let Some(index) = index {
            return index.name.clone();
        }
        let primary = self.explain.catalog.indexes_of(relation).find(|i| i.is_primary);
        primary.map_or_else(|| format!("{}_pkey", relation.name), |i| i.name.clone())
    }

    /// Everything that a node of this kind has in common.
    pub fn plain(&self, node: &PlanNode, kind: &str) -> Shown {
        Shown {
            heading: kind.to_owned(),
            kind: vec![("Node Type", Value::Text(kind.to_owned()))],
            estimate: Some(estimate(node)),
            measure: self.measure(node.id),
            ..Shown::default()
        }
    }

    pub fn above(&mut self, node: &PlanNode, kind: &str, input: &'a PlanNode, outer: &Outer) -> Named {
        let (child, names) = self.node(input, outer);
        let mut shown = self.plain(node, kind);
        push(&mut shown, child, "Outer");
        (shown, from_below(names))
    }

    /// Subplans that were met in the node's expressions become its children; InitPlans those of the tree's top.
    fn attach_subplans(&mut self, shown: &mut Shown) {
        let Some(tree) = self.tree else { return };
        loop {
            let met: Vec<Use> = std::mem::take(&mut *self.uses.borrow_mut());
            if met.is_empty() {
                return;
            }
            for used in met {
                let Some(plan) = tree.subplans.get(used.index) else { continue };
                if !self.shown_subplans.insert(used.index) {
                    continue;
                }
                let kept = std::mem::take(&mut self.initial_plans);
                let (mut top, _) = self.node(&plan.root, &used.outer);
                self.adopt_initial(&mut top);
                self.initial_plans = kept;
                let number = used.index + 1;
                if used.is_initial {
                    let place = self.initial.borrow().iter().position(|i| *i == used.index).unwrap_or(0);
                    top.plan_name = Some(format!("InitPlan {number} (returns ${place})"));
                    top.relationship = "InitPlan";
                    self.initial_plans.push(top);
                } else {
                    top.plan_name = Some(format!("SubPlan {number}"));
                    top.relationship = "SubPlan";
                    shown.children.push(top);
                }
            }
        }
    }

    pub fn node(&mut self, node: &'a PlanNode, outer: &Outer) -> Named {
        // Those met so far belong to the node above.
        let met_above = std::mem::take(&mut *self.uses.borrow_mut());
        let (mut shown, names) = self.dispatch(node, outer);
        self.attach_subplans(&mut shown);
        *self.uses.borrow_mut() = met_above;
        if self.explain.options.verbose
            && !matches!(node.op, Op::Insert(_) | Op::Update(_) | Op::Delete(_) | Op::Merge(_))
        {
            shown.output = names.iter().map(|n| n.show(self.has_many)).collect();
        }
        (shown, names)
    }

    fn dispatch(&mut self, node: &'a PlanNode, outer: &Outer) -> Named {
        match &node.op {
            Op::OneRow => (self.plain(node, "Result"), vec![]),
            Op::Values { rows } => self.values(node, rows, outer),
            Op::SeqScan { target, filter, .. } => self.scan(node, target, filter.as_ref(), outer),
            Op::VirtualScan { target, filter, .. } => self.scan(node, target, filter.as_ref(), outer),
            Op::IndexScan { target, index, bounds, index_only, filter, backward, .. } => {
                let (mut shown, names) = self.scan(node, target, filter.as_ref(), outer);
                let columns = key_columns(&target.relation, index.as_ref());
                let conditions = self.bounds(&columns, bounds, outer);
                let direction = if *backward { "Backward" } else { "Forward" };
                self.by_index(node, &mut shown, target, index.as_ref(), (*index_only, direction), conditions);
                (shown, names)
            }
            Op::FunctionScan { calls, column_counts, ordinality } => {
                self.functions(node, calls, column_counts, *ordinality, outer)
            }
            Op::CteScan { cte, columns } => self.cte_scan(node, *cte, columns),
            Op::WorkTableScan { columns, .. } => self.work_table(node, columns),
            Op::Filter { input, predicate } => self.filter(node, input, predicate, outer),
            Op::Project { input, exprs } => self.project(node, input, exprs, outer),
            Op::ProjectSet { input, exprs } => {
                let (shown, names) = self.above(node, "ProjectSet", input, outer);
                let names = self.computed(exprs, &names, outer);
                (shown, names)
            }
            Op::NestedLoop { .. } | Op::HashJoin { .. } | Op::MergeJoin { .. } | Op::LookupJoin { .. } => {
                self.join(node, outer)
            }
            Op::HashAggregate { .. } | Op::SortedAggregate { .. } => self.aggregate(node, outer),
            Op::Window { input, calls, .. } => {
                let (shown, mut names) = self.above(node, "WindowAgg", input, outer);
                let calls = calls.iter().map(|call| self.window_call(call, &names, outer)).collect::<Vec<_>>();
                names.extend(calls);
                (shown, names)
            }
            Op::Sort { input, keys, presorted, .. } => self.sort(node, input, keys, *presorted, outer),
            Op::Limit { input, limit, offset, .. } => {
                let (shown, names) = self.above(node, "Limit", input, outer);
                for expr in limit.iter().chain(offset) {
                    self.scope(&[], outer, false).text(expr);
                }
                (shown, names)
            }
            Op::Unique { input, .. } => self.above(node, "Unique", input, outer),
            Op::Materialize { input } => self.above(node, "Materialize", input, outer),
            Op::LockRows { input, .. } => self.above(node, "LockRows", input, outer),
            Op::Append { inputs } => self.append(node, inputs, outer),
            Op::HashSetOp { operation, all, left, right } => self.set_op(node, *operation, *all, [left, right], outer),
            Op::RecursiveUnion { base, step, .. } => {
                let (shown, names) = self.above(node, "Recursive Union", base, outer);
                let mut shown = shown;
                let (child, _) = self.node(step, outer);
                push(&mut shown, child, "Inner");
                (shown, names)
            }
            Op::Insert(_) | Op::Update(_) | Op::Delete(_) | Op::Merge(_) => self.write(node, outer),
        }
    }

    // --- what PostgreSQL makes part of the node below

    fn filter(&mut self, node: &PlanNode, input: &'a PlanNode, predicate: &Expr, outer: &Outer) -> Named {
        let (mut shown, names) = self.node(input, outer);
        let held = below_projects(input);
        let is_scan = held.inputs().is_empty();
        let can_hold = is_scan
            || matches!(
                held.op,
                Op::HashAggregate { .. }
                    | Op::SortedAggregate { .. }
                    | Op::NestedLoop { .. }
                    | Op::HashJoin { .. }
                    | Op::MergeJoin { .. }
                    | Op::LookupJoin { .. }
                    | Op::Filter { .. }
            );
        let conjuncts = self.scope(&names, outer, is_scan).conjuncts(predicate);
        let removed = self.measure(node.id).map_or(0, |m| m.rows_removed);
        if matches!(held.op, Op::OneRow) {
            shown.lines.push(Line::plain("One-Time Filter", all_of(conjuncts)));
        } else if can_hold {
            shown.filters.extend(conjuncts);
            shown.removed += removed;
        } else {
            let mut result = self.plain(node, "Result");
            result.filters = conjuncts;
            result.removed = removed;
            push(&mut result, shown, "Outer");
            return (result, from_below(names));
        }
        shown.estimate = Some(estimate(node));
        shown.measure = self.measure(node.id);
        (shown, names)
    }

    fn project(&mut self, node: &PlanNode, input: &'a PlanNode, exprs: &[Expr], outer: &Outer) -> Named {
        let (mut shown, names) = self.node(input, outer);
        let names = self.computed(exprs, &names, outer);
        shown.estimate = Some(estimate(node));
        shown.measure = self.measure(node.id);
        (shown, names)
    }

    pub fn computed(&self, exprs: &[Expr], names: &[Name], outer: &Outer) -> Vec<Name> {
        let scope = self.scope(names, outer, false);
        exprs
            .iter()
            .map(|e| match &e.kind {
                sql::ExprKind::Input(at) => names.get(*at as usize).cloned().unwrap_or_else(|| column("", "?")),
                _ => Name::Expression { text: scope.text(e), is_own: true },
            })
            .collect()
    }
}

pub(super) fn push(parent: &mut Shown, mut child: Shown, relationship: &'static str) {
    child.relationship = relationship;
    parent.children.push(child);
}

pub(super) fn estimate(node: &PlanNode) -> Estimate {
    Estimate { startup: node.startup_cost, total: node.total_cost, rows: node.rows, width: node.width }
}

fn below_projects(mut node: &PlanNode) -> &PlanNode {
    while let Op::Project { input, .. } = &node.op {
        node = input;
    }
    node
}

/// What the tree reads, with the names given to it.
fn aliases(node: &PlanNode, found: &mut Vec<((u32, bool), String)>) {
    node.inputs().into_iter().for_each(|input| aliases(input, found));
    match &node.op {
        Op::SeqScan { target, .. } | Op::IndexScan { target, .. } | Op::VirtualScan { target, .. } => {
            found.push(((node.id, false), target.alias.clone()));
        }
        Op::LookupJoin { target, .. } => found.push(((node.id, true), target.alias.clone())),
        Op::FunctionScan { calls, .. } => {
            found.push(((node.id, false), calls.first().map_or("", function_name).to_owned()));
        }
        Op::Values { rows } if rows.len() > 1 => found.push(((node.id, false), "*VALUES*".to_owned())),
        _ => {}
    }
}
