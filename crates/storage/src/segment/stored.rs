//! Level 1. How a version lies in the base: the stored value, long keys, history keys. Bytes on disk.
//!
//! ```text
//! row entry      key   = the row's key, or of a key longer than 1,900 bytes its first 1,900 and a 16-byte hash of the whole
//!                value = [crc32 u32][commit ts u64][long keys only: length u32, the whole key][row]
//! history entry  key   = key as above, then !ts (8 bytes, big-endian: newest first), then 0 deletion | 1 row
//!                value = as above, a deletion has an empty row
//! ```
//!
//! The checksum covers relation, entry key and the rest of the value, so a page that LMDB reads from the wrong place
//! is found out. Integers are little-endian unless said. I1: keys of one relation are prefix-free (the key codec's
//! promise), so that history entries of different rows do not mix.

use crate::{Result, StorageError, StorageId, Timestamp};
use sha2::Digest;

/// Checksum and timestamp.
pub const HEADER_SIZE: usize = 12;
/// A key is stored whole up to this many bytes; LMDB takes 1,982 and history adds 9.
pub const SHORT_KEY_MAX: usize = 1900;
const HASH_SIZE: usize = 16;
/// The length of the entry key of every long key, and of no other.
pub const LONG_ENTRY_KEY: usize = SHORT_KEY_MAX + HASH_SIZE;
/// What a history key has behind the entry key.
pub const HISTORY_SUFFIX: usize = 9;

/// A decoded value.
#[derive(Clone, Copy)]
pub struct Stored<'a> {
    pub ts: Timestamp,
    /// The row's whole key.
    pub key: &'a [u8],
    pub row: &'a [u8],
    pub checksum: u32,
}

/// The key a row is stored under: `key` itself, or its prefix and hash in `buffer`.
pub fn entry_key<'a>(key: &'a [u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
    if key.len() <= SHORT_KEY_MAX {
        return key;
    }
    buffer.clear();
    buffer.extend_from_slice(&key[..SHORT_KEY_MAX]);
    buffer.extend_from_slice(&hash_of(key));
    buffer
}

/// The first half of SHA-256: nobody makes two keys meet; a meeting is found out when the whole keys are compared.
fn hash_of(key: &[u8]) -> [u8; HASH_SIZE] {
    let mut hash = [0; HASH_SIZE];
    hash.copy_from_slice(&sha2::Sha256::digest(key)[..HASH_SIZE]);
    hash
}

/// Writes the value of one version into `buffer` and returns its checksum.
pub fn encode(
    buffer: &mut Vec<u8>,
    relation: StorageId,
    entry_key: &[u8],
    key: &[u8],
    ts: Timestamp,
    row: &[u8],
) -> u32 {
    buffer.clear();
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&ts.0.to_le_bytes());
    if is_long(entry_key) {
        buffer.extend_from_slice(&(key.len() as u32).to_le_bytes());
        buffer.extend_from_slice(key);
    }
    buffer.extend_from_slice(row);
    let checksum = checksum(relation, entry_key, &buffer[4..]);
    buffer[..4].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

fn is_long(entry_key: &[u8]) -> bool {
    entry_key.len() == LONG_ENTRY_KEY
}

fn checksum(relation: StorageId, entry_key: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(relation.0);
    hasher.update(entry_key);
    hasher.update(rest);
    hasher.finalize()
}

/// Takes a value apart without looking at its checksum (scans: see `verify`).
#[inline]
pub fn decode<'a>(relation: StorageId, entry_key: &'a [u8], value: &'a [u8]) -> Result<Stored<'a>> {
    let (Some(sum), Some(ts), Some(rest)) =
        (value.first_chunk::<4>(), value.get(4..HEADER_SIZE), value.get(HEADER_SIZE..))
    else {
        return Err(damaged(relation, entry_key));
    };
    let ts = Timestamp(ts.try_into().map(u64::from_le_bytes).unwrap_or_default());
    let checksum = u32::from_le_bytes(*sum);
    if !is_long(entry_key) {
        return Ok(Stored { ts, key: entry_key, row: rest, checksum });
    }
    let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Err(damaged(relation, entry_key)) };
    let Some((key, row)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else {
        return Err(damaged(relation, entry_key));
    };
    Ok(Stored { ts, key, row, checksum })
}

