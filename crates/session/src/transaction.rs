//! The session's transaction: how it opens, its savepoints, and everything that ends with it.
//!
//! I1  What ends together: the gateway's transaction, the catalog's changes, settings, put-off checks, portals. `commit` and `abort`
//!     are the only ends, `mark` and `rewind` the only cuts.
//! I2  After an error nothing of the transaction is held but what a savepoint still needs.

use crate::portal::Portal;
use crate::put_off::PutOffMark;
use crate::replay::History;
use crate::session::Session;
use crate::settings::SettingsMark;
use crate::state::TransactionFacts;
use catalog::{CatalogMark, OnCommit};
use sql::utility::{IsolationLevel, TransactionModes};
use std::sync::Arc;
use txn::{Gateway, Isolation, SavepointId, Timestamp, Transaction, TxnOptions};
use types::{Result, SqlError, SqlState, SqlType};

/// Savepoints of one transaction at a time.
const SAVEPOINTS_MAX: usize = 100_000;

pub(crate) struct OpenTransaction {
    pub txn: Transaction,
    pub facts: TransactionFacts,
    /// A query has run: isolation and the like are fixed.
    pub has_run: bool,
    pub savepoints: Vec<Savepoint>,
    /// What it has done, to be done again after a conflict.
    pub history: History,
    /// Rolled back after an error; only the block is left.
    is_dead: bool,
}

pub(crate) struct Savepoint {
    name: String,
    id: SavepointId,
    mark: Mark,
}

/// A place in everything that a savepoint cuts back.
#[derive(Clone)]
struct Mark {
    catalog: CatalogMark,
    settings: SettingsMark,
    put_off: PutOffMark,
    advisory: usize,
    notifications: usize,
    facts: TransactionFacts,
    /// Portals with a higher number were made later.
    portals: u64,
}

/// 25001 where SET TRANSACTION comes too late for what it wants.
fn check_in_time(open: &OpenTransaction, wanted: &TransactionFacts, modes: &TransactionModes) -> Result<()> {
    let (has_run, is_inside) = (open.has_run, !open.savepoints.is_empty());
    let is_another_level = wanted.isolation != open.facts.isolation;
    let is_made_writable = open.facts.read_only && !wanted.read_only;
    let problem = match modes.deferrable.is_some() {
        _ if modes.as_of.is_some() && (has_run || is_inside) => {
            "SET TRANSACTION AS OF SYSTEM TIME must be called before any query"
        }
        _ if is_another_level && has_run => "SET TRANSACTION ISOLATION LEVEL must be called before any query",
        _ if is_another_level && is_inside => "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction",
        _ if is_made_writable && is_inside => "cannot set transaction read-write mode inside a read-only transaction",
        _ if is_made_writable && has_run => "transaction read-write mode must be set before any query",
        true if is_inside => "SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction",
        true if has_run => "SET TRANSACTION [NOT] DEFERRABLE must be called before any query",
        _ => return Ok(()),
    };
    Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, problem))
}

pub(crate) fn isolation(level: IsolationLevel) -> Isolation {
    match level {
        IsolationLevel::ReadUncommitted | IsolationLevel::ReadCommitted => Isolation::ReadCommitted,
        IsolationLevel::RepeatableRead => Isolation::RepeatableRead,
        IsolationLevel::Serializable => Isolation::Serializable,
    }
}

impl Session {
    /// What `default_transaction_…` say.
    fn default_facts(&self) -> TransactionFacts {
        match self.derived.is_stale(&self.state) {
            true => TransactionFacts::default_of(&self.state.settings.lock()),
            false => self.derived.transaction,
        }
    }

    fn apply_modes(facts: &mut TransactionFacts, modes: &TransactionModes) {
        if let Some(level) = modes.isolation {
            facts.isolation = isolation(level);
            facts.is_uncommitted = level == IsolationLevel::ReadUncommitted;
        }
        facts.read_only = modes.read_only.unwrap_or(facts.read_only);
        facts.deferrable = modes.deferrable.unwrap_or(facts.deferrable);
    }

    fn new_transaction(&self, facts: TransactionFacts, age: Timestamp) -> Transaction {
        let txn = self.shared.gateway.begin(TxnOptions {
            isolation: facts.isolation,
            read_only: facts.read_only,
            deferrable: facts.deferrable,
            as_of: facts.as_of,
            is_block: self.block.is_in_block(),
            session: self.state.id,
            age,
        });
        txn.set_cancel(self.state.cancel.clone());
        self.state.advisory.begin(&txn);
        self.state.set_current(&txn);
        txn
    }

    /// Opens the transaction. `age`: of the attempt before, if this one executes it again.
    pub(crate) fn open_transaction(&mut self, modes: &TransactionModes, age: Timestamp) {
        let mut facts = self.default_facts();
        Self::apply_modes(&mut facts, modes);
        let now = crate::shared::wall(&self.shared.host);
        self.open_at(facts, age, now, History::of(&facts));
    }

