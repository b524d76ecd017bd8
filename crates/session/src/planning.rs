//! From a statement's text to its plan: here, or, where the text is long, on a worker's thread, so that the other sessions of this
//! thread go on.
//!
//! Everything that a plan is made from is copied out of the session first ([`Planning`]), so that it can be made anywhere. Wherever
//! that is, it ends when the statement is cancelled or its time is up.

use crate::rewritten::RewrittenWork;
use crate::session::Session;
use crate::state::SessionState;
use crate::statement::{Planned, PreparedStatement, Work};
use catalog::Snapshot;
use exec::{Prepared, SessionAccess};
use host::Host;
use sql::utility::Utility;
use sql::{
    BindContext, BoundKind, Parsed, Piece, PlanContext, PlannerSettings, ResultColumn, Statement, StatementKind,
};
use std::sync::Arc;
use tokio::sync::oneshot;
use txn::{Gateway, Isolation, Timestamp};
use types::stop::{StopCheck, while_wanted};
use types::{Datum, Result, SqlError, SqlState, SqlType};

/// Texts of more bytes are parsed and planned away from the session's thread: about a millisecond's work.
const LONG_TEXT: usize = 16 << 10;

/// The epoch of a plan that is not to be used again; the session's begin with 1.
const NO_EPOCH: u64 = 0;

/// What a plan is made from.
pub(crate) struct Planning {
    bind: BindContext,
    settings: PlannerSettings,
    state: Arc<SessionState>,
    gateway: Arc<Gateway>,
    host: Host,
    stop: StopCheck,
    epoch: u64,
    /// The snapshot that the plan is run with, where an index is younger.
    reads_at: Option<Timestamp>,
}

impl Planning {
    fn catalog(&self) -> &Arc<Snapshot> {
        &self.bind.catalog
    }

