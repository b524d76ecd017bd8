//! The rows that a statement would write, for rules to work on.

use super::super::Binder;
use super::super::change::Scanned;
use super::super::from::cross;
use super::super::scope::{Item, Name, Scope};
use super::super::target::is_column;
use super::super::view_target::{WriteRelation, resolve_computed};
use crate::expr::Expr;
use crate::logical::{Node, PrivilegeCheck};
use crate::plan::columns::{ColumnSet, add_used, outputs};
use catalog::{Relation, privilege};
use sqlparser::ast;
use types::{Datum, Oid, Result, SqlError, SqlType};

/// The rows, and OLD and NEW as columns of theirs: a name for each live column of the relation.
pub(in crate::bind) struct RuleRows {
    pub(super) node: Node,
    pub(super) old: Option<Vec<Name>>,
    pub(super) new: Option<Vec<Name>>,
}

/// What RETURNING of the statement may name.
pub(super) struct Returned {
    pub(super) written: WriteRelation,
    pub(super) alias: String,
    /// FROM items besides the target.
    pub(super) others: Vec<Item>,
}

impl RuleRows {
    /// Whether there is one row, whatever is stored.
    pub(super) fn is_one(&self) -> bool {
        fn is_one(node: &Node) -> bool {
            match node {
                Node::OneRow => true,
                Node::Values { rows, .. } => rows.len() == 1,
                Node::Project { input, .. } => is_one(input),
                _ => false,
            }
        }
        is_one(&self.node)
    }
}

/// Rows of a rule beside what the query around them reads.
pub(in crate::bind) fn with_rule_rows(rows: Option<Node>, node: Node) -> Node {
    match (rows, node) {
        (None, node) => node,
        (Some(rows), Node::OneRow) => rows,
        (Some(rows), node) => cross(rows, node),
    }
}

/// Whether the conditions read the target's columns.
fn reads_target(scanned: &Scanned, conditions: &[Expr]) -> bool {
    let made = outputs(&scanned.node);
    let mut used = ColumnSet::new();
    conditions.iter().for_each(|e| add_used(e, &mut used));
    let is_computed = |id| scanned.seen.computed.iter().any(|(c, _)| *c == id);
    used.iter().any(|id| made.contains(id) || is_computed(*id))
}

