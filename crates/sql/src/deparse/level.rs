//! What the columns of a query's FROM items are called, query inside query.
//!
//! An item keeps the name it has, unless an item of this query or of one around it has it already: then a number is put behind
//! it. Columns of relations have their names of today, all others those that they were given.

use super::Deparser;
use crate::expr::{Expr, ExprKind};
use crate::logical::ColumnId;
use crate::tree::{Body, ChangeTree, FromTree, ItemTree, JoinTree, Made, QueryTree, RowTree, Source, ValuesTree};
use catalog::Snapshot;
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

type TodaysColumn = (Option<ColumnId>, String);

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
    /// Names that other columns of an item must not have, by its number, and those that no item's may.
    reserved: BTreeMap<u32, Vec<String>>,
    bare: Vec<String>,
    /// The items' columns of today as they are told; without an id those that have come since the query was written.
    columns_of: BTreeMap<u32, Vec<TodaysColumn>>,
    /// Names of the WITH queries.
    with: Vec<String>,
}

impl Level {
    /// A row's columns, with their names of today.
    fn add_row(&mut self, row: &RowTree, alias: &str, catalog: &Snapshot) {
        let relation = catalog.relation(row.relation);
        for (number, id) in &row.columns {
            if let Some(column) = relation.and_then(|r| r.column(*number)) {
                self.columns.insert(*id, ColumnName::Of(alias.to_owned(), column.name.clone()));
            }
        }
        if let Some(id) = row.whole {
            self.columns.insert(id, ColumnName::Row(alias.to_owned()));
        }
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

    /// With rows that are in view everywhere.
    pub(super) fn beside(made: &'a [(ColumnId, Made)], rows: &[RowTree], catalog: &Snapshot) -> QueryNames<'a> {
        let mut outside = Level::default();
        for row in rows {
            outside.taken.push(row.alias.clone());
            outside.add_row(row, &row.alias, catalog);
        }
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
                select.from.iter().for_each(|item| merge_names(&mut level, item, &[]));
                for item in &select.from {
                    self.add(&mut level, item)?;
                }
            }
            Body::Values(values) => self.add_values(&mut level, values, query)?,
            Body::SetOperation { .. } => {}
        }
        Ok(level)
    }

    /// The names of a change's target and of its FROM items, and what the target is called.
    pub(super) fn level_of_change(&self, change: &ChangeTree) -> Result<(Level, String)> {
        let mut level = Level { with: change.with.iter().map(|w| w.name.clone()).collect(), ..Level::default() };
        change.from.iter().for_each(|item| merge_names(&mut level, item, &[]));
        let target = change.target.first().ok_or_else(|| SqlError::internal("a change has a target"))?;
        let own = self.catalog.relation(target.relation).filter(|_| !change.is_aliased).map(|r| r.name.as_str());
        let alias = self.unused(&mut level, own.unwrap_or(&target.alias))?;
        change.target.iter().for_each(|row| level.add_row(row, &alias, self.catalog));
        for item in &change.from {
            self.add(&mut level, item)?;
        }
        Ok((level, alias))
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
        let is_taken = |name: &str| levels.iter().chain([&*level]).any(|l| l.taken.iter().any(|t| t == name));
        let free = unique(name, is_taken);
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
        level.columns_of.insert(item.number, named);
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
        let named = named_join(level, join);
        for (id, name) in &named {
            if let Some(id) = id {
                level.columns.insert(*id, ColumnName::Of(alias.clone(), name.clone()));
            }
        }
        level.columns_of.insert(*number, named);
        Ok(())
    }

