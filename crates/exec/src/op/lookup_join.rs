//! Index nested loop: for each left row, the inner rows whose primary key or index begins with values of it.

use super::index_scan::primary_columns;
use super::nested_loop::{Gatherer, pad_right};
use super::scan::Source;
use super::{Input, Operator};
use crate::batch::{Batch, Column, ColumnBuilder, ColumnKind};
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::index::IndexShape;
use crate::run::Run;
use catalog::Index;
use sql::Expr;
use sql::logical::JoinKind;
use sql::physical::ScanTarget;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use txn::{Direction, KeyRange, Transaction};
use types::key::{self, KeyOrder, prefix_end};
use types::{Datum, Result, SqlError, SqlType};

/// Inner rows read for one left row at a time.
const ROWS_AT_ONCE: usize = 1024;
/// Left rows whose inner rows are looked up together.
const ROWS_TOGETHER: usize = 128;
/// What they count in `Run::pause`.
const LOOKUPS_WORK: usize = 1024;

pub(crate) struct LookupJoin {
    kind: JoinKind,
    left: Input,
    source: Source,
    inner_types: Vec<SqlType>,
    shape: Option<IndexShape>,
    keys: Vec<Program>,
    key_types: Vec<SqlType>,
    orders: Vec<KeyOrder>,
    residual: Option<Program>,
    /// The keys are the whole key: one look-up, no range.
    is_whole: bool,
}

impl LookupJoin {
    pub fn new(
        kind: JoinKind,
        left: Input,
        left_types: &[SqlType],
        target: &ScanTarget,
        types: &[SqlType],
        index: Option<&Arc<Index>>,
        keys: &[Expr],
        residual: Option<&Expr>,
    ) -> Result<LookupJoin> {
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            return Err(SqlError::internal("a right or full lookup join"));
        }
        // A semi or anti join's output has no inner columns: their types are the relation's own.
        let inner_types: Vec<SqlType> = match types.get(left_types.len()..) {
            Some(types) if types.len() == target.columns.len() => types.to_vec(),
            _ => target.columns.iter().map(|c| scan_type(target, *c)).collect(),
        };
        let source = Source::new(target, &inner_types)?;
        let shape = index.filter(|i| !i.is_primary).map(|i| IndexShape::new(&target.relation, i));
        let (key_types, orders) = match &shape {
            Some(shape) => (shape.types.clone(), shape.orders.clone()),
            None => primary_columns(&source.reader.table),
        };
        Ok(LookupJoin {
            is_whole: shape.is_none() && keys.len() == key_types.len(),
            kind,
            left,
            source,
            inner_types,
            shape,
            keys: Program::compile_all(keys)?,
            key_types,
            orders,
            residual: Program::compile_option(residual)?,
        })
    }

    /// Encodes the key of a left row, and keeps its values; false where one is NULL.
    fn key(&self, columns: &[Arc<Column>], row: usize, out: &mut Vec<u8>, values: &mut Vec<Datum>) -> bool {
        out.clear();
        values.clear();
        for ((column, ty), order) in columns.iter().zip(&self.key_types).zip(&self.orders) {
            let value = column.datum(row);
            if value.is_null() {
                return false;
            }
            key::encode(*ty, &value, *order, out);
            values.push(value);
        }
        true
    }

    /// Inner rows for one key.
    async fn look_up(&mut self, txn: &Transaction, prefix: &[u8]) -> Result<Batch> {
        let reader = &self.source.reader;
        let mut builders = reader.builders();
        let mut count = 0;
        let range = KeyRange { start: prefix.to_vec().into(), end: prefix_end(prefix).map(Into::into) };
        let at = self.shape.as_ref().map_or(reader.table.at, |s| s.at);
        let facet = self.source.facet.as_ref();
        let mut scan = txn.scan(&at, None, range, Direction::Forward);
        if self.shape.is_none() {
            scan = scan.reading(facet.cloned());
        }
        loop {
            match &self.shape {
                Some(shape) => {
                    let mut keys = super::index_scan::RowKeys::default();
                    if keys.fill(&mut scan, shape, ROWS_AT_ONCE).await? == 0 {
                        break;
                    }
                    count += super::index_scan::look_up(txn, reader, facet, &keys, &mut builders).await?;
                }
                None => {
                    let mut failed = None;
                    let visited = scan
                        .next(ROWS_AT_ONCE, |key, row, ts| match reader.push(&mut builders, key, row, ts) {
                            Ok(()) => {
                                count += 1;
                                ControlFlow::Continue(())
                            }
                            Err(error) => {
                                failed = Some(error);
                                ControlFlow::Break(())
                            }
                        })
                        .await?;
                    if let Some(error) = failed {
                        return Err(error);
                    }
                    if visited == 0 {
                        break;
                    }
                }
            }
        }
        Ok(super::scan::finish(builders, count))
    }

    async fn batch(&mut self, run: &mut Run, batch: &Batch, out: &mut Gatherer) -> Result<()> {
        let txn = self.source.txn(run).await?;
        let mut columns = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            columns.push(key.eval(run, batch).await?);
        }
        let (mut key, mut values) = (Vec::new(), Vec::new());
        for start in (0..batch.len).step_by(ROWS_TOGETHER) {
            let rows = start..(start + ROWS_TOGETHER).min(batch.len);
            if start > 0 {
                run.pause(LOOKUPS_WORK).await?;
            }
            if self.is_whole {
                self.join_whole(run, &txn, batch, &columns, rows, out).await?;
                continue;
            }
            for row in rows {
                let inner = match self.key(&columns, row, &mut key, &mut values) {
                    true => self.look_up(&txn, &key).await?,
                    false => Batch::default(),
                };
                self.join_one(run, batch, row, inner, out).await?;
            }
        }
        Ok(())
    }

    /// Some left rows with their inner rows, of which each has one at most: they are joined together.
    async fn join_whole(
        &mut self,
        run: &mut Run,
        txn: &Transaction,
        batch: &Batch,
        columns: &[Arc<Column>],
        rows: Range<usize>,
        out: &mut Gatherer,
    ) -> Result<()> {
        let (reader, facet) = (&self.source.reader, self.source.facet.as_ref());
        let mut builders = reader.builders_for(rows.len());
        let (mut found, mut key, mut values) = (Vec::with_capacity(rows.len()), Vec::new(), Vec::new());
        for row in rows.clone() {
            if !self.key(columns, row, &mut key, &mut values) {
                continue;
            }
            // What the key alone does not tell, no shard needs today.
            let slot = reader.table.slot_of_key(&key, &values).unwrap_or_default();
            let push = |inner: Option<&[u8]>, ts| inner.map(|inner| reader.push(&mut builders, &key, inner, ts));
            if let Some(pushed) = txn.get_facet(&reader.table.at, slot, &key, facet, push).await? {
                pushed?;
                found.push(row as u32);
            }
        }
        let mut joined = batch.gather(&found);
        joined.columns.extend(super::scan::finish(builders, found.len()).columns);
        let hits = match &self.residual {
            Some(residual) if !found.is_empty() => residual.select(run, &joined).await?,
            _ => (0..found.len() as u32).collect(),
        };
        let hit_rows = || hits.iter().filter_map(|hit| found.get(*hit as usize).copied());
        match self.kind {
            JoinKind::Semi => out.push(batch.gather(&hit_rows().collect::<Vec<u32>>())),
            JoinKind::Anti => {
                let mut hit_rows = hit_rows().peekable();
                let is_alone = |row: &u32| hit_rows.next_if_eq(row).is_none();
                out.push(batch.gather(&rows.map(|row| row as u32).filter(is_alone).collect::<Vec<u32>>()));
            }
            JoinKind::Left if hits.len() < rows.len() => {
                let matches = hit_rows().zip(hits.iter().copied());
                out.push(self.padded(batch, &joined, rows, matches));
            }
            _ => out.push(joined.gather(&hits)),
        }
        Ok(())
    }

    /// All of the left rows in their order, each with its match (left row, row of `joined`) or with NULLs.
    fn padded(
        &self,
        batch: &Batch,
        joined: &Batch,
        rows: Range<usize>,
        matches: impl Iterator<Item = (u32, u32)>,
    ) -> Batch {
        let mut padded = batch.gather(&rows.clone().map(|row| row as u32).collect::<Vec<u32>>());
        let mut builders: Vec<ColumnBuilder> =
            self.inner_types.iter().map(|ty| ColumnBuilder::with_capacity(ColumnKind::of(*ty), rows.len())).collect();
        let mut matches = matches.peekable();
        for row in rows {
            let hit = matches.next_if(|(left, _)| *left == row as u32);
            for (column, builder) in builders.iter_mut().enumerate() {
                match hit {
                    Some((_, hit)) => builder.push_owned(joined.datum(batch.width() + column, hit as usize)),
                    None => builder.push_null(),
                }
            }
        }
        padded.columns.extend(builders.into_iter().map(|builder| Arc::new(builder.finish())));
        padded
    }

    /// A left row with all its inner rows.
    async fn join_one(
        &mut self,
        run: &mut Run,
        batch: &Batch,
        row: usize,
        inner: Batch,
        out: &mut Gatherer,
    ) -> Result<()> {
        let mut joined = batch.gather(&vec![row as u32; inner.len]);
        let hits = match inner.len {
            0 => vec![],
            _ => {
                joined.columns.extend(inner.columns);
                match &self.residual {
                    Some(residual) => residual.select(run, &joined).await?,
                    None => (0..joined.len as u32).collect(),
                }
            }
        };
        let alone = || batch.gather(&[row as u32]);
        match (self.kind, hits.is_empty()) {
            (JoinKind::Semi, false) | (JoinKind::Anti, true) => out.push(alone()),
            (JoinKind::Left, true) => out.push(pad_right(alone(), &self.inner_types)),
            (JoinKind::Semi | JoinKind::Anti, _) | (_, true) => {}
            _ => out.push(joined.gather(&hits)),
        }
        Ok(())
    }
}

