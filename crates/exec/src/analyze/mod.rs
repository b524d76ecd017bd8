//! ANALYZE: what a relation's rows look like, from a sample of them, kept as `catalog::Statistics`.
//!
//! Every row is counted, a fair sample of at most `ROWS_PER_TARGET` times the statistics target is decoded (`sample`), and each
//! column is described by its NULLs, width, distinct and most common values, and a histogram of the rest (`column`), as in
//! PostgreSQL.
//!
//! The rows are read in a transaction of its own where that sees the same: reading all of a relation at SERIALIZABLE would
//! make ANALYZE fail at the next commit of anybody else.

mod column;
mod refresh;
mod sample;

pub use refresh::{Refresh, is_stale};

use crate::context::StatementContext;
use crate::rows::Table;
use catalog::{Object, ObjectKey, ObjectKind, Relation, Snapshot, Statistics, TransactionCatalog};
use sample::{Sample, Sampler};
use std::ops::ControlFlow;
use std::sync::Arc;
use txn::{Direction, Isolation, KeyRange, Transaction, TxnOptions};
use types::{Result, SqlType};

/// `default_statistics_target`: most common values, and parts of the histogram.
const TARGET_DEFAULT: usize = 100;
/// Rows of the sample for each of them (PostgreSQL's 300, after Chaudhuri, Motwani and Narasayya, 1998).
const ROWS_PER_TARGET: usize = 300;
/// Rows looked at between two looks at the clock.
const SLICE_ROWS: usize = 4_096;

/// Statistics of these attributes (none named: of all), with what is known of the others.
pub async fn gather(context: &StatementContext, relation: &Arc<Relation>, attributes: &[i16]) -> Result<Statistics> {
    let own = context.txn.has_writes() || relation.is_temporary;
    let txn = match own {
        true => context.txn.clone(),
        false => {
            let options = TxnOptions {
                isolation: Isolation::RepeatableRead,
                read_only: true,
                session: context.txn.session(),
                ..TxnOptions::default()
            };
            let txn = context.gateway.begin(options);
            txn.set_cancel(context.cancel.clone());
            txn.set_deadline(context.deadline());
            txn.begin_statement().await?;
            txn
        }
    };
    let sample = take_sample(&txn, relation, attributes, &context.host).await;
    if !own {
        txn.rollback();
    }
    let before = context.catalog.statistics(relation.id).cloned();
    Ok(describe(&context.catalog, relation, &sample?, before.as_deref()))
}

/// Makes statistics the transaction's newest.
pub async fn store(txn: &Transaction, catalog: &mut TransactionCatalog, statistics: Statistics) -> Result<()> {
    catalog.lock(txn, ObjectKey::new(ObjectKind::Statistics, statistics.relation)).await?;
    catalog.put(txn, Object::Statistics(statistics))
}

async fn take_sample(
    txn: &Transaction,
    relation: &Arc<Relation>,
    attributes: &[i16],
    host: &host::Host,
) -> Result<Sample> {
    let table = Table::new(relation)?;
    let is_wanted = |n: i16| attributes.is_empty() || attributes.contains(&n);
    let columns: Vec<_> = relation.live_columns().filter(|c| is_wanted(c.number)).collect();
    let target = columns.iter().map(|c| target(c.statistics_target)).max().unwrap_or(TARGET_DEFAULT);
    let wanted = columns.iter().filter(|c| c.statistics_target != 0).map(|c| c.number).collect();
    let mut sampler = Sampler::new(table.clone(), wanted, target * ROWS_PER_TARGET, host.random.next_u64());
    let mut scan = txn.scan(&table.at, None, KeyRange::all(), Direction::Forward);
    loop {
        let mut failed = None;
        let visited = scan
            .next(SLICE_ROWS, |_, row, _| match sampler.see(row) {
                Ok(()) => ControlFlow::Continue(()),
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
            return Ok(sampler.finish());
        }
        txn.check()?;
        // Others want this thread, too.
        tokio::task::yield_now().await;
    }
}

/// A column's own target, or the default.
fn target(of_column: i32) -> usize {
    usize::try_from(of_column).unwrap_or(TARGET_DEFAULT)
}

fn describe(catalog: &Snapshot, relation: &Relation, sample: &Sample, before: Option<&Statistics>) -> Statistics {
    let mut statistics = Statistics {
        relation: relation.id,
        rows: sample.rows as f64,
        average_width: if sample.rows == 0 { 0.0 } else { sample.bytes as f64 / sample.rows as f64 },
        columns: vec![],
    };
    for column in relation.live_columns() {
        let sampled = sample.attributes.iter().position(|a| *a == column.number);
        match sampled.and_then(|at| sample.columns.get(at)) {
            // An empty relation tells nothing: what was known stays, as in PostgreSQL.
            Some(values) if sample.rows > 0 => {
                let ty: SqlType = column.ty.into();
                let (has_order, target) = (catalog::has_order(catalog, ty), target(column.statistics_target));
                let (number, order, rows) = (column.number, &sample.order, sample.rows);
                statistics.columns.push(column::describe(number, ty, has_order, values, order, rows, target));
            }
            _ => {
                let known = before.and_then(|s| s.columns.iter().find(|c| c.number == column.number));
                statistics.columns.extend(known.cloned());
            }
        }
    }
    statistics
}

#[cfg(test)]
mod tests;
