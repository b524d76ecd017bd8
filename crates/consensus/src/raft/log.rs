//! Level 1. openraft's log storage over the node's WAL and the group's window.
//!
//! `append` on a one-member node writes and syncs before it returns (no hop); otherwise it hands the records to the
//! log thread, which calls back after its sync. What was written ahead of openraft (`ahead`) is not written again. Votes
//! and truncations are durable on return, always.

use super::shared::Shared;
use super::types::{
    Ballot, FLAVOR_BLANK, FLAVOR_MEMBERSHIP, FLAVOR_NORMAL, LogEntry, LogId, Payload, STATE_VOTE, Types,
    encode_membership, encode_vote,
};
use bytes::Bytes;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, OptionalSend, RaftLogReader};
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use storage::StorageError;
use storage::wal::{Body, LogRecord};

/// Between two attempts while the log's disk is full.
const RETRY: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub struct Log(pub Arc<Shared>);

pub fn record(group: u64, entry: &LogEntry) -> LogRecord {
    let (flavor, payload) = match &entry.payload {
        Payload::Normal(batch) => (FLAVOR_NORMAL, batch.0.clone()),
        Payload::Blank => (FLAVOR_BLANK, Bytes::new()),
        Payload::Membership(membership) => (FLAVOR_MEMBERSHIP, encode_membership(membership)),
    };
    let (term, index) = (entry.log_id.leader_id.term, entry.log_id.index);
    LogRecord { group, index, term, body: Body::Entry { flavor, payload } }
}

impl Log {
    /// Written and synced on return. A full disk is waited out: what comes here was promised room, and without this
    /// record the group can not go on.
    pub async fn append_durably(&self, records: &[LogRecord]) -> io::Result<()> {
        self.0.common.device_time().await;
        loop {
            match self.0.common.wal.append(records) {
                Ok(()) => {
                    self.0.common.device_time().await;
                    return Ok(());
                }
                Err(StorageError::DiskFull(_)) => host::clock::sleep(RETRY).await,
                Err(error) => {
                    // The node is stopping (`WalOptions::fatal`); where it only takes note, it leads no more.
                    self.0.stop_leading();
                    return Err(io::Error::other(error));
                }
            }
        }
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<LogEntry>, io::Error> {
        Ok(self.0.log.lock().range(range))
    }

    async fn read_vote(&mut self) -> Result<Option<Ballot>, io::Error> {
        Ok(*self.0.vote.lock())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let log = self.0.log.lock();
        Ok(LogState { last_purged_log_id: log.purged, last_log_id: log.last() })
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Ballot) -> Result<(), io::Error> {
        let body = Body::State { number: STATE_VOTE, payload: encode_vote(vote) };
        self.append_durably(&[LogRecord { group: self.0.group, index: 0, term: 0, body }]).await?;
        *self.0.vote.lock() = Some(*vote);
        let leading = self.0.leading.load(Ordering::SeqCst);
        if leading != 0 && !self.0.is_leader_of(leading) {
            self.0.stop_leading();
        }
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        let mut last = 0;
        {
            let mut log = self.0.log.lock();
            // The first entry ever has index 0.
            let ahead = log.last().map(|id| id.index);
            for entry in entries {
                last = entry.log_id.index;
                if ahead.is_none_or(|ahead| last > ahead) {
                    records.push(record(self.0.group, &entry));
                    log.push(entry);
                } else if !log.holds(&entry) {
                    // I2 of `ahead`.
                    let what = format!("log of group {}: a second entry {}", self.0.group, entry.log_id);
                    (self.0.common.fatal)(&StorageError::Corrupt(what.clone()));
                    return Err(io::Error::other(what));
                }
            }
        }
        // In this order, so that it never looks as if it had to be handed over.
        self.0.handed.fetch_max(last, Ordering::SeqCst);
        self.0.written.fetch_max(last, Ordering::SeqCst);
        if records.is_empty() {
            callback.io_completed(Ok(()));
        } else if self.0.common.is_inline.load(Ordering::Acquire) {
            self.append_durably(&records).await?;
            callback.io_completed(Ok(()));
        } else {
            let done =
                Box::new(move |result: storage::Result<()>| callback.io_completed(result.map_err(io::Error::other)));
            self.0.common.wal.submit(records, done);
        }
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let index = last.map_or(0, |id| id.index + 1);
        self.append_durably(&[LogRecord { group: self.0.group, index, term: 0, body: Body::Truncate }]).await?;
        self.0.log.lock().truncate(index);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        match self.0.common.wal.purge(self.0.group, upto.index, upto.leader_id.term) {
            // The files stay a while longer.
            Ok(()) | Err(StorageError::DiskFull(_)) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        self.0.log.lock().purge(upto);
        Ok(())
    }
}
