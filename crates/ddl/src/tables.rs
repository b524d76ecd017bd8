//! CREATE TABLE and CREATE COLLECTION.

use super::columns::{self, WantedSequence, clauses};
use super::constraints::{self, PlacedConstraint};
use super::context::{DdlContext, already_exists, error};
use super::indexes::{self, NewIndex};
use super::options;
use catalog::names;
use catalog::*;
use sql::utility::ddl::*;
use std::sync::Arc;
use types::{Result, SqlError, SqlState};

pub(super) async fn create(context: &mut DdlContext<'_>, create: &CreateTable) -> Result<()> {
    if let Some((what, position)) = create.unsupported {
        return Err(SqlError::unsupported(what).at(position));
    }
    let schema = context.creation_schema(&create.name, create.is_temporary).await;
    // Of all that is created, PostgreSQL tells a table's place alone, and not that of one in its own schema.
    let is_of_system = create.name.parts.iter().rev().nth(1).is_some_and(|schema| schema == "pg_catalog");
    let place = if is_of_system { 0 } else { create.name.position };
    let (schema, is_temporary) = schema.map_err(|e| e.at(place))?;
    if create.on_commit != sql::utility::ddl::OnCommit::PreserveRows && !is_temporary {
        return Err(error(SqlState::INVALID_TABLE_DEFINITION, "ON COMMIT can only be used on temporary tables"));
    }
    let name = create.name.object();
    if create.if_not_exists && context.is_taken(schema.id, name).await? {
        context.skipping(SqlState::DUPLICATE_TABLE, already_exists(name).message());
        return Ok(());
    }
    let options = options::of_table(&create.options)?;
    context.claim_relation_name(schema.id, name).await?;
    let is_open = options.is_open.unwrap_or(create.is_collection);
    let kind = if is_open { RelationKind::Collection } else { RelationKind::Table };
    let mut relation = context.new_relation(&schema, name, kind, is_temporary).await?;
    relation.options = options.stored;
    relation.on_commit = match create.on_commit {
        sql::utility::ddl::OnCommit::PreserveRows => catalog::OnCommit::PreserveRows,
        sql::utility::ddl::OnCommit::DeleteRows => catalog::OnCommit::DeleteRows,
        sql::utility::ddl::OnCommit::Drop => catalog::OnCommit::Drop,
    };
    let mut wanted = vec![];
    let likes = add_columns(context, &mut relation, create, &mut wanted).await?;
    columns::make_sequences(context, &mut relation, wanted).await?;
    bind_defaults(context, &mut relation, create)?;
    for constraint in relation.constraints.iter_mut() {
        // Those that LIKE has brought.
        constraint.id = context.catalog.allocate_id().await?;
    }
    columns::hold_types(context, &relation).await?;
    // Known from here on: an index belongs to the session if its relation does, a foreign key may point here.
    context.catalog.put(context.txn, Object::Relation(relation.clone()))?;
    add_constraints(context, &mut relation, create).await?;
    for like in &likes {
        copy_indexes(context, &mut relation, like).await?;
    }
    distribute(context, &mut relation, create).await?;
    context.catalog.put(context.txn, Object::Relation(relation))
}

async fn add_columns(
    context: &mut DdlContext<'_>,
    relation: &mut Relation,
    create: &CreateTable,
    wanted: &mut Vec<WantedSequence>,
) -> Result<Vec<(Arc<Relation>, LikeOptions)>> {
    let mut likes = vec![];
    for element in &create.elements {
        match element {
            TableElement::Column(column) => drop(columns::add_column(context, relation, column, wanted)?),
            TableElement::Like { source, including } => {
                let source = like_source(context, source)?;
                copy_columns(relation, &source, *including, wanted)?;
                likes.push((source, *including));
            }
            TableElement::Constraint(_) => {}
        }
    }
    Ok(likes)
}

fn like_source(context: &DdlContext<'_>, name: &ObjectName) -> Result<Arc<Relation>> {
    let snapshot = context.catalog.snapshot();
    let source = names::relation(snapshot, context.scope(), &name.parts).map_err(|e| e.at(name.position))?;
    if source.kind == RelationKind::Sequence {
        let message = format!("relation \"{}\" is invalid in LIKE clause", source.name);
        return Err(error(SqlState::WRONG_OBJECT_TYPE, message)
            .detail("This operation is not supported for sequences.")
            .at(name.position));
    }
    let target = catalog::privileges::Target::Relation(source);
    catalog::privileges::require(snapshot, context.role, target, privilege::SELECT)?;
    Ok(source.clone())
}

