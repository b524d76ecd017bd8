//! Accepting clients: sockets are dealt round to the session runtimes, one task for each connection.

use crate::auth::AuthMethod;
use crate::backend::BackendFactory;
use crate::cancel::Registry;
use crate::connection;
use crate::latency::Latency;
use crate::limits::Slots;
use crate::linger::LastHeard;
use host::{Host, Spawn};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;

/// How far the node's shutdown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Running,
    /// No new connections; those outside a transaction end, those inside may finish it.
    Draining,
    /// Running statements are cancelled and all connections end.
    Closing,
}

/// What the operator chose.
#[derive(Clone)]
pub struct Settings {
    /// For clients on loopback.
    pub local_auth: AuthMethod,
    /// For all others.
    pub remote_auth: AuthMethod,
    /// Whether others than loopback must use TLS.
    pub remote_needs_tls: bool,
    pub tls: Option<Arc<ServerConfig>>,
    pub max_connections: usize,
    /// Connections above `max_connections` that only superusers get.
    pub superuser_reserve: usize,
}

/// All connections of one node share this.
pub struct Service {
    pub(crate) factory: Arc<dyn BackendFactory>,
    pub(crate) settings: Settings,
    pub(crate) host: Host,
    pub(crate) registry: Arc<Registry>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) latency: Arc<Latency>,
    pub(crate) last_heard: LastHeard,
    /// What made-up salts come from: one name always gets the same.
    pub(crate) secret: [u8; 32],
}

impl Service {
    pub fn new(
        factory: Arc<dyn BackendFactory>,
        settings: Settings,
        host: Host,
        phase: watch::Receiver<Phase>,
    ) -> Arc<Service> {
        let mut secret = [0; 32];
        host.random.fill(&mut secret);
        let slots = Slots::new(settings.max_connections, settings.superuser_reserve);
        Arc::new(Service {
            factory,
            settings,
            host,
            registry: Arc::default(),
            slots,
            phase,
            latency: Arc::default(),
            last_heard: LastHeard::default(),
            secret,
        })
    }

    /// How long query strings and executions of portals take.
    pub fn latency(&self) -> &Latency {
        &self.latency
    }

    /// Connections that are logged in.
    pub fn connections(&self) -> usize {
        self.slots.taken()
    }
}

/// Pause after a failed accept (usually: no file descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the node drains. `runtimes` are the session runtimes; each must run on one thread.
pub async fn serve(listener: TcpListener, runtimes: Vec<Arc<dyn Spawn>>, service: Arc<Service>) {
    let mut phase = service.phase.clone();
    let mut next = runtimes.iter().cycle();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = phase.wait_for(|phase| *phase != Phase::Running) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                host::clock::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(runtime) = next.next() else { return };
        // A socket belongs to the runtime that it was registered with: it moves as the operating system's.
        let Ok(stream) = stream.set_nodelay(true).and_then(|()| stream.into_std()) else { continue };
        let service = service.clone();
        let task = async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => connection::serve(stream, peer, service).await,
                Err(error) => tracing::warn!(%error, "a connection could not be registered"),
            }
        };
        runtime.spawn("sql connection", Box::pin(task));
    }
}
