//! Memory of a statement: what its operators hold, below `work_mem`, below what the node gives to all statements.
//!
//! Operators that can spill ask (`try_grow`) and spill on a no; the others fail with 53200 (`grow`). So that many statements at
//! once do not fail each other, one that will work on much takes seats first, as many as its `work_mem` is worth, and waits while
//! there are not enough ([`NodeBudget::seat`]): overload makes statements slow. The wait is bounded, since who holds seats may be a
//! cursor that nobody reads, or wait for a lock of the one that waits here.

use host::clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::{Result, SqlError, SqlState};

/// The node's memory for statements.
pub struct NodeBudget {
    limit: usize,
    used: AtomicUsize,
    seats: Arc<Semaphore>,
    seats_max: u32,
}

/// Memory that one seat stands for.
const SEAT_BYTES: usize = 16 << 20;
/// A statement that has waited so long begins without.
const SEAT_WAIT_MAX: Duration = Duration::from_secs(10);

/// The right to work on much; given back when dropped.
pub struct Seat(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

impl NodeBudget {
    pub fn new(limit_bytes: usize) -> Arc<NodeBudget> {
        let seats_max =
            u32::try_from(limit_bytes / SEAT_BYTES).unwrap_or(u32::MAX).clamp(1, Semaphore::MAX_PERMITS as u32);
        let seats = Arc::new(Semaphore::new(seats_max as usize));
        Arc::new(NodeBudget { limit: limit_bytes, used: AtomicUsize::new(0), seats, seats_max })
    }
    /// Waits, first come first served, until others have ended; None after `SEAT_WAIT_MAX`.
    pub async fn seat(&self, work_mem: usize) -> Option<Seat> {
        self.seat_within(work_mem, SEAT_WAIT_MAX).await
    }
    async fn seat_within(&self, work_mem: usize, wait: Duration) -> Option<Seat> {
        let count = u32::try_from(work_mem.div_ceil(SEAT_BYTES)).unwrap_or(u32::MAX).clamp(1, self.seats_max);
        if let Ok(permit) = self.seats.clone().try_acquire_many_owned(count) {
            return Some(Seat(permit));
        }
        metrics::counter!("hyrax_statement_seat_waits_total").increment(1);
        let permit = clock::timeout(wait, self.seats.clone().acquire_many_owned(count)).await;
        permit.and_then(Result::ok).map(Seat)
    }
    pub fn used_bytes(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// One statement's memory.
pub struct MemoryBudget {
    node: Arc<NodeBudget>,
    limit: usize,
    used: AtomicUsize,
    _seat: Option<Seat>,
}

/// How many times `work_mem` a statement may hold before operators above others spill.
const ABOVE_FACTOR: usize = 4;
/// How many times `work_mem` a statement may hold in operators that cannot spill, before 53200.
const HARD_LIMIT_FACTOR: usize = 16;

impl MemoryBudget {
    /// `limit_bytes`: `work_mem`; above it operators spill.
    pub fn new(limit_bytes: usize, node: Arc<NodeBudget>) -> Arc<MemoryBudget> {
        MemoryBudget::seated(limit_bytes, node, None)
    }
    /// The same, with what was waited for.
    pub fn seated(limit_bytes: usize, node: Arc<NodeBudget>, seat: Option<Seat>) -> Arc<MemoryBudget> {
        Arc::new(MemoryBudget { node, limit: limit_bytes, used: AtomicUsize::new(0), _seat: seat })
    }
    pub fn limit_bytes(&self) -> usize {
        self.limit
    }
    fn take(&self, bytes: usize, limit: usize) -> bool {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let node = self.node.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let granted = used <= limit && node <= self.node.limit;
        if !granted {
            self.give_back(bytes);
        }
        granted
    }
    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.node.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes held by one operator; given back on drop.
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    bytes: usize,
}

impl Reservation {
    pub fn new(budget: &Arc<MemoryBudget>) -> Reservation {
        Reservation { budget: budget.clone(), bytes: 0 }
    }
    pub fn bytes(&self) -> usize {
        self.bytes
    }
    /// False: the operator should spill.
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let granted = self.budget.take(bytes, self.budget.limit);
        if granted {
            self.bytes += bytes;
        }
        granted
    }
    /// The same for what mostly stands above others that have filled the statement's memory (a window above its sort): it may
    /// go on for as long as PostgreSQL's, where each operator has `work_mem` of its own.
    pub fn try_grow_above(&mut self, bytes: usize) -> bool {
        let granted = self.budget.take(bytes, self.budget.limit.saturating_mul(ABOVE_FACTOR));
        if granted {
            self.bytes += bytes;
        }
        granted
    }
    /// For what cannot spill; 53200.
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        if !self.budget.take(bytes, self.budget.limit.saturating_mul(HARD_LIMIT_FACTOR)) {
            return Err(out_of_memory(bytes));
        }
        self.bytes += bytes;
        Ok(())
    }
    pub fn release(&mut self) {
        self.budget.give_back(self.bytes);
        self.bytes = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}

pub fn out_of_memory(bytes: usize) -> SqlError {
    SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory")
        .detail(format!("Failed on request of size {bytes} in the statement's memory budget."))
        .hint("Raise work_mem, or make the statement touch fewer rows at once.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_works_on_much_waits_for_others_and_not_for_ever() {
        let node = NodeBudget::new(8 * SEAT_BYTES);
        let first = node.seat(4 * SEAT_BYTES).await.expect("free");
        let _second = node.seat(4 * SEAT_BYTES).await.expect("free");
        let third = tokio::spawn({
            let node = node.clone();
            async move { node.seat(4 * SEAT_BYTES).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(first);
        assert!(third.await.expect("ended"), "there is room");
        let all = node.seat_within(1_000 * SEAT_BYTES, Duration::ZERO).await;
        assert!(all.is_none(), "more than half of it is taken, by somebody who does not end");
    }
}
