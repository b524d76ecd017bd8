//! Who writes to which relation or locks rows of it, and who keeps them out: DDL that looks at all rows, LOCK TABLE.
//!
//! PostgreSQL's table locks from ROW SHARE upwards, made so that a writer pays one short visit to a mutex that it mostly shares
//! with nobody, and never a message. What the stronger modes say to each other, and to ACCESS SHARE, is told by names
//! (`txn`'s `table_lock`).
//!
//! I1  While a gate is closed by one transaction nobody else is inside whom its bar keeps out.
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
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const STRIPES: usize = 32;

/// What a transaction does inside a relation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Inside {
    /// Locks rows (ROW SHARE).
    Locks,
    /// Writes (ROW EXCLUSIVE).
    Writes,
}

/// Whom a closed gate keeps out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bar {
    /// Those that write, and closers of the other kinds (SHARE).
    Shared,
    /// Those that write, and other closers (SHARE ROW EXCLUSIVE).
    Writers,
    /// Everybody but readers (EXCLUSIVE, ACCESS EXCLUSIVE).
    All,
}

impl Bar {
    fn keeps_out(self, inside: Inside) -> bool {
        inside == Inside::Writes || self == Bar::All
    }

    fn goes_with(self, other: Bar) -> bool {
        self == Bar::Shared && other == Bar::Shared
    }
}

/// How a transaction stands to a relation's gate: for those who only look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stand {
    Inside(Inside),
    Closed { bar: Bar, is_granted: bool },
}

type Stripe = HashMap<(Owner, u32), Inside, FixedState>;

/// A gate closed, or closing: `closing` ends when nobody is inside whom it keeps out.
struct Closed {
    owner: Owner,
    relation: u32,
    bar: Bar,
    closing: Option<Arc<Slot<Grant>>>,
    /// Closed so far, while the owner wants more.
    before: Option<Bar>,
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
    stripes: [Mutex<Stripe>; STRIPES],
    /// Locked before a stripe, never after.
    closed: Mutex<Vec<Closed>>,
    /// How many are in `closed`: while 0, writers look no further.
    count: AtomicUsize,
}

fn granted() -> Attempt {
    Attempt::Granted(Look { flying: None, before: None })
}

impl Gates {
    fn stripe(&self, owner: Owner) -> &Mutex<Stripe> {
        &self.stripes[owner.0 as usize % STRIPES]
    }

    /// A transaction enters, or does more inside. It is there until `leave`.
    pub fn enter(
        &self,
        owner: Owner,
        relation: u32,
        inside: Inside,
        wait: WaitPolicy,
        wakeups: &mut Wakeups,
    ) -> Attempt {
        let before = {
            let mut stripe = self.stripe(owner).lock();
            let before = stripe.get(&(owner, relation)).copied();
            stripe.insert((owner, relation), before.map_or(inside, |before| before.max(inside)));
            before
        };
        if self.count.load(Ordering::SeqCst) == 0 {
            return granted();
        }
        let mut closed = self.closed.lock();
        let is_in_the_way =
            |gate: &Closed| gate.relation == relation && gate.owner != owner && gate.bar.keeps_out(inside);
        let Some(place) = closed.iter().position(is_in_the_way) else { return granted() };
        {
            let mut stripe = self.stripe(owner).lock();
            match before {
                Some(before) => _ = stripe.insert((owner, relation), before),
                None => _ = stripe.remove(&(owner, relation)),
            }
        }
        // It was seen inside for a moment, perhaps by the one who closes.
        self.finish_closing(&mut closed, relation, wakeups);
        wait_for(&mut closed[place], owner, wait)
    }

    /// A transaction that was inside is over.
    pub fn leave(&self, owner: Owner, relations: impl Iterator<Item = u32> + Clone, wakeups: &mut Wakeups) {
        {
            let mut stripe = self.stripe(owner).lock();
            relations.clone().for_each(|relation| _ = stripe.remove(&(owner, relation)));
        }
        if self.count.load(Ordering::SeqCst) != 0 {
            let mut closed = self.closed.lock();
            relations.for_each(|relation| self.finish_closing(&mut closed, relation, wakeups));
        }
    }

    /// A savepoint was rolled back: the transaction does again what it did before it, or is not inside.
    pub fn step_back(&self, owner: Owner, relation: u32, to: Option<Inside>, wakeups: &mut Wakeups) {
        let Some(to) = to else { return self.leave(owner, [relation].into_iter(), wakeups) };
        self.stripe(owner).lock().insert((owner, relation), to);
        if self.count.load(Ordering::SeqCst) != 0 {
            self.finish_closing(&mut self.closed.lock(), relation, wakeups);
        }
    }

    fn others_inside(&self, owner: Owner, relation: u32, bar: Bar) -> Vec<Owner> {
        let mut others = Vec::new();
        for stripe in &self.stripes {
            let stripe = stripe.lock();
            let kept_out = stripe
                .iter()
                .filter(|((other, at), inside)| *at == relation && *other != owner && bar.keeps_out(**inside));
            others.extend(kept_out.map(|((other, _), _)| *other));
        }
        others.sort_unstable();
        others
    }

