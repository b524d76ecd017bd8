//! CREATE INDEX, and the indexes behind PRIMARY KEY and UNIQUE.

use super::columns::check_collation;
use super::context::{DdlContext, already_exists, check_not_system, error};
use super::services::ExpressionUse;
use catalog::privileges::{self, Target};
use catalog::*;
use sql::utility::ddl::{CreateIndex, IndexElement, IndexElementSource, Name, Options};
use std::sync::Arc;
use txn::TableLock;
use types::{Oid, Result, SqlError, SqlState, SqlType, builtin, oid, typename};

/// PostgreSQL's limit of key and INCLUDE columns together.
const INDEX_COLUMNS_MAX: usize = 32;

pub(super) fn require_order(snapshot: &Snapshot, ty: SqlType, method: &str) -> Result<()> {
    if has_order(snapshot, ty) {
        return Ok(());
    }
    let message =
        format!("data type {} has no default operator class for access method \"{method}\"", typename::display(ty));
    Err(error(SqlState::UNDEFINED_OBJECT, message)
        .hint("You must specify an operator class for the index or define a default operator class for the data type."))
}

/// A column as key of an index.
pub(super) fn column_key(column: &Column) -> IndexColumn {
    IndexColumn {
        source: IndexSource::Column(column.number),
        ty: column.ty,
        descending: false,
        nulls_first: false,
        opclass: None,
        collation: column.collation,
    }
}

/// What an index is made from, besides its relation.
pub(super) struct NewIndex {
    pub name: String,
    pub columns: Vec<IndexColumn>,
    pub included: Vec<AttributeNumber>,
    pub is_unique: bool,
    pub is_primary: bool,
    pub nulls_not_distinct: bool,
    pub method: String,
    pub predicate: Option<String>,
    pub options: Options,
    pub state: IndexState,
}

/// Puts the descriptor (its name has been claimed) and adds it to the relation in the making. The index of the key that rows
/// are stored by (`is_primary`) has no storage of its own.
pub(super) async fn put_index(context: &mut DdlContext<'_>, relation: &mut Relation, new: NewIndex) -> Result<Index> {
    let id = context.catalog.allocate_id().await?;
    let storage = if new.is_primary { relation.storage } else { context.catalog.allocate_id().await? };
    if !new.is_primary {
        context.note_created_storage(relation.home(), storage);
    }
    let index = Index {
        id,
        relation: relation.id,
        schema: relation.schema,
        database: relation.database,
        name: new.name,
        storage,
        columns: new.columns,
        included: new.included,
        is_unique: new.is_unique,
        nulls_not_distinct: new.nulls_not_distinct,
        is_primary: new.is_primary,
        method: new.method,
        predicate: new.predicate,
        state: new.state,
        options: new.options.into_iter().map(|(n, v)| (n, v.unwrap_or_else(|| "true".to_owned()))).collect(),
        comment: None,
    };
    if index.is_primary {
        relation.indexes.insert(0, id);
    } else {
        relation.indexes.push(id);
    }
    context.catalog.put(context.txn, Object::Index(index.clone()))?;
    Ok(index)
}

pub(super) fn check_options(options: &Options, allowed: &[&str]) -> Result<()> {
    for (name, value) in options {
        let known = allowed.contains(&name.as_str()) || name.starts_with("autovacuum_") || name.starts_with("toast.");
        if !known {
            return Err(error(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized parameter \"{name}\"")));
        }
        super::options::check_value(name, value.as_deref().unwrap_or("true"))?;
    }
    Ok(())
}

pub(super) const INDEX_OPTIONS: &[&str] = &["fillfactor", "deduplicate_items", "fastupdate", "buffering"];

