//! From plan nodes to labelled ones. Every node's output columns have a text, from which the expressions above are written.

use super::Node;
use crate::Deparser;
use crate::deparse::PlanNames;
use crate::expr::{Expr, SubPlanKind, SubPlanRef};
use crate::logical::{JoinKind, ScanColumn, SetOperation};
use crate::physical::{
    Direct, KeyBounds, KeyEqual, Op, Plan, PlanAggregate, PlanBody, PlanNode, PlanSortKey, ScanTarget, Tree,
};
use catalog::{Index, IndexSource, Relation, Snapshot};
use std::cell::RefCell;
use std::collections::BTreeMap;
use types::functions::quote_ident;

struct Describer<'a> {
    catalog: &'a Snapshot,
    tree: Option<&'a Tree>,
    /// Texts of `Outer` slots met so far.
    slots: RefCell<BTreeMap<u32, String>>,
    /// Several relations: columns are shown with their alias.
    is_qualified: bool,
}

/// What the leaves of a node's expressions are called.
struct Names<'a> {
    describer: &'a Describer<'a>,
    inputs: &'a [String],
}

impl PlanNames for Names<'_> {
    fn input(&self, position: u32) -> String {
        self.inputs.get(position as usize).cloned().unwrap_or_else(|| format!("column {position}"))
    }
    fn outer(&self, slot: u32) -> String {
        self.describer.slots.borrow().get(&slot).cloned().unwrap_or_else(|| format!("$outer{slot}"))
    }
    fn subplan(&self, plan: &SubPlanRef) -> String {
        self.describer.subplan(plan, self.inputs)
    }
}

/// A described node and the texts of its output columns.
struct Shown {
    node: Node,
    names: Vec<String>,
}

pub(super) fn plan(plan: &Plan, catalog: &Snapshot) -> Node {
    let mut describer = Describer { catalog, tree: None, slots: RefCell::default(), is_qualified: false };
    match &plan.body {
        PlanBody::Direct(direct) => describer.direct(direct),
        PlanBody::Tree(tree) => {
            describer.tree = Some(tree);
            let others = tree.ctes.iter().map(|c| &c.root).chain(tree.subplans.iter().map(|s| &s.root));
            let mut scans = vec![];
            std::iter::once(&tree.root).chain(others).for_each(|root| count_scans(root, &mut scans));
            describer.is_qualified = scans.len() > 1;
            describer.tree(tree)
        }
    }
}

fn count_scans<'p>(node: &'p PlanNode, into: &mut Vec<&'p PlanNode>) {
    if node.inputs().is_empty() && !matches!(node.op, Op::OneRow) {
        into.push(node);
    }
    if matches!(node.op, Op::LookupJoin { .. }) {
        into.push(node);
    }
    node.inputs().into_iter().for_each(|child| count_scans(child, into));
}

fn relation_title(relation: &Relation, alias: &str) -> String {
    let name = quote_ident(&relation.name);
    if alias == relation.name || alias.is_empty() { name.to_string() } else { format!("{name} {}", quote_ident(alias)) }
}

fn join_word(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "",
        JoinKind::Left => "Left ",
        JoinKind::Right => "Right ",
        JoinKind::Full => "Full ",
        JoinKind::Semi => "Semi ",
        JoinKind::Anti => "Anti ",
    }
}

/// "Nested Loop", "Hash Left Join".
fn join_title(method: &str, kind: JoinKind) -> String {
    match (method, kind) {
        ("Nested Loop", JoinKind::Inner) => "Nested Loop".to_owned(),
        _ => format!("{method} {}Join", join_word(kind)),
    }
}

fn conjoined(parts: Vec<String>) -> String {
    match &parts[..] {
        [one] => one.clone(),
        _ => format!("({})", parts.join(" AND ")),
    }
}

