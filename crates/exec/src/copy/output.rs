//! COPY TO: batches become bytes. Each row is one CopyData message where `framed`, bare otherwise.

use super::{binary, csv, text};
use crate::batch::Batch;
use crate::context::StatementContext;
use crate::functions::reg;
use sql::utility::{CopyFormat, CopyHeader, CopyKind};
use std::sync::Arc;
use types::{Datum, Result, SqlType, io, stop};

/// A COPY TO under way.
pub struct CopyOut {
    format: CopyFormat,
    names: Vec<String>,
    types: Vec<SqlType>,
    framed: bool,
    context: Arc<StatementContext>,
    value: Vec<u8>,
    pub rows: u64,
    /// The binary signature is written, or there is none.
    is_begun: bool,
}

impl CopyOut {
    pub fn new(
        format: &CopyFormat,
        columns: &[(String, SqlType)],
        framed: bool,
        context: Arc<StatementContext>,
    ) -> CopyOut {
        CopyOut {
            format: format.clone(),
            names: columns.iter().map(|c| c.0.clone()).collect(),
            types: columns.iter().map(|c| c.1).collect(),
            framed,
            context,
            value: vec![],
            rows: 0,
            is_begun: true,
        }
    }

    /// One row or header. Nothing of it is left where it fails: a client could not read on.
    fn frame(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let before = out.len();
        if self.framed {
            out.extend_from_slice(&[b'd', 0, 0, 0, 0]);
        }
        let start = out.len();
        if let Err(error) = write(out).and_then(|()| self.encode(start, out)) {
            out.truncate(before);
            return Err(error);
        }
        let size = (out.len() - start + 4) as u32;
        if let Some(place) = out.get_mut(before + 1..start).filter(|_| self.framed) {
            place.copy_from_slice(&size.to_be_bytes());
        }
        Ok(())
    }

    /// What was written from `start` on, in the encoding of the file.
    fn encode(&self, start: usize, out: &mut Vec<u8>) -> Result<()> {
        if !self.format.encoding.is_foreign() {
            return Ok(());
        }
        let encoded = self.format.encoding.encode(io::utf8(out.get(start..).unwrap_or_default())?)?;
        out.truncate(start);
        out.extend_from_slice(&encoded);
        Ok(())
    }

    /// What stands before the rows: the header line, the binary signature.
    pub fn begin(&mut self, out: &mut Vec<u8>) -> Result<()> {
        match self.format.kind {
            // In one frame with what comes next: clients take each frame for a row, and know the first one's signature.
            CopyKind::Binary => {
                self.is_begun = false;
                Ok(())
            }
            _ if self.format.header == CopyHeader::None => Ok(()),
            kind => self.frame(out, |out| {
                for (index, name) in self.names.iter().enumerate() {
                    if index > 0 {
                        out.push(self.format.delimiter);
                    }
                    match kind {
                        CopyKind::Csv => csv::write(name.as_bytes(), &self.format, false, self.names.len() == 1, out),
                        _ => text::write(name.as_bytes(), self.format.delimiter, out),
                    }
                }
                out.push(b'\n');
                Ok(())
            }),
        }
    }

    pub fn batch(&mut self, batch: &Batch, out: &mut Vec<u8>) -> Result<()> {
        let mut value = std::mem::take(&mut self.value);
        for row in 0..batch.len {
            self.frame(out, |out| match self.format.kind {
                CopyKind::Binary => self.binary_row(batch, row, out),
                _ => self.text_row(batch, row, &mut value, out),
            })?;
            self.is_begun = true;
            self.rows += 1;
        }
        self.value = value;
        Ok(())
    }

    /// What stands behind the rows.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<()> {
        match self.format.kind {
            CopyKind::Binary => self.frame(out, |out| {
                self.signature(out);
                out.extend_from_slice(&(-1i16).to_be_bytes());
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn text_row(&self, batch: &Batch, row: usize, value: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<()> {
        for (index, ty) in self.types.iter().enumerate() {
            if index > 0 {
                out.push(self.format.delimiter);
            }
            let datum = batch.datum(index, row);
            if datum.is_null() {
                out.extend_from_slice(self.format.null.as_bytes());
                continue;
            }
            value.clear();
            self.write_text(*ty, &datum, value);
            stop::whole()?;
            match self.format.kind {
                CopyKind::Csv => {
                    let force = self.format.force_quote.get(index).copied().unwrap_or(false);
                    csv::write(value, &self.format, force, self.types.len() == 1, out);
                }
                _ => text::write(value, self.format.delimiter, out),
            }
        }
        out.push(b'\n');
        Ok(())
    }

    fn write_text(&self, ty: SqlType, datum: &Datum, out: &mut Vec<u8>) {
        match reg::is_reg(ty) {
            true => reg::output(&self.context.catalog, &*self.context.session, ty, datum, out),
            false => io::output(ty, datum, &self.context.format, out),
        }
    }

    /// Before the very first bytes.
    fn signature(&self, out: &mut Vec<u8>) {
        if !self.is_begun {
            binary::write_header(out);
        }
    }

    fn binary_row(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) -> Result<()> {
        self.signature(out);
        out.extend_from_slice(&(self.types.len() as i16).to_be_bytes());
        for (index, ty) in self.types.iter().enumerate() {
            let datum = batch.datum(index, row);
            if datum.is_null() {
                out.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            }
            let at = out.len();
            out.extend_from_slice(&[0; 4]);
            io::send(*ty, &datum, &self.context.format, out)?;
            let size = (out.len() - at - 4) as u32;
            if let Some(place) = out.get_mut(at..at + 4) {
                place.copy_from_slice(&size.to_be_bytes());
            }
        }
        Ok(())
    }
}
