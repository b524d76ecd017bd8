//! Who writes to which relation, and who keeps writers out while it checks, copies or indexes all rows (DDL).
//!
//! PostgreSQL's ROW EXCLUSIVE and SHARE ROW EXCLUSIVE table locks, made so that a writer pays one short visit to a mutex
//! that it mostly shares with nobody, and never a message.
//!
//! I1  While a gate is closed by one transaction no other one is inside.
//! I2  A closer that waits lets nobody new in, so it is not starved.
//! I3  Lost with leadership, which is safe: what a closer has read is validated at its commit (`CommitRequest::certified`),
//!     and a writer's plan is validated against the fence.
//!
//! ```text
//! writer  note in own stripe, *then* look whether any gate is closed        (none: it is inside)
//! closer  announce the closed gate, *then* look through all stripes         (nobody: it is closed)
//! ```
//! One of the two sees the other. Who left a stripe looks for closers in turn.

use super::table::{Grant, Owner, Ticket, WAITERS_MAX};
use super::{Attempt, Look, WaitPolicy};
use crate::wake::{Slot, Wakeups};
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const STRIPES: usize = 32;

type Inside = HashSet<(Owner, u32), FixedState>;

/// A gate closed, or closing: `closing` ends when nobody else is inside.
struct Closed {
    owner: Owner,
    relation: u32,
    closing: Option<Arc<Slot<Grant>>>,
    /// Come again when it opens.
    waiters: Vec<(Owner, Arc<Slot<Grant>>)>,
}

impl Closed {
    fn open(self, wakeups: &mut Wakeups) {
        for (_, slot) in self.waiters {
            slot.complete(Grant::Again, wakeups);
        }
    }
}

#[derive(Default)]
pub(super) struct Gates {
    stripes: [Mutex<Inside>; STRIPES],
    /// Locked before a stripe, never after.
    closed: Mutex<Vec<Closed>>,
    /// How many are in `closed`: while 0, writers look no further.
    count: AtomicUsize,
}

fn granted() -> Attempt {
    Attempt::Granted(Look { flying: None, before: None })
}

impl Gates {
    fn stripe(&self, owner: Owner) -> &Mutex<Inside> {
        &self.stripes[owner.0 as usize % STRIPES]
    }

    /// A writer enters. It is inside until `leave`.
    pub fn enter(&self, owner: Owner, relation: u32, wait: WaitPolicy, wakeups: &mut Wakeups) -> Attempt {
        self.stripe(owner).lock().insert((owner, relation));
        if self.count.load(Ordering::SeqCst) == 0 {
            return granted();
        }
        let mut closed = self.closed.lock();
        let Some(place) = closed.iter().position(|gate| gate.relation == relation && gate.owner != owner) else {
            return granted();
        };
        self.stripe(owner).lock().remove(&(owner, relation));
        // It was seen inside for a moment, perhaps by the one who closes.
        self.finish_closing(&mut closed, relation, wakeups);
        wait_for(&mut closed[place], owner, wait)
    }

    /// A writer's transaction is over.
    pub fn leave(&self, owner: Owner, relations: &[u32], wakeups: &mut Wakeups) {
        {
            let mut stripe = self.stripe(owner).lock();
            relations.iter().for_each(|relation| _ = stripe.remove(&(owner, *relation)));
        }
        if self.count.load(Ordering::SeqCst) != 0 {
            let mut closed = self.closed.lock();
            relations.iter().for_each(|relation| self.finish_closing(&mut closed, *relation, wakeups));
        }
    }

    fn others_inside(&self, owner: Owner, relation: u32) -> Vec<Owner> {
        let mut others = Vec::new();
        for stripe in &self.stripes {
            let stripe = stripe.lock();
            let inside = stripe.iter().filter(|(other, inside)| *inside == relation && *other != owner);
            others.extend(inside.map(|(other, _)| *other));
        }
        others
    }

    fn finish_closing(&self, closed: &mut [Closed], relation: u32, wakeups: &mut Wakeups) {
        for gate in closed.iter_mut().filter(|gate| gate.relation == relation && gate.closing.is_some()) {
            if self.others_inside(gate.owner, relation).is_empty()
                && let Some(slot) = gate.closing.take()
            {
                slot.complete(Grant::Granted, wakeups);
            }
        }
    }

