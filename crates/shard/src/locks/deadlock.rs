//! Who waits for whom on this node, over all its shards; a cycle lets one pass who waits for waiters only, or kills its youngest.
//!
//! A waiter registers when it begins to wait (so that whoever looks sees it) and searches when it has waited `DEADLOCK_AFTER`:
//! short waits, which are nearly all, cost two visits here. The last of a cycle to search finds it (I1), as all others are there
//! already; it ends all that it is in.
//!
//! A session that holds locks beside those of its transaction (`txn::NamedLocks`) is two owners here. They are *partners*: only one
//! of them waits at a time, and who waits for either waits for that one.

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
/// Cycles that one search ends.
const VICTIMS_MAX: usize = 1_000;
/// Members of a cycle that its victim is told of.
const TOLD_MAX: usize = 16;

/// Somebody who waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wait {
    pub owner: Owner,
    /// What for. A gate is named by a row that no relation has.
    pub row: RowKey,
    /// Since when, in microseconds of the wall clock.
    pub since: i64,
}

struct Waiting {
    table: Weak<LockTable>,
    row: RowKey,
    since: i64,
}

#[derive(Default)]
struct Waits {
    of: HashMap<Owner, Waiting, FixedState>,
    /// Of victims that have not heard yet: the cycle, themselves first, each waiting for the next.
    cycles: HashMap<Owner, Vec<Wait>, FixedState>,
}

#[derive(Default)]
pub struct WaitGraph {
    waiting: Mutex<Waits>,
    /// Both ways.
    partners: Mutex<HashMap<Owner, Owner, FixedState>>,
}

impl WaitGraph {
    /// `since`: microseconds of the wall clock.
    pub fn add(&self, owner: Owner, table: &Arc<LockTable>, row: &RowKey, since: i64) {
        let waiting = Waiting { table: Arc::downgrade(table), row: row.clone(), since };
        self.waiting.lock().of.insert(owner, waiting);
    }

    /// The wait is over, and all that is known of it.
    pub fn remove(&self, owner: Owner) {
        let mut waiting = self.waiting.lock();
        waiting.of.remove(&owner);
        if !waiting.cycles.is_empty() {
            waiting.cycles.remove(&owner);
        }
    }

    /// The cycle of which `owner` was the victim: told once, and before `remove`.
    pub fn take_cycle(&self, owner: Owner) -> Vec<Wait> {
        self.waiting.lock().cycles.remove(&owner).unwrap_or_default()
    }

    /// What an owner waits for, or its partner.
    pub fn wait_of(&self, owner: Owner) -> Option<Wait> {
        let owner = self.waiter_of(owner);
        let waiting = self.waiting.lock();
        waiting.of.get(&owner).map(|found| Wait { owner, row: found.row.clone(), since: found.since })
    }

    /// Whom an owner waits for, each once.
    pub fn waits_for(&self, owner: Owner) -> Vec<Owner> {
        let mut others = self.blockers(self.waiter_of(owner));
        others.sort_unstable();
        others.dedup();
        others
    }

    /// Whether a waiter is the next to have what it waits for.
    pub fn is_next(&self, wait: &Wait) -> bool {
        self.place(wait.owner).is_none_or(|(table, row)| table.is_first(wait.owner, &row))
    }

    /// The two are one session's from now on; partners that either had before are forgotten.
    pub fn join(&self, a: Owner, b: Owner) {
        let mut partners = self.partners.lock();
        if a == b || partners.get(&a) == Some(&b) {
            return;
        }
        for owner in [a, b] {
            if let Some(old) = partners.remove(&owner) {
                partners.remove(&old);
            }
        }
        partners.insert(a, b);
        partners.insert(b, a);
    }

    /// An owner that will never wait again.
    pub fn part(&self, owner: Owner) {
        let mut partners = self.partners.lock();
        if let Some(other) = partners.remove(&owner) {
            partners.remove(&other);
        }
    }

    /// The one of an owner and its partner that waits, or the owner.
    fn waiter_of(&self, owner: Owner) -> Owner {
        let Some(partner) = self.partners.lock().get(&owner).copied() else { return owner };
        let waiting = self.waiting.lock();
        if !waiting.of.contains_key(&owner) && waiting.of.contains_key(&partner) { partner } else { owner }
    }

    fn place(&self, owner: Owner) -> Option<(Arc<LockTable>, RowKey)> {
        let waiting = self.waiting.lock();
        let found = waiting.of.get(&owner)?;
        Some((found.table.upgrade()?, found.row.clone()))
    }

    fn blockers(&self, owner: Owner) -> Vec<Owner> {
        let mut blockers = Vec::new();
        if let Some((table, row)) = self.place(owner) {
            table.blockers(owner, &row, &mut blockers);
        }
        blockers
    }

    /// Ends the cycles through `owner`, which waits and is registered. Where a member is kept out by none that holds what it waits
    /// for, only by those before it in the queue, it passes them; else the youngest member's wait ends with `Deadlock`.
    /// A waiter may be in several at once (it waits for all who hold the row, and for those before it in the queue); as it is
    /// the last to register, nobody else would find the others. Returns the victims.
    pub fn search(&self, owner: Owner, wakeups: &mut Wakeups) -> Vec<Owner> {
        let mut victims = Vec::new();
        while victims.len() < VICTIMS_MAX
            && let Some(cycle) = self.find_cycle(owner)
        {
            if self.let_one_pass(&cycle, wakeups) {
                continue; // one waiter less
            }
            let Some(victim) = cycle.iter().max().copied() else { break };
            self.kill(victim, &cycle, wakeups);
            victims.push(victim);
            if victim == owner {
                break;
            }
        }
        victims
    }

