//! ALTER TABLE and the actions that views, indexes and sequences share with it.
//!
//! Actions are carried out in PostgreSQL's order of passes (drops, types, new columns, column attributes, keys, other
//! constraints, the rest), each on the table as those before it left it.

use super::alter_column;
use super::columns::{self, clauses, column_mut};
use super::constraints::{self, PlacedConstraint};
use super::context::{DdlContext, check_kind, check_not_system, error};
use super::depend::Part;
use super::drop::drop_parts;
use super::foreign_keys;
use super::mentions;
use super::options;
use super::rename;
use super::services::Upkeep;
use super::stored_rows;
use catalog::names;
use catalog::privileges::{self, Target};
use catalog::*;
use sql::utility::ddl::*;
use std::sync::Arc;
use txn::TableLock;
use types::builtin::Volatility;
use types::{FormatSettings, Oid, Result, SqlError, SqlState, user_type};

pub(super) async fn alter(context: &mut DdlContext<'_>, alter: &AlterRelation) -> Result<()> {
    if let Some(index) = find_index(context, alter)? {
        return alter_index(context, index, alter).await;
    }
    let mode = alter.actions.iter().map(lock_of).max().unwrap_or(TableLock::AccessExclusive);
    let locked = context.lock_relation_as(&alter.name, alter.if_exists, mode).await?;
    let Some(relation) = locked else { return Ok(()) };
    check_word(alter, &relation)?;
    check_not_system(&relation)?;
    if privileges::require_owner(context.catalog.snapshot(), context.role, Target::Relation(&relation)).is_err() {
        return Err(privileges::not_owner(Target::Relation(&relation)));
    }
    if !alter.actions.iter().all(is_about_names) {
        context.check_nothing_put_off(&relation, "ALTER TABLE")?;
    }
    let mut actions: Vec<&AlterAction> = alter.actions.iter().collect();
    actions.sort_by_key(|a| pass(a));
    for action in actions {
        carry_out_action(context, relation.id, action).await.map_err(|e| without_place(e, action))?;
    }
    Ok(())
}

/// Whether an action leaves the rows and what is checked of them as they are.
fn is_about_names(action: &AlterAction) -> bool {
    matches!(action, AlterAction::Rename(_) | AlterAction::RenameColumn { .. } | AlterAction::SetSchema(_))
}

/// How an action locks the table, as in PostgreSQL where that is less than ACCESS EXCLUSIVE.
fn lock_of(action: &AlterAction) -> TableLock {
    match action {
        AlterAction::ValidateConstraint(_) => TableLock::ShareUpdateExclusive,
        AlterAction::AddConstraint(constraint)
            if matches!(constraint.kind, ConstraintDefinitionKind::ForeignKey { .. }) =>
        {
            TableLock::ShareRowExclusive
        }
        _ => TableLock::AccessExclusive,
    }
}

/// PostgreSQL tells no place of an error inside a default or a CHECK that ALTER TABLE adds.
fn without_place(mut error: SqlError, action: &AlterAction) -> SqlError {
    use ConstraintDefinitionKind as Kind;
    let text_of = |kind: &ConstraintDefinitionKind| match kind {
        Kind::Default(text) | Kind::Generated(text) | Kind::Check { expression: text, .. } => Some(text.clone()),
        _ => None,
    };
    let texts: Vec<SqlText> = match action {
        AlterAction::AddConstraint(constraint) => text_of(&constraint.kind).into_iter().collect(),
        AlterAction::AddColumn { column, .. } => column.constraints.iter().filter_map(|c| text_of(&c.kind)).collect(),
        AlterAction::AlterColumn { action: sql::utility::ddl::AlterColumn::SetDefault(text), .. } => vec![text.clone()],
        _ => vec![],
    };
    let is_inside = |place: u32| {
        let end = |text: &SqlText| text.position.saturating_add(u32::try_from(text.text.chars().count()).unwrap_or(0));
        texts.iter().any(|text| (text.position..=end(text)).contains(&place))
    };
    let fields = error.fields_mut();
    fields.position = fields.position.filter(|place| !is_inside(*place));
    error
}

