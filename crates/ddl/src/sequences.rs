//! CREATE, ALTER and DROP SEQUENCE, and the sequences of serial and identity columns.

use super::columns::WantedSequence;
use super::columns::resolve_type;
use super::context::{DdlContext, already_exists, check_kind, error};
use catalog::privileges::Target;
use catalog::sequences::SequenceState;
use catalog::*;
use sql::utility::ddl::{CreateSequence, ObjectName, RelationWord, SequenceOptions};
use std::sync::Arc;
use types::{Oid, Result, SqlState, SqlType, oid};

pub(super) async fn create(context: &mut DdlContext<'_>, create: &CreateSequence) -> Result<()> {
    let (schema, is_temporary) = context.creation_schema(&create.name, create.is_temporary).await?;
    let name = create.name.object();
    if create.if_not_exists && context.is_taken(schema.id, name).await? {
        context.skipping(SqlState::DUPLICATE_TABLE, already_exists(name).message());
        return Ok(());
    }
    context.claim_relation_name(schema.id, name).await?;
    let mut sequence = context.new_relation(&schema, name, RelationKind::Sequence, is_temporary).await?;
    let mut definition = define(context, &create.options, SqlType::INT8, None)?;
    if let Some(Some(owner)) = &create.options.owned_by {
        definition.owned_by = Some(find_owner(context, &sequence, owner).await?);
    }
    sequence.columns = row_columns();
    sequence.sequence = Some(definition);
    context.catalog.put(context.txn, Object::Relation(sequence))
}

/// What `SELECT * FROM sequence` has.
fn row_columns() -> Vec<Column> {
    let columns = [("last_value", SqlType::INT8), ("log_cnt", SqlType::INT8), ("is_called", SqlType::BOOL)];
    let mut all = vec![];
    for (index, (name, ty)) in columns.into_iter().enumerate() {
        let mut column = new_column(index as AttributeNumber + 1, name, ty);
        column.not_null = true;
        all.push(column);
    }
    all
}

/// A sequence that belongs to a column. Its relation need not have been put yet.
pub(super) async fn make_owned(
    context: &mut DdlContext<'_>,
    relation: &Relation,
    want: &WantedSequence,
    name: &str,
) -> Result<Relation> {
    let schema = context.catalog.snapshot().schema(relation.schema).cloned();
    let schema = schema.ok_or_else(|| error(SqlState::INVALID_SCHEMA_NAME, "schema of the table does not exist"))?;
    let mut sequence = context.new_relation(&schema, name, RelationKind::Sequence, relation.is_temporary).await?;
    sequence.owner = relation.owner;
    let mut definition = define(context, &want.options, want.ty, None)?;
    definition.owned_by = Some((relation.id, want.column));
    definition.is_identity = want.is_identity;
    sequence.columns = row_columns();
    sequence.sequence = Some(definition);
    context.catalog.put(context.txn, Object::Relation(sequence.clone()))?;
    Ok(sequence)
}