    /// The members of a cycle, `owner` first, each waiting for the next.
    fn find_cycle(&self, owner: Owner) -> Option<Vec<Owner>> {
        let mut path = vec![(owner, self.blockers(owner))];
        let mut seen = hashbrown::HashSet::with_hasher(FixedState::default());
        while let Some((_, blockers)) = path.last_mut() {
            let Some(next) = blockers.pop() else {
                path.pop();
                continue;
            };
            let next = self.waiter_of(next);
            if next == owner {
                return Some(path.iter().map(|(member, _)| *member).collect());
            }
            if seen.len() < VISITS_MAX && seen.insert(next) {
                path.push((next, self.blockers(next)));
            }
        }
        None
    }

    /// The oldest that can.
    fn let_one_pass(&self, cycle: &[Owner], wakeups: &mut Wakeups) -> bool {
        let mut members = cycle.to_vec();
        members.sort_unstable();
        for member in members {
            if let Some((table, row)) = self.place(member)
                && table.let_pass(member, &row, wakeups)
            {
                self.waiting.lock().of.remove(&member);
                return true;
            }
        }
        false
    }

    fn kill(&self, victim: Owner, cycle: &[Owner], wakeups: &mut Wakeups) {
        if !self.tell_cycle(victim, cycle) {
            return; // another search has ended it
        }
        if let Some((table, row)) = self.place(victim) {
            table.kill(victim, &row, wakeups);
        }
        self.waiting.lock().of.remove(&victim);
    }

    /// Before the victim wakes. Whether it still waits, and has not been told yet.
    fn tell_cycle(&self, victim: Owner, members: &[Owner]) -> bool {
        let from = members.iter().position(|member| *member == victim).unwrap_or(0);
        let (before, behind) = members.split_at(from);
        let cycle = behind.iter().chain(before).filter_map(|member| self.wait_of(*member)).take(TOLD_MAX).collect();
        let mut waiting = self.waiting.lock();
        let is_new = waiting.of.contains_key(&victim) && !waiting.cycles.contains_key(&victim);
        if is_new {
            waiting.cycles.insert(victim, cycle);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::{Attempt, Grant, LockMode, NAMES, WaitPolicy};
    use storage::StorageId;

    /// PostgreSQL's soft deadlock: two that share go before the two that wait for them to go.
    #[test]
    fn who_waits_for_waiters_only_passes_them() {
        let waits = Arc::new(WaitGraph::default());
        let table = Arc::new(LockTable::new(waits.clone()));
        let name = |name: &str| RowKey::new(NAMES, name.as_bytes());
        let lock = |owner, what, mode| table.acquire(Owner(owner), &name(what), mode, WaitPolicy::Wait);
        let hold = |owner, what| assert!(matches!(lock(owner, what, LockMode::KeyShare), Attempt::Granted(_)));
        let wait = |owner, what, mode| {
            let Attempt::Wait(ticket) = lock(owner, what, mode) else {
                panic!("{owner} was to wait: names are had in turn")
            };
            waits.add(Owner(owner), &table, &name(what), 0);
            ticket
        };
        let (one, two, first, second) = (1, 2, 3, 4);
        hold(one, "a");
        hold(two, "b");
        let closers = [wait(first, "a", LockMode::Update), wait(second, "b", LockMode::Update)];
        let sharers = [wait(one, "b", LockMode::KeyShare), wait(two, "a", LockMode::KeyShare)];
        assert_eq!(waits.search(Owner(two), &mut Wakeups::default()), [], "nobody need die");
        assert_eq!(
            sharers.map(|ticket| ticket.slot.take()),
            [Some(Grant::Granted), None],
            "the older passes, which is enough"
        );
        assert_eq!(closers.map(|ticket| ticket.slot.take()), [None, None]);
    }

    #[test]
    fn a_waiter_in_two_cycles_ends_both() {
        let waits = Arc::new(WaitGraph::default());
        let table = Arc::new(LockTable::new(waits.clone()));
        let row = |name: &str| RowKey::new(StorageId(1), name.as_bytes());
        let lock = |owner: u64, name: &str, mode| table.acquire(Owner(owner), &row(name), mode, WaitPolicy::Wait);
        let (old, first, second) = (1, 2, 3);
        let hold = |owner, name, mode| assert!(matches!(lock(owner, name, mode), Attempt::Granted(_)));
        hold(first, "shared", LockMode::Share);
        hold(second, "shared", LockMode::Share);
        hold(old, "x", LockMode::Update);
        hold(old, "y", LockMode::Update);
        let wait = |owner, name: &str| {
            let Attempt::Wait(ticket) = lock(owner, name, LockMode::Update) else { panic!("it was to wait") };
            waits.add(Owner(owner), &table, &row(name), 0);
            ticket
        };
        let tickets = [wait(first, "x"), wait(second, "y")];
        let mut wakeups = Wakeups::default();
        assert!(waits.search(Owner(second), &mut wakeups).is_empty(), "no cycle yet");
        let last = wait(old, "shared");
        let mut victims = waits.search(Owner(old), &mut wakeups);
        victims.sort();
        assert_eq!(victims, [Owner(first), Owner(second)]);
        assert_eq!(tickets.map(|ticket| ticket.slot.take()), [Some(Grant::Deadlock); 2]);
        assert_eq!(last.slot.take(), None, "it waits for them to roll back");
        let told: Vec<u64> = waits.take_cycle(Owner(second)).iter().map(|wait| wait.owner.0).collect();
        assert_eq!(told, [second, old], "each waits for the next");
    }
}