/// A value that was looked up, checksum verified.
#[derive(Clone, Copy)]
pub struct StoredValue<'a> {
    pub ts: Timestamp,
    /// The whole key, where the entry key is not it.
    pub long_key: Option<&'a [u8]>,
    pub row: &'a [u8],
    pub checksum: u32,
}

impl StoredValue<'_> {
    /// Whether it is `key`'s, and not another's whose hash is the same.
    pub fn is_of(&self, key: &[u8]) -> bool {
        self.long_key.is_none_or(|long_key| long_key == key)
    }
}

/// As `decode_checked`, for a lookup: nothing borrows from the entry key.
pub fn decode_value<'a>(relation: StorageId, entry_key: &[u8], value: &'a [u8]) -> Result<StoredValue<'a>> {
    let stored = decode_checked(relation, entry_key, value)?;
    let (ts, checksum, row_size, key_size) = (stored.ts, stored.checksum, stored.row.len(), stored.key.len());
    let row = &value[value.len() - row_size..];
    let long_key = is_long(entry_key).then(|| &value[HEADER_SIZE + 4..HEADER_SIZE + 4 + key_size]);
    Ok(StoredValue { ts, long_key, row, checksum })
}

/// As `decode`, and the checksum must be right.
pub fn decode_checked<'a>(relation: StorageId, entry_key: &'a [u8], value: &'a [u8]) -> Result<Stored<'a>> {
    let stored = decode(relation, entry_key, value)?;
    if checksum(relation, entry_key, &value[4..]) != stored.checksum {
        return Err(damaged(relation, entry_key));
    }
    Ok(stored)
}

fn damaged(relation: StorageId, entry_key: &[u8]) -> StorageError {
    StorageError::Corrupt(format!(
        "damaged row in relation {}: key {:02x?}",
        relation.0,
        &entry_key[..entry_key.len().min(64)]
    ))
}

/// What a history key says besides the row it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryKey<'a> {
    pub entry_key: &'a [u8],
    pub ts: Timestamp,
    pub is_deletion: bool,
}

pub fn history_key(buffer: &mut Vec<u8>, entry_key: &[u8], ts: Timestamp, is_deletion: bool) {
    buffer.clear();
    buffer.extend_from_slice(entry_key);
    buffer.extend_from_slice(&(!ts.0).to_be_bytes());
    buffer.push(u8::from(!is_deletion));
}

pub fn parse_history_key(relation: StorageId, key: &[u8]) -> Result<HistoryKey<'_>> {
    let parsed = key.len().checked_sub(HISTORY_SUFFIX).and_then(|at| {
        let (entry_key, suffix) = key.split_at_checked(at)?;
        let (ts, kind) = suffix.split_first_chunk::<8>()?;
        Some(HistoryKey { entry_key, ts: Timestamp(!u64::from_be_bytes(*ts)), is_deletion: kind == [0] })
    });
    parsed.ok_or_else(|| damaged(relation, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        for key in [&b"k"[..], &[7; 1900], &[7; 2500]] {
            let (mut buffer, mut value) = (Vec::new(), Vec::new());
            let entry = entry_key(key, &mut buffer);
            encode(&mut value, StorageId(9), entry, key, Timestamp(77), b"row");
            let stored = decode_checked(StorageId(9), entry, &value).unwrap();
            assert_eq!((stored.ts, stored.key, stored.row), (Timestamp(77), key, &b"row"[..]));
            assert!(decode_checked(StorageId(8), entry, &value).is_err());
            for at in 0..value.len() {
                value[at] ^= 4;
                assert!(decode_checked(StorageId(9), entry, &value).is_err(), "byte {at}");
                value[at] ^= 4;
            }
        }
    }

    #[test]
    fn history_is_newest_first() {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        history_key(&mut old, b"k", Timestamp(5), false);
        history_key(&mut new, b"k", Timestamp(6), true);
        assert!(new < old);
        let parsed = parse_history_key(StorageId(1), &new).unwrap();
        assert_eq!(parsed, HistoryKey { entry_key: b"k", ts: Timestamp(6), is_deletion: true });
        assert!(parse_history_key(StorageId(1), b"short").is_err());
    }
}
