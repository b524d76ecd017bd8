//! From plan nodes to shown ones.

use super::names::{Name, Outer, Scope, Use, all_of, from_below};
use super::{Estimate, Explain, Line, Shown, Value};
use crate::run::NodeMeasure;
use catalog::{Index, IndexSource, Relation};
use sql::Expr;
use sql::logical::{JoinKind, ScanColumn, SetOperation};
use sql::physical::{KeyBounds, KeyEqual, Op, PlanBody, PlanNode, PlanSortKey, ScanTarget, Tree};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::functions::quote_ident;

/// A node with the names of its output columns.
pub(super) type Named = (Shown, Vec<Name>);

pub(super) struct Renderer<'a> {
    pub explain: &'a Explain<'a>,
    tree: Option<&'a Tree>,
    /// Unique aliases by node; a look-up join's inner relation under `true`.
    aliases: BTreeMap<(u32, bool), String>,
    /// More than one relation: columns are told with theirs.
    pub has_many: bool,
    uses: RefCell<Vec<Use>>,
    initial: RefCell<Vec<usize>>,
    shown_subplans: BTreeSet<usize>,
    /// InitPlans of the tree being shown, for its top node.
    initial_plans: Vec<Shown>,
    cte_columns: BTreeMap<usize, Vec<Name>>,
    /// Names of the CTEs being shown: the innermost owns the working table.
    cte_names: Vec<String>,
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

    fn alias(&self, node: &PlanNode, is_inner: bool, otherwise: &str) -> String {
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
    fn on(&self, relation: &Relation, alias: &str) -> String {
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
    fn plain(&self, node: &PlanNode, kind: &str) -> Shown {
        Shown {
            heading: kind.to_owned(),
            kind: vec![("Node Type", Value::Text(kind.to_owned()))],
            estimate: Some(estimate(node)),
            measure: self.measure(node.id),
            ..Shown::default()
        }
    }

    fn above(&mut self, node: &PlanNode, kind: &str, input: &'a PlanNode, outer: &Outer) -> Named {
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
            Op::IndexScan { target, index, bounds, index_only, filter, backward } => {
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

    // --- leaves

    fn values(&mut self, node: &PlanNode, rows: &[Vec<Expr>], outer: &Outer) -> Named {
        let texts: Vec<Vec<String>> = rows
            .iter()
            .take(1)
            .map(|row| row.iter().map(|e| self.scope(&[], outer, false).text(e)).collect())
            .collect();
        if let [row] = &texts[..]
            && rows.len() == 1
        {
            let names = row.iter().map(|text| Name::Expression { text: text.clone(), is_own: true }).collect();
            return (self.plain(node, "Result"), names);
        }
        let alias = self.alias(node, false, "*VALUES*");
        let mut shown = self.plain(node, "Values Scan");
        shown.heading = format!("Values Scan on {}", quote_ident(&alias));
        shown.details.push(("Alias", Value::Text(alias.clone())));
        let names = (1..=node.types.len()).map(|n| column(&alias, &format!("column{n}"))).collect();
        (shown, names)
    }

    fn scan(&mut self, node: &PlanNode, target: &ScanTarget, filter: Option<&Expr>, outer: &Outer) -> Named {
        let alias = self.alias(node, false, &target.alias);
        let names = target_names(target, &alias);
        let mut shown = self.plain(node, "Seq Scan");
        shown.heading = format!("Seq Scan on {}", self.on(&target.relation, &alias));
        shown.details = self.of_relation(&target.relation, &alias);
        if let Some(as_of) = &target.as_of {
            let text = self.scope(&[], outer, true).text(as_of);
            shown.lines.push(Line::plain("As Of System Time", text));
        }
        if let Some(filter) = filter {
            shown.filters = self.scope(&names, outer, true).conjuncts(filter);
            shown.removed = shown.measure.map_or(0, |m| m.rows_removed);
        }
        (shown, names)
    }

    /// Makes a scan one by an index.
    fn by_index(
        &self,
        node: &PlanNode,
        shown: &mut Shown,
        target: &ScanTarget,
        index: Option<&Arc<Index>>,
        (index_only, direction): (bool, &str),
        conditions: Vec<String>,
    ) {
        let alias = self.alias(node, matches!(node.op, Op::LookupJoin { .. }), &target.alias);
        let name = self.index_name(&target.relation, index);
        let kind = if index_only && index.is_some() { "Index Only Scan" } else { "Index Scan" };
        let backward = if direction == "Backward" { " Backward" } else { "" };
        shown.heading =
            format!("{kind}{backward} using {} on {}", quote_ident(&name), self.on(&target.relation, &alias));
        shown.kind = vec![("Node Type", Value::Text(kind.to_owned()))];
        shown.details = vec![("Scan Direction", Value::Text(direction.to_owned())), ("Index Name", Value::Text(name))];
        shown.details.extend(self.of_relation(&target.relation, &alias));
        if !conditions.is_empty() {
            shown.lines.push(Line::plain("Index Cond", all_of(conditions)));
        }
    }

    fn bounds(&self, columns: &[String], bounds: &KeyBounds, outer: &Outer) -> Vec<String> {
        let scope = self.scope(&[], outer, true);
        let mut conditions = vec![];
        let name = |at: usize| columns.get(at).map_or("?", String::as_str);
        for (at, equal) in bounds.equal.iter().enumerate() {
            conditions.push(match equal {
                KeyEqual::Value(e) => format!("({} = {})", name(at), scope.text(e)),
                KeyEqual::AnyOf(e) => format!("({} = ANY ({}))", name(at), scope.text(e)),
                KeyEqual::IsNull => format!("({} IS NULL)", name(at)),
            });
        }
        let next = name(bounds.equal.len());
        if let Some((e, inclusive)) = &bounds.lower {
            conditions.push(format!("({next} {} {})", if *inclusive { ">=" } else { ">" }, scope.text(e)));
        }
        if let Some((e, inclusive)) = &bounds.upper {
            conditions.push(format!("({next} {} {})", if *inclusive { "<=" } else { "<" }, scope.text(e)));
        }
        if bounds.not_null && bounds.lower.is_none() && bounds.upper.is_none() {
            conditions.push(format!("({next} IS NOT NULL)"));
        }
        conditions
    }

    fn functions(
        &mut self,
        node: &PlanNode,
        calls: &[Expr],
        counts: &[usize],
        ordinality: bool,
        outer: &Outer,
    ) -> Named {
        let name = calls.first().map_or("", function_name);
        let alias = self.alias(node, false, name);
        let mut shown = self.plain(node, "Function Scan");
        if calls.len() == 1 {
            let on = if alias == name { String::new() } else { format!(" {}", quote_ident(&alias)) };
            shown.heading = format!("Function Scan on {}{on}", quote_ident(name));
            shown.details.push(("Function Name", Value::Text(name.to_owned())));
        } else {
            shown.heading = format!("Function Scan on {}", quote_ident(&alias));
        }
        shown.details.push(("Alias", Value::Text(alias.clone())));
        let mut names = vec![];
        for (call, count) in calls.iter().zip(counts) {
            match count {
                1 => names.push(column(&alias, function_name(call))),
                _ => (1..=*count).for_each(|n| names.push(column(&alias, &format!("column{n}")))),
            }
        }
        if ordinality {
            names.push(column(&alias, "ordinality"));
        }
        let texts: Vec<String> = calls.iter().map(|c| self.scope(&[], outer, false).text(c)).collect();
        if self.explain.options.verbose {
            shown.lines.push(Line::plain("Function Call", texts.join(", ")));
        }
        (shown, names)
    }

    fn cte_scan(&mut self, node: &PlanNode, cte: usize, columns: &[u32]) -> Named {
        let name = self.tree.and_then(|t| t.ctes.get(cte)).map_or("", |c| c.name.as_str()).to_owned();
        let alias = self.alias(node, false, &name);
        let mut shown = self.plain(node, "CTE Scan");
        let on = if alias == name { String::new() } else { format!(" {}", quote_ident(&alias)) };
        shown.heading = format!("CTE Scan on {}{on}", quote_ident(&name));
        shown.details = vec![("CTE Name", Value::Text(name)), ("Alias", Value::Text(alias.clone()))];
        let known = self.cte_columns.get(&cte).cloned().unwrap_or_default();
        let names = columns.iter().map(|c| match known.get(*c as usize) {
            Some(Name::Column { column: name, .. }) => column(&alias, name),
            _ => column(&alias, &format!("column{}", c + 1)),
        });
        (shown, names.collect())
    }

    fn work_table(&mut self, node: &PlanNode, columns: &[u32]) -> Named {
        let name = self.cte_names.last().cloned().unwrap_or_default();
        let alias = self.alias(node, false, &name);
        let alias = if alias.is_empty() { name.clone() } else { alias };
        let mut shown = self.plain(node, "WorkTable Scan");
        let on = if alias == name { String::new() } else { format!(" {}", quote_ident(&alias)) };
        shown.heading = format!("WorkTable Scan on {}{on}", quote_ident(&name));
        shown.details = vec![("CTE Name", Value::Text(name)), ("Alias", Value::Text(alias.clone()))];
        let names = columns.iter().map(|c| column(&alias, &format!("column{}", c + 1))).collect();
        (shown, names)
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

    // --- joins

    fn join(&mut self, node: &'a PlanNode, outer: &Outer) -> Named {
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

    fn two_sides(&mut self, node: &'a PlanNode, shown: &mut Shown, outer: &Outer) -> Vec<Name> {
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
            right_shown = hash_of(right_shown);
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

    fn join_filter(&self, shown: &mut Shown, residual: Option<&Expr>, names: &[Name], outer: &Outer) {
        let Some(residual) = residual else { return };
        let conjuncts = self.scope(names, outer, false).conjuncts(residual);
        shown.lines.push(Line::plain("Join Filter", all_of(conjuncts)));
        if self.explain.options.analyze {
            let removed = shown.measure.map_or(0, |m| m.rows_removed / m.loops.max(1));
            shown.lines.push(Line::count_if_any("Rows Removed by Join Filter", removed));
        }
    }

    /// A look-up join is a nested loop over an index scan there.
    fn lookup(&mut self, node: &'a PlanNode, shown: &mut Shown, left: &'a PlanNode, outer: &Outer) -> Vec<Name> {
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

    // --- sorts, sets

    fn sort(
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

    fn append(&mut self, node: &PlanNode, inputs: &'a [PlanNode], outer: &Outer) -> Named {
        let mut shown = self.plain(node, "Append");
        let mut names = None;
        for input in inputs {
            let (child, child_names) = self.node(input, outer);
            push(&mut shown, child, "Member");
            names.get_or_insert(from_below(child_names));
        }
        (shown, names.unwrap_or_default())
    }

    fn set_op(
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

pub(super) fn push(parent: &mut Shown, mut child: Shown, relationship: &'static str) {
    child.relationship = relationship;
    parent.children.push(child);
}

fn estimate(node: &PlanNode) -> Estimate {
    Estimate { startup: node.startup_cost, total: node.total_cost, rows: node.rows, width: node.width }
}

/// The table of a hash join's right side.
fn hash_of(input: Shown) -> Shown {
    let mut hash = Shown {
        heading: "Hash".to_owned(),
        kind: vec![("Node Type", Value::Text("Hash".to_owned()))],
        estimate: input.estimate.map(|e| Estimate { startup: e.total, ..e }),
        measure: input.measure.map(|m| NodeMeasure { startup_ms: m.total_ms, ..m }),
        output: input.output.clone(),
        ..Shown::default()
    };
    push(&mut hash, input, "Outer");
    hash
}

pub(super) fn column(qualifier: &str, name: &str) -> Name {
    Name::Column { qualifier: qualifier.to_owned(), column: name.to_owned() }
}

fn below_projects(mut node: &PlanNode) -> &PlanNode {
    while let Op::Project { input, .. } = &node.op {
        node = input;
    }
    node
}

fn function_name(call: &Expr) -> &str {
    match &call.kind {
        sql::ExprKind::Call { proc, .. } => proc.name,
        _ => "",
    }
}

pub(super) fn target_names(target: &ScanTarget, alias: &str) -> Vec<Name> {
    let name = |what: &ScanColumn| match what {
        ScanColumn::Attribute(n) => {
            let attribute = target.relation.columns.get((*n as usize).wrapping_sub(1));
            column(alias, attribute.map_or("?", |c| &c.name))
        }
        ScanColumn::WholeRow => Name::Expression { text: format!("{}.*", quote_ident(alias)), is_own: true },
        ScanColumn::CommitTimestamp => column(alias, "_ts"),
        ScanColumn::Document | ScanColumn::Tail => column(alias, "_doc"),
        ScanColumn::TableOid => column(alias, "tableoid"),
        ScanColumn::RowKey => column(alias, "ctid"),
    };
    target.columns.iter().map(name).collect()
}

/// Columns of an index, or of the primary key, as conditions name them.
pub(super) fn key_columns(relation: &Relation, index: Option<&Arc<Index>>) -> Vec<String> {
    let attribute = |n: i16| {
        let column = relation.columns.get((n as usize).wrapping_sub(1));
        quote_ident(column.map_or("?", |c| &c.name)).to_string()
    };
    match index {
        None => relation.key.iter().map(|n| attribute(*n)).collect(),
        Some(index) => index
            .columns
            .iter()
            .map(|c| match &c.source {
                IndexSource::Column(n) => attribute(*n),
                IndexSource::Expression(text) => text.clone(),
            })
            .collect(),
    }
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
