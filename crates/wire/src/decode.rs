//! The client's messages, read strictly: a body is exactly what its type says, or it is 08P01.
//!
//! Nothing is copied; a [`Message`] borrows from its frame. Text must be UTF-8 (22021 otherwise), never repaired.

use crate::backend::{Bind, Format};
use smallvec::SmallVec;
use types::oid::Oid;
use types::{SqlError, SqlState};

#[derive(Debug)]
pub(crate) enum Message<'a> {
    Query(&'a str),
    Parse { name: &'a str, text: &'a str, types: SmallVec<[Oid; 8]> },
    Bind(Bind<'a>),
    Describe(Target<'a>),
    Execute { portal: &'a str, max_rows: u32 },
    Close(Target<'a>),
    Sync,
    Flush,
    Terminate,
    CopyData(&'a [u8]),
    CopyDone,
    CopyFail(&'a str),
    FunctionCall,
}

#[derive(Debug)]
pub(crate) enum Target<'a> {
    Statement(&'a str),
    Portal(&'a str),
}

/// Whether a message of this type may be sent after login. The stream can not be followed after one that may not.
pub(crate) fn is_known(tag: u8) -> bool {
    matches!(tag, b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'S' | b'H' | b'X' | b'd' | b'c' | b'f' | b'F')
}

/// Whether an error in a message of this type is followed by skipping to Sync.
pub(crate) fn is_extended(tag: u8) -> bool {
    matches!(tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'H')
}

pub(crate) fn message(tag: u8, body: &[u8]) -> Result<Message<'_>, SqlError> {
    let mut body = Body(body);
    let message = match tag {
        b'Q' => Message::Query(body.text()?),
        b'P' => parse(&mut body)?,
        b'B' => Message::Bind(bind(&mut body)?),
        b'D' => Message::Describe(target(&mut body, "DESCRIBE")?),
        b'C' => Message::Close(target(&mut body, "CLOSE")?),
        b'E' => {
            let portal = body.text()?;
            // PostgreSQL takes a negative count as "all".
            Message::Execute { portal, max_rows: u32::try_from(body.i32()?).unwrap_or(0) }
        }
        b'S' => Message::Sync,
        b'H' => Message::Flush,
        b'X' => Message::Terminate,
        b'd' => return Ok(Message::CopyData(body.0)),
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(body.text()?),
        // Not served, so its body does not matter.
        b'F' => return Ok(Message::FunctionCall),
        other => {
            return Err(violation(format!("invalid frontend message type {other}")));
        }
    };
    body.end()?;
    Ok(message)
}

fn parse<'a>(body: &mut Body<'a>) -> Result<Message<'a>, SqlError> {
    let name = body.text()?;
    let text = body.text()?;
    let count = body.u16()?;
    let mut types = SmallVec::new();
    for _ in 0..count {
        types.push(body.i32()? as Oid);
    }
    Ok(Message::Parse { name, text, types })
}

fn bind<'a>(body: &mut Body<'a>) -> Result<Bind<'a>, SqlError> {
    let portal = body.text()?;
    let statement = body.text()?;
    let formats = formats(body)?;
    let count = usize::from(body.u16()?);
    if formats.len() > 1 && formats.len() != count {
        let given = formats.len();
        return Err(violation(format!("bind message has {given} parameter formats but {count} parameters")));
    }
    let mut values = SmallVec::new();
    for _ in 0..count {
        values.push(match body.i32()? {
            -1 => None,
            length => Some(body.take(usize::try_from(length).map_err(|_| truncated())?)?),
        });
    }
    let parameter_formats = match formats.as_slice() {
        [] => SmallVec::from_elem(Format::Text, count),
        [one] => SmallVec::from_elem(*one, count),
        _ => formats,
    };
    Ok(Bind { portal, statement, parameter_formats, values, result_formats: self::formats(body)? })
}

fn formats(body: &mut Body<'_>) -> Result<SmallVec<[Format; 8]>, SqlError> {
    let count = body.u16()?;
    let mut formats = SmallVec::new();
    for _ in 0..count {
        formats.push(match body.u16()? {
            0 => Format::Text,
            1 => Format::Binary,
            code => {
                let message = format!("unsupported format code: {}", code as i16);
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
        });
    }
    Ok(formats)
}

fn target<'a>(body: &mut Body<'a>, message: &str) -> Result<Target<'a>, SqlError> {
    match body.u8()? {
        b'S' => Ok(Target::Statement(body.text()?)),
        b'P' => Ok(Target::Portal(body.text()?)),
        kind => Err(violation(format!("invalid {message} message subtype {kind}"))),
    }
}

/// What is left of a message's body.
pub(crate) struct Body<'a>(pub &'a [u8]);