/// ALTER TABLE may name any relation for actions that suit it; the other forms only their own kind.
fn check_word(alter: &AlterRelation, relation: &Relation) -> Result<()> {
    if alter.word != RelationWord::Table {
        check_kind(alter.word, relation)?;
    }
    let Some(action) = alter.actions.iter().find(|a| !suits(a, relation.kind)) else { return Ok(()) };
    let what = match relation.kind {
        RelationKind::View => "views",
        RelationKind::MaterializedView => "materialized views",
        RelationKind::Sequence => "sequences",
        _ => "composite types",
    };
    let message =
        format!("ALTER action {} cannot be performed on relation \"{}\"", action_words(action), relation.name);
    Err(error(SqlState::WRONG_OBJECT_TYPE, message).detail(format!("This operation is not supported for {what}.")))
}

fn suits(action: &AlterAction, kind: RelationKind) -> bool {
    use AlterAction::*;
    use sql::utility::ddl::AlterColumn as Column;
    if matches!(kind, RelationKind::Table | RelationKind::Collection | RelationKind::Virtual) {
        return true;
    }
    match action {
        Rename(_) | RenameColumn { .. } | SetSchema(_) | Owner(_) | Unsupported { .. } => true,
        SetOptions(_) | ResetOptions(_) => kind != RelationKind::Sequence,
        Hint => kind == RelationKind::MaterializedView,
        AlterColumn { action: Column::SetDefault(_) | Column::DropDefault, .. } => kind == RelationKind::View,
        AlterColumn {
            action: Column::SetStatistics(_) | Column::SetStorage(_) | Column::SetOptions(_) | Column::ResetOptions(_),
            ..
        } => kind == RelationKind::MaterializedView,
        _ => false,
    }
}

fn action_words(action: &AlterAction) -> &'static str {
    use sql::utility::ddl::AlterColumn as Column;
    match action {
        AlterAction::AddColumn { .. } => "ADD COLUMN",
        AlterAction::DropColumn { .. } => "DROP COLUMN",
        AlterAction::AddConstraint(_) => "ADD CONSTRAINT",
        AlterAction::DropConstraint { .. } => "DROP CONSTRAINT",
        AlterAction::ValidateConstraint(_) => "VALIDATE CONSTRAINT",
        AlterAction::AlterConstraint { .. } => "ALTER CONSTRAINT",
        AlterAction::SetOptions(_) => "SET",
        AlterAction::ResetOptions(_) => "RESET",
        AlterAction::AlterColumn { action, .. } => match action {
            Column::Type { .. } => "ALTER COLUMN ... SET DATA TYPE",
            Column::SetDefault(_) | Column::DropDefault => "ALTER COLUMN ... SET DEFAULT",
            Column::SetNotNull => "ALTER COLUMN ... SET NOT NULL",
            Column::DropNotNull => "ALTER COLUMN ... DROP NOT NULL",
            _ => "ALTER COLUMN",
        },
        _ => "ALTER",
    }
}

fn pass(action: &AlterAction) -> u8 {
    use sql::utility::ddl::AlterColumn as Column;
    match action {
        AlterAction::DropColumn { .. } | AlterAction::DropConstraint { .. } => 0,
        AlterAction::AlterColumn {
            action:
                Column::DropNotNull | Column::DropDefault | Column::DropIdentity { .. } | Column::DropExpression { .. },
            ..
        } => 0,
        AlterAction::AlterColumn { action: Column::Type { .. }, .. } => 1,
        AlterAction::AddColumn { .. } => 2,
        AlterAction::AlterColumn { action: Column::SetDefault(_), .. } => 5,
        AlterAction::AlterColumn { .. } => 3,
        AlterAction::AddConstraint(c) => match c.kind {
            ConstraintDefinitionKind::Unique { .. } | ConstraintDefinitionKind::UsingIndex { .. } => 4,
            _ => 5,
        },
        _ => 6,
    }
}

