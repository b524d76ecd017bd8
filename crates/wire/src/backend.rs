//! The border to the session: what a connection asks of it, and what it gives.
//!
//! One [`Backend`] serves one connection; its methods are never called at the same time. Answers are written into
//! [`Output`]; an `Err` becomes an ErrorResponse (severity FATAL and PANIC also end the connection). `wire` itself writes
//! ParseComplete, BindComplete, CloseComplete, PortalSuspended and ReadyForQuery; the backend writes row descriptions,
//! rows, command tags, EmptyQueryResponse and the COPY responses.

use crate::Output;
use crate::vigil::EndFuture;
use async_trait::async_trait;
use smallvec::SmallVec;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use types::SqlError;
use types::oid::Oid;

/// How a value is written: its text, or its type's binary form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Binary,
}

/// What the client said when it connected. Already authenticated when a backend sees it.
#[derive(Clone, Debug)]
pub struct StartupParameters {
    pub user: String,
    /// The user's name if the client named none.
    pub database: String,
    /// The rest, in the client's order: settings such as `application_name`, and `options`.
    pub settings: Vec<(String, String)>,
    pub peer: SocketAddr,
    /// The number in BackendKeyData; what `pg_backend_pid()` answers.
    pub process_id: i32,
    /// None: in the clear.
    pub encryption: Option<Encryption>,
}

/// How a connection is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// `TLSv1.3`.
    pub version: String,
    /// `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    pub bits: i32,
}

/// What authentication must know of a role.
#[derive(Clone, Debug, Default)]
pub struct Role {
    /// Told only to who has proven to be it.
    pub may_log_in: bool,
    /// `SCRAM-SHA-256$…` as stored ([`crate::Verifier`]); none if the role has no password.
    pub verifier: Option<String>,
    /// May use the reserved connections.
    pub superuser: bool,
}

/// Where a session is, as ReadyForQuery says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    Idle,
    InTransaction,
    Failed,
}

impl TransactionStatus {
    pub fn code(self) -> u8 {
        match self {
            TransactionStatus::Idle => b'I',
            TransactionStatus::InTransaction => b'T',
            TransactionStatus::Failed => b'E',
        }
    }
}

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command tag (or EmptyQueryResponse) is written.
    Completed,
    /// The portal gave `max_rows` rows and may have more.
    Suspended,
    /// CopyInResponse is written; the client's data follows through [`Backend::copy_data`].
    CopyIn,
}

/// A Bind message. Borrowed from the frame it came in; counts are already checked against each other.
#[derive(Debug)]
pub struct Bind<'a> {
    pub portal: &'a str,
    pub statement: &'a str,
    /// One format for each value.
    pub parameter_formats: SmallVec<[Format; 8]>,
    /// NULL is None.
    pub values: SmallVec<[Option<&'a [u8]>; 8]>,
    /// None (all text), one (for all columns), or one for each column: the backend checks against its columns.
    pub result_formats: SmallVec<[Format; 8]>,
}

/// What a CancelRequest waits for.
pub type CancelFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Asks a running statement to stop. Called from any thread, at any time, also when nothing runs.
pub trait Cancel: Send + Sync {
    fn cancel(&self);

    /// The same for a client's CancelRequest, which may overtake the statement that it means. Ready when it is done.
    fn requested(&self) -> CancelFuture;
}

/// Makes backends. One for a node.
#[async_trait]
pub trait BackendFactory: Send + Sync {
    /// The role, or None if there is none.
    async fn role(&self, user: &str) -> Result<Option<Role>, SqlError>;

    /// The error of settings that no role could start with (unknown, or of a value that is none): told to a client before it is
    /// asked for a password, since it depends on nothing that a password protects.
    fn check(&self, _settings: &[(String, String)]) -> Result<(), SqlError> {
        Ok(())
    }

    /// A session for an authenticated client.
    async fn connect(&self, parameters: StartupParameters) -> Result<Box<dyn Backend>, SqlError>;
}

