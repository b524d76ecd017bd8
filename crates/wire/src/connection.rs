//! One connection: login, then messages until the client leaves or the node stops.
//!
//! The loop reads one message, lets the backend answer it, and writes the socket only where a client may be waiting. While
//! the backend works, the socket is read ahead (bounded) so that a client that hangs up cancels its statement.

use crate::auth::{self, AuthMethod};
use crate::backend::{Backend, Cancel, Encryption, Outcome, Role, StartupParameters};
use crate::cancel::Registration;
use crate::decode::{self, Message};
use crate::limits::{LOGIN_TIMEOUT, MESSAGE_LIMIT};
use crate::linger::Linger;
use crate::listener::{Phase, Service};
use crate::output::{Output, put_i32};
use crate::socket::{Frame, ReadError, Reader, Socket};
use crate::startup::{self, Opening, Startup, VERSION_3_2};
use crate::vigil::{Call, Vigil};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use types::{Severity, SqlError, SqlState};

/// What a message did to the connection.
pub(crate) enum Step {
    Next,
    /// The client said goodbye, or can not be served any longer; what is to be said is in the buffer.
    End,
}

/// A connection that is in.
pub(crate) struct Connection {
    pub reader: Reader,
    pub output: Output,
    pub backend: Box<dyn Backend>,
    cancel: Arc<dyn Cancel>,
    phase: watch::Receiver<Phase>,
    vigil: Vigil,
    linger: Linger,
    service: Arc<Service>,
    /// An extended-protocol error: everything up to Sync is skipped.
    pub skipping: bool,
    /// Extended-protocol messages since the last Sync: the node does not end the connection between them.
    pub in_batch: bool,
}

/// The whole life of an accepted socket.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, service: Arc<Service>) {
    let Some(pending) = service.slots.pending() else {
        metrics::counter!("hyrax_sql_connections_refused_total").increment(1);
        return;
    };
    let login = host::clock::timeout(LOGIN_TIMEOUT, login(stream, peer, &service)).await;
    drop(pending);
    // The registration and the slot live as long as the session.
    let Some(Some((mut connection, registration, slot))) = login else { return };
    metrics::counter!("hyrax_sql_connections_total").increment(1);
    metrics::gauge!("hyrax_sql_connections").increment(1.0);
    connection.run().await;
    let _ = connection.output.flush().await;
    connection.output.close().await;
    connection.backend.terminate().await;
    metrics::gauge!("hyrax_sql_connections").decrement(1.0);
    drop((registration, slot));
    connection.reader.see_off().await;
}

type LoggedIn = (Connection, Registration, crate::limits::Slot);

async fn login(stream: TcpStream, peer: SocketAddr, service: &Arc<Service>) -> Option<LoggedIn> {
    let (socket, startup) = match startup::open(stream, service).await {
        Opening::Done => return None,
        Opening::Refused(socket, error) => {
            let (mut reader, mut output) = halves(socket);
            refuse(&mut reader, &mut output, &error).await;
            return None;
        }
        Opening::Start(socket, startup) => (socket, startup),
    };
    let encryption = socket.encryption();
    let (mut reader, mut output) = halves(socket);
    match enter(startup, peer, encryption, service, &mut reader, &mut output).await {
        Ok(Some((backend, registration, slot))) => {
            output.flush().await.ok()?;
            reader.enter(MESSAGE_LIMIT);
            let cancel = backend.cancel_handle();
            let phase = service.phase.clone();
            let vigil = Vigil::new(phase.clone(), backend.end_of_session(), backend.mail_signal());
            let linger = Linger::new(registration.process_id, service.last_heard.clone());
            let service = service.clone();
            let (skipping, in_batch) = (false, false);
            let connection =
                Connection { reader, output, backend, cancel, phase, vigil, linger, service, skipping, in_batch };
            Some((connection, registration, slot))
        }
        Ok(None) => None,
        Err(error) => {
            refuse(&mut reader, &mut output, &error.severity(Severity::Fatal)).await;
            None
        }
    }
}

fn halves(socket: Socket) -> (Reader, Output) {
    let (reader, writer) = socket.split();
    (reader, Output::new(writer))
}

