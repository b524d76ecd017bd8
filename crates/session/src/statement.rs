//! Prepared statements and their plans; `planning` makes these.

use crate::rewritten::RewrittenWork;
use exec::Prepared;
use parking_lot::Mutex;
use sql::utility::Utility;
use sql::{ResultColumn, Statement, StatementKind};
use std::sync::Arc;
use types::SqlType;

/// A statement's text and, as long as it holds, its plan.
pub(crate) struct PreparedStatement {
    pub text: Arc<str>,
    /// None: the string holds no statement.
    pub syntax: Option<Arc<Statement>>,
    /// What the client said of $1, $2, …
    given: Vec<Option<SqlType>>,
    planned: Mutex<Option<Arc<Planned>>>,
    /// Microseconds since 2000, for pg_prepared_statements.
    pub prepared_at: i64,
    pub from_sql: bool,
}

impl PreparedStatement {
    pub fn new(text: Arc<str>, syntax: Option<Arc<Statement>>, given: Vec<Option<SqlType>>, now: i64) -> Arc<Self> {
        let planned = Mutex::default();
        Arc::new(PreparedStatement { text, syntax, given, planned, prepared_at: now, from_sql: false })
    }

    /// What PREPARE makes.
    pub fn from_sql(text: Arc<str>, syntax: Arc<Statement>, given: Vec<Option<SqlType>>, now: i64) -> Arc<Self> {
        let planned = Mutex::default();
        let syntax = Some(syntax);
        Arc::new(PreparedStatement { text, syntax, given, planned, prepared_at: now, from_sql: true })
    }

    /// The columns of its result, as it was last planned.
    pub fn columns(&self) -> Option<Vec<ResultColumn>> {
        self.planned.lock().as_ref().map(|planned| planned.columns.clone())
    }

    /// Types of $1, $2, …, as it was last planned.
    pub fn parameter_types(&self) -> Vec<SqlType> {
        self.planned.lock().as_ref().map(|planned| planned.parameters.clone()).unwrap_or_default()
    }

    /// Nobody was promised the columns that it had.
    pub fn forget(&self) {
        *self.planned.lock() = None;
    }

    /// Whether its plan was made for another state of catalog or settings.
    pub fn is_stale(&self, epoch: u64) -> bool {
        self.planned.lock().as_ref().is_some_and(|planned| planned.epoch != epoch)
    }

    pub fn kind(&self) -> StatementKind {
        self.syntax.as_ref().map_or(StatementKind::Utility, |s| s.kind())
    }

    pub fn is_transaction_control(&self) -> bool {
        self.syntax.as_ref().is_some_and(|s| s.is_transaction_control())
    }

    /// The plan that was made last, for whatever state of catalog and settings.
    pub fn last_plan(&self) -> Option<Arc<Planned>> {
        self.planned.lock().clone()
    }

    pub fn keep_plan(&self, planned: Arc<Planned>) {
        *self.planned.lock() = Some(planned);
    }

    pub fn given(&self) -> &[Option<SqlType>] {
        &self.given
    }
}

/// A statement bound (and planned) against one state of catalog and settings.
pub(crate) struct Planned {
    pub epoch: u64,
    pub work: Work,
    pub parameters: Vec<SqlType>,
    pub columns: Vec<ResultColumn>,
    /// Whether it has a result at all: that of `SELECT FROM t` has no columns.
    pub returns_rows: bool,
}

impl Planned {
    pub fn new(epoch: u64, work: Work, parameters: Vec<SqlType>, columns: Vec<ResultColumn>) -> Planned {
        let is_select = matches!(&work, Work::Query(prepared) if prepared.plan.tag == sql::logical::CommandTag::Select);
        Planned { epoch, work, parameters, returns_rows: is_select || !columns.is_empty(), columns }
    }
}

pub(crate) enum Work {
    Query(Arc<Prepared>),
    Rewritten(Arc<RewrittenWork>),
    Utility(Arc<Utility>),
    /// The empty string.
    Nothing,
}
