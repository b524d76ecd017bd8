//! Base relations: by whole range, by primary key, by a secondary index.
//!
//! A scan decodes the columns it was asked for, straight from stored rows into columns, `BATCH_ROWS` at a time; between two
//! batches it holds no reader. A secondary index gives row keys, which are looked up batch by batch; where the entries hold
//! all that is wanted, no row is read.

use super::Operator;
use super::bounds::Bounds;
use crate::batch::{BATCH_ROWS, Batch, ColumnBuilder};
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::index::{IndexShape, covers_all};
use crate::rows::{RowReader, Table, row_key};
use crate::run::Run;
use catalog::Index;
use sql::Expr;
use sql::logical::ScanColumn;
use sql::physical::{KeyBounds, ScanTarget};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use txn::{Direction, Gateway, Isolation, KeyRange, Scan, Timestamp, Transaction, TxnOptions};
use types::key::KeyOrder;
use types::{Datum, Result, SqlError, SqlState, SqlType};

/// Bytes of decoded values after which a batch is handed on before it has all its rows.
const BATCH_BYTES: usize = 4 << 20;

/// What a scan reads and as of when.
pub(super) struct Source {
    pub reader: RowReader,
    as_of: Option<Program>,
    /// The past's transaction, opened at the first batch.
    past: Option<Transaction>,
}

