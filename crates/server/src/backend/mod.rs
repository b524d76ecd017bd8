//! The adapter from a session to the wire: `session::Session` as a `wire::Backend`.
//!
//! `session` knows no messages and `wire` no SQL; here the two meet. Every method translates and calls; what a statement does is the
//! session's business, what a frame looks like is the wire's.

mod sink;

use crate::engine::{Engine, postgres_now};
use async_trait::async_trait;
use exec::SessionAccess;
use exec::output::ValueFormat;
use session::{Binding, Login, Session, SessionState};
use sink::WireSink;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;
use txn::{CancelFlag, CancelReason};
use types::oid::Oid;
use types::{Severity, SqlError};
use wire::{
    Backend, BackendFactory, Bind, Cancel, CancelFuture, EndFuture, Format, Outcome, Output, Role, StartupParameters,
    TransactionStatus,
};

struct Factory {
    engine: Arc<Engine>,
}

/// The node's backends.
pub fn factory(engine: Arc<Engine>) -> Arc<dyn BackendFactory> {
    Arc::new(Factory { engine })
}

#[async_trait]
impl BackendFactory for Factory {
    async fn role(&self, user: &str) -> Result<Option<Role>, SqlError> {
        let snapshot = self.engine.shared.snapshot();
        let now = postgres_now(&self.engine.host);
        Ok(snapshot.role_by_name(user).map(|role| {
            let is_valid = role.valid_until.is_none_or(|until| until > now);
            let verifier = role.password.clone().filter(|_| is_valid);
            Role { verifier, superuser: role.is_superuser, may_log_in: role.can_login }
        }))
    }

    fn check(&self, given: &[(String, String)]) -> Result<(), SqlError> {
        self.engine.shared.check_start(&settings(given.to_vec()))
    }

    async fn connect(&self, parameters: StartupParameters) -> Result<Box<dyn Backend>, SqlError> {
        let login = Login {
            user: parameters.user,
            database: parameters.database,
            settings: settings(parameters.settings),
            process_id: parameters.process_id,
            client: Some(parameters.peer),
            server: Some(self.engine.sql_address),
            encryption: parameters.encryption.map(|e| (e.version, e.cipher, e.bits)),
        };
        let fatal = |error: SqlError| error.severity(Severity::Fatal);
        let session = Session::new(self.engine.shared.clone(), login).map_err(fatal)?;
        Ok(Box::new(SessionBackend { session, engine: self.engine.clone() }))
    }
}

/// The start-up packet's settings, with those of `options` (`-c name=value`, `--name=value`) taken apart.
fn settings(given: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut settings = Vec::with_capacity(given.len());
    for (name, value) in given {
        match name.as_str() {
            "options" => settings.extend(options(&value)),
            // Physical replication is not spoken; its parameter is no setting.
            "replication" => {}
            _ => settings.push((name, value)),
        }
    }
    settings
}

fn options(text: &str) -> Vec<(String, String)> {
    let mut settings = vec![];
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--") {
            Some(setting) => Some(setting.to_owned()),
            None => match word.strip_prefix("-c") {
                Some("") => words.next(),
                Some(setting) => Some(setting.to_owned()),
                None => None,
            },
        };
        if let Some((name, value)) = setting.as_deref().and_then(|s| s.split_once('=')) {
            settings.push((name.replace('-', "_"), value.to_owned()));
        }
    }
    settings
}

/// Words between blanks; a backslash takes the next character as it is.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut letters) = (vec![], String::new(), text.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => word.extend(letters.next()),
            letter if letter.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            letter => word.push(letter),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

struct SessionBackend {
    session: Session,
    engine: Arc<Engine>,
}

impl SessionBackend {
    /// When a statement starts; None: none is logged, however long it takes.
    fn started(&self) -> Option<Duration> {
        self.session.slow_after().map(|_| self.engine.host.clock.monotonic())
    }

    fn log_slow(&self, started: Option<Duration>) {
        let (Some(started), Some(threshold)) = (started, self.session.slow_after()) else { return };
        let took = self.engine.host.clock.monotonic().saturating_sub(started);
        if took >= threshold {
            self.engine.log_slow(&self.session.state().current_query(), took);
        }
    }
}

struct CancelHandle(Arc<SessionState>);

impl Cancel for CancelHandle {
    fn cancel(&self) {
        self.0.cancel.raise(CancelReason::User);
    }

    fn requested(&self) -> CancelFuture {
        Box::pin(self.0.clone().cancel_requested())
    }
}

/// A cancel request that comes when nothing runs is for nothing.
async fn told_to_end(flag: CancelFlag) -> SqlError {
    while flag.wait().await != CancelReason::Terminate {
        flag.clear();
    }
    txn::TxnError::Terminated.to_sql()
}

fn value_format(format: Format) -> ValueFormat {
    match format {
        Format::Text => ValueFormat::Text,
        Format::Binary => ValueFormat::Binary,
    }
}

