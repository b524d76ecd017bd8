//! Level 4. DDL: carries out `sql::utility::ddl::Ddl` against the catalog, inside the client's transaction.
//!
//! Owns no state. One file per kind of object; each reads: find and lock what is named, check rights and rules in
//! PostgreSQL's order (so that the same error comes first), make new descriptors, put them.
//!
//! I1  What is changed has been locked, and is read again after the lock (`catalog::transaction`, I2).
//! I2  Nothing that a relation needs can go without it: `depend` finds all dependents, by id and by stored text.
//! I3  An index is readable only when it holds every row: a new relation's is filled with the relation, others by `fill_index`
//!     within the transaction, which reads all rows and therefore conflicts with whoever writes meanwhile, or `online`.
//!
//! What needs the binder or the executor itself (expressions, queries, rows) goes through `DdlServices` (`exec` has the real
//! ones), so that this crate can be read, and tested, as what it is: rules about descriptors.

mod aggregates;
mod alter_column;
mod alter_table;
mod columns;
mod comments;
mod constraints;
mod context;
mod databases;
mod depend;
mod domains;
mod drop;
mod foreign_keys;
mod functions;
mod grants;
mod indexes;
mod mentions;
pub mod online;
mod operators;
mod options;
mod owned;
mod rename;
mod roles;
mod routines;
mod rules;
mod schemas;
mod scram;
mod sequences;
mod services;
mod stored_rows;
mod tables;
#[cfg(test)]
mod tests;
mod truncate;
mod user_types;
mod views;

pub use context::{DdlContext, DdlOutcome};
pub use services::{
    BoundExpression, BoundQuery, BoxFuture, DdlServices, ExpressionUse, RenamedQuery, Upkeep, qualified_path,
};

use routines::Routine;
use sql::utility::ddl::{Ddl, DropKind};
use types::{Result, SqlError};

/// Carries out one statement. Its rows are in the transaction's buffer afterwards; nothing is committed.
///
/// Boxed here: a future is compiled wherever it is awaited, and this one is the largest of all.
#[inline(never)]
pub fn execute<'a>(ddl: &'a Ddl, context: &'a mut DdlContext<'_>) -> BoxFuture<'a, Result<DdlOutcome>> {
    Box::pin(carry_out(ddl, context))
}

async fn carry_out(ddl: &Ddl, context: &mut DdlContext<'_>) -> Result<DdlOutcome> {
    if context.txn.is_read_only() {
        let message = format!("cannot execute {} in a read-only transaction", ddl.tag());
        return Err(SqlError::new(types::SqlState::READ_ONLY_SQL_TRANSACTION, message));
    }
    let mut outcome = DdlOutcome { tag: ddl.tag().to_owned(), unfilled: None };
    match ddl {
        Ddl::CreateDatabase { name, options } => databases::create(context, name, options).await?,
        Ddl::AlterDatabase { name, action } => databases::alter(context, name, action).await?,
        Ddl::DropDatabase { name, if_exists, force } => databases::drop(context, name, *if_exists, *force).await?,
        Ddl::CreateSchema(create) => schemas::create(context, create).await?,
        Ddl::AlterSchema { name, action } => schemas::alter(context, name, action).await?,
        Ddl::CreateTable(create) => tables::create(context, create).await?,
        Ddl::CreateTableAs(create) => {
            if let Some(rows) = views::create_table_as(context, create).await? {
                outcome.tag = format!("SELECT {rows}");
            }
        }
        Ddl::AlterRelation(alter) => alter_table::alter(context, alter).await?,
        Ddl::CreateIndex(create) => outcome.unfilled = indexes::create(context, create).await?,
        Ddl::CreateSequence(create) => sequences::create(context, create).await?,
        Ddl::AlterSequence { name, if_exists, options } => sequences::alter(context, name, *if_exists, options).await?,
        Ddl::CreateView(create) => views::create(context, create).await?,
        Ddl::RefreshMaterializedView { name, concurrently, with_data } => {
            views::refresh(context, name, *concurrently, *with_data).await?;
        }
        Ddl::CreateType { name, body } => user_types::create(context, name, body).await?,
        Ddl::CreateDomain(create) => domains::create(context, create).await?,
        Ddl::AlterType { name, is_domain, action } => user_types::alter(context, name, *is_domain, action).await?,
        Ddl::Drop { kind: DropKind::Schema, names, if_exists, cascade, .. } => {
            schemas::drop(context, names, *if_exists, *cascade).await?;
        }
        Ddl::Drop { kind, names, if_exists, cascade, .. } => {
            drop::drop(context, *kind, names, *if_exists, *cascade).await?;
        }
        Ddl::Truncate { relations, restart_identity, cascade } => {
            truncate::truncate(context, relations, *restart_identity, *cascade).await?;
        }
        Ddl::Comment { target, comment } => comments::comment(context, target, comment.as_deref()).await?,
        Ddl::CreateRole { name, kind, options } => roles::create(context, name, *kind, options).await?,
        Ddl::AlterRole { role, options } => roles::alter(context, role, options).await?,
        Ddl::AlterRoleSettings { role, database, change } => {
            roles::alter_settings(context, role.as_ref(), database.as_ref(), change).await?;
        }
        Ddl::RenameRole { from, to } => roles::rename(context, from, to).await?,
        Ddl::DropRoles { roles, if_exists } => roles::drop(context, roles, *if_exists).await?,
        Ddl::GrantRoles(grant) => roles::grant(context, grant).await?,
        Ddl::Grant(grant) => grants::grant(context, grant).await?,
        Ddl::AlterDefaultPrivileges { roles, schemas, grant } => {
            grants::alter_defaults(context, roles, schemas, grant).await?;
        }
        Ddl::ReassignOwned { from, to } => owned::reassign(context, from, to).await?,
        Ddl::DropOwned { roles, cascade } => owned::drop(context, roles, *cascade).await?,
        Ddl::CreateFunction(create) => functions::create(context, create).await?,
        Ddl::AlterFunction { function, action } => {
            functions::alter(context, Routine::Function, function, action).await?;
        }
        Ddl::DropFunctions { functions, if_exists, cascade } => {
            functions::drop(context, Routine::Function, functions, *if_exists, *cascade).await?;
        }
        Ddl::CreateAggregate(create) => aggregates::create(context, create).await?,
        Ddl::AlterAggregate(alter) => {
            functions::alter(context, Routine::Aggregate, &alter.aggregate, &alter.action).await?;
        }
        Ddl::DropAggregates { aggregates, if_exists, cascade } => {
            functions::drop(context, Routine::Aggregate, aggregates, *if_exists, *cascade).await?;
        }
        Ddl::CreateOperator(create) => operators::create(context, create).await?,
        Ddl::AlterOperator { operator, action } => operators::alter(context, operator, action).await?,
        Ddl::DropOperators { operators, if_exists, cascade } => {
            operators::drop(context, operators, *if_exists, *cascade).await?;
        }
        Ddl::CreateRule(create) => rules::create(context, create).await?,
        Ddl::AlterRule { name, relation, action } => rules::alter(context, name, relation, action).await?,
        Ddl::DropRule { name, relation, if_exists, cascade } => {
            rules::drop(context, name, relation, *if_exists, *cascade).await?;
        }
        Ddl::Unsupported { what, position } => return Err(SqlError::unsupported(what.clone()).at(*position)),
    }
    Ok(outcome)
}
