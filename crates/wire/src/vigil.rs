//! What may end a connection while its client says nothing: the node's shutdown, and whoever ends its session.
//!
//! Both are rare, and a connection waits for its client many thousand times between them. So they are not registered anew for each
//! wait: they keep a waker of their own ([`Gate`]), which passes a wake on to the connection's task, and are polled only after it was
//! used. A wait costs one look at an atomic.

use crate::listener::Phase;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tokio::sync::watch;
use types::SqlError;

/// A future that belongs to nobody's stack.
pub type EndFuture = Pin<Box<dyn Future<Output = SqlError> + Send>>;

/// Remembers that something was woken, and wakes the task that looks.
struct Gate {
    /// At first true: nothing has been polled yet.
    is_open: AtomicBool,
    task: Mutex<Waker>,
}

impl Wake for Gate {
    fn wake(self: Arc<Self>) {
        self.is_open.store(true, Ordering::Release);
        let task = self.task.lock().clone();
        task.wake();
    }
}

pub(crate) struct Vigil {
    gate: Arc<Gate>,
    /// The gate as the futures below see it.
    waker: Waker,
    /// The task's waker as the gate has it.
    task: Waker,
    phases: Pin<Box<dyn Future<Output = ()> + Send>>,
    phase: Arc<Mutex<Phase>>,
    /// None: it has come, and its error was given.
    end: Option<EndFuture>,
}

async fn follow(mut phases: watch::Receiver<Phase>, newest: Arc<Mutex<Phase>>) {
    loop {
        *newest.lock() = *phases.borrow_and_update();
        if phases.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

impl Vigil {
    /// `end` is ready when somebody ended the session.
    pub fn new(phases: watch::Receiver<Phase>, end: EndFuture) -> Vigil {
        let task = Waker::noop().clone();
        let gate = Arc::new(Gate { is_open: AtomicBool::new(true), task: Mutex::new(task.clone()) });
        let phase = Arc::new(Mutex::new(Phase::Running));
        let phases = Box::pin(follow(phases, phase.clone()));
        Vigil { waker: Waker::from(gate.clone()), gate, task, phases, phase, end: Some(end) }
    }

    /// Ready when the connection must end: at `leave` of the shutdown, or because it was told to.
    pub fn poll(&mut self, leave: Phase, context: &Context<'_>) -> Poll<SqlError> {
        if !self.task.will_wake(context.waker()) {
            self.task.clone_from(context.waker());
            self.gate.task.lock().clone_from(context.waker());
        }
        // Closed before the futures are polled: what wakes them from here on is seen next time.
        if self.gate.is_open.swap(false, Ordering::AcqRel) {
            let mut inner = Context::from_waker(&self.waker);
            if self.phases.as_mut().poll(&mut inner).is_ready() {
                return Poll::Ready(SqlError::internal("the node's phases have ended"));
            }
            if let Some(Poll::Ready(error)) = self.end.as_mut().map(|end| end.as_mut().poll(&mut inner)) {
                self.end = None;
                return Poll::Ready(error);
            }
        }
        match *self.phase.lock() >= leave {
            true => Poll::Ready(crate::connection::shutting_down()),
            false => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use types::SqlState;

    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_wait_is_woken_by_the_nodes_end_and_by_the_sessions() {
        let (phases, receiver) = watch::channel(Phase::Running);
        let (end, told) = tokio::sync::oneshot::channel::<SqlError>();
        let end_of_session = async move { told.await.unwrap() };
        let mut vigil = Vigil::new(receiver, Box::pin(end_of_session));
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let mut poll = |leave| vigil.poll(leave, &Context::from_waker(&waker));

        assert!(poll(Phase::Draining).is_pending());
        assert!(poll(Phase::Draining).is_pending());
        phases.send(Phase::Draining).unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(poll(Phase::Closing).is_pending());
        assert!(poll(Phase::Draining).is_ready());
        end.send(SqlError::new(SqlState::ADMIN_SHUTDOWN, "told")).unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert!(matches!(poll(Phase::Closing), Poll::Ready(error) if error.message() == "told"));
        assert!(poll(Phase::Closing).is_pending());
        phases.send(Phase::Closing).unwrap();
        assert!(poll(Phase::Closing).is_ready());
    }
}
