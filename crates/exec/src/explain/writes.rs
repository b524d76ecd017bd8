//! Aggregates, writes, and plans that have no tree.

use super::names::{Name, Outer, column, from_below, key_columns, target_names};
use super::tree::{Named, Renderer, push};
use super::{Estimate, Line, Shown, Value};
use crate::run::NodeMeasure;
use catalog::Relation;
use sql::Expr;
use sql::logical::WindowFunction;
use sql::physical::{Direct, Op, PlanAggregate, PlanConflict, PlanNode, PlanWindowCall};
use types::functions::quote_ident;

/// A look-up of one row by its whole key, in the planner's units.
const GET_COST: f64 = 0.31;

impl<'a> Renderer<'a> {
    pub(super) fn aggregate(&mut self, node: &'a PlanNode, outer: &Outer) -> Named {
        let (input, groups, calls, sets, is_hash) = match &node.op {
            Op::HashAggregate { input, groups, calls, sets } => (input, groups, calls, sets.as_ref(), true),
            Op::SortedAggregate { input, groups, calls } => (input, groups, calls, None, false),
            _ => return (Shown::default(), vec![]),
        };
        let (child, names) = self.node(input, outer);
        // What a projection right below computes, the aggregate computes itself there.
        let names = if matches!(input.op, Op::Project { .. }) { names } else { from_below(names) };
        let keys: Vec<String> = groups.iter().map(|g| self.scope(&names, outer, false).text(g)).collect();
        let (heading, strategy) = match (is_hash, groups.is_empty(), sets) {
            (_, _, Some(sets)) if sets.iter().any(Vec::is_empty) => ("MixedAggregate", "Mixed"),
            (true, false, _) => ("HashAggregate", "Hashed"),
            (_, true, _) => ("Aggregate", "Plain"),
            (false, false, _) => ("GroupAggregate", "Sorted"),
        };
        let heading = if calls.is_empty() && strategy == "Sorted" { "Group" } else { heading };
        let mut shown = Shown {
            heading: heading.to_owned(),
            kind: vec![
                ("Node Type", Value::Text(if heading == "Group" { "Group" } else { "Aggregate" }.to_owned())),
                ("Strategy", Value::Text(strategy.to_owned())),
                ("Partial Mode", Value::Text("Simple".to_owned())),
            ],
            estimate: Some(Estimate {
                startup: node.startup_cost,
                total: node.total_cost,
                rows: node.rows,
                width: node.width,
            }),
            measure: self.measure(node.id),
            ..Shown::default()
        };
        match sets {
            None if keys.is_empty() => {}
            None => shown.lines.push(Line::list("Group Key", keys.clone())),
            Some(sets) => {
                for set in sets {
                    let members: Vec<String> = set.iter().filter_map(|g| keys.get(*g).cloned()).collect();
                    shown.lines.push(match members.is_empty() {
                        true => Line::plain("Group Key", "()".to_owned()),
                        false => Line::list("Hash Key", members),
                    });
                }
            }
        }
        if let Some(m) = shown.measure.filter(|m| is_hash && m.loops > 0) {
            shown.work.push(hash_work(&m));
        }
        push(&mut shown, child, "Outer");
        let mut outputs: Vec<Name> = self.computed(groups, &names, outer);
        outputs.extend(calls.iter().map(|call| self.call(call, &names, outer)));
        if sets.is_some() {
            outputs.push(column("", "grouping set"));
        }
        (shown, outputs)
    }

    fn call(&self, call: &PlanAggregate, names: &[Name], outer: &Outer) -> Name {
        let scope = self.scope(names, outer, false);
        let args: Vec<String> = call.args.iter().map(|a| scope.text(a)).collect();
        let direct: Vec<String> = call.direct.iter().map(|a| scope.text(a)).collect();
        let order = self.sort_keys(&call.order_by, names, outer).join(", ");
        let name = quote_ident(call.function.name());
        let mut text = if !direct.is_empty() || (call.args.is_empty() && !order.is_empty()) {
            format!("{name}({}) WITHIN GROUP (ORDER BY {order})", direct.join(", "))
        } else {
            let distinct = if call.distinct { "DISTINCT " } else { "" };
            let args = if args.is_empty() { "*".to_owned() } else { args.join(", ") };
            let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {order}") };
            format!("{name}({distinct}{args}{order})")
        };
        if let Some(filter) = &call.filter {
            text.push_str(&format!(" FILTER (WHERE {})", scope.text(filter)));
        }
        Name::Expression { text, is_own: true }
    }

    pub(super) fn window_call(&self, call: &PlanWindowCall, names: &[Name], outer: &Outer) -> Name {
        let scope = self.scope(names, outer, false);
        let mut args: Vec<String> = call.args.iter().map(|a| scope.text(a)).collect();
        if args.is_empty() && matches!(call.function, WindowFunction::Aggregate(_)) {
            args.push("*".to_owned());
        }
        let filter = call.filter.as_ref().map_or(String::new(), |f| format!(" FILTER (WHERE {})", scope.text(f)));
        let text = format!("{}({}){filter} OVER (?)", quote_ident(call.function.name()), args.join(", "));
        Name::Expression { text, is_own: true }
    }