fn copy_columns(
    relation: &mut Relation,
    source: &Relation,
    including: LikeOptions,
    wanted: &mut Vec<WantedSequence>,
) -> Result<()> {
    for original in source.live_columns() {
        if relation.column_by_name(&original.name).is_some() {
            let message = format!("column \"{}\" specified more than once", original.name);
            return Err(error(SqlState::DUPLICATE_COLUMN, message));
        }
        let number = AttributeNumber::try_from(relation.columns.len() + 1).unwrap_or(AttributeNumber::MAX);
        let mut column = new_column(number, &original.name, original.ty.into());
        column.domain = original.domain;
        column.not_null = original.not_null;
        column.collation = original.collation;
        let keeps_default = if original.is_generated { including.generated } else { including.defaults };
        if keeps_default && original.default.is_some() {
            column.default = original.default.clone();
            column.is_generated = original.is_generated;
        }
        if including.identity && original.identity.is_some() {
            column.identity = original.identity;
            let options = SequenceOptions::default();
            wanted.push(WantedSequence { column: number, ty: original.ty.into(), options, is_identity: true });
        }
        if including.storage {
            column.storage = original.storage;
        }
        if including.comments {
            column.comment = original.comment.clone();
        }
        relation.columns.push(column);
    }
    if including.constraints {
        copy_checks(relation, source, including)?;
    }
    Ok(())
}

/// CHECK constraints come along with their names; the columns they read have the same names here.
fn copy_checks(relation: &mut Relation, source: &Relation, including: LikeOptions) -> Result<()> {
    for constraint in &source.constraints {
        let ConstraintKind::Check { expression, columns, no_inherit } = &constraint.kind else { continue };
        constraints::check_constraint_name(relation, &constraint.name)?;
        let moved = columns.iter().filter_map(|n| relation.column_by_name(&source.column(*n)?.name)).map(|c| c.number);
        let kind =
            ConstraintKind::Check { expression: expression.clone(), columns: moved.collect(), no_inherit: *no_inherit };
        let mut copy = constraint.clone();
        copy.kind = kind;
        if !including.comments {
            copy.comment = None;
        }
        relation.constraints.push(copy);
    }
    Ok(())
}

/// INCLUDING INDEXES: under names of their own, constraints included.
async fn copy_indexes(
    context: &mut DdlContext<'_>,
    relation: &mut Relation,
    (source, including): &(Arc<Relation>, LikeOptions),
) -> Result<()> {
    if !including.indexes {
        return Ok(());
    }
    let snapshot = context.snapshot();
    let move_number = |number: AttributeNumber, relation: &Relation| {
        source.column(number).and_then(|c| relation.column_by_name(&c.name)).map(|c| c.number)
    };
    for index in snapshot.indexes_of(source) {
        let mut keys = index.columns.clone();
        let mut names = vec![];
        for key in &mut keys {
            if let IndexSource::Column(number) = key.source {
                let moved = move_number(number, relation).unwrap_or(number);
                key.source = IndexSource::Column(moved);
                names.push(relation.column(moved).map(|c| c.name.clone()).unwrap_or_default());
            } else {
                names.push("expr".to_owned());
            }
        }
        let constraint = source.constraints.iter().find(|c| {
            matches!(c.kind, ConstraintKind::PrimaryKey { index: i } | ConstraintKind::Unique { index: i } if i == index.id)
        });
        let is_primary_key = constraint.is_some_and(|c| matches!(c.kind, ConstraintKind::PrimaryKey { .. }));
        let label = match constraint {
            Some(_) if is_primary_key => "pkey",
            Some(_) => "key",
            None => "idx",
        };
        let joined = if is_primary_key { String::new() } else { indexes::joined_columns(&names) };
        let table = relation.name.clone();
        let name = context.choose_relation_name(relation.schema, &table, &joined, label).await?;
        let included = index.included.iter().filter_map(|n| move_number(*n, relation)).collect();
        let numbers: Vec<AttributeNumber> =
            keys.iter().filter_map(|k| if let IndexSource::Column(n) = k.source { Some(n) } else { None }).collect();
        let new = NewIndex {
            name: name.clone(),
            columns: keys,
            included,
            is_unique: index.is_unique,
            is_primary: index.is_primary,
            nulls_not_distinct: index.nulls_not_distinct,
            method: index.method.clone(),
            predicate: index.predicate.clone(),
            options: index.options.iter().map(|(n, v)| (n.clone(), Some(v.clone()))).collect(),
            state: IndexState::Public,
        };
        let made = indexes::put_index(context, relation, new).await?;
        if index.is_primary {
            relation.key = numbers;
        }
        if let Some(constraint) = constraint {
            let mut copy = constraint.clone();
            copy.id = context.catalog.allocate_id().await?;
            copy.name = name;
            copy.kind = match is_primary_key {
                true => ConstraintKind::PrimaryKey { index: made.id },
                false => ConstraintKind::Unique { index: made.id },
            };
            relation.constraints.push(copy);
        }
    }
    Ok(())
}