fn outcome(outcome: session::Outcome) -> Outcome {
    match outcome {
        session::Outcome::Completed => Outcome::Completed,
        session::Outcome::Suspended => Outcome::Suspended,
        session::Outcome::CopyIn => Outcome::CopyIn,
    }
}

#[async_trait]
impl Backend for SessionBackend {
    async fn simple(&mut self, text: &str, output: &mut Output) -> Result<Outcome, SqlError> {
        let started = self.started();
        let result = self.session.simple(text, &mut WireSink { output }).await;
        self.log_slow(started);
        self.session.idle();
        result.map(outcome)
    }

    fn parse(&mut self, name: &str, text: &str, types: &[Oid]) -> Result<(), SqlError> {
        self.session.parse(name, text, types)
    }

    async fn parse_long(&mut self, name: &str, text: &str, types: &[Oid]) -> Result<(), SqlError> {
        self.session.parse_long(name, text, types).await
    }

    fn bind(&mut self, bind: Bind<'_>) -> Result<(), SqlError> {
        let parameter_formats: SmallVec<[ValueFormat; 8]> =
            bind.parameter_formats.iter().map(|f| value_format(*f)).collect();
        self.session.bind(Binding {
            portal: bind.portal,
            statement: bind.statement,
            parameter_formats: &parameter_formats,
            values: &bind.values,
            result_formats: bind.result_formats.iter().map(|f| value_format(*f)).collect(),
        })
    }

    fn describe_statement(&mut self, name: &str, output: &mut Output) -> Result<(), SqlError> {
        let (parameters, columns) = self.session.describe_statement(name)?;
        output.parameter_description(&parameters);
        sink::describe(output, columns.as_deref(), &[]);
        Ok(())
    }

    fn describe_portal(&mut self, name: &str, output: &mut Output) -> Result<(), SqlError> {
        let (columns, formats) = self.session.describe_portal(name)?;
        sink::describe(output, columns, formats);
        Ok(())
    }

    async fn execute(
        &mut self,
        portal: &str,
        max_rows: u32,
        is_last: bool,
        output: &mut Output,
    ) -> Result<Outcome, SqlError> {
        let started = self.started();
        let result = self.session.execute(portal, max_rows, is_last, &mut WireSink { output }).await;
        self.log_slow(started);
        self.session.idle();
        result.map(outcome)
    }

    fn close_statement(&mut self, name: &str) {
        self.session.close_statement(name);
    }

    fn close_portal(&mut self, name: &str) {
        self.session.close_portal(name);
    }

    fn is_at_rest(&self) -> bool {
        self.session.is_at_rest()
    }

    async fn sync(&mut self) -> Result<(), SqlError> {
        let result = self.session.sync().await;
        self.session.idle();
        result
    }

    fn protocol_error(&mut self) {
        self.session.protocol_error();
    }

    async fn copy_data(&mut self, data: &[u8]) -> Result<(), SqlError> {
        let result = self.session.copy_data(data).await;
        if result.is_err() {
            self.session.idle();
        }
        result
    }

    async fn copy_done(&mut self, output: &mut Output) -> Result<Outcome, SqlError> {
        let result = self.session.copy_done(&mut WireSink { output }).await;
        self.session.idle();
        result.map(outcome)
    }

    async fn copy_fail(&mut self, message: &str) -> SqlError {
        let error = self.session.copy_fail(message).await;
        self.session.idle();
        error
    }

    async fn copy_stopped(&mut self) -> SqlError {
        self.session.copy_stopped().await
    }

    fn transaction_status(&self) -> TransactionStatus {
        match self.session.block().letter() {
            b'T' => TransactionStatus::InTransaction,
            b'E' => TransactionStatus::Failed,
            _ => TransactionStatus::Idle,
        }
    }

    fn parameter_changes(&mut self) -> Vec<(String, String)> {
        self.session.parameter_changes()
    }

    fn notifications(&mut self) -> Vec<(i32, Arc<str>, Arc<str>)> {
        self.session.take_notifications().into_iter().map(|n| (n.process_id, n.channel, n.payload)).collect()
    }

    fn mail_signal(&self) -> Arc<tokio::sync::Notify> {
        self.session.mail_signal()
    }

    fn notices(&mut self) -> Vec<SqlError> {
        self.session.take_notices()
    }

    fn end_of_session(&self) -> EndFuture {
        Box::pin(told_to_end(self.session.cancel_flag()))
    }

    fn idle_limit(&self) -> Option<(Duration, SqlError)> {
        self.session.idle_limit()
    }

    fn cancel_handle(&self) -> Arc<dyn Cancel> {
        Arc::new(CancelHandle(self.session.state().clone()))
    }

    async fn terminate(&mut self) {
        self.session.end().await;
    }
}

#[test]
fn options_are_taken_apart_as_postgresql_does() {
    let given = vec![("options".to_owned(), "-c geqo=off --search-path=a\\ b -cstatement_timeout=5".to_owned())];
    let expected = [("geqo", "off"), ("search_path", "a b"), ("statement_timeout", "5")];
    let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    assert_eq!(settings(given), expected);
}
