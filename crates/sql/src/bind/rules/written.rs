//! A rule bound to be told again (`bind::record`).

use super::super::Binder;
use super::super::query::BoundQuery;
use super::super::record_change::row_tree;
use super::check::RuleTexts;
use super::rows::RuleRows;
use super::{parsed, parsed_condition, split};
use crate::BindContext;
use crate::expr::Expr;
use crate::parse::{Lines, Syntax};
use crate::tree::{RulePart, StatementTree, WrittenRule};
use crate::utility::ddl::SqlText;
use catalog::RuleEvent;
use types::Result;

/// What the rule's texts mean.
pub fn written_rule(rule: &RuleTexts<'_>, context: &BindContext) -> Result<WrittenRule> {
    let context = &rule.context(context);
    let condition = rule.condition.as_ref().map(|text| condition(rule, text, context)).transpose()?;
    let actions = rule.actions.iter().map(|text| action(rule, text, context)).collect::<Result<_>>()?;
    Ok(WrittenRule { condition, actions })
}

/// A binder that keeps what it binds, and any rows of the rule's relation.
fn recorder<'b>(rule: &RuleTexts<'_>, context: &'b BindContext, lines: Lines) -> (Binder<'b>, RuleRows) {
    let mut binder = Binder::new(context, lines);
    let rows = binder.any_rows(rule);
    let mut record = Box::<super::super::record::Record>::default();
    for (alias, names) in [("old", &rows.old), ("new", &rows.new)] {
        record.rows.extend(names.as_ref().map(|names| row_tree(rule.relation, alias, names)));
    }
    binder.record = Some(record);
    (binder, rows)
}

fn part<T>(mut binder: Binder<'_>, tree: T) -> RulePart<T> {
    let record = binder.record.take().unwrap_or_default();
    RulePart { tree, rows: record.rows, made: record.made }
}

fn condition(rule: &RuleTexts<'_>, text: &SqlText, context: &BindContext) -> Result<RulePart<Expr>> {
    let (condition, lines) = parsed_condition(&text.text)?;
    let (mut binder, rows) = recorder(rule, context, lines);
    let old = rows.old.filter(|_| rule.event != RuleEvent::Insert);
    let new = rows.new.filter(|_| rule.event != RuleEvent::Delete);
    let expr = binder.rule_condition(&condition, old.as_deref(), new.as_deref())?;
    Ok(part(binder, expr))
}

fn action(rule: &RuleTexts<'_>, text: &SqlText, context: &BindContext) -> Result<Option<RulePart<StatementTree>>> {
    let action = parsed(&text.text)?;
    let Syntax::Sql(syntax) = &action.syntax else { return Ok(None) };
    let (mut binder, rows) = recorder(rule, context, action.lines.clone());
    let (with, inner) = split(syntax);
    let (BoundQuery { tree, .. }, _) = binder.action_alone(with, inner, rows)?;
    let tree = match tree {
        Some(tree) => StatementTree::Query(tree),
        None => binder.written_change(with)?,
    };
    Ok(Some(part(binder, tree)))
}
