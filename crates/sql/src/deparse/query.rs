//! Whole queries: WITH, SELECT, VALUES, set operations.

use super::clause::Outputs;
use super::layout::{Layout, QUERY, VALUE, tidy};
use super::level::QueryNames;
use super::{Deparser, join};
use crate::expr::{Expr, ExprKind};
use crate::logical::SetOperation;
use crate::logical::locking::{LockMode, WaitPolicy};
use crate::tree::*;
use types::Result;
use types::functions::quote_ident;
use types::{Datum, SqlType};

/// What the columns of a query are to be called, and whether to say so where it goes without saying.
#[derive(Clone, Copy)]
struct Naming<'n> {
    names: Option<&'n [String]>,
    is_visible: bool,
}

impl<'a> Deparser<'a> {
    /// A view's query. `columns`: the view's, where their names are to be told. Lines break at `wrap` characters, or behind each column.
    pub fn view(self, written: &'a Written, columns: &[String], wrap: usize) -> Result<String> {
        // A view's own query has these names from the rule that it is.
        let names = QueryNames::new(&written.made, &["old", "new"]);
        let deparser = Deparser { query: Some(names), layout: Layout::new(0, wrap), ..self };
        deparser.whole(&written.query, Naming { names: Some(columns), is_visible: true })
    }

    /// The query that a function's body is.
    pub fn body(self, written: &'a Written, function: &'a catalog::Function) -> Result<String> {
        let names = QueryNames::new(&written.made, &[]);
        let parameters = Some((function.name.as_str(), function.inputs().map(|p| p.name.as_str()).collect()));
        let deparser = Deparser { query: Some(names), parameters, layout: Layout::new(1, 0), ..self };
        deparser.whole(&written.query, Naming { names: None, is_visible: false })
    }

    /// A query by itself, with the names that it has.
    pub(super) fn alone(&self, query: &QueryTree) -> Result<String> {
        self.whole(query, Naming { names: None, is_visible: true })
    }

    fn whole(&self, query: &QueryTree, naming: Naming<'_>) -> Result<String> {
        let mut out = String::new();
        self.query_into(query, naming, &mut out)?;
        Ok(tidy(out))
    }
}