fn invalid(message: impl Into<String>) -> types::SqlError {
    error(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Bounds of a sequence's type.
fn bounds(ty: Oid) -> (i64, i64) {
    match ty {
        oid::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        oid::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

/// Applies options to a definition (a new one takes its defaults), with PostgreSQL's checks in PostgreSQL's order.
fn define(
    context: &DdlContext<'_>,
    options: &SequenceOptions,
    default_type: SqlType,
    old: Option<&SequenceDefinition>,
) -> Result<SequenceDefinition> {
    let ty = match &options.ty {
        Some(text) => {
            let ty = resolve_type(context, text)?.ty;
            if !matches!(ty.oid, oid::INT2 | oid::INT4 | oid::INT8) {
                return Err(invalid("sequence type must be smallint, integer, or bigint"));
            }
            ty.oid
        }
        None => old.map_or(default_type.oid, |o| o.ty),
    };
    let (type_min, type_max) = bounds(ty);
    let type_changed = old.is_some_and(|o| o.ty != ty);
    let increment = options.increment.or(old.map(|o| o.increment)).unwrap_or(1);
    if increment == 0 {
        return Err(invalid("INCREMENT must not be zero"));
    }
    let ascending = increment > 0;
    // A bound that was the old type's own follows the type.
    let (reset_max, reset_min) = match old {
        Some(o) if type_changed => {
            let (old_min, old_max) = bounds(o.ty);
            (o.max == old_max || o.max == -1 && o.increment < 0, o.min == old_min || o.min == 1 && o.increment > 0)
        }
        _ => (false, false),
    };
    let default_max = if ascending { type_max } else { -1 };
    let default_min = if ascending { 1 } else { type_min };
    let max = match (options.max, old) {
        (Some(Some(max)), _) => max,
        (None, Some(o)) if !reset_max => o.max,
        _ => default_max,
    };
    if !(type_min..=type_max).contains(&max) {
        return Err(invalid(format!("MAXVALUE ({max}) is out of range for sequence data type {}", type_word(ty))));
    }
    let min = match (options.min, old) {
        (Some(Some(min)), _) => min,
        (None, Some(o)) if !reset_min => o.min,
        _ => default_min,
    };
    if !(type_min..=type_max).contains(&min) {
        return Err(invalid(format!("MINVALUE ({min}) is out of range for sequence data type {}", type_word(ty))));
    }
    if min >= max {
        return Err(invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
    }
    let start = options.start.or(old.map(|o| o.start)).unwrap_or(if ascending { min } else { max });
    if start < min {
        return Err(invalid(format!("START value ({start}) cannot be less than MINVALUE ({min})")));
    }
    if start > max {
        return Err(invalid(format!("START value ({start}) cannot be greater than MAXVALUE ({max})")));
    }
    let cache = options.cache.or(old.map(|o| o.cache)).unwrap_or(1);
    if cache <= 0 {
        return Err(invalid(format!("CACHE ({cache}) must be greater than zero")));
    }
    let cycle = options.cycle.or(old.map(|o| o.cycle)).unwrap_or(false);
    let owned_by = old.and_then(|o| o.owned_by);
    let is_identity = old.is_some_and(|o| o.is_identity);
    Ok(SequenceDefinition { ty, start, increment, min, max, cache, cycle, owned_by, is_identity })
}

fn type_word(ty: Oid) -> String {
    types::typename::format_type(ty, None)
}

/// OWNED BY table.column.
async fn find_owner(
    context: &mut DdlContext<'_>,
    sequence: &Relation,
    owner: &ObjectName,
) -> Result<(Oid, AttributeNumber)> {
    let Some((column, table)) = owner.parts.split_last().filter(|(_, table)| !table.is_empty()) else {
        return Err(error(SqlState::SYNTAX_ERROR, "invalid OWNED BY option")
            .hint("Specify OWNED BY table.column or OWNED BY NONE."));
    };
    let table = ObjectName { parts: table.to_vec(), position: owner.position };
    let relation = context.must_lock_relation(&table).await?;
    if !matches!(relation.kind, RelationKind::Table | RelationKind::Collection | RelationKind::View) {
        let message = format!("sequence cannot be owned by relation \"{}\"", relation.name);
        return Err(error(SqlState::WRONG_OBJECT_TYPE, message));
    }
    if relation.owner != sequence.owner {
        let message = "sequence must have same owner as table it is linked to";
        return Err(error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
    }
    if relation.schema != sequence.schema {
        let message = "sequence must be in same schema as table it is linked to";
        return Err(error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
    }
    let Some(column) = relation.column_by_name(column) else {
        let message = format!("column \"{column}\" of relation \"{}\" does not exist", relation.name);
        return Err(error(SqlState::UNDEFINED_COLUMN, message));
    };
    Ok((relation.id, column.number))
}

pub(super) async fn alter(
    context: &mut DdlContext<'_>,
    name: &ObjectName,
    if_exists: bool,
    options: &SequenceOptions,
) -> Result<()> {
    let Some(sequence) = context.lock_relation(name, if_exists).await? else { return Ok(()) };
    check_kind(RelationWord::Sequence, &sequence)?;
    context.require_owner(Target::Relation(&sequence))?;
    let owned_by = match &options.owned_by {
        None => None,
        Some(_) if sequence.sequence.as_ref().is_some_and(|d| d.is_identity) => {
            return Err(error(SqlState::FEATURE_NOT_SUPPORTED, "cannot change ownership of identity sequence"));
        }
        Some(None) => Some(None),
        Some(Some(owner)) => Some(Some(find_owner(context, &sequence, owner).await?)),
    };
    alter_definition(context, &sequence, options, owned_by).await
}

/// Changes a locked sequence. It gets a new row with the state it has now, so that the change rolls back.
pub(super) async fn alter_definition(
    context: &mut DdlContext<'_>,
    sequence: &Arc<Relation>,
    options: &SequenceOptions,
    owned_by: Option<Option<(Oid, AttributeNumber)>>,
) -> Result<()> {
    let Some(old) = &sequence.sequence else { return Ok(()) };
    let mut definition = define(context, options, SqlType::new(old.ty), Some(old))?;
    if let Some(owned_by) = owned_by {
        definition.owned_by = owned_by;
    }
    let now = hold(context, sequence).await?;
    let state = match options.restart {
        Some(value) => SequenceState::new(value.unwrap_or(definition.start), false),
        None => SequenceState::new(now.last_value, now.is_called),
    };
    let (last, min, max) = (state.last_value, definition.min, definition.max);
    if last < min {
        return Err(invalid(format!("RESTART value ({last}) cannot be less than MINVALUE ({min})")));
    }
    if last > max {
        return Err(invalid(format!("RESTART value ({last}) cannot be greater than MAXVALUE ({max})")));
    }
    set_state(context, sequence, state, Some(definition)).await
}

/// Gives a sequence a new row in that state.
async fn set_state(
    context: &mut DdlContext<'_>,
    sequence: &Arc<Relation>,
    state: SequenceState,
    definition: Option<SequenceDefinition>,
) -> Result<()> {
    let storage = context.catalog.allocate_id().await?;
    let catalog = context.catalog.catalog().clone();
    catalog.sequences().set_state(storage, sequence.is_temporary, state).await?;
    context.change_relation(sequence.id, |s| {
        s.storage = storage;
        if definition.is_some() {
            s.sequence = definition;
        }
    })?;
    Ok(())
}

/// TRUNCATE … RESTART IDENTITY.
pub(super) async fn restart(context: &mut DdlContext<'_>, id: Oid) -> Result<()> {
    let Some(sequence) = context.lock_relation_by_id(id).await? else { return Ok(()) };
    let Some(definition) = &sequence.sequence else { return Ok(()) };
    let state = SequenceState::new(definition.start, false);
    hold(context, &sequence).await?;
    set_state(context, &sequence, state, None).await
}

/// Nobody else takes values until the transaction ends; where it stands.
async fn hold(context: &DdlContext<'_>, sequence: &Relation) -> Result<SequenceState> {
    let catalog = context.catalog.catalog().clone();
    catalog.sequences().hold(context.txn, sequence).await
}

/// Sequences that a relation's column owns; 0: any column of it.
pub(super) fn owned_by(snapshot: &Snapshot, relation: Oid, column: AttributeNumber) -> Vec<Arc<Relation>> {
    let is_owned = |r: &&Arc<Relation>| {
        let owner = r.sequence.as_ref().and_then(|s| s.owned_by);
        owner.is_some_and(|(id, number)| id == relation && (column == 0 || number == column))
    };
    snapshot.relations().filter(is_owned).cloned().collect()
}