    fn finish_closing(&self, closed: &mut [Closed], relation: u32, wakeups: &mut Wakeups) {
        for gate in closed.iter_mut().filter(|gate| gate.relation == relation && gate.closing.is_some()) {
            if self.others_inside(gate.owner, relation, gate.bar).is_empty()
                && let Some(slot) = gate.closing.take()
            {
                gate.before = None;
                slot.complete(Grant::Granted, wakeups);
            }
        }
    }

    /// Keeps others out until `open`; granted when none of them is inside any more.
    pub fn close(&self, owner: Owner, relation: u32, bar: Bar, wait: WaitPolicy) -> Attempt {
        let mut closed = self.closed.lock();
        let is_in_the_way =
            |gate: &Closed| gate.relation == relation && gate.owner != owner && !gate.bar.goes_with(bar);
        if let Some(place) = closed.iter().position(is_in_the_way) {
            return wait_for(&mut closed[place], owner, wait);
        }
        let mine = closed.iter().position(|gate| gate.relation == relation && gate.owner == owner);
        let before = mine.map(|place| closed[place].bar);
        if before.is_some_and(|before| before >= bar) {
            return granted();
        }
        // Announced before the look inside.
        self.count.fetch_add(usize::from(mine.is_none()), Ordering::SeqCst);
        let is_free = self.others_inside(owner, relation, bar).is_empty();
        if !is_free && wait != WaitPolicy::Wait {
            self.count.fetch_sub(usize::from(mine.is_none()), Ordering::SeqCst);
            return Attempt::Busy;
        }
        let closing = (!is_free).then(Slot::new);
        let before = before.filter(|_| !is_free);
        match mine {
            Some(place) => {
                let gate = &mut closed[place];
                (gate.bar, gate.closing, gate.before) = (bar, closing.clone(), before);
            }
            None => {
                closed.push(Closed { owner, relation, bar, closing: closing.clone(), before, waiters: Vec::new() });
            }
        }
        match closing {
            Some(slot) => Attempt::Wait(Ticket { slot }),
            None => granted(),
        }
    }