    /// `now`: what `now()` says in it.
    pub(crate) fn open_at(&mut self, facts: TransactionFacts, age: Timestamp, now: i64, history: History) {
        self.state.start_transaction(now, facts);
        self.derived.set_now(now);
        let txn = self.new_transaction(facts, age);
        self.open = Some(OpenTransaction { txn, facts, has_run: false, savepoints: vec![], history, is_dead: false });
    }

    pub(crate) fn transaction(&self) -> Result<&Transaction> {
        match &self.open {
            Some(open) => Ok(&open.txn),
            None => Err(SqlError::internal("no transaction is open")),
        }
    }

    /// The moment that AS OF SYSTEM TIME means: a time, an interval back from now, or a raw timestamp as `_ts` shows it.
    pub(crate) fn past(&self, modes: &TransactionModes) -> Result<Option<Timestamp>> {
        let Some(text) = &modes.as_of else { return Ok(None) };
        let format = self.derived.format.clone();
        let as_type = |ty| types::io::input(ty, text, &format);
        let value = as_type(SqlType::INT8).or_else(|_| as_type(SqlType::TIMESTAMPTZ));
        let value = value.or_else(|error| as_type(SqlType::INTERVAL).map_err(|_| error))?;
        exec::as_of(&value, Gateway::micros_of(self.shared.gateway.now())).map(Some)
    }

    /// SET TRANSACTION.
    pub(crate) fn set_transaction(&mut self, modes: &TransactionModes) -> Result<()> {
        let past = self.past(modes)?;
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut facts = open.facts;
        Self::apply_modes(&mut facts, modes);
        if past.is_some() {
            (facts.as_of, facts.read_only) = (past, true);
        }
        check_in_time(open, &facts, modes)?;
        if facts == open.facts {
            return Ok(());
        }
        if open.has_run || !open.savepoints.is_empty() {
            // READ ONLY in mid-transaction: kept by admission, as the transaction's own flag is fixed.
            open.facts = facts;
            self.state.set_facts(facts);
            return Ok(());
        }
        let age = open.txn.age();
        let txn = self.new_transaction(facts, age);
        self.state.set_facts(facts);
        if let Some(open) = &mut self.open {
            open.txn = txn;
            open.facts = facts;
            open.history = History::of(&facts);
        }
        Ok(())
    }

    // --- savepoints

    fn mark(&self) -> Mark {
        Mark {
            catalog: self.catalog.mark(),
            settings: self.state.settings.lock().mark(),
            put_off: self.state.put_off.lock().mark(),
            advisory: self.state.advisory.mark(),
            notifications: self.state.mailbox.mark(),
            facts: self.state.facts(),
            portals: self.next_portal,
        }
    }

    fn rewind(&mut self, mark: Mark) {
        self.catalog.rollback_to(mark.catalog);
        self.state.settings.lock().rollback_to(mark.settings);
        self.state.put_off.lock().rewind(&mark.put_off);
        self.state.advisory.rewind(mark.advisory);
        self.state.mailbox.rewind(mark.notifications);
        self.restore_facts(mark.facts);
        self.portals.retain(|_, portal| portal.number <= mark.portals || portal.is_held());
        self.follow_temporary_schema();
    }

    pub(crate) fn savepoint(&mut self, name: &str) -> Result<()> {
        let mark = self.mark();
        let Some(open) = &mut self.open else { return Err(SqlError::internal("no transaction is open")) };
        if open.savepoints.len() >= SAVEPOINTS_MAX {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many savepoints in one transaction"));
        }
        let id = open.txn.savepoint();
        open.savepoints.push(Savepoint { name: name.to_owned(), id, mark });
        Ok(())
    }

    fn find_savepoint(&self, name: &str) -> Result<usize> {
        let open = self.open.as_ref();
        open.and_then(|open| open.savepoints.iter().rposition(|s| s.name == name)).ok_or_else(|| {
            let message = format!("savepoint \"{name}\" does not exist");
            SqlError::new(SqlState::INVALID_SAVEPOINT_SPECIFICATION, message)
        })
    }

    pub(crate) fn rollback_to(&mut self, name: &str) -> Result<()> {
        let at = self.find_savepoint(name)?;
        let Some(open) = &mut self.open else { return Ok(()) };
        open.savepoints.truncate(at + 1);
        let Some((id, mark)) = open.savepoints.last().map(|s| (s.id, s.mark.clone())) else { return Ok(()) };
        open.txn.rollback_to(id);
        self.rewind(mark);
        self.block.recover();
        Ok(())
    }

