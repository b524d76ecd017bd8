//! CREATE, ALTER and DROP RULE.
//!
//! A rule is an object of its own that its relation is locked for. Every change raises the relation's schema version: statements
//! that were planned without the rule are planned again.

use super::context::{DdlContext, check_not_system, error};
use super::depend::Part;
use super::drop::drop_parts;
use catalog::privileges::Target;
use catalog::rule_definition::VIEW_RULE;
use catalog::*;
use sql::RuleTexts;
use sql::utility::ddl::{AlterRule, CreateRule, Name, ObjectName, SqlText};
use std::sync::Arc;
use types::{Oid, Result, SqlError, SqlState};

pub(super) async fn create(context: &mut DdlContext<'_>, create: &CreateRule) -> Result<()> {
    let relation = lock_for_rules(context, &create.relation).await?;
    let texts = RuleTexts {
        relation: &relation,
        event: create.event,
        is_instead: create.is_instead,
        condition: create.condition.clone(),
        actions: create.actions.clone(),
        search_path: None,
    };
    let uses = context.services.check_rule(&context.snapshot(), &texts)?;
    if create.name.name == VIEW_RULE {
        let message = format!("non-view rule for \"{}\" must not be named \"{VIEW_RULE}\"", relation.name);
        return Err(error(SqlState::INVALID_OBJECT_DEFINITION, message));
    }
    let old = find(context, relation.id, &create.name.name);
    if old.is_some() && !create.or_replace {
        return Err(taken(&create.name.name, &relation));
    }
    let id = match &old {
        Some(old) => old.id,
        None => context.catalog.allocate_id().await?,
    };
    let snapshot = context.snapshot();
    let path = context.search_path.iter().filter_map(|id| snapshot.schema(*id)).map(|s| s.name.clone());
    let action = |(text, reads_rows): (&SqlText, bool)| RuleAction { text: text.text.clone(), reads_rows };
    let rule = Rule {
        id,
        relation: relation.id,
        name: create.name.name.clone(),
        event: create.event,
        is_instead: create.is_instead,
        is_enabled: old.as_ref().is_none_or(|old| old.is_enabled),
        condition: create.condition.as_ref().map(|text| text.text.clone()),
        actions: create.actions.iter().zip(uses.reads_rows).map(action).collect(),
        search_path: path.collect(),
        depends_on: uses.objects,
        comment: old.and_then(|old| old.comment.clone()),
    };
    let rule = context.services.store_rule(&snapshot, &rule).unwrap_or(rule);
    put(context, rule)
}

/// Tables and views may have rules, of those who own them.
async fn lock_for_rules(context: &mut DdlContext<'_>, name: &ObjectName) -> Result<Arc<Relation>> {
    let relation = context.must_lock_relation(name).await?;
    match relation.kind {
        RelationKind::Table | RelationKind::Collection | RelationKind::View => {}
        RelationKind::Virtual => check_not_system(&relation)?,
        RelationKind::MaterializedView => {
            return Err(SqlError::unsupported("rules on materialized views are not supported"));
        }
        RelationKind::Sequence => {
            let message = format!("relation \"{}\" cannot have rules", relation.name);
            let detail = "This operation is not supported for sequences.";
            return Err(error(SqlState::WRONG_OBJECT_TYPE, message).detail(detail));
        }
        RelationKind::Composite | RelationKind::Enum | RelationKind::Domain => {
            let message = format!("\"{}\" is a composite type", relation.name);
            return Err(error(SqlState::WRONG_OBJECT_TYPE, message));
        }
    }
    context.require_owner(Target::Relation(&relation))?;
    Ok(relation)
}

/// Of a locked relation.
fn put(context: &mut DdlContext<'_>, rule: Rule) -> Result<()> {
    let relation = rule.relation;
    context.catalog.put(context.txn, Object::Rule(rule))?;
    context.change_relation(relation, |_| ())?;
    Ok(())
}

fn find(context: &DdlContext<'_>, relation: Oid, name: &str) -> Option<Arc<Rule>> {
    context.catalog.snapshot().rules_of(relation).find(|r| r.name == name).cloned()
}

fn taken(name: &str, relation: &Relation) -> SqlError {
    let message = format!("rule \"{name}\" for relation \"{}\" already exists", relation.name);
    error(SqlState::DUPLICATE_OBJECT, message)
}

fn missing(name: &str, relation: &Relation) -> SqlError {
    let message = format!("rule \"{name}\" for relation \"{}\" does not exist", relation.name);
    error(SqlState::UNDEFINED_OBJECT, message)
}

