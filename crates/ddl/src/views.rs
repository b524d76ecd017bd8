//! CREATE VIEW, CREATE TABLE AS, SELECT INTO and materialized views.

use super::columns;
use super::context::{DdlContext, already_exists, check_kind, error};
use super::services::{BoundQuery, qualified_path};
use catalog::privileges::Target;
use catalog::*;
use sql::utility::ddl::{CreateTableAs, CreateView, Name, ObjectName, Options, RelationWord};
use std::sync::Arc;
use types::functions::quote_ident;
use types::{Result, SqlState, SqlType, oid, typename};

pub(super) fn check_options(options: &Options) -> Result<()> {
    for (name, value) in options {
        if !matches!(name.as_str(), "security_barrier" | "security_invoker" | "check_option") {
            return Err(error(SqlState::INVALID_PARAMETER_VALUE, format!("unrecognized parameter \"{name}\"")));
        }
        super::options::check_value(name, value.as_deref().unwrap_or("true"))?;
    }
    Ok(())
}

/// Columns of a query's result, renamed by the list.
fn result_columns(
    snapshot: &Snapshot,
    relation: &mut Relation,
    query: &BoundQuery,
    renamed: &[Name],
    too_many: (SqlState, &str),
) -> Result<()> {
    if renamed.len() > query.columns.len() {
        return Err(error(too_many.0, too_many.1));
    }
    for (index, column) in query.columns.iter().enumerate() {
        let name = renamed.get(index).map_or(column.name.as_str(), |n| n.name.as_str());
        if relation.column_by_name(name).is_some() {
            return Err(error(SqlState::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")));
        }
        let name = Name { name: name.to_owned(), position: 0 };
        columns::check_name(&name)?;
        let mut ty = column.ty;
        if ty.oid == oid::UNKNOWN {
            ty = SqlType::TEXT;
        }
        columns::check_type(&name, ty)?;
        let number = AttributeNumber::try_from(index + 1).unwrap_or(AttributeNumber::MAX);
        let mut made = new_column(number, &name.name, ty);
        // A column that is one of a domain stays one.
        let origin = snapshot.relation(column.table).and_then(|r| r.column(column.attribute));
        made.domain = origin.filter(|c| SqlType::from(c.ty).oid == ty.oid).and_then(|c| c.domain);
        relation.columns.push(made);
    }
    if relation.columns.len() > columns::COLUMNS_MAX {
        return Err(error(SqlState::TOO_MANY_COLUMNS, "tables can have at most 1600 columns"));
    }
    Ok(())
}

/// CHECK OPTION is one of a view's options, however it was written; the definition has it as well.
pub(super) fn follow_options(view: &mut Relation) {
    let option = view.options.iter().find(|(name, _)| name == "check_option").map(|(_, value)| value.to_uppercase());
    if let Some(definition) = &mut view.view {
        definition.check_option = option;
    }
}

fn definition(context: &DdlContext<'_>, query: &BoundQuery) -> ViewDefinition {
    let snapshot = context.snapshot();
    let (text, search_path) = match context.services.store_query(&snapshot, query) {
        Some(text) => (text, qualified_path()),
        None => {
            let path = context.search_path.iter().filter_map(|id| snapshot.schema(*id)).map(|s| s.name.clone());
            (query.text.clone(), path.collect())
        }
    };
    let depends_on = query.depends_on.clone();
    ViewDefinition { query: text, search_path, check_option: None, depends_on, is_populated: false }
}

pub(super) async fn create(context: &mut DdlContext<'_>, create: &CreateView) -> Result<()> {
    check_options(&create.options)?;
    let snapshot = context.snapshot();
    let query = context.services.bind_query(&snapshot, &create.query)?;
    let uses_temporary = query.depends_on.iter().any(|(id, _)| snapshot.relation(*id).is_some_and(|r| r.is_temporary));
    if uses_temporary && !create.is_temporary {
        context.notice(
            SqlState::SUCCESSFUL_COMPLETION,
            format!("view \"{}\" will be a temporary view", create.name.object()),
        );
    }
    let is_temporary = create.is_temporary || uses_temporary;
    let (schema, is_temporary) = context.creation_schema(&create.name, is_temporary).await?;
    let name = create.name.object();
    let mut made = new_relation(0, name, RelationKind::View);
    let too_many = (SqlState::SYNTAX_ERROR, "CREATE VIEW specifies more column names than columns");
    result_columns(&snapshot, &mut made, &query, &create.columns, too_many)?;
    let mut options = super::options::stored(&create.options);
    options.extend(create.check_option.map(|option| ("check_option".to_owned(), option.to_lowercase())));
    made.options = options;
    made.view = Some(definition(context, &query));
    follow_options(&mut made);
    if made.view.as_ref().is_some_and(|v| v.check_option.is_some()) {
        context.services.require_updatable(&snapshot, &Arc::new(made.clone()))?;
    }
    if let Some(id) = context.catalog.snapshot().id_by_name(schema.id, name)
        && create.or_replace
    {
        return replace(context, id, made, create).await;
    }
    context.claim_relation_name(schema.id, name).await?;
    let mut view = context.new_relation(&schema, name, RelationKind::View, is_temporary).await?;
    view.columns = made.columns;
    view.view = made.view;
    view.options = made.options;
    context.catalog.put(context.txn, Object::Relation(view))
}

/// CREATE OR REPLACE: the old columns stay, new ones come behind them.
async fn replace(context: &mut DdlContext<'_>, id: types::Oid, made: Relation, create: &CreateView) -> Result<()> {
    let invalid = |message: String| error(SqlState::INVALID_TABLE_DEFINITION, message);
    let Some(old) = context.lock_relation_by_id(id).await? else { return Err(already_exists(create.name.object())) };
    if old.kind != RelationKind::View {
        return Err(error(SqlState::WRONG_OBJECT_TYPE, format!("\"{}\" is not a view", old.name)));
    }
    context.require_owner(Target::Relation(&old))?;
    if made.columns.len() < old.columns.len() {
        return Err(invalid("cannot drop columns from view".to_owned()));
    }
    for (before, after) in old.columns.iter().zip(&made.columns) {
        if before.name != after.name {
            let message = format!("cannot change name of view column \"{}\" to \"{}\"", before.name, after.name);
            return Err(
                invalid(message).hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.")
            );
        }
        if before.ty != after.ty {
            let text = |c: &Column| typename::format_type(c.ty.oid, Some(c.ty.typmod));
            let message = format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                before.name,
                text(before),
                text(after)
            );
            return Err(invalid(message));
        }
    }
    if made.view.as_ref().is_some_and(|definition| depends_on(context.catalog.snapshot(), definition, id)) {
        let message = format!("infinite recursion detected in rules for relation \"{}\"", old.name);
        return Err(error(SqlState::INVALID_OBJECT_DEFINITION, message));
    }
    context.change_relation(id, |view| {
        let added = made.columns.into_iter().skip(view.columns.len());
        view.columns.extend(added);
        view.view = made.view;
        view.options = made.options;
    })?;
    Ok(())
}

/// Whether a query reads the relation, through other views too.
fn depends_on(snapshot: &Snapshot, definition: &ViewDefinition, id: types::Oid) -> bool {
    let mut seen = vec![];
    let mut front: Vec<types::Oid> = definition.depends_on.iter().map(|(on, _)| *on).collect();
    while let Some(next) = front.pop() {
        if next == id {
            return true;
        }
        if seen.contains(&next) {
            continue;
        }
        seen.push(next);
        let views = snapshot.relation(next).and_then(|r| r.view.as_ref());
        front.extend(views.iter().flat_map(|v| v.depends_on.iter().map(|(on, _)| *on)));
    }
    false
}

/// How many rows; None where nothing was run (it exists already, or WITH NO DATA).
pub(super) async fn create_table_as(context: &mut DdlContext<'_>, create: &CreateTableAs) -> Result<Option<u64>> {
    let options = super::options::of_table(&create.options)?;
    let (schema, is_temporary) = context.creation_schema(&create.name, create.is_temporary).await?;
    if create.on_commit != sql::utility::ddl::OnCommit::PreserveRows && !is_temporary {
        return Err(error(SqlState::INVALID_TABLE_DEFINITION, "ON COMMIT can only be used on temporary tables"));
    }
    let name = create.name.object();
    if create.if_not_exists && context.is_taken(schema.id, name).await? {
        context.skipping(SqlState::DUPLICATE_TABLE, already_exists(name).message());
        return Ok(None);
    }
    let snapshot = context.snapshot();
    let query = context.services.bind_query(&snapshot, &create.query)?;
    context.claim_relation_name(schema.id, name).await?;
    let kind = match (create.is_materialized_view, options.is_open) {
        (true, None) => RelationKind::MaterializedView,
        (true, Some(_)) => return Err(error(SqlState::INVALID_PARAMETER_VALUE, "unrecognized parameter \"open\"")),
        (false, Some(true)) => RelationKind::Collection,
        (false, _) => RelationKind::Table,
    };
    let mut table = context.new_relation(&schema, name, kind, is_temporary).await?;
    result_columns(
        &snapshot,
        &mut table,
        &query,
        &create.columns,
        (SqlState::SYNTAX_ERROR, "too many column names were specified"),
    )?;
    table.options = options.stored;
    table.on_commit = match create.on_commit {
        sql::utility::ddl::OnCommit::PreserveRows => catalog::OnCommit::PreserveRows,
        sql::utility::ddl::OnCommit::DeleteRows => catalog::OnCommit::DeleteRows,
        sql::utility::ddl::OnCommit::Drop => catalog::OnCommit::Drop,
    };
    if create.is_materialized_view {
        table.view = Some(ViewDefinition { is_populated: create.with_data, ..definition(context, &query) });
    }
    let id = table.id;
    context.catalog.put(context.txn, Object::Relation(table))?;
    if !create.with_data {
        return Ok(None);
    }
    // The query was bound without the new table; it is run without it too.
    let table = context.relation(id)?;
    context.services.insert_query(&snapshot, &table, &create.query).await.map(Some)
}

/// REFRESH MATERIALIZED VIEW: its rows are computed anew, all of them, CONCURRENTLY too. That only promises that readers go on
/// meanwhile, which they always do; what it asks for is asked for here.
pub(super) async fn refresh(
    context: &mut DdlContext<'_>,
    name: &ObjectName,
    concurrently: bool,
    with_data: bool,
) -> Result<()> {
    let view = context.must_lock_relation(name).await?;
    if check_kind(RelationWord::MaterializedView, &view).is_err() {
        let message = format!("\"{}\" is not a materialized view", view.name);
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    context.require_owner(Target::Relation(&view))?;
    if concurrently {
        require_refreshable_concurrently(&context.snapshot(), &view, with_data)?;
    }
    let Some(definition) = view.view.clone() else { return Ok(()) };
    let storage = super::rename::new_storage(context, &view).await?;
    let new: Arc<Relation> = context.change_relation(view.id, |view| {
        view.storage = storage;
        if let Some(definition) = &mut view.view {
            definition.is_populated = with_data;
        }
    })?;
    if with_data {
        let query = sql::utility::ddl::SqlText { text: definition.query, position: 0 };
        let snapshot = context.snapshot();
        context.services.insert_query(&snapshot, &new, &query).await?;
    }
    Ok(())
}

fn require_refreshable_concurrently(snapshot: &Snapshot, view: &Relation, with_data: bool) -> Result<()> {
    if !view.is_populated() {
        let message = "CONCURRENTLY cannot be used when the materialized view is not populated";
        return Err(error(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    if !with_data {
        let message = "CONCURRENTLY and WITH NO DATA options cannot be used together";
        return Err(error(SqlState::SYNTAX_ERROR, message));
    }
    let tells_rows_apart = |index: &Index| {
        index.is_unique
            && index.state == IndexState::Public
            && index.predicate.is_none()
            && index.columns.iter().all(|column| matches!(column.source, IndexSource::Column(_)))
    };
    if snapshot.indexes_of(view).any(|index| tells_rows_apart(index)) {
        return Ok(());
    }
    let schema = snapshot.schema(view.schema).map_or("", |schema| schema.name.as_str());
    let name = format!("{}.{}", quote_ident(schema), quote_ident(&view.name));
    let message = format!("cannot refresh materialized view \"{name}\" concurrently");
    Err(error(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .hint("Create a unique index with no WHERE clause on one or more columns of the materialized view."))
}
