//! Prepared statements and their plans; `planning` makes these.

use crate::rewritten::RewrittenWork;
use exec::Prepared;
use parking_lot::Mutex;
use sql::logical::CommandTag;
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
    /// Its parameters are the literals of other texts (`template`): it keeps their types for good.
    pub is_template: bool,
}

impl PreparedStatement {
    pub fn new(text: Arc<str>, syntax: Option<Arc<Statement>>, given: Vec<Option<SqlType>>, now: i64) -> Arc<Self> {
        Arc::new(PreparedStatement::made(text, syntax, given, now))
    }

    fn made(text: Arc<str>, syntax: Option<Arc<Statement>>, given: Vec<Option<SqlType>>, now: i64) -> Self {
        let (planned, from_sql, is_template) = (Mutex::default(), false, false);
        PreparedStatement { text, syntax, given, planned, prepared_at: now, from_sql, is_template }
    }

    /// A text with parameters in the place of literals.
    pub fn template(text: Arc<str>, syntax: Arc<Statement>, given: Vec<Option<SqlType>>, now: i64) -> Arc<Self> {
        let made = PreparedStatement::made(text, Some(syntax), given, now);
        Arc::new(PreparedStatement { is_template: true, ..made })
    }

    /// What PREPARE makes.
    pub fn from_sql(text: Arc<str>, syntax: Arc<Statement>, given: Vec<Option<SqlType>>, now: i64) -> Arc<Self> {
        let made = PreparedStatement::made(text, Some(syntax), given, now);
        Arc::new(PreparedStatement { from_sql: true, ..made })
    }

    /// The columns of its result, as it was last planned.
    pub fn columns(&self) -> Option<Vec<ResultColumn>> {
        self.planned.lock().as_ref().map(|planned| planned.columns.clone())
    }

    /// Types of $1, $2, …, as it was last planned.
    pub fn parameter_types(&self) -> Vec<SqlType> {
        self.planned.lock().as_ref().map(|planned| planned.parameters.clone()).unwrap_or_default()
    }

    /// Nobody was promised the columns that it had. A template keeps them: its parameters have been read for its types.
    pub fn forget(&self) {
        if self.is_template {
            return;
        }
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

impl Planned {
    /// Whether a direct plan: no operators, no batches.
    pub fn is_direct(&self) -> bool {
        matches!(&self.work, Work::Query(prepared) if prepared.is_direct())
    }

    /// Whether a statement may be run with so many parameters: one of each, or, of an INSERT of literals, those of all its rows.
    pub fn takes(&self, parameters: usize) -> bool {
        let width = self.parameters.len();
        let inserts = matches!(&self.work, Work::Query(prepared) if prepared.plan.tag == CommandTag::Insert);
        parameters == width || inserts && self.is_direct() && width > 0 && parameters.is_multiple_of(width)
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
        let is_select = matches!(&work, Work::Query(prepared) if prepared.plan.tag == CommandTag::Select);
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
