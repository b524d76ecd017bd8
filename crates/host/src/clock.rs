//! Time: a monotonic clock for durations and leases, a wall clock for what people see and for the oracle.

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

/// Sleeps on the runtime's clock, which a simulator pauses and advances.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// The future's value, or None after `duration`.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(duration, future).await.ok()
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
