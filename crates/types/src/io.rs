//! Text and binary formats of every type: what `typinput`, `typoutput`, `typreceive` and `typsend` do.

use crate::{Datum, FormatSettings, Result, SqlError, SqlType};

/// Parses text into a value of `ty`, with the typmod applied as an *explicit* cast would not: input checks length
/// (22001) and rounds numerics. Errors have no position; the caller knows it.
pub fn input(ty: SqlType, text: &str, format: &FormatSettings) -> Result<Datum> {
    let _ = (ty, text, format);
    Err(SqlError::unsupported("input of this type is not supported"))
}

/// Appends the text form of a non-NULL value.
pub fn output(ty: SqlType, value: &Datum, format: &FormatSettings, out: &mut Vec<u8>) {
    let _ = (ty, value, format, out);
}

/// Reads the binary form (22P03, 08P01 on malformed bytes).
pub fn receive(ty: SqlType, bytes: &[u8]) -> Result<Datum> {
    let _ = (ty, bytes);
    Err(SqlError::unsupported("binary input of this type is not supported"))
}

/// Appends the binary form of a non-NULL value; 0A000/42883 where PostgreSQL has none.
pub fn send(ty: SqlType, value: &Datum, out: &mut Vec<u8>) -> Result<()> {
    let _ = (ty, value, out);
    Err(SqlError::unsupported("binary output of this type is not supported"))
}
