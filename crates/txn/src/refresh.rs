//! What the transaction has read, while it goes on: rows that count as read or do not, whether something of it has changed, and the
//! step of the snapshot to now that is allowed if nothing has (R8).

use crate::transaction::Transaction;
use crate::{Home, RelationRef, Result, Timestamp, TxnError};
use shard::locks::RowKey;
use shard::reads::{RangeEnd, ReadRange};
use shard::recent::Key;

impl Transaction {
    /// R8: moves the snapshot to now if nothing that was read has changed since.
    pub(crate) async fn refresh(&self, relation: &RelationRef, key: &[u8], newest: Timestamp) -> Result<()> {
        let gateway = &*self.inner.gateway;
        // Covered first, or now could lie below what was just read.
        gateway.oracle().cover(newest).await;
        let now = gateway.snapshots().take(self.inner.owner.0, gateway.oracle()).await;
        let (old, reads) = {
            let mut state = self.state();
            let old = state.snapshot.unwrap_or_default();
            let reads = [Home::Meta, Home::Data].map(|home| {
                let reads = &mut state.part(home).reads;
                reads.normalize();
                reads.clone()
            });
            (old, reads)
        };
        let mut outcome = Ok(None);
        for (home, reads) in [Home::Meta, Home::Data].into_iter().zip(&reads) {
            if let (false, Some(shard)) = (reads.is_empty(), gateway.shard(home)) {
                outcome = match self.limits().wait(shard.has_changed(reads, old, now)).await {
                    Ok(answer) => answer.map_err(TxnError::from),
                    Err(error) => Err(error),
                };
            }
            if !matches!(outcome, Ok(None)) {
                break;
            }
        }
        let released = if matches!(outcome, Ok(None)) { old } else { now };
        if released == old {
            self.state().snapshot = Some(now);
        }
        gateway.snapshots().release(self.inner.owner.0, released);
        match outcome {
            Ok(None) => {
                gateway.metrics().refreshes.increment(1);
                Ok(())
            }
            Ok(Some(changed)) => {
                gateway.metrics().refreshes_failed.increment(1);
                let row = RowKey::new(relation.storage, key);
                gateway.contended().note(row.hash, gateway.host().clock.monotonic());
                Err(self.noted(changed.into()))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the transaction, which has written and read, is seen to be unable to commit: something that it has read has
    /// changed. Told at once, as PostgreSQL does, where that costs little; what is not seen here, the commit sees.
    pub fn check_reads(&self) -> Result<()> {
        let mut state = self.state();
        if !self.leaves_spans() || !state.has_writes() {
            return Ok(());
        }
        let Some(snapshot) = state.snapshot else { return Ok(()) };
        for home in [Home::Meta, Home::Data] {
            let part = state.part(home);
            let Some(shard) = self.inner.gateway.shard(home).filter(|_| !part.reads.is_empty()) else { continue };
            part.reads.normalize();
            if let Some(changed) = shard.spoilt(&part.reads, snapshot) {
                drop(state);
                return Err(self.noted(changed.into()));
            }
        }
        Ok(())
    }

    /// A row that a scan has found, and that is locked before it is used, or not used at all: as it was found it counts as no read.
    pub fn pass_over(&self, relation: &RelationRef, key: &[u8]) {
        if self.leaves_spans() {
            self.state().part(relation.home).reads.skip(relation.storage, key);
        }
    }

    /// A check that found nothing is a read.
    pub(crate) fn note_absent(&self, relation: &RelationRef, key: &[u8]) {
        if self.leaves_spans() {
            let span = ReadRange { start: Key::from_slice(key), end: RangeEnd::Point };
            let max = self.inner.gateway.limits().spans;
            self.state().part(relation.home).reads.add(relation.storage, span, None, max);
        }
    }
}