    /// A savepoint was rolled back: the gate is closed as it was before it, or open.
    pub fn open_to(&self, owner: Owner, relation: u32, to: Option<Bar>, wakeups: &mut Wakeups) {
        let mut closed = self.closed.lock();
        let is_mine = |gate: &Closed| gate.owner == owner && gate.relation == relation;
        match to {
            None => self.take(&mut closed, is_mine, wakeups),
            Some(bar) => {
                for gate in closed.iter_mut().filter(|gate| is_mine(gate)) {
                    gate.bar = bar;
                    gate.waiters.drain(..).for_each(|(_, slot)| _ = slot.complete(Grant::Again, wakeups));
                }
            }
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

    /// Ends the wait of those that close: back to what they had closed before, or open. Those who came meanwhile ask again.
    fn stop_closing(&self, closed: &mut Vec<Closed>, which: impl Fn(&Closed) -> bool, wakeups: &mut Wakeups) {
        for gate in closed.iter_mut().filter(|gate| which(gate)) {
            if let Some(before) = gate.before.take() {
                (gate.bar, gate.closing) = (before, None);
                gate.waiters.drain(..).for_each(|(_, slot)| _ = slot.complete(Grant::Again, wakeups));
            }
        }
        self.take(closed, which, wakeups);
    }

    /// Somebody who waits gives up; one who was closing opens again.
    pub fn abandon(&self, slot: &Arc<Slot<Grant>>, wakeups: &mut Wakeups) {
        let mut closed = self.closed.lock();
        for gate in closed.iter_mut() {
            gate.waiters.retain(|(_, other)| !Arc::ptr_eq(other, slot));
        }
        let is_mine = |gate: &Closed| gate.closing.as_ref().is_some_and(|other| Arc::ptr_eq(other, slot));
        self.stop_closing(&mut closed, is_mine, wakeups);
    }

    /// Whom `owner` waits for.
    pub fn blockers(&self, owner: Owner, out: &mut Vec<Owner>) {
        let closed = self.closed.lock();
        for gate in closed.iter() {
            if gate.owner == owner && gate.closing.is_some() {
                out.extend(self.others_inside(owner, gate.relation, gate.bar));
            } else if gate.waiters.iter().any(|(waiter, _)| *waiter == owner) {
                out.push(gate.owner);
            }
        }
    }

    /// Who keeps `owner` from closing a gate in this way at once.
    pub fn in_the_way(&self, owner: Owner, relation: u32, bar: Bar, out: &mut Vec<Owner>) {
        let closed = self.closed.lock();
        let others = closed.iter().filter(|gate| gate.relation == relation && gate.owner != owner);
        out.extend(others.filter(|gate| !gate.bar.goes_with(bar)).map(|gate| gate.owner));
        out.extend(self.others_inside(owner, relation, bar));
    }

    /// Ends the wait of the victim of a deadlock.
    pub fn kill(&self, owner: Owner, wakeups: &mut Wakeups) {
        let mut closed = self.closed.lock();
        for gate in closed.iter_mut() {
            if let Some(place) = gate.waiters.iter().position(|(waiter, _)| *waiter == owner) {
                gate.waiters.swap_remove(place).1.complete(Grant::Deadlock, wakeups);
            }
        }
        let Some(slot) = closed.iter().filter(|gate| gate.owner == owner).find_map(|gate| gate.closing.clone()) else {
            return;
        };
        slot.complete(Grant::Deadlock, wakeups);
        let is_its = |gate: &Closed| gate.closing.as_ref().is_some_and(|other| Arc::ptr_eq(other, &slot));
        self.stop_closing(&mut closed, is_its, wakeups);
    }

    /// Who stands where, in no particular order.
    pub fn list(&self) -> Vec<(Owner, u32, Stand)> {
        let closed = self.closed.lock();
        let mut all: Vec<(Owner, u32, Stand)> = Vec::new();
        for gate in closed.iter() {
            let bar = gate.before.unwrap_or(gate.bar);
            let is_granted = gate.closing.is_none() || gate.before.is_some();
            all.push((gate.owner, gate.relation, Stand::Closed { bar, is_granted }));
            if gate.before.is_some() {
                all.push((gate.owner, gate.relation, Stand::Closed { bar: gate.bar, is_granted: false }));
            }
        }
        for stripe in &self.stripes {
            let stripe = stripe.lock();
            all.extend(stripe.iter().map(|((owner, relation), inside)| (*owner, *relation, Stand::Inside(*inside))));
        }
        all
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
        enter_to(gates, owner, Inside::Writes)
    }
    fn enter_to(gates: &Gates, owner: u64, inside: Inside) -> Attempt {
        gates.enter(Owner(owner), R, inside, WaitPolicy::Wait, &mut Wakeups::default())
    }
    fn close(gates: &Gates, owner: u64) -> Attempt {
        close_with(gates, owner, Bar::Writers)
    }
    fn close_with(gates: &Gates, owner: u64, bar: Bar) -> Attempt {
        gates.close(Owner(owner), R, bar, WaitPolicy::Wait)
    }
    fn leave(gates: &Gates, owner: u64) {
        gates.leave(Owner(owner), [R].into_iter(), &mut Wakeups::default());
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
        let elsewhere = gates.enter(Owner(3), R + 1, Inside::Writes, WaitPolicy::Wait, &mut Wakeups::default());
        assert!(is_in(elsewhere), "another relation");
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
        gates.leave(Owner(3), [R + 1].into_iter(), &mut Wakeups::default());
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
        assert!(matches!(gates.close(Owner(3), R, Bar::Writers, WaitPolicy::NoWait), Attempt::Busy));
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
        let third = gates.enter(Owner(3), R, Inside::Writes, WaitPolicy::NoWait, &mut Wakeups::default());
        assert!(matches!(third, Attempt::Busy));
    }

    #[test]
    fn who_locks_rows_is_in_the_way_of_exclusive_alone() {
        let gates = Gates::default();
        assert!(is_in(enter_to(&gates, 1, Inside::Locks)));
        assert!(is_in(close_with(&gates, 2, Bar::Writers)));
        assert!(is_in(enter_to(&gates, 3, Inside::Locks)));
        let writer = ticket(enter(&gates, 1));
        leave(&gates, 3);
        let more = ticket(close_with(&gates, 2, Bar::All));
        gates.abandon(&writer.slot, &mut Wakeups::default());
        assert_eq!(more.slot.take(), None, "1 still locks rows");
        leave(&gates, 1);
        assert_eq!(more.slot.take(), Some(Grant::Granted));
        assert_eq!(gates.list(), [(Owner(2), R, Stand::Closed { bar: Bar::All, is_granted: true })]);
    }

    #[test]
    fn shared_closers_go_together_and_keep_each_other_from_writing() {
        let gates = Gates::default();
        assert!(is_in(close_with(&gates, 1, Bar::Shared)) && is_in(close_with(&gates, 2, Bar::Shared)));
        let writer = ticket(enter(&gates, 1));
        let stronger = ticket(close_with(&gates, 2, Bar::Writers));
        open(&gates, 2);
        assert_eq!(writer.slot.take(), Some(Grant::Again));
        open(&gates, 1);
        assert_eq!(stronger.slot.take(), Some(Grant::Again));
    }

    #[test]
    fn who_gives_up_closing_more_keeps_what_it_had() {
        let gates = Gates::default();
        assert!(is_in(enter_to(&gates, 1, Inside::Locks)));
        assert!(is_in(close_with(&gates, 2, Bar::Shared)));
        let more = ticket(close_with(&gates, 2, Bar::All));
        let locker = ticket(enter_to(&gates, 3, Inside::Locks));
        gates.abandon(&more.slot, &mut Wakeups::default());
        assert_eq!(locker.slot.take(), Some(Grant::Again));
        assert!(is_in(enter_to(&gates, 3, Inside::Locks)));
        assert!(matches!(enter(&gates, 3), Attempt::Wait(_)), "still closed to writers");
    }
}
