//! DROP TABLE, VIEW, SEQUENCE, INDEX; and carrying out what `depend` has worked out.

use super::context::{DdlContext, error};
use super::depend::{self, DropPlan, Part};
use super::rename::rekey;
use catalog::names;
use catalog::privileges::{self, Target};
use catalog::*;
use sql::utility::ddl::{DropKind, ObjectName};
use types::{Oid, Result, SqlError, SqlState};

fn word(kind: DropKind) -> &'static str {
    match kind {
        DropKind::Table => "table",
        DropKind::View => "view",
        DropKind::MaterializedView => "materialized view",
        DropKind::Sequence => "sequence",
        DropKind::Index => "index",
        DropKind::Schema => "schema",
        DropKind::Type | DropKind::Domain => "type",
        DropKind::Procedure => "procedure",
        DropKind::Trigger => "trigger",
        DropKind::Policy => "policy",
        DropKind::Extension => "extension",
    }
}

pub(super) async fn drop(
    context: &mut DdlContext<'_>,
    kind: DropKind,
    object_names: &[ObjectName],
    if_exists: bool,
    cascade: bool,
) -> Result<()> {
    match kind {
        DropKind::Table | DropKind::View | DropKind::MaterializedView | DropKind::Sequence | DropKind::Index => {}
        DropKind::Type | DropKind::Domain => {
            let is_domain = kind == DropKind::Domain;
            return super::user_types::drop(context, is_domain, object_names, if_exists, cascade).await;
        }
        _ => return drop_of_nothing(context, kind, object_names, if_exists),
    }
    let mut targets = vec![];
    for name in object_names {
        if let Some(part) = find(context, kind, name, if_exists).await?
            && !targets.contains(&part)
        {
            targets.push(part);
        }
    }
    drop_parts(context, &targets, cascade).await
}

/// The object of that kind, locked.
async fn find(
    context: &mut DdlContext<'_>,
    kind: DropKind,
    name: &ObjectName,
    if_exists: bool,
) -> Result<Option<Part>> {
    let snapshot = context.snapshot();
    let Some(id) = names::find(&snapshot, context.scope(), &name.parts)? else {
        return missing(context, &snapshot, kind, name, if_exists);
    };
    check_kind(&snapshot, kind, id, name)?;
    if let Some(index) = snapshot.index(id).cloned() {
        let Some(relation) = context.lock_relation_by_id(index.relation).await? else { return Ok(None) };
        require_owner(context, &relation, Some(&index.name))?;
        context.catalog.lock(context.txn, ObjectKey::index(id)).await?;
        if let Some(constraint) = depend::constraint_of_index(&relation, id) {
            let table = names::regclass_text(&snapshot, context.scope(), relation.id);
            let message = format!(
                "cannot drop index {} because constraint {} on table {table} requires it",
                names::regclass_text(&snapshot, context.scope(), id),
                constraint.name
            );
            let hint = format!("You can drop constraint {} on table {table} instead.", constraint.name);
            return Err(error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).hint(hint));
        }
        return Ok(Some(Part::Index(id)));
    }
    let Some(relation) = context.lock_relation_by_id(id).await? else {
        return missing(context, &snapshot, kind, name, if_exists);
    };
    require_owner(context, &relation, None)?;
    check_identity_sequence(context, &relation)?;
    Ok(Some(Part::Relation(id)))
}

