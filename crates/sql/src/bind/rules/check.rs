//! What CREATE RULE asks of a rule: that its texts mean something over any row of the relation, and what they use.

use super::super::Binder;
use super::super::from::cross;
use super::super::query::BoundQuery;
use super::super::scope::Name;
use super::super::walk::each_expr_mut;
use super::expand::returning;
use super::rows::RuleRows;
use super::{BEFORE_CONDITION, notification, parsed, parsed_condition, split};
use crate::BindContext;
use crate::logical::{CommandTag, Node, Query};
use crate::parse::{Lines, Syntax};
use crate::plan::columns::{ColumnSet, add_used};
use crate::utility::ddl::SqlText;
use catalog::{Relation, Rule, RuleEvent};
use sqlparser::ast::{self, SetExpr};
use std::sync::Arc;
use types::{Oid, Result, SqlError, SqlState, SqlType, typename};

/// A rule that is to be, or that is to be looked at again.
pub struct RuleTexts<'t> {
    pub relation: &'t Arc<Relation>,
    pub event: RuleEvent,
    pub is_instead: bool,
    pub condition: Option<SqlText>,
    pub actions: Vec<SqlText>,
    /// Where its names are looked up, if not where the statement's are.
    pub search_path: Option<&'t [String]>,
}

impl<'t> RuleTexts<'t> {
    /// A rule as it is kept.
    pub fn of(rule: &'t Rule, relation: &'t Arc<Relation>) -> RuleTexts<'t> {
        let text = |text: &String| SqlText { text: text.clone(), position: 0 };
        RuleTexts {
            relation,
            event: rule.event,
            is_instead: rule.is_instead,
            condition: rule.condition.as_ref().map(text),
            actions: rule.actions.iter().map(|action| text(&action.text)).collect(),
            search_path: Some(&rule.search_path),
        }
    }

    /// Where the names of its texts are looked up.
    pub(super) fn context(&self, context: &BindContext) -> BindContext {
        match self.search_path {
            Some(path) => Binder::new(context, Lines::default()).stored_names(path, context.role),
            None => context.clone(),
        }
    }
}

/// What a rule's texts use.
#[derive(Default)]
pub struct RuleUses {
    /// (Object, attribute or 0), ascending.
    pub objects: Vec<(Oid, i16)>,
    /// For each action: whether OLD or NEW, by itself or in the condition.
    pub reads_rows: Vec<bool>,
}

/// Errors have positions in the whole string.
pub fn check_rule(rule: &RuleTexts<'_>, context: &BindContext) -> Result<RuleUses> {
    let context = &rule.context(context);
    let (mut uses, mut reads_rows) = (vec![], vec![]);
    let mut in_condition = false;
    if let Some(condition) = &rule.condition {
        let found = check_condition(rule, condition, context)?;
        uses.extend(found.objects);
        in_condition = found.reads_rows;
    }
    for action in &rule.actions {
        let found = check_action(rule, action, context).map_err(|e| action.relocate(e))?;
        uses.extend(found.objects);
        reads_rows.push(in_condition || found.reads_rows);
    }
    uses.sort_unstable();
    uses.dedup();
    // Its own relation it has anyway; what is compiled in cannot go.
    uses.retain(|use_| *use_ != (rule.relation.id, 0) && use_.0 >= types::oid::FIRST_USER_OID);
    Ok(RuleUses { objects: uses, reads_rows })
}

/// The same of one text.
#[derive(Default)]
struct TextUses {
    objects: Vec<(Oid, i16)>,
    reads_rows: bool,
}

fn check_condition(rule: &RuleTexts<'_>, text: &SqlText, context: &BindContext) -> Result<TextUses> {
    let moved = |mut error: SqlError| {
        let before = BEFORE_CONDITION.len() as u32;
        let fields = error.fields_mut();
        fields.position = fields.position.and_then(|p| p.checked_sub(before));
        text.relocate(error)
    };
    let (condition, lines) = parsed_condition(&text.text).map_err(moved)?;
    let mut binder = Binder::new(context, lines);
    let rows = binder.any_rows(rule);
    let (old, new) = match rule.event {
        RuleEvent::Insert => (None, rows.new.as_deref()),
        RuleEvent::Update => (rows.old.as_deref(), rows.new.as_deref()),
        RuleEvent::Delete => (rows.old.as_deref(), None),
    };
    let predicate = vec![binder.rule_condition(&condition, old, new).map_err(moved)?];
    let rows_read = [ids(&rows.old), ids(&rows.new)].concat();
    let mut node = Node::Filter { input: Box::new(rows.node), predicate };
    let reads_rows = used(&mut node).iter().any(|id| rows_read.contains(id));
    let objects = binder.uses(BoundQuery::new(node, vec![], vec![]), CommandTag::Select)?;
    Ok(TextUses { objects, reads_rows })
}

fn check_action(rule: &RuleTexts<'_>, text: &SqlText, context: &BindContext) -> Result<TextUses> {
    let action = parsed(&text.text)?;
    let Syntax::Sql(syntax) = &action.syntax else {
        if rule.condition.is_some() && notification(&action).is_some() {
            let message = "rules with WHERE conditions can only have SELECT, INSERT, UPDATE, or DELETE actions";
            return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message));
        }
        return Ok(TextUses::default());
    };
    let mut binder = Binder::new(context, action.lines.clone());
    let (with, inner) = split(syntax);
    let rows = binder.any_rows(rule);
    let (old, new) = (ids(&rows.old), ids(&rows.new));
    let (mut bound, tag) = binder.action_alone(with, inner, rows).map_err(|e| misplaced(e, syntax))?;
    check_returning(rule, inner, &bound)?;
    let used = used(&mut bound.node);
    let refused = |event: &str, row: &str| {
        let message = format!("ON {event} rule cannot use {row}");
        Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message))
    };
    match rule.event {
        RuleEvent::Insert if old.iter().any(|id| used.contains(id)) => return refused("INSERT", "OLD"),
        RuleEvent::Delete if new.iter().any(|id| used.contains(id)) => return refused("DELETE", "NEW"),
        _ => {}
    }
    let reads_rows = old.iter().chain(&new).any(|id| used.contains(id));
    Ok(TextUses { objects: binder.uses(bound, tag)?, reads_rows })
}