/// Of CONCURRENTLY, the index that is still to be filled.
pub(super) async fn create(context: &mut DdlContext<'_>, create: &CreateIndex) -> Result<Option<Oid>> {
    check_method(context, create)?;
    if create.columns.len() + create.include.len() > INDEX_COLUMNS_MAX {
        return Err(error(SqlState::TOO_MANY_COLUMNS, "cannot use more than 32 columns in an index"));
    }
    let relation = context.must_lock_relation_as(&create.relation, TableLock::ShareRowExclusive).await?;
    check_relation(context, &relation)?;
    check_options(&create.options, INDEX_OPTIONS)?;
    if let (Some(name), true) = (&create.name, create.if_not_exists)
        && context.is_taken(relation.schema, &name.name).await?
    {
        context.skipping(SqlState::DUPLICATE_TABLE, already_exists(&name.name).message());
        return Ok(None);
    }
    let (columns, names) = bind_elements(context, &relation, create)?;
    let included = included(&relation, &create.include)?;
    let predicate = bind_predicate(context, &relation, create)?;
    let name = match &create.name {
        Some(name) => {
            context.claim_relation_name(relation.schema, &name.name).await?;
            name.name.clone()
        }
        None => {
            let name2 = joined_columns(&names);
            context.choose_relation_name(relation.schema, &relation.name, &name2, "idx").await?
        }
    };
    let new = NewIndex {
        name,
        columns,
        included,
        is_unique: create.is_unique,
        is_primary: false,
        nulls_not_distinct: create.nulls_not_distinct,
        method: create.method.clone(),
        predicate,
        options: create.options.clone(),
        // Nobody else writes to a temporary relation.
        state: if create.concurrently && !relation.is_temporary { IndexState::WriteOnly } else { IndexState::Public },
    };
    let mut changed = Relation::clone(&relation);
    let index = put_index(context, &mut changed, new).await?;
    context.put_relation(changed)?;
    if index.state == IndexState::WriteOnly {
        return Ok(Some(index.id));
    }
    fill(context, relation.id, index.id).await?;
    Ok(None)
}

/// Adds the entries of rows that exist.
pub(super) async fn fill(context: &mut DdlContext<'_>, relation: Oid, index: Oid) -> Result<()> {
    let snapshot = context.snapshot();
    let relation = context.relation(relation)?;
    let index = snapshot.index(index).cloned().ok_or_else(|| SqlError::internal("an index has no descriptor"))?;
    context.services.fill_index(&snapshot, &relation, &index).await
}

fn check_method(context: &DdlContext<'_>, create: &CreateIndex) -> Result<()> {
    match create.method.as_str() {
        "btree" => Ok(()),
        "hash" if create.is_unique => {
            Err(error(SqlState::FEATURE_NOT_SUPPORTED, "access method \"hash\" does not support unique indexes"))
        }
        "hash" if create.columns.len() > 1 => {
            Err(error(SqlState::FEATURE_NOT_SUPPORTED, "access method \"hash\" does not support multicolumn indexes"))
        }
        "hash" if !create.include.is_empty() => {
            Err(error(SqlState::FEATURE_NOT_SUPPORTED, "access method \"hash\" does not support included columns"))
        }
        "hash" => Ok(()),
        "gist" | "gin" | "spgist" | "brin" => {
            let message = format!("access method \"{}\" is not supported", create.method);
            Err(SqlError::unsupported(message).at(create.method_position))
        }
        other => {
            let _ = context;
            Err(error(SqlState::UNDEFINED_OBJECT, format!("access method \"{other}\" does not exist")))
        }
    }
}

fn check_relation(context: &DdlContext<'_>, relation: &Relation) -> Result<()> {
    check_not_system(relation)?;
    if !relation.has_rows() {
        let message = format!("cannot create index on relation \"{}\"", relation.name);
        let detail = match relation.kind {
            RelationKind::View => "This operation is not supported for views.",
            RelationKind::Sequence => "This operation is not supported for sequences.",
            _ => "This operation is not supported for composite types.",
        };
        return Err(error(SqlState::WRONG_OBJECT_TYPE, message).detail(detail));
    }
    let snapshot = context.snapshot();
    context.require_owner(Target::Relation(relation))?;
    let Some(schema) = snapshot.schema(relation.schema) else { return Ok(()) };
    if relation.is_temporary {
        return Ok(());
    }
    privileges::require(&snapshot, context.role, Target::Schema(schema), privilege::CREATE)
}

/// The key columns, and the names that a generated index name is made of.
fn bind_elements(
    context: &DdlContext<'_>,
    relation: &Relation,
    create: &CreateIndex,
) -> Result<(Vec<IndexColumn>, Vec<String>)> {
    let snapshot = context.snapshot();
    let (mut columns, mut names) = (vec![], vec![]);
    for element in &create.columns {
        let (column, name) = bind_element(context, &snapshot, relation, element, &create.method)?;
        columns.push(column);
        names.push(name);
    }
    Ok((columns, names))
}

