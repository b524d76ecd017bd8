//! Level 1. One committed state of the base: which slot holds which relation, its statistics, its read transactions.
//!
//! Owns the segment's own map (slot 0): `format`, `applied` (highest log index in the base), `state` (the opaque
//! replicated state flushed with it), `drops` (relations to be removed once the horizon has passed), and one record
//! per relation `r<id>` = slots and statistics. All of it is written in the transaction of the flush it belongs to.
//!
//! A `BaseState` is what one generation of readers sees. Its read transactions all see the same LMDB state (I1): one
//! that was begun after the next flush is thrown away, because that flush may have given a slot to another relation.

use super::engine::{Engine, OWN, ReadTxn, Slot, WriteTxn};
use super::stored::{self, StoredValue};
use crate::{Result, StorageError, StorageId, Timestamp};
use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::cell::Cell;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Direction;

/// The layout of slot 0 and of stored values.
pub const FORMAT: u32 = 1;
const KEY_FORMAT: &[u8] = b"format";
const KEY_APPLIED: &[u8] = b"applied";
const KEY_STATE: &[u8] = b"state";
const KEY_DROPS: &[u8] = b"drops";

/// Where a relation lies and what is known of it, as of one flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relation {
    pub rows_slot: u32,
    /// 0: it has no history yet.
    pub history_slot: u32,
    /// Rows, and the sum of their keys and values in bytes.
    pub rows: u64,
    pub bytes: u64,
    /// Exclusive or of the rows' checksums: a lost page shows in it.
    pub checksum: u32,
    /// The greatest commit timestamp of anything in it, deletions included.
    pub newest: Timestamp,
    pub history_rows: u64,
    /// Deletions among the history's entries.
    pub deletions: u64,
    /// Of 1,000 rows put by the last flush, how many were new.
    pub new_per_mille: u32,
}

const RECORD_SIZE: usize = 4 + 4 + 8 + 8 + 4 + 8 + 8 + 8 + 4;

impl Relation {
    pub fn rows_slot(&self) -> Slot {
        Slot(self.rows_slot)
    }

    pub fn history_slot(&self) -> Option<Slot> {
        (self.history_slot != 0).then_some(Slot(self.history_slot))
    }

    fn encode(&self) -> [u8; RECORD_SIZE] {
        let mut record = [0; RECORD_SIZE];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            record[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&self.rows_slot.to_le_bytes());
        put(&self.history_slot.to_le_bytes());
        put(&self.rows.to_le_bytes());
        put(&self.bytes.to_le_bytes());
        put(&self.checksum.to_le_bytes());
        put(&self.newest.0.to_le_bytes());
        put(&self.history_rows.to_le_bytes());
        put(&self.deletions.to_le_bytes());
        put(&self.new_per_mille.to_le_bytes());
        record
    }

    fn decode(record: &[u8]) -> Result<Relation> {
        let mut rest = record;
        let mut take = |size: usize| -> Result<u64> {
            let (bytes, after) = rest.split_at_checked(size).ok_or_else(|| damaged("a relation's record"))?;
            rest = after;
            let mut word = [0; 8];
            word[..size].copy_from_slice(bytes);
            Ok(u64::from_le_bytes(word))
        };
        Ok(Relation {
            rows_slot: take(4)? as u32,
            history_slot: take(4)? as u32,
            rows: take(8)?,
            bytes: take(8)?,
            checksum: take(4)? as u32,
            newest: Timestamp(take(8)?),
            history_rows: take(8)?,
            deletions: take(8)?,
            new_per_mille: take(4)? as u32,
        })
    }
}

fn damaged(what: &str) -> StorageError {
    StorageError::Corrupt(format!("segment: {what} is damaged"))
}

/// Slot 0, which is never a relation.
pub const OWN_SLOT: u32 = OWN.0;

pub type Relations = HashMap<StorageId, Relation, FixedState>;

/// Relations that wait to be removed, each with the timestamp after which nobody may read it.
pub type Drops = Vec<(StorageId, Timestamp)>;

/// What slot 0 says.
pub struct Own {
    pub applied: u64,
    pub state: Bytes,
    pub drops: Drops,
    pub relations: Relations,
}

/// Reads slot 0; an empty one is a new segment.
pub fn read_own(txn: &ReadTxn) -> Result<Own> {
    let mut own = Own { applied: 0, state: Bytes::new(), drops: Drops::new(), relations: Relations::default() };
    match txn.get(OWN, KEY_FORMAT)? {
        None => return Ok(own),
        Some(format) if format == FORMAT.to_le_bytes() => {}
        Some(format) => {
            return Err(StorageError::Folder(format!(
                "the segment has format {format:?}, this version reads {FORMAT}"
            )));
        }
    }
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).map_err(|_| damaged("the applied index"));
    own.applied = txn.get(OWN, KEY_APPLIED)?.map(word).transpose()?.unwrap_or(0);
    own.state = Bytes::copy_from_slice(txn.get(OWN, KEY_STATE)?.unwrap_or_default());
    for drop in txn.get(OWN, KEY_DROPS)?.unwrap_or_default().chunks(12) {
        let (Some(id), Some(ts)) = (drop.first_chunk::<4>(), drop.last_chunk::<8>()) else {
            return Err(damaged("the list of drops"));
        };
        own.drops.push((StorageId(u32::from_le_bytes(*id)), Timestamp(u64::from_le_bytes(*ts))));
    }
    let mut walk = txn.walk(OWN, Bound::Included(b"r"), Bound::Excluded(b"s"), Direction::Forward)?;
    while let Some((key, record)) = walk.next()? {
        let id = key.get(1..).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes);
        let id = id.ok_or_else(|| damaged("a relation's name"))?;
        own.relations.insert(StorageId(id), Relation::decode(record)?);
    }
    Ok(own)
}

