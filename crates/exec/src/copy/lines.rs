//! A byte stream cut into lines, as it comes in pieces.
//!
//! Lines end with LF, CR LF or CR, the same throughout. In text format a backslash hides the byte behind it, in CSV
//! quotes hide what is between them. `\.` alone on a line ends the data.

use super::error::bad_format;
use types::{Result, SqlError, SqlState};

/// A line longer than this is refused (a value may have 64 MiB, escapes double it).
const LINE_BYTES_MAX: usize = 1 << 30;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Unknown,
    Lf,
    Cr,
    CrLf,
}

/// What hides a line's end.
#[derive(Clone, Copy)]
pub(super) enum Hiding {
    Backslash,
    Quotes { quote: u8, escape: u8 },
}

pub(super) struct Lines {
    hiding: Hiding,
    buffer: Vec<u8>,
    /// Start of the current line, and how far it has been looked through.
    start: usize,
    looked: usize,
    in_quotes: bool,
    /// The byte before `looked` was an escape.
    escaped: bool,
    ending: Ending,
    /// Number of the line handed out last: where it begins.
    pub number: u64,
    /// Line breaks within the current line's quotes, and within those of the one before.
    breaks: u64,
    breaks_before: u64,
    pub has_ended: bool,
}

impl Lines {
    pub fn new(hiding: Hiding) -> Lines {
        Lines {
            hiding,
            buffer: vec![],
            start: 0,
            looked: 0,
            in_quotes: false,
            escaped: false,
            ending: Ending::Unknown,
            number: 0,
            breaks: 0,
            breaks_before: 0,
            has_ended: false,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.has_ended {
            return Ok(());
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.looked -= self.start;
            self.start = 0;
        }
        if self.buffer.len().saturating_add(bytes.len()) > LINE_BYTES_MAX {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a line of COPY data is too long"));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    pub fn text(&self, line: &std::ops::Range<usize>) -> &[u8] {
        self.buffer.get(line.clone()).unwrap_or_default()
    }

    /// The next whole line, without its end; at the end of the data also what has no line end behind it.
    pub fn next(&mut self, at_end: bool) -> Result<Option<std::ops::Range<usize>>> {
        if self.has_ended {
            return Ok(None);
        }
        let Some((end, after)) = self.find_end(at_end)? else { return Ok(None) };
        let line = self.start..end;
        self.number += 1 + std::mem::replace(&mut self.breaks_before, self.breaks);
        self.breaks = 0;
        self.start = after;
        self.looked = after;
        (self.in_quotes, self.escaped) = (false, false);
        if self.text(&line) == b"\\." {
            self.has_ended = true;
            return Ok(None);
        }
        Ok(Some(line))
    }

    /// Where the line ends, and where the next begins.
    fn find_end(&mut self, at_end: bool) -> Result<Option<(usize, usize)>> {
        while let Some(byte) = self.buffer.get(self.looked).copied() {
            let at = self.looked;
            self.looked += 1;
            if std::mem::take(&mut self.escaped) {
                continue;
            }
            match (self.hiding, byte) {
                (Hiding::Backslash, b'\\') => self.escaped = true,
                (Hiding::Quotes { quote, escape }, _) if self.in_quotes && byte == escape && escape != quote => {
                    self.escaped = true;
                }
                (Hiding::Quotes { quote, .. }, _) if byte == quote => self.in_quotes = !self.in_quotes,
                (_, b'\n') if self.in_quotes => self.breaks += 1,
                (_, b'\n') => match self.ending {
                    Ending::Unknown | Ending::Lf => {
                        self.ending = Ending::Lf;
                        return Ok(Some((at, at + 1)));
                    }
                    _ => return Err(self.literal("newline", "\\n")),
                },
                (_, b'\r') if !self.in_quotes => {
                    if self.ending == Ending::Lf {
                        return Err(self.literal("carriage return", "\\r"));
                    }
                    let next = self.buffer.get(at + 1).copied();
                    if next.is_none() && !at_end {
                        // CR, or the first half of CR LF: the next piece tells.
                        self.looked = at;
                        return Ok(None);
                    }
                    let ending = if next == Some(b'\n') { Ending::CrLf } else { Ending::Cr };
                    if self.ending != Ending::Unknown && self.ending != ending {
                        return Err(self.literal("carriage return", "\\r"));
                    }
                    self.ending = ending;
                    return Ok(Some((at, at + if ending == Ending::CrLf { 2 } else { 1 })));
                }
                _ => {}
            }
        }
        let end = self.buffer.len();
        Ok((at_end && self.start < end).then_some((end, end)))
    }

    fn literal(&self, what: &str, written: &str) -> SqlError {
        match self.hiding {
            Hiding::Backslash => bad_format(format!("literal {what} found in data"))
                .hint(format!("Use \"{written}\" to represent {what}.")),
            Hiding::Quotes { .. } => bad_format(format!("unquoted {what} found in data"))
                .hint(format!("Use quoted CSV field to represent {what}.")),
        }
    }
}
