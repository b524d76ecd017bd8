//! Rows of a table's type that other tables store, when the table changes.
//!
//! A stored row has the fields that it was made with, so most changes are refused. When a column is added, the rows that columns of
//! the type hold are written again with one more field, NULL; where the type is inside of arrays, domains or other rows, the table that holds them must be empty.

use super::context::{DdlContext, error};
use super::services::Upkeep;
use super::{depend, rename};
use catalog::{AttributeNumber, Column, Relation, Snapshot, names};
use std::sync::Arc;
use types::functions::quote_ident;
use types::{Oid, Result, SqlError, SqlState};

/// 0A000 where other columns hold rows of the table.
pub(super) fn check_none(context: &DdlContext<'_>, relation: &Relation) -> Result<()> {
    match depend::stored_use(context.catalog.snapshot(), relation) {
        None => Ok(()),
        Some((table, column)) => Err(are_stored(relation, table, column)),
    }
}

fn are_stored(relation: &Relation, table: &Relation, column: &Column) -> SqlError {
    let message = format!(
        "cannot alter table \"{}\" because column \"{}.{}\" uses its row type",
        relation.name, table.name, column.name
    );
    error(SqlState::FEATURE_NOT_SUPPORTED, message)
}

/// After attribute `added` has come to the relation, without a default.
pub(super) async fn widen(context: &mut DdlContext<'_>, relation: Oid, added: AttributeNumber) -> Result<()> {
    let relation = context.relation(relation)?;
    let snapshot = context.snapshot();
    let mut holders: Vec<Arc<Relation>> = vec![];
    for (table, column) in depend::stored_uses(&snapshot, &relation) {
        if column.declared().oid != relation.row_type {
            refuse_rows(context, &relation, table, column).await?;
        } else if !holders.iter().any(|h| h.id == table.id) {
            holders.extend(snapshot.relation(table.id).cloned());
        }
    }
    for holder in holders {
        let Some(old) = context.lock_relation_by_id(holder.id).await? else { continue };
        let held = old.live_columns().filter(|c| c.declared().oid == relation.row_type);
        let values = held.map(|c| (c.number, widened(&snapshot, &relation, added, c))).collect();
        rename::rewrite(context, &old, Relation::clone(&old), values).await?;
    }
    Ok(())
}

async fn refuse_rows(context: &DdlContext<'_>, relation: &Relation, table: &Relation, column: &Column) -> Result<()> {
    let snapshot = context.snapshot();
    let name = names::qualified(&snapshot, table.schema, &table.name);
    let query = format!("SELECT 1 FROM {name} LIMIT 1");
    match context.services.has_rows(&snapshot, query, Upkeep::ByExclusion).await? {
        None => Ok(()),
        Some(_) => Err(are_stored(relation, table, column)),
    }
}

/// The value of a column with the new field behind those that it has. A row of NULLs is not NULL.
fn widened(snapshot: &Snapshot, relation: &Relation, added: AttributeNumber, column: &Column) -> String {
    let row = quote_ident(&column.name);
    let field = |c: &Column| match c.number == added {
        true => "NULL".to_owned(),
        false => format!("({row}).{}", quote_ident(&c.name)),
    };
    let fields: Vec<String> = relation.live_columns().map(field).collect();
    let ty = names::qualified(snapshot, relation.schema, &relation.name);
    format!("CASE WHEN ({row})::text IS NULL THEN NULL ELSE ROW({})::{ty} END", fields.join(", "))
}
