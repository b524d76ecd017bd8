//! One client's session: its statements, its transaction, and what both protocols do with them.
//!
//! ```text
//! simple("a; b")      parse all -> for each: run_in_string -> end of string commits the implicit block
//! parse/bind/execute  statements and portals by name; sync commits the implicit block
//! ```
//!
//! A session is driven by one task at a time. Whoever drives it hands in a `Sink`; an `Err` is the statement's error, and the
//! session has already done what an error does to its transaction.

use crate::block::BlockState;
use crate::copy::CopyUnderway;
use crate::derived::{Derived, IdleTimeouts, slow_after};
use crate::mailbox::Notification;
use crate::named::Statements;
use crate::portal::Portal;
use crate::query::Behind;
use crate::queue::Queue;
use crate::settings::{Settings, check_right};
use crate::shared::{Shared, wall};
use crate::sink::Sink;
use crate::state::{Identity, SessionState, is_wanted};
use crate::statement::PreparedStatement;
use crate::template::Templates;
use crate::transaction::OpenTransaction;
use catalog::privileges::{self, Target};
use catalog::{TransactionCatalog, privilege};
use exec::MemoryBudget;
use foldhash::{HashMap, HashMapExt};
use sql::{Statement, StatementKind};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use txn::CancelReason;
use types::stop::StopCheck;
use types::{Datum, Oid, Result, Severity, SqlError, SqlState, SqlType};

/// Statements whose text and plan are kept although nobody has prepared them.
const REMEMBERED_MAX: usize = 256;
/// Longer texts are not remembered.
const REMEMBERED_BYTES_MAX: usize = 16 << 10;
/// Prepared statements and portals of one session.
const NAMED_MAX: usize = 100_000;
/// A sixteenth of what they may take (`MemoryBudget`).
const KEPT_BYTES: usize = 64 << 20;

/// Who connects, and with which settings.
pub struct Login {
    pub user: String,
    pub database: String,
    /// `application_name` and the like, in the client's order; `options` has been taken apart.
    pub settings: Vec<(String, String)>,
    pub process_id: i32,
    pub client: Option<SocketAddr>,
    pub server: Option<SocketAddr>,
    /// Version, cipher and bits of an encrypted connection.
    pub encryption: Option<(String, String, i32)>,
}

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Completed,
    /// The portal has given as many rows as were asked for, and may have more.
    Suspended,
    /// COPY FROM STDIN waits for its data.
    CopyIn,
}

/// A statement of a string, in its turn.
pub(crate) struct Queued {
    pub statement: Arc<PreparedStatement>,
    /// The literals that were taken out of its text (`template`); of an INSERT of rows those of all rows.
    pub parameters: Arc<[Datum]>,
    /// The text that they were taken out of.
    pub written: Option<Arc<str>>,
}

pub struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Arc<SessionState>,
    pub(crate) catalog: TransactionCatalog,
    pub(crate) block: BlockState,
    pub(crate) open: Option<OpenTransaction>,
    pub(crate) statements: Statements,
    /// Texts that came by themselves; emptied when full.
    remembered: HashMap<Arc<str>, Arc<PreparedStatement>>,
    pub(crate) templates: Templates,
    pub(crate) portals: HashMap<String, Portal>,
    /// For what is kept by name.
    pub(crate) kept: Arc<MemoryBudget>,
    pub(crate) next_portal: u64,
    /// What the statement has behind it that is executed again.
    pub(crate) behind: Behind,
    /// Whom the commit that failed has met, or the statement that was executed again in vain.
    pub(crate) met: Option<txn::Met>,
    /// The conflict that the client is about to be told of was not settled by executing its block again.
    pub(crate) has_replayed: bool,
    pub(crate) derived: Derived,
    /// What is left of a string of statements.
    pub(crate) queue: Queue,
    pub(crate) copy: Option<CopyUnderway>,
    /// Whether the statement at hand must end, for what knows no session.
    pub(crate) stop: StopCheck,
}

impl From<Arc<PreparedStatement>> for Queued {
    fn from(statement: Arc<PreparedStatement>) -> Queued {
        Queued { statement, parameters: Arc::from([]), written: None }
    }
}

