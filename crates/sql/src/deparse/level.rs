//! What the columns of a query's FROM items are called, query inside query.
//!
//! An item keeps the name it has, unless an item of this query or of one around it has it already: then a number is put behind
//! it. Columns of relations have their names of today, all others those that they were given.

use super::Deparser;
use crate::expr::{Expr, ExprKind};
use crate::logical::ColumnId;
use crate::tree::{Body, FromTree, ItemTree, JoinTree, Made, QueryTree, Source, ValuesTree};
use std::cell::RefCell;
use std::collections::BTreeMap;
use types::functions::quote_ident;
use types::{Result, SqlError};

/// The names of a query that is being told.
pub(super) struct QueryNames<'a> {
    pub(super) made: &'a [(ColumnId, Made)],
    /// Of the queries around the one at hand and of it, the innermost last.
    levels: RefCell<Vec<Level>>,
}

/// How a column is written.
#[derive(Clone)]
enum ColumnName {
    /// `item.column`
    Of(String, String),
    /// `item.*`
    Row(String),
    /// The item's name alone, before fields of a document.
    Item(String),
    /// A column that a join merged, by its name alone.
    Merged(String),
}

#[derive(Default)]
pub(super) struct Level {
    columns: BTreeMap<ColumnId, ColumnName>,
    /// Names of the items by number, and all that are taken.
    aliases: BTreeMap<u32, String>,
    taken: Vec<String>,
    /// Names that columns must have, as USING merges columns by name.
    merged: BTreeMap<ColumnId, String>,
    /// Names of the items' columns as they are told.
    columns_of: BTreeMap<u32, Vec<String>>,
    /// Names of the WITH queries.
    with: Vec<String>,
}

impl Level {
    /// Whether columns of the join have other names than inside of it, where these are the names.
    pub(super) fn is_renamed_by(&self, join: &JoinTree) -> bool {
        let inside = |id: &ColumnId| match self.columns.get(id) {
            Some(ColumnName::Of(_, name) | ColumnName::Merged(name)) => Some(name),
            _ => None,
        };
        join.columns.iter().any(|(name, id)| inside(id).is_some_and(|own| own != name))
    }
}

/// The name of an item that VALUES is.
const VALUES_ITEM: &str = "*VALUES*";

