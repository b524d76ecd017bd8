//! Who waits for whom on this node, over all its shards; a cycle kills its youngest.
//!
//! A waiter registers after it has waited `DEADLOCK_AFTER`, and searches: short waits, which are nearly all, cost nothing.
//! The last to register of a cycle finds it (I1), as all others are there already.

use super::table::{LockTable, Owner, RowKey};
use crate::wake::Wakeups;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// As long as this a waiter believes that the holder will go by itself.
pub const DEADLOCK_AFTER: Duration = Duration::from_millis(50);
/// Waiters that one search visits; a longer chain is looked at again by the next waiter.
const VISITS_MAX: usize = 100_000;

#[derive(Default)]
pub struct WaitGraph {
    waiting: Mutex<HashMap<Owner, (Weak<LockTable>, RowKey), FixedState>>,
}

impl WaitGraph {
    pub fn add(&self, owner: Owner, table: &Arc<LockTable>, row: &RowKey) {
        self.waiting.lock().insert(owner, (Arc::downgrade(table), row.clone()));
    }

    pub fn remove(&self, owner: Owner) {
        self.waiting.lock().remove(&owner);
    }

    fn place(&self, owner: Owner) -> Option<(Arc<LockTable>, RowKey)> {
        let waiting = self.waiting.lock();
        let (table, row) = waiting.get(&owner)?;
        Some((table.upgrade()?, row.clone()))
    }

    fn blockers(&self, owner: Owner) -> Vec<Owner> {
        let mut blockers = Vec::new();
        if let Some((table, row)) = self.place(owner) {
            table.blockers(owner, &row, &mut blockers);
        }
        blockers
    }

    /// Looks for a cycle through `owner`, which waits and is registered. Its youngest member's wait ends with `Deadlock`.
    pub fn search(&self, owner: Owner, wakeups: &mut Wakeups) -> Option<Owner> {
        let mut path = vec![(owner, self.blockers(owner))];
        let mut seen = hashbrown::HashSet::with_hasher(FixedState::default());
        while let Some((_, blockers)) = path.last_mut() {
            let Some(next) = blockers.pop() else {
                path.pop();
                continue;
            };
            if next == owner {
                let victim = path.iter().map(|(member, _)| *member).max()?;
                if let Some((table, row)) = self.place(victim) {
                    table.kill(victim, &row, wakeups);
                }
                self.remove(victim);
                return Some(victim);
            }
            if seen.len() < VISITS_MAX && seen.insert(next) {
                path.push((next, self.blockers(next)));
            }
        }
        None
    }
}
