//! Level 1. The in-memory engine: one `BTreeMap` per slot, copied when a reader still holds the old one.
//!
//! Serves TEMP tables and the simulator. A `MemoryStore` outlives its engine, as a disk outlives a process: opened
//! again, it shows the last committed state. `set_full` makes it a full disk, `set_gate` asks before each commit.

use super::Direction;
use super::engine::{Slot, Walk, WriteTxn};
use crate::{Result, StorageError};
use parking_lot::Mutex;
use std::collections::{BTreeMap, btree_map};
use std::iter::Rev;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

type Map = BTreeMap<Box<[u8]>, Box<[u8]>>;
type Maps = Vec<Arc<Map>>;

/// What a crash leaves.
#[derive(Default)]
pub struct MemoryStore {
    committed: Mutex<Arc<Maps>>,
    /// What the maps take, about.
    bytes: AtomicI64,
    is_full: AtomicBool,
    gate: Mutex<Option<Gate>>,
}

/// Asked before each commit counts; an error leaves everything as it was.
pub type Gate = Arc<dyn Fn() -> Result<()> + Send + Sync>;

impl MemoryStore {
    pub fn new() -> Arc<MemoryStore> {
        Arc::default()
    }

    /// While set, every write is refused with `DiskFull`.
    pub fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::SeqCst);
    }

    /// From now on `gate` is asked before each commit.
    pub fn set_gate(&self, gate: Gate) {
        *self.gate.lock() = Some(gate);
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed).try_into().unwrap_or(0)
    }

    fn ask(&self) -> Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(StorageError::DiskFull("the memory store is set full".into()));
        }
        let gate = self.gate.lock().clone();
        gate.map_or(Ok(()), |gate| gate())
    }
}

pub struct MemoryEngine {
    store: Arc<MemoryStore>,
}

pub type Forward<'t> = btree_map::Range<'t, Box<[u8]>, Box<[u8]>>;
pub type Backward<'t> = Rev<Forward<'t>>;

impl MemoryEngine {
    pub fn new(store: Arc<MemoryStore>) -> MemoryEngine {
        let mut maps = store.committed.lock();
        if maps.is_empty() {
            *maps = Arc::new(vec![Arc::default()]);
        }
        drop(maps);
        MemoryEngine { store }
    }

    pub fn read(&self) -> Read {
        Read(self.store.committed.lock().clone())
    }

    pub fn slots(&self) -> u32 {
        self.store.committed.lock().len() as u32
    }

    pub fn make_slots(&self, count: u32) -> Result<()> {
        self.store.ask()?;
        let mut committed = self.store.committed.lock();
        let mut maps = Maps::clone(&committed);
        while maps.len() < count as usize {
            maps.push(Arc::default());
        }
        *committed = Arc::new(maps);
        Ok(())
    }

    pub fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    pub fn write<R>(&self, body: impl FnOnce(&mut WriteTxn<'_>) -> Result<R>) -> Result<R> {
        let maps = Maps::clone(&self.store.committed.lock());
        let mut txn = WriteTxn::Memory(Write { maps, grown: 0 });
        let result = body(&mut txn)?;
        self.store.ask()?;
        if let WriteTxn::Memory(Write { maps, grown }) = txn {
            self.store.bytes.fetch_add(grown, Ordering::Relaxed);
            *self.store.committed.lock() = Arc::new(maps);
        }
        Ok(result)
    }
}

pub struct Read(Arc<Maps>);

impl Read {
    pub fn get(&self, slot: Slot, key: &[u8]) -> Option<&[u8]> {
        self.0.get(slot.0 as usize)?.get(key).map(|value| &value[..])
    }

    pub fn walk(&self, slot: Slot, from: Bound<&[u8]>, to: Bound<&[u8]>, direction: Direction) -> Walk<'_> {
        walk(&self.0, slot, from, to, direction)
    }
}

fn walk<'t>(maps: &'t Maps, slot: Slot, from: Bound<&[u8]>, to: Bound<&[u8]>, direction: Direction) -> Walk<'t> {
    let Some(map) = maps.get(slot.0 as usize) else { return Walk::Nothing };
    if super::delta::is_empty(from, to) {
        return Walk::Nothing;
    }
    let range = map.range::<[u8], _>((from, to));
    match direction {
        Direction::Forward => Walk::Memory(range),
        Direction::Backward => Walk::MemoryBackward(range.rev()),
    }
}

pub struct Write {
    maps: Maps,
    /// By how many bytes.
    grown: i64,
}

/// What an entry takes beside its key and value.
const ENTRY_OVERHEAD: usize = 64;

fn size_of(key: &[u8], value: &[u8]) -> i64 {
    (key.len() + value.len() + ENTRY_OVERHEAD) as i64
}

impl Write {
    pub fn get(&self, slot: Slot, key: &[u8]) -> Option<&[u8]> {
        self.maps.get(slot.0 as usize)?.get(key).map(|value| &value[..])
    }

    pub fn last(&self, slot: Slot) -> Option<&[u8]> {
        self.maps.get(slot.0 as usize)?.last_key_value().map(|(key, _)| &key[..])
    }

    pub fn walk(&self, slot: Slot, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Walk<'_> {
        walk(&self.maps, slot, from, to, Direction::Forward)
    }

    pub fn put(&mut self, slot: Slot, key: &[u8], value: &[u8]) -> Result<()> {
        let old = self.map(slot)?.insert(key.into(), value.into());
        self.grown += size_of(key, value) - old.map_or(0, |old| size_of(key, &old));
        Ok(())
    }

    pub fn delete(&mut self, slot: Slot, key: &[u8]) -> Result<()> {
        let old = self.map(slot)?.remove(key);
        self.grown -= old.map_or(0, |old| size_of(key, &old));
        Ok(())
    }

    pub fn clear(&mut self, slot: Slot) -> Result<()> {
        let map = self.map(slot)?;
        let freed: i64 = map.iter().map(|(key, value)| size_of(key, value)).sum();
        map.clear();
        self.grown -= freed;
        Ok(())
    }

    fn map(&mut self, slot: Slot) -> Result<&mut Map> {
        let map = self.maps.get_mut(slot.0 as usize);
        map.map(Arc::make_mut).ok_or_else(|| StorageError::Corrupt(format!("no slot {}", slot.0)))
    }
}
