//! Looking a moment longer before a thread sleeps.
//!
//! A thread that sleeps is woken by another processor, which takes longer (some 50 µs on a virtual machine) than a statement by key
//! does. So a connection whose client answers at once looks at its socket again and again, for [`LINGER`], before it lets its thread
//! sleep: only while no other connection of the node hears from its client, and only as long as messages come that quickly. A node
//! with several busy clients, or with one that thinks, does not spin.

use host::Clock;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::Poll;
use std::time::Duration;

/// How long a socket is looked at before the thread sleeps.
const LINGER: Duration = Duration::from_micros(60);
/// A client that says something within this time of its answer is worth waiting for.
const QUICK: Duration = Duration::from_micros(200);
/// So many messages without one of another connection make a connection the only one that is busy.
const STREAK: u32 = 16;

/// Which connection of the node had the last message, by its process id.
pub(crate) type LastHeard = Arc<AtomicI32>;

/// How a connection waits for its client.
#[derive(Debug)]
pub(crate) struct Linger {
    connection: i32,
    last_heard: LastHeard,
    /// Messages since one of another connection.
    streak: u32,
    /// Whether the last one came soon after it could.
    is_quick: bool,
}

impl Linger {
    pub fn new(connection: i32, last_heard: LastHeard) -> Linger {
        Linger { connection, last_heard, streak: 0, is_quick: false }
    }

    /// Waits for the client's next message, looking often at first. May be dropped at any await.
    pub async fn over<F: Future + Unpin>(&mut self, clock: &dyn Clock, mut message: F) -> F::Output {
        let started = clock.monotonic();
        let mut ready = look(&mut message).await;
        while ready.is_none() && self.is_worth_it() && clock.monotonic().saturating_sub(started) < LINGER {
            // The runtime asks the system what has come, and lets others run, before it comes back here.
            tokio::task::yield_now().await;
            ready = look(&mut message).await;
        }
        let ready = match ready {
            Some(ready) => ready,
            None => message.await,
        };
        self.is_quick = clock.monotonic().saturating_sub(started) < QUICK;
        self.heard();
        ready
    }

    fn is_worth_it(&self) -> bool {
        self.is_quick && self.streak >= STREAK && self.is_last()
    }

    fn is_last(&self) -> bool {
        self.last_heard.load(Ordering::Relaxed) == self.connection
    }

    fn heard(&mut self) {
        if self.is_last() {
            self.streak = self.streak.saturating_add(1);
        } else {
            self.streak = 0;
            self.last_heard.store(self.connection, Ordering::Relaxed);
        }
    }
}

/// One look at a future.
async fn look<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::atomic::{AtomicU64, AtomicUsize};
    use std::task::{Context, Wake, Waker};

    /// Goes on by 10 µs with each look at it.
    #[derive(Default)]
    struct Ticking(AtomicU64);

    impl Clock for Ticking {
        fn monotonic(&self) -> Duration {
            Duration::from_micros(self.0.fetch_add(10, Ordering::Relaxed))
        }
        fn wall(&self) -> host::Micros {
            0
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a connection wakes itself to look again for a message that does not come.
    fn looks(linger: &mut Linger) -> usize {
        let (clock, woken) = (Ticking::default(), Arc::new(Woken::default()));
        let waker = Waker::from(woken.clone());
        let mut wait = pin!(linger.over(&clock, std::future::pending::<()>()));
        let mut looks = 0;
        loop {
            assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            if woken.0.load(Ordering::Relaxed) == looks {
                return looks;
            }
            looks += 1;
        }
    }

    fn hears(linger: &mut Linger, times: u32) {
        for _ in 0..times {
            let over = pin!(linger.over(&Ticking(AtomicU64::new(0)), std::future::ready(())))
                .poll(&mut Context::from_waker(Waker::noop()));
            assert!(over.is_ready());
        }
    }

    #[test]
    fn only_a_connection_that_is_alone_and_quick_looks_again_and_not_for_long() {
        let heard = LastHeard::default();
        let (mut one, mut other) = (Linger::new(1, heard.clone()), Linger::new(2, heard));
        assert_eq!(looks(&mut one), 0, "nothing has been heard of it");
        hears(&mut one, STREAK);
        assert_eq!(looks(&mut one), 0);
        hears(&mut one, 1);
        assert_eq!(looks(&mut one), 5, "a look every 10 µs, below 60");
        hears(&mut other, 1);
        assert_eq!(looks(&mut one), 0, "another client speaks");
        hears(&mut one, STREAK + 1);
        one.is_quick = false;
        assert_eq!(looks(&mut one), 0, "its client thinks");
    }
}
