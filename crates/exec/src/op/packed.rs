//! Keys of rows for hashing: in sixteen bytes where a row's key fits, else as the bytes of `keys`.
//!
//! Integers, dates, timestamps, booleans and short strings are what rows are grouped and joined by. Their values are put side by
//! side into a `u128`, column by column over a whole batch; comparing and hashing one is a handful of instructions, and no
//! row's key lies anywhere but in the table.
//!
//! I1  Whether a row fits, and into what, follows from the key's types and values alone. So equal keys meet in one form,
//!     whichever batch or side of a join they come from.
//!
//! ```text
//! Packing (by types)  int: value, 1 bit "not NULL"     text: length + 1 (0: NULL), then up to n bytes
//! ```

use super::keys::{self, KeyRows};
use crate::batch::{Column, ColumnData};
use hashbrown::HashTable;
use std::sync::Arc;
use types::{Datum, SqlType, oid};

const BITS: u32 = 128;
/// A string part with less room than this catches too few strings to be worth it.
const TEXT_BYTES_MIN: u32 = 4;

#[derive(Clone, Copy, Debug)]
enum Part {
    /// 32 or 64 bits of an integer-like value.
    Int(u32),
    Bool,
    /// Up to so many bytes; of `char(n)` without the blanks at the end.
    Text {
        bytes: u32,
        is_padded: bool,
    },
}

/// How the keys of some types are packed.
#[derive(Clone, Debug)]
pub(crate) struct Packing {
    parts: Vec<Part>,
}

impl Packing {
    /// None: values of these types do not pack.
    pub fn new(types: &[SqlType]) -> Option<Packing> {
        let mut fixed = 0;
        let mut texts = 0;
        for ty in types {
            match ty.oid {
                oid::BOOL => fixed += 2,
                oid::INT2 | oid::INT4 | oid::DATE => fixed += 33,
                oid::INT8 | oid::TIMESTAMP | oid::TIMESTAMPTZ => fixed += 65,
                oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME => texts += 1,
                _ => return None,
            }
        }
        let room = BITS.checked_sub(fixed)?;
        let bytes = match room.checked_div(texts) {
            Some(bits) => (bits / 8).checked_sub(1)?,
            None => 0,
        };
        if texts > 0 && bytes < TEXT_BYTES_MIN {
            return None;
        }
        let part = |ty: &SqlType| match ty.oid {
            oid::BOOL => Part::Bool,
            oid::INT2 | oid::INT4 | oid::DATE => Part::Int(32),
            oid::INT8 | oid::TIMESTAMP | oid::TIMESTAMPTZ => Part::Int(64),
            other => Part::Text { bytes, is_padded: other == oid::BPCHAR },
        };
        Some(Packing { parts: types.iter().map(part).collect() })
    }

    fn pack(&self, columns: &[Arc<Column>], len: usize) -> Packed {
        let mut packed = Packed { keys: vec![0; len], misfits: vec![] };
        for (part, column) in self.parts.iter().zip(columns) {
            packed.add(*part, column);
        }
        packed
    }
}

#[derive(Debug, Default)]
struct Packed {
    keys: Vec<u128>,
    /// Rows whose key does not fit; empty: none.
    misfits: Vec<bool>,
}

/// NULL in a key; every other value has a bit that is not 0.
const NULL: u128 = 0;

#[inline]
fn int(value: i64, bits: u32) -> Option<u128> {
    if bits == 32 && i32::try_from(value).is_err() {
        return None;
    }
    Some((value as u128 & ((1 << bits) - 1)) << 1 | 1)
}

#[inline]
fn boolean(value: bool) -> u128 {
    u128::from(value) << 1 | 1
}

/// `all[start..end]` with its length, if it has at most `bytes` bytes.
#[inline]
fn short(all: &[u8], start: usize, end: usize, bytes: u32) -> Option<u128> {
    let len = end.checked_sub(start).filter(|len| *len <= bytes as usize)? as u32;
    let value = match all.get(start..).and_then(|rest| rest.first_chunk::<16>()) {
        // Sixteen bytes at once, and away with what is behind the value.
        Some(chunk) => u128::from_le_bytes(*chunk) & (1u128.checked_shl(8 * len).unwrap_or(0)).wrapping_sub(1),
        None => {
            let mut chunk = [0; 16];
            for (to, from) in chunk.iter_mut().zip(all.get(start..end)?) {
                *to = *from;
            }
            u128::from_le_bytes(chunk)
        }
    };
    Some(u128::from(len + 1) << (8 * bytes) | value)
}

