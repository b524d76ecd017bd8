//! FOREIGN KEY: which unique index proves it, whether the types meet, whether the rows that exist satisfy it.

use super::constraints::{
    AddedConstraint, PlacedConstraint, check_constraint_name, choose_constraint_name, push_constraint,
};
use super::constraints::{schema_name, type_text};
use super::context::{DdlContext, error};
use super::indexes::joined_columns;
use super::services::Upkeep;
use catalog::names;
use catalog::privileges::{self, Target};
use catalog::*;
use sql::utility::ddl::{ForeignKeyDefinition, MatchKind, Name};
use std::sync::Arc;
use txn::TableLock;
use types::functions::quote_ident;
use types::{Oid, Result, SqlError, SqlState, builtin, oid};

fn referencing_columns(relation: &Relation, names: &[Name]) -> Result<Vec<AttributeNumber>> {
    let mut numbers = vec![];
    for name in names {
        let Some(column) = relation.column_by_name(&name.name) else {
            let message = format!("column \"{}\" referenced in foreign key constraint does not exist", name.name);
            return Err(error(SqlState::UNDEFINED_COLUMN, message));
        };
        numbers.push(column.number);
    }
    Ok(numbers)
}

pub(super) async fn add(
    context: &mut DdlContext<'_>,
    relation: &mut Relation,
    placed: &PlacedConstraint,
    key: &ForeignKeyDefinition,
) -> Result<AddedConstraint> {
    let definition = &placed.definition;
    if key.match_kind == MatchKind::Partial {
        return Err(SqlError::unsupported("MATCH PARTIAL not yet implemented").at(definition.position));
    }
    let target = find_target(context, relation, key).await?;
    check_target(context, relation, &target)?;
    let of_column: Vec<Name> = placed.column.iter().cloned().collect();
    let column_names = if key.columns.is_empty() { &of_column } else { &key.columns };
    let columns = referencing_columns(relation, column_names)?;
    let delete_set_columns = referencing_columns(relation, &key.delete_set_columns)?;
    if let Some(stray) = delete_set_columns.iter().find(|n| !columns.contains(n)) {
        let name = relation.column(*stray).map(|c| c.name.clone()).unwrap_or_default();
        let message = format!("column \"{name}\" referenced in ON DELETE SET action must be part of foreign key");
        return Err(error(SqlState::INVALID_COLUMN_REFERENCE, message));
    }
    let snapshot = context.snapshot();
    let (target_columns, target_index) = proving_index(&snapshot, &target, key, relation)?;
    if columns.len() != target_columns.len() {
        let message = "number of referencing and referenced columns for foreign key disagree";
        return Err(error(SqlState::INVALID_FOREIGN_KEY, message));
    }
    let name = match &definition.name {
        Some(name) => {
            check_constraint_name(relation, &name.name)?;
            name.name.clone()
        }
        None => {
            let names: Vec<String> = column_names.iter().map(|n| n.name.clone()).collect();
            choose_constraint_name(relation, &joined_columns(&names), "fkey", |_| false)
        }
    };
    check_types(relation, &columns, &target, &target_columns, &name)?;
    check_generated(relation, &columns, key)?;
    let stored = ForeignKey {
        columns,
        target: target.id,
        target_columns,
        target_index,
        match_full: key.match_kind == MatchKind::Full,
        on_delete: key.on_delete,
        on_update: key.on_update,
        delete_set_columns,
    };
    push_constraint(context, relation, definition, name.clone(), ConstraintKind::ForeignKey(stored)).await?;
    if target.id != relation.id {
        // Whoever deletes there must look here from now on.
        context.change_relation(target.id, |_| ())?;
    }
    Ok(AddedConstraint { name, must_validate: !definition.not_valid, ..AddedConstraint::default() })
}

/// The referenced table, which may be the one in the making.
async fn find_target(
    context: &mut DdlContext<'_>,
    relation: &Relation,
    key: &ForeignKeyDefinition,
) -> Result<Arc<Relation>> {
    let snapshot = context.snapshot();
    let found = names::find(&snapshot, context.scope(), &key.target.parts)?;
    let is_itself = match key.target.parts.as_slice() {
        [name] => {
            *name == relation.name && found.is_none_or(|id| id == relation.id || is_hidden_by(&snapshot, relation, id))
        }
        [schema, name] => *name == relation.name && *schema == schema_name(&snapshot, relation),
        _ => found == Some(relation.id),
    };
    if is_itself {
        return Ok(Arc::new(relation.clone()));
    }
    context.must_lock_relation_as(&key.target, TableLock::ShareRowExclusive).await
}

