//! PREPARE, EXECUTE and DEALLOCATE: the same statements that the extended protocol names.

use crate::live::Lists;
use crate::portal::Portal;
use crate::query::Standing;
use crate::session::{Outcome, Session};
use crate::sink::Sink;
use crate::statement::{Planned, PreparedStatement, Work};
use sql::utility::Utility;
use sql::utility::ddl::{CreateTableAs, SqlText};
use sql::{Deparser, Expr, ResultColumn, Statement};
use std::sync::Arc;
use types::array::Array;
use types::{Datum, Result, SqlError, SqlState, SqlType, oid};

fn missing(name: &str) -> SqlError {
    let message = format!("prepared statement \"{name}\" does not exist");
    SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
}

impl Session {
    /// `text`: of the whole PREPARE statement, as pg_prepared_statements shows it.
    pub(crate) fn prepare(
        &mut self,
        name: &str,
        types: &[SqlType],
        syntax: &Arc<Statement>,
        text: &Arc<str>,
    ) -> Result<()> {
        if self.statements.contains(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
        }
        self.check_count(self.statements.len(), "prepared statements")?;
        let kept = self.statement_memory(name, text)?;
        let given = types.iter().copied().map(Some).collect();
        let now = crate::shared::wall(&self.shared.host);
        let statement = PreparedStatement::from_sql(text.clone(), syntax.clone(), given, now);
        self.planned(&statement)?;
        self.statements.insert(name, statement, kept);
        Ok(())
    }

    /// Copies what pg_prepared_statements and pg_cursors show, for a statement that reads them.
    pub(crate) fn copy_lists(&self) {
        let mut statements: Vec<_> = self.statements.iter().filter(|(name, _)| !name.is_empty()).collect();
        statements.sort_by_key(|(name, _)| *name);
        let statement_row = |(name, s): (&String, &Arc<PreparedStatement>)| {
            let types = s.parameter_types().iter().map(|ty| Datum::Oid(ty.oid)).collect();
            vec![
                Datum::text(name.as_str()),
                Datum::text(&*s.text),
                Datum::TimestampTz(s.prepared_at),
                Datum::Array(Arc::new(Array::from_values(oid::REGTYPE, types))),
                Datum::Bool(s.from_sql),
                Datum::Int8(0),
                Datum::Int8(0),
            ]
        };
        let mut cursors: Vec<_> = self.portals.iter().filter(|(name, _)| !name.is_empty()).collect();
        cursors.sort_by_key(|(name, _)| *name);
        let cursor_row = |(name, portal): (&String, &Portal)| {
            let cursor = portal.cursor;
            vec![
                Datum::text(name.as_str()),
                Datum::text(&*portal.statement.text),
                Datum::Bool(cursor.is_some_and(|c| c.hold)),
                Datum::Bool(cursor.is_some_and(|c| c.binary)),
                Datum::Bool(cursor.is_some_and(|c| c.scroll.unwrap_or_else(|| portal.reads_backward()))),
                Datum::TimestampTz(portal.created),
            ]
        };
        let lists = Lists {
            statements: statements.into_iter().map(statement_row).collect(),
            cursors: cursors.into_iter().map(cursor_row).collect(),
        };
        *self.state.lists.lock() = lists;
    }

    pub(crate) fn deallocate(&mut self, name: Option<&str>) -> Result<&'static str> {
        match name {
            None => {
                self.statements.clear();
                Ok("DEALLOCATE ALL")
            }
            Some(name) => match self.statements.remove(name) {
                true => Ok("DEALLOCATE"),
                false => Err(missing(name)),
            },
        }
    }

    /// The columns that EXECUTE returns; none where the statement is not there (running it says so).
    pub(crate) fn executed_columns(&self, name: &str) -> Vec<ResultColumn> {
        self.statements.get(name).and_then(|s| s.columns()).unwrap_or_default()
    }

    pub(crate) fn executable(&mut self, name: &str) -> Result<(Arc<PreparedStatement>, Arc<Planned>)> {
        let statement = self.statements.get(name).cloned().ok_or_else(|| missing(name))?;
        let planned = self.planned(&statement)?;
        Ok((statement, planned))
    }

    pub(crate) async fn run_execute(
        &mut self,
        name: &str,
        args: &[Expr],
        max_rows: u32,
        standing: Standing,
        describes: bool,
        sink: &mut dyn Sink,
    ) -> Result<Outcome> {
        let (statement, planned) = self.executable(name)?;
        let parameters = self.arguments(name, args, &planned.parameters).await?;
        self.next_portal += 1;
        let mut portal = Portal::new(self.next_portal, statement, planned, parameters, vec![]);
        // Boxed: a statement that executes may itself be one that was prepared.
        Box::pin(self.run_portal(&mut portal, max_rows, standing, describes, sink)).await
    }

    /// CREATE TABLE AS EXECUTE as one AS the query that was prepared, with the values of the arguments in it.
    pub(crate) async fn with_prepared_query(&mut self, create: &CreateTableAs) -> Result<CreateTableAs> {
        let executed = self.statement_of(&create.query.text, &[]).and_then(|statement| self.planned(&statement));
        let executed = executed.map_err(|error| create.query.relocate(error))?;
        let Work::Utility(utility) = &executed.work else { return Err(SqlError::internal("EXECUTE was expected")) };
        let Utility::Execute { name, args } = &**utility else {
            return Err(SqlError::internal("EXECUTE was expected"));
        };
        let (statement, planned) = self.executable(name)?;
        let syntax = statement.syntax()?.filter(|syntax| syntax.is_select());
        let Some(syntax) = syntax else {
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, "prepared statement is not a SELECT"));
        };
        let values = self.arguments(name, args, &planned.parameters).await;
        let values = values.map_err(|error| create.query.relocate(error))?;
        let literal = |(value, ty): (&Datum, &SqlType)| {
            Deparser::new(self.catalog.snapshot()).expr(&Expr::constant(value.clone(), *ty))
        };
        let literals = values.iter().zip(&*planned.parameters).map(literal).collect::<Result<Vec<_>>>()?;
        let query = SqlText { text: syntax.text_with(&literals)?, position: 0 };
        Ok(CreateTableAs { query, is_execute: false, ..create.clone() })
    }

    /// The values of EXECUTE's arguments.
    pub(crate) async fn arguments(&mut self, name: &str, args: &[Expr], types: &[SqlType]) -> Result<Arc<[Datum]>> {
        if args.len() != types.len() {
            let message = format!("wrong number of parameters for prepared statement \"{name}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).detail(format!(
                "Expected {} parameters but got {}.",
                types.len(),
                args.len()
            )));
        }
        if args.is_empty() {
            return Ok(Arc::from([]));
        }
        let coerced = sql::coerce_arguments(args.to_vec(), types, &self.bind_context())?;
        self.begin_statement().await?;
        let context = self.statement_context(Arc::from([]))?;
        let mut values = Vec::with_capacity(coerced.len());
        for arg in &coerced {
            values.push(exec::evaluate(arg, &context).await?);
        }
        Ok(Arc::from(values))
    }
}
