//! The part of a session that running statements look at: `exec::SessionAccess` over it.
//!
//! Shared with the operators of the session's statements and, for pg_stat_activity, with other sessions. Each field behind its own
//! short lock, none held while another is taken.

use crate::advisory::Advisory;
use crate::live::{Lists, Live};
use crate::mailbox::Mailbox;
use crate::put_off::PutOff;
use crate::random::SessionRandom;
use crate::search_path::{self, SearchPath};
use crate::settings::Settings;
use crate::shared::Shared;
use catalog::sequences::{SequenceState, SessionSequences};
use catalog::{Relation, Snapshot};
use exec::{AdvisoryKey, AdvisoryRequest, BoxFuture, DeferredCheck, SessionAccess, Signal};
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use txn::{
    CancelFlag, CancelReason, Gateway, Isolation, SessionId, Timestamp, Transaction, TxnError, TxnFacts,
    WeakTransaction,
};
use types::{Oid, Result, Severity, SqlError};

/// How long a request to cancel waits for a statement.
const CANCEL_LOOKS: u32 = 20;
const CANCEL_PAUSE: Duration = Duration::from_millis(1);
/// Notices kept for one statement; the rest is dropped.
const NOTICES_MAX: usize = 10_000;

/// Settings that belong to the running transaction, apart from `Settings` because each BEGIN changes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TransactionFacts {
    pub isolation: Isolation,
    /// READ UNCOMMITTED was asked for: READ COMMITTED under its name.
    pub is_uncommitted: bool,
    pub read_only: bool,
    pub deferrable: bool,
    /// AS OF SYSTEM TIME.
    pub as_of: Option<Timestamp>,
}

pub(crate) const READ_UNCOMMITTED: &str = "read uncommitted";

fn isolation_named(name: &str) -> Isolation {
    match name {
        READ_UNCOMMITTED | "read committed" => Isolation::ReadCommitted,
        "repeatable read" => Isolation::RepeatableRead,
        _ => Isolation::Serializable,
    }
}

impl TransactionFacts {
    /// What `default_transaction_…` say.
    pub(crate) fn default_of(settings: &Settings) -> TransactionFacts {
        let level = settings.get("default_transaction_isolation").unwrap_or_default();
        TransactionFacts {
            isolation: isolation_named(level),
            is_uncommitted: level == READ_UNCOMMITTED,
            read_only: settings.flag("default_transaction_read_only"),
            deferrable: settings.flag("default_transaction_deferrable"),
            as_of: None,
        }
    }
}

pub struct SessionState {
    pub id: SessionId,
    pub process_id: i32,
    pub database: Oid,
    pub database_name: String,
    pub client: Option<SocketAddr>,
    pub server: Option<SocketAddr>,
    /// Version, cipher and bits of an encrypted connection.
    pub encryption: Option<(String, String, i32)>,
    /// Microseconds since 2000-01-01 UTC.
    pub connected: i64,
    pub cancel: CancelFlag,
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Mutex<Settings>,
    current_user: AtomicU32,
    session_user: AtomicU32,
    /// Of the login; SET SESSION AUTHORIZATION DEFAULT goes back to it.
    pub(crate) login_user: Oid,
    temporary_schema: AtomicU32,
    /// When the statement at hand must have ended: microseconds of the monotonic clock; 0: it may take its time.
    deadline: AtomicU64,
    transaction_time: AtomicI64,
    statement_time: AtomicI64,
    /// 0 idle, 1 in a transaction, 2 failed; with 8: a statement runs.
    pub(crate) activity: AtomicU8,
    pub(crate) query: Mutex<Arc<str>>,
    facts: Mutex<TransactionFacts>,
    path: Mutex<Arc<SearchPath>>,
    notices: Mutex<Vec<SqlError>>,
    random: Mutex<SessionRandom>,
    sequences: Mutex<SessionSequences>,
    /// Apart from the rest: statements add to it as they run.
    pub(crate) put_off: Mutex<PutOff<DeferredCheck>>,
    pub(crate) lists: Mutex<Lists>,
    pub(crate) advisory: Advisory,
    pub(crate) mailbox: Mailbox,
    /// The open transaction, if any.
    current: Mutex<WeakTransaction>,
    pub(crate) has_exported: AtomicBool,
}

