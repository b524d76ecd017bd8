//! The extended protocol: statements and portals by name. The protocol's own messages are its driver's business.

use crate::block::{Action, BlockState};
use crate::portal::{Portal, Source};
use crate::query::{Attempts, Standing};
use crate::session::{Outcome, Session};
use crate::shared::wall;
use crate::sink::Sink;
use crate::statement::PreparedStatement;
use exec::SessionAccess;
use exec::output::ValueFormat;
use sql::ResultColumn;
use std::sync::Arc;
use types::{Datum, FormatSettings, Oid, Result, SqlError, SqlState, SqlType, io};

/// What a client sends with Bind.
pub struct Binding<'a> {
    pub portal: &'a str,
    pub statement: &'a str,
    /// One for each value.
    pub parameter_formats: &'a [ValueFormat],
    /// NULL is None.
    pub values: &'a [Option<&'a [u8]>],
    /// None, one, or one for each column.
    pub result_formats: Vec<ValueFormat>,
}

fn no_statement(name: &str) -> SqlError {
    let message = match name {
        "" => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement \"{name}\" does not exist"),
    };
    SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

impl Session {
    /// Makes an error count for the transaction.
    fn failing<T>(&mut self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.fail();
        }
        result
    }

    /// Prepares a statement. A type of 0 is left to inference.
    pub fn parse(&mut self, name: &str, text: &str, types: &[Oid]) -> Result<()> {
        let result = self.try_parse(name, text, types);
        self.failing(result)
    }

    /// The same, for a text that takes long to read: on another thread than the session's.
    pub async fn parse_long(&mut self, name: &str, text: &str, types: &[Oid]) -> Result<()> {
        let result = self.try_parse_long(name, text, types).await;
        self.failing(result)
    }

    /// The time of a statement counts from the first message about it to the end of its execution, or to Sync.
    fn keep_clock(&mut self) -> Result<()> {
        self.refresh()?;
        if self.derived.statement_timeout.is_some() && self.state.deadline().is_none() {
            self.start_clock();
        }
        Ok(())
    }

    fn try_parse(&mut self, name: &str, text: &str, types: &[Oid]) -> Result<()> {
        let given = self.before_parse(name, types)?;
        let kept = self.statement_memory(name, text)?;
        let statement = self.statement_of(text, &given)?;
        if self.may_plan(&statement)? {
            self.planned(&statement)?;
        }
        self.statements.insert(name, statement, kept);
        Ok(())
    }

    async fn try_parse_long(&mut self, name: &str, text: &str, types: &[Oid]) -> Result<()> {
        let given = self.before_parse(name, types)?;
        let kept = self.statement_memory(name, text)?;
        let text: Arc<str> = Arc::from(text);
        let _memory = self.memory_of_text(text.len())?;
        let all = self.parse_anywhere(&text).await?;
        let statement = self.single(text, all, &given)?;
        if self.may_plan(&statement)? {
            self.planned_anywhere(&statement).await?;
        }
        self.statements.insert(name, statement, kept);
        Ok(())
    }

    /// Makes room for a statement's name; the types that are given for its parameters.
    fn before_parse(&mut self, name: &str, types: &[Oid]) -> Result<Vec<Option<SqlType>>> {
        self.state.cancel.clear();
        self.keep_clock()?;
        for oid in types.iter().filter(|oid| **oid != 0) {
            let is_users = || self.catalog.snapshot().relation_of_type(*oid).is_some();
            if types::builtin::type_by_oid(*oid).is_none() && !is_users() {
                let message = format!("type with OID {oid} does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
            }
        }
        if name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message));
        }
        self.check_count(self.statements.len(), "prepared statements")?;
        Ok(types.iter().map(|oid| Some(SqlType::new(*oid)).filter(|_| *oid != 0)).collect())
    }

    /// Not in a transaction that has failed, where only its end can be prepared.
    fn may_plan(&self, statement: &PreparedStatement) -> Result<bool> {
        self.block.check_runnable(statement.is_transaction_control() || statement.is_empty())?;
        Ok(self.block != BlockState::Failed)
    }

    fn statement(&self, name: &str) -> Result<Arc<PreparedStatement>> {
        self.statements.get(name).cloned().ok_or_else(|| no_statement(name))
    }

    pub fn bind(&mut self, binding: Binding<'_>) -> Result<()> {
        let result = self.try_bind(binding);
        self.failing(result)
    }

    fn try_bind(&mut self, binding: Binding<'_>) -> Result<()> {
        let statement = self.statement(binding.statement)?;
        self.block.check_runnable(statement.is_transaction_control() || statement.is_empty())?;
        self.keep_clock()?;
        let planned = self.planned(&statement)?;
        if planned.parameters.len() != binding.values.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                binding.values.len(),
                binding.statement,
                planned.parameters.len()
            );
            return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message));
        }
        let columns = planned.columns.len();
        if binding.result_formats.len() > 1 && binding.result_formats.len() != columns {
            let message = format!(
                "bind message has {} result formats but query has {columns} columns",
                binding.result_formats.len()
            );
            return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message));
        }
        let mut parameters = Vec::with_capacity(binding.values.len());
        for (index, ((ty, value), format)) in
            planned.parameters.iter().zip(binding.values).zip(binding.parameter_formats).enumerate()
        {
            let datum = self
                .parameter(*ty, *value, *format)
                .map_err(|error| self.at_parameter(error, index, binding.portal))?;
            parameters.push(datum);
        }
        if !binding.portal.is_empty() && self.portals.contains_key(binding.portal) {
            let message = format!("cursor \"{}\" already exists", binding.portal);
            return Err(SqlError::new(SqlState::DUPLICATE_CURSOR, message));
        }
        self.check_count(self.portals.len(), "portals")?;
        let size = binding.values.iter().flatten().map(|value| value.len()).sum();
        let kept = self.portal_memory(binding.portal, size)?;
        self.next_portal += 1;
        let mut portal =
            Portal::new(self.next_portal, statement, planned, Arc::from(parameters), binding.result_formats);
        portal.created = wall(&self.shared.host);
        portal.kept = kept;
        self.portals.insert(binding.portal.to_owned(), portal);
        Ok(())
    }

    pub(crate) fn parameter(&self, ty: SqlType, value: Option<&[u8]>, sent: ValueFormat) -> Result<Datum> {
        let Some(bytes) = value else { return Ok(Datum::Null) };
        // A domain's value comes as its base type's; the statement checks it.
        let ty = self.catalog.snapshot().base_type(ty);
        let format: &FormatSettings = &self.derived.format;
        match sent {
            ValueFormat::Binary => io::receive(ty, bytes, format),
            ValueFormat::Text => {
                let text = io::utf8(bytes)?;
                exec::input(ty, text, format, self.catalog.snapshot(), &*self.state)
            }
        }
    }

    /// PostgreSQL tells which parameter did not read in the error's context.
    fn at_parameter(&self, error: SqlError, index: usize, portal: &str) -> SqlError {
        let portal = if portal.is_empty() { "unnamed portal".to_owned() } else { format!("portal \"{portal}\"") };
        error.context(format!("{portal} parameter ${}", index + 1))
    }

    /// Types of the parameters, and the columns of the result, if there is one.
    pub fn describe_statement(&mut self, name: &str) -> Result<(Vec<Oid>, Option<Vec<ResultColumn>>)> {
        let result = self.try_describe(name);
        self.failing(result)
    }

    fn try_describe(&mut self, name: &str) -> Result<(Vec<Oid>, Option<Vec<ResultColumn>>)> {
        let statement = self.statement(name)?;
        if statement.is_empty() {
            return Ok((vec![], None));
        }
        self.refresh()?;
        let planned = self.planned(&statement)?;
        if !planned.columns.is_empty() {
            self.block.check_runnable(false)?;
        }
        let columns = planned.returns_rows.then(|| planned.columns.clone());
        Ok((planned.parameters.iter().map(|ty| ty.oid).collect(), columns))
    }

    /// The columns of a portal's result, if it has one, and their formats.
    pub fn describe_portal(&mut self, name: &str) -> Result<(Option<&[ResultColumn]>, &[ValueFormat])> {
        if !self.portals.contains_key(name) {
            self.fail();
        }
        let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
        let columns = portal.planned.returns_rows.then_some(&*portal.planned.columns);
        Ok((columns, &portal.formats))
    }

    /// Runs a portal for at most `max_rows` rows; 0 means all. `is_last`: Sync is known to follow, so that the statement stands alone
    /// if it is also the first.
    pub async fn execute(&mut self, name: &str, max_rows: u32, is_last: bool, sink: &mut dyn Sink) -> Result<Outcome> {
        self.state.cancel.clear();
        let Some(mut portal) = self.portals.remove(name) else {
            self.fail();
            return Err(no_portal(name));
        };
        self.set_query(portal.statement.text.clone());
        let result = match self.keep_clock() {
            Ok(()) => self.execute_portal(&mut portal, max_rows, is_last, sink).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(outcome) => {
                let lives = self.open.is_some() || portal.is_held();
                let is_unnamed_and_over = name.is_empty() && outcome == Outcome::Completed;
                if lives && !is_unnamed_and_over || self.copy.is_some() {
                    self.portals.insert(name.to_owned(), portal);
                }
                Ok(outcome)
            }
            Err(error) => Err(self.fail_statement(error, sink).await),
        }
    }

    async fn execute_portal(
        &mut self,
        portal: &mut Portal,
        max_rows: u32,
        is_last: bool,
        sink: &mut dyn Sink,
    ) -> Result<Outcome> {
        let statement = portal.statement.clone();
        self.block.check_runnable(statement.is_transaction_control() || statement.is_empty())?;
        if statement.is_transaction_control() {
            self.control(&statement, sink).await?;
            return Ok(Outcome::Completed);
        }
        let is_first = self.block == BlockState::Idle && matches!(portal.source, Source::Fresh);
        let standing = match is_first && is_last && max_rows == 0 {
            true => Standing::Alone,
            false => Standing::Among { is_last: false },
        };
        let mut attempts = Attempts::new(standing, sink);
        loop {
            let result = self.try_portal(portal, max_rows, standing, sink).await;
            match self.ends(&mut attempts, result, sink).await {
                Some(result) => return result,
                None => portal.source = Source::Fresh,
            }
        }
    }

    async fn try_portal(
        &mut self,
        portal: &mut Portal,
        max_rows: u32,
        standing: Standing,
        sink: &mut dyn Sink,
    ) -> Result<Outcome> {
        if matches!(portal.source, Source::Fresh) {
            portal.planned = self.planned_to_run(&portal.statement, true).await?;
        } else if self.open.is_some() {
            self.set_limits()?;
        }
        self.run_portal(portal, max_rows, standing, false, sink).await
    }

    pub fn close_statement(&mut self, name: &str) {
        self.statements.remove(name);
    }

    pub fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }

    /// Whether [`Session::sync`] would find nothing to do. Inside a block it ends no transaction and closes no portal; the clock of
    /// what was prepared and not run it stops everywhere.
    pub fn is_at_rest(&self) -> bool {
        let has_nothing_to_end = match self.block {
            BlockState::Idle => self.open.is_none() && self.portals.is_empty(),
            BlockState::InBlock => self.open.is_some(),
            BlockState::Implicit | BlockState::Failed => false,
        };
        has_nothing_to_end && self.state.deadline().is_none()
    }

    /// Sync: ends the implicit transaction.
    pub async fn sync(&mut self) -> Result<()> {
        let result = match self.block.end_implicit() {
            Action::Commit => self.commit_block().await,
            _ => Ok(()),
        };
        // Also those that were bound and never run: no transaction was opened for them.
        if self.open.is_none() && !self.portals.is_empty() {
            self.portals.retain(|_, portal| portal.is_held());
        }
        self.failing(result)
    }

    /// The protocol was broken: an error that the session did not raise.
    pub fn protocol_error(&mut self) {
        self.fail();
    }
}