    /// Keeps other writers out until `open`; granted when none is inside any more.
    pub fn close(&self, owner: Owner, relation: u32, wait: WaitPolicy) -> Attempt {
        let mut closed = self.closed.lock();
        if let Some(gate) = closed.iter_mut().find(|gate| gate.relation == relation) {
            return if gate.owner == owner { granted() } else { wait_for(gate, owner, wait) };
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        let is_free = self.others_inside(owner, relation).is_empty();
        if !is_free && wait != WaitPolicy::Wait {
            self.count.fetch_sub(1, Ordering::SeqCst);
            return Attempt::Busy;
        }
        let closing = (!is_free).then(Slot::new);
        closed.push(Closed { owner, relation, closing: closing.clone(), waiters: Vec::new() });
        match closing {
            Some(slot) => Attempt::Wait(Ticket { slot }),
            None => granted(),
        }
    }

    /// Opens what `owner` has closed.
    pub fn open(&self, owner: Owner, wakeups: &mut Wakeups) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut closed = self.closed.lock();
        self.take(&mut closed, |gate| gate.owner == owner, wakeups);
    }

    fn take(&self, closed: &mut Vec<Closed>, which: impl Fn(&Closed) -> bool, wakeups: &mut Wakeups) {
        let (open, left): (Vec<Closed>, Vec<Closed>) = std::mem::take(closed).into_iter().partition(which);
        *closed = left;
        self.count.fetch_sub(open.len(), Ordering::SeqCst);
        open.into_iter().for_each(|gate| gate.open(wakeups));
    }

    /// Somebody who waits gives up; one who was closing opens again.
    pub fn abandon(&self, slot: &Arc<Slot<Grant>>, wakeups: &mut Wakeups) {
        let mut closed = self.closed.lock();
        for gate in closed.iter_mut() {
            gate.waiters.retain(|(_, other)| !Arc::ptr_eq(other, slot));
        }
        let is_mine = |gate: &Closed| gate.closing.as_ref().is_some_and(|other| Arc::ptr_eq(other, slot));
        self.take(&mut closed, is_mine, wakeups);
    }

    /// Whom `owner` waits for.
    pub fn blockers(&self, owner: Owner, out: &mut Vec<Owner>) {
        let closed = self.closed.lock();
        for gate in closed.iter() {
            if gate.owner == owner && gate.closing.is_some() {
                out.extend(self.others_inside(owner, gate.relation));
            } else if gate.waiters.iter().any(|(waiter, _)| *waiter == owner) {
                out.push(gate.owner);
            }
        }
    }

    /// Ends the wait of the victim of a deadlock.
    pub fn kill(&self, owner: Owner, wakeups: &mut Wakeups) {
        let mut closed = self.closed.lock();
        for gate in closed.iter_mut() {
            if let Some(place) = gate.waiters.iter().position(|(waiter, _)| *waiter == owner) {
                gate.waiters.swap_remove(place).1.complete(Grant::Deadlock, wakeups);
            }
        }
        for gate in closed.iter_mut().filter(|gate| gate.owner == owner) {
            if let Some(slot) = gate.closing.take() {
                slot.complete(Grant::Deadlock, wakeups);
                // Not closed and not to be closed: taken out below.
                gate.relation = 0;
            }
        }
        self.take(&mut closed, |gate| gate.owner == owner && gate.relation == 0, wakeups);
    }

    /// Leadership is lost.
    pub fn clear(&self, wakeups: &mut Wakeups) {
        let mut closed = self.closed.lock();
        for gate in closed.drain(..) {
            let slots = gate.waiters.into_iter().map(|(_, slot)| slot).chain(gate.closing);
            slots.for_each(|slot| _ = slot.complete(Grant::Lost, wakeups));
        }
        self.count.store(0, Ordering::SeqCst);
        self.stripes.iter().for_each(|stripe| stripe.lock().clear());
    }

    pub fn is_empty(&self) -> bool {
        self.closed.lock().is_empty() && self.stripes.iter().all(|stripe| stripe.lock().is_empty())
    }
}