    /// Binds and plans. `old`: the statement's plan of before, whose parameters and columns it keeps (0A000 where it can not).
    fn plan(
        &self,
        statement: &PreparedStatement,
        old: Option<&Planned>,
        columns_of: impl FnOnce(&Utility) -> Result<Vec<ResultColumn>>,
    ) -> Result<Planned> {
        let Some(syntax) = while_wanted(&self.stop, || statement.syntax())? else {
            return Ok(Planned::new(self.epoch, Work::Nothing, vec![], vec![]));
        };
        let fixed: Vec<Option<SqlType>>;
        let given = match old {
            Some(old) => {
                fixed = old.parameters.iter().copied().map(Some).collect();
                &fixed
            }
            None => statement.given(),
        };
        let bound = while_wanted(&self.stop, || sql::bind(&syntax, &self.bind, given))?;
        let mut columns = bound.columns;
        let work = match bound.kind {
            BoundKind::Query(query) => Work::Query(self.query(&query, &bound.parameters)?),
            BoundKind::Rewritten(rewritten) => {
                let plan = |query: &sql::logical::Query, types: &[SqlType]| self.query(query, types);
                Work::Rewritten(Arc::new(RewrittenWork::new(*rewritten, &bound.parameters, plan)?))
            }
            BoundKind::Utility(utility) => {
                columns = columns_of(&utility)?;
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
        Ok(Planned::new(self.epoch, work, bound.parameters, columns))
    }

    fn query(&self, query: &sql::logical::Query, parameters: &[SqlType]) -> Result<Arc<Prepared>> {
        let rows = |relation: &catalog::Relation| self.gateway.rows_estimate(&relation.reference());
        let env = exec::expr::EvalContext {
            format: &self.bind.format,
            parameters: &[],
            session: &*self.state,
            catalog: self.catalog(),
            host: &self.host,
            gateway: &self.gateway,
            txn: None,
            outer: &[],
        };
        let fold = |expr: &sql::Expr| -> Option<Datum> { exec::fold(expr, &env) };
        let context = PlanContext {
            catalog: self.catalog(),
            rows: &rows,
            settings: &self.settings,
            reads_at: self.reads_at,
            fold: Some(&fold),
        };
        let plan = while_wanted(&self.stop, || sql::plan(query, parameters, &context))?;
        Prepared::new(Arc::new(plan))
    }
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

    fn planning(&self) -> Planning {
        Planning {
            bind: self.bind_context(),
            settings: self.derived.planner.clone(),
            state: self.state.clone(),
            gateway: self.shared.gateway.clone(),
            host: self.shared.host.clone(),
            stop: self.stop.clone(),
            epoch: self.plan_epoch(),
            reads_at: self.reads_before_an_index(),
        }
    }

    /// The transaction's snapshot, if it stays and an index has been made since: a plan of anybody else may use that.
    fn reads_before_an_index(&self) -> Option<Timestamp> {
        let open = self.open.as_ref()?;
        let snapshot = match open.facts.as_of {
            Some(past) => past,
            None if open.facts.isolation == Isolation::ReadCommitted => return None,
            None => Some(open.txn.snapshot()).filter(|at| *at != Timestamp::ZERO)?,
        };
        (snapshot < self.catalog.snapshot().newest_index()).then_some(snapshot)
    }

    /// What a plan made now is good for: one for an older snapshot is nobody's after this statement.
    fn plan_epoch(&self) -> u64 {
        match self.reads_before_an_index() {
            Some(_) => NO_EPOCH,
            None => self.derived.epoch,
        }
    }

    /// The plan that is there, if it holds now.
    fn kept_plan(&self, statement: &PreparedStatement) -> Option<Arc<Planned>> {
        statement.last_plan().filter(|p| p.epoch == self.derived.epoch && self.reads_before_an_index().is_none())
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
        if let Some(planned) = self.kept_plan(statement) {
            return Ok(planned);
        }
        let old = statement.last_plan();
        let columns_of = |utility: &Utility| self.utility_columns(utility);
        let planned = Arc::new(self.planning().plan(statement, old.as_deref(), columns_of)?);
        statement.keep_plan(planned.clone());
        Ok(planned)
    }

    /// The same, of a query with a long text on a worker's thread.
    pub(crate) async fn planned_anywhere(&mut self, statement: &Arc<PreparedStatement>) -> Result<Arc<Planned>> {
        let is_long = statement.text.len() > LONG_TEXT && statement.kind() == StatementKind::Query;
        if !is_long || self.kept_plan(statement).is_some() {
            return self.planned(statement);
        }
        let (planning, statement) = (self.planning(), statement.clone());
        let plan = move || {
            let old = statement.last_plan();
            let columns_of = |_: &Utility| Err(SqlError::internal("a query has become another statement"));
            let planned = Arc::new(planning.plan(&statement, old.as_deref(), columns_of)?);
            statement.keep_plan(planned.clone());
            Ok(planned)
        };
        self.away(plan).await
    }

    pub(crate) fn parse_all(&self, text: &str) -> Result<Vec<Statement>> {
        while_wanted(&self.stop, || sql::parse(text, self.derived.standard_conforming_strings))
    }

    /// The same; a long text is parsed on a worker's thread.
    pub(crate) async fn parse_anywhere(&mut self, text: &Arc<str>) -> Result<Vec<Statement>> {
        if text.len() <= LONG_TEXT {
            return self.parse_all(text);
        }
        let (text, stop, standard) = (text.clone(), self.stop.clone(), self.derived.standard_conforming_strings);
        self.away(move || while_wanted(&stop, || sql::parse(&text, standard))).await
    }

    /// The same, of a string with any number of statements.
    pub(crate) async fn parse_many_anywhere(&mut self, text: &Arc<str>) -> Result<Parsed> {
        let (stop, standard) = (self.stop.clone(), self.derived.standard_conforming_strings);
        if text.len() <= LONG_TEXT {
            return while_wanted(&stop, || sql::parse_many(text, standard));
        }
        let text = text.clone();
        self.away(move || while_wanted(&stop, || sql::parse_many(&text, standard))).await
    }

    /// One statement of such a string.
    pub(crate) async fn parse_piece_anywhere(&mut self, text: &Arc<str>, piece: Piece) -> Result<Vec<Statement>> {
        let stop = self.stop.clone();
        if piece.text(text).len() <= LONG_TEXT {
            return while_wanted(&stop, || piece.parse(text));
        }
        let text = text.clone();
        self.away(move || while_wanted(&stop, || piece.parse(&text))).await
    }

    /// Does the work on a worker's thread, where there is one.
    async fn away<T: Send + 'static>(&mut self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let Some(workers) = &self.shared.workers else { return work() };
        let (sender, result) = oneshot::channel();
        let task = async move {
            // Nobody waits for it any more: the client has gone.
            let _ = sender.send(work());
        };
        workers.spawn("planning", Box::pin(task));
        result.await.map_err(|_| SqlError::internal("a statement's planning ended in a panic"))?
    }

    /// A query that is part of a utility statement, as a portal runs it.
    pub(crate) fn planned_query(&self, query: &sql::logical::Query) -> Result<Arc<Planned>> {
        let work = Work::Query(self.plan_query(query, &[])?);
        let columns = query.result.clone();
        Ok(Arc::new(Planned::new(self.derived.epoch, work, vec![], columns)))
    }

    pub(crate) fn plan_query(&self, query: &sql::logical::Query, parameters: &[SqlType]) -> Result<Arc<Prepared>> {
        self.planning().query(query, parameters)
    }
}
