//! PRIMARY KEY, UNIQUE and CHECK: of new tables and added to old ones.

use super::columns::{clauses, undefined_column};
use super::context::{DdlContext, error};
use super::foreign_keys;
use super::indexes::{self, NewIndex};
use super::services::{ExpressionUse, Upkeep};
use catalog::names;
use catalog::*;
use sql::utility::ddl::*;
use types::functions::quote_ident;
use types::{Result, SqlError, SqlState, SqlType};

/// A constraint with the columns that its place gives it (a column's own, or the list of a table's).
#[derive(Clone)]
pub(super) struct PlacedConstraint {
    pub definition: ConstraintDefinition,
    pub column: Option<Name>,
}

/// All constraints of a CREATE TABLE, in source order within PostgreSQL's order of kinds.
pub(super) fn placed(table: &str, elements: &[TableElement]) -> Result<Vec<PlacedConstraint>> {
    let mut all = vec![];
    for element in elements {
        match element {
            TableElement::Column(column) => {
                for other in clauses(table, column)?.others {
                    all.push(PlacedConstraint { definition: other.clone(), column: Some(column.name.clone()) });
                }
            }
            TableElement::Constraint(c) => all.push(PlacedConstraint { definition: c.clone(), column: None }),
            TableElement::Like { .. } => {}
        }
    }
    Ok(all)
}

pub(super) fn rank(constraint: &PlacedConstraint) -> u8 {
    use ConstraintDefinitionKind as Kind;
    match constraint.definition.kind {
        Kind::Check { .. } => 0,
        Kind::Unique { is_primary: true, .. } => 1,
        Kind::Unique { .. } | Kind::UsingIndex { .. } => 2,
        Kind::ForeignKey(_) => 3,
        _ => 4,
    }
}

/// Adds one constraint to a relation in the making. `is_new`: the table is empty and its storage is its primary key's.
/// Gives ids of indexes that must still be filled and names of constraints whose rows must still be checked.
pub(super) async fn add(
    context: &mut DdlContext<'_>,
    relation: &mut Relation,
    placed: &PlacedConstraint,
    is_new: bool,
) -> Result<AddedConstraint> {
    use ConstraintDefinitionKind as Kind;
    let definition = &placed.definition;
    match &definition.kind {
        Kind::Check { .. } => add_check(context, relation, placed, is_new).await,
        Kind::Unique { .. } => add_unique(context, relation, placed, is_new).await,
        Kind::UsingIndex { index, is_primary } => using_index(context, relation, definition, index, *is_primary).await,
        Kind::ForeignKey(key) => foreign_keys::add(context, relation, placed, key).await,
        Kind::Exclude => Err(SqlError::unsupported("exclusion constraints are not supported").at(definition.position)),
        _ => Err(SqlError::internal("a column's clause is no constraint")),
    }
}

/// What is left to do for the rows that exist.
#[derive(Default)]
pub(super) struct AddedConstraint {
    pub name: String,
    pub fill: Option<types::Oid>,
    /// Columns that became NOT NULL.
    pub not_null: Vec<AttributeNumber>,
    pub must_validate: bool,
    /// Rows must be stored again, by the new primary key.
    pub must_rekey: bool,
}

/// An explicit name must be free among the table's constraints.
pub(super) fn check_constraint_name(relation: &Relation, name: &str) -> Result<()> {
    if relation.constraint_by_name(name).is_none() {
        return Ok(());
    }
    let message = format!("constraint \"{name}\" for relation \"{}\" already exists", relation.name);
    Err(error(SqlState::DUPLICATE_OBJECT, message))
}

/// `table_column_label`, free among the table's constraints.
pub(super) fn choose_constraint_name(
    relation: &Relation,
    columns: &str,
    label: &str,
    also_taken: impl Fn(&str) -> bool,
) -> String {
    let mut attempt = 0_u32;
    loop {
        let suffix = if attempt == 0 { label.to_owned() } else { format!("{label}{attempt}") };
        let name = super::context::object_name(&relation.name, columns, &suffix);
        if relation.constraint_by_name(&name).is_none() && !also_taken(&name) {
            return name;
        }
        attempt += 1;
    }
}

