//! A large relation read by several workers, its rows in the order in which one scan would give them.
//!
//! ```text
//! Carver (a range at a time, from the front) --> worker: piece --channel--+
//!                                            --> worker: piece --channel--+--> in the order of the pieces --> rows
//! ```
//!
//! Pieces are cut by the keys, as numbers, so that each has about `PIECE_ROWS` rows; how many rows a stretch of keys holds is
//! learnt from the pieces before. However wrong that is, nothing depends on it but speed: what a worker is ahead is bounded by
//! the channels, and a piece that is far too large is read as one scan would read it.
//!
//! I1  Pieces lie end to end and cover the range.
//! I2  A piece is over when its worker says so. A worker that vanishes leaves an error, never a shorter answer.

use super::scan::{BATCH_BYTES, read_block};
use crate::batch::{BATCH_ROWS, Batch};
use crate::block::ScanFilter;
use crate::budget::Reservation;
use crate::rows::RowReader;
use crate::run::Run;
use bytes::Bytes;
use parking_lot::Mutex;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use txn::{Direction, KeyRange, Scan};
use types::stop::{StopCheck, wanted};
use types::{Result, SqlError};

/// Workers of one scan where `max_parallel_workers_per_gather` does not say, and at most.
const WORKERS: usize = 2;
const WORKERS_MAX: usize = 8;
/// What a piece should hold.
const PIECE_ROWS: u64 = 16 * BATCH_ROWS as u64;
/// Pieces that a relation is cut into at first, whatever is thought of its rows.
const PIECES_MIN: u64 = 16;
/// Batches of one piece that wait for their reader.
const PIECE_BATCHES: usize = 16;
/// Pieces that are finished, or begun, before their turn, besides one for each worker.
const PIECES_AHEAD: usize = 2;
/// Looks for where the keys lie densely, before the first piece is cut.
const PROBES_MAX: usize = 16;
/// Bytes of stored values in a batch, and what all batches that wait may take.
const BATCH_BYTES_AHEAD: usize = BATCH_BYTES / 16;
const BYTES_AHEAD: usize = 16 << 20;

enum Message {
    Rows(Batch),
    /// The piece is over; so many rows did not meet the condition.
    End(u64),
}

struct Piece {
    messages: mpsc::Receiver<Result<Message>>,
    /// Given back when the piece has been read.
    _place: OwnedSemaphorePermit,
}

/// What the workers share.
struct Shared {
    whole: Scan,
    reader: RowReader,
    filter: Arc<ScanFilter>,
    carver: Mutex<Carver>,
    places: Arc<Semaphore>,
}

/// The reader's side. Dropping it ends the workers.
pub(super) struct ParallelScan {
    pieces: mpsc::UnboundedReceiver<Piece>,
    current: Option<Piece>,
    shared: Arc<Shared>,
    _memory: Reservation,
}

impl Drop for ParallelScan {
    fn drop(&mut self) {
        self.shared.places.close();
    }
}

impl ParallelScan {
    /// None: there is too little memory, or too little to read.
    pub async fn start(
        run: &mut Run,
        whole: &Scan,
        reader: &RowReader,
        filter: &Arc<ScanFilter>,
    ) -> Result<Option<ParallelScan>> {
        let Some(spawn) = run.context.workers.clone() else { return Ok(None) };
        let setting = run.context.session.setting("max_parallel_workers_per_gather");
        let workers = setting.and_then(|n| n.parse().ok()).unwrap_or(WORKERS).min(WORKERS_MAX);
        if workers == 0 {
            return Ok(None);
        }
        let mut memory = Reservation::new(&run.context.memory);
        if !memory.try_grow(BYTES_AHEAD) {
            return Ok(None);
        }
        let whole = whole.part(KeyRange::all(), Direction::Forward);
        let first = end_key(whole.part(KeyRange::all(), Direction::Forward)).await?;
        let last = end_key(whole.part(KeyRange::all(), Direction::Backward)).await?;
        let (Some(first), Some(last)) = (first, last) else { return Ok(None) };
        let mut carver = Carver::new(&first, &last);
        let mut dense = carver.last;
        for _ in 0..PROBES_MAX {
            let below = KeyRange { start: Bytes::new(), end: Some(carver.key(carver.middle(dense))) };
            let Some(below) = end_key(whole.part(below, Direction::Backward)).await? else { break };
            let below = carver.number(&below);
            if !carver.is_sparse(below, dense) {
                break;
            }
            dense = below;
        }
        carver.begin(dense, run.context.gateway.rows_estimate(&reader.table.at));
        let shared = Arc::new(Shared {
            whole,
            reader: reader.clone(),
            filter: filter.clone(),
            carver: Mutex::new(carver),
            places: Arc::new(Semaphore::new(workers + PIECES_AHEAD)),
        });
        let (sender, pieces) = mpsc::unbounded_channel();
        for _ in 0..workers {
            let mut own = Run::new(run.plan.clone(), run.context.clone(), false);
            own.outer = run.outer.clone();
            spawn.spawn("scan", Box::pin(wanted_work(shared.clone(), own, sender.clone())));
        }
        Ok(Some(ParallelScan { pieces, current: None, shared, _memory: memory }))
    }