impl Deparser<'_> {
    /// A query inside another, as a text of its own.
    pub(super) fn nested(&self, query: &QueryTree, names: Option<&[String]>, is_visible: bool) -> Result<String> {
        let mut out = String::new();
        self.nested_into(query, names, is_visible, &mut out)?;
        Ok(out)
    }

    pub(super) fn nested_into(
        &self,
        query: &QueryTree,
        names: Option<&[String]>,
        is_visible: bool,
        out: &mut String,
    ) -> Result<()> {
        self.query_into(query, Naming { names, is_visible }, out)
    }

    /// Leaves the depth as it was.
    fn query_into(&self, query: &QueryTree, naming: Naming<'_>, out: &mut String) -> Result<()> {
        crate::stop::check()?;
        let depth = self.layout.depth();
        let level = self.level_of(query)?;
        let told = self.in_level(level, || self.query_in_level(query, naming, out));
        self.layout.back_to(depth);
        told
    }

    fn query_in_level(&self, query: &QueryTree, naming: Naming<'_>, out: &mut String) -> Result<()> {
        self.with_clause(&query.with, query.is_recursive, out)?;
        let outputs = match &query.body {
            Body::Select(select) => {
                self.select(select, naming, out)?;
                Outputs::Targets(&select.targets)
            }
            Body::Values(values) => {
                self.values_query(values, query, naming, out)?;
                // To a reader its columns are those of an item, as PostgreSQL has it.
                if self.shown.is_some() { Outputs::None } else { Outputs::Numbers(&query.columns) }
            }
            Body::SetOperation { .. } => {
                self.set_operation(query, naming, out)?;
                Outputs::Numbers(&query.columns)
            }
        };
        self.tail(&query.tail, outputs, out)
    }

    pub(super) fn with_clause(&self, with: &[WithTree], is_recursive: bool, out: &mut String) -> Result<()> {
        if with.is_empty() {
            return Ok(());
        }
        self.layout.deeper(QUERY);
        out.push_str(if is_recursive { " WITH RECURSIVE " } else { " WITH " });
        for (number, with) in with.iter().enumerate() {
            out.push_str(if number > 0 { ", " } else { "" });
            self.with_query(with, out)?;
        }
        self.layout.deeper(-QUERY);
        out.push_str(&self.layout.line("", 0, 0, 0));
        Ok(())
    }

    fn with_query(&self, with: &WithTree, out: &mut String) -> Result<()> {
        let listed = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|n| quote_ident(n).to_string()).collect();
            join(&names)
        };
        out.push_str(&quote_ident(&with.name));
        if !with.columns.is_empty() {
            out.push_str(&format!("({})", listed(&with.columns)));
        }
        out.push_str(match with.materialized {
            None => " AS (",
            Some(true) => " AS MATERIALIZED (",
            Some(false) => " AS NOT MATERIALIZED (",
        });
        out.push_str(&self.layout.line("", 0, 0, 0));
        self.nested_into(&with.query, None, true, out)?;
        out.push_str(&self.layout.line("", 0, 0, 0));
        out.push(')');
        if let Some(search) = &with.search {
            let order = if search.is_depth_first { "DEPTH" } else { "BREADTH" };
            let columns = listed(&search.columns);
            out.push_str(&format!(" SEARCH {order} FIRST BY {columns} SET {}", quote_ident(&search.sequence)));
        }
        if let Some(cycle) = &with.cycle {
            out.push_str(&format!(" CYCLE {} SET {}", listed(&cycle.columns), quote_ident(&cycle.mark)));
            let (on, off) = &cycle.values;
            let is = |e: &Expr, value| matches!(&e.kind, ExprKind::Const(Datum::Bool(b)) if *b == value);
            if !(is(on, true) && is(off, false)) {
                out.push_str(&format!(" TO {} DEFAULT {}", self.bare(on)?, self.bare(off)?));
            }
            out.push_str(&format!(" USING {}", quote_ident(&cycle.path)));
        }
        Ok(())
    }

    fn tail(&self, tail: &TailTree, outputs: Outputs<'_>, out: &mut String) -> Result<()> {
        if !tail.order_by.is_empty() {
            out.push_str(&self.layout.clause(" ORDER BY ", 1));
            out.push_str(&self.order_by(&tail.order_by, outputs)?);
        }
        if let Some(offset) = &tail.offset {
            out.push_str(&self.layout.clause(" OFFSET ", 0));
            out.push_str(&self.bare(offset)?);
        }
        match &tail.limit {
            Some(limit) if tail.with_ties => {
                out.push_str(&self.layout.clause(" FETCH FIRST ", 0));
                out.push_str(&format!("({}) ROWS WITH TIES", self.bare(limit)?));
            }
            Some(limit) => {
                let is_all = matches!(&limit.kind, ExprKind::Const(value) if value.is_null());
                out.push_str(&self.layout.clause(" LIMIT ", 0));
                out.push_str(&if is_all { "ALL".to_owned() } else { self.bare(limit)? });
            }
            None => {}
        }
        for lock in &tail.locks {
            let words = match lock.mode {
                LockMode::KeyShare => " FOR KEY SHARE",
                LockMode::Share => " FOR SHARE",
                LockMode::NoKeyUpdate => " FOR NO KEY UPDATE",
                LockMode::Update => " FOR UPDATE",
            };
            out.push_str(&self.layout.clause(words, 0));
            out.push_str(&format!(" OF {}", quote_ident(&self.alias_of(lock.item)?)));
            out.push_str(match lock.wait {
                WaitPolicy::Wait => "",
                WaitPolicy::NoWait => " NOWAIT",
                WaitPolicy::Skip => " SKIP LOCKED",
            });
        }
        Ok(())
    }

    // --- SELECT

    fn select(&self, select: &SelectTree, naming: Naming<'_>, out: &mut String) -> Result<()> {
        self.layout.deeper(QUERY);
        out.push_str(" SELECT");
        match &select.distinct {
            DistinctTree::No => {}
            DistinctTree::All => out.push_str(" DISTINCT"),
            DistinctTree::On(columns) => {
                let key = |id: &crate::logical::ColumnId| {
                    self.key(&Expr::column(*id, SqlType::UNKNOWN), Outputs::Targets(&select.targets))
                };
                let keys = columns.iter().map(key).collect::<Result<Vec<_>>>()?;
                out.push_str(&format!(" DISTINCT ON ({})", join(&keys)));
            }
        }
        self.targets(&select.targets, naming, out)?;
        self.from_clause(" FROM ", &select.from, out)?;
        if !select.filter.is_empty() {
            out.push_str(&self.layout.clause(" WHERE ", 1));
            out.push_str(&self.conjunction(&select.filter)?);
        }
        if !select.groups.is_empty() {
            out.push_str(&self.layout.clause(" GROUP BY ", 1));
            out.push_str(if select.groups_are_distinct { "DISTINCT " } else { "" });
            let groups = select.groups.iter().map(|g| self.group(g, false)).collect::<Result<Vec<_>>>()?;
            out.push_str(&join(&groups));
        }
        if let Some(having) = &select.having {
            out.push_str(&self.layout.clause(" HAVING ", 0));
            out.push_str(&self.bare(having)?);
        }
        for (number, (name, window)) in select.windows.iter().enumerate() {
            out.push_str(&if number == 0 { self.layout.clause(" WINDOW ", 1) } else { ", ".to_owned() });
            out.push_str(&format!("{} AS {}", quote_ident(name), self.window(window)?));
        }
        Ok(())
    }

    /// The terms of a condition, as one.
    pub(super) fn conjunction(&self, terms: &[Expr]) -> Result<String> {
        match terms {
            [one] => self.bare(one),
            several => self.bare(&Expr::new(ExprKind::And(several.to_vec()), SqlType::BOOL, 0)),
        }
    }

    /// The columns of RETURNING, with the names that they have.
    pub(super) fn targets_of(&self, targets: &[Target], out: &mut String) -> Result<()> {
        self.targets(targets, Naming { names: None, is_visible: true }, out)
    }

    /// The select list, a line for each column that does not fit.
    fn targets(&self, targets: &[Target], naming: Naming<'_>, out: &mut String) -> Result<()> {
        let mut was_long = false;
        for (number, target) in targets.iter().filter(|t| t.name.is_some()).enumerate() {
            out.push_str(if number == 0 { " " } else { ", " });
            let text = self.target(target, number, naming)?;
            let is_on_own_line = text.starts_with('\n');
            if number > 0 && !is_on_own_line && (was_long || self.layout.is_full(out, &text)) {
                out.push_str(&self.layout.clause("", VALUE));
            }
            was_long = text.get(usize::from(is_on_own_line)..).is_some_and(|rest| rest.contains('\n'));
            out.push_str(&text);
        }
        Ok(())
    }

    fn target(&self, target: &Target, number: usize, naming: Naming<'_>) -> Result<String> {
        let text = self.at_top(&target.expr, true)?;
        let own = match self.plain_column(&target.expr) {
            Some((_, name)) => name,
            None if naming.is_visible => None,
            None => Some("?column?".to_owned()),
        };
        let given = naming.names.and_then(|names| names.get(number)).or(target.name.as_ref());
        Ok(match given {
            Some(name) if own.as_ref() != Some(name) => format!("{text} AS {}", quote_ident(name)),
            _ => text,
        })
    }

    // --- VALUES

    /// VALUES by itself, or as a FROM item where its columns have other names.
    fn values_query(&self, values: &ValuesTree, query: &QueryTree, naming: Naming<'_>, out: &mut String) -> Result<()> {
        let rows = self.rows(&values.rows)?;
        self.layout.deeper(QUERY);
        let own = |number: usize| format!("column{}", number + 1);
        let wanted = naming.names.unwrap_or_default();
        if wanted.iter().enumerate().all(|(number, name)| *name == own(number)) {
            out.push_str(&format!(" {rows}"));
            return Ok(());
        }
        out.push_str(" SELECT");
        let target = |(name, id): &(String, crate::logical::ColumnId)| Target {
            name: Some(name.clone()),
            id: *id,
            expr: Expr::column(*id, SqlType::UNKNOWN),
        };
        let targets: Vec<Target> = query.columns.iter().map(target).collect();
        self.targets(&targets, naming, out)?;
        out.push_str(&self.layout.clause(" FROM ", 2));
        out.push_str(&format!("({rows}) {}", quote_ident(&self.alias_of(values.number)?)));
        Ok(())
    }

    fn rows(&self, rows: &[Vec<Expr>]) -> Result<String> {
        let row = |row: &Vec<Expr>| -> Result<String> { Ok(format!("({})", self.values(row, false)?.join(","))) };
        let rows = rows.iter().map(row).collect::<Result<Vec<_>>>()?;
        Ok(format!("VALUES {}", join(&rows)))
    }

    /// Expressions that stand by themselves.
    pub(super) fn values(&self, exprs: &[Expr], shows_implied: bool) -> Result<Vec<String>> {
        exprs.iter().map(|e| self.at_top(e, shows_implied)).collect()
    }

    // --- set operations

    fn set_operation(&self, query: &QueryTree, naming: Naming<'_>, out: &mut String) -> Result<()> {
        let Body::SetOperation { operation, all, left, right } = &query.body else { return Ok(()) };
        let is_same =
            matches!(&left.body, Body::SetOperation { operation: o, all: a, .. } if o == operation && a == all);
        let encloses_left = is_bare_operation(left) && !is_same;
        let indent = if encloses_left { QUERY } else { 0 };
        if encloses_left {
            out.push('(');
            out.push_str(&self.layout.line("", indent, 0, 0));
        }
        self.arm(left, naming, out)?;
        let close = if encloses_left { ") " } else { "" };
        out.push_str(&self.layout.line(close, -indent, 0, 0));
        out.push_str(match operation {
            SetOperation::Union => "UNION ",
            SetOperation::Intersect => "INTERSECT ",
            SetOperation::Except => "EXCEPT ",
        });
        out.push_str(if *all { "ALL " } else { "" });
        let encloses_right = is_bare_operation(right);
        let indent = if encloses_right { QUERY } else { 0 };
        out.push_str(if encloses_right { "(" } else { "" });
        out.push_str(&self.layout.line("", indent, 0, 0));
        self.arm(right, Naming { is_visible: false, ..naming }, out)?;
        self.layout.deeper(-indent);
        if encloses_right {
            out.push_str(&self.layout.line(")", 0, 0, 0));
        }
        Ok(())
    }

    /// One side of a set operation, in parentheses where more than its body is said.
    fn arm(&self, query: &QueryTree, naming: Naming<'_>, out: &mut String) -> Result<()> {
        if is_bare_operation(query) {
            return self.set_operation(query, naming, out);
        }
        let tail = &query.tail;
        let has_more = !query.with.is_empty()
            || !tail.order_by.is_empty()
            || !tail.locks.is_empty()
            || tail.limit.is_some()
            || tail.offset.is_some();
        out.push_str(if has_more { "(" } else { "" });
        self.query_into(query, naming, out)?;
        out.push_str(if has_more { ")" } else { "" });
        Ok(())
    }
}

/// A set operation and nothing besides.
fn is_bare_operation(query: &QueryTree) -> bool {
    let tail = &query.tail;
    matches!(query.body, Body::SetOperation { .. })
        && query.with.is_empty()
        && tail.order_by.is_empty()
        && tail.limit.is_none()
        && tail.offset.is_none()
}
