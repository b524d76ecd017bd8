//! Snapshots that transactions have exported (`pg_export_snapshot`), for others of this node to take (SET TRANSACTION SNAPSHOT).
//!
//! I1  A name is known as long as the transaction that exported it, which holds the snapshot: who takes it holds it too from then on.

use crate::session::Session;
use crate::state::{SessionState, TransactionFacts};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use txn::{Isolation, SessionId, Timestamp, Transaction};
use types::{Oid, Result, SqlError, SqlState};

/// Snapshots exported at a time.
const EXPORTED_MAX: usize = 100_000;

#[derive(Clone, Copy)]
struct Exported {
    session: SessionId,
    database: Oid,
    snapshot: Timestamp,
    facts: TransactionFacts,
}

#[derive(Default)]
pub(crate) struct ExportedSnapshots(Mutex<BTreeMap<String, Exported>>);

impl ExportedSnapshots {
    /// The exporter's transaction is over.
    pub fn forget(&self, session: SessionId) {
        self.0.lock().retain(|_, exported| exported.session != session);
    }
}

fn refused(message: &str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
}

impl SessionState {
    pub(crate) fn export_current(&self, txn: &Transaction) -> Result<String> {
        if txn.is_in_savepoint() {
            let message = "cannot export a snapshot from a subtransaction";
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        }
        let exported =
            Exported { session: self.id, database: self.database, snapshot: txn.snapshot(), facts: self.facts() };
        let mut all = self.shared.snapshots.0.lock();
        if all.len() >= EXPORTED_MAX {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many exported snapshots"));
        }
        let count = all.values().filter(|other| other.session == self.id).count() + 1;
        let number = txn.id();
        let name = format!("{:08X}-{:08X}-{count}", number >> 32, number & u64::from(u32::MAX));
        all.insert(name.clone(), exported);
        self.has_exported.store(true, std::sync::atomic::Ordering::Relaxed);
        Ok(name)
    }
}

impl Session {
    /// SET TRANSACTION SNAPSHOT.
    pub(crate) fn import_snapshot(&mut self, name: &str) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.has_run || !open.savepoints.is_empty() {
            let message = "SET TRANSACTION SNAPSHOT must be called before any query";
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        }
        let facts = open.facts;
        if facts.isolation == Isolation::ReadCommitted {
            let message = "a snapshot-importing transaction must have isolation level SERIALIZABLE or REPEATABLE READ";
            return Err(refused(message));
        }
        let exported = self.shared.snapshots.0.lock();
        let found = exported.get(name).copied().ok_or_else(|| {
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid snapshot identifier: \"{name}\""))
        })?;
        if facts.isolation == Isolation::Serializable && found.facts.isolation != Isolation::Serializable {
            let message = "a serializable transaction cannot import a snapshot from a non-serializable transaction";
            return Err(refused(message));
        }
        if facts.isolation == Isolation::Serializable && found.facts.read_only && !facts.read_only {
            let message =
                "a non-read-only serializable transaction cannot import a snapshot from a read-only transaction";
            return Err(refused(message));
        }
        if found.database != self.state.database {
            return Err(refused("cannot import a snapshot from a different database"));
        }
        // I1: while the exporter's entry is there.
        open.txn.adopt(found.snapshot);
        // Executed again, the block would not find the snapshot.
        open.history.end();
        Ok(())
    }
}