    /// Names inside a join that has a name, which hides them outside.
    pub(super) fn inside_join(&self, join: &JoinTree) -> Result<Level> {
        let names = self.names()?;
        let mut inside = Level::default();
        if let Some(level) = names.levels.borrow().last() {
            inside.merged.clone_from(&level.merged);
            inside.reserved.clone_from(&level.reserved);
            inside.bare.clone_from(&level.bare);
        }
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
    fn named_columns(&self, level: &Level, item: &ItemTree) -> Vec<TodaysColumn> {
        let given = |place: usize| item.columns.get(place).map(|(name, id)| (Some(*id), name.clone()));
        let columns: Vec<TodaysColumn> = match &item.source {
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
        let reserved = level.reserved.get(&item.number).into_iter().flatten().chain(&level.bare);
        let mut taken: Vec<String> = columns.iter().filter_map(|(id, _)| merged(id)).chain(reserved).cloned().collect();
        let mut named = vec![];
        for (id, name) in columns {
            if let Some(name) = merged(&id) {
                named.push((id, name.clone()));
                continue;
            }
            let free = unique(&name, |n| taken.iter().any(|t| t == n));
            taken.push(free.clone());
            named.push((id, free));
        }
        named
    }

    /// The names of an item's columns.
    pub(super) fn names_of(&self, item: u32) -> Vec<String> {
        let levels = self.query.as_ref().map(|names| names.levels.borrow());
        let found = levels.as_ref().and_then(|l| l.iter().rev().find_map(|level| level.columns_of.get(&item)));
        found.map(|columns| columns.iter().map(|(_, name)| name.clone()).collect()).unwrap_or_default()
    }

    /// The names of the columns of a join that has a name, where they are not those that its sides give it.
    pub(super) fn join_list(&self, inside: &Level, join: &JoinTree) -> Option<Vec<String>> {
        let (_, _, number) = join.alias.as_ref()?;
        let names = self.names_of(*number);
        let is_same = columns_of_join(inside, join).iter().map(|(_, own)| own).eq(&names);
        (!is_same).then_some(names)
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

/// The name, or with a number behind it if it is taken.
fn unique(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let numbered = (1..).map(|number| format!("{name}_{number}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    candidates.find(|name| !is_taken(name)).unwrap_or_default()
}

/// A join's columns of today: those that USING merged, and then the others of both sides.
fn columns_of_join(level: &Level, join: &JoinTree) -> Vec<TodaysColumn> {
    let merged: Vec<ColumnId> = match join.using.is_empty() {
        true => vec![],
        false => join.on.iter().flat_map(crate::plan::columns::used).collect(),
    };
    let side = |side: &FromTree| match side {
        FromTree::Item(item) => level.columns_of.get(&item.number).cloned().unwrap_or_default(),
        FromTree::Join(join) => match &join.alias {
            Some((_, _, number)) => level.columns_of.get(number).cloned().unwrap_or_default(),
            None => columns_of_join(level, join),
        },
    };
    let others = side(&join.left).into_iter().chain(side(&join.right));
    let others = others.filter(|(id, _)| id.is_none_or(|id| !merged.contains(&id)));
    let first = join.columns.iter().take(join.using.len()).map(|(name, id)| (Some(*id), name.clone()));
    first.chain(others).collect()
}

/// The columns of a join that has a name, each different from the others: first those that it had when the query was written get
/// their names, by its list or those of today, and then those that have come since.
fn named_join(level: &Level, join: &JoinTree) -> Vec<TodaysColumn> {
    let today = columns_of_join(level, join);
    let listed = join.alias.as_ref().map_or(0, |(_, listed, _)| *listed);
    let mut named: BTreeMap<ColumnId, String> = BTreeMap::new();
    let mut taken: Vec<String> = vec![];
    let mut free = |name: &str| {
        let free = unique(name, |name| taken.iter().any(|t| t == name));
        taken.push(free.clone());
        free
    };
    for (place, (given, id)) in join.columns.iter().enumerate() {
        if let Some((_, own)) = today.iter().find(|(column, _)| *column == Some(*id)) {
            named.insert(*id, free(if place < listed { given } else { own }));
        }
    }
    let name = |(id, own): TodaysColumn| match id.and_then(|id| named.get(&id)) {
        Some(name) => (id, name.clone()),
        None => (id, free(&own)),
    };
    today.into_iter().map(name).collect()
}

/// Notes what USING calls the columns that it merges, and which names other columns must not have for that: inside of the join
/// those that are merged, and everywhere those of columns that can be told by their names alone (`above`: of the joins around).
fn merge_names(level: &mut Level, tree: &FromTree, above: &[String]) {
    let join = match tree {
        FromTree::Item(item) => return drop(level.reserved.insert(item.number, above.to_vec())),
        FromTree::Join(join) => join,
    };
    let mut inside: Vec<ColumnId> = vec![];
    for (pair, name) in join.on.iter().zip(&join.using) {
        for id in crate::plan::columns::used(pair) {
            level.merged.insert(id, name.clone());
            inside.push(id);
        }
    }
    let computed = join.columns.iter().take(join.using.len()).filter(|(_, id)| !inside.contains(id));
    level.bare.extend(computed.map(|(name, _)| name.clone()));
    let names = [above, &join.using].concat();
    merge_names(level, &join.left, &names);
    merge_names(level, &join.right, &names);
}
