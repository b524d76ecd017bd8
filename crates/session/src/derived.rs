//! What statements need of settings, role and catalog, derived once for many statements.

use crate::formats::format_settings;
use crate::search_path::SearchPath;
use crate::settings::{Settings, parse_milliseconds};
use crate::state::{SessionState, TransactionFacts};
use catalog::Snapshot;
use catalog::user_types::TypesInScope;
use exec::SessionAccess;
use sql::PlannerSettings;
use std::sync::Arc;
use std::time::Duration;
use types::user_type::UserTypesHandle;
use types::{FormatSettings, Oid, Result};

/// Valid for one state of the session; `refresh` brings it up to date.
pub(crate) struct Derived {
    /// Raised whenever a plan may have become void.
    pub epoch: u64,
    basis: Option<Basis>,
    /// `now` is the transaction's start.
    pub format: Arc<FormatSettings>,
    pub path: Arc<SearchPath>,
    pub planner: PlannerSettings,
    pub work_mem: usize,
    pub statement_timeout: Option<Duration>,
    pub lock_timeout: Option<Duration>,
    /// Statements that take as long are logged; None: none is.
    pub slow_after: Option<Duration>,
    pub standard_conforming_strings: bool,
    pub client_min_messages: Arc<str>,
    pub idle_timeouts: IdleTimeouts,
    /// What `default_transaction_…` say.
    pub transaction: TransactionFacts,
    /// `hyrax.txn_token`.
    pub token: Option<Arc<str>>,
}

/// The name that the client has given to its transaction.
pub(crate) fn token(settings: &Settings) -> Option<Arc<str>> {
    settings.get(crate::tokens::SETTING).filter(|token| !token.is_empty()).map(Arc::from)
}

/// What all of it depends on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Basis {
    settings: u64,
    catalog: u64,
    role: Oid,
    temporary: Option<Oid>,
}

impl Default for Derived {
    fn default() -> Derived {
        Derived {
            epoch: 0,
            basis: None,
            format: Arc::new(FormatSettings::default()),
            path: Arc::new(SearchPath { schemas: vec![], creation: None }),
            planner: PlannerSettings::default(),
            work_mem: 0,
            statement_timeout: None,
            lock_timeout: None,
            slow_after: None,
            standard_conforming_strings: true,
            client_min_messages: Arc::from(""),
            idle_timeouts: IdleTimeouts::default(),
            transaction: TransactionFacts::default(),
            token: None,
        }
    }
}

/// How long a client may stay silent.
#[derive(Clone, Copy, Default)]
pub(crate) struct IdleTimeouts {
    pub in_transaction: Option<Duration>,
    pub outside: Option<Duration>,
}

impl IdleTimeouts {
    pub fn read(settings: &Settings) -> IdleTimeouts {
        IdleTimeouts {
            in_transaction: timeout(settings, "idle_in_transaction_session_timeout"),
            outside: timeout(settings, "idle_session_timeout"),
        }
    }
}

/// `log_min_duration_statement`; -1 is never.
pub(crate) fn slow_after(settings: &Settings) -> Option<Duration> {
    let value = settings.get("log_min_duration_statement").filter(|value| !value.starts_with('-'));
    value.and_then(parse_milliseconds).map(Duration::from_millis)
}

fn timeout(settings: &Settings, name: &str) -> Option<Duration> {
    match settings.milliseconds(name) {
        0 => None,
        milliseconds => Some(Duration::from_millis(milliseconds)),
    }
}

impl Derived {
    /// Whether settings have changed since.
    pub fn is_stale(&self, state: &SessionState) -> bool {
        let generation = state.settings.lock().generation();
        self.basis.is_none_or(|basis| basis.settings != generation)
    }

    pub fn refresh(&mut self, state: &SessionState, catalog: &Arc<Snapshot>) -> Result<()> {
        let basis = Basis {
            settings: state.settings.lock().generation(),
            catalog: catalog.version,
            role: state.current_user(),
            temporary: state.temporary_schema(),
        };
        if self.basis == Some(basis) {
            return Ok(());
        }
        if self.basis.is_none_or(|old| old.settings != basis.settings) {
            self.read(&state.settings.lock())?;
        }
        self.path = state.resolve_path(catalog);
        let (catalog, database, search_path) = (catalog.clone(), state.database(), self.path.schemas.clone());
        let types = TypesInScope { catalog, database, search_path };
        Arc::make_mut(&mut self.format).user_types = UserTypesHandle::new(Arc::new(types));
        self.epoch += 1;
        self.basis = Some(basis);
        Ok(())
    }

    fn read(&mut self, settings: &Settings) -> Result<()> {
        self.format = Arc::new(format_settings(settings, self.format.now)?);
        self.planner = PlannerSettings {
            enable_seqscan: settings.flag("enable_seqscan"),
            enable_indexscan: settings.flag("enable_indexscan"),
            enable_indexonlyscan: settings.flag("enable_indexonlyscan"),
            enable_hashjoin: settings.flag("enable_hashjoin"),
            enable_mergejoin: settings.flag("enable_mergejoin"),
            enable_nestloop: settings.flag("enable_nestloop"),
            enable_hashagg: settings.flag("enable_hashagg"),
            enable_sort: settings.flag("enable_sort"),
            enable_material: settings.flag("enable_material"),
            work_mem: settings.bytes("work_mem"),
        };
        self.work_mem = usize::try_from(settings.bytes("work_mem")).unwrap_or(usize::MAX);
        self.statement_timeout = timeout(settings, "statement_timeout");
        self.lock_timeout = timeout(settings, "lock_timeout");
        self.slow_after = slow_after(settings);
        self.standard_conforming_strings = settings.flag("standard_conforming_strings");
        self.client_min_messages = Arc::from(settings.get("client_min_messages").unwrap_or("notice"));
        self.idle_timeouts = IdleTimeouts::read(settings);
        self.transaction = TransactionFacts::default_of(settings);
        self.token = token(settings);
        Ok(())
    }

    /// A transaction begins: `now()` of its formats.
    pub fn set_now(&mut self, now: i64) {
        Arc::make_mut(&mut self.format).now = now;
    }
}
