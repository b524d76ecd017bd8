//! Where a session's answers go: a connection's buffer, or whatever else drives the session.

use exec::BoxFuture;
use exec::output::ValueFormat;
use sql::ResultColumn;
use types::{Result, SqlError};

/// Takes what statements answer, in order. Rows are written as DataRow frames (CopyData frames for COPY) straight into `buffer`.
pub trait Sink: Send {
    /// Whole frames only.
    fn buffer(&mut self) -> &mut Vec<u8>;
    /// `formats`: none (all text), one for all, or one for each column.
    fn row_description(&mut self, columns: &[ResultColumn], formats: &[ValueFormat]);
    fn command_complete(&mut self, tag: &str);
    /// The answer to a string without a statement.
    fn empty_query(&mut self);
    fn notice(&mut self, notice: &SqlError);
    fn copy_in(&mut self, is_binary: bool, columns: usize);
    fn copy_out(&mut self, is_binary: bool, columns: usize);
    fn copy_done(&mut self);
    /// Whether the buffer is full, so that `flow` would write it.
    fn is_full(&mut self) -> bool;
    /// Hands a full buffer to the client, and waits for one that does not read.
    fn flow(&mut self) -> BoxFuture<'_, Result<()>>;
    /// What has been written so far.
    fn mark(&mut self) -> SinkMark;
    /// Takes back all since the mark. False: some of it has left.
    fn rewind(&mut self, mark: SinkMark) -> bool;
}

/// A place in the stream of answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SinkMark {
    /// How often the buffer has been handed to the client.
    pub flushes: u64,
    /// Bytes in the buffer.
    pub bytes: usize,
}