/// Who a session is.
pub(crate) struct Identity {
    pub process_id: i32,
    pub database: Oid,
    pub database_name: String,
    pub user: Oid,
    pub client: Option<SocketAddr>,
    pub server: Option<SocketAddr>,
    pub encryption: Option<(String, String, i32)>,
}

impl SessionState {
    pub(crate) fn new(shared: Arc<Shared>, identity: Identity, settings: Settings) -> Arc<SessionState> {
        let now = crate::shared::wall(&shared.host);
        let random = SessionRandom::from_seed(shared.host.random.next_u64());
        let id = shared.next_id();
        let state = Arc::new(SessionState {
            id,
            process_id: identity.process_id,
            database: identity.database,
            database_name: identity.database_name,
            client: identity.client,
            server: identity.server,
            encryption: identity.encryption,
            connected: now,
            cancel: CancelFlag::new(),
            settings: Mutex::new(settings),
            current_user: AtomicU32::new(identity.user),
            session_user: AtomicU32::new(identity.user),
            login_user: identity.user,
            temporary_schema: AtomicU32::new(0),
            deadline: AtomicU64::new(0),
            transaction_time: AtomicI64::new(now),
            statement_time: AtomicI64::new(now),
            activity: AtomicU8::new(0),
            query: Mutex::new(Arc::from("")),
            facts: Mutex::default(),
            path: Mutex::new(Arc::new(SearchPath { schemas: vec![], creation: None })),
            notices: Mutex::default(),
            random: Mutex::new(random),
            sequences: Mutex::default(),
            put_off: Mutex::default(),
            lists: Mutex::default(),
            mailbox: Mailbox::default(),
            advisory: Advisory::new(shared.gateway.clone(), id, identity.database),
            current: Mutex::default(),
            has_exported: AtomicBool::new(false),
            shared: shared.clone(),
        });
        shared.enter(&state);
        state
    }

    /// 42501 for a parameter that is not the current user's to set.
    pub(crate) fn check_settable(&self, name: &str) -> Result<()> {
        let is_superuser = || catalog::privileges::is_superuser(&self.shared.snapshot(), self.current_user());
        crate::settings::check_right(name, false).or_else(|error| if is_superuser() { Ok(()) } else { Err(error) })
    }

    /// Cancels the statement that runs, or that is about to: somebody who sends a statement and asks for its end on another
    /// connection at once may be heard there first.
    pub async fn cancel_requested(self: Arc<Self>) {
        for _ in 0..CANCEL_LOOKS {
            if self.activity.load(Ordering::Relaxed) & 8 != 0 {
                break;
            }
            host::clock::sleep(CANCEL_PAUSE).await;
        }
        self.cancel.raise(CancelReason::User);
    }

    pub(crate) fn set_deadline(&self, deadline: Option<Duration>) {
        let micros = deadline.map_or(0, |at| u64::try_from(at.as_micros()).unwrap_or(u64::MAX).max(1));
        self.deadline.store(micros, Ordering::Relaxed);
    }

    /// 57014 (or 57P01) if the statement at hand must stop.
    pub(crate) fn check_stop(&self) -> Result<()> {
        self.cancel.check()?;
        match self.deadline() {
            Some(deadline) if self.shared.host.clock.monotonic() > deadline => Err(TxnError::Deadline.into()),
            _ => Ok(()),
        }
    }

    pub(crate) fn set_current_user(&self, role: Oid) {
        self.current_user.store(role, Ordering::Relaxed);
    }
    pub(crate) fn set_session_user(&self, role: Oid) {
        self.session_user.store(role, Ordering::Relaxed);
    }
    pub(crate) fn set_temporary_schema(&self, schema: Option<Oid>) {
        self.temporary_schema.store(schema.unwrap_or(0), Ordering::Relaxed);
    }
    pub(crate) fn start_transaction(&self, now: i64, facts: TransactionFacts) {
        self.transaction_time.store(now, Ordering::Relaxed);
        self.set_facts(facts);
    }
    pub(crate) fn transaction_start(&self) -> i64 {
        self.transaction_time.load(Ordering::Relaxed)
    }
    /// A transaction has been opened.
    pub(crate) fn set_current(&self, txn: &Transaction) {
        *self.current.lock() = txn.downgrade();
    }
    pub(crate) fn transaction_facts(&self) -> Option<TxnFacts> {
        let current = self.current.lock().clone();
        current.facts()
    }
    pub(crate) fn set_facts(&self, facts: TransactionFacts) {
        *self.facts.lock() = facts;
    }
    pub(crate) fn facts(&self) -> TransactionFacts {
        *self.facts.lock()
    }
    pub(crate) fn start_statement(&self, now: i64) {
        self.statement_time.store(now, Ordering::Relaxed);
    }
    pub(crate) fn take_notices(&self) -> Vec<SqlError> {
        std::mem::take(&mut *self.notices.lock())
    }
    pub(crate) fn has_notices(&self) -> bool {
        !self.notices.lock().is_empty()
    }

