//! Scans by the primary key or a secondary index, within bounds.
//!
//! A secondary index gives row keys, which are looked up batch by batch, in the order of the rows where nobody needs the
//! index's; where the entries hold all that is wanted, no row is read.

use super::Operator;
use super::bounds::Bounds;
use super::scan::{BATCH_BYTES, BlockSize, Source, direction, finish, read_block};
use crate::batch::{Batch, ColumnBuilder};
use crate::block::ScanFilter;
use crate::context::BoxFuture;
use crate::index::{IndexShape, covers_all};
use crate::rows::{RowReader, Table, row_key};
use crate::run::Run;
use catalog::Index;
use sql::Expr;
use sql::logical::ScanColumn;
use sql::physical::{KeyBounds, ScanTarget};
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use txn::{Facet, KeyRange, Scan, Transaction};
use types::key::KeyOrder;
use types::{Datum, Result, SqlError, SqlState, SqlType};

/// What a row that is looked up counts in `Run::pause`, where one that is scanned counts one.
const LOOKUP_WORK: usize = 8;

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
    filter: ScanFilter,
    backward: bool,
    keeps_order: bool,
    ranges: Option<VecDeque<KeyRange>>,
    scan: Option<Scan>,
    size: BlockSize,
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
        keeps_order: bool,
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
            filter: ScanFilter::new(filter)?,
            backward,
            keeps_order,
            ranges: None,
            scan: None,
            size: BlockSize::default(),
        })
    }

    /// The next batch of the current range; None at its end.
    async fn read(&mut self, run: &mut Run, txn: &Transaction) -> Result<Option<Batch>> {
        let reader = &self.source.reader;
        let Some(scan) = &mut self.scan else { return Ok(None) };
        let rows = self.size.next(run.wanted);
        let batch = match &self.path {
            Path::Primary => return read_block(run, scan, reader, &self.filter, (rows, BATCH_BYTES)).await,
            Path::Covering(shape) => read_entries(scan, reader, shape, rows).await?,
            Path::Secondary(shape) => {
                let mut keys = RowKeys::default();
                keys.fill(scan, shape, rows).await?;
                if !self.keeps_order {
                    keys.sort();
                }
                let mut builders = reader.builders();
                let count = look_up(txn, reader, self.source.facet.as_ref(), &keys, &mut builders).await?;
                run.pause(count * LOOKUP_WORK).await?;
                finish(builders, count)
            }
        };
        match batch.is_empty() {
            true => Ok(None),
            false => self.filter.apply(run, batch).await.map(Some),
        }
    }
}

pub(super) fn primary_columns(table: &Table) -> (Vec<SqlType>, Vec<KeyOrder>) {
    let types: Vec<SqlType> =
        table.relation.key.iter().filter_map(|a| table.types.get((*a as usize).wrapping_sub(1)).copied()).collect();
    let orders = vec![KeyOrder::ASC; types.len()];
    (types, orders)
}

/// Row keys found in an index.
#[derive(Default)]
pub(super) struct RowKeys {
    /// End to end, as they were found.
    bytes: Vec<u8>,
    /// (slot, place in `bytes`).
    rows: Vec<(u16, Range<usize>)>,
}

impl RowKeys {
    /// Up to so many row keys, which are looked up together.
    pub async fn fill(&mut self, scan: &mut Scan, shape: &IndexShape, rows_max: usize) -> Result<usize> {
        let mut failed = None;
        let visited = scan
            .next(rows_max, |key, value, _| match shape.row_of(key, value) {
                Ok((slot, row)) => {
                    let start = self.bytes.len();
                    self.bytes.extend_from_slice(row);
                    self.rows.push((slot, start..self.bytes.len()));
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
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> + Clone {
        self.rows.iter().map(|(slot, place)| (*slot, self.bytes.get(place.clone()).unwrap_or_default()))
    }
    /// Into the order in which the rows are stored: by key, whatever their slots are.
    pub fn sort(&mut self) {
        let key = |place: &Range<usize>| self.bytes.get(place.clone()).unwrap_or_default();
        self.rows.sort_unstable_by(|(_, a), (_, b)| key(a).cmp(key(b)));
    }
}

/// Reads the rows of these keys; how many there were. An entry without a row is damage (invariant 4).
pub(super) async fn look_up(
    txn: &Transaction,
    reader: &RowReader,
    facet: Option<&Arc<dyn Facet>>,
    keys: &RowKeys,
    builders: &mut [ColumnBuilder],
) -> Result<usize> {
    let (mut count, mut failed) = (0, None);
    let push = |key: &[u8], row: Option<&[u8]>, ts| {
        let pushed = match row {
            Some(row) => reader.push(builders, key, row, ts),
            None => Err(SqlError::new(
                SqlState::INDEX_CORRUPTED,
                format!("an index of relation \"{}\" has an entry without a row", reader.table.relation.name),
            )),
        };
        match pushed {
            Ok(()) => {
                count += 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    txn.get_many(&reader.table.at, keys.iter(), facet, push).await?;
    failed.map_or(Ok(count), Err)
}

async fn read_entries(scan: &mut Scan, reader: &RowReader, shape: &IndexShape, rows_max: usize) -> Result<Batch> {
    let mut builders = reader.builders();
    let (mut failed, mut count, mut row) = (None, 0, Vec::new());
    let width = reader.table.types.len();
    scan.next(rows_max, |key, value, _| {
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
        None => Ok(finish(builders, count)),
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
                run.pause(0).await?;
                if self.scan.is_none() {
                    let Some(range) = self.ranges.as_mut().and_then(VecDeque::pop_front) else { return Ok(None) };
                    let scan = txn.scan(&at, None, range, direction(self.backward));
                    self.scan = Some(match self.path {
                        Path::Primary => scan.reading(self.source.facet.clone()),
                        Path::Covering(_) | Path::Secondary(_) => scan,
                    });
                }
                match self.read(run, &txn).await? {
                    None => self.scan = None,
                    Some(batch) if batch.is_empty() => {}
                    Some(batch) => return Ok(Some(batch)),
                }
            }
        })
    }
    fn rewind(&mut self, _run: &mut Run) {
        self.ranges = None;
        self.scan = None;
        self.size = BlockSize::default();
    }
}

#[test]
fn row_keys_are_sorted_as_rows_are_stored() {
    let mut keys = RowKeys::default();
    for (slot, key) in [(1, "c"), (0, "bb"), (0, "b"), (1, "")] {
        let start = keys.bytes.len();
        keys.bytes.extend_from_slice(key.as_bytes());
        keys.rows.push((slot, start..keys.bytes.len()));
    }
    keys.sort();
    let found: Vec<_> = keys.iter().map(|(slot, key)| (slot, std::str::from_utf8(key).unwrap())).collect();
    assert_eq!(found, [(1, ""), (0, "b"), (0, "bb"), (1, "c")]);
}