    pub(crate) fn release(&mut self, name: &str) -> Result<()> {
        let at = self.find_savepoint(name)?;
        let Some(open) = &mut self.open else { return Ok(()) };
        let Some((id, facts)) = open.savepoints.get(at).map(|s| (s.id, s.mark.facts)) else { return Ok(()) };
        open.txn.release(id);
        open.savepoints.truncate(at);
        // SET TRANSACTION READ ONLY counts for the part of the transaction that it was said in.
        self.restore_facts(facts);
        Ok(())
    }

    fn restore_facts(&mut self, facts: TransactionFacts) {
        if let Some(open) = &mut self.open {
            open.facts = facts;
            self.state.set_facts(facts);
        }
    }

    // --- the end

    /// Runs what waits for the commit, and commits. After an error the transaction is rolled back.
    pub(crate) async fn commit(&mut self) -> Result<()> {
        // A statement that commits in steps has done so already.
        if self.open.is_none() {
            return Ok(());
        }
        if let Err(error) = self.before_commit().await {
            self.met = self.open.as_ref().and_then(|open| open.txn.take_met());
            self.abort();
            return Err(error);
        }
        let Some(open) = self.open.take() else { return Ok(()) };
        self.catalog.before_commit(&open.txn);
        let has_changes = self.catalog.has_changes();
        let txn = open.txn.clone();
        match open.txn.commit().await {
            Ok(_) => {
                self.catalog.after_commit(self.state.id);
                if has_changes {
                    self.follow_temporary_schema();
                }
                self.state.settings.lock().commit();
                self.state.mailbox.commit(&self.state);
                self.after_end();
                Ok(())
            }
            Err(error) => {
                self.met = txn.take_met();
                self.catalog.after_rollback();
                self.state.settings.lock().rollback();
                self.state.mailbox.rewind(0);
                self.after_end();
                self.follow_temporary_schema();
                Err(error.into())
            }
        }
    }

    async fn before_commit(&mut self) -> Result<()> {
        if self.state.put_off.lock().has_waiting() {
            let checks = self.state.put_off.lock().take(false, |_| true)?;
            let context = self.statement_context(Arc::from([]))?;
            exec::run_deferred(&context, checks).await?;
        }
        let temporary = self.catalog.temporary_relations();
        if temporary.iter().any(|r| r.on_commit != OnCommit::PreserveRows) {
            self.on_commit(temporary).await?;
        }
        self.hold_cursors().await?;
        self.claim_token().await
    }

    /// Rolls back whatever is open.
    pub(crate) fn abort(&mut self) {
        if let Some(open) = self.open.take() {
            open.txn.rollback();
        }
        self.undo_session();
    }

    fn undo_session(&mut self) {
        self.catalog.after_rollback();
        self.state.settings.lock().rollback();
        self.state.mailbox.rewind(0);
        self.after_end();
        self.follow_temporary_schema();
    }

    fn after_end(&mut self) {
        self.state.end_transaction();
        if !self.portals.is_empty() {
            self.portals.retain(|_, portal| portal.is_held());
        }
    }

    /// A statement failed. What it and the transaction hold goes, but for what ROLLBACK TO may go back to.
    pub(crate) fn fail(&mut self) {
        use crate::block::Action;
        let action = self.block.fail();
        self.copy = None;
        self.queue.clear();
        // The client has been told of something that executing it all again would not tell.
        if let Some(open) = &mut self.open {
            open.history.end();
        }
        if action == Action::Rollback {
            self.abort();
            return;
        }
        let Some(open) = &mut self.open else { return };
        match open.savepoints.last().map(|s| (s.id, s.mark.clone())) {
            Some((id, mark)) => {
                open.txn.rollback_to(id);
                self.rewind(mark);
            }
            None if open.is_dead => {}
            None => {
                open.is_dead = true;
                open.txn.clone().rollback();
                self.undo_session();
            }
        }
    }

    /// The schema of TEMP objects is known, or no longer.
    fn follow_temporary_schema(&mut self) {
        use exec::SessionAccess;
        let Some(id) = self.state.temporary_schema() else { return };
        if self.catalog.snapshot().schema(id).is_none() {
            self.state.set_temporary_schema(None);
        }
    }

    /// Cursors WITH HOLD outlive the transaction: their rows are fetched now.
    async fn hold_cursors(&mut self) -> Result<()> {
        let names: Vec<String> = self.portals.iter().filter(|(_, p)| p.wants_hold()).map(|(n, _)| n.clone()).collect();
        for name in names {
            let Some(mut portal) = self.portals.remove(&name) else { continue };
            let held = self.hold(&mut portal).await;
            self.portals.insert(name, portal);
            held?;
        }
        Ok(())
    }

    async fn hold(&mut self, portal: &mut Portal) -> Result<()> {
        self.start_portal(portal).await?;
        portal.store_all().await?;
        portal.hold();
        Ok(())
    }
}