    // --- writes

    fn modify(&self, word: &'static str, relation: &Relation, alias: &str) -> Shown {
        let name = self.relation_name(relation);
        let on = if alias == relation.name { name } else { format!("{name} {}", quote_ident(alias)) };
        Shown {
            heading: format!("{word} on {on}"),
            kind: vec![
                ("Node Type", Value::Text("ModifyTable".to_owned())),
                ("Operation", Value::Text(word.to_owned())),
            ],
            details: self.of_relation(relation, alias),
            ..Shown::default()
        }
    }

    pub(super) fn write(&mut self, node: &'a PlanNode, outer: &Outer) -> Named {
        let (word, target, input, returning): (_, _, _, &[Expr]) = match &node.op {
            Op::Insert(w) => ("Insert", &w.target, &w.input, &w.returning),
            Op::Update(w) => ("Update", &w.target, &w.input, &w.returning),
            Op::Delete(w) => ("Delete", &w.target, &w.input, &w.returning),
            Op::Merge(w) => ("Merge", &w.target, &w.input, &[]),
            _ => return (Shown::default(), vec![]),
        };
        let (child, names) = self.node(input, outer);
        let names = from_below(names);
        let alias = match scanned_alias(input, target.relation.id) {
            Some(alias) if word != "Insert" => alias,
            _ => target.relation.name.clone(),
        };
        let mut shown = self.modify(word, &target.relation, &alias);
        // Without RETURNING no row comes out.
        let (rows, width) = if returning.is_empty() { (0.0, 0) } else { (node.rows, node.width) };
        shown.estimate = Some(Estimate { startup: node.startup_cost, total: node.total_cost, rows, width });
        shown.measure = self.measure(node.id);
        if let Op::Insert(insert) = &node.op
            && let Some(conflict) = &insert.on_conflict
        {
            self.conflict(&mut shown, conflict, &target.relation, outer);
        }
        if let Op::Update(update) = &node.op {
            // Subplans of the assignments are shown below the update.
            update.assignments.iter().for_each(|(_, e)| drop(self.scope(&names, outer, false).text(e)));
        }
        push(&mut shown, child, "Outer");
        let mut row: Vec<Name> = target.relation.columns.iter().map(|c| column(&alias, &c.name)).collect();
        row.extend(names);
        let outputs = self.computed(returning, &row, outer);
        if self.explain.options.verbose {
            shown.output = outputs.iter().map(|n| n.show(self.has_many)).collect();
        }
        (shown, outputs)
    }

    fn conflict(&self, shown: &mut Shown, conflict: &PlanConflict, relation: &Relation, outer: &Outer) {
        let word = if conflict.source.update.is_some() { "UPDATE" } else { "NOTHING" };
        shown.lines.push(Line::plain("Conflict Resolution", word.to_owned()));
        let names: Vec<String> = conflict
            .source
            .arbiters
            .iter()
            .filter_map(|id| self.explain.catalog.index(*id))
            .map(|index| quote_ident(&index.name).to_string())
            .collect();
        if !names.is_empty() {
            shown.lines.push(Line::list("Conflict Arbiter Indexes", names));
        }
        if let Some(predicate) = &conflict.predicate {
            let old = relation.columns.iter().map(|c| column(&relation.name, &c.name));
            let new = relation.columns.iter().map(|c| column("excluded", &c.name));
            let names: Vec<Name> = old.chain(new).collect();
            let scope = super::names::Scope { is_qualified: true, ..self.scope(&names, outer, false) };
            shown.lines.push(Line::plain("Conflict Filter", scope.text(predicate)));
        }
    }

    // --- statements by full key

    pub(super) fn direct(&mut self, direct: &Direct) -> Shown {
        let outer = Outer::new();
        let measure = self.measure(0);
        match direct {
            Direct::Get { target, key, filter, output, lock } => {
                let names = target_names(target, &target.alias);
                let mut shown = self.get(&target.relation, &target.alias, key, filter.as_ref(), &names, measure);
                let outputs = self.computed(output, &names, &outer);
                shown.output = outputs.iter().map(|n| n.show(false)).collect();
                if lock.is_none() {
                    return shown;
                }
                let mut rows = Shown {
                    heading: "LockRows".to_owned(),
                    kind: vec![("Node Type", Value::Text("LockRows".to_owned()))],
                    estimate: shown.estimate,
                    measure,
                    output: shown.output.clone(),
                    ..Shown::default()
                };
                push(&mut rows, shown, "Outer");
                rows
            }
            Direct::Insert { target, values, returning } => {
                let scope = self.scope(&[], &outer, false);
                let output = values.iter().flatten().map(|e| scope.text(e)).collect();
                let row = Shown {
                    heading: "Result".to_owned(),
                    kind: vec![("Node Type", Value::Text("Result".to_owned()))],
                    estimate: Some(Estimate { startup: 0.0, total: 0.01, rows: 1.0, width: width(&target.relation) }),
                    measure: measure.map(|m| NodeMeasure { rows: 1, ..m }),
                    output,
                    ..Shown::default()
                };
                self.direct_write("Insert", &target.relation, returning, row)
            }
            Direct::Update { target, key, filter, returning, .. } => {
                let names: Vec<Name> = whole(&target.relation);
                let row = self.get(&target.relation, &target.relation.name, key, filter.as_ref(), &names, measure);
                self.direct_write("Update", &target.relation, returning, row)
            }
            Direct::Delete { target, key, filter, returning } => {
                let names: Vec<Name> = whole(&target.relation);
                let row = self.get(&target.relation, &target.relation.name, key, filter.as_ref(), &names, measure);
                self.direct_write("Delete", &target.relation, returning, row)
            }
        }
    }

