//! Level 1. A log record's bytes.
//!
//! ```text
//! 0  length u32     of the payload in this piece
//! 4  crc32          over all that follows, the payload and the length
//! 8  file u64       number of the file: what is left from a file's earlier life has another one and is no record
//! 16 group u64
//! 24 index u64
//! 32 term u64
//! 40 synced u64     up to where the log was synced when this was written (`recover`)
//! 48 kind u8, 49 flavor u8, 50 flags u8 (1: goes on in the next piece, 2: goes on from one before), 51..56 zero
//! 56 payload, then zeros up to a multiple of 8
//! ```
//! Little-endian.

use host::bugs::{self, Bug};

/// Before the payload.
pub const HEADER: usize = 56;
const ALIGN: usize = 8;

pub const KIND_ENTRY: u8 = 1;
pub const KIND_TRUNCATE: u8 = 2;
pub const KIND_PURGE: u8 = 3;
pub const KIND_STATE: u8 = 4;
/// The rest of the file is unused; the log goes on in the next.
pub const KIND_END: u8 = 5;

pub const GOES_ON: u8 = 1;
pub const CONTINUES: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub file: u64,
    pub group: u64,
    pub index: u64,
    pub term: u64,
    pub synced: u64,
    pub kind: u8,
    pub flavor: u8,
    pub flags: u8,
}

/// Bytes that a record of this payload takes.
pub fn size_of(payload: usize) -> usize {
    (HEADER + payload).next_multiple_of(ALIGN)
}

/// The most payload that fits into `room` bytes.
pub fn payload_that_fits(room: usize) -> usize {
    (room / ALIGN * ALIGN).saturating_sub(HEADER)
}

pub fn encode(out: &mut Vec<u8>, header: &Header, payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for word in [header.file, header.group, header.index, header.term, header.synced] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&[header.kind, header.flavor, header.flags, 0, 0, 0, 0, 0]);
    out.extend_from_slice(payload);
    let sum = checksum(&out[start..]);
    out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    out.resize(start + size_of(payload.len()), 0);
}

/// Of a record without its padding; the place of the checksum itself is left out.
fn checksum(record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record[..4]);
    hasher.update(&record[8..]);
    hasher.finalize()
}

/// The record at the start of `bytes`, if there is a sound one of file `file`, and what it takes.
pub fn decode(bytes: &[u8], file: u64) -> Option<(Header, &[u8], usize)> {
    let header = bytes.get(..HEADER)?;
    let word = |at: usize| -> Option<u64> { Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?)) };
    if word(8)? != file {
        return None;
    }
    let length = u32::from_le_bytes(header.get(..4)?.try_into().ok()?) as usize;
    let record = bytes.get(..HEADER.checked_add(length)?)?;
    let is_sound = checksum(record) == u32::from_le_bytes(header.get(4..8)?.try_into().ok()?);
    if !is_sound && !bugs::is_on(Bug::ChecksumIgnored) {
        return None;
    }
    let [kind, flavor, flags] = *header.get(48..51)?.first_chunk::<3>()?;
    let parsed =
        Header { file, group: word(16)?, index: word(24)?, term: word(32)?, synced: word(40)?, kind, flavor, flags };
    Some((parsed, record.get(HEADER..)?, size_of(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_anywhere_is_no_record() {
        let header =
            Header { file: 3, group: 4, index: 5, term: 6, synced: 7, kind: KIND_ENTRY, flavor: 1, flags: GOES_ON };
        let mut bytes = Vec::new();
        encode(&mut bytes, &header, b"payload");
        assert_eq!(decode(&bytes, 3), Some((header, &b"payload"[..], 64)));
        assert_eq!(decode(&bytes, 2), None);
        for at in 0..HEADER + 7 {
            bytes[at] ^= 0x10;
            assert_eq!(decode(&bytes, 3), None, "byte {at}");
            bytes[at] ^= 0x10;
        }
        assert_eq!(decode(&bytes[..60], 3), None);
    }
}
