//! EXPLAIN: plans, with ANALYZE runs, and lets `exec::explain` say it.

use crate::session::Session;
use exec::Prepared;
use exec::explain::Explain;
use sql::logical::CommandTag;
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
        let clock = self.shared.host.clock.clone();
        let started = clock.monotonic();
        let (prepared, parameters) = match explained {
            Explained::Query(query) => (self.plan_query(query, types)?, parameters),
            Explained::Execute { name, args } => self.executed(name, args).await?,
            Explained::Utility => return Ok(vec!["Utility statements have no plan structure".to_owned()]),
        };
        let planning = clock.monotonic().saturating_sub(started);
        // Who may not run it is not told how it would run.
        exec::admit(&prepared.plan, self.catalog.snapshot(), false)?;
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
            crate::statement::Work::Query(prepared) => Ok((prepared.clone(), parameters)),
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

/// What a statement does, as errors name it.
pub(crate) fn command_word(tag: CommandTag) -> &'static str {
    match tag {
        CommandTag::Select => "SELECT",
        CommandTag::Insert => "INSERT",
        CommandTag::Update => "UPDATE",
        CommandTag::Delete => "DELETE",
        CommandTag::Merge => "MERGE",
    }
}
