//! FROM: relations, subqueries, functions and joins.

use super::layout::JOIN;
use super::{Deparser, join};
use crate::expr::{Expr, ExprKind};
use crate::logical::JoinKind;
use crate::tree::{FromTree, FunctionsTree, ItemTree, JoinTree, Source};
use catalog::names;
use types::Result;
use types::functions::quote_ident;
use types::{Oid, SqlType};

impl Deparser<'_> {
    /// The clause, with a line for each item that does not fit.
    pub(super) fn from_clause(&self, word: &str, items: &[FromTree], out: &mut String) -> Result<()> {
        for (number, item) in items.iter().enumerate() {
            if number == 0 {
                out.push_str(&self.layout.clause(word, 2));
                self.from_item(item, out)?;
                continue;
            }
            out.push_str(", ");
            let mut text = String::new();
            self.from_item(item, &mut text)?;
            if !text.starts_with('\n') && self.layout.is_full(out, &text) {
                out.push_str(&self.layout.clause("", super::layout::VALUE));
            }
            out.push_str(&text);
        }
        Ok(())
    }

    fn from_item(&self, tree: &FromTree, out: &mut String) -> Result<()> {
        match tree {
            FromTree::Item(item) => self.item(item, out),
            FromTree::Join(join) => match &join.alias {
                None => self.join(join, out),
                Some((_, _, number)) => {
                    let inside = self.inside_join(join)?;
                    let renamed = self.join_list(&inside, join);
                    self.in_level(inside, || self.join(join, out))?;
                    out.push(' ');
                    out.push_str(&quote_ident(&self.alias_of(*number)?));
                    if let Some(names) = renamed {
                        out.push_str(&listed(&names));
                    }
                    Ok(())
                }
            },
        }
    }

    fn join(&self, tree: &JoinTree, out: &mut String) -> Result<()> {
        let is_enclosed = !self.is_pretty() || tree.alias.is_some();
        let right_is_join = matches!(&tree.right, FromTree::Join(right) if right.alias.is_none());
        out.push_str(if is_enclosed { "(" } else { "" });
        self.from_item(&tree.left, out)?;
        let words = match tree.kind {
            JoinKind::Left => " LEFT JOIN ",
            JoinKind::Right => " RIGHT JOIN ",
            JoinKind::Full => " FULL JOIN ",
            _ if tree.on.is_empty() => " CROSS JOIN ",
            _ => " JOIN ",
        };
        out.push_str(&self.layout.clause(words, JOIN));
        let encloses_right = self.is_pretty() && right_is_join;
        out.push_str(if encloses_right { "(" } else { "" });
        self.from_item(&tree.right, out)?;
        out.push_str(if encloses_right { ")" } else { "" });
        if !tree.using.is_empty() {
            let names: Vec<String> = tree.using.iter().map(|n| quote_ident(n).to_string()).collect();
            out.push_str(&format!(" USING ({})", join(&names)));
            if let Some(alias) = &tree.using_alias {
                out.push_str(&format!(" AS {}", quote_ident(alias)));
            }
        } else if !tree.on.is_empty() {
            let condition = self.conjunction(&tree.on)?;
            let (open, close) = if self.is_pretty() { ("", "") } else { ("(", ")") };
            out.push_str(&format!(" ON {open}{condition}{close}"));
        } else if !matches!(tree.kind, JoinKind::Inner) {
            out.push_str(" ON TRUE");
        }
        out.push_str(if is_enclosed { ")" } else { "" });
        Ok(())
    }

    fn item(&self, item: &ItemTree, out: &mut String) -> Result<()> {
        let alias = self.alias_of(item.number)?;
        let names = self.names_of(item.number);
        let is_lateral = match &item.source {
            Source::Functions(functions) => functions.calls.iter().any(|call| self.reads_siblings(call)),
            _ => false,
        };
        out.push_str(if item.is_lateral || is_lateral { "LATERAL " } else { "" });
        let (shows_alias, shows_columns) = match &item.source {
            Source::Relation(id, _) => {
                out.push_str(&self.relation_name(*id));
                let relation = self.catalog.relation(*id);
                let today = relation.into_iter().flat_map(|r| r.live_columns());
                let is_renamed = today.zip(&names).any(|(column, name)| column.name != *name);
                (item.is_aliased || is_renamed || relation.is_none_or(|r| r.name != alias), is_renamed)
            }
            Source::Query(query) => {
                out.push('(');
                self.nested_into(query, None, true, out)?;
                out.push(')');
                (true, item.renamed > 0)
            }
            Source::With(name) => {
                out.push_str(&quote_ident(name));
                let is_renamed = item.renamed > 0;
                (item.is_aliased || is_renamed || *name != alias, is_renamed)
            }
            Source::Functions(functions) => {
                out.push_str(&self.functions(functions)?);
                (true, true)
            }
        };
        if shows_alias {
            out.push(' ');
            out.push_str(&quote_ident(&alias));
        }
        match &item.source {
            Source::Functions(FunctionsTree { definitions: Some(types), .. }) => {
                out.push_str(&self.defined(&names, types));
            }
            _ if shows_columns => out.push_str(&listed(&names)),
            _ => {}
        }
        Ok(())
    }

    fn defined(&self, names: &[String], types: &[SqlType]) -> String {
        let column = |(name, ty): (&String, &SqlType)| format!("{} {}", quote_ident(name), self.type_name(*ty));
        let columns: Vec<String> = names.iter().zip(types).map(column).collect();
        format!("({})", join(&columns))
    }

    /// Qualified where the search path or a WITH query would give another meaning to the bare name.
    pub(super) fn relation_name(&self, id: Oid) -> String {
        let Some(relation) = self.catalog.relation(id) else { return id.to_string() };
        match self.shown {
            Some(shown) if !self.is_with_query(&relation.name) => names::regclass_text(self.catalog, shown.scope, id),
            _ => names::qualified(self.catalog, relation.schema, &relation.name),
        }
    }

    fn functions(&self, functions: &FunctionsTree) -> Result<String> {
        let ordinality = if functions.with_ordinality { " WITH ORDINALITY" } else { "" };
        let is_unnest = |call: &Expr| matches!(&call.kind, ExprKind::Call { proc, args, .. } if proc.name == "unnest" && args.len() == 1);
        let text = match functions.calls.as_slice() {
            [one] if functions.definitions.is_none() || !functions.with_ordinality => self.operand(one)?,
            calls if calls.len() > 1 && calls.iter().all(is_unnest) => {
                let arrays: Vec<&Expr> = calls.iter().flat_map(Expr::children).collect();
                let arrays = arrays.into_iter().map(|a| self.operand(a)).collect::<Result<Vec<_>>>()?;
                format!("UNNEST({})", join(&arrays))
            }
            calls => format!("ROWS FROM({})", join(&self.list(calls)?)),
        };
        Ok(text + ordinality)
    }
}

pub(super) fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|n| quote_ident(n).to_string()).collect();
    format!("({})", join(&names))
}