impl Describer<'_> {
    fn tree(&self, tree: &Tree) -> Node {
        let root = self.node(&tree.root);
        let mut node = root.node;
        let mut subplans: Vec<Node> = vec![];
        // A subplan's own subplans come before it: from the back, so that enclosing rows have their names.
        for (index, subplan) in tree.subplans.iter().enumerate().rev() {
            let mut shown = self.node(&subplan.root).node;
            shown.heading = Some(match subplan.is_correlated {
                true => format!("SubPlan {}", index + 1),
                false => format!("InitPlan {} (returns ${index})", index + 1),
            });
            subplans.insert(0, shown);
        }
        let ctes = tree.ctes.iter().map(|cte| {
            let shown = self.node(&cte.root).node;
            Node { heading: Some(format!("CTE {}", cte.name)), ..shown }
        });
        let mut children: Vec<Node> = ctes.chain(subplans).collect();
        children.append(&mut node.children);
        node.children = children;
        node
    }

    fn text(&self, expr: &Expr, inputs: &[String]) -> String {
        let names = Names { describer: self, inputs };
        let deparser = Deparser::new(self.catalog).of_plan(&names);
        deparser.expr(expr).unwrap_or_else(|_| "(expression)".to_owned())
    }

    fn subplan(&self, subplan: &SubPlanRef, inputs: &[String]) -> String {
        self.name_slots(&subplan.parameters, inputs);
        let number = subplan.index + 1;
        let is_correlated = self.tree.and_then(|t| t.subplans.get(subplan.index)).is_some_and(|s| s.is_correlated);
        match &subplan.kind {
            SubPlanKind::Scalar | SubPlanKind::Exists if !is_correlated => format!("${}", subplan.index),
            SubPlanKind::AnyAll { .. } if !is_correlated => format!("(hashed SubPlan {number})"),
            _ => format!("(SubPlan {number})"),
        }
    }

    fn name_slots(&self, parameters: &[(u32, Expr)], inputs: &[String]) {
        for (slot, expr) in parameters {
            let text = self.text(expr, inputs);
            self.slots.borrow_mut().insert(*slot, text);
        }
    }

    fn texts(&self, exprs: &[Expr], inputs: &[String]) -> Vec<String> {
        exprs.iter().map(|e| self.text(e, inputs)).collect()
    }

    fn keys(&self, keys: &[PlanSortKey], inputs: &[String]) -> String {
        let key = |k: &PlanSortKey| {
            let nulls = match (k.descending, k.nulls_first) {
                (false, true) => " NULLS FIRST",
                (true, false) => " NULLS LAST",
                _ => "",
            };
            format!("{}{}{nulls}", self.text(&k.expr, inputs), if k.descending { " DESC" } else { "" })
        };
        keys.iter().map(key).collect::<Vec<_>>().join(", ")
    }

    fn column(&self, target: &ScanTarget, what: ScanColumn) -> String {
        let name = match what {
            ScanColumn::Attribute(n) => {
                target.relation.column(n).map_or_else(|| format!("{n}"), |c| quote_ident(&c.name).to_string())
            }
            ScanColumn::WholeRow => "*".to_owned(),
            ScanColumn::CommitTimestamp => "_ts".to_owned(),
            ScanColumn::ValidFrom => "_valid_from".to_owned(),
            ScanColumn::ValidTo => "_valid_to".to_owned(),
            ScanColumn::Document | ScanColumn::Tail => "_doc".to_owned(),
            ScanColumn::TableOid => "tableoid".to_owned(),
            ScanColumn::RowKey => "ctid".to_owned(),
        };
        if self.is_qualified { format!("{}.{name}", quote_ident(&target.alias)) } else { name }
    }

    fn columns(&self, target: &ScanTarget) -> Vec<String> {
        target.columns.iter().map(|what| self.column(target, *what)).collect()
    }

    fn index_name(&self, relation: &Relation, index: Option<&Index>) -> String {
        let primary = || self.catalog.indexes_of(relation).find(|i| i.is_primary).map(|i| i.name.clone());
        let name = index.map(|i| i.name.clone()).or_else(primary);
        quote_ident(&name.unwrap_or_else(|| format!("{}_pkey", relation.name))).to_string()
    }

    /// Names of a key's columns.
    fn key_columns(&self, relation: &Relation, index: Option<&Index>) -> Vec<String> {
        let name = |n: i16| relation.column(n).map_or_else(|| n.to_string(), |c| quote_ident(&c.name).to_string());
        match index {
            None => relation.key.iter().map(|n| name(*n)).collect(),
            Some(index) => index
                .columns
                .iter()
                .map(|c| match &c.source {
                    IndexSource::Column(n) => name(*n),
                    IndexSource::Expression(text) => text.clone(),
                })
                .collect(),
        }
    }

    fn bounds(&self, columns: &[String], bounds: &KeyBounds) -> Option<String> {
        let name = |at: usize| columns.get(at).map_or("?", String::as_str);
        let mut parts = vec![];
        for (at, equal) in bounds.equal.iter().enumerate() {
            parts.push(match equal {
                KeyEqual::Value(e) => format!("({} = {})", name(at), self.text(e, &[])),
                KeyEqual::AnyOf(e) => format!("({} = ANY ({}))", name(at), self.text(e, &[])),
                KeyEqual::IsNull => format!("({} IS NULL)", name(at)),
            });
        }
        let next = name(bounds.equal.len());
        if let Some((e, inclusive)) = &bounds.lower {
            parts.push(format!("({next} {} {})", if *inclusive { ">=" } else { ">" }, self.text(e, &[])));
        }
        if let Some((e, inclusive)) = &bounds.upper {
            parts.push(format!("({next} {} {})", if *inclusive { "<=" } else { "<" }, self.text(e, &[])));
        }
        if bounds.not_null && bounds.lower.is_none() && bounds.upper.is_none() {
            parts.push(format!("({next} IS NOT NULL)"));
        }
        (!parts.is_empty()).then(|| conjoined(parts))
    }

    fn direct(&self, direct: &Direct) -> Node {
        let attributes = |relation: &Relation| -> Vec<String> {
            relation.columns.iter().map(|c| quote_ident(&c.name).to_string()).collect()
        };
        let key = |relation: &Relation, key: &[Expr]| {
            let names = self.key_columns(relation, None);
            let parts = names.iter().zip(key).map(|(name, e)| format!("({name} = {})", self.text(e, &[])));
            ("Index Cond", conjoined(parts.collect()))
        };
        let titled = |title: String| Node { title, ..Node::default() };
        let (mut node, filter) = match direct {
            Direct::Get { target, key: values, filter, .. } => {
                let relation = &target.relation;
                let index = self.index_name(relation, None);
                let title = format!("Point Select using {index} on {}", relation_title(relation, &target.alias));
                let mut node = titled(title);
                node.lines.push(key(relation, values));
                (node, filter.as_ref().map(|f| self.text(f, &self.columns(target))))
            }
            Direct::Insert { target, .. } => {
                (titled(format!("Point Insert on {}", quote_ident(&target.relation.name))), None)
            }
            Direct::Update { target, key: values, filter, .. } | Direct::Delete { target, key: values, filter, .. } => {
                let word = if matches!(direct, Direct::Update { .. }) { "Update" } else { "Delete" };
                let relation = &target.relation;
                let index = self.index_name(relation, None);
                let mut node = titled(format!("Point {word} using {index} on {}", quote_ident(&relation.name)));
                node.lines.push(key(relation, values));
                (node, filter.as_ref().map(|f| self.text(f, &attributes(relation))))
            }
        };
        node.lines.extend(filter.map(|f| ("Filter", f)));
        node
    }

    fn node(&self, node: &PlanNode) -> Shown {
        let op = &node.op;
        match op {
            Op::OneRow => leaf("Result", vec![]),
            Op::Values { rows } => {
                let width = rows.first().map_or(0, Vec::len);
                leaf("Values Scan on \"*VALUES*\"", (1..=width).map(|n| format!("column{n}")).collect())
            }
            Op::SeqScan { .. } | Op::IndexScan { .. } | Op::VirtualScan { .. } => self.scan(op),
            Op::FunctionScan { calls, column_counts, ordinality } => {
                let mut names = vec![];
                for (call, count) in calls.iter().zip(column_counts) {
                    let text = self.text(call, &[]);
                    let base = text.split('(').next().unwrap_or_default();
                    names.extend((0..*count).map(|_| base.to_owned()));
                }
                names.extend(ordinality.then(|| "ordinality".to_owned()));
                let mut shown = leaf("Function Scan", names);
                shown.node.lines.push(("Function Call", self.texts(calls, &[]).join(", ")));
                shown
            }
            Op::CteScan { cte, columns } => {
                let found = self.tree.and_then(|t| t.ctes.get(*cte));
                let name = found.map_or("?", |c| c.name.as_str());
                let names = columns.iter().map(|n| format!("{name}.column{}", n + 1)).collect();
                leaf(&format!("CTE Scan on {}", quote_ident(name)), names)
            }
            Op::WorkTableScan { columns, .. } => {
                leaf("WorkTable Scan", columns.iter().map(|n| format!("column{}", n + 1)).collect())
            }
            Op::NestedLoop { .. } | Op::HashJoin { .. } | Op::MergeJoin { .. } | Op::LookupJoin { .. } => self.join(op),
            Op::HashAggregate { .. } | Op::SortedAggregate { .. } | Op::Window { .. } => self.grouping(op),
            Op::Insert(write) => self.write("Insert", &write.target.relation, &write.input),
            Op::Update(write) => self.write("Update", &write.target.relation, &write.input),
            Op::Delete(write) => self.write("Delete", &write.target.relation, &write.input),
            Op::Append { .. } | Op::HashSetOp { .. } | Op::RecursiveUnion { .. } => self.set_operation(op),
            _ => self.one_input(node),
        }
    }

    fn scan(&self, op: &Op) -> Shown {
        let (Op::SeqScan { target, filter, .. }
        | Op::IndexScan { target, filter, .. }
        | Op::VirtualScan { target, filter, .. }) = op
        else {
            return leaf("Scan", vec![]);
        };
        let on = relation_title(&target.relation, &target.alias);
        let names = self.columns(target);
        let mut shown = match op {
            Op::IndexScan { index, bounds, index_only, backward, .. } => {
                let word = if *index_only { "Index Only Scan" } else { "Index Scan" };
                let back = if *backward { " Backward" } else { "" };
                let relation = &target.relation;
                let name = self.index_name(relation, index.as_deref());
                let mut shown = leaf(&format!("{word}{back} using {name} on {on}"), names);
                let columns = self.key_columns(relation, index.as_deref());
                shown.node.lines.extend(self.bounds(&columns, bounds).map(|b| ("Index Cond", b)));
                shown
            }
            Op::SeqScan { backward: true, .. } => leaf(&format!("Seq Scan Backward on {on}"), names),
            _ => leaf(&format!("Seq Scan on {on}"), names),
        };
        let filter = filter.as_ref().map(|f| self.text(f, &shown.names));
        shown.node.lines.extend(filter.map(|f| ("Filter", f)));
        shown
    }

    fn join(&self, op: &Op) -> Shown {
        let (Op::NestedLoop { kind, left, .. }
        | Op::HashJoin { kind, left, .. }
        | Op::MergeJoin { kind, left, .. }
        | Op::LookupJoin { kind, left, .. }) = op
        else {
            return leaf("Join", vec![]);
        };
        let left = self.node(left);
        let equal = |l: &[Expr], r: &[Expr], right: &[String]| {
            let pairs = l.iter().zip(r);
            let one = |(l, r)| format!("({} = {})", self.text(l, &left.names), self.text(r, right));
            conjoined(pairs.map(one).collect())
        };
        let (title, lines, right_names, right) = match op {
            Op::HashJoin { right, left_keys, right_keys, residual, null_aware, .. } => {
                let right = self.node(right);
                let mut lines = vec![("Hash Cond", equal(left_keys, right_keys, &right.names))];
                let both = [&left.names[..], &right.names].concat();
                lines.extend(residual.as_ref().map(|e| ("Join Filter", self.text(e, &both))));
                lines.extend(null_aware.then(|| ("Null Aware", "true".to_owned())));
                let hash = Node { title: "Hash".to_owned(), children: vec![right.node], ..Node::default() };
                (join_title("Hash", *kind), lines, right.names, Some(hash))
            }
            Op::MergeJoin { right, left_keys, right_keys, residual, .. } => {
                let right = self.node(right);
                let mut lines = vec![("Merge Cond", equal(left_keys, right_keys, &right.names))];
                let both = [&left.names[..], &right.names].concat();
                lines.extend(residual.as_ref().map(|e| ("Join Filter", self.text(e, &both))));
                (join_title("Merge", *kind), lines, right.names, Some(right.node))
            }
            Op::NestedLoop { right, on, parameters, .. } => {
                self.name_slots(parameters, &left.names);
                let right = self.node(right);
                let both = [&left.names[..], &right.names].concat();
                let lines = on.iter().map(|e| ("Join Filter", self.text(e, &both))).collect();
                (join_title("Nested Loop", *kind), lines, right.names, Some(right.node))
            }
            Op::LookupJoin { target, index, keys, residual, .. } => {
                let names = self.columns(target);
                let columns = self.key_columns(&target.relation, index.as_deref());
                let parts = columns.iter().zip(keys).map(|(c, e)| format!("({c} = {})", self.text(e, &left.names)));
                let mut lines = vec![("Lookup Cond", conjoined(parts.collect()))];
                let both = [&left.names[..], &names].concat();
                lines.extend(residual.as_ref().map(|e| ("Join Filter", self.text(e, &both))));
                let name = self.index_name(&target.relation, index.as_deref());
                let on = relation_title(&target.relation, &target.alias);
                (format!("Lookup {}Join using {name} on {on}", join_word(*kind)), lines, names, None)
            }
            _ => (String::new(), vec![], vec![], None),
        };
        let mut names = left.names;
        if !matches!(kind, JoinKind::Semi | JoinKind::Anti) {
            names.extend(right_names);
        }
        let children = std::iter::once(left.node).chain(right).collect();
        Shown { node: Node { title, lines, children, ..Node::default() }, names }
    }

    fn call(&self, call: &PlanAggregate, inputs: &[String]) -> String {
        let mut text = self.texts(&call.args, inputs).join(", ");
        if call.args.is_empty() && call.function.name() == "count" {
            text = "*".to_owned();
        }
        if call.distinct {
            text.insert_str(0, "DISTINCT ");
        }
        if !call.order_by.is_empty() {
            text.push_str(&format!(" ORDER BY {}", self.keys(&call.order_by, inputs)));
        }
        let filter = call.filter.as_ref().map(|f| format!(" FILTER (WHERE {})", self.text(f, inputs)));
        format!("{}({text}){}", call.function.name(), filter.unwrap_or_default())
    }

    fn grouping(&self, op: &Op) -> Shown {
        let (Op::HashAggregate { input, .. } | Op::SortedAggregate { input, .. } | Op::Window { input, .. }) = op
        else {
            return leaf("Aggregate", vec![]);
        };
        let below = self.node(input);
        let mut lines = vec![];
        let (title, names) = match op {
            Op::HashAggregate { groups, calls, sets, .. } => {
                let mut names = self.texts(groups, &below.names);
                if !groups.is_empty() {
                    lines.push(("Group Key", names.join(", ")));
                }
                lines.extend(sets.as_ref().map(|sets| ("Grouping Sets", sets.len().to_string())));
                names.extend(calls.iter().map(|c| self.call(c, &below.names)));
                names.extend(sets.iter().map(|_| "GROUPING".to_owned()));
                (if groups.is_empty() { "Aggregate" } else { "HashAggregate" }, names)
            }
            Op::SortedAggregate { groups, calls, .. } => {
                let mut names = self.texts(groups, &below.names);
                if !groups.is_empty() {
                    lines.push(("Group Key", names.join(", ")));
                }
                names.extend(calls.iter().map(|c| self.call(c, &below.names)));
                (if groups.is_empty() { "Aggregate" } else { "GroupAggregate" }, names)
            }
            Op::Window { calls, .. } => {
                let mut names = below.names.clone();
                names.extend(calls.iter().map(|call| {
                    format!("{}({}) OVER (?)", call.function.name(), self.texts(&call.args, &below.names).join(", "))
                }));
                ("WindowAgg", names)
            }
            _ => ("Aggregate", vec![]),
        };
        let node = Node { title: title.to_owned(), lines, children: vec![below.node], ..Node::default() };
        Shown { node, names }
    }

    fn write(&self, word: &str, relation: &Relation, input: &PlanNode) -> Shown {
        let below = self.node(input);
        let title = format!("{word} on {}", quote_ident(&relation.name));
        let node = Node { title, children: vec![below.node], ..Node::default() };
        Shown { node, names: vec![] }
    }

    fn set_operation(&self, op: &Op) -> Shown {
        let (title, inputs): (String, Vec<&PlanNode>) = match op {
            Op::Append { inputs } => ("Append".to_owned(), inputs.iter().collect()),
            Op::RecursiveUnion { base, step, .. } => ("Recursive Union".to_owned(), vec![base, step]),
            Op::HashSetOp { operation, all, left, right } => {
                let word = match operation {
                    SetOperation::Union => "Union",
                    SetOperation::Intersect => "Intersect",
                    SetOperation::Except => "Except",
                };
                (format!("HashSetOp {word}{}", if *all { " All" } else { "" }), vec![left, right])
            }
            _ => (String::new(), vec![]),
        };
        let mut shown: Vec<Shown> = inputs.into_iter().map(|input| self.node(input)).collect();
        let names = shown.first_mut().map(|s| std::mem::take(&mut s.names)).unwrap_or_default();
        let children = shown.into_iter().map(|s| s.node).collect();
        Shown { node: Node { title, children, ..Node::default() }, names }
    }

    fn one_input(&self, node: &PlanNode) -> Shown {
        let op = &node.op;
        let Some(input) = node.inputs().into_iter().next() else {
            return leaf("Result", vec![]);
        };
        let below = self.node(input);
        let names = &below.names;
        let mut lines = vec![];
        let title = match op {
            Op::Project { exprs, .. } => {
                let names = self.texts(exprs, names);
                return Shown { node: below.node, names };
            }
            Op::ProjectSet { exprs, .. } => {
                let node = Node { title: "ProjectSet".to_owned(), children: vec![below.node], ..Node::default() };
                return Shown { names: self.texts(exprs, names), node };
            }
            Op::Filter { predicate, .. } => {
                lines.push(("Filter", self.text(predicate, names)));
                "Filter"
            }
            Op::Sort { keys, presorted, top, .. } => {
                lines.push(("Sort Key", self.keys(keys, names)));
                if *presorted > 0 {
                    let known = keys.get(..*presorted).unwrap_or(keys);
                    lines.push(("Presorted Key", self.keys(known, names)));
                }
                match (top, presorted) {
                    (Some(_), _) => "Top-N Sort",
                    (None, 0) => "Sort",
                    (None, _) => "Incremental Sort",
                }
            }
            Op::Limit { .. } => "Limit",
            Op::Unique { .. } => "Unique",
            Op::Materialize { .. } => "Materialize",
            Op::LockRows { .. } => "LockRows",
            _ => "Result",
        };
        let names = below.names.clone();
        let node = Node { title: title.to_owned(), lines, children: vec![below.node], ..Node::default() };
        Shown { node, names }
    }
}

fn leaf(title: &str, names: Vec<String>) -> Shown {
    Shown { node: Node { title: title.to_owned(), ..Node::default() }, names }
}
