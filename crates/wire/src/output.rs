//! The server's messages, written into one buffer that goes to the socket whole.
//!
//! A backend puts rows here as DataRow frames without an intermediate form, and calls [`Output::flow`] at least once
//! for each batch: that is where a full buffer is written and where a slow client is waited for.

use crate::backend::Format;
use crate::limits::OUTPUT_BUFFER;
use crate::socket::Writer;
use types::oid::Oid;
use types::{Severity, SqlError, SqlState};

/// Room to begin with: what login answers.
const IDLE_ROOM: usize = 1 << 10;

/// The buffer of one connection, and the way to its socket.
pub struct Output {
    buffer: Vec<u8>,
    writer: Writer,
    broken: bool,
    /// How often the buffer has been written.
    flushes: u64,
}

/// A place in the stream of answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutputMark {
    pub flushes: u64,
    /// Bytes in the buffer.
    pub bytes: usize,
}

/// One column of a RowDescription.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    pub name: &'a str,
    /// The table and the column's number in it; 0 if the column is not a table's.
    pub table: Oid,
    pub number: i16,
    pub type_oid: Oid,
    /// Bytes of a value; -1 variable, -2 a C string.
    pub type_size: i16,
    pub type_modifier: i32,
    pub format: Format,
}

fn format_code(format: Format) -> i16 {
    match format {
        Format::Text => 0,
        Format::Binary => 1,
    }
}

impl Output {
    pub(crate) fn new(writer: Writer) -> Output {
        Output { buffer: Vec::with_capacity(IDLE_ROOM), writer, broken: false, flushes: 0 }
    }

