//! What may happen to a connection while its client says nothing: the node's shutdown, somebody's ending of its session, a
//! notification.
//!
//! All are rare, and a connection waits for its client many thousand times between them. So they are not registered anew for each
//! wait: they keep a waker of their own ([`Gate`]), which passes a wake on to the connection's task, and are polled only after it was
//! used. A wait costs one look at an atomic.

use crate::listener::Phase;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tokio::sync::{Notify, watch};
use types::SqlError;

/// A future that belongs to nobody's stack.
pub type EndFuture = Pin<Box<dyn Future<Output = SqlError> + Send>>;

/// Why a wait is over although the client has said nothing.
pub(crate) enum Call {
    /// The connection must end.
    End(SqlError),
    /// Notifications have come.
    Mail,
}

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
    signal: Arc<Notify>,
    mail: Pin<Box<dyn Future<Output = ()> + Send>>,
}

fn next_mail(signal: &Arc<Notify>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(signal.clone().notified_owned())
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
    /// `end` is ready when somebody ended the session, `signal` fires when it has mail.
    pub fn new(phases: watch::Receiver<Phase>, end: EndFuture, signal: Arc<Notify>) -> Vigil {
        let task = Waker::noop().clone();
        let gate = Arc::new(Gate { is_open: AtomicBool::new(true), task: Mutex::new(task.clone()) });
        let phase = Arc::new(Mutex::new(Phase::Running));
        let phases = Box::pin(follow(phases, phase.clone()));
        let mail = next_mail(&signal);
        Vigil { waker: Waker::from(gate.clone()), gate, task, phases, phase, end: Some(end), signal, mail }
    }

    /// Ready when there is mail, or when the connection must end: at `leave` of the shutdown, or because it was told to.
    pub fn poll(&mut self, leave: Phase, context: &Context<'_>) -> Poll<Call> {
        if !self.task.will_wake(context.waker()) {
            self.task.clone_from(context.waker());
            self.gate.task.lock().clone_from(context.waker());
        }
        // Closed before the futures are polled: what wakes them from here on is seen next time.
        if self.gate.is_open.swap(false, Ordering::AcqRel) {
            let mut inner = Context::from_waker(&self.waker);
            if self.phases.as_mut().poll(&mut inner).is_ready() {
                return Poll::Ready(Call::End(SqlError::internal("the node's phases have ended")));
            }
            if let Some(Poll::Ready(error)) = self.end.as_mut().map(|end| end.as_mut().poll(&mut inner)) {
                self.end = None;
                return Poll::Ready(Call::End(error));
            }
            if self.mail.as_mut().poll(&mut inner).is_ready() {
                self.mail = next_mail(&self.signal);
                // The new one is not registered yet, nor is a change of the phase looked at.
                self.gate.is_open.store(true, Ordering::Release);
                return Poll::Ready(Call::Mail);
            }
        }
        match *self.phase.lock() >= leave {
            true => Poll::Ready(Call::End(crate::connection::shutting_down())),
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
        let signal = Arc::new(Notify::new());
        let mut vigil = Vigil::new(receiver, Box::pin(end_of_session), signal.clone());
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
        assert!(matches!(poll(Phase::Closing), Poll::Ready(Call::End(error)) if error.message() == "told"));
        assert!(poll(Phase::Closing).is_pending());
        for mails in 1..=2 {
            signal.notify_one();
            assert_eq!(count.0.load(Ordering::Relaxed), 2 + mails);
            assert!(matches!(poll(Phase::Closing), Poll::Ready(Call::Mail)));
            assert!(poll(Phase::Closing).is_pending());
        }
        phases.send(Phase::Closing).unwrap();
        assert!(poll(Phase::Closing).is_ready());
    }
}
