//! EXPLAIN: plans, with ANALYZE runs, and lets `exec::explain` say it.

use crate::session::Session;
use crate::statement::Work;
use exec::Prepared;
use exec::explain::Explain;
use sql::utility::{ExplainOptions, Explained};
use std::sync::Arc;
use types::{Datum, Result, SqlError, SqlState, SqlType};

impl Session {
    /// The rows of the answer. `types`, `parameters`: the explaining statement's own.
    pub(crate) async fn explain(
        &mut self,
        explained: &Explained,
        options: &ExplainOptions,
        types: &[SqlType],
        parameters: Arc<[Datum]>,
    ) -> Result<Vec<String>> {
        match explained {
            Explained::Query(query) => self.explain_query(query, options, types, parameters).await,
            Explained::Rewritten(rewritten) => self.explain_rewritten(rewritten, options, types, parameters).await,
            Explained::Execute { name, args } => {
                let started = self.shared.host.clock.monotonic();
                let (prepared, parameters) = self.executed(name, args).await?;
                self.explain_planned(prepared, options, parameters, started).await
            }
            Explained::Utility => Ok(vec!["Utility statements have no plan structure".to_owned()]),
        }
    }

    pub(crate) async fn explain_query(
        &mut self,
        query: &sql::logical::Query,
        options: &ExplainOptions,
        types: &[SqlType],
        parameters: Arc<[Datum]>,
    ) -> Result<Vec<String>> {
        let started = self.shared.host.clock.monotonic();
        let prepared = self.plan_query(query, types)?;
        self.explain_planned(prepared, options, parameters, started).await
    }

    /// `started`: when planning did.
    async fn explain_planned(
        &mut self,
        prepared: Arc<Prepared>,
        options: &ExplainOptions,
        parameters: Arc<[Datum]>,
        started: std::time::Duration,
    ) -> Result<Vec<String>> {
        let clock = self.shared.host.clock.clone();
        let planning = clock.monotonic().saturating_sub(started);
        // Who may not run it is not told how it would run.
        exec::allow(&prepared.plan, self.catalog.snapshot())?;
        let (mut measures, mut execution) = (None, None);
        if options.analyze {
            self.before_write(&prepared).await?;
            self.begin_statement().await?;
            let context = self.statement_context(parameters)?;
            let started = clock.monotonic();
            let mut run = exec::execute_measured(&prepared, context)?;
            run.finish().await?;
            execution = Some(clock.monotonic().saturating_sub(started));
            measures = Some(run.measures().to_vec());
        }
        let settings = if options.settings { self.changed_planner_settings() } else { vec![] };
        Ok(exec::explain::render(&Explain {
            plan: &prepared.plan,
            catalog: self.catalog.snapshot(),
            options,
            measures: measures.as_deref(),
            planning,
            execution,
            settings: &settings,
        }))
    }

    async fn executed(&mut self, name: &str, args: &[sql::Expr]) -> Result<(Arc<Prepared>, Arc<[Datum]>)> {
        let (_, planned) = self.executable(name)?;
        let parameters = self.arguments(name, args, &planned.parameters).await?;
        match &planned.work {
            Work::Query(prepared) => Ok((prepared.clone(), parameters)),
            Work::Rewritten(_) => Err(SqlError::unsupported("EXPLAIN EXECUTE of what rules rewrite is not supported")),
            _ => {
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("prepared statement \"{name}\" is not a query")))
            }
        }
    }

    fn changed_planner_settings(&self) -> Vec<(String, String)> {
        let settings = self.state.settings.lock();
        let changed =
            crate::settings::all().iter().filter(|p| p.name.starts_with("enable_") || p.name.ends_with("_cost"));
        changed
            .filter_map(|p| settings.get(p.name).filter(|v| *v != p.default).map(|v| (p.name.to_owned(), v.to_owned())))
            .collect()
    }
}
