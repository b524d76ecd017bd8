//! Statements that are no queries: transaction control, settings, roles, DDL; cursors, COPY and prepared statements have files of
//! their own.

use crate::block::Action;
use crate::portal::Portal;
use crate::query::Standing;
use crate::session::{Outcome, Session};
use crate::settings;
use crate::sink::Sink;
use crate::transaction::isolation;
use ddl::{DdlContext, DdlOutcome, online};
use exec::output::{RowBuffer, RowSink};
use exec::{BoxFuture, SessionAccess, SqlServices};
use sql::ResultColumn;
use sql::utility::ddl::{AlterDatabase, Ddl, SettingChange};
use sql::utility::{DiscardTarget, IsolationLevel, SetValue, TransactionModes, Utility};
use std::sync::Arc;
use txn::Timestamp;
use types::{Datum, Oid, Result, SqlError, SqlState, SqlType};

pub(crate) fn text_column(name: impl Into<String>) -> ResultColumn {
    ResultColumn { name: name.into(), ty: SqlType::TEXT, table: 0, attribute: 0 }
}

/// `transaction_isolation` and its like, set by SET as a setting.
fn transaction_setting(name: &str, value: &str) -> Option<TransactionModes> {
    let flag = matches!(value.to_ascii_lowercase().as_str(), "on" | "true" | "yes" | "1");
    let level = || match value.to_ascii_lowercase().as_str() {
        "read uncommitted" => Some(IsolationLevel::ReadUncommitted),
        "read committed" => Some(IsolationLevel::ReadCommitted),
        "repeatable read" => Some(IsolationLevel::RepeatableRead),
        "serializable" => Some(IsolationLevel::Serializable),
        _ => None,
    };
    match name.to_ascii_lowercase().as_str() {
        "transaction_isolation" => level().map(|l| TransactionModes { isolation: Some(l), ..Default::default() }),
        "transaction_read_only" => Some(TransactionModes { read_only: Some(flag), ..Default::default() }),
        "transaction_deferrable" => Some(TransactionModes { deferrable: Some(flag), ..Default::default() }),
        _ => None,
    }
}

impl Session {
    /// The columns of what a statement returns, if it returns rows.
    pub(crate) fn utility_columns(&self, utility: &Utility) -> Result<Vec<ResultColumn>> {
        Ok(match utility {
            Utility::Show(name) => {
                let name = settings::find(name).map_or(name.as_str(), |p| p.name);
                vec![text_column(name)]
            }
            Utility::ShowAll => ["name", "setting", "description"].map(text_column).into(),
            Utility::Explain { options, .. } => vec![exec::explain::column(options)],
            Utility::Execute { name, .. } => self.executed_columns(name),
            Utility::Fetch { cursor, is_move: false, .. } => self.cursor_columns(cursor),
            _ => vec![],
        })
    }

