//! The life of a node: start, serve, drain, stop.
//!
//! I1  `Server::start` returns when SQL is answered, or with an error and everything given back.
//! I2  Stopping never loses what was answered: the log has it. A flush only makes the next start quick.

use crate::backend;
use crate::config::{Addresses, Auth, Config, ConfigError, is_loopback};
use crate::engine::{Engine, postgres_now};
use crate::folder::{self, DataFolder, FolderError};
use crate::http::{self, Recorder, Stage, Status};
use crate::parameters;
use crate::tasks::{Event, Supervised};
use crate::threads::Threads;
use catalog::{Catalog, Object};
use consensus::{NodeOptions, RaftNode};
use exec::{NodeBudget, SpillFolder};
use host::Host;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use storage::wal::WalOptions;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use txn::{Gateway, GatewayOptions};
use types::SqlError;
use wire::{AuthMethod, Phase};

/// Connections that the system holds for us while we are busy.
const BACKLOG: u32 = 4096;
/// Between two looks for transactions' tokens that are too old.
const TOKENS_EVERY: Duration = Duration::from_secs(60);
/// How long sessions that were told to end may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two looks at how many sessions are left.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Of the machine's memory, where `max_memory` says nothing, and where the machine does not tell.
const MEMORY_SHARE: u64 = 2;
const MEMORY_UNKNOWN: u64 = 2 << 30;
/// Of `max_memory`, for statements.
const STATEMENTS_SHARE: u64 = 2;
/// Of `max_memory`, for writes that are not committed.
const BUFFERS_SHARE: u64 = 4;
/// Of `max_memory`, for the rows of TEMP tables.
const TEMPORARY_SHARE: u64 = 8;
/// Descriptors beside those of connections: log, segments, spilled files, HTTP.
const OTHER_FILES: u64 = 200;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("can not listen on {address} ({setting}): {source}")]
    Listen { setting: &'static str, address: SocketAddr, source: io::Error },
    #[error("{path}: {reason}")]
    Certificate { path: String, reason: String },
    #[error("the log can not be opened: {0}")]
    Log(#[from] storage::StorageError),
    #[error("the shards do not start: {0}")]
    Shards(#[from] txn::TxnError),
    #[error("the catalog can not be read: {0}")]
    Catalog(SqlError),
    #[error("the folder's identity says cluster {identity}, its data belongs to cluster {data}")]
    OtherCluster { identity: String, data: String },
    #[error("a thread can not be started: {0}")]
    Threads(#[from] io::Error),
}

impl StartError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            StartError::Config(error) => error.hint(),
            StartError::Folder(error) => error.hint().map(str::to_owned),
            StartError::Listen { setting, source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some(format!("Stop what listens there, or name another port with --{setting}."))
            }
            StartError::OtherCluster { .. } => Some("Restore the folder as a whole from one backup.".to_owned()),
            _ => None,
        }
    }
}

/// How a stop went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Everything is flushed, all threads have ended.
    Clean,
    /// Sessions did not end in time, or the flush failed; the log has everything that was answered.
    Forced,
    /// A part that the node can not do without has ended.
    Failed,
}

/// A running node.
pub struct Server {
    engine: Arc<Engine>,
    service: Arc<wire::Service>,
    status: Arc<Status>,
    phase: watch::Sender<Phase>,
    supervised: Supervised,
    events: mpsc::Receiver<Event>,
    http_address: SocketAddr,
    raft: Arc<RaftNode>,
    threads: Threads,
    folder: DataFolder,
}

/// Forgets what became of transactions whose clients have had their time to ask.
async fn collect_tokens(gateway: Arc<Gateway>, retention: Duration) {
    loop {
        host::clock::sleep(TOKENS_EVERY).await;
        match gateway.collect_tokens(retention).await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "old transactions' tokens are forgotten"),
            Err(error) => tracing::warn!(%error, "old transactions' tokens stay for now"),
        }
    }
}

