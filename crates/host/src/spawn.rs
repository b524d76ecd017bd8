//! Tasks and threads.

use crate::world;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

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

/// A task on the current runtime, or in this thread's world.
pub fn task(name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    match world::current() {
        None => _ = tokio::spawn(task),
        Some(world) => world.spawn(name, Box::pin(task)),
    }
}

/// How often a runtime's thread gives memory back.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(1);

static GIVE_BACK: OnceLock<fn()> = OnceLock::new();

/// How a thread gives memory back to the system, where the program's allocator keeps it until that thread is busy again. To be
/// called before a node starts.
pub fn give_memory_back_by(collect: fn()) {
    // A second call says nothing new.
    let _ = GIVE_BACK.set(collect);
}

/// What this thread has allocated and whoever freed it goes back to the system. Runtimes' threads do it by themselves; for
/// others, when a large piece of work is done.
pub fn give_memory_back() {
    if let Some(collect) = GIVE_BACK.get() {
        collect();
    }
}

async fn give_memory_back_now_and_then() {
    while GIVE_BACK.get().is_some() {
        crate::clock::sleep(GIVE_BACK_EVERY).await;
        give_memory_back();
    }
}

/// A task on the current runtime that stays on this thread.
pub fn local(task: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(task);
}

/// A current-thread runtime on a thread of its own.
pub struct RuntimeThread {
    handle: tokio::runtime::Handle,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl RuntimeThread {
    pub fn start(name: &str, stack_bytes: usize) -> std::io::Result<RuntimeThread> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        handle.spawn(give_memory_back_now_and_then());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let body = move || {
            // Either way of ending the channel ends the thread.
            let _ = runtime.block_on(stopped);
        };
        Ok(RuntimeThread { handle, stop: Some(stop), thread: Some(thread(name, stack_bytes, body)?) })
    }

    pub fn handle(&self) -> &tokio::runtime::Handle {
        &self.handle
    }
}

impl Drop for RuntimeThread {
    /// Ends the runtime; its tasks are dropped where they stand. Waits, unless called from one of them.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}