    /// After a change of the catalog, of the setting or of the role.
    pub(crate) fn resolve_path(&self, catalog: &Snapshot) -> Arc<SearchPath> {
        let setting = self.settings.lock().get("search_path").unwrap_or_default().to_owned();
        let path = search_path::resolve(&setting, catalog, self.database, self.current_user(), self.temporary_schema());
        let mut kept = self.path.lock();
        if **kept != path {
            *kept = Arc::new(path);
        }
        kept.clone()
    }

    pub(crate) fn end_transaction(&self) {
        self.advisory.end_transaction();
        if self.has_exported.swap(false, Ordering::Relaxed) {
            self.shared.snapshots.forget(self.id);
        }
        self.put_off.lock().clear();
    }
    pub(crate) fn discard_sequences(&self) {
        self.sequences.lock().discard();
    }
}

pub(crate) fn isolation_name(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadCommitted => "read committed",
        Isolation::RepeatableRead => "repeatable read",
        Isolation::Serializable => "serializable",
    }
}

fn on_off(flag: bool) -> String {
    if flag { "on" } else { "off" }.to_owned()
}

impl SessionAccess for SessionState {
    fn database(&self) -> Oid {
        self.database
    }
    fn database_name(&self) -> String {
        self.database_name.clone()
    }
    fn current_user(&self) -> Oid {
        self.current_user.load(Ordering::Relaxed)
    }
    fn session_user(&self) -> Oid {
        self.session_user.load(Ordering::Relaxed)
    }
    fn backend_pid(&self) -> i32 {
        self.process_id
    }
    fn client_address(&self) -> Option<(String, u16)> {
        self.client.map(|a| (a.ip().to_canonical().to_string(), a.port()))
    }
    fn server_address(&self) -> Option<(String, u16)> {
        self.server.map(|a| (a.ip().to_canonical().to_string(), a.port()))
    }
    fn server_start_time(&self) -> i64 {
        self.shared.started
    }

    fn setting(&self, name: &str) -> Option<String> {
        match name.to_ascii_lowercase().as_str() {
            "transaction_isolation" if self.facts().is_uncommitted => Some(READ_UNCOMMITTED.to_owned()),
            "transaction_isolation" => Some(isolation_name(self.facts().isolation).to_owned()),
            "transaction_read_only" => Some(on_off(self.facts().read_only)),
            "transaction_deferrable" => Some(on_off(self.facts().deferrable)),
            _ => self.settings.lock().get(name).map(str::to_owned),
        }
    }
    fn set_setting(&self, name: &str, value: &str, local: bool) -> Result<String> {
        self.check_settable(name)?;
        self.settings.lock().set_text(name, value, local)
    }
    fn search_path(&self) -> Vec<Oid> {
        self.path.lock().schemas.clone()
    }
    fn temporary_schema(&self) -> Option<Oid> {
        Some(self.temporary_schema.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }
    fn virtual_source(&self) -> Option<Arc<dyn catalog::virtuals::Source>> {
        let me = self.shared.session(self.id)?;
        Some(Arc::new(Live(me)))
    }
    fn deadline(&self) -> Option<Duration> {
        Some(self.deadline.load(Ordering::Relaxed)).filter(|at| *at > 0).map(Duration::from_micros)
    }
    fn current_query(&self) -> String {
        self.query.lock().to_string()
    }
    fn signal(&self, process_id: i32, reason: CancelReason) -> Option<Signal> {
        self.signal_other(process_id, reason)
    }
    fn notify(&self, channel: &str, payload: &str) -> Result<()> {
        self.mailbox.notify(&self.shared, channel, payload)
    }
    fn listening_channels(&self) -> Vec<Arc<str>> {
        self.mailbox.channels()
    }
    fn blocking_pids(&self, process_id: i32) -> Vec<i32> {
        self.blockers_of(process_id)
    }
    fn is_in_progress(&self, txn: u64) -> bool {
        self.has_transaction(txn)
    }
    fn export_snapshot(&self, txn: &Transaction) -> Result<String> {
        self.export_current(txn)
    }
    fn notification_usage(&self) -> f64 {
        crate::mailbox::usage(&self.shared)
    }
    fn txn_status<'a>(&'a self, gateway: &'a Arc<Gateway>, token: &'a str) -> BoxFuture<'a, Result<&'static str>> {
        Box::pin(self.token_status(gateway, token))
    }
    fn notice(&self, notice: SqlError) {
        let mut notices = self.notices.lock();
        if notices.len() < NOTICES_MAX {
            notices.push(notice);
        }
    }