impl Binder<'_> {
    /// Lets the innermost query name OLD and NEW, if it is the one that a rule's rows are for; the rows are to be joined with it.
    pub(in crate::bind) fn join_rule_rows(&mut self) -> Result<Option<Node>> {
        let Some(rows) = self.rule_rows.take() else { return Ok(None) };
        for (alias, names) in [("old", rows.old), ("new", rows.new)] {
            let Some(names) = names else {
                self.scope()?.mentioned.push((alias.to_owned(), 0));
                continue;
            };
            let item = self.with_row(Item { columns_visible: false, ..Item::new(alias, names) });
            self.record_rule_row(&item);
            self.scope()?.push(item);
        }
        Ok(Some(rows.node))
    }

    /// The rows that the statement would write to `relation`: its target, or what is below that. Where nobody reads them
    /// (`reads_rows`), and the statement's own condition does not either, what is left are the rows of its other FROM items.
    pub(super) fn written_rows(
        &mut self,
        syntax: &ast::Statement,
        relation: Oid,
        reads_rows: bool,
    ) -> Result<(RuleRows, Returned)> {
        self.rule_target = Some(relation);
        if let ast::Statement::Insert(insert) = syntax {
            return self.inserted_rows(insert);
        }
        self.scopes.push(Scope::default());
        let rows = match syntax {
            ast::Statement::Update(update) => self.updated_rows(update, reads_rows),
            ast::Statement::Delete(delete) => self.deleted_rows(delete, reads_rows),
            _ => Err(SqlError::internal("a statement that fires rules was expected")),
        };
        self.scopes.pop();
        rows
    }

    fn inserted_rows(&mut self, insert: &ast::Insert) -> Result<(RuleRows, Returned)> {
        let inserting = self.insert_rows(insert)?;
        if inserting.tail.is_some() {
            return Err(SqlError::unsupported("documents in a statement that fires rules are not supported"));
        }
        let (mut node, mut new, mut missing) = (inserting.input, vec![], vec![]);
        for column in inserting.written.base.live_columns() {
            let ty: SqlType = column.ty.into();
            let given = inserting.values.iter().find(|(n, _)| *n == column.number).map(|(_, id)| *id);
            let id = given.unwrap_or_else(|| self.new_column(&column.name, ty, 0, 0));
            if given.is_none() {
                missing.push((id, Expr::constant(Datum::Null, ty)));
            }
            new.push(Name { name: column.name.clone(), id, ty });
        }
        if !missing.is_empty() {
            node = Node::Project { input: Box::new(node), exprs: missing };
        }
        self.need_on_views(&inserting.written, privilege::INSERT, &inserting.named, &[], &[]);
        let returned = Returned { written: inserting.written, alias: inserting.alias, others: vec![] };
        Ok((RuleRows { node, old: None, new: Some(new) }, returned))
    }

    fn updated_rows(&mut self, update: &ast::Update, reads_rows: bool) -> Result<(RuleRows, Returned)> {
        let rows = self.update_rows(update)?;
        let reads_rows = reads_rows || reads_target(&rows.scanned, &rows.recheck);
        let (scanned, assigned) = (rows.scanned, rows.assigned);
        if assigned.tail.is_some() {
            return Err(SqlError::unsupported("fields of documents in a statement that fires rules are not supported"));
        }
        let numbers: Vec<i16> = assigned.columns.iter().map(|(n, _)| *n).collect();
        let read = rows.recheck.iter().chain(assigned.columns.iter().map(|(_, e)| e)).collect::<Vec<_>>();
        self.need_of_rule_target(&scanned, privilege::UPDATE, &numbers, &read);
        let (new, exprs) = self.new_names(&scanned.relation, &scanned.names, assigned.columns);
        let mut node = if reads_rows { rows.input } else { rows.beside };
        if !exprs.is_empty() && reads_rows {
            node = Node::Project { input: Box::new(node), exprs };
        }
        self.changed_rows(scanned, node, Some(new))
    }

    fn deleted_rows(&mut self, delete: &ast::Delete, reads_rows: bool) -> Result<(RuleRows, Returned)> {
        let rows = self.delete_rows(delete)?;
        let reads_rows = reads_rows || reads_target(&rows.scanned, &rows.recheck);
        let read: Vec<&Expr> = rows.recheck.iter().collect();
        self.need_of_rule_target(&rows.scanned, privilege::DELETE, &[], &read);
        let node = if reads_rows { rows.input } else { rows.beside };
        self.changed_rows(rows.scanned, node, None)
    }

    fn changed_rows(
        &mut self,
        scanned: Scanned,
        mut node: Node,
        new: Option<Vec<Name>>,
    ) -> Result<(RuleRows, Returned)> {
        resolve_computed(&mut node, &scanned.seen.computed);
        let mut others = std::mem::take(&mut self.scope()?.items);
        others.retain(|item| item.alias != scanned.alias);
        let returned = Returned { written: scanned.written, alias: scanned.alias, others };
        Ok((RuleRows { node, old: Some(scanned.names), new }, returned))
    }

    /// NEW's columns: those that are assigned become columns of their own.
    #[allow(clippy::type_complexity)]
    pub(in crate::bind) fn new_names(
        &mut self,
        relation: &Relation,
        old: &[Name],
        assigned: Vec<(i16, Expr)>,
    ) -> (Vec<Name>, Vec<(crate::logical::ColumnId, Expr)>) {
        let (mut names, mut exprs) = (old.to_vec(), vec![]);
        for (number, value) in assigned {
            let place = relation.live_columns().position(|c| c.number == number);
            let Some(name) = place.and_then(|at| names.get_mut(at)) else { continue };
            match is_column(&value) {
                Some(id) => name.id = id,
                None => {
                    name.id = self.new_column(&name.name, name.ty, 0, 0);
                    exprs.push((name.id, value));
                }
            }
        }
        (names, exprs)
    }

    /// Rights on the target of a change that rules take over: they are needed although nothing may be written to it.
    fn need_of_rule_target(&mut self, scanned: &Scanned, rights: u32, assigned: &[i16], read: &[&Expr]) {
        self.need_on_views(&scanned.written, rights, assigned, &scanned.seen.names, read);
        let role = match scanned.written.is_view() {
            true => return,
            false => self.context.role,
        };
        let relation = scanned.relation.id;
        if rights == privilege::UPDATE {
            self.privileges.push(PrivilegeCheck { relation, role, rights, columns: Some(assigned.to_vec()) });
        }
        let mut used = ColumnSet::new();
        read.iter().for_each(|e| add_used(e, &mut used));
        let columns = scanned.relation.live_columns().zip(&scanned.names);
        let columns: Vec<i16> = columns.filter(|(_, n)| used.contains(&n.id)).map(|(c, _)| c.number).collect();
        if !columns.is_empty() {
            let rights = privilege::SELECT;
            self.privileges.push(PrivilegeCheck { relation, role, rights, columns: Some(columns) });
        }
    }
}
