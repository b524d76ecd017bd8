//! ALTER TABLE … ALTER COLUMN.

use super::columns::{self, ColumnClauses, WantedSequence, column_mut, resolve_type};
use super::constraints::{self, column_named};
use super::context::{DdlContext, error};
use super::depend::{self, Part};
use super::drop::drop_parts;
use super::mentions;
use super::rename;
use super::sequences;
use super::services::ExpressionUse;
use catalog::names;
use catalog::*;
use sql::utility::ddl::{AlterColumn, Name, ObjectName, SequenceOptions, SqlText};
use types::builtin::{self, CastMethod};
use types::functions::quote_ident;
use types::{Oid, Result, SqlState, SqlType, oid, typename};

pub(super) async fn alter(context: &mut DdlContext<'_>, id: Oid, name: &Name, action: &AlterColumn) -> Result<()> {
    let relation = context.relation(id)?;
    let column = column_named(&relation, name)?.clone();
    let number = column.number;
    let change = |context: &mut DdlContext<'_>, change: &dyn Fn(&mut Column)| {
        context.change_relation(id, |r| {
            if let Some(column) = column_mut(r, number) {
                change(column);
            }
        })
    };
    match action {
        AlterColumn::Type { ty, collation, using } => {
            return set_type(context, &relation, &column, ty, collation, using.as_ref()).await;
        }
        AlterColumn::SetDefault(text) => set_default(context, &relation, &column, Some(text))?,
        AlterColumn::DropDefault => set_default(context, &relation, &column, None)?,
        AlterColumn::SetNotNull => {
            if !column.not_null {
                constraints::check_not_null(context, &relation, &[number]).await?;
                change(context, &|c| c.not_null = true)?;
            }
        }
        AlterColumn::DropNotNull => drop_not_null(context, &relation, &column)?,
        AlterColumn::DropExpression { if_exists } => {
            if column.is_generated {
                change(context, &|c| {
                    c.is_generated = false;
                    c.default = None;
                })?;
            } else {
                let message = format!(
                    "column \"{}\" of relation \"{}\" is not a stored generated column",
                    column.name, relation.name
                );
                skip_or_fail(context, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message, *if_exists)?;
            }
        }
        AlterColumn::AddIdentity { always, options } => {
            add_identity(context, &relation, &column, *always, options).await?
        }
        AlterColumn::SetIdentity { always, options } => {
            set_identity(context, &relation, &column, *always, options).await?
        }
        AlterColumn::DropIdentity { if_exists } => drop_identity(context, &relation, &column, *if_exists).await?,
        AlterColumn::SetStatistics(target) => {
            const TARGET_MAX: i32 = 10_000;
            if *target < -1 {
                let message = format!("statistics target {target} is too low");
                return Err(error(SqlState::INVALID_PARAMETER_VALUE, message));
            }
            let target = (*target).min(TARGET_MAX);
            change(context, &|c| c.statistics_target = target)?;
        }
        AlterColumn::SetStorage(word) => {
            let letter = columns::storage_letter(word)?;
            let is_variable = builtin::type_by_oid(column.ty.oid).is_none_or(|t| t.storage != 'p');
            if !is_variable && letter != 'p' {
                let message =
                    format!("column data type {} can only have storage PLAIN", constraints::type_text(&column));
                return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message));
            }
            change(context, &|c| c.storage = Some(letter))?;
        }
        AlterColumn::SetOptions(options) => {
            for (option, _) in options {
                if !matches!(option.as_str(), "n_distinct" | "n_distinct_inherited") {
                    let message = format!("unrecognized parameter \"{option}\"");
                    return Err(error(SqlState::INVALID_PARAMETER_VALUE, message));
                }
            }
        }
        AlterColumn::ResetOptions(_) => {}
    }
    Ok(())
}

fn skip_or_fail(context: &DdlContext<'_>, code: SqlState, message: String, if_exists: bool) -> Result<()> {
    if !if_exists {
        return Err(error(code, message));
    }
    context.skipping(SqlState::SUCCESSFUL_COMPLETION, &message);
    Ok(())
}

fn set_default(
    context: &mut DdlContext<'_>,
    relation: &Relation,
    column: &Column,
    text: Option<&SqlText>,
) -> Result<()> {
    if column.identity.is_some() {
        let message = format!("column \"{}\" of relation \"{}\" is an identity column", column.name, relation.name);
        let failed = error(SqlState::SYNTAX_ERROR, message);
        return Err(if text.is_some() {
            failed
        } else {
            failed.hint("Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead.")
        });
    }
    if column.is_generated {
        let message = format!("column \"{}\" of relation \"{}\" is a generated column", column.name, relation.name);
        let failed = error(SqlState::SYNTAX_ERROR, message);
        return Err(if text.is_some() {
            failed
        } else {
            failed.hint("Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead.")
        });
    }
    let mut changed = relation.clone();
    if let Some(column) = column_mut(&mut changed, column.number) {
        column.default = None;
    }
    let clauses = ColumnClauses { default: text, ..ColumnClauses::default() };
    columns::bind_default(context, &mut changed, column.number, &clauses)?;
    context.put_relation(changed)
}