pub(super) async fn push_constraint(
    context: &mut DdlContext<'_>,
    relation: &mut Relation,
    definition: &ConstraintDefinition,
    name: String,
    kind: ConstraintKind,
) -> Result<()> {
    let id = context.catalog.allocate_id().await?;
    let initially_deferred = definition.initially_deferred == Some(true);
    relation.constraints.push(Constraint {
        id,
        name,
        kind,
        deferrable: definition.deferrable.unwrap_or(initially_deferred),
        initially_deferred,
        is_validated: !definition.not_valid,
        comment: None,
    });
    Ok(())
}

async fn add_check(
    context: &mut DdlContext<'_>,
    relation: &mut Relation,
    placed: &PlacedConstraint,
    is_new: bool,
) -> Result<AddedConstraint> {
    let ConstraintDefinitionKind::Check { expression, no_inherit } = &placed.definition.kind else {
        return Ok(AddedConstraint::default());
    };
    let snapshot = context.snapshot();
    let bound = context.services.bind_expression(&snapshot, Some(relation), expression, ExpressionUse::Check, "")?;
    let name = match &placed.definition.name {
        Some(name) if is_new && relation.constraint_by_name(&name.name).is_some() => {
            let message = format!("check constraint \"{}\" already exists", name.name);
            return Err(error(SqlState::DUPLICATE_OBJECT, message));
        }
        Some(name) => {
            check_constraint_name(relation, &name.name)?;
            name.name.clone()
        }
        None => {
            // PostgreSQL names it after the column if there is just one.
            let column = match bound.columns[..] {
                [number] => relation.column(number).map(|c| c.name.clone()),
                _ => None,
            };
            choose_constraint_name(relation, &column.unwrap_or_default(), "check", |_| false)
        }
    };
    let kind = ConstraintKind::Check { expression: bound.text, columns: bound.columns, no_inherit: *no_inherit };
    push_constraint(context, relation, &placed.definition, name.clone(), kind).await?;
    Ok(AddedConstraint { name, must_validate: !placed.definition.not_valid, ..AddedConstraint::default() })
}

/// The columns of a key, found and different. `place`: of the constraint, and whether it stands in CREATE TABLE.
fn key_columns(relation: &Relation, names: &[Name], what: &str, place: (u32, bool)) -> Result<Vec<AttributeNumber>> {
    let (position, is_new) = place;
    let mut numbers = vec![];
    for name in names {
        let Some(column) = relation.column_by_name(&name.name) else {
            let message = format!("column \"{}\" named in key does not exist", name.name);
            return Err(error(SqlState::UNDEFINED_COLUMN, message).at(if is_new { position } else { 0 }));
        };
        if numbers.contains(&column.number) {
            let message = format!("column \"{}\" appears twice in {what} constraint", name.name);
            return Err(error(SqlState::DUPLICATE_COLUMN, message).at(position));
        }
        numbers.push(column.number);
    }
    Ok(numbers)
}