    /// BEGIN, COMMIT and their like; the tag.
    pub(crate) async fn run_control(&mut self, utility: &Utility) -> Result<&'static str> {
        let begins = matches!(utility, Utility::Begin { .. } | Utility::Savepoint(_) | Utility::Release(_));
        self.block.check_runnable(!begins)?;
        match utility {
            Utility::Begin { modes, is_start } => {
                self.past(modes)?;
                let verdict = self.block.begin();
                self.warn(verdict.warning);
                if verdict.action == Action::Start {
                    self.open_transaction(modes, Timestamp::ZERO);
                }
                if verdict.action != Action::Start || modes.as_of.is_some() {
                    self.set_transaction(modes)?;
                }
                Ok(if *is_start { "START TRANSACTION" } else { verdict.tag })
            }
            Utility::Commit { chain } => {
                let facts = self.state.facts();
                let verdict = self.block.commit(*chain)?;
                self.warn(verdict.warning);
                let ended = match verdict.action {
                    Action::Commit => self.commit_block().await,
                    _ => {
                        self.abort();
                        Ok(())
                    }
                };
                if ended.is_err() {
                    self.block = crate::block::BlockState::Idle;
                }
                ended?;
                if *chain {
                    self.chain(facts);
                }
                Ok(verdict.tag)
            }
            Utility::PrepareTransaction => {
                let is_in_block = self.block.is_in_block();
                let verdict = self.block.commit(false)?;
                self.warn(verdict.warning);
                self.abort();
                if is_in_block && matches!(verdict.action, Action::Commit) {
                    let message = "prepared transactions are disabled";
                    return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                        .hint("Set max_prepared_transactions to a nonzero value."));
                }
                Ok("ROLLBACK")
            }
            Utility::Rollback { chain } => {
                let facts = self.state.facts();
                let verdict = self.block.rollback(*chain)?;
                self.warn(verdict.warning);
                self.abort();
                if *chain {
                    self.chain(facts);
                }
                Ok(verdict.tag)
            }
            Utility::Savepoint(name) => {
                self.block.require("SAVEPOINT")?;
                self.savepoint(name)?;
                Ok("SAVEPOINT")
            }
            Utility::RollbackTo(name) => {
                self.block.require("ROLLBACK TO SAVEPOINT")?;
                self.rollback_to(name)?;
                Ok("ROLLBACK")
            }
            Utility::Release(name) => {
                self.block.require("RELEASE SAVEPOINT")?;
                self.release(name)?;
                Ok("RELEASE")
            }
            _ => Err(SqlError::internal("not a control statement")),
        }
    }

    /// 25001 unless the statement is the first of an implicit block.
    pub(crate) fn prevent_block(&self, statement: &str) -> Result<()> {
        let is_first = self.open.as_ref().is_none_or(|open| !open.has_run);
        if self.block == crate::block::BlockState::Implicit && is_first {
            Ok(())
        } else {
            self.block.prevent(statement)
        }
    }

    /// AND CHAIN: the next transaction is like the last.
    fn chain(&mut self, facts: crate::state::TransactionFacts) {
        let level = match facts.isolation {
            txn::Isolation::ReadCommitted => IsolationLevel::ReadCommitted,
            txn::Isolation::RepeatableRead => IsolationLevel::RepeatableRead,
            txn::Isolation::Serializable => IsolationLevel::Serializable,
        };
        let modes = TransactionModes {
            isolation: Some(level),
            read_only: Some(facts.read_only),
            deferrable: Some(facts.deferrable),
            ..TransactionModes::default()
        };
        self.open_transaction(&modes, Timestamp::ZERO);
    }

    pub(crate) fn warn(&self, warning: Option<SqlError>) {
        if let Some(warning) = warning {
            self.state.notice(warning);
        }
    }

    /// Boxed, so that queries do not carry its state, and its code is there once.
    #[inline(never)]
    pub(crate) fn run_utility<'a>(
        &'a mut self,
        utility: &'a Arc<Utility>,
        portal: &'a mut Portal,
        max_rows: u32,
        standing: Standing,
        describes: bool,
        sink: &'a mut dyn Sink,
    ) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(self.utility(utility, portal, max_rows, standing, describes, sink))
    }

    async fn utility(
        &mut self,
        utility: &Arc<Utility>,
        portal: &mut Portal,
        max_rows: u32,
        standing: Standing,
        describes: bool,
        sink: &mut dyn Sink,
    ) -> Result<Outcome> {
        let tag = match &**utility {
            Utility::Copy(copy) => return self.run_copy(copy, standing, sink).await,
            Utility::Execute { name, args } => {
                return self.run_execute(name, args, max_rows, standing, describes, sink).await;
            }
            Utility::Fetch { cursor, direction, is_move } => {
                self.ensure_transaction();
                if describes && !is_move {
                    let (columns, formats) = self.cursor_shape(cursor)?;
                    sink.row_description(&columns, &formats);
                }
                self.fetch(cursor, *direction, *is_move, &portal.formats, sink).await?
            }
            Utility::Show(name) => {
                self.ensure_transaction();
                let value = self.show(name)?;
                self.send_text(&portal.planned.columns, &[vec![value]], portal, describes, sink)?;
                "SHOW".to_owned()
            }
            Utility::ShowAll => {
                let rows = self.show_all();
                self.send_text(&portal.planned.columns, &rows, portal, describes, sink)?;
                "SHOW".to_owned()
            }
            Utility::Explain { statement, options } => {
                let (planned, parameters) = (portal.planned.clone(), portal.parameters.clone());
                let lines = self.explain(statement, options, &planned.parameters, parameters).await?;
                let rows: Vec<Vec<String>> = lines.into_iter().map(|line| vec![line]).collect();
                self.send_text(&portal.planned.columns, &rows, portal, describes, sink)?;
                "EXPLAIN".to_owned()
            }
            other => self.run_simple_utility(other, &portal.statement.clone()).await?,
        };
        self.complete(&tag, standing.commits(), true, sink).await?;
        Ok(Outcome::Completed)
    }

    /// Those that answer with a tag alone.
    async fn run_simple_utility(
        &mut self,
        utility: &Utility,
        prepared: &Arc<crate::statement::PreparedStatement>,
    ) -> Result<String> {
        self.ensure_transaction();
        Ok(match utility {
            Utility::SetTransaction { modes, session: false } => {
                if !self.block.is_in_block() {
                    let message = "SET TRANSACTION can only be used in transaction blocks";
                    self.warn(Some(warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, message)));
                }
                match &modes.snapshot {
                    Some(snapshot) => self.import_snapshot(snapshot)?,
                    None => self.set_transaction(modes)?,
                }
                "SET".to_owned()
            }
            Utility::SetTransaction { modes, session: true } => {
                self.set_session_characteristics(modes)?;
                "SET".to_owned()
            }
            Utility::Set { name, value, local } => {
                self.set(name, value, *local)?;
                "SET".to_owned()
            }
            Utility::Reset(name) => {
                self.set(name, &SetValue::Default, false)?;
                "RESET".to_owned()
            }
            Utility::ResetAll => {
                self.state.settings.lock().reset_all()?;
                "RESET".to_owned()
            }
            Utility::SetRole { role, local } => {
                self.set_role(role.as_deref(), *local)?;
                "SET".to_owned()
            }
            Utility::SetSessionAuthorization { role, local } => {
                self.set_session_authorization(role.as_deref(), *local)?;
                "SET".to_owned()
            }
            Utility::SetConstraints { names, deferred } => {
                self.set_constraints(names.as_deref(), *deferred).await?;
                "SET CONSTRAINTS".to_owned()
            }
            Utility::Discard(target) => self.discard(*target).await?,
            Utility::Prepare { name, types, statement } => {
                self.prepare(name, types, statement, &prepared.text)?;
                "PREPARE".to_owned()
            }
            Utility::Deallocate(name) => self.deallocate(name.as_deref())?.to_owned(),
            Utility::Declare { name, query, scroll, hold, binary } => {
                self.declare(name, query, *scroll, *hold, *binary, prepared).await?;
                "DECLARE CURSOR".to_owned()
            }
            Utility::Close(name) => self.close_cursor(name.as_deref())?.to_owned(),
            Utility::Maintain(maintain) => self.maintain(maintain).await?,
            Utility::Listen(channel) => {
                self.state.mailbox.listen(channel)?;
                "LISTEN".to_owned()
            }
            Utility::Unlisten(channel) => {
                self.state.mailbox.unlisten(channel.as_deref())?;
                "UNLISTEN".to_owned()
            }
            Utility::Notify { channel, payload } => {
                self.state.notify(channel, payload)?;
                "NOTIFY".to_owned()
            }
            Utility::LockTable { relations, mode, nowait } => self.lock_tables(relations, *mode, *nowait).await?,
            Utility::FinishPrepared { tag, name } => {
                self.prevent_block(tag)?;
                let message = format!("prepared transaction with identifier \"{name}\" does not exist");
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
            }
            Utility::Ddl(ddl) => self.run_ddl(ddl).await?,
            _ => return Err(SqlError::internal("a statement that the session does not know")),
        })
    }

    // --- rows of text

    fn send_text(
        &self,
        columns: &[ResultColumn],
        rows: &[Vec<String>],
        portal: &Portal,
        describes: bool,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        if describes {
            sink.row_description(columns, &portal.formats);
        }
        let mut out = RowBuffer::new(sink.buffer(), &portal.formats, &self.derived.format);
        for row in rows {
            out.begin(row.len())?;
            for value in row {
                out.datum(&Datum::text(value), SqlType::TEXT)?;
            }
            out.end()?;
        }
        Ok(())
    }

    // --- settings

    fn show(&self, name: &str) -> Result<String> {
        match self.state.setting(name) {
            Some(value) => Ok(value),
            None => self.state.settings.lock().show(name).map(str::to_owned),
        }
    }

    fn show_all(&self) -> Vec<Vec<String>> {
        let mut names: Vec<&str> = settings::all().iter().map(|p| p.name).collect();
        names.sort_by_key(|name| name.to_lowercase());
        let value = |name: &str| self.state.setting(name).unwrap_or_default();
        names.into_iter().map(|name| vec![name.to_owned(), value(name), String::new()]).collect()
    }

    fn set_session_characteristics(&mut self, modes: &TransactionModes) -> Result<()> {
        let mut settings = self.state.settings.lock();
        let on_off = |flag: bool| if flag { "on" } else { "off" }.to_owned();
        if let Some(level) = modes.isolation {
            let name = match level {
                IsolationLevel::ReadUncommitted => crate::state::READ_UNCOMMITTED,
                _ => crate::state::isolation_name(isolation(level)),
            };
            settings.set("default_transaction_isolation", &[name.to_owned()], false)?;
        }
        if let Some(read_only) = modes.read_only {
            settings.set("default_transaction_read_only", &[on_off(read_only)], false)?;
        }
        if let Some(deferrable) = modes.deferrable {
            settings.set("default_transaction_deferrable", &[on_off(deferrable)], false)?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &SetValue, local: bool) -> Result<()> {
        if local && !self.block.is_in_block() {
            let message = "SET LOCAL can only be used in transaction blocks";
            self.warn(Some(warning(SqlState::NO_ACTIVE_SQL_TRANSACTION, message)));
        }
        self.state.check_settable(name)?;
        match value {
            SetValue::Default if name.eq_ignore_ascii_case("role") => self.set_role(None, local),
            SetValue::Default if name.eq_ignore_ascii_case("session_authorization") => {
                self.set_session_authorization(None, local)
            }
            SetValue::Default => self.state.settings.lock().reset(name, local),
            SetValue::Items(items) => {
                let first = items.first().map_or("", String::as_str);
                if let Some(modes) = transaction_setting(name, first) {
                    return self.set_transaction(&modes);
                }
                if name.eq_ignore_ascii_case("role") {
                    return self.set_role(Some(first).filter(|n| *n != "none"), local);
                }
                if name.eq_ignore_ascii_case("session_authorization") {
                    return self.set_session_authorization(Some(first), local);
                }
                if name.eq_ignore_ascii_case("seed") {
                    let seed = first.parse::<f64>().ok().filter(|s| (-1.0..=1.0).contains(s)).ok_or_else(|| {
                        let message = format!("invalid value for parameter \"seed\": \"{first}\"");
                        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
                    })?;
                    self.state.set_seed(seed);
                    return Ok(());
                }
                self.state.settings.lock().set(name, items, local).map(|_| ())
            }
        }
    }

    async fn discard(&mut self, target: DiscardTarget) -> Result<String> {
        Ok(match target {
            DiscardTarget::All => {
                self.prevent_block("DISCARD ALL")?;
                self.portals.retain(|name, _| name.is_empty());
                self.set_session_authorization(None, false)?;
                self.state.settings.lock().reset_all()?;
                self.statements.clear();
                self.state.advisory.unlock_all();
                self.state.mailbox.unlisten(None)?;
                self.forget_plans();
                self.state.discard_sequences();
                self.drop_temporary().await;
                "DISCARD ALL"
            }
            DiscardTarget::Plans => {
                self.forget_plans();
                "DISCARD PLANS"
            }
            DiscardTarget::Sequences => {
                self.state.discard_sequences();
                "DISCARD SEQUENCES"
            }
            DiscardTarget::Temporary => {
                self.drop_temporary().await;
                "DISCARD TEMP"
            }
        }
        .to_owned())
    }

    // --- DDL

    pub(crate) fn services(&self) -> Result<SqlServices> {
        let (shared, ending, id) = (self.shared.clone(), self.shared.clone(), self.state.id);
        Ok(SqlServices {
            context: self.statement_context(Arc::from([]))?,
            bind: self.bind_context(),
            settings: self.derived.planner.clone(),
            first_schema: 0.into(),
            sessions_in: Box::new(move |database| shared.sessions_in(database, id)),
            end_sessions_in: Box::new(move |database| ending.end_sessions_in(database, id)),
        })
    }

    pub(crate) async fn run_ddl(&mut self, ddl: &Arc<Ddl>) -> Result<String> {
        if let Some(name) = ddl.needs_own_transaction() {
            self.prevent_block(name)?;
        }
        self.store_running().await?;
        if matches!(&**ddl, Ddl::CreateIndex(create) if create.concurrently) {
            // A commit may run DDL, too.
            return Box::pin(self.create_index_online(ddl)).await.map(|outcome| outcome.tag);
        }
        self.begin_statement().await?;
        self.check_kept_setting(ddl)?;
        if let Ddl::CreateTableAs(create) = &**ddl
            && create.is_execute
        {
            let create = Box::new(self.with_prepared_query(create).await?);
            return self.do_ddl(&DdlWork::Execute(&Ddl::CreateTableAs(create))).await.map(|outcome| outcome.tag);
        }
        self.do_ddl(&DdlWork::Execute(ddl)).await.map(|outcome| outcome.tag)
    }

    /// What ALTER ROLE … SET and ALTER DATABASE … SET keep must be what SET would take.
    fn check_kept_setting(&self, ddl: &Ddl) -> Result<()> {
        let (Ddl::AlterRoleSettings { change, .. } | Ddl::AlterDatabase { action: AlterDatabase::Setting(change), .. }) =
            ddl
        else {
            return Ok(());
        };
        let SettingChange::Set(name, values) = change else { return Ok(()) };
        let is_superuser = catalog::privileges::is_superuser(self.catalog.snapshot(), self.state.current_user());
        self.state.settings.lock().check(name, values, is_superuser)
    }

    pub(crate) async fn do_ddl(&mut self, work: &DdlWork<'_>) -> Result<DdlOutcome> {
        let services = self.services()?;
        let Some(open) = &self.open else { return Err(SqlError::internal("no transaction is open")) };
        if open.facts.read_only && !matches!(work, DdlWork::AtCommit(_)) {
            return Err(crate::query::read_only(work.tag()));
        }
        let path = self.derived.path.clone();
        let mut context = DdlContext {
            txn: &open.txn,
            catalog: &mut self.catalog,
            services: &services,
            database: self.state.database,
            role: self.state.current_user(),
            session_role: self.state.session_user(),
            search_path: path.schemas.clone(),
            creation_schema: path.creation,
            temporary_schema: self.state.temporary_schema(),
            session_number: self.state.id.0 as u32,
        };
        let reindexed = || DdlOutcome { tag: work.tag().to_owned(), unfilled: None };
        let outcome = match work {
            DdlWork::Execute(ddl) | DdlWork::AtCommit(ddl) => ddl::execute(ddl, &mut context).await?,
            DdlWork::Publish(index) => online::publish_index(&mut context, *index).await.map(|()| reindexed())?,
            DdlWork::Rebuild(index) => online::rebuild_index(&mut context, *index).await.map(|()| reindexed())?,
        };
        let temporary = context.temporary_schema;
        self.state.set_temporary_schema(temporary);
        Ok(outcome)
    }
}

/// What is done to the catalog.
pub(crate) enum DdlWork<'a> {
    Execute(&'a Ddl),
    /// ON COMMIT of a TEMP table, which a read-only transaction may do.
    AtCommit(&'a Ddl),
    /// A write-only index has been filled.
    Publish(Oid),
    /// One is to be filled here and now.
    Rebuild(Oid),
}

impl DdlWork<'_> {
    fn tag(&self) -> &'static str {
        match self {
            DdlWork::Execute(ddl) | DdlWork::AtCommit(ddl) => ddl.tag(),
            DdlWork::Publish(_) | DdlWork::Rebuild(_) => "REINDEX",
        }
    }
}

pub(crate) fn warning(code: SqlState, message: &str) -> SqlError {
    SqlError::new(code, message).severity(types::Severity::Warning)
}