pub fn write_own(txn: &mut WriteTxn<'_>, applied: u64, state: &[u8], drops: &Drops) -> Result<()> {
    txn.put(OWN, KEY_FORMAT, &FORMAT.to_le_bytes())?;
    txn.put(OWN, KEY_APPLIED, &applied.to_le_bytes())?;
    txn.put(OWN, KEY_STATE, state)?;
    write_drops(txn, drops)
}

pub fn write_drops(txn: &mut WriteTxn<'_>, drops: &Drops) -> Result<()> {
    let mut list = Vec::with_capacity(drops.len() * 12);
    for (id, ts) in drops {
        list.extend_from_slice(&id.0.to_le_bytes());
        list.extend_from_slice(&ts.0.to_le_bytes());
    }
    txn.put(OWN, KEY_DROPS, &list)
}

fn relation_key(id: StorageId) -> [u8; 5] {
    let mut key = [b'r', 0, 0, 0, 0];
    key[1..].copy_from_slice(&id.0.to_be_bytes());
    key
}

pub fn write_relation(txn: &mut WriteTxn<'_>, id: StorageId, relation: &Relation) -> Result<()> {
    txn.put(OWN, &relation_key(id), &relation.encode())
}

pub fn remove_relation(txn: &mut WriteTxn<'_>, id: StorageId) -> Result<()> {
    txn.delete(OWN, &relation_key(id))
}

/// Read transactions are kept apart by reading thread, so that threads do not meet at one lock.
const POOLS: usize = 8;
/// Transactions kept for the next reader of a pool; more are ended.
const POOLED_MAX: usize = 8;

/// One committed state of the base.
pub struct BaseState {
    engine: Arc<Engine>,
    pub relations: Relations,
    txn_id: u64,
    pools: [Mutex<Vec<ReadTxn>>; POOLS],
}

impl BaseState {
    /// The engine's newest state, whose relations are `relations`. Called by the only writer, after its commit.
    pub fn new(engine: Arc<Engine>, relations: Relations) -> Result<BaseState> {
        let first = engine.read()?;
        let state =
            BaseState { engine, relations, txn_id: first.id(), pools: std::array::from_fn(|_| Mutex::default()) };
        state.give_back(first);
        Ok(state)
    }

    /// A transaction on this very state, or `None` if the base has moved on.
    pub fn txn(&self) -> Result<Option<ReadTxn>> {
        if let Some(txn) = self.pools[pool_of_thread()].lock().pop() {
            return Ok(Some(txn));
        }
        let txn = self.engine.read()?;
        Ok((txn.id() == self.txn_id).then_some(txn))
    }

    pub fn give_back(&self, txn: ReadTxn) {
        let mut pool = self.pools[pool_of_thread()].lock();
        if pool.len() < POOLED_MAX {
            pool.push(txn);
        }
    }
}

fn pool_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % POOLS));
    MINE.with(Cell::get)
}

/// What the base knows of a key at a timestamp.
pub enum Found<'t> {
    Row(StoredValue<'t>),
    Deleted(Timestamp),
    Nothing,
}

/// The newest version with a timestamp up to `at`.
pub fn find<'t>(txn: &'t ReadTxn, id: StorageId, relation: &Relation, key: &[u8], at: Timestamp) -> Result<Found<'t>> {
    let mut buffer = Vec::new();
    let entry_key = stored::entry_key(key, &mut buffer);
    if let Some(value) = txn.get(relation.rows_slot(), entry_key)? {
        let row = stored::decode_value(id, entry_key, value)?;
        if row.ts <= at && row.is_of(key) {
            return Ok(Found::Row(row));
        }
    } else if relation.deletions == 0 {
        return Ok(Found::Nothing);
    }
    let Some(slot) = relation.history_slot() else { return Ok(Found::Nothing) };
    let (mut from, mut to) = (Vec::new(), Vec::new());
    stored::history_key(&mut from, entry_key, at, true);
    stored::history_key(&mut to, entry_key, Timestamp::ZERO, false);
    let mut walk = txn.walk(slot, Bound::Included(&from), Bound::Included(&to), Direction::Forward)?;
    while let Some((history_key, value)) = walk.next()? {
        let version = stored::parse_history_key(id, history_key)?;
        if version.entry_key != entry_key {
            continue;
        }
        let row = stored::decode_value(id, entry_key, value)?;
        if !row.is_of(key) {
            continue;
        }
        return Ok(if version.is_deletion { Found::Deleted(version.ts) } else { Found::Row(row) });
    }
    Ok(Found::Nothing)
}