    fn get(
        &self,
        relation: &Relation,
        alias: &str,
        key: &[Expr],
        filter: Option<&Expr>,
        names: &[Name],
        measure: Option<NodeMeasure>,
    ) -> Shown {
        let outer = Outer::new();
        let index = self.index_name(relation, None);
        let name = self.relation_name(relation);
        let on = if alias == relation.name { name } else { format!("{name} {}", quote_ident(alias)) };
        let prefix = if self.explain.options.verbose { format!("{}.", quote_ident(alias)) } else { String::new() };
        let scope = self.scope(names, &outer, true);
        let columns = key_columns(relation, None);
        let conditions = columns.iter().zip(key).map(|(c, e)| format!("({prefix}{c} = {})", scope.text(e)));
        let mut details =
            vec![("Scan Direction", Value::Text("Forward".to_owned())), ("Index Name", Value::Text(index.clone()))];
        details.extend(self.of_relation(relation, alias));
        Shown {
            heading: format!("Index Scan using {} on {on}", quote_ident(&index)),
            kind: vec![("Node Type", Value::Text("Index Scan".to_owned()))],
            details,
            estimate: Some(Estimate { startup: 0.3, total: GET_COST, rows: 1.0, width: width(relation) }),
            measure,
            lines: vec![Line::plain("Index Cond", super::names::all_of(conditions.collect()))],
            filters: filter.map(|f| scope.conjuncts(f)).unwrap_or_default(),
            removed: measure.map_or(0, |m| m.rows_removed),
            ..Shown::default()
        }
    }

    fn direct_write(&self, word: &'static str, relation: &Relation, returning: &[Expr], row: Shown) -> Shown {
        let mut shown = self.modify(word, relation, &relation.name);
        let total = row.estimate.map_or(0.0, |e| e.total);
        let (rows, width) = if returning.is_empty() { (0.0, 0) } else { (1.0, width(relation)) };
        shown.estimate = Some(Estimate { startup: 0.0, total, rows, width });
        let out = if returning.is_empty() { 0 } else { 1 };
        shown.measure = self.measure(0).map(|m| NodeMeasure { rows: m.rows.min(out), ..m });
        let outputs = self.computed(returning, &whole(relation), &Outer::new());
        shown.output = outputs.iter().map(|n| n.show(false)).collect();
        push(&mut shown, row, "Outer");
        shown
    }
}

fn whole(relation: &Relation) -> Vec<Name> {
    relation.columns.iter().map(|c| column(&relation.name, &c.name)).collect()
}

fn width(relation: &Relation) -> u32 {
    let of = |oid| types::builtin::type_by_oid(oid).and_then(|t| u32::try_from(t.len).ok()).unwrap_or(32);
    relation.columns.iter().filter(|c| !c.is_dropped).map(|c| of(types::SqlType::from(c.ty).oid)).sum()
}

fn hash_work(m: &NodeMeasure) -> Line {
    let (memory, disk) = (m.memory_bytes.div_ceil(1024), m.disk_bytes.div_ceil(1024));
    let batches = u64::from(m.batches.max(1));
    let on_disk = if disk > 0 { format!("  Disk Usage: {disk}kB") } else { String::new() };
    Line {
        text: Some(format!("Batches: {batches}  Memory Usage: {memory}kB{on_disk}")),
        json: vec![
            ("HashAgg Batches", Value::Integer(batches)),
            ("Peak Memory Usage", Value::Integer(memory)),
            ("Disk Usage", Value::Integer(disk)),
        ],
    }
}

/// What the written relation is called where it is scanned.
fn scanned_alias(node: &PlanNode, relation: types::Oid) -> Option<String> {
    match &node.op {
        Op::SeqScan { target, .. } | Op::IndexScan { target, .. } if target.relation.id == relation => {
            Some(target.alias.clone())
        }
        Op::LookupJoin { target, .. } if target.relation.id == relation => Some(target.alias.clone()),
        _ => node.inputs().into_iter().find_map(|input| scanned_alias(input, relation)),
    }
}
