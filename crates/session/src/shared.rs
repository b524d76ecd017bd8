//! What all sessions of a node share.

use crate::conflicts::Conflicts;
use crate::settings::{ServerSettings, Settings};
use crate::snapshots::ExportedSnapshots;
use crate::state::SessionState;
use catalog::{Catalog, Snapshot};
use exec::{NodeBudget, SpillFolder};
use host::{Host, Spawn};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use txn::{Gateway, SessionId};
use types::{Oid, Result};

/// 2000-01-01 UTC in microseconds since 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// One per node.
pub struct Shared {
    pub host: Host,
    pub gateway: Arc<Gateway>,
    pub catalog: Arc<Catalog>,
    /// Memory for the statements of all sessions.
    pub memory: Arc<NodeBudget>,
    pub spill: SpillFolder,
    /// Where long statements compute; None: where their sessions run.
    pub workers: Option<Arc<dyn Spawn>>,
    /// Microseconds since 2000-01-01 UTC.
    pub started: i64,
    /// What the node's own configuration says of the sessions' parameters.
    pub settings: Arc<ServerSettings>,
    /// What notifications that wait for their listeners take.
    pub(crate) mail_bytes: AtomicUsize,
    pub(crate) conflicts: Conflicts,
    pub(crate) snapshots: ExportedSnapshots,
    next: AtomicU64,
    sessions: Mutex<BTreeMap<u64, Weak<SessionState>>>,
}

impl Shared {
    /// The error of settings that no session could start with, whosever it is: 42704, 22023.
    pub fn check_start(&self, given: &[(String, String)]) -> Result<()> {
        let mut settings = Settings::new(self.settings.clone());
        given.iter().try_for_each(|(name, value)| settings.set_base(name, value))
    }

    pub fn new(
        host: Host,
        gateway: Arc<Gateway>,
        catalog: Arc<Catalog>,
        memory: Arc<NodeBudget>,
        spill: SpillFolder,
        workers: Option<Arc<dyn Spawn>>,
        settings: ServerSettings,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            started: wall(&host),
            host,
            gateway,
            catalog,
            memory,
            spill,
            workers,
            settings: Arc::new(settings),
            mail_bytes: AtomicUsize::new(0),
            conflicts: Conflicts::default(),
            snapshots: ExportedSnapshots::default(),
            next: AtomicU64::new(1),
            sessions: Mutex::default(),
        })
    }

    pub(crate) fn next_id(&self) -> SessionId {
        SessionId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn enter(&self, state: &Arc<SessionState>) {
        self.sessions.lock().insert(state.id.0, Arc::downgrade(state));
    }

    pub(crate) fn leave(&self, id: SessionId) {
        self.sessions.lock().remove(&id.0);
        self.gateway.end_session(id);
    }

    pub(crate) fn session(&self, id: SessionId) -> Option<Arc<SessionState>> {
        self.sessions.lock().get(&id.0).and_then(Weak::upgrade)
    }

    /// The node's sessions, oldest first.
    pub fn sessions(&self) -> Vec<Arc<SessionState>> {
        self.sessions.lock().values().filter_map(Weak::upgrade).collect()
    }

    /// Sessions connected to a database, but for one.
    pub(crate) fn sessions_in(&self, database: Oid, but: SessionId) -> usize {
        self.sessions().iter().filter(|s| s.database == database && s.id != but).count()
    }

    /// Tells those to end.
    pub(crate) fn end_sessions_in(&self, database: Oid, but: SessionId) {
        for session in self.sessions().iter().filter(|s| s.database == database && s.id != but) {
            session.cancel.raise(txn::CancelReason::Terminate);
        }
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog.current()
    }
}

/// Microseconds since 2000-01-01 UTC of those since 1970.
pub(crate) fn from_unix(micros: i64) -> i64 {
    micros.saturating_sub(EPOCH_MICROS)
}

/// The wall clock, in microseconds since 2000-01-01 UTC.
pub(crate) fn wall(host: &Host) -> i64 {
    from_unix(host.clock.wall())
}
