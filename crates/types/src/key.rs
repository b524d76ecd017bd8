//! Order-preserving keys: byte order of encodings is SQL order of values; self-delimiting and prefix-free, so a
//! composite key is a concatenation and its prefix a range.

use crate::{Datum, Result, SqlType};

/// Direction of one key column. PostgreSQL's defaults: ASC NULLS LAST, DESC NULLS FIRST.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct KeyOrder {
    pub descending: bool,
    pub nulls_first: bool,
}

/// Appends the key of one value (NULL included).
pub fn encode(ty: SqlType, value: &Datum, order: KeyOrder, out: &mut Vec<u8>) {
    let _ = (ty, value, order, out);
}

/// Reads one value back and advances `input`. Only types for which `is_decodable` keep everything in the key
/// (numeric loses its display scale, bpchar its blanks, float -0 its sign).
pub fn decode(ty: SqlType, order: KeyOrder, input: &mut &[u8]) -> Result<Datum> {
    let _ = (ty, order, input);
    Err(crate::SqlError::internal("key"))
}

/// Advances past one encoded value without building it.
pub fn skip(ty: SqlType, order: KeyOrder, input: &mut &[u8]) -> Result<()> {
    let _ = (ty, order, input);
    Err(crate::SqlError::internal("key"))
}

/// Whether `decode` gives back exactly what was encoded.
pub fn is_decodable(ty: SqlType) -> bool {
    let _ = ty;
    false
}

/// The smallest byte string greater than every string with this prefix; None if there is none (all 0xFF).
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// Hash slots of the whole key space.
pub const SLOTS: u16 = 16_384;

/// The slot of a row: a stable hash of its encoded distribution columns.
pub fn slot(encoded: &[u8]) -> u16 {
    let _ = encoded;
    0
}
