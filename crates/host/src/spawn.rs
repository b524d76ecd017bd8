//! Tasks and threads.

use std::future::Future;
use std::pin::Pin;

pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts tasks on some runtime. In life each runtime has its own; in the simulator all are one.
pub trait Spawn: Send + Sync {
    fn spawn(&self, name: &'static str, task: Task);
}

/// Tasks on a tokio runtime.
#[derive(Clone)]
pub struct TokioSpawn(pub tokio::runtime::Handle);

impl Spawn for TokioSpawn {
    fn spawn(&self, _name: &'static str, task: Task) {
        self.0.spawn(task);
    }
}

/// A named thread with a stack of `stack_bytes`.
pub fn thread<T: Send + 'static>(
    name: &str,
    stack_bytes: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes).spawn(body)
}

/// A task on the current runtime that stays on this thread.
pub fn local(task: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(task);
}