impl Session {
    /// A session for a client that has proved who it is. FATAL errors: the database, or the right to use it, is missing.
    pub fn new(shared: Arc<Shared>, login: Login) -> Result<Session> {
        let catalog = TransactionCatalog::new(shared.catalog.clone());
        let snapshot = catalog.snapshot().clone();
        let no_role = || {
            let message = format!("role \"{}\" does not exist", login.user);
            SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message)
        };
        let role = snapshot.role_by_name(&login.user).ok_or_else(no_role)?;
        let database = snapshot.database_by_name(&login.database).ok_or_else(|| {
            let message = format!("database \"{}\" does not exist", login.database);
            SqlError::new(SqlState::INVALID_CATALOG_NAME, message)
        })?;
        if !database.allow_connections {
            let message = format!("database \"{}\" is not currently accepting connections", database.name);
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        let target = Target::Database(database);
        if !privileges::has_privilege(&snapshot, role.id, target, privilege::CONNECT) {
            let message = format!("permission denied for database \"{}\"", database.name);
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message)
                .detail("User does not have CONNECT privilege."));
        }
        check_limits(&shared, role, database)?;
        let settings = start_settings(&shared, database, role, &login)?;
        let identity = Identity {
            process_id: login.process_id,
            database: database.id,
            database_name: database.name.clone(),
            user: role.id,
            client: login.client,
            server: login.server,
            encryption: login.encryption,
        };
        let state = SessionState::new(shared.clone(), identity, settings);
        let asked = state.clone();
        let kept = MemoryBudget::new(KEPT_BYTES, shared.memory.clone());
        Ok(Session {
            state,
            stop: Arc::new(move || asked.check_stop()),
            shared,
            catalog,
            block: BlockState::Idle,
            open: None,
            statements: Statements::default(),
            remembered: HashMap::new(),
            templates: Templates::default(),
            portals: HashMap::new(),
            kept,
            next_portal: 0,
            behind: Behind::default(),
            met: None,
            has_replayed: false,
            derived: Derived::default(),
            queue: Queue::default(),
            copy: None,
        })
    }

    pub fn state(&self) -> &Arc<SessionState> {
        &self.state
    }

    pub fn block(&self) -> BlockState {
        self.block
    }

    /// Asks what runs to stop. From any thread.
    pub fn cancel_flag(&self) -> txn::CancelFlag {
        self.state.cancel.clone()
    }

    pub fn cancel(&self) {
        self.state.cancel.raise(CancelReason::User);
    }

    /// How long a statement may take before it is logged (`log_min_duration_statement`); None: however long.
    pub fn slow_after(&self) -> Option<Duration> {
        match self.derived.is_stale(&self.state) {
            true => slow_after(&self.state.settings.lock()),
            false => self.derived.slow_after,
        }
    }

    /// Settings to tell the client of (ParameterStatus).
    pub fn parameter_changes(&mut self) -> Vec<(String, String)> {
        let changes = self.state.settings.lock().take_reported();
        changes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Notifications that have come, for a session that is in no transaction.
    pub fn take_notifications(&mut self) -> VecDeque<Notification> {
        self.state.mailbox.take(&self.shared)
    }

    /// Fires when notifications have come.
    pub fn mail_signal(&self) -> Arc<tokio::sync::Notify> {
        self.state.mailbox.signal()
    }

    /// Notices that no statement has sent.
    pub fn take_notices(&mut self) -> Vec<SqlError> {
        if !self.state.has_notices() {
            return vec![];
        }
        let least = self.derived.client_min_messages.clone();
        self.state.take_notices().into_iter().filter(|n| is_wanted(n, &least)).collect()
    }

    /// The client has gone.
    pub async fn end(&mut self) {
        self.portals.clear();
        self.copy = None;
        self.abort();
        self.block = BlockState::Idle;
        self.drop_temporary().await;
    }

    // --- statements from text

    /// The statement of a text, from memory where it has been seen.
    pub(crate) fn statement_of(&mut self, text: &str, given: &[Option<SqlType>]) -> Result<Arc<PreparedStatement>> {
        if let Some(known) = self.known(text, given) {
            return Ok(self.fresh(known));
        }
        let all = self.parse_all(text)?;
        self.single(Arc::from(text), all, given)
    }

    /// The one statement that a text holds.
    pub(crate) fn single(
        &mut self,
        text: Arc<str>,
        mut all: Vec<Statement>,
        given: &[Option<SqlType>],
    ) -> Result<Arc<PreparedStatement>> {
        if all.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let syntax = all.pop().map(Arc::new);
        let statement = PreparedStatement::new(text, syntax, given.to_vec(), wall(&self.shared.host));
        self.remember(&statement);
        Ok(statement)
    }

    fn remember(&mut self, statement: &Arc<PreparedStatement>) {
        // Savepoints' names are often new ones: they would drive out what comes again.
        let comes_again = matches!(
            statement.kind(),
            StatementKind::Query | StatementKind::Begin | StatementKind::Commit | StatementKind::Rollback
        );
        if statement.text.len() > REMEMBERED_BYTES_MAX || !comes_again {
            return;
        }
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.clear();
        }
        statement.is_its_text(self.derived.standard_conforming_strings);
        self.remembered.insert(statement.text.clone(), statement.clone());
    }

    /// What is remembered of a text, if it means the same now.
    fn known(&self, text: &str, given: &[Option<SqlType>]) -> Option<Arc<PreparedStatement>> {
        let standard = self.derived.standard_conforming_strings;
        self.remembered.get(text).filter(|s| s.given() == given && s.is_read_as(standard)).cloned()
    }

    /// A text that came by itself may return other columns than last time: nobody was promised that they stay.
    fn fresh(&mut self, known: Arc<PreparedStatement>) -> Arc<PreparedStatement> {
        if !known.is_stale(self.derived.epoch) {
            return known;
        }
        let now = wall(&self.shared.host);
        let statement = known.anew(now);
        self.remember(&statement);
        statement
    }

    pub(crate) fn forget_plans(&mut self) {
        self.remembered.clear();
        self.templates.clear();
    }

    async fn statements_of(&mut self, text: &str) -> Result<Queue> {
        if let Some(known) = self.known(text, &[]) {
            return Ok(Queue::of(Queued::from(self.fresh(known))));
        }
        if let Some(queued) = self.from_template(text) {
            return Ok(Queue::of(queued));
        }
        let queue = self.queue_of(Arc::from(text)).await?;
        if let Some(queued) = queue.only() {
            let statement = queued.statement.clone();
            self.remember(&statement);
        }
        Ok(queue)
    }

    // --- the simple protocol

    /// Runs a string of statements.
    pub async fn simple(&mut self, text: &str, sink: &mut dyn Sink) -> Result<Outcome> {
        self.state.cancel.clear();
        // As PostgreSQL, a string ends what is unnamed.
        self.statements.remove("");
        self.portals.remove("");
        self.set_query(text);
        self.queue = match self.parsed(text).await {
            Ok(statements) => statements,
            Err(error) => {
                self.fail();
                return Err(error);
            }
        };
        if self.queue.is_empty() {
            sink.empty_query();
            return Ok(Outcome::Completed);
        }
        let is_alone = self.queue.is_one();
        self.run_queue(is_alone, sink).await
    }

    async fn parsed(&mut self, text: &str) -> Result<Queue> {
        self.refresh()?;
        self.start_clock();
        self.statements_of(text).await
    }

    /// `statement_timeout` begins to count.
    pub(crate) fn start_clock(&self) {
        let now = || self.shared.host.clock.monotonic();
        self.state.set_deadline(self.derived.statement_timeout.map(|timeout| now() + timeout));
    }

    pub(crate) async fn run_queue(&mut self, is_alone: bool, sink: &mut dyn Sink) -> Result<Outcome> {
        loop {
            match self.run_next(is_alone, sink).await {
                Ok(None) => {
                    self.queue.clear();
                    return Ok(Outcome::Completed);
                }
                Ok(Some(Outcome::CopyIn)) => return Ok(Outcome::CopyIn),
                Ok(Some(_)) => {}
                Err(error) => return Err(self.fail_statement(error, sink).await),
            }
        }
    }

    /// Runs the string's next statement; None: there is none.
    async fn run_next(&mut self, is_alone: bool, sink: &mut dyn Sink) -> Result<Option<Outcome>> {
        let Some(queued) = self.next_queued().await? else { return Ok(None) };
        let is_last = self.queue.is_empty();
        let outcome = self.run_in_string(&queued, is_alone, is_last, sink).await?;
        if outcome == Outcome::CopyIn || is_last {
            return Ok(Some(outcome));
        }
        // The answers of a long string leave before its end.
        if sink.is_full() {
            self.settle().await?;
            sink.flow().await?;
        }
        // The time counts for each statement of a string.
        self.refresh()?;
        self.start_clock();
        Ok(Some(outcome))
    }

    pub(crate) fn send_notices(&mut self, sink: &mut dyn Sink) {
        for notice in self.take_notices() {
            sink.notice(&notice);
        }
    }

    /// A statement is through: what it owes its transaction, its notices, its tag. `commits`: it ends the implicit block.
    /// `tells`: rows leave with it. A tag alone does not wait: it belongs to a transaction that commits behind what its locks showed,
    /// or not at all (docs/decisions/0005).
    pub(crate) async fn complete(&mut self, tag: &str, commits: bool, tells: bool, sink: &mut dyn Sink) -> Result<()> {
        types::stop::whole()?;
        // The last of a string ends nothing where the client's own block goes on.
        let has_ended = commits && self.end_implicit().await?;
        if tells && !has_ended {
            self.settle().await?;
        }
        self.send_notices(sink);
        sink.command_complete(tag);
        Ok(())
    }

    /// What an error does. It is told only when what it was found by (a key that is there) can no longer go away.
    pub(crate) async fn fail_statement(&mut self, error: SqlError, sink: &mut dyn Sink) -> SqlError {
        let settled = self.settle().await;
        self.fail();
        self.send_notices(sink);
        match settled {
            Ok(()) => error,
            // The statement's own error stands for its transaction's end as well as any other.
            Err(other) => {
                tracing::debug!(%other, "a failed statement did not settle");
                error
            }
        }
    }

    /// No row that is told may be undone: waits for what locks have shown in flight.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        match &self.open {
            Some(open) => Ok(open.txn.settle().await?),
            None => Ok(()),
        }
    }

    /// Commits, if no block of the client's is open; whether that was so.
    pub(crate) async fn end_implicit(&mut self) -> Result<bool> {
        match self.block.end_implicit() {
            crate::block::Action::Commit => self.commit().await.map(|()| true),
            _ => Ok(false),
        }
    }

    pub(crate) fn set_query(&self, text: impl AsRef<str> + Into<Arc<str>>) {
        let mut query = self.state.query.lock();
        if **query != *text.as_ref() {
            *query = text.into();
        }
        self.state.activity.fetch_or(8, Ordering::Relaxed);
    }

    /// No statement runs now, if not a COPY that waits for data.
    pub fn idle(&self) {
        if self.copy.is_some() {
            return;
        }
        self.state.set_deadline(None);
        let state = match self.block {
            BlockState::Idle | BlockState::Implicit => 0,
            BlockState::InBlock => 1,
            BlockState::Failed => 2,
        };
        self.state.activity.store(state, Ordering::Relaxed);
    }

    /// How long the client may stay silent as things stand, and the error that ends the session then.
    pub fn idle_limit(&self) -> Option<(Duration, SqlError)> {
        let timeouts = match self.derived.is_stale(&self.state) {
            true => IdleTimeouts::read(&self.state.settings.lock()),
            false => self.derived.idle_timeouts,
        };
        let (most, code, message) = match self.block {
            BlockState::InBlock | BlockState::Failed => (
                timeouts.in_transaction?,
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "terminating connection due to idle-in-transaction timeout",
            ),
            BlockState::Idle | BlockState::Implicit => (
                timeouts.outside?,
                SqlState::IDLE_SESSION_TIMEOUT,
                "terminating connection due to idle-session timeout",
            ),
        };
        Some((most, SqlError::new(code, message).severity(Severity::Fatal)))
    }

    pub(crate) fn check_count(&self, count: usize, what: &str) -> Result<()> {
        if count < NAMED_MAX {
            return Ok(());
        }
        Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("too many {what} in this session")))
    }

    pub(crate) fn role_name(&self, id: Oid) -> String {
        self.catalog.snapshot().role(id).map_or_else(|| id.to_string(), |r| r.name.clone())
    }
}