fn bind_element(
    context: &DdlContext<'_>,
    snapshot: &Arc<Snapshot>,
    relation: &Relation,
    element: &IndexElement,
    method: &str,
) -> Result<(IndexColumn, String)> {
    let expression = match &element.source {
        IndexElementSource::Column(name) => match relation.column_by_name(&name.name) {
            Some(column) => {
                None.or(Some((IndexSource::Column(column.number), column.ty, column.collation, name.name.clone())))
            }
            // An undeclared field of an open collection.
            None if relation.kind == RelationKind::Collection => {
                let text = sql::utility::ddl::SqlText {
                    text: types::functions::quote_ident(&name.name).to_string(),
                    position: name.position,
                };
                Some(bind_index_expression(context, snapshot, relation, &text)?)
            }
            None => {
                let message = format!("column \"{}\" does not exist", name.name);
                return Err(error(SqlState::UNDEFINED_COLUMN, message));
            }
        },
        IndexElementSource::Expression(text) => Some(bind_index_expression(context, snapshot, relation, text)?),
    };
    let Some((source, ty, collation, name)) = expression else {
        return Err(SqlError::internal("an index element is empty"));
    };
    check_collation(&element.collation, ty.into())?;
    let opclass = opclass(element, ty.into(), method)?;
    require_order(snapshot, ty.into(), method)?;
    if method == "hash" && (element.descending || element.nulls_first.is_some()) {
        let what = if element.descending { "ASC/DESC" } else { "NULLS FIRST/LAST" };
        let message = format!("access method \"hash\" does not support {what} options");
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let column = IndexColumn {
        source,
        ty,
        descending: element.descending,
        nulls_first: element.nulls_first.unwrap_or(element.descending),
        opclass,
        collation,
    };
    Ok((column, name))
}

fn bind_index_expression(
    context: &DdlContext<'_>,
    snapshot: &Arc<Snapshot>,
    relation: &Relation,
    text: &sql::utility::ddl::SqlText,
) -> Result<(IndexSource, SqlTypeStored, Oid, String)> {
    let bound = context.services.bind_expression(snapshot, Some(relation), text, ExpressionUse::Index, "")?;
    // `((a))` is the column a.
    if let [number] = bound.columns[..]
        && let Some(column) = relation.column(number)
        && bound.text == types::functions::quote_ident(&column.name).as_str()
    {
        return Ok((IndexSource::Column(number), column.ty, column.collation, column.name.clone()));
    }
    let collation = builtin::type_by_oid(bound.ty.oid).map_or(0, |t| t.collation);
    let name = bound.name.unwrap_or_else(|| "expr".to_owned());
    Ok((IndexSource::Expression(bound.text), bound.ty.into(), collation, name))
}

/// The C collation makes the pattern classes the same as the default ones; their names are kept for `\d`.
fn opclass(element: &IndexElement, ty: SqlType, method: &str) -> Result<Option<String>> {
    let Some(name) = &element.opclass else { return Ok(None) };
    let given = name.object();
    let family = given.strip_suffix("_ops");
    let base = family.map(|f| f.strip_suffix("_pattern").unwrap_or(f));
    let base = base.and_then(|b| if b == "array" { Some(ty.oid) } else { builtin::type_by_name(b).map(|t| t.oid) });
    let Some(base) = base else {
        let message = format!("operator class \"{given}\" does not exist for access method \"{method}\"");
        return Err(error(SqlState::UNDEFINED_OBJECT, message));
    };
    let is_text = |oid: Oid| matches!(oid, oid::TEXT | oid::VARCHAR | oid::NAME);
    if base != ty.oid && !(is_text(base) && is_text(ty.oid)) {
        let message = format!("operator class \"{given}\" does not accept data type {}", typename::display(ty));
        return Err(error(SqlState::DATATYPE_MISMATCH, message));
    }
    let is_default = !given.contains("_pattern");
    Ok((!is_default).then(|| given.to_owned()))
}

pub(super) fn included(relation: &Relation, names: &[Name]) -> Result<Vec<AttributeNumber>> {
    let mut all = vec![];
    for name in names {
        let Some(column) = relation.column_by_name(&name.name) else {
            return Err(error(SqlState::UNDEFINED_COLUMN, format!("column \"{}\" does not exist", name.name)));
        };
        all.push(column.number);
    }
    Ok(all)
}

fn bind_predicate(context: &DdlContext<'_>, relation: &Relation, create: &CreateIndex) -> Result<Option<String>> {
    let Some(text) = &create.predicate else { return Ok(None) };
    let snapshot = context.snapshot();
    let bound = context.services.bind_expression(&snapshot, Some(relation), text, ExpressionUse::IndexPredicate, "")?;
    Ok(Some(bound.text))
}

/// `a_b_c` for generated names, cut where PostgreSQL cuts it.
pub(super) fn joined_columns(names: &[String]) -> String {
    const ENOUGH: usize = 64;
    let mut joined = String::new();
    let mut seen: Vec<String> = vec![];
    for name in names {
        if !joined.is_empty() {
            joined.push('_');
        }
        // A second `expr` is `expr1`, as the index's own columns are named.
        let repeats = seen.iter().filter(|s| *s == name).count();
        joined.push_str(name);
        if repeats > 0 {
            joined.push_str(&repeats.to_string());
        }
        seen.push(name.clone());
        if joined.len() >= ENOUGH {
            break;
        }
    }
    joined
}