impl<'a> Body<'a> {
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], SqlError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn u8(&mut self) -> Result<u8, SqlError> {
        let (&first, rest) = self.0.split_first().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(first)
    }

    pub fn u16(&mut self) -> Result<u16, SqlError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    pub fn i32(&mut self) -> Result<i32, SqlError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(truncated)?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*bytes))
    }

    /// A string up to its NUL.
    pub fn text(&mut self) -> Result<&'a str, SqlError> {
        let Some(end) = self.0.iter().position(|&byte| byte == 0) else {
            return Err(violation("invalid string in message"));
        };
        let bytes = self.take(end)?;
        self.u8()?;
        std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))
    }

    pub fn end(&self) -> Result<(), SqlError> {
        if self.0.is_empty() { Ok(()) } else { Err(violation("invalid message format")) }
    }
}

/// 22021 with the bytes of the character that is none, as many as its first byte announces.
fn not_utf8(bytes: &[u8], at: usize) -> SqlError {
    use std::fmt::Write;
    let bad = bytes.get(at..).unwrap_or_default();
    let announced = match bad.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => 1,
    };
    let mut message = String::from("invalid byte sequence for encoding \"UTF8\":");
    for byte in bad.iter().take(announced) {
        let _ = write!(message, " 0x{byte:02x}");
    }
    SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
}

pub(crate) fn violation(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

fn truncated() -> SqlError {
    violation("insufficient data left in message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn code(tag: u8, body: &[u8]) -> String {
        match message(tag, body) {
            Ok(_) => "ok".to_owned(),
            Err(error) => format!("{} {}", error.code(), error.message()),
        }
    }

    #[test]
    fn bodies_are_read_strictly() {
        for (tag, body, expected) in [
            (b'Q', &b"select 1\0"[..], "ok"),
            (b'Q', b"select 1", "08P01 invalid string in message"),
            (b'Q', b"select 1\0x", "08P01 invalid message format"),
            (b'Q', b"a\xff\0", "22021 invalid byte sequence for encoding \"UTF8\": 0xff"),
            (b'Q', b"\xe2\x28\xa1\0", "22021 invalid byte sequence for encoding \"UTF8\": 0xe2 0x28 0xa1"),
            (b'S', b"", "ok"),
            (b'S', b"\0", "08P01 invalid message format"),
            (b'P', b"s\0t\0\0\x01\0\0\0\x17", "ok"),
            (b'P', b"s\0t\0\0\x02\0\0\0\x17", "08P01 insufficient data left in message"),
            (b'P', b"", "08P01 invalid string in message"),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x01x\0\0", "ok"),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x09x\0\0", "08P01 insufficient data left in message"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xff\0\0", "ok"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0", "08P01 insufficient data left in message"),
            (b'B', b"\0\0\0\x01\0\x02\0\0\0\0", "22023 unsupported format code: 2"),
            (b'B', b"\0\0\0\x02\0\0\0\0\0\0\0\0", "08P01 bind message has 2 parameter formats but 0 parameters"),
            (b'D', b"Xa\0", "08P01 invalid DESCRIBE message subtype 88"),
            (b'C', b"Pa\0", "ok"),
            (b'E', b"p\0\0\0\0\0", "ok"),
            (b'E', b"p\0\0\0", "08P01 insufficient data left in message"),
            (b'z', b"", "08P01 invalid frontend message type 122"),
        ] {
            assert_eq!(code(tag, body), expected, "{} {body:?}", tag as char);
        }
    }

    #[test]
    fn one_format_is_for_all_values() {
        let body = b"\0\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0";
        let Ok(Message::Bind(bind)) = message(b'B', body) else { panic!("not a Bind") };
        assert_eq!(bind.parameter_formats.as_slice(), [Format::Binary, Format::Binary]);
        assert_eq!(bind.values.as_slice(), [Some(&b"x"[..]), None]);
    }

    proptest! {
        /// Whatever the bytes: an answer or an error, never a panic.
        #[test]
        fn any_bytes_are_answered(tag in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = message(tag, &body);
        }

        /// The same for messages that are nearly right.
        #[test]
        fn mutated_messages_are_answered(which in 0..4usize, at in 0..24usize, byte in any::<u8>(), cut in 0..24usize) {
            let (tag, whole) = [
                (b'P', &b"s\0select $1\0\0\x01\0\0\0\x17"[..]),
                (b'B', b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\0\0\0\x02yz\0\0"),
                (b'E', b"portal\0\0\0\0\x01"),
                (b'D', b"Sname\0"),
            ][which];
            let mut body = whole.to_vec();
            if let Some(place) = body.get_mut(at) { *place = byte; }
            let _ = message(tag, &body);
            body.truncate(cut);
            let _ = message(tag, &body);
        }
    }
}