fn bind_defaults(context: &DdlContext<'_>, relation: &mut Relation, create: &CreateTable) -> Result<()> {
    for element in &create.elements {
        let TableElement::Column(definition) = element else { continue };
        let table = relation.name.clone();
        let clauses = clauses(&table, definition)?;
        let Some(number) = relation.column_by_name(&definition.name.name).map(|c| c.number) else { continue };
        columns::bind_default(context, relation, number, &clauses)?;
    }
    Ok(())
}

async fn add_constraints(context: &mut DdlContext<'_>, relation: &mut Relation, create: &CreateTable) -> Result<()> {
    let mut placed: Vec<PlacedConstraint> = constraints::placed(&relation.name, &create.elements)?;
    placed.sort_by_key(constraints::rank);
    for constraint in &placed {
        // A foreign key to the table itself looks for its indexes in the snapshot.
        constraints::add(context, relation, constraint, true).await?;
    }
    Ok(())
}

/// DISTRIBUTE BY and COLOCATE WITH.
async fn distribute(context: &mut DdlContext<'_>, relation: &mut Relation, create: &CreateTable) -> Result<()> {
    for name in &create.distribute_by {
        let Some(column) = relation.column_by_name(&name.name) else {
            let message = format!("column \"{}\" named in DISTRIBUTE BY does not exist", name.name);
            return Err(error(SqlState::UNDEFINED_COLUMN, message).at(name.position));
        };
        if relation.distribution.contains(&column.number) {
            let message = format!("column \"{}\" appears twice in DISTRIBUTE BY", name.name);
            return Err(error(SqlState::DUPLICATE_COLUMN, message).at(name.position));
        }
        let number = column.number;
        if !relation.key.is_empty() && !relation.key.contains(&number) {
            let message = format!("column \"{}\" named in DISTRIBUTE BY must be part of the primary key", name.name);
            return Err(error(SqlState::INVALID_TABLE_DEFINITION, message).at(name.position));
        }
        relation.distribution.push(number);
    }
    let Some(other) = &create.colocate_with else { return Ok(()) };
    let snapshot = context.snapshot();
    let other_relation = names::relation(&snapshot, context.scope(), &other.parts).map_err(|e| e.at(other.position))?;
    if !other_relation.has_rows() || other_relation.is_temporary != relation.is_temporary {
        let message = format!("cannot colocate with \"{}\"", other_relation.name);
        return Err(error(SqlState::WRONG_OBJECT_TYPE, message).at(other.position));
    }
    let theirs =
        if other_relation.distribution.is_empty() { &other_relation.key } else { &other_relation.distribution };
    let ours = if relation.distribution.is_empty() { &relation.key } else { &relation.distribution };
    let type_of = |r: &Relation, n: &AttributeNumber| r.column(*n).map(|c| c.ty.oid);
    let same = !ours.is_empty()
        && ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(a, b)| type_of(relation, a) == type_of(other_relation, b));
    if same {
        return Ok(());
    }
    let message = format!(
        "distribution columns of \"{}\" and \"{}\" must have the same types",
        relation.name, other_relation.name
    );
    Err(error(SqlState::INVALID_TABLE_DEFINITION, message)
        .hint("Name the columns of this table with DISTRIBUTE BY.")
        .at(other.position))
}