impl Source {
    pub fn new(target: &ScanTarget, types: &[SqlType]) -> Result<Source> {
        Ok(Source {
            reader: RowReader::new(Table::new(&target.relation)?, &target.columns, types),
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
        past.set_deadline(run.context.deadline);
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

fn direction(backward: bool) -> Direction {
    if backward { Direction::Backward } else { Direction::Forward }
}

/// Reads up to a batch of rows of a range; the flag says whether the range is at its end. `expected`: rows of the batch before,
/// of which there will be as many again.
async fn read_rows(scan: &mut Scan, reader: &RowReader, expected: &mut usize) -> Result<(Batch, bool)> {
    let mut builders = reader.builders_for(*expected);
    let (mut failed, mut bytes, mut count) = (None, 0usize, 0usize);
    let visited = scan
        .next(BATCH_ROWS, |key, value, ts| {
            bytes += value.len();
            match reader.push(&mut builders, key, value, ts) {
                Err(error) => failed = Some(error),
                Ok(()) => count += 1,
            }
            match failed.is_some() || bytes > BATCH_BYTES {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
        .await?;
    if let Some(error) = failed {
        return Err(error);
    }
    *expected = count;
    Ok((finish(builders, count), visited == 0))
}

pub(super) fn finish(builders: Vec<ColumnBuilder>, len: usize) -> Batch {
    Batch::new(builders.into_iter().map(|b| Arc::new(b.finish())).collect(), len)
}

/// Applies the scan's own filter.
pub(super) async fn filtered(run: &mut Run, filter: Option<&Program>, batch: Batch) -> Result<Batch> {
    match filter {
        None => Ok(batch),
        Some(filter) => {
            let rows = filter.select(run, &batch).await?;
            run.work.rows_removed += (batch.len - rows.len()) as u64;
            Ok(batch.gather(&rows))
        }
    }
}

pub(crate) struct SeqScan {
    source: Source,
    filter: Option<Program>,
    backward: bool,
    scan: Option<Scan>,
    expected: usize,
    is_done: bool,
}

impl SeqScan {
    pub fn new(target: &ScanTarget, types: &[SqlType], filter: Option<&Expr>, backward: bool) -> Result<SeqScan> {
        Ok(SeqScan {
            source: Source::new(target, types)?,
            filter: Program::compile_option(filter)?,
            backward,
            scan: None,
            expected: 0,
            is_done: false,
        })
    }
}

impl Operator for SeqScan {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            while !self.is_done {
                run.check()?;
                if self.scan.is_none() {
                    let txn = self.source.txn(run).await?;
                    let at = self.source.reader.table.at;
                    self.scan = Some(txn.scan(&at, None, KeyRange::all(), direction(self.backward)));
                }
                let Some(scan) = &mut self.scan else { break };
                let (batch, is_done) = read_rows(scan, &self.source.reader, &mut self.expected).await?;
                self.is_done = is_done;
                let batch = filtered(run, self.filter.as_ref(), batch).await?;
                if !batch.is_empty() {
                    return Ok(Some(batch));
                }
            }
            Ok(None)
        })
    }
    fn rewind(&mut self, _run: &mut Run) {
        self.scan = None;
        self.is_done = false;
    }
}

/// How an index scan comes to its rows.
enum Path {
    /// The primary key: the entries are the rows.
    Primary,
    /// The entries hold all columns.
    Covering(IndexShape),
    Secondary(IndexShape),
}

pub(crate) struct IndexScan {
    source: Source,
    path: Path,
    bounds: Bounds,
    filter: Option<Program>,
    backward: bool,
    ranges: Option<VecDeque<KeyRange>>,
    scan: Option<Scan>,
    expected: usize,
}

impl IndexScan {
    pub fn new(
        target: &ScanTarget,
        types: &[SqlType],
        index: Option<&Arc<Index>>,
        bounds: &KeyBounds,
        index_only: bool,
        filter: Option<&Expr>,
        backward: bool,
    ) -> Result<IndexScan> {
        let source = Source::new(target, types)?;
        let table = &source.reader.table;
        let (path, key_types, orders) = match index.filter(|i| !i.is_primary) {
            None => {
                let (key_types, orders) = primary_columns(table);
                (Path::Primary, key_types, orders)
            }
            Some(index) => {
                let shape = IndexShape::new(&target.relation, index);
                let (key_types, orders) = (shape.types.clone(), shape.orders.clone());
                let is_covered = |c: &ScanColumn| match c {
                    ScanColumn::Attribute(a) => covers_all(&shape, table, [*a]),
                    ScanColumn::TableOid | ScanColumn::RowKey => true,
                    _ => false,
                };
                let path = match index_only && target.columns.iter().all(is_covered) {
                    true => Path::Covering(shape),
                    false => Path::Secondary(shape),
                };
                (path, key_types, orders)
            }
        };
        Ok(IndexScan {
            bounds: Bounds::new(bounds, &key_types, &orders)?,
            source,
            path,
            filter: Program::compile_option(filter)?,
            backward,
            ranges: None,
            scan: None,
            expected: 0,
        })
    }

    /// The next batch of the current range; None at its end.
    async fn read(&mut self, txn: &Transaction) -> Result<(Batch, bool)> {
        let reader = &self.source.reader;
        let Some(scan) = &mut self.scan else { return Ok((Batch::default(), true)) };
        match &self.path {
            Path::Primary => read_rows(scan, reader, &mut self.expected).await,
            Path::Covering(shape) => read_entries(scan, reader, shape).await,
            Path::Secondary(shape) => {
                let mut keys = RowKeys::default();
                let visited = keys.fill(scan, shape).await?;
                let mut builders = reader.builders();
                let count = look_up(txn, reader, &keys, &mut builders).await?;
                Ok((finish(builders, count), visited == 0))
            }
        }
    }
}

pub(super) fn primary_columns(table: &Table) -> (Vec<SqlType>, Vec<KeyOrder>) {
    let types: Vec<SqlType> =
        table.relation.key.iter().filter_map(|a| table.types.get((*a as usize).wrapping_sub(1)).copied()).collect();
    let orders = vec![KeyOrder::ASC; types.len()];
    (types, orders)
}

/// Row keys found in an index, end to end.
#[derive(Default)]
pub(super) struct RowKeys {
    bytes: Vec<u8>,
    /// (end in `bytes`, slot).
    rows: Vec<(usize, u16)>,
}

impl RowKeys {
    /// Row keys that are looked up together: as many as make a batch.
    pub async fn fill(&mut self, scan: &mut Scan, shape: &IndexShape) -> Result<usize> {
        let mut failed = None;
        let visited = scan
            .next(BATCH_ROWS, |key, value, _| match shape.row_of(key, value) {
                Ok((slot, row)) => {
                    self.bytes.extend_from_slice(row);
                    self.rows.push((self.bytes.len(), slot));
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })
            .await?;
        failed.map_or(Ok(visited), Err)
    }
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.rows.iter().enumerate().map(|(i, (end, slot))| {
            let start = if i == 0 { 0 } else { self.rows.get(i - 1).map_or(0, |r| r.0) };
            (*slot, self.bytes.get(start..*end).unwrap_or_default())
        })
    }
}

/// Reads the rows of these keys; how many there were. An entry without a row is damage (invariant 4).
pub(super) async fn look_up(
    txn: &Transaction,
    reader: &RowReader,
    keys: &RowKeys,
    builders: &mut [ColumnBuilder],
) -> Result<usize> {
    let mut count = 0;
    for (slot, key) in keys.iter() {
        let found =
            txn.get(&reader.table.at, slot, key, |row, ts| row.map(|row| reader.push(builders, key, row, ts))).await?;
        match found {
            Some(result) => result?,
            None => {
                return Err(SqlError::new(
                    SqlState::INDEX_CORRUPTED,
                    format!("an index of relation \"{}\" has an entry without a row", reader.table.relation.name),
                ));
            }
        }
        count += 1;
    }
    Ok(count)
}

async fn read_entries(scan: &mut Scan, reader: &RowReader, shape: &IndexShape) -> Result<(Batch, bool)> {
    let mut builders = reader.builders();
    let (mut failed, mut count, mut row) = (None, 0, Vec::new());
    let width = reader.table.types.len();
    let visited = scan
        .next(BATCH_ROWS, |key, value, _| {
            let mut push = || -> Result<()> {
                shape.decode(width, key, value, &mut row)?;
                for (column, builder) in reader.columns.iter().zip(&mut builders) {
                    match column {
                        ScanColumn::Attribute(a) => {
                            builder.push(row.get((*a as usize).wrapping_sub(1)).unwrap_or(&Datum::Null));
                        }
                        ScanColumn::TableOid => builder.push_owned(Datum::Oid(reader.table.relation.id)),
                        ScanColumn::RowKey => {
                            let (slot, key) = shape.row_of(key, value)?;
                            builder.push_owned(row_key(slot, key));
                        }
                        _ => return Err(SqlError::internal("a column that an index entry does not hold")),
                    }
                }
                Ok(())
            };
            match push() {
                Ok(()) => {
                    count += 1;
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })
        .await?;
    match failed {
        Some(error) => Err(error),
        None => Ok((finish(builders, count), visited == 0)),
    }
}

impl Operator for IndexScan {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let txn = self.source.txn(run).await?;
            if self.ranges.is_none() {
                let mut ranges: VecDeque<KeyRange> = self.bounds.ranges(run).await?.into();
                if self.backward {
                    ranges.make_contiguous().reverse();
                }
                self.ranges = Some(ranges);
            }
            let at = match &self.path {
                Path::Primary => self.source.reader.table.at,
                Path::Covering(shape) | Path::Secondary(shape) => shape.at,
            };
            loop {
                run.check()?;
                if self.scan.is_none() {
                    let Some(range) = self.ranges.as_mut().and_then(VecDeque::pop_front) else { return Ok(None) };
                    self.scan = Some(txn.scan(&at, None, range, direction(self.backward)));
                }
                let (batch, is_done) = self.read(&txn).await?;
                if is_done {
                    self.scan = None;
                }
                let batch = filtered(run, self.filter.as_ref(), batch).await?;
                if !batch.is_empty() {
                    return Ok(Some(batch));
                }
            }
        })
    }
    fn rewind(&mut self, _run: &mut Run) {
        self.ranges = None;
        self.scan = None;
    }
}
