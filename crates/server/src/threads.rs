//! The node's threads: who runs what.
//!
//! ```text
//! sql-1 … sql-N        connections, dealt in turn; statements by key run here from end to end
//! worker-1 … worker-M  long statements, so that no scan stalls the point reads of a session's thread
//! node                 accepting, HTTP, the gateway's tasks, signals
//! raft, log, flush     started by consensus and storage
//! ```
//!
//! Every one that may wait for a commit or a lock runs `txn::dispatcher`, which wakes its tasks once per batch.

use crate::tasks::Supervised;
use host::spawn::RuntimeThread;
use host::{Spawn, TokioSpawn};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Address space for a thread's stack. Parser and planner bound their depth (54001) well below; only what is touched
/// takes memory.
const STACK_BYTES: usize = 64 << 20;

pub struct Threads {
    pub sessions: Vec<Arc<dyn Spawn>>,
    pub workers: Workers,
    pub node: tokio::runtime::Handle,
    /// Ended in this order: connections first, what they rely on last.
    running: Vec<RuntimeThread>,
    supervised: Supervised,
}

impl Threads {
    pub fn start(sessions: usize, workers: usize, supervised: &Supervised) -> io::Result<Threads> {
        let mut running = Vec::new();
        let mut start = |name: String| -> io::Result<tokio::runtime::Handle> {
            let thread = RuntimeThread::start(&name, STACK_BYTES)?;
            let handle = thread.handle().clone();
            running.push(thread);
            TokioSpawn(handle.clone()).spawn("dispatcher", Box::pin(txn::dispatcher()));
            Ok(handle)
        };
        let mut spawners = |kind: &str, count: usize| -> io::Result<Vec<Arc<dyn Spawn>>> {
            (1..=count).map(|n| Ok(supervised.over(start(format!("{kind}-{n}"))?))).collect()
        };
        let sessions = spawners("sql", sessions)?;
        let workers = Workers { threads: spawners("worker", workers)?.into(), next: Arc::default() };
        let node = start("node".to_owned())?;
        Ok(Threads { sessions, workers, node, running, supervised: supervised.clone() })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Whatever runs on them ends because they do.
        self.supervised.stopping();
        self.running.drain(..).for_each(drop);
    }
}

/// Where long statements run; taken in turn.
#[derive(Clone)]
pub struct Workers {
    threads: Arc<[Arc<dyn Spawn>]>,
    next: Arc<AtomicUsize>,
}

impl Spawn for Workers {
    fn spawn(&self, name: &'static str, task: host::spawn::Task) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len().max(1);
        if let Some(thread) = self.threads.get(turn) {
            thread.spawn(name, task);
        }
    }
}
