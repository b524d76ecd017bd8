//! What a client keeps on the server by name, prepared statements and portals, and the memory that it takes.
//!
//! A text of the protocol may have 64 MiB, a parameter too, and a session 100,000 of each: so what is kept counts against the
//! session's own budget and the node's (53200), for as long as it is kept. A small unnamed one, of which there is one at a time,
//! is not worth counting.

use crate::session::Session;
use crate::statement::PreparedStatement;
use exec::budget::Reservation;
use std::collections::HashMap;
use std::sync::Arc;
use types::{Result, SqlError, SqlState};

/// Memory of a statement beside its text: its tree, its plan, and both maps' entries.
const STATEMENT_BYTES: usize = 4 << 10;
/// Memory of a plan for each byte of its text.
const PLAN_OF_BYTE: usize = 8;
/// Memory of a portal beside its parameters.
const PORTAL_BYTES: usize = 1 << 10;
/// What an unnamed one may take uncounted.
const UNCOUNTED: usize = 64 << 10;

/// Prepared statements by name.
#[derive(Default)]
pub(crate) struct Statements(HashMap<String, (Arc<PreparedStatement>, Option<Reservation>)>);

impl Statements {
    pub fn get(&self, name: &str) -> Option<&Arc<PreparedStatement>> {
        self.0.get(name).map(|(statement, _)| statement)
    }
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
    pub fn insert(&mut self, name: &str, statement: Arc<PreparedStatement>, memory: Option<Reservation>) {
        self.0.insert(name.to_owned(), (statement, memory));
    }
    /// Whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }
    pub fn clear(&mut self) {
        self.0.clear();
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<PreparedStatement>)> {
        self.0.iter().map(|(name, (statement, _))| (name, statement))
    }
}

impl Session {
    /// Memory for a statement that is to be kept under this name.
    pub(crate) fn statement_memory(&self, name: &str, text: &str) -> Result<Option<Reservation>> {
        let plan = text.len().saturating_mul(PLAN_OF_BYTE);
        self.kept_memory(name, plan.saturating_add(STATEMENT_BYTES), "DEALLOCATE prepared statements")
    }

    /// Memory for a portal with so many bytes of parameters.
    pub(crate) fn portal_memory(&self, name: &str, parameters: usize) -> Result<Option<Reservation>> {
        self.kept_memory(name, parameters.saturating_add(PORTAL_BYTES), "Close portals")
    }

    fn kept_memory(&self, name: &str, bytes: usize, help: &str) -> Result<Option<Reservation>> {
        if name.is_empty() && bytes <= UNCOUNTED {
            return Ok(None);
        }
        let mut memory = Reservation::new(&self.kept);
        match memory.grow(bytes) {
            Ok(()) => Ok(Some(memory)),
            Err(_) => Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
                .detail(format!("Failed on request of size {bytes} in the memory for what the session keeps by name."))
                .hint(format!("{help} that are not needed any more."))),
        }
    }
}