    /// The next rows, perhaps none; None at the end.
    pub async fn next(&mut self, run: &mut Run) -> Result<Option<Batch>> {
        loop {
            let Some(piece) = &mut self.current else {
                self.current = self.pieces.recv().await;
                match &self.current {
                    Some(_) => continue,
                    None if self.shared.carver.lock().is_done => return Ok(None),
                    None => return Err(vanished()),
                }
            };
            match piece.messages.recv().await {
                Some(Ok(Message::Rows(batch))) => return Ok(Some(batch)),
                Some(Ok(Message::End(removed))) => {
                    run.work.rows_removed += removed;
                    self.current = None;
                }
                Some(Err(error)) => return Err(error),
                None => return Err(vanished()),
            }
        }
    }
}

fn vanished() -> SqlError {
    SqlError::internal("a worker of the statement ended in a panic")
}

/// The first key of a scan.
async fn end_key(mut scan: Scan) -> Result<Option<Vec<u8>>> {
    let mut found = None;
    scan.next(1, |key, _, _| {
        found = Some(key.to_vec());
        ControlFlow::Break(())
    })
    .await?;
    Ok(found)
}

/// `work`, until its statement must stop.
async fn wanted_work(shared: Arc<Shared>, run: Run, pieces: mpsc::UnboundedSender<Piece>) {
    let context = run.context.clone();
    let stop: StopCheck = Arc::new(move || context.check());
    let work = async {
        work(shared, run, pieces).await;
        Ok(())
    };
    // Errors have been sent where rows are, and so has why something was cut short.
    let _ = wanted(&stop, work).await;
}

/// A worker: reads piece after piece until there are no more, or nobody wants them.
async fn work(shared: Arc<Shared>, mut run: Run, pieces: mpsc::UnboundedSender<Piece>) {
    while let Ok(place) = shared.places.clone().acquire_owned().await {
        let (range, width, sender) = {
            let mut carver = shared.carver.lock();
            let Some((range, width)) = carver.next() else { return };
            let (sender, messages) = mpsc::channel(PIECE_BATCHES);
            // Under the lock: pieces are read in the order in which they were cut.
            if pieces.send(Piece { messages, _place: place }).is_err() {
                return;
            }
            (range, width, sender)
        };
        match read_piece(&shared, &mut run, range, &sender).await {
            Ok(Some(visited)) => shared.carver.lock().learn(width, visited),
            Ok(None) => return,
            Err(error) => {
                // If it is not wanted any more, nothing is lost.
                let _ = sender.send(Err(error)).await;
                return;
            }
        }
    }
}

/// How many rows there were; None: nobody wants them.
async fn read_piece(
    shared: &Shared,
    run: &mut Run,
    range: KeyRange,
    sender: &mpsc::Sender<Result<Message>>,
) -> Result<Option<u64>> {
    let mut scan = shared.whole.part(range, Direction::Forward);
    let mut kept = 0;
    run.work.rows_removed = 0;
    let size = (BATCH_ROWS, BATCH_BYTES_AHEAD);
    while let Some(batch) = read_block(run, &mut scan, &shared.reader, &shared.filter, size).await? {
        kept += batch.len as u64;
        types::stop::whole()?;
        if !batch.is_empty() && sender.send(Ok(Message::Rows(batch))).await.is_err() {
            return Ok(None);
        }
    }
    let removed = run.work.rows_removed;
    let is_wanted = sender.send(Ok(Message::End(removed))).await.is_ok();
    Ok(is_wanted.then_some(kept + removed))
}

/// Cuts a range of keys into pieces from the front. A key is the number that its bytes behind the common beginning of the first
/// and the last one make.
struct Carver {
    prefix: Vec<u8>,
    /// Where the next piece begins.
    start: Bytes,
    position: u128,
    last: u128,
    step: u128,
    is_done: bool,
}