/// Where the value ends without the blanks of `char(n)`.
#[inline]
fn trimmed(all: &[u8], start: usize, mut end: usize, is_padded: bool) -> usize {
    while is_padded && end > start && all.get(end - 1) == Some(&b' ') {
        end -= 1;
    }
    end
}

fn datum(part: Part, value: &Datum) -> Option<u128> {
    match (part, value) {
        (_, Datum::Null) => Some(NULL),
        (Part::Int(bits), Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) | Datum::Date(_)) => {
            int(value.as_i64(), bits)
        }
        (Part::Int(bits), Datum::Timestamp(v) | Datum::TimestampTz(v)) => int(*v, bits),
        (Part::Bool, Datum::Bool(v)) => Some(boolean(*v)),
        (Part::Text { bytes, is_padded }, Datum::Text(text)) => {
            let text = text.as_bytes();
            short(text, 0, trimmed(text, 0, text.len(), is_padded), bytes)
        }
        _ => None,
    }
}

impl Packed {
    fn add(&mut self, part: Part, column: &Column) {
        let nulls = &column.nulls[..];
        match (part, &column.data) {
            (Part::Int(bits), ColumnData::Int2(v)) => self.each(bits + 1, v, nulls, |v| int((*v).into(), bits)),
            (Part::Int(bits), ColumnData::Int4(v) | ColumnData::Date(v)) => {
                self.each(bits + 1, v, nulls, |v| int((*v).into(), bits));
            }
            (Part::Int(bits), ColumnData::Int8(v) | ColumnData::Timestamp(v) | ColumnData::TimestampTz(v)) => {
                self.each(bits + 1, v, nulls, |v| int(*v, bits));
            }
            (Part::Bool, ColumnData::Bool(v)) => self.each(2, v, nulls, |v| Some(boolean(*v))),
            (Part::Text { bytes, is_padded }, ColumnData::Text(t)) => {
                let all = t.text.as_bytes();
                let mut start = 0;
                self.each(8 * (bytes + 1), &t.ends, nulls, |end| {
                    let from = std::mem::replace(&mut start, *end);
                    short(all, from, trimmed(all, from, *end, is_padded), bytes)
                });
            }
            (part, _) => {
                let bits = match part {
                    Part::Int(bits) => bits + 1,
                    Part::Bool => 2,
                    Part::Text { bytes, .. } => 8 * (bytes + 1),
                };
                let rows: Vec<usize> = (0..self.keys.len()).collect();
                self.each(bits, &rows, &[], |row| datum(part, &column.datum(*row)));
            }
        }
    }

    /// Makes room for a part of so many bits in each key and puts it there.
    #[inline]
    fn each<T>(&mut self, bits: u32, values: &[T], nulls: &[bool], mut pack: impl FnMut(&T) -> Option<u128>) {
        let mut misfits = vec![];
        for (row, (key, value)) in self.keys.iter_mut().zip(values).enumerate() {
            let packed = pack(value);
            let packed = if nulls.get(row).copied().unwrap_or(false) { Some(NULL) } else { packed };
            if packed.is_none() {
                misfits.push(row);
            }
            // A part that fills the key has nothing before it.
            *key = key.checked_shl(bits).unwrap_or(0) | packed.unwrap_or(0);
        }
        if misfits.is_empty() {
            return;
        }
        self.misfits.resize(self.keys.len(), false);
        for row in misfits {
            if let Some(misfit) = self.misfits.get_mut(row) {
                *misfit = true;
            }
        }
    }
}

/// One row's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Key<'a> {
    Packed(u128),
    Bytes(&'a [u8]),
}

impl Key<'_> {
    #[inline]
    pub fn hash(self) -> u64 {
        match self {
            Key::Packed(key) => hash_packed(key),
            Key::Bytes(bytes) => keys::hash(bytes),
        }
    }
    pub fn size_bytes(self) -> usize {
        match self {
            Key::Packed(_) => 16,
            Key::Bytes(bytes) => bytes.len(),
        }
    }
}

