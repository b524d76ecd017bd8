//! Level 1. What the base needs of an engine: numbered ordered maps of bytes, snapshots, one transaction at a time.
//!
//! Two engines: LMDB, and memory (TEMP tables, the simulator). Everything that knows rows, versions, checksums or
//! history is above this line and runs on both alike (`conformance`). A relation's map is a numbered *slot*: a
//! dropped relation's slot is emptied and given to the next one, so that LMDB's table of databases never grows by
//! TRUNCATE. Slot 0 is the segment's own.
//!
//! I1: a read transaction sees one committed state for as long as it lives.
//! I2: a write transaction begins and ends within `write`, on the caller's thread (LMDB hangs for ever otherwise).

use super::Direction;
use super::lmdb::{self, LmdbEngine};
use super::memory::{self, MemoryEngine};
use crate::Result;
use std::ops::Bound;

/// A map's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// The segment's own map.
pub const OWN: Slot = Slot(0);

pub enum Engine {
    Lmdb(LmdbEngine),
    Memory(MemoryEngine),
}

impl Engine {
    /// A transaction on the newest committed state.
    pub fn read(&self) -> Result<ReadTxn> {
        match self {
            Engine::Lmdb(engine) => engine.read().map(ReadTxn::Lmdb),
            Engine::Memory(engine) => Ok(ReadTxn::Memory(engine.read())),
        }
    }

    /// How many slots there are, the own one included.
    pub fn slots(&self) -> u32 {
        match self {
            Engine::Lmdb(engine) => engine.slots(),
            Engine::Memory(engine) => engine.slots(),
        }
    }

    /// Whether the pages in use take `limit` bytes or more.
    pub fn is_full(&self, limit: u64) -> Result<bool> {
        match self {
            Engine::Lmdb(engine) => engine.is_full(limit),
            Engine::Memory(_) => Ok(false),
        }
    }

    /// What is held in memory, about.
    pub fn bytes_held(&self) -> u64 {
        match self {
            Engine::Lmdb(_) => 0,
            Engine::Memory(engine) => engine.bytes(),
        }
    }

    /// Makes slots up to `count`, in a durable transaction of its own.
    pub fn make_slots(&self, count: u32) -> Result<()> {
        match self {
            Engine::Lmdb(engine) => engine.make_slots(count),
            Engine::Memory(engine) => engine.make_slots(count),
        }
    }

    /// Runs `body` in a write transaction and commits it durably; an error leaves everything as it was.
    pub fn write<R>(&self, body: impl FnOnce(&mut WriteTxn<'_>) -> Result<R>) -> Result<R> {
        match self {
            Engine::Lmdb(engine) => engine.write(body),
            Engine::Memory(engine) => engine.write(body),
        }
    }
}

pub enum ReadTxn {
    Lmdb(lmdb::Read),
    Memory(memory::Read),
}

impl ReadTxn {
    /// Names the committed state that it sees; 0 where states have no name.
    pub fn id(&self) -> u64 {
        match self {
            ReadTxn::Lmdb(txn) => txn.id(),
            ReadTxn::Memory(_) => 0,
        }
    }

    #[inline]
    pub fn get(&self, slot: Slot, key: &[u8]) -> Result<Option<&[u8]>> {
        match self {
            ReadTxn::Lmdb(txn) => txn.get(slot, key),
            ReadTxn::Memory(txn) => Ok(txn.get(slot, key)),
        }
    }

    pub fn walk(&self, slot: Slot, from: Bound<&[u8]>, to: Bound<&[u8]>, direction: Direction) -> Result<Walk<'_>> {
        match self {
            ReadTxn::Lmdb(txn) => txn.walk(slot, from, to, direction),
            ReadTxn::Memory(txn) => Ok(txn.walk(slot, from, to, direction)),
        }
    }
}

/// Entries of a range, in order.
pub enum Walk<'t> {
    Lmdb(lmdb::Forward<'t>),
    LmdbBackward(lmdb::Backward<'t>),
    Memory(memory::Forward<'t>),
    MemoryBackward(memory::Backward<'t>),
    Nothing,
}

impl<'t> Walk<'t> {
    #[inline]
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<(&'t [u8], &'t [u8])>> {
        match self {
            Walk::Lmdb(walk) => walk.next().transpose().map_err(lmdb::error),
            Walk::LmdbBackward(walk) => walk.next().transpose().map_err(lmdb::error),
            Walk::Memory(walk) => Ok(walk.next().map(|(key, value)| (&key[..], &value[..]))),
            Walk::MemoryBackward(walk) => Ok(walk.next().map(|(key, value)| (&key[..], &value[..]))),
            Walk::Nothing => Ok(None),
        }
    }
}

/// The one write transaction. Reads see what it wrote.
pub enum WriteTxn<'e> {
    Lmdb(lmdb::Write<'e>),
    Memory(memory::Write),
}

impl WriteTxn<'_> {
    pub fn get(&self, slot: Slot, key: &[u8]) -> Result<Option<&[u8]>> {
        match self {
            WriteTxn::Lmdb(txn) => txn.get(slot, key),
            WriteTxn::Memory(txn) => Ok(txn.get(slot, key)),
        }
    }

    /// The greatest key.
    pub fn last(&self, slot: Slot) -> Result<Option<&[u8]>> {
        match self {
            WriteTxn::Lmdb(txn) => txn.last(slot),
            WriteTxn::Memory(txn) => Ok(txn.last(slot)),
        }
    }

    pub fn walk(&self, slot: Slot, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Walk<'_>> {
        match self {
            WriteTxn::Lmdb(txn) => txn.walk(slot, from, to),
            WriteTxn::Memory(txn) => Ok(txn.walk(slot, from, to)),
        }
    }

    pub fn put(&mut self, slot: Slot, key: &[u8], value: &[u8]) -> Result<()> {
        match self {
            WriteTxn::Lmdb(txn) => txn.put(slot, key, value),
            WriteTxn::Memory(txn) => txn.put(slot, key, value),
        }
    }

    /// As `put`, for a key above every other of the slot: pages are filled, not split.
    pub fn append(&mut self, slot: Slot, key: &[u8], value: &[u8]) -> Result<()> {
        match self {
            WriteTxn::Lmdb(txn) => txn.append(slot, key, value),
            WriteTxn::Memory(txn) => txn.put(slot, key, value),
        }
    }

    pub fn delete(&mut self, slot: Slot, key: &[u8]) -> Result<()> {
        match self {
            WriteTxn::Lmdb(txn) => txn.delete(slot, key),
            WriteTxn::Memory(txn) => txn.delete(slot, key),
        }
    }

    /// Empties a slot.
    pub fn clear(&mut self, slot: Slot) -> Result<()> {
        match self {
            WriteTxn::Lmdb(txn) => txn.clear(slot),
            WriteTxn::Memory(txn) => txn.clear(slot),
        }
    }
}