    /// The buffer itself, for whole frames (DataRow, CopyData) that somebody else writes.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub fn is_full(&self) -> bool {
        self.buffer.len() >= OUTPUT_BUFFER
    }

    /// What has been written so far.
    pub fn mark(&self) -> OutputMark {
        OutputMark { flushes: self.flushes, bytes: self.buffer.len() }
    }

    /// Takes back all since the mark. False: some of it has left.
    pub fn rewind(&mut self, mark: OutputMark) -> bool {
        let is_here = self.flushes == mark.flushes;
        if is_here {
            self.buffer.truncate(mark.bytes);
        }
        is_here
    }

    /// Writes the buffer to the socket if it is full; waits for a client that does not read. An error (08006) says
    /// that the client is gone: the backend returns it.
    pub async fn flow(&mut self) -> Result<(), SqlError> {
        if self.is_full() { self.flush().await } else { Ok(()) }
    }

    pub(crate) async fn flush(&mut self) -> Result<(), SqlError> {
        if self.buffer.is_empty() && !self.broken {
            return Ok(());
        }
        self.flushes += 1;
        if !self.broken {
            self.broken = self.writer.write_all(&self.buffer).await.is_err();
        }
        self.buffer.clear();
        // One huge row must not keep its memory for the life of the connection.
        self.buffer.shrink_to(4 * OUTPUT_BUFFER);
        if self.broken {
            return Err(
                SqlError::new(SqlState::CONNECTION_FAILURE, "connection to client lost").severity(Severity::Fatal)
            );
        }
        Ok(())
    }

    pub(crate) async fn close(&mut self) {
        self.writer.close().await;
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The bytes that are not written yet.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    /// Starts a DataRow. It is in the buffer once [`Row::finish`] is called, and not at all if dropped before.
    pub fn row(&mut self) -> Row<'_> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(b"D\0\0\0\0\0\0");
        Row { buffer: &mut self.buffer, start, columns: 0, finished: false }
    }

    pub fn row_description<'a>(&mut self, columns: impl ExactSizeIterator<Item = Column<'a>>) {
        self.frame(b'T', |buffer| {
            put_i16(buffer, columns.len() as i16);
            for column in columns {
                put_text(buffer, column.name);
                put_i32(buffer, column.table as i32);
                put_i16(buffer, column.number);
                put_i32(buffer, column.type_oid as i32);
                put_i16(buffer, column.type_size);
                put_i32(buffer, column.type_modifier);
                put_i16(buffer, format_code(column.format));
            }
        });
    }

    pub fn parameter_description(&mut self, types: &[Oid]) {
        self.frame(b't', |buffer| {
            put_i16(buffer, types.len() as i16);
            types.iter().for_each(|&oid| put_i32(buffer, oid as i32));
        });
    }

    pub fn no_data(&mut self) {
        self.frame(b'n', |_| ());
    }

    /// The end of a statement: `SELECT 1`, `INSERT 0 1`, `BEGIN`.
    pub fn command_complete(&mut self, tag: &str) {
        self.frame(b'C', |buffer| put_text(buffer, tag));
    }

    /// The answer to a query string with no statement in it.
    pub fn empty_query(&mut self) {
        self.frame(b'I', |_| ());
    }

    /// Starts COPY FROM STDIN; the backend then returns [`crate::Outcome::CopyIn`].
    pub fn copy_in(&mut self, overall: Format, columns: &[Format]) {
        self.copy_response(b'G', overall, columns);
    }

    /// Starts COPY TO STDOUT.
    pub fn copy_out(&mut self, overall: Format, columns: &[Format]) {
        self.copy_response(b'H', overall, columns);
    }

    /// A piece of COPY TO STDOUT: one row of text, or the like.
    pub fn copy_data(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.frame(b'd', write);
    }

    /// The end of COPY TO STDOUT; the command tag follows.
    pub fn copy_done(&mut self) {
        self.frame(b'c', |_| ());
    }

    pub fn notice(&mut self, notice: &SqlError) {
        self.frame(b'N', |buffer| put_fields(buffer, notice));
    }

    /// Only `wire` sends errors: a backend returns them.
    pub(crate) fn error(&mut self, error: &SqlError) {
        self.frame(b'E', |buffer| put_fields(buffer, error));
    }

    pub(crate) fn parameter_status(&mut self, name: &str, value: &str) {
        self.frame(b'S', |buffer| {
            put_text(buffer, name);
            put_text(buffer, value);
        });
    }

    pub(crate) fn notification(&mut self, process_id: i32, channel: &str, payload: &str) {
        self.frame(b'A', |buffer| {
            put_i32(buffer, process_id);
            put_text(buffer, channel);
            put_text(buffer, payload);
        });
    }

    /// A message with no body.
    pub(crate) fn signal(&mut self, tag: u8) {
        self.frame(tag, |_| ());
    }

    fn copy_response(&mut self, tag: u8, overall: Format, columns: &[Format]) {
        self.frame(tag, |buffer| {
            buffer.push(format_code(overall) as u8);
            put_i16(buffer, columns.len() as i16);
            columns.iter().for_each(|&format| put_i16(buffer, format_code(format)));
        });
    }

    /// A frame: the tag, the length of what `write` appends, and that.
    pub(crate) fn frame(&mut self, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
        self.buffer.push(tag);
        let start = self.buffer.len();
        put_i32(&mut self.buffer, 0);
        write(&mut self.buffer);
        patch_length(&mut self.buffer, start);
    }
}

/// A DataRow being written.
pub struct Row<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
    columns: u16,
    finished: bool,
}

impl Row<'_> {
    pub fn null(&mut self) {
        self.columns += 1;
        put_i32(self.buffer, -1);
    }

    /// A value whose bytes are at hand.
    pub fn bytes(&mut self, value: &[u8]) {
        self.columns += 1;
        put_i32(self.buffer, value.len() as i32);
        self.buffer.extend_from_slice(value);
    }

    /// A value that `write` appends. If it fails, the row is not sent.
    pub fn value<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        self.columns += 1;
        let start = self.buffer.len();
        put_i32(self.buffer, 0);
        write(self.buffer)?;
        let length = (self.buffer.len() - start - 4) as i32;
        self.buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    pub fn finish(mut self) {
        self.finished = true;
        let count = self.start + 5;
        self.buffer[count..count + 2].copy_from_slice(&self.columns.to_be_bytes());
        patch_length(self.buffer, self.start + 1);
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.buffer.truncate(self.start);
        }
    }
}

