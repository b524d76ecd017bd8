//! Index nested loop: for each left row, the inner rows whose primary key or index begins with values of it.

use super::index_scan::primary_columns;
use super::nested_loop::{Gatherer, pad_right};
use super::scan::Source;
use super::{Input, Operator};
use crate::batch::{Batch, Column};
use crate::context::BoxFuture;
use crate::expr::Program;
use crate::index::IndexShape;
use crate::run::Run;
use catalog::Index;
use sql::Expr;
use sql::logical::JoinKind;
use sql::physical::ScanTarget;
use std::ops::ControlFlow;
use std::sync::Arc;
use txn::{Direction, KeyRange, Transaction};
use types::key::{self, KeyOrder, prefix_end};
use types::{Result, SqlError, SqlType};

/// Inner rows read for one left row at a time.
const ROWS_AT_ONCE: usize = 1024;
/// What 128 left rows count in `Run::pause`.
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

    /// The encoded key of a left row; None where a value is NULL.
    fn key(&self, columns: &[Arc<Column>], row: usize) -> Option<(Vec<u8>, Vec<types::Datum>)> {
        let (mut out, mut values) = (Vec::new(), Vec::new());
        for (i, column) in columns.iter().enumerate() {
            let value = column.datum(row);
            if value.is_null() {
                return None;
            }
            key::encode(*self.key_types.get(i)?, &value, *self.orders.get(i)?, &mut out);
            values.push(value);
        }
        Some((out, values))
    }

    /// Inner rows for one key.
    async fn look_up(&mut self, txn: &Transaction, prefix: &[u8], values: &[types::Datum]) -> Result<Batch> {
        let reader = &self.source.reader;
        let mut builders = reader.builders();
        let mut count = 0;
        if let (true, Some(slot)) = (self.is_whole, reader.table.slot_of_key(prefix, values)) {
            let found = txn
                .get(&reader.table.at, slot, prefix, |row, ts| row.map(|r| reader.push(&mut builders, prefix, r, ts)))
                .await?;
            if let Some(result) = found {
                result?;
                count = 1;
            }
            return Ok(super::scan::finish(builders, count));
        }
        let range = KeyRange { start: prefix.to_vec().into(), end: prefix_end(prefix).map(Into::into) };
        let at = self.shape.as_ref().map_or(reader.table.at, |s| s.at);
        let mut scan = txn.scan(&at, None, range, Direction::Forward);
        loop {
            match &self.shape {
                Some(shape) => {
                    let mut keys = super::index_scan::RowKeys::default();
                    if keys.fill(&mut scan, shape).await? == 0 {
                        break;
                    }
                    count += super::index_scan::look_up(txn, reader, &keys, &mut builders).await?;
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
        for row in 0..batch.len {
            if row % 128 == 127 {
                run.pause(LOOKUPS_WORK).await?;
            }
            let inner = match self.key(&columns, row) {
                Some((key, values)) => self.look_up(&txn, &key, &values).await?,
                None => Batch::default(),
            };
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