async fn carry_out_action(context: &mut DdlContext<'_>, id: Oid, action: &AlterAction) -> Result<()> {
    match action {
        AlterAction::AddColumn { column, if_not_exists } => add_column(context, id, column, *if_not_exists).await,
        AlterAction::DropColumn { name, if_exists, cascade } => {
            drop_column(context, id, name, *if_exists, *cascade).await
        }
        AlterAction::RenameColumn { from, to } => rename::rename_column(context, id, from, to).await,
        AlterAction::AlterColumn { name, action } => alter_column::alter(context, id, name, action).await,
        AlterAction::AddConstraint(definition) => {
            let placed = PlacedConstraint { definition: definition.clone(), column: None };
            add_constraint(context, id, &placed).await
        }
        AlterAction::AlterConstraint { name, deferrable, initially_deferred } => {
            alter_constraint(context, id, name, *deferrable, *initially_deferred)
        }
        AlterAction::ValidateConstraint(name) => validate_constraint(context, id, name).await,
        AlterAction::DropConstraint { name, if_exists, cascade } => {
            drop_constraint(context, id, name, *if_exists, *cascade).await
        }
        AlterAction::RenameConstraint { from, to } => rename::rename_constraint(context, id, from, to).await,
        AlterAction::Rename(to) => rename::rename_relation(context, id, to).await,
        AlterAction::SetSchema(to) => rename::set_schema(context, id, to).await,
        AlterAction::Owner(role) => {
            let owner = context.role_id(role)?;
            rename::set_owner(context, id, owner).await
        }
        AlterAction::SetOptions(options) => options::set(context, id, options).await,
        AlterAction::ResetOptions(names) => options::reset(context, id, names).await,
        AlterAction::RowSecurity(false) | AlterAction::Hint => Ok(()),
        AlterAction::Rule { name, action } => {
            let relation = context.relation(id)?;
            super::rules::alter_locked(context, &relation, name, action)
        }
        // Accepting it without policies would deny every row to others: nothing here would.
        AlterAction::RowSecurity(true) => Err(SqlError::unsupported("row-level security is not supported")),
        AlterAction::Unsupported { what, position } => Err(SqlError::unsupported(what.clone()).at(*position)),
    }
}

/// The number of the next stored layout. 54000 at the last: a rewrite (ALTER TYPE) does not start again either.
pub(super) fn next_layout(relation: &Relation) -> Result<u16> {
    relation.layout.checked_add(1).ok_or_else(|| {
        error(SqlState::PROGRAM_LIMIT_EXCEEDED, "table has been altered too often (limit 65535)")
            .hint("Make a new table with CREATE TABLE AS.")
    })
}

// --- columns

