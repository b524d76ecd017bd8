//! How long statements take: counts by bucket, cheap enough for every one of them.
//!
//! One relaxed add per statement and bucket and one for the sum, each in a shard that few threads share; a scrape may see a statement
//! in one and not yet in the other.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Upper bounds, in microseconds.
const BOUNDS_US: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// Threads are dealt round to these, so that they do not pass a cache line to and fro with each statement.
const SHARDS: usize = 16;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Latency {
    shards: [Shard; SHARDS],
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

/// A histogram as it stood.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyReport {
    /// Upper bound in seconds, and how many took at most so long.
    pub buckets: Vec<(f64, u64)>,
    pub count: u64,
    pub sum_seconds: f64,
}

impl Latency {
    pub fn record(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        let Some(shard) = self.shards.get(SHARD.with(|shard| *shard)) else { return };
        if let Some(count) = shard.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        shard.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub fn report(&self) -> LatencyReport {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(BOUNDS_US.len());
        for index in 0..=BOUNDS_US.len() {
            let in_bucket = self.shards.iter().filter_map(|shard| shard.buckets.get(index));
            count += in_bucket.map(|bucket| bucket.load(Ordering::Relaxed)).sum::<u64>();
            if let Some(bound) = BOUNDS_US.get(index) {
                buckets.push((*bound as f64 / 1e6, count));
            }
        }
        let sum_us: u64 = self.shards.iter().map(|shard| shard.sum_us.load(Ordering::Relaxed)).sum();
        LatencyReport { buckets, count, sum_seconds: sum_us as f64 / 1e6 }
    }
}

#[test]
fn durations_fall_into_their_buckets() {
    let latency = Latency::default();
    for us in [0, 50, 51, 900, 40_000_000] {
        latency.record(Duration::from_micros(us));
    }
    let report = latency.report();
    let at = |bound: f64| report.buckets.iter().find(|(b, _)| *b == bound).map(|(_, count)| *count);
    assert_eq!((at(0.00005), at(0.0001), at(0.001), at(30.0)), (Some(2), Some(3), Some(4), Some(4)));
    assert_eq!(report.count, 5);
    assert!((report.sum_seconds - 40.001001).abs() < 1e-9);
}
