//! Rates of a segment on disk: `cargo run --release -p storage --example rates [FOLDER] [ROWS]`.
//!
//! Prints what `performance.md` states goals for: puts, flushes, gets, scans with and without a delta, as of the past.

use bytes::Bytes;
use host::{Clock, Host, RealClock};
use std::path::PathBuf;
use storage::segment::{Direction, Segment, SegmentOptions};
use storage::{KeyRange, Mutation, StorageId, Timestamp};

const R: StorageId = StorageId(20_000);
const BATCH: u64 = 1000;

struct Run {
    clock: RealClock,
    segment: Segment,
    index: u64,
    rows: u64,
}

fn key(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

impl Run {
    fn timed<R>(&self, what: &str, count: u64, body: impl FnOnce() -> R) -> R {
        let begun = self.clock.monotonic();
        let result = body();
        let seconds = (self.clock.monotonic() - begun).as_secs_f64();
        let rate = count as f64 / seconds / 1e6;
        println!("{what:44} {:8.1} ms {rate:8.2} M/s {:8.0} ns each", seconds * 1e3, seconds * 1e9 / count as f64);
        result
    }

    /// `count` rows in batches, numbered by `number`, values as slices of one buffer per batch as an entry would be.
    fn put(&mut self, what: &str, count: u64, number: impl Fn(u64) -> u64) {
        let mut batches = Vec::new();
        for batch in 0..count / BATCH {
            let entry = Bytes::from(vec![batch as u8; (BATCH * 100) as usize]);
            let mutations: Vec<Mutation> = (0..BATCH)
                .map(|row| {
                    let value = Some(entry.slice((row * 100) as usize..(row * 100 + 100) as usize));
                    Mutation { relation: R, key: key(number(batch * BATCH + row)), value }
                })
                .collect();
            batches.push(mutations);
        }
        let first = self.index;
        self.index += batches.len() as u64;
        self.timed(what, count, || {
            for (at, mutations) in (first + 1..).zip(&batches) {
                self.segment.apply(at, Timestamp(at), mutations);
            }
        });
    }

    fn flush(&self, what: &str, count: u64) {
        self.timed(what, count, || self.segment.flush().expect("a flush"));
    }

    fn scan(&self, what: &str, at: u64, direction: Direction) {
        let view = self.segment.view().expect("a view");
        let mut sum = 0_u64;
        let count = self.timed(what, self.rows, || {
            let mut cursor = view.cursor(R, &KeyRange::all(), Timestamp(at), direction).expect("a cursor");
            let mut count = 0;
            while let Some(entry) = cursor.next().expect("a row") {
                sum = sum.wrapping_add(u64::from(entry.value[0]));
                count += 1;
            }
            count
        });
        assert!(count == self.rows && sum > 0);
    }

    fn gets(&self, what: &str) {
        let count = 500_000;
        self.timed(what, count, || {
            for number in 0..count {
                let view = self.segment.view().expect("a view");
                let at = number.wrapping_mul(7_919_993) % self.rows;
                let row = view.get(R, &at.to_be_bytes(), Timestamp::MAX).expect("a read");
                assert!(row.is_some_and(|row| row.value.len() == 100));
            }
        });
    }

    fn short_ranges(&self, what: &str) {
        let count = 200_000;
        self.timed(what, count, || {
            for number in 0..count {
                let view = self.segment.view().expect("a view");
                let at = number.wrapping_mul(7_919_993) % self.rows;
                let range = KeyRange { start: key(at), end: Some(key(at + 1)) };
                let mut cursor = view.cursor(R, &range, Timestamp::MAX, Direction::Forward).expect("a cursor");
                assert!(cursor.next().expect("a row").is_some() && cursor.next().expect("the end").is_none());
            }
        });
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("hyrax-rates"), PathBuf::from);
    let rows: u64 = arguments.next().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let folder = folder.join(format!("segment-{}", std::process::id()));
    // Flushes when told only.
    let options =
        SegmentOptions { flush_rows: u64::MAX, flush_bytes: u64::MAX, ..SegmentOptions::on_disk(&folder, "rates") };
    let options = SegmentOptions { flush_after: std::time::Duration::from_secs(3600), history_us: 0, ..options };
    let (segment, _) = Segment::open(Host::real(), options).expect("a segment");
    let mut run = Run { clock: RealClock::new(), segment, index: 0, rows };
    run.put("put, ascending", rows, |number| number);
    run.scan("scan, all in the delta", u64::MAX, Direction::Forward);
    run.gets("get, all in the delta");
    run.flush("flush, ascending into nothing", rows);
    run.scan("scan, empty delta", u64::MAX, Direction::Forward);
    run.scan("scan backward, empty delta", u64::MAX, Direction::Backward);
    run.gets("get, empty delta (view included)");
    run.short_ranges("range of one row, empty delta");
    let horizon = run.index;
    run.segment.set_horizon(Timestamp(horizon));
    let random = move |number: u64| number.wrapping_mul(7_919_993) % rows;
    run.put("put, 100k random updates", 100_000, random);
    run.scan("scan, 100k of them in the delta", u64::MAX, Direction::Forward);
    run.gets("get, 100k in the delta");
    run.short_ranges("range of one row, 100k in the delta");
    run.flush("flush, 100k updates with history", 100_000);
    run.scan("scan, newest, with history", u64::MAX, Direction::Forward);
    run.scan("scan, as of before", horizon, Direction::Forward);
    let horizon = run.index;
    run.segment.set_horizon(Timestamp(horizon));
    run.put("put, 200k random updates", 200_000, random);
    run.segment.set_horizon(Timestamp(run.index));
    run.flush("flush, 200k updates without history", 200_000);
    let verified = run.timed("verify", rows, || run.segment.verify().expect("a sound segment"));
    println!("{verified:?}");
    drop(run);
    let _ = std::fs::remove_dir_all(&folder);
}
