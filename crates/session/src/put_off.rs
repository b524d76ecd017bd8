//! What a transaction has put off: checks that wait for the commit, and which constraints SET CONSTRAINTS has named.
//!
//! Both go back with a savepoint. A check that SET CONSTRAINTS … IMMEDIATE has carried out inside of a savepoint is therefore kept: after
//! ROLLBACK TO it waits again, because what made it pass may be gone.

use foldhash::HashMap;
use std::sync::Arc;
use types::{Oid, Result, SqlError, SqlState};

/// Checks that one transaction may put off (54000 beyond).
const CHECKS_MAX: usize = 10_000_000;

/// Which constraints SET CONSTRAINTS has named in this transaction.
#[derive(Clone, Default)]
pub(crate) struct ConstraintModes {
    pub all: Option<bool>,
    pub by_id: HashMap<Oid, bool>,
}

struct Check<C> {
    check: Arc<C>,
    /// The number of the SET CONSTRAINTS that carried it out; 0: it waits.
    done_by: u64,
}

pub(crate) struct PutOff<C> {
    checks: Vec<Check<C>>,
    /// How many SET CONSTRAINTS have carried out checks.
    rounds: u64,
    /// Some could not be kept.
    is_over: bool,
    modes: Arc<ConstraintModes>,
}

/// A place that `PutOff` can be cut back to.
#[derive(Clone)]
pub(crate) struct PutOffMark {
    count: usize,
    rounds: u64,
    modes: Arc<ConstraintModes>,
}

impl<C> Default for PutOff<C> {
    fn default() -> PutOff<C> {
        PutOff { checks: vec![], rounds: 0, is_over: false, modes: Arc::default() }
    }
}

impl<C> PutOff<C> {
    pub fn add(&mut self, check: C) {
        if self.checks.len() < CHECKS_MAX {
            self.checks.push(Check { check: Arc::new(check), done_by: 0 });
        } else {
            self.is_over = true;
        }
    }

    /// What waits.
    pub fn waiting(&self) -> impl Iterator<Item = &C> {
        self.checks.iter().filter(|c| c.done_by == 0).map(|c| &*c.check)
    }

    /// Whether the commit, or SET CONSTRAINTS, has anything to look at.
    pub fn has_waiting(&self) -> bool {
        self.is_over || self.waiting().next().is_some()
    }

    /// Those of the waiting that are to be carried out now, in order. `is_cut_back`: a savepoint is open, so they may have to be carried
    /// out again. 54000 if some could not be kept.
    pub fn take(&mut self, is_cut_back: bool, wanted: impl Fn(&C) -> bool) -> Result<Vec<Arc<C>>> {
        if self.is_over {
            let message = format!("a transaction can put off {CHECKS_MAX} checks of constraints");
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
                .hint("SET CONSTRAINTS ALL IMMEDIATE checks as the transaction goes on."));
        }
        self.rounds += 1;
        let mut taken = vec![];
        for kept in self.checks.iter_mut().filter(|c| c.done_by == 0 && wanted(&c.check)) {
            kept.done_by = self.rounds;
            taken.push(kept.check.clone());
        }
        if !is_cut_back {
            self.checks.retain(|c| c.done_by == 0);
        }
        Ok(taken)
    }

    pub fn modes(&self) -> &ConstraintModes {
        &self.modes
    }

    pub fn set_modes(&mut self, change: impl FnOnce(&mut ConstraintModes)) {
        change(Arc::make_mut(&mut self.modes));
    }

    pub fn mark(&self) -> PutOffMark {
        PutOffMark { count: self.checks.len(), rounds: self.rounds, modes: self.modes.clone() }
    }

    pub fn rewind(&mut self, mark: &PutOffMark) {
        self.checks.truncate(mark.count);
        // Those that were not kept came after the last one that was.
        self.is_over &= mark.count >= CHECKS_MAX;
        for kept in self.checks.iter_mut().filter(|c| c.done_by > mark.rounds) {
            kept.done_by = 0;
        }
        self.modes = mark.modes.clone();
    }

    /// The transaction has ended.
    pub fn clear(&mut self) {
        self.checks.clear();
        self.is_over = false;
        if self.modes.all.is_some() || !self.modes.by_id.is_empty() {
            self.modes = Arc::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(put_off: &PutOff<u32>) -> Vec<u32> {
        put_off.waiting().copied().collect()
    }

    fn taken(put_off: &mut PutOff<u32>, is_cut_back: bool) -> Vec<u32> {
        let taken = put_off.take(is_cut_back, |c| *c < 10).expect("nothing was left out");
        taken.iter().map(|c| **c).collect()
    }

    #[test]
    fn a_check_that_was_carried_out_after_a_savepoint_waits_again_when_it_is_rolled_back() {
        let mut put_off = PutOff::default();
        for check in [1, 11, 2] {
            put_off.add(check);
        }
        let mark = put_off.mark();
        put_off.add(3);
        put_off.set_modes(|modes| modes.all = Some(false));
        assert_eq!(taken(&mut put_off, true), [1, 2, 3]);
        assert_eq!(taken(&mut put_off, true), [], "once is enough");
        put_off.add(4);
        assert_eq!(waiting(&put_off), [11, 4]);
        put_off.rewind(&mark);
        assert_eq!(waiting(&put_off), [1, 11, 2]);
        assert_eq!(put_off.modes().all, None);
    }

    #[test]
    fn what_was_carried_out_before_a_savepoint_stays_so() {
        let mut put_off = PutOff::default();
        put_off.add(1);
        let outer = put_off.mark();
        assert_eq!(taken(&mut put_off, true), [1]);
        let inner = put_off.mark();
        put_off.add(2);
        put_off.rewind(&inner);
        assert_eq!(waiting(&put_off), []);
        put_off.rewind(&outer);
        assert_eq!(waiting(&put_off), [1]);
        assert_eq!(taken(&mut put_off, false), [1]);
        assert!(put_off.checks.is_empty(), "without a savepoint nothing is kept");
    }
}
