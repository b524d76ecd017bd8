//! INSERT, UPDATE and DELETE, and the rules that they are actions of.

use super::from::listed;
use super::layout::{self, Layout, QUERY};
use super::level::QueryNames;
use super::{Deparser, join};
use crate::expr::Expr;
use crate::logical::Overriding;
use crate::tree::{Change, ChangeTree, InsertTree, RulePart, StatementTree, Target};
use types::functions::quote_ident;
use types::{Oid, Result, SqlError};

impl<'a> Deparser<'a> {
    /// The condition of a rule.
    pub fn rule_condition(self, part: &'a RulePart<Expr>) -> Result<String> {
        let names = QueryNames::beside(&part.made, &part.rows, self.catalog);
        // Queries in it stand as deep as in a query.
        Deparser { query: Some(names), layout: Layout::new(QUERY, 0), ..self }.expr(&part.tree)
    }

    /// An action of a rule, with a blank before it, as PostgreSQL has it.
    pub fn rule_action(self, part: &'a RulePart<StatementTree>) -> Result<String> {
        let names = QueryNames::beside(&part.made, &part.rows, self.catalog);
        let deparser = Deparser { query: Some(names), ..self };
        match &part.tree {
            StatementTree::Query(query) => deparser.alone(query),
            StatementTree::Change(change) => deparser.change(change).map(layout::tidy),
        }
    }
}

impl Deparser<'_> {
    fn change(&self, change: &ChangeTree) -> Result<String> {
        let (level, alias) = self.level_of_change(change)?;
        let depth = self.layout.depth();
        let told = self.in_level(level, || {
            let mut out = String::new();
            self.with_clause(&change.with, change.is_recursive, &mut out)?;
            self.layout.deeper(QUERY);
            self.change_in_level(change, &alias, &mut out)?;
            self.returning(&change.returning, &mut out)?;
            Ok(out)
        });
        self.layout.back_to(depth);
        told
    }

    fn change_in_level(&self, change: &ChangeTree, alias: &str, out: &mut String) -> Result<()> {
        let target = change.target.first().map_or(0, |row| row.relation);
        let name = self.relation_name(target);
        // Another name than its own has to be said.
        let is_renamed = change.is_aliased || self.catalog.relation(target).is_none_or(|r| r.name != alias);
        let given = |word: &str| if is_renamed { format!("{word}{}", quote_ident(alias)) } else { String::new() };
        match &change.kind {
            Change::Insert { columns, overriding, source } => {
                out.push_str(&format!(" INSERT INTO {name}{} ", given(" AS ")));
                let names = self.attributes(target, columns)?;
                out.push_str(&if names.is_empty() { String::new() } else { listed(&names) + " " });
                out.push_str(match overriding {
                    None => "",
                    Some(Overriding::System) => "OVERRIDING SYSTEM VALUE ",
                    Some(Overriding::User) => "OVERRIDING USER VALUE ",
                });
                self.inserted(source, out)
            }
            Change::Update(assigned) => {
                out.push_str(&format!(" UPDATE {name}{} SET ", given(" ")));
                let numbers: Vec<i16> = assigned.iter().map(|(number, _)| *number).collect();
                let names = self.attributes(target, &numbers)?;
                let set = |(name, (_, value)): (&String, &(i16, Expr))| {
                    Ok(format!("{} = {}", quote_ident(name), self.at_top(value, false)?))
                };
                let sets = names.iter().zip(assigned).map(set).collect::<Result<Vec<_>>>()?;
                out.push_str(&join(&sets));
                self.change_input(" FROM ", change, out)
            }
            Change::Delete => {
                out.push_str(&format!(" DELETE FROM {name}{}", given(" ")));
                self.change_input(" USING ", change, out)
            }
        }
    }

    /// Names of a relation's attributes.
    fn attributes(&self, relation: Oid, numbers: &[i16]) -> Result<Vec<String>> {
        let relation = self.catalog.relation(relation);
        let name = |number: &i16| {
            let column = relation.and_then(|r| r.column(*number));
            column.map(|c| c.name.clone()).ok_or_else(|| SqlError::internal("a change's column exists"))
        };
        numbers.iter().map(name).collect()
    }

    fn inserted(&self, source: &InsertTree, out: &mut String) -> Result<()> {
        let value = |value: &Option<Expr>| match value {
            None => Ok("DEFAULT".to_owned()),
            Some(expr) => self.at_top(expr, false),
        };
        let row = |row: &Vec<Option<Expr>>| row.iter().map(value).collect::<Result<Vec<_>>>();
        match source {
            InsertTree::Defaults => out.push_str("DEFAULT VALUES"),
            InsertTree::Query(query) => self.nested_into(query, None, false, out)?,
            InsertTree::Rows(rows) => match rows.as_slice() {
                [one] => {
                    out.push_str(&self.layout.clause(" VALUES ", 1));
                    out.push_str(&format!("({})", join(&row(one)?)));
                }
                several => {
                    let rows = several.iter().map(|r| Ok(format!("({})", row(r)?.join(","))));
                    out.push_str(&format!("VALUES {}", join(&rows.collect::<Result<Vec<_>>>()?)));
                }
            },
        }
        Ok(())
    }

    fn change_input(&self, word: &str, change: &ChangeTree, out: &mut String) -> Result<()> {
        self.from_clause(word, &change.from, out)?;
        if !change.filter.is_empty() {
            out.push_str(&self.layout.clause(" WHERE ", 1));
            out.push_str(&self.conjunction(&change.filter)?);
        }
        Ok(())
    }

    fn returning(&self, targets: &[Target], out: &mut String) -> Result<()> {
        if targets.is_empty() {
            return Ok(());
        }
        out.push_str(&self.layout.clause(" RETURNING", 1));
        self.targets_of(targets, out)
    }
}