/// Both halves times each other, folded: every bit of the key reaches every bit of the hash.
#[inline]
fn hash_packed(key: u128) -> u64 {
    let low = key as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let high = (key >> 64) as u64 ^ 0xD6E8_FEB8_6659_FD93;
    let product = u128::from(low) * u128::from(high);
    let folded = product as u64 ^ (product >> 64) as u64;
    let product = u128::from(folded) * 0xFF51_AFD7_ED55_8CCD;
    product as u64 ^ (product >> 64) as u64
}

/// The keys of a batch's rows.
#[derive(Debug)]
pub(crate) struct RowKeys {
    packed: Option<Packed>,
    /// Where there is no packing, or some row does not fit.
    bytes: Option<KeyRows>,
    /// Rows of which some key is NULL; empty: none.
    nulls: Vec<bool>,
}

impl RowKeys {
    pub fn new(packing: Option<&Packing>, columns: &[Arc<Column>], types: &[SqlType], len: usize) -> RowKeys {
        let packed = packing.map(|p| p.pack(columns, len));
        let needs_bytes = packed.as_ref().is_none_or(|p| !p.misfits.is_empty());
        let bytes = needs_bytes.then(|| keys::encode_columns(columns, types, &[], len));
        let mut nulls = vec![];
        for column in columns.iter().filter(|c| !c.nulls.is_empty()) {
            match nulls.is_empty() {
                true => nulls.clone_from(&column.nulls),
                false => nulls.iter_mut().zip(&column.nulls).for_each(|(a, b)| *a |= *b),
            }
        }
        RowKeys { packed, bytes, nulls }
    }

    #[inline]
    pub fn get(&self, row: usize) -> Key<'_> {
        if let Some(packed) = &self.packed
            && !packed.misfits.get(row).copied().unwrap_or(false)
        {
            return Key::Packed(packed.keys.get(row).copied().unwrap_or(0));
        }
        Key::Bytes(self.bytes.as_ref().map_or(&[], |b| b.get(row)))
    }

    /// Some key of the row is NULL.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.get(row).copied().unwrap_or(false)
    }
    /// Bytes held beyond the keys in sixteen bytes each.
    pub fn size_bytes(&self) -> usize {
        self.bytes.as_ref().map_or(0, |b| b.bytes.len())
    }
    pub fn has_null(&self) -> bool {
        self.nulls.contains(&true)
    }
}

/// A number for each key.
#[derive(Default)]
pub(crate) struct KeyTable {
    packed: HashTable<(u128, u32)>,
    bytes: HashTable<(usize, u32, u32)>,
    /// What `bytes` points into: (start, length, number).
    arena: Vec<u8>,
}

impl KeyTable {
    pub fn with_capacity(keys: usize, is_packed: bool) -> KeyTable {
        let (packed, bytes) = if is_packed { (keys, 0) } else { (0, keys) };
        KeyTable {
            packed: HashTable::with_capacity(packed),
            bytes: HashTable::with_capacity(bytes),
            arena: Vec::with_capacity(bytes * 16),
        }
    }

    #[inline]
    pub fn find(&self, hash: u64, key: Key<'_>) -> Option<u32> {
        match key {
            Key::Packed(key) => self.packed.find(hash, |entry| entry.0 == key).map(|entry| entry.1),
            Key::Bytes(key) => {
                let at = |entry: &(usize, u32, u32)| self.arena.get(entry.0..entry.0 + entry.1 as usize) == Some(key);
                self.bytes.find(hash, at).map(|entry| entry.2)
            }
        }
    }

