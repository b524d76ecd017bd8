//! Segments: versions of rows, newest first, in a delta over a base (LMDB or memory).
//!
//! CONTRACT (filled by the storage work; the shapes below are what `shard` and `txn` are written against)
//!
//! ```text
//! Segment::open(host, SegmentOptions) -> Result<(Segment, Recovered { applied: u64, state: Bytes })>
//!     SegmentOptions { folder: Option<PathBuf> (None: the in-memory engine), name, flush_rows (200_000), flush_bytes (64 MB),
//!                      flush_after (some seconds), map_size (1 TiB), history_us default 60_000_000 }
//!     `applied` = highest log index whose effects are in the base; the log is replayed from there. `state` = the opaque
//!     replicated state that was flushed with it.
//! segment.apply(index: u64, ts: Timestamp, mutations: &[Mutation])   state machine only, in log order; the newest version of a
//!     key has the greatest ts (callers guarantee per-key increasing ts). Values are kept as given (slices of the entry, no copy).
//! segment.set_state(index: u64, state: impl FnOnce() -> Bytes + Send) how the replicated state gets into the next flush: the segment
//!     freezes delta and asks the registered `StateImage::image()` under the same cut (see `StateImage`).
//! segment.view() -> View        pins one generation for reading on this thread; cheap (no LMDB begin); !Send; never across an await
//! view.get(relation, &key, at: Timestamp) -> Result<Option<Version<'_>>>             newest version with ts <= at, deletions are None
//! view.newest(relation, &key) -> Result<Option<Newest<'_>>>                           {ts, value: Option<&[u8]>}; deletions while known
//! view.cursor(relation, &KeyRange, at, Direction) -> Result<Cursor<'_>>               visible rows in key order; `seek` supported
//! cursor.next() -> Result<Option<Entry<'_>>>                                           Entry { key: &[u8], value: &[u8], ts }
//! view.changed_since(relation, &KeyRange, since: Timestamp) -> Result<Option<Timestamp>> newest change (put or delete) with ts > since, if any
//! segment.set_horizon(ts)       versions superseded at or below it may be collected (min of retention and active snapshots)
//! segment.set_retention(relation, micros)
//! segment.drop_relation(relation)          at once for readers that ask later; the database is removed by the next flush past the horizon
//! segment.rows_estimate(relation) -> u64   live rows, base + delta (cheap)
//! segment.bytes_estimate(relation) -> u64
//! segment.flush() -> Result<()>            blocks until all applied so far is in the base, synced
//! segment.applied() / segment.flushed()    log indexes; the log below `flushed` can be dropped
//! segment.close()                          flushes, ends its writer thread
//! segment.pressure() -> f64                0..1, how full the unflushed delta is against its limit: writers are slowed down gradually
//! ```
