//! What a statement's execution may use: its transaction, the session, limits. One `StatementContext` per execution,
//! shared by the operators of the plan; `DirectContext` is the borrowed form for statements by full key, which have
//! no time to count references.

use crate::budget::MemoryBudget;
use catalog::sequences::SequenceState;
use catalog::{Relation, Snapshot};
use host::Host;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use txn::{CancelFlag, Gateway, Transaction};
use types::{Datum, FormatSettings, Oid, Result, SqlError};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What of a client's session functions and DML need. Implemented by `session`; every method is cheap but the async ones.
pub trait SessionAccess: Send + Sync {
    /// The database the session is connected to.
    fn database(&self) -> Oid;
    fn database_name(&self) -> String;
    fn current_user(&self) -> Oid;
    fn session_user(&self) -> Oid;
    fn backend_pid(&self) -> i32;
    /// Client's address and port; None on a local socket.
    fn client_address(&self) -> Option<(String, u16)> {
        None
    }
    /// Address and port the client connected to.
    fn server_address(&self) -> Option<(String, u16)> {
        None
    }
    /// When this server process started, in microseconds since 2000-01-01 UTC.
    fn server_start_time(&self) -> i64 {
        0
    }

    /// A setting's value as SHOW prints it; None: no such setting.
    fn setting(&self, name: &str) -> Option<String>;
    /// `set_config`: sets and returns the new value.
    fn set_setting(&self, name: &str, value: &str, local: bool) -> Result<String>;
    /// Ids of the schemas that names are looked up in, implicit ones (pg_temp, pg_catalog) in their place.
    fn search_path(&self) -> Vec<Oid>;
    fn temporary_schema(&self) -> Option<Oid>;
    /// Live state for pg_stat_activity and its like; None where there is no server.
    fn virtual_source(&self) -> Option<Arc<dyn catalog::virtuals::Source>> {
        None
    }
    /// NOTIFY: told when the transaction commits.
    fn notify(&self, channel: &str, payload: &str) -> Result<()> {
        let _ = (channel, payload);
        Ok(())
    }
    /// The channels that the session listens to.
    fn listening_channels(&self) -> Vec<Arc<str>> {
        vec![]
    }
    /// When the statement that runs now must have ended, on `host.clock.monotonic()`; None: it may take its time.
    fn deadline(&self) -> Option<Duration> {
        None
    }
    /// The statement's text as the client sent it.
    fn current_query(&self) -> String {
        String::new()
    }
    /// `pg_cancel_backend`, `pg_terminate_backend`: None where no session has that process id.
    fn signal(&self, process_id: i32, reason: txn::CancelReason) -> Option<Signal> {
        let _ = (process_id, reason);
        None
    }
    /// `pg_blocking_pids`: the process ids of the sessions that a session waits for.
    fn blocking_pids(&self, process_id: i32) -> Vec<i32> {
        let _ = process_id;
        vec![]
    }
    /// Whether a transaction of that number is open on this node.
    fn is_in_progress(&self, txn: u64) -> bool {
        let _ = txn;
        false
    }
    /// `pg_export_snapshot`: the name under which another transaction can take this one's snapshot.
    fn export_snapshot(&self, txn: &Transaction) -> Result<String> {
        let _ = txn;
        Err(SqlError::unsupported("snapshots can not be exported here"))
    }
    /// `pg_notification_queue_usage`: the part of the room for notifications that is taken.
    fn notification_usage(&self) -> f64 {
        0.0
    }
    /// `hyrax_txn_status`: what became of the transaction that a client named by a token.
    fn txn_status<'a>(&'a self, gateway: &'a Arc<Gateway>, token: &'a str) -> BoxFuture<'a, Result<&'static str>> {
        let _ = (gateway, token);
        Box::pin(std::future::ready(Ok("unknown")))
    }
    /// Queues a NOTICE or WARNING for the client.
    fn notice(&self, notice: SqlError);

    /// `now()`: microseconds since 2000-01-01 UTC.
    fn transaction_time(&self) -> i64;
    fn statement_time(&self) -> i64;
    /// `random()` in [0, 1), from the session's generator; `setseed` seeds it.
    fn random(&self) -> f64;
    fn set_seed(&self, seed: f64);

    /// None: its definition is being changed, or is not this one (`catalog::sequences::newest`).
    fn next_value<'a>(&'a self, sequence: &'a Arc<Relation>) -> BoxFuture<'a, Result<Option<i64>>>;
    fn set_value<'a>(&'a self, sequence: &'a Arc<Relation>, value: i64, is_called: bool) -> BoxFuture<'a, Result<i64>>;
    /// Where a sequence stands; None where that is not known.
    fn sequence_state<'a>(&'a self, sequence: &'a Arc<Relation>) -> BoxFuture<'a, Result<Option<SequenceState>>> {
        let _ = sequence;
        Box::pin(std::future::ready(Ok(None)))
    }
    /// `currval` (55000 before the first `nextval`) and `lastval`, of this session.
    fn current_value(&self, sequence: &Relation) -> Result<i64>;
    fn last_value(&self) -> Result<i64>;

    /// `pg_advisory_lock` and its kin; false: it was only tried, and somebody else has the lock.
    fn advisory_lock<'a>(
        &'a self,
        txn: &'a Transaction,
        key: AdvisoryKey,
        request: AdvisoryRequest,
    ) -> BoxFuture<'a, Result<bool>> {
        let _ = (txn, key, request);
        Box::pin(std::future::ready(Err(SqlError::unsupported("advisory locks are not supported here"))))
    }
    /// Gives back what the session (not a transaction) has locked; false, with a warning: it has not.
    fn advisory_unlock(&self, key: AdvisoryKey, is_shared: bool) -> bool {
        let _ = (key, is_shared);
        false
    }
    fn advisory_unlock_all(&self) {}

    /// Whether the transaction has been made READ ONLY.
    fn is_read_only(&self) -> bool {
        false
    }

    /// SET CONSTRAINTS: whether the constraint is checked at commit now.
    fn is_deferred(&self, constraint: Oid, initially_deferred: bool) -> bool {
        let _ = constraint;
        initially_deferred
    }
    /// Keeps a check for the commit (or SET CONSTRAINTS … IMMEDIATE); the session runs it with `exec::run_deferred`.
    fn defer(&self, check: crate::dml::DeferredCheck);
    /// Whether such a check of this relation's rows waits.
    fn has_put_off(&self, relation: Oid) -> bool {
        let _ = relation;
        false
    }
}