/// One connection's session.
#[async_trait]
pub trait Backend: Send {
    /// Runs a query string, all of its statements, as PostgreSQL's simple protocol does.
    async fn simple(&mut self, text: &str, output: &mut Output) -> Result<Outcome, SqlError>;

    /// Prepares a statement. A type of 0 is left to inference.
    fn parse(&mut self, name: &str, text: &str, types: &[Oid]) -> Result<(), SqlError>;

    /// The same, for a text that takes long: other connections of the thread go on meanwhile.
    async fn parse_long(&mut self, name: &str, text: &str, types: &[Oid]) -> Result<(), SqlError> {
        self.parse(name, text, types)
    }

    fn bind(&mut self, bind: Bind<'_>) -> Result<(), SqlError>;

    /// Writes ParameterDescription, then RowDescription or NoData.
    fn describe_statement(&mut self, name: &str, output: &mut Output) -> Result<(), SqlError>;

    /// Writes RowDescription or NoData.
    fn describe_portal(&mut self, name: &str, output: &mut Output) -> Result<(), SqlError>;

    /// Runs a portal for at most `max_rows` rows; 0 means all. `is_last`: the client's Sync is known to follow, so that what is
    /// also the first of its batch stands alone in its transaction.
    async fn execute(
        &mut self,
        portal: &str,
        max_rows: u32,
        is_last: bool,
        output: &mut Output,
    ) -> Result<Outcome, SqlError>;

    /// Drops a prepared statement; no error if there is none.
    fn close_statement(&mut self, name: &str);

    /// Drops a portal; no error if there is none.
    fn close_portal(&mut self, name: &str);

    /// Whether [`Backend::sync`] would find nothing to do.
    fn is_at_rest(&self) -> bool;

    /// The extended protocol's Sync: ends an implicit transaction (commits it, or rolls it back after an error).
    async fn sync(&mut self) -> Result<(), SqlError>;

    /// The extended protocol met an error that the backend did not raise (a malformed or over-long message). A
    /// transaction block is failed by it. Errors that the backend itself returns are its own to account for.
    fn protocol_error(&mut self);

    /// A piece of COPY data; pieces end anywhere, also within a row.
    async fn copy_data(&mut self, data: &[u8]) -> Result<(), SqlError>;

    /// The COPY data has ended. Goes on with the rest of a simple query string, so it may answer CopyIn again.
    async fn copy_done(&mut self, output: &mut Output) -> Result<Outcome, SqlError>;

    /// The client gave up its COPY: returns 57014 `COPY from stdin failed: …`.
    async fn copy_fail(&mut self, message: &str) -> SqlError;

    /// Ends when a COPY that waits for data must stop, with the error to send. Asked while there is no message, and dropped when
    /// one comes.
    async fn copy_stopped(&mut self) -> SqlError {
        std::future::pending().await
    }

    fn transaction_status(&self) -> TransactionStatus;

    /// Ready when somebody has ended the session, which the connection must follow although its client says nothing. Asked for once,
    /// and polled only while no message is there.
    fn end_of_session(&self) -> EndFuture;

    /// How long the client may stay silent as things stand, and the error that ends the connection then.
    fn idle_limit(&self) -> Option<(Duration, SqlError)>;

    /// Reported settings that changed since the last call (at first: that differ from what `wire` reports by itself).
    fn parameter_changes(&mut self) -> Vec<(String, String)>;

    /// Notifications that have come: (process id of who said it, channel, payload). Asked outside of transactions.
    fn notifications(&mut self) -> Vec<(i32, Arc<str>, Arc<str>)> {
        vec![]
    }

    /// Fires when notifications have come.
    fn mail_signal(&self) -> Arc<tokio::sync::Notify>;

    /// Notices since the last call that were not written to an [`Output`].
    fn notices(&mut self) -> Vec<SqlError>;

    fn cancel_handle(&self) -> Arc<dyn Cancel>;

    /// The connection has ended: rolls back what is open. Called once, last.
    async fn terminate(&mut self);
}