/// The type of a scan's column.
pub(crate) fn scan_type(target: &ScanTarget, column: sql::logical::ScanColumn) -> SqlType {
    use sql::logical::ScanColumn;
    match column {
        ScanColumn::Attribute(a) => {
            target.relation.columns.get((a as usize).wrapping_sub(1)).map_or(SqlType::UNKNOWN, |c| c.ty.into())
        }
        ScanColumn::WholeRow => SqlType::new(target.relation.row_type),
        ScanColumn::CommitTimestamp => SqlType::INT8,
        ScanColumn::ValidFrom | ScanColumn::ValidTo => SqlType::TIMESTAMPTZ,
        ScanColumn::Document | ScanColumn::Tail => SqlType::JSONB,
        ScanColumn::TableOid => SqlType::OID,
        ScanColumn::RowKey => SqlType::BYTEA,
    }
}

impl Operator for LookupJoin {
    fn next<'a>(&'a mut self, run: &'a mut Run) -> BoxFuture<'a, Result<Option<Batch>>> {
        Box::pin(async move {
            let mut out = Gatherer::new();
            while !out.is_full() {
                run.pause(0).await?;
                let Some(batch) = self.left.next(run).await? else { break };
                self.batch(run, &batch, &mut out).await?;
            }
            Ok(out.take())
        })
    }
    fn rewind(&mut self, run: &mut Run) {
        self.left.rewind(run);
    }
}