fn patch_length(buffer: &mut [u8], start: usize) {
    let length = (buffer.len() - start) as i32;
    buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn put_i16(buffer: &mut Vec<u8>, value: i16) {
    buffer.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_i32(buffer: &mut Vec<u8>, value: i32) {
    buffer.extend_from_slice(&value.to_be_bytes());
}

/// A string and its NUL; a NUL within would end the message early and is left out.
pub(crate) fn put_text(buffer: &mut Vec<u8>, text: &str) {
    buffer.extend(text.bytes().filter(|&byte| byte != 0));
    buffer.push(0);
}

fn put_fields(buffer: &mut Vec<u8>, error: &SqlError) {
    let fields = error.fields();
    let mut put = |kind: u8, value: &str| {
        buffer.push(kind);
        put_text(buffer, value);
    };
    put(b'S', fields.severity.as_str());
    put(b'V', fields.severity.as_str());
    put(b'C', fields.code.as_str());
    put(b'M', &fields.message);
    let position = fields.position.map(|at| at.to_string());
    for (kind, value) in [
        (b'D', &fields.detail),
        (b'H', &fields.hint),
        (b'P', &position),
        (b'W', &fields.context),
        (b's', &fields.schema),
        (b't', &fields.table),
        (b'c', &fields.column),
        (b'd', &fields.datatype),
        (b'n', &fields.constraint),
    ] {
        if let Some(value) = value {
            put(kind, value);
        }
    }
    // Drivers look at it: pgjdbc prepares again when a plan's result has changed, and knows that by this name.
    let is_stale_plan = fields.message == "cached plan must not change result type";
    put(b'R', if is_stale_plan { "RevalidateCachedQuery" } else { "hyrax" });
    buffer.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl FnOnce(&mut Output), expected: &[u8]) {
        let mut output = Output::new(Writer::nowhere());
        write(&mut output);
        assert_eq!(output.pending(), expected);
    }

    #[test]
    fn frames_are_what_the_protocol_says() {
        check(|out| out.command_complete("BEGIN"), b"C\0\0\0\x0aBEGIN\0");
        check(|out| out.no_data(), b"n\0\0\0\x04");
        check(|out| out.parameter_description(&[23]), b"t\0\0\0\x0a\0\x01\0\0\0\x17");
        check(|out| out.copy_in(Format::Text, &[Format::Text]), b"G\0\0\0\x09\0\0\x01\0\0");
        check(|out| out.copy_data(|buffer| buffer.extend(b"x\n")), b"d\0\0\0\x06x\n");
        check(|out| out.error(&SqlError::unsupported("a\0b")), b"E\0\0\0\x25SERROR\0VERROR\0C0A000\0Mab\0Rhyrax\0\0");
        let column = Column {
            name: "a",
            table: 1,
            number: 2,
            type_oid: 23,
            type_size: 4,
            type_modifier: -1,
            format: Format::Binary,
        };
        check(
            |out| out.row_description([column].into_iter()),
            b"T\0\0\0\x1a\0\x01a\0\0\0\0\x01\0\x02\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01",
        );
    }

    #[test]
    fn a_row_is_sent_whole_or_not_at_all() {
        check(
            |out| {
                let mut row = out.row();
                row.null();
                row.bytes(b"ab");
                row.finish();
            },
            b"D\0\0\0\x10\0\x02\xff\xff\xff\xff\0\0\0\x02ab",
        );
        check(
            |out| {
                let mut row = out.row();
                row.bytes(b"ab");
                assert_eq!(row.value(|buffer| Err::<(), usize>(buffer.len())), Err(17));
            },
            b"",
        );
    }
}
