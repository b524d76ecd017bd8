//! Level 1. Rows of a cursor by the block, so that a reader may take them column by column, and leave out those that a
//! first look has ruled out.
//!
//! Rows of the base stay in the map; rows of a delta, and those that somebody else adds, are copied behind each other.

use super::walk::Entry;
use crate::Timestamp;

#[derive(Clone, Copy)]
enum Place<'v> {
    Mapped { key: &'v [u8], value: &'v [u8] },
    Copied { start: usize, key_end: usize, end: usize },
}

/// Visible rows, in the order of their keys.
#[derive(Default)]
pub struct Block<'v> {
    rows: Vec<(Place<'v>, Timestamp)>,
    copies: Vec<u8>,
    value_bytes: usize,
}

impl<'v> Block<'v> {
    pub fn with_capacity(rows: usize) -> Block<'v> {
        Block { rows: Vec::with_capacity(rows), ..Block::default() }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of all values.
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    #[inline]
    pub fn get(&self, position: usize) -> Option<Entry<'_>> {
        self.rows.get(position).map(|row| self.entry(row))
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.rows.iter().map(|row| self.entry(row))
    }

    #[inline]
    fn entry(&self, (place, ts): &(Place<'v>, Timestamp)) -> Entry<'_> {
        match *place {
            Place::Mapped { key, value } => Entry { key, value, ts: *ts },
            Place::Copied { start, key_end, end } => {
                Entry { key: &self.copies[start..key_end], value: &self.copies[key_end..end], ts: *ts }
            }
        }
    }

    #[inline]
    pub(super) fn push(&mut self, row: Entry<'v>) {
        self.value_bytes += row.value.len();
        self.rows.push((Place::Mapped { key: row.key, value: row.value }, row.ts));
    }

    pub fn push_copy(&mut self, entry: Entry<'_>) {
        let start = self.copies.len();
        self.copies.extend_from_slice(entry.key);
        let key_end = self.copies.len();
        self.copies.extend_from_slice(entry.value);
        self.value_bytes += entry.value.len();
        self.rows.push((Place::Copied { start, key_end, end: self.copies.len() }, entry.ts));
    }
}