async fn refuse(reader: &mut Reader, output: &mut Output, error: &SqlError) {
    metrics::counter!("hyrax_sql_logins_refused_total").increment(1);
    output.error(error);
    let _ = output.flush().await;
    output.close().await;
    reader.see_off().await;
}

type Entered = (Box<dyn Backend>, Registration, crate::limits::Slot);

/// Authenticates, takes a slot, makes the backend and writes what ends with the first ReadyForQuery.
async fn enter(
    startup: Startup,
    peer: SocketAddr,
    encryption: Option<Encryption>,
    service: &Service,
    reader: &mut Reader,
    output: &mut Output,
) -> Result<Option<Entered>, SqlError> {
    if startup.negotiate {
        auth::put_negotiation(output, startup.version, &startup.unknown_options);
    }
    let method = admission(&startup, peer, encryption.is_some(), service)?;
    if method == AuthMethod::Scram {
        service.factory.check(&startup.settings)?;
    }
    let random = service.host.random.as_ref();
    let role = auth::authenticate(method, &startup.user, service, reader, output).await?;
    let Some(Role { superuser, .. }) = role else { return Ok(None) };
    if *service.phase.borrow() != Phase::Running {
        return Err(SqlError::new(SqlState::CANNOT_CONNECT_NOW, "the database system is shutting down"));
    }
    let slot = service.slots.login(superuser)?;
    let secret_length = if startup.version >= VERSION_3_2 { 32 } else { 4 };
    let registration = service.registry.register(random, secret_length);
    let parameters = StartupParameters {
        user: startup.user.clone(),
        database: startup.database,
        settings: startup.settings,
        peer,
        process_id: registration.process_id,
        encryption,
    };
    let mut backend = service.factory.connect(parameters).await?;
    registration.arm(backend.cancel_handle());
    for (name, value) in reported(&startup.user, superuser, backend.parameter_changes()) {
        output.parameter_status(&name, &value);
    }
    output.frame(b'K', |buffer| {
        put_i32(buffer, registration.process_id);
        buffer.extend_from_slice(&registration.secret);
    });
    backend.notices().iter().for_each(|notice| output.notice(notice));
    output.frame(b'Z', |buffer| buffer.push(backend.transaction_status().code()));
    Ok(Some((backend, registration, slot)))
}

/// Whether a client from there may come in this way, and how it proves itself.
fn admission(startup: &Startup, peer: SocketAddr, encrypted: bool, service: &Service) -> Result<AuthMethod, SqlError> {
    if peer.ip().to_canonical().is_loopback() {
        return Ok(service.settings.local_auth);
    }
    if service.settings.remote_needs_tls && !encrypted {
        let (user, database, from) = (&startup.user, &startup.database, peer.ip());
        let message = format!(
            "no pg_hba.conf entry for host \"{from}\", user \"{user}\", database \"{database}\", no encryption"
        );
        return Err(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message)
            .hint("This node accepts connections from other machines only with TLS."));
    }
    Ok(service.settings.remote_auth)
}

