//! Supervision: a task that ends when it should not is noticed.
//!
//! A panic ends its task only. The node goes on without a session or a helper, but not without a *vital* task: when one
//! of those ends, the node stops with an error, because its promises no longer hold.

use host::spawn::Task;
use host::{Spawn, TokioSpawn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

/// Tasks of the gateway (by the names it gives them) and of this crate that the node can not do without.
const VITAL: &[&str] = &["oracle mark", "housekeeping", "accept", "http"];

/// Why the node's main thread wakes up.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// SIGTERM or SIGINT.
    StopAsked,
    VitalTaskEnded(&'static str),
}

/// Spawns that tell of tasks that ended. Cheap to clone.
#[derive(Clone)]
pub struct Supervised {
    events: mpsc::Sender<Event>,
    is_stopping: Arc<AtomicBool>,
}

impl Supervised {
    pub fn new() -> (Supervised, mpsc::Receiver<Event>) {
        let (events, received) = mpsc::channel();
        (Supervised { events, is_stopping: Arc::default() }, received)
    }

    /// From now on tasks end because they are told to.
    pub fn stopping(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    pub fn tell(&self, event: Event) {
        // Nobody listens any more: the node has stopped.
        let _ = self.events.send(event);
    }

    /// A spawner over a runtime.
    pub fn over(&self, runtime: tokio::runtime::Handle) -> Arc<dyn Spawn> {
        Arc::new(Over { spawn: TokioSpawn(runtime), supervised: self.clone() })
    }
}

struct Over {
    spawn: TokioSpawn,
    supervised: Supervised,
}

impl Spawn for Over {
    fn spawn(&self, name: &'static str, task: Task) {
        let watch = Watch { name, supervised: self.supervised.clone(), has_returned: false };
        let watched = async move {
            let mut watch = watch;
            task.await;
            watch.has_returned = true;
        };
        self.spawn.spawn(name, Box::pin(watched));
    }
}

/// Dropped when its task ends: by returning, by a panic, or with its runtime.
struct Watch {
    name: &'static str,
    supervised: Supervised,
    has_returned: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.supervised.is_stopping.load(Ordering::Acquire) {
            return;
        }
        let name = self.name;
        if VITAL.contains(&name) {
            tracing::error!(task = name, "a vital task has ended, the node stops");
            self.supervised.tell(Event::VitalTaskEnded(name));
        } else if !self.has_returned {
            tracing::error!(task = name, "a task ended by a panic");
            metrics::counter!("hyrax_task_panics_total", "task" => name).increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::spawn::RuntimeThread;
    use std::time::Duration;

    fn run(name: &'static str, task: Task, patience: Duration) -> Option<Event> {
        let (supervised, events) = Supervised::new();
        let thread = RuntimeThread::start("test", 1 << 20).unwrap();
        supervised.over(thread.handle().clone()).spawn(name, task);
        let event = events.recv_timeout(patience).ok();
        supervised.stopping();
        event
    }

    #[test]
    fn only_a_vital_task_stops_the_node() {
        let (long, short) = (Duration::from_secs(30), Duration::from_millis(200));
        assert_eq!(run("housekeeping", Box::pin(async {}), long), Some(Event::VitalTaskEnded("housekeeping")));
        let panics = || Box::pin(async { panic!("on purpose") });
        assert_eq!(run("http", panics(), long), Some(Event::VitalTaskEnded("http")));
        assert_eq!(run("sql connection", panics(), short), None);
        assert_eq!(run("housekeeping", Box::pin(std::future::pending()), short), None);
    }
}
