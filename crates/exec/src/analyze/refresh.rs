//! Statistics that keep up: looks over the relations of the node from time to time, and analyzes those that have become much
//! larger or smaller since.
//!
//! Costs one look at each relation's row count per round, and a pass over a relation's rows each time it has grown or shrunk
//! by a fifth; at most `RELATIONS_MAX` relations per round, one after the other.

use super::{describe, store, take_sample};
use catalog::{Catalog, Relation, Statistics, TransactionCatalog};
use std::sync::Arc;
use std::time::Duration;
use txn::{Gateway, Isolation, TxnOptions};
use types::{Result, SqlState};

/// Change of the number of rows that makes statistics stale: a share of the rows, and so many besides
/// (`autovacuum_analyze_threshold`).
const STALE_SHARE: f64 = 0.2;
const STALE_ROWS: f64 = 50.0;
/// Between two rounds (`autovacuum_naptime` is a minute).
const PERIOD: Duration = Duration::from_secs(60);
const RELATIONS_MAX: usize = 32;

/// Whether the planner would be misled by what is known of a relation that has `rows` rows now.
pub fn is_stale(rows: u64, known: Option<&Statistics>) -> bool {
    let before = known.map_or(0.0, |s| s.rows);
    (rows as f64 - before).abs() >= STALE_ROWS + STALE_SHARE * before
}

/// What keeps a node's statistics.
pub struct Refresh {
    pub catalog: Arc<Catalog>,
    pub gateway: Arc<Gateway>,
    pub host: host::Host,
}

impl Refresh {
    /// Goes on for as long as the task is kept.
    pub async fn run(self) {
        loop {
            host::clock::sleep(PERIOD).await;
            self.round().await;
        }
    }

    /// Analyzes what is stale; how many relations that were.
    pub async fn round(&self) -> usize {
        let snapshot = self.catalog.current();
        let stale: Vec<Arc<Relation>> = snapshot
            .relations()
            .filter(|r| r.has_rows() && !r.is_temporary)
            .filter(|r| is_stale(self.gateway.rows_estimate(&r.reference()), snapshot.statistics(r.id).map(|s| &**s)))
            .take(RELATIONS_MAX)
            .cloned()
            .collect();
        drop(snapshot);
        let mut count = 0;
        for relation in stale {
            match self.one(&relation).await {
                Ok(()) => count += 1,
                // Changed or dropped meanwhile: the next round looks again.
                Err(error) if matches!(error.code(), SqlState::SERIALIZATION_FAILURE | SqlState::UNDEFINED_TABLE) => {}
                Err(error) => {
                    tracing::warn!(relation = relation.name, %error, "statistics could not be refreshed");
                }
            }
        }
        count
    }

    async fn one(&self, relation: &Arc<Relation>) -> Result<()> {
        let options = TxnOptions { isolation: Isolation::RepeatableRead, read_only: true, ..TxnOptions::default() };
        let reading = self.gateway.begin(options);
        reading.begin_statement().await?;
        let sample = take_sample(&reading, relation, &[], &self.host).await;
        reading.rollback();
        let sample = sample?;
        let txn = self.gateway.begin(TxnOptions { isolation: Isolation::ReadCommitted, ..TxnOptions::default() });
        txn.begin_statement().await?;
        let mut catalog = TransactionCatalog::new(self.catalog.clone());
        let snapshot = catalog.snapshot().clone();
        if snapshot.relation(relation.id).is_none_or(|now| now.schema_version != relation.schema_version) {
            txn.rollback();
            return Ok(());
        }
        let known = snapshot.statistics(relation.id).map(|s| &**s);
        let stored = store(&txn, &mut catalog, describe(&snapshot, relation, &sample, known)).await;
        if let Err(error) = stored {
            txn.rollback();
            catalog.after_rollback();
            return Err(error);
        }
        catalog.before_commit(&txn);
        let session = txn.session();
        match txn.commit().await {
            Ok(_) => {
                catalog.after_commit(session);
                Ok(())
            }
            Err(error) => {
                catalog.after_rollback();
                Err(error.into())
            }
        }
    }
}