/// A new table is not in the snapshot yet; a table of that name further along the path is not meant if the new one's schema comes first.
fn is_hidden_by(snapshot: &Snapshot, relation: &Relation, found: Oid) -> bool {
    snapshot.relation(relation.id).is_none() && snapshot.relation(found).is_some_and(|f| f.schema != relation.schema)
}

fn check_target(context: &DdlContext<'_>, relation: &Relation, target: &Relation) -> Result<()> {
    if !matches!(target.kind, RelationKind::Table | RelationKind::Collection) {
        return Err(error(
            SqlState::WRONG_OBJECT_TYPE,
            format!("referenced relation \"{}\" is not a table", target.name),
        ));
    }
    if relation.is_temporary != target.is_temporary {
        let message = match relation.is_temporary {
            true => "constraints on temporary tables may reference only temporary tables",
            false => "constraints on permanent tables may reference only permanent tables",
        };
        return Err(error(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    let snapshot = context.catalog.snapshot();
    privileges::require(snapshot, context.role, Target::Relation(target), privilege::REFERENCES)
}

/// The referenced columns and the unique index over just them.
fn proving_index(
    snapshot: &Snapshot,
    target: &Relation,
    key: &ForeignKeyDefinition,
    relation: &Relation,
) -> Result<(Vec<AttributeNumber>, Oid)> {
    let _ = relation;
    let plain = |index: &Index| -> Option<Vec<AttributeNumber>> {
        let number = |c: &IndexColumn| match c.source {
            IndexSource::Column(number) => Some(number),
            IndexSource::Expression(_) => None,
        };
        index.columns.iter().map(number).collect()
    };
    if key.target_columns.is_empty() {
        let primary = target.constraints.iter().find_map(|c| match c.kind {
            ConstraintKind::PrimaryKey { index } => snapshot.index(index),
            _ => None,
        });
        let Some(primary) = primary else {
            let message = format!("there is no primary key for referenced table \"{}\"", target.name);
            return Err(error(SqlState::UNDEFINED_OBJECT, message));
        };
        check_not_deferrable(target, primary)?;
        return Ok((plain(primary).unwrap_or_default(), primary.id));
    }
    let columns = referencing_columns(target, &key.target_columns)?;
    if let Some((_, name)) = columns
        .iter()
        .zip(&key.target_columns)
        .enumerate()
        .find_map(|(i, (n, name))| columns.iter().take(i).any(|before| before == n).then_some((n, name)))
    {
        let _ = name;
        let message = "foreign key referenced-columns list must not contain duplicates";
        return Err(error(SqlState::INVALID_FOREIGN_KEY, message));
    }
    let mut sorted = columns.clone();
    sorted.sort_unstable();
    for index in snapshot.indexes_of(target).filter(|i| i.is_unique && i.predicate.is_none()) {
        let Some(mut numbers) = plain(index) else { continue };
        numbers.sort_unstable();
        if numbers == sorted {
            check_not_deferrable(target, index)?;
            return Ok((columns, index.id));
        }
    }
    let message = format!("there is no unique constraint matching given keys for referenced table \"{}\"", target.name);
    Err(error(SqlState::INVALID_FOREIGN_KEY, message))
}

fn check_not_deferrable(target: &Relation, index: &Index) -> Result<()> {
    let found = super::depend::constraint_of_index(target, index.id).filter(|c| c.deferrable);
    let Some(constraint) = found else { return Ok(()) };
    let what = match constraint.kind {
        ConstraintKind::PrimaryKey { .. } => "primary key",
        _ => "unique constraint",
    };
    let message = format!("cannot use a deferrable {what} for referenced table \"{}\"", target.name);
    Err(error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message))
}

pub(super) fn check_types(
    relation: &Relation,
    columns: &[AttributeNumber],
    target: &Relation,
    target_columns: &[AttributeNumber],
    name: &str,
) -> Result<()> {
    for (from, to) in columns.iter().zip(target_columns) {
        let (Some(from), Some(to)) = (relation.column(*from), target.column(*to)) else { continue };
        if !types_meet(from.ty.oid, to.ty.oid) {
            let detail = format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                from.name,
                to.name,
                type_text(from),
                type_text(to)
            );
            let message = format!("foreign key constraint \"{name}\" cannot be implemented");
            return Err(error(SqlState::DATATYPE_MISMATCH, message).detail(detail));
        }
    }
    Ok(())
}

/// The referenced key is looked up with the referencing value: there is an equality of the two, or the value can be made the
/// key's type implicitly.
fn types_meet(from: Oid, to: Oid) -> bool {
    let is_string = |oid: Oid| matches!(oid, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME);
    from == to
        || is_string(from) && is_string(to)
        || builtin::operators_by_name("=").iter().any(|o| o.left == to && o.right == from && o.can_merge)
        || builtin::cast(from, to).is_some_and(|c| c.context == builtin::CastContext::Implicit)
}

fn check_generated(relation: &Relation, columns: &[AttributeNumber], key: &ForeignKeyDefinition) -> Result<()> {
    use ReferentialAction::*;
    let is_generated = columns.iter().filter_map(|n| relation.column(*n)).any(|c| c.is_generated);
    if !is_generated {
        return Ok(());
    }
    let refuse = |action: &str| {
        let message = format!("invalid {action} action for foreign key constraint containing generated column");
        Err(error(SqlState::SYNTAX_ERROR, message))
    };
    match (key.on_update, key.on_delete) {
        (SetNull | SetDefault | Cascade, _) => refuse("ON UPDATE"),
        (_, SetNull | SetDefault) => refuse("ON DELETE"),
        _ => Ok(()),
    }
}

/// 23503 unless every row's key is there.
pub(super) async fn validate(
    context: &DdlContext<'_>,
    relation: &Relation,
    name: &str,
    key: &ForeignKey,
    upkeep: Upkeep,
) -> Result<()> {
    let snapshot = context.snapshot();
    let Some(target) = snapshot.relation(key.target) else { return Ok(()) };
    let column_names = |relation: &Relation, numbers: &[AttributeNumber]| -> Vec<String> {
        numbers.iter().filter_map(|n| relation.column(*n)).map(|c| quote_ident(&c.name).to_string()).collect()
    };
    let from = column_names(relation, &key.columns);
    let to = column_names(target, &key.target_columns);
    let equal: Vec<String> = from.iter().zip(&to).map(|(f, t)| format!("pk.{t} = fk.{f}")).collect();
    let present: Vec<String> = from.iter().map(|f| format!("fk.{f} IS NOT NULL")).collect();
    let values: Vec<String> = from.iter().map(|f| format!("fk.{f}::text")).collect();
    let missing = format!(
        "{} AND NOT EXISTS (SELECT 1 FROM {} pk WHERE {})",
        if key.match_full { format!("({})", present.join(" OR ")) } else { present.join(" AND ") },
        names::qualified(&snapshot, target.schema, &target.name),
        equal.join(" AND ")
    );
    let table = names::qualified(&snapshot, relation.schema, &relation.name);
    let query = format!("SELECT {} FROM {table} fk WHERE {missing} LIMIT 1", values.join(", "));
    let Some(row) = context.services.has_rows(&snapshot, query, upkeep).await? else { return Ok(()) };
    let shown: Vec<String> = row
        .iter()
        .map(|value| match value {
            types::Datum::Text(text) => text.to_string(),
            _ => "null".to_owned(),
        })
        .collect();
    let plain: Vec<&str> = key.columns.iter().filter_map(|n| relation.column(*n)).map(|c| c.name.as_str()).collect();
    let detail =
        format!("Key ({})=({}) is not present in table \"{}\".", plain.join(", "), shown.join(", "), target.name);
    let message = format!("insert or update on table \"{}\" violates foreign key constraint \"{name}\"", relation.name);
    Err(error(SqlState::FOREIGN_KEY_VIOLATION, message)
        .detail(detail)
        .schema(schema_name(&snapshot, relation))
        .table(relation.name.clone())
        .constraint(name))
}
