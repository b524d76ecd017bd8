//! The binary format: a signature, then tuples of sized fields, then -1.

use super::error::bad_format;
use crate::batch::ColumnBuilder;
use types::{FormatSettings, Result, SqlError, SqlType, io};

pub(super) const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Bytes of one field.
const FIELD_BYTES_MAX: usize = 1 << 30;

#[derive(Default)]
pub(super) struct BinaryReader {
    buffer: Vec<u8>,
    start: usize,
    has_header: bool,
    pub has_ended: bool,
    pub rows: u64,
}

/// Where a field went wrong.
pub(super) struct At {
    pub error: SqlError,
    pub column: Option<usize>,
}

impl From<SqlError> for At {
    fn from(error: SqlError) -> At {
        At { error, column: None }
    }
}

impl BinaryReader {
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.buffer.get(at..)?.first_chunk::<N>().copied()
    }

    fn header(&mut self) -> Result<bool> {
        let Some(signature) = self.bytes::<11>(self.start) else { return Ok(false) };
        if signature != *SIGNATURE {
            return Err(bad_format("COPY file signature not recognized"));
        }
        let (Some(flags), Some(extension)) = (self.bytes::<4>(self.start + 11), self.bytes::<4>(self.start + 15))
        else {
            return Ok(false);
        };
        if u32::from_be_bytes(flags) >> 16 != 0 {
            return Err(bad_format("unrecognized critical flags in COPY file header"));
        }
        let Ok(extension) = usize::try_from(i32::from_be_bytes(extension)) else {
            return Err(bad_format("invalid COPY file header (missing length)"));
        };
        if self.buffer.len() < self.start + 19 + extension {
            return Ok(false);
        }
        self.start += 19 + extension;
        self.has_header = true;
        Ok(true)
    }

    /// Appends the next whole tuple to the columns; false if it is not all there.
    pub fn next(
        &mut self,
        types: &[SqlType],
        builders: &mut [ColumnBuilder],
        format: &FormatSettings,
    ) -> Result<bool, At> {
        if self.has_ended || (!self.has_header && !self.header()?) {
            return Ok(false);
        }
        let Some(count) = self.bytes::<2>(self.start) else { return Ok(false) };
        let count = i16::from_be_bytes(count);
        if count == -1 {
            self.has_ended = true;
            return Ok(false);
        }
        if usize::try_from(count).ok() != Some(types.len()) {
            return Err(bad_format(format!("row field count is {count}, expected {}", types.len())).into());
        }
        let Some(places) = self.places(types.len())? else { return Ok(false) };
        for (index, (place, (ty, builder))) in places.iter().zip(types.iter().zip(builders)).enumerate() {
            match place {
                None => builder.push_null(),
                Some(place) => {
                    let bytes = self.buffer.get(place.clone()).unwrap_or_default();
                    let value = io::receive(*ty, bytes, format).map_err(|error| At { error, column: Some(index) })?;
                    builder.push_owned(value);
                }
            }
        }
        // Each field has a size of four bytes, and the bytes of those that are not NULL.
        let values: usize = places.iter().flatten().map(|p| p.len()).sum();
        self.start += 2 + 4 * places.len() + values;
        self.rows += 1;
        Ok(true)
    }

    /// Where the fields' bytes lie; None if some are not there yet.
    fn places(&self, count: usize) -> Result<Option<Vec<Option<std::ops::Range<usize>>>>> {
        let mut at = self.start + 2;
        let mut places = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(size) = self.bytes::<4>(at) else { return Ok(None) };
            at += 4;
            match i32::from_be_bytes(size) {
                -1 => places.push(None),
                size => {
                    let size = usize::try_from(size).ok().filter(|s| *s <= FIELD_BYTES_MAX);
                    let size = size.ok_or_else(|| bad_format("invalid field size"))?;
                    places.push(Some(at..at + size));
                    at += size;
                }
            }
        }
        Ok((at <= self.buffer.len()).then_some(places))
    }

    pub fn finish(&self) -> Result<()> {
        match self.has_ended {
            true => Ok(()),
            false if !self.has_header => Err(bad_format("COPY file signature not recognized")),
            // A file may end without the trailer, between two tuples.
            false if self.start == self.buffer.len() => Ok(()),
            false => Err(bad_format("unexpected EOF in COPY data")),
        }
    }
}

pub(super) fn write_header(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
}
