//! The node's catalog: the newest committed snapshot, and the counters behind it.
//!
//! I1  `current()` holds every catalog commit that has been answered to anybody: the meta shard's apply hands the
//!     commit's rows to `follow` before the commit is answered.
//! I2  Ids are never handed out twice: a block is handed out by a commit of its own before any id of it is used.
//!
//! Readers take an `Arc<Snapshot>` (no lock, `arc-swap`); one commit at a time makes the next one.

use crate::descriptor::{Object, ObjectKey};
use crate::rows;
use crate::sequences::Sequences;
use crate::snapshot::Snapshot;
use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use txn::{Direction, Gateway, KeyRange, LockMode, Locked, Mutation, Timestamp, TxnOptions, WaitPolicy};
use types::oid::FIRST_USER_OID;
use types::{Oid, SqlError, SqlState};

/// Ids per commit of the counter. A crash loses the rest of a block, of four billion.
const OID_BLOCK: u32 = 512;
/// Rows per step of the first load.
const LOAD_CHUNK: usize = 1_024;
/// Attempts of a counter's own commit before its error is the client's.
pub(crate) const COUNTER_ATTEMPTS_MAX: usize = 20;
/// Set in versions of snapshots that hold uncommitted DDL.
const UNCOMMITTED: u64 = 1 << 63;

/// What comes from the meta shard before the first load is complete waits here.
#[derive(Default)]
struct Follower {
    is_loaded: bool,
    backlog: Vec<(Timestamp, Vec<Mutation>)>,
}

/// One per node.
pub struct Catalog {
    gateway: Arc<Gateway>,
    current: ArcSwap<Snapshot>,
    follower: Mutex<Follower>,
    oids: Mutex<VecDeque<Range<Oid>>>,
    versions: AtomicU64,
    sequences: Sequences,
}

impl Catalog {
    /// Reads the whole catalog and follows it from then on. Once, when the gateway serves.
    pub async fn load(gateway: Arc<Gateway>) -> Result<Arc<Catalog>, SqlError> {
        let catalog = Arc::new(Catalog {
            gateway: gateway.clone(),
            current: ArcSwap::from_pointee(Snapshot::with_builtins()),
            follower: Mutex::default(),
            oids: Mutex::default(),
            versions: AtomicU64::new(1),
            sequences: Sequences::new(gateway.clone()),
        });
        // Followed before it is read: a commit between the two is in the backlog, and not lost.
        let listening = Arc::downgrade(&catalog);
        gateway.on_catalog_commit(Box::new(move |ts, mutations| {
            if let Some(catalog) = listening.upgrade() {
                catalog.follow(ts, mutations);
            }
        }));
        let (snapshot, replaced, read_at) = catalog.read_all().await?;
        let mut follower = catalog.follower.lock();
        crate::retention::follow_all(&catalog.gateway, &snapshot, &replaced);
        catalog.current.store(Arc::new(snapshot));
        for (ts, mutations) in std::mem::take(&mut follower.backlog) {
            if ts > read_at {
                catalog.apply(ts, &mutations);
            }
        }
        follower.is_loaded = true;
        drop(follower);
        Ok(catalog)
    }

