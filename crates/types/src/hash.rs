//! The hash of values and keys that is stable for ever.
//!
//! It reaches disk (a row's slot) and other nodes (repartitioned joins), so it may never change: not with the
//! compiler, the machine, the word size or a library's version. Hence an algorithm of our own, written down here:
//!
//! ```text
//! state  = seed ^ PHI                               PHI = 0x9E37_79B9_7F4A_7C15
//! word w : state = mix(state ^ w)                   mix(x) = (x * MULTIPLIER) ^ ((x * MULTIPLIER) >> 32), wrapping
//! bytes  : each full 8 bytes as a little-endian word; then one word of what is left, zero-padded, with its
//!          count (0..=7) in the top byte
//! finish : x = state; x ^= x >> 33; x *= FINISH_1; x ^= x >> 33; x *= FINISH_2; x ^= x >> 33
//! ```
//!
//! It is no defence against chosen collisions; it spreads.

const PHI: u64 = 0x9E37_79B9_7F4A_7C15;
const MULTIPLIER: u64 = 0xD6E8_FEB8_6659_FD93;
const FINISH_1: u64 = 0xFF51_AFD7_ED55_8CCD;
const FINISH_2: u64 = 0xC4CE_B9FE_1A85_EC53;

/// The running state. A value is hashed by writing its words and byte strings in a fixed order.
#[derive(Clone, Copy, Debug)]
pub struct Hasher64(u64);

impl Hasher64 {
    pub fn new(seed: u64) -> Hasher64 {
        Hasher64(seed ^ PHI)
    }

    #[inline]
    pub fn write_u64(&mut self, word: u64) {
        let x = (self.0 ^ word).wrapping_mul(MULTIPLIER);
        self.0 = x ^ (x >> 32);
    }

    /// Self-delimiting: `write_bytes("ab")` and then `"c"` differs from `"a"` and then `"bc"`.
    #[inline]
    pub fn write_bytes(&mut self, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<8>();
        for chunk in chunks {
            self.write_u64(u64::from_le_bytes(*chunk));
        }
        let mut last = [0u8; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        last[7] = rest.len() as u8;
        self.write_u64(u64::from_le_bytes(last));
    }

    #[inline]
    pub fn finish(&self) -> u64 {
        let mut x = self.0;
        x ^= x >> 33;
        x = x.wrapping_mul(FINISH_1);
        x ^= x >> 33;
        x = x.wrapping_mul(FINISH_2);
        x ^ (x >> 33)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u64 {
        let mut hasher = Hasher64::new(0);
        hasher.write_bytes(bytes);
        hasher.finish()
    }

    /// These numbers are on disks. A change here orphans every row.
    #[test]
    fn the_hash_is_what_it_always_was() {
        assert_eq!(of(b""), GOLDEN[0]);
        assert_eq!(of(b"a"), GOLDEN[1]);
        assert_eq!(of(b"12345678"), GOLDEN[2]);
        assert_eq!(of(b"the quick brown fox"), GOLDEN[3]);
        let mut hasher = Hasher64::new(42);
        hasher.write_u64(7);
        assert_eq!(hasher.finish(), GOLDEN[4]);
    }
    const GOLDEN: [u64; 5] =
        [0x381AA8BB196614BA, 0xA73C9150D9EB4655, 0x942E5F87BA3B411F, 0xDAC7002FE3CA661E, 0x14855533757A4DB3];

    #[test]
    fn byte_strings_are_delimited() {
        let both = |a: &[u8], b: &[u8]| {
            let mut hasher = Hasher64::new(0);
            hasher.write_bytes(a);
            hasher.write_bytes(b);
            hasher.finish()
        };
        assert_ne!(both(b"ab", b"c"), both(b"a", b"bc"));
        assert_ne!(of(b"a"), of(b"a\0"));
    }
}
