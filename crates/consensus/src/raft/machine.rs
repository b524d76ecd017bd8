//! Level 1. openraft's state machine over `Replica`.
//!
//! The segment is the snapshot: "building" one says up to where it is flushed, which lets openraft purge the log; no
//! data moves. (Images for followers come with them.)

use super::log::Log;
use super::shared::Shared;
use super::types::{Payload, STATE_MEMBERSHIP, StoredMembership, Types, encode_stored_membership};
use futures_util::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use openraft::type_config::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::{OptionalSend, SnapshotMeta};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use storage::StopOnPanic;
use storage::wal::{Body, LogRecord};

#[derive(Clone)]
pub struct Machine(pub Arc<Shared>);

impl Machine {
    async fn take_membership(&self, stored: StoredMembership) -> io::Result<()> {
        let body = Body::State { number: STATE_MEMBERSHIP, payload: encode_stored_membership(&stored) };
        Log(self.0.clone()).append_durably(&[LogRecord { group: self.0.group, index: 0, term: 0, body }]).await?;
        *self.0.membership.lock() = stored;
        Ok(())
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = Machine;

    async fn applied_state(&mut self) -> Result<(Option<super::types::LogId>, StoredMembership), io::Error> {
        Ok((self.0.flushed(), self.0.membership.lock().clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let shared = &self.0;
        // A task that panics dies alone; the replicated state may be half changed, so the node stops.
        let _stop = StopOnPanic { fatal: &shared.common.fatal, place: "the replicated state machine" };
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let (term, index) = (entry.log_id.leader_id.term, entry.log_id.index);
            match entry.payload {
                // Written ahead and applied then.
                Payload::Normal(_) if index <= shared.applied.load(Ordering::SeqCst) => {}
                Payload::Normal(batch) => {
                    shared.replica.apply(index, term, batch.0);
                    if term == shared.leading.load(Ordering::Relaxed) {
                        let one_less = |count: usize| count.checked_sub(1);
                        let _ = shared.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
                    }
                }
                Payload::Blank => {
                    // First, so that who is told of the leadership finds its first entry applied.
                    shared.applied.fetch_max(index, Ordering::SeqCst);
                    shared.raft_applied.fetch_max(index, Ordering::SeqCst);
                    if shared.is_leader_of(term) {
                        shared.start_leading(term);
                    }
                }
                Payload::Membership(membership) => {
                    self.take_membership(StoredMembership::new(Some(entry.log_id), membership)).await?;
                }
            }
            shared.applied.fetch_max(index, Ordering::SeqCst);
            shared.raft_applied.fetch_max(index, Ordering::SeqCst);
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        shared.replica.applied_round();
        shared.proposer.notify_one();
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Machine> {
        Some(self.clone())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn install_snapshot(&mut self, _: &SnapshotMetaOf<Types>, (): ()) -> Result<(), io::Error> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a group of one member receives no image"))
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Types, ()>>, io::Error> {
        Ok(None)
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types, ()>, io::Error> {
        let meta = SnapshotMeta { last_log_id: self.0.flushed(), last_membership: self.0.membership.lock().clone() };
        Ok(Snapshot { meta, snapshot: () })
    }
}