async fn add_column(
    context: &mut DdlContext<'_>,
    id: Oid,
    definition: &ColumnDefinition,
    if_not_exists: bool,
) -> Result<()> {
    let (old, before) = (context.relation(id)?, context.snapshot());
    let name = &definition.name;
    columns::check_name(name)?;
    if old.column_by_name(&name.name).is_some() {
        let message = format!("column \"{}\" of relation \"{}\" already exists", name.name, old.name);
        if if_not_exists {
            context.skipping(SqlState::DUPLICATE_COLUMN, &message);
            return Ok(());
        }
        return Err(error(SqlState::DUPLICATE_COLUMN, message));
    }
    let mut relation = Relation::clone(&old);
    relation.layout = next_layout(&old)?;
    let mut wanted = vec![];
    let number = columns::add_column(context, &mut relation, definition, &mut wanted)?;
    columns::hold_types(context, &relation).await?;
    let has_sequence = !wanted.is_empty();
    columns::make_sequences(context, &mut relation, wanted).await?;
    let clauses = clauses(&old.name, definition)?;
    columns::bind_default(context, &mut relation, number, &clauses)?;
    let must_rewrite = has_sequence || fill_missing(context, &mut relation, number, &clauses).await?;
    if must_rewrite || relation.column(number).is_some_and(|c| c.default.is_some()) {
        stored_rows::check_none(context, &old)?;
    }
    let is_empty_before = relation.column(number).is_none_or(|c| !c.not_null || c.missing.is_some());
    if must_rewrite {
        let text = match relation.column(number) {
            Some(column) if column.default.is_some() => column.default.clone(),
            Some(column) if column.domain.is_some() => {
                let default = context.catalog.snapshot().domain_default(column.declared().oid);
                Some(default.map_or_else(|| "NULL".to_owned(), str::to_owned))
            }
            // An identity column has no default expression of its own.
            _ => identity_expression(context, &relation, number),
        };
        let values = text.map(|text| (number, text)).into_iter().collect();
        rename::rewrite(context, &old, relation, values).await?;
    } else {
        if !is_empty_before {
            constraints::check_no_rows(context, &old, &name.name).await?;
        }
        context.put_relation(relation)?;
        stored_rows::widen(context, id, number).await?;
    }
    rename::follow_columns(context, &before, id).await?;
    for other in clauses.others {
        let placed = PlacedConstraint { definition: other.clone(), column: Some(definition.name.clone()) };
        add_constraint(context, id, &placed).await?;
    }
    Ok(())
}

fn identity_expression(context: &DdlContext<'_>, relation: &Relation, number: AttributeNumber) -> Option<String> {
    let snapshot = context.catalog.snapshot();
    let sequence = super::sequences::owned_by(snapshot, relation.id, number).into_iter().next()?;
    Some(format!("nextval({})", mentions::sequence_literal(snapshot, &sequence)))
}

/// What rows that exist have in a new column: its default, computed once if that is the same for all. True: they must be rewritten.
async fn fill_missing(
    context: &DdlContext<'_>,
    relation: &mut Relation,
    number: AttributeNumber,
    clauses: &columns::ColumnClauses<'_>,
) -> Result<bool> {
    let Some(column) = relation.column(number) else { return Ok(false) };
    let (ty, name) = (column.declared(), column.name.clone());
    // A domain may have a default of its own, and may refuse the value: each row is looked at.
    if column.domain.is_some() {
        return Ok(true);
    }
    let Some(text) = column.default.clone() else { return Ok(false) };
    // A missing value is kept as text that reads without a catalog.
    let is_users = user_type::kind_of(ty.oid).is_some() || user_type::element_of(ty.oid).is_some();
    if column.is_generated || is_users {
        return Ok(true);
    }
    let snapshot = context.snapshot();
    if let Some(given) = clauses.default {
        let usage = super::services::ExpressionUse::Default(ty);
        let bound = context.services.bind_expression(&snapshot, Some(relation), given, usage, &name)?;
        if bound.volatility == Volatility::Volatile {
            return Ok(true);
        }
    }
    let value = context.services.evaluate(&snapshot, &text, ty).await?;
    let missing = match value.is_null() {
        true => None,
        false => {
            let mut out = vec![];
            types::io::output(ty, &value, &FormatSettings::default(), &mut out);
            Some(String::from_utf8(out).map_err(|_| SqlError::internal("a value's text is no UTF-8"))?)
        }
    };
    if let Some(column) = column_mut(relation, number) {
        column.missing = missing;
    }
    Ok(false)
}