    /// Gives the key this number; the one it had before, if it was there.
    pub fn put(&mut self, hash: u64, key: Key<'_>, number: u32) -> Option<u32> {
        match key {
            Key::Packed(key) => {
                if let Some(entry) = self.packed.find_mut(hash, |entry| entry.0 == key) {
                    return Some(std::mem::replace(&mut entry.1, number));
                }
                self.packed.insert_unique(hash, (key, number), |entry| hash_packed(entry.0));
                None
            }
            Key::Bytes(key) => {
                let arena = &mut self.arena;
                let of = |entry: &(usize, u32, u32), arena: &[u8]| {
                    keys::hash(arena.get(entry.0..entry.0 + entry.1 as usize).unwrap_or_default())
                };
                let is_key = |entry: &(usize, u32, u32)| arena.get(entry.0..entry.0 + entry.1 as usize) == Some(key);
                if let Some(entry) = self.bytes.find_mut(hash, is_key) {
                    return Some(std::mem::replace(&mut entry.2, number));
                }
                let entry = (arena.len(), key.len() as u32, number);
                arena.extend_from_slice(key);
                self.bytes.insert_unique(hash, entry, |entry| of(entry, arena));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{ColumnBuilder, ColumnKind};

    fn column(ty: SqlType, values: &[Datum]) -> Arc<Column> {
        let mut builder = ColumnBuilder::new(ColumnKind::of(ty));
        values.iter().for_each(|v| builder.push(v));
        Arc::new(builder.finish())
    }

    /// Two rows have one key exactly where the bytes of `keys` are the same, through typed columns and through datums.
    #[track_caller]
    fn check(types: &[SqlType], rows: &[Vec<Datum>]) {
        let of = |as_datums: bool| {
            let columns: Vec<Arc<Column>> = types
                .iter()
                .enumerate()
                .map(|(i, ty)| {
                    let values: Vec<Datum> = rows.iter().map(|r| r[i].clone()).collect();
                    match as_datums {
                        true => Arc::new(Column { data: ColumnData::Datums(values), nulls: vec![] }),
                        false => column(*ty, &values),
                    }
                })
                .collect();
            let packing = Packing::new(types).expect("these types pack");
            (RowKeys::new(Some(&packing), &columns, types, rows.len()), columns)
        };
        let (typed, columns) = of(false);
        let (loose, _) = of(true);
        let bytes = keys::encode_columns(&columns, types, &[], rows.len());
        for a in 0..rows.len() {
            for b in 0..rows.len() {
                let expected = bytes.get(a) == bytes.get(b);
                assert_eq!(typed.get(a) == typed.get(b), expected, "{:?} {:?}", rows[a], rows[b]);
                assert_eq!(typed.get(a) == loose.get(b), expected, "{:?} {:?}", rows[a], rows[b]);
            }
        }
    }

    #[test]
    fn packed_keys_are_equal_where_values_are() {
        let ints = [i64::MIN, -1, 0, 1, i64::from(i32::MAX) + 1, i64::MAX];
        let ints: Vec<Vec<Datum>> = ints.iter().map(|v| vec![Datum::Int8(*v)]).chain([vec![Datum::Null]]).collect();
        check(&[SqlType::INT8], &ints);
        let texts =
            ["", " ", "a", "a ", "ab", "\0", "\0\0", "exactly15bytes!", "sixteen bytes!!!", "seventeen bytes!!", "é"];
        let texts: Vec<Vec<Datum>> = texts.iter().map(|t| vec![Datum::text(*t)]).chain([vec![Datum::Null]]).collect();
        check(&[SqlType::TEXT], &texts);
        check(&[SqlType::new(oid::BPCHAR)], &texts);
        let mut pairs = vec![];
        for a in [Datum::Null, Datum::Int4(0), Datum::Int4(-1), Datum::Int4(i32::MAX)] {
            for b in [Datum::Null, Datum::text(""), Datum::text("abcdefghij"), Datum::text("abcdefghijk")] {
                for c in [Datum::Null, Datum::Bool(true), Datum::Bool(false)] {
                    pairs.push(vec![a.clone(), b.clone(), c]);
                }
            }
        }
        check(&[SqlType::INT4, SqlType::TEXT, SqlType::BOOL], &pairs);
    }

    #[test]
    fn a_table_gives_each_key_its_number() {
        let values: Vec<Datum> = (0..3000).map(|i| Datum::text("x".repeat(i % 40) + &i.to_string())).collect();
        let columns = [column(SqlType::TEXT, &values)];
        let packing = Packing::new(&[SqlType::TEXT]);
        let keys = RowKeys::new(packing.as_ref(), &columns, &[SqlType::TEXT], values.len());
        let mut table = KeyTable::default();
        for row in 0..values.len() {
            assert_eq!(table.put(keys.get(row).hash(), keys.get(row), row as u32), None);
        }
        for row in 0..values.len() {
            assert_eq!(table.find(keys.get(row).hash(), keys.get(row)), Some(row as u32));
        }
        assert_eq!(table.put(keys.get(7).hash(), keys.get(7), 9), Some(7));
    }
}