async fn add_unique(
    context: &mut DdlContext<'_>,
    relation: &mut Relation,
    placed: &PlacedConstraint,
    is_new: bool,
) -> Result<AddedConstraint> {
    let definition = &placed.definition;
    let ConstraintDefinitionKind::Unique { columns, include, is_primary, nulls_not_distinct, options } =
        &definition.kind
    else {
        return Ok(AddedConstraint::default());
    };
    let is_primary = *is_primary;
    let of_column: Vec<Name> = placed.column.iter().cloned().collect();
    let columns = if columns.is_empty() { &of_column } else { columns };
    let what = if is_primary { "primary key" } else { "unique" };
    let numbers = key_columns(relation, columns, what, (definition.position, is_new))?;
    let has_primary = relation.constraints.iter().any(|c| matches!(c.kind, ConstraintKind::PrimaryKey { .. }));
    if is_primary && has_primary {
        let message = format!("multiple primary keys for table \"{}\" are not allowed", relation.name);
        return Err(error(SqlState::INVALID_TABLE_DEFINITION, message).at(if is_new {
            definition.position
        } else {
            0
        }));
    }
    let snapshot = context.snapshot();
    let mut keys = vec![];
    let mut not_null = vec![];
    for number in &numbers {
        let Some(column) = relation.column(*number) else { continue };
        indexes::require_order(&snapshot, column.ty.into(), "btree")?;
        keys.push(indexes::column_key(column));
        if is_primary && !column.not_null {
            not_null.push(*number);
        }
    }
    for number in &not_null {
        if let Some(column) = super::columns::column_mut(relation, *number) {
            column.not_null = true;
        }
    }
    indexes::check_options(options, indexes::INDEX_OPTIONS)?;
    let name = index_name(context, relation, definition, columns, is_primary).await?;
    // A deferrable key lets duplicates stand side by side for a while, so it cannot be what rows are stored by.
    let is_own_key = is_primary && definition.deferrable != Some(true) && definition.initially_deferred != Some(true);
    let included = indexes::included(relation, include)?;
    let new = NewIndex {
        name: name.clone(),
        columns: keys,
        included,
        is_unique: true,
        is_primary: is_own_key,
        nulls_not_distinct: *nulls_not_distinct,
        method: "btree".to_owned(),
        predicate: None,
        options: options.clone(),
        state: IndexState::Public,
    };
    let index = indexes::put_index(context, relation, new).await?;
    if is_own_key {
        relation.key = numbers;
    }
    let kind = match is_primary {
        true => ConstraintKind::PrimaryKey { index: index.id },
        false => ConstraintKind::Unique { index: index.id },
    };
    push_constraint(context, relation, definition, name.clone(), kind).await?;
    let fill = (!is_own_key).then_some(index.id);
    Ok(AddedConstraint { name, fill, not_null, must_rekey: is_own_key && !is_new, must_validate: false })
}

async fn index_name(
    context: &mut DdlContext<'_>,
    relation: &Relation,
    definition: &ConstraintDefinition,
    columns: &[Name],
    is_primary: bool,
) -> Result<String> {
    if let Some(name) = &definition.name {
        context.claim_relation_name(relation.schema, &name.name).await?;
        check_constraint_name(relation, &name.name)?;
        return Ok(name.name.clone());
    }
    let (schema, table) = (relation.schema, relation.name.clone());
    if is_primary {
        return context.choose_relation_name(schema, &table, "", "pkey").await;
    }
    let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
    context.choose_relation_name(schema, &table, &indexes::joined_columns(&names), "key").await
}

/// ADD CONSTRAINT … USING INDEX: the index becomes the constraint's and takes its name.
async fn using_index(
    context: &mut DdlContext<'_>,
    relation: &mut Relation,
    definition: &ConstraintDefinition,
    index: &Name,
    is_primary: bool,
) -> Result<AddedConstraint> {
    let snapshot = context.snapshot();
    let found = snapshot.index_by_name(relation.schema, &index.name).cloned();
    let Some(found) = found.filter(|i| i.relation == relation.id) else {
        let message = format!("index \"{}\" does not exist", index.name);
        return Err(error(SqlState::UNDEFINED_OBJECT, message).at(index.position));
    };
    let is_used = relation.constraints.iter().any(|c| {
        matches!(c.kind, ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } if index == found.id)
    });
    let refuse = |message: String, detail: &str| {
        Err(error(SqlState::WRONG_OBJECT_TYPE, message).detail(detail).at(index.position))
    };
    if is_used {
        let message = format!("index \"{}\" is already associated with a constraint", index.name);
        return Err(error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).at(index.position));
    }
    let cannot = "Cannot create a primary key or unique constraint using such an index.";
    if !found.is_unique {
        return refuse(format!("\"{}\" is not a unique index", index.name), cannot);
    }
    if found.predicate.is_some() {
        return refuse(format!("\"{}\" is a partial index", index.name), cannot);
    }
    if found.columns.iter().any(|c| matches!(c.source, IndexSource::Expression(_))) {
        return refuse(format!("index \"{}\" contains expressions", index.name), cannot);
    }
    let mut changed = Index::clone(&*context.lock_index_by_id(found.id).await?);
    let name = definition.name.as_ref().map_or_else(|| changed.name.clone(), |n| n.name.clone());
    if name != changed.name {
        check_constraint_name(relation, &name)?;
        context.claim_relation_name(relation.schema, &name).await?;
        context.notice(
            SqlState::SUCCESSFUL_COMPLETION,
            format!("ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{}\" to \"{name}\"", changed.name),
        );
        changed.name = name.clone();
    }
    let mut not_null = vec![];
    if is_primary {
        for column in &changed.columns {
            if let IndexSource::Column(number) = column.source
                && let Some(column) = super::columns::column_mut(relation, number)
                && !column.not_null
            {
                column.not_null = true;
                not_null.push(number);
            }
        }
    }
    // It stays an index beside the rows: `Index::is_primary` is for the key that rows are stored by.
    let id = changed.id;
    context.catalog.put(context.txn, Object::Index(changed))?;
    let kind = if is_primary { ConstraintKind::PrimaryKey { index: id } } else { ConstraintKind::Unique { index: id } };
    push_constraint(context, relation, definition, name.clone(), kind).await?;
    Ok(AddedConstraint { name, not_null, ..AddedConstraint::default() })
}