impl Carver {
    fn new(first: &[u8], last: &[u8]) -> Carver {
        let common = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        let prefix = first.get(..common).unwrap_or_default().to_vec();
        let mut carver = Carver { prefix, start: Bytes::new(), position: 0, last: 0, step: 1, is_done: false };
        (carver.position, carver.last) = (carver.number(first), carver.number(last));
        carver
    }

    fn number(&self, key: &[u8]) -> u128 {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(key.iter().skip(self.prefix.len())) {
            *to = *from;
        }
        u128::from_be_bytes(bytes)
    }

    fn key(&self, number: u128) -> Bytes {
        Bytes::from([&self.prefix[..], &number.to_be_bytes()].concat())
    }

    fn middle(&self, dense: u128) -> u128 {
        self.position + dense.saturating_sub(self.position) / 2
    }

    /// Between `below` and `dense`, which is the last key or was found so before, lies next to nothing but air: a few keys far
    /// away from all others.
    fn is_sparse(&self, below: u128, dense: u128) -> bool {
        below.saturating_sub(self.position) < dense.saturating_sub(self.position) / 64
    }

    /// Nearly all of about so many rows lie up to `dense`.
    fn begin(&mut self, dense: u128, rows: u64) {
        self.step = (dense.saturating_sub(self.position) / u128::from((rows / PIECE_ROWS).max(PIECES_MIN))).max(1);
    }

    /// The next piece, and how wide it is.
    fn next(&mut self) -> Option<(KeyRange, u128)> {
        if self.is_done {
            return None;
        }
        let start = self.start.clone();
        let end = self.position.checked_add(self.step).filter(|end| *end <= self.last);
        let Some(end) = end else {
            self.is_done = true;
            return Some((KeyRange { start, end: None }, self.last.saturating_sub(self.position)));
        };
        let key = self.key(end);
        self.start = key.clone();
        self.position = end;
        Some((KeyRange { start, end: Some(key) }, self.step))
    }

    /// A piece of that width had so many rows.
    fn learn(&mut self, width: u128, rows: u64) {
        // At once no more than fourfold, either way: rows may lie unevenly.
        let wanted = width as f64 * PIECE_ROWS as f64 / rows.max(1) as f64;
        let (least, most) = (self.step / 4, self.step.saturating_mul(4));
        self.step = (wanted as u128).clamp(least, most).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of a range whose keys are these numbers.
    fn pieces(keys: &[u64], rows: u64) -> Vec<KeyRange> {
        let key = |n: &u64| n.to_be_bytes().to_vec();
        let (first, last) = (keys.first().map(key).unwrap_or_default(), keys.last().map(key).unwrap_or_default());
        let mut carver = Carver::new(&first, &last);
        let mut dense = carver.last;
        for _ in 0..PROBES_MAX {
            let middle = carver.key(carver.middle(dense));
            let Some(below) = keys.iter().rev().map(key).find(|k| k[..] < middle[..]) else { break };
            let below = carver.number(&below);
            if !carver.is_sparse(below, dense) {
                break;
            }
            dense = below;
        }
        carver.begin(dense, rows);
        let mut pieces = vec![];
        while let Some((range, width)) = carver.next() {
            let count = keys.iter().filter(|n| range.contains(&key(n))).count();
            pieces.push(range);
            carver.learn(width, count as u64);
            assert!(pieces.len() < 10_000, "it comes to an end");
        }
        pieces
    }

    #[test]
    fn pieces_lie_end_to_end_and_are_about_as_large_as_wished() {
        let even: Vec<u64> = (1..=400_000).collect();
        let mut skewed: Vec<u64> = (1..=200_000).collect();
        skewed.push(u64::MAX);
        for (keys, rows, most) in [(&even, 400_000, 40), (&even, 0, 60), (&skewed, 200_000, 80), (&vec![7], 1, 1)] {
            let pieces = pieces(keys, rows);
            assert!(pieces.len() <= most, "{} pieces", pieces.len());
            assert!(keys.len() < 2 || pieces.len() > 8, "{} pieces", pieces.len());
            assert_eq!(pieces.first().map(|p| p.start.len()), Some(0));
            assert!(pieces.windows(2).all(|pair| pair[0].end.as_ref() == Some(&pair[1].start)));
            assert!(pieces.last().is_some_and(|p| p.end.is_none()));
        }
    }
}
