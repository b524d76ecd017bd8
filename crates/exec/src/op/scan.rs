//! Base relations from end to end, and what all scans share.
//!
//! A scan decodes the columns it was asked for, straight from stored rows into columns, a block of rows at a time; between
//! two blocks it holds no reader. What a condition rules out is not decoded (`block`).

use super::Operator;
use super::nested_loop::Gatherer;
use super::parallel::ParallelScan;
use crate::batch::{BATCH_ROWS, Batch, ColumnBuilder};
use crate::block::ScanFilter;
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::rows::{RowReader, Table};
use crate::run::Run;
use sql::Expr;
use sql::physical::{PlanNode, ScanTarget};
use std::sync::Arc;
use txn::{Block, Direction, Facet, Gateway, Isolation, KeyRange, Scan, Timestamp, Transaction, TxnOptions};
use types::{Datum, Result, SqlError, SqlState, SqlType};

/// Bytes of stored values after which a block ends before it has all its rows.
pub(super) const BATCH_BYTES: usize = 4 << 20;

/// What a scan reads and as of when.
pub(super) struct Source {
    pub reader: RowReader,
    /// What it reads of a row.
    pub facet: Option<Arc<dyn Facet>>,
    as_of: Option<Program>,
    /// The past's transaction, opened at the first batch.
    past: Option<Transaction>,
}

impl Source {
    pub fn new(target: &ScanTarget, types: &[SqlType]) -> Result<Source> {
        let table = Table::new(&target.relation)?;
        Ok(Source {
            facet: crate::facet::of_columns(&table, &target.columns),
            reader: RowReader::new(table, &target.columns, types),
            as_of: Program::compile_option(target.as_of.as_ref())?,
            past: None,
        })
    }

    /// The transaction to read through: the statement's, or one of the past.
    pub async fn txn(&mut self, run: &mut Run) -> Result<Transaction> {
        let Some(program) = &self.as_of else { return Ok(run.context.txn.clone()) };
        if let Some(past) = &self.past {
            return Ok(past.clone());
        }
        let value = program.eval_datums(run, &[]).await?;
        let now = Gateway::micros_of(run.context.gateway.now());
        let options = TxnOptions {
            isolation: Isolation::RepeatableRead,
            read_only: true,
            as_of: Some(as_of(&value, now)?),
            session: run.context.txn.session(),
            ..TxnOptions::default()
        };
        let past = run.context.gateway.begin(options);
        past.set_cancel(run.context.cancel.clone());
        past.set_deadline(run.context.deadline());
        past.begin_statement().await?;
        self.past = Some(past.clone());
        Ok(past)
    }
}

/// AS OF SYSTEM TIME: a timestamptz, an interval (negative: back from now) or a raw timestamp.
pub fn as_of(value: &Datum, now_micros: i64) -> Result<Timestamp> {
    let invalid =
        || SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "AS OF SYSTEM TIME needs a time that is not null");
    match value {
        Datum::TimestampTz(micros) | Datum::Timestamp(micros) => {
            Ok(Gateway::timestamp_of(micros.saturating_add(crate::functions::EPOCH_MICROS)))
        }
        Datum::Interval(interval) => {
            let days = i64::from(interval.months) * 30 + i64::from(interval.days);
            let micros = days.saturating_mul(86_400_000_000).saturating_add(interval.micros);
            Ok(Gateway::timestamp_of(now_micros.saturating_sub(micros.saturating_abs())))
        }
        Datum::Int8(raw) => Ok(Timestamp(u64::try_from(*raw).map_err(|_| invalid())?)),
        Datum::Int4(raw) => Ok(Timestamp(u64::try_from(*raw).map_err(|_| invalid())?)),
        _ => Err(invalid()),
    }
}

pub(super) fn direction(backward: bool) -> Direction {
    if backward { Direction::Backward } else { Direction::Forward }
}

/// The next rows of a range that meet the condition, perhaps none; None at its end.
pub(super) async fn read_block(
    run: &mut Run,
    scan: &mut Scan,
    reader: &RowReader,
    filter: &ScanFilter,
    (rows_max, bytes_max): (usize, usize),
) -> Result<Option<Batch>> {
    let env = run.env();
    let read = |block: &Block<'_>| (block.len(), filter.read(&env, reader, block));
    let Some((visited, batch)) = scan.next_block(rows_max, bytes_max, read).await? else { return Ok(None) };
    let batch = batch?;
    run.work.rows_removed += (visited - batch.len) as u64;
    run.pause(visited).await?;
    filter.finish(run, batch).await.map(Some)
}

