//! A connection's output buffer as a session's sink.

use exec::BoxFuture;
use exec::output::ValueFormat;
use session::{Sink, SinkMark};
use sql::ResultColumn;
use types::{Result, SqlError, builtin};
use wire::{Column, Format, Output, OutputMark};

pub(super) struct WireSink<'a> {
    pub output: &'a mut Output,
}

fn format_of(formats: &[ValueFormat], column: usize) -> Format {
    let format = match formats {
        [] => ValueFormat::Text,
        [one] => *one,
        many => many.get(column).copied().unwrap_or_default(),
    };
    match format {
        ValueFormat::Text => Format::Text,
        ValueFormat::Binary => Format::Binary,
    }
}

/// RowDescription, or NoData for a statement that returns no rows.
pub(super) fn describe(output: &mut Output, columns: Option<&[ResultColumn]>, formats: &[ValueFormat]) {
    match columns {
        Some(columns) => row_description(output, columns, formats),
        None => output.no_data(),
    }
}

/// pg_type.typlen: an enum's is that of an OID.
fn type_size(ty: types::Oid) -> i16 {
    match builtin::type_by_oid(ty) {
        Some(ty) => ty.len,
        None if types::user_type::is_enum(ty) => 4,
        None => -1,
    }
}

fn row_description(output: &mut Output, columns: &[ResultColumn], formats: &[ValueFormat]) {
    let described = columns.iter().enumerate().map(|(index, column)| Column {
        name: &column.name,
        table: column.table,
        number: column.attribute,
        type_oid: column.ty.oid,
        type_size: type_size(column.ty.oid),
        type_modifier: column.ty.typmod,
        format: format_of(formats, index),
    });
    output.row_description(described);
}

impl Sink for WireSink<'_> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self.output.buffer()
    }
    fn row_description(&mut self, columns: &[ResultColumn], formats: &[ValueFormat]) {
        row_description(self.output, columns, formats);
    }
    fn command_complete(&mut self, tag: &str) {
        self.output.command_complete(tag);
    }
    fn empty_query(&mut self) {
        self.output.empty_query();
    }
    fn notice(&mut self, notice: &SqlError) {
        self.output.notice(notice);
    }
    fn copy_in(&mut self, is_binary: bool, columns: usize) {
        let format = if is_binary { Format::Binary } else { Format::Text };
        self.output.copy_in(format, &vec![format; columns]);
    }
    fn copy_out(&mut self, is_binary: bool, columns: usize) {
        let format = if is_binary { Format::Binary } else { Format::Text };
        self.output.copy_out(format, &vec![format; columns]);
    }
    fn copy_done(&mut self) {
        self.output.copy_done();
    }
    fn is_full(&mut self) -> bool {
        self.output.is_full()
    }
    fn flow(&mut self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.output.flow())
    }
    fn mark(&mut self) -> SinkMark {
        let mark = self.output.mark();
        SinkMark { flushes: mark.flushes, bytes: mark.bytes }
    }
    fn rewind(&mut self, mark: SinkMark) -> bool {
        self.output.rewind(OutputMark { flushes: mark.flushes, bytes: mark.bytes })
    }
}
