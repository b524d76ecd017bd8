//! Memory of a statement: what its operators hold, below `work_mem`, below what the node gives to all statements.
//!
//! Operators that can spill ask (`try_grow`) and spill on a no; the others fail with 53200 (`grow`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use types::{Result, SqlError, SqlState};

/// The node's memory for statements.
pub struct NodeBudget {
    limit: usize,
    used: AtomicUsize,
}

impl NodeBudget {
    pub fn new(limit_bytes: usize) -> Arc<NodeBudget> {
        Arc::new(NodeBudget { limit: limit_bytes, used: AtomicUsize::new(0) })
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
}

/// How many times `work_mem` a statement may hold before operators above others spill.
const ABOVE_FACTOR: usize = 4;
/// How many times `work_mem` a statement may hold in operators that cannot spill, before 53200.
const HARD_LIMIT_FACTOR: usize = 16;

impl MemoryBudget {
    /// `limit_bytes`: `work_mem`; above it operators spill.
    pub fn new(limit_bytes: usize, node: Arc<NodeBudget>) -> Arc<MemoryBudget> {
        Arc::new(MemoryBudget { node, limit: limit_bytes, used: AtomicUsize::new(0) })
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