// --- rows that exist

/// 23502 unless no row has NULL in these columns.
pub(super) async fn check_not_null(
    context: &DdlContext<'_>,
    relation: &Relation,
    columns: &[AttributeNumber],
) -> Result<()> {
    let snapshot = context.snapshot();
    for column in columns.iter().filter_map(|n| relation.column(*n)) {
        let table = names::qualified(&snapshot, relation.schema, &relation.name);
        let query = format!("SELECT 1 FROM {table} WHERE {} IS NULL LIMIT 1", quote_ident(&column.name));
        if context.services.has_rows(&snapshot, query, Upkeep::ByExclusion).await?.is_some() {
            let message = format!("column \"{}\" of relation \"{}\" contains null values", column.name, relation.name);
            return Err(error(SqlState::NOT_NULL_VIOLATION, message)
                .schema(schema_name(&snapshot, relation))
                .table(relation.name.clone())
                .column(column.name.clone()));
        }
    }
    Ok(())
}

/// 23502 unless there is no row: a new NOT NULL column without a value for them.
pub(super) async fn check_no_rows(context: &DdlContext<'_>, relation: &Relation, column: &str) -> Result<()> {
    let snapshot = context.snapshot();
    let table = names::qualified(&snapshot, relation.schema, &relation.name);
    if context
        .services
        .has_rows(&snapshot, format!("SELECT 1 FROM {table} LIMIT 1"), Upkeep::ByExclusion)
        .await?
        .is_none()
    {
        return Ok(());
    }
    let message = format!("column \"{column}\" of relation \"{}\" contains null values", relation.name);
    Err(error(SqlState::NOT_NULL_VIOLATION, message)
        .schema(schema_name(&snapshot, relation))
        .table(relation.name.clone())
        .column(column))
}

/// 23514 or 23503 unless all rows satisfy the constraint.
pub(super) async fn validate(context: &DdlContext<'_>, relation: &Relation, name: &str, upkeep: Upkeep) -> Result<()> {
    let Some(constraint) = relation.constraint_by_name(name) else { return Ok(()) };
    match &constraint.kind {
        ConstraintKind::Check { expression, .. } => {
            let snapshot = context.snapshot();
            let table = names::qualified(&snapshot, relation.schema, &relation.name);
            let query = format!("SELECT 1 FROM {table} WHERE NOT ({expression}) LIMIT 1");
            if context.services.has_rows(&snapshot, query, upkeep).await?.is_none() {
                return Ok(());
            }
            let message =
                format!("check constraint \"{name}\" of relation \"{}\" is violated by some row", relation.name);
            Err(error(SqlState::CHECK_VIOLATION, message)
                .schema(schema_name(&snapshot, relation))
                .table(relation.name.clone())
                .constraint(name))
        }
        ConstraintKind::ForeignKey(key) => foreign_keys::validate(context, relation, name, key, upkeep).await,
        _ => Ok(()),
    }
}

pub(super) fn schema_name(snapshot: &Snapshot, relation: &Relation) -> String {
    snapshot.schema(relation.schema).map(|s| s.name.clone()).unwrap_or_default()
}

/// The attribute of that name; 42703.
pub(super) fn column_named<'r>(relation: &'r Relation, name: &Name) -> Result<&'r Column> {
    relation.column_by_name(&name.name).ok_or_else(|| undefined_column(&name.name, &relation.name))
}

/// For messages: `integer`.
pub(super) fn type_text(column: &Column) -> String {
    types::typename::display(SqlType::from(column.ty))
}