impl Server {
    /// Starts a node and returns when it serves. Blocks; not to be called from a task.
    pub fn start(config: Config, host: Host) -> Result<Server, StartError> {
        let started_at = postgres_now(&host);
        let addresses = config.check()?;
        let recorder = Recorder::install();
        warn_of_few_files(&config);
        let tls = load_tls(&config, &host)?;
        let folder = DataFolder::open(&host, &config.data)?;
        check_password(&config, &folder)?;
        let (supervised, events) = Supervised::new();
        let cores = host::process::cores();
        let count = |wanted: usize| if wanted == 0 { cores } else { wanted };
        let threads = Threads::start(count(config.session_threads), count(config.worker_threads), &supervised)?;
        let status = Status::new(recorder.clone());
        let (http_address, sql_socket) = open_ports(&addresses, &threads, &supervised, &status)?;
        supervised.over(threads.node.clone()).spawn("metrics upkeep", Box::pin(recorder.upkeep()));

        let (raft, gateway, catalog) = start_stack(&config, &host, &folder, &threads, &supervised)?;
        let (listener, sql_address) = listen("sql", sql_socket, addresses.sql, &threads)?;
        let memory = max_memory(&config) / STATEMENTS_SHARE;
        let memory = NodeBudget::new(usize::try_from(memory).unwrap_or(usize::MAX));
        let spill = SpillFolder::new(host.files.clone(), folder.spill());
        let workers: Option<Arc<dyn host::Spawn>> = Some(Arc::new(threads.workers.clone()));
        let engine = Arc::new(Engine {
            shared: session::Shared::new(
                host.clone(),
                gateway.clone(),
                catalog,
                memory,
                spill,
                workers,
                parameters::of_sessions(&config, sql_address),
            ),
            gateway,
            workers: threads.workers.clone(),
            started_at,
            sql_address,
            config,
            host,
        });
        let refresh = exec::analyze::Refresh {
            catalog: engine.shared.catalog.clone(),
            gateway: engine.gateway.clone(),
            host: engine.host.clone(),
        };
        supervised.over(threads.node.clone()).spawn("statistics", Box::pin(refresh.run()));
        let tokens = collect_tokens(engine.gateway.clone(), engine.config.txn_token_retention);
        supervised.over(threads.node.clone()).spawn("tokens", Box::pin(tokens));
        let (phase, watched) = watch::channel(Phase::Running);
        let settings = wire_settings(&engine.config, tls);
        let service = wire::Service::new(backend::factory(engine.clone()), settings, engine.host.clone(), watched);
        let accepting = wire::serve(listener, threads.sessions.clone(), service.clone());
        supervised.over(threads.node.clone()).spawn("accept", Box::pin(accepting));
        let _ = status.service.set(service.clone());
        status.set(Stage::Ready);
        tracing::info!(
            sql = %sql_address,
            http = %http_address,
            data = %folder.path.display(),
            cluster = folder::show_cluster(&folder.identity.cluster_id),
            node = folder.identity.node_id,
            is_new = folder.is_new,
            "ready"
        );
        Ok(Server { engine, service, status, phase, supervised, events, http_address, raft, threads, folder })
    }

    pub fn sql_address(&self) -> SocketAddr {
        self.engine.sql_address
    }

    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub fn data_folder(&self) -> &Path {
        &self.folder.path
    }

