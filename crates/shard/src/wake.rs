//! How a session waits for one answer, and how many of them are woken with one wake-up per runtime.
//!
//! A wake from another thread costs a system call even when the runtime is busy (`performance.md` §4.6). So a session
//! thread runs one `dispatcher` task; answers that come from the Raft thread are queued for it and one wake rings the
//! dispatcher, which wakes the sessions on their own thread. A thread without a dispatcher is woken directly.
//!
//! I1: a slot is completed at most once; its value is taken at most once.

use parking_lot::Mutex;
use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

thread_local! {
    static QUEUE: RefCell<Option<Arc<RuntimeQueue>>> = const { RefCell::new(None) };
}

/// What a runtime's dispatcher is to wake next.
#[derive(Default)]
struct RuntimeQueue(Mutex<Ready>);

#[derive(Default)]
struct Ready {
    wakers: Vec<Waker>,
    dispatcher: Option<Waker>,
    is_closed: bool,
}

/// Unregisters the dispatcher when its task is dropped: who is queued then is woken directly.
struct Registration(Arc<RuntimeQueue>);

impl Drop for Registration {
    fn drop(&mut self) {
        QUEUE.with_borrow_mut(|queue| *queue = None);
        let wakers = {
            let mut ready = self.0.0.lock();
            ready.is_closed = true;
            std::mem::take(&mut ready.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// The task that each session runtime (one thread) runs for ever.
pub async fn dispatcher() {
    let queue = Arc::new(RuntimeQueue::default());
    QUEUE.with_borrow_mut(|here| *here = Some(queue.clone()));
    let registration = Registration(queue);
    let mut wakers = Vec::new();
    poll_fn(|context| {
        let mut ready = registration.0.0.lock();
        std::mem::swap(&mut ready.wakers, &mut wakers);
        if ready.dispatcher.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
            ready.dispatcher = Some(context.waker().clone());
        }
        drop(ready);
        wakers.drain(..).for_each(Waker::wake);
        Poll::<()>::Pending
    })
    .await;
}

/// One answer for one waiting task.
pub struct Slot<T> {
    state: Mutex<State<T>>,
    queue: Option<Arc<RuntimeQueue>>,
}

enum State<T> {
    Waiting(Option<Waker>),
    Done(T),
    Taken,
}

impl<T> Slot<T> {
    /// For a task of this thread.
    pub fn new() -> Arc<Slot<T>> {
        let queue = QUEUE.with_borrow(Option::clone);
        Arc::new(Slot { state: Mutex::new(State::Waiting(None)), queue })
    }

    /// Gives the answer; the wake-up is left to `wakeups`. False if there was one already.
    pub fn complete(&self, value: T, wakeups: &mut Wakeups) -> bool {
        let mut state = self.state.lock();
        let State::Waiting(waker) = &mut *state else { return false };
        if let Some(waker) = waker.take() {
            wakeups.0.push((self.queue.clone(), waker));
        }
        *state = State::Done(value);
        true
    }

    /// The answer, if it is there.
    pub fn take(&self) -> Option<T> {
        let mut state = self.state.lock();
        match &*state {
            State::Done(_) => match std::mem::replace(&mut *state, State::Taken) {
                State::Done(value) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    /// Waits for the answer. May be dropped and called again.
    pub async fn wait(&self) -> T {
        poll_fn(|context| {
            if let Some(value) = self.take() {
                return Poll::Ready(value);
            }
            let mut state = self.state.lock();
            match &mut *state {
                State::Waiting(waker) => {
                    if waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
                        *waker = Some(context.waker().clone());
                    }
                    Poll::Pending
                }
                // Completed between the two looks: come again at once.
                _ => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// Wake-ups collected under a lock, to be rung outside it.
#[derive(Default)]
pub struct Wakeups(Vec<(Option<Arc<RuntimeQueue>>, Waker)>);

impl Wakeups {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn append(&mut self, other: &mut Wakeups) {
        self.0.append(&mut other.0);
    }

    /// Wakes them at once, each directly: for a few, from a session's own thread.
    pub fn wake(&mut self) {
        self.0.drain(..).for_each(|(_, waker)| waker.wake());
    }

    /// Wakes them with one wake-up per runtime.
    pub fn ring(&mut self) {
        let mut rung: Vec<(Arc<RuntimeQueue>, Waker)> = Vec::new();
        for (queue, waker) in self.0.drain(..) {
            let Some(queue) = queue else {
                waker.wake();
                continue;
            };
            let mut ready = queue.0.lock();
            if ready.is_closed || ready.dispatcher.is_none() {
                drop(ready);
                waker.wake();
                continue;
            }
            ready.wakers.push(waker);
            if let (1, Some(dispatcher)) = (ready.wakers.len(), ready.dispatcher.clone()) {
                drop(ready);
                rung.push((queue, dispatcher));
            }
        }
        rung.into_iter().for_each(|(_, dispatcher)| dispatcher.wake());
    }
}