    fn transaction_time(&self) -> i64 {
        self.transaction_time.load(Ordering::Relaxed)
    }
    fn statement_time(&self) -> i64 {
        self.statement_time.load(Ordering::Relaxed)
    }
    fn random(&self) -> f64 {
        self.random.lock().next_fraction()
    }
    fn set_seed(&self, seed: f64) {
        *self.random.lock() = SessionRandom::from_fraction(seed);
    }

    fn next_value<'a>(&'a self, sequence: &'a Arc<Relation>) -> BoxFuture<'a, Result<Option<i64>>> {
        Box::pin(async move {
            let value = self.shared.catalog.sequences().nextval(sequence).await?;
            if let Some(value) = value {
                self.sequences.lock().record(sequence.id, value);
            }
            Ok(value)
        })
    }
    fn set_value<'a>(&'a self, sequence: &'a Arc<Relation>, value: i64, is_called: bool) -> BoxFuture<'a, Result<i64>> {
        Box::pin(async move {
            self.shared.catalog.sequences().setval(sequence, value, is_called).await?;
            if is_called {
                self.sequences.lock().record_setval(sequence.id, value);
            }
            Ok(value)
        })
    }
    fn sequence_state<'a>(&'a self, sequence: &'a Arc<Relation>) -> BoxFuture<'a, Result<Option<SequenceState>>> {
        Box::pin(async move { self.shared.catalog.sequences().state(sequence).await.map(Some) })
    }
    fn current_value(&self, sequence: &Relation) -> Result<i64> {
        self.sequences.lock().currval(sequence)
    }
    fn last_value(&self) -> Result<i64> {
        self.sequences.lock().lastval().map(|(_, value)| value)
    }

    fn advisory_lock<'a>(
        &'a self,
        txn: &'a Transaction,
        key: AdvisoryKey,
        request: AdvisoryRequest,
    ) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.advisory.lock(txn, key, request))
    }
    fn advisory_unlock(&self, key: AdvisoryKey, is_shared: bool) -> bool {
        let Some(warning) = self.advisory.unlock(key, is_shared) else { return true };
        self.notice(warning);
        false
    }
    fn advisory_unlock_all(&self) {
        self.advisory.unlock_all();
    }

    fn is_read_only(&self) -> bool {
        self.facts().read_only
    }
    fn is_deferred(&self, constraint: Oid, initially_deferred: bool) -> bool {
        let put_off = self.put_off.lock();
        let modes = put_off.modes();
        modes.by_id.get(&constraint).copied().or(modes.all).unwrap_or(initially_deferred)
    }
    fn defer(&self, check: DeferredCheck) {
        self.put_off.lock().add(check);
    }
    fn has_put_off(&self, relation: Oid) -> bool {
        self.put_off.lock().waiting().any(|check| check.relation() == relation)
    }
}

impl Drop for SessionState {
    fn drop(&mut self) {
        // What nobody has read no longer waits.
        self.mailbox.take(&self.shared);
        self.shared.leave(self.id);
    }
}

/// Whether `client_min_messages` lets a notice through.
pub(crate) fn is_wanted(notice: &SqlError, least: &str) -> bool {
    let rank = match notice.fields().severity {
        Severity::Debug => 1,
        Severity::Log => 2,
        Severity::Notice => 3,
        Severity::Warning => 4,
        // INFO always goes out.
        _ => 5,
    };
    rank >= match least {
        "error" | "fatal" | "panic" => 5,
        "warning" => 4,
        "notice" => 3,
        "log" => 2,
        _ => 1,
    }
}
