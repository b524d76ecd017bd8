//! Time: a monotonic clock for durations and leases, a wall clock for what people see and for the oracle.

use crate::world;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970-01-01 UTC.
pub type Micros = i64;

pub trait Clock: Send + Sync {
    /// Time since an arbitrary start, never going back.
    fn monotonic(&self) -> Duration;
    /// What the wall shows; may jump both ways.
    fn wall(&self) -> Micros;
}

pub struct RealClock {
    start: Instant,
    /// A file with an offset like `+2s` or `-0.5s` (libfaketime's FAKETIME_TIMESTAMP_FILE), read at most every 100 ms.
    offset: Option<offset::FileOffset>,
}

impl RealClock {
    #[allow(clippy::new_without_default)]
    pub fn new() -> RealClock {
        RealClock { start: Instant::now(), offset: offset::FileOffset::from_environment() }
    }
}

impl Clock for RealClock {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall(&self) -> Micros {
        let now = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        match &self.offset {
            None => now,
            Some(offset) => now.saturating_add(offset.micros(self.start.elapsed())),
        }
    }
}

/// Time since an arbitrary start, of this thread's world. For those who have no handle (`consensus`' runtime).
pub fn monotonic() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    match world::current() {
        None => LONG_AGO + START.get_or_init(Instant::now).elapsed(),
        Some(world) => LONG_AGO + world.now(),
    }
}

/// So that durations can be taken off `monotonic` at the start, too.
const LONG_AGO: Duration = Duration::from_secs(100_000_000);

/// Sleeps on the runtime's clock, or on that of this thread's world.
pub async fn sleep(duration: Duration) {
    match world::current().map(|world| world.now()) {
        None => tokio::time::sleep(duration).await,
        Some(now) => Until { at: now.saturating_add(duration), alarm: None }.await,
    }
}

/// The future's value, or None after `duration`.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    if world::current().is_none() {
        return tokio::time::timeout(duration, future).await.ok();
    }
    tokio::pin!(future);
    tokio::select! {
        biased;
        value = &mut future => Some(value),
        () = sleep(duration) => None,
    }
}

/// Ready at a moment of this thread's world.
struct Until {
    at: Duration,
    alarm: Option<u64>,
}

impl Future for Until {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(world) = world::current() else { return Poll::Ready(()) };
        if let Some(alarm) = self.alarm.take() {
            world.cancel(alarm);
        }
        if world.now() >= self.at {
            return Poll::Ready(());
        }
        self.alarm = Some(world.wake_at(self.at, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Until {
    fn drop(&mut self) {
        if let (Some(alarm), Some(world)) = (self.alarm, world::current()) {
            world.cancel(alarm);
        }
    }
}

mod offset {
    use super::Micros;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
    use std::time::Duration;

    /// How often the file is read again.
    const REFRESH_MS: u64 = 100;

    pub struct FileOffset {
        path: PathBuf,
        micros: AtomicI64,
        read_at_ms: AtomicU64,
    }

    impl FileOffset {
        pub fn from_environment() -> Option<FileOffset> {
            let path = std::env::var_os("FAKETIME_TIMESTAMP_FILE")?.into();
            Some(FileOffset { path, micros: AtomicI64::new(0), read_at_ms: AtomicU64::new(0) })
        }

        pub fn micros(&self, now: Duration) -> Micros {
            let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).max(1);
            let last = self.read_at_ms.load(Ordering::Relaxed);
            if last == 0 || now_ms - last >= REFRESH_MS {
                self.read_at_ms.store(now_ms, Ordering::Relaxed);
                if let Some(offset) = std::fs::read_to_string(&self.path).ok().and_then(|text| parse(&text)) {
                    self.micros.store(offset, Ordering::Relaxed);
                }
            }
            self.micros.load(Ordering::Relaxed)
        }
    }

    /// `+2s`, `-0.5`, `+3m`, `+1h`, `+1d`: libfaketime's relative forms.
    fn parse(text: &str) -> Option<Micros> {
        let text = text.trim();
        let (number, scale) = match text.chars().last()? {
            's' => (&text[..text.len() - 1], 1e6),
            'm' => (&text[..text.len() - 1], 60e6),
            'h' => (&text[..text.len() - 1], 3600e6),
            'd' => (&text[..text.len() - 1], 86400e6),
            _ => (text, 1e6),
        };
        number.trim_start_matches('+').parse::<f64>().ok().map(|n| (n * scale) as Micros)
    }

    #[test]
    fn relative_offsets_are_read() {
        assert_eq!(parse("+2s"), Some(2_000_000));
        assert_eq!(parse("-0.5\n"), Some(-500_000));
        assert_eq!(parse("+1h"), Some(3_600_000_000));
        assert_eq!(parse("x"), None);
    }
}