/// Columns that expressions of a tree read.
fn used(node: &mut Node) -> ColumnSet {
    let mut used = ColumnSet::new();
    each_expr_mut(node, &mut |e| add_used(e, &mut used));
    used
}

fn ids(names: &Option<Vec<Name>>) -> Vec<crate::logical::ColumnId> {
    names.iter().flatten().map(|n| n.id).collect()
}

/// OLD or NEW where a query does not see them.
fn misplaced(error: SqlError, syntax: &ast::Statement) -> SqlError {
    let row = ["old", "new"].into_iter().find(|row| {
        error.code() == SqlState::UNDEFINED_TABLE
            && error.message() == format!("missing FROM-clause entry for table \"{row}\"")
    });
    let Some(row) = row else { return error };
    let body = |query: &ast::Query| matches!(*query.body, SetExpr::SetOperation { .. });
    let (has_with, is_set) = match syntax {
        ast::Statement::Query(query) => (query.with.is_some(), body(query)),
        ast::Statement::Insert(insert) => {
            let source = insert.source.as_deref();
            (source.is_some_and(|s| s.with.is_some()), source.is_some_and(body))
        }
        _ => (false, false),
    };
    if is_set {
        let message = "UNION/INTERSECT/EXCEPT member statement cannot refer to other relations of same query level";
        let error_there = SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message);
        return error.fields().position.into_iter().fold(error_there, SqlError::at);
    }
    if has_with {
        return SqlError::unsupported(format!("cannot refer to {} within WITH query", row.to_uppercase()));
    }
    error
}

/// What a rule returns stands for rows of its relation.
fn check_returning(rule: &RuleTexts<'_>, syntax: &ast::Statement, bound: &BoundQuery) -> Result<()> {
    if returning(syntax).is_none() {
        return Ok(());
    }
    if rule.condition.is_some() {
        return Err(SqlError::unsupported("RETURNING lists are not supported in conditional rules"));
    }
    if !rule.is_instead {
        return Err(SqlError::unsupported("RETURNING lists are not supported in non-INSTEAD rules"));
    }
    let others = rule.actions.iter().filter(
        |text| matches!(parsed(&text.text).map(|s| s.syntax), Ok(Syntax::Sql(s)) if returning(split(&s).1).is_some()),
    );
    if others.count() > 1 {
        return Err(SqlError::unsupported("cannot have multiple RETURNING lists in a rule"));
    }
    let wrong = |message: String| SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message);
    let columns: Vec<_> = rule.relation.live_columns().collect();
    if bound.columns.len() > columns.len() {
        return Err(wrong("RETURNING list has too many entries".to_owned()));
    }
    for (number, (made, column)) in (1..).zip(bound.columns.iter().zip(&columns)) {
        let declared: SqlType = column.ty.into();
        if made.ty.oid != declared.oid {
            let name = |ty: SqlType| typename::format_type(ty.oid, None);
            let message = format!("RETURNING list's entry {number} has different type from column \"{}\"", column.name);
            return Err(wrong(message).detail(format!(
                "RETURNING list entry has type {}, but column has type {}.",
                name(made.ty),
                name(declared)
            )));
        }
    }
    match bound.columns.len() < columns.len() {
        true => Err(wrong("RETURNING list has too few entries".to_owned())),
        false => Ok(()),
    }
}

impl Binder<'_> {
    /// Any row of the relation as it was, beside any row as it would be.
    pub(super) fn any_rows(&mut self, rule: &RuleTexts<'_>) -> RuleRows {
        let (old, old_names) = self.scan(rule.relation, "old");
        let (new, new_names) = self.scan(rule.relation, "new");
        let node = cross(Node::Scan(old), Node::Scan(new));
        RuleRows { node, old: Some(old_names), new: Some(new_names) }
    }

    /// An action as it is, whatever rules its own target has.
    pub(super) fn action_alone(
        &mut self,
        with: Option<&ast::With>,
        syntax: &ast::Statement,
        rows: RuleRows,
    ) -> Result<(BoundQuery, CommandTag)> {
        self.with(with, true)?;
        self.rule_rows = Some(rows);
        // A view that only rules let be written to.
        self.rule_target = self.rule_target_of(syntax).map(|relation| relation.id);
        let bound = self.action_query(syntax);
        self.rule_rows = None;
        bound
    }

    /// Objects and attributes of a bound action.
    fn uses(&mut self, bound: BoundQuery, tag: CommandTag) -> Result<Vec<(Oid, i16)>> {
        let mut uses: Vec<(Oid, i16)> = self.depends_on.iter().map(|(id, _)| (*id, 0)).collect();
        uses.extend(self.depends_on_functions.iter().map(|id| (*id, 0)));
        for (relation, columns) in &self.inserted {
            uses.extend(columns.iter().map(|n| (*relation, *n)));
        }
        let query: Query = self.finish_as(bound, tag)?;
        uses.extend(crate::used_attributes(&query));
        if let Node::Update(update) = &query.root {
            uses.extend(update.assignments.iter().map(|(n, _)| (update.target.relation.id, *n)));
        }
        Ok(uses)
    }
}