/// The table's owner, or the schema's.
pub(super) fn require_owner(context: &DdlContext<'_>, relation: &Relation, index: Option<&str>) -> Result<()> {
    let snapshot = context.catalog.snapshot();
    let owns_schema = snapshot
        .schema(relation.schema)
        .is_some_and(|s| privileges::is_owner(snapshot, context.role, Target::Schema(s)));
    if owns_schema || privileges::is_owner(snapshot, context.role, Target::Relation(relation)) {
        return super::context::check_not_system(relation);
    }
    match index {
        Some(index) => Err(error(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of index {index}"))),
        None => Err(privileges::not_owner(Target::Relation(relation))),
    }
}

fn check_identity_sequence(context: &DdlContext<'_>, relation: &Relation) -> Result<()> {
    let Some(definition) = relation.sequence.as_ref().filter(|d| d.is_identity) else { return Ok(()) };
    let Some((owner, number)) = definition.owned_by else { return Ok(()) };
    let snapshot = context.catalog.snapshot();
    let column = depend::describe(snapshot, context.scope(), Part::Column(owner, number));
    let name = names::regclass_text(snapshot, context.scope(), relation.id);
    let message = format!("cannot drop sequence {name} because {column} requires it");
    Err(error(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message).hint(format!("You can drop {column} instead.")))
}

fn missing(
    context: &DdlContext<'_>,
    snapshot: &Snapshot,
    kind: DropKind,
    name: &ObjectName,
    if_exists: bool,
) -> Result<Option<Part>> {
    let (qualifier, _) = names::split(snapshot, context.scope(), &name.parts)?;
    let what = match qualifier {
        Some(schema) if names::schema(snapshot, context.scope(), schema).is_err() => names::no_schema(schema),
        _ => {
            let code = if kind == DropKind::Index { SqlState::UNDEFINED_OBJECT } else { SqlState::UNDEFINED_TABLE };
            error(code, format!("{} \"{}\" does not exist", word(kind), name.object()))
        }
    };
    // DROP tells the name as it was written, where the schema exists.
    if if_exists {
        context.skipping(SqlState::SUCCESSFUL_COMPLETION, what.message());
        return Ok(None);
    }
    Err(what)
}

fn check_kind(snapshot: &Snapshot, kind: DropKind, id: Oid, name: &ObjectName) -> Result<()> {
    use RelationKind as Kind;
    let actual = match snapshot.relation(id).map(|r| r.kind) {
        None => DropKind::Index,
        Some(Kind::Table | Kind::Collection | Kind::Virtual) => DropKind::Table,
        Some(Kind::View) => DropKind::View,
        Some(Kind::MaterializedView) => DropKind::MaterializedView,
        Some(Kind::Sequence) => DropKind::Sequence,
        Some(Kind::Composite | Kind::Enum | Kind::Domain) => DropKind::Type,
    };
    if actual == kind {
        return Ok(());
    }
    let article = |kind: DropKind| if kind == DropKind::Index { "an" } else { "a" };
    let message = format!("\"{}\" is not {} {}", name.object(), article(kind), word(kind));
    let right = word(actual);
    let hint = format!("Use DROP {} to remove {} {right}.", right.to_uppercase(), article(actual));
    Err(error(SqlState::WRONG_OBJECT_TYPE, message).hint(hint))
}

/// Objects of kinds that nobody can make: all that is asked is whether one is there.
fn drop_of_nothing(
    context: &DdlContext<'_>,
    kind: DropKind,
    object_names: &[ObjectName],
    if_exists: bool,
) -> Result<()> {
    let missing = |name: &ObjectName| match kind {
        DropKind::Procedure => {
            let message = match if_exists {
                true => format!("{} {}() does not exist", word(kind), name.parts.join(".")),
                false => format!("could not find a {} named \"{}\"", word(kind), name.parts.join(".")),
            };
            error(SqlState::UNDEFINED_FUNCTION, message)
        }
        _ => error(SqlState::UNDEFINED_OBJECT, format!("{} \"{}\" does not exist", word(kind), name.parts.join("."))),
    };
    if let (DropKind::Trigger | DropKind::Policy, [name, table]) = (kind, object_names) {
        let snapshot = context.catalog.snapshot();
        let what = match names::find(snapshot, context.scope(), &table.parts)? {
            None => names::no_relation(&table.parts),
            Some(_) => {
                let message = format!(
                    "{} \"{}\" for relation \"{}\" does not exist",
                    word(kind),
                    name.object(),
                    table.parts.join(".")
                );
                error(SqlState::UNDEFINED_OBJECT, message)
            }
        };
        return skip_or_fail(context, what, if_exists);
    }
    object_names.iter().try_for_each(|name| skip_or_fail(context, missing(name), if_exists))
}

fn skip_or_fail(context: &DdlContext<'_>, what: SqlError, if_exists: bool) -> Result<()> {
    if !if_exists {
        return Err(what);
    }
    context.skipping(SqlState::SUCCESSFUL_COMPLETION, what.message());
    Ok(())
}

// --- carrying out

/// Removes objects, and with CASCADE what depends on them; 2BP01 without.
pub(super) async fn drop_parts(context: &mut DdlContext<'_>, targets: &[Part], cascade: bool) -> Result<()> {
    if targets.is_empty() {
        return Ok(());
    }
    let plan = depend::plan_drop(context, targets, cascade)?;
    carry_out(context, plan).await
}

/// Removes what the plan says, dependents first.
pub(super) async fn carry_out(context: &mut DdlContext<'_>, plan: DropPlan) -> Result<()> {
    for part in plan.parts.iter().rev() {
        match *part {
            Part::Relation(id) => remove_relation(context, id, &plan).await?,
            Part::Index(id) => remove_index(context, id, &plan).await?,
            Part::Constraint(relation, constraint) => remove_constraint(context, relation, constraint, &plan).await?,
            Part::Default(relation, number) => {
                if context.lock_relation_by_id(relation).await?.is_some() {
                    context.change_relation(relation, |r| {
                        if let Some(column) = super::columns::column_mut(r, number) {
                            column.default = None;
                        }
                    })?;
                }
            }
            Part::Column(relation, number) => remove_column(context, relation, number, &plan).await?,
            Part::Function(id) => {
                let key = ObjectKey::function(id);
                if context.catalog.lock(context.txn, key).await? {
                    context.catalog.remove(context.txn, key)?;
                }
            }
            Part::Operator(id) => super::operators::remove(context, id).await?,
            Part::Rule(id) => super::rules::remove(context, id, |relation| !goes(&plan, relation)).await?,
            Part::Schema(id) => {
                let key = ObjectKey::new(ObjectKind::Schema, id);
                if context.catalog.lock(context.txn, key).await? {
                    context.catalog.remove(context.txn, key)?;
                }
            }
        }
    }
    Ok(())
}

fn goes(plan: &DropPlan, relation: Oid) -> bool {
    plan.parts.contains(&Part::Relation(relation))
}

async fn remove_relation(context: &mut DdlContext<'_>, id: Oid, plan: &DropPlan) -> Result<()> {
    let Some(relation) = context.lock_relation_by_id(id).await? else { return Ok(()) };
    context.check_nothing_put_off(&relation, "DROP TABLE")?;
    for index in relation.indexes.clone() {
        drop_index_descriptor(context, index).await?;
    }
    let rules: Vec<Oid> = context.catalog.snapshot().rules_of(id).map(|r| r.id).collect();
    for rule in rules {
        context.catalog.remove(context.txn, ObjectKey::rule(rule))?;
    }
    // Those that this one points at need not look here any more.
    for constraint in &relation.constraints {
        if let ConstraintKind::ForeignKey(key) = &constraint.kind
            && key.target != id
            && !goes(plan, key.target)
            && context.lock_relation_by_id(key.target).await?.is_some()
        {
            context.change_relation(key.target, |_| ())?;
        }
    }
    if relation.has_rows() {
        context.catalog.drop_storage(relation.home(), relation.storage);
    }
    let statistics = ObjectKey::new(ObjectKind::Statistics, id);
    if context.catalog.snapshot().statistics(id).is_some() && context.catalog.lock(context.txn, statistics).await? {
        context.catalog.remove(context.txn, statistics)?;
    }
    context.catalog.remove(context.txn, ObjectKey::relation(id))
}

async fn drop_index_descriptor(context: &mut DdlContext<'_>, id: Oid) -> Result<()> {
    if !context.catalog.lock(context.txn, ObjectKey::index(id)).await? {
        return Ok(());
    }
    let Some(index) = context.catalog.snapshot().index(id).cloned() else { return Ok(()) };
    if !index.is_primary
        && let Some(relation) = context.catalog.snapshot().relation(index.relation).cloned()
    {
        context.catalog.drop_storage(relation.home(), index.storage);
    }
    context.catalog.remove(context.txn, ObjectKey::index(id))
}

async fn remove_index(context: &mut DdlContext<'_>, id: Oid, plan: &DropPlan) -> Result<()> {
    let Some(index) = context.catalog.snapshot().index(id).cloned() else { return Ok(()) };
    let (relation, was_key) = (index.relation, index.is_primary);
    if goes(plan, relation) || context.lock_relation_by_id(relation).await?.is_none() {
        return Ok(());
    }
    drop_index_descriptor(context, id).await?;
    context.change_relation(relation, |r| r.indexes.retain(|i| *i != id))?;
    if was_key {
        rekey(context, relation, vec![]).await?;
    }
    Ok(())
}

async fn remove_constraint(context: &mut DdlContext<'_>, id: Oid, constraint: Oid, plan: &DropPlan) -> Result<()> {
    if goes(plan, id) {
        return Ok(());
    }
    let Some(relation) = context.lock_relation_by_id(id).await? else { return Ok(()) };
    let removed = relation.constraints.iter().find(|c| c.id == constraint).cloned();
    context.change_relation(id, |r| r.constraints.retain(|c| c.id != constraint))?;
    if let Some(ConstraintKind::ForeignKey(key)) = removed.map(|c| c.kind)
        && key.target != id
        && !goes(plan, key.target)
        && context.lock_relation_by_id(key.target).await?.is_some()
    {
        context.change_relation(key.target, |_| ())?;
    }
    Ok(())
}

async fn remove_column(context: &mut DdlContext<'_>, id: Oid, number: AttributeNumber, plan: &DropPlan) -> Result<()> {
    if goes(plan, id) || context.lock_relation_by_id(id).await?.is_none() {
        return Ok(());
    }
    let (relation, before) = (context.relation(id)?, context.snapshot());
    let layout = super::alter_table::next_layout(&relation)?;
    context.change_relation(id, |r| {
        r.layout = layout;
        r.distribution.retain(|n| *n != number);
        if let Some(column) = super::columns::column_mut(r, number) {
            column.is_dropped = true;
            column.dropped_in = Some(layout);
            column.default = None;
            column.identity = None;
            column.is_generated = false;
            column.not_null = false;
            column.missing = None;
            column.privileges = None;
            column.comment = None;
        }
    })?;
    super::rename::follow_columns(context, &before, id).await
}