/// The settings that PostgreSQL 15 reports at login, in its order, with what the backend says of them.
fn reported(user: &str, superuser: bool, changes: Vec<(String, String)>) -> Vec<(String, String)> {
    let version = crate::server_version();
    let on_off = |on| if on { "on" } else { "off" };
    let mut values: Vec<(String, String)> = [
        ("application_name", ""),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("default_transaction_read_only", "off"),
        ("in_hot_standby", "off"),
        ("integer_datetimes", "on"),
        ("IntervalStyle", "postgres"),
        ("is_superuser", on_off(superuser)),
        ("server_encoding", "UTF8"),
        ("server_version", version.as_str()),
        ("session_authorization", user),
        ("standard_conforming_strings", "on"),
        ("TimeZone", "UTC"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    for (name, value) in changes {
        match values.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => values.push((name, value)),
        }
    }
    values
}

impl Connection {
    async fn run(&mut self) {
        loop {
            let frame = match self.next_frame().await {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(error) => return self.output.error(&error.severity(Severity::Fatal)),
            };
            if let Step::End = self.handle(frame).await {
                return;
            }
            if self.output.is_broken() {
                return;
            }
        }
    }

    /// The next message. None: the client is gone. An error ends the connection.
    pub async fn next_frame(&mut self) -> Result<Option<Frame>, SqlError> {
        // Most messages of a batch have come with its first.
        if let Some(frame) = self.reader.take()? {
            return Ok(Some(frame));
        }
        match self.backend.idle_limit() {
            None => self.wait_for_frame().await,
            Some((most, error)) => host::clock::timeout(most, self.wait_for_frame()).await.unwrap_or(Err(error)),
        }
    }

    async fn wait_for_frame(&mut self) -> Result<Option<Frame>, SqlError> {
        loop {
            let status = self.backend.transaction_status();
            let idle = status == crate::TransactionStatus::Idle && !self.in_batch;
            let leave = if idle { Phase::Draining } else { Phase::Closing };
            match self.frame_or_call(leave).await {
                Ok(frame) => return read(frame),
                Err(Call::End(error)) => return Err(error),
                Err(Call::Mail) if idle => {
                    self.deliver();
                    // A socket that fails here is noticed by reading from it.
                    let _ = self.output.flush().await;
                }
                // It is delivered when the transaction or the batch is over.
                Err(Call::Mail) => {}
            }
        }
    }

    async fn frame_or_call(&mut self, leave: Phase) -> Result<Result<Option<Frame>, ReadError>, Call> {
        let (reader, vigil) = (&mut self.reader, &mut self.vigil);
        let frame = reader.frame();
        tokio::pin!(frame);
        let wait = std::future::poll_fn(|context| match frame.as_mut().poll(context) {
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            Poll::Pending => vigil.poll(leave, context).map(Err),
        });
        self.linger.over(self.service.host.clock.as_ref(), wait).await
    }

    /// The next message of a COPY, during which a statement runs: an error ends that statement.
    pub async fn next_copy_frame(&mut self) -> Result<Option<Frame>, SqlError> {
        let backend = self.backend.as_mut();
        let frame = tokio::select! {
            biased;
            frame = self.reader.frame() => frame,
            _ = self.phase.wait_for(|phase| *phase >= Phase::Closing) => return Err(shutting_down()),
            error = copy_must_stop(backend) => return Err(error),
        };
        read(frame).map_err(|error| error.severity(Severity::Fatal))
    }

    async fn handle(&mut self, frame: Frame) -> Step {
        let (tag, body) = match frame {
            Frame::Message { tag, body } => (tag, body),
            Frame::TooLong { tag } => {
                let message = format!("message of more than {MESSAGE_LIMIT} bytes");
                return self.reject(tag, SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)).await;
            }
        };
        if !decode::is_known(tag) {
            let error = decode::violation(format!("invalid frontend message type {tag}"));
            return self.reject(tag, error.severity(Severity::Fatal)).await;
        }
        if self.skipping && !matches!(tag, b'S' | b'X') {
            return Step::Next;
        }
        match decode::message(tag, &body) {
            Ok(Message::Terminate) => Step::End,
            Ok(Message::Query(text)) => self.query(text).await,
            // Left over from a COPY that failed: PostgreSQL drops them too.
            Ok(Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_)) => Step::Next,
            Ok(Message::FunctionCall) => {
                let error = SqlError::unsupported("the function call protocol is not supported");
                self.reject(tag, error).await
            }
            Ok(message) => self.extended(message).await,
            Err(error) => self.reject(tag, error).await,
        }
    }

    /// Answers a message that could not be understood or is not served.
    async fn reject(&mut self, tag: u8, error: SqlError) -> Step {
        if self.skipping {
            return Step::Next;
        }
        if matches!(tag, b'd' | b'c' | b'f') {
            return Step::Next;
        }
        self.backend.protocol_error();
        if decode::is_extended(tag) {
            return self.extended_error(error);
        }
        match self.fail(error) {
            Step::End => Step::End,
            Step::Next => self.ready().await,
        }
    }

    /// The simple protocol: a query string, then ReadyForQuery.
    async fn query(&mut self, text: &str) -> Step {
        self.in_batch = false;
        let started = self.now();
        let work = self.backend.simple(text, &mut self.output);
        let mut result = attend(&mut self.reader, &mut self.phase, self.cancel.as_ref(), work).await;
        self.took(started);
        while let Ok(Outcome::CopyIn) = result {
            result = match self.copy_in().await {
                Some(result) => result,
                None => return Step::End,
            };
        }
        if let Err(error) = result
            && let Step::End = self.fail(error)
        {
            return Step::End;
        }
        self.ready().await
    }

    pub fn now(&self) -> Duration {
        self.service.host.clock.monotonic()
    }

    pub fn took(&self, started: Duration) {
        self.service.latency.record(self.now().saturating_sub(started));
    }

    /// Sends an error; a fatal one ends the connection.
    pub fn fail(&mut self, error: SqlError) -> Step {
        self.report();
        self.output.error(&error);
        if error.fields().severity >= Severity::Fatal { Step::End } else { Step::Next }
    }

    /// Sends what the session has to say beside its answers.
    pub fn report(&mut self) {
        self.backend.notices().iter().for_each(|notice| self.output.notice(notice));
        for (name, value) in self.backend.parameter_changes() {
            self.output.parameter_status(&name, &value);
        }
    }

    /// Sends the notifications that have come, if the session is in no transaction.
    fn deliver(&mut self) {
        if self.backend.transaction_status() != crate::TransactionStatus::Idle {
            return;
        }
        for (process_id, channel, payload) in self.backend.notifications() {
            self.output.notification(process_id, &channel, &payload);
        }
    }

    /// ReadyForQuery; the client may be waiting now.
    pub async fn ready(&mut self) -> Step {
        self.report();
        self.deliver();
        let status = self.backend.transaction_status().code();
        self.output.frame(b'Z', |buffer| buffer.push(status));
        self.flush().await
    }

    pub async fn flush(&mut self) -> Step {
        match self.output.flush().await {
            Ok(()) => Step::Next,
            Err(_) => Step::End,
        }
    }

    /// What [`attend`] needs beside the work itself.
    pub fn parts(&mut self) -> (&mut Reader, &mut watch::Receiver<Phase>, &dyn Cancel, &mut dyn Backend, &mut Output) {
        (&mut self.reader, &mut self.phase, self.cancel.as_ref(), self.backend.as_mut(), &mut self.output)
    }
}