async fn drop_column(context: &mut DdlContext<'_>, id: Oid, name: &Name, if_exists: bool, cascade: bool) -> Result<()> {
    let relation = context.relation(id)?;
    let Some(column) = relation.column_by_name(&name.name) else {
        let missing = columns::undefined_column(&name.name, &relation.name);
        if if_exists {
            context.skipping(SqlState::SUCCESSFUL_COMPLETION, missing.message());
            return Ok(());
        }
        return Err(missing);
    };
    stored_rows::check_none(context, &relation)?;
    if relation.distribution.contains(&column.number) {
        let message = format!("cannot drop column \"{}\" because the table is distributed by it", name.name);
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    drop_parts(context, &[Part::Column(id, column.number)], cascade).await
}

// --- constraints

/// Rows that exist are looked at before the constraint is there: a plan may believe what a constraint says.
async fn add_constraint(context: &mut DdlContext<'_>, id: Oid, placed: &PlacedConstraint) -> Result<()> {
    let old = context.relation(id)?;
    let mut relation = Relation::clone(&old);
    let added = constraints::add(context, &mut relation, placed, false).await?;
    constraints::check_not_null(context, &old, &added.not_null).await?;
    if added.must_validate {
        constraints::validate(context, &relation, &added.name, Upkeep::ByExclusion).await?;
    }
    if added.must_rekey {
        return rename::rewrite(context, &old, relation, vec![]).await;
    }
    context.put_relation(relation)?;
    match added.fill {
        Some(index) => super::indexes::fill(context, id, index).await,
        None => Ok(()),
    }
}

fn undefined_constraint(relation: &Relation, name: &str) -> SqlError {
    let message = format!("constraint \"{name}\" of relation \"{}\" does not exist", relation.name);
    error(SqlState::UNDEFINED_OBJECT, message)
}

fn alter_constraint(
    context: &mut DdlContext<'_>,
    id: Oid,
    name: &Name,
    deferrable: Option<bool>,
    initially_deferred: Option<bool>,
) -> Result<()> {
    let relation = context.relation(id)?;
    let Some(constraint) = relation.constraint_by_name(&name.name) else {
        return Err(undefined_constraint(&relation, &name.name));
    };
    if !matches!(constraint.kind, ConstraintKind::ForeignKey(_)) {
        let message =
            format!("constraint \"{}\" of relation \"{}\" is not a foreign key constraint", name.name, relation.name);
        return Err(error(SqlState::WRONG_OBJECT_TYPE, message));
    }
    let constraint = constraint.id;
    context.change_relation(id, |r| {
        if let Some(c) = r.constraints.iter_mut().find(|c| c.id == constraint) {
            c.initially_deferred = initially_deferred.unwrap_or(false);
            c.deferrable = deferrable.unwrap_or(c.initially_deferred);
        }
    })?;
    Ok(())
}

async fn validate_constraint(context: &mut DdlContext<'_>, id: Oid, name: &Name) -> Result<()> {
    let relation = context.relation(id)?;
    let Some(constraint) = relation.constraint_by_name(&name.name) else {
        return Err(undefined_constraint(&relation, &name.name));
    };
    if !matches!(constraint.kind, ConstraintKind::ForeignKey(_) | ConstraintKind::Check { .. }) {
        let message = format!(
            "constraint \"{}\" of relation \"{}\" is not a foreign key or check constraint",
            name.name, relation.name
        );
        return Err(error(SqlState::WRONG_OBJECT_TYPE, message));
    }
    if constraint.is_validated {
        return Ok(());
    }
    // A constraint that was committed before is kept by all who write; one of this transaction others do not know yet.
    let upkeep =
        if context.catalog.has_changed(ObjectKey::relation(id)) { Upkeep::ByExclusion } else { Upkeep::ByWriters };
    match &constraint.kind {
        ConstraintKind::ForeignKey(key) => foreign_keys::validate(context, &relation, &name.name, key, upkeep).await?,
        _ => constraints::validate(context, &relation, &name.name, upkeep).await?,
    }
    let constraint = constraint.id;
    context.change_quietly(id, |r| {
        if let Some(c) = r.constraints.iter_mut().find(|c| c.id == constraint) {
            c.is_validated = true;
        }
    })
}

async fn drop_constraint(
    context: &mut DdlContext<'_>,
    id: Oid,
    name: &Name,
    if_exists: bool,
    cascade: bool,
) -> Result<()> {
    let relation = context.relation(id)?;
    let Some(constraint) = relation.constraint_by_name(&name.name) else {
        let missing = undefined_constraint(&relation, &name.name);
        if if_exists {
            context.skipping(SqlState::SUCCESSFUL_COMPLETION, missing.message());
            return Ok(());
        }
        return Err(missing);
    };
    drop_parts(context, &[Part::Constraint(id, constraint.id)], cascade).await
}

// --- indexes

fn find_index(context: &DdlContext<'_>, alter: &AlterRelation) -> Result<Option<Arc<Index>>> {
    let snapshot = context.catalog.snapshot();
    let found = names::find(snapshot, context.scope(), &alter.name.parts)?;
    if alter.word == RelationWord::Index
        && let Some(relation) = found.and_then(|id| snapshot.relation(id))
    {
        // As PostgreSQL, ALTER INDEX … RENAME takes any relation.
        let is_rename = matches!(alter.actions.first(), Some(AlterAction::Rename(_)));
        return if is_rename { Ok(None) } else { check_kind(RelationWord::Index, relation).map(|()| None) };
    }
    Ok(found.and_then(|id| snapshot.index(id).cloned()))
}

async fn alter_index(context: &mut DdlContext<'_>, index: Arc<Index>, alter: &AlterRelation) -> Result<()> {
    let Some(relation) = context.lock_relation_by_id(index.relation).await? else { return Ok(()) };
    if !privileges::is_owner(context.catalog.snapshot(), context.role, Target::Relation(&relation)) {
        return Err(error(SqlState::INSUFFICIENT_PRIVILEGE, format!("must be owner of index {}", index.name)));
    }
    for action in &alter.actions {
        match action {
            AlterAction::Rename(to) => rename::rename_index(context, index.id, to).await?,
            AlterAction::SetOptions(given) => {
                super::indexes::check_options(given, super::indexes::INDEX_OPTIONS)?;
                let mut changed = Index::clone(&*context.lock_index_by_id(index.id).await?);
                options::merge(&mut changed.options, options::stored(given));
                context.catalog.put(context.txn, Object::Index(changed))?;
            }
            AlterAction::ResetOptions(names) => {
                let mut changed = Index::clone(&*context.lock_index_by_id(index.id).await?);
                changed.options.retain(|(name, _)| !names.contains(name));
                context.catalog.put(context.txn, Object::Index(changed))?;
            }
            AlterAction::Owner(role) => {
                if context.role_id(role)? != relation.owner {
                    let message = format!("cannot change owner of index \"{}\"", index.name);
                    let hint = "Change the ownership of the index's table, instead.";
                    let warning = error(SqlState::WRONG_OBJECT_TYPE, message).hint(hint);
                    context.services.notice(warning.severity(types::Severity::Warning));
                }
            }
            AlterAction::SetSchema(_) => {
                let message = format!("cannot change schema of index \"{}\"", index.name);
                return Err(error(SqlState::WRONG_OBJECT_TYPE, message).hint("Change the schema of the table instead."));
            }
            AlterAction::AlterColumn { action: AlterColumn::SetStatistics(_), .. } | AlterAction::Hint => {}
            AlterAction::Unsupported { what, position } => {
                return Err(SqlError::unsupported(what.clone()).at(*position));
            }
            other => {
                let message =
                    format!("ALTER action {} cannot be performed on relation \"{}\"", action_words(other), index.name);
                return Err(
                    error(SqlState::WRONG_OBJECT_TYPE, message).detail("This operation is not supported for indexes.")
                );
            }
        }
    }
    Ok(())
}
