//! Prepared statements and their plans.

use crate::session::Session;
use exec::{Prepared, SessionAccess};
use parking_lot::Mutex;
use sql::utility::Utility;
use sql::{BindContext, BoundKind, PlanContext, ResultColumn, Statement, StatementKind};
use std::sync::Arc;
use types::{Datum, Result, SqlError, SqlState, SqlType};

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

    pub fn given(&self) -> &[Option<SqlType>] {
        &self.given
    }
}

/// A statement bound (and planned) against one state of catalog and settings.
pub(crate) struct Planned {
    epoch: u64,
    pub work: Work,
    pub parameters: Vec<SqlType>,
    pub columns: Vec<ResultColumn>,
    /// Whether it has a result at all: that of `SELECT FROM t` has no columns.
    pub returns_rows: bool,
}

impl Planned {
    fn new(epoch: u64, work: Work, parameters: Vec<SqlType>, columns: Vec<ResultColumn>) -> Planned {
        let is_select = matches!(&work, Work::Query(prepared) if prepared.plan.tag == sql::logical::CommandTag::Select);
        Planned { epoch, work, parameters, returns_rows: is_select || !columns.is_empty(), columns }
    }
}

pub(crate) enum Work {
    Query(Arc<Prepared>),
    Utility(Arc<Utility>),
    /// The empty string.
    Nothing,
}

impl Session {
    pub(crate) fn bind_context(&self) -> BindContext {
        BindContext {
            catalog: self.catalog.snapshot().clone(),
            database: self.state.database,
            search_path: self.derived.path.schemas.clone(),
            creation_schema: self.derived.path.creation,
            temporary_schema: self.state.temporary_schema(),
            role: self.state.current_user(),
            session_role: self.state.session_user(),
            format: self.derived.format.clone(),
            standard_conforming_strings: self.derived.standard_conforming_strings,
            is_implemented: exec::functions::is_implemented,
        }
    }

    /// Brings the session's view of the catalog and of its settings up to date.
    pub(crate) fn refresh(&mut self) -> Result<()> {
        self.catalog.refresh();
        if self.derived.is_stale(&self.state) {
            self.follow_roles();
        }
        self.derived.refresh(&self.state, self.catalog.snapshot())
    }

    /// The plan that holds now. A statement keeps the types of its parameters and columns: 0A000 where it cannot.
    pub(crate) fn planned(&mut self, statement: &PreparedStatement) -> Result<Arc<Planned>> {
        let old = statement.planned.lock().clone();
        if let Some(planned) = old.as_ref().filter(|p| p.epoch == self.derived.epoch) {
            return Ok(planned.clone());
        }
        let planned = Arc::new(self.plan_again(statement, old.as_deref())?);
        *statement.planned.lock() = Some(planned.clone());
        Ok(planned)
    }

    fn plan_again(&mut self, statement: &PreparedStatement, old: Option<&Planned>) -> Result<Planned> {
        let epoch = self.derived.epoch;
        let Some(syntax) = &statement.syntax else {
            return Ok(Planned::new(epoch, Work::Nothing, vec![], vec![]));
        };
        let fixed: Vec<Option<SqlType>>;
        let given = match old {
            Some(old) => {
                fixed = old.parameters.iter().copied().map(Some).collect();
                &fixed
            }
            None => &statement.given,
        };
        let bound = sql::bind(syntax, &self.bind_context(), given)?;
        let mut columns = bound.columns;
        let work = match bound.kind {
            BoundKind::Query(query) => Work::Query(self.plan_query(&query, &bound.parameters)?),
            BoundKind::Utility(utility) => {
                columns = self.utility_columns(&utility)?;
                Work::Utility(Arc::from(utility))
            }
        };
        let is_same = |old: &Planned| {
            old.columns.len() == columns.len()
                && old.columns.iter().zip(&columns).all(|(a, b)| a.ty == b.ty && a.name == b.name)
        };
        if old.is_some_and(|old| !is_same(old)) {
            let message = "cached plan must not change result type";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        }
        Ok(Planned::new(epoch, work, bound.parameters, columns))
    }

    /// A query that is part of a utility statement, as a portal runs it.
    pub(crate) fn planned_query(&self, query: &sql::logical::Query) -> Result<Arc<Planned>> {
        let work = Work::Query(self.plan_query(query, &[])?);
        let columns = query.result.clone();
        Ok(Arc::new(Planned::new(self.derived.epoch, work, vec![], columns)))
    }

    pub(crate) fn plan_query(&self, query: &sql::logical::Query, parameters: &[SqlType]) -> Result<Arc<Prepared>> {
        let catalog = self.catalog.snapshot();
        let gateway = &self.shared.gateway;
        let rows = |relation: &catalog::Relation| gateway.rows_estimate(&relation.reference());
        let host = &self.shared.host;
        let env = exec::expr::EvalContext {
            format: &self.derived.format,
            parameters: &[],
            session: &*self.state,
            catalog,
            host,
            gateway,
            txn: None,
            outer: &[],
        };
        let fold = |expr: &sql::Expr| -> Option<Datum> { exec::fold(expr, &env) };
        let context = PlanContext { catalog, rows: &rows, settings: &self.derived.planner, fold: Some(&fold) };
        Prepared::new(Arc::new(sql::plan(query, parameters, &context)?))
    }
}
