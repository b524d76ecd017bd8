//! Finishing a prepared transaction whose coordinator is silent (`distributed-core.md` §5, R10).
//!
//! The decision is derived from the logs: every participant is asked for its fate, and who has not seen the transaction
//! leaves a tombstone. All prepared: committed at the greatest stamp. A tombstone anywhere: aborted. Decided anywhere:
//! that. So it may run beside a living coordinator and beside other recoveries: all derive the same.

use crate::command;
use crate::sequencer::Outcome;
use crate::shard::{Result, Shard, ShardError};
use crate::{Fate, TxnId};
use std::sync::Arc;
use storage::Timestamp;

/// Asks all participants and carries out what follows; returns the commit timestamp, or None for an abort.
pub async fn recover(txn: TxnId, participants: &[Arc<Shard>]) -> Result<Option<Timestamp>> {
    let mut commit_ts = Timestamp::ZERO;
    let mut is_aborted = false;
    let mut decided = None;
    for shard in participants {
        match shard.status(txn, 0).await? {
            Outcome::Fate(Fate::Prepared(ts)) => commit_ts = commit_ts.max(ts),
            Outcome::Fate(Fate::Committed(ts)) => decided = Some(ts),
            Outcome::Fate(Fate::Aborted | Fate::Forgotten | Fate::Unseen) => is_aborted = true,
            Outcome::Unknown => return Err(ShardError::NotServing),
        }
    }
    let decision = match (decided, is_aborted) {
        (Some(ts), _) => Some(ts),
        (None, true) => None,
        (None, false) => Some(commit_ts),
    };
    if let (Some(ts), Some(shard)) = (decision, participants.first()) {
        shard.oracle().cover(ts).await;
    }
    decide(txn, 0, decision, participants).await?;
    Ok(decision)
}

/// Sends the decision to all participants and returns when each has applied it. Idempotent.
pub async fn decide(
    txn: TxnId,
    watermark: u64,
    commit_ts: Option<Timestamp>,
    participants: &[Arc<Shard>],
) -> Result<()> {
    let mut slots = Vec::with_capacity(participants.len());
    for shard in participants {
        slots.push(shard.submit(command::decide(txn, watermark, commit_ts), commit_ts)?);
    }
    for slot in slots {
        if slot.wait().await == Outcome::Unknown {
            return Err(ShardError::NotServing);
        }
    }
    Ok(())
}
