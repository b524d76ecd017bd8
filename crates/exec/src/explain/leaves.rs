//! Scans: of relations, functions, values, and of what WITH computes.

use super::names::{Name, Outer, all_of, column, function_name, target_names};
use super::tree::{Named, Renderer};
use super::{Line, Shown, Value};
use catalog::Index;
use sql::Expr;
use sql::logical::Until;
use sql::physical::{KeyBounds, KeyEqual, Op, PlanNode, ScanTarget};
use std::sync::Arc;
use types::functions::quote_ident;

impl Renderer<'_> {
    pub(super) fn values(&mut self, node: &PlanNode, rows: &[Vec<Expr>], outer: &Outer) -> Named {
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

    pub(super) fn scan(&mut self, node: &PlanNode, target: &ScanTarget, filter: Option<&Expr>, outer: &Outer) -> Named {
        let alias = self.alias(node, false, &target.alias);
        let names = target_names(target, &alias);
        let mut shown = self.plain(node, "Seq Scan");
        shown.heading = format!("Seq Scan on {}", self.on(&target.relation, &alias));
        shown.details = self.of_relation(&target.relation, &alias);
        if let Some(as_of) = &target.as_of {
            let text = |time| self.scope(&[], outer, true).text(time);
            let line = match &target.until {
                None => Line::plain("As Of System Time", text(as_of)),
                Some(Until { time, is_closed: true }) => {
                    Line::plain("Versions Between", format!("{} AND {}", text(as_of), text(time)))
                }
                Some(Until { time, .. }) => Line::plain("Versions From", format!("{} TO {}", text(as_of), text(time))),
            };
            shown.lines.push(line);
        }
        if let Some(filter) = filter {
            shown.filters = self.scope(&names, outer, true).conjuncts(filter);
            shown.removed = shown.measure.map_or(0, |m| m.rows_removed);
        }
        (shown, names)
    }

    /// Makes a scan one by an index.
    pub(super) fn by_index(
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

    pub(super) fn bounds(&self, columns: &[String], bounds: &KeyBounds, outer: &Outer) -> Vec<String> {
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

    pub(super) fn functions(
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

    pub(super) fn cte_scan(&mut self, node: &PlanNode, cte: usize, columns: &[u32]) -> Named {
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

    pub(super) fn work_table(&mut self, node: &PlanNode, columns: &[u32]) -> Named {
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
}