fn wait_for(gate: &mut Closed, owner: Owner, wait: WaitPolicy) -> Attempt {
    if wait != WaitPolicy::Wait {
        return Attempt::Busy;
    }
    if gate.waiters.len() >= WAITERS_MAX {
        return Attempt::TooMany;
    }
    let slot = Slot::new();
    gate.waiters.push((owner, slot.clone()));
    Attempt::Wait(Ticket { slot })
}

#[cfg(test)]
mod tests {
    use super::*;

    const R: u32 = 100;

    fn enter(gates: &Gates, owner: u64) -> Attempt {
        gates.enter(Owner(owner), R, WaitPolicy::Wait, &mut Wakeups::default())
    }
    fn close(gates: &Gates, owner: u64) -> Attempt {
        gates.close(Owner(owner), R, WaitPolicy::Wait)
    }
    fn leave(gates: &Gates, owner: u64) {
        gates.leave(Owner(owner), &[R], &mut Wakeups::default());
    }
    fn open(gates: &Gates, owner: u64) {
        gates.open(Owner(owner), &mut Wakeups::default());
    }
    fn ticket(attempt: Attempt) -> Ticket {
        match attempt {
            Attempt::Wait(ticket) => ticket,
            _ => panic!("it was to wait"),
        }
    }
    fn is_in(attempt: Attempt) -> bool {
        matches!(attempt, Attempt::Granted(_))
    }

    #[test]
    fn a_closer_waits_for_those_inside_and_lets_nobody_in() {
        let gates = Gates::default();
        assert!(is_in(enter(&gates, 1)) && is_in(enter(&gates, 2)) && is_in(enter(&gates, 9)));
        let closing = ticket(close(&gates, 9));
        let third = ticket(enter(&gates, 3));
        assert!(is_in(gates.enter(Owner(3), R + 1, WaitPolicy::Wait, &mut Wakeups::default())), "another relation");
        leave(&gates, 1);
        assert_eq!(closing.slot.take(), None, "2 is inside");
        leave(&gates, 2);
        assert_eq!(closing.slot.take(), Some(Grant::Granted));
        assert!(is_in(enter(&gates, 9)), "who has closed it may enter");
        assert!(is_in(close(&gates, 9)));
        assert_eq!(third.slot.take(), None);
        open(&gates, 9);
        assert_eq!(third.slot.take(), Some(Grant::Again));
        assert!(is_in(enter(&gates, 3)));
        leave(&gates, 3);
        leave(&gates, 9);
        gates.leave(Owner(3), &[R + 1], &mut Wakeups::default());
        assert!(gates.is_empty());
    }

    #[test]
    fn who_gives_up_closing_opens_again() {
        let gates = Gates::default();
        assert!(is_in(enter(&gates, 1)));
        let closing = ticket(close(&gates, 2));
        let (second, third) = (ticket(close(&gates, 3)), ticket(enter(&gates, 4)));
        gates.abandon(&third.slot, &mut Wakeups::default());
        gates.abandon(&closing.slot, &mut Wakeups::default());
        assert_eq!(second.slot.take(), Some(Grant::Again));
        assert!(is_in(enter(&gates, 4)));
        assert!(matches!(gates.close(Owner(3), R, WaitPolicy::NoWait), Attempt::Busy));
        leave(&gates, 1);
        leave(&gates, 4);
        assert!(is_in(close(&gates, 3)));
    }

    #[test]
    fn two_inside_that_both_close_are_a_cycle() {
        let gates = Gates::default();
        assert!(is_in(enter(&gates, 1)) && is_in(enter(&gates, 2)));
        let (one, two) = (ticket(close(&gates, 1)), ticket(close(&gates, 2)));
        let blockers = |owner| {
            let mut out = Vec::new();
            gates.blockers(Owner(owner), &mut out);
            out
        };
        assert_eq!((blockers(1), blockers(2)), (vec![Owner(2)], vec![Owner(1)]));
        gates.kill(Owner(2), &mut Wakeups::default());
        assert_eq!(two.slot.take(), Some(Grant::Deadlock));
        leave(&gates, 2);
        assert_eq!(one.slot.take(), Some(Grant::Granted));
        gates.kill(Owner(1), &mut Wakeups::default());
        assert!(matches!(gates.enter(Owner(3), R, WaitPolicy::NoWait, &mut Wakeups::default()), Attempt::Busy));
    }
}
