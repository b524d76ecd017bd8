//! Statements that rules have made several of: their parts run one after another, in the statement's transaction and under its
//! retries, each seeing what those before it did.
//!
//! The part that stands for the statement gives the number of the command tag and the statement's result. Rows of the others
//! (`DO ALSO SELECT …`) are shown as PostgreSQL shows them: to clients that send strings of statements, and only where the
//! statement has no result of its own.

use crate::portal::{Portal, Source};
use crate::query::{Standing, tag};
use crate::session::{Outcome, Session};
use crate::sink::Sink;
use exec::{BoxFuture, Prepared, SessionAccess};
use sql::logical::CommandTag;
use sql::{ResultColumn, Rewritten, RewrittenPart};
use std::sync::Arc;
use types::{Result, SqlError, SqlType};

/// A rewritten statement, planned.
pub(crate) struct RewrittenWork {
    tag: CommandTag,
    pub parts: Vec<Part>,
}

pub(crate) enum Part {
    Query { prepared: Arc<Prepared>, columns: Vec<ResultColumn>, sets_tag: bool },
    Notify { channel: String, payload: String },
}

impl RewrittenWork {
    pub fn new(
        rewritten: Rewritten,
        parameters: &[SqlType],
        plan: impl Fn(&sql::logical::Query, &[SqlType]) -> Result<Arc<Prepared>>,
    ) -> Result<RewrittenWork> {
        let part = |part: RewrittenPart| {
            Ok(match part {
                RewrittenPart::Query { query, sets_tag } => {
                    let prepared = plan(&query, parameters)?;
                    Part::Query { prepared, columns: query.result, sets_tag }
                }
                RewrittenPart::Notify { channel, payload } => Part::Notify { channel, payload },
            })
        };
        let parts = rewritten.parts.into_iter().map(part).collect::<Result<_>>()?;
        Ok(RewrittenWork { tag: rewritten.tag, parts })
    }

    pub fn queries(&self) -> impl Iterator<Item = &Arc<Prepared>> {
        self.parts.iter().filter_map(|part| match part {
            Part::Query { prepared, .. } => Some(prepared),
            Part::Notify { .. } => None,
        })
    }

    /// Whether it may be executed again with its block.
    pub fn is_repeatable(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Query { prepared, .. } if prepared.is_repeatable()))
    }
}

impl Session {
    /// Boxed, as `run_utility` is.
    #[inline(never)]
    pub(crate) fn run_rewritten<'a>(
        &'a mut self,
        work: &'a RewrittenWork,
        portal: &'a mut Portal,
        max_rows: u32,
        standing: Standing,
        describes: bool,
        sink: &'a mut dyn Sink,
    ) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(self.rewritten(work, portal, max_rows, standing, describes, sink))
    }

    async fn rewritten(
        &mut self,
        work: &RewrittenWork,
        portal: &mut Portal,
        max_rows: u32,
        standing: Standing,
        describes: bool,
        sink: &mut dyn Sink,
    ) -> Result<Outcome> {
        let returns_rows = portal.planned.returns_rows;
        if max_rows > 0 && returns_rows {
            return Err(SqlError::unsupported("reading in pieces what rules return is not supported"));
        }
        let mut count = 0;
        if matches!(portal.source, Source::Fresh) {
            for part in &work.parts {
                match part {
                    Part::Notify { channel, payload } => {
                        self.ensure_transaction();
                        self.state.notify(channel, payload)?;
                    }
                    Part::Query { prepared, columns, sets_tag } => {
                        let shows = if returns_rows { *sets_tag } else { describes && shows_rows(prepared, columns) };
                        let columns = shows.then_some(columns.as_slice());
                        let affected = self.run_part(prepared, columns, portal, describes, sink).await?;
                        count += if *sets_tag { affected } else { 0 };
                    }
                }
            }
            self.ensure_transaction();
        }
        portal.source = Source::Done;
        self.complete(&tag(work.tag, count), standing.commits(), returns_rows, sink).await?;
        Ok(Outcome::Completed)
    }

    /// How many rows it wrote. `columns`: of what is shown of it, if anything is.
    async fn run_part(
        &mut self,
        prepared: &Arc<Prepared>,
        columns: Option<&[ResultColumn]>,
        portal: &mut Portal,
        describes: bool,
        sink: &mut dyn Sink,
    ) -> Result<u64> {
        let seat = self.seat(prepared).await?;
        let mut rows = self.start_query(prepared, portal.parameters.clone(), false, seat).await?;
        match columns {
            None => rows.complete().await?,
            Some(columns) => {
                if describes {
                    sink.row_description(columns, &portal.formats);
                }
                self.send_rows(&mut rows, u64::MAX, columns, &portal.formats, sink).await?;
            }
        }
        Ok(rows.rows_affected())
    }

    /// EXPLAIN: a plan for each part, with an empty line between.
    pub(crate) async fn explain_rewritten(
        &mut self,
        rewritten: &Rewritten,
        options: &sql::utility::ExplainOptions,
        types: &[SqlType],
        parameters: Arc<[types::Datum]>,
    ) -> Result<Vec<String>> {
        if rewritten.parts.is_empty() {
            return Ok(vec!["Query rewrites to nothing".to_owned()]);
        }
        if options.format != sql::utility::ExplainFormat::Text {
            return Err(SqlError::unsupported(
                "EXPLAIN in this format of what rules make of a statement is not supported",
            ));
        }
        let mut lines = vec![];
        for part in &rewritten.parts {
            if !lines.is_empty() {
                lines.push(String::new());
            }
            match part {
                RewrittenPart::Notify { .. } => lines.push("NOTIFY".to_owned()),
                RewrittenPart::Query { query, .. } => {
                    lines.extend(self.explain_query(query, options, types, parameters.clone()).await?);
                }
            }
        }
        Ok(lines)
    }
}

fn shows_rows(prepared: &Prepared, columns: &[ResultColumn]) -> bool {
    prepared.plan.tag == CommandTag::Select || !columns.is_empty()
}
