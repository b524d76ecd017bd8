//! `FOR SYSTEM_TIME BETWEEN a AND b`, `FROM a TO b`: the versions of a relation's rows that were there at some moment of a span of
//! time, each with its period.
//!
//! A version is there from its commit to the commit that superseded it, which does not belong to it; the newest one's period
//! has no end (`infinity`). Times that are given by the microsecond mean all that was committed in it, as for AS OF.

use super::Operator;
use super::scan::{as_of, finish};
use crate::batch::Batch;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::functions::EPOCH_MICROS;
use crate::rows::{RowReader, Table};
use crate::run::Run;
use sql::Expr;
use sql::logical::ScanColumn;
use sql::physical::ScanTarget;
use txn::{Gateway, Timestamp, VersionOf, VersionScan};
use types::{Datum, Result, SqlError, SqlType};

/// Bits of a timestamp below its microsecond.
const COUNTER: u64 = 0xfff;

pub(crate) struct VersionsOp {
    reader: RowReader,
    from: Program,
    to: Program,
    is_closed: bool,
    filter: Option<Program>,
    open: Option<(VersionScan, Timestamp)>,
}

impl VersionsOp {
    pub fn new(target: &ScanTarget, types: &[SqlType], filter: Option<&Expr>) -> Result<VersionsOp> {
        let (Some(from), Some(until)) = (&target.as_of, &target.until) else {
            return Err(SqlError::internal("a span of system time without ends"));
        };
        Ok(VersionsOp {
            reader: RowReader::new(Table::new(&target.relation)?, &target.columns, types),
            from: Program::compile(from)?,
            to: Program::compile(&until.time)?,
            is_closed: until.is_closed,
            filter: Program::compile_option(filter)?,
            open: None,
        })
    }

    /// The walk, and the last moment at which a version may begin.
    async fn open(&self, run: &mut Run) -> Result<(VersionScan, Timestamp)> {
        let (from, to) = (self.from.eval_datums(run, &[]).await?, self.to.eval_datums(run, &[]).await?);
        let now = Gateway::micros_of(run.context.gateway.now());
        let (from, to) = (as_of(&from, now)?, as_of(&to, now)?);
        let last = if self.is_closed { to } else { Timestamp((to.0 & !COUNTER).saturating_sub(1)) };
        if last < from {
            // A span that is empty, or ends before it begins, has no moment.
            return Ok((run.context.txn.versions(&self.reader.table.at, from), Timestamp::ZERO));
        }
        Ok((run.context.txn.versions(&self.reader.table.at, from), last))
    }

    fn values(&self, version: &VersionOf<'_>) -> Result<Vec<Datum>> {
        let (view, layout) = self.reader.table.view(version.value)?;
        let value = |column: &ScanColumn| match column {
            ScanColumn::ValidFrom => Ok(time_of(version.start)),
            ScanColumn::ValidTo => Ok(version.end.map_or(Datum::TimestampTz(i64::MAX), time_of)),
            other => self.reader.value(*other, &view, layout, version.key, version.start),
        };
        self.reader.columns.iter().map(value).collect()
    }
}

fn time_of(ts: Timestamp) -> Datum {
    Datum::TimestampTz(Gateway::micros_of(ts).saturating_sub(EPOCH_MICROS))
}

impl Operator for VersionsOp {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let (mut scan, last) = match self.open.take() {
                Some(open) => open,
                None => self.open(run).await?,
            };
            let (mut rows, mut failed) = (Vec::new(), Ok(()));
            let visit = |version: VersionOf<'_>| {
                if version.start <= last && failed.is_ok() {
                    match self.values(&version) {
                        Ok(values) => rows.push(values),
                        Err(error) => failed = Err(error),
                    }
                }
            };
            let has_more = scan.next(visit).await?;
            self.open = Some((scan, last));
            failed?;
            run.pause(rows.len()).await?;
            if !has_more {
                return Ok(None);
            }
            let mut builders = self.reader.builders();
            let mut len = 0;
            for values in rows {
                if let Some(filter) = &self.filter
                    && !matches!(filter.eval_datums(run, &values).await?, Datum::Bool(true))
                {
                    run.work.rows_removed += 1;
                    continue;
                }
                builders.iter_mut().zip(values).for_each(|(builder, value)| builder.push_owned(value));
                len += 1;
            }
            Ok(Some(finish(builders, len)))
        })
    }

    fn rewind(&mut self, _run: &mut Run) {
        self.open = None;
    }
}