    /// All objects, the relations whose rows began anew and when, and as of when that is.
    async fn read_all(&self) -> Result<(Snapshot, Vec<(Oid, Timestamp)>, Timestamp), SqlError> {
        let txn = self.gateway.begin(TxnOptions { read_only: true, ..TxnOptions::default() });
        txn.begin_statement().await?;
        let (mut snapshot, mut replaced) = (Snapshot::with_builtins(), Vec::new());
        let mut scan = txn.scan(&rows::DESCRIPTOR_ROWS, Some(rows::SLOT), KeyRange::all(), Direction::Forward);
        let mut failed = Ok(());
        loop {
            let visited = scan
                .next(LOAD_CHUNK, |key, value, ts| match load_row(&mut snapshot, &mut replaced, key, value, ts) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Err(error);
                        ControlFlow::Break(())
                    }
                })
                .await?;
            std::mem::replace(&mut failed, Ok(()))?;
            if visited == 0 {
                break;
            }
        }
        let read_at = txn.snapshot();
        txn.rollback();
        snapshot.version = self.next_version();
        snapshot.as_of = read_at;
        Ok((snapshot, replaced, read_at))
    }

    /// The meta shard has committed these rows.
    fn follow(&self, ts: Timestamp, mutations: &[Mutation]) {
        self.sequences.follow(mutations);
        let mut follower = self.follower.lock();
        if follower.is_loaded {
            self.apply(ts, mutations);
        } else {
            follower.backlog.push((ts, mutations.to_vec()));
        }
    }

    /// Under the follower's lock: one at a time.
    fn apply(&self, ts: Timestamp, mutations: &[Mutation]) {
        let of_catalog: Vec<(ObjectKey, &Option<Bytes>)> = mutations
            .iter()
            .filter(|m| m.relation == rows::DESCRIPTORS)
            .filter_map(|m| Some((rows::parse_object_key(&m.key)?, &m.value)))
            .collect();
        if of_catalog.is_empty() {
            return;
        }
        let before = self.current.load_full();
        let mut next = Snapshot::clone(&before);
        // Removals first: a name that moved to another object in this commit must end up with its new owner.
        for (key, _) in of_catalog.iter().filter(|(_, value)| value.is_none()) {
            next.remove(*key);
        }
        for (key, value) in &of_catalog {
            let Some(value) = value else { continue };
            match rows::decode_object(value) {
                Ok(Object::Index(index)) => next.put_index_at(index, Some(&before), ts),
                Ok(object) => next.put(object),
                // Written by a newer version of the program, or damage: the object is as good as not there.
                Err(error) => tracing::error!(?key, %error, "catalog row does not read"),
            }
        }
        for (key, _) in &of_catalog {
            crate::retention::follow(&self.gateway, &before, &next, *key, ts);
        }
        next.version = self.next_version();
        next.as_of = ts;
        self.current.store(Arc::new(next));
    }

    pub fn is_current(&self, snapshot: &Snapshot) -> bool {
        self.current.load().version == snapshot.version
    }

    /// The newest committed snapshot.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::Relaxed)
    }

    /// For a snapshot that holds uncommitted or temporary objects.
    pub(crate) fn next_private_version(&self) -> u64 {
        self.next_version() | UNCOMMITTED
    }

    /// A new id for an object, a type or a storage.
    pub async fn allocate_id(&self) -> Result<Oid, SqlError> {
        loop {
            if let Some(id) = self.take_id() {
                return Ok(id);
            }
            let block = self.reserve_ids().await?;
            self.oids.lock().push_back(block);
        }
    }

    fn take_id(&self) -> Option<Oid> {
        let mut blocks = self.oids.lock();
        while let Some(block) = blocks.front_mut() {
            match block.next() {
                Some(id) => return Some(id),
                None => drop(blocks.pop_front()),
            }
        }
        None
    }

    async fn reserve_ids(&self) -> Result<Range<Oid>, SqlError> {
        let mut attempts = 0;
        loop {
            match self.reserve_ids_once().await {
                Err(error) if error.code() == SqlState::SERIALIZATION_FAILURE && attempts < COUNTER_ATTEMPTS_MAX => {
                    attempts += 1;
                }
                other => return other,
            }
        }
    }

    async fn reserve_ids_once(&self) -> Result<Range<Oid>, SqlError> {
        let txn = self.gateway.begin(TxnOptions::default());
        txn.begin_statement().await?;
        let row = &rows::COUNTER_ROWS;
        let first = txn
            .lock(row, rows::SLOT, rows::OID_COUNTER_KEY, LockMode::Update, WaitPolicy::Wait, |locked| match locked {
                Locked::Row { value, .. } => rows::decode_id(value),
                Locked::Absent { .. } | Locked::Moved { .. } | Locked::Skipped => Ok(FIRST_USER_OID),
            })
            .await??;
        let exhausted = || SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "no object ids are left (limit 4294967295)");
        let end = first.checked_add(OID_BLOCK).ok_or_else(exhausted)?;
        txn.put(row, rows::SLOT, rows::OID_COUNTER_KEY, &rows::encode_id(end))?;
        txn.commit().await?;
        Ok(first..end)
    }
}

fn load_row(
    snapshot: &mut Snapshot,
    replaced: &mut Vec<(Oid, Timestamp)>,
    key: &[u8],
    value: &[u8],
    ts: Timestamp,
) -> Result<(), SqlError> {
    replaced.extend(rows::parse_replaced_key(key).map(|relation| (relation, ts)));
    if rows::parse_object_key(key).is_none() {
        return Ok(());
    }
    match rows::decode_object(value)? {
        Object::Index(index) => snapshot.put_index_at(index, None, ts),
        object => snapshot.put(object),
    }
    Ok(())
}