fn is_view_rule(relation: &Relation, name: &str) -> bool {
    relation.view.is_some() && name == VIEW_RULE
}

pub(super) async fn alter(
    context: &mut DdlContext<'_>,
    name: &Name,
    relation: &ObjectName,
    action: &AlterRule,
) -> Result<()> {
    let relation = context.must_lock_relation(relation).await?;
    check_not_system(&relation)?;
    context.require_owner(Target::Relation(&relation))?;
    alter_locked(context, &relation, name, action)
}

pub(super) fn alter_locked(
    context: &mut DdlContext<'_>,
    relation: &Relation,
    name: &Name,
    action: &AlterRule,
) -> Result<()> {
    if is_view_rule(relation, &name.name) {
        return Err(match action {
            AlterRule::Rename(_) => {
                error(SqlState::INVALID_OBJECT_DEFINITION, "renaming an ON SELECT rule is not allowed")
            }
            AlterRule::Enable(_) => SqlError::unsupported("disabling a view's own rule is not supported"),
        });
    }
    let Some(found) = find(context, relation.id, &name.name) else { return Err(missing(&name.name, relation)) };
    let mut rule = Rule::clone(&found);
    match action {
        AlterRule::Rename(to) => {
            if is_view_rule(relation, &to.name) || find(context, relation.id, &to.name).is_some() {
                return Err(taken(&to.name, relation));
            }
            rule.name.clone_from(&to.name);
        }
        AlterRule::Enable(is_enabled) => rule.is_enabled = *is_enabled,
    }
    put(context, rule)
}

pub(super) async fn comment(
    context: &mut DdlContext<'_>,
    name: &Name,
    relation: &Relation,
    comment: Option<String>,
) -> Result<()> {
    if is_view_rule(relation, &name.name) {
        return Err(SqlError::unsupported("a comment on a view's own rule is not supported"));
    }
    let Some(found) = find(context, relation.id, &name.name) else { return Err(missing(&name.name, relation)) };
    put(context, Rule { comment, ..Rule::clone(&found) })
}

pub(super) async fn drop(
    context: &mut DdlContext<'_>,
    name: &Name,
    relation: &ObjectName,
    if_exists: bool,
    cascade: bool,
) -> Result<()> {
    let Some(relation) = context.lock_relation(relation, if_exists).await? else { return Ok(()) };
    if is_view_rule(&relation, &name.name) {
        let message = format!("cannot drop rule {VIEW_RULE} on view {0} because view {0} requires it", relation.name);
        let hint = format!("You can drop view {} instead.", relation.name);
        return Err(error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).hint(hint));
    }
    let Some(rule) = find(context, relation.id, &name.name) else {
        let missing = missing(&name.name, &relation);
        if if_exists {
            context.skipping(SqlState::SUCCESSFUL_COMPLETION, missing.message());
            return Ok(());
        }
        return Err(missing);
    };
    check_not_system(&relation)?;
    context.require_owner(Target::Relation(&relation))?;
    drop_parts(context, &[Part::Rule(rule.id)], cascade).await
}

/// `stays`: the relation does not go with it.
pub(super) async fn remove(context: &mut DdlContext<'_>, id: Oid, stays: impl Fn(Oid) -> bool) -> Result<()> {
    let Some(rule) = context.catalog.snapshot().rule(id).cloned() else { return Ok(()) };
    let relation = context.lock_relation_by_id(rule.relation).await?;
    context.catalog.remove(context.txn, ObjectKey::rule(id))?;
    if relation.is_some() && stays(rule.relation) {
        context.change_relation(rule.relation, |_| ())?;
    }
    Ok(())
}

/// Tells the texts of these rules again, with the names of today.
pub(super) async fn retell(
    context: &mut DdlContext<'_>,
    before: &Arc<Snapshot>,
    is_meant: impl Fn(&Rule) -> bool,
) -> Result<()> {
    let schema = |rule: &Rule| before.relation(rule.relation).map_or(0, |r| r.schema);
    let is_here = |rule: &Rule| super::rename::is_here(context, before, schema(rule));
    let rules: Vec<Arc<Rule>> = before.rules().filter(|r| is_meant(r) && is_here(r)).cloned().collect();
    for rule in rules {
        if context.lock_relation_by_id(rule.relation).await?.is_some() {
            let retold = context.services.rename_rule(before, &context.snapshot(), &rule)?;
            put(context, retold)?;
        }
    }
    Ok(())
}