/// Rows of a scan's next block. A LIMIT above says how many it wants: more are not read at once, as what is read at SERIALIZABLE
/// counts as read. Each further block is larger, so that it costs little to have begun with one row.
#[derive(Default)]
pub(super) struct BlockSize {
    last: usize,
}

const BLOCK_GROWTH: usize = 4;

impl BlockSize {
    pub fn next(&mut self, wanted: Option<usize>) -> usize {
        let rows = wanted.map_or(BATCH_ROWS, |wanted| wanted.max(self.last * BLOCK_GROWTH));
        self.last = rows.clamp(1, BATCH_ROWS);
        self.last
    }
}

pub(super) fn finish(builders: Vec<ColumnBuilder>, len: usize) -> Batch {
    Batch::new(builders.into_iter().map(|b| Arc::new(b.finish())).collect(), len)
}

/// Rows after which a batch that a condition has thinned out is handed on, and blocks after which it is in any case.
const ROWS_MIN: usize = BATCH_ROWS / 2;
const BLOCKS_MAX: usize = 16;

/// A scan that is thought to cost more (in reads of a page) is shared among workers.
const PARALLEL_COST: f64 = 1_000.0;

pub(crate) struct SeqScan {
    source: Source,
    filter: Arc<ScanFilter>,
    backward: bool,
    /// Workers may help, the first time.
    may_share: bool,
    rows: Rows,
}

enum Rows {
    Start,
    /// So many without columns are still to be handed out: they need not be visited to be counted.
    Counted(u64),
    Own(Scan, BlockSize),
    Shared(ParallelScan),
}

impl SeqScan {
    pub fn new(node: &PlanNode, target: &ScanTarget, filter: Option<&Expr>, backward: bool) -> Result<SeqScan> {
        let filter = ScanFilter::new(filter)?;
        let may_share =
            node.total_cost > PARALLEL_COST && !backward && !target.relation.is_temporary && filter.may_share();
        Ok(SeqScan {
            source: Source::new(target, &node.types)?,
            filter: Arc::new(filter),
            backward,
            may_share,
            rows: Rows::Start,
        })
    }

    async fn open(&mut self, run: &mut Run) -> Result<Rows> {
        let txn = self.source.txn(run).await?;
        let reader = &self.source.reader;
        let scan = txn.scan(&reader.table.at, None, KeyRange::all(), direction(self.backward));
        let mut scan = scan.reading(self.source.facet.clone());
        if reader.columns.is_empty()
            && self.filter.is_empty()
            && let Some(count) = scan.count().await?
        {
            return Ok(Rows::Counted(count));
        }
        if std::mem::take(&mut self.may_share)
            && run.plan.is_long
            && run.plan.is_read_only
            && run.wanted.is_none()
            && let Some(shared) = ParallelScan::start(run, &scan, reader, &self.filter).await?
        {
            return Ok(Rows::Shared(shared));
        }
        Ok(Rows::Own(scan, BlockSize::default()))
    }

    /// Rows of several blocks where the condition leaves few of each; None at the end.
    async fn own(&mut self, run: &mut Run) -> Result<Option<Batch>> {
        let Rows::Own(scan, size) = &mut self.rows else { return Ok(None) };
        let mut out = Gatherer::new();
        let wanted = run.wanted.map_or(ROWS_MIN, |wanted| wanted.min(ROWS_MIN)).max(1);
        for _ in 0..BLOCKS_MAX {
            let size = (size.next(run.wanted), BATCH_BYTES);
            let Some(batch) = read_block(run, scan, &self.source.reader, &self.filter, size).await? else {
                return Ok(out.take());
            };
            if !batch.is_empty() {
                out.push(batch);
            }
            if out.rows() >= wanted {
                break;
            }
        }
        // Empty here, it is not the end yet.
        Ok(Some(out.take().unwrap_or_default()))
    }
}

impl Operator for SeqScan {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            if matches!(self.rows, Rows::Start) {
                self.rows = self.open(run).await?;
            }
            match &mut self.rows {
                Rows::Start => Ok(None),
                Rows::Counted(left) => {
                    let len = (*left).min(BATCH_ROWS as u64);
                    *left -= len;
                    run.pause(0).await?;
                    Ok((len > 0).then(|| Batch::new(vec![], len as usize)))
                }
                Rows::Own(..) => self.own(run).await,
                Rows::Shared(shared) => {
                    run.pause(BATCH_ROWS).await?;
                    shared.next(run).await
                }
            }
        })
    }
    fn rewind(&mut self, _run: &mut Run) {
        self.rows = Rows::Start;
    }
}