/// What became of a wish to stop another session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    Sent,
    /// The user has no rights of the session's role.
    NotMember,
    /// The session is a superuser's, and the user is none.
    NotSuperuser,
}

/// What an advisory lock is on: pg_locks' classid, objid and objsubid (1: one bigint, 2: two integers).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AdvisoryKey {
    pub class: u32,
    pub object: u32,
    pub kind: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdvisoryRequest {
    pub is_shared: bool,
    /// Goes with the transaction (or back to a savepoint), and not before.
    pub is_of_transaction: bool,
    pub waits: bool,
}

impl AdvisoryRequest {
    pub(crate) const fn of_transaction(self) -> AdvisoryRequest {
        AdvisoryRequest { is_of_transaction: true, ..self }
    }
    pub(crate) const fn tried(self) -> AdvisoryRequest {
        AdvisoryRequest { waits: false, ..self }
    }
}

/// One execution of one statement.
pub struct StatementContext {
    pub txn: Transaction,
    pub gateway: Arc<Gateway>,
    pub host: Host,
    pub catalog: Arc<Snapshot>,
    pub format: Arc<FormatSettings>,
    /// Values of $1, $2, … of the types the plan says.
    pub parameters: Arc<[Datum]>,
    pub session: Arc<dyn SessionAccess>,
    pub cancel: CancelFlag,
    pub memory: Arc<MemoryBudget>,
    pub spill: SpillFolder,
    /// Who helps with what is large; None: nobody.
    pub workers: Option<Arc<dyn host::Spawn>>,
}

impl StatementContext {
    /// 57014 (or 57P01) if the statement must stop. Asked once per batch.
    pub fn check(&self) -> Result<()> {
        self.cancel.check()?;
        match self.deadline() {
            Some(deadline) if self.host.clock.monotonic() > deadline => Err(txn::TxnError::Deadline.to_sql()),
            _ => Ok(()),
        }
    }
    /// On `host.clock.monotonic()`; 57014 after. A cursor that is read by a later statement has that statement's.
    pub fn deadline(&self) -> Option<Duration> {
        self.session.deadline()
    }
    pub(crate) fn env(&self) -> crate::expr::EvalContext<'_> {
        crate::expr::EvalContext {
            format: &self.format,
            parameters: &self.parameters,
            session: &*self.session,
            catalog: &self.catalog,
            host: &self.host,
            gateway: &self.gateway,
            txn: Some(&self.txn),
            outer: &[],
        }
    }
}

/// The borrowed context of a direct plan.
#[derive(Clone, Copy)]
pub struct DirectContext<'a> {
    /// None: a lone autocommit read, which needs no transaction.
    pub txn: Option<&'a Transaction>,
    pub gateway: &'a Arc<Gateway>,
    pub host: &'a Host,
    pub catalog: &'a Arc<Snapshot>,
    pub format: &'a FormatSettings,
    pub parameters: &'a [Datum],
    /// How many of them the plan has: an INSERT is run for each so many, all together one statement.
    pub width: usize,
    pub session: &'a dyn SessionAccess,
}

impl<'a> DirectContext<'a> {
    pub(crate) fn env(&self) -> crate::expr::EvalContext<'a> {
        crate::expr::EvalContext {
            format: self.format,
            parameters: self.parameters,
            session: self.session,
            catalog: self.catalog,
            host: self.host,
            gateway: self.gateway,
            txn: self.txn,
            outer: &[],
        }
    }
}

/// Where operators put what does not fit in memory. Files are removed when their owner goes; the folder is emptied at start.
#[derive(Clone)]
pub struct SpillFolder {
    pub files: Arc<dyn host::Files>,
    pub folder: PathBuf,
    /// Names are unique within the process.
    pub next: Arc<AtomicU64>,
}

impl SpillFolder {
    pub fn new(files: Arc<dyn host::Files>, folder: PathBuf) -> SpillFolder {
        SpillFolder { files, folder, next: Arc::new(AtomicU64::new(0)) }
    }
    pub(crate) fn next_path(&self) -> PathBuf {
        self.folder.join(format!("spill-{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }
}