/// Waits for `work`; cancels it if the client hangs up or the node closes. Costs one poll if the work does not wait.
/// A panic in it ends the connection, and nothing else.
pub(crate) async fn attend<T>(
    reader: &mut Reader,
    phase: &mut watch::Receiver<Phase>,
    cancel: &dyn Cancel,
    work: impl Future<Output = Result<T, SqlError>>,
) -> Result<T, SqlError> {
    let work = survive(work);
    tokio::pin!(work);
    tokio::select! {
        biased;
        result = &mut work => return result,
        () = reader.hung_up() => {}
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => {}
    }
    cancel.cancel();
    work.await
}

/// None: the client is gone.
fn read(frame: Result<Option<Frame>, ReadError>) -> Result<Option<Frame>, SqlError> {
    match frame {
        Ok(frame) => Ok(frame),
        Err(ReadError::Socket) => Ok(None),
        Err(ReadError::Protocol(error)) => Err(error),
    }
}

async fn copy_must_stop(backend: &mut dyn Backend) -> SqlError {
    backend.copy_stopped().await
}

/// A panic becomes an error that ends the connection: what it left of the backend's state is not used again.
async fn survive<T>(work: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
    tokio::pin!(work);
    std::future::poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))).unwrap_or_else(|_| Poll::Ready(Err(panicked())))
    })
    .await
}

/// [`survive`] for work that never waits.
pub(crate) fn survive_now<T>(work: impl FnOnce() -> Result<T, SqlError>) -> Result<T, SqlError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

#[cold]
fn panicked() -> SqlError {
    metrics::counter!("hyrax_sql_panics_total").increment(1);
    SqlError::internal("the session failed and ends")
        .detail("This is a fault of the server; its log says where.")
        .severity(Severity::Fatal)
}

pub(crate) fn shutting_down() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
        .severity(Severity::Fatal)
}

#[test]
fn what_the_backend_reports_replaces_the_defaults() {
    let values = reported("u", true, vec![("TimeZone".into(), "Europe/Rome".into()), ("x".into(), "y".into())]);
    assert_eq!(values.len(), 14);
    assert!(values.contains(&("TimeZone".into(), "Europe/Rome".into())));
    assert!(values.contains(&("is_superuser".into(), "on".into())));
}
