//! The rows of many keys at once: what an index found is read with one look at the transaction and one view of the segment.
//!
//! I1  As `get_facet` of each key in turn: the same spans, the same waits, the same rows. What needs more than that for a
//!     key (own writes, TEMP rows, a row to be locked ahead) is read by it.
//! I2  Every key was waited for before the view is taken (R2): a view may miss what is applied after it.

use crate::transaction::Transaction;
use crate::{Facet, Home, RelationRef, Result, Timestamp, TxnError};
use shard::locks::RowKey;
use shard::reads::{RangeEnd, ReadRange};
use shard::recent::Key;
use std::ops::ControlFlow;
use std::sync::Arc;

impl Transaction {
    /// `read` gets each key with its row, in the order of `keys`, until it has enough; without the mutex. Keys come as they
    /// are stored, slot apart; the caller bounds how many (a batch): nothing else runs on the thread meanwhile.
    pub async fn get_many<'k>(
        &self,
        relation: &RelationRef,
        keys: impl Iterator<Item = (u16, &'k [u8])> + Clone,
        facet: Option<&Arc<dyn Facet>>,
        mut read: impl FnMut(&[u8], Option<&[u8]>, Timestamp) -> ControlFlow<()>,
    ) -> Result<()> {
        let shard = match self.inner.gateway.shard(relation.home) {
            Some(shard) if self.has_only_committed(relation, keys.clone()) => shard.clone(),
            _ => {
                for (slot, key) in keys {
                    let one = |row: Option<&[u8]>, ts| read(key, row, ts);
                    if self.get_facet(relation, slot, key, facet, one).await?.is_break() {
                        break;
                    }
                }
                return Ok(());
            }
        };
        let at = self.note_reads(relation, keys.clone(), facet)?;
        let (gateway, is_as_of) = (&self.inner.gateway, self.inner.options.as_of.is_some());
        gateway.check_readable(relation, at, is_as_of)?;
        for (_, key) in keys.clone() {
            let row = RowKey::new(relation.storage, key);
            if !shard.is_row_clear(&row, at) {
                self.limits().wait(shard.wait_for_row(&row, at)).await??;
            }
        }
        let term = shard.term()?;
        {
            let view = shard.segment().view()?;
            for (_, key) in keys {
                let found = view.get(relation.storage, key, at)?;
                let ts = found.as_ref().map_or(Timestamp::ZERO, |found| found.ts);
                if read(key, found.as_ref().map(|found| &*found.value), ts).is_break() {
                    break;
                }
            }
        }
        shard.confirm(term)?;
        gateway.check_readable(relation, at, is_as_of)
    }

    fn has_only_committed<'k>(&self, relation: &RelationRef, mut keys: impl Iterator<Item = (u16, &'k [u8])>) -> bool {
        relation.home == Home::Data
            && self.state().part(relation.home).buffer.is_empty()
            && !(self.inner.options.is_block && keys.any(|(_, key)| self.is_contended(relation, key)))
    }

    /// Leaves the spans (`Transaction`'s I3); at which timestamp the rows are to be read.
    fn note_reads<'k>(
        &self,
        relation: &RelationRef,
        keys: impl Iterator<Item = (u16, &'k [u8])>,
        facet: Option<&Arc<dyn Facet>>,
    ) -> Result<Timestamp> {
        let leaves_spans = self.leaves_spans();
        let mut state = self.state();
        if state.is_over {
            return Err(TxnError::Over);
        }
        let at = state.newest.or(state.snapshot).ok_or(TxnError::Over)?;
        let reads_newest = state.newest.is_some();
        let part = state.part(relation.home);
        if !leaves_spans {
            return Ok(at);
        }
        part.note_schema(relation);
        if reads_newest && part.excluded.contains(&relation.id) {
            return Ok(at);
        }
        let spans_max = self.inner.gateway.limits().spans;
        for (_, key) in keys {
            let span = ReadRange { start: Key::from_slice(key), end: RangeEnd::Point };
            part.reads.add(relation.storage, span, facet, spans_max);
        }
        Ok(at)
    }
}