    /// Serves until SIGTERM or SIGINT, then drains and stops; a second signal ends the process at once.
    pub fn run(self) -> Exit {
        let supervised = self.supervised.clone();
        let task = async move {
            let (Ok(mut terminate), Ok(mut interrupt)) =
                (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
            else {
                return tracing::error!("signals can not be received");
            };
            for count in 1.. {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if count > 1 {
                    tracing::warn!(signal = name, "asked to stop again: ending at once");
                    std::process::exit(1);
                }
                tracing::info!(signal = name, "asked to stop: draining");
                supervised.tell(Event::StopAsked);
            }
        };
        self.supervised.over(self.threads.node.clone()).spawn("signals", Box::pin(task));
        match self.events.recv() {
            Ok(Event::VitalTaskEnded(_)) => {
                // Nothing is known about what else works: no flush, the log has everything.
                std::mem::forget(self);
                Exit::Failed
            }
            Ok(Event::StopAsked) | Err(_) => {
                let grace = self.engine.config.drain_timeout;
                self.stop(grace)
            }
        }
    }

    /// Drains for at most `grace`, ends what is left, flushes and ends all threads. Blocks.
    pub fn stop(self, grace: Duration) -> Exit {
        self.supervised.stopping();
        self.status.set(Stage::Draining);
        self.phase.send_replace(Phase::Draining);
        if !self.wait_for_sessions(grace) {
            tracing::info!(sessions = self.service.connections(), "ending the sessions that are left");
        }
        self.phase.send_replace(Phase::Closing);
        if !self.wait_for_sessions(CLOSE_TIMEOUT) {
            tracing::warn!(sessions = self.service.connections(), "sessions did not end in time");
            std::mem::forget(self);
            return Exit::Forced;
        }
        let flushed = self.threads.node.block_on(self.engine.gateway.stop());
        let exit = match flushed {
            Ok(()) => Exit::Clean,
            Err(error) => {
                tracing::error!(%error, "the last flush failed");
                Exit::Forced
            }
        };
        self.raft.stop();
        let Server { engine, service, threads, raft, folder, .. } = self;
        // Sessions' threads first; then nothing uses the gateway, nor the gateway the log; the folder's lock last.
        drop(threads);
        drop((service, engine));
        drop(raft);
        drop(folder);
        tracing::info!("stopped");
        exit
    }

    fn wait_for_sessions(&self, most: Duration) -> bool {
        let clock = &self.engine.host.clock;
        let until = clock.monotonic() + most;
        while self.service.connections() > 0 {
            if clock.monotonic() >= until {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }
}

type Stack = (Arc<RaftNode>, Arc<Gateway>, Arc<Catalog>);

/// Log, groups, shards, catalog: returns when both shards serve.
fn start_stack(
    config: &Config,
    host: &Host,
    folder: &DataFolder,
    threads: &Threads,
    supervised: &Supervised,
) -> Result<Stack, StartError> {
    let identity = folder.identity;
    let wal = WalOptions::new(folder.log());
    let options = NodeOptions { node_id: identity.node_id, host: host.clone(), wal, spawn: None };
    let raft = Arc::new(RaftNode::start(options)?);
    let rows = first_rows(config, host).map_err(StartError::Catalog)?;
    let options = GatewayOptions {
        host: host.clone(),
        node_id: identity.node_id,
        folder: Some(folder.path.clone()),
        memory: None,
        groups: raft.clone(),
        spawn: supervised.over(threads.node.clone()),
        bootstrap: Box::new(move || txn::Bootstrap { cluster_id: identity.cluster_id, rows }),
        limits: txn::Limits {
            spans: config.transaction_spans,
            row_locks: config.transaction_row_locks,
            buffer_bytes: usize::try_from(config.transaction_memory).unwrap_or(usize::MAX),
            buffers_bytes: usize::try_from(max_memory(config) / BUFFERS_SHARE).unwrap_or(usize::MAX),
            segment_bytes: usize::try_from(config.max_segment_size).unwrap_or(usize::MAX),
            temporary_bytes: max_memory(config) / TEMPORARY_SHARE,
            ..txn::Limits::default()
        },
    };
    // On this thread, so that HTTP answers while the log is replayed.
    let gateway = threads.node.block_on(Gateway::start(options))?;
    if gateway.cluster_id() != identity.cluster_id {
        let show = folder::show_cluster;
        let (identity, data) = (show(&identity.cluster_id), show(&gateway.cluster_id()));
        return Err(StartError::OtherCluster { identity, data });
    }
    let catalog = threads.node.block_on(Catalog::load(gateway.clone())).map_err(StartError::Catalog)?;
    Ok((raft, gateway, catalog))
}

/// What a new cluster's catalog starts with: role postgres has the initial password, if there is one.
fn first_rows(config: &Config, host: &Host) -> Result<Vec<txn::Mutation>, SqlError> {
    let mut objects = catalog::bootstrap::objects();
    if let Some(password) = &config.initial_password {
        let verifier = wire::Verifier::make(password, host.random.as_ref()).to_string();
        for object in &mut objects {
            if let Object::Role(role) = object
                && role.id == catalog::POSTGRES_ROLE
            {
                role.password = Some(verifier.clone());
            }
        }
    }
    catalog::bootstrap::rows_of(&objects)
}

/// A new cluster that nobody could log in to is not made.
fn check_password(config: &Config, folder: &DataFolder) -> Result<(), ConfigError> {
    if folder.is_new && config.auth == Auth::Scram && config.initial_password.is_none() {
        let reason = "`auth` asks for passwords, and in a new cluster no role has one".to_owned();
        let hint = "Set HYRAX_INITIAL_PASSWORD for this first start.";
        return Err(ConfigError::Unsafe { reason, hint });
    }
    if !folder.is_new && config.initial_password.is_some() {
        tracing::info!("initial_password has no effect: this cluster exists already");
    }
    Ok(())
}

fn warn_of_few_files(config: &Config) {
    let files = host::process::raise_open_files();
    let wanted = (config.max_connections + config.superuser_reserved_connections) as u64 + OTHER_FILES;
    if files < wanted {
        tracing::warn!(files, wanted, "the system allows fewer open files than max_connections needs (ulimit -n)");
    }
}

fn max_memory(config: &Config) -> u64 {
    let of_machine = || host::process::memory_bytes().map_or(MEMORY_UNKNOWN, |bytes| bytes / MEMORY_SHARE);
    config.max_memory.unwrap_or_else(of_machine)
}

fn load_tls(config: &Config, host: &Host) -> Result<Option<Arc<wire::TlsConfig>>, StartError> {
    let (Some(certificate), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let failed = |path: &Path, reason: String| StartError::Certificate { path: path.display().to_string(), reason };
    let read = |path: &Path| host.files.read(path).map_err(|error| failed(path, error.to_string()));
    let authority = config.tls_client_ca.as_deref().map(read).transpose()?;
    let made = wire::server_config(&read(certificate)?, &read(key)?, authority.as_deref());
    made.map(Some).map_err(|error| failed(certificate, error.to_string()))
}

fn wire_settings(config: &Config, tls: Option<Arc<wire::TlsConfig>>) -> wire::Settings {
    let (local_auth, remote_auth) = match (config.auth, config.insecure) {
        (Auth::Scram, _) => (AuthMethod::Scram, AuthMethod::Scram),
        (Auth::Trust, _) | (Auth::Automatic, true) => (AuthMethod::Trust, AuthMethod::Trust),
        (Auth::Automatic, false) => (AuthMethod::Trust, AuthMethod::Scram),
    };
    wire::Settings {
        local_auth,
        remote_auth,
        remote_needs_tls: !config.insecure,
        tls,
        max_connections: config.max_connections,
        superuser_reserve: config.superuser_reserved_connections,
    }
}

/// Opens the HTTP port and takes the SQL one without answering there yet: a port that is taken is found before the work.
fn open_ports(
    addresses: &Addresses,
    threads: &Threads,
    supervised: &Supervised,
    status: &Arc<Status>,
) -> Result<(SocketAddr, TcpSocket), StartError> {
    let _runtime = threads.node.enter();
    let (http, http_address) = listen("http", bind("http", addresses.http)?, addresses.http, threads)?;
    supervised.over(threads.node.clone()).spawn("http", Box::pin(http::serve(http, status.clone())));
    if !is_loopback(&addresses.sql) {
        tracing::info!(sql = %addresses.sql, "clients on other machines may connect");
    }
    Ok((http_address, bind("sql", addresses.sql)?))
}

fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpSocket, StartError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    };
    bound().map_err(|source| StartError::Listen { setting, address, source })
}

fn listen(
    setting: &'static str,
    socket: TcpSocket,
    address: SocketAddr,
    threads: &Threads,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let _runtime = threads.node.enter();
    let listening = || {
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listening().map_err(|source| StartError::Listen { setting, address, source })
}