fn drop_not_null(context: &mut DdlContext<'_>, relation: &Relation, column: &Column) -> Result<()> {
    if column.identity.is_some() {
        let message = format!("column \"{}\" of relation \"{}\" is an identity column", column.name, relation.name);
        return Err(error(SqlState::SYNTAX_ERROR, message));
    }
    let snapshot = context.snapshot();
    let in_primary = relation.constraints.iter().any(|c| {
        matches!(c.kind, ConstraintKind::PrimaryKey { .. })
            && depend::constraint_columns(&snapshot, c).contains(&column.number)
    });
    if in_primary {
        let message = format!("column \"{}\" is in a primary key", column.name);
        return Err(error(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    context.change_relation(relation.id, |r| {
        if let Some(column) = column_mut(r, column.number) {
            column.not_null = false;
        }
    })?;
    Ok(())
}

// --- identity

async fn add_identity(
    context: &mut DdlContext<'_>,
    relation: &Relation,
    column: &Column,
    always: bool,
    options: &SequenceOptions,
) -> Result<()> {
    let of = format!("column \"{}\" of relation \"{}\"", column.name, relation.name);
    let ty = SqlType::from(column.ty);
    if !matches!(ty.oid, oid::INT2 | oid::INT4 | oid::INT8) {
        let message = "identity column type must be smallint, integer, or bigint";
        return Err(error(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    if !column.not_null {
        let message = format!("{of} must be declared NOT NULL before identity can be added");
        return Err(error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
    }
    if column.identity.is_some() {
        return Err(error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("{of} is already an identity column")));
    }
    if column.default.is_some() {
        return Err(error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("{of} already has a default value")));
    }
    let mut changed = relation.clone();
    let wanted = WantedSequence { column: column.number, ty, options: options.clone(), is_identity: true };
    columns::make_sequences(context, &mut changed, vec![wanted]).await?;
    if let Some(column) = column_mut(&mut changed, column.number) {
        column.identity = Some(if always { Identity::Always } else { Identity::ByDefault });
    }
    context.put_relation(changed)
}

fn not_identity(relation: &Relation, column: &Column) -> String {
    format!("column \"{}\" of relation \"{}\" is not an identity column", column.name, relation.name)
}

async fn set_identity(
    context: &mut DdlContext<'_>,
    relation: &Relation,
    column: &Column,
    always: Option<bool>,
    options: &SequenceOptions,
) -> Result<()> {
    if column.identity.is_none() {
        return Err(error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, not_identity(relation, column)));
    }
    if let Some(always) = always {
        context.change_relation(relation.id, |r| {
            if let Some(column) = column_mut(r, column.number) {
                column.identity = Some(if always { Identity::Always } else { Identity::ByDefault });
            }
        })?;
    }
    for sequence in sequences::owned_by(&context.snapshot(), relation.id, column.number) {
        if let Some(sequence) = context.lock_relation_by_id(sequence.id).await? {
            sequences::alter_definition(context, &sequence, options, None).await?;
        }
    }
    Ok(())
}

async fn drop_identity(
    context: &mut DdlContext<'_>,
    relation: &Relation,
    column: &Column,
    if_exists: bool,
) -> Result<()> {
    if column.identity.is_none() {
        let message = not_identity(relation, column);
        return skip_or_fail(context, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message, if_exists);
    }
    context.change_relation(relation.id, |r| {
        if let Some(column) = column_mut(r, column.number) {
            column.identity = None;
        }
    })?;
    let owned = sequences::owned_by(&context.snapshot(), relation.id, column.number);
    let parts: Vec<Part> = owned
        .iter()
        .filter(|s| s.sequence.as_ref().is_some_and(|d| d.is_identity))
        .map(|s| Part::Relation(s.id))
        .collect();
    drop_parts(context, &parts, true).await
}

// --- type

/// Rows are stored again in the new type; defaults, checks and indexes are bound again against it.
async fn set_type(
    context: &mut DdlContext<'_>,
    relation: &Relation,
    column: &Column,
    ty: &SqlText,
    collation: &Option<ObjectName>,
    using: Option<&SqlText>,
) -> Result<()> {
    let name = Name { name: column.name.clone(), position: ty.position };
    let resolved = resolve_type(context, ty)?;
    if resolved.is_serial {
        let message = format!("type \"{}\" does not exist", ty.text);
        return Err(error(SqlState::UNDEFINED_OBJECT, message).at(ty.position));
    }
    let new = resolved.ty;
    columns::check_type(&name, new)?;
    columns::check_collation(collation, context.catalog.snapshot().base_type(new))?;
    columns::hold_type(context, new).await?;
    check_dependents(context, relation, column)?;
    super::stored_rows::check_none(context, relation)?;
    let old = SqlType::from(column.ty);
    let snapshot = context.snapshot();
    let value = conversion(context, &snapshot, relation, column, new, using)?;
    let mut changed = relation.clone();
    convert_default(context, &snapshot, &mut changed, column, new)?;
    if let Some(column) = column_mut(&mut changed, column.number) {
        columns::set_column_type(&snapshot, column, new);
        column.missing = None;
    }
    convert_identity(context, relation, column, new).await?;
    convert_checks(context, &mut changed, column.number)?;
    convert_indexes(context, &changed, column.number).await?;
    let changes_rows = using.is_some()
        || changed.column(column.number).is_none_or(|c| c.domain.is_some())
        || !is_relabel(old, snapshot.base_type(new));
    if changes_rows {
        changed.layout = super::alter_table::next_layout(relation)?;
        // Every row is written anew: the new storage has no row of an older layout.
        let old = context.relation(relation.id)?;
        rename::rewrite(context, &old, changed, vec![(column.number, value)]).await?;
    } else {
        context.put_relation(changed)?;
    }
    recheck_foreign_keys(context, relation.id, column.number).await
}

/// The stored bytes mean the same: varchar(5) to varchar(10) or text.
fn is_relabel(old: SqlType, new: SqlType) -> bool {
    let is_text = |ty: SqlType| matches!(ty.oid, oid::TEXT | oid::VARCHAR);
    let widens = new.typmod == -1 || old.typmod != -1 && old.typmod <= new.typmod && old.oid == new.oid && is_text(old);
    old == new || is_text(old) && is_text(new) && widens
}

fn conversion(
    context: &DdlContext<'_>,
    snapshot: &std::sync::Arc<Snapshot>,
    relation: &Relation,
    column: &Column,
    new: SqlType,
    using: Option<&SqlText>,
) -> Result<String> {
    if let Some(using) = using {
        return Ok(context
            .services
            .bind_expression(snapshot, Some(relation), using, ExpressionUse::Using(new), &column.name)?
            .text);
    }
    let text = SqlText { text: quote_ident(&column.name).to_string(), position: 0 };
    match context.services.bind_expression(snapshot, Some(relation), &text, ExpressionUse::Using(new), &column.name) {
        Ok(bound) => Ok(bound.text),
        Err(failed) if failed.code() == SqlState::DATATYPE_MISMATCH || failed.code() == SqlState::CANNOT_COERCE => {
            let target = names::format_type(snapshot, context.scope(), new.oid, Some(new.typmod));
            let shown = names::format_type(snapshot, context.scope(), new.oid, None);
            let message = format!("column \"{}\" cannot be cast automatically to type {shown}", column.name);
            let failed = error(SqlState::DATATYPE_MISMATCH, message);
            let castable = builtin::cast(column.ty.oid, new.oid)
                .is_some_and(|c| c.method != CastMethod::Binary || c.function == 0)
                || SqlType::from(column.ty).is_string()
                || new.is_string();
            let hint = format!("You might need to specify \"USING {}::{target}\".", quote_ident(&column.name));
            Err(if castable { failed.hint(hint) } else { failed })
        }
        Err(failed) => Err(failed),
    }
}

fn convert_default(
    context: &DdlContext<'_>,
    snapshot: &std::sync::Arc<Snapshot>,
    changed: &mut Relation,
    column: &Column,
    new: SqlType,
) -> Result<()> {
    let Some(text) = column.default.clone() else { return Ok(()) };
    let usage = if column.is_generated { ExpressionUse::Generated(new) } else { ExpressionUse::Default(new) };
    let text = SqlText { text, position: 0 };
    match context.services.bind_expression(snapshot, Some(changed), &text, usage, &column.name) {
        Ok(bound) => {
            if let Some(column) = column_mut(changed, column.number) {
                column.default = Some(bound.text);
            }
            Ok(())
        }
        Err(_) => {
            let what = if column.is_generated { "generation expression" } else { "default" };
            let message = format!(
                "{what} for column \"{}\" cannot be cast automatically to type {}",
                column.name,
                names::format_type(snapshot, context.scope(), new.oid, None)
            );
            Err(error(SqlState::DATATYPE_MISMATCH, message))
        }
    }
}

async fn convert_identity(
    context: &mut DdlContext<'_>,
    relation: &Relation,
    column: &Column,
    new: SqlType,
) -> Result<()> {
    if column.identity.is_none() {
        return Ok(());
    }
    if !matches!(new.oid, oid::INT2 | oid::INT4 | oid::INT8) {
        let message = "identity column type must be smallint, integer, or bigint";
        return Err(error(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    let text = SqlText { text: typename::format_type(new.oid, None), position: 0 };
    let options = SequenceOptions { ty: Some(text), ..SequenceOptions::default() };
    for sequence in sequences::owned_by(&context.snapshot(), relation.id, column.number) {
        if let Some(sequence) = context.lock_relation_by_id(sequence.id).await? {
            sequences::alter_definition(context, &sequence, &options, None).await?;
        }
    }
    Ok(())
}

fn convert_checks(context: &DdlContext<'_>, changed: &mut Relation, number: AttributeNumber) -> Result<()> {
    let snapshot = context.snapshot();
    let base = changed.clone();
    for constraint in &mut changed.constraints {
        let ConstraintKind::Check { expression, columns, .. } = &mut constraint.kind else { continue };
        if columns.contains(&number) {
            let text = SqlText { text: expression.clone(), position: 0 };
            *expression =
                context.services.bind_expression(&snapshot, Some(&base), &text, ExpressionUse::Check, "")?.text;
        }
    }
    Ok(())
}

async fn convert_indexes(context: &mut DdlContext<'_>, changed: &Relation, number: AttributeNumber) -> Result<()> {
    let snapshot = context.snapshot();
    for index in snapshot.indexes_of(changed).filter(|i| depend::index_uses(changed, i, number)) {
        let mut index = Index::clone(index);
        for column in &mut index.columns {
            match &mut column.source {
                IndexSource::Column(n) if *n == number => {
                    if let Some(source) = changed.column(number) {
                        super::indexes::require_order(&snapshot, source.ty.into(), &index.method)?;
                        (column.ty, column.collation) = (source.ty, source.collation);
                    }
                }
                IndexSource::Expression(expression) => {
                    let text = SqlText { text: expression.clone(), position: 0 };
                    let bound =
                        context.services.bind_expression(&snapshot, Some(changed), &text, ExpressionUse::Index, "")?;
                    (*expression, column.ty) = (bound.text, bound.ty.into());
                }
                IndexSource::Column(_) => {}
            }
        }
        context.lock_index_by_id(index.id).await?;
        context.catalog.put(context.txn, Object::Index(index))?;
    }
    Ok(())
}

/// What cannot follow a change of type.
fn check_dependents(context: &DdlContext<'_>, relation: &Relation, column: &Column) -> Result<()> {
    let snapshot = context.snapshot();
    let scope = context.scope();
    let number = column.number;
    let view =
        snapshot.relations().find(|r| r.view.as_ref().is_some_and(|v| v.depends_on.contains(&(relation.id, number))));
    let view = view.map(|v| format!("rule _RETURN on {}", depend::describe(&snapshot, scope, Part::Relation(v.id))));
    let rule = snapshot.rules().find(|r| r.depends_on.contains(&(relation.id, number)));
    let rule = rule.map(|r| depend::describe(&snapshot, scope, Part::Rule(r.id)));
    if let Some(dependent) = view.or(rule) {
        let detail = format!("{dependent} depends on column \"{}\"", column.name);
        let message = "cannot alter type of a column used by a view or rule";
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message).detail(detail));
    }
    let generated = relation.live_columns().find(|c| {
        c.is_generated
            && c.number != number
            && c.default.as_ref().is_some_and(|text| mentions::mentions(relation, text, number))
    });
    if let Some(generated) = generated {
        let detail = format!("Column \"{}\" is used by generated column \"{}\".", column.name, generated.name);
        let message = "cannot alter type of a column used by a generated column";
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message).detail(detail));
    }
    Ok(())
}

/// Keys of the column, here and elsewhere, must still meet.
async fn recheck_foreign_keys(context: &mut DdlContext<'_>, id: Oid, number: AttributeNumber) -> Result<()> {
    let snapshot = context.snapshot();
    let mut affected = vec![];
    if let Some(relation) = snapshot.relation(id) {
        for constraint in &relation.constraints {
            if let ConstraintKind::ForeignKey(key) = &constraint.kind
                && key.columns.contains(&number)
            {
                affected.push((id, constraint.name.clone(), key.clone()));
            }
        }
    }
    for (other, constraint, key) in snapshot.foreign_keys_to(id) {
        if key.target_columns.contains(&number) && !(other.id == id && key.columns.contains(&number)) {
            affected.push((other.id, constraint.name.clone(), key.clone()));
        }
    }
    for (relation, name, key) in affected {
        let (Some(relation), Some(target)) = (snapshot.relation(relation), snapshot.relation(key.target)) else {
            continue;
        };
        super::foreign_keys::check_types(relation, &key.columns, target, &key.target_columns, &name)?;
    }
    Ok(())
}