/// 53300 where a role or a database has all the sessions it may have. Superusers are not counted out.
fn check_limits(shared: &Shared, role: &catalog::Role, database: &catalog::Database) -> Result<()> {
    if role.is_superuser || role.connection_limit < 0 && database.connection_limit < 0 {
        return Ok(());
    }
    let sessions = shared.sessions();
    let of_role = sessions.iter().filter(|s| s.login_user == role.id).count();
    let of_database = sessions.iter().filter(|s| s.database == database.id).count();
    let is_reached = |limit: i32, count: usize| usize::try_from(limit).is_ok_and(|limit| count >= limit);
    let what = if is_reached(role.connection_limit, of_role) {
        format!("role \"{}\"", role.name)
    } else if is_reached(database.connection_limit, of_database) {
        format!("database \"{}\"", database.name)
    } else {
        return Ok(());
    };
    Err(SqlError::new(SqlState::TOO_MANY_CONNECTIONS, format!("too many connections for {what}")))
}

/// The settings a session starts with: the database's, the role's, the client's.
fn start_settings(
    shared: &Shared,
    database: &catalog::Database,
    role: &catalog::Role,
    login: &Login,
) -> Result<Settings> {
    let mut settings = Settings::new(shared.settings.clone());
    let stored = |settings: &mut Settings, name: &str, value: &str| {
        // A stored value that no longer fits must not lock anybody out.
        if let Err(error) = settings.set_base(name, value) {
            tracing::warn!(%error, name, "a stored setting was not applied");
        }
    };
    for (_, name, value) in database.settings.iter().filter(|(role, ..)| *role == 0) {
        stored(&mut settings, name, value);
    }
    for (name, value) in &role.settings {
        stored(&mut settings, name, value);
    }
    for (_, name, value) in database.settings.iter().filter(|(id, ..)| *id == role.id) {
        stored(&mut settings, name, value);
    }
    for (name, value) in &login.settings {
        check_right(name, role.is_superuser)?;
        settings.set_base(name, value)?;
    }
    settings.set_fact("session_authorization", &role.name);
    settings.set_fact("is_superuser", if role.is_superuser { "on" } else { "off" });
    Ok(settings)
}
