//! The oracle: strictly increasing timestamps, whatever the clock does (`distributed-core.md` §2).
//!
//! Lives where the meta shard's leader is. `last` is the greatest value handed out or covered; `mark` is durable in the
//! meta group's log, and nothing at or above it is handed out (I1). A new leader starts at the mark, so it is above
//! all that its predecessor gave (I2). The mark is raised in the background, well before it is reached, by the
//! gateway's task, which waits at `mark_wanted`.
//!
//! I3: `cover(t)` answers only when every later `now` is above `t` — and stays so after a crash, as `t` lies below the mark.

use host::Host;
use host::bugs::{self, Bug};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use storage::Timestamp;
use tokio::sync::Notify;

/// How far above the clock the mark is set; what a restart may skip.
const MARK_AHEAD_US: u64 = 3_000_000;
/// The mark is raised when less than this is left.
const MARK_LEFT_US: u64 = 1_500_000;
/// How often the background task looks.
const MARK_CHECK: Duration = Duration::from_millis(500);

pub struct Oracle {
    host: Host,
    last: AtomicU64,
    /// Exclusive. 0: not leading, nothing is handed out.
    mark: AtomicU64,
    /// What a `cover` above the mark waits for.
    wanted: AtomicU64,
    raise: Notify,
    raised: Notify,
}

impl Oracle {
    pub fn new(host: Host) -> Oracle {
        Oracle {
            host,
            last: AtomicU64::new(0),
            mark: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            raise: Notify::new(),
            raised: Notify::new(),
        }
    }

    fn wall(&self) -> u64 {
        u64::try_from(self.host.clock.wall()).unwrap_or(0) << 12
    }

    /// Where a new leader starts: at the mark that its log holds. `set_mark` (durable) then opens it.
    pub fn start_at(&self, mark: u64) {
        self.last.fetch_max(mark, Ordering::SeqCst);
    }

    /// The mark that is to be made durable next.
    pub fn next_mark(&self) -> u64 {
        let base = self.last.load(Ordering::SeqCst).max(self.wall()).max(self.wanted.load(Ordering::SeqCst));
        base + (MARK_AHEAD_US << 12)
    }

    /// `mark` is durable.
    pub fn set_mark(&self, mark: u64) {
        self.mark.fetch_max(mark, Ordering::SeqCst);
        self.raised.notify_waiters();
    }

    /// A new timestamp, above all before it; None while the mark is too low.
    pub fn try_now(&self) -> Option<Timestamp> {
        let wall = self.wall();
        let mut last = self.last.load(Ordering::SeqCst);
        loop {
            // Past the mark (a stalled log) values go on one by one: they stay below it for 4,096 a microsecond.
            let mark = self.mark.load(Ordering::SeqCst);
            let next = if wall < mark { wall.max(last + 1) } else { last + 1 };
            if next >= mark {
                return None;
            }
            match self.last.compare_exchange_weak(last, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Some(Timestamp(next)),
                Err(now) => last = now,
            }
        }
    }

    pub async fn now(&self) -> Timestamp {
        loop {
            let raised = self.raised.notified();
            tokio::pin!(raised);
            raised.as_mut().enable();
            if let Some(now) = self.try_now() {
                return now;
            }
            self.raise.notify_one();
            raised.await;
        }
    }

    /// The greatest value handed out or covered.
    pub fn current(&self) -> Timestamp {
        Timestamp(self.last.load(Ordering::SeqCst))
    }

    /// R1: after true, every `now` is above `ts`, and would be after a crash.
    pub fn try_cover(&self, ts: Timestamp) -> bool {
        if bugs::is_on(Bug::CoverSkipped) {
            return true;
        }
        if ts.0 >= self.mark.load(Ordering::SeqCst) {
            return self.last.load(Ordering::SeqCst) >= ts.0;
        }
        self.last.fetch_max(ts.0, Ordering::SeqCst);
        true
    }

    pub async fn cover(&self, ts: Timestamp) {
        loop {
            let raised = self.raised.notified();
            tokio::pin!(raised);
            raised.as_mut().enable();
            if self.try_cover(ts) {
                return;
            }
            self.wanted.fetch_max(ts.0, Ordering::SeqCst);
            self.raise.notify_one();
            raised.await;
        }
    }

    /// Returns when the mark is to be raised.
    pub async fn mark_wanted(&self) {
        loop {
            let mark = self.mark.load(Ordering::SeqCst);
            let base = self.last.load(Ordering::SeqCst).max(self.wall());
            let is_low = base + (MARK_LEFT_US << 12) >= mark;
            if is_low || self.wanted.load(Ordering::SeqCst) >= mark {
                return;
            }
            let _ = host::clock::timeout(MARK_CHECK, self.raise.notified()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicI64;

    struct Wall(AtomicI64);
    impl host::Clock for Wall {
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
        fn wall(&self) -> i64 {
            self.0.load(Ordering::SeqCst)
        }
    }

    fn oracle_at(micros: i64) -> (Oracle, Arc<Wall>) {
        let wall = Arc::new(Wall(AtomicI64::new(micros)));
        let host = Host { clock: wall.clone(), ..Host::real() };
        (Oracle::new(host), wall)
    }

    #[test]
    fn clock_jump_both_ways_keeps_order() {
        let (oracle, wall) = oracle_at(1_000_000);
        oracle.set_mark(oracle.next_mark());
        let mut last = Timestamp::ZERO;
        for micros in [1_000_000, 1_000_001, 5, 900_000_000_000, 7, 1_000_002] {
            wall.0.store(micros, Ordering::SeqCst);
            for _ in 0..3 {
                let now = oracle.try_now().expect("the mark is far above");
                assert!(now > last, "{now:?} after {last:?}");
                assert!(now.0 < oracle.mark.load(Ordering::SeqCst), "I1");
                last = now;
            }
        }
    }

    #[test]
    fn restart_begins_above_all_that_was_given() {
        let (oracle, _) = oracle_at(1_000_000);
        let mark = oracle.next_mark();
        oracle.set_mark(mark);
        let before = oracle.try_now().expect("below the mark");
        assert!(oracle.try_cover(Timestamp(mark - 1)));
        let (next, _) = oracle_at(10);
        next.start_at(mark);
        assert_eq!(next.try_now(), None, "nothing before its own mark is durable");
        next.set_mark(next.next_mark());
        let after = next.try_now().expect("open");
        assert!(after > before && after.0 >= mark);
    }

    #[test]
    fn oracle_mark_not_raised_refuses_to_cover() {
        let (oracle, _) = oracle_at(1_000_000);
        let mark = oracle.next_mark();
        oracle.set_mark(mark);
        assert!(!oracle.try_cover(Timestamp(mark + 5)), "not durable, so a crash could hand out less");
        oracle.set_mark(mark + 6);
        assert!(oracle.try_cover(Timestamp(mark + 5)));
        assert!(oracle.current() >= Timestamp(mark + 5));
    }
}