impl<'a> QueryNames<'a> {
    /// `taken`: names that no FROM item has.
    pub(super) fn new(made: &'a [(ColumnId, Made)], taken: &[&str]) -> QueryNames<'a> {
        let outside = Level { taken: taken.iter().map(|name| (*name).to_owned()).collect(), ..Level::default() };
        QueryNames { made, levels: RefCell::new(vec![outside]) }
    }
}

impl Deparser<'_> {
    fn names(&self) -> Result<&QueryNames<'_>> {
        self.query.as_ref().ok_or_else(|| SqlError::internal("a query is being told"))
    }

    /// Tells something of a query with its names in view.
    pub(super) fn in_level<T>(&self, level: Level, tell: impl FnOnce() -> Result<T>) -> Result<T> {
        let names = self.names()?;
        names.levels.borrow_mut().push(level);
        let told = tell();
        names.levels.borrow_mut().pop();
        told
    }

    /// The names of a query's FROM items.
    pub(super) fn level_of(&self, query: &QueryTree) -> Result<Level> {
        let mut level = Level { with: query.with.iter().map(|w| w.name.clone()).collect(), ..Level::default() };
        match &query.body {
            Body::Select(select) => {
                select.from.iter().for_each(|item| merge_names(&mut level, item));
                for item in &select.from {
                    self.add(&mut level, item)?;
                }
            }
            Body::Values(values) => self.add_values(&mut level, values, query)?,
            Body::SetOperation { .. } => {}
        }
        Ok(level)
    }

    fn add_values(&self, level: &mut Level, values: &ValuesTree, query: &QueryTree) -> Result<()> {
        let alias = self.unused(level, VALUES_ITEM)?;
        level.aliases.insert(values.number, alias.clone());
        for (number, (_, id)) in query.columns.iter().enumerate() {
            level.columns.insert(*id, ColumnName::Of(alias.clone(), format!("column{}", number + 1)));
        }
        Ok(())
    }

    fn unused(&self, level: &mut Level, name: &str) -> Result<String> {
        let names = self.names()?;
        let levels = names.levels.borrow();
        let is_taken = |name: &String| levels.iter().chain([&*level]).any(|l| l.taken.contains(name));
        let numbered = (1..).map(|number| format!("{name}_{number}"));
        let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
        let free = candidates.find(|name| !is_taken(name)).unwrap_or_default();
        level.taken.push(free.clone());
        Ok(free)
    }

    fn add(&self, level: &mut Level, tree: &FromTree) -> Result<()> {
        match tree {
            FromTree::Item(item) => self.add_item(level, item),
            FromTree::Join(join) => {
                self.add(level, &join.left)?;
                self.add(level, &join.right)?;
                self.add_join(level, join)
            }
        }
    }

    fn add_item(&self, level: &mut Level, item: &ItemTree) -> Result<()> {
        // A relation without a name of its own follows its renames.
        let own = match &item.source {
            Source::Relation(id, _) if !item.is_aliased => self.catalog.relation(*id).map(|r| r.name.as_str()),
            _ => None,
        };
        let alias = self.unused(level, own.unwrap_or(&item.alias))?;
        level.aliases.insert(item.number, alias.clone());
        let named = self.named_columns(level, item);
        for (id, name) in &named {
            if let Some(id) = id {
                level.columns.insert(*id, ColumnName::Of(alias.clone(), name.clone()));
            }
        }
        level.columns_of.insert(item.number, named.into_iter().map(|(_, name)| name).collect());
        for (what, id) in &item.hidden {
            let name = match what {
                Some("*") => ColumnName::Row(alias.clone()),
                Some(name) => ColumnName::Of(alias.clone(), (*name).to_owned()),
                None => ColumnName::Item(alias.clone()),
            };
            level.columns.insert(*id, name);
        }
        Ok(())
    }

    /// Of a join with a name, all columns are that name's; of any other, those that it merged and computes.
    fn add_join(&self, level: &mut Level, join: &JoinTree) -> Result<()> {
        let Some((alias, _, number)) = &join.alias else {
            for (name, id) in &join.columns {
                level.columns.entry(*id).or_insert_with(|| ColumnName::Merged(name.clone()));
            }
            return Ok(());
        };
        let alias = self.unused(level, alias)?;
        level.aliases.insert(*number, alias.clone());
        for (name, id) in &join.columns {
            level.columns.insert(*id, ColumnName::Of(alias.clone(), name.clone()));
        }
        Ok(())
    }

    /// Names inside a join that has a name, which hides them outside.
    pub(super) fn inside_join(&self, join: &JoinTree) -> Result<Level> {
        let names = self.names()?;
        let mut inside = Level::default();
        [&join.left, &join.right].into_iter().for_each(|side| merge_names(&mut inside, side));
        inside.merged.extend(names.levels.borrow().last().map(|l| l.merged.clone()).unwrap_or_default());
        for side in [&join.left, &join.right] {
            self.add(&mut inside, side)?;
        }
        // The items keep the names that they have got.
        let levels = names.levels.borrow();
        let known = levels.last();
        let renamed: BTreeMap<String, String> = inside
            .aliases
            .iter()
            .filter_map(|(number, new)| Some((new.clone(), known?.aliases.get(number)?.clone())))
            .collect();
        let rename = |alias: &mut String| {
            if let Some(name) = renamed.get(alias) {
                alias.clone_from(name);
            }
        };
        for name in inside.columns.values_mut() {
            match name {
                ColumnName::Of(alias, _) | ColumnName::Row(alias) | ColumnName::Item(alias) => rename(alias),
                ColumnName::Merged(_) => {}
            }
        }
        inside.aliases.values_mut().for_each(rename);
        inside.taken.clear();
        Ok(inside)
    }

    /// An item's columns of today with their names, each different from the others.
    fn named_columns(&self, level: &Level, item: &ItemTree) -> Vec<(Option<ColumnId>, String)> {
        let given = |place: usize| item.columns.get(place).map(|(name, id)| (Some(*id), name.clone()));
        let columns: Vec<(Option<ColumnId>, String)> = match &item.source {
            Source::Relation(id, attributes) => {
                let live = self.catalog.relation(*id).into_iter().flat_map(|r| r.live_columns());
                let column = |c: &catalog::Column| {
                    let place = attributes.iter().position(|a| *a == c.number);
                    let known = place.and_then(given);
                    match (place, known) {
                        (Some(place), Some(known)) if place < item.renamed => known,
                        (_, known) => (known.and_then(|(id, _)| id), c.name.clone()),
                    }
                };
                live.map(column).collect()
            }
            _ => (0..item.columns.len()).filter_map(given).collect(),
        };
        let merged = |id: &Option<ColumnId>| id.and_then(|id| level.merged.get(&id));
        let mut taken: Vec<String> = columns.iter().filter_map(|(id, _)| merged(id)).cloned().collect();
        let mut named = vec![];
        for (id, name) in columns {
            if let Some(name) = merged(&id) {
                named.push((id, name.clone()));
                continue;
            }
            let numbered = (1..).map(|number| format!("{name}_{number}"));
            let unique = std::iter::once(name.clone()).chain(numbered).find(|n| !taken.contains(n)).unwrap_or(name);
            taken.push(unique.clone());
            named.push((id, unique));
        }
        named
    }

    /// The names of an item's columns.
    pub(super) fn column_names(&self, item: &ItemTree) -> Vec<String> {
        let levels = self.query.as_ref().map(|names| names.levels.borrow());
        let found = levels.as_ref().and_then(|l| l.iter().rev().find_map(|level| level.columns_of.get(&item.number)));
        found.cloned().unwrap_or_default()
    }

    /// The name of an item of the query at hand.
    pub(super) fn alias_of(&self, number: u32) -> Result<String> {
        let names = self.names()?;
        let levels = names.levels.borrow();
        let found = levels.iter().rev().find_map(|level| level.aliases.get(&number));
        found.cloned().ok_or_else(|| SqlError::internal("a FROM item has a name"))
    }

    /// Whether a WITH query in view has that name.
    pub(super) fn is_with_query(&self, name: &str) -> bool {
        let levels = self.query.as_ref().map(|names| names.levels.borrow());
        levels.is_some_and(|levels| levels.iter().any(|level| level.with.iter().any(|w| w == name)))
    }

    /// A function's parameter: by its name, with the function's where a FROM item's column could be meant.
    pub(super) fn parameter(&self, number: u16) -> String {
        let named = self.parameters.as_ref().filter(|_| self.shown.is_some());
        let named = named.and_then(|(function, names)| Some((*function, *names.get(usize::from(number))?)));
        let has_items = self.query.as_ref().is_some_and(|q| q.levels.borrow().iter().any(|l| !l.aliases.is_empty()));
        match named.filter(|(_, name)| !name.is_empty()) {
            None => format!("${}", u32::from(number) + 1),
            Some((function, name)) if has_items => format!("{}.{}", quote_ident(function), quote_ident(name)),
            Some((_, name)) => quote_ident(name).to_string(),
        }
    }

    /// Whether an expression reads columns of the query at hand.
    pub(super) fn reads_siblings(&self, expr: &Expr) -> bool {
        let levels = self.query.as_ref().map(|names| names.levels.borrow());
        let used = crate::plan::columns::used(expr);
        levels.is_some_and(|levels| {
            levels.last().is_some_and(|level| used.iter().any(|id| level.columns.contains_key(id)))
        })
    }

    /// Whether an expression is a column of a FROM item, and what is said of it there: (its text, its name alone).
    pub(super) fn plain_column(&self, expr: &Expr) -> Option<(String, Option<String>)> {
        let ExprKind::Column(id) = expr.kind else { return None };
        let names = self.query.as_ref()?;
        let levels = names.levels.borrow();
        let found = levels.iter().rev().find_map(|level| level.columns.get(&id))?;
        Some(match found {
            ColumnName::Of(item, name) => (format!("{}.{}", quote_ident(item), quote_ident(name)), Some(name.clone())),
            ColumnName::Row(item) => (format!("{}.*", quote_ident(item)), None),
            ColumnName::Item(item) => (quote_ident(item).to_string(), None),
            ColumnName::Merged(name) => (quote_ident(name).to_string(), Some(name.clone())),
        })
    }

    pub(super) fn query_column(&self, id: ColumnId, expr: &Expr) -> Result<String> {
        if let Some((text, _)) = self.plain_column(expr) {
            return Ok(text);
        }
        match self.made(id) {
            Some(made) => self.made_column(made),
            None => Err(SqlError::internal(format!("a query reads column {}, which is not there", id.0))),
        }
    }

    pub(super) fn made(&self, id: ColumnId) -> Option<&Made> {
        self.query.as_ref()?.made.iter().find(|(column, _)| *column == id).map(|(_, made)| made)
    }

    /// A whole row where it stands by itself says its type.
    pub(super) fn at_top(&self, expr: &Expr, shows_implied: bool) -> Result<String> {
        let is_row = self.plain_column(expr).is_some_and(|(text, _)| text.ends_with(".*"));
        let text = self.show(expr, shows_implied)?;
        Ok(if is_row { format!("{text}::{}", self.type_name(expr.ty)) } else { text })
    }
}

/// Notes what USING calls the columns that it merges.
fn merge_names(level: &mut Level, tree: &FromTree) {
    let FromTree::Join(join) = tree else { return };
    for (pair, name) in join.on.iter().zip(&join.using) {
        for id in crate::plan::columns::used(pair) {
            level.merged.insert(id, name.clone());
        }
    }
    merge_names(level, &join.left);
    merge_names(level, &join.right);
}
